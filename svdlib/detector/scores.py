"""How good a detector is: median filter, threshold and scores as in Schlüter & Grill (2015).

Arrays in, numbers out, as in mir_eval.
"""

from collections.abc import Sequence

import numpy as np

MEDIAN_FRAMES = 56
"""Length of the median filter over a song's predictions: 0.8 s."""


SORTED_AT_ONCE = 1 << 14  # windows of the median filter

THRESHOLDS = np.array([1e-5, 1e-4, 1e-3, *(np.arange(1, 100) / 100), 1 - 1e-3, 1 - 1e-4, 1 - 1e-5])
"""The thresholds that are tried on the validation songs."""


def smooth(predictions: np.ndarray) -> np.ndarray:
    """Median-filter a song's predictions (frames,) over 56 frames, edges repeated.

    The even window reaches 28 frames back and 27 ahead, and its upper median is taken.
    """
    back = MEDIAN_FRAMES // 2
    padded = np.pad(np.asarray(predictions), (back, MEDIAN_FRAMES - back - 1), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_FRAMES)
    smoothed = np.empty(len(windows), dtype=padded.dtype)
    # Windows overlap, and sorting copies them: of all at once that would be 56 times the song.
    for start in range(0, len(windows), SORTED_AT_ONCE):
        some = slice(start, start + SORTED_AT_ONCE)
        smoothed[some] = np.partition(windows[some], back, axis=1)[:, back]
    return smoothed


def best_threshold(predictions: Sequence[np.ndarray], truth: Sequence[np.ndarray]) -> tuple[float, float]:
    """The threshold with the highest accuracy over all frames of all songs, the lowest one if several tie.

    Args:
        predictions: smoothed probabilities (frames,) per song.
        truth: boolean labels (frames,) per song.

    Returns:
        The threshold and its accuracy.
    """
    pooled, sung = np.concatenate(predictions), np.concatenate(truth).astype(bool)
    accuracies = [float(np.mean((pooled > threshold) == sung)) for threshold in THRESHOLDS]
    best = int(np.argmax(accuracies))
    return float(THRESHOLDS[best]), accuracies[best]


def detector_scores(
    predictions: Sequence[np.ndarray], truth: Sequence[np.ndarray], threshold: float
) -> dict[str, float]:
    """Scores over all frames of all songs.

    Args:
        predictions: smoothed probabilities (frames,) per song.
        truth: boolean labels (frames,) per song.
        threshold: a frame counts as sung if its prediction is larger.

    Returns:
        "accuracy", "precision", "recall", "specificity", "f_score" and "auc" (nan if only one class occurs).
    """
    pooled, sung = np.concatenate(predictions), np.concatenate(truth).astype(bool)
    said = pooled > threshold
    hits, right_rejections = np.sum(said & sung), np.sum(~said & ~sung)
    precision, recall = _share(hits, said.sum()), _share(hits, sung.sum())
    return {
        "accuracy": float(np.mean(said == sung)),
        "precision": precision,
        "recall": recall,
        "specificity": _share(right_rejections, (~sung).sum()),
        "f_score": _share(2 * precision * recall, precision + recall),
        "auc": area_under_curve(pooled, sung),
    }


def area_under_curve(predictions: np.ndarray, truth: np.ndarray) -> float:
    """Probability that a sung frame scores higher than an unsung one; nan if only one class occurs."""
    from sklearn.metrics import roc_auc_score

    if truth.all() or not truth.any():
        return float("nan")
    return float(roc_auc_score(truth, predictions))


def roc_points(predictions: np.ndarray, truth: np.ndarray, at_most: int = 101) -> tuple[np.ndarray, np.ndarray]:
    """The receiver operating characteristic: false alarms against hits, for every threshold from high to low.

    Args:
        predictions: (frames,).
        truth: boolean labels (frames,).
        at_most: of a longer curve, so many points evenly spread along it are kept, the first and the last among them.

    Returns:
        False-positive and true-positive rate (points,), both from 0 to 1; empty if only one class occurs.
    """
    from sklearn.metrics import roc_curve

    if truth.all() or not truth.any():
        return np.empty(0), np.empty(0)
    false_rate, true_rate, _ = roc_curve(truth, predictions)
    if len(false_rate) > at_most:
        along = false_rate + true_rate  # never falls, and grows by 2 in all
        kept = np.unique(np.searchsorted(along, np.linspace(0, along[-1], at_most)))
        false_rate, true_rate = false_rate[kept], true_rate[kept]
    return false_rate, true_rate


def error_rates(predictions: np.ndarray, truth: np.ndarray, threshold: float) -> tuple[float, float]:
    """Share of the unsung frames that are called sung, and of the sung frames that are not; nan without such frames."""
    said = predictions > threshold
    false_positives = float(np.mean(said[~truth])) if (~truth).any() else np.nan
    false_negatives = float(np.mean(~said[truth])) if truth.any() else np.nan
    return false_positives, false_negatives


def _share(part: float, whole: float) -> float:
    return float(part / whole) if whole else 0.0
