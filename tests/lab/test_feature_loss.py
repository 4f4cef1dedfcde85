"""The study of the feature loss: which trainings there are, what it measures, and how it goes on."""

import json
from dataclasses import asdict, replace
from types import MappingProxyType

import numpy as np
import pytest
import tiny
import torch

from svdlib.errors import TrainingError
from svdlib.inversion.plans import TrainingPlan
from svdlib.lab.studies import as_json, feature_loss
from svdlib.lab.studies.feature_loss import (
    OWN,
    SUMS,
    Configuration,
    Material,
    as_share,
    configurations,
    control_of,
    cost_of,
    draw_with_room,
    find,
    kept_of,
    measure,
    pack_picture,
    unpack_picture,
)
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.families import build_inverter

PLAN = TrainingPlan(epochs=1, batch_size=2, steps_per_epoch=1, validation_excerpts=2)
CORPUS = "synthetic:songs=4,seconds=8,seed=3"
WANTED = (Configuration("fc8", 0.0, objective="input"), Configuration("fc8", 1.0, ("mp3", OWN), random=True))


def test_every_training_stands_there_once_and_has_its_control():
    wanted = configurations()
    assert len(set(wanted)) == len(wanted)
    controls = {(each.layer, each.seed) for each in wanted if each.objective == "input"}
    assert {(each.layer, each.seed) for each in wanted} == controls
    assert {each.weight for each in wanted if each.objective == "joint"} == {SUMS}


def test_kinds_tell_apart_what_seeds_and_layers_do_not():
    wanted = [each for each in configurations() if each.layer == "fc8" and each.seed == 0]
    assert len({each.kind for each in wanted}) == len(wanted)
    assert Configuration("fc7", 6.0, ("conv5", OWN), moved=True).kind == "Conv5 and itself, moved, 6"


def test_a_picture_comes_back_to_within_half_a_step():
    picture = 3 * torch.randn(115, 80, generator=torch.Generator().manual_seed(0))
    low, high = feature_loss.PICTURE_RANGE
    back = unpack_picture(pack_picture(picture))
    assert back.shape == (115, 80) and (back - picture.clamp(low, high)).abs().max() <= (high - low) / 255 / 2 + 1e-6


def test_the_weight_of_the_sums_is_the_ratio_of_their_cells():
    x = torch.zeros(1, 1, 115, 80)
    with torch.no_grad():
        theta = tiny.detector().features(x, ("conv5",))["conv5"]
    assert theta.numel() / x.numel() == SUMS


def test_excerpts_have_room_for_the_largest_shift():
    bank = tiny.bank(0, count=3, frames=124)
    starts, songs = draw_with_room(bank, 12)
    assert list(np.bincount(songs)) == [4, 4, 4]
    assert all(bank.song_offsets[song] == start for start, song in zip(starts.tolist(), songs, strict=True))


def of(bank, judges=MappingProxyType({})):
    return Material(tiny.detector(), judges, {}, bank, bank, {"some": bank}, bank.gather(bank.spread(2)))


def test_material_is_the_same_where_a_processor_rounds_otherwise():
    bank, rounded, other = (tiny.bank(0, count=count) for count in (2, 2, 3))
    rounded.frames.mul_(1 + 1e-6)
    assert of(bank).digest() == of(rounded).digest() != of(other).digest()


def test_a_perfect_inverter_keeps_everything():
    """What it paints is the excerpt itself: it moves with the sound, and every detector answers to it."""

    class Remembers(torch.nn.Module):
        def forward(self, feature):
            return originals.pop(0)

    bank = tiny.bank(3, count=3)
    material = of(bank, {"detector 2": untrained_like(tiny.detector(), 1)})
    starts, _ = draw_with_room(bank, 9)
    originals = [x for shift in (0, *feature_loss.SHIFTS) for x in bank.cut(starts + shift).split(16)]
    found = measure("fc8", Remembers(), material, bank, 9)
    assert found["nre"]["value"] == 0 and all(each["value"] == 0 for each in found["features"].values())
    assert all(found["judges"][name]["kept"]["value"] == 1 for name in ("detector", "detector 2"))
    assert all(each["value"] == pytest.approx(1, abs=0.15) for each in found["texture"]["moves"].values())
    assert all(each["value"] < 0.3 for each in found["texture"]["stays"].values())
    assert found["onset_match"]["value"] == pytest.approx(1) and found["harmonic_match"]["value"] == pytest.approx(1)


def test_numbers_of_the_same_inversions_by_another_way():
    bank = tiny.bank(4, count=2)
    material = of(bank)
    inverter = build_inverter("fc8", "aligned").eval()
    found = measure("fc8", inverter, material, bank, 8)
    starts, _ = draw_with_room(bank, 8)
    x = bank.cut(starts)
    with torch.no_grad():
        x_hat = inverter(tiny.detector().features(x, ("fc8",))["fc8"])
        before, after = tiny.detector()(x), tiny.detector()(x_hat)
    flat, flat_hat = x.flatten(1).double().numpy(), x_hat.flatten(1).double().numpy()
    between = [np.linalg.norm(a - b) for i, a in enumerate(flat) for b in flat[:i]]
    assert found["nre"]["value"] == pytest.approx(np.linalg.norm(flat - flat_hat, axis=1).mean() / np.mean(between))
    expected = np.corrcoef(before[:, 0], after[:, 0])[0, 1]
    assert found["judges"]["detector"]["correlation"]["value"] == pytest.approx(expected, abs=1e-4)


def run(folder, out, **options):
    chosen = {"real": CORPUS, "plan": PLAN, "excerpts": 4, "wanted": WANTED, "device": "cpu"} | options
    return feature_loss.study(CORPUS, folder=folder, out=out, **chosen)


def test_results_are_written_as_they_come_and_gone_on_with(tmp_path, monkeypatch):
    out = tmp_path / "found.json"
    first = run(tmp_path / "one", out, wanted=WANTED[:1])
    assert json.loads(out.read_text()) == first and len(first["trainings"]) == 1
    with pytest.raises(TrainingError, match="holds results"):
        run(tmp_path / "two", out)
    with pytest.raises(TrainingError, match="excerpts"):
        run(tmp_path / "two", out, excerpts=8, resume=True)
    both = run(tmp_path / "elsewhere", out, resume=True)
    by_share = both["trainings"][1]
    assert by_share["input_variance"] > 0 and by_share["precision"] == "float32"
    assert len(by_share["pictures"]) == len(both["originals"]) == 2
    nre = by_share["real songs"]["nre"]
    assert np.nanmean(np.array(nre["songs"], dtype=float)) == pytest.approx(nre["value"], abs=1e-5)
    assert both["trainings"][0] == first["trainings"][0] and len(both["trainings"]) == 2
    monkeypatch.setattr(feature_loss, "fit_inverters", None)
    assert run(tmp_path / "elsewhere", out, resume=True)["trainings"] == both["trainings"]


def stored(values, configuration, kept=(1.0, 0.5)):
    measured = {"nre": {"songs": values}, "judges": {"detector": {"kept": {"songs": kept}}}}
    return {"configuration": as_json(asdict(configuration)), "real songs": measured}


def test_results_are_gone_on_with_in_another_precision_and_order(tmp_path):
    """Not every machine has fast bfloat16; which trainings are wanted, and when, says nothing of the material."""
    out = tmp_path / "found.json"
    fc8, fc7 = (replace(WANTED[0], layer=layer) for layer in ("fc8", "fc7"))
    run(tmp_path / "one", out, wanted=(fc8, fc7), precision="bfloat16")
    found = run(tmp_path / "two", out, wanted=(replace(fc7, seed=1), fc7, fc8), precision="float32", resume=True)
    assert [each["precision"] for each in found["trainings"]] == ["bfloat16", "bfloat16", "float32"]


def test_a_training_is_held_against_its_own_control():
    asked = Configuration("fc8", 6.0, ("conv5", OWN), seed=2)
    control, other = control_of(asked), control_of(replace(asked, seed=1))
    result = {"trainings": [stored([0.1, 0.1], other), stored([0.5, 0.7], control), stored([0.6, 0.75], asked)]}
    assert find(result, asked) is result["trainings"][2] and find(result, replace(asked, weight=1.0)) is None
    assert cost_of(result, asked, "real songs").value == pytest.approx(1.35 / 1.2 - 1)
    assert cost_of({"trainings": result["trainings"][2:]}, asked, "real songs") is None
    assert kept_of(result["trainings"][2], "detector", "real songs").value == 0.75


def test_weights_of_means_and_of_shares_make_the_same_loss():
    training = {"input_variance": 0.8, "feature_variance": 0.02}
    of_input, of_feature, weight = 0.3, 0.005, 40.0
    as_means = of_input + weight * of_feature
    as_shares = of_input / 0.8 + as_share(weight, training) * of_feature / 0.02
    assert as_shares * 0.8 == pytest.approx(as_means)


def test_the_program_prints_a_row_for_each_layer_and_kind(tmp_path, capsys):
    with pytest.MonkeyPatch.context() as patch:
        study = feature_loss.study
        patch.setattr(feature_loss, "study", lambda *a, **b: study(*a, **b, plan=PLAN, excerpts=4, wanted=WANTED))
        options = ["--corpus", CORPUS, "--real", CORPUS, "--folder", str(tmp_path / "runs"), "--device", "cpu"]
        assert feature_loss.main([*options, "--out", str(tmp_path / "x.json")]) == 0
    table = capsys.readouterr().out
    assert table.count("fc8") == 4 and "random MP3 and itself, 1" in table and "input loss alone" in table
    assert "(1 seeds)" in table
