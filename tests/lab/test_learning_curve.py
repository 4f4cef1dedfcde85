"""The study that watches real songs while a detector learns."""

import json

import pytest

from svdlib.detector.training import DetectorPlan
from svdlib.errors import TrainingError
from svdlib.lab.figures.training import figure_learning_curve
from svdlib.lab.studies import learning_curve
from svdlib.zoo.profiles import DETECTOR_PROFILES

SYNTHETIC = "synthetic:songs=3,seconds=5,seed=3"
WATCHED = "synthetic-c:songs=3,seconds=5,seed=4"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    folder = tmp_path_factory.mktemp("curve")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DETECTOR_PROFILES, "demo", DetectorPlan(epochs=3, steps_per_epoch=1, batch_size=2))

        def run(**options):
            options = {"folder": folder, "out": folder / "out.json", "profile": "demo", "device": "cpu"} | options
            return learning_curve.study(SYNTHETIC, real=WATCHED, **options)

        yield folder, run, run(seeds=(0, 1))


def test_each_epoch_is_measured_on_songs_by_which_nothing_is_chosen(trained):
    folder, _, result = trained
    assert json.loads((folder / "out.json").read_text()) == result
    assert learning_curve.updates_of(result) == [1, 2, 3]
    assert [each["seed"] for each in result["trainings"]] == [0, 1]
    first, second = (each["curve"] for each in result["trainings"])
    assert all(len(first[name]) == 3 for name in learning_curve.CURVES)
    assert first != second and result["identity"]["real"]["songs"] == [f"synthetic-c-4-0000{n}" for n in range(3)]


def test_it_goes_on_with_the_seeds_that_are_lacking(trained, monkeypatch):
    folder, run, result = trained
    with pytest.raises(TrainingError, match="holds results"):
        run()
    (folder / "out.json").write_text(json.dumps(result | {"trainings": result["trainings"][:1]}))
    assert run(seeds=(0, 1), resume=True)["trainings"] == result["trainings"], "found in the folder of its run"
    monkeypatch.setattr(learning_curve, "train_detector", None)
    assert run(seeds=(0, 1), resume=True)["trainings"] == result["trainings"], "found in the results"


def curves(*means):
    plan = {"epochs": 6, "steps_per_epoch": 100}
    empty = dict.fromkeys(learning_curve.CURVES)
    trainings = [{"seed": n, "kept_epoch": 5, "curve": empty | {"watched_mean_auc": m}} for n, m in enumerate(means)]
    return {"identity": {"plan": plan, "real": {"corpus": "folder:songs"}}, "trainings": trainings}


def test_the_last_third_is_held_against_the_third_before():
    found = curves([0.1, 0.2, 0.5, 0.7, 0.8, 0.8], None, [0.5, None, 0.5, 0.5, 0.5, 0.5], [0.5, 0.6])
    assert learning_curve.late_gains(found) == [pytest.approx(0.2)]


def test_the_table_marks_the_epoch_that_was_chosen():
    text = learning_curve.describe(curves([0.1, 0.2, 0.5, 0.7, 0.8, 0.9], None))
    assert [line.split()[:3] for line in text.splitlines() if line.endswith("*")] == [["0", "500", "0.800"],
                                                                                       ["1", "500", "-"]]  # fmt: skip


def test_the_figure_has_a_line_per_score_and_training():
    known = {"watched_mean_auc": [0.6, 0.8], "watched_accuracy": [0.5, 0.7]}
    (axes,) = figure_learning_curve([10, 20], [known, {"watched_mean_auc": [0.5, 0.6], "watched_accuracy": None}]).axes
    assert [list(line.get_ydata()) for line in axes.lines] == [[0.6, 0.8], [0.5, 0.7], [0.5, 0.6]]
    assert [line.get_label() for line in axes.lines][:2] == ["mean AUC of songs", "accuracy"]


def test_mistakes_on_the_command_line_are_one_sentence(capsys, tmp_path):
    assert learning_curve.main(["--real", f"folder:{tmp_path / 'nowhere'}", "--folder", str(tmp_path)]) == 2
    assert "there is no such folder" in capsys.readouterr().err
