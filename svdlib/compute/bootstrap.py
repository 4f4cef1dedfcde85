"""How far a number depends on who happened to be in the sample: the bootstrap, in one place.

As many members as there are get drawn, with repetition, many times; where the middle 95 % of the results lie is the
interval (percentile method). What is a member is for the caller to say: here it is mostly a song.
"""

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

DRAWS = 1000
ENDS = (0.025, 0.975)
"""Shares of the draws that lie below the ends of an interval."""


@dataclass(frozen=True)
class Bootstrap:
    """What became of a statistic in all draws.

    Attributes:
        low: lower end of the 95 % interval (...,); nan if a sample has only one member, which says nothing of others.
        high: upper end (...,).
        drawn: the statistic of each draw (..., draws); nan where it is not defined.
    """

    low: np.ndarray
    high: np.ndarray
    drawn: np.ndarray


def bootstrap(statistic: Callable[..., np.ndarray], *sizes: int, draws: int = DRAWS, seed: int = 0) -> Bootstrap:
    """Draw the members of samples anew, and see what becomes of a statistic.

    Whatever shares a sample is paired: a draw takes the same members for all that the statistic reads of it. Samples
    are drawn apart from each other.

    Args:
        statistic: takes, for each sample, the indices of the members that are drawn from it (draws, size), and returns
            numbers (..., draws); nan where it is not defined for a draw, which is then left out of the interval.
        sizes: how many members each sample has.
        draws: how often.
        seed: of the draws.
    """
    members = [np.arange(size) for size in sizes]
    if min(sizes) < 2:
        value = statistic(*(each[None] for each in members))
        unknown = np.full(value.shape[:-1], np.nan)
        return Bootstrap(unknown, unknown, np.repeat(value, draws, axis=-1))
    from scipy.stats import bootstrap as resample  # here, since machines that train need not have scipy

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of draws without a number
        drawn = resample(
            members,
            lambda *chosen, axis: statistic(*chosen),
            n_resamples=draws,
            method="percentile",
            vectorized=True,
            random_state=np.random.default_rng(seed),
        ).bootstrap_distribution
    return Bootstrap(*middle(drawn), drawn)


def times_drawn(drawn: np.ndarray, size: int) -> np.ndarray:
    """How often each member of a sample is in each draw (draws, size), from the members drawn (draws, any)."""
    return np.stack([np.bincount(each, minlength=size) for each in drawn])


def middle(drawn: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the middle 95 % of drawn numbers (..., draws) lie: lower and upper end (...,); nan is left out.

    SciPy's own ends would be nan as soon as one draw has no number.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # where no draw has a number
        low, high = np.nanquantile(drawn, ENDS, axis=-1)
    return low, high
