"""Measures of spectrograms, on spectrograms whose answer is known."""

import re

import numpy as np
import pytest
import torch

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE, band_frequencies, band_of_frequency, mel_filterbank
from svdlib.errors import InputError
from svdlib.lab.analysis.harmonics import harmonic_match
from svdlib.lab.analysis.measures import describe, high_minus_low, spectral_centroid
from svdlib.lab.analysis.onsets import onset_match


def tone(hertz, seconds_of_silence=0.0):
    time = np.arange(EXCERPT_SAMPLES) / SAMPLE_RATE
    return LogMel()(np.sin(2 * np.pi * hertz * time) * (time >= seconds_of_silence))


@pytest.fixture
def pictures():
    return torch.randn(5, 115, 80, generator=torch.Generator().manual_seed(0))


def test_bands_peak_where_their_filters_do():
    bins_hz = np.linspace(0, SAMPLE_RATE / 2, 513)
    weights = mel_filterbank()
    centre_of_mass = bins_hz @ weights
    assert np.abs(band_frequencies().numpy() - centre_of_mass).max() < 2 * bins_hz[1]


@pytest.mark.parametrize("band", [0, 31, 79])
def test_bands_and_frequencies_are_inverse(band):
    assert band_of_frequency(float(band_frequencies()[band])) == pytest.approx(band, abs=1e-9)


@pytest.mark.parametrize("hertz", [300, 1000, 5000])
def test_a_tone_has_its_frequency_as_centroid(hertz):
    assert float(spectral_centroid(tone(hertz))) == pytest.approx(hertz, rel=0.05)


def test_the_brighter_half_decides_the_sign():
    picture = torch.zeros(2, 115, 80)
    picture[0, :, 40:] = 1.5
    picture[1, :, :40] = 0.5
    assert high_minus_low(picture).tolist() == [1.5, -0.5]


@pytest.mark.parametrize("match", [onset_match, harmonic_match])
def test_matches_know_the_same_from_another(match, pictures):
    assert match(pictures, pictures).numpy() == pytest.approx(1)
    assert match(pictures, 0.3 * pictures - 2).numpy() == pytest.approx(1)
    assert match(pictures, pictures.roll(1, dims=0)).abs().max() < 0.4
    assert match(pictures, torch.zeros_like(pictures)).abs().max() == 0


def clicks(*frames):
    picture = torch.zeros(115, 80)
    for frame in frames:
        picture[frame : frame + 8] += 1
    return picture


def test_onsets_must_stand_at_the_same_time():
    assert onset_match(clicks(20, 70), 0.5 * clicks(20, 70) - 1) == pytest.approx(1)
    assert onset_match(clicks(20, 70), clicks(21, 71)) > 0.7
    assert onset_match(clicks(20, 70), clicks(45, 95)) < 0


def test_harmonics_ignore_the_broad_shape_but_not_a_shift(pictures):
    slope = torch.linspace(-3, 3, 80)
    assert harmonic_match(pictures, pictures + slope).min() > 0.99
    assert harmonic_match(pictures, pictures.roll(3, dims=2)).max() < 0.3


def test_the_description_says_what_is_there():
    text = describe(tone(1000, seconds_of_silence=0.8))
    assert "half of the magnitude lies below 1.0 kHz" in text
    loudest = float(re.search(r"loudest ([\d.]+) s after the start", text)[1])
    assert 0.8 <= loudest <= 1.7
    low = float(re.search(r"below (\d+) Hz", describe(tone(300)))[1])
    assert low == pytest.approx(300, abs=20)


def test_what_is_no_spectrogram_is_refused():
    with pytest.raises(InputError, match="80"):
        spectral_centroid(torch.zeros(115, 79))
