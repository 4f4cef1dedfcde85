"""What `svdlib.lab.studies.reproduce` would do: its steps, what is there already, time and disk. Nothing is written.

Times are counts of work times the time of one piece of it, measured on this machine on noise: an update of the detector
and of the eight inverters, a predicted frame, an inverted excerpt, a second of sound turned into a spectrogram. Disk
is counted from frames and parameters.
"""

import io
import time
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_FRAMES, FRAME_RATE, N_BANDS, SAMPLE_RATE
from svdlib.audio.spectra import N_BINS
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.devices import choose_device, device_name
from svdlib.compute.run_state import STATE_FILE
from svdlib.compute.storage import load_state
from svdlib.detector.excerpts import HOP_FRAMES, ExcerptBank
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.detector.prediction import predict
from svdlib.detector.training import fit_detector
from svdlib.inversion.nre import reconstruct
from svdlib.lab.studies.reproduce_steps import PER_SONG, Settings, Step, finished_steps, steps_of
from svdlib.recipes import fit_to_corpus
from svdlib.songs.corpora import PUBLISHED_NAMES, open_corpus
from svdlib.songs.corpora.base import SPLITS, Track
from svdlib.songs.corpora.published import find_publication
from svdlib.songs.loading import Songs
from svdlib.zoo.families import build_inverter
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.objectives import find_objective
from svdlib.zoo.profiles import DETECTOR_PROFILES, PROFILES

SECONDS_A_SONG = 100_000 * HOP_FRAMES / FRAME_RATE / 61
"""Length taken for songs that are not there to be looked at: the paper cuts about 100,000 excerpts from 61 songs, one
every 10 frames."""

NOISE_FRAMES = 700
SMALL_BATCH = 4
"""On a CPU the time of an update grows with the batch, so a small one is measured and the rest is multiplied."""


@dataclass(frozen=True)
class Outline:
    """How much sound a corpus has.

    Attributes:
        songs: number per split.
        seconds: length of a song, on average.
        there: whether it was looked at; if not, it is as published, with songs as long as in the paper.
        stems: whether its songs come apart.
        track: one of its songs, if it is there.
    """

    songs: dict[str, int]
    seconds: float
    there: bool = True
    stems: bool = False
    track: Track | None = None

    def frames(self, *splits: str) -> float:
        """Spectrogram frames of some splits, or of all."""
        return sum(self.songs.get(split, 0) for split in splits or SPLITS) * self.seconds * FRAME_RATE

    def excerpts(self, split: str) -> int:
        """Excerpts of a split, one every 10 frames."""
        of_a_song = max(0, (self.seconds * FRAME_RATE - EXCERPT_FRAMES) // HOP_FRAMES + 1)
        return int(self.songs.get(split, 0) * of_a_song)


@dataclass(frozen=True)
class Speeds:
    """Seconds that one piece of work takes here.

    Attributes:
        sound: a second of sound: loaded, where the corpus is there, and turned into a log-mel; per corpus.
        detector_update: one update of the detector.
        frame: one predicted frame.
        excerpt: one excerpt, inverted from all eight layers.
        inverter_update: one update of the eight inverters, per objective.
    """

    sound: dict[str, float]
    detector_update: float
    frame: float
    excerpt: float
    inverter_update: dict[str, float]


@dataclass(frozen=True)
class Line:
    """A row of the plan: a step, whether it is "done", "begun" or "to do", and what is left of its work.

    Attributes:
        step: the step.
        state: how far it is.
        seconds: estimated time that is left.
        bytes: estimated size of what it keeps.
    """

    step: Step
    state: str
    seconds: float
    bytes: float


def plan_of(settings: Settings, outlines: Mapping[str, Outline], speeds: Speeds | None = None) -> list[Line]:
    """Estimate every step.

    Args:
        settings: what would be reproduced.
        outlines: how much sound "corpus" and "second" have.
        speeds: None measures them, which takes up to some minutes.

    Raises:
        TrainingError: the folder holds results of other settings.
    """
    steps = steps_of(settings)
    done = finished_steps(settings, steps)
    speeds = speeds or measure(settings, outlines)
    lines = []
    for step in steps:
        left = 0.0 if step.name in done else 1 - _share_done(settings, step.name)
        state = "done" if left == 0 else "to do" if left == 1 else f"begun, {1 - left:.0%}"
        seconds = left * _seconds(settings, step.name, outlines, speeds)
        lines.append(Line(step, state, seconds, _bytes(settings, step.name, outlines)))
    return lines


def describe_plan(settings: Settings) -> str:
    """The plan as text for people: a table, the commands of each step, and how time and disk were estimated."""
    outlines = {role: outline_of(getattr(settings, role)) for role in ("corpus", "second")}
    lines = plan_of(settings, outlines)
    place = device_name(choose_device(settings.device))
    text = [f"Profile {settings.profile}, on {place}; folder {settings.folder}", ""]
    text += [_corpus_line(getattr(settings, role), outline) for role, outline in outlines.items()]
    text += ["", f"{'step':20} {'state':12} {'time':>10} {'disk':>9}  makes"]
    text += [
        f"{line.step.name:20} {line.state:12} {_duration(line.seconds):>10} {_size(line.bytes):>9}  {line.step.makes}"
        for line in lines
    ]
    text.append(f"{'report':20} {'each time':12} {'':>10} {'':>9}  report.html and results.json, from the steps above")
    total, size = sum(line.seconds for line in lines), sum(line.bytes for line in lines)
    text += [f"{'together, left':33} {_duration(total):>10} {_size(size):>9}", "", "The steps by hand:"]
    text += [f"  {line.step.name}: {command}" for line in lines for command in line.step.commands]
    text += [
        "",
        "Time: counted updates, frames and excerpts, times what one of each took just now on noise on this machine, "
        "busy as it is; songs one after the other. The report's own time is not counted.",
        f"Disk: {4 * N_BANDS} bytes a frame of log-mels, {2 * N_BINS} a frame of spectra, and all numbers of the "
        "trainings' states. The corpora themselves and the report are not counted.",
        "Nothing was written.",
    ]
    return "\n".join(text)


def outline_of(name: str) -> Outline:
    """Count a corpus, or take it as published where it is not fetched.

    Raises:
        CorpusError: it is unknown, or there and not usable.
    """
    if name.partition(":")[0].strip() in PUBLISHED_NAMES:
        publication, folder = find_publication(name)
        if not folder.is_dir():
            return Outline(dict(publication.songs), SECONDS_A_SONG, there=False)
    tracks = open_corpus(name).tracks
    songs = {split: sum(track.split == split for track in tracks) for split in SPLITS}
    known = [track.seconds for track in tracks if track.seconds is not None]
    seconds = float(np.mean(known)) if known else len(tracks[0].load()) / SAMPLE_RATE
    return Outline(songs, seconds, stems=all(track.stems for track in tracks), track=tracks[0])


# --- counting ------------------------------------------------------------------------------------------------------


def _seconds(settings: Settings, step: str, outlines: Mapping[str, Outline], speeds: Speeds) -> float:
    """The time of a whole step."""
    corpus, second = outlines["corpus"], outlines["second"]
    kind, _, objective = step.partition("-")
    if step == "log-mels":
        return sum(outlines[role].frames() / FRAME_RATE * speeds.sound[role] for role in outlines)
    if step == "detector":
        plan = DETECTOR_PROFILES[settings.profile]
        validation = corpus.frames("valid") * speeds.frame
        return plan.epochs * (plan.steps_per_epoch * speeds.detector_update + validation)
    if step == "detector-scores":
        return 2 * (corpus.frames("test") + second.frames()) * speeds.frame  # once for each rule of the AUC
    if kind == "inverters":
        plan = _inverters_plan(settings, objective, corpus)
        updates = plan.steps_per_epoch or corpus.excerpts("train") // plan.batch_size
        measured = min(plan.validation_excerpts or corpus.excerpts("valid"), corpus.excerpts("valid"))
        return plan.epochs * (updates * speeds.inverter_update[objective] + measured * speeds.excerpt)
    songs = corpus.songs.get("test", 0) + 2 * sum(second.songs.values())  # standardised in two ways
    return settings.sets * PER_SONG * songs * speeds.excerpt


def _bytes(settings: Settings, step: str, outlines: Mapping[str, Outline]) -> float:
    """What a step keeps on the disk. A state holds current and kept weights, and what the optimiser remembers."""
    corpus, plan = outlines["corpus"], DETECTOR_PROFILES[settings.profile]
    if step == "log-mels":
        frames = sum(outline.frames() for outline in outlines.values())
        if corpus.stems and not plan.needs_spectra:
            frames += 2 * corpus.frames("train")
        return 4 * N_BANDS * frames + (2 * N_BINS * corpus.frames("train") if plan.needs_spectra else 0)
    if step == "detector":
        detector = SVDNet()
        remembered = 1 if isinstance(plan.optimiser(detector.parameters()), torch.optim.SGD) else 2
        return _values([detector]) * (4 * (2 + remembered) + 2)
    if step.startswith("inverters-"):
        return _values([build_inverter(layer) for layer in LAYERS]) * (4 * 4 + 2)
    return 0


def _values(networks: list[torch.nn.Module]) -> int:
    return sum(value.numel() for network in networks for value in network.state_dict().values())


def _inverters_plan(settings: Settings, objective: str, corpus: Outline) -> Any:
    return find_objective(objective).plan(fit_to_corpus(PROFILES[settings.profile], corpus.excerpts("train")))


def _share_done(settings: Settings, step: str) -> float:
    """How much of a training an earlier, interrupted run has done: finished epochs of all."""
    folder = settings.folder / step
    if not (step == "detector" or step.startswith("inverters-")) or not (folder / STATE_FILE).is_file():
        return 0.0
    plan = (DETECTOR_PROFILES if step == "detector" else PROFILES)[settings.profile]
    return min(0.99, load_state(folder / STATE_FILE)[1]["epoch"] / plan.epochs)


# --- measuring -----------------------------------------------------------------------------------------------------


def measure(settings: Settings, outlines: Mapping[str, Outline]) -> Speeds:
    """Time one piece of each kind of work on this machine."""
    device = choose_device(settings.device)
    detector = SVDNet().eval().to(device)
    inverters = {layer: build_inverter(layer).eval().to(device) for layer in LAYERS}
    excerpts = torch.zeros(SMALL_BATCH, 1, EXCERPT_FRAMES, N_BANDS, device=device)
    noise = _noise()
    corpus = outlines["corpus"]
    with redirect_stderr(io.StringIO()):  # progress bars of what is only measured
        return Speeds(
            sound={role: _time_of_sound(outline) for role, outline in outlines.items()},
            detector_update=_time_of_detector_update(settings, device),
            frame=_timed(lambda: predict(detector, noise.log_mels[0])) / NOISE_FRAMES,
            excerpt=_timed(lambda: reconstruct(detector, inverters, excerpts)["fc8"].sum().item()) / SMALL_BATCH,
            inverter_update={
                objective: _time_of_inverter_update(_inverters_plan(settings, objective, corpus), objective, device)
                for objective in settings.objectives
            },
        )


def _time_of_sound(outline: Outline) -> float:
    """Per second of sound; without a song at hand, noise is taken and decoding is left out."""
    front_end = LogMel()
    samples = np.random.default_rng(0).normal(0, 0.1, 10 * SAMPLE_RATE).astype(np.float32)
    front_end(samples)
    begun = time.perf_counter()
    samples = outline.track.load() if outline.track else samples
    front_end(samples)
    return (time.perf_counter() - begun) / (len(samples) / SAMPLE_RATE)


def _time_of_detector_update(settings: Settings, device: torch.device) -> float:
    plan, noise = DETECTOR_PROFILES[settings.profile], _noise()
    small = plan.batch_size if device.type == "cuda" else min(SMALL_BATCH, plan.batch_size)

    def train(updates: int) -> None:
        fit_detector(
            noise, noise, plan=replace(plan, epochs=1, steps_per_epoch=updates, batch_size=small), device=device
        )

    return _time_of_update(train, device) * plan.batch_size / small


def _time_of_inverter_update(plan: Any, objective: str, device: torch.device) -> float:
    small = plan.batch_size if device.type == "cuda" else min(SMALL_BATCH, plan.batch_size)
    bank = ExcerptBank(_noise(), standardizer=Standardizer(), hop_frames=1, device=device)

    def train(updates: int) -> None:
        short = replace(plan, epochs=1, steps_per_epoch=updates, batch_size=small, validation_excerpts=2)
        fit_inverters(SVDNet().to(device), bank, bank, objective=objective, plan=short, precision="auto", capture=False)

    return _time_of_update(train, device) * plan.batch_size / small


def _time_of_update(train: Callable[[int], None], device: torch.device) -> float:
    """What one update more costs a training that does all the rest too."""
    more = 10 if device.type == "cuda" else 2
    train(1)
    short, long = _timed(lambda: train(1), warm=False), _timed(lambda: train(1 + more), warm=False)
    return max(long - short, 1e-6) / more


def _timed(work: Callable[[], object], *, warm: bool = True) -> float:
    if warm:
        work()
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _noise() -> Songs:
    """A song of noise, half of it sung, with spectra."""
    rng = np.random.default_rng(0)
    log_mel = rng.normal(0, 1, (NOISE_FRAMES, N_BANDS)).astype(np.float32)
    spectra = rng.uniform(0, 1, (NOISE_FRAMES, N_BINS)).astype(np.float16)
    return Songs([log_mel], [np.arange(NOISE_FRAMES) >= NOISE_FRAMES // 2], ["noise"], spectra=[spectra])


# --- text ----------------------------------------------------------------------------------------------------------


def _corpus_line(name: str, outline: Outline) -> str:
    songs = "/".join(str(outline.songs.get(split, 0)) for split in SPLITS)
    hours = outline.frames() / FRAME_RATE / 3600
    text = f"{name}: {songs} songs to train/validate/test, {hours:.1f} hours"
    if outline.there:
        return text
    return (
        f"{text}. Not fetched: counted as published, with {outline.seconds:.0f} s a song, as the paper has of Jamendo. "
        f"Get it with: svdlib corpus fetch {name.partition(':')[0]}"
    )


def _duration(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= length:
            return f"{seconds / length:.1f} {unit}"
    return f"{seconds:.0f} s" if seconds else "-"


def _size(size: float) -> str:
    for unit, length in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if size >= length:
            return f"{size / length:.1f} {unit}"
    return "-"
