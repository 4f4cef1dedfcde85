"""A corpus from a folder of your own: `audio/`, `labels/` and, if you like, a split table."""

import csv
import functools
import io
import math
import os
from pathlib import Path

from svdlib.audio.files import check_length, load_song
from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.compute.storage import read_plain_text
from svdlib.errors import CorpusError, quoted
from svdlib.songs.corpora.base import SPLITS, Corpus, Track, at_home, fingerprint_of, normal
from svdlib.songs.corpora.labels import read_lab

AUDIO_SUFFIXES = (".mp3", ".ogg", ".flac", ".wav", ".aiff", ".aif")
COMPANION_SUFFIXES = (
    ".jpg", ".jpeg", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff", ".txt", ".m3u", ".m3u8", ".cue", ".pdf", ".nfo",
)  # fmt: skip
COMPANION_NAMES = ("thumbs.db", "desktop.ini")
SPLIT_TABLE = "splits.csv"
TRAIN_SHARE, VALID_SHARE = 61 / 93, 16 / 93  # as in Jamendo's split, the corpus of the paper
LAYOUT = "a corpus folder holds audio/NAME.mp3 (or ogg, flac, wav, aiff) and labels/NAME.lab for every song"


def open_folder(folder: str | os.PathLike[str]) -> Corpus:
    """Open a folder of songs and labels as a corpus, without decoding the songs.

    `audio/` holds the songs, `labels/` a `.lab` file of the same stem for each, however its accents are spelled. Hidden
    files, and what often lies beside songs, such as pictures, texts and playlists, are passed over; anything else in
    `audio/` is refused.
    `splits.csv`, if it is there, has the columns `file` and `split` and one line per song. Without it the songs are
    split in the order of their names: about two thirds for training, a sixth each for validation and test.

    Args:
        folder: the folder.

    Returns:
        The corpus, in the order of the songs' names.

    Raises:
        CorpusError: a folder, song or label file is missing, a file among the songs has another suffix, a name
            is there twice, the split table does not fit the songs, or there are fewer than three songs.
        LabelError: a label file breaks the format or goes beyond the end of its song.
        AudioError: a song is not audio, cut short, or shorter than an excerpt.
    """
    folder = at_home(folder)
    songs = _songs(folder)
    labels = _labels(folder, songs)
    splits = _splits(folder, songs)
    tracks = tuple(_track(songs[stem], labels[stem], splits[stem]) for stem in songs)
    return Corpus(f"folder:{folder}", tracks)


def _songs(folder: Path) -> dict[str, Path]:
    """Find the songs, by stem, in the order of their names."""
    if not folder.is_dir():
        raise CorpusError(f"{folder}: there is no such folder; {LAYOUT}")
    for part in ("audio", "labels"):
        if not (folder / part).is_dir():
            raise CorpusError(f"{folder}: has no folder {part}/; {LAYOUT}")
    songs: dict[str, Path] = {}
    for path in _visible(folder / "audio"):
        if _is_companion(path):
            continue
        if path.suffix.lower() not in AUDIO_SUFFIXES:
            raise CorpusError(
                f"{path}: not one of {', '.join(AUDIO_SUFFIXES)}; convert the song, or move what is none out of audio/"
            )
        _add(songs, path)
    if not songs:
        raise CorpusError(f"{folder / 'audio'}: no song in it; {LAYOUT}")
    return songs


def _labels(folder: Path, songs: dict[str, Path]) -> dict[str, Path]:
    """Find the label file of every song."""
    labels: dict[str, Path] = {}
    for path in _visible(folder / "labels"):
        if path.suffix.lower() == ".lab":
            _add(labels, path)
    for stem, song in songs.items():
        if stem not in labels:
            raise CorpusError(f"{song}: has no labels; add labels/{stem}.lab, or move the song away")
    for stem, path in labels.items():
        if stem not in songs:
            raise CorpusError(f"{path}: belongs to no song; add audio/{stem}.mp3, or move it away")
    return labels


def _add(files: dict[str, Path], path: Path) -> None:
    """Add a file under its stem."""
    stem = normal(path.stem)
    if stem in files:
        raise CorpusError(f"{path}: {files[stem].name} has the same stem; rename one")
    files[stem] = path


def _is_companion(path: Path) -> bool:
    """Say whether a file is one of those that often lie beside songs and are none."""
    known = path.suffix.lower() in COMPANION_SUFFIXES or path.name.lower() in COMPANION_NAMES
    return known and path.is_file()


def _visible(folder: Path) -> list[Path]:
    """List a folder by name, without the hidden files that some systems leave behind."""
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def length_of(song: Path) -> float:
    """The length of a song in seconds, without decoding it.

    Raises:
        AudioError: it is not audio, cut short, or shorter than an excerpt.
    """
    from svdlib.audio.decoding import duration

    seconds = duration(song)
    check_length(song, math.ceil(seconds * SAMPLE_RATE))
    return seconds


def _track(song: Path, labels: Path, split: str) -> Track:
    seconds = length_of(song)
    return Track(
        name=normal(song.stem),
        split=split,
        segments=read_lab(labels, duration=seconds),
        fingerprint=fingerprint_of(song),
        load=functools.partial(load_song, song),
        file=song,
        seconds=seconds,
    )


def _splits(folder: Path, songs: dict[str, Path]) -> dict[str, str]:
    """Say which split every song is in, by stem."""
    table = folder / SPLIT_TABLE
    if table.exists() or table.is_symlink():  # a link to nowhere is not passed over
        return _read_split_table(table, songs)
    if len(songs) < len(SPLITS):
        raise CorpusError(f"{folder}: {len(songs)} of the 3 songs needed, for training, validation and test; add songs")
    n_train = min(max(1, round(len(songs) * TRAIN_SHARE)), len(songs) - 2)
    n_valid = min(max(1, round(len(songs) * VALID_SHARE)), len(songs) - n_train - 1)
    n_test = len(songs) - n_train - n_valid
    return dict(zip(songs, ["train"] * n_train + ["valid"] * n_valid + ["test"] * n_test, strict=True))


def _read_split_table(table: Path, songs: dict[str, Path]) -> dict[str, str]:
    """Read `splits.csv`; a song is named by its file name or its stem."""
    stems = {normal(path.name): stem for stem, path in songs.items()} | {stem: stem for stem in songs}
    splits: dict[str, str] = {}
    for number, row in _rows(table):
        file, split = normal(row["file"].strip()), row["split"].strip()
        if file not in stems:
            raise CorpusError(f"{table}, line {number}: {quoted(file)} is not in audio/; add it, or remove the line")
        if split not in SPLITS:
            raise CorpusError(f"{table}, line {number}: no split {quoted(split)}; write one of {', '.join(SPLITS)}")
        if stems[file] in splits:
            raise CorpusError(f"{table}, line {number}: {quoted(file)} stands there twice; remove one of the lines")
        splits[stems[file]] = split
    for stem, song in songs.items():
        if stem not in splits:
            raise CorpusError(f"{table}: has no line for {song.name}; add one, as in '{song.name},train'")
    return splits


def _rows(table: Path) -> list[tuple[int, dict[str, str]]]:
    """Read the lines of the split table with their numbers."""
    try:
        reader = csv.DictReader(io.StringIO(read_plain_text(table), newline=""))
        rows = [(reader.line_num, row) for row in reader]
        header = reader.fieldnames or []
    except OSError as error:
        raise CorpusError(f"{table}: cannot be read ({error.strerror}); check its permissions") from error
    except (UnicodeDecodeError, csv.Error) as error:
        raise CorpusError(f"{table}: not a table in UTF-8 text ({error}); save it as CSV again") from error
    if "file" not in header or "split" not in header:
        raise CorpusError(f"{table}: its first line must be 'file,split', not {quoted(','.join(header))}")
    for number, row in rows:
        if row["file"] is None or row["split"] is None:
            raise CorpusError(f"{table}, line {number}: must have a file and a split, as in 'song.mp3,train'")
    return rows
