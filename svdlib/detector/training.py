"""Training of the singing-voice detector (after Schlüter & Grill, ISMIR 2015).

The detector learns on segments of 394 frames, each scored at 32 centre frames in one pass (`SVDNet.segment_logits`):
the same network and the same labels as with single excerpts, at an eighth of the cost. Another architecture learns from
the same segments in the same way. How a run is stopped, saved and resumed stands in `svdlib.compute.run_state`.
"""

import copy
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar, Generic, TypeVar, Unpack, overload

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.devices import choose_precision, in_channels_last
from svdlib.compute.distributed import add_up, as_the_leader, average, processes, rank, share_of
from svdlib.compute.dropout import share_dropout
from svdlib.compute.memory import keep_freed_memory
from svdlib.compute.progress import progress
from svdlib.compute.run_state import RunOptions, RunSettings, RunState, carry_on, copy_of, mix_seeds, own_chance
from svdlib.compute.storage import Tree, digest, pack_adam, restore_adam, weights_digest
from svdlib.detector.architecture import Detector
from svdlib.detector.augmentation import Augmentation
from svdlib.detector.distillation import Teachers
from svdlib.detector.model import SVDNet
from svdlib.detector.prediction import predict
from svdlib.detector.remixing import Remixing
from svdlib.detector.scores import area_under_curve, best_threshold, detector_scores, smooth
from svdlib.detector.segments import Plan, SegmentBatches
from svdlib.errors import CorpusError, PlanError, TrainingError
from svdlib.songs.loading import Songs

Trained = TypeVar("Trained", bound=Detector)

CURVE_DIGITS = 4

CERTAINTY = 0.98
"""Targets are 0.02 and 0.98, so that the detector is never pushed to be surer than the labels deserve."""


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
        averaging: how much of the averaged weights an update leaves: 0.999 averages over about the last thousand
            updates. The averaged network is validated and kept. 0 keeps the network as it is.
    """

    epochs: int = 20
    steps_per_epoch: int = 100
    batch_size: int = 16
    learning_rate: float = 1e-3
    augmentation: Augmentation = Augmentation()
    remixing: Remixing = Remixing()
    averaging: float = 0.0

    keeps_best: ClassVar[bool] = True
    needs_spectra: ClassVar[bool] = False

    def __post_init__(self) -> None:
        for name in ("epochs", "steps_per_epoch", "batch_size", "learning_rate"):
            if not getattr(self, name) > 0:
                raise PlanError(f"{name} must be positive, not {getattr(self, name)}.")
        if not 0 <= self.averaging < 1:
            raise PlanError(f"averaging is a share from 0 to below 1, not {self.averaging}.")

    def optimiser(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Make the optimiser of a run."""
        return torch.optim.Adam(parameters, lr=self.learning_rate, fused=True)

    def rate(self, updates: int) -> float:
        """Step size after so many updates."""
        done = updates / (self.epochs * self.steps_per_epoch)
        return self.learning_rate * (1 + math.cos(math.pi * done)) / 2

    def batches(self, songs: Songs, device: torch.device) -> SegmentBatches:
        """Get ready to draw segments from the training songs."""
        return SegmentBatches(songs, self.batch_size, self.augmentation, self.remixing, device)


@dataclass
class FittedDetector(Generic[Trained]):
    """The result of a run.

    Attributes:
        detector: the network with the lowest validation loss, or the last one if the plan says so, in eval mode; its
            threshold was chosen on the validation songs.
        history: per epoch, "training" and "validation" loss and validation "accuracy"; of watched songs also
            "watched_accuracy", and if one of them has both classes the "watched_auc" over all frames and the
            "watched_mean_auc" of such songs.
        finished: False if the run stopped at its time limit and can be resumed.
        keeps_best: False if the last network is kept, whatever its validation loss.
        precision: of activations, "float32" or "bfloat16".
    """

    detector: Trained
    history: list[dict[str, float]]
    finished: bool
    keeps_best: bool = True
    precision: str = "float32"

    @property
    def curve(self) -> dict[str, list[float | None]]:
        """The history, number by number, for the provenance; None where a number is not known."""
        names = dict.fromkeys(name for epoch in self.history for name in epoch)
        rounded = [{name: round(value, CURVE_DIGITS) for name, value in epoch.items()} for epoch in self.history]
        return {name: [epoch.get(name) for epoch in rounded] for name in names}

    @property
    def best_epoch(self) -> dict[str, float]:
        """The epoch that was kept: its number and its losses, for the provenance."""
        best = len(self.history) - 1
        if self.keeps_best:
            best = min(range(len(self.history)), key=lambda index: self.history[index]["validation"])
        scores = {f"best_{name}": value for name, value in self.history[best].items()}
        return {"best_epoch": best + 1} | scores


@overload
def fit_detector(
    train: Songs,
    valid: Songs,
    *,
    plan: Plan = ...,
    start: SVDNet | None = ...,
    teachers: Sequence[Detector] = ...,
    watched: Songs | None = ...,
    options: RunOptions = ...,
    **settings: Unpack[RunSettings],
) -> FittedDetector[SVDNet]: ...


@overload
def fit_detector(
    train: Songs,
    valid: Songs,
    *,
    plan: Plan = ...,
    architecture: type[Trained],
    start: Detector | None = ...,
    teachers: Sequence[Detector] = ...,
    watched: Songs | None = ...,
    options: RunOptions = ...,
    **settings: Unpack[RunSettings],
) -> FittedDetector[Trained]: ...


def fit_detector(
    train: Songs,
    valid: Songs,
    *,
    plan: Plan = DetectorPlan(),
    architecture: type[Any] = SVDNet,
    start: Detector | None = None,
    teachers: Sequence[Detector] = (),
    watched: Songs | None = None,
    options: RunOptions = RunOptions(),
    **settings: Unpack[RunSettings],
) -> FittedDetector[Any]:
    """Train the detector.

    Args:
        train: the training songs; they also give the standardisation. A published plan needs their spectra.
        valid: the validation songs; they choose the epoch to keep and the threshold.
        plan: how long and how fast; `svdlib.zoo.profiles` has longer ones.
        architecture: which network to train, see `svdlib.zoo.architectures`.
        start: a trained detector to go on from, with its weights and its standardisation; None starts from chance.
        teachers: trained detectors whose mean answer is learned beside the labels, see
            `svdlib.detector.distillation`.
        watched: songs on which every epoch is measured, and by which nothing is chosen: the learning curve.
        options: seed, device, precision, folder and time limit of the run.
        settings: options one by one, such as `seed=1`.

    Raises:
        CorpusError: if a song is shorter than an excerpt, the labels know only one class, or spectra are missing.
        DeviceError: if there is no such precision.
        TrainingError: if the state belongs to another run, the loss is no longer finite, or several processes cannot
            divide a batch evenly.
    """
    options = options.with_settings(**settings)
    run = _Run(train, valid, plan, architecture, start, teachers, watched, options)
    if run.device.type == "cpu":
        keep_freed_memory()
    return run.result(finished=carry_on(run, plan.epochs, options))


class _Run:
    """One training run: network, optimiser and how far it has come."""

    def __init__(
        self,
        train: Songs,
        valid: Songs,
        plan: Plan,
        architecture: type[Detector],
        start: Detector | None,
        teachers: Sequence[Detector],
        watched: Songs | None,
        options: RunOptions,
    ) -> None:
        _check_songs(train, valid)
        self.plan, self.seed, self.architecture = plan, options.seed, architecture
        self.valid, self.watched = valid, watched
        self.start = _check_start(start, architecture)
        self.device = torch.device(options.device)
        self.precision = choose_precision(options.precision, self.device)
        self.share = share_of(plan.batch_size)
        self.teachers = Teachers(teachers, self.device)
        self.detector = self._new_detector()
        self.detector.standardizer = Standardizer.fit(train.log_mels).to(self.device)
        if start is not None:
            self.detector.load_state_dict(start.state_dict())
        share_dropout(self.detector)
        as_the_leader(list(self.detector.state_dict().values()))
        # What is judged and kept: the network itself, or the average of what it has been.
        self.judged = copy.deepcopy(self.detector).eval() if plan.averaging else self.detector
        self.optimiser = plan.optimiser(self.detector.parameters())
        self.batches = plan.batches(train, self.device)
        self.epoch, self.step = 0, 0
        self.history: list[dict[str, float]] = []
        self.best = copy_of(self.judged.state_dict())
        self.best_threshold = self.detector.threshold
        self.loss_sum = torch.zeros((), device=self.device)
        self.state = RunState(options.state_path, self._identify(), options.named)

    def updates(self) -> Iterator[None]:
        """Do the rest of the epoch, yielding after each update."""
        self.detector.train()
        description = f"detector, epoch {self.epoch + 1}/{self.plan.epochs}"
        beyond = (self.plan.epochs - self.epoch - 1) * self.plan.steps_per_epoch
        steps = range(self.step, self.plan.steps_per_epoch)
        for step in progress(steps, description=description, unit="batch", beyond=beyond):
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
        segments, sung = (part[self.share] for part in self.batches.draw(self.detector.standardizer, generator))
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.precision != torch.float32):
            logits = self.detector.segment_logits(segments)
            targets = self.teachers.blend(_soften(sung), segments, self.detector.standardizer)
        loss = F.binary_cross_entropy_with_logits(logits.float(), targets)
        self.optimiser.zero_grad(set_to_none=True)
        loss.backward()
        gradients = [parameter.grad for parameter in self.detector.parameters() if parameter.grad is not None]
        average([loss.detach(), *gradients])
        self.optimiser.step()
        if self.plan.averaging:
            self._average()
        self.loss_sum += loss.detach()

    @torch.no_grad()
    def _average(self) -> None:
        """Move the averaged weights a little towards those of now; at first by more, to forget where it started."""
        done = self.epoch * self.plan.steps_per_epoch + self.step + 1
        share = 1 - min(self.plan.averaging, done / (done + 9))
        torch._foreach_lerp_(list(self.judged.parameters()), list(self.detector.parameters()), share)

    def close_epoch(self) -> None:
        """Validate on whole songs and keep what is best so far."""
        training = float(self.loss_sum) / self.plan.steps_per_epoch
        self._stop_if_diverged(training, "training")
        self.judged.eval()
        scores = self._predict(self.valid)
        truth = [np.asarray(label, dtype=bool) for label in self.valid.labels]
        pooled = np.clip(np.concatenate(scores), 1e-6, 1 - 1e-6)
        sung = np.concatenate(truth)
        validation = float(-np.mean(np.log(np.where(sung, pooled, 1 - pooled))))
        self._stop_if_diverged(validation, "validation")
        threshold, accuracy = best_threshold([smooth(score) for score in scores], truth)
        lowest = min([epoch["validation"] for epoch in self.history], default=math.inf)
        if validation < lowest or not self.plan.keeps_best:
            self.best = copy_of(self.judged.state_dict())
            self.best_threshold = threshold
        reached = {"training": training, "validation": validation, "accuracy": accuracy}
        self.history.append(reached | self._watch(threshold))
        self.loss_sum.zero_()
        self.epoch, self.step = self.epoch + 1, 0

    def _watch(self, threshold: float) -> dict[str, float]:
        """Scores on songs by which nothing is chosen; none, if there are none."""
        if self.watched is None:
            return {}
        curves = [smooth(scores) for scores in self._predict(self.watched)]
        truth = [np.asarray(label, dtype=bool) for label in self.watched.labels]
        pooled = detector_scores(curves, truth, threshold)
        of_songs = [area_under_curve(*each) for each in zip(curves, truth, strict=True)]
        known = [each for each in of_songs if math.isfinite(each)]  # a song of one class has none
        found = {"watched_accuracy": pooled["accuracy"]}
        if known:
            found |= {"watched_auc": pooled["auc"], "watched_mean_auc": float(np.mean(known))}
        return found

    def _predict(self, songs: Songs) -> list[np.ndarray]:
        """Probabilities (frames,) per song; each process predicts some of the songs for all."""
        log_mels = songs.log_mels
        pooled = torch.zeros(sum(map(len, log_mels)), device=self.device)
        scores = pooled.split([len(song) for song in log_mels])
        for number in range(rank(), len(log_mels), processes()):
            scores[number].copy_(torch.from_numpy(predict(self.judged, log_mels[number])))
        return [score.numpy() for score in add_up(pooled).cpu().split([len(song) for song in log_mels])]

    def _stop_if_diverged(self, loss: float, split: str) -> None:
        if not math.isfinite(loss):
            raise TrainingError(
                f"The detector's {split} loss is no longer a finite number in epoch {self.epoch + 1}. "
                f"Lower the learning rate, and look for NaN in the {split} spectrograms."
            )

    def _new_detector(self) -> Detector:
        with own_chance(mix_seeds(self.seed), self.device):
            return in_channels_last(self.architecture(), self.device)

    def _identify(self) -> dict[str, Any]:
        validation = (self.valid.log_mels, self.valid.labels)
        # None where there is nothing, so that a run without asks for a state without.
        return {
            "start": None if self.start is None else weights_digest(self.start),
            "teachers": self.teachers.digests or None,
            "architecture": None if self.architecture is SVDNet else self.architecture.kind,
            "plan": asdict(self.plan),
            "seed": self.seed,
            "precision": str(self.precision),
            "training_songs": self.batches.digests,
            "validation_songs": [digest(torch.as_tensor(np.concatenate(part))) for part in validation],
        }

    def pack(self) -> tuple[Tree, dict[str, Any]]:
        """All that the rest of the run depends on."""
        arrays: Tree = {
            "current": self.detector.state_dict(),
            "average": self.judged.state_dict() if self.plan.averaging else {},
            "best": self.best,
            "adam": pack_adam(self.optimiser),
            "loss_sum": self.loss_sum,
        }
        reached = {"epoch": self.epoch, "step": self.step, "history": self.history}
        return arrays, reached | {"threshold": self.best_threshold}

    def unpack(self, arrays: Tree, meta: Mapping[str, Any]) -> None:
        """Go back to where `pack` was called."""
        self.detector.load_state_dict(arrays["current"])
        if self.plan.averaging:
            self.judged.load_state_dict(arrays["average"])
        self.best = {name: value.to(self.device) for name, value in arrays["best"].items()}
        # The step size follows from the number of updates done, whatever it was.
        restore_adam(self.optimiser, arrays.get("adam", {}), [self.plan.rate(0)])
        self.loss_sum.copy_(arrays["loss_sum"])
        self.epoch, self.step, self.history = meta["epoch"], meta["step"], meta["history"]
        self.best_threshold = meta["threshold"]

    def result(self, *, finished: bool) -> FittedDetector[Any]:
        """The best detector so far."""
        detector = self._new_detector()
        detector.load_state_dict(self.best)
        detector.threshold = self.best_threshold
        precision = str(self.precision).removeprefix("torch.")
        return FittedDetector(detector.eval(), self.history, finished, self.plan.keeps_best, precision)


def _check_start(start: Detector | None, architecture: type[Detector]) -> Detector | None:
    """Return what a run goes on from, if it is of the architecture that is trained."""
    if start is not None and type(start) is not architecture:
        raise TrainingError(
            f"A {architecture.kind} cannot go on from a {start.kind}. Start from weights of its own kind."
        )
    return start


def _soften(sung: Tensor) -> Tensor:
    """Targets of 0.02 and 0.98 for labels of 0 and 1."""
    return sung * (2 * CERTAINTY - 1) + (1 - CERTAINTY)


def _check_songs(songs: Songs, valid: Songs) -> None:
    for each in (songs, valid):
        if not isinstance(each, Songs):
            raise CorpusError(
                f"Songs to learn from are what svdlib.load_songs returns, not a value of type {type(each).__name__}. "
                'Load them: svdlib.load_songs(svdlib.open_corpus("synthetic").split("train")).'
            )
    if not songs.log_mels or min(len(song) for song in songs.log_mels) < EXCERPT_FRAMES:
        raise CorpusError(f"The detector needs training songs of at least {EXCERPT_FRAMES} frames (1.66 s) each.")
    sung = np.concatenate(songs.labels)
    if sung.all() or not sung.any():
        raise CorpusError("The training songs hold only one class. The detector needs sung and unsung parts.")
