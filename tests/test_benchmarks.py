"""The benchmarks: they run, their tables are complete, they count right, and what they compare computes the same.

How fast anything is, is not tested: that depends on the machine. What starts processes for it is slow, and runs in
`make test-bench`.
"""

import copy
import functools
import importlib
import json
import math
import os
import subprocess
import sys
import time

import numpy as np
import pytest
import tiny
import torch
import torch.nn.functional as F
from places import CHILDREN_PATH, ROOT
from test_imports import BLOCK_ALL_BUT_TORCH_AND_NUMPY
from test_imports import run as run_code

from benchmarks import __main__ as runner
from benchmarks import detector_training, inverter_training, log_mel, measuring, peak_memory
from benchmarks.flops import count_detector_update, count_update
from benchmarks.measuring import Options, Spread, Table
from svdlib.audio.log_mel import LogMel
from svdlib.compute.run_state import mix_seeds, own_chance
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.detector.model import LAYER_SHAPES, LAYERS
from svdlib.inversion.plans import TrainingPlan
from svdlib.lab import gpu_job
from svdlib.paper.inverters import PUBLISHED
from svdlib.zoo.families import build_inverter
from svdlib.zoo.fitting import fit_inverters

QUICK = Options(quick=True)
PRECISIONS = measuring.precisions("cpu")


# Columns that must be there, by script and number of its table.
COLUMNS = {
    "inverter_training": [
        {"way", "excerpts/s", "times as fast"},
        {"precision", "GFLOP/excerpt", "matrix GFLOP/s", "time / floor"},
        {"layer", "share of FLOPs", "of these in the comparator", "alone, time / floor"},
    ],
    "operators": [
        {"kind", *(f"{family}, {precision}" for family in ("published", "aligned") for precision in PRECISIONS)}
    ],
    "detector_training": [{"way", "labels/s", "times as fast"}, {"way", "GFLOP/label", "time / its own floor"}],
    "prediction": [{"way", "times real time", "times as fast", "memory, GB", "largest difference"}],
    "log_mel": [{"front end", "minutes of music/s", "LogMel is faster by", "largest difference"}],
    "scaling": [
        {"layers", "time per update, times that of one", "counted operations, times"},
        {"excerpts per update", "time per excerpt, times that of the smallest"},
        {"excerpts", "time per update, times that of the fewest"},
        {"processes", "times as fast as one"},
    ],
}


@functools.cache
def quick_report(name):
    return measuring.measure(name, importlib.import_module(f"benchmarks.{name}").tables, QUICK)


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name == "scaling" else name for name in runner.SCRIPTS]
)
def test_every_script_fills_its_tables(name):
    report = quick_report(name)
    tables = json.loads(json.dumps(measuring.as_json(report)))["tables"]
    assert [set().union(*table["rows"]) for table in tables] == COLUMNS[name]
    spreads = [cell for table in tables for row in table["rows"] for cell in row.values() if isinstance(cell, dict)]
    assert spreads
    for cell in spreads:
        assert 0 < cell["min"] <= cell["median"] <= cell["max"] < math.inf
    page = measuring.as_page(report)
    assert "the numbers mean nothing" in page and all(table["title"] in page for table in tables)


def test_a_page_of_tables_is_made_from_what_was_written(tmp_path):
    table = Table(
        "A and B", [{"way": "A", "times": Spread(2.0, 1.0, 3.0)}, {"way": "B", "times": None}], ["Less is more."]
    )
    report = measuring.Report("one", "cpu", "AMX", "2.13.0", 2, False, [table])
    measuring.write(report, tmp_path / "one.json")
    assert measuring.read(tmp_path / "one.json") == report
    assert measuring.as_markdown([report, report]).split("\n\n") == [
        "CPU, bfloat16 by AMX, 2 threads, torch 2.13.0.",
        *2 * ["**A and B**", "| way | times |\n|---|---|\n| A | 2.00 (1.00–3.00) |\n| B | - |", "Less is more."],
    ][:-1] + ["Less is more.\n"]  # fmt: skip


@pytest.mark.slow
def test_peak_memory_is_measured_beside_the_size_of_the_log_mel():
    (table,) = peak_memory.tables(QUICK)
    assert [row["verb"] for row in table.rows] == [
        "import torch", "corpus build", "evaluate detector", "invert", "corpus build",
    ]  # fmt: skip
    for row in table.rows[1:]:
        assert row["memory, MB"] > table.rows[0]["memory, MB"] > 50
        assert row["log-mel, MB"] == pytest.approx(20 * 70 * 80 * 4 / 1e6) and row["minutes"] > 0


MEASURING = """
import functools, time
from benchmarks.measuring import in_fresh_process
if __name__ == "__main__":
    in_fresh_process(functools.partial(print, "measuring", flush=True), 1)
    in_fresh_process(functools.partial(time.sleep, 600), 1)
"""


@pytest.mark.slow
@pytest.mark.skipif(os.name == "nt", reason="a process there keeps the number of its parent")
def test_what_is_measured_ends_with_the_script_that_is_killed(tmp_path):
    (tmp_path / "script.py").write_text(MEASURING)
    environment = os.environ | {"PYTHONPATH": CHILDREN_PATH}
    command = [sys.executable, tmp_path / "script.py"]
    parent = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)
    assert parent.stdout.readline() == "measuring\n"
    time.sleep(8)  # until the second process has begun, or is about to
    parent.kill()
    parent.communicate(timeout=60)  # ends when nobody holds the pipe any more


def test_the_shares_of_all_layers_and_the_detector_make_up_the_whole():
    rows = quick_report("inverter_training").tables[2].rows
    assert sum(row["share of FLOPs"] for row in rows) == pytest.approx(1)


@pytest.mark.slow
def test_a_script_runs_alone_and_writes_what_it_prints(tmp_path):
    command = [sys.executable, "-m", "benchmarks.detector_training", "--quick", "--json", "--out", tmp_path / "x.json"]
    command += ["--page", tmp_path / "x.md"]
    done = subprocess.run(list(map(str, command)), cwd=ROOT, capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == json.loads((tmp_path / "x.json").read_text())
    assert json.loads(done.stdout)["name"] == "detector_training"
    assert measuring.as_markdown([measuring.read(tmp_path / "x.json")]) == (tmp_path / "x.md").read_text()


@pytest.mark.slow
def test_the_gpu_job_leaves_tables_and_goes_on_where_time_was_up(tmp_path, capfd):
    common = ["bench", "--quick", "--device", "cpu", "--folder", str(tmp_path)]
    assert gpu_job.main([*common, "--minutes", "-1"]) == 3
    assert f"not measured yet: {', '.join(runner.SCRIPTS)}" in capfd.readouterr().out
    for name in runner.SCRIPTS:
        if name != "detector_training":
            measuring.write(measuring.Report(name, "cpu", "", "", 1, True, []), tmp_path / "bench" / f"{name}.json")
    assert gpu_job.main([*common, "--minutes", "10"]) == 0
    assert json.loads((tmp_path / "bench" / "detector_training.json").read_text())["tables"]
    assert json.loads((tmp_path / "bench" / "scaling.json").read_text())["tables"] == []


@pytest.mark.slow
def test_the_benchmarks_need_only_torch_and_numpy():
    code = BLOCK_ALL_BUT_TORCH_AND_NUMPY.replace('"tiny"', '"benchmarks"') + (
        "import benchmarks.__main__\n"
        "from benchmarks import log_mel, measuring, prediction, scaling\n"
        "from benchmarks.__main__ import SCRIPTS, importlib\n"
        "torch.set_num_threads(1)\n"
        "scripts = [importlib.import_module(f'benchmarks.{name}') for name in SCRIPTS]\n"
        "tables = [table for script in scripts for table in script.tables(measuring.Options(quick=True))]\n"
        "print(len(tables))\n"
    )
    # Not installed means that no search finds it either.
    code = "import importlib.util\n" + code.replace(
        "torch.set_num_threads(1)",
        "torch.set_num_threads(1)\n"
        "for module in (scaling, log_mel, prediction): module.find_spec = lambda name: name == 'torch'",
    )
    child = run_code(code)
    assert child.returncode == 0, child.stderr
    assert int(child.stdout) == sum(map(len, COLUMNS.values()))


# Operations counted by hand


def multiplications(stage, n_in, height, width):
    """Multiply-adds of one stage, and the shape of what it puts out."""
    if stage.kind == "FC":
        return n_in * stage.units, (stage.units, height, width)
    if stage.kind == "Conv":
        return n_in * stage.units * 9 * height * width, (stage.units, height, width)
    return n_in * stage.units * 16 * height * width, (stage.units, 2 * height, 2 * width)


def inverter_by_hand(layer):
    """Operations per excerpt: forward, weights' gradients, and inputs' gradients of all stages but the first."""
    shape = LAYER_SHAPES[layer]
    n_in, height, width = shape if len(shape) == 3 else (shape[0], 1, 1)
    total = 0
    for number, stage in enumerate(PUBLISHED[layer].stages):
        if stage.kind != "FC" and len(shape) == 1 and PUBLISHED[layer].stages[number - 1].kind == "FC":
            n_in, height, width = 16, 4, 4
        count, (n_in, height, width) = multiplications(stage, n_in, height, width)
        total += 2 * count * (3 if number else 2)
    return total


COMPARATOR_FORWARD = 2 * 9 * (113 * 78 * 1 * 64 + 111 * 76 * 64 * 32 + 35 * 23 * 32 * 128 + 33 * 21 * 128 * 64)


@pytest.mark.parametrize("layer", LAYERS)
def test_operations_of_an_update_are_those_counted_by_hand(layer):
    counted = count_update((layer,))
    assert counted.inverter == {layer: inverter_by_hand(layer)}
    assert counted.comparator == {layer: 2 * COMPARATOR_FORWARD}
    deeper = {"fc7": 2 * 64 * 77 * 256, "fc8": 2 * 64 * 77 * 256 + 2 * 256 * 64}.get(layer, 0)
    assert counted.detector == COMPARATOR_FORWARD + deeper
    assert counted.total == counted.detector + 2 * COMPARATOR_FORWARD + inverter_by_hand(layer)


def test_operations_of_all_layers_share_the_detector():
    alone = [count_update((layer,)) for layer in LAYERS]
    assert count_update().total == alone[-1].detector + sum(one.total - one.detector for one in alone)


def test_operations_of_the_detector_are_those_counted_by_hand():
    dense = 2 * (64 * 77 * 256 + 256 * 64 + 64)
    first = 2 * 9 * 113 * 78 * 64  # its input needs no gradient
    assert count_detector_update(fully_convolutional=False) == 3 * (COMPARATOR_FORWARD + dense) - first
    long_first = 2 * 9 * 392 * 78 * 64
    long = long_first + 2 * 9 * (390 * 76 * 64 * 32 + 128 * 23 * 32 * 128 + 126 * 21 * 128 * 64)
    assert count_detector_update(fully_convolutional=True) == (3 * (long + 32 * dense) - long_first) / 32


# What is compared computes the same


@pytest.mark.parametrize("layer", ["conv1", "mp6", "fc8"])
def test_the_plain_loop_and_fit_inverters_have_the_same_losses(layer):
    bank = tiny.bank(frames=165)
    everything = bank.gather(torch.arange(len(bank)))
    plan = TrainingPlan(epochs=3, batch_size=len(bank), steps_per_epoch=1, validation_excerpts=1)
    fitted = fit_inverters(tiny.detector(), bank, bank, layers=(layer,), plan=plan, seed=5)
    with own_chance(mix_seeds(5, LAYERS.index(layer)), torch.device("cpu")):
        inverter = build_inverter(layer)
    optimiser = inverter_training.plain_optimiser(inverter)
    detector = copy.deepcopy(tiny.detector())
    plain = [float(inverter_training.plain_update(layer, detector, inverter, optimiser, everything)) for _ in range(3)]
    assert plain == pytest.approx([epoch.training[layer] for epoch in fitted.history], rel=1e-4)
    assert plain[0] > plain[1] > plain[2]


def test_the_plain_loop_of_the_detector_has_the_loss_of_whole_segments():
    song, detector = tiny.songs(frames=115 + 9 * 5), copy.deepcopy(tiny.detector())
    examples = detector_training.LabelledExcerpts(song.log_mels[0], song.labels[0])
    excerpts, sung = zip(*(examples[start] for start in range(0, len(examples), 9)), strict=True)
    segment = torch.from_numpy(song.log_mels[0])[None, None]
    labels = torch.from_numpy(song.labels[0][CENTRE_FRAME : len(song.labels[0]) - CENTRE_FRAME : 9]).float()
    with torch.no_grad():
        expected = F.binary_cross_entropy_with_logits(detector.segment_logits(segment)[0], 0.02 + 0.96 * labels)
    standing = torch.optim.SGD(detector.parameters(), lr=0.0)
    found = detector_training.plain_update(
        detector, standing, torch.from_numpy(np.stack(excerpts)), torch.tensor(np.array(sung))
    )
    assert len(sung) == 6 and 0 < sum(sung) < 6
    assert float(found) == pytest.approx(float(expected), rel=1e-5)


@pytest.mark.parametrize("name", ["LogMel().float()", "librosa"])
def test_front_ends_that_are_compared_have_the_same_filters_and_frames(name):
    samples = log_mel.make_samples(1)
    np.testing.assert_allclose(log_mel.FRONT_ENDS[name][1]("cpu")(samples), LogMel()(samples).numpy(), atol=1e-3)


# The helper


@pytest.mark.slow
def test_ways_are_called_in_turn_in_fresh_processes():
    ways = {"one": os.getpid, "other": os.getpid}
    found = measuring.in_turn(ways, Options(rounds=2))
    assert len({os.getpid(), *found["one"], *found["other"]}) == 5


def test_no_round_begins_after_the_deadline_but_the_first():
    found = measuring.in_turn({"way": os.getpid}, Options(rounds=3, deadline=time.monotonic() - 1))
    assert len(found["way"]) == 1


def test_ratios_are_taken_round_by_round():
    assert measuring.ratios([2.0, 30.0, 4.0], [1.0, 10.0, 1.0]) == Spread(3.0, 2.0, 4.0)


def test_a_stopwatch_leaves_out_the_updates_before_and_after(monkeypatch):
    clock = iter([10.0, 16.0])
    monkeypatch.setattr(measuring, "now", lambda device: next(clock))
    watch = measuring.Stopwatch("cpu", steps=3)
    for _ in range(watch.needed):
        watch.begin_update()
    assert watch.needed == 6 and watch.seconds == 2.0


def test_a_table_as_text():
    rows = [{"way": "plain", "ratio": 1.0}, {"way": "other", "ratio": Spread(2.25, 2.0, 2.5), "note": 7}]
    text = str(Table("Title", rows, ["Remark."]))
    assert text.splitlines() == [
        "Title",
        "",
        "way    ratio             note",
        "plain  1.00              -",
        "other  2.25 (2.00–2.50)  7",
        "Remark.",
    ]
