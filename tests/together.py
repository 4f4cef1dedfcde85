"""What each of several processes does in the tests of training together; started by torchrun.

python -m torch.distributed.run --standalone --nproc_per_node=2 tests/together.py ACTION FOLDER [WORD ...]
"""

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from unittest import mock

import numpy as np
import tiny
import torch
from places import CHILDREN_PATH, ROOT, TESTS
from torch import nn

import svdlib.compute.storage as storage
import svdlib.inversion.training as training
from svdlib.audio.spectra import N_BINS, pack
from svdlib.compute.batch_norm import share_batches
from svdlib.compute.distributed import processes, rank, team
from svdlib.compute.dropout import share_dropout
from svdlib.detector.training import DetectorPlan, fit_detector
from svdlib.inversion.plans import TrainingPlan
from svdlib.paper.augmentation import PublishedAugmentation
from svdlib.paper.training import PublishedPlan
from svdlib.songs.loading import Songs
from svdlib.zoo.fitting import fit_inverters

PLAN = TrainingPlan(epochs=2, batch_size=4, steps_per_epoch=3, validation_excerpts=12)
LAYERS = ("fc8", "mp3")
DETECTOR_PLAN = DetectorPlan(epochs=2, steps_per_epoch=2, batch_size=4)
PUBLISHED_PLAN = PublishedPlan(
    epochs=1, steps_per_epoch=2, batch_size=4, learning_rate=1e-3, augmentation=PublishedAugmentation(noise=0.1)
)


def start(action, *words, count=2, script=TESTS / "together.py"):
    """Start an action in several processes and return that of torchrun."""
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={count}"]
    environment = os.environ | {"PYTHONPATH": CHILDREN_PATH, "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(
        [*command, *map(str, (script, action, *words) if script else (action, *words))],
        env=environment,
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process, timeout=180):
    """Exit status, stdout and stderr of what `start` returned."""
    try:
        out, err = process.communicate(timeout=timeout)
    finally:
        process.kill()
    return process.returncode, out, err


# --- runs, in one process or several alike ---


def inverters(folder=None, **options):
    chosen = {"layers": LAYERS, "plan": PLAN, "seed": 3} | options
    train, valid = tiny.bank(0), tiny.bank(1)
    # More than one batch, so that each process has some to measure.
    with mock.patch.object(training, "VALIDATION_BATCH", 5):
        return fit_inverters(tiny.detector(), train, valid, folder=folder, **chosen)


def released(folder=None):
    return inverters(folder, layers=("fc8",), objective="released")


def adversarial(folder=None):
    return inverters(folder, objective="adversarial")


def with_stems(songs, seed):
    rng = np.random.default_rng(seed)
    stems = [[song + rng.normal(-1, 1, song.shape).astype(np.float32) for song in songs.log_mels] for _ in range(2)]
    return replace(songs, voices=stems[0], bands=stems[1])


def detector(folder=None, **options):
    train = with_stems(tiny.songs(0, count=2, frames=150), 5)
    return fit_detector(
        train, tiny.songs(1, count=3, frames=130), **{"plan": DETECTOR_PLAN, "seed": 3} | options, folder=folder
    )


def published(folder=None):
    songs, rng = tiny.songs(0, count=2, frames=130), np.random.default_rng(4)
    spectra = [pack(torch.from_numpy(rng.uniform(0.5, 1.5, (130, N_BINS)))) for _ in range(2)]
    songs = Songs(songs.log_mels, songs.labels, songs.names, spectra=spectra)
    return fit_detector(songs, tiny.songs(1, frames=130), plan=PUBLISHED_PLAN, seed=3, folder=folder)


RUNS = {run.__name__: run for run in (inverters, released, adversarial, detector, published)}


# --- one layer alone ---


def norm_and_batch(kind):
    """Batch normalisation and a whole batch for it, whose mean is far from zero and differs between the shares."""
    torch.manual_seed(1)
    norm = (nn.BatchNorm2d if kind == "2d" else nn.BatchNorm1d)(3, eps=1e-4).double()
    nn.init.uniform_(norm.weight)
    nn.init.uniform_(norm.bias)
    x = torch.randn(6, 3, *((5, 4) if kind == "2d" else ()), dtype=torch.float64) + 100
    x[3:] -= 7
    return nn.Sequential(norm), x, torch.randn_like(x)


def normalise(kind, network, x, weights):
    """Everything that batch normalisation computes in two updates, by name."""
    x = x.clone().requires_grad_()
    for _ in range(2):
        y = network(x)
        network.zero_grad()
        x.grad = None
        (y * weights).sum().backward()
    values = {"y": y, "x": x.grad, **{name: value.grad for name, value in network.named_parameters()}}
    return {f"{kind}/{name}": value.detach() for name, value in (values | dict(network.named_buffers())).items()}


def drop(network, x):
    torch.manual_seed(2)
    return {"dropped": network(x), "drawn after": torch.rand(3)}


def layers(folder):
    found = {}
    for kind in ("1d", "2d"):
        network, x, weights = norm_and_batch(kind)
        share = slice(3 * rank(), 3 * rank() + 3)
        found |= normalise(kind, share_batches(network), x[share], weights[share])
    x = torch.rand(6, 4, 5)
    torch.manual_seed(3)
    found |= drop(share_dropout(nn.Sequential(nn.Dropout(0.3))), torch.ones(6, 4, 5)[share])
    storage.save_state(folder / f"layers{rank()}.npz", found, {"processes": processes()})


# --- ways to end ---


def hold(folder, renames):
    """Train until the leader is in the middle of writing a state, and stay there."""
    (folder / f"process{rank()}").write_text(str(os.getpid()))
    replace_file, left = os.replace, int(renames)

    def replace_or_wait(*paths):
        nonlocal left
        left -= 1
        if left == 0:
            (folder / "held").touch()
            time.sleep(600)
        replace_file(*paths)

    storage.os.replace = replace_or_wait
    inverters(folder, checkpoint_minutes=0)


def interrupt(folder):
    """Ctrl-C reaches only one of the processes."""
    progress = training.progress

    def progress_with_ctrl_c(batches, **options):
        for number, batch in enumerate(progress(batches, **options)):
            if number == 1 and rank() == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    training.progress = progress_with_ctrl_c
    try:
        inverters(folder)
    except KeyboardInterrupt:
        (folder / f"interrupted{rank()}").touch()


def lose(folder):
    """One process is ended from outside; what the other says."""
    update = training._Run._update

    def update_or_die(self, batch):
        if self.step == 1 and rank() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        update(self, batch)

    training._Run._update = update_or_die
    # The signal by which torchrun ends the others would leave no time to say anything.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        inverters(folder)
    except training.TrainingError as error:
        (folder / "said").write_text(str(error))


def main():
    action, folder, *words = sys.argv[1:]
    torch.set_num_threads(1)
    folder = Path(folder)
    with team("cpu"):
        if action == "runs":
            layers(folder)
            for name in words:
                run = RUNS[name](folder / name)
                network = run.detector if name in ("detector", "published") else nn.ModuleDict(run.inverters)
                history = [epoch if isinstance(epoch, dict) else vars(epoch) for epoch in run.history]
                storage.save_state(folder / f"{name}{rank()}.npz", network.state_dict(), {"history": history})
        elif action == "resume":
            inverters(folder, resume=True)
        else:
            {"hold": hold, "interrupt": interrupt, "lose": lose}[action](folder, *words)


if __name__ == "__main__":
    main()
