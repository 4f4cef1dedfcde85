"""What do objective and family change in NRE? Short trainings, each of which differs from the paper's method.

    python -m svdlib.lab.studies.inverter_ablation --real folder:my_songs --folder runs/ablation --out results.json

All learn from a synthetic corpus, from the same seed, with the same number of updates on the same excerpts in the same
order. Inverters are scored on synthetic test songs and on real songs, both those of the epoch with the lowest
validation loss and those of the last one. Finished trainings are kept in the folder, and `--resume` goes on after them.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.compute.storage import digest
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.inversion.nre import (
    EvaluationPlan,
    evaluation_sets,
    mean_pairwise_distance,
    reconstruct,
    reconstruction_distances,
)
from svdlib.inversion.plans import TrainingPlan
from svdlib.lab.analysis.intervals import Interval, nre_interval
from svdlib.lab.studies import as_json, origin_of, read_finished, run_program, write_results
from svdlib.recipes import bank_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.checkpoints import open_detector
from svdlib.zoo.fitting import fit_inverters

BASE_PLAN = TrainingPlan(epochs=4, batch_size=8, schedule="cosine", steps_per_epoch=40, validation_excerpts=96)
EVALUATION = EvaluationPlan(sets=4, per_song=8)


@dataclass(frozen=True)
class Configuration:
    """One way to train.

    Attributes:
        name: for tables and file names.
        variant: the family of inverters.
        objective: what they minimise.
    """

    name: str
    variant: str = "published"
    objective: str = "joint"


CONFIGURATIONS = (
    Configuration("joint"),
    Configuration("input", objective="input"),
    Configuration("linear output", variant="published-linear"),
    Configuration("aligned", variant="aligned"),
    Configuration("released", objective="released"),
)
"""The first is the paper's method; each of the others differs from it in one thing, but for "aligned", which differs
from "linear output" in its geometry, and "released", which follows the released code's training step to the letter."""


@dataclass(frozen=True)
class Material:
    """What the study learns from and is scored on.

    Attributes:
        detector: in eval mode.
        train: training excerpts.
        valid: validation excerpts.
        scored: per corpus, the songs to score on.
    """

    detector: SVDNet
    train: ExcerptBank
    valid: ExcerptBank
    scored: Mapping[str, ExcerptBank]

    def digest(self) -> str:
        """Tells one set of songs and detector from another."""
        weights = [value.flatten().float().cpu() for value in self.detector.state_dict().values()]
        frames = [bank.frames.flatten().cpu() for bank in (self.train, self.valid, *self.scored.values())]
        return digest(torch.cat([*weights, *frames]))


def study(
    corpus: str = "synthetic",
    *,
    real: str,
    folder: str | PathLike[str],
    plan: TrainingPlan = BASE_PLAN,
    evaluation: EvaluationPlan = EVALUATION,
    configurations: Sequence[Configuration] = CONFIGURATIONS,
    layers: Sequence[str] = LAYERS,
    device: str = "auto",
    resume: bool = False,
) -> dict[str, Any]:
    """Train and score all configurations.

    Args:
        corpus: the training and validation songs come from it; its test songs are scored.
        real: a corpus whose songs, all of them, are scored too.
        folder: where unfinished runs and finished configurations are kept.
        plan: of each training.
        evaluation: how many excerpts are scored.
        configurations: which trainings.
        layers: which inverters.
        device: where to train.
        resume: go on with what the folder holds.

    Returns:
        Where the numbers come from, and "configurations": what `run_configuration` returns for each; ready for JSON.
    """
    place = choose_device(device)
    detector, opened, real_songs = open_detector(None).to(place), open_corpus(corpus), open_corpus(real)
    train, valid, test = (
        bank_of(load_songs(opened.split(split)), detector, place) for split in ("train", "valid", "test")
    )
    scored = {"synthetic test songs": test, "real songs": bank_of(load_songs(real_songs.tracks), detector, place)}
    material = Material(detector, train, valid, scored)
    done = [
        run_configuration(each, material, plan, evaluation, layers, Path(folder), resume) for each in configurations
    ]
    return as_json(
        {"study": "inverter_ablation"}
        | origin_of(corpus, len(opened.tracks))
        | {"real": {"corpus": origin_of(real, 0)["corpus"], "songs": len(real_songs.tracks)}}
        | {"plan": asdict(plan), "updates": plan.epochs * (plan.steps_per_epoch or 0), "seed": 0}
        | {"evaluation": asdict(evaluation), "configurations": done}
    )


def run_configuration(
    configuration: Configuration,
    material: Material,
    plan: TrainingPlan,
    evaluation: EvaluationPlan,
    layers: Sequence[str],
    folder: Path,
    resume: bool,
) -> dict[str, Any]:
    """Train and score one configuration, or read what an earlier run of it has found.

    Returns:
        "name", "variant", "objective", and per layer "best" and "last": what `score` returns for the inverter of the
        epoch with the lowest validation loss, and for that of the last one. The objective "released" has no best epoch,
        as it keeps none: both are the last one.

    Raises:
        TrainingError: if the folder holds an earlier run and `resume` is false, or that run was another one.
    """
    identity = {
        "configuration": asdict(configuration),
        "plan": asdict(plan),
        "evaluation": asdict(evaluation),
        "layers": list(layers),
        "material": material.digest(),
    }
    place = folder / configuration.name.replace(" ", "-")
    finished = place.with_suffix(".json")
    earlier = read_finished(finished, as_json(identity), resume=resume)
    if earlier is not None:
        return earlier
    fitted = fit_inverters(
        material.detector,
        material.train,
        material.valid,
        layers=layers,
        variant=configuration.variant,
        objective=configuration.objective,
        plan=plan,
        folder=place,
        resume=resume,
    )
    result: dict[str, Any] = asdict(configuration) | {"layers": {layer: {} for layer in fitted.inverters}}
    for epoch, inverters in {"best": fitted.inverters, "last": fitted.last}.items():
        for layer, found in score(material.detector, inverters, material.scored, evaluation).items():
            result["layers"][layer][epoch] = found
    for layer, found in result["layers"].items():
        found["kept_epoch"] = fitted.record(layer)["kept_epoch"]
        found["validation_losses"] = fitted.record(layer)["validation_losses"]
    write_results(finished, as_json({"identity": identity, "result": result}))
    return as_json(result)


def score(
    detector: SVDNet,
    inverters: Mapping[str, nn.Module],
    scored: Mapping[str, ExcerptBank],
    evaluation: EvaluationPlan,
) -> dict[str, dict[str, dict[str, Any]]]:
    """NRE of inverters on several corpora.

    Args:
        detector: in eval mode.
        inverters: an inverter per layer, in eval mode.
        scored: the songs of each corpus.
        evaluation: which of their excerpts.

    Returns:
        Per layer and corpus "nre", and "per_song": the mean distance of each song's excerpts to their reconstructions,
        divided by that between two excerpts of the set. The first is the mean of the second.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {layer: {} for layer in inverters}
    for corpus, bank in scored.items():
        distances: dict[str, list[torch.Tensor]] = {layer: [] for layer in inverters}
        for starts in evaluation_sets(bank, evaluation):
            x = bank.cut(starts)
            scale = mean_pairwise_distance(x)
            for layer, x_hat in reconstruct(detector, dict(inverters), x).items():
                distances[layer].append(reconstruction_distances(x, x_hat).cpu() / scale)
        for layer, of_sets in distances.items():
            per_song = torch.stack(of_sets).view(len(of_sets), -1, evaluation.per_song).mean(dim=(0, 2))
            found[layer][corpus] = {"nre": float(per_song.mean()), "per_song": per_song.tolist()}
    return found


def corpora_of(result: Mapping[str, Any]) -> list[str]:
    """The corpora that an ablation was scored on."""
    layers = result["configurations"][0]["layers"]
    return list(next(iter(layers.values()))["best"])


def per_song(result: Mapping[str, Any], configuration: str, epoch: str, corpus: str) -> dict[str, list[float]]:
    """Normalised distances of one training, per layer (songs,).

    Args:
        result: of this study.
        configuration: its name.
        epoch: "best" or "last".
        corpus: one of `corpora_of`.

    Raises:
        KeyError: if the result has no such training or corpus.
    """
    by_name = {each["name"]: each["layers"] for each in result["configurations"]}
    return {layer: found[epoch][corpus]["per_song"] for layer, found in by_name[configuration].items()}


def nre_of(result: Mapping[str, Any], configuration: str, corpus: str, between: np.ndarray) -> dict[str, Interval]:
    """NRE of the best epoch per layer, for `svdlib.lab.figures.nre.figure_nre`.

    Args:
        result: of this study.
        configuration: the name of a training.
        corpus: one of `corpora_of`.
        between: distances between its songs (songs, songs), as `svdlib.lab.studies.reconstruction_error` stores them
            of the same songs; they are the yardstick, which is drawn anew with the songs.
    """
    errors = per_song(result, configuration, "best", corpus)
    return {layer: nre_interval(values, between) for layer, values in errors.items()}


def describe(result: Mapping[str, Any]) -> str:
    """The results as a table for people: NRE of the kept epoch."""
    lines = [f"NRE after {result['updates']} updates of {result['plan']['batch_size']} excerpts, kept epoch"]
    layers = list(result["configurations"][0]["layers"])
    for corpus in result["configurations"][0]["layers"][layers[0]]["best"]:
        lines.append("  ".join([f"{corpus:22}", *(f"{layer:>6}" for layer in layers)]))
        for each in result["configurations"]:
            values = [f"{each['layers'][layer]['best'][corpus]['nre']:6.3f}" for layer in layers]
            lines.append("  ".join([f"  {each['name']:20}", *values]))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right, 130 when interrupted."""
    parser = Parser(prog="python -m svdlib.lab.studies.inverter_ablation", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="to learn from (default synthetic)")
    parser.add_argument("--real", required=True, metavar="NAME", help="to score on too: folder:PATH")
    parser.add_argument("--folder", type=Path, default=Path("runs/inverter_ablation"), help="where runs are kept")
    parser.add_argument("--epochs", type=int, default=BASE_PLAN.epochs, metavar="N")
    parser.add_argument("--steps-per-epoch", type=int, default=BASE_PLAN.steps_per_epoch, metavar="N")
    parser.add_argument("--resume", action="store_true", help="go on with what the folder holds")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        plan = replace(BASE_PLAN, epochs=options.epochs, steps_per_epoch=options.steps_per_epoch)
        where = {"folder": options.folder, "device": options.device, "resume": options.resume}
        return study(options.corpus, real=options.real, plan=plan, **where)

    return run_program(parser, arguments, act, describe, resumable=True)


if __name__ == "__main__":
    sys.exit(main())
