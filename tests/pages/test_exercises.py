"""Self-checks of exercises: whatever an answer does, the student reads a sentence and the notebook goes on."""

import subprocess
import sys
from html.parser import HTMLParser

import pytest
from places import CHILDREN_PATH, ROOT

from svdlib.pages.exercises import VERDICT, Verdict, self_check


@self_check
def check_double(double):
    """Whether it doubles."""
    for number in (0, 3):
        assert double(number) == 2 * number, f"Twice {number} is {2 * number}, not {double(number)}."
    return "Numbers are easy."


@self_check
def check_both(first, second):
    assert first == second


def compile_check(source):
    """A check that pytest does not rewrite, as in a notebook."""
    names = {}
    exec(source, names)
    return names.popitem()[1]


def test_the_right_answer_passes_with_the_words_of_the_check():
    verdict = check_double(lambda number: number + number)
    assert verdict == Verdict("check_double", True, "Numbers are easy.")
    assert str(verdict) == "Right. Numbers are easy."
    assert check_double.__name__ == "check_double" and check_double.__doc__ == "Whether it doubles."
    assert str(check_both(1, 1)) == "Right."


def test_a_wrong_answer_reads_the_sentence_of_the_assertion():
    # Where pytest runs it, an assertion adds lines of its own.
    assert str(check_double(lambda number: number)).splitlines()[0] == "Not yet. Twice 3 is 6, not 3."
    assert not check_both(1, 2).passed
    silent = self_check(compile_check("def check_silent(answer):\n    assert answer == 1\n"))
    assert str(silent(2)) == "Not yet. This is not the result that was asked for."


def unwritten(number): ...


@pytest.mark.parametrize(
    ("verdict", "words"),
    [
        (lambda: check_double(unwritten), "unwritten gives nothing back so far"),
        (lambda: check_double(lambda number: ...), "gives nothing back so far"),
        (lambda: check_double(None), "Your answer is still empty."),
        (lambda: check_both(1, ...), "Part 2 of your answer is still empty."),
    ],
)
def test_an_untouched_stub_does_not_pass(verdict, words):
    assert not verdict().passed and words in verdict().message


def test_an_empty_answer_is_not_taken_for_an_equal_one():
    assert not check_both(None, None).passed


def test_an_error_is_a_sentence_that_names_the_line_of_the_answer():
    cell = compile("def double(number):\n    half = number\n    return half / 0\n", "/tmp/ipykernel_1/1.py", "exec")
    names = {}
    exec(cell, names)
    verdict = check_double(names["double"])
    assert verdict.message == "Your answer stopped with ZeroDivisionError in line 3 of its cell: division by zero"


@pytest.mark.parametrize(("answer", "given"), [(4.82, "4.82"), (3, "3"), ("double", "'double'"), ([1, 2], "a list")])
def test_a_value_in_place_of_a_function_reads_what_is_wanted(answer, given):
    assert check_double(answer).message == (
        "This check wants the function `double`, to call it with values of its own, and it was given "
        f"{given}. Write `check_double(double)`."
    )


def test_a_number_that_the_answer_itself_calls_is_told_as_an_error_of_the_answer():
    assert "stopped with TypeError" in check_double(lambda number: number()).message


WRONG_ANSWER = """from svdlib.pages.exercises import self_check

@self_check
def check_double(double):
    assert double(2) == 4, "Twice 2 is 4."

print(check_double(lambda number: 0))
"""


@pytest.mark.parametrize(("flag", "said"), [([], "Not yet. Twice 2 is 4."), (["-O"], "Not yet. Nothing was checked")])
def test_nothing_passes_where_python_leaves_assertions_out(flag, said):
    environment = {"PYTHONPATH": CHILDREN_PATH, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *flag, "-c", WRONG_ANSWER]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=environment, cwd=ROOT)
    assert done.stdout.startswith(said)


def test_what_stops_a_program_is_not_swallowed():
    def interrupted(number):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check_double(interrupted)


def test_a_notebook_shows_the_verdict_and_programs_can_read_it():
    shown, metadata = Verdict("check_x", False, "a < b & c")._repr_mimebundle_()
    assert shown["text/plain"] == "Not yet. a < b & c"
    assert metadata[VERDICT] == {"check": "check_x", "passed": False}
    text = []
    parser = HTMLParser()
    parser.handle_data = text.append
    parser.feed(shown["text/html"].partition("</style>")[2])
    assert "".join(text) == "✗ Not yet. a < b & c"
