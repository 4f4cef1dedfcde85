"""From sound files to log-mel spectrograms and back.

The front end is that of the singing voice detector of Schlüter & Grill (2015), as in the paper, section 3.1.
"""

from collections.abc import Iterable

import numpy as np
import torch
from torch import nn

from svdlib.audio.framing import framed
from svdlib.audio.mel_axis import FRAME_LENGTH, HOP_LENGTH, N_BANDS, SMALLEST_MAGNITUDE, mel_filterbank
from svdlib.compute.growing import GrowingRows
from svdlib.errors import AudioError

FRONT_END_VERSION = "2"  # in the key of cached spectrograms: raise it when LogMel changes

CHUNK_FRAMES = 2048  # frames transformed at once: 16 MB in double precision


class LogMel(nn.Module):
    """Waveform to log-mel spectrogram: symmetric Hann window, magnitude, mel filters, natural logarithm.

    It computes in double precision, because a quiet band beside a loud one drowns in the rounding errors of a
    single-precision Fourier transform. `LogMel().float()` serves devices without double precision.
    """

    window: torch.Tensor
    filterbank: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("window", torch.from_numpy(np.hanning(FRAME_LENGTH)), persistent=False)
        self.register_buffer("filterbank", torch.from_numpy(mel_filterbank()), persistent=False)

    def forward(self, samples: torch.Tensor | np.ndarray) -> torch.Tensor:
        """Compute the log-mel spectrogram, without padding.

        Args:
            samples: floating point of any width (..., n), 22050 Hz, n >= 1024.

        Returns:
            float32 (..., frames, 80) with frames = (n - 1024) // 315 + 1: natural logarithm of mel magnitudes, at
            least ln(1e-7) = -16.1, on the device of the module. It is float32 whatever the samples are, since that is
            what the networks take.

        Raises:
            AudioError: fewer than 1024 samples, or not floating point.
        """
        try:
            samples = torch.as_tensor(samples)
        except (TypeError, ValueError, RuntimeError) as error:
            raise AudioError(
                f"samples of type {type(samples).__name__}: give an array of them, such as svdlib.load_audio returns"
            ) from error
        if not samples.is_floating_point():
            raise AudioError(f"samples of type {samples.dtype}: scale them to floating point in [-1, 1]")
        if samples.ndim < 1 or samples.shape[-1] < FRAME_LENGTH:
            raise AudioError(
                f"samples of shape {tuple(samples.shape)}: a frame takes {FRAME_LENGTH} along the last axis; give a "
                "longer sound, and of channels side by side the mean, samples.mean(axis=1)"
            )
        frames = samples.to(self.window.device).unfold(-1, FRAME_LENGTH, HOP_LENGTH)
        chunk_frames = max(1, CHUNK_FRAMES // max(1, frames[..., 0, 0].numel()))
        chunks = [self._log_mel(chunk).float() for chunk in frames.split(chunk_frames, dim=-2)]
        return torch.cat(chunks, dim=-2)

    def of_blocks(self, blocks: Iterable[np.ndarray]) -> torch.Tensor:
        """Compute the log-mel spectrogram of a sound that comes in blocks.

        It is what `forward` gives for all samples at once, to the last bit, and memory grows with the result alone.

        Args:
            blocks: floating point (samples,) each, 22050 Hz, 1024 samples or more in all.

        Returns:
            float32 (frames, 80), in main memory.

        Raises:
            AudioError: as for `forward`.
        """
        rows = GrowingRows(N_BANDS, np.float32)
        for piece in framed(blocks, CHUNK_FRAMES):
            rows.add(self(piece).cpu().numpy())
        return torch.from_numpy(rows.finish())

    def _log_mel(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (..., 1024) to log-mel (..., 80), in the precision of the module."""
        magnitude = torch.fft.rfft(frames.to(self.window.dtype) * self.window).abs()
        return torch.log((magnitude @ self.filterbank).clamp(min=SMALLEST_MAGNITUDE))
