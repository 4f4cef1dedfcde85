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
# # Other detectors
#
# **What belongs to the task, what to the network, and what to nothing but its geometry?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - what a control with random weights tells, and what another architecture tells;
# - how to compare layers of networks that have no layer in common;
# - which inversions are still understood by a network that they were not made for.
#
# **Prerequisites:** {doc}`04_quantitative_nre` and {doc}`04d_round_trip`.
#
# **Minutes:** 13 to read, 25 for the exercises, about one to run.
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
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.devices import choose_device
from svdlib.inversion.nre import EvaluationPlan, mean_excerpt, reconstruct
from svdlib.lab.analysis.round_trip import answers, decisions_kept
from svdlib.lab.analysis.verdicts import table_of
from svdlib.lab.figures.ears import figure_matrix, figure_sizes, title_of
from svdlib.lab.figures.gallery import Gallery, Panel
from svdlib.lab.studies import label_of, load_results, other_ears
from svdlib.lab.studies.other_ears import rescaled
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.recipes import bank_of

device = choose_device(device)
n_test = {"demo": 16, "laptop": 16, "full": None}[profile]
n_train = {"demo": 8, "laptop": 16, "full": None}[profile]

collection = svdlib.open_corpus(corpus)
test_songs = svdlib.load_songs(collection.split("test")[:n_test])
train_songs = svdlib.load_songs(collection.split("train")[:n_train])

# %%
ears = {
    name: svdlib.open_listener(name).to(device)
    for name in ("detector", "recurrent detector", "untrained detector")
}
detector = ears["detector"].network
test = bank_of(test_songs, detector, device)
train = bank_of(train_songs, detector, device)

# %% [markdown]
# Below is the excerpt that the detector calls sung most surely, and what layers of three networks have kept of it: some 5,000 to 7,000 numbers first, then 64.

# %% tags=["hide-input"]
scale = detector.standardizer
candidates = test.gather(test.spread(128))
surest = candidates[answers(detector, candidates).argmax()][None]
shown = {
    "detector": ("mp6", "fc8"),
    "recurrent detector": ("lstm3", "centre"),
    "untrained detector": ("mp6", "fc8"),
}
pictures = {}
for name, layers in shown.items():
    opened = ears[name]
    own = opened.network.standardizer
    inverted = reconstruct(
        opened.listener,
        {layer: opened.inverters[layer] for layer in layers},
        rescaled(surest, scale, own),
    )
    pictures |= {
        f"{name}, {title_of(layer)}": rescaled(picture, own, scale)
        for layer, picture in inverted.items()
    }
judges = other_ears.judges_of(list(ears.values()), device)


def panel(title, picture):
    """A picture with its sound, and what the trained detectors say of it."""
    said = [
        f"{name} {torch.sigmoid(answers(judge, picture, scale))[0]:.2f}"
        for name, judge in judges.items()
    ]
    return Panel(
        title,
        scale.inverse(picture[0, 0]).detach().cpu(),
        picture[0, 0].detach().cpu(),
        f"singing: {', '.join(said)}",
    )


with torch.no_grad():
    gallery = Gallery(
        [panel("Original", surest)]
        + [panel(*each) for each in pictures.items()]
    )
gallery

# %% [markdown]
# ## One excerpt, three listeners
#
# Everything in this book was found in one network. A deep layer paints smooth pictures: is that what it takes to hear singing? Or would any network of this shape do so, trained or not? One network cannot tell. So we took two more, for the same songs:
#
# - **A recurrent detector**, after {cite:t}`leglaive2015`: the same task, the same training songs, but another way to look. Three layers of *long short-term memory* (LSTM) read the excerpt frame by frame, in both directions at once. Nothing is pooled, nothing is convolved.
# - **An untrained detector**: our architecture with random weights. It has learned nothing. What its inversions show comes from the geometry alone: from filters, pooling and the number of values, whatever these are.
#
# What the trained networks share and the untrained one lacks belongs to the *task*. What differs between the trained ones belongs to the *architecture*. What our detector shares with random weights needs neither.

# %% [markdown]
# ## The same error, at the same size
#
# The networks have no layer in common, but each layer has a size: the numbers of its feature, as a share of the 9,200 of an excerpt. More numbers can say more. So we compare errors *at equal size*. A layer that lies below another one of its size has kept more of the sound, or keeps it where an inverter finds it.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show the size of every layer"}
rows = [
    {
        "listener": name,
        "layer": title_of(layer),
        "numbers": f"{np.prod(opened.listener.shapes[layer]):,}",
        "of an excerpt's": f"{np.prod(opened.listener.shapes[layer]) / 9200:.2g}",
    }
    for name, opened in ears.items()
    for layer in opened.inverters
]
display(pd.DataFrame(rows).style.hide(axis="index"))

# %% tags=["remove-input"]
stored = load_results("other_ears")


def how_long(name):
    """How the inverters of a listener have learned, in words."""
    of_layers = stored["training"][name].values()
    updates = sorted({sum(each["updates"]) for each in of_layers})
    objectives = sorted({each["objective"] for each in of_layers})
    return f"{' to '.join(f'{count:,}' for count in (updates if len(updates) < 2 else (updates[0], updates[-1])))} updates of 16 excerpts ({' and '.join(objectives)} loss)"


display(
    Markdown(
        "The recurrent detector and all new inverters are small and were trained on two cores: "
        + "; ".join(
            f"*{name}*, {how_long(name)}" for name in stored["training"]
        )
        + ". Longer training would lower some errors. The inverters of random weights learned by the input loss alone, since there is no answer to keep. To be fair, the study below also has inverters of the trained detector that learned in just this way."
        if stored
        else "This copy of the library holds no stored result for these listeners; the page shows what it computes itself."
    )
)

# %% tags=["hide-input"]
plan = EvaluationPlan(sets=1, per_song=4, seed=seed)
measured = other_ears.measure(
    list(ears.values()), judges, test, mean_excerpt(train), plan
)
studied = (
    {label_of(name): each for name, each in stored["corpora"].items()}
    if stored
    else {"test songs of this page": measured}
)
source, first = next(iter(studied.items()))
listeners = first["listeners"]

# %% tags=["hide-input"] figure="errors-by-size" mystnb={"image": {"alt": "Normalised reconstruction error over the size of the layer that is inverted, from layers many times larger than an excerpt on the left to 64 numbers on the right. One line each for the detector, the recurrent detector, the untrained detector, and where it was measured for the detector with inverters trained by the input loss alone. A dotted line is the mean excerpt. The text below compares the layers of equal size."}}
sizes = {
    name: {
        layer: (
            entry["cells"] / 9200,
            other_ears.nre_of(first, name, layer),
        )
        for layer, entry in layers.items()
    }
    for name, layers in listeners.items()
}
figure_sizes(
    sizes,
    "NRE",
    line=other_ears.nre_of(first, other_ears.BLIND, "").value,
    line_name="mean excerpt",
)

# %% tags=["remove-input"]
twin = other_ears.trained_twin(first)


def nre(name, layer):
    """An error as text."""
    return f"{other_ears.nre_of(first, name, layer).value:.2f}"


control = other_ears.UNTRAINED
text = f"On *{source}*: with inverters that learned alike, random weights have an NRE of {nre(control, 'mp6')} at MP6 and {nre(control, 'fc8')} at FC8. The trained detector has {nre(twin, 'mp6')} and {nre(twin, 'fc8')}. "
gap = other_ears.nre_difference(first, (control, "fc8"), (twin, "fc8"))
if gap.lies_below(0):
    text += "At FC8 random weights can be inverted *better*. So what FC8 has lost was not lost to the geometry: the training has thrown it away. "
elif gap.lies_above(0):
    text += "At FC8 random weights are inverted worse: the training has arranged the 64 numbers so that more of the sound can be read from them. "
else:
    text += "At FC8 the two cannot be told apart on these songs. "
text += f"The recurrent detector ends in 64 numbers too, and the inversions of these have {nre('recurrent detector', 'centre')}, where FC8 has {nre('detector', 'fc8')}. "
text += f"LSTM3, with {sizes['recurrent detector']['lstm3'][0]:.0%} of an excerpt's numbers, has {nre('recurrent detector', 'lstm3')}; MP6, with {sizes['detector']['mp6'][0]:.0%}, has {nre('detector', 'mp6')}."
display(Markdown(text))

# %% [markdown]
# Random weights are no silly network. Layers of random weights keep the distances between their inputs well {cite}`giryes2016`, and so most of what tells one excerpt from another. It is a high bar: only what a trained layer does *better*, or drops where random weights do not, needs the training as an explanation.
#
# ## What of the sound
#
# An error is one number. The measures of {doc}`05b_kept_structure` ask for onsets, and for the fine lines of harmonics. From each we subtract chance: the agreement with the inversion of another song's excerpt.

# %% tags=["remove-input"]
rows = []
for name, layers in listeners.items():
    for layer, entry in layers.items():
        if entry["cells"] <= 9200:
            rows.append(
                {"listener": name, "layer": title_of(layer)}
                | {
                    f"{kind}, above chance": f"{other_ears.match_above_chance(first, name, layer, kind):.2f}"
                    for kind in other_ears.KINDS
                }
            )
display(pd.DataFrame(rows).style.hide(axis="index"))

# %% [markdown]
# (other-ears)=
# ## Do other ears still hear it?
#
# An inversion that its own network answers like the original may be a private code between the network and its inverter. So we hand each inversion to the *other* networks. This is the test of {cite:t}`feather2019`: they made sounds that a network takes for the same as an original, its *metamers*, and played them to people. Those of deep layers could not be recognised by ear. Later they played metamers to other networks, and found that each network goes its own way: most were heard rightly by no other one {cite}`feather2023`.
#
# A row is a layer whose inversions are handed over, a column who hears them. Each cell is the correlation of that listener's logits for originals and inversions; in brackets, chance.

# %% tags=["hide-input"]
names = list(judges)
painters = [
    (name, layer) for name in other_ears.COMPARED for layer in listeners[name]
]
titles = [
    f"{name.removesuffix(' detector')}, {title_of(layer)}"
    for name, layer in painters
]


def matrix(number, **settings):
    """A number for each painter and judge."""
    return np.array(
        [
            [
                number(first, *painter, judge, **settings).value
                for judge in names
            ]
            for painter in painters
        ]
    )


# %% tags=["hide-input"] figure="who-hears-what" mystnb={"image": {"alt": "A table with a row for each layer of the detector, the recurrent and the untrained detector, and a column for each trained detector that hears the inversions: the detector, the recurrent one and the second detector. Each cell is shaded by the correlation of the logits for originals and inversions and holds it as a number, with chance in brackets. The text below gives the numbers of the deepest layers."}}
correlation = other_ears.correlation_of
figure_matrix(
    {"Correlation of logits": matrix(correlation)},
    {"Correlation of logits": matrix(correlation, chance=True)},
    titles,
    names,
)

# %% tags=["remove-input"]


def r(painter, judge):
    """A correlation as text."""
    return f"{correlation(first, *painter, judge).value:.2f}"


fc8, centre = ("detector", "fc8"), ("recurrent detector", "centre")
random = ("untrained detector", "fc8")
text = f"The deepest pictures of the detector, from FC8, are heard by itself with r = {r(fc8, 'detector')}, by the recurrent detector with {r(fc8, 'recurrent detector')} and by the second detector with {r(fc8, 'second detector')}. "
text += f"Those of the recurrent detector's 64 numbers: by itself with {r(centre, 'recurrent detector')}, by the detector with {r(centre, 'detector')}. "
text += f"Those of 64 random numbers: by the detector with {r(random, 'detector')}, by the recurrent one with {r(random, 'recurrent detector')}."
display(Markdown(text))

# %% tags=["hide-input"] figure="decisions-of-others" mystnb={"image": {"alt": "The same table for the share of decisions that inversions leave as they were, in percent, with chance in brackets: what the inversion of another song's excerpt keeps."}}
kept = other_ears.kept_of
figure_matrix(
    {"Decisions kept": matrix(kept)},
    {"Decisions kept": matrix(kept, chance=True)},
    titles,
    names,
    percent=True,
)

# %% [markdown]
# Read the matrix by columns and by rows. If a row is dark everywhere but in its own network's column, the picture is a private code. If it is bright everywhere, what the layer knows of singing is really painted, for anybody to hear. If it is dark everywhere, either the layer has lost it, or its inverter was not asked to paint it: the own column, and the feature loss in its training ({doc}`03_training`), tell which.
#
# (what-was-expected)=
# ## What we expected
#
# Before anything was measured we wrote six sentences into the study's program, each with the number that decides it. An expectation is *open* where the interval crosses its bound.

# %% tags=["remove-input"]
outcomes = table_of(other_ears.EXPECTATIONS, studied)
display(
    pd.DataFrame(outcomes)
    .style.hide(axis="index")
    .set_properties(subset=["expected"], **{"min-width": "11rem"})
)

# %% tags=["remove-input"]
ends = [each.outcome(first) for each in other_ears.EXPECTATIONS]
display(
    Markdown(
        f"On *{source}*, {ends.count('holds')} of {len(ends)} hold, and {ends.count('fails')} fail."
    )
)

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A trained layer and the same layer with random weights are inverted with the same error. What follows?",
        [
            Answer(
                "This error needs no training as its explanation.",
                "The geometry is enough: filters, pooling and the number of values. Training may still have changed what the layer knows, at the same error.",
                right=True,
            ),
            Answer(
                "The training has not changed the layer.",
                "Equal errors are no equal features. One may keep the voice, the other the drums.",
            ),
            Answer(
                "The inverter has ignored the feature.",
                "Then the error would be that of the mean excerpt. Look at that line first.",
            ),
        ],
    ),
    Question(
        "FC8's inversions are answered like the originals by the detector, but by no other network. What is likely?",
        [
            Answer(
                "They hold a code that this detector reads, and not what others hear as singing.",
                "The inverter was trained to please these features. Others have learned other features, and do not read the code.",
                right=True,
            ),
            Answer(
                "The other networks are bad at hearing singing.",
                "Look at what they say of the originals. That is what each is compared with.",
            ),
            Answer(
                "FC8 knows nothing of singing.",
                "It knows the answer: one dense layer reads it from there. The question is whether the picture shows it.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A finding about one network is a finding about its weights, its architecture or its geometry. A control with random weights and a second architecture tell which.
# - Networks without a common layer are compared at equal size.
# - Give inversions to networks that had no part in making them. Beside every number belongs chance.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-chance-of-songs)=
# ### Exercise 1: Somebody else's inversion
#
# *Easy, 10 minutes.*
#
# Write `chance(before, after, songs)`: the share of decisions that are kept when every excerpt gets the inversion of an excerpt of the *next* song. Both arguments are boolean arrays of decisions, song by song, with as many excerpts of each; the last song gets those of the first.
#
# :::{dropdown} First hint
# How many excerpts does each song have? Move the decisions on the inversions by that many places.
# :::
#
# :::{dropdown} Second hint
# `np.roll(after, -n)` puts what stood `n` places later in each place.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_chance(chance):
    before = np.array([0, 1, 1, 0, 0, 0, 1, 1]) == 1
    after = np.array([0, 0, 1, 0, 0, 0, 1, 1]) == 1
    got = chance(before, after, 4)
    assert not np.isclose(got, np.mean(before == after)), (
        "These are the decisions kept by the right inversions. Chance takes those of the next song."
    )
    assert not np.isclose(got, np.mean(before == np.roll(after, -1))), (
        "This is the next excerpt, which is mostly of the same song. Move on by a whole song."
    )
    right = np.mean(before == (np.array([1, 0, 0, 0, 1, 1, 0, 0]) == 1))
    assert np.isclose(got, right), (
        f"For two excerpts of each of four songs it is {right:.2f}, not {got:.2f}."
    )
    return "A whole song further, and round at the end."


# %% tags=["exercise"]
def chance(before, after, songs):
    """Share of decisions kept by inversions of the next song's excerpts."""
    ...


check_chance(chance)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def chance(before, after, songs):
    return np.mean(before == np.roll(after, -(len(after) // songs)))


display(check_chance(chance))

# %% [markdown]
# (exercise-whose-scale)=
# ### Exercise 2: Whose scale?
#
# *Medium, 15 minutes.*
#
# Each detector standardises by the mean and deviation of its own training songs. Write `handed_over(x, giver, taker)`: excerpts that one detector has standardised, as the other one standardises them. A standardizer is called to standardise, and its `inverse` undoes it; both take `(…, frames, 80)`. What happens to decisions if one forgets this?
#
# :::{dropdown} First hint
# Go back to the log-mel, which is the same for both.
# :::
#
# :::{dropdown} Second hint
# First `giver.inverse`, then `taker`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_handed_over(handed_over):
    giver, taker = Standardizer(), Standardizer()
    giver.mean += 1
    giver.std *= 2
    taker.mean += 4
    taker.std *= 0.5
    x = torch.full((1, 1, 3, 80), 3.0)
    got = handed_over(x, giver, taker)
    assert torch.is_tensor(got) and got.shape == x.shape, (
        "Return excerpts of the same shape."
    )
    value = float(got.mean())
    mistakes = {
        "Nothing has changed.": 3.0,
        "You have standardised by the taker alone. First undo the giver's scale.": -2.0,
        "Giver and taker have changed places.": 2.25,
    }
    for sentence, wrong in mistakes.items():
        assert abs(value - wrong) > 1e-5, sentence
    assert abs(value - 6) < 1e-5, (
        f"3 on a scale of mean 1 and deviation 2 is 7, and that is 6 on one of mean 4 and deviation 0.5, not {value:.2f}."
    )
    return "Back to the log-mel, and on to the other scale."


# %% tags=["exercise"]
def handed_over(x, giver, taker):
    """Excerpts of one scale on another one."""
    ...


check_handed_over(handed_over)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def handed_over(x, giver, taker):
    return taker(giver.inverse(x))


display(check_handed_over(handed_over))

other = ears["recurrent detector"].network
x = test.gather(test.spread(64))
right = handed_over(x, scale, other.standardizer)
changed = (
    1 - decisions_kept(other, answers(other, right), answers(other, x)).mean()
)
display(
    Markdown(
        f"Forgetting it changes {changed:.0%} of the recurrent detector's decisions on {len(x)} originals. Both have learned from songs of one kind, so their scales are near each other."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`leglaive2015`: the recurrent detector, which also splits the sound into a harmonic and a percussive part first.
# - {cite:t}`feather2019` and {cite:t}`feather2023`: metamers, played to people and to other networks.
# - {cite:t}`giryes2016`: what random weights keep.
# - {cite:t}`adebayo2018`: random weights as a control for explanations, which some of them failed.
