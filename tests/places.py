"""Where things lie, for tests in any folder."""

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
GOLDENS = TESTS / "goldens"
LONGEST = (
    "compute/test_distributed.py", "songs/test_log_mels.py", "lab/test_reproduce.py",
)  # fmt: skip
"""Files that take ten seconds and more, the longest first."""
CHILDREN_PATH = os.pathsep.join([str(TESTS), str(ROOT)])
"""PYTHONPATH of processes that a test starts."""
