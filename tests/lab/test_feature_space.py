"""Points of feature space: the layers above, neighbours, walks and means, against slow versions and by hand."""

import numpy as np
import pytest
import tiny
import torch

from svdlib.detector.model import LAYERS
from svdlib.errors import CorpusError, LayerError
from svdlib.lab.analysis.feature_space import (
    all_correlations,
    class_means,
    features_of,
    logits_from,
    nearest_of_other_songs,
    neighbour_agreement,
    pairwise_distances,
    walk,
)


@pytest.fixture(scope="module")
def x():
    return torch.randn(3, 1, 115, 80, generator=torch.Generator().manual_seed(0))


def test_a_layers_own_feature_gives_the_detectors_own_answer(x):
    detector = tiny.detector()
    features = features_of(detector, x, LAYERS, batch=2)
    with torch.no_grad():
        expected = detector(x)[:, 0]
    for layer in LAYERS:
        torch.testing.assert_close(logits_from(detector, layer, features[layer]), expected)
    with pytest.raises(LayerError, match="fc9"):
        logits_from(detector, "fc9", features["fc8"])


def test_a_walk_is_straight_and_has_both_ends():
    start, end = torch.tensor([0.0, 2.0]), torch.tensor([4.0, 0.0])
    assert walk(start, end, 5).tolist() == [[0, 2], [1, 1.5], [2, 1], [3, 0.5], [4, 0]]


def test_class_means_by_hand():
    features = torch.tensor([[0.0, 1.0], [2.0, 3.0], [10.0, 10.0]])
    non_vocal, vocal = class_means(features, torch.tensor([False, False, True]))
    assert non_vocal.tolist() == [1, 2] and vocal.tolist() == [10, 10]
    with pytest.raises(CorpusError, match="one class"):
        class_means(features, torch.ones(3, dtype=torch.bool))


def test_neighbours_come_from_other_songs_and_are_the_nearest():
    generator = np.random.default_rng(0)
    features, songs = generator.normal(size=(20, 4, 3)), np.arange(20) % 4
    distances = pairwise_distances(torch.as_tensor(features))
    found = nearest_of_other_songs(distances, torch.as_tensor(songs), 3)
    for query in range(20):
        others = [other for other in range(20) if songs[other] != songs[query]]
        others.sort(key=lambda other: np.linalg.norm(features[query] - features[other]))
        assert found[query].tolist() == others[:3]
    with pytest.raises(CorpusError, match="16 others"):
        nearest_of_other_songs(distances, torch.as_tensor(songs), 16)


def test_agreement_with_neighbours_and_chance_by_hand():
    label, songs = torch.tensor([1, 1, 0, 1]), torch.tensor([0, 1, 1, 2])
    same = label[:, None] == label[None, :]
    near, chance = neighbour_agreement(same, torch.tensor([[1], [0], [3], [2]]), songs)
    assert near.tolist() == [1, 1, 0, 0]
    assert chance.tolist() == pytest.approx([2 / 3, 1, 0, 2 / 3])


def test_all_correlations_are_those_of_numpy():
    patterns = np.random.default_rng(0).normal(size=(6, 5, 7))
    expected = np.corrcoef(patterns.reshape(6, -1))
    np.testing.assert_allclose(all_correlations(torch.as_tensor(patterns)).numpy(), expected, atol=1e-12)
    assert all_correlations(torch.ones(2, 5)).abs().max() == 0
