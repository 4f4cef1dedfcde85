"""Songs made by procedure, with exact labels: the corpora that every reader has.

`voice` sings (a glottal source through moving formants), `band` plays (drums, bass, chords and the lead instruments
that imitate the voice's gestures), `song` composes, mixes and labels. What differs between two corpora stands in
`worlds`, in the tables that `world` defines; the second corpus has its own instruments in `notes_b`, `percussion_b`
and `leads_b`, the third in `notes_c`, `bass_c`, `percussion_c` and `leads_c`. NumPy, SciPy and, for the loudness,
pyloudnorm.
"""

from svdlib.songs.synthesis.song import GENERATOR_VERSION, Plan, Song, plan_song, render_song
from svdlib.songs.synthesis.world import Genre, World
from svdlib.songs.synthesis.worlds import GENRES, WORLDS

__all__ = ["GENERATOR_VERSION", "GENRES", "WORLDS", "Genre", "Plan", "Song", "World", "plan_song", "render_song"]
