"""The same work for many items, spread over several processes with one thread each.

The processes are those of joblib's loky: they need no `if __name__ == "__main__"` in the user's script and are the
same on Linux, macOS and Windows.
"""

import os
import signal
import warnings
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, as_completed
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import TypeVar

from svdlib.errors import SvdlibError

Item = TypeVar("Item")
Result = TypeVar("Result")

PROCESSES_VARIABLE = "SVDLIB_PROCESSES"
FEWEST_ITEMS = 3  # for fewer, starting processes takes longer than they save
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


class ProcessError(SvdlibError):
    """A number of processes that makes no sense, or a process that was ended from outside."""


def in_processes(
    function: Callable[[Item], Result], items: Sequence[Item], processes: int | None = None
) -> Generator[tuple[int, Result], None, None]:
    """Call a function for every item and yield what it returns, in the order in which the calls finish.

    Each call runs on one thread, so that results do not depend on the number of processes to the last bit. Fewer
    than three items are worked on in this process. Whoever may leave the loop early closes the iterator, which ends
    the processes at once.

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
    from joblib.externals.loky import ProcessPoolExecutor

    environment = {name: "1" for name in THREAD_VARIABLES}
    pool = ProcessPoolExecutor(workers, initializer=_become_worker, env=environment)
    finished = False
    try:
        with _interrupts_held_back():
            futures = [pool.submit(function, item) for item in items]
        positions = {future: position for position, future in enumerate(futures)}
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="A worker stopped")  # it has grown, and is replaced
            for future in as_completed(futures):
                if future.exception() is not None:
                    _raise_first(futures)
                yield positions[future], future.result()
        finished = True
    finally:
        pool.shutdown(wait=True, kill_workers=not finished)


def _raise_first(futures: Sequence[Future]) -> None:
    """Cancel what has not begun and raise the exception of the first item that has one.

    Items begin in their order, so those before it are finished or under way.
    """
    for future in futures:
        future.cancel()
    try:
        for future in futures:
            future.result()
    except BrokenProcessPool as error:
        raise ProcessError(
            "A process at work was ended from outside, as systems do when memory is short. "
            f"Close other programs, or set {PROCESSES_VARIABLE}=1."
        ) from error


def _become_worker() -> None:
    """Make a new process work on one thread and leave Ctrl-C to the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    import torch

    torch.set_num_threads(1)


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let processes that start inside inherit that Ctrl-C is not for them; here it counts when the block ends.

    Without this, Ctrl-C in the first second, when they are still importing, would make each print a traceback.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


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
