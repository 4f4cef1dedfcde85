"""Does the detector still get better on real songs when its training ends? Measured after every epoch.

    python -m svdlib.lab.studies.learning_curve --real folder:my_songs --folder runs/curve --out results.json

By the real songs nothing is chosen. Each seed is written to the results as soon as it is done, and `--resume` goes on
with those that they lack, on any machine.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

from svdlib.compute.command_line import Parser
from svdlib.compute.devices import PRECISIONS
from svdlib.compute.run_state import RunOptions
from svdlib.lab.studies import as_json, origin_of, read_parts, run_program, write_results
from svdlib.recipes import public_name, train_detector
from svdlib.songs.corpora import open_corpus
from svdlib.zoo.checkpoints import load_detector
from svdlib.zoo.profiles import DETECTOR_PROFILES

SEEDS = (0, 1, 2)
CURVES = ("watched_mean_auc", "watched_auc", "watched_accuracy", "accuracy", "validation")


def study(
    corpus: str = "synthetic",
    *,
    real: str,
    folder: str | PathLike[str],
    out: Path | None = None,
    profile: str = "laptop",
    seeds: Sequence[int] = SEEDS,
    device: str = "auto",
    precision: str = "auto",
    resume: bool = False,
) -> dict[str, Any]:
    """Train detectors and watch real songs.

    Args:
        corpus: its training songs are learned from, its validation songs choose epoch and threshold.
        real: the corpus whose songs, all of them, are watched.
        folder: where runs are kept, with a folder per seed.
        out: the results; they are written after each seed.
        profile: how to train, see `svdlib.zoo.profiles.DETECTOR_PROFILES`.
        seeds: a detector is trained with each.
        device: where to train.
        precision: of activations. Machines differ in what is fast, so seeds of one file may differ in it.
        resume: go on with what results and folder hold.

    Returns:
        Where the numbers come from, and "trainings": per seed "seed", "date" and "commit" of its training, "precision",
        "kept_epoch" and "curve", per name of `CURVES` a number for each epoch, None where it is not known; ready for
        JSON.

    Raises:
        TrainingError: the results are there already and `resume` is false, or belong to another training; likewise of
            an unfinished run in the folder.
    """
    opened = open_corpus(corpus)
    watched = {"corpus": public_name(real), "songs": [track.name for track in open_corpus(real).tracks]}
    plan = asdict(DETECTOR_PROFILES[profile])
    identity = as_json({"corpus": public_name(corpus), "real": watched, "plan": plan})
    done = read_parts(out, identity, "trainings", resume=resume)
    head = {"study": "learning_curve"} | origin_of(corpus, len(opened.split("train"))) | {"identity": identity}
    for seed in seeds:
        if seed not in {each["seed"] for each in done}:
            options = RunOptions(seed, device, precision, Path(folder, f"seed-{seed}"), resume)
            done.append(as_json({"seed": seed} | _trained(corpus, real, profile, options)))
            if out is not None:
                write_results(out, as_json(head | {"trainings": done}))
    return as_json(head | {"trainings": done})


def _trained(corpus: str, real: str, profile: str, options: RunOptions) -> dict[str, Any]:
    path = train_detector(corpus, profile=profile, watch=real, options=options)
    assert path is not None, "there is no time limit"
    found = load_detector(path).provenance
    curve = {name: found["curve"].get(name) for name in CURVES}
    stated = {name: found[name] for name in ("date", "commit", "precision")}
    return stated | {"kept_epoch": found["best_epoch"], "curve": curve}


def updates_of(result: Mapping[str, Any]) -> list[int]:
    """After how many updates the numbers of a curve were measured."""
    plan = result["identity"]["plan"]
    return [plan["steps_per_epoch"] * epoch for epoch in range(1, plan["epochs"] + 1)]


def late_gains(result: Mapping[str, Any], name: str = "watched_mean_auc") -> list[float]:
    """What the last third of the training brought, seed by seed: the mean of its epochs less that of the third before.

    Means of thirds, since single epochs jump. Seeds without this curve, or with fewer than three epochs, are left out.
    """
    gains = []
    for training in result["trainings"]:
        curve = training["curve"][name]
        third = len(curve or ()) // 3
        if third and None not in curve:
            last, before = curve[-third:], curve[-2 * third : -third]
            gains.append(sum(last) / third - sum(before) / third)
    return gains


def describe(result: Mapping[str, Any]) -> str:
    """The results as a table for people."""
    lines = [f"Watched: {result['identity']['real']['corpus']}; * is the epoch that validation songs chose"]
    lines.append("  ".join(["seed", "updates", *(f"{name.replace('_', ' '):>16}" for name in CURVES)]))
    for training in result["trainings"]:
        rows = zip(*(training["curve"][name] or [None] * len(updates_of(result)) for name in CURVES), strict=True)
        for epoch, (updates, row) in enumerate(zip(updates_of(result), rows, strict=True), start=1):
            cells = [f"{'-' if value is None else format(value, '.3f'):>16}" for value in row]
            mark = " *" if epoch == training["kept_epoch"] else ""
            lines.append("  ".join([f"{training['seed']:4}", f"{updates:7}", *cells]) + mark)
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right, 130 when interrupted."""
    parser = Parser(prog="python -m svdlib.lab.studies.learning_curve", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="to learn from (default synthetic)")
    parser.add_argument("--real", required=True, metavar="NAME", help="to watch: folder:PATH")
    parser.add_argument("--folder", type=Path, default=Path("runs/curve"), help="where runs are kept")
    parser.add_argument("--profile", default="laptop", choices=("demo", "laptop", "full"), help="how to train")
    parser.add_argument("--seeds", type=int, nargs="+", default=list(SEEDS), metavar="N", help="(default 0 1 2)")
    parser.add_argument("--precision", default="auto", choices=("auto", *PRECISIONS), help="of activations")
    parser.add_argument("--resume", action="store_true", help="go on with what the results and the folder hold")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("real", "folder", "out", "profile", "seeds", "device", "precision", "resume")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=True)


if __name__ == "__main__":
    sys.exit(main())
