"""The assessed lab: worksheets, their key, points for each exercise, and a rubric for what a person reads.

    python book/lab_kit.py        # writes _build/lab-kit

The folder is a course as nbgrader lays it out: `source/NAME/NAME.ipynb` is the key, `release/NAME/NAME.ipynb` what the
students get. NAME is `lab`, whose six exercises are in no page of the book, or a chapter. `svdlib grade` and nbgrader
both grade what comes back.
"""

import ast
import csv
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from chapters import KERNEL, ChapterError, Exercise, chapter_sources, find_exercises, tags_of
from plain import PlainError, make_plain
from svdlib.pages.grading import without_solutions as as_released
from worksheets import OF_SOLUTIONS

ROOT = Path(__file__).resolve().parent.parent
KIT = ROOT / "_build" / "lab-kit"
LAB = ROOT / "notebooks" / "lab.py"
RUBRIC = ROOT / "book" / "lab" / "rubric.md"

POINTS = {"Easy": 2, "Medium": 3, "Hard": 4}
"""For each check of an exercise, by its difficulty."""

CLAIM_POINTS = {"figure": 3, "claim": 7}
"""For what is read by a person: the cell of the figure and that of the text. The rubric says how."""

CONFIG = """\
# An instructor's course for nbgrader: `nbgrader generate_assignment lab` makes release/ from source/ anew.
c = get_config()
c.CourseDirectory.course_id = "svdlib"
c.ClearSolutions.code_stub = {"python": ""}
c.ExecutePreprocessor.timeout = 600
"""


@dataclass(frozen=True)
class Item:
    """What earns points.

    Attributes:
        notebook: its name.
        cell: its `grade_id`.
        title: of the exercise.
        points: at most.
        by: "check", or "hand".
    """

    notebook: str
    cell: str
    title: str
    points: int
    by: str


def make_key(name: str, notebook: NotebookNode) -> NotebookNode:
    """Turn a chapter, or the lab, into its key: marked as nbgrader does, solutions and hidden tests included.

    Raises:
        ChapterError: if an exercise breaks the form.
    """
    exercises = {id(cell): each for each in find_exercises(name, notebook) for cell in (each.check, each.stub)}
    cells: list[NotebookNode] = []
    for cell in notebook.cells:
        exercise, tags = exercises.get(id(cell)), tags_of(cell)
        if exercise and cell is exercise.check:
            cells.append(_marked(cell, cell.source, f"{exercise.label}-check", locked=True))
        elif exercise:
            cells += _answer_and_points(exercise)
        elif kind := tags & {"figure", "claim"}:
            (what,) = kind
            answer = next(each.source for each in notebook.cells if f"{what}-solution" in tags_of(each))
            cells.append(_by_hand(cell, answer, what))
        elif not tags & {"solution", "figure-solution", "claim-solution"}:
            cells.append(nbformat.from_dict({**cell, "source": cell.source.replace(OF_SOLUTIONS, "")}))
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def _marked(cell: NotebookNode, source: str, grade_id: str, points: int | None = None, **marks: bool) -> NotebookNode:
    new = nbformat.v4.new_code_cell if cell.cell_type == "code" else nbformat.v4.new_markdown_cell
    metadata = {"cell_type": cell.cell_type, "grade_id": grade_id, "schema_version": 3, "task": False}
    metadata |= {name: marks.get(name, False) for name in ("grade", "locked", "solution")}
    if points is not None:
        metadata["points"] = points
    return new(source, metadata={"nbgrader": metadata})


def _answer_and_points(exercise: Exercise) -> Iterator[NotebookNode]:
    """The cell that a student fills in, and a cell for each call of a check at its end."""
    lines = exercise.stub.source.splitlines()
    calls = [node for node in ast.parse(exercise.stub.source).body if _is_check(node)]
    if not calls:
        raise ChapterError(f"{exercise.label}: the stub must end in a call of its check.")
    stub = "\n".join(lines[: calls[0].lineno - 1]).rstrip()
    answer = f"{stub}\n\n\n### BEGIN SOLUTION\n{exercise.solution.source}\n### END SOLUTION"
    yield _marked(exercise.stub, answer, exercise.label, solution=True)
    for number, call in enumerate(calls, start=1):
        line = ast.unparse(call)
        # A check answers in a sentence and never raises; nbgrader takes a cell that raises for a wrong one.
        source = f"verdict = {line}\n### BEGIN HIDDEN TESTS\nassert verdict.passed\n### END HIDDEN TESTS\nverdict"
        points = POINTS[exercise.difficulty]
        yield _marked(exercise.stub, source, f"{exercise.label}-{number}", points, grade=True, locked=True)


def _is_check(node: ast.stmt) -> bool:
    value = node.value if isinstance(node, ast.Expr) else None
    return isinstance(value, ast.Call) and isinstance(value.func, ast.Name) and value.func.id.startswith("check_")


def _by_hand(cell: NotebookNode, answer: str, what: str) -> NotebookNode:
    source = f"{cell.source}\n### BEGIN SOLUTION\n{answer}\n### END SOLUTION"
    return _marked(cell, source, f"exercise-lab-claim-{what}", CLAIM_POINTS[what], grade=True, solution=True)


def make_release(key: NotebookNode) -> NotebookNode:
    """The worksheet of a key: what students get."""
    cells = [nbformat.from_dict({**cell, "source": as_released(cell.source)}) for cell in key.cells]
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def items_of(name: str, notebook: NotebookNode, key: NotebookNode) -> Iterator[Item]:
    """What earns points in a notebook, in its order."""
    titles = {exercise.label: exercise.title for exercise in find_exercises(name, notebook)}
    for cell in key.cells:
        marks = cell.metadata.get("nbgrader", {})
        if marks.get("grade"):
            title = titles.get(marks["grade_id"].rpartition("-")[0], "One claim, one figure")
            yield Item(name, marks["grade_id"], title, marks["points"], "hand" if marks["solution"] else "check")


def points_text(items: Iterable[Item]) -> str:
    """The points of the lab as a table in Markdown."""
    rows = [f"| {item.title} | `{item.cell}` | {item.points} | {item.by} |" for item in items]
    return "\n".join(["| Exercise | Cell | Points | By |", "|---|---|---|---|", *rows, ""])


def write_kit(folder: Path) -> list[Item]:
    """Write the kit into a folder, made anew, and return what earns points.

    Raises:
        ChapterError: if an exercise breaks the form.
        PlainError: if a text cannot be put into plain Markdown.
    """
    shutil.rmtree(folder, ignore_errors=True)
    items: list[Item] = []
    for source in (LAB, *chapter_sources()):
        name, notebook = source.stem, jupytext.read(source)
        key = make_key(name, notebook)
        items += items_of(name, notebook, key)
        make_plain(key, name)
        for kind, made in (("source", key), ("release", make_release(key))):
            (folder / kind / name).mkdir(parents=True)
            nbformat.write(made, folder / kind / name / f"{name}.ipynb")
    of_lab = points_text(item for item in items if item.notebook == LAB.stem)
    rubric = RUBRIC.read_text(encoding="utf-8")
    (folder / "rubric.md").write_text(f"{rubric}\n## Points of the lab\n\n{of_lab}", encoding="utf-8")
    (folder / "nbgrader_config.py").write_text(CONFIG, encoding="utf-8")
    with (folder / "points.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("notebook", "cell", "title", "points", "by"))
        writer.writerows((item.notebook, item.cell, item.title, item.points, item.by) for item in items)
    return items


def main() -> int:
    """Write the kit; return the exit code."""
    try:
        items = write_kit(KIT)
    except (ChapterError, PlainError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    of_lab = [item for item in items if item.notebook == LAB.stem]
    checked, read = (sum(item.points for item in of_lab if item.by == by) for by in ("check", "hand"))
    print(f"The lab: {checked} points by checks, {read} by hand.")
    print(f"For students: {KIT / 'release'}; the keys: {KIT / 'source'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
