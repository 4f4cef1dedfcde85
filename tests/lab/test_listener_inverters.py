"""The program that trains inverters of the other listeners: what it writes opens with the network that it was for."""

import json

import pytest
import torch

import svdlib
from svdlib.detector.recurrent import LAYERS, RecurrentDetector
from svdlib.inversion.inverters import check_belongs
from svdlib.lab.studies import listener_inverters
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import load_detector, pretrained, save_weights
from svdlib.zoo.listeners import UNTRAINED_SEED, recurrent_listener

ASKED = ["--corpus", "synthetic:songs=6,seconds=5", "--epochs", "1", "--device", "cpu", "--json"]


@pytest.mark.slow
def test_inverters_of_a_recurrent_detector_stop_resume_and_open(tmp_path, capsys):
    weights = tmp_path / "recurrent.safetensors"
    with torch.random.fork_rng():
        torch.manual_seed(0)
        save_weights(weights, RecurrentDetector(), {"threshold": 0.5})
    folder = tmp_path / "inverters"
    asked = [*ASKED, "--listener", "recurrent detector", "--network", str(weights), "--folder", str(folder)]
    assert listener_inverters.main([*asked, "--minutes", "0"]) == 0
    assert not json.loads(capsys.readouterr().out)["finished"] and not list(folder.glob("*.safetensors"))
    assert listener_inverters.main([*asked, "--resume"]) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["finished"] and list(result["layers"]) == list(LAYERS)
    found, listener = svdlib.load_inverters(folder), recurrent_listener(load_detector(weights))
    assert list(found) == list(LAYERS)
    for layer, inverter in found.items():
        check_belongs(layer, inverter, listener)
        assert inverter.provenance["objective"] == "balanced" and inverter.provenance["plan"]["epochs"] == 1
        assert inverter.provenance["corpus"] == "synthetic:songs=6,seconds=5"
    assert listener_inverters.main([*asked, "--start", str(folder), "--folder", str(tmp_path / "further")]) == 0
    assert "start" in svdlib.load_inverters(tmp_path / "further")["centre"].provenance


@pytest.mark.slow
def test_inverters_of_random_weights_open_with_these_alone(tmp_path, capsys):
    asked = [*ASKED, "--listener", "untrained detector", "--objective", "input", "--folder", str(tmp_path)]
    assert listener_inverters.main(asked) == 0
    assert json.loads(capsys.readouterr().out)["finished"]
    found, control = svdlib.load_inverters(tmp_path), untrained_like(pretrained("detector"), UNTRAINED_SEED)
    assert tuple(found) == listener_inverters.CONTROL_LAYERS
    for layer, inverter in found.items():
        check_belongs(layer, inverter, control)
        with pytest.raises(svdlib.SvdlibError, match="another detector"):
            check_belongs(layer, inverter, pretrained("detector"))
