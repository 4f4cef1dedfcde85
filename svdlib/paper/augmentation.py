"""The seven changes to training excerpts that Schlüter & Grill (ISMIR 2015) tried, batched, on any device.

In the order in which they act:

1. mixing: an excerpt without singing is added, more softly;
2. pitch shift: the frequency axis of the linear-frequency spectrogram is scaled, before the mel filters;
3. time stretch: so is its time axis;
4. random frequency filter: gains in decibels on the mel bands, before the logarithm;
5. loudness: the same gain on all of them;
6. Gaussian noise, on the standardised spectrogram;
7. dropout: some of its cells are set to 0.

The paper's abstract says that pitch shifting helped most, and that its results come from combining it with time
stretching and random frequency filters. That combination is the default here, and the other four are off. So it is in
the authors' released training program (f0k/ismir2015, experiments/train.py), whose ranges of +-30 %, +-30 % and +-10 dB
these are. It scales axes with quadratic splines, we do so linearly. We could *not* confirm against the paper's text:
the filters' 150 Hz to 8 kHz and 5 to 7 semitones, that every factor is drawn evenly from its range, at which factor
excerpts are mixed, and whether dropout rescales what it leaves. They are defaults that you can change.
"""

import math
from dataclasses import dataclass, fields, replace

import torch
from torch import Tensor

from svdlib.audio.mel_axis import EXCERPT_FRAMES, NEPER_PER_DECIBEL, band_frequencies
from svdlib.audio.spectra import compress, mel_magnitudes, scale_axes
from svdlib.audio.standardizer import Standardizer
from svdlib.errors import TrainingError

FILTER_HZ = (150.0, 8000.0)
"""The centre of a random filter is drawn evenly on the logarithmic scale between these."""

FILTER_SEMITONES = (5.0, 7.0)
"""The standard deviation of a random filter's Gaussian is drawn from this range."""


@dataclass(frozen=True)
class PublishedAugmentation:
    """How strongly excerpts are changed; a strength of 0 switches a change off.

    Attributes:
        pitch: largest change of pitch, as a share.
        stretch: largest change of duration, as a share.
        filtering: largest boost or cut of the random filter, in decibels.
        loudness: largest change of level, in decibels.
        noise: standard deviation of the noise, in standardised units.
        dropout: share of the standardised cells that are set to 0, the average sound; the rest stays as it is.
        mixing: largest factor of the excerpt that is mixed in. An excerpt that is not sung takes no label with it,
            so the label of the first excerpt is that of the mix.
    """

    pitch: float = 0.3
    stretch: float = 0.3
    filtering: float = 10.0
    loudness: float = 0.0
    noise: float = 0.0
    dropout: float = 0.0
    mixing: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            strength = getattr(self, field.name)
            below = 1.0 if field.name in ("pitch", "stretch", "dropout") else math.inf
            if not 0 <= strength < below:
                raise TrainingError(f"{field.name} is {strength}; it must be at least 0 and below {below:g}.")

    def margin(self, frames: int = EXCERPT_FRAMES) -> int:
        """How many frames before and after an excerpt must be given, so that it can be made shorter."""
        half = (frames - 1) / 2
        return math.ceil(half / (1 - self.stretch) - half)

    def __call__(
        self,
        windows: Tensor,
        standardizer: Standardizer,
        generator: torch.Generator,
        *,
        unsung: Tensor | None = None,
        frames: int = EXCERPT_FRAMES,
    ) -> Tensor:
        """Change each excerpt in its own way.

        Args:
            windows: magnitudes (batch, frames + 2 margin, 513), the excerpts with what lies around them.
            standardizer: of the training songs.
            generator: the source of chance, a CPU generator. The first five changes use the same draws for an excerpt,
                whatever their strengths are.
            unsung: of the same shape, excerpts without singing to mix in; only needed where `mixing` is not 0.
            frames: length of the excerpts.

        Returns:
            Standardised log-mels (batch, frames, 80), ready for the detector.

        Raises:
            TrainingError: if the windows are too short, or mixing is wanted and `unsung` is missing.
        """
        return self.corrupt(standardizer(self.log_mels(windows, generator, unsung=unsung, frames=frames)), generator)

    def log_mels(
        self,
        windows: Tensor,
        generator: torch.Generator,
        *,
        unsung: Tensor | None = None,
        frames: int = EXCERPT_FRAMES,
    ) -> Tensor:
        """The first five changes alone; arguments as above, raw log-mels (batch, frames, 80) are returned."""
        margin = (windows.shape[1] - frames) // 2
        if margin < self.margin(frames) or (windows.shape[1] - frames) % 2:
            needed = frames + 2 * self.margin(frames)
            raise TrainingError(f"Excerpts of {frames} frames need windows of {needed}, not {windows.shape[1]}.")
        chance = torch.rand(7, len(windows), generator=generator)
        around = 2 * chance - 1
        if self.mixing:
            if unsung is None:
                raise TrainingError("Mixing needs excerpts without singing to mix in; give them as `unsung`.")
            windows = mix_in(windows, unsung, self.mixing * chance[0])
        if self.pitch or self.stretch:
            windows = scale_axes(windows, 1 + self.pitch * around[1], 1 + self.stretch * around[2], frames)
        else:
            windows = windows[:, margin : margin + frames]
        mel = mel_magnitudes(windows)
        if not (self.filtering or self.loudness):
            return compress(mel)
        low, high = FILTER_HZ
        centres = low * (high / low) ** chance[3]
        widths = FILTER_SEMITONES[0] + (FILTER_SEMITONES[1] - FILTER_SEMITONES[0]) * chance[4]
        decibels = filter_response(centres, widths, self.filtering * around[5]) + self.loudness * around[6][:, None]
        return compress(amplify(mel, decibels))

    def corrupt(self, standardised: Tensor, generator: torch.Generator) -> Tensor:
        """The last two changes alone, on standardised log-mels (batch, frames, 80)."""
        if self.noise:
            noise = torch.randn(standardised.shape, generator=generator)
            standardised = standardised + self.noise * noise.to(standardised)
        if self.dropout:
            kept = torch.rand(standardised.shape, generator=generator) >= self.dropout
            standardised = standardised * kept.to(standardised)
        return standardised


NO_AUGMENTATION = PublishedAugmentation(pitch=0, stretch=0, filtering=0)
ALL_SEVEN = replace(PublishedAugmentation(), loudness=10.0, noise=0.1, dropout=0.1, mixing=0.5)
"""Each of the seven at a strength that can be seen and heard; the paper's abstract names only the first three."""


def mix_in(spectra: Tensor, unsung: Tensor, factors: Tensor) -> Tensor:
    """Add excerpts without singing, each at its own factor.

    Magnitudes are added, as if all partials were in step. Of two sounds that have nothing to do with each other the sum
    is on average a little softer.

    Args:
        spectra: magnitudes (batch, frames, 513).
        unsung: likewise.
        factors: (batch,).
    """
    return spectra + factors.to(spectra)[:, None, None] * unsung


def filter_response(centres: Tensor, widths: Tensor, gains: Tensor) -> Tensor:
    """Gaussian frequency responses on a logarithmic frequency axis, at the 80 mel bands' peaks.

    Args:
        centres: where each filter acts most, in hertz (batch,).
        widths: standard deviation of the Gaussian, in semitones (batch,).
        gains: boost (positive) or cut at the centre, in decibels (batch,).

    Returns:
        Decibels (batch, 80).
    """
    semitones = 12 * torch.log2(band_frequencies() / centres.double()[:, None])
    return (gains.double()[:, None] * torch.exp(-0.5 * (semitones / widths.double()[:, None]) ** 2)).float()


def amplify(mel: Tensor, decibels: Tensor) -> Tensor:
    """Multiply mel magnitudes (batch, frames, 80) by gains in decibels (batch, 80): silence stays silence."""
    return mel * (decibels * NEPER_PER_DECIBEL).exp().to(mel)[:, None]
