"""Arrays that are computed from songs once, in several processes, and kept as files."""

import hashlib
import os
import time
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from svdlib.compute.npz import DAMAGE
from svdlib.compute.processes import in_processes
from svdlib.compute.progress import progress
from svdlib.compute.storage import open_plain, write_atomically
from svdlib.errors import OutputError

REMEDY = "Set SVDLIB_CACHE to name another folder."
ROWS = 1 << 16  # looked at together, to spare memory
ABANDONED = 3600  # seconds: nobody has been writing one file for so long


@dataclass(frozen=True)
class Job:
    """The arrays that are computed from one song at a time.

    Attributes:
        keys: one text per array, which changes whenever the array may have changed.
        compute: returns the arrays in the order of the keys. Other processes may be handed it, so a function of a
            module, or a `functools.partial` of one, is best.
        dtype: of all the arrays.
        width: their second dimension; the first one is time.
    """

    keys: tuple[str, ...]
    compute: Callable[[], Sequence[np.ndarray]]
    dtype: type[np.floating[Any]]
    width: int


def compute_once(
    jobs: Sequence[Job],
    description: str,
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    processes: int | None = None,
    keep: bool = False,
) -> list[list[np.ndarray]]:
    """Return the arrays of every job, from the cache where they are all there.

    The cache holds one file per array, with a checksum. A damaged file is computed anew; a folder that cannot be
    written to is reported once and done without. Jobs are done in several processes where three or more are not in the
    cache; the arrays are the same, to the last bit, for any number of processes. Each process needs memory for itself
    and for one song.

    Args:
        jobs: what is wanted.
        description: for the progress bar.
        cache_dir: the cache; None for the environment variable SVDLIB_CACHE, or else the user's cache folder.
        processes: how many jobs to do at once; 1 works in this process, None takes the environment variable
            SVDLIB_PROCESSES, or else all cores that this process may use.
        keep: whether the arrays are computed in order to be kept, so that a cache that cannot be written is an error.

    Returns:
        One list of arrays per job, in their order.

    Raises:
        AudioError: a song cannot be read; of several the first. The songs done before are in the cache.
        OutputError: with `keep`, an array cannot be written; those written before are whole.
        ProcessError: `processes` or SVDLIB_PROCESSES is below 1, or the system has ended a process.
    """
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    arrays: list[list[np.ndarray]] = [[] for _ in jobs]
    problem = None
    with closing(_finished(jobs, folder, processes)) as finished:
        for position, found, failure in progress(finished, description=description, total=len(jobs), unit="song"):
            arrays[position] = found
            if failure and keep:
                raise OutputError(f"{description} cannot be kept: {failure} {REMEDY}")
            problem = problem or failure
    if problem:
        warnings.warn(f"{description} are not cached: {problem} {REMEDY}", stacklevel=3)
    return arrays


def default_cache_dir() -> Path:
    """The folder that SVDLIB_CACHE names, or else the one that the system keeps for such files."""
    if os.environ.get("SVDLIB_CACHE"):
        return Path(os.environ["SVDLIB_CACHE"])
    try:
        from platformdirs import user_cache_dir
    except ImportError:
        return Path.home() / ".cache" / "svdlib"
    return Path(user_cache_dir("svdlib"))


def _finished(
    jobs: Sequence[Job], folder: Path, processes: int | None
) -> Generator[tuple[int, list[np.ndarray], str | None], None, None]:
    """Yield position, arrays and trouble with the cache of every job: those in the cache first."""
    missing = []
    for position, job in enumerate(jobs):
        found = _read(job, folder)
        if found is None:
            missing.append(position)
        else:
            yield position, found, None
    _tidy(folder, lambda unfinished: time.time() - unfinished.stat().st_mtime > ABANDONED)
    computed = in_processes(_compute, [(jobs[position], folder) for position in missing], processes)
    try:
        with closing(computed):
            for place, failure in computed:
                position = missing[place]
                if isinstance(failure, Unkept):
                    yield position, failure.arrays, failure.reason
                else:
                    yield position, _read(jobs[position], folder) or list(jobs[position].compute()), None
    except BaseException:
        ours = tuple(f".{entry.name}." for position in missing for entry in _entries(jobs[position], folder))
        _tidy(folder, lambda unfinished: unfinished.name.startswith(ours))
        raise


def _tidy(folder: Path, ended: Callable[[Path], bool]) -> None:
    """Delete the unfinished files of which `ended` says that whoever wrote them was ended."""
    for unfinished in folder.glob(".*.partial"):
        with suppress(OSError):
            if ended(unfinished):
                unfinished.unlink()


@dataclass(frozen=True)
class Unkept:
    """Arrays that could not be written to the cache, and why."""

    arrays: list[np.ndarray]
    reason: str


def _compute(work: tuple[Job, Path]) -> Unkept | None:
    """Compute the arrays of a job and write them to their places in the cache.

    What is written is not handed back but read there: on its way to another process it would be in memory three times.
    """
    job, folder = work
    arrays = list(job.compute())
    try:
        for entry, array in zip(_entries(job, folder), arrays, strict=True):
            if entry.exists() and not entry.is_file() and not entry.is_dir():
                entry.unlink()  # a pipe, which nobody can have kept there
            write_atomically(entry, partial(_write, array))
    except (OutputError, OSError) as error:
        return Unkept(arrays, str(error))
    return None


def _entries(job: Job, folder: Path) -> list[Path]:
    # A key tells where the song lies, and names on a disk may be of any bytes.
    digests = [hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest() for key in job.keys]
    return [folder / f"{digest[:32]}.npy" for digest in digests]


def _write(array: np.ndarray, file: BinaryIO) -> None:
    np.save(file, array, allow_pickle=False)
    file.write(_checksum(array))


def _checksum(array: np.ndarray) -> bytes:
    """What stands in a cached file after its array, where other readers of NumPy files do not look."""
    about = f"{array.dtype.str} {array.shape}".encode()
    return hashlib.sha256(about + hashlib.sha256(np.ascontiguousarray(array).data).digest()).digest()


def _all_finite(array: np.ndarray) -> bool:
    """Whether all numbers are finite, asked of some rows at a time."""
    return all(np.isfinite(array[start : start + ROWS]).all() for start in range(0, len(array), ROWS))


def _read(job: Job, folder: Path) -> list[np.ndarray] | None:
    """Read the arrays of a job; None where one is missing or damaged."""
    arrays = []
    for entry in _entries(job, folder):
        try:
            with open_plain(entry) as file:
                array = np.load(file, allow_pickle=False)
                checksum = file.read()
        except DAMAGE:
            return None
        if not isinstance(array, np.ndarray) or array.dtype != job.dtype or array.ndim != 2:
            return None
        if not len(array) or array.shape[1] != job.width or not _all_finite(array):
            return None
        if checksum != _checksum(array):
            return None
        arrays.append(array)
    return arrays
