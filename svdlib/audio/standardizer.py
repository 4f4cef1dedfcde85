"""Standardisation of log-mel bands (paper section 3.1: zero mean and unit variance over the training set)."""

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import N_BANDS
from svdlib.errors import CorpusError

SMALLEST_DEVIATION = 1e-3
"""A band that never changes would be divided by zero; log-mels have deviations near 1."""


class Standardizer(nn.Module):
    """Maps log-mels to zero mean and unit standard deviation per band, and back.

    Attributes:
        mean: mean per band (80,), in natural-log units.
        std: standard deviation per band (80,), in natural-log units.
    """

    mean: Tensor
    std: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(N_BANDS))
        self.register_buffer("std", torch.ones(N_BANDS))

    @classmethod
    def fit(cls, log_mels: Iterable[Tensor | np.ndarray]) -> "Standardizer":
        """Measure mean and deviation over all frames of a training set.

        Args:
            log_mels: one (frames, 80) log-mel per song, as tensors or arrays.

        Raises:
            CorpusError: if there is no frame at all.
        """
        count, total, squares = (
            0,
            torch.zeros(N_BANDS, dtype=torch.float64),
            torch.zeros(N_BANDS, dtype=torch.float64),
        )
        for log_mel in log_mels:
            frames = torch.as_tensor(log_mel, dtype=torch.float64)
            count += len(frames)
            total += frames.sum(0)
            squares += (frames**2).sum(0)
        if not count:
            raise CorpusError("There is no frame to measure mean and deviation on: the training split is empty.")
        fitted = cls()
        mean = total / count
        variance = (squares / count - mean**2).clamp(min=SMALLEST_DEVIATION**2)
        fitted.mean.copy_(mean)
        fitted.std.copy_(variance.sqrt())
        return fitted

    def forward(self, log_mel: Tensor | np.ndarray) -> Tensor:
        """Standardise log-mels (..., 80)."""
        if not isinstance(log_mel, Tensor):
            log_mel = torch.as_tensor(log_mel, dtype=self.mean.dtype, device=self.mean.device)
        return (log_mel - self.mean) / self.std

    def inverse(self, standardised: Tensor) -> Tensor:
        """Turn standardised frames (..., 80) back into log-mels."""
        return standardised * self.std + self.mean
