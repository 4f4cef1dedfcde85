"""The same task by another network, and by one that has learned nothing: what belongs to which? And who hears it still?

    python -m svdlib.lab.studies.other_ears --others synthetic-c:songs=20 folder:my_songs --out results.json

Three listeners hear the same excerpts: the detector, a recurrent one that was trained for the same task, and one with
the detector's architecture and random weights. Inversions from their layers are measured alike, and each is given to
the detectors that have learned: do they answer as on the original? Chance is the inversion of an excerpt of the next
song in place of the right one.

What was expected was written down before anything was measured (`EXPECTATIONS`):

- geometry: at MP6, random weights lose no more and no less than trained ones, within 0.05 of NRE;
- task: at FC8, random weights can be inverted with a smaller error than trained ones, which throw away what does not
  matter to them;
- task: the answer of either trained detector is kept by the other's inversions more often than by chance, at the 64
  numbers that both end in;
- task: random weights at FC8 leave fewer of the detector's decisions as they were than its own do;
- architecture: at about as many numbers as an excerpt has, the recurrent layer LSTM3 knows onsets better than MP6,
  since it has not pooled over time.
"""

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.standardizer import Standardizer
from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.detector.architecture import Detector
from svdlib.detector.excerpts import ExcerptBank
from svdlib.inversion.nre import (
    EvaluationPlan,
    distances_between,
    evaluation_sets,
    mean_pairwise_distance,
    reconstruct,
    reconstruction_distances,
)
from svdlib.lab.analysis.harmonics import harmonic_match
from svdlib.lab.analysis.intervals import Interval, difference_interval, mean_interval, nre_interval, paired_interval
from svdlib.lab.analysis.onsets import onset_match
from svdlib.lab.analysis.round_trip import (
    answers,
    correlation_interval,
    correlation_moments,
    decisions_kept,
)
from svdlib.lab.analysis.verdicts import Bounds, Expectation
from svdlib.lab.studies import as_json, measure_corpora, run_program, training_of
from svdlib.zoo.checkpoints import load_inverters, pretrained
from svdlib.zoo.listeners import Opened, open_listener

COMPARED = ("detector", "recurrent detector", "untrained detector")
"""The listeners, by the names that `svdlib.open_listener` knows; all are measured on the first one's scale."""

PLAIN = "detector, input loss"
"""The detector with inverters that learned by the input loss alone, as long as those of the untrained one."""

SECOND = "second detector"
BLIND = "mean excerpt"
KINDS: Mapping[str, Callable[[Tensor, Tensor], Tensor]] = {"onsets": onset_match, "harmonics": harmonic_match}
"""Measures of a picture and its original, beside the error."""


def study(
    corpus: str = "synthetic",
    *,
    others: Sequence[str] = (),
    plain: str | PathLike[str] | None = None,
    sets: int = 4,
    per_song: int = 8,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure all listeners on the songs of several corpora and say where the numbers come from.

    Args:
        corpus: its training songs give the mean excerpt, its test songs are measured.
        others: corpora of which all songs are measured.
        plain: a folder with inverters of the detector that learned by the input loss alone, to be compared with those
            of random weights, which did too; None leaves this comparison to the packaged ones.
        sets: number of evaluation sets.
        per_song: random excerpts per song and set.
        device: where to compute.

    Returns:
        The study's name, date and versions; "training", how the inverters of each listener learned; "corpora": per
        corpus what `measure` returns.
    """
    place = choose_device(device)
    listeners = [open_listener(name) for name in COMPARED]
    if plain is not None:
        listeners.append(_with(listeners[0], PLAIN, plain))
    judges = judges_of([each.to(place) for each in listeners], place)
    plan = EvaluationPlan(sets, per_song)
    made, measured = measure_corpora(
        corpus,
        others,
        pretrained("detector").to(place),
        place,
        lambda bank, mean: measure(listeners, judges, bank, mean, plan),
    )
    training = {each.name: training_of(each.inverters) for each in listeners}
    return as_json({"study": "other_ears"} | made | {"training": training, "corpora": measured})


def _with(opened: Opened, name: str, folder: str | PathLike[str]) -> Opened:
    return Opened(name, opened.network, opened.listener, load_inverters(folder, "aligned"), opened.front)


def judges_of(listeners: Sequence[Opened], place: torch.device | str = "cpu") -> dict[str, Detector]:
    """The detectors that have learned, by name: those of the listeners, and the package's second one."""
    found = {each.name: each.network for each in listeners if each.name in COMPARED[:2]}
    judges = {name: network for name, network in found.items() if isinstance(network, Detector)}
    return judges | {SECOND: pretrained("second detector").to(place)}


@dataclass(frozen=True)
class _Heard:
    """The excerpts of a set on the common scale, and what judges say of them."""

    x: Tensor
    said: Mapping[str, Tensor]


@torch.no_grad()
def measure(
    listeners: Sequence[Opened],
    judges: Mapping[str, Detector],
    bank: ExcerptBank,
    mean: Tensor,
    plan: EvaluationPlan,
) -> dict[str, Any]:
    """Give the inversions of some excerpts to detectors.

    Args:
        listeners: whose layers are inverted; each hears excerpts on a scale of its own.
        judges: detectors by name, in eval mode.
        bank: the songs, standardised by the first listener.
        mean: what the painter that knows nothing paints, from `svdlib.inversion.nre.mean_excerpt`.
        plan: which of the songs' excerpts.

    Returns:
        "songs", "sets" and "per_song"; "between", the distance of any two songs' excerpts as a share of that between
        all (songs, songs); "blind", of the mean excerpt; "listeners", per name and layer. Each painter holds "error",
        the distance of inversions from their originals, as a share of that between two originals, song by song. An
        inverter also holds "cells", the numbers of a feature, and an entry for each of `KINDS` and under "judges" for
        each judge, see `_answered`.
    """
    scale = _scale_of(listeners[0])
    songs = len(bank.draw(1, np.random.default_rng(0)))
    between: list[np.ndarray] = []
    tallies: dict[tuple[str, str], _Tally] = {}
    for places in evaluation_sets(bank, plan):
        x = bank.cut(places)
        heard = _Heard(x, {name: answers(judge, x, scale) for name, judge in judges.items()})
        length = mean_pairwise_distance(x)
        between.append(distances_between(x, songs) / length)
        blind = mean.to(x.device).expand_as(x)
        tallies.setdefault((BLIND, ""), _Tally(songs)).add(_measured(heard, blind, judges, scale, length, songs))
        for opened in listeners:
            own = _scale_of(opened)
            for layer, inverter in opened.inverters.items():
                x_hat = reconstruct(opened.listener, {layer: inverter}, rescaled(x, scale, own))[layer]
                found = _measured(heard, rescaled(x_hat, own, scale), judges, scale, length, songs)
                tallies.setdefault((opened.name, layer), _Tally(songs)).add(found)
    return {
        "songs": songs,
        "sets": plan.sets,
        "per_song": plan.per_song,
        "between": np.mean(between, axis=0).tolist(),
        "blind": tallies[BLIND, ""].result(),
        "listeners": {
            opened.name: {
                layer: {"cells": int(np.prod(opened.listener.shapes[layer]))} | tallies[opened.name, layer].result()
                for layer in opened.inverters
            }
            for opened in listeners
        },
    }


def _scale_of(opened: Opened) -> Standardizer:
    scale = opened.network.standardizer
    assert isinstance(scale, Standardizer)
    return scale


def rescaled(x: Tensor, before: Standardizer, after: Standardizer) -> Tensor:
    """Excerpts (n, 1, 115, 80) that are standardised by one detector, as another one standardises them."""
    if torch.equal(before.mean, after.mean) and torch.equal(before.std, after.std):
        return x
    return after(before.inverse(x[:, 0]))[:, None]


def _measured(
    heard: _Heard, x_hat: Tensor, judges: Mapping[str, Detector], scale: Standardizer, length: float, songs: int
) -> dict[str, np.ndarray]:
    """What there is to say of a painter's pictures of a set, a number or several for each excerpt (..., n)."""
    found = {"error": reconstruction_distances(heard.x, x_hat).cpu().numpy() / length}
    other = next_song(x_hat, songs)
    for kind, agreement in KINDS.items():
        for name, pictures in ((kind, x_hat), (f"{kind} chance", other)):
            found[name] = agreement(heard.x[:, 0], pictures[:, 0]).cpu().numpy()
    for name, judge in judges.items():
        said, before = answers(judge, x_hat, scale), heard.said[name]
        for what, after in ((name, said), (f"{name} chance", next_song(said, songs))):
            found[f"{what} kept"] = decisions_kept(judge, before, after).astype(float)
            found[f"{what} moments"] = correlation_moments(before, after)
    return found


def next_song(values: Tensor, songs: int) -> Tensor:
    """What belongs to the next song's excerpts in place of each excerpt's own; in a single song, the next excerpt's.

    Args:
        values: (songs * excerpts of each, ...), song by song.
        songs: how many there are.
    """
    return values.roll(-(len(values) // songs if songs > 1 else 1), 0)


class _Tally:
    """Collects numbers over evaluation sets, as means over the excerpts of each song."""

    def __init__(self, songs: int) -> None:
        self.songs = songs
        self.found: dict[str, list[np.ndarray]] = {}

    def add(self, measured: Mapping[str, np.ndarray]) -> None:
        for name, values in measured.items():
            means = values.reshape(*values.shape[:-1], self.songs, -1).mean(axis=-1)
            self.found.setdefault(name, []).append(means)

    def result(self) -> dict[str, list[Any]]:
        return {name: np.mean(values, axis=0).tolist() for name, values in self.found.items()}


# --- numbers with their intervals ----------------------------------------------------------------------------------


def nre_of(measured: Mapping[str, Any], listener: str, layer: str) -> Interval:
    """The NRE of a listener's layer, songs and yardstick drawn anew; of the mean excerpt, with `BLIND` and ""."""
    return nre_interval(_entry(measured, listener, layer)["error"], np.array(measured["between"]))


def share_of_blind(measured: Mapping[str, Any], listener: str, layer: str) -> Interval:
    """The error of a layer as a share of the mean excerpt's, whatever the scale of the input is, paired over songs."""
    return paired_interval(np.divide, *(_entry(measured, *each)["error"] for each in ((listener, layer), (BLIND, ""))))


def nre_difference(measured: Mapping[str, Any], one: tuple[str, str], other: tuple[str, str]) -> Interval:
    """By how much the error of one listener's layer is larger than that of another's, paired over songs."""
    return difference_interval(*(_entry(measured, *each)["error"] for each in (one, other)))


def kept_of(measured: Mapping[str, Any], listener: str, layer: str, judge: str, *, chance: bool = False) -> Interval:
    """The share of a judge's decisions that inversions leave as they were."""
    return mean_interval(_entry(measured, listener, layer)[_key(judge, "kept", chance=chance)])


def kept_above_chance(measured: Mapping[str, Any], listener: str, layer: str, judge: str) -> Interval:
    """By how much this share is larger than with inversions of another song's excerpts, paired over songs."""
    entry = _entry(measured, listener, layer)
    return difference_interval(*(entry[_key(judge, "kept", chance=chance)] for chance in (False, True)))


def correlation_of(
    measured: Mapping[str, Any], listener: str, layer: str, judge: str, *, chance: bool = False
) -> Interval:
    """The correlation of a judge's logits for originals and inversions."""
    moments = _entry(measured, listener, layer)[_key(judge, "moments", chance=chance)]
    return correlation_interval(moments)


def match_above_chance(measured: Mapping[str, Any], listener: str, layer: str, kind: str) -> Interval:
    """How much better onsets or harmonics agree with the original than those of another song's inversion do."""
    entry = _entry(measured, listener, layer)
    return difference_interval(entry[kind], entry[f"{kind} chance"])


def _entry(measured: Mapping[str, Any], listener: str, layer: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = measured["blind"] if listener == BLIND else measured["listeners"][listener][layer]
    return found


def _key(judge: str, what: str, *, chance: bool) -> str:
    return f"{judge}{' chance' if chance else ''} {what}"


# --- what was expected ---------------------------------------------------------------------------------------------


OWN, RECURRENT, UNTRAINED = COMPARED


def trained_twin(measured: Mapping[str, Any]) -> str:
    """The name of the detector whose inverters learned as those of random weights did, if it was measured."""
    return PLAIN if PLAIN in measured["listeners"] else OWN


EXPECTATIONS = (
    Expectation(
        "geometry",
        "At MP6, random weights lose as much as trained ones, within 0.05 of NRE.",
        lambda measured: nre_difference(measured, (UNTRAINED, "mp6"), (trained_twin(measured), "mp6")),
        Bounds(-0.05, 0.05),
    ),
    Expectation(
        "task",
        "At FC8, random weights can be inverted with a smaller error than trained ones.",
        lambda measured: nre_difference(measured, (UNTRAINED, "fc8"), (trained_twin(measured), "fc8")),
        Bounds(high=0),
    ),
    Expectation(
        "task",
        "Inversions from FC8 leave the recurrent detector's decisions as they were more often than chance does.",
        lambda measured: kept_above_chance(measured, OWN, "fc8", RECURRENT),
        Bounds(low=0),
        "+.0%",
    ),
    Expectation(
        "task",
        "Inversions from the recurrent detector's centre frame do so with the detector's decisions.",
        lambda measured: kept_above_chance(measured, RECURRENT, "centre", OWN),
        Bounds(low=0),
        "+.0%",
    ),
    Expectation(
        "task",
        "Inversions from FC8 leave more of the detector's decisions as they were than those of random weights do.",
        lambda measured: difference_interval(
            *(_entry(measured, name, "fc8")[f"{OWN} kept"] for name in (OWN, UNTRAINED))
        ),
        Bounds(low=0),
        "+.0%",
    ),
    Expectation(
        "architecture",
        "LSTM3, which has not pooled over time, knows onsets better than MP6.",
        lambda measured: difference_interval(
            *(_entry(measured, *each)["onsets"] for each in ((RECURRENT, "lstm3"), (OWN, "mp6")))
        ),
        Bounds(low=0),
    ),
)
"""What was expected before anything was measured."""


# --- the program ---------------------------------------------------------------------------------------------------


def describe(result: Mapping[str, Any]) -> str:
    """The results as tables for people, one per corpus."""
    lines = ["kept: decisions as on the original, less chance; r: correlation of logits"]
    for name, measured in result["corpora"].items():
        judges = [key.removesuffix(" kept") for key in measured["blind"] if key.endswith(" kept")]
        judges = [judge for judge in judges if not judge.endswith(" chance")]
        lines += ["", f"{name}: {measured['songs']} songs, {measured['sets']} sets of {measured['per_song']} each"]
        heads = ["listener", "layer", "NRE", *KINDS, *(f"{judge} {what}" for judge in judges for what in ("kept", "r"))]
        lines.append("  ".join(f"{head:>21}" for head in heads))
        for listener, layers in measured["listeners"].items():
            for layer in layers:
                cells = [listener, layer, f"{nre_of(measured, listener, layer).value:.3f}"]
                cells += [f"{match_above_chance(measured, listener, layer, kind).value:+.3f}" for kind in KINDS]
                for judge in judges:
                    cells.append(f"{kept_above_chance(measured, listener, layer, judge).value:+.1%}")
                    cells.append(f"{correlation_of(measured, listener, layer, judge).value:.2f}")
                lines.append("  ".join(f"{cell:>21}" for cell in cells))
        lines += [
            f"{each.about}: {each.says} {each.number(measured):{each.unit}}: {each.outcome(measured)}"
            for each in EXPECTATIONS
        ]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(
        prog="python -m svdlib.lab.studies.other_ears",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="its test songs (default synthetic)")
    parser.add_argument("--others", nargs="+", default=(), metavar="NAME", help="corpora, of which all songs are taken")
    parser.add_argument("--plain", type=Path, metavar="FOLDER", help="the detector's inverters by the input loss alone")
    parser.add_argument("--sets", type=int, default=4, metavar="N", help="evaluation sets (default 4)")
    parser.add_argument("--per-song", type=int, default=8, metavar="N", help="excerpts of a song per set (default 8)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("others", "plain", "sets", "per_song", "device")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
