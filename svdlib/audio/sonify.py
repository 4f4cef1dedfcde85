"""From a log-mel spectrogram back to sound."""

import numpy as np
import torch

from svdlib.audio.compiled import import_librosa
from svdlib.audio.files import within_full_scale
from svdlib.audio.mel_axis import FRAME_LENGTH, HOP_LENGTH, N_BANDS, SMALLEST_MAGNITUDE, mel_filterbank
from svdlib.errors import AudioError

LOUDEST = 20.0  # natural-log magnitude: far beyond that of samples at full scale, 6.2
INVERSION_STEPS = 30  # after as many, the mel magnitudes are within half a percent on music


FADE_SAMPLES = 64  # 3 ms, where the analysis window is nearly zero anyway


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
    from threadpoolctl import threadpool_limits

    mel = _mel_magnitudes(log_mel)
    # The outermost samples lie under few windows and come out as clicks: make extra frames to cut off.
    margin = FRAME_LENGTH // HOP_LENGTH + 1
    mel = np.pad(mel, ((margin, margin), (0, 0)), mode="edge")
    # The matrices are so small that threads wait for each other longer than they work, ten times so on a busy machine.
    with threadpool_limits(1):
        magnitude = undo_filters(mel.T, mel_filterbank())
        samples = import_librosa().griffinlim(
            magnitude, n_iter=iterations, random_state=seed, n_fft=FRAME_LENGTH, hop_length=HOP_LENGTH, center=False
        )
    samples = samples[margin * HOP_LENGTH : -margin * HOP_LENGTH]
    fade = np.linspace(0, 1, FADE_SAMPLES)
    samples[:FADE_SAMPLES] *= fade
    samples[-FADE_SAMPLES:] *= fade[::-1]
    return within_full_scale(samples)


def _mel_magnitudes(log_mel: np.ndarray | torch.Tensor) -> np.ndarray:
    log_mel = torch.as_tensor(log_mel).detach().cpu().double().numpy()
    if log_mel.ndim != 2 or log_mel.shape[1] != N_BANDS or not len(log_mel):
        raise AudioError(f"log-mel of shape {log_mel.shape}: it must be (frames, {N_BANDS})")
    if not np.isfinite(log_mel).all():
        raise AudioError("the log-mel holds NaN or infinity: check the reconstruction that it comes from")
    # Beyond full scale only the shape counts, and single precision ends at 88.
    return np.exp(log_mel - max(0.0, float(log_mel.max()) - LOUDEST))


def undo_filters(bands: np.ndarray, filters: np.ndarray) -> np.ndarray:
    """Find a spectrum without negative values whose filtered bands come close to given ones.

    The pseudo-inverse without its negative values is improved by multiplicative updates (Lee & Seung, 2001):
    as close as exact non-negative least squares, in a twentieth of the time.

    Args:
        bands: what the filters gave (bands, frames), >= 0.
        filters: what each of them takes of every bin (bins, bands), >= 0.

    Returns:
        (bins, frames).
    """
    spectrum = np.maximum(np.linalg.pinv(filters.T) @ bands, SMALLEST_MAGNITUDE / 10)
    for _ in range(INVERSION_STEPS):
        spectrum *= (filters @ bands) / (filters @ (filters.T @ spectrum) + 1e-12)  # no division by zero
    return spectrum
