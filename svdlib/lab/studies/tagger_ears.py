"""Does a music tagger still hear voices in a detector's inversions, and do detectors hear them in those of the tagger?

    python -m svdlib.lab.studies.tagger_ears --corpus synthetic folder:my_songs --out results.json

The tagger hears 3 s of another scale of frequencies, so what is handed over is sound: a spectrogram with phases that
are guessed (`svdlib.sonify`). Inversions of two neighbouring excerpts are long enough for the tagger; of the sound of a
patch's inversion detectors hear the middle. What each says is compared with what it says of the original when that has
lost its phases in the same way, so that only the inversion is judged. Beside it stands chance, the inversion of the
next song's; and "as recorded", what the lost phases alone cost.
"""

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from svdlib.audio.decoding import resampled
from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_FRAMES, FRAME_LENGTH, HOP_LENGTH, SAMPLE_RATE
from svdlib.audio.sonify import sonify
from svdlib.compute.command_line import Parser
from svdlib.compute.progress import progress
from svdlib.detector.architecture import Detector
from svdlib.errors import CorpusError
from svdlib.inversion.nre import reconstruct
from svdlib.lab.analysis.intervals import Interval
from svdlib.lab.analysis.round_trip import correlation_interval, correlation_moments
from svdlib.lab.studies import as_json, origin_of, run_program, training_of
from svdlib.lab.studies.other_ears import COMPARED, judges_of, next_song
from svdlib.recipes import tracks_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import Track
from svdlib.tagger.front_end import sound_of_patch
from svdlib.tagger.model import MusicTagger, voice_contrast
from svdlib.tagger.patches import TAGGER_RATE, cut_patches, tagger_log_mel
from svdlib.zoo.listeners import Opened, open_listener

TAGGER = "music tagger"
RECORDED = "as recorded"
DEEP = {"detector": ("mp3", "conv5", "mp6", "fc7", "fc8")}
"""Which layers are asked for, where not all are: each costs a sound for each stretch."""

STRETCH = 2 * EXCERPT_FRAMES
"""Frames of the detector's that the tagger hears at once: two excerpts, 3.3 s."""


def study(corpora: Sequence[str], *, per_song: int = 4, seed: int = 0) -> dict[str, Any]:
    """Hand over inversions both ways, on the songs of several corpora.

    Args:
        corpora: names that `open_corpus` knows; of the first one the test songs are taken, of others all.
        per_song: random stretches of each song.
        seed: of their choice.

    Returns:
        The study's name, date and versions, how the inverters learned; "corpora": per corpus what `measure` returns.
    """
    listeners = [open_listener(name) for name in (*COMPARED, TAGGER)]
    measured, origin = {}, {}
    for number, name in enumerate(corpora):
        tracks = tracks_of(open_corpus(name), "all" if number else "test")
        origin = origin_of(name, len(tracks))
        measured[origin["corpus"]] = measure(listeners, tracks, per_song, seed)
    made = {key: origin[key] for key in ("date", "commit", "versions")}
    learned = {each.name: training_of(each.inverters) for each in listeners}
    return as_json({"study": "tagger_ears", "seed": seed} | made | {"training": learned, "corpora": measured})


@torch.no_grad()
def measure(listeners: Sequence[Opened], tracks: Sequence[Track], per_song: int, seed: int) -> dict[str, Any]:
    """Hand over inversions both ways.

    Args:
        listeners: detectors, and the tagger last.
        tracks: the songs, each 4 s long or more.
        per_song: random stretches of each.
        seed: of their choice.

    Returns:
        "songs" and "per_song"; "recorded", per judge the `correlation_moments` of what it says of the original without
        its phases and of the recording (5, songs); "listeners", per name, layer and judge "moments", likewise of what
        is said of the original and of the inversion, and "chance moments".

    Raises:
        CorpusError: if a song is too short.
    """
    *detectors, tagger = listeners
    judges, generator = judges_of(detectors), np.random.default_rng(seed)
    said: dict[tuple[str, str, str], list[float]] = {}
    for track in progress(tracks, description="sounds for other ears", unit="song"):
        samples = track.load()
        log_mel = torch.as_tensor(LogMel()(samples))
        if len(log_mel) <= STRETCH:
            raise CorpusError(f"{track.name} is {len(log_mel)} frames long, too short for two excerpts. Leave it out.")
        for begin in generator.integers(0, len(log_mel) - STRETCH, per_song):
            cut = samples[begin * HOP_LENGTH : (begin + STRETCH - 1) * HOP_LENGTH + FRAME_LENGTH]
            for key, value in _of_stretch(detectors, tagger, judges, log_mel[begin : begin + STRETCH], cut):
                said.setdefault(key, []).append(value)
    return _summed_up({key: torch.tensor(values) for key, values in said.items()}, len(tracks), per_song)


def _of_stretch(
    detectors: Sequence[Opened], tagger: Opened, judges: Mapping[str, Detector], log_mel: Tensor, samples: np.ndarray
) -> Iterator[tuple[tuple[str, str, str], float]]:
    """Who says what of whose inversion of a stretch, by painter, layer and judge; the original comes from "input"."""
    network = tagger.network
    assert isinstance(network, MusicTagger)
    yield (RECORDED, "tagged", TAGGER), _tagged(network, samples)
    yield ("input", "detected", TAGGER), _tagged(network, sonify(log_mel))
    for opened in detectors:
        scale: Any = opened.network.standardizer
        x = scale(log_mel).view(2, 1, EXCERPT_FRAMES, -1)
        for layer in DEEP.get(opened.name, tuple(opened.inverters)):
            x_hat = reconstruct(opened.listener, {layer: opened.inverters[layer]}, x)[layer]
            yield (opened.name, layer, TAGGER), _tagged(network, sonify(scale.inverse(x_hat[:, 0]).flatten(0, 1)))
    patch = torch.from_numpy(cut_patches(tagger_log_mel(samples))[:1])
    for name, logit in _detected(judges, samples, SAMPLE_RATE).items():
        yield (RECORDED, "detected", name), logit
    for name, logit in _detected(judges, sound_of_patch(patch[0, 0])).items():
        yield ("input", "tagged", name), logit
    for layer, inverter in tagger.inverters.items():
        x_hat = reconstruct(tagger.listener, {layer: inverter}, patch)[layer]
        for name, logit in _detected(judges, sound_of_patch(x_hat[0, 0])).items():
            yield (TAGGER, layer, name), logit


def _tagged(tagger: MusicTagger, samples: np.ndarray) -> float:
    """What the tagger says of voices in the first 3 s of a sound (samples,), 22050 Hz."""
    patch = torch.from_numpy(cut_patches(tagger_log_mel(samples))[:1])
    return float(voice_contrast(tagger(patch)))


def _detected(judges: Mapping[str, Detector], samples: np.ndarray, rate: int = TAGGER_RATE) -> dict[str, float]:
    """What detectors say of the middle of a sound (samples,): a logit per judge."""
    if rate != SAMPLE_RATE:
        samples = np.concatenate([*resampled([samples], rate, SAMPLE_RATE)])
    log_mel = torch.as_tensor(LogMel()(samples))
    begin = (len(log_mel) - EXCERPT_FRAMES) // 2
    excerpt = log_mel[begin : begin + EXCERPT_FRAMES]
    return {name: float(judge(judge.standardizer(excerpt)[None, None])) for name, judge in judges.items()}


def _summed_up(said: Mapping[tuple[str, str, str], Tensor], songs: int, per_song: int) -> dict[str, Any]:
    def moments(before: Tensor, after: Tensor) -> list[Any]:
        found: list[Any] = correlation_moments(before, after).reshape(5, songs, -1).mean(2).tolist()
        return found

    recorded: dict[str, Any] = {}
    listeners: dict[str, Any] = {}
    for (painter, layer, judge), after in said.items():
        # What a judge is asked of: the sound of a detector's input, or of a patch.
        before = said["input", "detected" if judge == TAGGER else "tagged", judge]
        if painter == RECORDED:
            recorded[judge] = moments(before, after)
        elif painter != "input":
            entry = {"moments": moments(before, after), "chance moments": moments(before, next_song(after, songs))}
            listeners.setdefault(painter, {}).setdefault(layer, {})[judge] = entry
    return {"songs": songs, "per_song": per_song, "recorded": recorded, "listeners": listeners}


def correlation_of(
    measured: Mapping[str, Any], listener: str, layer: str, judge: str, *, chance: bool = False
) -> Interval:
    """The correlation of what a judge says of originals and of inversions, songs drawn anew."""
    moments = measured["listeners"][listener][layer][judge]["chance moments" if chance else "moments"]
    return correlation_interval(moments)


def recorded_of(measured: Mapping[str, Any], judge: str) -> Interval:
    """The same of originals without their phases and of the recordings: what guessed phases alone cost."""
    return correlation_interval(measured["recorded"][judge])


def describe(result: Mapping[str, Any]) -> str:
    """The results as tables for people, one per corpus."""
    lines = []
    for name, measured in result["corpora"].items():
        lines += ["", f"{name}: {measured['songs']} songs, {measured['per_song']} stretches each"]
        for judge in measured["recorded"]:
            lines.append(f"{judge}, recordings: r {recorded_of(measured, judge).value:.2f}")
        for listener, layers in measured["listeners"].items():
            for layer, by_judge in layers.items():
                for judge in by_judge:
                    found = correlation_of(measured, listener, layer, judge)
                    chance = correlation_of(measured, listener, layer, judge, chance=True)
                    lines.append(f"{listener}, {layer}, to {judge}: r {found:.2f}, chance {chance.value:.2f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(
        prog="python -m svdlib.lab.studies.tagger_ears",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--corpus", required=True, nargs="+", metavar="NAME", help="the first one's test songs, of others all"
    )
    parser.add_argument("--per-song", type=int, default=4, metavar="N", help="stretches of each song (default 4)")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of their choice (default 0)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        return study(options.corpus, per_song=options.per_song, seed=options.seed)

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
