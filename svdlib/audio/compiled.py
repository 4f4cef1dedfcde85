"""librosa, also where nobody may write: beside its files, and in a home folder."""

import atexit
import functools
import shutil
import tempfile
from types import ModuleType


@functools.cache
def import_librosa() -> ModuleType:
    """Import librosa, which compiles some of its functions and keeps what comes out in a file.

    Where there is no folder for that, as in a container whose user has no home, librosa cannot be imported. Then it is
    given one for as long as this process lives, for itself alone, since what is kept there is unpickled.
    """
    import librosa

    try:
        librosa.griffinlim  # noqa: B018  # librosa loads its parts when they are first named
    except RuntimeError:
        import numba

        folder = tempfile.mkdtemp(prefix="svdlib-")
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        numba.config.CACHE_DIR = folder  # type: ignore[attr-defined]
        librosa.griffinlim  # noqa: B018
    return librosa
