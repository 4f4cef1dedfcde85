"""Training of the feature inverters (paper section 3.3).

One pass of the encoder per batch feeds all inverters that are being trained, and its own feature at the comparator's
layer is the target of the feature loss. One optimiser step moves them all; since no weight is shared, each inverter
learns exactly as if it were trained alone. What is made small, and how, is the objective's
(`svdlib.inversion.objectives`); how a run is stopped, saved and resumed stands in `svdlib.compute.run_state`.
"""

import copy
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from svdlib.compute.batch_norm import share_batches
from svdlib.compute.cuda_graph import CapturedUpdate
from svdlib.compute.devices import choose_precision, in_channels_last
from svdlib.compute.distributed import add_up, as_the_leader, average, leads, processes, rank, share_of
from svdlib.compute.memory import PeakMemory, keep_freed_memory, peak_memory
from svdlib.compute.progress import progress
from svdlib.compute.run_state import RunOptions, RunState, carry_on, copy_of, mix_seeds, own_chance
from svdlib.compute.storage import Tree, pack_adam, restore_adam, weights_digest
from svdlib.compute.version import __version__
from svdlib.errors import LayerError, TrainingError
from svdlib.inversion.bank import Bank
from svdlib.inversion.comparison import Compare, ComparisonSpace, as_comparison
from svdlib.inversion.encoder import Encoder
from svdlib.inversion.files import save_inverter, weights_name
from svdlib.inversion.inverters import FeatureInverter, InverterSpec, as_map
from svdlib.inversion.listener import Listener
from svdlib.inversion.nre import mean_excerpt
from svdlib.inversion.objectives import WEIGHT_DECAY, Objective, decayed_parameters
from svdlib.inversion.plans import TrainingPlan

VALIDATION_BATCH = 64

CALLED = {"detector": "network", "training_excerpts": "training inputs", "validation_excerpts": "validation inputs"}
"""What messages call parts of a state where the network is no detector."""


@dataclass
class Epoch:
    """What one epoch brought, per layer.

    Attributes:
        training: mean training loss per layer.
        validation: validation loss per layer.
        learning_rate: step size per layer during the epoch.
        discriminator: mean loss of what learns beside each layer, such as a discriminator; else empty.
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
        settings: of the objective.
        memory: the most that this process has held, so far.
        last: per layer the network after the last update, in eval mode; none where only the kept ones were stored.
        started: per layer where the inverter comes from that its training went on from; empty if it began with chance.
        origin: where all of them come from: the network, the plan, the seed and the rest.
        reasons: per layer, why its inverter is of the family that it is, where that was chosen for it.
    """

    inverters: dict[str, FeatureInverter]
    history: list[Epoch]
    finished: bool
    keep: str = "best"
    precision: str = "float32"
    settings: dict[str, Any] = field(default_factory=dict)
    memory: PeakMemory | None = None
    last: dict[str, FeatureInverter] = field(default_factory=dict)
    started: dict[str, dict[str, Any]] = field(default_factory=dict)
    origin: dict[str, Any] = field(default_factory=dict)
    reasons: dict[str, str] = field(default_factory=dict)

    def __repr__(self) -> str:
        done = "" if self.finished else " so far, to be resumed"
        return f"FittedInverters of {', '.join(self.inverters)}, {len(self.history)} epochs{done}"

    def save(self, folder: str | PathLike[str], *, exact: bool = True) -> dict[str, Path]:
        """Write the inverters with their plans and provenance, a file per layer; `svdlib.load_inverters` reads them.

        Of several processes the leader writes.

        Args:
            folder: where to write; it is made if it is missing.
            exact: store the weights in single precision; in half, the files are half as large.

        Returns:
            The file of each layer.

        Raises:
            OutputError: if a file cannot be written.
        """
        names = {layer: weights_name(layer, inverter.variant) for layer, inverter in self.inverters.items()}
        for layer, inverter in self.inverters.items() if leads() else ():
            save_inverter(Path(folder) / names[layer], inverter, self.provenance(layer), exact=exact)
        return {layer: Path(folder) / name for layer, name in names.items()}

    def provenance(self, layer: str) -> dict[str, Any]:
        """Where the inverter of a layer comes from, how its training went, and why it is of its family."""
        why = {"reason": self.reasons[layer]} if layer in self.reasons else {}
        return self.origin | why | (self.record(layer) if self.history else {})

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
        start = {"start": self.started[layer]} if layer in self.started else {}
        return record | self.settings | start | ({"discriminator_losses": judged} if judged else {})


def fit_inverters(
    encoder: Listener,
    train: Bank,
    valid: Bank,
    specs: Mapping[str, InverterSpec],
    *,
    variant: str = "",
    compare: Compare = None,
    objective: Objective = Objective(),
    plan: TrainingPlan = TrainingPlan(),
    start: Mapping[str, FeatureInverter] | None = None,
    options: RunOptions = RunOptions(),
) -> FittedInverters:
    """Train the inverters of any set of layers in one run.

    Args:
        encoder: the trained network whose features are inverted; it is only read.
        train: training inputs, on the device to train on.
        valid: validation inputs, on the same device; the epoch with the lowest loss on them is kept, per layer, if
            the plan keeps the best.
        specs: per layer to invert, the plan of its inverter.
        variant: what the family of inverters is called; empty where each plan says it.
        compare: the layer in whose feature space reconstructions are compared, several, or those of another network
            (`svdlib.inversion.comparison.Comparison`); None takes the network's comparator.
        objective: what is made small, and how.
        plan: how long and how fast; an objective may bring rules of its own.
        start: trained inverters to go on from, of the same specification, per layer; None starts from chance.
        options: seed, precision, folder and time limit. The device is that of `train`.

    Raises:
        LayerError: if a layer does not exist, or there is none, or reconstructions are compared at a layer without a
            gradient.
        DeviceError: if there is no such precision.
        TrainingError: if the run cannot start, its state belongs to another run, a loss is no longer finite, or several
            processes cannot divide a batch evenly.
        OutputError: if the state cannot be written.
    """
    if train.device.type == "cpu":
        keep_freed_memory()
    run = _Run(encoder, train, valid, specs, variant, compare, objective, plan, start or {}, options)
    return run.result(finished=carry_on(run, run.plan.epochs, options))


class _Run:
    """One training run: its networks, its optimiser and how far it has come."""

    def __init__(
        self,
        encoder: Listener,
        train: Bank,
        valid: Bank,
        specs: Mapping[str, InverterSpec],
        variant: str,
        compare: Compare,
        objective: Objective,
        plan: TrainingPlan,
        start: Mapping[str, FeatureInverter],
        options: RunOptions,
    ) -> None:
        self.layers = encoder.check_layers(specs)
        comparison = as_comparison(compare, encoder)
        self.specs, self.variant, self.seed = specs, variant, options.seed
        self.plan = plan = objective.plan(plan)
        self.train, self.valid, self.device = train, valid, train.device
        self.is_exact, self._hears_anything = objective.is_exact, isinstance(encoder, Encoder)
        self.precision = self._choose_precision(options.precision)
        self.steps = self._steps_per_epoch()
        self.share = share_of(plan.batch_size)
        self.encoder = self._placed(encoder)
        network = self.encoder if comparison.network is None else self._placed(comparison.network)
        self.space = ComparisonSpace(comparison, network, train, measured=objective.needs_variances)
        if objective.needs_gradient and objective.compares(learning=True):
            self.space.check_gradient(train)
        self.objective = objective = objective.tuned(self.space)
        self.origin = self._describe(encoder)
        self.inverters = self._new_inverters()
        self._begin_at_the_mean()
        self.started = self._start_from(start)
        for inverter in self.inverters.values():
            share_batches(inverter)
        for learner in (self.encoder, *self.inverters.values()):
            as_the_leader(list(learner.state_dict().values()))
        for inverter in self.inverters.values():
            objective.prepare(inverter)
        self.best = {layer: copy_of(inverter.state_dict()) for layer, inverter in self.inverters.items()}
        # On the device, so that a recorded update sees them change. A GPU's fused Adam reads single precision, the
        # processor's takes the very number.
        exactly = torch.float32 if self.device.type == "cuda" else torch.float64
        self.rates_there = {layer: torch.tensor(0.0, dtype=exactly, device=self.device) for layer in self.layers}
        self.optimiser = self._new_optimiser()
        self._set_rates(dict.fromkeys(self.layers, plan.learning_rate))
        self.companion = objective.companion(self.encoder, self.layers, self.device, self.seed)
        # A GPU is fastest with all reconstructions in one comparator pass; a CPU with what fits its cache.
        self.groups = [self.layers] if self.device.type == "cuda" else [(layer,) for layer in self.layers]
        self.loss_sums = torch.zeros(len(self.layers), device=self.device)
        self.epoch, self.step = 0, 0
        self.history: list[Epoch] = []
        called = CALLED if self._hears_anything else {}
        self.state = RunState(options.state_path, self._identify(), options.named, called)
        self.advance: Callable[[Tensor], None] = self._advance
        if self._captures(options.capture):
            self.advance = CapturedUpdate(self._advance, self.device)

    # --- the loop, from an epoch down to a loss ---

    def updates(self) -> Iterator[None]:
        """Do the rest of the epoch, yielding after each update."""
        generator = torch.Generator().manual_seed(mix_seeds(self.seed, self.epoch))
        order = torch.randperm(len(self.train), generator=generator).to(self.device)
        batches = order[: self.steps * self.plan.batch_size].view(self.steps, self.plan.batch_size)
        description = f"epoch {self.epoch + 1}/{self.plan.epochs}, {len(self.layers)} inverters"
        beyond = (self.plan.epochs - self.epoch - 1) * self.steps
        for batch in progress(batches[self.step :], description=description, unit="batch", beyond=beyond):
            self._update(batch)
            self.step += 1
            yield

    def _update(self, batch: Tensor) -> None:
        if self.plan.is_smooth:
            done = (self.epoch * self.steps + self.step) / (self.plan.epochs * self.steps)
            self._set_rates(dict.fromkeys(self.layers, self.plan.rate_after(done)))
        self.advance(batch)

    def _advance(self, batch: Tensor) -> None:
        """One update on the inputs of a batch of indices; nothing in it may wait for the device."""
        self.optimiser.zero_grad(set_to_none=True)
        chance = mix_seeds(self.seed, self.epoch, self.step, rank())
        losses = self._losses(self.train.gather(batch[self.share]), chance, learning=True)
        average([losses, *(value.grad for group in self.optimiser.param_groups for value in group["params"])])
        losses = self.objective.reported(losses, self.inverters.values())
        self.optimiser.step()
        self.loss_sums += losses

    def _losses(self, x: Tensor, chance: int, *, learning: bool) -> Tensor:
        """Loss per layer (layers,) on inputs (batch, ...), with a seed for jitter; `learning` adds up gradients too."""
        compares = self.objective.compares(learning=learning)
        shared = self.space.comparison.layers if compares and self.space.is_own else ()
        comparator = self.space.drawn(x, chance)
        losses = []
        with torch.autocast(x.device.type, dtype=torch.bfloat16, enabled=self.precision != torch.float32):
            with torch.no_grad():
                features = self.encoder.features(x, {*self.layers, *shared})
                theta_x = (self.space.of(features) if shared else comparator(x)) if compares else None
            for group in self.groups:
                reconstructions = {layer: self.inverters[layer](features[layer]) for layer in group}
                found = self.objective.losses(x, theta_x, reconstructions, comparator)
                of_group = torch.stack(list(found.values()))
                if learning:
                    self.companion.learn(x, features, reconstructions)
                    (of_group.sum() + self.companion.term(features, reconstructions)).backward()
                losses.append(of_group.detach())
        return torch.cat(losses)

    def close_epoch(self) -> None:
        """Validate, keep what is best so far, and set the next epoch's learning rates."""
        training = dict(zip(self.layers, (self.loss_sums / self.steps).tolist(), strict=True))
        self._stop_if_diverged(training, "training")
        validation = self._validate()
        self._stop_if_diverged(validation, "validation")
        for layer in self.layers:
            lowest = min([epoch.validation[layer] for epoch in self.history], default=math.inf)
            if self.plan.keep == "last" or validation[layer] < lowest:
                self.best[layer] = copy_of(self.inverters[layer].state_dict())
        self.history.append(Epoch(training, validation, self.rates, self.companion.close_epoch(self.steps)))
        if not self.plan.is_smooth:
            self._set_rates({layer: self._next_rate(layer) for layer in self.layers})
        self.loss_sums.zero_()
        self.epoch, self.step = self.epoch + 1, 0

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        for inverter in self.inverters.values():
            inverter.eval()
        chosen = self.valid.spread(self.plan.validation_excerpts or len(self.valid))
        total = torch.zeros(len(self.layers), device=self.device)
        # Each process measures some of the batches for all.
        batches = list(enumerate(chosen.split(VALIDATION_BATCH)))
        for number, batch in batches[rank() :: processes()]:
            # Jitter of the same chance in every epoch, so that epochs can be compared.
            total += self._losses(self.valid.gather(batch), mix_seeds(self.seed, number), learning=False) * len(batch)
        add_up(total)
        for inverter in self.inverters.values():
            inverter.train()
        return dict(zip(self.layers, (total / len(chosen)).tolist(), strict=True))

    def _stop_if_diverged(self, losses: dict[str, float], split: str) -> None:
        broken = [layer for layer, loss in losses.items() if not math.isfinite(loss)]
        if broken:
            raise TrainingError(
                f"The {split} loss of {', '.join(broken)} is no longer a finite number in epoch {self.epoch + 1}. "
                f"Lower the learning rate, and look for NaN in the {split} inputs."
            )

    # --- learning rates ---

    def _next_rate(self, layer: str) -> float:
        losses = [epoch.training[layer] for epoch in self.history]
        return self.plan.next_rate(losses, [epoch.learning_rate[layer] for epoch in self.history])

    def _set_rates(self, rates: dict[str, float]) -> None:
        self.rates = rates
        for layer, rate in rates.items():
            self.rates_there[layer].fill_(rate)
        for group in self.optimiser.param_groups:
            group["lr"] = self.rates_there[group["layer"]]

    # --- what a run is made of ---

    def _choose_precision(self, wanted: torch.dtype | str) -> torch.dtype:
        exact = wanted == "auto" and self.is_exact
        return choose_precision("float32" if exact else wanted, self.device)

    def _steps_per_epoch(self) -> int:
        excerpts, batch_size = len(self.train), self.plan.batch_size
        steps = self.plan.steps_per_epoch or excerpts // batch_size
        if not 0 < steps * batch_size <= excerpts:
            what, more = ("inputs", "more of them") if self._hears_anything else ("excerpts", "more or longer songs")
            batches = f"{steps} batches" if steps > 1 else "a batch"
            raise TrainingError(
                f"{excerpts} training {what} do not fill {batches} of {batch_size}. Take {more}, smaller batches, or "
                "fewer steps per epoch."
            )
        return steps

    def _start_from(self, start: Mapping[str, FeatureInverter]) -> dict[str, dict[str, Any]]:
        """Take over the weights of trained inverters, and return where they come from."""
        missing = [layer for layer in self.layers if layer not in start] if start else []
        if missing:
            raise LayerError(f"There is no inverter of {', '.join(missing)} to start from.")
        for layer in self.layers if start else ():
            if start[layer].spec != self.specs[layer]:
                raise LayerError(f"The inverter of {layer} to start from is built otherwise than the one to train.")
            self.inverters[layer].load_state_dict(start[layer].state_dict())
        return {layer: start[layer].provenance | {"weights": weights_digest(start[layer])} for layer in start}

    def _placed(self, network: Listener) -> Listener:
        """A copy of a network that does not learn, where it is used."""
        placed = copy.deepcopy(network).eval().requires_grad_(False)
        self._place(placed)
        return placed

    def _place(self, network: nn.Module) -> None:
        """Move a network to the device, in the layout that suits the objective."""
        if self.is_exact:
            network.to(self.device)
        else:
            in_channels_last(network, self.device)

    def _new_inverters(self) -> dict[str, FeatureInverter]:
        inverters = {}
        for layer in self.layers:
            # A seed per layer, so that a layer starts alike whichever others are trained beside it.
            with own_chance(mix_seeds(self.seed, list(self.encoder.shapes).index(layer)), self.device):
                inverters[layer] = FeatureInverter(self.specs[layer], self.variant)
            self._place(inverters[layer])
        return inverters

    def _begin_at_the_mean(self) -> None:
        """Tell the inverters that add it the mean training input."""
        for layer, inverter in self.inverters.items():
            if inverter.spec.from_mean:
                mean = as_map(mean_excerpt(self.train), self.specs[layer].input_axes)
                inverter.mean.copy_(mean[0])

    def _new_optimiser(self) -> torch.optim.Optimizer:
        groups = []
        for layer, inverter in self.inverters.items():
            penalised, free = decayed_parameters(inverter)
            # The gradient of beta * sum(w^2) is 2 beta w, which is what Adam's weight_decay adds.
            groups.append({"params": penalised, "weight_decay": 2 * WEIGHT_DECAY, "layer": layer})
            groups.append({"params": free, "weight_decay": 0.0, "layer": layer})
        return self.objective.optimiser(groups, self.plan.learning_rate, self.device)

    def _captures(self, wanted: bool | None) -> bool:
        """Whether to record the update; an explicit wish that would give wrong results is refused."""
        possible = self.objective.can_be_recorded and processes() == 1 and self.space.comparison.jitter is None
        if wanted and not possible:
            raise TrainingError(
                f"An update of several processes, of the objective {self.objective.name!r}, or with jitter cannot be "
                "recorded. Leave out capture, or use one process and the objective 'joint' or 'input' without jitter."
            )
        return possible and self.device.type == "cuda" if wanted is None else wanted

    # --- its state ---

    def _identify(self) -> dict[str, Any]:
        start = {layer: origin["weights"] for layer, origin in self.started.items()}
        return (
            ({"start": start} if start else {})
            | {
                "layers": list(self.layers),
                "variant": self.variant,
                "objective": self.objective.name,
                "plan": asdict(self.plan),
                "seed": self.seed,
                "precision": str(self.precision),
                "detector": weights_digest(self.encoder),
                "training_excerpts": self.train.digest,
                "validation_excerpts": self.valid.digest,
            }
            | self.objective.settings()
            | self._identify_plans()
        )

    def _identify_plans(self) -> dict[str, Any]:
        """What identifies a run beyond the names of a detector's layers and families."""
        plans = {} if self.variant else {"inverters": {layer: asdict(spec) for layer, spec in self.specs.items()}}
        usual = self.space.identity == self.encoder.comparator
        return plans | ({} if usual else {"compare": self.space.identity})

    def _describe(self, encoder: Listener) -> dict[str, Any]:
        """Where the inverters of this run come from, for their provenance."""
        return {
            "listener": getattr(encoder, "provenance", {}),
            "layers": list(encoder.shapes),
            "compare": self.space.identity if self.objective.compares(learning=True) else None,
            "objective": self.objective.name,
            "plan": asdict(self.plan),
            "seed": self.seed,
            "precision": str(self.precision).removeprefix("torch."),
            "training_inputs": {"count": len(self.train), "digest": self.train.digest},
            "versions": {"svdlib": __version__, "torch": torch.__version__},
        }

    def pack(self) -> tuple[Tree, dict[str, Any]]:
        """All that the rest of the run depends on."""
        arrays: Tree = {
            "current": {layer: inverter.state_dict() for layer, inverter in self.inverters.items()},
            "best": self.best,
            "adam": pack_adam(self.optimiser),
            "adversary": self.companion.pack(),
            "loss_sums": self.loss_sums,
        }
        meta = {
            "epoch": self.epoch,
            "step": self.step,
            "rates": [self.rates[group["layer"]] for group in self.optimiser.param_groups],
            "history": [asdict(epoch) for epoch in self.history],
        }
        return arrays, meta

    def unpack(self, arrays: Tree, meta: Mapping[str, Any]) -> None:
        """Go back to where `pack` was called."""
        for layer, inverter in self.inverters.items():
            inverter.load_state_dict(arrays["current"][layer])
            self.best[layer] = {name: value.to(self.device) for name, value in arrays["best"][layer].items()}
        restore_adam(self.optimiser, arrays.get("adam", {}), meta["rates"])
        layers = [group["layer"] for group in self.optimiser.param_groups]
        self._set_rates(dict(zip(layers, meta["rates"], strict=True)))
        self.loss_sums.copy_(arrays["loss_sums"])
        self.companion.unpack(arrays.get("adversary", {}))
        self.epoch, self.step = meta["epoch"], meta["step"]
        self.history = [Epoch(**epoch) for epoch in meta["history"]]

    def result(self, *, finished: bool) -> FittedInverters:
        """The inverters that are kept, so far, and the last ones."""
        return FittedInverters(
            inverters=self._inverters_with(self.best),
            history=self.history,
            finished=finished,
            keep=self.plan.keep,
            precision=str(self.precision).removeprefix("torch."),
            settings=self.objective.settings(),
            memory=peak_memory(self.device),
            origin=self.origin,
            last=self._inverters_with({layer: inverter.state_dict() for layer, inverter in self.inverters.items()}),
            started=self.started,
        )

    def _inverters_with(self, weights: Mapping[str, Mapping[str, Tensor]]) -> dict[str, FeatureInverter]:
        """New inverters in eval mode, free of what the objective changed in those under training."""
        inverters = self._new_inverters()
        for layer, inverter in inverters.items():
            inverter.load_state_dict(weights[layer])
            inverter.eval()
        return inverters
