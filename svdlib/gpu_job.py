"""Training on a borrowed GPU: a machine with torch and NumPy, no network, and little time at once.

Three steps, see CONTRIBUTING.md:

1. `prepare`, at home: the spectrograms and labels of a corpus in one file of under 50 MB.
2. `train`, on the GPU: detector, then all inverters under the full profile. It stops in good order before the time
   limit; the same command goes on from there, as often as needed.
3. `collect`, at home: weights files with provenance from the finished run.
"""

import argparse
import json
import sys
import time
import zipfile
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from svdlib.detector_training import DETECTOR_PROFILES, FittedDetector, fit_detector
from svdlib.devices import choose_device
from svdlib.errors import CorpusError, SvdlibError
from svdlib.excerpts import ExcerptBank, Songs
from svdlib.storage import write_atomically
from svdlib.training import PROFILES, FittedInverters, fit_inverters

STEPS_PER_NEPER = 64
"""Spectrograms travel as whole steps of 1/64 in natural-log units: an error of 0.005, far below what an ear or the
detector notices, and half the size of 32-bit numbers after compression."""

SPLITS = ("train", "valid")


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
        songs = load_songs(opened.split(split))
        steps = np.round(np.concatenate(songs.log_mels) * STEPS_PER_NEPER).astype(np.int16).view(np.uint16)
        # High and low bytes apart, because only the high ones compress well.
        content[f"{split}/high"] = (steps >> 8).astype(np.uint8)
        content[f"{split}/low"] = (steps & 255).astype(np.uint8)
        content[f"{split}/labels"] = np.packbits(np.concatenate(songs.labels))
        content[f"{split}/lengths"] = np.array([len(song) for song in songs.log_mels])
        content[f"{split}/names"] = _text(list(songs.names))
    write_atomically(Path(path), lambda file: np.savez_compressed(file, **content))


def unpack(path: Path) -> tuple[dict[str, Songs], dict]:
    """Read what `prepare` wrote: the songs of each split, and what corpus they are from.

    Raises:
        CorpusError: if the file is missing or damaged.
    """
    try:
        with np.load(Path(path), allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
        return {split: _songs(arrays, split) for split in SPLITS}, json.loads(arrays["corpus"].tobytes())
    except (OSError, EOFError, ValueError, KeyError, zipfile.BadZipFile) as error:
        raise CorpusError(f"{path} does not hold prepared spectrograms ({error}). Make it with `prepare`.") from error


def _songs(arrays: dict[str, np.ndarray], split: str) -> Songs:
    steps = (arrays[f"{split}/high"].astype(np.uint16) << 8 | arrays[f"{split}/low"]).view(np.int16)
    log_mels = steps.astype(np.float32) / STEPS_PER_NEPER
    labels = np.unpackbits(arrays[f"{split}/labels"], count=len(log_mels)).astype(bool)
    ends = np.cumsum(arrays[f"{split}/lengths"])[:-1]
    return Songs(np.split(log_mels, ends), np.split(labels, ends), json.loads(arrays[f"{split}/names"].tobytes()))


def _text(value: object) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), dtype=np.uint8)


def train(
    data: Path, folder: Path, *, device: str, minutes: float, profile: str = "full", seed: int = 0
) -> tuple[FittedDetector, FittedInverters | None]:
    """Train the detector, then all inverters, going on from what an earlier call left.

    Args:
        data: the file that `prepare` wrote.
        folder: where the states are kept.
        device: where to train.
        minutes: stop in good order after this long.
        profile: how long to train: "demo", "laptop" or "full".
        seed: of everything that is random.

    Returns:
        The detector and the inverters so far; no inverters before the detector is finished.
    """
    begun = time.monotonic()
    songs, _ = unpack(data)
    place = choose_device(device)
    detector = fit_detector(
        songs["train"],
        songs["valid"],
        plan=DETECTOR_PROFILES[profile],
        seed=seed,
        device=place,
        folder=folder / "detector",
        resume=True,
        minutes=minutes,
    )
    if not detector.finished:
        return detector, None
    banks = [ExcerptBank(songs[split], standardizer=detector.detector.standardizer, device=place) for split in SPLITS]
    inverters = fit_inverters(
        detector.detector,
        *banks,
        plan=PROFILES[profile],
        seed=seed,
        precision=torch.bfloat16,
        folder=folder / "inverters",
        resume=True,
        minutes=minutes - (time.monotonic() - begun) / 60,
    )
    return detector, inverters


def collect(
    data: Path, folder: Path, out: Path, *, profile: str = "full", seed: int = 0, trained_on: str
) -> list[Path]:
    """Write weights files from a finished run.

    Args:
        data: the file that `prepare` wrote.
        folder: the run's states.
        out: where the weights files go.
        profile: the profile of the run.
        seed: the seed of the run.
        trained_on: the device that did the work, for the provenance.

    Raises:
        CorpusError: if the run is not finished.
    """
    from svdlib.checkpoints import save_weights, weights_name
    from svdlib.recipes import make_provenance

    detector, inverters = train(data, folder, device="cpu", minutes=0, profile=profile, seed=seed)
    if inverters is None or not inverters.finished:
        raise CorpusError(f"The run in {folder} is not finished. Call `train` again until it says so.")
    corpus = unpack(data)[1]
    common = make_provenance(corpus["name"], corpus["songs"], seed, profile, trained_on)
    plan = {"plan": asdict(DETECTOR_PROFILES[profile]), "threshold": detector.threshold}
    paths = [out / "detector.safetensors"]
    save_weights(paths[0], detector.detector, common | plan | detector.best_epoch)
    for layer, inverter in inverters.inverters.items():
        paths.append(out / weights_name(layer, inverter.variant))
        extra = {"plan": asdict(PROFILES[profile]), "objective": "joint", "precision": "bfloat16"}
        save_weights(paths[-1], inverter, common | extra | inverters.record(layer))
    return paths


def main(arguments: list[str] | None = None) -> int:
    """Run one of the three steps; 0 when done, 3 when `train` has to be called again."""
    parser = argparse.ArgumentParser(prog="python -m svdlib.gpu_job", description=__doc__.split("\n\n")[0])
    parser.add_argument("step", choices=("prepare", "train", "collect"))
    parser.add_argument("--corpus", default="synthetic", help="what to prepare")
    parser.add_argument("--data", type=Path, default=Path("runs/gpu/log-mels.npz"), help="the prepared spectrograms")
    parser.add_argument("--folder", type=Path, default=Path("runs/gpu"), help="where the run is kept")
    parser.add_argument("--out", type=Path, default=Path("runs/gpu/weights"), help="where the weights go")
    parser.add_argument("--device", default="cuda", help="where to train, or for `collect` what it was trained on")
    parser.add_argument("--profile", default="full", choices=tuple(PROFILES))
    parser.add_argument("--minutes", type=float, default=8.0, help="time limit of one call of `train`")
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
    if options.step == "collect":
        trained_on = options.device
        for path in collect(options.data, options.folder, options.out, profile=options.profile, trained_on=trained_on):
            print(path)
        return 0
    device, minutes = options.device, options.minutes
    _, inverters = train(options.data, options.folder, device=device, minutes=minutes, profile=options.profile)
    finished = inverters is not None and inverters.finished
    print("finished: now run `collect`" if finished else "time is up: call `train` again to go on")
    return 0 if finished else 3


if __name__ == "__main__":
    sys.exit(main())
