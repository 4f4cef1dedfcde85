"""What every singing-voice detector has, whatever its architecture: how it is trained, and how it hears a song."""

import itertools
from abc import abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, LOG_SILENCE, N_BANDS
from svdlib.audio.standardizer import Standardizer
from svdlib.errors import LayerError
from svdlib.inversion.listener import as_input

CENTRE_FRAME = EXCERPT_FRAMES // 2
SCORED_AT_ONCE = 1024  # frames of a song
TIME_STRIDE = 9
"""Frames between two neighbouring centres of a segment that are scored."""


def check_song(log_mel: Tensor | np.ndarray) -> None:
    """Raise LayerError if an array is not the log-mel (frames, 80) of a song."""
    if log_mel.ndim != 2 or log_mel.shape[1] != N_BANDS or not len(log_mel):
        raise LayerError(f"A song is a log-mel of shape (frames, {N_BANDS}), not {tuple(log_mel.shape)}.")


def check_excerpts(x: Tensor) -> None:
    """Raise LayerError if a tensor is not excerpts (batch, 1, 115, 80)."""
    if x.ndim != 4 or tuple(x.shape[1:]) != (1, EXCERPT_FRAMES, N_BANDS):
        raise LayerError(
            f"The detector takes excerpts of shape (batch, 1, {EXCERPT_FRAMES}, {N_BANDS}), not {tuple(x.shape)}."
        )


class Detector(nn.Module):
    """A network that takes standardised excerpts (batch, 1, 115, 80) and says whether their centre frames are sung.

    Attributes:
        kind: what its files of weights call it.
        standardizer: mean and standard deviation of each mel band over the training songs, so that the weights travel
            with the scale they were trained on; apply it to a song's log-mel before cutting excerpts.
        threshold: a frame counts as sung if its smoothed probability is larger; chosen on the validation songs.
        provenance: where trained weights come from; empty for a new network.
    """

    kind: ClassVar[str]

    def __init__(self) -> None:
        super().__init__()
        self.standardizer = Standardizer()
        self.threshold = 0.5
        self.provenance: dict[str, Any] = {}

    @abstractmethod
    def segment_logits(self, x: Tensor) -> Tensor:
        """Score every ninth centre frame of longer segments at once: this is how a detector is trained.

        Args:
            x: standardised segments (batch, 1, frames, 80), frames >= 115.

        Returns:
            Logits (batch, (frames - 115) // 9 + 1); entry k belongs to frame 57 + 9 k.
        """

    @abstractmethod
    def dense_logits(self, frames: Tensor) -> Tensor:
        """Score all frames of a piece of a song that have half an excerpt on both sides, see `predict_song`.

        Args:
            frames: standardised (n, 80), n >= 115.

        Returns:
            Logits (n - 114,); entry k belongs to frame 57 + k.
        """

    @torch.no_grad()
    def predict_song(self, spectrogram: Tensor) -> Tensor:
        """Score every frame of a song.

        Both ends of the song are continued with digital silence, half an excerpt long, as published.

        Args:
            spectrogram: one song's standardised log-mel (frames, 80).

        Returns:
            Probabilities of singing (frames,).
        """
        spectrogram = as_input(spectrogram, self.standardizer.mean)
        check_song(spectrogram)
        return torch.cat([*self.predict_pieces(spectrogram.split(SCORED_AT_ONCE))])

    @torch.no_grad()
    def predict_pieces(self, pieces: Iterable[Tensor]) -> Iterator[Tensor]:
        """Score every frame of a song that comes in pieces, as `predict_song` does.

        Args:
            pieces: standardised log-mel (frames, 80) each, on the device of the network.

        Yields:
            Probabilities of singing (n,), in all one for each frame; the pieces are not those of the song.
        """
        silence = self.standardizer(torch.full_like(self.standardizer.mean[None], LOG_SILENCE)).expand(CENTRE_FRAME, -1)
        held, overlap = silence, EXCERPT_FRAMES - 1
        for piece in itertools.chain(pieces, [silence]):
            held = torch.cat([held, piece])
            while len(held) >= SCORED_AT_ONCE + overlap:
                yield torch.sigmoid(self.dense_logits(held[: SCORED_AT_ONCE + overlap]))
                held = held[SCORED_AT_ONCE:]
        if len(held) > overlap:
            yield torch.sigmoid(self.dense_logits(held))
