"""Measures of what a spectrogram holds and of what an inversion has kept of it.

They stand beside the normalised reconstruction error, which says how much is wrong but not what. All are our own, after
observations that the paper makes by eye (section 4): onsets, harmonics, and whether energy lies high or low.
"""

from math import log1p

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from svdlib.audio import FRAME_RATE, MAX_FREQUENCY, MIN_FREQUENCY, N_BANDS
from svdlib.errors import LayerError

SMOOTHING_BANDS = 9
"""Harmonics are what remains of a spectrum after averaging over so many bands is taken away."""

ONSET_FRAMES = 5
"""Onsets are compared at this resolution, 70 ms: wide enough for a blurred picture to have onsets at all."""

DECIBELS_PER_LOG_UNIT = 20 / np.log(10)


def _mel(hertz: float) -> float:
    return 1127 * log1p(hertz / 700)


BAND_MELS = (_mel(MAX_FREQUENCY) - _mel(MIN_FREQUENCY)) / (N_BANDS + 1)


def band_of_frequency(hertz: float) -> float:
    """Position of a frequency on the axis of mel bands; band 0 peaks at position 0."""
    return (_mel(hertz) - _mel(MIN_FREQUENCY)) / BAND_MELS - 1


def band_frequencies() -> Tensor:
    """Frequency in hertz at which each mel filter peaks (80,)."""
    mels = _mel(MIN_FREQUENCY) + BAND_MELS * torch.arange(1, N_BANDS + 1, dtype=torch.float64)
    return 700 * torch.expm1(mels / 1127)


def spectral_centroid(log_mel: Tensor) -> Tensor:
    """The frequency around which the mel magnitudes of an excerpt balance.

    Args:
        log_mel: (..., frames, 80), natural logarithms, not standardised.

    Returns:
        Hertz (...,).
    """
    spectrum = _as_pictures(log_mel).exp().sum(dim=-2)
    return (spectrum * band_frequencies()).sum(dim=-1) / spectrum.sum(dim=-1)


def high_minus_low(standardised: Tensor) -> Tensor:
    """How much brighter the upper half of a standardised spectrogram is than the lower half.

    Both halves have 40 bands; they meet near 1.8 kHz.

    Args:
        standardised: (..., frames, 80).

    Returns:
        A difference in deviations (...,): positive if the upper half lies further above its average.
    """
    bands = _as_pictures(standardised).mean(dim=-2)
    half = N_BANDS // 2
    return bands[..., half:].mean(dim=-1) - bands[..., :half].mean(dim=-1)


def onset_match(x: Tensor, x_hat: Tensor) -> Tensor:
    """Whether sounds begin at the same times in an excerpt and in its inversion.

    The onset curve of a spectrogram is, per frame, the sum over bands of all increases from the mean of the five frames
    (70 ms) before to the mean of the five frames from here on.

    Args:
        x: standardised excerpts (..., frames, 80).
        x_hat: their inversions, of the same shape.

    Returns:
        Correlation of the two onset curves (...,); 0 where one of them is flat.
    """
    return _correlation(*(_onset_curve(_as_pictures(each)) for each in (x, x_hat)))


def harmonic_match(x: Tensor, x_hat: Tensor) -> Tensor:
    """Whether an excerpt and its inversion have their fine lines across frequency at the same places.

    What is compared is each frame minus its moving average over 9 bands: single harmonics, as far as mel bands resolve
    them, without the broad shape of the spectrum.

    Args:
        x: standardised excerpts (..., frames, 80).
        x_hat: their inversions, of the same shape.

    Returns:
        Correlation over all frames and bands (...,); 0 where one of them has no fine lines.
    """
    return _correlation(*(_fine_lines(_as_pictures(each)).flatten(-2) for each in (x, x_hat)))


def describe(log_mel: Tensor | np.ndarray) -> str:
    """Put a spectrogram into words, from measurements: the text for those who cannot see it.

    Args:
        log_mel: (frames, 80), natural logarithms, not standardised.
    """
    log_mel = _as_pictures(torch.as_tensor(log_mel))
    share_below = log_mel.exp().sum(dim=0).cumsum(dim=0)
    median_band = int(torch.searchsorted(share_below, share_below[-1] / 2))
    loudness = DECIBELS_PER_LOG_UNIT * log_mel.exp().mean(dim=1).log()
    loudest = int(loudness.argmax()) / FRAME_RATE
    spread = float(torch.quantile(loudness, 0.95) - torch.quantile(loudness, 0.05))
    return (
        f"half of the magnitude lies below {_readable(float(band_frequencies()[median_band]))}; "
        f"loudest {loudest:.1f} s after the start; loudness varies by {spread:.0f} dB over time"
    )


def _readable(hertz: float) -> str:
    return f"{hertz / 1000:.1f} kHz" if hertz >= 1000 else f"{round(hertz, -1):.0f} Hz"


def _as_pictures(values: Tensor) -> Tensor:
    if values.ndim < 2 or values.shape[-1] != N_BANDS:
        raise LayerError(f"A spectrogram has the shape (frames, {N_BANDS}), not {tuple(values.shape)}.")
    return values.detach().cpu().double()


def _onset_curve(pictures: Tensor) -> Tensor:
    means = pictures.unfold(-2, ONSET_FRAMES, 1).mean(dim=-1)
    return (means[..., ONSET_FRAMES:, :] - means[..., :-ONSET_FRAMES, :]).clamp(min=0).sum(dim=-1)


def _fine_lines(pictures: Tensor) -> Tensor:
    frames = pictures.reshape(-1, 1, N_BANDS)
    margin = SMOOTHING_BANDS // 2
    smooth = F.avg_pool1d(F.pad(frames, (margin, margin), mode="replicate"), SMOOTHING_BANDS, stride=1)
    return (frames - smooth).reshape(pictures.shape)


def _correlation(a: Tensor, b: Tensor) -> Tensor:
    a, b = (each - each.mean(dim=-1, keepdim=True) for each in (a, b))
    scale = a.norm(dim=-1) * b.norm(dim=-1)
    return torch.where(scale > 1e-9, (a * b).sum(dim=-1) / scale.clamp(min=1e-9), 0.0)
