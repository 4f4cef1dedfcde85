"""The page "Your own sound" in a real browser: files, microphone, errors, and parity with PyTorch."""

import json
import re
import shutil
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
import yaml

from svdlib.audio.files import load_audio, save_audio
from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.detector.scores import smooth
from svdlib.zoo.checkpoints import pretrained, pretrained_inverters

pytestmark = pytest.mark.book

SOURCE = Path(__file__).resolve().parents[2] / "book" / "live.md"
ON_DEMAND = ("engine.js", "detector.js", "constants.js", "inverters.js")
PATIENCE = 120_000  # milliseconds, for the networks on a busy machine


@pytest.fixture(scope="session")
def site(build, tmp_path_factory) -> Path:
    """The page without the book around it: its own policy and body, and all that it loads, where the book has it."""
    folder = tmp_path_factory.mktemp("site")
    build.build_live(folder / "_static" / "live")
    _, front_matter, text = SOURCE.read_text(encoding="utf-8").split("---\n", 2)
    (name, policy), *_ = yaml.safe_load(front_matter)["myst"]["html_meta"].items()
    bodies = re.findall(r"```\{raw\} html\n(.*?)```", text, flags=re.DOTALL)
    assert name == "http-equiv=Content-Security-Policy" and len(bodies) == 1
    (folder / "book").mkdir()
    (folder / "book" / "live.html").write_text(
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta name="color-scheme" content="light dark"><title>Your own sound</title></head>'
        '<body style="font-family: sans-serif; background: Canvas; color: CanvasText"><main><h1>Your own sound</h1>'
        f"{bodies[0]}</main></body></html>",
        encoding="utf-8",
    )
    return folder


@pytest.fixture(scope="session")
def song(tmp_path_factory, melody) -> Path:
    """Sixteen seconds whose excerpts differ: more frames than the page gives to the detector at once."""
    louder = melody * np.linspace(0.2, 1, len(melody), dtype=np.float32)
    path = tmp_path_factory.mktemp("song") / "song.wav"
    samples = np.concatenate([melody, louder, 0.3 * melody[::-1], louder])
    # Whole numbers would be scaled by 32768 here and, where positive, by 32767 in Chromium.
    soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
    return path


class Live:
    """The page as its reader handles it."""

    def __init__(self, page, address: str) -> None:
        self.page = page
        page.goto(f"{address}/book/live.html")

    def choose(self, path: Path) -> None:
        self.page.set_input_files("#live-file", path)

    def wait(self, selector: str) -> None:
        """Wait for something to be seen; a sentence about an error ends the test."""
        self.page.locator(f"{selector}, .live-alert:not(:empty)").first.wait_for(timeout=PATIENCE)
        assert self.page.inner_text(".live-alert") == ""
        self.page.locator(".live-busy").wait_for(state="hidden", timeout=PATIENCE)

    @property
    def complaint(self) -> str:
        self.page.locator(".live-alert:not(:empty)").wait_for(timeout=PATIENCE)
        return self.page.inner_text(".live-alert")

    def curve(self) -> tuple[np.ndarray, np.ndarray]:
        """The probabilities of all frames as the detector gives them, and smoothed."""
        program = "song => [Array.from(song.probabilities), Array.from(song.curve)]"
        return tuple(np.float32(values) for values in self.page.locator(".live-song").evaluate(program))

    def pictures(self) -> dict[str, dict]:
        program = """section => section.inversion.pictures.map(picture =>
            ({...picture, standardised: Array.from(picture.standardised), logMel: Array.from(picture.logMel)}))"""
        found = self.page.locator(".live-inversions").evaluate(program)
        for picture in found:
            for name in ("standardised", "logMel"):
                picture[name] = np.float32(picture[name]).reshape(115, 80)
        return {picture["name"]: picture for picture in found}

    @property
    def frame(self) -> int:
        """Where the marker stands, to the nearest tenth of a second."""
        return round(70 * float(self.page.get_attribute(".live-plot", "aria-valuenow")))


@pytest.fixture
def live(page, address_of, site) -> Live:
    return Live(page, address_of(site))


@pytest.fixture
def live_from_disk(page, site) -> Live:
    return Live(page, site.as_uri())


def test_curve_and_inversions_are_those_of_pytorch(live, song, watch):
    assert not [address for address in watch.requested if address.endswith(ON_DEMAND)], "loaded before it is asked for"
    live.choose(song)
    live.wait(".live-curve")
    detector = pretrained("detector")
    log_mel = LogMel()(load_audio(song))
    standardised = detector.standardizer(log_mel)
    wanted = detector.predict_song(standardised).numpy()
    probabilities, curve = live.curve()
    np.testing.assert_allclose(probabilities, wanted, atol=1e-4)
    np.testing.assert_allclose(curve, smooth(wanted), atol=1e-4)

    live.page.locator(".live-plot").press("Home")
    live.page.locator(".live-plot").press("PageUp")
    live.page.locator(".live-plot").press("Enter")
    live.wait(".live-panels")
    start = 350
    excerpt = standardised[None, None, start : start + 115]
    pictures = live.pictures()
    np.testing.assert_allclose(pictures["original"]["standardised"], excerpt[0, 0], atol=1e-4)
    with torch.no_grad():
        features = detector.features(excerpt)
        assert pictures.pop("original")["probability"] == pytest.approx(detector(excerpt).sigmoid().item(), abs=1e-4)
        for layer, inverter in pretrained_inverters("aligned").items():
            x_hat, found = inverter(features[layer]), pictures.pop(layer)
            off = np.abs(found["standardised"] - x_hat[0, 0].numpy()).max()
            assert off < 0.003 * x_hat.std(), layer
            assert found["probability"] == pytest.approx(detector(x_hat).sigmoid().item(), abs=1e-4), layer
            assert found["distance"] == pytest.approx((x_hat - excerpt).norm().item(), rel=1e-3), layer
            raw = detector.standardizer.inverse(x_hat[0, 0])
            np.testing.assert_allclose(found["logMel"], raw, atol=0.01)
    assert not pictures


@pytest.mark.parametrize("width", [1280, 390])
def test_one_click_leads_to_inversions_on_the_screen(address_of, new_page, site, width):
    page = new_page(viewport={"width": width, "height": 900})
    live = Live(page, address_of(site))
    said = page.evaluate_handle("""() => {
        const said = [];
        const place = document.querySelector(".live-status");
        new MutationObserver(() => said.push(place.textContent)).observe(place, {childList: true});
        return said;
    }""")
    page.get_by_role("button", name="Try an example").click()
    live.wait(".live-panels")
    panels = page.locator(".live-inversions > .live-panels > .live-panel")
    assert panels.count() == 9
    boxes = [panel.bounding_box() for panel in panels.all()]
    assert 0 <= boxes[0]["y"] and boxes[0]["y"] + boxes[0]["height"] <= 900
    if width == 1280:
        assert all(box["y"] + box["height"] <= 900 for box in boxes), "all eight inversions"
    probability = float(panels.first.get_attribute("data-probability"))
    assert probability > 0.9, "the surest moment of a song with a singer"
    lines = said.json_value()
    assert lines[0].startswith("Loading the example, 0.") and lines[-1].startswith(
        "The example: inverted at its surest"
    )
    assert len(lines) == len(set(lines)), "each status is said once"


def test_networks_are_on_their_way_together(page, serve, site):
    """The engine's file comes once the detector's is asked for: who loads one after the other waits for ever."""
    held = []

    def let_in(route):
        route.continue_()
        while held:
            held.pop().continue_()

    page.route("**/engine.js", lambda route: held.append(route))
    page.route("**/detector.js", let_in)
    live = Live(page, serve(site))
    page.get_by_role("button", name="Try an example").click()
    live.wait(".live-panels")


def test_a_new_place_brings_its_pictures_into_view(live_from_disk, song):
    live, page = live_from_disk, live_from_disk.page
    page.set_viewport_size({"width": 390, "height": 700})
    live.choose(song)
    live.wait(".live-panels")
    page.get_by_role("button", name="Invert here").click()
    live.wait(".live-panels")
    box = page.locator(".live-panel").first.bounding_box()
    assert 0 <= box["y"] and box["y"] + box["height"] < 701  # a part of a pixel


def drop(page, name: str, kind: str, content: bytes) -> None:
    """Drop a file on the page as a mouse does."""
    program = """([name, kind, bytes]) => {
        const held = new DataTransfer();
        held.items.add(new File([new Uint8Array(bytes)], name, {type: kind}));
        return held;
    }"""
    held = page.evaluate_handle(program, [name, kind, list(content)])
    page.dispatch_event(".live-drop", "drop", {"dataTransfer": held})


def test_a_dropped_file_a_click_on_the_curve_and_the_sounds(live_from_disk, song):
    live, page = live_from_disk, live_from_disk.page
    drop(page, "a song.wav", "audio/wav", song.read_bytes())
    live.wait(".live-curve")
    assert page.inner_text(".live-status").startswith("a song.wav: inverted at its surest moment, 0:")
    assert page.get_by_text("The sound lasts 0:16.0.").count() == 1, "said once"
    page.locator(".live-plot").click()  # in its middle
    live.wait(".live-panels")
    assert abs(live.frame - live.curve()[0].size / 2) <= 8
    assert page.locator(".live-inversions > .live-panels > .live-panel").count() == 9
    assert page.inner_text(".live-status").startswith(f"Inverted at 0:0{live.frame / 70:.1f}. Probability of singing:")
    for panel in page.locator(".live-inversions > .live-panels > .live-panel").all():
        assert "half of the magnitude lies below" in panel.locator("canvas").get_attribute("aria-label")
    hear_one_after_the_other(page)
    page.locator(".live-plot").click(position={"x": 1, "y": 5})
    page.get_by_role("heading", name="What the layers keep at 0:00.8").wait_for(timeout=PATIENCE)


def hear_one_after_the_other(page) -> None:
    # In the page itself: a sound of 1.6 s may be over before a slow machine has asked twice.
    program = """async () => {
        const until = async test => { while (!test()) await new Promise(requestAnimationFrame); };
        const named = name => document.querySelector(`[aria-label="${name}"]`);
        const playing = () => [...document.querySelectorAll("[data-state=playing]")].map(button => button.ariaLabel);
        const heads = () => document.querySelectorAll(".live-picture .live-playhead:not([hidden])").length;
        const [inversion, recording] = [named("Listen, Conv5"), named("As recorded, Original")];
        inversion.click();
        await until(() => playing().length && heads() === 9);
        const heard = [...playing()];
        recording.click();
        await until(() => recording.dataset.state === "playing");
        heard.push(...playing());
        await until(() => !playing().length && !heads());
        return heard;
    }"""
    assert page.evaluate(program) == ["Pause, Conv5", "Pause, Original"]


def test_by_keyboard_alone(live_from_disk, song):
    live, page = live_from_disk, live_from_disk.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.id") == "live-file"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Record"
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Try an example"
    live.choose(song)
    live.wait(".live-curve")
    plot = page.locator(".live-plot")
    page.keyboard.press("Tab")
    assert plot.evaluate("plot => plot === document.activeElement")
    page.keyboard.press("Home")
    assert live.frame == 56  # 0.8 s: the first frame with half an excerpt before it, to a tenth of a second
    page.keyboard.press("ArrowRight")
    assert plot.get_attribute("aria-valuenow") == "0.9"
    page.keyboard.press("End")
    assert plot.get_attribute("aria-valuenow") == plot.get_attribute("aria-valuemax")
    assert re.match(r"0:15\.\d, probability of singing \d\.\d\d", plot.get_attribute("aria-valuetext"))
    page.keyboard.press("Enter")
    live.wait(".live-panels")


def test_cancelled_work_leaves_nothing_and_the_next_file_is_taken(live_from_disk, song, tmp_path):
    live, page = live_from_disk, live_from_disk.page
    save_audio(tmp_path / "long.wav", np.tile(load_audio(song), 12))
    live.choose(tmp_path / "long.wav")
    page.get_by_text("The detector listens").wait_for(timeout=PATIENCE)
    page.get_by_role("button", name="Cancel").press("Enter")
    assert page.inner_text(".live-status") == "Cancelled." and page.locator(".live-busy").is_hidden()
    assert page.evaluate("document.activeElement.id") == "live-file"
    live.choose(song)
    live.wait(".live-curve")
    assert page.inner_text(".live-status").startswith("song.wav")


def write_wav(samples) -> Callable[[Path], None]:
    return lambda path: save_audio(path, np.asarray(samples, dtype=np.float32))


@pytest.mark.parametrize(
    ("write", "complaint"),
    [
        (lambda path: path.write_text("la la la"), "not a sound that your browser can read"),
        (lambda path: path.write_bytes(b""), "The file is empty"),
        (write_wav(0.1 * np.ones(SAMPLE_RATE)), "too short: 1.0 s, and one excerpt takes 1.7 s"),
        (write_wav(np.zeros(3 * SAMPLE_RATE)), "digital silence"),
    ],
)
def test_sounds_that_are_none_get_a_sentence(live_from_disk, tmp_path, write, complaint):
    write(tmp_path / "sound.wav")
    live_from_disk.choose(tmp_path / "sound.wav")
    assert complaint in live_from_disk.complaint
    assert live_from_disk.page.locator(".live-busy").is_hidden()


def test_something_dropped_that_is_no_file(live_from_disk):
    held = live_from_disk.page.evaluate_handle("() => new DataTransfer()")
    live_from_disk.page.dispatch_event(".live-drop", "drop", {"dataTransfer": held})
    assert "not a file" in live_from_disk.complaint


def broken(site: Path, folder: Path, name: str, text: str | None) -> str:
    """The address of a copy of the site in which one script is another, or missing."""
    shutil.copytree(site, folder)
    script = folder / "_static" / "live" / name
    script.unlink() if text is None else script.write_text(text, encoding="utf-8")
    return folder.as_uri()


def test_missing_and_broken_parts_get_a_sentence(page, site, song, tmp_path, watch):
    live = Live(page, broken(site, tmp_path / "missing", "detector.js", None))
    live.choose(song)
    assert "A part of the book is missing" in live.complaint
    watch.faults.clear()  # the browser tells of the missing file, too
    constants = json.dumps({"engine.js": "H4sIAAAAAAAA", "engine.mjs": "", "engine.wasm": "", "worker.js": ""})
    live = Live(page, broken(site, tmp_path / "broken", "engine.js", f"self.svdlibFiles = {constants}"))
    live.choose(song)
    assert "The networks could not be run in this browser" in live.complaint
    watch.faults.clear()


@pytest.fixture
def browser_with(browser, chromium_path):
    """Start a browser with flags of its own and open the page in it: `browser_with(address, *flags)`."""
    started = []

    def open_one(address, *flags):
        flags = ["--no-sandbox", "--disable-gpu", *flags]
        started.append(browser.browser_type.launch(executable_path=chromium_path, args=flags))
        return Live(started[-1].new_page(), address)

    yield open_one
    for each in started:
        each.close()


def test_a_recording_from_the_microphone(browser_with, site, tmp_path):
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    save_audio(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * time))
    live = browser_with(
        site.as_uri(), "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream",
        f"--use-file-for-fake-audio-capture={tmp_path / 'tone.wav'}",
    )  # fmt: skip
    live.page.get_by_role("button", name="Record").click()
    live.page.get_by_role("timer").get_by_text("0:03").wait_for(timeout=PATIENCE)
    live.page.get_by_role("button", name="Stop").click()
    live.wait(".live-curve")
    assert live.page.inner_text(".live-status").startswith("Your recording: inverted at its surest moment")
    assert 2 * 70 < live.curve()[0].size < 20 * 70
    live.page.get_by_role("button", name="Invert here").click()
    live.wait(".live-panels")
    heard = live.pictures()["original"]["logMel"].mean(axis=0)
    tone = LogMel()(np.float32(np.sin(2 * np.pi * 1000 * time))).mean(dim=0)
    assert abs(int(heard.argmax()) - int(tone.argmax())) <= 1


def test_without_a_microphone_or_leave_to_use_it(browser_with, site):
    live = browser_with(site.as_uri(), "--use-fake-device-for-media-stream")
    live.page.context.clear_permissions()
    live.page.get_by_role("button", name="Record").click()
    assert "The page may not use the microphone" in live.complaint
    live = browser_with(site.as_uri(), "--use-fake-ui-for-media-stream")
    live.page.get_by_role("button", name="Record").click()
    assert "microphone" in live.complaint


@pytest.fixture
def letterbox() -> Iterator[tuple[str, list[str]]]:
    """A server outside the book, and what has reached it."""
    arrived = []

    class Letterbox(BaseHTTPRequestHandler):
        def handle_one_request(self):
            line = self.rfile.readline().decode()
            if line:
                arrived.append(line.split()[1])
                self.wfile.write(b"HTTP/1.1 204 Nothing\r\nConnection: close\r\n\r\n")
            self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Letterbox)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}", arrived
    server.shutdown()
    server.server_close()


SEND = """async address => {
    const tries = {
        fetch: () => fetch(`${address}/fetch`, {method: "POST", body: "sound", mode: "no-cors"}),
        beacon: async () => navigator.sendBeacon(`${address}/beacon`, "sound"),
        socket: () => new Promise((open, fail) => Object.assign(
            new WebSocket(`${address}/socket`.replace("http", "ws")), {onopen: open, onerror: fail})),
        picture: () => new Promise((load, fail) => Object.assign(
            new Image(), {onload: load, onerror: fail, src: `${address}/picture`})),
    };
    for (const attempt of Object.values(tries)) await attempt().catch(() => {});
    await new Promise(resolve => setTimeout(resolve, 500));
}"""


def test_the_policy_lets_nothing_out(live, watch, letterbox, tmp_path, new_page):
    address, arrived = letterbox
    live.page.evaluate(SEND, address)
    assert arrived == []
    # The same from a page without a policy gets through, so there was something to stop.
    (tmp_path / "open.html").write_text("<!doctype html><title>No policy</title>")
    page = new_page()
    page.goto((tmp_path / "open.html").as_uri())
    page.evaluate(SEND, address)
    assert {"/fetch", "/beacon", "/picture"} <= set(arrived)
    watch.faults.clear()  # the browser tells of each that it stopped


def test_it_fits_the_screen_and_is_accessible(live_from_disk, song, axe):
    live, page = live_from_disk, live_from_disk.page
    live.choose(song)
    live.wait(".live-curve")
    page.get_by_role("button", name="Invert here").click()
    live.wait(".live-panels")
    for scheme in ("light", "dark"):
        page.emulate_media(color_scheme=scheme)
        assert axe(page) == [], scheme
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width


def turned(page) -> dict:
    program = "({turn}) => ({...turn, picture: Array.from(turn.moved.standardised), painted: turn.moved.probability})"
    return page.locator(".live-turn").evaluate(program)


def test_the_answer_is_turned_by_keyboard_and_the_picture_is_pytorchs(live_from_disk, song):
    live, page = live_from_disk, live_from_disk.page
    live.choose(song)
    live.wait(".live-curve")
    slider, status = page.get_by_label("Less voice, more voice"), page.locator(".live-turn [role=status]")
    before = turned(page)
    slider.focus()
    for _ in range(4):
        page.keyboard.press("ArrowLeft")  # half a logit each
    page.locator(".live-turn [role=status]", has_text="picture itself").wait_for()
    now = turned(page)
    assert now["after"] - now["before"] == pytest.approx(-2, abs=1e-4) and now["before"] == before["after"]
    assert " − 2.0 = " in status.text_content()

    detector, inverter = pretrained("detector"), pretrained_inverters("aligned")["fc8"]
    excerpt = torch.from_numpy(live.pictures()["original"]["standardised"])[None, None]
    with torch.no_grad():
        feature = detector.features(excerpt, ("fc8",))["fc8"]
        weight = detector.out[1].weight[0]
        moved = feature - 2 * weight / weight.square().sum()
        assert detector.out(moved).item() == pytest.approx(now["after"], abs=5e-3)
        x_hat = inverter(moved)
        assert np.abs(np.float32(now["picture"]).reshape(115, 80) - x_hat[0, 0].numpy()).max() < 0.005 * x_hat.std()
        assert now["painted"] == pytest.approx(detector(x_hat).sigmoid().item(), abs=1e-3)

    page.get_by_text("Back to the original").press("Enter")
    assert page.locator(".live-turn").evaluate("({turn}) => turn.after === turn.before")
    assert slider.input_value() == "0"


def test_one_number_is_turned_and_what_was_heard_is_heard_again(live_from_disk, song):
    live, page = live_from_disk, live_from_disk.page
    live.choose(song)
    live.wait(".live-curve")
    page.get_by_label("One of them").check()
    page.get_by_label("Which number").select_option(index=2)
    slider = page.get_by_label("The number, less or more")
    slider.press("End")
    page.locator(".live-turn [role=status]", has_text="picture itself").wait_for()
    unit, reach = int(page.get_by_label("Which number").input_value()), float(slider.input_value())
    weight = pretrained("detector").out[1].weight[0, unit].item()
    now = turned(page)
    assert now["after"] - now["before"] == pytest.approx(weight * reach, abs=1e-3)

    moved = page.locator(".live-turn .live-panel[data-name=moved] button")
    moved.click()
    page.wait_for_selector(".live-turn .live-panel[data-name=moved] button[data-state=playing]")
    slider.press("Home")
    page.locator(".live-turn [role=status]", has_text="picture itself").wait_for()
    # The picture was exchanged, and its new sound begins by itself.
    page.wait_for_selector(".live-turn .live-panel[data-name=moved] button[data-state=playing]")
    assert turned(page)["after"] - now["before"] == pytest.approx(-weight * reach, abs=1e-3)
    # It goes on where the moved one was, which may be near the end: too short to be met by looking now and then.
    page.evaluate(
        """() => {
            const turn = document.querySelector(".live-turn");
            const plays = () => turn.querySelector("[data-name=original] [data-state=playing]");
            window.played = new Promise((resolve) => {
                new MutationObserver(() => plays() && resolve(true)).observe(turn, { subtree: true, attributes: true });
                setTimeout(() => resolve(false), 60000);
            });
        }"""
    )
    page.locator(".live-turn .live-panel[data-name=original] button").first.click()
    assert page.evaluate("() => window.played")
