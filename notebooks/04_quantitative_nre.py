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
# # Measuring what each layer keeps
#
# **How much of the sound does each layer keep, in one number?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - the normalised reconstruction error (NRE), and how to compute it by hand;
# - why a network that has learnt nothing but the average scores about $1/\sqrt{2}$;
# - how to draw evaluation sets, and how sure one can be of a number.
#
# **Prerequisites:** {doc}`02_inverter_design`; mean and standard deviation.
#
# **Minutes:** 17 to read, 40 for the exercises, about one to run.
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
from svdlib.inversion.nre import (
    EvaluationPlan,
    evaluation_sets,
    mean_excerpt,
    mean_predictor_nre,
    reconstruct,
)
from svdlib.lab.analysis import intervals
from svdlib.lab.figures.gallery import Gallery, inversion_panels
from svdlib.lab.figures.nre import figure_nre
from svdlib.lab.figures.style import layer_title
from svdlib.lab.studies import (
    label_of,
    load_results,
    reconstruction_error,
)
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.recipes import bank_of

device = choose_device(device)
n_sets = {"demo": 2, "laptop": 5, "full": 10}[profile]
n_test = {"demo": 16, "laptop": 16, "full": None}[profile]
n_train = {"demo": 8, "laptop": 16, "full": None}[profile]

collection = svdlib.open_corpus(corpus)
detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: inverter.to(device)
    for layer, inverter in svdlib.pretrained_inverters("published").items()
}

train, test = (
    bank_of(svdlib.load_songs(tracks), detector, device)
    for tracks in (
        collection.split("train")[:n_train],
        collection.split("test")[:n_test],
    )
)

# %% tags=["hide-input"]
x = test.gather(test.spread(4)[1:3])  # two excerpts, (2, 1, 115, 80)
inversions = reconstruct(
    detector, {layer: inverters[layer] for layer in ("conv2", "fc8")}, x
)
panels = [
    inversion_panels(
        detector.standardizer,
        x[k, 0],
        {layer: x_hat[k, 0] for layer, x_hat in inversions.items()},
        name,
    )
    for k, name in enumerate(("Excerpt 1", "Excerpt 2"))
]
Gallery([panel for row in panels for panel in row])

# %% [markdown]
# Two excerpts of the test songs, each with its inversions from a shallow layer and from the deepest one. Which inversion is farther from its original, and how far?
#
# ## A distance needs a yardstick
#
# How far is an inversion $\hat{\mathbf{x}}$ from its original $\mathbf{x}$? Both are lists of $115 \cdot 80 = 9200$ numbers. The plain answer is the Euclidean distance,
#
# $$
# \lVert \mathbf{x} - \hat{\mathbf{x}} \rVert = \sqrt{\textstyle\sum_k (x_k - \hat{x}_k)^2} .
# $$
#
# But is a distance of, say, 60 large? That depends on how different excerpts are from one another in the first place. So one divides by the average distance between two different excerpts, as {cite:t}`mahendran2015` do with features and {cite:t}`dosovitskiy2016inverting` with images. For a set of
# $d$ excerpts, the paper {cite}`mishra2018` computes
#
# $$
# \begin{aligned}
# \mathrm{NRE} &= \frac{1}{d} \sum_{i} \frac{\lVert \mathbf{x}_i - \hat{\mathbf{x}}_i \rVert}{N_c}, \cr
# N_c &= \frac{1}{d(d-1)} \sum_{i \ne j} \lVert \mathbf{x}_i - \mathbf{x}_j \rVert .
# \end{aligned}
# \tag{5}
# $$
#
# An NRE of 0 is a perfect copy. An NRE of 1 is as bad as showing some other excerpt of the set instead.
#
# ## By hand
#
# `x` holds the two excerpts above, and `inversions` their pictures from Conv2 and from FC8. With two excerpts there is only one distance to compare with.

# %%
yardstick = (x[0] - x[1]).norm()
by_hand = {}
for layer, x_hat in inversions.items():
    distances = [(x[k] - x_hat[k]).norm() for k in (0, 1)]
    by_hand[layer] = float(sum(distances) / 2 / yardstick)
    print(
        f"{layer}: distances {distances[0]:.1f} and {distances[1]:.1f}, "
        f"divided by {yardstick:.1f}: NRE {by_hand[layer]:.3f}"
    )

# %% tags=["nbval-check-output", "hide-input"]
print(
    "svdlib.nre gives the same:",
    all(
        abs(svdlib.nre(x, x_hat) - by_hand[layer]) < 1e-5
        for layer, x_hat in inversions.items()
    ),
)

# %% [markdown]
# Compare the pictures above with the numbers: does the order of the distances agree with your eyes and ears? And note what the number does not say: *where* in the picture the error lies, and whether it can be heard.
#
# ## The score of knowing nothing
#
# Suppose an inverter ignores its feature and always paints the average excerpt $\mathbf{m}$. We call it the **mean predictor**. What does it score?
#
# Let two excerpts $\mathbf{x}$ and $\mathbf{x}'$ be drawn independently, with mean $\mathbf{m}$ and total variance $\sigma^2 = \mathrm{E} \lVert \mathbf{x} - \mathbf{m} \rVert^2$. Then
#
# $$
# \begin{aligned}
# \mathrm{E} \lVert \mathbf{x} - \mathbf{x}' \rVert^2
# &= \mathrm{E} \lVert (\mathbf{x} - \mathbf{m}) - (\mathbf{x}' - \mathbf{m}) \rVert^2 \\
# &= \sigma^2 + \sigma^2 - 2\, \mathrm{E} \langle \mathbf{x} - \mathbf{m}, \mathbf{x}' - \mathbf{m} \rangle \\
# &= 2 \sigma^2 ,
# \end{aligned}
# $$
#
# because the last term is zero for independent excerpts. The distance to the mean is typically $\sigma$, the distance between two excerpts typically $\sqrt{2}\, \sigma$, and their ratio is
#
# $$
# \frac{\sigma}{\sqrt{2}\, \sigma} = \frac{1}{\sqrt{2}} \approx 0.71 .
# $$
#
# The step from squared distances to distances is exact only if all distances are nearly equal. This holds for noise with many dimensions, and less so for music.

# %%
noise = torch.randn(
    100, 1, 115, 80, generator=torch.Generator().manual_seed(seed)
)
noise_score = svdlib.nre(noise, torch.zeros_like(noise))

plan = EvaluationPlan(sets=n_sets, per_song=8, seed=seed)
mean = mean_excerpt(train)  # what the mean predictor always paints
mean_score = mean_predictor_nre(train, test, plan)

# %% tags=["nbval-check-output", "hide-input"]
print(f"noise: {noise_score:.2f}, 1/sqrt(2): {2**-0.5:.2f}")

# %% tags=["remove-input"]
display(
    Markdown(
        f"For noise the rule is right to the second decimal. For the songs of this corpus, the mean of the training excerpts scores **{mean_score:.3f}** on the test excerpts. "
        "This is the line that an inverter must get below to have told us anything about its feature. It deviates from 0.707 because excerpts of one song resemble each other, because some excerpts are farther from the mean than others, and because the mean comes from other songs."
    )
)

# %% [markdown]
# Keep this number in mind when you read an NRE anywhere: **0.71 is not "29 % better than nothing". It is nothing.** The paper does not draw this line; we add it to its figure.
#
# ## Evaluation sets
#
# The paper draws 8 excerpts at random from each of the 16 test songs, 128 in all, and computes the NRE of this set. It does so ten times and averages. The inverters are the *published* ones, built as in the paper; {doc}`04c_inverter_and_code` compares them with others.

# %%
sets = evaluation_sets(test, plan)
measured = reconstruction_error.measure(
    detector,
    {"published": inverters},
    test,
    mean,
    plan,
)

# %% tags=["nbval-check-output", "hide-input"]
entry = measured["layers"]["fc8"]["published"]
for name, values in entry.items():
    size = np.size(values)
    print(name, "is one number" if size == 1 else f"has {size} numbers")

# %% tags=["remove-input"]
songs = measured["songs"]
if songs < 2:
    caution = " One song cannot tell how much songs differ, so there are no intervals for it."
elif songs < 5:
    caution = " With so few songs the intervals mean little: take them as a reminder, not as a measurement."
else:
    caution = ""
display(
    Markdown(
        f"Here there {'are' if songs > 1 else 'is'} {songs} test song{'s' if songs > 1 else ''}, and {len(sets)} sets of {len(sets[0])} excerpts each (profile `{profile}`; the paper has 10 sets of 128).{caution} "
        "For each layer we keep the NRE of every set and the mean normalised distance of every song."
    )
)

# %% [markdown]
# ### How sure are we?
#
# The sets come from the *same songs*. More sets make the result less dependent on which moments were drawn, but they tell us nothing about other songs. And it is other songs that we want to speak about. So our intervals come from the songs: we draw as many songs as there are, with repetition, a thousand times, and compute the NRE of each draw. The middle 95 % of these results are the interval (a *bootstrap*; it is our addition).

# %%
per_song = np.array(entry["per_song"])  # FC8, a number for each song
rng = np.random.default_rng(seed)
drawn = rng.choice(per_song, size=(1000, len(per_song))).mean(axis=1)
low, high = np.quantile(drawn, [0.025, 0.975])
found = f"95 % interval {low:.3f} to {high:.3f}"
if len(per_song) < 2:
    found = "no interval: every draw is the same song"
print(f"FC8: {per_song.mean():.3f}, {found}")

# %% [markdown]
# This counts the yardstick $N_c$ of equation 5 as known. But it is made of the same songs: one that differs much from its inversion mostly differs much from the other songs, too. So we measure $N_c$ anew on the songs of each draw, from the distances between every two of them.

# %%
between = np.array(measured["between"])  # (songs, songs)
print(f"FC8: {intervals.nre_interval(per_song, between):.3f}")

# %% tags=["hide-input"]
n_study, n_few = max(songs, 2), 5
held = {
    count: intervals.coverage(count, simulations=500, draws=300)
    for count in (n_study, n_few)
}

# %% tags=["remove-input"]
stored = load_results("reconstruction_error")
studied = (
    {label_of(name): each for name, each in stored["corpora"].items()}
    if stored
    else {}
)
first_studied = next(iter(studied.values()), measured)
fc8 = first_studied["layers"]["fc8"]["published"]
of_sets, of_songs = fc8["per_set"], fc8["per_song"]
text = f"In {'a stored study, to which we come below' if studied else 'this run'}, the {len(of_sets)} sets give NREs of FC8 from {min(of_sets):.3f} to {max(of_sets):.3f}; its {len(of_songs)} songs give numbers from {min(of_songs):.3f} to {max(of_songs):.3f}. "
if len(of_songs) > 1 and len(of_sets) > 1:
    from_sets = np.std(of_sets, ddof=1) / np.sqrt(len(of_sets))
    from_songs = np.std(of_songs, ddof=1) / np.sqrt(len(of_songs))
    text += f"The standard error that one would compute from the sets is {from_sets:.3f}, the one from the songs {from_songs:.3f}, {from_songs / from_sets:.0f} times as much. Whoever takes sets for songs claims too much. "
display(
    Markdown(
        text
        + f"\n\nA warning. These intervals are a little too narrow: in simulated studies with normally distributed songs, they hold the true value in {held[n_study]:.0%} of the cases with {n_study} songs, and in {held[n_few]:.0%} with {n_few}, where 95 % would be right."
    )
)

# %% [markdown]
# ## A second corpus
#
# The paper repeats the measurement on another data set, RWC, on which neither the detector nor the inverters were trained. We do so with `synthetic-c`: other singers, other instruments, other tempi, other rooms and mixes than the detector and the inverters have learned from
# ({doc}`../book/corpora`). It is still made by the same program. So a gap between the two says how much other *voices and instruments* matter, not what real music would bring. For that there is a third corpus below, of real songs, and you can build this book with `CORPUS=folder:PATH` and songs of your own.

# %% tags=["hide-input"]
sizes = {"demo": (6, 20), "laptop": (16, 60), "full": (20, 60)}
n_other, seconds = sizes[profile]
other_world = (
    "synthetic" if corpus.startswith("synthetic-c") else "synthetic-c"
)
other_collection = svdlib.open_corpus(
    f"{other_world}:songs={n_other},seconds={seconds},seed={seed + 101}"
)
other_measured = reconstruction_error.measure(
    detector,
    {"published": inverters},
    bank_of(svdlib.load_songs(other_collection.tracks), detector, device),
    mean,
    plan,
)

# %% [markdown]
# ## Figure 5
#
# First from the sets that this page has just computed.

# %% tags=["hide-input"] figure="nre-two-corpora" mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers, from Conv1 to FC8, for the test songs and for the songs of a second corpus, with 95 percent intervals. Dashed lines show the mean predictor of each. The table below holds all numbers."}}
own_name = (
    f"{label_of(corpus)}, test songs"
    if corpus.startswith("synthetic")
    else "your test songs"
)
here = {
    f"{own_name} ({songs})": measured,
    f"{other_world}, not trained on ({n_other})": other_measured,
}


def curves_of(measurements, family="published"):
    """What `figure_nre` draws: scores and mean predictors."""
    scores = {
        name: reconstruction_error.nre_of(each, family)
        for name, each in measurements.items()
    }
    lines = {
        name: each["mean_predictor"]["nre"]
        for name, each in measurements.items()
    }
    return scores, lines


figure_nre(*curves_of(here))

# %% [markdown]
# Two sets are few. The same measurement with all ten, on three corpora, takes a quarter of an hour. It is a program of the library, and its result is stored with it.

# %% tags=["remove-input"]
if stored:
    commands = f"`python -m svdlib.lab.studies.reconstruction_error`, {stored['date']}"
    numbers = ", ".join(
        f"{each['songs']} of *{name}*" for name, each in studied.items()
    )
    display(
        Markdown(
            f"The stored study ({commands}) has {first_studied['sets']} sets of {first_studied['per_song']} excerpts per song. The songs: {numbers}. Of *synthetic* these are the test songs; nothing was trained on the others, though the real songs guided the making of the synthetic ones (*Does it hear real singing?*). In the figure, a number in brackets is that of the songs."
        )
    )
else:
    display(
        Markdown(
            "This copy of the library holds no stored study; run `python -m svdlib.lab.studies.reconstruction_error --help` to make one. The tables below show what this page has computed."
        )
    )

# %% tags=["hide-input"] figure="nre-real-songs" mystnb={"image": {"alt": "Normalised reconstruction error of the published inverters over the eight layers, measured with ten sets on synthetic test songs, on the second synthetic corpus and on real songs, with 95 percent intervals and the mean predictor of each corpus as a dashed line. The table below holds all numbers."}}
shown = {
    f"{name} ({each['songs']})": each for name, each in studied.items()
} or here
figure_nre(*curves_of(shown))

# %% tags=["hide-input"]
sources = {f"here: {name}": each for name, each in here.items()} | {
    f"study: {name} ({each['songs']})": each for name, each in studied.items()
}
table = {
    source: {
        layer_title(layer): f"{interval:.3f}"
        for layer, interval in reconstruction_error.nre_of(
            each, "published"
        ).items()
    }
    | {
        "mean predictor": f"{intervals.nre_interval(each['mean_predictor']['per_song'], np.array(each['between'])):.3f}"
    }
    for source, each in sources.items()
}
pd.DataFrame(table)

# %% tags=["remove-input"]
value = {
    layer: by_family["published"]["nre"]
    for layer, by_family in measured["layers"].items()
}
lowest, highest = min(value, key=value.get), max(value, key=value.get)
text = f"On the test songs of this page, the smallest error is {value[lowest]:.3f}, at {layer_title(lowest)}, the largest {value[highest]:.3f}, at {layer_title(highest)}. "
for source, each in sources.items():
    line = each["mean_predictor"]["nre"]
    unbeaten = [
        layer_title(layer)
        for layer, by_family in each["layers"].items()
        if by_family["published"]["nre"] >= line
    ]
    if unbeaten:
        text += f"*{source}*: not below the mean predictor are {', '.join(unbeaten)}; there, the inversions tell us no more than an average would. "
if "not below" not in text:
    text += "All eight inverters get below the mean predictor on every corpus: each feature tells something about its excerpt. "
knowing_nothing = [each["mean_predictor"]["nre"] for each in sources.values()]
text += f"The mean predictor scores from {min(knowing_nothing):.3f} to {max(knowing_nothing):.3f}."
display(Markdown(text))

# %% [markdown]
# ### What must hold
#
# Two statements should survive any choice of seed on the corpus that the inverters were made for. They are checked whenever this book is built. On a folder of other songs they are only printed.

# %% tags=["hide-input"]
checks = {
    "every inverter beats the mean predictor": max(value.values())
    < mean_score,
    "FC8 has the largest error": max(value, key=value.get) == "fc8",
}
if corpus.startswith("synthetic"):
    assert all(checks.values()), (
        f"{checks}\n{value}\nmean predictor {mean_score:.3f}"
    )

# %% tags=["nbval-check-output", "hide-input"]
for statement, holds in checks.items():
    print(f"{statement}: {holds}")

# %% [markdown]
# Three questions remain. Do the paper's *statements* about this curve hold, and for which songs? See {doc}`04b_comparing_layers`. And how much of a score is owed to the inverter, not to the layer? See {doc}`04c_inverter_and_code`. And does the *network* find its inversions near? See {doc}`04d_round_trip`.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "An inverter has the same NRE as the mean predictor. What do its inversions tell about the layer?",
        [
            Answer(
                "No more than the average of all excerpts would.",
                "The mean predictor never sees a feature. Who scores as it does may have ignored the feature, too.",
                right=True,
            ),
            Answer(
                "The share of the excerpt that lies below an NRE of 1.",
                "An NRE of 1 is as bad as showing a wrong excerpt. Painting an average is better than that, and it needs no feature. So count from the mean predictor's line.",
            ),
            Answer(
                "That the layer has lost everything about the excerpt.",
                "That is too much. Another inverter might read from the same feature what this one could not.",
            ),
        ],
    ),
    Question(
        "Somebody draws fifty evaluation sets instead of ten, from the same songs. What do they know better now?",
        [
            Answer(
                "The NRE of these songs, but not that of others.",
                "The luck of which moments were drawn averages out. The luck of which songs were there does not.",
                right=True,
            ),
            Answer(
                "The NRE in general: the data are five times as many.",
                "Excerpts of a song resemble each other, and no new song came in. Only more songs say more about songs.",
            ),
            Answer(
                "Nothing at all, since the songs are still the same.",
                "Each set has other moments, so the result depends less on which ones were drawn. It is a gain, only a small one.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - NRE is the distance to the original, measured in average distances between excerpts. 0 is perfect.
# - The mean predictor scores about $1/\sqrt{2}$. Whatever does not get below it has told us nothing.
# - More evaluation sets are not more songs. Intervals must come from what varies: the songs.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-nre-by-hand)=
# ### Exercise 1: Equation 5 in your own words
#
# *Easy, 15 minutes.*
#
# Write `nre_by_hand(x, x_hat)` for any number $d$ of excerpts, with loops if you like. Both are tensors of shape $(d, 1, 115, 80)$. Return one number, and do not use `svdlib.nre`.
#
# :::{dropdown} First hint
# Two means, one over the other: how far each excerpt is from its own inversion, and how far two different excerpts are from each other.
# :::
#
# :::{dropdown} Second hint
# `(x[i] - x[j]).norm()` is a distance. There are $d (d - 1)$ ordered pairs with $i \neq j$; inversions do not occur below the fraction line.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_nre(nre_by_hand):
    rng = np.random.default_rng(0)
    for d in (5, 2):
        a = rng.normal(size=(d, 1, 6, 7))
        b = (
            a
            + rng.normal(size=a.shape)
            * np.arange(1, d + 1)[:, None, None, None]
        )
        far = np.array(
            [np.sqrt(((a[i] - b[i]) ** 2).sum()) for i in range(d)]
        )
        between = np.array(
            [[np.sqrt(((p - q) ** 2).sum()) for q in a] for p in a]
        )
        n_c = between.sum() / (d * (d - 1))
        right = far.mean() / n_c
        mistakes = {
            "A distance is the square root of a sum of squares; the root is missing.": (
                far**2
            ).mean()
            / ((between**2).sum() / (d * (d - 1))),
            "N_c counts no excerpt with itself: divide by d(d - 1), not by d squared.": right
            * d
            / (d - 1),
            "If you count each pair once, there are d(d - 1) / 2 of them. Your N_c is half of what it should be.": 2
            * right,
            "Take the mean of the distances, not their sum.": d * right,
            "Each excerpt has a distance of its own. Yours is that of all excerpts taken as one.": np.sqrt(
                (far**2).sum()
            )
            / n_c,
            "Divide by N_c, the mean distance between two excerpts.": far.mean(),
        }
        got = float(
            nre_by_hand(
                torch.tensor(a, dtype=torch.float32),
                torch.tensor(b, dtype=torch.float32),
            )
        )
        if np.isclose(got, right, rtol=1e-3):
            continue
        for sentence, wrong in mistakes.items():
            assert not np.isclose(got, wrong, rtol=1e-3), sentence
        raise AssertionError(
            f"For {d} excerpts whose NRE is {right:.4f} you get {got:.4f}."
        )
    return "It is equation 5."


# %% tags=["exercise"]
def nre_by_hand(x, x_hat):
    """NRE of excerpts (d, 1, 115, 80) and their inversions."""
    ...


check_nre(nre_by_hand)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def nre_by_hand(x, x_hat):
    d = len(x)
    far = sum((x[i] - x_hat[i]).norm() for i in range(d)) / d
    between = sum(
        (x[i] - x[j]).norm() for i in range(d) for j in range(d) if i != j
    )
    return float(far / (between / (d * (d - 1))))


check_nre(nre_by_hand)

# %% [markdown]
# (exercise-one-song)=
# ### Exercise 2: One song at a time
#
# *Easy, 10 minutes.*
#
# What if an evaluation set holds excerpts of a single song? Write `nre_per_song(x, x_hat, songs)`, where `songs` is an array with the number of each excerpt's song, in any order. Return a dictionary: for each number, the NRE of this song's excerpts alone, their yardstick included. Is the NRE of FC8 larger or smaller than on all songs together? First guess, then try.
#
# :::{dropdown} First hint
# What is a set of excerpts of one song? Cut it out of `x` and `x_hat`, and measure it as if there were no other song.
# :::
#
# :::{dropdown} Second hint
# `np.unique(songs)` gives the numbers, `songs == number` picks the excerpts, and `svdlib.nre` does the rest.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_per_song(nre_per_song):
    rng = np.random.default_rng(0)
    numbers = np.array([4, 7, 4, 9, 7, 4, 9, 7])
    a = rng.normal(size=(8, 1, 6, 7)) * numbers[:, None, None, None]
    a += 20 * numbers[:, None, None, None]
    b = a + rng.normal(size=a.shape)
    a, b = (torch.tensor(each, dtype=torch.float32) for each in (a, b))
    got = {
        int(number): float(score)
        for number, score in nre_per_song(a, b, numbers).items()
    }
    assert set(got) == {4, 7, 9}, (
        f"The songs have the numbers 4, 7 and 9; your keys are {sorted(got)}."
    )
    all_between = torch.pdist(a.flatten(1)).mean()
    for number, score in got.items():
        own = numbers == number
        far = (a - b)[own].flatten(1).norm(dim=1).mean()
        right = float(far / torch.pdist(a[own].flatten(1)).mean())
        assert not np.isclose(score, far / all_between, rtol=1e-3), (
            "You divide by the mean distance over all songs. Each song has a yardstick of its own."
        )
        assert np.isclose(score, right, rtol=1e-3), (
            f"A song whose NRE is {right:.4f} gets {score:.4f}. Are its excerpts, and only these, in the set?"
        )


# %% tags=["exercise"]
def nre_per_song(x, x_hat, songs):
    """NRE of each song's own excerpts: a dictionary by number."""
    ...


check_per_song(nre_per_song)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def nre_per_song(x, x_hat, songs):
    return {
        number: svdlib.nre(x[songs == number], x_hat[songs == number])
        for number in np.unique(songs)
    }


display(check_per_song(nre_per_song))

x = test.cut(sets[0])
x_hat = reconstruct(detector, {"fc8": inverters["fc8"]}, x)["fc8"]
song_of = np.repeat(np.arange(len(x) // plan.per_song), plan.per_song)
alone = nre_per_song(x, x_hat, song_of)
together = svdlib.nre(x, x_hat)


def mean_distance(excerpts):
    return torch.pdist(excerpts.flatten(1).cpu()).mean().item()


yardsticks = [mean_distance(x[song_of == k]) for k in alone]
shrinks = np.mean(yardsticks) / mean_distance(x)
text = f"All songs together: {together:.3f}. One by one: {min(alone.values()):.3f} to {max(alone.values()):.3f}, {np.mean(list(alone.values())):.3f} in the mean. Two excerpts of one song are {shrinks:.0%} as far apart as any two of the set. "
text += (
    "So within a song the yardstick is shorter, while the distance to the inversion stays what it was. "
    if shrinks < 0.98
    else "So here the yardstick is hardly shorter within a song. "
)
text += "An NRE may be compared between inverters on the same set, and never between sets without a thought."
if len(alone) < 2:
    text = "There is only one song, so there is nothing to compare."
display(Markdown(text))

# %% [markdown]
# (exercise-squared-nre)=
# ### Exercise 3: Without the root
#
# *Medium, 15 minutes.*
#
# Write `nre_squared(x, x_hat)`: the mean *squared* distance to the inversions, divided by the mean *squared* distance between two different excerpts. What does the mean predictor score now, with many excerpts? Derive it before you measure it, and put the number into `of_mean`.
#
# :::{dropdown} First hint
# Square each distance before you take a mean. For the mean predictor, write the squared distance of two independent excerpts with their variance.
# :::
#
# :::{dropdown} Second hint
# `torch.pdist` gives the distance of each pair of flattened excerpts. The difference of two independent numbers has twice the variance of one.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_squared(nre_squared, of_mean):
    rng = np.random.default_rng(0)
    sizes = np.array([1.0, 2.0, 4.0, 8.0])[:, None, None, None]
    a = rng.normal(size=(4, 1, 6, 7)) * sizes
    b = a + rng.normal(size=a.shape) * sizes[::-1]
    far = np.sqrt(((a - b) ** 2).sum(axis=(1, 2, 3)))
    between = np.array(
        [
            np.sqrt(((a[i] - a[j]) ** 2).sum())
            for i in range(4)
            for j in range(4)
            if i != j
        ]
    )
    right = (far**2).mean() / (between**2).mean()
    got = float(
        nre_squared(
            torch.tensor(a, dtype=torch.float32),
            torch.tensor(b, dtype=torch.float32),
        )
    )
    mistakes = {
        "This is the NRE with plain distances.": far.mean() / between.mean(),
        "This is the square of the NRE. Square each distance, then take the means.": (
            far.mean() / between.mean()
        )
        ** 2,
        "In the denominator, square each distance before you take the mean.": (
            far**2
        ).mean()
        / between.mean() ** 2,
        "An excerpt's distance to itself does not count: there are d(d - 1) pairs.": right
        * 4
        / 3,
        "If you count each pair once, there are d(d - 1) / 2 of them.": right
        * 2,
    }
    if not np.isclose(got, right, rtol=1e-3):
        for sentence, wrong in mistakes.items():
            assert not np.isclose(got, wrong, rtol=1e-3), sentence
        raise AssertionError(f"For a set with {right:.4f} you get {got:.4f}.")
    assert abs(of_mean - 2**-0.5) > 0.01, (
        "The function is right. But 0.71 is the score with plain distances: the derivation's last step takes a root that you do not need any more."
    )
    assert abs(of_mean - 2) > 0.01, (
        "The function is right. But you have turned the fraction round: the distance to the mean stands on top."
    )
    assert abs(of_mean - 0.5) < 0.01, (
        f"The function is right. But the mean predictor does not score {of_mean}: what is the expected squared distance to the mean, and what that between two excerpts?"
    )
    return "And it holds whether the distances are equal or not."


# %% tags=["exercise"]
def nre_squared(x, x_hat):
    """Mean squared distances: to the inversion, over between two."""
    ...


of_mean = ...

check_squared(nre_squared, of_mean)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def nre_squared(x, x_hat):
    far = (x - x_hat).flatten(1).norm(dim=1) ** 2
    between = torch.pdist(x.flatten(1)) ** 2
    return float(far.mean() / between.mean())


of_mean = 1 / 2
display(check_squared(nre_squared, of_mean))

of_songs_own = x.mean(dim=0, keepdim=True).expand_as(x)
of_training = mean.to(x).expand_as(x)
display(
    Markdown(
        "Two excerpts have an expected squared distance of twice the variance, and an excerpt's to the mean is the variance once: one half, now without the assumption that all distances are nearly equal.\n\n"
        f"- Noise: {nre_squared(noise, torch.zeros_like(noise)):.3f}.\n"
        f"- The mean of a set, on the set itself: {nre_squared(x, of_songs_own):.3f}. For {len(x)} excerpts the exact number is (d - 1) / (2 d) = {(len(x) - 1) / (2 * len(x)):.3f}, since this mean has seen them.\n"
        f"- The mean of the training excerpts, on the same set: {nre_squared(x, of_training):.3f}. The rest of the way from one half comes from the other songs of the training."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mahendran2015` introduce the error measure, as a distance of *features*; {cite:t}`dosovitskiy2016inverting` take it of the *images*, as equation 5 does.
# - {cite:t}`mishra2018`, section 3.4, is the experiment repeated here.
# - {cite:t}`ramona2008` and {cite:t}`goto2002` describe the two corpora of the paper, Jamendo and RWC.
