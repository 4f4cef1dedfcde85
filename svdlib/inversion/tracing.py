"""What a network does with its input, traced while an example runs through it.

Every operation on what comes from the input is noted, whether a module calls it or the network's own code. So the path
to a layer is the one that is run, in whatever order the modules were registered. Convolutions and poolings become
windows (`svdlib.inversion.mirror`), with the shapes of the real pass; activations and normalisations leave cells where
they are. Where branches meet in a sum or side by side, the path goes on along the one that has seen most, if it has
seen all that the others have. Anything else ends the path, with a reason.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from svdlib.errors import LayerError
from svdlib.inversion.encoder import Encoder, example_of
from svdlib.inversion.inverters import Axes
from svdlib.inversion.listener import Listener, frozen
from svdlib.inversion.mirror import Dense, Window

PLAIN = frozenset(
    "relu relu_ relu6 leaky_relu leaky_relu_ elu elu_ selu celu gelu silu mish hardswish hardtanh hardsigmoid sigmoid "
    "sigmoid_ tanh tanh_ softplus softsign prelu rrelu threshold clamp clamp_ clamp_min batch_norm group_norm "
    "layer_norm rms_norm instance_norm dropout dropout1d dropout2d alpha_dropout feature_alpha_dropout contiguous "
    "clone detach to float type_as abs neg square pow exp log log1p sqrt add add_ sub sub_ mul mul_ div div_ "
    "true_divide __add__ __radd__ __iadd__ __sub__ __isub__ __mul__ __rmul__ __imul__ __truediv__ __itruediv__ "
    "__pow__ __neg__".split()
)
"""Operations that keep every cell in its place."""

SAME = frozenset(
    "dropout dropout1d dropout2d alpha_dropout feature_alpha_dropout contiguous clone detach to float".split()
)
"""Of these, those that leave the values as they are."""

SUMS = frozenset("add add_ __add__ __radd__ __iadd__ sub sub_ __sub__ __isub__".split())
MAXIMA = frozenset("max_pool1d max_pool2d adaptive_max_pool1d adaptive_max_pool2d amax".split())
"""Poolings that a leaky ReLU may be undone behind as well as before."""

RESHAPES = frozenset("view reshape flatten squeeze unsqueeze".split())


@dataclass(frozen=True)
class Reach:
    """What cells see along one axis of the input: cell i sees from stride * i + start on, so many cells."""

    stride: int = 1
    start: int = 0
    size: int = 1

    def through(self, kernel: int, stride: int, padding: int, dilation: int) -> "Reach":
        """What the cells of the next layer see."""
        size = self.size + dilation * (kernel - 1) * self.stride
        return Reach(self.stride * stride, self.start - padding * self.stride, size)

    def holds(self, other: "Reach") -> bool:
        """Whether each cell sees all that the same cell with another reach sees."""
        ends = self.start + self.size, other.start + other.size
        return self.stride == other.stride and self.start <= other.start and ends[0] >= ends[1]


NO_PADS = ((0, 0), (0, 0))


@dataclass(frozen=True)
class Path:
    """The way from the input to a tensor.

    Attributes:
        steps: convolutions, poolings and dense layers, in order.
        map: shape of the tensor as a map (channels, first axis, second axis), 1 where it has no such axis; without what
            padding has put around it since the last window.
        axes: where these axes are in the tensor; None of a tensor that was flattened or made dense.
        input_axes: where they are in an input.
        reach: what a cell sees along both axes of the input.
        pads: per axis, how many cells padding has put before the first one and behind the last one.
        leakiness: slope of the leaky ReLU that the path ends in, if it does.
        reason: why the path cannot be mirrored; empty if it can.
    """

    steps: tuple[Window | Dense, ...]
    map: tuple[int, int, int]
    axes: Axes | None
    input_axes: Axes
    reach: tuple[Reach, Reach] = (Reach(), Reach())
    pads: tuple[tuple[int, int], tuple[int, int]] = NO_PADS
    leakiness: float | None = None
    reason: str = ""

    @property
    def is_vector(self) -> bool:
        """Whether the tensor has units alone, no positions."""
        return self.axes is not None and self.axes[1] is None and self.axes[2] is None

    @property
    def is_padded(self) -> bool:
        """Whether there is padding that no window has taken in yet."""
        return self.pads != NO_PADS

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the tensor, its batch left out."""
        if self.axes is None:
            return (math.prod(self.map),)
        sizes = (self.map[0], *(self.map[k] + sum(self.pads[k - 1]) for k in (1, 2)))
        placed = [(axis, size) for axis, size in zip(self.axes, sizes, strict=True) if axis is not None]
        return tuple(size for _, size in sorted(placed))


class _UnknownError(Exception):
    """Says why a path ends."""


def trace(listener: Listener, layers: Sequence[str]) -> dict[str, Path]:
    """Follow an example to several layers.

    Args:
        listener: any network with named layers.
        layers: which.

    Returns:
        The path to each layer; where it cannot be mirrored it has a reason.

    Raises:
        LayerError: if a feature has not the shape that the network says it has.
    """
    x = example_of(listener)
    weights = next(listener.parameters(), x)
    x = x.to(weights.device)
    recorder = _Recorder(x)
    with torch.inference_mode(False), torch.no_grad(), frozen(listener), _followed(listener, recorder), recorder:
        features = listener.features(x, layers)
    for layer in layers:
        found = tuple(features[layer].shape[1:]) if layer in features else None
        if found != tuple(listener.shapes[layer]):
            raise LayerError(
                f"{type(listener).__name__} gives the feature of {layer} in the shape {found}, but says that it has "
                f"{tuple(listener.shapes[layer])}. Correct its features() or its shapes."
            )
    return {layer: recorder.path_of(features[layer]) for layer in layers}


@contextmanager
def _followed(listener: Listener, recorder: "_Recorder") -> Iterator[None]:
    """Let the recorder know, inside the block, whose forward is running."""
    network = listener.net if isinstance(listener, Encoder) else listener
    handles = []

    def enter(name: str) -> Callable[..., None]:
        return lambda module, inputs: recorder.running.append(name)

    def leave(module: nn.Module, inputs: Any, output: Any) -> None:
        recorder.running.pop()

    try:
        for name, module in network.named_modules():
            handles.append(module.register_forward_pre_hook(enter(name or type(network).__name__)))
            handles.append(module.register_forward_hook(leave, always_call=True))
        yield
    finally:
        for handle in handles:
            handle.remove()


class _Recorder(TorchFunctionMode):
    """Notes the path of every tensor that comes from the input."""

    def __init__(self, x: Tensor) -> None:
        super().__init__()
        self.paths: dict[int, Path] = {id(x): _start(tuple(x.shape[1:]))}
        self.kept = [x]  # a tensor that is gone might leave its number to another one
        self.running: list[str] = []  # the modules whose forward is running, the innermost last

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: Any = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        given = [each for each in _tensors((*args, *kwargs.values())) if id(each) in self.paths]
        parents = [self.paths[id(each)] for each in given]
        result = function(*args, **kwargs)
        name = getattr(function, "__name__", "an operation")
        if parents and name == "__setitem__":
            self.paths[id(args[0])] = _end(parents[0], f"{self._place}cells are written one by one")
        elif parents and name != "__get__":
            for output in _tensors(result if isinstance(result, tuple | list) else (result,)):
                self.kept.append(output)
                self.paths[id(output)] = _follow(name, args, kwargs, parents, output, self._place)
        return result

    @property
    def _place(self) -> str:
        """Whose forward is running, as the beginning of a reason."""
        return f"in {self.running[-1]}: " if self.running else ""

    def path_of(self, feature: Tensor) -> Path:
        """The path to a tensor."""
        if id(feature) not in self.paths:
            start = self.paths[id(self.kept[0])]
            return _end(start, "it is computed where PyTorch does not let one look")
        path = self.paths[id(feature)]
        if path.reason:
            return path
        if path.is_padded:
            return _end(path, "it ends in padding")
        if path.axes is None:
            return _end(path, "it is a map that was flattened; name the layer before that")
        if not path.steps:
            return _end(path, "no convolution, pooling or dense layer leads to it")
        return path


def _tensors(values: Iterable[Any]) -> list[Tensor]:
    found: list[Tensor] = []
    for value in values:
        if isinstance(value, Tensor):
            found.append(value)
        elif isinstance(value, tuple | list):
            found += _tensors(value)
    return found


def _start(shape: tuple[int, ...]) -> Path:
    """An input: channels come first, unless it turns out that there are none."""
    axes: Axes = (0, *(k if len(shape) > k else None for k in (1, 2)))  # type: ignore[assignment]
    path = Path((), (*shape, 1, 1)[:3], axes, axes)  # type: ignore[arg-type]
    return path if len(shape) <= 3 else _end(path, f"inputs have {len(shape)} axes")


def _end(path: Path, reason: str) -> Path:
    """A path that cannot be gone on with."""
    input_axes = path.input_axes
    if not path.steps and not path.reason and input_axes[2] is None and input_axes[0] is not None:
        # What no convolution along one axis takes is a picture, or a sound, without channels.
        input_axes = (None, 0, input_axes[1])
    return replace(path, reason=path.reason or reason, input_axes=input_axes)


def _follow(
    name: str, args: Any, kwargs: Mapping[str, Any], parents: list[Path], output: Tensor, place: str = ""
) -> Path:
    """The path to what an operation puts out; `place` says where in the network that is, as a reason begins."""
    broken = next((path for path in parents if path.reason), None)
    if broken:
        return broken
    shape = tuple(output.shape[1:])
    try:
        if len(parents) > 1:
            return replace(_meet(name, args, kwargs, parents, shape), leakiness=None)
        path = parents[0] if name in SAME or name in MAXIMA else replace(parents[0], leakiness=None)
        if name in STEPS:
            return STEPS[name](path, args, kwargs, shape)
        if name in RESHAPES or (name == "__getitem__" and _adds_axes(args[1])):
            return _reshape(name, path, shape)
        if name in PLAIN and path.shape == shape:
            if "leaky_relu" in name:
                return replace(path, leakiness=kwargs.get("negative_slope", args[1] if len(args) > 1 else 0.01))
            return path
        raise _UnknownError(f"{name} is no convolution, pooling, dense layer or sum")
    except _UnknownError as error:
        return _end(parents[0], f"{place}{error}")


# --- operations ----------------------------------------------------------------------------------------------------


def _bind(names: str, args: Any, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return dict(zip(names.split(), args, strict=False)) | dict(kwargs)


def _conv(path: Path, args: Any, kwargs: Mapping[str, Any], shape: tuple[int, ...]) -> Path:
    given = _bind("input weight bias stride padding dilation groups", args, kwargs)
    kernel = tuple(given["weight"].shape[2:])
    axes = _axes_of(path, len(kernel))
    dilation, padding = _each(given.get("dilation", 1), len(kernel)), given.get("padding", 0)
    if padding == "same":
        # PyTorch puts the odd cell at the end.
        padding = [step * (size - 1) // 2 for step, size in zip(dilation, kernel, strict=True)]
    padding = _each(0 if padding == "valid" else padding, len(kernel))
    return _window(path, axes, kernel, _each(given.get("stride", 1), len(kernel)), padding, dilation, shape)


def _pool(names: str) -> Callable[..., Path]:
    def step(path: Path, args: Any, kwargs: Mapping[str, Any], shape: tuple[int, ...]) -> Path:
        given = _bind(names, args, kwargs)
        axes = _axes_of(path, len(shape) - 1)
        kernel = _each(given["kernel_size"], len(axes))
        stride = _each(given.get("stride") or kernel, len(axes))
        padding, dilation = (
            _each(given.get(key) or least, len(axes)) for key, least in (("padding", 0), ("dilation", 1))
        )
        return _window(path, axes, kernel, stride, padding, dilation, shape)

    return step


def _adaptive(path: Path, args: Any, kwargs: Mapping[str, Any], shape: tuple[int, ...]) -> Path:
    axes = _axes_of(path, len(shape) - 1)
    sizes = [path.map[axis] for axis in axes]
    if path.is_padded or any(size % found for size, found in zip(sizes, shape[1:], strict=True)):
        raise _UnknownError(f"adaptive pooling of {sizes} to {list(shape[1:])} cells has windows of several sizes")
    kernel = [size // found for size, found in zip(sizes, shape[1:], strict=True)]
    return _window(path, axes, kernel, kernel, [0] * len(axes), [1] * len(axes), shape)


def _reduce(path: Path, args: Any, kwargs: Mapping[str, Any], shape: tuple[int, ...]) -> Path:
    """A mean or maximum over whole axes of positions."""
    given = _bind("input dim keepdim", args, kwargs)
    if path.axes is None or path.is_padded or given.get("dim") is None:
        raise _UnknownError("all that a feature holds is brought down to one number")
    n_axes = 1 + len(path.shape)
    dims = {axis % n_axes - 1 for axis in _each(given["dim"], None)}
    axes = [k for k in (1, 2) if path.axes[k] in dims]
    if len(axes) != len(dims):
        raise _UnknownError("it goes over channels")
    sizes = [path.map[axis] for axis in axes]
    after = list(path.map)
    for axis in axes:
        after[axis] = 1
    found = _window(path, axes, sizes, sizes, [0] * len(axes), [1] * len(axes), None, after)
    if given.get("keepdim"):
        return found
    places = [axis for k, axis in enumerate(path.axes) if k not in axes and axis is not None]
    left: Axes = tuple(  # type: ignore[assignment]
        None if k in axes or axis is None else sorted(places).index(axis) for k, axis in enumerate(path.axes)
    )
    return replace(found, axes=left)


def _linear(path: Path, args: Any, kwargs: Mapping[str, Any], shape: tuple[int, ...]) -> Path:
    if len(shape) != 1 or path.is_padded:
        raise _UnknownError("a dense layer works on each position alone")
    before = (path.map[0],) if path.is_vector else path.map
    return replace(path, steps=(*path.steps, Dense(before, (shape[0],))), map=(shape[0], 1, 1), axes=(0, None, None))


def _pad(path: Path, args: Any, kwargs: Mapping[str, Any], shape: tuple[int, ...]) -> Path:
    given = _bind("input pad mode value", args, kwargs)
    amounts = list(given["pad"])
    axes = _axes_of(path, len(shape) - 1)
    pairs = list(zip(amounts[::2], amounts[1::2], strict=True))
    if given.get("mode", "constant") != "constant" or min(amounts) < 0 or len(pairs) > len(axes):
        raise _UnknownError("it pads with cells from elsewhere, or cuts some off")
    pads = list(path.pads)
    for axis, (front, back) in zip(reversed(axes), pairs, strict=False):
        pads[axis - 1] = (pads[axis - 1][0] + front, pads[axis - 1][1] + back)
    return replace(path, pads=(pads[0], pads[1]))


STEPS: dict[str, Callable[..., Path]] = {
    "conv1d": _conv,
    "conv2d": _conv,
    "max_pool1d": _pool("input kernel_size stride padding dilation"),
    "max_pool2d": _pool("input kernel_size stride padding dilation"),
    "avg_pool1d": _pool("input kernel_size stride padding"),
    "avg_pool2d": _pool("input kernel_size stride padding"),
    "adaptive_avg_pool1d": _adaptive,
    "adaptive_avg_pool2d": _adaptive,
    "adaptive_max_pool1d": _adaptive,
    "adaptive_max_pool2d": _adaptive,
    "mean": _reduce,
    "amax": _reduce,
    "linear": _linear,
    "pad": _pad,
}


def _each(value: Any, count: int | None) -> list[int]:
    """What PyTorch takes as one number or several, as so many."""
    values = [int(value)] if isinstance(value, int) else [int(each) for each in value]
    return values * count if count and len(values) == 1 else values


def _axes_of(path: Path, count: int) -> list[int]:
    """The axes (1, 2) that an operation over so many positions works along."""
    axes = [k for k in (1, 2) if path.axes and path.axes[k] is not None]
    in_order = path.axes is not None and [path.axes[k] for k in (0, *axes)] == list(range(len(axes) + 1))
    if len(axes) != count or not in_order:
        raise _UnknownError("axes were turned, taken away or added before it")
    return axes


def _window(
    path: Path,
    axes: list[int],
    kernel: Iterable[int],
    stride: Iterable[int],
    padding: Iterable[int],
    dilation: Iterable[int],
    shape: tuple[int, ...] | None,
    after: list[int] | None = None,
) -> Path:
    """Go through a convolution or pooling along some axes; along the other ones it does nothing."""
    geometry = {axis: each for axis, *each in zip(axes, kernel, stride, padding, dilation, strict=True)}
    sizes = after or list(path.map)
    if shape is not None:
        sizes[0] = shape[0]
        for axis, size in zip(axes, shape[1:], strict=True):
            sizes[axis] = size
    both = [geometry.get(axis, [1, 1, 0, 1]) for axis in (1, 2)]
    # Cells that were put on before are the window's own padding.
    starts = [each[2] + front for each, (front, _) in zip(both, path.pads, strict=True)]
    (k0, s0, _, d0), (k1, s1, _, d1) = both
    window = Window((k0, k1), (s0, s1), (starts[0], starts[1]), (d0, d1), path.map, (sizes[0], sizes[1], sizes[2]))
    reach = [
        each.through(size, step, start, spread)
        for each, (size, step, _, spread), start in zip(path.reach, both, starts, strict=True)
    ]
    return replace(path, steps=(*path.steps, window), map=window.after, reach=(reach[0], reach[1]), pads=NO_PADS)


def _reshape(name: str, path: Path, shape: tuple[int, ...]) -> Path:
    """Axes of one cell come and go, or all of them become one."""
    here = path.shape
    if shape == here:
        return path
    if not path.steps and path.axes == path.input_axes and shape == (1, *here) and len(here) < 3:
        with_channels = _start(shape)
        return replace(with_channels, input_axes=(None, 0, 1 if len(here) > 1 else None))
    if path.axes is not None:
        for gone in ((2,), (1,), (1, 2)):
            left = [axis for k, axis in enumerate(path.axes) if axis is not None and k not in gone]
            if all(path.map[k] == 1 for k in gone) and tuple(here[axis] for axis in sorted(left)) == shape:
                axes = (sorted(left).index(axis) if axis in left else None for axis in path.axes)
                return replace(path, axes=tuple(axes))  # type: ignore[arg-type]
    if shape == (math.prod(here),) and not path.is_padded:
        return replace(path, axes=None)
    raise _UnknownError(f"{name} turns {here} into {shape}")


def _adds_axes(index: Any) -> bool:
    """Whether what stands in square brackets takes all there is and adds axes, as in `x[:, None]`."""
    parts = index if isinstance(index, tuple) else (index,)
    return all(part is None or part is Ellipsis or (isinstance(part, slice) and part == slice(None)) for part in parts)


def _meet(name: str, args: Any, kwargs: Mapping[str, Any], parents: list[Path], shape: tuple[int, ...]) -> Path:
    """Branches come together in a sum, or side by side as channels."""
    side_by_side = name in ("cat", "concat", "concatenate") and kwargs.get("dim", args[1] if len(args) > 1 else 0) == 1
    if not side_by_side and not (name in SUMS and all(path.shape == shape for path in parents)):
        raise _UnknownError(f"branches meet in {name}, which is no sum")
    first = parents[0]
    if any(path.axes != first.axes or path.input_axes != first.input_axes or path.is_padded for path in parents):
        raise _UnknownError("branches of several kinds meet")
    if first.axes is None and side_by_side:
        raise _UnknownError("branches meet that were flattened")
    if first.is_vector or first.axes is None:
        longest = max(parents, key=lambda path: len(path.steps))
        return replace(longest, map=(shape[0], 1, 1)) if first.is_vector else longest
    widest = sorted(parents, key=lambda path: (sum(reach.size for reach in path.reach), len(path.steps)))[-1]
    for path in parents:
        if not all(mine.holds(other) for mine, other in zip(widest.reach, path.reach, strict=True)):
            raise _UnknownError("branches meet that have seen several parts of the input")
    return replace(widest, map=(shape[0], *widest.map[1:]))
