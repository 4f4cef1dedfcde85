"""Counting the floating-point operations that training cannot do without.

Counted are the products of matrices and convolutions, two operations for each multiplication with its addition, by
PyTorch's own counter on tensors without content. Activations, normalisation and the optimiser are left out: the time
that the counted operations take at the speed of the machine's matrix products is a floor that no program can beat
without counting differently.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import FlopCounterMode

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector.architecture import TIME_STRIDE
from svdlib.detector.model import COMPARATOR_LAYER, LAYERS, SVDNet
from svdlib.detector.segments import SEGMENT_FRAMES
from svdlib.zoo.families import build_inverter

BATCH = 2  # batch normalisation takes no single excerpt


@dataclass(frozen=True)
class UpdateFlops:
    """Operations of one update of the inverters under the joint loss, per excerpt.

    Attributes:
        detector: one forward pass up to the deepest layer that is needed, for features and targets.
        inverter: per layer, forward, and backward to all weights.
        comparator: per layer, forward, and backward to the reconstruction only: the detector does not learn.
    """

    detector: float
    inverter: dict[str, float]
    comparator: dict[str, float]

    @property
    def total(self) -> float:
        """All of it."""
        return self.detector + sum(self.inverter.values()) + sum(self.comparator.values())


def count_update(layers: Sequence[str] = LAYERS) -> UpdateFlops:
    """Count one update of the inverters of some layers."""
    with torch.device("meta"):
        detector = SVDNet().eval().requires_grad_(False)
        excerpts = torch.empty(BATCH, 1, EXCERPT_FRAMES, N_BANDS)
        inverters = {layer: build_inverter(layer) for layer in layers}
        reconstruction = torch.empty_like(excerpts).requires_grad_()
    features = detector.features(excerpts, {*layers, COMPARATOR_LAYER})
    comparison = _count(lambda: detector.features(reconstruction, (COMPARATOR_LAYER,))[COMPARATOR_LAYER], learn=True)
    return UpdateFlops(
        _count(lambda: detector.features(excerpts, {*layers, COMPARATOR_LAYER})),
        {layer: _count(lambda layer=layer: inverters[layer](features[layer]), learn=True) for layer in layers},
        dict.fromkeys(layers, comparison),
    )


def count_detector_update(*, fully_convolutional: bool) -> float:
    """Operations per label of the detector's training, on segments with many labels or on excerpts with one each."""
    frames = SEGMENT_FRAMES if fully_convolutional else EXCERPT_FRAMES
    with torch.device("meta"):
        detector = SVDNet()
        segments = torch.empty(BATCH, 1, frames, N_BANDS)
    labels = (frames - EXCERPT_FRAMES) // TIME_STRIDE + 1
    forward = detector.segment_logits if fully_convolutional else detector
    return _count(lambda: forward(segments), learn=True) / labels


def _count(function: Callable[[], Any], *, learn: bool = False) -> float:
    """Operations per excerpt of calling a function, and of the gradients of what it returns."""
    with FlopCounterMode(display=False) as counter:
        result = function()
        if learn:
            assert isinstance(result, Tensor)
            result.sum().backward()
    return counter.get_total_flops() / BATCH
