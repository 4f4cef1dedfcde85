"""Means and separations over excerpts of many songs, with intervals from drawing whole songs anew.

Excerpts of a song resemble each other, so songs, not excerpts, are what is drawn, with repetition (a bootstrap).
"""

from dataclasses import dataclass

import numpy as np

from svdlib.lab.studies.bootstrap import count_songs

DRAWS = 1000


@dataclass(frozen=True)
class Estimate:
    """A number with the 95 % interval that resampling songs gives it; nan where it is not defined.

    Attributes:
        value: from the songs as they are.
        ci95: lower and upper end; nan if there is only one song.
        drawn: the same number of each resampling (draws,).
    """

    value: float
    ci95: tuple[float, float]
    drawn: np.ndarray

    def __sub__(self, other: "Estimate") -> "Estimate":
        """How much more this is than another number of the same songs: what varies with both cancels."""
        return _estimate(self.value - other.value, self.drawn - other.drawn)


def song_means(values: np.ndarray, songs: np.ndarray, count: int) -> np.ndarray:
    """Mean of each song.

    Args:
        values: a number per excerpt (excerpts,); nan where it is not defined.
        songs: index of the song of each (excerpts,).
        count: how many songs there are.

    Returns:
        (count,); nan for a song without a number.
    """
    known = np.isfinite(values)
    totals = np.bincount(songs[known], values[known], minlength=count)
    counts = np.bincount(songs[known], minlength=count)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)


def mean_over_songs(per_song: np.ndarray, seed: int = 0) -> Estimate:
    """Mean over songs that each count the same.

    Args:
        per_song: a number per song (songs,); songs without one, nan, are left out.
        seed: of the resampling; two means of the same songs and seed can be subtracted.
    """
    per_song = np.asarray(per_song, dtype=float)
    known = np.isfinite(per_song)
    weights = _weights(len(per_song), seed)
    counts = weights @ known
    drawn = np.where(counts > 0, weights @ np.where(known, per_song, 0) / np.maximum(counts, 1), np.nan)
    return _estimate(float(per_song[known].mean()) if known.any() else np.nan, drawn)


def separation(values: np.ndarray, truth: np.ndarray, songs: np.ndarray, seed: int = 0) -> Estimate:
    """How well a number tells two classes of excerpts apart, over all songs together.

    Args:
        values: a number per excerpt (excerpts,).
        truth: the class of each, boolean (excerpts,).
        songs: index of the song of each (excerpts,).
        seed: of the resampling; two separations of the same songs and seed can be subtracted.

    Returns:
        Area under the ROC curve: the probability that an excerpt of the class has a larger value than one of the rest;
        0.5 is no separation. nan if there is only one class.
    """
    members = [songs == song for song in np.unique(songs)]
    counts = count_songs([values[each] for each in members], [truth[each] for each in members], 0.0)
    weights = np.concatenate([np.ones((1, len(members))), _weights(len(members), seed)])
    pairs = (weights @ counts.sung) * (weights @ counts.unsung)
    wins = ((weights @ counts.wins) * weights).sum(axis=1)
    areas = np.where(pairs > 0, wins / np.maximum(pairs, 1), np.nan)
    return _estimate(float(areas[0]), areas[1:])


def _weights(songs: int, seed: int) -> np.ndarray:
    """How often each song is in each resampling (draws, songs)."""
    return np.random.default_rng(seed).multinomial(songs, np.full(songs, 1 / songs), size=DRAWS).astype(float)


def _estimate(value: float, drawn: np.ndarray) -> Estimate:
    known = drawn[np.isfinite(drawn)]
    # Resamplings of a single song are all the same and would feign certainty.
    if not len(known) or np.ptp(known) == 0:
        return Estimate(value, (np.nan, np.nan), drawn)
    low, high = np.quantile(known, [0.025, 0.975])
    return Estimate(value, (float(low), float(high)), drawn)
