"""Explanations of detectors whose answers are known in closed form, and of a network against slow versions."""

import copy
import sys

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from svdlib.errors import InputError, LayerError, PackageError
from svdlib.lab.analysis import local_explanations as local
from svdlib.lab.analysis.masking import logits_of

pytest.importorskip("captum")


class Linear(nn.Module):
    """A detector whose logit is a weighted sum of the cells."""

    def __init__(self):
        super().__init__()
        self.weights = torch.randn(115, 80, generator=torch.Generator().manual_seed(0)) / 50

    def forward(self, x):
        return (x[:, 0] * self.weights).sum(dim=(1, 2))[:, None] + 0.3


@pytest.fixture(scope="module")
def x():
    return torch.randn(3, 1, 115, 80, generator=torch.Generator().manual_seed(1))


def test_what_a_linear_detector_owes_to_each_cell(x):
    detector, baseline = Linear(), torch.linspace(-1, 1, 80).expand(1, 1, 115, 80)
    weights = detector.weights.expand(3, 115, 80)
    torch.testing.assert_close(local.gradient(detector, x), weights.abs())
    torch.testing.assert_close(local.input_times_gradient(detector, x), weights * x[:, 0])
    torch.testing.assert_close(local.integrated_gradients(detector, x), weights * x[:, 0], atol=1e-6, rtol=1e-4)
    found = local.integrated_gradients(detector, x, baseline, steps=3)
    torch.testing.assert_close(found, weights * (x - baseline)[:, 0], atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("grid", list(local.GRIDS))
def test_slime_finds_the_weights_of_a_linear_detector(x, grid):
    detector, fill = Linear(), torch.linspace(-1, 1, 80)
    maps, fits = local.slime(detector, x, fill, grid, penalty=1e-9)
    numbers = local.regions(*local.GRIDS[grid])
    effects = detector.weights * (x[:, 0] - fill)
    for region in range(int(numbers.max()) + 1):
        cells = numbers == region
        expected = effects[:, cells].sum(dim=1, keepdim=True).expand(3, int(cells.sum()))
        torch.testing.assert_close(maps[:, cells], expected, atol=1e-3, rtol=1e-3)
    np.testing.assert_allclose(fits, 1, atol=1e-6)


def test_slime_says_how_badly_a_line_fits_and_repeats_itself(x):
    class Parity(nn.Module):
        """Answers 1 if an even number of quarters of the time is silent: no line can follow that."""

        def forward(self, excerpts):
            loud = torch.stack([part.abs().mean((1, 2)) > 0.1 for part in excerpts[:, 0].chunk(4, dim=1)])
            return (loud.sum(0) % 2 == 0).float()[:, None]

    (maps, fits), (again, _) = (local.slime(Parity(), x, torch.zeros(1), seed=5) for _ in range(2))
    assert torch.equal(maps, again) and (fits < 0.75).all()
    other, _ = local.slime(Parity(), x, torch.zeros(1), seed=6)
    assert not torch.equal(maps, other)


def test_regions_cover_the_excerpt_in_nearly_equal_parts():
    for times, bands in local.GRIDS.values():
        numbers = local.regions(times, bands)
        counts = torch.bincount(numbers.flatten())
        assert len(counts) == times * bands and counts.max() / counts.min() < 1.35
    assert torch.equal(local.regions(115, 80).flatten(), torch.arange(9200))
    with pytest.raises(InputError, match="116 x 1"):
        local.regions(116, 1)
    with pytest.raises(InputError, match="no grid 'diagonal'"):
        local.slime(Linear(), torch.zeros(1, 1, 115, 80), torch.zeros(1), "diagonal")


def test_integrated_gradients_add_up_to_the_change_of_the_answer(x):
    detector, baseline = tiny.detector(), torch.full((1, 1, 115, 80), 0.2)
    maps = local.integrated_gradients(detector, x[:1], baseline, steps=24)
    change = logits_of(detector, x[:1]) - logits_of(detector, baseline)
    torch.testing.assert_close(maps.sum(dim=(1, 2)), change, atol=0, rtol=0.05)


def test_gradient_is_the_slope_of_the_answer(x):
    detector = tiny.detector()
    maps, product = local.gradient(detector, x[:1]), local.input_times_gradient(detector, x[:1])
    exact = copy.deepcopy(detector).double()
    cell, step = (0, 57, 40), torch.zeros(1, 1, 115, 80, dtype=torch.double)
    step[0, 0, 57, 40] = 1e-4
    with torch.no_grad():
        slope = float(exact(x[:1].double() + step) - exact(x[:1].double() - step)) / 2e-4
    assert float(maps[cell]) == pytest.approx(abs(slope), rel=1e-3)
    assert float(product[cell]) == pytest.approx(slope * float(x[0, 0, 57, 40]), rel=1e-3)


def test_grad_cam_is_that_of_a_slow_version(x):
    detector = tiny.detector()
    found = local.grad_cam(detector, x[:2])
    for excerpt, values in zip(x[:2], found, strict=True):
        feature = detector.features(excerpt[None], ("conv5",))["conv5"].detach().requires_grad_()
        rest = detector.layers["fc8"](detector.layers["fc7"](detector.layers["mp6"](feature).flatten(1)))
        (gradient,) = torch.autograd.grad(detector.out(rest).sum(), feature)
        coarse = np.zeros((33, 21))
        for channel in range(64):
            coarse += float(gradient[0, channel].mean()) * feature[0, channel].detach().numpy()
        # A cell of Conv5 sees 19 frames and 19 bands, three further on for the next cell.
        middles = 9 + 3 * np.arange(33), 9 + 3 * np.arange(21)
        rows = np.stack([np.interp(np.arange(115), middles[0], column) for column in coarse.T], axis=1)
        expected = np.stack([np.interp(np.arange(80), middles[1], row) for row in rows])
        np.testing.assert_allclose(values, expected, atol=1e-4 * np.abs(expected).max())


def test_grad_cam_stands_where_the_cause_is(x):
    """A detector that reacts to one place only: its map is highest there."""
    detector = tiny.SVDNet().eval()
    with torch.no_grad():
        for parameter in detector.parameters():
            parameter.zero_()
        for name in ("conv1", "conv2", "conv4", "conv5"):
            detector.layers[name][0].weight[0, 0, 1, 1] = 1
        detector.layers["fc7"][1].weight[0, :77] = 1  # all cells of the first channel of MP6
        detector.layers["fc8"][1].weight[0, 0] = 1
        detector.out[1].weight[0, 0] = 1
    excerpt = torch.zeros(1, 1, 115, 80)
    excerpt[0, 0, 88:91, 31:34] = 5.0
    time, band = divmod(int(local.grad_cam(detector, excerpt)[0].argmax()), 80)
    assert abs(time - 89) <= 3 and abs(band - 32) <= 3


def test_a_dense_layer_has_no_grad_cam(x):
    with pytest.raises(LayerError, match="fc7"):
        local.grad_cam(tiny.detector(), x, "fc7")


def hooks_of(detector):
    return [
        hook
        for module in detector.modules()
        for hook in (*module._forward_hooks, *module._forward_pre_hooks, *module._backward_hooks)
    ]


def test_nothing_is_left_in_the_detector_or_in_the_excerpt(x):
    detector = tiny.detector()
    for explain in (local.gradient, local.input_times_gradient, local.integrated_gradients, local.grad_cam):
        maps = explain(detector, x[:1])
        assert maps.shape == (1, 115, 80) and not maps.requires_grad
        assert not hooks_of(detector)
        with pytest.raises(LayerError, match="takes excerpts of shape"):
            explain(detector, x[:1, :, :100])
        assert not hooks_of(detector)
    assert all(weights.grad is None for weights in detector.parameters())
    assert x.grad is None and not x.requires_grad


def test_signed_maps_turn_with_the_answer():
    maps = {name: torch.ones(2, 115, 80) for name in ("slime", "gradient", "inversion-fc8")}
    turned = local.towards(maps, torch.tensor([True, False]))
    assert turned["slime"][:, 0, 0].tolist() == [1, -1]
    assert all(torch.equal(turned[name], maps[name]) for name in ("gradient", "inversion-fc8"))


def test_all_maps_at_once(x):
    class Half(nn.Module):
        def forward(self, feature):
            return torch.full((len(feature), 1, 115, 80), 0.5)

    inverters = {layer: Half() for layer in local.INVERTED_LAYERS}
    maps, fits = local.every_map(tiny.detector(), inverters, x[:1], samples=4)
    assert [*maps, "voice"] == list(local.MAP_TITLES) and fits.shape == (1,)
    assert all(values.shape == (1, 115, 80) for values in maps.values())
    assert torch.equal(maps["loudness"], x[:1, 0]) and (maps["inversion-mp6"] == 0.5).all()
    expected, _ = local.slime(tiny.detector(), x[:1], torch.zeros(1), samples=4)
    torch.testing.assert_close(maps["slime"], expected)


def test_without_captum_the_message_says_what_to_install(x, monkeypatch):
    monkeypatch.setitem(sys.modules, "captum", None)
    for explain in (local.gradient, local.input_times_gradient, local.integrated_gradients, local.grad_cam):
        with pytest.raises(PackageError, match="pip install captum"):
            explain(tiny.detector(), x)
    local.slime(Linear(), x[:1], torch.zeros(1), samples=8)  # needs none
