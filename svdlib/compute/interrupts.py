"""Ctrl-C during long work: finish the current step, keep the state, then stop."""

import signal
import threading
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
