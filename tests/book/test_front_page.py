"""The first page of the built book: explorer and sound within the first screen, without a network or scripts."""

import re
import zipfile

import pytest

from svdlib.lab.figures.style import PHONE_COLUMN

pytestmark = pytest.mark.book

FIRST = "book/intro.html"
MOST_WORDS = 400


@pytest.fixture
def first_page(html, new_page):
    """Open the first page from the disk, in a browser that is offline: `first_page(width=390)`."""

    def open_one(width=1280, **options):
        page = new_page(viewport={"width": width, "height": 844}, **options)
        page.context.set_offline(True)
        page.goto(f"{html.as_uri()}/{FIRST}")
        return page

    return open_one


@pytest.mark.parametrize("width", [1280, 390])
def test_explorer_and_sound_are_within_the_first_screen_and_one_click_away(first_page, width):
    page = first_page(width)
    explorer = page.locator("svdlib-explorer")
    play = explorer.get_by_role("button", name="Play")
    play.wait_for()
    shown = [play, *explorer.get_by_role("tab").all(), *explorer.get_by_role("img").all()]
    assert len(shown) >= 12
    for part in shown:
        box = part.bounding_box()
        assert box["y"] >= 0 and box["y"] + box["height"] <= 844, part
    play.click()
    page.wait_for_function("each => each.player.position > 0.05", arg=explorer.element_handle())


def test_it_is_short_and_leads_three_ways_on(first_page):
    page = first_page()
    page.locator("svdlib-explorer").get_by_role("tablist").wait_for()
    article = page.locator("article.bd-article")
    words = article.inner_text() + page.locator("svdlib-explorer").evaluate(
        "each => each.shadowRoot.querySelector('section').innerText"
    )
    assert 100 < len(words.split()) < MOST_WORDS
    for text in ("Guess by ear", "Take a song, the microphone or our example", "What this book does"):
        link = article.get_by_role("link", name=text)
        assert (page.evaluate("link => link.href", link.element_handle())).startswith("file:")


def test_without_scripts_there_are_pictures_and_sounds(first_page, watch):
    page = first_page(java_script_enabled=False)
    for name in ("original", "Conv5", "FC8"):
        figure = page.locator(".front-still figure", has=page.get_by_text(name, exact=True))
        assert figure.locator("img").bounding_box()["y"] < 844
        assert figure.locator("audio").count() == 1
    # Scripts that the page asked for, and that the browser was told not to run.
    watch.faults[:] = [fault for fault in watch.faults if not fault.endswith("(csp)")]


def test_hidden_pictures_leave_the_sound(first_page):
    page = first_page()
    explorer = page.locator("svdlib-explorer")
    explorer.get_by_label("hide the pictures").check()
    assert explorer.get_by_role("img").count() == 0
    assert not explorer.locator(".words").is_visible() and not explorer.locator(".answers").is_visible()
    explorer.get_by_role("tab", name="Conv1").click()
    assert explorer.get_by_role("img").count() == 0
    explorer.get_by_role("button", name="Play").click()
    explorer.get_by_label("hide the pictures").uncheck()
    assert explorer.get_by_role("img").count() == 2


def test_links_to_the_book_say_what_it_is(html):
    for name in (FIRST, "index.html"):
        page = (html / name).read_text(encoding="utf-8")
        for what in ("description", "og:title", "og:description", "og:image"):
            assert re.search(rf'<meta [^>]*"{what}"', page), (name, what)
        picture = re.search(r'content="([^"]*share[.]png)"', page)[1]
        assert ((html / name).parent / picture).resolve().is_file()
    assert re.search(r'<link rel="icon" href="[^"]*favicon[.]svg"', (html / FIRST).read_text(encoding="utf-8"))


def test_the_zip_is_the_book(html, new_page, tmp_path):
    with zipfile.ZipFile(html / "svdlib-book.zip") as packed:
        packed.extractall(tmp_path)
    there = tmp_path / "svdlib-book"
    files = {path.relative_to(html) for path in html.rglob("*") if path.is_file() and path.suffix != ".zip"}
    assert files == {path.relative_to(there) for path in there.rglob("*") if path.is_file()}
    page = new_page()
    page.goto(f"{there.as_uri()}/{FIRST}")
    page.locator("svdlib-explorer").get_by_role("tablist").wait_for()
    assert page.get_by_text("as one zip").count() == 0


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_figure_opens_large_in_front_of_its_page(html, new_page, axe, scheme):
    page = new_page(viewport={"width": 390, "height": 844}, color_scheme=scheme)
    page.goto(f"{html.as_uri()}/notebooks/04_quantitative_nre.html")
    link = page.locator("a.figure-large").first
    link.scroll_into_view_if_needed()
    link.focus()
    page.keyboard.press("Enter")
    dialog = page.locator("dialog.figure-overlay")
    image = dialog.get_by_role("img")
    page.wait_for_function("image => image.naturalWidth > 0", arg=image.element_handle())
    assert image.bounding_box()["width"] >= 370
    # A narrow page shows the drawing that was made for it, and opens that one.
    assert link.locator("img").evaluate("image => image.currentSrc").endswith("-phone.png")
    space = "image => image.clientWidth - 2 * parseFloat(getComputedStyle(image).paddingLeft)"
    assert link.locator("img").evaluate(space) >= PHONE_COLUMN - 1
    assert image.evaluate("image => image.currentSrc").endswith("-phone.png")
    shade = dialog.evaluate("dialog => getComputedStyle(dialog).backgroundColor")
    assert (sum(map(int, re.findall(r"\d+", shade)[:3])) < 150) == (scheme == "dark")
    touch = dialog.locator(".figure-scroll").evaluate("each => getComputedStyle(each).touchAction")
    assert touch == "manipulation", "pans and pinches"
    assert "user-scalable" not in page.locator("meta[name=viewport]").first.get_attribute("content")
    assert axe(page) == []
    width = image.bounding_box()["width"]
    page.keyboard.press("+")
    assert image.bounding_box()["width"] > 1.3 * width
    page.keyboard.press("Escape")
    dialog.wait_for(state="detached")
    assert link.evaluate("link => link === document.activeElement")
    assert page.url.endswith("04_quantitative_nre.html")


def test_every_player_says_how_long_it_is(html):
    for path in html.rglob("*.html"):
        page = path.read_text(encoding="utf-8")
        assert page.count("<audio ") == page.count('<span class="svdlib-length">'), path.name
