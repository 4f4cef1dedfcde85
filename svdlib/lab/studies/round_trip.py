"""Does the detector answer to an inversion as to its original? Both families, all layers, song by song.

    python -m svdlib.lab.studies.round_trip --others synthetic-c:songs=20 folder:my_songs --out results.json

The distance of an inversion from its original says nothing of what it is to the network whose feature it was made from.
So inversions are given back to the detector: does it decide as before, and has it the same feature again? Other
detectors (`--judges`), which had no part in any training of inverters, tell what is in the picture from what the first
one alone sees in it. Beside it stands a painter that knows nothing: the mean training excerpt, whatever was asked.

Of the deepest layers other trainings of the aligned inverters are measured too: by the input loss alone, and with a
feature loss at Conv5 alone. What is wanted was fixed beforehand: at FC8, three of four decisions kept for at most 1.05
times the NRE of the input loss alone, and by the other detectors likewise.
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

from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import SVDNet
from svdlib.inversion.inverters import check_belongs
from svdlib.inversion.nre import (
    EvaluationPlan,
    distances_between,
    evaluation_sets,
    reconstruction_distances,
)
from svdlib.lab.analysis.intervals import (
    Interval,
    change_interval,
    difference_interval,
    mean_interval,
    nre_interval,
)
from svdlib.lab.analysis.round_trip import (
    BATCH,
    compared,
    correlation_interval,
    feature_scale,
    features_and_answers,
    features_at,
    heard,
)
from svdlib.lab.studies import AT_CONV5, as_json, measure_corpora, open_families, open_judges, run_program, training_of
from svdlib.zoo.checkpoints import open_detector

OWN = "the detector"
"""The name among the judges of the one whose features are inverted."""

BLIND = "mean excerpt"
"""The name among the painters of the one that knows nothing."""


def study(
    corpus: str = "synthetic",
    *,
    others: Sequence[str] = (),
    weights: str | PathLike[str] | None = None,
    detector: str | PathLike[str] | None = None,
    judges: Sequence[str | PathLike[str]] = (),
    sets: int = 4,
    per_song: int = 8,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure both families on the songs of several corpora and say where the numbers come from.

    Args:
        corpus: its training songs give the mean excerpt, its test songs are measured.
        others: corpora of which all songs are measured.
        weights: a folder with the weights of both families; None takes the packaged ones.
        detector: weights of the detector; None takes the packaged ones.
        judges: weights of other detectors, trained from other seeds.
        sets: number of evaluation sets.
        per_song: random excerpts per song and set.
        device: where to compute.

    Returns:
        The study's name, date, versions and how the inverters learned; "corpora": per corpus what `measure` returns.
    """
    place = choose_device(device)
    network = open_detector(detector).to(place)
    families = open_families(weights, network, trainings=True)
    heard_by, plan = {OWN: network} | open_judges(judges, network, place), EvaluationPlan(sets, per_song)
    made, measured = measure_corpora(
        corpus, others, network, place, lambda bank, mean: measure(heard_by, families, bank, mean, plan)
    )
    plans = {name: training_of(inverters) for name, inverters in families.items()}
    return as_json({"study": "round_trip"} | made | {"training": plans, "corpora": measured})


@torch.no_grad()
def measure(
    judges: Mapping[str, SVDNet],
    families: Mapping[str, Mapping[str, nn.Module]],
    bank: ExcerptBank,
    mean: Tensor,
    plan: EvaluationPlan,
) -> dict[str, Any]:
    """Give the inversions of some excerpts to detectors.

    Args:
        judges: by name, in eval mode; the first is the one whose features are inverted.
        families: by name, an inverter per layer, in eval mode; not each family needs to have all layers.
        bank: the songs.
        mean: what the painter that knows nothing paints, from `svdlib.inversion.nre.mean_excerpt`.
        plan: which of the songs' excerpts.

    Returns:
        "songs", "sets" and "per_song" (excerpts of each song in a set); "blind", of the mean excerpt; "between", per
        layer, and for "input", the distance between the features of any two songs as a share of that between all
        excerpts (songs, songs); "layers", per layer and family. Each painter holds "judges": per detector "kept", the
        share of the excerpts that it decides on as on the original, song by song, and "moments", of which its
        correlation is made (5, songs), see `svdlib.lab.analysis.round_trip.correlation_moments`. An inverter also holds
        "input" and "feature", song by song: the distance of the inversion, and of the layer's own feature of it, from
        that of the original, as a share of that between two originals.
    """
    own, detector = next(iter(judges.items()))
    others = {name: judge for name, judge in judges.items() if name != own}
    songs = len(bank.draw(1, np.random.default_rng(0)))
    names = [layer for layer in detector.shapes if any(layer in inverters for inverters in families.values())]
    blind = _Tally(songs)
    layers = {layer: {name: _Tally(songs) for name, each in families.items() if layer in each} for layer in names}
    between: dict[str, list[np.ndarray]] = {layer: [] for layer in ("input", *names)}
    for starts in evaluation_sets(bank, plan):
        x = bank.cut(starts)
        before = heard(judges, x, detector.standardizer)
        nothing_new = heard(judges, mean.to(x.device).expand_as(x), detector.standardizer)
        blind.add(compared(judges, before, nothing_new))
        size = feature_scale(x, "input")
        between["input"].append(distances_between(x, songs) / size)
        for layer in names:
            feature = features_at(detector, x, layer)
            scale = feature_scale(feature, layer)
            between[layer].append(distances_between(feature, songs) / scale)
            for family, tally in layers[layer].items():
                check_belongs(layer, families[family][layer], detector)
                pieces = feature.view(-1, *detector.shapes[layer]).split(BATCH)
                x_hat = torch.cat([families[family][layer](piece) for piece in pieces])
                again, answered = features_and_answers(detector, x_hat, layer)
                apart = {
                    "input": reconstruction_distances(x, x_hat) / size,
                    "feature": reconstruction_distances(feature, again) / scale,
                }
                after = {own: answered} | heard(others, x_hat, detector.standardizer)
                tally.add(compared(judges, before, after), apart)
    return {
        "songs": songs,
        "sets": plan.sets,
        "per_song": plan.per_song,
        "blind": blind.result(),
        "between": {layer: np.mean(apart, axis=0).tolist() for layer, apart in between.items()},
        "layers": {
            layer: {name: each.result() for name, each in of_layer.items()} for layer, of_layer in layers.items()
        },
    }


class _Tally:
    """Collects what judges say of one painter over evaluation sets, as means over the excerpts of each song."""

    def __init__(self, songs: int) -> None:
        self.songs = songs
        self.kept: dict[str, list[np.ndarray]] = {}
        self.moments: dict[str, list[np.ndarray]] = {}
        self.apart: dict[str, list[np.ndarray]] = {}

    def add(
        self, verdicts: Mapping[str, tuple[np.ndarray, np.ndarray]], apart: Mapping[str, Tensor] | None = None
    ) -> None:
        """Take the verdicts on one set, whose excerpts lie song by song, and how far it is from the originals."""
        for judge, (kept, moments) in verdicts.items():
            self.kept.setdefault(judge, []).append(self._per_song(kept))
            self.moments.setdefault(judge, []).append(self._per_song(moments))
        for what, distances in (apart or {}).items():
            self.apart.setdefault(what, []).append(self._per_song(distances.cpu().numpy()))

    def _per_song(self, values: np.ndarray) -> np.ndarray:
        means: np.ndarray = values.reshape(*values.shape[:-1], self.songs, -1).mean(axis=-1)
        return means

    def result(self) -> dict[str, Any]:
        """The means over the sets."""
        of_judges = {
            judge: {"kept": np.mean(kept, axis=0).tolist(), "moments": np.mean(self.moments[judge], axis=0).tolist()}
            for judge, kept in self.kept.items()
        }
        return {"judges": of_judges} | {what: np.mean(found, axis=0).tolist() for what, found in self.apart.items()}


def kept_of(entry: Mapping[str, Any], judge: str = OWN) -> Interval:
    """Share of the decisions that a painter leaves as they were, over songs.

    Args:
        entry: of a painter, from `measure`, fresh or stored as JSON.
        judge: who decides.
    """
    return mean_interval(entry["judges"][judge]["kept"])


def advantage_of(measured: Mapping[str, Any], layer: str, family: str, judge: str = OWN) -> Interval:
    """By how much more decisions an inverter keeps than the mean excerpt does, paired over songs."""
    kept = (entry["judges"][judge]["kept"] for entry in (measured["layers"][layer][family], measured["blind"]))
    return difference_interval(*kept)


def correlation_of(entry: Mapping[str, Any], judge: str = OWN) -> Interval:
    """Correlation of a judge's logits for originals and inversions, songs drawn anew; nan where one never varies."""
    return correlation_interval(entry["judges"][judge]["moments"])


def feature_error_of(measured: Mapping[str, Any], layer: str, family: str) -> Interval:
    """Distance of the own feature, as a share of that between two originals, songs and yardstick drawn anew."""
    return nre_interval(measured["layers"][layer][family]["feature"], np.array(measured["between"][layer]))


def nre_of(measured: Mapping[str, Any], layer: str, family: str) -> Interval:
    """NRE of the inversions themselves, songs and yardstick drawn anew."""
    return nre_interval(measured["layers"][layer][family]["input"], np.array(measured["between"]["input"]))


def cost_of(measured: Mapping[str, Any], layer: str, family: str, than: str) -> Interval:
    """By which share the NRE of a family is larger than that of another, on the same songs."""
    of_songs = (measured["layers"][layer][each]["input"] for each in (than, family))
    return change_interval(*of_songs)


def describe(result: Mapping[str, Any]) -> str:
    """The results as tables for people, one per corpus."""
    lines = ["kept: decisions as on the original; r: correlation of logits; feature: NRE at the own layer"]
    for name, measured in result["corpora"].items():
        judges = list(measured["blind"]["judges"])
        lines += ["", f"{name}: {measured['songs']} songs, {measured['sets']} sets of {measured['per_song']} each"]
        heads = ["NRE", "feature", *(f"{judge} {what}" for judge in judges for what in ("kept", "r"))]
        lines.append(_line("layer", "family", heads))
        for layer, by_family in measured["layers"].items():
            for family, entry in by_family.items():
                errors = (each(measured, layer, family).value for each in (nre_of, feature_error_of))
                lines.append(_line(layer, family, [*(f"{each:.3f}" for each in errors), *_cells(entry, judges)]))
        lines.append(_line("", BLIND, ["", "", *_cells(measured["blind"], judges)]))
    return "\n".join(lines)


def _line(layer: str, painter: str, cells: Sequence[str]) -> str:
    return "  ".join([f"{layer:>5}", f"{painter:>{len(AT_CONV5)}}", *(f"{cell:>17}" for cell in cells)])


def _cells(entry: Mapping[str, Any], judges: Sequence[str]) -> list[str]:
    cells = []
    for judge in judges:
        cells += [f"{kept_of(entry, judge).value:.1%}", f"{correlation_of(entry, judge).value:.2f}"]
    return cells


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(prog="python -m svdlib.lab.studies.round_trip", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="its test songs (default synthetic)")
    parser.add_argument("--others", nargs="+", default=(), metavar="NAME", help="corpora, of which all songs are taken")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="weights of both (default: the packaged ones)")
    parser.add_argument("--detector", type=Path, metavar="FILE", help="its weights (default: the packaged ones)")
    parser.add_argument("--judges", type=Path, nargs="+", default=[], metavar="FILE", help="weights of other detectors")
    parser.add_argument("--sets", type=int, default=4, metavar="N", help="evaluation sets (default 4)")
    parser.add_argument("--per-song", type=int, default=8, metavar="N", help="excerpts of a song per set (default 8)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("others", "weights", "detector", "judges", "sets", "per_song", "device")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
