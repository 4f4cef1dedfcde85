"""The layer explorer of any network: its inputs, drawn and heard as a front end says, and what is kept of them."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from svdlib.compute.progress import progress
from svdlib.errors import InputError
from svdlib.inversion.bank import TensorBank
from svdlib.inversion.encoder import Encoder
from svdlib.inversion.front_end import FrontEnd
from svdlib.inversion.inverters import Inverters
from svdlib.inversion.listener import Listener
from svdlib.inversion.nre import reconstruction_distances
from svdlib.lab.analysis.listened import Listened, listen
from svdlib.lab.figures.gallery import audible
from svdlib.lab.figures.inversions import UNIT
from svdlib.pages.explorer import Comparison, Explorer, Measures, Scale, explorer_data

MOST_SHOWN = 8
"""Inputs in the menu of a page, evenly spread over those that are given: each adds some 20 kB per layer."""

ABOUT = (
    "Choose an input, then a layer. What you see is what an inverter, which was given nothing but the layer's feature, "
    "has learned to paint. An error (NRE) of 0 is the input itself. Where it comes near the dashed line, the inverter "
    "found no more than the mean input."
)


@dataclass(frozen=True)
class InputPanel:
    """An input of a network, or one of its inversions, to see and hear.

    Attributes:
        title: what it is, in a few words.
        x: itself, without a batch axis, standardised as the network takes it.
        front: how it is drawn and heard.
        note: a line for those who see no measurements.
    """

    title: str
    x: Tensor
    front: FrontEnd
    note: str = ""

    @cached_property
    def values(self) -> np.ndarray:
        """What is drawn: a spectrogram (frames, bands), or a waveform (samples,)."""
        return self.front.picture(self.x)

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return self.front.seconds(len(self.values))

    @property
    def description(self) -> str:
        """The title and what measurements say about the picture."""
        values, front = self.values, self.front
        if values.ndim == 1:
            loudest = front.seconds(int(np.abs(values).argmax()))
            level = float(np.sqrt(np.mean(values**2)))
            return (
                f"{self.title}, as a waveform: largest {_time(loudest)} after the start; root mean square {level:.2f}."
            )
        frame, band = int(values.mean(axis=1).argmax()), int(values.mean(axis=0).argmax())
        place = f"band {band}" if front.band_hz is None else f"{front.band_hz[band]:.0f} Hz"
        return (
            f"{self.title}, as a spectrogram: brightest {_time(front.seconds(frame))} after the start and, over its "
            f"whole length, at {place}."
        )

    @cached_property
    def sound(self) -> bytes:
        """An MP3; empty if the front end makes no sound."""
        made = self.front.sound(self.x)
        return audible(*made) if made else b""


def explore_listener(
    x: Tensor | np.ndarray | TensorBank,
    encoder: Listener,
    inverters: Inverters,
    front: FrontEnd | None = None,
    *,
    names: Sequence[str] = (),
) -> Explorer:
    """Explore what each layer of a network keeps of some inputs.

    Args:
        x: two or more inputs `(inputs, *input_shape)`, as the network takes them. Up to eight of them, evenly spread,
            are shown; the NRE is taken over all. Inputs of a bank have the names of their groups.
        encoder: the network, an `svdlib.Encoder` or the detector.
        inverters: an inverter per layer, shallow to deep, or the run that made them.
        front: how inputs are drawn and heard; only the detector has one of its own.
        names: what each input is called.

    Raises:
        InputError: if there are fewer than two different inputs, or no front end, or it does not fit.
        WeightsError: if an inverter was trained for another network.
    """
    listened = listen(x, encoder, inverters, front, names)
    if not listened.typical:
        raise InputError("An explorer compares inputs with each other; give two or more different ones, such as x[:8].")
    shown = sorted({round(place) for place in np.linspace(0, len(listened.x) - 1, MOST_SHOWN)})
    panels = {listened.names[number]: _panels(listened, number) for number in shown}
    for panel in progress([each for row in panels.values() for each in row], description="sounds", unit="sound"):
        silent = not panel.sound  # made here, where the bar is, and kept
    data = explorer_data(
        panels,
        listened.steps,
        "Input",
        comparison=_compare(listened, shown),
        front=listened.front,
        scale=Scale(*listened.limits, UNIT),
    )
    network = type(encoder.net if isinstance(encoder, Encoder) else encoder).__name__
    return Explorer(
        panels,
        data,
        front=listened.front,
        title=f"What each layer of {network} keeps",
        about=ABOUT + (" This network's front end makes no sound." if silent else ""),
    )


def _panels(listened: Listened, number: int) -> list[InputPanel]:
    name = listened.names[number]
    titles = [f"{name}, original", *(f"{name}, from {layer}" for layer in listened.inversions)]
    return [
        InputPanel(title, listened.values(step)[number], listened.front)
        for title, step in zip(titles, listened.steps, strict=True)
    ]


def _compare(listened: Listened, shown: Sequence[int]) -> Comparison:
    columns = [_errors(listened, step) for step in listened.steps]
    measures = [[Measures(None, float(column[number])) for column in columns] for number in shown]
    mean = listened.mean.expand_as(listened.x)
    line = float(reconstruction_distances(listened.x, mean).mean()) / listened.typical
    nre = [float(column.mean()) for column in columns]
    return Comparison(measures, nre, line, len(listened.x), "the mean input")


def _errors(listened: Listened, step: str) -> Tensor:
    found = listened.errors(step)
    return torch.zeros(len(listened.x)) if found is None else found


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds >= 1 else f"{1000 * seconds:.0f} ms"
