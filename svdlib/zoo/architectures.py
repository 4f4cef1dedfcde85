"""The detectors that can be trained, by name."""

from collections.abc import Mapping
from typing import TypeVar

import torch

from svdlib.compute.storage import digest
from svdlib.detector.architecture import Detector
from svdlib.detector.model import SVDNet
from svdlib.detector.recurrent import RecurrentDetector
from svdlib.errors import PlanError

Kind = TypeVar("Kind", bound=Detector)

ARCHITECTURES: Mapping[str, type[Detector]] = {"convolutional": SVDNet, "recurrent": RecurrentDetector}
"""convolutional: the detector of the paper, which the book opens; recurrent: after Leglaive et al. (2015)."""


def find_architecture(name: str) -> type[Detector]:
    """The architecture of that name.

    Raises:
        PlanError: if there is none.
    """
    if name not in ARCHITECTURES:
        raise PlanError(f"There is no architecture {name!r}. Known ones: {', '.join(ARCHITECTURES)}.")
    return ARCHITECTURES[name]


def untrained_like(detector: Kind, seed: int = 0) -> Kind:
    """A detector that has learned nothing, to tell what training brings from what the architecture alone does.

    Args:
        detector: whose architecture, standardisation and threshold it has, so that both take the same excerpts.
        seed: of its weights.

    Returns:
        Another detector, in eval mode, on the CPU.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        control = type(detector)()
    control.standardizer.load_state_dict(detector.standardizer.state_dict())
    control.threshold = detector.threshold
    scale = digest(torch.cat([detector.standardizer.mean.cpu(), detector.standardizer.std.cpu()]))
    control.provenance = {"untrained": True, "seed": seed, "standardisation": scale}
    return control.eval()


def built_as(kind: str | None) -> Detector | None:
    """A new detector of the kind that a file of weights names; None if no detector is called so."""
    return next((each() for each in ARCHITECTURES.values() if each.kind == kind), None)
