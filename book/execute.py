"""Executes the notebooks: from their sources in notebooks/*.py to _build/source/notebooks/*.ipynb, outputs included."""

import ast
import json
import os
import shutil
import sys
import time
from contextlib import closing
from functools import partial
from pathlib import Path

import joblib
import jupytext
import nbformat
import papermill
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from papermill.exceptions import PapermillExecutionError
from tqdm import tqdm

from chapters import KERNEL, chapter_sources, check_computed_text, check_verdicts
from svdlib.compute.processes import PROCESSES_VARIABLE, in_processes
from teaching import take_slides

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "_build"
SOURCE = BUILD / "source"
NOTEBOOKS = SOURCE / "notebooks"
FIGURES = BUILD / "figures"

PARAMETERS = ("profile", "corpus", "device", "seed")
MOST_AT_ONCE = 4  # notebooks, each of which needs some GB


class NotebookError(Exception):
    """A notebook failed; the message says which, and where."""


def notebook_defaults(notebook: nbformat.NotebookNode, name: str) -> dict[str, object]:
    """Read the values in the cell tagged `parameters`.

    Raises:
        NotebookError: if the cell is missing, holds more than plain assignments or lacks one of the four names.
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if len(cells) != 1:
        raise NotebookError(f"{name}: exactly one cell must have the tag 'parameters', not {len(cells)}.")
    try:
        assignments = ast.parse(cells[0].source).body
        defaults = {node.targets[0].id: ast.literal_eval(node.value) for node in assignments}
    except (AttributeError, SyntaxError, ValueError) as error:
        raise NotebookError(f"{name}: the parameters cell may only hold lines like `seed = 0`.") from error
    missing = [parameter for parameter in PARAMETERS if parameter not in defaults]
    if missing:
        raise NotebookError(f"{name}: the parameters cell lacks {', '.join(missing)}.")
    return defaults


def use_own_kernel() -> None:
    """Make `python3` mean the interpreter that runs this script, whatever kernels the machine has."""
    spec = {
        "argv": [
            *(sys.executable, "-m", "ipykernel_launcher", "--log-level=ERROR", "-f", "{connection_file}"),
            "--InteractiveShellApp.extra_extensions=slides",
        ],
        "env": {
            "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT / "book"), os.environ.get("PYTHONPATH")])),
            PROCESSES_VARIABLE: "1",  # the cores are shared by the notebooks already
            "PYTHONOPTIMIZE": "",  # checks of exercises assert
        },
        "display_name": "Python 3",
        "language": "python",
    }
    folder = BUILD / "jupyter" / "kernels" / "python3"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "kernel.json").write_text(json.dumps(spec), encoding="utf-8")
    os.environ["JUPYTER_PATH"] = str(BUILD / "jupyter")
    # Progress bars would be stored as output, one line per step.
    os.environ["TQDM_DISABLE"] = "1"
    # A backend set for the user's terminal would keep figures out of the notebook.
    os.environ.pop("MPLBACKEND", None)


def execute_notebook(source: Path, values: dict[str, object], timeout: int) -> None:
    """Execute one notebook source and write the result, outputs included, to _build/source/notebooks.

    Args:
        source: a notebook in jupytext's percent format.
        values: profile, corpus, device and seed.
        timeout: seconds that one cell may take.

    Raises:
        NotebookError: names the cell that failed.
        ChapterError: if an exercise's stub passes its check, or a solution does not.
    """
    target = NOTEBOOKS / f"{source.stem}.ipynb"
    target.unlink(missing_ok=True)
    notebook = jupytext.read(source)
    notebook.metadata.update(KERNEL)
    defaults = notebook_defaults(notebook, source.name)
    # papermill adds a cell with the values it is given; a page should not show the defaults twice.
    changed = {name: value for name, value in values.items() if defaults[name] != value}
    plain = BUILD / "plain" / target.name
    plain.parent.mkdir(parents=True, exist_ok=True)
    executed = plain.with_suffix(".executed.ipynb")
    nbformat.write(notebook, plain)
    try:
        papermill.execute_notebook(
            plain,
            executed,
            parameters=changed,
            kernel_name="python3",
            cwd=NOTEBOOKS,
            execution_timeout=timeout,
            iopub_timeout=timeout,  # pictures may come late on a busy machine
            progress_bar=False,
        )
    except PapermillExecutionError as error:
        number = error.cell_index + 1
        raise NotebookError(
            f"notebooks/{source.name}: cell {number} of {executed} failed.\n{error.source}\n"
            f"{error.traceback and error.traceback[-1]}"
        ) from error
    except (CellTimeoutError, DeadKernelError) as error:
        raise NotebookError(f"notebooks/{source.name}: {error}") from error
    finished = nbformat.read(executed, nbformat.NO_CONVERT)
    check_verdicts(source.stem, finished)
    check_computed_text(source.stem, finished)
    FIGURES.mkdir(exist_ok=True)
    for name, content in take_slides(source.stem, finished).items():
        (FIGURES / name).write_bytes(content)
    nbformat.write(finished, target)


def execute_notebooks(values: dict[str, object], timeout: int) -> None:
    """Execute all notebooks, several at once, each in a process and with a kernel of one thread.

    Raises:
        NotebookError: if there is none or one fails.
        ChapterError: if an exercise's stub passes its check, or a solution does not.
        ProcessError: if the number of processes makes no sense, or the system has ended one.
    """
    sources = chapter_sources()
    if not sources:
        raise NotebookError(f"There is no notebook in {ROOT / 'notebooks'}.")
    use_own_kernel()
    for folder in (NOTEBOOKS, FIGURES):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
    at_once = None if os.environ.get(PROCESSES_VARIABLE) else min(joblib.cpu_count(), MOST_AT_ONCE)
    done = in_processes(partial(_timed, values=values, timeout=timeout), sources, at_once)
    with closing(done), tqdm(total=len(sources), desc="notebooks", unit="notebook", disable=False) as bar:
        for position, seconds in done:
            bar.write(f"{sources[position].stem}: {seconds:.0f} s", file=sys.stderr)
            bar.update()


def _timed(source: Path, values: dict[str, object], timeout: int) -> float:
    """Execute one notebook and return how many seconds it took."""
    started = time.monotonic()
    execute_notebook(source, values, timeout)
    return time.monotonic() - started
