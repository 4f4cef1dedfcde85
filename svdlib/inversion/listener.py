"""What is inverted: a network with named layers."""

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from svdlib.errors import InputError, LayerError, quoted


class Listener(nn.Module):
    """A network whose features can be inverted: `svdlib.SVDNet`, or any other in a `svdlib.Encoder`.

    Attributes:
        input_shape: of one input, such as (channels, time, frequency) or (channels, samples).
        shapes: of one feature per layer, such as (channels, time, frequency) or (units,); shallow to deep.
        comparator: the layer in whose feature space reconstructions are compared (paper section 3.3).
    """

    input_shape: tuple[int, ...]
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

    def path(self, layer: str) -> list[nn.Module]:
        """The modules from the input to a layer, in the order in which they are run.

        Raises:
            LayerError: if this listener does not know them.
        """
        raise LayerError(f"{type(self).__name__} does not list the modules that lead to {layer}.")

    def __getitem__(self, layer: str) -> "LayerMap":
        """The map from inputs to the features of one layer, such as `invert_by_optimisation` takes.

        Raises:
            LayerError: if there is no such layer.
        """
        self.check_layers(layer)
        return LayerMap(self, layer)

    def check_layers(self, layers: str | Iterable[str]) -> tuple[str, ...]:
        """Return the named layers, each once, shallow to deep.

        Raises:
            LayerError: if one of them does not exist, or none is named.
        """
        named = named_layers(layers)
        unknown = [layer for layer in named if layer not in self.shapes]
        if unknown:
            raise LayerError(
                f"There is no layer {unknown[0]!r}. The layers are: {', '.join(self.shapes)}.{self._remedy(unknown[0])}"
            )
        if not named:
            raise LayerError(f"No layer to invert was named. The layers are: {', '.join(self.shapes)}.")
        return tuple(layer for layer in self.shapes if layer in named)

    def _remedy(self, layer: str) -> str:
        """A sentence for somebody who names a layer that is none, after a space; empty if there is nothing to say."""
        return ""


def check_listener(encoder: Any) -> None:
    """Make sure that something is a network with named layers.

    Raises:
        InputError: if it is none.
    """
    if not isinstance(encoder, Listener):
        raise InputError(
            f"{type(encoder).__name__} has no named layers. Wrap it: svdlib.Encoder(net, layers=[...], example=x[:2])."
        )


class LayerMap:
    """Maps inputs (batch, ...) to the features of one layer (batch, ...).

    Attributes:
        listener: whose layer it is.
        layer: its name.
        input_shape: of one input.
    """

    def __init__(self, listener: Listener, layer: str) -> None:
        self.listener, self.layer, self.input_shape = listener, layer, tuple(listener.input_shape)

    def __call__(self, x: Tensor) -> Tensor:
        """Compute the features of inputs `(batch, *input_shape)`, in eval mode; gradients reach the inputs alone."""
        with frozen(self.listener):
            return self.listener.features(x, (self.layer,))[self.layer]


@contextmanager
def frozen(network: nn.Module) -> Iterator[None]:
    """Hold a network in eval mode, its weights without gradients; afterwards each module is as it was before."""
    modes = [(module, module.training) for module in network.modules()]
    learning = [weights for weights in network.parameters() if weights.requires_grad]
    try:
        for module, _ in modes:
            module.training = _keeps_training(module)
        for weights in learning:
            weights.requires_grad_(False)
        yield
    finally:
        for module, mode in modes:
            module.training = mode
        for weights in learning:
            weights.requires_grad_(True)


def _keeps_training(module: nn.Module) -> bool:
    """Whether a module stays in training mode: NVIDIA's recurrent layers have gradients in no other mode.

    Without dropout both modes compute the same.
    """
    return isinstance(module, nn.RNNBase) and not module.dropout and module.training


def named_layers(layers: str | Iterable[str]) -> list[str]:
    """The names of layers as a list; a single one may stand alone, which is no series of letters.

    Raises:
        LayerError: if it is neither a name nor a series of names.
    """
    if isinstance(layers, str):
        return [layers]
    if not isinstance(layers, Iterable):
        raise LayerError(f"{quoted(layers)} names no layer; give names, as in features(x, ['mp6']).")
    found = list(layers)
    for each in found:
        if not isinstance(each, str):
            raise LayerError(f"{quoted(each)} is no name of a layer; give names, as in features(x, ['mp6']).")
    return found


def as_input(x: Tensor | Any, like: Tensor) -> Tensor:
    """What is fed to a network, in the type and place of its parameters: NumPy's float64 among others.

    Raises:
        InputError: if it holds no real numbers.
    """
    if isinstance(x, Tensor) and (x.dtype == like.dtype or not (x.is_floating_point() or x.is_complex())):
        return x
    return as_numbers(x).to(like.device, like.dtype)


def as_numbers(x: Any) -> Tensor:
    """An array of real numbers as a tensor.

    Raises:
        InputError: if it is none.
    """
    try:
        found = torch.as_tensor(x)
    except (TypeError, ValueError, RuntimeError):
        kind = f"an array of {x.dtype}" if hasattr(x, "dtype") else type(x).__name__
        raise InputError(f"Inputs are an array of numbers, such as a tensor, not {kind} {quoted(x)}.") from None
    if found.is_complex():
        raise InputError(f"Inputs are complex, {found.dtype}. Take real numbers, such as their magnitude: x.abs().")
    return found


def without_gradient(layer: str) -> str:
    """A sentence about a layer from whose feature no gradient leads to the input."""
    return f"The feature of {layer} has no gradient: it is computed under torch.no_grad(), or from detached values."
