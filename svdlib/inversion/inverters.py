"""The feature inverters: one up-convolutional network per layer (paper section 3.2, tables 1 and 2).

An inverter turns one layer's feature back into the network's input. A specification says which stages it has; one
builder makes the network. Stages are written as in the paper: FC (dense), Conv (3x3, padding 1) and Uconv (a transposed
convolution). Every stage is a linear map, batch normalisation and ELU.

There are three kinds. *Published* (`svdlib.paper.inverters`): each Uconv is 4x4 with stride 2, which doubles time and
frequency, whatever the encoder did; the ELU stands at the output too, so no output lies below -1. *Aligned*, our own:
each Uconv mirrors one convolution or pooling of the encoder, so that every cell of the input is computed from exactly
those features that have seen it; it first undoes the encoder's leaky ReLU, which loses nothing, and its output is
linear. *General*: each stage resizes the map and convolves it (`svdlib.inversion.resize`), for features of any shape.
`svdlib.inversion.derivation` plans the last two for any network.
"""

import math
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.errors import InputError, LayerError, WeightsError
from svdlib.inversion.listener import as_input, frozen
from svdlib.inversion.mirror import Dense, Mirrored, Window, encoder_steps
from svdlib.inversion.resize import Grow, Spread

Axes = tuple[int | None, int | None, int | None]
"""Which axis of a tensor, its batch left out, holds the channels, the first axis of positions and the second one; None
where it has none."""

NORM_EPSILON = 1e-4
NORM_MOMENTUM = 0.1
FIRST_STEP = 0.1
"""How far a new inverter that starts from the mean input is from it, as a share of what it would paint otherwise."""
SEED_SHAPE = (16, 4, 4)
"""What a dense feature is reshaped to before it grows: (channels, time, frequency)."""


@dataclass(frozen=True)
class Stage:
    """One stage of an inverter.

    Attributes:
        kind: "FC", "Conv", "Uconv", "Spread" or "Grow".
        units: neurons (FC) or filters.
        window: the encoder's step that a Uconv mirrors; None doubles time and frequency.
        size: how many cells, along both axes, a Spread makes of each cell, or a Grow's map has.
    """

    kind: str
    units: int
    window: Window | None = None
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class InverterSpec:
    """The plan of one inverter.

    Attributes:
        layer: the name of the layer that is inverted.
        stages: from the feature to the input.
        feature_shape: of what is inverted, (channels, time, frequency) or (units,).
        excerpt_shape: of what comes out, (time, frequency).
        normalise_output: whether the last stage has batch normalisation.
        linear_output: whether the last stage is a linear map and nothing else.
        leakiness: slope of the leaky ReLU that is undone before the first stage; None takes the feature as it is.
        seed_shape: what a dense feature is reshaped to before it grows, (channels, time, frequency).
        family: what such inverters are called; empty where whoever builds one says it.
        feature_axes: which axes of a feature hold channels, time and frequency; None takes it as it is.
        input_axes: the same of an input, which has the shape `(channels, *excerpt_shape)` where it has all three.
        from_mean: whether the mean training input is added to what comes out, so that learning starts from it.
    """

    layer: str
    stages: tuple[Stage, ...]
    feature_shape: tuple[int, ...]
    excerpt_shape: tuple[int, int]
    normalise_output: bool = True
    linear_output: bool = False
    leakiness: float | None = None
    seed_shape: tuple[int, int, int] = SEED_SHAPE
    family: str = ""
    feature_axes: Axes | None = None
    input_axes: Axes = (0, 1, 2)
    from_mean: bool = False

    @property
    def depth(self) -> int:
        """Number of layers, the column "Inv-depth" of table 2."""
        return len(self.stages)

    @property
    def n_convolutions(self) -> int:
        """Number of 3x3 convolutions, the column "Inv-nconv" of table 2."""
        return sum(stage.kind == "Conv" for stage in self.stages)


def aligned_spec(
    name: str,
    modules: Iterable[nn.Module],
    shape: tuple[int, int, int],
    widths: Sequence[int],
    *,
    leakiness: float | None = None,
) -> InverterSpec:
    """Plan the aligned inverter of a sequential encoder: one stage for each of its steps, in reverse order.

    Args:
        name: of the layer that is inverted.
        modules: the encoder from its input to that layer, such as `Listener.path` gives.
        shape: of one input, (channels, time, frequency).
        widths: units of each stage but the last one; channels, where a dense layer leads back to a map.
        leakiness: slope of the leaky ReLU that the layer ends in, which is undone; None takes the feature as it is.

    Raises:
        LayerError: if the encoder has a module that cannot be mirrored, or the number of widths does not fit.
    """
    return mirrored_spec(name, encoder_steps(modules, shape), shape, widths, leakiness=leakiness)


def mirrored_spec(
    name: str,
    steps: Sequence[Window | Dense],
    shape: tuple[int, int, int],
    widths: Sequence[int],
    *,
    leakiness: float | None = None,
) -> InverterSpec:
    """Plan the aligned inverter of an encoder whose steps are known; arguments as for `aligned_spec`.

    Args:
        name: of the layer that is inverted.
        steps: of the encoder, from its input on.
        shape: of one input as a map, (channels, time, frequency).
        widths: units of each stage but the last one.
        leakiness: slope of the leaky ReLU that is undone.

    Raises:
        LayerError: if the number of widths does not fit.
    """
    if not steps or len(widths) != len(steps) - 1:
        raise LayerError(f"{name} has {len(steps)} steps to mirror; give one width less than that, not {len(widths)}.")
    stages: list[Stage] = []
    seed_shape = SEED_SHAPE
    earlier = (*reversed(steps[:-1]), None)
    for step, units, before_it in zip(reversed(steps), (*widths, shape[0]), earlier, strict=True):
        if isinstance(step, Window):
            stages.append(Stage("Uconv", units, step))
            continue
        size = step.before[1:] or (1, 1)
        stages.append(Stage("FC", units * math.prod(size)))
        if not isinstance(before_it, Dense):
            seed_shape = (units, size[0], size[1])
    return InverterSpec(
        name, tuple(stages), feature_shape=steps[-1].after, excerpt_shape=shape[1:], linear_output=True,
        leakiness=leakiness, seed_shape=seed_shape,
    )  # fmt: skip


def _linear_map(stage: Stage, n_in: int, bias: bool) -> nn.Module:
    if stage.kind == "FC":
        return nn.Linear(n_in, stage.units, bias=bias)
    if stage.kind == "Conv":
        return nn.Conv2d(n_in, stage.units, 3, padding=1, bias=bias)
    if stage.size:
        return (Grow if stage.kind == "Grow" else Spread)(stage.size, n_in, stage.units, bias=bias)
    if stage.window:
        return Mirrored(stage.window, n_in, stage.units, bias=bias)
    return nn.ConvTranspose2d(n_in, stage.units, 4, stride=2, padding=1, bias=bias)


def _build_stage(stage: Stage, n_in: int, normalise: bool) -> nn.Sequential:
    parts: list[nn.Module] = [_linear_map(stage, n_in, bias=not normalise)]
    if normalise:
        norm = nn.BatchNorm1d if stage.kind == "FC" else nn.BatchNorm2d
        parts.append(norm(stage.units, eps=NORM_EPSILON, momentum=NORM_MOMENTUM))
    return nn.Sequential(*parts, nn.ELU())


def _initialise(module: nn.Module) -> None:
    """He-normal with gain 1 (He et al. 2015): deviation 1/sqrt(inputs per output)."""
    if isinstance(module, Mirrored):
        _draw(module.core, module.core.in_channels * module.taps)
    elif isinstance(module, Grow | Spread):
        _initialise(module.core)
    elif isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        # Lasagne counts the fan-in of a transposed convolution along its second axis, as for a convolution.
        _draw(module, module.weight[0].numel())


def _draw(module: nn.Linear | nn.Conv2d | nn.ConvTranspose2d, inputs: float) -> None:
    nn.init.normal_(module.weight, std=inputs**-0.5)
    if module.bias is not None:
        nn.init.zeros_(module.bias)


class FeatureInverter(nn.Module):
    """Turns the feature of one layer back into the network's input.

    Attributes:
        layer: the layer that it inverts.
        variant: the family it belongs to, such as "published".
        spec: its plan.
        stages: its stages in order, named as in table 1, such as "Uconv2".
        mean: the mean training input (channels, time, frequency) that is added, if the plan says so.
        provenance: where trained weights come from; empty for a new network.
    """

    mean: Tensor

    def __init__(self, spec: InverterSpec, variant: str = "") -> None:
        super().__init__()
        self.spec, self.layer, self.variant = spec, spec.layer, variant or spec.family
        self.provenance: dict[str, Any] = {}
        self.stages = nn.ModuleDict()
        n_in = spec.feature_shape[0 if spec.feature_axes is None else spec.feature_axes[0] or 0]
        for number, stage in enumerate(spec.stages, start=1):
            grows_from_dense = stage.kind != "FC" and number > 1 and spec.stages[number - 2].kind == "FC"
            n_in = spec.seed_shape[0] if grows_from_dense else n_in
            if number == spec.depth and spec.linear_output:
                built = nn.Sequential(_linear_map(stage, n_in, bias=True))
            else:
                built = _build_stage(stage, n_in, spec.normalise_output or number < spec.depth)
            self.stages[f"{stage.kind}{number}"] = built
            n_in = stage.units
        for whole_stage in self.stages.children():
            _initialise(next(whole_stage.children()))
        if spec.from_mean:
            self.register_buffer("mean", torch.zeros(spec.stages[-1].units, *spec.excerpt_shape))
            self._begin_at_the_mean()

    def _begin_at_the_mean(self) -> None:
        last = list(self.stages.values())[-1]
        with torch.no_grad():
            for name, weights in last.named_parameters():
                if name.endswith("weight"):
                    weights.mul_(FIRST_STEP)

    def forward(self, feature: Tensor) -> Tensor:
        """Invert a batch of features (paper equation 4).

        Args:
            feature: `(batch, *spec.feature_shape)`, after the layer's activation.

        Returns:
            Inputs (batch, ...), such as (batch, channels, time, frequency); for the detector, standardised excerpts
            (batch, 1, 115, 80).

        Raises:
            LayerError: if the feature has another shape.
        """
        return self.stage_outputs(feature)["output"]

    def stage_outputs(self, feature: Tensor) -> "OrderedDict[str, Tensor]":
        """Run the inverter and keep what each stage puts out, with the fitted excerpt last as "output".

        Args:
            feature: `(batch, *spec.feature_shape)`.

        Raises:
            LayerError: if the feature has another shape.
        """
        feature = as_input(feature, next(self.parameters()))
        expected = self.spec.feature_shape
        if tuple(feature.shape[1:]) != expected or feature.ndim != len(expected) + 1:
            raise LayerError(
                f"The inverter of {self.layer} takes features of shape (batch, {', '.join(map(str, expected))}), "
                f"not {tuple(feature.shape)}. Compute them with features(x, ({self.layer!r},))."
            )
        outputs: OrderedDict[str, Tensor] = OrderedDict()
        x = feature
        if self.spec.leakiness:
            # The inverse of a leaky ReLU is one too, and a single pass over the memory.
            x = F.leaky_relu(x, 1 / self.spec.leakiness)
        if self.spec.feature_axes is not None:
            x = as_map(x, self.spec.feature_axes)
        for name, stage in self.stages.items():
            if x.ndim == 2 and not name.startswith("FC"):
                x = x.view(-1, *self.spec.seed_shape)
            x = stage(x)
            outputs[name] = x
        x = fit_to_excerpt(x if x.ndim == 4 else x.view(-1, *self.spec.seed_shape), self.spec.excerpt_shape)
        outputs["output"] = from_map(x + self.mean if self.spec.from_mean else x, self.spec.input_axes)
        return outputs


class HasInverters(Protocol):
    """What holds an inverter per layer, as the result of a training run does."""

    @property
    def inverters(self) -> Mapping[str, nn.Module]:
        """An inverter per layer."""


Inverters: TypeAlias = Mapping[str, nn.Module] | HasInverters
"""An inverter per layer, or the run that made them."""


def inverters_of(given: Inverters) -> Mapping[str, nn.Module]:
    """The inverter per layer of what was given as such.

    Raises:
        InputError: if there is none.
    """
    found = given if isinstance(given, Mapping) else getattr(given, "inverters", None)
    if not isinstance(found, Mapping) or not found:
        raise InputError(
            f"inverters is {type(given).__name__}, not an inverter per layer. Give the result of svdlib.fit_inverters, "
            "or svdlib.load_inverters(folder)."
        )
    return found


def check_belongs(layer: str, inverter: nn.Module, encoder: nn.Module) -> None:
    """Make sure that an inverter was trained on the features of this very network, as far as its provenance tells.

    An inverter whose provenance names no detector or other listener, such as a new one, goes with any. One that names
    one goes with no other, and so with none that does not tell where it is from.

    Args:
        layer: that it inverts.
        inverter: the inverter; any network will do.
        encoder: whose features it is to be given.

    Raises:
        WeightsError: if it was trained for another one.
    """
    origin = getattr(inverter, "provenance", {})
    trained_for = origin.get("detector", origin.get("listener"))
    if trained_for is None or trained_for == getattr(encoder, "provenance", {}):
        return
    if "listener" in origin:
        raise WeightsError(
            f"The inverter of {layer} was trained for another network, or for this one with other weights. "
            "Train inverters for the network as it is, or load the weights that it had."
        )
    raise WeightsError(
        f"The inverter of {layer} was trained for another detector. Name that one with --detector FILE, "
        "or the inverters of this one with --weights FOLDER; in Python, hand over a detector and inverters that "
        "belong together."
    )


def as_map(x: Tensor, axes: Axes) -> Tensor:
    """Bring tensors (batch, ...) into the order (batch, channels, time, frequency), with 1 for what they lack."""
    there = [axis for axis in axes if axis is not None]
    ordered = x.permute(0, *(axis + 1 for axis in there))
    for place, axis in enumerate(axes):
        ordered = ordered if axis is not None else ordered.unsqueeze(place + 1)
    return ordered


def from_map(x: Tensor, axes: Axes) -> Tensor:
    """The reverse of `as_map`."""
    if axes == (0, 1, 2):
        return x
    for place in reversed(range(3)):
        x = x if axes[place] is not None else x.squeeze(place + 1)
    there = [axis for axis in axes if axis is not None]
    return x.permute(0, *(1 + there.index(axis) for axis in sorted(there)))


def fit_to_excerpt(x: Tensor, shape: tuple[int, int]) -> Tensor:
    """Trim at the end, or pad with zeros on all sides, to `(batch, channels, *shape)` (paper section 3.2)."""
    missing_frames, missing_bands = shape[0] - x.shape[2], shape[1] - x.shape[3]
    if missing_frames > 0 or missing_bands > 0:
        return F.pad(x, (missing_bands // 2, missing_bands // 2, missing_frames // 2, missing_frames // 2))
    return x[:, :, : shape[0], : shape[1]]


def count_parameters(module: nn.Module) -> int:
    """Number of stored values: weights, biases, and the running averages of batch normalisation."""
    counters = sum(1 for name in module.state_dict() if name.endswith("num_batches_tracked"))
    return sum(int(tensor.numel()) for tensor in module.state_dict().values()) - counters


def count_multiply_adds(inverter: nn.Module, feature_shape: Sequence[int]) -> int:
    """How many multiplications, each with its addition, one inversion takes in convolutions and dense layers.

    Args:
        inverter: a network.
        feature_shape: of one feature, its batch left out.
    """
    from torch.utils.flop_counter import FlopCounterMode  # here, since few ask and it is slow to import

    counter = FlopCounterMode(display=False)
    device = next(inverter.parameters()).device
    with torch.no_grad(), counter, frozen(inverter):
        inverter(torch.zeros(1, *feature_shape, device=device))
    return int(counter.get_total_flops()) // 2
