import errno
import signal
import subprocess
import sys

import pytest
from filelock import FileLock
from places import ROOT
from rights import needs_rights, not_root

from svdlib.compute.locks import locked
from svdlib.errors import OutputError, TrainingError

TAKEN = TrainingError("somebody works there; wait")

HOLD = """
import sys, time
from pathlib import Path
from svdlib.compute.locks import locked
from svdlib.errors import TrainingError
with locked(Path(sys.argv[1]), TrainingError("taken")):
    print("held", flush=True)
    time.sleep(600)
"""


def test_a_lock_keeps_others_out_and_ends_with_the_process_that_was_killed(tmp_path):
    path = tmp_path / "new" / "lock"
    child = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    try:
        assert child.stdout.readline() == "held\n"
        with pytest.raises(TrainingError, match="somebody works there"), locked(path, TAKEN):
            pytest.fail("two at once")
    finally:
        child.send_signal(signal.SIGKILL if hasattr(signal, "SIGKILL") else signal.SIGTERM)
        child.communicate()
    assert path.exists(), "the file stays and means nothing"
    with locked(path, TAKEN):
        pass
    assert not path.exists()


def test_a_lock_ends_with_its_block_and_holds_within_a_process(tmp_path):
    path = tmp_path / "lock"
    with pytest.raises(ZeroDivisionError), locked(path, TAKEN):
        with pytest.raises(TrainingError), locked(path, TAKEN):
            pytest.fail("two at once")
        raise ZeroDivisionError
    with locked(path, TAKEN):
        pass


def test_a_place_without_locks_is_worked_in_with_a_warning(tmp_path, monkeypatch):
    def no_locks(self):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(FileLock, "acquire", no_locks)
    inside = False
    with pytest.warns(UserWarning, match="no locks here.*No locks available"), locked(tmp_path / "lock", TAKEN):
        inside = True
    assert inside


def test_a_place_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Cannot write .*file/lock.*Choose a folder"):
        with locked(tmp_path / "file" / "lock", TAKEN):
            pytest.fail("entered")


@needs_rights
def test_a_folder_without_permission(public_folder):
    public_folder.chmod(0o555)
    with not_root(), pytest.raises(OutputError, match="Permission denied"), locked(public_folder / "lock", TAKEN):
        pytest.fail("entered")
