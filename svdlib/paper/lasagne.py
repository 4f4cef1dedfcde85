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
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, overload

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.standardizer import N_BANDS
from svdlib.compute.npz import Archive, Header
from svdlib.detector.model import LAYERS, SVDNet, check_layer
from svdlib.errors import WeightsError
from svdlib.inversion.inverters import NORM_EPSILON, FeatureInverter, build_inverter
from svdlib.zoo.checkpoints import DETECTOR_FILE, save_weights, weights_name

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
    path: str | os.PathLike, layer: None = None, *, standardizer: str | os.PathLike | None = None
) -> SVDNet: ...


@overload
def load_lasagne(path: str | os.PathLike, layer: str, *, standardizer: None = None) -> FeatureInverter: ...


def load_lasagne(
    path: str | os.PathLike, layer: str | None = None, *, standardizer: str | os.PathLike | None = None
) -> SVDNet | FeatureInverter:
    """Read the authors' detector or one of their inverters from its `.npz` file.

    Nothing is unpickled. The networks compute what they compute in Lasagne, up to the rounding of single precision.
    `.provenance` names the file and its digest; a detector's has no "threshold", since the file has none.

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
    archive = Archive(Path(path))
    state = _read_state(archive, network)
    provenance: dict[str, Any] = {
        "source": "weights file of Lasagne",
        "network": _describe(layer),
        "file": archive.path.name,
        "sha256": archive.sha256,
        "licence": "unknown; the authors of the file decide",
    }
    if standardizer is not None:
        scales = Archive(Path(standardizer))
        state |= _read_standardisation(scales)
        provenance["standardisation"] = {"file": scales.path.name, "sha256": scales.sha256}
    network.load_state_dict(network.state_dict() | state)
    network.provenance = provenance
    return network.eval()


def read_state(path: str | os.PathLike, layer: str | None = None) -> dict[str, Tensor]:
    """Read the arrays of a Lasagne file as `load_lasagne` does, in float64 and named as in the network's `state_dict`.

    Raises:
        LayerError: if the layer does not exist.
        WeightsError: as `load_lasagne`.
    """
    return _read_state(Archive(Path(path)), _build(layer))


def convert_lasagne(
    paths: Sequence[str | os.PathLike],
    folder: str | os.PathLike,
    *,
    layer: str | None = None,
    standardizer: str | os.PathLike | None = None,
    threshold: float | None = None,
) -> list[Path]:
    """Write Lasagne files anew as weights files of svdlib, exactly, so that everything else can use them.

    Inverters that are converted together with their detector remember it, and are refused with another one. Converted
    alone they can't: nothing in an inverter's file says whose features it was trained on.

    Args:
        paths: files of a detector, of inverters, or of both; which network each holds is known from its arrays.
        folder: where to write `detector.safetensors` and `published-LAYER.safetensors`.
        layer: the layer whose inverter a single file must hold; an error then says which array is wrong.
        standardizer: as for `load_lasagne`; a detector needs it here.
        threshold: the smoothed probability above which a frame counts as sung; a detector needs it.

    Returns:
        The files written, the detector's first.

    Raises:
        LayerError: if the layer does not exist.
        WeightsError: as `load_lasagne`, or if a detector lacks standardizer or threshold, one of them is given without
            a detector, or two files hold the same network.
        OutputError: if a file cannot be written.
    """
    if layer is not None and len(paths) != 1:
        raise WeightsError(f"A layer is named, {layer}, but {len(paths)} files. Name one, or leave the layer out.")
    found: dict[str | None, Path] = {}
    for path in map(Path, paths):
        held = recognise(path) if layer is None else check_layer(layer)
        if held in found:
            raise WeightsError(f"{found[held]} and {path} both hold the {_describe(held)}. Leave one out.")
        found[held] = path
    _check_detector_options(found.get(None), standardizer, threshold)
    networks: dict[Path, SVDNet | FeatureInverter] = {}
    origin: dict[str, Any] = {}
    if None in found:
        detector = load_lasagne(found[None], standardizer=standardizer)
        detector.provenance |= {"threshold": threshold}
        networks[Path(folder, DETECTOR_FILE)], origin = detector, {"detector": detector.provenance}
    for held in (held for held in LAYERS if held in found):
        inverter = load_lasagne(found[held], held)
        inverter.provenance |= origin
        networks[Path(folder, weights_name(held, inverter.variant))] = inverter
    for path, network in networks.items():
        save_weights(path, network, network.provenance, exact=True)
    return list(networks)


def recognise(path: str | os.PathLike) -> str | None:
    """Tell from its arrays which network a Lasagne file holds: a layer for its inverter, None for the detector.

    Raises:
        WeightsError: if the file is missing or damaged, or holds none of them.
    """
    archive = Archive(Path(path))
    found = _networks_like(archive)
    if not found:
        raise WeightsError(
            f"{path} has {len(archive.names)} arrays that are neither those of the detector nor of a published "
            "inverter. Name the layer that it should be of, to read which array is wrong."
        )
    return found[0]


def _build(layer: str | None) -> SVDNet | FeatureInverter:
    return SVDNet() if layer is None else build_inverter(check_layer(layer))


def _describe(layer: str | None) -> str:
    return "detector" if layer is None else f"published inverter of {layer}"


def _check_detector_options(
    detector: Path | None, standardizer: str | os.PathLike | None, threshold: float | None
) -> None:
    options = {"the standardisation (--standardizer FILE)": standardizer, "the threshold (--threshold P)": threshold}
    given = [name for name, value in options.items() if value is not None]
    missing = [name for name, value in options.items() if value is None]
    if detector is None and given:
        raise WeightsError(f"Only a detector has {' and '.join(given)}, and no file holds one. Leave it out.")
    if detector is not None and missing:
        raise WeightsError(
            f"{detector} holds a detector, whose file lacks {' and '.join(missing)}. Name what it was trained with."
        )
    if threshold is not None and not 0 <= threshold <= 1:
        raise WeightsError(f"The threshold is a probability, so from 0 to 1, not {threshold:g}.")


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
    path, title = archive.path, f"The {_describe(layer)} has {len(wanted)} arrays"
    missing = [f"{name} ({place})" for name, place in wanted.items() if name not in archive.names]
    extra = [name for name in archive.names if name not in wanted]
    headers = {} if missing or extra else {name: archive.header(name) for name in wanted}
    wrong = [name for name, header in headers.items() if header.shape != wanted[name].shape]
    if not (missing or extra or wrong):
        return headers
    for other in _networks_like(archive):
        remedy = "without a layer" if other is None else f"with the layer {other}"
        raise WeightsError(f"{path} has the arrays of the {_describe(other)}, not of the {_describe(layer)}. "
                           f"Read it {remedy}.")  # fmt: skip
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
