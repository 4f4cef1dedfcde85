"""The feature inverters: one up-convolutional network per layer of the detector (paper section 3.2, tables 1 and 2).

An inverter turns one layer's feature back into a log-mel excerpt. A specification per layer says which stages it has;
one builder makes the network. Stages are written as in the paper: FC (dense), Conv (3x3, padding 1) and Uconv (4x4
transposed convolution with stride 2, which doubles time and frequency). Every stage is a linear map, batch
normalisation and ELU. The ELU stands at the output too, so no output lies below -1.
"""

from collections import OrderedDict
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.errors import LayerError
from svdlib.model import EXCERPT_FRAMES, LAYER_SHAPES, N_BANDS, check_layer

NORM_EPSILON = 1e-4
NORM_MOMENTUM = 0.1
SEED_SHAPE = (16, 4, 4)
"""What a dense feature is reshaped to before it grows: (channels, time, frequency)."""


@dataclass(frozen=True)
class Stage:
    """One stage of an inverter.

    Attributes:
        kind: "FC", "Conv" or "Uconv".
        units: neurons (FC) or filters (Conv, Uconv).
    """

    kind: str
    units: int


@dataclass(frozen=True)
class InverterSpec:
    """The plan of one inverter.

    Attributes:
        layer: the detector's layer that is inverted.
        stages: from the feature to the excerpt.
        normalise_output: whether the last stage has batch normalisation.
    """

    layer: str
    stages: tuple[Stage, ...]
    normalise_output: bool = True

    @property
    def depth(self) -> int:
        """Number of layers, the column "Inv-depth" of table 2."""
        return len(self.stages)

    @property
    def n_convolutions(self) -> int:
        """Number of 3x3 convolutions, the column "Inv-nconv" of table 2."""
        return sum(stage.kind == "Conv" for stage in self.stages)


def _stages(text: str) -> tuple[Stage, ...]:
    stages = []
    for word in text.split():
        kind, units = word.split(":")
        stages.append(Stage(kind, int(units)))
    return tuple(stages)


_GROWTH = "Uconv:64 Conv:64 Uconv:32 Conv:32 Uconv:16 Conv:16 Uconv:8 Conv:8 Uconv:1"

PUBLISHED: dict[str, InverterSpec] = {
    "conv1": InverterSpec("conv1", _stages("Conv:64 Conv:1")),
    "conv2": InverterSpec("conv2", _stages("Conv:32 Conv:32 Conv:32 Conv:1")),
    "mp3": InverterSpec("mp3", _stages("Conv:32 Conv:32 Conv:32 Conv:32 Uconv:16 Uconv:1")),
    "conv4": InverterSpec("conv4", _stages("Conv:128 Conv:128 Conv:128 Uconv:64 Uconv:1")),
    "conv5": InverterSpec("conv5", _stages("Conv:64 Conv:64 Conv:64 Uconv:32 Uconv:1")),
    "mp6": InverterSpec("mp6", _stages("Conv:64 Uconv:32 Uconv:16 Uconv:8 Uconv:1")),
    "fc7": InverterSpec("fc7", _stages(f"FC:256 {_GROWTH}"), normalise_output=False),
    "fc8": InverterSpec("fc8", _stages(f"FC:64 FC:256 {_GROWTH}"), normalise_output=False),
}
"""The inverters of the paper, to the letter of the released models."""

VARIANTS: dict[str, dict[str, InverterSpec]] = {"published": PUBLISHED}


def _linear_map(stage: Stage, n_in: int, bias: bool) -> nn.Module:
    if stage.kind == "FC":
        return nn.Linear(n_in, stage.units, bias=bias)
    if stage.kind == "Conv":
        return nn.Conv2d(n_in, stage.units, 3, padding=1, bias=bias)
    return nn.ConvTranspose2d(n_in, stage.units, 4, stride=2, padding=1, bias=bias)


def _build_stage(stage: Stage, n_in: int, normalise: bool) -> nn.Sequential:
    parts: list[nn.Module] = [_linear_map(stage, n_in, bias=not normalise)]
    if normalise:
        norm = nn.BatchNorm1d if stage.kind == "FC" else nn.BatchNorm2d
        parts.append(norm(stage.units, eps=NORM_EPSILON, momentum=NORM_MOMENTUM))
    return nn.Sequential(*parts, nn.ELU())


def _initialise(module: nn.Module) -> None:
    """He-normal with gain 1 (He et al. 2015 as Lasagne counts it): deviation 1/sqrt(inputs per output)."""
    if isinstance(module, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
        # Lasagne counts the fan-in of a transposed convolution along its second axis, as for a convolution.
        fan_in = module.weight[0].numel()
        nn.init.normal_(module.weight, std=fan_in**-0.5)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


class FeatureInverter(nn.Module):
    """Turns the feature of one layer back into a standardised log-mel excerpt.

    Attributes:
        layer: the detector's layer that it inverts.
        variant: the family it belongs to, such as "published".
        spec: its plan.
        stages: its stages in order, named as in table 1, such as "Uconv2".
    """

    def __init__(self, spec: InverterSpec, variant: str) -> None:
        super().__init__()
        self.spec, self.layer, self.variant = spec, spec.layer, variant
        self.stages = nn.ModuleDict()
        n_in = LAYER_SHAPES[spec.layer][0]
        for number, stage in enumerate(spec.stages, start=1):
            grows_from_dense = stage.kind != "FC" and number > 1 and spec.stages[number - 2].kind == "FC"
            n_in = SEED_SHAPE[0] if grows_from_dense else n_in
            normalise = spec.normalise_output or number < spec.depth
            self.stages[f"{stage.kind}{number}"] = _build_stage(stage, n_in, normalise)
            n_in = stage.units
        self.apply(_initialise)

    def forward(self, feature: Tensor) -> Tensor:
        """Invert a batch of features (paper equation 4).

        Args:
            feature: `(batch, *LAYER_SHAPES[layer])`, after the layer's activation.

        Returns:
            Standardised excerpts (batch, 1, 115, 80).

        Raises:
            LayerError: if the feature has another shape.
        """
        return self.stage_outputs(feature)["output"]

    def stage_outputs(self, feature: Tensor) -> "OrderedDict[str, Tensor]":
        """Run the inverter and keep what each stage puts out, with the fitted excerpt last as "output".

        Args:
            feature: `(batch, *LAYER_SHAPES[layer])`.

        Raises:
            LayerError: if the feature has another shape.
        """
        expected = LAYER_SHAPES[self.layer]
        if tuple(feature.shape[1:]) != expected or feature.ndim != len(expected) + 1:
            raise LayerError(
                f"The inverter of {self.layer} takes features of shape (batch, {', '.join(map(str, expected))}), "
                f"not {tuple(feature.shape)}. Use SVDNet.features(x, ({self.layer!r},)) to compute them."
            )
        outputs: OrderedDict[str, Tensor] = OrderedDict()
        x = feature
        for name, stage in self.stages.items():
            if x.ndim == 2 and not name.startswith("FC"):
                x = x.view(-1, *SEED_SHAPE)
            x = stage(x)
            outputs[name] = x
        outputs["output"] = fit_to_excerpt(x)
        return outputs


def fit_to_excerpt(x: Tensor) -> Tensor:
    """Trim at the end, or pad with zeros on all sides, to (batch, 1, 115, 80) (paper section 3.2)."""
    missing_frames, missing_bands = EXCERPT_FRAMES - x.shape[2], N_BANDS - x.shape[3]
    if missing_frames > 0 or missing_bands > 0:
        return F.pad(x, (missing_bands // 2, missing_bands // 2, missing_frames // 2, missing_frames // 2))
    return x[:, :, :EXCERPT_FRAMES, :N_BANDS]


def build_inverter(layer: str, variant: str = "published") -> FeatureInverter:
    """Build an untrained inverter.

    Args:
        layer: which layer of the detector it inverts, one of `svdlib.LAYERS`.
        variant: which family; "published" is the paper's.

    Raises:
        LayerError: if the layer or variant does not exist.
    """
    check_layer(layer)
    if variant not in VARIANTS:
        raise LayerError(f"There is no inverter variant {variant!r}. Known variants: {', '.join(VARIANTS)}.")
    return FeatureInverter(VARIANTS[variant][layer], variant)


def count_parameters(module: nn.Module) -> int:
    """Number of stored values: weights, biases, and the running averages of batch normalisation."""
    counters = sum(1 for name in module.state_dict() if name.endswith("num_batches_tracked"))
    return sum(tensor.numel() for tensor in module.state_dict().values()) - counters


def in_channels_last(module: nn.Module, device: torch.device) -> nn.Module:
    """Move a network to a device in the memory layout that convolutions run fastest in."""
    return module.to(device, memory_format=torch.channels_last)
