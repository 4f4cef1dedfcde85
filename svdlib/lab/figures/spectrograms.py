"""Spectrograms, drawn alike everywhere: one excerpt large, and excerpts above their inversions."""

from collections.abc import Mapping

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.image import AxesImage

from svdlib.audio.mel_axis import FRAME_RATE, band_of_frequency
from svdlib.detector.front_end import FRONT_END
from svdlib.detector.model import LAYERS
from svdlib.inversion.front_end import FrontEnd
from svdlib.lab.figures.style import STYLE, Drawing, figure_width, heading, layer_title, two_layouts

COLOUR_MAP = "magma"
"""Even steps in lightness: it reads the same for colour-blind eyes and in print."""

STANDARDISED_LIMITS = (-2.5, 2.5)
"""The colour scale of standardised spectrograms, in deviations from each band's mean."""


def draw_spectrogram(
    axes: Axes,
    log_mel: np.ndarray | torch.Tensor,
    *,
    limits: tuple[float, float] | None = None,
    title: str = "",
    start: float = 0.0,
    show_frequencies: bool = True,
    show_times: bool = True,
    front: FrontEnd = FRONT_END,
) -> AxesImage:
    """Draw a spectrogram with time in seconds and frequency in hertz on the mel scale.

    Args:
        axes: where to draw.
        log_mel: (frames, bands), standardised or not; the detector's have 80 bands.
        limits: the values of the darkest and the brightest colour; None takes the extremes of the data.
        title: stands above.
        start: time of the first frame, in seconds.
        show_frequencies: whether the frequency axis has labels.
        show_times: whether the time axis has labels.
        front: how many frames make a second, and the frequencies of the bands.

    Returns:
        The image, for a colour bar.

    Raises:
        InputError: if the front end has other bands.
    """
    values = torch.as_tensor(log_mel).detach().cpu().numpy()
    bands = values.shape[1]
    ticks = front.ticks(bands)
    low, high = limits if limits else (None, None)
    image = axes.imshow(
        values.T,
        origin="lower",
        aspect="auto",
        interpolation="nearest",
        cmap=COLOUR_MAP,
        vmin=low,
        vmax=high,
        extent=(start, start + front.seconds(len(values)), -0.5, bands - 0.5),
    )
    axes.set_yticks(list(ticks), list(ticks.values()))
    axes.tick_params(labelleft=show_frequencies, labelbottom=show_times)
    if show_times:
        axes.set_xlabel("time (s)")
    axes.set_title(title)
    return image


@two_layouts
def figure_excerpt(log_mel: np.ndarray | torch.Tensor, title: str = "") -> Drawing:
    """Draw one excerpt large, its centre frame marked (paper figure 4).

    Args:
        log_mel: (115, 80), natural-log mel magnitudes, not standardised.
        title: stands above.
    """
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 3.4), layout="constrained")
        axes = figure.subplots()
        image = draw_spectrogram(axes, log_mel, title=title)
        axes.set_ylabel("frequency (mel scale)")
        centre = (len(log_mel) // 2 + 0.5) / FRAME_RATE
        axes.plot([centre, centre], [0, 1], transform=axes.get_xaxis_transform(), color="white", ls=":", lw=1.2)
        figure.colorbar(image, ax=axes, label="log magnitude")
    return figure


@two_layouts
def figure_inversions(excerpts: Mapping[str, Mapping[str, np.ndarray | torch.Tensor]]) -> Drawing:
    """Draw excerpts above their inversions from every layer, all on one colour scale (paper figure 6).

    The paper has one excerpt per row; with one per column, nine pictures of each stay readable on a page.

    Args:
        excerpts: per excerpt, by what stands above its column, the standardised spectrograms (115, 80): "input", then
            the layers.
    """
    keys = list(next(iter(excerpts.values())))
    with rc_context(STYLE):
        figure = Drawing(figsize=(figure_width(), 0.95 * len(keys) + 1.0), layout="constrained")
        grid = figure.subplots(len(keys), len(excerpts), sharex=True, sharey=True, squeeze=False)
        for column, (name, pictures) in enumerate(excerpts.items()):
            for row, (key, picture) in enumerate(pictures.items()):
                axes = grid[row, column]
                image = draw_spectrogram(
                    axes, picture, limits=STANDARDISED_LIMITS, title="" if row else heading(name, len(excerpts)),
                    show_frequencies=column == 0, show_times=row == len(keys) - 1,
                )  # fmt: skip
                axes.set(yticks=[band_of_frequency(hertz) for hertz in (250, 4000)])
                axes.set_yticklabels(["250 Hz", "4 kHz"])
                if column == 0:
                    axes.set_ylabel(_row_title(key), rotation=0, ha="right", va="center", weight="bold")
        figure.colorbar(
            image, ax=grid, label="deviations from the mean of the band", location="bottom", aspect=50, pad=0.02
        )
    return figure


def _row_title(key: str) -> str:
    return layer_title(key) if key in LAYERS else key.capitalize()
