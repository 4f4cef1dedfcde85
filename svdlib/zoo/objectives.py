"""The objectives that inverters can be trained for, by name."""

from svdlib.errors import PlanError
from svdlib.inversion.adversary import Adversarial
from svdlib.inversion.objectives import InputOnly, Objective
from svdlib.paper.released import Released

OBJECTIVES: dict[str, Objective] = {each.name: each for each in (Objective(), InputOnly(), Released(), Adversarial())}
"""joint: input loss plus feature loss, the paper's method; input: input loss alone, the paper's baseline; released: the
step of the released code, whose feature loss has no gradient; adversarial: joint, and a term that asks for
reconstructions that a discriminator takes for originals."""


def find_objective(name: str) -> Objective:
    """The objective of that name.

    Raises:
        PlanError: if there is none.
    """
    if name not in OBJECTIVES:
        raise PlanError(f"There is no objective {name!r}. Known objectives: {', '.join(OBJECTIVES)}.")
    return OBJECTIVES[name]
