import json
import sys

import numpy as np
import pytest
import torch

from svdlib.detector.model import LAYERS
from svdlib.errors import LayerError, OutputError
from svdlib.pages.export_onnx import export_onnx
from svdlib.zoo.checkpoints import pretrained


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """The exported files by name, opened with ONNX's own slow interpreter."""
    reference = pytest.importorskip("onnx.reference")
    paths = export_onnx(tmp_path_factory.mktemp("onnx"))
    return {path.name: reference.ReferenceEvaluator(str(path)) for path in paths}


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


@pytest.mark.parametrize("layer", ["conv1", "mp6", "fc8"])
def test_inverters_give_raw_log_mels(exported, log_mels, layer):
    detector, inverter = pretrained("detector"), pretrained("inverter", layer=layer)
    with torch.no_grad():
        feature = detector.features(detector.standardizer(log_mels), (layer,))[layer]
        expected = detector.standardizer.inverse(inverter(feature))
    (found,) = exported[f"published-{layer}.onnx"].run(["log_mel"], {layer: feature.numpy()})
    np.testing.assert_allclose(found, expected, atol=1e-3)


def test_provenance_goes_along(exported):
    properties = {item.key: item.value for item in exported["detector.onnx"].proto_.metadata_props}
    assert json.loads(properties["provenance"]) == pretrained("detector").provenance


def test_without_the_package_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(OutputError, match="pip install onnx"):
        export_onnx(tmp_path)
    assert not list(tmp_path.iterdir())


def test_unknown_variant(tmp_path):
    pytest.importorskip("onnx")
    with pytest.raises(LayerError, match="no inverter variant 'other'"):
        export_onnx(tmp_path, "other")
    assert not list(tmp_path.iterdir())
