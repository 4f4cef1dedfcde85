"""Choosing where to compute."""

import torch

from svdlib.errors import DeviceError


def choose_device(name: str = "auto") -> torch.device:
    """Turn a device name into a device that is really there.

    Args:
        name: "auto" (a GPU where there is one, else the CPU), or what torch understands: "cpu", "cuda:1", "mps".

    Raises:
        DeviceError: if the name is not understood or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise DeviceError(f"{name!r} is not the name of a device. Try auto, cpu, cuda or cuda:1.") from None
    there = {
        "cpu": device.index in (None, 0),
        "cuda": torch.cuda.is_available() and (device.index or 0) < torch.cuda.device_count(),
        "mps": torch.backends.mps.is_available() and device.index in (None, 0),
    }
    if not there.get(device.type, False):
        raise DeviceError(f"The device {name!r} is not there. Use --device cpu, or auto to take what there is.")
    return device
