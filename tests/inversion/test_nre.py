"""Scores of inverters against the mean predictor, on the same groups."""

import math

import numpy as np
import pytest
import torch
from torch import nn

import svdlib
from svdlib.errors import InputError, LayerError
from svdlib.inversion.nre import EvaluationPlan, LayerScore

HARD = np.array([0.2, 0.5, 1.1, 1.8, 0.4, 0.9])
"""How much each group costs the mean predictor."""


def score(gain, of_mean=HARD):
    """Of an inverter that is better than the mean predictor by so much in each group."""
    per_group = of_mean - np.asarray(gain)
    alike = 1 - np.eye(len(of_mean))
    return LayerScore(
        per_group.mean(),
        (per_group.mean(),),
        tuple(per_group),
        tuple(map(tuple, alike)),
        of_mean.mean(),
        tuple(of_mean),
    )


def test_the_gain_over_the_mean_predictor_is_taken_group_by_group():
    """Where every draw of groups has the same gain, its interval is a point, however far apart the groups are."""
    found = score(0.1)
    assert found.above_mean_ci95 == pytest.approx((-0.1, -0.1))
    low, high = found.ci95
    assert low < found.mean_predictor < high, "unpaired, nothing could be said"
    assert repr(found).endswith("mean predictor 0.817: beats the mean predictor")


@pytest.mark.parametrize("gain", [0.0, -0.1, [0.3, -0.3, 0.3, -0.3, 0.3, -0.3], [0.6, 0.01, 0, 0, 0, 0]])
def test_what_other_groups_might_turn_round_is_no_sure_gain(gain):
    found = score(gain)
    assert found.above_mean_ci95[1] >= -1e-12 and repr(found).endswith(": does not surely beat it")


@pytest.mark.parametrize(
    ("groups", "words"), [(1, "1 group, 3 or more are needed"), (2, "2 groups, 3 or more are needed")]
)
def test_without_an_interval_the_reason_is_printed(groups, words):
    found = score(0.1, HARD[:groups])
    assert (
        repr(found)
        == f"LayerScore: NRE {found.nre:.3f} (no interval: {words}), mean predictor {found.mean_predictor:.3f}"
    )


def test_a_score_that_was_stored_without_shares_of_the_mean_predictor_is_read():
    found = LayerScore(0.5, (0.5,), (0.4, 0.5, 0.6), ((0.0, 1.0, 1.0), (1.0, 0.0, 1.0), (1.0, 1.0, 0.0)), 0.7)
    assert math.isnan(found.above_mean_ci95[0]) and repr(found).endswith("mean predictor 0.700")


class Half(nn.Module):
    def forward(self, x):
        return x / 2


class Run:
    """What stands for the result of a training run."""

    inverters = {"0": Half()}


def listener():
    return svdlib.Encoder(nn.Sequential(nn.Identity(), nn.Identity()), ["0"], torch.zeros(2, 1, 4, 3))


def test_the_shares_of_groups_add_up_to_the_scores():
    x = torch.randn(40, 1, 4, 3, generator=torch.manual_seed(0))
    bank = svdlib.TensorBank(x, [index // 8 for index in range(40)])
    plan = EvaluationPlan(sets=1, per_song=8)
    found = svdlib.evaluate_inverters(listener(), Run(), bank, plan)["0"]
    same = svdlib.evaluate_inverters(listener(), Run.inverters, bank, plan)["0"]
    distances, apart = (x - x.mean(0)).flatten(1).norm(dim=1), torch.pdist(x.flatten(1)).mean()
    assert found == same
    assert found.mean_per_group == pytest.approx((distances.view(5, 8).mean(1) / apart).tolist(), rel=1e-5)
    assert np.mean(found.mean_per_group) == pytest.approx(found.mean_predictor)


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"bank": torch.zeros(4, 1, 4, 3)}, InputError, "inputs are Tensor, not a bank. Wrap them: svdlib.TensorBank"),
        (
            {"bank": svdlib.TensorBank(torch.ones(4, 1, 3, 4))},
            InputError,
            r"\(1, 4, 3\), .* have \(1, 3, 4\). Turn the last",
        ),
        ({"train": svdlib.TensorBank(torch.ones(4, 4, 3))}, InputError, r"training inputs have \(4, 3\). Add the axis"),
        ({"encoder": nn.Identity()}, InputError, "Identity has no named layers. Wrap it"),
        ({"inverters": {"1": Half()}}, LayerError, "no layer '1'.* The network has a module '1'"),
        ({"inverters": [Half()]}, InputError, "inverters is list, not an inverter per layer"),
    ],
)
def test_what_cannot_be_evaluated_is_told(change, error, words):
    right = {"encoder": listener(), "inverters": Run(), "bank": svdlib.TensorBank(torch.randn(8, 1, 4, 3))}
    with pytest.raises(error, match=words):
        svdlib.evaluate_inverters(**right | change)
