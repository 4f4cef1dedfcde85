"""From the tracks of a split to the spectrograms and frame labels that models work on."""

import os
from collections.abc import Sequence

from svdlib.corpora.base import Track, frame_labels, log_mels
from svdlib.excerpts import Songs


def load_songs(tracks: Sequence[Track], *, cache_dir: str | os.PathLike | None = None) -> Songs:
    """Load the log-mels of tracks, and the label of each frame.

    Args:
        tracks: the songs wanted, such as `corpus.split("train")`.
        cache_dir: where spectrograms are kept, see `svdlib.corpora.base.log_mels`.

    Raises:
        AudioError: if a song cannot be read.
    """
    spectrograms = log_mels(tracks, cache_dir=cache_dir)
    labels = [
        frame_labels(track.segments, len(song)) for track, song in zip(tracks, spectrograms, strict=True)
    ]
    return Songs(spectrograms, labels, [track.name for track in tracks])
