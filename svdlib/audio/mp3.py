"""The frames of MP3 files, and the parts that a decoder must see one at a time.

The decoder believes the count of frames in a Xing header, ends where the sampling rate changes, and skips no more than
a kilobyte of foreign bytes. So every part begins with a header whose count is right and holds nothing but frames.
"""

import bisect
import functools
import struct
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from svdlib.audio.parts import Bytes, FaultError, Memory, Part, unexplained_gap

BIT_RATES_MPEG1 = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320)  # kbit/s, layer III
BIT_RATES_MPEG2 = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
SAMPLE_RATES = {3: (44100, 48000, 32000), 2: (22050, 24000, 16000), 0: (11025, 12000, 8000)}  # Hz
SEARCH_BLOCK = 1 << 18  # bytes searched at once for headers
CHAIN = 3  # frames that must follow one found among foreign bytes, as in pictures: one follows by chance
LARGEST_FRAME = 1441  # bytes
MOST_TAGS = 64  # in a row; a file of nothing but tags would take long
FIRST_TRIES = 16  # headers looked at one by one, before a whole block is searched


@dataclass(frozen=True)
class Mp3Frame:
    """Where an MP3 frame starts, how many bytes it takes, and what all frames of a file share."""

    start: int
    size: int
    kind: tuple[int, int]  # MPEG version and sample rate
    side_info: int  # bytes between the header and the place of a Xing header
    checksum: bool = False  # whether two bytes of checksum follow the header

    @property
    def end(self) -> int:
        """The position after the frame."""
        return self.start + self.size


def _mp3_frame(data: Bytes, start: int) -> Mp3Frame | None:
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
    return Mp3Frame(start, size, (version, sample_rate), side_info, not header >> 16 & 1)


def mp3_frames(data: Bytes, start: int | None = None) -> Iterator[Mp3Frame]:
    """Yield every frame; the first, and the first after foreign bytes, only if others follow it.

    Args:
        data: the file.
        start: where to begin; None for the start of the file.
    """
    search, memory = _Search(data), Memory(data)
    position, kind, last = _first_position(data, start), None, None
    while 0 <= position < len(data):
        memory.at(position)
        frame = _mp3_frame(data, position)
        in_step = last is not None and last.end == position
        if frame and ((in_step and frame.kind == kind) or _is_chained(data, frame, kind, in_step)):
            yield frame
            position, kind, last = frame.end, frame.kind, frame
        elif in_step and last is not None:
            # The last frame may have been cut, so that the next one begins inside it.
            position, last = search.next(last.start + 1), None
        else:
            position, last = search.next(position + 1), None


def _first_position(data: Bytes, start: int | None) -> int:
    """Where the search for frames begins: after the tags, unless their size is wrong and leads nowhere."""
    begin = start or 0
    after = after_id3(data, begin)
    return after if begin_mp3(data, after) else begin


def begin_mp3(data: Bytes, position: int) -> bool:
    """Whether a frame of MP3 begins at a position, and another one after it."""
    frame = _mp3_frame(data, position)
    return frame is not None and _is_followed(data, frame)


def _is_chained(data: Bytes, frame: Mp3Frame, kind: tuple[int, int] | None, in_step: bool) -> bool:
    """Whether a frame that continues no other is one: of a known kind or place by one follower, else by several."""
    trusted = frame.kind == kind or in_step or (kind is None and frame.start == after_id3(data, 0))
    followers, here = 0, frame
    while followers < (1 if trusted else CHAIN):
        follower = _mp3_frame(data, here.end)
        if follower is None or follower.kind != frame.kind:
            return followers > 0 and here.end >= len(data)
        here, followers = follower, followers + 1
    return True


def _is_followed(data: Bytes, frame: Mp3Frame) -> bool:
    follower = _mp3_frame(data, frame.end)
    return follower is not None and follower.kind == frame.kind


class _Search:
    """Finds the next header that another one follows, in megabytes of anything."""

    def __init__(self, data: Bytes):
        self.data = data
        self.block = functools.lru_cache(maxsize=2)(self._headers_in)

    def next(self, start: int) -> int:
        """The first position from `start` on that may be a frame; -1 for none."""
        for _ in range(FIRST_TRIES):  # mostly, the next frame is near
            start = self.data.find(b"\xff", start)
            if start < 0 or begin_mp3(self.data, start):
                return start
            start += 1
        for index in range(start // SEARCH_BLOCK, len(self.data) // SEARCH_BLOCK + 1):
            headers = self.block(index)
            place = bisect.bisect_left(headers, start)
            if place < len(headers):
                return headers[place]
        return -1

    def _headers_in(self, index: int) -> list[int]:
        """Positions of all headers in a block of the file that another one of their kind follows."""
        first = index * SEARCH_BLOCK
        piece = np.frombuffer(self.data[first : first + SEARCH_BLOCK + LARGEST_FRAME + 3], np.uint8).astype(np.intp)
        if len(piece) < 4:
            return []
        sizes, kinds = _header_table()
        headers = np.where(piece[:-3] == 0xFF, piece[1:-2] << 8 | piece[2:-1], 0)
        kind = kinds[headers]
        places = np.flatnonzero(kind[:SEARCH_BLOCK])
        followers = places + sizes[headers[places]]
        inside = followers < len(kind)
        places, followers = places[inside], followers[inside]
        return (places[kind[followers] == kind[places]] + first).tolist()


@functools.cache
def _header_table() -> tuple[np.ndarray, np.ndarray]:
    """Size and kind of a frame by the second and third byte of its header; kind 0 is none."""
    sizes, kinds = np.zeros(1 << 16, np.intp), np.zeros(1 << 16, np.intp)
    for middle in range(0xE200, 1 << 16):
        frame = _mp3_frame(bytes([0xFF, middle >> 8, middle & 0xFF, 0]), 0)
        if frame is not None:
            version, rate = frame.kind
            sizes[middle], kinds[middle] = frame.size, rate << 2 | version
    return sizes, kinds


def after_id3(data: Bytes, position: int = 0) -> int:
    """Return the position after the ID3v2 tags at a place in a file."""
    for _ in range(MOST_TAGS):
        if data[position : position + 3] != b"ID3" or position + 10 > len(data):
            break
        a, b, c, d = data[position + 6 : position + 10]
        footer = 10 if data[position + 5] & 0x10 else 0
        position += 10 + (a << 21 | b << 14 | c << 7 | d) + footer
    return position


def _promised_frames(data: Bytes, first: Mp3Frame) -> int | None:
    """Return the number of frames that a Xing or Info header states; None without one."""
    start = first.start + 4 + first.side_info
    header = data[start : start + 12]
    if header[:4] not in (b"Xing", b"Info") or len(header) < 12 or not header[7] & 1:
        return None
    return int.from_bytes(header[8:12], "big")


def mp3_parts(data: Bytes, start: int = 0) -> tuple[list[Part], int]:
    """Find the parts of the MP3 that begins at a position, and where it ends.

    A new part begins with a header that counts frames, with another sampling rate, and between mono and stereo.

    Raises:
        FaultError: the last frame is cut, or fewer frames are there than a Xing or Info header promises.
    """
    end = len(data) - 128 if data[-128:-125] == b"TAG" else len(data)
    groups: list[_Group] = []
    last: Mp3Frame | None = None
    between = 0
    for frame in mp3_frames(data, start):
        if last is not None and _foreign_sound(data, last, frame):
            break
        between += unexplained_gap(data, last.end, frame.start) if last is not None else 0
        if last is None or _starts_part(data, groups[-1], frame):
            groups.append(_Group(frame))
        groups[-1].add(frame)
        last = frame
    if not groups:
        raise FaultError("without a frame of MP3")
    parts: list[Part] = []
    ends = [following.first.start for following in groups[1:]]
    for group, limit in zip(groups, [*ends, end], strict=True):
        parts += _parts_of(data, group, limit)
    parts[0] = replace(parts[0], between=between)
    return parts, parts[-1].runs[-1][1]


class _Group:
    """Frames that belong together, in a few bytes each: ten hours have more than a million.

    Attributes:
        first: their first frame, whose kind all of them have.
        side_info: that of the last one; a header may lie in a frame of another size.
    """

    def __init__(self, first: Mp3Frame):
        self.first, self.side_info = first, first.side_info
        self._starts, self._sizes = array("Q"), array("H")

    def __len__(self) -> int:
        return len(self._starts)

    def add(self, frame: Mp3Frame) -> None:
        """Put a frame at the end."""
        self.side_info = frame.side_info
        self._starts.append(frame.start)
        self._sizes.append(frame.size)

    def split(self, data: Bytes, count: int) -> tuple["_Group", "_Group"]:
        """The first frames, so many, and the others."""
        second = _mp3_frame(data, self._starts[count])
        assert second is not None  # it was one before
        groups = _Group(self.first), _Group(second)
        for group, part in zip(groups, (slice(count), slice(count, None)), strict=True):
            group._starts, group._sizes = self._starts[part], self._sizes[part]
        return groups

    def runs(self) -> tuple[tuple[int, int], ...]:
        """Where the frames lie without a gap, from and to."""
        starts = np.frombuffer(self._starts, np.uint64).astype(np.int64)
        ends = starts + np.frombuffer(self._sizes, np.uint16)
        gaps = np.flatnonzero(starts[1:] != ends[:-1])
        first, last = np.append(0, gaps + 1), np.append(gaps, len(ends) - 1)
        return tuple(zip(starts[first].tolist(), ends[last].tolist(), strict=True))

    @property
    def end(self) -> int:
        """The position after the last frame."""
        return self._starts[-1] + self._sizes[-1]

    @property
    def size(self) -> int:
        """Bytes of all frames."""
        return sum(self._sizes)


def _starts_part(data: Bytes, group: _Group, frame: Mp3Frame) -> bool:
    if frame.kind != group.first.kind or _promised_frames(data, frame) is not None:
        return True
    # The frame with the header may differ from those with the sound.
    return frame.side_info != group.side_info and not (
        len(group) == 1 and _promised_frames(data, group.first) is not None
    )


def _foreign_sound(data: Bytes, last: Mp3Frame, frame: Mp3Frame) -> bool:
    """Whether a file of another format begins after a frame."""
    return last.end != frame.start and data[last.end : last.end + 4] in (b"RIFF", b"RIFX", b"FORM", b"OggS", b"fLaC")


def _parts_of(data: Bytes, frames: _Group, end: int) -> list[Part]:
    """Make a part of frames that belong together, or two where the header counts the first ones alone."""
    whole = len(frames) - (frames.end > end)
    cut_header = frames.end < end < frames.end + 4 and data[frames.end] == 0xFF
    last_is_cut = frames.end > end or cut_header
    promised = _promised_frames(data, frames.first)
    if promised is None:
        if last_is_cut:
            raise FaultError("cut short in its last frame")
        return [Part(frames.runs(), _frame_with_count(data, frames))]
    # Most encoders leave the frame that holds the header uncounted, but not all: one frame less is no proof.
    missing = promised - (whole - 1)
    if missing > 1 or (missing == 1 and last_is_cut):
        raise FaultError(f"cut short, {whole - 1} of {promised} frames are there")
    if missing >= -1:
        return [Part(frames.runs())]
    if last_is_cut:
        raise FaultError("cut short in its last frame")
    counted, rest = frames.split(data, promised + 1)
    if promised and _is_independent(data, rest.first):  # another file follows, and this one's header is right
        return [Part(counted.runs()), *_parts_of(data, rest, end)]
    return [_with_right_count(data, frames)]


def _is_independent(data: Bytes, frame: Mp3Frame) -> bool:
    """Whether a frame needs no bytes of those before it: the first of a file does not."""
    start = frame.start + 4 + 2 * frame.checksum
    first_bits = int.from_bytes(data[start : start + 2], "big")
    return first_bits >> (7 if frame.kind[0] == 3 else 8) == 0


def _with_right_count(data: Bytes, frames: _Group) -> Part:
    """A part whose Xing header states fewer frames than there are, with the right number instead."""
    first, (_, rest) = frames.first, frames.split(data, 1)
    head = bytearray(data[first.start : first.end])
    place = 4 + first.side_info
    struct.pack_into(">I", head, place + 8, len(frames) - 1)
    if head[place + 7] & 2:
        struct.pack_into(">I", head, place + 12, frames.size & 0xFFFFFFFF)
    return Part(rest.runs(), bytes(head))


def _frame_with_count(data: Bytes, frames: _Group) -> bytes:
    """A frame with a Xing header to put before others: without, libsndfile guesses the length and drops the rest."""
    header = bytearray(data[frames.first.start : frames.first.start + 4])
    header[1] |= 1  # no checksum follows
    header[2] = (header[2] & 0x0C) | 0x90  # a middling bit rate: room for the header at any sample rate
    extra = _mp3_frame(bytes(header), 0)
    assert extra is not None  # but for a permitted bit rate, it is the header of a frame
    xing = bytes(header) + bytes(extra.side_info) + b"Xing" + struct.pack(">II", 1, len(frames))
    return xing.ljust(extra.size, b"\0")
