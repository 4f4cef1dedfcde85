"""How long each chapter is, as a table: words and height without the exercises, open lines of code, figures.

python book/sizes.py        # heights are those of the built pages, 1280 pixels wide, where there is a browser
"""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import jupytext

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # benchmarks are not installed

from benchmarks.browsers import find_browser  # noqa: E402
from chapters import chapter_sources, count_open_lines, count_words, find_figures, tags_of  # noqa: E402

HTML = ROOT / "_build" / "html" / "notebooks"
COLUMNS = ("chapter", "words", "open lines", "figures", "height", "with exercises")
HEIGHT = """() => {
    const place = (name) => document.querySelector(name)?.getBoundingClientRect();
    const whole = place("article.bd-article");
    return [(place("#exercises")?.top ?? whole.bottom) - whole.top, whole.height].map(Math.round);
}"""


def page_heights(pages: Sequence[Path]) -> list[tuple[int, int]]:
    """Heights of pages in pixels, without and with their exercises; none where a page or the browser is missing."""
    path = find_browser()
    if path is None or not all(page.exists() for page in pages):
        return []
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        heights = heights_in(browser, pages)
        browser.close()
    return heights


def heights_in(browser: "Browser", pages: Sequence[Path]) -> list[tuple[int, int]]:
    """The same in a browser that is open already."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    heights = []
    for each in pages:
        page.goto(each.as_uri())
        # Pictures that load when they are near have no height before.
        page.evaluate("document.querySelectorAll('img').forEach((image) => (image.loading = 'eager'))")
        page.wait_for_load_state("networkidle")
        heights.append(tuple(page.evaluate(HEIGHT)))
    page.close()
    return heights


def rows() -> list[tuple[str, ...]]:
    """A row of the table for each chapter, and one for all of them."""
    sources = chapter_sources()
    heights = page_heights([HTML / f"{source.stem}.html" for source in sources])
    counted = []
    for number, source in enumerate(sources):
        notebook = jupytext.read(source)
        shown = [figure for figure in find_figures(source.stem, notebook) if "solution" not in tags_of(figure.cell)]
        numbers = (count_words(notebook), count_open_lines(notebook), len(shown))
        counted.append((source.stem, *numbers, *(heights[number] if heights else (0, 0))))
    total = ("all", *(sum(column) for column in list(zip(*counted, strict=True))[1:]))
    return [(row[0], *(f"{number:,}" if number else "–" for number in row[1:])) for row in (*counted, total)]


def main() -> None:
    """Print the table."""
    table = [COLUMNS, *rows()]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    for name, *numbers in table:
        print(
            name.ljust(widths[0]),
            *(text.rjust(width) for text, width in zip(numbers, widths[1:], strict=True)),
            sep="  ",
        )


if __name__ == "__main__":
    main()
