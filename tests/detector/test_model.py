import copy
from math import log

import numpy as np
import oracles
import pytest
import torch
from places import GOLDENS

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.audio.standardizer import Standardizer
from svdlib.detector.model import LAYER_SHAPES, LAYERS, SVDNet
from svdlib.errors import LayerError

GOLDEN = GOLDENS / "detector.npz"


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    network = SVDNet().eval()
    generator = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.ndim == 1:
            parameter.data.uniform_(-0.1, 0.1, generator=generator)
    network.standardizer.mean.uniform_(-6, -3, generator=generator)
    network.standardizer.std.uniform_(0.5, 2, generator=generator)
    return network


@pytest.fixture(scope="module")
def excerpts():
    return torch.randn(3, 1, 115, 80, generator=torch.Generator().manual_seed(2))


# --- shapes and order ---


def test_layers_and_shapes_are_those_of_the_paper():
    assert LAYERS == ("conv1", "conv2", "mp3", "conv4", "conv5", "mp6", "fc7", "fc8")
    assert LAYER_SHAPES["conv1"] == (64, 113, 78) and LAYER_SHAPES["mp6"] == (64, 11, 7)


@torch.no_grad()
def test_features_have_the_stated_shapes(detector, excerpts):
    features = detector.features(excerpts)
    assert tuple(features) == LAYERS
    assert {layer: tuple(value.shape[1:]) for layer, value in features.items()} == LAYER_SHAPES
    assert detector(excerpts).shape == (3, 1)


@torch.no_grad()
def test_features_stop_at_the_deepest_layer_asked_for(detector, excerpts):
    ran = []
    convolutions = {
        name: layer[0] if isinstance(layer, torch.nn.Sequential) else layer for name, layer in detector.layers.items()
    }
    hooks = [
        module.register_forward_hook(lambda *_, name=name: ran.append(name)) for name, module in convolutions.items()
    ]
    found = detector.features(excerpts, ("mp3", "conv1"))
    for hook in hooks:
        hook.remove()
    assert set(found) == {"conv1", "mp3"} and ran == ["conv1", "conv2", "mp3"]


@torch.no_grad()
def test_who_hooks_a_layer_sees_it_run(detector, excerpts):
    seen = []
    hook = detector.layers["conv5"].register_forward_hook(lambda module, given, found: seen.append(found))
    try:
        detector(excerpts)
    finally:
        hook.remove()
    torch.testing.assert_close(seen[0], detector.features(excerpts, "conv5")["conv5"], rtol=0, atol=0)


def test_features_are_those_of_the_layers_one_after_another(detector, excerpts):
    """Also where pooling comes before an activation, and on the way back."""
    weights = torch.randn(excerpts.shape, generator=torch.Generator().manual_seed(0))
    for wanted in ((layer,) for layer in LAYERS):
        one, other = excerpts.clone().requires_grad_(), excerpts.clone().requires_grad_()
        expected = other
        for name in LAYERS[: LAYERS.index(wanted[0]) + 1]:
            expected = detector.layers[name](expected.flatten(1) if name == "fc7" else expected)
        found = detector.features(one, wanted)[wanted[0]]
        torch.testing.assert_close(found, expected, rtol=0, atol=0)
        (found.square().sum() + (one * weights).sum()).backward()
        (expected.square().sum() + (other * weights).sum()).backward()
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("shape", [(1, 115, 80), (2, 1, 80, 115), (2, 1, 114, 80), (2, 2, 115, 80), (115, 80)])
def test_excerpts_of_another_shape_are_refused(detector, shape):
    with pytest.raises(LayerError, match=r"\(batch, 1, 115, 80\)"):
        detector(torch.zeros(shape))


def test_unknown_layer_lists_the_known_ones(detector, excerpts):
    with pytest.raises(LayerError, match="'conv3'.*conv1, conv2, mp3"):
        detector.features(excerpts, ("conv3",))


def test_number_of_parameters_follows_from_the_shapes(detector):
    dense = 4928 * 256 + 256 + 256 * 64 + 64 + 64 + 1
    convolutions = 9 * (1 * 64 + 64 * 32 + 32 * 128 + 128 * 64) + 64 + 32 + 128 + 64
    assert sum(parameter.numel() for parameter in detector.parameters()) == dense + convolutions


# --- values ---


@torch.no_grad()
def test_every_layer_agrees_with_a_slow_rewrite(detector, excerpts):
    x, expected = oracles.double(excerpts[0]), {}
    layers = detector.layers
    for name in LAYERS[:6]:
        if name.startswith("mp"):
            x = oracles.pool(x)
        else:
            weight, bias = oracles.double(layers[name][0].weight), oracles.double(layers[name][0].bias)
            x = oracles.leaky(oracles.convolve(x, weight, bias))
        expected[name] = x
    x = x.reshape(-1)
    for name in LAYERS[6:]:
        linear = layers[name][1]
        x = oracles.leaky(oracles.double(linear.weight) @ x + oracles.double(linear.bias))
        expected[name] = x
    logit = oracles.double(detector.out[1].weight) @ x + oracles.double(detector.out[1].bias)
    features = detector.features(excerpts[:1])
    for name in LAYERS:
        np.testing.assert_allclose(features[name][0].numpy(), expected[name], atol=2e-5, err_msg=name)
    np.testing.assert_allclose(detector(excerpts[:1])[0].numpy(), logit, atol=2e-5)


@torch.no_grad()
def test_features_are_taken_after_the_activation(detector, excerpts):
    """A leaky ReLU leaves a hundredth of what is negative, so the negative side is far smaller."""
    for layer, feature in detector.features(excerpts, ("conv1", "conv2", "conv4", "conv5", "fc7", "fc8")).items():
        assert feature.min() < 0 < feature.max() and feature.max() > 20 * -feature.min(), layer


@torch.no_grad()
def test_layers_agree_with_the_reference_implementation(detector):
    """Conv1 to MP3, and FC7 to the output, run in Theano and Lasagne on the same random weights."""
    golden = np.load(GOLDEN)
    network = copy.deepcopy(detector)
    for name, first in (("conv1", 0), ("conv2", 2)):
        # Lasagne flips its kernels in both axes.
        network.layers[name][0].weight.copy_(torch.tensor(golden[f"param{first}"][:, :, ::-1, ::-1].copy()))
        network.layers[name][0].bias.copy_(torch.tensor(golden[f"param{first + 1}"]))
    features = network.features(torch.tensor(golden["x"])[:, None], ("conv1", "mp3"))
    np.testing.assert_allclose(features["conv1"][:, :2].numpy(), golden["conv1"], atol=1e-5)
    np.testing.assert_allclose(features["mp3"].numpy(), golden["mp3"], atol=1e-5)
    for linear, first in ((network.layers["fc8"][1], 10), (network.out[1], 12)):
        linear.weight.copy_(torch.tensor(golden[f"param{first}"].T))
        linear.bias.copy_(torch.tensor(golden[f"param{first + 1}"]))
    fc8 = network.layers["fc8"](torch.tensor(golden["fc7"]))
    np.testing.assert_allclose(fc8.numpy(), golden["fc8"], atol=1e-5)
    np.testing.assert_allclose(torch.sigmoid(network.out(fc8)).numpy(), golden["probability"], atol=1e-5)


def test_weights_start_orthogonal_and_dropout_stands_before_dense_layers(detector):
    weight = detector.layers["fc8"][1].weight
    torch.testing.assert_close(weight @ weight.T, torch.eye(64), atol=1e-5, rtol=0)
    dropouts = [module.p for module in detector.modules() if isinstance(module, torch.nn.Dropout)]
    assert dropouts == [0.5, 0.5, 0.5]


# --- segments and songs ---


@torch.no_grad()
def test_segment_logits_equal_the_detector_on_every_ninth_excerpt(detector):
    segments = torch.randn(2, 1, 115 + 3 * 9 + 4, 80, generator=torch.Generator().manual_seed(3))
    logits = detector.segment_logits(segments)
    one_by_one = torch.cat([detector(segments[:, :, start : start + 115]) for start in (0, 9, 18, 27)], dim=1)
    assert logits.shape == (2, 4)
    torch.testing.assert_close(logits, one_by_one, atol=1e-5, rtol=1e-5)


def sliding(detector, song, frames):
    """Probability at some frames, from excerpts cut out of the song with 57 frames of digital silence around it."""
    silence = (torch.full((57, 80), log(1e-7)) - detector.standardizer.mean) / detector.standardizer.std
    padded = torch.cat([silence, song, silence])
    return torch.sigmoid(detector(torch.stack([padded[k : k + 115][None] for k in frames])))[:, 0]


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 40])
def test_predictions_of_a_song_equal_a_sliding_window(detector, frames):
    song = torch.randn(frames, 80, generator=torch.Generator().manual_seed(frames))
    predicted = detector.predict_song(song)
    assert predicted.shape == (frames,)
    torch.testing.assert_close(predicted, sliding(detector, song, range(frames)), atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_a_whole_song_with_both_ends_equals_a_sliding_window(detector):
    """Every frame of a song longer than an excerpt: those that see silence at an end, and those that do not."""
    song = torch.randn(150, 80, generator=torch.Generator().manual_seed(6))
    expected = torch.cat([sliding(detector, song, range(k, k + 30)) for k in range(0, 150, 30)])
    torch.testing.assert_close(detector.predict_song(song), expected, atol=1e-5, rtol=1e-5)


@torch.no_grad()
def test_long_songs_have_no_seam_where_they_are_cut(detector):
    song = torch.randn(4130, 80, generator=torch.Generator().manual_seed(4))
    frames = [0, 56, 57, 2000, 4038, 4094, 4095, 4096, 4097, 4129]
    predicted = detector.predict_song(song)
    assert predicted.shape == (4130,)
    torch.testing.assert_close(predicted[frames], sliding(detector, song, frames), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("shape", [(0, 80), (200, 79), (200,), (1, 200, 80)])
def test_songs_of_another_shape_are_refused(detector, shape):
    with pytest.raises(LayerError, match=r"\(frames, 80\)"):
        detector.predict_song(torch.zeros(shape))


# --- standardisation ---


def test_standardizer_measures_every_frame_of_every_song():
    rng = np.random.default_rng(0)
    songs = [rng.normal(-5, 2, (count, 80)).astype(np.float32) for count in (50, 300)]
    fitted, pooled = Standardizer.fit(songs), np.concatenate(songs).astype(np.float64)
    np.testing.assert_allclose(fitted.mean.numpy(), pooled.mean(0), rtol=1e-6)
    np.testing.assert_allclose(fitted.std.numpy(), pooled.std(0), rtol=1e-6)
    frame = torch.tensor(songs[0])
    torch.testing.assert_close(fitted.inverse(fitted(frame)), frame)


def test_a_band_that_never_changes_does_not_divide_by_zero():
    fitted = Standardizer.fit([np.full((20, 80), log(1e-7), dtype=np.float32)])
    assert torch.isfinite(fitted(torch.zeros(3, 80))).all()


def test_gradient_of_a_frozen_detector_is_that_of_a_learning_one():
    """The excerpt's gradient, which a frozen detector finds in a way of its own, in either memory layout."""
    torch.manual_seed(0)
    learning, excerpts = SVDNet().eval().double(), torch.randn(3, 1, EXCERPT_FRAMES, N_BANDS, dtype=torch.float64)
    gradients = []
    for layout in (torch.contiguous_format, torch.channels_last):
        frozen = copy.deepcopy(learning).requires_grad_(False).to(memory_format=layout)
        for detector in (learning, frozen):
            x = excerpts.clone().requires_grad_()
            detector.features(x, ("conv5",))["conv5"].square().sum().backward()
            gradients.append(x.grad)
    for gradient in gradients[1:]:
        torch.testing.assert_close(gradient, gradients[0], rtol=1e-12, atol=1e-12)
    assert gradients[0].abs().max() > 1e-3
    assert not any(weight.grad is not None for weight in frozen.parameters())


def test_a_frozen_detector_can_be_differentiated_twice():
    torch.manual_seed(0)
    frozen = SVDNet().layers["conv1"][0].requires_grad_(False).double()
    x = torch.randn(1, 1, 6, 5, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(frozen, x) and torch.autograd.gradgradcheck(frozen, x)
