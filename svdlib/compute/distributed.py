"""Training shared by several processes that torchrun has started: who am I among them, and what do we do together.

Each process computes its share of every batch, gradients are averaged, and all take the same step, so that several
processes learn what one would learn from the whole batch. Process 0 leads: it alone writes files and shows progress.
With a single process nothing here does anything.
"""

import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist
from torch import Tensor

from svdlib.compute.devices import choose_device
from svdlib.compute.interrupts import end_with_parent
from svdlib.errors import DeviceError, TrainingError

PATIENCE = timedelta(minutes=10)
"""How long a process waits for the others in the middle of training before it gives up."""

PREPARATION = timedelta(hours=24)
"""How long the others wait for the leader, who may have the spectrograms of a whole corpus to compute."""


@contextmanager
def team(device: str = "auto") -> Iterator[torch.device]:
    """Join the other processes that torchrun started, if there are any, and leave them at the end.

    Args:
        device: where to compute, see `choose_device`. "auto" and "cuda" give each process a GPU of its own.

    Yields:
        The device of this process.

    Raises:
        DeviceError: if the device is not there, or one GPU is named for several processes.
        TrainingError: if the other processes cannot be reached.
    """
    if int(os.environ.get("WORLD_SIZE", 1)) == 1:
        yield choose_device(device)
        return
    chosen = own_device(device)
    if processes() > 1:
        yield chosen
        return
    end_with_parent()  # torchrun that is killed can't end those that it has started
    if chosen.type == "cuda":
        torch.cuda.set_device(chosen)
    # Decisions are exchanged over gloo, so that they never wait for a GPU.
    backend = "cpu:gloo,cuda:nccl" if chosen.type == "cuda" else "gloo"
    with _company():
        dist.init_process_group(backend, timeout=PATIENCE)
    try:
        yield chosen
    finally:
        dist.destroy_process_group()


def own_device(name: str) -> torch.device:
    """The device of this process: with several on a machine each has the GPU of its local rank.

    Raises:
        DeviceError: if the device is not there, or one GPU is named for several processes.
    """
    chosen = choose_device(name)
    if chosen.type == "cpu":
        return chosen
    if chosen.index is not None:
        raise DeviceError(f"Several processes cannot share the one device {name!r}. Use --device cuda or cpu.")
    local, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    if local >= there:
        raise DeviceError(
            f"There are {there} GPUs for {os.environ.get('LOCAL_WORLD_SIZE', 'more')} processes. "
            f"Start torchrun with --nproc_per_node={there}, or use --device cpu."
        )
    return torch.device("cuda", local)


def processes() -> int:
    """How many processes train together; 1 where this one is alone."""
    return dist.get_world_size() if dist.is_available() and dist.is_initialized() else 1


def rank() -> int:
    """The number of this process, from 0."""
    return dist.get_rank() if processes() > 1 else 0


def leads() -> bool:
    """Whether this process is the one that writes files and shows progress."""
    return rank() == 0


def share_of(batch_size: int) -> slice:
    """Which excerpts of a batch are this process's.

    Raises:
        TrainingError: if the batch cannot be divided evenly.
    """
    count = processes()
    if batch_size % count:
        raise TrainingError(
            f"A batch of {batch_size} excerpts cannot be divided evenly among {count} processes. "
            "Start a number of processes that divides it, or change the plan's batch_size."
        )
    size = batch_size // count
    return slice(rank() * size, (rank() + 1) * size)


def average(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by their averages over all processes, in place; all of them travel in one message."""
    if processes() == 1:
        return
    flat = torch.cat([tensor.flatten() for tensor in tensors])
    add_up(flat).div_(processes())
    for tensor, averaged in zip(tensors, flat.split([tensor.numel() for tensor in tensors]), strict=True):
        tensor.copy_(averaged.view(tensor.shape))


def add_up(values: Tensor) -> Tensor:
    """Replace a contiguous tensor by its sum over all processes, in place, and return it."""
    if processes() > 1:
        with _company():
            dist.all_reduce(values)
    return values


def largest(number: int) -> int:
    """The largest of the numbers that the processes give; no GPU is waited for."""
    if processes() == 1:
        return number
    given = torch.tensor(number)
    with _company():
        dist.all_reduce(given, op=dist.ReduceOp.MAX)
    return int(given)


def as_the_leader(tensors: Sequence[Tensor]) -> None:
    """Replace tensors by those of the leader, in place."""
    if processes() == 1:
        return
    for tensor in tensors:
        values = tensor.detach().contiguous()
        with _company():
            dist.broadcast(values, src=0)
        tensor.detach().copy_(values)


@contextmanager
def leader_first() -> Iterator[None]:
    """Let the others do a block only after the leader has, such as reading what the leader has put into a cache."""
    if processes() == 1:
        yield
        return
    with _company():
        group = dist.new_group(backend="gloo", timeout=PREPARATION)
    if not leads():
        with _company():
            dist.barrier(group)
    yield
    if leads():
        with _company():
            dist.barrier(group)


@contextmanager
def _company() -> Iterator[None]:
    """Say what it means when a message to the other processes fails."""
    try:
        yield
    except (RuntimeError, ValueError) as error:
        # Without the place in PyTorch's sources that stands before it.
        reason = re.sub(r"^\[\S*\] *", "", " ".join(str(error).split()))[:100]
        raise TrainingError(
            f"The other processes cannot be reached ({reason}). If one of them has ended, it says why; then the same "
            "command with --resume goes on."
        ) from error
