"""Onsets of sounds that begin at known times, through the detector's own front end."""

import numpy as np
import pytest
import torch
from scipy.sparse import csr_matrix
from scipy.sparse.csgraph import maximum_bipartite_matching

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, FRAME_LENGTH, SAMPLE_RATE
from svdlib.lab.analysis.onsets import f_measure, matched_events, onset_f_measure, onset_match, onset_times
from svdlib.zoo.checkpoints import pretrained

BEATS = np.array([0.25, 0.6, 0.85, 1.3])
TIME = np.arange(EXCERPT_SAMPLES) / SAMPLE_RATE


@pytest.fixture(scope="module")
def picture_of():
    front_end, standardizer = LogMel(), pretrained("detector").standardizer
    return lambda samples: standardizer(front_end(torch.as_tensor(samples)).float())


def hiss(seed=0):
    return 0.001 * np.random.default_rng(seed).normal(size=EXCERPT_SAMPLES)


def clicks(times):
    samples = np.zeros(EXCERPT_SAMPLES)
    samples[(np.asarray(times) * SAMPLE_RATE).astype(int)] = 1
    decay = np.random.default_rng(0).normal(size=2000) * np.exp(-np.arange(2000) / 400)
    return np.convolve(samples, decay)[:EXCERPT_SAMPLES] + hiss()


def notes(times):
    """A tone that jumps to another pitch at each of the times, without a gap and without a change of loudness."""
    pitch = 220 * 1.5 ** (np.searchsorted(times, TIME) % 3)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, 12)) + hiss()


def slow_matches(wanted, found, tolerance):
    near = np.abs(np.subtract.outer(wanted, found)) <= tolerance + 1e-9
    return int((maximum_bipartite_matching(csr_matrix(near)) >= 0).sum())


@pytest.mark.parametrize("sound", [clicks, notes])
def test_onsets_are_found_when_they_happen(picture_of, sound):
    (found,) = onset_times(picture_of(sound(BEATS))[None])
    # A frame is named by its first sample, and sees the 46 ms after it.
    centre = found + FRAME_LENGTH / 2 / SAMPLE_RATE
    assert f_measure(BEATS, centre) == 1
    assert np.abs(centre - BEATS).max() < 0.04


def test_a_steady_sound_and_silence_have_no_onsets(picture_of):
    flat = torch.stack([picture_of(np.sin(2 * np.pi * 440 * TIME)), picture_of(np.zeros(EXCERPT_SAMPLES))])
    assert [len(found) for found in onset_times(flat)] == [0, 0]
    assert torch.isnan(onset_f_measure(flat, flat)).all(), "there is nothing to find"


def test_a_blurred_and_faded_picture_keeps_its_onsets_and_a_shuffled_one_loses_them(picture_of):
    x = torch.stack([picture_of(notes(BEATS)), picture_of(clicks(BEATS))])
    blurred = torch.nn.functional.avg_pool2d(x[:, None], (5, 9), stride=1, padding=(2, 4))[:, 0] * 0.3
    order = torch.randperm(x.shape[1], generator=torch.Generator().manual_seed(1))
    assert torch.equal(onset_f_measure(x, x), torch.ones(2, dtype=torch.float64))
    assert onset_f_measure(x, blurred).min() == 1 and onset_match(x, blurred).min() > 0.8
    assert onset_f_measure(x, x[:, order]).max() < 0.7 and onset_match(x, x[:, order]).max() < 0.4
    late = torch.stack([picture_of(sound(BEATS + 0.12)) for sound in (notes, clicks)])
    assert onset_f_measure(x, late).max() == 0
    assert onset_f_measure(x, torch.zeros_like(x)).max() == 0


def test_a_missed_and_an_invented_onset_by_hand():
    assert f_measure(np.array([0.1, 0.5]), np.array([0.5])) == pytest.approx(2 / 3)  # precision 1, recall 1/2
    assert f_measure(np.array([0.1]), np.array([0.1, 0.12])) == pytest.approx(2 / 3), "one pair for each"
    assert f_measure(np.array([0.1]), np.array([])) == 0
    assert f_measure(np.array([0.10]), np.array([0.15])) == 1 and f_measure(np.array([0.10]), np.array([0.16])) == 0


@pytest.mark.parametrize("seed", range(20))
def test_pairing_is_as_good_as_the_best_matching(seed):
    generator = np.random.default_rng(seed)
    wanted, found = (np.sort(generator.integers(0, 60, generator.integers(1, 25))) / 35 for _ in range(2))
    assert matched_events(wanted, found, 0.05) == slow_matches(wanted, found, 0.05)
