"""What a sound file is made of: parts that are decoded one after the other.

Most files have one part. Files joined by `cat`, chained Ogg streams and radio recordings have several.
"""

import bisect
import io
import mmap
import os
from dataclasses import dataclass
from itertools import accumulate
from typing import BinaryIO

Bytes = mmap.mmap | bytes

KEPT_BYTES = 1 << 24  # of a mapped file that may stay in memory after they were looked at
READ_AHEAD = 1 << 16  # bytes: decoders ask for a few at a time
TAGS = (b"TAG", b"ID3", b"APETAGEX", b"LYRICSBE")  # how those behind a sound begin
PADDING = 1 << 11  # bytes: so few that encoders leave behind the sound are not worth a word


class FaultError(ValueError):
    """What is wrong with the bytes of a sound file, in a few words, and what to do about it where that is special."""

    def __init__(self, fault: str, remedy: str = "get or export the file again"):
        super().__init__(fault)
        self.remedy = remedy


@dataclass(frozen=True)
class Part:
    """One stream of a sound file, as its decoder is to see it.

    Attributes:
        runs: where its bytes lie in the file, from and to; what lies between them is no sound.
        head: bytes to put in front: a header that tells the truth about the length.
        left_out: how many bytes after it are neither sound nor tags.
        skipped: how many bytes before it are neither.
        between: how many bytes between its runs, or between it and another part, are neither.
    """

    runs: tuple[tuple[int, int], ...]
    head: bytes = b""
    left_out: int = 0
    skipped: int = 0
    between: int = 0

    def source(self, file: BinaryIO) -> BinaryIO:
        """The part as a file of its own; `file` itself where that is the same."""
        if not self.head and self.runs == ((0, os.fstat(file.fileno()).st_size),):
            file.seek(0)
            return file
        return io.BufferedReader(_Spliced(file, self), READ_AHEAD)  # type: ignore[return-value]


def unexplained_gap(data: Bytes, begin: int, end: int) -> int:
    """How many bytes between two places where sound ends and begins are no tags."""
    return 0 if data[begin : begin + 8].startswith(TAGS) else max(0, end - begin)


class _Spliced(io.RawIOBase):
    """A part, read piece by piece from where it lies: a long one is never in memory as a whole."""

    def __init__(self, file: BinaryIO, part: Part):
        self._file, self._head, self._runs = file, part.head, part.runs
        lengths = [len(part.head), *(end - start for start, end in part.runs)]
        self._ends = list(accumulate(lengths))
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self._ends[-1]}[whence]
        self._position = max(0, base + offset)
        return self._position

    def readinto(self, buffer: "memoryview") -> int:  # type: ignore[override]
        piece = bisect.bisect_right(self._ends, self._position)
        if piece == len(self._ends):
            return 0
        left = self._ends[piece] - self._position
        if piece == 0:
            content = self._head[self._position : self._position + len(buffer)]
        else:
            self._file.seek(self._runs[piece - 1][1] - left)
            content = self._file.read(min(left, len(buffer)))
        buffer[: len(content)] = content
        self._position += len(content)
        return len(content)


class Memory:
    """Gives the memory back that looking through a mapped file takes, which the system would keep as long as it can."""

    def __init__(self, data: Bytes):
        self._data, self._next = data, KEPT_BYTES

    def at(self, position: int) -> None:
        """To be called now and then with the place that a search has come to."""
        if position >= self._next:
            self._next = position + KEPT_BYTES
            if isinstance(self._data, mmap.mmap) and hasattr(mmap, "MADV_DONTNEED"):
                self._data.madvise(mmap.MADV_DONTNEED)
