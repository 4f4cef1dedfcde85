"""The browser that pages are measured and tested in: the system's own; nothing is downloaded."""

import shutil

BROWSERS = ("chromium", "chromium-browser", "google-chrome-stable", "google-chrome", "chrome")


def find_browser() -> str | None:
    """The system's Chromium or Chrome, if there is one."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)
