"""Figures of reconstruction errors: over layers, along an excerpt, and their changes; nothing is computed here."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS, band_of_frequency
from svdlib.lab.analysis.intervals import Interval
from svdlib.lab.figures.style import (
    BLUE,
    GREY,
    ORANGE,
    STYLE,
    Drawing,
    figure_width,
    is_for_phone,
    layer_title,
    legend_columns,
    panel_columns,
    two_layouts,
)

LINES = ((BLUE, "o"), (ORANGE, "s"), (GREY, "^"))
TICKS_HZ = {100: "0.1", 1000: "1", 4000: "4"}


@two_layouts
def figure_nre(scores: Mapping[str, Mapping[str, Interval]], mean_predictor: Mapping[str, float]) -> Drawing:
    """Draw the normalised reconstruction error over the layers, shallow to deep (paper figure 5).

    Args:
        scores: per corpus, the NRE of each layer with its 95 % interval, which becomes an error bar. A corpus of a
            single song has none (nan), and gets no bars.
        mean_predictor: per corpus, the error of always predicting the mean excerpt; a corpus may be left out.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.8), layout="constrained")
        axes = figure.subplots()
        for number, (corpus, by_layer) in enumerate(scores.items()):
            colour, marker = LINES[number % len(LINES)]
            position = np.arange(len(by_layer)) + 0.06 * number
            axes.errorbar(
                position,
                [score.value for score in by_layer.values()],
                error_bars(list(by_layer.values())),
                fmt=f"{marker}-",
                color=colour,
                capsize=4,
                label=corpus,
            )
            line = mean_predictor.get(corpus)
            if line is not None:
                axes.axhline(line, color=colour, ls="--", lw=1.2, label=f"mean predictor, {line:.3f}")
            axes.set_xticks(range(len(by_layer)), [layer_title(layer) for layer in by_layer])
        axes.set(xlabel="layer that is inverted (shallow to deep)", ylabel="NRE", ylim=(0, None))
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 2))
    return figure


@two_layouts
def figure_frame_errors(errors: Mapping[str, Mapping[str, Sequence[float]]]) -> Drawing:
    """Draw the error of each frame of an excerpt, a panel per layer and a curve per family of inverters.

    Args:
        errors: per layer and family, 115 numbers from `svdlib.lab.analysis.error_maps.frame_errors`.
    """
    with rc_context(STYLE):
        figure, axes = _panels_of_layers(errors, "frame of the excerpt")
        axes.set(xlim=(0, EXCERPT_FRAMES - 1), xticks=[0, 57, 114])
    return figure


@two_layouts
def figure_band_errors(errors: Mapping[str, Mapping[str, Sequence[float]]]) -> Drawing:
    """Draw the error of each mel band, a panel per layer and a curve per family of inverters.

    Args:
        errors: per layer and family, 80 numbers from `svdlib.lab.analysis.error_maps.over_bands`.
    """
    with rc_context(STYLE):
        figure, axes = _panels_of_layers(errors, "frequency (kHz, mel scale)")
        axes.set(xlim=(0, N_BANDS - 1))
        axes.set_xticks([band_of_frequency(hertz) for hertz in TICKS_HZ], list(TICKS_HZ.values()))
    return figure


def _panels_of_layers(errors: Mapping[str, Mapping[str, Sequence[float]]], along: str) -> tuple[Drawing, Axes]:
    """The figure and the first of its panels, whose axes are shared by all."""
    columns = panel_columns(4)
    rows = -(-len(errors) // columns)
    figure = Drawing(figsize=(figure_width(), 1.75 * rows + 0.6), layout="constrained")
    grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False)
    for axes, (layer, by_family) in zip(grid.flat, errors.items(), strict=False):
        for (family, curve), (colour, _) in zip(by_family.items(), LINES, strict=False):
            axes.plot(curve, color=colour, label=family)
        axes.set_title(layer_title(layer))
    for axes in grid.flat[len(errors) :]:
        axes.set_visible(False)
    grid[0, 0].set(ylim=(0, None))
    figure.supxlabel(along, size=9)
    figure.supylabel("squared error", size=9)
    handles, names = grid[0, 0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=legend_columns(names, 3))
    return figure, grid[0, 0]


@two_layouts
def figure_intervals(
    panels: Mapping[str, Mapping[str, Mapping[str, Interval]]], unit: str, *, percent: bool = False
) -> Drawing:
    """Draw numbers with their intervals: panels one above the other, a marker per corpus, a place per layer or step.

    Args:
        panels: per title, corpus and place, a number with its interval; all panels have the same places.
        unit: for the vertical axis.
        percent: whether the numbers are shares, to be written in percent.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 1.5 * len(panels) + 1.3), layout="constrained")
        column = figure.subplots(len(panels), 1, sharex=True, squeeze=False)[:, 0]
        for axes, (title, by_corpus) in zip(column, panels.items(), strict=True):
            axes.axhline(0, color="black", lw=0.8)
            for number, (corpus, by_place) in enumerate(by_corpus.items()):
                _draw_intervals(axes, list(by_place.values()), number, len(by_corpus), corpus)
                names = [place.replace(" ", "\n") if is_for_phone() else place for place in by_place]
                axes.set_xticks(range(len(by_place)), names)
            axes.set_title(title, loc="left")
            if percent:
                axes.yaxis.set_major_formatter(lambda share, _: f"{100 * share:g}%")
        figure.supylabel(unit, size=10)
        handles, names = column[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 3))
    return figure


def _draw_intervals(axes: Axes, intervals: Sequence[Interval], number: int, of: int, label: str) -> None:
    colour, marker = LINES[number % len(LINES)]
    places = np.arange(len(intervals)) + 0.18 * (number - (of - 1) / 2)
    values = [each.value for each in intervals]
    axes.errorbar(places, values, error_bars(intervals), fmt=marker, color=colour, capsize=3, ms=5, label=label)


def error_bars(intervals: Sequence[Interval]) -> np.ndarray | None:
    """How far error bars reach down and up (2, n); None where not all are known."""
    if not all(each.is_known for each in intervals):
        return None
    return np.maximum(np.transpose([(each.value - each.low, each.high - each.value) for each in intervals]), 0)
