"""A detector's view of a song that comes in pieces is its view of the whole, and so is how loud the song is."""

import numpy as np
import pytest
import scipy.ndimage
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svdlib.audio.mel_axis import EXCERPT_SAMPLES
from svdlib.detector import architecture, scores
from svdlib.detector.moments import Levels
from svdlib.detector.prediction import average_over_blocks, predict, predict_averaged
from svdlib.errors import LayerError

some = settings(max_examples=25, deadline=None)


@pytest.fixture(scope="module")
def detector():
    detector = tiny.detector().eval()
    with torch.no_grad():
        detector.standardizer.mean.fill_(-6.0)
        detector.standardizer.std.fill_(2.0)
    return detector


def log_mel_of(frames):
    return np.random.default_rng(frames).normal(-6, 2, (frames, 80)).astype(np.float32)


@some
@given(st.integers(1, 600), st.integers(1, 300))
def test_a_song_in_pieces_is_scored_as_the_whole(detector, frames, size):
    song = detector.standardizer(torch.from_numpy(log_mel_of(frames)))
    expected = detector.predict_song(song)
    found = torch.cat([*detector.predict_pieces(song.split(size))])
    assert torch.equal(found, expected)
    np.testing.assert_array_equal(predict(detector, log_mel_of(frames)), expected.numpy())


def test_how_much_is_scored_at_once_makes_no_difference(detector, monkeypatch):
    song = log_mel_of(700)
    expected = predict(detector, song)
    for frames in (100, 333, 5000):
        monkeypatch.setattr(architecture, "SCORED_AT_ONCE", frames)
        np.testing.assert_allclose(predict(detector, song), expected, atol=1e-6)


@pytest.mark.parametrize("shape", [(0, 80), (200, 1), (200,), (1, 200, 80)])
def test_songs_of_another_shape_are_refused(detector, shape):
    with pytest.raises(LayerError, match=r"\(frames, 80\)"):
        predict(detector, np.zeros(shape, np.float32))


def test_transposed_songs_in_blocks_are_scored_as_the_whole(detector, melody):
    expected = predict_averaged(detector, melody, (-0.2, 0.1))
    for size in (1000, 50_000):
        blocks = [melody[start : start + size] for start in range(0, len(melody), size)]
        np.testing.assert_array_equal(average_over_blocks(detector, blocks, (-0.2, 0.1)), expected)


@pytest.mark.parametrize("frames", [1, 7, 55, 56, 57, 300])
def test_smoothing_in_pieces_is_that_of_the_whole(monkeypatch, frames):
    monkeypatch.setattr(scores, "SORTED_AT_ONCE", 7)
    curve = np.random.default_rng(0).random(frames)
    np.testing.assert_array_equal(scores.smooth(curve), scipy.ndimage.median_filter(curve, size=56, mode="nearest"))


@some
@given(st.integers(0, 3000), st.lists(st.integers(0, 45_000), max_size=6))
def test_levels_are_those_of_each_excerpt_wherever_blocks_end(more, cuts):
    samples = np.random.default_rng(more).uniform(-1, 1, EXCERPT_SAMPLES + more).astype(np.float32)
    levels, passed = Levels(), []
    for block in levels.watch(np.split(samples, sorted(cuts))):
        passed.append(block)
    np.testing.assert_array_equal(np.concatenate(passed), samples)
    starts = range(0, more + 1, 315)
    expected = [np.mean(np.square(samples[k : k + EXCERPT_SAMPLES], dtype=np.float64)) for k in starts]
    np.testing.assert_allclose(levels.of_excerpts(len(starts)), expected, rtol=1e-9)
    assert levels.of_song == pytest.approx(np.mean(np.square(samples, dtype=np.float64)))
