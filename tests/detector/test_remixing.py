"""New mixes from stems: against sums of real signals, and the bookkeeping of labels."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.detector.remixing import LOWEST_BAND, SECOND_BAND, Remixing, level, mix
from svdlib.errors import CorpusError
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import Songs, load_songs

levels = st.floats(-16, 5)


def segments(seed, batch=64, frames=5):
    return torch.randn(3, batch, frames, 80, generator=torch.Generator().manual_seed(seed))


@given(levels, levels, st.floats(-9, 9))
def test_mix_is_louder_than_either_but_at_most_by_three_decibels(voice, band, gain):
    loudest = max(voice + gain * np.log(10) / 20, band)
    mixed = float(mix(torch.tensor(voice, dtype=torch.float64), torch.tensor(band, dtype=torch.float64), gain))
    assert loudest - 1e-9 <= mixed <= loudest + np.log(2) / 2 + 1e-9


def test_mix_of_two_noises_agrees_with_the_noise_that_they_make_together():
    generator = np.random.default_rng(0)
    one, other = 0.1 * generator.standard_normal((2, 4 * SAMPLE_RATE)).astype(np.float32)
    front_end = LogMel()
    together = mix(front_end(one), front_end(3 * other))
    difference = together - front_end(one + 3 * other)
    assert abs(float(difference[:, 20:].mean())) < 0.05  # lower bands hold one bin, so single cells differ much


def test_mix_of_stems_is_close_to_the_song(tmp_path):
    songs = load_songs(open_corpus("synthetic:songs=3,seconds=8").tracks, stems=True, cache_dir=tmp_path)
    for whole, voice, band, sung in zip(songs.log_mels, songs.voices, songs.bands, songs.labels, strict=True):
        difference = mix(torch.from_numpy(voice), torch.from_numpy(band)) - torch.from_numpy(whole)
        assert 0.05 < float(difference[sung].abs().mean()) < 0.13


def test_mix_moves_the_voice_by_the_gain():
    voice = torch.zeros(2, 80)
    assert torch.allclose(mix(voice, torch.full((2, 80), -16.0), 20.0), torch.full((2, 80), float(np.log(10.0))))


def test_no_share_leaves_the_mixes_alone():
    mixes, voices, bands = segments(0)
    remixed, silent = Remixing(share=0.0)(mixes, voices, bands, torch.Generator().manual_seed(0))
    assert torch.equal(remixed, mixes) and not silent.any()


def test_muted_segments_are_the_band_alone():
    mixes, voices, bands = segments(1)
    remixed, silent = Remixing(share=1.0, muted=1.0)(mixes, voices, bands, torch.Generator().manual_seed(0))
    assert torch.equal(remixed, bands) and silent.all()


def test_shares_are_kept_and_only_remixed_segments_can_be_silent():
    mixes, voices, bands = segments(2, batch=4000, frames=1)
    remixed, silent = Remixing(share=0.6, muted=0.25)(mixes, voices, bands, torch.Generator().manual_seed(0))
    untouched = (remixed == mixes).all(dim=(1, 2))
    assert abs(float(untouched.float().mean()) - 0.4) < 0.03
    assert abs(float(silent.float().mean()) - 0.15) < 0.02
    assert not (untouched & silent).any()
    assert torch.equal(remixed[silent], bands[silent])


def test_a_second_band_plays_along_in_its_share_and_never_louder_than_the_first():
    mixes, voices, bands = segments(6, batch=2000, frames=1)
    doubled, silent = Remixing(muted=1.0, doubled=0.5)(mixes, voices, bands, torch.Generator().manual_seed(0))
    alone = (doubled == bands).all(dim=(1, 2))
    assert silent.all() and abs(float(alone.float().mean()) - 0.5) < 0.05
    other = bands.roll(1, 0)
    assert (doubled >= bands - 1e-6).all()
    assert (doubled <= mix(other, bands) + 1e-6).all()
    assert (doubled[~alone] >= mix(other, bands, SECOND_BAND)[~alone] - 1e-6).all()


def test_the_level_is_the_power_that_a_tenth_of_the_frames_exceed():
    log_mels = torch.randn(3, 41, 80, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    power = log_mels[..., LOWEST_BAND:].mul(2).exp().mean(-1)
    expected = 10 * torch.log10(power.sort(-1).values[:, 36])
    torch.testing.assert_close(level(log_mels), expected)
    louder = log_mels + 6 * np.log(10) / 20
    torch.testing.assert_close(level(louder), expected + 6)


def test_a_ratio_sets_how_far_the_voice_stands_out_whatever_the_levels_were():
    chance = torch.Generator().manual_seed(1)
    offsets = 3 * torch.randn(2, 500, 1, 1, generator=chance)
    voices, bands = torch.randn(2, 500, 9, 80, generator=chance) + offsets
    voices[:, :, :LOWEST_BAND] = -16.0
    mixes = torch.zeros_like(bands)
    bands_alone = Remixing(muted=1.0, ratio=(-2.0, 12.0))(mixes, voices, bands, torch.Generator().manual_seed(0))[0]
    assert torch.equal(bands_alone, bands)
    mixed, _ = Remixing(muted=0.0, ratio=(20.0, 20.0))(mixes, voices, bands, torch.Generator().manual_seed(0))
    reachable = (20 - level(voices) + level(bands)).abs() <= 15
    assert reachable.any()
    torch.testing.assert_close(level(mixed)[reachable], level(bands)[reachable] + 20, atol=0.2, rtol=0)


def test_a_silent_voice_is_not_blown_up():
    bands = torch.zeros(4, 9, 80)
    silent = torch.full_like(bands, -16.1)
    mixed, _ = Remixing(muted=0.0, ratio=(0.0, 12.0))(bands, silent, bands, torch.Generator().manual_seed(0))
    torch.testing.assert_close(mixed, bands, atol=1e-4, rtol=0)


def test_same_generator_same_mixes():
    mixes, voices, bands = segments(3)
    first, second = (Remixing()(mixes, voices, bands, torch.Generator().manual_seed(5))[0] for _ in range(2))
    assert torch.equal(first, second)


@pytest.mark.parametrize("voices", [[np.zeros((9, 80))], [np.zeros((9, 80)), np.zeros((8, 80))]])
def test_stems_must_fit_their_songs(voices):
    songs, labels = [np.zeros((9, 80))] * 2, [np.zeros(9, bool)] * 2
    with pytest.raises(CorpusError, match="voice and a band"):
        Songs(songs, labels, ["a", "b"], voices, songs)


def test_gains_stay_in_their_range_and_fill_it():
    mixes, voices, bands = torch.zeros(3, 4000, 1, 80)
    bands = bands - 40.0
    remixed, _ = Remixing(share=1.0, gain=(-1.0, 11.0), muted=0.0)(
        mixes, voices, bands, torch.Generator().manual_seed(0)
    )
    decibels = remixed[:, 0, 0] * 20 / np.log(10)
    assert -1.001 < float(decibels.min()) < -0.9 and 10.9 < float(decibels.max()) < 11.001
