"""The one-line use: where somebody sings in a song, and what each layer of the detector keeps of one excerpt.

`invert_song` computes, `write_inversion` writes figures, sounds and numbers into a folder.
"""

import io
import json
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

import svdlib
from svdlib.audio.log_mel import (
    EXCERPT_SAMPLES,
    FRAME_RATE,
    HOP_LENGTH,
    SAMPLE_RATE,
    LogMel,
    load_song,
    save_audio,
    sonify,
)
from svdlib.compute.devices import choose_device
from svdlib.compute.progress import progress
from svdlib.compute.storage import write_atomically
from svdlib.detector.model import CENTRE_FRAME, EXCERPT_FRAMES, SVDNet
from svdlib.detector.training import predict
from svdlib.errors import AudioError
from svdlib.inversion.nre import mean_pairwise_distance, reconstruct, reconstruction_distances, smooth
from svdlib.recipes import family_in, open_detector, open_inverters

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPARED_EXCERPTS = 64
"""Excerpts of the song among which the typical distance is measured: enough for a mean good to a few percent."""
QUIETEST_SHARE = 0.1
"""An excerpt below this share of the song's level (20 dB down) is near-silence, not worth inverting unasked."""
DOTS_PER_INCH = 150


@dataclass(frozen=True)
class SongInversion:
    """One excerpt of a song, inverted from all eight layers, and the detector's view of the whole song.

    Attributes:
        song: the sound file.
        probabilities: smoothed probability of singing (frames,), 70 per second.
        threshold: above it a frame counts as sung.
        start_frame: first of the excerpt's 115 frames.
        samples: the excerpt's own sound, float32 (36934,), 22050 Hz.
        input: the excerpt, (115, 80) natural-log mel magnitudes, not standardised.
        inversions: one such array per layer, shallow to deep.
        distances: per layer, the Euclidean distance of excerpt and inversion, both standardised.
        typical_distance: the mean such distance between two excerpts of this song; nan if there is only one.
        variant: the family of the inverters.
        provenance: where the weights of "detector" and of each layer's inverter come from.
    """

    song: Path
    probabilities: np.ndarray
    threshold: float
    start_frame: int
    samples: np.ndarray
    input: np.ndarray
    inversions: dict[str, np.ndarray]
    distances: dict[str, float]
    typical_distance: float
    variant: str
    provenance: dict[str, Any]

    @property
    def start(self) -> float:
        """Where the excerpt begins in the song, in seconds."""
        return self.start_frame / FRAME_RATE

    @property
    def end(self) -> float:
        """Where the excerpt ends in the song, in seconds."""
        return self.start + EXCERPT_SAMPLES / SAMPLE_RATE

    @property
    def centre(self) -> float:
        """The time of the excerpt's centre frame, in seconds: the moment that the detector judges."""
        return (self.start_frame + CENTRE_FRAME) / FRAME_RATE

    @property
    def probability(self) -> float:
        """Smoothed probability of singing at the centre."""
        return float(self.probabilities[self.start_frame + CENTRE_FRAME])


def invert_song(
    song: str | os.PathLike,
    *,
    at: float | None = None,
    device: str = "auto",
    detector: Path | None = None,
    weights: Path | None = None,
    variant: str | None = None,
) -> SongInversion:
    """Invert one excerpt of a song from all eight layers.

    Args:
        song: a sound file.
        at: time of the excerpt's centre in seconds; None takes the one that most surely holds singing.
        device: where to compute, see `svdlib.compute.devices.choose_device`.
        detector: weights of the detector; None takes the packaged one.
        weights: a folder with the weights of its eight inverters; None takes the packaged ones.
        variant: which family of inverters; None takes "aligned", unless the folder holds only "published" ones.

    Raises:
        LayerError: there is no such family.
        AudioError: the song cannot be used, or no excerpt has its centre at `at`.
        DeviceError: the device is not there.
        WeightsError: weights are missing or damaged, or the inverters were trained for another detector.
    """
    song, chosen = Path(song), choose_device(device)
    samples = load_song(song)
    log_mel = LogMel()(samples)
    start = None if at is None else excerpt_at(song, len(log_mel), at)
    network = open_detector(detector).to(chosen)
    variant = variant or family_in(weights)
    inverters = open_inverters(weights, network, variant=variant)
    probabilities = smooth(predict(network, log_mel.numpy()))
    start = surest_singing(samples, probabilities) if start is None else start
    standardised = network.standardizer(log_mel.to(chosen))
    x = standardised[None, None, start : start + EXCERPT_FRAMES]
    reconstructions = reconstruct(network, inverters, x)
    return SongInversion(
        song=song,
        probabilities=probabilities,
        threshold=float(network.provenance["threshold"]),
        start_frame=start,
        samples=samples[start * HOP_LENGTH :][:EXCERPT_SAMPLES],
        input=log_mel[start : start + EXCERPT_FRAMES].numpy(),
        inversions={layer: _log_mel_of(network, x_hat) for layer, x_hat in reconstructions.items()},
        distances={layer: float(reconstruction_distances(x, x_hat)) for layer, x_hat in reconstructions.items()},
        typical_distance=_typical_distance(standardised),
        variant=variant,
        provenance={
            "detector": network.provenance,
            **{layer: inverter.provenance for layer, inverter in inverters.items()},
        },
    )


def surest_singing(samples: np.ndarray, probabilities: np.ndarray) -> int:
    """First frame of the excerpt around the highest probability, near-silent excerpts left aside.

    Args:
        samples: the song (samples,), 22050 Hz.
        probabilities: smoothed probability of singing (frames,).
    """
    energy = np.concatenate([[0.0], np.cumsum(np.square(samples, dtype=np.float64))])
    starts = np.arange(len(probabilities) - EXCERPT_FRAMES + 1)
    power = (energy[starts * HOP_LENGTH + EXCERPT_SAMPLES] - energy[starts * HOP_LENGTH]) / EXCERPT_SAMPLES
    audible = power >= (QUIETEST_SHARE**2) * energy[-1] / len(samples)
    return int(np.argmax(np.where(audible, probabilities[starts + CENTRE_FRAME], -1)))


def excerpt_at(song: Path, frames: int, at: float) -> int:
    """First frame of the excerpt whose centre is at a time.

    Args:
        song: named in the error.
        frames: how many the song has.
        at: the time in seconds.

    Raises:
        AudioError: no whole excerpt has its centre there.
    """
    last = frames - EXCERPT_FRAMES
    start = round(at * FRAME_RATE) - CENTRE_FRAME if math.isfinite(at) else -1
    if not 0 <= start <= last:
        # Rounded inwards, so that both times named are themselves in range.
        earliest = math.ceil(100 * CENTRE_FRAME / FRAME_RATE) / 100
        latest = max(earliest, math.floor(100 * (CENTRE_FRAME + last) / FRAME_RATE) / 100)
        raise AudioError(
            f"{song}: no excerpt has its centre at {at:g} s; choose a time from {earliest:.2f} to {latest:.2f} s"
        )
    return start


def _log_mel_of(detector: SVDNet, x_hat: Tensor) -> np.ndarray:
    return detector.standardizer.inverse(x_hat[0, 0]).cpu().numpy()


def _typical_distance(standardised: Tensor) -> float:
    last = len(standardised) - EXCERPT_FRAMES
    starts = np.unique(np.linspace(0, last, COMPARED_EXCERPTS).round().astype(int))
    if len(starts) < 2:
        return math.nan
    excerpts = torch.stack([standardised[start : start + EXCERPT_FRAMES] for start in starts])
    return mean_pairwise_distance(excerpts.cpu())


def write_inversion(inversion: SongInversion, folder: str | os.PathLike) -> dict[str, Any]:
    """Write the figures, sounds and numbers of an inversion.

    `inversions.png` shows the excerpt and its eight inversions, `detector.png` the song's probability of singing;
    `input.wav` is the excerpt itself, `conv1.wav` to `fc8.wav` the inversions made audible at its level. The numbers,
    `inversions.json`, come last: where they are, the rest is complete.

    Args:
        inversion: from `invert_song`.
        folder: where to write; files of the same names are replaced one by one, never left half written.

    Returns:
        What `inversions.json` holds.

    Raises:
        OutputError: a file cannot be written.
    """
    folder = Path(folder)
    write_figures(inversion, folder)
    write_sounds(inversion, folder)
    description = describe(inversion)
    text = json.dumps(description, indent=2, allow_nan=False) + "\n"
    write_atomically(folder / "inversions.json", lambda file: file.write(text.encode()))
    return description


def write_figures(inversion: SongInversion, folder: Path) -> None:
    """Write `inversions.png` and `detector.png`."""
    from svdlib.lab.figures.song import plot_detector_curve, plot_inversions

    excerpt = (inversion.start, inversion.end)
    figures = {
        "inversions.png": plot_inversions(
            {"input": inversion.input, **inversion.inversions},
            inversion.distances,
            name=inversion.song.name,
            excerpt=excerpt,
            typical_distance=inversion.typical_distance,
        ),
        "detector.png": plot_detector_curve(
            inversion.probabilities,
            threshold=inversion.threshold,
            name=inversion.song.name,
            excerpt=excerpt,
        ),
    }
    for name, figure in figures.items():
        data = _as_png(figure)
        write_atomically(folder / name, lambda file, data=data: file.write(data))


def write_sounds(inversion: SongInversion, folder: Path) -> None:
    """Write `input.wav` and a WAV file per layer, all as loud as the excerpt unless that would clip."""
    save_audio(folder / "input.wav", inversion.samples)
    for layer, log_mel in progress(inversion.inversions.items(), description="sounds", unit="layer"):
        save_audio(folder / f"{layer}.wav", match_level(sonify(log_mel), inversion.samples))


def match_level(samples: np.ndarray, reference: np.ndarray) -> np.ndarray:
    """Scale samples (n,) to the root mean square of a reference (m,), or to full scale where they would clip."""
    level, wanted = (float(np.sqrt(np.mean(np.square(sound, dtype=np.float64)))) for sound in (samples, reference))
    peak = float(np.abs(samples).max(initial=0))
    return samples * min(wanted / max(level, 1e-9), 1 / max(peak, 1e-9))


def describe(inversion: SongInversion) -> dict[str, Any]:
    """The numbers of an inversion, as JSON can hold them; times in seconds."""
    typical = inversion.typical_distance
    return {
        "song": str(inversion.song),
        "excerpt": {
            "start": round(inversion.start, 4),
            "centre": round(inversion.centre, 4),
            "end": round(inversion.end, 4),
        },
        "probability": inversion.probability,
        "threshold": inversion.threshold,
        "distance": dict(inversion.distances),
        "typical_distance": typical if math.isfinite(typical) else None,
        "svdlib": svdlib.__version__,
        "variant": inversion.variant,
        "weights": _without_histories(inversion.provenance),
    }


def _without_histories(provenance: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out the loss of each epoch and the detector's provenance inside each inverter's: it stands there once."""
    left_out = {"validation_losses", "training_losses", "detector"}
    return {
        network: {key: value for key, value in origin.items() if key not in left_out}
        for network, origin in provenance.items()
    }


def _as_png(figure: "Figure") -> bytes:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=DOTS_PER_INCH)
    return buffer.getvalue()
