"""Aligned inverters: each cell of the excerpt is computed from exactly the features that have seen it.

What has seen what is found without any formula: a cell that is not a number makes everything that reads it one too.
"""

import math

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from torch import nn

from svdlib import LAYERS, SVDNet, build_inverter
from svdlib.detector.model import LAYER_SHAPES, LEAKINESS
from svdlib.errors import LayerError
from svdlib.inversion.geometry import blind_frames, cells_read, receptive_field
from svdlib.inversion.inverters import FeatureInverter, aligned_spec, count_parameters
from svdlib.inversion.mirror import Dense, Mirrored, Window, encoder_steps
from svdlib.zoo.families import VARIANTS

MAP_LAYERS = [layer for layer, shape in LAYER_SHAPES.items() if len(shape) == 3]


@torch.no_grad()
def reached(network, shape):
    """Which cells of the output read which cells of the input, on any channel: bool (*cells out, *cells in)."""
    rows = []
    for cell in range(math.prod(shape[1:])):
        x = torch.zeros(1, *shape)
        x[0].flatten(1)[:, cell] = math.nan
        rows.append(network(x)[0].isnan().any(0))
    return torch.stack(rows, -1).unflatten(-1, shape[1:])


@torch.no_grad()
def along(network, shape, axis):
    """The same along one axis alone (0: time, 1: frequency): bool (cells out, cells in)."""
    rows = []
    for cell in range(shape[1 + axis]):
        x = torch.zeros(1, *shape)
        x.select(2 + axis, cell).fill_(math.nan)
        rows.append(network(x)[0].isnan().any(0).any(1 - axis))
    return torch.stack(rows, -1)


@pytest.fixture(scope="module")
def detector():
    return SVDNet().eval()


@pytest.mark.parametrize("layer", MAP_LAYERS)
@pytest.mark.parametrize("axis", [0, 1])
def test_every_frame_and_band_is_computed_from_exactly_the_features_that_have_seen_it(detector, layer, axis):
    seen = along(lambda x: detector.features(x, (layer,))[layer], (1, 115, 80), axis).T
    read = along(build_inverter(layer, "aligned").eval(), LAYER_SHAPES[layer], axis)
    assert read.shape == seen.shape and read.any(1).all(), "no blind cell"
    known = seen.any(1)
    # Pooling drops one band of Conv2, and with it the highest band of the input: it reads what the band below reads.
    assert known.tolist() == [True] * (len(known) - 1) + [axis == 0 or layer in ("conv1", "conv2")]
    assert torch.equal(read[known], seen[known])
    assert torch.equal(read[-1], seen[-1] if known[-1] else seen[-2])


def test_aligned_inverters_paint_no_frame_blindly(detector):
    for layer in MAP_LAYERS:
        inverter = build_inverter(layer, "aligned")
        assert blind_frames(detector, inverter) == []
        field, cells = receptive_field(detector, layer), LAYER_SHAPES[layer][1]
        assert cells_read(inverter) == [field.cells_seeing(frame, cells) for frame in range(115)]


@pytest.mark.parametrize("layer", LAYERS)
def test_no_aligned_inverter_has_more_parameters_than_the_published_one(layer):
    aligned, published = build_inverter(layer, "aligned"), build_inverter(layer)
    assert count_parameters(aligned) <= count_parameters(published)
    assert aligned(torch.randn(2, *LAYER_SHAPES[layer])).shape == (2, 1, 115, 80)


def test_aligned_excerpts_are_not_bounded_below():
    torch.manual_seed(0)
    with torch.no_grad():
        excerpts = build_inverter("mp3", "aligned")(torch.randn(4, *LAYER_SHAPES["mp3"]))
    assert excerpts.min() < -1.5


def test_the_leaky_relu_is_undone_exactly(detector):
    """Conv1 is linear but for its leaky ReLU, and 64 filters of 9 weights have a left inverse: nothing is lost."""
    inverter = build_inverter("conv1", "aligned").eval()
    convolution = detector.layers["conv1"][0]
    filters = convolution.weight.flatten(1).double()
    centre = torch.linalg.pinv(filters)[4]  # reads the middle cell of a window off its 64 responses
    with torch.no_grad():
        core = inverter.stages["Uconv1"][0].core
        core.weight.zero_()
        core.weight[:, 0, 1, 1] = centre.float()
        core.bias.fill_(-float(centre @ convolution.bias.double()))
        x = torch.randn(2, 1, 115, 80)
        found = inverter(detector.features(x, ("conv1",))["conv1"])
    torch.testing.assert_close(found[:, :, 1:-1, 1:-1], x[:, :, 1:-1, 1:-1], atol=1e-3, rtol=0)


# --- other encoders ---

sizes = st.tuples(st.integers(1, 4), st.integers(1, 4))


@st.composite
def encoders(draw):
    """Convolutions and poolings of any geometry, and how large an input is."""
    modules, channels = [], draw(st.integers(1, 2))
    shape = (channels, draw(st.integers(6, 16)), draw(st.integers(6, 16)))
    for _ in range(draw(st.integers(1, 3))):
        kernel, stride = draw(sizes), draw(st.tuples(st.integers(1, 3), st.integers(1, 3)))
        dilation = draw(st.tuples(st.integers(1, 2), st.integers(1, 2)))
        padding = tuple(draw(st.integers(0, size // 2)) for size in kernel)
        if draw(st.booleans()):
            modules += [nn.Conv2d(channels, 2, kernel, stride, padding, dilation), nn.LeakyReLU()]
            channels = 2
        else:
            modules.append(nn.MaxPool2d(kernel, stride, padding, dilation))
    return modules, shape


@given(encoders())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_the_aligned_inverter_of_any_encoder_reads_what_has_seen(encoder):
    modules, shape = encoder
    try:
        steps = encoder_steps(modules, shape)
    except LayerError:
        assume(False)
    network = nn.Sequential(*modules).eval()
    seen = reached(network, shape).permute(2, 3, 0, 1)
    spec = aligned_spec("any", modules, shape, [2] * (len(steps) - 1))
    inverter = FeatureInverter(spec, "aligned").eval()
    read = reached(inverter, spec.feature_shape)
    assert spec.feature_shape[1:] == seen.shape[2:] and read.shape == seen.shape
    assert (read | ~seen).all(), "all that has seen a cell is read"
    inner = [step.left_out(axis) <= step.padding[axis] for step in steps for axis in (0, 1)]
    if all(inner):
        assert torch.equal(read, seen), "and nothing else, where no cell is left out"


def test_modules_in_a_row_in_a_row_are_opened():
    convolution, pooling = nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)
    inner = nn.ModuleList([nn.Sequential(nn.BatchNorm2d(2), nn.Sequential()), nn.Sequential(nn.ReLU(), pooling)])
    assert encoder_steps([nn.Sequential(convolution, inner)], (1, 8, 8)) == encoder_steps(
        [convolution, pooling], (1, 8, 8)
    )


@pytest.mark.parametrize(
    "step",
    [
        nn.Conv2d(1, 1, (3, 2), (2, 3), 1),
        nn.AvgPool2d(3),
        nn.Conv2d(1, 1, 3, dilation=2),
        nn.Conv2d(1, 1, (4, 3), padding="same"),
        nn.Conv2d(1, 1, (2, 6), padding="same", dilation=(3, 1)),
        nn.Conv2d(1, 1, 3, padding="valid"),
    ],
)
def test_a_mirrored_step_is_the_transpose_of_its_convolution(step):
    """With the encoder's own weights it is the gradient of the encoder, as transposed convolutions are defined."""
    (window,) = encoder_steps([step], (1, 12, 13))
    assert isinstance(window, Window)
    mirrored = Mirrored(window, 1, 1, bias=False).double()
    step = step.double()
    with torch.no_grad():
        weight = getattr(step, "weight", torch.full((1, 1, 3, 3), 1 / 9, dtype=torch.float64))
        mirrored.core.weight.copy_(weight)
    x = torch.randn(1, 1, 12, 13, dtype=torch.float64, requires_grad=True)
    y = torch.randn(1, *window.after, dtype=torch.float64)
    (gradient,) = torch.autograd.grad(step(x), x, y)
    read = [size - max(0, window.left_out(axis) - window.padding[axis]) for axis, size in enumerate((12, 13))]
    found = mirrored(y)
    assert found.shape == x.shape
    torch.testing.assert_close(found[..., : read[0], : read[1]], gradient[..., : read[0], : read[1]])


def test_dense_layers_lead_back_to_their_map():
    steps = encoder_steps(
        [nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3 * 4 * 5, 7), nn.ReLU(), nn.Linear(7, 2)], (3, 8, 10)
    )
    assert steps[1:] == [Dense((3, 4, 5), (7,)), Dense((7,), (2,))]
    spec = VARIANTS["aligned"]["fc8"]
    assert spec.seed_shape == (4, 11, 7) and spec.leakiness == LEAKINESS
    assert [stage.kind for stage in spec.stages] == ["FC", "FC", *["Uconv"] * 6]


@pytest.mark.parametrize(
    ("module", "reason"),
    [
        (nn.LSTM(3, 3), "cannot be derived from LSTM"),
        (nn.Conv2d(1, 1, 9), "no cell to put out for an input of shape \\(1, 8, 8\\)"),
        (nn.MaxPool2d(3, ceil_mode=True), "ceil_mode=False"),
        (nn.Conv2d(1, 1, 3, padding=1, padding_mode="circular"), "pad with zeros"),
        (nn.Flatten(2), "flattens a part of the axes"),
        (nn.Conv2d(3, 1, 3), r"Conv2d\(3, 1.* takes 3 channels, but is fed 1: .*\(1, 8, 8\).*in the order"),
        (nn.BatchNorm2d(2), r"BatchNorm2d\(2.* takes 2 channels, but is fed 1"),
        (nn.Linear(8, 2), r"Linear\(in_features=8.* takes 8 units, but is fed 64"),
        (nn.BatchNorm1d(8), r"BatchNorm1d\(8.* takes 8 units, but is fed 64"),
        (nn.Sequential(nn.Flatten(), nn.MaxPool2d(2)), "behind a dense layer"),
    ],
)
def test_what_cannot_be_mirrored_is_refused(module, reason):
    with pytest.raises(LayerError, match=reason):
        encoder_steps([module], (1, 8, 8))
    with pytest.raises(LayerError, match="behind a dense layer"):
        encoder_steps([nn.Linear(64, 3), nn.MaxPool2d(2)], (1, 8, 8))


class Branches(nn.Module):
    """Two convolutions side by side."""

    def __init__(self):
        super().__init__()
        self.left, self.right = nn.Conv2d(1, 1, 3), nn.Conv2d(1, 1, 3)

    def forward(self, x):
        return self.left(x) + self.right(x)


class Backwards(nn.Sequential):
    def forward(self, x):
        for module in reversed(self):
            x = module(x)
        return x


@pytest.mark.parametrize(
    "container", [Branches(), Backwards(nn.Conv2d(1, 1, 3), nn.MaxPool2d(2)), nn.ModuleDict({"a": nn.ReLU()})]
)
def test_containers_whose_order_is_not_known_are_refused(container):
    with pytest.raises(LayerError, match=f"{type(container).__name__} may run its modules in any order.*one by one"):
        encoder_steps([container], (1, 8, 8))


@given(encoders(), st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow])
def test_steps_are_read_off_exactly_where_the_network_runs(encoder, data):
    """PyTorch itself says which orders of modules can take each other's output."""
    modules, shape = encoder
    dense = nn.Sequential(nn.Flatten(), nn.Linear(2 * shape[1], 3))
    modules = data.draw(st.permutations([*modules, nn.BatchNorm2d(2), dense]))
    try:
        with torch.no_grad():
            found = nn.Sequential(*modules).eval()(torch.zeros(1, *shape)).shape[1:]
    except (RuntimeError, ValueError):
        with pytest.raises(LayerError):
            encoder_steps(modules, shape)
    else:
        assert encoder_steps(modules, shape)[-1].after == tuple(found)


def test_the_number_of_widths_must_fit():
    with pytest.raises(LayerError, match="encoder has 2 steps to mirror; give one width less than that, not 2"):
        aligned_spec("encoder", [nn.Conv2d(1, 2, 3), nn.MaxPool2d(2)], (1, 8, 8), (3, 4))
