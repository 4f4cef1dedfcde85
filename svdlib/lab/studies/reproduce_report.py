"""The page of `svdlib.lab.studies.reproduce`: every figure and table of the paper, in one file that needs no network.

What the paper says and what was found here stand side by side, under "paper" and "ours". The page names no place on
anybody's disk.
"""

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np
import torch

from svdlib.audio.mel_axis import EXCERPT_FRAMES, FRAME_RATE
from svdlib.compute.devices import choose_device
from svdlib.compute.storage import write_atomically
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import LAYERS, SVDNet
from svdlib.inversion.nre import reconstruct
from svdlib.inversion.training import Epoch
from svdlib.lab.analysis.intervals import Interval
from svdlib.lab.figures.diagrams import figure_detector, figure_inverter, figure_method, table_inverters, table_stages
from svdlib.lab.figures.nre import figure_nre
from svdlib.lab.figures.spectrograms import figure_excerpt, figure_inversions
from svdlib.lab.figures.style import Drawing, layer_title
from svdlib.lab.figures.training import figure_detector_training, figure_training
from svdlib.lab.studies.reproduce_steps import SECOND_SPLIT, Settings
from svdlib.recipes import bank_of, tracks_of
from svdlib.songs.corpora.base import Track
from svdlib.songs.loading import load_songs
from svdlib.zoo.checkpoints import open_detector, open_inverters
from svdlib.zoo.families import build_inverter

REPORT_FILE = "report.html"
EXCERPTS_PER_CLASS = 2
SHORT_CELL = 24
"""Cells of so few letters stay on one line: shapes, and numbers with their intervals."""
PUBLISHED_SONGS = ("jamendo", "rwc", 93, 100)

SHEET = """
:root {color-scheme: light dark; --line: #8886; --soft: #8882}
* {box-sizing: border-box}
body {font: 16px/1.5 system-ui, sans-serif; max-width: 56rem; margin: 0 auto; padding: 1rem; background: Canvas;
  color: CanvasText; overflow-wrap: break-word}
h1 {font-size: 1.6rem; line-height: 1.2} h2 {margin-top: 2.5rem; border-top: 1px solid var(--line); padding-top: 1rem}
figure {margin: 1.5rem 0} figure .wide {margin: 0 0 0.4rem}
figure img {display: block; max-width: 100%; min-width: 32rem; height: auto; background: white; border-radius: 4px}
figcaption, .note {font-size: 0.9rem; opacity: 0.85}
.wide {overflow-x: auto; margin: 1rem 0}
table {border-collapse: collapse; font-size: 0.9rem}
caption {text-align: left; font-weight: 600; padding-bottom: 0.4rem}
th, td {text-align: left; padding: 0.25rem 0.7rem; border-bottom: 1px solid var(--line); vertical-align: top}
thead th {background: var(--soft)} .short {white-space: nowrap} td {font-variant-numeric: tabular-nums}
"""


@dataclass(frozen=True)
class Names:
    """What the corpora are called on the page."""

    corpus: str
    second: str

    @property
    def by_key(self) -> dict[str, str]:
        """By the keys of an NRE measurement."""
        return {
            "corpus": f"{self.corpus}, test songs",
            "second": f"{self.second}, all songs",
            "second_own": f"{self.second}, standardised by itself",
        }


def write_report(settings: Settings, results: Mapping[str, Any]) -> None:
    """Write the page into the folder.

    Args:
        settings: names the weights and songs that figures 4 and 6 are computed from.
        results: what `results.json` holds.

    Raises:
        OutputError: if it cannot be written.
    """
    names = Names(results["corpus"].partition(":")[0], results["second"].partition(":")[0])
    sections = [
        _introduction(results, names),
        _method(settings),
        _detector_section(results, names),
        _inverters_section(results),
        _nre_section(results, names),
        _inversions_section(settings, names),
        _provenance(results),
    ]
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(_title(names))}</title><style>{SHEET}</style></head><body><main>"
        f"<h1>{escape(_title(names))}</h1>{''.join(sections)}</main></body></html>\n"
    )
    write_atomically(settings.folder / REPORT_FILE, lambda file: file.write(page.encode(errors="backslashreplace")))


def _title(names: Names) -> str:
    return f"Feature inversion of a singing-voice detector, on {names.corpus} and {names.second}"


# --- the sections --------------------------------------------------------------------------------------------------


def _introduction(results: Mapping[str, Any], names: Names) -> str:
    counted = [
        sum(count["songs"] for count in results["songs_and_frames"][role].values()) for role in ("corpus", "second")
    ]
    real = (names.corpus, names.second, *counted) == PUBLISHED_SONGS
    text = (
        "The experiments of Mishra, Sturm and Dixon (ISMIR 2018), repeated by <code>svdlib</code>. "
        f"Trained under the profile <code>{escape(results['profile'])}</code>, seed {results['seed']}. "
        "Columns called <em>paper</em> hold what its text says, columns called <em>ours</em> what was found here. "
    )
    text += "" if real else "The songs are not those of the paper, so equal numbers would be a coincidence. "
    rows = []
    for role, name in (("corpus", names.corpus), ("second", names.second)):
        for split, count in results["songs_and_frames"][role].items():
            minutes = count["frames"] / FRAME_RATE / 60
            rows.append(
                [name, split, count["songs"], f"{minutes:.1f}", f"{count['sung_frames'] / count['frames']:.0%}"]
            )
    table = _table("Songs", ["corpus", "split", "songs", "minutes", "sung"], rows)
    said = "Paper: 61, 16 and 16 songs of Jamendo to train, validate and test; 20 of the 100 songs of RWC to test."
    return f"<p>{text}</p>{table}{_note(said)}"


def _method(settings: Settings) -> str:
    table_1 = [list(row.values()) for row in table_stages(build_inverter("fc7"))]
    rows_2 = table_inverters()
    drawn = [
        (
            figure_method(),
            "Figure 1. The method.",
            "Block diagram: an excerpt passes the detector up to a layer; the inverter turns the feature back into an "
            "excerpt; input loss and feature loss compare both.",
        ),
        (
            figure_detector(SVDNet()),
            "Figure 2. The detector.",
            "The layers of the detector from an excerpt of 115 by 80 to one output, with the shape of each feature.",
        ),
        (
            figure_inverter(build_inverter("conv4")),
            "Figure 3. The inverter of Conv4.",
            "The layers of the inverter of Conv4 from its feature to an excerpt, with the shape of each.",
        ),
    ]
    tables = _table("Table 1. The inverter of FC7.", ["Layer", "Input shape", "Units", "Output shape"], table_1)
    tables += _table("Table 2. All inverters.", list(rows_2[0]), [list(row.values()) for row in rows_2])
    return f"<h2>Detector and inverters</h2>{''.join(_picture(*each) for each in drawn)}{tables}"


def _detector_section(results: Mapping[str, Any], names: Names) -> str:
    rows = []
    for role, name in (("corpus", names.by_key["corpus"]), ("second", names.by_key["second"])):
        score = results["detector_scores"][role]
        numbers = [_number(score[key]) for key in ("auc", "published_auc", "accuracy")]
        rows.append([name, *numbers, f"{score['threshold']:g}", "not said"])
    heads = ["songs", "AUC, exact (ours)", "AUC, published rule (ours)", "accuracy (ours)", "threshold", "paper"]
    note = (
        "Over all frames, after the median filter over 56 frames (0.8 s); the threshold is the most accurate one on "
        "the validation songs. The published rule of the AUC has 105 thresholds, the exact one as many as frames."
    )
    history = results["detector"]["history"]
    alt = "Training and validation loss of the detector over its epochs. Validation loss by epoch: " + _series(
        [epoch["validation"] for epoch in history]
    )
    curves = _picture(figure_detector_training(history), "Learning curve of the detector (ours).", alt)
    return f"<h2>How good the detector is</h2>{_table('Detector scores', heads, rows)}{_note(note)}{curves}"


def _inverters_section(results: Mapping[str, Any]) -> str:
    pictures = []
    for objective, layers in results["inverters"].items():
        history = _history(layers)
        ends = ", ".join(f"{layer_title(layer)} {loss:.3f}" for layer, loss in history[-1].validation.items())
        alt = (
            f"Training and validation loss of the eight inverters over {len(history)} epochs. Last validation: {ends}."
        )
        caption = f"Learning curves of the inverters (ours), objective {objective}."
        pictures.append(_picture(figure_training(history), caption, alt))
    return f"<h2>How the inverters learned</h2>{''.join(pictures)}"


def _nre_section(results: Mapping[str, Any], names: Names) -> str:
    parts = []
    for objective, measured in results["nre"].items():
        parts.append(_figure_5(objective, measured, names))
        parts.append(_nre_table(objective, measured, names))
    said = "".join(_statements_table(objective, results["nre"]) for objective in results["nre"])
    note = (
        f"Average over evaluation sets ({results['sets']}) of {results['per_song']} random excerpts per song; 95 % "
        "intervals from resampling whole songs. The mean predictor always gives the mean training excerpt: whatever is "
        "not below it has told us nothing of its feature. Paper: 10 sets of 8 per song, no intervals, no such line. "
        "How RWC was standardised the paper leaves open, so both ways are here. Of figure 5 it draws the curves and "
        "tells no numbers."
    )
    return f"<h2>Reconstruction error (NRE)</h2>{_note(note)}{''.join(parts)}{said}"


def _figure_5(objective: str, measured: Mapping[str, Any], names: Names) -> str:
    scores = {names.by_key[key]: _intervals(entry["layers"]) for key, entry in measured.items()}
    lines = {names.by_key[key]: entry["mean_predictor"] for key, entry in measured.items()}
    alt = f"NRE from Conv1 to FC8, objective {objective}. " + " ".join(
        f"{name}: {_series([score.value for score in by_layer.values()])} mean predictor {lines[name]:.3f}."
        for name, by_layer in scores.items()
    )
    return _picture(figure_nre(scores, lines), f"Figure 5. NRE over the layers, objective {objective}.", alt)


def _nre_table(objective: str, measured: Mapping[str, Any], names: Names) -> str:
    rows = [
        [layer_title(layer), *(_with_interval(entry["layers"][layer]) for entry in measured.values())]
        for layer in LAYERS
    ]
    rows.append(["mean predictor", *(_number(entry["mean_predictor"]) for entry in measured.values())])
    heads = ["layer", *(f"{names.by_key[key]} (ours)" for key in measured)]
    return _table(f"NRE with 95 % intervals, objective {objective}", heads, rows)


def _statements_table(objective: str, nre: Mapping[str, Any]) -> str:
    rows = statements(nre[objective])
    if objective == "joint" and "input" in nre:
        rows.append(compare_objectives(nre))
    return _table(f"What the paper says, objective {objective}", ["paper", "ours"], rows)


def _inversions_section(settings: Settings, names: Names) -> str:
    device = choose_device(settings.device)
    detector = open_detector(settings.detector_file).to(device)
    parts = []
    for role, split, name in (("corpus", "test", names.corpus), ("second", SECOND_SPLIT, names.second)):
        tracks = tracks_of(settings.opened[role], split)
        bank = bank_of(load_songs(tracks), detector, device)
        chosen = choose_excerpts(bank)
        if role == "corpus":
            parts.append(_figure_4(detector, bank, chosen, tracks))
        for objective in settings.objectives:
            inverters = open_inverters(settings.inverters_folder(objective), detector)
            parts.append(_figure_6(detector, inverters, bank, chosen, tracks, f"{name}, objective {objective}"))
    note = (
        "The excerpts are not picked by their looks: of all excerpts of a class, in the order of the songs, those "
        "after one third and two thirds. The paper shows one of each class and corpus, in rows."
    )
    return f"<h2>What the layers keep</h2>{_note(note)}{''.join(parts)}"


def _figure_4(detector: SVDNet, bank: ExcerptBank, chosen: Mapping[str, int], tracks: Sequence[Track]) -> str:
    name = next((each for each in chosen if each.startswith("vocal")), next(iter(chosen)))
    excerpt = bank.gather(torch.tensor([chosen[name]], device=bank.device))[0, 0]
    with torch.no_grad():
        log_mel = detector.standardizer.inverse(excerpt).cpu()
    where = _place(bank, chosen[name], tracks)
    alt = f"Mel spectrogram of 115 frames from {where}, its centre frame marked."
    return _picture(figure_excerpt(log_mel), f"Figure 4. An excerpt, {name}: {where}.", alt)


def _figure_6(
    detector: SVDNet,
    inverters: Mapping[str, torch.nn.Module],
    bank: ExcerptBank,
    chosen: Mapping[str, int],
    tracks: Sequence[Track],
    what: str,
) -> str:
    x = bank.gather(torch.tensor(list(chosen.values()), device=bank.device))
    inversions = reconstruct(detector, dict(inverters), x)
    excerpts = {
        name: {"input": x[k, 0]} | {layer: x_hat[k, 0] for layer, x_hat in inversions.items()}
        for k, name in enumerate(chosen)
    }
    where = "; ".join(f"{name}: {_place(bank, index, tracks)}" for name, index in chosen.items())
    alt = f"Spectrograms of {len(chosen)} excerpts above their inversions from Conv1 to FC8: {what}."
    return _picture(figure_inversions(excerpts), f"Figure 6. {what}. {where}.", alt)


def _provenance(results: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    rows = [[key, results[key]] for key in ("corpus", "second", "profile", "seed", "date", "commit")]
    rows.append(["versions", versions])
    rows += [[f"plan of the {name}", _plan(plan)] for name, plan in _plans(results).items()]
    steps = [[name, step["device"], f"{step['seconds']:.1f}"] for name, step in results["steps"].items()]
    return (
        f"<h2>Where the numbers come from</h2>{_table('Provenance', ['', ''], rows)}"
        f"{_table('Steps', ['step', 'device', 'seconds, in the last run of it'], steps)}"
    )


# --- what stands in them -------------------------------------------------------------------------------------------


def statements(measured: Mapping[str, Any]) -> list[list[str]]:
    """What the paper says of its figure 5, and what an NRE measurement shows; for readers to compare.

    Args:
        measured: what `svdlib.lab.studies.reproduce_steps.measure_nre` returned.

    Returns:
        Pairs of the paper's statement and ours.
    """
    value = {layer: entry["nre"] for layer, entry in measured["corpus"]["layers"].items()}
    falls = [f"{layer_title(a)} to {layer_title(b)}" for a, b in zip(LAYERS, LAYERS[1:], strict=False)
             if value[b] < value[a]]  # fmt: skip
    steps = {b: value[b] - value[a] for a, b in zip(LAYERS, LAYERS[1:], strict=False)}
    largest = max(steps, key=lambda layer: steps[layer])
    pairs = [
        ["the largest error is at FC8", f"the largest is at {layer_title(max(value, key=lambda layer: value[layer]))}"],
        ["it decreases towards shallower layers", f"exceptions: {', '.join(falls) or 'none'}"],
        ["a large increase from Conv2 to MP3", f"{steps['mp3']:+z.3f}; the largest step, {steps[largest]:+z.3f}, "
         f"leads to {layer_title(largest)}"],
        ["MP6 to FC7: changes by about 15 %", f"{value['fc7'] / value['mp6'] - 1:+z.1%}"],
        ["Conv5: about 18 % less than FC7", f"{value['conv5'] / value['fc7'] - 1:+z.1%}"],
    ]  # fmt: skip
    for key, way in (("second", "training songs' statistics"), ("second_own", "its own statistics")):
        other = measured[key]["layers"]
        worse = [layer_title(layer) for layer in LAYERS if other[layer]["nre"] > value[layer]]
        said = f"the second corpus is worse at all layers but Conv1 and Conv2 ({way})"
        pairs.append([said, f"worse at {', '.join(worse) or 'no layer'}"])
    return pairs


def compare_objectives(nre: Mapping[str, Any]) -> list[str]:
    """What the paper says of its baseline, input loss alone, and what is so here: a pair as in `statements`."""
    joint, alone = (nre[name]["corpus"]["layers"] for name in ("joint", "input"))
    changes = [f"{layer_title(layer)} {alone[layer]['nre'] / joint[layer]['nre'] - 1:+z.1%}" for layer in LAYERS]
    return ["with the input loss alone: similar or slightly lower at all layers", ", ".join(changes)]


def choose_excerpts(bank: ExcerptBank) -> dict[str, int]:
    """Excerpts of both classes: of each class, in order, those after one third and two thirds.

    Returns:
        Indices into the bank, under "non-vocal 1", "non-vocal 2", "vocal 1" and "vocal 2"; fewer where there are fewer.
    """
    sung = bank.labels(torch.arange(len(bank), device=bank.device)).cpu().numpy()
    chosen: dict[str, int] = {}
    for name, members in (("non-vocal", np.flatnonzero(~sung)), ("vocal", np.flatnonzero(sung))):
        places = np.unique([len(members) * k // (EXCERPTS_PER_CLASS + 1) for k in range(1, EXCERPTS_PER_CLASS + 1)])
        taken = members[places[places < len(members)]]
        chosen |= {f"{name} {number}": int(index) for number, index in enumerate(taken, start=1)}
    return chosen


def _place(bank: ExcerptBank, index: int, tracks: Sequence[Track]) -> str:
    song = int(bank.songs[index])
    begin = (int(bank.starts[index]) - int(bank.song_offsets[song])) / FRAME_RATE
    return f"{tracks[song].name}, {begin:.1f} to {begin + EXCERPT_FRAMES / FRAME_RATE:.1f} s"


def _history(layers: Mapping[str, Any]) -> list[Epoch]:
    """The epochs of a training, from the provenance of its inverters."""
    training = zip(*(entry["training_losses"] for entry in layers.values()), strict=True)
    validation = zip(*(entry["validation_losses"] for entry in layers.values()), strict=True)
    return [
        Epoch(dict(zip(layers, one, strict=True)), dict(zip(layers, other, strict=True)), {})
        for one, other in zip(training, validation, strict=True)
    ]


def _intervals(layers: Mapping[str, Any]) -> dict[str, Interval]:
    """Scores as they were before they became JSON, where nan is null."""
    ends = {layer: [np.nan if end is None else end for end in entry["ci95"]] for layer, entry in layers.items()}
    return {layer: Interval(entry["nre"], *ends[layer]) for layer, entry in layers.items()}


def _plans(results: Mapping[str, Any]) -> dict[str, Mapping[str, Any]]:
    plans = {"detector": results["detector"]["provenance"]["plan"]}
    for objective, layers in results["inverters"].items():
        plans[f"inverters, {objective}"] = next(iter(layers.values()))["plan"]
    return plans


def _plan(plan: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {_plan(value) if isinstance(value, dict) else value}" for key, value in plan.items())


# --- HTML ----------------------------------------------------------------------------------------------------------


def _picture(figure: Drawing, caption: str, alt: str) -> str:
    data = base64.b64encode(figure.png()).decode()
    image = f'<img alt="{escape(alt)}" src="data:image/png;base64,{data}">'
    return f'<figure><div class="wide" tabindex="0">{image}</div><figcaption>{escape(caption)}</figcaption></figure>'


def _table(caption: str, heads: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    head = f"<thead><tr>{head}</tr></thead>" if any(heads) else ""
    body = "".join(
        f'<tr><th scope="row">{escape(str(first))}</th>' + "".join(_cell(str(cell)) for cell in rest) + "</tr>"
        for first, *rest in rows
    )
    caption = f"<caption>{escape(caption)}</caption>"
    return f'<div class="wide" tabindex="0"><table>{caption}{head}<tbody>{body}</tbody></table></div>'


def _cell(text: str) -> str:
    short = ' class="short"' if len(text) <= SHORT_CELL else ""
    return f"<td{short}>{escape(text)}</td>"


def _note(text: str) -> str:
    return f'<p class="note">{escape(text)}</p>'


def _series(values: Sequence[float]) -> str:
    return ", ".join(f"{value:.3f}" for value in values) + "."


def _with_interval(entry: Mapping[str, Any]) -> str:
    low, high = entry["ci95"]
    return f"{entry['nre']:.3f}" + ("" if low is None else f" ({low:.3f} to {high:.3f})")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"
