"""The GPU job on a CPU and a tiny corpus: the same steps, the same files."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from places import ROOT

from svdlib.detector.model import LAYERS
from svdlib.detector.training import DetectorPlan
from svdlib.errors import CorpusError, TrainingError
from svdlib.inversion.nre import LayerScore
from svdlib.inversion.plans import TrainingPlan
from svdlib.inversion.training import FittedInverters
from svdlib.lab import gpu_job
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.checkpoints import load_detector, load_inverter
from svdlib.zoo.families import build_inverter
from svdlib.zoo.profiles import DETECTOR_PROFILES, PROFILES

CORPUS = "synthetic:songs=3,seconds=8,seed=3"
TRAINED = {"published": ("fc8",), "aligned": ("conv1", "mp6", "fc8")}  # here; the job trains all eight


def few(variant, layers):
    return [layer for layer in TRAINED[variant] if layer in layers] or list(layers[:1])


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    path = tmp_path_factory.mktemp("gpu") / "log-mels.npz"
    gpu_job.prepare(CORPUS, path)
    return path


@pytest.fixture
def tiny_profile(monkeypatch):
    monkeypatch.setitem(DETECTOR_PROFILES, "full", DetectorPlan(epochs=1, steps_per_epoch=1, batch_size=2))
    plan = TrainingPlan(epochs=2, batch_size=2, steps_per_epoch=1, validation_excerpts=2)
    monkeypatch.setitem(PROFILES, "full", plan)
    fit = gpu_job.fit_inverters

    def fit_few(*material, variant, layers, **settings):
        return fit(*material, variant=variant, layers=few(variant, layers), **settings)

    monkeypatch.setattr(gpu_job, "fit_inverters", fit_few)


def test_prepared_spectrograms_are_the_corpus_to_half_a_step(data):
    songs, corpus = gpu_job.unpack(data)
    expected = load_songs(open_corpus(CORPUS).split("train"), stems=True)
    assert corpus == {"name": CORPUS, "songs": 3}
    assert list(songs["train"].names) == list(expected.names)
    for got, want in zip(songs["train"].log_mels, expected.log_mels, strict=True):
        assert np.abs(got - want).max() <= 0.5 / gpu_job.STEPS_PER_NEPER + 1e-6
    stems = zip((*songs["train"].voices, *songs["train"].bands), (*expected.voices, *expected.bands), strict=True)
    assert max(np.abs(got - want).max() for got, want in stems) <= 0.5 / gpu_job.STEM_STEPS_PER_NEPER + 1e-6
    assert songs["train"].has_stems and not songs["valid"].has_stems
    for got, want in zip(songs["train"].labels, expected.labels, strict=True):
        np.testing.assert_array_equal(got, want)


def test_an_interrupted_job_goes_on_and_is_collected(data, tmp_path, tiny_profile, capsys):
    common = ["--data", str(data), "--folder", str(tmp_path / "run"), "--device", "cpu", "--corpus", CORPUS]
    assert gpu_job.main(["train", *common, "--minutes", "0"]) == 3
    assert "again" in capsys.readouterr().out
    unfinished = (tmp_path / "run" / "detector" / "state.npz").read_bytes()
    assert gpu_job.main(["collect", *common]) == 2
    assert "not finished" in capsys.readouterr().err
    assert (tmp_path / "run" / "detector" / "state.npz").read_bytes() == unfinished
    assert gpu_job.main(["train", *common, "--minutes", "10"]) == 0
    left = sorted(path.relative_to(tmp_path / "run").as_posix() for path in (tmp_path / "run").glob("*/*"))
    runs = [f"inverters-{run.name}" for run in gpu_job.RUNS]
    assert left == sorted(f"{name}/kept.npz" for name in ("detector", *runs)), "no large state is left"
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.npz")}
    assert gpu_job.main(["train", *common, "--minutes", "0"]) == 0, "all is there already"
    assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "run").rglob("*.npz")}
    assert gpu_job.main(["train", *common, "--seed", "1"]) == 2
    assert "seed differ" in capsys.readouterr().err
    assert gpu_job.main(["collect", *common, "--out", str(tmp_path / "weights")]) == 0
    detector = load_detector(tmp_path / "weights" / "detector.safetensors")
    assert detector.provenance["corpus"] == CORPUS
    assert 0 < detector.threshold < 1
    for run, layer in (
        (each, layer) for each in gpu_job.RUNS if each.shipped for layer in few(each.variant, each.layers)
    ):
        path = tmp_path / "weights" / f"{run.variant}-{layer}.safetensors"
        inverter = load_inverter(path, layer, run.variant)
        assert len(inverter.provenance["validation_losses"]) == 2
        assert inverter.provenance["detector"] == detector.provenance
        assert inverter.provenance["device"] == "cpu" and inverter.provenance["objective"] == run.objective
        assert inverter.provenance.get("lambda_feature") == run.weight
        assert tuple(inverter.provenance.get("compare", ())) == (run.compare or ())
    table = json.loads((tmp_path / "weights" / "runs.json").read_text())
    for found, run in zip(table["runs"], gpu_job.RUNS, strict=True):
        assert (found["variant"], found["objective"]) == (run.variant, run.objective)
        assert list(found["nre"]) == few(run.variant, run.layers)
        assert all(each["nre"] > 0 for each in found["nre"].values())
    shipped = sum(len(few(run.variant, run.layers)) for run in gpu_job.RUNS if run.shipped)
    assert len(list((tmp_path / "weights").iterdir())) == 1 + shipped + 1


def test_every_layer_of_both_families_is_shipped_once():
    for variant in ("aligned", "published"):
        layers = [layer for run in gpu_job.RUNS if run.shipped and run.variant == variant for layer in run.layers]
        assert sorted(layers) == sorted(LAYERS)
    assert len({run.name for run in gpu_job.RUNS}) == len(gpu_job.RUNS), "each has a folder of its own"


def test_a_run_of_another_weight_is_not_taken_for_this_one(tmp_path):
    identity, (first, *_) = {"data": "these"}, gpu_job.RUNS
    fitted = FittedInverters({"fc8": build_inverter("fc8", "aligned")}, [], True, "best", "float32", {})
    scores = {"fc8": LayerScore(0.5, (0.5,), (0.5,), ((0.0,),))}
    gpu_job._keep_inverters(tmp_path, first, fitted, scores, identity)
    assert gpu_job._kept_inverters(tmp_path, first, identity)
    with pytest.raises(TrainingError, match="run"):
        gpu_job._kept_inverters(tmp_path, replace(first, weight=0.5), identity)


@pytest.mark.parametrize(("signum", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_job_that_is_ended_says_so_in_a_sentence(tmp_path, monkeypatch, capsys, signum, status):
    monkeypatch.setattr(gpu_job, "train", lambda *_, **__: os.kill(os.getpid(), signum))
    assert gpu_job.main(["train", "--folder", str(tmp_path), "--device", "cpu"]) == status
    message = capsys.readouterr().err
    assert message.endswith("run the command again.\n") and message.count("\n") == 1


def test_a_job_without_a_place_to_print_to_says_so():
    command = f'"{sys.executable}" -m svdlib.lab.gpu_job collect >&-'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert done.returncode == 2 and done.stderr.startswith("svdlib: error: stdout is closed")


@pytest.mark.parametrize("content", [None, b"", b"not an archive", b"PK\x03\x04 half an archive"])
def test_missing_or_damaged_data_is_named(tmp_path, content):
    path = tmp_path / "log-mels.npz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(CorpusError, match="log-mels.npz"):
        gpu_job.unpack(path)


def test_data_of_another_corpus_are_refused(data, tmp_path, capsys):
    common = ["--data", str(data), "--folder", str(tmp_path), "--device", "cpu", "--corpus", "synthetic"]
    assert gpu_job.main(["train", *common]) == 2
    assert CORPUS in capsys.readouterr().err
