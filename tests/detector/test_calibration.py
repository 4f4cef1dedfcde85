"""Calibration against a slow rewrite from the definitions, and on cases whose answer is known."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svdlib.detector.calibration import calibration
from svdlib.errors import CorpusError


def slow(predictions, truth, bins):
    """Frame by frame: the bins' means and counts, the expected error and the Brier score."""
    members = [[] for _ in range(bins)]
    for prediction, label in zip(predictions, truth, strict=True):
        place = bins - 1
        while place > 0 and prediction < place / bins:
            place -= 1
        members[place].append((prediction, label))
    listed, error = [], 0.0
    for frames in members:
        mean, sung = (np.mean([frame[k] for frame in frames]) if frames else np.nan for k in (0, 1))
        listed.append((mean, sung, len(frames)))
        error += abs(mean - sung) * len(frames) / len(predictions) if frames else 0
    return listed, error, np.mean([(p - y) ** 2 for p, y in zip(predictions, truth, strict=True)])


frames = st.lists(st.tuples(st.one_of(st.floats(0, 1), st.sampled_from([k / 10 for k in range(11)])), st.booleans()),
                  min_size=1, max_size=60)  # fmt: skip


@given(frames, st.sampled_from([1, 4, 10]))
@settings(max_examples=100, deadline=None)
def test_calibration_agrees_with_the_definition(drawn, bins):
    predictions, truth = np.array([p for p, _ in drawn]), np.array([y for _, y in drawn])
    listed, error, brier = slow(predictions, truth, bins)
    half = len(drawn) // 2
    found = calibration([predictions[:half], predictions[half:]], [truth[:half], truth[half:]], bins)
    for entry, (mean, sung, count) in zip(found.bins, listed, strict=True):
        assert entry.count == count
        assert entry.prediction == pytest.approx(mean, nan_ok=True)
        assert entry.sung == pytest.approx(sung, nan_ok=True)
    assert found.expected_error == pytest.approx(error) and found.brier == pytest.approx(brier)


def test_the_brier_score_agrees_with_scikit_learn():
    from sklearn.metrics import brier_score_loss

    rng = np.random.default_rng(0)
    predictions, truth = rng.random(500), rng.random(500) < 0.4
    assert calibration([predictions], [truth]).brier == pytest.approx(brier_score_loss(truth, predictions))


@pytest.mark.parametrize(
    ("predictions", "error", "brier"),
    [([1, 1, 0, 0], 0, 0), ([0, 0, 1, 1], 1, 1), ([0.5] * 4, 0, 0.25), ([0.9] * 4, 0.4, 0.41)],
    ids=["perfect", "inverted", "an honest shrug", "too sure"],
)
def test_known_cases(predictions, error, brier):
    found = calibration([np.array(predictions)], [np.array([True, True, False, False])])
    assert found.expected_error == pytest.approx(error) and found.brier == pytest.approx(brier)


def test_probabilities_that_are_true_are_calibrated():
    rng = np.random.default_rng(1)
    predictions = rng.random(200_000)
    assert calibration([predictions], [rng.random(200_000) < predictions]).expected_error < 0.01


@pytest.mark.parametrize("predictions", [[], [1.2, 0.1], [np.nan, 0.1]])
def test_what_is_no_probability_is_refused(predictions):
    with pytest.raises(CorpusError, match="predictions from 0 to 1"):
        calibration([np.array(predictions)], [np.zeros(len(predictions), dtype=bool)])
