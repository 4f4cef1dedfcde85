"""Statements with 95 % intervals over songs: means, differences, changes, steps between layers, separations.

    change_interval(before=of["mp6"], after=of["fc7"])    # "MP6 to FC7: +15 %"
    step_excess(of, "conv2")                              # "the step from Conv2 to MP3 is larger than the mean step"
    unpaired_change_interval(before=own, after=other)     # "the second corpus is worse"

The excerpts and frames of a song resemble each other, so intervals come from drawing whole songs anew, with repetition
(see `svdlib.compute.bootstrap`). Values of the same songs are *paired*: every draw takes the same songs for all of
them, so that what makes a song hard for all cancels. Values of different songs are drawn apart. Songs that lack a
number are left out.

Percentile intervals are a little too narrow, and the more so the fewer songs there are: `coverage` says how much.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from svdlib.compute.bootstrap import DRAWS, bootstrap, middle, times_drawn
from svdlib.errors import InputError
from svdlib.inversion.nre import drawn_nre
from svdlib.lab.analysis.song_counts import SCORES, SongCounts, count_songs, pooled_scores

Values = Sequence[float | None] | np.ndarray
"""A number per song (songs,); None and nan where a song has none."""

Statistic = Callable[..., np.ndarray]
"""Takes one array of numbers (n,) for each argument that it is named for, and returns (n,)."""


@dataclass(frozen=True)
class Interval:
    """A number and how far it depends on the songs.

    Attributes:
        value: for the songs as they are; nan where it is not defined.
        low: lower end of the 95 % interval; nan if there is only one song, which says nothing of others.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @property
    def ends(self) -> tuple[float, float]:
        """Lower and upper end."""
        return self.low, self.high

    @property
    def is_known(self) -> bool:
        """Whether there are ends."""
        return bool(np.isfinite(self.ends).all())

    def lies_above(self, number: float) -> bool:
        """Whether the whole interval does; never, if there is none."""
        return self.low > number

    def lies_below(self, number: float) -> bool:
        """Whether the whole interval does; never, if there is none."""
        return self.high < number

    def __format__(self, spec: str) -> str:
        """Such as "+15% (+12% to +18%)" for the format "+.0%"; what rounds to nothing has no minus sign."""
        spec = spec if "z" in spec else spec.replace(".", "z.", 1)
        ends = f"{self.low:{spec}} to {self.high:{spec}}" if self.is_known else "no interval"
        return f"{self.value:{spec}} ({ends})"


# --- means over songs ----------------------------------------------------------------------------------------------


def paired_interval(statistic: Statistic, *values: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Interval of any statistic of means over the same songs.

    Args:
        statistic: takes one array of means per argument in `values`.
        values: (songs,) each, in the same order of songs; a song that lacks one of its numbers is left out.
        draws: how often songs are drawn.
        seed: of the draws.

    Raises:
        InputError: if there is no song, or not the same number everywhere.
    """
    return _interval(statistic, [_same_songs(values)], draws, seed)


def unpaired_interval(statistic: Statistic, *values: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Interval of any statistic of means over different songs: each mean has draws of its own.

    Args:
        statistic: takes one array of means per argument in `values`.
        values: (songs,) each, of as many songs as there are.
        draws: how often songs are drawn.
        seed: of the draws.

    Raises:
        InputError: if there is no song.
    """
    return _interval(statistic, [_same_songs([each]) for each in values], draws, seed)


def mean_interval(values: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the mean over songs."""
    return paired_interval(_same, values, draws=draws, seed=seed)


def nre_interval(
    values: Sequence[float] | np.ndarray, between: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Of the NRE of one set of songs, whose distances to each other are the yardstick: both are drawn anew.

    Where two errors of the same songs are compared by a ratio, or by which is larger, the yardstick cancels.

    Args:
        values: normalised distances of the songs (songs,), whose mean is the NRE.
        between: distances between songs (songs, songs), from `svdlib.inversion.nre.distances_between`.
        draws: how often songs are drawn.
        seed: of the draws.

    Returns:
        The interval; without ends if there are under three songs.
    """
    shares = np.asarray(values, dtype=float)
    return Interval(float(shares.mean()), *map(float, middle(drawn_nre(shares, between, draws, seed))))


def unpaired_nre_change_interval(
    before: tuple[np.ndarray, np.ndarray], after: tuple[np.ndarray, np.ndarray], draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Of the relative change of the NRE from one set of songs to another, each with a yardstick of its own.

    Args:
        before: values and distances between songs, see `nre_interval`.
        after: likewise, of other songs.
        draws: how often songs are drawn.
        seed: of the draws.
    """
    value = float(_change(*(values.mean() for values, _ in (before, after))))
    drawn = (drawn_nre(*each, draws, seed + number) for number, each in enumerate((before, after)))
    return Interval(value, *map(float, middle(_change(*drawn))))


def difference_interval(minuend: Values, subtrahend: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the difference of two means over the same songs."""
    return paired_interval(np.subtract, minuend, subtrahend, draws=draws, seed=seed)


def change_interval(before: Values, after: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the relative change of a mean over the same songs: 0.15 for 15 % more."""
    return paired_interval(_change, before, after, draws=draws, seed=seed)


def unpaired_difference_interval(minuend: Values, subtrahend: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the difference of two means over different songs."""
    return unpaired_interval(np.subtract, minuend, subtrahend, draws=draws, seed=seed)


def unpaired_change_interval(before: Values, after: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the relative change from one set of songs to another."""
    return unpaired_interval(_change, before, after, draws=draws, seed=seed)


def unpaired_share_change_interval(
    before: tuple[Values, Values], after: tuple[Values, Values], draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Of the relative change of a share from one set of songs to another, such as of the mean predictor's error.

    Args:
        before: part and whole of the share, (songs,) each, of the same songs.
        after: likewise, of other songs.
        draws: how often songs are drawn; a draw takes the same songs for part and whole.
        seed: of the draws.

    Raises:
        InputError: if there is no song, or a part has not as many songs as its whole.
    """
    pairs = [_same_songs(pair) for pair in (before, after)]
    value = _change(*(part.mean() / whole.mean() for part, whole in pairs))
    if min(pair.shape[1] for pair in pairs) < 2:
        return Interval(float(value), np.nan, np.nan)
    # A seed for each: the numbers in the book were drawn so.
    low, high = middle(_change(*(_drawn_shares(pair, draws, seed + number) for number, pair in enumerate(pairs))))
    return Interval(float(value), float(low), float(high))


def _drawn_shares(pair: np.ndarray, draws: int, seed: int) -> np.ndarray:
    part, whole = pair

    def share(songs: np.ndarray) -> np.ndarray:
        return part[songs].mean(axis=-1) / whole[songs].mean(axis=-1)

    return bootstrap(share, len(part), draws=draws, seed=seed).drawn


# --- curves over layers --------------------------------------------------------------------------------------------


def step_intervals(curve: Mapping[str, Values], draws: int = DRAWS, seed: int = 0) -> dict[tuple[str, str], Interval]:
    """Of each step from a layer to the next one.

    Args:
        curve: per layer, in order, (songs,).
        draws: how often songs are drawn.
        seed: of the draws.

    Returns:
        Per pair of neighbours, mean of the second less mean of the first.
    """
    return {
        (one, other): difference_interval(curve[other], curve[one], draws, seed) for one, other in _neighbours(curve)
    }


def step_excess(curve: Mapping[str, Values], layer: str, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of how much larger the step from `layer` to the next one is than the mean step of the curve.

    Args:
        curve: per layer, in order, (songs,).
        layer: where the step begins.
        draws: how often songs are drawn.
        seed: of the draws.

    Raises:
        InputError: if no step begins there.
    """
    following = dict(_neighbours(curve))
    if layer not in following:
        raise InputError(f"No step begins at {layer!r}. Steps begin at: {', '.join(following)}.")
    ends = [curve[name] for name in (layer, following[layer], *(list(curve)[place] for place in (0, -1)))]

    def excess(a: np.ndarray, b: np.ndarray, first: np.ndarray, last: np.ndarray) -> np.ndarray:
        return (b - a) - (last - first) / len(following)

    return paired_interval(excess, *ends, draws=draws, seed=seed)


def growing_share(curve: Mapping[str, Values], draws: int = DRAWS, seed: int = 0) -> float:
    """Share of the draws of songs in which the mean grows at every step of the curve.

    Args:
        curve: per layer, in order, (songs,).
        draws: how often songs are drawn.
        seed: of the draws.

    Raises:
        InputError: if there is no song, or not the same number everywhere.
    """
    layers = _same_songs(list(curve.values()))
    means = bootstrap(lambda songs: layers[:, songs].mean(axis=-1), layers.shape[1], draws=draws, seed=seed).drawn
    return float((np.diff(means, axis=0) > 0).all(axis=0).mean())


def coverage(songs: int, simulations: int = 1000, draws: int = 500, seed: int = 0) -> float:
    """How often the interval of a mean holds the true mean, when the songs' values are normally distributed.

    Args:
        songs: how many songs each simulated study has, at least two.
        simulations: how many studies.
        draws: how often songs are drawn in each.
        seed: of everything.

    Returns:
        A share: 0.95 if the intervals are as good as they say.
    """
    generator = np.random.default_rng(seed)
    hits = 0
    for _ in range(simulations):
        found = mean_interval(generator.normal(size=songs), draws, int(generator.integers(2**31)))
        hits += found.low <= 0 <= found.high
    return hits / simulations


# --- excerpts and frames of songs ----------------------------------------------------------------------------------


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


def separation_interval(
    statistic: Statistic, *values: np.ndarray, truth: np.ndarray, songs: np.ndarray, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Interval of any statistic of how well numbers tell two classes of excerpts apart, over all songs together.

    Args:
        statistic: takes, for each argument in `values`, areas under the ROC curve: the probability that an excerpt of
            the class has a larger value than one of the rest; 0.5 is no separation.
        values: a number per excerpt (excerpts,) each.
        truth: the class of each excerpt, boolean (excerpts,).
        songs: index of the song of each (excerpts,).
        draws: how often songs are drawn.
        seed: of the draws.

    Returns:
        The interval; nan if there is only one class. It has no ends if a class lies in one song: that one is in every
        draw that can be scored, and how much such songs differ is not known.
    """
    members = [songs == song for song in np.unique(songs)]
    counted = [count_songs([each[of] for of in members], [truth[of] for of in members], 0.0) for each in values]

    def found(weights: np.ndarray) -> np.ndarray:
        return statistic(*(pooled_scores(counts, weights)["auc"] for counts in counted))

    return _weighted_interval(found, len(members), draws, seed, counted[0].of_rarer_class)


def separation(values: np.ndarray, truth: np.ndarray, songs: np.ndarray, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the area under the ROC curve of one number; for the arguments see `separation_interval`."""
    return separation_interval(_same, values, truth=truth, songs=songs, draws=draws, seed=seed)


def pooled_intervals(counts: SongCounts, draws: int = DRAWS, seed: int = 0) -> dict[str, Interval]:
    """Of each detector score in `SCORES`, over all frames of many songs.

    An area under the curve has no ends if a class lies in one song, nor has the mean of the songs' areas if only one
    has both: see `separation_interval`.

    Args:
        counts: from `svdlib.lab.analysis.song_counts.count_songs`.
        draws: how often songs are drawn.
        seed: of the draws.
    """
    needed = {"auc": counts.of_rarer_class, "mean_song_auc": int(np.isfinite(counts.aucs).sum())}

    def of(score: str) -> Interval:
        songs = len(counts.sung)
        varied = needed.get(score, songs)
        return _weighted_interval(lambda weights: pooled_scores(counts, weights)[score], songs, draws, seed, varied)

    return {score: of(score) for score in SCORES}


# --- the draws -----------------------------------------------------------------------------------------------------


def _interval(statistic: Statistic, samples: Sequence[np.ndarray], draws: int, seed: int) -> Interval:
    """Of a statistic of the means of all rows of samples (rows, songs), which are drawn apart from each other."""

    def means(*chosen: np.ndarray) -> list[np.ndarray]:
        return [row[songs].mean(axis=-1) for sample, songs in zip(samples, chosen, strict=True) for row in sample]

    sizes = [sample.shape[1] for sample in samples]
    if not all(sizes):
        return Interval(np.nan, np.nan, np.nan)
    (value,) = statistic(*means(*(np.arange(size)[None] for size in sizes)))
    found = bootstrap(lambda *chosen: statistic(*means(*chosen)), *sizes, draws=draws, seed=seed)
    return Interval(float(value), float(found.low), float(found.high))


def _weighted_interval(
    statistic: Callable[[np.ndarray], np.ndarray], songs: int, draws: int, seed: int, varied: int
) -> Interval:
    """Of a statistic that takes how often each song is there (draws, songs); without ends if only one varies."""

    def weighted(chosen: np.ndarray) -> np.ndarray:
        return statistic(times_drawn(chosen, songs))

    (value,) = weighted(np.arange(songs)[None])
    if varied < 2:
        return Interval(float(value), np.nan, np.nan)
    found = bootstrap(weighted, songs, draws=draws, seed=seed)
    return Interval(float(value), float(found.low), float(found.high))


def _same_songs(values: Sequence[Values]) -> np.ndarray:
    """Numbers of the same songs as an array (rows, songs), without the songs that lack one."""
    rows = [np.asarray(each, dtype=float) for each in values]
    for row in rows:
        if row.ndim != 1 or not len(row):
            raise InputError(f"Give one number per song, not an array of shape {row.shape}.")
    if len({len(row) for row in rows}) > 1:
        numbers = ", ".join(str(len(row)) for row in rows)
        raise InputError(f"Paired values are of the same songs, not of {numbers}. Take an unpaired comparison.")
    array = np.stack(rows)
    return array[:, np.isfinite(array).all(axis=0)]


def _same(means: np.ndarray) -> np.ndarray:
    return means


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return after / before - 1


def _neighbours(curve: Mapping[str, Values]) -> list[tuple[str, str]]:
    layers = list(curve)
    return list(zip(layers, layers[1:], strict=False))
