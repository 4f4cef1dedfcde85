"""Linear-frequency spectra of the tracks of a split, for training as published."""

import hashlib
import os
from collections.abc import Sequence
from contextlib import closing
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from svdlib.audio import FRONT_END_VERSION
from svdlib.corpora.base import Track, _default_cache_dir
from svdlib.errors import OutputError
from svdlib.excerpts import Songs
from svdlib.processes import in_processes
from svdlib.progress import progress
from svdlib.spectra import N_BINS, magnitude_spectra, pack
from svdlib.storage import write_atomically


def with_spectra(
    songs: Songs,
    tracks: Sequence[Track],
    *,
    cache_dir: str | os.PathLike | None = None,
    processes: int | None = None,
) -> Songs:
    """Add the linear-frequency spectra of its tracks to the songs of a split.

    They are kept in the cache beside the log-mels, where they take 4 MB per minute of music.

    Args:
        songs: what `load_songs` returned for the tracks.
        tracks: the same tracks in the same order.
        cache_dir: where spectrograms are kept, see `svdlib.corpora.base.log_mels`.
        processes: how many songs to work on at once, see there.

    Raises:
        AudioError: if a song cannot be read.
        ProcessError: if the number of processes makes no sense, or the system has ended a process.
    """
    folder = Path(cache_dir) if cache_dir is not None else _default_cache_dir()
    spectra: list[np.ndarray] = [np.empty(0)] * len(tracks)
    with closing(in_processes(partial(_read_or_compute, folder), list(tracks), processes)) as finished:
        for position, found in progress(finished, description="spectra", total=len(tracks), unit="song"):
            spectra[position] = found
    return replace(songs, spectra=spectra)


def _read_or_compute(folder: Path, track: Track) -> np.ndarray:
    key = f"magnitudes {FRONT_END_VERSION}\n{track.fingerprint}"
    path = folder / f"{hashlib.sha256(key.encode()).hexdigest()[:32]}.npy"
    try:
        cached = np.load(path, allow_pickle=False)
        if cached.dtype == np.float16 and cached.ndim == 2 and cached.shape[1] == N_BINS:
            return cached
    except (OSError, ValueError, EOFError):
        pass
    packed = pack(magnitude_spectra(track.load()))
    try:
        write_atomically(path, lambda file: np.save(file, packed, allow_pickle=False))
    except (OutputError, OSError):
        pass  # `log_mels`, which has run on the same folder before, has already said so
    return packed
