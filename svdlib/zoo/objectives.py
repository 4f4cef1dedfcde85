"""The objectives that inverters can be trained for, by name."""

from dataclasses import replace

from svdlib.errors import PlanError
from svdlib.inversion.adversary import Adversarial, AdversarialBalanced
from svdlib.inversion.balance import Balanced
from svdlib.inversion.objectives import InputOnly, Objective
from svdlib.paper.released import Released

OBJECTIVES: dict[str, Objective] = {
    each.name: each for each in (Objective(), InputOnly(), Released(), Adversarial(), Balanced(), AdversarialBalanced())
}
"""joint: input loss plus feature loss, the paper's method; input: input loss alone, the paper's baseline; released: the
step of the released code, whose feature loss has no gradient; adversarial: joint, and a term that asks for
reconstructions that a discriminator takes for originals; balanced: input loss and feature loss, each as a share of the
mean predictor's; adversarial-balanced: the same shares, and that term."""


def find_objective(name: str, lambda_feature: float | None = None) -> Objective:
    """The objective of that name.

    Args:
        name: a key of `OBJECTIVES`.
        lambda_feature: weight of the feature loss; None leaves it at 1.

    Raises:
        PlanError: if there is none, or the weight makes no sense or would do nothing.
    """
    if name not in OBJECTIVES:
        raise PlanError(f"There is no objective {name!r}. Known objectives: {', '.join(OBJECTIVES)}.")
    if lambda_feature is None:
        return OBJECTIVES[name]
    if not OBJECTIVES[name].compares(learning=True):
        raise PlanError(
            f"The objective {name!r} has no feature loss that lambda_feature={lambda_feature:g} could weigh."
        )
    return replace(OBJECTIVES[name], lambda_feature=lambda_feature)
