"""Singular values of a Jacobian: against those of matrices, and of a small network's whole Jacobian."""

import pytest
import tiny
import torch
from torch import nn

from svdlib.errors import OptimisationError
from svdlib.inversion.jacobian import singular_range
from svdlib.inversion.optimisation import layer_encoder


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_a_matrix_has_its_own_singular_values():
    matrix = random(30, 20)
    true = torch.linalg.svdvals(matrix)
    smallest, largest = singular_range(lambda x: x.flatten(1) @ matrix.T, random(1, 4, 5, seed=1), steps=20)
    assert (smallest, largest) == pytest.approx((float(true[-1]), float(true[0])), rel=1e-6)
    upper, largest = singular_range(lambda x: x.flatten(1) @ matrix.T, random(1, 4, 5, seed=1), steps=9)
    assert float(true[-1]) < upper < 3 * float(true[-1]) and largest == pytest.approx(float(true[0]), rel=0.01)


def test_a_direction_without_effect_has_the_value_zero():
    assert singular_range(lambda x: x[:, :3], random(1, 5), steps=5)[0] == pytest.approx(0, abs=1e-6)


def test_an_identity_is_known_after_one_step():
    assert singular_range(lambda x: 2 * x, random(1, 7), steps=7) == pytest.approx((2, 2))


def test_a_network_like_the_detector_has_those_of_its_whole_jacobian():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        activation = nn.LeakyReLU(0.01, inplace=True)
        network = nn.Sequential(nn.Conv2d(1, 8, 3), activation, nn.Conv2d(8, 16, 3), activation, nn.MaxPool2d(2))
    network, x = network.double().eval(), random(1, 1, 10, 8)
    jacobian = torch.autograd.functional.jacobian(network, x).reshape(-1, 80)
    true = torch.linalg.svdvals(jacobian)
    smallest, largest = singular_range(network, x, steps=80)
    assert smallest == pytest.approx(float(true[-1]), rel=1e-3, abs=1e-6)
    assert largest == pytest.approx(float(true[0]), rel=1e-6)


def test_the_detector_itself_can_be_asked():
    smallest, largest = singular_range(layer_encoder(tiny.detector(), "conv1"), random(1, 1, 115, 80).float(), steps=3)
    assert 0 < smallest < largest


def test_several_pictures_are_refused():
    with pytest.raises(OptimisationError, match="not to 2"):
        singular_range(lambda x: x, random(2, 5), steps=2)
