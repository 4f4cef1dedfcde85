import json
import os
import socket

import pytest
import tiny
import torch
from rights import needs_rights, not_root
from safetensors.torch import load_file, save_file

from svdlib.detector.model import LAYERS, SVDNet
from svdlib.errors import LayerError, OutputError, WeightsError
from svdlib.lab.analysis.round_trip import kinship
from svdlib.zoo.checkpoints import (
    DETECTOR_FILE,
    PACKAGED,
    SECOND_FILE,
    TRAININGS,
    load_detector,
    load_inverter,
    pretrained,
    pretrained_inverters,
    save_weights,
    weights_name,
)
from svdlib.zoo.families import build_inverter

PROVENANCE = {"corpus": "made up", "seed": 3, "metrics": {"loss": 0.5}}


@pytest.fixture(scope="module")
def inverter():
    """An FC8 inverter whose running averages are not the initial ones."""
    torch.manual_seed(0)
    network = build_inverter("fc8")
    with torch.no_grad():
        network.train()(torch.randn(8, 64))
    return network.eval()


@pytest.fixture
def weights(tmp_path, inverter):
    path = tmp_path / "weights.safetensors"
    save_weights(path, inverter, PROVENANCE)
    return path


def rewrite(path, tensors=None, **metadata):
    """Write a weights file anew with some tensors or metadata changed."""
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        old = file.metadata()
    save_file(tensors if tensors is not None else load_file(path), path, metadata=old | metadata)


# --- round trip ---


@torch.no_grad()
def test_a_network_comes_back_in_eval_mode_with_its_provenance(weights, inverter):
    loaded = load_inverter(weights, "fc8")
    assert not loaded.training and loaded.provenance == PROVENANCE
    assert all(value.dtype in (torch.float32, torch.int64) for value in loaded.state_dict().values())
    feature = torch.randn(4, 64)
    assert (loaded(feature) - inverter(feature)).norm() < 2e-3 * inverter(feature).norm()


def test_statistics_and_biases_are_kept_in_full_and_weights_in_half(weights, inverter):
    stored = load_file(weights)
    for name, value in inverter.state_dict().items():
        if value.ndim >= 2:
            assert stored[name].dtype == torch.float16
            torch.testing.assert_close(stored[name].float(), value, rtol=1e-3, atol=1e-6)
        else:
            assert torch.equal(stored[name], value)


@torch.no_grad()
def test_a_detector_keeps_its_standardisation(tmp_path):
    import copy

    detector = copy.deepcopy(tiny.detector())
    detector.standardizer.mean.uniform_(-6, -3)
    save_weights(tmp_path / "d.safetensors", detector, {"threshold": 0.5})
    loaded = load_detector(tmp_path / "d.safetensors")
    assert torch.equal(loaded.standardizer.mean, detector.standardizer.mean)
    x = torch.randn(2, 1, 115, 80)
    torch.testing.assert_close(loaded(x), detector(x), atol=5e-3, rtol=5e-3)


def test_a_network_in_channels_last_is_stored_alike(tmp_path, weights, inverter):
    import copy

    last = copy.deepcopy(inverter).to(memory_format=torch.channels_last)
    save_weights(tmp_path / "last.safetensors", last, PROVENANCE)
    one, two = load_file(weights), load_file(tmp_path / "last.safetensors")
    assert all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("exact", [False, True])
def test_the_same_network_gives_the_same_bytes(tmp_path, inverter, exact):
    paths = [tmp_path / f"{number}.safetensors" for number in range(12)]
    for path in paths:
        save_weights(path, inverter, PROVENANCE | {"text": "Café — \n"}, exact=exact)
    assert len({path.read_bytes() for path in paths}) == 1
    assert load_inverter(paths[0], "fc8").provenance == PROVENANCE | {"text": "Café — \n"}
    save_weights(tmp_path / "again.safetensors", load_inverter(paths[0], "fc8"), PROVENANCE | {"text": "Café — \n"},
                 exact=exact)  # fmt: skip
    assert (tmp_path / "again.safetensors").read_bytes() == paths[0].read_bytes()


# --- files that do not fit ---


def test_weights_of_another_layer(weights):
    with pytest.raises(WeightsError, match=f"{weights} holds the weights of a published inverter of fc8, not .* fc7"):
        load_inverter(weights, "fc7")
    with pytest.raises(WeightsError, match="not of a detector"):
        load_detector(weights)


def test_weights_of_another_version(weights):
    rewrite(weights, format="svdlib-weights-0")
    with pytest.raises(WeightsError, match=f"{weights} is in format 'svdlib-weights-0'.*reads 'svdlib-weights-1'"):
        load_inverter(weights, "fc8")


def test_a_safetensors_file_from_elsewhere(tmp_path):
    path = tmp_path / "elsewhere.safetensors"
    save_file({"weight": torch.zeros(3)}, path)
    with pytest.raises(WeightsError, match=f"{path} is in format None"):
        load_inverter(path, "fc8")


@pytest.mark.parametrize("kept", [0, 4, 100, 5000, -1])
def test_a_truncated_file(weights, kept):
    weights.write_bytes(weights.read_bytes()[:kept])
    with pytest.raises(WeightsError, match=f"{weights} is not a whole safetensors file"):
        load_inverter(weights, "fc8")


def test_a_file_of_something_else(tmp_path):
    path = tmp_path / "song.safetensors"
    path.write_bytes(b"RIFF....WAVEfmt " * 100)
    with pytest.raises(WeightsError, match=f"{path} is not a whole safetensors file"):
        load_inverter(path, "fc8")


def test_a_missing_file_or_a_folder(tmp_path):
    for path in (tmp_path / "none.safetensors", tmp_path):
        with pytest.raises(WeightsError, match=f"no weights file {path}"):
            load_inverter(path, "fc8")


def test_values_that_are_not_numbers(weights):
    tensors = load_file(weights)
    tensors["stages.FC1.0.weight"][3, 4] = float("nan")
    rewrite(weights, tensors)
    with pytest.raises(WeightsError, match=f"{weights} holds values that are not finite"):
        load_inverter(weights, "fc8")


def test_tensors_missing_extra_or_of_another_shape(weights):
    whole = load_file(weights)
    name = "stages.FC1.0.weight"
    without = {key: value for key, value in whole.items() if key != name}
    for tensors in (without, whole | {name: torch.zeros(2, 2)}, without | {"stages.FC9.0.weight": whole[name]}):
        rewrite(weights, tensors)
        with pytest.raises(WeightsError, match=f"{weights} does not fit .*stages.FC"):
            load_inverter(weights, "fc8")


def test_whole_numbers_in_place_of_weights(weights):
    tensors = load_file(weights)
    tensors["stages.FC1.0.weight"] = tensors["stages.FC1.0.weight"].to(torch.int32)
    rewrite(weights, tensors)
    with pytest.raises(WeightsError, match=r"stages.FC1.0.weight holds values of type torch.int32, .* torch.float32"):
        load_inverter(weights, "fc8")


def test_a_value_that_single_precision_cannot_hold(weights):
    tensors = load_file(weights)
    tensors["stages.FC1.0.weight"] = tensors["stages.FC1.0.weight"].double() * 1e300
    rewrite(weights, tensors)
    with pytest.raises(WeightsError, match=f"{weights} holds values that are not finite"):
        load_inverter(weights, "fc8")


def test_a_variance_that_no_root_can_be_taken_of(weights):
    tensors = load_file(weights)
    tensors["stages.FC1.1.running_var"][3] = -0.5
    rewrite(weights, tensors)
    with pytest.raises(WeightsError, match="stages.FC1.1.running_var holds -0.5, and must be above -0.0001"):
        load_inverter(weights, "fc8")


def test_a_deviation_that_cannot_be_divided_by(tmp_path):
    detector = SVDNet()
    detector.standardizer.std[7] = 0
    save_weights(tmp_path / "d.safetensors", detector, {"threshold": 0.5})
    with pytest.raises(WeightsError, match="d.safetensors: standardizer.std holds 0, and must be above 0"):
        load_detector(tmp_path / "d.safetensors")


@pytest.mark.parametrize("threshold", ["NaN", "Infinity", "-3", "1.01", "true", "null", '"0.5"', "1" + 400 * "0"])
def test_a_threshold_that_is_no_probability(tmp_path, threshold):
    path = tmp_path / "d.safetensors"
    save_weights(path, SVDNet(), {"threshold": 0.5})
    rewrite(path, provenance=f'{{"threshold": {threshold}}}')
    with pytest.raises(WeightsError, match=f"{path} .*Train it again|{path} .*train it again"):
        load_detector(path)


@needs_rights
def test_a_file_that_may_not_be_read_is_not_called_damaged(public_folder, inverter):
    path = public_folder / "weights.safetensors"
    save_weights(path, inverter, PROVENANCE)
    for place, mode in ((path, 0o000), (public_folder, 0o000)):
        place.chmod(mode)
        with not_root(), pytest.raises(WeightsError, match=f"{path} cannot be read: Permission denied.*permissions"):
            load_inverter(path, "fc8")


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_pipe_is_no_weights_file(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(WeightsError, match=f"no weights file {tmp_path}/pipe"):
        load_inverter(tmp_path / "pipe", "fc8")


def test_a_provenance_that_json_cannot_hold_is_refused_before_it_is_written(tmp_path, inverter):
    for wrong in (float("nan"), float("inf"), {1, 2}, tmp_path):
        with pytest.raises(WeightsError, match="provenance for .* cannot be written as JSON"):
            save_weights(tmp_path / "w.safetensors", inverter, {"value": wrong})
    assert os.listdir(tmp_path) == []


NESTED = ["[" * depth + "]" * depth for depth in (40, 900, 5000, 100_000)]


@pytest.mark.parametrize("value", ["9" * 5000, "NaN", "-Infinity", "1e999", *NESTED], ids=lambda value: value[:9])
def test_a_provenance_that_could_not_be_shown(weights, value):
    rewrite(weights, provenance=f'{{"a": {value}}}')
    with pytest.raises(WeightsError, match=f"{weights}.*provenance is missing or damaged"):
        load_inverter(weights, "fc8")


@pytest.mark.parametrize("provenance", ["", "{", "[1, 2]"])
def test_a_damaged_provenance(weights, provenance):
    rewrite(weights, provenance=provenance)
    with pytest.raises(WeightsError, match=f"{weights}.*provenance"):
        load_inverter(weights, "fc8")


def test_a_file_without_provenance(weights):
    metadata = {"format": "svdlib-weights-1", "network": "published inverter of fc8"}
    save_file(load_file(weights), weights, metadata=metadata)
    with pytest.raises(WeightsError, match=f"{weights}.*provenance"):
        load_inverter(weights, "fc8")


def test_a_place_that_cannot_be_written(tmp_path, inverter):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Cannot write"):
        save_weights(tmp_path / "file" / "w.safetensors", inverter, {})


# --- what comes with the package ---


def test_every_shipped_file_has_a_provenance_that_json_can_hold():
    names = {weights_name(layer, "published") for layer in LAYERS} | {DETECTOR_FILE, SECOND_FILE}
    assert names <= {path.name for path in PACKAGED.glob("*.safetensors")}
    for network in (pretrained("detector"), pretrained("second detector"), *pretrained_inverters().values()):
        assert network.provenance and json.loads(json.dumps(network.provenance)) == network.provenance
    assert 0 < pretrained("detector").threshold < 1


def test_the_second_detector_can_judge_the_first():
    first, second = pretrained("detector"), pretrained("second detector")
    assert kinship(first, second) < 0.1 and kinship(first, first) == pytest.approx(1)


@pytest.mark.parametrize(
    ("variant", "training", "layers"),
    [
        ("published", None, LAYERS),
        ("aligned", None, LAYERS),
        ("aligned", "input", ("mp6", "fc7", "fc8")),
        ("aligned", "longer", ("fc7", "fc8")),
        ("aligned", "conv5", ("fc7", "fc8")),
        ("aligned", "own", ("fc7", "fc8")),
    ],
)
def test_shipped_inverters_were_trained_on_the_shipped_detector(variant, training, layers):
    inverters = pretrained_inverters(variant, training)
    trained_on = {layer: inverter.provenance["detector"] for layer, inverter in inverters.items()}
    assert trained_on == dict.fromkeys(layers, pretrained("detector").provenance)


def test_trainings_differ_in_their_objective():
    fc8 = {each: pretrained("inverter", layer="fc8", variant="aligned", training=each) for each in (None, *TRAININGS)}
    told = {each: inverter.provenance for each, inverter in fc8.items()}
    assert {each: origin["objective"] for each, origin in told.items()} == {
        None: "balanced",
        "input": "input",
        "longer": "input",
        "conv5": "balanced",
        "own": "balanced",
    }
    assert {each: origin.get("compare") for each, origin in told.items()} == {
        None: ["conv5", "fc8"],
        "input": None,
        "longer": None,
        "conv5": None,
        "own": ["conv5", "fc8"],
    }
    assert {each: origin.get("jitter") for each, origin in told.items()} == {
        None: {"shift": [4, 1], "noise": 0.0, "share": 1.0},
        "input": None,
        "longer": None,
        "conv5": None,
        "own": None,
    }


@pytest.mark.parametrize(
    ("variant", "training", "message"),
    [("aligned", "none", "no training 'none'.*input, longer, conv5, own"), ("published", "input", "no published ones")],
)
def test_a_training_that_does_not_exist(variant, training, message):
    with pytest.raises(WeightsError, match=message):
        pretrained_inverters(variant, training)


def test_shipped_files_are_under_15_megabytes_together():
    assert sum(path.stat().st_size for path in PACKAGED.rglob("*.safetensors")) < 15e6


@torch.no_grad()
def test_pretrained_networks_work_without_a_network(monkeypatch):
    def refuse(*_, **__):
        raise AssertionError("tried to open a connection")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    detector, inverters = pretrained("detector"), pretrained_inverters()
    assert tuple(inverters) == LAYERS and not detector.training
    x = torch.randn(1, 1, 115, 80)
    for layer, feature in detector.features(x).items():
        assert not inverters[layer].training
        output = inverters[layer](feature)
        assert output.shape == x.shape and torch.isfinite(output).all()


def test_shipped_detector_knows_its_training_songs_scale():
    """Log-mels lie between ln(1e-7) and a few units above 0."""
    standardizer = pretrained("detector").standardizer
    assert (standardizer.mean > -16.2).all() and (standardizer.mean < 5).all()
    assert (standardizer.std > 0.3).all() and (standardizer.std < 5).all()


def test_asking_for_what_does_not_exist():
    with pytest.raises(WeightsError, match="'encoder'.*'detector', 'second detector' or 'inverter'"):
        pretrained("encoder")
    with pytest.raises(WeightsError, match="layer='fc8'"):
        pretrained("inverter")
    with pytest.raises(LayerError, match="'fc9'"):
        pretrained("inverter", layer="fc9")
    with pytest.raises(LayerError, match="'aligend'"):
        pretrained("inverter", layer="fc8", variant="aligend")


def test_a_detector_without_its_threshold_is_refused(tmp_path):
    path = tmp_path / "d.safetensors"
    save_weights(path, SVDNet(), {"corpus": "synthetic"})
    with pytest.raises(WeightsError, match="d.safetensors lacks the detector's threshold"):
        load_detector(path)
