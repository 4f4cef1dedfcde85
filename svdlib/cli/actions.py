"""What each verb of the command line does: call the library, print the result."""

import json
import math
import os
import sys
import tempfile
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svdlib.compute.command_line import UsageError, fit_for_json
from svdlib.errors import LayerError, OutputError, PlanError

if TYPE_CHECKING:
    import torch

    from svdlib.compute.run_state import RunOptions
    from svdlib.inversion.comparison import Jitter


def build_corpus(options: Namespace) -> None:
    """Compute and keep the spectrograms of a corpus."""
    from svdlib.songs.corpora import open_corpus
    from svdlib.songs.loading import load_songs

    corpus = open_corpus(options.name)
    songs = load_songs(corpus.tracks, processes=options.processes, keep=True)
    frames = sum(len(label) for label in songs.labels)
    sung = sum(int(label.sum()) for label in songs.labels)
    result = {"corpus": options.name, "songs": len(corpus.tracks), "minutes": frames / 70 / 60, "sung": sung / frames}
    text = f"{options.name}: {len(corpus.tracks)} songs, {result['minutes']:.1f} minutes, {sung / frames:.0%} sung"
    _print_result(options, result, f"{text}; the spectrograms are ready")


def describe_corpus(options: Namespace) -> None:
    """Count the songs and the singing of each split."""
    from svdlib.songs.corpora import PUBLISHED_NAMES, SPLITS, open_corpus

    if options.name.partition(":")[0].strip() in PUBLISHED_NAMES:
        _describe_published(options)
        return
    corpus = open_corpus(options.name)
    splits = {}
    for split in SPLITS:
        tracks = [track for track in corpus.tracks if track.split == split]
        sung = sum(segment.end - segment.start for track in tracks for segment in track.segments if segment.sing)
        splits[split] = {"songs": len(tracks), "sung_minutes": sung / 60}
    lines = [options.name]
    for split, counts in splits.items():
        lines.append(f"  {split:5}  {counts['songs']:5} songs  {counts['sung_minutes']:8.1f} minutes of singing")
    _print_result(options, {"corpus": options.name, "splits": splits}, "\n".join(lines))


def _describe_published(options: Namespace) -> None:
    """Say what is there of a corpus that others have published, what is missing, and how to get it."""
    from svdlib.songs.corpora.published import survey

    result = survey(options.name)
    lines = [f"{options.name}: {result['folder']}" + ("" if result["there"] else " is not there")]
    if result["there"]:
        lines += [_split_line(split, counts) for split, counts in result["splits"].items() if counts["songs_expected"]]
    for key in ("without_labels", "without_sound", "without_split"):
        lines += [f"  {key.replace('_', ' ')}: {name}" for name in result[key]]
    lines += [f"  problem: {problem}" for problem in result["problems"]]
    if not any(counts["songs"] for counts in result["splits"].values()):
        lines.append(f"  {result['how_to_get']}")
    lines += [f"  licence: {result['licence']}", f"  cite: {result['cite']}"]
    _print_result(options, result, "\n".join(lines))


def _split_line(split: str, counts: dict[str, float]) -> str:
    songs = f"{counts['songs']:3} of {counts['songs_expected']:3} songs"
    return f"  {split:5}  {songs}  {counts['sung_hours']:6.2f} h sung  {counts['unsung_hours']:6.2f} h not sung"


def fetch_corpus(options: Namespace) -> None:
    """Show what a published corpus is and its licence, ask, and download it."""
    from svdlib.songs.corpora.fetching import corpus_folder, fetch_corpus
    from svdlib.songs.corpora.published import find_publication, survey

    publication, folder = find_publication(options.name)
    folder = corpus_folder(publication.name, options.to) if options.to else folder
    name = publication.name if folder == corpus_folder(publication.name) else f"{publication.name}:{folder}"
    if not (folder.is_dir() and any(folder.iterdir())):
        print(_before_fetching(publication, folder), file=sys.stderr)
        if not options.yes and not _agreed(publication.name):
            print("svdlib: nothing was fetched", file=sys.stderr)
            return
        fetch_corpus(publication, folder)
    else:
        _refuse_other_content(publication, folder)
    result = survey(name)
    songs = sum(counts["songs"] for counts in result["splits"].values())
    text = f"{folder}: {songs} songs; the corpus is now {name}"
    if result["problems"] or any(result[key] for key in ("without_labels", "without_sound", "without_split")):
        text += f"\nSomething is missing: see `svdlib corpus info {name}`"
    _print_result(options, result, text)


def _refuse_other_content(publication: Any, folder: Path) -> None:
    """Make sure that what lies in a folder already is the corpus, or a part of it.

    Raises:
        OutputError: the folder holds something else.
    """
    stock = publication.take_stock(folder)
    if not stock.songs and not stock.labels:
        raise OutputError(f"{folder} is not empty, and holds no song of {publication.name}; name another folder")


def _before_fetching(publication: Any, folder: Path) -> str:
    """What somebody should know who is about to download a corpus."""
    size = f"about {publication.size / 1e9:.1f} GB" if publication.size else "its publisher tells when it begins"
    return "\n".join([
        f"{publication.title} ({publication.page})",
        f"  download: {size}, to {folder}",
        f"  licence:  {publication.licence}",
        f"  cite:     {publication.cite}",
        f"  not known when svdlib was released: {publication.unconfirmed}",
        "The songs, and what you make from them, are under that licence, not under svdlib's.",
    ])  # fmt: skip


def _agreed(name: str) -> bool:
    """Ask on the terminal whether to go on.

    Raises:
        UsageError: there is no terminal to ask on.
    """
    if not sys.stdin.isatty():
        raise UsageError(f"there is no terminal to ask on: if you agree, run `svdlib corpus fetch {name} --yes`")
    print("Fetch it? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def export_corpus(options: Namespace) -> None:
    """Write a corpus as a folder of plain files."""
    from svdlib.songs.corpora import export_corpus, open_corpus

    corpus = open_corpus(options.name)
    folder = export_corpus(corpus, options.out, stems=options.stems, processes=options.processes)
    result = {"corpus": options.name, "folder": str(folder), "songs": len(corpus.tracks)}
    _print_result(options, result, f"{folder}: {len(corpus.tracks)} songs; the corpus is now also folder:{folder}")


def train_detector(options: Namespace) -> None:
    """Train a detector and print the path of its weights."""
    from svdlib.compute.distributed import team
    from svdlib.recipes import train_detector

    _check_device(options)
    make_folder(options.folder)
    with team(options.device) as device:
        names = ("valid", "profile", "start", "teachers", "watch", "architecture")
        named = {name: getattr(options, name) for name in names}
        path = train_detector(options.corpus, **named, options=_run_options(options))
        if path and options.watch:
            _print_curve(path)
        _print_weights(options, device, [path] if path else [])


def train_inverters(options: Namespace) -> None:
    """Train inverters and print the paths of their weights."""
    from svdlib.compute.distributed import team
    from svdlib.recipes import train_inverters

    _check_device(options)
    _check_inverters(options)
    make_folder(options.folder)
    names = ("profile", "layers", "variant", "objective", "lambda_feature", "compare", "jitter", "detector", "start")
    chosen = {name: getattr(options, name) for name in names}
    with team(options.device) as device:
        paths = train_inverters(options.corpus, **chosen, options=_run_options(options))
        _print_weights(options, device, list(paths.values()))


def evaluate_detector(options: Namespace) -> None:
    """Print a detector's scores."""
    from svdlib.recipes import evaluate_detector

    names = ("split", "detector", "device", "average_pitch", "auc")
    result = evaluate_detector(options.corpus, **{name: getattr(options, name) for name in names})
    lines = [f"{'song':40}  {'AUC':>6}  accuracy"]
    for name, scores in {**result["per_song"], "all songs": result}.items():
        lines.append(f"{name:40}  {scores['auc']:6.3f}  {scores['accuracy']:8.3f}")
    _print_result(options, result, "\n".join([*lines, f"threshold {result['threshold']:g}"]))


def evaluate_nre(options: Namespace) -> None:
    """Print the normalised reconstruction error of each layer."""
    from svdlib.inversion.nre import EvaluationPlan
    from svdlib.recipes import evaluate_nre

    _check_inverters(options)
    names = ("split", "layers", "variant", "weights", "detector", "device", "standardise")
    plan = EvaluationPlan(options.sets, options.per_song)
    result = evaluate_nre(options.corpus, plan=plan, **{name: getattr(options, name) for name in names})
    lines = ["layer  NRE    95 % interval"]
    for layer, score in result.items():
        low, high = score["ci95"]
        interval = f"{low:.3f} to {high:.3f}" if math.isfinite(low) else "unknown with under three songs"
        lines.append(f"{layer:5}  {score['nre']:.3f}  {interval}")
    source = "these songs themselves" if options.standardise == "own" else "the detector's training songs"
    line = next(iter(result.values()), {}).get("mean_predictor")
    if line is not None:
        lines.append(f"always the mean of these songs: {line:.3f}")
    lines.append(f"standardised with mean and deviation of {source}")
    _print_result(options, result, "\n".join(lines))


def invert(options: Namespace) -> None:
    """Invert an excerpt of a song and write what came out."""
    from svdlib.compute.devices import choose_device

    choose_device(options.device)
    check_folder(options.out)
    _check_family(options)
    from svdlib.invert import invert_song, write_inversion

    layers = None if options.layers is None else _checked_layers(options.layers)
    networks = {name: getattr(options, name) for name in ("detector", "weights", "variant")} | {"layers": layers}
    inversion = invert_song(options.song, at=options.at, device=options.device, **networks)
    make_folder(options.out)
    result = write_inversion(inversion, options.out)
    text = (
        f"{options.out}: the excerpt from {inversion.start:.2f} to {inversion.end:.2f} s "
        f"(probability of singing {inversion.probability:.2f}), and its inversions: {', '.join(inversion.inversions)}"
    )
    _print_result(options, result, text)


def explore(options: Namespace) -> None:
    """Write a page to explore an excerpt of a song."""
    from svdlib.compute.devices import choose_device

    choose_device(options.device)
    check_folder(options.out.absolute().parent)
    if options.out.is_dir():
        raise OutputError(f"{options.out} is a folder. Name the page to write, such as {options.out / 'page.html'}.")
    _check_family(options)
    from svdlib.pages.song_page import explore_song

    layers = None if options.layers is None else _checked_layers(options.layers)
    networks = {name: getattr(options, name) for name in ("detector", "weights", "variant")} | {"layers": layers}
    explorer = explore_song(options.song, at=options.at, device=options.device, **networks)
    path = explorer.save(options.out)
    (excerpt,), (panels,) = explorer.data["excerpts"], explorer.data["panels"]
    steps = explorer.data["steps"][1:]
    errors = {step: panel["error"] for step, panel in zip(steps, panels[1:], strict=True)}
    result = {"page": str(path), "song": str(options.song), "excerpt": excerpt, "error": errors}
    _print_result(options, result, f"{path}: the excerpt {excerpt}, and its inversions: {', '.join(steps)}")


def convert(options: Namespace) -> None:
    """Write the authors' weights as files of svdlib and print their paths."""
    from svdlib.zoo.conversion import convert_lasagne

    check_folder(options.out)
    names = ("layer", "standardizer", "threshold")
    for path in convert_lasagne(options.files, options.out, **{name: getattr(options, name) for name in names}):
        _print(str(path))


def export_onnx(options: Namespace) -> None:
    """Write the networks as ONNX files and print their paths."""
    from svdlib.pages.export_onnx import export_onnx

    _export(options, export_onnx)


def export_web(options: Namespace) -> None:
    """Write the networks as scripts for pages and print their paths."""
    from svdlib.pages.export_web import export_web

    _export(options, export_web)


def _export(options: Namespace, write: Callable[..., list[Path]]) -> None:
    from svdlib.pages.export_onnx import require_onnx

    _check_family(options)
    require_onnx()
    make_folder(options.out)
    for path in write(options.out, options.variant, detector=options.detector, weights=options.weights):
        _print(str(path))


# --- checks before anything long begins ----------------------------------------------------------------------------


def check_folder(folder: Path) -> None:
    """Make sure that a folder is there or can be made, with those above it, without making any.

    Raises:
        OutputError: it or a part of its path is a file, or there is no right to write.
    """
    nearest = next(place for place in (folder, *folder.absolute().parents) if place.exists())
    if not nearest.is_dir():
        part = "" if nearest == folder else f"{folder} cannot be made: "
        raise OutputError(f"{part}{nearest} is a file. Name a folder to write to.")
    if not os.access(nearest, os.W_OK | os.X_OK):
        raise OutputError(f"Cannot write to {folder}: Permission denied. Choose a folder you may write to.")


def make_folder(folder: Path) -> None:
    """Make a folder and those above it where they are missing, and make sure that files can be written there.

    Raises:
        OutputError: it cannot be made, or nothing can be written into it.
    """
    check_folder(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OutputError(
            f"Cannot write to {folder}: {error.strerror or error}. Choose a folder you may write to."
        ) from error


def _check_device(options: Namespace) -> None:
    from svdlib.compute.devices import choose_device

    choose_device(options.device)


def _check_inverters(options: Namespace) -> None:
    """Check the names of layers, variant and objective before a corpus is read; layers may have commas between."""
    from svdlib.zoo.objectives import find_objective

    options.layers = _checked_layers(options.layers)
    _check_family(options)
    if "objective" in options:
        objective = find_objective(options.objective, options.lambda_feature)
        if options.compare is not None:
            options.compare = _checked_layers(options.compare)
        named = [name for name in ("compare", "jitter") if getattr(options, name) is not None]
        if named and not objective.compares(learning=True):
            raise PlanError(f"The objective {options.objective!r} has no feature loss, so leave out --{named[0]}.")
        if options.jitter is not None:
            options.jitter = _jitter(*options.jitter)


def _jitter(frames: float, bands: float, noise: float) -> "Jitter":
    from svdlib.audio.mel_axis import EXCERPT_FRAMES, N_BANDS
    from svdlib.inversion.comparison import Jitter

    if frames >= EXCERPT_FRAMES or bands >= N_BANDS:
        size = f"excerpts of {EXCERPT_FRAMES} frames and {N_BANDS} bands"
        raise PlanError(f"--jitter moves {size} by less than that, not by {frames:g} and {bands:g}.")
    if not (frames.is_integer() and bands.is_integer()):
        raise PlanError(f"--jitter moves by whole frames and bands, not by {frames:g} and {bands:g}.")
    return Jitter((int(frames), int(bands)), noise)


def _checked_layers(words: Sequence[str]) -> list[str]:
    from svdlib.detector.model import LAYERS, check_layer

    layers = [check_layer(layer) for word in words for layer in word.split(",") if layer]
    if not layers:
        raise LayerError(f"No layer is named. Name one or more of {', '.join(LAYERS)}.")
    return layers


def _check_family(options: Namespace) -> None:
    """Make sure that there is such a family of inverters; a folder of weights may hold one without a plan of ours."""
    from svdlib.zoo.checkpoints import DERIVED
    from svdlib.zoo.families import build_inverter

    in_folder = getattr(options, "weights", None) is not None and options.variant in DERIVED
    if options.variant is not None and not in_folder:
        build_inverter("fc8", options.variant)


# --- helpers -------------------------------------------------------------------------------------------------------


def _run_options(options: Namespace) -> "RunOptions":
    from svdlib.compute.run_state import RunOptions

    names = ("seed", "device", "precision", "folder", "resume", "minutes")
    return RunOptions(**{name: getattr(options, name) for name in names})


def _print_weights(options: Namespace, device: "torch.device", paths: list[Path]) -> None:
    from svdlib.compute.distributed import leads, processes
    from svdlib.compute.memory import peak_memory

    if not leads():
        return
    each = "" if processes() == 1 else f" in the first of {processes()} processes"
    print(f"svdlib: memory at most {peak_memory(device)}{each}", file=sys.stderr)
    if not paths:
        message = f"svdlib: stopped after {options.minutes:g} minutes; the same command with --resume goes on"
        print(message, file=sys.stderr)
    for path in paths:
        _print(str(path))


def _print_curve(path: Path) -> None:
    """Print what a detector was like after each epoch, to stderr, since stdout has the path alone."""
    from svdlib.compute.distributed import leads
    from svdlib.zoo.checkpoints import load_detector

    if not leads():
        return
    curve = load_detector(path).provenance["curve"]
    heads = [name.replace("_", " ") for name in curve]
    print("  ".join(["epoch", *heads]), file=sys.stderr)
    for number, values in enumerate(zip(*curve.values(), strict=True), start=1):
        cells = ["" if value is None else f"{value:.3f}" for value in values]
        row = (f"{cell:>{len(head)}}" for cell, head in zip(cells, heads, strict=True))
        print("  ".join([f"{number:>5}", *row]), file=sys.stderr)


def grade_notebook(options: Namespace) -> int:
    """Print the points of a student's notebook; the exit status says whether all answers are right."""
    from svdlib.pages import grading

    marks = grading.grade(options.notebook, options.key, options.seconds)
    result = {
        "notebook": options.notebook,
        "points": sum(mark.points for mark in marks),
        "possible": sum(mark.possible for mark in marks if not mark.by_hand),
        "cells": [vars(mark) for mark in marks],
    }
    _print_result(options, result, "\n".join(grading.summary(marks)))
    return 0 if grading.all_right(marks) else 1


def _print_result(options: Namespace, result: dict[str, Any], text: str) -> None:
    _print(json.dumps(fit_for_json(result), indent=2, allow_nan=False) if options.json else text)


def _print(text: str) -> None:
    """Print on stdout, bytes of file names that are no text as escapes."""
    encoding = sys.stdout.encoding or "utf-8"
    print(text.encode(encoding, "backslashreplace").decode(encoding))
