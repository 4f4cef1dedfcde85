"""Training of the feature inverters (paper section 3.3).

One pass of the detector per batch feeds all inverters that are being trained, and its own Conv5 feature is the target
of the feature loss. One optimiser step moves them all; since no weight is shared, each inverter learns exactly as if it
were trained alone.

A run is a folder with one state file. It is written at the end of each epoch and every few minutes in between, and a
resumed run goes on to the same weights as an unbroken one.
"""

import copy
import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from svdlib.errors import TrainingError
from svdlib.excerpts import ExcerptBank
from svdlib.inverters import FeatureInverter, build_inverter, in_channels_last
from svdlib.memory import keep_freed_memory
from svdlib.model import COMPARATOR_LAYER, LAYERS, SVDNet, check_layer
from svdlib.objectives import WEIGHT_DECAY, check_objective, decayed_parameters, reconstruction_losses
from svdlib.progress import progress
from svdlib.runs import carry_on, mix_seeds, own_chance
from svdlib.storage import digest, load_state, pack_adam, restore_adam, save_state

STATE_FILE = "state.npz"
SCHEDULES = ("plateau", "cosine")
VALIDATION_BATCH = 64
SMALLEST_GAIN = 1e-3
"""A training loss that falls by less than this share has stalled."""


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast the inverters learn.

    Attributes:
        epochs: passes over the training excerpts, or over `steps_per_epoch` batches.
        batch_size: excerpts per update.
        learning_rate: Adam's initial step size.
        schedule: "plateau" halves a layer's rate when its training loss stalls for `patience` epochs, as published;
            "cosine" lowers it smoothly to nothing over the run, which makes the most of a short one.
        patience: epochs without improvement before the rate is halved.
        steps_per_epoch: updates per epoch; None takes every excerpt once.
        validation_excerpts: how many excerpts of the validation split measure each epoch.
    """

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-3
    schedule: str = "plateau"
    patience: int = 2
    steps_per_epoch: int | None = None
    validation_excerpts: int = 1024

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise TrainingError(f"There is no schedule {self.schedule!r}. Known schedules: {', '.join(SCHEDULES)}.")
        positive = ("epochs", "batch_size", "learning_rate", "patience", "validation_excerpts")
        for name in positive:
            if not getattr(self, name) > 0:
                raise TrainingError(f"{name} must be positive, not {getattr(self, name)}.")
        if self.batch_size < 2:
            raise TrainingError("batch_size must be 2 or more: batch normalisation compares excerpts.")


PROFILES: dict[str, TrainingPlan] = {
    "demo": TrainingPlan(epochs=2, batch_size=16, schedule="cosine", steps_per_epoch=20, validation_excerpts=64),
    "laptop": TrainingPlan(epochs=16, batch_size=16, schedule="cosine", steps_per_epoch=100, validation_excerpts=256),
    "full": TrainingPlan(),
}
"""demo: a minute, to see the machinery move; laptop: about an hour on two cores; full: the published schedule."""


@dataclass
class Epoch:
    """What one epoch brought, per layer.

    Attributes:
        training: mean training loss per layer.
        validation: validation loss per layer.
        learning_rate: step size per layer during the epoch.
    """

    training: dict[str, float]
    validation: dict[str, float]
    learning_rate: dict[str, float]


@dataclass
class FittedInverters:
    """The result of a run.

    Attributes:
        inverters: the network with the lowest validation loss per layer, in eval mode.
        history: one entry per epoch.
        finished: False if the run stopped at its time limit and can be resumed.
    """

    inverters: dict[str, FeatureInverter]
    history: list[Epoch]
    finished: bool

    def record(self, layer: str) -> dict[str, Any]:
        """How the training of one layer went, for its provenance."""
        validation = [epoch.validation[layer] for epoch in self.history]
        best = min(range(len(validation)), key=validation.__getitem__)
        return {
            "best_epoch": best + 1,
            "best_validation_loss": validation[best],
            "validation_losses": validation,
            "training_losses": [epoch.training[layer] for epoch in self.history],
        }


def fit_inverters(
    detector: SVDNet,
    train: ExcerptBank,
    valid: ExcerptBank,
    *,
    layers: Sequence[str] = LAYERS,
    variant: str = "published",
    objective: str = "joint",
    plan: TrainingPlan = PROFILES["full"],
    seed: int = 0,
    precision: torch.dtype = torch.float32,
    folder: Path | None = None,
    resume: bool = False,
    minutes: float = math.inf,
    checkpoint_minutes: float = 5.0,
) -> FittedInverters:
    """Train the inverters of any set of layers in one run.

    Args:
        detector: the trained detector; it is only read.
        train: training excerpts, on the device to train on.
        valid: validation excerpts, on the same device; the epoch with the lowest loss on them is kept, per layer.
        layers: which layers to invert.
        variant: which family of inverters.
        objective: "joint" or "input", see `svdlib.objectives`.
        plan: how long and how fast.
        seed: of initial weights and of the order of excerpts.
        precision: torch.bfloat16 computes activations in half the width; weights stay float32.
        folder: where the state is kept; None keeps nothing.
        resume: go on from the state in `folder` if there is one.
        minutes: stop in good order after this long, to be resumed.
        checkpoint_minutes: time between two states inside an epoch.

    Raises:
        LayerError: if a layer or the variant does not exist.
        TrainingError: if the run cannot start, its state belongs to another run, or a loss is no longer finite.
        OutputError: if the state cannot be written.
    """
    if train.device.type == "cpu":
        keep_freed_memory()
    run = _Run(detector, train, valid, layers, variant, objective, plan, seed, precision, folder)
    limits = {"minutes": minutes, "checkpoint_minutes": checkpoint_minutes}
    return run.result(carry_on(run, epochs=plan.epochs, resume=resume, **limits))


class _Run:
    """One training run: its networks, its optimiser and how far it has come."""

    def __init__(
        self,
        detector: SVDNet,
        train: ExcerptBank,
        valid: ExcerptBank,
        layers: Sequence[str],
        variant: str,
        objective: str,
        plan: TrainingPlan,
        seed: int,
        precision: torch.dtype,
        folder: Path | None,
    ) -> None:
        self.layers = tuple(check_layer(layer) for layer in LAYERS if layer in {check_layer(name) for name in layers})
        if not self.layers:
            raise TrainingError(f"No layer to invert was named. The detector's layers are: {', '.join(LAYERS)}.")
        self.objective = check_objective(objective)
        self.train, self.valid, self.plan, self.seed, self.precision = train, valid, plan, seed, precision
        self.steps = plan.steps_per_epoch or len(train) // plan.batch_size
        if not 0 < self.steps * plan.batch_size <= len(train):
            raise TrainingError(
                f"{len(train)} training excerpts do not fill {max(self.steps, 1)} batches of {plan.batch_size}. "
                "Take more or longer songs, smaller batches, or fewer steps per epoch."
            )
        self.detector = _frozen(detector, train.device)
        self.state_path = Path(folder) / STATE_FILE if folder else None
        self.inverters = self._new_inverters(variant)
        self.best = {layer: _copy_of(inverter) for layer, inverter in self.inverters.items()}
        self.optimiser = self._new_optimiser()
        # A GPU is fastest with all reconstructions in one comparator pass; a CPU with what fits its cache.
        self.groups = [self.layers] if train.device.type == "cuda" else [(layer,) for layer in self.layers]
        self.loss_sums = torch.zeros(len(self.layers), device=train.device)
        self.epoch, self.step = 0, 0
        self.history: list[Epoch] = []
        self.identity = self._identify(variant)

    def _new_inverters(self, variant: str) -> dict[str, FeatureInverter]:
        inverters = {}
        for layer in self.layers:
            # A seed per layer, so that a layer starts alike whichever others are trained beside it.
            with own_chance(mix_seeds(self.seed, LAYERS.index(layer)), self.train.device):
                inverters[layer] = in_channels_last(build_inverter(layer, variant), self.train.device)
        return inverters

    def _new_optimiser(self) -> torch.optim.Optimizer:
        groups = []
        for layer, inverter in self.inverters.items():
            penalised, free = decayed_parameters(inverter)
            # The gradient of beta * sum(w^2) is 2 beta w, which is what Adam's weight_decay adds.
            groups.append({"params": penalised, "weight_decay": 2 * WEIGHT_DECAY, "layer": layer})
            groups.append({"params": free, "weight_decay": 0.0, "layer": layer})
        return torch.optim.Adam(groups, lr=self.plan.learning_rate, fused=True)

    def _identify(self, variant: str) -> dict[str, Any]:
        weights = torch.cat([value.flatten().float() for value in self.detector.state_dict().values()])
        return {
            "layers": list(self.layers),
            "variant": variant,
            "objective": self.objective,
            "plan": asdict(self.plan),
            "seed": self.seed,
            "precision": str(self.precision),
            "detector": digest(weights),
            "training_excerpts": digest(self.train.frames),
            "validation_excerpts": digest(self.valid.frames),
        }

    def updates(self) -> Iterator[None]:
        """Do the rest of the epoch, yielding after each update."""
        generator = torch.Generator().manual_seed(mix_seeds(self.seed, self.epoch))
        order = torch.randperm(len(self.train), generator=generator).to(self.train.device)
        batches = order[: self.steps * self.plan.batch_size].view(self.steps, self.plan.batch_size)
        description = f"epoch {self.epoch + 1}/{self.plan.epochs}, {len(self.layers)} inverters"
        for batch in progress(batches[self.step :], description=description, unit="batch"):
            self._update(batch)
            self.step += 1
            yield

    def _update(self, batch: Tensor) -> None:
        if self.plan.schedule == "cosine":
            done = (self.epoch * self.steps + self.step) / (self.plan.epochs * self.steps)
            rate = self.plan.learning_rate * (1 + math.cos(math.pi * done)) / 2
            self._set_rates(dict.fromkeys(self.layers, rate))
        self.optimiser.zero_grad(set_to_none=True)
        losses = self._losses(self.train.gather(batch), learn=True)
        self.optimiser.step()
        self.loss_sums += losses

    def _losses(self, x: Tensor, *, learn: bool) -> Tensor:
        """Loss per layer (layers,) on excerpts (batch, 1, 115, 80); `learn` also adds up the gradients."""
        joint = self.objective == "joint"
        losses = []
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.precision != torch.float32):
            with torch.no_grad():
                features = self.detector.features(x, {*self.layers, COMPARATOR_LAYER} if joint else self.layers)
            theta_x = features[COMPARATOR_LAYER] if joint else None
            for group in self.groups:
                reconstructions = {layer: self.inverters[layer](features[layer]) for layer in group}
                of_group = torch.stack(list(reconstruction_losses(x, theta_x, reconstructions, self._compare).values()))
                if learn:
                    of_group.sum().backward()
                losses.append(of_group.detach())
        return torch.cat(losses)

    def _compare(self, x: Tensor) -> Tensor:
        return self.detector.features(x, (COMPARATOR_LAYER,))[COMPARATOR_LAYER]

    def close_epoch(self) -> None:
        """Validate, keep what is best so far, and set the next epoch's learning rates."""
        training = dict(zip(self.layers, (self.loss_sums / self.steps).tolist(), strict=True))
        self._stop_if_diverged(training, "training")
        validation = self._validate()
        self._stop_if_diverged(validation, "validation")
        rates = {group["layer"]: group["lr"] for group in self.optimiser.param_groups}
        for layer in self.layers:
            if validation[layer] < min([epoch.validation[layer] for epoch in self.history], default=math.inf):
                self.best[layer] = _copy_of(self.inverters[layer])
        self.history.append(Epoch(training, validation, rates))
        if self.plan.schedule == "plateau":
            self._set_rates({layer: self._rate_after_plateau(layer) for layer in self.layers})
        self.loss_sums.zero_()
        self.epoch, self.step = self.epoch + 1, 0

    def _stop_if_diverged(self, losses: dict[str, float], split: str) -> None:
        broken = [layer for layer, loss in losses.items() if not math.isfinite(loss)]
        if broken:
            raise TrainingError(
                f"The {split} loss of {', '.join(broken)} is no longer a finite number in epoch {self.epoch + 1}. "
                f"Lower the learning rate, and look for NaN in the {split} spectrograms."
            )

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        for inverter in self.inverters.values():
            inverter.eval()
        chosen = self.valid.spread(self.plan.validation_excerpts)
        total = torch.zeros(len(self.layers), device=chosen.device)
        for batch in chosen.split(VALIDATION_BATCH):
            total += self._losses(self.valid.gather(batch), learn=False) * len(batch)
        for inverter in self.inverters.values():
            inverter.train()
        return dict(zip(self.layers, (total / len(chosen)).tolist(), strict=True))

    def _rate_after_plateau(self, layer: str) -> float:
        """Halve the rate if the last `patience` epochs did not better the training loss at this rate."""
        rate = self.history[-1].learning_rate[layer]
        losses = [epoch.training[layer] for epoch in self.history]
        at_this_rate = sum(epoch.learning_rate[layer] == rate for epoch in self.history)
        patience = self.plan.patience
        if at_this_rate < patience or len(losses) <= patience:
            return rate
        stalled = min(losses[-patience:]) > min(losses[:-patience]) * (1 - SMALLEST_GAIN)
        return rate / 2 if stalled else rate

    def _set_rates(self, rates: dict[str, float]) -> None:
        for group in self.optimiser.param_groups:
            group["lr"] = rates[group["layer"]]

    def save(self) -> None:
        """Write the state, if the run has a folder."""
        if not self.state_path:
            return
        arrays = {"loss_sums": self.loss_sums}
        for layer, inverter in self.inverters.items():
            arrays |= {f"current/{layer}/{name}": value for name, value in inverter.state_dict().items()}
            arrays |= {f"best/{layer}/{name}": value for name, value in self.best[layer].items()}
        arrays |= pack_adam(self.optimiser)
        meta = {
            "identity": self.identity,
            "epoch": self.epoch,
            "step": self.step,
            "rates": [group["lr"] for group in self.optimiser.param_groups],
            "history": [asdict(epoch) for epoch in self.history],
        }
        save_state(self.state_path, arrays, meta)

    def restore(self) -> None:
        """Go back to the saved state.

        Raises:
            TrainingError: if the state is damaged or belongs to a run with other settings or data.
        """
        arrays, meta = load_state(self.state_path)
        different = [key for key, value in self.identity.items() if meta.get("identity", {}).get(key) != value]
        if different:
            raise TrainingError(
                f"The state {self.state_path} belongs to another run: {', '.join(different)} differ. "
                "Use the same settings and data, or choose another folder."
            )
        parts: dict[str, dict[str, dict[str, Tensor]]] = {"current": {}, "best": {}, "adam": {}}
        for name, value in arrays.items():
            if name != "loss_sums":
                part, owner, rest = name.split("/", 2)
                parts[part].setdefault(owner, {})[rest] = value
        for layer, inverter in self.inverters.items():
            inverter.load_state_dict(parts["current"][layer])
            self.best[layer] = {name: value.to(self.train.device) for name, value in parts["best"][layer].items()}
        averages = {int(number): values for number, values in parts["adam"].items()}
        restore_adam(self.optimiser, averages, meta["rates"])
        self.loss_sums.copy_(arrays["loss_sums"])
        self.epoch, self.step = meta["epoch"], meta["step"]
        self.history = [Epoch(**epoch) for epoch in meta["history"]]

    def result(self, finished: bool) -> FittedInverters:
        """The best inverters so far."""
        inverters = {}
        for layer, current in self.inverters.items():
            inverters[layer] = copy.deepcopy(current)
            inverters[layer].load_state_dict(self.best[layer])
            inverters[layer].eval()
        return FittedInverters(inverters, self.history, finished)


def _copy_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}


def _frozen(detector: SVDNet, device: torch.device) -> SVDNet:
    """A copy of the detector that is never trained, in the layout that convolutions run fastest in."""
    return in_channels_last(copy.deepcopy(detector).eval().requires_grad_(False), device)
