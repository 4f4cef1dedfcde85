"""What a page of the book must not do: errors, requests that fail, requests that leave the machine."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Route

# The theme declares this name on every page twice.
KNOWN_FAULT = "Identifier 'THEBE_JS_URL' has already been declared"
LOCAL_SCHEMES = ("file", "data", "blob", "about")


@dataclass
class Watch:
    """What a page did that it should not; a test that expects a fault clears the list.

    Attributes:
        faults: errors and forbidden or failed requests, each a line.
        requested: every address that was asked for.
    """

    faults: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def follow(self, page: "Page") -> None:
        """Write down what a page does from now on, and stop requests that leave the machine."""
        page.on("pageerror", lambda error: self._fault(f"error: {error}"))
        page.on("console", lambda line: self._fault(f"console: {line.text}") if line.type == "error" else None)
        page.on("requestfailed", self._failed)
        page.on("response", lambda answer: self._fault(f"{answer.status}: {answer.url}") if not answer.ok else None)
        page.on("request", lambda request: self.requested.append(request.url))
        page.route("**/*", self._stay_home)

    def _failed(self, request: "Request") -> None:
        # A player that is told to go to another place gives up what it was loading and asks anew.
        if not (request.resource_type == "media" and request.failure == "net::ERR_ABORTED"):
            self._fault(f"failed: {request.url} ({request.failure})")

    def _fault(self, line: str) -> None:
        if KNOWN_FAULT not in line:
            self.faults.append(line)

    def _stay_home(self, route: "Route") -> None:
        address = urlsplit(route.request.url)
        if address.scheme in LOCAL_SCHEMES or address.hostname == "127.0.0.1":
            route.continue_()
        else:
            self._fault(f"leaves the book: {route.request.url}")
            route.abort()
