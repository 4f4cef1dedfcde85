"""The two figures of `svdlib invert`: an excerpt beside its inversions, and the detector's curve over a song."""

import math
from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from matplotlib.ticker import FuncFormatter, MaxNLocator

from svdlib.audio.mel_axis import DECIBELS_PER_NEPER, FRAME_RATE, N_BANDS, band_of_frequency
from svdlib.lab.figures.style import layer_title

LABELLED_HZ = (100, 500, 1000, 2000, 4000, 7000)
RAREST_SHARE = 1
"""Percent of the input's cells that are darker than the colour scale reaches: silence would take most of it."""
DOTS_ACROSS = 3300  # of the curve's figure, two for each that a file has
LONGEST_NAME = 50  # characters, to fit into a title
CURVE, EXCERPT, THRESHOLD = "#1b5e9b", "#e07b00", "#444444"


def plot_inversions(
    log_mels: Mapping[str, np.ndarray],
    distances: Mapping[str, float],
    *,
    name: str,
    excerpt: tuple[float, float],
    typical_distance: float = math.nan,
) -> Figure:
    """Draw an excerpt and its inversions in a grid, on the colour scale of the excerpt.

    Args:
        log_mels: "input" first, then the layers: each (115, 80), natural-log mel magnitudes, not standardised.
        distances: distance to the input per layer, for the titles.
        name: the song's name.
        excerpt: first and last moment of the excerpt in the song, in seconds.
        typical_distance: distance between two excerpts of the song, for comparison; nan if not known.
    """
    figure = Figure(figsize=(11, 8.5), layout="constrained")
    axes = list(figure.subplots(math.ceil(len(log_mels) / 3), 3, sharex=True, sharey=True).flat)
    levels = {key: DECIBELS_PER_NEPER * log_mel for key, log_mel in log_mels.items()}
    low, high = np.percentile(levels["input"], RAREST_SHARE), levels["input"].max()
    high = max(high, low + 1)
    for panel, (key, level) in zip(axes, levels.items(), strict=False):
        image = _draw_spectrogram(panel, level, excerpt[0], (low, high))
        title = "Input" if key == "input" else f"{layer_title(key)}: distance {distances[key]:.1f}"
        panel.set_title(title, fontsize=12, fontweight="bold" if key == "input" else None)
    for unused in axes[len(log_mels) :]:
        unused.remove()
    bar = figure.colorbar(image, ax=list(figure.axes), shrink=0.6, aspect=30, pad=0.015, extend="both")
    bar.set_label("level of the mel band (dB)")
    _set_title(
        figure, f"{_shorten(name)}, {excerpt[0]:.1f} to {excerpt[1]:.1f} s: the input and what each layer keeps of it"
    )
    figure.supxlabel(f"time in the song (s)\n{_explain_distance(typical_distance)}", fontsize=11, linespacing=1.5)
    figure.supylabel("frequency (Hz)", fontsize=11)
    return figure


def plot_detector_curve(
    probabilities: np.ndarray, *, threshold: float, name: str, excerpt: tuple[float, float]
) -> Figure:
    """Draw the probability of singing over a song, with the threshold and the excerpt that was inverted.

    Args:
        probabilities: smoothed (frames,), 70 per second.
        threshold: above it a frame counts as sung.
        name: the song's name.
        excerpt: first and last moment of the excerpt in the song, in seconds.
    """
    figure = Figure(figsize=(11, 3.6), layout="constrained")
    axes = figure.subplots()
    last = (len(probabilities) - 1) / FRAME_RATE
    frames = _drawn_frames(probabilities)
    times, probabilities = frames / FRAME_RATE, probabilities[frames]
    sung = probabilities > threshold
    axes.axvspan(*excerpt, color=EXCERPT, alpha=0.3, linewidth=0)
    axes.axvline(sum(excerpt) / 2, color=EXCERPT, linewidth=1.5, label="inverted excerpt")
    axes.fill_between(
        times, threshold, probabilities, where=sung, color=CURVE, alpha=0.25, linewidth=0, label="counts as sung"
    )
    axes.plot(times, probabilities, color=CURVE, linewidth=1, label="probability of singing")
    axes.axhline(threshold, color=THRESHOLD, linewidth=1.2, linestyle="--", label=f"threshold {threshold:.2f}")
    axes.set(xlim=(0, last), ylim=(0, 1.02), xlabel="time in the song (min:s)", ylabel="probability")
    axes.xaxis.set_major_locator(MaxNLocator(nbins=12, steps=[1, 1.5, 2, 3, 6, 10]))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda seconds, _: _clock(seconds)))
    axes.spines[["top", "right"]].set_visible(False)
    figure.legend(loc="outside lower center", ncols=4, frameon=False)
    _set_title(figure, f"Singing voice detected in {_shorten(name)}")
    return figure


def _drawn_frames(curve: np.ndarray) -> np.ndarray:
    """Which frames of a curve (frames,) to draw: of a long one, the lowest and the highest that share a dot."""
    size = len(curve) // DOTS_ACROSS
    if size < 8:
        return np.arange(len(curve))
    groups = curve[: len(curve) // size * size].reshape(-1, size)
    starts = np.arange(0, len(groups) * size, size)
    rest = np.arange(len(groups) * size, len(curve))
    return np.unique(np.concatenate([starts + groups.argmin(axis=1), starts + groups.argmax(axis=1), rest]))


def _draw_spectrogram(axes: Axes, level: np.ndarray, start: float, limits: tuple[float, float]) -> AxesImage:
    extent = (start, start + len(level) / FRAME_RATE, -0.5, N_BANDS - 0.5)
    axes.set_yticks([band_of_frequency(hz) for hz in LABELLED_HZ], [f"{hz}" for hz in LABELLED_HZ])
    axes.set_ylim(extent[2:])
    axes.xaxis.set_major_locator(MaxNLocator(nbins=5, prune="both"))
    return axes.imshow(
        level.T, origin="lower", aspect="auto", extent=extent, cmap="magma", vmin=limits[0], vmax=limits[1]
    )


def _explain_distance(typical: float) -> str:
    explanation = "Distance: Euclidean, between the standardised log-mel spectrograms; 0 is a perfect inversion."
    if math.isfinite(typical):
        explanation += f"\nTwo excerpts of this song lie {typical:.1f} apart on average."
    return explanation


def _shorten(name: str) -> str:
    return name if len(name) <= LONGEST_NAME else f"{name[: LONGEST_NAME // 2]}…{name[-LONGEST_NAME // 2 :]}"


def _set_title(figure: Figure, title: str) -> None:
    # A file may be named with dollar signs, which are no formula, or with bytes that are no text.
    text = title.encode("utf-8", "replace").decode()
    figure.suptitle(text, fontsize=13, parse_math=False)


def _clock(seconds: float) -> str:
    return f"{int(seconds // 60)}:{seconds % 60:02.0f}"
