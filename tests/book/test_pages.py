"""Every page of the built book, in a browser: no error, no failed request, none that leaves, and little to load."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import pytest
from every_page import PAGES, pages

from sizes import heights_in

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.book

FIRST_VIEW = 1_500_000
EXPLORER = 6_000_000
COMPRESSED = {".html", ".js", ".css", ".svg", ".json"}

# Tables and formulas that go on to the right, and no key leads there.
NO_STOP = """() => [...document.querySelectorAll(".bd-article :is(table, mjx-container)")].filter((element) =>
    element.checkVisibility() && getComputedStyle(element).overflowX === "auto" &&
    element.scrollWidth > element.clientWidth && element.tabIndex < 0)"""

# Parts of a page that hang over one of its edges, where no scrolling brings them into view.
OUT_OF_REACH = """() => {
    const reaches = (element, edge) => {
        for (let outer = element.parentElement; outer; outer = outer.parentElement) {
            if (!["auto", "scroll"].includes(getComputedStyle(outer).overflowX)) continue;
            const start = outer.getBoundingClientRect().left + outer.clientLeft - outer.scrollLeft;
            return edge >= start - 1 && edge <= start + outer.scrollWidth + 1;
        }
        return edge >= -1 && edge <= innerWidth + 1;
    };
    const parts = ":is(p, li, table, pre, figure, img, svg, audio, mjx-container)";
    return [...document.querySelectorAll(`article.bd-article ${parts}`)]
        .filter((element) => element.checkVisibility() && element.getBoundingClientRect().width > 0)
        .filter((element) => {
            const { left, right } = element.getBoundingClientRect();
            return !(reaches(element, left) && reaches(element, right));
        })
        .map((element) => element.outerHTML.slice(0, 120));
}"""


def weight(path: Path) -> int:
    """Bytes of a file on its way to a reader: servers compress text."""
    content = path.read_bytes()
    return len(gzip.compress(content)) if path.suffix in COMPRESSED else len(content)


def file_of(address: str) -> Path:
    return Path(unquote(urlsplit(address).path))


@pytest.fixture(scope="session")
def pictures(tmp_path_factory) -> Path:
    """Where screenshots of all pages lie after a run: the first screen, wide and narrow, light and dark."""
    return tmp_path_factory.mktemp("pages")


def go_through(page: "Page") -> None:
    """Scroll from top to bottom, so that what loads when it is near comes too."""
    page.evaluate("""async () => {
        for (let y = 0; y < document.body.scrollHeight; y += 1500) {
            scrollTo(0, y);
            await new Promise(requestAnimationFrame);
        }
        scrollTo(0, 0);
    }""")
    page.wait_for_load_state("networkidle")


@pages
def test_a_page_over_http_has_no_fault(html, serve, page, name):
    page.goto(f"{serve(html)}/{name}")
    go_through(page)
    assert page.title()


@pages
def test_a_page_from_the_disk_is_light_accessible_and_fits_a_phone(html, page, watch, axe, pictures, name):
    page.goto(f"{html.as_uri()}/{name}")
    page.wait_for_load_state("networkidle")
    files = {file_of(address) for address in watch.requested if address.startswith("file:")}
    weights = {path.relative_to(html).as_posix(): weight(path) for path in files}
    assert sum(weights.values()) < FIRST_VIEW, sorted(weights.items(), key=lambda item: -item[1])[:8]
    go_through(page)
    for theme in ("light", "dark"):
        page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
        # Colours that are still on their way from one theme to the other are nobody's.
        page.evaluate("() => Promise.all(document.getAnimations().map(each => each.finished.catch(() => null)))")
        assert axe(page) == []
        for width in (1280, 390):
            page.set_viewport_size({"width": width, "height": 900})
            page.screenshot(path=pictures / f"{Path(name).stem}-{width}-{theme}.png")
            assert page.evaluate("document.documentElement.scrollWidth") <= width
            assert page.evaluate(OUT_OF_REACH) == []
            page.wait_for_function(f"!({NO_STOP})().length")
        page.set_viewport_size({"width": 1280, "height": 900})


def test_the_focus_is_seen_wherever_the_tab_key_leads(html, page):
    page.goto(f"{html.as_uri()}/notebooks/02_inverter_design.html")
    program = """() => {
        const element = document.activeElement;
        // The theme draws the ring of a section's arrow around the arrow, which is a part of what has the focus.
        const ring = [element, ...element.children].some((each) => {
            const style = getComputedStyle(each);
            return style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
        });
        return [element.outerHTML.slice(0, 120), ring || getComputedStyle(element).boxShadow !== "none"];
    }"""
    stops = []
    for _ in range(40):
        page.keyboard.press("Tab")
        stops.append(page.evaluate(program))
    assert [where for where, seen in stops if not seen] == []
    assert len({where for where, _ in stops}) > 30


def test_explorers_of_the_book_work_from_the_disk_and_are_light(html, page, watch):
    found = [name for name in PAGES if "<svdlib-explorer" in (html / name).read_text(encoding="utf-8")]
    assert found
    for name in found:
        watch.requested.clear()
        page.goto(f"{html.as_uri()}/{name}")
        explorers = page.locator("svdlib-explorer")
        for explorer in explorers.all():
            explorer.scroll_into_view_if_needed()
            explorer.get_by_role("tab").last.click()
            explorer.get_by_role("button", name="Play").click()
            page.wait_for_function("each => each.player.position > 0.05", arg=explorer.element_handle())
            explorer.get_by_role("button", name="Pause").click()
        data = {
            file_of(address) for address in watch.requested if "/_static/media/" in address and address.endswith(".js")
        }
        assert len(data) == explorers.count() and sum(path.stat().st_size for path in data) < EXPLORER


def test_an_address_from_before_a_chapter_was_split_leads_to_where_its_place_stands_now(html, browser):
    # Nobody watches this page: what it was loading is given up when it leads on.
    context = browser.new_context()
    page = context.new_page()
    for first, place, now in (
        ("05_qualitative_analysis", "figure-kept-structure", "05b_kept_structure"),
        ("04_quantitative_nre", "claim-order", "04b_comparing_layers"),
    ):
        page.goto(f"{html.as_uri()}/notebooks/{first}.html#{place}")
        page.wait_for_url(f"**/{now}.html#{place}")
        assert page.locator(f"#{place}").first.is_visible() or place.startswith("claim")
    context.close()


def test_a_chapter_without_its_exercises_is_at_most_15000_pixels_high(html, browser):
    heights = heights_in(browser, sorted(html.glob("notebooks/*.html")))
    assert len(heights) > 10 and max(before for before, _ in heights) <= 15_000
