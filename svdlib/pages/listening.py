"""Listening to spectrograms in a fair way: how much the way to sound costs, equal loudness, and guessing before seeing.

All of it is our own; the paper shows inversions and does not sound them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import count

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import DECIBELS_PER_NEPER
from svdlib.errors import AudioError
from svdlib.lab.figures.gallery import SHEET, Panel, as_data_uri

AUDIBLE_DECIBELS = 60.0
"""What lies so far below the loudest cell counts as silence, whatever its number: in music the rest covers it."""

_numbers = count(1)
"""Tells one quiz of a page from another."""


def log_mel_of(samples: np.ndarray) -> Tensor:
    """Log-mel (frames, 80) of a sound (samples,), 22050 Hz."""
    with torch.no_grad():
        return LogMel()(torch.as_tensor(np.asarray(samples, dtype=np.float32)))


def audible_difference(log_mel: Tensor, other: Tensor) -> float:
    """How far two spectrograms are apart, in decibels: the root mean square over all cells.

    Both are cut off 60 dB below the loudest cell of the first, so that silence does not count however deep it is.

    Args:
        log_mel: (frames, 80), natural-log mel magnitudes, not standardised.
        other: of the same shape.

    Raises:
        AudioError: if the shapes differ.
    """
    if log_mel.shape != other.shape:
        raise AudioError(f"Spectrograms of shapes {tuple(log_mel.shape)} and {tuple(other.shape)} cannot be compared.")
    floor = float(log_mel.max()) - AUDIBLE_DECIBELS / DECIBELS_PER_NEPER
    difference = log_mel.double().clamp(min=floor) - other.double().clamp(min=floor)
    return float(difference.square().mean().sqrt()) * DECIBELS_PER_NEPER


@dataclass(frozen=True)
class Riddle:
    """A sound whose origin is to be guessed.

    Attributes:
        panel: what is heard, and shown in the answer.
        answer: the right one of the quiz's choices.
        comment: a sentence for the answer.
    """

    panel: Panel
    answer: str
    comment: str = ""


class ListeningQuiz:
    """Sounds to be guessed before their pictures are seen. Notebooks show it as it is; it needs no program to run."""

    def __init__(self, riddles: Sequence[Riddle], choices: Sequence[str]) -> None:
        """Take the riddles in the order in which they are heard.

        Args:
            riddles: the sounds.
            choices: what they may be.

        Raises:
            AudioError: if an answer is none of the choices.
        """
        for riddle in riddles:
            if riddle.answer not in choices:
                raise AudioError(f"The answer {riddle.answer!r} is none of the choices: {', '.join(choices)}.")
        self.riddles, self.choices = list(riddles), list(choices)
        self.number = next(_numbers)

    def __repr__(self) -> str:
        return f"ListeningQuiz({len(self.riddles)} sounds)"

    def _repr_html_(self) -> str:
        parts = [self._riddle_html(place, riddle) for place, riddle in enumerate(self.riddles, start=1)]
        return f'{SHEET}<div class="svdlib-gallery">{"".join(parts)}</div>'

    def _riddle_html(self, place: int, riddle: Riddle) -> str:
        name = f"svdlib-quiz-{self.number}-{place}"
        radios = "".join(
            f'<label style="display: inline-block; margin-right: 0.8rem; line-height: 2.2; white-space: nowrap">'
            f'<input type="radio" name="{name}"> {escape(choice)}</label>'
            for choice in self.choices
        )
        picture = as_data_uri("image/png", riddle.panel.image)
        return (
            f'<section class="svdlib-panel" aria-label="Sound {place}">'
            f'<span class="svdlib-title">Sound {place}</span>'
            f'<audio controls preload="metadata" aria-label="Sound {place}" '
            f'src="{as_data_uri("audio/mpeg", riddle.panel.sound)}"></audio>'
            '<fieldset style="border: 0; margin: 0.5rem 0; padding: 0">'
            f'<legend style="font-size: 0.9rem; margin: 0">Your guess</legend>{radios}</fieldset>'
            f"<details><summary>Reveal sound {place}</summary>"
            f"<p><strong>{escape(riddle.answer)}.</strong> {escape(riddle.comment)}</p>"
            f'<img alt="{escape(riddle.panel.description)}" src="{picture}"></details></section>'
        )
