"""The numbers behind the claims: each from the stored results of a study, with its 95 % interval over songs."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from svdlib.detector.model import LAYERS
from svdlib.lab.analysis.intervals import (
    Interval,
    change_interval,
    difference_interval,
    nre_interval,
    paired_interval,
    unpaired_nre_change_interval,
)
from svdlib.lab.analysis.verdicts import CORPORA, OWN, SECOND, Measure, Results

SOURCES = ("reconstruction_error", "kept_structure", "inversion_by_optimisation", "inverter_ablation")
"""The studies whose results are read."""

Errors = Mapping[str, Sequence[float]]
"""Per layer, in order, the mean normalised distance of each song (songs,)."""


def found_on(results: Results, study: str, kind: str) -> Mapping[str, Any] | None:
    """What a study found on the first corpus of a kind; None if it was not there."""
    corpora = results.get(study, {}).get("corpora", {})
    return next((found for name, found in corpora.items() if name.partition(":")[0] == kind), None)


def errors_of(results: Results, kind: str, family: str) -> dict[str, list[float]] | None:
    """The errors of a family of inverters on a corpus; of "aligned, interior" without the border."""
    found = found_on(results, "reconstruction_error", kind)
    if found is None:
        return None
    name, _, part = family.partition(", ")
    of_family = {layer: by_family[name] for layer, by_family in found["layers"].items()}
    return {layer: (each[part] if part else each)["per_song"] for layer, each in of_family.items()}


def of_errors(statistic: Callable[[Errors], Interval]) -> Measure:
    """Make a measure of a statistic of the errors on one corpus."""

    def measure(results: Results, kind: str, family: str) -> Interval | None:
        errors = errors_of(results, kind, family)
        return None if errors is None else statistic(errors)

    return measure


def lead_of_the_deepest(errors: Errors) -> Interval:
    """By what share the NRE of the last layer lies above the largest of the others."""

    def lead(*means: np.ndarray) -> np.ndarray:
        return means[-1] / np.max(means[:-1], axis=0) - 1

    return paired_interval(lead, *errors.values())


def smallest_step(errors: Errors) -> Interval:
    """The smallest step from one layer to the next, in average steps; above 0 the NRE grows with every layer."""

    def smallest(*means: np.ndarray) -> np.ndarray:
        steps = np.diff(means, axis=0)
        return steps.min(axis=0) / np.abs(steps.mean(axis=0))

    return paired_interval(smallest, *errors.values())


def relative_step(errors: Errors, one: str, other: str) -> Interval:
    """The step from one layer to another, in average steps from the first layer to the last."""
    first, *_, last = errors

    def step(a: np.ndarray, b: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
        return (b - a) / (end - start) * (len(errors) - 1)

    return paired_interval(step, *(errors[layer] for layer in (one, other, first, last)))


def second_corpus(layers: Sequence[str]) -> Measure:
    """By what share the mean NRE of some layers is higher on a corpus than on the test songs."""

    def measure(results: Results, kind: str, family: str) -> Interval | None:
        found = [found_on(results, "reconstruction_error", each) for each in (OWN, kind)]
        if found[0] is None or found[1] is None:
            return None
        before, after = (
            (np.mean([each["layers"][name][family]["per_song"] for name in layers], axis=0), np.array(each["between"]))
            for each in found
            if each is not None
        )
        return unpaired_nre_change_interval(before, after)

    return measure


def objectives(results: Results, kind: str, family: str) -> Interval | None:
    """By what share the NRE, averaged over layers, changes if the feature loss is left out of the training."""
    ablation = results.get("inverter_ablation")
    if not ablation or family != "published" or kind == SECOND:
        return None
    layers = {each["name"]: each["layers"].values() for each in ablation["configurations"]}
    scores = [[found["best"][CORPORA[kind]]["per_song"] for found in layers[name]] for name in ("joint", "input")]
    return change_interval(*(np.mean(of_layers, axis=0) for of_layers in scores))


def kept(layer: str, *measures: str) -> Measure:
    """What a layer's inversions share with their originals, beyond what those of other excerpts do.

    Args:
        layer: which.
        measures: names of measures in the study `kept_structure`; of several, the one with the largest value is taken.
    """

    def measure(results: Results, kind: str, family: str) -> Interval | None:
        found = found_on(results, "kept_structure", kind)
        if found is None:
            return None
        of_layer = found["layers"][layer][family]
        return _largest(_beyond_chance(of_layer[name]) for name in measures)

    return measure


def _beyond_chance(found: Mapping[str, Any]) -> Interval:
    """Mean over the songs that have both numbers."""
    return difference_interval(found["per_song"], found["chance_per_song"])


def class_dependence(results: Results, kind: str, family: str) -> Interval | None:
    """How well "high minus low" of FC8's inversions tells what the detector calls vocal from the rest, an AUC."""
    found = found_on(results, "kept_structure", kind)
    if found is None:
        return None
    auc = found["class_dependence"]["decision"]["fc8"][family]["high_minus_low"]
    return Interval(auc["auc"], *auc["ci95"])


def optimised_excerpts(results: Results, kind: str, family: str) -> Interval | None:
    """NRE at Conv1 or Conv2, whichever is worse, by one way of inverting, which need not be a trained network."""
    found = found_on(results, "inversion_by_optimisation", kind)
    if found is None:
        return None
    between = np.array(found["between"])
    return _largest(nre_interval(found["layers"][name][family]["nre"]["per_song"], between) for name in LAYERS[:2])


def _largest(intervals: Iterable[Interval]) -> Interval:
    return max(intervals, key=lambda interval: interval.value)
