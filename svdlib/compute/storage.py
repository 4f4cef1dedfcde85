"""Files that are either whole or absent, plain files alone to read from, and training states without pickle."""

import errno
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.compute.npz import DAMAGE
from svdlib.errors import OutputError, TrainingError

META = "meta"
LARGEST_TEXT = 2**26
"""Bytes. The labels of a song take a few thousand, the table of a large corpus a few millions."""

Tree = dict[str, Any]
"""Arrays by name, in groups that have names too: each value is a tensor or such a group. In a file, a name is its path:
"best/fc8/weight"."""


def write_atomically(path: Path, write: Callable[[BinaryIO], object]) -> None:
    """Write a file under a temporary name and rename it, so that a killed run never leaves half a file.

    Args:
        path: the file to write; missing folders are made.
        write: writes the content to an open binary file.

    Raises:
        OutputError: if the place cannot be written, the disk is full, or a pipe, a device or a folder has that name; an
            older file stays as it was.
    """
    path = Path(path)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        if path.exists() and not path.is_file():
            # A file that is renamed takes the place of what was there: root could lose /dev/null.
            raise OutputError(f"Cannot write {path}: it is a folder, pipe or device. Choose the name of a file.")
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(partial, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror or error}. Choose a folder you may write to."
        ) from error
    finally:
        # What stopped the writing may stop the tidying too; only the first is worth telling.
        with suppress(OSError):
            partial.unlink()


def open_plain(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a file to read it, unless it is a pipe, a device or a folder: those may keep one waiting, or never end.

    Raises:
        OSError: it is no plain file, or cannot be opened; its `strerror` says why.
    """
    # Opening a pipe would wait for somebody who writes; whether it is one is asked of what was opened.
    number = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0))
    try:
        if not stat.S_ISREG(os.fstat(number).st_mode):
            raise OSError(errno.EINVAL, "it is a folder, pipe or device, not a plain file", os.fspath(path))
        return os.fdopen(number, "rb")
    except BaseException:
        os.close(number)
        raise


def read_plain_text(path: str | os.PathLike[str]) -> str:
    """Read a text in UTF-8 from a plain file, see `open_plain`; a mark of the byte order is left out.

    Raises:
        OSError: it is no plain file, larger than any text of ours, or cannot be read; its `strerror` says why.
        UnicodeDecodeError: it is not UTF-8.
    """
    with open_plain(path) as file:
        content = file.read(LARGEST_TEXT + 1)
    if len(content) > LARGEST_TEXT:
        raise OSError(errno.EFBIG, f"it is larger than {LARGEST_TEXT >> 20} MiB, so no text", os.fspath(path))
    return content.decode("utf-8-sig")


def remove_leftovers(path: Path) -> None:
    """Delete what killed processes left of unfinished writes of `path`; nobody else may be writing it."""
    for partial in Path(path).parent.glob(f".{Path(path).name}.*.partial"):
        partial.unlink(missing_ok=True)


def save_state(path: Path, arrays: Mapping[str, Any], meta: Mapping[str, Any]) -> None:
    """Save arrays and a JSON description into one .npz file, atomically.

    Args:
        path: the file.
        arrays: tensors or NumPy arrays by name, also in groups.
        meta: whatever JSON can hold.

    Raises:
        OutputError: if the file cannot be written.
    """
    leaves = _leaves(arrays, "")
    content: dict[str, Any] = {name: np.asarray(torch.as_tensor(value).detach().cpu()) for name, value in leaves}
    content[META] = np.frombuffer(json.dumps(meta).encode(), dtype=np.uint8)
    write_atomically(path, lambda file: np.savez(file, **content))


def _leaves(arrays: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in arrays.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{prefix}{name}/")
        else:
            yield prefix + name, value


def nested(arrays: Mapping[str, Tensor]) -> Tree:
    """Put arrays that are named by their paths back into groups."""
    tree: Tree = {}
    for path, value in arrays.items():
        *groups, name = path.split("/")
        place = tree
        for group in groups:
            place = place.setdefault(group, {})
        place[name] = value
    return tree


def load_state(path: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """Load what `save_state` wrote, arrays by their paths; `nested` gives the groups.

    Raises:
        TrainingError: if the file is missing or damaged.
    """
    path = Path(path)
    try:
        if not path.is_file():
            raise TrainingError(f"There is no training state at {path}. Start the run without resuming.")
        with np.load(path, allow_pickle=False) as archive:
            meta = json.loads(archive[META].tobytes())
            arrays = {name: torch.from_numpy(archive[name]) for name in archive.files if name != META}
    except PermissionError as error:
        raise TrainingError(f"The training state {path} cannot be read: {error.strerror}. Check the rights.") from error
    except DAMAGE as error:
        # NumPy's advice on how to unpickle all the same is left out.
        reason = str(error).partition(" If you trust")[0].rstrip(".")
        raise TrainingError(f"The training state {path} is damaged ({reason}). Delete it and start again.") from error
    return arrays, meta


def digest(values: Tensor) -> str:
    """Sixteen characters that tell one tensor's content from another's."""
    return hashlib.sha256(values.detach().cpu().contiguous().numpy().tobytes()).hexdigest()[:16]


def weights_digest(network: nn.Module) -> str:
    """Sixteen characters that tell one network's values, running averages included, from another's."""
    return digest(torch.cat([value.flatten().float() for value in network.state_dict().values()]))


def pack_adam(optimiser: torch.optim.Optimizer) -> Tree:
    """Adam's running values of each parameter, by the number of the parameter."""
    return {str(number): dict(values) for number, values in optimiser.state_dict()["state"].items()}


def restore_adam(
    optimiser: torch.optim.Optimizer, averages: Mapping[str, Mapping[str, Tensor]], rates: Sequence[float]
) -> None:
    """Put Adam back to where a saved state left it.

    Args:
        optimiser: the new optimiser, its parameters in the same order as when the state was saved.
        averages: what `pack_adam` gave; nothing before the first update.
        rates: step size per parameter group.
    """
    state = optimiser.state_dict()
    state["state"] = {int(number): dict(values) for number, values in averages.items()}
    for group, rate in zip(state["param_groups"], rates, strict=True):
        group["lr"] = rate
    optimiser.load_state_dict(state)
    for parameter, values in optimiser.state.items():
        for name, value in values.items():
            if value.shape == parameter.shape:
                # A file keeps no memory layout, and the fused update pairs values by their place in memory.
                values[name] = torch.empty_like(parameter).copy_(value)
