"""The geometry of an encoder, turned round.

A cell of a convolution or pooling layer sees a window of the layer before. Turned round, each cell of the layer before
is seen by a few cells, and those are all that can tell about it. A transposed convolution with the same kernel, stride,
padding and dilation connects exactly these pairs: its weight k leads from cell i to cell stride * i + dilation * k -
padding, as the encoder's weight k leads back. So an inverter that takes one such step for each of the encoder's, in
reverse order, computes every cell from exactly the features that have seen it.

Where a window does not fit in at the end of an axis, the encoder leaves cells out. No feature has seen them, and the
mirrored step repeats the last cell that has been seen. Where a stride is wider than its window, the cells between two
windows are seen by nothing either, and a mirrored step leaves them at its bias.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.errors import LayerError

PLAIN = (nn.Dropout, nn.Dropout2d, nn.Identity, nn.Flatten, nn.BatchNorm1d, nn.BatchNorm2d, nn.ReLU, nn.ELU,
         nn.LeakyReLU, nn.Tanh, nn.Sigmoid)  # fmt: skip
"""Modules that keep every cell in its place."""


@dataclass(frozen=True)
class Window:
    """One convolution or pooling of an encoder, each pair along (time, frequency).

    Attributes:
        kernel, stride, padding, dilation: its geometry.
        before: shape of its input, (channels, time, frequency).
        after: shape of its output.
    """

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int]
    before: tuple[int, int, int]
    after: tuple[int, int, int]

    def left_out(self, axis: int) -> int:
        """How many cells at the end of its padded input no window reaches, along time (0) or frequency (1)."""
        last = self.stride[axis] * (self.after[1 + axis] - 1) + self.dilation[axis] * (self.kernel[axis] - 1)
        return self.before[1 + axis] + 2 * self.padding[axis] - 1 - last


@dataclass(frozen=True)
class Dense:
    """One dense layer of an encoder.

    Attributes:
        before: shape of its input before it is flattened, (channels, time, frequency) or (units,).
        after: (units,).
    """

    before: tuple[int, ...]
    after: tuple[int]


def encoder_steps(modules: Iterable[nn.Module], shape: tuple[int, int, int]) -> list[Window | Dense]:
    """Read the geometry of a sequential encoder off its modules.

    Args:
        modules: in the order in which they are run. Those in a `nn.Sequential` or a `nn.ModuleList` follow each other;
            of other containers nobody can tell in what order they run theirs. Convolutions, poolings and dense layers
            count, and what leaves each cell in its place is passed over.
        shape: of one input, (channels, time, frequency).

    Returns:
        One entry per convolution, pooling or dense layer.

    Raises:
        LayerError: there is a module of another kind, one that cannot take what the one before puts out, or a
            convolution without a cell to put out.
    """
    steps: list[Window | Dense] = []
    here: tuple[int, ...] = tuple(shape)
    flat = False
    for module in _leaves(modules):
        flat = flat or len(here) == 1 or isinstance(module, nn.Flatten)
        _check_fed(module, here, flat)
        if isinstance(module, PLAIN):
            continue
        if isinstance(module, nn.Linear):
            steps.append(Dense(here, (module.out_features,)))
        elif isinstance(module, nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d):
            steps.append(_window(module, here, flat))
        else:
            raise LayerError(
                f"An aligned inverter cannot be derived from {type(module).__name__}: known are convolutions, poolings "
                "and dense layers in a row."
            )
        here = steps[-1].after
    return steps


class Mirrored(nn.Module):
    """A transposed convolution that leads from a layer's cells back to those of the layer before."""

    def __init__(self, window: Window, n_in: int, n_out: int, *, bias: bool = True) -> None:
        super().__init__()
        self.window = window
        self.core = nn.ConvTranspose2d(n_in, n_out, window.kernel, window.stride, dilation=window.dilation, bias=bias)

    @property
    def taps(self) -> float:
        """How many windows see a cell, on average."""
        return math.prod(size / step for size, step in zip(self.window.kernel, self.window.stride, strict=True))

    def forward(self, x: Tensor) -> Tensor:
        """Lead cells (batch, channels, time, frequency) of a layer back to those of the layer before it."""
        (top, left), (_, height, width) = self.window.padding, self.window.before
        grown = self.core(x)
        if (top, left) != (0, 0) or grown.shape[2] > height or grown.shape[3] > width:
            grown = grown[:, :, top : top + height, left : left + width]  # what windows see of padding is no cell
        missing = [size - found for size, found in zip((height, width), grown.shape[2:], strict=True)]
        return F.pad(grown, (0, missing[1], 0, missing[0]), mode="replicate") if any(missing) else grown


def _leaves(modules: Iterable[nn.Module]) -> Iterable[nn.Module]:
    for module in modules:
        children = list(module.children())
        in_order = isinstance(module, nn.ModuleList) or type(module).forward is nn.Sequential.forward
        if children and not in_order:
            raise LayerError(
                f"{type(module).__name__} may run its modules in any order, or side by side. Give them one by one in "
                "the order in which they are run, or as a nn.Sequential."
            )
        yield from _leaves(children) if children or in_order else (module,)


def _check_fed(module: nn.Module, here: tuple[int, ...], flat: bool) -> None:
    """Make sure that a module can take what the one before it puts out.

    Args:
        module: the module.
        here: shape of what it is fed, before that was flattened.
        flat: whether it was.
    """
    if isinstance(module, nn.Linear | nn.BatchNorm1d):
        # A dense layer straight behind a map: the network flattens it without a module of its own.
        found, unit = math.prod(here), "units"
        taken = module.in_features if isinstance(module, nn.Linear) else module.num_features
    elif isinstance(module, nn.Conv2d | nn.BatchNorm2d):
        if flat:
            raise LayerError(f"{module} stands behind a dense layer, where there is no time and no frequency.")
        found, unit = here[0], "channels"
        taken = module.in_channels if isinstance(module, nn.Conv2d) else module.num_features
    elif isinstance(module, nn.Flatten) and (module.start_dim, module.end_dim) != (1, -1):
        raise LayerError(f"{module} flattens a part of the axes; flatten all but the first.")
    else:
        return
    if taken != found:
        raise LayerError(
            f"{module} takes {taken} {unit}, but is fed {found}: what comes before puts out the shape {here}. Give the "
            "modules in the order in which they are run, and the shape of one input."
        )


def _window(module: nn.Conv2d | nn.MaxPool2d | nn.AvgPool2d, before: tuple[int, ...], flat: bool) -> Window:
    if flat:
        raise LayerError(f"{module} stands behind a dense layer, where there is no time and no frequency.")
    if isinstance(module, nn.Conv2d) and module.padding_mode != "zeros":
        raise LayerError(f"{module} pads with cells from elsewhere, so they are seen twice; pad with zeros.")
    if getattr(module, "ceil_mode", False):
        raise LayerError(f"{module} pools windows that reach over the end; set ceil_mode=False.")
    dilation = _pair(getattr(module, "dilation", 1))
    kernel, stride = _pair(module.kernel_size), _pair(module.stride)
    reach = [dilation[k] * (kernel[k] - 1) for k in (0, 1)]
    if module.padding == "same":
        # PyTorch puts the odd cell at the end.
        after = (module.out_channels, before[1], before[2])
        return Window(
            kernel, stride, (reach[0] // 2, reach[1] // 2), dilation, (before[0], before[1], before[2]), after
        )
    padding = (0, 0) if module.padding == "valid" else _pair(module.padding)
    room = [before[1 + k] + 2 * padding[k] - reach[k] - 1 for k in (0, 1)]
    if min(room) < 0:
        raise LayerError(f"{module} has no cell to put out for an input of shape {before}.")
    channels = getattr(module, "out_channels", before[0])
    after = (channels, room[0] // stride[0] + 1, room[1] // stride[1] + 1)
    return Window(kernel, stride, padding, dilation, (before[0], before[1], before[2]), after)


def _pair(value: Any) -> tuple[int, int]:
    """What PyTorch keeps as one number or two, as two."""
    return (value, value) if isinstance(value, int) else (int(value[0]), int(value[1]))
