"""`python -OO` strips docstrings and assertions; no program may need one."""

import ast
import json
import os
import subprocess
import sys

import pytest
from places import CHILDREN_PATH, ROOT

import execute

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


def narrows(test):
    """Whether a condition only tells a type checker what something is: `x is not None`, `isinstance(x, ...)`."""
    if isinstance(test, ast.BoolOp):
        return all(map(narrows, test.values))
    if isinstance(test, ast.Compare):
        return isinstance(test.ops[0], ast.IsNot)
    return isinstance(test, ast.Call) and getattr(test.func, "id", "") == "isinstance"


def test_the_library_does_not_rely_on_assertions():
    relied = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for folder in ("svdlib", "book", "benchmarks")
        for path in sorted((ROOT / folder).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Assert) and not narrows(node.test)
    ]
    assert relied == []


def test_notebooks_that_the_book_executes_run_their_assertions(tmp_path, monkeypatch):
    monkeypatch.setattr(execute, "BUILD", tmp_path)
    monkeypatch.setenv("JUPYTER_PATH", "")
    monkeypatch.setenv("TQDM_DISABLE", "")
    execute.use_own_kernel()
    spec = json.loads((tmp_path / "jupyter/kernels/python3/kernel.json").read_text(encoding="utf-8"))
    environment = os.environ | {"PYTHONOPTIMIZE": "2"} | spec["env"]
    done = subprocess.run([sys.executable, "-c", "assert False"], capture_output=True, env=environment)
    assert done.returncode == 1
