"""Excerpts of songs, cut on the fly from spectrograms that stay on the device.

A bank lays the standardised log-mels of all songs end to end in one tensor. An excerpt is named by an index; a batch is
one gather. No copy of an excerpt is ever stored, and no worker process is needed.
"""

import copy

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.storage import digest
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.errors import CorpusError
from svdlib.songs.loading import Songs

HOP_FRAMES = 10
"""Frames between two excerpts of a training set (paper section 3.3: 140 ms)."""


class ExcerptBank:
    """All excerpts of a split.

    Attributes:
        frames: standardised log-mels of all songs, end to end (total frames, 80).
        starts: first frame of each excerpt in `frames` (excerpts,).
        songs: index of the song that each excerpt comes from (excerpts,).
    """

    def __init__(
        self,
        songs: Songs,
        *,
        standardizer: Standardizer,
        hop_frames: int = HOP_FRAMES,
        device: torch.device | str = "cpu",
    ) -> None:
        """Standardise the songs and list their excerpts.

        Args:
            songs: the songs of one split.
            standardizer: mean and deviation per band of the training split.
            hop_frames: frames between neighbouring excerpts.
            device: where the spectrograms live.

        Raises:
            CorpusError: if no song is long enough for one excerpt.
        """
        self.device = torch.device(device)
        if not songs.log_mels:
            raise CorpusError("There is no song to cut excerpts from.")
        with torch.no_grad():
            scale = copy.deepcopy(standardizer).cpu()
            standardised = [scale(torch.as_tensor(song, dtype=torch.float32)) for song in songs.log_mels]
        lengths = np.array([len(song) for song in standardised])
        offsets = np.concatenate([[0], np.cumsum(lengths)[:-1]])
        ranges = [np.arange(0, length - EXCERPT_FRAMES + 1, hop_frames) for length in lengths]
        starts = np.concatenate([offset + within for offset, within in zip(offsets, ranges, strict=True)])
        if not len(starts):
            raise CorpusError(f"No song is as long as one excerpt ({EXCERPT_FRAMES} frames, 1.66 s).")
        song_of_excerpt = np.repeat(np.arange(len(standardised)), [len(within) for within in ranges])
        self.frames = torch.cat(standardised).to(self.device)
        self.starts = torch.as_tensor(starts, device=self.device)
        self.songs = torch.as_tensor(song_of_excerpt, device=self.device)
        self.song_offsets, self.song_lengths = offsets, lengths
        self._frame_labels = torch.as_tensor(np.concatenate(songs.labels).astype(bool), device=self.device)
        self._window = torch.arange(EXCERPT_FRAMES, device=self.device)

    def __len__(self) -> int:
        return len(self.starts)

    def __repr__(self) -> str:
        songs = len(self.song_lengths)
        return f"ExcerptBank of {len(self)} excerpts from {songs} song{'s' * (songs != 1)}, on {self.device}"

    @property
    def digest(self) -> str:
        """What tells these songs from others."""
        return digest(self.frames)

    def gather(self, indices: Tensor) -> Tensor:
        """Cut the excerpts named by `indices` (batch,): standardised (batch, 1, 115, 80)."""
        return self.cut(self.starts[indices])

    def cut(self, starts: Tensor) -> Tensor:
        """Cut the excerpts that begin at given frames of `frames` (batch,): (batch, 1, 115, 80)."""
        return self.frames[starts[:, None] + self._window].unsqueeze(1)

    def draw(self, per_group: int, generator: np.random.Generator) -> Tensor:
        """First frames of so many random excerpts of every song, song by song, to be given to `cut`.

        Args:
            per_group: how many per song, drawn uniformly over its whole length; a song that is too short has none.
            generator: the source of chance.

        Returns:
            (songs * per_group,).
        """
        starts = [
            offset + generator.integers(0, length - EXCERPT_FRAMES + 1, per_group)
            for offset, length in zip(self.song_offsets, self.song_lengths, strict=True)
            if length >= EXCERPT_FRAMES
        ]
        return torch.as_tensor(np.concatenate(starts), device=self.device)

    def labels(self, indices: Tensor) -> Tensor:
        """Whether somebody sings in the centre frame of each excerpt, boolean (batch,)."""
        return self._frame_labels[self.starts[indices] + CENTRE_FRAME]

    def spread(self, count: int) -> Tensor:
        """Indices of up to `count` excerpts, evenly spread over the bank."""
        count = min(count, len(self))
        return torch.linspace(0, len(self) - 1, count, dtype=torch.float64, device=self.device).round().long()
