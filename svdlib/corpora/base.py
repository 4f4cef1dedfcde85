"""What every corpus is made of: tracks with labelled segments in three splits, and their spectrograms."""

import hashlib
import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from svdlib.errors import CorpusError, OutputError
from svdlib.progress import progress
from svdlib.storage import write_atomically

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class Segment:
    """A stretch of a song, in seconds, that is sung throughout or not at all."""

    start: float
    end: float
    sing: bool


@dataclass(frozen=True)
class Track:
    """One song: where it belongs, where it is sung, and how to get its samples.

    Attributes:
        name: a name for people, unique in its corpus.
        split: `train`, `valid` or `test`.
        segments: labelled stretches, in order, not overlapping; what they leave out is not sung.
        fingerprint: changes whenever the samples may have changed; the key of cached spectrograms.
        load: returns the samples, float32 (samples,), 22050 Hz mono.
    """

    name: str
    split: str
    segments: tuple[Segment, ...]
    fingerprint: str
    load: Callable[[], np.ndarray] = field(repr=False, compare=False)


@dataclass(frozen=True)
class Corpus:
    """A named set of tracks, each in one of the three splits."""

    name: str
    tracks: tuple[Track, ...]

    def split(self, name: str) -> tuple[Track, ...]:
        """Return the tracks of the split `train`, `valid` or `test`.

        Raises:
            CorpusError: there is no such split, or it has no track.
        """
        if name not in SPLITS:
            raise CorpusError(f"corpus {self.name!r}: no split {name!r}; the splits are {', '.join(SPLITS)}")
        tracks = tuple(track for track in self.tracks if track.split == name)
        if not tracks:
            raise CorpusError(f"corpus {self.name!r}: the split {name!r} has no song; add one to it")
        return tracks


def frame_labels(segments: Sequence[Segment], n_frames: int) -> np.ndarray:
    """Say for every spectrogram frame whether it is sung, as in Schlüter & Grill's code.

    Frame k stands for the time k/70 seconds; a segment covers the frames with start <= time < end.

    Args:
        segments: labelled stretches in seconds.
        n_frames: number of frames of the song's spectrogram.

    Returns:
        bool (n_frames,), True where sung; frames outside all segments are not sung.
    """
    from svdlib.audio import FRAME_RATE

    times = np.arange(n_frames) / FRAME_RATE
    labels = np.zeros(n_frames, dtype=bool)
    for segment in segments:
        first, beyond = np.searchsorted(times, [segment.start, segment.end])
        labels[first:beyond] = segment.sing
    return labels


def log_mels(tracks: Sequence[Track], *, cache_dir: str | os.PathLike | None = None) -> list[np.ndarray]:
    """Return the log-mel spectrogram of every track, from the cache where it is there.

    The cache holds one file per track. A damaged file is computed anew; a folder that cannot be written
    to is reported once and done without.

    Args:
        tracks: the songs wanted.
        cache_dir: the cache; None for the environment variable SVDLIB_CACHE, or else the user's cache folder.

    Returns:
        One float32 array (frames, 80) per track: natural-log mel magnitudes, not standardised, 70 frames/s.

    Raises:
        AudioError: a song cannot be read.
    """
    from svdlib.audio import LogMel

    front_end = LogMel()
    folder = Path(cache_dir) if cache_dir is not None else _default_cache_dir()
    writable = True
    spectrograms = []
    for track in progress(tracks, description="log-mels", unit="song"):
        entry = folder / _cache_name(track)
        spectrogram = _read_cached(entry)
        if spectrogram is None:
            spectrogram = front_end(track.load()).numpy()
            writable = writable and _write_cached(entry, spectrogram)
        spectrograms.append(spectrogram)
    return spectrograms


def _default_cache_dir() -> Path:
    if os.environ.get("SVDLIB_CACHE"):
        return Path(os.environ["SVDLIB_CACHE"])
    try:
        from platformdirs import user_cache_dir
    except ImportError:
        return Path.home() / ".cache" / "svdlib"
    return Path(user_cache_dir("svdlib"))


def _cache_name(track: Track) -> str:
    from svdlib.audio import FRONT_END_VERSION

    key = f"front end {FRONT_END_VERSION}\n{track.fingerprint}"
    return hashlib.sha256(key.encode()).hexdigest()[:32] + ".npy"


def _read_cached(path: Path) -> np.ndarray | None:
    """Read a cached spectrogram; None where it is missing or damaged."""
    from svdlib.audio import N_BANDS

    try:
        spectrogram = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    if not isinstance(spectrogram, np.ndarray) or spectrogram.dtype != np.float32 or spectrogram.ndim != 2:
        return None
    whole = len(spectrogram) and spectrogram.shape[1] == N_BANDS and np.isfinite(spectrogram).all()
    return spectrogram if whole else None


def _write_cached(path: Path, spectrogram: np.ndarray) -> bool:
    """Write a spectrogram to the cache; warn, and return False, where that fails."""
    try:
        write_atomically(path, lambda file: np.save(file, spectrogram, allow_pickle=False))
    except (OutputError, OSError) as error:
        warnings.warn(
            f"spectrograms are not cached: {error} Set SVDLIB_CACHE to name another folder.",
            stacklevel=3,
        )
        return False
    return True
