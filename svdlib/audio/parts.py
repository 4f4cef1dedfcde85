"""What a sound file is made of: parts that are decoded one after the other.

Most files have one part. Files joined by `cat`, chained Ogg streams and radio recordings have several.
"""

import io
import mmap
from dataclasses import dataclass
from typing import BinaryIO

Bytes = mmap.mmap | bytes


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
    """

    runs: tuple[tuple[int, int], ...]
    head: bytes = b""

    def source(self, data: Bytes, file: BinaryIO) -> BinaryIO:
        """The part as a file of its own; `file` itself where that is the same."""
        if not self.head and self.runs == ((0, len(data)),):
            return file
        return io.BytesIO(b"".join([self.head, *(data[start:end] for start, end in self.runs)]))
