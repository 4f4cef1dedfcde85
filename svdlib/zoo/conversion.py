"""The authors' weights, written anew as weights files of svdlib."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from svdlib.detector.model import LAYERS, SVDNet, check_layer
from svdlib.errors import WeightsError
from svdlib.inversion.inverters import FeatureInverter
from svdlib.paper.lasagne import describe_network, load_lasagne, recognise
from svdlib.zoo.checkpoints import DETECTOR_FILE, save_weights, weights_name


def convert_lasagne(
    paths: Sequence[str | os.PathLike[str]],
    folder: str | os.PathLike[str],
    *,
    layer: str | None = None,
    standardizer: str | os.PathLike[str] | None = None,
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
            raise WeightsError(f"{found[held]} and {path} both hold the {describe_network(held)}. Leave one out.")
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


def _check_detector_options(
    detector: Path | None, standardizer: str | os.PathLike[str] | None, threshold: float | None
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
