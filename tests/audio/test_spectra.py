"""Spectra against the front end, and the scaling of axes against a slow rewrite, pure tones and clicks."""

import numpy as np
import pytest
import torch
from oracles import slow_scaling

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import HOP_LENGTH, SAMPLE_RATE
from svdlib.audio.spectra import N_BINS, compress, magnitude_spectra, mel_magnitudes, pack, scale_axes, unpack
from svdlib.errors import AudioError

HERTZ_PER_BIN = SAMPLE_RATE / 1024


def ones(count, value=1.0):
    return torch.full((count,), float(value))


# --- from samples to log-mels ---


def test_spectra_lead_to_the_log_mels_of_the_front_end(melody):
    spectra = magnitude_spectra(melody)
    expected = LogMel()(melody)
    assert spectra.shape == (len(expected), 513) and spectra.dtype == torch.float32
    torch.testing.assert_close(compress(mel_magnitudes(spectra)), expected, atol=2e-5, rtol=0)


def test_silence_is_the_floor_of_the_front_end():
    silence = compress(mel_magnitudes(magnitude_spectra(np.zeros(2000, dtype=np.float32))))
    torch.testing.assert_close(silence, torch.full_like(silence, np.log(1e-7)))


def test_packing_costs_half_a_thousandth_at_every_level(melody):
    spectra = magnitude_spectra(melody)
    for level in (1.0, 1e-3):
        packed = pack(level * spectra)
        assert packed.dtype == np.float16
        loud = level * spectra > 1e-6
        error = unpack(torch.from_numpy(packed))[loud] / (level * spectra)[loud] - 1
        assert error.abs().max() < 6e-4
    full_scale = magnitude_spectra(np.ones(1024, dtype=np.float32))
    assert unpack(torch.from_numpy(pack(full_scale))).max() == pytest.approx(511.5, rel=1e-3)
    assert np.isfinite(pack(torch.full((1, 513), 600.0))).all()


@pytest.mark.parametrize("samples", [np.zeros(1000), np.zeros(3000, dtype=np.int16), np.zeros((2, 3000))])
def test_samples_of_another_form_are_refused(samples):
    with pytest.raises(AudioError, match="1024"):
        magnitude_spectra(samples)


# --- scaling ---


@pytest.fixture(scope="module")
def noise():
    return torch.rand(4, 31, N_BINS, generator=torch.Generator().manual_seed(0))


def test_scaling_equals_a_slow_rewrite(noise):
    pitch, stretch = torch.tensor([0.7, 1.0, 1.17, 1.3]), torch.tensor([1.3, 0.71, 1.0, 0.9])
    fast = scale_axes(noise, pitch, stretch, 21)
    assert fast.shape == (4, 21, N_BINS)
    for row in range(4):
        slow = slow_scaling(noise[row].numpy(), float(pitch[row]), float(stretch[row]), 21)
        np.testing.assert_allclose(fast[row].numpy(), slow, atol=1e-6)


def test_factors_of_one_change_nothing(noise):
    assert torch.equal(scale_axes(noise, ones(4), ones(4), 31), noise)
    assert torch.equal(scale_axes(noise, ones(4), ones(4), 11), noise[:, 10:21])


@pytest.mark.parametrize("factor", [0.7, 0.9, 1.25, 1.3])
def test_a_tone_moves_to_the_predicted_frequency(factor):
    tone = np.sin(2 * np.pi * 1500 * np.arange(4096) / SAMPLE_RATE).astype(np.float32)
    moved = scale_axes(magnitude_spectra(tone)[None], ones(1, factor), ones(1), 5)[0]
    weights = moved[2].double() ** 2
    centre = float((weights * torch.arange(N_BINS)).sum() / weights.sum()) * HERTZ_PER_BIN
    assert centre == pytest.approx(1500 * factor, abs=HERTZ_PER_BIN / 4)


@pytest.mark.parametrize("factor", [0.75, 0.9, 1.2, 1.3])
def test_clicks_move_to_the_predicted_spacing(factor):
    clicks, spacing = np.zeros(120 * HOP_LENGTH, dtype=np.float32), 20
    clicks[:: spacing * HOP_LENGTH] = 1
    level = scale_axes(magnitude_spectra(clicks)[None], ones(1), ones(1, factor), 75)[0].sum(1).numpy()
    centre_of = [frame for frame in range(2, 73) if level[frame] == level[frame - 2 : frame + 3].max() > 1]
    groups = np.split(centre_of, np.flatnonzero(np.diff(centre_of) > 3) + 1)
    measured = np.diff([group.mean() for group in groups])
    assert len(measured) >= 2
    np.testing.assert_allclose(measured.mean(), spacing * factor, atol=0.6)


def test_the_middle_stays_and_nothing_comes_from_beyond_the_ends():
    ramp = torch.arange(21.0)[None, :, None].expand(1, 21, N_BINS) + 1
    slower, faster = (scale_axes(ramp, ones(1), ones(1, factor), 21)[0, :, 0] for factor in (2.0, 0.5))
    assert slower[10] == faster[10] == 11
    assert slower[0] == 6 and slower[20] == 16
    assert faster[5] == 1 and (faster[:5] == 0).all() and (faster[16:] == 0).all()
    flat = torch.ones(1, 3, N_BINS)
    down = scale_axes(flat, ones(1, 0.5), ones(1), 3)[0, 0]
    assert (down[:257] == 1).all() and (down[257:] == 0).all()
