"""What every corpus is made of: tracks with labelled segments in three splits, and their spectrograms."""

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np

from svdlib.errors import CorpusError, OutputError
from svdlib.processes import in_processes
from svdlib.progress import progress
from svdlib.storage import remove_leftovers, write_atomically

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
        load: returns the samples, float32 (samples,), 22050 Hz mono. Other processes may be handed it: a function of a
            module, or a `functools.partial` of one, is best.
        stems: returns the parts that the song was mixed from, "voice" and "band", float32 (samples,) each, whose sum
            is what `load` returns; None where nobody knows them.
        seconds: how long the song is; None where that is not known before it is loaded.
    """

    name: str
    split: str
    segments: tuple[Segment, ...]
    fingerprint: str
    load: Callable[[], np.ndarray] = field(repr=False, compare=False)
    stems: Callable[[], dict[str, np.ndarray]] | None = field(default=None, repr=False, compare=False)
    seconds: float | None = field(default=None, repr=False, compare=False)

    def stem(self, name: str) -> "Track":
        """Return the track of one stem, "voice" or "band": the same labels, but only that part is heard.

        Raises:
            CorpusError: the track has no stems.
        """
        if self.stems is None:
            raise CorpusError(f"{self.name} has no stems: only songs of the synthetic corpora come apart again")
        load = partial(_load_stem, self.stems, name)
        return replace(self, name=f"{self.name}.{name}", fingerprint=f"{self.fingerprint}/{name}", load=load)


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


def _load_stem(stems: Callable[[], dict[str, np.ndarray]], name: str) -> np.ndarray:
    return stems()[name]


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


def log_mels(
    tracks: Sequence[Track], *, cache_dir: str | os.PathLike | None = None, processes: int | None = None
) -> list[np.ndarray]:
    """Return the log-mel spectrogram of every track, from the cache where it is there.

    The cache holds one file per track. A damaged file is computed anew; a folder that cannot be written
    to is reported once and done without. Songs that are not in it are computed in several processes where there are
    three or more; the spectrograms are the same, to the last bit, for any number of processes. Each process needs
    memory for itself and for one song.

    Args:
        tracks: the songs wanted.
        cache_dir: the cache; None for the environment variable SVDLIB_CACHE, or else the user's cache folder.
        processes: how many songs to work on at once; 1 works in this process, None takes the environment variable
            SVDLIB_PROCESSES, or else all cores that this process may use.

    Returns:
        One float32 array (frames, 80) per track, in their order: natural-log mel magnitudes, not standardised,
        70 frames/s.

    Raises:
        AudioError: a song cannot be read; of several the first. The songs done before are in the cache.
        ProcessError: `processes` or SVDLIB_PROCESSES is below 1, or the system has ended a process.
    """
    folder = Path(cache_dir) if cache_dir is not None else _default_cache_dir()
    entries = [folder / _cache_name(track) for track in tracks]
    spectrograms: list[np.ndarray] = [np.empty(0)] * len(tracks)
    problem = None
    with closing(_finished(tracks, entries, processes)) as finished:
        bar = progress(finished, description="log-mels", total=len(tracks), unit="song")
        for position, spectrogram, failure in bar:
            spectrograms[position] = spectrogram
            problem = problem or failure
    if problem:
        warnings.warn(f"spectrograms are not cached: {problem} Set SVDLIB_CACHE to name another folder.", stacklevel=2)
    return spectrograms


def _finished(
    tracks: Sequence[Track], entries: Sequence[Path], processes: int | None
) -> Iterator[tuple[int, np.ndarray, str | None]]:
    """Yield position, spectrogram and trouble with the cache of every track: those in the cache first."""
    missing = []
    for position, entry in enumerate(entries):
        spectrogram = _read_cached(entry)
        if spectrogram is None:
            missing.append(position)
        else:
            yield position, spectrogram, None
    computed = in_processes(_compute, [(tracks[position], entries[position]) for position in missing], processes)
    try:
        with closing(computed):
            for place, (spectrogram, failure) in computed:
                yield missing[place], spectrogram, failure
    except BaseException:
        for position in missing:
            remove_leftovers(entries[position])  # of processes that were ended while they wrote
        raise


def _compute(song: tuple[Track, Path]) -> tuple[np.ndarray, str | None]:
    """Compute a track's spectrogram and write it to its place in the cache; say why where that fails.

    The samples stay in the process that runs this: only the spectrogram is handed back.
    """
    from svdlib.audio import LogMel

    track, entry = song
    spectrogram = LogMel()(track.load()).numpy()
    try:
        write_atomically(entry, lambda file: np.save(file, spectrogram, allow_pickle=False))
    except (OutputError, OSError) as error:
        return spectrogram, str(error)
    return spectrogram, None


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
