"""Addresses of a chapter that was split lead to where its places stand now."""

from types import SimpleNamespace

import moved

FIRST = '<article><h1>Look</h1><section id="explore"></section></article><footer></footer>'
LATER = (
    '<article><section class="tex2jax_ignore mathjax_ignore" id="measure"><span id="claim-structure"></span>'
    '<a class="figure-large" id="figure-kept" href="k.svg"></a><section id="explore"></section>'
    '<div id="search"></div><a class="headerlink" href="#measure"></a></article>'
)


def test_the_first_page_leads_to_every_place_of_the_next(tmp_path):
    (tmp_path / "05_look.html").write_text(FIRST)
    (tmp_path / "05b_measure.html").write_text(LATER)
    (tmp_path / "06_next.html").write_text(LATER)
    names = {"05_look": "Look", "05b_measure": "Measure & judge", "06_next": "Next"}
    moved.lead_on(tmp_path, [SimpleNamespace(name=name, title=title) for name, title in names.items()])
    page = (tmp_path / "05_look.html").read_text()
    for place in ("measure", "claim-structure", "figure-kept"):
        assert page.count(f'id="{place}" href="05b_measure.html#{place}"') == 1
    assert "Measure &amp; judge" in page and "search" not in page and page.count('id="explore"') == 1
    assert page.index('class="moved"') < page.index("location.replace") < page.index("</article>")
    assert (tmp_path / "05b_measure.html").read_text() == (tmp_path / "06_next.html").read_text() == LATER


def test_only_a_letter_behind_the_same_number_continues_a_chapter():
    assert moved.is_continuation("05b_measure", "05_look")
    assert not moved.is_continuation("05_look", "05_look")
    assert not moved.is_continuation("05_look", "05b_measure")
    assert not moved.is_continuation("05c_class", "05b_measure")
    assert not moved.is_continuation("06_next", "05_look")
