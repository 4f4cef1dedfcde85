"""How the tagger's patches are drawn and heard: 62.5 frames of 96 mel bands a second."""

import numpy as np
from torch import Tensor

from svdlib.audio.compiled import import_librosa
from svdlib.audio.sonify import undo_filters
from svdlib.inversion.front_end import FrontEnd
from svdlib.tagger.model import PATCH_BANDS
from svdlib.tagger.patches import FFT_SAMPLES, HOP_SAMPLES, SCALE, TAGGER_RATE

LOUDEST = 8.0
"""Of the scale of patches: far beyond what samples at full scale give, and no overflow yet."""


def tagger_front_end() -> FrontEnd:
    """How the tagger's patches (1, 187, 96) are drawn, and made audible by phases that are guessed."""
    edges = import_librosa().mel_frequencies(PATCH_BANDS + 2, fmin=0.0, fmax=TAGGER_RATE / 2)
    return FrontEnd(TAGGER_RATE / HOP_SAMPLES, edges[1:-1], lambda x: (sound_of_patch(x[0]), TAGGER_RATE))


def sound_of_patch(log_mel: Tensor | np.ndarray, *, iterations: int = 32, seed: int = 0) -> np.ndarray:
    """Make a log-mel of the tagger's audible, as `svdlib.sonify` does with the detector's.

    Args:
        log_mel: (frames, 96), see `svdlib.tagger.patches.tagger_log_mel`; an inversion may have values below 0, which
            no sound has: they are silence.
        iterations: rounds of Griffin & Lim's algorithm.
        seed: of the random phases at the start.

    Returns:
        float32 (samples,) with samples = (frames - 1) * 256, 16000 Hz.
    """
    from threadpoolctl import threadpool_limits

    librosa = import_librosa()
    values = np.clip(np.asarray(log_mel, dtype=np.float64), 0, LOUDEST)
    filters = librosa.filters.mel(sr=TAGGER_RATE, n_fft=FFT_SAMPLES, n_mels=PATCH_BANDS).T.astype(np.float64)
    with threadpool_limits(1):
        power = undo_filters(((10**values - 1) / SCALE).T, filters)
        samples = librosa.griffinlim(
            np.sqrt(power), n_iter=iterations, random_state=seed, n_fft=FFT_SAMPLES, hop_length=HOP_SAMPLES
        )
    return np.asarray(samples, dtype=np.float32)
