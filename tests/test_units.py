"""Numbers on the pages keep their units beside them, and code keeps its spaces."""

import sys

import pytest
from places import ROOT

THIN, WIDE = "\N{NARROW NO-BREAK SPACE}", "\N{NO-BREAK SPACE}"
PAGE = """Title
=====

It keeps 42% of 0.8 s, or 7 %, *of 115 × 80* cells at 2 shares, and 100% ``of 3 %``.

::

    5 % 6 s
"""


def test_units_stay_beside_their_numbers_and_code_stays_as_it_is(tmp_path, monkeypatch):
    from sphinx.application import Sphinx

    (tmp_path / "index.rst").write_text(PAGE)
    monkeypatch.setattr(sys, "path", [str(ROOT / "book"), *sys.path])
    out = tmp_path / "out"
    app = Sphinx(tmp_path, None, out, out, "text", confoverrides={"extensions": ["units"]}, status=None)
    app.build()
    text = (out / "index.txt").read_text()
    for shown in (f"42{THIN}% of 0.8{WIDE}s, or 7{THIN}%", f"115{WIDE}×{WIDE}80", "2 shares", f"100{THIN}%"):
        assert shown in " ".join(text.split(" "))
    assert "of 3 %" in text and "5 % 6 s" in text


@pytest.mark.parametrize(
    ("text", "shown"), [("1\n%", f"1{THIN}%"), ("at 3\ndB.", f"at 3{WIDE}dB."), ("v2 sung", "v2 sung")]
)
def test_a_line_break_of_the_source_parts_nothing(monkeypatch, text, shown):
    monkeypatch.setattr(sys, "path", [str(ROOT / "book"), *sys.path])
    import units

    assert units.together(text) == shown
