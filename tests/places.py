"""Where things lie, for tests in any folder."""

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
GOLDENS = TESTS / "goldens"
CHILDREN_PATH = os.pathsep.join([str(TESTS), str(ROOT)])
"""PYTHONPATH of processes that a test starts."""
