"""Every page of the built book by the Tab key alone: each stop is seen and has a name, and none is a trap."""

from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from every_page import NAMES

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = pytest.mark.book

ONE_OF_A_KIND = (
    "book/api/audio.html",
    "book/intro.html",
    "book/live.html",
    "book/teach.html",
    "index.html",
    "notebooks/05_qualitative_analysis.html",
    "search.html",
)
"""A page of each kind is tried whenever the book is; all of them, half a minute a chapter, only when asked for."""

MOST_STOPS = 2000
# A browser's own player is one element with several stops, whose rings it draws inside.
MOST_PARTS = 6
# What has the focus, be it inside of a component; nothing, if the Tab key has left the page.
FOCUSED = """(() => {
    let element = document.activeElement;
    while (element?.shadowRoot?.activeElement) element = element.shadowRoot.activeElement;
    return element === document.body ? null : element;
})()"""
LOOK = """async function () {
    // What is on its way in or out is nowhere yet.
    const moving = document.getAnimations().filter((each) => each.effect.getComputedTiming().endTime < 2000);
    await Promise.all(moving.map((each) => each.finished.catch(() => null)));
    // A field for files is as small as a point, and its label stands for it.
    const element = this.type === "file" && this.labels.length ? this.labels[0] : this;
    const ring = (each) => {
        const style = getComputedStyle(each);
        return (style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0) || style.boxShadow !== "none";
    };
    const faults = [];
    // The arrow of a section in the sidebar is drawn apart from what has the focus, and the ring with it.
    const flat = element.getBoundingClientRect().height === 0;
    if (![element, ...element.children].some(ring)) faults.push("no ring");
    if (!element.checkVisibility({ opacityProperty: true, visibilityProperty: true })) faults.push("invisible");
    const lines = [...(flat ? element.firstElementChild : element).getClientRects()];
    const box = lines.find(({ width, top, bottom }) => width && bottom > 0 && top < innerHeight);
    if (!box || box.right <= 0 || box.left >= innerWidth) faults.push("off the screen");
    else {
        const between = (start, end, most) => Math.max(0, start) + (Math.min(most, end) - Math.max(0, start)) / 2;
        const x = between(box.left, box.right, innerWidth), y = between(box.top, box.bottom, innerHeight);
        const hit = element.getRootNode().elementFromPoint(x, y);
        const labels = hit?.closest("label")?.control === element;
        const seen = hit && (labels || element.contains(hit) || hit.contains(element));
        if (!seen) faults.push(`under ${hit?.outerHTML.slice(0, 60)}`);
    }
    window.stops = window.stops ?? [];
    if (!window.stops.includes(this)) window.stops.push(this);
    const scrolls = getComputedStyle(this).overflowX === "auto" && !this.matches("a, button, input, select, summary");
    const html = this.outerHTML.slice(0, 120);
    return { number: window.stops.indexOf(this), faults, scrolls, html, tag: this.tagName };
}"""


def stops_of(page: "Page") -> list[dict]:
    """Press the Tab key until it leaves the page or comes back to its first stop; what each stop is, and its faults."""
    browser = page.context.new_cdp_session(page)
    stops: list[dict] = []
    while len(stops) < MOST_STOPS:
        page.keyboard.press("Tab")
        focused = browser.send("Runtime.evaluate", {"expression": FOCUSED})["result"]
        if "objectId" not in focused:
            return stops
        which = {"objectId": focused["objectId"]}
        call = {"functionDeclaration": LOOK, "returnByValue": True, "awaitPromise": True}
        stop = browser.send("Runtime.callFunctionOn", {**which, **call})["result"]["value"]
        if stops and stop["number"] < stops[-1]["number"]:
            stops.append(stop)
            return stops
        node = browser.send("Accessibility.getPartialAXTree", {**which, "fetchRelatives": False})["nodes"][0]
        # A table or a formula that scrolls says what is in it.
        if not (node.get("name", {}).get("value", "").strip() or stop["scrolls"]):
            stop["faults"].append(f"a {node['role']['value']} without a name")
        stops.append(stop)
    return stops


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if name in ONE_OF_A_KIND else pytest.mark.slow) for name in NAMES]
)
@pytest.mark.parametrize("width", [1280, 390])
def test_the_tab_key_leads_through_a_page_and_out_of_it(html, new_page, name, width):
    page = new_page(viewport={"width": width, "height": 844}, color_scheme="dark" if width == 390 else "light")
    page.goto(f"{html.as_uri()}/{name}")
    page.wait_for_load_state("networkidle")
    page.evaluate("document.querySelectorAll('article details').forEach((each) => (each.open = true))")
    # The index of names is thousands of links made alike: those of its first letter stand for all.
    page.evaluate("document.querySelectorAll('.indextable').forEach((each, place) => place && each.remove())")
    stops = stops_of(page)
    assert 5 < len(stops) < MOST_STOPS, "the page lets nobody out"
    assert stops[-1]["number"] in (0, max(stop["number"] for stop in stops)), f"back to {stops[-1]['html']}"
    again = 0
    for before, stop in pairwise(stops):
        again = again + 1 if stop["number"] == before["number"] else 0
        assert again < MOST_PARTS, f"a trap: {stop['html']}"
        if again and stop["tag"] == "AUDIO":
            stop["faults"].clear()
    found = [f"{', '.join(stop['faults'])}: {stop['html']}" for stop in stops if stop["faults"]]
    assert found == []
