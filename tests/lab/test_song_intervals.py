"""Means and separations with intervals from resampled songs, against slow versions and known spreads."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from svdlib.lab.studies.song_intervals import mean_over_songs, separation, song_means


def test_song_means_leave_out_what_is_not_defined():
    values, songs = np.array([1.0, 3.0, np.nan, 5.0, np.nan]), np.array([0, 0, 0, 2, 3])
    np.testing.assert_array_equal(song_means(values, songs, 4), [2, np.nan, 5, np.nan])


def test_the_interval_of_a_mean_is_that_of_the_normal_distribution():
    per_song = np.random.default_rng(0).normal(3, 2, 400)
    found = mean_over_songs(per_song)
    assert found.value == pytest.approx(per_song.mean())
    reach = 1.96 * per_song.std() / 20
    assert found.ci95 == pytest.approx((per_song.mean() - reach, per_song.mean() + reach), abs=0.03)


def test_what_varies_with_both_cancels_in_a_difference():
    songs = np.random.default_rng(0).normal(0, 1, 30)
    found = mean_over_songs(songs + 0.1) - mean_over_songs(songs)
    assert found.value == pytest.approx(0.1)
    assert np.ptp(found.drawn) < 1e-12


def test_songs_without_a_number_are_left_out_and_one_song_has_no_interval():
    assert mean_over_songs(np.array([1.0, np.nan, 3.0])).value == 2
    assert np.isnan(mean_over_songs(np.array([np.nan, np.nan])).value)
    assert np.isnan(mean_over_songs(np.array([1.0])).ci95).all()


def test_the_separation_is_the_auc_and_its_draws_are_those_of_the_songs():
    rng = np.random.default_rng(0)
    songs = np.repeat(np.arange(6), 30)
    truth = rng.random(180) < 0.5
    values = rng.normal(truth + 0.5 * songs, 1)
    found = separation(values, truth, songs)
    assert found.value == pytest.approx(roc_auc_score(truth, values))
    for weights, drawn in zip(
        np.random.default_rng(0).multinomial(6, [1 / 6] * 6, size=1000)[:20], found.drawn, strict=False
    ):
        repeated = np.concatenate([np.tile(np.flatnonzero(songs == song), times) for song, times in enumerate(weights)])
        assert drawn == pytest.approx(roc_auc_score(truth[repeated], values[repeated]))
    assert found.ci95[0] < found.value < found.ci95[1]


def test_one_class_cannot_be_separated():
    found = separation(np.arange(4.0), np.ones(4, dtype=bool), np.array([0, 0, 1, 1]))
    assert np.isnan(found.value) and np.isnan(found.ci95).all()
