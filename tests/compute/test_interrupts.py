import os
import signal
import subprocess
import sys

import pytest
from places import ROOT

from svdlib.compute.interrupts import deferred_interrupts, deferred_termination

CHILD = """
import time
from svdlib.compute.interrupts import end_with_parent
end_with_parent(0.1)
print("watching", flush=True)
time.sleep(600)
"""
PARENT = "import subprocess, sys; subprocess.run([sys.executable, '-c', sys.argv[1]])"


@pytest.mark.skipif(os.name == "nt", reason="a process there keeps the number of its parent")
def test_a_process_ends_with_its_parent_that_is_killed(tmp_path):
    parent = subprocess.Popen([sys.executable, "-c", PARENT, CHILD], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert parent.stdout.readline() == "watching\n"
    parent.kill()
    parent.communicate(timeout=30)  # ends when the child no longer holds the pipe


def test_ctrl_c_is_deferred_to_the_end_of_the_block():
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt), deferred_interrupts() as interruption:
        signal.raise_signal(signal.SIGINT)
        assert interruption.requested
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_ctrl_c_that_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with deferred_interrupts() as interruption:
            signal.raise_signal(signal.SIGINT)
        assert not interruption.requested
    finally:
        signal.signal(signal.SIGINT, before)


class Ended(BaseException):
    pass


@pytest.fixture
def sigterm():
    """SIGTERM raises an exception here."""

    def end(signum, frame):
        raise Ended

    before = signal.signal(signal.SIGTERM, end)
    yield end
    signal.signal(signal.SIGTERM, before)


def test_sigterm_is_deferred_to_the_end_of_the_block(sigterm):
    done = []
    with pytest.raises(Ended), deferred_termination():
        signal.raise_signal(signal.SIGTERM)
        done.append("all")
    assert done == ["all"] and signal.getsignal(signal.SIGTERM) is sigterm
    with deferred_termination():
        pass


def test_sigterm_that_is_ignored_stays_so(sigterm):
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with deferred_termination():
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
        signal.raise_signal(signal.SIGTERM)
