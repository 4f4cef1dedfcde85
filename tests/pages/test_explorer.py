"""What the explorer holds, before any browser sees it."""

import base64
import io
import json
import re
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import detector as tiny_detector

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, N_BANDS
from svdlib.errors import LayerError
from svdlib.inversion.nre import nre
from svdlib.lab.figures.gallery import Panel
from svdlib.pages.explorer import (
    Comparison,
    Measures,
    compare,
    compare_pictures,
    explorer_data,
    layer_explorer,
    move_data_out,
    side_by_side,
)

STEPS = ["original", "Conv1", "FC8"]
MEASURES = [Measures(0.9, 0.0, 1.0, 1.0), Measures(0.8, 0.25, -0.004, 0.5), Measures(0.4, 0.6, 0.1, -0.02)]
COMPARISON = Comparison([MEASURES, MEASURES], [0.0, 0.2, 0.5], 0.71, 32)


class Halve(torch.nn.Module):
    """An inverter of a layer that is the excerpt itself."""

    def forward(self, feature):
        return feature / 2


class Constant(torch.nn.Module):
    """An inverter that always paints the same picture."""

    def __init__(self, picture):
        super().__init__()
        self.picture = picture

    def forward(self, feature):
        return self.picture.expand(len(feature), -1, -1, -1)


class Transparent(torch.nn.Module):
    """A detector whose only layer is its input and whose logit is the value in one cell."""

    threshold = 0.5

    def features(self, x, layers):
        return {layer: x for layer in layers}

    def forward(self, x):
        return x[:, 0, :1, 0]


@pytest.fixture(scope="module")
def panel():
    tone = np.sin(np.arange(EXCERPT_SAMPLES) / 10)
    return Panel("A <tone>", LogMel()(tone), samples=tone)


@pytest.fixture(scope="module")
def standardised(panel):
    """A panel whose picture rises from -3 at its first to +3 at its last frame."""
    rising = torch.linspace(-3, 3, EXCERPT_FRAMES)[:, None].expand(-1, N_BANDS)
    return Panel("rising", panel.log_mel, rising, samples=panel.samples)


def pixels(data):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")).astype(int)


def test_errors_are_distances_in_units_of_the_typical_one():
    x = torch.randn(6, 1, EXCERPT_FRAMES, N_BANDS, generator=torch.manual_seed(0))
    found = compare(Transparent(), {"conv1": Halve(), "fc8": torch.nn.Identity()}, x[:2], x)
    typical = np.mean([float((x[i] - x[j]).norm()) for i in range(6) for j in range(6) if i != j])
    assert found.nre == pytest.approx([0, nre(x, x / 2), 0]) and found.excerpts == 6
    assert found.mean_predictor == pytest.approx(nre(x, torch.zeros_like(x)))
    original, halved, same = found.measures[1]
    assert halved.error == pytest.approx(float(x[1].norm()) / 2 / typical) and original.error == same.error == 0
    assert halved.probability == pytest.approx(float(torch.sigmoid(x[1, 0, 0, 0] / 2)))
    # Half of an excerpt has its onsets and harmonics at the same places.
    assert (halved.onsets, halved.harmonics) == pytest.approx((1, 1))


def test_the_share_of_kept_answers_is_that_of_the_larger_set():
    x = torch.randn(6, 1, EXCERPT_FRAMES, N_BANDS, generator=torch.manual_seed(0))
    x[:, 0, 0, 0] = torch.tensor([-3.0, -1, 0.1, 1, 3, 4])  # the detector's logits
    blank = Constant(torch.full((1, 1, EXCERPT_FRAMES, N_BANDS), -1.0))
    found = compare(Transparent(), {"conv1": torch.nn.Identity(), "fc8": blank}, x[:2], x)
    assert found.kept == pytest.approx([1, 1, 2 / 6])


def test_comparisons_stand_side_by_side():
    x = torch.randn(6, 1, EXCERPT_FRAMES, N_BANDS, generator=torch.manual_seed(0))
    painters = {"conv1": Halve(), "fc8": torch.nn.Identity()}
    one_by_one = [compare(Transparent(), {layer: each}, x[:2], x) for layer, each in painters.items()]
    assert side_by_side(one_by_one) == compare(Transparent(), painters, x[:2], x)
    assert side_by_side(one_by_one[:1]) == one_by_one[0]
    unknown = side_by_side([one_by_one[0], replace(one_by_one[1], kept=None)])
    assert unknown.kept is None and len(unknown.nre) == 3


def test_pictures_that_are_there_already_are_compared_alike():
    x = torch.randn(6, 1, EXCERPT_FRAMES, N_BANDS, generator=torch.manual_seed(0))
    by_inverters = compare(Transparent(), {"conv1": Halve(), "fc8": torch.nn.Identity()}, x[:2], x)
    scores = list(zip(by_inverters.nre, by_inverters.kept, strict=True))[1:]
    assert compare_pictures(Transparent(), x[:2], [x[:2] / 2, x[:2]], scores, x) == by_inverters


def test_a_set_without_distances_has_no_nre():
    x = torch.ones(3, 1, EXCERPT_FRAMES, N_BANDS)
    for too_little in (x, x[:1]):
        with pytest.raises(LayerError, match="two or more different excerpts"):
            compare(tiny_detector(), {}, x, too_little)


def test_pictures_have_a_pixel_per_value_on_one_scale(standardised):
    data = explorer_data({"A": [standardised] * 3, "B": [standardised] * 3}, STEPS, comparison=COMPARISON)
    picture = pixels(data["panels"][0][0]["picture"])
    assert picture.shape == (N_BANDS, EXCERPT_FRAMES, 3)
    lightness = picture.sum(axis=2)
    assert (np.diff(lightness[0]) >= 0).all() and (lightness == lightness[0]).all()
    # Beyond the ends of the scale, at 2.5 deviations, nothing changes any more.
    beyond = np.linspace(-3, 3, EXCERPT_FRAMES) < -2.5
    assert len(set(lightness[0, beyond])) == 1 < len(set(lightness[0]))
    assert (data["scale"]["low"], data["scale"]["high"]) == (-2.5, 2.5)


def test_low_frequencies_are_below():
    log_mel = torch.zeros(50, N_BANDS)
    log_mel[:, 0] = 5
    data = explorer_data({"A": [Panel("low", log_mel, samples=np.ones(EXCERPT_SAMPLES))]}, ["one"])
    lightness = pixels(data["panels"][0][0]["picture"]).sum(axis=2)
    assert (lightness[-1] > 300).all() and (lightness[:-1] < 50).all()
    assert (data["scale"]["low"], data["scale"]["high"]) == (0, 5)


def test_words_and_numbers_come_from_measurements(standardised):
    data = explorer_data({"A": [standardised] * 3, "B": [standardised] * 3}, STEPS, comparison=COMPARISON)
    original, _, deepest = data["panels"][1]
    assert original["words"] == standardised.description
    assert "its onsets match by 0.10 and its harmonics by \u22120.02" in deepest["words"]
    assert "its onsets match by 0.00 and its harmonics by 0.50" in data["panels"][1][1]["words"], "zero has no sign"
    assert (deepest["probability"], deepest["error"]) == (0.4, 0.6)
    assert data["curve"] == {"nre": [0.0, 0.2, 0.5], "meanPredictor": 0.71, "excerpts": 32, "kept": None}
    assert data["keys"] == ["original", "conv1", "fc8"] and data["compare"]


@pytest.mark.parametrize("value", [0.97504, 0.015004, 0.064996])
def test_a_number_is_rounded_once(standardised, value):
    comparison = Comparison([[Measures(value, value)]], [value], value, 2, kept=[value])
    data = json.loads(json.dumps(explorer_data({"A": [standardised]}, ["one"], comparison=comparison)))
    (shown,) = data["panels"][0]
    numbers = (shown["probability"], shown["error"], *data["curve"]["nre"], *data["curve"]["kept"])
    # Four digits first, and 0.97504 would be 0.975, whose nearest binary number lies under the middle.
    assert {f"{each:.2f}" for each in (*numbers, data["curve"]["meanPredictor"])} == {f"{value:.2f}"}
    assert f"{round(value, 4):.2f}" != f"{value:.2f}", "a number that rounding twice does not hurt tests nothing"


def test_a_length_is_rounded_once(standardised):
    class Long(Panel):
        seconds = 1.04996

    data = explorer_data({"A": [Long("long", standardised.log_mel, samples=standardised.samples)]}, ["one"])
    assert f"{data['panels'][0][0]['seconds']:.1f}" == "1.0"


def test_without_measurements_there_is_nothing_to_compare(panel):
    data = explorer_data({"pitch": [panel, panel]}, ["−30 %", "%"], "Change", "Strength")
    assert (data["compare"], data["curve"], data["panels"][0][0]["error"]) == (False, None, None)
    assert (data["menuLabel"], data["stepsLabel"], data["keys"]) == ("Change", "Strength", ["30", "2"])


def test_it_starts_where_it_is_told_to(panel):
    excerpts = {name: [panel] for name in "AB"}
    assert [layer_explorer(excerpts, ["one"], start=name).data["start"] for name in (None, "A", "B")] == [0, 0, 1]
    with pytest.raises(LayerError, match="cannot start with 'C'; its excerpts are: A, B"):
        layer_explorer(excerpts, ["one"], start="C")


def test_the_page_holds_data_script_and_a_plain_form(panel):
    page = layer_explorer({"A: vocal": [panel] * 3}, STEPS)._repr_html_()
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1])
    assert data["excerpts"] == ["A: vocal"] and data["panels"][0][0]["title"] == "A <tone>"
    assert "<tone>" not in page.replace("</svdlib-explorer>", "")
    plain = re.search(r'<img class="svdlib-plain"[^>]*>', page)[0]
    assert "A: vocal" in plain and "half of the magnitude lies below" in plain and "data:image/png" in plain
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", page)


def test_data_move_out_of_a_page_into_scripts(panel):
    explorers = [layer_explorer({name: [panel]}, ["one"]) for name in "AB"]
    page = "<h1>A page</h1>" + "".join(explorer._repr_html_() for explorer in explorers)
    light, scripts = move_data_out(page, "../files")
    assert len(light) < len(page) - 2 * len(json.dumps(explorers[0].data["panels"]))
    names = re.findall(r'<svdlib-explorer source="\.\./files/(\w+)\.js"><img', light)
    assert [f"{name}.js" for name in names] == list(scripts) and len(set(names)) == 2
    for name, explorer in zip(names, explorers, strict=True):
        script = re.fullmatch(
            rf'\(window\.svdlibExplorerData \?\?= {{}}\)\["{name}"\] = (.*);\n', scripts[f"{name}.js"]
        )
        assert json.loads(script[1]) == explorer.data
    assert move_data_out(light, "../files") == (light, {})
    brief, _ = move_data_out(page.replace("<svdlib-explorer><script", "<svdlib-explorer brief><script"), "../files")
    assert brief == light.replace("<svdlib-explorer source", "<svdlib-explorer brief source")


def test_panels_steps_and_measurements_must_fit(panel):
    with pytest.raises(LayerError, match="no excerpt"):
        layer_explorer({}, STEPS)
    with pytest.raises(LayerError, match="'A' has 2 panels for 3 steps"):
        layer_explorer({"A": [panel] * 2}, STEPS)
    with pytest.raises(LayerError, match="has 2 excerpts of 3 steps; the panels are 1 of 3"):
        layer_explorer({"A": [panel] * 3}, STEPS, comparison=COMPARISON)
