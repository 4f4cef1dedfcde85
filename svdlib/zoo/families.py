"""The families of inverters, by name."""

from collections.abc import Mapping
from dataclasses import replace

from svdlib.detector.inverters import ALIGNED
from svdlib.detector.model import check_layer
from svdlib.errors import LayerError
from svdlib.inversion.inverters import FeatureInverter, InverterSpec
from svdlib.paper.inverters import PUBLISHED

VARIANTS: dict[str, Mapping[str, InverterSpec]] = {
    "published": PUBLISHED,
    "published-linear": {layer: replace(spec, linear_output=True) for layer, spec in PUBLISHED.items()},
    "aligned": ALIGNED,
}
"""The plan of each layer's inverter. "published-linear" tells what the published ones lose by the ELU at the output."""


def inverter_spec(layer: str, variant: str) -> InverterSpec:
    """The plan of an inverter.

    Args:
        layer: which layer of the detector it inverts, one of `svdlib.LAYERS`.
        variant: which family.

    Raises:
        LayerError: if the layer or variant does not exist.
    """
    check_layer(layer)
    if variant not in VARIANTS:
        raise LayerError(f"There is no inverter variant {variant!r}. Known variants: {', '.join(VARIANTS)}.")
    return VARIANTS[variant][layer]


def build_inverter(layer: str, variant: str = "published") -> FeatureInverter:
    """Build an untrained inverter.

    Args:
        layer: which layer of the detector it inverts, one of `svdlib.LAYERS`.
        variant: which family; "published" is the paper's.

    Raises:
        LayerError: if the layer or variant does not exist.
    """
    return FeatureInverter(inverter_spec(layer, variant), variant)
