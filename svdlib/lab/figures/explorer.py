"""The explorer's plain form: all of its pictures in one figure, for pages without JavaScript."""

from collections.abc import Mapping

import numpy as np
from matplotlib import rc_context
from torch import Tensor

from svdlib.detector.front_end import FRONT_END
from svdlib.inversion.front_end import FrontEnd
from svdlib.lab.figures.inversions import draw_input
from svdlib.lab.figures.style import STYLE, Drawing, figure_width, heading, two_layouts


@two_layouts
def figure_panels(
    excerpts: Mapping[str, Mapping[str, np.ndarray | Tensor]],
    limits: tuple[float, float],
    unit: str,
    front: FrontEnd = FRONT_END,
) -> Drawing:
    """Draw pictures in a grid, a column per excerpt and a row per step, all on one scale.

    Args:
        excerpts: per excerpt, by what stands above its column, a spectrogram (frames, bands) or waveform (samples,) per
            step, by what stands before its row.
        limits: the values of the darkest and the brightest colour, or the ends of a waveform's axis.
        unit: of these values.
        front: how they are drawn.
    """
    steps = list(next(iter(excerpts.values())))
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 0.85 * len(steps) + 1.0), layout="constrained")
        grid = figure.subplots(len(steps), len(excerpts), sharey=True, squeeze=False)
        for column, (name, pictures) in enumerate(excerpts.items()):
            for row, (step, picture) in enumerate(pictures.items()):
                image = draw_input(
                    grid[row, column], picture, front, limits=limits, title="" if row else heading(name, len(excerpts)),
                    show_values=column == 0, show_times=row == len(steps) - 1,
                )  # fmt: skip
                if column == 0:
                    grid[row, column].set_ylabel(step, rotation=0, ha="right", va="center", weight="bold")
        if image is not None:
            figure.colorbar(image, ax=grid, label=unit, location="bottom", aspect=50, pad=0.02)
    return figure
