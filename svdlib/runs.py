"""What all training runs share: driving them to their end, stopping in good order, and their own source of chance."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch

from svdlib.errors import TrainingError
from svdlib.interrupts import deferred_interrupts
from svdlib.storage import remove_leftovers


class Run(Protocol):
    """A training run that can be driven, saved and restored between any two updates."""

    epoch: int
    state_path: Path | None

    def updates(self) -> Iterator[None]:
        """Do the rest of the epoch, yielding after each update."""

    def close_epoch(self) -> None:
        """Validate, and get ready for the next epoch."""

    def save(self) -> None:
        """Write the state, if the run has a place for it."""

    def restore(self) -> None:
        """Go back to the saved state."""


def carry_on(run: Run, *, epochs: int, resume: bool, minutes: float, checkpoint_minutes: float) -> bool:
    """Drive a run until it is finished, its time is up, or the user presses Ctrl-C.

    Args:
        run: the run.
        epochs: how many it has in all.
        resume: whether an earlier state may be there, to go on from.
        minutes: when to stop, after the update then under way.
        checkpoint_minutes: time between two states inside an epoch.

    Returns:
        Whether the run is finished.

    Raises:
        TrainingError: if there is an earlier state and `resume` is false, or it cannot be gone on from.
        OutputError: if the state cannot be written.
        KeyboardInterrupt: after Ctrl-C, with the state saved.
    """
    if run.state_path:
        remove_leftovers(run.state_path)
    if run.state_path and run.state_path.is_file():
        if not resume:
            raise TrainingError(f"{run.state_path} holds an earlier run. Resume it, or choose another folder.")
        run.restore()
    else:
        # A folder that cannot be written is better found now than after the first epoch.
        run.save()
    saved = time.monotonic()
    deadline = saved + 60 * minutes
    with deferred_interrupts() as interruption:
        while run.epoch < epochs:
            for _ in run.updates():
                if interruption.requested or time.monotonic() > deadline:
                    run.save()
                    return False
                if time.monotonic() - saved > 60 * checkpoint_minutes:
                    run.save()
                    saved = time.monotonic()
            run.close_epoch()
            run.save()
            saved = time.monotonic()
    return True


def mix_seeds(*numbers: int) -> int:
    """One seed from several numbers, such as a run's seed, the epoch and the step."""
    mixed = 0
    for number in numbers:
        mixed = (mixed * 1_000_003 + number) % 2**63
    return mixed


@contextmanager
def own_chance(seed: int, device: torch.device) -> Iterator[None]:
    """Let torch's global sources of chance start from `seed` inside the block, and be as before after it."""
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield
