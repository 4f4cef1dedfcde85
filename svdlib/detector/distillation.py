"""Several trained detectors as the teachers of one (Hinton, Vinyals & Dean, 2015).

Detectors from several seeds err in several places, and the mean of their answers errs less. One network that learns to
give that mean costs no more than each of them.
"""

import copy
from collections.abc import Sequence

import torch
from torch import Tensor

from svdlib.audio.standardizer import Standardizer
from svdlib.compute.devices import in_channels_last
from svdlib.compute.storage import weights_digest
from svdlib.detector.architecture import Detector

TEACHING = 0.5
"""Share of the teachers in what a network is to answer; the rest is the labels'."""


class Teachers:
    """Trained detectors that say how likely singing is in the very segments that another one learns from.

    Attributes:
        digests: what tells them from others.
    """

    def __init__(self, detectors: Sequence[Detector], device: torch.device) -> None:
        """Copy them to a device, in eval mode; the originals stay as they are."""
        copies = [copy.deepcopy(detector).eval().requires_grad_(False) for detector in detectors]
        self.detectors = [in_channels_last(each, device) for each in copies]
        self.digests = [weights_digest(each) for each in self.detectors]

    @torch.no_grad()
    def blend(self, targets: Tensor, segments: Tensor, standardizer: Standardizer) -> Tensor:
        """What a network is to answer: its labels' share, and the mean of the teachers' answers.

        Args:
            targets: of the labels, from 0 to 1, (batch, centres).
            segments: standardised (batch, 1, frames, 80).
            standardizer: by which they are standardised; each teacher hears them by its own.

        Returns:
            Targets (batch, centres); those given where there is no teacher.
        """
        if not self.detectors:
            return targets
        log_mels = standardizer.inverse(segments)
        answers = [each.segment_logits(each.standardizer(log_mels)).float().sigmoid() for each in self.detectors]
        return torch.lerp(targets, torch.stack(answers).mean(0), TEACHING)
