"""How good the detector and the inverters are.

Normalised reconstruction error (NRE): Mahendran & Vedaldi 2015, paper equation 5.
Detector: median filter, threshold and scores as in Schlüter & Grill 2015 (mir_eval-style: arrays in, numbers out).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import EXCERPT_FRAMES, SVDNet
from svdlib.errors import CorpusError

MEDIAN_FRAMES = 56
"""Length of the median filter over a song's predictions: 0.8 s."""

THRESHOLDS = np.array([1e-5, 1e-4, 1e-3, *(np.arange(1, 100) / 100), 1 - 1e-3, 1 - 1e-4, 1 - 1e-5])
"""The thresholds that are tried on the validation songs."""


# --- inverters ---------------------------------------------------------------------------------------------------


def mean_pairwise_distance(x: Tensor) -> float:
    """Mean Euclidean distance over all ordered pairs of different excerpts: N_c of equation 5.

    Args:
        x: standardised excerpts (n, ...), n >= 2.
    """
    flat = x.flatten(1).double()
    return float(torch.pdist(flat).mean())


def reconstruction_distances(x: Tensor, x_hat: Tensor) -> Tensor:
    """Euclidean distance of each excerpt (n, ...) to its reconstruction: (n,)."""
    return (x.double() - x_hat.double()).flatten(1).norm(dim=1)


def nre(x: Tensor | np.ndarray, x_hat: Tensor | np.ndarray) -> float:
    """Normalised reconstruction error of one evaluation set (paper equation 5).

    The mean distance of an excerpt to its reconstruction, divided by the mean distance between two excerpts of the
    set. 0 is a perfect reconstruction; the best constant prediction scores about 1/sqrt(2) = 0.71.

    Args:
        x: standardised excerpts (n, 1, 115, 80) or (n, 115, 80), n >= 2.
        x_hat: their reconstructions, of the same shape.

    Raises:
        CorpusError: if the shapes differ, there are fewer than two excerpts, or all excerpts are the same.
    """
    x, x_hat = torch.as_tensor(x), torch.as_tensor(x_hat)
    if x.shape != x_hat.shape:
        raise CorpusError(f"Excerpts {tuple(x.shape)} and reconstructions {tuple(x_hat.shape)} differ in shape.")
    if len(x) < 2:
        raise CorpusError(f"NRE compares the distances within a set; {len(x)} excerpt is too few, take two or more.")
    return float(reconstruction_distances(x, x_hat).mean()) / _normaliser(x)


def _normaliser(x: Tensor) -> float:
    """N_c of equation 5; CorpusError if it is zero."""
    distance = mean_pairwise_distance(x)
    if distance == 0:
        raise CorpusError("All excerpts of the evaluation set are the same, so there is no distance to compare with.")
    return distance


def frame_errors(x: Tensor, x_hat: Tensor) -> Tensor:
    """Error of each frame: its squared error over all excerpts and bands, divided by its mean square in the originals.

    Args:
        x: standardised excerpts (n, 1, 115, 80).
        x_hat: their reconstructions.

    Returns:
        (115,); 1 is as bad as painting the average level of every band.
    """
    return (mean_squares(x - x_hat).mean(dim=1) / mean_squares(x).mean(dim=1)).cpu()


def band_errors(x: Tensor, x_hat: Tensor) -> Tensor:
    """Error of each band: its squared error over all excerpts and frames, divided by its mean square in the originals.

    Args:
        x: standardised excerpts (n, 1, 115, 80).
        x_hat: their reconstructions.

    Returns:
        (80,); 1 is as bad as painting the average level of the band.
    """
    return (mean_squares(x - x_hat).mean(dim=0) / mean_squares(x).mean(dim=0)).cpu()


def mean_squares(x: Tensor) -> Tensor:
    """Mean over excerpts (n, 1, 115, 80) of the square of each value: (115, 80)."""
    return x.double().square().mean(dim=(0, 1))


@dataclass(frozen=True)
class EvaluationPlan:
    """Which excerpts are evaluated (paper section 3.4).

    Attributes:
        sets: number of evaluation sets, whose NRE are averaged.
        per_song: random excerpts per song in each set.
        seed: of the choice.
    """

    sets: int = 10
    per_song: int = 8
    seed: int = 0


def evaluation_sets(bank: ExcerptBank, plan: EvaluationPlan) -> list[Tensor]:
    """First frames of the excerpts of each evaluation set, drawn uniformly over each song.

    Returns:
        One tensor (songs * per_song,) per set, to be given to `ExcerptBank.cut`.
    """
    generator = np.random.default_rng(plan.seed)
    sets = []
    for _ in range(plan.sets):
        starts = [
            offset + generator.integers(0, length - EXCERPT_FRAMES + 1, plan.per_song)
            for offset, length in zip(bank.song_offsets, bank.song_lengths, strict=True)
            if length >= EXCERPT_FRAMES
        ]
        sets.append(torch.as_tensor(np.concatenate(starts), device=bank.device))
    return sets


@dataclass(frozen=True)
class LayerScore:
    """NRE of one inverter.

    Attributes:
        nre: mean over the evaluation sets.
        ci95: 95 % interval of the mean, from resampling whole songs; nan if there is only one song.
        per_set: NRE of each set.
    """

    nre: float
    ci95: tuple[float, float]
    per_set: tuple[float, ...]


@torch.no_grad()
def reconstruct(detector: SVDNet, inverters: dict[str, nn.Module], x: Tensor, batch: int = 32) -> dict[str, Tensor]:
    """Invert the features of excerpts at several layers.

    Args:
        detector: in eval mode.
        inverters: an inverter per layer, in eval mode.
        x: standardised excerpts (n, 1, 115, 80).
        batch: how many excerpts are inverted at once.

    Returns:
        Reconstructions (n, 1, 115, 80) per layer.
    """
    parts: dict[str, list[Tensor]] = {layer: [] for layer in inverters}
    for piece in x.split(batch):
        features = detector.features(piece, inverters)
        for layer, inverter in inverters.items():
            parts[layer].append(inverter(features[layer]))
    return {layer: torch.cat(pieces) for layer, pieces in parts.items()}


def evaluate_inverters(
    detector: SVDNet,
    inverters: dict[str, nn.Module],
    bank: ExcerptBank,
    plan: EvaluationPlan = EvaluationPlan(),
) -> dict[str, LayerScore]:
    """NRE of each inverter on random excerpts of every song (paper section 3.4, figure 5).

    Args:
        detector: in eval mode, on the bank's device.
        inverters: an inverter per layer, in eval mode, on the same device.
        bank: the songs to evaluate on.
        plan: how many sets and excerpts.

    Raises:
        CorpusError: if all excerpts of a set are the same.

    Returns:
        A score per layer. The interval comes from 1000 resamplings of the songs.
    """
    distances: dict[str, list[Tensor]] = {layer: [] for layer in inverters}
    for starts in evaluation_sets(bank, plan):
        x = bank.cut(starts)
        normaliser = _normaliser(x)
        for layer, x_hat in reconstruct(detector, inverters, x).items():
            distances[layer].append(reconstruction_distances(x, x_hat).cpu() / normaliser)
    return {layer: _score(torch.stack(found).numpy(), plan) for layer, found in distances.items()}


def mean_excerpt(train: ExcerptBank) -> Tensor:
    """What an inverter paints that knows nothing of its feature: the mean training excerpt (1, 1, 115, 80).

    The mean is taken over up to 2048 excerpts, evenly spread over the bank.
    """
    return train.gather(train.spread(2048)).mean(0, keepdim=True)


def mean_predictor_nre(train: ExcerptBank, bank: ExcerptBank, plan: EvaluationPlan = EvaluationPlan()) -> float:
    """NRE of predicting the mean training excerpt whatever the input: the line that an inverter must beat.

    Args:
        train: its mean excerpt is the prediction.
        bank: the songs to evaluate on.
        plan: the same as for the inverters.
    """
    mean = mean_excerpt(train)
    sets = [bank.cut(starts) for starts in evaluation_sets(bank, plan)]
    return float(np.mean([nre(x, mean.to(x.device).expand_as(x)) for x in sets]))


def _score(normalised: np.ndarray, plan: EvaluationPlan) -> LayerScore:
    """Sum up distances (sets, songs * per_song), already divided by each set's normaliser."""
    per_song = normalised.reshape(len(normalised), -1, plan.per_song).mean(axis=(0, 2))
    if len(per_song) < 2:
        return LayerScore(float(normalised.mean()), (np.nan, np.nan), tuple(normalised.mean(axis=1).tolist()))
    generator = np.random.default_rng(plan.seed)
    resampled = generator.choice(per_song, size=(1000, len(per_song))).mean(axis=1)
    low, high = np.quantile(resampled, [0.025, 0.975])
    return LayerScore(float(normalised.mean()), (float(low), float(high)), tuple(normalised.mean(axis=1).tolist()))


# --- detector ----------------------------------------------------------------------------------------------------


def smooth(predictions: np.ndarray) -> np.ndarray:
    """Median-filter a song's predictions (frames,) over 56 frames, edges repeated.

    The even window reaches 28 frames back and 27 ahead, and its upper median is taken.
    """
    back = MEDIAN_FRAMES // 2
    padded = np.pad(np.asarray(predictions), (back, MEDIAN_FRAMES - back - 1), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, MEDIAN_FRAMES)
    return np.partition(windows, back, axis=1)[:, back]


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


AUC_RULES = {"exact": area_under_curve, "published": published_auc}
"""The two ways to compute an area under the curve, by name."""


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
