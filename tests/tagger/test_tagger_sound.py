"""Sound from the tagger's patches: what it was made from comes back."""

import numpy as np
import pytest
import torch

from svdlib.tagger.front_end import sound_of_patch, tagger_front_end
from svdlib.tagger.patches import TAGGER_RATE, tagger_log_mel


@pytest.fixture(scope="module")
def log_mel(melody):
    return tagger_log_mel(melody)[:187]


def test_a_patch_that_was_made_audible_has_nearly_the_same_log_mel(log_mel):
    again = tagger_log_mel(sound_of_patch(log_mel), TAGGER_RATE)[:187]
    inner = slice(5, 180)
    assert np.corrcoef(log_mel[inner].ravel(), again[inner].ravel())[0, 1] > 0.98
    assert np.abs(log_mel[inner] - again[inner]).mean() < 0.15 * log_mel[inner].std() + 0.05


def test_values_that_no_sound_has_are_silence_and_loud_ones_stay_finite(log_mel):
    assert np.abs(sound_of_patch(np.full((187, 96), -2.0))).max() < 1e-4
    assert np.isfinite(sound_of_patch(log_mel + 100)).all()


def test_the_front_end_knows_its_bands_and_plays_a_patch(log_mel):
    front = tagger_front_end()
    samples, rate = front.sound(torch.from_numpy(log_mel)[None])
    assert rate == 16000 and len(samples) == 186 * 256
    # Slaney's scale has 200/3 Hz per mel below 1 kHz; 98 edges lie evenly between 0 and 8 kHz, 45.2 mel.
    assert front.band_hz[0] == pytest.approx(45.245 / 97 * 200 / 3, rel=1e-3)
    assert front.band_hz[-1] < 8000
