"""How much faster `fit_inverters` trains all eight inverters than the plain way, as a ratio measured in one run.

The plain way is what one would write first: one layer after the other, the detector run again for each, batches of
NumPy excerpts through a DataLoader, eager float32. Both use the published inverters, the joint loss and the same
optimiser on the same excerpts. Each measurement runs in a process of its own, the two in turn, and the ratio is taken
pair by pair.

    python benchmarks/inverter_training.py [--device cpu] [--batch 32] [--steps 4] [--pairs 3]
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from svdlib.excerpts import ExcerptBank, Songs
from svdlib.inverters import build_inverter
from svdlib.model import COMPARATOR_LAYER, EXCERPT_FRAMES, LAYERS, N_BANDS, SVDNet
from svdlib.objectives import WEIGHT_DECAY, decayed_parameters, feature_loss, input_loss
from svdlib.standardizer import Standardizer
from svdlib.training import TrainingPlan, fit_inverters

WARM_UP_STEPS = 1


class Excerpts(Dataset):
    """Excerpts cut from one spectrogram, as NumPy arrays."""

    def __init__(self, spectrogram: np.ndarray, count: int) -> None:
        self.spectrogram, self.count = spectrogram, count

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, index: int) -> np.ndarray:
        return self.spectrogram[None, 10 * index : 10 * index + EXCERPT_FRAMES].copy()


def make_spectrogram(excerpts: int) -> np.ndarray:
    """Noise with the shape of a standardised log-mel: the speed does not depend on what is in it."""
    frames = 10 * (excerpts - 1) + EXCERPT_FRAMES
    return np.random.default_rng(0).standard_normal((frames, N_BANDS), dtype=np.float32)


def time_plain(batch: int, steps: int, device: str) -> float:
    """Seconds per excerpt for all eight inverters, the plain way."""
    detector = SVDNet().eval().to(device)
    excerpts = Excerpts(make_spectrogram(batch * (steps + WARM_UP_STEPS)), batch * (steps + WARM_UP_STEPS))
    return sum(time_plain_layer(layer, detector, excerpts, batch, device) for layer in LAYERS)


def time_plain_layer(layer: str, detector: SVDNet, excerpts: Excerpts, batch: int, device: str) -> float:
    """Seconds per excerpt for one inverter, the plain way."""
    inverter = build_inverter(layer).to(device)
    penalised, free = decayed_parameters(inverter)
    groups = [{"params": penalised, "weight_decay": 2 * WEIGHT_DECAY}, {"params": free}]
    optimiser = torch.optim.Adam(groups, lr=1e-3)
    for step, x in enumerate(DataLoader(excerpts, batch_size=batch, shuffle=True)):
        if step == WARM_UP_STEPS:
            begun = now(device)
        x = x.to(device)
        with torch.no_grad():
            feature = detector.features(x, (layer,))[layer]
            theta_x = detector.features(x, (COMPARATOR_LAYER,))[COMPARATOR_LAYER]
        x_hat = inverter(feature)
        theta_x_hat = detector.features(x_hat, (COMPARATOR_LAYER,))[COMPARATOR_LAYER]
        loss = input_loss(x, x_hat) + feature_loss(theta_x, theta_x_hat)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    return (now(device) - begun) / (len(excerpts) - WARM_UP_STEPS * batch)


def time_fused(batch: int, steps: int, device: str) -> float:
    """Seconds per excerpt for all eight inverters with `fit_inverters`, validation and set-up not counted."""
    long = time_fit(batch, steps + WARM_UP_STEPS, device)
    short = time_fit(batch, WARM_UP_STEPS, device)
    return (long - short) / (steps * batch)


def time_fit(batch: int, steps: int, device: str) -> float:
    spectrogram = make_spectrogram(batch * (steps + 1))
    songs = Songs([spectrogram], [np.arange(len(spectrogram)) % 2 == 0], ["noise"])
    bank = ExcerptBank(songs, standardizer=Standardizer(), device=device)
    plan = TrainingPlan(epochs=1, batch_size=batch, steps_per_epoch=steps, validation_excerpts=1)
    begun = now(device)
    fit_inverters(SVDNet(), bank, bank, plan=plan)
    return now(device) - begun


def now(device: str) -> float:
    if device.startswith("cuda"):
        torch.cuda.synchronize()
    return time.perf_counter()


WAYS: dict[str, Callable[[int, int, str], float]] = {"plain": time_plain, "fit_inverters": time_fused}


def measure(way: str, options: argparse.Namespace) -> float:
    """Run one way in a fresh process and return its seconds per excerpt."""
    sizes = ["--batch", str(options.batch), "--steps", str(options.steps), "--device", options.device]
    command = [sys.executable, __file__, "--way", way, *sizes]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)["seconds_per_excerpt"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=4, help="timed updates per way and pair")
    parser.add_argument("--pairs", type=int, default=3, help="how often both are measured")
    parser.add_argument("--way", choices=tuple(WAYS), help="measure one way only and print it as JSON")
    options = parser.parse_args()
    if options.way:
        seconds = WAYS[options.way](options.batch, options.steps, options.device)
        print(json.dumps({"seconds_per_excerpt": seconds}))
        return
    ratios = []
    for pair in range(options.pairs):
        seconds = {way: measure(way, options) for way in WAYS}
        ratios.append(seconds["plain"] / seconds["fit_inverters"])
        speeds = ", ".join(f"{way} {1 / value:.2f} excerpts/s" for way, value in seconds.items())
        print(f"pair {pair + 1}: {speeds}, ratio {ratios[-1]:.2f}", flush=True)
    low, middle, high = min(ratios), statistics.median(ratios), max(ratios)
    print(f"all eight inverters, batch {options.batch}, {options.device}, {torch.get_num_threads()} threads:")
    print(f"fit_inverters is {middle:.2f} times as fast as the plain way (pairs from {low:.2f} to {high:.2f})")


if __name__ == "__main__":
    main()
