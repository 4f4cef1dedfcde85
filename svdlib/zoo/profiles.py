"""How long and how fast to train, by name."""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

from svdlib.detector.augmentation import Augmentation
from svdlib.detector.remixing import Remixing
from svdlib.detector.segments import Plan
from svdlib.detector.training import DetectorPlan
from svdlib.errors import PlanError
from svdlib.inversion.comparison import Jitter
from svdlib.inversion.plans import TrainingPlan
from svdlib.paper.training import PublishedPlan

AnyPlan = TypeVar("AnyPlan")

PROFILES: dict[str, TrainingPlan] = {
    "demo": TrainingPlan(epochs=2, batch_size=16, schedule="cosine", steps_per_epoch=20, validation_excerpts=64),
    "laptop": TrainingPlan(epochs=16, batch_size=16, schedule="cosine", steps_per_epoch=100, validation_excerpts=256),
    "full": TrainingPlan(),
    "published": TrainingPlan(
        epochs=30, batch_size=32, learning_rate=1e-3, schedule="plateau", patience=2, validation_excerpts=None
    ),
}
"""demo: a minute, to see the machinery move; laptop: about an hour on two cores; full: the published schedule, each
epoch measured on a sample of the validation excerpts; published: the numbers of section 3.3, with nothing left out."""


DETECTOR_PROFILES: dict[str, Plan] = {
    "demo": DetectorPlan(epochs=2, steps_per_epoch=20, batch_size=4),
    "laptop": DetectorPlan(epochs=12),
    "full": DetectorPlan(
        epochs=40,
        steps_per_epoch=250,
        batch_size=32,
        augmentation=Augmentation(loudness=15, warping=0.12, tilt=12, dynamics=0.3),
        remixing=Remixing(share=0.85, gain=(-1, 11), muted=0.35, ratio=(-6, 12), doubled=0.3),
        averaging=0.999,
    ),
    "published": PublishedPlan(),
}
"""demo: a minute; laptop: a quarter of an hour on two cores; full: hours on two cores or minutes on a GPU, with wide
changes, to hear songs unlike those it learns from; published: as Schlüter & Grill did it."""


SHIFT = Jitter((4, 1))
"""How excerpt and inversion are moved before the deepest packaged inverters are compared, in frames and bands: enough
to leave the grid of the detector's steps of three frames."""


def find_profile(profiles: Mapping[str, AnyPlan], name: str) -> AnyPlan:
    """The plan of that name.

    Raises:
        PlanError: if there is none.
    """
    if name not in profiles:
        raise PlanError(f"There is no profile {name!r}. Known profiles: {', '.join(profiles)}.")
    return profiles[name]


def fit_to_corpus(plan: TrainingPlan, excerpts: int) -> TrainingPlan:
    """Shorten the epochs, and if need be the batches, of a plan to what a small corpus has."""
    batch_size = max(2, min(plan.batch_size, excerpts))
    steps = plan.steps_per_epoch and max(1, min(plan.steps_per_epoch, excerpts // batch_size))
    return replace(plan, batch_size=batch_size, steps_per_epoch=steps)
