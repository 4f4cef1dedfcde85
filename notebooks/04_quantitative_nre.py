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
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - the normalised reconstruction error (NRE), and how to compute it by hand;
# - why a network that has learnt nothing but the average scores about $1/\sqrt{2}$;
# - how to draw evaluation sets, and how sure one can be of the result;
# - how to compare one's numbers with a paper's statements without fooling oneself.
#
# **Prerequisites:** {doc}`02_inverter_design`; mean and standard deviation.
#
# **Minutes:** 45 to read and try; about two to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib import figures
from svdlib.devices import choose_device
from svdlib.evaluation import evaluation_sets
from svdlib.gallery import Gallery, inversion_panels
from svdlib.style import layer_title

device = choose_device(device)
n_sets = {"demo": 2, "laptop": 5, "full": 10}[profile]
n_test = {"demo": 16, "laptop": 16, "full": None}[profile]
n_train = {"demo": 8, "laptop": 16, "full": None}[profile]

# %%
collection = svdlib.open_corpus(corpus)
detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: inverter.to(device)
    for layer, inverter in svdlib.pretrained_inverters().items()
}


def bank_of(tracks):
    return svdlib.ExcerptBank(
        svdlib.load_songs(tracks),
        standardizer=detector.standardizer,
        device=device,
    )


train, test = (
    bank_of(collection.split("train")[:n_train]),
    bank_of(collection.split("test")[:n_test]),
)

# %% [markdown]
# ## A distance needs a yardstick
#
# How far is an inversion $\hat{\mathbf{x}}$ from its original $\mathbf{x}$? Both are lists of $115 \cdot 80 = 9200$ numbers. The plain answer is the Euclidean distance,
#
# $$
# \lVert \mathbf{x} - \hat{\mathbf{x}} \rVert = \sqrt{\textstyle\sum_k (x_k - \hat{x}_k)^2} .
# $$
#
# But is a distance of, say, 60 large? That depends on how different excerpts are from one another in the first place. So {cite:t}`mahendran2015` divide by the average distance between two different excerpts. For a set of
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
# We take two excerpts from the test songs and invert them from a shallow and from the deepest layer. With two excerpts there is only one distance to compare with.

# %%
x = test.gather(test.spread(4)[1:3])  # two excerpts, (2, 1, 115, 80)
inversions = svdlib.reconstruct(
    detector, {layer: inverters[layer] for layer in ("conv2", "fc8")}, x
)

# %% tags=["hide-input"]
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

# %%
# NBVAL_CHECK_OUTPUT
print(
    "svdlib.nre gives the same:",
    all(
        abs(svdlib.nre(x, x_hat) - by_hand[layer]) < 1e-5
        for layer, x_hat in inversions.items()
    ),
)

# %% [markdown]
# Compare the pictures with the numbers: does the order of the distances agree with your eyes and ears? And note what the number does not say: *where* in the picture the error lies, and whether it can be heard.
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

plan = svdlib.EvaluationPlan(sets=n_sets, per_song=8, seed=seed)
mean_score = svdlib.mean_predictor_nre(train, test, plan)

# %%
# NBVAL_CHECK_OUTPUT
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
# The paper draws 8 excerpts at random from each of the 16 test songs, 128 in all, and computes the NRE of this set. It does so ten times and averages.
#
# Each set has its own $N_c$. And the sets come from the *same songs*. More sets make the result less dependent on which moments were drawn, but they tell us nothing about other songs. So our intervals come from the songs: we draw as many songs
# as there are, with repetition, a thousand times, and compute the NRE of each draw. The middle 95 % of these results are the interval (a *bootstrap*; it is our addition).

# %%
sets = evaluation_sets(test, plan)
scores = svdlib.evaluate_inverters(detector, inverters, test, plan)

# %% tags=["remove-input"]
songs = len(test.song_lengths)
if songs < 2:
    caution = " One song cannot tell how much songs differ, so there are no intervals for it below."
elif songs < 5:
    caution = " With so few songs the intervals mean little: take them as a reminder, not as a measurement."
else:
    caution = ""
display(
    Markdown(
        f"Here there {'are' if songs > 1 else 'is'} {songs} test song{'s' if songs > 1 else ''}, and {len(sets)} sets of {len(sets[0])} excerpts each (profile `{profile}`; the paper has 10 sets of 128).{caution}"
    )
)

# %% [markdown]
# ## A second corpus
#
# The paper repeats the measurement on another data set, RWC, on which neither the detector nor the inverters were trained. We do so with `synthetic-b`: other singers, other instruments, other tempi, other rooms and mixes than in `synthetic`, and nothing was trained on it
# ({doc}`../book/corpora`). It is still made by the same program. So a gap between the two says how much other *voices and instruments* matter, not what real music would bring. For that, build this book with `CORPUS=folder:PATH` and songs of your own.

# %%
sizes = {"demo": (6, 20), "laptop": (16, 60), "full": (20, 60)}
n_other, seconds = sizes[profile]
other_world = (
    "synthetic" if corpus.startswith("synthetic-b") else "synthetic-b"
)
other_collection = svdlib.open_corpus(
    f"{other_world}:songs={n_other},seconds={seconds},seed={seed + 101}"
)
other = bank_of(other_collection.tracks)
other_scores = svdlib.evaluate_inverters(detector, inverters, other, plan)
other_mean_score = svdlib.mean_predictor_nre(train, other, plan)

# %% [markdown]
# ## Figure 5

# %% tags=["hide-input"] mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers, from Conv1 to FC8, for the test songs and for the songs of a second corpus, with 95 percent intervals. Dashed lines show the mean predictor of each. The table below holds all numbers."}}
own_name = (
    "test songs" if corpus.startswith("synthetic") else "test songs (folder)"
)
other_name = f"{other_world}, songs not trained on"
figures.figure_nre(
    {own_name: scores, other_name: other_scores},
    {own_name: mean_score, other_name: other_mean_score},
)

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "layer": layer_title(layer),
            "values in the feature": int(np.prod(svdlib.LAYER_SHAPES[layer])),
            "NRE": f"{score.nre:.3f}",
            "95 % interval": (
                "–"
                if np.isnan(score.ci95).any()
                else f"{score.ci95[0]:.3f}\u00a0to\u00a0{score.ci95[1]:.3f}"
            ),
            "of the mean predictor": f"{score.nre / mean_score:.0%}",
            "NRE, second corpus": f"{other_scores[layer].nre:.3f}",
        }
        for layer, score in scores.items()
    ]
).style.hide(axis="index")

# %% tags=["remove-input"]
value = {layer: score.nre for layer, score in scores.items()}
beaten = [
    layer_title(layer) for layer in svdlib.LAYERS if value[layer] < mean_score
]
unbeaten = [
    layer_title(layer)
    for layer in svdlib.LAYERS
    if value[layer] >= mean_score
]
lowest, highest = min(value, key=value.get), max(value, key=value.get)
ups = [
    (a, b)
    for a, b in zip(svdlib.LAYERS, svdlib.LAYERS[1:], strict=False)
    if value[b] < value[a]
]
text = f"The smallest error is {value[lowest]:.3f}, at {layer_title(lowest)}, the largest {value[highest]:.3f}, at {layer_title(highest)}. "
text += (
    "All eight inverters get below the mean predictor: each feature tells something about its excerpt. "
    if not unbeaten
    else (
        f"Not below the mean predictor: {', '.join(unbeaten)}. On these songs, their inversions tell us no more than an average would. "
    )
)
text += (
    "The error grows with every layer."
    if not ups
    else (
        "The error does not grow at every step; it falls from "
        + ", and from ".join(
            f"{layer_title(a)} to {layer_title(b)}" for a, b in ups
        )
        + ". A deeper layer cannot know more than a shallower one, since it is computed from it. So here the inverters differ in what they can paint and in how well they were trained."
    )
)
display(Markdown(text))

# %% [markdown]
# ### What must hold
#
# Two statements should survive any choice of seed on the corpus that the inverters were made for. They are checked whenever this book is built. On a folder of other songs they are only printed.

# %%
checks = {
    "every inverter beats the mean predictor": max(value.values())
    < mean_score,
    "FC8 has the largest error": max(value, key=value.get) == "fc8",
}
if corpus.startswith("synthetic"):
    assert all(checks.values()), (
        f"{checks}\n{value}\nmean predictor {mean_score:.3f}"
    )

# %%
# NBVAL_CHECK_OUTPUT
for statement, holds in checks.items():
    print(f"{statement}: {holds}")

# %% [markdown]
# ## What agrees with the paper?
#
# The paper makes several statements about its figure 5. Our detector, our songs and our training differ from its own, so equal numbers would be a coincidence. But do the *statements* hold? We fixed the criteria before we looked.


# %%
def change(a, b):
    """Relative change of NRE from layer a to layer b."""
    return value[b] / value[a] - 1


steps = {
    f"{layer_title(a)} to {layer_title(b)}": value[b] - value[a]
    for a, b in zip(svdlib.LAYERS, svdlib.LAYERS[1:], strict=False)
}
largest_step = max(steps, key=steps.get)
worse = [
    layer for layer in svdlib.LAYERS if other_scores[layer].nre > value[layer]
]
falls = [step for step, size in steps.items() if size < 0]
statements = [
    (
        "largest error at FC8",
        f"largest at {layer_title(highest)}",
        highest == "fc8",
    ),
    (
        "smaller for shallower layers",
        f"exceptions: {', '.join(falls) or 'none'}",
        not falls,
    ),
    (
        "a large increase from Conv2 to MP3",
        f"{steps['Conv2 to MP3']:+.3f}; the largest step is {largest_step}",
        steps["Conv2 to MP3"] > np.mean(list(steps.values())),
    ),
    (
        "MP6 to FC7: about 15 % more",
        f"{change('mp6', 'fc7'):+.1%}",
        0.075 <= change("mp6", "fc7") <= 0.225,
    ),
    (
        "Conv5: about 18 % less than FC7",
        f"{change('fc7', 'conv5'):+.1%}",
        0.09 <= -change("fc7", "conv5") <= 0.27,
    ),
    (
        "second corpus worse, except at Conv1 and Conv2",
        f"worse at {', '.join(map(layer_title, worse)) or 'no layer'}",
        set(worse) == set(svdlib.LAYERS[2:]),
    ),
]

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "the paper says": said,
            "here": found,
            "agrees": "yes" if agrees else "no",
        }
        for said, found, agrees in statements
    ]
).style.hide(axis="index")

# %% tags=["remove-input"]
agreeing = sum(agrees for *_, agrees in statements)
if corpus.startswith("synthetic"):
    unfair = "our second corpus comes from the same program as the first."
else:
    unfair = "the inverters were trained on synthetic songs, so the second corpus is the more familiar one, and yours is new."
display(
    Markdown(
        f'{agreeing} of {len(statements)} statements hold here. The criteria: a "large increase" is a step above the average step; a percentage agrees if ours lies within half of it on either side; '
        f"the last statement agrees if exactly those layers are worse. That one is not a fair comparison: {unfair}"
    )
)

# %% [markdown]
# A "no" need not mean that the paper is wrong, nor that we are. Three differences stand between its numbers and ours. Its songs are real, ours are synthetic (unless you gave a folder), and synthetic songs have simpler spectra. The detector was trained anew. And in our training the
# gradient of the feature loss arrives, while in the released code it does not; but it is so small that this hardly matters ({doc}`03_training`).
#
# ## What the number hides
#
# Every published inverter has an ELU at its output, so that nothing below −1 can be painted ({doc}`02_inverter_design`). Even a perfect inverter with such an output has an error. How much of our scores is this floor?

# %%
floors = []
for starts in sets:
    x = test.cut(starts)
    floors.append(svdlib.nre(x, x.clamp(min=-1)))
floor = float(np.mean(floors))

# %% tags=["remove-input"]
first = svdlib.LAYERS[0]
display(
    Markdown(
        f"The floor is {floor:.3f}, while {layer_title(first)} has {value[first]:.3f}: the floor is {100 * floor / value[first]:.0f} % of it. For FC8 it is {100 * floor / value['fc8']:.0f} %. "
        "The shallower the layer, the more its score says about the inverter's output, and the less about the layer."
    )
)

# %% [markdown]
# ## The same layers, other inverters
#
# So a score belongs to a layer *and* its inverter. How much belongs to the inverter? {doc}`02_inverter_design` derives a second family, the *aligned* inverters: they mirror the detector's own steps and have a linear output. They had the same training as the published ones, and
# have no more parameters. We measure them on the same evaluation sets.

# %%
aligned = {
    layer: inverter.to(device)
    for layer, inverter in svdlib.pretrained_inverters("aligned").items()
}
aligned_scores = svdlib.evaluate_inverters(detector, aligned, test, plan)

# %% tags=["hide-input"] mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers, from Conv1 to FC8, for published and for aligned inverters on the same test songs, with 95 percent intervals and the mean predictor as a dashed line. The table below holds all numbers."}}
figures.figure_nre(
    {"published inverters": scores, "aligned inverters": aligned_scores},
    {"published inverters": mean_score},
)

# %% tags=["hide-input"]
from svdlib.studies import load_results

rows = [
    {
        "layer": layer_title(layer),
        "published": scores[layer].nre,
        "aligned": aligned_scores[layer].nre,
        "lower by": 1 - aligned_scores[layer].nre / scores[layer].nre,
    }
    for layer in svdlib.LAYERS
]
real = load_results("inverter_families")
if real is not None:
    for row, layer in zip(rows, svdlib.LAYERS, strict=True):
        found = real["layers"][layer]
        low, high = found["aligned"]["gain_ci95"]
        row["real songs: published"] = found["published"]["nre"]
        row["real songs: aligned"] = found["aligned"]["nre"]
        row["real songs: lower by"] = (
            f"{found['aligned']['gain']:.0%} ({low:.0%} to {high:.0%})"
        )
pd.DataFrame(rows).style.format({"lower by": "{:.0%}"}, precision=3).hide(
    axis="index"
)

# %% tags=["remove-input"]
aligned_value = {layer: score.nre for layer, score in aligned_scores.items()}
gains = {
    layer: 1 - aligned_value[layer] / value[layer] for layer in svdlib.LAYERS
}
most, least = max(gains, key=gains.get), min(gains, key=gains.get)
still = [
    (a, b)
    for a, b in zip(svdlib.LAYERS, svdlib.LAYERS[1:], strict=False)
    if aligned_value[b] < aligned_value[a]
]
text = (
    f"On the test songs the aligned inverters lower the error by {gains[least]:.0%} ({layer_title(least)}) to {gains[most]:.0%} ({layer_title(most)}). "
    + (
        "Their error grows with every layer, as it must when no inverter is held back by its own design. "
        if not still
        else "Their error falls from "
        + ", and from ".join(
            f"{layer_title(a)} to {layer_title(b)}" for a, b in still
        )
        + ": there, other things than the layer still decide. "
    )
)
if ("conv1", "conv2") in still:
    text += "For Conv1 we know that a perfect inversion exists: but for the leaky ReLU, which is undone, the layer is linear, and its 64 filters of 9 weights can be solved for the cell in their middle. Training has not come that far with so small a network. "
if real is not None:
    text += (
        f"The columns *real songs* are the stored result of a study on {real['songs']} real songs, measured on {real['date']} with `python -m svdlib.studies.inverter_families`. "
        "In brackets are 95 % intervals from resampling the songs. "
    )
display(Markdown(text))

# %% [markdown]
# What changed is only the inverter. So the part of an error that a better inverter can remove was never a statement about the layer. We cannot know how much of what remains is one. Therefore read every NRE, the paper's and ours, as an upper limit: the layer has kept *at least* this much.
#
# And what does a score mean to the ear? An error that is spread evenly over all values is a hiss. The same error concentrated in the onsets is music without attack. Both can have the same NRE. That is why the next chapter looks and listens: {doc}`05_qualitative_analysis`.
#
# ## Take-away
#
# - NRE is the distance to the original, measured in average distances between excerpts. 0 is perfect.
# - The mean predictor scores about $1/\sqrt{2}$. Whatever does not get below it has told us nothing.
# - More evaluation sets are not more songs. Intervals must come from what varies: the songs.
# - A score belongs to a layer *and* its inverter. An inverter that fits the geometry has a much smaller error on the same feature.
#
# ## Exercises
#
# **1. Squared distances.** Define an NRE with squared distances in numerator and denominator. What does the mean predictor score then? Derive it, then measure it with `noise`.
#
# :::{admonition} Solution
# :class: dropdown
# The derivation above gives $\sigma^2 / (2 \sigma^2) = 1/2$, now exactly, without the assumption that all distances are nearly equal.
#
# ```python
# between = torch.pdist(noise.flatten(1)) ** 2
# print(((noise**2).flatten(1).sum(1).mean() / between.mean()).item())
# ```
# :::
#
# **2. One song only.** Compute the NRE of FC8 on excerpts from a single song. Is it larger or smaller than on all songs? Why?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# one = bank_of(collection.split("test")[:1])
# fc8 = {"fc8": inverters["fc8"]}
# print(svdlib.evaluate_inverters(detector, fc8, one, plan)["fc8"].nre)
# ```
# Usually larger. Excerpts of one song are closer to each other, so $N_c$ is smaller, while the distance to the inversion stays what it was. So an NRE may only be compared between inverters on the same set, and never between sets without a thought.
# :::
#
# **3. Could it be luck?** Do the intervals of MP6 and FC7 overlap? Is that the right question when both are evaluated on the same songs? Compute the interval of their *difference*.
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# from svdlib.evaluation import mean_pairwise_distance, reconstruction_distances
#
# per_song = []
# for starts in sets:
#     x = test.cut(starts)
#     pair = {name: inverters[name] for name in ("mp6", "fc7")}
#     distance = {
#         name: reconstruction_distances(x, x_hat) / mean_pairwise_distance(x)
#         for name, x_hat in svdlib.reconstruct(detector, pair, x).items()
#     }
#     per_song.append((distance["fc7"] - distance["mp6"]).view(-1, 8).mean(1))
# difference = torch.stack(per_song).mean(0).cpu().numpy()
# choice = np.random.default_rng(0).choice
# draws = choice(difference, size=(1000, len(difference))).mean(1)
# print(np.quantile(draws, [0.025, 0.975]))
# ```
# Some songs are hard for both inverters and some easy for both. This common part makes both single intervals wide, but it cancels in the difference. If the interval of the difference excludes zero, the order of the two layers is no luck of the songs.
# :::
#
# ## Further reading
#
# - {cite:t}`mahendran2015` introduce the error measure, for images.
# - {cite:t}`mishra2018`, section 3.4, is the experiment repeated here.
# - {cite:t}`ramona2008` and {cite:t}`goto2002` describe the two corpora of the paper, Jamendo and RWC.
