"""The study of other ears: painters whose answer is known, scales that differ, chance by hand, expectations."""

import copy
import json

import numpy as np
import pytest
import stand_ins
import tiny
import torch
from torch import nn

from svdlib.audio.standardizer import Standardizer
from svdlib.detector.front_end import front_end_of
from svdlib.inversion.listener import Listener
from svdlib.inversion.nre import EvaluationPlan, evaluate_inverters, evaluation_sets, mean_excerpt
from svdlib.lab.analysis.round_trip import answers, decisions_kept
from svdlib.lab.studies import as_json, load_results
from svdlib.lab.studies import other_ears as study
from svdlib.zoo import listeners
from svdlib.zoo.listeners import Opened

PLAN = EvaluationPlan(sets=2, per_song=4)


class Halved(nn.Module):
    """Paints half of the very excerpt, if the feature is the excerpt."""

    def forward(self, feature):
        return feature.view(-1, 1, 115, 80) / 2


class Open(Listener):
    """A listener whose only layer is its input."""

    input_shape = (1, 115, 80)
    shapes = {"input": (1, 115, 80)}
    provenance: dict = {}

    def features(self, x, layers):
        return {"input": x}


def opened(name, network):
    return Opened(name, network, Open(), {"input": Halved()}, front_end_of(network))


@pytest.fixture(scope="module")
def networks():
    """Two detectors; the second one hears on another scale, and each says yes to about a half of the excerpts."""
    first, second = copy.deepcopy(tiny.detector()), copy.deepcopy(tiny.detector())
    with torch.no_grad():
        second.layers["conv1"][0].weight.neg_()
        second.standardizer = Standardizer.fit([2 * song + 1 for song in tiny.songs().log_mels])
        x = tiny.bank(count=3).gather(torch.arange(57))
        for each in (first, second):
            each.threshold = float(torch.sigmoid(answers(each, x, first.standardizer)).median())
    return first, second


@pytest.fixture(scope="module")
def measured(networks):
    bank, (first, second) = tiny.bank(count=3), networks
    listeners = [opened("detector", first), opened("recurrent detector", second)]
    judges = {"detector": first, "recurrent detector": second}
    found = study.measure(listeners, judges, bank, mean_excerpt(tiny.bank(seed=1)), PLAN)
    return json.loads(json.dumps(as_json(found), allow_nan=False))


def test_the_error_is_the_nre_of_the_library(measured):
    bank = tiny.bank(count=3)
    score = evaluate_inverters(Open(), {"input": Halved()}, bank, PLAN, train=tiny.bank(seed=1))["input"]
    assert study.nre_of(measured, "detector", "input").value == pytest.approx(score.nre, rel=1e-4)
    assert study.nre_of(measured, study.BLIND, "").value == pytest.approx(score.mean_predictor, rel=1e-4)
    assert measured["listeners"]["detector"]["input"]["cells"] == 115 * 80


def test_a_listener_hears_and_paints_on_its_own_scale(networks):
    """Half of an excerpt on the second one's scale is not half of it on the first one's."""
    bank, (first, second) = tiny.bank(count=3), networks
    listeners, plan = [opened("detector", first), opened("recurrent detector", second)], EvaluationPlan(1, 4)
    found = study.measure(listeners, {"second": second}, bank, mean_excerpt(bank), plan)
    x = bank.cut(evaluation_sets(bank, plan)[0])
    painted = second.standardizer(first.standardizer.inverse(x[:, 0])) / 2
    back = first.standardizer(second.standardizer.inverse(painted))[:, None]
    assert not torch.allclose(back, x / 2, atol=0.05)
    kept = decisions_kept(second, *(answers(second, each, first.standardizer) for each in (x, back)))
    entry = found["listeners"]["recurrent detector"]["input"]
    np.testing.assert_allclose(entry["second kept"], kept.reshape(3, 4).mean(1))


def test_chance_is_the_inversion_of_the_next_song(networks):
    bank, (first, _) = tiny.bank(count=3), networks
    plan = EvaluationPlan(1, 4)
    found = study.measure([opened("detector", first)], {"detector": first}, bank, mean_excerpt(bank), plan)
    x = bank.cut(evaluation_sets(bank, plan)[0])
    before, after = answers(first, x), answers(first, x / 2)
    shuffled = torch.cat([after[4:], after[:4]])
    entry = found["listeners"]["detector"]["input"]
    np.testing.assert_allclose(
        entry["detector chance kept"], decisions_kept(first, before, shuffled).reshape(3, 4).mean(1)
    )
    by_hand = np.corrcoef(before.numpy(), shuffled.numpy())[0, 1]
    chance = study.correlation_of(found, "detector", "input", "detector", chance=True)
    assert chance.value == pytest.approx(by_hand, abs=1e-4)


def test_in_a_single_song_chance_is_the_next_excerpt():
    assert study.next_song(torch.arange(4), 1).tolist() == [1, 2, 3, 0]
    assert study.next_song(torch.arange(4), 2).tolist() == [2, 3, 0, 1]


def of(error, kept=(0.5, 0.5, 0.5), onsets=(0.5, 0.5, 0.5)):
    entry = {"error": error, "onsets": list(onsets)}
    for judge in study.COMPARED[:2]:
        entry |= {f"{judge} kept": list(kept), f"{judge} chance kept": [0.5, 0.5, 0.5]}
    return entry


def test_expectations_hold_fail_or_stay_open():
    much, little = [0.9, 0.8, 0.9], [0.5, 0.6, 0.5]
    layers = {
        "detector": {"mp6": of([0.5, 0.5, 0.5]), "fc8": of(much, kept=(0.9, 0.9, 0.8))},
        "untrained detector": {"mp6": of([0.5, 0.52, 0.5]), "fc8": of(little)},
        "recurrent detector": {"lstm3": of(little, onsets=(0.4, 0.6, 0.5)), "centre": of(much, kept=(0.4, 0.3, 0.4))},
    }
    found = [each.outcome({"listeners": layers}) for each in study.EXPECTATIONS]
    assert found == ["holds", "holds", "holds", "fails", "holds", "open"]
    # No difference at all is not more.
    layers["recurrent detector"]["centre"] = of(much)
    assert study.EXPECTATIONS[3].outcome({"listeners": layers}) == "fails"
    # Where the trained one has inverters that learned alike, these are compared with.
    layers[study.PLAIN] = {"mp6": of([0.9, 0.9, 0.9]), "fc8": of([0.6, 0.5, 0.5])}
    found = [each.outcome({"listeners": layers}) for each in study.EXPECTATIONS[:2]]
    assert found == ["fails", "open"]


def test_how_inverters_learned_adds_up():
    plan = {"epochs": 8, "steps_per_epoch": 100, "batch_size": 16}
    first = {"plan": plan, "objective": "input"}
    second = {"plan": plan, "objective": "balanced", "lambda_feature": 3.0, "start": first}
    inverter = Halved()
    inverter.provenance = second
    learned = {"objective": "balanced", "lambda_feature": 3.0, "updates": [800, 800], "batch_size": 16}
    assert study.training_of({"input": inverter}) == {"input": learned}


@pytest.mark.slow
def test_the_program_measures_the_packaged_listeners(tmp_path, monkeypatch, capsys):
    out = tmp_path / "ears.json"
    stand_ins.write_listeners(tmp_path)
    monkeypatch.setattr(listeners, "PACKAGED", tmp_path)
    options = ["--corpus", "synthetic:songs=3,seconds=5", "--sets", "1", "--per-song", "2", "--device", "cpu"]
    assert study.main([*options, "--others", "synthetic-b:songs=3,seconds=5", "--out", str(out)]) == 0
    result, table = json.loads(out.read_text()), capsys.readouterr().out
    assert [each["songs"] for each in result["corpora"].values()] == [1, 3]
    assert "second detector kept" in table and all(each.says in table for each in study.EXPECTATIONS)
    assert list(result["training"]) == list(study.COMPARED)


STORED = load_results("other_ears")


def test_the_stored_study_holds_every_listener():
    assert [name.partition(":")[0] for name in STORED["corpora"]] == ["synthetic", "synthetic-c", "folder"]
    for measured in STORED["corpora"].values():
        assert list(measured["listeners"]) == [*study.COMPARED, study.PLAIN]
        for layers in measured["listeners"].values():
            for entry in layers.values():
                assert len(entry["error"]) == measured["songs"]
                assert all(0 <= share <= 1 for share in entry["detector kept"])
