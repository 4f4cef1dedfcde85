"""The layer explorer: choose an excerpt, step through the layers, see and hear what each has kept.

Everything it shows is made beforehand, and its front end (`svdlib/pages/web/explorer.js`) runs in the browser. So it
works in a static page that has no kernel and no network as well as in a notebook. `svdlib.explore` puts a kernel behind
the same front end.
"""

import base64
import hashlib
import io
import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from html import escape
from importlib.resources import files
from os import PathLike
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.compute.storage import write_atomically
from svdlib.detector.front_end import FRONT_END
from svdlib.detector.model import SVDNet
from svdlib.errors import LayerError
from svdlib.inversion.front_end import FrontEnd
from svdlib.inversion.nre import mean_pairwise_distance, reconstruct, reconstruction_distances
from svdlib.lab.analysis.harmonics import harmonic_match
from svdlib.lab.analysis.onsets import onset_match
from svdlib.lab.analysis.round_trip import answers, decisions_kept
from svdlib.lab.figures.explorer import figure_panels
from svdlib.lab.figures.gallery import PALETTE_COLOURS
from svdlib.lab.figures.spectrograms import COLOUR_MAP, STANDARDISED_LIMITS

PLAIN_FORM = (
    "This is the plain form of an interactive figure. With JavaScript one chooses one picture at a time, compares it "
    "with the original, and hears both."
)


WAVE_COLUMNS, WAVE_ROWS = 250, 160
"""Pixels of a waveform's picture: no more than a phone has, where some would be left out."""


class Shown(Protocol):
    """One picture of an explorer, with its sound: a panel of `svdlib.lab.figures.gallery`, or another listener's."""

    @property
    def title(self) -> str:
        """What it is, in a few words."""

    @property
    def note(self) -> str:
        """A line for those who see no measurements."""

    @property
    def values(self) -> Tensor | np.ndarray:
        """What is drawn: a spectrogram (frames, bands), or a waveform (samples,)."""

    @property
    def seconds(self) -> float:
        """How long it lasts."""

    @property
    def description(self) -> str:
        """A sentence for those who cannot see it."""

    @property
    def sound(self) -> bytes:
        """An MP3; empty if it cannot be heard."""


@dataclass(frozen=True)
class Scale:
    """What the colours of an explorer mean, or the height of a waveform.

    Attributes:
        low: the value of the darkest colour.
        high: that of the brightest one.
        unit: of these values.
    """

    low: float
    high: float
    unit: str


@dataclass(frozen=True)
class Measures:
    """What is measured on an excerpt or on one of its inversions.

    Attributes:
        probability: of singing, as the detector says when it is given this spectrogram; None of other listeners.
        error: distance to the original, divided by the mean distance between two excerpts; 0 for the original itself.
        onsets: onset match with the original, see `svdlib.lab.analysis.onsets.onset_match`; None if not measured.
        harmonics: harmonic match with the original.
    """

    probability: float | None
    error: float
    onsets: float | None = None
    harmonics: float | None = None


@dataclass(frozen=True)
class Comparison:
    """Measurements on some excerpts and their inversions, and on a larger set to compare them with.

    Attributes:
        measures: per excerpt, those of the original, then of the inversion from each layer.
        nre: of the larger set: 0 for the originals, then the NRE of each layer (paper equation 5).
        mean_predictor: the NRE of always painting each band's average level.
        excerpts: size of the larger set.
        mean_name: what the mean predictor paints, where that is something else.
        kept: of the larger set: 1 for the originals, then per layer the share of the inversions that the detector
            decides on as on their originals; None of other listeners.
    """

    measures: list[list[Measures]]
    nre: list[float]
    mean_predictor: float
    excerpts: int
    mean_name: str = ""
    kept: list[float] | None = None


@torch.no_grad()
def compare(detector: SVDNet, inverters: Mapping[str, nn.Module], x: Tensor, larger_set: Tensor) -> Comparison:
    """Measure what the inversions of some excerpts have kept.

    Args:
        detector: in eval mode.
        inverters: an inverter per layer, shallow to deep, in eval mode.
        x: standardised excerpts to be explored (n, 1, 115, 80).
        larger_set: standardised excerpts (m, 1, 115, 80), m >= 2, over which the NRE of each layer is taken.

    Raises:
        LayerError: if the larger set has fewer than two excerpts or all of them are the same.
    """
    typical = mean_pairwise_distance(larger_set.cpu()) if len(larger_set) > 1 else 0.0
    if not typical > 0:
        raise LayerError("The NRE needs a set of two or more different excerpts; give more of them.")
    many = reconstruct(detector, inverters, larger_set)
    nre = [float(reconstruction_distances(larger_set, x_hat).mean()) / typical for x_hat in many.values()]
    zeros = float(reconstruction_distances(larger_set, torch.zeros_like(larger_set)).mean()) / typical
    inversions = reconstruct(detector, inverters, x)
    columns = [_measure(detector, x, x_hat, typical) for x_hat in (x, *inversions.values())]
    before = answers(detector, larger_set)
    kept = [float(decisions_kept(detector, before, answers(detector, x_hat)).mean()) for x_hat in many.values()]
    measures = [list(row) for row in zip(*columns, strict=True)]
    return Comparison(measures, [0.0, *nre], zeros, len(larger_set), kept=[1.0, *kept])


@torch.no_grad()
def compare_pictures(
    detector: SVDNet, x: Tensor, pictures: Sequence[Tensor], scores: Sequence[tuple[float, float]], larger_set: Tensor
) -> Comparison:
    """The same from inversions that are there already, and from numbers that were measured before.

    Args:
        detector: in eval mode.
        x: standardised excerpts to be explored (n, 1, 115, 80).
        pictures: per step their inversions, of the same shape.
        scores: per step the NRE and the share of decisions kept, over excerpts like those of the larger set.
        larger_set: standardised excerpts (m, 1, 115, 80), m >= 2, whose distance from each other is the yardstick.
    """
    typical = mean_pairwise_distance(larger_set.cpu())
    columns = [_measure(detector, x, each, typical) for each in (x, *pictures)]
    nre, kept = zip((0.0, 1.0), *scores, strict=True)
    zeros = float(reconstruction_distances(larger_set, torch.zeros_like(larger_set)).mean()) / typical
    rows = [list(row) for row in zip(*columns, strict=True)]
    return Comparison(rows, list(nre), zeros, len(larger_set), kept=list(kept))


def side_by_side(comparisons: Iterable[Comparison]) -> Comparison:
    """Several comparisons of the same excerpts as one, such as of inverters of one layer that were trained differently.

    Args:
        comparisons: one or more, with the same excerpts and the same larger set; the steps of each follow on those of
            the one before, and the original comes once.
    """
    first, *others = comparisons
    measures = [list(row) for row in first.measures]
    for other in others:
        for row, more in zip(measures, other.measures, strict=True):
            row += more[1:]
    nre = [*first.nre, *(value for other in others for value in other.nre[1:])]
    shares = [first.kept, *(each.kept[1:] if each.kept else None for each in others)]
    kept = None if None in shares else [share for each in shares for share in each or ()]
    return replace(first, measures=measures, nre=nre, kept=kept)


def _measure(detector: SVDNet, x: Tensor, x_hat: Tensor, typical: float) -> list[Measures]:
    """What is measured on each of some excerpts."""
    values = (
        torch.sigmoid(detector(x_hat))[:, 0],
        reconstruction_distances(x, x_hat) / typical,
        onset_match(x[:, 0], x_hat[:, 0]),
        harmonic_match(x[:, 0], x_hat[:, 0]),
    )
    return [Measures(*map(float, row)) for row in zip(*(each.tolist() for each in values), strict=True)]


class Explorer:
    """An explorer that needs no kernel. Notebooks show it as it is, and `save` writes a page of it."""

    def __init__(
        self,
        excerpts: Mapping[str, Sequence[Shown]],
        data: dict[str, Any],
        *,
        front: FrontEnd = FRONT_END,
        title: str = "What each layer keeps",
        about: str = "",
    ) -> None:
        """Take the panels, for the plain form, and what the front end of the page shows.

        Args:
            excerpts: per excerpt, a panel per step.
            data: see `explorer_data`.
            front: how pictures are drawn in the plain form.
            title: of a page of its own.
            about: a sentence or two for that page.
        """
        self.excerpts, self.data = excerpts, data
        self.front, self.title, self.about = front, title, about

    def __repr__(self) -> str:
        return f"Explorer({', '.join(self.excerpts)})"

    @cached_property
    def plain(self) -> str:
        """All pictures in one, with its description: what is there without JavaScript."""
        pictures = {
            name: dict(zip(self.data["steps"], (panel.values for panel in panels), strict=True))
            for name, panels in self.excerpts.items()
        }
        scale = self.data["scale"]
        drawing = figure_panels(pictures, (scale["low"], scale["high"]), scale["unit"], self.front).png(PALETTE_COLOURS)
        kind = "Spectrograms" if scale["colours"] else "Waveforms"
        alt = f"{kind}. Columns: {', '.join(self.excerpts)}. Rows: {', '.join(self.data['steps'])}. " + " ".join(
            panel.description for panels in self.excerpts.values() for panel in panels
        )
        return (
            f'<img class="svdlib-plain" style="max-width: 100%" loading="lazy" alt="{escape(alt)}" '
            f'src="data:image/png;base64,{_base64(drawing)}"><p>{PLAIN_FORM}</p>'
        )

    def _repr_html_(self) -> str:
        text = json.dumps(self.data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
        return (
            f'<svdlib-explorer><script type="application/json">{text}</script>{self.plain}</svdlib-explorer>'
            f"<script>{front_end()}</script>"
        )

    def save(self, path: str | PathLike[str]) -> Path:
        """Write a page that stands alone: one file, to be opened from a disk or sent to somebody, without a network.

        Args:
            path: the file, such as "page.html"; folders above it are made.

        Returns:
            The file's path.

        Raises:
            OutputError: if it cannot be written.
        """
        page = PAGE.format(title=escape(self.title), about=escape(self.about), body=self._repr_html_())
        write_atomically(Path(path), lambda file: file.write(page.encode(errors="backslashreplace")))
        return Path(path)


PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark }}
body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 0 auto; padding: 1rem;
  background: #fff; color: #1f2328 }}
h1 {{ font-size: 1.5rem; line-height: 1.25; overflow-wrap: anywhere }}
@media (prefers-color-scheme: dark) {{ body {{ background: #121519; color: #e6e8ea }} }}
</style>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{about}</p>
{body}
</main>
</body>
</html>
"""


def layer_explorer(
    excerpts: Mapping[str, Sequence[Shown]],
    steps: Sequence[str],
    *,
    menu_label: str = "Excerpt",
    steps_label: str = "Layer",
    start: str | None = None,
    comparison: Comparison | None = None,
) -> Explorer:
    """Build the explorer.

    Args:
        excerpts: per excerpt, by the name it has in the menu, a panel per step.
        steps: what the buttons are called, such as "original", "Conv1", ..., "FC8".
        menu_label: what stands before the menu.
        steps_label: what the buttons choose.
        start: the excerpt that is shown first; None for the first one.
        comparison: measurements, for panels of which the first is the original and the others are its inversions.
            They add the comparison of both, the detector's answers and the curve of errors.

    Raises:
        LayerError: if there is no excerpt, or none of the name of `start`, or one has not exactly one panel, and one
            row of measurements, per step.
    """
    return Explorer(excerpts, explorer_data(excerpts, steps, menu_label, steps_label, start, comparison))


def explorer_data(
    excerpts: Mapping[str, Sequence[Shown]],
    steps: Sequence[str],
    menu_label: str = "Excerpt",
    steps_label: str = "Layer",
    start: str | None = None,
    comparison: Comparison | None = None,
    *,
    front: FrontEnd = FRONT_END,
    scale: Scale | None = None,
) -> dict[str, Any]:
    """What the page shows, as JSON can hold it.

    Args:
        excerpts: see `layer_explorer`, as for all arguments up to `comparison`.
        steps: what the buttons are called.
        menu_label: what stands before the menu.
        steps_label: what the buttons choose.
        start: the excerpt that is shown first.
        comparison: measurements.
        front: where the frequencies lie on the axis of bands.
        scale: of the pictures; None takes that of standardised or raw log-mel spectrograms.

    Raises:
        LayerError: see `layer_explorer`.
        InputError: if a spectrogram has other bands than the front end.
    """
    _check(excerpts, steps, comparison)
    if start is not None and start not in excerpts:
        raise LayerError(f"The explorer cannot start with {start!r}; its excerpts are: {', '.join(excerpts)}.")
    chosen = scale or _usual_scale(excerpts)
    limits = chosen.low, chosen.high
    spectrograms = all(_as_array(panel.values).ndim == 2 for panels in excerpts.values() for panel in panels)
    colours = _palette()[:: PALETTE_COLOURS // 19].tolist() if spectrograms else []
    unmeasured: Sequence[Sequence[Measures | None]] = [[None] * len(steps)] * len(excerpts)
    rows = comparison.measures if comparison else unmeasured
    return {
        "label": f"Explorer: {menu_label.lower()} and {steps_label.lower()}",
        "menuLabel": menu_label,
        "stepsLabel": steps_label,
        "excerpts": list(excerpts),
        "start": 0 if start is None else list(excerpts).index(start),
        "steps": list(steps),
        "keys": [_key(step, number) for number, step in enumerate(steps, start=1)],
        "compare": comparison is not None,
        "scale": {
            "low": chosen.low,
            "high": chosen.high,
            "unit": chosen.unit,
            "colours": [f"rgb({red} {green} {blue})" for red, green, blue in colours],
        },
        "frequencies": _ticks(excerpts, front) if spectrograms else _wave_ticks(limits),
        "panels": [
            [_panel_data(panel, limits, measures) for panel, measures in zip(panels, row, strict=True)]
            for panels, row in zip(excerpts.values(), rows, strict=True)
        ],
        "curve": comparison and _curve(comparison),
    }


def _curve(comparison: Comparison) -> dict[str, Any]:
    named = {"meanName": comparison.mean_name} if comparison.mean_name else {}
    return {
        "nre": comparison.nre, "meanPredictor": comparison.mean_predictor, "excerpts": comparison.excerpts,
        "kept": comparison.kept, **named,
    }  # fmt: skip


def _usual_scale(excerpts: Mapping[str, Sequence[Shown]]) -> Scale:
    panels = [panel for panels in excerpts.values() for panel in panels]
    if all(getattr(panel, "standardised", None) is not None for panel in panels):
        return Scale(*STANDARDISED_LIMITS, "deviations from the mean of the band")
    values = [_as_array(panel.values) for panel in panels]
    return Scale(min(float(each.min()) for each in values), max(float(each.max()) for each in values), "log magnitude")


def _ticks(excerpts: Mapping[str, Sequence[Shown]], front: FrontEnd) -> list[list[Any]]:
    """Labels of the axis of bands, each with the share of the height at which it stands."""
    counts = sorted({_as_array(panel.values).shape[1] for panels in excerpts.values() for panel in panels})
    for bands in counts:
        front.check_bands(bands)
    if len(counts) > 1:
        raise LayerError(f"The pictures of an explorer share an axis; these have {counts[0]} and {counts[-1]} bands.")
    return [[(place + 0.5) / counts[0], name] for place, name in front.ticks(counts[0]).items()]


def _wave_ticks(limits: tuple[float, float]) -> list[list[Any]]:
    """The same of a waveform's values."""
    low, high = limits
    power = 10 ** math.floor(math.log10(0.9 * high))
    round_value = max(factor * power for factor in (1, 2, 5) if factor * power <= 0.9 * high)
    shown = {-round_value: f"\u2212{round_value:g}", 0: "0", round_value: f"{round_value:g}"}
    return [[(value - low) / (high - low), name] for value, name in shown.items()]


def front_end(name: str = "explorer.js") -> str:
    """A script of the front end: `explorer.js` defines the element, `explorer_widget.js` ties it to a kernel."""
    return (files("svdlib.pages") / "web" / name).read_text(encoding="utf-8")


EMBEDDED = re.compile(r'<svdlib-explorer( brief)?><script type="application/json">(.*?)</script>', re.DOTALL)


def move_data_out(page: str, folder: str) -> tuple[str, dict[str, str]]:
    """Take the data of explorers out of a page, so that the page is there before they are.

    Args:
        page: HTML.
        folder: address of the folder of data files, as seen from the page.

    Returns:
        The page, and per file its text: classic scripts, since pages from file:// may load nothing else.
    """
    scripts: dict[str, str] = {}

    def moved(match: re.Match[str]) -> str:
        brief, data = match[1] or "", match[2]
        name = hashlib.sha256(data.encode(errors="backslashreplace")).hexdigest()[:16]
        scripts[f"{name}.js"] = f'(window.svdlibExplorerData ??= {{}})["{name}"] = {data};\n'
        return f'<svdlib-explorer{brief} source="{folder}/{name}.js">'

    return EMBEDDED.sub(moved, page), scripts


def _check(excerpts: Mapping[str, Sequence[Shown]], steps: Sequence[str], comparison: Comparison | None) -> None:
    if not excerpts:
        raise LayerError("The explorer has no excerpt to show; give it one or more.")
    for name, panels in excerpts.items():
        if len(panels) != len(steps):
            raise LayerError(f"Excerpt {name!r} has {len(panels)} panels for {len(steps)} steps: {', '.join(steps)}.")
    if comparison and [len(row) for row in comparison.measures] != [len(steps)] * len(excerpts):
        raise LayerError(
            f"The comparison has {len(comparison.measures)} excerpts of {len(comparison.nre)} steps; the panels are "
            f"{len(excerpts)} of {len(steps)}. Compare the same excerpts and layers."
        )


def _key(step: str, number: int) -> str:
    """How a step is called in the address of a page."""
    return re.sub(r"[^a-z0-9]+", "-", step.lower()).strip("-") or str(number)


def _panel_data(panel: Shown, limits: tuple[float, float], measures: Measures | None) -> dict[str, Any]:
    """What the page shows of a panel. The page rounds numbers; one that came rounded would be rounded twice."""
    words = panel.description
    if measures and measures.error and measures.onsets is not None and measures.harmonics is not None:
        words += (
            f" Compared with the original, its onsets match by {_two_digits(measures.onsets)} and its harmonics by "
            f"{_two_digits(measures.harmonics)}, where 1 is the same and 0 unrelated."
        )
    return {
        "title": panel.title,
        "picture": _base64(_picture(_as_array(panel.values), limits)),
        "sound": _base64(panel.sound),
        "seconds": panel.seconds,
        "words": words,
        # Where measurements are shown, a note would say the same again.
        "note": "" if measures else panel.note,
        "probability": measures.probability if measures else None,
        "error": measures.error if measures else None,
    }


def _two_digits(value: float) -> str:
    """Write a number with two decimals and a true minus; what rounds to zero has no sign."""
    return f"{round(value, 2) + 0.0:.2f}".replace("-", "\u2212")


def _as_array(values: Tensor | np.ndarray) -> np.ndarray:
    array: np.ndarray = torch.as_tensor(values).detach().cpu().double().numpy()
    return array


def _palette() -> np.ndarray:
    """The colours of spectrograms, dark to bright (96, 3), each from 0 to 255."""
    from matplotlib import colormaps

    return colormaps[COLOUR_MAP](np.linspace(0, 1, PALETTE_COLOURS), bytes=True)[:, :3]


def _picture(values: np.ndarray, limits: tuple[float, float]) -> bytes:
    """Paint a spectrogram as a PNG with one pixel per value, low frequencies below, no axes; a waveform as a line."""
    from PIL import Image

    low, high = limits
    share = np.clip((values.T[::-1] - low) / max(high - low, 1e-9), 0, 1) if values.ndim == 2 else _wave(values, limits)
    levels = (share * (PALETTE_COLOURS - 1)).round().astype(np.uint8)
    image, file = Image.fromarray(levels, mode="P"), io.BytesIO()
    image.putpalette(_palette().tobytes())
    image.save(file, format="png", optimize=True)
    return file.getvalue()


def _wave(values: np.ndarray, limits: tuple[float, float]) -> np.ndarray:
    """Paint a waveform (samples,): in each column all that it passes, from its lowest to its highest value."""
    low, high = limits
    columns = min(len(values), WAVE_COLUMNS)
    edges = np.linspace(0, len(values), columns + 1).astype(int)
    # Each column begins where the last one ended, so that the line has no gaps.
    pieces = [values[max(0, begin - 1) : end] for begin, end in zip(edges, edges[1:], strict=False)]
    heights = [[(each - low) / max(high - low, 1e-9) for each in (piece.min(), piece.max())] for piece in pieces]
    lower, upper = (np.clip(each, 0, 1) * (WAVE_ROWS - 1) for each in np.array(heights).T)
    rows = np.arange(WAVE_ROWS)[::-1, None]
    return np.where((rows >= np.floor(lower) - 1) & (rows <= np.ceil(upper)), 0.85, 0.0)


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
