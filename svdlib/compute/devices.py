"""Choosing where to compute."""

import time
from functools import cache
from typing import TypeVar

import torch
from torch import nn

from svdlib.errors import DeviceError

Network = TypeVar("Network", bound=nn.Module)

PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
FIRST_WITH_BFLOAT16 = 8
"""The generation of NVIDIA's GPUs (compute capability) from which on bfloat16 is computed and not imitated."""

PROCESSOR_UNITS = {"AMX": "_is_amx_tile_supported", "AVX-512": "_is_avx512_bf16_supported"}
"""A processor's units for bfloat16, the fastest first, and what PyTorch calls the questions after them."""

MATRIX_SIDE = 512
WORTHWHILE = 1.2
"""How many times as fast matrix products in bfloat16 must be before it is taken."""


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


def choose_precision(name: str | torch.dtype, device: torch.device) -> torch.dtype:
    """Turn the name of a precision into a type; weights are always float32, this is about activations.

    Args:
        name: "float32", "bfloat16", or "auto": bfloat16 where the device has fast units for it, else float32. A GPU has
            them from the Ampere generation on. An x86 processor has units if it has AMX or the bfloat16 part of
            AVX-512; some have slow ones, so that a short measurement decides. A type is its own name.
        device: where to compute.

    Raises:
        DeviceError: if there is no such precision.
    """
    if isinstance(name, torch.dtype):
        return name
    if name in PRECISIONS:
        return PRECISIONS[name]
    if name != "auto":
        raise DeviceError(f"There is no precision {name!r}. Known ones: auto, {', '.join(PRECISIONS)}.")
    return torch.bfloat16 if computes_bfloat16(device) else torch.float32


def computes_bfloat16(device: torch.device) -> bool:
    """Whether a device has units for bfloat16 that are faster than those for float32."""
    if device.type == "cuda":
        return torch.cuda.get_device_capability(device)[0] >= FIRST_WITH_BFLOAT16
    return bool(units_for_bfloat16(device)) and gain_of_bfloat16() >= WORTHWHILE


@cache
def gain_of_bfloat16() -> float:
    """How many times as fast this processor's matrix products are in bfloat16 as in float32."""
    seconds = {}
    for dtype in (torch.float32, torch.bfloat16):
        factor, times = torch.ones(MATRIX_SIDE, MATRIX_SIDE, dtype=dtype), []
        for _ in range(6):
            begun = time.perf_counter()
            factor @ factor
            times.append(time.perf_counter() - begun)
        seconds[dtype] = min(times)  # the least disturbed
    return seconds[torch.float32] / seconds[torch.bfloat16]


def units_for_bfloat16(device: torch.device) -> str:
    """What a processor computes bfloat16 with, a key of `PROCESSOR_UNITS`; empty where it can't, and for a GPU."""
    if device.type != "cpu":
        return ""
    # Only newer versions of PyTorch can tell.
    return next((units for units, name in PROCESSOR_UNITS.items() if getattr(torch.cpu, name, lambda: False)()), "")


def device_name(device: torch.device) -> str:
    """What a device is called, for the provenance."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def in_channels_last(module: Network, device: torch.device) -> Network:
    """Move a network to a device in the memory layout that convolutions run fastest in."""
    return module.to(device, memory_format=torch.channels_last)  # type: ignore[call-overload]  # PyTorch's hints lack it
