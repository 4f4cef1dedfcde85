"""Memory of a training run: keeping what is freed for the next step, and how much was needed at most."""

import ctypes
import platform
from dataclasses import dataclass

import torch

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


@dataclass(frozen=True)
class PeakMemory:
    """The most memory that this process has held so far.

    Attributes:
        host: bytes of main memory; None where the system does not tell.
        device: bytes of the GPU's memory; None where the run had no GPU.
    """

    host: int | None
    device: int | None

    def __str__(self) -> str:
        parts = {"": self.host, " on the GPU": self.device}
        known = [f"{number / 1e9:.1f} GB{place}" for place, number in parts.items() if number is not None]
        return " and ".join(known) or "unknown"


def peak_memory(device: torch.device) -> PeakMemory:
    """How much memory this process has held at most, in main memory and on a device."""
    return PeakMemory(_peak_of_host(), torch.cuda.max_memory_reserved(device) if device.type == "cuda" else None)


def _peak_of_host() -> int | None:
    try:
        import resource
    except ImportError:  # on Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    # Bytes on macOS, kilobytes elsewhere.
    return peak if platform.system() == "Darwin" else peak * 1024
