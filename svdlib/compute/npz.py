"""NumPy archives (`.npz`) from elsewhere, read without trusting them.

Nothing in a file is executed: arrays of Python objects, which only unpickling could read, are refused. No more is
unpacked than the arrays that are asked for can hold, so a small file cannot fill the memory. The format is described
in the documentation of `numpy.lib.format`.
"""

import hashlib
import io
import lzma
import math
import os
import struct
import tokenize
import warnings
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.lib import format as npy

from svdlib.errors import WeightsError

LARGEST_FILE = 2**26
"""Bytes. The largest file that is meant to be read, the detector in double precision, has a sixth of it."""
LARGEST_HEADER = 2**14
"""Bytes before an array's values. NumPy itself reads at most 10000 characters."""

# What zipfile, its decompressors and NumPy's reader of headers raise on damaged bytes.
DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, tokenize.TokenError, OSError, EOFError, SyntaxError,
    ValueError, TypeError, LookupError, OverflowError, RuntimeError, MemoryError,
)  # fmt: skip


@dataclass(frozen=True)
class Header:
    """What an array says about itself before its values.

    Attributes:
        shape: its shape.
        dtype: its type.
        columns_first: whether the values are stored in Fortran's order.
        start: where the values begin, in bytes.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    columns_first: bool
    start: int


class Archive:
    """The arrays of an `.npz` file.

    Attributes:
        path: the file.
        sha256: digest of the whole file, in hexadecimal.
        names: of its arrays, in the order of the file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Look into a file without reading its arrays.

        Raises:
            WeightsError: if it is missing, too large, no archive of arrays, or has two arrays of one name.
        """
        self.path = Path(path)
        content = self._content()
        self.sha256 = hashlib.sha256(content).hexdigest()
        try:
            self._zip = zipfile.ZipFile(io.BytesIO(content))
        except DAMAGE as error:
            raise WeightsError(f"{self.path} is not a whole .npz file ({error}). Get it again.") from error
        self._members: dict[str, zipfile.ZipInfo] = {}
        for member in self._zip.infolist():
            name = member.filename.removesuffix(".npy")
            if name == member.filename:
                raise WeightsError(f"{self.path} holds {name!r}, which is not a NumPy array (.npy). Take it out.")
            if name in self._members:
                raise WeightsError(f"{self.path} holds two arrays with the name {name}. Take one out.")
            self._members[name] = member
        self.names = tuple(self._members)

    def _content(self) -> bytes:
        try:
            if not self.path.is_file():
                raise WeightsError(f"There is no file {self.path}. Correct the path.")
            if self.path.stat().st_size > LARGEST_FILE:
                raise WeightsError(f"{self.path} is larger than {LARGEST_FILE >> 20} MiB: it holds something else.")
            return self.path.read_bytes()
        except OSError as error:
            raise WeightsError(
                f"Cannot read {self.path}: {error.strerror}. Check the path and its permissions."
            ) from error

    def header(self, name: str) -> Header:
        """Read what an array says about itself, and none of its values.

        Raises:
            WeightsError: if it is damaged or not an array.
        """
        try:
            with self._zip.open(self._members[name]) as member, warnings.catch_warnings():
                warnings.simplefilter("ignore")  # Python 2 wrote 64L for 64; NumPy understands it and warns
                start = io.BytesIO(member.read(LARGEST_HEADER))
                readers = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}
                version = npy.read_magic(start)
                if version not in readers:
                    raise ValueError(f"its header is of version {version}, which no array of numbers needs")
                shape, columns_first, dtype = readers[version](start)
        except DAMAGE as error:
            raise self._damaged(name, error) from error
        return Header(shape, dtype, columns_first, start.tell())

    def read(self, name: str, header: Header) -> np.ndarray:
        """Read the values of an array of floating-point numbers, in float64 and in C order.

        Args:
            name: of the array.
            header: as the array has it. Check that its shape is the right one first: it says how much is read.

        Raises:
            WeightsError: if the values are not float32 or float64, not whole, or not all finite in float32.
        """
        self._check_type(name, header.dtype)
        size = math.prod(header.shape) * header.dtype.itemsize
        try:
            with self._zip.open(self._members[name]) as member:
                # One byte more than there should be: only the end of the member has its checksum checked.
                data = member.read(header.start + size + 1)[header.start :]
        except DAMAGE as error:
            raise self._damaged(name, error) from error
        if len(data) != size:
            raise self._damaged(name, f"its values take {size} bytes, not {len(data)}")
        order: Literal["F", "C"] = "F" if header.columns_first else "C"
        values = np.ascontiguousarray(np.frombuffer(data, header.dtype).reshape(header.shape, order=order), np.float64)
        if not (np.abs(values) <= np.finfo(np.float32).max).all():
            raise WeightsError(f"{self.path}: {name} holds values that are not finite numbers in single precision.")
        return values

    def _check_type(self, name: str, dtype: np.dtype) -> None:
        if dtype.hasobject:
            raise WeightsError(f"{self.path}: {name} holds Python objects, not numbers. Such files are not read.")
        if dtype.kind != "f" or dtype.itemsize not in (4, 8):
            raise WeightsError(f"{self.path}: {name} should hold numbers of type float32 or float64, not {dtype}.")

    def _damaged(self, name: str, reason: object) -> WeightsError:
        return WeightsError(f"{self.path}: {name} is damaged ({reason}). Get the file again.")
