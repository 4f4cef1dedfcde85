"""JamendoLyrics: 79 songs in four languages with the time of each sung word (Durand, Stoller and Ewert, 2023).

Words less than 0.5 s apart become one sung segment; the synthetic songs are labelled alike. What is sung without words,
or without being annotated, counts as not sung, and rap counts as sung.

The authors made it to test alignment, and it has no splits: each song is in `test`. The paper does not use it.

Known from its repositories: the table `JamendoLyrics.csv`, the annotations `annotations/words/NAME.csv` with the
columns `word_start` and `word_end` in seconds, the songs `subsets/LANGUAGE/mp3/NAME.mp3`, the revision named below, and
the licence of each song in the table. Not known: checksums, so those of the first fetch are recorded. A clone of the
older repository f90/jamendolyrics, with the songs in `mp3/`, is read as well.
"""

import csv
import io
import math
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import quote

from svdlib.compute.storage import read_plain_text
from svdlib.errors import ArchiveError, DownloadError, LabelError, quoted
from svdlib.songs.corpora.base import Segment, exactly
from svdlib.songs.corpora.folder import AUDIO_SUFFIXES
from svdlib.songs.corpora.jamendo import by_name, visible_files
from svdlib.songs.corpora.labels import read_text
from svdlib.songs.corpora.sources import Inventory, Publication, Source
from svdlib.songs.corpora.unpacking import file_name

LONGEST_REST = 0.5  # seconds between words that still count as singing
START, END = "word_start", "word_end"
TABLE = "JamendoLyrics.csv"
FOLDERS = {"English": "en", "French": "fr", "German": "de", "Spanish": "es"}
REVISION = "de188c963fd4539bc769b3feb83582e5a9595e36"
ADDRESS = f"https://huggingface.co/datasets/jamendolyrics/jamendolyrics/resolve/{REVISION}"


def read_words(path: Path, seconds: float) -> tuple[Segment, ...]:
    """Read the times of words and join them to sung segments.

    Voices may overlap, so words need not be in order.

    Args:
        path: a CSV file with the columns `word_start` and `word_end`, in seconds; others do not matter.
        seconds: the song's length, which does not matter here.

    Returns:
        The sung segments, in order; words less than 0.5 s apart are in one.

    Raises:
        LabelError: the file cannot be read, lacks a column or holds no word, or a line has no such times. It names
            file and line.
    """
    reader = csv.DictReader(io.StringIO(read_text(path), newline=""))
    words: list[tuple[float, float]] = []
    try:
        if not {START, END} <= set(reader.fieldnames or ()):
            raise LabelError(f"{path}: its first line must name the columns {START} and {END}")
        for row in reader:
            place = f"{path}, line {reader.line_num}"
            start, end = _seconds(row[START], place), _seconds(row[END], place)
            if end < start:
                raise LabelError(
                    f"{place}: a word ends at {exactly(end)} s, before its start at {exactly(start)} s; correct it"
                )
            words.append((start, end))
    except csv.Error as error:
        raise LabelError(f"{path}, line {reader.line_num}: not a table ({error}); save it as CSV again") from error
    if not words:
        raise LabelError(f"{path}: no word in it; each line has the start and end of a word in seconds")
    return join_words(words)


def join_words(words: Sequence[tuple[float, float]], rest: float = LONGEST_REST) -> tuple[Segment, ...]:
    """Join stretches of time to segments.

    Args:
        words: start and end of each, in seconds, in any order.
        rest: stretches that are less than this apart, in seconds, become one.

    Returns:
        The segments, all sung, in order; none is empty.
    """
    joined: list[list[float]] = []
    for start, end in sorted(words):
        if joined and start - joined[-1][1] < rest:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return tuple(Segment(start, end, True) for start, end in joined if end > start)


def take_stock(folder: Path) -> Inventory:
    """Find songs and the times of their words at any depth of a folder.

    Raises:
        CorpusError: two songs have the same name.
    """
    files = sorted(visible_files(folder))
    songs = by_name((path for path in files if path.suffix.lower() in AUDIO_SUFFIXES), folder)
    words = by_name((path for path in files if path.suffix.lower() == ".csv" and path.parent.name == "words"), folder)
    return Inventory(songs, words, dict.fromkeys(songs, "test"))


def name_songs(folder: Path) -> tuple[Source, ...]:
    """The songs and annotations that the table in a folder names.

    Raises:
        DownloadError: the table is not as its authors made it.
        ArchiveError: a song has a name that is none.
    """
    path = folder / TABLE
    try:
        reader = csv.DictReader(io.StringIO(read_plain_text(path), newline=""))
        rows = [(file_name(row["Filepath"], path), FOLDERS[row["Language"]]) for row in reader]
    except ArchiveError:
        raise
    except (OSError, UnicodeDecodeError, csv.Error, KeyError, TypeError, AttributeError) as error:
        reason = f"{type(error).__name__}: {str(error)[:300]}"
        raise DownloadError(f"{path}: not the table of JamendoLyrics ({reason})") from error
    if not rows:
        raise DownloadError(f"{path}: the table of JamendoLyrics names no song")
    places = [f"annotations/words/{name.rpartition('.')[0]}.csv" for name, _ in rows]
    places += [f"subsets/{language}/mp3/{name}" for name, language in rows]
    return tuple(Source(f"{ADDRESS}/{quote(place)}", place) for place in places)


def _seconds(field: str | None, place: str) -> float:
    try:
        seconds = float(field or "")
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds) or seconds < 0 or "_" in (field or ""):
        raise LabelError(
            f"{place}: {quoted(field)} is not a time of 0 seconds or more, with a decimal point; correct it"
        )
    return seconds


JAMENDOLYRICS = Publication(
    name="jamendolyrics",
    title="JamendoLyrics MultiLang",
    licence="Songs and lyrics under Creative Commons licences, each its own (BY, BY-SA, BY-ND, BY-NC, BY-NC-SA or "
    "BY-NC-ND): see the column LicenseType in JamendoLyrics.csv",
    cite="S. Durand, D. Stoller, S. Ewert. Contrastive Learning-Based Audio to Lyrics Alignment for Multiple "
    "Languages. ICASSP 2023",
    page="https://huggingface.co/datasets/jamendolyrics/jamendolyrics",
    songs={"test": 79},
    size=812_000_000,
    sources=(Source(f"{ADDRESS}/{TABLE}", TABLE),),
    name_more=name_songs,
    take_stock=take_stock,
    read_labels=read_words,
    layout="songs NAME.mp3 and annotations/words/NAME.csv",
    unconfirmed="checksums of the files",
)
