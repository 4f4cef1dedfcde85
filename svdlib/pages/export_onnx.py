"""The detector and the inverters as ONNX files, for programs without Python or torch.

The files hold the standardisation too, so all of them speak raw log-mels, as `svdlib.LogMel` gives them.
"""

import io
import json
import os
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.storage import write_atomically
from svdlib.detector.model import LAYER_SHAPES, LAYERS, SVDNet
from svdlib.errors import OutputError
from svdlib.inversion.inverters import FeatureInverter
from svdlib.zoo.checkpoints import family_in, open_detector, open_inverters

if TYPE_CHECKING:
    import onnx

AxisNames = Mapping[str, Mapping[int, str]]

OPSET = 17
"""The version of ONNX's operators: what runtimes since 2022 understand."""


class RawDetector(nn.Module):
    """The detector with its standardisation in front and every layer's feature as an output."""

    def __init__(self, detector: SVDNet) -> None:
        super().__init__()
        self.detector = detector

    def forward(self, log_mel: Tensor) -> tuple[Tensor, ...]:
        """Turn raw log-mel excerpts (batch, 1, 115, 80) into logits (batch, 1) and the features of the eight layers."""
        features = self.detector.features(self.detector.standardizer(log_mel))
        return self.detector.out(features["fc8"]), *(features[layer] for layer in LAYERS)


class RawInverter(nn.Module):
    """An inverter with the undoing of the standardisation behind it."""

    def __init__(self, inverter: FeatureInverter, standardizer: Standardizer) -> None:
        super().__init__()
        self.inverter, self.standardizer = inverter, standardizer

    def forward(self, feature: Tensor) -> Tensor:
        """Turn features (batch, ...) of the inverter's layer into raw log-mel excerpts (batch, 1, 115, 80)."""
        return self.standardizer.inverse(self.inverter(feature))


def export_onnx(
    folder: str | os.PathLike[str],
    variant: str | None = None,
    *,
    detector: str | os.PathLike[str] | None = None,
    weights: str | os.PathLike[str] | None = None,
) -> list[Path]:
    """Write `detector.onnx` and one `VARIANT-LAYER.onnx` per layer from trained weights.

    The detector's input is "log_mel" (batch, 1, 115, 80); its outputs are "logit" (batch, 1) and one feature per
    layer, named after it. An inverter's input has its layer's name; its output is "log_mel".

    Args:
        folder: where to write.
        variant: which family of inverters; None takes "published", unless the folder of weights holds another one.
        detector: weights of the detector; None takes the packaged ones.
        weights: a folder with the weights of its inverters, of all layers or some; None takes the packaged ones.

    Returns:
        The files, the detector's first.

    Raises:
        LayerError: the variant does not exist.
        WeightsError: weights are missing or damaged, or the inverters were trained for another detector.
        OutputError: a file cannot be written, or the package `onnx` is not installed.
    """
    require_onnx()
    network = open_detector(detector)
    variant = variant or family_in(weights, usual="published")
    inverters = open_inverters(weights, network, None, variant)
    excerpt = torch.zeros(1, 1, EXCERPT_FRAMES, N_BANDS)
    folder = Path(folder)
    paths = [folder / "detector.onnx"]
    _write(paths[0], RawDetector(network), excerpt, ["log_mel"], ["logit", *LAYERS], network.provenance)
    for layer, inverter in inverters.items():
        paths.append(folder / f"{variant}-{layer}.onnx")
        feature = torch.zeros(1, *LAYER_SHAPES[layer])
        raw = RawInverter(inverter, network.standardizer)
        _write(paths[-1], raw, feature, [layer], ["log_mel"], inverter.provenance)
    return paths


def require_onnx() -> None:
    """Make sure that the package `onnx` is installed; raise OutputError otherwise."""
    try:
        import onnx  # noqa: F401
    except ImportError:
        raise OutputError("ONNX files are written with the package onnx. Add it with: pip install onnx") from None


def to_onnx(
    network: nn.Module, example: Tensor, inputs: AxisNames, outputs: AxisNames, *, fuse: bool = True
) -> "onnx.ModelProto":
    """Trace a network into an ONNX model.

    Args:
        network: takes one tensor, gives one or several.
        example: an input.
        inputs: the name of the input, and of its axes that may have any length, by their numbers.
        outputs: the same for each output, in order.
        fuse: let batch normalisation be merged with the convolution before it, which changes the stored weights.
    """
    import onnx

    buffer = io.BytesIO()
    with warnings.catch_warnings():
        # Shapes are checked in Python while tracing; the traced network is fixed to the right ones.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (example,),
            buffer,  # type: ignore[arg-type]  # the older exporter takes a file too
            input_names=list(inputs),
            output_names=list(outputs),
            dynamic_axes={**inputs, **outputs},
            opset_version=OPSET,
            training=torch.onnx.TrainingMode.EVAL if fuse else torch.onnx.TrainingMode.PRESERVE,
            dynamo=False,  # the newer exporter needs a second package, onnxscript
        )
    model = onnx.load_from_string(buffer.getvalue())
    # Engines elsewhere are stricter than the interpreter at hand: nothing may leave here that they refuse.
    onnx.checker.check_model(model, full_check=True)
    return model


def _write(
    path: Path,
    network: nn.Module,
    example: Tensor,
    inputs: Sequence[str],
    outputs: Sequence[str],
    provenance: dict[str, Any],
) -> None:
    import onnx

    batched: Sequence[AxisNames] = [{name: {0: "batch"} for name in names} for names in (inputs, outputs)]
    model = to_onnx(network, example, *batched)
    onnx.helper.set_model_props(model, {"provenance": json.dumps(provenance)})
    write_atomically(path, lambda file: file.write(model.SerializeToString()))
