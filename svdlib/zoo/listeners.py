"""The listeners whose inverters come with the package, each opened by its name.

    heard = svdlib.open_listener("recurrent detector")
    heard.listener.features(x, "lstm3")      # x standardised by heard.network.standardizer
    svdlib.plot_inversions(x, heard.listener, heard.inverters, heard.front)

Four networks hear the same songs: the detector of the paper; the same task by another architecture; the detector's
architecture with random weights; and another task by others, whose weights their own package holds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
from svdlib.detector import recurrent
from svdlib.detector.architecture import Detector
from svdlib.detector.front_end import front_end_of
from svdlib.errors import InputError, WeightsError
from svdlib.inversion.encoder import Encoder
from svdlib.inversion.front_end import FrontEnd
from svdlib.inversion.inverters import FeatureInverter
from svdlib.inversion.listener import Listener
from svdlib.tagger import model as tagger
from svdlib.tagger.front_end import tagger_front_end
from svdlib.tagger.loading import load_tagger
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import (
    DETECTOR_FILE,
    PACKAGED,
    load_detector,
    load_inverters,
    pretrained,
    pretrained_inverters,
)

UNTRAINED_SEED = 0
"""Of the weights of the detector that has learned nothing."""


@dataclass(frozen=True)
class Opened:
    """A network with its inverters, ready to be looked into.

    Attributes:
        name: under which it was opened.
        network: itself; a detector has a `standardizer` and a `threshold`.
        listener: the network with its layers, for whatever takes a listener.
        inverters: one per layer that has one, shallow to deep, in eval mode, with `.provenance`.
        front: how its inputs are drawn and heard.
    """

    name: str
    network: nn.Module
    listener: Listener
    inverters: Mapping[str, FeatureInverter]
    front: FrontEnd

    def to(self, device: torch.device | str) -> "Opened":
        """Move all networks to a device and return itself."""
        for each in (self.network, self.listener, *self.inverters.values()):
            each.to(device)
        return self


def open_listener(name: str) -> Opened:
    """Open a listener whose inverters come with the package: no download, in eval mode.

    Args:
        name: "detector"; "recurrent detector", the same task by another architecture; "untrained detector", the
            detector's architecture with random weights; or "music tagger", whose own weights are read from the package
            musicnn.

    Raises:
        InputError: if there is no listener of that name.
        WeightsError: if weights are missing: for the music tagger, say how to get them.
    """
    if name not in LISTENERS:
        raise InputError(f"There is no listener {name!r}. Known ones: {', '.join(LISTENERS)}.")
    return LISTENERS[name]()


def recurrent_listener(network: Detector) -> Encoder:
    """A recurrent detector with its layers."""
    return Encoder(network, layers=recurrent.LAYERS, example=torch.zeros(2, 1, EXCERPT_FRAMES, N_BANDS))


def tagger_listener(network: tagger.MusicTagger) -> Encoder:
    """The music tagger with its layers."""
    return Encoder(network, tagger.LAYERS, example=torch.zeros(2, 1, tagger.PATCH_FRAMES, tagger.PATCH_BANDS))


def _folder(name: str) -> Path:
    """Where the weights of a listener lie.

    Raises:
        WeightsError: if the package has none.
    """
    folder = PACKAGED / name
    if not folder.is_dir():
        raise WeightsError(
            f"This copy of svdlib holds no weights of the {name} listener: there is no folder {folder}. "
            "Install svdlib again; CONTRIBUTING.md in its sources says, under Weights, how they are made."
        )
    return folder


def _detector() -> Opened:
    network = pretrained("detector")
    return Opened("detector", network, network, pretrained_inverters("aligned"), front_end_of(network))


def _recurrent() -> Opened:
    folder = _folder("recurrent")
    network = load_detector(folder / DETECTOR_FILE)
    listener = recurrent_listener(network)
    return Opened("recurrent detector", network, listener, load_inverters(folder), front_end_of(network))


def _untrained() -> Opened:
    network = untrained_like(pretrained("detector"), UNTRAINED_SEED)
    return Opened("untrained detector", network, network, load_inverters(_folder("untrained")), front_end_of(network))


def _tagger() -> Opened:
    network = load_tagger()
    found = load_inverters(_folder("tagger"))
    return Opened("music tagger", network, tagger_listener(network), found, tagger_front_end())


LISTENERS: Mapping[str, Callable[[], Opened]] = {
    "detector": _detector,
    "recurrent detector": _recurrent,
    "untrained detector": _untrained,
    "music tagger": _tagger,
}
"""How each listener is opened, by name."""
