"""Activation maximisation (Erhan et al. 2009, Nguyen et al. 2016): what does a unit of a network answer to most?

No example is given. A picture x is changed until an activation a of the network is large:

    -a(x) / s  +  lambda_alpha R_alpha(x)  +  lambda_TV R_TV(x)

s is how much the activation usually varies, so that one weight suits all units. R_alpha and R_TV are those of
`svdlib.inversion.optimisation`. A search over all pictures finds some that no example resembles. The second way
searches among the pictures that an inverter makes of usual features. A feature is usual if it lies where those of
examples do: f = m + sum_k u_k s_k v_k, with their mean m, their first principal components v_k, and the deviation s_k
along each,

    -a(inverter(f)) / s  +  lambda_u mean(u ** 2)

so that the inverter is what knows of examples, and the last term keeps the feature among theirs.

Networks of leaky rectifiers are linear in pieces, where there is no curvature that a quasi-Newton method could learn.
So both searches go by Adam, with a step that falls to nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from svdlib.compute.progress import progress
from svdlib.errors import OptimisationError
from svdlib.inversion.lbfgs import first_not_finite
from svdlib.inversion.optimisation import OptimisationPlan, alpha_norm, total_variation

Activation = Callable[[Tensor], Tensor]
"""Maps pictures (n, ...) to one number each (n,)."""

FEWEST_EXAMPLES = 2
SMALLEST_SHARE = 1e-6
"""A direction in which examples deviate by less, as a share of the largest value, is rounding dust."""


@dataclass(frozen=True)
class Maximum:
    """Pictures that a unit answers to, each found from a start of its own.

    Attributes:
        pictures: (n, ...).
        activations: of these pictures, at the start and after each pass (passes + 1, n).
    """

    pictures: Tensor
    activations: Tensor


def maximise(
    activation: Activation,
    start: Tensor,
    plan: OptimisationPlan = OptimisationPlan(),
    *,
    scale: float = 1.0,
    rate: float = 0.1,
    description: str = "maximising",
) -> Maximum:
    """Change pictures until an activation is large.

    Args:
        activation: differentiable; it treats each picture on its own. For what a unit answers to least, its negative.
        start: where to begin (n, ...), such as noise.
        plan: how long, with which regularisers; its seed is not used.
        scale: how much the activation usually varies, in its own unit.
        rate: Adam's first step, in the unit of what is changed.
        description: what the progress bar says.

    Raises:
        OptimisationError: the scale is not above zero, or something is not finite.
    """
    _check_scale(scale)

    def terms(x: Tensor) -> dict[str, Tensor]:
        found = {"activation": -activation(x) / scale}
        if plan.alpha_weight:
            found["alpha"] = plan.alpha_weight * alpha_norm(x)
        if plan.variation_weight:
            found["variation"] = plan.variation_weight * total_variation(x)
        return found

    pictures, history = _descend(terms, start, plan.passes, rate, description)
    return Maximum(pictures, -scale * history)


def maximise_through(
    inverter: nn.Module,
    activation: Activation,
    features: Tensor,
    start: Tensor,
    *,
    components: int = 16,
    passes: int = 60,
    weight: float = 1.0,
    scale: float = 1.0,
    rate: float = 0.1,
    description: str = "maximising",
) -> Maximum:
    """Change features until the pictures that an inverter makes of them have a large activation.

    Args:
        inverter: in eval mode; turns features (n, ...) into pictures.
        activation: differentiable; it treats each picture on its own.
        features: of examples (m, ...), two or more, which say what features are usual.
        start: features to begin with (n, ...); what no component reaches is left out.
        components: how many principal components are searched, of as many as the examples have.
        passes: how often inverter and network are evaluated.
        weight: lambda_u, what an unusual feature costs: one deviation in every direction as much as an activation of
            this share of `scale` brings.
        scale: how much the activation usually varies, in its own unit.
        rate: Adam's first step, in the unit of what is changed.
        description: what the progress bar says.

    Raises:
        OptimisationError: the inverter is in training mode, there are too few examples, or no two different ones, or no
            components, the weight is below zero, the scale is not above zero, or something is not finite.
    """
    _check_scale(scale)
    if inverter.training:
        raise OptimisationError("The inverter is in training mode. Call its eval() first.")
    if len(features) < FEWEST_EXAMPLES:
        raise OptimisationError(f"{len(features)} feature says nothing about what is usual. Give two or more.")
    if not 0 <= weight < float("inf"):
        raise OptimisationError(f"weight is {weight}; it must be 0 or larger, and finite.")
    if components < 1:
        raise OptimisationError(f"components is {components}; a search needs at least one direction.")
    mean, directions = _usual(features, components)
    if not len(directions):
        raise OptimisationError(f"All {len(features)} features are the same, so none is less usual. Give others.")
    lengths = directions.square().sum(dim=1)

    def picture(u: Tensor) -> Tensor:
        painted: Tensor = inverter(mean + (u @ directions).view(len(u), *mean.shape))
        return painted

    def terms(u: Tensor) -> dict[str, Tensor]:
        return {"activation": -activation(picture(u)) / scale, "unusual": weight * u.square().mean(dim=1)}

    begin = (start.detach() - mean).flatten(1) @ directions.T / lengths
    u, history = _descend(terms, begin, passes, rate, description)
    with torch.no_grad():
        pictures = picture(u)
    return Maximum(pictures, -scale * history)


@torch.no_grad()
def _usual(features: Tensor, components: int) -> tuple[Tensor, Tensor]:
    """Mean of features (m, ...), and their first principal components (k, values), as long as their deviations."""
    mean = features.mean(dim=0)
    _, lengths, axes = torch.linalg.svd((features - mean).flatten(1), full_matrices=False)
    deviations = lengths[:components] / (len(features) - 1) ** 0.5
    wide = deviations > SMALLEST_SHARE * torch.maximum(deviations[0], features.abs().max())
    return mean, deviations[wide, None] * axes[:components][wide]


def _descend(
    terms: Callable[[Tensor], dict[str, Tensor]], start: Tensor, passes: int, rate: float, description: str
) -> tuple[Tensor, Tensor]:
    """Make the sums of the terms small; Adam treats every cell on its own, so no picture depends on another.

    Returns:
        Where it has come to (n, ...), and the term "activation" at the start and after each pass (passes + 1, n).
    """
    x = start.detach().clone().requires_grad_()
    adam = torch.optim.Adam([x], lr=rate)
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(adam, passes)
    history = []
    for _ in progress(range(passes), description=description, unit="pass"):
        found = terms(x)
        total = torch.stack(list(found.values())).sum(dim=0)
        (x.grad,) = torch.autograd.grad(total.sum(), x)
        first = first_not_finite(total, x.grad)
        if first is not None:
            raise OptimisationError(
                f"The activation of picture {first} or its gradient is not finite. Look for such values in the weights "
                "and in the start, or take a lower rate."
            )
        history.append(found["activation"].detach())
        adam.step()
        falling.step()
    with torch.no_grad():
        history.append(terms(x)["activation"])
    return x.detach(), torch.stack(history)


def _check_scale(scale: float) -> None:
    if not 0 < scale < float("inf"):
        raise OptimisationError(f"scale is {scale}; it must be above 0, and finite.")
