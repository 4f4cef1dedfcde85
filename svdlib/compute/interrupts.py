"""Ways to stop: at Ctrl-C, when the current step is done and the state kept, and when the parent process has gone."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any


@dataclass
class Interruption:
    """Tells whether the user has asked to stop."""

    requested: bool = False


@contextmanager
def deferred_interrupts() -> Iterator[Interruption]:
    """Turn the first Ctrl-C into a request that the loop inside can honour; a second one stops at once.

    If a request was made, KeyboardInterrupt is raised when the block ends. Outside the main thread, where signals
    cannot be caught, Ctrl-C acts as usual. Where it is ignored, as in what a shell runs in the background, it stays so.
    """
    interruption = Interruption()
    ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield interruption
        return

    def ask(signum: int, frame: Any) -> None:
        if interruption.requested:
            raise KeyboardInterrupt
        interruption.requested = True

    previous = signal.signal(signal.SIGINT, ask)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, previous)
    if interruption.requested:
        raise KeyboardInterrupt


@contextmanager
def deferred_termination() -> Iterator[None]:
    """Let SIGTERM count when the block ends, so that what is begun inside is whole when it comes to be tidied away.

    Outside the main thread, where signals cannot be caught, it acts as usual. Where it is ignored, it stays so.
    """
    ignored = signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    if ignored or threading.current_thread() is not threading.main_thread():
        yield
        return
    came = threading.Event()
    previous = signal.signal(signal.SIGTERM, lambda signum, frame: came.set())
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous or signal.SIG_DFL)
        if came.is_set():
            signal.raise_signal(signal.SIGTERM)


def end_with_parent(seconds: float = 1.0) -> None:
    """Let this process end when the one that started it has gone, and nobody is left who could stop it.

    Args:
        seconds: how often to look.
    """
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(seconds)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()
