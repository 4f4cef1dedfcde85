"""Modulations of sounds that become louder and softer at a known rate, through the detector's own front end."""

import numpy as np
import pytest
import torch

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE
from svdlib.lab.analysis.modulation import (
    OCTAVES,
    in_octaves,
    modulation_match,
    modulation_rates,
    modulation_spectrum,
    octave_names,
)
from svdlib.zoo.checkpoints import pretrained

TIME = np.arange(EXCERPT_SAMPLES) / SAMPLE_RATE


@pytest.fixture(scope="module")
def picture_of():
    front_end, standardizer = LogMel(), pretrained("detector").standardizer
    return lambda samples: standardizer(front_end(torch.as_tensor(samples)).float())


def trembling(rate):
    """Noise whose loudness goes up and down by 6 dB at a rate in hertz."""
    noise = np.random.default_rng(0).normal(size=EXCERPT_SAMPLES)
    return 0.1 * noise * np.exp(0.7 * np.sin(2 * np.pi * rate * TIME))


@pytest.mark.parametrize("rate", [2, 4, 8])
def test_the_spectrum_peaks_at_the_rate_of_the_modulation(picture_of, rate):
    spectrum = modulation_spectrum(picture_of(trembling(rate)))
    assert float(modulation_rates()[spectrum.argmax()]) == pytest.approx(rate, abs=0.4)
    octave = int(in_octaves(spectrum).argmax())
    low, high = (modulation_rates()[end] for end in (OCTAVES[octave][0] - 1, OCTAVES[octave][1] - 2))
    assert low - 0.31 <= rate <= high + 0.31


def test_a_sinusoid_has_the_energy_that_the_formula_gives():
    frames = torch.arange(115, dtype=torch.float64)
    picture = (3 * torch.sin(2 * np.pi * 10 * frames / 115))[:, None].expand(115, 80)
    spectrum = modulation_spectrum(picture)
    window = np.hanning(115)
    assert float(spectrum[9]) == pytest.approx((3 * window.sum() / 2) ** 2, rel=1e-3)
    assert float(spectrum[[5, 13, 40]].max()) < 1e-3 * float(spectrum[9])
    assert in_octaves(spectrum).sum() == pytest.approx(float(spectrum.sum()))


def test_a_picture_that_stands_still_has_no_modulation():
    still = torch.randn(1, 80, generator=torch.Generator().manual_seed(0)).expand(115, 80)
    assert modulation_spectrum(still).abs().max() < 1e-12
    assert modulation_match(still, still).abs().max() == 0


def test_the_match_is_one_where_a_rate_is_kept_and_zero_where_it_is_lost():
    x = torch.randn(4, 115, 80, generator=torch.Generator().manual_seed(0))
    assert modulation_match(x, 0.2 * x - 1).numpy() == pytest.approx(1)
    assert modulation_match(x, x.roll(1, dims=0)).abs().max() < 0.3
    assert modulation_match(x, -x).numpy() == pytest.approx(-1)
    slow_only = torch.fft.irfft(torch.fft.rfft(x, dim=1) * (torch.arange(58) < 8)[:, None], n=115, dim=1)
    kept = modulation_match(x, slow_only).mean(dim=0)
    assert kept[:2].min() > 0.97 and kept[-2:].max() < 0.25


def test_octaves_cover_all_rates_once_and_have_names():
    assert [low for low, _ in OCTAVES[1:]] == [high for _, high in OCTAVES[:-1]]
    assert OCTAVES[0][0] == 1 and OCTAVES[-1][1] == len(modulation_rates()) + 1
    assert octave_names()[0] == "0.6 Hz" and octave_names()[2] == "2.4 to 4.3 Hz"
