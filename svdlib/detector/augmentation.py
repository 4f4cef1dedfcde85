"""Changes to log-mel segments that keep their label (after Schlüter & Grill, ISMIR 2015, section 4).

All of them act on raw log-mels, batched, on whatever device the batch is on.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from svdlib.audio.mel_axis import NEPER_PER_DECIBEL


@dataclass(frozen=True)
class Augmentation:
    """How strongly segments are changed.

    Attributes:
        loudness: largest change of level, in decibels.
        filtering: largest boost or cut of the random frequency response, in decibels.
        warping: largest scaling of the mel axis, as a share; it stands for a change of pitch and formants.
        tilt: largest difference between the highest and the lowest band, in decibels, along a straight line between.
        dynamics: largest stretching or squeezing of each band's course around its mean over the segment, as a share of
            its decibels; it stands for expansion and compression.
    """

    loudness: float = 9.0
    filtering: float = 10.0
    warping: float = 0.07
    tilt: float = 0.0
    dynamics: float = 0.0

    def __call__(self, log_mels: Tensor, generator: torch.Generator) -> Tensor:
        """Change each segment in its own way.

        Args:
            log_mels: raw log-mels (batch, frames, 80).
            generator: the source of chance, a CPU generator.
        """
        batch, _, bands = log_mels.shape
        changed = self._warp(log_mels, _uniform(batch, generator) * self.warping)
        gain = _uniform(batch, generator)[:, None] * self.loudness + self._response(batch, bands, generator)
        if self.tilt:
            gain = gain + self.tilt * _uniform(batch, generator)[:, None] * torch.linspace(-0.5, 0.5, bands)
        if self.dynamics:
            mean = changed.mean(1, keepdim=True)
            factor = 1 + self.dynamics * _uniform(batch, generator)[:, None, None].to(log_mels.device)
            changed = mean + factor * (changed - mean)
        return changed + (gain * NEPER_PER_DECIBEL)[:, None].to(log_mels.device)

    def _response(self, batch: int, bands: int, generator: torch.Generator) -> Tensor:
        """A Gaussian bump at a random band, of random width and height: (batch, bands) in decibels."""
        centre = torch.rand(batch, 1, generator=generator) * bands
        width = 4 + torch.rand(batch, 1, generator=generator) * bands / 4
        height = _uniform(batch, generator)[:, None] * self.filtering
        return height * torch.exp(-0.5 * ((torch.arange(bands) - centre) / width) ** 2)

    @staticmethod
    def _warp(log_mels: Tensor, shares: Tensor) -> Tensor:
        bands = log_mels.shape[-1]
        position = (torch.arange(bands) * (1 + shares[:, None])).clamp(max=bands - 1).to(log_mels.device)
        below = position.floor().long().clamp(max=bands - 2)
        weight = (position - below)[:, None]
        index = below[:, None].expand(-1, log_mels.shape[1], -1)
        return log_mels.gather(2, index) * (1 - weight) + log_mels.gather(2, index + 1) * weight


def _uniform(batch: int, generator: torch.Generator) -> Tensor:
    return 2 * torch.rand(batch, generator=generator) - 1
