"""The benchmark of the page "Your own sound" runs and fills its table; how fast anything is, is not tested."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.book

ROOT = Path(__file__).resolve().parents[2]


def run(*options: str) -> subprocess.CompletedProcess:
    command = [sys.executable, "-m", "benchmarks.live_page", *options]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True)


def test_it_measures_every_step(html, chromium_path):
    finished = run("--book", str(html), "--seconds", "4", "--rounds", "1", "--json")
    assert finished.returncode == 0, finished.stderr
    (table,) = json.loads(finished.stdout)["tables"]
    rows = {row["step"]: row for row in table["rows"]}
    assert list(rows) == ["song to curve", "curve to inversions", "later click to inversions"]
    for row in rows.values():
        assert row["page, s"]["median"] > 0 and row["page / PyTorch"]["median"] > 0
    curve = rows["song to curve"]
    assert curve["of its target"]["median"] == pytest.approx(curve["page, s"]["median"] / 25)
    assert rows["curve to inversions"]["of its target"] is None


def test_without_a_book_it_says_so(tmp_path):
    finished = run("--book", str(tmp_path))
    assert finished.returncode == 1 and "run `make book` first" in finished.stderr
