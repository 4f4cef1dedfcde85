"""Chapters as a teacher sees them: their form is checked, and what teachers' pages list is read from them."""

import base64
import re
from hashlib import sha256

import jupytext
import nbformat
import pytest
from nbclient import NotebookClient
from places import ROOT

import chapters
import teaching
import worksheets
from slides import SLIDES_TYPE
from svdlib.pages.exercises import Verdict

HEAD = """# A chapter

:::{admonition} Before you start
**What you will learn**
- to count.

**Prerequisites:** none.

**Minutes:** 5 to read, 60 for the exercises, one to run.
:::"""


def cell(source, *tags, **metadata):
    return nbformat.v4.new_code_cell(source, metadata={"tags": list(tags)} | metadata)


def text(source):
    return nbformat.v4.new_markdown_cell(source)


def exercise(number, minutes=20):
    return [
        text(
            f"(exercise-topic-{number})=\n### Exercise {number}: Topic {number}\n\n*Easy, {minutes} minutes.*\n\nDo it."
            "\n\n:::{dropdown} First hint\nThink.\n:::\n\n:::{dropdown} Second hint\nWrite.\n:::"
        ),
        cell("@self_check\ndef check_it(answer): ...", "check", "hide-input"),
        cell("answer = ...\ncheck_it(answer)", "exercise"),
        cell("answer = 1\ncheck_it(answer)", "solution", "hide-cell"),
    ]


def notebook(*exercises):
    image = {"image": {"alt": 'A line & a "point".'}}
    start = [text(HEAD), cell("seed = 0", "parameters"), cell("draw()", figure="a-line", mystnb=image)]
    quiz = [text("## Check yourself"), cell("Quiz(Question(), Question())", "quiz", "remove-input")]
    parts = exercises or [exercise(1), exercise(2), exercise(3)]
    end = [text("## Take-away\n\n- One.\n\n## Exercises"), *sum(parts, [])]
    return nbformat.v4.new_notebook(cells=[*start, *quiz, *end])


def test_a_chapter_is_read():
    chapter = chapters.read_chapter("04_count", notebook())
    assert (chapter.title, chapter.reading, chapter.running) == ("A chapter", 5, "one")
    assert (chapter.exercise_minutes, chapter.n_questions, chapter.seconds) == (60, 2, None)
    assert [found.label for found in chapter.exercises] == ["exercise-topic-1", "exercise-topic-2", "exercise-topic-3"]
    assert [found.name for found in chapter.figures] == ["a-line"]
    # 29 words, one cell to look at, two questions; what follows the heading "Exercises" does not count.
    words = len("A chapter admonition Before you start What you will learn to count Prerequisites none Minutes".split())
    words += len("5 to read 60 for the exercises one to run Check yourself Take away One".split()) - 1
    assert chapter.counted == pytest.approx(words / 150 + 0.5 + 2, abs=0.02)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (
            "**Minutes:** 5 to read, 60 for",
            "**Minutes:** 5 to read, 50 for",
            "50 minutes to exercises that together take 60",
        ),
        ("**Minutes:** 5 to read", "**Minutes:** few to read", "needs a line"),
        ("## Check yourself", "## Check", "'## Check yourself' is missing"),
        ("### Exercise 2:", "### Exercise 4:", "exercise 4, in place 2"),
        (":::{dropdown} Second hint\nWrite.\n:::", "", "must end in two hints"),
        ("First hint", "A hint", "must end in two hints"),
        ("(exercise-topic-2)=\n", "", "3 headings start with 'Exercise', and 2"),
        ("*Easy, 20 minutes.*", "*Easy.*", "3 headings start with 'Exercise', and 0"),
    ],
)
def test_a_broken_form_is_named(old, new, words):
    broken = notebook()
    for each in broken.cells:
        each.source = each.source.replace(old, new)
    with pytest.raises(chapters.ChapterError, match="04_count") as error:
        chapters.read_chapter("04_count", broken)
    assert words in str(error.value)


def test_two_to_six_exercises_each_with_all_its_cells():
    with pytest.raises(chapters.ChapterError, match="1 exercises; a chapter has 2 to 6"):
        chapters.read_chapter("x", notebook(exercise(1, 60)))
    for lost in range(1, 4):
        incomplete = exercise(2)
        del incomplete[lost]
        with pytest.raises(chapters.ChapterError, match="exercise 2, in place 2"):
            chapters.read_chapter("x", notebook(exercise(1), incomplete, exercise(3)))


@pytest.mark.parametrize("name", ["", "A line", "-line"])
def test_a_figure_has_a_name_that_links_can_hold(name):
    unnamed = notebook()
    unnamed.cells[2].metadata["figure"] = name
    with pytest.raises(chapters.ChapterError, match="A line"):
        chapters.read_chapter("x", unnamed)


def test_names_are_given_once_in_the_book():
    chapter = chapters.read_chapter("x", notebook())
    chapters.check_names([chapter])
    with pytest.raises(chapters.ChapterError, match="a-line, exercise-topic-1"):
        chapters.check_names([chapter, chapter])


def shown(verdict):
    data, metadata = verdict._repr_mimebundle_()
    return nbformat.v4.new_output("display_data", data, metadata=metadata)


def executed(stub, solution):
    """A notebook whose first exercise has these verdicts, (check, passed), and whose others are in order."""
    made = notebook()
    for number, found in enumerate(chapters.find_exercises("x", made)):
        pairs = [stub, solution] if number == 0 else [[("check_it", False)], [("check_it", True)]]
        for where, verdicts in zip((found.stub, found.solution), pairs, strict=True):
            where.outputs = [shown(Verdict(check, passed, "")) for check, passed in verdicts]
    return made


def test_a_stub_that_fails_and_a_solution_that_passes_are_in_order():
    chapters.check_verdicts("x", executed([("check_it", False)], [("check_it", True)]))


@pytest.mark.parametrize(
    ("stub", "solution", "words"),
    [
        ([("check_it", True)], [("check_it", True)], "untouched stub must fail"),
        ([], [("check_it", True)], "untouched stub must fail"),
        ([("check_it", False)], [("check_it", False)], "solution must pass"),
        ([("check_it", False)], [], "solution must pass"),
        ([("check_it", False)], [("check_it", True), ("check_it", False)], "solution must pass"),
        ([("check_it", False)], [("check_other", True)], "different checks"),
    ],
)
def test_verdicts_that_show_a_broken_exercise_are_errors(stub, solution, words):
    with pytest.raises(chapters.ChapterError, match=f"x, exercise 1: .*{words}"):
        chapters.check_verdicts("x", executed(stub, solution))


def test_a_kernel_stores_verdicts_so_that_they_are_found():
    source = """from svdlib.pages.exercises import self_check

@self_check
def check_it(answer):
    assert answer == 1

display(check_it(...))
check_it(1)"""
    made = nbformat.v4.new_notebook(cells=[cell(source)])
    NotebookClient(made, kernel_name="python3").execute()
    assert [verdict["passed"] for verdict in chapters.verdicts_of(made.cells[0])] == [False, True]


def test_a_worksheet_lacks_the_solutions_and_what_is_said_of_them():
    made = notebook()
    heading = next(each for each in made.cells if each.source.endswith("## Exercises"))
    with pytest.raises(chapters.ChapterError, match="04_count"):
        worksheets.without_solutions("04_count", made)
    heading.source += "\n\nThree of them." + worksheets.OF_SOLUTIONS
    kept = [each.source for each in made.cells if "solution" not in each.metadata.get("tags", [])]
    sheet = worksheets.without_solutions("04_count", made)
    heading_of_sheet = kept.index(heading.source)
    assert [each.source for each in sheet.cells[:heading_of_sheet]] == kept[:heading_of_sheet]
    assert sheet.cells[heading_of_sheet].source.endswith("## Exercises\n\nThree of them.")
    assert len(sheet.cells) == len(kept) == len(made.cells) - 3


@pytest.mark.parametrize("source", chapters.chapter_sources(), ids=lambda path: path.stem)
def test_no_worksheet_speaks_of_solutions_that_it_does_not_have(source):
    sheet = worksheets.without_solutions(source.stem, jupytext.read(source))
    prose = "\n".join(each.source for each in sheet.cells if each.cell_type == "markdown")
    assert "folded solution" not in prose and "solutions are folded" not in prose


PICTURE = base64.b64encode(b"picture" * 20).decode()


def drawn(letter=9.0):
    """A notebook whose figure is drawn, for the page and for slides."""
    made = notebook()
    phone = base64.b64encode(b"narrow").decode()
    slides = {"svg": "<svg/>", "png": base64.b64encode(b"large").decode(), "phone": phone, "smallest_letter": letter}
    data = {"image/png": PICTURE, SLIDES_TYPE: slides}
    made.cells[2].outputs = [nbformat.v4.new_output("execute_result", data, execution_count=1)]
    made.metadata["papermill"] = {"duration": 12.3}
    return made


def test_figures_become_files_and_leave_the_notebook():
    made = drawn()
    files = {"04-a-line.svg": b"<svg/>", "04-a-line.png": b"large", "04-a-line-phone.png": b"narrow"}
    assert teaching.take_slides("04_count", made) == files
    assert list(made.cells[2].outputs[0].data) == ["image/png"]
    assert teaching.take_slides("04_count", made) == {}


def test_letters_that_a_phone_makes_too_small_are_an_error():
    with pytest.raises(chapters.ChapterError, match=r"'a-line' are 8\.9 pixels high on a phone; 9 is the least"):
        teaching.take_slides("04_count", drawn(letter=8.9))


def test_teachers_pages_list_what_the_chapters_have(tmp_path):
    chapter = chapters.read_chapter("04_count", drawn())
    teaching.write_generated([chapter], tmp_path)
    minutes, exercises, figures = (
        (tmp_path / f"{name}.md").read_text() for name in ("minutes", "exercises", "figures")
    )
    assert "| {doc}`../notebooks/04_count` | 5 min | 2 | 3, 60\u00a0min | 12 s |" in minutes
    assert "| {ref}`Topic 2 <exercise-topic-2>` | 04 | Easy | 20 min |" in exercises
    shown = f"{sha256(base64.b64decode(PICTURE)).hexdigest()}.png"
    for piece in (
        shown,
        "04-a-line.svg",
        "04-a-line.png",
        "04_count.html#figure-a-line",
        "A line &amp; a &quot;point&quot;.",
    ):
        assert piece in figures


def test_a_figure_of_a_solution_is_not_given_away():
    made = drawn()
    made.cells[2].metadata["tags"] = ["solution"]
    assert "a-line" not in teaching.figures_text([chapters.read_chapter("04_count", made)])


def test_a_figure_that_was_not_drawn_is_an_error(tmp_path):
    with pytest.raises(chapters.ChapterError, match="'a-line' shows 0 pictures"):
        teaching.write_generated([chapters.read_chapter("04_count", notebook())], tmp_path)


def test_a_sentence_may_stand_for_a_figure_that_these_songs_cannot_show(tmp_path):
    from nbformat.v4 import new_output

    made = notebook()
    made.cells[2].outputs = [new_output("display_data", {"text/markdown": "There is only one song.", "text/plain": ""})]
    chapter = chapters.read_chapter("04_count", made)
    assert "a-line" not in teaching.figures_text([chapter])
    page = "<p>There is only one song.</p>"
    assert teaching.mark_figures(page, chapter, ()) == page


def test_links_lead_to_the_figure_in_its_page_and_from_there_to_a_large_one():
    chapter = chapters.read_chapter("04_count", drawn())
    shown = '<img src="b.png" alt="A line &amp; a &#34;point&#34;."/>'
    page = f'<img src="a.png" alt="Another">{shown}'
    link = '<a class="figure-large" id="figure-a-line" href="../_static/figures/04-a-line.svg">'
    assert teaching.mark_figures(page, chapter, ()) == page.replace(shown, f"{link}{shown}</a>")
    source = '<source media="(max-width: 600px)" srcset="../_static/figures/04-a-line-phone.png">'
    picture = f"{link}<picture>{source}{shown}</picture></a>"
    assert teaching.mark_figures(page, chapter, {"04-a-line-phone.png"}) == page.replace(shown, picture)
    with pytest.raises(chapters.ChapterError, match="figure-a-line"):
        teaching.mark_figures('<img src="a.png" alt="Another">', chapter, ())


@pytest.mark.parametrize("source", chapters.chapter_sources(), ids=lambda path: path.stem)
def test_every_chapter_has_the_form_and_says_how_long_it_takes(source):
    chapter = chapters.read_chapter(source.stem, jupytext.read(source))
    assert abs(chapter.reading - chapter.counted) <= 2, f"counted {chapter.counted:.0f} minutes to read"
    assert chapter.counted < 20, f"counted {chapter.counted:.0f} minutes to read: split it"


@pytest.mark.parametrize("source", chapters.chapter_sources(), ids=lambda path: path.stem)
def test_a_chapter_that_draws_excerpts_by_their_class_says_when_there_are_none(source):
    """The songs may be all sung, or never; see `svdlib.lab.analysis.shortcomings`."""
    cells = [each.source for each in jupytext.read(source).cells if each.cell_type == "code"]
    asks = any("bank.labels(" in code or "frame_labels(" in code for code in cells)
    says = any("display(Markdown(missing))" in code or "display(one_class)" in code for code in cells)
    assert says or not asks


def test_names_are_unique_in_the_book():
    chapters.check_names([chapters.read_chapter(path.stem, jupytext.read(path)) for path in chapters.chapter_sources()])


@pytest.mark.parametrize(
    ("source", "tag", "looked_at"),
    [
        ("a = 1", "", True),
        ("import this\n\n\ndef f():\n    print(1)\n\n\na = f\nfor b in range(3):\n    a = b", "hide-input", False),
        ("a = 1\na", "hide-input", True),
        ("for a in range(3):\n    print(a)", "hide-input", True),
        ("display(1)", "remove-input", True),
        ("1", "hide-cell", False),
        ("seed = 0", "parameters", False),
    ],
)
def test_what_is_folded_and_shows_nothing_takes_no_time_to_read(source, tag, looked_at):
    assert chapters.is_looked_at(cell(source, *filter(None, [tag]))) is looked_at


def test_a_chapter_that_continues_another_stands_behind_it():
    names = [source.stem for source in chapters.chapter_sources()]
    assert names == sorted(names) and "05_qualitative_analysis" in names and "lab" not in names
    numbers = [name.partition("_")[0] for name in names]
    assert all(number[2:] == "" or number[:2] in numbers for number in numbers) and len(set(numbers)) == len(numbers)


def test_what_is_folded_is_not_open_code():
    notebook = nbformat.v4.new_notebook(
        cells=[
            cell("a = 1\n\nb = 2"),
            cell("import this", "hide-input"),
            cell("c = 3", "remove-cell"),
            cell("def f():\n    ...", "exercise"),
            cell("def f():\n    return 1", "solution", "hide-cell"),
            text("Only three words.\n\n## Exercises\n\nMany more words."),
            text("And more."),
        ]
    )
    assert chapters.count_open_lines(notebook) == 4
    assert chapters.count_words(notebook) == 3


def test_the_chapters_show_code_that_teaches_and_fold_the_rest():
    notebooks = {source.stem: jupytext.read(source) for source in chapters.chapter_sources()}
    assert sum(map(chapters.count_open_lines, notebooks.values())) < 900
    for name, notebook in notebooks.items():
        code = [each for each in notebook.cells if each.cell_type == "code"]
        assert not [each for each in code if "NBVAL" in each.source], (
            f"{name}: such a mark is a tag, or the page shows it"
        )
        for each in code[:2]:
            assert chapters.tags_of(each) & chapters.FOLDED, f"{name}: its set-up is open"


def test_open_code_is_no_wider_than_the_page():
    """As much as a column shows on a screen of 1280: what goes beyond is seen by whoever pushes it sideways."""
    wide = []
    for source in chapters.chapter_sources():
        open_cells = [each for each in jupytext.read(source).cells if each.cell_type == "code"]
        open_cells = [each for each in open_cells if not chapters.tags_of(each) & chapters.FOLDED]
        wide += [(source.name, line) for each in open_cells for line in each.source.splitlines() if len(line) > 79]
    for page in (ROOT / "book").glob("*.md"):
        blocks = re.findall(r"^```(?:bash|python|text)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        wide += [(page.name, line) for block in blocks for line in block.splitlines() if len(line) > 79]
    assert not wide


@pytest.mark.parametrize(
    ("text", "fine"),
    [
        ("As {cite:t}`mishra2018` do.", False),
        ("See {doc}`01_model`.", False),
        ("Here $r$ is the correlation.", False),
        ("The sets {a} and `b`, *The round trip*.", True),
        ("It costs $5, or 7 $ in all.", True),
    ],
)
def test_roles_and_formulas_that_a_page_would_show_as_they_are_do_not_stand_in_computed_text(text, fine):
    cell = nbformat.v4.new_code_cell("show()")
    cell.outputs = [nbformat.v4.new_output("display_data", data={"text/markdown": text})]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_markdown_cell("{doc}`01_model`"), cell])
    if fine:
        chapters.check_computed_text("x", notebook)
    else:
        with pytest.raises(chapters.ChapterError, match="x, cell 2: its computed text holds"):
            chapters.check_computed_text("x", notebook)
