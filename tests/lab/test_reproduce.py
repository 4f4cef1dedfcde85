"""The whole paper as one program, on synthetic songs in folders that are laid out as Jamendo and RWC are."""

import base64
import html.parser
import json
import re
from dataclasses import replace

import numpy as np
import pytest

from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.detector.model import LAYERS
from svdlib.detector.training import DetectorPlan
from svdlib.errors import TrainingError
from svdlib.inversion.inverters import count_parameters
from svdlib.inversion.plans import TrainingPlan
from svdlib.lab.studies import reproduce, reproduce_plan, reproduce_report, reproduce_steps
from svdlib.lab.studies.reproduce_plan import Outline, Speeds
from svdlib.lab.studies.reproduce_steps import Settings
from svdlib.paper.training import PublishedPlan
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.export import export_corpus
from svdlib.zoo.families import build_inverter
from svdlib.zoo.profiles import DETECTOR_PROFILES, PROFILES

pytestmark = pytest.mark.filterwarnings("ignore:.* songs of .* are there")  # there are few, and that is said
TINY_DETECTOR = DetectorPlan(epochs=2, steps_per_epoch=1, batch_size=2)
TINY_INVERTERS = TrainingPlan(epochs=1, batch_size=2, steps_per_epoch=1, validation_excerpts=2)


def as_jamendo(folder, songs, seconds, seed=3):
    """Synthetic songs as Jamendo is laid out: sound, `.lab` files of the same names, and lists of each split."""
    corpus = open_corpus(f"synthetic:songs={songs},seconds={seconds},seed={seed}")
    export_corpus(corpus, folder, processes=1)
    (folder / "splits.csv").unlink()
    (folder / "filelists").mkdir()
    for split in ("train", "valid", "test"):
        names = "".join(f"{track.name}.flac\n" for track in corpus.split(split))
        (folder / "filelists" / split).write_text(names)
    return f"jamendo:{folder}"


def as_rwc(folder, songs, seconds, seed=5):
    """Synthetic songs as RWC is laid out: numbered WAV files, and change points of who is heard."""
    import soundfile

    (folder / "audio").mkdir(parents=True)
    (folder / "annotations").mkdir()
    tracks = open_corpus(f"synthetic-b:songs={max(3, songs)},seconds={seconds},seed={seed}").tracks[:songs]
    for number, track in enumerate(tracks, start=1):
        soundfile.write(folder / "audio" / f"RWC_P{number:03}.wav", track.load(), SAMPLE_RATE, subtype="FLOAT")
        lines = "0.0\tb\n" + "".join(f"{s.start + 1e-3}\tf:\n{s.end - 1e-3}\tb\n" for s in track.segments)
        (folder / "annotations" / f"RM-P{number:03}.VOCA_INST.TXT").write_text(f"{lines}{seconds}\te\n")
    return f"rwc:{folder}"


@pytest.fixture(scope="module")
def tiny_profile():
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(DETECTOR_PROFILES, "demo", TINY_DETECTOR)
        patch.setitem(PROFILES, "demo", TINY_INVERTERS)
        yield


@pytest.fixture(scope="module")
def done(tmp_path_factory, tiny_profile):
    """A finished run: its settings, and what it found."""
    place = tmp_path_factory.mktemp("reproduce")
    settings = Settings(
        corpus=as_jamendo(place / "songs of mine", 3, 6),
        second=as_rwc(place / "others", 2, 6),
        folder=place / "run",
        profile="demo",
        objectives=("joint",),
        sets=1,
        device="cpu",
    )
    choose = reproduce_report.choose_excerpts
    with pytest.MonkeyPatch.context() as patch:
        # One excerpt of each class instead of two: drawing all takes longer than anything else.
        patch.setattr(reproduce_report, "choose_excerpts", lambda bank: dict(list(choose(bank).items())[::2]))
        return settings, reproduce.reproduce(settings, say=lambda line: None)


def options_of(settings, **changes):
    """The settings as a command line."""
    settings = replace(settings, **changes)
    line = []
    for name in ("corpus", "second", "folder", "profile", "sets", "device", "seed"):
        line += [f"--{name}", str(getattr(settings, name))]
    return [*line, "--objectives", *settings.objectives]


def contents(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


class Page(html.parser.HTMLParser):
    """What is on a page: images, addresses that it would ask for, and tags that are open at its end."""

    def __init__(self, text):
        super().__init__()
        self.images, self.addresses, self.open, self.rows = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.addresses += [attributes[name] for name in ("src", "href") if name in attributes]
        if tag == "img":
            self.images.append(attributes)
        elif tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_every_step_leaves_its_result(done):
    settings, results = done
    assert json.loads((settings.folder / "results.json").read_text()) == results
    assert list(results["steps"]) == ["log-mels", "detector", "detector-scores", "inverters-joint", "nre-joint"]
    assert {split: count["songs"] for split, count in results["songs_and_frames"]["corpus"].items()} == {
        "train": 1, "valid": 1, "test": 1,
    }  # fmt: skip
    assert results["songs_and_frames"]["second"]["test"]["songs"] == 2
    assert len(results["detector"]["history"]) == TINY_DETECTOR.epochs
    assert set(results["detector_scores"]["second"]) >= {"auc", "published_auc", "accuracy", "threshold"}


def test_numbers_are_those_of_the_commands_by_hand(done, capsys):
    from svdlib.cli import main

    settings, results = done
    by_hand = {step.name: step.commands for step in reproduce_steps.steps_of(settings)}
    found = []
    for command in by_hand["nre-joint"]:
        words = [word.strip("'") for word in re.findall(r"'[^']*'|\S+", command)]
        assert main([*words[1:], "--json"]) == 0
        found.append(json.loads(capsys.readouterr().out))
    for key, layers in zip(("corpus", "second", "second_own"), found, strict=True):
        for layer in LAYERS:
            assert results["nre"]["joint"][key]["layers"][layer]["nre"] == pytest.approx(layers[layer]["nre"], abs=1e-5)
    assert results["nre"]["joint"]["second"] != results["nre"]["joint"]["second_own"]


def test_the_page_needs_nothing_else_and_tells_what_is_in_its_figures(done):
    settings, results = done
    text = (settings.folder / "report.html").read_text()
    page = Page(text)
    assert not page.open
    assert all(address.startswith("data:image/png;base64,") for address in page.addresses)
    assert all(base64.b64decode(image["src"].partition(",")[2]).startswith(b"\x89PNG") for image in page.images)
    assert all(len(image["alt"]) > 40 for image in page.images)
    for number in range(1, 7):
        assert f"Figure {number}." in text
    assert "Table 1." in text and "Table 2." in text
    fc8 = results["nre"]["joint"]["corpus"]["layers"]["fc8"]["nre"]
    assert f"{fc8:.3f}" in text and "mean predictor" in text
    assert str(settings.folder.parent) not in text + json.dumps(results), "no place on this disk"
    assert "The songs are not those of the paper" in text, "folders of that name hold others"


def test_the_same_command_again_trains_nothing(done, monkeypatch, capsys):
    settings, results = done
    for name in ("train_detector", "train_inverters", "predict_songs", "evaluate_nre", "load_songs"):
        monkeypatch.setattr(reproduce_steps, name, None)
    monkeypatch.setattr(reproduce, "write_report", lambda settings, results: None)  # takes its time
    assert reproduce.main(options_of(settings)) == 0
    said = capsys.readouterr().out
    assert said.count("there already") == 5 and "report.html" in said
    again = json.loads((settings.folder / "results.json").read_text())
    assert again | {"date": "", "commit": ""} == results | {"date": "", "commit": ""}


def test_other_settings_are_refused_before_anything_is_done(done, capsys):
    settings, _ = done
    before = contents(settings.folder)
    for changes, word in (({"seed": 1}, "seed"), ({"sets": 2}, "sets"), ({"profile": "laptop"}, "profile")):
        assert reproduce.main(options_of(settings, **changes)) == 2
        error = capsys.readouterr().err
        assert "belongs to another run" in error and word in error and "another folder" in error
    assert reproduce.main(options_of(settings, second=settings.corpus)) == 2
    assert "second_songs differ" in capsys.readouterr().err
    assert contents(settings.folder) == before


def test_another_objective_is_added_to_what_is_there(done):
    settings, _ = done
    both = replace(settings, objectives=("joint", "input"))
    states = {line.step.name: line.state for line in plan(both)}
    assert states["inverters-joint"] == states["detector"] == "done" and states["inverters-input"] == "to do"


def test_a_lost_file_is_made_again_and_a_changed_one_is_noticed(done):
    settings, _ = done
    files = settings.inverter_files("joint")
    content = files[0].read_bytes()
    steps = reproduce_steps.steps_of(settings)
    try:
        files[0].unlink()
        assert set(reproduce_steps.finished_steps(settings, steps)) == {"log-mels", "detector", "detector-scores"}
        files[0].write_bytes(content + b" ")
        with pytest.raises(TrainingError, match="nre-joint.json .*: inverters differ"):
            reproduce_steps.finished_steps(settings, steps)
    finally:
        files[0].write_bytes(content)
    assert len(reproduce_steps.finished_steps(settings, steps)) == 5


def test_a_damaged_record_is_named(done):
    settings, _ = done
    steps = reproduce_steps.steps_of(settings)
    path = reproduce_steps.record_path(settings, steps[1])
    content = path.read_bytes()
    try:
        path.write_bytes(content[: len(content) // 2])
        with pytest.raises(TrainingError, match="detector.json is damaged"):
            reproduce_steps.finished_steps(settings, steps)
    finally:
        path.write_bytes(content)


def test_ctrl_c_and_the_same_command_goes_on(done, tmp_path, monkeypatch, capsys):
    settings, results = done
    settings = replace(settings, folder=tmp_path / "run")

    def interrupt(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(reproduce_steps, "train_inverters", interrupt)
        assert reproduce.main(options_of(settings)) == 130
    assert "Interrupted; run the command again" in capsys.readouterr().err
    assert sorted(path.name for path in (settings.folder / "steps").iterdir()) == [
        "detector-scores.json", "detector.json", "log-mels.json",
    ]  # fmt: skip
    monkeypatch.setattr(reproduce_steps, "train_detector", None)
    monkeypatch.setattr(reproduce, "write_report", lambda settings, results: None)
    assert reproduce.main(options_of(settings)) == 0
    again = json.loads((settings.folder / "results.json").read_text())
    assert again["nre"] == results["nre"], "the same seed, the same numbers"


# --- the plan ---

SPEEDS = Speeds(
    sound={"corpus": 0.01, "second": 0.02},
    detector_update=0.5,
    frame=0.001,
    excerpt=0.1,
    inverter_update=dict.fromkeys(("joint", "input", "released"), 2.0),
)
OUTLINES = {
    "corpus": Outline({"train": 6, "valid": 2, "test": 3}, seconds=100.0),
    "second": Outline({"test": 4}, seconds=50.0),
}


def plan(settings, outlines=OUTLINES):
    return reproduce_plan.plan_of(settings, outlines, SPEEDS)


def test_time_and_disk_by_hand(tmp_path):
    settings = Settings("synthetic:songs=3,seconds=5", "synthetic-b", tmp_path, objectives=("joint",))
    lines = {line.step.name: line for line in plan(settings)}
    frames, seconds = 70 * (1100 + 200), {name: line.seconds for name, line in lines.items()}
    assert seconds["log-mels"] == pytest.approx(1100 * 0.01 + 200 * 0.02)
    assert lines["log-mels"].bytes == frames * 320 + 600 * 70 * 513 * 2
    published = PublishedPlan()
    assert seconds["detector"] == pytest.approx(published.epochs * (published.steps_per_epoch * 0.5 + 200 * 70 * 0.001))
    assert seconds["detector-scores"] == pytest.approx(2 * 70 * (300 + 200) * 0.001)
    excerpts = len(np.arange(0, 7000 - 115 + 1, 10))  # of a song
    assert seconds["inverters-joint"] == pytest.approx(30 * (6 * excerpts // 32 * 2.0 + 2 * excerpts * 0.1))
    assert seconds["nre-joint"] == pytest.approx(10 * 8 * (3 + 2 * 4) * 0.1)
    parameters = sum(count_parameters(build_inverter(layer)) for layer in LAYERS)
    assert lines["inverters-joint"].bytes == pytest.approx(18 * parameters, rel=0.01)


def test_the_estimated_disk_is_what_a_run_takes(done, tmp_path):
    settings, _ = done
    outlines = {role: reproduce_plan.outline_of(getattr(settings, role)) for role in ("corpus", "second")}
    assert outlines["corpus"].songs == {"train": 1, "valid": 1, "test": 1}
    assert outlines["corpus"].seconds == pytest.approx(6, abs=0.5)
    fresh = replace(settings, folder=tmp_path)
    sizes = {line.step.name: line.bytes for line in plan(fresh, outlines)}
    for name in ("detector", "inverters-joint"):
        real = sum(path.stat().st_size for path in (settings.folder / name).iterdir())
        assert sizes[name] == pytest.approx(real, rel=0.1)


def test_a_dry_run_prints_the_plan_and_writes_nothing(done, tmp_path, monkeypatch, capsys):
    settings, _ = done
    monkeypatch.setattr(reproduce_plan, "measure", lambda settings, outlines: SPEEDS)
    for folder in (settings.folder, tmp_path / "nothing"):
        before = contents(settings.folder.parent)
        assert reproduce.main([*options_of(settings, folder=folder), "--dry-run"]) == 0
        said = capsys.readouterr().out
        assert "inverters-joint" in said and "svdlib train detector" in said and "Nothing was written" in said
        assert said.count(" done ") == (5 if folder == settings.folder else 0)
        assert contents(settings.folder.parent) == before and not (tmp_path / "nothing").exists()


def test_a_begun_training_is_counted_by_its_epochs(done, tmp_path):
    import shutil

    settings, _ = done
    begun = replace(settings, folder=tmp_path)
    shutil.copytree(settings.folder / "detector", tmp_path / "detector")
    shutil.copytree(settings.folder / "steps", tmp_path / "steps")
    (tmp_path / "steps" / "detector.json").unlink()
    states = {line.step.name: line.state for line in plan(begun)}
    assert states == {
        "log-mels": "done", "detector": "begun, 99%", "detector-scores": "to do", "inverters-joint": "to do",
        "nre-joint": "to do",
    }  # fmt: skip


def test_without_the_corpora_there_is_a_plan_but_no_run(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("SVDLIB_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(reproduce_plan, "measure", lambda settings, outlines: SPEEDS)
    folder = tmp_path / "run"
    assert reproduce.main(["--folder", str(folder), "--dry-run"]) == 0
    said = capsys.readouterr().out
    assert "jamendo: 61/16/16" in said and "rwc: 0/0/100" in said and "svdlib corpus fetch rwc" in said
    assert reproduce.main(["--folder", str(folder)]) == 2
    assert "svdlib corpus fetch jamendo" in capsys.readouterr().err
    assert not folder.exists()


@pytest.mark.slow
def test_speeds_are_measured_for_both_kinds_of_plan(tmp_path):
    for profile in ("demo", "published"):
        settings = Settings("synthetic:songs=3,seconds=5", "synthetic-b", tmp_path, profile=profile, device="cpu")
        speeds = reproduce_plan.measure(settings, OUTLINES)
        numbers = [speeds.detector_update, speeds.frame, speeds.excerpt, *speeds.inverter_update.values()]
        assert all(0 < number < 300 for number in [*numbers, *speeds.sound.values()])
    assert not list(tmp_path.iterdir())


# --- what stands on the page ---


def measured(values, other):
    def of(numbers):
        layers = {layer: {"nre": n, "ci95": [n, n]} for layer, n in zip(LAYERS, numbers, strict=True)}
        return {"layers": layers, "mean_predictor": 0.7}

    return {"corpus": of(values), "second": of(other), "second_own": of(values)}


def test_statements_of_the_paper_on_its_own_terms():
    values = (0.1, 0.1, 0.4, 0.42, 0.451, 0.478, 0.55, 0.6)
    found = dict(reproduce_report.statements(measured(values, (0.1, 0.1, *(np.array(values[2:]) + 0.1)))))
    assert found["the largest error is at FC8"] == "the largest is at FC8"
    assert found["it decreases towards shallower layers"] == "exceptions: none"
    assert found["a large increase from Conv2 to MP3"].startswith("+0.300; the largest step, +0.300, leads to MP3")
    assert found["MP6 to FC7: changes by about 15 %"] == "+15.1%"
    assert found["Conv5: about 18 % less than FC7"] == "-18.0%"
    ends = [ours for said, ours in found.items() if said.startswith("the second corpus")]
    assert ends == ["worse at MP3, Conv4, Conv5, MP6, FC7, FC8", "worse at no layer"]
    both = {"joint": measured(values, values), "input": measured(np.array(values) * 0.9, values)}
    assert reproduce_report.compare_objectives(both)[1].count("-10.0%") == 8


def test_excerpts_of_both_classes_are_chosen_by_their_place():
    import tiny

    bank = tiny.bank(frames=400)
    chosen = reproduce_report.choose_excerpts(bank)
    assert list(chosen) == ["non-vocal 1", "non-vocal 2", "vocal 1", "vocal 2"]
    import torch

    assert bank.labels(torch.tensor(list(chosen.values()))).tolist() == [False, False, True, True]
    assert len(set(chosen.values())) == 4


def test_rwc_is_the_second_corpus_of_jamendo():
    assert reproduce.second_of("jamendo:/somewhere") == "rwc"
    assert reproduce.second_of("synthetic:songs=3") == "synthetic-b"
    assert reproduce.second_of("synthetic-b") == "synthetic"


@pytest.mark.slow
def test_end_to_end_under_the_profile_demo(tmp_path):
    corpus, second = as_jamendo(tmp_path / "jamendo", 9, 12), as_rwc(tmp_path / "rwc", 4, 12)
    line = ["--corpus", corpus, "--second", second, "--folder", str(tmp_path / "run"), "--profile", "demo"]
    assert reproduce.main([*line, "--device", "cpu", "--sets", "2"]) == 0
    results = json.loads((tmp_path / "run" / "results.json").read_text())
    assert list(results["nre"]) == ["released", "joint", "input"]
    for entry in results["nre"].values():
        assert entry["corpus"]["layers"]["conv1"]["nre"] < entry["corpus"]["layers"]["fc8"]["nre"]
    assert (tmp_path / "run" / "report.html").stat().st_size > 100_000
