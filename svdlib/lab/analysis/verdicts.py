"""What a claim of the paper is, how a number with its interval judges it, and what came of it: a line of a ledger.

The claims themselves, and their numbers, are in `svdlib.lab.studies.claims`.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

from svdlib.lab.analysis.intervals import Interval

OWN, SECOND, REAL = "synthetic", "synthetic-c", "folder"
CORPORA = {OWN: "synthetic test songs", SECOND: "synthetic-c", REAL: "real songs"}
"""The corpora by the kind that their names begin with: that of the training songs; another one; somebody's own."""

Results = Mapping[str, Mapping[str, Any]]
"""By the name of a study, what it stored."""

Measure = Callable[[Results, str, str], Interval | None]
"""From results, a corpus and a family of inverters to a number; None where it was not measured."""

VERDICTS = REPRODUCED, DIFFERS, NOT_REPRODUCED, UNDECIDED = "reproduced", "differs", "not reproduced", "undecided"
"""The interval lies where the claim wants it; where the claim's direction holds, but not its size; outside of both; or
it crosses a bound, so that other songs could have decided otherwise."""


@dataclass(frozen=True)
class Bounds:
    """Where a number must lie.

    Attributes:
        low: not below this.
        high: not above this.
    """

    low: float = -math.inf
    high: float = math.inf

    def hold(self, interval: Interval) -> bool:
        """Whether the whole interval lies inside."""
        return self.low <= interval.low and interval.high <= self.high

    def exclude(self, interval: Interval) -> bool:
        """Whether the whole interval lies outside."""
        return interval.high < self.low or interval.low > self.high

    def in_words(self, unit: str) -> str:
        """Such as "above 0%" or "from +7.5% to +22.5%", numbers written in the format `unit`, 0 without a sign."""
        low, high = (f"{end:{unit}}".lstrip("" if end else "+") for end in (self.low, self.high))
        if math.isinf(self.high):
            return f"above {low}"
        if math.isinf(self.low):
            return f"below {high}"
        return f"from {low} to {high}"


def judge(interval: Interval, agrees: Bounds, direction: Bounds) -> str:
    """The verdict on a number; undecided if it has no interval.

    Args:
        interval: the number with its interval.
        agrees: where it lies if the claim is reproduced.
        direction: where it lies if the claim holds in direction; contains `agrees`.
    """
    if not interval.is_known:
        return UNDECIDED
    if agrees.hold(interval):
        return REPRODUCED
    if direction.exclude(interval):
        return NOT_REPRODUCED
    return DIFFERS if direction.hold(interval) and agrees.exclude(interval) else UNDECIDED


@dataclass(frozen=True)
class Expectation:
    """A statement of ours, written down before anything was measured, and the number that decides it.

    Attributes:
        about: what it would belong to, such as "task".
        says: the statement.
        number: from what a study has measured on a corpus.
        wanted: where the number's interval lies if the statement holds.
        unit: the format in which the number is written.
    """

    about: str
    says: str
    number: Callable[[Mapping[str, Any]], Interval]
    wanted: Bounds
    unit: str = "+.3f"

    def outcome(self, measured: Mapping[str, Any]) -> str:
        """Whether it "holds", "fails", or is "open": the interval crosses a bound, or there is none.

        What lies on a bound is not beyond it: no difference at all is not "more".
        """
        found, low, high = self.number(measured), self.wanted.low, self.wanted.high
        if not found.is_known:
            return "open"
        if low < found.low and found.high < high:
            return "holds"
        return "fails" if found.high <= low or high <= found.low else "open"


def table_of(expectations: Sequence[Expectation], corpora: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """What became of expectations, as rows of a table: what each is about, what it says, and a column for each corpus.

    Args:
        expectations: a row for each.
        corpora: by the name of a corpus, what a study has measured on it.

    Returns:
        In the column of a corpus the number and the outcome, such as "+0.120, holds"; only the outcome where the number
        was not measured.
    """
    return [
        {"about": each.about, "expected": each.says}
        | {name: _number_and_outcome(each, measured) for name, measured in corpora.items()}
        for each in expectations
    ]


def _number_and_outcome(expectation: Expectation, measured: Mapping[str, Any]) -> str:
    value, outcome = expectation.number(measured).value, expectation.outcome(measured)
    return f"{value:{expectation.unit}}, {outcome}" if math.isfinite(value) else outcome


@dataclass(frozen=True)
class Claim:
    """A statement of the paper, and how it is tested.

    Attributes:
        key: short name.
        place: where the book computes it: a chapter and a label in it.
        short: the same in a few words.
        said: what the paper says.
        section: where.
        number: what is measured, in words.
        agrees: where the number lies if the claim is reproduced.
        direction: where it lies if the claim holds in direction.
        unit: how the number is written, a format.
        measure: the number with its interval, for results, a corpus and a family of inverters; None where it was not
            measured.
        main: corpus and family that decide.
        others: further ones, for comparison.
    """

    key: str
    place: tuple[str, str]
    short: str
    said: str
    section: str
    number: str
    agrees: Bounds
    direction: Bounds
    unit: str
    measure: Measure
    main: tuple[str, str] = (OWN, "published")
    others: tuple[tuple[str, str], ...] = ((OWN, "aligned"), (REAL, "published"), (REAL, "aligned"))


@dataclass(frozen=True)
class Reading:
    """One measured number.

    Attributes:
        corpus: what it was measured on.
        family: of inverters.
        interval: the number.
        verdict: one of `VERDICTS`, for this number.
    """

    corpus: str
    family: str
    interval: Interval
    verdict: str


@dataclass(frozen=True)
class Entry:
    """A line of the ledger.

    Attributes:
        claim: what was tested.
        readings: the numbers; the first one decides.
        because: why, in a sentence or two.
    """

    claim: Claim
    readings: tuple[Reading, ...]
    because: str

    @property
    def verdict(self) -> str:
        """That of the first reading."""
        return self.readings[0].verdict


FALSE_DISCOVERIES = 0.05
"""The share of the verdicts that may be wrong, on average, where many are given at once."""


def standing(entries: Sequence[Entry], rate: float = FALSE_DISCOVERIES) -> list[bool]:
    """Which verdicts stand when all claims of a ledger are judged at once.

    A 95 % interval is wrong once in twenty times, so of many verdicts some would be wrong by chance. Controlled is the
    share of wrong ones among those that stand (Benjamini & Hochberg, 1995).

    Args:
        entries: of the ledger. Undecided ones count, and do not stand.
        rate: the share that may be wrong.
    """
    from scipy.stats import false_discovery_control  # here, since machines that train need not have scipy

    chances = [chance(entry.readings[0].interval, entry.claim, entry.verdict) for entry in entries]
    return [bool(each <= rate) for each in false_discovery_control(chances)]


def chance(interval: Interval, claim: Claim, verdict: str) -> float:
    """Probability of a number that speaks as clearly for a verdict where the truth lies on the bound next to it.

    The number is taken to be normally distributed over songs, as wide as its interval says. Undecided is 1.
    """
    if verdict == UNDECIDED:
        return 1.0
    deviation = (interval.high - interval.low) / (2 * NormalDist().inv_cdf(0.975))
    bounds = {REPRODUCED: (claim.agrees,), NOT_REPRODUCED: (claim.direction,), DIFFERS: (claim.agrees, claim.direction)}
    # Of an area with two ends, the nearer one decides; where two areas count, the one that is less clear.
    ends = [end for each in bounds[verdict] for end in (each.low, each.high) if math.isfinite(end)]
    gap = min(abs(interval.value - end) for end in ends)
    return 2 * (1 - NormalDist().cdf(gap / deviation)) if deviation else 0.0
