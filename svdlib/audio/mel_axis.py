"""The constants of the front end, and its axis of 80 mel bands (Schlüter & Grill, 2015; paper section 3.1)."""

from math import log, log1p

import numpy as np
import torch
from torch import Tensor

SAMPLE_RATE = 22050  # samples per second
FRAME_LENGTH = 1024  # samples
HOP_LENGTH = 315  # samples from one frame to the next
FRAME_RATE = SAMPLE_RATE // HOP_LENGTH  # frames per second, exactly 70
N_BANDS = 80
MIN_FREQUENCY = 27.5  # Hz
MAX_FREQUENCY = 8000.0  # Hz
SMALLEST_MAGNITUDE = 1e-7  # mel magnitudes below it are raised to it, to keep the logarithm finite
LOG_SILENCE = log(SMALLEST_MAGNITUDE)  # natural-log units, what digital silence has in every band
NEPER_PER_DECIBEL = log(10) / 20
DECIBELS_PER_NEPER = 20 / log(10)  # of log-mels, whose unit is the natural logarithm of a magnitude: 8.7
EXCERPT_FRAMES = 115  # what the detector looks at
EXCERPT_SAMPLES = (EXCERPT_FRAMES - 1) * HOP_LENGTH + FRAME_LENGTH


def mel_filterbank() -> np.ndarray:
    """Build the triangular mel filters of Schlüter & Grill's code.

    82 points equally spaced on the scale mel(f) = 1127 ln(1 + f/700) from 27.5 to 8000 Hz are the feet and
    peaks of 80 overlapping triangles. Each filter is divided by its sum.

    Returns:
        float64 (513, 80): weight of each frequency bin of a 1024-point transform in each band.
    """
    lowest, highest = 1127 * np.log1p(np.array([MIN_FREQUENCY, MAX_FREQUENCY]) / 700)
    points_hz = 700 * np.expm1(np.linspace(lowest, highest, N_BANDS + 2) / 1127)
    bins_hz = np.linspace(0, SAMPLE_RATE / 2, FRAME_LENGTH // 2 + 1)
    point_bins = np.searchsorted(bins_hz, points_hz)
    filters = np.zeros((len(bins_hz), N_BANDS))
    for band in range(N_BANDS):
        left_hz, _, right_hz = points_hz[band : band + 3]
        left, top, right = point_bins[band : band + 3]
        # Divided by bins, not by Hz: the two sides may differ in height, as they do in the original code.
        filters[left:top, band] = (bins_hz[left:top] - left_hz) / (top - left)
        filters[top:right, band] = (right_hz - bins_hz[top:right]) / (right - top)
    return filters / filters.sum(axis=0)


def _mel(hertz: float) -> float:
    return 1127 * log1p(hertz / 700)


BAND_MELS = (_mel(MAX_FREQUENCY) - _mel(MIN_FREQUENCY)) / (N_BANDS + 1)


def band_of_frequency(hertz: float) -> float:
    """Position of a frequency on the axis of mel bands; band 0 peaks at position 0."""
    return (_mel(hertz) - _mel(MIN_FREQUENCY)) / BAND_MELS - 1


def band_frequencies() -> Tensor:
    """Frequency in hertz at which each mel filter peaks (80,)."""
    mels = _mel(MIN_FREQUENCY) + BAND_MELS * torch.arange(1, N_BANDS + 1, dtype=torch.float64)
    return 700 * torch.expm1(mels / 1127)
