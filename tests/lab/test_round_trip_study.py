"""The study of round trips: on painters whose answer is known, and its program."""

import copy
import json

import numpy as np
import pytest
import tiny
import torch
from torch import nn

import svdlib
from svdlib.detector.model import LAYERS
from svdlib.inversion.nre import EvaluationPlan, evaluation_sets, mean_excerpt, reconstruct
from svdlib.lab.analysis.round_trip import feature_errors, judged
from svdlib.lab.studies import as_json, load_results
from svdlib.lab.studies import round_trip as study
from svdlib.zoo.checkpoints import DETECTOR_FILE, PACKAGED, SECOND_FILE

PLAN = EvaluationPlan(sets=2, per_song=4)


class Painter(nn.Module):
    """Paints noise, the same for the same feature."""

    def forward(self, feature):
        return torch.sin(1000 * feature.flatten(1)[:, :1, None, None] + torch.arange(9200.0).view(1, 1, 115, 80))


@pytest.fixture(scope="module")
def judges():
    """Two detectors, each of which says yes to about a half of the excerpts."""
    first, second = copy.deepcopy(tiny.detector()), copy.deepcopy(tiny.detector())
    with torch.no_grad():
        second.layers["conv1"][0].weight.neg_()
        x = tiny.bank(count=3).gather(torch.arange(57))
        for each in (first, second):
            each.threshold = float(torch.sigmoid(each(x)).median())
    return {study.OWN: first, "detector 2": second}


def test_every_entry_agrees_with_the_measures_on_the_same_excerpts(judges):
    bank, mean = tiny.bank(count=3), mean_excerpt(tiny.bank(seed=1))
    detector, inverters = judges[study.OWN], {"mp3": Painter(), "fc8": Painter()}
    found = study.measure(judges, {"published": inverters}, bank, mean, PLAN)
    assert (found["songs"], found["sets"], found["per_song"]) == (3, 2, 4)
    sets = [bank.cut(starts) for starts in evaluation_sets(bank, PLAN)]
    for layer, inverter in inverters.items():
        entry, errors = found["layers"][layer]["published"], []
        kept = {name: [] for name in judges}
        for x in sets:
            x_hat = reconstruct(detector, {layer: inverter}, x)[layer]
            errors.append(feature_errors(detector, x, x_hat, (layer,))[layer])
            for name, (same, _) in judged(judges, x, x_hat, detector.standardizer).items():
                kept[name].append(same)
        assert study.feature_error_of(found, layer, "published").value == pytest.approx(np.mean(errors))
        nre = np.mean([svdlib.nre(x, reconstruct(detector, {layer: inverter}, x)[layer]) for x in sets])
        assert study.nre_of(found, layer, "published").value == pytest.approx(nre, rel=1e-6)
        for name, same in kept.items():
            assert study.kept_of(entry, name).value == pytest.approx(np.mean(same))
            np.testing.assert_allclose(entry["judges"][name]["kept"], np.mean(same, axis=0).reshape(3, 4).mean(1))


def test_the_correlation_is_that_over_all_excerpts(judges):
    bank, detector = tiny.bank(count=3), judges[study.OWN]
    found = study.measure(judges, {"published": {"fc8": Painter()}}, bank, mean_excerpt(bank), EvaluationPlan(1, 6))
    x = bank.cut(evaluation_sets(bank, EvaluationPlan(1, 6))[0])
    with torch.no_grad():
        logits = detector(x)[:, 0], detector(reconstruct(detector, {"fc8": Painter()}, x)["fc8"])[:, 0]
    expected = np.corrcoef(*(each.double().numpy() for each in logits))[0, 1]
    found = study.correlation_of(found["layers"]["fc8"]["published"])
    assert found.value == pytest.approx(expected, rel=1e-5) and found.low <= found.value <= found.high


def test_a_painter_that_knows_nothing_keeps_one_answer(judges):
    """It gets the excerpts right that are answered as its picture is, and its logits do not vary."""
    bank, blank = tiny.bank(count=3), torch.zeros(1, 1, 115, 80)
    blind = study.measure(judges, {"published": {"fc8": Painter()}}, bank, blank, PLAN)["blind"]
    detector = judges[study.OWN]
    with torch.no_grad():
        sung = torch.cat([torch.sigmoid(detector(bank.cut(s)))[:, 0] for s in evaluation_sets(bank, PLAN)])
        answer = torch.sigmoid(detector(blank))[0, 0] > detector.threshold
    assert study.kept_of(blind).value == pytest.approx(((sung > detector.threshold) == answer).double().mean().item())
    assert np.isnan(study.correlation_of(blind).value) and "feature" not in blind


def test_the_advantage_is_paired_over_songs():
    kept, blind = [0.9, 0.5, 0.7, 0.6], [0.8, 0.4, 0.6, 0.5]

    def entry(values):
        return {"judges": {study.OWN: {"kept": values}}}

    measured = {"layers": {"fc8": {"aligned": entry(kept)}}, "blind": entry(blind)}
    found = study.advantage_of(measured, "fc8", "aligned")
    assert [found.value, *found.ends] == pytest.approx([0.1] * 3), "every song keeps as much more"


def test_a_family_may_have_some_layers_only(judges):
    families = {"published": {"mp3": Painter(), "fc8": Painter()}, "more": {"fc8": nn.Sequential(Painter())}}
    found = study.measure(judges, families, tiny.bank(count=3), torch.zeros(1, 1, 115, 80), PLAN)
    assert {layer: list(each) for layer, each in found["layers"].items()} == {
        "mp3": ["published"],
        "fc8": ["published", "more"],
    }
    assert study.cost_of(found, "fc8", "more", than="published").value == 0, "both paint the same"


def test_one_song_gives_no_interval(judges):
    measured = study.measure(judges, {"published": {"fc8": Painter()}}, tiny.bank(), torch.zeros(1, 1, 115, 80), PLAN)
    stored = json.loads(json.dumps(as_json(measured), allow_nan=False))
    assert not study.kept_of(stored["layers"]["fc8"]["published"]).is_known
    assert not study.feature_error_of(stored, "fc8", "published").is_known


def test_the_program_measures_the_packaged_families(tmp_path, capsys):
    out = tmp_path / "trips.json"
    options = ["--corpus", "synthetic:songs=3,seconds=5", "--sets", "1", "--per-song", "2", "--device", "cpu"]
    options += ["--others", "synthetic-b:songs=3,seconds=5", "--judges", str(PACKAGED / SECOND_FILE)]
    assert study.main([*options, "--out", str(out)]) == 0
    result, table = json.loads(out.read_text()), capsys.readouterr().out
    assert [each["songs"] for each in result["corpora"].values()] == [1, 3]
    assert "detector 2 kept" in table and study.BLIND in table
    for measured in result["corpora"].values():
        assert set(measured["layers"]) == set(LAYERS)
        for entry in measured["layers"].values():
            kept = [entry["aligned"]["judges"][name]["kept"] for name in (study.OWN, "detector 2")]
            assert [len(each) for each in kept] == [measured["songs"]] * 2


def test_a_judge_that_began_as_the_detector_did_is_refused(capsys):
    options = ["--corpus", "synthetic:songs=3,seconds=5", "--judges", str(PACKAGED / DETECTOR_FILE), "--device", "cpu"]
    assert study.main(options) == 2
    assert "no second opinion" in capsys.readouterr().err


def test_the_stored_study_holds_every_painter():
    stored = load_results("round_trip")
    assert [name.partition(":")[0] for name in stored["corpora"]] == ["synthetic", "synthetic-c", "folder"]
    for measured in stored["corpora"].values():
        entries = [entry for by_family in measured["layers"].values() for entry in by_family.values()]
        assert len(entries) == 16 + 3 + 2 + 2 + 2
        for entry in (measured["blind"], *entries):
            for judge in entry["judges"].values():
                assert len(judge["kept"]) == measured["songs"] and all(0 <= share <= 1 for share in judge["kept"])
