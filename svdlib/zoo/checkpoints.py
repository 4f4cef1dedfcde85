"""Trained weights as files, each with its provenance, and those that come with the package.

A weights file is in safetensors format. Its metadata tells what it holds and where it comes from; nothing in it is
ever executed. Weights are stored in half precision, unless asked otherwise, and statistics in single; both are computed
with in single precision.
"""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Literal, overload

import torch

from svdlib.compute.weights import check_format, fitted, read_provenance, read_weights, stored, write_weights
from svdlib.detector.architecture import Detector
from svdlib.detector.model import LAYERS, SVDNet, check_layer
from svdlib.errors import WeightsError, path_of, quoted
from svdlib.inversion import files
from svdlib.inversion.files import SPECIFICATION, weights_name
from svdlib.inversion.inverters import FeatureInverter, check_belongs
from svdlib.inversion.listener import named_layers
from svdlib.zoo.architectures import built_as
from svdlib.zoo.families import VARIANTS, build_inverter

DETECTOR_FILE = "detector.safetensors"
SECOND_FILE = "second-detector.safetensors"
DERIVED = ("general",)
"""Families without plans of their own: the plan lies beside the weights."""
PACKAGED = Path(__file__).parent / "weights"
TRAININGS = ("input", "longer", "conv5", "own")
"""Other trainings of deep aligned inverters, to see what the feature loss does: `input` is without one, of MP6, FC7 and
FC8; `longer` is the same of FC7 and FC8 with as many updates as `own` has; `conv5` compares at Conv5 alone; `own` at
the layer itself as well. The usual ones compare at Conv5 and FC8, after a small random shift of both pictures."""


def save_weights(
    path: str | PathLike[str],
    network: Detector | FeatureInverter,
    provenance: Mapping[str, Any],
    *,
    exact: bool = False,
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
    write_weights(Path(path), network.state_dict(), _describe(network), provenance, exact=exact)


def holds(path: str | PathLike[str], network: Detector | FeatureInverter) -> bool:
    """Whether a file holds the very weights of a network already, as `save_weights` stores them."""
    try:
        _, tensors = read_weights(Path(path))
    except WeightsError:
        return False
    own = {name: stored(value, exact=False) for name, value in network.state_dict().items()}
    return own.keys() == tensors.keys() and all(torch.equal(own[name], tensors[name]) for name in own)


def load_detector(path: str | PathLike[str]) -> Detector:
    """Read a detector of any architecture; its provenance is the attribute `.provenance`.

    Raises:
        WeightsError: if the file is missing, damaged, or holds something else.
    """
    place = path_of(path, "a file of weights", WeightsError)
    metadata, _ = read_weights(place)
    detector = _load(place, built_as(metadata.get("network")) or SVDNet())
    threshold = detector.provenance.get("threshold")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float):
        raise WeightsError(f"{path} lacks the detector's threshold in its provenance. Train it again.")
    if not 0 <= threshold <= 1:
        raise WeightsError(
            f"{path} gives {quoted(threshold)} as the detector's threshold, which is no probability. Train it again."
        )
    detector.threshold = float(threshold)
    return detector


def _convolutional(path: Path) -> SVDNet:
    detector = load_detector(path)
    if not isinstance(detector, SVDNet):
        raise WeightsError(
            f"{path} holds a {detector.kind}, which lacks the layers {LAYERS[0]} to {LAYERS[-1]}. Name the weights of "
            f"a {SVDNet.kind}, or open this one with svdlib.Encoder(svdlib.load_detector(path), layers=...)."
        )
    return detector


def load_inverter(path: str | PathLike[str], layer: str, variant: str = "published") -> FeatureInverter:
    """Read the inverter of one of the detector's layers; its provenance is the attribute `.provenance`.

    Raises:
        LayerError: if the layer or variant does not exist.
        WeightsError: if the file is missing, damaged, or holds something else.
    """
    check_layer(layer)
    named = None if variant in DERIVED else build_inverter(layer, variant)
    place = path_of(path, "a file of weights", WeightsError)
    metadata, _ = read_weights(place)
    if named is not None and SPECIFICATION not in metadata:
        return _load(place, named)
    found, expected = metadata.get("network"), f"{variant} inverter of {layer}"
    if found != expected:
        raise WeightsError(f"{path} holds the weights of a {found}, not of a {expected}.")
    return files.load_inverter(place)


@overload
def pretrained(kind: Literal["detector", "second detector"]) -> SVDNet: ...


@overload
def pretrained(
    kind: Literal["inverter"], *, layer: str, variant: str = "published", training: str | None = None
) -> FeatureInverter: ...


def pretrained(
    kind: str, *, layer: str | None = None, variant: str = "published", training: str | None = None
) -> SVDNet | FeatureInverter:
    """Load a network that comes with the package: no download, in eval mode, with `.provenance`.

    Args:
        kind: "detector"; "inverter"; or "second detector", another one of the same architecture, from another
            seed and other songs. No inverter has learned to please it, so it can judge inversions.
        layer: the layer that the inverter inverts.
        variant: the inverter's family.
        training: another one than the family's usual one, see `TRAININGS`.

    Raises:
        WeightsError: if `kind` is none of them, an inverter is asked for without a layer, there is no such training, or
            the package lacks the file.
        LayerError: if the layer or variant does not exist.
    """
    detectors = {"detector": DETECTOR_FILE, "second detector": SECOND_FILE}
    if kind in detectors:
        return _convolutional(PACKAGED / detectors[kind])
    if kind != "inverter":
        raise WeightsError(
            f"There are no pretrained weights of kind {kind!r}; ask for 'detector', 'second detector' or 'inverter'."
        )
    if layer is None:
        raise WeightsError("Say which layer's inverter you want, for example pretrained('inverter', layer='fc8').")
    build_inverter(check_layer(layer), variant)
    return load_inverter(folder_of(training) / weights_name(layer, variant), layer, variant)


def pretrained_inverters(variant: str = "published", training: str | None = None) -> dict[str, FeatureInverter]:
    """Load the inverters of a family that come with the package, shallow to deep: all eight of the usual training.

    Args:
        variant: the family.
        training: another one than the usual one, of which there are only some layers, see `TRAININGS`.

    Raises:
        LayerError: if there is no such family.
        WeightsError: if there is no such training, or it has none of this family.
    """
    layers = LAYERS if training is None else layers_in(folder_of(training), variant)
    if not layers:
        raise WeightsError(f"Of the training {training!r} the package has aligned inverters, no {variant} ones.")
    return {layer: pretrained("inverter", layer=layer, variant=variant, training=training) for layer in layers}


def folder_of(training: str | None) -> Path:
    """Where the package keeps the inverters of a training; None stands for the usual one.

    Raises:
        WeightsError: if there is no such training.
    """
    if training is not None and training not in TRAININGS:
        raise WeightsError(f"There is no training {training!r}. Known ones: {', '.join(TRAININGS)}.")
    return PACKAGED / (training or "")


def open_detector(weights: str | PathLike[str] | None) -> SVDNet:
    """The detector of a weights file, or the packaged one, to look into the layers that the book opens.

    Raises:
        WeightsError: if the file is missing, damaged, or holds something else, such as another architecture.
    """
    return _convolutional(Path(weights)) if weights else pretrained("detector")


def any_detector(weights: str | PathLike[str] | None) -> Detector:
    """The detector of a weights file, whatever its architecture, or the packaged one, to ask what it hears.

    Raises:
        WeightsError: if the file is missing, damaged, or holds something else.
    """
    return load_detector(weights) if weights else pretrained("detector")


def family_in(
    weights: str | PathLike[str] | None, layers: str | Sequence[str] = LAYERS, *, usual: str = "aligned"
) -> str:
    """Which family of inverters to take when none is named.

    Args:
        weights: a folder; None stands for the packaged ones, of which both families are there.
        layers: which layers it is to have.
        usual: the family that is taken where it is there.

    Returns:
        The usual one, unless the folder holds another one of more of the layers.
    """
    if weights is None:
        return usual
    held = {family: layers_in(weights, family, layers) for family in dict.fromkeys((usual, *VARIANTS, *DERIVED))}
    return max(held, key=lambda family: len(held[family]))


def layers_in(
    weights: str | PathLike[str] | None, variant: str, layers: str | Sequence[str] = LAYERS
) -> tuple[str, ...]:
    """Of the detector's layers those whose inverters of a family lie in a folder; None stands for the packaged ones."""
    place = PACKAGED if weights is None else Path(weights)
    return tuple(layer for layer in named_layers(layers) if (place / weights_name(layer, variant)).is_file())


def open_inverters(
    weights: str | PathLike[str] | None,
    detector: SVDNet,
    layers: str | Sequence[str] | None = LAYERS,
    variant: str = "published",
) -> dict[str, FeatureInverter]:
    """The inverters in a folder, or the packaged ones, where the detector computes.

    Args:
        weights: the folder; None takes the packaged ones.
        detector: whose layers they invert.
        layers: which layers; None takes those that the folder has.
        variant: the family.

    Raises:
        WeightsError: if one is missing, damaged, or was trained for another detector.
    """
    layers = layers or layers_in(weights, variant) or LAYERS  # of what is not there the first is missed
    device = detector.standardizer.mean.device
    inverters = {}
    for layer in named_layers(layers):
        path = Path(weights) / weights_name(layer, variant) if weights else None
        inverter = load_inverter(path, layer, variant) if path else pretrained("inverter", layer=layer, variant=variant)
        check_belongs(layer, inverter, detector)
        inverters[layer] = inverter.to(device)
    return inverters


def open_networks(
    detector: str | PathLike[str] | None,
    weights: str | PathLike[str] | None,
    layers: str | Sequence[str] | None,
    variant: str | None,
    device: torch.device,
) -> tuple[SVDNet, dict[str, FeatureInverter]]:
    """A detector and its inverters, on a device.

    Args:
        detector: its weights; None takes the packaged one.
        weights: a folder with its inverters; None takes the packaged ones.
        layers: which layers; None takes all that there are inverters for.
        variant: the family; None takes what `family_in` finds.
        device: where they are to compute.

    Raises:
        LayerError: there is no such family or layer.
        WeightsError: weights are missing or damaged, or the inverters were trained for another detector.
    """
    network = open_detector(detector).to(device)
    wanted = None if layers is None else network.check_layers(layers)
    return network, open_inverters(weights, network, wanted, variant or family_in(weights, wanted or LAYERS))


def load_inverters(folder: str | PathLike[str], variant: str | None = None) -> dict[str, FeatureInverter]:
    """Read all inverters in a folder, whatever network they are for, in eval mode, with `.provenance`.

    Args:
        folder: that `FittedInverters.save` or `svdlib train inverters` has written to.
        variant: their family; it may be left out where the folder holds one for each layer.

    Returns:
        An inverter per layer, shallow to deep.

    Raises:
        WeightsError: if there is none, a file is damaged, or a layer has inverters of several families.
    """
    found: dict[str, FeatureInverter] = {}
    for path in sorted(path_of(folder, "a folder of inverters", WeightsError).glob("*.safetensors")):
        inverter = _any_inverter(path)
        if inverter is None or variant not in (None, inverter.variant):
            continue
        if inverter.layer in found:
            families = f"{found[inverter.layer].variant!r} or {inverter.variant!r}"
            raise WeightsError(
                f"{folder} holds several inverters of {inverter.layer}. Name the family: variant={families}."
            )
        found[inverter.layer] = inverter
    if not found:
        family = "" if variant is None else f" {variant!r}"
        raise WeightsError(f"{folder} holds no{family} inverter. Name the folder that fit.save(folder) has written to.")
    named = next(iter(found.values())).provenance.get("layers")
    order = named if isinstance(named, list) else list(LAYERS)
    return dict(sorted(found.items(), key=lambda item: order.index(item[0]) if item[0] in order else len(order)))


def _any_inverter(path: Path) -> FeatureInverter | None:
    """The inverter that a file holds, with a plan of its own or of a family that has a name; None of something else."""
    metadata, _ = read_weights(path)
    variant, _, layer = metadata.get("network", "").partition(" inverter of ")
    if SPECIFICATION in metadata:
        return files.load_inverter(path)
    return load_inverter(path, layer, variant) if layer in LAYERS and variant in VARIANTS else None


def _describe(network: Detector | FeatureInverter) -> str:
    if isinstance(network, FeatureInverter):
        return f"{network.variant} inverter of {network.layer}"
    return network.kind


def _load(path: Path, network: Any) -> Any:
    metadata, tensors = read_weights(path)
    check_format(path, metadata)
    expected = _describe(network)
    if metadata.get("network") != expected:
        raise WeightsError(f"{path} holds the weights of a {metadata.get('network')}, not of a {expected}.")
    network.load_state_dict(fitted(path, tensors, network.state_dict(), expected))
    network.provenance = read_provenance(path, metadata)
    return network.eval()
