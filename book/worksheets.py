"""Notebooks for students: the chapters without the solutions of their exercises.

python book/worksheets.py        # writes _build/worksheets
"""

import shutil
import sys
from pathlib import Path

import jupytext
import nbformat
from nbformat import NotebookNode

from chapters import KERNEL, chapter_sources, tags_of

WORKSHEETS = Path(__file__).resolve().parent.parent / "_build" / "worksheets"


def without_solutions(notebook: NotebookNode) -> NotebookNode:
    """Leave the solutions out of a notebook; the checks stay."""
    cells = [cell for cell in notebook.cells if "solution" not in tags_of(cell)]
    return nbformat.v4.new_notebook(cells=cells, metadata=KERNEL)


def main() -> int:
    """Write all worksheets; return the exit code."""
    shutil.rmtree(WORKSHEETS, ignore_errors=True)
    WORKSHEETS.mkdir(parents=True)
    for source in chapter_sources():
        nbformat.write(without_solutions(jupytext.read(source)), WORKSHEETS / f"{source.stem}.ipynb")
    print(f"The worksheets: {WORKSHEETS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
