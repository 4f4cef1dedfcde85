"""How fast `fit_detector` learns from labels: against the plain loop, and against what arithmetic allows.

The plain loop shows the detector one excerpt of 115 frames per label, through a DataLoader. `fit_detector` scores 32
labels of a longer segment in one pass, the dense layers applied as convolutions. Both see every label with all its
frames, and count labels per second; `fit_detector` also augments its segments, the plain loop does not.

    python -m benchmarks.detector_training [--device cuda] [--quick] [--rounds 3] [--json] [--out FILE]
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from benchmarks.flops import count_detector_update
from benchmarks.measuring import Options, Stopwatch, Table, in_turn, matrix_rate, precisions, ratios, script, spread
from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector.architecture import CENTRE_FRAME, TIME_STRIDE
from svdlib.detector.model import SVDNet
from svdlib.detector.segments import SEGMENT_FRAMES
from svdlib.detector.training import CERTAINTY, DetectorPlan, fit_detector
from svdlib.songs.loading import Songs

LABELS_PER_SEGMENT = (SEGMENT_FRAMES - EXCERPT_FRAMES) // TIME_STRIDE + 1


class LabelledExcerpts(Dataset):
    """One excerpt for each label of a song's frames, as NumPy arrays."""

    def __init__(self, log_mel: np.ndarray, labels: np.ndarray) -> None:
        self.log_mel, self.labels = log_mel, labels

    def __len__(self) -> int:
        return len(self.log_mel) - EXCERPT_FRAMES + 1

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.float32]:
        excerpt = self.log_mel[None, index : index + EXCERPT_FRAMES].copy()
        return excerpt, np.float32(self.labels[index + CENTRE_FRAME])


def song_of_noise(frames: int) -> Songs:
    """A song of noise that is sung in every other stretch of a second."""
    log_mel = np.random.default_rng(0).standard_normal((frames, N_BANDS), dtype=np.float32)
    return Songs([log_mel], [np.arange(frames) // 70 % 2 == 0], ["noise"])


def time_plain(device: str, batch: int, steps: int) -> float:
    """Seconds per label, the plain way."""
    detector = SVDNet().to(device)
    optimiser = torch.optim.Adam(detector.parameters(), lr=1e-3)
    stopwatch = Stopwatch(device, steps)
    songs = song_of_noise(stopwatch.needed * batch + EXCERPT_FRAMES - 1)
    examples = LabelledExcerpts(songs.log_mels[0], songs.labels[0])
    for excerpts, sung in DataLoader(examples, batch_size=batch, shuffle=True):
        stopwatch.begin_update()
        plain_update(detector, optimiser, excerpts.to(device), sung.to(device))
    return stopwatch.seconds / batch


def plain_update(detector: SVDNet, optimiser: torch.optim.Optimizer, x: Tensor, sung: Tensor) -> Tensor:
    """Improve the detector on excerpts (batch, 1, 115, 80) with labels (batch,); return the loss before."""
    targets = sung * (2 * CERTAINTY - 1) + 1 - CERTAINTY
    loss = F.binary_cross_entropy_with_logits(detector(x)[:, 0], targets)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    return loss.detach()


def time_fit(device: str, batch: int, steps: int, precision: str) -> float:
    """Seconds per label with `fit_detector`, validation and set-up not counted."""
    stopwatch = Stopwatch(device, steps)

    class TimedPlan(DetectorPlan):
        """A plan that tells the stopwatch whenever an update begins; no field of it, since a run keeps its plan's."""

        def rate(self, updates: int) -> float:
            """The step size, the first thing that an update asks for."""
            stopwatch.begin_update()
            return super().rate(updates)

    plan = TimedPlan(epochs=1, steps_per_epoch=stopwatch.needed, batch_size=batch)
    train, valid = song_of_noise(10 * SEGMENT_FRAMES), song_of_noise(EXCERPT_FRAMES)
    fit_detector(train, valid, plan=plan, device=device, precision=precision)
    return stopwatch.seconds / (batch * LABELS_PER_SEGMENT)


def tables(options: Options) -> list[Table]:
    gpu = options.device.startswith("cuda")
    excerpts, segments, steps = (2, 1, 1) if options.quick else (512, 32, 50) if gpu else (64, 16, 4)
    kinds = precisions(options.device)
    ways = {"plain": partial(time_plain, options.device, excerpts, steps)}
    ways |= {f"fit {kind}": partial(time_fit, options.device, segments, steps, kind) for kind in kinds}
    ways |= {f"rate {kind}": partial(matrix_rate, options.device, kind, options.quick) for kind in kinds}
    found = in_turn(ways, options)
    return [against_plain(found, kinds), against_floor(found, kinds)]


def against_plain(found: dict[str, list[float]], kinds: Sequence[str]) -> Table:
    names = {"plain": "plain loop, float32"} | {f"fit {kind}": f"fit_detector, {kind}" for kind in kinds}
    rows = [
        {
            "way": name,
            "labels/s": spread([1 / seconds for seconds in found[way]]),
            "times as fast": ratios(found["plain"], found[way]),
        }
        for way, name in names.items()
    ]
    return Table("Training of the detector, against one excerpt per label", rows)


def against_floor(found: dict[str, list[float]], kinds: Sequence[str]) -> Table:
    names = {"plain": ("plain loop, float32", "float32")}
    names |= {f"fit {kind}": (f"fit_detector, {kind}", kind) for kind in kinds}
    rows = []
    for way, (name, kind) in names.items():
        flops = count_detector_update(fully_convolutional=way != "plain")
        over = ratios(found[way], [flops / rate for rate in found[f"rate {kind}"]])
        rows.append({"way": name, "GFLOP/label": flops / 1e9, "time / its own floor": over})
    remark = "Floor: the counted operations of convolutions and matrices, at the speed of large matrix products."
    return Table("Training of the detector, against the floor", rows, [remark])


if __name__ == "__main__":
    script("detector_training", __doc__, tables)
