"""Two processes that train together against one, over gloo. What each of the two does stands in together.py."""

import os
import signal
import time

import numpy as np
import pytest
import tiny
import together
import torch
from torch import nn

from svdlib.cli import main
from svdlib.compute import distributed
from svdlib.compute.batch_norm import batch_moments, share_batches
from svdlib.compute.devices import choose_device
from svdlib.compute.distributed import average, largest, own_device, share_of, team
from svdlib.compute.dropout import share_dropout
from svdlib.compute.run_state import STATE_FILE
from svdlib.compute.storage import load_state
from svdlib.errors import DeviceError, TrainingError
from svdlib.inversion import training
from svdlib.paper.released import average_as_released
from svdlib.zoo.checkpoints import load_inverter
from svdlib.zoo.families import build_inverter

LOSS_TOLERANCE = 1e-4
"""Relative. Sums run in another order, and on a CPU batch normalisation in the fast memory layout is only exact to
about 1e-5; Adam then turns the last digits of a gradient near zero into a whole step."""

MOVED_TOLERANCE = 0.03
"""How far the weights of two runs may be apart, as a share of the way that training took them."""


@pytest.fixture(scope="module")
def two(tmp_path_factory):
    """The folder with what two processes brought: runs of all kinds, and single layers."""
    folder = tmp_path_factory.mktemp("two")
    status, _, err = together.finish(together.start("runs", folder, *together.RUNS))
    assert status == 0, err
    return folder


def found(two, name, rank=0):
    arrays, meta = load_state(two / f"{name}{rank}.npz")
    return arrays, meta


def as_in_a_file(run):
    """Weights and history of a run in this process, in the form in which together.py keeps them."""
    network = nn.ModuleDict(run.inverters) if hasattr(run, "inverters") else run.detector
    return network.state_dict(), [epoch if isinstance(epoch, dict) else vars(epoch) for epoch in run.history]


def losses(history):
    """All numbers of a history in one array."""
    rows = [
        [np.atleast_1d(list(v.values()) if isinstance(v, dict) else v) for v in epoch.values()] for epoch in history
    ]
    return np.array([np.concatenate(row) for row in rows])


def all_values(arrays):
    return torch.cat([arrays[name].flatten().float() for name in sorted(arrays) if not name.endswith("tracked")])


# --- the same as in one process ---


@pytest.mark.parametrize("name", together.RUNS)
def test_two_processes_learn_what_one_learns(two, name):
    (theirs, meta), (mine, history) = found(two, name), as_in_a_file(together.RUNS[name]())
    np.testing.assert_allclose(losses(meta["history"]), losses(history), rtol=LOSS_TOLERANCE)
    assert theirs.keys() == mine.keys()
    start, _ = as_in_a_file(untrained(name))
    moved = (all_values(mine) - all_values(start)).norm()
    assert (all_values(mine) - all_values(theirs)).norm() < MOVED_TOLERANCE * moved


def untrained(name):
    """The same run before its first update."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(training, "carry_on", lambda *_, **__: True)
        patched.setattr("svdlib.detector.training.carry_on", lambda *_, **__: True)
        return together.RUNS[name]()


@pytest.mark.parametrize("name", together.RUNS)
def test_all_processes_hold_the_same_result_to_the_last_bit(two, name):
    (one, meta), (other, other_meta) = found(two, name, 0), found(two, name, 1)
    assert meta == other_meta
    assert all(torch.equal(one[key], other[key]) for key in one)


def test_a_state_of_two_processes_is_that_of_one(two, tmp_path):
    together.inverters(tmp_path)
    (theirs, meta), (mine, my_meta) = load_state(two / "inverters" / STATE_FILE), load_state(tmp_path / STATE_FILE)
    assert {name: value.shape for name, value in theirs.items()} == {name: value.shape for name, value in mine.items()}
    assert meta["identity"] == my_meta["identity"]
    assert not list(two.glob("*/.*.partial"))


@pytest.mark.parametrize("kind", ["1d", "2d"])
def test_shared_batch_normalisation_is_that_of_the_whole_batch(two, kind):
    """Outputs, gradients and running averages of two updates, in double precision, against PyTorch's own."""
    network, x, weights = together.norm_and_batch(kind)
    parts = [found(two, "layers", rank)[0] for rank in (0, 1)]
    for name, expected in together.normalise(kind, network, x, weights).items():
        shares = [part[name] for part in parts]
        if "running" in name or "tracked" in name:
            assert torch.equal(*shares)
            shares = shares[:1]
        of_the_batch = name.removeprefix(f"{kind}/") in ("x", "y")
        together_they_give = torch.cat(shares) if of_the_batch else sum(shares)
        torch.testing.assert_close(together_they_give, expected, rtol=1e-10, atol=1e-10)


def test_shared_dropout_leaves_out_what_one_process_would(two):
    expected = together.drop(nn.Dropout(0.3), torch.ones(6, 4, 5))
    parts = [found(two, "layers", rank)[0] for rank in (0, 1)]
    assert torch.equal(torch.cat([part["dropped"] for part in parts]), expected["dropped"])
    assert all(torch.equal(part["drawn after"], expected["drawn after"]) for part in parts)
    assert (expected["dropped"] == 0).any()


# --- stopping and going on ---


def killed(folder, renames, count=2):
    """A run that is ended by kill -9, all its processes at once, while the leader is writing a state."""
    process = together.start("hold", folder, renames, count=count)
    deadline = time.monotonic() + 120
    while not (folder / "held").exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.1)
    for number in (process.pid, *(int((folder / f"process{rank}").read_text()) for rank in range(count))):
        os.kill(number, signal.SIGKILL)
    process.communicate()
    assert list(folder.glob(".*.partial"))
    assert 0 < load_state(folder / STATE_FILE)[1]["step"] < together.PLAN.steps_per_epoch


@pytest.mark.slow
def test_a_killed_run_of_two_goes_on_to_the_same_weights(two, tmp_path):
    killed(tmp_path, 4)
    status, _, err = together.finish(together.start("resume", tmp_path))
    assert status == 0, err
    (resumed, meta), (unbroken, other) = load_state(tmp_path / STATE_FILE), load_state(two / "inverters" / STATE_FILE)
    assert meta == other and all(torch.equal(resumed[name], unbroken[name]) for name in unbroken)
    assert not list(tmp_path.glob(".*.partial"))


@pytest.mark.slow
def test_a_run_of_two_goes_on_in_one(two, tmp_path):
    killed(tmp_path, 4)
    resumed = together.inverters(tmp_path, resume=True)
    unbroken = found(two, "inverters")[1]["history"]
    np.testing.assert_allclose(losses(as_in_a_file(resumed)[1]), losses(unbroken), rtol=LOSS_TOLERANCE)


@pytest.mark.slow
def test_a_run_of_one_goes_on_in_two(two, tmp_path):
    assert not together.inverters(tmp_path, minutes=0).finished
    status, _, err = together.finish(together.start("resume", tmp_path))
    assert status == 0, err
    history = load_state(tmp_path / STATE_FILE)[1]["history"]
    np.testing.assert_allclose(losses(history), losses(found(two, "inverters")[1]["history"]), rtol=LOSS_TOLERANCE)


def test_ctrl_c_that_reaches_one_process_stops_all_at_the_same_update(tmp_path):
    status, _, err = together.finish(together.start("interrupt", tmp_path))
    assert status == 0, err
    assert (tmp_path / "interrupted0").exists() and (tmp_path / "interrupted1").exists()
    assert load_state(tmp_path / STATE_FILE)[1]["step"] == 2


@pytest.mark.slow
def test_when_a_process_dies_the_others_end_and_say_so(tmp_path):
    status, _, _ = together.finish(together.start("lose", tmp_path))
    assert status != 0
    said = (tmp_path / "said").read_text()
    assert "other processes cannot be reached" in said and "--resume goes on" in said


# --- the command line ---

TINY = "synthetic:songs=3,seconds=5"


def command(part, folder, *words):
    return ["train", part, "--corpus", TINY, "--device", "cpu", "--folder", str(folder), *words]


@pytest.mark.slow
def test_the_command_line_trains_inverters_in_two_processes_as_in_one(capsys, tmp_path):
    together_there, alone_there = tmp_path / "two", tmp_path / "one"
    words = command("inverters", together_there, "--layers", "fc8")
    status, out, err = together.finish(together.start("-m", "svdlib", *words, script=None), timeout=400)
    assert status == 0, err
    assert out == f"{together_there / 'published-fc8.safetensors'}\n"
    assert err.count("memory at most") == 1 and "in the first of 2 processes" in err
    assert main(command("inverters", alone_there, "--layers", "fc8")) == 0
    assert "processes" not in capsys.readouterr().err
    folders = (together_there, alone_there)
    two, one = (load_inverter(folder / "published-fc8.safetensors", "fc8").provenance for folder in folders)
    for key in ("training_losses", "validation_losses"):
        np.testing.assert_allclose(two[key], one[key], rtol=LOSS_TOLERANCE)
    assert two["plan"] == one["plan"]


@pytest.mark.slow
def test_ctrl_c_at_torchrun_keeps_the_state_and_resume_goes_on(tmp_path):
    words, state = command("detector", tmp_path), tmp_path / STATE_FILE
    process = together.start("-m", "svdlib", *words, script=None)
    deadline = time.monotonic() + 300
    while not state.exists():
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    status, out, err = together.finish(process, timeout=300)
    assert status != 0 and out == ""
    assert "svdlib: Interrupted; the same command with --resume goes on." in err and "fault in svdlib" not in err
    reached = load_state(state)[1]
    assert reached["epoch"] + reached["step"] > 0
    words = command("detector", tmp_path, "--resume", "--minutes", "0")
    status, _, err = together.finish(together.start("-m", "svdlib", *words, script=None), timeout=300)
    assert status == 0 and err.count("--resume goes on") == 1, err
    gone_on = load_state(state)[1]
    assert (gone_on["epoch"], gone_on["step"]) > (reached["epoch"], reached["step"])


# --- bad input, without any second process ---


@pytest.fixture
def second_of_three(monkeypatch):
    monkeypatch.setattr(distributed, "processes", lambda: 3)
    monkeypatch.setattr(distributed, "rank", lambda: 1)


def test_each_process_has_its_share_of_a_batch(second_of_three):
    assert list(range(12))[share_of(12)] == [4, 5, 6, 7]


def test_a_batch_that_cannot_be_divided_is_named_before_any_training(second_of_three):
    with pytest.raises(TrainingError, match="batch of 4 excerpts .* 3 processes.*divides it.*batch_size"):
        together.inverters()
    with pytest.raises(TrainingError, match="batch of 4 .* 3 processes"):
        together.detector()


def test_alone_nothing_changes(monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with team("cpu") as device:
        assert device == choose_device("cpu") and distributed.leads()
    inverter = build_inverter("fc8")
    assert share_batches(inverter) is inverter and share_dropout(tiny.detector()) is tiny.detector()
    assert {type(module) for module in inverter.modules()} >= {nn.BatchNorm1d, nn.BatchNorm2d}
    values = torch.arange(3.0)
    average([values])
    assert values.tolist() == [0, 1, 2] and largest(5) == 5


def test_one_gpu_is_not_shared(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert own_device("auto") == own_device("cuda") == torch.device("cuda", 1)
    assert own_device("cpu") == torch.device("cpu")
    with pytest.raises(DeviceError, match="cannot share the one device 'cuda:0'.*--device cuda"):
        own_device("cuda:0")
    monkeypatch.setenv("LOCAL_RANK", "2")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    with pytest.raises(DeviceError, match="2 GPUs for 4 processes.*--nproc_per_node=2"):
        own_device("auto")


def test_an_environment_that_leads_to_no_other_process(monkeypatch):
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(TrainingError, match="other processes cannot be reached"), team("cpu"):
        pass


def test_moments_are_those_of_torch():
    x = torch.randn(5, 3, 4, generator=torch.Generator().manual_seed(0)) + 2
    mean, variance = batch_moments(x)
    torch.testing.assert_close(mean, x.mean((0, 2)))
    torch.testing.assert_close(variance, x.var((0, 2), correction=0))


def test_the_released_averages_know_shared_batch_normalisation(monkeypatch):
    monkeypatch.setattr("svdlib.compute.batch_norm.processes", lambda: 2)
    inverter = average_as_released(share_batches(build_inverter("fc8")))
    norms = [module for module in inverter.modules() if hasattr(module, "running_mean")]
    assert norms and all(norm.momentum == 0 and norm._forward_pre_hooks for norm in norms)
    assert list(inverter.state_dict()) == list(build_inverter("fc8").state_dict())
