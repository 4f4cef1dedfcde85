"""What do inversions of thousands of excerpts keep of onsets, harmonics and modulations? Does FC8 show the class?

    python -m svdlib.lab.studies.kept_structure --corpus synthetic folder:my_songs --out results.json

Random excerpts of every song are inverted from every layer by both families of inverters, and compared with their
originals by the measures of `svdlib.lab.analysis`. A corpus that the weights were trained on is measured on
its test songs, any other on all songs. Chance is the inversion of an excerpt of the next song in place of the right
one.
"""

import argparse
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.standardizer import Standardizer
from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import SVDNet
from svdlib.lab.analysis.feature_space import (
    all_correlations,
    features_of,
    nearest_of_other_songs,
    neighbour_agreement,
    pairwise_distances,
)
from svdlib.lab.analysis.harmonics import fine_lines, harmonic_fit, harmonic_height, harmonic_match
from svdlib.lab.analysis.intervals import (
    Interval,
    difference_interval,
    mean_interval,
    separation,
    separation_interval,
    song_means,
)
from svdlib.lab.analysis.measures import high_minus_low, spectral_centroid
from svdlib.lab.analysis.modulation import in_octaves, modulation_match, modulation_spectrum, octave_names
from svdlib.lab.analysis.onsets import onset_curve, onset_f_measure, onset_match
from svdlib.lab.studies import FAMILIES, as_json, open_families, origin_of, run_program, training_of, unheard_split
from svdlib.recipes import bank_of, tracks_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.checkpoints import open_detector

SHARED_EXCERPTS = {"conv1": 4, "conv2": 4, "mp3": 4, "conv4": 4}
"""Layers whose inverters take longest see every fourth excerpt only."""

AGREEMENTS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "onset_match": onset_match,
    "onset_f_measure": onset_f_measure,
    "harmonic_match": harmonic_match,
}
"""Measures of an excerpt and its inversion, beside the modulation match of each octave."""

QUALITIES: dict[str, Callable[[Tensor], Tensor]] = {"harmonic_fit": harmonic_fit, "harmonic_height": harmonic_height}
"""Measures of a single spectrogram."""

CLASS_LAYERS = ("fc7", "fc8")
NEIGHBOURS = 5
NEIGHBOUR_EXCERPTS = 240
BATCH = 4  # on a CPU, larger ones spend more time on getting memory than they save
CHUNK = 256  # excerpts measured at once: 20 MB in double precision
DIGITS = 4


def study(
    corpora: Sequence[str],
    *,
    weights: str | PathLike[str] | None = None,
    detector: str | PathLike[str] | None = None,
    excerpts: int = 2000,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure what both families keep, on the songs of several corpora.

    Args:
        corpora: names that `open_corpus` knows.
        weights: a folder with the weights of both families; None takes the packaged ones.
        detector: weights of the detector; None takes the packaged ones.
        excerpts: about how many per corpus, the same number from each song.
        seed: of their choice.
        device: where to compute.

    Returns:
        "measures", what the names mean; and "corpora", per name what `measure` returns, with the split.
    """
    place = choose_device(device)
    network = open_detector(detector).to(place)
    families = open_families(weights, network, trainings=True)
    found: dict[str, Any] = {}
    for corpus in corpora:
        split = unheard_split(corpus, families["published"])
        songs = load_songs(tracks_of(open_corpus(corpus), split))
        origin = origin_of(corpus, len(songs.names))
        measured = measure(network, families, bank_of(songs, network, place), excerpts, seed)
        found[origin["corpus"]] = {"split": split, "songs": len(songs.names)} | measured
    about = {key: value for key, value in origin_of("", 0).items() if key not in ("corpus", "songs")}
    about["training"] = {name: training_of(inverters) for name, inverters in families.items()}
    head = {"study": "kept_structure", "seed": seed} | about | {"measures": MEANINGS}
    return as_json(head | {"corpora": found})


MEANINGS = {
    "onset_match": "correlation of the onset curves of excerpt and inversion",
    "onset_f_measure": "F-measure of the onset times, tolerance 50 ms",
    "harmonic_match": "correlation of the fine lines across frequency",
    "modulation_match": "per octave of rates, correlation of the bands' courses over time",
    "modulation_energy": "per octave of rates, energy of the inversions' modulations divided by that of the originals'",
    "harmonic_fit": "how well the fine lines of the inversion fit the comb of a pitch",
    "harmonic_height": "how far the harmonics of the inversion stand out, in deviations",
    "per_song": "mean over the excerpts of each song; mean, ci95: over songs, 95 % by resampling whole songs",
    "chance_per_song": "the same with the inversion of an excerpt of the next song",
    "above_chance": "mean minus chance, with its own interval over the same resamplings",
    "high_minus_low": "mean of the upper 40 bands minus that of the lower 40, standardised",
    "auc": "0.5: no separation; above: higher for vocal excerpts, or for those that the detector calls vocal",
    "minus_originals": "this AUC minus that of the originals, over the same resamplings",
}


def measure(
    detector: SVDNet, families: Mapping[str, Mapping[str, nn.Module]], bank: ExcerptBank, excerpts: int, seed: int
) -> dict[str, Any]:
    """Measure families of inverters on the same excerpts of a corpus.

    Args:
        detector: in eval mode, with its threshold.
        families: by name, an inverter per layer, in eval mode; not each family needs to have all layers.
        bank: the songs.
        excerpts: about how many, the same number from each song.
        seed: of their choice.

    Returns:
        "excerpts" in all; "originals", the measures of one spectrogram; "layers", per layer the number of excerpts and
        per family the measures; "class_dependence" and "neighbours".
    """
    drawn = draw_excerpts(bank, excerpts, seed)
    layers = [layer for layer in detector.shapes if any(layer in inverters for inverters in families.values())]
    found: dict[str, dict[str, Any]] = {}
    pictures: dict[tuple[str, str], Tensor] = {}
    for step in sorted({SHARED_EXCERPTS.get(layer, 1) for layer in layers} | {1}, reverse=True):
        chosen = drawn[::step]
        x, songs = bank.gather(chosen), bank.songs[chosen].cpu().numpy()
        group = [layer for layer in layers if SHARED_EXCERPTS.get(layer, 1) == step]
        inverted, logits = invert_all(detector, families, group, x)
        for (family, layer), x_hat in inverted.items():
            entry = found.setdefault(layer, {"excerpts": len(chosen)})
            entry[family] = kept(x[:, 0], x_hat, songs, len(bank.song_lengths))
        pictures = {key: x_hat for key, x_hat in inverted.items() if key[1] in CLASS_LAYERS}
    sung, decided = bank.labels(drawn).cpu().numpy(), _decisions(detector, logits)
    originals = {
        name: _summary(song_means(_in_chunks(quality, x[:, 0]), songs, len(bank.song_lengths)))
        for name, quality in QUALITIES.items()
    }
    return {
        "excerpts": len(drawn),
        "originals": originals,
        "layers": {layer: found[layer] for layer in layers},
        "class_dependence": {"detector_auc": _with_interval(separation(logits.numpy(), sung, songs), "auc")}
        | class_dependence(detector.standardizer, x[:, 0], {"label": sung, "decision": decided}, songs, pictures),
        "neighbours": neighbours(detector, bank, layers, seed),
    }


def draw_excerpts(bank: ExcerptBank, count: int, seed: int) -> Tensor:
    """Draw excerpts at random, the same number from each song, or all of a song that has fewer.

    Args:
        bank: the songs.
        count: about how many in all.
        seed: of the choice.

    Returns:
        Their indices, song after song, those of a song in random order.
    """
    generator, songs = np.random.default_rng(seed), bank.songs.cpu().numpy()
    per_song = -(-count // len(np.unique(songs)))
    picked = [generator.permutation(np.flatnonzero(songs == song))[:per_song] for song in np.unique(songs)]
    return torch.as_tensor(np.concatenate(picked), device=bank.device)


@torch.no_grad()
def invert_all(
    detector: SVDNet, families: Mapping[str, Mapping[str, nn.Module]], layers: Sequence[str], x: Tensor
) -> tuple[dict[tuple[str, str], Tensor], Tensor]:
    """Invert excerpts (n, 1, 115, 80) by several families; the detector runs once.

    Returns:
        Per family and layer, pictures (n, 115, 80); and the detector's logits (n,).
    """
    logits = []
    parts: dict[tuple[str, str], list[Tensor]] = {
        (family, layer): [] for family, inverters in families.items() for layer in layers if layer in inverters
    }
    for piece in x.split(BATCH):
        features = detector.features(piece, {*layers, "fc8"})
        logits.append(detector.out(features["fc8"])[:, 0].cpu())
        for (family, layer), pieces in parts.items():
            pieces.append(families[family][layer](features[layer])[:, 0].cpu())
    # Taken out one by one, so that the pieces of all pictures and the pictures are never in memory together.
    return {key: torch.cat(parts.pop(key)) for key in list(parts)}, torch.cat(logits)


def _decisions(detector: SVDNet, logits: Tensor) -> np.ndarray:
    """Whether the detector calls each excerpt sung."""
    return (torch.sigmoid(logits) > detector.threshold).numpy()


def kept(x: Tensor, x_hat: Tensor, songs: np.ndarray, count: int) -> dict[str, Any]:
    """What inversions keep of their originals.

    Args:
        x: standardised excerpts (n, 115, 80), song after song.
        x_hat: their inversions.
        songs: index of the song of each excerpt (n,).
        count: number of songs in the corpus.

    Returns:
        An entry per measure; those of modulations have one per octave.
    """
    other = x_hat[partners(songs)]
    found: dict[str, Any] = {}
    for name, agreement in AGREEMENTS.items():
        right, wrong = (song_means(_in_chunks(agreement, x, each), songs, count) for each in (x_hat, other))
        found[name] = _summary(right, wrong)
    right, wrong = (_in_chunks(modulation_match, x, each) for each in (x_hat, other))
    found["modulation_match"] = {
        octave: _summary(song_means(right[:, k], songs, count), song_means(wrong[:, k], songs, count))
        for k, octave in enumerate(octave_names())
    }
    found["modulation_energy"] = _energy_kept(x, x_hat, songs, count)
    for name, quality in QUALITIES.items():
        found[name] = _summary(song_means(_in_chunks(quality, x_hat), songs, count))
    return found


def partners(songs: np.ndarray) -> np.ndarray:
    """For each excerpt one of the next song; in a single song, the next excerpt.

    Args:
        songs: index of the song of each excerpt (n,), ascending.
    """
    groups = [np.flatnonzero(songs == song) for song in np.unique(songs)]
    if len(groups) == 1:
        return np.roll(groups[0], -1)
    following = groups[1:] + groups[:1]
    return np.concatenate([np.resize(after, len(group)) for group, after in zip(groups, following, strict=True)])


def _energy_kept(x: Tensor, x_hat: Tensor, songs: np.ndarray, count: int) -> dict[str, Any]:
    energies = [_in_chunks(lambda part: in_octaves(modulation_spectrum(part)), pictures) for pictures in (x, x_hat)]
    found = {}
    for k, octave in enumerate(octave_names()):
        before, after = (song_means(energy[:, k], songs, count) for energy in energies)
        found[octave] = _with_interval(mean_interval(after / before), "mean")
    return found


def class_dependence(
    standardizer: Standardizer,
    x: Tensor,
    truths: Mapping[str, np.ndarray],
    songs: np.ndarray,
    pictures: Mapping[tuple[str, str], Tensor],
) -> dict[str, Any]:
    """Whether inversions of vocal excerpts lie higher in frequency, and more so than the originals.

    Args:
        standardizer: the detector's, to bring pictures back to the scale of sound.
        x: standardised excerpts (n, 115, 80).
        truths: by name, the class of each excerpt (n,): by the labels, and by what the detector says.
        songs: index of the song of each (n,).
        pictures: inversions (n, 115, 80) per family and layer.

    Returns:
        Per truth, how many "excerpts" there are and how many are "vocal", and AUCs of the "originals" and of the
        inversions per layer and family.
    """
    originals = _balances(standardizer, x)
    balances = {key: _balances(standardizer, each) for key, each in pictures.items()}
    found: dict[str, Any] = {}
    for name, truth in truths.items():
        found[name] = {"excerpts": len(truth), "vocal": int(truth.sum())}
        found[name]["originals"] = {
            measure: _with_interval(separation(values, truth, songs), "auc") for measure, values in originals.items()
        }
        for (family, layer), by_measure in balances.items():
            found[name].setdefault(layer, {})[family] = {
                measure: _with_interval(separation(values, truth, songs), "auc")
                | _with_interval(
                    separation_interval(np.subtract, values, originals[measure], truth=truth, songs=songs),
                    "minus_originals",
                )
                for measure, values in by_measure.items()
            }
    return found


def _balances(standardizer: Standardizer, pictures: Tensor) -> dict[str, np.ndarray]:
    with torch.no_grad():
        sounds = standardizer.inverse(pictures.to(standardizer.mean.device))
    return {"high_minus_low": high_minus_low(pictures).numpy(), "spectral_centroid": spectral_centroid(sounds).numpy()}


def neighbours(detector: SVDNet, bank: ExcerptBank, layers: Iterable[str], seed: int) -> dict[str, Any]:
    """Whether the nearest excerpts of other songs, by a layer's features, share class, onsets and harmonics.

    Args:
        detector: in eval mode.
        bank: the songs.
        layers: the layers whose features are compared; "input", the excerpts themselves, comes first.
        seed: of the choice of excerpts.

    Returns:
        "excerpts", "neighbours" of each, and "layers" with the three agreements; empty if there is only one song.
    """
    drawn = draw_excerpts(bank, NEIGHBOUR_EXCERPTS, seed + 1)
    x, songs, sung = bank.gather(drawn), bank.songs[drawn].cpu(), bank.labels(drawn).cpu()
    if len(torch.unique(songs)) < 2:
        return {}
    agreements = {
        "same_class": sung[:, None] == sung[None, :],
        "onset_match": all_correlations(onset_curve(x[:, 0])),
        "harmonic_match": all_correlations(fine_lines(x[:, 0])),
    }
    found: dict[str, Any] = {}
    for layer, distances in _distances(detector, x, list(layers)):
        nearest = nearest_of_other_songs(distances, songs, NEIGHBOURS)
        found[layer] = {}
        for name, agreement in agreements.items():
            near_and_chance = neighbour_agreement(agreement, nearest, songs)
            means = [song_means(v.numpy(), songs.numpy(), len(bank.song_lengths)) for v in near_and_chance]
            found[layer][name] = _summary(*means)
    return {"excerpts": len(drawn), "neighbours": NEIGHBOURS, "layers": found}


def _distances(detector: SVDNet, x: Tensor, layers: Sequence[str]) -> Iterator[tuple[str, Tensor]]:
    """The distances between excerpts, and between their features at each layer; large features one layer at a time."""
    yield "input", pairwise_distances(x).cpu()
    large = [layer for layer in layers if layer in ("conv1", "conv2")]
    for group in (*([layer] for layer in large), [layer for layer in layers if layer not in large]):
        for layer, features in features_of(detector, x, group, BATCH).items():
            yield layer, pairwise_distances(features).cpu()


def _in_chunks(compute: Callable[..., Tensor], *pictures: Tensor) -> np.ndarray:
    return torch.cat([compute(*parts) for parts in zip(*(each.split(CHUNK) for each in pictures), strict=True)]).numpy()


def _summary(per_song: np.ndarray, chance_per_song: np.ndarray | None = None) -> dict[str, Any]:
    entry: dict[str, Any] = {"per_song": _short(per_song)} | _with_interval(mean_interval(per_song), "mean")
    if chance_per_song is None:
        return entry
    chance = mean_interval(chance_per_song).value
    entry |= {"chance_per_song": _short(chance_per_song), "chance": round(chance, DIGITS)}
    return entry | _with_interval(difference_interval(per_song, chance_per_song), "above_chance")


def _with_interval(found: Interval, name: str) -> dict[str, Any]:
    key = "ci95" if name in ("mean", "auc") else f"{name}_ci95"
    return {name: round(found.value, DIGITS), key: _short(found.ends)}


def _short(values: Iterable[float]) -> list[float]:
    return [round(float(value), DIGITS) for value in values]


def describe(result: Mapping[str, Any]) -> str:
    """The results as tables for people."""
    lines = []
    for corpus, found in result["corpora"].items():
        lines.append(f"{corpus}: {found['songs']} songs, {found['excerpts']} excerpts")
        lines.append(f"  {'layer, family':<18}" + "".join(f"{name:>28}" for name in AGREEMENTS))
        for layer, entry in found["layers"].items():
            for family in FAMILIES:
                cells = [entry[family][name] for name in AGREEMENTS]
                texts = (f"{c['mean']:.3f}, above chance {c['above_chance']:+z.3f}" for c in cells)
                lines.append(f"  {layer + ', ' + family:<18}" + "".join(f"{text:>28}" for text in texts))
        for truth in ("label", "decision"):
            entry = found["class_dependence"][truth]["fc8"]
            texts = (f"{family} {entry[family]['high_minus_low']['auc']}" for family in FAMILIES)
            lines.append(f"  FC8, high minus low against the {truth}: AUC {', '.join(texts)}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(prog="python -m svdlib.lab.studies.kept_structure", description=__doc__)
    parser.add_argument("--corpus", required=True, nargs="+", metavar="NAME", help="folder:PATH, synthetic, ...")
    parser.add_argument("--weights", type=Path, metavar="FOLDER", help="weights of both (default: the packaged ones)")
    parser.add_argument("--detector", type=Path, metavar="FILE", help="its weights (default: the packaged ones)")
    parser.add_argument("--excerpts", type=int, default=2000, metavar="N", help="per corpus, about (default 2000)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of the choice of excerpts (default 0)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("weights", "detector", "excerpts", "seed", "device")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
