"""What a chapter cannot show with the songs at hand, in a sentence."""

from collections.abc import Sequence

from svdlib.songs.corpora.base import Track

EDGE = 0.1  # seconds: so much at a song's end may be without a label


def one_class(tracks: Sequence[Track]) -> str:
    """Say that all songs are sung throughout, or none of them anywhere; empty where they hold both.

    Args:
        tracks: songs with their labels; one whose length is not known counts as having both.
    """
    sung = [sum(segment.end - segment.start for segment in track.segments if segment.sing) for track in tracks]
    if not any(sung):
        found, missing = "Nobody sings in the songs that this chapter takes", "with singing"
    elif all(
        track.seconds is not None and seconds > track.seconds - EDGE
        for track, seconds in zip(tracks, sung, strict=True)
    ):
        found, missing = "The songs that this chapter takes are sung throughout", "without singing"
    else:
        return ""
    return (
        f"**{found}**, so it cannot show an excerpt {missing}, nor set the two kinds side by side: "
        f"where it speaks of one {missing}, you see one of the other kind."
    )
