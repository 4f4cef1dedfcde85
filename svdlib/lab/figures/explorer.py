"""The explorer's plain form: all of its pictures in one figure, for pages without JavaScript."""

from collections.abc import Mapping
from textwrap import fill

import numpy as np
from matplotlib import rc_context
from torch import Tensor

from svdlib.lab.figures.spectrograms import draw_spectrogram
from svdlib.lab.figures.style import STYLE, Drawing, figure_width, is_for_phone, two_layouts


@two_layouts
def figure_panels(
    excerpts: Mapping[str, Mapping[str, np.ndarray | Tensor]], limits: tuple[float, float], unit: str
) -> Drawing:
    """Draw spectrograms in a grid, a column per excerpt and a row per step, all on one colour scale.

    Args:
        excerpts: per excerpt, by what stands above its column, a spectrogram (frames, 80) per step, by what stands
            before its row.
        limits: the values of the darkest and the brightest colour.
        unit: of these values.
    """
    steps = list(next(iter(excerpts.values())))
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 0.85 * len(steps) + 1.0), layout="constrained")
        grid = figure.subplots(len(steps), len(excerpts), sharey=True, squeeze=False)
        for column, (name, pictures) in enumerate(excerpts.items()):
            heading = fill(name, 14) if is_for_phone() else name
            for row, (step, picture) in enumerate(pictures.items()):
                image = draw_spectrogram(
                    grid[row, column], picture, limits=limits, title="" if row else heading,
                    show_frequencies=column == 0, show_times=row == len(steps) - 1,
                )  # fmt: skip
                if column == 0:
                    grid[row, column].set_ylabel(step, rotation=0, ha="right", va="center", weight="bold")
        figure.colorbar(image, ax=grid, label=unit, location="bottom", aspect=50, pad=0.02)
    return figure
