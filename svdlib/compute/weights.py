"""Files of weights, each with its provenance, in the format safetensors: nothing in them is ever executed.

A file's metadata tells what it holds and where it comes from. Whoever reads one checks it against the network that the
weights are for, value by value: a file may be damaged, or made to do damage.
"""

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from svdlib.compute.storage import open_plain, write_atomically
from svdlib.errors import WeightsError, quoted

FORMAT = "svdlib-weights-1"
DEEPEST_PROVENANCE = 32  # objects and lists in each other; what we write has six, and writing JSON recurses
VARIANCE_SLACK = 1e-4
"""How far below 0 a running variance may lie: in weights converted from the authors' files a channel that never changes
may be a rounding error below. It is the least that is added before dividing."""


def write_weights(
    path: Path,
    weights: Mapping[str, Tensor],
    network: str,
    provenance: Mapping[str, Any],
    *,
    exact: bool,
    more: Mapping[str, str] | None = None,
) -> None:
    """Write weights with their provenance; the same content gives the same bytes.

    Args:
        path: the file to write.
        weights: a network's `state_dict()`.
        network: what they are the weights of, in a few words.
        provenance: whatever JSON can hold, so no number that is not finite.
        exact: store matrices in single precision too, not in half.
        more: other texts for the metadata.

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
    metadata = {"format": FORMAT, "network": network, "provenance": origin} | dict(more or {})
    data = _in_order(save({name: stored(value, exact) for name, value in weights.items()}, metadata=metadata))
    write_atomically(path, lambda file: file.write(data))


def stored(value: Tensor, exact: bool) -> Tensor:
    """A tensor as it is stored: matrices in half precision, unless exactly."""
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


def fitted(path: Path, tensors: Mapping[str, Tensor], own: Mapping[str, Tensor], expected: str) -> dict[str, Tensor]:
    """The tensors of a file in the types of a network's own.

    Args:
        path: the file, for messages.
        tensors: what it holds.
        own: the network's `state_dict()`; its values do not count.
        expected: what the network is, in a few words.

    Raises:
        WeightsError: if they are not what such a network can have.
    """
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
    return -VARIANCE_SLACK if name.endswith("running_var") else None


def check_format(path: Path, metadata: Mapping[str, str]) -> None:
    """Raise a WeightsError if a file is in another format than ours."""
    if metadata.get("format") != FORMAT:
        raise WeightsError(
            f"{path} is in format {metadata.get('format')!r}, this version of svdlib reads {FORMAT!r}. "
            "Train it again, or install the version of svdlib that wrote it."
        )


def read_provenance(path: Path, metadata: Mapping[str, str]) -> dict[str, Any]:
    """Where the weights of a file come from, as its metadata tell.

    Raises:
        WeightsError: if they do not, or hold what cannot be shown or compared.
    """
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


def read_weights(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    """Read the metadata and the tensors of a file.

    Raises:
        WeightsError: if it is missing, damaged or no safetensors file.
    """
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
