"""What figures of explanations draw is what they are given."""

import numpy as np
import pytest
import torch

from svdlib.lab.figures.explanations import figure_agreement, figure_comparison, figure_maps, figure_masking_curves


def test_maps_have_their_own_scales_and_signed_ones_a_white_middle():
    excerpt = torch.randn(115, 80, generator=torch.Generator().manual_seed(0))
    maps = {"gradient": excerpt.abs(), "slime": 3 * excerpt}
    figure = figure_maps(excerpt, maps, {"true voice": excerpt > 0})
    shown = {axes.get_title(): axes.images[0] for axes in figure.axes if axes.get_visible()}
    assert list(shown) == ["excerpt", "true voice", "gradient", "SLIME"]
    np.testing.assert_array_equal(shown["SLIME"].get_array().T, maps["slime"])
    low, high = shown["SLIME"].get_clim()
    assert low == -high and high == pytest.approx(3 * float(excerpt.abs().double().quantile(0.995)), rel=1e-6)
    assert shown["SLIME"].get_cmap()(0.5)[:3] == pytest.approx((0.97, 0.97, 0.97), abs=0.02)


def test_curves_and_their_controls_stand_over_the_shares():
    shares = [0, 0.5, 1]
    row = {"keeping": [0.1, 0.8, 0.9], "removing": [0.9, 0.2, 0.1]}
    wrong = {"keeping": [0.1, 0.3, 0.9], "removing": [0.9, 0.6, 0.1]}
    figure = figure_masking_curves(shares, {"slime": row | {"rolled": wrong}, "voice": row | {"rolled": wrong}}, wrong)
    assert [axes.get_title() for axes in figure.axes] == ["SLIME", "true voice"]
    for axes in figure.axes:
        drawn = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
        for verb, way in (("kept", "keeping"), ("removed", "removing")):
            assert drawn[f"first cells {verb}"] == row[way]
            assert drawn[f"{verb}, wrong time"] == drawn[f"{verb}, random cells"] == wrong[way]
        (shaded,) = axes.collections
        shape = shaded.get_paths()[0]
        assert shape.contains_point((75, 0.5)) and not shape.contains_point((10, 0.5))  # the curves cross between


def test_comparisons_have_a_row_per_map_and_no_bar_without_an_interval():
    nan = float("nan")
    rows = {"slime": {"map": (0.5, 0.4, 0.7), "control": (0.1, nan, nan)}, "voice": {"map": (0.9, 0.8, 1.0)}}
    axes = figure_comparison({"songs": rows}, "advantage", chance=0).axes[0]
    maps, control = axes.containers
    np.testing.assert_allclose(maps.lines[0].get_xdata(), [0.5, 0.9])
    np.testing.assert_allclose([bar[:, 0] for bar in maps.lines[2][0].get_segments()], [[0.4, 0.7], [0.8, 1.0]])
    assert np.ptp(control.lines[2][0].get_segments()[0][:, 0]) == 0
    assert [label.get_text() for label in axes.get_yticklabels()] == ["SLIME", "true voice"]
    assert axes.get_yticks()[0] > axes.get_yticks()[1]


def test_an_agreement_of_nearly_nothing_has_no_sign():
    found = {"slime/voice": {"correlation": {"value": -0.001}, "chance_correlation": {"value": 0.2}}}
    assert {text.get_text() for text in figure_agreement(found).axes[0].texts} == {"0.00", "0.20"}


def test_agreement_has_chance_above_the_diagonal():
    found = {"slime/voice": {"correlation": {"value": 0.75}, "chance_correlation": {"value": None}}}
    table = figure_agreement(found).axes[0].images[0].get_array()
    assert table[1, 0] == 0.75 and np.ma.getmaskarray(table)[0, 1] | np.isnan(table.data[0, 1])
