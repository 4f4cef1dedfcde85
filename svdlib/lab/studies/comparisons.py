"""Statements about errors, each with a 95 % interval, from one number per song.

    change_interval(before=of["mp6"], after=of["fc7"])    # "MP6 to FC7: +15 %"
    step_excess(of, "conv2")                              # "the step from Conv2 to MP3 is larger than the mean step"
    unpaired_change_interval(before=own, after=other)     # "the second corpus is worse"

The excerpts of a song resemble each other, so intervals come from drawing whole songs anew, with repetition (a
percentile bootstrap). Values of the same songs are *paired*: every draw takes the same songs for all of them, so that
what makes a song hard for all cancels. Values of different songs are drawn apart.

Percentile intervals are a little too narrow, and the more so the fewer songs there are: `coverage` says how much.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from svdlib.errors import CorpusError

DRAWS = 1000
Values = Sequence[float] | np.ndarray


@dataclass(frozen=True)
class Interval:
    """A number and how far it depends on the songs.

    Attributes:
        value: for the songs as they are.
        low: lower end of the 95 % interval; nan if there is only one song, which says nothing of others.
        high: upper end.
    """

    value: float
    low: float
    high: float

    @property
    def is_known(self) -> bool:
        """Whether there are ends."""
        return bool(np.isfinite([self.low, self.high]).all())

    def lies_above(self, number: float) -> bool:
        """Whether the whole interval does; never, if there is none."""
        return self.low > number

    def lies_below(self, number: float) -> bool:
        """Whether the whole interval does; never, if there is none."""
        return self.high < number

    def __format__(self, spec: str) -> str:
        """Such as "+15% (+12% to +18%)" for the format "+.0%"."""
        ends = f"{self.low:{spec}} to {self.high:{spec}}" if self.is_known else "no interval"
        return f"{self.value:{spec}} ({ends})"


def paired_interval(
    statistic: Callable[..., np.ndarray], *values: Values, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Interval of any statistic of means over the same songs.

    Args:
        statistic: takes one array of means (n,) per argument in `values` and returns (n,).
        values: (songs,) each, in the same order of songs.
        draws: how often songs are drawn.
        seed: of the draws.

    Raises:
        CorpusError: if there is no song, or not the same number everywhere.
    """
    arrays = [_checked(each) for each in values]
    return _interval(statistic, arrays, _means_of_same_songs(arrays, draws, seed))


def unpaired_interval(
    statistic: Callable[..., np.ndarray], *values: Values, draws: int = DRAWS, seed: int = 0
) -> Interval:
    """Interval of any statistic of means over different songs: each mean has draws of its own.

    Args:
        statistic: takes one array of means (n,) per argument in `values` and returns (n,).
        values: (songs,) each, of as many songs as there are.
        draws: how often songs are drawn.
        seed: of the draws.

    Raises:
        CorpusError: if there is no song.
    """
    arrays, generator = [_checked(each) for each in values], np.random.default_rng(seed)
    return _interval(statistic, arrays, [array[_draw(generator, len(array), draws)].mean(axis=1) for array in arrays])


def mean_interval(values: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the mean over songs: the NRE, if `values` are the songs' normalised distances."""
    return paired_interval(_same, values, draws=draws, seed=seed)


def difference_interval(minuend: Values, subtrahend: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the difference of two means over the same songs."""
    return paired_interval(np.subtract, minuend, subtrahend, draws=draws, seed=seed)


def ratio_interval(numerator: Values, denominator: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the ratio of two means over the same songs."""
    return paired_interval(np.divide, numerator, denominator, draws=draws, seed=seed)


def change_interval(before: Values, after: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the relative change of a mean over the same songs: 0.15 for 15 % more."""
    return paired_interval(_change, before, after, draws=draws, seed=seed)


def unpaired_difference_interval(minuend: Values, subtrahend: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the difference of two means over different songs."""
    return unpaired_interval(np.subtract, minuend, subtrahend, draws=draws, seed=seed)


def unpaired_ratio_interval(numerator: Values, denominator: Values, draws: int = DRAWS, seed: int = 0) -> Interval:
    """Of the ratio of two means over different songs."""
    return unpaired_interval(np.divide, numerator, denominator, draws=draws, seed=seed)


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
        CorpusError: if there is no song, or a part has not as many songs as its whole.
    """
    pairs = [[_checked(values) for values in pair] for pair in (before, after)]
    drawn = [_means_of_same_songs(pair, draws, seed + number) for number, pair in enumerate(pairs)]

    def change(a: np.ndarray, b: np.ndarray, c: np.ndarray, d: np.ndarray) -> np.ndarray:
        return (c / d) / (a / b) - 1

    return _interval(change, [*pairs[0], *pairs[1]], [*drawn[0], *drawn[1]])


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
        CorpusError: if no step begins there.
    """
    following = dict(_neighbours(curve))
    if layer not in following:
        raise CorpusError(f"No step begins at {layer!r}. Steps begin at: {', '.join(following)}.")
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
        CorpusError: if there is no song, or not the same number everywhere.
    """
    drawn = _means_of_same_songs([_checked(values) for values in curve.values()], draws, seed)
    return float((np.diff(drawn, axis=0) > 0).all(axis=0).mean())


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


def _same(means: np.ndarray) -> np.ndarray:
    return means


def _change(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    return after / before - 1


def _neighbours(curve: Mapping[str, Values]) -> list[tuple[str, str]]:
    layers = list(curve)
    return list(zip(layers, layers[1:], strict=False))


def _checked(values: Values) -> np.ndarray:
    array = np.asarray(values, dtype=float)
    if array.ndim != 1 or not len(array):
        raise CorpusError(f"Give one number per song, not an array of shape {array.shape}.")
    return array


def _means_of_same_songs(arrays: Sequence[np.ndarray], draws: int, seed: int) -> list[np.ndarray]:
    if len({len(array) for array in arrays}) > 1:
        numbers = ", ".join(str(len(array)) for array in arrays)
        raise CorpusError(f"Paired values are of the same songs, not of {numbers}. Take an unpaired comparison.")
    chosen = _draw(np.random.default_rng(seed), len(arrays[0]), draws)
    return [array[chosen].mean(axis=1) for array in arrays]


def _draw(generator: np.random.Generator, songs: int, draws: int) -> np.ndarray:
    return generator.integers(0, songs, (draws, songs))


def _interval(
    statistic: Callable[..., np.ndarray], arrays: Sequence[np.ndarray], drawn: Sequence[np.ndarray]
) -> Interval:
    (value,) = statistic(*(array.mean(keepdims=True) for array in arrays))
    if min(map(len, arrays)) < 2:
        return Interval(float(value), np.nan, np.nan)
    low, high = np.quantile(statistic(*drawn), [0.025, 0.975])
    return Interval(float(value), float(low), float(high))
