"""Frames of a sound that comes in blocks of any lengths."""

from collections.abc import Iterable, Iterator

import numpy as np

from svdlib.audio.mel_axis import FRAME_LENGTH, HOP_LENGTH


def framed(blocks: Iterable[np.ndarray], frames: int) -> Iterator[np.ndarray]:
    """Cut a sound into pieces that hold so many whole frames each, the last one fewer.

    The frames of all pieces, one after the other, are those of the whole sound: neighbours overlap by what two frames
    share.

    Args:
        blocks: (samples,) each, 22050 Hz.
        frames: how many to a piece.

    Yields:
        Pieces (samples,). Of a sound shorter than one frame there is one piece, the sound itself.
    """
    length, step = (frames - 1) * HOP_LENGTH + FRAME_LENGTH, frames * HOP_LENGTH
    waiting: list[np.ndarray] = []
    samples, first = 0, True
    for block in blocks:
        waiting.append(block)
        samples += len(block)
        if samples < length:
            continue
        held = np.concatenate(waiting)
        for start in range(0, samples - length + 1, step):
            yield held[start : start + length]
            first = False
        rest = held[start + step :]
        waiting, samples = [rest], len(rest)
    if samples >= FRAME_LENGTH or first:
        yield np.concatenate(waiting) if waiting else np.zeros(0, dtype=np.float32)
