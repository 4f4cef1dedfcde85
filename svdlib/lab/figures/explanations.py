"""Figures of what the detector uses: maps of an excerpt, curves of masked excerpts, and comparisons of maps."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib import colormaps, rc_context
from matplotlib.patches import Patch

from svdlib.detector.front_end import FRONT_END
from svdlib.lab.analysis.local_explanations import MAP_TITLES, SIGNED
from svdlib.lab.figures.spectrograms import COLOUR_MAP, STANDARDISED_LIMITS, draw_spectrogram
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
    panel_columns,
    two_layouts,
)

SIGNED_COLOURS = "PuOr_r"
"""From purple, against, over white to orange, for: the ends differ for colour-blind eyes too."""

STEPS = 41
"""Colours of each map: with three maps of many more, a picture's palette has too few and mixes them up."""

STRONGEST = 0.995
"""The colour scale of a map ends where so many of its cells lie below: single cells would make the rest pale."""

COLOURS = (BLUE, ORANGE, GREEN, PURPLE)
MARKERS = ("o", "s", "^", "D")
WAYS = (("kept", BLUE, "o", "-"), ("removed", ORANGE, "s", "--"))

Point = tuple[float, float, float]
"""A value, and the lower and the upper end of its interval; nan where there is none."""


@two_layouts
def figure_maps(excerpt: torch.Tensor, maps: Mapping[str, torch.Tensor], masks: Mapping[str, torch.Tensor]) -> Drawing:
    """Draw an excerpt, masks of its cells and maps of it, each map on a colour scale of its own.

    Args:
        excerpt: standardised (115, 80).
        maps: by their names in `MAP_TITLES`, a value per cell (115, 80).
        masks: by what stands above, boolean (115, 80); drawn after the excerpt, in black where true.
    """
    count = 1 + len(maps) + len(masks)
    columns = panel_columns(3)
    rows = -(-count // columns)
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 1.55 * rows + 0.4), layout="constrained")
        panels = list(figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat)
        shown = iter(panels)
        image = draw_spectrogram(next(shown), excerpt, limits=STANDARDISED_LIMITS, title="excerpt", show_times=False)
        image.set_cmap(colormaps[COLOUR_MAP].resampled(STEPS))
        for title, mask in masks.items():
            axes = next(shown)
            image = draw_spectrogram(axes, mask.double(), limits=(0, 1), title=title, show_times=False)
            image.set_cmap(colormaps["Greys"].resampled(2))
        for name, values in maps.items():
            axes = next(shown)
            image = draw_spectrogram(
                axes, values, limits=_limits(name, values), title=MAP_TITLES[name], show_times=False
            )
            image.set_cmap(colormaps[SIGNED_COLOURS if name in SIGNED else COLOUR_MAP].resampled(STEPS))
        for number, axes in enumerate(panels):
            axes.set_visible(number < count)
            axes.set_yticks(axes.get_yticks(), list(FRONT_END.ticks(excerpt.shape[1]).values()))
            axes.tick_params(labelleft=number % columns == 0, labelbottom=number >= count - columns)
        figure.supxlabel("time (s)", size=10)
    return figure


def _limits(name: str, values: torch.Tensor) -> tuple[float, float]:
    values = values.double().flatten()
    if name in SIGNED:
        largest = max(float(values.abs().quantile(STRONGEST)), 1e-9)
        return -largest, largest
    low, high = float(values.quantile(1 - STRONGEST)), float(values.quantile(STRONGEST))
    return low, max(high, low + 1e-9)


@two_layouts
def figure_masking_curves(
    shares: Sequence[float], rows: Mapping[str, Mapping[str, Any]], dust: Mapping[str, Any]
) -> Drawing:
    """Draw how sure an answer is while more and more cells are kept or removed, a panel per map.

    Args:
        shares: of the cells, from 0 to 1.
        rows: by names in `MAP_TITLES`: "keeping" and "removing", a number per share, and the same in "rolled", for the
            map at a wrong time.
        dust: "keeping" and "removing" for random cells.
    """
    percent = 100 * np.asarray(shares)
    with rc_context(STYLE):
        columns = panel_columns(len(rows), 1)
        count = -(-len(rows) // columns)
        figure = Drawing(figsize=(figure_width(), 2.1 * count + 1.4), layout="constrained")
        panels = figure.subplots(count, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (name, row) in zip(panels, rows.items(), strict=False):
            kept, removed = np.asarray(row["keeping"]), np.asarray(row["removing"])
            axes.fill_between(percent, removed, kept, where=kept >= removed, color=BLUE, alpha=0.14, lw=0)
            for values, (way, colour, marker, dashes) in zip((kept, removed), WAYS, strict=True):
                key = "keeping" if way == "kept" else "removing"
                axes.plot(percent, dust[key], ls=dashes, color=GREY, lw=1, label=f"{way}, random cells")
                look = {"color": colour, "marker": marker, "ms": 4}
                axes.plot(percent, row["rolled"][key], ls=":", mfc="white", lw=1, label=f"{way}, wrong time", **look)
                axes.plot(percent, values, ls=dashes, lw=2, label=f"first cells {way}", **look)
            axes.set(ylim=(-0.03, 1.03), xlim=(-2, 102), xticks=[0, 50, 100], title=MAP_TITLES[name])
        figure.supxlabel("cells kept, or removed (%)", size=10)
        figure.supylabel("how sure the answer is", size=10)
        handles, names = panels[0].get_legend_handles_labels()
        kinds = ("first", "wrong", "random")  # as the lines matter
        order = sorted(range(len(names)), key=lambda place: [kind not in names[place] for kind in kinds])
        shade = Patch(color=BLUE, alpha=0.14, label="advantage")
        handles = [*(handles[number] for number in order), shade]
        names = [*(names[number] for number in order), "advantage: the shaded area"]
        figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(names, 2))
    return figure


@two_layouts
def figure_comparison(
    panels: Mapping[str, Mapping[str, Mapping[str, Point]]], axis: str, chance: float | None = None
) -> Drawing:
    """Draw a number per map with its interval, beside what the same map gives as its own control.

    Args:
        panels: per panel title and name in `MAP_TITLES`: by what stands in the legend, the points.
        axis: what the numbers are.
        chance: a line is drawn there; None draws none.
    """
    names = list(dict.fromkeys(name for rows in panels.values() for name in rows))
    places = {name: len(names) - 1 - number for number, name in enumerate(names)}
    with rc_context(STYLE):
        columns = panel_columns(len(panels), 1)
        count = -(-len(panels) // columns)
        figure = Drawing(figsize=(figure_width(), (0.42 * len(names) + 0.5) * count + 1.0), layout="constrained")
        grid = figure.subplots(count, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (title, rows) in zip(grid, panels.items(), strict=True):
            labels = list(dict.fromkeys(label for row in rows.values() for label in row))
            for number, label in enumerate(labels):
                there = [name for name in rows if label in rows[name]]
                value, low, high = np.array([rows[name][label] for name in there], dtype=float).T
                axes.errorbar(
                    value,
                    [places[name] + 0.22 * (0.5 * (len(labels) - 1) - number) for name in there],
                    xerr=np.nan_to_num(np.maximum([value - low, high - value], 0)),
                    fmt=MARKERS[number],
                    mfc=COLOURS[number] if number == 0 else "white",
                    color=COLOURS[number],
                    ms=5,
                    capsize=2,
                    lw=1.2,
                    label=label,
                )
            if chance is not None:
                axes.axvline(chance, color=GREY, ls="--", lw=1.2)
            axes.set_title(title)
            axes.set_yticks(list(places.values()), [MAP_TITLES[name] for name in places])
        figure.supxlabel(axis, size=10)
        handles, shown = grid[0].get_legend_handles_labels()
        figure.legend(handles, shown, loc="outside upper center", ncols=legend_columns(shown, 3))
    return figure


@two_layouts
def figure_agreement(values: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Draw how well the orders of two maps agree: below the diagonal for one excerpt, above it by chance.

    Args:
        values: per pair of names "first/second": "correlation" and "chance_correlation", each with "value".
    """
    names = list(dict.fromkeys(name for pair in values for name in pair.split("/")))
    table = np.full((len(names), len(names)), np.nan)
    for pair, found in values.items():
        a, b = sorted(names.index(name) for name in pair.split("/"))
        table[b, a] = _value(found["correlation"])
        table[a, b] = _value(found["chance_correlation"])
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 5.6), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(table, cmap=SIGNED_COLOURS, vmin=-1, vmax=1)
        for (row, column), value in np.ndenumerate(table):
            if np.isfinite(value):
                colour = "white" if abs(value) > 0.6 else "black"
                axes.text(column, row, f"{value:z.2f}", ha="center", va="center", color=colour, fontsize=10)
        titles = [MAP_TITLES[name] for name in names]
        axes.set_xticks(range(len(names)), titles, rotation=40, ha="right", rotation_mode="anchor")
        axes.set_yticks(range(len(names)), titles)
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        between = "\n" if is_for_phone() else " "
        axes.set_title(f"below the diagonal: the same excerpt;{between}above: one map of another song", x=0.3)
        place = "bottom" if is_for_phone() else "right"
        figure.colorbar(image, ax=axes, label="rank correlation", shrink=0.8, location=place)
    return figure


def _value(entry: Mapping[str, Any]) -> float:
    return np.nan if entry["value"] is None else entry["value"]
