"""Each of the seven changes against what its definition says, and all of them together against a slow rewrite."""

from dataclasses import fields, replace

import numpy as np
import pytest
import torch
from oracles import slow_scaling

from svdlib.audio.mel_axis import band_frequencies, mel_filterbank
from svdlib.audio.spectra import N_BINS, compress, mel_magnitudes, scale_axes
from svdlib.audio.standardizer import Standardizer
from svdlib.errors import TrainingError
from svdlib.paper.augmentation import (
    ALL_SEVEN,
    NO_AUGMENTATION,
    PublishedAugmentation,
    amplify,
    filter_response,
    mix_in,
)

FRAMES = 15
DECIBEL = np.log(10) / 20


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


@pytest.fixture(scope="module")
def windows():
    """Eight windows of noise, long enough for every strength used here."""
    return torch.rand(8, FRAMES + 2 * 8, N_BINS, generator=chance(9))


@pytest.fixture(scope="module")
def plain(windows):
    return compress(mel_magnitudes(windows[:, 8 : 8 + FRAMES]))


@pytest.fixture(scope="module")
def standardizer():
    fitted = Standardizer()
    fitted.mean.uniform_(-2, 0, generator=chance(3))
    fitted.std.uniform_(0.5, 2, generator=chance(4))
    return fitted


def only(**strengths):
    return replace(NO_AUGMENTATION, **strengths)


# --- all together ---


def test_without_strength_nothing_changes(windows, plain, standardizer):
    unchanged = NO_AUGMENTATION(windows, standardizer, chance(), frames=FRAMES)
    torch.testing.assert_close(unchanged, standardizer(plain), atol=1e-6, rtol=0)
    assert all(getattr(NO_AUGMENTATION, field.name) == 0 for field in fields(NO_AUGMENTATION))


def test_a_batch_equals_a_slow_rewrite_of_each_excerpt(windows, standardizer):
    """The five changes before the standardisation, from the definitions, in float64."""
    strengths = replace(ALL_SEVEN, noise=0, dropout=0)
    unsung = torch.rand(windows.shape, generator=chance(5))
    fast = strengths(windows, standardizer, chance(), unsung=unsung, frames=FRAMES)
    drawn = torch.rand(7, len(windows), generator=chance()).numpy().astype(np.float64)
    hertz = band_frequencies().numpy()
    for row, (mixed, pitch, stretch, centre, width, gain, level) in enumerate(drawn.T):
        spectrum = windows[row].numpy() + 0.5 * mixed * unsung[row].numpy()
        scaled = slow_scaling(spectrum, 1 + 0.3 * (2 * pitch - 1), 1 + 0.3 * (2 * stretch - 1), FRAMES)
        octaves = np.log2(hertz / (150 * (8000 / 150) ** centre))
        bump = np.exp(-0.5 * (12 * octaves / (5 + 2 * width)) ** 2)
        decibels = 10 * (2 * gain - 1) * bump + 10 * (2 * level - 1)
        slow = np.log(np.maximum(scaled @ mel_filterbank() * 10 ** (decibels / 20), 1e-7))
        slow = (slow - standardizer.mean.numpy()) / standardizer.std.numpy()
        np.testing.assert_allclose(fast[row].numpy(), slow, atol=2e-5)


def test_the_same_generator_gives_the_same_change(windows, standardizer):
    one, two, other = (
        ALL_SEVEN(windows, standardizer, chance(seed), unsung=windows.flip(0), frames=FRAMES) for seed in (1, 1, 2)
    )
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert one.shape == (8, FRAMES, 80) and torch.isfinite(one).all()


def test_what_is_changed_is_a_copy(windows, standardizer):
    before = windows.clone()
    ALL_SEVEN(windows, standardizer, chance(), unsung=windows, frames=FRAMES)
    assert torch.equal(windows, before)


def test_every_excerpt_has_changes_of_its_own():
    same = torch.rand(1, FRAMES + 16, N_BINS, generator=chance()).expand(6, -1, -1)
    for strengths in (only(pitch=0.3), only(stretch=0.3), only(filtering=10.0), only(loudness=10.0)):
        changed = strengths.log_mels(same, chance(), frames=FRAMES)
        assert len({tuple(excerpt.flatten().tolist()) for excerpt in changed}) == 6


# --- the parts ---


def test_windows_give_every_excerpt_what_the_strongest_change_reads():
    assert PublishedAugmentation().margin() == 25  # frame 57 from the middle reads 57 / 0.7 = 81.4 frames away
    assert only().margin() == 0
    constant = torch.ones(200, 115 + 2 * 25, N_BINS)
    changed = only(stretch=0.3).log_mels(constant, chance())
    torch.testing.assert_close(changed, changed[:1, :1].expand_as(changed), atol=1e-5, rtol=0)


@pytest.mark.parametrize("given", [115 + 2 * 24, 115 + 2 * 25 + 1])
def test_windows_that_are_too_short_or_have_no_middle_are_refused(given):
    with pytest.raises(TrainingError, match=f"need windows of 165, not {given}"):
        PublishedAugmentation().log_mels(torch.ones(1, given, N_BINS), chance())


def test_changes_of_pitch_stay_within_their_range():
    peak = torch.zeros(400, 3, N_BINS)
    peak[:, :, 200] = 1
    around = 2 * torch.rand(7, 400, generator=chance())[1] - 1
    moved = scale_axes(peak, 1 + 0.3 * around, torch.ones(400), 1)[:, 0].argmax(1)
    assert 140 <= moved.min() < 150 and 250 < moved.max() <= 260


def test_a_filter_has_its_gain_at_its_centre_and_falls_off_as_a_gaussian():
    hertz = band_frequencies()
    response = filter_response(hertz[[30, 60]], torch.tensor([5.0, 7.0]), torch.tensor([10.0, -8.0]))
    assert response[0, 30] == pytest.approx(10, abs=1e-5) and response[1, 60] == pytest.approx(-8, abs=1e-5)
    # One standard deviation away, the Gaussian has fallen to exp(-1/2) of its height.
    at_sigma = filter_response(hertz[[40]] / 2 ** (6 / 12), torch.tensor([6.0]), torch.tensor([10.0]))
    assert at_sigma[0, 40] == pytest.approx(10 * np.exp(-0.5), abs=1e-4)


def test_gains_are_exact_in_decibels_and_leave_silence_silent(plain, windows):
    mel = mel_magnitudes(windows[:, 8 : 8 + FRAMES])
    decibels = torch.linspace(-10, 10, 80).expand(8, 80)
    change = compress(amplify(mel, decibels)) - plain
    torch.testing.assert_close(change, (decibels * DECIBEL)[:, None].expand_as(change), atol=1e-5, rtol=0)
    silent = only(filtering=10.0, loudness=10.0).log_mels(0 * windows, chance(), frames=FRAMES)
    assert (silent == silent[0, 0, 0]).all() and silent[0, 0, 0] == pytest.approx(np.log(1e-7))


def test_loudness_is_one_amount_within_its_limit_for_each_excerpt(windows, plain):
    change = only(loudness=6.0).log_mels(windows, chance(), frames=FRAMES) - plain
    torch.testing.assert_close(change, change[:, :1, :1].expand_as(change), atol=1e-5, rtol=0)
    amounts = change[:, 0, 0]
    assert amounts.abs().max() <= 6 * DECIBEL + 1e-5 and len(amounts.unique()) == 8


def test_filtering_is_the_same_in_all_frames_and_within_its_limit(windows, plain):
    change = only(filtering=10.0).log_mels(windows, chance(), frames=FRAMES) - plain
    torch.testing.assert_close(change, change[:, :1].expand_as(change), atol=1e-5, rtol=0)
    assert 1 < change.abs().amax() / DECIBEL <= 10 + 1e-3


def test_mixing_adds_the_unsung_excerpt_at_its_factor(windows):
    factors = torch.linspace(0, 0.5, 8)
    mixed = mix_in(windows, windows.flip(0), factors)
    for row in range(8):
        expected = windows[row].double() + factors[row].double() * windows[7 - row].double()
        torch.testing.assert_close(mixed[row].double(), expected, atol=1e-6, rtol=0)
    with pytest.raises(TrainingError, match="without singing"):
        only(mixing=0.5).log_mels(windows, chance(), frames=FRAMES)


def test_noise_has_its_deviation_and_no_offset():
    zeros = torch.zeros(20, 115, 80)
    noise = only(noise=0.25).corrupt(zeros, chance())
    assert noise.std() == pytest.approx(0.25, rel=0.01) and abs(noise.mean()) < 0.002


def test_dropout_sets_its_share_to_zero_and_leaves_the_rest():
    given = torch.full((20, 115, 80), 3.0)
    dropped = only(dropout=0.2).corrupt(given, chance())
    assert set(dropped.unique().tolist()) == {0.0, 3.0}
    assert (dropped == 0).float().mean() == pytest.approx(0.2, abs=0.005)


@pytest.mark.parametrize(
    "strength", [{"pitch": 1.0}, {"stretch": 1.0}, {"dropout": 1.0}, {"noise": -0.1}, {"mixing": -1}]
)
def test_strengths_out_of_range_are_named(strength):
    with pytest.raises(TrainingError, match=next(iter(strength))):
        only(**strength)
