"""Inverters planned from nothing but the network: which family suits a layer, and how wide its stages are.

The aligned family is taken where the path to a layer can be mirrored, as traced from an example
(`svdlib.inversion.tracing`), and no dense layer lies on it. Otherwise the general family is: its first stage gives the
feature the axes that it lacks, the others resize and convolve until the map is as large as an input. Of a feature
without a known path, such as a recurrent layer's, it is asked which of its axes goes along with which of the input's.
"""

import itertools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from svdlib.errors import LayerError, PlanError
from svdlib.inversion.encoder import example_of
from svdlib.inversion.inverters import Axes, FeatureInverter, InverterSpec, Stage, mirrored_spec
from svdlib.inversion.listener import Listener
from svdlib.inversion.mirror import Dense, Window
from svdlib.inversion.tracing import Path, trace

INVERTERS = ("auto", "aligned", "general")
PARAMETERS = 50_000
"""How many weights an inverter has at most, if nothing else is said; the paper's have from 28,000 to 576,000."""

WIDEST = 128
NARROWEST = 2
SEED = 4
"""Cells along an axis that a feature lacks, at least, before the map begins to grow."""

SIXTEENTH = 16
"""The share of an input's axis that such a seed has."""

DENSE_SHARE = 8
"""How many times fewer channels a dense stage leads to than a convolution: each costs as many weights as its map has
cells."""


@dataclass(frozen=True)
class Choice:
    """The inverter that was planned for a layer.

    Attributes:
        spec: its plan.
        parameters: weights that learn.
        reason: why it is of this family.
    """

    spec: InverterSpec
    parameters: int
    reason: str

    def __str__(self) -> str:
        return f"{self.spec.layer}: {self.spec.family} inverter, {self.parameters:,} parameters: {self.reason}"


def derive_inverters(
    listener: Listener,
    layers: str | Iterable[str] | None = None,
    inverter: str = "auto",
    parameters: int = PARAMETERS,
) -> dict[str, Choice]:
    """Plan an inverter for each layer of any network.

    Args:
        listener: the network.
        layers: which layers; None takes all.
        inverter: "aligned", "general", or "auto", which takes the aligned one where there is one.
        parameters: how many weights each may have; it is made as wide as they allow, between 2 and 128 channels. One
            that mirrors a single step has no width to choose.

    Returns:
        A choice per layer, shallow to deep.

    Raises:
        LayerError: if a layer does not exist, has a feature of another shape than the network says, or has no aligned
            inverter, and that is asked for.
        PlanError: if there is no such family, or no room for any weights.
    """
    if inverter not in INVERTERS:
        raise PlanError(f"There is no inverter {inverter!r}. Known ones: {', '.join(INVERTERS)}.")
    if parameters < 1:
        raise PlanError(f"An inverter cannot have {parameters} parameters; take 1 or more.")
    chosen = listener.check_layers(listener.shapes if layers is None else layers)
    return {
        layer: _choose(listener, layer, path, inverter, parameters) for layer, path in trace(listener, chosen).items()
    }


def _choose(listener: Listener, layer: str, path: Path, inverter: str, parameters: int) -> Choice:
    if inverter == "aligned" and path.reason:
        raise LayerError(
            f"There is no aligned inverter of {layer}: {path.reason}. Take inverter='general', or 'auto' to let each "
            "layer have what suits it."
        )
    reason = _against_aligned(path) if inverter == "auto" or path.reason else ""
    if reason or inverter == "general":
        make, cells = _general(listener, layer, path)
    else:
        make, cells = _aligned(listener, layer, path)
        reason = f"it mirrors the path to the layer, {len(path.steps)} step{'s' * (len(path.steps) > 1)}"
    spec, found = widest(make, cells, parameters)
    return Choice(spec, found, reason or "asked for")


def _against_aligned(path: Path) -> str:
    """Why the general family suits a layer better; empty if the aligned one does.

    Each channel that a mirrored dense layer leads to costs as many weights as it has units times the cells of its map.
    A general inverter grows from a small map instead, and has these weights for something else.
    """
    if path.reason:
        return f"the path to it cannot be mirrored: {path.reason}"
    if any(isinstance(step, Dense) for step in path.steps):
        return "a dense layer on the path to it mixes all positions, so nothing is left to be aligned"
    return ""


# --- the two families ----------------------------------------------------------------------------------------------


Plan = Callable[[Sequence[int]], InverterSpec]
"""Makes a plan from the widths of all stages but the last one."""


def _aligned(listener: Listener, layer: str, path: Path) -> tuple[Plan, list[float]]:
    shape = map_shape(listener.input_shape, path.input_axes)
    steps = list(path.steps)

    def make(widths: Sequence[int]) -> InverterSpec:
        return replace(
            mirrored_spec(layer, steps, shape, widths, leakiness=path.leakiness),
            feature_shape=tuple(listener.shapes[layer]),
            family="aligned",
            feature_axes=path.axes if isinstance(steps[-1], Window) else None,
            input_axes=path.input_axes,
            from_mean=True,
        )

    return make, [_weight_of(step.before, isinstance(step, Window)) for step in reversed(steps[1:])]


def _weight_of(before: tuple[int, ...], window: bool) -> float:
    """For how many cells a stage of a certain width pays, see `widest`."""
    return math.prod(before[1:]) * (1 if window or len(before) == 1 else DENSE_SHARE**2)


def _general(listener: Listener, layer: str, path: Path) -> tuple[Plan, list[float]]:
    feature_shape = tuple(listener.shapes[layer])
    axes = path.axes if path.axes is not None and not path.reason else axes_followed(listener, layer, path.input_axes)
    there = map_shape(feature_shape, axes)
    shape = map_shape(listener.input_shape, path.input_axes)
    lacking = [axis is None or size == 1 for axis, size in zip(axes[1:], there[1:], strict=True)]
    first = [_seed(size) if lacks else 1 for size, lacks in zip(shape[1:], lacking, strict=True)]
    seed = [size * factor for size, factor in zip(there[1:], first, strict=True)]
    ratio = max(large / small for large, small in zip(shape[1:], seed, strict=True))
    growth = max(2, math.ceil(math.log2(max(ratio, 1))))
    sizes = [_between(seed, shape[1:], step / growth) for step in range(1, growth + 1)]

    def make(widths: Sequence[int]) -> InverterSpec:
        grown = [Stage("Grow", units, size=size) for units, size in zip((*widths[1:], shape[0]), sizes, strict=True)]
        return InverterSpec(
            layer,
            (Stage("Spread", widths[0], size=(first[0], first[1])), *grown),
            feature_shape=feature_shape,
            excerpt_shape=(shape[1], shape[2]),
            linear_output=True,
            family="general",
            feature_axes=axes,
            input_axes=path.input_axes,
            from_mean=True,
        )

    dense = DENSE_SHARE**2 if any(lacking) and max(first) > 1 else 1
    return make, [math.prod(seed) * dense, *(math.prod(size) for size in sizes[:-1])]


def _seed(size: int) -> int:
    """Cells along an axis, of which an input has so many, that a feature without it is given to start from."""
    return min(size, max(SEED, math.ceil(size / SIXTEENTH)))


def _between(small: Sequence[int], large: Sequence[int], share: float) -> tuple[int, int]:
    """Sizes on the way from one map to another, in equal steps of ratio."""
    first, second = (round(begin * (end / begin) ** share) for begin, end in zip(small, large, strict=True))
    return first, second


def map_shape(shape: Sequence[int], axes: Axes) -> tuple[int, int, int]:
    """What shape a tensor has as a map (channels, first axis, second axis), see `svdlib.inversion.inverters.as_map`."""
    first, second, third = (1 if axis is None else int(shape[axis]) for axis in axes)
    return first, second, third


# --- how wide ------------------------------------------------------------------------------------------------------


def widest(make: Plan, cells: Sequence[float], parameters: int) -> tuple[InverterSpec, int]:
    """The widest plan that has no more weights than it may, or the narrowest if all have more.

    Args:
        make: makes a plan of widths.
        cells: of the map that each stage but the last one puts out. The more there are, the narrower is the stage: by
            the root, so that each takes about as much time as the one before.
        parameters: weights it may have.

    Returns:
        The plan, and how many weights it has.
    """
    smallest = min(cells, default=1)

    def widths(scale: float) -> list[int]:
        return [max(NARROWEST, round(scale * (smallest / each) ** 0.5)) for each in cells]

    narrow, wide = 1.0, float(WIDEST)
    for _ in range(10):
        middle = math.sqrt(narrow * wide)
        if count_weights(make(widths(middle))) <= parameters:
            narrow = middle
        else:
            wide = middle
    spec = make(widths(narrow))
    return spec, count_weights(spec)


def count_weights(spec: InverterSpec) -> int:
    """How many values of an inverter learn."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in FeatureInverter(spec).parameters())


# --- which axis is which -------------------------------------------------------------------------------------------


def axes_followed(listener: Listener, layer: str, input_axes: Axes) -> Axes:
    """Which axes of a feature go along with which axes of the input, and which one holds its channels.

    Cells at one end of an axis of positions look at another part of the input than cells at its other end; how far
    these parts lie from each other along the input's axes is measured by gradients. Channels look at the same part.

    Args:
        listener: the network.
        layer: whose feature is looked at.
        input_axes: which axes of an input hold channels and positions.

    Returns:
        The axes of the feature.
    """
    n_axes = len(listener.shapes[layer])
    if n_axes == 1:
        return (0, None, None)
    try:
        apart = _apart(listener, layer, [axis for axis in input_axes[1:] if axis is not None])
    except RuntimeError:  # the network has no gradient
        apart = torch.zeros(n_axes, 2)
    places = [place for place in (1, 2) if input_axes[place] is not None]
    best: Axes = (0, *(k if n_axes > k else None for k in (1, 2)))  # type: ignore[assignment]
    most = -math.inf
    for channels in range(n_axes):
        positions = [axis for axis in range(n_axes) if axis != channels]
        for taken in itertools.permutations(places, min(len(positions), len(places))):
            found = sum(float(apart[axis, places.index(place)]) for axis, place in zip(positions, taken, strict=False))
            if len(positions) <= len(places) and found > most:
                axes = {place: axis for axis, place in zip(positions, taken, strict=True)}
                best, most = (channels, axes.get(1), axes.get(2)), found
    if best.count(None) != 3 - n_axes:
        raise LayerError(
            f"The features of {layer} have {n_axes} axes, more than the inputs have. Name a layer with fewer."
        )
    return best


def _apart(listener: Listener, layer: str, along: Sequence[int]) -> Tensor:
    """How far the parts of the input that both ends of each axis of a feature look at lie apart along axes of it.

    Returns:
        Shares of the axes' lengths (axes of the feature, axes of the input).
    """
    generator = torch.Generator().manual_seed(0)
    weights = next(listener.parameters(), torch.zeros(1))
    with torch.inference_mode(False), torch.enable_grad():
        x = example_of(listener).to(weights.device).clone().requires_grad_()
        feature = listener[layer](x)
        signs = torch.randn(feature.shape, generator=generator).to(feature)
        rows = []
        for axis in range(1, feature.ndim):
            part = max(1, feature.shape[axis] // 4)
            centres = []
            for begin in (0, feature.shape[axis] - part):
                end = (feature * signs).narrow(axis, begin, part).sum()
                (gradient,) = torch.autograd.grad(end, x, retain_graph=True)
                centres.append([_centre(gradient.abs().sum(0), place) for place in along])
            rows.append([late - early for early, late in zip(*centres, strict=True)])
    return torch.tensor(rows)


def _centre(weights: Tensor, axis: int) -> float:
    """Where the weight lies along an axis, from 0 to 1."""
    profile = weights.movedim(axis, 0).flatten(1).sum(1) if weights.ndim > 1 else weights
    places = torch.linspace(0, 1, len(profile), device=profile.device)
    return float((profile * places).sum() / profile.sum().clamp_min(1e-30))
