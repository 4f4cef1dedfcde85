"""Do aligned inverters invert better than the published ones, and is their error the same at all times of an excerpt?

    python -m svdlib.studies.inverter_families --corpus folder:my_songs --out results.json

Both families are measured on the same random excerpts of the same songs, by NRE and by the error of each frame.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from svdlib.evaluation import (
    EvaluationPlan,
    evaluation_sets,
    frame_errors,
    mean_pairwise_distance,
    reconstruct,
    reconstruction_distances,
)
from svdlib.excerpts import ExcerptBank
from svdlib.inverters import count_parameters
from svdlib.model import EXCERPT_FRAMES, LAYERS, SVDNet
from svdlib.studies import as_json, origin_of, run_program

FAMILIES = ("published", "aligned")
RESAMPLINGS = 1000


def study(
    corpus: str,
    *,
    weights: Path | None = None,
    detector: Path | None = None,
    split: str = "all",
    sets: int = 10,
    per_song: int = 8,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure both families on the songs of a corpus and say where the numbers come from.

    Args:
        corpus: a name that `open_corpus` knows.
        weights: a folder with the weights of both families; None takes the packaged ones.
        detector: weights of the detector; None takes the packaged ones.
        split: "valid", "test" or "all".
        sets: number of evaluation sets.
        per_song: random excerpts per song and set.
        device: where to compute.

    Returns:
        What `measure` returns, with the study's name, the corpus, date, versions and the plans of both trainings.
    """
    from svdlib.corpora import open_corpus
    from svdlib.corpora.songs import load_songs
    from svdlib.devices import choose_device
    from svdlib.recipes import bank_of, open_detector, open_inverters, tracks_of

    place = choose_device(device)
    network = open_detector(detector).to(place)
    families = {name: open_inverters(weights, network, LAYERS, name) for name in FAMILIES}
    songs = load_songs(tracks_of(open_corpus(corpus), split))
    found = measure(network, families, bank_of(songs, network, place), EvaluationPlan(sets, per_song))
    trained = {name: inverters[LAYERS[0]].provenance for name, inverters in families.items()}
    # Plans from before they could say which epoch to keep kept the best.
    plans = {
        name: {key: provenance[key] for key in ("corpus", "objective", "seed")}
        | {"plan": {"keep": "best"} | provenance["plan"]}
        for name, provenance in trained.items()
    }
    origin = {"study": "inverter_families", "split": split} | origin_of(corpus, len(songs.names))
    return as_json(origin | {"sets": sets, "per_song": per_song, "training": plans, "layers": found})


def measure(
    detector: SVDNet, families: Mapping[str, dict[str, nn.Module]], bank: ExcerptBank, plan: EvaluationPlan
) -> dict[str, dict[str, Any]]:
    """Measure families of inverters on the same excerpts.

    Args:
        detector: in eval mode.
        families: by name, an inverter per layer, in eval mode; the first family is what the others are compared with.
        bank: the songs.
        plan: which of their excerpts.

    Returns:
        Per layer and family: "parameters"; "nre"; "frame_errors", 115 numbers, see `svdlib.evaluation.frame_errors`;
        "gain", by what share the NRE lies below that of the first family, with "gain_ci95", its 95 % interval from
        resampling songs (nan if there is only one).
    """
    sets = [bank.cut(starts) for starts in evaluation_sets(bank, plan)]
    scales = [mean_pairwise_distance(x) for x in sets]
    found: dict[str, dict[str, Any]] = {layer: {} for layer in next(iter(families.values()))}
    first: dict[str, np.ndarray] = {}
    for family, inverters in families.items():
        inverted = [reconstruct(detector, inverters, x) for x in sets]
        for layer, inverter in inverters.items():
            pairs = [(x, each[layer]) for x, each in zip(sets, inverted, strict=True)]
            errors = [reconstruction_distances(*pair) / scale for pair, scale in zip(pairs, scales, strict=True)]
            per_song = torch.stack(errors).view(len(sets), -1, plan.per_song).mean(dim=(0, 2)).cpu().numpy()
            first.setdefault(layer, per_song)
            found[layer][family] = {
                "parameters": count_parameters(inverter),
                "nre": float(per_song.mean()),
                "gain": float(1 - per_song.mean() / first[layer].mean()),
                "gain_ci95": _interval(per_song, first[layer], plan.seed),
                "frame_errors": frame_errors(*(torch.cat(each) for each in zip(*pairs, strict=True))).tolist(),
            }
    return found


def _interval(errors: np.ndarray, reference: np.ndarray, seed: int) -> tuple[float, float]:
    """95 % interval of 1 - mean(errors) / mean(reference), both (songs,), over resampled songs."""
    if len(errors) < 2:
        return float("nan"), float("nan")
    drawn = np.random.default_rng(seed).integers(0, len(errors), (RESAMPLINGS, len(errors)))
    gains = 1 - errors[drawn].mean(axis=1) / reference[drawn].mean(axis=1)
    low, high = np.quantile(gains, [0.025, 0.975])
    return float(low), float(high)


def slope(errors: Sequence[float]) -> float:
    """By what share the error grows from the first to the last third of an excerpt, from its `frame_errors`."""
    third = EXCERPT_FRAMES // 3
    return float(np.mean(errors[-third:]) / np.mean(errors[:third]) - 1)


def describe(result: dict[str, Any]) -> str:
    """The results as a table for people."""
    lines = [f"NRE on {result['corpus']}, {result['songs']} songs; growth: of the error from first to last third"]
    heads = ("layer", *(f"{name} {what}" for name in FAMILIES for what in ("NRE", "growth")), "gain", "95 % interval")
    lines.append("  ".join(f"{head:>16}" for head in heads))
    for layer, by_family in result["layers"].items():
        cells = [layer]
        for name in FAMILIES:
            cells += [f"{by_family[name]['nre']:.3f}", f"{slope(by_family[name]['frame_errors']):+.1%}"]
        last = by_family[FAMILIES[-1]]
        low, high = last["gain_ci95"]
        cells += [f"{last['gain']:.1%}", "-" if low is None else f"{low:.1%} to {high:.1%}"]
        lines.append("  ".join(f"{cell:>16}" for cell in cells))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    from svdlib.cli import Parser

    parser = Parser(prog="python -m svdlib.studies.inverter_families", description=__doc__)
    parser.add_argument("--corpus", required=True, metavar="NAME", help="folder:PATH, synthetic, ...")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="weights of both (default: the packaged ones)")
    parser.add_argument("--detector", type=Path, metavar="FILE", help="its weights (default: the packaged ones)")
    parser.add_argument("--split", choices=("valid", "test", "all"), default="all", help="which songs (default all)")
    parser.add_argument("--sets", type=int, default=10, metavar="N", help="evaluation sets (default 10)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("weights", "detector", "split", "sets", "device")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
