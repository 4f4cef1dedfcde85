"""The aligned inverters of the detector: one stage for each of its steps, in reverse."""

import torch

from svdlib.detector.model import LAYERS, LEAKINESS, SVDNet, detector_layers
from svdlib.inversion.inverters import InverterSpec, aligned_spec

ALIGNED_WIDTHS: dict[str, tuple[int, ...]] = {
    "conv1": (),
    "conv2": (64,),
    "mp3": (72, 24),
    "conv4": (128, 64, 24),
    "conv5": (64, 64, 48, 24),
    "mp6": (48, 32, 32, 32, 24),
    "fc7": (5, 32, 24, 24, 24, 16),
    "fc8": (256, 4, 32, 24, 24, 24, 16),
}
"""Units of each mirrored step but the last one, which has one per channel of the excerpt. For a dense step that leads
back to a map they are channels. Chosen by trial; no inverter has more parameters than the published one."""


def _aligned_specs() -> dict[str, InverterSpec]:
    with torch.device("meta"):  # the geometry is asked for, no weight
        modules = list(detector_layers().values())
    return {
        layer: aligned_spec(layer, modules[:depth], SVDNet.input_shape, ALIGNED_WIDTHS[layer], leakiness=LEAKINESS)
        for depth, layer in enumerate(LAYERS, start=1)
    }


ALIGNED: dict[str, InverterSpec] = _aligned_specs()
"""The aligned inverter of each layer."""
