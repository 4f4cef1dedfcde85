"""How fast the bands of a spectrogram become louder and softer: its temporal modulations.

Our own measure, after the paper's observation (section 4) that FC8 "does not preserve any temporal information".
"""

import torch
from torch import Tensor

from svdlib.audio.mel_axis import EXCERPT_FRAMES, FRAME_RATE
from svdlib.lab.analysis.pictures import as_pictures, cosine

OCTAVES = ((1, 2), (2, 4), (4, 8), (8, 16), (16, 32), (32, 58))
"""Octaves of modulation rates, as ranges of Fourier bins of an excerpt of 115 frames; the last one ends at 35 Hz."""


def modulation_rates() -> Tensor:
    """The rates at which modulations of an excerpt are measured, in hertz (57,): 0.61, 1.22, ... 34.7."""
    return torch.fft.rfftfreq(EXCERPT_FRAMES, 1 / FRAME_RATE, dtype=torch.float64)[1:]


def octave_names() -> list[str]:
    """The octaves in words, such as "2.4 to 4.3 Hz"."""
    rates = [0.0, *modulation_rates().tolist()]
    ranges = [(rates[low], rates[high - 1]) for low, high in OCTAVES]
    return [f"{low:.1f} Hz" if low == high else f"{low:.1f} to {high:.1f} Hz" for low, high in ranges]


def modulation_spectrum(standardised: Tensor) -> Tensor:
    """Energy of the modulations of an excerpt at each rate.

    Each band's course over time, without its mean, under a Hann window, is transformed; the squared magnitudes are
    averaged over the bands.

    Args:
        standardised: (..., 115, 80).

    Returns:
        Squared deviations (..., 57) at the `modulation_rates`.
    """
    return _transformed(standardised).abs().square().mean(dim=-2)


def in_octaves(spectrum: Tensor) -> Tensor:
    """Add up a modulation spectrum (..., 57) in octaves of rates: (..., 6)."""
    return torch.stack([spectrum[..., low - 1 : high - 1].sum(dim=-1) for low, high in OCTAVES], dim=-1)


def modulation_match(x: Tensor, x_hat: Tensor) -> Tensor:
    """Whether the bands of an excerpt and of its inversion become louder and softer together, per octave of rates.

    Args:
        x: standardised excerpts (..., 115, 80).
        x_hat: their inversions, of the same shape.

    Returns:
        Correlation of the bands' courses, filtered to each octave (..., 6); 0 where one of them is still.
    """
    a, b = _transformed(x), _transformed(x_hat)
    cut = [slice(low - 1, high - 1) for low, high in OCTAVES]
    return torch.stack([cosine(a[..., part].flatten(-2), b[..., part].flatten(-2)) for part in cut], dim=-1)


def _transformed(standardised: Tensor) -> Tensor:
    """Fourier coefficients (..., 80, 57) of each band's course under a Hann window, the mean left out."""
    courses = as_pictures(standardised).transpose(-2, -1)
    courses = courses - courses.mean(dim=-1, keepdim=True)
    window = torch.hann_window(courses.shape[-1], periodic=False, dtype=torch.float64)
    return torch.fft.rfft(courses * window)[..., 1:]
