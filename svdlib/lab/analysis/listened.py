"""Inputs of any network and their inversions, ready to be drawn, heard and told."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.detector.front_end import front_end_of
from svdlib.detector.model import LAYER_SHAPES, SVDNet
from svdlib.errors import InputError
from svdlib.inversion.bank import TensorBank
from svdlib.inversion.front_end import FrontEnd
from svdlib.inversion.inverters import FeatureInverter, Inverters, from_map, inverters_of
from svdlib.inversion.listener import Listener, as_input, check_listener
from svdlib.inversion.nre import mean_pairwise_distance, reconstruct, reconstruction_distances

ORIGINAL = "original"
RAREST = 0.5
"""Percent of the originals' values that lie below the scale, and above it."""

HEADROOM = 1.05
"""How much higher a waveform's axis is than the waveform."""


@dataclass(frozen=True)
class Listened:
    """Inputs of a network and what its layers keep of them.

    Attributes:
        x: the inputs (inputs, ...), on the CPU.
        inversions: of the same shape, per layer.
        front: how they are drawn and heard.
        names: what each input is called.
        typical: the mean distance between two inputs; 0 if there is only one.
        mean: the picture of knowing nothing (1, ...): the mean training input, or that of these inputs.
    """

    x: Tensor
    inversions: Mapping[str, Tensor]
    front: FrontEnd
    names: Sequence[str]
    typical: float
    mean: Tensor

    @property
    def steps(self) -> list[str]:
        """The original, then the layers."""
        return [ORIGINAL, *self.inversions]

    @property
    def limits(self) -> tuple[float, float]:
        """The ends of a scale that suits the originals; of waveforms alike on both sides of zero."""
        pictures = np.stack([self.front.picture(each) for each in self.x])
        low, high = np.percentile(pictures, [RAREST, 100 - RAREST])
        if pictures.ndim == 2:
            high = HEADROOM * np.abs(pictures).max()
            low = -high
        return float(low), float(max(high, low + 1e-6))

    def values(self, step: str) -> Tensor:
        """All inputs, or their inversions from a layer (inputs, ...)."""
        return self.x if step == ORIGINAL else self.inversions[step]

    def picture(self, step: str, number: int) -> np.ndarray:
        """What is drawn of an input or one of its inversions."""
        return self.front.picture(self.values(step)[number])

    def errors(self, step: str) -> Tensor | None:
        """Distances to the inputs, divided by the typical one (inputs,); None if there is no typical one."""
        return reconstruction_distances(self.x, self.values(step)) / self.typical if self.typical else None

    def error(self, step: str, number: int) -> float | None:
        """That of one input."""
        errors = self.errors(step)
        return None if errors is None else float(errors[number])


def listen(
    x: Tensor | np.ndarray | TensorBank,
    encoder: Listener,
    inverters: Inverters,
    front: FrontEnd | None = None,
    names: Sequence[str] = (),
) -> Listened:
    """Invert inputs of a network, to be shown.

    Args:
        x: inputs `(inputs, *input_shape)`, as the network takes them, or a bank of them.
        encoder: the network, an `svdlib.Encoder` or the detector.
        inverters: an inverter per layer, shallow to deep, or the run that made them.
        front: how inputs are drawn; None takes the detector's, for the detector.
        names: what each input is called; none given takes the names of a bank's groups, or numbers the inputs.

    Raises:
        InputError: if something is no network with named layers, or no input, or the front end is missing or does not
            fit.
        LayerError: if a layer does not exist, or the inputs have another shape.
        WeightsError: if an inverter was trained for another network.
    """
    inverters = _checked(encoder, inverters)
    if isinstance(x, TensorBank):
        names, x = names or names_in(x), x.x
    if front is None and not _is_the_detector(encoder):
        raise InputError(
            "How this network's inputs are drawn is not known. Say it, for example by "
            "svdlib.FrontEnd(frame_rate=100, band_hz=hertz), where hertz holds the frequency of each band."
        )
    parameter = next(encoder.parameters(), torch.zeros(1))
    inputs = as_input(x, parameter).to(parameter.device).detach()
    if not len(inputs) or inputs.shape[1:] != tuple(encoder.input_shape):
        expected = ", ".join(map(str, encoder.input_shape))
        raise InputError(f"The network takes inputs of shape (inputs, {expected}), not {tuple(inputs.shape)}.")
    if names and len(names) != len(inputs):
        raise InputError(f"There are {len(inputs)} inputs, but {len(names)} names. Give one per input.")
    found = front or front_end_of(encoder)  # type: ignore[arg-type]
    found.picture(inputs[0])
    with torch.no_grad():
        inversions = {layer: each.cpu() for layer, each in reconstruct(encoder, inverters, inputs).items()}
    inputs = inputs.cpu()
    typical = mean_pairwise_distance(inputs) if len(inputs) > 1 else 0.0
    called = list(names) or [f"input {number}" for number in range(1, len(inputs) + 1)]
    return Listened(inputs, inversions, found, called, typical, _mean(inverters, inputs))


def names_in(bank: TensorBank) -> list[str]:
    """What each input of a bank is called: its group, with a number where several are in it; none without names."""
    if not bank.has_names:
        return []
    sizes, seen, names = np.bincount(bank.groups), [0] * len(bank.group_names), []
    for group in bank.groups:
        seen[group] += 1
        name = bank.group_names[group]
        called = name if isinstance(name, str) else f"group {name}"
        names.append(f"{called} ({seen[group]})" if sizes[group] > 1 else called)
    return names


def _checked(encoder: Listener, inverters: Inverters) -> Mapping[str, nn.Module]:
    check_listener(encoder)
    found = inverters_of(inverters)
    encoder.check_layers(found)
    return found


def _is_the_detector(encoder: Listener) -> bool:
    return isinstance(encoder, SVDNet) and dict(encoder.shapes) == LAYER_SHAPES


def _mean(inverters: Mapping[str, nn.Module], x: Tensor) -> Tensor:
    for inverter in inverters.values():
        if isinstance(inverter, FeatureInverter) and inverter.spec.from_mean:
            return from_map(inverter.mean[None], inverter.spec.input_axes).cpu()
    return x.mean(0, keepdim=True)
