"""Arrays that are computed from songs once, in several processes, and kept as files."""

import hashlib
import os
import warnings
from collections.abc import Callable, Generator, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from svdlib.compute.processes import in_processes
from svdlib.compute.progress import progress
from svdlib.compute.storage import remove_leftovers, write_atomically
from svdlib.errors import OutputError


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
) -> list[list[np.ndarray]]:
    """Return the arrays of every job, from the cache where they are all there.

    The cache holds one file per array. A damaged file is computed anew; a folder that cannot be written to is reported
    once and done without. Jobs are done in several processes where three or more are not in the cache; the arrays are
    the same, to the last bit, for any number of processes. Each process needs memory for itself and for one song.

    Args:
        jobs: what is wanted.
        description: for the progress bar.
        cache_dir: the cache; None for the environment variable SVDLIB_CACHE, or else the user's cache folder.
        processes: how many jobs to do at once; 1 works in this process, None takes the environment variable
            SVDLIB_PROCESSES, or else all cores that this process may use.

    Returns:
        One list of arrays per job, in their order.

    Raises:
        AudioError: a song cannot be read; of several the first. The songs done before are in the cache.
        ProcessError: `processes` or SVDLIB_PROCESSES is below 1, or the system has ended a process.
    """
    folder = Path(cache_dir) if cache_dir is not None else default_cache_dir()
    arrays: list[list[np.ndarray]] = [[] for _ in jobs]
    problem = None
    with closing(_finished(jobs, folder, processes)) as finished:
        for position, found, failure in progress(finished, description=description, total=len(jobs), unit="song"):
            arrays[position] = found
            problem = problem or failure
    if problem:
        warnings.warn(f"{description} are not cached: {problem} Set SVDLIB_CACHE to name another folder.", stacklevel=3)
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
    computed = in_processes(_compute, [(jobs[position], folder) for position in missing], processes)
    try:
        with closing(computed):
            for place, (found, failure) in computed:
                yield missing[place], found, failure
    except BaseException:
        for position in missing:
            for entry in _entries(jobs[position], folder):
                remove_leftovers(entry)  # of processes that were ended while they wrote
        raise


def _compute(work: tuple[Job, Path]) -> tuple[list[np.ndarray], str | None]:
    """Compute the arrays of a job and write them to their places in the cache; say why where that fails.

    The samples stay in the process that runs this: only the arrays are handed back.
    """
    job, folder = work
    arrays = list(job.compute())
    try:
        for entry, array in zip(_entries(job, folder), arrays, strict=True):
            write_atomically(entry, partial(np.save, arr=array, allow_pickle=False))
    except (OutputError, OSError) as error:
        return arrays, str(error)
    return arrays, None


def _entries(job: Job, folder: Path) -> list[Path]:
    # A key tells where the song lies, and names on a disk may be of any bytes.
    digests = [hashlib.sha256(key.encode(errors="surrogateescape")).hexdigest() for key in job.keys]
    return [folder / f"{digest[:32]}.npy" for digest in digests]


def _read(job: Job, folder: Path) -> list[np.ndarray] | None:
    """Read the arrays of a job; None where one is missing or damaged."""
    arrays = []
    for entry in _entries(job, folder):
        try:
            array = np.load(entry, allow_pickle=False)
        except (OSError, ValueError, EOFError):
            return None
        if not isinstance(array, np.ndarray) or array.dtype != job.dtype or array.ndim != 2:
            return None
        if not len(array) or array.shape[1] != job.width or not np.isfinite(array).all():
            return None
        arrays.append(array)
    return arrays
