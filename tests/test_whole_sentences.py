"""Descriptions of constants and modules come through Sphinx as they are."""

import sys

from places import ROOT

MODULE = '''"""What it is.

    python -m described --out FILE
    python -m described --help

And more.
"""

LOUDEST = 8.0
"""Of the scale of patches: far beyond what samples give, and no overflow yet."""

COUNT = 3
"""How many there are."""

def shift(frames: int) -> dict[str, float]:
    """Move it.

    Args:
        frames: how many.

    Returns:
        "stays": agreement with the same place: 1 at most; "moves": agreement
        with the sound.

    Raises:
        ValueError: it is empty.
    """

class Picture:
    """A picture."""

    @property
    def values(self) -> list:
        """What is drawn: a spectrogram."""
'''


def test_what_stands_before_a_colon_is_no_type(tmp_path, monkeypatch):
    from sphinx.application import Sphinx

    (tmp_path / "described.py").write_text(MODULE)
    (tmp_path / "index.rst").write_text("Title\n=====\n\n.. automodule:: described\n   :members:\n")
    monkeypatch.setattr(sys, "path", [str(tmp_path), str(ROOT / "book"), *sys.path])
    extensions = ["sphinx.ext.autodoc", "sphinx.ext.napoleon", "whole_sentences"]
    options = {"extensions": extensions, "autodoc_typehints": "description"}
    out = tmp_path / "out"
    app = Sphinx(tmp_path, None, out, out, "text", confoverrides=options, status=None)
    app.build()
    text = (out / "index.txt").read_text()
    assert "Type:" not in text
    assert "Of the scale of patches: far beyond what samples give" in " ".join(text.split())
    assert "How many there are." in text
    assert "python -m described --out FILE\n   python -m described --help\n" in text
    assert "What is drawn: a spectrogram." in text
    returned = " ".join(text.split("Returns:")[1].split())
    whole = '"stays": agreement with the same place: 1 at most; "moves": agreement with the sound.'
    assert returned.startswith(whole) and "Return type: dict" in returned
    assert "ValueError" in text and "frames" in text
