"""The inverters of the paper (section 3.2, tables 1 and 2), to the letter of the released models."""

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector.model import LAYER_SHAPES
from svdlib.inversion.inverters import InverterSpec, Stage

_GROWTH = "Uconv:64 Conv:64 Uconv:32 Conv:32 Uconv:16 Conv:16 Uconv:8 Conv:8 Uconv:1"

STAGES: dict[str, str] = {
    "conv1": "Conv:64 Conv:1",
    "conv2": "Conv:32 Conv:32 Conv:32 Conv:1",
    "mp3": "Conv:32 Conv:32 Conv:32 Conv:32 Uconv:16 Uconv:1",
    "conv4": "Conv:128 Conv:128 Conv:128 Uconv:64 Uconv:1",
    "conv5": "Conv:64 Conv:64 Conv:64 Uconv:32 Uconv:1",
    "mp6": "Conv:64 Uconv:32 Uconv:16 Uconv:8 Uconv:1",
    "fc7": f"FC:256 {_GROWTH}",
    "fc8": f"FC:64 FC:256 {_GROWTH}",
}
"""The stages of each layer's inverter, kind and units of each."""


def _spec(layer: str) -> InverterSpec:
    stages = []
    for word in STAGES[layer].split():
        kind, units = word.split(":")
        stages.append(Stage(kind, int(units)))
    return InverterSpec(
        layer,
        tuple(stages),
        feature_shape=LAYER_SHAPES[layer],
        excerpt_shape=(EXCERPT_FRAMES, N_BANDS),
        normalise_output=layer not in ("fc7", "fc8"),
    )


PUBLISHED: dict[str, InverterSpec] = {layer: _spec(layer) for layer in STAGES}
"""The inverters of the paper, to the letter of the released models."""
