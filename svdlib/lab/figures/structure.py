"""Figures of what inversions keep, measured over many excerpts; nothing is computed here beyond drawing.

They are narrow, so that their words can be read on a phone too.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from svdlib.audio.mel_axis import band_of_frequency
from svdlib.detector.model import LAYERS
from svdlib.lab.figures.spectrograms import STANDARDISED_LIMITS, draw_spectrogram
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
    panel_columns,
    two_layouts,
)

WIDTH = 5.6
LINES: tuple[tuple[str, str, Any], ...] = (
    (BLUE, "o", "-"),
    (ORANGE, "s", "--"),
    (GREEN, "^", "-."),
    (PURPLE, "D", ":"),
    (GREY, "v", (0, (5, 1, 1, 1, 1, 1))),
)

ROC_LOOKS: tuple[dict[str, Any], ...] = (
    {"color": ORANGE, "lw": 1.8, "ls": "--"},
    {"color": BLUE, "lw": 2.4, "ls": "-"},
    {"color": GREEN, "lw": 1.8, "ls": "-."},
)


def row_name(key: str) -> str:
    """What a layer is called in a figure; other keys begin with a capital letter."""
    return layer_title(key) if key in LAYERS else key[:1].upper() + key[1:]


@two_layouts
def figure_agreements(
    panels: Mapping[str, Mapping[str, Mapping[str, Sequence[float]]]],
    *,
    levels: Mapping[str, Sequence[float]] | None = None,
    level_name: str = "",
    columns: int = 2,
) -> Drawing:
    """Draw measures over the layers, several panels with several lines each.

    Args:
        panels: per title and per name of a line, for each layer: value, lower and upper end of its interval, and its
            chance level, which becomes a thin dotted line of the same colour. Intervals and chance may be nan.
        levels: per title, a number for each layer, drawn as a dotted black line.
        level_name: what this line is; stands in the legend.
        columns: how many panels stand beside each other.
    """
    rows = -(-len(panels) // columns)
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(WIDTH), 2.05 * rows + 0.75), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False, sharex=True)
        for axes, (title, lines) in zip(grid.flat, panels.items(), strict=False):
            for (name, by_layer), look in zip(lines.items(), LINES, strict=False):
                _draw_line(axes, name, by_layer, look)
            if levels and title in levels:
                axes.plot(levels[title], color="black", lw=1, ls=(0, (1, 1)), label=level_name)
            layers = list(next(iter(lines.values())))
            axes.set_xticks(range(len(layers)), [row_name(layer) for layer in layers], rotation=60)
            axes.set_title(heading(title, columns) if is_for_phone() else title)
            axes.axhline(0, color="black", lw=0.5)
        for axes in grid.flat[len(panels) :]:
            axes.set_visible(False)
        handles, names = grid[0, 0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 3, figure_width(WIDTH)))
    return figure


def _draw_line(axes: Axes, name: str, by_layer: Mapping[str, Sequence[float]], look: tuple[str, str, Any]) -> None:
    colour, marker, dashes = look
    value, low, high, chance = np.array(list(by_layer.values()), dtype=float).T
    reach = np.maximum(np.nan_to_num([value - low, high - value]), 0)
    axes.errorbar(
        range(len(value)), value, reach, marker=marker, ls=dashes, color=colour, ms=4, lw=1.3, capsize=2, label=name
    )
    axes.plot(range(len(value)), chance, color=colour, ls=":", lw=1)


@two_layouts
def figure_octaves(panels: Mapping[str, np.ndarray], rows: Sequence[str], octaves: Sequence[str]) -> Drawing:
    """Draw tables of numbers, a row per layer and a column per octave of modulation rates, shaded by their size.

    Args:
        panels: per title, an array (rows, octaves); shades go from 0 to 1.
        rows: the layers.
        octaves: what the columns are.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(WIDTH), 2.75 * len(panels) + 0.2), layout="constrained")
        stack = figure.subplots(len(panels), 1, squeeze=False)[:, 0]
        for axes, (title, numbers) in zip(stack, panels.items(), strict=True):
            axes.imshow(numbers, vmin=0, vmax=1, cmap="cividis", aspect="auto")
            for (row, column), number in np.ndenumerate(numbers):
                axes.text(
                    column, row, f"{number:z.2f}", ha="center", va="center", color="black" if number > 0.5 else "white"
                )
            dash = "–\n" if is_for_phone() else "–"
            names = [name.replace(" to ", dash).replace(" Hz", "") for name in octaves]
            axes.set_xticks(range(len(octaves)), names)
            axes.set_yticks(range(len(rows)), [row_name(row) for row in rows])
            axes.set(title=title, xlabel="rate (Hz)")
            axes.tick_params(length=0)
    return figure


@two_layouts
def figure_modulation(rates: Sequence[float], curves: Mapping[str, np.ndarray]) -> Drawing:
    """Draw how much of each modulation rate is in inversions.

    Args:
        rates: in hertz (rates,).
        curves: per layer, energy of the inversions' modulations divided by that of the originals' (rates,).
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(WIDTH), 3.3), layout="constrained")
        axes = figure.subplots()
        for (layer, curve), (colour, _, dashes) in zip(curves.items(), LINES, strict=False):
            axes.plot(rates, curve, ls=dashes, color=colour, lw=1.5, label=row_name(layer))
        axes.axhline(1, color="black", lw=0.7)
        axes.set(xscale="log", yscale="log", xlabel="rate of the modulation (Hz)", ylabel="energy, of the original's")
        axes.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
        axes.minorticks_off()
        axes.yaxis.set_major_formatter("{x:g}")
        names = [row_name(layer) for layer in curves]
        figure.legend(loc="outside lower center", ncols=legend_columns(names, 3))
    return figure


@two_layouts
def figure_shifts(panels: Mapping[str, Mapping[str, Sequence[float]]], frames: Sequence[int]) -> Drawing:
    """Draw whether fine structure moves along when the excerpt does: a panel per painter.

    Args:
        panels: per title "stays" and "moves", see `svdlib.lab.analysis.texture.after_a_shift`, for each shift.
        frames: the shifts.
    """
    looks = {"moves": "moves with the sound", "stays": "stays where it was"}
    with rc_context(STYLE):
        columns = panel_columns(min(3, len(panels)))
        rows = -(-len(panels) // columns)
        figure = Drawing(figsize=(figure_width(WIDTH), 2.2 * rows + 0.6), layout="constrained")
        grid = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).ravel()
        for axes, (title, values) in zip(grid, panels.items(), strict=False):
            axes.axhline(0, color="black", lw=0.7)
            axes.set_title(heading(title, columns), loc="left", fontsize="medium")
            axes.set_xticks(list(frames))
            axes.set_xlabel("shift (frames)", size="small")
            axes.tick_params(labelbottom=True)
            for (key, name), (colour, marker, dashes) in zip(looks.items(), LINES, strict=False):
                axes.plot(frames, values[key], marker, ls=dashes, color=colour, label=name)
        for axes in grid[len(panels) :]:
            axes.set_visible(False)
        figure.supylabel("agreement", size=10)
        names = list(looks.values())
        figure.legend(*grid[0].get_legend_handles_labels(), loc="outside lower center", ncols=legend_columns(names, 2))
    return figure


@two_layouts
def figure_class_dependence(values: Mapping[str, np.ndarray], sung: np.ndarray, unit: str) -> Drawing:
    """Draw a number per excerpt for both classes, as clouds of points with their medians.

    Args:
        values: per panel title, one number per excerpt (excerpts,).
        sung: the class of each excerpt (excerpts,), true for vocal.
        unit: what the numbers are; stands at the axis.
    """
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(sung))
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.2), layout="constrained")
        panels = figure.subplots(1, len(values), squeeze=False)[0]
        for axes, (title, numbers) in zip(panels, values.items(), strict=True):
            for y, (members, colour) in enumerate(((~sung, ORANGE), (sung, BLUE))):
                axes.plot(numbers[members], y + jitter[members], ".", ms=4, alpha=0.5, color=colour, mew=0)
                axes.plot([np.median(numbers[members])] * 2, [y - 0.38, y + 0.38], color="black", lw=2)
            axes.set(title=title, yticks=[0, 1], yticklabels=["non-vocal", "vocal"], ylim=(-0.6, 1.6))
        for axes in panels[1:]:
            axes.tick_params(labelleft=False)
        figure.supxlabel(unit, size=10)
    return figure


@two_layouts
def figure_roc(panels: Mapping[str, Mapping[str, tuple[np.ndarray, np.ndarray]]]) -> Drawing:
    """Draw how well numbers tell two classes apart, at every threshold: a panel per number, a curve per picture.

    Args:
        panels: per title and per name of a curve, false-positive and true-positive rates, see
            `svdlib.detector.scores.roc_points`.
    """
    with rc_context(STYLE):
        columns = panel_columns(len(panels), 1)
        rows = -(-len(panels) // columns)
        figure = Drawing(figsize=(figure_width(), 4.8 * rows), layout="constrained")
        grid = figure.subplots(rows, columns, squeeze=False).flat
        for axes, (title, curves) in zip(grid, panels.items(), strict=False):
            axes.plot([0, 1], [0, 1], color=GREY, lw=1, ls=(0, (1, 1)), label="no separation")
            for (name, (false_rate, true_rate)), look in zip(curves.items(), ROC_LOOKS, strict=False):
                axes.plot(false_rate, true_rate, label=name, **look)
            axes.set(xlabel="share of the others above the threshold", ylabel="share of “sung” above it")
            axes.set(title=title, aspect="equal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
            axes.set(xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
            axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.16))
    return figure


@two_layouts
def figure_walks(pictures: Mapping[str, torch.Tensor], answers: Mapping[str, Sequence[float]]) -> Drawing:
    """Draw walks between two excerpts: a row per layer, the steps from left to right.

    Args:
        pictures: per layer, the standardised inversions of the steps (steps, 115, 80).
        answers: per layer, the detector's answer to the feature at each step; stands above each picture.
    """
    steps = len(next(iter(pictures.values())))
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(WIDTH), 1.2 * len(pictures) + 0.9), layout="constrained")
        grid = figure.subplots(len(pictures), steps, squeeze=False, sharex=True, sharey=True)
        for row, (layer, walked) in enumerate(pictures.items()):
            for column, picture in enumerate(walked):
                axes = grid[row, column]
                image = draw_spectrogram(
                    axes, picture, limits=STANDARDISED_LIMITS, title=f"{answers[layer][column]:.2f}",
                    show_frequencies=False, show_times=False,
                )  # fmt: skip
                axes.set(xticks=[], yticks=[])
            grid[row, 0].set_ylabel(row_name(layer), rotation=90, weight="bold")
        for column in range(steps):
            grid[-1, column].set_xlabel(f"{column / (steps - 1):.0%}")
        bar = figure.colorbar(
            image, ax=grid, label="deviations from the mean of the band", location="bottom", aspect=50, pad=0.02
        )
        bar.locator = MaxNLocator(5)
        bar.update_ticks()
    return figure


@two_layouts
def figure_walk_answers(curves: Mapping[str, np.ndarray], threshold: float) -> Drawing:
    """Draw how the detector's answer changes along walks from a non-vocal to a vocal excerpt.

    Args:
        curves: per layer, the mean answer at each step (steps,).
        threshold: above it the detector says "sung".
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(WIDTH), 3.5), layout="constrained")
        axes = figure.subplots()
        for (layer, curve), (colour, marker, dashes) in zip(curves.items(), LINES, strict=False):
            way = np.linspace(0, 100, len(curve))
            axes.plot(way, curve, marker=marker, ls=dashes, color=colour, ms=4, lw=1.4, label=row_name(layer))
        axes.axhline(threshold, color="black", lw=0.8, ls=(0, (1, 1)), label=f"threshold {threshold:.2f}")
        axes.set(xlabel="way from the non-vocal to the vocal excerpt (%)", ylabel="mean answer", ylim=(0, 1))
        _, names = axes.get_legend_handles_labels()
        figure.legend(loc="outside lower center", ncols=legend_columns(names, 3))
    return figure


@two_layouts
def figure_class_means(
    pictures: Mapping[str, tuple[torch.Tensor, torch.Tensor]], limits: tuple[float, float]
) -> Drawing:
    """Draw pictures of the mean of each class, and the difference of their spectra.

    Args:
        pictures: per row, the standardised pictures (115, 80) of the non-vocal and of the vocal mean.
        limits: the values of the darkest and the brightest colour.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(WIDTH), 1.25 * len(pictures) + 0.9), layout="constrained")
        grid = figure.subplots(len(pictures), 3, squeeze=False, sharey=True)
        for (row, pair), panels in zip(pictures.items(), grid, strict=True):
            for axes, picture in zip(panels, pair, strict=False):
                image = draw_spectrogram(axes, picture, limits=limits, show_frequencies=False, show_times=False)
                axes.set(xticks=[], yticks=[])
            non_vocal, vocal = (each.detach().cpu().mean(dim=0).numpy() for each in pair)
            difference = vocal - non_vocal
            panels[2].plot(difference, np.arange(len(difference)), color=BLUE, lw=1.4)
            panels[2].axvline(0, color="black", lw=0.6)
            reach = max(1e-6, float(np.abs(difference).max()))
            panels[2].set_xlim(-1.15 * reach, 1.15 * reach)
            panels[2].set_xticks([-reach, 0, reach], [f"−{reach:.2g}", "0", f"{reach:.2g}"])
            panels[0].set_ylabel(row_name(row).replace(" ", "\n"), weight="bold")
            panels[2].set_yticks([band_of_frequency(hertz) for hertz in (250, 4000)])
            panels[2].set_yticklabels(["250 Hz", "4 kHz"])
            panels[2].tick_params(labelleft=False, labelright=True)
        difference_title = "vocal −\nnon-vocal" if is_for_phone() else "vocal − non-vocal"
        for axes, title in zip(grid[0], ("non-vocal", "vocal", difference_title), strict=True):
            axes.set_title(title)
        bar = figure.colorbar(
            image, ax=grid, label="deviations from the mean of the band", location="bottom", aspect=50, pad=0.02
        )
        bar.locator = MaxNLocator(5)
        bar.update_ticks()
    return figure
