"""Figures of the detector: features of an excerpt, answers over a song, and how good they are over many songs."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from svdlib.audio.mel_axis import FRAME_RATE
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
    layer_title,
    legend_columns,
    panel_columns,
    two_layouts,
)

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY)
DASHES = ("-", "--", ":", "-.")
NAMED_SONGS = 8
"""With more songs their curves are thin and grey, and the legend does not list them."""
LONGEST_NAME = 28


@two_layouts
def figure_features(features: Mapping[str, np.ndarray]) -> Drawing:
    """Draw one feature map per convolutional or pooling layer, and dense features as bars.

    Args:
        features: a map (time, frequency) or a vector (units,) per layer.
    """
    columns = panel_columns((len(features) + 1) // 2)
    rows = -(-len(features) // columns)
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 1.9 * rows), layout="constrained")
        for number, (layer, values) in enumerate(features.items(), start=1):
            axes = figure.add_subplot(rows, columns, number)
            axes.set_title(f"{layer_title(layer)}: {' × '.join(map(str, values.shape))}")
            if values.ndim == 2:
                axes.imshow(values.T, origin="lower", aspect="auto", interpolation="nearest", cmap="viridis")
                axes.set(xticks=[], yticks=[], xlabel="time", ylabel="frequency")
            else:
                axes.bar(range(len(values)), values, width=1.0, color=BLUE)
                axes.set(xlabel="unit")
    return figure


@two_layouts
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
        figure = Drawing(figsize=(figure_width(), 3.6), layout="constrained")
        curve, strips = figure.subplots(2, sharex=True, height_ratios=[4, 1])
        curve.plot(seconds, probabilities, color=GREY, lw=0.5, alpha=0.7, label="every frame")
        curve.plot(seconds, smoothed, color=BLUE, lw=1.5, label="median of 56 frames")
        curve.axhline(threshold, color=ORANGE, ls="--", lw=1.2, label=f"threshold {threshold:.2f}")
        curve.set(ylim=(-0.03, 1.03), ylabel="probability of singing", title=title)
        handles, names = curve.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 3))
        for y, states, colour in ((1, sung, "black"), (0, smoothed > threshold, BLUE)):
            strips.fill_between(seconds, y - 0.35, y + 0.35, where=states, color=colour, lw=0, step="post")
        strips.set(yticks=[0, 1], yticklabels=["detector", "labels"], ylim=(-0.6, 1.6), xlabel="time (s)")
        strips.set_xlim(0, len(probabilities) / FRAME_RATE)
    return figure


@two_layouts
def figure_roc(songs: Mapping[str, Mapping[str, Sequence[float]]], pooled: Mapping[str, Sequence[float]]) -> Drawing:
    """Draw hits against false alarms, for each song and for all frames together.

    Args:
        songs: per song, "false_positive_rate" and "true_positive_rate" (points,); a song without points is left out.
        pooled: the same for all frames of all songs.
    """
    drawn = {name: curve for name, curve in songs.items() if curve["false_positive_rate"]}
    named = len(drawn) <= NAMED_SONGS
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 4.4 + 2.0 * is_for_phone()), layout="constrained")
        axes = figure.subplots()
        for number, (name, curve) in enumerate(drawn.items()):
            look: dict[str, Any] = {
                "color": COLOURS[number % 5],
                "ls": DASHES[number % 4],
                "lw": 1.4,
                "label": _shorten(name),
            }
            look = look if named else {"color": GREY, "lw": 0.7, "label": "" if number else "each song"}
            axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], **look)
        together = (pooled["false_positive_rate"], pooled["true_positive_rate"])
        axes.plot(*together, color="black", lw=2.6, label="all songs together")
        axes.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1, label="guessing")
        axes.set(xlabel="false alarms (share of the unsung frames)", ylabel="hits (share of the sung frames)")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        handles, names = axes.get_legend_handles_labels()
        if is_for_phone():
            figure.legend(handles, names, loc="outside lower center", fontsize=8.5)
        else:
            figure.legend(handles, names, loc="outside right upper", fontsize=8.5)
    return figure


@two_layouts
def figure_reliability(calibrations: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Draw what share of the frames is sung against the predicted probability, and how many frames there are.

    Args:
        calibrations: per corpus, "bins" with "prediction", "sung" and "count" each; a bin without frames has no point.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 4.6), layout="constrained")
        curve, histogram = figure.subplots(2, sharex=True, height_ratios=[3, 1])
        curve.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1.2, label="perfectly calibrated")
        for number, (corpus, fit) in enumerate(calibrations.items()):
            colour, marker = ((BLUE, "o"), (ORANGE, "s"), (GREEN, "^"))[number % 3]
            filled = [entry for entry in fit["bins"] if entry["count"]]
            points = [(entry["prediction"], entry["sung"]) for entry in filled]
            curve.plot(*np.transpose(points), f"{marker}-", color=colour, label=corpus)
            counts = np.array([entry["count"] for entry in fit["bins"]])
            width = 1 / len(counts) / (len(calibrations) + 0.5)
            place = np.arange(len(counts)) / len(counts) + (number + 0.75) * width
            histogram.bar(place, 100 * counts / counts.sum(), width=width, color=colour)
        curve.set(ylabel="share that is sung", xlim=(0, 1), ylim=(-0.02, 1.02))
        histogram.set(xlabel="predicted probability of singing", ylabel="% of frames")
        handles, names = curve.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 3))
    return figure


def _shorten(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
