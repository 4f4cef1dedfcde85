"""The method and the networks: figures 1 to 3 and tables 1 and 2 of the paper, and what an inversion can have seen.

Networks are drawn and listed from the modules themselves and from the shapes that a forward pass has, so that neither
diagram nor table can disagree with the code.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from textwrap import fill
from typing import Any

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.patches import FancyBboxPatch, Rectangle
from torch import nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector.model import LAYER_SHAPES, SVDNet
from svdlib.inversion.inverters import FeatureInverter, count_parameters
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
from svdlib.zoo.families import build_inverter

ROW_HEIGHT = 0.62  # inches
LARGEST_BOX = (1.25, 0.7)  # width in inches and height in rows of an excerpt
VECTOR_WIDTH, PHONE_VECTOR_WIDTH = 2.0 / 256, 1.5 / 256  # inches per unit
SHEET_SHIFT = 0.02  # inches and rows between two sheets of a stack


@dataclass(frozen=True)
class Step:
    """One row of a network's diagram: what is done, and the shape (without batch) that comes out."""

    name: str
    operation: str
    shape: tuple[int, ...]


def shape_text(shape: Sequence[int]) -> str:
    """Write a shape as in the paper: 64 × 113 × 78, channels × time × frequency; 256 × 1 for a dense feature."""
    sizes = list(shape) if len(shape) > 1 else [*shape, 1]
    return " × ".join(str(size) for size in sizes)


def detector_steps(detector: SVDNet) -> list[Step]:
    """Describe the detector's layers and run it once to learn their shapes."""
    with torch.no_grad():
        excerpt = torch.zeros(1, 1, EXCERPT_FRAMES, N_BANDS)
        features = detector.features(excerpt, detector.layers.keys())
        score = detector(excerpt)
    steps = [Step("Input", "log-mel excerpt", tuple(excerpt.shape[1:]))]
    for layer, module in detector.layers.items():
        steps.append(Step(layer_title(layer), operation_text(module), tuple(features[layer].shape[1:])))
    return [*steps, Step("Out", f"{operation_text(detector.out)}, sigmoid", tuple(score.shape[1:]))]


def inverter_steps(inverter: FeatureInverter) -> list[Step]:
    """Describe an inverter's stages and run it once to learn their shapes."""
    shape = LAYER_SHAPES[inverter.layer]
    training = inverter.training
    with torch.no_grad():
        outputs = inverter.eval().stage_outputs(torch.zeros(1, *shape))
    inverter.train(training)
    steps = [Step(layer_title(inverter.layer), "feature of the detector", shape)]
    for name, output in outputs.items():
        if name == "output":
            before = steps[-1].shape
            after = tuple(output.shape[1:])
            grown = before[1] > after[1] or before[2] > after[2]
            fitted = "as it is" if before == after else "trimmed" if grown else "zeros around"
            steps.append(Step("Output", fitted, after))
        else:
            steps.append(Step(name, operation_text(inverter.stages[name]), tuple(output.shape[1:])))
    return steps


def operation_text(module: nn.Module) -> str:
    """Say in a few words what a layer does, from its modules."""
    words = []
    for part in module.modules():
        if isinstance(part, nn.ConvTranspose2d):
            words.append(f"{_filters(part)}, stride {part.stride[0]}")
        elif isinstance(part, nn.Conv2d):
            padding = f"padding {part.padding[0]}" if part.padding[0] else "no padding"
            words.append(f"{_filters(part)}, {padding}")
        elif isinstance(part, nn.MaxPool2d):
            words.append(f"largest of each {part.kernel_size} × {part.kernel_size}")
        elif isinstance(part, nn.Linear):
            words.append(f"{part.out_features} unit{'s' if part.out_features > 1 else ''}")
        elif isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d):
            words.append("batch norm")
        elif isinstance(part, nn.LeakyReLU):
            words.append("leaky ReLU")
        elif isinstance(part, nn.ELU):
            words.append("ELU")
        elif isinstance(part, nn.Dropout):
            words.append("dropout")
    return ", ".join(words)


def _filters(module: nn.Conv2d | nn.ConvTranspose2d) -> str:
    count, size = module.out_channels, " × ".join(str(length) for length in module.kernel_size)
    return f"{count} filter{'s' if count > 1 else ''} {size}"


@two_layouts
def figure_detector(detector: SVDNet) -> Drawing:
    """Draw the architecture of the detector (paper figure 2)."""
    return _draw_steps(detector_steps(detector))


@two_layouts
def figure_inverter(inverter: FeatureInverter) -> Drawing:
    """Draw the architecture of an inverter (paper figure 3 shows that of Conv4)."""
    return _draw_steps(inverter_steps(inverter))


def _draw_steps(steps: Sequence[Step]) -> Drawing:
    """Draw a row per step: its output to scale, what it is called and does, and the shape."""
    wide = figure_width()
    # Left of the words stands the feature; on a phone long words take two lines.
    middle, words, right = (1.02, 1.9, wide - 0.1) if is_for_phone() else (1.5, 3.1, wide - 0.1)
    arrow, row_height = (0.1, 0.85) if is_for_phone() else (0.22, ROW_HEIGHT)
    with rc_context(STYLE):
        figure = Drawing(figsize=(wide, row_height * len(steps) + 0.35))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, wide), ylim=(-len(steps) + 0.35, 1.0))
        axes.axis("off")
        legend = "width: time, height: frequency,\nstack: channels"
        legend = fill(legend, 18) if is_for_phone() else legend
        axes.text(middle, 0.68, legend, ha="center", va="center", color=GREY, size=8.5)
        axes.text(words, 0.68, "layer", color=GREY, size=9)
        axes.text(right, 0.68, "shape of its output", color=GREY, size=9, ha="right")
        for row, step in enumerate(steps):
            y = -row
            _draw_feature(axes, step.shape, middle, y)
            axes.text(words, y + 0.12, step.name, weight="bold", va="center")
            operation = fill(step.operation, 34) if is_for_phone() else step.operation
            axes.text(words, y - 0.08, operation, va="top", size=8.5, color="#333333")
            axes.text(right, y + 0.12, shape_text(step.shape), va="center", ha="right")
            if row:
                axes.annotate("", (arrow, y + 0.18), (arrow, y + 0.82), arrowprops={"arrowstyle": "->", "color": GREY})
    return figure


def _draw_feature(axes: Axes, shape: tuple[int, ...], x: float, y: float) -> None:
    """Draw a feature to scale around (x, y): a stack of maps, or a flat bar for a vector."""
    style: dict[str, Any] = {"edgecolor": "white", "linewidth": 0.6}
    if len(shape) == 1:
        unit = PHONE_VECTOR_WIDTH if is_for_phone() else VECTOR_WIDTH
        wide = max(0.05, unit * shape[0])
        axes.add_patch(Rectangle((x - wide / 2, y - 0.08), wide, 0.16, facecolor=ORANGE, **style))
        return
    channels, frames, bands = shape
    wide, height = LARGEST_BOX[0] * frames / EXCERPT_FRAMES, LARGEST_BOX[1] * bands / N_BANDS
    sheets = channels.bit_length()
    for sheet in reversed(range(sheets)):
        shift = SHEET_SHIFT * (sheet - (sheets - 1) / 2)
        corner = (x - wide / 2 + shift, y - height / 2 + shift)
        axes.add_patch(Rectangle(corner, wide, height, facecolor=BLUE, **style))


@two_layouts
def figure_method() -> Drawing:
    """Draw the block diagram of the method (paper figure 1)."""
    plan, height = (PHONE_PLAN, 5.6) if is_for_phone() else (PAGE_PLAN, 4.1)
    colours = "blue: trained before and fixed", "orange: learns", "grey: numbers"
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), height))
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set(xlim=(0, figure_width()), ylim=(0, height))
        axes.axis("off")
        for name, (text, colour) in BLOCKS.items():
            _draw_block(axes, text, colour, *plan.places[name], plan.letters)
        for way in plan.ways:
            if len(way) > 2:
                axes.plot(*zip(*way[:-1], strict=True), color="black", lw=1)
            axes.annotate(
                "", way[-1], way[-2], arrowprops={"arrowstyle": "->", "color": "black", "shrinkA": 0, "shrinkB": 0}
            )
        explained = ("\n" if is_for_phone() else "        ").join(colours)
        axes.text(figure_width() / 2, height - 0.18, explained, ha="center", va="top", size=9, color=GREY)
    return figure


def _draw_block(axes: Axes, text: str, colour: str, x: float, y: float, wide: float, letters: float) -> None:
    face = "white" if colour == GREY else colour
    box = FancyBboxPatch(
        (x - wide / 2, y - 0.32), wide, 0.64, "round,pad=0,rounding_size=0.06", facecolor=face, edgecolor=colour,
        linewidth=1.2,
    )  # fmt: skip
    axes.add_patch(box)
    axes.text(x, y, text, ha="center", va="center", size=letters, color="black" if face == "white" else "white")


BLOCKS = {
    "x": ("$\\mathbf{x}$\nexcerpt", GREY),
    "detector": ("detector $D$\nup to layer $L$", BLUE),
    "feature": ("$\\Phi_L(\\mathbf{x})$\nfeature", GREY),
    "inverter": ("feature\ninverter $G_L$", ORANGE),
    "inversion": ("$\\hat{\\mathbf{x}}_L$\ninversion", GREY),
    "input loss": ("$\\Psi_{input}$: squared\ndistance", GREY),
    "left": ("comparator\n$C$", BLUE),
    "right": ("comparator\n$C$", BLUE),
    "compared x": ("$\\Theta(\\mathbf{x})$\nfeature", GREY),
    "compared inversion": ("$\\Theta(\\hat{\\mathbf{x}}_L)$\nfeature", GREY),
    "feature loss": ("$\\Psi_{feature}$: sq.\ndistance", GREY),
}
"""The method's parts: what is written on each, and its colour."""


@dataclass(frozen=True)
class Plan:
    """Where the parts of the method stand, in inches.

    Attributes:
        places: middle and width of each block.
        ways: the arrows, each through two or more points.
        letters: size of what is written, in points.
    """

    places: Mapping[str, tuple[float, float, float]]
    ways: Sequence[Sequence[tuple[float, float]]]
    letters: float


PAGE_PLAN = Plan(
    {
        "x": (0.7, 3.2, 0.9), "detector": (2.2, 3.2, 1.3), "feature": (3.7, 3.2, 1.0), "inverter": (5.2, 3.2, 1.3),
        "inversion": (6.7, 3.2, 0.9), "input loss": (3.7, 2.05, 1.9), "left": (0.7, 0.9, 1.1),
        "right": (6.7, 0.9, 1.1), "compared x": (2.2, 0.9, 0.9), "compared inversion": (5.2, 0.9, 0.9),
        "feature loss": (3.7, 0.9, 1.15),
    },
    (
        ((1.15, 3.2), (1.55, 3.2)), ((2.85, 3.2), (3.2, 3.2)), ((4.2, 3.2), (4.55, 3.2)), ((5.85, 3.2), (6.25, 3.2)),
        ((0.7, 2.05), (2.75, 2.05)), ((6.7, 2.05), (4.65, 2.05)), ((0.7, 2.88), (0.7, 1.22)),
        ((6.7, 2.88), (6.7, 1.22)), ((1.25, 0.9), (1.75, 0.9)), ((6.15, 0.9), (5.65, 0.9)),
        ((2.65, 0.9), (3.125, 0.9)), ((4.75, 0.9), (4.275, 0.9)),
    ),
    9.5,
)  # fmt: skip
PHONE_PLAN = Plan(
    {
        "x": (0.92, 4.5, 1.0), "detector": (2.4, 4.5, 1.3), "feature": (3.85, 4.5, 1.2), "inverter": (3.85, 3.4, 1.3),
        "inversion": (2.4, 3.4, 1.1), "input loss": (0.92, 3.4, 1.4), "left": (0.92, 2.3, 1.2),
        "right": (2.4, 2.3, 1.2), "compared x": (0.92, 1.35, 1.0), "compared inversion": (2.4, 1.35, 1.1),
        "feature loss": (1.66, 0.4, 2.4),
    },
    (
        ((1.42, 4.5), (1.75, 4.5)), ((3.05, 4.5), (3.25, 4.5)), ((3.85, 4.18), (3.85, 3.72)), ((3.2, 3.4), (2.95, 3.4)),
        ((0.92, 4.18), (0.92, 3.72)), ((1.85, 3.4), (1.62, 3.4)), ((0.42, 4.5), (0.1, 4.5), (0.1, 2.3), (0.32, 2.3)),
        ((2.4, 3.08), (2.4, 2.62)), ((0.92, 1.98), (0.92, 1.67)), ((2.4, 1.98), (2.4, 1.67)),
        ((0.92, 1.03), (0.92, 0.72)), ((2.4, 1.03), (2.4, 0.72)),
    ),
    12,
)  # fmt: skip


@two_layouts
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
        columns = panel_columns(len(frames_read))
        rows = -(-len(frames_read) // columns)
        figure = Drawing(figsize=(figure_width(), 2.4 * rows + 0.7), layout="constrained")
        panels = figure.subplots(rows, columns, sharey=True, squeeze=False).ravel()
        for axes in panels[len(frames_read) :]:
            axes.set_visible(False)
        for axes, (layer, intervals) in zip(panels, frames_read.items(), strict=False):
            known = [(frame, *interval) for frame, interval in enumerate(intervals) if interval]
            frames, first, last = np.array(known).T
            axes.fill_between(frames, first, last, color=BLUE, alpha=0.45, lw=0, label="what its cells have seen")
            axes.plot([0, len(intervals)], [0, len(intervals)], color="black", lw=1, label="the frame itself")
            axes.plot(blind[layer], blind[layer], ".", ms=3.5, color=ORANGE, label="blind: not among them")
            axes.set_title(f"{layer_title(layer)}: {len(blind[layer])} blind")
            axes.set(xlabel="frame of inversion", xlim=(0, len(intervals)), ylim=(0, len(intervals)))
        for axes in panels[::columns]:
            axes.set_ylabel("frame of original")
        handles, names = panels[0].get_legend_handles_labels()
        figure.legend(handles, names, loc="outside lower center", ncols=legend_columns(names, 3), markerscale=2.5)
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
        core = _core(inverter.stages[name])
        taken = _taken(core, before)
        if len(taken) != len(before):
            rows.append(_row("Reshape", before, "-", taken))
        rows.append(_row(name, taken, str(after[0]), after))
        before = after
    return rows


def _core(stage: nn.Module) -> nn.Module:
    """The layer with the weights, which comes first in a stage."""
    return next(stage.children())


def _taken(core: nn.Module, before: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that a stage takes: a dense feature is folded into square maps for a convolution."""
    if not isinstance(core, nn.Conv2d | nn.ConvTranspose2d) or len(before) == 3:
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
    rows: list[dict[str, str | int]] = []
    for layer in reversed(LAYER_SHAPES):
        inverter = build_inverter(layer, variant)
        cores = [_core(stage) for stage in inverter.stages.values()]
        rows.append(
            {
                "Inv-idx": layer_title(layer),
                "Inv-inp": shape_text(LAYER_SHAPES[layer]),
                "Inv-depth": len(cores),
                "Inv-nconv": sum(isinstance(core, nn.Conv2d) for core in cores),
                "Parameters": count_parameters(inverter),
            }
        )
    return rows
