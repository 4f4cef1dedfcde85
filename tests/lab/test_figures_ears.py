"""Figures that compare listeners show the numbers they are given."""

from itertools import combinations

import numpy as np
from matplotlib.text import Text

from svdlib.lab.analysis.intervals import Interval
from svdlib.lab.figures import ears


def test_sizes_fall_from_left_to_right_and_each_layer_is_named():
    nan = float("nan")
    known = {"mp6": (0.5, Interval(0.6, 0.5, 0.7)), "fc8": (0.007, Interval(0.9, 0.8, 1.0))}
    unknown = {"lstm3": (0.8, Interval(0.4, nan, nan)), "centre": (0.007, Interval(0.7, nan, nan))}
    figure = ears.figure_sizes({"one": known, "other": unknown}, "NRE", line=0.71, line_name="mean excerpt")
    (axes,) = figure.axes
    assert {text.get_text() for text in axes.texts} == {"MP6", "FC8", "LSTM3", "Centre"}
    left, right = axes.get_xlim()
    assert left > 0.8 and right < 0.007
    (bars,) = axes.containers[0][2]
    assert [segment[:, 1].tolist() for segment in bars.get_segments()] == [[0.5, 0.7], [0.8, 1.0]]
    assert figure._repr_png_().startswith(b"\x89PNG")


def test_names_of_layers_of_one_size_and_error_do_not_cover_each_other():
    """As in chapters 12 and 13: three listeners whose deepest layers have 64 numbers and nearly one error."""
    deep = {"mp6": (0.536, Interval(0.45, 0.4, 0.5)), "fc8": (0.007, Interval(0.65, 0.62, 0.68))}
    figure = ears.figure_sizes({"one": deep, "two": deep, "three": deep}, "NRE", line=0.7, line_name="mean excerpt")
    for drawing in (figure, figure.narrow()):
        (axes,) = drawing.axes
        drawing.draw_without_rendering()
        alone = [Text.get_window_extent(text) for text in axes.texts]
        assert len(alone) == 6
        for one, other in combinations(alone, 2):
            assert not one.overlaps(other)
        assert all(axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 for box in alone)


def test_a_matrix_of_many_columns_has_room_on_a_phone():
    judges = ["music tagger", "detector", "recurrent detector", "second detector"]
    numbers = {"Correlation": np.full((2, 4), -0.38)}
    figure = ears.figure_matrix(numbers, numbers, ["music tagger, POOL1", "music tagger, POOL2"], judges)
    narrow = figure.narrow()
    narrow.draw_without_rendering()
    (axes,) = narrow.axes
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == ["-0.38\n(-0.38)"] * 8
    assert not any(one.overlaps(other) for one, other in combinations(boxes, 2))


def test_a_matrix_holds_its_numbers_and_their_chance():
    numbers = np.array([[0.93, 0.2], [0.5, np.nan]])
    chance = np.array([[0.55, np.nan], [0.004, 0.1]])
    names = ["detector, FC8", "recurrent, centre"]
    for percent, expected in ((False, ["0.93 (0.55)", "0.20", "0.50 (0.00)", ""]), (True, ["93% (55%)", "20%"])):
        figure = ears.figure_matrix({"r": numbers}, {"r": chance}, names, ["detector", "second"], percent=percent)
        (axes,) = figure.axes
        assert [text.get_text() for text in axes.texts][: len(expected)] == expected
        assert [label.get_text() for label in axes.get_yticklabels()] == names
        figure.draw_without_rendering()


def test_three_judges_have_room_on_a_phone():
    judges = ["detector", "recurrent detector", "second detector"]
    rows = [f"untrained, FC{number}" for number in range(15)]
    panels = {"Decisions kept": np.full((15, 3), 0.87)}
    ears.figure_matrix(panels, panels, rows, judges, percent=True)


def test_bands_that_are_read_and_others_are_told_apart():
    figure = ears.figure_bands({"POOL1": [1, 2, 1, 2], "POOL2": [3, 3, 3, 4]}, [True, False, True, False], "error")
    first, second = figure.axes
    _, read, unread = first.lines
    assert list(read.get_ydata()) == [1, 1] and list(unread.get_ydata()) == [2, 2]
    assert second.get_title(loc="left") == "POOL2"


def test_a_band_that_stands_out_does_not_hide_the_others_and_is_told():
    bands = [*np.linspace(0.2, 0.5, 95), 2.0]
    figure = ears.figure_bands({"one": bands, "other": np.linspace(0.2, 0.6, 96)}, np.arange(96) % 2 == 0, "error")
    for drawing in (figure, figure.narrow()):
        first, second = drawing.axes
        assert first.get_ylim() == second.get_ylim()
        assert 0.6 < first.get_ylim()[1] < 0.8
        assert [text.get_text() for text in first.texts] == ["band 95: 2.00"] and not second.texts
