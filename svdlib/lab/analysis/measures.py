"""Whether the energy of a spectrogram lies high or low, and a spectrogram in words.

Like the measures of onsets, harmonics and modulations, these stand beside the normalised reconstruction error, which
says how much is wrong but not what. All are our own, after observations that the paper makes by eye (section 4).
"""

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.mel_axis import DECIBELS_PER_NEPER, FRAME_RATE, N_BANDS, band_frequencies
from svdlib.lab.analysis.pictures import as_pictures


def spectral_centroid(log_mel: Tensor) -> Tensor:
    """The frequency around which the mel magnitudes of an excerpt balance.

    Args:
        log_mel: (..., frames, 80), natural logarithms, not standardised.

    Returns:
        Hertz (...,).
    """
    spectrum = as_pictures(log_mel).exp().sum(dim=-2)
    return (spectrum * band_frequencies()).sum(dim=-1) / spectrum.sum(dim=-1)


def high_minus_low(standardised: Tensor) -> Tensor:
    """How much brighter the upper half of a standardised spectrogram is than the lower half.

    Both halves have 40 bands; they meet near 1.8 kHz.

    Args:
        standardised: (..., frames, 80).

    Returns:
        A difference in deviations (...,): positive if the upper half lies further above its average.
    """
    bands = as_pictures(standardised).mean(dim=-2)
    half = N_BANDS // 2
    return bands[..., half:].mean(dim=-1) - bands[..., :half].mean(dim=-1)


def describe(log_mel: Tensor | np.ndarray) -> str:
    """Put a spectrogram into words, from measurements: the text for those who cannot see it.

    Args:
        log_mel: (frames, 80), natural logarithms, not standardised.
    """
    log_mel = as_pictures(torch.as_tensor(log_mel))
    share_below = log_mel.exp().sum(dim=0).cumsum(dim=0)
    median_band = int(torch.searchsorted(share_below, share_below[-1] / 2))
    loudness = DECIBELS_PER_NEPER * log_mel.exp().mean(dim=1).log()
    loudest = int(loudness.argmax()) / FRAME_RATE
    spread = float(torch.quantile(loudness, 0.95) - torch.quantile(loudness, 0.05))
    return (
        f"half of the magnitude lies below {_readable(float(band_frequencies()[median_band]))}; "
        f"loudest {loudest:.1f} s after the start; loudness varies by {spread:.0f} dB over time"
    )


def _readable(hertz: float) -> str:
    return f"{hertz / 1000:.1f} kHz" if hertz >= 1000 else f"{round(hertz, -1):.0f} Hz"
