"""The GPU job on a CPU and a tiny corpus: the same steps, the same files."""

import json
import os
import signal
import subprocess
import sys

import numpy as np
import pytest
from places import ROOT

from svdlib.detector.training import DetectorPlan
from svdlib.errors import CorpusError
from svdlib.inversion.plans import TrainingPlan
from svdlib.lab import gpu_job
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.checkpoints import load_detector, load_inverter
from svdlib.zoo.profiles import DETECTOR_PROFILES, PROFILES

CORPUS = "synthetic:songs=3,seconds=8,seed=3"
TRAINED = {"published": ("fc8",), "aligned": ("mp6", "fc8")}  # here; the job trains all eight


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

    def fit_few(*material, variant, **settings):
        assert "layers" not in settings, "the job asks for all"
        return fit(*material, variant=variant, layers=TRAINED[variant], **settings)

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
    runs = [f"inverters-{variant}-{objective}" for variant, objective in gpu_job.RUNS]
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
    for variant, layer in [(variant, layer) for variant, layers in TRAINED.items() for layer in layers]:
        inverter = load_inverter(tmp_path / "weights" / f"{variant}-{layer}.safetensors", layer, variant)
        assert len(inverter.provenance["validation_losses"]) == 2
        assert inverter.provenance["detector"] == detector.provenance
        assert inverter.provenance["device"] == "cpu" and inverter.provenance["objective"] == "joint"
    table = json.loads((tmp_path / "weights" / "runs.json").read_text())
    assert [(run["variant"], run["objective"]) for run in table["runs"]] == list(gpu_job.RUNS)
    for run in table["runs"]:
        assert list(run["nre"]) == list(TRAINED[run["variant"]]) and all(
            each["nre"] > 0 for each in run["nre"].values()
        )
    assert len(list((tmp_path / "weights").iterdir())) == 1 + 3 + 1


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
