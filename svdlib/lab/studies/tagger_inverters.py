"""What do the layers of a music tagger keep? Inverters for them, trained on our songs and measured on others'.

    python -m svdlib.lab.studies.tagger_inverters --real folder:my_songs --folder runs/tagger --out results.json

The tagger is another's network (`svdlib.tagger`), trained for another task on other music. Its inverters learn on
patches of synthetic songs, computed by its own front end. The songs of `--real` are only measured on. With `--resume` a
run goes on where it stopped; the inverters lie in the folder, and `svdlib.load_inverters` reads them.

What was expected was written down before anything was measured (`EXPECTATIONS`):

- inversions from POOL1 are worse on the bands whose columns of the first convolution are never read, also by an
  inverter of the general family: an aligned one mirrors the steps of the pooling, and knows of odd and even itself;
- inversions from POOL3 still explain what the tagger says of voices: the correlation with what it says of the patches
  lies above 0.5, where half of the differences would be explained by 0.71;
- those from POOL5 do not.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.compute.command_line import Parser, number_type
from svdlib.compute.devices import choose_device
from svdlib.compute.progress import progress
from svdlib.compute.run_state import RunOptions
from svdlib.detector.scores import area_under_curve
from svdlib.errors import CorpusError
from svdlib.inversion.bank import TensorBank
from svdlib.inversion.encoder import Encoder
from svdlib.inversion.nre import (
    EvaluationPlan,
    evaluate_inverters,
    evaluation_sets,
    mean_excerpt,
    mean_pairwise_distance,
    reconstruct,
    reconstruction_distances,
)
from svdlib.lab.analysis.intervals import Interval, change_interval, nre_interval, paired_interval, song_means
from svdlib.lab.analysis.round_trip import correlation_interval, correlation_moments
from svdlib.lab.analysis.verdicts import Bounds, Expectation
from svdlib.lab.studies import as_json, origin_of, run_program
from svdlib.lab.studies.kept_structure import partners
from svdlib.recipes import public_name
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import Track
from svdlib.tagger.loading import load_tagger
from svdlib.tagger.model import LAYERS, PATCH_FRAMES, MusicTagger, voice_contrast
from svdlib.tagger.patches import HOP_SAMPLES, TAGGER_RATE, cut_patches, tagger_log_mel
from svdlib.zoo.checkpoints import load_inverters
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.objectives import OBJECTIVES
from svdlib.zoo.profiles import PROFILES, fit_to_corpus

COMPARATOR = "pool4"
"""The deepest layer that still has positions in time and in frequency."""

STEPPED, GENERAL = "pool1", "general"
"""The layer whose pooling leaves columns out, and the family of inverters that does not mirror its steps."""

CLEAR = 0.1
"""A patch counts as sung if at most this share of it is not, as unsung if at most this share is."""
AT_ONCE = 16  # patches


def study(
    corpus: str,
    real: Sequence[str],
    folder: str | PathLike[str],
    *,
    profile: str = "demo",
    epochs: int | None = None,
    objective: str = "joint",
    minutes: float = float("inf"),
    seed: int = 0,
    resume: bool = False,
    device: str = "auto",
) -> dict[str, Any]:
    """Train the inverters, or go on with them, and measure them.

    Args:
        corpus: whose training songs they learn from, and whose validation songs choose the epoch to keep.
        real: corpora all of whose songs are measured on.
        folder: where the state of the training and the inverters lie.
        profile: how long to train, see `svdlib.zoo.profiles`.
        epochs: another number of epochs than the profile has.
        objective: what is made small, see `svdlib.zoo.objectives`.
        minutes: stop the training in good order after so many.
        seed: of the run.
        resume: go on from where a run in the folder stopped.
        device: where to compute.

    Returns:
        The study's name, date and versions, how the inverters are made, how often they were updated, whether the
        training is "finished", and "corpora": per corpus what `measure` returns, and as "general" the entry of POOL1
        for an inverter of the general family; ready for JSON.

    Raises:
        WeightsError: if the tagger's package is not there.
        CorpusError: if no song of a split is 3 s long.
    """
    place, tagger = choose_device(device), load_tagger()
    opened, others = open_corpus(corpus), {name: open_corpus(name) for name in real}
    train, valid = (collect(opened.split(split))[0] for split in ("train", "valid"))
    encoder = Encoder(tagger.to(place), layers=LAYERS, example=train.x[:2].to(place))
    plan = fit_to_corpus(PROFILES[profile], len(train))
    plan = replace(plan, epochs=epochs or plan.epochs)
    banks = [TensorBank(bank.x, bank.groups, device=place) for bank in (train, valid)]
    options = RunOptions(seed=seed, device=place, folder=folder, resume=resume, minutes=minutes)
    settings: dict[str, Any] = {"compare": COMPARATOR, "objective": objective, "plan": plan}
    fitted = fit_inverters(encoder, *banks, inverter="auto", options=options, **settings)
    fitted.save(folder, exact=False)
    blind_to_steps = replace(options, folder=Path(folder) / GENERAL)
    control = fit_inverters(encoder, *banks, layers=STEPPED, inverter=GENERAL, options=blind_to_steps, **settings)
    control.save(blind_to_steps.folder or folder, exact=False)
    inverters = {name: load_inverters(where) for name, where in (("layers", folder), (GENERAL, Path(folder) / GENERAL))}
    for inverter in (each for family in inverters.values() for each in family.values()):
        inverter.to(place)
    corpora, mean = {}, mean_excerpt(train)
    for name, each in others.items():
        bank, sung = collect(each.tracks)
        there = TensorBank(bank.x, bank.groups, device=place)
        found = measure(encoder, tagger, inverters["layers"], there, sung, mean)
        stepped = measure(encoder, tagger, inverters[GENERAL], there, sung, mean)
        corpora[public_name(name)] = found | {GENERAL: stepped["layers"]}
    origin = {"study": "tagger_inverters", "tagger": dict(tagger.provenance), "profile": profile, "seed": seed}
    origin |= {"training": origin_of(corpus, len(opened.tracks)), "patches": len(train), "reasons": fitted.reasons}
    origin |= {"objective": objective, "batch_size": plan.batch_size}
    origin |= {"updates": len(fitted.history) * (plan.steps_per_epoch or 0)}
    return origin | {"finished": fitted.finished and control.finished} | as_json({"corpora": corpora})


def collect(tracks: Sequence[Track]) -> tuple[TensorBank, np.ndarray]:
    """Compute the patches of songs, side by side.

    Returns:
        A bank of them, a group for each song, and which share of each patch is sung (patches,).

    Raises:
        CorpusError: if no song is as long as a patch.
    """
    patches, groups, sung = [], [], []
    for track in progress(tracks, description="patches of the tagger", unit="song"):
        log_mel = tagger_log_mel(track.load())
        if len(log_mel) < PATCH_FRAMES:
            continue
        patches.append(cut_patches(log_mel))
        groups += [track.name] * len(patches[-1])
        sung += [_share_sung(track, number) for number in range(len(patches[-1]))]
    if not patches:
        raise CorpusError("The tagger takes patches of 3 s, and no song is that long. Name a corpus of longer songs.")
    return TensorBank(np.concatenate(patches), groups), np.array(sung)


def _share_sung(track: Track, number: int) -> float:
    length = PATCH_FRAMES * HOP_SAMPLES / TAGGER_RATE
    begin, end = number * length, (number + 1) * length
    parts = [min(part.end, end) - max(part.start, begin) for part in track.segments if part.sing]
    return sum(part for part in parts if part > 0) / length


@torch.no_grad()
def measure(
    encoder: Encoder,
    tagger: MusicTagger,
    inverters: Mapping[str, nn.Module],
    bank: TensorBank,
    sung: np.ndarray,
    mean: Tensor | None = None,
) -> dict[str, Any]:
    """Measure inverters on songs.

    Args:
        encoder: the tagger's layers.
        tagger: itself.
        inverters: one per layer.
        bank: patches of the songs.
        sung: which share of each patch is sung (patches,).
        mean: what the painter that knows nothing paints (1, 1, 187, 96); None takes the mean of these patches.

    Returns:
        "songs"; "patches", how many each has; "clear_patches", how many are sung or unsung throughout, or nearly;
        "auc" of the tagger's voice tags against its tags of no voice on them; "between", the distance of any two songs'
        patches as a share of that between all (songs, songs); "blind", the error of the mean patch, song by song. And
        "layers", for each "nre", its "ci95" and "mean_predictor"; "auc", of what the tagger says of the inversions,
        and "correlation" with what it says of the patches themselves, over all of them; "cells", the numbers of a
        feature; and song by song "error", "bands", the squared error of each band as a share of the mean patch's
        (songs, 96), and "moments" and "chance moments", of which the correlation of the voice tags for patches and
        inversions is made (5, songs); chance takes a patch of the next song.
    """
    plan = EvaluationPlan()
    scores = evaluate_inverters(encoder, inverters, bank, plan)
    said = torch.cat([voice_contrast(tagger(x)) for x in bank.x.split(AT_ONCE)])
    painted = (bank.x.mean(0, keepdim=True) if mean is None else mean).to(bank.device)
    groups, count = bank.groups, len(bank.group_names)
    other = torch.as_tensor(partners(groups), device=bank.device)
    of_mean = (bank.x - painted)[:, 0].square().mean((0, 1)).clamp(min=1e-6)
    layers: dict[str, dict[str, Any]] = {}
    for layer, score in scores.items():
        pieces = [reconstruct(encoder, {layer: inverters[layer]}, x)[layer] for x in bank.x.split(AT_ONCE)]
        again = torch.cat([voice_contrast(tagger(x_hat)) for x_hat in pieces])
        squares = (torch.cat(pieces) - bank.x)[:, 0].square().mean(1) / of_mean
        layers[layer] = {
            "nre": score.nre,
            "ci95": list(score.ci95),
            "mean_predictor": score.mean_predictor,
            "auc": _auc(again, sung),
            "correlation": float(torch.corrcoef(torch.stack([said, again]))[0, 1]),
            "cells": int(np.prod(encoder.shapes[layer])),
            "error": list(score.per_group),
            "bands": _per_song(squares.T.cpu().numpy(), groups, count).T.tolist(),
            "moments": _per_song(correlation_moments(said, again), groups, count).tolist(),
            "chance moments": _per_song(correlation_moments(said, again[other]), groups, count).tolist(),
        }
    blind = _blind_error(bank, painted, plan, count)
    between = next(iter(scores.values())).between
    head = {"songs": count, "patches": np.bincount(groups).tolist(), "clear_patches": int(_is_clear(sung).sum())}
    return head | {"auc": _auc(said, sung), "between": between, "blind": blind, "layers": layers}


def _blind_error(bank: TensorBank, mean: Tensor, plan: EvaluationPlan, songs: int) -> list[float]:
    """The error of always painting one patch, song by song, on the patches that the inverters were measured on."""
    found = []
    for places in evaluation_sets(bank, plan):
        x = bank.cut(places)
        distances = reconstruction_distances(x, mean.expand_as(x)) / mean_pairwise_distance(x)
        found.append(distances.view(songs, -1).mean(1).cpu().numpy())
    return [float(error) for error in np.mean(found, axis=0)]


def _per_song(values: np.ndarray, groups: np.ndarray, count: int) -> np.ndarray:
    """Means over the patches of each song: (rows, patches) -> (rows, songs)."""
    return np.stack([song_means(row, groups, count) for row in values])


def correlation_of(measured: Mapping[str, Any], layer: str, *, chance: bool = False) -> Interval:
    """The correlation of what the tagger says of voices in patches and in their inversions, patch by patch.

    Songs are drawn anew; each counts alike, however many patches it has.
    """
    moments = measured["layers"][layer]["chance moments" if chance else "moments"]
    return correlation_interval(moments)


def nre_of(measured: Mapping[str, Any], layer: str) -> Interval:
    """The NRE of a layer, songs and yardstick drawn anew."""
    return nre_interval(measured["layers"][layer]["error"], np.array(measured["between"]))


def share_of_blind(measured: Mapping[str, Any], layer: str) -> Interval:
    """The error of a layer as a share of the mean patch's, whatever the scale of the input is, paired over songs."""
    return paired_interval(np.divide, measured["layers"][layer]["error"], measured["blind"])


def unread_excess(measured: Mapping[str, Any], layer: str, family: str = "layers") -> Interval:
    """How much larger the error is on bands whose column of the first convolution is never read: 0.5 is a half more.

    Errors are shares of the mean patch's, for some bands are harder to paint whatever the network is: the lowest ones
    are narrower than the lines of the spectrum, and empty or full.

    Args:
        measured: what `study` has of a corpus.
        layer: which layer.
        family: "layers", the inverters of all layers, or "general", that of POOL1 which knows of no steps.
    """
    bands = np.array(measured[family][layer]["bands"])
    return change_interval(bands[:, ::2].mean(1), bands[:, 1::2].mean(1))


EXPLAINED = 0.5
"""A correlation above which a layer's inversions explain what the tagger says of voices."""

EXPECTATIONS = (
    Expectation(
        "geometry",
        "Inversions from POOL1 are worse on the bands whose columns are never read.",
        lambda measured: unread_excess(measured, STEPPED, GENERAL),
        Bounds(low=0),
        "+.0%",
    ),
    Expectation(
        "task",
        "Inversions from POOL3 explain what the tagger says of voices.",
        lambda measured: correlation_of(measured, "pool3"),
        Bounds(low=EXPLAINED),
        ".2f",
    ),
    Expectation(
        "task",
        "Inversions from POOL5 do not.",
        lambda measured: correlation_of(measured, "pool5"),
        Bounds(high=EXPLAINED),
        ".2f",
    ),
)
"""What was expected before anything was measured."""


def _is_clear(sung: np.ndarray) -> np.ndarray:
    """Whether patches are sung, or unsung, throughout or nearly: boolean (patches,)."""
    return np.abs(sung - 0.5) >= 0.5 - CLEAR


def _auc(contrast: Tensor, sung: np.ndarray) -> float:
    clear = _is_clear(sung)
    return area_under_curve(contrast.cpu().numpy()[clear], sung[clear] > 0.5)


def describe(result: Mapping[str, Any]) -> str:
    """The results as tables, one per corpus."""
    lines = []
    for name, measured in result["corpora"].items():
        lines += ["", f"{name}: {measured['songs']} songs, {sum(measured['patches'])} patches"]
        lines.append(f"{'layer':8}{'NRE':>7}  95 % interval  mean predictor    AUC  correlation  chance")
        for layer, row in measured["layers"].items():
            low, high = (float("nan") if edge is None else edge for edge in row["ci95"])
            chance = correlation_of(measured, layer, chance=True).value
            lines.append(
                f"{layer:8}{row['nre']:7.3f}  {low:.3f} to {high:.3f}  {row['mean_predictor']:14.3f}  {row['auc']:5.3f}"
                f"  {correlation_of(measured, layer).value:11.3f}  {chance:6.3f}"
            )
        lines.append(f"the songs themselves: AUC {measured['auc']:.3f}")
        lines += [f"{each.says} {each.number(measured):{each.unit}}: {each.outcome(measured)}" for each in EXPECTATIONS]
    if not result["finished"]:
        lines.append("The training is not finished; the same command goes on.")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; the return value is the exit status."""
    parser = Parser(
        prog="python -m svdlib.lab.studies.tagger_inverters",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="whose songs the inverters learn from")
    parser.add_argument("--real", required=True, nargs="+", metavar="NAME", help="corpora to measure on")
    parser.add_argument("--folder", type=Path, required=True, help="where state and inverters are kept")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="demo", help="how long to train (default demo)")
    parser.add_argument("--epochs", type=number_type(int, 1), metavar="N", help="another number than the profile's")
    parser.add_argument("--objective", choices=tuple(OBJECTIVES), default="joint", help="default: joint")
    parser.add_argument(
        "--minutes", type=number_type(float, 0), default=float("inf"), metavar="M", help="stop after so many"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default 0)")

    parser.add_argument("--resume", action="store_true", help="go on from where a run in the folder stopped")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("profile", "epochs", "objective", "minutes", "seed", "resume", "device")
        named = {name: getattr(options, name) for name in names}
        return study(options.corpus, options.real, options.folder, **named)

    return run_program(parser, arguments, act, describe, resumable=True)


if __name__ == "__main__":
    sys.exit(main())
