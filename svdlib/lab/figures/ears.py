"""Figures that compare listeners: errors by the size of what is inverted, and who still hears what in inversions."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from svdlib.lab.analysis.intervals import Interval
from svdlib.lab.figures.names import Name, place_names
from svdlib.lab.figures.nre import error_bars
from svdlib.lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLE,
    Drawing,
    figure_width,
    heading,
    is_for_phone,
    layer_title,
    legend_columns,
    two_layouts,
)

LOOKS = ((BLUE, "o", "-"), (ORANGE, "s", "--"), (GREEN, "^", "-."), (PURPLE, "D", ":"), (GREY, "v", "-"))
DARK = 0.55
"""A cell whose shade lies below has white letters."""

MOST_ON_PHONE = 3
"""Columns of a matrix whose cells hold a number and its chance beside each other on a phone."""

OUTLYING = 1.5
"""A band stands out whose number is so many times that which all but 3 % of the bands stay below."""


def title_of(layer: str) -> str:
    """Name a layer of any listener: "MP6", "LSTM3", "Centre"."""
    return layer_title(layer) if layer[-1:].isdigit() else layer.capitalize()


@two_layouts
def figure_sizes(
    listeners: Mapping[str, Mapping[str, tuple[float, Interval]]],
    unit: str,
    *,
    line: float | None = None,
    line_name: str = "",
) -> Drawing:
    """Draw a number of each layer over the size of its feature, a line per listener.

    Args:
        listeners: per name and layer, the numbers of its feature as a share of those of the input, and what is drawn.
        unit: for the vertical axis.
        line: a level to compare with.
        line_name: what it is.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 4.0), layout="constrained")
        axes = figure.subplots()
        for (name, by_layer), look in zip(listeners.items(), LOOKS, strict=False):
            _draw_sizes(axes, name, by_layer, look)
        if line is not None:
            axes.axhline(line, color="black", lw=1, ls=(0, (1, 1)), label=line_name)
        axes.set(xscale="log", ylabel=unit, ylim=(0, 1.08 * axes.get_ylim()[1]))
        axes.set_xlabel("numbers of the feature, as a share of the input's")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.invert_xaxis()  # shallow layers are the larger ones, and stand left
        axes.margins(x=0.12)
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 2))
        _name_layers(axes, listeners, line)
    return figure


def _draw_sizes(
    axes: Axes, name: str, by_layer: Mapping[str, tuple[float, Interval]], look: tuple[str, str, str]
) -> None:
    colour, marker, dashes = look
    sizes = [size for size, _ in by_layer.values()]
    found = [each for _, each in by_layer.values()]
    reach = error_bars(found)
    values = [each.value for each in found]
    axes.errorbar(sizes, values, reach, marker=marker, ls=dashes, color=colour, ms=5, lw=1.3, capsize=3, label=name)


def _name_layers(
    axes: Axes, listeners: Mapping[str, Mapping[str, tuple[float, Interval]]], level: float | None
) -> None:
    """Write each layer's name beside its mark, in the colour of its listener."""
    names: list[Name] = []
    lines = [] if level is None else [np.array([(end, level) for end in axes.get_xlim()])]
    for by_layer, (colour, _, _) in zip(listeners.values(), LOOKS, strict=False):
        points = [(size, found.value) for size, found in by_layer.values()]
        names += [Name(title_of(layer), point, colour) for layer, point in zip(by_layer, points, strict=True)]
        bars = [[(size, each.low), (size, each.high)] for size, each in by_layer.values() if each.is_known]
        lines += [np.array(each) for each in (points, *bars)]
    place_names(axes, names, lines)


@two_layouts
def figure_matrix(
    panels: Mapping[str, np.ndarray],
    chance: Mapping[str, np.ndarray],
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    percent: bool = False,
) -> Drawing:
    """Draw tables of numbers, a row per painter and a column per judge, shaded, each with its chance in brackets.

    Args:
        panels: per title, an array (rows, columns), shaded from 0 to 1.
        chance: likewise, what knows nothing has; nan leaves the brackets out.
        rows: what the rows are.
        columns: what the columns are.
        percent: whether the numbers are shares, to be written in percent.
    """

    def written(number: float) -> str:
        return f"{number:z.0%}" if percent else f"{number:z.2f}"

    # More columns than three leave no room on a phone for a number and its chance on one line.
    stacked = is_for_phone() and len(columns) > MOST_ON_PHONE
    between = "\n" if stacked else " "
    with rc_context(STYLE):
        size = (figure_width(), ((0.4 if stacked else 0.28) * len(rows) + 1.1) * len(panels))
        figure = Drawing(figsize=size, layout="constrained")
        stack = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, (title, numbers) in zip(stack, panels.items(), strict=True):
            axes.imshow(numbers, vmin=0, vmax=1, cmap="cividis", aspect="auto")
            for (row, column), number in np.ndenumerate(numbers):
                level = float(chance[title][row, column])
                text = "" if np.isnan(number) else written(float(number))
                text += f"{between}({written(level)})" if np.isfinite(level) and text else ""
                colour = "black" if number > DARK else "white"
                axes.text(column, row, text, ha="center", va="center", color=colour)
            axes.set_xticks(range(len(columns)), [heading(name, len(columns) + 1) for name in columns])
            axes.set_yticks(range(len(rows)), rows)
            axes.set_title(title, loc="left")
            axes.tick_params(length=0)
            axes.xaxis.tick_top()
    return figure


@two_layouts
def figure_bands(curves: Mapping[str, Sequence[float]], read: Sequence[bool], unit: str) -> Drawing:
    """Draw a number of each band, a panel per title; bands of two kinds have marks of two colours.

    All panels have one scale. A band that stands out by far does not set it: an arrow to the upper edge has its number.

    Args:
        curves: per title, a number per band.
        read: of which kind each band is.
        unit: for the vertical axis.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 1.9 * len(curves) + 0.8), layout="constrained")
        column = figure.subplots(len(curves), 1, sharex=True, sharey=True, squeeze=False)[:, 0]
        usual = max(_without_outlying(np.array(curve, dtype=float)).max() for curve in curves.values())
        column[0].set_ylim(0, 1.12 * usual)
        for axes, (title, curve) in zip(column, curves.items(), strict=True):
            _draw_bands(axes, np.array(curve, dtype=float), np.array(read))
            axes.set_title(title, loc="left")
        column[-1].set_xlabel("mel band")
        figure.supylabel(unit, size=10)
        handles, names = column[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=2)
    return figure


def _without_outlying(values: np.ndarray) -> np.ndarray:
    return values[values <= OUTLYING * np.quantile(values, 0.97)]


def _draw_bands(axes: Axes, values: np.ndarray, read: np.ndarray) -> None:
    """Draw one panel; what lies above its scale is an arrow with its number."""
    bands, top = np.arange(len(values)), axes.get_ylim()[1]
    axes.plot(bands, values, color=GREY, lw=0.6)
    for kind, colour, marker, name in ((True, BLUE, "o", "read"), (False, ORANGE, "s", "never read")):
        axes.plot(bands[read == kind], values[read == kind], marker, color=colour, ms=3, label=name)
        for band in bands[(read == kind) & (values > top)]:
            axes.annotate(
                f"band {band}: {values[band]:.2f}", (band, top), (-42, -10), textcoords="offset points", color=colour,
                ha="right", va="center", arrowprops={"arrowstyle": "->", "color": colour, "shrinkB": 0},
            )  # fmt: skip
