"""The recipes behind the command line, on a tiny corpus."""

import math
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import tiny
import torch

from svdlib import recipes
from svdlib.compute.run_state import RunOptions
from svdlib.detector.prediction import predict_averaged
from svdlib.detector.scores import smooth
from svdlib.detector.training import DetectorPlan
from svdlib.errors import InputError, PlanError, TrainingError, WeightsError
from svdlib.inversion.nre import EvaluationPlan
from svdlib.inversion.plans import TrainingPlan
from svdlib.paper.scores import published_auc
from svdlib.paper.training import PublishedPlan
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import frame_labels
from svdlib.zoo.checkpoints import load_detector, load_inverter
from svdlib.zoo.profiles import DETECTOR_PROFILES, PROFILES

CORPUS = "synthetic:songs=3,seconds=8,seed=3"


@pytest.fixture
def tiny_profile(monkeypatch):
    monkeypatch.setitem(DETECTOR_PROFILES, "demo", DetectorPlan(epochs=2, steps_per_epoch=1, batch_size=2))
    plan = TrainingPlan(epochs=1, batch_size=2, steps_per_epoch=1, validation_excerpts=2)
    monkeypatch.setitem(PROFILES, "demo", plan)


def test_trained_weights_carry_what_they_come_from(tmp_path, tiny_profile):
    options = RunOptions(seed=4, folder=tmp_path / "detector")
    path = recipes.train_detector(CORPUS, profile="demo", options=options)
    provenance = load_detector(path).provenance
    assert (provenance["corpus"], provenance["songs"], provenance["seed"]) == (CORPUS, 3, 4)
    assert provenance["plan"]["epochs"] == 2
    assert set(provenance["versions"]) == {"svdlib", "torch", "numpy", "python"}
    paths = recipes.train_inverters(
        CORPUS, profile="demo", layers=("fc8",), detector=path, options=RunOptions(folder=tmp_path / "inverters")
    )
    inverter = load_inverter(paths["fc8"], "fc8")
    assert inverter.provenance["detector"] == provenance
    assert inverter.provenance["best_epoch"] == 1
    scores = recipes.evaluate_nre(
        CORPUS,
        layers=("fc8",),
        weights=tmp_path / "inverters",
        detector=path,
        device="cpu",
        plan=EvaluationPlan(sets=2, per_song=3),
    )
    assert scores["fc8"]["nre"] > 0
    assert all(math.isnan(bound) for bound in scores["fc8"]["ci95"])  # one test song tells nothing of others
    with pytest.raises(WeightsError, match="fc8 was trained for another detector"):
        recipes.evaluate_nre(CORPUS, layers=("fc8",), weights=tmp_path / "inverters", device="cpu")


def renamed(folder, to):
    """A folder of the same songs under another name."""
    (folder.parent / to).symlink_to(folder, target_is_directory=True)
    return f"folder:{folder.parent / to}"


@pytest.mark.parametrize("finished", [True, False])
@pytest.mark.parametrize("what", ["detector", "inverters"])
def test_a_run_is_not_gone_on_with_under_another_name_of_its_songs(tmp_path, song_folder, tiny_profile, finished, what):
    folder = song_folder()
    train = recipes.train_detector if what == "detector" else partial(recipes.train_inverters, layers=("fc8",))
    options = RunOptions(folder=tmp_path / "run", minutes=math.inf if finished else 0)
    train(f"folder:{folder}", options=options)
    before = contents(tmp_path / "run")
    with pytest.raises(TrainingError, match="state.npz belongs to another run: corpus differ"):
        train(renamed(folder, "others"), options=replace(options, resume=True))
    assert contents(tmp_path / "run") == before and len(before) == 1 + finished


@pytest.mark.parametrize("what", ["detector", "inverters"])
def test_resuming_a_finished_run_leaves_its_weights_with_their_provenance(tmp_path, tiny_profile, monkeypatch, what):
    train = recipes.train_detector if what == "detector" else partial(recipes.train_inverters, layers=("fc8",))
    options = RunOptions(folder=tmp_path, resume=True)
    train(CORPUS, options=options)
    before = contents(tmp_path)
    monkeypatch.setattr(recipes, "__version__", "of another day")
    train(CORPUS, options=options)
    assert contents(tmp_path) == before
    (weights,) = tmp_path.glob("*.safetensors")
    weights.unlink()
    train(CORPUS, options=options)
    assert b"of another day" in weights.read_bytes()


def contents(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if not path.name.startswith(".")}


def test_the_provenance_of_a_released_run_tells_its_own_rules(tmp_path, tiny_profile):
    options = RunOptions(precision="auto", folder=tmp_path)
    paths = recipes.train_inverters(CORPUS, layers=("fc8",), objective="released", options=options)
    provenance = load_inverter(paths["fc8"], "fc8").provenance
    assert provenance["objective"] == "released" and provenance["precision"] == "float32"
    assert (provenance["plan"]["schedule"], provenance["plan"]["keep"]) == ("truncated", "last")
    assert provenance["kept_epoch"] == 1


def test_songs_are_standardised_as_the_detector_was_trained_or_by_themselves():
    detector = tiny.detector()
    songs = tiny.songs(seed=2, count=2, level=5.0)
    own = recipes.bank_of(songs, detector, standardise="own").frames
    assert own.mean(0).abs().max() < 1e-4 and (own.std(0, correction=0) - 1).abs().max() < 1e-4
    training = recipes.bank_of(songs, detector).frames
    expected = detector.standardizer(torch.tensor(np.concatenate(songs.log_mels)))
    torch.testing.assert_close(training, expected)
    assert training.mean() > 4
    with pytest.raises(InputError, match="'none'.*training, own"):
        recipes.bank_of(songs, detector, standardise="none")


def test_nre_says_how_the_songs_were_standardised_and_differs():
    options = {"layers": ("conv1",), "device": "cpu", "plan": EvaluationPlan(sets=1, per_song=2)}
    scores = {name: recipes.evaluate_nre(CORPUS, standardise=name, **options)["conv1"] for name in ("training", "own")}
    assert {name: score["standardised"] for name, score in scores.items()} == {"training": "training", "own": "own"}
    assert scores["training"] == recipes.evaluate_nre(CORPUS, **options)["conv1"] | {
        "ci95": scores["training"]["ci95"]  # not a number: one song
    }
    assert scores["own"]["nre"] != scores["training"]["nre"]
    with pytest.raises(InputError, match="'none'.*training, own"):
        recipes.evaluate_nre(CORPUS, standardise="none", **options)


def test_training_and_scoring_as_published(tmp_path, monkeypatch):
    plan = PublishedPlan(epochs=2, steps_per_epoch=1, batch_size=2)
    monkeypatch.setitem(DETECTOR_PROFILES, "published", plan)
    path = recipes.train_detector(CORPUS, profile="published", options=RunOptions(folder=tmp_path))
    provenance = load_detector(path).provenance
    assert provenance["plan"]["augmentation"]["pitch"] == 0.3 and provenance["plan"]["momentum"] == 0.95
    assert provenance["profile"] == "published" and provenance["best_epoch"] == 2
    scores = recipes.evaluate_detector(CORPUS, detector=path, device="cpu", average_pitch=True, auc="published")
    track = open_corpus(CORPUS).split("test")[0]
    curve = smooth(predict_averaged(load_detector(path), track.load()))
    label = frame_labels(track.segments, len(curve))
    assert scores["auc"] == pytest.approx(published_auc(curve, label))
    assert scores["accuracy"] == pytest.approx(np.mean((curve > provenance["threshold"]) == label))


def test_no_weights_are_written_when_the_time_runs_out(tmp_path, tiny_profile):
    done = recipes.train_detector(CORPUS, profile="demo", options=RunOptions(folder=tmp_path, minutes=0))
    assert done is None
    assert not list(tmp_path.glob("*.safetensors"))


def test_detector_scores_have_the_form_of_the_command_line():
    scores = recipes.evaluate_detector(CORPUS, device="cpu")
    assert set(scores) == {"auc", "accuracy", "threshold", "per_song"}
    (song,) = scores["per_song"].values()
    assert set(song) == {"auc", "accuracy"}
    assert 0 <= scores["accuracy"] <= 1
    assert math.isclose(scores["accuracy"], song["accuracy"])


def test_an_unknown_profile_is_named():
    with pytest.raises(PlanError, match="'huge'.*demo"):
        recipes.train_detector(CORPUS, profile="huge")


def test_an_unknown_rule_for_the_auc_is_named():
    with pytest.raises(InputError, match="'exakt'.*exact, published"):
        recipes.evaluate_detector(CORPUS, auc="exakt")


def test_a_plan_is_shortened_to_a_small_corpus():
    plan = TrainingPlan(batch_size=16, steps_per_epoch=20)
    assert recipes.fit_to_corpus(plan, 45) == TrainingPlan(batch_size=16, steps_per_epoch=2)
    assert recipes.fit_to_corpus(plan, 9) == TrainingPlan(batch_size=9, steps_per_epoch=1)
    assert recipes.fit_to_corpus(plan, 10_000) == plan
    assert recipes.fit_to_corpus(TrainingPlan(), 10_000) == TrainingPlan()


def test_a_run_without_a_folder_for_its_weights_is_refused():
    with pytest.raises(PlanError, match="needs a folder"):
        recipes.train_detector(CORPUS, options=RunOptions())


def test_provenance_tells_no_private_path():
    assert recipes.make_provenance("folder:/home/me/my_songs", 5, 0, "demo", "cpu")["corpus"] == "folder:my_songs"


def test_outside_of_a_checkout_no_commit_is_told(monkeypatch, tmp_path):
    monkeypatch.setattr(recipes, "__file__", str(tmp_path / "svdlib" / "recipes.py"))
    assert recipes.make_provenance("synthetic", 5, 0, "demo", "cpu")["commit"] == "released"
