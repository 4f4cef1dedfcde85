"""The authors' weights: `.npz` files of Lasagne, the library that the paper's models were built with.

Such a file holds the arrays of a network in the order of its layers, named param0, param1, ... A layer without batch
normalisation has two, W and b; one with it has five: W, beta, gamma, mean and inv_std. Lasagne's conventions differ
from PyTorch's in four points:

- a dense layer multiplies from the left: W has the shape (inputs, outputs);
- convolutions are true ones: kernels are flipped in time and frequency;
- so are the kernels of up-convolutions, which have the shape (inputs, outputs, 4, 4) in both libraries;
- batch normalisation keeps 1 / sqrt(variance + epsilon), not the variance.

The standardisation is not part of a detector's file; Schlüter and Grill's code keeps it in another, with the arrays
"mean" and "std".
"""

import os
from dataclasses import dataclass
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import N_BANDS
from svdlib.compute.npz import Archive, Header
from svdlib.detector.model import LAYERS, SVDNet, check_layer
from svdlib.errors import WeightsError, path_of
from svdlib.inversion.inverters import NORM_EPSILON, FeatureInverter
from svdlib.paper.inverters import PUBLISHED

PREFIXES = ("param", "arr_")
"""How arrays are named: as the authors do, or as NumPy does where no names are given."""
LARGEST_INVERSE_DEVIATION = NORM_EPSILON**-0.5
"""That of a channel which never changes."""
ROUNDING = 1e-5
"""What single-precision running averages of many batches may add to it, relatively."""


@dataclass(frozen=True)
class Place:
    """Where one array of a Lasagne file belongs.

    Attributes:
        kind: Lasagne's name: "W", "b", "beta", "gamma", "mean" or "inv_std".
        stage: the layer of the network, such as "conv1" or "Uconv2".
        shape: that of the array in the file.
        key: name of the tensor in the network's `state_dict`.
        flipped: whether the array is a kernel, to be flipped in time and frequency.
    """

    kind: str
    stage: str
    shape: tuple[int, ...]
    key: str
    flipped: bool = False

    def __str__(self) -> str:
        """Say it as errors do."""
        return f"{self.kind} of {self.stage}, shape {self.shape}"


def layout(network: SVDNet | FeatureInverter) -> tuple[Place, ...]:
    """The arrays that Lasagne writes for a network, in its order."""
    places: list[Place] = []
    for name, module in network.named_modules():
        stage = next((part for part in reversed(name.split(".")) if not part.isdigit()), "")
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            dense = isinstance(module, nn.Linear)
            shape = tuple(module.weight.T.shape) if dense else tuple(module.weight.shape)
            places.append(Place("W", stage, shape, f"{name}.weight", flipped=not dense))
            if module.bias is not None:
                places.append(Place("b", stage, tuple(module.bias.shape), f"{name}.bias"))
        elif isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            for kind, ours in zip(
                ("beta", "gamma", "mean", "inv_std"), ("bias", "weight", "running_mean", "running_var"), strict=True
            ):
                places.append(Place(kind, stage, (module.num_features,), f"{name}.{ours}"))
    return tuple(places)


@overload
def load_lasagne(
    path: str | os.PathLike[str], layer: None = None, *, standardizer: str | os.PathLike[str] | None = None
) -> SVDNet: ...


@overload
def load_lasagne(path: str | os.PathLike[str], layer: str, *, standardizer: None = None) -> FeatureInverter: ...


def load_lasagne(
    path: str | os.PathLike[str], layer: str | None = None, *, standardizer: str | os.PathLike[str] | None = None
) -> SVDNet | FeatureInverter:
    """Read the authors' detector or one of their inverters from its `.npz` file.

    Nothing is unpickled. The networks compute what they compute in Lasagne, up to the rounding of single precision.
    `.provenance` names the file and its digest; a detector has no threshold of its own choice, since the file has none.

    Args:
        path: the file, its arrays float32 or float64, shapes as `layout` says.
        layer: None for the detector; or the layer that the inverter inverts, one of `svdlib.LAYERS`.
        standardizer: the file with the arrays "mean" (80,) and "std" (80,) that the detector was trained with, in
            natural-log units. Without it the detector's `.standardizer` changes nothing: standardise yourself.

    Returns:
        The network in eval mode; an inverter is of the variant "published".

    Raises:
        LayerError: if the layer does not exist.
        WeightsError: if a file is missing or damaged, an array missing, extra, of another shape or type or with values
            that cannot be, or if the file holds another network; or if an inverter is given a standardizer.
    """
    network = _build(layer)
    if standardizer is not None and layer is not None:
        raise WeightsError("The standardisation belongs to the detector. Leave it out for an inverter.")
    archive = Archive(path_of(path, "a file of weights", WeightsError))
    state = _read_state(archive, network)
    provenance: dict[str, Any] = {
        "source": "weights file of Lasagne",
        "network": describe_network(layer),
        "file": archive.path.name,
        "sha256": archive.sha256,
        "licence": "unknown; the authors of the file decide",
    }
    if standardizer is not None:
        scales = Archive(path_of(standardizer, "a file of a standardisation", WeightsError))
        state |= _read_standardisation(scales)
        provenance["standardisation"] = {"file": scales.path.name, "sha256": scales.sha256}
    network.load_state_dict(network.state_dict() | state)
    network.provenance = provenance
    return network.eval()


def read_state(path: str | os.PathLike[str], layer: str | None = None) -> dict[str, Tensor]:
    """Read the arrays of a Lasagne file as `load_lasagne` does, in float64 and named as in the network's `state_dict`.

    Raises:
        LayerError: if the layer does not exist.
        WeightsError: as `load_lasagne`.
    """
    return _read_state(Archive(path_of(path, "a file of weights", WeightsError)), _build(layer))


def recognise(path: str | os.PathLike[str]) -> str | None:
    """Tell from its arrays which network a Lasagne file holds: a layer for its inverter, None for the detector.

    Raises:
        WeightsError: if the file is missing or damaged, or holds none of them.
    """
    archive = Archive(path_of(path, "a file of weights", WeightsError))
    found = _networks_like(archive)
    if not found:
        raise WeightsError(
            f"{path} has {len(archive.names)} arrays that are neither those of the detector nor of a published "
            "inverter. Name the layer that it should be of, to read which array is wrong."
        )
    return found[0]


def _build(layer: str | None) -> SVDNet | FeatureInverter:
    return SVDNet() if layer is None else FeatureInverter(PUBLISHED[check_layer(layer)], "published")


def describe_network(layer: str | None) -> str:
    """What the network of a layer, or with None the detector, is called in messages."""
    return "detector" if layer is None else f"published inverter of {layer}"


def _prefix(archive: Archive) -> str:
    return next((prefix for prefix in PREFIXES if any(name.startswith(prefix) for name in archive.names)), PREFIXES[0])


def _networks_like(archive: Archive) -> list[str | None]:
    """The layers (None: the detector) whose network has just the arrays of a file, by names and shapes."""
    prefix, count = _prefix(archive), len(archive.names)
    names = [f"{prefix}{number}" for number in range(count)]
    if set(names) != set(archive.names):
        return []
    wanted = {layer: [place.shape for place in layout(_build(layer))] for layer in (None, *LAYERS)}
    wanted = {layer: shapes for layer, shapes in wanted.items() if len(shapes) == count}
    if not wanted:
        return []
    shapes = [archive.header(name).shape for name in names]
    return [layer for layer, own in wanted.items() if own == shapes]


def _read_state(archive: Archive, network: SVDNet | FeatureInverter) -> dict[str, Tensor]:
    places, prefix = layout(network), _prefix(archive)
    wanted = {f"{prefix}{number}": place for number, place in enumerate(places)}
    layer = network.layer if isinstance(network, FeatureInverter) else None
    headers = _check_arrays(archive, wanted, layer)
    state = {}
    for name, place in wanted.items():
        values = archive.read(name, headers[name])
        if place.kind == "inv_std":
            values = _variance(archive, name, place, values)
        elif place.flipped:
            values = values[:, :, ::-1, ::-1]
        elif values.ndim == 2:
            values = values.T
        state[place.key] = torch.from_numpy(values.copy())
    return state


def _check_arrays(archive: Archive, wanted: dict[str, Place], layer: str | None) -> dict[str, Header]:
    """Make sure that a file has the wanted arrays and no other, each of its shape, before any is read."""
    path, title = archive.path, f"The {describe_network(layer)} has {len(wanted)} arrays"
    missing = [f"{name} ({place})" for name, place in wanted.items() if name not in archive.names]
    extra = [name for name in archive.names if name not in wanted]
    headers = {} if missing or extra else {name: archive.header(name) for name in wanted}
    wrong = [name for name, header in headers.items() if header.shape != wanted[name].shape]
    if not (missing or extra or wrong):
        return headers
    for other in _networks_like(archive):
        remedy = "without a layer" if other is None else f"with the layer {other}"
        held, wanted_one = describe_network(other), describe_network(layer)
        raise WeightsError(f"{path} has the arrays of the {held}, not of the {wanted_one}. Read it {remedy}.")
    if missing:
        raise WeightsError(f"{path} lacks {_some(missing)}. {title}.")
    if extra:
        raise WeightsError(f"{path} has arrays too many: {_some(extra)}. {title}, {' to '.join(_ends(wanted))}.")
    name = wrong[0]
    raise WeightsError(f"{path}: {name} should be {wanted[name]}, but has the shape {headers[name].shape}.")


def _some(names: list[str]) -> str:
    more = len(names) - 3
    return ", ".join(name[:60] for name in names[:3]) + (f" and {more} more" if more > 0 else "")


def _ends(wanted: dict[str, Place]) -> tuple[str, str]:
    names = list(wanted)
    return names[0], names[-1]


def _variance(archive: Archive, name: str, place: Place, inverse_deviation: np.ndarray) -> np.ndarray:
    """The running variance that batch normalisation turns back into just these inverse deviations."""
    largest = LARGEST_INVERSE_DEVIATION * (1 + ROUNDING)
    smallest = np.finfo(np.float32).max ** -0.5
    if not ((inverse_deviation > smallest) & (inverse_deviation <= largest)).all():
        raise WeightsError(
            f"{archive.path}: {name} ({place}) should be 1 / sqrt(variance + {NORM_EPSILON:g}), so above 0 and at most "
            f"{LARGEST_INVERSE_DEVIATION:g}, but holds values from {inverse_deviation.min():g} "
            f"to {inverse_deviation.max():g}."
        )
    # Not cut off at 0: a channel that never changes may come out a rounding error below, and still be read exactly.
    return inverse_deviation**-2.0 - NORM_EPSILON


def _read_standardisation(archive: Archive) -> dict[str, Tensor]:
    if set(archive.names) != {"mean", "std"}:
        raise WeightsError(
            f"{archive.path} should hold the arrays mean and std, shape ({N_BANDS},), "
            f"but holds {_some(list(archive.names)) or 'nothing'}."
        )
    state = {}
    for name in ("mean", "std"):
        header = archive.header(name)
        if header.shape != (N_BANDS,):
            raise WeightsError(f"{archive.path}: {name} should have the shape ({N_BANDS},), not {header.shape}.")
        state[f"standardizer.{name}"] = torch.from_numpy(archive.read(name, header).copy())
    if not (state["standardizer.std"].float() > 0).all():
        raise WeightsError(f"{archive.path}: std holds values that are not above 0.")
    return state
