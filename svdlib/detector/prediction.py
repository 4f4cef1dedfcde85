"""A detector's answer for every frame of a song."""

from collections.abc import Sequence

import numpy as np
import torch

from svdlib.audio.spectra import compress, magnitude_spectra, mel_magnitudes, scale_axes
from svdlib.detector.model import SVDNet
from svdlib.errors import InputError

CHUNK_FRAMES = 2048  # transposed at once, to spare memory


PITCH_SHIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)
"""Changes of pitch, as shares, over which `predict_averaged` averages. Which ones the paper takes, we do not know."""


def predict(detector: SVDNet, log_mel: np.ndarray) -> np.ndarray:
    """Probability of singing in each frame of a song.

    Args:
        detector: a trained detector.
        log_mel: the song's raw log-mel (frames, 80).

    Returns:
        Probabilities (frames,), not smoothed.
    """
    device = detector.standardizer.mean.device
    spectrogram = detector.standardizer(torch.as_tensor(log_mel, dtype=torch.float32, device=device))
    return detector.predict_song(spectrogram).cpu().numpy()


@torch.no_grad()
def predict_averaged(detector: SVDNet, samples: np.ndarray, pitch_shifts: Sequence[float] = PITCH_SHIFTS) -> np.ndarray:
    """Probability of singing in each frame, averaged over transposed versions of a song (Schlüter & Grill, 2015).

    Args:
        detector: a trained detector.
        samples: the song (samples,), 22050 Hz. A log-mel would not do: pitch is changed before the mel filters.
        pitch_shifts: changes of pitch as shares, each above -1; `(0,)` alone gives what `predict` gives.

    Returns:
        Probabilities (frames,), not smoothed.

    Raises:
        InputError: if there is no shift, or one is -1 or less.
    """
    if not len(pitch_shifts) or min(pitch_shifts) <= -1:
        raise InputError(f"Pitch shifts are shares above -1, one or more of them, not {tuple(pitch_shifts)}.")
    spectra = magnitude_spectra(np.asarray(samples, dtype=np.float32))
    chunks = spectra.to(detector.standardizer.mean.device).split(CHUNK_FRAMES)
    total = np.zeros(len(spectra))
    for shift in pitch_shifts:
        factor, same = torch.tensor([1.0 + shift], dtype=torch.float64), torch.ones(1)
        shifted = [mel_magnitudes(scale_axes(chunk[None], factor, same, len(chunk))[0]) for chunk in chunks]
        log_mel = detector.standardizer(compress(torch.cat(shifted)))
        total += detector.predict_song(log_mel).cpu().numpy()
    return (total / len(pitch_shifts)).astype(np.float32)
