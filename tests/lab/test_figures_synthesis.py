"""The figures on how a song is made show the numbers they are given."""

import numpy as np
import pytest

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import FRAME_LENGTH, FRAME_RATE, SAMPLE_RATE, band_of_frequency
from svdlib.lab.figures import synthesis as figures
from svdlib.lab.figures.gallery import Gallery
from svdlib.lab.figures.style import Drawing
from svdlib.lab.figures.synthesis import Picture, Sound


def drawn(figure):
    """Draw it, and return its axes without colour bars."""
    assert isinstance(figure, Drawing)
    assert figure._repr_png_().startswith(b"\x89PNG")
    return [axes for axes in figure.axes if axes.get_label() != "<colorbar>"]


def lines(axes):
    return {line.get_label(): line.get_xydata() for line in axes.lines}


def spans(axes):
    """First and last time of each filled stretch."""
    boxes = [path.get_extents() for strip in axes.collections for path in strip.get_paths()]
    return [(box.x0, box.x1) for box in boxes]


@pytest.fixture
def log_mel():
    return np.random.default_rng(0).normal(0, 2, (140, 80))


@pytest.fixture
def tone():
    """Two seconds of a tone with harmonics that slides from 220 to 440 Hz, and its pitch."""
    pitch = np.geomspace(220, 440, 2 * SAMPLE_RATE)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    return (0.1 * np.sin(phase)).astype(np.float32), pitch


def test_a_contour_lies_on_the_line_that_it_made(tone):
    samples, pitch = tone
    log_mel = LogMel()(samples).numpy()
    (axes,) = drawn(figures.small_picture(log_mel, pitch[::100], SAMPLE_RATE / 100))
    times, bands = axes.lines[-1].get_data()
    frames = np.arange(10, len(log_mel) - 10)
    at_frames = np.interp((frames + 0.5) / FRAME_RATE, times, bands)
    assert np.abs(at_frames - log_mel[frames].argmax(axis=1)).max() < 1.5


def test_a_contour_stands_still_where_the_pitch_does_and_leaves_gaps_where_there_is_none(log_mel):
    pitch = np.full(100, 440.0)
    pitch[50:] = np.nan
    (axes,) = drawn(figures.small_picture(log_mel, pitch, 50.0))
    times, bands = axes.lines[-1].get_data()
    np.testing.assert_allclose(bands[:50], band_of_frequency(440))
    assert np.isnan(bands[50:]).all()
    assert times[25] - times[0] == pytest.approx(0.5)
    assert times[0] == pytest.approx(0.5 / FRAME_RATE - FRAME_LENGTH / 2 / SAMPLE_RATE)


def test_a_picture_without_a_pitch_shows_all_bands_and_no_line(log_mel):
    (axes,) = drawn(figures.small_picture(log_mel))
    assert not axes.lines and axes.get_ylim() == (-0.5, 79.5)
    low, high = axes.images[0].get_clim()
    assert high == log_mel.max() and high - low == figures.DYNAMIC_RANGE


def test_pulses_are_scaled_to_one_and_harmonics_to_the_first():
    spectra = {"a": 5.0 / np.arange(1, 101), "b": 2.0 / np.arange(1, 101) ** 2}
    pulses = {"a": np.array([0.0, 4.0, -8.0, 0.0]), "b": np.array([1.0, 0.0, -2.0, 0.0])}
    left, right = drawn(figures.figure_glottal_pulses(pulses, spectra))
    np.testing.assert_allclose(lines(left)["a"][:, 1], [0, 0.5, -1, 0])
    levels = [line.get_ydata() for line in right.lines]
    assert levels[0][0] == 0 and levels[0][9] == pytest.approx(-20) and levels[1][9] == pytest.approx(-40)


def test_a_vowel_panel_multiplies_the_source_with_the_tract():
    frequencies = np.linspace(0, 1000, 101)
    gains = {"a": np.full(101, 10.0), "i": np.full(101, 0.1)}
    source = np.array([2.0, 0.2, 0.02, 1.0])  # the last is above the frequencies shown
    formants = {"a": (700, 900), "i": (300, 950)}
    panels = drawn(figures.figure_vowels(frequencies, gains, 300.0, source, formants))
    for axes, shift in zip(panels, (20, -20), strict=True):
        tops = [path.vertices[1] for path in axes.collections[0].get_paths()]
        np.testing.assert_allclose(tops, [[0.3, 0 + shift], [0.6, -20 + shift], [0.9, -40 + shift]], atol=1e-9)
    assert [text.get_text() for text in panels[1].texts] == ["F1", "F2"]
    assert [text.xy[0] for text in panels[1].texts] == [0.3, 0.95]


def test_a_sung_phrase_has_its_syllables_and_three_formants(log_mel):
    formants = np.tile([500.0, 1500.0, 2500.0], (200, 1))
    figure = figures.figure_sung_phrase(log_mel, np.full(200, 220.0), formants, 100.0, [(0.1, "ma"), (0.7, "li")])
    (axes,) = drawn(figure)
    assert [(text.get_text(), text.xy[0]) for text in axes.texts] == [("ma", 0.1), ("li", 0.7)]
    heights = [line.get_ydata()[0] for line in axes.lines]
    np.testing.assert_allclose(heights, [band_of_frequency(hertz) for hertz in (500, 1500, 2500, 220)])


def test_judges_stand_below_the_sound_that_they_judge(log_mel):
    naive = {"singer": np.arange(140) >= 70, "lead": np.zeros(140, bool)}
    detector = {"singer": np.linspace(0, 1, 140), "lead": np.full(140, 0.25)}
    panels = drawn(figures.figure_judges({"singer": log_mel, "lead": log_mel - 3}, naive, detector, 0.6))
    assert [axes.get_title() for axes in panels[:2]] == ["singer", "lead"]
    assert panels[0].images[0].get_clim() == panels[1].images[0].get_clim()
    assert spans(panels[2])[0][0] == pytest.approx(1.0) and not spans(panels[3])
    for axes, curve in zip(panels[4:], detector.values(), strict=True):
        np.testing.assert_array_equal(axes.lines[0].get_ydata(), curve)
        assert list(axes.lines[1].get_ydata()) == [0.6, 0.6]


def test_the_score_has_sections_notes_and_strips_at_their_times():
    figure = figures.figure_score(
        [(0.0, 4.0, "intro"), (4.0, 12.0, "verse")],
        [(4.5, 5.0, 60.0), (5.0, 6.0, 64.0)],
        [(0.0, 2.0, [48, 52, 55])],
        {"sung phrases": [(4.5, 6.0)], "leads": [(0.5, 3.0)], "labels": [(4.5, 6.0)]},
        10.0,
    )
    roll, lanes = drawn(figure)
    assert [(text.get_text(), text.xy[0]) for text in roll.texts] == [("intro", 2.0), ("verse", 7.0)]
    segments = [segment.tolist() for lines in roll.collections for segment in lines.get_segments()]
    assert [[4.5, 60.0], [5.0, 60.0]] in segments and [[0.0, 52.0], [2.0, 52.0]] in segments
    assert lanes.get_xlim() == (0, 10)
    # The first strip named is the uppermost.
    assert [label.get_text() for label in lanes.get_yticklabels()] == ["labels", "leads", "sung phrases"]
    boxes = [path.get_extents() for bars in lanes.collections for path in bars.get_paths()]
    assert [(box.x0, box.x1) for box in boxes] == [(4.5, 6.0), (0.5, 3.0), (4.5, 6.0)]


def test_a_song_without_singing_has_a_score_too():
    roll, lanes = drawn(figures.figure_score([(0.0, 5.0, "solo")], [], [], {"sung phrases": [], "labels": []}, 5.0))
    assert len(roll.texts) == 1 and not [path for bars in lanes.collections for path in bars.get_paths()]


def test_stems_share_one_scale_and_the_labels_lie_below(log_mel):
    sung = np.arange(140) < 35
    stems = {"voice": log_mel, "band": log_mel + 4, "mix": log_mel + 2}
    *pictures, bar = drawn(figures.figure_stems(stems, sung, start=20.0))
    assert [axes.get_ylabel() for axes in pictures] == ["voice", "band", "mix"]
    assert {axes.images[0].get_clim()[1] for axes in pictures} == {log_mel.max() + 4}
    assert {axes.images[0].get_extent()[0] for axes in pictures} == {20.0}
    assert spans(bar)[0] == (20.0, pytest.approx(20.5))


@pytest.mark.parametrize("count", [1, 3, 8])
def test_any_number_of_genres_fits(log_mel, count):
    names = [f"genre {number}" for number in range(count)]
    panels = drawn(figures.figure_genres(dict.fromkeys(names, log_mel), dict.fromkeys(names, np.ones(140, bool))))
    visible = [axes for axes in panels if axes.get_visible()]
    assert [axes.get_title() for axes in visible] == names
    assert all(spans(axes)[0][0] == 0 for axes in visible)


def test_band_statistics_are_drawn_over_frequency():
    statistics = {"ours": (np.arange(80.0), np.full(80, 2.0)), "yours": (-np.arange(80.0), np.full(80, 3.0))}
    left, right = drawn(figures.figure_band_statistics(statistics))
    assert list(lines(left)) == ["ours", "yours"]
    np.testing.assert_array_equal(lines(left)["yours"][:, 1], -np.arange(80.0))
    assert [line.get_ydata()[0] for line in right.lines] == [2.0, 3.0]
    assert band_of_frequency(lines(left)["ours"][40, 0]) == pytest.approx(40)


def test_balance_is_drawn_within_its_frame_and_around_the_aim():
    shifts = {"real": np.linspace(-0.5, 0.2, 80).tolist(), "other": [0.1] * 80}
    (axes,) = drawn(figures.figure_balance(shifts, 0.3))
    assert [name for name in lines(axes) if name in shifts] == ["real", "other"]
    np.testing.assert_array_equal(lines(axes)["real"][:, 1], shifts["real"])
    stripe = axes.patches[0].get_extents().transformed(axes.transData.inverted())
    assert (stripe.y0, stripe.y1) == pytest.approx((-0.3, 0.3))
    assert axes.get_ylim()[0] < -0.5 and axes.get_ylim()[1] == -axes.get_ylim()[0]


def test_a_sound_is_a_player_without_a_picture(tone):
    samples, _ = tone
    html = Sound("A <tone>", LogMel()(samples), samples=samples).html()
    assert "<img" not in html and html.count("<audio") == 1
    assert "A &lt;tone&gt;" in html and html.endswith("</figure>")


def test_a_picture_shows_its_drawing_and_describes_it(tone):
    samples, pitch = tone
    log_mel = LogMel()(samples)
    drawing = figures.small_picture(log_mel, pitch[::100], SAMPLE_RATE / 100)
    panel = Picture("A slide", log_mel, samples=samples, drawing=drawing, shows="A line rises & ends")
    assert panel.image == drawing.png(96) != Picture("A slide", log_mel, samples=samples).image
    html = Gallery([panel])._repr_html_()
    assert "A line rises &amp; ends" in html and html.count("<audio") == html.count("<img") == 1
