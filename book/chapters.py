"""What a chapter offers a class: its minutes, quizzes, figures and exercises, read from the notebook itself.

    python book/chapters.py        # a line for each chapter: what stands in its box, and what was counted

An exercise is four kinds of cells in this order: its text, under a heading `### Exercise 1: Title` with a label for
links and a line like `*Easy, 10 minutes.*`, with two folded hints at its end; its check; a stub that the student fills
in and hands to the check; and the solution, which does the same. In an executed notebook each stub must have failed its
check and each solution passed.
"""

import ast
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from svdlib.pages.exercises import VERDICT

ROOT = Path(__file__).resolve().parent.parent

WORDS_A_MINUTE = 150
"""A technical text read with care."""

MINUTES_A_LOOK = 0.5
"""For a cell that shows something: open code, a figure, a table, players, a computed sentence."""

MINUTES_A_QUESTION = 1.0
"""For a question of a quiz."""

KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
"""Metadata of every notebook that is written."""

EXERCISES = range(2, 7)
"""How many exercises a chapter may have."""

HEADING = re.compile(
    r"^\((?P<label>exercise-[a-z0-9-]+)\)=\n### Exercise (?P<number>\d+): (?P<title>.+)\n\n"
    r"\*(?P<difficulty>Easy|Medium|Hard), (?P<minutes>\d+) minutes\.\*$",
    re.MULTILINE,
)
HINTS = re.compile(
    r"\n\n:::\{dropdown\} First hint\n(?P<first>(?:(?!:::).+\n)+):::"
    r"\n\n:::\{dropdown\} Second hint\n(?P<second>(?:(?!:::).+\n)+):::\Z"
)
MINUTES = re.compile(
    r"^\*\*Minutes:\*\* (?P<reading>\d+) to read, (?P<exercises>\d+) for the exercises, (?P<running>.+) to run\.$",
    re.MULTILINE,
)
ROLE = re.compile(r"\{[a-z][a-z:]*\}`[^`]+`")
FORMULA = re.compile(r"\$[^$\s](?:[^$\n]*[^$\s])?\$")
CHAPTER = re.compile(r"\d\d[a-z]?_\w+")
FOLDED = {"hide-cell", "hide-input", "remove-cell", "remove-input"}
NOT_READ = {"hide-cell", "remove-cell", "parameters"}


class ChapterError(Exception):
    """A chapter breaks the form; the message says which one, where, and what the form asks for."""


@dataclass(frozen=True)
class Exercise:
    """An exercise of a chapter.

    Attributes:
        label: where links lead.
        number: its place in the chapter, from 1.
        title: a few words.
        difficulty: "Easy", "Medium" or "Hard".
        minutes: what a student needs.
        text: the cell that says what to do, with its hints.
        check: the cell that defines the check.
        stub: the cell that the student fills in.
        solution: the cell with our answer.
    """

    label: str
    number: int
    title: str
    difficulty: str
    minutes: int
    text: str
    check: NotebookNode
    stub: NotebookNode
    solution: NotebookNode


@dataclass(frozen=True)
class Figure:
    """A figure of a chapter.

    Attributes:
        name: where links lead, and of its files; no other figure of the book has it.
        description: what one sees, in words.
        cell: the cell that shows it.
    """

    name: str
    description: str
    cell: NotebookNode


@dataclass(frozen=True)
class Chapter:
    """A notebook as a teacher sees it.

    Attributes:
        name: of its file, without the ending.
        title: its first heading.
        reading: minutes to read, as its box says.
        running: minutes to run in words, as its box says.
        exercises: in their order.
        figures: in their order.
        n_questions: questions of its quizzes.
        counted: minutes to read that follow from its words, figures and cells.
        seconds: time of its execution; None if it was not executed.
    """

    name: str
    title: str
    reading: int
    running: str
    exercises: tuple[Exercise, ...]
    figures: tuple[Figure, ...]
    n_questions: int
    counted: float
    seconds: float | None

    @property
    def exercise_minutes(self) -> int:
        """Minutes for all exercises together."""
        return sum(exercise.minutes for exercise in self.exercises)


def tags_of(cell: NotebookNode) -> set[str]:
    """The tags of a cell."""
    return set(cell.metadata.get("tags", []))


def read_chapter(name: str, notebook: NotebookNode) -> Chapter:
    """Read a chapter and check its form.

    Args:
        name: of the notebook's file, without the ending.
        notebook: executed or not.

    Raises:
        ChapterError: says what is missing or out of order.
    """
    text = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    box = MINUTES.search(text)
    if not box:
        raise ChapterError(f"{name}: its box needs a line `**Minutes:** 30 to read, 40 for the exercises, one to run.`")
    for heading in ("**What you will learn**", "**Prerequisites:**", "## Take-away", "## Check yourself"):
        if heading not in text:
            raise ChapterError(f"{name}: {heading!r} is missing.")
    exercises = tuple(find_exercises(name, notebook))
    if len(exercises) not in EXERCISES:
        raise ChapterError(f"{name}: {len(exercises)} exercises; a chapter has {EXERCISES[0]} to {EXERCISES[-1]}.")
    for exercise in exercises:
        if not HINTS.search(exercise.text):
            raise ChapterError(
                f"{name}: the text of exercise {exercise.number} must end in two hints, each in a box: "
                "`:::{dropdown} First hint`, its text, `:::`, an empty line, and the same with `Second hint`."
            )
    total = sum(exercise.minutes for exercise in exercises)
    if int(box["exercises"]) != total:
        raise ChapterError(f"{name}: its box gives {box['exercises']} minutes to exercises that together take {total}.")
    return Chapter(
        name,
        re.search(r"^# (.+)$", text, re.MULTILINE)[1],
        int(box["reading"]),
        box["running"],
        exercises,
        tuple(find_figures(name, notebook)),
        sum(cell.source.count("Question(") for cell in notebook.cells if cell.cell_type == "code"),
        reading_minutes(notebook),
        notebook.metadata.get("papermill", {}).get("duration"),
    )


def find_exercises(name: str, notebook: NotebookNode) -> Iterator[Exercise]:
    """Find the exercises of a notebook.

    Raises:
        ChapterError: if the cells of one are not there, or not in order.
    """
    cells = notebook.cells
    headings = sum(len(re.findall("^### Exercise", cell.source, re.MULTILINE)) for cell in cells)
    places = [place for place, cell in enumerate(cells) if cell.cell_type == "markdown" and HEADING.search(cell.source)]
    if headings != len(places):
        raise ChapterError(
            f"{name}: {headings} headings start with 'Exercise', and {len(places)} have the whole form: a cell of text "
            "with a label `(exercise-topic)=`, a heading `### Exercise 1: Title`, an empty line, `*Easy, 10 minutes.*`"
        )
    for number, (place, end) in enumerate(zip(places, [*places[1:], len(cells)], strict=True), start=1):
        heading = HEADING.search(cells[place].source)
        own = [cell for cell in cells[place:end] if cell.cell_type == "code"]
        kinds = [next(iter(tags_of(cell) & {"check", "exercise", "solution"}), "") for cell in own]
        found = [kind for kind in kinds if kind]
        if int(heading["number"]) != number or found != ["check", "exercise", "solution"]:
            raise ChapterError(
                f"{name}: exercise {heading['number']}, in place {number}, has cells with the tags {found}; it needs "
                "one each of check, exercise and solution, in this order."
            )
        check, stub, solution = (own[kinds.index(kind)] for kind in ("check", "exercise", "solution"))
        what = heading["label"], number, heading["title"], heading["difficulty"], int(heading["minutes"])
        yield Exercise(*what, cells[place].source, check, stub, solution)


def find_figures(name: str, notebook: NotebookNode) -> Iterator[Figure]:
    """Find the figures of a notebook: the cells whose metadata describe an image.

    Raises:
        ChapterError: if one has no name.
    """
    for cell in notebook.cells:
        description = cell.metadata.get("mystnb", {}).get("image", {}).get("alt")
        if description is None:
            continue
        figure = cell.metadata.get("figure", "")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", figure):
            raise ChapterError(
                f'{name}: the metadata of a figure need a name for links and downloads, like figure="nre-by-hand"; '
                f"{description[:60]!r} has {figure!r}."
            )
        yield Figure(figure, description, cell)


def before_exercises(notebook: NotebookNode) -> Iterator[NotebookNode]:
    """The cells of a notebook up to the heading of its exercises, wherever in a cell it stands."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (heading := re.search("^## Exercises$", cell.source, re.MULTILINE)):
            yield nbformat.v4.new_markdown_cell(cell.source[: heading.start()])
            return
        yield cell


def count_words(notebook: NotebookNode) -> int:
    """Words of a chapter's prose, without its exercises."""
    prose = (cell.source for cell in before_exercises(notebook) if cell.cell_type == "markdown")
    return sum(len(re.sub(r"\{\w+(:\w+)?\}|[^\w'’-]+", " ", source).split()) for source in prose)


def count_open_lines(notebook: NotebookNode) -> int:
    """Lines of code that a page shows without a click, the exercises' stubs among them; empty lines don't count."""
    shown = (cell.source for cell in notebook.cells if cell.cell_type == "code" and not tags_of(cell) & FOLDED)
    return sum(1 for source in shown for line in source.splitlines() if line.strip())


def is_looked_at(cell: NotebookNode) -> bool:
    """Whether a cell of code stops a reader: its code is open, or it shows something."""
    if tags_of(cell) & NOT_READ:
        return False
    return not tags_of(cell) & FOLDED or _shows(ast.parse(cell.source).body)


def _shows(statements: Sequence[ast.stmt]) -> bool:
    """Whether a cell ends in a value, or prints or displays something outside of functions."""
    run = [ast.unparse(each) for each in statements if not isinstance(each, (ast.FunctionDef, ast.ClassDef))]
    return isinstance(statements[-1], ast.Expr) or any(re.search(r"\b(display|print)\(", text) for text in run)


def reading_minutes(notebook: NotebookNode) -> float:
    """Minutes to read a chapter without its exercises: from its words, and a fixed time for each thing to look at."""
    looks = questions = 0
    for cell in before_exercises(notebook):
        if cell.cell_type == "markdown":
            continue
        if "quiz" in tags_of(cell):
            questions += cell.source.count("Question(")
        elif is_looked_at(cell):
            looks += 1
    return count_words(notebook) / WORDS_A_MINUTE + looks * MINUTES_A_LOOK + questions * MINUTES_A_QUESTION


def check_verdicts(name: str, notebook: NotebookNode) -> None:
    """Check that in an executed notebook every stub failed its check, and every solution passed the same one.

    Raises:
        ChapterError: names the exercise.
    """
    for exercise in find_exercises(name, notebook):
        where = f"{name}, exercise {exercise.number}"
        stub, solution = verdicts_of(exercise.stub), verdicts_of(exercise.solution)
        if not stub or any(verdict["passed"] for verdict in stub):
            raise ChapterError(f"{where}: the untouched stub must fail its check; its verdicts are {stub}.")
        if not solution or not all(verdict["passed"] for verdict in solution):
            raise ChapterError(f"{where}: the solution must pass its check; its verdicts are {solution}.")
        if {verdict["check"] for verdict in stub} != {verdict["check"] for verdict in solution}:
            raise ChapterError(f"{where}: stub and solution were checked by different checks.")


def check_computed_text(name: str, notebook: NotebookNode) -> None:
    """Check that text which a notebook computes holds no roles and no formulas: only cells of text are read as MyST.

    Raises:
        ChapterError: names the cell and the role or the formula.
    """
    for place, cell in enumerate(notebook.cells, 1):
        for output in cell.get("outputs", []):
            text = output.get("data", {}).get("text/markdown", "")
            if found := ROLE.search(text) or FORMULA.search(text):
                raise ChapterError(
                    f"{name}, cell {place}: its computed text holds {found[0]!r}, which a page would show as it is; "
                    "say it in a cell of text, or name the chapter."
                )


def verdicts_of(cell: NotebookNode) -> list[dict]:
    """The verdicts that a cell shows."""
    return [output.metadata[VERDICT] for output in cell.outputs if VERDICT in output.get("metadata", {})]


def check_names(chapters: Sequence[Chapter]) -> None:
    """Check that no two exercises and no two figures of the book have one name.

    Raises:
        ChapterError: names them.
    """
    labels = [exercise.label for chapter in chapters for exercise in chapter.exercises]
    names = [figure.name for chapter in chapters for figure in chapter.figures]
    if twice := sorted({name for found in (labels, names) for name in found if found.count(name) > 1}):
        raise ChapterError(f"These names of exercises or figures are given twice: {', '.join(twice)}.")


def chapter_sources() -> list[Path]:
    """The notebooks' sources, in the order of the book: `05_look.py`, and `05b_measure.py` which continues it."""
    return sorted(path for path in (ROOT / "notebooks").glob("*.py") if CHAPTER.fullmatch(path.stem))


def main() -> int:
    """Print a line for each chapter; return the exit code."""
    faults = 0
    for source in chapter_sources():
        try:
            chapter = read_chapter(source.stem, jupytext.read(source))
        except ChapterError as error:
            faults += 1
            print(error)
            continue
        minutes = f"{chapter.reading} minutes to read, counted {chapter.counted:.0f}; {chapter.running} to run"
        exercises = f"{len(chapter.exercises)} exercises, {chapter.exercise_minutes} minutes"
        print(f"{chapter.name}: {minutes}; {exercises}; {chapter.n_questions} questions")
    return min(faults, 1)


if __name__ == "__main__":
    sys.exit(main())
