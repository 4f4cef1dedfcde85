"""How far are inversions from their originals? NRE of both families of inverters on several corpora, song by song.

    python -m svdlib.lab.studies.reconstruction_error --others synthetic-c:songs=20 folder:my_songs --out results.json

Of the corpus that the inverters were trained on, the test songs are measured, of others all songs. On each corpus both
families invert the same random excerpts. Whatever is said of the errors later, with an interval, follows from what is
stored of each song: see `svdlib.lab.analysis.intervals`.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import SVDNet
from svdlib.inversion.nre import (
    EvaluationPlan,
    distances_between,
    evaluation_sets,
    mean_pairwise_distance,
    reconstruct,
    reconstruction_distances,
)
from svdlib.lab.analysis.error_maps import mean_squares, over_bands, over_frames
from svdlib.lab.analysis.intervals import Interval, change_interval, nre_interval
from svdlib.lab.studies import FAMILIES, as_json, measure_corpora, open_families, run_program, training_of
from svdlib.zoo.checkpoints import open_detector

BORDER = 2
"""Cells on each side that the interior leaves out: what Conv1 and Conv2 see of the zeros around the excerpt."""

LOWEST = -1.0
"""No published inverter paints a value below it: they end in an ELU."""


def study(
    corpus: str = "synthetic",
    *,
    others: Sequence[str] = (),
    weights: str | PathLike[str] | None = None,
    detector: str | PathLike[str] | None = None,
    sets: int = 10,
    per_song: int = 8,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure both families on the songs of several corpora and say where the numbers come from.

    Args:
        corpus: its training songs give the mean excerpt, its test songs are measured.
        others: corpora of which all songs are measured.
        weights: a folder with the weights of both families; None takes the packaged ones.
        detector: weights of the detector; None takes the packaged ones.
        sets: number of evaluation sets.
        per_song: random excerpts per song and set.
        device: where to compute.

    Returns:
        The study's name, date, versions and how both families learned; "corpora": per corpus what `measure` returns.
    """
    place = choose_device(device)
    network = open_detector(detector).to(place)
    families = open_families(weights, network)
    plan = EvaluationPlan(sets, per_song)
    made, measured = measure_corpora(
        corpus, others, network, place, lambda bank, mean: measure(network, families, bank, mean, plan)
    )
    plans = {name: training_of(inverters) for name, inverters in families.items()}
    return as_json({"study": "reconstruction_error"} | made | {"training": plans, "corpora": measured})


def measure(
    detector: SVDNet,
    families: Mapping[str, Mapping[str, nn.Module]],
    bank: ExcerptBank,
    mean: Tensor,
    plan: EvaluationPlan,
) -> dict[str, Any]:
    """Measure families of inverters on the same excerpts.

    Args:
        detector: in eval mode.
        families: by name, an inverter per layer, in eval mode.
        bank: the songs.
        mean: what the mean predictor paints, from `svdlib.inversion.nre.mean_excerpt`.
        plan: which of the songs' excerpts.

    Returns:
        "songs", "sets", "per_song" (excerpts of each song in a set); "between", the distance between any two songs as a
        share of that between all excerpts (songs, songs); "mean_predictor" and "floor", what is left of the
        error if all is right but for values below -1, which an ELU cannot paint; "layers": per layer and family. Each
        of these measurements holds "nre"; "ci95", its 95 % interval from resampling songs (nan for under three);
        "per_set", the NRE of each set; "per_song", the mean normalised distance of each song, whose mean is the NRE;
        "frame_errors" (115 numbers) and "band_errors" (80), see `svdlib.lab.analysis.error_maps`. That of an inverter
        has an "interior" too: the first four of these without the `BORDER` outermost cells on each side.
    """
    layers = list(next(iter(families.values())))
    tallies = {name: _Tally() for name in ("mean_predictor", "floor")}
    by_layer = {layer: {family: _Tally() for family in families} for layer in layers}
    in_the_interior = {layer: {family: _Distances() for family in families} for layer in layers}
    songs = len(bank.draw(1, np.random.default_rng(0)))
    power, apart, apart_inside = [], [], []
    for starts in evaluation_sets(bank, plan):
        x = bank.cut(starts)
        scale, inside = mean_pairwise_distance(x), mean_pairwise_distance(_interior(x))
        power.append(mean_squares(x))
        apart.append(distances_between(x, songs) / scale)
        apart_inside.append(distances_between(_interior(x), songs) / inside)
        tallies["mean_predictor"].add(x, mean.to(x.device).expand_as(x), scale)
        tallies["floor"].add(x, x.clamp(min=LOWEST), scale)
        for family, inverters in families.items():
            for layer, x_hat in reconstruct(detector, inverters, x).items():
                by_layer[layer][family].add(x, x_hat, scale)
                in_the_interior[layer][family].add(_interior(x), _interior(x_hat), inside)
    originals = torch.stack(power).mean(dim=0)
    between, between_inside = np.mean(apart, axis=0), np.mean(apart_inside, axis=0)
    found = {name: tally.result(originals, between, plan) for name, tally in tallies.items()}
    found["layers"] = {
        layer: {
            family: tally.result(originals, between, plan)
            | {"interior": in_the_interior[layer][family].result(between_inside, plan)}
            for family, tally in of_family.items()
        }
        for layer, of_family in by_layer.items()
    }
    return {"songs": songs, "sets": plan.sets, "per_song": plan.per_song, "between": between.tolist()} | found


def _interior(x: Tensor) -> Tensor:
    """Excerpts (n, 1, frames, bands) without their outermost cells."""
    return x[..., BORDER:-BORDER, BORDER:-BORDER]


class _Distances:
    """Collects the normalised distances of one inverter over evaluation sets."""

    def __init__(self) -> None:
        self.distances: list[Tensor] = []

    def add(self, x: Tensor, x_hat: Tensor, scale: float) -> None:
        self.distances.append(reconstruction_distances(x, x_hat).cpu() / scale)

    def result(self, between: np.ndarray, plan: EvaluationPlan) -> dict[str, Any]:
        distances = torch.stack(self.distances).view(plan.sets, -1, plan.per_song)
        per_song = distances.mean(dim=(0, 2)).numpy()
        nre = nre_interval(per_song, between, seed=plan.seed)
        return {
            "nre": nre.value,
            "ci95": list(nre.ends),
            "per_set": distances.mean(dim=(1, 2)).tolist(),
            "per_song": per_song.tolist(),
        }


class _Tally:
    """The same, and the errors of frames and bands; no reconstruction is kept."""

    def __init__(self) -> None:
        self.distances = _Distances()
        self.squares: list[Tensor] = []

    def add(self, x: Tensor, x_hat: Tensor, scale: float) -> None:
        self.distances.add(x, x_hat, scale)
        self.squares.append(mean_squares(x - x_hat))

    def result(self, originals: Tensor, between: np.ndarray, plan: EvaluationPlan) -> dict[str, Any]:
        errors = torch.stack(self.squares).mean(dim=0)
        return self.distances.result(between, plan) | {
            "frame_errors": over_frames(errors, originals).tolist(),
            "band_errors": over_bands(errors, originals).tolist(),
        }


def nre_of(measured: Mapping[str, Any], family: str) -> dict[str, Interval]:
    """A family's NRE per layer, for `svdlib.lab.figures.nre.figure_nre`; `measured` is fresh or stored as JSON."""
    entries = {layer: by_family[family] for layer, by_family in measured["layers"].items()}
    ends = {layer: [np.nan if end is None else end for end in entry["ci95"]] for layer, entry in entries.items()}
    return {layer: Interval(entry["nre"], *ends[layer]) for layer, entry in entries.items()}


def per_song(measured: Mapping[str, Any], family: str) -> dict[str, list[float]]:
    """A family's normalised distances, per layer (songs,): what `svdlib.lab.analysis.intervals` takes."""
    return {layer: by_family[family]["per_song"] for layer, by_family in measured["layers"].items()}


def family_changes(measured: Mapping[str, Any]) -> dict[str, Interval]:
    """Per layer, by what share the NRE changes from published to aligned inverters, paired over songs."""
    published, aligned = (per_song(measured, family) for family in FAMILIES)
    return {layer: change_interval(published[layer], aligned[layer]) for layer in published}


def slope(errors: Sequence[float]) -> float:
    """By what share the error grows from the first to the last third of an excerpt, from its `frame_errors`."""
    third = EXCERPT_FRAMES // 3
    return float(np.mean(errors[-third:]) / np.mean(errors[:third]) - 1)


def describe(result: Mapping[str, Any]) -> str:
    """The results as tables for people, one per corpus."""
    lines = ["growth: of the squared error from the first to the last third of an excerpt"]
    heads = ("layer", *(f"{name} {what}" for name in FAMILIES for what in ("NRE", "growth")), "change of the NRE")
    for name, measured in result["corpora"].items():
        lines += [
            "",
            f"{name}: {measured['songs']} songs, {measured['sets']} sets of {measured['per_song']} excerpts each",
        ]
        lines.append("  ".join(f"{head:>16}" for head in heads))
        changes = family_changes(measured)
        for layer, by_family in measured["layers"].items():
            cells = [layer]
            for family in FAMILIES:
                entry = by_family[family]
                cells += [f"{entry['nre']:.3f}", f"{slope(entry['frame_errors']):+z.1%}"]
            lines.append("  ".join(f"{cell:>16}" for cell in [*cells, f"{changes[layer]:+z.1%}"]))
        for what in ("mean_predictor", "floor"):
            lines.append("  ".join(f"{cell:>16}" for cell in (what.replace("_", " "), f"{measured[what]['nre']:.3f}")))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(prog="python -m svdlib.lab.studies.reconstruction_error", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="its test songs (default synthetic)")
    parser.add_argument("--others", nargs="+", default=(), metavar="NAME", help="corpora, of which all songs are taken")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="weights of both (default: the packaged ones)")
    parser.add_argument("--detector", type=Path, metavar="FILE", help="its weights (default: the packaged ones)")
    parser.add_argument("--sets", type=int, default=10, metavar="N", help="evaluation sets (default 10)")
    parser.add_argument("--per-song", type=int, default=8, metavar="N", help="excerpts of a song per set (default 8)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("others", "weights", "detector", "sets", "per_song", "device")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
