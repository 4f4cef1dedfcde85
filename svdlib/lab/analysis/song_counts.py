"""Detector scores over all frames of many songs, from a few counts per song.

The frames of a song resemble each other, so intervals come from drawing whole songs anew, with repetition. From counts,
a draw only weighs the songs: see `svdlib.lab.analysis.intervals.pooled_intervals`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from svdlib.detector.scores import THRESHOLDS

SCORES = ("mean_song_auc", "auc", "accuracy", "majority_accuracy", "best_common_accuracy")
"""Mean of the songs' AUC; AUC and accuracy over all frames; accuracy of always giving the more frequent answer;
accuracy with the one threshold that is best for these very songs."""


@dataclass(frozen=True)
class SongCounts:
    """What the scores need to know of each song.

    Attributes:
        wins: (songs, songs), the pairs of a sung frame of the first and an unsung frame of the second song in which
            the sung one has the higher prediction; a tie counts half.
        sung: sung frames (songs,).
        unsung: unsung frames (songs,).
        right: right answers at the detector's own threshold (songs,).
        right_at: right answers at each threshold of `THRESHOLDS` (songs, thresholds).
    """

    wins: np.ndarray
    sung: np.ndarray
    unsung: np.ndarray
    right: np.ndarray
    right_at: np.ndarray

    @property
    def aucs(self) -> np.ndarray:
        """AUC of each song (songs,); nan where only one class occurs."""
        pairs = self.sung * self.unsung
        return np.where(pairs > 0, np.diag(self.wins) / np.maximum(pairs, 1), np.nan)

    @property
    def of_rarer_class(self) -> int:
        """How many songs hold the class that fewer hold."""
        return int(min(np.count_nonzero(self.sung), np.count_nonzero(self.unsung)))


def count_songs(predictions: Sequence[np.ndarray], truth: Sequence[np.ndarray], threshold: float) -> SongCounts:
    """Count what the scores need.

    Args:
        predictions: smoothed probabilities (frames,) per song.
        truth: boolean labels (frames,) per song.
        threshold: a frame counts as sung if its prediction is larger.
    """
    voiced = [song[label] for song, label in zip(predictions, truth, strict=True)]
    rest = [np.sort(song[~label]) for song, label in zip(predictions, truth, strict=True)]
    wins = np.array([[_wins(above, below) for below in rest] for above in voiced])
    right_at = [
        [np.sum((song > cut) == label) for cut in (threshold, *THRESHOLDS)]
        for song, label in zip(predictions, truth, strict=True)
    ]
    sung, unsung = (np.array([len(part) for part in parts]) for parts in (voiced, rest))
    return SongCounts(wins, sung, unsung, np.array(right_at)[:, 0], np.array(right_at)[:, 1:])


def _wins(above: np.ndarray, below: np.ndarray) -> float:
    """Pairs in the right order, given the second array sorted; a tie counts half."""
    return float(np.searchsorted(below, above, "left").sum() + np.searchsorted(below, above, "right").sum()) / 2


def pooled_scores(counts: SongCounts, weights: np.ndarray | None = None) -> dict[str, np.ndarray]:
    """The scores named in `SCORES`.

    Args:
        counts: from `count_songs`.
        weights: how often each song is there (..., songs); None takes each once, (songs,).

    Returns:
        Numbers (...,) per score, nan where it is not defined. Songs of one class only have no AUC and are left out of
        the mean of the songs' AUC.
    """
    weights = np.ones(len(counts.sung)) if weights is None else weights
    sung, unsung = weights @ counts.sung, weights @ counts.unsung
    frames, aucs = sung + unsung, counts.aucs
    known = np.isfinite(aucs)
    with np.errstate(invalid="ignore"):  # 0 / 0 is nan, as it should be
        return {
            "mean_song_auc": weights[..., known] @ aucs[known] / weights[..., known].sum(axis=-1),
            "auc": ((weights @ counts.wins) * weights).sum(axis=-1) / (sung * unsung),
            "accuracy": weights @ counts.right / frames,
            "majority_accuracy": np.maximum(sung, unsung) / frames,
            "best_common_accuracy": (weights @ counts.right_at).max(axis=-1) / frames,
        }
