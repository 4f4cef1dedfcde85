"""Opening up a deep singing-voice detector (SVD) by feature inversion (Mishra, Sturm & Dixon, ISMIR 2018).

Public names are loaded when they are first used, so that training needs nothing but torch and NumPy.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "LogMel": "audio",
    "Standardizer": "standardizer",
    "load_audio": "audio",
    "load_song": "audio",
    "save_audio": "audio",
    "sonify": "audio",
    "open_corpus": "corpora",
    "load_songs": "corpora.songs",
    "ExcerptBank": "excerpts",
    "Songs": "excerpts",
    "LAYERS": "model",
    "LAYER_SHAPES": "model",
    "SVDNet": "model",
    "VARIANTS": "inverters",
    "FeatureInverter": "inverters",
    "build_inverter": "inverters",
    "count_parameters": "inverters",
    "PROFILES": "plans",
    "TrainingPlan": "plans",
    "fit_inverters": "training",
    "DETECTOR_PROFILES": "detector_training",
    "DetectorPlan": "detector_training",
    "fit_detector": "detector_training",
    "predict": "detector_training",
    "EvaluationPlan": "evaluation",
    "evaluate_inverters": "evaluation",
    "mean_predictor_nre": "evaluation",
    "nre": "evaluation",
    "reconstruct": "evaluation",
    "pretrained": "checkpoints",
    "pretrained_inverters": "checkpoints",
    "load_lasagne": "lasagne",
    "invert_song": "invert",
    "write_inversion": "invert",
    "explore": "explorer_widget",
    "SvdlibError": "errors",
}

__all__ = [*_HOMES, "__version__"]

if TYPE_CHECKING:
    from svdlib.audio import LogMel, load_audio, load_song, save_audio, sonify
    from svdlib.checkpoints import pretrained, pretrained_inverters
    from svdlib.corpora import open_corpus
    from svdlib.corpora.songs import load_songs
    from svdlib.detector_training import DETECTOR_PROFILES, DetectorPlan, fit_detector, predict
    from svdlib.errors import SvdlibError
    from svdlib.evaluation import EvaluationPlan, evaluate_inverters, mean_predictor_nre, nre, reconstruct
    from svdlib.excerpts import ExcerptBank, Songs
    from svdlib.explorer_widget import explore
    from svdlib.invert import invert_song, write_inversion
    from svdlib.inverters import VARIANTS, FeatureInverter, build_inverter, count_parameters
    from svdlib.lasagne import load_lasagne
    from svdlib.model import LAYER_SHAPES, LAYERS, SVDNet
    from svdlib.plans import PROFILES, TrainingPlan
    from svdlib.standardizer import Standardizer
    from svdlib.training import fit_inverters


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'svdlib' has no attribute {name!r}")
    return getattr(import_module(f"svdlib.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
