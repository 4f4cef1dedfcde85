"""Whether probabilities mean what they say: of the frames that get 0.8, are eight in ten sung?

Reliability bins and expected calibration error: Guo et al. 2017, section 2.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from svdlib.errors import CorpusError

BINS = 10
"""Number of equally wide bins of the predicted probability."""


@dataclass(frozen=True)
class ReliabilityBin:
    """The frames whose prediction falls into one tenth of the scale.

    Attributes:
        prediction: their mean prediction; nan if there is none.
        sung: the share of them that is sung; nan if there is none.
        count: how many there are.
    """

    prediction: float
    sung: float
    count: int


@dataclass(frozen=True)
class Calibration:
    """How well predicted probabilities fit the labels.

    Attributes:
        bins: from the lowest predictions to the highest.
        expected_error: mean distance between prediction and share sung over the bins, weighted by their counts.
        brier: mean squared distance between a frame's prediction and its label (0 or 1).
    """

    bins: tuple[ReliabilityBin, ...]
    expected_error: float
    brier: float


def calibration(predictions: Sequence[np.ndarray], truth: Sequence[np.ndarray], bins: int = BINS) -> Calibration:
    """Compare predicted probabilities with what is sung, over all frames of all songs.

    Bin k of n holds the predictions p with k/n <= p < (k+1)/n; the last one holds 1 too.

    Args:
        predictions: probabilities (frames,) per song, from 0 to 1.
        truth: boolean labels (frames,) per song.
        bins: how many.

    Raises:
        CorpusError: if there is no frame, or a prediction is no probability.
    """
    pooled, sung = np.concatenate(predictions).astype(float), np.concatenate(truth).astype(bool)
    if not len(pooled) or not ((pooled >= 0) & (pooled <= 1)).all():
        raise CorpusError("Calibration needs at least one frame, and predictions from 0 to 1.")
    edges = np.arange(1, bins) / bins
    places = np.searchsorted(edges, pooled, side="right")
    counts = np.bincount(places, minlength=bins)
    predicted, found = (np.bincount(places, weights=values, minlength=bins) for values in (pooled, sung))
    listed = tuple(
        ReliabilityBin(p / n, s / n, int(n)) if n else ReliabilityBin(np.nan, np.nan, 0)
        for p, s, n in zip(predicted.tolist(), found.tolist(), counts.tolist(), strict=True)
    )
    expected_error = float(np.abs(predicted - found).sum() / len(pooled))
    return Calibration(listed, expected_error, float(np.mean((pooled - sung) ** 2)))
