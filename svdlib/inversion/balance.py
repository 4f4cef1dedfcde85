"""Both losses as shares of what a constant would leave: an objective in which neither drowns the other.

Inputs and features have scales of their own, and a comparator's features may vary hundreds of times less than the
inputs do. As plain means the feature loss then moves nothing. Divided by the loss of the mean predictor, the constant
that does best, each loss begins near 1 and says which share of the variance is still unexplained.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from torch import Tensor

from svdlib.inversion.comparison import ComparisonSpace
from svdlib.inversion.objectives import Comparator, Objective, reconstruction_losses


@dataclass(frozen=True)
class Balanced(Objective):
    """Input loss plus `lambda_feature` times the feature loss, each divided by that of the mean predictor.

    Attributes:
        input_variance: mean over the cells of an input of their variance over the training inputs, what the mean
            predictor's input loss is; measured when a run begins.
        feature_variance: likewise of the cells of the comparator's feature.
    """

    name: ClassVar[str] = "balanced"
    needs_variances: ClassVar[bool] = True

    input_variance: float = 1.0
    feature_variance: float = 1.0

    def tuned(self, space: ComparisonSpace) -> "Balanced":
        """The same objective with the variances of the training inputs and of their features."""
        return replace(self, input_variance=space.input_variance, feature_variance=space.variance)

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
