import numpy as np
import pytest
import torch

from svdlib.audio.mel_axis import band_frequencies
from svdlib.lab.analysis.measures import describe
from svdlib.lab.figures.augmentation import GAP_FRAMES, before_after, figure_answers, figure_draws, figure_filters


@pytest.fixture(scope="module")
def excerpts():
    return torch.randn(5, 115, 80, generator=torch.Generator().manual_seed(0))


def test_a_panel_holds_before_a_pause_and_after_in_this_order(excerpts):
    panel = before_after("louder", excerpts[0], excerpts[1, :90], note="10 dB")
    assert torch.equal(panel.log_mel[:115], excerpts[0])
    assert torch.equal(panel.log_mel[115 + GAP_FRAMES :], excerpts[1, :90])
    pause = panel.log_mel[115 : 115 + GAP_FRAMES]
    assert (pause == panel.log_mel.min()).all()
    assert panel.title == "Before, then after: louder" and panel.note == "10 dB"
    parts = f"Before: {describe(excerpts[0])}. After: {describe(excerpts[1, :90])}."
    assert panel.description == f"{panel.title}, as spectrograms. {parts}"


def test_draws_share_the_colours_of_the_original(excerpts):
    figure = figure_draws(list(excerpts), ["original", *"abcd"])
    shown = [axes for axes in figure.axes if axes.get_visible()]
    assert [axes.get_title() for axes in shown] == ["original", "a", "b", "c", "d"]
    for axes in shown:
        assert axes.images[0].get_clim() == pytest.approx((excerpts[0].min().item(), excerpts[0].max().item()))
    assert len(figure.axes) == 6


def test_filters_stand_over_the_frequencies_of_the_bands():
    responses = {"boost": np.linspace(0, 10, 80), "cut": np.linspace(0, -5, 80)}
    axes = figure_filters(responses).axes[0]
    lines = {line.get_label(): line for line in axes.lines if line.get_label() in responses}
    assert set(lines) == set(responses)
    np.testing.assert_allclose(lines["cut"].get_xdata(), band_frequencies().numpy())
    np.testing.assert_array_equal(lines["cut"].get_ydata(), responses["cut"])


def test_answers_are_means_of_each_class_with_the_unchanged_on_top():
    sung = np.array([True, True, False])
    axes = figure_answers(np.array([0.9, 0.7, 0.2]), {"noise": np.array([0.5, 0.3, 0.4])}, sung).axes[0]
    points = {line.get_label().split(" (")[0]: line for line in axes.lines if "excerpts" in str(line.get_label())}
    np.testing.assert_allclose(points["sung"].get_xdata(), [0.8, 0.4])
    np.testing.assert_allclose(points["not sung"].get_xdata(), [0.2, 0.4])
    names = {label.get_text(): place for place, label in zip(axes.get_yticks(), axes.get_yticklabels(), strict=True)}
    assert names == {"unchanged": 1, "noise": 0}
    only_sung = figure_answers(np.array([0.9]), {}, np.array([True])).axes[0]
    assert [line.get_label() for line in only_sung.lines if "excerpts" in str(line.get_label())] == [
        "sung (1 excerpts)"
    ]
