"""What some tests need beyond Python: a browser, Node.js, the built book, the files of the music tagger."""

import os

import pytest


def missing(message: str) -> None:
    """Skip a test that lacks something of the machine; in CI, where all must be there, let it fail."""
    if os.environ.get("CI"):
        pytest.fail(message, pytrace=False)
    pytest.skip(message)
