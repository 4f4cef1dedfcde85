"""The one bootstrap, against draws by hand."""

import warnings

import numpy as np
import pytest

from svdlib.compute.bootstrap import bootstrap, middle


def mean_of(values):
    return lambda drawn: values[drawn].mean(axis=-1)


@pytest.mark.parametrize("seed", [0, 7])
def test_the_draws_are_those_of_numpy(seed):
    """Intervals in the book and in stored results were drawn with these two, by hand."""
    values = np.random.default_rng(1).normal(size=16)
    found = bootstrap(mean_of(values), 16, draws=500, seed=seed)
    chosen = np.random.default_rng(seed).choice(values, size=(500, 16)).mean(axis=1)
    whole = values[np.random.default_rng(seed).integers(0, 16, (500, 16))].mean(axis=1)
    np.testing.assert_allclose(found.drawn, chosen, rtol=0, atol=1e-12)
    np.testing.assert_allclose(found.drawn, whole, rtol=0, atol=1e-12)
    assert [found.low, found.high] == pytest.approx(np.quantile(chosen, [0.025, 0.975]), abs=1e-12)


def test_samples_are_drawn_apart_from_one_source_of_chance():
    def sizes_of(*samples):
        seen.extend(samples)
        return samples[0].mean(axis=-1)

    seen = []
    bootstrap(sizes_of, 5, 8, draws=30, seed=3)
    source = np.random.default_rng(3)
    for drawn, size in zip(seen[-2:], (5, 8), strict=True):
        np.testing.assert_array_equal(drawn, source.integers(0, size, (30, size)))


def test_several_numbers_of_the_same_draws():
    values = np.random.default_rng(2).normal(size=(2, 9))
    found = bootstrap(lambda drawn: values[:, drawn].mean(axis=-1), 9)
    assert found.drawn.shape == (2, 1000)
    for row, low, high in zip(values, found.low, found.high, strict=True):
        alone = bootstrap(mean_of(row), 9)
        assert (low, high) == pytest.approx((alone.low, alone.high))


def test_draws_without_a_number_are_left_out_in_silence():
    values = np.arange(4.0)

    def undefined_without_the_last(drawn):
        return np.where((drawn == 3).any(axis=-1), values[drawn].mean(axis=-1), np.nan)

    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = bootstrap(undefined_without_the_last, 4)
        nothing = bootstrap(lambda drawn: np.full(len(drawn), np.nan), 4)
    known = found.drawn[np.isfinite(found.drawn)]
    assert 500 < len(known) < 1000
    assert (found.low, found.high) == middle(known) == tuple(np.quantile(known, [0.025, 0.975]))
    assert np.isnan([nothing.low, nothing.high]).all()


def test_one_member_says_nothing_of_others():
    for found in (bootstrap(mean_of(np.ones(1)), 1), bootstrap(lambda a, b: a.mean(axis=-1), 9, 1)):
        assert np.isnan([found.low, found.high]).all() and len(found.drawn) == 1000
