"""Harmonics of sounds whose spectra are known, through the detector's own front end."""

import numpy as np
import pytest
import torch

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE
from svdlib.lab.analysis.harmonics import blurred_to, fine_lines, harmonic_fit, harmonic_height, harmonic_match
from svdlib.zoo.checkpoints import pretrained

TIME = np.arange(EXCERPT_SAMPLES) / SAMPLE_RATE


def hiss(seed=0):
    return np.random.default_rng(seed).normal(size=EXCERPT_SAMPLES)


def voice(pitch, harmonics=30):
    """A harmonic sound; `pitch` is a number or a course of numbers in hertz."""
    phase = 2 * np.pi * np.cumsum(np.broadcast_to(pitch, TIME.shape)) / SAMPLE_RATE
    return 0.1 * sum(np.sin(k * phase + k * k) / k for k in range(1, harmonics + 1)) + 0.001 * hiss()


def brown():
    walk = np.cumsum(hiss())
    return 0.05 * (walk - walk.mean()) / walk.std()


HARMONIC = {
    "low": voice(110),
    "middle": voice(220),
    "high": voice(440, 20),
    "vibrato": voice(220 * (1 + 0.03 * np.sin(2 * np.pi * 6 * TIME))),
}
TONES = {f"tone of {hertz} Hz": voice(hertz, harmonics=1) for hertz in (300, 1000, 3000)}
NOISES = {
    "white noise": 0.1 * hiss(),
    "brown noise": brown(),
    "clicks": (np.arange(len(TIME)) % 5000 == 0) + 0.001 * hiss(),
}


@pytest.fixture(scope="module")
def pictures():
    front_end, standardizer = LogMel(), pretrained("detector").standardizer
    sounds = HARMONIC | TONES | NOISES
    return {name: standardizer(front_end(torch.as_tensor(samples)).float()) for name, samples in sounds.items()}


def measured(measure, pictures, names):
    return [float(measure(pictures[name])) for name in names]


def test_harmonic_sounds_fit_a_comb_and_noise_does_not(pictures):
    assert min(measured(harmonic_fit, pictures, HARMONIC)) > 0.75
    assert max(measured(harmonic_fit, pictures, NOISES)) < 0.5


def test_lines_of_harmonics_and_of_a_single_tone_stand_out_and_those_of_noise_do_not(pictures):
    noise = max(measured(harmonic_height, pictures, NOISES))
    assert min(measured(harmonic_height, pictures, TONES)) > 2 * noise
    assert min(measured(harmonic_height, pictures, HARMONIC)) > 5 * noise


def test_the_fit_ignores_strength_and_the_height_is_it(pictures):
    voiced = pictures["middle"]
    assert harmonic_fit(0.1 * voiced + 3) == pytest.approx(float(harmonic_fit(voiced)))
    assert harmonic_height(0.1 * voiced + 3) == pytest.approx(0.1 * float(harmonic_height(voiced)), rel=1e-4)
    flat = torch.zeros(115, 80)
    assert harmonic_fit(flat) == harmonic_height(flat) == 0


def test_bands_in_another_order_are_no_comb(pictures):
    order = torch.randperm(80, generator=torch.Generator().manual_seed(0))
    assert harmonic_fit(pictures["middle"][:, order]) < harmonic_fit(pictures["middle"]) - 0.3


def test_averaging_in_time_keeps_a_steady_pitch_and_blurring_in_frequency_loses_it(pictures):
    voiced = pictures["middle"][None, None]
    in_time = torch.nn.functional.avg_pool2d(voiced, (9, 1), stride=1)[0, 0]
    in_frequency = torch.nn.functional.avg_pool2d(voiced, (1, 9), stride=1, padding=(0, 4))[0, 0]
    assert harmonic_height(in_time) == pytest.approx(float(harmonic_height(voiced[0, 0])), rel=0.05)
    assert harmonic_height(in_frequency) < 0.25 * harmonic_height(voiced[0, 0])


def test_another_pitch_does_not_match(pictures):
    assert harmonic_match(pictures["middle"], pictures["middle"]) == pytest.approx(1)
    assert harmonic_match(pictures["middle"], pictures["high"]) < 0.6


def test_fine_lines_are_frames_minus_their_moving_average():
    frame = np.random.default_rng(0).normal(size=80)
    slow = [frame[band] - np.mean([frame[min(max(band + k, 0), 79)] for k in range(-4, 5)]) for band in range(80)]
    np.testing.assert_allclose(fine_lines(torch.as_tensor(frame)[None])[0].numpy(), slow, atol=1e-12)


def test_a_blur_goes_just_so_far_as_the_height_says(pictures):
    harmonic = torch.stack([pictures["middle"], 0.5 * pictures["middle"]])
    before = float(harmonic_height(harmonic).mean())
    for share in (0.9, 0.5, 0.1):
        blurred = blurred_to(harmonic, share * before)
        assert 0.97 * share * before < float(harmonic_height(blurred).mean()) <= share * before
        assert blurred.shape == harmonic.shape
        torch.testing.assert_close(blurred.mean(dim=(1, 2)), harmonic.double().mean(dim=(1, 2)), atol=0.05, rtol=0.05)
    torch.testing.assert_close(blurred_to(harmonic, before + 1), harmonic.double(), rtol=0, atol=0)
    assert harmonic_fit(blurred_to(harmonic, 0.05 * before)).mean() < harmonic_fit(harmonic).mean()
