"""What an inverter is trained to make small (paper equations 2 and 3), and what goes with it.

Both losses are squared Euclidean distances, averaged over all values of a batch as in the released code, so that they
do not depend on the size of a batch or a feature. `lambda_input` is 1, as published; so is `lambda_feature`, unless
another is asked for.

An objective is a class. It says which losses there are, what is done to an inverter before it learns, which optimiser
moves it, which plan is followed, and what learns beside it. The training loop (`svdlib.inversion.training`) knows none
by name; `svdlib.zoo.objectives` lists those that can be asked for.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.compute.storage import Tree
from svdlib.errors import PlanError
from svdlib.inversion.comparison import ComparisonSpace
from svdlib.inversion.listener import Listener
from svdlib.inversion.plans import TrainingPlan

WEIGHT_DECAY = 1e-4
"""The regularisation constant beta of equation 3."""

Comparator = Callable[[Tensor], Tensor]
"""Maps inputs of the network to the feature space in which they are compared; its weights do not learn."""


def input_loss(x: Tensor, x_hat: Tensor) -> Tensor:
    """Mean squared difference of inputs and their reconstructions, both (batch, ...): Psi_input."""
    return F.mse_loss(x_hat, x)


def feature_loss(theta_x: Tensor, theta_x_hat: Tensor) -> Tensor:
    """Mean squared difference in the comparator's feature space, both (batch, ...): Psi_feature."""
    return F.mse_loss(theta_x_hat, theta_x)


def reconstruction_losses(
    x: Tensor,
    theta_x: Tensor | None,
    reconstructions: Mapping[str, Tensor],
    comparator: Comparator,
    weights: tuple[float, float] = (1.0, 1.0),
) -> dict[str, Tensor]:
    """Loss of each layer's reconstruction, the gradient of the feature loss flowing through the comparator.

    All reconstructions pass through the comparator as one concatenated batch.

    Args:
        x: inputs (batch, channels, time, frequency).
        theta_x: the comparator's feature of `x`, or None to use the input loss alone.
        reconstructions: per layer, of the shape of `x`.
        comparator: maps inputs to the feature space in which they are compared.
        weights: of the input loss and of the feature loss.

    Returns:
        A scalar per layer.
    """
    of_input, of_feature = weights
    losses = {layer: of_input * input_loss(x, x_hat.float()) for layer, x_hat in reconstructions.items()}
    if theta_x is None:
        return losses
    compared = comparator(torch.cat(list(reconstructions.values()))).float().split(len(x))
    for layer, theta_x_hat in zip(reconstructions, compared, strict=True):
        losses[layer] = losses[layer] + of_feature * feature_loss(theta_x.float(), theta_x_hat)
    return losses


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


class Companion:
    """What learns beside the inverters; this one is nothing at all."""

    def learn(self, x: Tensor, features: Mapping[str, Tensor], reconstructions: Mapping[str, Tensor]) -> None:
        """Learn from a batch; no inverter learns.

        Args:
            x: inputs (batch, channels, time, frequency).
            features: per layer, (batch, ...).
            reconstructions: per layer to learn from, of the shape of `x`.
        """

    def term(self, features: Mapping[str, Tensor], reconstructions: Mapping[str, Tensor]) -> Tensor | float:
        """What to add to the losses of the inverters of these layers before the gradient is taken: a scalar."""
        return 0.0

    def close_epoch(self, batches: int) -> dict[str, float]:
        """Its own mean loss per layer over an epoch of so many batches; counting starts again."""
        return {}

    def pack(self) -> Tree:
        """All that a saved state must hold."""
        return {}

    def unpack(self, arrays: Tree) -> None:
        """Go back to what `pack` gave."""


@dataclass(frozen=True)
class Objective:
    """Input loss plus feature loss, the paper's method: what other objectives differ from.

    Attributes:
        name: by which it is asked for.
        can_be_recorded: whether an update does the same each time, so that a CUDA graph of it can be replayed.
        is_exact: whether to go for exactness, not speed: single precision unless another is asked for by name, and the
            plain memory layout, since on a CPU batch normalisation adds up less exactly in the fast one (errors of
            1e-4 in the output).
        needs_variances: whether it weighs losses by how much inputs and features vary.
        needs_gradient: whether inverters learn from the feature loss, and do not only report it.
        lambda_feature: weight of the feature loss.
    """

    name: ClassVar[str] = "joint"
    can_be_recorded: ClassVar[bool] = True
    is_exact: ClassVar[bool] = False
    needs_variances: ClassVar[bool] = False
    needs_gradient: ClassVar[bool] = True

    lambda_feature: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.lambda_feature < math.inf:
            raise PlanError(f"lambda_feature must be a number of 0 or more, not {self.lambda_feature}.")

    def tuned(self, space: ComparisonSpace) -> "Objective":
        """The objective of one run, with what it must know of the space in which reconstructions are compared."""
        return self

    def plan(self, plan: TrainingPlan) -> TrainingPlan:
        """The plan that a run with this objective follows when asked to follow `plan`."""
        return plan

    def settings(self) -> dict[str, Any]:
        """What tells a run with this objective from others, beside its name."""
        return {"lambda_feature": self.lambda_feature} if self.lambda_feature != 1 else {}

    def prepare(self, inverter: nn.Module) -> None:
        """Change an inverter for training, in place; its stored values must fit one that was not changed."""

    def optimiser(self, groups: Iterable[dict[str, Any]], rate: float, device: torch.device) -> torch.optim.Optimizer:
        """Make the optimiser of all inverters, from groups of parameters."""
        return torch.optim.Adam(groups, lr=rate, fused=True, capturable=device.type == "cuda")

    def companion(self, encoder: Listener, layers: Sequence[str], device: torch.device, seed: int) -> Companion:
        """What learns beside the inverters of these layers."""
        return Companion()

    def compares(self, *, learning: bool) -> bool:
        """Whether reconstructions are compared in feature space, when learning or when validating."""
        return True

    def losses(
        self, x: Tensor, theta_x: Tensor | None, reconstructions: Mapping[str, Tensor], comparator: Comparator
    ) -> dict[str, Tensor]:
        """Loss of each layer's reconstruction; arguments as for `reconstruction_losses`."""
        return reconstruction_losses(x, theta_x, reconstructions, comparator, (1.0, self.lambda_feature))

    def reported(self, losses: Tensor, inverters: Iterable[nn.Module]) -> Tensor:
        """What the history says of an update, given its losses (layers,): the same, for most."""
        return losses


@dataclass(frozen=True)
class InputOnly(Objective):
    """Input loss alone: the paper's baseline."""

    name: ClassVar[str] = "input"

    def compares(self, *, learning: bool) -> bool:
        """Never."""
        return False
