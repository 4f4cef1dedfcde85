"""How fast svdlib is, as ratios: `python -m benchmarks` runs all scripts, `python -m benchmarks.NAME` runs one."""

import os

# Before tqdm is imported, which looks only then; the processes that measure inherit it.
os.environ.setdefault("TQDM_DISABLE", "1")
