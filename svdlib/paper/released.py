"""The training step of the released code, where it differs from the paper or from PyTorch.

Mishra, Sturm and Dixon trained their inverters with Lasagne. The objective "released" brings together what is in their
step: a feature loss without gradient, Adam with its epsilon in another place, running averages of batch normalisation
that are taken over 1/deviation and moved twice per batch, and a rule for the learning rate that compares losses cut off
after two decimals. All of it follows the definitions; nothing of the released code is used.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from svdlib.compute.batch_norm import SharedBatchNorm, batch_moments
from svdlib.compute.devices import Network
from svdlib.inversion.objectives import (
    WEIGHT_DECAY,
    Comparator,
    Objective,
    decayed_parameters,
    reconstruction_losses,
)
from svdlib.inversion.plans import TrainingPlan

AVERAGES_PER_BATCH = 2
"""The released step runs the inverter twice per batch, once only for the comparator; both move the averages."""


class LasagneAdam(torch.optim.Adam):
    """Adam as at the end of section 2 of Kingma and Ba (2015), which is the form that Lasagne has.

    With the bias corrections c1 = 1 - beta1^t and c2 = 1 - beta2^t of update t, it subtracts

        lr * sqrt(c2) / c1 * m / (sqrt(v) + epsilon)          where PyTorch's Adam subtracts
        lr / c1 * m / (sqrt(v) / sqrt(c2) + epsilon)

    Both are the same once PyTorch's epsilon is epsilon / sqrt(c2), so that is what each update is given. It matters
    where gradients are about as small as epsilon, such as those of a bias before batch normalisation.
    """

    def __init__(self, parameters: Any, lr: float = 1e-3, epsilon: float = 1e-8, **options: Any) -> None:
        """Args are those of `torch.optim.Adam`, with `epsilon` meant as in Lasagne."""
        super().__init__(parameters, lr=lr, **options)
        self.epsilon, self.updates_done = epsilon, 0

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go back to a saved state; the number of updates comes from Adam's own counters."""
        super().load_state_dict(state_dict)
        self.updates_done = max((int(values["step"]) for values in self.state.values()), default=0)

    def step(self, closure: Any = None) -> Any:
        """Do one update of all parameters that have a gradient."""
        self.updates_done += 1
        for group in self.param_groups:
            group["eps"] = self.epsilon / math.sqrt(1 - group["betas"][1] ** self.updates_done)
        return super().step(closure)


def average_as_released(network: Network) -> Network:
    """Let batch normalisation keep its running averages as the released code does; in place.

    Lasagne averages 1/sqrt(variance + epsilon), over the biased variance; PyTorch averages the unbiased variance. The
    result is stored as a variance all the same, so the weights fit a network without this change.

    Args:
        network: any network; its batch normalisation must keep running averages.

    Returns:
        The same network.
    """
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d | SharedBatchNorm):
            assert module.momentum is not None  # it keeps running averages
            keeps = (1 - module.momentum) ** AVERAGES_PER_BATCH
            module.momentum = 0.0  # PyTorch's own averaging is off
            module.register_forward_pre_hook(_Averaging(1 - keeps))
    return network


class _Averaging:
    """Moves the running averages of a batch normalisation by a share of the way to those of the batch."""

    def __init__(self, share: float) -> None:
        self.share = share

    @torch.no_grad()
    def __call__(self, norm: nn.BatchNorm1d | nn.BatchNorm2d | SharedBatchNorm, inputs: tuple[Tensor, ...]) -> None:
        """Take in a batch (batch, channels, ...), in training only."""
        if not norm.training:
            return
        assert norm.running_mean is not None and norm.running_var is not None
        mean, variance = batch_moments(inputs[0].detach().to(norm.running_mean.dtype))
        norm.running_mean.lerp_(mean, self.share)
        scale = torch.rsqrt(norm.running_var + norm.eps)
        scale.lerp_(torch.rsqrt(variance + norm.eps), self.share)
        norm.running_var.copy_(scale**-2 - norm.eps)


def stalled_when_truncated(losses: Sequence[float]) -> bool:
    """Whether the last epoch's training loss is that of the epoch before, digits after the second decimal cut off.

    The released code then halves the learning rate. The paper says that it halves it when the loss does not change
    for two epochs. The first epoch is compared with a loss of 0.

    Args:
        losses: mean training loss of each epoch so far, one or more; with all its terms, the L2 penalty as well.
    """
    before, last = [0.0, *losses][-2:]
    return int(100 * before) == int(100 * last)


@torch.no_grad()
def weight_penalty(inverter: nn.Module, beta: float = WEIGHT_DECAY) -> Tensor:
    """The value of the last term of equation 3, a scalar: beta times the sum of the squared penalised parameters."""
    penalised, _ = decayed_parameters(inverter)
    return beta * torch.stack([parameter.square().sum() for parameter in penalised]).sum()


@dataclass(frozen=True)
class ReleasedPlan(TrainingPlan):
    """A plan under the rules of the released code: its own schedule, "truncated", and the last epoch is kept."""

    schedules: ClassVar[tuple[str, ...]] = ("truncated",)

    schedule: str = "truncated"
    keep: str = "last"

    def next_rate(self, losses: Sequence[float], rates: Sequence[float]) -> float:
        """Half of the last step size if the loss has stalled, see `stalled_when_truncated`."""
        return rates[-1] / 2 if stalled_when_truncated(losses) else rates[-1]


@dataclass(frozen=True)
class Released(Objective):
    """The step of the released code, whose feature loss has a value and no gradient."""

    name: ClassVar[str] = "released"
    can_be_recorded: ClassVar[bool] = False  # Adam's epsilon is another number at each update
    is_exact: ClassVar[bool] = True  # it is there for comparison
    needs_gradient: ClassVar[bool] = False

    def plan(self, plan: TrainingPlan) -> TrainingPlan:
        """The same plan under the rules of the released code."""
        return ReleasedPlan(**asdict(plan) | {"schedule": "truncated", "keep": "last"})

    def prepare(self, inverter: nn.Module) -> None:
        """Let batch normalisation keep its averages as Lasagne does."""
        average_as_released(inverter)

    def optimiser(self, groups: Iterable[dict[str, Any]], rate: float, device: torch.device) -> torch.optim.Optimizer:
        """Lasagne's Adam."""
        return LasagneAdam(groups, lr=rate, fused=True, capturable=device.type == "cuda")

    def compares(self, *, learning: bool) -> bool:
        """Only when learning: the released code validates on the input loss alone."""
        return learning

    def losses(
        self, x: Tensor, theta_x: Tensor | None, reconstructions: Mapping[str, Tensor], comparator: Comparator
    ) -> dict[str, Tensor]:
        """Both losses; the inverter learns from the input loss alone."""
        weights = 1.0, self.lambda_feature
        return reconstruction_losses(x, theta_x, reconstructions, without_gradient(comparator), weights)

    def reported(self, losses: Tensor, inverters: Iterable[nn.Module]) -> Tensor:
        """The losses with the penalty of the weights: the rule for the rate looks at all terms."""
        return losses + torch.stack([weight_penalty(inverter) for inverter in inverters])


def without_gradient(comparator: Comparator) -> Comparator:
    """The comparator as the released code has it: its feature of a reconstruction enters the loss as plain numbers."""
    return torch.no_grad()(comparator)
