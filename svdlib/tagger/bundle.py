"""Checkpoints of TensorFlow in its second format ("V2 bundle"), read without TensorFlow and without trusting them.

A checkpoint is two files: an index, which is a sorted table (`svdlib.tagger.tables`), and one with all the numbers,
raw. The index says of each tensor its type, its shape, where its numbers lie and their checksum, in protocol buffers
(`tensorflow/core/protobuf/tensor_bundle.proto`). Nothing in them is executed.
"""

import math
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svdlib.errors import WeightsError, quoted
from svdlib.tagger.tables import Reader, TableError, masked_checksum, read_table

LARGEST_INDEX = 2**20
LARGEST_DATA = 2**26
"""Bytes. The largest files that are meant to be read; those of the tagger have a tenth of it and less."""
FLOAT = 1  # what TensorFlow calls float32
VALUE, BYTES, FOUR, EIGHT = 0, 2, 5, 1  # how a field is written


@dataclass(frozen=True)
class Entry:
    """What the index says of a tensor.

    Attributes:
        dtype: number of its type; 1 is float32.
        shape: its shape.
        offset: where its values begin in the file of numbers, in bytes.
        size: how many bytes they take.
        checksum: of these bytes.
        partitioned: whether the values are spread over several entries.
    """

    dtype: int = 0
    shape: tuple[int, ...] = ()
    offset: int = 0
    size: int = 0
    checksum: int = 0
    partitioned: bool = False


class Bundle:
    """The tensors of a checkpoint.

    Attributes:
        index: the file that lists them.
        entries: what it says of each tensor, by name.
    """

    def __init__(self, index: str | os.PathLike[str], data: str | os.PathLike[str]) -> None:
        """Read the index, and none of the numbers.

        Args:
            index: the file that ends in `.index`.
            data: the file that ends in `.data-00000-of-00001`.

        Raises:
            WeightsError: if the index is missing, damaged, or that of a checkpoint in several files.
        """
        self.index, self._data = Path(index), Path(data)
        try:
            table = read_table(_content(self.index, LARGEST_INDEX))
            _check_header(table.pop(b"", None))
            self.entries = {key.decode(): _entry(value) for key, value in table.items()}
        except (TableError, UnicodeDecodeError) as error:
            raise WeightsError(
                f"{self.index} is not the whole index of a checkpoint ({error}). Get it again."
            ) from error
        self._numbers: bytes | None = None

    def read(self, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Read a tensor of float32.

        Args:
            name: of the tensor.
            shape: that it must have.

        Raises:
            WeightsError: if it is missing, of another type or shape, damaged, or holds a value that is not finite.
        """
        entry = self.entries.get(name)
        if entry is None:
            raise WeightsError(f"{self.index} lists no tensor {name!r}. It is the checkpoint of another network.")
        if entry.shape != shape:
            raise WeightsError(
                f"{self.index}: {name} has the shape {entry.shape}, not {shape}. "
                "It is the checkpoint of another network."
            )
        if entry.dtype != FLOAT or entry.partitioned:
            raise WeightsError(f"{self.index}: {name} is not one piece of float32. Such checkpoints are not read.")
        if entry.size != 4 * math.prod(shape):
            raise WeightsError(
                f"{self.index}: {name} of shape {shape} cannot take {entry.size} bytes. Get the file again."
            )
        return self._values(name, entry)

    def _values(self, name: str, entry: Entry) -> np.ndarray:
        if self._numbers is None:
            self._numbers = _content(self._data, LARGEST_DATA)
        piece = self._numbers[entry.offset : entry.offset + entry.size]
        if len(piece) != entry.size or masked_checksum(piece) != entry.checksum:
            raise WeightsError(f"{self._data}: {name} is damaged, its checksum is wrong. Get the file again.")
        values = np.frombuffer(piece, "<f4").reshape(entry.shape).astype(np.float32)
        if not np.isfinite(values).all():
            raise WeightsError(f"{self._data}: {name} holds values that are not finite numbers. Get the file again.")
        return values


def _content(path: Path, most: int) -> bytes:
    try:
        if not path.is_file():
            raise WeightsError(f"There is no file {path}. Correct the path.")
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise WeightsError(f"Cannot read {path}: {error.strerror}. Check the path and its permissions.") from error
    if len(content) > most:
        raise WeightsError(f"{path} is larger than {most >> 20} MiB: it holds something else. Correct the path.")
    return content


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message in protocol buffers: their numbers and what they hold."""
    reader = Reader(message)
    while reader:
        number, kind = divmod(reader.varint(), 8)
        if kind == VALUE:
            yield number, reader.varint()
        elif kind == BYTES:
            yield number, reader.take(reader.varint())
        elif kind in (FOUR, EIGHT):
            code = "<I" if kind == FOUR else "<Q"
            yield number, struct.unpack(code, reader.take(struct.calcsize(code)))[0]
        else:
            raise TableError(f"a field is written in the way {kind}, which protocol buffers do not have")


def _numbers(message: bytes) -> dict[int, int]:
    """Those fields of a message that are numbers; the last of a kind counts."""
    return {number: value for number, value in _fields(message) if isinstance(value, int)}


def _check_header(header: bytes | None) -> None:
    if header is None:
        raise TableError("it has no header")
    fields = _numbers(header)
    if fields.get(1, 0) != 1:
        raise TableError(f"its numbers lie in {fields.get(1, 0)} files, where one is read")
    if fields.get(2, 0) != 0:
        raise TableError("its numbers have their bytes in the reverse order")


def _entry(message: bytes) -> Entry:
    fields = dict(_fields(message))
    numbers = {number: value for number, value in fields.items() if isinstance(value, int)}
    shape = fields.get(2, b"")
    if not isinstance(shape, bytes) or numbers.get(3, 0) != 0:
        raise TableError(f"an entry says what no entry can: {quoted(message)}")
    return Entry(
        dtype=numbers.get(1, 0),
        shape=tuple(_sizes(shape)),
        offset=numbers.get(4, 0),
        size=numbers.get(5, 0),
        checksum=numbers.get(6, 0),
        partitioned=7 in fields,
    )


def _sizes(shape: bytes) -> Iterator[int]:
    for number, dimension in _fields(shape):
        if number == 2 and isinstance(dimension, bytes):
            yield _numbers(dimension).get(1, 0)
        elif number == 3 and dimension:
            raise TableError("a tensor has no known shape")
