"""The tagger's front end: sound to log-mel patches of three seconds, as musicnn computes them."""

import numpy as np

from svdlib.audio.compiled import import_librosa
from svdlib.audio.decoding import resampled
from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.errors import InputError
from svdlib.tagger.model import PATCH_BANDS, PATCH_FRAMES

TAGGER_RATE = 16000
FFT_SAMPLES = 512
HOP_SAMPLES = 256
SCALE = 10000
"""Factor of a mel band's power before the logarithm."""


def tagger_log_mel(samples: np.ndarray, rate: int = SAMPLE_RATE) -> np.ndarray:
    """Compute the log-mel that the tagger takes: log10(1 + 10000 power) in 96 bands up to 8 kHz.

    musicnn computes the power in half precision, where a loud band overflows; single precision is used here.

    Args:
        samples: mono sound (samples,), full scale at 1.
        rate: its sample rate in Hz; another than 16000 is resampled.

    Returns:
        float32 (frames, 96), 62.5 frames a second.
    """
    if rate != TAGGER_RATE:
        samples = np.concatenate([*resampled([np.asarray(samples, dtype=np.float32)], rate, TAGGER_RATE)])
    power = import_librosa().feature.melspectrogram(
        y=np.asarray(samples, dtype=np.float32),
        sr=TAGGER_RATE,
        n_fft=FFT_SAMPLES,
        hop_length=HOP_SAMPLES,
        n_mels=PATCH_BANDS,
        pad_mode="reflect",  # as the librosa of musicnn's day did by default
    )
    return np.log10(1 + SCALE * power.T.astype(np.float32), dtype=np.float32)


def cut_patches(log_mel: np.ndarray, hop: int = PATCH_FRAMES) -> np.ndarray:
    """Cut a log-mel into patches.

    Args:
        log_mel: (frames, 96), at least 187 frames.
        hop: frames from one patch to the next; by default they lie side by side, as in musicnn.

    Returns:
        (patches, 1, 187, 96).

    Raises:
        InputError: if it is too short or has another shape.
    """
    if log_mel.ndim != 2 or log_mel.shape[1] != PATCH_BANDS or len(log_mel) < PATCH_FRAMES or hop < 1:
        raise InputError(
            f"A log-mel of shape {log_mel.shape} cannot be cut into patches every {hop} frames: it takes "
            f"({PATCH_FRAMES} or more, {PATCH_BANDS}), which is 3 s of sound, and 1 frame or more."
        )
    windows = np.lib.stride_tricks.sliding_window_view(log_mel, PATCH_FRAMES, axis=0)[::hop]
    return np.ascontiguousarray(windows.transpose(0, 2, 1))[:, None]
