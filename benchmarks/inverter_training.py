"""How fast `fit_inverters` trains all eight inverters: against the plain loop, and against what arithmetic allows.

The plain loop is what one would write first: one layer after the other, the detector run again for each, batches of
NumPy excerpts through a DataLoader, eager float32. Both use the published inverters, the joint loss and the same
optimiser. The floor is the time that the counted operations of an update take at the speed of the machine's own matrix
products, measured in the same round.

    python -m benchmarks.inverter_training [--device cuda] [--quick] [--rounds 3] [--json] [--out FILE]
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.flops import count_update
from benchmarks.measuring import Options, Stopwatch, Table, in_turn, matrix_rate, precisions, ratios, script, spread
from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.audio.standardizer import Standardizer
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import COMPARATOR_LAYER, LAYERS, SVDNet
from svdlib.inversion.inverters import FeatureInverter
from svdlib.inversion.objectives import WEIGHT_DECAY, decayed_parameters, feature_loss, input_loss
from svdlib.inversion.plans import TrainingPlan
from svdlib.songs.loading import Songs
from svdlib.zoo.families import build_inverter
from svdlib.zoo.fitting import fit_inverters

AUTHORS_EXCERPTS = 99552
AUTHORS_SECONDS = 2 * 60 + 27
"""One epoch of the smallest inverter of Conv1, in the log of the paper's authors, on a TITAN X."""


class Excerpts(Dataset):
    """Excerpts cut from one spectrogram, as NumPy arrays."""

    def __init__(self, spectrogram: np.ndarray, count: int) -> None:
        self.spectrogram, self.count = spectrogram, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        return self.spectrogram[None, 10 * index : 10 * index + EXCERPT_FRAMES].copy()


class TimedBank(ExcerptBank):
    """A bank that tells a stopwatch whenever an update begins."""

    stopwatch: Stopwatch

    def gather(self, indices: Tensor) -> Tensor:
        """Cut excerpts, as the first thing that an update does."""
        self.stopwatch.begin_update()
        return super().gather(indices)


def noise(excerpts: int) -> np.ndarray:
    """Noise with the shape of a standardised log-mel: the speed does not depend on what is in it."""
    frames = 10 * (excerpts - 1) + EXCERPT_FRAMES
    return np.random.default_rng(0).standard_normal((frames, N_BANDS), dtype=np.float32)


def bank_of_noise(excerpts: int, device: str, kind: type[ExcerptBank] = ExcerptBank) -> ExcerptBank:
    spectrogram = noise(excerpts)
    songs = Songs([spectrogram], [np.arange(len(spectrogram)) % 2 == 0], ["noise"])
    return kind(songs, standardizer=Standardizer(), device=device)


def time_plain(device: str, batch: int, steps: int, layers: Sequence[str] = LAYERS) -> float:
    """Seconds per excerpt for the inverters of all the layers, the plain way."""
    detector = SVDNet().eval().requires_grad_(False).to(device)
    return sum(time_plain_layer(layer, detector, device, batch, steps) for layer in layers)


def time_plain_layer(layer: str, detector: SVDNet, device: str, batch: int, steps: int) -> float:
    """Seconds per excerpt for one inverter, the plain way."""
    inverter = build_inverter(layer).to(device)
    optimiser = plain_optimiser(inverter)
    stopwatch = Stopwatch(device, steps)
    count = batch * stopwatch.needed
    for excerpts in DataLoader(Excerpts(noise(count), count), batch_size=batch, shuffle=True):
        stopwatch.begin_update()
        plain_update(layer, detector, inverter, optimiser, excerpts.to(device))
    return stopwatch.seconds / batch


def plain_optimiser(inverter: FeatureInverter) -> torch.optim.Optimizer:
    penalised, free = decayed_parameters(inverter)
    return torch.optim.Adam([{"params": penalised, "weight_decay": 2 * WEIGHT_DECAY}, {"params": free}], lr=1e-3)


def plain_update(
    layer: str, detector: SVDNet, inverter: FeatureInverter, optimiser: torch.optim.Optimizer, x: Tensor
) -> Tensor:
    """Improve one inverter on excerpts (batch, 1, 115, 80); return the joint loss before."""
    with torch.no_grad():
        feature = detector.features(x, (layer,))[layer]
        theta_x = detector.features(x, (COMPARATOR_LAYER,))[COMPARATOR_LAYER]
    x_hat = inverter(feature)
    theta_x_hat = detector.features(x_hat, (COMPARATOR_LAYER,))[COMPARATOR_LAYER]
    loss = input_loss(x, x_hat) + feature_loss(theta_x, theta_x_hat)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


def time_fit(
    device: str,
    batch: int,
    steps: int,
    layers: Sequence[str] = LAYERS,
    precision: str = "float32",
    excerpts: int | None = None,
) -> float:
    """Seconds per excerpt with `fit_inverters`, validation and set-up not counted.

    Args:
        device: where to train.
        batch: excerpts per update.
        steps: timed updates.
        layers: which inverters.
        precision: "float32" or "bfloat16".
        excerpts: how many there are to choose from; None for as many as are needed.
    """
    stopwatch = Stopwatch(device, steps)
    bank = bank_of_noise(max(excerpts or 0, batch * stopwatch.needed), device, TimedBank)
    bank.stopwatch = stopwatch
    plan = TrainingPlan(epochs=1, batch_size=batch, steps_per_epoch=stopwatch.needed, validation_excerpts=1)
    valid = bank_of_noise(1, device)
    fit_inverters(SVDNet(), bank, valid, layers=layers, plan=plan, precision=getattr(torch, precision))
    return stopwatch.seconds / batch


def time_layers(device: str, batch: int, steps: int, layers: Sequence[str] = LAYERS) -> dict[str, float]:
    """Seconds per excerpt with `fit_inverters` for each inverter alone."""
    return {layer: time_fit(device, batch, steps, (layer,)) for layer in layers}


def tables(options: Options) -> list[Table]:
    gpu = options.device.startswith("cuda")
    batch, steps = (2, 1) if options.quick else (32, 50) if gpu else (32, 3)
    layers = ("mp6", "fc8") if options.quick else LAYERS
    kinds = precisions(options.device)
    sizes = (options.device, batch, steps, layers)
    ways = {"plain": partial(time_plain, *sizes), "layers": partial(time_layers, *sizes)}
    ways |= {f"fit {kind}": partial(time_fit, *sizes, precision=kind) for kind in kinds}
    ways |= {f"rate {kind}": partial(matrix_rate, options.device, kind, options.quick) for kind in kinds}
    found = in_turn(ways, options)
    made = [against_plain(found, kinds, batch), against_floor(found, kinds, layers), by_layer(found, layers)]
    return [*made, against_authors(options, kinds)] if gpu else made


def against_plain(found: dict[str, list], kinds: Sequence[str], batch: int) -> Table:
    rows = [{"way": "plain loop, float32", "excerpts/s": per_second(found["plain"]), "times as fast": 1.0}]
    for kind in kinds:
        seconds = found[f"fit {kind}"]
        faster = ratios(found["plain"], seconds)
        rows.append({"way": f"fit_inverters, {kind}", "excerpts/s": per_second(seconds), "times as fast": faster})
    return Table(f"Inverters against the plain loop, {batch} excerpts per update", rows)


def per_second(seconds: Sequence[float]) -> object:
    return spread([1 / value for value in seconds])


def against_floor(found: dict[str, list], kinds: Sequence[str], layers: Sequence[str]) -> Table:
    flops = count_update(layers).total
    rows = []
    for kind in kinds:
        rate = found[f"rate {kind}"]
        over = ratios(found[f"fit {kind}"], [flops / value for value in rate])
        speed = spread([value / 1e9 for value in rate])
        rows.append({"precision": kind, "GFLOP/excerpt": flops / 1e9, "matrix GFLOP/s": speed, "time / floor": over})
    remark = "Floor: the counted operations of convolutions and matrices, at the speed of large matrix products."
    return Table(f"{len(layers)} inverters at once, against the floor", rows, [remark])


def by_layer(found: dict[str, list], layers: Sequence[str]) -> Table:
    """Where the operations are, and each inverter's training alone against its own floor, in float32."""
    everything = count_update(layers)
    rows = [{"layer": "detector, shared", "share of FLOPs": everything.detector / everything.total}]
    for layer in layers:
        alone = count_update((layer,)).total
        own, comparator = everything.inverter[layer], everything.comparator[layer]
        floors = [alone / rate for rate in found["rate float32"]]
        rows.append(
            {
                "layer": layer,
                "share of FLOPs": (own + comparator) / everything.total,
                "of these in the comparator": comparator / (own + comparator),
                "alone, time / floor": ratios([seconds[layer] for seconds in found["layers"]], floors),
            }
        )
    return Table("Layer by layer, float32", rows)


def against_authors(options: Options, kinds: Sequence[str]) -> Table:
    """One epoch of Conv1's inverter, measured from end to end without validation."""
    batch = 32
    steps = 10 if options.quick else AUTHORS_EXCERPTS // batch
    way = partial(time_fit, options.device, batch, steps, ("conv1",), excerpts=AUTHORS_EXCERPTS)
    once = Options(options.device, options.quick, rounds=1)
    found = in_turn({kind: partial(way, precision=kind) for kind in kinds}, once)
    rows = [
        {
            "precision": kind,
            "seconds/epoch": seconds * AUTHORS_EXCERPTS,
            "authors, seconds/epoch": AUTHORS_SECONDS,
            "times as fast": AUTHORS_SECONDS / (seconds * AUTHORS_EXCERPTS),
        }
        for kind, (seconds,) in found.items()
    ]
    remark = "The authors had a TITAN X of 2015 or 2016: most of this ratio is newer hardware, not a better program."
    return Table(f"One epoch of {AUTHORS_EXCERPTS:,} excerpts, the inverter of Conv1 alone", rows, [remark])


if __name__ == "__main__":
    script("inverter_training", __doc__, tables)
