"""Corpora that others have published: `jamendo`, `rwc`, `jamendolyrics` and `electrobyte`, opened where they lie."""

import functools
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from svdlib.audio.files import load_song
from svdlib.errors import AudioError, CorpusError, LabelError, quoted
from svdlib.songs.corpora.base import SPLITS, Corpus, Segment, Track, fingerprint_of
from svdlib.songs.corpora.electrobyte import ELECTROBYTE
from svdlib.songs.corpora.fetching import corpus_folder
from svdlib.songs.corpora.folder import length_of
from svdlib.songs.corpora.jamendo import JAMENDO
from svdlib.songs.corpora.jamendolyrics import JAMENDOLYRICS
from svdlib.songs.corpora.rwc import RWC
from svdlib.songs.corpora.sources import Inventory, Publication

PUBLICATIONS = {publication.name: publication for publication in (JAMENDO, RWC, JAMENDOLYRICS, ELECTROBYTE)}
LATEST = 5.0  # seconds that labels may go beyond the end of their song: they were made on another copy of it


def find_publication(name: str) -> tuple[Publication, Path]:
    """The published corpus that a name such as `jamendo` or `jamendo:PATH` stands for, and its folder.

    Raises:
        CorpusError: there is none of that name, or the path after the colon is empty.
    """
    kind, separator, place = name.strip().partition(":")
    if kind not in PUBLICATIONS:
        raise CorpusError(f"{name!r} is not a corpus that can be fetched; there are {', '.join(PUBLICATIONS)}")
    if separator and not place:
        raise CorpusError(f"corpus {name!r} names no folder: write {kind}:PATH, or {kind} alone")
    return PUBLICATIONS[kind], corpus_folder(kind, place or None)


def open_published(name: str) -> Corpus:
    """Open a published corpus that was fetched or put into its folder by hand, without decoding any song.

    Args:
        name: `jamendo`, `rwc`, `jamendolyrics` or `electrobyte`, with `:PATH` where it is not in the usual place.

    Returns:
        The corpus, its songs in the order of their names, with the splits of its publishers. A warning says so if they
        are not as many as were published.

    Raises:
        CorpusError: it is not there, or a song lacks its sound, its labels or its split.
        LabelError: a label file breaks the format, or goes more than 5 s beyond the end of its song. Less is cut off.
        AudioError: a song is not audio, or cut short.
    """
    publication, folder = find_publication(name)
    stock = take_stock(publication, folder)
    for problem in lacking(stock):
        raise CorpusError(f"{folder}: {problem}. `svdlib corpus info {name}` lists what is missing")
    expected = sum(publication.songs.values())
    if len(stock.complete) != expected:
        warnings.warn(
            f"{folder}: {len(stock.complete)} of the {expected} songs of {publication.name} are there; "
            "numbers measured on them are not comparable with those of others",
            stacklevel=2,
        )
    return Corpus(publication.name, tuple(read_track(publication, stock, song) for song in stock.complete))


def take_stock(publication: Publication, folder: Path) -> Inventory:
    """Find the songs, labels and splits in a corpus's folder.

    Raises:
        CorpusError: the folder is not there, or holds neither songs nor labels.
    """
    if not folder.is_dir():
        raise CorpusError(f"{publication.name} is not there: {folder} is no folder. {how_to_get(publication)}")
    stock = publication.take_stock(folder)
    if not stock.songs and not stock.labels:
        raise CorpusError(
            f"{folder}: holds no song of {publication.name}; {publication.layout}. {how_to_get(publication)}"
        )
    return stock


def how_to_get(publication: Publication) -> str:
    """Say how to come by a corpus, in a sentence."""
    return (
        f"Get it with `svdlib corpus fetch {publication.name}`, or from {publication.page}, "
        f"and name its folder: {publication.name}:PATH"
    )


def lacking(stock: Inventory) -> list[str]:
    """What keeps a corpus from being opened, one sentence per kind."""
    kinds = (
        ("without labels", stock.without_labels),
        ("with labels but no sound", stock.without_sound),
        ("in no split", stock.without_split),
    )
    return [f"{len(names)} songs {what} ({_some(names)})" for what, names in kinds if names]


def read_track(publication: Publication, stock: Inventory, name: str) -> Track:
    """Make the track of a song whose sound, labels and split are there.

    Raises:
        LabelError: its labels break the format, or belong to a longer song.
        AudioError: it is not audio, cut short, or shorter than an excerpt.
    """
    song, labels = stock.songs[name], stock.labels[name]
    seconds = length_of(song)
    return Track(
        name=name,
        split=stock.splits[name],
        segments=cut(publication.read_labels(labels, seconds), seconds, labels),
        fingerprint=fingerprint_of(song),
        load=functools.partial(load_song, song),
        file=song,
        seconds=seconds,
    )


def cut(segments: Iterable[Segment], seconds: float, labels: Path) -> tuple[Segment, ...]:
    """Cut segments off at the end of their song.

    Args:
        segments: in seconds, in order.
        seconds: the song's length.
        labels: the file they are from, for the message.

    Raises:
        LabelError: they go more than 5 s beyond the end: they belong to another song.
    """
    segments = tuple(segments)
    if segments and segments[-1].end > seconds + LATEST:
        raise LabelError(
            f"{labels}: goes on to {segments[-1].end:g} s, beyond the end of the song ({seconds:.2f} s); "
            "do the labels belong to this song?"
        )
    return tuple(replace(part, end=min(part.end, seconds)) for part in segments if part.start < seconds)


def survey(name: str) -> dict:
    """Say what is there of a published corpus, what is missing, and how much is sung. Nothing is decoded.

    Args:
        name: as for `open_published`.

    Returns:
        `folder`; `there` (bool); `splits`: for each the number of `songs`, of `songs_expected`, and `sung_hours` and
        `unsung_hours` of the songs that can be read; `without_labels`, `without_sound` and `without_split`: names of
        songs; `problems`: what is wrong with labels or sounds, a sentence each; `licence`, `cite` and `how_to_get`.

    Raises:
        CorpusError: there is no such corpus.
    """
    publication, folder = find_publication(name)
    stock, problems = Inventory({}, {}, {}), []
    there = folder.is_dir()
    if there:
        try:
            stock = take_stock(publication, folder)
        except CorpusError as error:
            problems.append(str(error))
    tracks = []
    for song in stock.complete:
        try:
            tracks.append(read_track(publication, stock, song))
        except (LabelError, AudioError) as error:
            problems.append(str(error))
    return {
        "corpus": name,
        "folder": str(folder),
        "there": there,
        "splits": {split: _count(publication, tracks, split) for split in SPLITS},
        "without_labels": stock.without_labels,
        "without_sound": stock.without_sound,
        "without_split": stock.without_split,
        "problems": problems,
        "licence": publication.licence,
        "cite": publication.cite,
        "how_to_get": how_to_get(publication),
    }


def _count(publication: Publication, tracks: Sequence[Track], split: str) -> dict[str, float]:
    chosen = [track for track in tracks if track.split == split]
    sung = sum(part.end - part.start for track in chosen for part in track.segments if part.sing)
    seconds = sum(track.seconds for track in chosen if track.seconds is not None)
    return {
        "songs": len(chosen),
        "songs_expected": publication.songs.get(split, 0),
        "sung_hours": sung / 3600,
        "unsung_hours": (seconds - sung) / 3600,
    }


def _some(names: Sequence[str]) -> str:
    return ", ".join(quoted(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
