"""Measurements that the book reports, each a program that anyone can run again, and their stored results.

    python -m svdlib.lab.studies.real_singing --corpus folder:PATH --out results.json
    python -m svdlib.lab.studies.detector_ablation --real folder:PATH --folder runs/ablation --out results.json
    python -m svdlib.lab.studies.learning_curve --real folder:PATH --folder runs/curve --out results.json
    python -m svdlib.lab.studies.inverter_ablation --real folder:PATH --folder runs/inverter_ablation --out results.json
    python -m svdlib.lab.studies.feature_loss --real folder:PATH --judges FILE FILE --out results.json
    python -m svdlib.lab.studies.reconstruction_error --others folder:PATH --out results.json
    python -m svdlib.lab.studies.round_trip --others folder:PATH --judges FILE --out results.json
    python -m svdlib.lab.studies.kept_structure --corpus synthetic folder:PATH --out results.json
    python -m svdlib.lab.studies.inversion_by_optimisation --help
    python -m svdlib.lab.studies.what_it_uses --help
    python -m svdlib.lab.studies.listener_inverters --help
    python -m svdlib.lab.studies.other_ears --others folder:PATH --out results.json
    python -m svdlib.lab.studies.tagger_inverters --help
    python -m svdlib.lab.studies.tagger_ears --corpus synthetic folder:PATH --out results.json
    python -m svdlib.lab.studies.claims
    python -m svdlib.lab.studies.reproduce --corpus jamendo --second rwc --folder runs/reproduce

The results that the book shows lie in `results/` and are read with `load_results`.
"""

import argparse
import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.compute.command_line import fit_for_json, run_safely
from svdlib.compute.run_state import check_same_run
from svdlib.compute.storage import digest, write_atomically
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.errors import TrainingError
from svdlib.inversion.inverters import FeatureInverter
from svdlib.inversion.nre import mean_excerpt
from svdlib.lab.analysis.round_trip import check_judges
from svdlib.recipes import bank_of, make_provenance, public_name
from svdlib.songs.corpora import KINDS, open_corpus
from svdlib.songs.corpora.joined import part_names
from svdlib.songs.loading import load_songs
from svdlib.zoo.checkpoints import TRAININGS, folder_of, open_detector, open_inverters

FAMILIES = ("published", "aligned")
"""The families of inverters whose weights come with the package."""

INPUT, LONGER, AT_CONV5, UNMOVED = (
    "aligned, input loss alone",
    "aligned, input loss for longer",
    "aligned, compared at Conv5 alone",
    "aligned, compared unmoved",
)
"""The names among the families of other trainings of the aligned one, see `svdlib.zoo.checkpoints.TRAININGS`."""

RESULTS = Path(__file__).parent / "results"
DIGITS = 6


def load_results(name: str) -> dict[str, Any] | None:
    """Read the stored results of a study.

    Args:
        name: of the study, such as "real_singing".

    Returns:
        What the study wrote, or None if the package holds no results of it.
    """
    path = RESULTS / f"{name}.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None


def write_results(path: str | PathLike[str], results: Mapping[str, Any]) -> None:
    """Write the results of a study as JSON, lists of numbers on a line each.

    Args:
        path: the file.
        results: fit for JSON, see `as_json`.

    Raises:
        OutputError: if the file cannot be written.
    """
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    # Strings hold no line breaks of their own, so these can only be lists.
    text = re.sub(r"\[\n(\s*(null|[-+.\de]+),?\n)+\s*\]", lambda numbers: " ".join(numbers[0].split()), text)
    # Of names that are no UTF-8 the bytes become escapes, which JSON knows too.
    write_atomically(Path(path), lambda file: file.write(text.encode(errors="backslashreplace")))


def as_json(value: Any) -> Any:
    """Make a value fit for the results of a study: numbers rounded to six digits, see `fit_for_json`."""
    return fit_for_json(value, DIGITS)


def origin_of(corpus: str, songs: int) -> dict[str, Any]:
    """What results come from: corpus, number of songs, date, commit and versions; no path of somebody's disk."""
    provenance = make_provenance(corpus, songs, 0, "", "")
    return {key: provenance[key] for key in ("corpus", "songs", "date", "commit", "versions")}


def open_families(
    weights: str | PathLike[str] | None, detector: SVDNet, *, trainings: bool = False
) -> dict[str, dict[str, FeatureInverter]]:
    """The inverters that a study measures, by the names that they have in results.

    Args:
        weights: a folder with the weights of both families; None takes the packaged ones.
        detector: whose layers they invert; they are put where it computes.
        trainings: whether to add the other trainings of the deepest layers that the package has.

    Raises:
        WeightsError: if one is missing, damaged, or was trained for another detector.
    """
    families = {name: open_inverters(weights, detector, LAYERS, name) for name in FAMILIES}
    if trainings and weights is None:
        for name, training in zip((INPUT, LONGER, AT_CONV5, UNMOVED), TRAININGS, strict=True):
            families[name] = open_inverters(folder_of(training), detector, None, "aligned")
    return families


def training_of(inverters: Mapping[str, FeatureInverter]) -> dict[str, dict[str, Any]]:
    """How inverters learned, for the results of a study.

    Args:
        inverters: per layer, with `.provenance`.

    Returns:
        Per layer corpus, objective, weight and layers of the feature loss, and seed, as far as they are stated; and
        "updates", of each run that led to it, the last one first, with "batch_size".
    """
    return {layer: _training(inverter.provenance) for layer, inverter in inverters.items()}


def _training(provenance: Mapping[str, Any]) -> dict[str, Any]:
    stated = ("corpus", "objective", "lambda_feature", "compare", "jitter", "seed", "commit")
    found = {key: provenance[key] for key in stated if key in provenance}
    runs: list[Mapping[str, Any]] = [provenance]
    while start := runs[-1].get("start"):
        runs.append(start)
    found["updates"] = [_updates(run) for run in runs]
    return found | {"batch_size": provenance["plan"]["batch_size"]}


def _updates(run: Mapping[str, Any]) -> int:
    plan = run["plan"]
    if plan["steps_per_epoch"]:
        return int(plan["epochs"] * plan["steps_per_epoch"])
    # A run by `svdlib train` states the first, one by `fit_inverters` the second.
    inputs = run["training_excerpts"] if "training_excerpts" in run else run["training_inputs"]["count"]
    return int(plan["epochs"] * (inputs // plan["batch_size"]))


def unheard_split(corpus: str, inverters: Mapping[str, nn.Module]) -> str:
    """Which songs of a corpus inverters have not learned from: "test" of their own corpus, else "all".

    Args:
        corpus: a name that `open_corpus` knows.
        inverters: with `.provenance`.
    """
    learned_from = {getattr(each, "provenance", {}).get("corpus") for each in inverters.values()}
    return "test" if public_name(corpus) in learned_from else "all"


def label_of(corpus: str) -> str:
    """A corpus as readers know it: one that is made or fetched by its kind, a folder by its name.

    Args:
        corpus: such as "synthetic-b:songs=6" or "folder:PATH", or several joined by "+".
    """

    def label(part: str) -> str:
        kind, _, rest = public_name(part).partition(":")
        return rest.replace("_", " ") if kind == "folder" else kind

    return " + ".join(label(part) for part in part_names(corpus, KINDS))


def measure_corpora(
    corpus: str,
    others: Sequence[str],
    network: SVDNet,
    place: torch.device,
    measure: Callable[[ExcerptBank, Tensor], dict[str, Any]],
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Measure the test songs of one corpus and all songs of others.

    Args:
        corpus: its training songs give the mean excerpt.
        others: names that `open_corpus` knows.
        network: the detector, on `place`.
        place: where to compute.
        measure: takes the songs of a corpus and the mean excerpt.

    Returns:
        Date, commit and versions; and per corpus what was measured, under a name without a path of somebody's disk.
    """
    own = open_corpus(corpus)
    mean = mean_excerpt(bank_of(load_songs(own.split("train")), network, place))
    tracks = {corpus: own.split("test")} | {name: open_corpus(name).tracks for name in others}
    measured, origin = {}, {}
    for name, each in tracks.items():
        songs = load_songs(each)
        origin = origin_of(name, len(songs.names))
        measured[origin["corpus"]] = measure(bank_of(songs, network, place), mean)
    return {key: origin[key] for key in ("date", "commit", "versions")}, measured


def open_judges(paths: Sequence[str | PathLike[str]], detector: SVDNet, place: torch.device) -> dict[str, SVDNet]:
    """Other detectors, by the names that they have in results.

    Args:
        paths: their weights.
        detector: whose inversions they judge.
        place: where to compute.

    Raises:
        WeightsError: if one of the files is missing, damaged, or holds something else.
        InputError: if one of them began as the detector did.
    """
    judges = {f"detector {number}": open_detector(path).to(place) for number, path in enumerate(paths, start=2)}
    check_judges(detector, judges)
    return judges


def run_program(
    parser: argparse.ArgumentParser,
    arguments: Sequence[str] | None,
    act: Callable[[argparse.Namespace], dict[str, Any]],
    describe: Callable[[dict[str, Any]], str],
    *,
    resumable: bool,
) -> int:
    """Run a study from the command line: print its results, and write them where `--out` says.

    Args:
        parser: knows the options of this study; those that all studies have are added.
        arguments: of the command line; None takes the program's own.
        act: the study.
        describe: its results as text for people, printed unless JSON is asked for.
        resumable: whether `--resume` goes on after Ctrl-C.

    Returns:
        0 when done, 2 after something that the user can put right, 130 when interrupted, 143 when
        ended by SIGTERM.
    """
    parser.add_argument("--device", default="auto", metavar="NAME", help="auto (default), cpu, cuda")
    parser.add_argument("--out", type=Path, metavar="FILE", help="write the results there as JSON")
    parser.add_argument("--json", action="store_true", help="print them as JSON too, in place of the table")

    def run() -> None:
        options = parser.parse_args(arguments)
        result = act(options)
        if options.out:
            write_results(options.out, result)
        print(json.dumps(result, indent=1, allow_nan=False) if options.json else describe(result))

    return run_safely(run, resumable=resumable)


def read_record(path: Path, keys: Sequence[str], remedy: str) -> dict[str, Any]:
    """Read what an earlier run has written about a finished part.

    Args:
        path: the file.
        keys: what must be in it; "identity" is a dictionary.
        remedy: what to do if it is damaged, a sentence.

    Raises:
        TrainingError: it is damaged.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        return {key: record[key] for key in keys} | {"identity": dict(record["identity"])}
    except (ValueError, KeyError, TypeError) as error:
        raise TrainingError(f"{path} is damaged ({error}). {remedy}") from error


def songs_digest(lengths: Iterable[int], labels: Iterable[np.ndarray | Tensor]) -> str:
    """Tells one set of songs from another on any machine, by the lengths in frames and the labels.

    Their spectrograms would tell more, but processors differ in the last bit of them.
    """
    values = [torch.as_tensor(list(lengths), dtype=torch.int64)]
    return digest(torch.cat(values + [torch.as_tensor(each).cpu().to(torch.int64) for each in labels]))


def read_parts(out: Path | None, identity: Mapping[str, Any], parts: str, *, resume: bool) -> list[dict[str, Any]]:
    """The parts of a study that a file of its results holds, to go on with those that it lacks; none if there is none.

    Args:
        out: where the study writes after each part; None where it writes at the end alone.
        identity: of the study, fit for JSON: results of another one are refused.
        parts: the name of their list.
        resume: whether results may be gone on with.

    Raises:
        TrainingError: there are results and `resume` is false, or they belong to another run or are damaged.
    """
    if out is None or not out.is_file():
        return []
    if not resume:
        raise TrainingError(f"{out} holds results. Resume them, or name another file.")
    record = read_record(out, ("identity", parts), "Move it away and begin again.")
    check_same_run(out, record["identity"], identity)
    return list(record[parts])


def read_finished(path: Path, identity: Mapping[str, Any], *, resume: bool) -> dict[str, Any] | None:
    """The result of a part of a study that an earlier run has finished; None if there is none.

    Args:
        path: where that part would be written.
        identity: of the part, fit for JSON: another one is refused.
        resume: whether an earlier run may be gone on with.

    Raises:
        TrainingError: there is one and `resume` is false, or it was another run, or its file is damaged.
    """
    if not path.is_file():
        return None
    if not resume:
        raise TrainingError(f"{path} holds an earlier run. Resume it, or choose another folder.")
    record = read_record(path, ("identity", "result"), "Delete it and resume: it is scored again.")
    check_same_run(path, record["identity"], identity)
    return record["result"]
