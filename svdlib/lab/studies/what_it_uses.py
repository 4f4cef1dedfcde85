"""What does the detector use of an excerpt? Inversions and local explanations, each put to the test.

    python -m svdlib.lab.studies.what_it_uses --out results.json --real folder:my_songs

Excerpts of synthetic test songs, and of real ones where they are at hand, are explained in all ways. Then the cells
that a map puts first are kept or removed, and the detector answers again. Beside every map stands its control, the same
map at a wrong time. Synthetic songs have stems, so that for them it is known which cells hold the voice.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.compute.command_line import Parser
from svdlib.compute.devices import choose_device
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import SVDNet
from svdlib.lab.analysis.intervals import Interval, mean_interval, song_means
from svdlib.lab.analysis.local_explanations import INVERTED_LAYERS, MAP_TITLES, every_map, towards
from svdlib.lab.analysis.masking import (
    answer_probability,
    area_under,
    fill_like,
    logits_of,
    masking_curves,
    rolled,
    scattered,
    swapped,
    top_cells,
)
from svdlib.lab.studies import as_json, origin_of, run_program, training_of
from svdlib.recipes import tracks_of
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import Songs, load_songs
from svdlib.zoo.checkpoints import open_inverters, pretrained

SHARES = (0.1, 0.3, 0.6)
"""Shares of the cells that are kept and removed."""

TOP_SHARE = 0.1
"""The share of cells whose overlap is measured."""

CANDIDATES = 6
"""For each excerpt that is wanted so many are looked at: the detector's answers are not known before."""


@dataclass(frozen=True)
class Chosen:
    """Excerpts and what is known of them.

    Attributes:
        x: standardised (n, 1, 115, 80).
        songs: number of each one's song (n,).
        sung: the detector's answer, boolean (n,).
        labels: whether somebody sings in the centre frame, boolean (n,).
        lead: by how much the voice is louder than the band, in natural-log units (n, 115, 80); None without stems.
        voice_alone: the standardised log-mels of the voice alone (n, 1, 115, 80); likewise.
        band_alone: those of the band alone; likewise.
    """

    x: Tensor
    songs: np.ndarray
    sung: Tensor
    labels: Tensor
    lead: Tensor | None = None
    voice_alone: Tensor | None = None
    band_alone: Tensor | None = None

    def __len__(self) -> int:
        return len(self.x)

    def where(self, wanted: Tensor) -> "Chosen":
        """Those of the excerpts where a boolean (n,) is true."""
        cut = [part if part is None else part[wanted] for part in (self.lead, self.voice_alone, self.band_alone)]
        return Chosen(self.x[wanted], self.songs[wanted.cpu().numpy()], self.sung[wanted], self.labels[wanted], *cut)


def choose_excerpts(detector: SVDNet, songs: Songs, per_answer: int, seed: int = 0) -> Chosen:
    """Draw excerpts of each song at random: as many that the detector takes for sung as others, where there are.

    Args:
        detector: in eval mode, with its threshold.
        songs: raw log-mels and labels, with stems or without.
        per_answer: excerpts of each song and answer, at most.
        seed: of the choice.
    """
    device = detector.standardizer.mean.device
    bank = ExcerptBank(songs, standardizer=detector.standardizer, device=device)
    rng = np.random.default_rng(seed)
    starts, answers = [], []
    for offset, length in zip(bank.song_offsets, bank.song_lengths, strict=True):
        places = max(0, length - EXCERPT_FRAMES + 1)
        looked_at = offset + rng.permutation(places)[: CANDIDATES * per_answer]
        tried = torch.as_tensor(looked_at, device=device)
        said = says_sung(logits_of(detector, bank.cut(tried)), detector).cpu().numpy() if places else looked_at > 0
        for answer in (True, False):
            found = looked_at[said == answer][:per_answer]
            starts.append(found)
            answers.append(np.full(len(found), answer))
    first, sung = np.concatenate(starts), torch.as_tensor(np.concatenate(answers), device=device)
    song_of = np.searchsorted(bank.song_offsets, first, side="right") - 1
    labels = torch.as_tensor(np.concatenate(songs.labels)[first + CENTRE_FRAME].astype(bool), device=device)
    return Chosen(
        bank.cut(torch.as_tensor(first, device=device)), song_of, sung, labels, *_stems(songs, first, detector)
    )


def _stems(songs: Songs, first: np.ndarray, detector: SVDNet) -> tuple[Tensor | None, Tensor | None, Tensor | None]:
    """The voice's lead, and voice and band alone, standardised, of the excerpts that start at `first`."""
    if not songs.has_stems:
        return None, None, None
    window = first[:, None] + np.arange(EXCERPT_FRAMES)
    device = detector.standardizer.mean.device
    voice, band = (
        torch.as_tensor(np.concatenate(parts)[window], device=device) for parts in (songs.voices, songs.bands)
    )
    with torch.no_grad():
        alone = [detector.standardizer(part)[:, None] for part in (voice, band)]
    return voice - band, *alone


def says_sung(logits: Tensor, detector: SVDNet) -> Tensor:
    """The detector's answers at its own threshold, boolean, of the shape of the logits."""
    return torch.sigmoid(logits) > detector.threshold


# --- means over songs ---------------------------------------------------------------------------------------------


def over_songs(values: Tensor | np.ndarray, songs: np.ndarray) -> dict[str, Any]:
    """The mean of the songs' means, with a 95 % interval from drawing the songs anew.

    Args:
        values: a number per excerpt (n,); nan is left out.
        songs: the song of each excerpt (n,).

    Returns:
        "value", "ci95" (nan for fewer than two songs) and "per_song", the means of the songs, in their order, nan for
        a song without excerpts.
    """
    numbers = np.asarray(torch.as_tensor(values).cpu().double())
    return summary(song_means(numbers, songs, songs.max(initial=-1) + 1))


def summary(per_song: Sequence[float] | np.ndarray) -> dict[str, Any]:
    """Mean and 95 % interval of a number per song, as `over_songs` gives them; nan is left out."""
    means = np.asarray(per_song, dtype=float)
    found = mean_interval(means) if len(means) else Interval(np.nan, np.nan, np.nan)
    return {"value": found.value, "ci95": found.ends, "per_song": means.tolist()}


def difference(first: Mapping[str, Any], second: Mapping[str, Any]) -> dict[str, Any]:
    """By how much one number lies above another on the same songs, as `over_songs` gives it; null counts as nan."""
    return summary(np.subtract(*(np.asarray(each["per_song"], dtype=float) for each in (first, second))))


# --- the measurements ---------------------------------------------------------------------------------------------


def measure(
    detector: SVDNet, inverters: Mapping[str, nn.Module], songs: Songs, per_answer: int, seed: int = 0
) -> dict[str, Any]:
    """Explain excerpts of songs in all ways and put the explanations to the test.

    Args:
        detector: in eval mode, with its threshold.
        inverters: of `INVERTED_LAYERS`, in eval mode.
        songs: raw log-mels and labels; with stems, the voice's cells are known.
        per_answer: excerpts of each song and answer.
        seed: of the choice of excerpts, of perturbations and controls.

    Returns:
        "songs", their names; "shares" of the masks; "answers": for "sung" and "not sung" what `try_answer` returns;
        "voice": what `try_voice` returns, None without stems.
    """
    chosen = choose_excerpts(detector, songs, per_answer, seed)
    found: dict[str, Any] = {"songs": list(songs.names), "shares": [0.0, *SHARES, 1.0], "answers": {}, "voice": None}
    for name, sung in (("sung", True), ("not sung", False)):
        group = chosen.where(chosen.sung == sung)
        if not len(group):
            continue
        maps, fits = every_map(detector, inverters, group.x, seed=seed)
        found["answers"][name] = try_answer(detector, group, towards(maps, group.sung), seed)
        found["answers"][name]["slime_fit"] = over_songs(fits, group.songs)
        if sung and songs.has_stems:
            found["voice"] = try_voice(detector, group, maps, seed)
    return found


def try_answer(detector: SVDNet, group: Chosen, maps: Mapping[str, Tensor], seed: int) -> dict[str, Any]:
    """Keep and remove what maps put first, with bands at their mean in masked cells, and compare the maps.

    Args:
        detector: in eval mode.
        group: excerpts with the same answer.
        maps: by name, for that answer (n, 115, 80).
        seed: of the controls.

    Returns:
        "excerpts" and "right", how many there are and how many of the answers agree with the label; "whole" and
        "nothing", how sure the answer is for the excerpts and for an excerpt of nothing but fill; "mean", what
        `try_maps` returns for all maps; "silence", the same for the inversion of FC8 and digital silence as fill;
        "agreement", what `compare_maps` returns.
    """
    mean, silence = (fill_like(group.x, detector.standardizer, fill) for fill in ("mean", "silence"))
    deepest = {name: maps[name] for name in ("inversion-fc8",)}
    certain = {
        key: over_songs(answer_probability(logits_of(detector, x), group.sung), group.songs)
        for key, x in (("whole", group.x), ("nothing", mean), ("nothing_silence", silence))
    }
    return {
        "excerpts": len(group),
        "right": int((group.labels == group.sung).sum()),
        **certain,
        "mean": try_maps(detector, group, maps, mean, seed),
        "silence": try_maps(detector, group, deepest, silence, seed),
        "agreement": compare_maps(maps, group.songs),
    }


def try_maps(
    detector: SVDNet, group: Chosen, maps: Mapping[str, Tensor], fill: Tensor, seed: int
) -> dict[str, dict[str, Any]]:
    """Keep and remove what maps put first; each beside its control, and all beside dust.

    Args:
        detector: in eval mode.
        group: excerpts with the same answer.
        maps: by name (n, 115, 80).
        fill: what stands in masked cells, like the excerpts.
        seed: of the controls.

    Returns:
        By name, and "scattered" for masks of random cells: what `_curve` returns; for maps "rolled" in it is the same
        for the map at a wrong time, "over_control" how much larger the advantage of the map is.
    """
    generator = torch.Generator().manual_seed(seed)
    dust = scattered(next(iter(maps.values())), generator)
    found = {"scattered": _curve(detector, group, dust, fill)}
    for name, values in maps.items():
        row = _curve(detector, group, values, fill)
        row["rolled"] = _curve(detector, group, rolled(values, generator), fill)
        row["over_control"] = difference(row["advantage"], row["rolled"]["advantage"])
        found[name] = row
    return found


def _curve(detector: SVDNet, group: Chosen, values: Tensor, fill: Tensor) -> dict[str, Any]:
    """How sure the detector is of its answer while cells are kept and removed, mean over songs.

    "keeping" and "removing": means (points,); "answers_kept" and "answers_left": the share of excerpts with the same
    answer; "advantage": area under keeping minus area under removing. Random cells are near 0, but not exactly there,
    since few shares are measured: what counts is the difference to controls, which are measured at the same ones.
    """
    curves = masking_curves(detector, group.x, values, fill, SHARES)
    sure = [answer_probability(logits, group.sung) for logits in (curves.keeping, curves.removing)]
    same = [
        (says_sung(logits, detector) == group.sung[:, None]).double() for logits in (curves.keeping, curves.removing)
    ]
    means = [[over_songs(points, group.songs)["value"] for points in each.T] for each in (*sure, *same)]
    areas = [area_under(curves.shares, each) for each in sure]
    advantage = over_songs(areas[0] - areas[1], group.songs)
    return dict(zip(("keeping", "removing", "answers_kept", "answers_left"), means, strict=True)) | {
        "advantage": advantage
    }


def ranks_of(values: Tensor) -> np.ndarray:
    """The rank of each cell of a map, from 1 for the lowest; equal ones share the mean of theirs: (9200,)."""
    from scipy.stats import rankdata

    return rankdata(values.cpu().numpy().ravel())


def compare_maps(maps: Mapping[str, Tensor], songs: np.ndarray) -> dict[str, dict[str, Any]]:
    """Do two maps put the same cells first? Beside chance: one of the two maps is that of an excerpt of another song.

    Args:
        maps: by name (n, 115, 80).
        songs: the song of each excerpt (n,).

    Returns:
        For each pair, as "first/second": "correlation" of the ranks of the cells, "overlap" of the `TOP_SHARE` of cells
        that come first, as a share of these, and the same by chance, "chance_correlation" and "chance_overlap"; each as
        `over_songs` gives it, without the songs' own numbers. Chance is nan where there is but one song.
    """
    names, several = list(maps), len(set(songs.tolist())) > 1
    tops = {name: top_cells(values, TOP_SHARE).flatten(1).double() for name, values in maps.items()}
    ranks = {name: torch.as_tensor(np.stack([ranks_of(each) for each in values])) for name, values in maps.items()}
    ranks = {
        name: torch.nn.functional.normalize(values - values.mean(1, keepdim=True)) for name, values in ranks.items()
    }
    order = swapped(torch.arange(len(songs)), songs) if several else None
    pairs = [(a, b) for number, a in enumerate(names) for b in names[number + 1 :]]
    found: dict[str, dict[str, Any]] = {}
    for a, b in pairs:
        correlations = {"": _products(ranks[a], ranks[b]), "chance_": _products(ranks[a], ranks[b], order)}
        overlaps = {"": _products(tops[a], tops[b]), "chance_": _products(tops[a], tops[b], order)}
        if order is None:
            correlations["chance_"] = overlaps["chance_"] = torch.full((len(songs),), torch.nan)
        found[f"{a}/{b}"] = {f"{kind}correlation": _short(each, songs) for kind, each in correlations.items()} | {
            f"{kind}overlap": _short(each / tops[a][0].sum().cpu(), songs) for kind, each in overlaps.items()
        }
    return found


def _products(a: Tensor, b: Tensor, order: Tensor | None = None) -> Tensor:
    return (a * (b if order is None else b[order])).sum(dim=1).cpu()


def _short(values: Tensor, songs: np.ndarray) -> dict[str, Any]:
    full = over_songs(values, songs)
    return {key: full[key] for key in ("value", "ci95")}


def try_voice(detector: SVDNet, group: Chosen, maps: Mapping[str, Tensor], seed: int) -> dict[str, Any]:
    """Which map finds the voice? Only for excerpts that are sung and taken for sung.

    Args:
        detector: in eval mode.
        group: excerpts of songs with stems, which the detector takes for sung.
        maps: by name, for singing (n, 115, 80).
        seed: of the controls.

    Returns:
        "excerpts", how many; "voice_share", the share of cells in which the voice is louder than the band; "auc": for
        each map the probability that a cell of the voice ranks above another cell, with "rolled" and "swapped", the
        same for the map at a wrong time and for the map of an excerpt of another song; "answers": how sure the detector
        is that the mix, the band alone and the voice alone are sung; "band": what `try_maps` returns if masked cells
        hold what the band alone would have there, for all maps and for the true voice.
    """
    assert group.lead is not None
    here = group.labels & (group.lead > 0).flatten(1).any(dim=1)
    heard = group.where(here)
    assert heard.lead is not None and heard.band_alone is not None and heard.voice_alone is not None
    voice = heard.lead > 0
    kept = {name: values[here] for name, values in maps.items()}
    generator = torch.Generator().manual_seed(seed)
    aucs = {}
    for name, values in kept.items():
        ways = {"map": values, "rolled": rolled(values, generator)}
        if len(set(heard.songs.tolist())) > 1:
            ways["swapped"] = swapped(values, heard.songs)
        aucs[name] = {way: over_songs(voice_auc(each, voice), heard.songs) for way, each in ways.items()}
        aucs[name]["over_rolled"] = difference(aucs[name]["map"], aucs[name]["rolled"])
    sounds = {"mix": heard.x, "band": heard.band_alone, "voice": heard.voice_alone}
    kept["voice"] = heard.lead
    return {
        "excerpts": len(heard),
        "voice_share": over_songs(voice.flatten(1).double().mean(1), heard.songs),
        "auc": aucs,
        "answers": {
            name: over_songs(torch.sigmoid(logits_of(detector, sound)), heard.songs) for name, sound in sounds.items()
        },
        "band": try_maps(detector, heard, kept, heard.band_alone, seed),
    }


def voice_auc(maps: Tensor, voice: Tensor) -> np.ndarray:
    """Probability that a cell of the voice has a higher value than another cell, ties counting half.

    Args:
        maps: a value per cell (n, 115, 80).
        voice: the cells of the voice, boolean (n, 115, 80).

    Returns:
        (n,); nan where all cells are the voice's or none.
    """
    found = []
    for values, cells in zip(maps, voice.cpu().numpy(), strict=True):
        inside = int(cells.sum())
        outside = cells.size - inside
        if not inside * outside:
            found.append(np.nan)
            continue
        above = ranks_of(values)[cells.ravel()].sum() - inside * (inside + 1) / 2
        found.append(above / (inside * outside))
    return np.array(found)


# --- the program --------------------------------------------------------------------------------------------------


def study(
    corpus: str = "synthetic",
    *,
    real: str | None = None,
    per_answer: int = 3,
    real_per_answer: int = 8,
    seed: int = 0,
    device: str = "auto",
) -> dict[str, Any]:
    """Measure the test songs of a corpus, and all songs of a second one, and say where the numbers come from.

    Args:
        corpus: a name that `open_corpus` knows; its test songs are taken.
        real: a second one, of which all songs are taken.
        per_answer: excerpts of each song and answer.
        real_per_answer: likewise, of the second corpus.
        seed: of all choices.
        device: where to compute.

    Returns:
        The study's name, how the inverters learned, and under "corpora" what `measure` returns for each, with the
        corpus, date and versions.
    """
    detector = pretrained("detector").to(choose_device(device))
    inverters = open_inverters(None, detector, INVERTED_LAYERS, "aligned")
    wanted = [(corpus, "test", per_answer)] + ([(real, "all", real_per_answer)] if real else [])
    found = [as_json(_of_corpus(*each, detector, inverters, seed)) for each in wanted]
    learned = as_json(training_of(inverters))
    return {"study": "what_it_uses", "inverters": "aligned", "seed": seed, "training": learned, "corpora": found}


def _of_corpus(
    corpus: str, split: str, per_answer: int, detector: SVDNet, inverters: Mapping[str, nn.Module], seed: int
) -> dict[str, Any]:
    songs = load_songs(tracks_of(open_corpus(corpus), split), stems=True)
    origin = origin_of(corpus, len(songs.names)) | {"split": split, "per_answer": per_answer}
    # The names stand in what is measured; the origin counts the songs.
    measured = measure(detector, inverters, songs, per_answer, seed)
    return origin | {"names": measured.pop("songs")} | measured


def describe(result: Mapping[str, Any]) -> str:
    """The results as tables for people."""
    return "\n\n".join(_describe_corpus(found) for found in result["corpora"])


def _describe_corpus(found: Mapping[str, Any]) -> str:
    lines = [f"{found['corpus']}, {found['songs']} songs. Advantage: area kept minus area removed; in brackets its"]
    lines.append("95 % interval over songs; then that of the map at a wrong time, and the difference")
    for answer, group in found["answers"].items():
        lines.append(
            f"  answer {answer!r}: {group['excerpts']} excerpts, nothing but fill: {group['nothing']['value']:.3f}"
        )
        lines += [f"    {MAP_TITLES[name]:22}{_row(row)}" for name, row in group["mean"].items() if name in MAP_TITLES]
    if found["voice"]:
        lines.append("  masked cells hold the band alone")
        lines += [
            f"    {MAP_TITLES[name]:22}{_row(row)}"
            for name, row in found["voice"]["band"].items()
            if name in MAP_TITLES
        ]
        lines.append("  finding the voice: AUC over cells, at a wrong time, of another song")
        for name, ways in found["voice"]["auc"].items():
            numbers = "  ".join(_number(ways[way]) for way in ("map", "rolled", "swapped") if way in ways)
            lines.append(f"    {MAP_TITLES[name]:22}{numbers}")
    return "\n".join(lines)


def _row(row: Mapping[str, Any]) -> str:
    return "  ".join(_number(each) for each in (row["advantage"], row["rolled"]["advantage"], row["over_control"]))


def _number(entry: Mapping[str, Any]) -> str:
    low, high = entry["ci95"]
    value = "-" if entry["value"] is None else f"{entry['value']:+z.3f}"
    return f"{value} (-)" if low is None else f"{value} ({low:+z.3f} to {high:+z.3f})"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the study; 0 when done, 2 after something that the user can put right."""
    parser = Parser(prog="python -m svdlib.lab.studies.what_it_uses", description=__doc__)
    parser.add_argument("--corpus", default="synthetic", metavar="NAME", help="its test songs (default: synthetic)")
    parser.add_argument("--real", metavar="NAME", help="a second corpus, all songs of it, as in folder:PATH")
    parser.add_argument("--per-answer", type=int, default=3, metavar="N", help="excerpts per song and answer (3)")
    parser.add_argument("--real-per-answer", type=int, default=8, metavar="N", help="the same for --real (8)")

    def act(options: argparse.Namespace) -> dict[str, Any]:
        names = ("real", "per_answer", "real_per_answer", "device")
        return study(options.corpus, **{name: getattr(options, name) for name in names})

    return run_program(parser, arguments, act, describe, resumable=False)


if __name__ == "__main__":
    sys.exit(main())
