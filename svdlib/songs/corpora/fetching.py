"""From a publisher's files to a corpus folder: fetch, check, unpack, and move into place when all is there."""

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from svdlib.compute.locks import locked
from svdlib.errors import ArchiveError, CorpusError, OutputError
from svdlib.songs.corpora.base import at_home
from svdlib.songs.corpora.download import fetch_file, pin
from svdlib.songs.corpora.sources import Publication, Source, data_folder
from svdlib.songs.corpora.unpacking import unpack

ROOM_FACTOR = 2.2  # packed and unpacked lie on the disk at once, for a while


def corpus_folder(name: str, to: str | os.PathLike[str] | None = None) -> Path:
    """Where a published corpus lies: `to`, or else a folder of its name in the data folder."""
    return at_home(to).absolute() if to is not None else data_folder() / name


def fetch_corpus(publication: Publication, to: str | os.PathLike[str] | None = None) -> Path:
    """Download and unpack a published corpus.

    Nothing is asked here: whoever calls this shows the licence first. Until all is there, files lie in a hidden folder
    beside the corpus's, where the next call finds them again. The archives are deleted when they are unpacked.

    Args:
        publication: the corpus.
        to: its folder; None for one in the data folder. It must be missing or empty.

    Returns:
        The folder.

    Raises:
        DownloadError: see `svdlib.songs.corpora.download.fetch_file`.
        ArchiveError: an archive is damaged or hostile. It is deleted, to be fetched anew.
        OutputError: the folder holds something, or cannot be written to, or the disk is too small.
    """
    folder = corpus_folder(publication.name, to)
    if folder.is_dir() and any(folder.iterdir()):
        raise OutputError(f"{folder}: not empty; nothing is overwritten. Remove it, or name another folder with --to")
    work = folder.with_name(f".{folder.name}.fetching")
    with _alone(work):
        fetched = _fetch(publication.sources, work)
        if publication.name_more:
            fetched += _fetch(publication.name_more(work / "files"), work)
        corpus = _put_together(fetched, work)
        pin({source.url: path for source, path in fetched if source.lasting})
        _move(corpus, folder)
        shutil.rmtree(work, ignore_errors=True)
    return folder


def _fetch(sources: tuple[Source, ...], work: Path) -> list[tuple[Source, Path]]:
    _check_room(sources, work)
    return [(source, fetch_file(source, work / "files")) for source in sources]


def _put_together(fetched: Sequence[tuple[Source, Path]], work: Path) -> Path:
    """Unpack archives and link or copy plain files into one folder, anew each time."""
    corpus = work / "corpus"
    shutil.rmtree(corpus, ignore_errors=True)
    for source, path in fetched:
        if source.unpack_to is None:
            _place(path, corpus / source.file)
            continue
        try:
            unpack(path, corpus / source.unpack_to)
        except ArchiveError:
            path.unlink(missing_ok=True)  # it would be found again for ever
            raise
    return corpus


def _place(path: Path, target: Path) -> None:
    """Put a file in a second place, without a second copy where the disk can do so."""
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(path, target)
    except OSError:
        shutil.copyfile(path, target)


def _move(corpus: Path, folder: Path) -> None:
    try:
        if folder.is_dir():
            folder.rmdir()  # it is empty
        corpus.replace(folder)
    except OSError as error:
        raise OutputError(f"Cannot write {folder}: {error.strerror or error}. Name another folder with --to") from error


def _check_room(sources: tuple[Source, ...], work: Path) -> None:
    there = sum(path.stat().st_size for path in work.rglob("*") if path.is_file())
    needed = sum(source.size or 0 for source in sources) * ROOM_FACTOR - there
    free = shutil.disk_usage(work).free
    if free < needed:
        raise OutputError(
            f"{work.parent}: {needed / 1e9:.1f} GB are needed there for a while, and {free / 1e9:.1f} GB are free. "
            "Free some space, or name a folder on another disk with --to"
        )


@contextmanager
def _alone(work: Path) -> Iterator[None]:
    """Make the folder for unfinished files, and keep a second process out of it as long as this one works there."""
    try:
        work.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot write to {work.parent}: {error.strerror or error}. Choose a folder you may write to, with --to"
        ) from error
    taken = CorpusError(f"{work}: another process is fetching this corpus; wait until it is done")
    with locked(work / "lock", taken):
        yield
