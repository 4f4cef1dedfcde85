"""Processes that take one item at a time, and that end with whoever started them, whatever ends that one.

A worker has one connection to the process that started it. Items and answers travel over it, and when its other end is
gone, because that process has closed it or was killed, the worker ends at once. The loop that hands out the items runs
in one thread and waits for all connections together: there is no queue between them that could be left half full.

loky, as joblib has it, starts the processes and packs what travels, so that a script needs no `if __name__ ==
"__main__"`. Its pool is not used: told to stop with items waiting, its thread may die and leave everybody waiting for
ever.

What travels is pickled, as everywhere between Python's processes. It is read from a pipe that only a process and the
child it has started can write to; nothing that comes from a file or from elsewhere is ever unpickled.
"""

import os
import pickle
import signal
import threading
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from queue import SimpleQueue
from typing import Any, TypeVar

from svdlib.compute.interrupts import deferred_interrupts, deferred_termination

Item = TypeVar("Item")
Result = TypeVar("Result")

THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
)  # fmt: skip


class WorkerEnded(Exception):
    """A worker that has gone without an answer."""


class Foreign(Exception):
    """Stands for an exception that cannot travel between processes."""


class Worker:
    """A process that computes on one thread.

    Attributes:
        connection: to it; readable when it has an answer, or has gone.
    """

    def __init__(self) -> None:
        """Start the process; it takes seconds until it answers."""
        from joblib.externals.loky.backend import get_context

        context = get_context("loky")
        self.connection, theirs = context.Pipe()
        environment = dict.fromkeys(THREAD_VARIABLES, "1")
        # A daemon, so that Python's own end does not wait for it where a loop over results was never closed.
        self._process = context.Process(target=_serve, args=(theirs,), env=environment, daemon=True)
        with theirs:  # once it is the worker's alone, the end of one is seen at the other
            self._process.start()

    def ask(self, function: Callable[[Any], Any], item: Any) -> None:
        """Hand it an item.

        Raises:
            WorkerEnded: it has gone.
        """
        from joblib.externals.loky.backend.reduction import dumps

        message = dumps((function, item))
        try:
            self.connection.send_bytes(message)
        except OSError as error:
            raise WorkerEnded from error

    def answer(self) -> Any:
        """What the function has returned for the item.

        Raises:
            WorkerEnded: it has gone.
            Exception: what the function has raised.
        """
        try:
            message = self.connection.recv_bytes()
        except (EOFError, OSError) as error:
            raise WorkerEnded from error
        fine, value = pickle.loads(message)
        if not fine:
            raise value
        return value

    def kill(self) -> None:
        """End the process, whatever it does."""
        self.connection.close()
        with suppress(OSError):
            os.kill(self._process.pid, getattr(signal, "SIGKILL", signal.SIGTERM))

    def join(self) -> None:
        """Wait until a killed process is gone."""
        self._process.join()


def share_out(function: Callable[[Item], Result], items: Sequence[Item], workers: int) -> Iterator[tuple[int, Result]]:
    """Yield position and result of every item from so many processes; end them when the iterator is closed.

    Raises:
        WorkerEnded: a worker has gone over an item, all items before it are done, and none of them has failed.
        Exception: likewise, that of a call.
    """
    team: list[Worker] = []
    try:
        with _interrupts_held_back():
            for _ in range(workers):
                team.append(Worker())
        yield from _results(function, items, team)
    finally:
        for worker in team:
            worker.kill()
        for worker in team:
            worker.join()


def _results(
    function: Callable[[Item], Result], items: Sequence[Item], team: Sequence[Worker]
) -> Iterator[tuple[int, Result]]:
    """Hand out items in their order, so that those before one that fails are done or under way."""
    waiting = iter(range(len(items)))
    at_work: dict[Any, tuple[Worker, int]] = {}
    failures: dict[int, Exception] = {}

    def hand_out(worker: Worker) -> None:
        position = None if failures else next(waiting, None)
        if position is None:
            return
        try:
            worker.ask(function, items[position])
            at_work[worker.connection] = worker, position
        except WorkerEnded as error:
            failures[position] = error

    for worker in team:
        hand_out(worker)
    while any(position < min(failures, default=len(items)) for _, position in at_work.values()):
        for connection in wait(list(at_work)):
            worker, position = at_work.pop(connection)
            try:
                result = worker.answer()
            except Exception as error:
                failures[position] = error
                continue
            hand_out(worker)
            yield position, result
    if failures:
        raise failures[min(failures)]


# --- in the worker ---


def _serve(connection: Connection) -> None:
    """Answer one message after another until the connection ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the process that started this one
    messages: SimpleQueue[bytes] = SimpleQueue()
    threading.Thread(target=_listen, args=(connection, messages), daemon=True).start()
    import torch

    torch.set_num_threads(1)
    with suppress(OSError):  # nobody is left who wants the answer
        while True:
            connection.send_bytes(_respond(messages.get()))


def _listen(connection: Connection, messages: "SimpleQueue[bytes]") -> None:
    """Pass on what arrives, unread, since reading may import much; end the process when nothing more can arrive."""
    with suppress(EOFError, OSError):
        while True:
            messages.put(connection.recv_bytes())
    os._exit(0)  # whatever the other thread is at


def _respond(message: bytes) -> bytes | memoryview:
    """The answer to a message: whether the call went well, and its result or exception."""
    from joblib.externals.loky.backend.reduction import dumps

    try:
        function, item = pickle.loads(message)
        return dumps((True, function(item)))
    except Exception as error:
        error.add_note(f"\nIn another process:\n{traceback.format_exc()}")
        try:
            answer = dumps((False, error))
            pickle.loads(answer)
        except Exception:
            return dumps((False, Foreign(f"{type(error).__name__}: {error}")))
        return answer


@contextmanager
def _interrupts_held_back() -> Iterator[None]:
    """Let processes that start inside inherit that Ctrl-C is not for them; here it counts when the block ends.

    Without this, Ctrl-C in the first second, when they are still importing, would make each print a traceback. SIGTERM
    waits too: a process that is half told what to do would print one, on stdout.
    """
    with deferred_termination(), deferred_interrupts():
        if not hasattr(signal, "pthread_sigmask"):
            yield
            return
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
