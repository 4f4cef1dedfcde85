"""What is inverted: a network with named layers, and the inputs that it is inverted on."""

from abc import abstractmethod
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.errors import LayerError


class Encoder(nn.Module):
    """A network whose features can be inverted.

    Attributes:
        input_shape: of one input, (channels, time, frequency).
        shapes: of one feature per layer, (channels, time, frequency) or (units,); shallow to deep.
        comparator: the layer in whose feature space reconstructions are compared (paper section 3.3).
    """

    input_shape: tuple[int, int, int]
    shapes: Mapping[str, tuple[int, ...]]
    comparator: str

    @abstractmethod
    def features(self, x: Tensor, layers: str | Iterable[str]) -> dict[str, Tensor]:
        """Compute the features of several layers in one pass, after each layer's activation.

        Args:
            x: `(batch, *input_shape)`.
            layers: which.

        Returns:
            `(batch, *shapes[layer])` per layer.
        """

    @abstractmethod
    def path(self, layer: str) -> list[nn.Module]:
        """The modules from the input to a layer, in the order in which they are run."""

    def check_layers(self, layers: str | Iterable[str]) -> tuple[str, ...]:
        """Return the named layers, each once, shallow to deep.

        Raises:
            LayerError: if one of them does not exist, or none is named.
        """
        named = named_layers(layers)
        unknown = [layer for layer in named if layer not in self.shapes]
        if unknown:
            raise LayerError(f"There is no layer {unknown[0]!r}. The layers are: {', '.join(self.shapes)}.")
        if not named:
            raise LayerError(f"No layer to invert was named. The layers are: {', '.join(self.shapes)}.")
        return tuple(layer for layer in self.shapes if layer in named)


def named_layers(layers: str | Iterable[str]) -> list[str]:
    """The names of layers as a list; a single one may stand alone, which is no series of letters."""
    return [layers] if isinstance(layers, str) else list(layers)


def as_input(x: Tensor | Any, like: Tensor) -> Tensor:
    """What is fed to a network, in the type and place of its parameters: NumPy's float64 among others."""
    if isinstance(x, Tensor) and (x.dtype == like.dtype or not x.is_floating_point()):
        return x
    return torch.as_tensor(x, dtype=like.dtype, device=like.device)


class Bank(Protocol):
    """Inputs of a network that lie on one device, in groups such as songs."""

    device: torch.device

    @property
    def digest(self) -> str:
        """What tells these inputs from others."""

    def __len__(self) -> int: ...

    def gather(self, indices: Tensor) -> Tensor:
        """The inputs named by `indices` (batch,): `(batch, *input_shape)`."""

    def spread(self, count: int) -> Tensor:
        """Indices of up to `count` inputs, evenly spread over the bank."""

    def draw(self, per_group: int, generator: np.random.Generator) -> Tensor:
        """Places of so many random inputs of every group, group by group, to be given to `cut`."""

    def cut(self, places: Tensor) -> Tensor:
        """The inputs at places that `draw` gave: `(batch, *input_shape)`."""
