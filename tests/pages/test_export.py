import json
import sys

import numpy as np
import onnx
import pytest
import torch
from onnx.reference import ReferenceEvaluator
from onnx_by_hand import interpreter

from svdlib.detector.model import LAYERS
from svdlib.errors import LayerError, OutputError
from svdlib.pages.export_onnx import export_onnx, to_onnx
from svdlib.zoo.checkpoints import pretrained


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The exported files by name, opened by an interpreter that is not PyTorch."""
    return {path.name: interpreter(str(path)) for path in export_onnx(tmp_path_factory.mktemp("onnx"))}


@pytest.fixture(scope="module")
def log_mels():
    detector = pretrained("detector")
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return detector.standardizer.inverse(torch.randn(2, 1, 115, 80))


def test_every_network_is_written(exported):
    assert list(exported) == ["detector.onnx", *(f"published-{layer}.onnx" for layer in LAYERS)]


def test_the_detector_speaks_raw_log_mels(exported, log_mels):
    detector = pretrained("detector")
    outputs = exported["detector.onnx"].run(None, {"log_mel": log_mels.numpy()})
    with torch.no_grad():
        x = detector.standardizer(log_mels)
        expected = [detector(x), *detector.features(x).values()]
    for found, wanted in zip(outputs, expected, strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-3)


@pytest.mark.parametrize("layer", LAYERS)
def test_inverters_give_raw_log_mels(exported, log_mels, layer):
    detector, inverter = pretrained("detector"), pretrained("inverter", layer=layer)
    with torch.no_grad():
        feature = detector.features(detector.standardizer(log_mels), (layer,))[layer]
        expected = detector.standardizer.inverse(inverter(feature))
    (found,) = exported[f"published-{layer}.onnx"].run(["log_mel"], {layer: feature.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-3)


@pytest.mark.parametrize("options", [{}, {"strides": [3, 3]}, {"pads": [1, 0, 2, 1]}, {"dilations": [2, 1]}])
def test_the_interpreter_s_quick_operation_is_its_own_slow_one(options):
    rng = np.random.default_rng(0)
    x, weights = (rng.normal(size=shape).astype(np.float32) for shape in ((2, 3, 4, 5), (3, 2, 3, 2)))
    inputs = {"x": x, "weights": weights, "bias": np.float32([1, -2])}
    attributes = {"strides": [1, 1], "pads": [0, 0, 0, 0], "dilations": [1, 1], "group": 1} | options
    node = onnx.helper.make_node("ConvTranspose", list(inputs), ["y"], **attributes)
    slow, quick = (open_it(node).run(None, inputs)[0] for open_it in (ReferenceEvaluator, interpreter))
    np.testing.assert_allclose(quick, slow, atol=1e-5)


def test_a_network_that_other_programs_would_refuse_is_not_written():
    """The interpreter above takes an axis counted from the end, which browsers' engine does not."""

    class Turned(torch.nn.Module):
        def forward(self, x):
            return x[..., None].movedim(-1, 1) + 1

    with pytest.raises(onnx.shape_inference.InferenceError, match="perm"):
        to_onnx(Turned(), torch.zeros(2, 3, 4), {"x": {0: "batch"}}, {"y": {0: "batch"}})


def test_provenance_goes_along(exported):
    properties = {item.key: item.value for item in exported["detector.onnx"].proto_.metadata_props}
    assert json.loads(properties["provenance"]) == pretrained("detector").provenance


def test_without_the_package_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OutputError, match="pip install onnx"):
        export_onnx(tmp_path)
    assert not list(tmp_path.iterdir())


def test_unknown_variant(tmp_path):
    with pytest.raises(LayerError, match="no inverter variant 'other'"):
        export_onnx(tmp_path, "other")
    assert not list(tmp_path.iterdir())
