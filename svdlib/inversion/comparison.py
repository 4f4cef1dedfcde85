"""Where reconstructions are compared with their originals: at one layer or several, of the network itself or another.

The paper compares them at Conv5 of the network that is inverted (section 3.3). What another space asks for tells what
belongs to the features that are inverted, and what to the ears that judge the inversion.

An inverter can please a network by patterns that lie just so on the grid of its steps. Jitter takes them away: what
shall count must survive a small shift and a little noise, alike for the original and its reconstruction.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import torch
from torch import Tensor

from svdlib.compute.storage import weights_digest
from svdlib.errors import LayerError, PlanError, TrainingError
from svdlib.inversion.bank import Bank
from svdlib.inversion.listener import Listener, named_layers, without_gradient

MEASURED = 1024
"""How many training inputs variances are measured on."""

PIECE = 64
"""Inputs measured at once, to spare memory."""


@dataclass(frozen=True)
class Jitter:
    """A small random change of originals and reconstructions alike, drawn anew for each batch.

    Attributes:
        shift: the most steps to move along each axis behind the channels, such as frames and bands, to either side;
            what is moved in is a copy of the edge.
        noise: deviation of white noise that is added, in units of the inputs.
        share: of the batches that are changed; the others are compared as they are.

    Raises:
        PlanError: if one of them is below 0 or no number, shift and noise are all 0, or the share is not above 0 and up
            to 1.
    """

    shift: tuple[int, ...] = ()
    noise: float = 0.0
    share: float = 1.0

    def __post_init__(self) -> None:
        if not 0 < self.share <= 1:
            raise PlanError(f"The share of batches with jitter is above 0 and at most 1, not {self.share}.")
        if not (0 <= self.noise < math.inf and all(steps >= 0 for steps in self.shift)):
            raise PlanError(f"Jitter takes steps and noise of 0 or more, not {self.shift} and {self.noise}.")
        if not (self.noise or any(self.shift)):
            raise PlanError("Jitter without shift and noise would do nothing. Leave it out, or name one of them.")

    def drawn(self, x: Tensor, chance: torch.Generator) -> Callable[[Tensor], Tensor]:
        """Draw one change for inputs (batch, channels, ...).

        Args:
            x: the inputs; only their shape and place matter.
            chance: a source of chance on the processor.

        Returns:
            A function of one or more batches in a row, (k * batch, channels, ...): every batch is changed alike.

        Raises:
            PlanError: if there are more shifts than axes.
        """
        if len(self.shift) > x.ndim - 2:
            raise PlanError(f"Jitter shifts {len(self.shift)} axes, but inputs {tuple(x.shape[1:])} have {x.ndim - 2}.")
        if float(torch.rand((), generator=chance)) >= self.share:
            return lambda batches: batches
        steps = [int(torch.randint(-most, most + 1, (), generator=chance)) for most in self.shift]
        noise = self.noise * torch.randn(x.shape, generator=chance).to(x.device) if self.noise else None

        def change(batches: Tensor) -> Tensor:
            for axis, step in enumerate(steps, start=2):
                places = torch.arange(batches.shape[axis], device=batches.device) - step
                batches = batches.index_select(axis, places.clamp(0, batches.shape[axis] - 1)) if step else batches
            if noise is None:
                return batches
            return batches + noise.repeat(len(batches) // len(noise), *[1] * (batches.ndim - 1))

        return change


@dataclass(frozen=True)
class Comparison:
    """Which features of which network reconstructions are compared by.

    Attributes:
        layers: one or more. Where there are several, the features of each are divided by their deviation over the
            training inputs, and count alike.
        network: whose layers they are; None for the network that is inverted.
        jitter: how both are changed before they are compared; None leaves them as they are.
    """

    layers: tuple[str, ...]
    network: Listener | None = None
    jitter: Jitter | None = None


Compare = str | Sequence[str] | Comparison | None
"""A layer, several, those of another network, or None for the comparator that a network names itself."""


def as_comparison(compare: Compare, encoder: Listener) -> Comparison:
    """What was asked for, in full.

    Raises:
        LayerError: if there is no layer, or no such layer.
    """
    if not isinstance(compare, Comparison):
        compare = Comparison(tuple(named_layers(encoder.comparator if compare is None else compare)))
    if not compare.layers:
        raise LayerError("Reconstructions are compared at a layer. Name one, or leave `compare` out.")
    return replace(compare, layers=(compare.network or encoder).check_layers(compare.layers))


class ComparisonSpace:
    """The space in which reconstructions are compared, ready for training.

    Attributes:
        comparison: which features of which network.
        is_own: whether one pass gives the features for both: the network is the one that is inverted, and hears the
            inputs as they are.
        variance: mean over the cells of the space of their variance over the training inputs.
        input_variance: likewise of the inputs.
    """

    def __init__(self, comparison: Comparison, network: Listener, train: Bank, *, measured: bool) -> None:
        """Get ready to compare.

        Args:
            comparison: see there.
            network: whose layers it names, in eval mode, on the device of the bank.
            train: training inputs.
            measured: whether the variances are needed.

        Raises:
            TrainingError: if all inputs, or all their features at a layer, are alike, where that matters.
        """
        self.comparison, self._network = comparison, network
        self.is_own = comparison.network is None and comparison.jitter is None
        self._scales = dict.fromkeys(comparison.layers, 1.0)
        several = len(comparison.layers) > 1
        self.input_variance = self.variance = 1.0
        if measured or several:
            self.input_variance, *of_layers = self._variances(train)
            sizes = [torch.Size(self._network.shapes[layer]).numel() for layer in comparison.layers]
            self.variance = of_layers[0]
            if several:
                self.variance = 1.0
                for layer, size, variance in zip(comparison.layers, sizes, of_layers, strict=True):
                    self._scales[layer] = (sum(sizes) / len(sizes) / size / variance) ** 0.5

    def check_gradient(self, train: Bank) -> None:
        """Make sure that a reconstruction can learn from how its features differ.

        Raises:
            LayerError: if no gradient leads from a layer's feature to the input.
        """
        with torch.inference_mode(False), torch.enable_grad():
            x = train.gather(train.spread(1)).clone().requires_grad_()
            for layer, feature in self._network.features(x, self.comparison.layers).items():
                if not feature.requires_grad:
                    raise LayerError(f"{without_gradient(layer)} Compare at another layer, or take objective='input'.")

    def __call__(self, x: Tensor) -> Tensor:
        """The features of inputs (batch, ...), of one layer in its own shape, of several in a row (batch, cells)."""
        return self.of(self._network.features(x, self.comparison.layers))

    def drawn(self, x: Tensor, seed: int) -> Callable[[Tensor], Tensor]:
        """The same for one batch of inputs and its reconstructions, changed by the jitter that belongs to a seed."""
        if self.comparison.jitter is None:
            return self
        change = self.comparison.jitter.drawn(x, torch.Generator().manual_seed(seed))
        return lambda batches: self(change(batches))

    def of(self, features: Mapping[str, Tensor]) -> Tensor:
        """The same from features that are there already."""
        if len(self._scales) == 1:
            return features[self.comparison.layers[0]]
        return torch.cat([features[layer].flatten(1) * scale for layer, scale in self._scales.items()], 1)

    @property
    def identity(self) -> Any:
        """What tells it from others, for JSON: the name of a layer of the network itself, or all there is to say."""
        layers, network, jitter = self.comparison.layers, self.comparison.network, self.comparison.jitter
        if network is None and jitter is None and len(layers) == 1:
            return layers[0]
        other = {} if network is None else {"network": weights_digest(network)}
        return {"layers": list(layers)} | other | ({} if jitter is None else {"jitter": asdict(jitter)})

    @torch.no_grad()
    def _variances(self, train: Bank) -> list[float]:
        """Mean over cells of the variance over the inputs of a bank: of the inputs, and of each layer's features."""
        chosen = train.spread(MEASURED)
        moments: list[Tensor] = []
        for indices in chosen.split(PIECE):
            x = train.gather(indices)
            features = self._network.features(x, self.comparison.layers)
            values = (each.double() for each in (x, *(features[layer] for layer in self.comparison.layers)))
            found = [torch.stack([value.sum(0), value.square().sum(0)]) / len(chosen) for value in values]
            moments = [old + new for old, new in zip(moments, found, strict=True)] if moments else found
        variances = [float((square - mean.square()).clamp(min=0).mean()) for mean, square in moments]
        for variance, what in zip(variances, ("inputs", *self.comparison.layers), strict=True):
            if not variance > 0:
                of = "training inputs" if what == "inputs" else f"training features at {what}"
                raise TrainingError(f"All {of} are alike, so there is nothing to weigh a loss by.")
        return variances
