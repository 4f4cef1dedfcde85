"""The batches that the detector learns from: changed segments of songs, and what a plan must say of them."""

from collections.abc import Iterable
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.storage import digest
from svdlib.detector.architecture import CENTRE_FRAME, TIME_STRIDE
from svdlib.detector.augmentation import Augmentation
from svdlib.detector.remixing import Remixing
from svdlib.songs.loading import Songs

SEGMENT_FRAMES = EXCERPT_FRAMES + 31 * TIME_STRIDE


class Batches(Protocol):
    """Where a run's batches come from."""

    digests: list[str]
    """What tells the songs from others."""

    def draw(self, standardizer: Standardizer, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a batch.

        Args:
            standardizer: of the training songs.
            generator: the source of chance, a CPU generator.

        Returns:
            Standardised segments (batch, 1, frames, 80), and whether each of their centres is sung, 0 or 1
            (batch, centres).
        """


class Plan(Protocol):
    """How a detector learns: what `DetectorPlan` and the published plan have in common. It is a frozen dataclass."""

    __dataclass_fields__: ClassVar[dict[str, Any]]
    keeps_best: ClassVar[bool]
    """Whether the network with the lowest validation loss is the result, or else the last one."""
    needs_spectra: ClassVar[bool]
    """Whether the training songs need linear-frequency spectra, or else stems if they have them."""

    @property
    def epochs(self) -> int:
        """Number of validations."""

    @property
    def steps_per_epoch(self) -> int:
        """Updates between two validations."""

    @property
    def batch_size(self) -> int:
        """Segments, or excerpts, per update, of all processes together."""

    @property
    def averaging(self) -> float:
        """Share of the averaged weights that an update leaves; 0 averages nothing."""

    def optimiser(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimiser of a run."""

    def rate(self, updates: int) -> float:
        """Step size after so many updates."""

    def batches(self, songs: Songs, device: torch.device) -> Batches:
        """Get ready to draw batches from the training songs."""


def end_to_end(log_mels: Iterable[np.ndarray], device: torch.device) -> Tensor:
    """Lay log-mels (frames, 80) end to end on a device."""
    return torch.cat([torch.as_tensor(song, dtype=torch.float32) for song in log_mels]).to(device)


class SegmentBatches:
    """Segments of songs, mixed anew where the songs have stems, augmented, and scored at several centre frames.

    Attributes:
        digests: what tells these songs from others.
        length: frames of a segment: 394, or fewer where a song is shorter.
    """

    def __init__(
        self, songs: Songs, batch_size: int, augmentation: Augmentation, remixing: Remixing, device: torch.device
    ) -> None:
        """Lay the songs end to end on the device."""
        self.batch_size, self.augmentation, self.remixing, self.device = batch_size, augmentation, remixing, device
        self.frames = end_to_end(songs.log_mels, device)
        self.stems = [end_to_end(part, device) for part in (songs.voices, songs.bands) if songs.has_stems]
        self.labels = torch.as_tensor(np.concatenate(songs.labels), dtype=torch.float32).to(device)
        self.digests = [digest(part) for part in (self.frames, self.labels, *self.stems)]
        lengths = [len(song) for song in songs.log_mels]
        self.length = min(SEGMENT_FRAMES, EXCERPT_FRAMES + (min(lengths) - EXCERPT_FRAMES) // TIME_STRIDE * TIME_STRIDE)
        ends = np.cumsum(lengths)
        starts = [np.arange(b - n, b - self.length + 1) for n, b in zip(lengths, ends, strict=True)]
        self.starts = torch.as_tensor(np.concatenate(starts))

    def draw(self, standardizer: Standardizer, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a batch, see `Batches.draw`."""
        chosen = self._places(generator)
        segments, sung = self._cut(self.frames, chosen), self._sung(chosen)
        if self.stems:
            voices, bands = self.stems
            elsewhere = self._cut(bands, self._places(generator))
            segments, silent = self.remixing(segments, self._cut(voices, chosen), elsewhere, generator)
            sung = sung * ~silent[:, None]
        return standardizer(self.augmentation(segments, generator))[:, None], sung

    def _places(self, generator: torch.Generator) -> Tensor:
        """First frames of randomly drawn segments: (batch,)."""
        drawn = torch.randint(len(self.starts), (self.batch_size,), generator=generator)
        return self.starts[drawn].to(self.device)

    def _cut(self, frames: Tensor, starts: Tensor) -> Tensor:
        return frames[starts[:, None] + torch.arange(self.length, device=self.device)]

    def _sung(self, starts: Tensor) -> Tensor:
        """1 where somebody sings at a centre frame, else 0: (batch, centre frames)."""
        centres = torch.arange(CENTRE_FRAME, self.length - CENTRE_FRAME, TIME_STRIDE, device=self.device)
        return self.labels[starts[:, None] + centres]
