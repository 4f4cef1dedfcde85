"""Faults of sound files that show before anything is decoded, and that libsndfile passes over.

- WAV and AIFF: the sound chunk must lie within the file. A streamed WAV may leave its length open; then a cut
  cannot be known.
- Ogg: every page must have its right checksum, and the last one must carry the end-of-stream flag.
- MP3: the last frame must be whole, and there must be as many frames as a Xing or Info header promises.
  Without such a header a cut between two frames (about one place in a hundred) cannot be known.

Changed bytes within an MP3 frame, a WAV or an AIFF file cannot be known either: they have no checksums.
"""

import io
import mmap
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

# A WAV writer that cannot go back to fill in the length leaves a number as high as this.
OPEN_LENGTH = 0x7FFFF000


def fault_finder(data: mmap.mmap) -> Callable[[mmap.mmap], str | None] | None:
    """Choose the function that names the fault of such a file; None for an unknown kind of file."""
    start = _after_id3(data)
    if data[:4] in (b"RIFF", b"RIFX", b"RF64") and data[8:12] == b"WAVE":
        return wav_fault
    if data[:4] == b"FORM" and data[8:12] in (b"AIFF", b"AIFC"):
        return aiff_fault
    if data[:4] == b"OggS":
        return ogg_fault
    if data[start : start + 4] == b"fLaC":
        return flac_fault
    return mp3_fault if next(mp3_frames(data), None) else None


def flac_fault(data: mmap.mmap) -> None:
    """Find nothing: every FLAC frame has a checksum, and the decoder finds what is wrong or missing."""


# --- WAV and AIFF ---


def wav_fault(data: mmap.mmap) -> str | None:
    """Say what is wrong with a WAV file; None for nothing."""
    order = ">" if data[:4] == b"RIFX" else "<"
    long_size = None
    for name, start, size in _chunks(data, order):
        if name == b"ds64" and start + 16 <= len(data):
            (long_size,) = struct.unpack_from("<Q", data, start + 8)
        if name == b"data":
            if data[:4] == b"RF64" and long_size is not None:
                size = long_size
            elif size >= OPEN_LENGTH:
                return None
            return _cut_chunk(data, start, size)
    return "cut short before the sound begins"


def aiff_fault(data: mmap.mmap) -> str | None:
    """Say what is wrong with an AIFF file; None for nothing."""
    for name, start, size in _chunks(data, ">"):
        if name == b"SSND":
            return _cut_chunk(data, start, size)
    return "cut short before the sound begins, or without sound"


def _chunks(data: mmap.mmap, order: str) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and size of every chunk; sizes are even, or padded to be."""
    position = 12
    while position + 8 <= len(data):
        name, size = struct.unpack_from(order + "4sI", data, position)
        yield name, position + 8, size
        position += 8 + size + size % 2


def _cut_chunk(data: mmap.mmap, start: int, size: int) -> str | None:
    there = len(data) - start
    return f"cut short, {there} of {size} bytes of sound are there" if there < size else None


# --- Ogg ---

REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))


def ogg_fault(data: mmap.mmap) -> str | None:
    """Say what is wrong with an Ogg file; None for nothing."""
    position, ended = 0, False
    while data[position : position + 4] == b"OggS" and position + 27 <= len(data):
        ended = bool(data[position + 5] & 4)
        header = 27 + data[position + 26]
        page = data[position : position + header + sum(data[position + 27 : position + header])]
        if len(page) < header + sum(page[27:header]):
            return "cut short in its last page"
        if _ogg_checksum(page) != int.from_bytes(page[22:26], "little"):
            return f"damaged in the page at byte {position} (wrong checksum)"
        position += len(page)
    return None if ended else "cut short or damaged, the end of the stream is missing"


def _ogg_checksum(page: bytes) -> int:
    """Ogg's checksum: zlib's with the bits of every byte and of the result in reverse, and no inversions."""
    blanked = (page[:22] + bytes(4) + page[26:]).translate(REVERSED_BITS)
    return int(f"{zlib.crc32(blanked, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)


# --- MP3 ---

BIT_RATES_MPEG1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s, layer III
BIT_RATES_MPEG2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz


@dataclass(frozen=True)
class Mp3Frame:
    """Where an MP3 frame starts, how many bytes it takes, and what all frames of a file share."""

    start: int
    size: int
    kind: tuple[int, int]  # MPEG version and sample rate
    side_info: int  # bytes between the header and the place of a Xing header


def _mp3_frame(data: mmap.mmap | bytearray, start: int) -> Mp3Frame | None:
    """Read the frame header at `start`; None where there is none of layer III."""
    header = int.from_bytes(data[start : start + 4], "big") if start + 4 <= len(data) else 0
    version, layer, rate = header >> 19 & 3, header >> 17 & 3, header >> 10 & 3
    bit_rate, mono = header >> 12 & 15, header >> 6 & 3 == 3
    if header >> 21 != 0x7FF or version == 1 or layer != 1 or rate == 3 or not 1 <= bit_rate <= 14:
        return None
    mpeg1 = version == 3
    sample_rate = SAMPLE_RATES[version][rate]
    kilobits = (BIT_RATES_MPEG1 if mpeg1 else BIT_RATES_MPEG2)[bit_rate - 1]
    size = (144 if mpeg1 else 72) * 1000 * kilobits // sample_rate + (header >> 9 & 1)
    side_info = (17 if mono else 32) if mpeg1 else (9 if mono else 17)
    return Mp3Frame(start, size, (version, sample_rate), side_info)


def mp3_frames(data: mmap.mmap) -> Iterator[Mp3Frame]:
    """Yield every frame; the first, and the first after foreign bytes, only if another one follows it."""
    position, kind, in_step = _after_id3(data), None, False
    while 0 <= position < len(data):
        frame = _mp3_frame(data, position)
        if frame and kind in (None, frame.kind) and (in_step or _is_followed(data, frame)):
            yield frame
            position, kind, in_step = position + frame.size, frame.kind, True
        else:
            position, in_step = data.find(b"\xff", position + 1), False


def _is_followed(data: mmap.mmap, frame: Mp3Frame) -> bool:
    follower = _mp3_frame(data, frame.start + frame.size)
    return follower is not None and follower.kind == frame.kind


def _after_id3(data: mmap.mmap) -> int:
    """Return the position after the ID3v2 tags at the start of a file."""
    position = 0
    while data[position : position + 3] == b"ID3" and position + 10 <= len(data):
        a, b, c, d = data[position + 6 : position + 10]
        footer = 10 if data[position + 5] & 0x10 else 0
        position += 10 + (a << 21 | b << 14 | c << 7 | d) + footer
    return position


def _promised_frames(data: mmap.mmap, first: Mp3Frame) -> int | None:
    """Return the number of frames that a Xing or Info header states; None without one."""
    start = first.start + 4 + first.side_info
    header = data[start : start + 12]
    if header[:4] not in (b"Xing", b"Info") or len(header) < 12 or not header[7] & 1:
        return None
    return int.from_bytes(header[8:12], "big")


def mp3_fault(data: mmap.mmap) -> str | None:
    """Say what is wrong with an MP3 file; None for nothing."""
    end = len(data) - 128 if data[-128:-125] == b"TAG" else len(data)
    frames = list(mp3_frames(data))
    last_end = frames[-1].start + frames[-1].size
    whole = len(frames) - (last_end > end)
    cut_header = last_end < end < last_end + 4 and data[last_end] == 0xFF
    last_is_cut = last_end > end or cut_header
    promised = _promised_frames(data, frames[0])
    if promised is None:
        return "cut short in its last frame" if last_is_cut else None
    # Most encoders leave the frame that holds the header uncounted, but not all: one frame less is no proof.
    missing = promised - (whole - 1)
    if missing > 1 or (missing == 1 and last_is_cut):
        return f"cut short, {whole - 1} of {promised} frames are there"
    return None


def with_frame_count(data: mmap.mmap) -> BinaryIO:
    """Return the MP3 with a Xing header: without, libsndfile guesses the length and drops the rest."""
    frames = list(mp3_frames(data))
    if _promised_frames(data, frames[0]) is not None:
        return io.BytesIO(data[:])
    header = bytearray(data[frames[0].start : frames[0].start + 4])
    header[1] |= 1  # no checksum follows
    header[2] = (header[2] & 0x0C) | 0x90  # a middling bit rate: room for the header at any sample rate
    extra = _mp3_frame(header, 0)
    assert extra is not None  # but for a permitted bit rate, it is the header of a frame
    xing = bytes(header) + bytes(extra.side_info) + b"Xing" + struct.pack(">II", 1, len(frames))
    return io.BytesIO(xing.ljust(extra.size, b"\0") + data[frames[0].start :])
