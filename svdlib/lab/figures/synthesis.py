"""The figures of the chapter on how a song is made; nothing is computed here beyond drawing.

Pitches are in hertz, times in seconds, levels in dB. `Sound` and `Picture` are entries of a
`svdlib.lab.figures.gallery.Gallery`: a player alone where one figure shows several sounds, and a player below a drawing
of one's own.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from textwrap import fill
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes

from svdlib.audio.mel_axis import FRAME_LENGTH, FRAME_RATE, SAMPLE_RATE, band_frequencies, band_of_frequency
from svdlib.lab.figures.gallery import PALETTE_COLOURS, Panel
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
    is_for_phone,
    legend_columns,
    panel_columns,
    two_layouts,
)

DYNAMIC_RANGE = 9.0
"""Colour scales reach so far below the loudest cell, in natural logarithms (78 dB): what is softer is drawn black."""

SECTION_COLOURS = {
    "intro": "#dddddd", "verse": "#bcd7ea", "chorus": "#f2c9a8", "solo": "#bfe3d5", "break": "#eadcea",
    "outro": "#dddddd",
}  # fmt: skip
LINES = ((BLUE, "-"), (ORANGE, "--"), (GREEN, "-."), (PURPLE, ":"))
FRAME_CENTRE = FRAME_LENGTH / 2 / SAMPLE_RATE


@dataclass(frozen=True)
class Sound(Panel):
    """A player without a picture, for sounds that a figure above has shown."""

    def html(self) -> str:
        """Write the title and the player."""
        page = super().html()
        before, picture, after = page.partition("<img ")
        return before + after.partition(">")[2] if picture else page


@dataclass(frozen=True)
class Picture(Panel):
    """A player below a drawing of one's own.

    Attributes:
        drawing: what is shown in place of the plain spectrogram.
        shows: what one sees in it, added to the description.
    """

    drawing: Drawing | None = None
    shows: str = ""

    @property
    def description(self) -> str:
        """What the drawing shows, after the measurements."""
        return f"{super().description} {self.shows}".strip()

    @cached_property
    def image(self) -> bytes:
        """The drawing as a PNG."""
        return self.drawing.png(PALETTE_COLOURS) if self.drawing else super().image


def draw_contour(axes: Axes, hertz: np.ndarray, rate: float, **line: Any) -> None:
    """Draw a pitch or a formant over a spectrogram.

    Args:
        axes: with a spectrogram in it, drawn from 0 s on.
        hertz: (values,), from the first sample of the sound on; what is not finite is left out.
        rate: values per second.
        line: how the line looks.
    """
    hertz = np.asarray(hertz, dtype=float)
    bands = np.array([band_of_frequency(value) if np.isfinite(value) else np.nan for value in hertz])
    # A frame stands at its first sample in the picture, and hears what is around its centre.
    axes.plot(np.arange(len(hertz)) / rate - FRAME_CENTRE + 0.5 / FRAME_RATE, bands, **line)


@two_layouts
def figure_glottal_pulses(pulses: Mapping[str, np.ndarray], spectra: Mapping[str, np.ndarray]) -> Drawing:
    """Draw one period of glottal pulses, and the levels of their harmonics.

    Args:
        pulses: per name, one period (samples,), any number of samples.
        spectra: per name, amplitudes of harmonics 1, 2, ... (harmonics,).
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.1), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (name, pulse), (colour, dashes) in zip(pulses.items(), LINES, strict=False):
            left.plot(np.arange(len(pulse)) / len(pulse), pulse / np.abs(pulse).max(), dashes, color=colour, label=name)
            harmonics = np.arange(1, len(spectra[name]) + 1)
            levels = _decibels(np.abs(spectra[name]) / np.abs(spectra[name][0]))
            right.plot(harmonics, levels, dashes, color=colour)
        left.set(title="one period", xlabel="time (periods)", ylabel="flow derivative (largest = 1)")
        right.set(title="its harmonics", xscale="log", xlabel="harmonic", ylabel="level (dB, first = 0)", ylim=(-80, 6))
        right.set_xticks([1, 2, 4, 8, 16, 32], ["1", "2", "4", "8", "16", "32"])
        right.set_xticks([], minor=True)
        right.set_xlim(1, 40)
        handles, names = left.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 3))
    return figure


@two_layouts
def figure_vowels(
    frequencies: np.ndarray, gains: Mapping[str, np.ndarray], pitch: float, source: np.ndarray, formants: Mapping
) -> Drawing:
    """Draw what the vocal tract does to one and the same source, one panel per vowel.

    Args:
        frequencies: (points,) Hz.
        gains: per vowel, what the tract multiplies each frequency with (points,).
        pitch: of the source, Hz.
        source: amplitudes of its harmonics (harmonics,).
        formants: per vowel, its formants in Hz, marked at the top.
    """
    at = pitch * np.arange(1, len(source) + 1)
    kept = at <= frequencies[-1]
    levels = _decibels(np.abs(source[kept]) / np.abs(source[0]))
    with rc_context(STYLE):
        columns = panel_columns(len(gains))
        rows = -(-len(gains) // columns)
        figure = Drawing(figsize=(figure_width(), 2.2 * rows + 0.8), layout="constrained")
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False).flat
        for axes, (vowel, gain) in zip(panels, gains.items(), strict=False):
            passed = levels + np.interp(at[kept], frequencies, _decibels(gain))
            axes.plot(frequencies / 1000, _decibels(gain), color=ORANGE, lw=1.8, label="the tract's gain")
            axes.vlines(at[kept] / 1000, -90, passed, color=BLUE, lw=1.4, label="harmonics after the tract")
            axes.plot(at[kept] / 1000, levels, ".", ms=3, color=GREY, label="harmonics of the source")
            for number, formant in enumerate(formants[vowel], start=1):
                axes.annotate(
                    f"F{number}", (formant / 1000, 0.97), xycoords=axes.get_xaxis_transform(), ha="center", fontsize=8.5
                )
            axes.set(title=f"/{vowel}/", xlabel="frequency (kHz)", ylim=(-80, 48), xlim=(0, frequencies[-1] / 1000))
        for axes in panels[len(gains) :]:
            axes.set_visible(False)
        panels[0].set_ylabel("level (dB)")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 3), markerscale=2)
    return figure


def small_picture(
    log_mel: np.ndarray | torch.Tensor, pitch: np.ndarray | None = None, rate: float = FRAME_RATE
) -> Drawing:
    """Draw a spectrogram in the size of a gallery's panel; with the pitch that made it, the lower half alone.

    Args:
        log_mel: (frames, 80), not standardised.
        pitch: (values,) Hz; None for the whole spectrogram without a line.
        rate: values of the pitch per second.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(3.3, 2.0), layout="constrained")
        axes = figure.subplots()
        draw_spectrogram(axes, log_mel, limits=_limits(log_mel))
        if pitch is not None:
            draw_contour(axes, pitch, rate, color="white", lw=2.6)
            draw_contour(axes, pitch, rate, color=BLUE, lw=1.3)
            axes.set(xlim=(0, len(log_mel) / FRAME_RATE), ylim=(-0.5, band_of_frequency(2500)))
    return figure


@two_layouts
def figure_sung_phrase(
    log_mel: np.ndarray | torch.Tensor,
    pitch: np.ndarray,
    formants: np.ndarray,
    rate: float,
    syllables: Sequence[tuple[float, str]],
) -> Drawing:
    """Draw a sung phrase with the pitch and the formants that made it.

    Args:
        log_mel: (frames, 80), not standardised.
        pitch: (values,) Hz.
        formants: (values, 3) Hz.
        rate: values per second.
        syllables: when each begins, in seconds, and how it is written.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.8), layout="constrained")
        axes = figure.subplots()
        image = draw_spectrogram(axes, log_mel, limits=_limits(log_mel))
        for number, track in enumerate(np.asarray(formants).T, start=1):
            label = "formants F1, F2, F3" if number == 1 else None
            draw_contour(axes, track, rate, color="white", ls=":", lw=1.6, label=label)
        draw_contour(axes, pitch, rate, color="#56b4e9", lw=2.2, label="pitch")
        axes.set(xlim=(0, len(log_mel) / FRAME_RATE), ylim=(-0.5, 79.5), ylabel="frequency (mel scale)")
        for start, text in syllables:
            axes.annotate(text, (start, 1.02), xycoords=axes.get_xaxis_transform(), fontsize=10)
        figure.colorbar(image, ax=axes, label="log magnitude")
        legend = figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2)
        legend.get_frame().set(facecolor="#555555", alpha=1)
        legend.set_frame_on(True)
        for entry in legend.get_texts():
            entry.set_color("white")
    return figure


@two_layouts
def figure_judges(
    log_mels: Mapping[str, np.ndarray | torch.Tensor],
    naive: Mapping[str, np.ndarray],
    detector: Mapping[str, np.ndarray],
    threshold: float,
) -> Drawing:
    """Draw sounds, where a simple rule finds a voice in them, and the detector's probability.

    Args:
        log_mels: per name (frames, 80), not standardised.
        naive: per name, the rule's answer for each frame (frames,), true for "sung".
        detector: per name, probabilities (frames,).
        threshold: the detector's.
    """
    highest = max(float(torch.as_tensor(each).max()) for each in log_mels.values())
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 4.4), layout="constrained")
        grid = figure.subplots(3, len(log_mels), sharex="col", sharey="row", squeeze=False, height_ratios=[3, 0.6, 1.6])
        for column, (name, log_mel) in enumerate(log_mels.items()):
            picture, rule, curve = grid[:, column]
            draw_spectrogram(
                picture, log_mel, limits=(highest - DYNAMIC_RANGE, highest), title=name,
                show_frequencies=column == 0, show_times=False,
            )  # fmt: skip
            if is_for_phone():
                picture.set_title(fill(name, 12))
            _fill(rule, naive[name], (0, 1), ORANGE)
            rule.set(yticks=[], ylim=(0, 1))
            curve.plot(np.arange(len(detector[name])) / FRAME_RATE, detector[name], color=BLUE, lw=1.3)
            curve.axhline(threshold, color=GREY, ls="--", lw=1)
            curve.set(ylim=(-0.04, 1.04), xlabel="time (s)", xlim=(0, len(log_mel) / FRAME_RATE))
        for axes, label in zip(grid[1:, 0], ("rule:\nsung", "detector:\nprobability"), strict=True):
            axes.set_ylabel(label, rotation=0, ha="right", va="center")
    return figure


@two_layouts
def figure_score(
    sections: Sequence[tuple[float, float, str]],
    notes: Sequence[tuple[float, float, float]],
    chords: Sequence[tuple[float, float, Sequence[int]]],
    strips: Mapping[str, Sequence[tuple[float, float]]],
    seconds: float,
) -> Drawing:
    """Draw a song before it sounds: its sections, a piano roll of chords and sung notes, and strips of who is active.

    Args:
        sections: start, end and kind of each.
        notes: start, end and pitch (MIDI note number) of each sung note.
        chords: start, end and pitches of each chord.
        strips: per name, stretches (start, end).
        seconds: the song's length.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 4.2), layout="constrained")
        roll, lanes = figure.subplots(2, sharex=True, height_ratios=[3.4, 0.5 * len(strips)])
        for start, end, kind in sections:
            roll.axvspan(start, end, color=SECTION_COLOURS.get(kind, "#dddddd"), lw=0, alpha=0.8)
            if start < seconds:
                roll.axvline(start, color="white", lw=1.5)
                middle = (start + min(end, seconds)) / 2
                roll.annotate(
                    kind, (middle, 1.02), xycoords=roll.get_xaxis_transform(), ha="center", fontsize=8.5,
                    rotation=50 * is_for_phone(),
                )  # fmt: skip
        for start, end, pitches in chords:
            roll.hlines(pitches, start, end, color=GREY, lw=1.2, alpha=0.8)
        for start, end, pitch in notes:
            roll.hlines(pitch, start, end, color=BLUE, lw=3)
        octaves = range(36, 97, 12)
        roll.set_yticks(list(octaves), [f"C{octave // 12 - 1}" for octave in octaves])
        heard = [pitch for *_, pitch in notes] + [pitch for *_, chord in chords for pitch in chord]
        if heard:
            roll.set_ylim(min(heard) - 2, max(heard) + 2)
        roll.set_ylabel("pitch")
        for row, (name, spans) in enumerate(reversed(list(strips.items()))):
            colour = "black" if name == "labels" else BLUE if name.startswith("sung") else GREEN
            lanes.broken_barh([(start, end - start) for start, end in spans], (row - 0.35, 0.7), color=colour)
        lanes.set_yticks(range(len(strips)), list(reversed(list(strips))))
        lanes.set(ylim=(-0.6, len(strips) - 0.4), xlim=(0, seconds), xlabel="time (s)")
    return figure


@two_layouts
def figure_stems(log_mels: Mapping[str, np.ndarray | torch.Tensor], sung: np.ndarray, start: float = 0.0) -> Drawing:
    """Draw the stems of an excerpt and their mix below each other on one colour scale, with the labels.

    Args:
        log_mels: per name (frames, 80), not standardised.
        sung: the labels (frames,), true where somebody sings.
        start: second of the song at which the excerpt begins.
    """
    highest = max(float(torch.as_tensor(each).max()) for each in log_mels.values())
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 1.45 * len(log_mels) + 1.1), layout="constrained")
        rows = figure.subplots(len(log_mels) + 1, sharex=True, height_ratios=[*[4] * len(log_mels), 0.6])
        for axes, (name, log_mel) in zip(rows, log_mels.items(), strict=False):
            image = draw_spectrogram(
                axes, log_mel, limits=(highest - DYNAMIC_RANGE, highest), start=start, show_times=False
            )
            axes.set_ylabel(name, rotation=0, ha="right", va="center", weight="bold")
        _fill(rows[-1], sung, (0, 1), "black", start)
        rows[-1].set(ylim=(0, 1), yticks=[], xlabel="time (s)", xlim=(start, start + len(sung) / FRAME_RATE))
        rows[-1].set_ylabel("labels", rotation=0, ha="right", va="center", weight="bold")
        figure.colorbar(image, ax=rows, label="log magnitude", aspect=40, pad=0.02)
    return figure


@two_layouts
def figure_genres(log_mels: Mapping[str, np.ndarray | torch.Tensor], sung: Mapping[str, np.ndarray]) -> Drawing:
    """Draw an excerpt of one song of each genre on one colour scale, with a white bar where it is sung.

    Args:
        log_mels: per genre (frames, 80), not standardised.
        sung: per genre, labels (frames,).
    """
    highest = max(float(torch.as_tensor(each).max()) for each in log_mels.values())
    rows = math.ceil(len(log_mels) / 2)
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 1.35 * rows + 0.7), layout="constrained")
        panels = figure.subplots(rows, 2, sharey=True, sharex=True, squeeze=False)
        for number, (axes, (genre, log_mel)) in enumerate(zip(panels.flat, log_mels.items(), strict=False)):
            image = draw_spectrogram(
                axes, log_mel, limits=(highest - DYNAMIC_RANGE, highest), title=genre,
                show_frequencies=number % 2 == 0, show_times=number >= len(log_mels) - 2,
            )  # fmt: skip
            _fill(axes, sung[genre], (75, 78), "white")
        for axes in panels.flat[len(log_mels) :]:
            axes.set_visible(False)
        figure.colorbar(image, ax=panels, label="log magnitude", location="bottom", aspect=50, pad=0.02)
    return figure


@two_layouts
def figure_band_statistics(statistics: Mapping[str, tuple[np.ndarray, np.ndarray]]) -> Drawing:
    """Draw mean and deviation of each mel band for some sets of songs.

    Args:
        statistics: per name of a set, means and standard deviations (80,) of its log-mels.
    """
    hertz = band_frequencies().numpy()
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.2), layout="constrained")
        left, right = figure.subplots(1, 2)
        for (name, (mean, deviation)), (colour, dashes) in zip(statistics.items(), LINES, strict=False):
            left.plot(hertz, mean, dashes, color=colour, label=name)
            right.plot(hertz, deviation, dashes, color=colour)
        left.set(title="mean", ylabel="log magnitude")
        right.set(title="standard deviation", ylim=(0, None))
        for axes in (left, right):
            _scale_in_hertz(axes)
        names = list(statistics)
        figure.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=legend_columns(names, 3))
    return figure


@two_layouts
def figure_balance(shifts: Mapping[str, Sequence[float]], aim: float) -> Drawing:
    """Draw how far the mean of each mel band lies from that of the training songs.

    Args:
        shifts: per name of a set of songs, the shift of each band (80,), in standard deviations of these songs.
        aim: a grey stripe reaches so far to both sides of zero, in the same unit.
    """
    hertz = band_frequencies().numpy()
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.0), layout="constrained")
        axes = figure.subplots()
        axes.axhspan(-aim, aim, color=GREY, alpha=0.15, lw=0, label=f"within {aim:g}")
        axes.axhline(0, color=GREY, lw=1)
        for (name, shift), (colour, dashes) in zip(shifts.items(), LINES, strict=False):
            axes.plot(hertz, shift, dashes, color=colour, label=name)
        reach = 1.15 * max(aim, *(float(np.abs(shift).max()) for shift in shifts.values()))
        axes.set(ylabel="shift of the mean\n(standard deviations)", ylim=(-reach, reach))
        _scale_in_hertz(axes)
        handles, names = axes.get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 3))
    return figure


def _scale_in_hertz(axes: Axes) -> None:
    axes.set(xscale="log", xlabel="centre of the band (Hz)")
    axes.set_xticks([50, 200, 1000, 5000], ["50", "200", "1000", "5000"])
    axes.set_xticks([], minor=True)


def _fill(axes: Axes, states: np.ndarray, heights: tuple[float, float], colour: str, start: float = 0.0) -> None:
    """Fill a strip wherever `states` (frames,) holds."""
    edges = np.diff(np.pad(np.asarray(states, dtype=bool).astype(int), 1))
    first, beyond = (start + np.flatnonzero(edges == change) / FRAME_RATE for change in (1, -1))
    bars = list(zip(first, beyond - first, strict=True))
    axes.broken_barh(bars, (heights[0], heights[1] - heights[0]), color=colour, lw=0)


def _limits(log_mel: np.ndarray | torch.Tensor) -> tuple[float, float]:
    highest = float(torch.as_tensor(log_mel).max())
    return highest - DYNAMIC_RANGE, highest


def _decibels(amplitudes: np.ndarray) -> np.ndarray:
    return 20 * np.log10(np.maximum(np.abs(amplitudes), 1e-6))
