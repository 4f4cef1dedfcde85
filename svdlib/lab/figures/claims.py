"""The ledger of claims as a picture: a light for each claim, beside its numbers before the area that it must lie in."""

import math
from collections.abc import Sequence
from textwrap import fill
from typing import Any

from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from svdlib.lab.analysis.verdicts import (
    CORPORA,
    DIFFERS,
    NOT_REPRODUCED,
    OWN,
    REAL,
    REPRODUCED,
    SECOND,
    UNDECIDED,
    Entry,
    Reading,
)
from svdlib.lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLE,
    Drawing,
    figure_width,
    is_for_phone,
    legend_columns,
    two_layouts,
)

LIGHTS = {REPRODUCED: (GREEN, "o"), DIFFERS: ("#e69f00", "D"), NOT_REPRODUCED: (ORANGE, "X"), UNDECIDED: (GREY, "s")}
"""The light of each verdict: its colour, and a shape of its own for those who cannot tell colours apart."""

COLOURS = {CORPORA[OWN]: BLUE, CORPORA[SECOND]: "#56b4e9", CORPORA[REAL]: PURPLE}
MARKS = {"published": "o", "aligned": "D", "aligned, interior": "d", "optimised": "s"}
AREA = "#d8d8d8"
LINE = 0.15
"""Inches between two numbers of a claim."""


@two_layouts
def figure_claims(entries: Sequence[Entry]) -> Drawing:
    """Draw the ledger: a row per claim with the light of its verdict, and its numbers with their 95 % intervals.

    Args:
        entries: of the ledger, such as that of `svdlib.lab.studies.claims`.
    """
    above = 0.5 if is_for_phone() else 0.1
    heights = [above + 0.3 + max(0.35, LINE * len(entry.readings)) for entry in entries]
    key = 2.6 if is_for_phone() else 1.35
    with rc_context(STYLE | {"font.size": 9}):
        figure = Drawing(figsize=(figure_width(), sum(heights) + key))
        key_part, rows = figure.subfigures(2, 1, squeeze=False, height_ratios=[key, sum(heights)])[:, 0]
        _draw_key(key_part, entries)
        top = 1.0
        for number, (entry, inches) in enumerate(zip(entries, heights, strict=True), start=1):
            height = inches / sum(heights)
            _draw_row(rows, entry, number, (top - height, height, above / sum(heights)))
            top -= height
    return figure


def _draw_row(rows: SubFigure, entry: Entry, number: int, place: tuple[float, float, float]) -> None:
    """Draw one claim: its light and words at the left of its numbers, on a phone above them.

    Args:
        rows: of the figure, all claims.
        entry: the claim.
        number: from 1.
        place: lower edge, height, and height of what stands above the numbers, as shares of `rows`.
    """
    bottom, height, above = place
    inch = rows.figure.dpi / rows.bbox.height
    left = 0.06 if is_for_phone() else 0.42
    axes = rows.add_axes((left, bottom + 0.3 * inch, 0.97 - left, height - above - 0.3 * inch))
    _draw_numbers(axes, entry)
    words = fill(f"{number}. {entry.claim.short}", 44 if is_for_phone() else 30)
    top = bottom + height - (0.1 if is_for_phone() else 0.24) * inch
    colour, shape = LIGHTS[entry.verdict]
    rows.add_artist(
        Line2D([0.035], [top - 0.07 * inch], marker=shape, ms=11, color=colour, transform=rows.transSubfigure)
    )
    rows.text(0.075, top, words, va="top", weight="bold")
    below = top - (0.05 + 0.15 * len(words.splitlines())) * inch
    rows.text(0.075, below, f"{entry.verdict}: {entry.readings[0].interval.value:{entry.claim.unit}}", va="top")


def _draw_numbers(axes: Axes, entry: Entry) -> None:
    """Draw the readings of a claim below each other, the one that decides at the top and large."""
    low, high = _limits(entry)
    agrees, unit = entry.claim.agrees, entry.claim.unit
    axes.axvspan(max(agrees.low, low), min(agrees.high, high), color=AREA, linewidth=0)
    for row, reading in enumerate(entry.readings):
        found, colour, decides = reading.interval, COLOURS[reading.corpus], row == 0
        axes.plot([found.low, found.high], [row, row], color=colour, linewidth=3 if decides else 1.3)
        face, size = (colour, 8) if decides else ("white", 5)
        axes.plot(found.value, row, MARKS[reading.family], color=colour, markerfacecolor=face, markersize=size)
    axes.set(xlim=(low, high), ylim=(len(entry.readings) - 0.4, -0.8), yticks=[])
    axes.spines["left"].set_visible(False)
    bounds = [bound for bound in (agrees.low, agrees.high) if math.isfinite(bound)]
    axes.set_xticks(bounds, [f"{bound:{unit}}" for bound in bounds])
    axes.tick_params(length=2, pad=1)


def _draw_key(part: SubFigure, entries: Sequence[Entry]) -> None:
    """Explain lights, area and marks."""
    verdicts = {entry.verdict for entry in entries}
    lights = [
        Line2D([], [], ls="", marker=shape, ms=9, color=colour, label=verdict)
        for verdict, (colour, shape) in LIGHTS.items()
        if verdict in verdicts
    ]
    readings = [reading for entry in entries for reading in entry.readings]
    marks = [
        Patch(color=AREA, label="grey area: where the claim wants its number"),
        Line2D([], [], marker="o", ms=8, lw=3, color="black", label="filled: the number that decides, 95 % interval"),
        Line2D([], [], marker="o", ms=5, mfc="white", lw=1.3, color="black", label="hollow: others, to compare"),
        *_sorts(readings),
    ]
    style: dict[str, Any] = {"loc": "upper left", "handletextpad": 0.5, "columnspacing": 1.2}
    names = [light.get_label() for light in lights]
    columns = legend_columns(list(map(str, names)), 4)
    part.legend(handles=lights, bbox_to_anchor=(0.0, 1.0), ncols=columns, **style)
    drop = 0.25 * -(-len(lights) // columns) / (part.bbox.height / part.figure.dpi)
    part.legend(handles=marks, bbox_to_anchor=(0.0, 1.0 - drop), ncols=1 if is_for_phone() else 2, **style)


def _sorts(readings: Sequence[Reading]) -> list[Line2D]:
    """The shapes of the families and the colours of the corpora that are drawn."""
    families = [family for family in MARKS if any(reading.family == family for reading in readings)]
    corpora = [corpus for corpus in COLOURS if any(reading.corpus == corpus for reading in readings)]
    shapes = [
        Line2D([], [], ls="", marker=MARKS[each], ms=6, color="black", label=f"{each} inverters") for each in families
    ]
    return shapes + [Line2D([], [], lw=3, color=COLOURS[each], label=each) for each in corpora]


def _limits(entry: Entry) -> tuple[float, float]:
    """All intervals and the finite bounds, with a margin."""
    agrees = entry.claim.agrees
    ends = [end for reading in entry.readings for end in (reading.interval.low, reading.interval.high)]
    ends += [bound for bound in (agrees.low, agrees.high) if math.isfinite(bound)]
    margin = 0.08 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin
