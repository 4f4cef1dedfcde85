"""A run that is ended by kill -9 while it writes a state, in a process of its own.

python tests/killed.py MODULE FOLDER WRITES
"""

import importlib
import os
import signal
import subprocess
import sys
from pathlib import Path

from places import CHILDREN_PATH, ROOT


def run_and_kill(module: str | Path, folder: Path, *, writes: int) -> None:
    """Let `fit(folder)` of a test module run, a state written after every update, until it is killed.

    Args:
        module: the file of the test module whose `fit` it is.
        folder: where the run keeps its state.
        writes: of which file written the process dies, counted from 1: the file is on the disk under its temporary
            name, and is not renamed any more.
    """
    child = subprocess.run(
        [sys.executable, __file__, str(module), str(folder), str(writes)],
        env=os.environ | {"PYTHONPATH": CHILDREN_PATH},
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert child.returncode == -signal.SIGKILL, child.stderr


def main(module: str, folder: str, writes: str) -> None:
    import torch

    import svdlib.compute.storage as storage

    torch.set_num_threads(1)
    replace, left = os.replace, int(writes)

    def replace_or_die(*paths):
        nonlocal left
        left -= 1
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*paths)

    storage.os.replace = replace_or_die
    sys.path.insert(0, str(Path(module).parent))
    importlib.import_module(Path(module).stem).fit(Path(folder), checkpoint_minutes=0)


if __name__ == "__main__":
    main(*sys.argv[1:])
