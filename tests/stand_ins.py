"""Listeners that nobody has trained, in files as the package has them: what their inverters paint is near the mean."""

from pathlib import Path

import torch

from svdlib.detector.recurrent import RecurrentDetector
from svdlib.inversion.derivation import derive_inverters
from svdlib.inversion.encoder import Encoder
from svdlib.inversion.files import save_inverter, weights_name
from svdlib.inversion.inverters import FeatureInverter
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import DETECTOR_FILE, load_detector, pretrained, save_weights
from svdlib.zoo.families import build_inverter
from svdlib.zoo.listeners import UNTRAINED_SEED, recurrent_listener

PLAN = {"epochs": 1, "steps_per_epoch": 10}
CONTROL_LAYERS = ("mp6", "fc8")


def write_listeners(folder: Path) -> None:
    """Write a recurrent detector, and inverters for it and for random weights, in folders of their own."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = RecurrentDetector()
        network.standardizer.load_state_dict(pretrained("detector").standardizer.state_dict())
        path = folder / "recurrent" / DETECTOR_FILE
        path.parent.mkdir(parents=True)
        save_weights(path, network, {"threshold": 0.5, "corpus": "none"})
        write_derived(folder / "recurrent", recurrent_listener(load_detector(path)))
        control = untrained_like(pretrained("detector"), UNTRAINED_SEED)
        (folder / "untrained").mkdir()
        for layer in CONTROL_LAYERS:
            origin = {"detector": control.provenance, "objective": "input", "plan": PLAN}
            save_weights(
                folder / "untrained" / weights_name(layer, "aligned"), build_inverter(layer, "aligned"), origin
            )


def write_derived(folder: Path, encoder: Encoder) -> None:
    """Write an inverter of each layer of a network, as it is before any training."""
    folder.mkdir(exist_ok=True)
    origin = {"listener": encoder.provenance, "layers": list(encoder.shapes), "objective": "input", "plan": PLAN}
    for layer, choice in derive_inverters(encoder).items():
        inverter = FeatureInverter(choice.spec, choice.spec.family)
        save_inverter(folder / weights_name(layer, inverter.variant), inverter, origin, exact=False)
