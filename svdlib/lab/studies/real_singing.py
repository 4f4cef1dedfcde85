"""Does a detector hear the singing in songs that it has not learned from? Scores per song and over all songs.

    python -m svdlib.lab.studies.real_singing --corpus folder:my_songs --out results.json

For accuracy, AUC and ROC the predictions are median-filtered, as published; for the calibration they are not. If
several detectors are named, their probabilities are averaged frame by frame, and so are their thresholds.

Beside the scores stands the spectral balance: how far the songs' mel bands lie from those of the training songs.
"""

import argparse
import csv
import io
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np

from svdlib.audio.mel_axis import FRAME_RATE
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.compute.storage import read_plain_text
from svdlib.detector.architecture import Detector
from svdlib.detector.calibration import calibration
from svdlib.detector.prediction import predict
from svdlib.detector.scores import best_threshold, error_rates, roc_points, smooth
from svdlib.lab.analysis.intervals import pooled_intervals
from svdlib.lab.analysis.song_counts import SongCounts, count_songs
from svdlib.lab.studies import as_json, origin_of, run_program
from svdlib.recipes import tracks_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import at_home, normal
from svdlib.songs.loading import Songs, load_songs
from svdlib.zoo.checkpoints import any_detector

CREDITS_TABLE = "songs.csv"
CREDITS = ("artist", "title", "genre", "language", "licence", "source_url")
ROC_DIGITS = 4
BALANCE_AIM = 0.3
"""The synthetic songs are made to lie within so many deviations of real ones, in the mean over the mel bands."""


def study(
    corpus: str, *, detectors: Sequence[str | PathLike[str]] = (), split: str = "all", device: str = "auto"
) -> dict[str, Any]:
    """Score detectors on the songs of a corpus and say where the numbers come from.

    Args:
        corpus: a name that `open_corpus` knows. A folder may hold `songs.csv` with the column `file`, a song's stem,
            and any of `CREDITS`: these are kept with the song's scores.
        detectors: weights; none takes the packaged ones, several are averaged.
        split: "valid", "test" or "all".
        device: where to compute.

    Returns:
        What `measure` returns, with the study's name, the corpus, date, versions, provenance of the detectors and
        the songs' credits; ready for JSON.
    """
    place = choose_device(device)
    networks = [any_detector(path).to(place) for path in detectors or (None,)]
    songs = load_songs(tracks_of(open_corpus(corpus), split))
    credited = read_credits(corpus)
    result = measure(networks, songs)
    for song in result["songs"]:
        song["credits"] = credited.get(song["name"])
    origin = {"study": "real_singing", "split": split} | origin_of(corpus, len(songs.names))
    return origin | {"detectors": [network.provenance for network in networks]} | as_json(result)


def measure(detectors: Sequence[Detector], songs: Songs) -> dict[str, Any]:
    """Score detectors, averaged if there are several, on songs.

    Args:
        detectors: in eval mode, each with its threshold.
        songs: raw log-mels and labels.

    Returns:
        The result of `score` for their predictions, and "balance": that of `spectral_balance` against the training
        songs of the first detector.
    """
    threshold = float(np.mean([detector.threshold for detector in detectors]))
    scores = score(average_predictions(detectors, songs), songs, threshold)
    return scores | {"balance": spectral_balance(songs.log_mels, detectors[0].standardizer)}


def spectral_balance(log_mels: Sequence[np.ndarray], training: Standardizer) -> dict[str, Any]:
    """How far the mel bands of songs lie from those of a detector's training songs.

    Means and deviations go over all frames of all songs, silent ones too, as those of the standardizer do.

    Args:
        log_mels: one raw log-mel (frames, 80) per song, in natural-log units.
        training: mean and deviation per band of the training songs, in natural-log units.

    Returns:
        "shift", a list of 80: per band the songs' mean less that of the training songs, in standard deviations of the
        songs themselves; "mean_absolute", the mean over bands of its size, without a sign; "deviation_ratio", the mean
        over bands of the training songs' deviation divided by that of the songs; "songs", as "mean_absolute" but for
        each song's own mean, in the same unit: how far single songs lie away.

    Raises:
        CorpusError: if there is no frame at all.
    """
    songs = Standardizer.fit(log_mels)
    means, deviations, training_means, training_deviations = (
        values.detach().cpu().double().numpy() for values in (songs.mean, songs.std, training.mean, training.std)
    )
    shift = (means - training_means) / deviations
    alone = [(np.mean(log_mel, axis=0, dtype=float) - training_means) / deviations for log_mel in log_mels]
    return {
        "shift": shift.tolist(),
        "mean_absolute": float(np.abs(shift).mean()),
        "deviation_ratio": float((training_deviations / deviations).mean()),
        "songs": [float(np.abs(each).mean()) for each in alone],
    }


def average_predictions(detectors: Sequence[Detector], songs: Songs) -> list[np.ndarray]:
    """Probability of singing in each frame, the mean over detectors: (frames,) per song, not smoothed."""
    return [np.mean([predict(detector, log_mel) for detector in detectors], axis=0) for log_mel in songs.log_mels]


def score(predictions: Sequence[np.ndarray], songs: Songs, threshold: float) -> dict[str, Any]:
    """All scores of the study.

    Args:
        predictions: probabilities (frames,) per song, not smoothed.
        songs: their names and labels.
        threshold: a frame counts as sung if its smoothed probability is larger.

    Returns:
        "threshold"; "songs", one entry each, see `score_song`; "pooled": the scores of
        `svdlib.lab.analysis.song_counts.SCORES`, each with "value" and "ci95", and "best_common_threshold", and
        "songs_without_auc", the names that the mean AUC leaves out; "roc" over all frames; "calibration".
    """
    truth = [np.asarray(label, dtype=bool) for label in songs.labels]
    smoothed = [smooth(prediction) for prediction in predictions]
    per_song = [
        {"name": name} | score_song(prediction, label, threshold)
        for name, prediction, label in zip(songs.names, smoothed, truth, strict=True)
    ]
    counts = count_songs(smoothed, truth, threshold)
    for entry, auc in zip(per_song, counts.aucs.tolist(), strict=True):
        entry["auc"] = auc
    return {
        "threshold": threshold,
        "songs": per_song,
        "pooled": _pool(counts)
        | {
            "best_common_threshold": best_threshold(smoothed, truth)[0],
            "songs_without_auc": [entry["name"] for entry in per_song if np.isnan(entry["auc"])],
        },
        "roc": _roc(np.concatenate(smoothed), np.concatenate(truth)),
        "calibration": asdict(calibration(predictions, truth)),
    }


def score_song(smoothed: np.ndarray, sung: np.ndarray, threshold: float) -> dict[str, Any]:
    """Scores of one song that need no other song.

    Args:
        smoothed: probabilities (frames,).
        sung: boolean labels (frames,).
        threshold: above it a frame counts as sung.

    Returns:
        "seconds", "sung" (share of the frames), "accuracy", "false_positive_rate" (of the unsung frames),
        "false_negative_rate" (of the sung frames), "best_threshold" and "best_accuracy" (chosen on this very song),
        and "roc". A rate without frames is nan.
    """
    cut, best = best_threshold([smoothed], [sung])
    false_positives, false_negatives = error_rates(smoothed, sung, threshold)
    return {
        "seconds": len(sung) / FRAME_RATE,
        "sung": float(np.mean(sung)),
        "accuracy": float(np.mean((smoothed > threshold) == sung)),
        "false_positive_rate": false_positives,
        "false_negative_rate": false_negatives,
        "best_threshold": cut,
        "best_accuracy": best,
        "roc": _roc(smoothed, sung),
    }


def _pool(counts: SongCounts) -> dict[str, Any]:
    return {name: {"value": found.value, "ci95": list(found.ends)} for name, found in pooled_intervals(counts).items()}


def _roc(smoothed: np.ndarray, sung: np.ndarray) -> dict[str, list[float]]:
    false_rate, true_rate = (rate.round(ROC_DIGITS).tolist() for rate in roc_points(smoothed, sung))
    return {"false_positive_rate": false_rate, "true_positive_rate": true_rate}


def read_credits(corpus: str) -> dict[str, dict[str, str]]:
    """Artist, title, licence and so on of a folder's songs, by stem; empty where it has no `songs.csv`."""
    kind, _, folder = corpus.partition(":")
    table = at_home(folder) / CREDITS_TABLE
    if kind != "folder" or not table.is_file():
        return {}
    rows = [row for row in csv.DictReader(io.StringIO(read_plain_text(table), newline="")) if row.get("file")]
    return {normal(row["file"]): {name: row[name] for name in CREDITS if row.get(name)} for row in rows}


def describe(result: Mapping[str, Any]) -> str:
    """The results as a table for people."""
    heads = ("song", "AUC", "accuracy", "false pos.", "false neg.", "sung", "best at", "accuracy there")
    keys = ("auc", "accuracy", "false_positive_rate", "false_negative_rate", "sung", "best_threshold", "best_accuracy")
    lines = ["  ".join([f"{heads[0]:40}", *(f"{head:>10}" for head in heads[1:])])]
    for song in result["songs"]:
        lines.append("  ".join([f"{song['name'][:40]:40}", *(f"{_number(song[key]):>10}" for key in keys)]))
    lines.append(f"\nover all songs, threshold {result['threshold']:g}, in brackets 95 % intervals over songs")
    for name, entry in result["pooled"].items():
        if isinstance(entry, dict):
            low, high = map(_number, entry["ci95"])
            lines.append(f"  {name.replace('_', ' '):22} {_number(entry['value'])}  ({low} to {high})")
    if result["pooled"]["songs_without_auc"]:
        lines.append(f"  one class only, no AUC: {', '.join(result['pooled']['songs_without_auc'])}")
    fit = result["calibration"]
    lines.append(f"  expected calibration error {_number(fit['expected_error'])}, Brier score {_number(fit['brier'])}")
    if balance := result.get("balance"):
        distance, ratio = _number(balance["mean_absolute"]), _number(balance["deviation_ratio"])
        lines.append(f"  spectral balance: {distance} deviations from the training songs, which vary {ratio} as much")
    if len(result["songs"]) < 10:
        lines.append(f"{len(result['songs'])} songs are few: the intervals are a reminder, not a measurement.")
    return "\n".join(lines)


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(prog="python -m svdlib.lab.studies.real_singing", description=__doc__)
    parser.add_argument("--corpus", required=True, metavar="NAME", help="folder:PATH, or synthetic")
    parser.add_argument(
        "--detector", type=Path, nargs="+", default=(), metavar="FILE", help="weights (default: the packaged ones)"
    )
    parser.add_argument("--split", choices=("valid", "test", "all"), default="all", help="which songs (default all)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        return study(options.corpus, detectors=options.detector, split=options.split, device=options.device)

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
