"""Sorted tables in LevelDB's format, in which TensorFlow keeps what is in a checkpoint; read without trusting them.

A table is a file of blocks. Each holds keys in ascending order with their values; of a key only what differs from the
one before is written. The last block is an index of the others, and the last 48 bytes of the file say where it lies.
Every block has a checksum. Sizes are checked before anything is read, and nothing is decompressed.
"""

import struct
from collections.abc import Iterator

from svdlib.errors import quoted

MAGIC = 0xDB4775248B80FB57
FOOTER = 48  # bytes: two places of blocks, padded to 40, and the magic number
LONGEST_KEY = 1024
MOST_ENTRIES = 2**14
LONGEST_VARINT = 10  # bytes, which hold 64 bits at seven each

# The polynomial of CRC-32C (Castagnoli), reflected, and what is added to a checksum that stands beside its data.
_POLYNOMIAL, _MASK = 0x82F63B78, 0xA282EAD8


class TableError(ValueError):
    """What is wrong with bytes from elsewhere, in a few words; whoever knows the file's name makes a message of it."""


class Reader:
    """Bytes that are read from front to back; it never reads past their end."""

    def __init__(self, data: bytes) -> None:
        self.data, self.place = data, 0

    def __bool__(self) -> bool:
        return self.place < len(self.data)

    def take(self, count: int) -> bytes:
        """The next bytes.

        Raises:
            TableError: if there are not so many.
        """
        if count > len(self.data) - self.place:
            raise TableError(f"it ends {count - len(self.data) + self.place} bytes too early")
        self.place += count
        return self.data[self.place - count : self.place]

    def varint(self) -> int:
        """The next whole number, written in as many groups of seven bits as it needs, the lowest first.

        Raises:
            TableError: if it is cut or longer than 64 bits.
        """
        value = 0
        for number in range(LONGEST_VARINT):
            (byte,) = self.take(1)
            value |= (byte & 0x7F) << (7 * number)
            if byte < 0x80 and value < 2**64:
                return value
        raise TableError("it holds a number of more than 64 bits")


def _checksum_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = (value >> 1) ^ (_POLYNOMIAL if value & 1 else 0)
        table.append(value)
    return table


_TABLE = _checksum_table()


def masked_checksum(data: bytes) -> int:
    """The CRC-32C of bytes as LevelDB and TensorFlow store it: rotated by 15 bits and shifted by a constant."""
    checksum, table = 0xFFFFFFFF, _TABLE
    for byte in data:
        checksum = table[(checksum ^ byte) & 0xFF] ^ (checksum >> 8)
    checksum ^= 0xFFFFFFFF
    return ((checksum >> 15 | checksum << 17) + _MASK) & 0xFFFFFFFF


def read_table(data: bytes) -> dict[bytes, bytes]:
    """Read all entries of a table.

    Args:
        data: the whole file.

    Returns:
        The value of each key, in the table's order.

    Raises:
        TableError: if it is no table, compressed, damaged, or larger than a table of a checkpoint needs to be.
    """
    if len(data) < FOOTER or data[-8:] != struct.pack("<Q", MAGIC):
        raise TableError("it does not end like a table of LevelDB")
    footer, body = Reader(data[-FOOTER:-8]), data[:-FOOTER]
    _place(footer)  # of blocks with filters, which a checkpoint has none of
    found: dict[bytes, bytes] = {}
    last = b""
    for _, place in _entries(_block(body, *_place(footer))):
        for key, value in _entries(_block(body, *_place(Reader(place)))):
            # So no block is read twice either, however often the index names it.
            if found and key <= last:
                raise TableError(f"its key {quoted(key)} is not in ascending order")
            if len(found) == MOST_ENTRIES:
                raise TableError(f"it has more than {MOST_ENTRIES} entries")
            found[key], last = value, key
    return found


def _place(reader: Reader) -> tuple[int, int]:
    return reader.varint(), reader.varint()


def _block(body: bytes, offset: int, size: int) -> bytes:
    """The content of a block, once its checksum is right."""
    if offset + size + 5 > len(body):
        raise TableError(f"a block of {size} bytes at {offset} would lie beyond its end")
    # After the content stand one byte, the way of compression, and the checksum of both.
    content, checksum = struct.unpack_from(f"<{size + 1}sI", body, offset)
    if masked_checksum(content) != checksum:
        raise TableError(f"the checksum of the block at {offset} is wrong")
    if content[-1]:
        raise TableError(f"the block at {offset} is compressed, as no checkpoint of TensorFlow is")
    return content[:-1]


def _entries(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The keys and values of a block."""
    if len(block) < 4:
        raise TableError("a block is too short")
    (restarts,) = struct.unpack("<I", block[-4:])
    end = len(block) - 4 - 4 * restarts
    if end < 0:
        raise TableError(f"a block of {len(block)} bytes cannot have {restarts} places to start from")
    reader, key = Reader(block[:end]), b""
    while reader:
        shared, own, length = reader.varint(), reader.varint(), reader.varint()
        if shared > len(key) or shared + own > LONGEST_KEY:
            raise TableError(f"a key takes {shared} of {len(key)} bytes from the one before, and {own} of its own")
        key = key[:shared] + reader.take(own)
        yield key, reader.take(length)
