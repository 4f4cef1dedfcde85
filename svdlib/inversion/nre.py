"""Normalised reconstruction error (NRE): how good inverters are (paper equation 5).

Mahendran and Vedaldi (2015) normalise a distance of features in this way, Dosovitskiy and Brox (2016) one of images.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.compute.bootstrap import DRAWS, bootstrap, middle, times_drawn
from svdlib.errors import InputError
from svdlib.inversion.bank import Bank, check_bank
from svdlib.inversion.inverters import Inverters, check_belongs, inverters_of
from svdlib.inversion.listener import Listener


def mean_pairwise_distance(x: Tensor) -> float:
    """Mean Euclidean distance over all ordered pairs of different excerpts: N_c of equation 5.

    Args:
        x: standardised excerpts (n, ...), n >= 2.
    """
    flat = x.flatten(1).double()
    return float(torch.pdist(flat).mean())


def reconstruction_distances(x: Tensor, x_hat: Tensor) -> Tensor:
    """Euclidean distance of each excerpt (n, ...) to its reconstruction: (n,)."""
    distances: Tensor = (x.double() - x_hat.double()).flatten(1).norm(dim=1)
    return distances


def nre(x: Tensor | np.ndarray, x_hat: Tensor | np.ndarray) -> float:
    """Normalised reconstruction error of one evaluation set (paper equation 5).

    The mean distance of an excerpt to its reconstruction, divided by the mean distance between two excerpts of the
    set. 0 is a perfect reconstruction; the best constant prediction scores about 1/sqrt(2) = 0.71.

    Args:
        x: inputs (n, ...), n >= 2; for the detector standardised excerpts (n, 1, 115, 80) or (n, 115, 80).
        x_hat: their reconstructions, of the same shape.

    Raises:
        InputError: if the shapes differ, there are fewer than two excerpts, or all excerpts are the same.
    """
    x, x_hat = torch.as_tensor(x), torch.as_tensor(x_hat)
    if x.shape != x_hat.shape:
        raise InputError(f"Excerpts {tuple(x.shape)} and reconstructions {tuple(x_hat.shape)} differ in shape.")
    if x.dim() < 2:
        raise InputError(f"NRE takes sets of inputs (n, ...), not numbers of shape {tuple(x.shape)}; stack the inputs.")
    if len(x) < 2:
        raise InputError(f"NRE compares the distances within a set; {len(x)} excerpt is too few, take two or more.")
    return float(reconstruction_distances(x, x_hat).mean()) / _normaliser(x)


def _normaliser(x: Tensor) -> float:
    """N_c of equation 5; InputError if it is zero."""
    distance = mean_pairwise_distance(x)
    if distance == 0:
        raise InputError("All excerpts of the evaluation set are the same, so there is no distance to compare with.")
    return distance


def distances_between(x: Tensor, groups: int) -> np.ndarray:
    """Mean Euclidean distance between the inputs of any two groups of an evaluation set.

    Args:
        x: inputs (groups * inputs of each, ...), group by group.
        groups: how many there are.

    Returns:
        (groups, groups), symmetric; 0 on the diagonal, for which nothing is compared.
    """
    flat = x.flatten(1).double()
    # By differences: products of matrices would lose the digits of small distances.
    distances = torch.cdist(flat, flat, compute_mode="donot_use_mm_for_euclid_dist")
    between = distances.view(groups, -1, groups, len(x) // groups).mean(dim=(1, 3))
    found: np.ndarray = between.fill_diagonal_(0).cpu().numpy()
    return found


def redrawn_nre(per_group: np.ndarray, between: np.ndarray, drawn: np.ndarray) -> np.ndarray:
    """NRE on groups drawn anew, N_c of equation 5 measured on them too: a loud song makes both larger.

    N_c is taken to change as the mean distance between different groups does, of which nearly all its pairs are. A
    group that was drawn twice is not compared with itself: two other songs would not be as alike.

    Args:
        per_group: the share of each group in the NRE (groups,).
        between: from `distances_between`, in any unit.
        drawn: the groups of each draw (draws, groups).

    Returns:
        (draws,); nan for draws of one group alone.
    """
    count = len(per_group)
    times = times_drawn(drawn, count).astype(float)
    pairs = times.sum(axis=1) ** 2 - (times**2).sum(axis=1)
    with np.errstate(invalid="ignore"):
        scale = np.einsum("dg,gh,dh->d", times, between, times) / pairs
    usual = between.sum() / (count * (count - 1))
    change: np.ndarray = times @ per_group / count / (scale / usual)
    return change


FEWEST_GROUPS = 3
"""Of two groups, only one draw has distances between different ones."""


def drawn_nre(per_group: np.ndarray, between: np.ndarray, draws: int = DRAWS, seed: int = 0) -> np.ndarray:
    """NRE of many draws of groups, of which `svdlib.compute.bootstrap.middle` makes an interval.

    Args:
        per_group: the share of each group in the NRE (groups,).
        between: from `distances_between`, in any unit.
        draws: how often groups are drawn.
        seed: of the draws.

    Returns:
        (draws,), see `redrawn_nre`; all nan if there are fewer groups than `FEWEST_GROUPS`.
    """
    if len(per_group) < FEWEST_GROUPS:
        return np.full(draws, math.nan)
    return bootstrap(lambda drawn: redrawn_nre(per_group, between, drawn), len(per_group), draws=draws, seed=seed).drawn


@dataclass(frozen=True)
class EvaluationPlan:
    """Which inputs are evaluated (paper section 3.4).

    Attributes:
        sets: number of evaluation sets, whose NRE are averaged.
        per_song: random inputs of each song, or other group, in each set.
        seed: of the choice.
    """

    sets: int = 10
    per_song: int = 8
    seed: int = 0


def evaluation_sets(bank: Bank, plan: EvaluationPlan) -> list[Tensor]:
    """The places of the inputs of each evaluation set, drawn uniformly over each group.

    Returns:
        One tensor (groups * per_song,) per set, to be given to `Bank.cut`.
    """
    generator = np.random.default_rng(plan.seed)
    return [bank.draw(plan.per_song, generator) for _ in range(plan.sets)]


@dataclass(frozen=True)
class LayerScore:
    """NRE of one inverter.

    Attributes:
        nre: mean over the evaluation sets.
        per_set: NRE of each set.
        per_group: the share of each song, or other group, in it; their mean is `nre`.
        between: mean distance between the inputs of any two groups (groups, groups), as a share of N_c.
        mean_predictor: NRE of painting one and the same mean input whatever the feature: the line to beat.
        mean_per_group: the share of each group in that; empty in scores that were stored without.
    """

    nre: float
    per_set: tuple[float, ...]
    per_group: tuple[float, ...]
    between: tuple[tuple[float, ...], ...]
    mean_predictor: float = math.nan
    mean_per_group: tuple[float, ...] = ()

    def __repr__(self) -> str:
        low, high = self.ci95
        groups = len(self.per_group)
        few = f"no interval: {groups} group{'s' * (groups != 1)}, {FEWEST_GROUPS} or more are needed"
        interval = few if groups < FEWEST_GROUPS else f"{low:.3f} to {high:.3f}"
        return f"LayerScore: NRE {self.nre:.3f} ({interval}), mean predictor {self.mean_predictor:.3f}{self._verdict}"

    @cached_property
    def ci95(self) -> tuple[float, float]:
        """95 % interval, from drawing groups anew; nan if there are too few, see `drawn_nre`. Needs SciPy."""
        return self._interval(np.array(self.per_group))

    @cached_property
    def above_mean_ci95(self) -> tuple[float, float]:
        """95 % interval of the NRE minus the mean predictor's, both on the same groups; below 0 the inverter is better.

        The two are paired: a group that is hard for one is hard for the other, so this interval is narrower than that
        of the NRE alone. nan if there are too few groups, or the shares of the mean predictor were not stored.
        """
        if not self.mean_per_group:
            return math.nan, math.nan
        return self._interval(np.array(self.per_group) - np.array(self.mean_per_group))

    def _interval(self, per_group: np.ndarray) -> tuple[float, float]:
        low, high = middle(drawn_nre(per_group, np.array(self.between)))
        return float(low), float(high)

    @property
    def _verdict(self) -> str:
        """Whether it beats the mean predictor, after a colon; empty if nobody can tell."""
        low, high = self.above_mean_ci95
        if math.isnan(low):
            return ""
        return ": beats the mean predictor" if high < 0 else ": does not surely beat it"


@torch.no_grad()
def reconstruct(encoder: Listener, inverters: Mapping[str, nn.Module], x: Tensor, batch: int = 32) -> dict[str, Tensor]:
    """Invert the features of inputs at several layers.

    Args:
        encoder: in eval mode.
        inverters: an inverter per layer, in eval mode.
        x: inputs (n, channels, time, frequency).
        batch: how many are inverted at once.

    Raises:
        WeightsError: if an inverter was trained for another network.

    Returns:
        Reconstructions of the shape of `x` per layer.
    """
    for layer, inverter in inverters.items():
        check_belongs(layer, inverter, encoder)
    parts: dict[str, list[Tensor]] = {layer: [] for layer in inverters}
    for piece in x.split(batch):
        features = encoder.features(piece, inverters)
        for layer, inverter in inverters.items():
            parts[layer].append(inverter(features[layer]))
    return {layer: torch.cat(pieces) for layer, pieces in parts.items()}


def evaluate_inverters(
    encoder: Listener,
    inverters: Inverters,
    bank: Bank,
    plan: EvaluationPlan = EvaluationPlan(),
    *,
    train: Bank | None = None,
) -> dict[str, LayerScore]:
    """NRE of each inverter on random inputs of every song or other group (paper section 3.4, figure 5).

    Args:
        encoder: in eval mode, on the bank's device.
        inverters: an inverter per layer, in eval mode, on the same device; or the run that made them.
        bank: the inputs to evaluate on.
        plan: how many sets and inputs.
        train: whose mean input the mean predictor paints; None takes the mean of `bank` itself, which is harder to
            beat: hardly any other picture is as near to all inputs of the bank.

    Raises:
        InputError: if all inputs of a set are the same, a set has fewer than two, or inputs are no bank or do not fit
            the network.
        LayerError: if the network does not name the layer of an inverter.
        WeightsError: if an inverter was trained for another network.

    Returns:
        A score per layer.
    """
    inverters = inverters_of(inverters)
    for each, role in ((bank, ""), *([] if train is None else [(train, "training")])):
        check_bank(each, encoder, role)
    encoder.check_layers(inverters)
    distances: dict[str, list[Tensor]] = {layer: [] for layer in inverters}
    mean, of_mean = mean_excerpt(bank if train is None else train).to(bank.device), []
    groups = len(bank.draw(1, np.random.default_rng(0)))
    between = []
    for places in evaluation_sets(bank, plan):
        x = bank.cut(places)
        if len(x) < 2:
            raise InputError("NRE compares the distances within a set, and a set of one input has none. Take more.")
        normaliser = _normaliser(x)
        between.append(distances_between(x, groups) / normaliser)
        of_mean.append(reconstruction_distances(x, mean.expand_as(x)).cpu() / normaliser)
        for layer, x_hat in reconstruct(encoder, inverters, x).items():
            distances[layer].append(reconstruction_distances(x, x_hat).cpu() / normaliser)
    line, apart = torch.stack(of_mean).numpy(), tuple(map(tuple, np.mean(between, axis=0).tolist()))
    return {layer: _score(torch.stack(found).numpy(), groups, line, apart) for layer, found in distances.items()}


def mean_excerpt(train: Bank) -> Tensor:
    """What an inverter paints that knows nothing of its feature: the mean training input (1, channels, ...).

    The mean is taken over up to 2048 inputs, evenly spread over the bank.
    """
    return train.gather(train.spread(2048)).mean(0, keepdim=True)


def mean_predictor_nre(train: Bank, bank: Bank, plan: EvaluationPlan = EvaluationPlan()) -> float:
    """NRE of predicting the mean training input whatever the feature: the line that an inverter must beat.

    Args:
        train: its mean input is the prediction.
        bank: the inputs to evaluate on.
        plan: the same as for the inverters.
    """
    mean = mean_excerpt(train)
    sets = [bank.cut(places) for places in evaluation_sets(bank, plan)]
    return float(np.mean([nre(x, mean.to(x.device).expand_as(x)) for x in sets]))


def _score(
    normalised: np.ndarray, groups: int, of_mean: np.ndarray, between: tuple[tuple[float, ...], ...]
) -> LayerScore:
    """Sum up distances to inversions and the mean (sets, groups * inputs of each), divided by each set's normaliser."""
    of_groups, mean_of_groups = (
        tuple(each.reshape(len(each), groups, -1).mean(axis=(0, 2)).tolist()) for each in (normalised, of_mean)
    )
    per_set, line = tuple(normalised.mean(axis=1).tolist()), float(of_mean.mean(axis=1).mean())
    return LayerScore(float(normalised.mean()), per_set, of_groups, between, line, mean_of_groups)
