"""What the measures of spectrograms share: the axis of mel bands, a check of shapes, and correlation."""

from math import log1p

import torch
from torch import Tensor

from svdlib.audio.log_mel import MAX_FREQUENCY, MIN_FREQUENCY, N_BANDS
from svdlib.errors import LayerError

SMALLEST_SCALE = 1e-9
"""A pattern whose norm is below it is flat: it correlates with nothing."""


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


def as_pictures(values: Tensor) -> Tensor:
    """Bring spectrograms (..., frames, 80) to the CPU in double precision.

    Raises:
        LayerError: they have another shape.
    """
    if values.ndim < 2 or values.shape[-1] != N_BANDS:
        raise LayerError(f"A spectrogram has the shape (frames, {N_BANDS}), not {tuple(values.shape)}.")
    return values.detach().cpu().double()


def correlation(a: Tensor, b: Tensor) -> Tensor:
    """Correlate patterns (..., n) with patterns of the same shape: (...,), 0 where one of them is flat."""
    a, b = (each - each.mean(dim=-1, keepdim=True) for each in (a, b))
    return cosine(a, b)


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of the angle between patterns (..., n) and others of the same shape: (...,), 0 where one of them is zero.

    Complex patterns give the real part: 1 if they are the same, phases included.
    """
    scale = a.norm(dim=-1) * b.norm(dim=-1)
    product = (a * b.conj()).sum(dim=-1).real
    return torch.where(scale > SMALLEST_SCALE, product / scale.clamp(min=SMALLEST_SCALE), 0.0)
