"""RWC Popular: the corpus that the paper tests on, 100 songs of Goto and others (2002).

Since 2026 the audio is on Zenodo. The labels, vocal-instrumental activity by Mauch and others (2011), are in the
archive of RWC annotations. Song `RWC_P001.wav` belongs to `RM-P001.VOCA_INST.TXT`.

Who sings or plays is written as change points, a time in seconds, a tab and a label. The label holds until the next
line. Before a colon it says what is heard: `m` and `f` a man or a woman singing, `g` a group, `s` an instrument's solo,
`b` nobody in front, and `e` ends the song. m, f and g are sung here, everything else is not. The paper's classes are
singing voice, with or without instruments, and instruments without; it says no more about how it made them.

The corpus has no splits: each song is in `test`, as the paper only tests on it. The paper drew 20 of the 100 songs and
does not say which.

Why not mirdata: its release 1.0.0 reads RWC from the old CDs, and its newer loader takes the labels from the newest
state of a repository, whose checksum does not stay. It brings a dozen packages for what are forty lines here, and it
does not check what it reads.

Known from Zenodo's record: name, size and MD5 of the audio. Known from mirdata: names and folders of files, and that a
label may read `m:withm`. Not known: all labels that occur. Another one is refused, with file and line.
"""

import math
import re
from collections.abc import Sequence
from pathlib import Path

from svdlib.errors import LabelError, quoted
from svdlib.songs.corpora.base import Segment, exactly
from svdlib.songs.corpora.folder import AUDIO_SUFFIXES
from svdlib.songs.corpora.jamendo import by_name, visible_files
from svdlib.songs.corpora.labels import read_text
from svdlib.songs.corpora.sources import Inventory, Publication, Source

LABEL = re.compile(r"(?P<kind>[mfsbe]|g[a-z]{0,2})(:.*)?")
SUNG = ("m", "f", "g")
REMEDY = "a line reads 'TIME<tab>LABEL', with a label such as b, m:, f:, g:, s: or e, as in '10.293\tm:'"
SONG = re.compile(r"RWC_P(\d{3})", re.IGNORECASE)
LABELS = re.compile(r"RM-P(\d{3})\.VOCA_INST", re.IGNORECASE)


def read_voca_inst(path: Path, seconds: float) -> tuple[Segment, ...]:
    """Read the vocal-instrumental activity of a song.

    Args:
        path: the file, UTF-8 text; blank lines are skipped.
        seconds: the song's length. The last label holds until there, if no `e` ends the song before.

    Returns:
        The segments, sung and not, each as long as it could be, in order.

    Raises:
        LabelError: the file cannot be read, a line breaks the format, or times do not grow. It names file and line.
    """
    changes: list[tuple[float, str]] = []
    for number, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        place = f"{path}, line {number}"
        if changes and changes[-1][1] == "e":
            raise LabelError(f"{place}: {quoted(line.strip())} comes after the end 'e'; remove one of the two")
        changes.append(_change(line, place))
        if len(changes) > 1 and changes[-1][0] <= changes[-2][0]:
            times = [exactly(time) for time, _ in changes[-2:]]
            raise LabelError(f"{place}: {times[1]} s is not after {times[0]} s above; sort the lines")
    if not changes:
        raise LabelError(f"{path}: no label in it; {REMEDY}")
    return _joined(changes, seconds)


def _change(line: str, place: str) -> tuple[float, str]:
    """The time in seconds and the first letter of the label of a line."""
    fields = line.strip().split("\t")
    label = LABEL.fullmatch(fields[1].strip()) if len(fields) == 2 else None
    if label is None:
        raise LabelError(f"{place}: {quoted(line.strip())} is not understood; {REMEDY}")
    try:
        time = float(fields[0])
    except ValueError:
        time = math.nan
    if not math.isfinite(time) or time < 0 or "_" in fields[0]:
        raise LabelError(f"{place}: {quoted(fields[0])} is not a time of 0 seconds or more; {REMEDY}")
    return time, label["kind"][0]


def _joined(changes: Sequence[tuple[float, str]], seconds: float) -> tuple[Segment, ...]:
    """Turn change points into segments; neighbours that are both sung, or both not, become one."""
    ends = [time for time, _ in changes[1:]] + [max(seconds, changes[-1][0])]
    segments: list[Segment] = []
    for (start, kind), end in zip(changes, ends, strict=True):
        sing = kind in SUNG
        if end <= start or kind == "e":
            continue
        if segments and segments[-1].sing == sing:
            segments[-1] = Segment(segments[-1].start, end, sing)
        else:
            segments.append(Segment(start, end, sing))
    return tuple(segments)


def take_stock(folder: Path) -> Inventory:
    """Find songs and labels at any depth of a folder, each under the name of its song, such as `RWC_P001`.

    Raises:
        CorpusError: two files are of the same song.
    """
    files = sorted(visible_files(folder))
    songs = by_name((path for path in files if path.suffix.lower() in AUDIO_SUFFIXES and _number(SONG, path)), folder)
    labels = by_name((path for path in files if path.suffix.lower() == ".txt" and _number(LABELS, path)), folder)
    songs = {f"RWC_P{_number(SONG, path)}": path for path in songs.values()}
    labels = {f"RWC_P{_number(LABELS, path)}": path for path in labels.values()}
    return Inventory(songs, labels, dict.fromkeys(songs, "test"))


def _number(pattern: re.Pattern, path: Path) -> str | None:
    found = pattern.fullmatch(path.stem)
    return found[1] if found else None


RWC = Publication(
    name="rwc",
    title="RWC Music Database: Popular Music, with vocal activity",
    licence="Creative Commons Attribution-NonCommercial 4.0 (CC BY-NC 4.0), sound and labels",
    cite="M. Goto, H. Hashiguchi, T. Nishimura, R. Oka. RWC Music Database: Popular, Classical, and Jazz Music "
    "Databases. ISMIR 2002; and for the labels M. Mauch, H. Fujihara, K. Yoshii, M. Goto. Timbre and Melody Features "
    "for the Recognition of Vocal Activity and Instrumental Solos in Polyphonic Music. ISMIR 2011",
    page="https://zenodo.org/records/18656623",
    songs={"test": 100},
    size=4_080_000_000,
    sources=(
        # The labels first: they are small, and where they cannot be had 4 GB need not be fetched.
        Source(
            "https://github.com/rwc-music/rwc-annotations-archive/archive/994499597853664890b517711f97df9f47c0358a.zip",
            "rwc-annotations-archive.zip",
            unpack_to="annotations",
        ),
        Source(
            "https://zenodo.org/records/18656623/files/RWC-P.zip?download=1",
            "RWC-P.zip",
            unpack_to="audio",
            size=4_071_840_278,
            checksum="md5:960a11a2d7fb603ad0dae8428f53d4f0",
        ),
    ),
    take_stock=take_stock,
    read_labels=read_voca_inst,
    layout="songs RWC_P001.wav and so on, and labels RM-P001.VOCA_INST.TXT and so on",
    unconfirmed="size and checksum of the annotations, and all labels that occur in them",
)
