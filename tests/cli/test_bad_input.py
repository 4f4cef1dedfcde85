"""Every kind of bad input through the command line: status 2 and one line that names the culprit and a remedy.

What the library itself says to bad sounds, corpora, labels and training states is tested beside each module.
"""

import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny
import torch
from rights import needs_rights, not_root

import svdlib
from svdlib.audio.mel_axis import EXCERPT_SAMPLES
from svdlib.cli import main
from svdlib.compute.run_state import STATE_FILE
from svdlib.compute.storage import load_state
from svdlib.detector.model import LAYER_SHAPES, LAYERS
from svdlib.errors import LayerError, WeightsError
from svdlib.inversion.plans import TrainingPlan
from svdlib.zoo import checkpoints, profiles
from svdlib.zoo.checkpoints import load_inverter, save_weights
from svdlib.zoo.families import build_inverter

TINY = "synthetic:songs=3,seconds=5"


@pytest.fixture
def refused(capsys):
    """Run a command line that must fail, and check that each of `parts` stands in its one line."""

    def check(*words, parts):
        status = main([str(word) for word in words])
        out, err = capsys.readouterr()
        last = err.rstrip("\n").split("\n")[-1]
        assert status == 2 and out == ""
        assert "Traceback" not in err and last.startswith("svdlib: error: ")
        for part in parts:
            assert str(part) in last, last

    return check


# --- sound files ---


def bad_song(kind, song_file, melody):
    """Make a sound file with a fault; its path, and what the message must hold besides."""
    song = song_file()
    whole = song.read_bytes()
    if kind == "missing":
        song.unlink()
        return song, ["no such file", "check the path"]
    if kind == "folder":
        return song.parent, ["folder", "name one sound file"]
    if kind == "empty":
        song.write_bytes(b"")
        return song, ["empty", "again"]
    if kind == "corrupt":
        song.write_bytes(whole[:12] + bytes(200))
        return song, ["cut short", "again"]
    if kind == "truncated":
        song.write_bytes(whole[: len(whole) // 2])
        return song, ["cut short", "again"]
    if kind == "not audio":
        song.write_text("<html>not found</html>" * 100)
        return song, ["not a sound file", "convert it"]
    if kind == "too short":
        return song_file(samples=melody[: EXCERPT_SAMPLES - 1]), ["too short", "longer recording"]
    if kind == "silent":
        return song_file(samples=np.zeros_like(melody)), ["silence", "leave it out"]
    broken = melody.copy()
    broken[1234] = {"nan": np.nan, "inf": np.inf}[kind]
    return song_file(samples=broken, subtype="FLOAT"), ["sample 1234", "export the file"]


SOUND_FAULTS = "missing folder empty corrupt truncated".split() + ["not audio", "too short", "silent", "nan", "inf"]


@pytest.mark.parametrize("kind", SOUND_FAULTS)
def test_bad_songs_are_not_inverted(refused, song_file, melody, tmp_path, kind):
    song, parts = bad_song(kind, song_file, melody)
    refused("invert", song, "--out", tmp_path / "out", "--device", "cpu", parts=[song, *parts])
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", [kind for kind in SOUND_FAULTS if kind not in ("missing", "folder")])
def test_bad_songs_in_a_corpus_are_named(refused, song_folder, song_file, melody, kind):
    folder = song_folder(3)
    bad, parts = bad_song(kind, song_file, melody)
    song = folder / "audio" / "song2.flac"
    song.write_bytes(bad.read_bytes())
    (folder / "labels" / "song2.lab").write_text("0 1 sing\n")
    refused("corpus", "build", f"folder:{folder}", parts=[song, *parts])


def test_a_time_outside_of_the_song(refused, song_file, tmp_path):
    words = ["invert", song_file(), "--out", tmp_path / "out", "--device", "cpu"]
    refused(*words, "--at", "61.5", parts=["song.wav", "61.5 s", "choose a time from 0.82 to 3.12 s"])


def test_eight_channels_8_khz_and_192_khz_are_converted(capsys, song_folder, song_file, melody):
    folder = song_folder(3)
    for path in (folder / "audio").iterdir():
        path.unlink()
    song_file("songs/audio/song0.wav", samples=np.repeat(melody[:, None], 8, axis=1))
    song_file("songs/audio/song1.wav", samples=melody[: 8000 * 4], rate=8000)
    song_file("songs/audio/song2.wav", samples=np.resize(melody, 192000 * 4), rate=192000)
    assert main(["corpus", "build", f"folder:{folder}"]) == 0
    assert "3 songs, 0.2 minutes" in capsys.readouterr().out


# --- corpora ---


@pytest.mark.parametrize(
    "text, parts",
    [
        ("0 2 sing\n1 3 nosing\n", ["line 2", "not overlap"]),
        ("2 3 sing\n0 1 nosing\n", ["line 2", "sort the lines"]),
        ("0 1 nosing\n1 60 sing\n", ["line 2", "beyond the end", "belong to this song?"]),
        ("0 1 singing\n", ["line 1", "unknown word 'singing'", "'sing' or"]),
        ("0,1,sing\n", ["line 1", "separated by spaces or tabs"]),
        ("0;1;sing\n", ["line 1", "separated by spaces or tabs"]),
    ],
)
def test_bad_labels(refused, song_folder, text, parts):
    folder = song_folder(3)
    labels = folder / "labels" / "song1.lab"
    labels.write_text(text)
    refused(
        "corpus", "info", f"folder:{folder}", parts=[labels, *(part.replace("'sing' or", "sing'") for part in parts)]
    )


def test_split_naming_a_missing_song(refused, song_folder):
    folder = song_folder(3)
    (folder / "splits.csv").write_text("file,split\nsong0.flac,train\nsong9.flac,test\n")
    refused(
        "evaluate", "nre", "--corpus", f"folder:{folder}",
        parts=[folder / "splits.csv", "line 3", "'song9.flac' is not in audio/", "remove the line"],
    )  # fmt: skip


@pytest.mark.parametrize(
    "name, parts",
    [
        ("jazz", ["'jazz'", "folder:PATH"]),
        ("synthetic:songs=2", ["songs=2", "songs=3 or more"]),
        ("synthetic:tempo=3", ["'tempo'", "songs=6"]),
        ("folder:/nowhere/at/all", ["/nowhere/at/all", "labels/"]),
    ],
)
@pytest.mark.parametrize("verb", ["corpus info", "evaluate detector --corpus"])
def test_bad_corpora(refused, name, parts, verb):
    refused(*verb.split(), name, parts=parts)


# --- layers and features ---


@pytest.mark.parametrize("verb", ["train inverters", "evaluate nre"])
@pytest.mark.parametrize(
    "words, parts",
    [
        (["--layers", "fc9"], ["'fc9'", "conv1, conv2"]),
        (["--layers", "fc8", "FC7"], ["'FC7'", "conv1, conv2"]),
        (["--variant", "mirrored"], ["'mirrored'", "published"]),
    ],
)
def test_unknown_layers_and_variants(refused, tmp_path, monkeypatch, verb, words, parts):
    monkeypatch.chdir(tmp_path)
    refused(*verb.split(), *words, parts=parts)
    assert not list(tmp_path.iterdir())


def test_unknown_variant_and_objective(refused, tmp_path):
    for form in ("onnx", "web"):
        refused("export", form, "--out", tmp_path / "out", "--variant", "mirrored", parts=["'mirrored'", "published"])
    refused("train", "inverters", "--objective", "beauty", parts=["'beauty'", "joint, input, released, adversarial"])


@pytest.mark.parametrize("layer", LAYERS)
def test_a_feature_of_the_wrong_shape(layer):
    channels, *rest = LAYER_SHAPES[layer]
    for shape in [(2, channels + 1, *rest), (channels, *rest), (2, channels, *rest, 1)]:
        with pytest.raises(LayerError, match=f"The inverter of {layer} takes features of shape .*features.x"):
            build_inverter(layer)(torch.zeros(shape))


@pytest.mark.parametrize("shape", [(1, 115, 80), (1, 1, 80, 115), (1, 1, 114, 80), (115, 80)])
def test_an_excerpt_of_the_wrong_shape(shape):
    with pytest.raises(LayerError, match=r"excerpts of shape \(batch, 1, 115, 80\)"):
        tiny.detector()(torch.zeros(shape))


# --- weights ---


@pytest.fixture
def inverter_weights(tmp_path):
    """A folder with the weights of an untrained inverter of fc8."""
    save_weights(tmp_path / "published-fc8.safetensors", build_inverter("fc8"), {})
    return tmp_path


def spoil(path, kind):
    """Damage a weights file; what the message must hold besides its path."""
    whole = path.read_bytes()
    if kind == "missing":
        path.unlink()
        return ["There is no weights file", "svdlib train"]
    if kind == "empty":
        path.write_bytes(b"")
        return ["not a whole safetensors file", "again"]
    if kind == "truncated":
        path.write_bytes(whole[: len(whole) // 2])
        return ["not a whole safetensors file", "again"]
    if kind == "something else":
        path.write_bytes(b"PK\x03\x04" + bytes(1000))
        return ["not a whole safetensors file", "again"]
    if kind == "another version":
        path.write_bytes(whole.replace(b"svdlib-weights-1", b"svdlib-weights-9"))
        return ["'svdlib-weights-9'", "Train it again"]
    if kind == "another layer":
        save_weights(path, build_inverter("fc7"), {})
        return ["published inverter of fc7, not of a"]
    network = build_inverter("fc8")
    with torch.no_grad():
        next(network.parameters())[0, 0] = torch.nan
    save_weights(path, network, {})
    return ["not finite", "Train it again"]


WEIGHT_FAULTS = ["missing", "empty", "truncated", "something else", "another version", "another layer", "nan"]


@pytest.mark.parametrize("kind", WEIGHT_FAULTS)
def test_bad_inverter_weights(refused, inverter_weights, kind):
    path = inverter_weights / "published-fc8.safetensors"
    parts = spoil(path, kind)
    words = ["--weights", inverter_weights, "--layers", "fc8", "--corpus", TINY, "--device", "cpu"]
    refused("evaluate", "nre", *words, parts=[path, *parts])
    with pytest.raises(WeightsError, match="published-fc8"):
        load_inverter(path, "fc8")


@pytest.mark.parametrize("kind", ["missing", "truncated", "another layer"])
@pytest.mark.parametrize("verb", ["train inverters --folder {folder}", "evaluate detector", "evaluate nre"])
def test_bad_detector_weights(refused, tmp_path, kind, verb):
    path = tmp_path / "detector.safetensors"
    save_weights(path, tiny.detector(), {"threshold": 0.5})
    parts = spoil(path, kind)
    words = verb.format(folder=tmp_path / "run").split()
    refused(*words, "--detector", path, "--corpus", TINY, "--device", "cpu", parts=[path, *parts])


def test_a_package_without_its_weights(refused, song_file, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "PACKAGED", tmp_path / "gone")
    words = ["invert", song_file(), "--out", tmp_path / "out", "--device", "cpu"]
    refused(*words, parts=["There is no weights file", tmp_path / "gone" / "detector.safetensors"])


def test_unknown_kind_of_pretrained_weights():
    with pytest.raises(WeightsError, match="'encoder'; ask for 'detector', 'second detector' or 'inverter'"):
        svdlib.pretrained("encoder")
    with pytest.raises(LayerError, match="no layer 'conv3'"):
        svdlib.pretrained("inverter", layer="conv3")


# --- devices ---


@pytest.mark.parametrize("device, parts", [("cuda:99", ["--device cpu"]), ("gpu", ["Try auto, cpu, cuda"])])
@pytest.mark.parametrize(
    "verb", ["train detector", "train inverters", "evaluate detector", "evaluate nre", "invert {song} --out {folder}"]
)
def test_a_device_that_is_not_there(refused, song_file, tmp_path, monkeypatch, verb, device, parts):
    monkeypatch.chdir(tmp_path)
    words = verb.format(song=song_file(), folder=tmp_path / "out").split()
    refused(*words, "--device", device, parts=[repr(device), *parts])
    assert [path.name for path in tmp_path.iterdir()] == ["song.wav"]


# --- folders that cannot be written ---


def unwritable(kind, tmp_path):
    """An output folder that cannot be used, and what the message must hold besides."""
    (tmp_path / "file").write_text("in the way")
    if kind == "a file":
        return tmp_path / "file", ["is a file", "Name a folder"]
    if kind == "below a file":
        return tmp_path / "file" / "out", [f"{tmp_path / 'file'} is a file", "Name a folder"]
    return "/proc/out", ["Choose a folder you may write to"]


KINDS = ["a file", "below a file"]
KINDS += ["not for writing"] if sys.platform == "linux" else []


@pytest.mark.parametrize("kind", KINDS)
def test_an_unwritable_folder_for_inversions(refused, song_file, tmp_path, kind):
    folder, parts = unwritable(kind, tmp_path)
    refused("invert", song_file(), "--out", folder, "--device", "cpu", parts=[folder, *parts])
    assert (tmp_path / "file").read_text() == "in the way"


@pytest.mark.parametrize("verb", ["train detector", "train inverters"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_unwritable_folder_for_training(refused, tmp_path, monkeypatch, verb, kind):
    monkeypatch.setattr("svdlib.recipes.open_corpus", lambda _: pytest.fail("the corpus was opened first"))
    folder, parts = unwritable(kind, tmp_path)
    refused(*verb.split(), "--folder", folder, parts=[folder, *parts])


@pytest.mark.parametrize(
    ("words", "parts"),
    [
        (["--objective", "input", "--compare", "fc8"], ["'input'", "no feature loss", "leave out --compare"]),
        (["--compare", "fc9"], ["'fc9'", "conv1"]),
        (["--objective", "input", "--jitter", "4", "1", "0"], ["no feature loss", "leave out --jitter"]),
        (["--jitter", "4", "0.5", "0"], ["whole frames and bands", "0.5"]),
        (["--jitter", "0", "0", "0"], ["would do nothing"]),
        (["--jitter", "115", "0", "0"], ["excerpts of 115 frames and 80 bands", "115 and 0"]),
        (["--jitter", "4", "1e400", "0"], ["excerpts of 115 frames and 80 bands", "4 and inf"]),
        (["--jitter", "4", "1"], ["--jitter"]),
    ],
)
def test_layers_to_compare_at_that_make_no_sense(refused, tmp_path, monkeypatch, words, parts):
    monkeypatch.setattr("svdlib.recipes.open_corpus", lambda _: pytest.fail("the corpus was opened first"))
    refused("train", "inverters", "--folder", tmp_path, *words, parts=parts)


@needs_rights
def test_a_folder_without_the_right_to_write(refused, song_file, public_folder):
    song = song_file(public_folder / "song.wav")
    folder = public_folder / "out"
    folder.mkdir(mode=0o555)
    with not_root():
        refused("invert", song, "--out", folder, "--device", "cpu", parts=[folder, "Permission denied"])


# --- Ctrl-C ---

PLAN = {"epochs": 500, "batch_size": 2, "steps_per_epoch": 4, "validation_excerpts": 2}
TRAINING = f"""
import sys
import torch
from svdlib.cli import main
from svdlib.inversion.plans import TrainingPlan
from svdlib.zoo import profiles

torch.set_num_threads(1)
profiles.PROFILES["demo"] = TrainingPlan(**{PLAN})
sys.exit(main(sys.argv[1:]))
"""


def test_ctrl_c_in_training_keeps_the_state_and_resume_goes_on(capsys, tmp_path, monkeypatch):
    words = ["train", "inverters", "--corpus", TINY, "--device", "cpu", "--layers", "fc8", "--folder", str(tmp_path)]
    process = subprocess.Popen([sys.executable, "-c", TRAINING, *words], stderr=subprocess.PIPE, text=True)
    state, deadline = tmp_path / STATE_FILE, time.monotonic() + 300
    while not state.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 130
    assert "Traceback" not in err and "svdlib: Interrupted; the same command with --resume goes on." in err

    reached = load_state(state)[1]
    monkeypatch.setitem(profiles.PROFILES, "demo", TrainingPlan(**PLAN))
    assert main([*words, "--resume", "--minutes", "0"]) == 0
    assert "--resume goes on" in capsys.readouterr().err
    gone_on = load_state(state)[1]
    per_epoch = PLAN["steps_per_epoch"]
    assert gone_on["epoch"] * per_epoch + gone_on["step"] > reached["epoch"] * per_epoch + reached["step"]
    assert gone_on["history"][: len(reached["history"])] == reached["history"]
