"""Tests of what happens without the right to read or write, also where they run as root, who has every right."""

import os
from contextlib import contextmanager

import pytest

NOBODY = 65534

needs_rights = pytest.mark.skipif(os.name == "nt", reason="Windows knows no such rights")


@contextmanager
def not_root():
    """Be nobody for a while if the tests run as root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)
