"""Steps of inverters that know only how large things are: unfold the channels of a cell, or resize and convolve.

A nearest-neighbour resize followed by a convolution grows a map without the checkerboards of transposed convolutions
(Odena et al. 2016, "Deconvolution and checkerboard artifacts").
"""

import torch.nn.functional as F
from torch import Tensor, nn

Size = tuple[int, int]


class Spread(nn.Module):
    """A dense map of each cell's channels to a small field of cells: what has no axis of its own gets one."""

    def __init__(self, factors: Size, n_in: int, n_out: int, *, bias: bool = True) -> None:
        super().__init__()
        self.factors, self.n_out = factors, n_out
        self.core = nn.Conv2d(n_in, n_out * factors[0] * factors[1], 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (batch, channels, a, b) into (batch, n_out, a * factors[0], b * factors[1])."""
        down, right = self.factors
        fields: Tensor = self.core(x).unflatten(1, (self.n_out, down, right))
        return fields.permute(0, 1, 4, 2, 5, 3).flatten(4, 5).flatten(2, 3)


class Grow(nn.Module):
    """A resize to the nearest cells, and a convolution that keeps the size."""

    def __init__(self, size: Size, n_in: int, n_out: int, *, bias: bool = True) -> None:
        super().__init__()
        self.size = size
        # As many weights along one axis as along two.
        kernel = (3, 3) if min(size) > 1 else (9 if size[0] > 1 else 1, 9 if size[1] > 1 else 1)
        self.core = nn.Conv2d(n_in, n_out, kernel, padding=(kernel[0] // 2, kernel[1] // 2), bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """Turn (batch, channels, a, b) into `(batch, n_out, *size)`."""
        grown = x if tuple(x.shape[2:]) == self.size else F.interpolate(x, size=self.size, mode="nearest")
        found: Tensor = self.core(grown)
        return found
