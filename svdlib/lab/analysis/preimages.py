"""Many pictures with one feature: what varies between them is what the layer has dropped.

A descent that starts from noise ends in noise. Started from real excerpts, it changes of each what the feature asks
for, and leaves the rest as it was (after Mahendran & Vedaldi 2015, who look at several inversions of one feature).
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from svdlib.errors import InputError
from svdlib.inversion.listener import Listener
from svdlib.inversion.nre import mean_pairwise_distance, reconstruction_distances
from svdlib.inversion.optimisation import OptimisationPlan, invert_by_optimisation, layer_encoder


@dataclass(frozen=True)
class PreImages:
    """Pictures that were given one feature.

    Attributes:
        pictures: of the shape of the starts (n, ...).
        feature_errors: how far the feature of each is from the wanted one, as a share of its length (n,).
        moved: how far each has moved from its start, as a share of the start's distance from the original (n,).
        apart: how far they still lie from each other, as a share of the starts' mean distance. 1: the feature leaves
            all differences open. 0: it allows for one picture only.
    """

    pictures: Tensor
    feature_errors: Tensor
    moved: Tensor
    apart: float


def preimages(network: Listener, original: Tensor, starts: Tensor, layer: str, passes: int = 30) -> PreImages:
    """Give many pictures the feature of one.

    Args:
        network: in eval mode.
        original: whose feature is wanted (1, ...).
        starts: where the descents begin, two or more other inputs (n, ...).
        layer: at which layer.
        passes: of each descent, without regularisers.

    Raises:
        InputError: if there are fewer than two starts, or one of them is the original.
        LayerError: if there is no such layer, or the shapes differ.
        OptimisationError: if something is not finite.
    """
    if len(starts) < 2:
        raise InputError(f"What varies between pictures takes two starts or more, not {len(starts)}.")
    before = reconstruction_distances(original.expand_as(starts), starts)
    if not before.all():
        raise InputError(f"Start {int((before == 0).nonzero()[0])} is the original itself: begin at other inputs.")
    encoder = layer_encoder(network, layer)
    with torch.no_grad():
        feature = encoder(original)
    wanted = feature.expand(len(starts), *feature.shape[1:])
    found = invert_by_optimisation(
        encoder, wanted, starts.shape[1:], OptimisationPlan(passes), start=starts, description=layer
    )
    moved = reconstruction_distances(starts, found.pictures) / before
    apart = mean_pairwise_distance(found.pictures) / mean_pairwise_distance(starts)
    return PreImages(found.pictures, found.feature_errors, moved, apart)
