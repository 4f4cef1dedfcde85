"""The pages of the built book that a person opens, as parameters of tests."""

from pathlib import Path

import pytest

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
FOUND = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    # A page that only leads to another one is gone before anything can be looked at.
    if "_static" not in path.parts and 'http-equiv="Refresh"' not in path.read_text(encoding="utf-8")[:500]
)
# Listings of source code are a hundred pages made alike: the first stands for all. Their table of contents is Sphinx's.
LISTINGS = [name for name in FOUND if name.startswith("_modules/")]
PAGES = [name for name in FOUND if name not in LISTINGS] + LISTINGS[-1:]

# Without a book there is still one test, which is skipped and says why.
NAMES = PAGES or ["index.html"]
pages = pytest.mark.parametrize("name", NAMES)
