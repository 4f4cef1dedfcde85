"""Where reconstructions are compared with their originals: at one layer or several, of the network itself or another.

The paper compares them at Conv5 of the network that is inverted (section 3.3). What another space asks for tells what
belongs to the features that are inverted, and what to the ears that judge the inversion.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from svdlib.compute.storage import weights_digest
from svdlib.errors import LayerError, TrainingError
from svdlib.inversion.bank import Bank
from svdlib.inversion.listener import Listener

MEASURED = 1024
"""How many training inputs variances are measured on."""

PIECE = 64
"""Inputs measured at once, to spare memory."""


@dataclass(frozen=True)
class Comparison:
    """Which features of which network reconstructions are compared by.

    Attributes:
        layers: one or more. Where there are several, the features of each are divided by their deviation over the
            training inputs, and count alike.
        network: whose layers they are; None for the network that is inverted.
    """

    layers: tuple[str, ...]
    network: Listener | None = None


Compare = str | Sequence[str] | Comparison | None
"""A layer, several, those of another network, or None for the comparator that a network names itself."""


def as_comparison(compare: Compare, encoder: Listener) -> Comparison:
    """What was asked for, in full.

    Raises:
        LayerError: if there is no layer, or no such layer.
    """
    if not isinstance(compare, Comparison):
        names = compare or encoder.comparator
        compare = Comparison((names,) if isinstance(names, str) else tuple(names))
    if not compare.layers:
        raise LayerError("Reconstructions are compared at a layer. Name one, or leave `compare` out.")
    return replace(compare, layers=(compare.network or encoder).check_layers(compare.layers))


class ComparisonSpace:
    """The space in which reconstructions are compared, ready for training.

    Attributes:
        comparison: which features of which network.
        is_own: whether the network is the one that is inverted, so that one pass gives the features for both.
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
        self.comparison, self.is_own, self._network = comparison, comparison.network is None, network
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

    def __call__(self, x: Tensor) -> Tensor:
        """The features of inputs (batch, ...), of one layer in its own shape, of several in a row (batch, cells)."""
        return self.of(self._network.features(x, self.comparison.layers))

    def of(self, features: Mapping[str, Tensor]) -> Tensor:
        """The same from features that are there already."""
        if len(self._scales) == 1:
            return features[self.comparison.layers[0]]
        return torch.cat([features[layer].flatten(1) * scale for layer, scale in self._scales.items()], 1)

    @property
    def identity(self) -> Any:
        """What tells it from others, for JSON: the name of a layer of the network itself, or all there is to say."""
        layers, network = self.comparison.layers, self.comparison.network
        if network is None and len(layers) == 1:
            return layers[0]
        return {"layers": list(layers)} | ({} if network is None else {"network": weights_digest(network)})

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
