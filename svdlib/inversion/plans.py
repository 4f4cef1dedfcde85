"""How long and how fast the inverters learn (paper section 3.3)."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from svdlib.errors import PlanError

KEEPS = ("best", "last")
SMALLEST_GAIN = 1e-3
"""A training loss that falls by less than this share has stalled."""


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast the inverters learn.

    Attributes:
        epochs: passes over the training excerpts, or over `steps_per_epoch` batches.
        batch_size: excerpts per update, of all processes together.
        learning_rate: Adam's initial step size.
        schedule: "plateau" halves a layer's rate when its training loss stalls for `patience` epochs, as published;
            "cosine" lowers it smoothly to nothing over the run, which makes the most of a short one.
        patience: epochs without improvement before "plateau" halves the rate.
        steps_per_epoch: updates per epoch; None takes every excerpt once.
        validation_excerpts: how many excerpts of the validation split measure each epoch; None takes all.
        keep: which epoch's inverter is the result, per layer: "best" has the lowest validation loss, as published;
            "last" is what the released code keeps.
    """

    schedules: ClassVar[tuple[str, ...]] = ("plateau", "cosine")

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-3
    schedule: str = "plateau"
    patience: int = 2
    steps_per_epoch: int | None = None
    validation_excerpts: int | None = 1024
    keep: str = "best"

    def __post_init__(self) -> None:
        if self.schedule not in self.schedules:
            raise PlanError(f"There is no schedule {self.schedule!r}. Known schedules: {', '.join(self.schedules)}.")
        if self.keep not in KEEPS:
            raise PlanError(f"A run can keep its {' or its '.join(KEEPS)} epoch, not its {self.keep!r}.")
        for name in ("epochs", "batch_size", "learning_rate", "patience", "validation_excerpts"):
            value = getattr(self, name)
            if not (value is None and name == "validation_excerpts") and not value > 0:
                raise PlanError(f"{name} must be positive, not {value}.")
        if self.batch_size < 2:
            raise PlanError("batch_size must be 2 or more: batch normalisation compares excerpts.")

    @property
    def is_smooth(self) -> bool:
        """Whether the rate changes at every update, see `rate_after`, and not at the end of epochs, see `next_rate`."""
        return self.schedule == "cosine"

    def rate_after(self, share: float) -> float:
        """Step size of a smooth schedule after this share of the run."""
        return self.learning_rate * (1 + math.cos(math.pi * share)) / 2

    def next_rate(self, losses: Sequence[float], rates: Sequence[float]) -> float:
        """Step size of the next epoch: half of the last one if the training loss has stalled for `patience` epochs.

        Args:
            losses: mean training loss of each epoch so far, one or more.
            rates: step size of each of them.
        """
        rate = rates[-1]
        at_this_rate = sum(earlier == rate for earlier in rates)
        if at_this_rate < self.patience or len(losses) <= self.patience:
            return rate
        stalled = min(losses[-self.patience :]) > min(losses[: -self.patience]) * (1 - SMALLEST_GAIN)
        return rate / 2 if stalled else rate
