"""The parts of sound files, and faults that show before anything is decoded and that libsndfile passes over.

- WAV and AIFF: the sound chunk must lie within the file. A streamed WAV may leave its length open; then a cut
  cannot be known.
- FLAC: every frame has a checksum, by which the decoder finds any byte that was changed. Only where whole frames are
  missing between two others it puts silence, as long as they were. Where the header doesn't know the length, or states
  too little, the last frame knows. The sampling rate is taken from the header, which no checksum guards.
- Ogg: every page must have its right checksum, those of a stream must follow each other by their numbers, and the last
  one must carry the end-of-stream flag. Only behind the headers numbers may jump, as where a radio was recorded.
- MP3: the last frame must be whole, and there must be as many frames as a Xing or Info header promises.
  Without such a header a cut between two frames (about one place in a hundred) cannot be known.

Foreign bytes in front of any of them are passed over.

Changed bytes within an MP3 frame, a WAV or an AIFF file cannot be known either: they have no checksums.
"""

import re
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import replace

from svdlib.audio.mp3 import after_id3, begin_mp3, mp3_frames, mp3_parts
from svdlib.audio.parts import KEPT_BYTES, PADDING, TAGS, Bytes, FaultError, Memory, Part, unexplained_gap

# A WAV writer that cannot go back to fill in the length leaves a number as high as this.
OPEN_LENGTH = 0x7FFFF000
CONVERT = "convert it to WAV, for instance with: ffmpeg -i FILE song.wav"
FOREIGN = {  # how files begin that people take for sound files, after so many bytes
    (4, b"ftyp"): "MP4 or M4A (AAC)",
    (0, b"\x1aE\xdf\xa3"): "Matroska or WebM",
    (0, b"\x30\x26\xb2\x75\x8e\x66\xcf\x11"): "Windows Media (WMA)",
    (0, b"caff"): "Core Audio (CAF)",
    (0, b".snd"): "Sun or NeXT audio (AU)",
    (0, b"riff\x2e\x91\xcf\x11"): "Sony Wave64 (W64)",
    (0, b"Creative Voice File"): "Creative Voice (VOC)",
    (0, b"wvpk"): "WavPack",
    (0, b"MAC "): "Monkey's Audio",
    (0, b"MPCK"): "Musepack",
    (0, b"#!AMR"): "AMR",
    (0, b"MThd"): "MIDI, notes without sound",
    (8, b"AVI LIST"): "AVI",
    (0, b"FLV\x01"): "Flash video",
    (0, b"\x00\x00\x01\xba"): "MPEG video",
}
SOUND_TYPES = {1, 2, 3, 6, 7, 0x11, 0x31, 0x40, 0xFFFE}  # of WAV files: those that libsndfile reads
TYPE_NAMES = {0x50: "MPEG layer II", 0x55: "MP3", 0xFF: "AAC", 0x161: "WMA", 0x162: "WMA", 0x2000: "AC-3"}
CODEC_NAMES = {b"\x7fFLAC": "FLAC", b"Speex   ": "Speex", b"OggMIDI": "MIDI"}  # in Ogg, not read by libsndfile

Reader = Callable[[Bytes, int], tuple[list[Part], int]]


def sound_parts(data: Bytes) -> list[Part]:
    """Find everything that a sound file holds, in the order in which it is played.

    Raises:
        FaultError: it is no sound file, of a kind that cannot be read, damaged or cut short.
    """
    parts: list[Part] = []
    first = position = _first_sound(data)
    while (reader := _reader_at(data, position)) is not None:
        found, position = reader(data, position)
        parts += found
    if first > PADDING and not data[:8].startswith(TAGS) and data[:first].strip(b"\0"):
        parts[0] = replace(parts[0], skipped=first)
    if (left := _unexplained(data, position)) > PADDING:
        parts[-1] = replace(parts[-1], left_out=left)
    return parts


def _first_sound(data: Bytes) -> int:
    """Where the sound of a file begins: mostly at its start, else after foreign bytes."""
    if _reader_at(data, 0) is not None:
        return 0
    for (place, start), name in FOREIGN.items():
        if data[place : place + len(start)] == start:
            raise FaultError(f"this is {name}, which cannot be read", CONVERT)
    first = min(_next_sound(data, 0), next(_found(data, FLAC_START, 0), len(data)))
    if 0 <= data.find(b"OggS") < first:
        raise FaultError("the beginning is missing, an Ogg stream goes on without it")
    if first == len(data):
        raise FaultError("not a sound file that can be read", "convert it to WAV, AIFF, FLAC, Ogg or MP3")
    return first


def _reader_at(data: Bytes, position: int) -> Reader | None:
    """Choose who reads what begins at a position; None for nothing that is known."""
    magic, form = data[position : position + 4], data[position + 8 : position + 12]
    if magic in (b"RIFF", b"RIFX", b"RF64") and form == b"WAVE":
        return wav_parts
    if magic == b"FORM" and form in (b"AIFF", b"AIFC"):
        return aiff_parts
    if magic == b"OggS":
        return ogg_parts
    start = after_id3(data, position)
    if data[start : start + 4] == b"fLaC":
        return flac_parts
    return mp3_parts if begin_mp3(data, start) else None


# --- WAV and AIFF ---


def wav_parts(data: Bytes, start: int) -> tuple[list[Part], int]:
    """Find the sound of a WAV file that begins at a position, and where the file ends."""
    order = ">" if data[start : start + 4] == b"RIFX" else "<"
    byte_rate, size_place, long_place = 0, 0, None
    for name, begin, size in _chunks(data, order, start + 12):
        if name == b"ds64" and begin + 16 <= len(data):
            long_place = begin + 8
        if name == b"fmt " and begin + 16 <= len(data):
            _check_sound_type(data, begin, order)
            (byte_rate,) = struct.unpack_from(order + "I", data, begin + 8)
        if name == b"data":
            size_place = begin - 4
            long = data[start : start + 4] == b"RF64" and long_place is not None
            if long_place is not None and long:
                (size,) = struct.unpack_from("<Q", data, long_place)
                size_place = long_place
            return _wav_part(data, start, begin, size, (size_place, "<Q" if long else order + "I"), byte_rate)
    raise FaultError("cut short before the sound begins")


def _check_sound_type(data: Bytes, begin: int, order: str) -> None:
    (number,) = struct.unpack_from(order + "H", data, begin)
    if number not in SOUND_TYPES:
        name = TYPE_NAMES.get(number, f"sound of type 0x{number:04X}")
        raise FaultError(f"a WAV file with {name} inside, which cannot be read", CONVERT)


def _wav_part(
    data: Bytes, start: int, begin: int, size: int, place: tuple[int, str], byte_rate: int
) -> tuple[list[Part], int]:
    """Decide how much sound there is, where a header says nothing, too much or too little."""
    there = len(data) - begin
    if size >= OPEN_LENGTH and place[1] != "<Q":
        return [_piece(data, start, len(data))], len(data)
    unfilled = size == 0 and _chunk_size(data, begin) is None and _unexplained(data, begin) > 0
    (form_size,) = struct.unpack_from(place[1][0] + "I", data, start + 4)
    # Some writers count the header too; where the outer size fits the file, nothing was cut.
    overstated = size > there and (size == len(data) - start or start + 8 + form_size == len(data))
    if unfilled or overstated:
        head = bytearray(data[start:begin])
        struct.pack_into(place[1], head, place[0] - start, min(there, 0xFFFFFFFF))
        return [Part(((begin, len(data)),), bytes(head))], len(data)
    if size > there:
        raise FaultError(f"cut short, {there} of {size} bytes of sound are there")
    end, left = _end_of_form(data, begin + size + size % 2, b"data")
    if byte_rate and left > byte_rate / 10:
        seconds = left / byte_rate
        raise FaultError(f"its header leaves out bytes at the end, about {seconds:.1f} s of sound, which would be lost")
    return [_piece(data, start, end)], end


def _piece(data: Bytes, start: int, end: int) -> Part:
    return Part(((start, end),))


def aiff_parts(data: Bytes, start: int) -> tuple[list[Part], int]:
    """Find the sound of an AIFF file that begins at a position, and where the file ends."""
    for name, begin, size in _chunks(data, ">", start + 12):
        if name == b"SSND":
            there = len(data) - begin
            if there < size:
                raise FaultError(f"cut short, {there} of {size} bytes of sound are there")
            end, left = _end_of_form(data, begin + size + size % 2, b"SSND")
            return [Part(((start, end),), left_out=left)], end
    raise FaultError("cut short before the sound begins, or without sound")


def _chunks(data: Bytes, order: str, position: int) -> Iterator[tuple[bytes, int, int]]:
    """Yield name, start and size of every chunk; sizes are even, or padded to be."""
    while position + 8 <= len(data):
        name, size = struct.unpack_from(order + "4sI", data, position)
        yield name, position + 8, size
        position += 8 + size + size % 2


def _end_of_form(data: Bytes, position: int, sound: bytes) -> tuple[int, int]:
    """Return where a file of chunks ends whose sound ends at a position, and how many bytes nothing explains there.

    Raises:
        FaultError: another chunk has the name of the one with the sound, and would be lost.
    """
    while (size := _chunk_size(data, position)) is not None and _reader_at(data, position) is None:
        if data[position : position + 4] == sound:
            raise FaultError(f"a second chunk of sound, of {size} bytes, follows the first and would be lost")
        position += 8 + size + size % 2
    position = min(position, len(data))
    if _reader_at(data, position) is not None:
        return position, 0
    return len(data), _unexplained(data, position)


def _chunk_size(data: Bytes, position: int) -> int | None:
    """The size of the chunk that begins at a position, in either order of its bytes; None where none does."""
    name, size = data[position : position + 4], data[position + 4 : position + 8]
    if len(size) < 4 or not re.fullmatch(rb"[ -~]{4}", name):
        return None
    sizes = int.from_bytes(size, "little"), int.from_bytes(size, "big")
    return next((each for each in sizes if position + 8 + each <= len(data)), None)


def _unexplained(data: Bytes, position: int) -> int:
    """How many bytes from a position on are neither tags, nor zeros, nor another file."""
    rest = data[position : position + 8]
    if len(rest) < 8 or rest.startswith(TAGS) or _reader_at(data, position) is not None:
        return 0
    return len(data[position:].rstrip(b"\0"))


# --- FLAC ---

FLAC_START = re.compile(rb"fLaC[\x00\x80]\x00\x00\x22")
FLAC_SYNC = (b"\xff\xf8", b"\xff\xf9")
FLAC_FRAME = re.compile(rb"(?=\xff[\xf8\xf9])")
FLAC_WINDOW = 1 << 16  # bytes that are searched at once for a last frame
FLAC_TAIL = 1 << 22  # bytes: more than any last frame takes
FLAC_LENGTH = (1 << 36) - 1  # the bits of the header that hold the number of samples
OTHER_START = re.compile(rb"RIFF|RIFX|RF64|FORM|OggS\x00\x02")


def flac_parts(data: Bytes, start: int) -> tuple[list[Part], int]:
    """Find the FLAC streams from a position on, each with its length in the header, and where another sound follows."""
    marks = list(_found(data, FLAC_START, start)) or [after_id3(data, start)]
    begins = [start, *marks[1:]]
    parts, following = [], len(data)
    for begin, limit, mark in zip(begins, [*begins[1:], len(data)], marks, strict=True):
        head = data[mark : mark + 42]
        stated = int.from_bytes(head[21:26], "big") & FLAC_LENGTH
        last = _last_flac_frame(data, mark, limit, stated)
        if stated and _goes_on(data, mark, limit, last):
            stated, last = 0, _last_flac_frame(data, mark, limit, 0)
        if last is None:  # damaged, as the decoder will find
            parts.append(_piece(data, begin, limit))
            continue
        end, left_out, between = _end_of_flac_frame(data, last[0], head), 0, 0
        if limit == len(data) and end < limit:
            limit = following = _next_sound(data, end)
        if limit == len(data):
            left_out = _unexplained(data, end)
        else:
            between = unexplained_gap(data, end, limit)
        if stated:
            parts.append(Part(((begin, limit),), b"", left_out, between=between))
        else:
            numbers = int.from_bytes(head[18:26], "big") & ~FLAC_LENGTH | last[1]
            head = head[:18] + numbers.to_bytes(8, "big")
            parts.append(Part(((mark + 26, limit),), head, left_out, between=between))
    return parts, following


def _goes_on(data: Bytes, mark: int, limit: int, last: tuple[int, int] | None) -> bool:
    """Whether a FLAC stream has frames beyond the one that is the last by its header, if there is such a one."""
    head = data[mark : mark + 42]
    if last is None:
        beyond = _last_flac_frame(data, mark, limit, 0)
        return beyond is not None and beyond[1] > int.from_bytes(head[21:26], "big") & FLAC_LENGTH
    ends = _ends_of_flac_frame(data, last[0], head)
    return any((_samples_after_flac_frame(data[end : end + 16], head[8:]) or 0) > last[1] for end in ends)


def _last_flac_frame(data: Bytes, mark: int, limit: int, total: int) -> tuple[int, int] | None:
    """Find the last frame of a FLAC stream.

    Args:
        data: the file.
        mark: where the stream begins.
        limit: where it ends at the latest.
        total: how many samples its header promises; 0 where it does not know.

    Returns:
        Where the frame begins, and how many samples the stream has with it; None where there is none.
    """
    info, beyond, memory = data[mark + 8 : mark + 42], limit, Memory(data)
    # Where the number of samples is known, a long sound of another format may follow the stream.
    earliest = mark + 42 if total else max(mark + 42, limit - FLAC_TAIL)
    while beyond > earliest and len(info) == 34:
        first = max(earliest, beyond - FLAC_WINDOW)
        window = data[first : min(limit, beyond + 16)]
        for match in reversed(list(FLAC_FRAME.finditer(window))):
            samples = _samples_after_flac_frame(window[match.start() : match.start() + 16], info)
            if samples is not None and total in (0, samples):
                return first + match.start(), samples
        beyond = first
        memory.at(limit - beyond)
    return None


def _ends_of_flac_frame(data: Bytes, start: int, head: bytes) -> list[int]:
    """Where the frame that begins at a position may end, in a stream with such a header: its checksum is right."""
    longest = 1024 + int.from_bytes(head[10:12], "big") * ((head[20] >> 1 & 7) + 1) * 4
    checksum, ends = 0, []
    for place, byte in enumerate(data[start : start + longest], start=start + 1):
        checksum = (checksum << 8 & 0xFFFF) ^ CRC16[checksum >> 8 ^ byte]
        if not checksum:  # as after a whole frame, and by chance after one of 65536 bytes
            ends.append(place)
    return ends


def _end_of_flac_frame(data: Bytes, start: int, head: bytes) -> int:
    """Where the frame that begins at a position most likely ends."""
    ends = _ends_of_flac_frame(data, start, head)
    if len(data) in ends:
        return len(data)
    known = (end for end in ends if _reader_at(data, end) is not None or not _unexplained(data, end))
    end = next(known, ends[0] if ends else len(data))
    while end - 1 in ends:  # zeros leave a checksum of zero as it is
        end -= 1
    return end


def _next_sound(data: Bytes, start: int) -> int:
    """Where a sound of another format begins, at or after a position; the end of the file for nowhere."""
    places = (place for place in _found(data, OTHER_START, start) if _reader_at(data, place) is not None)
    frame = next(mp3_frames(data, start), None)
    return min(next(places, len(data)), frame.start if frame else len(data))


def _found(data: Bytes, pattern: re.Pattern[bytes], start: int) -> Iterator[int]:
    """Yield where a pattern of at most sixteen bytes is found, from a position on."""
    memory, longest = Memory(data), 16
    while start < len(data):
        for match in pattern.finditer(data, start, start + KEPT_BYTES + longest):
            if match.start() < start + KEPT_BYTES:
                yield match.start()
        start += KEPT_BYTES
        memory.at(start)


def _samples_after_flac_frame(head: bytes, info: bytes) -> int | None:
    """Read a frame's header: the number of the sample after it; None where it is none of this stream."""
    head = head.ljust(16, b"\0")
    channels = (info[12] >> 1 & 7) + 1
    if not head.startswith(FLAC_SYNC):
        return None
    layout, ones = head[3] >> 4, len(f"{head[4] ^ 0xFF:08b}".split("1")[0])  # how many bytes the number takes
    if head[3] & 1 or layout > 10 or (layout + 1 if layout < 8 else 2) != channels or ones in (1, 8):
        return None
    length = max(1, ones)
    number = head[4] & (0x7F >> ones)
    for byte in head[5 : 4 + length]:
        number = number << 6 | (byte & 0x3F)
    place, code = 4 + length, head[2] >> 4
    size, place = _flac_block_size(head, code, place)
    rate = head[2] & 15
    place += 1 if rate == 12 else 2 if rate in (13, 14) else 0
    if not size or rate == 15 or _crc8(head[:place]) != head[place]:
        return None
    return number + size if head[1] & 1 else number * int.from_bytes(info[2:4], "big") + size


def _flac_block_size(head: bytes, code: int, place: int) -> tuple[int, int]:
    """Return the samples of a frame, and the place in its header after what says so."""
    if code == 6:
        return head[place] + 1, place + 1
    if code == 7:
        return int.from_bytes(head[place : place + 2], "big") + 1, place + 2
    if code < 2:
        return 192 * code, place
    return (576 << code - 2 if code < 6 else 256 << code - 8), place


def _crc16_table() -> list[int]:
    """The checksum of FLAC's frames: polynomial x^16 + x^15 + x^2 + 1."""
    table = []
    for value in range(256):
        value <<= 8
        for _ in range(8):
            value = (value << 1 ^ (0x18005 if value & 0x8000 else 0)) & 0x1FFFF
        table.append(value & 0xFFFF)
    return table


CRC16 = _crc16_table()


def _crc8(data: bytes) -> int:
    """The checksum of FLAC's frame headers: polynomial x^8 + x^2 + x + 1."""
    value = 0
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value << 1 ^ (0x107 if value & 0x80 else 0)) & 0x1FF
    return value


# --- Ogg ---

REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
OGG_START = re.compile(rb"OggS\x00\x02")  # the first page of a stream
FIRST_PAGE, LAST_PAGE = 2, 4  # flags of a page


def ogg_parts(data: Bytes, start: int) -> tuple[list[Part], int]:
    """Find the chained streams of an Ogg file from a position on, and where they end."""
    begins, position, flags = [start], start, FIRST_PAGE
    memory, following_numbers, between = Memory(data), dict[bytes, int](), 0
    while True:
        memory.at(position)
        if data[position : position + 4] != b"OggS" or position + 27 > len(data):
            following = _next_stream(data, position) if flags & LAST_PAGE else -1
            if following < 0:
                break
            between += unexplained_gap(data, position, following)
            position = following
        before, flags = flags, data[position + 5]
        if flags & FIRST_PAGE and not before & FIRST_PAGE:
            if not before & LAST_PAGE:
                raise FaultError("cut short or damaged, the end of a stream is missing")
            begins.append(position)
        page = _whole_page(data, position)
        _check_number(page, following_numbers, position)
        position += len(page)
    if not flags & LAST_PAGE:
        raise FaultError("cut short or damaged, the end of the stream is missing")
    for begin in begins:
        _check_codec(data, begin)
    first, *others = (_piece(data, *ends) for ends in zip(begins, [*begins[1:], position], strict=True))
    return [replace(first, between=between), *others], position


def _next_stream(data: Bytes, position: int) -> int:
    """Where another stream begins after foreign bytes; -1 for nowhere."""
    if _reader_at(data, position) is not None:
        return -1
    return next(_found(data, OGG_START, position), -1)


def _whole_page(data: Bytes, position: int) -> bytes:
    """The page at a position, whose checksum is right."""
    header = 27 + data[position + 26]
    page = data[position : position + header + sum(data[position + 27 : position + header])]
    if len(page) < header + sum(page[27:header]):
        raise FaultError("cut short in its last page")
    if _ogg_checksum(page) != int.from_bytes(page[22:26], "little"):
        raise FaultError(f"damaged in the page at byte {position} (wrong checksum)")
    return page


def _check_number(page: bytes, following: dict[bytes, int], position: int) -> None:
    """Make sure that a page follows the one before it in its stream: libsndfile would close a gap without a word.

    Args:
        page: the page.
        following: the number of the page that must come next, by the stream's serial number; is brought up to date.
        position: where the page begins, for the message.
    """
    serial, number = page[14:18], int.from_bytes(page[18:22], "little")
    missing = 0 if page[5] & FIRST_PAGE else number - following.get(serial, number)
    if missing > 0:
        raise FaultError(f"damaged, {missing} page{'s' * (missing > 1)} of sound missing before byte {position}")
    if missing < 0:
        raise FaultError(f"damaged, its pages are out of order at byte {position}")
    following.pop(serial, None)
    if page[6:14].strip(b"\0"):  # pages of headers alone are at the time 0
        following[serial] = (number + 1) % 2**32


def _check_codec(data: Bytes, begin: int) -> None:
    place = begin + 27 + data[begin + 26]
    first = data[place : place + 8]
    for start, name in CODEC_NAMES.items():
        if first.startswith(start):
            raise FaultError(f"an Ogg file with {name} inside, which cannot be read", CONVERT)


def _ogg_checksum(page: bytes) -> int:
    """Ogg's checksum: zlib's with the bits of every byte and of the result in reverse, and no inversions."""
    blanked = (page[:22] + bytes(4) + page[26:]).translate(REVERSED_BITS)
    return int(f"{zlib.crc32(blanked, 0xFFFFFFFF) ^ 0xFFFFFFFF:032b}"[::-1], 2)
