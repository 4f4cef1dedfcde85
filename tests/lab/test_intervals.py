"""Statements with intervals: by hand, against theory, and on simulated songs whose truth is known."""

import numpy as np
import pytest
from scipy.stats import norm, t
from sklearn.metrics import roc_auc_score

from svdlib.errors import InputError
from svdlib.lab.analysis import intervals
from svdlib.lab.analysis.intervals import (
    Interval,
    change_interval,
    difference_interval,
    growing_share,
    mean_interval,
    nre_interval,
    paired_interval,
    pooled_intervals,
    separation,
    separation_interval,
    song_means,
    step_excess,
    step_intervals,
    unpaired_change_interval,
    unpaired_difference_interval,
    unpaired_interval,
    unpaired_nre_change_interval,
    unpaired_share_change_interval,
)
from svdlib.lab.analysis.song_counts import count_songs


def songs(count, seed=0, spread=0.05, mean=0.5):
    return mean + spread * np.random.default_rng(seed).normal(size=count)


# --- as they were drawn by hand, before there was one bootstrap ---


def by_hand(statistic, arrays, drawn):
    """The interval that the numbers of the book and of stored results come from."""
    (value,) = statistic(*(array.mean(keepdims=True) for array in arrays))
    return Interval(value, *np.quantile(statistic(*drawn), [0.025, 0.975]))


def same(found, expected):
    return (found.value, *found.ends) == pytest.approx((expected.value, *expected.ends), rel=0, abs=1e-12)


@pytest.mark.parametrize("seed", [0, 5])
def test_paired_intervals_are_those_of_integers_drawn_by_hand(seed):
    arrays = [songs(16, 1), songs(16, 2), songs(16, 3)]
    chosen = np.random.default_rng(seed).integers(0, 16, (1000, 16))
    drawn = [array[chosen].mean(axis=1) for array in arrays]

    def slope(a, b, c):
        return (c - b) / a

    assert same(paired_interval(slope, *arrays, seed=seed), by_hand(slope, arrays, drawn))
    assert same(mean_interval(arrays[0], seed=seed), by_hand(lambda a: a, arrays[:1], drawn[:1]))
    picked = np.random.default_rng(seed).choice(arrays[1], size=(1000, 16)).mean(axis=1)
    assert same(mean_interval(arrays[1], seed=seed), by_hand(lambda a: a, arrays[1:2], [picked]))


def test_unpaired_intervals_are_those_of_integers_drawn_by_hand():
    arrays, source = [songs(16, 1), songs(5, 2)], np.random.default_rng(3)
    drawn = [array[source.integers(0, len(array), (1000, len(array)))].mean(axis=1) for array in arrays]
    assert same(unpaired_interval(np.subtract, *arrays, seed=3), by_hand(np.subtract, arrays, drawn))


def test_changes_of_shares_are_those_of_integers_drawn_by_hand():
    pairs = [(songs(16, 1), songs(16, 2)), (songs(5, 3), songs(5, 4))]
    drawn = []
    for seed, pair in enumerate(pairs):
        chosen = np.random.default_rng(seed).integers(0, len(pair[0]), (1000, len(pair[0])))
        drawn += [array[chosen].mean(axis=1) for array in pair]

    def change(a, b, c, d):
        return (c / d) / (a / b) - 1

    assert same(unpaired_share_change_interval(*pairs), by_hand(change, [*pairs[0], *pairs[1]], drawn))


# --- means ---


def test_values_by_hand():
    one, two = [1.0, 2.0, 3.0], [2.0, 3.0, 7.0]
    assert difference_interval(two, one).value == pytest.approx(2)
    assert change_interval(before=one, after=two).value == pytest.approx(1)
    assert unpaired_difference_interval(two, [1.0]).value == pytest.approx(3)
    assert unpaired_change_interval(before=[4.0, 12.0], after=two).value == pytest.approx(-0.5)
    assert mean_interval(two).value == pytest.approx(4)


def test_two_songs_have_three_possible_draws():
    """Both once (half of the draws), or one of them twice (a quarter each): the ends are the extremes."""
    found = difference_interval([1.0, 4.0], [0.0, 1.0])
    assert (found.low, found.high) == (1, 3)
    found = change_interval(before=[2.0, 2.0], after=[1.0, 4.0])
    assert (found.value, found.low, found.high) == (0.25, -0.5, 1)


def test_what_all_songs_share_cancels_in_pairs_only():
    hard = songs(16, spread=0.2)
    paired = difference_interval(hard + 0.03, hard)
    assert paired.low == pytest.approx(0.03) and paired.high == pytest.approx(0.03)
    same_ratio = change_interval(before=hard, after=1.15 * hard)
    assert same_ratio.low == pytest.approx(0.15) and same_ratio.high == pytest.approx(0.15)
    apart = unpaired_difference_interval(hard + 0.03, hard)
    assert apart.low < 0 < 0.06 < apart.high


def test_the_interval_of_a_mean_has_the_width_of_theory():
    """A bootstrap of the mean has the deviation of the songs, by n, over the root of n."""
    values = songs(200)
    found = mean_interval(values, draws=20_000)
    half = norm.ppf(0.975) * values.std() / np.sqrt(len(values))
    assert found.high - found.low == pytest.approx(2 * half, rel=0.03)


def test_unpaired_variances_add_up():
    one, two = songs(60, 1), songs(90, 2)
    found = unpaired_difference_interval(one, two, draws=20_000)
    half = norm.ppf(0.975) * np.sqrt(one.var() / 60 + two.var() / 90)
    assert found.high - found.low == pytest.approx(2 * half, rel=0.03)


def test_shares_are_compared_without_what_makes_a_song_hard():
    """If every song has a third, or a half, of its whole, no draw can change the shares, however the wholes vary."""
    own, other = songs(16, 1, spread=0.2), songs(20, 2, spread=0.2)
    found = unpaired_share_change_interval(before=(own / 3, own), after=(other / 2, other))
    assert [found.value, found.low, found.high] == pytest.approx([0.5] * 3)
    same = unpaired_share_change_interval(before=(own / 3 + 0.1, own), after=(other / 3 + 0.1, other))
    assert same.low < 0 < same.high
    with pytest.raises(InputError, match="not of 16, 20"):
        unpaired_share_change_interval(before=(own, other), after=(own, own))
    assert not unpaired_share_change_interval(before=([0.1], [0.2]), after=(own, own)).is_known


def test_steps_of_a_known_curve():
    hard = songs(8)
    curve = {"conv1": hard, "conv2": hard + 0.01, "mp3": hard + 0.07, "conv4": hard + 0.06}
    steps = step_intervals(curve)
    assert list(steps) == [("conv1", "conv2"), ("conv2", "mp3"), ("mp3", "conv4")]
    assert [step.value for step in steps.values()] == pytest.approx([0.01, 0.06, -0.01])
    assert steps["mp3", "conv4"].lies_below(0) and steps["conv2", "mp3"].lies_above(0)
    excess = step_excess(curve, "conv2")
    assert [excess.value, excess.low, excess.high] == pytest.approx([0.04] * 3), "0.06 less the mean step of 0.02"
    with pytest.raises(InputError, match="begins at 'conv4'. Steps begin at: conv1, conv2, mp3"):
        step_excess(curve, "conv4")


def test_the_share_of_growing_draws_by_hand():
    assert growing_share({"a": [1.0, 1.0], "b": [2.0, 2.0]}) == 1
    assert growing_share({"a": [1.0, 1.0], "b": [2.0, 2.0], "c": [1.5, 1.5]}) == 0
    # It shrinks only if the second song is drawn twice: a quarter of the draws.
    share = growing_share({"a": [1.0, 2.0], "b": [3.0, 1.0]}, draws=20_000)
    assert share == pytest.approx(0.75, abs=0.01)


@pytest.mark.parametrize(("count", "at_least"), [(5, 0.78), (16, 0.89), (40, 0.92)])
def test_coverage_is_what_theory_says_of_percentile_intervals(count, at_least):
    """They use the normal quantile and the deviation by n, where Student's t and n - 1 would be right."""
    reach = norm.ppf(0.975) * np.sqrt((count - 1) / count)
    expected = t.cdf(reach, count - 1) - t.cdf(-reach, count - 1)
    found = intervals.coverage(count)
    assert found == pytest.approx(expected, abs=0.03)
    assert at_least < found < 0.97


def covered(simulate, truth, runs=400):
    generator = np.random.default_rng(0)
    found = [simulate(generator, number) for number in range(runs)]
    return np.mean([each.low <= truth <= each.high for each in found])


def test_changes_paired_or_not_cover_the_truth_too():
    def paired(generator, number):
        hard = 0.5 + 0.1 * generator.normal(size=30)
        after = 1.15 * hard + 0.02 * generator.normal(size=30)
        return change_interval(hard, after, draws=300, seed=number)

    def unpaired(generator, number):
        own, other = (mean + 0.05 * generator.normal(size=30) for mean in (0.5, 0.6))
        return unpaired_change_interval(own, other, draws=300, seed=number)

    assert 0.90 < covered(paired, 0.15) < 0.98
    assert 0.90 < covered(unpaired, 0.2) < 0.98


def loud_and_soft_songs(generator, count=25, error=0.5):
    """Songs of a number per excerpt, of different levels; all excerpts are painted with an error of half their own."""
    levels = np.exp(0.4 * generator.normal(size=count))
    x = levels[:, None] * generator.normal(size=(count, 6))
    # Pair by pair of excerpts: all at once would be gigabytes for some thousand songs.
    between = sum(np.abs(one[:, None] - other) for one in x.T for other in x.T) / 36
    np.fill_diagonal(between, 0)
    apart = between.sum() / (count * (count - 1))
    return error * np.abs(x).mean(axis=1) / apart, between


def test_an_nre_covers_the_truth_where_loud_songs_make_error_and_yardstick_larger():
    truth = loud_and_soft_songs(np.random.default_rng(9), 4000)[0].mean()
    fixed = []

    def redrawn(generator, number):
        values, between = loud_and_soft_songs(generator)
        found = nre_interval(values, between, draws=300, seed=number)
        usual = mean_interval(values, draws=300, seed=number)
        fixed.append((usual.high - usual.low) / (found.high - found.low))
        return found

    assert 0.90 < covered(redrawn, truth) < 0.98
    assert np.median(fixed) > 2  # what a yardstick that counts as known costs


def test_the_change_between_two_corpora_covers_the_truth_with_both_yardsticks():
    def changed(generator, number):
        before, after = (loud_and_soft_songs(generator, error=error) for error in (0.5, 0.6))
        return unpaired_nre_change_interval(before, after, draws=300, seed=number)

    assert 0.90 < covered(changed, 0.2) < 0.98


def test_two_songs_have_an_nre_and_no_interval():
    between = np.array([[0.0, 1.0], [1.0, 0.0]])
    found = nre_interval([0.5, 0.7], between)
    assert found.value == pytest.approx(0.6) and not found.is_known
    three = 1 - np.eye(3)
    assert nre_interval([0.5, 0.6, 0.7], three).is_known
    values = np.array([0.5, 0.7])
    assert not unpaired_nre_change_interval((values, between), (np.array([0.5, 0.6, 0.7]), three)).is_known


def test_the_same_seed_draws_the_same_songs():
    one, two = songs(9, 1), songs(9, 2)
    assert change_interval(one, two, seed=4) == change_interval(one, two, seed=4)
    assert change_interval(one, two, seed=4) != change_interval(one, two, seed=5)


def test_one_song_has_a_value_and_no_interval():
    for found in (change_interval([0.5], [0.6]), unpaired_change_interval([0.5], [0.6, 0.6])):
        assert found.value == pytest.approx(0.2) and not found.is_known
        assert not found.lies_above(-1) and not found.lies_below(1)
        assert f"{found:+.0%}" == "+20% (no interval)"


def test_intervals_are_written_with_their_ends():
    assert f"{Interval(0.15, 0.12, 0.18):+.0%}" == "+15% (+12% to +18%)"
    assert f"{Interval(0.5, 0.4, 0.6):.2f}" == "0.50 (0.40 to 0.60)"


def test_values_that_cannot_be_compared():
    with pytest.raises(InputError, match="not of 2, 3"):
        change_interval([1.0, 2.0], [1.0, 2.0, 3.0])
    with pytest.raises(InputError, match="one number per song"):
        mean_interval([])
    with pytest.raises(InputError, match=r"shape \(2, 1\)"):
        mean_interval(np.ones((2, 1)))


def test_songs_without_a_number_are_left_out_of_all():
    found = difference_interval([1.0, None, 3.0, 9.0], [0.0, 5.0, 1.0, np.nan])
    assert found == difference_interval([1.0, 3.0], [0.0, 1.0])
    assert mean_interval([1.0, np.nan, 3.0]).value == 2
    nothing = mean_interval([np.nan, None])
    assert np.isnan(nothing.value) and not nothing.is_known


# --- excerpts of songs ---


def test_song_means_leave_out_what_is_not_defined():
    values, songs = np.array([1.0, 3.0, np.nan, 5.0, np.nan]), np.array([0, 0, 0, 2, 3])
    np.testing.assert_array_equal(song_means(values, songs, 4), [2, np.nan, 5, np.nan])


def excerpts():
    rng = np.random.default_rng(0)
    songs = np.repeat(np.arange(6), 30)
    truth = rng.random(180) < 0.5
    return rng.normal(truth + 0.5 * songs, 1), truth, songs


def test_the_separation_is_the_auc_and_its_draws_are_those_of_the_songs():
    values, truth, songs = excerpts()
    found = separation(values, truth, songs)
    assert found.value == pytest.approx(roc_auc_score(truth, values))
    areas = []
    for drawn in np.random.default_rng(0).integers(0, 6, (100, 6)):
        repeated = np.concatenate([np.flatnonzero(songs == song) for song in drawn])
        areas.append(roc_auc_score(truth[repeated], values[repeated]))
    few = separation(values, truth, songs, draws=100)
    assert few.ends == pytest.approx(np.quantile(areas, [0.025, 0.975]))
    assert found.low < found.value < found.high


def test_separations_of_the_same_excerpts_are_paired():
    values, truth, songs = excerpts()
    none = separation_interval(np.subtract, 3 * values - 1, values, truth=truth, songs=songs)
    assert (none.value, *none.ends) == (0, 0, 0), "a number and twice the number have the same order"
    turned = separation_interval(np.add, values, -values, truth=truth, songs=songs)
    assert (turned.value, *turned.ends) == pytest.approx((1, 1, 1))


def test_one_class_cannot_be_separated():
    found = separation(np.arange(4.0), np.ones(4, dtype=bool), np.array([0, 0, 1, 1]))
    assert np.isnan(found.value) and not found.is_known


@pytest.mark.parametrize("sung_songs", [1, 2, 3, 4])
def test_a_class_that_lies_in_one_song_gives_no_interval(sung_songs):
    """The song is in every draw that can be scored, so that nothing would seem to vary."""
    songs = np.repeat(np.arange(5), 8)
    values = np.random.default_rng(0).normal(size=40)
    truth = songs < sung_songs
    found = separation(values, truth, songs, draws=200)
    of_frames = pooled_intervals(count_songs(np.split(values, 5), np.split(truth, 5), 0.0), draws=200)
    for each in (found, of_frames["auc"]):
        assert each.value == pytest.approx(roc_auc_score(truth, values))
        assert each.is_known is (sung_songs in (2, 3))
    assert of_frames["accuracy"].is_known


@pytest.mark.parametrize("mixed_songs", [1, 2])
def test_one_song_of_both_classes_gives_no_interval_for_the_mean_of_the_songs(mixed_songs):
    values = np.random.default_rng(0).normal(size=(5, 8))
    truth = np.arange(5)[:, None] < np.full(8, 4)
    truth[:mixed_songs, ::2] = False
    found = pooled_intervals(count_songs([*values], [*truth], 0.0), draws=200)["mean_song_auc"]
    assert np.isfinite(found.value) and found.is_known is (mixed_songs == 2)
