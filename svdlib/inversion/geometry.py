"""Which frames a feature has seen, and which features an inverter reads to paint a frame.

Everything follows from the kernels, strides and paddings of the networks' own modules, along the time axis.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from svdlib.errors import LayerError
from svdlib.inversion.inverters import FeatureInverter
from svdlib.inversion.listener import Listener
from svdlib.inversion.mirror import Mirrored

Interval = tuple[int, int]
"""First and last index, both included."""


@dataclass(frozen=True)
class ReceptiveField:
    """The input frames that the cells of a layer see: cell i sees frames stride * i to stride * i + size - 1."""

    stride: int
    size: int

    def frames_seen(self, cells: Interval) -> Interval:
        """Input frames that reach at least one of the cells."""
        return self.stride * cells[0], self.stride * cells[1] + self.size - 1

    def cells_seeing(self, frame: int, n_cells: int) -> Interval:
        """Cells that an input frame reaches; last < first if there is none."""
        first = max(0, -((self.size - 1 - frame) // self.stride))
        return first, min(n_cells - 1, frame // self.stride)


def receptive_field(encoder: Listener, layer: str) -> ReceptiveField:
    """Work out what the cells of a convolutional or pooling layer see.

    Args:
        encoder: whose modules are asked.
        layer: one that has a time axis.

    Raises:
        LayerError: if the layer does not exist or is dense, so that it has no time axis.
    """
    encoder.check_layers([layer])
    _check_has_time(layer, encoder.shapes[layer])
    stride, size = 1, 1
    for module in encoder.path(layer):
        for part in module.modules():
            if isinstance(part, nn.Conv2d | nn.MaxPool2d):
                size += (_along_time(part.kernel_size) - 1) * stride
                stride *= _along_time(part.stride)
    return ReceptiveField(stride, size)


@torch.no_grad()
def cells_read(inverter: FeatureInverter) -> list[Interval | None]:
    """Find the feature cells that an inverter reads to paint each frame of its excerpt.

    Args:
        inverter: of a layer that has a time axis.

    Returns:
        An interval of cells along time per frame; None for a frame of the zero border, which reads nothing.

    Raises:
        LayerError: if the layer is dense.
    """
    shape, frames = inverter.spec.feature_shape, inverter.spec.excerpt_shape[0]
    _check_has_time(inverter.layer, shape)
    if any(stage.size for stage in inverter.spec.stages):
        raise LayerError(f"The inverter of {inverter.layer} resizes its maps: what it reads is not known cell by cell.")
    training = inverter.training
    outputs = inverter.eval().stage_outputs(torch.zeros(1, *shape))
    inverter.train(training)
    lengths = [shape[1]] + [output.shape[2] for name, output in outputs.items() if name != "output"]
    border = max(0, frames - lengths[-1]) // 2
    return [_trace_back(inverter, lengths, frame - border) for frame in range(frames)]


def blind_frames(encoder: Listener, inverter: FeatureInverter) -> list[int]:
    """Find the frames that are painted from no cell that has seen them.

    Args:
        encoder: whose features are inverted.
        inverter: of a layer that has a time axis.

    Raises:
        LayerError: if the layer is dense.
    """
    field, n_cells = receptive_field(encoder, inverter.layer), inverter.spec.feature_shape[1]
    blind = []
    for frame, read in enumerate(cells_read(inverter)):
        first, last = field.cells_seeing(frame, n_cells)
        if read is None or max(read[0], first) > min(read[1], last):
            blind.append(frame)
    return blind


def _trace_back(inverter: FeatureInverter, lengths: list[int], frame: int) -> Interval | None:
    if not 0 <= frame < lengths[-1]:
        return None
    first = last = frame
    for stage, length in zip(reversed(list(inverter.stages.children())), reversed(lengths[:-1]), strict=True):
        first_part = next(stage.children())
        mirrored = first_part.window if isinstance(first_part, Mirrored) else None
        core: Any = first_part.core if isinstance(first_part, Mirrored) else first_part
        kernel, stride = _along_time(core.kernel_size), _along_time(core.stride)
        padding = mirrored.padding[0] if mirrored else _along_time(core.padding)
        reach = _along_time(core.dilation) * (kernel - 1)
        if isinstance(core, nn.ConvTranspose2d):
            # Output o receives input i through kernel tap k where o = stride * i - padding + dilation * k.
            grown = stride * (length - 1) + reach + 1 - (padding if mirrored else 2 * padding)
            first, last = min(first, grown - 1), min(last, grown - 1)  # what is missing repeats the last cell
            first, last = -((reach - padding - first) // stride), (last + padding) // stride
        else:
            first, last = stride * first - padding, stride * last - padding + reach
        first, last = max(first, 0), min(last, length - 1)
    return first, last


def _check_has_time(layer: str, shape: tuple[int, ...]) -> None:
    if len(shape) == 1:
        raise LayerError(
            f"{layer} is a dense layer: each of its units sees the whole excerpt. Ask about an earlier one."
        )


def _along_time(value: Any) -> int:
    """The first of two numbers, of which PyTorch keeps equal ones as one."""
    return int(value if isinstance(value, int) else value[0])
