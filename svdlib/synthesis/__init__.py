"""Songs made by procedure, with exact labels: the corpus that every reader has.

`voice` sings (a glottal source through moving formants), `band` plays (drums, bass, chords and the lead instruments
that imitate the voice's gestures), `song` composes, mixes and labels. NumPy and SciPy only.
"""

from svdlib.synthesis.song import GENERATOR_VERSION, GENRES, Plan, Song, plan_song, render_song

__all__ = ["GENERATOR_VERSION", "GENRES", "Plan", "Song", "plan_song", "render_song"]
