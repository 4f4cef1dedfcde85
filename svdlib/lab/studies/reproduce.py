"""The whole paper in one program: detector, inverters, reconstruction errors, figures and tables, one page of them.

    python -m svdlib.lab.studies.reproduce --corpus jamendo --second rwc --dry-run
    python -m svdlib.lab.studies.reproduce --corpus jamendo --second rwc

The work is a list of steps, see `steps_of`. What a step has found is kept in the folder with the settings it belongs
to, so the same command goes on where an interrupted one stopped, and does nothing twice. The page is `report.html`, its
numbers are `results.json`.
"""

import argparse
import hashlib
import shlex
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from svdlib.compute.devices import choose_device, device_name
from svdlib.detector.model import LAYERS
from svdlib.detector.training import DETECTOR_PROFILES
from svdlib.errors import TrainingError
from svdlib.inversion.nre import EvaluationPlan, mean_predictor_nre
from svdlib.inversion.objectives import OBJECTIVES, check_objective
from svdlib.inversion.training import PROFILES, plan_under
from svdlib.lab.studies import as_json, read_record, write_results
from svdlib.paper.training import PublishedPlan
from svdlib.recipes import (
    STANDARDISATIONS,
    bank_of,
    evaluate_nre,
    make_provenance,
    open_detector,
    predict_songs,
    score_predictions,
    tracks_of,
    train_detector,
    train_inverters,
)
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import SPLITS, Corpus
from svdlib.songs.corpora.songs import load_songs, with_spectra
from svdlib.zoo.checkpoints import DETECTOR_FILE, weights_name

VARIANT = "published"
PER_SONG = 8
"""Random excerpts per song and evaluation set, as published."""
SECOND_SPLIT = "all"
"""Of the second corpus every song is measured: nothing was trained on it. The paper drew 20 of the 100 songs of RWC."""
REPORT_FILE, RESULTS_FILE = "report.html", "results.json"


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
        if self.profile not in PROFILES:
            raise TrainingError(f"There is no profile {self.profile!r}. Known profiles: {', '.join(PROFILES)}.")
        for objective in self.objectives:
            check_objective(objective)
        if not self.objectives or len(set(self.objectives)) < len(self.objectives):
            raise TrainingError("Name at least one objective, and each only once.")
        if self.sets < 1:
            raise TrainingError(f"sets must be 1 or more, not {self.sets}.")

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
            | {"plan": asdict(plan_under(objective, PROFILES[settings.profile])), "detector": _detector(settings)}
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
    published = isinstance(DETECTOR_PROFILES[settings.profile], PublishedPlan)
    counts: dict[str, Any] = {}
    for role, corpus in settings.opened.items():
        counts[role] = {}
        for split in SPLITS:
            tracks = [track for track in corpus.tracks if track.split == split]
            if not tracks:
                continue
            learning = role == "corpus" and split == "train"
            songs = load_songs(tracks, stems=learning and not published)
            if learning and published:
                songs = with_spectra(songs, tracks)
            frames = sum(len(label) for label in songs.labels)
            sung = sum(int(label.sum()) for label in songs.labels)
            counts[role][split] = {"songs": len(tracks), "frames": frames, "sung_frames": sung}
    return counts


def fit_detector(settings: Settings) -> dict[str, Any]:
    """Train the detector, going on from an earlier state; its losses per epoch and its provenance."""
    from svdlib.compute.storage import load_state
    from svdlib.detector.training import STATE_FILE

    folder = settings.detector_file.parent
    train_detector(settings.corpus, **_training_options(settings, folder))
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
        options = {"detector": settings.detector_file, "device": settings.device, "split": split}
        predicted = predict_songs(getattr(settings, role), **options)
        published = score_predictions(predicted, auc="published")
        found[role] = score_predictions(predicted) | {"published_auc": published["auc"]}
    return found


def fit_inverters(settings: Settings, objective: str) -> dict[str, Any]:
    """Train the eight inverters for an objective, going on from an earlier state; the provenance of each."""
    from svdlib.zoo.checkpoints import load_inverter

    options = _training_options(settings, settings.inverters_folder(objective))
    paths = train_inverters(settings.corpus, objective=objective, detector=settings.detector_file, **options)
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
            sets=settings.sets,
            per_song=PER_SONG,
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
    kept = record["identity"]
    wanted = as_json(step.identity())
    different = [key for key in wanted if kept.get(key) != wanted[key]]
    if different:
        raise TrainingError(
            f"{path} belongs to a run with other settings or songs: {', '.join(different)} differ. "
            "Use the same ones, or choose another folder with --folder."
        )
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


def reproduce(settings: Settings, say: Callable[[str], None] = print) -> dict[str, Any]:
    """Do all steps that are not done yet, and write the page and its numbers.

    Args:
        settings: what and where.
        say: is told, in a line, what happens.

    Returns:
        What `results.json` holds.

    Raises:
        CorpusError: a corpus is not there.
        TrainingError: the folder holds results of other settings.
        KeyboardInterrupt: after Ctrl-C; the same call goes on.
    """
    from svdlib.lab.studies.reproduce_report import write_report

    steps, records = steps_of(settings), {}
    finished_steps(settings, steps)  # what belongs to other settings is better found now than after a day
    place = device_name(choose_device(settings.device))
    say(f"{settings.corpus}, then {settings.second}; profile {settings.profile}, on {place}, in {settings.folder}")
    for number, step in enumerate(steps, start=1):
        head = f"[{number}/{len(steps) + 1}] {step.name}"
        records[step.name] = finished_step(settings, step)
        if records[step.name]:
            say(f"{head}: there already")
            continue
        say(f"{head}: {step.makes}")
        begun = time.monotonic()
        result = as_json(step.act())
        record = {"identity": as_json(step.identity()), "seconds": round(time.monotonic() - begun, 1)}
        records[step.name] = record | {"device": place, "result": result}
        write_results(record_path(settings, step), records[step.name])
    say(f"[{len(steps) + 1}/{len(steps) + 1}] report")
    results = results_of(settings, records)
    write_results(settings.folder / RESULTS_FILE, results)
    write_report(settings, results)
    say(f"The page: {settings.folder / REPORT_FILE}")
    return results


def results_of(settings: Settings, records: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """All numbers, and where they come from; no path of somebody's disk."""
    origin = make_provenance(
        settings.corpus, len(settings.opened["corpus"].tracks), settings.seed, settings.profile, settings.device
    )
    second = make_provenance(settings.second, 0, 0, "", "")["corpus"]
    chosen = {"second": second, "objectives": list(settings.objectives), "sets": settings.sets, "per_song": PER_SONG}
    return as_json(
        {"study": "reproduce"}
        | {key: value for key, value in origin.items() if key != "device"}
        | chosen
        | {
            "steps": {
                name: {"seconds": record["seconds"], "device": record["device"]} for name, record in records.items()
            },
            "songs_and_frames": records["log-mels"]["result"],
            "detector": records["detector"]["result"],
            "detector_scores": records["detector-scores"]["result"],
            "inverters": {name: records[f"inverters-{name}"]["result"] for name in settings.objectives},
            "nre": {name: records[f"nre-{name}"]["result"] for name in settings.objectives},
        }
    )


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


def _training_options(settings: Settings, folder: Path) -> dict[str, Any]:
    options = {"profile": settings.profile, "seed": settings.seed, "device": settings.device}
    return options | {"folder": folder, "resume": True}


def _training_command(settings: Settings, what: str, folder: Path, *options: Any) -> str:
    common = ("--corpus", settings.corpus, "--profile", settings.profile, "--seed", settings.seed)
    return _command("train", what, *common, "--device", settings.device, *options, "--folder", folder, "--resume")


def _command(*parts: Any) -> str:
    return shlex.join(["svdlib", *map(str, parts)])


# --- the program ---------------------------------------------------------------------------------------------------


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 0 when done, 2 after something that the user can put right, 130 when interrupted."""
    from svdlib.cli.parser import Parser
    from svdlib.compute.command_line import run_safely

    def act() -> None:
        options = vars(_parser(Parser).parse_args(arguments))
        dry_run, second = options.pop("dry_run"), options.pop("second")
        options["objectives"] = tuple(options["objectives"])
        settings = Settings(second=second or second_of(options["corpus"]), **options)
        if dry_run:
            from svdlib.lab.studies.reproduce_plan import describe_plan

            print(describe_plan(settings))
        else:
            reproduce(settings, partial(print, flush=True))

    return run_safely(act, resumable=False)  # the same command goes on, without --resume


def second_of(corpus: str) -> str:
    """The second corpus where none is named: RWC for Jamendo, as published, or else other synthetic songs."""
    if corpus.partition(":")[0].strip() == "jamendo":
        return "rwc"
    return "synthetic" if corpus.startswith("synthetic-b") else "synthetic-b"


def _parser(kind: type[argparse.ArgumentParser]) -> argparse.ArgumentParser:
    parser = kind(prog="python -m svdlib.lab.studies.reproduce", description=__doc__)
    parser.add_argument("--corpus", default="jamendo", metavar="NAME", help="to train and test on (default jamendo)")
    parser.add_argument("--second", metavar="NAME", help="only to test on (default rwc for jamendo, else synthetic-b)")
    parser.add_argument("--folder", type=Path, default=Path("runs/reproduce"), help="where everything is kept")
    parser.add_argument("--profile", choices=PROFILES, default="published", help="how long to train")
    parser.add_argument(
        "--objectives",
        nargs="+",
        choices=OBJECTIVES,
        default=list(Settings.objectives),
        help=f"eight inverters are trained for each (default: {' '.join(Settings.objectives)})",
    )
    parser.add_argument("--sets", type=int, default=10, metavar="N", help="evaluation sets per NRE (default 10)")
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random (default 0)")
    parser.add_argument("--dry-run", action="store_true", help="print steps, time and disk; write nothing")
    return parser


if __name__ == "__main__":
    sys.exit(main())
