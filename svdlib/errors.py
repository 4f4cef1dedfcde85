"""The errors a user can meet. Each message names the offending value and the remedy."""

from pathlib import Path

QUOTED = 80  # characters: a message is read on a terminal


def quoted(value: object) -> str:
    """A value from elsewhere in quotes, for a message; cut where it is long."""
    text = repr(value)
    return text if len(text) <= QUOTED else f"{text[:QUOTED]}..."


def path_of(value: object, what: str, error: "type[SvdlibError]") -> Path:
    """The path that somebody has given; `error` if the value is of a kind that is none."""
    try:
        return Path(value)  # type: ignore[arg-type]
    except TypeError as reason:
        kind = type(value).__name__
        raise error(f"{what} is named by its path, not by a value of type {kind}; give the path") from reason


class SvdlibError(Exception):
    """Base of all errors that svdlib raises on purpose; the command line prints the message and exits with 2."""


class AudioError(SvdlibError):
    """A sound file that is missing, unreadable, damaged or unusable."""


class CorpusError(SvdlibError):
    """A corpus that does not exist, is incomplete or is described wrongly."""


class LabelError(CorpusError):
    """A label file that breaks the format."""


class DownloadError(CorpusError):
    """A file that cannot be fetched, or that is not the one that was asked for."""


class ArchiveError(CorpusError):
    """An archive that is damaged, or that would write where it must not."""


class InputError(SvdlibError, ValueError):
    """An array or a setting that a function cannot work with."""


class LayerError(InputError):
    """A layer or inverter variant that does not exist, or a feature of the wrong shape for it."""


class WeightsError(SvdlibError):
    """A weights file that is missing, damaged, or made for another layer or version."""


class DeviceError(SvdlibError, ValueError):
    """A computing device that is not there."""


class OutputError(SvdlibError):
    """A file or folder that cannot be written."""


class TrainingError(SvdlibError):
    """A training run that cannot start, go on or be resumed as asked."""


class PlanError(TrainingError, InputError):
    """A plan, profile or objective that does not exist or makes no sense."""


class OptimisationError(InputError):
    """An inversion by optimisation that cannot start or go on."""


class PackageError(SvdlibError):
    """A package that only a part of svdlib needs, and that is not installed."""


class QuizError(InputError):
    """A question that cannot be asked as it is written."""
