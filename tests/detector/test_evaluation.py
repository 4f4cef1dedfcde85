import numpy as np
import pytest
import scipy.ndimage
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from places import GOLDENS

from svdlib.detector.scores import THRESHOLDS, area_under_curve, best_threshold, detector_scores, smooth
from svdlib.errors import InputError
from svdlib.inversion.nre import (
    EvaluationPlan,
    distances_between,
    evaluate_inverters,
    evaluation_sets,
    mean_pairwise_distance,
    mean_predictor_nre,
    nre,
    reconstruct,
    reconstruction_distances,
    redrawn_nre,
)
from svdlib.paper.scores import published_auc
from svdlib.zoo.families import build_inverter


def gaussian(n, seed=0):
    return torch.randn(n, 1, 115, 80, generator=torch.Generator().manual_seed(seed))


def slow_nre(x, x_hat):
    """Equation 5, pair by pair."""
    x, x_hat = np.reshape(x, (len(x), -1)), np.reshape(x_hat, (len(x), -1))
    pairs = [np.linalg.norm(x[i] - x[j]) for i in range(len(x)) for j in range(len(x)) if i != j]
    return np.mean([np.linalg.norm(a - b) for a, b in zip(x, x_hat, strict=True)]) / np.mean(pairs)


# --- normalised reconstruction error ---


def test_nre_agrees_with_the_reference_implementation():
    golden = np.load(GOLDENS / "nre.npz")
    inputs, reconstructions = golden["feature_inputs"], golden["feature_reconstructions"]
    assert mean_pairwise_distance(torch.tensor(inputs)) == pytest.approx(golden["feature_normaliser"].item(), rel=1e-6)
    assert nre(inputs, reconstructions) == pytest.approx(golden["feature_nre"].item(), rel=1e-6)
    distances = reconstruction_distances(torch.tensor(golden["inputs"]), torch.tensor(golden["reconstructions"]))
    np.testing.assert_allclose(distances.numpy(), golden["distances"], rtol=1e-6)


@given(st.integers(2, 6), st.integers(1, 5), st.integers(0, 10_000))
@settings(max_examples=40, deadline=None)
def test_nre_is_equation_5(count, size, seed):
    rng = np.random.default_rng(seed)
    x, x_hat = rng.normal(size=(2, count, size, 3))
    assert nre(x, x_hat) == pytest.approx(slow_nre(x, x_hat), rel=1e-9)


@given(st.integers(0, 10_000), st.floats(0.01, 100), st.floats(-50, 50))
@settings(max_examples=30, deadline=None)
def test_nre_does_not_depend_on_scale_or_offset(seed, scale, offset):
    rng = np.random.default_rng(seed)
    x, x_hat = rng.normal(size=(2, 4, 10))
    assert nre(scale * x + offset, scale * x_hat + offset) == pytest.approx(nre(x, x_hat), rel=1e-6)


def test_a_perfect_reconstruction_scores_zero():
    assert nre(gaussian(3), gaussian(3)) == 0


def test_the_mean_scores_one_over_root_two_on_independent_excerpts():
    x = gaussian(60)
    assert nre(x, torch.zeros_like(x)) == pytest.approx(2**-0.5, abs=0.005)


@pytest.mark.parametrize(
    ("x", "x_hat", "reason"),
    [
        (torch.zeros(3, 4), torch.zeros(3, 5), "differ in shape"),
        (torch.zeros(1, 4), torch.zeros(1, 4), "two or more"),
        (torch.ones(3, 4), torch.zeros(3, 4), "the same"),
    ],
)
def test_sets_that_have_no_nre(x, x_hat, reason):
    with pytest.raises(InputError, match=reason):
        nre(x, x_hat)


# --- evaluation sets ---


def test_each_set_has_eight_excerpts_of_each_song_within_its_bounds():
    bank = tiny.bank(count=3, frames=150)
    sets = evaluation_sets(bank, EvaluationPlan(sets=40))
    assert len(sets) == 40 and all(len(starts) == 24 for starts in sets)
    within = torch.stack(sets).view(40, 3, 8) - torch.tensor([0, 150, 300])[:, None]
    # A song of 150 frames has 36 excerpts, and 320 draws reach the first and the last of them.
    assert within.min() == 0 and within.max() == 35
    assert not torch.equal(sets[0], sets[1])


def test_the_same_seed_draws_the_same_sets():
    bank = tiny.bank(count=2)
    one, two = (evaluation_sets(bank, EvaluationPlan(sets=3, seed=5)) for _ in range(2))
    other = evaluation_sets(bank, EvaluationPlan(sets=3, seed=6))
    assert all(map(torch.equal, one, two)) and not torch.equal(one[0], other[0])


def test_songs_shorter_than_an_excerpt_are_left_out():
    songs = tiny.songs(count=1, frames=200)
    short = tiny.songs(seed=1, count=1, frames=100)
    both = type(songs)([*short.log_mels, *songs.log_mels], [*short.labels, *songs.labels], ["short", "long"])
    bank = tiny.ExcerptBank(both, standardizer=tiny.Standardizer())
    (starts,) = evaluation_sets(bank, EvaluationPlan(sets=1))
    assert len(starts) == 8 and starts.min() >= 100


# --- inverters over sets ---


@pytest.fixture(scope="module")
def scored():
    bank, plan = tiny.bank(count=3), EvaluationPlan(sets=2, per_song=2)
    inverters = {layer: build_inverter(layer).eval() for layer in ("fc8", "mp6")}
    return bank, plan, inverters, evaluate_inverters(tiny.detector(), inverters, bank, plan)


def test_scores_are_the_mean_of_nre_over_the_sets(scored):
    bank, plan, inverters, scores = scored
    for layer, inverter in inverters.items():
        expected = []
        for starts in evaluation_sets(bank, plan):
            x = bank.cut(starts)
            with torch.no_grad():
                x_hat = inverter(tiny.detector().features(x, (layer,))[layer])
            expected.append(slow_nre(x.numpy(), x_hat.numpy()))
        assert scores[layer].per_set == pytest.approx(expected, rel=1e-5)
        assert scores[layer].nre == pytest.approx(np.mean(expected), rel=1e-5)


def test_the_interval_holds_the_mean(scored):
    for score in scored[3].values():
        low, high = score.ci95
        assert low <= score.nre <= high and low < high


def test_the_yardstick_is_measured_anew_on_the_groups_that_are_drawn():
    """By hand, pair by pair: only different groups are compared, and a draw scales the yardstick as their distances."""
    x = np.random.default_rng(1).normal(size=(4, 3, 7)) * np.array([1, 2, 3, 4])[:, None, None]
    between = distances_between(torch.tensor(x).flatten(0, 1), 4)

    def apart(songs):
        pairs = [(a, b) for a in songs for b in songs if a != b]
        return np.mean([np.linalg.norm(one - other) for a, b in pairs for one in x[a] for other in x[b]])

    per_group = np.array([0.5, 0.6, 0.4, 0.9])
    draws = np.array([[0, 1, 2, 3], [0, 0, 3, 2], [1, 1, 1, 2], [2, 2, 2, 2]])
    expected = [per_group[songs].mean() * apart(range(4)) / apart(songs) for songs in draws[:3]]
    found = redrawn_nre(per_group, 7 * between, draws)
    np.testing.assert_allclose(found[:3], expected, rtol=1e-12)
    assert found[0] == pytest.approx(per_group.mean()) and np.isnan(found[3])


def test_evaluation_repeats_exactly(scored):
    bank, plan, inverters, scores = scored
    assert evaluate_inverters(tiny.detector(), inverters, bank, plan) == scores


def test_batches_do_not_change_the_reconstructions(scored):
    bank, _, inverters, _ = scored
    x = bank.gather(torch.arange(3))
    one, two = (reconstruct(tiny.detector(), inverters, x, batch=size) for size in (1, 3))
    for layer in inverters:
        torch.testing.assert_close(one[layer], two[layer], atol=1e-5, rtol=1e-4)


def test_the_mean_predictor_is_scored_on_the_same_sets():
    train, bank, plan = tiny.bank(0), tiny.bank(1, count=2), EvaluationPlan(sets=2, per_song=3)
    mean = train.gather(torch.arange(len(train))).mean(0).numpy()
    sets = [bank.cut(starts).numpy() for starts in evaluation_sets(bank, plan)]
    expected = np.mean([slow_nre(x, np.broadcast_to(mean, x.shape)) for x in sets])
    assert mean_predictor_nre(train, bank, plan) == pytest.approx(expected, rel=1e-5)


# --- detector: goldens of the published evaluation ---


@pytest.fixture(scope="module")
def golden():
    with np.load(GOLDENS / "evaluation.npz") as archive:
        return {name: archive[name] for name in archive.files}


def songs_of(golden, split):
    count = sum(name.startswith(f"{split}_pred") for name in golden)
    predictions = [golden[f"{split}_pred{song}"][:, 0] for song in range(count)]
    return predictions, [golden[f"{split}_label{song}"] for song in range(count)]


@pytest.mark.parametrize("split", ["valid", "test"])
def test_smoothing_agrees_with_the_published_evaluation(golden, split):
    for song, prediction in enumerate(songs_of(golden, split)[0]):
        np.testing.assert_array_equal(smooth(prediction), golden[f"{split}_smooth{song}"].ravel())


def test_the_threshold_agrees_with_the_published_evaluation(golden):
    np.testing.assert_allclose(THRESHOLDS, golden["thresholds"])
    predictions, truth = songs_of(golden, "valid")
    threshold, accuracy = best_threshold([smooth(prediction) for prediction in predictions], truth)
    assert threshold == pytest.approx(golden["threshold"].item())
    assert accuracy == pytest.approx(golden["valid_accuracy"].item(), abs=1e-12)


def test_scores_agree_with_the_published_evaluation(golden):
    predictions, truth = songs_of(golden, "test")
    scores = detector_scores([smooth(p) for p in predictions], truth, golden["threshold"].item())
    for name in ("accuracy", "precision", "recall", "specificity", "f_score"):
        expected = golden[f"test_{name.replace('_', '')}"].item()
        assert scores[name] == pytest.approx(expected, abs=1e-12), name
    # The published evaluation joins the 105 thresholds' points by straight lines; here every frame is a threshold.
    assert scores["auc"] == pytest.approx(golden["test_auroc"].item(), abs=5e-4)
    pooled = np.concatenate([smooth(p) for p in predictions])
    assert published_auc(pooled, np.concatenate(truth)) == pytest.approx(golden["test_auroc"].item(), abs=1e-12)


def test_the_published_area_by_hand():
    truth = np.array([True, True, False, False])
    # Between neighbouring thresholds the curve is straight, so frames that share a hundredth count half, as ties do.
    assert published_auc(np.array([0.555, 0.552, 0.558, 0.2]), truth) == pytest.approx((2 + 2 * 0.5) / 4)
    assert published_auc(np.array([0.9, 0.8, 0.7, 0.1]), truth) == 1
    assert published_auc(np.array([1.0, 0.0, 0.0, 0.0]), truth) == pytest.approx(0.75)
    assert np.isnan(published_auc(np.array([0.5]), np.array([True])))


# --- detector: definitions ---


@given(st.lists(st.floats(0, 1), min_size=1, max_size=200))
@settings(max_examples=60, deadline=None)
def test_smoothing_is_a_median_filter_with_repeated_edges(predictions):
    expected = scipy.ndimage.median_filter(np.array(predictions), size=56, mode="nearest")
    np.testing.assert_array_equal(smooth(np.array(predictions)), expected)


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_no_other_threshold_is_more_accurate_and_none_as_good_is_lower(seed):
    rng = np.random.default_rng(seed)
    predictions = [rng.uniform(size=30), rng.uniform(size=11)]
    truth = [p + rng.normal(0, 0.3, len(p)) > 0.5 for p in predictions]
    threshold, accuracy = best_threshold(predictions, truth)
    pooled, sung = np.concatenate(predictions), np.concatenate(truth)
    accuracies = {candidate: np.mean((pooled > candidate) == sung) for candidate in THRESHOLDS}
    assert accuracy == max(accuracies.values())
    assert threshold == min(c for c, a in accuracies.items() if a == accuracy)


def test_a_prediction_equal_to_the_threshold_counts_as_not_sung():
    scores = detector_scores([np.array([0.5, 0.6])], [np.array([False, True])], 0.5)
    assert scores["accuracy"] == 1


def test_scores_by_hand():
    """Two hits, one false alarm, one miss, four right rejections."""
    predictions = np.array([0.9, 0.8, 0.7, 0.2, 0.1, 0.1, 0.3, 0.4])
    truth = np.array([True, True, False, True, False, False, False, False])
    scores = detector_scores([predictions[:3], predictions[3:]], [truth[:3], truth[3:]], 0.5)
    assert scores["accuracy"] == 6 / 8
    assert scores["precision"] == pytest.approx(2 / 3) and scores["recall"] == pytest.approx(2 / 3)
    assert scores["specificity"] == 4 / 5 and scores["f_score"] == pytest.approx(2 / 3)
    # Of the 15 pairs of a sung and an unsung frame, three are in the wrong order: 0.2 below 0.7, 0.3 and 0.4.
    assert scores["auc"] == pytest.approx(12 / 15)


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=25))
@settings(max_examples=60, deadline=None)
def test_area_under_curve_counts_pairs(frames):
    predictions, truth = np.array([p for p, _ in frames]), np.array([t for _, t in frames])
    pairs = [(a > b) + 0.5 * (a == b) for a in predictions[truth] for b in predictions[~truth]]
    found = area_under_curve(predictions, truth)
    assert np.isnan(found) if not pairs else found == pytest.approx(np.mean(pairs))


def test_a_detector_that_never_says_yes_has_scores_too():
    scores = detector_scores([np.zeros(4)], [np.array([True, True, False, False])], 0.5)
    assert (scores["accuracy"], scores["precision"], scores["recall"], scores["f_score"]) == (0.5, 0, 0, 0)
