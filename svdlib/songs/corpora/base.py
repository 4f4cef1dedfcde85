"""What every corpus is made of: tracks with labelled segments in three splits."""

import os
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from svdlib.audio.decoding import DECODER_VERSION
from svdlib.errors import CorpusError

Result = TypeVar("Result")

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
        file: the sound file that holds the song; None where it is made when it is loaded.
    """

    name: str
    split: str
    segments: tuple[Segment, ...]
    fingerprint: str
    load: Callable[[], np.ndarray] = field(repr=False, compare=False)
    stems: Callable[[], dict[str, np.ndarray]] | None = field(default=None, repr=False, compare=False)
    seconds: float | None = field(default=None, repr=False, compare=False)
    file: Path | None = field(default=None, repr=False, compare=False)

    def read(self, take: Callable[[Iterable[np.ndarray]], Result]) -> Result:
        """Hand the samples to a function block by block: a long file is never in memory as a whole.

        Args:
            take: is given blocks, float32 (samples,), 22050 Hz mono; see `svdlib.audio.decoding.Recording.read`.

        Returns:
            What the function returns.

        Raises:
            AudioError: the song cannot be read.
        """
        if self.file is None:
            return take([self.load()])
        from svdlib.audio.files import Recording, read_song

        return read_song(Recording(self.file), take)


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


def normal(name: str) -> str:
    """A name with accents in the composed form of Unicode: systems and archives spell the same name in two ways."""
    return unicodedata.normalize("NFC", name)


def at_home(path: str | os.PathLike[str]) -> Path:
    """A path in which `~` at the beginning stands for a home folder; where there is none, for itself."""
    return Path(os.path.expanduser(path))  # `Path.expanduser` raises an error where there is none


def exactly(seconds: float) -> str:
    """A time for a message, never rounded: two that differ are told apart."""
    short = f"{seconds:g}"
    return short if float(short) == seconds else repr(float(seconds))


def fingerprint_of(song: Path) -> str:
    """What tells a sound file, and how it is decoded, from another one or from itself when it was changed."""
    state = song.stat()
    return f"{song.resolve()} {state.st_size} {state.st_mtime_ns} decoder {DECODER_VERSION}"


def frame_labels(segments: Sequence[Segment], n_frames: int) -> np.ndarray:
    """Say for every spectrogram frame whether it is sung, as in Schlüter & Grill's code.

    Frame k stands for the time k/70 seconds; a segment covers the frames with start <= time < end.

    Args:
        segments: labelled stretches in seconds.
        n_frames: number of frames of the song's spectrogram.

    Returns:
        bool (n_frames,), True where sung; frames outside all segments are not sung.
    """
    from svdlib.audio.mel_axis import FRAME_RATE

    times = np.arange(n_frames) / FRAME_RATE
    labels = np.zeros(n_frames, dtype=bool)
    for segment in segments:
        first, beyond = np.searchsorted(times, [segment.start, segment.end])
        labels[first:beyond] = segment.sing
    return labels
