"""A detector's answer for every frame of a song."""

import itertools
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.framing import framed
from svdlib.audio.spectra import compress, magnitude_spectra, mel_magnitudes, scale_axes
from svdlib.compute.growing import GrowingRows
from svdlib.detector.architecture import Detector, check_song
from svdlib.errors import InputError

CHUNK_FRAMES = 2048  # of a song that are looked at together, to spare memory


PITCH_SHIFTS = (-0.2, -0.1, 0.0, 0.1, 0.2)
"""Changes of pitch, as shares, over which `predict_averaged` averages. Which ones the paper takes, we do not know."""


def predict(detector: Detector, log_mel: np.ndarray) -> np.ndarray:
    """Probability of singing in each frame of a song.

    Args:
        detector: a trained detector.
        log_mel: the song's raw log-mel (frames, 80).

    Returns:
        Probabilities (frames,), not smoothed.
    """
    check_song(log_mel)
    device = detector.standardizer.mean.device
    pieces = (
        torch.as_tensor(log_mel[start : start + CHUNK_FRAMES], dtype=torch.float32, device=device)
        for start in range(0, len(log_mel), CHUNK_FRAMES)
    )
    # One array from the start: small ones, kept one by one, would lie between the large ones that are freed, and keep
    # their memory from being used again.
    probabilities, done = np.empty(len(log_mel), dtype=np.float32), 0
    for scores in detector.predict_pieces(map(detector.standardizer, pieces)):
        probabilities[done : done + len(scores)] = scores.cpu().numpy()
        done += len(scores)
    return probabilities


def predict_averaged(
    detector: Detector, samples: np.ndarray, pitch_shifts: Sequence[float] = PITCH_SHIFTS
) -> np.ndarray:
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
    return average_over_blocks(detector, [np.asarray(samples, dtype=np.float32)], pitch_shifts)


@torch.no_grad()
def average_over_blocks(
    detector: Detector, blocks: Iterable[np.ndarray], pitch_shifts: Sequence[float] = PITCH_SHIFTS
) -> np.ndarray:
    """Do what `predict_averaged` does for a song that comes in blocks (samples,): little of it is in memory at once."""
    if not len(pitch_shifts) or min(pitch_shifts) <= -1:
        raise InputError(f"Pitch shifts are shares above -1, one or more of them, not {tuple(pitch_shifts)}.")
    device = detector.standardizer.mean.device
    spectra = (magnitude_spectra(piece).to(device) for piece in framed(blocks, CHUNK_FRAMES))
    copies = itertools.tee(spectra, len(pitch_shifts))
    pieces = [_transposed(copy, shift) for copy, shift in zip(copies, pitch_shifts, strict=True)]
    # Scored in step, so that no copy runs far ahead of the others.
    scored = zip(*(detector.predict_pieces(map(detector.standardizer, each)) for each in pieces), strict=True)
    averages = GrowingRows(1, np.float32)
    for scores in scored:
        total = sum(score.cpu().numpy().astype(np.float64) for score in scores)
        averages.add((total / len(pitch_shifts))[:, None])
    return averages.finish()[:, 0]


def _transposed(spectra: Iterable[Tensor], shift: float) -> Iterator[Tensor]:
    """Raw log-mels (n, 80) of pieces of a song, magnitudes (n, 513), in another pitch."""
    factor, same = torch.tensor([1.0 + shift], dtype=torch.float64), torch.ones(1)
    for piece in spectra:
        yield compress(mel_magnitudes(scale_axes(piece[None], factor, same, len(piece))[0]))
