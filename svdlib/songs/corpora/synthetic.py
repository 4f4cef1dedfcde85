"""The synthetic corpora: songs made by procedure, rendered when they are loaded, with labels from their scores."""

import math
from functools import partial

import numpy as np

from svdlib.errors import CorpusError, quoted
from svdlib.songs.corpora.base import SPLITS, Corpus, Segment, Track

SHARES = (61, 16, 16)  # train, valid, test: the sizes of the Jamendo corpus
SHORTEST, LONGEST = 5.0, 3600.0  # seconds
MOST_SONGS = 100_000


def open_synthetic(
    songs: int = 93, seconds: float = 60.0, seed: int = 0, genre: str | None = None, *, world: str = "synthetic"
) -> Corpus:
    """Open a corpus of songs made by procedure; nothing is downloaded and nothing is read from disk.

    Args:
        songs: how many songs, 3 to 100000.
        seconds: length of each song, 5 to 3600.
        seed: 0 or more; other seeds give other songs.
        genre: only songs of this one, a key of the world's genres; all genres in turn if None. Song k of a genre is the
            k-th of that genre in a corpus of all.
        world: `synthetic`, `synthetic-b` or `synthetic-c`, each with its own singers, instruments, genres and mixes.

    Returns:
        The corpus, split 61:16:16, every genre in every split as far as the number of songs allows.

    Raises:
        CorpusError: a parameter is out of range.
    """
    check_parameters(songs, seconds, seed)
    from svdlib.songs.synthesis import WORLDS

    if world not in WORLDS:
        raise CorpusError(f"there is no synthetic corpus {world!r}: there are {', '.join(WORLDS)}")
    genres = list(WORLDS[world].genres)
    if genre is None:
        indices, splits = range(songs), assign_splits(songs, len(genres))
    elif genre in genres:
        first = genres.index(genre)
        indices, splits = range(first, first + songs * len(genres), len(genres)), assign_splits(songs, 1)
    else:
        raise CorpusError(f"{world} has no genre {quoted(genre)}: it has {', '.join(genres)}")
    described = (
        describe_song(index, seed, float(seconds), split, world) for index, split in zip(indices, splits, strict=True)
    )
    return Corpus(world, tuple(described))


def check_parameters(songs: int, seconds: float, seed: int) -> None:
    """Raise CorpusError where a corpus of these parameters can't be made."""
    if songs < len(SPLITS):
        raise CorpusError(f"songs={songs} is too few for train, valid and test: ask for songs=3 or more")
    if songs > MOST_SONGS:
        raise CorpusError(f"songs={quoted(songs)} is too many: ask for songs={MOST_SONGS} or fewer")
    if not math.isfinite(seconds) or seconds < SHORTEST:
        raise CorpusError(f"seconds={seconds:g} is no length for a song: ask for seconds=5 or more")
    if seconds > LONGEST:
        raise CorpusError(f"seconds={seconds:g} is too long for a song: ask for seconds={LONGEST:g} or less")
    if seed < 0:
        raise CorpusError(f"seed={seed} is negative: give a whole number of 0 or more")


def describe_song(index: int, seed: int, seconds: float, split: str, world: str) -> Track:
    """The track of one song: composed for its labels, rendered only when it is loaded."""
    from svdlib.songs.synthesis import GENERATOR_VERSION, plan_song

    plan = plan_song(index, seed=seed, seconds=seconds, world=world)
    return Track(
        name=f"{world}-{seed}-{index:05d}",
        split=split,
        segments=tuple(Segment(start, end, True) for start, end in plan.segments),
        fingerprint=f"{world}-v{GENERATOR_VERSION}-{seed}-{index}-{seconds!r}",
        load=partial(load_samples, index, seed, seconds, world),
        stems=partial(load_stems, index, seed, seconds, world),
    )


def load_samples(index: int, seed: int, seconds: float, world: str) -> np.ndarray:
    """Render one song: float32 (samples,) at 22050 Hz. A function of the module, so that processes can be handed it."""
    from svdlib.songs.synthesis import render_song

    return render_song(index, seed=seed, seconds=seconds, world=world).samples


def load_stems(index: int, seed: int, seconds: float, world: str) -> dict[str, np.ndarray]:
    """Render one song in parts: "voice" and "band", float32 (samples,) each; their sum is the song."""
    from svdlib.songs.synthesis import render_song

    song = render_song(index, seed=seed, seconds=seconds, world=world)
    return {"voice": song.voice, "band": song.band}


def split_sizes(songs: int) -> list[int]:
    """Share `songs` among the splits as 61:16:16 by largest remainder, at least one each."""
    exact = [songs * share / sum(SHARES) for share in SHARES]
    sizes = [max(1, math.floor(size)) for size in exact]
    while sum(sizes) < songs:
        sizes[max(range(len(sizes)), key=lambda k: exact[k] - sizes[k])] += 1
    while sum(sizes) > songs:
        sizes[max(range(len(sizes)), key=lambda k: sizes[k])] -= 1
    return sizes


def assign_splits(songs: int, genres: int) -> list[str]:
    """The split of every song, genre by genre in turn, so that each split gets every genre where its size allows.

    Args:
        songs: number of songs; song i has genre i modulo `genres`.
        genres: number of genres.

    Returns:
        One of "train", "valid", "test" for each song.
    """
    sizes, given = split_sizes(songs), [0] * len(SPLITS)
    splits = [""] * songs
    by_genre = sorted(range(songs), key=lambda index: (index % genres, index))
    for done, index in enumerate(by_genre, start=1):
        behind = [size * done / songs - count for size, count in zip(sizes, given, strict=True)]
        chosen = max(range(len(SPLITS)), key=lambda k: behind[k])
        given[chosen] += 1
        splits[index] = SPLITS[chosen]
    return splits
