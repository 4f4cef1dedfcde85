"""The built book from the disk, with the network cut off: explorer, sound, formulas, quizzes, search, inference."""

import numpy as np
import pytest
import soundfile

from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.detector.model import LAYERS

pytestmark = pytest.mark.book

PATIENCE = 120_000  # milliseconds, for the networks on a busy machine


@pytest.fixture
def offline(html, new_page):
    """A page of a browser that is offline; `offline(name)` opens a page of the book from the disk.

    `navigator.onLine` tells only in some versions of Chromium. That nothing answers is shown by the first test below.
    """
    page = new_page()
    page.context.set_offline(True)

    def open_one(name: str):
        page.goto(f"{html.as_uri()}/{name}")
        return page

    return open_one


def test_offline_means_that_nothing_outside_answers(offline, serve, tmp_path, watch):
    (tmp_path / "there.txt").write_text("there")
    address = serve(tmp_path)
    page = offline("book/intro.html")
    fetched = """address => fetch(address, {mode: "no-cors"}).then(() => "answer", () => "nothing")"""
    assert page.evaluate(fetched, f"{address}/there.txt") == "nothing"
    watch.faults.clear()  # the browser tells of it
    page.context.set_offline(False)
    assert page.evaluate(fetched, f"{address}/there.txt") == "answer"
    watch.faults.clear()


def test_the_explorer_shows_and_sounds(offline):
    page = offline("notebooks/05_qualitative_analysis.html#excerpt=2&layer=fc8")
    explorer = page.locator("svdlib-explorer").first
    tabs = explorer.get_by_role("tab")
    tabs.last.wait_for()
    assert explorer.get_by_role("tab", selected=True).all_inner_texts()[-1].startswith("FC8")
    explorer.get_by_role("tab", selected=True).last.press("ArrowLeft")
    assert explorer.get_by_role("tab", selected=True).all_inner_texts()[-1].startswith("FC7")
    explorer.get_by_role("button", name="Play").click()
    page.wait_for_function("each => each.player.position > 0.05", arg=explorer.element_handle())


def test_players_sound(offline):
    page = offline("notebooks/00_songs.html")
    player = page.locator("audio").first
    player.scroll_into_view_if_needed()
    played = player.evaluate("""async player => {
        await player.play();
        while (player.currentTime < 0.05) await new Promise(requestAnimationFrame);
        player.pause();
        return [player.duration, player.error];
    }""")
    assert played[0] > 0.5 and played[1] is None


def test_formulas_are_drawn(offline):
    page = offline("notebooks/04_quantitative_nre.html")
    page.locator("mjx-container svg:visible").first.wait_for()
    written = page.locator(".math").count()
    page.wait_for_function("n => document.querySelectorAll('mjx-container svg').length >= n", arg=written)
    assert written > 10 and page.locator("mjx-merror").count() == 0
    assert page.locator("mjx-container[tabindex='0']").count() == 0, "formulas are no stops of the Tab key"


def test_quizzes_answer(offline):
    page = offline("notebooks/04_quantitative_nre.html")
    question = page.locator(".svdlib-quiz fieldset").first
    assert question.locator(".svdlib-comment:visible > span:visible").count() == 0
    right = question.locator(".svdlib-right")
    right.locator("input").check()
    assert right.locator(".svdlib-comment > span").inner_text().startswith("Right.")
    question.locator(".svdlib-choice:not(.svdlib-right) label").first.click()
    shown = question.locator(".svdlib-comment > span:visible")
    assert shown.count() == 1 and shown.inner_text().startswith("No.")


def test_search_finds(offline):
    page = offline("search.html?q=griffin")
    page.locator("#search-results li").first.wait_for()
    assert "Listening to layers" in page.inner_text("#search-results")


def test_one_click_on_the_example_brings_eight_inversions_on_the_screen(offline):
    page = offline("book/live.html")
    page.get_by_role("button", name="Try an example").click()
    panels = page.locator(".live-inversions > .live-panels > .live-panel")
    panels.nth(len(LAYERS)).wait_for(timeout=PATIENCE)
    page.locator(".live-busy").wait_for(state="hidden")
    for panel in panels.all():
        box = panel.bounding_box()
        assert 0 <= box["y"] and box["y"] + box["height"] <= 900
    assert page.locator(".live-status").inner_text().startswith("The example: inverted at its surest moment")


def test_a_dropped_sound_is_heard_and_inverted(offline, melody, tmp_path):
    soundfile.write(tmp_path / "song.wav", melody, SAMPLE_RATE)
    page = offline("book/live.html")
    held = page.evaluate_handle(
        """bytes => {
            const held = new DataTransfer();
            held.items.add(new File([new Uint8Array(bytes)], "song.wav", {type: "audio/wav"}));
            return held;
        }""",
        list((tmp_path / "song.wav").read_bytes()),
    )
    page.dispatch_event(".live-drop", "drop", {"dataTransfer": held})
    page.locator(".live-curve").wait_for(timeout=PATIENCE)
    page.locator(".live-panel").nth(len(LAYERS)).wait_for(timeout=PATIENCE)
    sound = page.locator(".live-song").evaluate("song => Array.from(song.probabilities)")
    assert len(sound) > 100 and 0 <= np.min(sound) <= np.max(sound) <= 1
    page.get_by_role("button", name="Listen, FC8", exact=True).click()
    page.locator("[data-state=playing]").wait_for(timeout=PATIENCE)
