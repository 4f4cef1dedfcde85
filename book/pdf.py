"""Prints every page of the built book as a PDF, through the browser that the tests use.

python book/pdf.py        # after `make book`; writes _build/pdf
"""

import sys
from collections.abc import Iterator
from pathlib import Path

from tqdm import tqdm

ROOT = Path(__file__).resolve().parent.parent
HTML = ROOT / "_build" / "html"
PDF = ROOT / "_build" / "pdf"

MARGINS = {"top": "16mm", "bottom": "16mm", "left": "14mm", "right": "14mm"}
# Pictures load when they are near, and on paper all of them are.
LOAD_ALL = """async () => {
    document.documentElement.dataset.theme = "light";
    for (const image of document.images) image.loading = "eager";
    await Promise.all([...document.images].map(image => image.decode().catch(() => null)));
    if (window.MathJax?.startup) await MathJax.startup.promise;
}"""


class PrintError(Exception):
    """The pages cannot be printed; the message says what is missing."""


def pages_of(html: Path) -> Iterator[Path]:
    """The pages of a built book that a person reads, without listings of source code and pages that only lead on."""
    for page in sorted(html.rglob("*.html")):
        inside = page.relative_to(html).parts
        if inside[0] in ("_modules", "_static") or page.name in ("genindex.html", "py-modindex.html", "search.html"):
            continue
        if 'http-equiv="refresh"' not in page.read_text(encoding="utf-8")[:500].lower():
            yield page


def print_pages(html: Path, folder: Path) -> list[Path]:
    """Print all pages, each to a PDF of the same name.

    Args:
        html: the built book.
        folder: where the PDFs go, in the same folders as the pages.

    Returns:
        The files.

    Raises:
        PrintError: if there is no book or no browser.
    """
    sys.path.insert(0, str(ROOT))
    from benchmarks.browsers import BROWSERS, find_browser

    pages = list(pages_of(html)) if html.exists() else []
    if not pages:
        raise PrintError(f"There is no book in {html}. Run `make book` first.")
    if (browser := find_browser()) is None:
        raise PrintError(
            f"No browser was found, none of {', '.join(BROWSERS)}. Install Chromium, or print from your own."
        )
    from playwright.sync_api import sync_playwright

    written = []
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=browser, args=["--no-sandbox", "--disable-gpu"])
        tab = chromium.new_page(color_scheme="light")
        tab.set_default_timeout(120_000)
        for page in tqdm(pages, desc="pages", unit="page"):
            target = folder / page.relative_to(html).with_suffix(".pdf")
            target.parent.mkdir(parents=True, exist_ok=True)
            tab.goto(page.as_uri())
            tab.evaluate(LOAD_ALL)
            tab.pdf(path=target, format="A4", margin=MARGINS, print_background=True, outline=True, tagged=True)
            written.append(target)
        chromium.close()
    return written


def main() -> int:
    """Print the book; return the exit code."""
    try:
        written = print_pages(HTML, PDF)
    except PrintError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{len(written)} pages as PDF: {PDF}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
