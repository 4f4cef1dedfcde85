"""The fine structure of pictures that are known to move, to stay, or to have none."""

import numpy as np
import pytest
import torch
from scipy.ndimage import gaussian_filter

from svdlib.errors import InputError
from svdlib.lab.analysis.texture import WIDTH, after_a_shift, agreement, fine_structure, fixed_picture, without


@pytest.fixture
def long():
    """Noise, longer than an excerpt: (8, 140, 80)."""
    return torch.randn(8, 140, 80, generator=torch.Generator().manual_seed(1))


def test_fine_is_what_a_gaussian_blur_takes_away(long):
    pictures = long[:, :115]
    blurred = np.stack([gaussian_filter(each, WIDTH, mode="mirror", truncate=4) for each in pictures.double().numpy()])
    np.testing.assert_allclose(fine_structure(pictures).numpy(), pictures.numpy() - blurred, atol=1e-5)


def test_what_is_smooth_has_no_fine_structure():
    slope = torch.linspace(0, 1, 115)[None, :, None] + torch.linspace(0, 1, 80)
    assert fine_structure(slope)[:, 20:-20, 20:-20].abs().max() < 1e-5


@pytest.mark.parametrize("shift", [1, 4, 9])
def test_sound_moves_and_a_stamp_stays(long, shift):
    sound, sound_then = long[:, :115], long[:, shift : shift + 115]
    stamp = long[:1, :115].expand(8, -1, -1)
    moved, stayed = after_a_shift(sound, sound_then, shift), after_a_shift(stamp, stamp, shift)
    assert torch.allclose(moved["moves"], torch.ones(8)) and moved["stays"].abs().max() < 0.1
    assert torch.allclose(stayed["stays"], torch.ones(8)) and stayed["moves"].abs().max() < 0.1


@pytest.mark.parametrize("shift", [0, 115, -1])
def test_a_shift_leaves_something_to_compare(long, shift):
    with pytest.raises(InputError, match="1 to 114 frames"):
        after_a_shift(long[:, :115], long[:, :115], shift)


def test_what_all_pictures_share(long):
    noise, stamp = long[:, :115], 3 * long[:1, 20:135]
    assert fixed_picture(noise)[1] == pytest.approx(1 / 8, abs=0.01)
    assert fixed_picture(stamp.expand(8, -1, -1))[1] == pytest.approx(1)
    share = fixed_picture(noise + stamp)[1]
    assert share == pytest.approx(0.9 + 0.1 / 8, abs=0.02)  # of a picture nine times as strong as the noise
    assert fixed_picture(torch.zeros(2, 115, 80))[1] == 0


def test_a_stamp_is_taken_at_the_strength_that_it_has(long):
    stamp, strengths = long[0, :115], torch.linspace(-1, 2, 8)
    fine = strengths[:, None, None] * stamp
    rest = without(fine + 5, fine)
    assert torch.allclose(rest["fixed picture"], torch.full((8, 115, 80), 5.0), atol=1e-4)
    assert torch.allclose(rest["fine structure"], torch.full((8, 115, 80), 5.0), atol=1e-5)


def test_nothing_agrees_with_nothing():
    assert agreement(torch.zeros(1, 5, 5), torch.ones(1, 5, 5)) == 0
