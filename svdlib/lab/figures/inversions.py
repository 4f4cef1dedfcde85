"""Inputs of any network beside what its layers keep of them, drawn as a front end says."""

from collections.abc import Sequence

import numpy as np
import torch
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from torch import Tensor

from svdlib.errors import InputError
from svdlib.inversion.bank import TensorBank
from svdlib.inversion.front_end import FrontEnd
from svdlib.inversion.inverters import Inverters
from svdlib.inversion.listener import Listener
from svdlib.lab.analysis.listened import Listened, listen, names_in
from svdlib.lab.figures.spectrograms import draw_spectrogram
from svdlib.lab.figures.style import BLUE, STYLE, Drawing

MOST_INPUTS = 6
"""Inputs side by side in one figure: more would be too small to be read."""

UNIT = "value of the input"

SHORT = 0.5
"""Seconds below which a waveform's time is counted in milliseconds."""


def plot_inversions(
    x: Tensor | np.ndarray | TensorBank,
    encoder: Listener,
    inverters: Inverters,
    front: FrontEnd | None = None,
    *,
    names: Sequence[str] = (),
) -> Drawing:
    """Draw inputs of a network above what is left of them at each layer (paper figure 6).

    Above each inversion stands its error: its distance to the input, divided by the mean distance between two inputs.

    Args:
        x: one to six inputs `(inputs, *input_shape)`, as the network takes them; or a bank, of which up to six are
            taken, evenly spread, under the names of their groups.
        encoder: the network, an `svdlib.Encoder` or the detector.
        inverters: an inverter per layer, shallow to deep, or the run that made them.
        front: how inputs are drawn; only the detector has one of its own.
        names: what stands above each input.

    Returns:
        A figure; `figure.savefig("inversions.png")` writes it.

    Raises:
        InputError: if there is no front end, or it does not fit the inputs, or there are more inputs or names than fit.
        WeightsError: if an inverter was trained for another network.
    """
    if isinstance(x, TensorBank):
        chosen = x.spread(MOST_INPUTS)
        called = names_in(x)
        x, names = x.gather(chosen), names or [called[number] for number in chosen.tolist() if called]
    if not 1 <= len(x) <= MOST_INPUTS:
        raise InputError(f"A figure shows one to {MOST_INPUTS} inputs, not {len(x)}. Take x[:{MOST_INPUTS}].")
    listened = listen(x, encoder, inverters, front, names)
    with rc_context(STYLE):
        figure = Drawing(figsize=(7.4, 1.05 * len(listened.steps) + 1.0), layout="constrained")
        grid = figure.subplots(len(listened.steps), len(listened.x), sharex=True, sharey=True, squeeze=False)
        image = _draw_grid(grid, listened)
        if image is not None:
            figure.colorbar(image, ax=grid, label=UNIT, location="bottom", aspect=50, pad=0.02)
    return figure


def _draw_grid(grid: np.ndarray, listened: Listened) -> AxesImage | None:
    rows = len(listened.steps)
    image = None
    for row, step in enumerate(listened.steps):
        for column, name in enumerate(listened.names):
            axes = grid[row, column]
            error = listened.error(step, column) if row else None
            image = draw_input(
                axes, listened.picture(step, column), listened.front, limits=listened.limits,
                title=(f"error {error:.2f}" if error is not None else "") if row else name,
                show_values=column == 0, show_times=row == rows - 1,
            )  # fmt: skip
            axes.title.set_size(8 if row else 10)
            if column == 0:
                axes.set_ylabel(step, rotation=0, ha="right", va="center", weight="bold")
    return image


def draw_input(
    axes: Axes,
    picture: np.ndarray | Tensor,
    front: FrontEnd,
    *,
    limits: tuple[float, float],
    title: str = "",
    show_values: bool = True,
    show_times: bool = True,
) -> AxesImage | None:
    """Draw one input of a network.

    Args:
        axes: where to draw.
        picture: (frames, bands), or (samples,) of a waveform, as `FrontEnd.picture` gives it.
        front: how it is drawn.
        limits: the values of the darkest and the brightest colour, or the ends of a waveform's axis.
        title: stands above.
        show_values: whether the axis of frequencies, or of a waveform's values, has labels.
        show_times: whether the time axis has labels.

    Returns:
        The image of a spectrogram, for a colour bar; None of a waveform.
    """
    if torch.as_tensor(picture).ndim == 2:
        return draw_spectrogram(
            axes, picture, limits=limits, title=title, show_frequencies=show_values, show_times=show_times, front=front
        )
    values = torch.as_tensor(picture).detach().cpu().numpy()
    unit, per_second = ("ms", 1000) if front.seconds(len(values)) < SHORT else ("s", 1)
    times = per_second * np.arange(len(values)) / front.frame_rate
    axes.plot(times, values, color=BLUE, linewidth=0.8)
    axes.set(xlim=(0, per_second * front.seconds(len(values))), ylim=limits, title=title)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=4, prune="upper"))
    axes.tick_params(labelleft=show_values, labelbottom=show_times)
    if show_times:
        axes.set_xlabel(f"time ({unit})")
    return None
