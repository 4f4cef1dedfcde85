"""Grades a student's notebook: runs it with a time limit in a process of its own, and counts the points of its checks.

The cells are marked as those of nbgrader are (`cell.metadata.nbgrader`, schema 3), so that its tools and these read the
same notebooks. A cell to grade earns its points if it runs without an error and each check in it passes.
"""

import asyncio
import os
import re
import sys
import tempfile
import threading
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from svdlib.compute.storage import read_plain_text
from svdlib.errors import InputError, PackageError, quoted
from svdlib.pages.exercises import VERDICT

if TYPE_CHECKING:
    from nbformat import NotebookNode

LONGEST_CELL = 300.0
"""Seconds that one cell may take."""

MOST_POINTS = 1000
"""For one cell."""

CELLS_IN_ALL = 10
"""A whole notebook may take as long as so many cells."""

TITLE = re.compile(r"^### (?:Exercise \d+: )?(?P<title>.+)$", re.MULTILINE)
REGION = re.compile(
    r"^[ \t]*### BEGIN (SOLUTION|HIDDEN TESTS)\n.*?^[ \t]*### END \1[ \t]*\n?", re.DOTALL | re.MULTILINE
)


@dataclass(frozen=True)
class Mark:
    """What one cell earned.

    Attributes:
        cell: its `grade_id`.
        title: of the exercise that it belongs to.
        points: earned.
        possible: that could be earned.
        said: a sentence on what is wrong; empty if nothing is.
        by_hand: a person gives the points, and none are counted here.
    """

    cell: str
    title: str
    points: float
    possible: float
    said: str
    by_hand: bool


def grade(
    notebook: str | os.PathLike[str], key: str | os.PathLike[str] | None = None, seconds: float = LONGEST_CELL
) -> list[Mark]:
    """Run a notebook and count its points.

    It runs in a process of its own, in an empty folder that is deleted afterwards, with the rights of whoever grades.
    The file is not changed.

    Args:
        notebook: a student's `.ipynb`.
        key: the same notebook as its teacher has it, whose checks replace the student's; without it the notebook's own
            checks count.
        seconds: that one cell may take, above 0; the whole notebook may take ten times as long.

    Returns:
        A mark for each cell with points, in the order of the key, else of the notebook.

    Raises:
        InputError: a file is no notebook, or no cell in it has points.
        PackageError: `nbclient` or `ipykernel` is not installed.
    """
    _require_nbclient()
    student = read_notebook(notebook)
    source = student if key is None else read_notebook(key)
    wanted = [cell for cell in source.cells if _marks(cell).get("grade")]
    if not wanted:
        raise InputError(f"{key or notebook}: no cell of this notebook has points. Is it from `make lab-kit`?")
    for cell in wanted:
        _check_marks(cell, key or notebook)
    titles = _titles(source)
    to_run = student if key is None else with_checks_of(student, source)
    _run_aside(_run(to_run, seconds))
    done = {_marks(cell).get("grade_id"): cell for cell in to_run.cells}
    return [_mark(cell, done.get(_marks(cell)["grade_id"]), titles[_marks(cell)["grade_id"]]) for cell in wanted]


def read_notebook(path: str | os.PathLike[str]) -> "NotebookNode":
    """Read a notebook, in whichever version it was saved; raise InputError if the file is none."""
    import nbformat

    try:
        return nbformat.reads(read_plain_text(path), 4)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}.") from error
    except Exception as error:
        # nbformat passes on whatever its parsers of many versions raise.
        raise InputError(f"{path} is not a notebook: {str(error).splitlines()[0]}") from error


def with_checks_of(student: "NotebookNode", key: "NotebookNode") -> "NotebookNode":
    """A student's notebook in which every locked cell is that of the key, its check once more right before its points.

    Args:
        student: with answers; cells that the key does not know stay.
        key: with checks; its solutions are left out.

    Returns:
        A new notebook. A locked cell that the student lacks is left out, and earns nothing.
    """
    import nbformat

    locked = {_marks(cell)["grade_id"]: cell for cell in key.cells if _marks(cell).get("locked")}
    cells: list[NotebookNode] = []
    for cell in student.cells:
        original = locked.get(_marks(cell).get("grade_id", ""))
        if original is None:
            cells.append(cell)
            continue
        exercise = _exercise(_marks(original)["grade_id"])
        if _marks(original).get("grade") and (check := locked.get(f"{exercise}-check")):
            # An answer may have given a name of the check another meaning.
            cells.append(nbformat.v4.new_code_cell(check.source))
        cells.append(nbformat.from_dict(original))
    return nbformat.v4.new_notebook(cells=cells, metadata=student.metadata)


def without_solutions(source: str) -> str:
    """The source of a cell as students get it: without what stands between the marks of solutions and hidden tests."""
    return REGION.sub("", source).rstrip()


def summary(marks: Sequence[Mark]) -> list[str]:
    """The points in lines of text: one for each exercise, those with something wrong followed by what it is."""
    lines = []
    for exercise in dict.fromkeys(_exercise(mark.cell) for mark in marks):
        own = [mark for mark in marks if _exercise(mark.cell) == exercise]
        if own[0].by_hand:
            continue
        earned, possible = sum(mark.points for mark in own), sum(mark.possible for mark in own)
        lines.append(f"{own[0].title:44} {earned:3g} of {possible:g}")
        lines += [f"    {said}" for said in dict.fromkeys(mark.said for mark in own) if said]
    checked = [mark for mark in marks if not mark.by_hand]
    lines.append(f"Points: {sum(m.points for m in checked):g} of {sum(m.possible for m in checked):g}")
    if left := sum(mark.possible for mark in marks if mark.by_hand):
        lines.append(f"Up to {left:g} more are given by hand, by the rubric.")
    return lines


def all_right(marks: Sequence[Mark]) -> bool:
    """Whether every cell that is not graded by hand earned all its points."""
    return all(mark.by_hand or mark.points == mark.possible for mark in marks)


def _marks(cell: Mapping[str, Any]) -> dict[str, Any]:
    """What a cell is marked with; nothing where the marks are none, or nobody could call the cell by its name."""
    marks = cell.get("metadata", {}).get("nbgrader", {})
    return marks if isinstance(marks, dict) and isinstance(marks.get("grade_id"), str) else {}


def _check_marks(cell: Mapping[str, Any], notebook: str | os.PathLike[str]) -> None:
    """Make sure that points can be counted; raise InputError otherwise."""
    marks = _marks(cell)
    points = marks.get("points")
    if not isinstance(points, int | float) or not 0 <= points <= MOST_POINTS:
        raise InputError(
            f"{notebook}: the cell {quoted(marks['grade_id'])} has {quoted(str(points))} points, not a number "
            f"from 0 to {MOST_POINTS}. Take a fresh worksheet, or name the teacher's with --key."
        )


def _exercise(grade_id: str) -> str:
    """The exercise of a cell: "exercise-tilt" for its "exercise-tilt-1"."""
    return re.sub(r"-(\d+|check)$", "", grade_id)


def _titles(notebook: "NotebookNode") -> dict[str, str]:
    """For each marked cell the last heading of an exercise before it."""
    titles, title = {}, ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (heading := TITLE.search(cell.source)):
            title = heading["title"]
        if grade_id := _marks(cell).get("grade_id"):
            titles[grade_id] = title
    return titles


def _mark(wanted: "NotebookNode", cell: "NotebookNode | None", title: str) -> Mark:
    """What a cell earned, from the outputs of its run."""
    marks = _marks(wanted)
    possible, by_hand = float(marks["points"]), bool(marks.get("solution"))
    if by_hand:
        return Mark(marks["grade_id"], title, 0.0, possible, "", True)
    said = f"The cell {marks['grade_id']} is missing." if cell is None else _what_is_wrong(cell)
    return Mark(marks["grade_id"], title, 0.0 if said else possible, possible, said, False)


def _what_is_wrong(cell: "NotebookNode") -> str:
    """What the outputs of a run cell complain about; empty if every check in it passed."""
    outputs = cell.get("outputs", [])
    verdicts = [output for output in outputs if VERDICT in output.get("metadata", {})]
    for verdict in verdicts:
        if not verdict.metadata[VERDICT]["passed"]:
            return str(verdict.data["text/plain"])
    for output in outputs:
        if output.output_type == "error":
            return f"Not yet. The cell stopped with {output.ename}: {output.evalue}".strip()
    return "" if verdicts else "Not yet. The check was not reached within the time limit, or not called."


def _require_nbclient() -> None:
    """Make sure that notebooks can be run; raise PackageError otherwise."""
    try:
        import ipykernel  # noqa: F401
        import nbclient  # noqa: F401
    except ImportError:
        raise PackageError(
            "Notebooks are run with the packages nbclient and ipykernel. Add them with: pip install nbclient ipykernel"
        ) from None


def _run_aside(work: Coroutine[Any, Any, None]) -> None:
    """Do something in a thread of its own: nbclient takes signals over in the main one, and ends there in a traceback.

    Ctrl-C and SIGTERM cancel it, and it is waited for until it has ended its kernel.
    """
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda loop, context: None)  # nbclient forgets some of its tasks, which then complain
    failures: list[Exception] = []

    async def whole() -> None:
        try:
            await work
        finally:
            forgotten = asyncio.all_tasks() - {asyncio.current_task()}
            for left in forgotten:
                left.cancel()
            await asyncio.gather(*forgotten, return_exceptions=True)

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            pass
        except Exception as error:
            failures.append(error)
        finally:
            loop.close()

    task = loop.create_task(whole())
    thread = threading.Thread(target=run)
    thread.start()
    try:
        thread.join()
    except BaseException:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()
        raise
    if failures:
        raise failures[0]


async def _run(notebook: "NotebookNode", seconds: float) -> None:
    """Run a notebook, errors and all; its cells have their outputs afterwards, those in time."""
    from jupyter_client.kernelspec import KernelSpecManager
    from jupyter_client.manager import AsyncKernelManager
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError, DeadKernelError

    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    # Of no folder: then the kernel is this interpreter's own, whatever others the machine has.
    specs = KernelSpecManager(kernel_dirs=[])
    with tempfile.TemporaryDirectory(prefix="svdlib-grade-") as folder:
        client = NotebookClient(
            notebook,
            km=AsyncKernelManager(kernel_name="python3", kernel_spec_manager=specs),
            timeout=max(1, round(seconds)),
            interrupt_on_timeout=True,
            iopub_timeout=max(1, round(seconds)),  # or verdicts that come late, on a busy machine, are lost
            shutdown_kernel="immediate",
            allow_errors=True,
            extra_arguments=["--log-level=ERROR"],
            resources={"metadata": {"path": folder}},
        )
        # Checks assert, which Python leaves out where PYTHONOPTIMIZE is set.
        plain = {"TQDM_DISABLE": "1", "PYTHONOPTIMIZE": ""}
        try:
            environment = os.environ | plain | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
            whole = client.async_execute(env=environment)
            await asyncio.wait_for(whole, CELLS_IN_ALL * max(1, seconds))
        except (TimeoutError, CellExecutionError, DeadKernelError):
            return  # what was reached is marked
