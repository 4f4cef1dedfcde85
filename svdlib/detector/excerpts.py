"""Excerpts of songs, cut on the fly from spectrograms that stay on the device.

A bank lays the standardised log-mels of all songs end to end in one tensor. An excerpt is named by an index; a batch is
one gather. No copy of an excerpt is ever stored, and no worker process is needed.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.standardizer import Standardizer
from svdlib.detector.model import CENTRE_FRAME, EXCERPT_FRAMES, N_BANDS
from svdlib.errors import CorpusError

HOP_FRAMES = 10
"""Frames between two excerpts of a training set (paper section 3.3: 140 ms)."""


@dataclass(frozen=True)
class Songs:
    """The songs of one split, as spectrograms.

    Attributes:
        log_mels: one raw log-mel (frames, 80) per song.
        labels: one boolean array (frames,) per song, true where somebody sings.
        names: one name per song.
        voices: the raw log-mels of what is sung alone, where the corpus has stems, else none.
        bands: likewise, of everything else.
        spectra: linear-frequency magnitudes (frames, 513) per song, packed by `svdlib.audio.spectra.pack`; only the
            training as published needs them.
    """

    log_mels: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    names: Sequence[str]
    voices: Sequence[np.ndarray] = ()
    bands: Sequence[np.ndarray] = ()
    spectra: Sequence[np.ndarray] = ()

    def __post_init__(self) -> None:
        if not len(self.log_mels) == len(self.labels) == len(self.names):
            raise CorpusError(
                f"{len(self.log_mels)} log-mels, {len(self.labels)} label arrays and {len(self.names)} names: "
                "each song needs one of each."
            )
        for name, log_mel, label in zip(self.names, self.log_mels, self.labels, strict=True):
            if log_mel.ndim != 2 or log_mel.shape[1] != N_BANDS:
                raise CorpusError(f"{name} has shape {tuple(log_mel.shape)}; a log-mel is (frames, {N_BANDS}).")
            if len(log_mel) != len(label):
                raise CorpusError(f"{name} has {len(log_mel)} frames and labels for {len(label)}.")
        shapes = [log_mel.shape for log_mel in self.log_mels]
        for stems in (self.voices, self.bands):
            if self.has_stems and [stem.shape for stem in stems] != shapes:
                raise CorpusError("Each song needs a voice and a band of its own shape, or no song has them.")
        if len(self.spectra) and [len(song) for song in self.spectra] != [len(song) for song in self.log_mels]:
            raise CorpusError("Each song needs spectra of as many frames as its log-mel, or no song has them.")

    @property
    def has_stems(self) -> bool:
        """Whether voice and band are there apart from each other."""
        return bool(self.voices or self.bands)


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

    def gather(self, indices: Tensor) -> Tensor:
        """Cut the excerpts named by `indices` (batch,): standardised (batch, 1, 115, 80)."""
        return self.cut(self.starts[indices])

    def cut(self, starts: Tensor) -> Tensor:
        """Cut the excerpts that begin at given frames of `frames` (batch,): (batch, 1, 115, 80)."""
        return self.frames[starts[:, None] + self._window].unsqueeze(1)

    def labels(self, indices: Tensor) -> Tensor:
        """Whether somebody sings in the centre frame of each excerpt, boolean (batch,)."""
        return self._frame_labels[self.starts[indices] + CENTRE_FRAME]

    def spread(self, count: int) -> Tensor:
        """Indices of up to `count` excerpts, evenly spread over the bank."""
        count = min(count, len(self))
        return torch.linspace(0, len(self) - 1, count, dtype=torch.float64, device=self.device).round().long()
