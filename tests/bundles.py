"""Checkpoints in TensorFlow's second format, written by its description, to try the reader on."""

import struct

import numpy as np


def varint(value):
    out = b""
    while value >= 128:
        out, value = out + bytes([value & 127 | 128]), value >> 7
    return out + bytes([value])


def crc32c(data):
    """Bit by bit, as in RFC 3720."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17 & 0xFFFFFFFF) + 0xA282EAD8) % 2**32


def block(entries, interval=16, kind=0):
    """A block of sorted entries, every 16th key written whole, with its trailer."""
    content, restarts, last = b"", [], b""
    for number, (key, value) in enumerate(entries):
        shared = 0
        if number % interval == 0:
            restarts.append(len(content))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        content += varint(shared) + varint(len(key) - shared) + varint(len(value)) + key[shared:] + value
        last = key
    restarts = restarts or [0]
    content += struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts)) + bytes([kind])
    return content + struct.pack("<I", masked(content))


def table(entries, per_block=7, kind=0):
    """A whole table of entries, which are sorted."""
    file, index = b"", []
    for start in range(0, len(entries), per_block):
        part = block(entries[start : start + per_block], kind=kind)
        index.append((entries[min(start + per_block, len(entries)) - 1][0], place(len(file), part)))
        file += part
    return finish(file, index)


def place(offset, part):
    return varint(offset) + varint(len(part) - 5)


def finish(file, index):
    """Append the index of the blocks, an empty one for filters, and the footer."""
    filters = block([])
    ending = place(len(file), filters)
    listed = block(index, interval=1)
    ending += place(len(file) + len(filters), listed)
    return file + filters + listed + ending.ljust(40, b"\0") + struct.pack("<Q", 0xDB4775248B80FB57)


def field(number, value):
    if isinstance(value, bytes):
        return varint(number << 3 | 2) + varint(len(value)) + value
    return varint(number << 3) + varint(value)


def entry(array, offset, dtype=1, **more):
    shape = b"".join(field(2, field(1, size)) for size in array.shape)
    data = array.tobytes()
    said = {"dtype": dtype, "size": len(data), "crc": masked(data), "shape": shape, "shard": 0} | more
    text = field(1, said["dtype"]) + field(2, said["shape"])
    text += field(3, said["shard"]) if said["shard"] else b""
    return text + field(4, offset) + field(5, said["size"]) + varint(6 << 3 | 5) + struct.pack("<I", said["crc"])


HEADER = field(1, 1) + field(3, field(1, 1))


def write(folder, arrays, header=HEADER, **more):
    """Write float32 arrays by name as a checkpoint; the paths of its index and of its numbers."""
    entries, numbers = [(b"", header)], b""
    for name in sorted(arrays, key=str.encode):
        values = np.asarray(arrays[name], dtype="<f4")
        entries.append((name.encode(), entry(values, len(numbers), **more)))
        numbers += values.tobytes()
    paths = folder / "model.index", folder / "model.data-00000-of-00001"
    for path, content in zip(paths, (table(entries), numbers), strict=True):
        path.write_bytes(content)
    return paths
