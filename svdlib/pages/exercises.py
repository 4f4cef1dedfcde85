"""Self-checks of exercises: they try a student's answer on known cases and say in a sentence what is wrong.

A check is a plain function that asserts; `self_check` turns it into one that never stops a notebook: it returns a
`Verdict`, which notebooks show. All of it is our own.
"""

import inspect
import re
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import wraps
from html import escape
from types import EllipsisType, FunctionType
from typing import Any

VERDICT = "svdlib_verdict"
"""The entry in an output's metadata by which a program that reads an executed notebook finds the verdicts."""

SHEET = """<style>
.svdlib-verdict {border-left: 4px solid; padding: 0.2rem 0.8rem; margin: 0.5rem 0; color: inherit}
.svdlib-verdict.svdlib-passed {border-color: #009e73}
.svdlib-verdict.svdlib-open {border-color: #d55e00}
</style>"""


@dataclass(frozen=True)
class Verdict:
    """What a check says about an answer; the last line of a cell shows it.

    Attributes:
        check: name of the check.
        passed: whether the answer is right.
        message: a sentence for the student.
    """

    check: str
    passed: bool
    message: str

    def __str__(self) -> str:
        return f"{'Right' if self.passed else 'Not yet'}. {self.message}".strip()

    def _repr_mimebundle_(self, include: Any = None, exclude: Any = None) -> tuple[dict[str, Any], dict[str, Any]]:
        kind = "svdlib-passed" if self.passed else "svdlib-open"
        word, sign = ("Right.", "✓") if self.passed else ("Not yet.", "✗")
        start = f'<strong><span aria-hidden="true">{sign} </span>{word}</strong>'
        data = {
            "text/plain": str(self),
            "text/html": f'{SHEET}<p class="svdlib-verdict {kind}">{start} {escape(self.message)}</p>',
        }
        return data, {VERDICT: {"check": self.check, "passed": self.passed}}


NOTHING_CHECKED = (
    "Nothing was checked: Python was started with -O or with the variable PYTHONOPTIMIZE, and leaves out all checks. "
    "Start it without."
)


class _Unanswered(Exception):
    """A part of the answer is still as empty as it was given."""


def self_check(check: Callable[..., str | None]) -> Callable[..., Verdict]:
    """Let a check return a `Verdict` in place of raising, whatever the answer does.

    The check gets the student's answer: functions, or values. Its assertions carry sentences for the student; it may
    return one more for who is right. An answer counts as not given yet if it, or what a function of it returns, is
    None or an ellipsis. Where Python leaves assertions out, nothing passes.
    """

    @wraps(check)
    def checked(*answers: Any) -> Verdict:
        if not __debug__:
            return Verdict(check.__name__, False, NOTHING_CHECKED)
        try:
            parts = [f"Part {n} of your answer" for n, _ in enumerate(answers, start=1)]
            message = check(*map(_answered, answers, parts if len(parts) > 1 else ["Your answer"]))
        except _Unanswered as reason:
            return Verdict(check.__name__, False, str(reason))
        except AssertionError as reason:
            return Verdict(check.__name__, False, str(reason) or "This is not the result that was asked for.")
        except Exception as error:
            said = _no_function(error, check, answers) or _say(error, check.__name__)
            return Verdict(check.__name__, False, said)
        return Verdict(check.__name__, True, message or "")

    return checked


def _answered(answer: Any, name: str) -> Any:
    """Pass an answer on, unless it is empty; what its function returns is looked at when it is called."""
    if _is_empty(answer):
        raise _Unanswered(f"{name} is still empty.")
    if not isinstance(answer, FunctionType):
        return answer

    @wraps(answer)
    def called(*arguments: Any, **options: Any) -> Any:
        result = answer(*arguments, **options)
        if _is_empty(result):
            raise _Unanswered(f"{answer.__name__} gives nothing back so far: write its body, and return the result.")
        return result

    return called


def _is_empty(value: Any) -> bool:
    return value is None or isinstance(value, EllipsisType)


def _no_function(error: Exception, check: Callable[..., Any], answers: Sequence[Any]) -> str | None:
    """What a check wants that was given a value and called it: the function itself. None if that was not the fault."""
    called = re.fullmatch(r"'([\w.]+)' object is not callable", str(error)) if isinstance(error, TypeError) else None
    names = list(inspect.signature(check).parameters)
    for name, answer in zip(names, answers, strict=False):
        if called and not callable(answer) and type(answer).__name__ == called[1].rpartition(".")[2]:
            given = repr(answer) if isinstance(answer, int | float | str | bool) else f"a {type(answer).__name__}"
            return (
                f"This check wants the function `{name}`, to call it with values of its own, and it was given {given}. "
                f"Write `{check.__name__}({', '.join(names)})`."
            )
    return None


def _say(error: Exception, check: str) -> str:
    """Name an error and the line of the answer where it arose: the last one that lies in a cell of a notebook."""
    frames = traceback.extract_tb(error.__traceback__)
    cells = [frame for frame in frames if "ipykernel" in frame.filename or frame.filename.startswith("<")]
    where = f" in line {cells[-1].lineno} of its cell" if cells and cells[-1].name != check else ""
    return f"Your answer stopped with {type(error).__name__}{where}: {error}"
