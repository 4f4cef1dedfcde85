"""The excerpt that is shown first."""

import pytest
import torch

from svdlib.errors import LayerError
from svdlib.pages.showcase import layers_apart


def test_layers_are_as_far_apart_as_their_inversions_are_in_the_mean():
    one, other, third = torch.randn(3, 5, 1, 7, 4, generator=torch.manual_seed(0))
    found = layers_apart({"conv1": one, "mp3": other, "fc8": third})
    for row in range(5):
        distances = [
            float((a[row] - b[row]).square().sum().sqrt()) for a, b in ((one, other), (one, third), (other, third))
        ]
        assert float(found[row]) == pytest.approx(sum(distances) / 3)


def test_layers_that_agree_are_not_apart():
    same = torch.ones(2, 1, 7, 4)
    assert layers_apart({"conv1": same, "fc8": same}).tolist() == [0, 0]


def test_one_layer_has_nothing_to_differ_from():
    with pytest.raises(LayerError, match="1 layer has no other one"):
        layers_apart({"conv1": torch.ones(2, 1, 7, 4)})
