"""Opening up a deep singing-voice detector (SVD) by feature inversion (Mishra, Sturm & Dixon, ISMIR 2018).

Public names are loaded when they are first used, so that training needs nothing but torch and NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "LogMel": "audio.log_mel",
    "Standardizer": "audio.standardizer",
    "load_audio": "audio.log_mel",
    "load_song": "audio.log_mel",
    "save_audio": "audio.log_mel",
    "sonify": "audio.log_mel",
    "open_corpus": "songs.corpora",
    "load_songs": "songs.corpora.songs",
    "ExcerptBank": "detector.excerpts",
    "Songs": "detector.excerpts",
    "LAYERS": "detector.model",
    "LAYER_SHAPES": "detector.model",
    "SVDNet": "detector.model",
    "VARIANTS": "inversion.inverters",
    "FeatureInverter": "inversion.inverters",
    "build_inverter": "inversion.inverters",
    "count_parameters": "inversion.inverters",
    "PROFILES": "inversion.plans",
    "TrainingPlan": "inversion.plans",
    "fit_inverters": "inversion.training",
    "DETECTOR_PROFILES": "detector.training",
    "DetectorPlan": "detector.training",
    "fit_detector": "detector.training",
    "predict": "detector.training",
    "EvaluationPlan": "inversion.nre",
    "evaluate_inverters": "inversion.nre",
    "mean_predictor_nre": "inversion.nre",
    "nre": "inversion.nre",
    "reconstruct": "inversion.nre",
    "pretrained": "zoo.checkpoints",
    "pretrained_inverters": "zoo.checkpoints",
    "load_lasagne": "paper.lasagne",
    "invert_song": "invert",
    "write_inversion": "invert",
    "explore": "pages.widget",
    "SvdlibError": "errors",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from svdlib.audio.log_mel import LogMel, load_audio, load_song, save_audio, sonify
    from svdlib.audio.standardizer import Standardizer
    from svdlib.detector.excerpts import ExcerptBank, Songs
    from svdlib.detector.model import LAYER_SHAPES, LAYERS, SVDNet
    from svdlib.detector.training import DETECTOR_PROFILES, DetectorPlan, fit_detector, predict
    from svdlib.errors import SvdlibError
    from svdlib.inversion.inverters import VARIANTS, FeatureInverter, build_inverter, count_parameters
    from svdlib.inversion.nre import EvaluationPlan, evaluate_inverters, mean_predictor_nre, nre, reconstruct
    from svdlib.inversion.plans import PROFILES, TrainingPlan
    from svdlib.inversion.training import fit_inverters
    from svdlib.invert import invert_song, write_inversion
    from svdlib.pages.widget import explore
    from svdlib.paper.lasagne import load_lasagne
    from svdlib.songs.corpora import open_corpus
    from svdlib.songs.corpora.songs import load_songs
    from svdlib.zoo.checkpoints import pretrained, pretrained_inverters


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'svdlib' has no attribute {name!r}")
    return getattr(import_module(f"svdlib.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
