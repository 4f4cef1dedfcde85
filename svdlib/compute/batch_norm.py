"""Batch normalisation over a batch that several processes share, on CPUs as on GPUs.

Mean and variance are those of the whole batch. PyTorch has this for GPUs only, as `SyncBatchNorm`.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from svdlib.compute.devices import Network
from svdlib.compute.distributed import add_up, processes, rank


class SharedBatchNorm(_BatchNorm):
    """Batch normalisation whose batch is spread evenly over all processes.

    Parameters, running averages and their names are those of `nn.BatchNorm1d` and `nn.BatchNorm2d`. The gradient of a
    parameter is that of this process's share; averaged over the processes it is that of the whole batch.
    """

    # Any of them may be None in PyTorch's own, and none is here, see `share_batches`.
    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        """Normalise this process's share (batch, channels, ...) by the statistics of the whole batch."""
        if not self.training:
            return super().forward(x)
        mean, variance = batch_moments(x)
        with torch.no_grad():
            count = processes() * x.numel() // x.shape[1]
            self.num_batches_tracked.add_(1)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * (count / (count - 1)), self.momentum)
        return _Normalise.apply(x, self.weight, self.bias, mean, variance, self.eps)

    def _check_input_dim(self, x: Tensor) -> None:
        """Any number of axes will do."""


def share_batches(network: Network) -> Network:
    """Let the batch normalisation of a network work over the batches of all processes; in place.

    With a single process nothing changes.

    Args:
        network: any network; its batch normalisation must keep running averages with a fixed momentum.

    Returns:
        The same network.
    """
    for parent in list(network.modules()) if processes() > 1 else []:
        for name, norm in parent.named_children():
            if isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d):
                shared = SharedBatchNorm(norm.num_features, eps=norm.eps, momentum=norm.momentum)
                # The very tensors of the old one, so that an optimiser that knows them goes on knowing them.
                shared._parameters, shared._buffers = norm._parameters, norm._buffers
                parent.add_module(name, shared.train(norm.training))
    return network


@torch.no_grad()
def batch_moments(x: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and biased variance of each channel over the shares (batch, channels, ...) of all processes.

    Every share must be equally large. Moments of the shares are put together as Chan et al. (1979) do, because the
    difference of two large sums of squares would be inexact.
    """
    variance, mean = torch.var_mean(_wide(x), dim=_all_but_channels(x), correction=0)
    if processes() == 1:
        return mean, variance
    shares = torch.zeros(processes(), 2, len(mean), dtype=mean.dtype, device=mean.device)
    shares[rank()] = torch.stack([mean, variance])
    means, variances = add_up(shares).unbind(1)
    between, whole = torch.var_mean(means, dim=0, correction=0)
    return whole, variances.mean(0) + between


class _Normalise(torch.autograd.Function):
    """(x - mean) / sqrt(variance + epsilon) * weight + bias, its gradient through mean and variance included.

    Ioffe and Szegedy (2015), section 3; sums over the batch run over all processes.
    """

    @staticmethod
    def forward(
        ctx: Any, x: Tensor, weight: Tensor, bias: Tensor, mean: Tensor, variance: Tensor, epsilon: float
    ) -> Tensor:
        scale = torch.rsqrt(variance + epsilon)
        ctx.save_for_backward(x, weight, mean, scale)
        normalised = (_wide(x) - _along(mean, x)) * _along(scale, x)
        return torch.addcmul(_along(bias, x), normalised, _along(weight, x)).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale = ctx.saved_tensors
        wide, axes = _wide(gradient), _all_but_channels(x)
        normalised = (_wide(x) - _along(mean, x)) * _along(scale, x)
        of_bias, of_weight = wide.sum(axes), (wide * normalised).sum(axes)
        count = processes() * x.numel() // x.shape[1]
        means = add_up(torch.stack([of_bias, of_weight])) / count
        centred = wide - _along(means[0], x) - normalised * _along(means[1], x)
        return (centred * _along(scale * weight, x)).to(x.dtype), of_weight, of_bias, None, None, None


def _wide(x: Tensor) -> Tensor:
    """In single precision at least."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


def _all_but_channels(x: Tensor) -> list[int]:
    return [axis for axis in range(x.ndim) if axis != 1]


def _along(values: Tensor, x: Tensor) -> Tensor:
    """Values per channel, in a shape that broadcasts with `x` (batch, channels, ...)."""
    return values.view(-1, *[1] * (x.ndim - 2))
