"""Trained inverters as files that need no class to be loaded: the plan of the network lies beside its weights."""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch

from svdlib.compute.weights import check_format, fitted, read_provenance, read_weights, write_weights
from svdlib.errors import WeightsError
from svdlib.inversion.inverters import FeatureInverter, InverterSpec, Stage
from svdlib.inversion.mirror import Window

SPECIFICATION = "specification"
"""The name of the plan in a file's metadata."""

KINDS = ("FC", "Conv", "Uconv", "Spread", "Grow")
MOST_STAGES = 100
MOST_CELLS = 2**26
"""What a plan may ask for, so that a file made to do damage can't fill the memory."""


def weights_name(layer: str, variant: str) -> str:
    """File name of an inverter's weights."""
    return f"{variant}-{layer}.safetensors"


def save_inverter(path: Path, inverter: FeatureInverter, provenance: Mapping[str, Any], *, exact: bool = True) -> None:
    """Write an inverter: its plan, its weights and its provenance.

    Args:
        path: the file to write.
        inverter: of any network.
        provenance: whatever JSON can hold.
        exact: store the weights in single precision; in half, the file is half as large.

    Raises:
        WeightsError: if JSON cannot hold the provenance.
        OutputError: if the file cannot be written.
    """
    plan = {SPECIFICATION: json.dumps(asdict(inverter.spec))}
    name = f"{inverter.variant} inverter of {inverter.layer}"
    write_weights(path, inverter.state_dict(), name, provenance, exact=exact, more=plan)


def load_inverter(path: Path) -> FeatureInverter:
    """Read an inverter that `save_inverter` has written, in eval mode, with its provenance.

    Raises:
        WeightsError: if the file is missing or damaged, or its plan makes no sense or does not fit its weights.
    """
    metadata, tensors = read_weights(path)
    check_format(path, metadata)
    name = metadata.get("network", "")
    try:
        spec = as_spec(json.loads(metadata[SPECIFICATION]))
        with torch.device("meta"):  # a plan that asks for too much gets no memory
            own = FeatureInverter(spec).state_dict()
    except (KeyError, TypeError, ValueError, RuntimeError, RecursionError, IndexError, OverflowError) as error:
        raise WeightsError(f"{path} holds no plan of an inverter that can be built. Copy or train it again.") from error
    values = fitted(path, tensors, own, name)
    inverter = FeatureInverter(spec, name.partition(" inverter of ")[0])
    inverter.load_state_dict(values)
    inverter.provenance = read_provenance(path, metadata)
    return inverter.eval()


def as_spec(value: Mapping[str, Any]) -> InverterSpec:
    """A plan from what JSON has read.

    Raises:
        ValueError: if it is no plan, or asks for what no inverter needs.
        TypeError: if a part of it is of another kind.
    """
    known = {each.name for each in fields(InverterSpec)}
    if not isinstance(value, Mapping) or set(value) != known or len(value["stages"]) not in range(1, MOST_STAGES + 1):
        raise ValueError("not the parts of a plan")
    spec = InverterSpec(
        **dict(value)
        | {"stages": tuple(_stage(**stage) for stage in value["stages"])}
        | {name: _sizes(value[name]) for name in ("feature_shape", "excerpt_shape", "seed_shape")}
        | {name: _axes(value[name]) for name in ("feature_axes", "input_axes")}
    )
    texts, switches = (spec.layer, spec.family), (spec.normalise_output, spec.linear_output, spec.from_mean)
    sound = all(isinstance(each, str) for each in texts) and all(isinstance(each, bool) for each in switches)
    slope = spec.leakiness
    if not sound or not (slope is None or (isinstance(slope, float) and 0 <= slope < math.inf)):
        raise ValueError("not the values of a plan")
    if len(spec.excerpt_shape) != 2 or len(spec.seed_shape) != 3 or spec.input_axes is None:
        raise ValueError("not the shapes of a plan")
    return spec


def _stage(kind: str, units: int, window: Mapping[str, Any] | None, size: list[int] | None) -> Stage:
    if kind not in KINDS or (kind in ("Spread", "Grow")) != (size is not None) or (window and kind != "Uconv"):
        raise ValueError("not a stage")
    (units,) = _sizes([units])
    sizes = None if size is None else _sizes(size)
    if sizes is not None and len(sizes) != 2:
        raise ValueError("not a size")
    return Stage(kind, units, _window(**window) if window else None, sizes)


def _window(**parts: Any) -> Window:
    sizes: dict[str, Any] = {name: _sizes(part, least=0 if name == "padding" else 1) for name, part in parts.items()}
    if any(len(part) != (3 if name in ("before", "after") else 2) for name, part in sizes.items()):
        raise ValueError("not a window")
    return Window(**sizes)


def _sizes(values: Any, least: int = 1) -> tuple[int, ...]:
    found = tuple(values)
    if not found or not all(type(each) is int and each >= least for each in found) or math.prod(found) > MOST_CELLS:
        raise ValueError("not a size")
    return found


def _axes(values: Any) -> Any:
    if values is None:
        return None
    there = [each for each in values if each is not None]
    if len(values) != 3 or sorted(there) != list(range(len(there))) or not there:
        raise ValueError("not axes")
    return tuple(values)
