"""The explorer, driven by mouse, keyboard, touch and address, on a page of its own."""

import re
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, N_BANDS, SAMPLE_RATE
from svdlib.lab.figures.gallery import Panel
from svdlib.pages.explorer import Comparison, Measures, front_end, layer_explorer, move_data_out

pytestmark = pytest.mark.book

STEPS = ["original", "Conv1", "MP6", "FC8"]
ERRORS = [0.0, 0.1, 0.4, 0.65]
KEPT = [1.0, 0.97, 0.5625, 0.41]
HEAD = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Explorer</title><style>body { margin: 1rem; font-family: sans-serif }
@media (prefers-color-scheme: dark) { body { background: #121212; color: #eee } }
html[data-theme=dark] body { background: #121212; color: #eee }
html[data-theme=light] body { background: white; color: black }
</style><main><h1>A page</h1>"""


def panel(title: str, number: int, standardised: bool) -> Panel:
    """A panel with a picture and a tone of its own."""
    rng = np.random.default_rng(number)
    log_mel = torch.from_numpy(rng.normal(-3, 1, (EXCERPT_FRAMES, N_BANDS)))
    tone = np.sin(2 * np.pi * 220 * (number + 1) * np.arange(EXCERPT_SAMPLES) / SAMPLE_RATE)
    return Panel(title, log_mel, log_mel + 3 if standardised else None, samples=tone)


@pytest.fixture(scope="session")
def body() -> str:
    """Two explorers: of inversions with all measurements, and of changes without."""
    names = ["A: vocal", "B: non-vocal", "C: vocal"]
    measures = [
        [Measures(0.9 - 0.2 * step - 0.1 * row, ERRORS[step], 1 - ERRORS[step], 0.5) for step in range(4)]
        for row in range(3)
    ]
    excerpts = {
        name: [panel(f"{name}, {step}", 4 * row + column, True) for column, step in enumerate(STEPS)]
        for row, name in enumerate(names)
    }
    first = layer_explorer(
        excerpts, STEPS, comparison=Comparison(measures, [0.0, 0.15, 0.45, 0.6], 0.71, 32, kept=KEPT)
    )
    second = layer_explorer({"louder": [panel("softly", 1, False), panel("loudly", 2, False)]}, ["soft", "loud"])
    return first._repr_html_() + '<h2 id="below">Below</h2>' + second._repr_html_()


@pytest.fixture
def folder(tmp_path, body) -> Path:
    """A folder with the page as notebooks hold it, `page.html`, and as the book holds it, `light.html`."""
    page = f"{HEAD}{body}</main></html>"
    (tmp_path / "page.html").write_text(page, encoding="utf-8")
    far = page.replace("<svdlib-explorer>", '<div style="height: 5000px"></div><svdlib-explorer>', 1)
    light, scripts = move_data_out(far, "data")
    (tmp_path / "light.html").write_text(light, encoding="utf-8")
    (tmp_path / "data").mkdir()
    for name, text in scripts.items():
        (tmp_path / "data" / name).write_text(text, encoding="utf-8")
    return tmp_path


@pytest.fixture
def show(folder, serve):
    """Open the page, over http: `explorer = show(page, "#excerpt=2")`; the first explorer is returned."""

    def show(page, part="", index=0):
        page.goto(f"{serve(folder)}/page.html{part}")
        explorer = page.locator("svdlib-explorer").nth(index)
        explorer.get_by_role("tablist").wait_for()
        return explorer

    return show


def chosen(explorer) -> tuple[str, str]:
    """The excerpt and the step that an explorer shows."""
    menu = explorer.get_by_role("combobox")
    return (
        menu.evaluate("menu => menu.selectedOptions[0].textContent"),
        explorer.get_by_role("tab", selected=True).inner_text(),
    )


def radio(explorer, name):
    return explorer.get_by_role("radio", name=name, exact=True)


def position(explorer) -> float:
    return explorer.evaluate("explorer => explorer.player.position")


def playing(explorer) -> bool:
    return explorer.evaluate("explorer => explorer.player.playing && Boolean(explorer.player.source)")


def start(page, explorer) -> None:
    """Press Play and wait until something sounds."""
    explorer.get_by_role("button", name="Play").click()
    page.wait_for_function(
        "explorer => explorer.player.source && explorer.player.position > 0.05", arg=explorer.element_handle()
    )


def test_it_opens_from_http_and_from_the_disk_and_loads_its_data_when_it_is_near(folder, address_of, page, watch):
    page.goto(f"{address_of(folder)}/light.html")
    explorer = page.locator("svdlib-explorer").first
    page.wait_for_timeout(300)
    assert not [address for address in watch.requested if "/data/" in address]
    explorer.scroll_into_view_if_needed()
    explorer.get_by_role("tab", name="FC8").wait_for()
    assert chosen(explorer) == ("A: vocal", "FC8")
    assert explorer.get_by_role("img").last.evaluate("image => image.complete && image.naturalWidth") == EXCERPT_FRAMES
    start(page, explorer)


def test_on_a_narrower_paper_the_whole_curve_is_there(show, page):
    """A printer takes what was drawn for the screen, and draws nothing anew; so nothing may wait for that here."""
    curve = show(page).locator(".curve svg")
    beyond = curve.evaluate("""svg => {
        svg.parentElement.style.width = `${svg.clientWidth / 2}px`;
        const right = Math.max(...[...svg.children].map((each) => each.getBoundingClientRect().right));
        return right - svg.getBoundingClientRect().right;
    }""")
    assert beyond <= 1


def test_an_address_brings_the_data_and_the_reader_there(folder, address_of, page):
    page.goto(f"{address_of(folder)}/light.html#excerpt=3&layer=mp6")
    explorer = page.locator("svdlib-explorer").first
    explorer.get_by_role("tab", name="FC8").wait_for()
    assert chosen(explorer) == ("C: vocal", "MP6")
    assert abs(explorer.bounding_box()["y"]) < 200


def test_with_the_mouse(show, page):
    explorer = show(page)
    explorer.get_by_role("combobox").select_option("B: non-vocal")
    explorer.get_by_role("tab", name="MP6").click()
    assert chosen(explorer) == ("B: non-vocal", "MP6")
    assert explorer.get_by_text("Inversion from MP6").is_visible()
    pictures = explorer.get_by_role("img")
    assert [picture.get_attribute("alt").split(":")[1].strip() for picture in pictures.all()] == [
        "non-vocal, original, as a spectrogram", "non-vocal, MP6, as a spectrogram",
    ]  # fmt: skip
    answers = explorer.locator(".answers strong").all_inner_texts()
    assert answers == ["0.80", "0.40"]
    assert explorer.locator(".answers p").inner_text() == (
        f"Of 32 inversions from {STEPS[2]}, 56\u00a0% get their original's answer."
    )
    assert "its onsets match by 0.60" in explorer.locator(".words").inner_text()
    curve = explorer.locator(".curve svg")
    box = curve.bounding_box()
    curve.click(position={"x": box["width"] - 20, "y": 50})
    assert chosen(explorer)[1] == "FC8"
    curve.click(position={"x": 50, "y": 150})
    assert chosen(explorer)[1] == "original" and not explorer.locator(".answers strong").nth(1).is_visible()
    assert not explorer.locator(".answers p").is_visible()
    # A click on the picture goes to that time.
    plot = explorer.locator(".plot:visible").last
    plot.click(position={"x": plot.bounding_box()["width"] / 2, "y": 20})
    assert position(explorer) == pytest.approx(EXCERPT_FRAMES / 70 / 2, abs=0.02)


def test_the_curtain_is_drawn_by_mouse_and_keyboard(show, page):
    explorer = show(page)
    radio(explorer, "curtain").check()
    curtain = explorer.get_by_role("slider", name="Curtain")
    plot = explorer.locator(".plot:visible")
    assert plot.count() == 1 and curtain.get_attribute("aria-valuenow") == "50"
    box = plot.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + box["width"] / 4, box["y"] + 30, steps=4)
    page.mouse.up()
    assert curtain.get_attribute("aria-valuenow") == "25"
    assert plot.locator("img").nth(1).evaluate("image => image.style.clipPath") == "inset(0px 75% 0px 0px)"
    for key, value in (("ArrowRight", "30"), ("PageDown", "10"), ("End", "100"), ("ArrowUp", "100"), ("Home", "0")):
        curtain.press(key)
        assert curtain.get_attribute("aria-valuenow") == value
    assert curtain.get_attribute("aria-valuetext") == "0 % original, 100 % inversion"
    explorer.get_by_role("tab", name="original").click()
    assert not curtain.is_visible()


def test_with_the_keyboard_alone(show, page):
    explorer = show(page)
    tab = explorer.get_by_role("tab", selected=True)
    for _ in range(12):
        page.keyboard.press("Tab")
        if tab.evaluate("tab => tab.matches(':focus')"):
            break
    outline = tab.evaluate(
        "tab => { const style = getComputedStyle(tab); return style.outlineStyle + style.outlineWidth }"
    )
    assert outline == "solid3px"
    for key, step in (("Home", "original"), ("ArrowRight", "Conv1"), ("ArrowDown", "MP6"), ("End", "FC8"),
                      ("ArrowRight", "original"), ("ArrowLeft", "FC8"), ("ArrowUp", "MP6")):  # fmt: skip
        page.keyboard.press(key)
        assert chosen(explorer)[1] == step
        assert explorer.get_by_role("tab", name=step).evaluate("tab => tab.matches(':focus')")
    page.keyboard.press("Tab")
    assert explorer.get_by_role("tabpanel", name="MP6").evaluate("panel => panel.matches(':focus')")
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    page.wait_for_function("() => document.querySelector('svdlib-explorer').player.source")
    page.keyboard.press("Space")
    assert not playing(explorer)
    curve = explorer.get_by_role("slider", name="reconstruction error")
    curve.focus()
    for key, step in (
        ("End", "FC8"),
        ("ArrowRight", "FC8"),
        ("ArrowLeft", "MP6"),
        ("ArrowUp", "FC8"),
        ("Home", "original"),
    ):
        page.keyboard.press(key)
        assert chosen(explorer)[1] == step
    page.keyboard.press("End")
    assert curve.get_attribute("aria-valuetext") == "FC8: NRE 0.60, this excerpt 0.65"
    assert curve.get_attribute("aria-valuenow") == "4"


def swipe(page, box, share_from, share_to) -> None:
    """Draw a finger across a box."""
    client = page.context.new_cdp_session(page)
    y = box["y"] + box["height"] / 2
    points = [box["x"] + box["width"] * share for share in np.linspace(share_from, share_to, 6)]
    client.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": points[0], "y": y}]})
    for x in points[1:]:
        client.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [{"x": x, "y": y}]})
    client.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})


def tap(button) -> None:
    """Tap, and once more if the first tap only stopped what a swipe had set going, as on any phone."""
    button.tap()
    if not button.is_checked():
        button.tap()


def test_with_a_finger_on_a_phone(show, new_page):
    page = new_page(has_touch=True, is_mobile=True, viewport={"width": 390, "height": 844})
    explorer = show(page)
    explorer.get_by_role("tab", name="MP6").tap()
    plot = explorer.locator(".plot:visible").last
    plot.scroll_into_view_if_needed()
    swipe(page, plot.bounding_box(), 0.9, 0.2)
    assert chosen(explorer)[1] == "FC8"
    swipe(page, plot.bounding_box(), 0.2, 0.9)
    swipe(page, plot.bounding_box(), 0.2, 0.9)
    assert chosen(explorer)[1] == "Conv1"
    tap(radio(explorer, "curtain"))
    explorer.get_by_role("slider", name="Curtain").wait_for()
    plot = explorer.locator(".plot:visible")
    plot.scroll_into_view_if_needed()
    swipe(page, plot.bounding_box(), 0.5, 0.8)
    assert explorer.get_by_role("slider", name="Curtain").get_attribute("aria-valuenow") == "80"
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    small = explorer.locator("button:visible, select:visible").evaluate_all(
        "all => all.filter(each => each.getBoundingClientRect().height < 40).map(each => each.textContent)"
    )
    assert not small


NAMES = {
    "the detector's": ["original", "Conv1", "Conv2", "MP3", "Conv4", "Conv5", "MP6", "FC7", "FC8"],
    "trainings": ["original", "Conv5", "FC7, input", "FC7, own", "FC8, input", "FC8, balanced", "FC8, own"],
    "of another network": ["original", "features.denseblock1.conv", "layer4.1.conv2", "head", "a" * 45, "b", "c"],
}


def test_a_long_name_of_an_excerpt_leaves_a_phone_its_margins(tmp_path, serve, new_page):
    excerpts = {"E: vocal, the one whose layers are farthest apart": [panel("one", 1, True)] * 2}
    layer_explorer(excerpts, ["original", "FC8"]).save(tmp_path / "names.html")
    page = new_page(is_mobile=True, viewport={"width": 390, "height": 844})
    page.goto(f"{serve(tmp_path)}/names.html")
    page.get_by_role("tab").first.wait_for()
    frame = page.locator(".frame").bounding_box()
    menu = page.get_by_role("combobox").bounding_box()
    assert frame["x"] + frame["width"] <= 390
    assert menu["x"] + menu["width"] <= frame["x"] + frame["width"] - 10


@pytest.mark.parametrize("names", NAMES.values(), ids=NAMES)
def test_names_of_steps_leave_each_other_room_on_a_phone(tmp_path, serve, new_page, names):
    errors = np.linspace(0, 0.65, len(names)).tolist()
    measures = [[Measures(0.5, error, 0.5, 0.5) for error in errors]]
    panels = {"A": [panel("one", 1, True)] * len(names)}
    explorer = layer_explorer(panels, names, comparison=Comparison(measures, errors, 0.71, 32))
    explorer.save(tmp_path / "names.html")
    page = new_page(is_mobile=True, viewport={"width": 390, "height": 844})
    page.goto(f"{serve(tmp_path)}/names.html")
    tabs = page.get_by_role("tab")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for index, name in enumerate(names):
        tabs.nth(index).click()
        places = page.locator(".curve svg").evaluate(
            """svg => [svg, ...svg.querySelectorAll(":scope > text")].map((each) => {
              const { left, right } = each.getBoundingClientRect();
              return [left, right, each.textContent, each.getAttribute("class")];
            })"""
        )
        (first, last, *_), *texts = places
        assert [text for *_, text, kind in texts if kind == "on"] == [name]
        assert all(left - one >= 4 for (_, one, *_), (left, *_) in pairwise(texts))
        if len(name) < 45:  # no screen of this width has room for the longest
            assert all(first <= left and right <= last for left, right, *_ in texts)


def test_the_playhead_keeps_its_place(show, page):
    explorer = show(page)
    start(page, explorer)
    # With the clock of the sound stopped, the place is the same to the digit, however busy the machine is.
    explorer.evaluate("explorer => explorer.player.constructor.context.suspend()")
    before = position(explorer)
    explorer.get_by_role("tab", name="Conv1").click()
    radio(explorer, "original").check()
    page.wait_for_function(
        "([explorer, original]) => explorer.player.source && explorer.player.source.buffer === original.decoded",
        arg=[explorer.element_handle(), explorer.evaluate_handle("explorer => explorer.original")],
    )
    assert playing(explorer) and position(explorer) == pytest.approx(before, abs=1e-6)
    explorer.get_by_label("Position in the sound").fill("1.2")
    assert playing(explorer) and position(explorer) == pytest.approx(1.2)
    explorer.get_by_role("button", name="Pause").click()
    held = position(explorer)
    assert held == pytest.approx(1.2)
    explorer.get_by_role("combobox").select_option("B: non-vocal")
    explorer.get_by_role("tab", name="MP6").click()
    assert position(explorer) == held > 0 and not playing(explorer)
    places = explorer.locator(".playhead").evaluate_all("all => all.map(each => parseFloat(each.style.left))")
    assert places == pytest.approx([100 * held / (EXCERPT_FRAMES / 70)] * len(places), abs=0.2)
    assert explorer.get_by_label("Position in the sound").get_attribute("aria-valuetext") == f"{held:.1f} of 1.6 s"


def test_it_is_the_chosen_sound_that_plays(show, page):
    explorer = show(page)
    pitches = []
    for step, original in (("FC8", False), ("Conv1", False), ("Conv1", True)):
        explorer.get_by_role("tab", name=step).click()
        radio(explorer, "original" if original else "inversion").check()
        start(page, explorer)
        samples = explorer.evaluate(
            "explorer => [...explorer.player.source.buffer.getChannelData(0).slice(4096, 20480)]"
        )
        rate = explorer.evaluate("explorer => explorer.player.source.buffer.sampleRate")
        pitches.append(np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples))
        explorer.get_by_role("button", name="Pause").click()
    # Panel n of the page sounds at 220 (n + 1) hertz.
    assert pitches == pytest.approx([880, 440, 220], abs=4)


def test_a_sound_ends_or_is_repeated(show, page):
    explorer = show(page)
    explorer.get_by_label("Position in the sound").fill("1.5")
    start(page, explorer)
    page.wait_for_function("() => { const { player } = document.querySelector('svdlib-explorer');"
                           " return player.playing && player.position < 1 }")  # fmt: skip
    explorer.get_by_label("repeat").uncheck()
    page.wait_for_function("() => !document.querySelector('svdlib-explorer').player.playing")
    assert position(explorer) == 0 and explorer.get_by_role("button", name="Play").is_visible()


def test_only_one_explorer_sounds_at_a_time(show, page):
    first = show(page)
    second = page.locator("svdlib-explorer").nth(1)
    start(page, first)
    start(page, second)
    assert not playing(first) and playing(second)


def test_address_back_and_forward(show, page):
    explorer = show(page, "#excerpt=2&layer=conv1")
    assert chosen(explorer) == ("B: non-vocal", "Conv1")
    explorer.get_by_role("tab", name="FC8").click()
    assert page.url.endswith("#excerpt=2&layer=fc8")
    page.wait_for_timeout(1100)
    explorer.get_by_role("combobox").select_option("C: vocal")
    assert page.url.endswith("#excerpt=3&layer=fc8")
    page.go_back()
    assert chosen(explorer) == ("B: non-vocal", "FC8")
    page.go_back()
    assert chosen(explorer) == ("B: non-vocal", "Conv1")
    page.go_forward()
    assert chosen(explorer) == ("B: non-vocal", "FC8")
    # What no explorer has is what it starts with, and a link to a heading changes nothing.
    page.evaluate("location.hash = '#excerpt=99&layer=nonsense'")
    page.wait_for_function("() => document.querySelector('svdlib-explorer').step === 3")
    assert chosen(explorer) == ("A: vocal", "FC8")
    explorer.get_by_role("tab", name="MP6").click()
    page.evaluate("location.hash = '#below'")
    assert chosen(explorer) == ("A: vocal", "MP6")


def test_two_explorers_share_the_address(show, page):
    first = show(page)
    second = page.locator("svdlib-explorer").nth(1)
    second.get_by_role("tab", name="loud").click()
    first.get_by_role("tab", name="Conv1").click()
    assert page.url.endswith("#excerpt2=1&layer2=loud&excerpt=1&layer=conv1")
    page.reload()
    second.get_by_role("tablist").wait_for()
    assert (chosen(first)[1], chosen(second)[1]) == ("Conv1", "loud")


def test_without_comparison_there_is_one_picture(show, page):
    explorer = show(page, index=1)
    assert explorer.get_by_role("img").count() == 1 and not explorer.locator(".answers").is_visible()
    assert explorer.get_by_role("radio").count() == 0 and explorer.locator(".curve").count() == 0


def test_the_page_s_theme_wins_over_the_system_s(show, new_page, tmp_path_factory):
    pictures = tmp_path_factory.mktemp("screenshots")
    for scheme in ("light", "dark"):
        page = new_page(color_scheme=scheme)
        explorer = show(page)
        colours = []
        assert explorer.get_attribute("data-theme") == scheme
        for theme in ("light", "dark"):
            page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
            page.wait_for_function(
                "theme => document.querySelector('svdlib-explorer').dataset.theme === theme", arg=theme
            )
            colours.append(explorer.evaluate("explorer => getComputedStyle(explorer).color"))
            explorer.screenshot(path=pictures / f"{scheme}-{theme}.png")
        assert sum(map(int, re.findall(r"\d+", colours[0]))) < 200 < 600 < sum(map(int, re.findall(r"\d+", colours[1])))


def test_less_motion_for_those_who_ask_for_it(show, new_page):
    durations = [
        show(new_page(reduced_motion=motion))
        .locator(".bar i")
        .first.evaluate("bar => getComputedStyle(bar).transitionDuration")
        for motion in ("no-preference", "reduce")
    ]
    assert durations == ["0.15s", "0s"]


def test_a_plain_figure_without_javascript(folder, address_of, new_page):
    for name in ("page.html", "light.html"):
        page = new_page(java_script_enabled=False)
        page.goto(f"{address_of(folder)}/{name}")
        image = page.locator("svdlib-explorer img").first
        image.scroll_into_view_if_needed()
        assert image.bounding_box()["width"] > 500
        assert "half of the magnitude lies below" in image.get_attribute("alt")
        assert page.get_by_text("plain form of an interactive figure").first.is_visible()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_serious_for_axe(show, new_page, axe, scheme):
    page = new_page(color_scheme=scheme)
    explorer = show(page)
    explorer.locator("summary").click()
    assert axe(page) == []
    radio(explorer, "curtain").check()
    assert axe(page) == []


def test_axe_sees_what_is_wrong(page, axe):
    page.set_content('<html lang="en"><title>A page</title><main><img src="data:,"><button></button></main>')
    assert {line.split(":")[0] for line in axe(page)} == {"image-alt", "button-name"}


KERNEL = """async source => {
  const { default: widget } = await import(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
  const listeners = {};
  const values = window.values;
  window.sent = [];
  const model = {
    get: name => values[name],
    on: (names, call) => names.split(" ").forEach(name => (listeners[name] = call)),
    off() {},
    send: (content, _, buffers) => window.sent.push([content, (buffers || []).map(each => each.byteLength)]),
  };
  window.change = (name, value) => { values[name] = value; listeners[`change:${name}`](); };
  widget.render({ model, el: document.querySelector("main") });
}"""


@pytest.fixture
def with_kernel(folder, address_of, page):
    """The explorer as anywidget shows it, with a model that writes down what the front end sends."""
    data = layer_explorer({"A": [panel("one", 1, False)]}, ["only"]).data
    (folder / "widget.html").write_text(f"{HEAD}</main></html>", encoding="utf-8")
    page.goto(f"{address_of(folder)}/widget.html")
    page.evaluate("data => { window.values = { data, message: '', wrong: false } }", data)
    page.evaluate(KERNEL, front_end() + front_end("explorer_widget.js"))
    return page.locator("svdlib-explorer")


def test_a_sound_goes_to_the_kernel_and_panels_come_back(with_kernel, page, axe):
    content = bytes(range(256)) * 6000
    with_kernel.get_by_label("Your own sound").set_input_files(
        {"name": "mine.mp3", "mimeType": "audio/mpeg", "buffer": content}
    )
    page.wait_for_function("() => window.sent.length === 2")
    sent = page.evaluate("window.sent")
    assert [message["name"] for message, _ in sent] == ["mine.mp3"] * 2
    assert [(message["part"], message["parts"]) for message, _ in sent] == [(0, 2), (1, 2)]
    assert sum(length for _, (length,) in sent) == len(content)
    assert with_kernel.get_by_role("status").inner_text() == "Sending mine.mp3 to the kernel …"
    other = layer_explorer({"around 3.0 s": [panel("two", 2, False)]}, ["only"]).data
    page.evaluate("data => { change('data', data); change('message', 'Shown: mine.mp3.') }", other)
    assert chosen(with_kernel) == ("around 3.0 s", "only")
    assert with_kernel.get_by_role("status").inner_text() == "Shown: mine.mp3."
    assert axe(page) == []


def test_a_moment_goes_to_the_kernel_and_an_error_comes_back_as_a_sentence(with_kernel, page):
    with_kernel.get_by_label("Excerpt around second").fill("99.5")
    with_kernel.get_by_role("button", name="Invert").click()
    assert page.evaluate("window.sent") == [[{"kind": "at", "seconds": 99.5}, []]]
    page.evaluate("() => { change('wrong', true); change('message', 'no excerpt has its centre at 99.5 s') }")
    status = with_kernel.get_by_role("status")
    assert status.inner_text() == "no excerpt has its centre at 99.5 s" and "error" in status.get_attribute("class")
    assert "#" not in page.url
