"""Four differences between the paper and its released code, and what each costs in NRE.

The numbers come from `svdlib.lab.studies.inverter_ablation`: short trainings that differ in one thing each, scored song
by song. A cost is the relative change of the NRE from one of them to another, paired over songs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from svdlib.lab.analysis.intervals import Interval, change_interval, mean_interval

ALL_LAYERS = "all layers"


@dataclass(frozen=True)
class Finding:
    """One difference.

    Attributes:
        name: for tables and figures.
        without: configuration and epoch ("best" or "last") without it.
        with_it: likewise, with it.
    """

    name: str
    without: tuple[str, str]
    with_it: tuple[str, str]


FINDINGS = (
    Finding("no gradient from the feature loss", ("joint", "best"), ("input", "best")),
    Finding("geometry that does not fit", ("aligned", "best"), ("linear output", "best")),
    Finding("ELU at the output", ("linear output", "best"), ("joint", "best")),
    Finding("last epoch kept, not the best", ("joint", "best"), ("joint", "last")),
    Finding("released training step, all of it", ("joint", "best"), ("released", "last")),
)
"""The four, and the released training step as it stands. The published family has two of them built in, the geometry
and the ELU; of the others, the paper describes one way and the released code goes another."""


def corpora_of(result: Mapping[str, Any]) -> list[str]:
    """The corpora that an ablation was scored on."""
    layers = result["configurations"][0]["layers"]
    return list(next(iter(layers.values()))["best"])


def per_song(result: Mapping[str, Any], configuration: str, epoch: str, corpus: str) -> dict[str, list[float]]:
    """Normalised distances of one training, per layer (songs,).

    Args:
        result: of `svdlib.lab.studies.inverter_ablation`.
        configuration: its name.
        epoch: "best" or "last".
        corpus: one of `corpora_of`.

    Raises:
        KeyError: if the result has no such training or corpus.
    """
    by_name = {each["name"]: each["layers"] for each in result["configurations"]}
    return {layer: found[epoch][corpus]["per_song"] for layer, found in by_name[configuration].items()}


def cost(result: Mapping[str, Any], finding: Finding, corpus: str) -> dict[str, Interval]:
    """Relative change of the NRE that a finding makes.

    Args:
        result: of `svdlib.lab.studies.inverter_ablation`.
        finding: one of `FINDINGS`.
        corpus: one of `corpora_of`.

    Returns:
        Per layer, and under "all layers" that of the mean over layers: 0.1 if the NRE is 10 % higher with it.
    """
    before, after = (per_song(result, *of, corpus) for of in (finding.without, finding.with_it))
    changes = {layer: change_interval(before[layer], after[layer]) for layer in before}
    means = (np.mean(list(of.values()), axis=0) for of in (before, after))
    return changes | {ALL_LAYERS: change_interval(*means)}


def costs(result: Mapping[str, Any]) -> dict[str, dict[str, dict[str, Interval]]]:
    """All costs, per finding, corpus, and layer or "all layers"."""
    corpora = corpora_of(result)
    return {finding.name: {corpus: cost(result, finding, corpus) for corpus in corpora} for finding in FINDINGS}


def nre_of(result: Mapping[str, Any], configuration: str, corpus: str) -> dict[str, Interval]:
    """NRE of the best epoch per layer, for `svdlib.lab.figures.nre.figure_nre`."""
    errors = per_song(result, configuration, "best", corpus)
    return {layer: mean_interval(values) for layer, values in errors.items()}
