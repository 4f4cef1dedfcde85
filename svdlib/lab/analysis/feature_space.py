"""Excerpts as points in the space of a layer's features: neighbours, straight walks, and means of a class.

What inversions show of single points, these show of the space between them.
"""

from collections.abc import Iterable

import torch
from torch import Tensor

from svdlib.detector.model import SVDNet, check_layer
from svdlib.errors import CorpusError
from svdlib.inversion.listener import named_layers


@torch.no_grad()
def logits_from(detector: SVDNet, layer: str, feature: Tensor) -> Tensor:
    """What the detector answers if a layer puts out a given feature: the layers above it, applied.

    Args:
        detector: in eval mode.
        layer: the layer that the feature belongs to.
        feature: `(batch, *LAYER_SHAPES[layer])`, of an excerpt or made up.

    Returns:
        Logits (batch,).

    Raises:
        LayerError: if the layer does not exist.
    """
    names = list(detector.layers)
    for above in names[names.index(check_layer(layer)) + 1 :]:
        feature = detector.layers[above](feature.flatten(1) if above == "fc7" else feature)
    return detector.out(feature)[:, 0]


@torch.no_grad()
def features_of(detector: SVDNet, x: Tensor, layers: str | Iterable[str], batch: int = 32) -> dict[str, Tensor]:
    """Features of many excerpts (n, 1, 115, 80): `(n, *LAYER_SHAPES[layer])` per layer. All are held in memory.

    An excerpt takes 2.3 MB at Conv1, 1.1 MB at Conv2, 0.7 MB at all other layers together.
    """
    layers = named_layers(layers)
    pieces = [detector.features(piece, layers) for piece in x.split(batch)]
    return {layer: torch.cat([piece[layer] for piece in pieces]) for layer in layers}


def walk(start: Tensor, end: Tensor, steps: int) -> Tensor:
    """Points on the straight line from one feature to another, equally far apart, with both ends: (steps, ...)."""
    return torch.stack([torch.lerp(start, end, weight) for weight in torch.linspace(0, 1, steps).tolist()])


def class_means(features: Tensor, sung: Tensor) -> tuple[Tensor, Tensor]:
    """Mean feature of the non-vocal and of the vocal excerpts.

    Args:
        features: (n, ...).
        sung: the class of each, boolean (n,).

    Raises:
        CorpusError: if there is only one class.
    """
    if sung.all() or not sung.any():
        raise CorpusError("There are excerpts of one class only, so there is no mean of the other one.")
    return features[~sung].mean(dim=0), features[sung].mean(dim=0)


def pairwise_distances(features: Tensor) -> Tensor:
    """Euclidean distance between any two of several features (n, ...): (n, n)."""
    flat = features.flatten(1)
    return torch.cdist(flat, flat)


def nearest_of_other_songs(distances: Tensor, songs: Tensor, count: int) -> Tensor:
    """The nearest excerpts that are not from the same song.

    Args:
        distances: between any two excerpts (n, n).
        songs: the song that each excerpt comes from (n,).
        count: how many neighbours.

    Returns:
        Their indices (n, count), the nearest first.

    Raises:
        CorpusError: if an excerpt has fewer than `count` others from other songs.
    """
    same_song = songs[:, None] == songs[None, :]
    if int((~same_song).sum(dim=1).min()) < count:
        raise CorpusError(f"Not every excerpt has {count} others from other songs; draw more of them, or more songs.")
    return distances.masked_fill(same_song, float("inf")).topk(count, largest=False).indices


def neighbour_agreement(agreement: Tensor, neighbours: Tensor, songs: Tensor) -> tuple[Tensor, Tensor]:
    """Whether excerpts agree with their neighbours more than with just any excerpt of other songs.

    Args:
        agreement: a measure of agreement between any two excerpts (n, n), such as 1 where they share the class.
        neighbours: from `nearest_of_other_songs` (n, count).
        songs: the song that each excerpt comes from (n,).

    Returns:
        Per excerpt, its mean agreement with its neighbours, and the chance level, that with all excerpts of other songs
        (n,) each.
    """
    agreement = agreement.double()
    others = (songs[:, None] != songs[None, :]).double()
    return agreement.gather(1, neighbours).mean(dim=1), (agreement * others).sum(dim=1) / others.sum(dim=1)


def all_correlations(patterns: Tensor) -> Tensor:
    """Correlation between any two of several patterns (n, ...): (n, n); 0 where one of them is flat."""
    flat = patterns.flatten(1)
    flat = flat - flat.mean(dim=1, keepdim=True)
    flat = flat / flat.norm(dim=1, keepdim=True).clamp(min=1e-9)
    return flat @ flat.T
