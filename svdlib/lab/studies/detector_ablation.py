"""What does each part of the detector's training bring on real songs? Small detectors that differ in one thing each.

    python -m svdlib.lab.studies.detector_ablation --real folder:my_songs --folder runs/ablation --out results.json

All learn from a synthetic corpus, with the same number of updates, each from the same seeds, so that a part can be held
against the base seed by seed. The threshold comes from synthetic validation songs;
the real songs are only scored. The most telling configurations are done first. Each is written to the results as soon
as it is scored, and `--resume` goes on with what the results lack, on any machine.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from svdlib.compute.command_line import Parser
from svdlib.compute.devices import PRECISIONS, choose_device
from svdlib.compute.run_state import RunOptions
from svdlib.detector.augmentation import Augmentation
from svdlib.detector.model import SVDNet
from svdlib.detector.prediction import predict
from svdlib.detector.remixing import Remixing
from svdlib.detector.scores import best_threshold, smooth
from svdlib.detector.training import DetectorPlan, fit_detector
from svdlib.lab.analysis.song_counts import count_songs, pooled_scores
from svdlib.lab.studies import as_json, origin_of, read_parts, run_program, songs_digest, write_results
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import Songs, load_songs

BASE_PLAN = DetectorPlan(epochs=1, steps_per_epoch=300, batch_size=8)
SCORES = ("mean_song_auc", "auc", "accuracy")
SEEDS = (0, 1, 2)


@dataclass(frozen=True)
class Configuration:
    """One way to train.

    Attributes:
        name: for tables and file names.
        changes: fields of the base plan that are different.
        songs: how many training songs, the first ones; None takes all.
        seeds: a detector is trained with each. The probabilities of several are also averaged.
    """

    name: str
    changes: Mapping[str, Any] = field(default_factory=dict)
    songs: int | None = None
    seeds: tuple[int, ...] = SEEDS


FULL = BASE_PLAN.augmentation
CONFIGURATIONS = (
    Configuration("base"),
    Configuration("no augmentation", {"augmentation": Augmentation(loudness=0, filtering=0, warping=0)}),
    Configuration("without remixing", {"remixing": Remixing(share=0)}),
    Configuration("8 songs", songs=8),
    Configuration("voices at a set ratio", {"remixing": Remixing(ratio=(-2, 12))}),
    Configuration("two bands at once", {"remixing": Remixing(doubled=0.3)}),
    Configuration("tilt and dynamics", {"augmentation": replace(FULL, tilt=12, dynamics=0.3)}),
    Configuration("averaged weights", {"averaging": 0.99}),
    Configuration("30 songs", songs=30),
    Configuration("61 songs", songs=61),  # left out where the corpus has no more: that is the base
)


@dataclass(frozen=True)
class Material:
    """The songs of the study: synthetic ones to learn from and to choose by, real ones to score."""

    train: Songs
    valid: Songs
    real: Songs

    def digest(self) -> str:
        """Tells one set of songs from another, on any machine."""
        labels = [each for songs in (self.train, self.valid, self.real) for each in songs.labels]
        return songs_digest(map(len, labels), labels)


def study(
    corpus: str = "synthetic",
    *,
    real: str,
    folder: str | PathLike[str],
    out: Path | None = None,
    plan: DetectorPlan = BASE_PLAN,
    configurations: Sequence[Configuration] = CONFIGURATIONS,
    device: str = "auto",
    precision: str = "auto",
    resume: bool = False,
) -> dict[str, Any]:
    """Train and score all configurations.

    Args:
        corpus: the training and validation songs come from it.
        real: the corpus whose songs, all of them, are scored.
        folder: where unfinished runs are kept.
        out: the results; they are written after each configuration.
        plan: of the base; the others change one thing in it.
        configurations: which; those that want as many songs as there are, or more, are left out.
        device: where to train.
        precision: of activations. Machines differ in what is fast, so configurations of one file may differ in it.
        resume: go on with what results and folder hold.

    Returns:
        Where the numbers come from, and "configurations": what `run_configuration` returns for each; ready for JSON.

    Raises:
        TrainingError: the results are there already and `resume` is false, or belong to other material; likewise of an
            unfinished run in the folder.
    """
    place = choose_device(device)
    opened = open_corpus(corpus)
    train, valid = load_songs(opened.split("train"), stems=True), load_songs(opened.split("valid"))
    material = Material(train, valid, load_songs(open_corpus(real).tracks))
    chosen = [each for each in configurations if (each.songs or 0) < len(material.train.names)]
    identity = as_json({"plan": asdict(plan), "material": material.digest()})
    done = read_parts(out, identity, "configurations", resume=resume)
    real_origin = {"corpus": origin_of(real, 0)["corpus"], "songs": list(material.real.names)}
    head = (
        {"study": "detector_ablation"}
        | origin_of(corpus, len(material.train.names))
        | {"real": real_origin, "identity": identity, "updates": plan.epochs * plan.steps_per_epoch}
    )
    for each in chosen:
        if each.name not in {one["name"] for one in done}:
            done.append(run_configuration(each, material, plan, Path(folder), place, resume, precision))
            if out is not None:
                write_results(out, as_json(head | {"configurations": done}))
    return as_json(head | {"configurations": done})


def run_configuration(
    configuration: Configuration,
    material: Material,
    plan: DetectorPlan,
    folder: Path,
    device: torch.device,
    resume: bool,
    precision: str = "auto",
) -> dict[str, Any]:
    """Train and score one configuration.

    Returns:
        "name", "songs", "seeds", "precision"; "detectors": per seed what `score` returns; "average": the same for the
        mean of their probabilities, None for a single one.

    Raises:
        TrainingError: if the folder holds an unfinished run and `resume` is false, or that run was another one.
    """
    changed = replace(plan, **configuration.changes)
    train = _first(material.train, configuration.songs)
    place = folder / configuration.name.replace(" ", "-")
    curves = []
    for seed in configuration.seeds:
        options = RunOptions(seed, device, precision, place / f"seed-{seed}", resume)
        fitted = fit_detector(train, material.valid, plan=changed, options=options)
        curves.append({part: _curves(fitted.detector, getattr(material, part)) for part in ("valid", "real")})
    result = {"name": configuration.name, "songs": len(train.names), "seeds": list(configuration.seeds)}
    result["precision"] = fitted.precision
    result["detectors"] = [score(each, material) for each in curves]
    result["average"] = score(_average(curves), material) if len(curves) > 1 else None
    return as_json(result)


def score(curves: Mapping[str, Sequence[np.ndarray]], material: Material) -> dict[str, Any]:
    """Score the predictions for the "valid" and the "real" songs, with the threshold that is best on "valid".

    Args:
        curves: probabilities (frames,) per song, not smoothed.
        material: the labels.

    Returns:
        "threshold", and under "synthetic" and "real" the `SCORES`. The threshold was chosen on the very songs of
        "synthetic", which makes their accuracy a little too good.
    """
    smoothed = {part: [smooth(curve) for curve in curves[part]] for part in ("valid", "real")}
    truth = {part: [np.asarray(x, dtype=bool) for x in getattr(material, part).labels] for part in smoothed}
    threshold, _ = best_threshold(smoothed["valid"], truth["valid"])
    found = {part: pooled_scores(count_songs(smoothed[part], truth[part], threshold)) for part in smoothed}
    synthetic, real = ({name: found[part][name] for name in SCORES} for part in ("valid", "real"))
    return {"threshold": threshold, "synthetic": synthetic, "real": real}


def table(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One row per detector, and one per average: "name", "songs", "threshold" and the scores.

    Rows of a configuration with several seeds are named after the seed, or "average of N".
    """
    rows = []
    for entry in result["configurations"]:
        several = len(entry["detectors"]) > 1
        parts = [
            (f"{entry['name']}, seed {seed}" if several else entry["name"], scores)
            for seed, scores in zip(entry["seeds"], entry["detectors"], strict=True)
        ]
        if entry["average"]:
            parts.append((f"{entry['name']}, average of {len(parts)}", entry["average"]))
        for name, scores in parts:
            flat = {f"{corpus}_{key}": scores[corpus][key] for corpus in ("real", "synthetic") for key in SCORES}
            rows.append({"name": name, "songs": entry["songs"], "threshold": scores["threshold"]} | flat)
    return rows


def against_base(result: Mapping[str, Any], score: str = "mean_song_auc") -> dict[str, list[float]]:
    """What each part brings on the real songs: per configuration its score less that of the base, seed by seed.

    Args:
        result: of `study`.
        score: one of `SCORES`.

    Returns:
        Without the base, and without what cannot be told: a score that one song lacks, a seed that the base lacks.
    """
    base, *others = result["configurations"]
    of_base = dict(zip(base["seeds"], (each["real"][score] for each in base["detectors"]), strict=True))
    found = {}
    for entry in others:
        pairs = [
            (each["real"][score], of_base.get(seed))
            for seed, each in zip(entry["seeds"], entry["detectors"], strict=True)
        ]
        differences = [one - other for one, other in pairs if one is not None and other is not None]
        if differences:
            found[entry["name"]] = differences
    return found


def describe(result: Mapping[str, Any]) -> str:
    """The results as a table for people."""
    heads = ["mean AUC", "AUC", "accuracy"]
    lines = [f"{result['updates']} updates each; on {result['real']['corpus']}, then on synthetic validation songs"]
    lines.append("  ".join([f"{'training':28}", "songs", "thresh.", *(f"{head:>8}" for head in heads * 2)]))
    for row in table(result):
        numbers = [value for key, value in row.items() if key.startswith(("real_", "synthetic_"))]
        cells = [f"{'-' if number is None else format(number, '.3f'):>8}" for number in numbers]
        lines.append("  ".join([f"{row['name']:28}", f"{row['songs']:5}", f"{row['threshold']:7.3g}", *cells]))
    return "\n".join(lines)


def _first(songs: Songs, count: int | None) -> Songs:
    return Songs(*(getattr(songs, each.name)[:count] for each in fields(Songs)))


def _average(curves: Sequence[Mapping[str, Sequence[np.ndarray]]]) -> dict[str, list[np.ndarray]]:
    """Mean over detectors of the probabilities of each song."""
    return {
        part: [np.mean(song, axis=0) for song in zip(*(each[part] for each in curves), strict=True)]
        for part in curves[0]
    }


def _curves(detector: SVDNet, songs: Songs) -> list[np.ndarray]:
    return [predict(detector, log_mel) for log_mel in songs.log_mels]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right, 130 when interrupted."""
    parser = Parser(prog="python -m svdlib.lab.studies.detector_ablation", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="to learn from (default synthetic)")
    parser.add_argument("--real", required=True, metavar="NAME", help="to score on: folder:PATH")
    parser.add_argument("--folder", type=Path, default=Path("runs/ablation"), help="where runs are kept")
    parser.add_argument("--epochs", type=int, default=BASE_PLAN.epochs, metavar="N")
    parser.add_argument("--steps-per-epoch", type=int, default=BASE_PLAN.steps_per_epoch, metavar="N")
    parser.add_argument("--precision", default="auto", choices=("auto", *PRECISIONS), help="of activations")
    parser.add_argument("--resume", action="store_true", help="go on with what the results and the folder hold")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        plan = replace(BASE_PLAN, epochs=options.epochs, steps_per_epoch=options.steps_per_epoch)
        names = ("folder", "out", "device", "precision", "resume")
        where = {name: getattr(options, name) for name in names}
        return study(options.corpus, real=options.real, plan=plan, **where)

    return run_program(parser, arguments, act, describe, resumable=True)


if __name__ == "__main__":
    sys.exit(main())
