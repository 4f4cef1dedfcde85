"""The one-line use: where somebody sings in a song, and what each layer of the detector keeps of one excerpt.

`invert_song` computes, `write_inversion` writes figures, sounds and numbers into a folder.
"""

import io
import json
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.files import Recording, read_song, save_audio
from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, FRAME_RATE, HOP_LENGTH, SAMPLE_RATE
from svdlib.audio.sonify import sonify
from svdlib.compute.devices import choose_device
from svdlib.compute.progress import progress
from svdlib.compute.storage import write_atomically
from svdlib.compute.version import __version__
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.detector.model import SVDNet
from svdlib.detector.moments import HeardSong, measured
from svdlib.inversion.nre import mean_pairwise_distance, reconstruct, reconstruction_distances
from svdlib.zoo.checkpoints import open_networks

if TYPE_CHECKING:
    from matplotlib.figure import Figure

COMPARED_EXCERPTS = 64
"""Excerpts of the song among which the typical distance is measured: enough for a mean good to a few percent."""
DOTS_PER_INCH = 150


@dataclass(frozen=True)
class SongInversion:
    """One excerpt of a song, inverted from the detector's layers, and the detector's view of the whole song.

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

    def __repr__(self) -> str:
        name, layers = self.song.name, ", ".join(self.inversions)
        return (
            f"SongInversion of {name!r}, {self.start:.2f} to {self.end:.2f} s, singing {self.probability:.2f}: {layers}"
        )

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
    song: str | os.PathLike[str],
    *,
    at: float | None = None,
    device: str = "auto",
    detector: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
    variant: str | None = None,
    layers: str | Sequence[str] | None = None,
) -> SongInversion:
    """Invert one excerpt of a song from the detector's layers.

    Args:
        song: a sound file.
        at: time of the excerpt's centre in seconds; None takes the one that most surely holds singing.
        device: where to compute, see `svdlib.compute.devices.choose_device`.
        detector: weights of the detector; None takes the packaged one.
        weights: a folder with the weights of its inverters; None takes the packaged ones.
        variant: which family of inverters; None takes "aligned", unless the folder holds another one.
        layers: which layers, one or more of `svdlib.LAYERS`; None takes all that there are inverters for.

    Raises:
        LayerError: there is no such family or layer.
        AudioError: the song cannot be used, or no excerpt has its centre at `at`.
        DeviceError: the device is not there.
        WeightsError: weights are missing or damaged, or the inverters were trained for another detector.
    """
    place, recording = choose_device(device), Recording(song)
    network, inverters = open_networks(detector, weights, layers, variant, place)
    heard = HeardSong(recording.path, network, *read_song(recording, measured))
    start, log_mel = heard.excerpt(at), heard.log_mel
    x = _excerpts(network, log_mel, [start])
    reconstructions = reconstruct(network, inverters, x)
    return SongInversion(
        song=recording.path,
        probabilities=heard.probabilities,
        threshold=network.threshold,
        start_frame=start,
        samples=recording.read(partial(_cut, first=start * HOP_LENGTH)),
        input=log_mel[start : start + EXCERPT_FRAMES].numpy().copy(),
        inversions={layer: _log_mel_of(network, x_hat) for layer, x_hat in reconstructions.items()},
        distances={layer: float(reconstruction_distances(x, x_hat)) for layer, x_hat in reconstructions.items()},
        typical_distance=_typical_distance(network, log_mel),
        variant=next(iter(inverters.values())).variant,
        provenance={
            "detector": network.provenance,
            **{layer: inverter.provenance for layer, inverter in inverters.items()},
        },
    )


def _log_mel_of(detector: SVDNet, x_hat: Tensor) -> np.ndarray:
    return detector.standardizer.inverse(x_hat[0, 0]).cpu().numpy()


def _cut(blocks: Iterable[np.ndarray], first: int) -> np.ndarray:
    """The samples of an excerpt, of which the first has this number."""
    samples, position = np.empty(EXCERPT_SAMPLES, np.float32), 0
    for block in blocks:
        # Copied, since a view, even an empty one, would keep its block: the song up to the excerpt would be in memory.
        start, end = max(first, position), min(first + EXCERPT_SAMPLES, position + len(block))
        if start < end:
            samples[start - first : end - first] = block[start - position : end - position]
        position += len(block)
        if position >= first + EXCERPT_SAMPLES:
            break
    return samples


def _excerpts(detector: SVDNet, log_mel: Tensor, starts: Sequence[int]) -> Tensor:
    """Excerpts (n, 1, 115, 80) that start at frames of a song, standardised, where the detector is."""
    excerpts = torch.stack([log_mel[None, start : start + EXCERPT_FRAMES] for start in starts])
    standardised: Tensor = detector.standardizer(excerpts.to(detector.standardizer.mean.device))
    return standardised


def _typical_distance(detector: SVDNet, log_mel: Tensor) -> float:
    last = len(log_mel) - EXCERPT_FRAMES
    starts = np.unique(np.linspace(0, last, COMPARED_EXCERPTS).round().astype(int))
    if len(starts) < 2:
        return math.nan
    return mean_pairwise_distance(_excerpts(detector, log_mel, starts.tolist())[:, 0].cpu())


def write_inversion(inversion: SongInversion, folder: str | os.PathLike[str]) -> dict[str, Any]:
    """Write the figures, sounds and numbers of an inversion.

    `inversions.png` shows the excerpt and its inversions, `detector.png` the song's probability of singing;
    `input.wav` is the excerpt itself, `conv1.wav` to `fc8.wav` its inversions made audible, at its level. The numbers,
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


def write_figures(inversion: SongInversion, folder: str | os.PathLike[str]) -> None:
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
        _write_figure(Path(folder) / name, figure)


def _write_figure(path: Path, figure: "Figure") -> None:
    data = _as_png(figure)
    write_atomically(path, lambda file: file.write(data))


def write_sounds(inversion: SongInversion, folder: str | os.PathLike[str]) -> None:
    """Write `input.wav` and a WAV file per layer, all as loud as the excerpt unless that would clip."""
    folder = Path(folder)
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
        "svdlib": __version__,
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
