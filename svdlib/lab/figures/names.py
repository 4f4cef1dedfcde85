"""Where names stand in a drawing, so that none lies on another one, on a mark or on a line."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.text import Annotation
from matplotlib.transforms import Bbox

DISTANCES = (7.0, 14.0, 22.0, 31.0, 41.0)
"""Points between a mark and the nearest edge of its name; the first that is free is taken."""

DIRECTIONS = 16
FAR = 12.0
"""Points. A name that stands farther away has a thin line to its mark."""

MARK = 5.0
"""Points around the centre of a mark that belong to it."""

STEP = 3.0
"""Points between the places at which a line is looked at."""


@dataclass(frozen=True)
class Name:
    """What is to be named.

    Attributes:
        text: the name.
        point: where its mark lies, in data coordinates.
        colour: of the name.
    """

    text: str
    point: tuple[float, float]
    colour: str


def place_names(axes: Axes, names: Sequence[Name], lines: Sequence[np.ndarray] = ()) -> list[Annotation]:
    """Write names beside their marks, each where it covers least.

    Axes and limits must be final, all but for the layout, which is computed here.

    Args:
        axes: what is drawn in.
        names: in the order in which they choose their places.
        lines: what is drawn besides, as corners of lines in data coordinates (corners, 2).
    """
    figure = axes.get_figure(root=True)
    assert figure is not None, "axes outside of a figure"
    figure.draw_without_rendering()
    pixels = figure.dpi / 72
    points = [axes.transData.transform(each.point) for each in names]
    marks = [_around(point, MARK * pixels, MARK * pixels) for point in points]
    courses = [_along(axes.transData.transform(each), STEP * pixels) for each in lines]
    passed = np.concatenate([np.empty((0, 2)), *courses])
    written: list[Bbox] = []
    placed = []
    for name, point in zip(names, points, strict=True):
        text = axes.annotate(name.text, name.point, color=name.colour, ha="center", va="center")
        box = text.get_window_extent()
        half = np.array([box.width, box.height]) / 2
        ways = [way * pixels for way in _ways(half / pixels)]
        costs = [_cost(_around(point + way, *half), axes.bbox, written, marks, passed) for way in ways]
        way = ways[int(np.argmin(costs))]
        written.append(_around(point + way, *half))
        text.remove()
        placed.append(_write(axes, name, way / pixels, half / pixels))
    return placed


def _write(axes: Axes, name: Name, way: np.ndarray, half: np.ndarray) -> Annotation:
    gap = np.linalg.norm(np.maximum(np.abs(way) - half, 0))
    link = {"arrowstyle": "-", "color": name.colour, "lw": 0.6, "shrinkA": 1, "shrinkB": 3} if gap > FAR else None
    return axes.annotate(
        name.text, name.point, tuple(way), textcoords="offset points", color=name.colour, ha="center", va="center",
        arrowprops=link,
    )  # fmt: skip


def _ways(half: np.ndarray) -> list[np.ndarray]:
    """From a mark to the middle of a name, in points: near ones first, above and below before the sides."""
    turns = sorted(range(DIRECTIONS), key=lambda turn: abs(math.cos(2 * math.pi * turn / DIRECTIONS)))
    ways = []
    for distance in DISTANCES:
        for turn in turns:
            angle = 2 * math.pi * turn / DIRECTIONS
            ways.append(np.array([math.cos(angle), math.sin(angle)]) * (half + distance))
    return ways


def _around(middle: np.ndarray, width: float, height: float) -> Bbox:
    return Bbox([middle - (width, height), middle + (width, height)])


def _along(corners: np.ndarray, step: float) -> np.ndarray:
    """Points along a line through corners, about a step apart."""
    pieces = [corners[:1]]
    for start, end in zip(corners[:-1], corners[1:], strict=True):
        count = max(1, int(np.linalg.norm(end - start) / step))
        pieces.append(start + (end - start) * np.arange(1, count + 1)[:, None] / count)
    return np.concatenate(pieces)


def _cost(box: Bbox, inside: Bbox, written: Sequence[Bbox], marks: Sequence[Bbox], passed: np.ndarray) -> float:
    """How bad a place is: other names and the axes' edge weigh most, then marks, then lines."""
    covers = sum(_shared(box, each) for each in written) + (box.width * box.height - _shared(box, inside))
    on_marks = sum(_shared(box, each) for each in marks)
    crossed = ((passed > box.min) & (passed < box.max)).all(axis=1).sum()
    return 100 * covers + 10 * on_marks + 20 * float(crossed)


def _shared(one: Bbox, other: Bbox) -> float:
    """The area that two boxes share, in square pixels."""
    sides = np.minimum(one.max, other.max) - np.maximum(one.min, other.min)
    return float(np.prod(np.maximum(sides, 0)))
