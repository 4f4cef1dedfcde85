"""From sound files to log-mel spectrograms and back.

The front end is that of the singing voice detector of Schlüter & Grill (2015), as in the paper, section 3.1.
"""

import io
import os
from pathlib import Path

import numpy as np
import torch
from torch import nn

from svdlib.audio.standardizer import Standardizer
from svdlib.compute.storage import write_atomically
from svdlib.errors import AudioError, OutputError

__all__ = [
    "EXCERPT_FRAMES", "EXCERPT_SAMPLES", "FRAME_LENGTH", "FRAME_RATE", "FRONT_END_VERSION", "HOP_LENGTH",
    "MAX_FREQUENCY", "MIN_FREQUENCY", "N_BANDS", "SAMPLE_RATE", "LogMel", "Standardizer", "encode_mp3",
    "load_audio", "load_song", "mel_filterbank", "save_audio", "sonify",
]  # fmt: skip

SAMPLE_RATE = 22050  # samples per second
FRAME_LENGTH = 1024  # samples
HOP_LENGTH = 315  # samples from one frame to the next
FRAME_RATE = SAMPLE_RATE // HOP_LENGTH  # frames per second, exactly 70
N_BANDS = 80
MIN_FREQUENCY = 27.5  # Hz
MAX_FREQUENCY = 8000.0  # Hz
EXCERPT_FRAMES = 115
EXCERPT_SAMPLES = (EXCERPT_FRAMES - 1) * HOP_LENGTH + FRAME_LENGTH
FRONT_END_VERSION = "1"  # in the key of cached spectrograms: raise it when decoding or LogMel changes

SMALLEST_MAGNITUDE = 1e-7  # mel magnitudes below it are raised to it, to keep the logarithm finite
SILENCE_LEVEL = 1e-5  # a file that never exceeds it, half a step of 16 bits, is digital silence
CHUNK_FRAMES = 2048  # frames transformed at once: 16 MB in double precision
INVERSION_STEPS = 30  # after as many, the mel magnitudes are within half a percent on music
FADE_SAMPLES = 64  # 3 ms, where the analysis window is nearly zero anyway


def load_audio(path: str | os.PathLike) -> np.ndarray:
    """Read a sound file as 22050 Hz mono: channels are averaged, other rates are resampled.

    WAV, AIFF, FLAC, Ogg and MP3 are read. A file cut short is refused wherever its format tells; see
    `svdlib.audio.decoding` for the cases that cannot be known.

    Args:
        path: the file.

    Returns:
        float32 (samples,), full scale at 1.

    Raises:
        AudioError: the file is missing, a folder, empty, not audio, damaged, cut short, or not finite.
    """
    from svdlib.audio.decoding import decode

    samples, rate = decode(Path(path))
    if rate != SAMPLE_RATE:
        import librosa

        samples = librosa.resample(samples, orig_sr=rate, target_sr=SAMPLE_RATE, res_type="soxr_hq")
    return np.ascontiguousarray(samples, dtype=np.float32)


def load_song(path: str | os.PathLike) -> np.ndarray:
    """Read a sound file as `load_audio` does, and make sure that there is something to analyse.

    Args:
        path: the file.

    Returns:
        float32 (samples,), 22050 Hz mono, at least one excerpt (36934 samples, 1.7 s) long.

    Raises:
        AudioError: as for `load_audio`; or the file is shorter than one excerpt, or digital silence.
    """
    samples = load_audio(path)
    if len(samples) < EXCERPT_SAMPLES:
        raise AudioError(
            f"{path}: too short ({len(samples) / SAMPLE_RATE:.2f} s); one excerpt takes "
            f"{EXCERPT_SAMPLES / SAMPLE_RATE:.2f} s, so give a longer recording"
        )
    if np.abs(samples).max() < SILENCE_LEVEL:
        raise AudioError(f"{path}: digital silence throughout; export the recording again, or leave it out")
    return samples


def mel_filterbank() -> np.ndarray:
    """Build the triangular mel filters of Schlüter & Grill's code.

    82 points equally spaced on the scale mel(f) = 1127 ln(1 + f/700) from 27.5 to 8000 Hz are the feet and
    peaks of 80 overlapping triangles. Each filter is divided by its sum.

    Returns:
        float64 (513, 80): weight of each frequency bin of a 1024-point transform in each band.
    """
    mel_limits = 1127 * np.log1p(np.array([MIN_FREQUENCY, MAX_FREQUENCY]) / 700)
    points_hz = 700 * np.expm1(np.linspace(*mel_limits, N_BANDS + 2) / 1127)
    bins_hz = np.linspace(0, SAMPLE_RATE / 2, FRAME_LENGTH // 2 + 1)
    point_bins = np.searchsorted(bins_hz, points_hz)
    filters = np.zeros((len(bins_hz), N_BANDS))
    for band in range(N_BANDS):
        left_hz, _, right_hz = points_hz[band : band + 3]
        left, top, right = point_bins[band : band + 3]
        # Divided by bins, not by Hz: the two sides may differ in height, as they do in the original code.
        filters[left:top, band] = (bins_hz[left:top] - left_hz) / (top - left)
        filters[top:right, band] = (right_hz - bins_hz[top:right]) / (right - top)
    return filters / filters.sum(axis=0)


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
            samples: floating point (..., n), 22050 Hz, n >= 1024.

        Returns:
            (..., frames, 80) with frames = (n - 1024) // 315 + 1: natural logarithm of mel magnitudes, at
            least ln(1e-7) = -16.1, in the type of the samples, on the device of the module.

        Raises:
            AudioError: fewer than 1024 samples, or not floating point.
        """
        samples = torch.as_tensor(samples)
        if not samples.is_floating_point():
            raise AudioError(f"samples of type {samples.dtype}: scale them to floating point in [-1, 1]")
        if samples.ndim < 1 or samples.shape[-1] < FRAME_LENGTH:
            raise AudioError(f"samples of shape {tuple(samples.shape)}: a frame takes {FRAME_LENGTH}")
        frames = samples.to(self.window.device).unfold(-1, FRAME_LENGTH, HOP_LENGTH)
        chunk_frames = max(1, CHUNK_FRAMES // max(1, frames[..., 0, 0].numel()))
        chunks = [self._log_mel(chunk).to(samples.dtype) for chunk in frames.split(chunk_frames, dim=-2)]
        return torch.cat(chunks, dim=-2)

    def _log_mel(self, frames: torch.Tensor) -> torch.Tensor:
        """Frames (..., 1024) to log-mel (..., 80), in the precision of the module."""
        magnitude = torch.fft.rfft(frames.to(self.window.dtype) * self.window).abs()
        return torch.log((magnitude @ self.filterbank).clamp(min=SMALLEST_MAGNITUDE))


def sonify(log_mel: np.ndarray | torch.Tensor, *, iterations: int = 32, seed: int = 0) -> np.ndarray:
    """Make a log-mel spectrogram audible.

    A non-negative pseudo-inverse undoes the mel filters; Griffin & Lim's algorithm (1984) finds phases. What
    the filters and the missing phases lost stays lost: even an original sounds a little metallic.

    Args:
        log_mel: (frames, 80), natural-log mel magnitudes, not standardised.
        iterations: rounds of Griffin & Lim's algorithm.
        seed: of the random phases at the start; same seed, same sound.

    Returns:
        float32 (samples,) with samples = (frames - 1) * 315 + 1024, 22050 Hz, within [-1, 1].

    Raises:
        AudioError: not of shape (frames, 80), or holding NaN or infinity.
    """
    import librosa
    from threadpoolctl import threadpool_limits

    mel = _mel_magnitudes(log_mel)
    # The outermost samples lie under few windows and come out as clicks: make extra frames to cut off.
    margin = FRAME_LENGTH // HOP_LENGTH + 1
    mel = np.pad(mel, ((margin, margin), (0, 0)), mode="edge")
    frames = {"n_fft": FRAME_LENGTH, "hop_length": HOP_LENGTH, "center": False}
    # The matrices are so small that threads wait for each other longer than they work, ten times so on a busy machine.
    with threadpool_limits(1):
        magnitude = _undo_mel_filters(mel.T)
        samples = librosa.griffinlim(magnitude, n_iter=iterations, random_state=seed, **frames)
    samples = samples[margin * HOP_LENGTH : -margin * HOP_LENGTH]
    fade = np.linspace(0, 1, FADE_SAMPLES)
    samples[:FADE_SAMPLES] *= fade
    samples[-FADE_SAMPLES:] *= fade[::-1]
    return _within_full_scale(samples)


def _mel_magnitudes(log_mel: np.ndarray | torch.Tensor) -> np.ndarray:
    log_mel = torch.as_tensor(log_mel).detach().cpu().double().numpy()
    if log_mel.ndim != 2 or log_mel.shape[1] != N_BANDS or not len(log_mel):
        raise AudioError(f"log-mel of shape {log_mel.shape}: it must be (frames, {N_BANDS})")
    if not np.isfinite(log_mel).all():
        raise AudioError("the log-mel holds NaN or infinity: check the reconstruction that it comes from")
    return np.exp(log_mel)


def _undo_mel_filters(mel: np.ndarray) -> np.ndarray:
    """Find magnitudes (513, frames) >= 0 whose mel magnitudes come close to `mel` (80, frames).

    The pseudo-inverse without its negative values is improved by multiplicative updates (Lee & Seung, 2001):
    as close as exact non-negative least squares, in a twentieth of the time.
    """
    filters = mel_filterbank()
    magnitude = np.maximum(np.linalg.pinv(filters.T) @ mel, SMALLEST_MAGNITUDE / 10)
    for _ in range(INVERSION_STEPS):
        magnitude *= (filters @ mel) / (filters @ (filters.T @ magnitude) + 1e-12)  # no division by zero
    return magnitude


def _within_full_scale(samples: np.ndarray) -> np.ndarray:
    """Scale down what would clip; leave the rest as it is."""
    samples = np.asarray(samples, dtype=np.float32)
    return samples / max(1.0, float(np.abs(samples).max(initial=0)))


def save_audio(path: str | os.PathLike, samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Write samples to a sound file: 16-bit WAV, MP3 or Ogg Vorbis, by the suffix of its name.

    Samples beyond full scale make the whole file quieter. The file appears complete or not at all.

    Args:
        path: `.wav`, `.mp3` or `.ogg`.
        samples: floating point (samples,).
        sample_rate: samples per second.

    Raises:
        OutputError: another suffix, samples of another shape or not finite, or no right to write there.
    """
    data = _encode(samples, sample_rate, Path(path))
    write_atomically(Path(path), lambda file: file.write(data))


def encode_mp3(samples: np.ndarray) -> bytes:
    """Encode 22050 Hz samples, floating point (samples,), as an MP3 small enough to embed in a page."""
    return _encode(samples, SAMPLE_RATE, Path("excerpt.mp3"))


FORMATS = {".wav": ("WAV", "PCM_16"), ".mp3": ("MP3", "MPEG_LAYER_III"), ".ogg": ("OGG", "VORBIS")}


def _encode(samples: np.ndarray, sample_rate: int, path: Path) -> bytes:
    import soundfile

    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: sound is written as {', '.join(FORMATS)}; choose one of these suffixes")
    samples = np.asarray(samples)
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise OutputError(f"{path}: samples must be finite numbers of shape (samples,), not {samples.shape}")
    file_format, subtype = FORMATS[path.suffix.lower()]
    buffer = io.BytesIO()
    soundfile.write(buffer, _within_full_scale(samples), sample_rate, format=file_format, subtype=subtype)
    return buffer.getvalue()
