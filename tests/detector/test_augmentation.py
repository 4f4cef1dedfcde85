import numpy as np
import pytest
import torch

from svdlib.detector.augmentation import Augmentation


@pytest.fixture
def segments():
    return torch.randn(5, 30, 80, generator=torch.Generator().manual_seed(0))


def changed(segments, seed=0, **strengths):
    nothing = {"loudness": 0.0, "filtering": 0.0, "warping": 0.0}
    return Augmentation(**(nothing | strengths))(segments, torch.Generator().manual_seed(seed))


def test_without_strength_nothing_changes(segments):
    torch.testing.assert_close(changed(segments), segments)


def test_the_same_generator_gives_the_same_change(segments):
    augment = Augmentation()
    one, two, other = (augment(segments, torch.Generator().manual_seed(seed)) for seed in (1, 1, 2))
    assert torch.equal(one, two) and not torch.equal(one, other)
    assert one.shape == segments.shape and torch.isfinite(one).all()


def test_loudness_shifts_each_segment_by_one_amount_within_its_limit(segments):
    shift = changed(segments, loudness=9.0) - segments
    per_segment = shift.mean((1, 2))
    torch.testing.assert_close(shift, per_segment[:, None, None].expand_as(shift), atol=1e-5, rtol=0)
    # 9 dB are a factor of 10 ** (9 / 20) in magnitude, and log-mels are natural logarithms of magnitudes.
    assert per_segment.abs().max() <= np.log(10 ** (9 / 20)) + 1e-5
    assert len(per_segment.unique()) == 5


def test_filtering_is_one_smooth_bump_over_frequency_the_same_in_all_frames(segments):
    shift = changed(segments, filtering=10.0) - segments
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-5, rtol=0)
    response = shift[:, 0]
    assert response.abs().max() <= np.log(10 ** (10 / 20)) + 1e-5
    for curve in response:
        turns = torch.diff(torch.sign(torch.diff(curve.double()[curve.abs() > 1e-4]))).abs()
        assert (turns > 0).sum() <= 1


def test_warping_moves_a_partial_within_its_limit():
    ramp = torch.arange(80.0).expand(8, 4, 80)
    warped = changed(ramp, warping=0.07)
    share = warped[:, 0, 40] / 40
    assert (share - 1).abs().max() <= 0.07 + 1e-5 and share.std() > 0.01
    # Linear interpolation of a ramp is exact: band b holds what stood at b * share, up to the last band.
    expected = (torch.arange(80.0) * share[:, None]).clamp(max=79)
    torch.testing.assert_close(warped[:, 0], expected, atol=1e-3, rtol=0)


def test_tilt_is_a_straight_line_over_the_bands_within_its_limit(segments):
    shift = changed(segments, tilt=12.0) - segments
    torch.testing.assert_close(shift, shift[:, :1].expand_as(shift), atol=1e-5, rtol=0)
    line = shift[:, 0]
    assert torch.diff(line, n=2).abs().max() < 1e-5 and len(line[:, 0].unique()) == 5
    # 12 dB from end to end: 6 dB up at one and 6 dB down at the other.
    assert line.abs().max() <= np.log(10 ** (6 / 20)) + 1e-5
    torch.testing.assert_close(line[:, 0], -line[:, -1])


def test_dynamics_stretch_or_squeeze_each_band_around_its_mean(segments):
    result = changed(segments, dynamics=0.4)
    torch.testing.assert_close(result.mean(1), segments.mean(1), atol=1e-5, rtol=0)
    factors = result.std(1) / segments.std(1)
    torch.testing.assert_close(factors, factors[:, :1].expand_as(factors), atol=1e-4, rtol=0)
    assert (factors - 1).abs().max() <= 0.4 + 1e-4 and factors[:, 0].std() > 0.05


def test_changes_that_are_off_draw_nothing(segments):
    """So that a seed gives the same run, whatever else there is to choose from."""
    plain, other = torch.Generator().manual_seed(1), torch.Generator().manual_seed(1)
    Augmentation()(segments, plain)
    Augmentation(tilt=6.0, dynamics=0.1)(segments, other)
    assert not torch.equal(plain.get_state(), other.get_state())
    again = torch.Generator().manual_seed(1)
    Augmentation(tilt=0.0, dynamics=0.0)(segments, again)
    assert torch.equal(plain.get_state(), again.get_state())


def test_what_is_changed_is_a_copy(segments):
    before = segments.clone()
    Augmentation()(segments, torch.Generator().manual_seed(0))
    assert torch.equal(segments, before)
