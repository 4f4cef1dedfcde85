"""The training step of the released code, where it differs from the paper or from PyTorch.

Mishra, Sturm and Dixon trained their inverters with Lasagne. With `objective="released"` the training takes from here:
Adam with its epsilon in another place, running averages of batch normalisation that are taken over 1/deviation and
moved twice per batch, and a rule for the learning rate that compares losses cut off after two decimals. All of it
follows the definitions; nothing of the released code is used.
"""

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from svdlib.compute.batch_norm import SharedBatchNorm, batch_moments

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


def average_as_released(network: nn.Module) -> nn.Module:
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
