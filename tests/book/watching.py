"""What a page of the book must not do: errors, messages in the console, requests that fail or leave the machine."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request, Route

LOCAL_SCHEMES = ("file", "data", "blob", "about")


@dataclass
class Watch:
    """What a page did that it should not; a test that expects a fault clears the list.

    Attributes:
        faults: errors, messages in the console, and forbidden or failed requests, each a line.
        requested: every address that was asked for.
    """

    faults: list[str] = field(default_factory=list)
    requested: list[str] = field(default_factory=list)

    def follow(self, page: "Page") -> None:
        """Write down what a page does from now on, and stop requests that leave the machine."""
        page.on("pageerror", lambda error: self.faults.append(f"error: {error}"))
        page.on("console", lambda line: self.faults.append(f"console: {line.text}"))
        page.on("requestfailed", self._failed)
        page.on("response", lambda answer: None if answer.ok else self.faults.append(f"{answer.status}: {answer.url}"))
        page.on("request", lambda request: self.requested.append(request.url))
        page.route("**/*", self._stay_home)

    def _failed(self, request: "Request") -> None:
        # A player that is told to go to another place gives up what it was loading and asks anew.
        if not (request.resource_type == "media" and request.failure == "net::ERR_ABORTED"):
            self.faults.append(f"failed: {request.url} ({request.failure})")

    def _stay_home(self, route: "Route") -> None:
        address = urlsplit(route.request.url)
        if address.scheme in LOCAL_SCHEMES or address.hostname == "127.0.0.1":
            route.continue_()
        else:
            self.faults.append(f"leaves the book: {route.request.url}")
            route.abort()
