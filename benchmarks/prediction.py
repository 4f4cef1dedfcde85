"""How fast a song becomes its curve of singing: against frame by frame, and against a speech detector.

Frame by frame is what one would write first: the excerpt around each frame goes through the detector. `predict_song`
scores all frames in one dilated pass. Both begin with the standardised log-mel. *From samples* computes that as well.
silero-vad is measured where its package is installed; it answers another question, whether somebody speaks, 31 times a
second.

    python -m benchmarks.prediction [--device cuda] [--quick] [--rounds 3] [--json] [--out FILE]
"""

import math
from collections.abc import Callable
from functools import partial
from importlib.util import find_spec

import numpy as np
import torch
from torch import Tensor

from benchmarks.log_mel import make_samples
from benchmarks.measuring import Options, Table, in_turn, now, precisions, ratios, script, spread
from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_FRAMES, FRAME_RATE, LOG_SILENCE, N_BANDS
from svdlib.compute.memory import peak_memory
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.detector.model import SVDNet

SPEECH_RATE = 16000
"""Samples per second that silero-vad takes."""


def log_mel_of(detector: SVDNet, samples: np.ndarray) -> Tensor:
    """Standardised log-mel (frames, 80) on the detector's device."""
    return detector.standardizer(LogMel()(samples).to(detector.standardizer.mean.device))


@torch.no_grad()
def frame_by_frame(detector: SVDNet, log_mel: Tensor, batch: int = 64) -> Tensor:
    """Probabilities (frames,), each from an excerpt of its own; both ends continued with digital silence."""
    silence = detector.standardizer(torch.full((1, N_BANDS), LOG_SILENCE, device=log_mel.device))
    ends = silence.expand(CENTRE_FRAME, -1)
    excerpts = torch.cat([ends, log_mel, ends]).unfold(0, EXCERPT_FRAMES, 1).transpose(1, 2)[:, None]
    return torch.sigmoid(torch.cat([detector(piece)[:, 0] for piece in excerpts.split(batch)]))


def at_once(detector: SVDNet, log_mel: Tensor) -> Tensor:
    """Probabilities (frames,) in one dilated pass."""
    return detector.predict_song(log_mel)


def in_half_width(detector: SVDNet, log_mel: Tensor) -> Tensor:
    """The same with activations in bfloat16."""
    with torch.autocast(log_mel.device.type, dtype=torch.bfloat16):
        return detector.predict_song(log_mel).float()


WAYS: dict[str, Callable[[SVDNet, Tensor], Tensor]] = {
    "frame by frame": frame_by_frame,
    "predict_song": at_once,
    "predict_song, bfloat16": in_half_width,
}


def new_detector(device: str) -> SVDNet:
    """A detector with random weights, the same in every process."""
    torch.manual_seed(0)
    return SVDNet().eval().to(device)


def gigabytes_held() -> float:
    """What this process has held at most; nan where the system does not tell."""
    held = peak_memory(torch.device("cpu")).host
    return math.nan if held is None else held / 1e9


def time_way(name: str, device: str, seconds: float) -> tuple[float, float]:
    """Seconds of computing per second of music from the log-mel on, and the gigabytes held at most."""
    detector = new_detector(device)
    log_mel = log_mel_of(detector, make_samples(seconds))
    WAYS[name](detector, log_mel[: 2 * FRAME_RATE])
    begun = now(device)
    WAYS[name](detector, log_mel)
    return (now(device) - begun) / seconds, gigabytes_held()


def time_from_samples(device: str, seconds: float) -> tuple[float, float]:
    """The same from the samples on."""
    detector, samples = new_detector(device), make_samples(seconds)
    at_once(detector, log_mel_of(detector, samples[: len(samples) // 10]))
    begun = now(device)
    at_once(detector, log_mel_of(detector, samples))
    return (now(device) - begun) / seconds, gigabytes_held()


def time_silero(device: str, seconds: float) -> tuple[float, float]:
    """The same for silero-vad, on samples of its own rate."""
    from silero_vad import load_silero_vad

    model, samples = load_silero_vad(), torch.randn(int(seconds * SPEECH_RATE)) / 10
    model.audio_forward(samples[: 2 * SPEECH_RATE], sr=SPEECH_RATE)
    begun = now(device)
    model.audio_forward(samples, sr=SPEECH_RATE)
    return (now(device) - begun) / seconds, gigabytes_held()


def tables(options: Options) -> list[Table]:
    # Frame by frame takes so long that a part of the song must do.
    short, seconds = (2, 3) if options.quick else (10, 180)
    device = options.device
    names = [name for name in WAYS if "bfloat16" not in name or "bfloat16" in precisions(device)]
    ways: dict[str, Callable[[], tuple[float, float]]] = {
        name: partial(time_way, name, device, short if name == "frame by frame" else seconds) for name in names
    }
    ways["predict_song, from samples"] = partial(time_from_samples, device, seconds)
    if find_spec("silero_vad"):
        ways["silero-vad"] = partial(time_silero, device, seconds)
    found = in_turn(ways, options)
    plain = [each for each, _ in found["frame by frame"]]
    rows = []
    for name, measured in found.items():
        times = [each for each, _ in measured]
        row = {
            "way": name,
            "times real time": spread([1 / each for each in times]),
            "times as fast": ratios(plain, times),
        }
        row |= {"memory, GB": spread([held for _, held in measured]), "largest difference": difference(name, device)}
        rows.append(row)
    remark = "Difference: of a probability, from that frame by frame, over a few seconds; with random weights."
    return [Table(f"A song of {seconds} s to its curve", rows, [remark])]


def difference(name: str, device: str) -> float | None:
    """How far a way's probabilities lie from those frame by frame; None where it computes something else."""
    if name not in WAYS:
        return None
    detector = new_detector(device)
    log_mel = log_mel_of(detector, make_samples(3))
    return float((WAYS[name](detector, log_mel) - frame_by_frame(detector, log_mel)).abs().max())


if __name__ == "__main__":
    script("prediction", __doc__, tables)
