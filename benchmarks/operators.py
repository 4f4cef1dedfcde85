"""Where the time of an update of all eight inverters goes, by kind of operation.

Only convolutions and matrix products are arithmetic that a floor can be counted for. The rest goes through memory: it
reads large tensors and writes them again. PyTorch's profiler tells how long each operation took by itself.

    python -m benchmarks.operators [--device cuda] [--quick] [--rounds 3] [--json] [--out FILE]
"""

from collections.abc import Sequence
from functools import partial

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile

from benchmarks.inverter_training import bank_of_noise
from benchmarks.measuring import Options, Table, in_turn, precisions, script, spread
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.inversion.plans import TrainingPlan
from svdlib.zoo.fitting import fit_inverters

KINDS = {
    "convolutions": ("conv",),
    "matrix products": ("mm", "linear", "bmm", "matmul"),
    "activations": ("relu", "elu"),
    "normalisation": ("batch_norm",),
    "pooling and padding": ("pool", "pad2d", "unfold", "interpolate"),
    "losses": ("mse_loss",),
    "optimiser": ("adam", "optimizer", "lerp"),
    "copies and zeros": ("copy", "cat", "fill", "zero", "clone", "contiguous", "index", "empty"),
}
"""What the names of PyTorch's operations hold, by kind; the first kind that fits counts."""

OTHER = "other"
WARM_UP = 2


class ProfiledBank(ExcerptBank):
    """A bank that lets a profiler look at some updates; an update begins with drawing from the bank."""

    profiler: profile
    steps: int
    begun: int

    def gather(self, indices: Tensor) -> Tensor:
        """Cut excerpts, as the first thing that an update does."""
        if self.begun == WARM_UP:
            self.profiler.start()
        if self.begun == WARM_UP + self.steps:
            self.profiler.stop()
        self.begun += 1
        return super().gather(indices)


def kind_of(operation: str) -> str:
    """The kind that an operation belongs to, by its name in PyTorch."""
    name = operation.lower()
    return next((kind for kind, words in KINDS.items() if any(word in name for word in words)), OTHER)


def seconds_by_kind(
    variant: str, precision: str, device: str, batch: int, steps: int, layers: Sequence[str] = LAYERS
) -> dict[str, float]:
    """Seconds per update that each kind of operation takes."""
    gpu = device.startswith("cuda")
    bank = bank_of_noise(batch * (WARM_UP + steps + 1), device, ProfiledBank)
    bank.profiler = profile(activities=[ProfilerActivity.CUDA if gpu else ProfilerActivity.CPU])
    bank.steps, bank.begun = steps, 0
    plan = TrainingPlan(epochs=1, batch_size=batch, steps_per_epoch=WARM_UP + steps + 1, validation_excerpts=1)
    valid = bank_of_noise(1, device)
    fit_inverters(
        SVDNet(), bank, valid, layers=layers, variant=variant, plan=plan, precision=getattr(torch, precision),
        capture=False,
    )  # fmt: skip
    seconds = dict.fromkeys((*KINDS, OTHER), 0.0)
    for event in bank.profiler.key_averages():
        spent = event.self_device_time_total if gpu else event.self_cpu_time_total
        seconds[kind_of(event.key)] += spent / 1e6 / steps
    return seconds


def tables(options: Options) -> list[Table]:
    batch, steps = (2, 1) if options.quick else (32, 3)
    layers = ("fc8",) if options.quick else LAYERS
    kinds = precisions(options.device)
    ways = {
        f"{variant}, {precision}": partial(seconds_by_kind, variant, precision, options.device, batch, steps, layers)
        for variant in ("published", "aligned")
        for precision in kinds
    }
    found = in_turn(ways, options)
    shares = {way: [_shares(seconds) for seconds in rounds] for way, rounds in found.items()}
    rows = [
        {"kind": kind} | {way: spread([100 * each[kind] for each in rounds]) for way, rounds in shares.items()}
        for kind in (*KINDS, OTHER)
    ]
    remark = "In per cent of an update."
    return [Table(f"Where an update of {len(layers)} inverters spends its time", rows, [remark])]


def _shares(seconds: dict[str, float]) -> dict[str, float]:
    total = sum(seconds.values())
    return {kind: each / total for kind, each in seconds.items()}


if __name__ == "__main__":
    script("operators", __doc__, tables)
