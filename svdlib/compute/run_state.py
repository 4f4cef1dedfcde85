"""What all training runs share: driving them to their end, stopping in good order, and their own source of chance."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import torch

from svdlib.compute.distributed import largest, leads
from svdlib.compute.interrupts import Interruption, deferred_interrupts
from svdlib.compute.storage import remove_leftovers
from svdlib.errors import TrainingError

GO_ON, TIME_IS_UP, INTERRUPTED = range(3)


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
    if _has_earlier_state(run, resume):
        run.restore()
    else:
        # A folder that cannot be written is better found now than after the first epoch.
        _save(run)
    saved = time.monotonic()
    deadline = saved + 60 * minutes
    with deferred_interrupts() as interruption:
        while run.epoch < epochs:
            for _ in run.updates():
                if _must_stop(interruption, deadline):
                    _save(run)
                    return False
                if time.monotonic() - saved > 60 * checkpoint_minutes:
                    _save(run)
                    saved = time.monotonic()
            run.close_epoch()
            _save(run)
            saved = time.monotonic()
    return True


def _has_earlier_state(run: Run, resume: bool) -> bool:
    """Whether there is a state to go on from; the leader looks, because it soon writes one where there is none."""
    found = 0
    if leads() and run.state_path:
        remove_leftovers(run.state_path)
        found = int(run.state_path.is_file())
        if found and not resume:
            raise TrainingError(f"{run.state_path} holds an earlier run. Resume it, or choose another folder.")
    return bool(largest(found))


def _must_stop(interruption: Interruption, deadline: float) -> bool:
    """Whether to stop after this update, for a reason that any of the processes has: they all stop at the same one."""
    reason = TIME_IS_UP if time.monotonic() > deadline else GO_ON
    reason = largest(INTERRUPTED if interruption.requested else reason)
    if reason == INTERRUPTED:
        interruption.requested = True
    return reason != GO_ON


def _save(run: Run) -> None:
    """Write the state, the same in all processes, once."""
    if leads():
        run.save()


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
