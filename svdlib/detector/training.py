"""Training of the singing-voice detector (after Schlüter & Grill, ISMIR 2015).

The detector learns on segments of 394 frames, each scored at 32 centre frames in one pass (`SVDNet.segment_logits`):
the same network and the same labels as with single excerpts, at an eighth of the cost.
"""

import copy
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.audio.spectra import compress, magnitude_spectra, mel_magnitudes, scale_axes
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.distributed import add_up, as_the_leader, average, processes, rank, share_of
from svdlib.compute.dropout import share_dropout
from svdlib.compute.memory import keep_freed_memory
from svdlib.compute.progress import progress
from svdlib.compute.run_state import carry_on, mix_seeds, own_chance
from svdlib.compute.storage import digest, load_state, pack_adam, restore_adam, save_state
from svdlib.detector.augmentation import Augmentation
from svdlib.detector.excerpts import Songs
from svdlib.detector.model import CENTRE_FRAME, EXCERPT_FRAMES, TIME_STRIDE, SVDNet
from svdlib.detector.remixing import Remixing
from svdlib.errors import CorpusError, TrainingError
from svdlib.inversion.inverters import in_channels_last
from svdlib.inversion.nre import best_threshold, smooth
from svdlib.paper.training import PublishedPlan, SpectrumBatches

STATE_FILE = "state.npz"
CHUNK_FRAMES = 2048  # transposed at once, to spare memory
SEGMENT_FRAMES = EXCERPT_FRAMES + 31 * TIME_STRIDE
CERTAINTY = 0.98
"""Targets are 0.02 and 0.98, so that the detector is never pushed to be surer than the labels deserve."""

PITCH_SHIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)
"""Changes of pitch, as shares, over which `predict_averaged` averages. Which ones the paper takes, we do not know."""


@dataclass(frozen=True)
class DetectorPlan:
    """How long and how fast the detector learns.

    Attributes:
        epochs: number of validations.
        steps_per_epoch: updates between two validations.
        batch_size: segments per update, of all processes together.
        learning_rate: Adam's step size at the start; it falls to nothing along a cosine.
        augmentation: how strongly segments are changed.
        remixing: how segments are mixed anew, where the training songs have stems.
    """

    epochs: int = 20
    steps_per_epoch: int = 100
    batch_size: int = 16
    learning_rate: float = 1e-3
    augmentation: Augmentation = Augmentation()
    remixing: Remixing = Remixing()

    keeps_best: ClassVar[bool] = True

    def __post_init__(self) -> None:
        for name in ("epochs", "steps_per_epoch", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} must be positive, not {getattr(self, name)}.")

    def optimiser(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimiser of a run."""
        return torch.optim.Adam(parameters, lr=self.learning_rate, fused=True)

    def rate(self, updates: int) -> float:
        """Step size after so many updates."""
        done = updates / (self.epochs * self.steps_per_epoch)
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2


DETECTOR_PROFILES: dict[str, DetectorPlan | PublishedPlan] = {
    "demo": DetectorPlan(epochs=2, steps_per_epoch=20, batch_size=4),
    "laptop": DetectorPlan(epochs=12),
    "full": DetectorPlan(epochs=40, steps_per_epoch=250, batch_size=32),
    "published": PublishedPlan(),
}
"""demo: a minute; laptop: a quarter of an hour on two cores; full: for a GPU; published: as Schlüter & Grill did it."""


@dataclass
class FittedDetector:
    """The result of a run.

    Attributes:
        detector: the network with the lowest validation loss, or the last one if the plan says so, in eval mode.
        threshold: the smoothed probability above which a frame counts as sung, chosen on the validation songs.
        history: per epoch, "training" and "validation" loss and validation "accuracy".
        finished: False if the run stopped at its time limit and can be resumed.
        keeps_best: False if the last network is kept, whatever its validation loss.
    """

    detector: SVDNet
    threshold: float
    history: list[dict[str, float]]
    finished: bool
    keeps_best: bool = True

    @property
    def best_epoch(self) -> dict[str, float]:
        """The epoch that was kept: its number and its losses, for the provenance."""
        best = len(self.history) - 1
        if self.keeps_best:
            best = min(range(len(self.history)), key=lambda index: self.history[index]["validation"])
        scores = {f"best_{name}": value for name, value in self.history[best].items()}
        return {"best_epoch": best + 1} | scores


def fit_detector(
    train: Songs,
    valid: Songs,
    *,
    plan: DetectorPlan | PublishedPlan = DETECTOR_PROFILES["full"],
    seed: int = 0,
    device: torch.device | str = "cpu",
    folder: Path | None = None,
    resume: bool = False,
    minutes: float = math.inf,
    checkpoint_minutes: float = 5.0,
) -> FittedDetector:
    """Train the detector.

    Args:
        train: the training songs; they also give the standardisation. A published plan needs their spectra.
        valid: the validation songs; they choose the epoch to keep and the threshold.
        plan: how long and how fast.
        seed: of initial weights, order of segments, augmentation and dropout.
        device: where to train.
        folder: where the state is kept; None keeps nothing.
        resume: go on from the state in `folder` if there is one.
        minutes: stop in good order after this long, to be resumed.
        checkpoint_minutes: time between two states inside an epoch.

    Raises:
        CorpusError: if a song is shorter than an excerpt, the labels know only one class, or spectra are missing.
        TrainingError: if the state belongs to another run, the loss is no longer finite, or several processes cannot
            divide a batch evenly.
    """
    device = torch.device(device)
    if device.type == "cpu":
        keep_freed_memory()
    run = _Run(train, valid, plan, seed, device, folder)
    limits = {"minutes": minutes, "checkpoint_minutes": checkpoint_minutes}
    return run.result(carry_on(run, epochs=plan.epochs, resume=resume, **limits))


class _Run:
    """One training run: network, optimiser and how far it has come."""

    def __init__(
        self,
        train: Songs,
        valid: Songs,
        plan: DetectorPlan | PublishedPlan,
        seed: int,
        device: torch.device,
        folder: Path | None,
    ) -> None:
        _check_songs(train)
        self.plan, self.seed, self.device, self.valid = plan, seed, device, valid
        self.share = share_of(plan.batch_size)
        self.detector = self._new_detector()
        self.detector.standardizer = Standardizer.fit(train.log_mels).to(device)
        share_dropout(self.detector)
        as_the_leader(list(self.detector.state_dict().values()))
        self.optimiser = plan.optimiser(self.detector.parameters())
        self.spectra = SpectrumBatches(train, plan, device) if isinstance(plan, PublishedPlan) else None
        self.frames = _end_to_end(train.log_mels, device)
        self.stems = [_end_to_end(part, device) for part in (train.voices, train.bands) if train.has_stems]
        self.labels = torch.as_tensor(np.concatenate(train.labels), dtype=torch.float32).to(device)
        shortest = min(len(song) for song in train.log_mels)
        self.length = min(SEGMENT_FRAMES, EXCERPT_FRAMES + (shortest - EXCERPT_FRAMES) // TIME_STRIDE * TIME_STRIDE)
        ends = np.cumsum([len(song) for song in train.log_mels])
        starts = np.concatenate([[0], ends[:-1]])
        self.starts = torch.as_tensor(
            np.concatenate([np.arange(a, b - self.length + 1) for a, b in zip(starts, ends, strict=True)])
        )
        self.state_path = Path(folder) / STATE_FILE if folder else None
        self.epoch, self.step, self.history = 0, 0, []
        self.best = copy.deepcopy(self.detector.state_dict())
        self.best_threshold = 0.5
        self.loss_sum = torch.zeros((), device=device)

    def _new_detector(self) -> SVDNet:
        with own_chance(mix_seeds(self.seed), self.device):
            return in_channels_last(SVDNet(), self.device)

    def updates(self) -> Iterator[None]:
        """Do the rest of the epoch, yielding after each update."""
        self.detector.train()
        description = f"detector, epoch {self.epoch + 1}/{self.plan.epochs}"
        for step in progress(range(self.step, self.plan.steps_per_epoch), description=description, unit="batch"):
            # Each update has its own seed, so that a run can stop and go on between any two.
            seed = mix_seeds(self.seed, self.epoch, step)
            with own_chance(seed, self.device):
                self._update(torch.Generator().manual_seed(seed))
            self.step += 1
            yield

    def _update(self, generator: torch.Generator) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = self.plan.rate(self.epoch * self.plan.steps_per_epoch + self.step)
        # Each process draws the whole batch, so that how many there are does not matter, and scores its share.
        segments, targets = (part[self.share] for part in self._draw(generator))
        loss = F.binary_cross_entropy_with_logits(self.detector.segment_logits(segments), targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        average([loss.detach(), *(parameter.grad for parameter in self.detector.parameters())])
        self.optimiser.step()
        self.loss_sum += loss.detach()

    def _draw(self, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Randomly drawn, changed segments (batch, 1, frames, 80), and their targets (batch, centre frames)."""
        if self.spectra:
            excerpts, sung = self.spectra.draw(self.detector.standardizer, generator)
            return excerpts, _soften(sung)
        chosen = self._places(generator)
        segments, targets = self._cut(self.frames, chosen), self._targets(chosen)
        if self.stems:
            voices, bands = self.stems
            elsewhere = self._cut(bands, self._places(generator))
            segments, silent = self.plan.remixing(segments, self._cut(voices, chosen), elsewhere, generator)
            targets = targets * ~silent[:, None]
        segments = self.detector.standardizer(self.plan.augmentation(segments, generator))
        return segments[:, None], _soften(targets)

    def _places(self, generator: torch.Generator) -> Tensor:
        """First frames of randomly drawn segments: (batch,)."""
        drawn = torch.randint(len(self.starts), (self.plan.batch_size,), generator=generator)
        return self.starts[drawn].to(self.device)

    def _cut(self, frames: Tensor, starts: Tensor) -> Tensor:
        return frames[starts[:, None] + torch.arange(self.length, device=self.device)]

    def _targets(self, starts: Tensor) -> Tensor:
        """1 where somebody sings at a centre frame, else 0: (batch, centre frames)."""
        centres = torch.arange(CENTRE_FRAME, self.length - CENTRE_FRAME, TIME_STRIDE, device=self.device)
        return self.labels[starts[:, None] + centres]

    def close_epoch(self) -> None:
        """Validate on whole songs and keep what is best so far."""
        training = float(self.loss_sum) / self.plan.steps_per_epoch
        self._stop_if_diverged(training, "training")
        self.detector.eval()
        scores = self._predict_validation()
        truth = [np.asarray(label, dtype=bool) for label in self.valid.labels]
        pooled = np.clip(np.concatenate(scores), 1e-6, 1 - 1e-6)
        sung = np.concatenate(truth)
        validation = float(-np.mean(np.log(np.where(sung, pooled, 1 - pooled))))
        self._stop_if_diverged(validation, "validation")
        threshold, accuracy = best_threshold([smooth(score) for score in scores], truth)
        lowest = min([epoch["validation"] for epoch in self.history], default=math.inf)
        if validation < lowest or not self.plan.keeps_best:
            self.best = copy.deepcopy(self.detector.state_dict())
            self.best_threshold = threshold
        self.history.append({"training": training, "validation": validation, "accuracy": accuracy})
        self.loss_sum.zero_()
        self.epoch, self.step = self.epoch + 1, 0

    def _predict_validation(self) -> list[np.ndarray]:
        """Probabilities (frames,) per validation song; each process predicts some of the songs for all."""
        log_mels = self.valid.log_mels
        pooled = torch.zeros(sum(map(len, log_mels)), device=self.device)
        scores = pooled.split([len(song) for song in log_mels])
        for number in range(rank(), len(log_mels), processes()):
            scores[number].copy_(torch.from_numpy(predict(self.detector, log_mels[number])))
        return [score.numpy() for score in add_up(pooled).cpu().split([len(song) for song in log_mels])]

    def _stop_if_diverged(self, loss: float, split: str) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"The detector's {split} loss is no longer a finite number in epoch {self.epoch + 1}. "
                f"Lower the learning rate, and look for NaN in the {split} spectrograms."
            )

    def _identity(self) -> dict:
        identity = {
            "plan": asdict(self.plan),
            "seed": self.seed,
            "training_songs": [digest(part) for part in (self.frames, self.labels, *self.stems)]
            + (self.spectra.digests if self.spectra else []),
            "validation_songs": [
                digest(torch.as_tensor(np.concatenate(part))) for part in (self.valid.log_mels, self.valid.labels)
            ],
        }
        return json.loads(json.dumps(identity))  # as it is read back: tuples become lists

    def save(self) -> None:
        """Write the state, if the run has a folder."""
        if not self.state_path:
            return
        arrays: dict[str, Tensor] = {f"current/{name}": value for name, value in self.detector.state_dict().items()}
        arrays |= {f"best/{name}": value for name, value in self.best.items()}
        arrays |= pack_adam(self.optimiser)
        arrays["loss_sum"] = self.loss_sum
        progress_made = {"epoch": self.epoch, "step": self.step, "history": self.history}
        meta = {"identity": self._identity(), "threshold": self.best_threshold} | progress_made
        save_state(self.state_path, arrays, meta)

    def restore(self) -> None:
        """Go back to the saved state; TrainingError if it is damaged or another run's."""
        arrays, meta = load_state(self.state_path)
        if meta.get("identity") != self._identity():
            raise TrainingError(
                f"The state {self.state_path} belongs to a run with other settings or songs. Choose another folder."
            )
        self.detector.load_state_dict(_under("current/", arrays))
        self.best = {name: value.to(self.device) for name, value in _under("best/", arrays).items()}
        averages: dict[int, dict[str, Tensor]] = {}
        for name, value in _under("adam/", arrays).items():
            number, entry = name.split("/")
            averages.setdefault(int(number), {})[entry] = value
        # The step size follows from the number of updates done, whatever it was.
        restore_adam(self.optimiser, averages, [self.plan.learning_rate])
        self.loss_sum.copy_(arrays["loss_sum"])
        self.epoch, self.step, self.history = meta["epoch"], meta["step"], meta["history"]
        self.best_threshold = meta["threshold"]

    def result(self, finished: bool) -> FittedDetector:
        """The best detector so far."""
        detector = self._new_detector()
        detector.load_state_dict(self.best)
        return FittedDetector(detector.eval(), self.best_threshold, self.history, finished, self.plan.keeps_best)


def predict(detector: SVDNet, log_mel: np.ndarray) -> np.ndarray:
    """Probability of singing in each frame of a song.

    Args:
        detector: a trained detector.
        log_mel: the song's raw log-mel (frames, 80).

    Returns:
        Probabilities (frames,), not smoothed.
    """
    device = detector.standardizer.mean.device
    spectrogram = detector.standardizer(torch.as_tensor(log_mel, dtype=torch.float32, device=device))
    return detector.predict_song(spectrogram).cpu().numpy()


@torch.no_grad()
def predict_averaged(detector: SVDNet, samples: np.ndarray, pitch_shifts: Sequence[float] = PITCH_SHIFTS) -> np.ndarray:
    """Probability of singing in each frame, averaged over transposed versions of a song (Schlüter & Grill, 2015).

    Args:
        detector: a trained detector.
        samples: the song (samples,), 22050 Hz. A log-mel would not do: pitch is changed before the mel filters.
        pitch_shifts: changes of pitch as shares, each above -1; `(0,)` alone gives what `predict` gives.

    Returns:
        Probabilities (frames,), not smoothed.

    Raises:
        TrainingError: if there is no shift, or one is -1 or less.
    """
    if not len(pitch_shifts) or min(pitch_shifts) <= -1:
        raise TrainingError(f"Pitch shifts are shares above -1, one or more of them, not {tuple(pitch_shifts)}.")
    spectra = magnitude_spectra(np.asarray(samples, dtype=np.float32))
    chunks = spectra.to(detector.standardizer.mean.device).split(CHUNK_FRAMES)
    total = np.zeros(len(spectra))
    for shift in pitch_shifts:
        factor, same = torch.tensor([1.0 + shift], dtype=torch.float64), torch.ones(1)
        shifted = [mel_magnitudes(scale_axes(chunk[None], factor, same, len(chunk))[0]) for chunk in chunks]
        log_mel = detector.standardizer(compress(torch.cat(shifted)))
        total += detector.predict_song(log_mel).cpu().numpy()
    return (total / len(pitch_shifts)).astype(np.float32)


def _soften(sung: Tensor) -> Tensor:
    """Targets of 0.02 and 0.98 for labels of 0 and 1."""
    return sung * (2 * CERTAINTY - 1) + (1 - CERTAINTY)


def _end_to_end(log_mels: Sequence[np.ndarray], device: torch.device) -> Tensor:
    """Lay log-mels (frames, 80) end to end on a device."""
    return torch.cat([torch.as_tensor(song, dtype=torch.float32) for song in log_mels]).to(device)


def _under(prefix: str, arrays: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in arrays.items() if name.startswith(prefix)}


def _check_songs(songs: Songs) -> None:
    if not songs.log_mels or min(len(song) for song in songs.log_mels) < EXCERPT_FRAMES:
        raise CorpusError(f"The detector needs training songs of at least {EXCERPT_FRAMES} frames (1.66 s) each.")
    sung = np.concatenate(songs.labels)
    if sung.all() or not sung.any():
        raise CorpusError("The training songs hold only one class. The detector needs sung and unsung parts.")
