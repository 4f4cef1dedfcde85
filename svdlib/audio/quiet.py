"""Keep libmpg123 from writing to the terminal."""

import contextlib
import os
import re
import sys
import tempfile
import threading
from collections.abc import Iterator

# "[../src/libmpg123/layer3.c:INT123_do_layer3():1804] error: dequantization failed!", and lines such as
# "Note: Illegal Audio-MPEG-Header 0xffffffff at offset 417." and "Warning: Xing stream size off by more than 1%, ..."
LIBRARY_LINE = re.compile(
    rb"mpg123|Audio-MPEG-Header|Trying to resync|Skipped \d+ bytes|Hit end of .*data|Xing stream size|Frankenstein"
)
_one_at_a_time = threading.Lock()


@contextlib.contextmanager
def quiet_decoder() -> Iterator[None]:
    """Swallow what libmpg123 writes to the standard error output, which cannot be switched off from outside.

    What it has to say comes out as an error or as missing samples, with the name of the file. What others write to the
    same place meanwhile is passed on at the end.
    """
    with _one_at_a_time, contextlib.ExitStack() as stack:
        try:
            kept = os.dup(2)
            stack.callback(os.close, kept)
            written = stack.enter_context(tempfile.TemporaryFile())
        except OSError:  # closed by `2>&-`, or nowhere to write: then there is nothing to keep clean
            yield
            return
        _flush()
        os.dup2(written.fileno(), 2)
        try:
            yield
        finally:
            _flush()
            os.dup2(kept, 2)
            written.seek(0)
            for line in written.read().splitlines(keepends=True):
                if line.strip() and not LIBRARY_LINE.search(line):
                    os.write(2, line)


def _flush() -> None:
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.flush()
