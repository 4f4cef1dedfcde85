import numpy as np
import oracles
import pytest
import torch
from lasagne_files import STAGES

from svdlib.compute.devices import in_channels_last
from svdlib.detector.model import LAYER_SHAPES, LAYERS, LEAKINESS
from svdlib.errors import LayerError
from svdlib.inversion.inverters import count_multiply_adds, count_parameters, fit_to_excerpt
from svdlib.paper.inverters import PUBLISHED
from svdlib.zoo.families import build_inverter

PARAMETERS = {
    "conv1": 37700,
    "conv2": 28324,
    "mp3": 45892,
    "conv4": 576260,
    "conv5": 144772,
    "mp6": 80484,
    "fc7": 176001,
    "fc8": 131201,
}
# Table 2: depth and number of convolutions.
TABLE_2 = {
    "fc8": (11, 4),
    "fc7": (10, 4),
    "mp6": (5, 1),
    "conv5": (5, 3),
    "conv4": (5, 3),
    "mp3": (6, 4),
    "conv2": (4, 4),
    "conv1": (2, 2),
}


def feature_of(layer, batch=2, seed=0):
    return torch.randn(batch, *LAYER_SHAPES[layer], generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module", params=LAYERS)
def inverter(request):
    """An inverter in eval mode whose batch normalisation has learnt something."""
    torch.manual_seed(5)
    network = build_inverter(request.param).eval()
    generator = torch.Generator().manual_seed(6)
    for name, value in network.state_dict().items():
        if name.endswith("running_mean") or name.endswith("bias"):
            value.uniform_(-0.3, 0.3, generator=generator)
        elif name.endswith("running_var") or (name.endswith("weight") and value.ndim == 1):
            value.uniform_(0.5, 1.5, generator=generator)
    return network


# --- tables 1 and 2 ---


@pytest.mark.parametrize("layer", LAYERS)
def test_number_of_parameters(layer):
    assert count_parameters(build_inverter(layer)) == PARAMETERS[layer]


def test_multiply_adds_are_those_of_each_map_by_hand():
    """Each cell that a transposed convolution reads, and each that a convolution writes, takes its whole kernel."""
    aligned = build_inverter("conv1", "aligned")
    assert count_multiply_adds(aligned, LAYER_SHAPES["conv1"]) == 64 * 9 * 113 * 78
    assert aligned.training, "counting leaves a network as it is"
    dense = 64 * 64 + 64 * 256
    up = 256 * 64 * 16 + 16 * sum(n * n // 2 * (512 // n) ** 2 for n in (64, 32, 16)) + 8 * 16 * 64**2
    convolutions = 9 * sum(n * n * (512 // n) ** 2 for n in (64, 32, 16, 8))
    assert count_multiply_adds(build_inverter("fc8"), LAYER_SHAPES["fc8"]) == dense + up + convolutions


@pytest.mark.parametrize("layer", LAYERS)
def test_depth_and_convolutions_of_table_2(layer):
    assert (PUBLISHED[layer].depth, PUBLISHED[layer].n_convolutions) == TABLE_2[layer]


@torch.no_grad()
def test_outputs_of_the_fc7_inverter_are_those_of_table_1():
    outputs = build_inverter("fc7").eval().stage_outputs(feature_of("fc7"))
    assert {name: tuple(value.shape[1:]) for name, value in outputs.items()} == {
        "FC1": (256,),
        "Uconv2": (64, 8, 8),
        "Conv3": (64, 8, 8),
        "Uconv4": (32, 16, 16),
        "Conv5": (32, 16, 16),
        "Uconv6": (16, 32, 32),
        "Conv7": (16, 32, 32),
        "Uconv8": (8, 64, 64),
        "Conv9": (8, 64, 64),
        "Uconv10": (1, 128, 128),
        "output": (1, 115, 80),
    }


def test_only_the_last_stage_of_the_dense_inverters_lacks_batch_normalisation():
    for layer in LAYERS:
        bare = [
            name
            for name, stage in build_inverter(layer).stages.items()
            if not any("BatchNorm" in type(part).__name__ for part in stage)
        ]
        assert bare == {"fc7": ["Uconv10"], "fc8": ["Uconv11"]}.get(layer, []), layer


# --- values ---


def slow_inverter(layer, state, feature):
    """Every stage: linear map, batch normalisation, ELU; then trim at the end or pad all round."""
    x = feature
    for number, stage in enumerate(STAGES[layer].split(), start=1):
        kind = stage.rstrip("0123456789")
        values = {
            name.split(".", 2)[2]: value for name, value in state.items() if name.startswith(f"stages.{kind}{number}.")
        }
        weight, bias = values["0.weight"], values.get("0.bias", 0.0)
        if kind == "FC":
            x = weight @ x + bias
        elif kind == "Conv":
            x = oracles.convolve(x, weight, bias, padding=1)
        else:
            x = oracles.up_convolve(x.reshape(16, 4, 4) if x.ndim == 1 else x, weight, bias)
        if "1.weight" in values:
            scale, shift, mean, variance = (
                values[f"1.{name}"] for name in ("weight", "bias", "running_mean", "running_var")
            )
            x = oracles.normalise(x, scale, shift, mean, variance)
        x = oracles.elu(x)
    missing = 115 - x.shape[1]
    return np.pad(x, ((0, 0), 2 * (missing // 2,), 2 * (missing // 2,))) if missing > 0 else x[:, :115, :80]


@torch.no_grad()
def test_inverters_agree_with_a_slow_rewrite(inverter):
    feature = feature_of(inverter.layer, batch=1)
    state = {name: oracles.double(value) for name, value in inverter.state_dict().items()}
    expected = slow_inverter(inverter.layer, state, oracles.double(feature[0]))
    np.testing.assert_allclose(inverter(feature)[0].numpy(), expected, atol=5e-5)


@torch.no_grad()
def test_no_output_lies_below_minus_one(inverter):
    """The ELU at the output bounds every reconstruction: what the audit of the released code found."""
    output = inverter(-50 * feature_of(inverter.layer))
    assert output.shape == (2, 1, 115, 80)
    assert output.min() >= -1


@torch.no_grad()
def test_channels_last_changes_nothing_but_rounding(inverter):
    feature = feature_of(inverter.layer)
    expected = inverter(feature)
    torch.testing.assert_close(in_channels_last(inverter, torch.device("cpu"))(feature), expected, atol=1e-5, rtol=1e-4)


# --- geometry ---


def test_large_maps_are_trimmed_at_the_end():
    x = torch.arange(132 * 84.0).view(1, 1, 132, 84)
    torch.testing.assert_close(fit_to_excerpt(x, (115, 80)), x[:, :, :115, :80], rtol=0, atol=0)


@pytest.mark.parametrize(("layer", "border"), [("conv1", 1), ("conv2", 2)])
@torch.no_grad()
def test_small_maps_get_a_border_of_zeros(layer, border):
    output = build_inverter(layer).eval()(feature_of(layer))
    inside = output[:, :, border:-border, border:-border]
    outside = output.clone()
    outside[:, :, border:-border, border:-border] = 0
    assert not outside.any() and (inside[..., 0] != 0).any()
    assert inside.shape[2:] == LAYER_SHAPES[layer][1:]


# --- initial weights ---


@pytest.mark.parametrize("layer", ["fc8", "conv4", "mp6"])
def test_weights_start_he_normal_with_gain_one(layer):
    torch.manual_seed(1)
    for name, parameter in build_inverter(layer).named_parameters():
        if parameter.ndim < 2:
            continue
        kernel = parameter[0, 0].numel() if parameter.ndim == 4 else 1
        expected = (parameter.shape[1] * kernel) ** -0.5
        # The deviation of n samples scatters by 1/sqrt(2n) of itself.
        tolerance = 4 * expected / (2 * parameter.numel()) ** 0.5
        assert abs(parameter.std(correction=0).item() - expected) < tolerance, name
        assert abs(parameter.mean().item()) < 4 * expected / parameter.numel() ** 0.5, name


def test_batch_normalisation_starts_neutral_with_the_published_constants():
    for layer in LAYERS:
        for module in build_inverter(layer).modules():
            if "BatchNorm" in type(module).__name__:
                assert module.eps == 1e-4 and module.momentum == 0.1
                assert (module.weight == 1).all() and (module.bias == 0).all()


# --- errors ---


@pytest.mark.parametrize("layer", ["conv3", "FC8", "", "out"])
def test_unknown_layer(layer):
    with pytest.raises(LayerError, match=f"no layer {layer!r}.*fc8"):
        build_inverter(layer)


def test_unknown_variant_lists_the_known_ones():
    with pytest.raises(LayerError, match="'publishd'.*published"):
        build_inverter("fc8", variant="publishd")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [("fc8", (2, 256)), ("fc8", (64,)), ("mp6", (2, 64, 7, 11)), ("mp6", (64, 11, 7)), ("conv1", (2, 1, 115, 80))],
)
def test_a_feature_of_the_wrong_shape_is_refused(layer, shape):
    with pytest.raises(LayerError, match=f"inverter of {layer} takes features of shape"):
        build_inverter(layer)(torch.zeros(shape))


def test_an_aligned_inverter_begins_by_undoing_the_leaky_relu():
    inverter, seen = build_inverter("conv5", "aligned").eval(), []
    next(iter(inverter.stages.values())).register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    before = torch.randn(2, 64, 33, 21)
    inverter(torch.nn.functional.leaky_relu(before, LEAKINESS))
    torch.testing.assert_close(seen[0], before, rtol=1e-6, atol=0)


@pytest.mark.parametrize(
    ("layer", "variant", "expected"),
    [
        ("mp6", "published", [0.027637, 0.057533, -0.014272, -0.010185, 0.166336]),
        ("fc8", "aligned", [0.009066, 0.051052, 0.21768, 0.040339, -0.184914, 0.099995, 0.106471, 0.039011]),
    ],
)
def test_a_seed_draws_the_initial_weights_that_it_always_drew(layer, variant, expected):
    """Numbers in the book and the provenance of weights files rest on seeds: the order of draws must not change."""
    torch.manual_seed(0)
    inverter = build_inverter(layer, variant)
    first = [weight.flatten()[0].item() for weight in inverter.parameters() if weight.ndim > 1]
    assert first == pytest.approx(expected, abs=2e-6)
