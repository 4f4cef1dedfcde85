"""Trained weights as files, each with its provenance, and those that come with the package.

A weights file is in safetensors format. Its metadata tells what it holds and where it comes from; nothing in it is
ever executed. Weights are stored in half precision, unless asked otherwise, and statistics in single; both are computed
with in single precision.
"""

import json
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, overload

import torch
from torch import Tensor, nn

from svdlib.compute.storage import write_atomically
from svdlib.detector.model import LAYERS, SVDNet, check_layer
from svdlib.errors import WeightsError
from svdlib.inversion.encoder import named_layers
from svdlib.inversion.inverters import FeatureInverter
from svdlib.zoo.families import build_inverter

FORMAT = "svdlib-weights-1"
DETECTOR_FILE = "detector.safetensors"
PACKAGED = Path(__file__).parent / "weights"


def save_weights(
    path: str | PathLike[str], network: SVDNet | FeatureInverter, provenance: Mapping[str, Any], *, exact: bool = False
) -> None:
    """Write a trained network with its provenance.

    Args:
        path: the file to write, ending in .safetensors.
        network: a detector or an inverter.
        provenance: corpus, seed, versions, metrics: whatever JSON can hold. A detector's has its "threshold".
        exact: store the weights in single precision too, so that not a bit is lost; the file is twice as large.

    Raises:
        OutputError: if the file cannot be written.
    """
    from safetensors.torch import save

    tensors = {name: _stored(value, exact) for name, value in network.state_dict().items()}
    metadata = {"format": FORMAT, "network": _describe(network), "provenance": json.dumps(dict(provenance))}
    data = save(tensors, metadata=metadata)
    write_atomically(Path(path), lambda file: file.write(data))


def load_detector(path: str | PathLike[str]) -> SVDNet:
    """Read a detector; its provenance is the attribute `.provenance`.

    Raises:
        WeightsError: if the file is missing, damaged, or holds something else.
    """
    detector = _load(Path(path), SVDNet())
    threshold = detector.provenance.get("threshold")
    if not isinstance(threshold, int | float):
        raise WeightsError(f"{path} lacks the detector's threshold in its provenance. Train it again.")
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


def check_belongs(layer: str, inverter: FeatureInverter, detector: SVDNet) -> None:
    """Make sure that an inverter was trained on the features of this very detector.

    Raises:
        WeightsError: if it was trained for another one.
    """
    trained_for = inverter.provenance.get("detector")
    if trained_for is not None and trained_for != detector.provenance:
        raise WeightsError(
            f"The inverter of {layer} was trained for another detector. Name that one with --detector FILE, "
            "or the inverters of this one with --weights FOLDER."
        )


def weights_name(layer: str, variant: str) -> str:
    """File name of an inverter's weights."""
    return f"{variant}-{layer}.safetensors"


def _stored(value: Tensor, exact: bool) -> Tensor:
    value = value.detach().cpu().contiguous()
    return value.half() if value.ndim >= 2 and not exact else value


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
    own = network.state_dict()
    wrong = [name for name in own if name not in tensors or tensors[name].shape != own[name].shape]
    wrong += [name for name in tensors if name not in own]
    if wrong:
        raise WeightsError(
            f"{path} does not fit a {expected}: {', '.join(wrong[:5])} missing, extra or of another shape."
        )
    if not all(torch.isfinite(value).all() for value in tensors.values()):
        raise WeightsError(f"{path} holds values that are not finite numbers. Train it again.")
    network.load_state_dict({name: value.to(own[name].dtype) for name, value in tensors.items()})
    network.provenance = _provenance(path, metadata)
    return network.eval()


def _provenance(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    try:
        provenance = json.loads(metadata["provenance"])
    except (KeyError, json.JSONDecodeError):
        provenance = None
    if not isinstance(provenance, dict):
        raise WeightsError(f"{path} does not say where it comes from: its provenance is missing or damaged.")
    return provenance


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    from safetensors import SafetensorError, safe_open

    if not path.is_file():
        raise WeightsError(f"There is no weights file {path}. Train it first with `svdlib train`, or correct the path.")
    try:
        with safe_open(path, framework="pt") as file:
            return dict(file.metadata() or {}), {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError, ValueError) as error:
        raise WeightsError(f"{path} is not a whole safetensors file ({error}). Copy or train it again.") from error
