"""Choosing where to compute."""

import torch

from svdlib.errors import DeviceError


def choose_device(name: str = "auto") -> torch.device:
    """Turn a device name into a device that is really there.

    Args:
        name: "auto" (a GPU where there is one, else the CPU), or "cpu", "cuda", "cuda:1" and so on.

    Raises:
        DeviceError: if the name is not understood, its kind is not supported or the device is not there.
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
    }
    if device.type not in there:  # Apple's mps among them: it has no float64, which the measures need
        raise DeviceError(f"The device {name!r} is not supported. Use --device cpu, cuda or auto.")
    if not there[device.type]:
        raise DeviceError(f"The device {name!r} is not there. Use --device cpu, or auto to take what there is.")
    return device


def device_name(device: torch.device) -> str:
    """What a device is called, for the provenance."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type
