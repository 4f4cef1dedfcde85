"""The ablation of the inverters: what is scored, what is kept of finished parts, and its program on tiny songs."""

import json
from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from svdlib.errors import TrainingError
from svdlib.inversion.nre import EvaluationPlan, evaluate_inverters
from svdlib.inversion.plans import TrainingPlan
from svdlib.lab.analysis.intervals import mean_interval, nre_interval
from svdlib.lab.studies import inverter_ablation as ablation
from svdlib.lab.studies.inverter_ablation import Configuration, Material
from svdlib.zoo.families import VARIANTS, build_inverter

PLAN = TrainingPlan(epochs=2, batch_size=2, steps_per_epoch=2, validation_excerpts=4)
EVALUATION = EvaluationPlan(sets=2, per_song=3)


@pytest.fixture
def material():
    return Material(tiny.detector(), tiny.bank(1), tiny.bank(2), {"some": tiny.bank(3, count=3), "one": tiny.bank(4)})


def run(configuration, material, folder, resume=False, plan=PLAN):
    return ablation.run_configuration(configuration, material, plan, EVALUATION, ("mp6", "fc8"), folder, resume)


def test_without_its_elu_a_published_inverter_paints_below_minus_one():
    for layer in VARIANTS["published"]:
        bounded, free = build_inverter(layer), build_inverter(layer, "published-linear")
        feature = torch.randn(2, *bounded.spec.feature_shape)
        assert bounded.train()(feature).min() >= -1 > 2 * free.train()(5 * feature).min()
        assert [type(each) for each in free.stages.values()] == [type(each) for each in bounded.stages.values()]


def test_scores_are_those_of_the_evaluation(material):
    inverters = {"mp6": build_inverter("mp6").eval()}
    found = ablation.score(material.detector, inverters, material.scored, EVALUATION)["mp6"]
    for corpus, bank in material.scored.items():
        expected = evaluate_inverters(material.detector, inverters, bank, EVALUATION)["mp6"].nre
        assert found[corpus]["nre"] == pytest.approx(expected, rel=1e-6)
        assert len(found[corpus]["per_song"]) == len(bank.song_lengths)
        assert sum(found[corpus]["per_song"]) / len(bank.song_lengths) == pytest.approx(expected, rel=1e-6)


def test_best_and_last_epoch_differ_only_where_the_last_is_not_the_best(material, tmp_path, monkeypatch):
    losses = iter([{"mp6": 3.0, "fc8": 3.0}, {"mp6": 1.0, "fc8": 2.0}, {"mp6": 2.0, "fc8": 1.0}])
    monkeypatch.setattr("svdlib.inversion.training._Run._validate", lambda run: next(losses))
    result = run(Configuration("joint"), material, tmp_path, plan=replace(PLAN, epochs=3))["layers"]
    assert {layer: found["kept_epoch"] for layer, found in result.items()} == {"mp6": 2, "fc8": 3}
    assert result["mp6"]["best"] != result["mp6"]["last"] and result["fc8"]["best"] == result["fc8"]["last"]


def test_what_is_finished_is_read_and_not_trained_again(material, tmp_path, monkeypatch):
    first = run(Configuration("released", objective="released"), material, tmp_path)
    monkeypatch.setattr(ablation, "fit_inverters", None)
    assert run(Configuration("released", objective="released"), material, tmp_path, resume=True) == first
    with pytest.raises(TrainingError, match="holds an earlier run"):
        run(Configuration("released", objective="released"), material, tmp_path)
    with pytest.raises(TrainingError, match="belongs to another run"):
        run(Configuration("released"), material, tmp_path, resume=True)


def test_the_program_scores_every_configuration(tmp_path, capsys):
    corpus = "synthetic:songs=3,seconds=5,seed=3"
    options = ["--corpus", corpus, "--real", corpus, "--folder", str(tmp_path / "runs"), "--device", "cpu"]
    out, all_layers, asked = tmp_path / "found.json", ablation.run_configuration, []

    def one_layer(configuration, material, plan, evaluation, layers, *place):
        asked.append((evaluation, layers))
        return all_layers(configuration, material, plan, EvaluationPlan(sets=1, per_song=2), layers[-1:], *place)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ablation, "BASE_PLAN", replace(PLAN, epochs=1, steps_per_epoch=1))
        patch.setattr(ablation, "run_configuration", one_layer)
        assert ablation.main([*options, "--epochs", "1", "--steps-per-epoch", "1", "--out", str(out)]) == 0
    result, table = json.loads(out.read_text()), capsys.readouterr().out
    assert [each["name"] for each in result["configurations"]] == [each.name for each in ablation.CONFIGURATIONS]
    assert asked == [(ablation.EVALUATION, ablation.LAYERS)] * len(ablation.CONFIGURATIONS)
    for each in result["configurations"]:
        assert each["name"] in table and list(each["layers"]) == [ablation.LAYERS[-1]]
    assert str(tmp_path) not in out.read_text()


def test_the_nre_for_the_figure_has_its_yardstick_drawn_anew():
    hard = np.array([0.6, 0.65, 0.7, 0.75, 0.8])
    layers = {"fc8": {"best": {"real songs": {"nre": 0.7, "per_song": hard.tolist()}}}}
    result = {"configurations": [{"name": "joint", "layers": layers}]}
    apart = 1 + hard[:, None] + hard - np.eye(5) * (1 + 2 * hard)
    found = ablation.nre_of(result, "joint", "real songs", apart)["fc8"]
    assert ablation.corpora_of(result) == ["real songs"]
    assert found.value == pytest.approx(0.7)
    assert found.ends == nre_interval(hard, apart).ends != mean_interval(hard).ends
