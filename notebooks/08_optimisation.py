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
# # Inversion by optimisation
#
# **Can a layer be inverted without training an inverter?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - how to invert a feature without training anything, by changing the input itself;
# - what regularisers do, and why a small error of the feature is not a good picture.
#
# **Prerequisites:** {doc}`02_inverter_design` and {doc}`04_quantitative_nre`; gradients.
#
# **Minutes:** 16 to read, 70 for the exercises, about one to run.
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
    feature_distances,
    invert_by_optimisation,
    layer_encoder,
    noise,
    optimise_layers,
    total_variation,
)
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.lab.figures.gallery import Gallery, Panel
from svdlib.lab.figures.optimisation import (
    figure_descents,
    figure_pictures,
    figure_weights,
)
from svdlib.lab.figures.spectrograms import figure_inversions
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
families = {
    variant: {
        layer: inverter.to(device)
        for layer, inverter in svdlib.pretrained_inverters(variant).items()
    }
    for variant in ("published", "aligned")
}
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

# %% tags=["hide-input"]
shown_layer = "conv2"
found = optimise_layers(
    detector,
    x[:1],
    {shown_layer: replace(PLANS[shown_layer], passes=passes, seed=seed)},
)[shown_layer]
Gallery(
    [
        Panel(
            title,
            detector.standardizer.inverse(picture.detach()).cpu(),
            picture.detach().cpu(),
        )
        for title, picture in {
            "An excerpt": x[0, 0],
            "Noise": noise(x.shape[1:], seed, x)[0, 0],
            "What became of the noise": found.pictures[0, 0],
        }.items()
    ]
)

# %% tags=["remove-input"]
display(
    Markdown(
        f"The third picture began as the second. A search changed its cells, step by step, to bring its feature at {layer_title(shown_layer)} near to that of the first; a relative error of {float(found.feature_errors[0]):.0%} is left. No inverter had a part in it."
    )
)

# %% [markdown]
# ## The idea
#
# A trained inverter is a guess, learnt from many songs, of what an excerpt with a given feature looks like. There is an older way, by {cite:t}`mahendran2015`, that needs no training. Start from a picture of noise. Compute its feature. Compare it with the feature that is to be inverted. The
# detector is differentiable, so the gradient says how to change *each cell of the picture* to make the two features more alike. Change it a little that way, and repeat.
#
# Let $\Phi(\mathbf{x})$ be the feature of an excerpt $\mathbf{x}$ at some layer. We look for a picture $\mathbf{x}'$ that makes
#
# $$
# \frac{\lVert \Phi(\mathbf{x}') - \Phi(\mathbf{x}) \rVert^2}{\lVert \Phi(\mathbf{x}) \rVert^2}
# + \lambda_\alpha R_\alpha(\mathbf{x}') + \lambda_{TV} R_{TV}(\mathbf{x}')
# \tag{1}
# $$
#
# small. This is equation 1 of the paper {cite}`mishra2018`, written out. The first term is the **feature error**, here squared: 0 means the same feature, and 1 is as bad as a feature of zeros. The other two are **regularisers**. They know nothing of the feature. They only say which pictures
# we find plausible:
#
# $$
# \begin{aligned}
# R_\alpha(\mathbf{x}') &= \frac{1}{K} \sum_{t,b} |x'_{t,b}|^6 , \cr
# R_{TV}(\mathbf{x}') &= \frac{1}{K} \sum_{t,b} \left[ (x'_{t+1,b} - x'_{t,b})^2 + (x'_{t,b+1} - x'_{t,b})^2 \right] ,
# \end{aligned}
# $$
#
# with $t$ for the frame, $b$ for the band and $K = 115 \cdot 80$ for the number of cells. The sixth power leaves values of ordinary size alone and forbids huge ones. The second term, the *total variation*, wants neighbouring cells to be alike. The weights $\lambda_\alpha$ and $\lambda_{TV}$
# say how much each counts.

# %%
layer = "mp6"
encoder = layer_encoder(detector, layer)
with torch.no_grad():
    feature = encoder(x[:1])
started = noise(x.shape[1:], seed, x).requires_grad_()
loss = feature_distances(feature, encoder(started)).sum()
(gradient,) = torch.autograd.grad(loss, started)
with torch.no_grad():
    length = gradient.square().sum()
    for share in (0.01, 0.1):
        moved = started - share * loss / length * gradient
        after = feature_distances(feature, encoder(moved)).sum()
        print(f"from {loss.item():.3f} to {after.item():.3f}")

# %% [markdown]
# Both steps go against the gradient. They are so long that, if the loss were a plane, the first would lower it by 1 % and the second by 10 %. The second falls short: the loss bends. All else is patience, and a good choice of steps.
#
# ## A good choice of steps
#
# {cite:t}`mahendran2015` take steps along a running mean of the gradients (momentum), of a length set by hand. We take **L-BFGS** {cite}`liu1989`: it learns from its own last ten steps how the loss bends, and needs no length. Here it is beside Adam, the usual choice for networks, with three lengths of step. All have the same start
# and as many passes through the detector.


# %%
def by_adam(encoder, feature, rate):
    """Feature error after as many passes of Adam, without regularisers."""
    z = started.clone().requires_grad_()
    adam = torch.optim.Adam([z], lr=rate)
    for _ in range(passes):
        adam.zero_grad()
        feature_distances(feature, encoder(z)).sum().backward()
        adam.step()
    with torch.no_grad():
        return float(feature_distances(feature, encoder(z)).sqrt())


started = started.detach()
rows = []
for name in ("conv1", "mp6"):
    part = layer_encoder(detector, name)
    with torch.no_grad():
        target = part(x[:1])
    found = invert_by_optimisation(
        part, target, x.shape[1:], OptimisationPlan(passes, seed=seed)
    )
    rows.append(
        {"layer": layer_title(name)}
        | {f"Adam, {r}": by_adam(part, target, r) for r in (0.03, 0.1, 0.3)}
        | {"L-BFGS": float(found.feature_errors)}
    )

# %% tags=["hide-input"]
pd.DataFrame(rows).style.format(
    "{:.2g}", subset=[key for key in rows[0] if key != "layer"]
).hide(axis="index")

# %% tags=["remove-input"]
lines = []
for row in rows:
    others = [value for key, value in row.items() if key.startswith("Adam")]
    lines.append(
        f"at {row['layer']} L-BFGS ends at {row['L-BFGS']:.2g}, the best Adam at {min(others):.2g}"
    )
display(
    Markdown(
        f"The numbers are relative feature errors after {passes} passes: {'; '.join(lines)}."
    )
)

# %% [markdown]
# Three more things differ from the source. The picture is a standardised log-mel and not an image. Both regularisers are means over the cells, where the source has sums. And the weights are our own choice, below. As in the source, each excerpt has its own loss. It also has its own steps, so that a result does not depend on what else is in the batch.
#
# ## What the regularisers do
#
# We invert one excerpt from MP6: without regularisers, with each alone, and with both. The weights here are made large, to show what each does.

# %%
strong = {
    "no regulariser": OptimisationPlan(passes, seed=seed),
    "alpha-norm only": OptimisationPlan(passes, alpha_weight=0.01, seed=seed),
    "total variation only": OptimisationPlan(
        passes, variation_weight=0.3, seed=seed
    ),
    "both": OptimisationPlan(passes, 0.01, 0.3, seed),
}
results = {
    name: invert_by_optimisation(encoder, feature, x.shape[1:], plan)
    for name, plan in strong.items()
}

# %% tags=["hide-input"] figure="regularisers" mystnb={"image": {"alt": "Six spectrograms on one colour scale: an excerpt, the noise from which every inversion starts, and inversions from MP6 without a regulariser, with the alpha-norm, with the total variation, and with both. The table below holds their numbers."}}
pictures = {"the excerpt": x[0, 0], "where all start": started[0, 0]}
figure_pictures(
    pictures | {name: found.pictures[0, 0] for name, found in results.items()}
)

# %% tags=["hide-input"]
rows = [
    {
        "picture": name,
        "feature error": float(found.feature_errors[0]),
        "distance to the excerpt": float((found.pictures - x[:1]).norm()),
        "largest value": float(found.pictures.abs().max()),
        "total variation": float(total_variation(found.pictures)[0]),
    }
    for name, found in results.items()
]
rows.append(
    {
        "picture": "the excerpt itself",
        "feature error": 0.0,
        "distance to the excerpt": 0.0,
        "largest value": float(x[0].abs().max()),
        "total variation": float(total_variation(x[:1])[0]),
    }
)
pd.DataFrame(rows).style.format(precision=2).hide(axis="index")

# %% tags=["remove-input"]
plain, alpha, smooth, both = (rows[k] for k in range(4))


def compared(a, b, smaller, larger):
    """One phrase or the other, for a below b or not."""
    return smaller if a < b else larger


display(
    Markdown(
        f"Without a regulariser the picture has a feature error of {plain['feature error']:.2f} and varies {plain['total variation'] / rows[4]['total variation']:.1f} times as much from cell to cell as the excerpt: the noise of the start is still there wherever MP6 does not look. "
        f"The alpha-norm {compared(alpha['largest value'], plain['largest value'], 'lowers', 'does not lower')} the largest value, from {plain['largest value']:.1f} to {alpha['largest value']:.1f}, and leaves the noise. "
        f"The total variation brings the distance to the excerpt from {plain['distance to the excerpt']:.0f} to {smooth['distance to the excerpt']:.0f}. "
        + compared(
            smooth["feature error"],
            plain["feature error"],
            "The feature error is smaller with it, too: a smoother landscape is easier to descend. ",
            "The feature error is larger with it: the loss now has to serve two ends. ",
        )
        + "This is one excerpt; the numbers over many are below."
    )
)

# %% [markdown]
# ## How much should they count?
#
# That is a choice, and it must not be made on the songs on which we then report. We made it on *validation* songs of the synthetic corpus, one random excerpt each, layer by layer, by a rule fixed before: of a list of weights, take the one with the lowest NRE whose feature error is at most 80 %
# of that of the better trained inverter. First the total variation, then the alpha-norm beside it.

# %% tags=["hide-input"] figure="regulariser-weights" mystnb={"image": {"alt": "A table with a row per layer and a column per weight of the total variation. Each cell holds the normalised reconstruction error on validation excerpts and is shaded by it. Hatched cells are not allowed, since their feature error is too large. The chosen weight of each row has a frame. From Conv1 to FC8 the frames move from the left to the right."}}
choice = load_results("regulariser_weights")
figure_weights(choice["layers"], choice["margin"])

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "layer": layer_title(name),
            "weight, total variation": f"{plan.variation_weight:g}",
            "weight, alpha-norm (millionths)": f"{1e6 * plan.alpha_weight:g}",
            "NRE without": f"{choice['layers'][name]['tried'][0]['nre']:.3f}",
            "NRE with": f"{choice['layers'][name]['chosen']['nre']:.3f}",
        }
        for name, plan in PLANS.items()
    ]
).style.hide(axis="index")

# %% tags=["remove-input"]
tried = [f["variation_weight"] for f in choice["layers"]["fc8"]["tried"]]
none = [
    layer_title(name)
    for name, plan in PLANS.items()
    if not plan.variation_weight and not plan.alpha_weight
]
edge = [
    layer_title(name)
    for name, plan in PLANS.items()
    if plan.variation_weight == max(tried)
]
gain = {
    name: found["tried"][0]["nre"] - found["chosen"]["nre"]
    for name, found in choice["layers"].items()
}
by_alpha = max(
    min(each["nre"] for each in found["tried"] if not each["alpha_weight"])
    - found["chosen"]["nre"]
    for found in choice["layers"].values()
)
most = max(gain, key=gain.get)
text = f"A dark cell is a small error. In each row, the rule takes the darkest cell that is not hatched; where the alpha-norm changes the last digits, it is chosen with it. These are the results on {choice['songs']} validation songs ({choice['date']}). The regularisers help most at {layer_title(most)}: they lower the NRE by {gain[most]:.2f}. "
if none:
    text += f"At {', '.join(none)} the rule takes none at all: there the feature alone decides, and whatever else is asked for only spoils the picture. In what follows, the two ways are the same there. "
if edge:
    text += f"At {', '.join(edge)} it takes the largest total variation of the list, so a larger one might do still better. "
text += f"The alpha-norm hardly matters, by {by_alpha:.3f} of NRE at most: with a total variation beside it there are no huge values to forbid."
display(Markdown(text))

# %% [markdown]
# ## All eight layers
#
# Now the same two random excerpts, one with and one without singing, from all layers.

# %% tags=["hide-input"]
plans = {
    name: replace(plan, passes=passes, seed=seed)
    for name, plan in PLANS.items()
}
bare = {name: plan.without_regularisers() for name, plan in plans.items()}
optimised = optimise_layers(detector, x, bare)
regularised = optimise_layers(detector, x, plans)
trained = {
    variant: reconstruct(detector, inverters, x)
    for variant, inverters in families.items()
}


def feature_error(name, x_hat):
    """Relative feature error of inversions, a mean over the excerpts."""
    encoder = layer_encoder(detector, name)
    with torch.no_grad():
        found = feature_distances(encoder(x), encoder(x_hat)).sqrt()
    return float(found.mean())


# %% tags=["hide-input"] figure="descents" mystnb={"image": {"alt": "Eight panels, one per layer: the relative feature error over the passes, without and with regularisers, falling from above 1, and the feature errors of the two trained inverters as level lines. The text below says where the curves end."}}
curves = {
    name: {
        "without regularisers": optimised[name]
        .losses["feature"]
        .sqrt()
        .mean(dim=1)
        .cpu()
        .numpy(),
        "with regularisers": regularised[name]
        .losses["feature"]
        .sqrt()
        .mean(dim=1)
        .cpu()
        .numpy(),
    }
    for name in svdlib.LAYERS
}
levels = {
    name: {
        f"{variant} inverter": feature_error(name, found[name])
        for variant, found in trained.items()
    }
    for name in svdlib.LAYERS
}
figure_descents(curves, levels)

# %% tags=["remove-input"]
ends = {
    name: max(curve[-1] for curve in by_way.values())
    for name, by_way in curves.items()
}
best_trained = {name: min(found.values()) for name, found in levels.items()}
beaten = [name for name in svdlib.LAYERS if ends[name] < best_trained[name]]
crossing = [
    int(np.argmax(curves[name]["without regularisers"] < best_trained[name]))
    for name in beaten
]
display(
    Markdown(
        f"After {passes} passes, optimisation has a lower feature error than both trained inverters, with and without regularisers, at {'all eight layers' if len(beaten) == 8 else f'{len(beaten)} of 8 layers: ' + ', '.join(map(layer_title, beaten))}. "
        + (
            f"Without regularisers the crossing comes after {min(crossing)} to {max(crossing)} passes. "
            if crossing
            else ""
        )
        + "It should be so: the feature error is what optimisation makes small, for this one excerpt, while an inverter was trained to be right about excerpts that it had never seen."
    )
)

# %% [markdown]
# A lower error of the *feature*. Is the picture better, too?

# %% tags=["hide-input"] figure="optimised-and-trained" mystnb={"image": {"alt": "Three columns of nine spectrograms on one colour scale: a sung excerpt and its inversions from Conv1 to FC8, by optimisation without regularisers, by optimisation with regularisers, and by the aligned inverters. The text below compares the columns."}}
figure_inversions(
    {
        name: {"input": x[0, 0]}
        | {layer: found[layer][0, 0] for layer in svdlib.LAYERS}
        for name, found in {
            "no regulariser": {
                name: each.pictures for name, each in optimised.items()
            },
            "regularised": {
                name: each.pictures for name, each in regularised.items()
            },
            "aligned inverter": trained["aligned"],
        }.items()
    }
)

# %% tags=["remove-input"]
variation = float(total_variation(x[:1])[0])
rough = [
    name
    for name in svdlib.LAYERS
    if float(total_variation(optimised[name].pictures[:1])[0]) > 2 * variation
]
display(
    Markdown(
        "Read each row from left to right. At the top all three columns show the excerpt. "
        + (
            f"Further down, the left column fills with noise: from {layer_title(rough[0])} on it varies more than twice as much from cell to cell as the excerpt. "
            if rough
            else ""
        )
        + (
            "And yet every picture in it has, over the two excerpts, a feature closer to the original's than the picture on the right has. To that layer the noise is more like the excerpt than the inverter's picture is. "
            if len(beaten) == len(svdlib.LAYERS)
            else ""
        )
        + "The middle column is smoother, but its smoothness is not that of music: it knows nothing of harmonics or of sounds that begin suddenly."
    )
)

# %% [markdown]
# ### Listen
#
# The same, as sound, for three layers. The left player of each row is the original, then no regulariser, with regularisers, and the aligned inverter.

# %% tags=["hide-input"]
panels = []
for name in ("conv2", "conv5", "fc8"):
    shown = {
        "original": x[0, 0],
        "no regulariser": optimised[name].pictures[0, 0],
        "regularised": regularised[name].pictures[0, 0],
        "aligned inverter": trained["aligned"][name][0, 0],
    }
    with torch.no_grad():
        panels += [
            Panel(
                f"{layer_title(name)}, {way}",
                detector.standardizer.inverse(picture.detach()).cpu(),
                picture.detach().cpu(),
            )
            for way, picture in shown.items()
        ]
Gallery(panels)

# %% [markdown]
# Two excerpts are an impression. {doc}`08b_what_optimisation_shows` measures over many songs, and asks what a search tells about Conv1 and Conv2, what it costs, and how it fools the detector.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A picture has nearly the same FC8 feature as an excerpt. What do you know about the picture?",
        [
            Answer(
                "That FC8 can hardly tell it from the excerpt.",
                "And no more. It may look and sound like noise: whatever FC8 does not notice can be anything.",
                right=True,
            ),
            Answer(
                "That it looks much like the excerpt.",
                "Only if FC8 kept what makes an excerpt look as it does. Far away from songs, very different pictures share its 64 numbers.",
            ),
            Answer(
                "That it shows what FC8 stands for.",
                "It shows one of many pictures with this feature: the one that this start and these regularisers led to.",
            ),
        ],
    ),
    Question(
        "At a deep layer, optimisation without regularisers has the lower feature error and yet the higher NRE. How can that be?",
        [
            Answer(
                "Many pictures share the feature, and it returns any of them.",
                "The trained inverter returns something near the average of those that occur in music. That is closer to the excerpt, although its own feature is further off.",
                right=True,
            ),
            Answer(
                "It was stopped early: more passes would lower the NRE, too.",
                "More passes lower the feature error. Nothing in the loss asks for the excerpt itself, so the NRE need not follow.",
            ),
            Answer(
                "One of the two must be wrong, as both measure the same.",
                "One compares features, the other pictures. Where a layer has thrown something away, they may well disagree.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - Inversion by optimisation needs no training: the gradient of the feature error changes the picture itself.
# - It reaches a lower feature error than a trained inverter. A low feature error does not make a good picture.
# - Regularisers say what is plausible in general. A trained inverter has learnt what is usual in songs; where it is unsure, it blurs.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-variation-by-hand)=
# ### Exercise 1: Total variation by hand
#
# *Easy, 10 minutes.*
#
# Write `variation(picture)`: $R_{TV}$ of one picture of shape (frames, bands), a tensor, from the formula at the start of this chapter and without the function of the library. Guess first: which of these two has the larger one, a ramp that rises slowly over the whole picture, or a single step of the same height?
#
# :::{dropdown} First hint
# Differences along time, differences along the bands: square and add all of them. What does the formula divide by?
# :::
#
# :::{dropdown} Second hint
# `picture.diff(dim=0)` and `picture.diff(dim=1)`. Divide the sum by the number of cells, not of differences.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_variation(variation):
    frames, bands = 6, 5
    t = torch.arange(float(frames))[:, None].expand(frames, bands)
    b = torch.arange(float(bands)).expand(frames, bands)
    board = (t + b) % 2
    by_time = 9 * (frames - 1) * bands  # squares of 3
    by_band = 16 * frames * (bands - 1)
    for picture, total, what in (
        (3 * t, by_time, "a ramp over time, 3 per frame"),
        (4 * b, by_band, "a ramp over the bands, 4 per band"),
        (3 * t - 4 * b, by_time + by_band, "the sum of two ramps"),
        (board, by_time / 9 + by_band / 16, "a chessboard of zeros and ones"),
    ):
        expected, got = total / picture.numel(), float(variation(picture))
        wrongly = {
            total: "Divide by the number of cells.",
            expected**0.5: "There is no root in the formula.",
            expected / 2: "Both directions are divided by K, not by 2 K.",
            float(picture.diff(dim=0).square().mean())
            + float(
                picture.diff(dim=1).square().mean()
            ): "Divide both sums by the number of cells, not by the number of differences, which is smaller.",
        }
        hints = [
            hint
            for value, hint in wrongly.items()
            if abs(got - value) < 1e-4 and abs(got - expected) > 1e-4
        ]
        assert abs(got - expected) < 1e-4, (
            f"For {what} it is {expected:.3f}; you have {got:.3f}. {' '.join(hints[:1]) or 'Are both directions there, squared, without a neighbour beyond the end?'}"
        )


# %% tags=["exercise"]
def variation(picture):
    """Squared differences of neighbours in (frames, bands), per cell."""
    ...


check_variation(variation)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def variation(picture):
    time, bands = picture.diff(dim=0), picture.diff(dim=1)
    return (time.square().sum() + bands.square().sum()) / picture.numel()


display(check_variation(variation))
rise = torch.linspace(0, 1, 115)[:, None].expand(115, 80)
step = (rise > 0.5).float()
display(
    Markdown(
        f"A ramp from 0 to 1 over 115 frames has {float(variation(rise)):.6f}, a step of the same height {float(variation(step)):.6f}, {float(variation(step) / variation(rise)):.0f} times as much. Squares punish one large difference more than many small ones. So this regulariser smears onsets, and leaves slow changes alone."
    )
)

# %% [markdown]
# (exercise-one-step)=
# ### Exercise 2: One step
#
# *Easy, 15 minutes.*
#
# Write `step_down(loss_of, z, share)`. It gets a function that maps a picture `z` to a loss, a single number. It returns the picture after one step against the gradient, of such a length that the loss would fall by `share` of its value if it were a plane: with a share of 0.1, to nine tenths.
#
# :::{dropdown} First hint
# On a plane, a step of length $t$ times the gradient lowers the loss by $t$ times the squared length of the gradient.
# :::
#
# :::{dropdown} Second hint
# Choose $t$ so that this is `share` times the loss. `torch.autograd.grad(loss, z)` gives the gradient; detach `z` before, and return without a graph.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_step(step_down):
    slopes = torch.tensor([[3.0, -1.0], [0.5, 2.0]])
    z = torch.tensor([[1.0, 2.0], [-1.0, 4.0]])

    def plane(z):
        return (slopes * z).sum() + 2

    def bowl(z):
        return z.square().sum()

    for share in (0.01, 0.1):
        for loss_of, expected, what in (
            (plane, 1 - share, "a plane"),
            # At z (1 - share / 2) the square is this share of what it was.
            (bowl, (1 - share / 2) ** 2, "a bowl, the sum of squares"),
        ):
            got = torch.as_tensor(step_down(loss_of, z.clone(), share))
            assert got.shape == z.shape, (
                f"Return a picture {tuple(z.shape)}; yours has {tuple(got.shape)}."
            )
            ratio = float(loss_of(got) / loss_of(z))
            assert ratio < 1, (
                f"On {what}, the loss is {ratio:.3f} times what it was. Is the step against the gradient?"
            )
            assert abs(ratio - expected) < 1e-3, (
                f"With a share of {share} on {what}, the loss should be {expected:.4f} times what it was; it is {ratio:.4f} times. A step of s times the gradient lowers a plane by s times the square of the gradient's length."
            )


# %% tags=["exercise"]
def step_down(loss_of, z, share):
    """The picture after one step against the gradient."""
    ...


check_step(step_down)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def step_down(loss_of, z, share):
    z = z.detach().requires_grad_()
    loss = loss_of(z)
    (gradient,) = torch.autograd.grad(loss, z)
    with torch.no_grad():
        return z - share * loss / gradient.square().sum() * gradient


def mp6_loss(z):
    return feature_distances(feature, encoder(z)).sum()


display(check_step(step_down))
z, values = started, []
for _ in range(20):
    z = step_down(mp6_loss, z, 0.1)
    values.append(float(mp6_loss(z)))
display(
    Markdown(
        f"If the loss of MP6 were a plane all the way, 20 such steps would bring it to {0.9**20:.2f} of its first value. They bring it to {values[-1] / float(mp6_loss(started)):.2f}, "
        + (
            "and it went up at least once on the way: "
            if min(np.diff(values)) < 0 < max(np.diff(values))
            else "and it fell with each step: "
        )
        + "the gradient tells about the next small step only."
    )
)

# %% [markdown]
# (exercise-what-stays)=
# ### Exercise 3: What stays from the start
#
# *Medium, 20 minutes.*
#
# Any differentiable map can be inverted. Let the encoder be `torch.nn.AvgPool2d(5)`: the means over pieces of 5 × 5 cells. Write `expected_end(x, start)`: the picture at which the descent ends if it begins at `start` and inverts the feature of `x`, without regularisers. Use no descent; think about what the gradient looks like within a piece. Both pictures have the shape (1, 1, frames, bands).
#
# :::{dropdown} First hint
# Each mean depends on its 25 cells alike. So the gradient is the same in all cells of a piece, and what does a descent then leave as it was?
# :::
#
# :::{dropdown} Second hint
# All cells of a piece move by the same amount, until the mean is right: the mean of `x - start` over the piece. `interpolate(..., scale_factor=5)` spreads it over the cells.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_end(expected_end):
    rng = torch.Generator().manual_seed(5)
    pool = torch.nn.AvgPool2d(5).eval()
    target = torch.randn(1, 1, 10, 15, generator=rng) + 1
    for start, where in (
        (torch.zeros_like(target), "zeros"),
        (torch.randn(target.shape, generator=rng), "noise"),
    ):
        came_to = invert_by_optimisation(
            pool, pool(target), target.shape[1:], start=start
        ).pictures
        got = expected_end(target.clone(), start.clone())
        got = torch.as_tensor(got).detach().cpu()
        assert got.shape == target.shape, (
            f"Return a picture {tuple(target.shape)}, not {tuple(got.shape)}."
        )
        assert float((pool(got) - pool(target)).abs().max()) < 1e-3, (
            f"From {where}: your picture does not have the feature of x. What has to be added to each piece?"
        )
        far = float((got - came_to).abs().max())
        hint = (
            "Each gradient is constant within a piece, so no step can change the differences between the cells of a piece."
            if where == "noise"
            else "Of all pictures with these means, it is the nearest to the start."
        )
        assert far < 1e-2, (
            f"From {where}, your picture has the right feature, but the descent ends elsewhere: {far:.2f} apart in a cell. {hint}"
        )


# %% tags=["exercise"]
def expected_end(x, start):
    """Where the descent ends for means of 5 x 5 cells."""
    ...


check_end(expected_end)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def expected_end(x, start):
    missing = torch.nn.functional.avg_pool2d(x - start, 5)
    return start + torch.nn.functional.interpolate(missing, scale_factor=5)


display(check_end(expected_end))
starts = {
    "noise": started,
    "zeros": torch.zeros_like(x[:1]),
    "the inverter": trained["aligned"]["mp6"][:1],
}
from_start = {
    name: invert_by_optimisation(
        encoder, feature, x.shape[1:], strong["no regulariser"], start=start
    )
    for name, start in starts.items()
}
distances = {
    name: float((found.pictures - x[:1]).norm())
    for name, found in from_start.items()
}
errors = {
    name: found.losses["feature"][[0, -1], 0].sqrt().tolist()
    for name, found in from_start.items()
}
lines = [
    f"from {name}: feature error {first:.2f} at the start and {last:.2f} at the end, distance to the excerpt {distances[name]:.0f}"
    for name, (first, last) in errors.items()
]
stuck = [name for name, (first, last) in errors.items() if last > 0.9 * first]
text = "What the feature does not fix stays as it was at the start. MP6 is not linear, and yet the start matters as well: from three starts, without regularisers, one comes to three pictures.\n\n- "
text += "\n- ".join(lines)
text += f"\n\nThe nearest to the excerpt is the one from {min(distances, key=distances.get)}. The aligned inverter's own picture lies {float((starts['the inverter'] - x[:1]).norm()):.0f} away. "
if stuck:
    text += f"From {' and '.join(stuck)} the descent got stuck near its start; so it says nothing about the layer."
display(Markdown(text))

# %% [markdown]
# (exercise-smooth-in-time)=
# ### Exercise 4: Total variation in one direction
#
# *Hard, 25 minutes.*
#
# Sound is not an image: time and frequency are different things. Write `smooth_in_time(encoder, feature, start, weight, passes)`. It returns pictures of the shape of `start`, (n, 1, frames, bands), that make the feature's distance (`feature_distances`) plus `weight` times the mean of the squared differences between neighbouring *frames* small. Use `minimise` as in the exercise before. Then invert from MP6: what happens to the harmonics, and what to the onsets?
#
# :::{dropdown} First hint
# Two terms in the dictionary: one as in the chapter, and one for the changes from frame to frame. Both have the shape (n,).
# :::
#
# :::{dropdown} Second hint
# `z.diff(dim=2)` are the changes; square them, flatten all but the first axis, take the mean for each picture, and multiply by `weight`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
def by_equations(x, weight, axis):
    """The best picture for the encoder that changes nothing."""
    x = x if axis == 0 else x.T
    n = len(x)
    steps = np.diff(np.eye(n), axis=0)
    near = np.eye(n) / np.sum(x**2)
    near += weight * steps.T @ steps / steps.shape[0] / x.shape[1]
    best = np.linalg.solve(near, x / np.sum(x**2))
    return best if axis == 0 else best.T


@self_check
def check_smooth(smooth_in_time):
    numbers = np.random.default_rng(2).normal(0, 1, (2, 1, 7, 5))
    target = torch.tensor(numbers, dtype=torch.float32)
    for weight in (0.0, 0.5):
        got = smooth_in_time(
            lambda z: z, target, torch.zeros_like(target), weight, 60
        )
        got = got.detach().cpu().numpy()
        assert got.shape == numbers.shape, (
            f"Return pictures {numbers.shape}, not {got.shape}."
        )
        for one, each in zip(got[:, 0], numbers[:, 0], strict=True):
            far, other = (
                np.abs(one - by_equations(each, weight, axis)).max()
                for axis in (0, 1)
            )
            assert weight == 0 or other > 0.01, (
                "Your pictures are smooth from band to band. Frames are the last but one axis."
            )
            assert far < 0.01, (
                f"With an encoder that changes nothing, the best picture follows from linear equations; with a weight of {weight} yours is {far:.2f} away from it. "
                + (
                    "Without smoothing, the feature alone counts: look at its term."
                    if weight == 0
                    else "Is it a mean of squares, over each picture for itself?"
                )
            )


# %% tags=["exercise"]
def smooth_in_time(encoder, feature, start, weight, passes):
    """Inversions (n, 1, frames, bands) that vary little over time."""
    ...


check_smooth(smooth_in_time)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} figure="what-stays-from-the-start" mystnb={"image": {"alt": "Two spectrograms on one colour scale: inversions of the excerpt from MP6, without a regulariser and smooth in time. The sentence below gives numbers."}, "code_prompt_show": "Show the solution"}
def smooth_in_time(encoder, feature, start, weight, passes):
    def terms(z):
        changes = z.diff(dim=2).square().flatten(1).mean(dim=1)
        return {
            "feature": feature_distances(feature, encoder(z)),
            "time": weight * changes,
        }

    return minimise(terms, start, passes).x


display(check_smooth(smooth_in_time))
steady = smooth_in_time(encoder, feature, started, 1.0, passes)
display(
    figure_pictures(
        {
            "no regulariser": results["no regulariser"].pictures[0, 0],
            "smooth in time": steady[0, 0],
        }
    )
)
over_time, over_bands = (
    float(
        steady.diff(dim=axis).square().mean()
        / x[:1].diff(dim=axis).square().mean()
    )
    for axis in (2, 3)
)
display(
    Markdown(
        f"From frame to frame this picture has {over_time:.2f} times the squared differences of the excerpt, from band to band {over_bands:.2f} times. Horizontal lines cost nothing. So harmonics survive, and so do lines that the noise of the start has left where nothing was. Onsets are vertical lines: they cost much, and are smeared. Differences over `dim=3` would do the opposite."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mahendran2015` is the method of this chapter, {cite:t}`mahendran2016` extends it and compares regularisers.
# - {cite:t}`mishra2018`, section 2.1, names its two limits: the handmade regulariser and the time.
# - {cite:t}`liu1989` describe L-BFGS.
