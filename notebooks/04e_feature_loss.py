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
# # What an inverter is asked for
#
# **How much of a picture comes from the layer, and how much from what its painter was told to please?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - what the weight of the feature loss does to FC8's pictures, seen and heard;
# - how to compare weights of losses that have different scales;
# - what an adversary adds: a look, or knowledge.
#
# **Prerequisites:** {doc}`03_training` and {doc}`04d_round_trip`.
#
# **Minutes:** 9 to read, 20 for the exercises, a few seconds to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from dataclasses import replace

import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.lab.figures.gallery import as_panel
from svdlib.lab.figures.nre import figure_intervals
from svdlib.lab.studies import feature_loss, load_results
from svdlib.lab.studies.feature_loss import (
    OWN,
    REAL,
    SUMS,
    TEST,
    Configuration,
    unpack_picture,
)
from svdlib.pages.exercises import self_check
from svdlib.pages.explorer import compare_pictures, layer_explorer
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.recipes import bank_of

detector = svdlib.pretrained("detector")
stored = load_results("feature_loss")
even = Configuration("fc8", 1.0)
own = replace(even, weight=6.0, compare=("conv5", OWN))
asked = {
    "0": feature_loss.control_of(even),
    "0.1": replace(even, weight=0.1),
    "1": even,
    "10": replace(even, weight=10.0),
    "adversary": replace(even, objective="adversarial-balanced"),
    "own": own,
    "moved": replace(own, moved=True),
}
trained = {
    name: found
    for name, each in asked.items()
    if (found := feature_loss.find(stored, each))
}
songs = svdlib.load_songs(svdlib.open_corpus("synthetic").split("test"))
test = bank_of(songs, detector, torch.device("cpu"))

# %% [markdown]
# FC8's 64 numbers, inverted seven times. All inverters began as the same one, which had learned to make the error of the picture small, and went on for as many updates on the same excerpts. What they were asked for differs, and stands in brackets. Move from left to right, look and listen. The second excerpt in the menu is one without a voice.

# %% tags=["hide-input"]
names = ("something sung", "nothing sung")
originals = torch.stack(
    [unpack_picture(each) for each in stored["originals"]]
)
pictures = {
    name: torch.stack([unpack_picture(each) for each in found["pictures"]])
    for name, found in trained.items()
}
shown = {}
for number, excerpt in enumerate(names):
    titles = {"The excerpt, original": originals[number]} | {
        f"The excerpt, from FC8 ({name})": painted[number]
        for name, painted in pictures.items()
    }
    shown[excerpt] = [
        as_panel(detector.standardizer, picture, title)
        for title, picture in titles.items()
    ]
scores = [
    (
        found[TEST]["nre"]["value"],
        found[TEST]["judges"]["detector"]["kept"]["value"],
    )
    for found in trained.values()
]
layer_explorer(
    shown,
    ["original", *(f"FC8 ({name})" for name in pictures)],
    steps_label="Layer, and what its inverter was asked for",
    comparison=compare_pictures(
        detector,
        originals[:, None],
        [painted[:, None] for painted in pictures.values()],
        scores,
        test.gather(test.spread(128)),
    ),
)

# %% [markdown]
# - **0 to 10**: the weight $\lambda$ of the feature loss, which compares excerpt and inversion at Conv5, as in the paper. 0 is the input loss alone.
# - **adversary**: as 1, and a second network, the *discriminator*, learns to tell inversions from excerpts; the inverter is to deceive it.
# - **own**: they are compared at Conv5 and at FC8 itself, the layer that is inverted, with a weight of 6. **moved**: likewise, after a small shift of both.
#
# The curve below the pictures is the NRE over many excerpts of the test songs, not of this one.

# %% [markdown]
# ## One scale for both losses
#
# The input loss and the feature loss have units of their own. So a bare $\lambda$ says nothing. Here each loss is divided by what the mean predictor would leave of it: its variance over the training songs. Both are then shares that begin near 1, and $\lambda = 1$ weighs them alike. With $\Psi_\text{input}$ and $\Psi_\text{feature}$ for the two means of squares, and $v_\text{input}$ and $v_\text{feature}$ for the two variances, the inverter is to make small
#
# $$
# \frac{\Psi_\text{input}}{v_\text{input}} + \lambda \, \frac{\Psi_\text{feature}}{v_\text{feature}} .
# $$
#
# The paper adds up squares, and weighs both sums alike. There are five times as many cells at Conv5 as in an excerpt, but they vary far less.

# %% tags=["remove-input"]
share = feature_loss.as_share(SUMS, trained["1"])
display(
    Markdown(
        f"A value of the input has a variance of {trained['1']['input_variance']:.3g}, one at Conv5 of {trained['1']['feature_variance']:.3g}. So equation 3 in sums is a weight of {share:.2g} on our scale, and the means of the released code are {feature_loss.as_share(1, trained['1']):.2g}: less than the smallest that is shown above. As a sum, the paper's feature loss is there, and has little to say."
    )
)

# %% [markdown]
# ## What it costs, and what it brings
#
# The price is paid in NRE: what pleases the comparator is not the picture with the smallest error. We hold each training against the one with $\lambda = 0$, which learned for as long. It brings decisions: of the detector, and of the second detector, which no training has heard.

# %% tags=["hide-input"] figure="weight-bargain" mystnb={"image": {"alt": "Three panels over six trainings of FC8's inverter, with weights 0, 0.1, 1, 10, own and moved: additional NRE against the control, decisions kept by the detector, and decisions kept by a second detector, for synthetic test songs and real songs, with 95 percent intervals. The table below has the numbers."}}
of_fc8 = asked | {
    "sums": replace(even, weight=SUMS, objective="joint"),
    "random": replace(even, random=True),
}
of_fc8 = {
    name: each
    for name, each in of_fc8.items()
    if feature_loss.find(stored, each)
}
judges = {
    "detector": "Decisions kept by the detector",
    "detector 2": "Decisions kept by the second detector",
}
strip = {name: each for name, each in asked.items() if name != "adversary"}
panels = {
    "More NRE than with weight 0": {
        corpus: {
            name: feature_loss.cost_of(stored, each, corpus)
            for name, each in strip.items()
        }
        for corpus in (TEST, REAL)
    }
}
for judge, title in judges.items():
    panels[title] = {
        corpus: {
            name: feature_loss.kept_of(trained[name], judge, corpus)
            for name in strip
        }
        for corpus in (TEST, REAL)
    }
figure_intervals(panels, "", percent=True)

# %% tags=["remove-input"]
rows = []
layers = ("fc8", "fc7", "mp6")
for layer in layers:
    of_layer = of_fc8 | {"at FC8": replace(own, compare=("conv5", "fc8"))}
    for name, each in of_layer.items():
        wanted = replace(each, layer=layer)
        found = feature_loss.find(stored, wanted)
        if found is None:
            continue
        cost = feature_loss.cost_of(stored, wanted, REAL)
        row = {
            "layer": layer.upper() if name == "0" else "",
            "asked for": name,
            "NRE": f"{found[REAL]['nre']['value']:.3f}",
            "more than 0": f"{cost.value:+.1%}" if name != "0" else "",
        }
        for judge, title in (("detector", "kept"), ("detector 2", "second")):
            row[title] = (
                f"{feature_loss.kept_of(found, judge, REAL).value:.0%}"
            )
        row["own feature"] = f"{found[REAL]['features'][layer]['value']:.2f}"
        row["from real"] = f"{found[REAL]['distance_to_real']['value']:.1f}"
        rows.append(row)
table = pd.DataFrame(rows)


def number_of(layer, name, column):
    """A number of the table, without a plus."""
    layer_of = table["layer"].replace("", None).ffill()
    found = table[(layer_of == layer) & (table["asked for"] == name)]
    return found[column].item().lstrip("+")


display(
    Markdown(
        f"On the {stored['real']['songs']} real songs, all trainings after {stored['updates']:,} more updates of {stored['identity']['plan']['batch_size']} excerpts. *own feature* is the error of the layer's own feature. *from real* is how far a picture's statistics (levels, contrasts, changes over time and frequency) lie from those of real excerpts, in their deviations: about 1 for another excerpt."
    )
)
display(table.style.hide(axis="index"))

# %% tags=["remove-input"]
text = ""
if "random" in of_fc8:
    text += f"**Who compares matters.** *random* is a detector of the same shape with random weights in place of ours. To please it costs {number_of('FC8', 'random', 'more than 0')} of NRE, and keeps {number_of('FC8', 'random', 'kept')} of the decisions; at the same weight ours costs {number_of('FC8', '1', 'more than 0')} and keeps {number_of('FC8', '1', 'kept')}. "
text += f"**More weight is not the whole of it.** Ten times the weight at Conv5 keeps {number_of('FC8', '10', 'kept')}, for {number_of('FC8', '10', 'more than 0')}. Asked for FC8 itself too, the inverter keeps {number_of('FC8', 'own', 'kept')} for {number_of('FC8', 'own', 'more than 0')}. "
if "at FC8" in set(table["asked for"]):
    text += f"**Of FC7's 256 numbers the answer needs few.** Asked for all of them, its inverter keeps {number_of('FC7', 'own', 'kept')}; asked for FC8's 64 (*at FC8*), {number_of('FC7', 'at FC8', 'kept')}. "
display(Markdown(text))

# %% [markdown]
# **What a second detector hears hangs on chance.** Each training of the table began from one seed. Of some there are others, which draw other excerpts in another order:

# %% tags=["hide-input"]
of_seeds = {}
for name, each in strip.items():
    runs = [
        found
        for seed_of in feature_loss.SEEDS
        if (found := feature_loss.find(stored, replace(each, seed=seed_of)))
    ]
    if len(runs) > 1:
        of_seeds[name] = {
            judge: [
                feature_loss.kept_of(run, judge, REAL).value for run in runs
            ]
            for judge in judges
        }
pd.DataFrame(
    [
        {"asked for": name, "seeds": len(shares["detector"])}
        | {
            title: ", ".join(f"{share:.0%}" for share in shares[judge])
            for judge, title in (
                ("detector", "kept"),
                ("detector 2", "second"),
            )
        }
        for name, shares in of_seeds.items()
    ]
).style.hide(axis="index")

# %% tags=["remove-input"]
text = "The intervals of the figure are over songs, not over trainings. "
if "own" in of_seeds:
    apart = {
        judge: max(shares) - min(shares)
        for judge, shares in of_seeds["own"].items()
    }
    text += (
        f"What *own* brings by the detector differs by {100 * apart['detector']:.0f} points from seed to seed, by the second detector by {100 * apart['detector 2']:.0f}. To give the feature back there are many textures. An inverter settles on one, and whether others hear it too is luck. Comparing *moved* pictures is meant to leave less to it. "
        if apart["detector 2"] > 0.15
        else "Here the seeds agree. "
    )
display(Markdown(text))

# %% [markdown]
# ## An adversary
#
# An inverter that is unsure paints a mean, and a mean is blurred. {cite:t}`dosovitskiy2016perceptual` let a discriminator learn to tell inversions from originals, and let the inverter deceive it. The paper leaves this for later; here it is. Does it bring back what the layer kept, or a look?

# %% tags=["remove-input"]
text, gained = "", []
for layer in layers:
    wanted = replace(even, layer=layer)
    fooled = replace(wanted, objective="adversarial-balanced")
    one, other = (
        feature_loss.find(stored, each) for each in (wanted, fooled)
    )
    if not one or not other:
        continue
    title = layer.upper()
    gained.append(
        feature_loss.kept_of(other, "detector", REAL).value
        - feature_loss.kept_of(one, "detector", REAL).value
    )
    text += f"At {title}, it moves the pictures' distance from real excerpts from {number_of(title, '1', 'from real')} to {number_of(title, 'adversary', 'from real')}, the cost in NRE from {number_of(title, '1', 'more than 0')} to {number_of(title, 'adversary', 'more than 0')}, and the decisions kept from {number_of(title, '1', 'kept')} to {number_of(title, 'adversary', 'kept')}. "
text += (
    "So at this weight, which nobody has tuned, it adds a little to the look and nothing to the answer. "
    if gained and max(gained) < 0.05
    else "So it brings back some of the answers too. "
)
display(Markdown(text))

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "Two papers train with a feature loss of weight 1. Do they weigh it alike?",
        [
            Answer(
                "Only if their losses have the same scale.",
                "Sums or means, raw or standardised features: each changes what a weight of 1 is worth. A share of the mean predictor's loss can be compared.",
                right=True,
            ),
            Answer(
                "Yes, 1 is 1.",
                "A sum over many cells is a large number, a mean is a small one. The same weight then makes another objective.",
            ),
            Answer(
                "Yes, if both compare at Conv5.",
                "The layer alone does not fix the scale. How much do its features vary, and are they added up or averaged?",
            ),
        ],
    ),
    Question(
        "With a large weight, an inversion gets the original's answer from the detector. What has the layer kept?",
        [
            Answer(
                "At least the answer; of where the new texture is, nothing follows.",
                "The inverter could only paint the answer because the feature holds it. Where it painted it may be its own choice.",
                right=True,
            ),
            Answer(
                "The texture that is now seen.",
                "A texture that pleases is one of many that would. Shift the excerpt, and see whether it follows.",
            ),
            Answer(
                "Nothing: the inverter has learned to deceive.",
                "It sees nothing but the feature. What agrees with the original, over many excerpts, came from there.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A weight means something only beside the scales of both losses. As shares of the mean predictor's, weights can be compared.
# - The deepest inversions are what their inverter was asked for. Say it beside each picture.
# - Ask for the layer's own feature, and hold the result against an inverter that learned for as long without.
# - Train from more than one seed before you say what another network hears.
# - Whether a picture looks real says nothing of what the layer kept.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-weights-as-shares)=
# ### Exercise 1: A weight as a share
#
# *Easy, 10 minutes.*
#
# A paper makes small the *sum* of squares over an input's `input_cells`, plus `weight` times that over the `feature_cells` of a layer. Write `sums_as_shares(weight, input_cells, feature_cells, input_variance, feature_variance)`: the $\lambda$ of the formula above that makes the same objective, up to a factor.
#
# :::{dropdown} First hint
# A sum is the mean times the number of cells. Write both losses with means.
# :::
#
# :::{dropdown} Second hint
# A mean is its share times the variance. Divide all by what stands before the input's share.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_sums_as_shares(sums_as_shares):
    for case in (
        (1, 100, 100, 1, 1),
        (2, 100, 300, 1, 1),
        (3, 50, 200, 0.8, 0.02),
    ):
        weight, x_cells, f_cells, x_variance, f_variance = case
        cells = f_cells / x_cells
        right = weight * cells * f_variance / x_variance
        got = sums_as_shares(*case)
        mistakes = {
            "A sum over more cells is larger: count them.": weight
            * f_variance
            / x_variance,
            "The share is what is left after dividing by the variance; so where a mean is replaced by a share, the variance is multiplied.": weight
            * cells
            * x_variance
            / f_variance,
            "The scales of both losses differ: use the variances.": weight
            * cells,
        }
        if abs(got - right) < 1e-9 * right:
            continue
        for sentence, value in mistakes.items():
            assert abs(got - value) > 1e-9, sentence
        raise AssertionError(f"For {case} it is {right:.4g}, not {got:.4g}.")
    return "Count the cells, and multiply by the variances."


# %% tags=["exercise"]
def sums_as_shares(
    weight, input_cells, feature_cells, input_variance, feature_variance
):
    """The weight of the share that does what a weight of the sum does."""
    ...


check_sums_as_shares(sums_as_shares)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def sums_as_shares(
    weight, input_cells, feature_cells, input_variance, feature_variance
):
    return (
        weight
        * (feature_cells / input_cells)
        * (feature_variance / input_variance)
    )


display(check_sums_as_shares(sums_as_shares))

found = sums_as_shares(
    1,
    115 * 80,
    64 * 33 * 21,
    trained["1"]["input_variance"],
    trained["1"]["feature_variance"],
)
display(Markdown(f"For equation 3 with our detector: {found:.3f}."))

# %% [markdown]
# (exercise-best-bargain)=
# ### Exercise 2: The best bargain
#
# *Easy, 10 minutes.*
#
# Write `best_bargain(costs, kept, most)`: of several trainings, given the additional NRE and the share of decisions kept of each, by name, the name of the one that keeps most among those that cost at most `most`. If two keep as many, the cheaper one; if none is cheap enough, the empty string.
#
# :::{dropdown} First hint
# First leave out what is too dear.
# :::
#
# :::{dropdown} Second hint
# `max` takes a key, and pairs are compared by their first entry, then by their second.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_best_bargain(best_bargain):
    costs = {"a": 0.0, "b": 0.03, "c": 0.05, "d": 0.02}
    kept = {"a": 0.4, "b": 0.8, "c": 0.9, "d": 0.8}
    for most, right, mistake in (
        (0.1, "c", "Nothing was too dear, so take the one that keeps most."),
        (0.05, "c", "*At most* includes the bound."),
        (0.04, "d", "Two keep as many: take the cheaper one."),
        (0.0, "a", "Only one costs nothing."),
        (-0.1, "", "None is cheap enough: return the empty string."),
    ):
        got = best_bargain(costs, kept, most)
        assert got == right, f"With at most {most:.0%}: {mistake}"
    return "First the price, then the gain."


# %% tags=["exercise"]
def best_bargain(costs, kept, most):
    """Name of the training that keeps most for at most this price."""
    ...


check_best_bargain(best_bargain)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def best_bargain(costs, kept, most):
    cheap = [name for name, cost in costs.items() if cost <= most]
    return max(cheap, key=lambda name: (kept[name], -costs[name]), default="")


display(check_best_bargain(best_bargain))

costs = {
    name: feature_loss.cost_of(stored, each, REAL).value
    for name, each in of_fc8.items()
}
kept = {
    name: feature_loss.kept_of(
        feature_loss.find(stored, each), "detector", REAL
    ).value
    for name, each in of_fc8.items()
}
display(
    Markdown(
        f"Of FC8's trainings, for at most 2 % of NRE: *{best_bargain(costs, kept, 0.02)}*; for at most 5 %: *{best_bargain(costs, kept, 0.05)}*."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`dosovitskiy2016perceptual` train inverters by input, feature and adversary at once.
# - {cite:t}`mahendran2015` ask for the feature alone, and search for the picture.
# - {cite:t}`mishra2018`: the paper, whose equation 3 has both losses as sums.
