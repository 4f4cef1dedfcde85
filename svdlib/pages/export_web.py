"""The detector and the inverters as scripts that a page can load, also from a disk, where a page may not fetch files.

Each script puts named files, gzipped and in base64, into the global object `svdlibFiles`. The networks are ONNX files
that speak standardised log-mels. Their weights are stored in half precision, as those of the package are, and turned
into single precision before anything is computed.
"""

import base64
import gzip
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.compute.storage import write_atomically
from svdlib.detector.model import LAYER_SHAPES, LAYERS, SVDNet
from svdlib.inversion.inverters import FeatureInverter
from svdlib.pages.export_onnx import require_onnx, to_onnx
from svdlib.zoo.checkpoints import family_in, open_detector, open_inverters

if TYPE_CHECKING:
    import onnx

GLOBAL = "svdlibFiles"
"""The object that scripts put their files into."""

SHARED_WEIGHTS = "detector.weights"
"""The file that both networks of the detector take their weights from."""


class ExcerptDetector(nn.Module):
    """The detector on standardised excerpts, with every layer's feature as an output."""

    def __init__(self, detector: SVDNet) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, excerpt: Tensor) -> tuple[Tensor, ...]:
        """Turn excerpts (batch, 1, 115, 80) into logits (batch, 1) and the features of the eight layers."""
        features = self.detector.features(excerpt)
        return self.detector.out(features["fc8"]), *(features[layer] for layer in LAYERS)


class PieceDetector(nn.Module):
    """The detector on a piece of a song of any length."""

    def __init__(self, detector: SVDNet) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, frames: Tensor) -> Tensor:
        """Turn standardised frames (n, 80) into logits (n - 114,) of all excerpts among them."""
        return self.detector.dense_logits(frames)


def export_web(
    folder: str | os.PathLike[str],
    variant: str | None = None,
    *,
    detector: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Write `constants.js`, `detector.js` and `inverters.js` from trained weights.

    `constants.js` holds `constants.json`: mean and deviation of each mel band, the threshold, the family, and `out`,
    the weights (64,) and bias that make the logit of FC8's numbers. `detector.js` holds `excerpt.onnx`, `piece.onnx`
    and the weights of both, `inverters.js` one `LAYER.onnx` per layer. The same weights give the same bytes.

    Args:
        folder: where to write.
        variant: which family of inverters; None takes "aligned", unless the folder of weights holds another one.
        detector: weights of the detector; None takes the packaged ones.
        weights: a folder with the weights of its inverters, of all layers or some; None takes the packaged ones.

    Returns:
        The three files.

    Raises:
        LayerError: the variant does not exist.
        WeightsError: weights are missing or damaged, or the inverters were trained for another detector.
        OutputError: a file cannot be written, or the package `onnx` is not installed.
    """
    require_onnx()
    network = open_detector(detector)
    variant = variant or family_in(weights, usual="aligned")
    inverters = open_inverters(weights, network, None, variant)
    constants = {
        "threshold": network.threshold,
        "mean": network.standardizer.mean.tolist(),
        "std": network.standardizer.std.tolist(),
        "variant": variant,
        "out": last_layer(network),
    }
    scripts = {
        "constants.js": {"constants.json": json.dumps(constants).encode()},
        "detector.js": detector_files(network),
        "inverters.js": {f"{layer}.onnx": inverter_file(inverter) for layer, inverter in inverters.items()},
    }
    paths = []
    for name, files in scripts.items():
        paths.append(Path(folder) / name)
        _write_script(paths[-1], files)
    return paths


def last_layer(detector: SVDNet) -> dict[str, list[float] | float]:
    """The weights (64,) and the bias of Out: the logit is FC8's numbers times the weights, plus the bias."""
    dense = detector.out[1]
    assert isinstance(dense, nn.Linear)
    return {"weight": dense.weight[0].tolist(), "bias": dense.bias.item()}


def _write_script(path: Path, files: Mapping[str, bytes]) -> None:
    write_atomically(path, lambda file: file.write(as_script(files).encode()))


def detector_files(detector: SVDNet) -> dict[str, bytes]:
    """Both networks of the detector as ONNX, `excerpt.onnx` and `piece.onnx`, and the file of their common weights."""
    excerpt = to_onnx(
        ExcerptDetector(detector),
        torch.zeros(1, 1, EXCERPT_FRAMES, N_BANDS),
        {"excerpt": {0: "batch"}},
        {name: {0: "batch"} for name in ("logit", *LAYERS)},
        fuse=False,
    )
    piece = to_onnx(
        PieceDetector(detector),
        torch.zeros(EXCERPT_FRAMES + 1, N_BANDS),
        {"frames": {0: "frames"}},
        {"logit": {0: "excerpts"}},
        fuse=False,
    )
    weights = bytearray()
    places: dict[bytes, int] = {}
    for model in (excerpt, piece):
        store_in_half_precision(model)
        _move_weights(model, weights, places)
    files = {"excerpt.onnx": excerpt, "piece.onnx": piece}
    return {name: model.SerializeToString() for name, model in files.items()} | {SHARED_WEIGHTS: bytes(weights)}


def inverter_file(inverter: FeatureInverter) -> bytes:
    """An inverter as ONNX: from "feature" (batch, ...) to "excerpt" (batch, 1, 115, 80), standardised."""
    example = torch.zeros(1, *LAYER_SHAPES[inverter.layer])
    model = to_onnx(inverter, example, {"feature": {0: "batch"}}, {"excerpt": {0: "batch"}}, fuse=False)
    store_in_half_precision(model)
    return model.SerializeToString()


def store_in_half_precision(model: "onnx.ModelProto") -> None:
    """Store the weights of an ONNX model (all of two and more axes) as float16, each cast to float32 before its use."""
    from onnx import TensorProto, helper, numpy_helper

    casts = []
    for stored in model.graph.initializer:
        values = numpy_helper.to_array(stored)
        if values.dtype == np.float32 and values.ndim >= 2:
            name = stored.name
            stored.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
            casts.append(helper.make_node("Cast", [f"{name}.half"], [name], f"{name}.cast", to=TensorProto.FLOAT))
    nodes = [*casts, *model.graph.node]
    del model.graph.node[:]
    model.graph.node.extend(nodes)


def _move_weights(model: "onnx.ModelProto", weights: bytearray, places: dict[bytes, int]) -> None:
    """Move half-precision weights out of a model to the end of `weights`, unless the same bytes lie there already."""
    from onnx import TensorProto
    from onnx.external_data_helper import set_external_data

    for stored in model.graph.initializer:
        if stored.data_type != TensorProto.FLOAT16:
            continue
        data = stored.raw_data
        if data not in places:
            places[data] = len(weights)
            weights += data
        set_external_data(stored, SHARED_WEIGHTS, offset=places[data], length=len(data))
        stored.ClearField("raw_data")


def as_script(files: Mapping[str, bytes]) -> str:
    """Write files as a classic script that puts them, gzipped and in base64, into the global `svdlibFiles`."""
    lines = [f"self.{GLOBAL} = self.{GLOBAL} || {{}};"]
    for name, content in files.items():
        # The time is left out, so that the same content gives the same bytes.
        packed = base64.b64encode(gzip.compress(content, mtime=0)).decode()
        lines.append(f"self.{GLOBAL}[{json.dumps(name)}] = {json.dumps(packed)};")
    return "\n".join(lines) + "\n"
