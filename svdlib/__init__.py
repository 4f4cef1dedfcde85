"""Opening up a deep singing-voice detector (SVD) by feature inversion (Mishra, Sturm & Dixon, ISMIR 2018).

Public names are loaded when they are first used, so that training needs nothing but torch and NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from svdlib.compute.version import __version__ as __version__

_HOMES = {
    "Encoder": "inversion.encoder",
    "FrontEnd": "inversion.front_end",
    "ExcerptBank": "detector.excerpts",
    "LAYERS": "detector.model",
    "LogMel": "audio.log_mel",
    "SVDNet": "detector.model",
    "DetectorPlan": "detector.training",
    "Standardizer": "audio.standardizer",
    "SvdlibError": "errors",
    "TensorBank": "inversion.bank",
    "TrainingPlan": "inversion.plans",
    "build_inverter": "zoo.families",
    "evaluate_inverters": "inversion.nre",
    "explore": "pages.widget",
    "fit_detector": "detector.training",
    "fit_inverters": "zoo.fitting",
    "invert_by_optimisation": "inversion.optimisation",
    "invert_song": "invert",
    "load_audio": "audio.files",
    "load_detector": "zoo.checkpoints",
    "load_inverters": "zoo.checkpoints",
    "load_lasagne": "paper.lasagne",
    "load_songs": "songs.loading",
    "nre": "inversion.nre",
    "open_corpus": "songs.corpora",
    "open_listener": "zoo.listeners",
    "plot_inversions": "lab.figures.inversions",
    "pretrained": "zoo.checkpoints",
    "pretrained_inverters": "zoo.checkpoints",
    "save_audio": "audio.files",
    "sonify": "audio.sonify",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:  # written twice, a name is one that users may take from here
    from svdlib.audio.files import load_audio as load_audio
    from svdlib.audio.files import save_audio as save_audio
    from svdlib.audio.log_mel import LogMel as LogMel
    from svdlib.audio.sonify import sonify as sonify
    from svdlib.audio.standardizer import Standardizer as Standardizer
    from svdlib.detector.excerpts import ExcerptBank as ExcerptBank
    from svdlib.detector.model import LAYERS as LAYERS
    from svdlib.detector.model import SVDNet as SVDNet
    from svdlib.detector.training import DetectorPlan as DetectorPlan
    from svdlib.detector.training import fit_detector as fit_detector
    from svdlib.errors import SvdlibError as SvdlibError
    from svdlib.inversion.bank import TensorBank as TensorBank
    from svdlib.inversion.encoder import Encoder as Encoder
    from svdlib.inversion.front_end import FrontEnd as FrontEnd
    from svdlib.inversion.nre import evaluate_inverters as evaluate_inverters
    from svdlib.inversion.nre import nre as nre
    from svdlib.inversion.optimisation import invert_by_optimisation as invert_by_optimisation
    from svdlib.inversion.plans import TrainingPlan as TrainingPlan
    from svdlib.invert import invert_song as invert_song
    from svdlib.lab.figures.inversions import plot_inversions as plot_inversions
    from svdlib.pages.widget import explore as explore
    from svdlib.paper.lasagne import load_lasagne as load_lasagne
    from svdlib.songs.corpora import open_corpus as open_corpus
    from svdlib.songs.loading import load_songs as load_songs
    from svdlib.zoo.checkpoints import load_detector as load_detector
    from svdlib.zoo.checkpoints import load_inverters as load_inverters
    from svdlib.zoo.checkpoints import pretrained as pretrained
    from svdlib.zoo.checkpoints import pretrained_inverters as pretrained_inverters
    from svdlib.zoo.families import build_inverter as build_inverter
    from svdlib.zoo.fitting import fit_inverters as fit_inverters
    from svdlib.zoo.listeners import open_listener as open_listener
else:  # unseen by type checkers, for which any name would exist then

    def __getattr__(name: str) -> Any:
        if name not in _HOMES:
            raise AttributeError(f"module 'svdlib' has no attribute {name!r}")
        return getattr(import_module(f"svdlib.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
