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
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - how to invert a feature without training anything, by changing the input itself;
# - what regularisers do, and why a small error of the feature is not a good picture;
# - what this says about Conv1 and Conv2, where no trained inverter stands in the way;
# - how to make noise that the detector takes for a song.
#
# **Prerequisites:** {doc}`02_inverter_design` and {doc}`04_quantitative_nre`; gradients.
#
# **Minutes:** 45 to read and try; about one to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %%
from dataclasses import replace

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib import figures
from svdlib.devices import choose_device
from svdlib.figures_optimisation import (
    figure_descents,
    figure_pictures,
    figure_ways,
    figure_weights,
)
from svdlib.gallery import Gallery, Panel
from svdlib.optimisation import (
    PLANS,
    OptimisationPlan,
    feature_distances,
    invert_by_optimisation,
    layer_encoder,
    noise,
    optimise_layers,
    total_variation,
)
from svdlib.realism import times_as_rough
from svdlib.studies import load_results
from svdlib.style import layer_title

device = choose_device(device)
passes = {"demo": 40, "laptop": 60, "full": 60}[profile]
n_songs = {"demo": 4, "laptop": 8, "full": 16}[profile]

# %%
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
# R_\alpha(\mathbf{x}') = \frac{1}{K} \sum_{t,b} |x'_{t,b}|^6 ,
# \qquad
# R_{TV}(\mathbf{x}') = \frac{1}{K} \sum_{t,b} \left[ (x'_{t+1,b} - x'_{t,b})^2 + (x'_{t,b+1} - x'_{t,b})^2 \right] ,
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
pd.DataFrame(rows).style.format(precision=4).hide(axis="index")

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
pd.DataFrame(rows).style.format(precision=3).hide(axis="index")

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

# %% tags=["hide-input"] figure="regulariser-weights" mystnb={"image": {"alt": "Eight panels, one per layer. Each shows, over the weight of the total variation, the normalised reconstruction error and the relative feature error of optimisation on validation excerpts, the feature error of the better trained inverter as a dashed line, and the chosen weight as a dotted one."}}
choice = load_results("regulariser_weights")
figure_weights(choice["layers"])

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "layer": layer_title(name),
            "weight, total variation": f"{plan.variation_weight:g}",
            "weight, alpha-norm": f"{plan.alpha_weight:g}",
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
text = f"These are the results on {choice['songs']} validation songs. The regularisers help most at {layer_title(most)}: they lower the NRE by {gain[most]:.2f}. "
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

# %%
plans = {
    name: replace(plan, passes=passes, seed=seed)
    for name, plan in PLANS.items()
}
bare = {name: plan.without_regularisers() for name, plan in plans.items()}
optimised = optimise_layers(detector, x, bare)
regularised = optimise_layers(detector, x, plans)
trained = {
    variant: svdlib.reconstruct(detector, inverters, x)
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
figures.figure_inversions(
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
# ## Over many songs
#
# Two excerpts are an impression. So a study measures the four ways on random excerpts of all test songs, and of real songs; its results are stored, and `python -m svdlib.studies.inversion_by_optimisation` repeats it. Intervals come from resampling whole songs.

# %%
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


display(
    Markdown(
        f"Synthetic test songs: {amount(own)}. "
        + " ".join(f"Real songs: {amount(found)}." for found in real)
        + f" Every optimisation had {study['plans']['fc8']['passes']} passes, and {study['plans']['conv1']['passes']} at Conv1. The two figures show the synthetic songs, the table shows all."
    )
)

# %% tags=["hide-input"] figure="feature-error-ways" mystnb={"image": {"alt": "Relative feature error over the eight layers on a logarithmic axis, with 95 percent intervals, for optimisation without and with regularisers and for the published and aligned inverters. The table below holds all numbers."}}
figure_ways(
    over_layers(own, "feature_error"), "relative feature error", None, True
)

# %% tags=["hide-input"] figure="nre-ways" mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers, with 95 percent intervals, for optimisation without and with regularisers and for the published and aligned inverters. The table below holds all numbers."}}
figure_ways(over_layers(own, "nre"), "NRE")

# %% tags=["hide-input"]
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
    < min(by_way[f]["feature_error"]["mean"] for f in families)
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
    """For the text: 0.0000 would claim too much."""
    return f"{max(values):.4f}" if max(values) >= 1e-4 else "under 0.0001"


lines = [
    f"{layer_title(name)}: the NRE is {largest(found['nre'])} at most, at a feature error of {largest(found['feature_error'])}; the pictures from the two starts lie {largest(found['between_starts'])} apart"
    for name, found in own["patient"].items()
]
count = len(own["patient"]["conv1"]["nre"])
display(
    Markdown(
        f"The study gives this descent more time: {own['patient_passes']} passes without regularisers, for {count} excerpts of different songs, from two different noises each. The largest values, distances in mean distances between excerpts:\n\n- "
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

# %%
# NBVAL_CHECK_OUTPUT
print(f"Conv1 keeps different excerpts different: {bool(sigma[-1] > 1e-6)}")

# %% tags=["remove-input"]
ranges = own["singular_values"]
lines = [
    f"{layer_title(name)} {max(found['smallest']):.4f} to {max(found['largest']):.2f}"
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

# %% tags=["hide-input"]
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

# %% tags=["hide-input"]
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
display(
    Markdown(
        f"Here is the price. Without regularisers, optimisation lies further from real excerpts than the aligned inverter at {', '.join(costly) or 'no layer'}; with regularisers at {', '.join(still_costly) or 'no layer'}. "
        f"At FC8 the distances are {far['optimised']['fc8']:.1f} without and {far['regularised']['fc8']:.1f} with regularisers, {far['published']['fc8']:.1f} for the published and {far['aligned']['fc8']:.1f} for the aligned inverter. "
        f"What is furthest off there: {worst['optimised']} without regularisers, {worst['regularised']} with, {worst['published']} for the published inverter and {worst['aligned']} for the aligned one."
    )
)

# %% [markdown]
# A distance does not say on *which side* a picture lies. So we ask how many times as much it changes from frame to frame as its original, for the two excerpts above: above 1 is too rough, below 1 too smooth.

# %% tags=["hide-input"]
shown = {
    "optimised": {name: each.pictures for name, each in optimised.items()},
    "regularised": {
        name: each.pictures for name, each in regularised.items()
    },
    **trained,
}
rough = {
    name: {
        way: float(times_as_rough(x, found[name]).log().mean().exp())
        for way, found in shown.items()
    }
    for name in svdlib.LAYERS
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
threshold = float(detector.provenance["threshold"])
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
# ## Take-away
#
# - Inversion by optimisation needs no training: the gradient of the feature error changes the picture itself.
# - It reaches a lower feature error than a trained inverter, at every layer. A low feature error does not make a good picture.
# - Regularisers say what is plausible in general. A trained inverter has learnt what is usual in songs, and is many times faster; where it is unsure, it blurs.
# - Without an inverter in between, one can ask a layer itself. Conv1 is provably invertible; for Conv2, a descent from noise gives evidence.
# - The same search makes noise that the detector takes for singing.
#
# ## Exercises
#
# **1. Another start.** Invert the first excerpt from MP6 once more without regularisers, but start from silence (zeros) and from the aligned inverter's picture, with `start=`. Which has the lowest feature error, and which the smallest distance to the excerpt? Why does the start matter at all?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# starts = {
#     "noise": started,
#     "zeros": torch.zeros_like(x[:1]),
#     "inverter": trained["aligned"]["mp6"][:1],
# }
# for name, start in starts.items():
#     found = invert_by_optimisation(
#         encoder, feature, x.shape[1:], strong["no regulariser"], start=start
#     )
#     distance = float((found.pictures - x[:1]).norm())
#     print(name, round(float(found.feature_errors), 3), round(distance, 1))
# ```
# What the feature does not fix stays as it was at the start. From the inverter's picture, one gets the low feature error *and* a picture that was plausible to begin with: the two methods together do better than each alone.
# :::
#
# **2. Your own encoder.** Any differentiable map can be inverted. Let the "encoder" be the mean over pieces of 5 × 5 cells. What picture do you expect, starting from zeros? Check it with a formula.
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# pool = torch.nn.AvgPool2d(5).eval()
# found = invert_by_optimisation(
#     pool, pool(x[:1]), x.shape[1:], start=torch.zeros_like(x[:1])
# ).pictures
# expected = torch.nn.functional.interpolate(pool(x[:1]), scale_factor=5)
# print("largest difference:", float((found - expected).abs().max()))
# ```
# Of all pictures with these means, the one nearest to zero is constant in each piece. Every gradient is constant in each piece as well, so the descent never leaves such pictures.
# :::
#
# **3. Total variation in one direction.** Sound is not an image: time and frequency are different things. Write your own loss with `svdlib.descent.minimise` that penalises only the differences in time, and invert from MP6. What happens to the harmonics, and what to the onsets?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# from svdlib.descent import minimise
#
#
# def terms(z):
#     return {
#         "feature": feature_distances(feature, encoder(z)),
#         "time": 0.3 * z.diff(dim=2).square().flatten(1).mean(dim=1),
#     }
#
#
# found = minimise(terms, started, passes).x
# figure_pictures({"the excerpt": x[0, 0], "smooth in time": found[0, 0]})
# ```
# Horizontal lines cost nothing, so whatever is steady survives or is even drawn where nothing was. Onsets are vertical lines and are smeared. Turn `dim=2` into `dim=3` for the opposite.
# :::
#
# ## Further reading
#
# - {cite:t}`mahendran2015` is the method of this chapter, {cite:t}`mahendran2016` extends it and compares regularisers.
# - {cite:t}`mishra2018`, section 2.1, names its two limits: the handmade regulariser and the time.
# - {cite:t}`nguyen2015` make fooling examples for networks that see images.
# - {cite:t}`liu1989` describe L-BFGS.
