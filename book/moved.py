"""Addresses that stay where a chapter is split: its first page leads to the places of the pages that continue it.

`05b_kept_structure` continues `05_qualitative_analysis`. Whoever comes to a place on the first page that now stands on
a later one is taken there by a script, or, where scripts are off, finds a link.
"""

import re
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path

from chapters import Chapter

PLACE = re.compile(r'<(?:section|span|a class="figure-large")(?: class="[^"]*")? id="([^"]+)"')
END_OF_ARTICLE = "</article>"
FOLLOW = """<script>{
  const follow = () => {
    const moved = document.getElementById(decodeURIComponent(location.hash.slice(1)));
    if (moved?.matches(".moved a")) location.replace(moved.href);
  };
  addEventListener("hashchange", follow);
  follow();
}</script>"""


def lead_on(folder: Path, chapters: Sequence[Chapter]) -> None:
    """Give each chapter's first page a link to every place of its continuations.

    Args:
        folder: with the rendered pages.
        chapters: in the order of the book.
    """
    pages = {chapter.name: (folder / f"{chapter.name}.html").read_text(encoding="utf-8") for chapter in chapters}
    titles = {chapter.name: chapter.title for chapter in chapters}
    for first in titles:
        later = {name: pages[name] for name in titles if is_continuation(name, first)}
        if later:
            page = with_moved_places(pages[first], later, titles)
            (folder / f"{first}.html").write_text(page, encoding="utf-8")


def is_continuation(name: str, first: str) -> bool:
    """Whether a chapter continues another, which has the same number and no letter behind it."""
    number = first.partition("_")[0]
    return number.isdigit() and name != first and name.startswith(number)


def with_moved_places(page: str, later: Mapping[str, str], titles: Mapping[str, str]) -> str:
    """Add links to the places of other pages to the end of a page, seen only by those who come for one of them.

    Args:
        page: HTML of the first page of a chapter.
        later: HTML of its continuations, by their name.
        titles: of all chapters, by their name.
    """
    taken = set(re.findall(r' id="([^"]+)"', page))
    links = []
    for name, text in later.items():
        for place in PLACE.findall(text):
            if place not in taken:
                taken.add(place)
                where = f'id="{place}" href="{name}.html#{place}"'
                links.append(f"<a {where}>This place is now in the chapter “{escape(titles[name])}”.</a>")
    start, end, rest = page.rpartition(END_OF_ARTICLE)
    return f'{start}<p class="moved">{"".join(links)}</p>{FOLLOW}{end}{rest}'
