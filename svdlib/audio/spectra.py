"""Linear-frequency magnitude spectra, the step before the mel filters, and their change in pitch and time.

On a linear frequency axis every partial of a note moves by the same factor when the note is transposed, and formants
move along. So scaling the frequency axis changes the pitch, and scaling the time axis changes the tempo, each without
the other (Schlüter & Grill, ISMIR 2015). A mel axis is bent; there no single factor does it.
"""

import functools
from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.framing import framed
from svdlib.audio.log_mel import CHUNK_FRAMES
from svdlib.audio.mel_axis import FRAME_LENGTH, HOP_LENGTH, SMALLEST_MAGNITUDE, mel_filterbank
from svdlib.compute.growing import GrowingRows
from svdlib.errors import AudioError

N_BINS = FRAME_LENGTH // 2 + 1
"""Frequency bins from 0 to 11025 Hz, 21.5 Hz apart."""

PACKING = 128.0
"""Packed magnitudes are multiplied by it: the largest that samples within [-1, 1] can have (512) still fits into half
precision, and small ones keep their eleven binary digits down to 5e-7."""

LARGEST_PACKED = 65504.0  # of half precision


def magnitude_spectra(samples: np.ndarray | Tensor) -> Tensor:
    """Compute the magnitudes that the front end, `svdlib.audio.log_mel.LogMel`, applies its mel filters to.

    Args:
        samples: floating point (samples,), 22050 Hz, at least 1024 of them.

    Returns:
        float32 (frames, 513), frames = (samples - 1024) // 315 + 1.

    Raises:
        AudioError: fewer than 1024 samples, or not one row of floating point numbers.
    """
    samples = torch.as_tensor(samples)
    if samples.ndim != 1 or not samples.is_floating_point() or len(samples) < FRAME_LENGTH:
        raise AudioError(
            f"samples of shape {tuple(samples.shape)}, {samples.dtype}: a frame takes {FRAME_LENGTH} floats"
        )
    window = torch.from_numpy(np.hanning(FRAME_LENGTH)).to(samples.device)
    frames = samples.unfold(0, FRAME_LENGTH, HOP_LENGTH)
    # In double precision, as the front end: a soft bin beside a loud one would drown in rounding errors.
    return torch.cat([torch.fft.rfft(chunk.double() * window).abs().float() for chunk in frames.split(CHUNK_FRAMES)])


def packed_spectra(blocks: Iterable[np.ndarray]) -> np.ndarray:
    """Compute the packed magnitudes of a sound that comes in blocks; memory grows with the result alone.

    Args:
        blocks: floating point (samples,) each, 22050 Hz, 1024 samples or more in all.

    Returns:
        float16 (frames, 513): what `pack` makes of `magnitude_spectra` of all samples at once, to the last bit.

    Raises:
        AudioError: as for `magnitude_spectra`.
    """
    rows = GrowingRows(N_BINS, np.float16)
    for piece in framed(blocks, CHUNK_FRAMES):
        rows.add(pack(magnitude_spectra(piece)))
    return rows.finish()


def pack(spectra: Tensor) -> np.ndarray:
    """Magnitudes (frames, 513) as float16 for storage: half the bytes, and an error of 0.05 % (0.004 dB)."""
    return (spectra * PACKING).clamp(max=LARGEST_PACKED).half().cpu().numpy()


def unpack(packed: Tensor) -> Tensor:
    """The magnitudes, float32, of what `pack` has packed."""
    return packed.float() / PACKING


def mel_magnitudes(spectra: Tensor) -> Tensor:
    """Apply the mel filters to magnitudes (..., 513), float32: (..., 80)."""
    return spectra @ _filterbank(str(spectra.device))


def compress(mel: Tensor) -> Tensor:
    """Natural logarithm of mel magnitudes, those below 1e-7 raised to it."""
    return mel.clamp(min=SMALLEST_MAGNITUDE).log()


def scale_axes(spectra: Tensor, pitch: Tensor, stretch: Tensor, frames: int) -> Tensor:
    """Transpose and stretch each spectrogram of a batch by its own factors, interpolating linearly.

    0 Hz stays where it is, and so does the middle of the time axis. What would have to come from above 11025 Hz or from
    beyond the given frames is silence. Schlüter & Grill's program takes quadratic splines in place of lines.

    Args:
        spectra: magnitudes (batch, frames given, 513).
        pitch: (batch,), 1.3 moves a partial from f to 1.3 f.
        stretch: (batch,), 1.3 makes everything last 1.3 times as long.
        frames: how many to return, from the middle.

    Returns:
        Magnitudes (batch, frames, 513).
    """
    given = spectra.shape[1]
    steps = torch.arange(frames, dtype=torch.float64) - (frames - 1) / 2
    times = (given - 1) / 2 + steps / stretch.cpu().double()[:, None]
    bins = torch.arange(N_BINS, dtype=torch.float64) / pitch.cpu().double()[:, None]
    return _read(_read(spectra, times, axis=1), bins, axis=2)


def _read(spectra: Tensor, positions: Tensor, axis: int) -> Tensor:
    """Values (batch, ..., ...) at fractional positions (batch, n) of one axis; 0 beyond its ends."""
    last = spectra.shape[axis] - 1
    below = positions.floor().clamp(0, max(0, last - 1))
    inside = ((positions >= 0) & (positions <= last)).double()
    above_share = (positions - below) * inside
    below_share = inside - above_share
    other = 3 - axis

    def values(index: Tensor, share: Tensor) -> Tensor:
        index = index.long().to(spectra.device).unsqueeze(other).expand(*_with(spectra.shape, axis, index.shape[1]))
        return spectra.gather(axis, index) * share.to(spectra).unsqueeze(other)

    return values(below, below_share) + values((below + 1).clamp(max=last), above_share)


def _with(shape: torch.Size, axis: int, length: int) -> list[int]:
    return [length if number == axis else size for number, size in enumerate(shape)]


@functools.cache
def _filterbank(device: str) -> Tensor:
    return torch.from_numpy(mel_filterbank()).float().to(device)
