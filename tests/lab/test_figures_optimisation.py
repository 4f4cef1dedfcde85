"""Figures of inversion by optimisation show the numbers that they are given."""

import numpy as np
import pytest
import torch

from svdlib.lab.figures import optimisation as figures
from svdlib.lab.figures.style import Drawing

LAYERS = ("conv1", "mp6", "fc8")


def drawn(figure):
    """Draw it, and return its visible axes without colour bars."""
    assert isinstance(figure, Drawing) and figure._repr_png_().startswith(b"\x89PNG")
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>" and axes.get_visible()]


def test_pictures_share_one_scale_and_keep_their_order():
    pictures = {f"number {k}": torch.full((115, 80), float(k)) for k in range(3)}
    panels = drawn(figures.figure_pictures(pictures))
    assert [axes.get_title() for axes in panels] == list(pictures)
    images = [axes.images[0] for axes in panels]
    assert [float(image.get_array()[0, 0]) for image in images] == [0, 1, 2]
    assert len({image.get_clim() for image in images}) == 1


def test_descents_and_trained_levels_are_drawn_per_layer():
    curves = {layer: {"without": 1 / np.arange(1, 30), "with": np.full(29, 0.5)} for layer in LAYERS}
    levels = {layer: {"published": 0.4, "aligned": 0.2 + k} for k, layer in enumerate(LAYERS)}
    panels = drawn(figures.figure_descents(curves, levels))
    assert [axes.get_title() for axes in panels] == ["Conv1", "MP6", "FC8"]
    for axes, layer in zip(panels, LAYERS, strict=True):
        lines = {line.get_label(): line.get_ydata() for line in axes.lines}
        np.testing.assert_array_equal(lines["without"], curves[layer]["without"])
        assert list(lines["aligned"]) == [levels[layer]["aligned"]] * 2 and axes.get_yscale() == "log"
        assert len({line.get_color() for line in axes.lines}) == 4


@pytest.mark.parametrize("interval", [(0.1, 0.3), (None, None)])
@pytest.mark.parametrize("logarithmic", [False, True])
def test_ways_are_drawn_with_the_intervals_that_there_are(interval, logarithmic):
    values = {way: {layer: (0.2, *interval) for layer in LAYERS} for way in ("one", "two")}
    (axes,) = drawn(figures.figure_ways(values, "NRE", ("originals", 1.0), logarithmic))
    bars = axes.containers
    assert [bar.get_label() for bar in bars] == ["one", "two"]
    assert all(list(bar.lines[0].get_ydata()) == [0.2] * 3 for bar in bars)
    assert [bar.has_yerr for bar in bars] == [interval[0] is not None] * 2
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["Conv1", "MP6", "FC8"]
    assert axes.get_yscale() == ("log" if logarithmic else "linear")


def test_weights_are_drawn_without_the_alpha_norm_and_the_chosen_one_is_marked():
    tried = [
        {"variation_weight": weight, "alpha_weight": alpha, "nre": 0.5 - weight, "feature_error": weight}
        for weight, alpha in ((0.0, 0.0), (0.1, 0.0), (0.3, 0.0), (0.1, 1e-5))
    ]
    found = {"tried": tried, "chosen": tried[-1], "trained_feature_error": 0.3}
    figure = figures.figure_weights(dict.fromkeys(LAYERS, found), margin=0.8)
    axes = drawn(figure)[0]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.5, 0.4, 0.2]] * len(LAYERS))
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["0", "0.1", "0.3"]
    boxes = {(patch.get_x(), patch.get_y()): patch.get_hatch() for patch in axes.patches}
    # The box is around the second weight; the third, whose feature error of 0.3 is more than 80 % of 0.3, is hatched.
    frames = {(0.54, row - 0.44): None for row in range(len(LAYERS))}
    assert boxes == frames | {(1.5, row - 0.5): "///" for row in range(len(LAYERS))}
