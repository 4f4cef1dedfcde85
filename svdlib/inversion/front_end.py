"""How a network's input is drawn and heard: what lies between sound and network, as far as figures and players need it.

The library inverts numbers. A front end says what they are: how many columns make a second, which frequency each band
has, and how one input becomes sound again.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import torch
from torch import Tensor

from svdlib.errors import InputError, quoted
from svdlib.inversion.listener import as_numbers

ToSound: TypeAlias = Callable[[Tensor], tuple[Any, float]]
"""Turns one input, as `x[0]` is, into its samples (samples,) and how many of them make a second."""

EDGE = 0.03
"""A tick keeps this share of an axis away from both ends, where its label would be cut off."""

FEWEST_TICKS = 2
BAND_TICKS = 4
LONGER = 1.5
"""How many times longer or shorter than its picture a sound may be; windows at the ends add a little."""


@dataclass(frozen=True)
class FrontEnd:
    """What a network hears, told to those who draw it and play it.

    Inputs are spectrograms, with the axes (channels, time, frequency) or (channels, frequency, time), with or without
    channels, or waveforms, (channels, samples) or (samples,). Of several channels the first is drawn and heard.

    Attributes:
        frame_rate: frames of a spectrogram, or samples of a waveform, per second.
        band_hz: the frequency of each band in hertz, from low to high; None where inputs are waveforms, or nobody
            knows. The axis of an input that is as long holds the bands.
        to_sound: makes one input audible, see `ToSound`; it undoes the standardisation too. None leaves spectrograms
            silent; a waveform is then played as it is.
        time_axis: which axis of one input is time, counted from 0; None finds it by the number of bands.
    """

    frame_rate: float
    band_hz: Sequence[float] | np.ndarray | Tensor | None = None
    to_sound: ToSound | None = None
    time_axis: int | None = None

    def __post_init__(self) -> None:
        """Check the values, and keep the frequencies as plain numbers.

        Raises:
            InputError: if the rate is no positive number, or the frequencies are not two or more in rising order.
        """
        if not 0 < self.frame_rate < math.inf:
            raise InputError(f"frame_rate is {self.frame_rate}; it counts frames per second: give a positive number.")
        if self.band_hz is None:
            return
        hertz = tuple(map(float, self.band_hz))
        rising = all(low < high for low, high in zip(hertz, hertz[1:], strict=False))
        if len(hertz) < 2 or not rising or not 0 <= hertz[0] <= hertz[-1] < math.inf:
            raise InputError(
                f"band_hz holds {len(hertz)} frequencies {_shortened(hertz)}; give the centre of each band in hertz, "
                "from low to high."
            )
        object.__setattr__(self, "band_hz", hertz)

    def __repr__(self) -> str:
        bands = "" if self.band_hz is None else f", {len(self.band_hz)} bands to {self.band_hz[-1]:.0f} Hz"
        return f"FrontEnd: {self.frame_rate:g} a second{bands}, {'with' if self.to_sound else 'without'} sound"

    def seconds(self, frames: int) -> float:
        """How long so many frames, or samples, last."""
        return frames / self.frame_rate

    def picture(self, x: Tensor | np.ndarray) -> np.ndarray:
        """What is drawn of one input.

        Args:
            x: one input, without a batch axis.

        Returns:
            (frames, bands) of a spectrogram, (samples,) of a waveform.

        Raises:
            InputError: if no axis holds the bands, or nobody can tell which one is time.
        """
        values: np.ndarray = torch.as_tensor(x).detach().cpu().float().numpy()
        time, bands = self._axes(values.shape)
        values = np.moveaxis(values, [time] if bands is None else [time, bands], [-1] if bands is None else [-2, -1])
        while values.ndim > (1 if bands is None else 2):
            values = values[0]
        return values

    def place(self, hertz: float) -> float:
        """Where a frequency lies on the axis of bands; band 0 lies at 0, and between bands the mel scale counts.

        Raises:
            InputError: if the frequencies of the bands are not known.
        """
        if self.band_hz is None:
            raise InputError("The frequencies of the bands are not known; give FrontEnd their centres as band_hz.")
        return float(np.interp(_mel(hertz), _mel(self.band_hz), np.arange(len(self.band_hz))))

    def ticks(self, bands: int) -> dict[float, str]:
        """Labels for an axis of so many bands, each by its place: a few frequencies, or numbers of bands.

        Raises:
            InputError: if there are other bands than the front end says.
        """
        if self.band_hz is None:
            return {float(band): f"band {band}" for band in range(0, bands, max(1, bands // BAND_TICKS))}
        self.check_bands(bands)
        low, high = float(self.band_hz[0]), float(self.band_hz[-1])
        for factor in (4, 2):  # around 1 kHz, two octaves apart, or one if that leaves too few
            lowest, highest = (math.log(max(end, 1) / 1000, factor) for end in (low, high))
            octaves = range(math.ceil(lowest), math.floor(highest) + 1)
            places = {self.place(1000 * factor**power): 1000 * factor**power for power in octaves}
            inner = {at: hertz for at, hertz in places.items() if EDGE < (at + 0.5) / bands < 1 - EDGE}
            if len(inner) >= FEWEST_TICKS:
                return {at: _readable(hertz) for at, hertz in inner.items()}
        return {0.0: _readable(low), bands - 1.0: _readable(high)}

    def check_bands(self, bands: int) -> None:
        """Make sure that a picture has as many bands as the front end says.

        Raises:
            InputError: if it has others.
        """
        if self.band_hz is not None and bands != len(self.band_hz):
            raise InputError(
                f"A picture of {bands} bands cannot be drawn on {len(self.band_hz)} frequencies. "
                "Give the FrontEnd of the network that hears it."
            )

    def sound(self, x: Tensor) -> tuple[np.ndarray, int] | None:
        """Make one input audible.

        Args:
            x: one input, without a batch axis.

        Returns:
            float32 (samples,) and how many of them make a second; None if that cannot be done.

        Raises:
            InputError: if `to_sound` gives something else, or a sound much longer or shorter than the picture.
        """
        picture = self.picture(x)
        if self.to_sound is None:
            return (picture, round(self.frame_rate)) if picture.ndim == 1 else None
        given = self.to_sound(x.detach().cpu())
        if not isinstance(given, tuple) or len(given) != 2 or not _is_rate(given[1]):
            named = ", ".join(map(_kind, given)) if isinstance(given, tuple) else type(given).__name__
            raise InputError(
                f"to_sound gave {named}; it must return the samples and then how many of them make a second, "
                "such as `return samples, 16000`."
            )
        samples, rate = as_numbers(given[0]).detach().cpu().float().numpy(), round(float(given[1]))
        if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
            raise InputError(f"to_sound gave samples of shape {samples.shape}; they must be finite and in one row.")
        heard, seen = len(samples) / rate, self.seconds(len(picture))
        if not 1 / LONGER < heard / seen < LONGER:
            raise InputError(
                f"to_sound makes {heard:.2f} s of sound from a picture of {len(picture)} frames, which last {seen:.2f} "
                f"s at frame_rate={self.frame_rate:g}. One of the two rates is wrong."
            )
        return samples, rate

    def _axes(self, shape: tuple[int, ...]) -> tuple[int, int | None]:
        """Which axis of an input is time, and which holds the bands; None for a waveform."""
        axes, named = range(len(shape)), self.time_axis
        if not 1 <= len(shape) <= 3 or (named is not None and named not in axes):
            raise InputError(f"An input of shape {shape} cannot be drawn, with time_axis={named}: it has other axes.")
        if self.band_hz is None:
            if len(shape) < 3:
                return (len(shape) - 1 if named is None else named), None
            time = 1 if named is None else named
            return time, next(axis for axis in (2, 1) if axis != time)
        fit = [axis for axis in axes if shape[axis] == len(self.band_hz) and axis != named]
        fit = [axis for axis in fit if axis > 0 or len(shape) < 3] or fit
        if len(shape) < 2 or len(fit) != 1:
            remedy = "Say which is time, by time_axis." if fit else "Give the frequencies of the network's own bands."
            raise InputError(f"Of the axes {shape} of an input, {len(fit)} have {len(self.band_hz)} bands. {remedy}")
        return ([axis for axis in axes if axis != fit[0]][-1] if named is None else named), fit[0]


def _is_rate(value: Any) -> bool:
    """Whether something is one positive number."""
    try:
        return 0 < float(value) < math.inf
    except (TypeError, ValueError, RuntimeError):  # NumPy and PyTorch say differently that several are not one
        return False


def _kind(value: Any) -> str:
    shape = tuple(getattr(value, "shape", ()))
    return f"{type(value).__name__} {shape}" if shape else quoted(value)


def _mel(hertz: Any) -> Any:
    return 1127 * np.log1p(np.asarray(hertz) / 700)


def _readable(hertz: float) -> str:
    return f"{hertz / 1000:.3g} kHz" if hertz >= 1000 else f"{hertz:.3g} Hz"


def _shortened(values: Sequence[float]) -> str:
    shown = [f"{value:g}" for value in values]
    return ", ".join(shown if len(shown) < 6 else [*shown[:3], "...", shown[-1]])
