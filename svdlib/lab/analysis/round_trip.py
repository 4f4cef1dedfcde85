"""Whether listeners answer to an inversion as to its original: the round trip from a feature to sound and back.

An inversion can be near its original and mean something else to the network whose feature it was made from, or be far
away and mean the same. Both are measured here: by the answer, and by the features at a layer. A second detector, which
had no part in the training of an inverter, tells what is in the picture from what only the first one sees in it.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.standardizer import Standardizer
from svdlib.detector.architecture import Detector
from svdlib.detector.model import SVDNet
from svdlib.errors import InputError
from svdlib.inversion.nre import mean_pairwise_distance, reconstruction_distances
from svdlib.lab.analysis.intervals import Interval, Values, paired_interval

BATCH = 16

ROUNDING = 1e-5
"""A variance that is a smaller share of the mean square may come from adding up."""

STORED_STEP = 1e-6
"""Results of studies are stored with six decimals, see `svdlib.lab.studies.as_json`."""

SURE_TO = 0.01
"""A correlation that rounding may have moved further is not known."""

SAME_BEGINNING = 0.3
"""Detectors from different seeds have a `kinship` of less than 0.1, those from the same one of 0.7 and more, however
differently they were trained on."""


@torch.no_grad()
def answers(detector: Detector, x: Tensor, standardizer: Standardizer | None = None) -> Tensor:
    """A detector's logits for excerpts.

    Args:
        detector: in eval mode.
        x: standardised excerpts (n, 1, 115, 80).
        standardizer: by which they are standardised; None for the detector's own.

    Returns:
        (n,).
    """
    heard = x if standardizer is None else detector.standardizer(standardizer.inverse(x[:, 0]))[:, None]
    return torch.cat([detector(piece)[:, 0] for piece in heard.split(BATCH)])


def decisions_kept(detector: Detector, before: Tensor, after: Tensor) -> np.ndarray:
    """Whether a detector decides on inversions as on their originals.

    Args:
        detector: whose threshold decides.
        before: its logits for the originals (n,).
        after: those for the inversions (n,).

    Returns:
        Boolean (n,).
    """
    sung, still_sung = (torch.sigmoid(logits) > detector.threshold for logits in (before, after))
    return (sung == still_sung).cpu().numpy()


def correlation_moments(before: Tensor, after: Tensor) -> np.ndarray:
    """What a correlation over excerpts is made of, to be averaged over any of them.

    Args:
        before: a number per excerpt (n,).
        after: another.

    Returns:
        (5, n): both numbers, their squares and their product.
    """
    a, b = (values.double().cpu().numpy() for values in (before, after))
    return np.stack([a, b, a * a, b * b, a * b])


def correlation_of_moments(
    a: np.ndarray, b: np.ndarray, aa: np.ndarray, bb: np.ndarray, ab: np.ndarray, step: float = 0.0
) -> np.ndarray:
    """Pearson's correlation from the means of `correlation_moments`.

    Args:
        a: means of the first number (n,).
        b: of the second.
        aa: of the first one's square.
        bb: of the second one's.
        ab: of their product.
        step: to which the moments were rounded; 0 if they are as they were computed.

    Returns:
        (n,), from -1 to 1; nan where a number does not vary, or by so little that `step` may have moved the
        correlation by more than `SURE_TO`.
    """
    va, vb = np.maximum(aa - a * a, 0), np.maximum(bb - b * b, 0)
    spread = np.sqrt(va * vb)
    varies = (va > ROUNDING * aa) & (vb > ROUNDING * bb)
    # A mean is off by up to half a step, and a product of two by as much times each of them.
    with np.errstate(divide="ignore", invalid="ignore"):
        in_spread = (1 + 2 * abs(a)) / va / 2 + (1 + 2 * abs(b)) / vb / 2
        known = step / 2 * ((1 + abs(a) + abs(b)) / spread + in_spread) <= SURE_TO
    found = np.divide(ab - a * b, spread, out=np.full_like(spread, np.nan), where=varies & known)
    return np.clip(found, -1, 1)


def correlation_interval(moments: Sequence[Values]) -> Interval:
    """Pearson's correlation over songs, from their means of `correlation_moments`; songs are drawn anew.

    Args:
        moments: (5, songs), as they were computed, or as they were stored; which of both, the numbers tell.

    Returns:
        The interval; nan where a number does not vary, or by too little for what is stored.
    """
    songs = np.asarray(moments, dtype=float)
    steps = songs[np.isfinite(songs)] / STORED_STEP
    step = STORED_STEP if np.abs(steps - steps.round()).max(initial=0) < 1e-3 else 0.0
    return paired_interval(partial(correlation_of_moments, step=step), *songs)


@torch.no_grad()
def feature_errors(detector: SVDNet, x: Tensor, x_hat: Tensor, layers: Iterable[str]) -> dict[str, np.ndarray]:
    """How far the features of inversions lie from those of their originals.

    Args:
        detector: in eval mode.
        x: standardised excerpts (n, 1, 115, 80), n >= 2.
        x_hat: their inversions, of the same shape.
        layers: at which layers.

    Returns:
        Per layer the distance of each pair, divided by the mean distance of two originals (n,): equation 5 of the paper
        for features, as Mahendran and Vedaldi (2015) measure it.

    Raises:
        InputError: if the features of all originals are the same.
    """
    found: dict[str, np.ndarray] = {}
    for layer in layers:
        before, after = (features_at(detector, each, layer) for each in (x, x_hat))
        found[layer] = (reconstruction_distances(before, after) / feature_scale(before, layer)).cpu().numpy()
    return found


@torch.no_grad()
def features_at(detector: SVDNet, x: Tensor, layer: str) -> Tensor:
    """The features of standardised excerpts (n, 1, 115, 80) at a layer, each in one row: (n, values)."""
    return torch.cat([detector.features(piece, (layer,))[layer].flatten(1) for piece in x.split(BATCH)])


@torch.no_grad()
def features_and_answers(detector: SVDNet, x: Tensor, layer: str) -> tuple[Tensor, Tensor]:
    """Both in one pass: features of excerpts (n, 1, 115, 80) at a layer, (n, values), and the logits (n,)."""
    found = [detector.features(piece, {layer, "fc8"}) for piece in x.split(BATCH)]
    logits = [detector.out(each["fc8"])[:, 0] for each in found]
    return torch.cat([each[layer].flatten(1) for each in found]), torch.cat(logits)


def feature_scale(features: Tensor, layer: str) -> float:
    """Mean distance between two of these features (n, values) of originals, n >= 2.

    Raises:
        InputError: if all are the same.
    """
    scale = mean_pairwise_distance(features)
    if scale == 0:
        raise InputError(f"All excerpts have the same feature at {layer}, so there is no distance to compare with.")
    return scale


def kinship(one: SVDNet, other: SVDNet) -> float:
    """How alike two detectors have their filters in the same order: the mean cosine of those of Conv2.

    Networks that began from the same random weights keep their order over a long training. What one of them hears, the
    other is likely to hear too, and is no second opinion.
    """
    first, second = (network.state_dict()["layers.conv2.0.weight"].flatten(1).cpu() for network in (one, other))
    return float(torch.cosine_similarity(first, second, dim=1).mean())


def check_judges(detector: SVDNet, judges: Mapping[str, SVDNet]) -> None:
    """See that detectors can judge inversions of another.

    Raises:
        InputError: if one of them began from the same random weights.
    """
    for name, judge in judges.items():
        if (found := kinship(detector, judge)) > SAME_BEGINNING:
            raise InputError(
                f"{name} began from the same random weights as the detector: their filters agree by {found:.2f}, where "
                f"others have under {SAME_BEGINNING}. It is no second opinion. Name one trained from another seed."
            )


def heard(judges: Mapping[str, Detector], x: Tensor, standardizer: Standardizer) -> dict[str, Tensor]:
    """The logits of several detectors for excerpts (n, 1, 115, 80) by another's standardizer: (n,) each."""
    return {name: answers(judge, x, standardizer) for name, judge in judges.items()}


def compared(
    judges: Mapping[str, Detector], before: Mapping[str, Tensor], after: Mapping[str, Tensor]
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What several detectors say of inversions, beside what they say of the originals.

    Args:
        judges: detectors by name.
        before: their logits for the originals, from `heard`.
        after: those for the inversions.

    Returns:
        Per detector whether it decides as on the original, boolean (n,), and the `correlation_moments` of its logits.
    """
    return {
        name: (decisions_kept(judge, before[name], after[name]), correlation_moments(before[name], after[name]))
        for name, judge in judges.items()
    }


def judged(
    judges: Mapping[str, Detector], x: Tensor, x_hat: Tensor, standardizer: Standardizer
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """The same from the excerpts and their inversions (n, 1, 115, 80), both standardised by `standardizer`."""
    return compared(judges, heard(judges, x, standardizer), heard(judges, x_hat, standardizer))
