"""The songs of one split as spectrograms, and how they are loaded."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from svdlib.audio.log_mel import FRONT_END_VERSION, LogMel
from svdlib.audio.mel_axis import N_BANDS
from svdlib.audio.spectra import N_BINS, packed_spectra
from svdlib.errors import CorpusError
from svdlib.songs.corpora.base import Track, frame_labels
from svdlib.songs.corpora.cache import Job, compute_once


@dataclass(frozen=True)
class Songs:
    """The songs of one split, as spectrograms.

    Attributes:
        log_mels: one raw log-mel (frames, 80) per song.
        labels: one boolean array (frames,) per song, true where somebody sings.
        names: one name per song.
        voices: the raw log-mels of what is sung alone, where the corpus has stems, else none.
        bands: likewise, of everything else.
        spectra: linear-frequency magnitudes (frames, 513) per song, packed by `svdlib.audio.spectra.pack`; only the
            training as published needs them.
    """

    log_mels: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    names: Sequence[str]
    voices: Sequence[np.ndarray] = ()
    bands: Sequence[np.ndarray] = ()
    spectra: Sequence[np.ndarray] = ()

    def __post_init__(self) -> None:
        if not len(self.log_mels) == len(self.labels) == len(self.names):
            raise CorpusError(
                f"{len(self.log_mels)} log-mels, {len(self.labels)} label arrays and {len(self.names)} names: "
                "each song needs one of each."
            )
        for name, log_mel, label in zip(self.names, self.log_mels, self.labels, strict=True):
            if log_mel.ndim != 2 or log_mel.shape[1] != N_BANDS:
                raise CorpusError(f"{name} has shape {tuple(log_mel.shape)}; a log-mel is (frames, {N_BANDS}).")
            if len(log_mel) != len(label):
                raise CorpusError(f"{name} has {len(log_mel)} frames and labels for {len(label)}.")
        for parts in (self.log_mels, self.voices, self.bands):
            for name, part in zip(self.names, parts, strict=False):
                if not np.isfinite(part).all():
                    frame = int(np.argmin(np.isfinite(part).all(axis=1)))
                    raise CorpusError(f"{name}: frame {frame} holds NaN or infinity. Leave the song out, or mend it.")
        shapes = [log_mel.shape for log_mel in self.log_mels]
        for stems in (self.voices, self.bands):
            if self.has_stems and [stem.shape for stem in stems] != shapes:
                raise CorpusError("Each song needs a voice and a band of its own shape, or no song has them.")
        if len(self.spectra) and [len(song) for song in self.spectra] != [len(song) for song in self.log_mels]:
            raise CorpusError("Each song needs spectra of as many frames as its log-mel, or no song has them.")

    @property
    def has_stems(self) -> bool:
        """Whether voice and band are there apart from each other."""
        return bool(self.voices or self.bands)


STEMS = ("voice", "band")


def load_songs(
    tracks: Sequence[Track],
    *,
    stems: bool = False,
    cache_dir: str | os.PathLike[str] | None = None,
    processes: int | None = None,
    keep: bool = False,
) -> Songs:
    """Load the log-mels of tracks, and the label of each frame.

    Args:
        tracks: the songs wanted, such as `corpus.split("train")`.
        stems: whether to load voice and band on their own too, if all tracks have them.
        cache_dir: where spectrograms are kept, see `svdlib.songs.corpora.cache.compute_once`.
        processes: how many songs to work on at once, see there; None for all usable cores.
        keep: whether spectrograms that cannot be kept are an error, see there.

    Raises:
        CorpusError: if these are no tracks.
        AudioError: if a song cannot be read; of several the first. The songs done before are in the cache.
        OutputError: if the spectrograms are to be kept and cannot be.
        ProcessError: if the number of processes makes no sense, or the system has ended a process.
    """
    _check_tracks(tracks)
    apart = stems and all(track.stems for track in tracks)
    jobs = [_log_mel_job(track, stems=apart) for track in tracks]
    found = compute_once(jobs, "log-mels", cache_dir=cache_dir, processes=processes, keep=keep)
    mixes, *parts = ([song[k] for song in found] for k in range(3 if apart else 1))
    labels = [frame_labels(track.segments, len(song)) for track, song in zip(tracks, mixes, strict=True)]
    return Songs(mixes, labels, [track.name for track in tracks], *parts)


def _check_tracks(tracks: object) -> None:
    if isinstance(tracks, Sequence) and all(isinstance(each, Track) for each in tracks):
        return
    raise CorpusError(
        f"Songs are loaded from the tracks of a corpus, not from a value of type {type(tracks).__name__}. Give "
        'svdlib.open_corpus("folder:my_songs").tracks, or one of its parts, .split("test").'
    )


def with_spectra(
    songs: Songs,
    tracks: Sequence[Track],
    *,
    cache_dir: str | os.PathLike[str] | None = None,
    processes: int | None = None,
) -> Songs:
    """Add the linear-frequency spectra of its tracks to the songs of a split, for training as published.

    They are kept in the cache beside the log-mels, where they take 4 MB per minute of music.

    Args:
        songs: what `load_songs` returned for the tracks.
        tracks: the same tracks in the same order.
        cache_dir: where spectra are kept, see `svdlib.songs.corpora.cache.compute_once`.
        processes: how many songs to work on at once, see there.

    Raises:
        AudioError: if a song cannot be read.
        ProcessError: if the number of processes makes no sense, or the system has ended a process.
    """
    keys = [f"magnitudes {FRONT_END_VERSION}\n{track.fingerprint}" for track in tracks]
    jobs = [Job((key,), partial(_spectra, track), np.float16, N_BINS) for key, track in zip(keys, tracks, strict=True)]
    found = compute_once(jobs, "spectra", cache_dir=cache_dir, processes=processes)
    return replace(songs, spectra=[spectra for (spectra,) in found])


def _log_mel_job(track: Track, stems: bool) -> Job:
    key = f"front end {FRONT_END_VERSION}\n{track.fingerprint}"
    keys = (key, *(f"{key}/{stem}" for stem in STEMS)) if stems else (key,)
    return Job(keys, partial(_log_mels, track, stems), np.float32, N_BANDS)


def _log_mels(track: Track, stems: bool) -> list[np.ndarray]:
    """The log-mel of a song, and then those of its stems, from one rendering."""
    front_end = LogMel()
    if not stems:
        return [track.read(front_end.of_blocks).numpy()]
    assert track.stems is not None  # `load_songs` asks for stems only if all tracks have them
    parts = track.stems()
    sounds = [parts["voice"] + parts["band"], *(parts[stem] for stem in STEMS)]
    return [front_end(sound).numpy() for sound in sounds]


def _spectra(track: Track) -> list[np.ndarray]:
    return [track.read(packed_spectra)]
