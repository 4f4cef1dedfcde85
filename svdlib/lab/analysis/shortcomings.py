"""What a chapter cannot show with the songs at hand, in a sentence."""

from collections.abc import Sequence

import numpy as np

from svdlib.audio.mel_axis import EXCERPT_FRAMES, FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.detector.excerpts import HOP_FRAMES
from svdlib.songs.corpora.base import Track, frame_labels


def one_class(tracks: Sequence[Track]) -> str:
    """Say that somebody sings in the centre of every excerpt of some songs, or of none; empty where they hold both.

    Args:
        tracks: songs with their labels; one whose length is not known counts as having both, unless nothing in it is
            sung.
    """
    sung = np.concatenate([_sung(track) for track in tracks])
    if not sung.any():
        found, missing = "Nobody sings in the excerpts of the songs that this chapter takes", "with singing"
    elif sung.all():
        found, missing = "Somebody sings in every excerpt of the songs that this chapter takes", "without singing"
    else:
        return ""
    return (
        f"**{found}**, so it cannot show an excerpt {missing}, nor set the two kinds side by side: "
        f"where it speaks of one {missing}, you see one of the other kind."
    )


def _sung(track: Track) -> np.ndarray:
    """Whether somebody sings in the centres of a song's excerpts (excerpts,), those that an `ExcerptBank` has."""
    if track.seconds is None:
        return np.array([False, True] if any(segment.sing for segment in track.segments) else [False])
    frames = (round(track.seconds * SAMPLE_RATE) - FRAME_LENGTH) // HOP_LENGTH + 1
    return frame_labels(track.segments, frames)[CENTRE_FRAME : frames - EXCERPT_FRAMES + CENTRE_FRAME + 1 : HOP_FRAMES]
