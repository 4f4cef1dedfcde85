"""Dropout over a batch that several processes share."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.compute.distributed import processes, rank


class SharedDropout(nn.Dropout):
    """Dropout that leaves out what one process would leave out with the same seed and the whole batch."""

    def forward(self, x: Tensor) -> Tensor:
        """Drop from this process's share (batch, ...) of a batch that is spread evenly over all processes."""
        if not self.training:
            return x
        count = processes()
        # Chance is drawn for the whole batch, in the way that PyTorch's own dropout draws it.
        factors = F.dropout(torch.ones(count * len(x), *x.shape[1:], dtype=x.dtype, device=x.device), self.p)
        return x * factors[rank() * len(x) : (rank() + 1) * len(x)]


def share_dropout(network: nn.Module) -> nn.Module:
    """Let the dropout of a network work over the batches of all processes; in place.

    With a single process nothing changes.

    Args:
        network: any network; its batches stand on the first axis.

    Returns:
        The same network.
    """
    for parent in list(network.modules()) if processes() > 1 else []:
        for name, dropout in parent.named_children():
            if type(dropout) is nn.Dropout:
                parent.add_module(name, SharedDropout(dropout.p))
    return network
