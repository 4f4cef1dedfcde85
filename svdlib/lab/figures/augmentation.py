"""The figures of the chapter on augmentation; nothing is computed here beyond drawing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from matplotlib import rc_context
from torch import Tensor

from svdlib.audio.mel_axis import band_frequencies
from svdlib.lab.analysis.measures import describe
from svdlib.lab.figures.gallery import Panel
from svdlib.lab.figures.spectrograms import draw_spectrogram
from svdlib.lab.figures.style import (
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    STYLE,
    Drawing,
    figure_width,
    legend_columns,
    panel_columns,
    two_layouts,
)

GAP_FRAMES = 14
"""Silence between before and after: 0.2 s."""

LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"))


@dataclass(frozen=True)
class BeforeAfter(Panel):
    """An excerpt twice, before and after a change.

    Attributes:
        frames_before: how many frames of `log_mel` are the excerpt as it was.
    """

    frames_before: int = 0

    @property
    def description(self) -> str:
        """The title, and what measurements say about both."""
        before, after = self.log_mel[: self.frames_before], self.log_mel[self.frames_before + GAP_FRAMES :]
        return f"{self.title}, as spectrograms. Before: {describe(before)}. After: {describe(after)}."


def before_after(title: str, before: Tensor, after: Tensor, note: str = "") -> BeforeAfter:
    """Make a panel that shows and plays an excerpt twice: before a change and, after a short pause, changed.

    Both have one colour scale and one volume, so that a change of level can be seen and heard too.

    Args:
        title: names the change.
        before: raw log-mel (frames, 80).
        after: likewise, of any length.
        note: a line below the player.
    """
    pause = torch.minimum(before.min(), after.min()).expand(GAP_FRAMES, before.shape[1])
    log_mel = torch.cat([before, pause, after])
    return BeforeAfter(f"Before, then after: {title}", log_mel, note=note, frames_before=len(before))


@two_layouts
def figure_draws(log_mels: Sequence[Tensor], titles: Sequence[str]) -> Drawing:
    """Draw an excerpt and random changes of it, on one colour scale.

    Args:
        log_mels: (frames, 80) each, raw; the first is the original.
        titles: what stands above each.
    """
    columns = panel_columns(3)
    limits = (float(log_mels[0].min()), float(log_mels[0].max()))
    with rc_context(STYLE):
        rows = -(-len(log_mels) // columns)
        figure = Drawing(figsize=(figure_width(), 1.9 * rows), layout="constrained")
        panels = figure.subplots(rows, columns, sharex=True, sharey=True, squeeze=False).flat
        for number, axes in enumerate(panels):
            if number >= len(log_mels):
                axes.set_visible(False)
                continue
            lowest_of_column = number + columns >= len(log_mels)
            draw_spectrogram(axes, log_mels[number], limits=limits, title=titles[number], show_times=lowest_of_column)
    return figure


@two_layouts
def figure_filters(responses: Mapping[str, np.ndarray]) -> Drawing:
    """Draw what random filters do to each frequency.

    Args:
        responses: per name, decibels (80,) at the mel bands' peaks.
    """
    hertz = band_frequencies().numpy()
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 2.9), layout="constrained")
        axes = figure.subplots()
        axes.axhline(0, color=GREY, lw=0.8)
        for (name, response), (colour, dashes) in zip(responses.items(), LINES, strict=False):
            axes.plot(hertz, response, dashes, color=colour, label=name)
        axes.set(xscale="log", xlabel="frequency (Hz, log scale)", ylabel="gain (dB)", xlim=(hertz[0], hertz[-1]))
        axes.set_xticks([100, 200, 500, 1000, 2000, 5000], ["100", "200", "500", "1000", "2000", "5000"])
        axes.set_xticks([], minor=True)
        figure.legend(loc="outside lower center", ncols=legend_columns(list(responses), 2))
    return figure


@two_layouts
def figure_answers(before: np.ndarray, after: Mapping[str, np.ndarray], sung: np.ndarray) -> Drawing:
    """Draw the detector's mean answer to sung and unsung excerpts, unchanged and after each change.

    Args:
        before: probabilities (excerpts,) for the excerpts as they are.
        after: per change, probabilities (excerpts,) for the same excerpts, changed.
        sung: labels (excerpts,).
    """
    rows = {"unchanged": before, **after}
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 0.36 * len(rows) + 1.2), layout="constrained")
        axes = figure.subplots()
        places = np.arange(len(rows))[::-1]
        for label, chosen, colour, marker in (("not sung", ~sung, BLUE, "o"), ("sung", sung, ORANGE, "s")):
            if chosen.any():
                means = [answers[chosen].mean() for answers in rows.values()]
                axes.axvline(means[0], color=colour, ls=":", lw=1)
                axes.plot(means, places, marker, color=colour, label=f"{label} ({chosen.sum()} excerpts)")
        axes.set_yticks(places, list(rows))
        axes.set(xlim=(0, 1), xlabel="mean probability of singing")
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
    return figure
