"""Which excerpt of a song to look at."""

import math
import os
from collections.abc import Iterable, Iterator
from functools import cached_property

import numpy as np
from torch import Tensor

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, FRAME_RATE, HOP_LENGTH
from svdlib.compute.growing import GrowingRows
from svdlib.detector.architecture import CENTRE_FRAME, Detector
from svdlib.detector.prediction import predict
from svdlib.detector.scores import smooth
from svdlib.errors import AudioError, quoted

QUIETEST_SHARE = 0.1
"""An excerpt below this share of the song's level (20 dB down) is near-silence, not worth inverting unasked."""


class Levels:
    """How loud a song is, and each of its excerpts, measured while its samples pass by."""

    def __init__(self) -> None:
        # The energy up to the first sample of each frame, and up to the last one of each excerpt.
        self._starts, self._ends = GrowingRows(1, np.float64), GrowingRows(1, np.float64)
        self._starts.add(np.zeros((1, 1)))
        self._energy, self._samples = 0.0, 0

    def watch(self, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
        """Pass blocks (samples,) on, and measure them."""
        for block in blocks:
            self._add(block)
            yield block

    def _add(self, block: np.ndarray) -> None:
        energy = np.cumsum(np.concatenate([[self._energy], np.square(block, dtype=np.float64)]))
        for kept, place in ((self._starts, 0), (self._ends, EXCERPT_SAMPLES % HOP_LENGTH)):
            first = (place - self._samples - 1) % HOP_LENGTH + 1
            kept.add(energy[first::HOP_LENGTH, None])
        self._samples += len(block)
        self._energy = float(energy[-1])

    def of_excerpts(self, count: int) -> np.ndarray:
        """The mean power (count,) of the excerpts that start at the first frames."""
        ends = self._ends.rows()[EXCERPT_SAMPLES // HOP_LENGTH :]
        power: np.ndarray = (ends[:count, 0] - self._starts.rows()[:count, 0]) / EXCERPT_SAMPLES
        return power

    @property
    def of_song(self) -> float:
        """The mean power of all samples."""
        return self._energy / self._samples


def measured(blocks: Iterable[np.ndarray]) -> tuple[Tensor, Levels]:
    """The log-mel (frames, 80) of a song that comes in blocks (samples,), and how loud it is."""
    levels = Levels()
    return LogMel().of_blocks(levels.watch(blocks)), levels


def surest_singing(levels: Levels, probabilities: np.ndarray) -> int:
    """First frame of the excerpt around the highest probability, near-silent excerpts left aside.

    Args:
        levels: of the song, which have been measured.
        probabilities: smoothed probability of singing (frames,).
    """
    starts = np.arange(len(probabilities) - EXCERPT_FRAMES + 1)
    audible = levels.of_excerpts(len(starts)) >= (QUIETEST_SHARE**2) * levels.of_song
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


class HeardSong:
    """A song that has passed by in blocks, what a detector says of it, and which of its excerpts to look at.

    Attributes:
        log_mel: of the song, float32 (frames, 80).
    """

    def __init__(self, name: str | os.PathLike[str], detector: Detector, log_mel: Tensor, levels: Levels) -> None:
        """Take a song's name, which stands in errors, a detector, and what `measured` gives of the song."""
        self.log_mel = log_mel
        self._name, self._detector, self._levels = name, detector, levels

    @cached_property
    def probabilities(self) -> np.ndarray:
        """Smoothed probability of singing (frames,); the detector listens when it is first asked for."""
        return smooth(predict(self._detector, self.log_mel.numpy()))

    def excerpt(self, at: float | None) -> int:
        """First frame of the excerpt around a time in seconds; None takes the one that most surely is sung.

        Raises:
            AudioError: no whole excerpt has its centre there.
        """
        if at is None:
            return surest_singing(self._levels, self.probabilities)
        return excerpt_at(self._name, len(self.log_mel), at)

    def telling_excerpts(self) -> list[int]:
        """First frames of the excerpts that most surely are sung and most surely are not: two, if they differ."""
        curves = (self.probabilities, 1 - self.probabilities)
        return sorted({surest_singing(self._levels, curve) for curve in curves})
