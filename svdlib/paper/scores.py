"""The area under the curve as the published evaluation of the detector computes it."""

import numpy as np

from svdlib.detector.scores import THRESHOLDS


def published_auc(predictions: np.ndarray, truth: np.ndarray) -> float:
    """Area under the curve as Schlüter & Grill's evaluation computes it, to compare with published numbers.

    Their curve has a point for each of `THRESHOLDS`, joined by straight lines; `area_under_curve` takes every frame as
    a threshold. On the published evaluation's example of 5132 frames they give 0.95649 and 0.95630. Where the
    thresholds do not reach the ends of the curve, we add them; the example cannot tell whether the original does.

    Args:
        predictions: (frames,).
        truth: boolean labels (frames,).

    Returns:
        The area; nan if only one class occurs.
    """
    if truth.all() or not truth.any():
        return float("nan")
    false_rate, true_rate = (
        np.array([np.mean(predictions[frames] > threshold) for threshold in (-np.inf, *THRESHOLDS, np.inf)])
        for frames in (~truth, truth)
    )
    return float(np.sum((false_rate[:-1] - false_rate[1:]) * (true_rate[:-1] + true_rate[1:]) / 2))
