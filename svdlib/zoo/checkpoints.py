"""Trained weights as files, each with its provenance, and those that come with the package.

A weights file is in safetensors format. Its metadata tells what it holds and where it comes from; nothing in it is
ever executed. Weights are stored in half precision, unless asked otherwise, and statistics in single; both are computed
with in single precision.
"""

import json
import math
import struct
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from svdlib.compute.storage import open_plain, write_atomically
from svdlib.detector.model import LAYERS, SVDNet, check_layer
from svdlib.errors import WeightsError, quoted
from svdlib.inversion.inverters import NORM_EPSILON, FeatureInverter, check_belongs
from svdlib.inversion.listener import named_layers
from svdlib.zoo.families import build_inverter

FORMAT = "svdlib-weights-1"
DETECTOR_FILE = "detector.safetensors"
PACKAGED = Path(__file__).parent / "weights"
DEEPEST_PROVENANCE = 32  # objects and lists in each other; what we write has six, and writing JSON recurses


def save_weights(
    path: str | PathLike[str], network: SVDNet | FeatureInverter, provenance: Mapping[str, Any], *, exact: bool = False
) -> None:
    """Write a trained network with its provenance; the same network and provenance give the same bytes.

    Args:
        path: the file to write, ending in .safetensors.
        network: a detector or an inverter.
        provenance: corpus, seed, versions, metrics: whatever JSON can hold, so no number that is not finite. A
            detector's has its "threshold".
        exact: store the weights in single precision too, so that not a bit is lost; the file is twice as large.

    Raises:
        WeightsError: if JSON cannot hold the provenance.
        OutputError: if the file cannot be written.
    """
    from safetensors.torch import save

    try:
        origin = json.dumps(dict(provenance), allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise WeightsError(
            f"The provenance for {path} cannot be written as JSON ({error}). Give texts, lists and finite numbers."
        ) from error
    tensors = {name: _stored(value, exact) for name, value in network.state_dict().items()}
    data = _in_order(save(tensors, metadata={"format": FORMAT, "network": _describe(network), "provenance": origin}))
    write_atomically(Path(path), lambda file: file.write(data))


def holds(path: str | PathLike[str], network: SVDNet | FeatureInverter) -> bool:
    """Whether a file holds the very weights of a network already, as `save_weights` stores them."""
    try:
        _, tensors = _read(Path(path))
    except WeightsError:
        return False
    own = {name: _stored(value, exact=False) for name, value in network.state_dict().items()}
    return own.keys() == tensors.keys() and all(torch.equal(own[name], tensors[name]) for name in own)


def load_detector(path: str | PathLike[str]) -> SVDNet:
    """Read a detector; its provenance is the attribute `.provenance`.

    Raises:
        WeightsError: if the file is missing, damaged, or holds something else.
    """
    detector = _load(Path(path), SVDNet())
    threshold = detector.provenance.get("threshold")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise WeightsError(f"{path} lacks the detector's threshold in its provenance. Train it again.")
    if not 0 <= threshold <= 1:
        raise WeightsError(
            f"{path} gives {quoted(threshold)} as the detector's threshold, which is no probability. Train it again."
        )
    detector.threshold = float(threshold)
    return detector


def load_inverter(path: str | PathLike[str], layer: str, variant: str = "published") -> FeatureInverter:
    """Read the inverter of a layer; its provenance is the attribute `.provenance`.

    Raises:
        LayerError: if the layer or variant does not exist.
        WeightsError: if the file is missing, damaged, or holds something else.
    """
    return _load(Path(path), build_inverter(layer, variant))


@overload
def pretrained(kind: Literal["detector"]) -> SVDNet: ...


@overload
def pretrained(kind: Literal["inverter"], *, layer: str, variant: str = "published") -> FeatureInverter: ...


def pretrained(kind: str, *, layer: str | None = None, variant: str = "published") -> SVDNet | FeatureInverter:
    """Load a network that comes with the package: no download, in eval mode, with `.provenance`.

    Args:
        kind: "detector" or "inverter".
        layer: the layer that the inverter inverts.
        variant: the inverter's family.

    Raises:
        WeightsError: if `kind` is neither, an inverter is asked for without a layer, or the package lacks the file.
        LayerError: if the layer or variant does not exist.
    """
    if kind == "detector":
        return load_detector(PACKAGED / DETECTOR_FILE)
    if kind != "inverter":
        raise WeightsError(f"There are no pretrained weights of kind {kind!r}; ask for 'detector' or 'inverter'.")
    if layer is None:
        raise WeightsError("Say which layer's inverter you want, for example pretrained('inverter', layer='fc8').")
    build_inverter(check_layer(layer), variant)
    return load_inverter(PACKAGED / weights_name(layer, variant), layer, variant)


def pretrained_inverters(variant: str = "published") -> dict[str, FeatureInverter]:
    """Load all eight inverters of a family that come with the package, shallow to deep."""
    return {layer: pretrained("inverter", layer=layer, variant=variant) for layer in LAYERS}


def open_detector(weights: str | PathLike[str] | None) -> SVDNet:
    """The detector of a weights file, or the packaged one.

    Raises:
        WeightsError: if the file is missing, damaged, or holds something else.
    """
    return load_detector(Path(weights)) if weights else pretrained("detector")


def family_in(weights: str | PathLike[str] | None) -> str:
    """Which family of inverters to show when none is named: the aligned ones, or what a folder holds instead."""
    held = weights is None or (Path(weights) / weights_name(LAYERS[0], "aligned")).is_file()
    return "aligned" if held else "published"


def open_inverters(
    weights: str | PathLike[str] | None,
    detector: SVDNet,
    layers: str | Sequence[str] = LAYERS,
    variant: str = "published",
) -> dict[str, FeatureInverter]:
    """The inverters in a folder, or the packaged ones, where the detector computes.

    Raises:
        WeightsError: if one is missing, damaged, or was trained for another detector.
    """
    device = detector.standardizer.mean.device
    inverters = {}
    for layer in named_layers(layers):
        path = Path(weights) / weights_name(layer, variant) if weights else None
        inverter = load_inverter(path, layer, variant) if path else pretrained("inverter", layer=layer, variant=variant)
        check_belongs(layer, inverter, detector)
        inverters[layer] = inverter.to(device)
    return inverters


def weights_name(layer: str, variant: str) -> str:
    """File name of an inverter's weights."""
    return f"{variant}-{layer}.safetensors"


def _stored(value: Tensor, exact: bool) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.half() if value.ndim >= 2 and not exact else value


def _in_order(data: bytes) -> bytes:
    """A safetensors file with its metadata sorted by name: the library writes them in another order each time."""
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)  # as the format asks, so that tensors begin at a multiple of 8
    return struct.pack("<Q", len(text)) + text + data[8 + length :]


def _describe(network: nn.Module) -> str:
    if isinstance(network, FeatureInverter):
        return f"{network.variant} inverter of {network.layer}"
    return "detector"


def _load(path: Path, network: Any) -> Any:
    metadata, tensors = _read(path)
    expected = _describe(network)
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path} is in format {metadata.get('format')!r}, this version of svdlib reads {FORMAT!r}. "
            "Train it again, or install the version of svdlib that wrote it."
        )
    if metadata.get("network") != expected:
        raise WeightsError(f"{path} holds the weights of a {metadata.get('network')}, not of a {expected}.")
    network.load_state_dict(_fitted(path, tensors, network.state_dict(), expected))
    network.provenance = _provenance(path, metadata)
    return network.eval()


def _fitted(path: Path, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], expected: str) -> dict[str, Tensor]:
    """The tensors of a file in the types of a network's own, if they are what such a network can have."""
    wrong = [name for name in own if name not in tensors or tensors[name].shape != own[name].shape]
    wrong += [name for name in tensors if name not in own]
    if wrong:
        raise WeightsError(
            f"{path} does not fit a {expected}: {', '.join(wrong[:5])} missing, extra or of another shape."
        )
    for name, value in tensors.items():
        # Counts of updates are whole numbers; all else has a fraction, in whatever precision.
        if value.dtype != own[name].dtype and not (value.is_floating_point() and own[name].is_floating_point()):
            raise WeightsError(
                f"{path} does not fit a {expected}: {name} holds values of type {value.dtype}, where the network has "
                f"{own[name].dtype}. Train it again."
            )
    fitted = {name: value.to(own[name].dtype) for name, value in tensors.items()}
    if not all(torch.isfinite(value).all() for value in fitted.values()):
        raise WeightsError(f"{path} holds values that are not finite numbers. Train it again.")
    for name, value in fitted.items():
        if (least := _least(name)) is not None and not (value > least).all():
            raise WeightsError(f"{path}: {name} holds {value.min():g}, and must be above {least:g}. Train it again.")
    return fitted


def _least(name: str) -> float | None:
    """What the values of a tensor are above, if it is one that others are divided by."""
    if name.endswith("standardizer.std"):
        return 0.0
    # Converted from the authors' files, a channel that never changes may lie a rounding error below 0.
    return -NORM_EPSILON if name.endswith("running_var") else None


def _provenance(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        provenance = json.loads(metadata["provenance"], parse_float=_finite, parse_constant=_finite)
        sound = isinstance(provenance, dict) and _depth(provenance) <= DEEPEST_PROVENANCE
    except (KeyError, ValueError, RecursionError):  # a number of thousands of digits is a ValueError
        sound = False
    if not sound:
        raise WeightsError(
            f"{path} does not say where it comes from: its provenance is missing or damaged. Copy or train it again."
        )
    return dict(provenance)


def _finite(text: str) -> float:
    """A number of JSON; Python reads `NaN` and 1e999 as well, which could be compared with nothing and not be shown."""
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{quoted(text)} is not a finite number")
    return number


def _depth(value: Any) -> int:
    """How deep objects and lists lie in each other."""
    depth, level = 0, [value]
    while level := [each for each in level if isinstance(each, dict | list)]:
        depth += 1
        level = [inner for each in level for inner in (each.values() if isinstance(each, dict) else each)]
    return depth


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    try:
        if not path.is_file():
            raise WeightsError(
                f"There is no weights file {path}. Train it first with `svdlib train`, or correct the path."
            )
        open_plain(path).close()  # what the library says of a file that may not be read sounds like damage
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}. Check the path and its permissions.") from error
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a whole safetensors file ({error}). Copy or train it again.") from error
