"""The costs of the four findings, on results whose costs are known by construction."""

import numpy as np
import pytest

from svdlib.lab.studies import findings
from svdlib.lab.studies.findings import ALL_LAYERS, FINDINGS

FACTORS = {"aligned": 0.8, "linear output": 0.9, "joint": 1.0, "input": 1.02, "released": 1.3}
"""By how much each training's errors differ from those of the joint one; the last epoch is 5 % worse than the best."""

HARD = {"synthetic test songs": 0.4 + 0.02 * np.arange(16), "real songs": 0.6 + 0.05 * np.arange(5)}
DEPTH = {"mp3": 1.0, "fc8": 1.5}


def entry(values):
    return {"nre": float(values.mean()), "per_song": values.tolist()}


def made_up():
    """Results in the form of `svdlib.lab.studies.inverter_ablation`."""
    configurations = []
    for name, factor in FACTORS.items():
        layers = {}
        for layer, depth in DEPTH.items():
            best = {corpus: entry(factor * depth * hard) for corpus, hard in HARD.items()}
            last = {corpus: entry(1.05 * factor * depth * hard) for corpus, hard in HARD.items()}
            layers[layer] = {"best": last if name == "released" else best, "last": last, "kept_epoch": 1}
        configurations.append({"name": name, "variant": "published", "objective": "joint", "layers": layers})
    return {"updates": 240, "configurations": configurations}


@pytest.mark.parametrize(
    ("finding", "expected"), list(zip(FINDINGS, (0.02, 0.9 / 0.8 - 1, 1 / 0.9 - 1, 0.05, 1.3 * 1.05 - 1), strict=True))
)
def test_each_finding_costs_what_was_put_in(finding, expected):
    for corpus in HARD:
        found = findings.cost(made_up(), finding, corpus)
        assert set(found) == {"mp3", "fc8", ALL_LAYERS}
        for interval in found.values():  # a common factor is the same in each draw of songs
            assert [interval.value, interval.low, interval.high] == pytest.approx([expected] * 3)


def test_the_mean_over_layers_is_that_of_the_errors_not_of_the_changes():
    result = made_up()
    inputs = next(each for each in result["configurations"] if each["name"] == "input")
    inputs["layers"]["fc8"]["best"]["real songs"] = entry(1.5 * 1.2 * HARD["real songs"])
    found = findings.cost(result, FINDINGS[0], "real songs")
    assert found["fc8"].value == pytest.approx(0.2)
    assert found[ALL_LAYERS].value == pytest.approx((1.02 + 1.5 * 1.2) / 2.5 - 1)


def test_all_costs_are_there():
    found = findings.costs(made_up())
    assert list(found) == [finding.name for finding in FINDINGS]
    assert all(list(by_corpus) == list(HARD) for by_corpus in found.values())


def test_the_nre_for_the_figure():
    found = findings.nre_of(made_up(), "linear output", "real songs")["fc8"]
    assert found.value == pytest.approx(0.9 * 1.5 * 0.7)
    assert found.low < found.value < found.high
