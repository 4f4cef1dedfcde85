"""What a researcher types who comes with a network of their own, as the README and the book show it."""

import base64
import io
import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest
import torch
from listeners import PlainCNN, ResidualGRU, WaveNet, spectrograms, waveforms
from PIL import Image
from places import CHILDREN_PATH
from torch import nn

import svdlib
from svdlib.compute.run_state import RunOptions
from svdlib.errors import DeviceError, InputError, LayerError, PlanError, TrainingError, WeightsError
from svdlib.inversion.optimisation import OptimisationPlan

SONGS, EACH = 90, 10
PICTURES = {"frame_rate": 100, "band_hz": np.geomspace(60, 6000, 64)}


def split(x, inputs):
    """Banks of training, validation and test inputs, by songs."""
    ids = [f"song {number // EACH}" for number in range(len(x))]
    ends = [0, inputs - 200, inputs - 100, inputs]
    return [svdlib.TensorBank(x[a:b], groups=ids[a:b]) for a, b in zip(ends, ends[1:], strict=False)]


def run_the_block(net, layers, compare, x, folder, front, **options):
    """From a network to numbers, a figure and a page; returns the scores and the run."""
    torch.manual_seed(0)
    front = svdlib.FrontEnd(**front)
    enc = svdlib.Encoder(net, layers=layers, example=x[:2])
    data, valid, test = split(x, SONGS * EACH)
    fit = svdlib.fit_inverters(
        enc, data, valid, **{"inverter": "auto", "plan": "demo"} | options, compare=compare, folder=folder / "run",
        resume=True,
    )  # fmt: skip
    fit.save(folder / "mine")
    inverters = svdlib.load_inverters(folder / "mine")
    assert list(inverters) == list(enc.shapes) and fit.finished
    feature = enc[layers[-1]](x[:2])
    found = svdlib.invert_by_optimisation(enc[layers[-1]], feature, x[:2].shape, OptimisationPlan(passes=2))
    assert found.pictures.shape == x[:2].shape
    svdlib.plot_inversions(test.x[:3], enc, inverters, front).savefig(folder / "inversions.png")
    svdlib.explore(test.x[::20], enc, inverters, front).save(folder / "page.html")
    check_page((folder / "page.html").read_text(), enc, front, test.x[::20])
    return svdlib.evaluate_inverters(enc, inverters, test), fit


def check_page(page, enc, front, x):
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1])
    assert data["steps"] == ["original", *enc.shapes] and len(data["excerpts"]) == len(x)
    for panel in data["panels"][0]:
        assert panel["seconds"] == x.shape[2] / front.frame_rate
        assert bool(panel["sound"]) == (front.band_hz is None), "a waveform is its own sound"
        width, height = Image.open(io.BytesIO(base64.b64decode(panel["picture"]))).size
        assert front.band_hz is None or (width, height) == tuple(x.shape[2:])


def check_beats_the_mean(scores):
    for layer, score in scores.items():
        low, high = score.ci95
        assert low < score.nre < high < score.mean_predictor, f"{layer}: {score!r}"


def test_a_network_on_waveforms(tmp_path, capsys):
    torch.manual_seed(0)
    layers = ["conv1", "conv2", "conv3"]
    scores, fit = run_the_block(WaveNet(), layers, "conv3", waveforms(SONGS * EACH), tmp_path, {"frame_rate": 8000})
    check_beats_the_mean(scores)
    told = capsys.readouterr().err
    for layer, inverter in fit.inverters.items():
        assert f"{layer}: aligned inverter, " in told and fit.reasons[layer] in told
        assert inverter.provenance["reason"] == fit.reasons[layer]
        assert inverter.provenance["listener"]["network"] == "WaveNet" and inverter.provenance["compare"] == "conv3"


@pytest.mark.slow
def test_a_plain_network_on_spectrograms(tmp_path):
    torch.manual_seed(0)
    layers = ["pool1", "conv3", "fc"]
    scores, _ = run_the_block(PlainCNN(), layers, "conv3", spectrograms(SONGS * EACH), tmp_path, PICTURES)
    check_beats_the_mean(scores)


@pytest.mark.slow
def test_a_residual_network_with_a_recurrent_layer(tmp_path):
    torch.manual_seed(0)
    layers = ["res1", "res2", "gru"]
    scores, fit = run_the_block(ResidualGRU(), layers, "res2", spectrograms(SONGS * EACH), tmp_path, PICTURES)
    check_beats_the_mean(scores)
    assert [fit.inverters[layer].variant for layer in layers] == ["aligned", "aligned", "general"]


@pytest.mark.slow
def test_at_equal_parameters_aligned_is_better_where_the_path_is_long():
    """What the book's page says of both families; behind the first pooling they are alike."""
    torch.manual_seed(0)
    layers, x = ["pool1", "pool2", "conv3"], spectrograms(SONGS * EACH)
    enc = svdlib.Encoder(PlainCNN(), layers=layers, example=x[:2])
    data, valid, test = split(x, SONGS * EACH)
    plan = svdlib.TrainingPlan(epochs=3, batch_size=16, schedule="cosine", steps_per_epoch=40, validation_excerpts=64)
    found = {}
    for family in ("aligned", "general"):
        fit = svdlib.fit_inverters(enc, data, valid, inverter=family, parameters=12_000, compare="conv3", plan=plan)
        found[family] = svdlib.evaluate_inverters(enc, fit.inverters, test)
    for layer in ("pool2", "conv3"):
        assert found["aligned"][layer].nre < 0.95 * found["general"][layer].nre
    assert found["aligned"]["pool1"].nre == pytest.approx(found["general"]["pool1"].nre, rel=0.1)


# --- what else a run promises ---

BANKS = ("train", "valid")
PLAN = svdlib.TrainingPlan(epochs=2, batch_size=4, steps_per_epoch=3, validation_excerpts=8)


@pytest.fixture(scope="module")
def small():
    """A network, and banks of a few inputs."""
    torch.manual_seed(0)
    x = waveforms(60)
    enc = svdlib.Encoder(WaveNet().train(), layers=["conv2", "out"], example=x[:2])
    return enc, svdlib.TensorBank(x[:40]), svdlib.TensorBank(x[40:])


def fit(small, **options):
    enc, train, valid = small
    return svdlib.fit_inverters(enc, train, valid, **{"plan": PLAN, "parameters": 2000} | options)


def same(one, other):
    pairs = [(one.inverters[layer].state_dict(), other.inverters[layer].state_dict()) for layer in one.inverters]
    return all(torch.equal(first[name], second[name]) for first, second in pairs for name in first)


def test_the_same_seed_gives_the_same_inverters_and_the_network_is_only_read(small):
    net = small[0].net
    before = [value.clone() for value in net.state_dict().values()]
    one, other = fit(small), fit(small, seed=0)
    assert same(one, other) and not same(one, fit(small, seed=1))
    assert all(torch.equal(old, new) for old, new in zip(before, net.state_dict().values(), strict=True))
    assert net.training and all(weights.requires_grad for weights in net.parameters())


def test_a_run_that_was_stopped_goes_on_to_the_same_inverters(small, tmp_path):
    whole = fit(small, folder=tmp_path / "whole")
    stopped = fit(small, folder=tmp_path / "broken", minutes=0)
    assert not stopped.finished
    while not stopped.finished:
        stopped = fit(small, folder=tmp_path / "broken", resume=True, minutes=1e-9)
    assert same(whole, stopped) and whole.history == stopped.history
    for changed in ({"parameters": 3000}, {"inverter": "general"}, {"compare": "out"}):
        with pytest.raises(TrainingError, match="belongs to another run: (inverters|compare)"):
            fit(small, folder=tmp_path / "whole", resume=True, **changed)


def test_bfloat16_leads_nearly_the_same_way(small):
    exact, half = fit(small).history[-1].validation, fit(small, precision="bfloat16").history[-1].validation
    assert half["conv2"] == pytest.approx(exact["conv2"], rel=0.05)


@pytest.mark.parametrize("objective", ["input", "released"])
def test_other_objectives_work_as_well(small, objective):
    losses = fit(small, objective=objective, inverter="general").history[-1].validation
    assert all(0 < loss < 3 for loss in losses.values())


def test_an_objective_that_needs_pictures_says_so(small):
    with pytest.raises(PlanError, match=r"judges pictures .*shape \(1, 512\)"):
        fit(small, objective="adversarial")


def test_the_mean_input_is_where_learning_starts(small):
    enc, train, valid = small
    plan = svdlib.TrainingPlan(epochs=1, batch_size=4, steps_per_epoch=1, learning_rate=1e-12, validation_excerpts=8)
    untrained = fit(small, plan=plan, inverter="general")
    mean = train.x.mean(0)
    for inverter in untrained.inverters.values():
        torch.testing.assert_close(inverter.mean[:, :, 0], mean, rtol=1e-5, atol=1e-6)
    scores = svdlib.evaluate_inverters(enc, untrained.inverters, valid, train=train)
    for score in scores.values():
        assert score.nre == pytest.approx(score.mean_predictor, rel=0.05)


def test_inverters_go_with_no_other_network(small, tmp_path):
    enc, _, valid = small
    fit(small).save(tmp_path)
    stranger = svdlib.Encoder(WaveNet(), layers=["conv2", "out"], example=valid.x[:2])
    with pytest.raises(WeightsError, match="trained for another"):
        svdlib.evaluate_inverters(stranger, svdlib.load_inverters(tmp_path), valid)
    assert set(svdlib.evaluate_inverters(enc, svdlib.load_inverters(tmp_path), valid)) == {"conv2", "out"}


def test_wrong_requests_are_told(small):
    with pytest.raises(LayerError, match="family 'published' is made for the detector, not for WaveNet"):
        fit(small, variant="published")
    with pytest.raises(LayerError, match="no layer 'conv9'. The layers are: conv2, out"):
        fit(small, compare="conv9")
    with pytest.raises(PlanError, match="no profile 'quick'"):
        fit(small, plan="quick")
    excerpts = svdlib.TensorBank(torch.zeros(4, 1, 115, 80))
    with pytest.raises(PlanError, match="inverter='auto' and variant='aligned' name a family"):
        svdlib.fit_inverters(svdlib.SVDNet(), excerpts, excerpts, inverter="auto", variant="aligned")


class Blind(nn.Module):
    """A network that computes without gradients from its second layer on."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Conv1d(1, 4, 5), nn.Conv1d(4, 4, 5)

    def forward(self, x):
        x = torch.relu(self.first(x))
        with torch.no_grad():
            return self.second(x)


def test_reconstructions_are_compared_only_where_there_is_a_gradient(small):
    _, *banks = small
    blind = svdlib.Encoder(Blind(), layers=["first", "second"], example=banks[0].x[:2])
    for compare in (None, "second", ["first", "second"]):
        with pytest.raises(LayerError, match="feature of second has no gradient.*objective='input'"):
            fit((blind, *banks), compare=compare)
    for allowed in ({"compare": "first"}, {"objective": "input"}, {"objective": "released"}):
        assert fit((blind, *banks), layers="first", **allowed).finished


@pytest.mark.parametrize(
    ("train", "valid", "words"),
    [
        ([1, 2], [3, 4], None),
        (None, None, None),
        (["a", "b"], ["b", "c"], "share groups: 'b'[.] .*Split by groups"),
        (list("abcdef"), list("abcde"), "share groups: 'a', 'b', 'c' and 2 more[.]"),
    ],
)
def test_groups_in_training_and_validation_are_told(small, capsys, train, valid, words):
    def bank(given, groups):
        return svdlib.TensorBank(given.x, groups and [groups[index % len(groups)] for index in range(len(given))])

    fit((small[0], bank(small[1], train), bank(small[2], valid)))
    told = [line for line in capsys.readouterr().err.splitlines() if "share groups" in line]
    assert len(told) == bool(words) and (not words or re.search(words, told[0]))


def test_a_device_that_is_not_the_banks_is_refused(small):
    for wrong in ({"device": "cuda"}, {"device": "cuda:1"}, {"options": RunOptions(device="cuda")}):
        with pytest.raises(DeviceError, match="device is 'cuda.*lie on 'cpu', and the bank's device counts"):
            fit(small, **wrong)
    for right in ({"device": "auto"}, {"device": "cpu"}, {"device": torch.device("cpu", 0)}, {"options": RunOptions()}):
        assert fit(small, minutes=0, **right).inverters


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"train": lambda x: x}, InputError, "training inputs are Tensor, not a bank. Wrap them: svdlib.TensorBank"),
        ({"valid": lambda x: x.numpy()}, InputError, "validation inputs are ndarray, not a bank"),
        ({"train": lambda x: svdlib.TensorBank(x[..., :400])}, InputError, r"\(1, 512\), .*training.* have \(1, 400\)"),
        ({"valid": lambda x: svdlib.TensorBank(x.transpose(1, 2))}, InputError, "validation.* Turn the last two axes"),
        ({"train": lambda x: svdlib.TensorBank(x[:, 0])}, InputError, "Add the axis of channels"),
        ({"train": lambda x: svdlib.TensorBank(x[:, None])}, InputError, "Take the axis of channels away"),
        ({"plan": {"epochs": 2}}, PlanError, "plan is {'epochs': 2}, a dict. Give svdlib.TrainingPlan"),
        ({"compare": 3}, LayerError, "3 names no layer"),
        ({"compare": "conv3"}, LayerError, "network has a module 'conv3': name it in the Encoder's layers too"),
        (
            {"plan": svdlib.TrainingPlan(batch_size=64)},
            TrainingError,
            "40 training inputs do not fill a batch of 64[.]",
        ),
    ],
)
def test_what_cannot_be_trained_on_is_told(small, change, error, words):
    enc, *banks = small
    given = [change.get(name, lambda x, bank=bank: bank)(bank.x) for name, bank in zip(BANKS, banks, strict=True)]
    with pytest.raises(error, match=words):
        fit((enc, *given), **{name: value for name, value in change.items() if name not in BANKS})


def test_a_state_of_another_network_is_not_called_a_detectors(small, tmp_path):
    fit(small, folder=tmp_path)
    other = svdlib.Encoder(WaveNet(), layers=["conv2", "out"], example=small[1].x[:2])
    with pytest.raises(TrainingError, match="another run: network differs"):
        fit((other, *small[1:]), folder=tmp_path, resume=True)
    with pytest.raises(TrainingError, match="another run: training inputs differ"):
        fit((small[0], small[2], small[2]), folder=tmp_path, resume=True)


SCRIPT = """
import sys, torch, svdlib
from listeners import WaveNet, waveforms
from svdlib.compute.distributed import team
torch.manual_seed(0)
x, net = waveforms(60), WaveNet()
with team("cpu"):
    enc = svdlib.Encoder(net, layers=["conv2", "out"], example=x[:2])
    plan = svdlib.TrainingPlan(epochs=2, batch_size=4, steps_per_epoch=3, validation_excerpts=8)
    fit = svdlib.fit_inverters(enc, svdlib.TensorBank(x[:40]), svdlib.TensorBank(x[40:]), parameters=2000, plan=plan)
    fit.save(sys.argv[1])
"""


@pytest.mark.slow
def test_several_processes_learn_what_one_learns(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    losses = []
    for count in (1, 2):
        words = ["-m", "torch.distributed.run", f"--nproc_per_node={count}", "--standalone"]
        folder = tmp_path / str(count)
        environment = os.environ | {"PYTHONPATH": CHILDREN_PATH, "OMP_NUM_THREADS": "1"}
        child = subprocess.run(
            [sys.executable, *words, str(tmp_path / "script.py"), str(folder)],
            env=environment, capture_output=True, text=True,
        )  # fmt: skip
        assert child.returncode == 0, child.stderr[-3000:]
        assert child.stderr.count("conv2: aligned inverter") == 1, "the leader alone says it"
        found = svdlib.load_inverters(folder)
        losses.append([found[layer].provenance["validation_losses"] for layer in found])
    assert torch.allclose(torch.tensor(losses[0]), torch.tensor(losses[1]), rtol=1e-4)
