"""Which excerpt of a song to look at."""

import math
import os

import numpy as np

from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, FRAME_RATE, HOP_LENGTH
from svdlib.detector.model import CENTRE_FRAME
from svdlib.errors import AudioError, quoted

QUIETEST_SHARE = 0.1
"""An excerpt below this share of the song's level (20 dB down) is near-silence, not worth inverting unasked."""


def surest_singing(samples: np.ndarray, probabilities: np.ndarray) -> int:
    """First frame of the excerpt around the highest probability, near-silent excerpts left aside.

    Args:
        samples: the song (samples,), 22050 Hz.
        probabilities: smoothed probability of singing (frames,).
    """
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    starts = np.arange(len(probabilities) - EXCERPT_FRAMES + 1)
    power = (energy[starts * HOP_LENGTH + EXCERPT_SAMPLES] - energy[starts * HOP_LENGTH]) / EXCERPT_SAMPLES
    audible = power >= (QUIETEST_SHARE**2) * energy[-1] / len(samples)
    return int(np.argmax(np.where(audible, probabilities[starts + CENTRE_FRAME], -1)))


def excerpt_at(song: str | os.PathLike[str], frames: int, at: float) -> int:
    """First frame of the excerpt whose centre is at a time.

    Args:
        song: named in the error.
        frames: how many the song has.
        at: the time in seconds.

    Raises:
        AudioError: no whole excerpt has its centre there.
    """
    try:
        at = float(at)
    except (TypeError, ValueError) as error:
        raise AudioError(f"{song}: {quoted(at)} is no time; give one number of seconds, such as 3.5") from error
    last = frames - EXCERPT_FRAMES
    start = round(at * FRAME_RATE) - CENTRE_FRAME if math.isfinite(at) else -1
    if not 0 <= start <= last:
        # Rounded inwards, so that both times named are themselves in range.
        earliest = math.ceil(100 * CENTRE_FRAME / FRAME_RATE) / 100
        latest = max(earliest, math.floor(100 * (CENTRE_FRAME + last) / FRAME_RATE) / 100)
        raise AudioError(
            f"{song}: no excerpt has its centre at {at:g} s; choose a time from {earliest:.2f} to {latest:.2f} s"
        )
    return start
