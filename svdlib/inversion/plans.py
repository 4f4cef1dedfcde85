"""How long and how fast the inverters learn (paper section 3.3): plans, and the profiles that bundle them."""

from dataclasses import dataclass, replace

from svdlib.errors import TrainingError

SCHEDULES = ("plateau", "cosine", "truncated")
KEEPS = ("best", "last")


@dataclass(frozen=True)
class TrainingPlan:
    """How long and how fast the inverters learn.

    Attributes:
        epochs: passes over the training excerpts, or over `steps_per_epoch` batches.
        batch_size: excerpts per update, of all processes together.
        learning_rate: Adam's initial step size.
        schedule: "plateau" halves a layer's rate when its training loss stalls for `patience` epochs, as published;
            "cosine" lowers it smoothly to nothing over the run, which makes the most of a short one; "truncated" halves
            it as the released code does, see `svdlib.paper.released.stalled_when_truncated`.
        patience: epochs without improvement before "plateau" halves the rate.
        steps_per_epoch: updates per epoch; None takes every excerpt once.
        validation_excerpts: how many excerpts of the validation split measure each epoch; None takes all.
        keep: which epoch's inverter is the result, per layer: "best" has the lowest validation loss, as published;
            "last" is what the released code keeps.
    """

    epochs: int = 30
    batch_size: int = 32
    learning_rate: float = 1e-3
    schedule: str = "plateau"
    patience: int = 2
    steps_per_epoch: int | None = None
    validation_excerpts: int | None = 1024
    keep: str = "best"

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise TrainingError(f"There is no schedule {self.schedule!r}. Known schedules: {', '.join(SCHEDULES)}.")
        if self.keep not in KEEPS:
            raise TrainingError(f"A run can keep its {' or its '.join(KEEPS)} epoch, not its {self.keep!r}.")
        for name in ("epochs", "batch_size", "learning_rate", "patience", "validation_excerpts"):
            value = getattr(self, name)
            if not (value is None and name == "validation_excerpts") and not value > 0:
                raise TrainingError(f"{name} must be positive, not {value}.")
        if self.batch_size < 2:
            raise TrainingError("batch_size must be 2 or more: batch normalisation compares excerpts.")


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


def plan_under(objective: str, plan: TrainingPlan) -> TrainingPlan:
    """The plan that a run with this objective follows.

    The released code has its own rule for the learning rate and keeps the last epoch, so with "released" the plan's
    `schedule` and `keep` give way to those.
    """
    return replace(plan, schedule="truncated", keep="last") if objective == "released" else plan
