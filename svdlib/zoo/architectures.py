"""The detectors that can be trained, by name."""

from collections.abc import Mapping

from svdlib.detector.architecture import Detector
from svdlib.detector.model import SVDNet
from svdlib.detector.recurrent import RecurrentDetector
from svdlib.errors import PlanError

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


def built_as(kind: str | None) -> Detector | None:
    """A new detector of the kind that a file of weights names; None if no detector is called so."""
    return next((each() for each in ARCHITECTURES.values() if each.kind == kind), None)
