"""The steps of `svdlib.lab.studies.reproduce`, from the songs to the numbers: what each makes, needs and leaves behind.

What a step has found is kept in the folder with the settings it belongs to, so that nothing is done twice and nothing
of another run is taken for one's own.
"""

import hashlib
import shlex
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from svdlib.compute.devices import choose_device
from svdlib.compute.run_state import STATE_FILE, RunOptions, check_same_run
from svdlib.compute.storage import load_state
from svdlib.detector.model import LAYERS
from svdlib.errors import PlanError
from svdlib.inversion.nre import EvaluationPlan, mean_predictor_nre
from svdlib.lab.studies import as_json, read_record
from svdlib.recipes import (
    DETECTOR_OPTIONS,
    INVERTER_OPTIONS,
    STANDARDISATIONS,
    bank_of,
    evaluate_nre,
    predict_songs,
    score_predictions,
    tracks_of,
    train_detector,
    train_inverters,
)
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import SPLITS, Corpus
from svdlib.songs.loading import load_songs, with_spectra
from svdlib.zoo.checkpoints import DETECTOR_FILE, load_inverter, open_detector, weights_name
from svdlib.zoo.objectives import find_objective
from svdlib.zoo.profiles import DETECTOR_PROFILES, PROFILES, find_profile

VARIANT = "published"
PER_SONG = 8
"""Random excerpts per song and evaluation set, as published."""
SECOND_SPLIT = "all"
"""Of the second corpus every song is measured: nothing was trained on it. The paper drew 20 of the 100 songs of RWC."""


@dataclass(frozen=True)
class Settings:
    """What is reproduced, and where.

    Attributes:
        corpus: a name that `open_corpus` knows, to train and to test on.
        second: another one, which is only tested on.
        folder: where everything is kept.
        profile: how long to train, for detector and inverters alike.
        objectives: what the inverters are trained for; one family of eight per objective.
        sets: evaluation sets that an NRE is averaged over.
        device: where to compute, see `svdlib.compute.devices.choose_device`.
        seed: of everything that is random in the trainings.
    """

    corpus: str
    second: str
    folder: Path
    profile: str = "published"
    objectives: tuple[str, ...] = ("released", "joint", "input")
    sets: int = 10
    device: str = "auto"
    seed: int = 0

    def __post_init__(self) -> None:
        find_profile(PROFILES, self.profile)
        for objective in self.objectives:
            find_objective(objective)
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise PlanError("Name at least one objective, and each only once.")
        if self.sets < 1:
            raise PlanError(f"sets must be 1 or more, not {self.sets}.")

    @property
    def detector_file(self) -> Path:
        """The weights of the detector."""
        return self.folder / "detector" / DETECTOR_FILE

    def inverters_folder(self, objective: str) -> Path:
        """Where the inverters of an objective are trained and kept."""
        return self.folder / f"inverters-{objective}"

    def inverter_files(self, objective: str) -> tuple[Path, ...]:
        """The weights of its eight inverters."""
        return tuple(self.inverters_folder(objective) / weights_name(layer, VARIANT) for layer in LAYERS)

    @cached_property
    def opened(self) -> dict[str, Corpus]:
        """Both corpora, by "corpus" and "second"; a CorpusError says how to get one that is not there."""
        return {role: open_corpus(getattr(self, role)) for role in ("corpus", "second")}

    def songs(self, role: str) -> str:
        """Sixteen characters that tell the songs, splits and labels of one corpus from those of another."""
        parts = [(track.name, track.split, track.segments) for track in self.opened[role].tracks]
        return _digest(repr(parts).encode(errors="surrogateescape"))


@dataclass(frozen=True)
class Step:
    """A piece of the work.

    Attributes:
        name: of its record, `steps/NAME.json` in the folder.
        makes: what comes out, in a few words.
        needs: names of the steps whose results it reads.
        commands: what one could type instead.
        act: does it, and returns what the report needs to know; ready for JSON.
        identity: the settings and files that its result belongs to; only asked for when all it needs is done.
        files: what it leaves in the folder besides its record.
    """

    name: str
    makes: str
    needs: tuple[str, ...]
    commands: tuple[str, ...]
    act: Callable[[], dict[str, Any]]
    identity: Callable[[], dict[str, Any]]
    files: tuple[Path, ...] = ()


def steps_of(settings: Settings) -> list[Step]:
    """The steps from the songs to the numbers, in order; the page is made from their results."""
    steps = [_log_mels_step(settings), _detector_step(settings), _scores_step(settings)]
    for objective in settings.objectives:
        steps += [_inverters_step(settings, objective), _nre_step(settings, objective)]
    return steps


def _log_mels_step(settings: Settings) -> Step:
    return Step(
        name="log-mels",
        makes="spectrograms of all songs, in the cache",
        needs=(),
        commands=tuple(_command("corpus", "build", name) for name in (settings.corpus, settings.second)),
        act=partial(prepare_songs, settings),
        identity=lambda: {"songs": settings.songs("corpus"), "second_songs": settings.songs("second")},
    )


def _detector_step(settings: Settings) -> Step:
    folder = settings.detector_file.parent
    return Step(
        name="detector",
        makes="the trained detector",
        needs=("log-mels",),
        commands=(_training_command(settings, "detector", folder),),
        act=partial(fit_detector, settings),
        identity=lambda: _trained_with(settings) | {"plan": asdict(DETECTOR_PROFILES[settings.profile])},
        files=(settings.detector_file,),
    )


def _scores_step(settings: Settings) -> Step:
    options = ("evaluate", "detector", "--detector", settings.detector_file, "--device", settings.device)
    places = (("--corpus", settings.corpus), ("--corpus", settings.second, "--split", SECOND_SPLIT))
    return Step(
        name="detector-scores",
        makes="AUC and accuracy of the detector on both corpora",
        needs=("detector",),
        commands=tuple(
            _command(*options, *place, "--auc", rule) for place in places for rule in ("exact", "published")
        ),
        act=partial(score_detector, settings),
        identity=lambda: _measured_with(settings),
    )


def _inverters_step(settings: Settings, objective: str) -> Step:
    folder = settings.inverters_folder(objective)
    options = ("--objective", objective, "--detector", settings.detector_file)
    return Step(
        name=f"inverters-{objective}",
        makes=f"eight inverters, objective {objective}",
        needs=("detector",),
        commands=(_training_command(settings, "inverters", folder, *options),),
        act=partial(fit_inverters, settings, objective),
        identity=lambda: (
            _trained_with(settings)
            | {"plan": asdict(find_objective(objective).plan(PROFILES[settings.profile]))}
            | {"detector": _detector(settings)}
        ),
        files=settings.inverter_files(objective),
    )


def _nre_step(settings: Settings, objective: str) -> Step:
    weights = ("--detector", settings.detector_file, "--weights", settings.inverters_folder(objective))
    options = ("evaluate", "nre", *weights, "--sets", settings.sets, "--device", settings.device)
    second = ("--corpus", settings.second, "--split", SECOND_SPLIT)
    return Step(
        name=f"nre-{objective}",
        makes=f"reconstruction errors on both corpora, objective {objective}",
        needs=("detector", f"inverters-{objective}"),
        commands=(
            _command(*options, "--corpus", settings.corpus),
            *(_command(*options, *second, "--standardise", way) for way in STANDARDISATIONS),
        ),
        act=partial(measure_nre, settings, objective),
        identity=lambda: (
            _measured_with(settings)
            | {"sets": settings.sets, "per_song": PER_SONG}
            | {"inverters": _digest_of(settings.inverter_files(objective))}
        ),
    )


# --- what the steps do ---------------------------------------------------------------------------------------------


def prepare_songs(settings: Settings) -> dict[str, Any]:
    """Compute the spectrograms of both corpora into the cache, and count songs and frames of each split."""
    needs_spectra = DETECTOR_PROFILES[settings.profile].needs_spectra
    counts: dict[str, Any] = {}
    for role, corpus in settings.opened.items():
        counts[role] = {}
        for split in SPLITS:
            tracks = [track for track in corpus.tracks if track.split == split]
            if not tracks:
                continue
            learning = role == "corpus" and split == "train"
            songs = load_songs(tracks, stems=learning and not needs_spectra)
            if learning and needs_spectra:
                songs = with_spectra(songs, tracks)
            frames = sum(len(label) for label in songs.labels)
            sung = sum(int(label.sum()) for label in songs.labels)
            counts[role][split] = {"songs": len(tracks), "frames": frames, "sung_frames": sung}
    return counts


def fit_detector(settings: Settings) -> dict[str, Any]:
    """Train the detector, going on from an earlier state; its losses per epoch and its provenance."""
    folder = settings.detector_file.parent
    train_detector(settings.corpus, profile=settings.profile, options=_run_in(settings, folder, DETECTOR_OPTIONS))
    history = load_state(folder / STATE_FILE)[1]["history"]
    return {"history": history, "provenance": open_detector(settings.detector_file).provenance}


def score_detector(settings: Settings) -> dict[str, Any]:
    """Score the detector on the test songs and on all songs of the second corpus.

    Returns:
        For "corpus" and "second": "auc" (exact), "published_auc", "accuracy", "threshold" and "per_song". Predictions
        are smoothed by the median filter, and the threshold is that of the validation songs.
    """
    found = {}
    for role, split in (("corpus", "test"), ("second", SECOND_SPLIT)):
        predicted = predict_songs(
            getattr(settings, role), detector=settings.detector_file, device=settings.device, split=split
        )
        published = score_predictions(predicted, auc="published")
        found[role] = score_predictions(predicted) | {"published_auc": published["auc"]}
    return found


def fit_inverters(settings: Settings, objective: str) -> dict[str, Any]:
    """Train the eight inverters for an objective, going on from an earlier state; the provenance of each."""
    paths = train_inverters(
        settings.corpus,
        profile=settings.profile,
        objective=objective,
        detector=settings.detector_file,
        options=_run_in(settings, settings.inverters_folder(objective), INVERTER_OPTIONS),
    )
    return {layer: load_inverter(path, layer).provenance for layer, path in paths.items()}


def measure_nre(settings: Settings, objective: str) -> dict[str, Any]:
    """Measure the reconstruction errors of an objective's inverters.

    Returns:
        For "corpus" (its test songs), "second" (all its songs) and "second_own" (the same, standardised by their own
        statistics): "layers", what `evaluate_nre` returns, and "mean_predictor", the error of always giving the mean
        training excerpt.
    """
    found = {}
    ways = (("corpus", "corpus", "test", "training"), ("second", "second", SECOND_SPLIT, "training"))
    for key, role, split, standardise in (*ways, ("second_own", "second", SECOND_SPLIT, "own")):
        layers = evaluate_nre(
            getattr(settings, role),
            weights=settings.inverters_folder(objective),
            detector=settings.detector_file,
            device=settings.device,
            plan=EvaluationPlan(settings.sets, PER_SONG),
            split=split,
            standardise=standardise,
        )
        found[key] = {"layers": layers, "mean_predictor": _mean_predictor(settings, role, split, standardise)}
    return found


def _mean_predictor(settings: Settings, role: str, split: str, standardise: str) -> float:
    device = choose_device(settings.device)
    detector = open_detector(settings.detector_file).to(device)
    train = bank_of(load_songs(settings.opened["corpus"].split("train")), detector, device)
    measured = bank_of(load_songs(tracks_of(settings.opened[role], split)), detector, device, standardise)
    return mean_predictor_nre(train, measured, EvaluationPlan(settings.sets, PER_SONG))


# --- what belongs to what ------------------------------------------------------------------------------------------


def finished_step(settings: Settings, step: Step) -> dict[str, Any] | None:
    """What the folder holds of a finished step.

    Returns:
        Its record, with "result" and "seconds", or None if the step is not finished or lacks a file.

    Raises:
        TrainingError: the record is damaged, or belongs to a run with other settings, songs or weights.
    """
    path = record_path(settings, step)
    if not path.is_file():
        return None
    record = read_record(path, ("identity", "result", "seconds", "device"), "Delete it and run the command again.")
    check_same_run(path, record["identity"], as_json(step.identity()))
    return record if all(file.is_file() for file in step.files) else None


def record_path(settings: Settings, step: Step) -> Path:
    """The record of a step."""
    return settings.folder / "steps" / f"{step.name}.json"


def finished_steps(settings: Settings, steps: Sequence[Step]) -> dict[str, dict[str, Any]]:
    """The records of the steps that are finished, by name; a step counts only if all it needs is finished too."""
    records: dict[str, dict[str, Any]] = {}
    for step in steps:
        record = finished_step(settings, step) if set(step.needs) <= set(records) else None
        if record is not None:
            records[step.name] = record
    return records


def _trained_with(settings: Settings) -> dict[str, Any]:
    return {"songs": settings.songs("corpus"), "profile": settings.profile, "seed": settings.seed}


def _measured_with(settings: Settings) -> dict[str, Any]:
    songs = {"songs": settings.songs("corpus"), "second_songs": settings.songs("second")}
    return songs | {"detector": _detector(settings)}


def _detector(settings: Settings) -> str | None:
    return _digest_of([settings.detector_file])


def _digest_of(files: Sequence[Path]) -> str | None:
    """Tells the content of files from another; None if one is missing."""
    if not all(file.is_file() for file in files):
        return None
    return _digest(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files))


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _run_in(settings: Settings, folder: Path, options: RunOptions) -> RunOptions:
    return replace(options, seed=settings.seed, device=settings.device, folder=folder, resume=True)


def _training_command(settings: Settings, what: str, folder: Path, *options: Any) -> str:
    common = ("--corpus", settings.corpus, "--profile", settings.profile, "--seed", settings.seed)
    return _command("train", what, *common, "--device", settings.device, *options, "--folder", folder, "--resume")


def _command(*parts: Any) -> str:
    return shlex.join(["svdlib", *map(str, parts)])
