"""From a corpus to weights and numbers: the recipes behind `svdlib train` and `svdlib evaluate`.

Each recipe opens a corpus, runs one of the library's loops and writes or returns the result. A run lives in a folder
with its state and, once finished, its weights.
"""

import platform
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch

from svdlib.audio.standardizer import Standardizer
from svdlib.compute.devices import choose_device, device_name
from svdlib.compute.distributed import leader_first, leads, team
from svdlib.compute.run_state import RunOptions
from svdlib.compute.version import __version__
from svdlib.detector.architecture import Detector
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.detector.prediction import average_over_blocks, predict
from svdlib.detector.scores import area_under_curve, detector_scores, smooth
from svdlib.detector.segments import Plan
from svdlib.detector.training import FittedDetector, fit_detector
from svdlib.errors import InputError, PlanError
from svdlib.inversion.comparison import Comparison, Jitter
from svdlib.inversion.nre import EvaluationPlan, evaluate_inverters
from svdlib.inversion.plans import TrainingPlan
from svdlib.inversion.training import FittedInverters
from svdlib.paper.scores import published_auc
from svdlib.songs.corpora import FOLDER_KINDS, KINDS, open_corpus
from svdlib.songs.corpora.base import Corpus, Track, frame_labels
from svdlib.songs.corpora.joined import each_part
from svdlib.songs.loading import Songs, load_songs, with_spectra
from svdlib.zoo.architectures import find_architecture
from svdlib.zoo.checkpoints import (
    DETECTOR_FILE,
    any_detector,
    family_in,
    holds,
    load_detector,
    open_detector,
    open_inverters,
    save_weights,
    weights_name,
)
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.objectives import find_objective
from svdlib.zoo.profiles import DETECTOR_PROFILES, PROFILES, find_profile, fit_to_corpus

DETECTOR_OPTIONS = RunOptions(device="auto", precision="auto", folder=Path("runs", "detector"))
"""How a detector is trained if nothing else is said."""

INVERTER_OPTIONS = RunOptions(device="auto", precision="auto", folder=Path("runs", "inverters"))
"""How inverters are trained if nothing else is said."""

AUC_RULES = {"exact": area_under_curve, "published": published_auc}
"""The two ways to compute an area under the curve, by name."""

STANDARDISATIONS = ("training", "own")
"""training: mean and deviation per band of the songs that the detector was trained on; own: of the evaluated songs."""


def train_detector(
    corpus: str = "synthetic",
    *,
    valid: str | None = None,
    profile: str = "demo",
    start: str | PathLike[str] | None = None,
    teachers: Sequence[str | PathLike[str]] = (),
    watch: str | None = None,
    architecture: str = "convolutional",
    options: RunOptions = DETECTOR_OPTIONS,
) -> Path | None:
    """Train a detector on the training songs of a corpus, choosing epoch and threshold on validation songs.

    Started by torchrun, several processes train it together.

    Args:
        corpus: a name that `open_corpus` knows.
        valid: a corpus all of whose songs are the validation songs, such as one of another kind, to choose what
            carries over; None takes the validation songs of `corpus`.
        profile: how to train: "demo", "laptop", "full" or "published".
        start: weights of a detector to go on from; None starts from chance.
        teachers: weights of detectors whose mean answer is learned beside the labels.
        watch: a corpus on all of whose songs every epoch is measured, and by which nothing is chosen; the curve goes
            into the provenance.
        architecture: which network to train, "convolutional" or "recurrent".
        options: seed, device, precision and time limit, and the folder where state and weights go.

    Returns:
        The weights file, or None if the time ran out first.
    """
    plan, folder = _detector_plan(profile, architecture), _folder_of(options)
    options = replace(options, corpus=public_name(corpus))
    trained = None if start is None else load_detector(start)
    taught_by = [load_detector(each) for each in teachers]
    with team(str(options.device)) as device:
        with leader_first():
            opened = open_corpus(corpus)
            train = load_songs(opened.split("train"), stems=not plan.needs_spectra)
            held_out = load_songs(opened.split("valid") if valid is None else open_corpus(valid).tracks)
            watched = None if watch is None else load_songs(open_corpus(watch).tracks)
            if plan.needs_spectra:
                train = with_spectra(train, opened.split("train"))
        where = replace(options, device=device)
        fitted = fit_detector(
            train,
            held_out,
            plan=plan,
            architecture=find_architecture(architecture),
            start=trained,
            teachers=taught_by,
            watched=watched,
            options=where,
        )
        if not fitted.finished:
            return None
        origin = make_provenance(corpus, len(opened.tracks), options.seed, profile, device_name(device))
        if watch is not None:
            origin["watched_corpus"] = public_name(watch)
        origin |= {"precision": fitted.precision, "architecture": architecture}
        if valid is not None:
            origin["validation_corpus"] = public_name(valid)
        if trained is not None:
            origin["start"] = trained.provenance
        if taught_by:
            origin["teachers"] = [each.provenance for each in taught_by]
        return save_detector(folder, fitted, plan, origin, resumed=options.resume)


def train_inverters(
    corpus: str = "synthetic",
    *,
    profile: str = "demo",
    layers: str | Sequence[str] = LAYERS,
    variant: str = "published",
    objective: str = "joint",
    lambda_feature: float | None = None,
    compare: Sequence[str] | None = None,
    jitter: Jitter | None = None,
    detector: str | PathLike[str] | None = None,
    start: str | PathLike[str] | None = None,
    options: RunOptions = INVERTER_OPTIONS,
) -> dict[str, Path]:
    """Train the inverters of several layers in one run.

    Started by torchrun, several processes train them together.

    Args:
        corpus: a name that `open_corpus` knows.
        profile: how long to train: "demo", "laptop", "full" or "published".
        layers: which layers to invert.
        variant: which family of inverters.
        objective: "joint", "balanced", "input", "released" or another of `svdlib.zoo.objectives`.
        lambda_feature: weight of the feature loss; None leaves it at 1.
        compare: the layers at which the feature loss compares; None takes Conv5, as in the paper.
        jitter: a small random change of originals and reconstructions before they are compared; None leaves it out.
        detector: weights of the detector to invert; None takes the packaged one.
        start: a folder with trained inverters of this family to go on from; None starts from chance.
        options: seed, device, precision and time limit, and the folder where state and weights go.

    Returns:
        A weights file per layer; none if the time ran out first.
    """
    plan, folder, network = find_profile(PROFILES, profile), _folder_of(options), open_detector(detector)
    options = replace(options, corpus=public_name(corpus))
    trained = None if start is None else open_inverters(start, network, layers, variant)
    with team(str(options.device)) as device:
        with leader_first():
            opened = open_corpus(corpus)
            banks = [bank_of(load_songs(opened.split(name)), network, device) for name in ("train", "valid")]
        plan = find_objective(objective).plan(fit_to_corpus(plan, len(banks[0])))
        fitted = fit_inverters(
            network,
            *banks,
            layers=layers,
            variant=variant,
            objective=objective,
            lambda_feature=lambda_feature,
            compare=Comparison(tuple(compare or (network.comparator,)), jitter=jitter),
            plan=plan,
            start=trained,
            options=options,
        )
        if not fitted.finished:
            return {}
        origin = make_provenance(corpus, len(opened.tracks), options.seed, profile, device_name(device)) | {
            "objective": objective,
            "precision": fitted.precision,
            "training_excerpts": len(banks[0]),
        }
        if compare is not None:
            origin["compare"] = list(compare)
        if jitter is not None:
            origin["jitter"] = asdict(jitter)
        return save_inverters(folder, fitted, plan, origin, network.provenance, resumed=options.resume)


def _detector_plan(profile: str, architecture: str) -> Plan:
    """The plan of a profile, for an architecture.

    Raises:
        PlanError: if there is no such profile or architecture, or the profile is that of another architecture.
    """
    plan, trained = find_profile(DETECTOR_PROFILES, profile), find_architecture(architecture)
    if plan.needs_spectra and trained is not SVDNet:
        raise PlanError(
            f"The profile {profile!r} trains the {SVDNet.kind} of the paper alone. Take another profile for the "
            f"{architecture} architecture, such as 'full'."
        )
    return plan


def _folder_of(options: RunOptions) -> Path:
    if options.folder is None:
        raise PlanError("A run needs a folder for its weights. Name one in the options.")
    return Path(options.folder)


def save_detector(
    folder: str | PathLike[str],
    fitted: FittedDetector[Any],
    plan: Plan,
    origin: Mapping[str, Any],
    *,
    resumed: bool = False,
) -> Path:
    """Write a fitted detector with its whole provenance and return the file; of several processes the leader writes.

    If the run was resumed and the file holds these weights already, the run had been finished before, and the file,
    with the date and the versions of then, stays as it is.
    """
    path = Path(folder) / DETECTOR_FILE
    result = {"plan": asdict(plan), "threshold": fitted.detector.threshold, "curve": fitted.curve} | fitted.best_epoch
    if leads() and not (resumed and holds(path, fitted.detector)):
        save_weights(path, fitted.detector, dict(origin) | result)
    return path


def save_inverters(
    folder: str | PathLike[str],
    fitted: FittedInverters,
    plan: TrainingPlan,
    origin: Mapping[str, Any],
    detector: Mapping[str, Any],
    *,
    resumed: bool = False,
) -> dict[str, Path]:
    """Write fitted inverters with their whole provenance, that of their detector included; a file per layer.

    Of several processes the leader writes. What a resumed run finds finished stays as it is, see `save_detector`.
    """
    names = {layer: weights_name(layer, inverter.variant) for layer, inverter in fitted.inverters.items()}
    paths = {layer: Path(folder) / name for layer, name in names.items()}
    for layer, inverter in fitted.inverters.items() if leads() else ():
        if resumed and holds(paths[layer], inverter):
            continue
        provenance = dict(origin) | {"plan": asdict(plan), "detector": detector} | fitted.record(layer)
        save_weights(paths[layer], inverter, provenance)
    return paths


@dataclass(frozen=True)
class Predictions:
    """What a detector says about some songs, and what is right.

    Attributes:
        names: of the songs.
        curves: smoothed probabilities (frames,) per song.
        labels: bool (frames,) per song.
        threshold: above it a frame counts as sung; the detector's own validation songs chose it.
    """

    names: Sequence[str]
    curves: Sequence[np.ndarray]
    labels: Sequence[np.ndarray]
    threshold: float


def predict_songs(
    corpus: str = "synthetic",
    *,
    detector: str | PathLike[str] | None = None,
    device: str = "auto",
    split: str = "test",
    average_pitch: bool = False,
) -> Predictions:
    """Let a detector predict every frame of the songs of a split.

    Args:
        corpus: a name that `open_corpus` knows.
        detector: weights; None takes the packaged ones.
        device: where to compute.
        split: "test"; "valid" to choose between weights; "all" for a corpus that no part of the training has seen.
        average_pitch: whether to average over transposed versions of each song, see `predict_averaged`.
    """
    network = any_detector(detector).to(choose_device(device))
    tracks = tracks_of(open_corpus(corpus), split)
    if average_pitch:
        curves = [smooth(track.read(partial(average_over_blocks, network))) for track in tracks]
    else:
        curves = [smooth(predict(network, log_mel)) for log_mel in load_songs(tracks).log_mels]
    labels = [frame_labels(track.segments, len(curve)) for track, curve in zip(tracks, curves, strict=True)]
    return Predictions([track.name for track in tracks], curves, labels, network.threshold)


def score_predictions(found: Predictions, auc: str = "exact") -> dict[str, Any]:
    """Score what a detector says.

    Args:
        found: what `predict_songs` returns.
        auc: "exact", or "published" for the rule of Schlüter & Grill's evaluation, see `published_auc`.

    Raises:
        InputError: if there is no such rule for the AUC.

    Returns:
        "auc" and "accuracy" over all frames, "threshold", and "per_song" with both for each song.
    """
    check_auc_rule(auc)
    area = AUC_RULES[auc]
    per_song = {
        name: {"auc": area(curve, label), "accuracy": float(np.mean((curve > found.threshold) == label))}
        for name, curve, label in zip(found.names, found.curves, found.labels, strict=True)
    }
    return {
        "auc": area(np.concatenate(found.curves), np.concatenate(found.labels)),
        "accuracy": detector_scores(found.curves, found.labels, found.threshold)["accuracy"],
        "threshold": found.threshold,
        "per_song": per_song,
    }


def evaluate_detector(corpus: str = "synthetic", *, auc: str = "exact", **options: Any) -> dict[str, Any]:
    """Predict the songs of a split and score that; `options` as for `predict_songs`.

    Raises:
        InputError: if there is no such rule for the AUC.

    Returns:
        What `score_predictions` returns.
    """
    check_auc_rule(auc)  # before the long work
    return score_predictions(predict_songs(corpus, **options), auc)


def check_auc_rule(auc: str) -> None:
    """Raise an InputError if there is no such rule for the AUC."""
    if auc not in AUC_RULES:
        raise InputError(f"There is no rule {auc!r} for the AUC. Known rules: {', '.join(AUC_RULES)}.")


def evaluate_nre(
    corpus: str = "synthetic",
    *,
    layers: str | Sequence[str] = LAYERS,
    variant: str | None = None,
    weights: str | PathLike[str] | None = None,
    detector: str | PathLike[str] | None = None,
    device: str = "auto",
    plan: EvaluationPlan = EvaluationPlan(),
    split: str = "test",
    standardise: str = "training",
) -> dict[str, dict[str, Any]]:
    """NRE of inverters on the test songs of a corpus (paper section 3.4).

    Args:
        corpus: a name that `open_corpus` knows.
        layers: which layers.
        variant: which family of inverters; None takes the published one, unless the folder holds another.
        weights: a folder with their weights; None takes the packaged ones.
        detector: weights of the detector; None takes the packaged ones.
        device: where to compute.
        plan: how many evaluation sets, and excerpts per song in each.
        split: "test"; "valid" to choose between weights; "all" for a corpus that no part of the training has seen.
        standardise: "training" or "own", see `bank_of`.

    Raises:
        WeightsError: if an inverter was trained for another detector.
        InputError: if there is no such standardisation.

    Returns:
        Per layer, "nre", its 95 % interval "ci95", how the songs were "standardised", and "mean_predictor", the NRE of
        painting the mean of these songs' excerpts whatever the feature, the line to beat.
    """
    check_standardisation(standardise)
    chosen = choose_device(device)
    network = open_detector(detector).to(chosen)
    family = variant or family_in(weights, layers, usual="published")
    inverters = open_inverters(weights, network, layers, family)
    bank = bank_of(load_songs(tracks_of(open_corpus(corpus), split)), network, chosen, standardise)
    scores = evaluate_inverters(network, inverters, bank, plan)
    return {
        layer: {
            "nre": score.nre,
            "ci95": list(score.ci95),
            "standardised": standardise,
            "mean_predictor": score.mean_predictor,
        }
        for layer, score in scores.items()
    }


def tracks_of(corpus: Corpus, split: str) -> tuple[Track, ...]:
    """The songs of a split, or with "all" those of the whole corpus."""
    return corpus.tracks if split == "all" else corpus.split(split)


def bank_of(
    songs: Songs, detector: Detector, device: torch.device | str = "cpu", standardise: str = "training"
) -> ExcerptBank:
    """The excerpts of songs, standardised.

    Args:
        songs: the songs of one split.
        detector: brings the statistics of its training songs.
        device: where the spectrograms live.
        standardise: "training", as the detector was trained; "own", with mean and deviation per band of these songs,
            as the released code does for RWC. The paper does not say which.

    Raises:
        InputError: if there is no such standardisation.
        CorpusError: if no song is long enough.
    """
    check_standardisation(standardise)
    standardizer = Standardizer.fit(songs.log_mels) if standardise == "own" else detector.standardizer
    return ExcerptBank(songs, standardizer=standardizer, device=device)


def check_standardisation(name: str) -> str:
    """Return `name` if songs can be standardised so; raise InputError otherwise."""
    if name not in STANDARDISATIONS:
        raise InputError(f"There is no standardisation {name!r}. Known ones: {', '.join(STANDARDISATIONS)}.")
    return name


def make_provenance(corpus: str, songs: int, seed: int, profile: str, device: str) -> dict[str, Any]:
    """Where trained weights come from: what they saw, how, and with which versions."""
    return {
        "corpus": public_name(corpus),
        "songs": songs,
        "seed": seed,
        "profile": profile,
        "device": device,
        "date": datetime.now(UTC).date().isoformat(),
        "commit": _commit(),
        "versions": {
            "svdlib": __version__,
            "torch": torch.__version__,
            "numpy": np.__version__,
            "python": platform.python_version(),
        },
    }


def public_name(corpus: str) -> str:
    """What a corpus is called where others read it: of a folder only the name, not where it lies on somebody's disk."""

    def named(part: str) -> str:
        kind, _, place = part.partition(":")
        return f"{kind}:{Path(place).name}" if place and kind in FOLDER_KINDS else part

    return each_part(corpus, KINDS, named)


def _commit() -> str:
    """The commit of the source tree, with "+" where it was changed since; "released" outside of a checkout."""
    root = Path(__file__).parent.parent
    if not ((root / ".git").exists() and (root / "pyproject.toml").exists()):
        return "released"
    try:
        command = ["git", "-C", str(root), "describe", "--always", "--dirty=+", "--exclude=*"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "released"
