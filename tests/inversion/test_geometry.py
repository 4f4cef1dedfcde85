"""Which features see which frames: checked against what the networks really do."""

import pytest
import torch

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector.model import LAYER_SHAPES, SVDNet
from svdlib.errors import LayerError
from svdlib.inversion.geometry import blind_frames, cells_read, receptive_field
from svdlib.zoo.families import build_inverter

MAP_LAYERS = [layer for layer, shape in LAYER_SHAPES.items() if len(shape) == 3]


@pytest.fixture(scope="module")
def detector():
    torch.manual_seed(0)
    return SVDNet().eval()


def gradient_cells(inverter, frame):
    """The cells along time from which a frame of the output gets a gradient, all weights being positive."""
    with torch.no_grad():
        for stage in inverter.stages.values():
            stage[0].weight.fill_(0.01)
    feature = torch.full((1, *LAYER_SHAPES[inverter.layer]), 0.1, requires_grad=True)
    inverter.eval()(feature)[0, 0, frame].sum().backward()
    return feature.grad.abs().sum(dim=(0, 1, 3)).nonzero()[:, 0].tolist()


@pytest.mark.parametrize("layer", MAP_LAYERS)
def test_cells_read_are_those_that_the_gradient_reaches(layer):
    inverter = build_inverter(layer)
    read = cells_read(inverter)
    assert len(read) == EXCERPT_FRAMES
    for frame in (0, 50, 77, 114):
        cells = gradient_cells(inverter, frame)
        expected = (cells[0], cells[-1]) if cells else None
        assert read[frame] == expected


@pytest.mark.parametrize("layer", MAP_LAYERS)
@pytest.mark.parametrize("frame", [0, 1, 57, 113])
def test_the_cells_that_see_a_frame_are_those_that_change_with_it(detector, layer, frame):
    generator = torch.Generator().manual_seed(frame)
    x = torch.randn(1, 1, EXCERPT_FRAMES, N_BANDS, generator=generator)
    changed = torch.zeros(LAYER_SHAPES[layer][1], dtype=torch.bool)
    with torch.no_grad():
        before = detector.features(x, (layer,))[layer]
        for size in (-100.0, 100.0):  # a maximum may hide a change in one direction
            other = x.clone()
            other[:, :, frame] += size * torch.randn(N_BANDS, generator=generator)
            changed |= (detector.features(other, (layer,))[layer] != before).any(dim=3).any(dim=1)[0]
    first, last = receptive_field(detector, layer).cells_seeing(frame, LAYER_SHAPES[layer][1])
    assert changed.nonzero()[:, 0].tolist() == list(range(first, last + 1))


def test_published_inverters_paint_some_frames_blindly(detector):
    counts = {layer: len(blind_frames(detector, build_inverter(layer))) for layer in MAP_LAYERS}
    assert counts == {"conv1": 2, "conv2": 4, "mp3": 36, "conv4": 24, "conv5": 1, "mp6": 29}


def test_a_cell_of_mp6_sees_25_frames_9_apart(detector):
    field = receptive_field(detector, "mp6")
    assert (field.stride, field.size) == (9, 25)
    assert field.frames_seen((1, 2)) == (9, 42)


def test_an_inverter_keeps_its_mode():
    inverter = build_inverter("conv1").train()
    cells_read(inverter)
    assert inverter.training


def test_dense_layers_have_no_time(detector):
    with pytest.raises(LayerError, match="fc7 is a dense layer"):
        receptive_field(detector, "fc7")
    with pytest.raises(LayerError, match="fc8 is a dense layer"):
        cells_read(build_inverter("fc8"))
