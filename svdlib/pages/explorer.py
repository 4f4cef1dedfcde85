"""The layer explorer: choose an excerpt, step through the layers, see and hear what each has kept.

Everything it shows is made beforehand, and its front end (`svdlib/pages/web/explorer.js`) runs in the browser. So it
works in a static page that has no kernel and no network as well as in a notebook. `svdlib.explore` puts a kernel behind
the same front end.
"""

import base64
import hashlib
import io
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape
from importlib.resources import files
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import FRAME_RATE, N_BANDS, band_of_frequency
from svdlib.detector.model import SVDNet
from svdlib.errors import LayerError
from svdlib.inversion.nre import mean_pairwise_distance, reconstruct, reconstruction_distances
from svdlib.lab.analysis.harmonics import harmonic_match
from svdlib.lab.analysis.onsets import onset_match
from svdlib.lab.figures.explorer import figure_panels
from svdlib.lab.figures.gallery import PALETTE_COLOURS, Panel
from svdlib.lab.figures.spectrograms import COLOUR_MAP, STANDARDISED_LIMITS, TICKS_HZ

PLAIN_FORM = (
    "This is the plain form of an interactive figure. With JavaScript one chooses one picture at a time, compares it "
    "with the original, and hears both."
)


@dataclass(frozen=True)
class Measures:
    """What is measured on an excerpt or on one of its inversions.

    Attributes:
        probability: of singing, as the detector says when it is given this spectrogram.
        error: distance to the original, divided by the mean distance between two excerpts; 0 for the original itself.
        onsets: onset match with the original, see `svdlib.lab.analysis.onsets.onset_match`.
        harmonics: harmonic match with the original.
    """

    probability: float
    error: float
    onsets: float
    harmonics: float


@dataclass(frozen=True)
class Comparison:
    """Measurements on some excerpts and their inversions, and on a larger set to compare them with.

    Attributes:
        measures: per excerpt, those of the original, then of the inversion from each layer.
        nre: of the larger set: 0 for the originals, then the NRE of each layer (paper equation 5).
        mean_predictor: the NRE of always painting each band's average level.
        excerpts: size of the larger set.
    """

    measures: list[list[Measures]]
    nre: list[float]
    mean_predictor: float
    excerpts: int


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
    return Comparison([list(row) for row in zip(*columns, strict=True)], [0.0, *nre], zeros, len(larger_set))


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
    """An explorer that needs no kernel. Notebooks show it as it is."""

    def __init__(self, excerpts: Mapping[str, Sequence[Panel]], data: dict[str, Any]) -> None:
        """Take the panels, for the plain form, and what the front end shows."""
        self.excerpts, self.data = excerpts, data

    def __repr__(self) -> str:
        return f"Explorer({', '.join(self.excerpts)})"

    @cached_property
    def plain(self) -> str:
        """All pictures in one, with its description: what is there without JavaScript."""
        pictures = {
            name: dict(zip(self.data["steps"], (_values(panel) for panel in panels), strict=True))
            for name, panels in self.excerpts.items()
        }
        scale = self.data["scale"]
        drawing = figure_panels(pictures, (scale["low"], scale["high"]), scale["unit"]).png(PALETTE_COLOURS)
        alt = f"Spectrograms. Columns: {', '.join(self.excerpts)}. Rows: {', '.join(self.data['steps'])}. " + " ".join(
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


def layer_explorer(
    excerpts: Mapping[str, Sequence[Panel]],
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
    excerpts: Mapping[str, Sequence[Panel]],
    steps: Sequence[str],
    menu_label: str = "Excerpt",
    steps_label: str = "Layer",
    start: str | None = None,
    comparison: Comparison | None = None,
) -> dict[str, Any]:
    """What the front end shows, as JSON can hold it; arguments and errors are those of `layer_explorer`."""
    _check(excerpts, steps, comparison)
    if start is not None and start not in excerpts:
        raise LayerError(f"The explorer cannot start with {start!r}; its excerpts are: {', '.join(excerpts)}.")
    standardised = all(panel.standardised is not None for panels in excerpts.values() for panel in panels)
    limits = STANDARDISED_LIMITS if standardised else _extremes(excerpts)
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
            "low": limits[0],
            "high": limits[1],
            "unit": "deviations from the mean of the band" if standardised else "log magnitude",
            "colours": [
                f"rgb({red} {green} {blue})" for red, green, blue in _palette()[:: PALETTE_COLOURS // 19].tolist()
            ],
        },
        "frequencies": [[(band_of_frequency(hertz) + 0.5) / N_BANDS, name] for hertz, name in TICKS_HZ.items()],
        "panels": [
            [_panel_data(panel, limits, measures) for panel, measures in zip(panels, row, strict=True)]
            for panels, row in zip(excerpts.values(), rows, strict=True)
        ],
        "curve": comparison
        and {"nre": comparison.nre, "meanPredictor": comparison.mean_predictor, "excerpts": comparison.excerpts},
    }


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
        name = hashlib.sha256(data.encode()).hexdigest()[:16]
        scripts[f"{name}.js"] = f'(window.svdlibExplorerData ??= {{}})["{name}"] = {data};\n'
        return f'<svdlib-explorer{brief} source="{folder}/{name}.js">'

    return EMBEDDED.sub(moved, page), scripts


def _check(excerpts: Mapping[str, Sequence[Panel]], steps: Sequence[str], comparison: Comparison | None) -> None:
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


def _panel_data(panel: Panel, limits: tuple[float, float], measures: Measures | None) -> dict[str, Any]:
    words = panel.description
    if measures and measures.error:
        words += (
            f" Compared with the original, its onsets match by {_two_digits(measures.onsets)} and its harmonics by "
            f"{_two_digits(measures.harmonics)}, where 1 is the same and 0 unrelated."
        )
    return {
        "title": panel.title,
        "picture": _base64(_picture(_values(panel), limits)),
        "sound": _base64(panel.sound),
        "seconds": round(len(panel.log_mel) / FRAME_RATE, 3),
        "words": words,
        # Where measurements are shown, a note would say the same again.
        "note": "" if measures else panel.note,
        "probability": round(measures.probability, 4) if measures else None,
        "error": round(measures.error, 4) if measures else None,
    }


def _two_digits(value: float) -> str:
    """Write a number with two decimals; what rounds to zero has no sign."""
    return f"{round(value, 2) + 0.0:.2f}"


def _values(panel: Panel) -> Tensor:
    return panel.log_mel if panel.standardised is None else panel.standardised


def _extremes(excerpts: Mapping[str, Sequence[Panel]]) -> tuple[float, float]:
    values = [_values(panel) for panels in excerpts.values() for panel in panels]
    return min(float(each.min()) for each in values), max(float(each.max()) for each in values)


def _palette() -> np.ndarray:
    """The colours of spectrograms, dark to bright (96, 3), each from 0 to 255."""
    from matplotlib import colormaps

    return colormaps[COLOUR_MAP](np.linspace(0, 1, PALETTE_COLOURS), bytes=True)[:, :3]


def _picture(values: Tensor, limits: tuple[float, float]) -> bytes:
    """Paint a spectrogram (frames, 80) as a PNG with one pixel per value, low frequencies below, no axes."""
    from PIL import Image

    low, high = limits
    share = (torch.as_tensor(values).detach().cpu().double().T.flip(0) - low) / max(high - low, 1e-9)
    levels = (share.clamp(0, 1) * (PALETTE_COLOURS - 1)).round().byte().numpy()
    image, file = Image.fromarray(levels, mode="P"), io.BytesIO()
    image.putpalette(_palette().tobytes())
    image.save(file, format="png", optimize=True)
    return file.getvalue()


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()
