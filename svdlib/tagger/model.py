"""The music tagger MTT_vgg: which of 50 tags fit three seconds of music (Pons & Serra, ISMIR late-breaking 2019).

It was trained by its authors on MagnaTagATune, and is a stack of five convolutions after Choi et al. (2016). The
network here computes what theirs computes when it is used; their dropout, which matters in training alone, is left out.
"""

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from svdlib.errors import LayerError

PATCH_FRAMES = 187
PATCH_BANDS = 96
CHANNELS = 128
EPSILON = 1e-3  # of the batch normalisation, as TensorFlow has it

POOLS: tuple[tuple[tuple[int, int], tuple[int, int]], ...] = (
    ((4, 1), (2, 2)),
    ((2, 2), (2, 2)),
    ((2, 2), (2, 2)),
    ((2, 2), (2, 2)),
    ((4, 4), (4, 4)),
)
"""Window and step of each pooling layer, (frames, bands). The first one's windows are one band wide and its steps two:
every other band of what the first convolution says is never read."""

LAYERS = ("pool1", "pool2", "pool3", "pool4", "pool5")
"""The layers whose features musicnn gives out, shallow to deep."""

TAGS = (
    "guitar", "classical", "slow", "techno", "strings", "drums", "electronic", "rock", "fast", "piano",
    "ambient", "beat", "violin", "vocal", "synth", "female", "indian", "opera", "male", "singing",
    "vocals", "no vocals", "harpsichord", "loud", "quiet", "flute", "woman", "male vocal", "no vocal", "pop",
    "soft", "sitar", "solo", "man", "classic", "choir", "voice", "new age", "dance", "male voice",
    "female vocal", "beats", "harp", "cello", "no voice", "weird", "country", "metal", "female voice", "choral",
)  # fmt: skip
"""The tags of MagnaTagATune in the order of the network's answers."""

VOICE_TAGS = (
    "vocal", "singing", "vocals", "male vocal", "voice", "male voice", "female vocal", "female voice",
)  # fmt: skip
NO_VOICE_TAGS = ("no vocals", "no vocal", "no voice")
"""The tags that name a voice, and those that say that there is none."""


class MusicTagger(nn.Module):
    """Five times convolution, ReLU, batch normalisation and max-pooling; then one dense layer.

    The features of its layers POOL1 to POOL5 have the shapes (128, 92, 48), (128, 46, 24), (128, 23, 12), (128, 11, 6)
    and (128, 2, 1), (channels, time, frequency). It is a plain network, opened with
    `svdlib.Encoder(tagger, layers=svdlib.tagger.model.LAYERS, example=patches[:2])`.

    Attributes:
        provenance: where trained weights come from; empty for a new network.
    """

    def __init__(self) -> None:
        super().__init__()
        self.provenance: Mapping[str, Any] = {}
        self.norm0 = nn.BatchNorm2d(1, eps=EPSILON)
        for number, (window, step) in enumerate(POOLS, start=1):
            self.add_module(f"conv{number}", nn.Conv2d(1 if number == 1 else CHANNELS, CHANNELS, 3, padding=1))
            self.add_module(f"relu{number}", nn.ReLU())
            self.add_module(f"norm{number}", nn.BatchNorm2d(CHANNELS, eps=EPSILON))
            self.add_module(f"pool{number}", nn.MaxPool2d(window, step))
        self.dense = nn.Linear(2 * CHANNELS, len(TAGS))

    def forward(self, x: Tensor) -> Tensor:
        """Say which tags fit.

        Args:
            x: patches of log-mel (batch, 1, 187, 96), see `svdlib.tagger.patches`.

        Returns:
            Logits (batch, 50) in the order of `TAGS`; `torch.sigmoid` of them are probabilities.

        Raises:
            LayerError: if `x` has another shape.
        """
        if x.ndim != 4 or tuple(x.shape[1:]) != (1, PATCH_FRAMES, PATCH_BANDS):
            raise LayerError(
                f"The tagger takes patches of shape (batch, 1, {PATCH_FRAMES}, {PATCH_BANDS}), not {tuple(x.shape)}."
            )
        x = self.norm0(x)
        for number in range(1, len(POOLS) + 1):
            for kind in ("conv", "relu", "norm", "pool"):
                x = self.get_submodule(f"{kind}{number}")(x)
        return self.dense(x.flatten(1))


def voice_contrast(logits: Tensor) -> Tensor:
    """How much more the tags of voices fit than those of no voice.

    Args:
        logits: of the tagger (batch, 50).

    Returns:
        (batch,), the mean logit of `VOICE_TAGS` less that of `NO_VOICE_TAGS`.
    """
    voice, none = ([TAGS.index(tag) for tag in tags] for tags in (VOICE_TAGS, NO_VOICE_TAGS))
    return logits[:, voice].mean(1) - logits[:, none].mean(1)
