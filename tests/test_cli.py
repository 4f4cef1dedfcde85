import errno
import json
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

from svdlib import cli, cli_actions, detector_training, recipes, training
from svdlib.cli import main
from svdlib.cli_outcome import DEBUG_VARIABLE, explain
from svdlib.corpora import open_corpus
from svdlib.detector_training import DetectorPlan
from svdlib.errors import OutputError
from svdlib.model import LAYERS
from svdlib.training import TrainingPlan

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
        "train inverters", "evaluate", "evaluate detector", "evaluate nre", "invert", "export", "export onnx",
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
        (["evaluate", "detector", "--dev", "cpu"], "unrecognized arguments: --dev cpu"),
    ],
)
def test_a_wrong_command_line_is_one_line_and_status_2(capsys, words, reason):
    status, out, err = run(capsys, *words)
    assert (status, out) == (2, "")
    assert err.startswith("svdlib: error: ") and err.count("\n") == 1
    assert reason in err and "--help" in err


@pytest.mark.parametrize("examples", [cli.TRAIN_EXAMPLES, cli.EVALUATE_EXAMPLES, cli.INVERT_EXAMPLES])
def test_examples_in_the_help_are_understood(examples):
    lines = [line.split()[1:] for line in examples.splitlines() if line.startswith("  svdlib ")]
    assert lines
    for words in lines:
        options = cli.build_parser().parse_args(words)
        if getattr(options, "weights", None):
            assert options.detector, "inverters of one's own go with the detector they were trained for"


def test_names_in_the_help_are_the_librarys():
    assert tuple(cli.LAYER_NAMES.split()) == LAYERS
    assert cli.PROFILES == tuple(training.PROFILES) == tuple(detector_training.DETECTOR_PROFILES)


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
    corpus = "synthetic:songs=12,seconds=5"  # with two test songs
    words = ["evaluate", "nre", "--corpus", corpus, "--device", "cpu", "--layers", "conv1,fc8", "--sets", "2"]
    status, out, _ = run(capsys, *words, "--per-song", "2", "--json")
    assert status == 0
    scores = json.loads(out)
    assert list(scores) == ["conv1", "fc8"]
    for score in scores.values():
        low, high = score["ci95"]
        assert 0 < low <= score["nre"] <= high


def test_scores_are_printed_as_tables(capsys, monkeypatch):
    scores = {"auc": 0.9, "accuracy": 0.8, "threshold": 0.4, "per_song": {"a": {"auc": float("nan"), "accuracy": 1.0}}}
    monkeypatch.setattr(recipes, "evaluate_detector", lambda *_, **__: scores)
    out = run(capsys, "evaluate", "detector")[1]
    assert "0.900     0.800" in out and "threshold 0.4" in out
    assert json.loads(run(capsys, "evaluate", "detector", "--json")[1])["per_song"]["a"]["auc"] is None
    monkeypatch.setattr(recipes, "evaluate_nre", lambda *_, **__: {"fc8": {"nre": 0.65, "ci95": [0.6, 0.7]}})
    assert "fc8    0.650  0.600 to 0.700" in run(capsys, "evaluate", "nre")[1]
    single = {"fc8": {"nre": 0.65, "ci95": [float("nan")] * 2}}
    monkeypatch.setattr(recipes, "evaluate_nre", lambda *_, **__: single)
    assert "fc8    0.650  unknown with a single song" in run(capsys, "evaluate", "nre")[1]
    assert json.loads(run(capsys, "evaluate", "nre", "--json")[1])["fc8"] == {"nre": 0.65, "ci95": [None, None]}


def test_options_reach_the_recipe(capsys, monkeypatch, tmp_path):
    seen = {}
    monkeypatch.setattr(recipes, "train_inverters", lambda **options: seen.update(options) or {"fc8": tmp_path / "w"})
    words = (
        "train inverters --profile full --corpus folder:x --seed 3 --device cpu --resume --minutes 9 --layers fc7 fc8"
    )
    more = ["--variant", "published", "--objective", "input", "--detector", "d", "--folder", tmp_path / "a" / "b"]
    status, out, _ = run(capsys, *words.split(), *more)
    assert (status, out) == (0, f"{tmp_path / 'w'}\n")
    assert {key: str(value) for key, value in seen.items()} == {
        "profile": "full", "corpus": "folder:x", "seed": "3", "device": "cpu", "resume": "True", "minutes": "9.0",
        "layers": "['fc7', 'fc8']", "variant": "published", "objective": "input", "detector": "d",
        "folder": str(tmp_path / "a" / "b"),
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
    with pytest.raises(OutputError, match=f"{tmp_path / 'a' / 'b'}: permission denied"):
        make(tmp_path / "a" / "b")
    assert not (tmp_path / "a").exists()


def test_train_then_evaluate_what_was_trained(capsys, monkeypatch, tmp_path):
    monkeypatch.setitem(detector_training.DETECTOR_PROFILES, "demo", DetectorPlan(1, 1, 2))
    plan = TrainingPlan(epochs=1, batch_size=2, steps_per_epoch=2, validation_excerpts=2)
    monkeypatch.setitem(training.PROFILES, "demo", plan)
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


def test_a_run_that_ran_out_of_time_says_how_to_go_on(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(recipes, "train_detector", lambda **_: None)
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

    def interrupted(**_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recipes, "train_detector", interrupted)
    status, _, err = run(capsys, "train", "detector", "--folder", tmp_path)
    assert status == 130 and "the same command with --resume goes on" in err


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


def test_names_that_are_no_text_are_printed(capsys, monkeypatch):
    monkeypatch.setattr(cli_actions, "describe_corpus", lambda _: cli_actions._print("song\udce9.mp3"))
    assert run(capsys, "corpus", "info", "x")[:2] == (0, "song\\udce9.mp3\n")
