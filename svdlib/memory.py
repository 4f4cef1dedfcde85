"""Keeping freed memory in the process, so that a training loop does not ask the system for it again at each step."""

import ctypes
import platform

M_TRIM_THRESHOLD, M_TOP_PAD, M_MMAP_MAX = -1, -2, -4
"""Parameter numbers of glibc's mallopt(3)."""

TOP_PAD_BYTES = 256 * 2**20


def keep_freed_memory() -> bool:
    """Make glibc reuse large freed blocks instead of returning them to the system.

    Each activation of a training step on the CPU is tens of megabytes. By default glibc maps such a block anew at each
    step, and the kernel clears it page by page, which here costs as much as the convolutions. Elsewhere than on
    Linux with glibc nothing is changed.

    Returns:
        Whether the setting was taken.
    """
    if platform.libc_ver()[0] != "glibc":
        return False
    mallopt = ctypes.CDLL(None).mallopt
    return all(
        mallopt(parameter, value) == 1
        for parameter, value in ((M_MMAP_MAX, 0), (M_TRIM_THRESHOLD, 2**31 - 1), (M_TOP_PAD, TOP_PAD_BYTES))
    )
