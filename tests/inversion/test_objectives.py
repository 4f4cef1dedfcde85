import copy

import pytest
import tiny as small
import torch
from torch import nn

from svdlib.detector.model import LAYER_SHAPES
from svdlib.errors import PlanError
from svdlib.inversion.objectives import (
    decayed_parameters,
    feature_loss,
    input_loss,
    reconstruction_losses,
)
from svdlib.paper.released import weight_penalty, without_gradient
from svdlib.zoo.families import build_inverter
from svdlib.zoo.objectives import find_objective


class TinyInverter(nn.Module):
    """From three numbers to an excerpt of 5 x 4."""

    def __init__(self):
        super().__init__()
        self.dense = nn.Linear(3, 20)

    def forward(self, feature):
        return nn.functional.elu(self.dense(feature)).view(-1, 1, 5, 4)


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    inverter = TinyInverter().double()
    comparator = nn.Sequential(nn.Conv2d(1, 6, 3), nn.LeakyReLU(0.01)).double().requires_grad_(False)
    feature, x = torch.randn(2, 3).double(), torch.randn(2, 1, 5, 4).double()
    return inverter, comparator, feature, x


def joint_loss(inverter, comparator, feature, x):
    return reconstruction_losses(x.float(), comparator(x), {"tiny": inverter(feature)}, comparator)["tiny"]


def exact_joint_loss(inverter, comparator, feature, x):
    """Equation 3 without its last term, as means, in float64."""
    x_hat = inverter(feature)
    return ((x - x_hat) ** 2).mean() + ((comparator(x) - comparator(x_hat)) ** 2).mean()


def test_both_losses_are_mean_squared_differences():
    x, x_hat = torch.zeros(2, 1, 2, 2), torch.tensor([1.0, 2, 3, 4, 0, 0, 0, 2]).view(2, 1, 2, 2)
    assert input_loss(x, x_hat).item() == pytest.approx((1 + 4 + 9 + 16 + 4) / 8)
    assert feature_loss(x, x_hat).item() == input_loss(x_hat, x).item()


def test_the_joint_loss_is_the_sum_of_both(tiny):
    assert joint_loss(*tiny).item() == pytest.approx(exact_joint_loss(*tiny).item(), rel=1e-6)


def test_the_gradient_agrees_with_finite_differences(tiny):
    inverter, comparator, feature, x = tiny
    joint_loss(*tiny).backward()
    step = 1e-6
    with torch.no_grad():
        for parameter in inverter.parameters():
            flat, found = parameter.view(-1), parameter.grad.view(-1)
            for index in range(len(flat)):
                flat[index] += step
                above = exact_joint_loss(*tiny)
                flat[index] -= 2 * step
                below = exact_joint_loss(*tiny)
                flat[index] += step
                expected = ((above - below) / (2 * step)).item()
                assert found[index].item() == pytest.approx(expected, rel=1e-4, abs=1e-6)


def test_the_feature_loss_reaches_the_inverter_through_the_comparator(tiny):
    """In the released code it is a constant: there both gradients would be the same."""
    inverter, comparator, feature, x = tiny
    joint = torch.autograd.grad(joint_loss(*tiny), inverter.dense.weight)[0]
    alone = reconstruction_losses(x, None, {"tiny": inverter(feature)}, comparator)["tiny"]
    from_input = torch.autograd.grad(alone, inverter.dense.weight)[0]
    through_features = torch.autograd.grad(
        ((comparator(x) - comparator(inverter(feature))) ** 2).mean(), inverter.dense.weight
    )[0]
    assert through_features.norm() > 0.1 * from_input.norm()
    torch.testing.assert_close(joint, from_input + through_features, rtol=1e-4, atol=1e-7)


def test_the_real_comparator_passes_the_gradient_on_and_is_not_trained():
    torch.manual_seed(0)
    detector, inverter = small.detector(), build_inverter("fc8").eval()
    x, feature = torch.randn(1, 1, 115, 80), torch.randn(1, *LAYER_SHAPES["fc8"])

    detector = copy.deepcopy(detector).requires_grad_(False)

    def compare(excerpts):
        return detector.features(excerpts, ("conv5",))["conv5"]

    gradients = []
    for theta_x in (compare(x), None):
        inverter.zero_grad()
        reconstruction_losses(x, theta_x, {"fc8": inverter(feature)}, compare)["fc8"].backward()
        gradients.append(torch.cat([parameter.grad.flatten() for parameter in inverter.parameters()]))
    assert (gradients[0] - gradients[1]).norm() > 0.01 * gradients[1].norm()
    assert all(parameter.grad is None for parameter in detector.parameters())


def test_layers_compared_in_one_batch_have_the_losses_they_have_alone(tiny):
    inverter, comparator, feature, x = tiny
    comparator, x = comparator.float(), x.float()
    reconstructions = {name: torch.randn(2, 1, 5, 4) for name in ("a", "b", "c")}
    together = reconstruction_losses(x, comparator(x), reconstructions, comparator)
    for name, x_hat in reconstructions.items():
        alone = reconstruction_losses(x, comparator(x), {name: x_hat}, comparator)[name]
        assert together[name].item() == pytest.approx(alone.item(), rel=1e-6)


def test_a_perfect_reconstruction_costs_nothing(tiny):
    _, comparator, _, x = tiny
    assert reconstruction_losses(x, comparator(x), {"a": x}, comparator)["a"].item() < 1e-12


def test_weights_and_scales_are_kept_small_but_no_bias():
    for layer in ("fc7", "conv1"):
        inverter = build_inverter(layer)
        penalised, free = decayed_parameters(inverter)
        expected = []
        for module in inverter.modules():
            if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm1d | nn.BatchNorm2d):
                expected.append(module.weight)
        assert {id(parameter) for parameter in penalised} == {id(parameter) for parameter in expected}
        assert all(parameter.ndim == 1 for parameter in free)
        assert len(penalised) + len(free) == len(list(inverter.parameters()))


def test_a_comparator_without_gradient_leaves_the_value_and_takes_the_gradient(tiny):
    inverter, comparator, feature, x = tiny
    losses = {
        name: reconstruction_losses(x.float(), comparator(x), {"a": inverter(feature)}, compare)["a"]
        for name, compare in (("joint", comparator), ("released", without_gradient(comparator)))
    }
    alone = reconstruction_losses(x.float(), None, {"a": inverter(feature)}, comparator)["a"]
    assert losses["released"].item() == losses["joint"].item() > alone.item()
    gradients = [torch.autograd.grad(loss, inverter.dense.weight)[0] for loss in (losses["released"], alone)]
    assert torch.equal(*gradients)


def test_the_penalty_is_beta_times_the_squares_of_weights_and_scales():
    torch.manual_seed(2)
    inverter = build_inverter("fc8")
    for parameter in inverter.parameters():
        nn.init.normal_(parameter)
    expected = 0.0
    for module in inverter.modules():
        if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d | nn.BatchNorm1d | nn.BatchNorm2d):
            expected += 1e-4 * float((module.weight.detach().double() ** 2).sum())
    assert weight_penalty(inverter).item() == pytest.approx(expected, rel=1e-5)


def test_unknown_objective_lists_the_known_ones():
    with pytest.raises(PlanError, match="'join'.*joint, input, released, adversarial"):
        find_objective("join")
