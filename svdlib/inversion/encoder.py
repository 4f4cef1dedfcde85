"""Any network as a listener: its features are caught by hooks while it runs.

A hook is called by PyTorch when a module has been run. Ours stay for one pass, and are taken away even if it fails. All
layers share a pass, and it ends where the last wanted one has been run.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import Any

import torch
from torch import Tensor, nn

from svdlib.compute.storage import digest
from svdlib.errors import InputError, LayerError, quoted
from svdlib.inversion.listener import Listener, as_input, frozen, named_layers

MOST_NAMES = 30
"""How many names of modules a message lists."""

ALIKE = 1e-3
"""How far the features of an input may differ, relative to their size, when it goes through the network alone."""


class Encoder(Listener):
    """Any network, with the layers of it that are to be inverted.

    Attributes:
        net: the network; passes leave it as it is.
        input_shape: of one input, as the example's.
        shapes: of one feature per layer, in the order in which the layers are run.
        comparator: the deepest of the layers whose features have positions, such as time and frequency.
        example: two inputs, for tracing what the network does with them.
    """

    def __init__(self, net: nn.Module, layers: str | Iterable[str], example: Tensor | Any) -> None:
        """Run the network on an example and look at the features of its layers.

        Args:
            net: any network. It must put out one value, or the same kind of values, for each input of a batch.
            layers: names of modules of it, as `net.named_modules()` gives them. What a layer gives is its module's
                output; of several outputs, as recurrent layers have, the first.
            example: one or more inputs (batch, ...), such as the network was trained on.

        Raises:
            LayerError: if a layer does not exist, is not run or is run twice in a pass, or gives no tensor with one
                entry for each input.
            InputError: if the network is no module, the example is no batch of finite numbers, or the network fails on
                it.
        """
        super().__init__()
        if isinstance(net, Listener):
            raise LayerError(f"{type(net).__name__} names its layers itself: use it in place of an Encoder.")
        if not isinstance(net, nn.Module):
            raise InputError(
                f"{quoted(net)} is no torch.nn.Module, and layers are its modules. Give the network itself, not its "
                "forward() or its weights."
            )
        names = list(dict.fromkeys(_names(net, layers)))
        _check_names(net, names)
        self.net = net
        self._copied: frozenset[str] = frozenset()
        x = as_input(example, self._place())
        if x.ndim < 2 or not len(x):
            raise InputError(f"An example is a batch of inputs (batch, ...), not {tuple(x.shape)}. Take x[:2].")
        if not torch.isfinite(x).all():
            raise InputError("The example holds values that are not finite numbers. Take other inputs, or mend them.")
        self.input_shape = tuple(x.shape[1:])
        given, two = tuple(x.shape), (x if len(x) > 1 else torch.cat([x, x]))[:2]
        self.example = two.detach().cpu()
        together, alone = (self._look(names, part, given) for part in (two, x[:1]))
        for layer, feature in together.items():
            _check_batch(layer, feature, alone[layer])
        self.shapes: dict[str, tuple[int, ...]] = {layer: tuple(each.shape[1:]) for layer, each in alone.items()}
        with_positions = [layer for layer, shape in self.shapes.items() if len(shape) > 1]
        self.comparator = (with_positions or list(self.shapes))[-1]

    def __repr__(self) -> str:
        shapes = ", ".join(f"{layer} {' x '.join(map(str, shape))}" for layer, shape in self.shapes.items())
        return f"Encoder of {type(self.net).__name__}: {' x '.join(map(str, self.input_shape))} to {shapes}"

    @property
    def provenance(self) -> dict[str, Any]:
        """What tells this network from others: the name of its class, and a digest of its weights."""
        values = [value.detach().flatten().float().cpu() for value in self.net.state_dict().values()]
        return {"network": type(self.net).__name__, "weights": digest(torch.cat([torch.zeros(1), *values]))}

    def features(self, x: Tensor, layers: str | Iterable[str] | None = None) -> dict[str, Tensor]:
        """Compute the features of several layers in one pass, which ends at the deepest of them.

        The network computes in eval mode, and gradients reach the inputs, not its weights.

        Args:
            x: `(batch, *input_shape)`, on the network's device.
            layers: which layers to return, or the name of one; None takes all.

        Returns:
            A tensor `(batch, *shapes[layer])` per layer, as the module put it out.

        Raises:
            LayerError: if a layer does not exist or `x` has another shape.
        """
        wanted = self.check_layers(self.shapes if layers is None else layers)
        x = as_input(x, self._place())
        if tuple(x.shape[1:]) != self.input_shape:
            expected = ", ".join(map(str, self.input_shape))
            raise LayerError(f"The network takes inputs of shape (batch, {expected}), not {tuple(x.shape)}.")
        found: dict[str, Tensor] = {}

        def catch(layer: str, output: Any) -> None:
            feature = _tensor_of(layer, output)
            found[layer] = feature.clone() if layer in self._copied else feature
            if len(found) == len(wanted):
                raise _EnoughError

        with frozen(self.net), _hooks(self.net, wanted, catch):
            try:
                self.net(x)
            except _EnoughError:
                pass
        missing = [layer for layer in wanted if layer not in found]
        if missing:
            raise LayerError(f"{missing[0]} is not run on these inputs, though it was on the example.")
        return {layer: found[layer] for layer in wanted}

    def _remedy(self, layer: str) -> str:
        known = dict(self.net.named_modules())
        return f" The network has a module {layer!r}: name it in the Encoder's layers too." if layer in known else ""

    def _place(self) -> Tensor:
        """A tensor in the type and place that the network computes with."""
        for value in (*self.net.parameters(), *self.net.buffers()):
            if value.is_floating_point():
                return value
        return torch.zeros(1)

    @torch.inference_mode(False)
    @torch.no_grad()
    def _look(self, names: Sequence[str], x: Tensor, given: tuple[int, ...]) -> dict[str, Tensor]:
        """One whole pass: the features in the order in which they come; notes which are changed in place later on.

        Args:
            names: of the layers.
            x: inputs (batch, ...).
            given: the shape of the example that they were taken from.
        """
        calls = dict.fromkeys(names, 0)
        found: dict[str, tuple[Tensor, Tensor, int]] = {}

        def catch(layer: str, output: Any) -> None:
            feature = _tensor_of(layer, output)
            calls[layer] += 1
            found[layer] = feature, feature.clone(), feature._version

        with frozen(self.net), _hooks(self.net, names, catch):
            try:
                self.net(x)
            except LayerError:
                raise
            except Exception as error:
                raise InputError(
                    f"{type(self.net).__name__} fails on the example of shape {given}: {error}. Give a batch of "
                    "inputs, x[:2] and not x[0]."
                ) from error
        for layer, count in calls.items():
            if count != 1:
                raise LayerError(
                    f"{layer} is run {count} times in a pass, not once, so nobody knows which feature is meant. "
                    "Name the module around it, or give each place a module of its own."
                )
        self._copied |= {layer for layer, (feature, _, version) in found.items() if feature._version != version}
        return {layer: copied for layer, (_, copied, _) in found.items()}


class _EnoughError(BaseException):
    """Ends a pass when all that is wanted has been caught; not an Exception, which the network might catch."""


@contextmanager
def _hooks(net: nn.Module, layers: Iterable[str], catch: Callable[[str, Any], None]) -> Iterator[None]:
    """Call `catch` with each layer's name and output while inside the block."""

    def hook_of(layer: str) -> Callable[..., None]:
        return lambda module, inputs, output: catch(layer, output)

    handles = []
    try:
        for layer in layers:
            handles.append(net.get_submodule(layer).register_forward_hook(hook_of(layer)))
        yield
    finally:
        for handle in handles:
            handle.remove()


def _tensor_of(layer: str, output: Any) -> Tensor:
    """The tensor that a module put out; the first of several, as recurrent layers have."""
    first = output[0] if isinstance(output, tuple | list) and output else output
    if not isinstance(first, Tensor) or not first.is_floating_point():
        raise LayerError(f"{layer} gives {type(first).__name__}, no tensor of numbers. Name a module that gives one.")
    return first


def _names(net: nn.Module, layers: str | Iterable[str]) -> list[str]:
    """The names of layers; a module in place of its name is told what it is called."""
    given = [layers] if isinstance(layers, nn.Module) else layers
    for layer in given if isinstance(given, list | tuple) else ():
        called = [name for name, module in net.named_modules() if module is layer and name]
        if called:
            raise LayerError(f"Layers are named by words: say {called[0]!r} for this {type(layer).__name__}.")
    return named_layers(layers)


def _check_names(net: nn.Module, names: Sequence[str]) -> None:
    known = [name for name, _ in net.named_modules() if name]
    if not names:
        raise LayerError(f"No layer to invert was named. {_listed(known)}")
    for name in names:
        if name not in known:
            close = get_close_matches(name, known, n=1) or [each for each in known if each.endswith(f".{name}")]
            hint = f" Do you mean {close[0]!r}?" if close else ""
            raise LayerError(f"The network has no module {name!r}.{hint} {_listed(known)}")


def _listed(names: Sequence[str]) -> str:
    if not names:
        return "It is a single module: put it into a nn.Sequential, where its name is '0'."
    more = f" and {len(names) - MOST_NAMES} more" if len(names) > MOST_NAMES else ""
    return f"Its modules are: {', '.join(names[:MOST_NAMES])}{more}."


def _check_batch(layer: str, together: Tensor, alone: Tensor) -> None:
    """Make sure that features come one for each input, and do not depend on the other inputs of the batch."""
    shapes = f"{tuple(together.shape)} for a batch of two, {tuple(alone.shape)} for one input"
    if not alone.ndim > 1 or len(together) != 2 or len(alone) != 1 or together.shape[1:] != alone.shape[1:]:
        raise LayerError(
            f"The features of {layer} do not come one for each input: {shapes}. Recurrent layers need "
            "batch_first=True; else name a later module, where the batch comes first."
        )
    if (together[:1] - alone).norm() > ALIKE * alone.norm() + ALIKE**2:
        raise LayerError(
            f"The feature of {layer} is another one when an input comes alone, not in a batch of two: the network "
            "draws at random in eval mode, or mixes the inputs of a batch (recurrent layers need batch_first=True)."
        )


def example_of(listener: Listener) -> Tensor:
    """Two inputs `(2, *input_shape)` to trace a listener with: its own example, or noise, always the same."""
    kept: Mapping[str, Any] = vars(listener)
    if isinstance(kept.get("example"), Tensor):
        example: Tensor = kept["example"]
        return example
    return torch.randn(2, *listener.input_shape, generator=torch.Generator().manual_seed(0))
