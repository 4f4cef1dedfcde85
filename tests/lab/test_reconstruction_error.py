"""The study of reconstruction errors: its measures on known cases, and its program."""

import json

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from svdlib.detector.model import LAYERS
from svdlib.inversion.nre import (
    EvaluationPlan,
    evaluate_inverters,
    evaluation_sets,
    mean_excerpt,
    mean_predictor_nre,
    nre,
)
from svdlib.lab.analysis.error_maps import frame_errors, mean_squares, over_bands
from svdlib.lab.analysis.intervals import mean_interval, nre_interval
from svdlib.lab.studies import load_results
from svdlib.lab.studies import reconstruction_error as study


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


HALF = {"conv1": Painter(lambda x: 0.5 * x)}
QUARTER = {"conv1": Painter(lambda x: 0.75 * x)}
BLANK = torch.zeros(1, 1, 115, 80)


def band_errors(x, x_hat):
    return over_bands(mean_squares(x - x_hat), mean_squares(x))


def test_errors_of_known_pictures():
    x = torch.randn(50, 1, 115, 80)
    silent, late, dull = torch.zeros_like(x), x.clone(), x.clone()
    late[:, :, 100:] = 0
    dull[..., 70:] = 0
    torch.testing.assert_close(frame_errors(x, silent), torch.ones(115, dtype=torch.float64))
    torch.testing.assert_close(band_errors(x, silent), torch.ones(80, dtype=torch.float64))
    errors = frame_errors(x, late)
    assert not errors[:100].any() and torch.equal(errors[100:], torch.ones(15, dtype=torch.float64))
    errors = band_errors(x, dull)
    assert not errors[:70].any() and torch.equal(errors[70:], torch.ones(10, dtype=torch.float64))
    assert study.slope((1 + torch.arange(115) * 0.01).tolist()) == pytest.approx(1.955 / 1.185 - 1, rel=1e-6)


def test_the_better_family_changes_as_its_errors_say(passing):
    bank, plan = tiny.bank(count=3, level=20), EvaluationPlan(sets=2, per_song=4)
    found = study.measure(passing, {"published": HALF, "aligned": QUARTER}, bank, BLANK, plan)
    assert (found["songs"], found["sets"], found["per_song"]) == (3, 2, 4)
    inside = 113 * 78 / (115 * 80)  # the border is lost to both
    expected = ((0.25**2 * inside + 1 - inside) / (0.5**2 * inside + 1 - inside)) ** 0.5 - 1
    change = study.family_changes(found)["conv1"]
    assert change.value == pytest.approx(expected, abs=0.01) and change.low <= change.value <= change.high
    aligned = found["layers"]["conv1"]["aligned"]
    np.testing.assert_allclose(aligned["frame_errors"][1:-1], (78 / 16 + 2) / 80, atol=0.005)
    np.testing.assert_allclose(aligned["band_errors"][1:-1], (113 / 16 + 2) / 115, atol=0.005)
    assert aligned["band_errors"][0] == pytest.approx(1) and aligned["frame_errors"][-1] == pytest.approx(1)


def test_every_entry_agrees_with_the_library(passing):
    """The study adds up what other functions compute at once."""
    bank, train, plan = tiny.bank(count=3), tiny.bank(seed=1), EvaluationPlan(sets=2, per_song=4)
    found = study.measure(passing, {"published": HALF}, bank, mean_excerpt(train), plan)
    scored = evaluate_inverters(passing, HALF, bank, plan)["conv1"]
    score = study.nre_of(found, "published")["conv1"]
    assert score.value == pytest.approx(scored.nre) and score.ends == pytest.approx(scored.ci95)
    assert found["layers"]["conv1"]["published"]["per_set"] == pytest.approx(scored.per_set)
    assert found["mean_predictor"]["nre"] == pytest.approx(mean_predictor_nre(train, bank, plan))
    sets = [bank.cut(starts) for starts in evaluation_sets(bank, plan)]
    assert found["floor"]["nre"] == pytest.approx(np.mean([nre(x, x.clamp(min=-1)) for x in sets]))
    x = torch.cat(sets)
    for name, errors in (("frame_errors", frame_errors), ("band_errors", band_errors)):
        expected = errors(x, mean_excerpt(train).expand_as(x)).numpy()
        np.testing.assert_allclose(found["mean_predictor"][name], expected, rtol=1e-9)


def test_each_song_has_its_own_number(passing):
    """Where one song is painted perfectly, its number is zero, and the NRE is the mean over songs."""
    bank = tiny.bank(count=2, level=20)
    bank.frames[:300] = bank.frames[:300].mean(dim=0)  # the first song stands still
    still = bank.frames[0].expand(1, 1, 115, 80)
    found = study.measure(passing, {"published": HALF}, bank, still, EvaluationPlan(sets=3, per_song=5))
    first, second = found["mean_predictor"]["per_song"]
    assert first == 0 and second > 0 and found["mean_predictor"]["nre"] == pytest.approx(second / 2)
    assert np.isnan(found["mean_predictor"]["ci95"]).all(), "of two songs only one draw has a yardstick"
    values = study.per_song(found, "published")["conv1"]
    assert mean_interval(values).value == pytest.approx(found["layers"]["conv1"]["published"]["nre"])


def test_one_song_gives_no_interval(passing):
    bank = tiny.bank(level=20)
    found = study.measure(passing, {"published": HALF, "aligned": HALF}, bank, BLANK, EvaluationPlan(1, 4))
    stored = json.loads(json.dumps(study.as_json(found)))
    assert stored["floor"]["ci95"] == [None, None]
    assert not study.nre_of(stored, "published")["conv1"].is_known
    assert not study.family_changes(stored)["conv1"].is_known


def test_the_program_measures_the_packaged_families(tmp_path, capsys):
    out = tmp_path / "errors.json"
    options = ["--corpus", "synthetic:songs=3,seconds=5", "--sets", "1", "--per-song", "2", "--device", "cpu"]
    assert study.main([*options, "--others", "synthetic-b:songs=3,seconds=5", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    table = capsys.readouterr().out
    assert list(result["corpora"]) == ["synthetic:songs=3,seconds=5", "synthetic-b:songs=3,seconds=5"]
    assert [each["songs"] for each in result["corpora"].values()] == [1, 3]
    assert "mp3" in table and "mean predictor" in table
    for layer, published in result["training"]["published"].items():
        aligned = result["training"]["aligned"][layer]
        assert all(aligned[key] == published[key] for key in ("corpus", "batch_size")), layer
        fair = all(aligned[key] == published[key] for key in ("seed", "updates"))
        assert fair or (layer in ("mp6", "fc7", "fc8") and len(aligned["updates"]) > 1), (
            "only they went on in further runs"
        )
    for measured in result["corpora"].values():
        assert set(measured["layers"]) == set(LAYERS)
        for by_family in measured["layers"].values():
            assert len(by_family["aligned"]["frame_errors"]) == 115
            assert len(by_family["published"]["band_errors"]) == 80
            assert len(by_family["published"]["per_song"]) == measured["songs"]


def test_the_stored_study_agrees_with_itself():
    stored = load_results("reconstruction_error")
    assert [name.partition(":")[0] for name in stored["corpora"]] == ["synthetic", "synthetic-c", "folder"]
    for measured in stored["corpora"].values():
        families = [entry for by_family in measured["layers"].values() for entry in by_family.values()]
        assert len(families) == 16
        for entry in (measured["mean_predictor"], measured["floor"], *families):
            assert len(entry["per_song"]) == measured["songs"] and len(entry["per_set"]) == measured["sets"] == 10
            assert entry["nre"] == pytest.approx(np.mean(entry["per_song"]), abs=2e-6)
            assert entry["nre"] == pytest.approx(np.mean(entry["per_set"]), abs=2e-6)
            found = nre_interval(entry["per_song"], np.array(measured["between"]))
            assert entry["ci95"] == pytest.approx([found.low, found.high], abs=5e-6)
