"""What do the layers of a music tagger keep? Inverters for them, trained on our songs and measured on others'.

    python -m svdlib.lab.studies.tagger_inverters --real folder:my_songs --folder runs/tagger --out results.json

The tagger is another's network (`svdlib.tagger`), trained for another task on other music. Its inverters learn on
patches of synthetic songs, computed by its own front end. The real songs are only measured on. With `--resume` a run
goes on where it stopped; the inverters lie in the folder, and `svdlib.load_inverters` reads them.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.compute.command_line import Parser, number_type
from svdlib.compute.devices import choose_device
from svdlib.compute.progress import progress
from svdlib.detector.scores import area_under_curve
from svdlib.errors import CorpusError
from svdlib.inversion.bank import TensorBank
from svdlib.inversion.encoder import Encoder
from svdlib.inversion.nre import EvaluationPlan, evaluate_inverters, reconstruct
from svdlib.lab.studies import as_json, origin_of, run_program
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import Track
from svdlib.tagger.loading import load_tagger
from svdlib.tagger.model import LAYERS, PATCH_FRAMES, MusicTagger, voice_contrast
from svdlib.tagger.patches import HOP_SAMPLES, TAGGER_RATE, cut_patches, tagger_log_mel
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.profiles import PROFILES

COMPARATOR = "pool4"
"""The deepest layer that still has positions in time and in frequency."""
CLEAR = 0.1
"""A patch counts as sung if at most this share of it is not, as unsung if at most this share is."""
AT_ONCE = 16  # patches


def study(
    corpus: str,
    real: str,
    folder: str | PathLike[str],
    *,
    profile: str = "demo",
    minutes: float = float("inf"),
    seed: int = 0,
    resume: bool = False,
    device: str = "auto",
) -> dict[str, Any]:
    """Train the inverters, or go on with them, and measure them.

    Args:
        corpus: whose training songs they learn from, and whose validation songs choose the epoch to keep.
        real: a corpus all of whose songs are measured on.
        folder: where the state of the training and the inverters lie.
        profile: how long to train, see `svdlib.zoo.profiles`.
        minutes: stop the training in good order after so many.
        seed: of the run.
        resume: go on from where a run in the folder stopped.
        device: where to compute.

    Returns:
        What `measure` returns, with the study's name, the corpora, date and versions, how the inverters are made, and
        whether the training is "finished"; ready for JSON.

    Raises:
        WeightsError: if the tagger's package is not there.
        CorpusError: if no song of a split is 3 s long.
    """
    place, tagger = choose_device(device), load_tagger()
    opened, others = open_corpus(corpus), open_corpus(real)
    train, valid = (collect(opened.split(split))[0] for split in ("train", "valid"))
    encoder = Encoder(tagger.to(place), layers=LAYERS, example=train.x[:2].to(place))
    fitted = fit_inverters(
        encoder,
        *(TensorBank(bank.x, bank.groups, device=place) for bank in (train, valid)),
        inverter="auto",
        compare=COMPARATOR,
        plan=profile,
        seed=seed,
        folder=folder,
        resume=resume,
        minutes=minutes,
    )
    fitted.save(folder)
    bank, sung = collect(others.tracks)
    result = measure(encoder, tagger, fitted.inverters, TensorBank(bank.x, bank.groups, device=place), sung)
    origin = {"study": "tagger_inverters", "tagger": dict(tagger.provenance), "profile": profile, "seed": seed}
    origin |= {"training": origin_of(corpus, len(opened.tracks)), "patches": len(train), "reasons": fitted.reasons}
    return origin | {"finished": fitted.finished} | origin_of(real, len(others.tracks)) | as_json(result)


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
    encoder: Encoder, tagger: MusicTagger, inverters: Mapping[str, nn.Module], bank: TensorBank, sung: np.ndarray
) -> dict[str, Any]:
    """Measure inverters on songs.

    Args:
        encoder: the tagger's layers.
        tagger: itself.
        inverters: one per layer.
        bank: patches of the songs.
        sung: which share of each patch is sung (patches,).

    Returns:
        "clear_patches", how many are sung or unsung throughout, or nearly; "auc" of the tagger's voice tags against
        its tags of no voice on them; "layers", for each "nre", its "ci95", "mean_predictor", and what the tagger says
        of the inversions: "auc", and "correlation" with what it says of the patches themselves, over all of them.
    """
    scores = evaluate_inverters(encoder, inverters, bank, EvaluationPlan())
    said = torch.cat([voice_contrast(tagger(x)) for x in bank.x.split(AT_ONCE)])
    layers: dict[str, dict[str, Any]] = {}
    for layer, score in scores.items():
        again = [_again(encoder, tagger, {layer: inverters[layer]}, x) for x in bank.x.split(AT_ONCE)]
        of_inversions = torch.cat(again)
        layers[layer] = {
            "nre": score.nre,
            "ci95": list(score.ci95),
            "mean_predictor": score.mean_predictor,
            "auc": _auc(of_inversions, sung),
            "correlation": float(torch.corrcoef(torch.stack([said, of_inversions]))[0, 1]),
        }
    return {"clear_patches": int(_is_clear(sung).sum()), "auc": _auc(said, sung), "layers": layers}


def _again(encoder: Encoder, tagger: MusicTagger, inverter: Mapping[str, nn.Module], x: Tensor) -> Tensor:
    """What the tagger says of the inversions of patches: (patches,)."""
    return voice_contrast(tagger(next(iter(reconstruct(encoder, inverter, x).values()))))


def _is_clear(sung: np.ndarray) -> np.ndarray:
    """Whether patches are sung, or unsung, throughout or nearly: boolean (patches,)."""
    return np.abs(sung - 0.5) >= 0.5 - CLEAR


def _auc(contrast: Tensor, sung: np.ndarray) -> float:
    clear = _is_clear(sung)
    return area_under_curve(contrast.cpu().numpy()[clear], sung[clear] > 0.5)


def describe(result: dict[str, Any]) -> str:
    """The results as a table."""
    lines = [f"{'layer':8}{'NRE':>7}  95 % interval  mean predictor    AUC  correlation"]
    for layer, row in result["layers"].items():
        low, high = (float("nan") if edge is None else edge for edge in row["ci95"])
        lines.append(
            f"{layer:8}{row['nre']:7.3f}  {low:.3f} to {high:.3f}  {row['mean_predictor']:14.3f}  {row['auc']:5.3f}"
            f"  {row['correlation']:11.3f}"
        )
    unfinished = "" if result["finished"] else "; the training is not finished, the same command goes on"
    return "\n".join([*lines, f"the songs themselves: AUC {result['auc']:.3f}{unfinished}"])


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; the return value is the exit status."""
    parser = Parser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="whose songs the inverters learn from")
    parser.add_argument("--real", required=True, metavar="NAME", help="a corpus to measure on")
    parser.add_argument("--folder", type=Path, required=True, help="where state and inverters are kept")
    parser.add_argument("--profile", choices=tuple(PROFILES), default="demo", help="how long to train (default demo)")
    parser.add_argument(
        "--minutes", type=number_type(float, 0), default=float("inf"), metavar="M", help="stop after so many"
    )
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything random (default 0)")

    parser.add_argument("--resume", action="store_true", help="go on from where a run in the folder stopped")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        named = {name: getattr(options, name) for name in ("profile", "minutes", "seed", "resume", "device")}
        return study(options.corpus, options.real, options.folder, **named)

    return run_program(parser, arguments, act, describe, resumable=True)


if __name__ == "__main__":
    sys.exit(main())
