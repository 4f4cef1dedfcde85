"""What does inversion by optimisation reach that trained inverters do not, and what does it cost in realism and time?

    python -m svdlib.lab.studies.inversion_by_optimisation --corpus synthetic folder:my_songs --out results.json

The same random excerpts are inverted in four ways: by optimisation without and with regularisers, and by the trained
inverters of both families. Each way is measured by NRE, by the error of the feature, by the distance from real excerpts
of other songs (`svdlib.lab.analysis.realism`), and by what the detector says of it. Of the corpus that the inverters
were trained on, only the test songs are used. Values per song are stored, so that others can resample them.
"""

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.detector.optimisation import PLANS
from svdlib.errors import CorpusError
from svdlib.inversion.jacobian import singular_range
from svdlib.inversion.nre import (
    EvaluationPlan,
    distances_between,
    evaluation_sets,
    mean_pairwise_distance,
    reconstruction_distances,
)
from svdlib.inversion.optimisation import (
    BATCH,
    OptimisationPlan,
    feature_distances,
    invert_by_optimisation,
    layer_encoder,
)
from svdlib.lab.analysis.intervals import mean_interval, nre_interval
from svdlib.lab.analysis.realism import STATISTICS, RealExcerpts
from svdlib.lab.studies import FAMILIES, as_json, origin_of, run_program, training_of, unheard_split
from svdlib.recipes import bank_of, tracks_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.checkpoints import pretrained, pretrained_inverters

OPTIMISED = ("optimised", "regularised")
REFERENCE_PER_SONG = 40
SENSITIVE_LAYERS = ("conv1", "conv2", "mp3", "conv4", "conv5")
"""Those with more values than an excerpt has cells: only they can tell all excerpts apart."""
LANCZOS_STEPS = 40
PATIENT_LAYERS = ("conv1", "conv2", "mp3")
PATIENT_EXCERPTS, PATIENT_PASSES = 2, 200
"""Enough to see whether a descent comes to the excerpt itself or stops elsewhere."""


def study(
    corpora: Sequence[str], *, layers: Sequence[str] = LAYERS, per_song: int = 2, device: str = "auto"
) -> dict[str, Any]:
    """Measure all ways on the songs of corpora and say where the numbers come from.

    Args:
        corpora: names that `open_corpus` knows.
        layers: which layers.
        per_song: random excerpts per song.
        device: where to compute.

    Returns:
        The study's name, the plans, and under "corpora", by name, what `measure` returns with date and versions.
    """
    place = choose_device(device)
    detector = pretrained("detector").to(place)
    packaged = {name: pretrained_inverters(name) for name in FAMILIES}
    families = {name: {layer: every[layer].to(place) for layer in layers} for name, every in packaged.items()}
    found = {}
    for name in corpora:
        split = unheard_split(name, packaged["published"])
        songs = load_songs(tracks_of(open_corpus(name), split))
        origin = {"split": split, "per_song": per_song} | origin_of(name, len(songs.names))
        results = measure(detector, families, bank_of(songs, detector, place), per_song, PLANS)
        found[origin["corpus"]] = origin | results
    plans = {layer: vars(PLANS[layer]) for layer in layers}
    learned = {name: training_of(inverters) for name, inverters in packaged.items()}
    return as_json({"study": "inversion_by_optimisation", "plans": plans, "training": learned, "corpora": found})


def measure(
    detector: SVDNet,
    families: Mapping[str, Mapping[str, nn.Module]],
    bank: ExcerptBank,
    per_song: int,
    plans: Mapping[str, OptimisationPlan],
) -> dict[str, Any]:
    """Measure optimisation and trained inverters on the same excerpts.

    Args:
        detector: in eval mode.
        families: trained inverters by family and layer, in eval mode.
        bank: the songs, two or more.
        per_song: random excerpts per song.
        plans: a plan of optimisation per layer, with regularisers.

    Raises:
        CorpusError: there is only one song, or an excerpt is like all others.

    Returns:
        "layers": per layer and way ("optimised", "regularised" and the families), the quantities of `_quantities`, each
        as "mean", "ci95" and "per_song"; "between", the distance between excerpts of any two songs as a share of that
        between all (songs, songs), with which the intervals of the NRE draw its yardstick anew; "times": per layer, how
        many times as long optimisation takes as a pass of each family's inverter; "originals": the distance of the
        excerpts themselves from those of other songs; "singular_values": per layer of `SENSITIVE_LAYERS`, the
        "smallest" and the "largest" at one excerpt of each of the first two songs, see
        `svdlib.inversion.jacobian.singular_range`, after "lanczos_steps"; "patient": per layer of `PATIENT_LAYERS`,
        what `patient_descents` returns for the first songs, after "patient_passes".
    """
    plan = EvaluationPlan(sets=1, per_song=per_song)
    (starts,) = evaluation_sets(bank, plan)
    x, judge = bank.cut(starts), _realism_judge(bank, per_song)
    found: dict[str, Any] = {"layers": {}, "times": {}, "originals": _all_summaries(judge(x), per_song)}
    found["between"] = (distances_between(x, len(x) // per_song) / mean_pairwise_distance(x)).tolist()
    found |= {"singular_values": {}, "lanczos_steps": LANCZOS_STEPS, "patient": {}, "patient_passes": PATIENT_PASSES}
    for layer in next(iter(families.values())):
        inverters = {family: inverters[layer] for family, inverters in families.items()}
        pictures, found["times"][layer] = _invert(detector, layer, inverters, x, plans[layer])
        encoder = layer_encoder(detector, layer)
        found["layers"][layer] = {
            way: _all_summaries(_quantities(detector, encoder, x, x_hat) | judge(x_hat), per_song)
            for way, x_hat in pictures.items()
        }
        for of_way in found["layers"][layer].values():
            of_way["nre"]["ci95"] = nre_interval(of_way["nre"]["per_song"], np.array(found["between"])).ends
        if layer in SENSITIVE_LAYERS:
            ranges = [singular_range(encoder, each, LANCZOS_STEPS) for each in x[::per_song][:2].split(1)]
            ends = zip(("smallest", "largest"), zip(*ranges, strict=True), strict=True)
            found["singular_values"][layer] = {end: list(values) for end, values in ends}
        if layer in PATIENT_LAYERS:
            few = x[::per_song][:PATIENT_EXCERPTS]
            found["patient"][layer] = patient_descents(encoder, few, mean_pairwise_distance(x), PATIENT_PASSES)
    return found


def patient_descents(
    encoder: Callable[[Tensor], Tensor], x: Tensor, yardstick: float, passes: int
) -> dict[str, list[float]]:
    """Descend long and without regularisers, from two noises: do they end at the excerpt, and at the same picture?

    Args:
        encoder: up to the layer.
        x: standardised excerpts (n, 1, 115, 80).
        yardstick: the mean distance of two excerpts, by which distances are divided.
        passes: of each descent.

    Returns:
        Per excerpt: "nre" and "feature_error", each the larger one of the two descents, and "between_starts", the
        distance of the two pictures.
    """
    with torch.no_grad():
        feature = encoder(x)
    ends = [
        invert_by_optimisation(encoder, feature, x.shape[1:], OptimisationPlan(passes, seed=seed)) for seed in (0, 1)
    ]
    distances = torch.stack([reconstruction_distances(x, end.pictures) for end in ends]).amax(dim=0)
    return {
        "nre": (distances / yardstick).tolist(),
        "feature_error": torch.stack([end.feature_errors for end in ends]).amax(dim=0).tolist(),
        "between_starts": (reconstruction_distances(ends[0].pictures, ends[1].pictures) / yardstick).tolist(),
    }


def _invert(
    detector: SVDNet, layer: str, inverters: Mapping[str, nn.Module], x: Tensor, plan: OptimisationPlan
) -> tuple[dict[str, Tensor], dict[str, dict[str, float]]]:
    """Pictures (n, 1, 115, 80) per way, and the ratios of times."""
    encoder = layer_encoder(detector, layer)

    def optimise(feature: Tensor, plan: OptimisationPlan) -> Tensor:
        return invert_by_optimisation(encoder, feature, x.shape[1:], plan, description=layer).pictures

    ways: dict[str, Callable[[Tensor], Tensor]] = {
        "optimised": partial(optimise, plan=plan.without_regularisers()),
        "regularised": partial(optimise, plan=plan),
        **{family: torch.no_grad()(inverter) for family, inverter in inverters.items()},
    }
    parts: dict[str, list[Tensor]] = {way: [] for way in ways}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    for piece in x.split(BATCH):
        with torch.no_grad():
            feature = encoder(piece)
        for way, invert in ways.items():
            picture, took = _timed(partial(invert, feature), x.device, 1 if way in OPTIMISED else 3)
            parts[way].append(picture)
            seconds[way].append(took)
    times = {
        way: {family: float(np.median(np.divide(seconds[way], seconds[family]))) for family in inverters}
        for way in OPTIMISED
    }
    return {way: torch.cat(pieces) for way, pieces in parts.items()}, times


def _timed(work: Callable[[], Tensor], device: torch.device, rounds: int) -> tuple[Tensor, float]:
    """What comes out, and the median time of the rounds: on a CPU the processor's, whatever else is running."""
    clock = time.process_time if device.type == "cpu" else time.perf_counter
    times = []
    for _ in range(rounds):
        begin = clock()
        result = work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        times.append(clock() - begin)
    return result, float(np.median(times))


@torch.no_grad()
def _quantities(detector: SVDNet, encoder: Callable[[Tensor], Tensor], x: Tensor, x_hat: Tensor) -> dict[str, Tensor]:
    """Compare pictures with their originals.

    Returns:
        Per excerpt (n,): "nre", its share in the set's; "feature_error", relative; "answer_change", of the detector's
        probability; "answer_kept", 1 where that lies on the same side of the threshold, else 0.
    """
    features = [torch.cat([encoder(piece) for piece in each.split(BATCH)]) for each in (x, x_hat)]
    before, after = (torch.cat([detector(piece) for piece in each.split(BATCH)]).sigmoid()[:, 0] for each in (x, x_hat))
    threshold = detector.threshold
    return {
        "nre": reconstruction_distances(x, x_hat) / mean_pairwise_distance(x),
        "feature_error": feature_distances(*features).sqrt(),
        "answer_change": (after - before).abs(),
        "answer_kept": ((before > threshold) == (after > threshold)).double(),
    }


def _realism_judge(bank: ExcerptBank, per_song: int) -> Callable[[Tensor], dict[str, Tensor]]:
    """What measures `per_song` pictures of each song, in their order, against real excerpts of all other songs."""
    (starts,) = evaluation_sets(bank, EvaluationPlan(sets=1, per_song=REFERENCE_PER_SONG, seed=1))
    by_song = bank.cut(starts).split(REFERENCE_PER_SONG)
    if len(by_song) < 2:
        raise CorpusError("There is one song, so no excerpts of other songs to compare with: take two songs or more.")
    judges = [
        RealExcerpts(torch.cat([other for number, other in enumerate(by_song) if number != song]))
        for song in range(len(by_song))
    ]

    def judge(pictures: Tensor) -> dict[str, Tensor]:
        parts = [each.distances(own) for each, own in zip(judges, pictures.split(per_song), strict=True)]
        return {f"distance, {name}": torch.cat([part[name] for part in parts]) for name in (*STATISTICS, "all")}

    return judge


def _all_summaries(values: Mapping[str, Tensor], per_song: int) -> dict[str, dict[str, Any]]:
    """Mean over songs, its 95 % interval, and the songs' means, for each quantity: values (excerpts,), song by song."""
    means = {name: each.double().view(-1, per_song).mean(dim=1).cpu().numpy() for name, each in values.items()}
    intervals = {name: mean_interval(each) for name, each in means.items()}
    return {
        name: {"mean": found.value, "ci95": found.ends, "per_song": means[name].tolist()}
        for name, found in intervals.items()
    }


def describe(result: Mapping[str, Any]) -> str:
    """The results as a table for people."""
    lines = []
    for corpus, found in result["corpora"].items():
        lines.append(f"{corpus}, {found['songs']} songs, {found['per_song']} excerpts each")
        heads = ("layer", "way", "NRE", "feature error", "distance", "answer kept", "time / aligned")
        lines.append("  ".join(f"{head:>14}" for head in heads))
        lines.append(f"{'':>14}  {'original':>14}{found['originals']['distance, all']['mean']:>48.2f}")
        for layer, ways in found["layers"].items():
            for way, values in ways.items():
                ratio = found["times"][layer][way]["aligned"] if way in OPTIMISED else 1
                cells = [layer, way, f"{values['nre']['mean']:.3f}", f"{values['feature_error']['mean']:.4f}"]
                cells += [f"{values['distance, all']['mean']:.2f}", f"{values['answer_kept']['mean']:.0%}"]
                lines.append("  ".join(f"{cell:>14}" for cell in [*cells, f"{ratio:.0f}"]))
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(prog="python -m svdlib.lab.studies.inversion_by_optimisation", description=__doc__)
    parser.add_argument("--corpus", required=True, nargs="+", metavar="NAME", help="folder:PATH, synthetic, ...")
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS, help="which (default all)")
    parser.add_argument("--per-song", type=int, default=2, metavar="N", help="excerpts per song (default 2)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        return study(options.corpus, layers=options.layers, per_song=options.per_song, device=options.device)

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
