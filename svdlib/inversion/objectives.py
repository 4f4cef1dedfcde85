"""What an inverter is trained to make small (paper equations 2 and 3).

Both losses are squared Euclidean distances, averaged over all values of a batch as in the released code, so that they
do not depend on the size of a batch or a feature. `lambda_input` and `lambda_feature` are 1, as published.
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.errors import TrainingError

WEIGHT_DECAY = 1e-4
"""The regularisation constant beta of equation 3."""

OBJECTIVES = ("joint", "input", "released", "adversarial")
"""joint: input loss plus feature loss, the paper's method; input: input loss alone, the paper's baseline; released: the
step of the released code, whose feature loss has no gradient (see `svdlib.paper.released`); adversarial: joint, and a
term that asks for reconstructions that a discriminator takes for originals (see `svdlib.inversion.adversary`)."""


def check_objective(objective: str) -> str:
    """Return `objective` if it exists; raise TrainingError otherwise."""
    if objective not in OBJECTIVES:
        raise TrainingError(f"There is no objective {objective!r}. Known objectives: {', '.join(OBJECTIVES)}.")
    return objective


def input_loss(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean squared difference of excerpts and their reconstructions, both (batch, 1, 115, 80): Psi_input."""
    return F.mse_loss(x_hat, x)


def feature_loss(theta_x: Tensor, theta_x_hat: Tensor) -> Tensor:
    """Mean squared difference in the comparator's feature space, both (batch, 64, 33, 21): Psi_feature."""
    return F.mse_loss(theta_x_hat, theta_x)


def reconstruction_losses(
    x: Tensor,
    theta_x: Tensor | None,
    reconstructions: dict[str, Tensor],
    comparator: Callable[[Tensor], Tensor],
) -> dict[str, Tensor]:
    """Loss of each layer's reconstruction, the gradient of the feature loss flowing through the comparator.

    All reconstructions pass through the comparator as one concatenated batch.

    Args:
        x: standardised excerpts (batch, 1, 115, 80).
        theta_x: the comparator's feature of `x`, or None to use the input loss alone.
        reconstructions: per layer, (batch, 1, 115, 80).
        comparator: maps excerpts to the feature space in which they are compared; its weights must not be trained.

    Returns:
        A scalar per layer.
    """
    losses = {layer: input_loss(x, x_hat.float()) for layer, x_hat in reconstructions.items()}
    if theta_x is None:
        return losses
    compared = comparator(torch.cat(list(reconstructions.values()))).float().split(len(x))
    for layer, theta_x_hat in zip(reconstructions, compared, strict=True):
        losses[layer] = losses[layer] + feature_loss(theta_x.float(), theta_x_hat)
    return losses


def without_gradient(comparator: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The comparator as the released code has it: its feature of a reconstruction enters the loss as plain numbers.

    The feature loss then has its value and no gradient: the inverter learns from the input loss alone.
    """
    return torch.no_grad()(comparator)


def decayed_parameters(inverter: nn.Module) -> tuple[list[nn.Parameter], list[nn.Parameter]]:
    """Split an inverter's parameters into those that equation 3 keeps small and those it leaves free.

    The released code penalises the weights of linear maps and the scales of batch normalisation; biases and shifts
    stay free.

    Returns:
        The penalised and the free parameters.
    """
    penalised = [parameter for name, parameter in inverter.named_parameters() if name.endswith("weight")]
    free = [parameter for name, parameter in inverter.named_parameters() if not name.endswith("weight")]
    return penalised, free


@torch.no_grad()
def weight_penalty(inverter: nn.Module, beta: float = WEIGHT_DECAY) -> Tensor:
    """The value of the last term of equation 3, a scalar: beta times the sum of the squared penalised parameters."""
    penalised, _ = decayed_parameters(inverter)
    return beta * torch.stack([parameter.square().sum() for parameter in penalised]).sum()
