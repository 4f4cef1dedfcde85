"""Figures about how good the detector is: its receiver operating characteristic and its calibration."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context

from svdlib.lab.figures.style import BLUE, GREEN, GREY, ORANGE, PURPLE, STYLE, Drawing

COLOURS = (BLUE, ORANGE, GREEN, PURPLE, GREY)
DASHES = ("-", "--", ":", "-.")
NAMED_SONGS = 8
"""With more songs their curves are thin and grey, and the legend does not list them."""
LONGEST_NAME = 28


def figure_roc(songs: Mapping[str, Mapping[str, Sequence[float]]], pooled: Mapping[str, Sequence[float]]) -> Drawing:
    """Draw hits against false alarms, for each song and for all frames together.

    Args:
        songs: per song, "false_positive_rate" and "true_positive_rate" (points,); a song without points is left out.
        pooled: the same for all frames of all songs.
    """
    drawn = {name: curve for name, curve in songs.items() if curve["false_positive_rate"]}
    named = len(drawn) <= NAMED_SONGS
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 4.4), layout="constrained")
        axes = figure.subplots()
        for number, (name, curve) in enumerate(drawn.items()):
            look = {"color": COLOURS[number % 5], "ls": DASHES[number % 4], "lw": 1.4, "label": _shorten(name)}
            look = look if named else {"color": GREY, "lw": 0.7, "label": "" if number else "each song"}
            axes.plot(curve["false_positive_rate"], curve["true_positive_rate"], **look)
        together = (pooled["false_positive_rate"], pooled["true_positive_rate"])
        axes.plot(*together, color="black", lw=2.6, label="all songs together")
        axes.plot([0, 1], [0, 1], color=GREY, ls=":", lw=1, label="guessing")
        axes.set(xlabel="false alarms (share of the unsung frames)", ylabel="hits (share of the sung frames)")
        axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect="equal")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside right upper", fontsize=8.5)
    return figure


def figure_reliability(calibrations: Mapping[str, Mapping[str, Any]]) -> Drawing:
    """Draw what share of the frames is sung against the predicted probability, and how many frames there are.

    Args:
        calibrations: per corpus, "bins" with "prediction", "sung" and "count" each; a bin without frames has no point.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 4.6), layout="constrained")
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
        figure.legend(*curve.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return figure


def _shorten(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME - 1]}…"
