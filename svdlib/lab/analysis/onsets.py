"""When sounds begin in a spectrogram, and whether they begin at the same times in its inversion.

Our own measures, after the paper's observation (section 4) that some layers keep "musical onset locations".
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from svdlib.audio.mel_axis import FRAME_RATE, N_BANDS
from svdlib.lab.analysis.pictures import as_pictures, correlation

ONSET_FRAMES = 5
"""Onsets are looked for at this resolution, 70 ms: wide enough for a blurred picture to have onsets at all."""

ONSET_TOLERANCE = 0.05
"""Two onsets are the same if they lie at most so many seconds apart, as usual in onset detection."""

SMALLEST_RISE = 0.02
"""No onset is a rise by less than this, in deviations per band: what rounding and slow drifts make."""


def onset_curve(standardised: Tensor) -> Tensor:
    """How much louder the next 70 ms are than the last 70 ms, added up over the bands that become louder.

    Args:
        standardised: (..., frames, 80).

    Returns:
        Deviations (..., frames - 9); entry k belongs to frame k + 5.
    """
    means = as_pictures(standardised).unfold(-2, ONSET_FRAMES, 1).mean(dim=-1)
    return (means[..., ONSET_FRAMES:, :] - means[..., :-ONSET_FRAMES, :]).clamp(min=0).sum(dim=-1)


def onset_match(x: Tensor, x_hat: Tensor) -> Tensor:
    """Whether the onset curves of an excerpt and of its inversion rise and fall together.

    Args:
        x: standardised excerpts (..., frames, 80).
        x_hat: their inversions, of the same shape.

    Returns:
        Correlation of the two onset curves (...,); 0 where one of them is flat.
    """
    return correlation(onset_curve(x), onset_curve(x_hat))


def onset_times(standardised: Tensor) -> list[np.ndarray]:
    """Times at which sounds begin: the peaks of the onset curve.

    A peak is the largest value within 70 ms to both sides, lies half a standard deviation of its curve above the
    curve's mean, and is a rise by at least 0.02 deviations per band.

    Args:
        standardised: (n, frames, 80).

    Returns:
        Per excerpt, seconds after its start, in ascending order.
    """
    curves = onset_curve(standardised)
    largest_near = F.max_pool1d(curves[:, None], 2 * ONSET_FRAMES + 1, stride=1, padding=ONSET_FRAMES)[:, 0]
    threshold = curves.mean(dim=1, keepdim=True) + curves.std(dim=1, keepdim=True) / 2
    peaks = (curves == largest_near) & (curves > threshold) & (curves > SMALLEST_RISE * N_BANDS)
    return [(np.flatnonzero(each) + ONSET_FRAMES) / FRAME_RATE for each in peaks.numpy()]


def onset_f_measure(x: Tensor, x_hat: Tensor) -> Tensor:
    """How many onsets of excerpts are found at the same times in their inversions.

    Args:
        x: standardised excerpts (n, frames, 80).
        x_hat: their inversions, of the same shape.

    Returns:
        F-measure (n,): twice the pairs of equal onsets, divided by the number of onsets in both; nan where the excerpt
        has no onset.
    """
    pairs = zip(onset_times(x), onset_times(x_hat), strict=True)
    return torch.tensor([f_measure(wanted, found) for wanted, found in pairs], dtype=torch.float64)


def f_measure(wanted: np.ndarray, found: np.ndarray, tolerance: float = ONSET_TOLERANCE) -> float:
    """Harmonic mean of precision and recall of events.

    Args:
        wanted: times that should be found, ascending, in seconds.
        found: times that were found, ascending.
        tolerance: the largest distance between two times that count as the same.

    Returns:
        Between 0 and 1; nan if there is nothing to find.
    """
    if not len(wanted):
        return float("nan")
    return 2 * matched_events(wanted, found, tolerance) / (len(wanted) + len(found))


def matched_events(wanted: np.ndarray, found: np.ndarray, tolerance: float = ONSET_TOLERANCE) -> int:
    """The largest number of pairs of a wanted and a found time within the tolerance, each time in one pair at most.

    Both must ascend; then pairing the earliest that fit never spoils a later pair.
    """
    first = second = pairs = 0
    while first < len(wanted) and second < len(found):
        apart = found[second] - wanted[first]
        if abs(apart) <= tolerance + 1e-9:  # frames lie on a grid: a distance of exactly the tolerance counts
            first, second, pairs = first + 1, second + 1, pairs + 1
        elif apart > 0:
            first += 1
        else:
            second += 1
    return pairs
