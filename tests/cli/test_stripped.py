"""`python -OO` strips docstrings; no program may need one."""

import json
import os
import subprocess
import sys

import pytest
from places import CHILDREN_PATH, ROOT

MAIN = 'if __name__ == "__main__":'
PROGRAMS = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__main__")
    for folder in ("svdlib", "benchmarks")
    for path in (ROOT / folder).rglob("*.py")
    if path.name == "__main__.py" or MAIN in path.read_text(encoding="utf-8")
)

# All in one process, for importing torch takes longer than all the rest.
ASK_ALL = """
import contextlib, io, json, runpy, sys, warnings
warnings.simplefilter("ignore")
answers = {}
for name in sys.argv[1].split():
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        try:
            sys.argv = [name, "--help"]
            runpy.run_module(name, run_name="__main__")
            status = None
        except SystemExit as end:
            status = end.code
        except BaseException as error:
            status = repr(error)
    answers[name] = status, said.getvalue()
print(json.dumps(answers))
"""


@pytest.fixture(scope="module")
def answers():
    """Per program the status, or what it raised, and the help."""
    command = [sys.executable, "-OO", "-B", "-c", ASK_ALL, " ".join(PROGRAMS)]
    environment = os.environ | {"PYTHONPATH": CHILDREN_PATH}
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    return json.loads(done.stdout)


@pytest.mark.parametrize("name", PROGRAMS)
def test_without_docstrings_every_program_has_its_help(answers, name):
    status, said = answers[name]
    assert status == 0 and said.startswith("usage: ")
    if name.startswith("svdlib."):
        assert said.split()[:4] == ["usage:", "python", "-m", name]


def test_the_programs_are_found():
    assert {"svdlib", "svdlib.lab.gpu_job", "svdlib.lab.studies.claims", "benchmarks", "benchmarks.log_mel"} < {
        *PROGRAMS
    }
