"""A recurrent detector, the same task by another architecture (after Leglaive, Hennequin & Badeau, ICASSP 2015).

Where the first detector looks at an excerpt through convolutions, this one reads it frame by frame, in both directions
at once. As in the paper, three bidirectional layers of long short-term memory (LSTM) lead to one answer per frame. Our
front end is another: the log-mel of the whole sound instead of its harmonic and its percussive part; and the layers
narrow differently, so that the last one gives a frame 64 numbers, as many as the last layer of the first detector.
"""

import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector.architecture import CENTRE_FRAME, TIME_STRIDE, Detector, check_excerpts
from svdlib.detector.segments import SEGMENT_FRAMES
from svdlib.inversion.listener import as_input

UNITS = (128, 64, 32)
"""Units of the three layers in each direction."""
DROPOUT = 0.3
ANSWERED = SEGMENT_FRAMES - 2 * CENTRE_FRAME
"""Frames of a song that are answered from one stretch, whose length is that of a segment: 280."""


class CentreFrame(nn.Module):
    """Keeps the centre frame of sequences: (batch, frames, units) -> (batch, units)."""

    def forward(self, x: Tensor) -> Tensor:
        """Take the middle one of the frames."""
        return x[:, x.shape[1] // 2]


class RecurrentDetector(Detector):
    """Three bidirectional LSTM layers, one logit per frame.

    It is a plain network, opened with `svdlib.Encoder(detector, layers=svdlib.detector.recurrent.LAYERS, ...)`. Its
    layers give features of shape (115, 256), (115, 128), (115, 64) and (64,), (time, units) or (units,).
    """

    kind = "recurrent detector"

    def __init__(self) -> None:
        super().__init__()
        forward, *deeper = UNITS
        self.lstm1 = nn.LSTM(N_BANDS, forward, batch_first=True, bidirectional=True)
        self.lstm2 = nn.LSTM(2 * forward, deeper[0], batch_first=True, bidirectional=True)
        self.lstm3 = nn.LSTM(2 * deeper[0], deeper[1], batch_first=True, bidirectional=True)
        self.dropout = nn.Dropout(DROPOUT)
        self.centre = CentreFrame()
        self.out = nn.Linear(2 * deeper[1], 1)
        for name, values in self.named_parameters():
            _begin(name, values)

    def forward(self, x: Tensor) -> Tensor:
        """Score excerpts for singing in their centre frame.

        Args:
            x: standardised excerpts (batch, 1, 115, 80).

        Returns:
            Logits (batch, 1); `torch.sigmoid` of them are probabilities.

        Raises:
            LayerError: if `x` has another shape.
        """
        x = as_input(x, self.standardizer.mean)
        check_excerpts(x)
        return self.out(self.dropout(self.centre(self._read(x))))

    def frame_logits(self, x: Tensor) -> Tensor:
        """Score every frame of segments (batch, 1, frames, 80): logits (batch, frames)."""
        return self.out(self.dropout(self._read(x))).squeeze(-1)

    def segment_logits(self, x: Tensor) -> Tensor:
        """Score every ninth centre frame of segments, see `Detector.segment_logits`.

        Unlike an excerpt, a segment lets the network look further than 57 frames to either side.
        """
        return self.frame_logits(x)[:, CENTRE_FRAME : x.shape[2] - CENTRE_FRAME : TIME_STRIDE]

    def dense_logits(self, frames: Tensor) -> Tensor:
        """Score a piece of a song in stretches as long as the segments of the training, see `Detector.dense_logits`."""
        overlap = EXCERPT_FRAMES - 1
        whole = (len(frames) - overlap) // ANSWERED
        stretches = [frames[None, whole * ANSWERED :]]
        if whole:
            stretches.insert(0, frames.unfold(0, SEGMENT_FRAMES, ANSWERED).transpose(1, 2))
        return torch.cat([
            self.frame_logits(each[:, None])[:, CENTRE_FRAME:-CENTRE_FRAME].flatten()
            for each in stretches
            if each.shape[1] > overlap
        ])  # fmt: skip

    def _read(self, x: Tensor) -> Tensor:
        """What the last layer says of every frame: (batch, 1, frames, 80) -> (batch, frames, 64)."""
        x, _ = self.lstm1(x[:, 0])
        x, _ = self.lstm2(self.dropout(x))
        x, _ = self.lstm3(self.dropout(x))
        return x


LAYERS = ("lstm1", "lstm2", "lstm3", "centre")
"""The layers of the recurrent detector, shallow to deep; the last one is what LSTM3 says of the centre frame."""


@torch.no_grad()
def _begin(name: str, values: Tensor) -> None:
    """Initial weights: orthogonal, and gates that forget little at first (Jozefowicz et al., ICML 2015)."""
    if values.ndim == 1:
        values.zero_()
    elif "_hh_" in name:
        for gate in values.chunk(4):
            nn.init.orthogonal_(gate)
    else:
        nn.init.xavier_uniform_(values)
    if "bias_ih" in name:
        values.chunk(4)[1].fill_(1.0)
