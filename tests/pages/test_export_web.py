"""The scripts for pages: what is in them, and that the networks compute what PyTorch computes."""

import base64
import gzip
import json
import re

import numpy as np
import pytest
import torch
from onnx_by_hand import interpreter

from svdlib.detector.model import LAYERS
from svdlib.errors import LayerError
from svdlib.pages.export_web import as_script, export_web
from svdlib.zoo.checkpoints import pretrained


def unpacked(script: str) -> dict[str, bytes]:
    """The files that a script puts into the global object."""
    pairs = re.findall(r'^self\.svdlibFiles\["([^"]+)"\] = "([^"]*)";$', script, flags=re.MULTILINE)
    return {name: gzip.decompress(base64.b64decode(packed)) for name, packed in pairs}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("web")
    assert [path.name for path in export_web(folder)] == ["constants.js", "detector.js", "inverters.js"]
    return folder


@pytest.fixture(scope="module")
def files(folder, tmp_path_factory):
    """A folder with all files that the scripts hold."""
    unpacked_files = tmp_path_factory.mktemp("files")
    for script in folder.iterdir():
        for name, content in unpacked(script.read_text()).items():
            (unpacked_files / name).write_bytes(content)
    return unpacked_files


@pytest.fixture
def run(files):
    """Run an exported network without PyTorch."""
    return lambda name, wanted, **inputs: interpreter(str(files / name)).run(wanted, inputs)


def test_a_script_holds_its_files_whatever_is_in_them():
    content = {'a "b"\n.bin': bytes(range(256)), "empty": b""}
    lines = as_script(content).splitlines()
    assert lines[0] == "self.svdlibFiles = self.svdlibFiles || {};"
    assert [json.loads(re.match(r"self\.svdlibFiles\[(.*)\] = ", line)[1]) for line in lines[1:]] == list(content)
    assert unpacked("\n".join(lines)) == {"empty": b""}
    assert gzip.decompress(base64.b64decode(lines[1].split('"')[-2])) == bytes(range(256))


def test_the_same_weights_give_the_same_bytes(folder, tmp_path):
    for path in export_web(tmp_path):
        assert path.read_bytes() == (folder / path.name).read_bytes()


def test_files_and_constants(files):
    assert {path.name for path in files.iterdir()} == {
        "constants.json", "excerpt.onnx", "piece.onnx", "detector.weights", *(f"{layer}.onnx" for layer in LAYERS)
    }  # fmt: skip
    detector, constants = pretrained("detector"), json.loads((files / "constants.json").read_bytes())
    assert constants["threshold"] == detector.threshold and constants["variant"] == "aligned"
    feature = torch.randn(64, generator=torch.Generator().manual_seed(0))
    logit = (
        sum(w * float(f) for w, f in zip(constants["out"]["weight"], feature, strict=True)) + constants["out"]["bias"]
    )
    assert logit == pytest.approx(detector.out(feature[None]).item(), abs=1e-4)
    for name in ("mean", "std"):
        np.testing.assert_array_equal(np.float32(constants[name]), getattr(detector.standardizer, name))


def test_weights_are_stored_in_half_precision_and_only_once(files):
    import onnx

    for path in files.glob("*.onnx"):
        for stored in onnx.load(str(path), load_external_data=False).graph.initializer:
            assert len(stored.dims) < 2 or stored.data_type != onnx.TensorProto.FLOAT, (path.name, stored.name)
    weights = sum(value.numel() for value in pretrained("detector").state_dict().values() if value.ndim >= 2)
    assert (files / "detector.weights").stat().st_size == 2 * weights


def test_the_detector_of_excerpts_gives_logit_and_features(run):
    detector = pretrained("detector")
    excerpts = torch.randn(1, 1, 115, 80, generator=torch.Generator().manual_seed(0))
    outputs = run("excerpt.onnx", None, excerpt=excerpts.numpy())
    with torch.no_grad():
        expected = [detector(excerpts), *detector.features(excerpts).values()]
    for found, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_the_detector_of_pieces_scores_every_excerpt(run):
    detector = pretrained("detector")
    frames = torch.randn(117, 80, generator=torch.Generator().manual_seed(1))
    (found,) = run("piece.onnx", ["logit"], frames=frames.numpy())
    with torch.no_grad():
        wanted = detector(frames.unfold(0, 115, 1).transpose(1, 2)[:, None])
    np.testing.assert_allclose(found, wanted[:, 0], atol=1e-4)


@pytest.mark.parametrize("layer", LAYERS)
def test_inverters_give_standardised_excerpts(run, layer):
    detector, inverter = pretrained("detector"), pretrained("inverter", layer=layer, variant="aligned")
    excerpts = torch.randn(2, 1, 115, 80, generator=torch.Generator().manual_seed(2))
    with torch.no_grad():
        feature = detector.features(excerpts, (layer,))[layer]
        wanted = inverter(feature)
    (found,) = run(f"{layer}.onnx", ["excerpt"], feature=feature.numpy())
    np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_unknown_variant(tmp_path):
    with pytest.raises(LayerError, match="no inverter variant 'other'"):
        export_web(tmp_path, "other")
    assert not list(tmp_path.iterdir())
