"""A real browser for the pages of the book, over http and from file://, that lets no request leave this machine.

Tests here carry the marker `book`: `make test-book` runs them, after the book is built. The fixture `page` watches what
its pages do and fails the test at its end if they wrote an error to the console, asked for what is not there or for an
address outside. `address_of(folder)` gives the address of a folder, once over http and once as file://.
"""

import functools
import importlib.util
import threading
from collections.abc import Callable, Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import pytest
from needs import missing
from watching import Watch

from benchmarks.browsers import BROWSERS, find_browser

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    # A microphone that beeps once a second, and nobody to ask for leave to use it.
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


@pytest.fixture(scope="session")
def html() -> Path:
    """Folder of the built book."""
    if not (ROOT / "_build" / "html" / "index.html").exists():
        missing("the book is not built: run `make book` first")
    return ROOT / "_build" / "html"


@pytest.fixture(scope="session")
def chromium_path() -> str:
    """Path of the system's browser. Without one tests are skipped, but in CI that is an error."""
    path = find_browser()
    if path is None:
        missing(f"no browser: none of {', '.join(BROWSERS)} was found; install Chromium to run the tests of the pages")
    return path


@pytest.fixture(scope="session")
def browser(chromium_path: str) -> "Iterator[Browser]":
    """The browser without a window."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium_path, args=FLAGS)
        yield started
        started.close()


@pytest.fixture
def watch() -> Iterator[Watch]:
    """Collects the faults of the pages that it follows; any that is left at the end fails the test."""
    watch = Watch()
    yield watch
    assert not watch.faults, "\n".join(watch.faults)


@pytest.fixture
def new_page(browser: "Browser", watch: Watch) -> "Iterator[Callable[..., Page]]":
    """Open watched pages with options of a browser's context: `new_page(has_touch=True, color_scheme="dark")`."""
    contexts = []

    def open_one(**options) -> "Page":
        contexts.append(browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options}))
        page = contexts[-1].new_page()
        page.set_default_timeout(60_000)
        watch.follow(page)
        return page

    yield open_one
    for context in contexts:
        context.close()


@pytest.fixture
def page(new_page) -> "Page":
    """A watched page, 1280 pixels wide."""
    return new_page()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_) -> None:
        pass


@pytest.fixture(scope="session")
def serve() -> Iterator[Callable[[Path], str]]:
    """Serve a folder on this machine and return its address, without a slash at its end."""
    servers: dict[Path, ThreadingHTTPServer] = {}

    def address(folder: Path) -> str:
        if folder not in servers:
            handler = functools.partial(_Quiet, directory=str(folder))
            servers[folder] = ThreadingHTTPServer(("127.0.0.1", 0), handler)
            threading.Thread(target=servers[folder].serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{servers[folder].server_port}"

    yield address
    for server in servers.values():
        server.shutdown()
        server.server_close()


@pytest.fixture(params=["http", "file"])
def address_of(request, serve) -> Callable[[Path], str]:
    """The address of a folder, without a slash at its end: once over http, once from the disk."""
    return serve if request.param == "http" else lambda folder: folder.resolve().as_uri()


@pytest.fixture(scope="session")
def build() -> ModuleType:
    """The script book/build.py as a module."""
    spec = importlib.util.spec_from_file_location("book_build", ROOT / "book" / "build.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def axe(build: ModuleType) -> "Callable[[Page], list[str]]":
    """Find faults of accessibility, serious and critical ones: `axe(page)` returns a line for each."""
    script = (build.install_web_packages() / "axe-core" / "axe.min.js").read_text(encoding="utf-8")

    def faults(page: "Page") -> list[str]:
        page.evaluate(script)
        found = page.evaluate("() => axe.run(document, { resultTypes: ['violations'], preload: false })")["violations"]
        return [
            f"{fault['id']}: {fault['help']}: {[node['target'] for node in fault['nodes']][:3]}"
            for fault in found
            if fault["impact"] in ("serious", "critical")
        ]

    return faults
