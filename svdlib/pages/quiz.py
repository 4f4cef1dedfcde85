"""Questions with several answers, one of them right, for pages without any program behind them.

A question is a form and a style sheet: choosing an answer shows its comment. So it works in a notebook, in a page from
the disk, without scripts and with the keyboard. All of it is our own.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from itertools import count

from svdlib.errors import QuizError

_numbers = count(1)
"""Tells one quiz of a page from another."""

SHEET = """<style>
.svdlib-quiz fieldset {border: 1px solid rgb(128 128 128 / 60%); border-radius: 4px; margin: 0 0 1rem;
  padding: 0.5rem 1rem; min-width: 0; color: inherit}
.svdlib-quiz legend {float: left; width: 100%; font-size: 1rem; font-weight: 600; padding: 0; margin: 0 0 0.4rem}
.svdlib-quiz .svdlib-choice {clear: left; display: grid; grid-template-columns: auto 1fr; gap: 0 0.6rem;
  padding: 0.25rem 0}
.svdlib-quiz input {margin: 0.3rem 0 0; width: 1.1rem; height: 1.1rem}
.svdlib-quiz label {margin: 0; cursor: pointer}
.svdlib-quiz .svdlib-comment {grid-column: 2}
.svdlib-quiz .svdlib-comment > span {display: none; border-left: 4px solid #d55e00; padding-left: 0.6rem}
.svdlib-quiz .svdlib-right > .svdlib-comment > span {border-color: #009e73}
.svdlib-quiz input:checked ~ .svdlib-comment > span {display: block}
</style>"""


@dataclass(frozen=True)
class Answer:
    """One of the answers to choose from.

    Attributes:
        text: the answer; `code` stands in backticks.
        comment: why it is right or wrong; shown to who chooses it.
        right: whether it is the right one.
    """

    text: str
    comment: str
    right: bool = False


@dataclass(frozen=True)
class Question:
    """A question and the answers to choose from.

    Attributes:
        text: the question; `code` stands in backticks.
        answers: two or more, exactly one of them right, in any order.

    Raises:
        QuizError: if there are fewer answers, not exactly one right one, two alike, or one without a comment.
    """

    text: str
    answers: Sequence[Answer]

    def __post_init__(self) -> None:
        texts = {answer.text for answer in self.answers}
        n_right = sum(answer.right for answer in self.answers)
        if n_right != 1 or len(texts) < 2 or len(texts) < len(self.answers):
            raise QuizError(
                f"{self.text!r} needs two or more different answers, one of them right; it has {len(texts)} different "
                f"ones, and {n_right} right."
            )
        if silent := [answer.text for answer in self.answers if not answer.comment]:
            raise QuizError(f"{self.text!r}: the answer {silent[0]!r} needs a comment.")

    @property
    def shuffled(self) -> list[Answer]:
        """The answers in an order that gives nothing away and is the same each time."""
        return sorted(self.answers, key=lambda answer: sha256((self.text + answer.text).encode()).digest())


class Quiz:
    """Questions, one below the other. Notebooks show them as they are."""

    def __init__(self, *questions: Question) -> None:
        """Take the questions in the order in which they are asked.

        Raises:
            QuizError: if there is none.
        """
        if not questions:
            raise QuizError("A quiz needs a question.")
        self.questions = questions
        self.number = next(_numbers)

    def __repr__(self) -> str:
        return "\n\n".join(
            "\n".join([question.text, *(f"  ( ) {answer.text}" for answer in question.shuffled)])
            for question in self.questions
        )

    def _repr_html_(self) -> str:
        parts = [self._question_html(place, question) for place, question in enumerate(self.questions, start=1)]
        return f'{SHEET}<div class="svdlib-quiz">{"".join(parts)}</div>'

    def _question_html(self, place: int, question: Question) -> str:
        name = f"svdlib-question-{self.number}-{place}"
        choices = [
            f'<div class="svdlib-choice{" svdlib-right" if answer.right else ""}">'
            f'<input type="radio" name="{name}" id="{name}-{number}">'
            f'<label for="{name}-{number}">{_text(answer.text)}</label>'
            # The region is there from the start, and its text appears: so who listens to the page is told.
            '<div class="svdlib-comment" aria-live="polite"><span>'
            f"<strong>{'Right.' if answer.right else 'No.'}</strong> {_text(answer.comment)}</span></div></div>"
            for number, answer in enumerate(question.shuffled, start=1)
        ]
        return f"<fieldset><legend>{place}. {_text(question.text)}</legend>{''.join(choices)}</fieldset>"


def _text(text: str) -> str:
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))
