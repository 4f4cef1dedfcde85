"""The singing-voice detector whose features are inverted (Schlüter & Grill, ISMIR 2015; paper section 3.1, figure 2).

The detector looks at an excerpt of 115 log-mel frames with 80 bands (about 1.6 s) and says whether somebody sings in
its centre frame. All convolutions are 3x3 without padding, pooling is 3x3 with stride 3, every hidden layer ends in a
leaky ReLU, and dropout stands before each dense layer.
"""

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector.architecture import TIME_STRIDE, Detector, check_excerpts
from svdlib.errors import LayerError
from svdlib.inversion.listener import Listener, as_input, named_layers

LEAKINESS = 0.01
DROPOUT = 0.5

LAYER_SHAPES: dict[str, tuple[int, ...]] = {
    "conv1": (64, 113, 78),
    "conv2": (32, 111, 76),
    "mp3": (32, 37, 25),
    "conv4": (128, 35, 23),
    "conv5": (64, 33, 21),
    "mp6": (64, 11, 7),
    "fc7": (256,),
    "fc8": (64,),
}
"""Shape of one feature per layer, (channels, time, frequency) or (units,)."""

LAYERS: tuple[str, ...] = tuple(LAYER_SHAPES)
"""The eight hidden layers, shallow to deep."""

POOLED = {"conv2": "mp3", "conv5": "mp6"}
"""Convolutions that are followed by pooling, and by which."""

COMPARATOR_LAYER = "conv5"
"""The layer in whose feature space reconstructions are compared (paper section 3.3)."""


def check_layer(layer: str) -> str:
    """Return `layer` if the detector has it.

    Raises:
        LayerError: if it is none of the eight.
    """
    if layer not in LAYER_SHAPES:
        raise LayerError(f"There is no layer {layer!r}. The detector's layers are: {', '.join(LAYERS)}.")
    return layer


class _OneChannelIn(torch.autograd.Function):
    """A convolution (batch, 1, ...) -> (batch, channels, ...) by weights that do not learn."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
        context.save_for_backward(weight)
        context.size = x.shape[2:]
        return F.conv2d(x, weight, bias)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None, None]:
        (weight,) = context.saved_tensors
        per_cell = weight.flatten(1).T @ gradient.flatten(2)
        return F.fold(per_cell, context.size, weight.shape[2:]), None, None


class FirstConvolution(nn.Conv2d):
    """The convolution that takes the excerpt, `nn.Conv2d` with a faster way back to the excerpt on a CPU.

    Training an inverter needs the gradient of the comparator with respect to the excerpt, whose one channel the CPU's
    library for convolutions is slow with: several times as slow as the same sums written as a matrix product.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Convolve (batch, 1, time, frequency)."""
        frozen = torch.is_grad_enabled() and x.requires_grad and not self.weight.requires_grad
        if frozen and x.device.type == "cpu" and not torch.is_autocast_enabled("cpu"):
            return _OneChannelIn.apply(x, self.weight, self.bias)
        return super().forward(x)


def _is_watched(module: nn.Module) -> bool:
    """Whether somebody has hooked a module or one inside it, and so expects it to run as it stands."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    return any(getattr(each, name) for each in module.modules() for name in hooks)


def _leaky(module: nn.Module) -> nn.Sequential:
    # In place, since nothing needs what a convolution puts out before it: the largest tensors are written once less.
    return nn.Sequential(module, nn.LeakyReLU(LEAKINESS, inplace=True))


def _dense(n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(n_in, n_out), nn.LeakyReLU(LEAKINESS))


def detector_layers() -> nn.ModuleDict:
    """The eight hidden layers by name, shallow to deep, with PyTorch's own initial weights."""
    return nn.ModuleDict(
        OrderedDict(
            conv1=_leaky(FirstConvolution(1, 64, 3)),
            conv2=_leaky(nn.Conv2d(64, 32, 3)),
            mp3=nn.MaxPool2d(3),
            conv4=_leaky(nn.Conv2d(32, 128, 3)),
            conv5=_leaky(nn.Conv2d(128, 64, 3)),
            mp6=nn.MaxPool2d(3),
            fc7=_dense(64 * 11 * 7, 256),
            fc8=_dense(256, 64),
        )
    )


class SVDNet(Detector, Listener):
    """The eight-layer singing-voice detector.

    The network takes standardised excerpts.

    Its layers take a third and then a ninth of the frames, which is why training scores every ninth centre.
    """

    kind = "detector"
    input_shape = (1, EXCERPT_FRAMES, N_BANDS)
    shapes = LAYER_SHAPES
    comparator = COMPARATOR_LAYER

    def __init__(self) -> None:
        super().__init__()
        self.layers = detector_layers()
        self.out = nn.Sequential(nn.Dropout(DROPOUT), nn.Linear(64, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.orthogonal_(module.weight)
                assert module.bias is not None  # all layers of this network have one
                nn.init.zeros_(module.bias)

    def forward(self, x: Tensor) -> Tensor:
        """Score excerpts for singing in their centre frame.

        Args:
            x: standardised excerpts (batch, 1, 115, 80).

        Returns:
            Logits (batch, 1); `torch.sigmoid` of them are probabilities.

        Raises:
            LayerError: if `x` has another shape.
        """
        return self.out(self.features(x, ("fc8",))["fc8"])

    def features(self, x: Tensor, layers: str | Iterable[str] = LAYERS) -> dict[str, Tensor]:
        """Compute the features of several layers in one pass, after each layer's activation.

        Args:
            x: standardised excerpts (batch, 1, 115, 80).
            layers: which layers to return, or the name of one.

        Returns:
            A tensor `(batch, *LAYER_SHAPES[layer])` per layer; nothing deeper than needed is computed.

        Raises:
            LayerError: if a layer does not exist or `x` has another shape.
        """
        x = as_input(x, self.standardizer.mean)
        check_excerpts(x)
        wanted = {check_layer(layer) for layer in named_layers(layers)}
        found: dict[str, Tensor] = {}
        activation: nn.Module = nn.Identity()
        modules: Any = self.layers  # PyTorch's hints do not know what is in it
        for name, layer in modules.items():
            if len(found) == len(wanted):
                break
            if name in POOLED and name not in wanted and not _is_watched(layer):
                x, activation = layer[0](x), layer[1]
                continue
            # The activation rises with what it is given, so the largest of nine may be taken first.
            x, activation = activation(layer(x.flatten(1) if name == "fc7" else x)), nn.Identity()
            if name in wanted:
                found[name] = x
        return found

    def path(self, layer: str) -> list[nn.Module]:
        """The layers from the first one to the named one.

        Raises:
            LayerError: if there is no such layer.
        """
        depth = LAYERS.index(check_layer(layer)) + 1
        return list(self.layers.values())[:depth]

    def segment_logits(self, x: Tensor) -> Tensor:
        """Score every ninth excerpt of longer segments at once, the dense layers applied as convolutions.

        The result equals `forward` on the excerpts that start at frames 0, 9, 18, ... of the segment, at a fraction of
        the cost: this is how the detector is trained.

        Args:
            x: standardised segments (batch, 1, frames, 80), frames >= 115.

        Returns:
            Logits (batch, (frames - 115) // 9 + 1); entry k belongs to frame 57 + 9 k.
        """
        layers: Any = self.layers  # PyTorch's hints do not know what is in it
        for before, (convolved, pooled) in zip(("conv1", "conv4"), POOLED.items(), strict=True):
            convolution, activation = layers[convolved]
            x = activation(
                layers[pooled](convolution(layers[before](x)))
            )  # the largest of nine first, as in `features`
        windows = x.unfold(2, 11, 1).permute(0, 2, 1, 4, 3).flatten(2)
        return self.out(layers["fc8"](layers["fc7"](windows))).squeeze(-1)

    def dense_logits(self, frames: Tensor) -> Tensor:
        """Score all excerpts of a piece of a song in one dilated pass, see `predict_song`.

        Args:
            frames: standardised (n, 80), n >= 115.

        Returns:
            Logits (n - 114,); entry k is that of the excerpt which starts at frame k.
        """
        layers: Any = self.layers  # PyTorch's hints do not know what is in it
        # On a CPU, pooling and all but the widest convolution are much faster where channels lie last in memory.
        x = frames[None, :, :, None].permute(0, 3, 1, 2)
        x = layers["conv2"](layers["conv1"](x))
        x = F.max_pool2d(x, 3, stride=(1, 3))
        for name in ("conv4", "conv5"):
            convolution = layers[name][0]
            x = F.leaky_relu(F.conv2d(x, convolution.weight, convolution.bias, dilation=(3, 1)), LEAKINESS)
        x = F.max_pool2d(x, 3, stride=(1, 3), dilation=(3, 1))
        dense = layers["fc7"][1]
        weight = dense.weight.view(-1, *LAYER_SHAPES["mp6"])
        # The kernel covers all seven bands, so the convolution is the dense layer, seen at every time step.
        x = F.leaky_relu(F.conv2d(x.contiguous(), weight, dense.bias, dilation=(TIME_STRIDE, 1)), LEAKINESS)
        x = layers["fc8"][1:](x[0, :, :, 0].T)
        return self.out[1](x)[:, 0]
