"""What does the feature loss do to inversions of deep layers? Trainings over its weight and over who compares.

    python -m svdlib.lab.studies.feature_loss --real folder:my_songs --judges other.safetensors --out results.json

All learn the aligned family from chance, on the same excerpts in the same order for each seed. They differ in the
weight of the feature loss, or in whose features are compared. Inversions of test songs and of real songs are measured
by their distance from the original, by the features they have, by whether detectors answer as to the original, and by
where their fine structure is. Trainings are done in the order of their stages, the most telling first. Each is written
to the results as soon as it is measured, and `--resume` goes on with what the results lack, on any machine.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.compute.run_state import check_same_run
from svdlib.compute.storage import digest, weights_digest
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import SVDNet
from svdlib.errors import TrainingError
from svdlib.inversion.comparison import Comparison
from svdlib.inversion.nre import mean_pairwise_distance, reconstruction_distances
from svdlib.inversion.plans import TrainingPlan
from svdlib.lab.analysis.harmonics import harmonic_match
from svdlib.lab.analysis.intervals import Interval, mean_interval, separation, song_means
from svdlib.lab.analysis.measures import high_minus_low
from svdlib.lab.analysis.modulation import in_octaves, modulation_spectrum, octave_names
from svdlib.lab.analysis.onsets import onset_match
from svdlib.lab.analysis.realism import RealExcerpts
from svdlib.lab.analysis.round_trip import (
    answers,
    correlation_interval,
    correlation_moments,
    decisions_kept,
    feature_errors,
    judged,
)
from svdlib.lab.analysis.texture import after_a_shift, fine_structure, fixed_picture, without
from svdlib.lab.studies import as_json, open_judges, origin_of, read_record, run_program, write_results
from svdlib.recipes import bank_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import open_detector
from svdlib.zoo.fitting import fit_inverters

STAGES = (("mp6", "fc8"), ("conv5", "fc7"))
"""Layers that are trained together; those of the first stage with all seeds come first."""

SEEDS = (0, 1, 2)
PLAN = TrainingPlan(epochs=4, batch_size=16, schedule="cosine", steps_per_epoch=400, validation_excerpts=256)

SUMS = 64 * 33 * 21 / (115 * 80)
"""The weight at which means of squares stand to each other as the sums of equation 3 do: cells of Conv5 per cell of an
excerpt."""

SHIFTS = (1, 3, 6, 9)
"""Frames by which excerpts are moved on."""

MEASURED_AT = ("mp3", "conv5", "mp6", "fc7", "fc8")
EXCERPTS = 256


@dataclass(frozen=True)
class Configuration:
    """One training.

    Attributes:
        layers: whose inverters learn.
        seed: of the training.
        weight: of the feature loss.
        compare: the layer whose features are compared.
        random: whether they are those of a detector that nobody has trained.
        balanced: whether both losses are shares of the mean predictor's; else they are means of squares.
    """

    layers: tuple[str, ...]
    seed: int
    weight: float
    compare: str = "conv5"
    random: bool = False
    balanced: bool = False


def configurations(stages: Sequence[tuple[str, ...]] = STAGES, seeds: Sequence[int] = SEEDS) -> Iterator[Configuration]:
    """All trainings, in the order in which they are done."""
    for layers in stages:
        for seed in seeds:
            for weight in (0.0, 250.0, 30.0, SUMS, 100.0, 2500.0):
                yield Configuration(layers, seed, weight)
            for compare in ("conv5", "mp3", "fc7"):
                yield Configuration(layers, seed, 1.0, compare, balanced=True)
            yield Configuration(layers, seed, 1.0, random=True, balanced=True)


@dataclass(frozen=True)
class Material:
    """What the study learns from and is measured on.

    Attributes:
        detector: whose features are inverted, in eval mode.
        judges: detectors that have no part in a training, by name.
        train: training excerpts.
        valid: validation excerpts.
        measured: per corpus, the songs to measure on.
    """

    detector: SVDNet
    judges: Mapping[str, SVDNet]
    train: ExcerptBank
    valid: ExcerptBank
    measured: Mapping[str, ExcerptBank]

    def digest(self) -> str:
        """Tells one set of songs and detectors from another."""
        frames = [bank.frames.flatten().cpu() for bank in (self.train, self.valid, *self.measured.values())]
        detectors = [weights_digest(each) for each in (self.detector, *self.judges.values())]
        return " ".join([digest(torch.cat(frames)), *detectors])


def study(
    corpus: str = "synthetic",
    *,
    real: str,
    folder: str | PathLike[str],
    out: Path | None = None,
    detector: str | PathLike[str] | None = None,
    judges: Sequence[str | PathLike[str]] = (),
    plan: TrainingPlan = PLAN,
    excerpts: int = EXCERPTS,
    wanted: Sequence[Configuration] = tuple(configurations()),
    device: str = "auto",
    resume: bool = False,
) -> dict[str, Any]:
    """Train and measure all configurations that the results lack.

    Args:
        corpus: the training and validation songs come from it; its test songs are measured.
        real: a corpus whose songs, all of them, are measured too.
        folder: where unfinished runs are kept.
        out: the results; they are written after each training.
        detector: weights of the detector to invert; None takes the packaged ones.
        judges: weights of other detectors, trained from other seeds.
        plan: of each training.
        excerpts: how many of each corpus are measured, about.
        wanted: which trainings.
        device: where to train.
        resume: go on with what results and folder hold.

    Returns:
        Where the numbers come from, and "trainings": per configuration what `measure` returns; ready for JSON.

    Raises:
        TrainingError: the results are there already and `resume` is false, or belong to other material.
    """
    place = choose_device(device)
    network, opened, real_songs = open_detector(detector).to(place), open_corpus(corpus), open_corpus(real)
    train, valid, test = (
        bank_of(load_songs(opened.split(each)), network, place) for each in ("train", "valid", "test")
    )
    measured = {"synthetic test songs": test, "real songs": bank_of(load_songs(real_songs.tracks), network, place)}
    material = Material(network, open_judges(judges, network, place), train, valid, measured)
    identity = as_json({"plan": asdict(plan), "excerpts": excerpts, "material": material.digest()})
    done = _finished(out, identity, resume=resume)
    head = (
        {"study": "feature_loss", "measures": MEANINGS}
        | origin_of(corpus, len(opened.tracks))
        | {"real": {"corpus": origin_of(real, 0)["corpus"], "songs": len(real_songs.tracks)}}
        | {"identity": identity, "updates": plan.epochs * (plan.steps_per_epoch or 0)}
    )
    for each in wanted:
        if not _is_in(done, each):
            done.append(run_configuration(each, material, plan, excerpts, Path(folder), resume))
            if out is not None:
                write_results(out, as_json(head | {"trainings": done}))
    return as_json(head | {"trainings": done})


def _finished(out: Path | None, identity: Mapping[str, Any], *, resume: bool) -> list[dict[str, Any]]:
    """The trainings that a file of results holds."""
    if out is None or not out.is_file():
        return []
    if not resume:
        raise TrainingError(f"{out} holds results. Resume them, or name another file.")
    record = read_record(out, ("identity", "trainings"), "Move it away and begin again.")
    check_same_run(out, record["identity"], identity)
    return list(record["trainings"])


def _is_in(done: Sequence[Mapping[str, Any]], wanted: Configuration) -> bool:
    asked = as_json(asdict(wanted))
    return any(each["configuration"] == asked for each in done)


def run_configuration(
    configuration: Configuration, material: Material, plan: TrainingPlan, excerpts: int, folder: Path, resume: bool
) -> dict[str, Any]:
    """Train one configuration and measure its inversions.

    Returns:
        "configuration", and "layers": per layer "validation_losses" and per corpus what `measure` returns.
    """
    ears = untrained_like(material.detector, configuration.seed) if configuration.random else None
    compare = Comparison((configuration.compare,), ears)
    objective = "balanced" if configuration.balanced else "joint" if configuration.weight else "input"
    fitted = fit_inverters(
        material.detector, material.train, material.valid, layers=configuration.layers, variant="aligned",
        objective=objective, lambda_feature=configuration.weight or None, compare=compare, plan=plan,
        seed=configuration.seed, folder=folder / _name(configuration), resume=resume,
    )  # fmt: skip
    layers: dict[str, dict[str, Any]] = {
        layer: {"validation_losses": fitted.record(layer)["validation_losses"]} for layer in fitted.inverters
    }
    for corpus, bank in material.measured.items():
        for layer, inverter in fitted.inverters.items():
            layers[layer][corpus] = measure(layer, inverter, material, bank, excerpts)
    return as_json({"configuration": asdict(configuration), "layers": layers})


def _name(configuration: Configuration) -> str:
    kind = "random-" if configuration.random else "balanced-" if configuration.balanced else ""
    layers = "-".join(configuration.layers)
    return f"{layers}-{kind}{configuration.compare}-{configuration.weight:g}-{configuration.seed}"


@torch.no_grad()
def measure(layer: str, inverter: nn.Module, material: Material, bank: ExcerptBank, excerpts: int) -> dict[str, Any]:
    """What the inversions of one layer are like.

    Args:
        layer: which.
        inverter: its inverter, in eval mode.
        material: the detectors.
        bank: the songs.
        excerpts: how many, about, the same number from each song that is long enough.

    Returns:
        Measures with intervals over songs; `MEANINGS` says what they are.
    """
    detector = material.detector
    starts, songs = draw_with_room(bank, excerpts)
    count = len(bank.song_lengths)

    def inverted(shift: int) -> tuple[Tensor, Tensor]:
        x = bank.cut(starts + shift)
        features = (detector.features(piece, (layer,))[layer] for piece in x.split(16))
        return x, torch.cat([inverter(feature) for feature in features])

    over_songs = partial(_over_songs, songs=songs, count=count)
    x, x_hat = inverted(0)
    errors = feature_errors(detector, x, x_hat, MEASURED_AT)
    found: dict[str, Any] = {
        "nre": over_songs((reconstruction_distances(x, x_hat) / mean_pairwise_distance(x)).cpu()),
        "features": {at: over_songs(values) for at, values in errors.items()},
        "onset_match": over_songs(onset_match(x[:, 0], x_hat[:, 0]).cpu()),
        "harmonic_match": over_songs(harmonic_match(x[:, 0], x_hat[:, 0]).cpu()),
        "distance_to_real": over_songs(RealExcerpts(x).distances(x_hat)["all"].cpu()),
    }
    energies = [in_octaves(modulation_spectrum(each[:, 0])).cpu() for each in (x, x_hat)]
    found["modulation_energy"] = {
        octave: over_songs(energies[1][:, k] / energies[0][:, k]) for k, octave in enumerate(octave_names())
    }
    verdicts = judged({"detector": detector, **material.judges}, x, x_hat, detector.standardizer)
    found["judges"] = {
        name: {"kept": over_songs(kept), "correlation": _summary(_correlation(moments, songs, count))}
        for name, (kept, moments) in verdicts.items()
    }
    before = answers(detector, x)
    sung = (torch.sigmoid(before) > detector.threshold).cpu().numpy()
    found["class_auc"] = _summary(separation(high_minus_low(x_hat[:, 0].cpu()).numpy(), sung, songs))
    found["texture"] = _texture(detector, x_hat[:, 0], before, songs, count, [inverted(s)[1][:, 0] for s in SHIFTS])
    return {"excerpts": len(x)} | found


MEANINGS = {
    "nre": "distance to the original, divided by the mean distance of two originals",
    "features": "per layer, the same for the detector's features of both",
    "kept": "share of the excerpts that a detector decides on as on the original",
    "correlation": "of a detector's logits for inversions and originals",
    "class_auc": "how well the inversions' high bands minus low bands tell apart what the detector calls sung",
    "stays": "agreement of the fine structure with that at the same place of the picture, after a shift",
    "moves": "agreement with that at the same place of the sound",
    "fixed_share": "share of the fine structure's energy that is one picture in all inversions",
    "strength": "correlation of how much fine structure there is with the detector's logit for the original",
}


def draw_with_room(bank: ExcerptBank, excerpts: int, seed: int = 0) -> tuple[Tensor, np.ndarray]:
    """First frames of random excerpts, as many from each song, behind which there is room for the largest shift.

    Returns:
        The frames (n,), to be given to `ExcerptBank.cut`, and the song of each (n,).
    """
    generator, needed = np.random.default_rng(seed), EXCERPT_FRAMES + max(SHIFTS)
    long_enough = [song for song, length in enumerate(bank.song_lengths) if length >= needed]
    each = -(-excerpts // max(1, len(long_enough)))
    starts = [
        bank.song_offsets[song] + generator.integers(0, bank.song_lengths[song] - needed + 1, each)
        for song in long_enough
    ]
    return torch.as_tensor(np.concatenate(starts), device=bank.device), np.repeat(long_enough, each)


def _texture(
    detector: SVDNet, pictures: Tensor, before: Tensor, songs: np.ndarray, count: int, shifted: Sequence[Tensor]
) -> dict[str, Any]:
    """Where the fine structure of inversions (n, 115, 80) is, and what the detector makes of it."""
    fine = fine_structure(pictures)
    over_songs = partial(_over_songs, songs=songs, count=count)
    found: dict[str, Any] = {"stays": {}, "moves": {}}
    for shift, pictures_then in zip(SHIFTS, shifted, strict=True):
        for name, values in after_a_shift(fine, fine_structure(pictures_then), shift).items():
            found[name][str(shift)] = over_songs(values.cpu())
    found["fixed_share"] = fixed_picture(fine)[1]
    strength = fine.square().mean(dim=(1, 2)).sqrt()
    found["strength"] = _summary(_correlation(correlation_moments(strength, before), songs, count))
    found["kept_without"] = {
        what: over_songs(decisions_kept(detector, before, answers(detector, rest[:, None])))
        for what, rest in without(pictures, fine).items()
    }
    return found


def _over_songs(values: Tensor | np.ndarray, songs: np.ndarray, count: int) -> dict[str, Any]:
    """Mean over songs of a number per excerpt (n,), with its interval."""
    return _summary(mean_interval(song_means(np.asarray(values, dtype=float), songs, count)))


def _correlation(moments: np.ndarray, songs: np.ndarray, count: int) -> Interval:
    """Of two numbers over all excerpts, from `correlation_moments` (5, n), by drawing songs."""
    return correlation_interval([song_means(row, songs, count) for row in moments])


def _summary(found: Interval) -> dict[str, Any]:
    return {"value": found.value, "ci95": list(found.ends)}


def describe(result: Mapping[str, Any]) -> str:
    """The results as a table for people: the mean over the seeds of what matters most."""
    lines = [f"After {result['updates']} updates of {result['identity']['plan']['batch_size']} excerpts"]
    for corpus in ("synthetic test songs", "real songs"):
        lines.append(f"{corpus}: NRE, decisions kept and correlation, by the detector and by the others")
        for (layer, kind), found in _by_kind(result["trainings"], corpus).items():
            judges = list(found[0]["judges"])
            cells = [f"{np.mean([each['nre']['value'] for each in found]):.3f}"]
            for judge in judges:
                for what in ("kept", "correlation"):
                    cells.append(f"{np.mean([each['judges'][judge][what]['value'] for each in found]):.2f}")
            lines.append(
                f"  {layer:6} {kind:24} " + " ".join(f"{cell:>6}" for cell in cells) + f"  ({len(found)} seeds)"
            )
    return "\n".join(lines)


def _by_kind(trainings: Sequence[Mapping[str, Any]], corpus: str) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in trainings:
        asked = each["configuration"]
        ears = "random " if asked["random"] else "balanced " if asked["balanced"] else ""
        kind = f"{ears}{asked['compare']}, {asked['weight']:.4g}"
        for layer in asked["layers"]:
            found.setdefault((layer, kind), []).append(each["layers"][layer][corpus])
    return dict(sorted(found.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right, 130 when interrupted."""
    parser = Parser(prog="python -m svdlib.lab.studies.feature_loss", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="to learn from (default synthetic)")
    parser.add_argument("--real", required=True, metavar="NAME", help="to measure on too: folder:PATH")
    parser.add_argument("--detector", type=Path, metavar="FILE", help="its weights (default: the packaged ones)")
    parser.add_argument("--judges", type=Path, nargs="+", default=[], metavar="FILE", help="weights of other detectors")
    parser.add_argument("--folder", type=Path, default=Path("runs/feature_loss"), help="where runs are kept")
    parser.add_argument("--resume", action="store_true", help="go on with what the results and the folder hold")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("real", "folder", "out", "detector", "judges", "device", "resume")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=True)


if __name__ == "__main__":
    sys.exit(main())
