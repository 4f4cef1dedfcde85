"""What the measures of spectrograms share: the axis of mel bands, a check of shapes, and correlation."""

import torch
from torch import Tensor

from svdlib.audio.mel_axis import N_BANDS
from svdlib.errors import InputError

SMALLEST_SCALE = 1e-9
"""A pattern whose norm is below it is flat: it correlates with nothing."""


def as_pictures(values: Tensor) -> Tensor:
    """Bring spectrograms (..., frames, 80) to the CPU in double precision.

    Raises:
        InputError: they have another shape.
    """
    if values.ndim < 2 or values.shape[-1] != N_BANDS:
        raise InputError(f"A spectrogram has the shape (frames, {N_BANDS}), not {tuple(values.shape)}.")
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
