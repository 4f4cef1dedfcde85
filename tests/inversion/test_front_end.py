"""How inputs of any network are turned for the eye, and what their axes say."""

import math

import numpy as np
import pytest
import torch

from svdlib.audio.mel_axis import N_BANDS, band_frequencies, band_of_frequency
from svdlib.detector.front_end import FRONT_END
from svdlib.errors import InputError
from svdlib.inversion.front_end import FrontEnd

HZ = np.linspace(100, 4000, 5)


def test_frequencies_lie_where_the_bands_say():
    front = FrontEnd(100, band_frequencies())
    for hertz in (100, 250, 1234, 7000):
        assert front.place(hertz) == pytest.approx(band_of_frequency(hertz))
    linear = FrontEnd(100, 31.25 * np.arange(257))
    for number in (8, 32, 128):
        assert linear.place(31.25 * number) == pytest.approx(number)


def test_ticks_of_several_axes():
    detector = FRONT_END.ticks(N_BANDS)
    assert list(detector.values()) == ["250 Hz", "1 kHz", "4 kHz"]
    assert list(detector) == [band_of_frequency(hertz) for hertz in (250, 1000, 4000)]
    assert list(FrontEnd(100, np.linspace(300, 3400, 40)).ticks(40).values()) == ["500 Hz", "1 kHz", "2 kHz"]
    assert FrontEnd(100, np.linspace(1100, 1900, 40)).ticks(40) == {0.0: "1.1 kHz", 39.0: "1.9 kHz"}
    assert FrontEnd(100).ticks(8) == {0.0: "band 0", 2.0: "band 2", 4.0: "band 4", 6.0: "band 6"}
    with pytest.raises(InputError, match="picture of 64 bands cannot be drawn on 80 frequencies"):
        FRONT_END.ticks(64)


@pytest.mark.parametrize("shape", [(1, 9, 5), (1, 5, 9), (2, 9, 5), (9, 5), (5, 9), (5, 1, 9)])
def test_time_and_bands_are_found_wherever_they_lie(shape):
    time, band = shape.index(9), shape.index(5)
    x = torch.zeros(shape)
    x.select(time, 4).select(band - (band > time), 1).reshape(-1)[:1] += 7  # of the first channel
    picture = FrontEnd(10, HZ).picture(x)
    assert picture.shape == (9, 5) and picture[4, 1] == 7 == picture.sum()


def test_pictures_without_frequencies():
    front = FrontEnd(10)
    x = torch.arange(24.0)
    np.testing.assert_array_equal(front.picture(x.view(1, 24)), x)
    np.testing.assert_array_equal(front.picture(x.view(2, 12)), x[:12])
    np.testing.assert_array_equal(front.picture(x), x)
    np.testing.assert_array_equal(front.picture(x.view(1, 6, 4)), x.view(6, 4))
    np.testing.assert_array_equal(FrontEnd(10, time_axis=2).picture(x.view(1, 6, 4)), x.view(6, 4).T)


def test_a_square_is_not_guessed():
    x = torch.arange(25.0).view(1, 5, 5)
    with pytest.raises(InputError, match=r"\(1, 5, 5\) of an input, 2 have 5 bands. Say which is time, by time_axis"):
        FrontEnd(10, HZ).picture(x)
    np.testing.assert_array_equal(FrontEnd(10, HZ, time_axis=1).picture(x), x[0])
    np.testing.assert_array_equal(FrontEnd(10, HZ, time_axis=2).picture(x), x[0].T)


def test_what_makes_no_sense_is_refused():
    for rate in (0, -1, math.inf, math.nan):
        with pytest.raises(InputError, match="frame_rate is"):
            FrontEnd(rate)
    for hertz in ([100.0], [200, 100], [100, 100], [-5, 100], [100, math.nan]):
        with pytest.raises(InputError, match="band_hz holds"):
            FrontEnd(100, hertz)
    with pytest.raises(InputError, match="0 have 5 bands. Give the frequencies of the network's own bands"):
        FrontEnd(100, HZ).picture(torch.zeros(1, 9, 6))
    with pytest.raises(InputError, match="cannot be drawn, with time_axis=3"):
        FrontEnd(100, time_axis=3).picture(torch.zeros(1, 9, 6))
    with pytest.raises(InputError, match="cannot be drawn"):
        FrontEnd(100).picture(torch.zeros(1, 1, 9, 6))
    with pytest.raises(InputError, match="give FrontEnd their centres"):
        FrontEnd(100).place(440)


def test_sound():
    x = torch.zeros(1, 10, 5)
    assert FrontEnd(10, HZ).sound(x) is None
    samples, rate = FrontEnd(10, HZ, lambda x: (torch.ones(8000) + x.sum(), 8000)).sound(x)
    assert rate == 8000 and samples.dtype == np.float32 and (samples == 1).all()
    wave = torch.linspace(-1, 1, 16)
    samples, rate = FrontEnd(16000).sound(wave[None])
    assert rate == 16000 and (samples == wave.numpy()).all()
    for given, reason in (
        (np.ones(8000), "it must return the samples and then how many"),
        ((np.ones((2, 8000)), 8000), r"shape \(2, 8000\)"),
        ((np.full(8000, np.nan), 8000), "must be finite"),
        ((np.ones(8000), 16000), "makes 0.50 s of sound from a picture of 10 frames, which last 1.00 s"),
    ):
        with pytest.raises(InputError, match=reason):
            FrontEnd(10, HZ, lambda x, given=given: given).sound(x)
