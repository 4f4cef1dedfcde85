import errno
import json
import os
import re
import signal
import subprocess
import sys
import warnings
from pathlib import Path

import lasagne_files
import numpy as np
import pytest
import tiny
from places import ROOT

from svdlib import recipes
from svdlib.cli import actions as cli_actions
from svdlib.cli import main
from svdlib.cli import parser as cli
from svdlib.compute import devices
from svdlib.compute.command_line import DEBUG_VARIABLE, explain
from svdlib.compute.run_state import RunOptions
from svdlib.detector.model import LAYERS
from svdlib.detector.training import DetectorPlan
from svdlib.errors import OutputError
from svdlib.inversion.plans import TrainingPlan
from svdlib.invert import invert_song
from svdlib.paper.lasagne import load_lasagne
from svdlib.songs.corpora import open_corpus
from svdlib.zoo import profiles
from svdlib.zoo.checkpoints import load_detector, load_inverter

TINY = "synthetic:songs=3,seconds=5"


def run(capsys, *words):
    """Exit status, stdout and stderr of a command line."""
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@pytest.fixture
def failing(monkeypatch):
    """Make `svdlib corpus info` raise an exception."""

    def fail_with(error):
        def act(_):
            raise error

        monkeypatch.setattr(cli_actions, "describe_corpus", act)

    return fail_with


# --- help and usage ---


@pytest.mark.parametrize(
    "words",
    [
        "", "corpus", "corpus build", "corpus export", "corpus fetch", "corpus info", "train", "train detector",
        "train inverters", "evaluate", "evaluate detector", "evaluate nre", "invert", "explore", "convert",
        "export", "export onnx", "export web",
    ],
)  # fmt: skip
def test_every_verb_has_help_with_an_example(capsys, words):
    with pytest.raises(SystemExit) as stop:
        main([*words.split(), "--help"])
    text = capsys.readouterr().out
    assert stop.value.code == 0
    assert f"usage: svdlib {words}".strip() in text
    assert "example" in text or "corpora:" in text or words == "export"


@pytest.mark.parametrize(
    "words, reason",
    [
        ([], "required: VERB"),
        (["sing"], "invalid choice: 'sing'"),
        (["invert"], "required: SONG, --out"),
        (["invert", "a.mp3"], "required: --out"),
        (["invert", "a.mp3", "--out", "x", "--at", "soon"], "'soon' is not a number"),
        (["train", "detector", "--profile", "huge"], "invalid choice: 'huge'"),
        (["train", "detector", "--seed", "-1"], "'-1' is not a whole number from 0 to 2147483647"),
        (["train", "inverters", "--seed", str(2**31)], "'2147483648' is not a whole number from 0 to 2147483647"),
        (["evaluate", "detector", "--split", "train"], "invalid choice: 'train'"),
        (["train", "detector", "--minutes", "nan"], "'nan' is not a number of 0 or more"),
        (["evaluate", "nre", "--sets", "0"], "'0' is not a whole number of 1 or more"),
        (["evaluate", "nre", "--per-song", "1"], "'1' is not a whole number of 2 or more"),
        (["evaluate", "nre", "--standardise", "none"], "invalid choice: 'none'"),
        (["evaluate", "detector", "--dev", "cpu"], "unrecognized arguments: --dev cpu"),
        (["invert", "", "--out", "x"], "argument SONG: the name is empty"),
        (["invert", "a.mp3", "--out", ""], "argument --out: the name is empty"),
        (["train", "detector", "--folder", ""], "argument --folder: the name is empty"),
        (["convert", "a.npz", "", "--out", "x"], "argument FILE: the name is empty"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(capsys, words, reason):
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert err.startswith("svdlib: error: ") and err.count("\n") == 1
    assert reason in err and "--help" in err


@pytest.mark.parametrize(
    "examples",
    [cli.TRAIN_EXAMPLES, cli.EVALUATE_EXAMPLES, cli.INVERT_EXAMPLES, cli.EXPLORE_EXAMPLES, cli.CONVERT_EXAMPLES],
)
def test_examples_in_the_help_are_understood(examples):
    lines = [line.split()[1:] for line in examples.splitlines() if line.startswith("  svdlib ")]
    assert lines
    for words in lines:
        options = cli.build_parser().parse_args(words)
        if getattr(options, "weights", None):
            assert options.detector, "inverters of one's own go with the detector they were trained for"


@pytest.mark.parametrize("verb", ["invert", "explore"])
@pytest.mark.parametrize(
    ("words", "layers"),
    [
        ("--layers fc8 song.mp3 --out x", ["fc8"]),
        ("--out x --layers conv2 fc8 song.mp3", ["conv2", "fc8"]),
        ("--layers conv2,fc8 song.mp3 --at 3 --out x", ["conv2,fc8"]),
        ("--layers conv2 fc8 --out x song.mp3", ["conv2", "fc8"]),
        ("song.mp3 --out x --layers conv2 fc8", ["conv2", "fc8"]),
        ("--out x --layers fc8 -- song.mp3", ["fc8"]),
    ],
)
def test_a_list_of_layers_leaves_the_song_alone(verb, words, layers):
    options = cli.build_parser().parse_args([verb, *words.split()])
    assert (str(options.song), str(options.out), options.layers) == ("song.mp3", "x", layers)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("--layers fc8 --out x", "required: SONG"),
        ("--layers conv2 fc8 --out x", "required: SONG"),
        ("--layers fc8 song.mp3", "required: --out"),
        ("--layers fc8 song.mp3 --at soon --out x", "'soon' is not a number"),
        ("a.mp3 --layers fc8 b.mp3 --out x", "There is no layer 'b.mp3'"),
    ],
)
def test_what_lists_cannot_give_back_is_still_missed(capsys, tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    status, _, err = run(capsys, "invert", *words.split())
    assert status == 2 and reason in err and err.count("\n") == 1


def test_names_in_the_help_are_the_librarys():
    assert tuple(cli.LAYER_NAMES.split()) == LAYERS
    assert cli.PROFILES == tuple(profiles.PROFILES)
    assert cli.PROFILES == tuple(profiles.DETECTOR_PROFILES)
    assert cli.PRECISIONS == ("auto", *devices.PRECISIONS)
    assert cli.STANDARDISATIONS == recipes.STANDARDISATIONS
    assert cli.AUC_RULES == tuple(recipes.AUC_RULES)


def test_help_needs_no_torch():
    script = (
        "import sys; sys.modules['torch'] = sys.modules['numpy'] = None\nfrom svdlib.cli import main; main(['--help'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0 and "invert" in done.stdout


# --- results ---


def test_corpus_info_counts_songs_and_singing(capsys, song_folder):
    folder = song_folder(4)
    status, out, err = run(capsys, "corpus", "info", f"folder:{folder}", "--json")
    assert (status, err) == (0, "")
    splits = json.loads(out)["splits"]
    assert [counts["songs"] for counts in splits.values()] == [2, 1, 1]
    assert splits["train"]["sung_minutes"] == pytest.approx(2 * 2 / 60)
    assert "train      2 songs" in run(capsys, "corpus", "info", f"folder:{folder}")[1]


def test_corpus_build_keeps_spectrograms(capsys, song_folder, tmp_path, monkeypatch):
    monkeypatch.setenv("SVDLIB_CACHE", str(tmp_path / "cache"))
    status, out, _ = run(capsys, "corpus", "build", f"folder:{song_folder(3)}", "--json")
    assert status == 0
    assert json.loads(out) == {
        "corpus": f"folder:{tmp_path / 'songs'}",
        "songs": 3,
        "minutes": pytest.approx(3 * 277 / 70 / 60),
        "sung": pytest.approx(140 / 277),
    }
    assert len(list((tmp_path / "cache").glob("*.npy"))) == 3


def test_evaluate_detector_prints_one_json_object(capsys):
    status, out, _ = run(capsys, "evaluate", "detector", "--corpus", TINY, "--device", "cpu", "--json")
    assert status == 0
    scores = json.loads(out)
    assert scores.keys() == {"auc", "accuracy", "threshold", "per_song"}
    assert [song.keys() for song in scores["per_song"].values()] == [{"auc", "accuracy"}]


def test_evaluate_nre_prints_one_json_object(capsys):
    corpus = "synthetic:songs=18,seconds=5"  # with three test songs
    words = ["evaluate", "nre", "--corpus", corpus, "--device", "cpu", "--layers", "conv1,fc8", "--sets", "2"]
    status, out, _ = run(capsys, *words, "--per-song", "2", "--json")
    assert status == 0
    scores = json.loads(out)
    assert list(scores) == ["conv1", "fc8"]
    for score in scores.values():
        low, high = score["ci95"]
        assert 0 < low <= score["nre"] <= high
        assert score["standardised"] == "training"
        assert 0.6 < score["mean_predictor"] < 0.8, "about 1 / sqrt(2)"


def test_scores_are_printed_as_tables(capsys, monkeypatch):
    scores = {"auc": 0.9, "accuracy": 0.8, "threshold": 0.4, "per_song": {"a": {"auc": float("nan"), "accuracy": 1.0}}}
    monkeypatch.setattr(recipes, "evaluate_detector", lambda *_, **__: scores)
    out = run(capsys, "evaluate", "detector")[1]
    assert "0.900     0.800" in out and "threshold 0.4" in out
    assert json.loads(run(capsys, "evaluate", "detector", "--json")[1])["per_song"]["a"]["auc"] is None
    monkeypatch.setattr(recipes, "evaluate_nre", lambda *_, **__: {"fc8": {"nre": 0.65, "ci95": [0.6, 0.7]}})
    text = run(capsys, "evaluate", "nre")[1]
    assert "fc8    0.650  0.600 to 0.700" in text and text.endswith("deviation of the detector's training songs\n")
    assert run(capsys, "evaluate", "nre", "--standardise", "own")[1].endswith("deviation of these songs themselves\n")
    named = {"fc8": {"nre": 0.65, "ci95": [0.6, 0.7], "mean_predictor": 0.7071}}
    monkeypatch.setattr(recipes, "evaluate_nre", lambda *_, **__: named)
    assert "\nalways the mean of these songs: 0.707\n" in run(capsys, "evaluate", "nre")[1]
    single = {"fc8": {"nre": 0.65, "ci95": [float("nan")] * 2}}
    monkeypatch.setattr(recipes, "evaluate_nre", lambda *_, **__: single)
    assert "fc8    0.650  unknown with under three songs" in run(capsys, "evaluate", "nre")[1]
    assert json.loads(run(capsys, "evaluate", "nre", "--json")[1])["fc8"] == {"nre": 0.65, "ci95": [None, None]}


def test_options_reach_the_recipe(capsys, monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(
        recipes, "train_inverters", lambda corpus, **named: seen.update(named, corpus=corpus) or {"fc8": tmp_path / "w"}
    )
    words = (
        "train inverters --profile full --corpus folder:x --seed 3 --device cpu --resume --minutes 9 --layers fc7 fc8"
    )
    more = ["--variant", "published", "--objective", "balanced", "--lambda-feature", "0.5", "--start", "s"]
    more += ["--compare", "conv5", "fc8", "--jitter", "4", "1", "0.3"]
    more += ["--detector", "d", "--folder", tmp_path / "a" / "b"]
    status, out, _ = run(capsys, *words.split(), *more)
    assert (status, out) == (0, f"{tmp_path / 'w'}\n")
    options = RunOptions(seed=3, device="cpu", precision="auto", folder=tmp_path / "a" / "b", resume=True, minutes=9.0)
    assert seen.pop("options") == options
    assert {key: str(value) for key, value in seen.items()} == {
        "profile": "full", "corpus": "folder:x", "layers": "['fc7', 'fc8']", "variant": "published",
        "objective": "balanced", "lambda_feature": "0.5", "compare": "['conv5', 'fc8']", "detector": "d", "start": "s",
        "jitter": "Jitter(shift=(4, 1), noise=0.3, share=1.0)",
    }  # fmt: skip


def test_options_reach_the_recipe_of_the_detector(capsys, monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(
        recipes, "train_detector", lambda corpus, **named: seen.update(named, corpus=corpus) or tmp_path / "w"
    )
    words = "train detector --corpus synthetic+rwc --valid synthetic-c --start s --teachers a b --precision bfloat16"
    run(capsys, *words.split(), "--device", "cpu", "--folder", tmp_path)
    assert seen.pop("options") == RunOptions(device="cpu", precision="bfloat16", folder=tmp_path)
    assert seen.pop("teachers") == [Path("a"), Path("b")]
    assert {key: str(value) for key, value in seen.items()} == {
        "profile": "demo", "corpus": "synthetic+rwc", "valid": "synthetic-c", "start": "s",
        "architecture": "convolutional", "watch": "None",
    }  # fmt: skip


@pytest.mark.parametrize("what", ["detector", "nre"])
@pytest.mark.parametrize(("words", "split"), [([], "test"), (["--split", "valid"], "valid")])
def test_evaluation_takes_a_split(capsys, monkeypatch, what, words, split):
    seen = {}

    def evaluate(corpus, **options):
        seen.update(options)
        return {"auc": 0.9, "accuracy": 0.8, "threshold": 0.4, "per_song": {}} if what == "detector" else {}

    monkeypatch.setattr(recipes, f"evaluate_{what}", evaluate)
    assert run(capsys, "evaluate", what, *words)[0] == 0
    assert seen["split"] == split


def test_the_published_ways_to_score_reach_the_recipe(capsys, monkeypatch):
    seen = []
    scores = {"auc": 0.9, "accuracy": 0.8, "threshold": 0.4, "per_song": {}}
    monkeypatch.setattr(recipes, "evaluate_detector", lambda _, **options: seen.append(options) or scores)
    assert run(capsys, "evaluate", "detector")[0] == 0
    assert run(capsys, "evaluate", "detector", "--average-pitch", "--auc", "published")[0] == 0
    assert [(options["average_pitch"], options["auc"]) for options in seen] == [(False, "exact"), (True, "published")]
    assert "unrecognized arguments: --average-pitch" in run(capsys, "evaluate", "nre", "--average-pitch")[2]


def test_scores_are_those_of_the_split(capsys):
    names = {}
    for split in ("valid", "test"):
        words = ["evaluate", "detector", "--corpus", TINY, "--device", "cpu", "--split", split, "--json"]
        names[split] = list(json.loads(run(capsys, *words)[1])["per_song"])
    assert names == {split: [track.name for track in open_corpus(TINY).split(split)] for split in names}


@pytest.mark.parametrize("verb", ["evaluate nre", "train inverters"])
@pytest.mark.parametrize("layers", [[","], [""], ["", ",,"]])
def test_an_empty_list_of_layers_names_the_layers(capsys, tmp_path, verb, layers):
    status, out, err = run(capsys, *verb.split(), "--layers", *layers)
    assert (status, out) == (2, "") and ", ".join(LAYERS) in err


@pytest.mark.parametrize("make", [cli_actions.make_folder, cli_actions.check_folder])
def test_folders_above_are_made_and_a_file_in_the_way_is_named(make, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    folder = Path("a") / "b" / "c"
    make(folder)
    assert folder.is_dir() == (make is cli_actions.make_folder)
    file = tmp_path / "file"
    file.write_text("in the way")
    with pytest.raises(OutputError, match=f"^{file} is a file"):
        make(file)
    with pytest.raises(OutputError, match=f"^{file / 'b' / 'c'} cannot be made: {file} is a file"):
        make(file / "b" / "c")


@pytest.mark.parametrize("make", [cli_actions.make_folder, cli_actions.check_folder])
def test_a_folder_above_that_may_not_be_written_to(make, tmp_path, monkeypatch):
    monkeypatch.setattr(cli_actions.os, "access", lambda place, _: place != tmp_path)
    with pytest.raises(OutputError, match=f"{tmp_path / 'a' / 'b'}: Permission denied"):
        make(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_train_then_evaluate_what_was_trained(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(profiles.DETECTOR_PROFILES, "demo", DetectorPlan(1, 1, 2))
    plan = TrainingPlan(epochs=1, batch_size=2, steps_per_epoch=2, validation_excerpts=2)
    monkeypatch.setitem(profiles.PROFILES, "demo", plan)
    shared = ["--corpus", TINY, "--device", "cpu"]
    status, out, _ = run(capsys, "train", "detector", *shared, "--folder", tmp_path / "detector")
    assert status == 0
    detector = out.strip()
    train = ["train", "inverters", *shared, "--detector", detector, "--layers", "fc8", "--folder", tmp_path / "fc8"]
    assert run(capsys, *train)[:2] == (0, f"{tmp_path / 'fc8' / 'published-fc8.safetensors'}\n")
    evaluate = ["evaluate", "nre", *shared, "--detector", detector, "--layers", "fc8", "--weights", tmp_path / "fc8"]
    status, out, _ = run(capsys, *evaluate, "--sets", 1, "--per-song", 2, "--json")
    assert status == 0 and np.isfinite(json.loads(out)["fc8"]["nre"])
    status, _, err = run(capsys, *train)
    assert status == 2 and "holds an earlier run" in err
    assert run(capsys, *train, "--resume")[0] == 0
    status, out, _ = run(capsys, *train[:-1], tmp_path / "sharp", "--objective", "adversarial")
    assert status == 0 and load_inverter(Path(out.strip()), "fc8").provenance["objective"] == "adversarial"


def test_the_curve_on_watched_songs_is_printed_and_kept(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(profiles.DETECTOR_PROFILES, "demo", DetectorPlan(2, 1, 2))
    words = ["train", "detector", "--corpus", TINY, "--watch", "synthetic-b:songs=3,seconds=5", "--device", "cpu"]
    status, out, err = run(capsys, *words, "--folder", tmp_path)
    provenance = load_detector(Path(out.strip())).provenance
    curve = provenance["curve"]
    assert status == 0 and provenance["watched_corpus"] == "synthetic-b:songs=3,seconds=5"
    assert all(len(values) == 2 for values in curve.values())
    table = [line for line in err.splitlines() if line.lstrip().startswith(("epoch ", "1 ", "2 "))]
    assert table[0] == "  ".join(["epoch", *(name.replace("_", " ") for name in curve)])
    assert [line.split()[0] for line in table[1:]] == ["1", "2"]
    assert [line.split()[-1] for line in table[1:]] == [f"{value:.3f}" for value in curve["watched_mean_auc"]]


def test_a_run_that_ran_out_of_time_says_how_to_go_on(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(recipes, "train_detector", lambda *_, **__: None)
    status, out, err = run(capsys, "train", "detector", "--minutes", "9", "--folder", tmp_path)
    assert (status, out) == (0, "")
    assert "stopped after 9 minutes" in err and "--resume" in err


def test_invert_writes_into_the_folder_and_prints_json_alone(capsys, monkeypatch, song_file, tmp_path):
    monkeypatch.setattr("svdlib.invert.write_sounds", lambda *_: None)
    song, folder = song_file(), tmp_path / "new" / "out"
    status, out, _ = run(capsys, "invert", song, "--out", folder, "--at", 2, "--device", "cpu", "--json")
    assert status == 0
    assert json.loads(out) == json.loads((folder / "inversions.json").read_text())
    assert json.loads(out)["excerpt"]["centre"] == pytest.approx(2)


def test_explore_writes_a_page_of_the_excerpt_that_invert_takes(capsys, song_file, tmp_path):
    song, page = song_file(), tmp_path / "new" / "page.html"
    words = ["--device", "cpu", "--json", "--layers", "conv1", "fc8", song]
    status, out, err = run(capsys, "explore", "--out", page, *words)
    assert status == 0, err
    text, found = page.read_text(), json.loads(out)
    surest = invert_song(song, device="cpu", layers="fc8")
    assert found["excerpt"] == f"around {surest.centre:.1f} s" and found["page"] == str(page)
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)[1])
    assert data["steps"] == ["original", "Conv1", "FC8"] and len(data["panels"]) == 1
    assert {step: panel["error"] for step, panel in zip(data["steps"][1:], data["panels"][0][1:], strict=True)} == (
        found["error"]
    )
    assert (
        text.startswith("<!doctype html>")
        and f"<h1>What each layer of the singing detector keeps of {song.name}" in text
    )
    assert not re.search(r'(src|href)="(?!data:)', text), "it loads nothing"


def test_explore_takes_a_song_whose_name_is_no_text(capsys, song_file, tmp_path):
    song = song_file().rename(tmp_path / os.fsdecode("Café.wav".encode("latin-1")))
    status, _, err = run(capsys, "explore", song, "--out", tmp_path / "page.html", "--layers", "fc8", "--at", 2)
    assert status == 0, err
    assert r"keeps of Caf\udce9.wav" in (tmp_path / "page.html").read_text()


def test_explore_takes_ones_own_weights_and_refuses_a_folder(capsys, lasagne, song_file, tmp_path):
    folder, scale = tmp_path / "authors", ["--standardizer", lasagne["standardizer"], "--threshold", 0.4]
    run(capsys, "convert", lasagne["detector"], lasagne["fc8"], "--out", folder, *scale)
    own = ["--detector", folder / "detector.safetensors", "--weights", folder, "--device", "cpu", "--at", 2]
    status, out, err = run(capsys, "explore", song_file(), "--out", tmp_path / "own.html", *own, "--json")
    assert status == 0, err
    assert list(json.loads(out)["error"]) == ["FC8"] and json.loads(out)["excerpt"] == "around 2.0 s"
    status, _, err = run(capsys, "explore", song_file(), "--out", tmp_path, *own)
    assert status == 2 and "is a folder. Name the page to write" in err
    status, _, err = run(capsys, "explore", song_file(), "--out", tmp_path / "own.html", *own[2:])
    assert status == 2 and "was trained for another detector" in err


@pytest.fixture
def lasagne(tmp_path):
    """Files as of the authors: a detector, its standardisation, the inverters of all layers."""
    files = {
        layer: lasagne_files.write(tmp_path / f"{layer}.npz", lasagne_files.random_arrays(layer)) for layer in LAYERS
    }
    files["detector"] = lasagne_files.write(tmp_path / "detector.npz", lasagne_files.random_arrays())
    files["standardizer"] = tmp_path / "meanstd.npz"
    np.savez(files["standardizer"], mean=np.full(80, -5.0), std=np.full(80, 2.0))
    return files


def test_converted_weights_are_used_by_every_verb_and_not_rounded(capsys, monkeypatch, lasagne, song_file, tmp_path):
    monkeypatch.setattr("svdlib.invert.write_sounds", lambda *_: None)
    folder, scale = tmp_path / "authors", ["--standardizer", lasagne["standardizer"], "--threshold", 0.4]
    networks = [lasagne[name] for name in ("fc8", "detector", *LAYERS[:-1])]
    status, out, _ = run(capsys, "convert", *networks, "--out", folder, *scale)
    paths = [folder / "detector.safetensors", *(folder / f"published-{layer}.safetensors" for layer in LAYERS)]
    assert status == 0 and out.split() == [str(path) for path in paths]
    original, converted = load_lasagne(lasagne["fc8"], "fc8"), load_inverter(paths[-1], "fc8")
    assert tiny.same_weights(original, converted)
    assert converted.provenance["sha256"] == original.provenance["sha256"]
    detector = load_detector(paths[0])
    assert tiny.same_weights(load_lasagne(lasagne["detector"], standardizer=lasagne["standardizer"]), detector)
    assert converted.provenance["detector"] == detector.provenance and detector.threshold == 0.4

    own, device = ["--detector", paths[0], "--weights", folder], ["--device", "cpu", "--json"]
    status, out, _ = run(capsys, "invert", song_file(), "--out", tmp_path / "out", "--at", 2, *own, *device)
    assert status == 0 and json.loads(out)["weights"]["fc8"]["sha256"] == converted.provenance["sha256"]
    few = ["--corpus", TINY, "--layers", "fc8", "--sets", 1, "--per-song", 2]
    status, out, _ = run(capsys, "evaluate", "nre", *own, *few, *device)
    assert status == 0 and np.isfinite(json.loads(out)["fc8"]["nre"])
    status, out, _ = run(capsys, "evaluate", "detector", "--detector", paths[0], "--corpus", TINY, *device)
    assert status == 0 and json.loads(out)["threshold"] == 0.4
    for options in (["--weights", folder], ["--detector", paths[0]]):
        status, _, err = run(capsys, "invert", song_file(), "--out", tmp_path / "out", "--at", 2, *options)
        assert status == 2 and "was trained for another detector" in err


@pytest.mark.parametrize(
    "words, reason",
    [
        ("{detector}", "whose file lacks the standardisation (--standardizer FILE) and the threshold (--threshold P)"),
        ("{detector} --threshold 0.5", "lacks the standardisation (--standardizer FILE). Name"),
        ("{detector} --standardizer {standardizer}", "lacks the threshold (--threshold P). Name"),
        ("{fc8} --threshold 0.5", "Only a detector has the threshold (--threshold P)"),
        ("{fc8} --threshold 2", "'2' is not a number from 0 to 1"),
        ("{fc8} {mp6} {fc8}", "both hold the published inverter of fc8"),
        ("{fc8} --layer mp6", "has the arrays of the published inverter of fc8, not of the published inverter of mp6"),
        ("{fc8} --layer fc9", "no layer 'fc9'"),
        ("{fc8} {mp6} --layer mp6", "A layer is named, mp6, but 2 files"),
        ("{standardizer}", "has 2 arrays that are neither those of the detector nor of a published inverter"),
    ],
)
def test_nothing_is_converted_by_halves(capsys, lasagne, tmp_path, words, reason):
    status, out, err = run(capsys, "convert", *words.format(**lasagne).split(), "--out", tmp_path / "authors")
    assert (status, out) == (2, "") and not (tmp_path / "authors").exists()
    assert reason in err and err.count("\n") == 1


# --- ways to end ---


@pytest.mark.parametrize(
    "error, status, reason",
    [
        (MemoryError(), 2, "not enough memory"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), 2, "not enough memory"),
        (type("OutOfMemoryError", (RuntimeError,), {})("CUDA out of memory"), 2, "--device cpu"),
        (OSError(errno.ENOSPC, "No space left on device", "a.npz"), 2, "disk is full: a.npz"),
        (PermissionError(errno.EACCES, "Permission denied", "a.npz"), 2, "Permission denied: a.npz"),
        (ModuleNotFoundError("No module named 'librosa'", name="librosa"), 2, "pip install librosa"),
        (ModuleNotFoundError("No module named 'svdlib.x'", name="svdlib.x"), 1, "please report"),
        (
            ZeroDivisionError("division\nby zero"),
            1,
            "please report it with your command (ZeroDivisionError: div",
        ),
    ],
)
def test_every_failure_is_a_sentence(capsys, failing, error, status, reason):
    failing(error)
    found, out, err = run(capsys, "corpus", "info", "synthetic")
    assert (found, out) == (status, "") and explain(error)[0] == status
    assert reason in err and err.startswith("svdlib: error: ") and err.count("\n") == 1


def test_debugging_shows_the_traceback(failing, monkeypatch):
    monkeypatch.setenv(DEBUG_VARIABLE, "1")
    failing(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        main(["corpus", "info", "synthetic"])


def test_ctrl_c_has_a_status_of_its_own_and_says_how_to_go_on(capsys, monkeypatch, failing, tmp_path):
    failing(KeyboardInterrupt())
    assert run(capsys, "corpus", "info", "synthetic") == (130, "", "svdlib: Interrupted; run the command again.\n")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes, "train_detector", interrupted)
    status, _, err = run(capsys, "train", "detector", "--folder", tmp_path)
    assert status == 130 and "the same command with --resume goes on" in err


@pytest.mark.skipif(os.name == "nt", reason="there is no SIGTERM to catch")
def test_sigterm_has_a_status_of_its_own_and_says_how_to_go_on(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(recipes, "train_detector", lambda *_, **__: os.kill(os.getpid(), signal.SIGTERM))
    status, _, err = run(capsys, "train", "detector", "--folder", tmp_path)
    assert (status, err) == (143, "svdlib: Ended by SIGTERM; the same command with --resume goes on.\n")
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


def test_warnings_are_one_line_each(capsys, monkeypatch):
    monkeypatch.setattr(cli_actions, "describe_corpus", lambda _: warnings.warn("take\ncare", stacklevel=1))
    before = warnings.showwarning
    assert run(capsys, "corpus", "info", "synthetic") == (0, "", "svdlib: warning: take care\n")
    assert warnings.showwarning is before


@pytest.mark.parametrize("words", [["--help"], ["corpus", "info", TINY]])
def test_a_reader_that_has_enough_is_no_error(words):
    process = subprocess.Popen(
        [sys.executable, "-m", "svdlib", *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    process.stdout.close()
    assert process.stderr.read() == ""
    assert process.wait(60) == 0


@pytest.mark.skipif(os.name == "nt", reason="redirections of a POSIX shell")
@pytest.mark.parametrize(
    ("closed", "status", "out", "err"),
    [
        (">&-", 2, "", "svdlib: error: stdout is closed, and results are printed there. Let it lead to a file.\n"),
        ("2>&-", 0, "svdlib ", ""),
        ("<&-", 0, "svdlib ", ""),
        ("<&- >&- 2>&-", 2, "", ""),
    ],
)
def test_closed_streams(closed, status, out, err):
    command = f'"{sys.executable}" -m svdlib --version {closed}'
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, cwd=ROOT, timeout=60)
    assert (done.returncode, done.stderr) == (status, err)
    assert done.stdout.startswith(out) and bool(done.stdout) == bool(out)


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
@pytest.mark.parametrize(
    ("words", "status"), [(["corpus", "info", "synthetic:songs=3"], 0), (["corpus", "info", "x"], 2)]
)
def test_messages_that_cannot_be_written_change_nothing(words, status):
    with open("/dev/full", "w") as full:
        done = subprocess.run([sys.executable, "-m", "svdlib", *words], stdout=subprocess.PIPE, stderr=full, cwd=ROOT)
    assert done.returncode == status and (b"1 songs" in done.stdout or status)


def test_a_working_folder_that_is_gone(tmp_path):
    (tmp_path / "gone").mkdir()
    command = f'cd "{tmp_path}/gone" && rmdir ../gone && "{sys.executable}" -m svdlib train detector --corpus {TINY}'
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, env=environment, timeout=60)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("svdlib: error: The working folder is gone") and done.stderr.count("\n") == 1


def test_names_that_are_no_text_are_printed(capsys, monkeypatch):
    monkeypatch.setattr(cli_actions, "describe_corpus", lambda _: cli_actions._print("song\udce9.mp3"))
    assert run(capsys, "corpus", "info", "x")[:2] == (0, "song\\udce9.mp3\n")
