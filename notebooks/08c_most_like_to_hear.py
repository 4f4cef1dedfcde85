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
# # What would it most like to hear?
#
# **Which sound makes the detector surest, and how many sounds are the same to it?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - how to search for the input that a unit of a network answers to most;
# - why a second detector must judge what such a search finds;
# - how to see what a layer has dropped, from ten inversions of one feature.
#
# **Prerequisites:** {doc}`08_optimisation`; {doc}`02_inverter_design` for the inverters.
#
# **Minutes:** 15 to read, 25 for the exercises, about one to run.
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
from svdlib.detector.optimisation import PLANS
from svdlib.inversion.maximisation import maximise, maximise_through
from svdlib.inversion.optimisation import (
    OptimisationPlan,
    invert_by_optimisation,
    noise,
)
from svdlib.lab.analysis.round_trip import answers
from svdlib.lab.figures.gallery import Gallery, Panel
from svdlib.lab.figures.optimisation import figure_pictures
from svdlib.lab.figures.style import layer_title
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.recipes import bank_of

device = choose_device(device)
passes = {"demo": 60, "laptop": 120, "full": 200}[profile]
n_songs = {"demo": 8, "laptop": 16, "full": 16}[profile]
n_pictures = {"demo": 10, "laptop": 10, "full": 30}[profile]

collection = svdlib.open_corpus(corpus)
detector = svdlib.pretrained("detector").to(device)
second = svdlib.pretrained("second detector").to(device)
bank = bank_of(
    svdlib.load_songs(collection.split("test")[:n_songs]), detector, device
)
examples = bank.gather(bank.spread(256))
ours = answers(detector, examples)


def theirs(pictures):
    """Logits of the second detector, which hears by its own scale."""
    return answers(second, pictures, detector.standardizer)


# %% [markdown]
# So far every inversion had an original. Now we give none. We ask for the sound to which a unit of the network answers *most*: this is activation maximisation {cite}`erhan2009`. The unit is first the detector's answer itself, the *logit*, which is above zero where it finds singing more likely than not. Below are two real excerpts, one of which it is surest that somebody sings, one that nobody does, and two pictures that a search has made out of noise.

# %%
spread = float(ours.std())  # how much the logit usually varies
plan = OptimisationPlan(passes, alpha_weight=0.01, variation_weight=5.0)
wish = torch.tensor([1.0, -1.0], device=device)  # most, and least
start = 0.1 * noise(examples.shape[1:], seed, examples).expand(2, -1, -1, -1)
found = maximise(
    lambda x: wish * detector(x)[:, 0], start, plan, scale=spread
)

# %% tags=["hide-input"] figure="most-and-least" mystnb={"image": {"alt": "Four spectrograms: the excerpt that the detector is surest is sung, the one it is surest is not, and the pictures that a search has found for the largest and for the smallest logit. The text below gives the logits of both detectors."}}
surest = torch.stack([examples[ours.argmax()], examples[ours.argmin()]])
names = ("sung", "not sung")
figure_pictures(
    {f"surest excerpt, {name}": surest[k, 0] for k, name in enumerate(names)}
    | {
        f"searched, {name}": found.pictures[k, 0]
        for k, name in enumerate(names)
    }
)

# %% tags=["remove-input"]
logits = {
    "excerpts": (answers(detector, surest), theirs(surest)),
    "searched": (answers(detector, found.pictures), theirs(found.pictures)),
}
own, other = logits["searched"]
text = f"The surest sung excerpt has a logit of {logits['excerpts'][0][0]:.1f}, the picture that was searched for has {own[0]:.0f}, far beyond anything in these {len(examples)} excerpts. "
text += f"At the other end it is {logits['excerpts'][0][1]:.1f} and {own[1]:.0f}. "
display(Markdown(text))

# %% [markdown]
# Look at the picture for *sung*. Nobody has told the search what a voice looks like. Is there anything of one in it, such as lines that rise and fall together? And listen: the way from picture to sound is that of {doc}`09_listening`.

# %% tags=["hide-input"]
Gallery(
    [
        Panel(
            f"{kind}, {name}",
            detector.standardizer.inverse(picture[k, 0]).detach().cpu(),
            picture[k, 0].detach().cpu(),
        )
        for kind, picture in (
            ("Excerpt", surest),
            ("Searched", found.pictures),
        )
        for k, name in enumerate(names)
    ]
)

# %% [markdown]
# ## Is it the sound, or the network's weak spot?
#
# A search over *all* pictures also finds those that excite the network by accident: fooling examples ({doc}`08b_what_optimisation_shows`). Two things help to tell. **Regularisers:** the more neighbouring cells must agree, the less room there is for tricks. **A second detector:** it has the same task, and learned it from another seed on other songs. What excites both is more likely to lie in the sound.

# %%
plans = {
    "none": OptimisationPlan(passes),
    "little smoothness": OptimisationPlan(passes, 0.01, 1.0),
    "more": plan,
    "much": OptimisationPlan(passes, 0.01, 20.0),
}
searched = {
    name: maximise(
        lambda x: detector(x)[:, 0], start[:1], each, scale=spread
    ).pictures
    for name, each in plans.items()
}

# %% tags=["hide-input"] figure="regularised-maxima" mystnb={"image": {"alt": "Four spectrograms that excite the detector's answer, found with no regulariser and with three weights of smoothness. The table below holds the logits of both detectors."}}
figure_pictures(
    {f"regulariser: {name}": each[0, 0] for name, each in searched.items()}
)

# %% tags=["hide-input"]
best_of_songs = float(ours.max()), float(theirs(examples).max())
rows = {
    name: (float(answers(detector, each)[0]), float(theirs(each)[0]))
    for name, each in searched.items()
} | {"surest of the excerpts": best_of_songs}
pd.DataFrame(
    [
        {"search": name, "detector": own, "second detector": other}
        for name, (own, other) in rows.items()
    ]
).style.format(precision=1).hide(axis="index")

# %% tags=["remove-input"]
reached = {
    name: (own / best_of_songs[0], other / best_of_songs[1])
    for name, (own, other) in rows.items()
}
free, smooth = reached["none"], reached["much"]
display(
    Markdown(
        f"Without a regulariser the detector's logit is {free[0]:.0f} times that of its surest excerpt, the second detector's {free[1]:.1f} times that of its own: most of the excitement is private. With much smoothness it is {smooth[0]:.0f} and {smooth[1]:.1f} times. "
        + (
            "The smoother the picture, the more of it is heard by both. "
            if smooth[1] > free[1]
            else "Here smoothness does not bring them together. "
        )
        + "The intervals of this book come from songs, and there are none here: each number is one search from one start. Other values of `seed` give other pictures."
    )
)

# %% [markdown]
# (maximum-through-an-inverter)=
# ## Through an inverter
#
# Smooth pictures are not yet songs. {cite:t}`nguyen2016` let a trained generator paint and search among what it can paint. We have such painters: our inverters. So we change a *feature* until the picture that its inverter makes of it excites the detector. To stay among features that occur, we move along the 16 directions in which the features of our excerpts vary most, and pay for every deviation.

# %%
through = {}
for layer in ("mp6", "fc7", "fc8"):
    inverter = svdlib.pretrained("inverter", layer=layer, variant="aligned")
    with torch.no_grad():
        features = torch.cat(
            [
                detector.features(piece, (layer,))[layer]
                for piece in examples.split(16)
            ]
        )
    through[layer] = maximise_through(
        inverter.to(device),
        lambda x: detector(x)[:, 0],
        features,
        features.mean(dim=0, keepdim=True),
        passes=passes,
        scale=spread,
        description=layer,
    ).pictures

# %% tags=["hide-input"] figure="maxima-through-inverters" mystnb={"image": {"alt": "Three spectrograms that excite the detector's answer, painted by the inverters of MP6, FC7 and FC8. The text below gives the logits of both detectors."}}
figure_pictures(
    {
        f"through {layer_title(layer)}: {float(answers(detector, picture)[0]):.1f}, second {float(theirs(picture)[0]):.1f}": picture[
            0, 0
        ]
        for layer, picture in through.items()
    },
    columns=3,
)

# %% tags=["remove-input"]
both = [
    layer_title(layer)
    for layer, picture in through.items()
    if answers(detector, picture)[0] > 0 and theirs(picture)[0] > 0
]
none = [
    layer_title(layer)
    for layer, picture in through.items()
    if answers(detector, picture)[0] < 0
]
text = ""
if both:
    text += f"Painted through {', '.join(both)}, the picture is called sung by both detectors. "
if none:
    text += f"Through {', '.join(none)} the search does not get there: it finds no usual feature whose picture the detector calls sung, although the features themselves decide it. This is the other side of *The round trip*: an inverter that was trained for a small error paints means, and a mean excites nothing. "
display(
    Markdown(
        text
        + "What the inverters add is what goes together in *our* songs. It is no proof that the detector listens for just that."
    )
)

# %% [markdown]
# (single-units)=
# ## Single units
#
# The same can be asked of any unit. FC8 has 64 of them. We take the two that the last layer weighs most for *sung*, and the two that it weighs most against it, each by its weight times how much it varies. Beside each search stands the excerpt that excites the unit most.

# %%
with torch.no_grad():
    units = torch.cat(
        [
            detector.features(piece, ("fc8",))["fc8"]
            for piece in examples.split(16)
        ]
    )
influence = (detector.out[1].weight[0].detach() * units.std(dim=0)).cpu()
order = influence.argsort()
chosen = [int(order[-1]), int(order[-2]), int(order[0]), int(order[1])]
each_own = torch.arange(4, device=device)
usual = units.std(dim=0)[chosen]
preferred = maximise(
    lambda x: detector.features(x, ("fc8",))["fc8"][each_own, chosen] / usual,
    start[:1].expand(4, -1, -1, -1),
    OptimisationPlan(passes, 0.01, 1.0),
).pictures

# %% tags=["hide-input"] figure="preferred-by-units" mystnb={"image": {"alt": "Eight spectrograms in four rows, one row for each of four units of FC8: the picture that a search found for the unit, and the excerpt of the test songs that excites it most. Two units speak for singing, two against it."}}
pictures = {}
for row, unit in enumerate(chosen):
    kind = "for" if influence[unit] > 0 else "against"
    pictures[f"unit {unit} ({kind}), searched"] = preferred[row, 0]
    pictures[f"unit {unit}, best excerpt"] = examples[
        units[:, unit].argmax(), 0
    ]
figure_pictures(pictures)

# %% tags=["remove-input"]
sure = answers(detector, preferred)
display(
    Markdown(
        f"The detector's logits for the four searched pictures, from above: {', '.join(f'{float(logit):.0f}' for logit in sure)}. In all, {int((influence > 0).sum())} of the 64 units speak for singing and {int((influence < 0).sum())} against it; these four are not all there is to the answer."
    )
)

# %% [markdown]
# (several-pictures)=
# ## Ten pictures of one feature
#
# A last use of searching. One feature has many pictures: all those that the layer cannot tell apart. We invert one and the same feature several times by the search of {doc}`08_optimisation`, each time from other noise. What all pictures share, the feature has fixed. **What varies between them, the layer has dropped**, or at least does not mind.

# %%
one = surest[:1]
layers = ("conv2", "mp3", "mp6", "fc8")
starts = torch.cat(
    [noise(one.shape[1:], seed + k, one) for k in range(n_pictures)]
)
several = {}
for layer in layers:
    with torch.no_grad():
        feature = detector.features(one, (layer,))[layer]
    several[layer] = invert_by_optimisation(
        lambda x, layer=layer: detector.features(x, (layer,))[layer],
        feature.expand(n_pictures, *feature.shape[1:]),
        one.shape[1:],
        OptimisationPlan(
            40, PLANS[layer].alpha_weight, PLANS[layer].variation_weight
        ),
        start=starts,
        description=layer,
    )

# %% tags=["hide-input"] figure="ten-pictures" mystnb={"image": {"alt": "Eight spectrograms in four rows, one row for each of Conv2, MP3, MP6 and FC8: two of the pictures that were found for one and the same feature, from other noise each. The table below says how much they differ."}}
pairs = {}
for layer, inversion in several.items():
    for k in (0, 1):
        pairs[f"{layer_title(layer)}, start {k + 1}"] = inversion.pictures[
            k, 0
        ]
figure_pictures(pairs)

# %% tags=["hide-input"]
among = float(examples.std(dim=0).square().mean().sqrt())
table = [
    {
        "layer": layer_title(layer),
        "feature error": f"{float(inversion.feature_errors.mean()):.1%}",
        "spread of the pictures": float(
            inversion.pictures.std(dim=0).square().mean().sqrt()
        )
        / among,
        "answers kept": f"{int(((answers(detector, inversion.pictures) > 0) == (answers(detector, one) > 0)).sum())} of {n_pictures}",
    }
    for layer, inversion in several.items()
]
pd.DataFrame(table).style.format({"spread of the pictures": "{:.0%}"}).hide(
    axis="index"
)

# %% tags=["remove-input"]
spreads = [row["spread of the pictures"] for row in table]
display(
    Markdown(
        f"The spread is the standard deviation of a cell between the {n_pictures} pictures, as a share of that between excerpts. It goes from {spreads[0]:.0%} at {table[0]['layer']} to {spreads[-1]:.0%} at {table[-1]['layer']}"
        + (
            ", and grows with every layer shown. "
            if all(np.diff(spreads) > 0)
            else ". "
        )
        + "The feature error says how well each search has ended; where it is large, part of the spread is that of searches that stopped halfway. A regulariser makes pictures alike, so the spread is a lower limit for what the layer leaves open. A trained inverter shows none of this: it gives one picture, near the mean of all."
    )
)

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A search finds a picture whose logit is ten times that of any song. A second detector calls it not sung. What is the best reading?",
        [
            Answer(
                "The picture excites something that only this network has.",
                "The second detector solves the same task without it. So it is no part of what makes a sound sung.",
                right=True,
            ),
            Answer(
                "The second detector is worse.",
                "On songs both may be equally good. Outside of songs, neither was ever told what to say.",
            ),
            Answer(
                "This is what singing sounds like to the detector.",
                "It is what excites it most. Songs never go there, so it says little about how the detector hears songs.",
            ),
        ],
    ),
    Question(
        "Ten searches from ten starts give the same picture for a feature. What follows?",
        [
            Answer(
                "Perhaps the feature fixes the picture; perhaps the regularisers or the search do.",
                "A strong regulariser makes all pictures alike, whatever the feature says. Look at the feature error, and try it weaker.",
                right=True,
            ),
            Answer(
                "The layer has kept everything.",
                "Only if the search could have found others. A regulariser forbids most of them.",
            ),
            Answer(
                "The starts were too much alike.",
                "They are independent noise. But a search may forget its start, if its regularisers tell it where to go.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - Activation maximisation shows what excites a unit, with no example. Without regularisers it mostly finds weak spots.
# - A second network with the same task tells what is in the sound from what is private.
# - An inverter can be the painter of such a search; then its own habits are part of the picture.
# - What varies between many pictures of one feature is what the layer does not mind.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-one-step-up)=
# ### Exercise 1: One step up
#
# *Easy, 10 minutes.*
#
# Write `step_up(x, activation, rate)`: one step of plain gradient ascent on the pictures `x` (n, ...). `activation(x)` gives one number per picture. Move every picture by `rate` times its own gradient, and leave `x` as it is.
#
# :::{dropdown} First hint
# The sum of the activations over the batch has, for each picture, just that picture's own gradient.
# :::
#
# :::{dropdown} Second hint
# Make a copy that wants a gradient, `x.detach().requires_grad_()`, and ask `torch.autograd.grad` for it.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_step_up(step_up):
    a = torch.tensor([[[1.0, 2.0]], [[3.0, -1.0]]])
    kept = a.clone()
    got = step_up(a, lambda x: x.square().flatten(1).sum(dim=1), 0.1)
    assert torch.equal(a, kept), "The pictures that were given have changed."
    right = 1.2 * a
    mistakes = {
        "You went downhill. Add the gradient.": 0.8 * a,
        "The step is the rate times the gradient; you left out the rate.": 3
        * a,
        "Every picture has its own activation: take the sum over the batch, not its mean.": 1.1
        * a,
    }
    got = torch.as_tensor(got).detach()
    assert got.shape == a.shape, (
        f"The pictures have the shape {tuple(a.shape)}, the result {tuple(got.shape)}."
    )
    if torch.allclose(got, right):
        return "One step uphill, each picture on its own."
    for sentence, value in mistakes.items():
        assert not torch.allclose(got, value), sentence
    raise AssertionError(
        f"For squares and a rate of 0.1, {a.flatten().tolist()} becomes {right.flatten().tolist()}, not {got.flatten().tolist()}."
    )


# %% tags=["exercise"]
def step_up(x, activation, rate):
    """One step of gradient ascent (n, ...)."""
    ...


check_step_up(step_up)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def step_up(x, activation, rate):
    x = x.detach().requires_grad_()
    (gradient,) = torch.autograd.grad(activation(x).sum(), x)
    return (x + rate * gradient).detach()


display(check_step_up(step_up))

moved = examples[ours.argmin()][None]
for _ in range(3):
    moved = step_up(moved, lambda x: detector(x)[:, 0], 1.0)
change = float((moved - examples[ours.argmin()]).norm() / moved.norm())
display(
    Markdown(
        f"Three such steps change the excerpt that is surest not sung by {change:.0%} of its length, and its logit from {float(ours.min()):.1f} to {float(answers(detector, moved)[0]):.1f}; the second detector's goes from {float(theirs(examples[ours.argmin()][None])[0]):.1f} to {float(theirs(moved)[0]):.1f}."
    )
)

# %% [markdown]
# (exercise-what-varies)=
# ### Exercise 2: What varies?
#
# *Medium, 15 minutes.*
#
# Ten pictures may differ in their places or only in their loudness. Write `by_loudness(pictures)`: the share of the variance between pictures (n, 1, frames, bands) that is one number per picture, its mean. Variances are those over the pictures, averaged over cells.
#
# :::{dropdown} First hint
# Take the mean of each picture, one number each, and its variance over the pictures. Then the variance of every cell.
# :::
#
# :::{dropdown} Second hint
# `pictures.mean(dim=(1, 2, 3)).var()` over `pictures.var(dim=0).mean()`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_by_loudness(by_loudness):
    rng = torch.Generator().manual_seed(0)
    louder = torch.randn(12, 1, 1, 1, generator=rng).expand(12, 1, 20, 30)
    detail = torch.randn(12, 1, 20, 30, generator=rng)
    detail = detail - detail.mean(dim=(1, 2, 3), keepdim=True)
    for mix in (0.0, 0.5, 2.0):
        a = 5 + mix * louder + detail
        right = float(a.mean(dim=(1, 2, 3)).var() / a.var(dim=0).mean())
        got = float(by_loudness(a))
        roots = float(
            a.mean(dim=(1, 2, 3)).std() / a.var(dim=0).mean().sqrt()
        )
        if abs(got - right) < 1e-4:
            continue
        assert abs(got - roots) > 1e-4, (
            "A share of the variance, not of the deviation: square it."
        )
        assert abs(got - 1 + right) > 1e-4, (
            "This is what is left without the loudness. We want its own share."
        )
        raise AssertionError(
            f"Pictures whose share is {right:.3f} get {got:.3f}. The variance is that over the pictures, not over the cells of one."
        )
    return "Loudness is one number; the rest is where things are."


# %% tags=["exercise"]
def by_loudness(pictures):
    """Share of the variance that is a picture's mean."""
    ...


check_by_loudness(by_loudness)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def by_loudness(pictures):
    means = pictures.mean(dim=(1, 2, 3))
    return means.var() / pictures.var(dim=0).mean()


display(check_by_loudness(by_loudness))

display(
    Markdown(
        "Loudness is "
        + ", ".join(
            f"{float(by_loudness(inversion.pictures)):.1%} of what varies at {layer_title(layer)}"
            for layer, inversion in several.items()
        )
        + f"; between the excerpts of the songs it is {float(by_loudness(examples)):.0%}. What varies between pictures of one feature is where things are, and hardly how loud it is."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`erhan2009` and {cite:t}`simonyan2014` search over all pictures.
# - {cite:t}`nguyen2016` search among what a trained generator paints.
# - {cite:t}`mahendran2015` look at several inversions of one feature.
