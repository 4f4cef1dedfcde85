"""Links inside the built book lead somewhere, and addresses that were promised to stay are there."""

import re
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urldefrag, urlsplit

import pytest

pytestmark = pytest.mark.book

HTML = Path(__file__).resolve().parents[2] / "_build" / "html"
PROMISED = Path(__file__).with_name("addresses.txt")
STATE_OF_THE_EXPLORER = re.compile(r"(excerpt=\d+&)?layer=\w+")


class Page(HTMLParser):
    """The places of a page where links can lead, those that only lead on to another page, and its links."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.places: set[str] = set()
        self.moved: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        values = dict(attrs)
        self.places |= {values[name] for name in ("id", "name") if values.get(name)}
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
            if values.get("id") and values["href"].endswith(f".html#{values['id']}"):
                self.moved.add(values["id"])


@pytest.fixture(scope="module")
def pages(html: Path) -> dict[Path, Page]:
    return {path: Page(path) for path in html.rglob("*.html") if "_static" not in path.parts}


def fault(link: str, start: Path, pages: dict[Path, Page]) -> str:
    """What is wrong with a link, if anything is."""
    parts = urlsplit(link)
    if parts.scheme or parts.netloc:
        return ""
    address, place = urldefrag(link)
    path = (start.parent / unquote(urlsplit(address).path)).resolve() if address else start
    if not path.exists():
        return f"{start.relative_to(HTML)}: {link}: there is no such file"
    known = place in ("", "top") or path not in pages or place in pages[path].places
    if known or unquote(place) in pages[path].places or STATE_OF_THE_EXPLORER.fullmatch(place):
        return ""
    return f"{start.relative_to(HTML)}: {link}: the page has no such place"


def test_every_link_inside_the_book_leads_somewhere(pages):
    links = [(link, path) for path, page in pages.items() for link in page.links]
    assert len(links) > 1000
    assert [found for link, path in links if (found := fault(link, path, pages))] == []


def test_a_broken_link_is_seen(pages):
    start = HTML / "index.html"
    assert "no such file" in fault("nowhere.html", start, pages)
    assert "no such place" in fault("book/intro.html#nowhere", start, pages)


def test_promised_addresses_are_there_and_every_exercise_and_figure_is_promised(pages):
    promised = PROMISED.read_text(encoding="utf-8").split()
    assert [found for link in promised if (found := fault(link, HTML / "index.html", pages))] == []
    given = {
        f"{path.relative_to(HTML).as_posix()}#{place}"
        for path, page in pages.items()
        for place in page.places - page.moved
        if re.match(r"(exercise|figure)-[a-z]", place) and path.parent.name == "notebooks"
    }
    assert given and given <= set(promised), "add them to addresses.txt, and keep them from then on"
