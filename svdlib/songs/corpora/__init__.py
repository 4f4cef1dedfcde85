"""Corpora of songs with singing labels, each opened by its name."""

import math
import os
from typing import Any

from svdlib.errors import CorpusError, quoted
from svdlib.songs.corpora.base import SPLITS, Corpus, Segment, Track, frame_labels
from svdlib.songs.corpora.export import export_corpus
from svdlib.songs.corpora.joined import join, part_names

__all__ = ["SPLITS", "Corpus", "Segment", "Track", "export_corpus", "frame_labels", "open_corpus"]

CORPUS_NAMES = (
    "'synthetic', 'synthetic:songs=6,seconds=20,seed=1', 'synthetic-b' and 'synthetic-c' (same options), "
    "'folder:PATH', and, when they are fetched, 'jamendo', 'rwc', 'jamendolyrics' and 'electrobyte' (with ':PATH' "
    "where they lie elsewhere); a plus sign joins several"
)
PUBLISHED_NAMES = (
    "jamendo",
    "rwc",
    "jamendolyrics",
    "electrobyte",
)  # keys of svdlib.songs.corpora.published.PUBLICATIONS
FOLDER_KINDS = ("folder", *PUBLISHED_NAMES)  # what may stand before a path, as in folder:PATH
SYNTHETIC_NAMES = ("synthetic", "synthetic-b", "synthetic-c")  # keys of svdlib.songs.synthesis.WORLDS: SciPy can wait
KINDS = (*SYNTHETIC_NAMES, *FOLDER_KINDS)
SYNTHETIC_OPTIONS = {"songs": int, "seconds": float, "seed": int, "genre": str}


def open_corpus(name: str | os.PathLike[str]) -> Corpus:
    """Open a corpus by its name, without decoding or rendering any song.

    Args:
        name: `synthetic`, songs made by procedure, optionally with number, length and seed as in
            `synthetic:songs=6,seconds=20,seed=1`; `synthetic-b` and `synthetic-c`, with the same options, songs by
            other singers with other instruments, genres and mixes; one of their genres alone, as in
            `synthetic:songs=60,genre=metal`; `folder:PATH`, a folder with `audio/` and `labels/`; or a corpus that
            others have published and that `svdlib corpus fetch` gets, `jamendo`, `rwc`, `jamendolyrics` or
            `electrobyte`, with `:PATH` where it is not in the usual place. A plus sign joins several, as in
            `synthetic+folder:my_songs`. A path object is the folder that it names.

    Returns:
        The corpus; its songs are loaded when `Track.load` is called.

    Raises:
        CorpusError: the name or one of its options is unknown, or the corpus is incomplete or not fetched.
        LabelError: a label file breaks the format.
        AudioError: a sound file cannot be read.
    """
    if isinstance(name, os.PathLike):
        from svdlib.songs.corpora.folder import open_folder

        return open_folder(name)
    if not isinstance(name, str):
        raise CorpusError(f"a corpus has a name, and {quoted(name)} is none: the corpora are {CORPUS_NAMES}")
    parts = part_names(name, KINDS)
    return join(name, [_open_one(part) for part in parts]) if len(parts) > 1 else _open_one(name)


def _open_one(name: str) -> Corpus:
    kind, separator, rest = name.strip().partition(":")
    if kind in SYNTHETIC_NAMES:
        from svdlib.songs.corpora.synthetic import open_synthetic

        return open_synthetic(**_synthetic_options(name, rest if separator else None), world=kind)
    if kind == "folder":
        from svdlib.songs.corpora.folder import open_folder

        if not rest:
            raise CorpusError(f"corpus {name!r} names no folder: write folder:PATH, as in folder:my_songs")
        return open_folder(rest)
    if kind in PUBLISHED_NAMES:
        from svdlib.songs.corpora.published import open_published

        return open_published(name)
    raise CorpusError(f"unknown corpus {name!r}: the corpora are {CORPUS_NAMES}")


def _synthetic_options(name: str, text: str | None) -> dict[str, Any]:
    """Read the options after `synthetic:` and the like; None where the name has no colon."""
    options: dict[str, Any] = {}
    for item in text.split(",") if text is not None else []:
        key, _, value = (part.strip() for part in item.partition("="))
        if key not in SYNTHETIC_OPTIONS:
            known = ", ".join(SYNTHETIC_OPTIONS)
            raise CorpusError(f"corpus {name!r}: unknown option {key!r}; there are {known}, as in songs=6")
        if key in options:
            raise CorpusError(f"corpus {name!r}: the option {key!r} stands there twice; give it once")
        options[key] = _option(name, key, value)
    return options


def _option(name: str, key: str, value: str) -> int | float | str:
    kind = SYNTHETIC_OPTIONS[key]
    if kind is str:
        return value
    try:
        number = kind(value)
    except ValueError:
        number = math.nan
    smallest = 0 if key == "seed" else 1
    if not number >= smallest or number == math.inf:
        wanted = "a whole number" if kind is int else "a number"
        raise CorpusError(f"corpus {name!r}: {key}={quoted(value)} must be {wanted} of {smallest} or more")
    return number
