"""How fast the front end is: `LogMel` against librosa and torchaudio, on the same samples with the same mel filters.

`LogMel` computes in double precision; the others give single precision from the Fourier transform on. The difference
to it is in units of the log-mel, that is of the natural logarithm, where 0.1 is just below one decibel.

    python -m benchmarks.log_mel [--device cuda] [--quick] [--rounds 3] [--json] [--out FILE]
"""

import statistics
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch

from benchmarks.measuring import Options, Table, in_turn, now, ratios, script, spread
from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE, SMALLEST_MAGNITUDE, mel_filterbank

FrontEnd = Callable[[np.ndarray], np.ndarray]


def make_samples(seconds: float) -> np.ndarray:
    """Notes with overtones over soft noise, float32 (samples,)."""
    time = np.arange(int(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = 220 * 2 ** (np.floor(4 * time) % 12 / 12)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    notes = sum(np.sin(k * phase) / k for k in range(1, 10))
    return (0.2 * notes + 0.003 * np.random.default_rng(0).standard_normal(len(time))).astype(np.float32)


def ours(device: str) -> FrontEnd:
    front_end = LogMel().to(device)
    return lambda samples: front_end(samples).cpu().numpy()


def ours_in_single_precision(device: str) -> FrontEnd:
    front_end = LogMel().float().to(device)
    return lambda samples: front_end(samples).cpu().numpy()


def with_librosa(device: str) -> FrontEnd:
    import librosa

    filters = mel_filterbank().astype(np.float32)
    transform = {"n_fft": FRAME_LENGTH, "hop_length": HOP_LENGTH, "window": np.hanning(FRAME_LENGTH), "center": False}

    def log_mel(samples: np.ndarray) -> np.ndarray:
        magnitude = np.abs(librosa.stft(samples, **transform))
        return np.log(np.maximum(magnitude.T @ filters, SMALLEST_MAGNITUDE))

    return log_mel


def with_torchaudio(device: str) -> FrontEnd:
    import torchaudio

    # Its own filters are other ones than Schlüter & Grill's.
    filters = torch.from_numpy(mel_filterbank()).float().to(device)
    transform = torchaudio.transforms.Spectrogram(
        FRAME_LENGTH, hop_length=HOP_LENGTH, window_fn=partial(torch.hann_window, periodic=False), power=1, center=False
    ).to(device)

    def log_mel(samples: np.ndarray) -> np.ndarray:
        magnitude = transform(torch.from_numpy(samples).to(device))
        return torch.log((magnitude.T @ filters).clamp(min=SMALLEST_MAGNITUDE)).cpu().numpy()

    return log_mel


FRONT_ENDS: dict[str, tuple[str, Callable[[str], FrontEnd]]] = {
    "LogMel": ("torch", ours),
    "LogMel().float()": ("torch", ours_in_single_precision),
    "librosa": ("librosa", with_librosa),
    "torchaudio": ("torchaudio", with_torchaudio),
}
"""By name, the package that a front end needs and what makes it for a device."""


def time_front_end(name: str, device: str, seconds: float, repeats: int) -> float:
    """Seconds of computing per minute of music, samples and result being in main memory."""
    front_end, samples = FRONT_ENDS[name][1](device), make_samples(seconds)
    front_end(samples)
    times = []
    for _ in range(repeats):
        begun = now(device)
        front_end(samples)
        times.append(now(device) - begun)
    return statistics.median(times) * 60 / seconds


def tables(options: Options) -> list[Table]:
    seconds, repeats = (2, 1) if options.quick else (180, 5)
    there = [name for name, (package, _) in FRONT_ENDS.items() if find_spec(package)]
    ways = {name: partial(time_front_end, name, options.device, seconds, repeats) for name in there}
    found = in_turn(ways, options)
    samples = make_samples(seconds)
    exact = ours(options.device)(samples)
    rows = []
    for name in FRONT_ENDS:
        row = {"front end": name if name in there else f"{name}: not installed"}
        if name in there:
            row["minutes of music/s"] = spread([1 / value for value in found[name]])
            row["LogMel is faster by"] = ratios(found[name], found["LogMel"])
            row["largest difference"] = float(np.abs(FRONT_ENDS[name][1](options.device)(samples) - exact).max())
        rows.append(row)
    remark = "librosa computes on the CPU whatever the device is."
    return [Table(f"Log-mel of {seconds} s of music", rows, [remark])]


if __name__ == "__main__":
    script("log_mel", __doc__, tables)
