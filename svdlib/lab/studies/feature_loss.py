"""What does the feature loss do to inversions of deep layers? Trainings over its weight and over who compares.

    python -m svdlib.lab.studies.feature_loss --real folder:my_songs --judges other.safetensors --out results.json

All go on from the same aligned inverters, which learned by the input loss alone, for as many updates, on the same
excerpts in the same order for each seed. They differ in the weight of the feature loss, or in whose features are
compared; one goes on by the input loss alone and is what the others are held against. Inversions of test songs and of
real songs are measured by their distance from the original, by the features they have, by whether detectors answer as
to the original, and by where their fine structure is. The most telling trainings are done first. Each is written to the
results as soon as it is measured, and `--resume` goes on with what the results lack, on any machine.
"""

import argparse
import base64
import sys
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.compute.command_line import Parser
from svdlib.compute.devices import PRECISIONS, choose_device
from svdlib.compute.storage import weights_digest
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import SVDNet
from svdlib.inversion.comparison import Comparison
from svdlib.inversion.inverters import FeatureInverter
from svdlib.inversion.nre import mean_pairwise_distance, reconstruct, reconstruction_distances
from svdlib.inversion.plans import TrainingPlan
from svdlib.lab.analysis.harmonics import harmonic_match
from svdlib.lab.analysis.intervals import Interval, change_interval, mean_interval, separation, song_means
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
from svdlib.lab.figures.style import layer_title
from svdlib.lab.studies import (
    as_json,
    open_judges,
    origin_of,
    read_parts,
    run_program,
    songs_digest,
    training_of,
    write_results,
)
from svdlib.recipes import bank_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import load_songs
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import folder_of, open_detector, open_inverters
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.profiles import SHIFT

SEEDS = (0, 1, 2)
PLAN = TrainingPlan(epochs=4, batch_size=16, schedule="cosine", steps_per_epoch=200, validation_excerpts=256)

SUMS = 64 * 33 * 21 / (115 * 80)
"""The weight at which means of squares stand to each other as the sums of equation 3 do: cells of Conv5 per cell of an
excerpt."""

OWN = "own"
"""Stands among the layers that are compared for the one that is inverted."""

SHIFTS = (1, 3, 6, 9)
"""Frames by which excerpts are moved on."""

TEST, REAL = "synthetic test songs", "real songs"
CANDIDATES = 128
PICTURE_RANGE = (-4.0, 4.0)
"""Between which a standardised excerpt is kept as a picture."""

RECORDED = ("validation_losses", "input_variance", "feature_variance")
"""What of a training's record goes to the results."""

MEASURED_AT = ("mp3", "conv5", "mp6", "fc7", "fc8")
EXCERPTS = 128


@dataclass(frozen=True)
class Configuration:
    """One training.

    Attributes:
        layer: whose inverter learns.
        weight: of the feature loss.
        compare: the layers whose features are compared; `OWN` is the one that is inverted.
        objective: by which it learns; all but "joint" and "input" take losses as shares.
        random: whether those who compare are a detector that nobody has trained.
        moved: whether both are shifted alike before they are compared.
        seed: of the training.
    """

    layer: str
    weight: float
    compare: tuple[str, ...] = ("conv5",)
    objective: str = "balanced"
    random: bool = False
    moved: bool = False
    seed: int = 0

    @property
    def kind(self) -> str:
        """What tells it from others, but layer and seed."""
        if self.objective == "input":
            return "input loss alone"
        spaces = " and ".join("itself" if each == OWN else layer_title(each) for each in self.compare)
        ears = "random " if self.random else ""
        return f"{OBJECTIVE_NAMES[self.objective]}{ears}{spaces}{', moved' if self.moved else ''}, {self.weight:.3g}"


OBJECTIVE_NAMES = {"balanced": "", "joint": "as sums, ", "adversarial-balanced": "with an adversary, "}


def configurations(seeds: Sequence[int] = SEEDS) -> tuple[Configuration, ...]:
    """All trainings, the most telling first: of FC8, of FC7, of FC8 from other seeds, of MP6."""
    first, *others = seeds
    own = ("conv5", OWN)
    control, heavy, asked = (
        Configuration("fc8", 0.0, objective="input", seed=first),
        Configuration("fc8", 10.0, seed=first),
        Configuration("fc8", 6.0, own, seed=first),
    )
    weak, even = (replace(heavy, weight=weight) for weight in (0.1, 1.0))
    adversary = replace(even, objective="adversarial-balanced")
    return (
        *(control, even, heavy, asked, weak, adversary, replace(asked, moved=True)),
        *(replace(even, weight=SUMS, objective="joint"), replace(even, random=True)),
        *(replace(each, layer="fc7") for each in (control, even, heavy, asked)),
        Configuration("fc7", 6.0, ("conv5", "fc8"), seed=first),
        *(replace(each, seed=seed) for seed in others for each in (control, asked, replace(asked, moved=True))),
        *(replace(each, layer="mp6") for each in (control, even, heavy, adversary)),
    )


@dataclass(frozen=True)
class Material:
    """What the study learns from and is measured on.

    Attributes:
        detector: whose features are inverted, in eval mode.
        judges: detectors that have no part in a training, by name.
        start: the inverters to go on from, by layer; one that is not there begins from chance.
        train: training excerpts.
        valid: validation excerpts.
        measured: per corpus, the songs to measure on.
        shown: excerpts (2, 1, 115, 80) whose inversions are kept as pictures: what the detector calls sung most surely,
            and what it calls least so.
    """

    detector: SVDNet
    judges: Mapping[str, SVDNet]
    start: Mapping[str, FeatureInverter]
    train: ExcerptBank
    valid: ExcerptBank
    measured: Mapping[str, ExcerptBank]
    shown: Tensor

    def digest(self) -> str:
        """Tells one set of songs, detectors and inverters from another, on any machine."""
        banks = (self.train, self.valid, *self.measured.values())
        lengths = [length for bank in banks for length in bank.song_lengths]
        labels = [bank.labels(torch.arange(len(bank), device=bank.device)) for bank in banks]
        start = [inverter for _, inverter in sorted(self.start.items())]
        networks = [weights_digest(each) for each in (self.detector, *self.judges.values(), *start)]
        return " ".join([songs_digest(lengths, labels), *networks])


def study(
    corpus: str = "synthetic",
    *,
    real: str,
    folder: str | PathLike[str],
    out: Path | None = None,
    detector: str | PathLike[str] | None = None,
    judges: Sequence[str | PathLike[str]] = (),
    start: str | PathLike[str] | None = None,
    plan: TrainingPlan = PLAN,
    excerpts: int = EXCERPTS,
    wanted: Sequence[Configuration] = configurations(),
    device: str = "auto",
    precision: str = "auto",
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
        start: a folder of aligned inverters to go on from; None takes the packaged ones of the input loss alone, which
            the packaged detector has. Inverters of another one then begin from chance.
        plan: of each training.
        excerpts: how many of each corpus are measured, about.
        wanted: which trainings.
        device: where to train.
        precision: of activations. Machines differ in what is fast, so trainings of one file may differ in it.
        resume: go on with what results and folder hold.

    Returns:
        Where the numbers come from, "originals", the excerpts that are shown as pictures, and "trainings": per
        configuration what `run_configuration` returns; ready for JSON.

    Raises:
        TrainingError: the results are there already and `resume` is false, or belong to other material.
        WeightsError: if an inverter to go on from is missing, damaged, or was trained for another detector.
    """
    place = choose_device(device)
    network, opened, real_songs = open_detector(detector).to(place), open_corpus(corpus), open_corpus(real)
    train, valid, test = (
        bank_of(load_songs(opened.split(each)), network, place) for each in ("train", "valid", "test")
    )
    material = Material(
        network,
        open_judges(judges, network, place),
        _beginnings(start, network, wanted, usual=detector is None),
        train,
        valid,
        {TEST: test, REAL: bank_of(load_songs(real_songs.tracks), network, place)},
        surest_of(network, test),
    )
    identity = as_json({"plan": asdict(plan), "excerpts": excerpts, "material": material.digest()})
    done = read_parts(out, identity, "trainings", resume=resume)
    head = (
        {"study": "feature_loss", "measures": MEANINGS}
        | origin_of(corpus, len(opened.tracks))
        | {"real": {"corpus": origin_of(real, 0)["corpus"], "songs": len(real_songs.tracks)}}
        | {"identity": identity, "updates": plan.epochs * (plan.steps_per_epoch or 0)}
        | {"start": training_of(material.start), "originals": [pack_picture(x[0]) for x in material.shown]}
    )
    for each in wanted:
        if find({"trainings": done}, each) is None:
            done.append(run_configuration(each, material, plan, excerpts, Path(folder), resume, precision))
            if out is not None:
                write_results(out, as_json(head | {"trainings": done}))
    return as_json(head | {"trainings": done})


def _beginnings(
    start: str | PathLike[str] | None, network: SVDNet, wanted: Sequence[Configuration], *, usual: bool
) -> dict[str, FeatureInverter]:
    if start is None and not usual:
        return {}
    layers = list(dict.fromkeys(each.layer for each in wanted))
    return open_inverters(start or folder_of("input"), network, layers, "aligned")


def run_configuration(
    configuration: Configuration,
    material: Material,
    plan: TrainingPlan,
    excerpts: int,
    folder: Path,
    resume: bool,
    precision: str = "auto",
) -> dict[str, Any]:
    """Train one configuration and measure its inversions.

    Returns:
        "configuration", "kind", "precision", "validation_losses" of the epochs, the variances by which losses became
        shares, per corpus what `measure` returns, and "pictures": inversions of the excerpts that are shown, packed.
    """
    layer, seed = configuration.layer, configuration.seed
    compared = tuple(layer if each == OWN else each for each in configuration.compare)
    ears = untrained_like(material.detector, seed) if configuration.random else None
    fitted = fit_inverters(
        material.detector, material.train, material.valid, layers=layer, variant="aligned",
        compare=Comparison(compared, ears, SHIFT if configuration.moved else None), objective=configuration.objective,
        lambda_feature=configuration.weight or None, plan=plan, seed=seed, precision=precision,
        start={layer: material.start[layer]} if layer in material.start else None,
        folder=folder / _name(configuration), resume=resume,
    )  # fmt: skip
    inverter, record = fitted.inverters[layer], fitted.record(layer)
    measured = {
        corpus: measure(layer, inverter, material, bank, excerpts) for corpus, bank in material.measured.items()
    }
    pictures = reconstruct(material.detector, {layer: inverter}, material.shown)[layer]
    return as_json(
        {"configuration": asdict(configuration), "kind": configuration.kind, "precision": fitted.precision}
        | {key: record[key] for key in RECORDED if key in record}
        | measured
        | {"pictures": [pack_picture(picture[0]) for picture in pictures]}
    )


def _name(configuration: Configuration) -> str:
    parts = [configuration.layer, configuration.objective, *configuration.compare, f"{configuration.weight:g}"]
    parts += ["random"] * configuration.random + ["moved"] * configuration.moved
    return "-".join([*parts, str(configuration.seed)])


def surest_of(detector: SVDNet, bank: ExcerptBank) -> Tensor:
    """The excerpts of a bank that a detector calls sung most and least surely: (2, 1, 115, 80)."""
    x = bank.gather(bank.spread(CANDIDATES))
    heard = answers(detector, x)
    return x[torch.stack([heard.argmax(), heard.argmin()])]


def pack_picture(picture: Tensor) -> str:
    """A standardised excerpt (115, 80) as text: a byte per cell, packed; what lies outside `PICTURE_RANGE` is cut."""
    low, high = PICTURE_RANGE
    steps = ((picture.float().cpu() - low) / (high - low) * 255).round().clamp(0, 255).byte()
    return base64.b64encode(zlib.compress(steps.numpy().tobytes(), 9)).decode()


def unpack_picture(text: str) -> Tensor:
    """What `pack_picture` packed, to within half a step, (115, 80)."""
    low, high = PICTURE_RANGE
    steps = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8).astype(np.float32)
    return torch.from_numpy(steps / 255 * (high - low) + low).view(EXCERPT_FRAMES, -1)


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

    over_songs, song_by_song = (partial(each, songs=songs, count=count) for each in (_over_songs, _song_by_song))
    x, x_hat = inverted(0)
    errors = feature_errors(detector, x, x_hat, MEASURED_AT)
    found: dict[str, Any] = {
        "nre": song_by_song((reconstruction_distances(x, x_hat) / mean_pairwise_distance(x)).cpu()),
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
        name: {"kept": song_by_song(kept), "correlation": _summary(_correlation(moments, songs, count))}
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


def _song_by_song(values: Tensor | np.ndarray, songs: np.ndarray, count: int) -> dict[str, Any]:
    """The same, and the mean of each song (songs,), by which trainings can be held against each other."""
    means = song_means(np.asarray(values, dtype=float), songs, count)
    return _summary(mean_interval(means)) | {"songs": means.tolist()}


def _correlation(moments: np.ndarray, songs: np.ndarray, count: int) -> Interval:
    """Of two numbers over all excerpts, from `correlation_moments` (5, n), by drawing songs."""
    return correlation_interval([song_means(row, songs, count) for row in moments])


def _summary(found: Interval) -> dict[str, Any]:
    return {"value": found.value, "ci95": list(found.ends)}


def describe(result: Mapping[str, Any]) -> str:
    """The results as a table for people: the mean over the seeds of what matters most."""
    lines = [f"After {result['updates']} more updates of {result['identity']['plan']['batch_size']} excerpts"]
    for corpus in (TEST, REAL):
        lines.append(f"{corpus}: NRE, decisions kept and correlation, by the detector and by the others")
        for (layer, kind), found in by_kind(result["trainings"]).items():
            cells = [f"{mean_of(found, corpus, 'nre'):.3f}"]
            for judge in found[0][corpus]["judges"]:
                cells += [f"{mean_of(found, corpus, 'judges', judge, what):.2f}" for what in ("kept", "correlation")]
            lines.append(
                f"  {layer:6} {kind:32} " + " ".join(f"{cell:>6}" for cell in cells) + f"  ({len(found)} seeds)"
            )
    return "\n".join(lines)


def by_kind(trainings: Sequence[Mapping[str, Any]]) -> dict[tuple[str, str], list[Mapping[str, Any]]]:
    """The trainings that differ in nothing but their seed, per layer and kind, in the order of the results."""
    found: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for each in trainings:
        found.setdefault((each["configuration"]["layer"], each["kind"]), []).append(each)
    return found


def find(result: Mapping[str, Any], wanted: Configuration) -> Mapping[str, Any] | None:
    """The training of that configuration, or None if the results lack it."""
    asked = as_json(asdict(wanted))
    return next((each for each in result["trainings"] if each["configuration"] == asked), None)


def control_of(wanted: Configuration) -> Configuration:
    """The training that went on by the input loss alone, with the same layer and seed."""
    return Configuration(wanted.layer, 0.0, objective="input", seed=wanted.seed)


def cost_of(result: Mapping[str, Any], wanted: Configuration, corpus: str) -> Interval | None:
    """How much more NRE a training has than its control, as a share; None if the results lack one of them."""
    one, control = find(result, wanted), find(result, control_of(wanted))
    if one is None or control is None:
        return None
    return change_interval(_songs_of(control[corpus]["nre"]), _songs_of(one[corpus]["nre"]))


def kept_of(training: Mapping[str, Any], judge: str, corpus: str) -> Interval:
    """The share of decisions that one of the judges keeps."""
    return mean_interval(_songs_of(training[corpus]["judges"][judge]["kept"]))


def _songs_of(entry: Mapping[str, Any]) -> np.ndarray:
    return np.asarray(entry["songs"], dtype=float)


def as_share(weight: float, training: Mapping[str, Any]) -> float:
    """A weight of means of squares as one of shares, by the variances that a training with shares has measured."""
    return float(weight * training["feature_variance"] / training["input_variance"])


def mean_of(trainings: Sequence[Mapping[str, Any]], *keys: str) -> float:
    """The mean over trainings of a measure, which lies under these keys."""
    values = []
    for each in trainings:
        for key in keys:
            each = each[key]
        values.append(each["value"])
    return float(np.mean(values))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right, 130 when interrupted."""
    parser = Parser(prog="python -m svdlib.lab.studies.feature_loss", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="to learn from (default synthetic)")
    parser.add_argument("--real", required=True, metavar="NAME", help="to measure on too: folder:PATH")
    parser.add_argument("--detector", type=Path, metavar="FILE", help="its weights (default: the packaged ones)")
    parser.add_argument("--judges", type=Path, nargs="+", default=[], metavar="FILE", help="weights of other detectors")
    parser.add_argument(
        "--start",
        type=Path,
        metavar="DIR",
        help="aligned inverters to go on from (default: the packaged ones of the input loss alone)",
    )
    parser.add_argument(
        "--precision", default="auto", choices=("auto", *PRECISIONS), help="of activations (default auto)"
    )
    parser.add_argument("--folder", type=Path, default=Path("runs/feature_loss"), help="where runs are kept")
    parser.add_argument("--resume", action="store_true", help="go on with what the results and the folder hold")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("real", "folder", "out", "detector", "judges", "start", "device", "precision", "resume")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=True)


if __name__ == "__main__":
    sys.exit(main())
