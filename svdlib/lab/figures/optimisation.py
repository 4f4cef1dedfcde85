"""The figures of inversion by optimisation; nothing is computed here beyond drawing."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle
from matplotlib.ticker import LogLocator

from svdlib.lab.figures.spectrograms import STANDARDISED_LIMITS, draw_spectrogram
from svdlib.lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    LETTER_WIDTH,
    ORANGE,
    PHONE_WIDTH,
    POINTS_PER_INCH,
    STYLE,
    Drawing,
    figure_width,
    layer_title,
    legend_columns,
    panel_columns,
    two_layouts,
)

MARKS = ((BLUE, "o", "-"), (ORANGE, "s", "-"), (GREEN, "^", "--"), (GREY, "D", "--"), ("black", "v", ":"))


@two_layouts
def figure_pictures(pictures: Mapping[str, Any], columns: int = 2) -> Drawing:
    """Draw standardised spectrograms beside one another on one colour scale.

    Args:
        pictures: (115, 80) by what stands above each.
        columns: how many stand in a row.
    """
    longest = max(map(len, pictures)) * LETTER_WIDTH * STYLE["font.size"] / POINTS_PER_INCH
    columns = panel_columns(columns, 2 if longest < PHONE_WIDTH / 2 - 0.4 else 1)
    rows = -(-len(pictures) // columns)
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 1.9 * rows + 0.7), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
        for number, (axes, (title, picture)) in enumerate(zip(grid.flat, pictures.items(), strict=False)):
            image = draw_spectrogram(
                axes, picture, limits=STANDARDISED_LIMITS, title=title, show_frequencies=number % columns == 0,
                show_times=number + columns >= len(pictures),
            )  # fmt: skip
        for axes in grid.flat[len(pictures) :]:
            axes.set_visible(False)
        figure.colorbar(
            image, ax=grid, label="deviations from the mean of the band", location="bottom", aspect=50, pad=0.02
        )
    return figure


@two_layouts
def figure_descents(
    errors: Mapping[str, Mapping[str, Sequence[float]]], trained: Mapping[str, Mapping[str, float]]
) -> Drawing:
    """Draw how the feature error falls with every pass, a panel per layer.

    Args:
        errors: per layer and way, the relative feature error at the start and after each pass.
        trained: per layer and family, that of the trained inverter: a level line.
    """
    with rc_context(STYLE):
        rows = -(-len(errors) // 2)
        figure = Drawing(figsize=(figure_width(), 1.7 * rows + 0.8), layout="constrained")
        grid = figure.subplots(rows, 2, sharex=True, squeeze=False)
        for axes, (layer, by_way) in zip(grid.flat, errors.items(), strict=False):
            for (way, curve), (colour, _, style) in zip(by_way.items(), MARKS, strict=False):
                axes.plot(curve, color=colour, ls=style, label=way)
            for (family, level), (colour, _, style) in zip(trained[layer].items(), MARKS[len(by_way) :], strict=False):
                axes.axhline(level, color=colour, ls=style, lw=1.3, label=family)
            axes.set_title(layer_title(layer))
            _make_logarithmic(axes)
        for axes in grid.flat[len(errors) :]:
            axes.set_visible(False)
        figure.supxlabel("passes through the detector", size=10)
        figure.supylabel("relative feature error (log scale)", size=10)
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(names, 2))
    return figure


@two_layouts
def figure_ways(
    values: Mapping[str, Mapping[str, tuple[float, float, float]]],
    quantity: str,
    line: tuple[str, float] | None = None,
    logarithmic: bool = False,
) -> Drawing:
    """Draw one quantity over the layers for several ways to invert.

    Args:
        values: per way and layer: mean, and lower and upper end of its interval (None where there is none).
        quantity: what it is; stands at the axis.
        line: a level to compare with, and its name.
        logarithmic: whether the axis is.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.9), layout="constrained")
        axes = figure.subplots()
        for number, ((way, by_layer), (colour, marker, style)) in enumerate(zip(values.items(), MARKS, strict=False)):
            mean, low, high = np.array(list(by_layer.values()), dtype=float).T
            bars = np.array([mean - low, high - mean])
            axes.errorbar(
                np.arange(len(by_layer)) + 0.08 * (number - (len(values) - 1) / 2), mean,
                np.maximum(bars, 0) if np.isfinite(bars).all() else None, fmt=f"{marker}{style}", color=colour,
                capsize=3, ms=5, label=way,
            )  # fmt: skip
            axes.set_xticks(range(len(by_layer)), [layer_title(layer) for layer in by_layer])
        if line:
            axes.axhline(line[1], color="black", ls=":", lw=1.2, label=line[0])
        axes.set(xlabel="layer that is inverted (shallow to deep)", ylabel=quantity)
        if logarithmic:
            _make_logarithmic(axes)
        else:
            axes.set(ylim=(0, None))
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 2))
    return figure


def _make_logarithmic(axes: Axes) -> None:
    """Take a logarithmic axis, with marks within a decade where it has few."""
    axes.set(yscale="log")
    low, high = axes.get_ylim()
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5) if high < 100 * low else (1,), numticks=8))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")


@two_layouts
def figure_weights(layers: Mapping[str, Mapping[str, Any]], margin: float) -> Drawing:
    """Draw which weight of the total variation the rule takes: a row per layer, a column per weight.

    Args:
        layers: the stored results of `svdlib.lab.studies.regulariser_weights`, under "layers".
        margin: a weight is allowed up to this share of the trained inverter's feature error.
    """
    tried = {name: [each for each in found["tried"] if not each["alpha_weight"]] for name, found in layers.items()}
    weights = [each["variation_weight"] for each in next(iter(tried.values()))]
    errors = np.array([[each["nre"] for each in row] for row in tried.values()])
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 0.42 * len(layers) + 1.3), layout="constrained")
        axes = figure.subplots()
        image = axes.imshow(errors, cmap="cividis", vmin=0, vmax=1, aspect="auto")
        for row, (name, found) in enumerate(layers.items()):
            highest = margin * found["trained_feature_error"]
            for column, each in enumerate(tried[name]):
                allowed = each["feature_error"] <= highest
                _draw_weight(axes, (column, row), each["nre"], allowed)
            chosen = weights.index(found["chosen"]["variation_weight"])
            axes.add_patch(Rectangle((chosen - 0.46, row - 0.44), 0.92, 0.88, fill=False, ec=ORANGE, lw=3))
        axes.set_xticks(range(len(weights)), [f"{weight:g}" for weight in weights])
        axes.set_yticks(range(len(layers)), [layer_title(layer) for layer in layers])
        axes.set_xlabel("weight of the total variation")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
        figure.colorbar(image, ax=axes, label="NRE", extend="max", aspect=30, pad=0.02)
        patches = [
            Patch(facecolor="white", edgecolor=ORANGE, lw=3, label="chosen"),
            Patch(facecolor="white", edgecolor=GREY, hatch="///", label="feature error too large"),
        ]
        figure.legend(handles=patches, loc="outside upper center", ncols=2)
    return figure


def _draw_weight(axes: Axes, place: tuple[int, int], error: float, allowed: bool) -> None:
    """Write an NRE into its cell; what the rule does not allow is covered and hatched."""
    column, row = place
    if not allowed:
        corner = column - 0.5, row - 0.5
        axes.add_patch(Rectangle(corner, 1, 1, facecolor="white", edgecolor="#bbbbbb", hatch="///", lw=0))
    colour = "black" if not allowed or error > 0.5 else "white"
    box = {"boxstyle": "square,pad=0.15", "facecolor": "white", "edgecolor": "none"} if not allowed else None
    axes.text(column, row, f"{error:.2f}", ha="center", va="center", color=colour, bbox=box)
