"""The ledger of claims as a picture: each number with its interval, before the bounds that the claim must keep."""

import math
from collections.abc import Sequence

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from svdlib.lab.analysis.verdicts import Entry, Reading
from svdlib.lab.figures.style import BLUE, GREEN, GREY, ORANGE, STYLE, Drawing

COLOURS = {"synthetic test songs": BLUE, "synthetic-b": GREEN, "real songs": ORANGE}
MARKS = {"published": "o", "aligned": "D", "optimised": "s"}
ROW = 0.19
"""Inches for one number."""


def figure_claims(entries: Sequence[Entry]) -> Drawing:
    """Draw the ledger: a box per claim, a line per number with its 95 % interval; shaded where the claim wants it.

    Args:
        entries: of the ledger, such as that of `svdlib.lab.studies.claims`.
    """
    heights = [1.9 + len(entry.readings) for entry in entries]
    with rc_context(STYLE | {"font.size": 9}):
        figure = Drawing(figsize=(5.2, ROW * 1.25 * sum(heights)), layout="constrained")
        boxes = figure.subplots(len(entries), gridspec_kw={"height_ratios": heights}, squeeze=False)[:, 0]
        for number, (axes, entry) in enumerate(zip(boxes, entries, strict=True), start=1):
            _draw_claim(axes, entry, number)
    return figure


def _draw_claim(axes: Axes, entry: Entry, number: int) -> None:
    low, high = _limits(entry)
    agrees = entry.claim.agrees
    axes.axvspan(max(agrees.low, low), min(agrees.high, high), color=GREY, alpha=0.18, linewidth=0)
    for row, reading in enumerate(reversed(entry.readings)):
        found, colour = reading.interval, COLOURS[reading.corpus]
        filled = colour if reading is entry.readings[0] else "white"
        axes.plot([found.low, found.high], [row, row], color=colour, linewidth=1.6)
        axes.plot(found.value, row, MARKS[reading.family], color=colour, markerfacecolor=filled, markersize=5)
    axes.set_xlim(low, high)
    axes.set_ylim(-0.7, len(entry.readings) - 0.3)
    axes.set_yticks(range(len(entry.readings)), [_name(reading) for reading in reversed(entry.readings)])
    axes.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 2.5, 5, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: _short(value, entry.claim.unit)))
    axes.set_title(" ")  # keeps the place for the line below, which begins at the figure's own edge
    title = axes.annotate(
        f"{number}. {entry.claim.short}: {entry.verdict}",
        (0, 1), (6, 4), ("figure fraction", "axes fraction"), "offset points", fontweight="bold",
    )  # fmt: skip
    title.set_in_layout(False)


def _limits(entry: Entry) -> tuple[float, float]:
    """All intervals and the finite bounds, with a margin."""
    agrees = entry.claim.agrees
    ends = [end for reading in entry.readings for end in (reading.interval.low, reading.interval.high)]
    ends += [bound for bound in (agrees.low, agrees.high) if math.isfinite(bound)]
    margin = 0.08 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def _name(reading: Reading) -> str:
    return f"{reading.corpus}, {reading.family}"


def _short(value: float, unit: str) -> str:
    return f"{value:+.0%}" if unit.endswith("%") else f"{value:g}"
