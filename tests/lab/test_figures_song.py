import warnings

import numpy as np
import pytest
from matplotlib.colors import to_rgba

from svdlib.audio.mel_axis import band_of_frequency, mel_filterbank
from svdlib.detector.model import LAYERS
from svdlib.lab.figures.song import EXCERPT, plot_detector_curve, plot_inversions
from svdlib.lab.figures.style import layer_title


def panels(figure):
    return [axes for axes in figure.axes if axes.images]


@pytest.fixture(scope="module")
def log_mels():
    rng = np.random.default_rng(0)
    return {key: rng.normal(0, 2 + index, (115, 80)) for index, key in enumerate(("input", *LAYERS))}


def test_nine_panels_share_the_colours_of_the_input(log_mels):
    figure = plot_inversions(log_mels, dict.fromkeys(LAYERS, 12.34), name="a.mp3", excerpt=(10.0, 11.7))
    assert len(panels(figure)) == 9
    limits = {axes.images[0].get_clim() for axes in panels(figure)}
    decibels = 20 * np.log10(np.exp(log_mels["input"]))
    assert len(limits) == 1
    np.testing.assert_allclose(limits.pop(), [np.percentile(decibels, 1), decibels.max()])


def test_titles_name_layers_and_distances_and_axes_are_in_seconds_of_the_song(log_mels):
    distances = {layer: 10.0 + index for index, layer in enumerate(LAYERS)}
    figure = plot_inversions(log_mels, distances, name="a.mp3", excerpt=(10.0, 11.7), typical_distance=99.5)
    titles = [axes.get_title() for axes in panels(figure)]
    assert titles[:3] == ["Input", "Conv1: distance 10.0", "Conv2: distance 11.0"]
    assert titles[-1] == "FC8: distance 17.0"
    assert "99.5" in figure.get_supxlabel()
    left, right, bottom, top = panels(figure)[0].images[0].get_extent()
    assert (left, right, bottom, top) == (10.0, pytest.approx(10 + 115 / 70), -0.5, 79.5)


def test_the_picture_is_upright(log_mels):
    figure = plot_inversions(log_mels, dict.fromkeys(LAYERS, 0.0), name="a.mp3", excerpt=(0.0, 1.7))
    image = panels(figure)[0].images[0]
    assert image.origin == "lower" and image.get_array().shape == (80, 115)


@pytest.mark.parametrize("typical", [float("nan"), float("inf")])
def test_an_unknown_typical_distance_is_left_out(log_mels, typical):
    figure = plot_inversions(
        log_mels, dict.fromkeys(LAYERS, 0.0), name="a.mp3", excerpt=(0.0, 1.7), typical_distance=typical
    )
    assert "Two excerpts" not in figure.get_supxlabel()


def test_frequencies_stand_at_the_bands_that_peak_there():
    bins_hz = np.arange(513) * 22050 / 1024
    filters = mel_filterbank()
    for band in (20, 40, 60, 79):
        assert band_of_frequency(bins_hz[filters[:, band].argmax()]) == pytest.approx(band, abs=0.6)


def test_layers_are_written_as_in_the_paper():
    assert [layer_title(layer) for layer in LAYERS] == "Conv1 Conv2 MP3 Conv4 Conv5 MP6 FC7 FC8".split()


def test_curve_threshold_and_excerpt_are_where_they_belong():
    probabilities = np.linspace(0, 1, 701)
    figure = plot_detector_curve(probabilities, threshold=0.4, name="a.mp3", excerpt=(6.0, 7.7))
    axes = figure.axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    np.testing.assert_allclose(lines["probability of singing"].get_xdata(), np.arange(701) / 70)
    np.testing.assert_array_equal(lines["probability of singing"].get_ydata(), probabilities)
    assert list(lines["threshold 0.40"].get_ydata()) == [0.4, 0.4]
    assert lines["inverted excerpt"].get_xdata()[0] == pytest.approx(6.85)
    spans = [patch for patch in axes.patches if patch.get_facecolor()[:3] == to_rgba(EXCERPT)[:3]]
    assert spans[0].get_x() == 6.0 and spans[0].get_width() == pytest.approx(1.7)


def test_the_curve_of_many_hours_is_drawn_with_all_its_peaks_and_few_points(tmp_path):
    probabilities = np.random.default_rng(0).random(70 * 3600 * 10) * 0.5
    probabilities[[123_456, 2_000_000]] = 0.9, -0.2
    figure = plot_detector_curve(probabilities, threshold=0.4, name="a.mp3", excerpt=(6.0, 7.7))
    line = next(line for line in figure.axes[0].lines if line.get_label() == "probability of singing")
    times, drawn = line.get_data()
    assert 3000 < len(drawn) < 10_000 and (np.diff(times) > 0).all()
    assert drawn.max() == 0.9 and drawn.min() == -0.2
    assert times[drawn.argmax()] * 70 == pytest.approx(123_456)
    assert figure.axes[0].get_xlim() == (0, (len(probabilities) - 1) / 70)
    figure.savefig(tmp_path / "figure.png")


@pytest.mark.parametrize("name", ["$1 \\frac{.mp3", "b\udce9.wav", "x" * 300 + ".mp3"])
def test_any_file_name_can_stand_in_a_title(name, tmp_path):
    figure = plot_detector_curve(np.zeros(300), threshold=0.5, name=name, excerpt=(0.0, 1.7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure.savefig(tmp_path / "figure.png")
    title = figure.get_suptitle()
    assert title.endswith((".mp3", ".wav")) and len(title) < 90
