"""New mixes from the stems of songs: any voice over any band, at any level.

Only songs made by procedure have stems. A detector that hears every voice over many bands, and every band without its
voice, can't learn that a certain band means singing.
"""

import math
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

LOWEST_BAND = 10
"""Levels are compared from this mel band on, 290 Hz: below, drums and basses are loud, and hide no voice."""

MOST_GAIN = 15.0
"""No voice is moved further than that, in decibels: where nobody sings, what is left is an echo and no voice."""


def level(log_mels: Tensor) -> Tensor:
    """How loud segments are where they are loud, in decibels: (batch,) from raw log-mels (batch, frames, 80).

    The power of a frame is its mean over the bands from `LOWEST_BAND` on; the level is that of the frame which a tenth
    of the frames exceed.
    """
    power = torch.logsumexp(2 * log_mels[..., LOWEST_BAND:], -1) - math.log(log_mels.shape[-1] - LOWEST_BAND)
    return power.quantile(0.9, dim=-1) / (2 * NEPER_PER_DECIBEL)


@dataclass(frozen=True)
class Remixing:
    """How often segments are mixed anew, and how.

    Attributes:
        share: of segments that are a voice over the band of some other place, mostly of another song.
        gain: smallest and largest change of the voice's level, in decibels. Mostly louder: a voice that nobody can
            hear, but that counts as sung, teaches a detector to hear voices everywhere.
        muted: of the remixed segments, the share in which the voice is left out.
        ratio: smallest and largest level of the voice over that of the band it sings to, in decibels, see `level`; in
            place of `gain`, which leaves it to chance whether a voice from one song is heard in another.
        doubled: of the remixed segments, the share in which the bands of two places play, the second one at any level
            from `SECOND_BAND` decibels up to that of the first.
    """

    share: float = 1.0
    gain: tuple[float, float] = (-1.0, 11.0)
    muted: float = 0.25
    ratio: tuple[float, float] | None = None
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
        softest, loudest = self.ratio or self.gain
        gain = softest + chances[2] * (loudest - softest)
        if self.ratio:
            gain = (gain - level(voices) + level(bands)).clamp(-MOST_GAIN, MOST_GAIN)
        new = torch.where(muted[:, None, None], bands, mix(voices, bands, gain[:, None, None]))
        return torch.where(remixed[:, None, None], new, mixes), remixed & muted

    def _doubled(self, bands: Tensor, generator: torch.Generator) -> Tensor:
        """Let the band of the next segment of the batch play along in some."""
        chances = torch.rand(2, len(bands), generator=generator).to(bands.device)
        together = mix(bands.roll(1, 0), bands, (SECOND_BAND * chances[1])[:, None, None])
        return torch.where((chances[0] < self.doubled)[:, None, None], together, bands)
