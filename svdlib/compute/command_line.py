"""What all programs of svdlib share: their parser, and how they end, with a status and one line on stderr."""

import argparse
import errno
import math
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn, TextIO

from svdlib.errors import SvdlibError

DONE, FAULT, PUT_RIGHT, INTERRUPTED, TERMINATED = 0, 1, 2, 130, 143
DEBUG_VARIABLE = "SVDLIB_DEBUG"


class UsageError(SvdlibError):
    """A command line that is not understood."""


class Terminated(BaseException):
    """SIGTERM, which Slurm, Docker and systemd send before they kill."""


def run_safely(act: Callable[[], int | None], *, resumable: bool) -> int:
    """Do something and turn every way to fail into a sentence on stderr and an exit status.

    With SVDLIB_DEBUG=1 in the environment exceptions pass through, with their tracebacks.

    Args:
        act: what to do; a status that it returns becomes the exit status.
        resumable: whether `--resume` goes on with it after Ctrl-C or SIGTERM.
    """
    try:
        _check_surroundings()
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            try:
                with _termination_told():
                    status = act()
            finally:
                sys.stdout.flush()  # here, and not when Python exits, a closed pipe can be met
    except BrokenPipeError:
        # The reader, such as `head`, has had enough. Python would try to say the rest when it exits.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return DONE
    except (KeyboardInterrupt, Terminated) as reason:
        interrupted = isinstance(reason, KeyboardInterrupt)
        remedy = "the same command with --resume goes on" if resumable else "run the command again"
        _say(f"{'Interrupted' if interrupted else 'Ended by SIGTERM'}; {remedy}.")
        return INTERRUPTED if interrupted else TERMINATED
    except Exception as error:
        if os.environ.get(DEBUG_VARIABLE):
            raise
        status, sentence = explain(error)
        _say(f"error: {sentence}")
        return status
    return status or DONE


def _check_surroundings() -> None:
    """Make sure that there is something to print to, and a place to be in.

    Raises:
        UsageError: there is not.
    """
    # A number of 0 to 2 that is free would be given to the next file, and be written to by whoever means a stream.
    while (free := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(free, True)
    os.close(free)
    sys.stdin = sys.stdin or open(os.devnull)  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w")  # noqa: SIM115
    if sys.stdout is None:
        raise UsageError("stdout is closed, and results are printed there. Let it lead to a file.")
    try:
        os.getcwd()
    except OSError as error:
        raise UsageError(f"The working folder is gone ({error.strerror}). Change to another one with cd.") from error


@contextmanager
def _termination_told() -> Iterator[None]:
    """Let SIGTERM leave the block as an exception, so that what is unfinished is tidied away.

    Not where torchrun has started several processes: it ends all when one fails, and they may be waiting for it.
    """
    usual = signal.getsignal(signal.SIGTERM) is signal.SIG_DFL and "WORLD_SIZE" not in os.environ
    if not usual or threading.current_thread() is not threading.main_thread():
        yield
        return

    def end(signum: int, frame: Any) -> NoReturn:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # a second one need not wait
        raise Terminated

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def explain(error: Exception) -> tuple[int, str]:
    """The exit status and the sentence for an exception."""
    text = " ".join(str(error).split())
    if isinstance(error, SvdlibError):
        return PUT_RIGHT, text
    if type(error).__name__ == "OutOfMemoryError":
        return PUT_RIGHT, "The GPU's memory is full. Free it, or use --device cpu."
    if isinstance(error, MemoryError) or "can't allocate memory" in text:
        return PUT_RIGHT, "There is not enough memory. Close other programs, or take fewer or shorter songs."
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return PUT_RIGHT, f"The disk is full{_where(error)}. Free some space; finished files are whole."
    if isinstance(error, OSError) and error.strerror:
        return PUT_RIGHT, f"{error.strerror}{_where(error)}. Check the path and its permissions."
    if isinstance(error, ModuleNotFoundError) and error.name and not error.name.startswith("svdlib"):
        return PUT_RIGHT, f"The package {error.name} is not installed. Add it with: pip install {error.name}"
    return FAULT, (
        f"this is a fault in svdlib, please report it with your command ({type(error).__name__}: {text}). "
        f"{DEBUG_VARIABLE}=1 shows where it happened."
    )


def _where(error: OSError) -> str:
    return f": {error.filename}" if error.filename else ""


def _show_warning(
    message: Warning | str,
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,
    line: str | None = None,
) -> None:
    if issubclass(category, UserWarning):
        _say(f"warning: {' '.join(str(message).split())}")


def _say(text: str) -> None:
    with suppress(OSError):  # a log on a full disk must change neither what is done nor the exit status
        print(f"svdlib: {text}", file=sys.stderr)


class Parser(argparse.ArgumentParser):
    """A parser whose errors are SvdlibErrors: one line, as all others.

    No path may be empty, as an unset variable of a shell leaves it: Python would take it for the working folder.
    Options that take a list may stand before a positional argument: `--layers fc8 song.mp3` names one layer and a song.
    """

    def __init__(self, **options: Any) -> None:
        options.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        super().__init__(allow_abbrev=False, **options)
        self._lists: dict[str, Collection[str]] = {}
        self.register("type", Path, _named_path)

    def add_list(self, option: str, known: Collection[str], **settings: Any) -> None:
        """Add an option that takes one word or more.

        Args:
            option: such as "--layers".
            known: words that belong to the list for sure.
            settings: as `add_argument` takes them.
        """
        self.add_argument(option, nargs="+", **settings)
        self._lists[option] = known

    def parse_known_args(self, args: Iterable[str] | None = None, namespace: Any = None) -> Any:  # type: ignore[override]
        """As argparse does it, but a list that has taken a positional argument gives it back."""
        words = list(sys.argv[1:] if args is None else args)
        try:
            return super().parse_known_args(words, namespace)
        except UsageError:
            again = self._without_what_lists_took(words)
            if again is None:
                raise
            return super().parse_known_args(again, namespace)

    def _without_what_lists_took(self, words: list[str]) -> list[str] | None:
        """The words with the last one of a list in front, if it may be a positional argument; None if none may."""
        for option in [word for word in words if word in self._lists]:
            begin = words.index(option) + 1
            end = next((place for place in range(begin, len(words)) if words[place].startswith("-")), len(words))
            if end - begin > 1 and words[end - 1] not in self._lists[option]:
                return [words[end - 1], *words[: end - 1], *words[end:]]
        return None

    def error(self, message: str) -> NoReturn:
        """Raise UsageError instead of printing the usage."""
        raise UsageError(f"{message}. See: {self.prog} --help")


def in_short(document: str | None) -> str | None:
    """The first paragraph of a module's docstring, for its program's help; None if `python -OO` took the docstring."""
    return document and document.split("\n\n")[0]


def _named_path(text: str) -> Path:
    if not text:
        raise argparse.ArgumentTypeError("the name is empty; a point, '.', names the working folder")
    return Path(text)


def number_type(kind: type, smallest: float = -math.inf, largest: float = math.inf) -> Callable[[str], float]:
    """A reader of whole (int) or other (float) numbers from the smallest up to the largest."""
    wanted = "a whole number" if kind is int else "a number"
    if largest < math.inf:
        wanted += f" from {smallest} to {largest}"
    elif smallest > -math.inf:
        wanted += f" of {smallest} or more"

    def read(text: str) -> float:
        try:
            number = kind(text)
        except ValueError:
            number = None
        if number is None or not smallest <= number <= largest:
            raise argparse.ArgumentTypeError(f"{text!r} is not {wanted}")
        return number

    return read


def fit_for_json(value: Any, digits: int | None = None) -> Any:
    """Make a value fit for JSON: null where a number is not finite, tuples as lists.

    Args:
        value: made of dictionaries, lists, tuples and plain values.
        digits: round numbers to so many after the point; None leaves them.
    """
    if isinstance(value, dict):
        return {key: fit_for_json(item, digits) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [fit_for_json(item, digits) for item in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return value if digits is None else round(value, digits)
