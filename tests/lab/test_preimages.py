"""Many pictures with one feature, against a linear map, where the nearest such picture is known."""

import pytest
import tiny
import torch
from torch import nn

import svdlib
from svdlib.errors import InputError
from svdlib.inversion.nre import mean_pairwise_distance
from svdlib.lab.analysis.preimages import preimages


class Projection(nn.Module):
    """Reads some numbers of a picture (1, 6, 5), each a weighted sum of all."""

    def __init__(self, numbers):
        super().__init__()
        self.read = nn.Linear(30, numbers, bias=False)
        nn.init.orthogonal_(self.read.weight, generator=torch.Generator().manual_seed(1))

    def forward(self, x):
        return self.read(x.flatten(1))


def pictures(count, seed):
    return torch.randn(count, 1, 6, 5, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("numbers", [1, 7, 30])
def test_what_a_linear_map_drops(numbers):
    """A descent moves within the rows of the map: to the nearest such picture, start + A^T (f - A start)."""
    net = Projection(numbers).eval()
    original, starts = pictures(1, 2), pictures(8, 3)
    found = preimages(svdlib.Encoder(net, layers=["read"], example=starts[:2]), original, starts, "read")
    weights = net.read.weight.detach()
    nearest = starts + ((net(original) - net(starts)) @ weights).view_as(starts).detach()
    assert torch.allclose(found.pictures, nearest, atol=2e-3)
    assert float(found.feature_errors.max()) < 1e-3
    assert found.apart == pytest.approx(mean_pairwise_distance(nearest) / mean_pairwise_distance(starts), abs=2e-3)
    steps = (nearest - starts).flatten(1).norm(dim=1) / (starts - original).flatten(1).norm(dim=1)
    assert torch.allclose(found.moved.float(), steps, atol=2e-3)
    if numbers == 30:
        assert found.apart < 0.01, "all that there is was read, so one picture is left"


def test_the_detector_is_not_changed_and_pictures_have_the_feature():
    detector, bank = tiny.detector(), tiny.bank(count=3)
    x = bank.gather(torch.arange(0, 40, 10))
    before = detector.features(x, "fc8")["fc8"]
    found = preimages(detector, x[:1], x[1:], "fc8", passes=10)
    with torch.no_grad():
        assert torch.equal(before, detector.features(x, "fc8")["fc8"])
        again = detector.features(found.pictures, "fc8")["fc8"]
    errors = (again - before[:1]).norm(dim=1) / before[0].norm()
    assert torch.allclose(errors, found.feature_errors, atol=1e-4)
    assert (errors < (before[1:] - before[:1]).norm(dim=1) / before[0].norm()).all()


def test_starts_that_make_no_sense():
    detector, x = tiny.detector(), tiny.bank().gather(torch.tensor([0, 12]))
    with pytest.raises(InputError, match="not 1"):
        preimages(detector, x[:1], x[1:], "fc8")
    with pytest.raises(InputError, match="Start 1 is the original"):
        preimages(detector, x[:1], x.flip(0), "fc8")
