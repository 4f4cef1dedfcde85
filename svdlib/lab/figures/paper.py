"""The figures and tables of the paper, one function each, in one style; nothing is computed here beyond drawing.

Figures 1 to 3 are diagrams, drawn in `svdlib.lab.figures.diagrams` from the networks themselves. Figure 5 and its
relatives are drawn in `svdlib.lab.figures.nre`.
"""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from svdlib.audio.log_mel import FRAME_RATE, N_BANDS
from svdlib.detector.model import LAYER_SHAPES
from svdlib.inversion.inverters import FeatureInverter, build_inverter, count_parameters
from svdlib.lab.analysis.measures import band_of_frequency
from svdlib.lab.figures.diagrams import figure_detector, figure_inverter, figure_method, shape_text
from svdlib.lab.figures.nre import figure_band_errors, figure_frame_errors, figure_intervals, figure_nre
from svdlib.lab.figures.style import BLUE, GREY, ORANGE, STYLE, Drawing, layer_title

if TYPE_CHECKING:
    from svdlib.inversion.training import Epoch

__all__ = [
    "draw_spectrogram", "figure_band_errors", "figure_class_dependence", "figure_detector", "figure_excerpt",
    "figure_features", "figure_frame_errors", "figure_geometry", "figure_intervals", "figure_inversions",
    "figure_inverter", "figure_kept", "figure_method", "figure_nre", "figure_song_curve", "figure_training",
    "table_inverters", "table_stages",
]  # fmt: skip

COLOUR_MAP = "magma"
"""Even steps in lightness: it reads the same for colour-blind eyes and in print."""

STANDARDISED_LIMITS = (-2.5, 2.5)
"""The colour scale of standardised spectrograms, in deviations from each band's mean."""

TICKS_HZ = {250: "250 Hz", 1000: "1 kHz", 4000: "4 kHz"}


def draw_spectrogram(
    axes: Axes,
    log_mel: np.ndarray | torch.Tensor,
    *,
    limits: tuple[float, float] | None = None,
    title: str = "",
    start: float = 0.0,
    show_frequencies: bool = True,
    show_times: bool = True,
) -> AxesImage:
    """Draw a spectrogram with time in seconds and frequency in hertz on the mel scale.

    Args:
        axes: where to draw.
        log_mel: (frames, 80), standardised or not.
        limits: the values of the darkest and the brightest colour; None takes the extremes of the data.
        title: stands above.
        start: time of the first frame, in seconds.
        show_frequencies: whether the frequency axis has labels.
        show_times: whether the time axis has labels.

    Returns:
        The image, for a colour bar.
    """
    values = torch.as_tensor(log_mel).detach().cpu().numpy()
    low, high = limits if limits else (None, None)
    image = axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=COLOUR_MAP,
        vmin=low,
        vmax=high,
        extent=(start, start + len(values) / FRAME_RATE, -0.5, N_BANDS - 0.5),
    )
    axes.set_yticks([band_of_frequency(hertz) for hertz in TICKS_HZ], list(TICKS_HZ.values()))
    axes.tick_params(labelleft=show_frequencies, labelbottom=show_times)
    if show_times:
        axes.set_xlabel("time (s)")
    axes.set_title(title)
    return image


def figure_excerpt(log_mel: np.ndarray | torch.Tensor, title: str = "") -> Drawing:
    """Draw one excerpt large, its centre frame marked (paper figure 4).

    Args:
        log_mel: (115, 80), natural-log mel magnitudes, not standardised.
        title: stands above.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 3.4), layout="constrained")
        axes = figure.subplots()
        image = draw_spectrogram(axes, log_mel, title=title)
        axes.set_ylabel("frequency (mel scale)")
        centre = (len(log_mel) // 2 + 0.5) / FRAME_RATE
        axes.plot([centre, centre], [0, 1], transform=axes.get_xaxis_transform(), color="white", ls=":", lw=1.2)
        figure.colorbar(image, ax=axes, label="log magnitude")
    return figure


def figure_features(features: Mapping[str, np.ndarray]) -> Drawing:
    """Draw one feature map per convolutional or pooling layer, and dense features as bars.

    Args:
        features: a map (time, frequency) or a vector (units,) per layer.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 3.8), layout="constrained")
        for number, (layer, values) in enumerate(features.items(), start=1):
            axes = figure.add_subplot(2, (len(features) + 1) // 2, number)
            axes.set_title(f"{layer_title(layer)}: {' × '.join(map(str, values.shape))}")
            if values.ndim == 2:
                axes.imshow(values.T, origin="lower", aspect="auto", interpolation="nearest", cmap="viridis")
                axes.set(xticks=[], yticks=[], xlabel="time", ylabel="frequency")
            else:
                axes.bar(range(len(values)), values, width=1.0, color=BLUE)
                axes.set(xlabel="unit")
    return figure


def figure_song_curve(
    probabilities: np.ndarray, smoothed: np.ndarray, sung: np.ndarray, threshold: float, title: str = ""
) -> Drawing:
    """Draw what the detector says over a song, beside the labels.

    Args:
        probabilities: of singing, per frame (frames,).
        smoothed: the same after the median filter (frames,).
        sung: the labels (frames,), true where somebody sings.
        threshold: above it the detector says "sung".
        title: stands above.
    """
    seconds = np.arange(len(probabilities)) / FRAME_RATE
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 3.6), layout="constrained")
        curve, strips = figure.subplots(2, sharex=True, height_ratios=[4, 1])
        curve.plot(seconds, probabilities, color=GREY, lw=0.5, alpha=0.7, label="every frame")
        curve.plot(seconds, smoothed, color=BLUE, lw=1.5, label="median of 56 frames")
        curve.axhline(threshold, color=ORANGE, ls="--", lw=1.2, label=f"threshold {threshold:.2f}")
        curve.set(ylim=(-0.03, 1.03), ylabel="probability of singing", title=title)
        figure.legend(*curve.get_legend_handles_labels(), loc="outside lower center", ncols=3)
        for y, states, colour in ((1, sung, "black"), (0, smoothed > threshold, BLUE)):
            strips.fill_between(seconds, y - 0.35, y + 0.35, where=states, color=colour, lw=0, step="post")
        strips.set(yticks=[0, 1], yticklabels=["detector", "labels"], ylim=(-0.6, 1.6), xlabel="time (s)")
        strips.set_xlim(0, len(probabilities) / FRAME_RATE)
    return figure


def figure_geometry(
    frames_read: Mapping[str, Sequence[tuple[int, int] | None]], blind: Mapping[str, Sequence[int]]
) -> Drawing:
    """Draw which frames of the original each frame of an inversion can know about.

    Args:
        frames_read: per layer, for each frame of the inversion, the first and last frame of the original that its
            feature cells have seen.
        blind: per layer, the frames that are painted from cells that have not seen them.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 3.1), layout="constrained")
        panels = figure.subplots(1, len(frames_read), sharey=True, squeeze=False)[0]
        for axes, (layer, intervals) in zip(panels, frames_read.items(), strict=True):
            known = [(frame, *interval) for frame, interval in enumerate(intervals) if interval]
            frames, first, last = np.array(known).T
            axes.fill_between(frames, first, last, color=BLUE, alpha=0.45, lw=0, label="what its cells have seen")
            axes.plot([0, len(intervals)], [0, len(intervals)], color="black", lw=1, label="the frame itself")
            axes.plot(blind[layer], blind[layer], ".", ms=3.5, color=ORANGE, label="blind: not among them")
            axes.set_title(f"{layer_title(layer)}: {len(blind[layer])} blind")
            axes.set(xlabel="frame of inversion", xlim=(0, len(intervals)), ylim=(0, len(intervals)))
        panels[0].set_ylabel("frame of original")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3, markerscale=2.5)
    return figure


def figure_training(history: "Sequence[Epoch]") -> Drawing:
    """Draw the losses of a training run over its epochs.

    Args:
        history: one entry per epoch, from `svdlib.fit_inverters`.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 3.4), layout="constrained")
        axes = figure.subplots()
        epochs = range(1, len(history) + 1)
        layers = list(history[0].training)
        for number, layer in enumerate(layers):
            colour = BLUE if len(layers) == 1 else _layer_colour(number, len(layers))
            name = layer_title(layer)
            axes.plot(
                epochs, [epoch.training[layer] for epoch in history], "o-", ms=4, color=colour, label=f"{name} training"
            )
            axes.plot(
                epochs,
                [epoch.validation[layer] for epoch in history],
                "s--",
                ms=4,
                color=colour,
                mfc="white",
                label=f"{name} validation",
            )
        axes.set(yscale="log", xlabel="epoch", ylabel="loss (log scale)")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}")  # not as powers of ten
        axes.xaxis.get_major_locator().set_params(integer=True)
        figure.legend(loc="outside right upper", fontsize=8.5)
    return figure


def _layer_colour(number: int, count: int) -> tuple[float, float, float, float]:
    from matplotlib import colormaps

    return colormaps["viridis"](0.9 * number / max(1, count - 1))


def figure_inversions(excerpts: Mapping[str, Mapping[str, np.ndarray | torch.Tensor]]) -> Drawing:
    """Draw excerpts above their inversions from every layer, all on one colour scale (paper figure 6).

    The paper has one excerpt per row; with one per column, nine pictures of each stay readable on a page.

    Args:
        excerpts: per excerpt, by what stands above its column, the standardised spectrograms (115, 80): "input", then
            the layers.
    """
    keys = list(next(iter(excerpts.values())))
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 0.95 * len(keys) + 1.0), layout="constrained")
        grid = figure.subplots(len(keys), len(excerpts), sharex=True, sharey=True, squeeze=False)
        for column, (name, pictures) in enumerate(excerpts.items()):
            for row, (key, picture) in enumerate(pictures.items()):
                axes = grid[row, column]
                image = draw_spectrogram(
                    axes, picture, limits=STANDARDISED_LIMITS, title="" if row else name,
                    show_frequencies=column == 0, show_times=row == len(keys) - 1,
                )  # fmt: skip
                axes.set(yticks=[band_of_frequency(hertz) for hertz in (250, 4000)])
                axes.set_yticklabels(["250 Hz", "4 kHz"])
                if column == 0:
                    axes.set_ylabel(_row_title(key), rotation=0, ha="right", va="center", weight="bold")
        figure.colorbar(
            image, ax=grid, label="deviations from the mean of the band", location="bottom", aspect=50, pad=0.02
        )
    return figure


def _row_title(key: str) -> str:
    return layer_title(key) if key in LAYER_SHAPES else key.capitalize()


def figure_kept(
    matches: Mapping[str, Mapping[str, tuple[float, float, float]]], chance: Mapping[str, float]
) -> Drawing:
    """Draw what inversions share with their originals, over the layers.

    Args:
        matches: per measure, for each layer: mean, and lower and upper end of its interval.
        chance: per measure, what inversions of other excerpts score.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 3.4), layout="constrained")
        axes = figure.subplots()
        for (measure, by_layer), (colour, marker) in zip(matches.items(), ((BLUE, "o"), (ORANGE, "s")), strict=False):
            mean, low, high = np.array(list(by_layer.values())).T
            axes.errorbar(
                range(len(by_layer)),
                mean,
                np.maximum([mean - low, high - mean], 0),
                fmt=f"{marker}-",
                color=colour,
                capsize=4,
                label=measure,
            )
            axes.axhline(chance[measure], color=colour, ls=":", lw=1.2, label=f"{measure}: another excerpt")
            axes.set_xticks(range(len(by_layer)), [layer_title(layer) for layer in by_layer])
        axes.set(
            xlabel="layer that is inverted (shallow to deep)",
            ylabel="correlation",
            ylim=(min(0, axes.get_ylim()[0]), 1.02),
        )
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure


def figure_class_dependence(values: Mapping[str, np.ndarray], sung: np.ndarray, unit: str) -> Drawing:
    """Draw a number per excerpt for both classes, as clouds of points with their medians.

    Args:
        values: per panel title, one number per excerpt (excerpts,).
        sung: the class of each excerpt (excerpts,), true for vocal.
        unit: what the numbers are; stands at the axis.
    """
    jitter = np.random.default_rng(0).uniform(-0.28, 0.28, len(sung))
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 3.2), layout="constrained")
        panels = figure.subplots(1, len(values), squeeze=False)[0]
        for axes, (title, numbers) in zip(panels, values.items(), strict=True):
            for y, (members, colour) in enumerate(((~sung, ORANGE), (sung, BLUE))):
                axes.plot(numbers[members], y + jitter[members], ".", ms=4, alpha=0.5, color=colour, mew=0)
                axes.plot([np.median(numbers[members])] * 2, [y - 0.38, y + 0.38], color="black", lw=2)
            axes.set(title=title, xlabel=unit, yticks=[0, 1], yticklabels=["non-vocal", "vocal"], ylim=(-0.6, 1.6))
        for axes in panels[1:]:
            axes.tick_params(labelleft=False)
    return figure


def table_stages(inverter: FeatureInverter) -> list[dict[str, str]]:
    """List an inverter's stages with the shapes of a forward pass (paper table 1 shows that of FC7).

    Args:
        inverter: any inverter.

    Returns:
        Rows with "Layer", "Input shape", "Units" and "Output shape"; shapes are channels × time × frequency.
    """
    with torch.no_grad():
        training = inverter.training
        outputs = inverter.eval().stage_outputs(torch.zeros(1, *LAYER_SHAPES[inverter.layer]))
        inverter.train(training)
    before = LAYER_SHAPES[inverter.layer]
    rows = []
    for name, output in outputs.items():
        after = tuple(output.shape[1:])
        if name == "output":
            rows.append(_row("Fit to excerpt", before, "-", after))
            continue
        core = inverter.stages[name][0]
        taken = _taken(core, before)
        if len(taken) != len(before):
            rows.append(_row("Reshape", before, "-", taken))
        rows.append(_row(name, taken, str(after[0]), after))
        before = after
    return rows


def _taken(core: torch.nn.Module, before: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a stage takes: a dense feature is folded into square maps for a convolution."""
    if isinstance(core, torch.nn.Linear) or len(before) == 3:
        return before
    side = round((before[0] / core.in_channels) ** 0.5)
    return core.in_channels, side, side


def _row(name: str, before: Sequence[int], units: str, after: Sequence[int]) -> dict[str, str]:
    return {"Layer": name, "Input shape": shape_text(before), "Units": units, "Output shape": shape_text(after)}


def table_inverters(variant: str = "published") -> list[dict[str, str | int]]:
    """List the eight inverters, deep to shallow (paper table 2), with their numbers of parameters.

    Returns:
        Rows with "Inv-idx", "Inv-inp", "Inv-depth", "Inv-nconv" and "Parameters".
    """
    rows = []
    for layer in reversed(LAYER_SHAPES):
        inverter = build_inverter(layer, variant)
        cores = [stage[0] for stage in inverter.stages.values()]
        rows.append(
            {
                "Inv-idx": layer_title(layer),
                "Inv-inp": shape_text(LAYER_SHAPES[layer]),
                "Inv-depth": len(cores),
                "Inv-nconv": sum(isinstance(core, torch.nn.Conv2d) for core in cores),
                "Parameters": count_parameters(inverter),
            }
        )
    return rows
