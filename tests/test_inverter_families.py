"""The comparison of published and aligned inverters: its measures on known cases, and its program."""

import json

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from svdlib.evaluation import EvaluationPlan, evaluate_inverters, frame_errors
from svdlib.studies import inverter_families as families


class Painter(nn.Module):
    """Knows the excerpt, since Conv1 of this detector passes it on, and spoils it as it is told."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def forward(self, feature):
        x = torch.zeros(len(feature), 1, 115, 80)
        x[:, :, 1:-1, 1:-1] = feature[:, :1]
        return self.spoil(x)


@pytest.fixture(scope="module")
def passing():
    """A detector whose first filter hands on the excerpt without its border, all values being positive."""
    detector = tiny.SVDNet().eval()
    with torch.no_grad():
        for parameter in detector.layers["conv1"].parameters():
            parameter.zero_()
        detector.layers["conv1"][0].weight[0, 0, 1, 1] = 1
    return detector


def test_frame_errors_of_known_pictures():
    x = torch.randn(50, 1, 115, 80)
    silent, late = torch.zeros_like(x), x.clone()
    late[:, :, 100:] = 0
    torch.testing.assert_close(frame_errors(x, silent), torch.ones(115, dtype=torch.float64))
    errors = frame_errors(x, late)
    assert not errors[:100].any() and torch.equal(errors[100:], torch.ones(15, dtype=torch.float64))
    assert families.slope((1 + torch.arange(115) * 0.01).tolist()) == pytest.approx(1.955 / 1.185 - 1, rel=1e-6)


def test_the_better_family_gains_what_its_errors_say(passing):
    bank = tiny.bank(count=3, level=20)
    half = {"conv1": Painter(lambda x: 0.5 * x)}
    quarter = {"conv1": Painter(lambda x: 0.75 * x)}
    plan = EvaluationPlan(sets=2, per_song=4)
    found = families.measure(passing, {"published": half, "aligned": quarter}, bank, plan)["conv1"]
    assert found["published"]["gain"] == 0 and found["published"]["gain_ci95"] == (0, 0)
    inside = 113 * 78 / (115 * 80)  # the border is lost to both
    expected = 1 - ((0.25**2 * inside + 1 - inside) / (0.5**2 * inside + 1 - inside)) ** 0.5
    assert found["aligned"]["gain"] == pytest.approx(expected, abs=0.01)
    low, high = found["aligned"]["gain_ci95"]
    assert low <= found["aligned"]["gain"] <= high
    for name, inverters in (("published", half), ("aligned", quarter)):
        expected = evaluate_inverters(passing, inverters, bank, plan)["conv1"].nre
        assert found[name]["nre"] == pytest.approx(expected, rel=1e-6)
    inner = np.array(found["aligned"]["frame_errors"])[1:-1]
    np.testing.assert_allclose(inner, (78 / 16 + 2) / 80, atol=0.005)


def test_one_song_gives_no_interval(passing):
    inverters = {"conv1": Painter(lambda x: 0.5 * x)}
    found = families.measure(passing, {"published": inverters}, tiny.bank(level=20), EvaluationPlan(1, 4))
    assert np.isnan(found["conv1"]["published"]["gain_ci95"]).all()


def test_the_program_measures_the_packaged_families(tmp_path, capsys):
    out = tmp_path / "families.json"
    options = ["--corpus", "synthetic:songs=3,seconds=5", "--split", "test", "--sets", "1", "--device", "cpu"]
    assert families.main([*options, "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    table = capsys.readouterr().out
    assert set(result["layers"]) == set(families.LAYERS) and "mp3" in table
    assert result["training"]["aligned"] == result["training"]["published"], "a fair comparison"
    for by_family in result["layers"].values():
        assert by_family["aligned"]["parameters"] <= by_family["published"]["parameters"]
        assert len(by_family["aligned"]["frame_errors"]) == 115
