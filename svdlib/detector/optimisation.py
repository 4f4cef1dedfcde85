"""How the detector's layers are inverted by optimisation."""

from svdlib.inversion.optimisation import OptimisationPlan

PLANS: dict[str, OptimisationPlan] = {
    "conv1": OptimisationPlan(passes=200, alpha_weight=0.0, variation_weight=0.0),
    "conv2": OptimisationPlan(passes=200, alpha_weight=0.0, variation_weight=0.01),
    "mp3": OptimisationPlan(passes=120, alpha_weight=1e-05, variation_weight=0.3),
    "conv4": OptimisationPlan(passes=120, alpha_weight=0.0, variation_weight=1.0),
    "conv5": OptimisationPlan(passes=120, alpha_weight=1e-05, variation_weight=1.0),
    "mp6": OptimisationPlan(passes=120, alpha_weight=0.0, variation_weight=1.0),
    "fc7": OptimisationPlan(alpha_weight=0.0001, variation_weight=1.0),
    "fc8": OptimisationPlan(alpha_weight=0.0, variation_weight=1.0),
}
"""Per layer, the weights that `svdlib.lab.studies.regulariser_weights` chose on ten validation songs of `synthetic`.

Layers that hold more than the answer take more passes until the descent is slow.
"""
