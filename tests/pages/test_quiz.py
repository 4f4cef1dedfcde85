"""Quizzes: what cannot be asked is refused, and the page that is made shows a comment for each choice."""

import re

import pytest

from svdlib.errors import QuizError
from svdlib.pages.quiz import Answer, Question, Quiz

RIGHT = Answer("25 frames & more", "Count the `strides`.", right=True)
WRONG = Answer("3 frames", "That is Conv1.")
ANOTHER = Answer("115 frames", "That is the whole excerpt.")
QUESTION = Question("How far does `mp6` see?", [RIGHT, WRONG, ANOTHER])


@pytest.mark.parametrize(
    "answers",
    [[], [RIGHT], [WRONG, ANOTHER], [RIGHT, Answer("both", "No.", right=True)], [RIGHT, WRONG, WRONG]],
)
def test_a_question_has_two_or_more_answers_and_one_right_one(answers):
    with pytest.raises(QuizError, match="How far"):
        Question("How far?", answers)


def test_every_answer_says_why_and_a_quiz_asks_something():
    with pytest.raises(QuizError, match="'4 frames' needs a comment"):
        Question("How far?", [RIGHT, Answer("4 frames", "")])
    with pytest.raises(QuizError, match="needs a question"):
        Quiz()


def test_the_order_does_not_depend_on_who_wrote_it_down_and_moves_the_right_answer_about():
    assert QUESTION.shuffled == Question(QUESTION.text, [ANOTHER, RIGHT, WRONG]).shuffled
    places = {Question(f"Question {n}?", [RIGHT, WRONG, ANOTHER]).shuffled.index(RIGHT) for n in range(20)}
    assert places == {0, 1, 2}


def test_each_choice_has_its_label_and_its_comment():
    quizzes = [Quiz(QUESTION, Question("And what then?", [RIGHT, WRONG])) for _ in range(2)]
    pages = [quiz._repr_html_().partition("</style>")[2] for quiz in quizzes]
    page = "".join(pages)
    inputs = re.findall(r'<input type="radio" name="([^"]+)" id="([^"]+)">', page)
    assert len(inputs) == 10 and len({name for name, _ in inputs}) == 4 and len({own for _, own in inputs}) == 10
    assert re.findall(r'<label for="([^"]+)">', page) == [own for _, own in inputs]
    assert page.count("25 frames &amp; more") == 4 and page.count("Count the <code>strides</code>.") == 4
    assert page.count("<strong>Right.</strong>") == 4 and page.count("<strong>No.</strong>") == 6
    assert "( ) 3 frames" in repr(quizzes[0])
