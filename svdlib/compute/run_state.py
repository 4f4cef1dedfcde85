"""What all long runs share: how they are carried out, the state they keep, and their own source of chance.

A run is a folder with one state file. It is written at the end of each epoch and every few minutes in between, and a
resumed run goes on to the same result as an unbroken one.
"""

import json
import math
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any, Protocol, TypedDict, Unpack

import torch
from torch import Tensor

from svdlib.compute.distributed import largest, leads
from svdlib.compute.interrupts import Interruption, deferred_interrupts
from svdlib.compute.locks import locked
from svdlib.compute.storage import Tree, load_state, nested, remove_leftovers, save_state
from svdlib.errors import PlanError, TrainingError

STATE_FILE = "state.npz"
GO_ON, TIME_IS_UP, INTERRUPTED = range(3)


class RunSettings(TypedDict, total=False):
    """The fields of `RunOptions`, for functions that take them one by one."""

    seed: int
    device: torch.device | str
    precision: torch.dtype | str
    folder: str | PathLike[str] | None
    resume: bool
    minutes: float
    checkpoint_minutes: float
    capture: bool | None
    corpus: str


@dataclass(frozen=True)
class RunOptions:
    """How a run is carried out.

    Attributes:
        seed: of everything that is random.
        device: where to compute, see `svdlib.compute.devices.choose_device`.
        precision: of activations: "float32", "bfloat16", or "auto", which takes bfloat16 where the device has fast
            units for it. Weights stay float32.
        folder: where the state is kept; None keeps nothing.
        resume: go on from the state in `folder` if there is one.
        minutes: stop in good order after this long, to be resumed.
        checkpoint_minutes: time between two states inside an epoch.
        capture: whether to record an update as a CUDA graph, see `svdlib.compute.cuda_graph`; None does where it can be
            done.
        corpus: what the data are called in the provenance of what is learned: a run is not gone on with under another
            name. Empty does not look.
    """

    seed: int = 0
    device: torch.device | str = "cpu"
    precision: torch.dtype | str = "float32"
    folder: str | PathLike[str] | None = None
    resume: bool = False
    minutes: float = math.inf
    checkpoint_minutes: float = 5.0
    capture: bool | None = None
    corpus: str = ""

    def with_settings(self, **settings: Unpack[RunSettings]) -> "RunOptions":
        """The same options, but for those that are given.

        Raises:
            PlanError: if one is given that does not exist.
        """
        unknown = [name for name in settings if name not in RunSettings.__annotations__]
        if unknown:
            known = ", ".join(RunSettings.__annotations__)
            raise PlanError(f"There is no option {unknown[0]!r} of a run. Known options: {known}.")
        return replace(self, **settings)

    @property
    def named(self) -> dict[str, str]:
        """What tells runs on the same data under several names apart; states of older versions lack it."""
        return {"corpus": self.corpus} if self.corpus else {}

    @property
    def state_path(self) -> Path | None:
        """The state file; None if nothing is kept."""
        return Path(self.folder) / STATE_FILE if self.folder is not None else None


def check_same_run(
    place: Path, stored: Any, identity: Mapping[str, Any], called: Mapping[str, str] | None = None
) -> None:
    """Make sure that what an earlier run has left belongs to this one.

    Args:
        place: the file or folder, for the message.
        stored: what identifies the earlier run.
        identity: what identifies this one, fit for JSON.
        called: what the message calls parts of it, by their keys, where that is something else.

    Raises:
        TrainingError: if they differ.
    """
    stored = stored if isinstance(stored, Mapping) else {}
    different = [(called or {}).get(key, key) for key, value in identity.items() if stored.get(key) != value]
    if different:
        several = len(different) > 1 or different[0].endswith("s")
        raise TrainingError(
            f"{place} belongs to another run: {', '.join(different)} {'differ' if several else 'differs'}. "
            "Use the same settings and data, or choose another folder."
        )


class RunState:
    """The state of one run on disk, and what tells this run from others.

    Attributes:
        path: the state file; None keeps nothing.
        identity: settings and data of the run, as JSON reads them back.
    """

    def __init__(
        self,
        path: Path | None,
        identity: Mapping[str, Any],
        newer: Mapping[str, Any] | None = None,
        called: Mapping[str, str] | None = None,
    ) -> None:
        """Name a run's state.

        Args:
            path: the state file; None keeps nothing.
            identity: settings and data of the run, fit for JSON.
            newer: more of them, which states of older versions lack: those that have them must have the same.
            called: what messages call them, see `check_same_run`.
        """
        self.path, self._called = path, called
        self.identity: dict[str, Any] = json.loads(json.dumps({**identity, **(newer or {})}))  # tuples become lists
        self._newer = frozenset(newer or ())

    def save(self, arrays: Tree, meta: Mapping[str, Any]) -> None:
        """Write the state, if the run has a place for it.

        Raises:
            OutputError: if the file cannot be written.
        """
        if self.path:
            save_state(self.path, arrays, {"identity": self.identity} | dict(meta))

    def load(self) -> tuple[Tree, dict[str, Any]]:
        """Read what `save` wrote.

        Raises:
            TrainingError: if the state is missing, damaged, or another run's.
        """
        if self.path is None:
            raise TrainingError("A run that keeps no state cannot be resumed. Name its folder.")
        arrays, meta = load_state(self.path)
        stored = meta.get("identity")
        missing = self._newer.difference(stored if isinstance(stored, Mapping) else ())
        asked = {key: value for key, value in self.identity.items() if key not in missing}
        check_same_run(self.path, stored, asked, self._called)
        return nested(arrays), meta


class Run(Protocol):
    """A training run that can be driven, saved and restored between any two updates."""

    state: RunState
    epoch: int

    def updates(self) -> Iterator[None]:
        """Do the rest of the epoch, yielding after each update."""

    def close_epoch(self) -> None:
        """Validate, and get ready for the next epoch."""

    def pack(self) -> tuple[Tree, dict[str, Any]]:
        """All that the rest of the run depends on: arrays, and a description fit for JSON."""

    def unpack(self, arrays: Tree, meta: Mapping[str, Any]) -> None:
        """Go back to where `pack` was called."""


def carry_on(run: Run, epochs: int, options: RunOptions) -> bool:
    """Drive a run until it is finished, its time is up, or the user presses Ctrl-C.

    Args:
        run: the run.
        epochs: how many it has in all.
        options: whether an earlier state may be there to go on from, when to stop, and how often to save.

    Returns:
        Whether the run is finished.

    Raises:
        TrainingError: if there is an earlier state and it may not, or cannot, be gone on from, or if another process
            works on it.
        OutputError: if the state cannot be written.
        KeyboardInterrupt: after Ctrl-C, with the state saved.
    """
    with _alone(run.state.path):
        return _carry_on(run, epochs, options)


@contextmanager
def _alone(path: Path | None) -> Iterator[None]:
    """Keep a second run away from a state; the leader of several processes holds the lock for all of them."""
    if path is None or not leads():
        yield
        return
    taken = TrainingError(f"{path.parent}: another process is training there. Wait until it ends, or choose a folder.")
    with locked(path.with_name(f".{path.name}.lock"), taken):
        yield


def _carry_on(run: Run, epochs: int, options: RunOptions) -> bool:
    if _has_earlier_state(run, options.resume):
        run.unpack(*run.state.load())
    else:
        # A folder that cannot be written is better found now than after the first epoch.
        _save(run)
    saved = time.monotonic()
    deadline = saved + 60 * options.minutes
    with deferred_interrupts() as interruption:
        while run.epoch < epochs:
            for _ in run.updates():
                if _must_stop(interruption, deadline):
                    _save(run)
                    return False
                if time.monotonic() - saved > 60 * options.checkpoint_minutes:
                    _save(run)
                    saved = time.monotonic()
            run.close_epoch()
            _save(run)
            saved = time.monotonic()
    return True


def _has_earlier_state(run: Run, resume: bool) -> bool:
    """Whether there is a state to go on from; the leader looks, because it soon writes one where there is none."""
    found, path = 0, run.state.path
    if leads() and path:
        remove_leftovers(path)
        found = int(path.is_file())
        if found and not resume:
            raise TrainingError(f"{path} holds an earlier run. Resume it, or choose another folder.")
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
        run.state.save(*run.pack())


def copy_of(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """A copy of a network's `state_dict()` that further training leaves alone."""
    return {name: value.clone() for name, value in weights.items()}


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
