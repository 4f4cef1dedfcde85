"""Which excerpt to show first: the one whose inversions from different layers differ most.

The choice is ours; the paper draws its excerpts at random.
"""

from collections.abc import Mapping
from itertools import combinations

import torch
from torch import Tensor

from svdlib.errors import LayerError
from svdlib.inversion.nre import reconstruction_distances


def layers_apart(inversions: Mapping[str, Tensor]) -> Tensor:
    """How far apart the inversions of one excerpt are: the mean distance over all pairs of layers, per excerpt (n,).

    Args:
        inversions: standardised inversions (n, 1, 115, 80) per layer, of the same excerpts.

    Raises:
        LayerError: if there are fewer than two layers.
    """
    if len(inversions) < 2:
        raise LayerError(f"{len(inversions)} layer has no other one to differ from; give inversions of two or more.")
    pairs = combinations(inversions.values(), 2)
    return torch.stack([reconstruction_distances(*pair) for pair in pairs]).mean(dim=0)
