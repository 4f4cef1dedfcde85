"""Inverters derived from nothing but a network that runs: the right one, a general one, or a reason; never a wrong one.

What has seen what is found without any formula: a cell that is not a number makes everything that reads it one too.
"""

import math

import pytest
import torch
import torch.nn.functional as F
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listeners import PlainCNN, ResidualGRU, WaveNet
from torch import nn

import svdlib
from svdlib.detector.inverters import ALIGNED
from svdlib.errors import LayerError, PlanError
from svdlib.inversion.derivation import axes_followed, count_weights, derive_inverters, map_shape
from svdlib.inversion.inverters import FeatureInverter, as_map, count_parameters, from_map
from svdlib.inversion.listener import Listener


@torch.no_grad()
def readers(network, shape, axes):
    """Which cells of the output, on any channel, read which cells of the input: bool (cells out..., cells in...)."""
    positions = [axis for axis in axes[1:] if axis is not None]
    sizes = [shape[axis] for axis in positions]
    rows = []
    for cell in range(math.prod(sizes)):
        x = torch.zeros(1, *shape)
        place = [slice(None)] * len(shape)
        for axis, index in zip(positions, torch.unravel_index(torch.tensor(cell), sizes), strict=True):
            place[axis] = int(index)
        x[(0, *place)] = math.nan
        rows.append(network(x))
    return torch.stack(rows, -1)[0], sizes


def check_mirrors(net, layer, shape):
    """The inverter that is derived reads all cells that have seen what it paints, and no others but at the ends."""
    encoder = svdlib.Encoder(net, layers=[layer], example=torch.randn(2, *shape))
    (choice,) = derive_inverters(encoder).values()
    spec = choice.spec
    assert spec.family == "aligned", choice.reason
    seen, sizes = readers(encoder[layer], shape, spec.input_axes)
    seen = as_map(seen.isnan().movedim(-1, 0), spec.feature_axes).any(1)  # (cells in, first, second)
    read, _ = readers(FeatureInverter(spec).eval(), spec.feature_shape, spec.feature_axes)
    read = as_map(read.isnan().movedim(-1, 0), spec.input_axes).any(1).flatten(1).T  # (cells in, cells of feature)
    seen = seen.flatten(1)
    assert read.shape == seen.shape
    assert (read | ~seen).all(), "all that has seen a cell is read"
    known = seen.any(1)
    assert torch.equal(read[known], seen[known]), "and nothing else"


class Shuffled(nn.Module):
    """Registers its modules in another order than it runs them, poolings as functions among them."""

    def __init__(self):
        super().__init__()
        self.last, self.first, self.middle = nn.Conv2d(4, 5, 2), nn.Conv2d(1, 3, 3, stride=2), nn.Conv2d(3, 4, 3)
        self.active = nn.PReLU()

    def forward(self, x):
        return self.last(F.avg_pool2d(self.active(self.middle(F.relu(self.first(x)))), 2))


class Branches(nn.Module):
    """Two ways side by side: `wide` sees all that `narrow` does; with `apart`, each sees what the other does not."""

    def __init__(self, join, apart):
        super().__init__()
        self.join = join
        self.narrow = nn.Conv2d(1, 4, (3, 3), padding=(1, 1))
        self.wide = nn.Conv2d(1, 4, (1, 7) if apart else (5, 5), padding=(0, 3) if apart else (2, 2))
        self.after = nn.Conv2d(8 if join == "cat" else 4, 6, 3)

    def forward(self, x):
        narrow, wide = self.narrow(x), self.wide(x)
        return self.after(torch.cat([narrow, wide], 1) if self.join == "cat" else narrow + wide)


class Deeper(nn.Module):
    """Residual blocks with everything that keeps cells in place, on one axis or two."""

    def __init__(self, axes):
        super().__init__()
        conv = nn.Conv1d if axes == 1 else nn.Conv2d
        self.conv1, self.conv2, self.conv3 = conv(1, 4, 3, padding="same"), conv(4, 4, 4, padding="same"), conv(4, 6, 3)
        self.norm, self.active = nn.BatchNorm1d(4) if axes == 1 else nn.BatchNorm2d(4), nn.SiLU()
        self.pool = F.max_pool1d if axes == 1 else F.max_pool2d

    def forward(self, x):
        x = self.conv1(x)
        x = x + self.active(self.norm(self.conv2(F.gelu(x))))
        return self.conv3(self.pool(F.dropout(x, 0.5, self.training), 2))


class Causal(nn.Module):
    """Dilated convolutions that see the past alone, on waveforms without an axis of channels."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2 = nn.Conv1d(1, 4, 3), nn.Conv1d(4, 4, 3, dilation=2)

    def forward(self, x):
        x = F.relu(self.conv1(F.pad(x.unsqueeze(1), (2, 0))))
        return self.conv2(F.pad(x, (4, 0)))


class Pooled(nn.Module):
    """A picture without channels, pooled over one axis and then to a few cells of the other."""

    def __init__(self):
        super().__init__()
        self.conv1, self.conv2, self.pool = nn.Conv2d(1, 4, 3), nn.Conv1d(4, 4, 3), nn.AdaptiveAvgPool1d(2)

    def forward(self, x):
        x = F.relu(self.conv1(x[:, None])).mean(dim=3)
        return self.pool(self.conv2(x))


CAN_BE_MIRRORED = {
    "registered in another order": (Shuffled(), "last", (1, 14, 13)),
    "a sum of branches": (Branches("sum", apart=False), "after", (1, 9, 9)),
    "branches side by side": (Branches("cat", apart=False), "after", (1, 9, 9)),
    "residual, one axis": (Deeper(1), "conv3", (1, 15)),
    "residual, two axes": (Deeper(2), "conv3", (1, 12, 11)),
    "causal": (Causal(), "conv2", (20,)),
    "pooled over an axis": (Pooled(), "pool", (12, 9)),
    "pooled with a last window that hangs over": (
        nn.Sequential(nn.Conv2d(1, 2, 3), nn.MaxPool2d(3, ceil_mode=True)), "1", (1, 13, 10),
    ),
    "a residual block of its own": (ResidualGRU().res1, "straight", (1, 8, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", CAN_BE_MIRRORED)
def test_the_aligned_inverter_reads_what_has_seen(name):
    torch.manual_seed(0)
    check_mirrors(*CAN_BE_MIRRORED[name])


class Squeezed(nn.Module):
    def forward(self, x):
        return x * torch.sigmoid(x.mean((2, 3), keepdim=True))


class Written(nn.Module):
    def forward(self, x):
        x = x.clone()
        x[:, :, 0] = x[:, :, -1]
        return x


class Turned(nn.Module):
    def forward(self, x):
        return x.transpose(2, 3)


class Hidden(nn.Module):
    """Computes where PyTorch's own operations are not seen."""

    def forward(self, x):
        return torch.from_numpy(x.detach().numpy()[:, :, ::-1].copy())


def after_a_convolution(*modules):
    return nn.Sequential(nn.Conv2d(1, 4, 3), *modules, nn.Conv2d(4, 4, 3))


@pytest.mark.parametrize(
    ("net", "layer", "reason"),
    [
        (Branches("sum", apart=True), "after", "branches meet that have seen several parts"),
        (Branches("cat", apart=True), "after", "branches meet that have seen several parts"),
        (after_a_convolution(Squeezed()), "2", "in 1: branches meet in mul"),
        (after_a_convolution(Written()), "2", "in 1: cells are written one by one"),
        (after_a_convolution(Turned()), "2", "transpose is no convolution"),
        (after_a_convolution(Hidden()), "2", "where PyTorch does not let one look"),
        (after_a_convolution(nn.AdaptiveMaxPool2d(4)), "2", "windows of several sizes"),
        (after_a_convolution(nn.Upsample(scale_factor=2)), "2", "interpolate is no convolution"),
        (after_a_convolution(nn.ReflectionPad2d(1)), "2", "cells from elsewhere"),
        (nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten()), "1", "name the layer before"),
        (nn.Sequential(nn.ReLU(), nn.Conv2d(1, 4, 3)), "0", "no convolution, pooling or dense layer leads to it"),
    ],
)
def test_what_cannot_be_mirrored_gets_a_general_inverter_and_a_reason(net, layer, reason):
    x = torch.randn(2, 1, 12, 12)
    encoder = svdlib.Encoder(net, layers=[layer], example=x)
    (choice,) = derive_inverters(encoder).values()
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in net.modules())
    assert choice.spec.family == "general" and reason in choice.reason
    assert FeatureInverter(choice.spec).eval()(encoder.features(x)[layer]).shape == x.shape
    with pytest.raises(LayerError, match=f"no aligned inverter of {layer}: .*{reason}.*inverter='general'"):
        derive_inverters(encoder, inverter="aligned")


@st.composite
def networks(draw):
    """Convolutions and poolings of any geometry in a row, with a residual sum somewhere."""
    modules, channels = [], 1
    for _ in range(draw(st.integers(1, 3))):
        kernel, stride = draw(st.tuples(*[st.integers(1, 3)] * 2)), draw(st.tuples(*[st.integers(1, 2)] * 2))
        padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
        if draw(st.booleans()):
            modules.append(nn.Conv2d(channels, 2, kernel, stride, padding, draw(st.integers(1, 2))))
            channels = 2
        else:
            modules.append(nn.MaxPool2d(kernel, stride, padding, ceil_mode=draw(st.booleans())))
        if draw(st.booleans()):
            modules.append(Around(nn.Conv2d(channels, channels, 3, padding=1)))
    return nn.Sequential(*modules)


class Around(nn.Module):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def forward(self, x):
        return F.elu(x + self.inner(x))


@given(networks())
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_whatever_is_derived_covers_what_has_seen(net):
    shape, layer = (1, 11, 10), str(len(net) - 1)
    try:
        encoder = svdlib.Encoder(net, layers=[layer], example=torch.randn(2, *shape))
    except svdlib.SvdlibError:
        return
    (choice,) = derive_inverters(encoder, parameters=500).values()
    if choice.spec.family != "aligned":
        return
    seen = readers(encoder[layer], shape, (0, 1, 2))[0].isnan().any(0).flatten(0, 1)
    inverter = FeatureInverter(choice.spec).eval()
    read = readers(inverter, choice.spec.feature_shape, (0, 1, 2))[0].isnan().any(0).flatten(0, 1)
    assert (read.T | ~seen).all()


# --- the three networks, and the detector ---


def test_families_and_shapes_of_three_networks():
    cases = [
        (PlainCNN(), {"pool1": "aligned", "conv3": "aligned", "fc": "general", "out": "general"}, (1, 96, 64)),
        (ResidualGRU(), {"res1": "aligned", "res2": "aligned", "gru": "general", "out": "general"}, (1, 96, 64)),
        (WaveNet(), {"conv1": "aligned", "conv3": "aligned", "pool": "aligned", "out": "general"}, (1, 512)),
    ]
    for net, families, shape in cases:
        x = torch.randn(3, *shape)
        encoder = svdlib.Encoder(net, layers=families, example=x)
        for kind in ("auto", "general"):
            choices = derive_inverters(encoder, inverter=kind)
            for layer, choice in choices.items():
                assert choice.spec.family == (families[layer] if kind == "auto" else "general")
                inverter = FeatureInverter(choice.spec).eval()
                assert inverter(encoder.features(x)[layer]).shape == x.shape
                assert choice.parameters <= 50_000 and f"{choice.parameters:,} parameters" in str(choice)


def test_the_detectors_own_plan_is_found_again():
    assert derive_inverters(svdlib.SVDNet(), "fc8")["fc8"].spec.family == "general"
    for layer, choice in derive_inverters(svdlib.SVDNet(), inverter="aligned").items():
        ours = ALIGNED[layer]
        assert [stage.window for stage in choice.spec.stages] == [stage.window for stage in ours.stages]
        assert choice.spec.leakiness == pytest.approx(ours.leakiness) and choice.spec.excerpt_shape == (115, 80)


def test_dense_layers_are_mirrored_where_that_is_asked_for():
    torch.manual_seed(0)
    for net, layers, shape in ((PlainCNN(), ["fc", "out"], (1, 96, 64)), (WaveNet(), ["out"], (1, 512))):
        x = torch.randn(3, *shape)
        encoder = svdlib.Encoder(net, layers=layers, example=x)
        for layer, choice in derive_inverters(encoder, inverter="aligned").items():
            assert choice.spec.family == "aligned"
            assert FeatureInverter(choice.spec).eval()(encoder.features(x)[layer]).shape == x.shape


def test_a_budget_is_used_and_kept():
    encoder = svdlib.Encoder(PlainCNN(), layers=["conv3", "fc"], example=torch.randn(2, 1, 96, 64))
    for kind in ("aligned", "general"):
        for parameters in (10_000, 40_000):
            for choice in derive_inverters(encoder, inverter=kind, parameters=parameters).values():
                assert 0.7 * parameters < choice.parameters <= parameters or choice.spec.layer == "fc"
                assert choice.parameters == count_weights(choice.spec)
                built = FeatureInverter(choice.spec)
                assert choice.parameters == sum(weights.numel() for weights in built.parameters())
                assert count_parameters(built) > choice.parameters, "averages and the mean input are no weights"


def test_wrong_requests_are_told():
    encoder = svdlib.Encoder(PlainCNN(), layers=["conv3"], example=torch.randn(2, 1, 96, 64))
    with pytest.raises(PlanError, match="no inverter 'best'. Known ones: auto, aligned, general"):
        derive_inverters(encoder, inverter="best")
    with pytest.raises(PlanError, match="cannot have 0 parameters"):
        derive_inverters(encoder, parameters=0)
    with pytest.raises(LayerError, match="no layer 'conv9'"):
        derive_inverters(encoder, "conv9")


class Claims(Listener):
    """A listener of a stranger's that says of itself what is not so."""

    input_shape, comparator = (1, 12, 12), "conv"

    def __init__(self, shape, given="conv"):
        super().__init__()
        self.shapes, self.given = {"conv": shape}, given
        self.net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU())

    def features(self, x, layers):
        return {self.given: self.net(x)}


def test_a_listener_that_is_wrong_about_its_features_is_told():
    assert derive_inverters(Claims((4, 10, 10)))["conv"].spec.family == "aligned"
    with pytest.raises(LayerError, match=r"Claims gives the feature of conv in the shape \(4, 10, 10\), but says"):
        derive_inverters(Claims((8, 10, 10)))
    with pytest.raises(LayerError, match="Claims gives the feature of conv in the shape None"):
        derive_inverters(Claims((4, 10, 10), given="other"))


class Axes(nn.Module):
    """A recurrent layer along either axis of a picture, or convolutions on the turned picture."""

    def __init__(self, kind):
        super().__init__()
        self.kind = kind
        self.conv, self.gru = nn.Conv2d(1, 4, 3, stride=2, padding=1), nn.GRU(4 * 8, 12, batch_first=True)

    def forward(self, x):
        x = F.relu(self.conv(x if self.kind != "turned" else x.transpose(2, 3)))
        if self.kind == "turned":
            return x
        x = x.permute(0, 2, 1, 3) if self.kind == "first" else x.permute(0, 3, 1, 2)
        return self.gru(x.flatten(2))[0].transpose(1, 2)


@pytest.mark.parametrize(("kind", "axes"), [("first", (1, 0, None)), ("second", (1, None, 0)), ("turned", (0, 2, 1))])
def test_a_feature_is_asked_which_axis_follows_which(kind, axes):
    torch.manual_seed(0)
    layer = "conv" if kind == "turned" else "gru"
    encoder = svdlib.Encoder(Axes(kind), layers=[layer], example=torch.randn(2, 1, 16, 16))
    assert axes_followed(encoder, layer, (0, 1, 2)) == axes
    (choice,) = derive_inverters(encoder, inverter="general").values()
    assert choice.spec.feature_axes == axes


@pytest.mark.parametrize("axes", [(0, 1, 2), (2, 0, 1), (1, 0, None), (None, 0, 1), (0, None, None), (None, 1, 0)])
def test_maps_and_back(axes):
    there = [axis for axis in axes if axis is not None]
    shape = tuple(range(3, 3 + len(there)))
    x = torch.randn(2, *shape)
    found = as_map(x, axes)
    assert tuple(found.shape[1:]) == map_shape(shape, axes)
    assert torch.equal(from_map(found, axes), x)
