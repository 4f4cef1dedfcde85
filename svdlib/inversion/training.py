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
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from svdlib.compute.batch_norm import share_batches
from svdlib.compute.cuda_graph import CapturedUpdate
from svdlib.compute.devices import choose_precision
from svdlib.compute.distributed import add_up, as_the_leader, average, processes, rank, share_of
from svdlib.compute.memory import PeakMemory, keep_freed_memory, peak_memory
from svdlib.compute.progress import progress
from svdlib.compute.run_state import carry_on, mix_seeds, own_chance
from svdlib.compute.storage import digest, load_state, pack_adam, restore_adam, save_state
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import COMPARATOR_LAYER, LAYERS, SVDNet, check_layer
from svdlib.errors import TrainingError
from svdlib.inversion.adversary import ADVERSARIAL_WEIGHT, Adversary
from svdlib.inversion.inverters import FeatureInverter, build_inverter, in_channels_last
from svdlib.inversion.objectives import (
    WEIGHT_DECAY,
    check_objective,
    decayed_parameters,
    reconstruction_losses,
    weight_penalty,
    without_gradient,
)
from svdlib.inversion.plans import PROFILES, TrainingPlan, plan_under
from svdlib.paper.released import LasagneAdam, average_as_released, stalled_when_truncated

STATE_FILE = "state.npz"
VALIDATION_BATCH = 64
SMALLEST_GAIN = 1e-3
"""A training loss that falls by less than this share has stalled."""


@dataclass
class Epoch:
    """What one epoch brought, per layer.

    Attributes:
        training: mean training loss per layer.
        validation: validation loss per layer.
        learning_rate: step size per layer during the epoch.
        discriminator: mean loss of each layer's discriminator, where the objective is "adversarial"; else empty.
    """

    training: dict[str, float]
    validation: dict[str, float]
    learning_rate: dict[str, float]
    discriminator: dict[str, float] = field(default_factory=dict)


@dataclass
class FittedInverters:
    """The result of a run.

    Attributes:
        inverters: per layer the network of the epoch that the plan keeps, in eval mode.
        history: one entry per epoch.
        finished: False if the run stopped at its time limit and can be resumed.
        keep: which epoch that is: "best" or "last".
        precision: of activations, "float32" or "bfloat16".
        memory: the most that this process has held, so far.
        last: per layer the network after the last update, in eval mode; none where only the kept ones were stored.
    """

    inverters: dict[str, FeatureInverter]
    history: list[Epoch]
    finished: bool
    keep: str = "best"
    precision: str = "float32"
    memory: PeakMemory | None = None
    last: dict[str, FeatureInverter] = field(default_factory=dict)

    def record(self, layer: str) -> dict[str, Any]:
        """How the training of one layer went, for its provenance."""
        validation = [epoch.validation[layer] for epoch in self.history]
        best = min(range(len(validation)), key=validation.__getitem__)
        judged = [epoch.discriminator[layer] for epoch in self.history if epoch.discriminator]
        record = {
            "kept_epoch": best + 1 if self.keep == "best" else len(validation),
            "best_epoch": best + 1,
            "best_validation_loss": validation[best],
            "validation_losses": validation,
            "training_losses": [epoch.training[layer] for epoch in self.history],
        }
        adversarial = {"adversarial_weight": ADVERSARIAL_WEIGHT, "discriminator_losses": judged}
        return record | adversarial if judged else record


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
    precision: torch.dtype | str = torch.float32,
    folder: Path | None = None,
    resume: bool = False,
    minutes: float = math.inf,
    checkpoint_minutes: float = 5.0,
    capture: bool | None = None,
) -> FittedInverters:
    """Train the inverters of any set of layers in one run.

    Args:
        detector: the trained detector; it is only read.
        train: training excerpts, on the device to train on.
        valid: validation excerpts, on the same device; the epoch with the lowest loss on them is kept, per layer, if
            the plan keeps the best.
        layers: which layers to invert.
        variant: which family of inverters.
        objective: "joint", "input", "released" or "adversarial", see `svdlib.inversion.objectives`.
        plan: how long and how fast; "released" has its own schedule and keeps the last epoch, see `plan_under`.
        seed: of initial weights and of the order of excerpts.
        precision: torch.bfloat16 computes activations in half the width; weights stay float32. "auto" takes it where
            the device has units for it, see `choose_precision`, but not for "released", which is there for comparison.
        folder: where the state is kept; None keeps nothing.
        resume: go on from the state in `folder` if there is one.
        minutes: stop in good order after this long, to be resumed.
        checkpoint_minutes: time between two states inside an epoch.
        capture: whether to record the update as a CUDA graph, see `svdlib.compute.cuda_graph`; None does where it can
            be done: on a GPU, in a single process, for the objectives "joint" and "input".

    Raises:
        LayerError: if a layer or the variant does not exist.
        DeviceError: if there is no such precision.
        TrainingError: if the run cannot start, its state belongs to another run, a loss is no longer finite, or several
            processes cannot divide a batch evenly.
        OutputError: if the state cannot be written.
    """
    if train.device.type == "cpu":
        keep_freed_memory()
    if isinstance(precision, str):
        exact = objective == "released" and precision == "auto"
        precision = choose_precision("float32" if exact else precision, train.device)
    run = _Run(detector, train, valid, layers, variant, objective, plan, seed, precision, folder, capture)
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
        capture: bool | None,
    ) -> None:
        self.layers = tuple(check_layer(layer) for layer in LAYERS if layer in {check_layer(name) for name in layers})
        if not self.layers:
            raise TrainingError(f"No layer to invert was named. The detector's layers are: {', '.join(LAYERS)}.")
        self.objective, self.variant = check_objective(objective), variant
        self.plan = plan = plan_under(objective, plan)
        self.train, self.valid, self.seed, self.precision = train, valid, seed, precision
        self.steps = plan.steps_per_epoch or len(train) // plan.batch_size
        if not 0 < self.steps * plan.batch_size <= len(train):
            raise TrainingError(
                f"{len(train)} training excerpts do not fill {max(self.steps, 1)} batches of {plan.batch_size}. "
                "Take more or longer songs, smaller batches, or fewer steps per epoch."
            )
        self.share = share_of(plan.batch_size)
        self.detector = self._place(copy.deepcopy(detector).eval().requires_grad_(False))
        self.state_path = Path(folder) / STATE_FILE if folder else None
        self.inverters = {layer: share_batches(inverter) for layer, inverter in self._new_inverters().items()}
        for network in (self.detector, *self.inverters.values()):
            as_the_leader(list(network.state_dict().values()))
        if self.objective == "released":
            self.inverters = {layer: average_as_released(inverter) for layer, inverter in self.inverters.items()}
        self.best = {layer: _copy_of(inverter) for layer, inverter in self.inverters.items()}
        # On the device, so that a recorded update sees them change. A GPU's fused Adam reads single precision, the
        # processor's takes the very number.
        exactly = torch.float32 if train.device.type == "cuda" else torch.float64
        self.rates = dict.fromkeys(self.layers, plan.learning_rate)
        self.rates_there = {layer: torch.tensor(0.0, dtype=exactly, device=train.device) for layer in self.layers}
        self.optimiser = self._new_optimiser()
        self._set_rates(self.rates)
        adversarial = self.objective == "adversarial"
        self.adversary = Adversary(self.layers, train.device, seed) if adversarial else None
        # A GPU is fastest with all reconstructions in one comparator pass; a CPU with what fits its cache.
        self.groups = [self.layers] if train.device.type == "cuda" else [(layer,) for layer in self.layers]
        self.loss_sums = torch.zeros(len(self.layers), device=train.device)
        self.epoch, self.step = 0, 0
        self.history: list[Epoch] = []
        self.identity = self._identify()
        self.advance = self._advance
        if self._captures(capture):
            self.advance = CapturedUpdate(self._advance, train.device)

    def _captures(self, wanted: bool | None) -> bool:
        """Whether to record the update; an explicit wish that would give wrong results is refused."""
        # Of the others, one changes a constant at each update, and one decides by its losses who learns.
        possible = self.objective in ("joint", "input") and processes() == 1
        if wanted and not possible:
            raise TrainingError(
                f"An update of several processes, or of the objective {self.objective!r}, cannot be recorded. "
                "Leave out capture, or use one process and the objective 'joint' or 'input'."
            )
        return possible and self.train.device.type == "cuda" if wanted is None else wanted

    def _new_inverters(self) -> dict[str, FeatureInverter]:
        inverters = {}
        for layer in self.layers:
            # A seed per layer, so that a layer starts alike whichever others are trained beside it.
            with own_chance(mix_seeds(self.seed, LAYERS.index(layer)), self.train.device):
                inverters[layer] = self._place(build_inverter(layer, self.variant))
        return inverters

    def _place(self, network: nn.Module) -> nn.Module:
        """Move a network to the device in the layout that convolutions run fastest in; "released" goes for exactness.

        On a CPU, PyTorch's batch normalisation adds up less exactly in the fast layout: errors of 1e-4 in the output.
        """
        device = self.train.device
        return network.to(device) if self.objective == "released" else in_channels_last(network, device)

    def _new_optimiser(self) -> torch.optim.Optimizer:
        groups = []
        for layer, inverter in self.inverters.items():
            penalised, free = decayed_parameters(inverter)
            # The gradient of beta * sum(w^2) is 2 beta w, which is what Adam's weight_decay adds.
            groups.append({"params": penalised, "weight_decay": 2 * WEIGHT_DECAY, "layer": layer})
            groups.append({"params": free, "weight_decay": 0.0, "layer": layer})
        adam = LasagneAdam if self.objective == "released" else torch.optim.Adam
        on_gpu = self.train.device.type == "cuda"
        return adam(groups, lr=self.plan.learning_rate, fused=True, capturable=on_gpu)

    def _identify(self) -> dict[str, Any]:
        weights = torch.cat([value.flatten().float() for value in self.detector.state_dict().values()])
        identity = {
            "layers": list(self.layers),
            "variant": self.variant,
            "objective": self.objective,
            "plan": asdict(self.plan),
            "seed": self.seed,
            "precision": str(self.precision),
            "detector": digest(weights),
            "training_excerpts": digest(self.train.frames),
            "validation_excerpts": digest(self.valid.frames),
        }
        return identity | {"adversarial_weight": ADVERSARIAL_WEIGHT} if self.adversary else identity

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
        self.advance(batch)

    def _advance(self, batch: Tensor) -> None:
        """One update on the excerpts of a batch of indices; nothing in it may wait for the device."""
        self.optimiser.zero_grad(set_to_none=True)
        losses = self._losses(self.train.gather(batch[self.share]), learn=True)
        average([losses, *(value.grad for group in self.optimiser.param_groups for value in group["params"])])
        if self.objective == "released":
            # Its rule for the rate looks at the loss with all its terms.
            losses += torch.stack([weight_penalty(inverter, WEIGHT_DECAY) for inverter in self.inverters.values()])
        self.optimiser.step()
        self.loss_sums += losses

    def _losses(self, x: Tensor, *, learn: bool) -> Tensor:
        """Loss per layer (layers,) on excerpts (batch, 1, 115, 80); `learn` also adds up the gradients.

        The released code validates on the input loss alone. The adversarial term is no part of the value: it depends
        on a discriminator that changes from step to step, and says nothing about whether an inverter grew better.
        """
        released = self.objective == "released"
        compares = learn if released else self.objective != "input"
        comparator = without_gradient(self._compare) if released else self._compare
        losses = []
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.precision != torch.float32):
            with torch.no_grad():
                features = self.detector.features(x, {*self.layers, COMPARATOR_LAYER} if compares else self.layers)
            theta_x = features[COMPARATOR_LAYER] if compares else None
            for group in self.groups:
                reconstructions = {layer: self.inverters[layer](features[layer]) for layer in group}
                of_group = torch.stack(list(reconstruction_losses(x, theta_x, reconstructions, comparator).values()))
                if learn:
                    total = of_group.sum()
                    if self.adversary:
                        self.adversary.learn(x, features, reconstructions)
                        total = total + self.adversary.term(features, reconstructions)
                    total.backward()
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
        rates = dict(self.rates)
        for layer in self.layers:
            lowest = min([epoch.validation[layer] for epoch in self.history], default=math.inf)
            if self.plan.keep == "last" or validation[layer] < lowest:
                self.best[layer] = _copy_of(self.inverters[layer])
        discriminator = self.adversary.close_epoch(self.steps) if self.adversary else {}
        self.history.append(Epoch(training, validation, rates, discriminator))
        if self.plan.schedule != "cosine":
            self._set_rates({layer: self._next_rate(layer) for layer in self.layers})
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
        chosen = self.valid.spread(self.plan.validation_excerpts or len(self.valid))
        total = torch.zeros(len(self.layers), device=chosen.device)
        # Each process measures some of the batches for all.
        for batch in chosen.split(VALIDATION_BATCH)[rank() :: processes()]:
            total += self._losses(self.valid.gather(batch), learn=False) * len(batch)
        add_up(total)
        for inverter in self.inverters.values():
            inverter.train()
        return dict(zip(self.layers, (total / len(chosen)).tolist(), strict=True))

    def _next_rate(self, layer: str) -> float:
        """Halve the rate if the training loss has stalled: by the released rule, or for `patience` epochs at this rate.

        Both look at the history alone, which is part of the saved state.
        """
        rate = self.history[-1].learning_rate[layer]
        losses = [epoch.training[layer] for epoch in self.history]
        if self.plan.schedule == "truncated":
            return rate / 2 if stalled_when_truncated(losses) else rate
        at_this_rate = sum(epoch.learning_rate[layer] == rate for epoch in self.history)
        patience = self.plan.patience
        if at_this_rate < patience or len(losses) <= patience:
            return rate
        stalled = min(losses[-patience:]) > min(losses[:-patience]) * (1 - SMALLEST_GAIN)
        return rate / 2 if stalled else rate

    def _set_rates(self, rates: dict[str, float]) -> None:
        self.rates = rates
        for layer, rate in rates.items():
            self.rates_there[layer].fill_(rate)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rates_there[group["layer"]]

    def save(self) -> None:
        """Write the state, if the run has a folder."""
        if not self.state_path:
            return
        arrays = {"loss_sums": self.loss_sums}
        for layer, inverter in self.inverters.items():
            arrays |= {f"current/{layer}/{name}": value for name, value in inverter.state_dict().items()}
            arrays |= {f"best/{layer}/{name}": value for name, value in self.best[layer].items()}
        arrays |= pack_adam(self.optimiser)
        if self.adversary:
            arrays |= self.adversary.arrays()
        meta = {
            "identity": self.identity,
            "epoch": self.epoch,
            "step": self.step,
            "rates": [self.rates[group["layer"]] for group in self.optimiser.param_groups],
            "history": [asdict(epoch) for epoch in self.history],
        }
        save_state(self.state_path, arrays, meta)

    def restore(self) -> None:
        """Go back to the saved state.

        Raises:
            TrainingError: if the state is damaged or belongs to a run with other settings or data.
        """
        arrays, meta = load_state(self.state_path)
        stored = meta.get("identity", {})
        # A plan from before plans could say which epoch to keep kept the best.
        stored["plan"] = {"keep": "best"} | stored.get("plan", {})
        different = [key for key, value in self.identity.items() if stored.get(key) != value]
        if different:
            raise TrainingError(
                f"The state {self.state_path} belongs to another run: {', '.join(different)} differ. "
                "Use the same settings and data, or choose another folder."
            )
        parts: dict[str, dict[str, dict[str, Tensor]]] = {"current": {}, "best": {}, "adam": {}}
        for name, value in arrays.items():
            if name.partition("/")[0] in parts:
                part, owner, rest = name.split("/", 2)
                parts[part].setdefault(owner, {})[rest] = value
        for layer, inverter in self.inverters.items():
            inverter.load_state_dict(parts["current"][layer])
            self.best[layer] = {name: value.to(self.train.device) for name, value in parts["best"][layer].items()}
        averages = {int(number): values for number, values in parts["adam"].items()}
        restore_adam(self.optimiser, averages, meta["rates"])
        layers = [group["layer"] for group in self.optimiser.param_groups]
        self._set_rates(dict(zip(layers, meta["rates"], strict=True)))
        self.loss_sums.copy_(arrays["loss_sums"])
        if self.adversary:
            self.adversary.restore(arrays)
        self.epoch, self.step = meta["epoch"], meta["step"]
        self.history = [Epoch(**epoch) for epoch in meta["history"]]

    def result(self, finished: bool) -> FittedInverters:
        """The inverters that are kept, so far, and the last ones."""
        kept = self._inverters_with(self.best)
        last = self._inverters_with({layer: inverter.state_dict() for layer, inverter in self.inverters.items()})
        precision = str(self.precision).removeprefix("torch.")
        memory = peak_memory(self.train.device)
        return FittedInverters(kept, self.history, finished, self.plan.keep, precision, memory, last)

    def _inverters_with(self, weights: dict[str, dict[str, Tensor]]) -> dict[str, FeatureInverter]:
        """New inverters in eval mode, free of what "released" changes in those under training."""
        inverters = self._new_inverters()
        for layer, inverter in inverters.items():
            inverter.load_state_dict(weights[layer])
            inverter.eval()
        return inverters


def _copy_of(module: nn.Module) -> dict[str, Tensor]:
    return {name: value.clone() for name, value in module.state_dict().items()}
