"""Notebooks that leave the book: what only MyST understands becomes Markdown that every program shows."""

import re

import jupytext
import nbformat
import pytest
from markdown_it import MarkdownIt

import chapters
import plain
import worksheets

SOURCES = [*chapters.chapter_sources(), chapters.ROOT / "notebooks" / "lab.py"]


def plain_text(source, page="notebooks/04_quantitative_nre"):
    cited = []
    return plain.plain_text(source, page, cited), cited


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        (":::{dropdown} First hint\nThink.\n:::", "<details><summary>First hint</summary>\n\nThink.\n\n</details>"),
        (
            ":::{admonition} Start\n:class: tip dropdown\n- a\n:::",
            "<details><summary>Start</summary>\n\n- a\n\n</details>",
        ),
        (":::{note}\nMind\nthis.\n:::", "> **Note**\n>\n> Mind\n> this."),
        ("(a-place)=\n## Here", '<a id="a-place"></a>\n\n## Here'),
        ("a {term}`logit`, {term}`logits <logit>`", "a logit, logits"),
        ("{py:func}`~svdlib.inversion.nre.nre` {py:func}`svdlib.nre`", "`nre` `svdlib.nre`"),
        ("see {doc}`the loss <03_training>`", "see [the loss](03_training.ipynb)"),
        ("see {doc}`../book/live`", "see *Your own sound* (a page of the book)"),
        ("{ref}`exercise-tilt`", "[Exercise 2: Measure the tilt](00_songs.ipynb#exercise-tilt)"),
        ("{ref}`that <exercise-squared-nre>`", "[that](#exercise-squared-nre)"),
        ("$$\na \\tag{1}\n$$ and $x_{i}$", "$$\na \\tag{1}\n$$ and $x_{i}$"),
    ],
)
def test_what_is_myst_becomes_markdown(source, expected):
    assert plain_text(source) == (expected, [])


def test_citations_name_authors_and_year_and_are_listed():
    text, cited = plain_text("As {cite:t}`mishra2018` say {cite}`schluter2015,mishra2018`.")
    assert text == "As Mishra et al. (2018) say (Schlüter and Grill, 2015; Mishra et al., 2018)."
    assert cited == ["mishra2018", "schluter2015"]
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("{cite}`mishra2018`")])
    last = plain.make_plain(made, "04_quantitative_nre").cells[-1].source
    assert last.startswith("## References\n\n- Saumitra Mishra") and "2018" in last


@pytest.mark.parametrize(
    "source", ["{doc}`nowhere`", "{ref}`nowhere`", "{cite}`nobody`", "{eq}`one`", ":::{tabs} A\nb\n:::"]
)
def test_what_has_no_plain_word_is_an_error_that_quotes_it(source):
    with pytest.raises(plain.PlainError, match="no"):
        plain_text(source)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_every_notebook_of_the_book_can_leave_it(source):
    made = plain.make_plain(jupytext.read(source), source.stem)
    known = {path.stem for path in SOURCES}
    for cell in made.cells:
        if cell.cell_type != "markdown":
            continue
        # As a program reads it that knows CommonMark alone; formulas and code may hold anything.
        tokens = MarkdownIt().parse(re.sub(r"\$\$.*?\$\$|\$[^$\n]+\$", "", cell.source, flags=re.DOTALL))
        texts = [child.content for token in tokens for child in token.children or [] if child.type == "text"]
        assert not [text for text in texts if re.search(r":::|^\([a-z0-9-]+\)=$|\{[a-z:]+\}$", text)]
        links = [child.attrs["href"] for token in tokens for child in token.children or [] if child.type == "link_open"]
        beside = [link.partition(".ipynb")[0] for link in links if ".ipynb" in link]
        assert set(beside) <= known
        assert all(".ipynb" in link or link.startswith(("#", "http")) for link in links)


def test_a_worksheet_has_its_hints_and_its_start_in_disclosure_boxes():
    source = plain.ROOT / "notebooks" / "03_training.py"
    sheet = plain.make_plain(worksheets.without_solutions(source.stem, jupytext.read(source)), source.stem)
    text = "\n".join(cell.source for cell in sheet.cells)
    assert (
        text.count("<details><summary>First hint</summary>")
        == text.count("<details><summary>Second hint</summary>")
        == 6
    )
    assert "<summary>Before you start</summary>" in text
