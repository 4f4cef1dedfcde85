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
# # What optimisation shows, and what it costs
#
# **What does a search find that no inverter stands in the way of?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - why the lower feature error is not the better picture, over many songs;
# - what this says about Conv1 and Conv2, where no trained inverter stands in the way;
# - how to make noise that the detector takes for a song;
# - what songs keep that are given the feature of another one.
#
# **Prerequisites:** {doc}`08_optimisation`; singular values.
#
# **Minutes:** 19 to read, 35 for the exercises, about one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.compute.devices import choose_device
from svdlib.detector.optimisation import PLANS
from svdlib.inversion.lbfgs import minimise
from svdlib.inversion.nre import reconstruct
from svdlib.inversion.optimisation import (
    OptimisationPlan,
    noise,
    optimise_layers,
)
from svdlib.lab.analysis.preimages import preimages
from svdlib.lab.analysis.realism import times_as_rough
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.lab.figures.optimisation import figure_pictures, figure_ways
from svdlib.lab.figures.style import layer_title
from svdlib.lab.studies import load_results
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
passes = {"demo": 40, "laptop": 60, "full": 60}[profile]
n_songs = {"demo": 4, "laptop": 8, "full": 16}[profile]

collection = svdlib.open_corpus(corpus)
songs = svdlib.load_songs(collection.split("test")[:n_songs])
detector = svdlib.pretrained("detector").to(device)
bank = svdlib.ExcerptBank(
    songs, standardizer=detector.standardizer, device=device
)
sung = bank.labels(torch.arange(len(bank), device=device))
chance = np.random.default_rng(seed)


def draw(wanted, count):
    """Random excerpts of one class; of any, if there is none of it."""
    found = (sung == wanted).nonzero()[:, 0].cpu().numpy()
    found = found if len(found) else np.arange(len(bank))
    chosen = chance.choice(found, min(count, len(found)), replace=False)
    return bank.gather(torch.as_tensor(chosen, device=device))


x = torch.cat([draw(True, 1), draw(False, 1)])  # (2, 1, 115, 80)

# %% tags=["remove-input"]
if missing := one_class(collection.split("test")[:n_songs]):
    display(Markdown(missing))

# %% [markdown]
# ## Over many songs
#
# A study has measured the four ways of {doc}`08_optimisation` on random excerpts of all test songs, and of real songs, which guided the making of the synthetic ones ({doc}`06_real_singing`); its results are stored, and `python -m svdlib.lab.studies.inversion_by_optimisation` repeats it. Intervals come from resampling whole songs.

# %% tags=["hide-input"]
study = load_results("inversion_by_optimisation")
WAYS = {
    "optimised": "no regulariser",
    "regularised": "with regularisers",
    "published": "published inverter",
    "aligned": "aligned inverter",
}


def over_layers(found, quantity, ways=WAYS):
    """Mean and interval of a quantity per way and layer."""
    return {
        WAYS[way]: {
            name: (
                by_way[way][quantity]["mean"],
                *by_way[way][quantity]["ci95"],
            )
            for name, by_way in found["layers"].items()
        }
        for way in ways
    }


own = study["corpora"]["synthetic"]
real = [
    found for name, found in study["corpora"].items() if name != "synthetic"
]


# %% tags=["remove-input"]
def amount(found):
    """Songs and excerpts of a corpus, in words."""
    each = found["per_song"]
    return f"{found['songs']} songs, {each} random excerpt{'s' if each > 1 else ''} of each"


longest = [plan["passes"] for plan in study["plans"].values()]
display(
    Markdown(
        f"Synthetic test songs: {amount(own)}. "
        + " ".join(f"Real songs: {amount(found)}." for found in real)
        + f" An optimisation had {min(longest)} to {max(longest)} passes: more where more of the excerpt can be found. The two figures show the synthetic songs, the folded table shows all."
    )
)

# %% tags=["hide-input"] figure="feature-error-ways" mystnb={"image": {"alt": "Relative feature error over the eight layers on a logarithmic axis, with 95 percent intervals, for optimisation without and with regularisers and for the published and aligned inverters. The table below holds all numbers."}}
figure_ways(
    over_layers(own, "feature_error"), "relative feature error", None, True
)

# %% tags=["hide-input"] figure="nre-ways" mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers, with 95 percent intervals, for optimisation without and with regularisers and for the published and aligned inverters. The table below holds all numbers."}}
figure_ways(over_layers(own, "nre"), "NRE")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show all numbers, of real songs too"}
names = {"synthetic": "synthetic"} | {
    name: "real" for name in study["corpora"] if name != "synthetic"
}


def cell(summary, digits=3):
    """Mean and interval as text."""
    mean, (low, high) = summary["mean"], summary["ci95"]
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


pd.DataFrame(
    [
        {
            "layer": layer_title(name),
            "songs": names[corpus_name],
            "measure": title,
        }
        | {
            WAYS[way]: cell(by_way[way][quantity])
            for way in ("optimised", "regularised", "published", "aligned")
        }
        for quantity, title in (("nre", "NRE"), ("feature_error", "feature"))
        for name in svdlib.LAYERS
        for corpus_name, found in study["corpora"].items()
        for by_way in [found["layers"][name]]
    ]
).style.hide(axis="index")

# %% tags=["remove-input"]
all_below = all(
    by_way[way]["feature_error"]["mean"]
    < min(
        by_way[f]["feature_error"]["mean"] for f in ("published", "aligned")
    )
    for found in study["corpora"].values()
    for by_way in found["layers"].values()
    for way in ("optimised", "regularised")
)
better = [
    layer_title(name)
    for name, by_way in own["layers"].items()
    if by_way["regularised"]["nre"]["mean"] < by_way["aligned"]["nre"]["mean"]
]
worse = [
    layer_title(name)
    for name in svdlib.LAYERS
    if layer_title(name) not in better
]
beyond = [
    layer_title(name)
    for name, by_way in own["layers"].items()
    if by_way["optimised"]["nre"]["mean"] > 1
]
display(
    Markdown(
        (
            "On both corpora, optimisation has the lower feature error at every layer, with regularisers or without. "
            if all_below
            else "Optimisation does not have the lower feature error everywhere. "
        )
        + f"In NRE, the regularised optimisation is better than the aligned inverter at {', '.join(better) or 'no layer'}, and worse at {', '.join(worse) or 'none'}. "
        + (
            f"Without regularisers it even passes 1 at {', '.join(beyond)}: the picture is further from the excerpt than other excerpts are. "
            if beyond
            else ""
        )
        + "So the two errors do not go together. Where a layer has thrown something away, many pictures share its feature. Optimisation returns *some* such picture. A trained inverter returns something near the *average* of those that occur in music, which is closer to the original, "
        "although its own feature is further off."
    )
)

# %% [markdown]
# (claim-bijective)=
# ## Are Conv1 and Conv2 nearly bijective?
#
# The paper says that Conv1 and Conv2 lose next to nothing, judging by its inverters. An inverter's error is only an upper limit, and that of the published ones has a floor of its own ({doc}`04_quantitative_nre`). Optimisation has no such floor, and its start is noise that knows nothing of songs. If it comes
# back to the very excerpt, the feature must have led it there.


# %% tags=["remove-input"]
def largest(values):
    """For the text: 0.000 would claim too much."""
    return f"{max(values):.3f}" if max(values) >= 1e-3 else "under 0.001"


lines = [
    f"{layer_title(name)}: the NRE is {largest(found['nre'])} at most, at a feature error of {largest(found['feature_error'])}; the pictures from the two starts lie {largest(found['between_starts'])} apart"
    for name, found in own["patient"].items()
]
count = len(own["patient"]["conv1"]["nre"])
display(
    Markdown(
        f"The study makes this descent twice, from two different noises, for {count} excerpts of different songs, with {own['patient_passes']} passes and without regularisers. The largest values, distances in mean distances between excerpts:\n\n- "
        + "\n- ".join(lines)
        + "."
    )
)

# %% [markdown]
# For Conv1 there is even a proof. Its 64 filters of 9 weights are a matrix $\mathbf{F}$ that maps each patch of 3 × 3 cells to 64 numbers. Let $\sigma$ be its smallest singular value. Every cell of the excerpt lies in at least one patch, so two excerpts at a distance $d$ have filter outputs at a distance of at
# least $\sigma d$. The leaky ReLU shrinks no distance by more than its slope below zero, 0.01. If $\sigma > 0$, different excerpts therefore always have different features.

# %%
filters = detector.layers["conv1"][0].weight.detach().flatten(1)  # (64, 9)
sigma = torch.linalg.svdvals(filters.double())
print(f"largest {sigma[0]:.3f}, smallest {sigma[-1]:.3f}")

# %% tags=["nbval-check-output", "hide-input"]
print(f"Conv1 keeps different excerpts different: {bool(sigma[-1] > 1e-6)}")

# %% tags=["remove-input"]
ranges = own["singular_values"]
lines = [
    f"{layer_title(name)} from {max(found['smallest']):.2f} to {max(found['largest']):.1f}"
    for name, found in ranges.items()
]
display(
    Markdown(
        "For the other layers there is no such short proof. But we can ask how strongly a layer answers to the smallest changes: the singular values of its Jacobian, from the direction that it notices least to the one that it notices most. "
        f"The study estimates them by {own['lanczos_steps']} steps of Lanczos' method at {len(next(iter(ranges.values()))['smallest'])} excerpts: {'; '.join(lines)}. The left numbers are *upper* limits of the smallest singular value: with more steps they can only fall."
    )
)

# %% [markdown]
# What does this show? For Conv1, that inversion is possible, always. For Conv2 look at the numbers above. The smaller the NRE, and the nearer together the two ends, the less room is left for another picture with the same feature. It is evidence and not a proof: other starts might lead elsewhere. And it
# is a statement about exact features. A direction with a small singular value is found by a patient descent, but it would drown in a little noise on the feature.
#
# Where the descent does *not* come back to the excerpt, there are two explanations: the feature fits other pictures too, or the descent got stuck. The feature error tells them apart. If it is small, the feature does fit another picture. If it stays well above zero, the descent got stuck, and nothing is known about the layer.
# MP3 is the first layer that takes maxima: a cell that is not the maximum has no gradient. So a descent can come to an end there without being at its goal.
#
# ## What it costs
#
# ### Time

# %% tags=["remove-input"]
ratios = {
    name: times["optimised"]["aligned"]
    for name, times in own["times"].items()
}
low, high = min(ratios, key=ratios.get), max(ratios, key=ratios.get)
display(
    Markdown(
        f"A trained inverter needs one pass. The descents through the detector, forwards and backwards in each pass, took {ratios[low]:.0f} ({layer_title(low)}) to {ratios[high]:.0f} times ({layer_title(high)}) the processor time of the aligned inverter's one, excerpt for excerpt on the same machine. "
        "That is the second of the two limits that the paper names: each new feature has to be optimised anew. The training of the inverters is not in this ratio; it is paid once."
    )
)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show all numbers, of real songs too"}
pd.DataFrame(
    [
        {"layer": layer_title(name)}
        | {
            f"times the {family} inverter's pass": round(ratio)
            for family, ratio in times["optimised"].items()
        }
        for name, times in own["times"].items()
    ]
).style.hide(axis="index")

# %% [markdown]
# ### Realism
#
# To say how far a picture lies from real excerpts, we take four statistics of each of its 80 bands: the mean (*level*), the deviation over time (*spread*), and the root mean square of the differences to the next frame (*change in time*) and to the next band (*change across bands*); of all but the
# level, the logarithm. For excerpts of *other songs* of the corpus we know the mean $\mu$ and the deviation $s$ of each statistic. The distance of a picture with the value $v$ is the root mean square of $(v - \mu)/s$ over all statistics. A real excerpt should lie at about 1. Noise changes too much and lies far away, and
# so does a blurred picture, which changes too little. The measure is ours, and it is blunt: a picture at 1 need not be music, but one at 5 certainly isn't like these songs.

# %% tags=["hide-input"] figure="realism-ways" mystnb={"image": {"alt": "Distance from real excerpts over the eight layers, with 95 percent intervals, for optimisation without and with regularisers and for the published and aligned inverters; a dotted line marks the excerpts themselves. The table below holds all numbers."}}
figure_ways(
    over_layers(own, "distance, all"),
    "distance from real excerpts",
    ("the excerpts themselves", own["originals"]["distance, all"]["mean"]),
)

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show all numbers, of real songs too"}
pd.DataFrame(
    [
        {"layer": layer_title(name), "songs": names[corpus_name]}
        | {
            WAYS[way]: cell(found["layers"][name][way]["distance, all"], 1)
            for way in WAYS
        }
        for name in svdlib.LAYERS
        for corpus_name, found in study["corpora"].items()
    ]
    + [
        {"layer": "excerpts", "songs": names[corpus_name]}
        | {
            WAYS["optimised"]: cell(found["originals"]["distance, all"], 1),
        }
        for corpus_name, found in study["corpora"].items()
    ]
).fillna("").style.hide(axis="index")

# %% tags=["remove-input"]
far = {
    way: {
        name: by_way[way]["distance, all"]["mean"]
        for name, by_way in own["layers"].items()
    }
    for way in WAYS
}
costly = [
    layer_title(name)
    for name in svdlib.LAYERS
    if far["optimised"][name] > far["aligned"][name]
]
still_costly = [
    layer_title(name)
    for name in svdlib.LAYERS
    if far["regularised"][name] > far["aligned"][name]
]
deepest = own["layers"]["fc8"]
kinds = ("level", "spread", "change in time", "change across bands")
worst = {
    way: max(kinds, key=lambda k: deepest[way][f"distance, {k}"]["mean"])
    for way in WAYS
}
if len(set(worst.values())) == 1:
    furthest = f"What is furthest off there, in all four, is the {worst['optimised']}."
else:
    furthest = f"What is furthest off there: {worst['optimised']} without regularisers, {worst['regularised']} with, {worst['published']} for the published inverter and {worst['aligned']} for the aligned one."
display(
    Markdown(
        f"Here is the price. Without regularisers, optimisation lies further from real excerpts than the aligned inverter at {', '.join(costly) or 'no layer'}; with regularisers at {', '.join(still_costly) or 'no layer'}. "
        f"At FC8 the distances are {far['optimised']['fc8']:.1f} without and {far['regularised']['fc8']:.1f} with regularisers, {far['published']['fc8']:.1f} for the published and {far['aligned']['fc8']:.1f} for the aligned inverter. "
        + furthest
    )
)

# %% [markdown]
# A distance does not say on *which side* a picture lies. So we ask how many times as much it changes from frame to frame as its original, for two random excerpts, one of each class: above 1 is too rough, below 1 too smooth.

# %% tags=["hide-input"]
plans = {
    name: replace(PLANS[name], passes=passes, seed=seed)
    for name in ("conv2", "conv5", "fc8")
}
bare = {name: plan.without_regularisers() for name, plan in plans.items()}
shown = {
    way: {
        name: each.pictures
        for name, each in optimise_layers(detector, x, chosen).items()
    }
    for way, chosen in (("optimised", bare), ("regularised", plans))
}
for variant in ("published", "aligned"):
    inverters = {
        name: svdlib.pretrained("inverter", layer=name, variant=variant).to(
            device
        )
        for name in plans
    }
    shown[variant] = reconstruct(detector, inverters, x)
rough = {
    name: {
        way: float(times_as_rough(x, found[name]).log().mean().exp())
        for way, found in shown.items()
    }
    for name in plans
}
pd.DataFrame(
    [
        {"layer": layer_title(name)}
        | {WAYS[way]: ratio for way, ratio in by_way.items()}
        for name, by_way in rough.items()
    ]
).style.format(precision=2).hide(axis="index")

# %% tags=["remove-input"]
end = rough["fc8"]
display(
    Markdown(
        f"At FC8 the picture changes {end['optimised']:.1f} times as much as its original without regularisers, {end['regularised']:.2f} times with them, and that of the aligned inverter {end['aligned']:.2f} times. "
        + (
            "So the methods fail on opposite sides: one is too rough, the other too smooth, and neither looks like a song. A deep feature leaves most of the picture open. Optimisation leaves there what the start or the regulariser put, a trained inverter paints the average of many songs, and an average of songs is a blur. "
            if end["optimised"] > 1.2 and end["aligned"] < 0.8
            else ""
        )
        + "The comparison of the distances at a deep layer is therefore one of two kinds of failure. It depends on how much one minds noise and how much blur; our measure, which takes logarithms, minds half as much change as it minds twice as much."
    )
)

# %% [markdown]
# ## Fooling the detector
#
# The paper warns that a search without regularisers may return *fooling examples*: pictures that a network takes for something that no human sees in them. Let us make some. We take FC8, one step before the detector's answer, and random excerpts of both classes.

# %%
started = noise(x.shape[1:], seed, x)
several = torch.cat([draw(True, 4), draw(False, 4)])
fooling = optimise_layers(
    detector, several, {"fc8": OptimisationPlan(passes, seed=seed)}
)["fc8"].pictures
with torch.no_grad():
    before, after = (
        torch.sigmoid(detector(each))[:, 0].cpu()
        for each in (several, fooling)
    )
    of_noise = float(torch.sigmoid(detector(started)))
    moved = float(
        (fooling - started).norm() / started.expand_as(fooling).norm()
    )

# %% tags=["hide-input"] figure="fooling" mystnb={"image": {"alt": "Four spectrograms: a sung and an unsung excerpt, and beside each the noise that has nearly the same FC8 feature. The table below holds the detector's answers."}}
last = len(several) - 1
figure_pictures(
    {
        f"excerpt: singing {before[0]:.2f}": several[0, 0],
        f"from its FC8: {after[0]:.2f}": fooling[0, 0],
        f"excerpt: singing {before[last]:.2f}": several[last, 0],
        f"from its FC8: {after[last]:.2f} ": fooling[last, 0],
    }
)

# %% tags=["hide-input"]
pd.DataFrame(
    {
        "excerpt": range(1, len(several) + 1),
        "probability of singing": before.numpy(),
        "of the noise": after.numpy(),
        "NRE share": (
            (fooling - several).flatten(1).norm(dim=1).cpu()
            / torch.pdist(several.flatten(1)).mean().cpu()
        ).numpy(),
    }
).style.format(precision=3).hide(axis="index")

# %% tags=["remove-input"]
threshold = detector.threshold
kept = int(((before > threshold) == (after > threshold)).sum())
stored, by_inverter = (
    " and ".join(
        f"{found['layers']['fc8'][way]['answer_kept']['mean']:.0%} of the {names[name]} excerpts"
        for name, found in study["corpora"].items()
    )
    for way in ("optimised", "aligned")
)
display(
    Markdown(
        f"The detector gives {kept} of {len(several)} pictures the same answer as the excerpts. Its answer to the noise from which all started is {'sung' if of_noise > threshold else 'not sung'} ({of_noise:.2f}). From there the pictures have moved by {moved:.0%} of the noise's own length. In the study the answer is kept for {stored}; for the pictures of the aligned inverter, for {by_inverter}. "
        "Nobody would call these pictures singing, or an accompaniment. So the 64 numbers of FC8 do not *mean* what the inversions of a trained inverter show; those show what the 64 numbers go together with *in songs*. Outside of songs the detector has never been told what to say."
    )
)

# %% [markdown]
# (one-feature)=
# ## The feature of another song
#
# A descent that begins in noise ends in noise. So begin in songs. We take the excerpt that the detector is surest of, and ten other excerpts, sung and unsung. Each is changed until its feature is that of the first. What the feature says must then be the same in all ten; **what still varies between them is what the layer has dropped.** ({doc}`08c_most_like_to_hear` asks the same of ten descents from noise.)

# %%
everything = bank.gather(bank.spread(128))
with torch.no_grad():
    surest = everything[detector(everything)[:, 0].argmax()][None]
others = torch.cat([draw(True, 5), draw(False, 5)])
same_feature = {
    layer: preimages(detector, surest, others, layer, passes)
    for layer in ("fc7", "fc8")
}

# %% tags=["hide-input"] figure="feature-of-another" mystnb={"image": {"alt": "Eight spectrograms in pairs. The first pair is the excerpt whose FC8 feature is wanted, and what a trained inverter paints of that feature. The others are three excerpts of the test songs, each before and after it was given that feature: they look nearly alike, but for faint specks. The table below holds what the detectors answer."}}
second = svdlib.pretrained("second detector").to(device)


def says(judge, pictures):
    """The probabilities of singing that a detector gives excerpts on the scale of the first one."""
    if judge is not detector:
        log_mels = detector.standardizer.inverse(pictures[:, 0])
        pictures = judge.standardizer(log_mels)[:, None]
    with torch.no_grad():
        return torch.sigmoid(judge(pictures))[:, 0].cpu()


given = same_feature["fc8"].pictures
before, after = says(detector, others), says(detector, given)
chosen = before.argsort()[:3].tolist()
by_inverter = reconstruct(
    detector,
    {
        "fc8": svdlib.pretrained(
            "inverter", layer="fc8", variant="aligned"
        ).to(device)
    },
    surest,
)["fc8"]
panels = {
    f"its feature is wanted: {float(says(detector, surest)):.2f}": surest,
    f"as an inverter paints it: {float(says(detector, by_inverter)):.2f}": by_inverter,
}
for number, place in enumerate(chosen, start=1):
    panels |= {
        f"excerpt {number}: singing {before[place]:.2f}": others[place][None],
        f"with that feature: {after[place]:.2f}{' ' * number}": given[place][
            None
        ],
    }
figure_pictures({title: picture[0, 0] for title, picture in panels.items()})

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "layer": layer_title(layer),
            "error of the feature": float(found.feature_errors.mean()),
            "moved, of the distance to the excerpt": float(
                found.moved.mean()
            ),
            "still apart, of the distance before": found.apart,
            "detector: mean probability": float(
                says(detector, found.pictures).mean()
            ),
            "second detector": float(says(second, found.pictures).mean()),
        }
        for layer, found in same_feature.items()
    ]
    + [
        {
            "layer": "before",
            "detector: mean probability": float(before.mean()),
            "second detector": float(says(second, others).mean()),
        }
    ]
).style.format(precision=2, na_rep="").hide(axis="index")

# %% tags=["remove-input"]
deep = same_feature["fc8"]
text = f"To have another excerpt's FC8 feature (to within {deep.feature_errors.mean():.0%}), a picture moves {deep.moved.mean():.0%} of the way to it, and the ten lie as far apart as {deep.apart:.0%} of before. "
text += (
    "So they keep their melodies, their rhythms, their instruments: FC8 allows for all of these. "
    if deep.apart > 0.8
    else "So FC8 binds a part of what we see. "
)
heard_too = (
    (says(second, given) > second.threshold)
    == (says(second, surest) > second.threshold)
).float()
already = (
    (says(second, others) > second.threshold)
    == (says(second, surest) > second.threshold)
).float()
text += f"The second detector, which had no part in the search, gives {heard_too.mean():.0%} of the ten the answer of the wanted excerpt, and gave it to {already.mean():.0%} of them before: "
text += (
    "the faint specks that were added are no private code of one network. They say something to both, and nearly nothing to us."
    if heard_too.mean() > already.mean() + 0.2
    else "what was changed says much to the first network, and little to another."
)
display(Markdown(text))

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A descent comes to an end well above a feature error of zero. What does that show about the layer?",
        [
            Answer(
                "Nothing yet: the descent may be stuck.",
                "A picture with exactly this feature exists, the excerpt. Another start or more patience might lead to one.",
                right=True,
            ),
            Answer(
                "That the layer has thrown information away.",
                "It may have. But for that you need a picture that has the same feature and is not the excerpt. Here the features differ.",
            ),
            Answer(
                "That no picture has this feature.",
                "One has it for sure: the excerpt from which the feature was computed.",
            ),
        ],
    ),
    Question(
        "The smallest singular value of the filters of Conv1 is above zero. What follows?",
        [
            Answer(
                "Different excerpts have different Conv1 features.",
                "A distance between two excerpts cannot shrink to nothing on the way. So a Conv1 feature determines its excerpt.",
                right=True,
            ),
            Answer(
                "Any numbers at all are the Conv1 feature of some excerpt.",
                "That would be the other half of being bijective. Conv1 makes 64 maps out of one picture: most combinations of maps belong to no picture.",
            ),
            Answer(
                "Conv1 keeps all distances between excerpts.",
                "They may shrink and grow, between the limits that the singular values and the ReLU set. They only cannot vanish.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A search reaches a lower feature error than a trained inverter, at every layer, and needs many times the time.
# - Without an inverter in between, one can ask a layer itself. Conv1 is provably invertible; for Conv2, a descent from noise gives evidence.
# - The same search makes noise that the detector takes for singing.
# - Pictures with one feature show what a layer has dropped: all that varies between them.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-proof-fails)=
# ### Exercise 1: When the proof fails
#
# *Medium, 15 minutes.*
#
# The proof for Conv1 needs $\sigma > 0$. Write `sigma_of(weights)`: the largest $\sigma$ such that the outputs of the filters for two patches at a distance $d$ always lie at least $\sigma d$ apart. `weights` has the shape (filters, 1, 3, 3), and there may be any number of filters. What if there are only eight?
#
# :::{dropdown} First hint
# How far a matrix keeps vectors apart is told by the direction that it shrinks most. How many directions has a patch of nine cells?
# :::
#
# :::{dropdown} Second hint
# Flatten the filters to a matrix with nine columns. Take the smallest of the *nine* eigenvalues of its transpose times itself, and the root of it.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_sigma(sigma_of):
    rng = torch.Generator().manual_seed(3)
    turned = torch.linalg.qr(torch.randn(9, 9, generator=rng))[0]
    scales = torch.tensor([4.0, 3.0, 3.0, 2.0, 2.0, 1.0, 1.0, 0.5, 0.25])
    known = turned * scales[:, None]
    for filters, expected, what in (
        (known, 0.25, "Nine filters that scale nine directions"),
        (torch.cat([known, known]), 0.25 * 2**0.5, "The same, each twice"),
        (known[:8], 0.0, "Eight filters"),
        (torch.cat([known[:8]] * 8), 0.0, "Eight filters, eight times each"),
    ):
        got = float(sigma_of(filters.reshape(-1, 1, 3, 3).clone()))
        hint = (
            "A patch has nine cells. Is there a direction to which no filter answers? Distances along it vanish."
            if expected == 0
            else "It is the smallest singular value of the matrix (filters, 9)."
        )
        assert abs(got - expected) < 1e-3, (
            f"{what}: sigma is {expected:.3f}, not {got:.3f}. {hint}"
        )


# %% tags=["exercise"]
def sigma_of(weights):
    """How far filters keep patches apart, from (filters, 1, 3, 3)."""
    ...


check_sigma(sigma_of)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def sigma_of(weights):
    matrix = weights.detach().flatten(1).double()
    return torch.linalg.eigvalsh(matrix.T @ matrix)[0].clamp(min=0).sqrt()


display(check_sigma(sigma_of))
own_weights = detector.layers["conv1"][0].weight
found = {n: float(sigma_of(own_weights[:n])) for n in (8, 16, 32, 64)}
display(
    Markdown(
        "With the first filters of Conv1 alone: "
        + ", ".join(f"{n} filters {value:.3f}" for n, value in found.items())
        + ". Eight filters cannot tell all patches of nine cells apart, whatever they are; `svdvals` returns only eight values for them, and hides that. And yet this would not show that *excerpts* get lost: each cell lies in up to nine patches. Where the proof fails, the question is open."
    )
)

# %% [markdown]
# (exercise-any-answer)=
# ### Exercise 2: Any answer you like
#
# *Hard, 20 minutes.*
#
# Change a picture until the detector gives a *chosen* answer. Write `answering(start, wanted)`: from a picture `start` of shape (1, 1, 115, 80), find one to which the detector gives the probability `wanted`, to within 0.02. The function `minimise(terms, start, passes).x` descends; `terms(z)` returns a dict of losses, each of shape (n,), that are added up, such as `{"answer": ...}`. Mind where the sigmoid is flat.
#
# :::{dropdown} First hint
# A loss that is 0 at the wanted answer, and has a slope everywhere else. Where the sigmoid is flat, probabilities have none.
# :::
#
# :::{dropdown} Second hint
# Compare logits, not probabilities: `torch.logit` of the wanted one, and the squared difference to what the detector gives, of shape (n,).
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_answering(answering):
    rng = torch.Generator().manual_seed(11)
    start = torch.randn(1, 1, 115, 80, generator=rng).to(device)
    for wanted in (0.3, 0.9):
        made = answering(start.clone(), wanted)
        assert made.shape == start.shape, (
            f"Return a picture {tuple(start.shape)}, not {tuple(made.shape)}."
        )
        with torch.no_grad():
            got, was = (
                float(torch.sigmoid(detector(each)))
                for each in (made.detach().to(device), start)
            )
        hint = (
            "It stays where the answer hardly changes any more. If the loss contains the sigmoid, its gradient is nearly zero where the probability is near 0 or 1: compare logits."
            if abs(got - was) < 0.05 or not 0.01 < got < 0.99
            else "Does your target belong to the same scale, logit or probability, as the detector's output?"
        )
        assert abs(got - wanted) < 0.02, (
            f"Asked for {wanted}, the picture gets {got:.3f}; the start got {was:.3f}. {hint}"
        )
        moved = float((made.detach().to(device) - start).norm())
        assert moved < 0.9 * float(start.norm()), (
            "The picture is no longer much like the given one. Begin the descent there."
        )


# %% tags=["exercise"]
def answering(start, wanted):
    """A picture (1, 1, 115, 80) that gets a wanted probability."""
    ...


check_answering(answering)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def answering(start, wanted):
    goal = float(torch.logit(torch.tensor(wanted)))

    def terms(z):
        return {"answer": (detector(z)[:, 0] - goal).square()}

    return minimise(terms, start, 30).x


display(check_answering(answering))
share = {
    wanted: float((answering(x[:1], wanted) - x[:1]).norm() / x[:1].norm())
    for wanted in (0.1, 0.9)
}
display(
    Markdown(
        "To make the detector say 0.1 or 0.9 to the first excerpt, it is enough to change the picture by "
        + " or ".join(f"{100 * value:.1f} %" for value in share.values())
        + " of its length. A single number at the end leaves nearly everything free, so that a descent can have any answer with almost any picture."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018`, section 2.1, names the two limits of the search.
# - {cite:t}`nguyen2015` make fooling examples for networks that see images.
