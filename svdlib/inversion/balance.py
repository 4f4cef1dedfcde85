"""Both losses as shares of what a constant would leave: an objective in which neither drowns the other.

Inputs and features have scales of their own, and a comparator's features may vary hundreds of times less than the
inputs do. As plain means the feature loss then moves nothing. Divided by the loss of the mean predictor, the constant
that does best, each loss begins near 1 and says which share of the variance is still unexplained.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor

from svdlib.errors import TrainingError
from svdlib.inversion.bank import Bank
from svdlib.inversion.listener import Listener
from svdlib.inversion.objectives import Comparator, Objective, reconstruction_losses

MEASURED = 1024
"""How many training inputs the variances are measured on."""

PIECE = 64
"""Inputs measured at once, to spare memory."""


@dataclass(frozen=True)
class Balanced(Objective):
    """Input loss plus `lambda_feature` times the feature loss, each divided by that of the mean predictor.

    Attributes:
        input_variance: mean over the cells of an input of their variance over the training inputs, what the mean
            predictor's input loss is; measured when a run begins.
        feature_variance: likewise of the cells of the comparator's feature.
    """

    name: ClassVar[str] = "balanced"

    input_variance: float = 1.0
    feature_variance: float = 1.0

    def tuned(self, encoder: Listener, comparator: str, train: Bank) -> "Balanced":
        """The same objective with the variances of the training inputs and of their features.

        Raises:
            TrainingError: if all inputs, or all their features, are alike.
        """
        inputs, features = _variances(encoder, comparator, train)
        if not inputs > 0 or not features > 0:
            what = "inputs" if not inputs > 0 else f"features at {comparator}"
            raise TrainingError(f"All training {what} are alike, so there is nothing to weigh a loss by.")
        return replace(self, input_variance=inputs, feature_variance=features)

    def settings(self) -> dict[str, Any]:
        """The weight, and the two variances."""
        measured = {"input_variance": self.input_variance, "feature_variance": self.feature_variance}
        return {"lambda_feature": self.lambda_feature} | measured

    def losses(
        self, x: Tensor, theta_x: Tensor | None, reconstructions: Mapping[str, Tensor], comparator: Comparator
    ) -> dict[str, Tensor]:
        """Both losses as shares, see `reconstruction_losses`."""
        weights = 1 / self.input_variance, self.lambda_feature / self.feature_variance
        return reconstruction_losses(x, theta_x, reconstructions, comparator, weights)


@torch.no_grad()
def _variances(encoder: Listener, layer: str, train: Bank) -> tuple[float, float]:
    """Mean over cells of the variance over the inputs of a bank: of the inputs, and of the comparator's features."""
    chosen = train.spread(MEASURED)
    moments: list[Tensor] = []
    for indices in chosen.split(PIECE):
        x = train.gather(indices)
        both = (values.double() for values in (x, encoder.features(x, (layer,))[layer]))
        found = [torch.stack([values.sum(0), values.square().sum(0)]) / len(chosen) for values in both]
        moments = [old + new for old, new in zip(moments, found, strict=True)] if moments else found
    inputs, features = (float((square - mean.square()).clamp(min=0).mean()) for mean, square in moments)
    return inputs, features
