"""Inversion by optimisation (Mahendran & Vedaldi 2015; paper section 2.1, equation 1).

No network is trained. A picture x' starts as noise and is changed until its feature is the given one:

    ||Phi(x') - Phi(x)||^2 / ||Phi(x)||^2  +  lambda_alpha R_alpha(x')  +  lambda_TV R_TV(x')

R_alpha keeps values from becoming huge, R_TV keeps neighbouring cells alike. Both are means over the cells of a
picture, where the source has sums and puts the size into the weights. The source descends with momentum; we take
L-BFGS (`svdlib.inversion.lbfgs`), which comes to a far smaller loss in as many passes through the encoder.
"""

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.errors import LayerError, OptimisationError
from svdlib.inversion.lbfgs import minimise
from svdlib.inversion.listener import LayerMap, Listener, as_numbers, without_gradient

FeatureMap = Callable[[Tensor], Tensor]
"""Maps pictures (n, ...) to their features (n, ...), each on its own."""

ALPHA = 6
"""The exponent of R_alpha, as in the source."""

BATCH = 4
"""Excerpts that go through the encoder at once: enough for the speed of a CPU, and a hundred megabytes or two."""


@dataclass(frozen=True)
class OptimisationPlan:
    """How a feature is inverted by optimisation.

    Attributes:
        passes: how often the encoder is evaluated, forwards and backwards, after the start.
        alpha_weight: lambda_alpha, what the mean sixth power of the values counts.
        variation_weight: lambda_TV, what the mean squared difference of neighbours counts.
        seed: of the noise in which every picture starts.
    """

    passes: int = 60
    alpha_weight: float = 0.0
    variation_weight: float = 0.0
    seed: int = 0

    def __post_init__(self) -> None:
        if self.passes < 1:
            raise OptimisationError(f"passes is {self.passes}; an optimisation needs at least one.")
        for name in ("alpha_weight", "variation_weight"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise OptimisationError(f"{name} is {getattr(self, name)}; it must be 0 or larger, and finite.")

    def without_regularisers(self) -> "OptimisationPlan":
        """The same plan with both weights zero."""
        return replace(self, alpha_weight=0.0, variation_weight=0.0)


@dataclass(frozen=True)
class OptimisedInversion:
    """Pictures whose features were made to agree with given ones.

    Attributes:
        pictures: the inversions (n, ...).
        losses: the terms of the loss, each with its weight, at the start and after each pass, (passes + 1, n):
            "feature", "alpha", "variation". A term of weight zero is left out.
    """

    pictures: Tensor
    losses: dict[str, Tensor]

    def __repr__(self) -> str:
        errors = self.feature_errors
        shape = " x ".join(map(str, self.pictures.shape[1:]))
        count, passes = len(self.pictures), len(self.losses["feature"]) - 1
        return (
            f"OptimisedInversion of {count} picture{'s' * (count != 1)} {shape} after {passes} "
            f"pass{'es' * (passes != 1)}: feature errors {float(errors.min()):.3g} to {float(errors.max()):.3g}"
        )

    @property
    def feature_errors(self) -> Tensor:
        """||Phi(x') - Phi(x)|| / ||Phi(x)|| of each picture (n,)."""
        return self.losses["feature"][-1].sqrt()


def alpha_norm(x: Tensor) -> Tensor:
    """R_alpha: the mean over all cells of `abs(x) ** 6`.

    Args:
        x: standardised pictures (n, ..., frames, bands).

    Returns:
        One number per picture (n,).
    """
    return x.abs().pow(ALPHA).flatten(1).mean(dim=1)


def total_variation(x: Tensor) -> Tensor:
    """R_TV with the exponent beta = 2: squared differences to the next frame and to the next band, summed.

    The sum is divided by the number of cells. Beyond the last frame and the last band there is no neighbour.

    Args:
        x: standardised pictures (n, ..., frames, bands).

    Returns:
        One number per picture (n,).
    """
    squares = [x.diff(dim=axis).square().flatten(1).sum(dim=1) for axis in (-2, -1)]
    return (squares[0] + squares[1]) / x[0].numel()


def feature_distances(feature: Tensor, other: Tensor) -> Tensor:
    """||other - feature||^2 / ||feature||^2 for each pair (n,): the first term of the loss.

    Args:
        feature: of the originals (n, ...).
        other: of their inversions, of the same shape.

    Raises:
        LayerError: if the shapes differ.
        OptimisationError: a feature is zero everywhere, so that no distance is relative to it.
    """
    if other.shape != feature.shape:
        raise LayerError(
            f"The encoder turns a picture into a feature {tuple(other.shape)}, but the feature to be inverted is "
            f"{tuple(feature.shape)}."
        )
    scale = feature.flatten(1).square().sum(dim=1)
    if not scale.all():
        raise OptimisationError(
            f"Feature {int((scale == 0).nonzero()[0])} is zero everywhere: there is nothing to be inverted."
        )
    return (other - feature).flatten(1).square().sum(dim=1) / scale


def invert_by_optimisation(
    encoder: FeatureMap,
    feature: Tensor | np.ndarray,
    shape: Sequence[int],
    plan: OptimisationPlan = OptimisationPlan(),
    *,
    start: Tensor | np.ndarray | None = None,
    description: str = "inverting",
) -> OptimisedInversion:
    """Find pictures that an encoder maps to given features.

    Each picture has its own loss and its own descent: it does not depend on what else is in the batch.

    Args:
        encoder: any differentiable map, such as a network of yours in eval mode; it treats each picture on its own.
        feature: what to invert (n, ...), on the encoder's device; an array is brought there.
        shape: of one picture, such as (1, 115, 80); for a layer of a listener, `listener["conv5"]`, that of all of them
            will do too, such as `x.shape`.
        plan: how long, with which regularisers, from which noise.
        start: where to begin, `(n, *shape)`; None takes the same noise, of deviation 1, for every picture.
        description: what the progress bar says.

    Raises:
        LayerError: the shapes of features or pictures do not fit, or no gradient leads from the feature to a picture.
        OptimisationError: the encoder is in training mode, a feature is zero, or something is not finite.
    """
    _check_encoder(encoder)
    feature, shape = _as_feature(feature, encoder).detach(), tuple(shape)
    if isinstance(encoder, LayerMap) and shape == (len(feature), *encoder.input_shape):
        shape = encoder.input_shape
    if not len(feature) or not torch.isfinite(feature).all():
        raise OptimisationError(f"Of the features {tuple(feature.shape)} there must be one or more, and all finite.")
    begin = (
        noise(shape, plan.seed, feature).expand(len(feature), *shape)
        if start is None
        else as_numbers(start).to(feature)
    )
    if begin.shape != (len(feature), *shape):
        raise LayerError(f"{len(feature)} pictures {shape} cannot start from {tuple(begin.shape)}.")

    def terms(x: Tensor) -> dict[str, Tensor]:
        given = encoder(x)
        if not given.requires_grad:
            layer = encoder.layer if isinstance(encoder, LayerMap) else "the encoder"
            raise LayerError(f"{without_gradient(layer)} Invert another layer, or train an inverter for this one.")
        found = {"feature": feature_distances(feature, given)}
        if plan.alpha_weight:
            found["alpha"] = plan.alpha_weight * alpha_norm(x)
        if plan.variation_weight:
            found["variation"] = plan.variation_weight * total_variation(x)
        return found

    descent = minimise(terms, begin, plan.passes, description)
    return OptimisedInversion(descent.x, descent.history)


def noise(shape: Sequence[int], seed: int, like: Tensor) -> Tensor:
    """Independent normal values of deviation 1, as standardised pictures have, `(1, *shape)`; the same on all devices.

    Args:
        shape: of one picture.
        seed: of the values.
        like: a tensor whose type and device they take.
    """
    return torch.randn(1, *shape, generator=torch.Generator().manual_seed(seed)).to(like)


def layer_encoder(network: Listener, layer: str) -> FeatureMap:
    """The part of a network up to a layer, as a frozen copy in eval mode; the network itself stays as it is.

    Args:
        network: its weights.
        layer: the last one that is computed.

    Raises:
        LayerError: if there is no such layer.
    """
    network.check_layers([layer])
    return LayerMap(copy.deepcopy(network).eval().requires_grad_(False), layer)


def optimise_layers(
    network: Listener, x: Tensor, plans: Mapping[str, OptimisationPlan], batch: int = BATCH
) -> dict[str, OptimisedInversion]:
    """Invert the features of inputs at several layers by optimisation.

    Args:
        network: whose features are inverted.
        x: inputs (n, channels, time, frequency), on the network's device.
        plans: a plan per layer.
        batch: how many are inverted at once; it does not change what comes out beyond rounding.

    Returns:
        Per layer, pictures of the shape of `x` and their losses.

    Raises:
        LayerError: a layer does not exist, or the inputs have another shape.
        OptimisationError: see `invert_by_optimisation`.
    """
    found = {}
    for layer, plan in plans.items():
        encoder = layer_encoder(network, layer)
        parts = []
        for piece in x.split(batch):
            with torch.no_grad():
                feature = encoder(piece)
            parts.append(invert_by_optimisation(encoder, feature, piece.shape[1:], plan, description=layer))
        losses = {name: torch.cat([part.losses[name] for part in parts], dim=1) for name in parts[0].losses}
        found[layer] = OptimisedInversion(torch.cat([part.pictures for part in parts]), losses)
    return found


def _as_feature(feature: Tensor | np.ndarray, encoder: FeatureMap) -> Tensor:
    """A feature as a tensor; an array takes the type and place of the encoder's weights, if it has any."""
    network = encoder.listener if isinstance(encoder, LayerMap) else encoder
    weights = next(network.parameters(), None) if isinstance(network, nn.Module) else None
    found = as_numbers(feature)
    return found if isinstance(feature, Tensor) or weights is None else found.to(weights)


def _check_encoder(encoder: FeatureMap) -> None:
    """Dropout would change the loss from pass to pass, and batch normalisation would mix the pictures."""
    if isinstance(encoder, nn.Module) and any(module.training for module in encoder.modules()):
        raise OptimisationError("The encoder is in training mode. Call its eval() first.")
