"""Folders that one process works in at a time.

The lock is the operating system's, on a file in the folder. It ends with the process that holds it, also after kill -9:
a file that stays behind then means nothing by itself.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from svdlib.errors import OutputError, SvdlibError


@contextmanager
def locked(path: Path, taken: SvdlibError) -> Iterator[None]:
    """Hold the lock on a file inside the block.

    Args:
        path: the file; it is made, with the folders above it, where it is missing.
        taken: what to raise where another process holds the lock, or another block in this one.

    Raises:
        OutputError: if the file cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()  # apart from locking, so that no right to write is not taken for no locks
        lock.acquire()
    except Timeout:
        raise taken from None
    except (OSError, NotImplementedError) as error:
        if not path.is_file() or isinstance(error, PermissionError):
            reason = getattr(error, "strerror", None) or error
            raise OutputError(f"Cannot write {path}: {reason}. Choose a folder you may write to.") from error
        warnings.warn(f"{path}: no locks here ({error}); nothing notices two processes in one folder.", stacklevel=3)
    try:
        yield
    finally:
        with suppress(OSError):
            path.unlink()  # before the release: whoever waits for this very file sees that it is gone, and is refused
        lock.release()
