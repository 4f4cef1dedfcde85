# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Explanations, measured
#
# **Which map is right about the network, and which about the voice?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - that a map can do well without having the right moments;
# - why loudness is a strong opponent, and "not sung" a special answer;
# - which map finds the voice, where we know where the voice is.
#
# **Prerequisites:** {doc}`10_what_it_uses`.
#
# **Minutes:** 16 to read, 25 for the exercises, less than one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.compute.devices import choose_device
from svdlib.inversion.nre import reconstruct
from svdlib.lab.analysis import local_explanations as local
from svdlib.lab.analysis import masking
from svdlib.lab.analysis.local_explanations import MAP_TITLES
from svdlib.lab.figures import explanations as figures
from svdlib.lab.studies import load_results
from svdlib.lab.studies import what_it_uses as uses
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 4, "laptop": 16, "full": None}[profile]
per_answer = {"demo": 2, "laptop": 3, "full": 8}[profile]
study = load_results("what_it_uses")

tracks = svdlib.open_corpus(corpus).split("test")[:n_songs]
songs = svdlib.load_songs(tracks, stems=not study)
detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: svdlib.pretrained("inverter", layer=layer, variant="aligned")
    .to(device)
    for layer in local.INVERTED_LAYERS
}  # fmt: skip


def point(entry):
    """Value and interval of a measured number, nan where there is none."""
    return [
        np.nan if v is None else v for v in (entry["value"], *entry["ci95"])
    ]


def listed(names):
    return ", ".join(MAP_TITLES[name] for name in names) or "none"


def clearly(entry):
    """Whether the interval lies above zero."""
    return point(entry)[1] > 0


def verdict(entry):
    """In a word: does the interval of a difference lie above or below zero?"""
    _, low, high = point(entry)
    return "better" if low > 0 else "worse" if high < 0 else "–"


# %% [markdown]
# ## Measured on more songs
#
# {doc}`10_what_it_uses` tried three maps on a few excerpts. The same test has measured eight maps on all test songs of the synthetic corpus and on five real songs, which guided the making of that corpus ({doc}`06_real_singing`), with `python -m svdlib.lab.studies.what_it_uses`. The *advantage* is the area between the curves of cells kept and cells removed. The intervals come from drawing the songs anew.

# %% tags=["remove-input"]
if study:
    measured = study["corpora"]
else:
    found = uses.measure(detector, inverters, songs, per_answer, seed)
    measured = [found | {"corpus": corpus}]
titles = [
    "synthetic songs"
    if each["corpus"].startswith("synthetic")
    else "real songs"
    for each in measured
]
if not study:
    display(
        Markdown(
            "The stored results are missing here, so that the numbers below are those of a few excerpts."
        )
    )


def comparison(name):
    return {
        title: {
            key: {
                "the map": point(row["advantage"]),
                "at a wrong time": point(row["rolled"]["advantage"]),
            }
            for key, row in each["answers"][name]["mean"].items()
            if key in MAP_TITLES
        }
        for title, each in zip(titles, measured, strict=True)
        if name in each["answers"]
    }


# %% tags=["hide-input"] figure="advantage-sung" mystnb={"image": {"alt": "Advantage of eight maps with 95 percent intervals, for excerpts that the detector takes for sung, each beside the same map at a wrong time; one panel for synthetic and one for real songs. The text below says which maps are clearly above their control and above loudness."}}
figures.figure_comparison(comparison("sung"), "advantage", chance=0)


# %% tags=["hide-input"]
def row_of(name, title, group):
    table = group["mean"]
    over_loudness = uses.difference(
        table[name]["advantage"], table["loudness"]["advantage"]
    )
    return {
        f"{title}: against a wrong time": verdict(
            table[name]["over_control"]
        ),
        f"{title}: against loudness": verdict(over_loudness),
    }


asked = {
    title: each["answers"]["sung"]
    for title, each in zip(titles, measured, strict=True)
    if "sung" in each["answers"]
}
pd.DataFrame(
    [
        {"map": map_title}
        | {
            key: value
            for title, group in asked.items()
            for key, value in row_of(name, title, group).items()
        }
        for name, map_title in MAP_TITLES.items()
        if all(name in group["mean"] for group in asked.values())
    ]
).style.hide(axis="index")

# %% tags=["remove-input"]
sentences = []
for title, group in asked.items():
    values = {
        name: point(row["advantage"])[0]
        for name, row in group["mean"].items()
        if name in MAP_TITLES
    }
    best = max(values, key=values.get)
    sentences.append(
        f"On the {title} ({group['excerpts']} excerpts) the largest advantage has {MAP_TITLES[best]}, {values[best]:.2f}; the inversion of FC8 has {values['inversion-fc8']:.2f}."
    )
display(
    Markdown(
        "A map is *better* or *worse* where the interval of the difference excludes zero. "
        + " ".join(sentences)
    )
)

# %% [markdown]
# Three things to learn from this, whatever the numbers.
#
# A map can have an advantage *without* having the right places: compare each filled point with its hollow one. What the control still has comes from bands, not from moments: the same bands matter in many excerpts.
#
# Loudness is a strong opponent. The cells that stick out are the cells that carry information, and a network reacts to what is there. So "the answer survives if we keep what the explanation highlights" is easily true. A test without this comparison would have called loudness a good explanation of the detector.
#
# And gradients are made from the detector itself, cell by cell, so that they can pick cells which change this network's answer whether or not a listener would find anything there. A large advantage says that a map describes the *network*. It does not say that the network listens to the right thing. We come to that.
#
# ## The answer "not sung"

# %% tags=["hide-input"] figure="advantage-not-sung" mystnb={"image": {"alt": "Advantage of eight maps with 95 percent intervals, for excerpts that the detector takes for not sung, each beside the same map at a wrong time; one panel for synthetic and one for real songs. The text below interprets it."}}
figures.figure_comparison(comparison("not sung"), "advantage", chance=0)

# %% tags=["hide-input"]
rows = []
for title, each in zip(titles, measured, strict=True):
    if "not sung" not in each["answers"]:
        continue
    group = each["answers"]["not sung"]
    table = {k: row for k, row in group["mean"].items() if k in MAP_TITLES}
    rows.append(
        {
            "songs": f"{title}, {group['excerpts']} excerpts",
            "nothing but mean": f"{point(group['nothing'])[0]:.2f}",
            "silence": f"{point(group['nothing_silence'])[0]:.2f}",
            "least sure, any map and share": f"{min(min(row['keeping']) for row in table.values()):.2f}",
            "better than at a wrong time": listed(
                [
                    k
                    for k, row in table.items()
                    if clearly(row["over_control"])
                ]
            ),
            "clearly below zero": listed(
                [
                    k
                    for k, row in table.items()
                    if point(row["advantage"])[2] < 0
                ]
            ),
        }
    )
pd.DataFrame(rows).style.hide(axis="index")

# %% [markdown]
# The first numbers of the table are how sure the detector is of "not sung". Read this figure differently from the one before. An empty excerpt already gets this answer. So both ends of both curves are high, and nothing that is there was *needed* for the answer. What remains to be measured lies between: whether parts of the excerpt, taken alone, make the detector say "sung".
#
# A negative advantage means just that: the cells that the map puts first, kept alone, look more like singing than what is left without them. A map without a sign can easily end there, since it puts first what stands out, and not what speaks against singing. A positive advantage of a signed map means that it has put the suspicious cells last. This is worth knowing,
# but it does not show what the answer rests on: "not sung" is the absence of something, and one cannot point at an absence.
#
# ## Does the fill matter?

# %% tags=["remove-input"]
lines = []
for title, each in zip(titles, measured, strict=True):
    for name, group in each["answers"].items():
        mean_row, silent_row = (
            group[fill]["inversion-fc8"] for fill in ("mean", "silence")
        )
        lines.append(
            {
                "songs": title,
                "answer": name,
                "advantage, mean": point(mean_row["advantage"])[0],
                "over control, mean": point(mean_row["over_control"])[0],
                "advantage, silence": point(silent_row["advantage"])[0],
                "over control, silence": point(silent_row["over_control"])[0],
            }
        )
table = pd.DataFrame(lines)
display(table.style.format(precision=2).hide(axis="index"))
shift = (table["advantage, mean"] - table["advantage, silence"]).abs().max()
signs = (
    np.sign(table["over control, mean"])
    != np.sign(table["over control, silence"])
).sum()
display(
    Markdown(
        f"The table is for the inversion of FC8. From one fill to the other its advantage changes by up to {shift:.2f}, and its lead over the control changes its sign in {signs} of {len(table)} cases. "
        "A statement about a map that depends on the fill is a statement about the fill."
    )
)

# %% [markdown]
# ## Do the maps agree?
#
# Do two maps put the same cells first? We rank all 9200 cells of an excerpt by each map and correlate the ranks: 1 is the same order, 0 no relation. And as in {doc}`05b_kept_structure` we need a chance level. Two maps may agree because both always prefer the same bands, whatever the excerpt. So above the diagonal one of the
# two maps comes from an excerpt of another song.

# %% tags=["hide-input"] figure="map-agreement" mystnb={"image": {"alt": "A table of rank correlations between eight maps, coloured from purple, minus one, to orange, plus one. Below the diagonal both maps are of the same excerpt, above the diagonal one is of another song. The text below names the largest and the smallest."}}
agreement = measured[0]["answers"][
    "sung" if "sung" in measured[0]["answers"] else "not sung"
]["agreement"]
figures.figure_agreement(agreement)

# %% tags=["remove-input"]
correlations = {
    pair: point(entry["correlation"])[0] for pair, entry in agreement.items()
}


def pair_title(pair):
    return " and ".join(MAP_TITLES[name] for name in pair.split("/"))


ordered = sorted(correlations, key=correlations.get)
with_fc8 = {
    pair: value
    for pair, value in correlations.items()
    if pair.startswith("inversion-fc8/") and "inversion-mp6" not in pair
}
nearest = max(with_fc8, key=with_fc8.get)
overlap = agreement[nearest]
display(
    Markdown(
        f"On the {titles[0]}, the strongest agreement is between {pair_title(ordered[-1])} ({correlations[ordered[-1]]:.2f}), the weakest between {pair_title(ordered[0])} ({correlations[ordered[0]]:.2f}). "
        f"Of all maps but the other inversion, FC8's inversion agrees best with {MAP_TITLES[nearest.split('/')[1]]} ({with_fc8[nearest]:.2f}; by chance {point(overlap['chance_correlation'])[0]:.2f}). "
        f"Of the first tenth of the cells these two share {point(overlap['overlap'])[0]:.0%}; by chance it would be {point(overlap['chance_overlap'])[0]:.0%}."
    )
)

# %% [markdown]
# Low numbers need not mean that one of two maps is wrong. They answer different questions. A gradient asks "what if this cell changed a little?", SLIME "what if this whole region were gone?", an inversion "what does this feature look like?". But it does mean that *the* explanation of an answer does not exist. Who shows one map, shows one question's answer.
#
# ## Which map finds the voice?
#
# So far the detector itself was the judge. Is there a truth? In our synthetic songs there is one: they are mixed by a program from a voice and a band, so that we know for every cell whether the voice is louder than the band there. Real songs do not come with this knowledge.
#
# We take excerpts that are sung and that the detector takes for sung, and ask of each map: with which probability does a cell of the voice rank above another cell? That is the area under the ROC curve (AUC) over cells. 1 is perfect, 0.5 is chance. There are two controls: the map at a wrong time, and the map of an excerpt *of another song*. The
# second one knows which bands voices prefer, and nothing about this excerpt.

# %% tags=["remove-input"]
voiced = next((each for each in measured if each["voice"]), None)
if voiced is None:
    display(
        Markdown(
            "These songs have no stems, so that nobody knows where the voice is: this part needs the synthetic corpus."
        )
    )

# %% tags=["hide-input"] figure="finding-the-voice" mystnb={"image": {"alt": "How well eight maps find the cells of the voice: area under the ROC curve with 95 percent intervals, beside the same map at a wrong time and the map of another song, and a dashed line for chance at one half. The text below gives the values."}}
ways = {
    "map": "the map",
    "rolled": "at a wrong time",
    "swapped": "of another song",
}
figure = None
if voiced is not None:
    figure = figures.figure_comparison(
        {
            f"cells of the voice, {voiced['voice']['excerpts']} excerpts": {
                name: {
                    ways[way]: point(entry[way])
                    for way in ways
                    if way in entry
                }
                for name, entry in voiced["voice"]["auc"].items()
            }
        },
        "AUC",
        chance=0.5,
    )
figure

# %% tags=["hide-input"]
table = None
if voiced is not None:
    table = pd.DataFrame(
        [
            {
                "map": MAP_TITLES[name],
                "AUC": f"{point(entry['map'])[0]:.2f}",
                "above 0.5": "yes" if point(entry["map"])[1] > 0.5 else "–",
                "against a wrong time": verdict(entry["over_rolled"]),
                "against a map of another song": verdict(
                    uses.difference(entry["map"], entry["swapped"])
                )
                if "swapped" in entry
                else "",
            }
            for name, entry in voiced["voice"]["auc"].items()
        ]
    ).style.hide(axis="index")
table

# %% tags=["remove-input"]
if voiced is not None:
    sure = {
        name: point(entry)[0]
        for name, entry in voiced["voice"]["answers"].items()
    }
    display(
        Markdown(
            f"The voice is louder than the band in {point(voiced['voice']['voice_share'])[0]:.0%} of the cells. "
            f"Does the detector use the voice at all? The stems tell. It is sure of singing to {sure['mix']:.2f} in the mix, to {sure['band']:.2f} if the band plays alone, and to {sure['voice']:.2f} if the voice sings alone."
        )
    )

# %% [markdown]
# A modest AUC is no scandal by itself. The detector need not look at the whole voice: a few harmonics may be enough, and cells between them are "voice" in our truth as well. Nor must every cell it uses belong to the voice: where the band is silent may be evidence, too. But a map with an AUC at chance must not be shown to anyone as "this is where the singing is".
#
# ## A test without strange excerpts
#
# The stems allow one more thing that masks otherwise cannot have: *the right fill*. Into a removed cell we put what the band alone would have there. So removing all cells does not give a void but a normal excerpt in which nobody sings, and no mask has cliffs. And we can add a map that knows the truth: by how much the voice lies above the band in each cell.

# %% tags=["hide-input"] figure="voice-removed" mystnb={"image": {"alt": "Advantage of eight maps and of the true voice with 95 percent intervals, where masked cells hold what the band alone would have there, each beside the same map at a wrong time. The text below gives the values."}}
figure = None
if voiced is not None:
    figure = figures.figure_comparison(
        {
            "masked cells hold the band alone": {
                name: {
                    "the map": point(row["advantage"]),
                    "at a wrong time": point(row["rolled"]["advantage"]),
                }
                for name, row in voiced["voice"]["band"].items()
                if name in MAP_TITLES
            }
        },
        "advantage",
        chance=0,
    )
figure

# %% tags=["remove-input"]
if voiced is not None:
    table = {
        name: row
        for name, row in voiced["voice"]["band"].items()
        if name in MAP_TITLES
    }
    value = {k: point(row["advantage"])[0] for k, row in table.items()}
    gaps = {
        k: uses.difference(row["advantage"], table["voice"]["advantage"])
        for k, row in table.items()
        if k != "voice"
    }
    more = [k for k, gap in gaps.items() if clearly(gap)]
    less = [k for k, gap in gaps.items() if point(gap)[2] < 0]
    display(
        Markdown(
            f"Cells in the order of the true voice have an advantage of {value['voice']:.2f} ({point(table['voice']['rolled']['advantage'])[0]:.2f} at a wrong time). {f'Clearly more: {listed(more)}' if more else 'No map has clearly more'}. {f'Clearly less: {listed(less)}' if less else 'None has clearly less'}. "
            "A map can do better than the true voice, because it need not find all of the voice, only the cells that move this network."
        )
    )

# %% [markdown]
# Put the last two figures side by side. One asks whether a map is right about the *sound*, the other whether it is right about the *network*. A map can be good at one and poor at the other, and the word "explanation" hides which of the two is meant.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A map has a large advantage, but it finds the voice's cells no better than chance. How can that be?",
        [
            Answer(
                "It points at what moves the network, not at the voice.",
                "These are two questions. A map can be right about the network and say little about the sound.",
                right=True,
            ),
            Answer(
                "One of the two measurements must be wrong.",
                "Both can be right: one judge is the detector, the other one is the mix. They are asked different things.",
            ),
            Answer(
                "The detector does not use the voice at all.",
                "That is not shown. A few of the voice's cells, or those between its harmonics, may be enough for it. Take the voice's stem away and see.",
            ),
        ],
    ),
    Question(
        'An empty excerpt gets the answer "not sung". A map of this answer has a negative advantage. What does that mean?',
        [
            Answer(
                "The cells that it puts first look more like singing than the rest.",
                'Kept alone, they make the detector less sure of "not sung" than what is left without them.',
                right=True,
            ),
            Answer(
                "The answer rests on cells that the map puts last.",
                "It rests on no cells: even with none of them the answer is the same.",
            ),
            Answer(
                "The detector was wrong about this excerpt.",
                "The label does not enter the test. It asks what the detector says, not whether it is right.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - If an empty excerpt is "not sung" anyway, a test of that answer only shows which parts look like singing.
# - Maps that look equally plausible agree little. Say which question yours answers.
# - Where stems are at hand, use them: they give a truth to compare with, and a fill that makes no strange excerpts.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-bands-or-moments)=
# ### Exercise 1: Bands or moments?
#
# *Medium, 15 minutes.*
#
# The control of this chapter takes the right moments away from a map. Make two more, for maps (n, 115, 80), which return tensors of the same shape.
#
# - `wrong_bands(maps, bands)` takes the right bands away: each map moves up by that many bands, and what leaves at the top comes back at the bottom. Band 0 is the lowest.
# - `only_bands(maps)` leaves nothing but the bands: each cell gets the mean over time of its band, in its own map.
#
# Before you look at the solution: by how much can the advantage of `only_bands(maps)` change if you then shift it in time?
#
# :::{dropdown} First hint
# Frames are axis 1, bands are axis 2. One control shifts along an axis in a ring, the other takes a mean along one.
# :::
#
# :::{dropdown} Second hint
# `maps.roll(bands, dims=2)` for the first. For the second, a mean with `keepdim=True`, spread again by `expand_as`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_controls(wrong_bands, only_bands):
    rng = np.random.default_rng(4)
    values = rng.standard_normal((3, 115, 80)).astype(np.float32)
    tried = torch.tensor(values)
    got = np.asarray(wrong_bands(tried, 20))
    assert got.shape == values.shape, (
        f"`wrong_bands` returns the shape {got.shape}, not {values.shape}."
    )
    for axis, shift, hint in (
        (1, 20, "You have shifted along time, which is the middle axis."),
        (2, -20, "The maps have moved down, not up."),
        (0, 20, "You have given the maps to other excerpts."),
    ):
        assert not np.allclose(got, np.roll(values, shift, axis)), hint
    assert np.allclose(got[:, :, 20:], values[:, :, :60]), (
        "A value of band 0 should be in band 20, at the same time of the same map."
    )
    assert np.allclose(got[:, :, :20], values[:, :, 60:]), (
        "What leaves at the top does not come back at the bottom in its order."
    )
    assert np.allclose(
        np.asarray(wrong_bands(tried, 1))[:, :, 1:], values[:, :, :-1]
    ), "By 1 band, your maps move by another number."
    got = np.asarray(only_bands(tried))
    assert got.shape == values.shape, (
        f"`only_bands` returns the shape {got.shape}, not {values.shape}. Each time gets the same values."
    )
    assert not np.allclose(got, values.mean(2, keepdims=True), atol=1e-5), (
        "You have taken the mean over the bands. It leaves nothing but the moments."
    )
    assert not np.allclose(
        got, values.mean((0, 1), keepdims=True), atol=1e-5
    ), (
        "You have taken the mean over all maps. Each excerpt keeps its own bands."
    )
    right = np.broadcast_to(values.mean(1, keepdims=True), values.shape)
    assert np.allclose(got, right, atol=1e-5), (
        "`only_bands` does not hold the mean over time of each band."
    )


# %% tags=["exercise"]
def wrong_bands(maps, bands):
    """Each map, moved up by a number of bands."""
    ...


def only_bands(maps):
    """In each cell the mean over time of its band."""
    ...


check_controls(wrong_bands, only_bands)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def wrong_bands(maps, bands):
    return maps.roll(bands, dims=2)


def only_bands(maps):
    return maps.mean(dim=1, keepdim=True).expand_as(maps)


display(check_controls(wrong_bands, only_bands))
chosen = uses.choose_excerpts(detector, songs, per_answer, seed)
taken = chosen.where(chosen.sung == chosen.sung.any())
several = {
    "inversion-fc8": reconstruct(detector, inverters, taken.x)["fc8"][:, 0],
    "grad-cam": local.grad_cam(detector, taken.x),
    "loudness": taken.x[:, 0],
}


def mean_advantage(values):
    curves = masking.masking_curves(
        detector, taken.x, values, torch.zeros_like(taken.x), uses.SHARES
    )
    kept, removed = (
        masking.answer_probability(logits, taken.sung)
        for logits in (curves.keeping, curves.removing)
    )
    areas = masking.area_under(curves.shares, kept - removed)
    return uses.over_songs(areas, taken.songs)["value"]


of_maps = local.towards(several, taken.sung)
rows = uses.try_maps(
    detector, taken, of_maps, torch.zeros_like(taken.x), seed
)
lines = []
for name, values in of_maps.items():
    lines.append(
        {
            "map": MAP_TITLES[name],
            "as it is": point(rows[name]["advantage"])[0],
            "wrong time": point(rows[name]["rolled"]["advantage"])[0],
            "wrong bands": mean_advantage(wrong_bands(values, 20)),
            "only bands": mean_advantage(only_bands(values)),
        }
    )
controls = pd.DataFrame(lines)
display(controls.style.format(precision=2).hide(axis="index"))
harder = controls["map"][controls["wrong bands"] < controls["wrong time"]]
beaten = controls["map"][controls["only bands"] >= controls["as it is"]]
display(
    Markdown(
        f"Excerpts: only {len(taken)}. Wrong bands cost more than a wrong time for: {', '.join(harder) or 'none'}. The bands alone do as well as the whole map, or better, for: {', '.join(beaten) or 'none'}. "
        "Shifted in time, `only_bands(maps)` stays what it is, since all its times are alike. So its advantage over the control is exactly 0, however large its advantage is. That is why this chapter asks for the difference."
    )
)

# %% [markdown]
# (exercise-rank-agreement)=
# ### Exercise 2: Do two maps agree?
#
# *Easy, 10 minutes.*
#
# Write `agreement(a, b)` for two maps of the same shape, tensors with no two equal values: rank all cells of each map and correlate the ranks. 1 means that both put the cells in the same order, −1 that one is the reverse of the other. Then compare FC8's inversion with loudness, and with the inversion of another excerpt.
#
# :::{dropdown} First hint
# A rank says how many cells are lower. How do you get it from a sorted list?
# :::
#
# :::{dropdown} Second hint
# `values.flatten().argsort().argsort()` are the ranks, from 0. Turn them into floating point, and take `torch.corrcoef` of the two stacked.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_agreement(agreement):
    rng = np.random.default_rng(0)
    for size in ((3, 4), (9, 8)):
        a, b = rng.normal(size=(2, *size))
        n = a.size
        ranks = [
            [(each < value).sum() for value in each.ravel()]
            for each in (a, b)
        ]
        apart = np.subtract(*ranks)
        right = 1 - 6 * (apart**2).sum() / (n * (n**2 - 1))
        plain = np.corrcoef(a.ravel(), b.ravel())[0, 1]
        order = np.corrcoef(a.ravel().argsort(), b.ravel().argsort())[0, 1]
        got = float(agreement(torch.tensor(a), torch.tensor(b)))
        assert abs(got - plain) > 1e-4, (
            "This is the correlation of the values. Rank them first."
        )
        assert abs(got - order) > 1e-4, (
            "`argsort` tells which cell comes first, not which rank a cell has. Sort once more."
        )
        assert abs(got - right) < 1e-4, (
            f"Two maps of {n} cells whose ranks correlate with {right:.3f} get {got:.3f}."
        )
    a = torch.tensor(rng.normal(size=(5, 6)))
    for b, expected in ((a.exp(), 1), (-a, -1)):
        got = float(agreement(a, b))
        assert abs(got - expected) < 1e-4, (
            f"Two maps in {'the same' if expected > 0 else 'reverse'} order agree by {expected}, not {got:.3f}."
        )


# %% tags=["exercise"]
def agreement(a, b):
    """Rank correlation of two maps (times, bands)."""
    ...


check_agreement(agreement)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def agreement(a, b):
    ranks = [each.flatten().argsort().argsort().double() for each in (a, b)]
    return torch.corrcoef(torch.stack(ranks))[0, 1]


display(check_agreement(agreement))
one, other = several["inversion-fc8"][0], several["inversion-fc8"][-1]
display(
    Markdown(
        f"FC8's inversion and loudness, one excerpt: {agreement(one, taken.x[0, 0]):.2f}. FC8's inversions of two excerpts: {agreement(one, other):.2f}. What two inversions share whatever the excerpt, like the bands, is what the chance level of this chapter takes away."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018eusipco` keep what an inversion highlights, the study repeated here.
# - {cite:t}`adebayo2018`: some maps hardly change when the network's weights are drawn anew.
