"""Inverters for the listeners that the detector is compared with: another architecture, and random weights.

    python -m svdlib.lab.studies.listener_inverters --listener "recurrent detector" --network FILE --folder runs/ears
    python -m svdlib.lab.studies.listener_inverters --listener "untrained detector" --objective input --folder runs/ears

They learn as the detector's own do. A run is stopped and resumed, and `--start` goes on from what an earlier one has
learned. The folder then holds the inverters, in half precision, with their provenance. Nothing is measured here: that
is done by `svdlib.lab.studies.other_ears`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from svdlib.compute.command_line import Parser, number_type
from svdlib.compute.devices import choose_device, device_name
from svdlib.compute.run_state import RunOptions
from svdlib.detector.architecture import Detector
from svdlib.inversion.inverters import FeatureInverter
from svdlib.inversion.listener import Listener
from svdlib.inversion.training import FittedInverters
from svdlib.lab.studies import run_program
from svdlib.recipes import bank_of, make_provenance, public_name, save_inverters
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import load_detector, load_inverters, open_detector
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.listeners import UNTRAINED_SEED, recurrent_listener
from svdlib.zoo.objectives import OBJECTIVES
from svdlib.zoo.profiles import PROFILES, fit_to_corpus

CONTROL_LAYERS = ("mp6", "fc8")
"""The layers of the untrained detector that are inverted: the last one with positions, and the deepest one."""

CONTROL_FAMILY = "aligned"


def train(
    listener: str,
    folder: str | PathLike[str],
    *,
    network: str | PathLike[str] | None = None,
    corpus: str = "synthetic",
    profile: str = "demo",
    epochs: int | None = None,
    layers: Sequence[str] | None = None,
    objective: str = "balanced",
    lambda_feature: float | None = None,
    compare: Sequence[str] | None = None,
    start: str | PathLike[str] | None = None,
    minutes: float = float("inf"),
    seed: int = 0,
    resume: bool = False,
    device: str = "auto",
) -> dict[str, Any]:
    """Train the inverters of a listener, or go on with them.

    Args:
        listener: a key of `MAKERS`.
        folder: where the state of the run and the inverters lie.
        network: weights of the recurrent detector; for the untrained one, of the detector that it is like, whose
            standardisation it has. None takes the packaged detector.
        corpus: whose training songs they learn from, and whose validation songs choose the epoch to keep.
        profile: how long to train, see `svdlib.zoo.profiles`.
        epochs: another number of epochs than the profile has.
        layers: which are inverted; None takes all, of the untrained detector `CONTROL_LAYERS`.
        objective: what is made small, see `svdlib.zoo.objectives`.
        lambda_feature: weight of the feature loss; None leaves it at 1.
        compare: the layers at which it compares; None takes the listener's comparator.
        start: a folder with inverters of these layers to go on from; None starts from chance.
        minutes: stop in good order after so many.
        seed: of the run.
        resume: go on from where a run in the folder stopped.
        device: where to compute.

    Returns:
        "finished", and per layer the last "validation" loss and the "reason" for its family.
    """
    place, opened = choose_device(device), open_corpus(corpus)
    hearing, encoder, family = MAKERS[listener](network)
    hearing.to(place)
    banks = [bank_of(load_songs(opened.split(name)), hearing, place) for name in ("train", "valid")]
    plan = fit_to_corpus(PROFILES[profile], len(banks[0]))
    plan = replace(plan, epochs=epochs or plan.epochs)
    learned: Mapping[str, FeatureInverter] | None = None if start is None else load_inverters(start)
    fitted = fit_inverters(
        encoder,
        *banks,
        layers=layers or (CONTROL_LAYERS if family else None),
        variant=family,
        objective=objective,
        lambda_feature=lambda_feature,
        compare=compare,
        plan=plan,
        start=learned,
        options=RunOptions(
            seed=seed, device=place, folder=Path(folder), resume=resume, minutes=minutes, corpus=public_name(corpus)
        ),
    )
    origin = make_provenance(corpus, len(opened.tracks), seed, profile, device_name(place)) | {"objective": objective}
    if fitted.finished and family:
        save_inverters(folder, fitted, plan, origin, hearing.provenance, resumed=resume)
    elif fitted.finished:
        fitted.origin = origin | fitted.origin
        fitted.save(folder, exact=False)
    return _summary(fitted)


def _recurrent(weights: str | PathLike[str] | None) -> tuple[Detector, Listener, str | None]:
    network = load_detector(weights) if weights else open_detector(None)
    return network, recurrent_listener(network), None


def _untrained(weights: str | PathLike[str] | None) -> tuple[Detector, Listener, str | None]:
    network = untrained_like(open_detector(weights), UNTRAINED_SEED)
    return network, network, CONTROL_FAMILY


MAKERS = {"recurrent detector": _recurrent, "untrained detector": _untrained}
"""Per listener: its network from a file of weights, the listener to invert, and a named family of inverters or None."""


def _summary(fitted: FittedInverters) -> dict[str, Any]:
    last = fitted.history[-1].validation if fitted.history else {}
    layers = {
        layer: {"validation": last.get(layer), "reason": fitted.reasons.get(layer, CONTROL_FAMILY)}
        for layer in fitted.inverters
    }
    return {"finished": fitted.finished, "epochs": len(fitted.history), "layers": layers}


def describe(result: Mapping[str, Any]) -> str:
    """What a run has come to, in lines."""
    lines = [f"{layer}: validation loss {each['validation']}" for layer, each in result["layers"].items()]
    if not result["finished"]:
        lines.append(f"Not finished, {result['epochs']} epochs so far. The same command with --resume goes on.")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the program; the return value is the exit status."""
    parser = Parser(
        prog="python -m svdlib.lab.studies.listener_inverters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--listener", choices=tuple(MAKERS), required=True, help="whose layers are inverted")
    parser.add_argument("--network", type=Path, metavar="FILE", help="weights, see above (default: the packaged ones)")
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="whose songs the inverters learn from")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="demo", help="how long to train (default demo)")
    parser.add_argument("--epochs", type=number_type(int, 1), metavar="N", help="another number than the profile's")
    parser.add_argument("--layers", nargs="+", metavar="LAYER", help="which are inverted (default: all, see above)")
    parser.add_argument("--compare", nargs="+", metavar="LAYER", help="where the feature loss compares (default: one)")
    parser.add_argument("--objective", choices=tuple(OBJECTIVES), default="balanced", help="default: balanced")
    parser.add_argument("--lambda-feature", type=number_type(float, 0), metavar="W", help="weight of the feature loss")
    parser.add_argument("--start", type=Path, metavar="FOLDER", help="inverters to go on from (default: from chance)")
    parser.add_argument("--folder", type=Path, required=True, help="where state and inverters are kept")
    parser.add_argument(
        "--minutes", type=number_type(float, 0), default=float("inf"), metavar="M", help="stop after so many"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default 0)")
    parser.add_argument("--resume", action="store_true", help="go on from where a run in the folder stopped")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = (
            "network",
            "corpus",
            "profile",
            "epochs",
            "layers",
            "objective",
            "lambda_feature",
            "compare",
            "start",
            "minutes",
            "seed",
            "resume",
        )
        settings = {name: getattr(options, name) for name in (*names, "device")}
        return train(options.listener, options.folder, **settings)

    return run_program(parser, arguments, act, describe, resumable=True)


if __name__ == "__main__":
    sys.exit(main())
