"""New mixes from the stems of songs: any voice over any band, at any level.

Only songs made by procedure have stems. A detector that hears every voice over many bands, and every band without its
voice, can't learn that a certain band means singing.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from svdlib.audio.mel_axis import NEPER_PER_DECIBEL


def mix(voice: Tensor, band: Tensor, gain: Tensor | float = 0.0) -> Tensor:
    """The log-mel of a voice and a band that sound together.

    Sounds that have nothing to do with each other add up in power; a mel band is treated as one such power. The result
    is therefore right on average, not in every cell. In the sung parts of synthetic songs a cell is off by about
    0.1 on average.

    Args:
        voice: raw log-mels (..., frames, 80).
        band: likewise.
        gain: of the voice in decibels, a number or a tensor that broadcasts.
    """
    return 0.5 * torch.logaddexp(2 * (voice + gain * NEPER_PER_DECIBEL), 2 * band)


SECOND_BAND = -15.0
"""Level of a second band at its softest, in decibels."""


@dataclass(frozen=True)
class Remixing:
    """How often segments are mixed anew, and how.

    Attributes:
        share: of segments that are a voice over the band of some other place, mostly of another song.
        gain: smallest and largest change of the voice's level, in decibels. Mostly louder: a voice that nobody can
            hear, but that counts as sung, teaches a detector to hear voices everywhere.
        muted: of the remixed segments, the share in which the voice is left out.
        doubled: of the remixed segments, the share in which the bands of two places play, the second one at any level
            from `SECOND_BAND` decibels up to that of the first.
    """

    share: float = 1.0
    gain: tuple[float, float] = (-1.0, 11.0)
    muted: float = 0.25
    doubled: float = 0.0

    def __call__(
        self, mixes: Tensor, voices: Tensor, bands: Tensor, generator: torch.Generator
    ) -> tuple[Tensor, Tensor]:
        """Replace some segments by new mixes.

        Args:
            mixes: raw log-mels (batch, frames, 80) of the songs as they are.
            voices: log-mels of the voices of the same segments.
            bands: log-mels of bands from other places.
            generator: the source of chance, a CPU generator.

        Returns:
            The segments (batch, frames, 80), and which of them have lost their voice, boolean (batch,).
        """
        chances = torch.rand(3, len(mixes), generator=generator).to(mixes.device)
        remixed, muted = chances[0] < self.share, chances[1] < self.muted
        if self.doubled:
            bands = self._doubled(bands, generator)
        softest, loudest = self.gain
        gain = softest + chances[2] * (loudest - softest)
        new = torch.where(muted[:, None, None], bands, mix(voices, bands, gain[:, None, None]))
        return torch.where(remixed[:, None, None], new, mixes), remixed & muted

    def _doubled(self, bands: Tensor, generator: torch.Generator) -> Tensor:
        """Let the band of the next segment of the batch play along in some."""
        chances = torch.rand(2, len(bands), generator=generator).to(bands.device)
        together = mix(bands.roll(1, 0), bands, (SECOND_BAND * chances[1])[:, None, None])
        return torch.where((chances[0] < self.doubled)[:, None, None], together, bands)
