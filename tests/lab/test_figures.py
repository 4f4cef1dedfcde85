"""Figures show the numbers they are given, and diagrams the networks as they are."""

import pkgutil
from importlib import import_module
from itertools import pairwise
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE, band_frequencies
from svdlib.detector.model import LAYER_SHAPES, LAYERS, SVDNet
from svdlib.lab import figures as all_figures
from svdlib.lab.analysis.intervals import Interval
from svdlib.lab.figures.claims import LIGHTS, figure_claims
from svdlib.lab.figures.detector import figure_features, figure_song_curve
from svdlib.lab.figures.diagrams import (
    figure_detector,
    figure_geometry,
    figure_inverter,
    figure_method,
    shape_text,
    table_inverters,
    table_stages,
)
from svdlib.lab.figures.nre import (
    figure_band_errors,
    figure_frame_errors,
    figure_intervals,
    figure_nre,
)
from svdlib.lab.figures.spectrograms import draw_spectrogram, figure_excerpt, figure_inversions
from svdlib.lab.figures.structure import figure_class_dependence
from svdlib.lab.figures.style import PHONE_WIDTH, Drawing, figure_width, layer_title, smallest_letter, two_layouts
from svdlib.lab.figures.training import figure_detector_training, figure_training
from svdlib.lab.studies import claims
from svdlib.zoo.families import build_inverter

TABLE_1 = """
FC1 | 256 × 1 | 256 | 256 × 1
Reshape | 256 × 1 | - | 16 × 4 × 4
Uconv2 | 16 × 4 × 4 | 64 | 64 × 8 × 8
Conv3 | 64 × 8 × 8 | 64 | 64 × 8 × 8
Uconv4 | 64 × 8 × 8 | 32 | 32 × 16 × 16
Conv5 | 32 × 16 × 16 | 32 | 32 × 16 × 16
Uconv6 | 32 × 16 × 16 | 16 | 16 × 32 × 32
Conv7 | 16 × 32 × 32 | 16 | 16 × 32 × 32
Uconv8 | 16 × 32 × 32 | 8 | 8 × 64 × 64
Conv9 | 8 × 64 × 64 | 8 | 8 × 64 × 64
Uconv10 | 8 × 64 × 64 | 1 | 1 × 128 × 128
"""

TABLE_2 = """
FC8 | 64 × 1 | 11 | 4 | 131201
FC7 | 256 × 1 | 10 | 4 | 176001
MP6 | 64 × 11 × 7 | 5 | 1 | 80484
Conv5 | 64 × 33 × 21 | 5 | 3 | 144772
Conv4 | 128 × 35 × 23 | 5 | 3 | 576260
MP3 | 32 × 37 × 25 | 6 | 4 | 45892
Conv2 | 32 × 111 × 76 | 4 | 4 | 28324
Conv1 | 64 × 113 × 78 | 2 | 2 | 37700
"""


TITLES = ["Conv1", "Conv2", "MP3", "Conv4", "Conv5", "MP6", "FC7", "FC8"]


def rows_of(table):
    return [" | ".join(map(str, row.values())) for row in table]


def texts(figure):
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def drawn(figure):
    """Draw it, and return its axes without colour bars."""
    assert isinstance(figure, Drawing)
    assert figure._repr_png_().startswith(b"\x89PNG")
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


@pytest.fixture
def excerpt():
    return torch.randn(115, 80, generator=torch.Generator().manual_seed(0))


def test_table_1_is_that_of_the_paper():
    *stages, fitted = rows_of(table_stages(build_inverter("fc7")))
    assert stages == TABLE_1.strip().splitlines()
    assert fitted == "Fit to excerpt | 1 × 128 × 128 | - | 1 × 115 × 80"


def test_table_2_is_that_of_the_paper():
    assert rows_of(table_inverters()) == TABLE_2.strip().splitlines()


@pytest.mark.parametrize("layer", LAYERS)
def test_every_inverter_has_a_table_and_a_diagram_that_end_in_an_excerpt(layer):
    inverter = build_inverter(layer).train()
    table = table_stages(inverter)
    assert table[0]["Input shape"] == shape_text(LAYER_SHAPES[layer])
    assert table[-1]["Output shape"] == "1 × 115 × 80"
    assert all(row["Output shape"] == after["Input shape"] for row, after in zip(table, table[1:], strict=False))
    assert texts(figure_inverter(inverter)).count("1 × 115 × 80") == 1
    assert inverter.training


def test_the_detector_is_drawn_as_it_is():
    detector = SVDNet().eval()
    figure = figure_detector(detector)
    drawn(figure)
    for layer, shape in LAYER_SHAPES.items():
        assert shape_text(shape) in texts(figure), layer
    detector.layers["conv1"][0], detector.layers["conv2"][0] = nn.Conv2d(1, 48, 3), nn.Conv2d(48, 32, 3)
    changed = texts(figure_detector(detector))
    assert "48 × 113 × 78" in changed
    assert "48 filters 3 × 3, no padding, leaky ReLU" in changed
    assert "64 × 113 × 78" not in changed


def test_the_inverter_diagram_shows_what_is_trimmed():
    shown = texts(figure_inverter(build_inverter("conv4")))
    assert {"128 × 35 × 23", "64 × 70 × 46", "1 × 140 × 92", "trimmed"} <= set(shown)
    assert "zeros around" in texts(figure_inverter(build_inverter("conv2")))
    assert "as it is" in texts(figure_inverter(build_inverter("conv2", "aligned")))


def test_the_method_is_drawn():
    figure = figure_method()
    drawn(figure)
    assert any("$G_L$" in text for text in texts(figure))


def test_a_tone_lies_at_its_tick():
    time = np.arange(EXCERPT_SAMPLES) / SAMPLE_RATE
    figure = Drawing()
    axes = figure.subplots()
    draw_spectrogram(axes, LogMel()(np.sin(2 * np.pi * 1000 * time)))
    picture = axes.images[0].get_array()
    assert picture.shape == (80, 115)
    labels = [label.get_text() for label in axes.get_yticklabels()]
    assert axes.get_yticks()[labels.index("1 kHz")] == pytest.approx(picture.mean(axis=1).argmax(), abs=1)
    assert axes.images[0].get_extent()[:2] == pytest.approx([0, 115 / 70])


def test_an_excerpt_is_drawn_with_its_scale(excerpt):
    figure = figure_excerpt(excerpt, title="A song")
    (axes,) = drawn(figure)
    assert axes.get_title() == "A song"
    assert len(figure.axes) == 2


def test_all_inversions_share_one_colour_scale(excerpt):
    sizes = {"A": 1, "B": 5}
    rows = {name: {key: excerpt * size for key in ("input", *LAYERS)} for name, size in sizes.items()}
    axes = drawn(figure_inversions(rows))
    assert len(axes) == 18
    assert len({each.images[0].get_clim() for each in axes}) == 1
    assert [each.get_title() for each in axes[:2]] == ["A", "B"]
    assert [each.get_ylabel() for each in axes[::2]] == ["Input", *TITLES]
    assert all(np.array_equal(each.images[0].get_array(), 5 * excerpt.T) for each in axes[1::2])


def test_the_names_above_four_columns_have_room_on_a_phone(excerpt):
    """As chapter 05c names its excerpts; that names do not run into each other is looked at after every test here."""
    names = ("1: non-vocal", "2: non-vocal", "3: vocal", "4: vocal")
    axes = drawn(figure_inversions({name: {"input": excerpt, "fc8": excerpt} for name in names}))
    assert [each.get_title() for each in axes[:4]] == list(names)


def test_nre_has_intervals_and_the_line_of_the_mean_predictor():
    values = dict(zip(LAYERS, np.linspace(0.1, 0.8, 8), strict=True))
    scores = {layer: Interval(value, value - 0.02, value + 0.03) for layer, value in values.items()}
    (axes,) = drawn(figure_nre({"synthetic": scores}, {"synthetic": 0.71}))
    assert [label.get_text() for label in axes.get_xticklabels()] == TITLES
    assert [tuple(line.get_ydata()) for line in axes.lines if line.get_linestyle() == "--"] == [(0.71, 0.71)]
    ends = np.array([segment[:, 1] for segment in axes.collections[0].get_segments()])
    assert ends == pytest.approx(np.array([score.ends for score in scores.values()]))


def test_nre_of_a_single_song_has_no_intervals():
    scores = {layer: Interval(0.5, np.nan, np.nan) for layer in LAYERS}
    (axes,) = drawn(figure_nre({"one song": scores}, {"one song": 0.71}))
    assert not axes.collections
    assert [list(line.get_ydata()) for line in axes.lines if len(line.get_ydata()) == 8] == [[0.5] * 8]


def test_frame_errors_have_a_panel_per_layer_and_a_curve_per_family():
    curves = {
        layer: {"published": np.full(115, 0.5), "aligned": np.linspace(0, 0.1 * k, 115)}
        for k, layer in enumerate(LAYERS)
    }
    axes = [each for each in drawn(figure_frame_errors(curves)) if each.get_visible()]
    assert [each.get_title() for each in axes] == TITLES
    for each, by_family in zip(axes, curves.values(), strict=True):
        assert all(
            np.array_equal(line.get_ydata(), curve) for line, curve in zip(each.lines, by_family.values(), strict=True)
        )
    two_layers = {layer: curves[layer] for layer in ("mp3", "fc8")}
    assert sum(each.get_visible() for each in drawn(figure_frame_errors(two_layers))) == 2


def test_losses_are_drawn_per_layer():
    history = [SimpleNamespace(training={"fc8": 3.0 - n}, validation={"fc8": 4.0 - n}) for n in range(2)]
    (axes,) = drawn(figure_training(history))
    assert [list(line.get_ydata()) for line in axes.lines] == [[3, 2], [4, 3]]


def test_the_numbers_at_a_loss_do_not_run_into_each_other():
    """That they do not is looked at after every test; here are losses that fall to a fifteenth, and ones that stay."""
    for last in (0.02, 0.2):
        history = [SimpleNamespace(training={"conv1": loss}, validation={"conv1": loss}) for loss in (0.3, last)]
        (axes,) = drawn(figure_training(history))
        shown = [label.get_text() for label in axes.yaxis.get_ticklabels(which="both")]
        assert "0.2" in shown


def test_shares_in_percent_are_written_alike_whatever_their_reach():
    panels = {name: {"songs": {"MP6": Interval(0, -high, high)}} for name, high in (("one", 0.2), ("two", 0.4))}
    axes = drawn(figure_intervals(panels, "change", percent=True))
    assert all("20%" in [label.get_text() for label in each.get_yticklabels()] for each in axes)


def test_the_losses_of_the_detector_are_drawn_over_its_epochs():
    history = [{"training": 3.0 - n, "validation": 4.0 - n} for n in range(2)]
    (axes,) = drawn(figure_detector_training(history))
    assert {line.get_label(): list(line.get_ydata()) for line in axes.lines} == {
        "training": [3, 2],
        "validation": [4, 3],
    }


def test_the_song_curve_shows_labels_and_answer():
    curve = np.linspace(0, 1, 700)
    axes, strips = drawn(figure_song_curve(curve, curve, curve > 0.2, threshold=0.6))
    assert [0.6, 0.6] in [list(line.get_ydata()) for line in axes.lines]
    labels, detector = (strip.get_paths()[0].vertices[:, 0].min() for strip in strips.collections)
    assert labels == pytest.approx(2.0, abs=0.05)
    assert detector == pytest.approx(6.0, abs=0.05)


def test_other_figures_draw_what_they_get():
    maps = {"conv1": np.ones((113, 78)), "mp6": np.ones((11, 7)), "fc8": np.arange(64.0)}
    features = drawn(figure_features(maps))
    assert [axes.get_title() for axes in features] == ["Conv1: 113 × 78", "MP6: 11 × 7", "FC8: 64"]

    known = {"mp3": [(t, t + 20) if t else None for t in range(115)]}
    (geometry,) = drawn(figure_geometry(known, {"mp3": [3, 4]}))
    assert geometry.get_title() == "MP3: 2 blind"

    sung = np.array([True, False, True])
    cloud = drawn(figure_class_dependence({"originals": np.array([3.0, 1.0, 5.0])}, sung, "Hz"))[0]
    medians = [float(line.get_xdata()[0]) for line in cloud.lines[1::2]]
    assert medians == [1.0, 4.0]


def test_band_errors_stand_on_the_mel_scale():
    curves = {layer: {"published": np.linspace(0, 1, 80)} for layer in LAYERS}
    axes = [each for each in drawn(figure_band_errors(curves)) if each.get_visible()]
    assert [each.get_title() for each in axes] == TITLES
    assert all(np.array_equal(each.lines[0].get_ydata(), np.linspace(0, 1, 80)) for each in axes)
    peaks = [float(np.interp(tick, np.arange(80), band_frequencies())) for tick in axes[0].get_xticks()]
    assert peaks == pytest.approx([100, 1000, 4000], rel=0.01)


def test_intervals_are_drawn_from_end_to_end():
    by_place = {"MP6": Interval(0.1, 0.05, 0.2), "FC7": Interval(-0.2, -0.25, -0.1)}
    alone = {place: Interval(0.3, np.nan, np.nan) for place in by_place}
    panels = {"one": {"many songs": by_place, "one song": alone}, "two": {"many songs": by_place, "one song": alone}}
    axes = drawn(figure_intervals(panels, "change", percent=True))
    assert [each.get_title(loc="left") for each in axes] == ["one", "two"]
    assert [label.get_text() for label in axes[-1].get_xticklabels()] == ["MP6", "FC7"]
    for each in axes:
        (bars,) = each.collections  # a single song has none
        ends = np.array([segment[:, 1] for segment in bars.get_segments()])
        assert ends == pytest.approx(np.array([[0.05, 0.2], [-0.25, -0.1]]))
        assert any(list(line.get_ydata()) == [0.3, 0.3] for line in each.lines if line.get_marker() == "s")


def test_steps_from_layer_to_layer_have_room_for_their_names_on_a_phone():
    """As chapter 04b draws them; that names do not run into each other is looked at after every test here."""
    steps = {f"{one}\nto {other}": Interval(0.1, 0.05, 0.2) for one, other in pairwise(map(layer_title, LAYERS))}
    figure = figure_intervals({"steps": {"songs": steps}}, "change")
    (axes,) = figure.narrow().axes
    assert [label.get_text() for label in axes.get_xticklabels()][0] == "Conv1\nto\nConv2"


def test_a_claim_has_the_light_of_its_verdict_and_the_area_where_its_number_should_lie():
    entries = claims.ledger()
    figure = figure_claims(entries)
    lights = [line.get_marker() for part in figure.subfigs for line in part.artists]
    assert lights == [LIGHTS[entry.verdict][1] for entry in entries]
    for axes, entry in zip(figure.axes, entries, strict=True):
        (area,) = axes.patches
        low, high = entry.claim.agrees.low, entry.claim.agrees.high
        assert area.get_x() == pytest.approx(max(low, axes.get_xlim()[0]))
        assert area.get_x() + area.get_width() == pytest.approx(min(high, axes.get_xlim()[1]))
        assert axes.lines[1].get_xdata() == [entry.readings[0].interval.value]


def test_letters_are_measured_as_they_are_seen():
    figure = Drawing(figsize=(7.2, 2))  # 518.4 points, on 360 pixels: 0.69 pixels for a point
    figure.text(0.5, 0.5, "twelve points", size=12)
    assert smallest_letter(figure, 360) == pytest.approx(8.33, abs=0.01)
    figure.text(0.5, 0.5, "$x_i$", size=12)  # whose index has 8.4 points
    assert smallest_letter(figure, 360) == pytest.approx(5.83, abs=0.01)


def test_a_figure_is_drawn_again_for_a_phone_with_what_it_was_given():
    @two_layouts
    def draw(title, *, place):
        figure = Drawing(figsize=(figure_width(), 1))
        figure.text(0, place, title)
        return figure

    wide = draw("A title", place=0.5)
    narrow = wide.narrow()
    assert (wide.get_figwidth(), narrow.get_figwidth()) == (7.4, PHONE_WIDTH)
    assert texts_of(narrow) == texts_of(wide) == ["A title"]
    assert figure_width() == 7.4


def texts_of(figure):
    return [text.get_text() for text in figure.texts]


def test_every_figure_of_a_page_has_a_layout_for_phones_or_is_narrow():
    modules = [
        import_module(f"{all_figures.__name__}.{found.name}") for found in pkgutil.iter_modules(all_figures.__path__)
    ]
    functions = {
        f"{each.__module__}.{name}": each
        for module in modules
        for name, each in vars(module).items()
        if name.startswith("figure_") and each.__module__ == module.__name__ and name != "figure_width"
    }
    without = {name.rpartition(".")[2] for name, draw in functions.items() if not hasattr(draw, "__wrapped__")}
    assert without == {"figure_rounds", "figure_differences"}  # as wide as a phone's
    assert len(functions) > 30
