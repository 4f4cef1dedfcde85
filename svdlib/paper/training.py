"""The detector's training after Schlüter & Grill (ISMIR 2015): its plan, and its batches of augmented excerpts."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.audio.spectra import unpack
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.storage import digest
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.detector.segments import end_to_end
from svdlib.errors import CorpusError, PlanError
from svdlib.paper.augmentation import PublishedAugmentation
from svdlib.songs.loading import Songs


@dataclass(frozen=True)
class PublishedPlan:
    """Stochastic gradient descent on single excerpts, for a fixed number of updates; the last weights are kept.

    The numbers are those of the authors' released training program (f0k/ismir2015, experiments/train.py): batches of 32
    random excerpts, targets of 0.02 and 0.98, Nesterov momentum, 20 rounds of 2000 updates with a smaller step size
    after each, nothing stopped early. Two things differ a little. When the step size changes, the program's momentum
    remembers steps of the old size, PyTorch's remembers gradients. And the program scales axes with quadratic splines.

    Attributes:
        epochs: number of validations; they only watch.
        steps_per_epoch: updates between two validations.
        batch_size: excerpts per update.
        learning_rate: step size at the start.
        momentum: of Nesterov's method.
        decay: the step size is multiplied by it ...
        decay_every: ... each time so many updates are done.
        augmentation: how strongly excerpts are changed.
    """

    epochs: int = 20
    steps_per_epoch: int = 2000
    batch_size: int = 32
    learning_rate: float = 1e-2
    momentum: float = 0.95
    decay: float = 0.85
    decay_every: int = 2000
    augmentation: PublishedAugmentation = PublishedAugmentation()

    averaging: ClassVar[float] = 0.0
    keeps_best: ClassVar[bool] = False
    needs_spectra: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("epochs", "steps_per_epoch", "batch_size", "learning_rate", "momentum", "decay", "decay_every"):
            if not getattr(self, name) > 0:
                raise PlanError(f"{name} must be positive, not {getattr(self, name)}.")

    def optimiser(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimiser of a run."""
        return torch.optim.SGD(parameters, lr=self.learning_rate, momentum=self.momentum, nesterov=True)

    def rate(self, updates: int) -> float:
        """Step size after so many updates."""
        return self.learning_rate * self.decay ** (updates // self.decay_every)

    def batches(self, songs: Songs, device: torch.device) -> "SpectrumBatches":
        """Get ready to draw excerpts from the spectra of the training songs."""
        return SpectrumBatches(songs, self, device)


class SpectrumBatches:
    """Random excerpts of songs, augmented as published, from spectra that stay on the device.

    Attributes:
        digests: what tells these songs from others.
    """

    def __init__(self, songs: Songs, plan: PublishedPlan, device: torch.device) -> None:
        """Lay the songs end to end.

        Raises:
            CorpusError: if the songs have no spectra, or there is nothing to mix in.
        """
        if not songs.spectra:
            raise CorpusError(
                "Training as published changes linear-frequency spectra, and these songs hold only log-mels. "
                "Add them with svdlib.songs.loading.with_spectra."
            )
        self.plan, self.device = plan, device
        self.margin = plan.augmentation.margin()
        self.spectra = torch.cat([torch.as_tensor(song) for song in songs.spectra]).to(device)
        labels = torch.as_tensor(np.concatenate(songs.labels), dtype=torch.float32)
        self.digests = [digest(part) for part in (end_to_end(songs.log_mels, device), labels, self.spectra)]
        lengths = np.array([len(song) for song in songs.spectra])
        ends = np.cumsum(lengths)
        begins = ends - lengths
        starts = [np.arange(a, b - EXCERPT_FRAMES + 1) for a, b in zip(begins, ends, strict=True)]
        song_of = np.repeat(np.arange(len(lengths)), [len(within) for within in starts])
        self.starts = torch.as_tensor(np.concatenate(starts))
        self.bounds = torch.as_tensor(np.stack([begins, ends], axis=1)[song_of])
        self.sung = torch.as_tensor(np.concatenate(songs.labels).astype(bool))[self.starts + CENTRE_FRAME]
        self.unsung = torch.nonzero(~self.sung)[:, 0]
        if plan.augmentation.mixing and not len(self.unsung):
            raise CorpusError("Mixing needs excerpts whose centre is not sung, and there is none. Set mixing to 0.")

    def draw(self, standardizer: Standardizer, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw a batch.

        Args:
            standardizer: of the training songs.
            generator: the source of chance, a CPU generator.

        Returns:
            Standardised excerpts (batch, 1, 115, 80), and whether their centres are sung, 0 or 1 (batch, 1).
        """
        augmentation, batch = self.plan.augmentation, self.plan.batch_size
        chosen = torch.randint(len(self.starts), (batch,), generator=generator)
        unsung = None
        if augmentation.mixing:
            others = torch.randint(len(self.unsung), (batch,), generator=generator)
            unsung = self._cut(self.unsung[others])
        excerpts = augmentation(self._cut(chosen), standardizer, generator, unsung=unsung)
        return excerpts[:, None], self.sung[chosen].float()[:, None].to(self.device)

    def _cut(self, indices: Tensor) -> Tensor:
        """Excerpts with the margins around them; beyond the ends of their song there is silence, as in predictions."""
        around = torch.arange(-self.margin, EXCERPT_FRAMES + self.margin)
        frames = self.starts[indices][:, None] + around
        begins, ends = self.bounds[indices].unbind(1)
        inside = (frames >= begins[:, None]) & (frames < ends[:, None])
        windows = unpack(self.spectra[frames.clamp(0, len(self.spectra) - 1).to(self.device)])
        return windows * inside.to(windows)[..., None]
