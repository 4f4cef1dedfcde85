"""What a worker answers. How workers start, share work and end: tests/songs/test_log_mels.py and test_corpus_build."""

import pickle
import signal
from types import SimpleNamespace

import pytest
from joblib.externals.loky.backend.reduction import dumps

from svdlib.compute import workers
from svdlib.compute.command_line import run_safely
from svdlib.compute.workers import Foreign, _respond, share_out


def respond(function, item=None):
    return pickle.loads(_respond(bytes(dumps((function, item)))))


def test_a_result_comes_back():
    assert respond(lambda item: item + 1, 2) == (True, 3)


def test_an_exception_comes_back_as_it_was_and_tells_where_it_happened():
    fine, error = respond(lambda item: 1 / item, 0)
    assert not fine and type(error) is ZeroDivisionError and str(error) == "division by zero"
    assert "In another process" in error.__notes__[0] and "1 / item" in error.__notes__[0]


class Stubborn(Exception):
    """Can be packed, but not unpacked: it wants two arguments and hands on one."""

    def __init__(self, name, reason):
        super().__init__(f"{name}: {reason}")


def stubborn(item):
    raise Stubborn("song", "damaged")


@pytest.mark.parametrize(
    ("function", "said"),
    [(stubborn, "Stubborn: song: damaged"), (lambda item: (each for each in item), "cannot pickle 'generator'")],
)
def test_what_cannot_travel_is_told(function, said):
    fine, error = respond(function, [])
    assert not fine and said in f"{type(error).__name__}: {error}"
    assert function is not stubborn or isinstance(error, Foreign)


def test_a_message_that_cannot_be_read_is_answered():
    fine, error = pickle.loads(_respond(b"noise"))
    assert not fine and isinstance(error, pickle.UnpicklingError)


def test_sigterm_while_workers_start_ends_all_of_them(monkeypatch, capsys):
    """One that is half told what to do would print a traceback, on stdout."""
    started, ended = [], []

    def start():
        signal.raise_signal(signal.SIGTERM)
        worker = SimpleNamespace(kill=lambda: ended.append(worker), join=lambda: None)
        started.append(worker)
        return worker

    monkeypatch.setattr(workers, "Worker", start)
    status = run_safely(lambda: list(share_out(len, ["a", "b", "c"], 3)) and 0, resumable=False)
    assert status == 143 and "Ended by SIGTERM" in capsys.readouterr().err
    assert len(started) == 3 and ended == started
