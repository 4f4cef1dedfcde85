"""What detectors answer to inversions, against NumPy and by hand."""

import copy
import json

import numpy as np
import pytest
import tiny
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from svdlib.audio.standardizer import Standardizer
from svdlib.detector.model import SVDNet
from svdlib.errors import InputError
from svdlib.lab.analysis.round_trip import (
    STORED_STEP,
    answers,
    check_judges,
    correlation_interval,
    correlation_moments,
    correlation_of_moments,
    decisions_kept,
    feature_errors,
    judged,
    kinship,
)
from svdlib.lab.studies import as_json


@pytest.fixture(scope="module")
def x():
    bank = tiny.bank(0)
    return bank.gather(torch.arange(6))


def test_an_original_is_answered_like_itself(x):
    (kept, moments) = judged({"one": tiny.detector()}, x, x, Standardizer())["one"]
    assert kept.all() and correlation_of_moments(*moments.mean(1)) == pytest.approx(1)
    for values in feature_errors(tiny.detector(), x, x, ("mp3", "fc8")).values():
        np.testing.assert_array_equal(values, 0)


def test_the_correlation_is_that_of_numpy():
    a, b = torch.randn(2, 40, generator=torch.Generator().manual_seed(0))
    found = correlation_of_moments(*correlation_moments(a, b + a).mean(1))
    assert found == pytest.approx(np.corrcoef(a, b + a)[0, 1], rel=1e-6)
    for constant in (torch.zeros(40), torch.full((40,), -1.7) + 1e-7 * b):
        assert np.isnan(correlation_of_moments(*correlation_moments(a, constant).mean(1)))


SIZES = st.floats(-5, 2).map(lambda power: 10.0**power)


@given(st.tuples(SIZES, SIZES), st.tuples(SIZES, SIZES), st.floats(-1, 1), st.integers(0, 2**20))
@settings(max_examples=400, deadline=None)
@example((1e-3, 1e-3), (0.0, 0.0), 1.0, 0)
@example((0.03, 0.03), (9.0, -9.0), -1.0, 0)
@example((0.003, 100.0), (0.0, 1000.0), 0.5, 0)
def test_a_stored_correlation_is_right_or_not_known(spreads, middles, share, seed):
    one, other = np.random.default_rng(seed).normal(size=(2, 30))
    a, b = spreads[0] * one + middles[0], spreads[1] * (share * one + (1 - abs(share)) * other) + middles[1]
    moments = correlation_moments(torch.from_numpy(a), torch.from_numpy(b)).mean(1)
    right = np.corrcoef(a, b)[0, 1]
    stored = correlation_of_moments(*np.array(as_json(moments.tolist())), step=STORED_STEP)
    assert np.isnan(stored) or (abs(stored) <= 1 and stored == pytest.approx(right, abs=0.012))
    # As computed, they lack no digits.
    computed = correlation_of_moments(*moments)
    assert np.isnan(computed) or (abs(computed) <= 1 and computed == pytest.approx(right, abs=1e-6))


def test_tiny_logits_have_a_correlation_until_they_are_stored():
    a, b = 0.1 * torch.randn(2, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64) - 3
    right = np.corrcoef(a, b)[0, 1]
    for size, known in ((1.0, True), (1e-3, False)):
        songs = correlation_moments(size * a, size * b).reshape(5, 8, 5).mean(2).tolist()
        assert correlation_interval(songs).value == pytest.approx(right, abs=1e-6)
        stored = correlation_interval(json.loads(json.dumps(as_json(songs))))
        assert stored.value == pytest.approx(right, abs=1e-3) if known else np.isnan(stored.value)
    lacking = [[*row, None] for row in as_json(songs)]
    assert np.isnan(correlation_interval(lacking).value), "a song without numbers is no sign of many digits"


def test_a_decision_is_kept_on_the_same_side_of_the_threshold():
    detector = copy.deepcopy(tiny.detector())
    detector.threshold = 0.5
    before, after = torch.tensor([-1.0, -1.0, 2.0, 2.0]), torch.tensor([-3.0, 0.1, 0.1, -0.1])
    np.testing.assert_array_equal(decisions_kept(detector, before, after), [True, False, True, False])
    detector.threshold = 0.9  # a logit of 2.2
    np.testing.assert_array_equal(decisions_kept(detector, before, after), [True, True, True, True])


def test_every_judge_hears_by_its_own_scale(x):
    judge = copy.deepcopy(tiny.detector())
    judge.standardizer.mean.fill_(1.5)
    judge.standardizer.std.fill_(2.0)
    theirs = Standardizer()
    theirs.std.fill_(4.0)
    with torch.no_grad():
        by_hand = judge((4 * x - 1.5) / 2)[:, 0]
    torch.testing.assert_close(answers(judge, x, theirs), by_hand, rtol=1e-4, atol=1e-4)


def test_feature_errors_are_shares_of_the_distance_between_originals(x):
    detector, x_hat = tiny.detector(), x.flip(0)
    with torch.no_grad():
        f, g = (detector.features(each, ("fc7",))["fc7"].double().numpy() for each in (x, x_hat))
    pairs = [np.linalg.norm(f[i] - f[j]) for i in range(len(f)) for j in range(len(f)) if i != j]
    expected = np.linalg.norm(f - g, axis=1) / np.mean(pairs)
    np.testing.assert_allclose(feature_errors(detector, x, x_hat, ("fc7",))["fc7"], expected, rtol=1e-5)


def test_originals_that_are_all_alike_give_no_scale(x):
    with pytest.raises(InputError, match="same feature at fc8"):
        feature_errors(tiny.detector(), x[:1].expand(3, -1, -1, -1), x[:3], ("fc8",))


def test_a_long_training_does_not_hide_where_a_detector_began():
    detector, trained = tiny.detector(), copy.deepcopy(tiny.detector())
    torch.manual_seed(3)
    with torch.no_grad():
        for weights in trained.parameters():
            weights += 0.7 * weights.std() * torch.randn_like(weights) if weights.numel() > 1 else 0.0
    assert 0.6 < kinship(detector, trained) < 0.95
    with pytest.raises(InputError, match="the twin began.*from another seed"):
        check_judges(detector, {"the twin": trained})
    torch.manual_seed(4)
    stranger = SVDNet()
    assert abs(kinship(detector, stranger)) < 0.2
    check_judges(detector, {"a stranger": stranger})
