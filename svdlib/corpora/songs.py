"""From the tracks of a split to the spectrograms and frame labels that models work on."""

import os
from collections.abc import Sequence

from svdlib.corpora.base import Track, frame_labels, log_mels
from svdlib.excerpts import Songs


def load_songs(
    tracks: Sequence[Track],
    *,
    stems: bool = False,
    cache_dir: str | os.PathLike | None = None,
    processes: int | None = None,
) -> Songs:
    """Load the log-mels of tracks, and the label of each frame.

    Args:
        tracks: the songs wanted, such as `corpus.split("train")`.
        stems: whether to load voice and band on their own too, if all tracks have them.
        cache_dir: where spectrograms are kept, see `svdlib.corpora.base.log_mels`.
        processes: how many songs to work on at once, see there; None for all usable cores.

    Raises:
        AudioError: if a song cannot be read.
        ProcessError: if the number of processes makes no sense, or the system has ended a process.
    """
    parts = list(tracks)
    if stems and all(track.stems for track in tracks):
        parts += [track.stem(name) for name in ("voice", "band") for track in tracks]
    found = log_mels(parts, cache_dir=cache_dir, processes=processes)
    mixes, voices, bands = (found[k * len(tracks) : (k + 1) * len(tracks)] for k in range(3))
    labels = [frame_labels(track.segments, len(song)) for track, song in zip(tracks, mixes, strict=True)]
    return Songs(mixes, labels, [track.name for track in tracks], voices, bands)
