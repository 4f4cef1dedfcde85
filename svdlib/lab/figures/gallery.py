"""Spectrograms with their sounds, as one piece of HTML that needs no server, no kernel and no network.

Each panel is an image with a player below. The player's sound is made from the spectrogram itself (`svdlib.sonify`)
unless a recording is given. Images carry a description made from measurements, for those who cannot see them.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from html import escape

import numpy as np
import torch
from matplotlib import rc_context
from torch import Tensor

from svdlib.audio.files import encode_mp3
from svdlib.audio.mel_axis import FRAME_RATE, SAMPLE_RATE, SMALLEST_MAGNITUDE
from svdlib.audio.sonify import sonify
from svdlib.audio.standardizer import Standardizer
from svdlib.lab.analysis.measures import describe
from svdlib.lab.figures.spectrograms import STANDARDISED_LIMITS, draw_spectrogram
from svdlib.lab.figures.style import STYLE, Drawing, layer_title

LOUDNESS = 0.08
"""Root mean square that players are set to, so that panels can be compared without reaching for the volume."""

LARGEST_GAIN = 20.0
"""What is nearly silent stays quiet."""

PALETTE_COLOURS = 96
"""Enough for one colour map, so that a page of panels stays small."""

SHEET = """<style>
.svdlib-gallery {display: grid; grid-template-columns: repeat(auto-fill, minmax(min(15rem, 100%), 1fr)); gap: 1rem;
  margin: 0.5rem 0 1rem}
.svdlib-panel {margin: 0; padding: 0; min-width: 0; color: inherit; line-height: 1.3}
.svdlib-panel figcaption {text-align: left; font-size: 0.9rem; color: inherit}
.svdlib-panel .svdlib-title {display: block; font-weight: 600; margin-bottom: 0.2rem}
.svdlib-panel img {display: block; width: 100%; max-width: 26rem; height: auto; margin: 0; background: white;
  border-radius: 4px}
.svdlib-panel audio {display: block; width: 100%; max-width: 26rem; height: 2.4rem; margin: 0.3rem 0}
</style>"""


@dataclass(frozen=True)
class Panel:
    """A spectrogram to see and hear.

    Attributes:
        title: what it is, in a few words.
        log_mel: (frames, 80), natural-log mel magnitudes, not standardised; what is heard and described.
        standardised: (frames, 80), what is drawn; None draws `log_mel`.
        note: a line below the player.
        samples: a recording (samples,), 22050 Hz, to be played in place of the spectrogram's own sound.
    """

    title: str
    log_mel: Tensor
    standardised: Tensor | None = None
    note: str = ""
    samples: np.ndarray | None = None

    @property
    def description(self) -> str:
        """The title and what measurements say about the spectrogram."""
        return f"{self.title}, as a spectrogram: {describe(self.log_mel)}."

    @property
    def values(self) -> Tensor:
        """What is drawn (frames, 80)."""
        return self.log_mel if self.standardised is None else self.standardised

    @property
    def seconds(self) -> float:
        """How long it lasts."""
        return len(self.log_mel) / FRAME_RATE

    @cached_property
    def image(self) -> bytes:
        """The spectrogram with its axes, as a PNG."""
        with rc_context(STYLE):
            figure = Drawing(figsize=(3.3, 2.0), layout="constrained")
            limits = None if self.standardised is None else STANDARDISED_LIMITS
            draw_spectrogram(figure.subplots(), self.values, limits=limits)
        return figure.png(PALETTE_COLOURS)

    @cached_property
    def sound(self) -> bytes:
        """What the player plays, as an MP3."""
        return audible(sonify(self.log_mel) if self.samples is None else np.asarray(self.samples, dtype=np.float32))

    def html(self) -> str:
        """Write the panel as a figure with its player."""
        note = f"<span>{escape(self.note)}</span>" if self.note else ""
        return (
            f'<figure class="svdlib-panel"><figcaption class="svdlib-title">{escape(self.title)}</figcaption>'
            f'<img alt="{escape(self.description)}" src="{as_data_uri("image/png", self.image)}">'
            f'<audio controls preload="metadata" aria-label="{escape(self.title)}, {self.seconds:.1f} seconds" '
            f'src="{as_data_uri("audio/mpeg", self.sound)}"></audio>{note}</figure>'
        )


def audible(samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Samples (samples,) at the loudness of all players, as an MP3."""
    loudness = float(np.sqrt(np.mean(samples**2)))
    gain = min(LARGEST_GAIN, LOUDNESS / max(loudness, SMALLEST_MAGNITUDE))
    return encode_mp3(samples * gain, sample_rate)


class Gallery:
    """A grid of panels that fits any screen. Notebooks show it as it is."""

    def __init__(self, panels: Sequence[Panel]) -> None:
        """Take the panels in the order in which they are shown."""
        self.panels = list(panels)

    def __repr__(self) -> str:
        return f"Gallery({', '.join(panel.title for panel in self.panels)})"

    def _repr_html_(self) -> str:
        return f'{SHEET}<div class="svdlib-gallery">{"".join(panel.html() for panel in self.panels)}</div>'


def as_panel(standardizer: Standardizer, picture: Tensor, title: str, note: str = "") -> Panel:
    """Make a panel of one picture.

    Args:
        standardizer: the detector's, to bring spectrograms back to the scale of sound.
        picture: a standardised excerpt or inversion (115, 80).
        title: stands over it.
        note: a line below it.
    """
    standardised = picture.detach().cpu()
    with torch.no_grad():
        return Panel(title, standardizer.inverse(picture.detach()).cpu(), standardised, note)


def inversion_panels(
    standardizer: Standardizer,
    excerpt: Tensor,
    inversions: Mapping[str, Tensor],
    name: str,
    notes: Mapping[str, str] | None = None,
) -> list[Panel]:
    """Make a panel of an excerpt and one of each of its inversions.

    Args:
        standardizer: the detector's, see `as_panel`.
        excerpt: the standardised original (115, 80).
        inversions: a standardised inversion (115, 80) per layer.
        name: what the excerpt is called; stands in the titles.
        notes: a line below the panel of a layer; "input" for the original.
    """
    notes = notes or {}
    pictures = {"input": excerpt, **inversions}
    return [
        as_panel(
            standardizer,
            picture,
            f"{name}, original" if key == "input" else f"{name}, from {layer_title(key)}",
            notes.get(key, ""),
        )
        for key, picture in pictures.items()
    ]


def as_data_uri(kind: str, data: bytes) -> str:
    """A file as an address that holds the file itself, for a page that loads nothing.

    Args:
        kind: its media type, such as "audio/mpeg".
        data: its content.
    """
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
