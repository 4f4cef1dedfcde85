"""L-BFGS for a batch: against closed forms, against the dense formula of the method, and each picture on its own."""

import pytest
import torch

from svdlib.errors import OptimisationError
from svdlib.inversion.lbfgs import _Curvature, first_not_finite, minimise

GENERATOR = torch.Generator().manual_seed(0)


def random(*shape):
    return torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def rosenbrock(x):
    a, b = x[:, :-1], x[:, 1:]
    return {"valley": 100 * (b - a**2).square().sum(1), "slope": (1 - a).square().sum(1)}


def test_quadratic_bowls_of_very_different_widths_reach_their_known_minima():
    centres, widths = random(5, 12), 10 ** torch.linspace(-1.5, 1.5, 12, dtype=torch.float64)
    found = minimise(lambda x: {"bowl": (widths * (x - centres) ** 2).sum(1)}, torch.zeros(5, 12).double(), 120)
    torch.testing.assert_close(found.x, centres, atol=1e-4, rtol=0)


def test_a_curved_valley_is_followed_to_its_end():
    found = minimise(rosenbrock, random(4, 2), 80)
    torch.testing.assert_close(found.x, torch.ones(4, 2).double(), atol=1e-6, rtol=0)


def test_no_loss_ever_grows_and_the_history_says_where_it_came_to():
    found = minimise(rosenbrock, random(6, 4), 40)
    total = sum(found.history.values())
    assert total.shape == (41, 6) and (total.diff(dim=0) <= 0).all() and (total[-1] < total[0]).all()
    assert torch.equal(total[-1], sum(rosenbrock(found.x).values()))


def test_a_picture_does_not_depend_on_its_neighbours():
    start = random(5, 6)
    together = minimise(rosenbrock, start, 30)
    for index in range(5):
        alone = minimise(rosenbrock, start[index : index + 1], 30)
        torch.testing.assert_close(alone.x[0], together.x[index], atol=1e-9, rtol=0)


def test_the_step_is_that_of_the_dense_formula():
    n, gradient = 5, random(1, 5)
    curvature, pairs = _Curvature(gradient), [(random(1, n), random(1, n)) for _ in range(8)]
    pairs = [(step, change * torch.sign((step * change).sum())) for step, change in pairs]
    step, change = (each[0] for each in pairs[-1])
    inverse_hessian = torch.eye(n).double() * (step @ change) / (change @ change)
    for step, change in pairs:
        curvature.learn(step, change)
        s, y = step[0], change[0]
        shrink = torch.eye(n).double() - torch.outer(s, y) / (s @ y)
        inverse_hessian = shrink @ inverse_hessian @ shrink.T + torch.outer(s, s) / (s @ y)
    torch.testing.assert_close(curvature.newton_step(gradient)[0], -inverse_hessian @ gradient[0])


def test_a_pair_of_negative_curvature_and_forgotten_pairs_leave_no_trace():
    gradient, step, change = random(1, 5), random(1, 5), random(1, 5)
    change *= torch.sign((step * change).sum())
    curvature = _Curvature(gradient)
    before = curvature.newton_step(gradient)
    curvature.learn(step, -change)
    assert torch.equal(curvature.newton_step(gradient), before)
    curvature.learn(step, change)
    curvature.forget(torch.tensor([True]))
    torch.testing.assert_close(curvature.newton_step(gradient), -curvature.scale * gradient)


def test_a_trial_that_leaves_the_domain_is_taken_back():
    # The minimum of x - log x is 1; beyond 0 there is no loss.
    found = minimise(lambda x: {"barrier": (x - x.log()).sum(1)}, torch.tensor([[3.0], [0.01]]).double(), 60)
    torch.testing.assert_close(found.x, torch.ones(2, 1).double(), atol=1e-6, rtol=0)


def test_a_start_without_a_loss_is_refused_by_its_number():
    with pytest.raises(OptimisationError, match=r"picture 1 is nan.*weights"):
        minimise(lambda x: {"log": x.log().sum(1)}, torch.tensor([[1.0], [-1.0]]), 5)


def test_the_first_picture_that_is_not_finite_is_found_by_its_loss_or_its_gradient():
    losses, gradients = torch.zeros(4), torch.zeros(4, 2, 3)
    assert first_not_finite(losses, gradients) is None
    losses[3] = torch.inf
    assert first_not_finite(losses, gradients) == 3
    gradients[2, 1, 0] = torch.nan
    assert first_not_finite(losses, gradients) == 2


def test_a_gradient_that_is_not_finite_is_refused():
    with pytest.raises(OptimisationError, match=r"picture 0 is 0\.0, or its gradient is not finite\. .*the feature"):
        minimise(lambda x: {"root": x.clamp(min=0).sqrt().sum(1)}, torch.zeros(1, 1), 5)
