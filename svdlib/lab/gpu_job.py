"""The training of everything that the book needs, on a borrowed GPU or on an ordinary processor.

A borrowed GPU has torch and NumPy, no network, and little time at once; an ordinary processor takes days, and is
interrupted. Three steps, see CONTRIBUTING.md:

1. `prepare`, at home: the spectrograms and labels of a corpus in one file of under 50 MB.
2. `train`: detector, then all inverters under the full profile, one run for each family and objective that the book
   needs. It stops in good order before the time limit, or at Ctrl-C; the same command goes on from there, as often as
   needed. A finished run leaves one small file: its networks, its losses and its NRE on the validation songs.
3. `collect`, at home: weights files with provenance, and a table of all runs.

Besides these, `bench` measures on the GPU how fast everything is; it needs no data.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.compute.command_line import Parser, in_short, run_safely
from svdlib.compute.devices import choose_device, device_name
from svdlib.compute.npz import DAMAGE
from svdlib.compute.run_state import STATE_FILE, RunOptions, RunState
from svdlib.compute.storage import digest, open_plain, write_atomically
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.detector.training import FittedDetector, fit_detector
from svdlib.errors import CorpusError, TrainingError
from svdlib.inversion.comparison import Comparison, Jitter
from svdlib.inversion.nre import EvaluationPlan, LayerScore, evaluate_inverters
from svdlib.inversion.training import Epoch, FittedInverters
from svdlib.songs.loading import Songs
from svdlib.zoo.families import build_inverter
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.objectives import find_objective
from svdlib.zoo.profiles import DETECTOR_PROFILES, PROFILES, SHIFT

STEPS_PER_NEPER = 64
"""Spectrograms travel as whole steps of 1/64 in natural-log units: an error of 0.005, far below what an ear or the
detector notices, and half the size of 32-bit numbers after compression."""

STEM_STEPS_PER_NEPER = 8
"""Stems are only ever training material, changed at random by many decibels: an error of 0.04 does no harm."""

LOWEST_STEM = -16.25  # natural-log units, just below the floor of the front end


@dataclass(frozen=True)
class Run:
    """One run of inverters.

    Attributes:
        variant: their family.
        objective: what they minimise.
        layers: which are trained.
        weight: of the feature loss; None leaves it at 1.
        compare: the layers at which it compares; None for Conv5 alone.
        jitter: how pictures are moved before; None for not at all.
        shipped: whether the weights go into the package; of the others, the numbers do.
    """

    variant: str
    objective: str
    layers: tuple[str, ...] = LAYERS
    weight: float | None = None
    compare: tuple[str, ...] | None = None
    jitter: Jitter | None = None
    shipped: bool = False

    @property
    def name(self) -> str:
        """For folders and messages."""
        parts = [self.variant, self.objective] + ([] if self.layers == LAYERS else list(self.layers))
        return "-".join(parts)


RUNS = (
    Run("aligned", "balanced", ("fc7", "fc8"), 6.0, ("conv5", "fc8"), SHIFT, shipped=True),
    Run("published", "joint", shipped=True),
    Run("aligned", "balanced", ("mp6",), 0.12, shipped=True),
    Run("aligned", "balanced", ("conv1", "conv2", "mp3", "conv4", "conv5"), 0.04, shipped=True),
    Run("aligned", "input"),
    Run("published", "input"),
    Run("aligned", "adversarial"),
    Run("published", "released"),
)
"""In the order in which they are trained. The feature loss weighs most where little of the input can be painted anyway,
and least where a picture has more to lose. The deepest layers are compared at themselves too, FC8 after a shift."""

KEPT_FILE = "kept.npz"
TABLE_FILE = "runs.json"
SPLITS = ("train", "valid")
STEMS = ("voices", "bands")
DEVICE_FILE = "device.txt"


def prepare(corpus: str, path: str | PathLike[str]) -> None:
    """Write the spectrograms of a corpus's training and validation songs into one small file.

    Args:
        corpus: a name that `open_corpus` knows.
        path: the .npz file to write.

    Raises:
        CorpusError: if the corpus cannot be opened.
        OutputError: if the file cannot be written.
    """
    from svdlib.songs.corpora import open_corpus
    from svdlib.songs.loading import load_songs

    opened = open_corpus(corpus)
    content: dict[str, Any] = {"corpus": _text({"name": corpus, "songs": len(opened.tracks)})}
    for split in SPLITS:
        songs = load_songs(opened.split(split), stems=split == "train")
        steps = np.round(np.concatenate(songs.log_mels) * STEPS_PER_NEPER).astype(np.int16).view(np.uint16)
        # High and low bytes apart, because only the high ones compress well.
        content[f"{split}/high"] = (steps >> 8).astype(np.uint8)
        content[f"{split}/low"] = (steps & 255).astype(np.uint8)
        content[f"{split}/labels"] = np.packbits(np.concatenate(songs.labels))
        content[f"{split}/lengths"] = np.array([len(song) for song in songs.log_mels])
        content[f"{split}/names"] = _text(list(songs.names))
        if songs.has_stems:
            content |= {f"{split}/{name}": _pack_stems(getattr(songs, name)) for name in STEMS}
    write_atomically(Path(path), lambda file: np.savez_compressed(file, **content))


def unpack(path: str | PathLike[str], corpus: str | None = None) -> tuple[dict[str, Songs], dict[str, Any]]:
    """Read what `prepare` wrote: the songs of each split, and what corpus they are from.

    Args:
        path: the file.
        corpus: the corpus that it must hold; None takes any.

    Raises:
        CorpusError: if the file is missing, damaged, or holds another corpus.
    """
    try:
        with open_plain(path) as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        songs, source = {split: _songs(arrays, split) for split in SPLITS}, json.loads(arrays["corpus"].tobytes())
    except DAMAGE as error:
        raise CorpusError(f"{path} does not hold prepared spectrograms ({error}). Make it with `prepare`.") from error
    if corpus is not None and source["name"] != corpus:
        raise CorpusError(f"{path} was prepared from {source['name']!r}, not {corpus!r}. Delete it and prepare again.")
    return songs, source


def _songs(arrays: Mapping[str, np.ndarray], split: str) -> Songs:
    steps = (arrays[f"{split}/high"].astype(np.uint16) << 8 | arrays[f"{split}/low"]).view(np.int16)
    log_mels = steps.astype(np.float32) / STEPS_PER_NEPER
    labels = np.unpackbits(arrays[f"{split}/labels"], count=len(log_mels)).astype(bool)
    ends = np.cumsum(arrays[f"{split}/lengths"])[:-1]
    names = json.loads(arrays[f"{split}/names"].tobytes())
    stems = {
        name: np.split(_unpack_stems(arrays[f"{split}/{name}"]), ends) for name in STEMS if f"{split}/{name}" in arrays
    }
    return Songs(np.split(log_mels, ends), np.split(labels, ends), names, **stems)


def _pack_stems(stems: Sequence[np.ndarray]) -> np.ndarray:
    """Log-mels (frames, 80) of all songs, end to end, in one byte a cell: the step from the band below, modulo 256."""
    steps = np.round((np.concatenate(stems) - LOWEST_STEM) * STEM_STEPS_PER_NEPER).clip(0, 255).astype(np.uint8)
    return np.diff(steps, axis=1, prepend=np.uint8(0))


def _unpack_stems(packed: np.ndarray) -> np.ndarray:
    """The inverse of `_pack_stems`, float32 (frames, 80)."""
    return np.cumsum(packed, axis=1, dtype=np.uint8).astype(np.float32) / STEM_STEPS_PER_NEPER + LOWEST_STEM


def _text(value: object) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def train(
    data: Path,
    folder: Path,
    *,
    device: str,
    minutes: float,
    corpus: str | None = None,
    profile: str = "full",
    seed: int = 0,
    runs: Sequence[Run] = RUNS,
) -> bool:
    """Train the detector, then all inverters, going on from what an earlier call left.

    Args:
        data: the file that `prepare` wrote.
        folder: where the states are kept, and what finished runs leave.
        device: where to train.
        minutes: stop in good order after this long.
        corpus: what the data must come from; None takes any.
        profile: how long to train: "demo", "laptop" or "full".
        seed: of everything that is random.
        runs: of the inverters.

    Returns:
        Whether all is finished.

    Raises:
        CorpusError: if the data are missing, damaged or of another corpus.
        TrainingError: if the folder holds runs of other data or settings.
    """
    begun = time.monotonic()
    songs, _ = unpack(data, corpus)
    place = choose_device(device)
    identity = _identity(songs, profile, seed)
    options = RunOptions(seed=seed, device=place, precision="auto", resume=True)
    detector = _kept_detector(folder, identity)
    if detector is None:
        _announce(0, len(runs), "the detector")
        where = options.with_settings(folder=folder / "detector", minutes=minutes)
        fitted = fit_detector(*songs.values(), plan=DETECTOR_PROFILES[profile], options=where)
        if not fitted.finished:
            return False
        _keep_detector(folder, fitted, identity)
        detector = fitted
    network = detector.detector.to(place)
    train_bank, valid_bank = (_bank(songs[split], detector, place) for split in SPLITS)
    for number, run in enumerate(runs, start=1):
        if _kept_inverters(folder, run, identity) is not None:
            continue
        left = minutes - (time.monotonic() - begun) / 60
        if left <= 0:
            return False
        _announce(number, len(runs), f"{run.variant} inverters of {', '.join(run.layers)}, objective {run.objective}")
        where = options.with_settings(folder=_run_folder(folder, run), minutes=left)
        fitted_inverters = fit_inverters(
            network, train_bank, valid_bank, layers=run.layers, variant=run.variant, objective=run.objective,
            lambda_feature=run.weight, compare=Comparison(run.compare or (network.comparator,), jitter=run.jitter),
            plan=PROFILES[profile], options=where,
        )  # fmt: skip
        if not fitted_inverters.finished:
            return False
        scores = evaluate_inverters(network, fitted_inverters.inverters, valid_bank, EvaluationPlan(sets=10))
        _keep_inverters(folder, run, fitted_inverters, scores, identity)
    return True


def _announce(number: int, runs: int, what: str) -> None:
    print(f"run {number + 1} of {runs + 1}: {what}", file=sys.stderr)


def _bank(songs: Songs, fitted: FittedDetector[SVDNet], device: torch.device) -> ExcerptBank:
    return ExcerptBank(songs, standardizer=fitted.detector.standardizer, device=device)


def collect(
    data: Path,
    folder: Path,
    out: Path,
    *,
    corpus: str | None = None,
    profile: str = "full",
    seed: int = 0,
    runs: Sequence[Run] = RUNS,
) -> list[Path]:
    """Write weights files and a table from finished runs; nothing of the runs is changed.

    Args:
        data: the file that `prepare` wrote.
        folder: what the runs have left.
        out: where the weights files and the table go.
        corpus: what the data must come from; None takes any.
        profile: the profile of the runs.
        seed: the seed of the runs.
        runs: which of them; their weights are written if they are shipped, and their numbers in any case.

    Raises:
        CorpusError: if the data are missing, damaged or of another corpus.
        TrainingError: if a run is not finished or has other settings.
    """
    from svdlib.lab.studies import as_json
    from svdlib.recipes import make_provenance, save_detector, save_inverters
    from svdlib.zoo.checkpoints import load_detector

    songs, source = unpack(data, corpus)
    identity = _identity(songs, profile, seed)
    detector = _kept_detector(folder, identity)
    kept = {run: _kept_inverters(folder, run, identity) for run in runs} if detector else {}
    found = {run: brought for run, brought in kept.items() if brought is not None}
    missing = [run.name for run in runs if run not in found]
    if detector is None or missing:
        raise TrainingError(f"{folder} is not finished: {', '.join(missing)}. Call `train` again until it says so.")
    device = (folder / DEVICE_FILE).read_text().strip()
    origin = make_provenance(source["name"], source["songs"], seed, profile, device)
    paths = [save_detector(out, detector, DETECTOR_PROFILES[profile], origin)]
    extra = {"training_excerpts": len(_bank(songs["train"], detector, torch.device("cpu")))}
    of_detector = load_detector(paths[0]).provenance
    table = []
    for run, (fitted, scores) in found.items():
        objective = find_objective(run.objective, run.weight)
        named: dict[str, Any] = {"objective": run.objective, "precision": fitted.precision} | extra
        named |= {} if run.compare is None else {"compare": list(run.compare)}
        named |= {} if run.jitter is None else {"jitter": asdict(run.jitter)}
        plan = objective.plan(PROFILES[profile])
        if run.shipped:
            paths += save_inverters(out, fitted, plan, origin | named, of_detector).values()
        nre = {layer: {"nre": each.nre, "ci95": each.ci95, "per_set": each.per_set} for layer, each in scores.items()}
        table.append({"variant": run.variant, "plan": asdict(plan), "nre": nre} | named | fitted.settings)
        table[-1] |= {"curves": {layer: fitted.record(layer) for layer in fitted.inverters}}
    text = json.dumps(as_json(origin | {"runs": table}), indent=1, allow_nan=False)
    write_atomically(out / TABLE_FILE, lambda file: file.write(text.encode()))
    return [*paths, out / TABLE_FILE]


# --- what finished runs leave --------------------------------------------------------------------------------------


def _identity(songs: Mapping[str, Songs], profile: str, seed: int) -> dict[str, Any]:
    values = [torch.from_numpy(np.concatenate(songs[split].log_mels)) for split in SPLITS]
    plans = {"detector": asdict(DETECTOR_PROFILES[profile]), "inverters": asdict(PROFILES[profile])}
    return {"data": [digest(each) for each in values], "plans": plans, "seed": seed}


def _run_folder(folder: Path, run: Run) -> Path:
    return folder / f"inverters-{run.name}"


def _kept_file(folder: Path, identity: Mapping[str, Any]) -> RunState:
    return RunState(folder / KEPT_FILE, identity)


def _keep(folder: Path, identity: Mapping[str, Any], arrays: Mapping[str, Tensor], meta: Mapping[str, Any]) -> None:
    """Write what a run has brought, and give up its state, which is four times as large."""
    _kept_file(folder, identity).save(dict(arrays), meta)
    (folder / STATE_FILE).unlink(missing_ok=True)


def _keep_detector(folder: Path, fitted: FittedDetector[SVDNet], identity: Mapping[str, Any]) -> None:
    meta = {name: getattr(fitted, name) for name in ("history", "finished", "keeps_best")}
    meta |= {"threshold": fitted.detector.threshold}
    _keep(folder / "detector", identity, fitted.detector.state_dict(), meta)


def _kept_detector(folder: Path, identity: Mapping[str, Any]) -> FittedDetector[SVDNet] | None:
    if not (folder / "detector" / KEPT_FILE).is_file():
        return None
    arrays, meta = _kept_file(folder / "detector", identity).load()
    detector = SVDNet()
    detector.load_state_dict(arrays)
    detector.threshold = meta["threshold"]
    return FittedDetector(detector.eval(), meta["history"], meta["finished"], meta["keeps_best"])


def _keep_inverters(
    folder: Path,
    run: Run,
    fitted: FittedInverters,
    scores: Mapping[str, LayerScore],
    identity: Mapping[str, Any],
) -> None:
    arrays = nn.ModuleDict(fitted.inverters).state_dict()
    meta = {
        "history": [asdict(epoch) for epoch in fitted.history],
        "keep": fitted.keep,
        "precision": fitted.precision,
        "settings": fitted.settings,
        "nre": {layer: asdict(score) for layer, score in scores.items()},
    }
    _keep(_run_folder(folder, run), {**identity, "run": asdict(run)}, arrays, meta)


def _kept_inverters(
    folder: Path, run: Run, identity: Mapping[str, Any]
) -> tuple[FittedInverters, dict[str, LayerScore]] | None:
    place = _run_folder(folder, run)
    if not (place / KEPT_FILE).is_file():
        return None
    arrays, meta = _kept_file(place, {**identity, "run": asdict(run)}).load()
    scores = {layer: LayerScore(**score) for layer, score in meta["nre"].items()}
    inverters = {layer: build_inverter(layer, run.variant).eval() for layer in scores}
    nn.ModuleDict(inverters).load_state_dict(arrays)
    history = [Epoch(**epoch) for epoch in meta["history"]]
    return FittedInverters(inverters, history, True, meta["keep"], meta["precision"], meta["settings"]), scores


# --- speed ---------------------------------------------------------------------------------------------------------


def bench(folder: Path, *, device: str, minutes: float, quick: bool = False) -> bool:
    """Run the benchmarks that have not left their tables in the folder yet.

    Args:
        folder: where the tables go, one JSON file per benchmark.
        device: where to compute.
        minutes: no measurement begins after this long.
        quick: take the smallest sizes, to see that everything works.

    Returns:
        Whether all tables are there.

    Raises:
        TrainingError: if the benchmarks are missing or one of them fails.
    """
    repository = Path(__file__).resolve().parents[2]
    if not (repository / "benchmarks" / "__main__.py").is_file():
        raise TrainingError(
            f"There are no benchmarks in {repository}. Take the whole repository along, not the package."
        )
    command = [sys.executable, "-m", "benchmarks", "--keep", "--out", str(folder.resolve())]
    command += ["--device", device, "--minutes", str(minutes), *(["--quick"] if quick else [])]
    code = subprocess.run(command, cwd=repository).returncode
    if code not in (0, 3):
        raise TrainingError("A benchmark failed, see above.")
    return code == 0


def main(arguments: list[str] | None = None) -> int:
    """Run one step; 0 when done, 3 when `train` or `bench` has to be called again."""
    parser = Parser(prog="python -m svdlib.lab.gpu_job", description=in_short(__doc__))
    parser.add_argument("step", choices=("prepare", "train", "collect", "bench"))
    parser.add_argument("--corpus", default="synthetic", help="what to prepare, and what the data must come from")
    parser.add_argument("--data", type=Path, default=Path("runs/gpu/log-mels.npz"), help="the prepared spectrograms")
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu"), help="where the run is kept")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu/weights"), help="where the weights go")
    parser.add_argument("--device", default="cuda", help="where to train")
    both = [name for name in PROFILES if name in DETECTOR_PROFILES]
    parser.add_argument("--profile", default="full", choices=both)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, default=8.0, help="time limit of one call of `train` or `bench`")
    parser.add_argument("--quick", action="store_true", help="`bench` with the smallest sizes, to see that it works")
    return run_safely(lambda: _run(parser.parse_args(arguments)), resumable=False)  # the same command goes on


def _run(options: argparse.Namespace) -> int:
    if options.step == "prepare":
        prepare(options.corpus, options.data)
        print(f"{options.data}: {options.data.stat().st_size / 1e6:.1f} MB")
        return 0
    run = {"corpus": options.corpus, "profile": options.profile, "seed": options.seed}
    if options.step == "collect":
        for path in collect(options.data, options.folder, options.out, **run):
            print(path)
        return 0
    name = device_name(choose_device(options.device))
    if options.step == "bench":
        tables = options.folder / "bench"
        finished = bench(tables, device=options.device, minutes=options.minutes, quick=options.quick)
        print(f"finished: the tables are in {tables}" if finished else "time is up: call `bench` again to go on")
        return 0 if finished else 3
    write_atomically(options.folder / DEVICE_FILE, lambda file: file.write(name.encode()))
    finished = train(options.data, options.folder, device=options.device, minutes=options.minutes, **run)
    print("finished: now run `collect`" if finished else "time is up: call `train` again to go on")
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main())
