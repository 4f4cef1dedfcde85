"""Grading: points for what passes its check, none for the rest, whatever a notebook does."""

import asyncio
import os
import re
import signal
import subprocess
import sys
import time

import nbformat
import pytest
from places import ROOT

from svdlib.cli import main
from svdlib.errors import InputError
from svdlib.pages import grading

CHECK = """from svdlib.pages.exercises import self_check

@self_check
def check_even(double):
    assert double(2) == 4, "Twice 2 is 4."

@self_check
def check_odd(double):
    assert double(3) == 6, "Twice 3 is 6."
"""


def marked(source, grade_id, points=None, **marks):
    metadata = {"grade": False, "locked": False, "solution": False, "task": False, "schema_version": 3} | marks
    metadata |= {"grade_id": grade_id, "cell_type": "code"} | ({} if points is None else {"points": points})
    return nbformat.v4.new_code_cell(source, metadata={"nbgrader": metadata})


def sheet(answer, check=CHECK, before=()):
    """A worksheet with one exercise, worth 2 and 3 points, and one cell that a person reads."""
    return nbformat.v4.new_notebook(
        cells=[
            *before,
            nbformat.v4.new_markdown_cell("### Exercise 1: Doubling\n\nWrite `double`."),
            marked(check, "exercise-double-check", locked=True),
            marked(answer, "exercise-double", solution=True),
            marked("verdict = check_even(double)\nverdict", "exercise-double-1", 2, grade=True, locked=True),
            marked("verdict = check_odd(double)\nverdict", "exercise-double-2", 3, grade=True, locked=True),
            marked("...", "exercise-claim", 7, grade=True, solution=True),
        ]
    )


@pytest.fixture
def graded(tmp_path):
    def run(notebook, key=None, seconds=60):
        nbformat.write(notebook, tmp_path / "student.ipynb")
        if key is not None:
            nbformat.write(key, tmp_path / "key.ipynb")
        return grading.grade(tmp_path / "student.ipynb", key and tmp_path / "key.ipynb", seconds)

    return run


def points(marks):
    return [mark.points for mark in marks]


RIGHT = "def double(n):\n    return 2 * n"


def test_what_passes_its_check_earns_its_points_and_a_person_gives_the_rest(graded):
    marks = graded(sheet("def double(n):\n    return n + 2"))
    assert points(marks) == [2, 0, 0] and [mark.by_hand for mark in marks] == [False, False, True]
    assert [mark.title for mark in marks] == ["Doubling"] * 3
    assert not grading.all_right(marks)
    text = grading.summary(marks)
    assert text[0].split() == ["Doubling", "2", "of", "5"] and text[1].strip() == "Not yet. Twice 3 is 6."
    assert text[2:] == ["Points: 2 of 5", "Up to 7 more are given by hand, by the rubric."]


@pytest.mark.slow
def test_checks_assert_also_where_a_variable_leaves_assertions_out(graded, monkeypatch):
    monkeypatch.setenv("PYTHONOPTIMIZE", "1")
    assert points(graded(sheet("def double(n):\n    return n + 2"))) == [2, 0, 0]
    assert points(graded(sheet(RIGHT))) == [2, 3, 0]


@pytest.mark.slow
def test_checks_that_a_student_changed_are_those_of_the_key(graded):
    easy = CHECK.replace("double(2) == 4", "True").replace("double(3) == 6", "True")
    wrong = "def double(n):\n    return 0\n\ncheck_odd = check_even = lambda answer: 'Right.'"
    assert points(graded(sheet("def double(n):\n    return 0", easy))) == [2, 3, 0]
    assert points(graded(sheet(wrong, easy), sheet(RIGHT))) == [0, 0, 0]
    assert points(graded(sheet(RIGHT, easy), sheet(RIGHT))) == [2, 3, 0]


@pytest.mark.slow
def test_an_endless_loop_costs_its_own_points_and_an_error_elsewhere_costs_none(graded):
    endless = "def double(n):\n    while n == 2:\n        pass\n    return 2 * n"
    broken = nbformat.v4.new_code_cell("1 / 0")
    marks = graded(sheet(endless, before=[broken]), seconds=3)
    assert points(marks) == [0, 3, 0]
    assert marks[0].said.startswith("Not yet.")


@pytest.mark.slow
@pytest.mark.parametrize(("signum", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_grading_that_is_ended_says_so_and_leaves_no_kernel(tmp_path, signum, status):
    waiting = "import os, pathlib, time\npathlib.Path({!r}).write_text(str(os.getpid()))\ntime.sleep(600)"
    notebook, kernel = tmp_path / "student.ipynb", tmp_path / "kernel"
    nbformat.write(sheet(waiting.format(str(kernel))), notebook)
    command = [sys.executable, "-m", "svdlib", "grade", str(notebook)]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    deadline = time.monotonic() + 120
    while not (kernel.exists() and kernel.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    child.send_signal(signum)
    out, said = child.communicate(timeout=120)
    assert (child.returncode, out) == (status, "")
    assert re.fullmatch(r"svdlib: (Interrupted|Ended by SIGTERM); run the command again\.\n", said)
    with pytest.raises(ProcessLookupError):
        os.kill(int(kernel.read_text()), 0)


@pytest.mark.slow
def test_a_notebook_grades_notebooks(tmp_path):
    """Where an event loop runs already."""

    async def inside():
        nbformat.write(sheet(RIGHT), tmp_path / "student.ipynb")
        return grading.grade(tmp_path / "student.ipynb")

    assert points(asyncio.run(inside())) == [2, 3, 0]


@pytest.mark.slow
def test_a_cell_that_was_deleted_earns_nothing(graded):
    lacking = sheet(RIGHT)
    del lacking.cells[3]
    marks = graded(lacking, sheet(RIGHT))
    assert points(marks) == [0, 3, 0] and marks[0].said == "The cell exercise-double-1 is missing."


@pytest.mark.slow
def test_the_command_ends_with_1_on_a_wrong_answer_and_0_on_right_ones(tmp_path, capsys):
    for answer, status in ((RIGHT, 0), ("double = ...", 1)):
        nbformat.write(sheet(answer), tmp_path / "student.ipynb")
        before = (tmp_path / "student.ipynb").read_bytes()
        assert main(["grade", str(tmp_path / "student.ipynb")]) == status
        assert (tmp_path / "student.ipynb").read_bytes() == before
    assert "Points: 5 of 5" in (said := capsys.readouterr().out) and "Points: 0 of 5" in said


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("none.ipynb", None, "No such file"),
        ("text.ipynb", "a text", "is not a notebook"),
        ("other.ipynb", '{"cells": 3}', "is not a notebook"),
        ("plain.ipynb", nbformat.writes(nbformat.v4.new_notebook()), "no cell of this notebook has points"),
    ],
)
def test_what_is_no_worksheet_is_named(tmp_path, capsys, name, content, words):
    if content is not None:
        (tmp_path / name).write_text(content)
    with pytest.raises(InputError, match=words):
        grading.grade(tmp_path / name)
    assert main(["grade", str(tmp_path / name)]) == 2
    said = capsys.readouterr().err
    assert name in said and len(said.splitlines()) == 1


@pytest.mark.parametrize("points", [None, "abc", float("nan"), -5, 1e308, [2], {}])
def test_points_that_cannot_be_counted(tmp_path, capsys, points):
    notebook = sheet(RIGHT)
    notebook.cells[3].metadata["nbgrader"]["points"] = points
    (tmp_path / "student.ipynb").write_text(nbformat.writes(notebook))
    assert main(["grade", str(tmp_path / "student.ipynb")]) == 2
    assert "student.ipynb: the cell 'exercise-double-1' has" in capsys.readouterr().err


@pytest.mark.parametrize("marks", ["a text", ["a list"], {"grade": True}, {"grade": True, "grade_id": [1]}])
def test_marks_that_are_none(tmp_path, capsys, marks):
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("1", metadata={"nbgrader": marks})])
    (tmp_path / "student.ipynb").write_text(nbformat.writes(notebook))
    assert main(["grade", str(tmp_path / "student.ipynb")]) == 2
    assert "no cell of this notebook has points" in capsys.readouterr().err


@pytest.mark.slow
def test_verdicts_that_come_late_count(graded, monkeypatch):
    from nbclient import NotebookClient

    poll = NotebookClient._async_poll_output_msg

    async def late(self, *arguments):
        await asyncio.sleep(6)
        return await poll(self, *arguments)

    monkeypatch.setattr(NotebookClient, "_async_poll_output_msg", late)
    assert points(graded(sheet(RIGHT))) == [2, 3, 0]


def test_a_pipe_or_a_device_is_no_worksheet_and_nobody_waits(tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe.ipynb")
    for path in (tmp_path / "pipe.ipynb", "/dev/zero"):
        assert main(["grade", str(path)]) == 2
        assert f"{path}: it is a folder, pipe or device, not a plain file" in capsys.readouterr().err


def test_what_students_get_has_neither_solutions_nor_hidden_tests():
    source = (
        "def f(x):\n    ...\n\n\n### BEGIN SOLUTION\ndef f(x):\n    return x\n### END SOLUTION\n"
        "check\n    ### BEGIN HIDDEN TESTS\n    assert f(1)\n    ### END HIDDEN TESTS\nverdict"
    )
    assert grading.without_solutions(source) == "def f(x):\n    ...\n\n\ncheck\nverdict"
