"""Inversion by optimisation: its terms against slow sums, its results against closed forms and trained inverters."""

import copy

import numpy as np
import pytest
import tiny
import torch
from torch import nn

import svdlib
from svdlib.errors import LayerError, OptimisationError
from svdlib.inversion.optimisation import (
    OptimisationPlan,
    alpha_norm,
    feature_distances,
    invert_by_optimisation,
    layer_encoder,
    noise,
    optimise_layers,
    total_variation,
)


def random(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def neighbours(frames, bands):
    """All pairs of cells that touch, as indices into the flattened picture."""
    cells = np.arange(frames * bands).reshape(frames, bands)
    return [*zip(cells[:-1].ravel(), cells[1:].ravel()), *zip(cells[:, :-1].ravel(), cells[:, 1:].ravel())]  # noqa: B905


def test_terms_of_a_picture_worked_out_by_hand():
    x = torch.tensor([[[[1.0, 2.0], [0.0, -1.0]]], [[[3.0, 3.0], [3.0, 3.0]]]])
    # Down: 1 and 9; across: 1 and 1; four cells.
    assert total_variation(x).tolist() == [3.0, 0.0]
    assert alpha_norm(x).tolist() == [(1 + 64 + 0 + 1) / 4, 729.0]
    halved = feature_distances(torch.tensor([[3.0, 4.0]]), torch.tensor([[1.5, 2.0]]))
    assert halved.tolist() == [0.25]


def test_terms_agree_with_slow_sums():
    x = random(3, 1, 6, 5)
    for picture, variation, size in zip(x.flatten(1), total_variation(x), alpha_norm(x), strict=True):
        slow = sum(float(picture[a] - picture[b]) ** 2 for a, b in neighbours(6, 5))
        assert float(variation) == pytest.approx(slow / 30, rel=1e-12)
        assert float(size) == pytest.approx(sum(abs(float(value)) ** 6 for value in picture) / 30, rel=1e-12)


@pytest.mark.parametrize("term", [alpha_norm, total_variation])
def test_gradients_of_the_regularisers_agree_with_finite_differences(term):
    assert torch.autograd.gradcheck(term, random(2, 1, 5, 4).requires_grad_())


def test_gradient_through_a_detector_agrees_with_finite_differences():
    encoder = layer_encoder(copy.deepcopy(tiny.detector()).double(), "conv2")
    x, direction = random(1, 1, 115, 80).requires_grad_(), random(1, 1, 115, 80, seed=1)
    feature = encoder(random(1, 1, 115, 80, seed=2))
    (gradient,) = torch.autograd.grad(feature_distances(feature, encoder(x)).sum(), x)
    with torch.no_grad():
        ahead, behind = (feature_distances(feature, encoder(x + step * direction)) for step in (1e-6, -1e-6))
    assert float((gradient * direction).sum()) == pytest.approx(float((ahead - behind) / 2e-6), rel=1e-5)


def test_a_linear_encoder_gives_the_solution_nearest_to_the_start():
    matrix = random(12, 30)
    original, start = random(2, 30, seed=1), random(2, 30, seed=2)
    feature = original @ matrix.T
    nearest = start + (feature - start @ matrix.T) @ torch.linalg.pinv(matrix).T
    plan = OptimisationPlan(passes=60)
    found = invert_by_optimisation(lambda x: x.flatten(1) @ matrix.T, feature, (5, 6), plan, start=start.view(2, 5, 6))
    torch.testing.assert_close(found.pictures.flatten(1), nearest, atol=1e-6, rtol=0)
    assert (found.feature_errors < 1e-7).all()


def test_regularised_inversion_of_a_linear_encoder_solves_its_normal_equations():
    matrix, weight = random(12, 30), 0.02
    feature = random(1, 30, seed=1) @ matrix.T
    laplacian = torch.zeros(30, 30).double()
    for a, b in neighbours(5, 6):
        laplacian[a, a] += 1
        laplacian[b, b] += 1
        laplacian[a, b] -= 1
        laplacian[b, a] -= 1
    scale = feature.square().sum()
    expected = torch.linalg.solve(matrix.T @ matrix / scale + weight / 30 * laplacian, feature[0] @ matrix / scale)
    plan = OptimisationPlan(passes=120, variation_weight=weight)
    found = invert_by_optimisation(lambda x: x.flatten(1) @ matrix.T, feature, (5, 6), plan)
    torch.testing.assert_close(found.pictures.flatten(), expected, atol=1e-5, rtol=0)
    assert float(found.losses["variation"][-1]) == pytest.approx(weight / 30 * float(expected @ laplacian @ expected))


def test_the_alpha_norm_keeps_values_small():
    # (x - 2)^2 / 4 + 0.1 x^6 has its minimum where x / 2 - 1 + 0.6 x^5 is zero.
    root = np.roots([0.6, 0, 0, 0, 0.5, -1])
    expected = float(root[np.isreal(root)].real[0])
    plan = OptimisationPlan(passes=30, alpha_weight=0.1)
    found = invert_by_optimisation(nn.Identity().eval(), torch.full((1, 1, 1), 2.0), (1, 1), plan)
    assert float(found.pictures) == pytest.approx(expected, rel=1e-4)


@pytest.fixture(scope="module")
def network():
    """A small network with all that the detector has: leaky convolutions, pooling and a dense layer."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = nn.Conv2d(1, 6, 3), nn.LeakyReLU(0.01), nn.MaxPool2d(3), nn.Flatten(), nn.Linear(6 * 4 * 3, 10)
        return nn.Sequential(*layers).double().eval()


def test_a_picture_does_not_depend_on_the_others_in_the_batch(network):
    x, plan = random(3, 1, 14, 11), OptimisationPlan(12, 1e-4, 0.01)
    with torch.no_grad():
        together = invert_by_optimisation(network, network(x), x.shape[1:], plan).pictures
        beside_others = torch.cat([x[:1], 50 * x[1:]])
        changed = invert_by_optimisation(network, network(beside_others), x.shape[1:], plan).pictures
        torch.testing.assert_close(changed[0], together[0], atol=1e-8, rtol=0)
        for index in range(3):
            alone = invert_by_optimisation(network, network(x[index : index + 1]), x.shape[1:], plan).pictures
            torch.testing.assert_close(alone[0], together[index], atol=1e-8, rtol=0)


def test_layers_in_small_batches_are_those_of_one_batch():
    x = random(3, 1, 115, 80).float()
    plans = {"conv1": OptimisationPlan(2), "fc8": OptimisationPlan(2, 1e-4, 0.01)}
    together, apart = (optimise_layers(tiny.detector(), x, plans, batch=batch) for batch in (3, 2))
    assert list(together) == list(plans) and list(together["fc8"].losses) == ["feature", "alpha", "variation"]
    for layer, found in apart.items():
        torch.testing.assert_close(found.pictures, together[layer].pictures, atol=1e-4, rtol=0)
        for name, losses in found.losses.items():
            assert losses.shape == (3, 3)
            torch.testing.assert_close(losses, together[layer].losses[name], atol=1e-4, rtol=1e-3)


def test_the_same_seed_gives_the_same_pictures_and_another_one_others(network):
    feature = network(random(1, 1, 14, 11)).detach()
    first, again, other = (
        invert_by_optimisation(network, feature, (1, 14, 11), OptimisationPlan(20, seed=seed)).pictures
        for seed in (0, 0, 1)
    )
    assert torch.equal(first, again) and not torch.allclose(first, other, atol=0.1)
    torch.testing.assert_close(noise((115, 80), 3, feature).std(), torch.ones(()).double(), atol=0.03, rtol=0)


def test_the_detector_stays_as_it_is():
    detector = tiny.SVDNet().train()
    before = copy.deepcopy(detector)
    optimise_layers(detector, random(1, 1, 115, 80).float(), {"fc7": OptimisationPlan(2)})
    assert tiny.same_weights(detector, before) and detector.training
    assert all(weights.requires_grad and weights.grad is None for weights in detector.parameters())


def test_feature_errors_fall_below_those_of_both_trained_inverters():
    corpus = svdlib.open_corpus("synthetic:songs=3,seconds=5")
    detector = svdlib.pretrained("detector")
    bank = svdlib.ExcerptBank(svdlib.load_songs(corpus.split("test")[:1]), standardizer=detector.standardizer)
    x = bank.gather(bank.spread(1))
    plans = {"conv1": OptimisationPlan(16), "mp6": OptimisationPlan(100), "fc8": OptimisationPlan(32)}
    for layer, found in optimise_layers(detector, x, plans).items():
        encoder = layer_encoder(detector, layer)
        with torch.no_grad():
            own = feature_distances(encoder(x), encoder(found.pictures)).sqrt()
            torch.testing.assert_close(own, found.feature_errors, atol=1e-4, rtol=0.02)
            for variant in ("published", "aligned"):
                x_hat = svdlib.pretrained("inverter", layer=layer, variant=variant)(encoder(x))
                assert own < feature_distances(encoder(x), encoder(x_hat)).sqrt(), (layer, variant)


class Broken(nn.Module):
    def forward(self, x):
        return x * torch.nan


@pytest.mark.parametrize(
    ("encoder", "feature", "shape", "start", "error", "words"),
    [
        (nn.Identity(), torch.ones(2, 5), (6,), None, LayerError, r"\(2, 6\), but .* \(2, 5\)"),
        (nn.Identity(), torch.ones(2, 5), (5,), torch.ones(2, 4), LayerError, r"cannot start from \(2, 4\)"),
        (nn.Identity(), torch.tensor([[1.0], [torch.nan]]), (1,), None, OptimisationError, "all finite"),
        (nn.Identity(), torch.ones(0, 5), (5,), None, OptimisationError, "one or more"),
        (nn.Identity(), torch.tensor([[1.0], [0.0]]), (1,), None, OptimisationError, "Feature 1 is zero"),
        (Broken(), torch.ones(1, 5), (5,), None, OptimisationError, "picture 0 is nan"),
    ],
)
def test_what_cannot_be_inverted_is_refused(encoder, feature, shape, start, error, words):
    with pytest.raises(error, match=words):
        invert_by_optimisation(encoder.eval(), feature, shape, OptimisationPlan(2), start=start)


def test_an_encoder_in_training_mode_is_refused():
    encoder = nn.Sequential(nn.Linear(5, 5), nn.Dropout())
    with pytest.raises(OptimisationError, match=r"eval\(\)"):
        invert_by_optimisation(encoder, torch.ones(1, 5), (5,))


@pytest.mark.parametrize("change", [{"passes": 0}, {"alpha_weight": -1.0}, {"variation_weight": float("nan")}])
def test_a_plan_that_makes_no_sense_is_refused(change):
    with pytest.raises(OptimisationError, match=next(iter(change))):
        OptimisationPlan(**change)


class Detached(nn.Module):
    def forward(self, x):
        with torch.no_grad():
            return x + 1


def test_a_feature_without_a_gradient_is_named():
    listener = svdlib.Encoder(nn.Sequential(nn.Linear(5, 5), Detached()), ["0", "1"], random(2, 5).float())
    x = random(2, 5).float()
    with pytest.raises(LayerError, match=r"feature of 1 has no gradient.*Invert another layer"):
        invert_by_optimisation(listener["1"], listener["1"](x), x.shape)
    with pytest.raises(LayerError, match="feature of 1 has no gradient"):
        optimise_layers(listener, x, {"1": OptimisationPlan(2)})
    with pytest.raises(LayerError, match="feature of the encoder has no gradient"):
        invert_by_optimisation(Detached().eval(), x, (5,))


def test_arrays_do_as_well_as_tensors():
    listener = svdlib.Encoder(nn.Sequential(nn.Linear(5, 5)), "0", random(2, 5).float())
    feature, start, plan = random(2, 5), random(2, 5, seed=1), OptimisationPlan(3)
    found = invert_by_optimisation(listener["0"], feature.numpy(), (5,), plan, start=start.numpy())
    right = invert_by_optimisation(listener["0"], feature.float(), (5,), plan, start=start.float())
    assert found.pictures.dtype == torch.float32 and torch.equal(found.pictures, right.pictures)


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 picture 2 x 3 after 1 pass: "), (2, "2 pictures 2 x 3 after 1 pass: ")]
)
def test_a_result_prints_in_one_line(count, words):
    found = invert_by_optimisation(nn.Identity().eval(), torch.ones(count, 2, 3), (2, 3), OptimisationPlan(1))
    assert repr(found).startswith(f"OptimisedInversion of {words}feature errors ") and "\n" not in repr(found)


def test_a_layer_or_excerpt_that_does_not_exist_is_refused():
    with pytest.raises(LayerError, match="conv9"):
        layer_encoder(tiny.detector(), "conv9")
    with pytest.raises(LayerError, match="115"):
        optimise_layers(tiny.detector(), torch.ones(1, 1, 100, 80), {"fc8": OptimisationPlan(2)})
