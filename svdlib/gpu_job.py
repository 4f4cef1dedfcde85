"""Training on a borrowed GPU: a machine with torch and NumPy, no network, and little time at once.

Three steps, see CONTRIBUTING.md:

1. `prepare`, at home: the spectrograms and labels of a corpus in one file of under 50 MB.
2. `train`, on the GPU: detector, then all inverters under the full profile. It stops in good order before the time
   limit; the same command goes on from there, as often as needed.
3. `collect`, at home: weights files with provenance from the finished run.

Besides these, `bench` measures on the GPU how fast everything is; it needs no data.
"""

import argparse
import json
import subprocess
import sys
import time
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from svdlib.detector_training import DETECTOR_PROFILES, FittedDetector, fit_detector
from svdlib.devices import choose_device, device_name
from svdlib.errors import CorpusError, SvdlibError, TrainingError
from svdlib.excerpts import ExcerptBank, Songs
from svdlib.storage import load_state, write_atomically
from svdlib.training import PROFILES, STATE_FILE, FittedInverters, fit_inverters

STEPS_PER_NEPER = 64
"""Spectrograms travel as whole steps of 1/64 in natural-log units: an error of 0.005, far below what an ear or the
detector notices, and half the size of 32-bit numbers after compression."""

STEM_STEPS_PER_NEPER = 8
"""Stems are only ever training material, changed at random by many decibels: an error of 0.04 does no harm."""

LOWEST_STEM = -16.25  # natural-log units, just below the floor of the front end

SPLITS = ("train", "valid")
STEMS = ("voices", "bands")
DEVICE_FILE = "device.txt"


def prepare(corpus: str, path: Path) -> None:
    """Write the spectrograms of a corpus's training and validation songs into one small file.

    Args:
        corpus: a name that `open_corpus` knows.
        path: the .npz file to write.

    Raises:
        CorpusError: if the corpus cannot be opened.
        OutputError: if the file cannot be written.
    """
    from svdlib.corpora import open_corpus
    from svdlib.corpora.songs import load_songs

    opened = open_corpus(corpus)
    content: dict[str, np.ndarray] = {"corpus": _text({"name": corpus, "songs": len(opened.tracks)})}
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


def unpack(path: Path, corpus: str | None = None) -> tuple[dict[str, Songs], dict]:
    """Read what `prepare` wrote: the songs of each split, and what corpus they are from.

    Args:
        path: the file.
        corpus: the corpus that it must hold; None takes any.

    Raises:
        CorpusError: if the file is missing, damaged, or holds another corpus.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        songs, source = {split: _songs(arrays, split) for split in SPLITS}, json.loads(arrays["corpus"].tobytes())
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CorpusError(f"{path} does not hold prepared spectrograms ({error}). Make it with `prepare`.") from error
    if corpus is not None and source["name"] != corpus:
        raise CorpusError(f"{path} was prepared from {source['name']!r}, not {corpus!r}. Delete it and prepare again.")
    return songs, source


def _songs(arrays: dict[str, np.ndarray], split: str) -> Songs:
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
) -> tuple[FittedDetector, FittedInverters | None]:
    """Train the detector, then all inverters, going on from what an earlier call left.

    Args:
        data: the file that `prepare` wrote.
        folder: where the states are kept.
        device: where to train.
        minutes: stop in good order after this long.
        corpus: what the data must come from; None takes any.
        profile: how long to train: "demo", "laptop" or "full".
        seed: of everything that is random.

    Returns:
        The detector and the inverters so far; no inverters before the detector is finished.
    """
    begun = time.monotonic()
    songs, _ = unpack(data, corpus)
    place = choose_device(device)
    plan = DETECTOR_PROFILES[profile]
    options = {"seed": seed, "resume": True}
    detector = fit_detector(
        *songs.values(), plan=plan, device=place, folder=folder / "detector", minutes=minutes, **options
    )
    if not detector.finished:
        return detector, None
    banks = [_bank(songs[split], detector, place) for split in SPLITS]
    left = minutes - (time.monotonic() - begun) / 60
    options |= {"precision": torch.bfloat16, "folder": folder / "inverters", "minutes": left}
    return detector, fit_inverters(detector.detector, *banks, plan=PROFILES[profile], **options)


def _bank(songs: Songs, fitted: FittedDetector, device: torch.device) -> ExcerptBank:
    return ExcerptBank(songs, standardizer=fitted.detector.standardizer, device=device)


def collect(
    data: Path, folder: Path, out: Path, *, corpus: str | None = None, profile: str = "full", seed: int = 0
) -> list[Path]:
    """Write weights files from a finished run; nothing of the run is changed.

    Args:
        data: the file that `prepare` wrote.
        folder: the run's states.
        out: where the weights files go.
        corpus: what the data must come from; None takes any.
        profile: the profile of the run.
        seed: the seed of the run.

    Raises:
        CorpusError: if the data are missing, damaged or of another corpus.
        TrainingError: if the run is not finished or has other settings.
    """
    from svdlib.checkpoints import load_detector
    from svdlib.recipes import make_provenance, save_detector, save_inverters

    for part, plans in (("detector", DETECTOR_PROFILES), ("inverters", PROFILES)):
        _, meta = load_state(folder / part / STATE_FILE)
        if meta["epoch"] < plans[profile].epochs:
            raise TrainingError(f"The run in {folder} is not finished. Call `train` again until it says so.")
    songs, source = unpack(data, corpus)
    detector, inverters = train(data, folder, device="cpu", minutes=0, profile=profile, seed=seed)
    device = (folder / DEVICE_FILE).read_text().strip()
    origin = make_provenance(source["name"], source["songs"], seed, profile, device)
    paths = [save_detector(out, detector, DETECTOR_PROFILES[profile], origin)]
    excerpts = len(_bank(songs["train"], detector, torch.device("cpu")))
    extra = {"objective": "joint", "precision": "bfloat16", "training_excerpts": excerpts}
    of_detector = load_detector(paths[0]).provenance
    return paths + list(save_inverters(out, inverters, PROFILES[profile], origin | extra, of_detector).values())


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
    repository = Path(__file__).resolve().parent.parent
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
    parser = argparse.ArgumentParser(prog="python -m svdlib.gpu_job", description=__doc__.split("\n\n")[0])
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
    options = parser.parse_args(arguments)
    try:
        return _run(options)
    except SvdlibError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


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
    _, inverters = train(options.data, options.folder, device=options.device, minutes=options.minutes, **run)
    finished = inverters is not None and inverters.finished
    print("finished: now run `collect`" if finished else "time is up: call `train` again to go on")
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main())
