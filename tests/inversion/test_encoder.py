"""Any network as a listener: features by hooks that never stay, shapes from a real pass."""

import pytest
import torch
from listeners import PlainCNN, ResidualGRU, WaveNet
from torch import nn

import svdlib
from svdlib.errors import InputError, LayerError
from svdlib.inversion.optimisation import OptimisationPlan


def hooks(net):
    return sum(len(module._forward_hooks) for module in net.modules())


def cases():
    return {
        "plain": (PlainCNN(), ["pool1", "conv3", "fc"], (1, 96, 64)),
        "residual": (ResidualGRU(), ["res1", "res2", "gru"], (1, 96, 64)),
        "waveform": (WaveNet(), ["conv1", "conv3"], (1, 512)),
    }


@pytest.mark.parametrize("name", cases())
def test_features_are_what_the_modules_put_out(name):
    net, layers, shape = cases()[name]
    x = torch.randn(3, *shape)
    kept = {}
    for layer in layers:
        net.get_submodule(layer).register_forward_hook(lambda _, __, y, layer=layer: kept.update({layer: y}))
    net.eval()
    net(x)
    encoder = svdlib.Encoder(net, layers=reversed(layers), example=x[:2])
    assert list(encoder.shapes) == layers and encoder.input_shape == shape
    for layer, feature in encoder.features(x).items():
        expected = kept[layer][0] if isinstance(kept[layer], tuple) else kept[layer]
        torch.testing.assert_close(feature, expected)
        assert encoder.shapes[layer] == tuple(expected.shape[1:])
        torch.testing.assert_close(encoder[layer](x), expected)


def test_a_recurrent_layer_gives_its_output():
    encoder = svdlib.Encoder(ResidualGRU(), layers="gru", example=torch.randn(1, 1, 96, 64))
    assert encoder.shapes == {"gru": (24, 24)}


class Counting(nn.Module):
    """Says how often its last module was run, and fails when told to."""

    def __init__(self):
        super().__init__()
        self.first, self.second, self.third = nn.Linear(4, 3), nn.Linear(3, 3), nn.Linear(3, 1)
        self.passes, self.ends, self.fails = 0, 0, False

    def forward(self, x):
        self.passes += 1
        x = self.first(x)
        if self.fails:
            raise ValueError("out of paper")
        x = self.third(self.second(x))
        self.ends += 1
        return x


def test_layers_share_a_pass_that_stops_at_the_deepest_wanted():
    net = Counting()
    encoder = svdlib.Encoder(net, layers=["first", "second"], example=torch.randn(2, 4))
    before = net.passes, net.ends
    encoder.features(torch.randn(2, 4))
    assert (net.passes, net.ends) == (before[0] + 1, before[1])


def test_hooks_are_removed_and_modes_restored_even_when_a_pass_fails():
    net = Counting().train()
    net.second.eval()
    net.first.bias.requires_grad_(False)
    encoder = svdlib.Encoder(net, layers=["second", "first"], example=torch.randn(2, 4))

    def state():
        return [module.training for module in net.modules()], [weights.requires_grad for weights in net.parameters()]

    before = state()
    encoder.features(torch.randn(2, 4))
    assert hooks(net) == 0 and state() == before
    net.fails = True
    with pytest.raises(ValueError, match="out of paper"):
        encoder.features(torch.randn(2, 4))
    assert hooks(net) == 0 and state() == before
    with pytest.raises(InputError, match=r"Counting fails on the example of shape \(2, 4\): out of paper"):
        svdlib.Encoder(net, layers=["second"], example=torch.randn(2, 4))
    assert hooks(net) == 0 and state() == before


def test_a_hook_that_cannot_be_set_leaves_none():
    net = Counting()
    encoder = svdlib.Encoder(net, layers=["first", "second"], example=torch.randn(2, 4))
    del net.second
    with pytest.raises(AttributeError):
        encoder.features(torch.randn(2, 4))
    assert hooks(net) == 0


def test_dropout_sleeps_and_gradients_reach_inputs_alone():
    net = nn.Sequential(nn.Linear(4, 8), nn.Dropout(0.5), nn.Linear(8, 2)).train()
    encoder = svdlib.Encoder(net, layers=["2"], example=torch.randn(2, 4))
    x = torch.randn(2, 4, requires_grad=True)
    first, second = encoder.features(x)["2"], encoder.features(x)["2"]
    assert torch.equal(first, second)
    first.sum().backward()
    assert x.grad is not None and all(weights.grad is None for weights in net.parameters())
    assert not encoder.features(x.detach())["2"].requires_grad


def test_a_feature_that_is_changed_in_place_later_is_what_the_module_put_out():
    net = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU(inplace=True), nn.Conv2d(2, 2, 3))
    x = torch.randn(2, 1, 8, 8)
    encoder = svdlib.Encoder(net, layers=["0", "2"], example=x)
    assert (encoder.features(x)["0"] < 0).any()
    torch.testing.assert_close(encoder.features(x)["0"], net[0](x))


def test_wrong_inputs_and_names_are_told():
    encoder = svdlib.Encoder(PlainCNN(), layers=["conv3"], example=torch.randn(2, 1, 96, 64))
    with pytest.raises(LayerError, match=r"inputs of shape \(batch, 1, 96, 64\), not \(2, 1, 96, 60\)"):
        encoder.features(torch.randn(2, 1, 96, 60))
    with pytest.raises(LayerError, match="no layer 'fc'. The layers are: conv3"):
        encoder.features(torch.randn(2, 1, 96, 64), "fc")
    with pytest.raises(LayerError, match="no layer 'fc'"):
        encoder["fc"]
    with pytest.raises(LayerError, match="no module 'conv_3'. Do you mean 'conv3'.*Its modules are: conv1, "):
        svdlib.Encoder(PlainCNN(), layers=["conv_3"], example=torch.randn(2, 1, 96, 64))
    with pytest.raises(LayerError, match="a single module: put it into a nn.Sequential"):
        svdlib.Encoder(nn.GRU(6, 6), layers=["gru"], example=torch.randn(2, 5, 6))
    with pytest.raises(LayerError, match="No layer to invert was named"):
        svdlib.Encoder(PlainCNN(), layers=[], example=torch.randn(2, 1, 96, 64))
    with pytest.raises(InputError, match="PlainCNN fails on the example of shape"):
        svdlib.Encoder(PlainCNN(), layers=["fc"], example=torch.randn(2, 1, 50, 64))
    with pytest.raises(LayerError, match="SVDNet names its layers itself"):
        svdlib.Encoder(svdlib.SVDNet(), layers=["conv5"], example=torch.randn(2, 1, 115, 80))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"net": torch.relu}, "relu.* is no torch.nn.Module.*the network itself"),
        ({"example": None}, "Inputs are an array of numbers.*not NoneType"),
        ({"example": torch.full((2, 1, 96, 64), torch.nan)}, "example holds values that are not finite"),
        ({"example": torch.zeros(1, 96, 64)}, r"example of shape \(1, 96, 64\).*x\[:2\] and not x\[0\]"),
        ({"layers": 3}, "3 names no layer"),
        ({"layers": [3]}, "3 is no name of a layer"),
    ],
)
def test_what_is_no_network_layer_or_example_is_refused(change, words):
    right = {"net": PlainCNN(), "layers": ["conv3"], "example": torch.zeros(2, 1, 96, 64)}
    with pytest.raises(InputError, match=words):
        svdlib.Encoder(**right | change)


@pytest.mark.parametrize("several", [False, True])
def test_a_module_in_place_of_its_name_is_told_its_name(several):
    net = ResidualGRU()
    with pytest.raises(LayerError, match="say 'res1' for this Residual"):
        svdlib.Encoder(net, [net.res1] if several else net.res1, torch.zeros(2, 1, 96, 64))


def test_a_module_that_the_encoder_was_not_given_is_pointed_at():
    encoder = svdlib.Encoder(PlainCNN(), layers=["conv3"], example=torch.zeros(2, 1, 96, 64))
    with pytest.raises(
        LayerError, match="no layer 'fc'. The layers are: conv3. The network has a module 'fc': name it"
    ):
        encoder["fc"]
    with pytest.raises(LayerError, match="no layer 'fd'. The layers are: conv3.$"):
        encoder["fd"]


class Wrong(nn.Module):
    """One network with several layers whose features mislead."""

    def __init__(self):
        super().__init__()
        self.shared, self.unused, self.gru = nn.ReLU(), nn.Linear(6, 6), nn.GRU(6, 6)
        self.mixing, self.noise, self.pooled = Mixing(), Noise(), Pooled()

    def forward(self, x):
        x = self.shared(self.noise(self.mixing(self.shared(x))))
        return self.pooled(self.gru(x)[0])


class Mixing(nn.Module):
    def forward(self, x):
        return x - x.mean(0)


class Noise(nn.Module):
    def forward(self, x):
        return x + torch.randn_like(x)


class Pooled(nn.Module):
    def forward(self, x):
        return x.mean(0, keepdim=True)


@pytest.mark.parametrize(
    ("layer", "reason"),
    [
        ("shared", "run 2 times in a pass"),
        ("unused", "run 0 times in a pass"),
        ("mixing", "another one when an input comes alone"),
        ("noise", "another one when an input comes alone"),
        ("gru", "batch_first=True"),
        ("pooled", "do not come one for each input"),
    ],
)
def test_features_that_mislead_are_refused(layer, reason):
    with pytest.raises(LayerError, match=reason):
        svdlib.Encoder(Wrong(), layers=[layer], example=torch.randn(2, 5, 6))


def test_optimisation_takes_a_layer_and_the_shape_of_a_batch():
    torch.manual_seed(0)
    net = ResidualGRU()
    x = torch.randn(2, 1, 96, 64)
    encoder = svdlib.Encoder(net, layers=["res1", "gru"], example=x)
    plan = OptimisationPlan(passes=3)
    found = svdlib.invert_by_optimisation(encoder["gru"], encoder["gru"](x), x.shape, plan)
    one = svdlib.invert_by_optimisation(encoder["gru"], encoder["gru"](x), x.shape[1:], plan)
    assert found.pictures.shape == x.shape and torch.equal(found.pictures, one.pictures)
    assert (found.losses["feature"][-1] < found.losses["feature"][0]).all()


def test_the_detector_has_the_same_face():
    detector = svdlib.SVDNet().train()
    x = torch.randn(2, 1, 115, 80)
    assert torch.equal(detector["fc8"](x), detector.eval().features(x, "fc8")["fc8"])
    with pytest.raises(LayerError, match="no layer 'fc9'"):
        detector["fc9"]


def test_weights_tell_networks_apart():
    x = torch.randn(2, 1, 96, 64)
    one, other = (svdlib.Encoder(PlainCNN(), layers=["conv3"], example=x) for _ in range(2))
    again = svdlib.Encoder(one.net, layers=["fc"], example=x)
    assert one.provenance == again.provenance != other.provenance
