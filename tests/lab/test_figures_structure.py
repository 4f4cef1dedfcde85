"""Figures of many excerpts show the numbers they are given."""

import numpy as np
import pytest
import torch

from svdlib.detector.model import LAYERS
from svdlib.lab.analysis.modulation import modulation_rates
from svdlib.lab.figures import structure as figures_analysis
from svdlib.lab.figures.style import Drawing


def drawn(figure):
    """Draw it, and return its visible axes without colour bars."""
    assert isinstance(figure, Drawing)
    assert figure._repr_png_().startswith(b"\x89PNG")
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>" and axes.get_visible()]


def lines_of(axes):
    return [list(line.get_ydata()) for line in axes.lines]


def test_agreements_are_drawn_with_their_chance_and_level():
    nan = float("nan")
    by_layer = {"original": (0.9, 0.8, 1.0, 0.1), "fc8": (0.5, nan, nan, 0.2)}
    panels = {"match": {"songs": by_layer}, "fit": {"songs": by_layer}, "height": {"songs": by_layer}}
    first, second, third = drawn(
        figures_analysis.figure_agreements(panels, levels={"fit": [0.4, 0.3]}, level_name="blurred")
    )
    assert [0.9, 0.5] in lines_of(first) and [0.1, 0.2] in lines_of(first)
    assert [0.4, 0.3] in lines_of(second) and [0.4, 0.3] not in lines_of(first)
    assert [label.get_text() for label in third.get_xticklabels()] == ["Original", "FC8"]
    (bars,) = first.containers[0][2]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[0.8, 1.0], [0.5, 0.5]]


def test_a_table_of_octaves_holds_its_numbers():
    numbers = np.arange(16).reshape(8, 2) / 16
    (axes,) = drawn(figures_analysis.figure_octaves({"match": numbers}, LAYERS, ["0.6 Hz", "1.2 to 1.8 Hz"]))
    assert [text.get_text() for text in axes.texts] == [f"{number:.2f}" for number in numbers.ravel()]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["0.6", "1.2–1.8"]


def test_shifts_have_a_panel_for_each_painter():
    panels = {f"painter {k}": {"moves": [1, k / 9], "stays": [0.5, 0.2]} for k in range(3)}
    figure = figures_analysis.figure_shifts(panels, (1, 9))
    for panel, axes in enumerate(drawn(figure)):
        assert axes.get_title(loc="left") == f"painter {panel}"
        assert [1, panel / 9] in lines_of(axes) and [0.5, 0.2] in lines_of(axes)
    assert len(drawn(figure)) == len(drawn(figure.narrow())) == 3, "an empty fourth place is not drawn"


def test_shifts_of_many_painters_keep_their_numbers_apart():
    """Five painters and nine shifts, as in the chapter on the round trip."""
    five = {f"FC8, unmoved {k}": {"moves": np.ones(9), "stays": np.ones(9)} for k in range(5)}
    figure = figures_analysis.figure_shifts(five, range(1, 10))
    assert len(drawn(figure)) == 5


def test_titles_of_many_words_have_room_on_a_phone():
    line = {"songs": {layer: (0.9, 0.8, 1.0, 0.1) for layer in LAYERS}}
    panels = {f"Onset F-measure, {family}": line for family in ("aligned", "published")}
    narrow = figures_analysis.figure_agreements(panels).narrow()
    assert narrow.axes[1].get_title() == "Onset F-measure,\npublished"


def test_what_is_nearly_nothing_has_no_sign():
    (axes,) = drawn(figures_analysis.figure_octaves({"match": np.full((8, 1), -0.001)}, LAYERS, ["0.6 Hz"]))
    assert {text.get_text() for text in axes.texts} == {"0.00"}


def test_octaves_have_room_on_a_phone():
    names = ["0.6 Hz", "1.2 Hz", "2.4 to 4.3 Hz", "4.9 to 9.1 Hz", "9.7 to 18.9 Hz", "19.7 to 34.7 Hz"]
    (axes,) = drawn(figures_analysis.figure_octaves({"match": np.zeros((8, 6))}, LAYERS, names))
    assert axes.get_xticklabels()[-1].get_text() == "19.7–34.7"


def test_curves_over_rates_thresholds_and_walks():
    rates = modulation_rates().numpy()
    layers = ("conv1", "conv5", "mp6", "fc7", "fc8")
    (axes,) = drawn(figures_analysis.figure_modulation(rates, {layer: k / rates for k, layer in enumerate(layers, 1)}))
    assert np.allclose(axes.lines[4].get_ydata(), 5 / rates)
    curve = np.array([0, 0.2, 1]), np.array([0, 0.9, 1])
    panels = drawn(figures_analysis.figure_roc({"tilt": {"originals": curve}, "centroid": {"originals": curve}}))
    assert [axes.get_title() for axes in panels] == ["tilt", "centroid"]
    assert all([0, 0.9, 1] in lines_of(axes) for axes in panels)
    (axes,) = drawn(figures_analysis.figure_walk_answers({"original": np.array([0.1, 0.3, 0.9])}, 0.44))
    assert [0.1, 0.3, 0.9] in lines_of(axes) and list(axes.lines[0].get_xdata()) == [0, 50, 100]


def test_walks_show_each_step_under_its_answer():
    pictures = torch.randn(3, 115, 80, generator=torch.Generator().manual_seed(0))
    axes = drawn(figures_analysis.figure_walks({"fc8": pictures}, {"fc8": [0.1, 0.5, 0.95]}))
    assert [each.get_title() for each in axes] == ["0.10", "0.50", "0.95"]
    for each, picture in zip(axes, pictures, strict=True):
        assert np.allclose(each.images[0].get_array(), picture.numpy().T)


def test_class_means_show_both_and_the_difference_of_their_spectra():
    non_vocal, vocal = torch.zeros(115, 80), torch.linspace(0, 1, 80).expand(115, 80)
    axes = drawn(figures_analysis.figure_class_means({"original": (non_vocal, vocal)}, (-1, 1)))
    assert [each.get_title() for each in axes] == ["non-vocal", "vocal", "vocal − non-vocal"]
    assert axes[2].lines[0].get_xdata() == pytest.approx(np.linspace(0, 1, 80), abs=1e-6)
