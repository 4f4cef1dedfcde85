"""The same work for many items, spread over several processes with one thread each."""

import os
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from typing import TypeVar

from svdlib.compute.workers import WorkerEnded, share_out
from svdlib.errors import SvdlibError

Item = TypeVar("Item")
Result = TypeVar("Result")

PROCESSES_VARIABLE = "SVDLIB_PROCESSES"
FEWEST_ITEMS = 3  # for fewer, starting processes takes longer than they save


class ProcessError(SvdlibError):
    """A number of processes that makes no sense, or a process that was ended from outside."""


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int | None = None
) -> Generator[tuple[int, Result], None, None]:
    """Call a function for every item and yield what it returns, in the order in which the calls finish.

    Each call runs on one thread, so that results do not depend on the number of processes to the last bit. Fewer
    than three items are worked on in this process. Whoever may leave the loop early closes the iterator, which ends
    the processes at once. They end with this process too, whatever ends it.

    Args:
        function: what to do. Function, items and results travel between processes, so they should be small and
            must be fit for pickling (functions inside functions are).
        items: what to do it for.
        processes: how many at once; 1 stays in this process, None takes SVDLIB_PROCESSES from the environment or
            else all cores that this process may use.

    Yields:
        The position of an item among the items, and the function's result for it.

    Raises:
        ProcessError: the number is not a whole one of 1 or more, or a process was ended from outside.
        Exception: that of a call, once all calls for items before it are done: the same one as in a single process.
    """
    wanted = _wanted(processes)
    if len(items) < FEWEST_ITEMS:
        wanted = 1
    if wanted is None:
        import joblib

        wanted = int(joblib.cpu_count())  # knows about affinity and the limits of containers
    if wanted > 1:
        yield from _spread(function, items, min(wanted, len(items)))
        return
    for position, item in enumerate(items):
        with _one_thread():
            result = function(item)
        yield position, result


def _wanted(processes: int | None) -> int | None:
    """Read how many processes are asked for; None where nothing is said."""
    if processes is not None:
        if processes < 1:
            raise ProcessError(f"processes={processes} is no number of processes; ask for 1 or more")
        return int(processes)
    text = os.environ.get(PROCESSES_VARIABLE, "").strip()
    if not text:
        return None
    if not text.isdecimal() or int(text) < 1:
        raise ProcessError(f"{PROCESSES_VARIABLE}={text!r} must be a whole number of 1 or more; set it so, or unset it")
    return int(text)


def _spread(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[tuple[int, Result]]:
    """Yield position and result of every item from so many processes; end them when the iterator is closed."""
    try:
        yield from share_out(function, items, workers)
    except WorkerEnded as error:
        raise ProcessError(
            "A process at work was ended from outside, as systems do when memory is short. "
            f"Close other programs, or set {PROCESSES_VARIABLE}=1."
        ) from error


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let PyTorch and linear algebra use one thread inside."""
    import torch
    from threadpoolctl import threadpool_limits

    before = torch.get_num_threads()
    with threadpool_limits(1):
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(before)
