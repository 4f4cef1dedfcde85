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
# # What the detector really uses
#
# **Does the detector use what the inversions show?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - why what a layer *keeps* is not yet what the answer *depends on*;
# - how to test an explanation: keep or remove what it points at, and ask the detector again;
# - which controls such a test needs, and how easily it fools one without them;
# - gradients, integrated gradients, Grad-CAM and SLIME, on the same excerpts as the inversions.
#
# **Prerequisites:** {doc}`01_model` and {doc}`05_qualitative_analysis`; derivatives.
#
# **Minutes:** 16 to read, 70 for the exercises, about one to run.
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
from svdlib.lab.figures.gallery import Gallery, inversion_panels
from svdlib.lab.studies import what_it_uses as uses
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 4, "laptop": 16, "full": None}[profile]
per_answer = {"demo": 2, "laptop": 3, "full": 8}[profile]

tracks = svdlib.open_corpus(corpus).split("test")[:n_songs]
songs = svdlib.load_songs(tracks, stems=True)
detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: svdlib.pretrained("inverter", layer=layer, variant="aligned")
    .to(device)
    for layer in local.INVERTED_LAYERS
}  # fmt: skip

# %% tags=["hide-input"]
chosen = uses.choose_excerpts(detector, songs, per_answer, seed)
first = int(chosen.sung.int().argmax())  # the first that it takes for sung
x, sung = chosen.x[first : first + 1], chosen.sung[first : first + 1]
inversion = reconstruct(detector, inverters, x)["fc8"][:, 0]
Gallery(
    inversion_panels(
        detector.standardizer, x[0, 0], {"fc8": inversion[0]}, "An excerpt"
    )
)

# %% [markdown]
# The second picture is what FC8 has kept of the first. Where it is bright, is there what the answer rests on?
#
# ## Kept is not used
#
# An inversion shows what a layer has kept of an excerpt. It says nothing about what the rest of the network does with it. A layer may keep the drums in detail, and the answer may not care about drums at all. To know what the answer depends on, we have to change the input and watch the answer.
#
# The paper's authors did this in their next study {cite}`mishra2018eusipco`. They invert FC8, stretch the inversion to the range from 0 to 1, and set a threshold. Cells above it are the mask. They multiply the excerpt by the mask, and ask the detector again. If its answer survives, the
# inversion points at something that is enough for this answer.
#
# We repeat this with four changes.
#
# - **Any map.** A *map* is a list of 115 × 80 numbers, one for each cell of the spectrogram. An inversion is one. The local explanations below are others. All of them can be put to the same test.
# - **Equal areas.** A mask holds a given *share* $s$ of the cells: those with the highest values in the map. With a threshold, one map gives a large mask and another one a small mask, and the larger one keeps more of everything.
# - **Keep and remove.** What is enough for an answer need not be needed for it. So we also remove the mask, and keep the rest.
# - **Controls.** The most important change. See below.
#
# ## What to put into the holes
#
# A masked cell must hold *something*. We know two candidates. **The mean** of the band over the training songs is 0 on the standardised scale; it is what the authors' code writes, and it is an unremarkable value in every band. **Silence** is the lowest value that a log-mel can have. It sounds more natural,
# but it lies many deviations below the mean, so that every edge of a mask becomes a cliff which no song has. {cite:t}`mishra2020` compare several such contents for the same kind of detector: explanations change with the content, and for regions along time they recommend an average magnitude. So we use the mean, and look at silence only to see
# how much it matters.
#
# Both have a flaw that no choice removes: an excerpt with holes is unlike any training song. When the answer changes, it may be because something important is missing, or because the excerpt has become strange. This is why there must be controls.
#
# ## One excerpt
#
# A random generator chose excerpts, so that we do not choose nice ones: the same number that the detector takes for sung and for not sung, if there are so many. The first one is that above: `x`, with its `inversion`. We explain *the detector's* answer, right or wrong.

# %%
mask = masking.top_cells(inversion, share=0.1)
mean = masking.fill_like(x, detector.standardizer, "mean")
generator = torch.Generator().manual_seed(seed)
elsewhere = masking.rolled(inversion, generator)
wrong = masking.top_cells(elsewhere, share=0.1)
dust = masking.top_cells(masking.scattered(inversion, generator), share=0.1)

versions = {
    "as it is": x,
    "kept: 10 % by the inversion": masking.keep(x, mask, mean),
    "kept: the same mask at a wrong time": masking.keep(x, wrong, mean),
    "kept: 10 % at random": masking.keep(x, dust, mean),
    "removed: 10 % by the inversion": masking.keep(x, ~mask, mean),
    "removed: the same mask at a wrong time": masking.keep(x, ~wrong, mean),
    "removed: 10 % at random": masking.keep(x, ~dust, mean),
    "nothing but mean": mean,
}
answers = {
    name: torch.sigmoid(masking.logits_of(detector, version)).item()
    for name, version in versions.items()
}

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {"excerpt": name, "probability of singing": f"{value:.2f}"}
        for name, value in answers.items()
    ]
).style.hide(axis="index")

# %% tags=["nbval-check-output", "hide-input"]
print("cells in each mask:", [int(m.sum()) for m in (mask, wrong, dust)])

# %% [markdown]
# The table has the two controls that we shall use.
#
# - **The same map at a wrong time.** The map is shifted by a quarter to three quarters of the excerpt; what leaves at the end comes back at the beginning. The mask has the same area, the same blobs and the same bands. Only the place in time is wrong. If it does as well as the map, the map's places in time mean nothing.
# - **Random cells.** They are a weak control, and we show them to warn of it. Random cells are a fine dust. Dust leaves something of everything, and it looks unlike any mask that a map makes.
#
# One excerpt proves nothing, in either direction. First we need the other maps.
#
# ## Four local explanations
#
# Let $z(\mathbf{x})$ be the logit, the number whose sigmoid is the probability of singing. A local explanation says for *one* excerpt how much each cell $k$ contributes to $z$.
#
# **Gradient** {cite}`simonyan2014`. How strongly does the logit react to the cell? The map is $|\partial z / \partial x_k|$. It says nothing about whether the cell now speaks for or against singing. Multiplying the (signed) gradient by $x_k$ gives **input × gradient**: for a linear detector, that is exactly what the cell has brought, counted from $x_k = 0$.
#
# **Integrated gradients** {cite}`sundararajan2017`. A gradient only knows the surroundings of $\mathbf{x}$. If the detector is already sure, nothing there changes much. So one goes from a baseline $\mathbf{b}$ straight to $\mathbf{x}$ and adds up the gradients on the way:
#
# $$
# a_k = (x_k - b_k) \int_0^1 \frac{\partial z}{\partial x_k}\bigl(\mathbf{b} + \alpha\, (\mathbf{x} - \mathbf{b})\bigr)\, \mathrm{d}\alpha .
# $$
#
# The sum over all cells is $z(\mathbf{x}) - z(\mathbf{b})$, whatever the network: this is called *completeness*. Our baseline is the mean, $\mathbf{b} = 0$, the same that we put into masked cells.
#
# **Grad-CAM** {cite}`selvaraju2017`. Take the maps $A^c$ of the deepest convolution, Conv5. Weight each channel $c$ by the mean of its gradient, and add up:
#
# $$
# G = \sum_c w_c\, A^c, \qquad w_c = \frac{1}{33 \cdot 21} \sum_{i,j} \frac{\partial z}{\partial A^c_{ij}} .
# $$
#
# $G$ has 33 × 21 values, which are interpolated. The usual way stretches $G$ to the size of the input. Here this would be wrong: our network does not pad, so that its outermost cells stand well inside the excerpt. `svdlib` puts each cell into the middle of what it sees.
#
# **SLIME** {cite}`mishra2017`, LIME {cite}`ribeiro2016` for sound. Divide the excerpt into regions, 6 along time by 4 along frequency. Switch each one off or on at random, many times, and fit a linear model to the answers. A region's weight is its contribution. The method needs no gradients, and it never looks inside the network.
#
# The first three come from the library captum {cite}`kokhlikyan2020`. Each is one line:

# %%
maps, fits = local.every_map(detector, inverters, x, seed=seed)

change = masking.logits_of(detector, x) - masking.logits_of(detector, mean)
total = local.integrated_gradients(detector, x, steps=32).sum()
print(f"z(x) - z(0): {change.item():.2f}; all cells together: {total:.2f}")
print(f"SLIME's linear model explains {fits[0]:.0%} of its answers' variance")

# %% tags=["hide-input"] figure="maps" mystnb={"image": {"alt": "A grid of pictures of one excerpt. First the spectrogram, then the cells where the voice is louder than the band (if the song has stems), then the maps: inversions of FC8 and MP6, gradient, input times gradient, integrated gradients, Grad-CAM and SLIME. How far they agree is measured below."}}
voice = {}
if chosen.lead is not None:
    voice = {"voice above band": chosen.lead[first] > 0}
drawn = {
    name: values[0] for name, values in maps.items() if name != "loudness"
}
figures.figure_maps(x[0, 0], drawn, voice)

# %% [markdown]
# Each map has its own colour scale. The four signed maps are orange where a cell speaks for singing and purple where it speaks against. The others are brighter where they are larger.
#
# What one sees in any such picture: gradient, input × gradient and integrated gradients are made of single cells. Grad-CAM and SLIME are made of large patches, because their grids are coarse. The inversion of MP6 resembles the excerpt; that of FC8 is a few blobs. What one cannot see is
# which of them is *right*. They all look plausible. That is the trouble with pictures of explanations.
#
# The last map is not drawn, and is not an explanation at all. **Loudness** is the excerpt itself: it puts the cells first that stick out most from their band's mean. It knows nothing about the detector. An explanation that does no better than loudness has not shown that it knows something about the detector either.
#
# ## The test
#
# Let $p(s)$ be how sure the detector is of its answer if only the share $s$ of the cells is kept, and $q(s)$ if it is removed, the highest cells first in both. ("How sure" is the probability of singing if the answer was "sung", and one minus it otherwise.) A good explanation has a $p$ that rises soon and a $q$
# that falls soon. We call the area between the curves the **advantage**,
#
# $$
# \int_0^1 p(s) - q(s)\; \mathrm{d}s .
# $$
#
# For cells in a random order it is about 0, since keeping half of the cells is the same as removing the other half. Others call the two areas *insertion* and *deletion*. For the signed maps, cells that speak for the detector's answer come first.

# %% tags=["hide-input"]
answer = "sung" if sung.item() else "not sung"
group = chosen.where(chosen.sung == sung[0])  # all with the same answer
blank = masking.fill_like(group.x, detector.standardizer, "mean")
tried = {
    "inversion-fc8": reconstruct(detector, inverters, group.x)["fc8"][:, 0],
    "integrated-gradients": local.integrated_gradients(detector, group.x),
    "loudness": group.x[:, 0],
}
tried = local.towards(tried, group.sung)
rows = uses.try_maps(detector, group, tried, blank, seed)
shares = [0.0, *uses.SHARES, 1.0]

# %% tags=["hide-input"] figure="masking-curves" mystnb={"image": {"alt": "Three panels, for the inversion of FC8, integrated gradients and loudness. Each shows how sure the detector is of its answer, over the share of the cells that are kept, a solid blue line, or removed, a dashed orange one. The area between them is shaded. Dotted lines with hollow marks show the same map at a wrong time, thin grey lines random cells. The table below has the values at 30 %."}}
figures.figure_masking_curves(
    shares, {name: rows[name] for name in tried}, rows["scattered"]
)

# %% tags=["hide-input"]
at = shares.index(0.3)
pd.DataFrame(
    [
        {
            "cells": MAP_TITLES.get(name, "at random"),
            "30 % kept": row["keeping"][at],
            "30 % removed": row["removing"][at],
            "advantage": row["advantage"]["value"],
        }
        for name, row in rows.items()
    ]
).style.format(precision=2).hide(axis="index")

# %% tags=["remove-input"]
whole, nothing = (
    masking.answer_probability(
        masking.logits_of(detector, each), group.sung
    ).mean()
    for each in (group.x, blank)
)
display(
    Markdown(
        f"These are {len(group)} excerpts that the detector takes for {answer} (profile `{profile}`). With all cells it is sure to {whole:.2f}, with nothing but mean to {nothing:.2f}. The shaded area is the advantage. Where the dotted lines lie close to the full ones, the map's time does not matter. A few excerpts are a demonstration."
    )
)

# %% [markdown]
# {doc}`10b_explanations_measured` asks all maps, on more songs, and compares them with where the voice is.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "The inversion of a layer shows each beat of the drums. What follows for the detector's answer?",
        [
            Answer(
                "Nothing yet: what is kept need not be used.",
                "To learn what the answer depends on, one has to change the drums in the input and ask the detector again.",
                right=True,
            ),
            Answer(
                "The answer rests on the drums, among others.",
                "The layer has kept the drums. Whether later layers do anything with them, the inversion cannot show.",
            ),
            Answer(
                "The answer does not rest on the voice.",
                "A layer can keep drums and voice side by side. And it may be the voice alone that the rest of the network reacts to.",
            ),
        ],
    ),
    Question(
        "With the first tenth of a new map's cells, the detector stays sure. Which comparison says most about the map?",
        [
            Answer(
                "The same map at a wrong time, at the same area.",
                "It has the same blobs in the same bands. If it does as well, the map's moments mean nothing. Beside it, compare with loudness.",
                right=True,
            ),
            Answer(
                "As many cells that are drawn at random.",
                "Nearly any map wins this. Random cells are a dust that looks unlike any mask, and unlike any song.",
            ),
            Answer(
                "The whole excerpt, with all its cells.",
                "This says how much of the answer is left. It does not say that these cells did it: other masks of this area may leave as much.",
            ),
        ],
    ),
    Question(
        "The values of integrated gradients add up to the change of the logit. What does this guarantee?",
        [
            Answer(
                "That the whole change is shared out among the cells.",
                "It is good bookkeeping, and no more. To give each cell the same share would add up as well, and would explain nothing.",
                right=True,
            ),
            Answer(
                "That the cells with high values hold the voice.",
                "The sum knows nothing of the voice. Where the voice is, only the stems can tell.",
            ),
            Answer(
                "That the map is the same from any baseline.",
                "Another baseline gives another sum, and another map. A baseline is part of the question.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - What a layer keeps and what an answer depends on are two questions.
# - Test a map by keeping and removing, at equal areas, beside the same map at a wrong time and beside loudness. Random cells are too weak a control.
# - All maps look plausible. That is the trouble with pictures of explanations.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-equal-areas)=
# ### Exercise 1: Equal areas
#
# *Easy, 10 minutes.*
#
# Write `mask_of(maps, share)`. It gets a tensor with a map for each of n excerpts (n, times, bands), and returns a boolean mask of the same shape. In each map, exactly `round(share * times * bands)` cells are true, those with its highest values. If cells are equal, it does not matter which of them you take, but the number must be right. (`masking.top_cells` does this for 115 × 80 cells. Try without it.)
#
# :::{dropdown} First hint
# A threshold fails where cells are equal. Sort instead, and take so many from the start.
# :::
#
# :::{dropdown} Second hint
# Flatten each map, `argsort` with `descending=True`, and mark the first `round(share * cells)` places of each row with `scatter_`. Then bring back the shape.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_mask(mask_of):
    rng = np.random.default_rng(3)
    values = np.stack([rng.permutation(60) for _ in range(3)]).astype(float)
    values[1] += 100  # all above those of the others
    values[2] -= 100
    tried = torch.tensor(values.reshape(3, 12, 5))
    for share in (0.25, 0.61, 0.0, 1.0):
        expected = round(share * 60)
        mask = np.asarray(mask_of(tried, share))
        assert mask.shape == (3, 12, 5), (
            f"For maps of shape (3, 12, 5) the mask has the shape {mask.shape}."
        )
        mask = mask.astype(bool).reshape(3, 60)
        counts = mask.sum(axis=1).tolist()
        hint = "Count cells; do not compare values with a threshold."
        if sum(counts) == 3 * expected:
            hint = "Choose in each map on its own, not among all cells of all maps."
        assert counts == [expected] * 3, (
            f"With a share of {share}, each of three maps of 60 cells needs {expected}; your masks hold {counts}. {hint}"
        )
        for each, cells in zip(values, mask, strict=True):
            if 0 < expected < 60:
                assert each[cells].min() > each[~cells].max(), (
                    "The number of cells is right, but they are not those with the highest values."
                )
    equal = np.asarray(mask_of(torch.zeros(2, 12, 5), 0.25)).reshape(2, 60)
    assert (equal.sum(axis=1) == 15).all(), (
        "Where all cells are equal, the masks have the wrong size. A threshold cannot tell equal cells apart; sort them."
    )


# %% tags=["exercise"]
def mask_of(maps, share):
    """The cells of each map with the highest values, boolean."""
    ...


check_mask(mask_of)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def mask_of(maps, share):
    flat = maps.flatten(1)
    best = flat.argsort(dim=1, descending=True)
    mask = torch.zeros_like(flat, dtype=torch.bool)
    mask.scatter_(1, best[:, : round(share * flat.shape[1])], True)
    return mask.view(maps.shape)


display(check_mask(mask_of))
areas = {}
for name, values in maps.items():
    stretched = (values - values.min()) / (values.max() - values.min())
    areas[name] = (stretched > 0.5).double().mean().item()
smallest, largest = min(areas, key=areas.get), max(areas, key=areas.get)
display(
    Markdown(
        f"Why not a threshold? If each map of this excerpt is stretched to the range from 0 to 1 and cut at one half, the masks hold from {areas[smallest]:.1%} of the cells ({MAP_TITLES[smallest]}) to {areas[largest]:.1%} ({MAP_TITLES[largest]}). Then the comparison would be one of areas, not of maps."
    )
)

# %% [markdown]
# (exercise-advantage)=
# ### Exercise 2: The advantage
#
# *Medium, 15 minutes.*
#
# Write `advantage(shares, keeping, removing, sung)` for one excerpt. `shares` is a tuple of rising shares from 0 to 1, not equally far apart. `keeping` and `removing` are tensors with the detector's *logit* at each share. `sung` is its answer, true or false. Return the area between the two curves of how sure it is, with straight lines from point to point.
#
# :::{dropdown} First hint
# How sure is the detector of its own answer? A logit of the answer "not sung" counts the other way round.
# :::
#
# :::{dropdown} Second hint
# Turn the sign if it is not sung, take `torch.sigmoid` of both, and `torch.trapezoid` of their difference over the shares.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_advantage(advantage):
    some = torch.tensor([-2.0, 1.0, 0.5, 3.0])
    shares = (0.0, 0.1, 0.6, 1.0)
    got = float(advantage(shares, some, some, True))
    assert abs(got) < 1e-4, (
        f"If keeping and removing do the same, the advantage is 0; you have {got:.2f}."
    )

    def area(logits):  # by brute force
        fine = (np.arange(100_000) + 0.5) / 100_000
        sure = [1 / (1 + np.exp(-each)) for each in logits]
        return np.interp(fine, shares, sure).mean()

    up, down = [-3.0, 2.0, 2.5, 3.0], [3.0, 0.5, -2.0, -3.0]
    expected = area(up) - area(down)
    gaps = [
        1 / (1 + np.exp(-a)) - 1 / (1 + np.exp(-b))
        for a, b in zip(up, down, strict=True)
    ]
    not_areas = np.mean(gaps), np.sum(gaps), np.sum(gaps[1:-1])
    got = float(advantage(shares, torch.tensor(up), torch.tensor(down), True))
    hint = ""
    if abs(got + expected) < 0.01:
        hint = " Which of the two areas is taken from which?"
    elif np.isclose(got, not_areas, atol=0.01).any():
        hint = " The shares are not equally far apart, so a mean or sum over the points is no area."
    elif abs(got) > 1:
        hint = " No area here is larger than 1. Have you turned logits into probabilities?"
    assert abs(got - expected) < 0.01, (
        f"A test excerpt that is taken for sung has an advantage of {expected:.3f}; you have {got:.3f}.{hint}"
    )
    got = float(advantage(shares, torch.tensor(down), torch.tensor(up), True))
    assert abs(got + expected) < 0.01, (
        f"If more is left by removing than by keeping, the advantage is negative, here {-expected:.3f}; you have {got:.3f}."
    )
    logits = -torch.tensor([up, down])
    got = float(advantage(shares, *logits, False))
    assert abs(got - expected) < 0.01, (
        f"A test excerpt with the answer `not sung` has an advantage of {expected:.3f}; you have {got:.3f}. How sure is the detector of *this* answer?"
    )


# %% tags=["exercise"]
def advantage(shares, keeping, removing, sung):
    """Area under keeping minus area under removing."""
    ...


check_advantage(advantage)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def advantage(shares, keeping, removing, sung):
    sign = 1 if sung else -1
    gap = torch.sigmoid(sign * keeping) - torch.sigmoid(sign * removing)
    return torch.trapezoid(gap, torch.tensor(shares)).item()


display(check_advantage(advantage))
for name in ("inversion-fc8", "loudness"):
    curves = masking.masking_curves(detector, x, maps[name], mean)
    one = advantage(
        curves.shares, curves.keeping[0].cpu(), curves.removing[0].cpu(), sung
    )
    few = rows[name]["advantage"]["value"]
    print(f"{MAP_TITLES[name]}: {one:+z.2f} here, {few:+z.2f} on average")

# %% [markdown]
# (exercise-path)=
# ### Exercise 3: Integrated gradients by hand
#
# *Medium, 20 minutes.*
#
# Write `integrate(gradient_at, x, baseline, steps)`. `x` and `baseline` are tensors of one shape. `gradient_at(point)` gives the gradient at a point of that shape. Replace the integral by a mean over `steps` points on the straight way, and return the map, of the shape of `x`. The middles of `steps` equal pieces are a good choice of points.
#
# :::{dropdown} First hint
# Walk from the baseline to `x` in equal steps, and ask for the gradient at each place. Which vector is the mean gradient multiplied by?
# :::
#
# :::{dropdown} Second hint
# The places are `(k + 0.5) / steps` of the way. Multiply the mean of the gradients by `x - baseline`, cell by cell.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_integrate(integrate):
    x = torch.tensor([[2.0, -1.0, 0.5], [1.5, 3.0, -2.0]])
    b = torch.tensor([[-1.0, 0.5, 0.0], [1.0, -1.0, 2.0]])

    def cubes(point):  # of the sum of all cubes
        return 3 * point**2

    got = np.asarray(integrate(cubes, x, b, 200))
    assert got.shape == (2, 3), (
        f"The map should have the shape of x, (2, 3); yours has {got.shape}."
    )
    # Here each cell's part of the integral can be solved.
    for wrong, why in (
        ((x - b) * cubes(x), "You take the gradient at the end only."),
        ((x - b) * cubes(b), "You take the gradient at the baseline only."),
        (
            (x**3 - b**3) / (x - b),
            "The mean gradient is right. Now multiply it by how far each cell goes.",
        ),
        (200 * (x**3 - b**3), "You add up the gradients; take their mean."),
        (b**3 - x**3, "You go from x to the baseline."),
        (x**3, "You start from 0, not from the baseline."),
        (
            x * (x**3 - b**3) / (x - b),
            "A cell goes from the baseline to x, so it does not go all the way x.",
        ),
    ):
        assert not np.allclose(got, wrong, rtol=0.03, atol=0.03), why
    assert np.allclose(got, x**3 - b**3, rtol=0.03, atol=0.1), (
        "For a sum of cubes, a cell's part is x³ - b³, and yours is another."
    )

    def product(point):  # of the product of the two first cells
        gradient = torch.zeros_like(point)
        gradient[0, 0], gradient[0, 1] = point[0, 1], point[0, 0]
        return gradient

    zero = torch.zeros_like(x)
    got = np.asarray(integrate(product, x, zero, 200))
    assert abs(got.sum() - float(x[0, 0] * x[0, 1])) < 0.05, (
        "For a product of two cells, the map does not add up to it."
    )
    return "It is complete: the values add up to the change."


# %% tags=["exercise"]
def integrate(gradient_at, x, baseline, steps):
    """Integrated gradients: a map of the shape of x."""
    ...


check_integrate(integrate)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def integrate(gradient_at, x, baseline, steps):
    places = (torch.arange(steps) + 0.5) / steps
    gradients = [
        gradient_at(baseline + float(place) * (x - baseline))
        for place in places
    ]
    return (x - baseline) * sum(gradients) / steps


display(check_integrate(integrate))


def gradient_of_logit(point):
    point = point.detach().requires_grad_()
    return torch.autograd.grad(detector(point).sum(), point)[0]


silence = masking.fill_like(x, detector.standardizer, "silence")
starts = {"the mean": mean, "silence": silence}
from_start = {
    name: integrate(gradient_of_logit, x, start, 48)
    for name, start in starts.items()
}
z = masking.logits_of(detector, x).item()
for name, start in starts.items():
    change = z - masking.logits_of(detector, start).item()
    print(
        f"from {name}: {from_start[name].sum():+z.2f}, the logit {change:+z.2f}"
    )
order = np.corrcoef(*(uses.ranks_of(each) for each in from_start.values()))
rising = ((x - silence) > 0).double().mean().item()
display(
    Markdown(
        f"The two maps explain two different changes. Their ranks correlate with {order[0, 1]:.2f}. From silence, {rising:.0%} of the cells have risen, also those that are as loud as usual, and each of them takes part in what is shared out. A baseline is part of the question. "
        "(Where a sum is not quite the change, the steps are too few.)"
    )
)

# %% [markdown]
# (exercise-slime)=
# ### Exercise 4: SLIME by hand
#
# *Hard, 25 minutes.*
#
# Write `weights_of(answer, regions, samples, rng)`. `answer(on)` gives a number for one pattern `on`, a boolean array (regions,) that is true where a region is on. Draw `samples` patterns with `rng`, a NumPy generator; each region is on with probability 1/2. Ask for the answer to each. Then fit a linear model with an intercept by least squares, all patterns counting the same. Return the weights (regions,), without the intercept.
#
# What do you expect where either of two regions is enough for the answer?
#
# :::{dropdown} First hint
# Patterns are random numbers below one half; the answers are what they are. A linear model with an intercept has one column more than there are regions.
# :::
#
# :::{dropdown} Second hint
# `np.column_stack` puts a column of ones beside the patterns, and `np.linalg.lstsq` fits. The intercept is the last of the weights.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_weights(weights_of):
    truth = np.array([2.0, -1.0, 0.0, 0.5, 1.0])
    calls = []

    def linear(on):
        on = np.asarray(on)
        assert on.shape == (5,), (
            f"`answer` takes one pattern of shape (5,), not {on.shape}."
        )
        calls.append(on.astype(bool))
        return 4.0 + float(on.astype(float) @ truth)

    def tried(answer, regions):
        rng = np.random.default_rng(5)
        return np.asarray(weights_of(answer, regions, 400, rng)).ravel()

    got = tried(linear, 5)
    assert len(got) != 6, "Leave the intercept out of what you return."
    assert got.shape == (5,), f"Return 5 weights, not {len(got)}."
    share_on = np.mean(calls)
    assert 0.4 < share_on < 0.6, (
        f"Regions are on with probability 1/2, and yours are on in {share_on:.0%} of the cases."
    )
    assert len({tuple(on) for on in calls}) > 10, (
        "Draw every pattern anew, each region on its own."
    )
    assert np.allclose(got, truth, atol=0.1), (
        f"A linear answer has the weights {truth.tolist()}, and you have {got.round(2).tolist()}. Has your model an intercept, and are these least squares?"
    )
    either = tried(lambda on: float(on[0] or on[1]), 3)
    assert not np.allclose(either[:2], 0, atol=0.1), (
        "Where either of two regions is enough, neither gets a weight. That happens if only one region is off at a time."
    )
    assert np.allclose(either, [0.5, 0.5, 0], atol=0.15), (
        f"Where either of regions 0 and 1 is enough, both get a weight of about one half, and region 2 none; you have {either.round(2).tolist()}."
    )
    return "If either of two regions is enough, each gets a half."


# %% tags=["exercise"]
def weights_of(answer, regions, samples, rng):
    """What each region contributes to the answer (regions,)."""
    ...


check_weights(weights_of)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def weights_of(answer, regions, samples, rng):
    patterns = rng.random((samples, regions)) < 0.5
    answers = [answer(on) for on in patterns]
    inputs = np.column_stack([patterns, np.ones(samples)])
    return np.linalg.lstsq(inputs, answers, rcond=None)[0][:-1]


display(check_weights(weights_of))
n_times = 10
region = local.regions(n_times, 1)


def logit_with(on):
    mask = torch.from_numpy(np.asarray(on))[region].to(x.device)
    return masking.logits_of(
        detector, masking.keep(x, mask[None], mean)
    ).item()


runs = {
    samples: [
        weights_of(logit_with, n_times, samples, np.random.default_rng(s))
        for s in (1, 2)
    ]
    for samples in (20, 80)
}
alike = {samples: np.corrcoef(*two)[0, 1] for samples, two in runs.items()}
weights = np.mean(runs[80], axis=0) * (1 if sung.item() else -1)
print("weights for the answer:", weights.round(1).tolist())
strongest = int(weights.argmax())
centre = int(region[len(region) // 2, 0])
display(
    Markdown(
        f"Two runs that differ only in their chance correlate with {alike[20]:.2f} for 20 patterns and with {alike[80]:.2f} for 80. What is missing to 1 is luck. The answer is about the centre frame, in region {centre} of 0 to {n_times - 1}; "
        + (
            "this is the region with the largest weight."
            if strongest == centre
            else f"the largest weight, though, has region {strongest}, {abs(strongest - centre)} away. The network looks at the whole excerpt, and what speaks for its answer need not lie in the middle."
        )
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018eusipco` keep what an inversion highlights, the study repeated here.
# - {cite:t}`mishra2017` introduce SLIME; {cite:t}`mishra2020` show how much depends on the fill.
# - {cite:t}`adebayo2018`: some maps hardly change when the network's weights are drawn anew.
