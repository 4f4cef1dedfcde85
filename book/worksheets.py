"""Notebooks for students: the chapters without the solutions of their exercises.

python book/worksheets.py        # writes _build/worksheets
"""

import shutil
import sys
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from chapters import KERNEL, ChapterError, chapter_sources, tags_of
from plain import PlainError, make_plain

WORKSHEETS = Path(__file__).resolve().parent.parent / "_build" / "worksheets"

OF_SOLUTIONS = " The solutions are folded; they and their checks are run whenever this book is built."
"""What a page says of its solutions, and a worksheet without them does not."""


def without_solutions(name: str, notebook: NotebookNode) -> NotebookNode:
    """Leave the solutions out of a chapter, and what its text says of them; the checks stay.

    Raises:
        ChapterError: if the text does not say it once, in the words of every chapter.
    """
    said = sum(cell.source.count(OF_SOLUTIONS) for cell in notebook.cells if cell.cell_type == "markdown")
    if said != 1:
        raise ChapterError(f"{name}: under its heading of exercises it needs the words {OF_SOLUTIONS.strip()!r}, once.")
    cells = [cell.copy() for cell in notebook.cells if "solution" not in tags_of(cell)]
    for cell in cells:
        cell.source = cell.source.replace(OF_SOLUTIONS, "")
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def main() -> int:
    """Write all worksheets; return the exit code."""
    shutil.rmtree(WORKSHEETS, ignore_errors=True)
    WORKSHEETS.mkdir(parents=True)
    try:
        for source in chapter_sources():
            sheet = make_plain(without_solutions(source.stem, jupytext.read(source)), source.stem)
            nbformat.write(sheet, WORKSHEETS / f"{source.stem}.ipynb")
    except (ChapterError, PlainError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"The worksheets: {WORKSHEETS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
