"""From the tracks of a split to the spectrograms and frame labels that models work on."""

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from svdlib.audio.log_mel import FRONT_END_VERSION, N_BANDS, LogMel
from svdlib.audio.spectra import N_BINS, magnitude_spectra, pack
from svdlib.detector.excerpts import Songs
from svdlib.songs.corpora.base import Track, frame_labels
from svdlib.songs.corpora.cache import Job, compute_once

STEMS = ("voice", "band")


def load_songs(
    tracks: Sequence[Track],
    *,
    stems: bool = False,
    cache_dir: str | os.PathLike | None = None,
    processes: int | None = None,
) -> Songs:
    """Load the log-mels of tracks, and the label of each frame.

    Args:
        tracks: the songs wanted, such as `corpus.split("train")`.
        stems: whether to load voice and band on their own too, if all tracks have them.
        cache_dir: where spectrograms are kept, see `svdlib.songs.corpora.cache.compute_once`.
        processes: how many songs to work on at once, see there; None for all usable cores.

    Raises:
        AudioError: if a song cannot be read; of several the first. The songs done before are in the cache.
        ProcessError: if the number of processes makes no sense, or the system has ended a process.
    """
    apart = stems and all(track.stems for track in tracks)
    jobs = [_log_mel_job(track, stems=apart) for track in tracks]
    found = compute_once(jobs, "log-mels", cache_dir=cache_dir, processes=processes)
    mixes, *parts = ([song[k] for song in found] for k in range(3 if apart else 1))
    labels = [frame_labels(track.segments, len(song)) for track, song in zip(tracks, mixes, strict=True)]
    return Songs(mixes, labels, [track.name for track in tracks], *parts)


def with_spectra(
    songs: Songs,
    tracks: Sequence[Track],
    *,
    cache_dir: str | os.PathLike | None = None,
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
    if not stems:
        sounds = [track.load()]
    else:
        parts = track.stems()
        sounds = [parts["voice"] + parts["band"], *(parts[stem] for stem in STEMS)]
    front_end = LogMel()
    return [front_end(sound).numpy() for sound in sounds]


def _spectra(track: Track) -> list[np.ndarray]:
    return [pack(magnitude_spectra(track.load()))]
