"""Label files: when somebody sings, in plain text.

A `.lab` file has one segment a line, `start end sing` or `start end nosing`, with times in seconds.
"""

import math
import os
from pathlib import Path

from svdlib.compute.storage import read_plain_text
from svdlib.errors import LabelError, quoted
from svdlib.songs.corpora.base import Segment, exactly

WORDS = {"sing": True, "nosing": False}
END_TOLERANCE = 0.5  # seconds: encoders pad songs, and labels are often made on another copy
REMEDY = "a line reads 'start end sing' or 'start end nosing', in seconds, as in '12.5 20.31 sing'"


def read_lab(path: str | os.PathLike[str], *, duration: float | None = None) -> tuple[Segment, ...]:
    """Read a label file.

    Args:
        path: the `.lab` file, UTF-8 text; blank lines are skipped, any white space separates.
        duration: the song's length in seconds; labels may go 0.5 s beyond. None to leave this unchecked.

    Returns:
        The segments in the order of time. What no segment covers counts as not sung.

    Raises:
        LabelError: the file is missing, not text or without segments, or a line breaks the format, overlaps
            the one before, is out of order or lies beyond the song. The message names file and line.
    """
    path = Path(path)
    segments: list[Segment] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        segment = _parse(line, place)
        _check_order(segment, segments[-1] if segments else None, place)
        if duration is not None and segment.end > duration + END_TOLERANCE:
            raise LabelError(
                f"{place}: {exactly(segment.end)} s is beyond the end of the song ({duration:.2f} s); "
                "do the labels belong to this song?"
            )
        segments.append(segment)
    if not segments:
        raise LabelError(f"{path}: no segment in it; {REMEDY}")
    return tuple(segments)


def read_text(path: Path) -> str:
    """Read a label file as text.

    Raises:
        LabelError: it is missing, cannot be read, no plain file, or not UTF-8 text.
    """
    try:
        text = read_plain_text(path)
    except UnicodeDecodeError as error:
        raise LabelError(f"{path}: not UTF-8 text (byte {error.start}); save it as plain text") from error
    except OSError as error:
        raise LabelError(f"{path}: cannot be read ({error.strerror}); check the path") from error
    if "\0" in text:
        raise LabelError(f"{path}: not a text file (it holds zero bytes); save it as plain text in UTF-8")
    return text


def _parse(line: str, place: str) -> Segment:
    fields = line.split()
    if len(fields) != 3:
        raise LabelError(f"{place}: {quoted(line.strip())} is not three fields separated by spaces or tabs; {REMEDY}")
    start, end = (_seconds(field, place) for field in fields[:2])
    if fields[2] not in WORDS:
        raise LabelError(f"{place}: unknown word {quoted(fields[2])}; {REMEDY}")
    return Segment(start, end, WORDS[fields[2]])


def _seconds(field: str, place: str) -> float:
    try:
        seconds = float(field)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0 or "_" in field:
        raise LabelError(f"{place}: {quoted(field)} is not a time of 0 seconds or more, with a decimal point; {REMEDY}")
    return seconds


def _check_order(segment: Segment, before: Segment | None, place: str) -> None:
    if segment.end <= segment.start:
        raise LabelError(
            f"{place}: ends at {exactly(segment.end)} s, not after its start, {exactly(segment.start)} s; correct the "
            "times, or remove the line"
        )
    if before is None or segment.start >= before.end:
        return
    if segment.start < before.start:
        raise LabelError(f"{place}: starts at {exactly(segment.start)} s, before the line above; sort the lines")
    raise LabelError(
        f"{place}: starts at {exactly(segment.start)} s, but the line above ends at {exactly(before.end)} s; "
        "make the segments not overlap"
    )
