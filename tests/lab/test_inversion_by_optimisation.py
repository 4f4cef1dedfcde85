"""The study of inversion by optimisation: its measures on known cases, its program, and what its results must say."""

import json

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from svdlib.detector.model import LAYERS
from svdlib.detector.optimisation import PLANS
from svdlib.errors import CorpusError
from svdlib.inversion.nre import EvaluationPlan, evaluation_sets, nre
from svdlib.inversion.optimisation import OptimisationPlan
from svdlib.lab.studies import inversion_by_optimisation as optimisation
from svdlib.lab.studies import load_results
from svdlib.lab.studies import regulariser_weights as weights


class Painter(nn.Module):
    """Paints the same picture whatever the feature."""

    def __init__(self, picture):
        super().__init__()
        self.picture, self.layer = picture, "conv1"

    def forward(self, feature):
        return self.picture.expand(len(feature), 1, 115, 80)


@pytest.fixture(scope="module")
def found():
    detector = tiny.SVDNet().eval()
    detector.load_state_dict(tiny.detector().state_dict())
    detector.threshold = 0.5
    families = {"published": {"conv1": Painter(torch.zeros(1))}, "aligned": {"conv1": Painter(torch.ones(1))}}
    plans = {"conv1": OptimisationPlan(5, variation_weight=0.5)}
    bank = tiny.bank(count=3)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(optimisation, "LANCZOS_STEPS", 3)
        patch.setattr(optimisation, "PATIENT_PASSES", 2)
        patch.setattr(optimisation, "PATIENT_EXCERPTS", 1)
        return bank, optimisation.measure(detector, families, bank, 2, plans)


def test_each_way_gets_its_own_numbers(found):
    bank, result = found
    ways = result["layers"]["conv1"]
    (starts,) = evaluation_sets(bank, EvaluationPlan(1, 2))
    x = bank.cut(starts)
    for family, level in (("published", 0), ("aligned", 1)):
        assert ways[family]["nre"]["mean"] == pytest.approx(nre(x, torch.full_like(x, level)), rel=1e-5)
        assert result["times"]["conv1"]["optimised"][family] > 0
    assert ways["optimised"]["feature_error"]["mean"] < ways["regularised"]["feature_error"]["mean"]
    assert ways["optimised"]["feature_error"]["mean"] < ways["published"]["feature_error"]["mean"]
    changes = {way: values["distance, change in time"]["mean"] for way, values in ways.items()}
    assert changes["published"] > 10, "a flat picture is no excerpt"
    assert result["originals"]["distance, all"]["mean"] == pytest.approx(1, abs=0.5)
    smallest, largest = (result["singular_values"]["conv1"][end] for end in ("smallest", "largest"))
    assert len(smallest) == 2 and all(0 < low < high for low, high in zip(smallest, largest, strict=True))
    assert len(result["patient"]["conv1"]["nre"]) == 1
    for values in ways.values():
        assert {len(each["per_song"]) for each in values.values()} == {3}
        assert all(
            each["ci95"][0] <= each["mean"] + 1e-9 and each["mean"] <= each["ci95"][1] + 1e-9
            for each in values.values()
        )


def test_one_song_cannot_be_judged_by_others(found):
    with pytest.raises(CorpusError, match="two songs"):
        optimisation.measure(tiny.detector(), {"published": {}}, tiny.bank(), 2, {})


def test_patient_descents_say_where_they_end():
    x = torch.randn(2, 1, 6, 5, generator=torch.Generator().manual_seed(0))
    told = optimisation.patient_descents(lambda z: 2 * z, x, 2.0, 30)
    assert max(told["nre"] + told["feature_error"] + told["between_starts"]) < 1e-4
    starts = [torch.randn(1, 1, 6, 5, generator=torch.Generator().manual_seed(seed)) for seed in (0, 1)]
    half = optimisation.patient_descents(lambda z: z[:, :, :3], x, 2.0, 30)  # of the rest nothing is known
    expected = float((starts[0] - starts[1])[:, :, 3:].norm()) / 2
    assert half["between_starts"] == pytest.approx([expected, expected], rel=1e-3)
    assert half["nre"][0] == pytest.approx(max(float((x[:1] - s)[:, :, 3:].norm()) for s in starts) / 2, rel=1e-3)
    assert max(half["feature_error"]) < 1e-4


def test_the_programs_run_on_a_small_corpus(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(optimisation, "PLANS", {"fc8": OptimisationPlan(2)})
    monkeypatch.setattr(optimisation, "REFERENCE_PER_SONG", 3)
    monkeypatch.setattr(weights, "VARIATION_WEIGHTS", (0.0, 0.1))
    monkeypatch.setattr(weights, "ALPHA_WEIGHTS", (0.0, 1e-6))
    corpus, out = "synthetic-b:songs=3,seconds=5,seed=3", tmp_path / "found.json"
    common = ["--layers", "fc8", "--device", "cpu", "--out", str(out)]
    assert optimisation.main(["--corpus", corpus, "--per-song", "1", *common]) == 0
    result = json.loads(out.read_text())["corpora"][corpus]
    assert result["split"] == "all" and set(result["layers"]["fc8"]) == {
        "optimised",
        "regularised",
        "published",
        "aligned",
    }
    assert weights.main(["--corpus", "synthetic:songs=12,seconds=5", "--passes", "2", *common]) == 0
    tried = json.loads(out.read_text())["layers"]["fc8"]["tried"]
    assert [each["alpha_weight"] for each in tried] == [0, 0, 1e-6]
    assert "answer kept" in capsys.readouterr().out


def test_the_weights_rule():
    tried = [
        {"nre": 0.1, "feature_error": 0.9}, {"nre": 0.3, "feature_error": 0.2}, {"nre": 0.5, "feature_error": 0.1},
    ]  # fmt: skip
    assert weights.best_of(tried, 0.5) == tried[1]
    assert weights.best_of(tried, 0.05) == tried[2]


def test_the_plans_are_those_that_were_chosen():
    stored = load_results("regulariser_weights")
    for layer, plan in PLANS.items():
        chosen = stored["layers"][layer]["chosen"]
        assert (plan.variation_weight, plan.alpha_weight) == (chosen["variation_weight"], chosen["alpha_weight"])


@pytest.mark.parametrize("layer", LAYERS)
def test_optimisation_has_a_lower_feature_error_than_the_trained_inverters_at_every_layer(layer):
    stored = load_results("inversion_by_optimisation")
    assert len(stored["corpora"]) == 2
    for result in stored["corpora"].values():
        ways = result["layers"][layer]
        for way in optimisation.OPTIMISED:
            for family in ("published", "aligned"):
                own, trained = (np.array(ways[name]["feature_error"]["per_song"]) for name in (way, family))
                assert own.mean() < trained.mean() and (own < trained).mean() > 0.8, (way, family)
