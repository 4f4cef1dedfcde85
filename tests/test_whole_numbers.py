"""A number and its unit are not parted by the end of a line, and a minus sign is one."""

import sys

from places import ROOT

PAGE = """\
Title
=====

In 95 % or 95% of 30 s, *at 4 kHz*, 7 songs and 3 singers, by -0.3 (-2 to +1), 8-9. ``-5 % as typed``

In 3
s, 115 × 80 cells.

.. py:function:: louder(gain=-3)

::

   6 % in a listing

.. raw:: html

   <table title="7 %"><tr><td class="a">-4% (-6% to 2 %)</td></tr></table>
"""


def test_numbers_in_prose_and_tables_stay_whole_and_others_as_written(tmp_path, monkeypatch):
    from sphinx.application import Sphinx

    (tmp_path / "index.rst").write_text(PAGE)
    monkeypatch.setattr(sys, "path", [str(ROOT / "book"), *sys.path])
    out = tmp_path / "out"
    app = Sphinx(tmp_path, None, out, out, "html", confoverrides={"extensions": ["whole_numbers"]}, status=None)
    app.build()
    page = (out / "index.html").read_text(encoding="utf-8")
    assert "In 95\u202f% or 95\u202f% of 30\u00a0s, <em>at 4\u00a0kHz</em>, 7 songs and 3 singers" in page
    assert "In 3\u00a0s, 115\u00a0×\u00a080 cells." in page and "\u22123" not in page
    assert "by \u22120.3 (\u22122\u00a0to\u00a0+1), 8-9." in page
    assert (
        '<table title="7 %"><tr><td class="a">\u22124\u202f% (\u22126\u202f%\u00a0to\u00a02\u202f%)</td></tr></table>'
        in page
    )
    assert '<span class="pre">-5</span> <span class="pre">%</span>' in page
    listing = page.partition("<pre>")[2].partition("</pre>")[0]
    assert "listing" in listing and not {"\u202f", "\u00a0"} & set(listing)
