"""How much should the regularisers count when a layer is inverted by optimisation? Chosen on validation songs.

    python -m svdlib.lab.studies.regulariser_weights --out results.json

One random excerpt of each validation song is inverted with every weight of a grid: first that of the total variation
alone, then, beside the best of these, that of the alpha-norm. The best has the lowest NRE among the weights that keep
the feature error well below that of both trained inverters, `MARGIN` of the better one; where none does, the lowest
feature error. The rule was fixed before the first run. `svdlib.detector.optimisation.PLANS` holds what it chose.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.detector.optimisation import PLANS
from svdlib.inversion.inverters import FeatureInverter
from svdlib.inversion.nre import EvaluationPlan, evaluation_sets, nre, reconstruct
from svdlib.inversion.optimisation import OptimisationPlan, feature_distances, layer_encoder, optimise_layers
from svdlib.lab.studies import FAMILIES, as_json, origin_of, run_program, training_of
from svdlib.recipes import bank_of, tracks_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.checkpoints import pretrained, pretrained_inverters

VARIATION_WEIGHTS = (0.0, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0)
ALPHA_WEIGHTS = (0.0, 1e-6, 1e-5, 1e-4)
MARGIN = 0.8


def study(
    corpus: str,
    *,
    layers: Sequence[str] = LAYERS,
    songs: int | None = None,
    passes: int | None = None,
    device: str = "auto",
) -> dict[str, Any]:
    """Choose the weights of each layer on the validation songs of a corpus.

    Args:
        corpus: a name that `open_corpus` knows.
        layers: which layers.
        songs: only so many of the songs; None takes all.
        passes: of every optimisation; None takes those of the layer's plan, for which the weights are meant: after
            fewer, a descent that needs no help is still far away, and weights look good that will be in its way.
        device: where to compute.

    Returns:
        The corpus, date, versions, how the trained inverters learned, and `passes`; per layer what `choose` returns.
    """
    place = choose_device(device)
    detector = pretrained("detector").to(place)
    loaded = load_songs(tracks_of(open_corpus(corpus), "valid")[:songs])
    bank = bank_of(loaded, detector, place)
    evaluation = EvaluationPlan(sets=1, per_song=1)
    (starts,) = evaluation_sets(bank, evaluation)
    families = {name: pretrained_inverters(name) for name in FAMILIES}
    taken = {layer: passes or PLANS[layer].passes for layer in layers}
    found = {
        layer: choose(
            detector, [family[layer].to(place) for family in families.values()], bank.cut(starts), taken[layer]
        )
        for layer in layers
    }
    origin = {"study": "regulariser_weights", "split": "valid"} | origin_of(corpus, len(loaded.names))
    origin |= {"seed": evaluation.seed, "training": {name: training_of(each) for name, each in families.items()}}
    return as_json(origin | {"passes": taken, "margin": MARGIN, "layers": found})


def choose(detector: SVDNet, trained: Sequence[FeatureInverter], x: Tensor, passes: int) -> dict[str, Any]:
    """Try all weights at one layer.

    Args:
        detector: whose features are inverted.
        trained: the layer's inverters that optimisation has to beat.
        x: standardised excerpts (n, 1, 115, 80).
        passes: of every optimisation.

    Returns:
        "trained_feature_error", of the better inverter; "tried", a list of dictionaries with "variation_weight",
        "alpha_weight", "nre" and "feature_error"; "chosen", one of these.
    """
    layer = trained[0].layer
    bound = min(_trained_error(detector, inverter, x) for inverter in trained)

    def measure(variation_weight: float, alpha_weight: float) -> dict[str, float]:
        plan = OptimisationPlan(passes, alpha_weight, variation_weight)
        found = optimise_layers(detector, x, {layer: plan})[layer]
        return {
            "variation_weight": variation_weight,
            "alpha_weight": alpha_weight,
            "nre": nre(x, found.pictures),
            "feature_error": float(found.feature_errors.mean()),
        }

    tried = [measure(weight, 0.0) for weight in VARIATION_WEIGHTS]
    variation = best_of(tried, MARGIN * bound)["variation_weight"]
    tried += [measure(variation, weight) for weight in ALPHA_WEIGHTS[1:]]
    return {"trained_feature_error": bound, "tried": tried, "chosen": best_of(tried, MARGIN * bound)}


def best_of(tried: Sequence[dict[str, float]], largest_feature_error: float) -> dict[str, float]:
    """The lowest NRE among those with a small enough feature error; without any, the lowest feature error."""
    allowed = [each for each in tried if each["feature_error"] <= largest_feature_error]
    if not allowed:
        return min(tried, key=lambda each: each["feature_error"])
    return min(allowed, key=lambda each: each["nre"])


@torch.no_grad()
def _trained_error(detector: SVDNet, inverter: FeatureInverter, x: Tensor) -> float:
    layer = inverter.layer
    x_hat = reconstruct(detector, {layer: inverter}, x)[layer]
    encoder = layer_encoder(detector, layer)
    return float(feature_distances(encoder(x), encoder(x_hat)).sqrt().mean())


def describe(result: Mapping[str, Any]) -> str:
    """The results as a table for people."""
    lines = [f"{result['songs']} validation excerpts of {result['corpus']}; * is chosen"]
    heads = ("layer", "variation", "alpha", "NRE", "feature error", "trained")
    lines.append("  ".join(f"{head:>13}" for head in heads))
    for layer, found in result["layers"].items():
        for each in found["tried"]:
            cells = [layer, f"{each['variation_weight']:g}", f"{each['alpha_weight']:g}", f"{each['nre']:.3f}"]
            cells += [f"{each['feature_error']:.4f}", f"{found['trained_feature_error']:.4f}"]
            mark = " *" if each == found["chosen"] else ""
            lines.append("  ".join(f"{cell:>13}" for cell in cells) + mark)
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(prog="python -m svdlib.lab.studies.regulariser_weights", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="synthetic (default), ...")
    parser.add_argument("--layers", nargs="+", choices=LAYERS, default=LAYERS, help="which (default all)")
    parser.add_argument("--songs", type=int, metavar="N", help="only so many validation songs (default all)")
    parser.add_argument("--passes", type=int, metavar="N", help="of every optimisation (default: the plan's)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("layers", "songs", "passes", "device")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
