"""The lesson's material: the pair does not give itself away, slides show what there is, the handout is one page."""

import json
import re

import jupytext
import nbformat
import pytest

import chapters
import lesson
from svdlib.detector.model import LAYERS


def panel(title, sound):
    return (
        f'<figure class="svdlib-panel"><figcaption class="svdlib-title">{title}</figcaption><img alt="x" src="y">'
        f'<audio controls aria-label="{title}, 4 seconds" src="data:audio/mpeg;base64,{sound}"></audio></figure>'
    )


def chapter(*panels):
    output = nbformat.v4.new_output("execute_result", {"text/html": "".join(panels)}, execution_count=1)
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("play()", outputs=[output])])


SINGER, CLARINET = panel(lesson.SINGER, "U0lORw=="), panel(lesson.CLARINET, "QkxPVw==")


def test_the_pair_is_that_of_the_chapter_and_does_not_give_itself_away():
    pair = lesson.pair_of(chapter(panel("Drums", "RFJVTQ=="), SINGER, CLARINET))
    players = lesson.blind_pair(pair)
    assert re.findall(r'aria-label="([^"]+)" src="data:audio/mpeg;base64,([^"]+)"', players) == [
        ("Sound A", "QkxPVw=="),
        ("Sound B", "U0lORw=="),
    ]
    assert not re.search("singer|clarinet", players, re.IGNORECASE)
    answer = lesson.answer_to_pair()
    assert answer.startswith("<details><summary>") and " open" not in answer and "A is the clarinet" in answer


def test_a_chapter_without_the_pair_is_named():
    with pytest.raises(lesson.LessonError, match="A clarinet, same melody"):
        lesson.pair_of(chapter(SINGER))
    source = (chapters.ROOT / "notebooks" / f"{lesson.CHAPTER}.py").read_text(encoding="utf-8")
    assert all(f'"{title}"' in source for title in (lesson.SINGER, lesson.CLARINET))


@pytest.fixture
def figures(tmp_path):
    for name in re.findall(r"\(figure:([a-z0-9-]+)\)", lesson.SLIDES.read_text(encoding="utf-8")):
        (tmp_path / f"{name}.svg").write_text("<svg/>")
    return tmp_path


def test_slides_have_notes_pictures_and_the_pair(figures):
    page = lesson.slides_page(lesson.SLIDES.read_text(encoding="utf-8"), "<b>the pair</b>", figures)
    slides = page.count('<section aria-label="Slide')
    assert slides == page.count("<aside>") == page.count("<h1>") > 5
    assert page.count("<b>the pair</b>") == 1 and "{pair}" not in page and "figure:" not in page
    sources = re.findall(r'<img src="([^"]+)" alt="([^"]+)"', page)
    assert sources and all(source.startswith("../figures/") and alt for source, alt in sources)
    assert 'href="../../book/live.html"' in page and "http" not in page


def test_a_slide_without_its_figure_or_its_notes_is_named(figures):
    with pytest.raises(lesson.LessonError, match="slide 2 has no notes"):
        lesson.slides_page("# A\n\n::: notes\nx\n:::\n\n---\n\n# B\n", "", figures)
    with pytest.raises(lesson.LessonError, match="slide 1 shows the figure '99-none'"):
        lesson.slides_page("# A\n\n![a](figure:99-none)\n\n::: notes\nx\n:::\n", "", figures)


def test_the_figures_of_the_slides_are_figures_of_the_book():
    names = set()
    for source in chapters.chapter_sources():
        found = chapters.find_figures(source.stem, jupytext.read(source))
        names |= {f"{source.stem[:2]}-{figure.name}" for figure in found}
    assert set(re.findall(r"\(figure:([a-z0-9-]+)\)", lesson.SLIDES.read_text(encoding="utf-8"))) <= names


def test_the_answers_are_those_of_the_stored_study():
    study = json.loads(lesson.KEPT.read_text(encoding="utf-8"))
    table = lesson.answers_table(study)
    assert table.count("\n") == 2 + len(LAYERS)
    fc8 = study["corpora"]["synthetic"]["layers"]["fc8"]["aligned"]
    assert f"| FC8 | 64 | {fc8['onset_match']['mean']:.2f} (" in table
    assert f"| {fc8['harmonic_match']['mean']:.2f} (" in table


def test_the_handout_is_one_page_of_pdf_and_the_same_each_time():
    sheet = lesson.handout()
    assert sheet.startswith(b"%PDF") and len(re.findall(rb"/Type /Page\b", sheet)) == 1
    assert sheet == lesson.handout()
