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
# # Designing a feature inverter
#
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - why a feature is inverted by a second network, and what that network learns;
# - how the eight inverters of the paper are built, and why they differ;
# - how to read from an architecture, before any training, what it can *not* paint;
# - how to derive a better inverter from the network that it inverts.
#
# **Prerequisites:** {doc}`01_model`; what a loss and gradient descent are.
#
# **Minutes:** 55 to read and try; about one to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %%
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib import figures
from svdlib.devices import choose_device
from svdlib.gallery import Gallery, Panel
from svdlib.style import layer_title

device = choose_device(device)
n_songs = {"demo": 3, "laptop": 8, "full": None}[profile]

# %% [markdown]
# ## Running a layer backwards
#
# The detector's layer $L$ turns an excerpt $\mathbf{x}$ into a feature $\Phi_L(\mathbf{x})$. We want to go back: from the feature to an excerpt.
#
# In general there is no way back. Pooling keeps the largest of nine numbers and forgets the other eight. FC8 keeps 64 numbers of 9200. Very many different excerpts have
# nearly the same feature, and the feature cannot say which of them it came from. But it can say what they have in *common*. That is what the layer has kept.
#
# There are two ways to find an excerpt for a feature.
#
# **Search** {cite}`mahendran2015`. Start with noise. Compute its feature. Change the noise a little so that its feature comes nearer to the wanted one. Repeat some thousand times. One needs a rule
# that keeps the result looking like a spectrogram, and the search begins anew for each excerpt.
#
# **Learn** {cite}`dosovitskiy2016inverting`. Train a second network, the **feature inverter** $G_L$, on pairs of a feature and the excerpt that it came from. It learns from
# the training songs what spectrograms look like. Once trained, it inverts any feature in one pass. This is what the paper does {cite}`mishra2018`, and what we do.
#
# ### What the inverter learns
#
# The simplest loss is the squared distance to the original, $\Psi_{input} = \lVert \mathbf{x} - G_L(\Phi_L(\mathbf{x})) \rVert^2$. It has a well-known
# effect. If many excerpts share a feature, the guess with the smallest expected squared error is their *average*. So inversions of deep layers are blurred. The blur is not noise, it is information: it shows how far the excerpts that the layer cannot tell apart differ.
#
# The paper adds a second loss, in a space of features {cite}`dosovitskiy2016perceptual`. A *comparator* $C$ with feature $\Theta$ looks at the original and at the inversion, and the features of both are compared:
#
# $$
# \Psi_{feature} = \lVert \Theta(\mathbf{x}) - \Theta(\hat{\mathbf{x}}_L) \rVert^2,
# \qquad \hat{\mathbf{x}}_L = G_L(\Phi_L(\mathbf{x})).
# $$
#
# The inverter is trained on the sum of both, plus a small penalty on large weights (equations 2 and 3 of the paper). The comparator is the detector itself, up to Conv5.

# %% tags=["hide-input"] figure="method" mystnb={"image": {"alt": "Block diagram. An excerpt x goes through the detector up to layer L, giving a feature; the feature inverter turns it into an inversion. Excerpt and inversion are compared directly and, after the comparator, as features. Only the inverter learns."}}
figures.figure_method()

# %% [markdown]
# This corresponds to figure 1 of the paper. Only the orange box learns. The blue boxes are trained beforehand and stay fixed, but gradients must flow *through* the right comparator to reach the inverter.
#
# The released code of the paper feeds the comparator's features in as plain numbers, so no gradient flows there, and the second loss has no effect on training. That is our finding from
# reading and running that code. We follow the equations: here the gradient flows. {doc}`03_training` shows the difference, and how small it is.
#
# ## Building blocks
#
# An inverter has to make things larger, and it has four kinds of parts.
#
# - **FC**, a dense layer, only in the inverters of FC7 and FC8.
# - **Conv**, a 3 × 3 convolution with padding 1. It keeps the size and adds capacity.
# - **Uconv**, an *up-convolution* {cite}`dosovitskiy2015chairs`: a 4 × 4 transposed convolution with stride 2 that removes one row at each edge. It doubles time and frequency.
# - **ELU**, the activation: $y = x$ for $x > 0$ and $y = e^x - 1$ otherwise {cite}`clevert2016`. Before it stands *batch normalisation* {cite}`ioffe2015`.
#
# Does an up-convolution really double the size?

# %%
# NBVAL_CHECK_OUTPUT
uconv = torch.nn.ConvTranspose2d(
    in_channels=32, out_channels=16, kernel_size=4, stride=2, padding=1
)
small = torch.zeros(1, 32, 37, 25)  # a feature of MP3
print(tuple(small.shape), "->", tuple(uconv(small).shape))

# %% [markdown]
# ## From a dense feature: FC7
#
# FC7 is a list of 256 numbers without time or frequency. Its inverter folds the list into 16 small maps of 4 × 4 and doubles them five times, from 4 to 128. Then it trims 128 × 128 to 115 × 80. Between the up-convolutions
# stand convolutions that tidy up. This is table 1 of the paper, computed by sending a feature through the network; the last row, the trimming, is only described in the paper's text.

# %%
# NBVAL_CHECK_OUTPUT
fc7_inverter = svdlib.build_inverter("fc7")
for row in figures.table_stages(fc7_inverter):
    print(
        f"{row['Layer']:15} {row['Input shape']:>14}  {row['Units']:>4}  "
        f"{row['Output shape']:>14}"
    )

# %% [markdown]
# ## From a map: Conv4
#
# Conv4 still has axes: 35 steps in time and 23 in frequency, a third of the excerpt's because of the pooling before it. Two up-convolutions make it four times as large. Figure 3 of the paper shows this inverter; again we draw the real one.

# %% tags=["hide-input"] figure="inverter-conv4" mystnb={"image": {"alt": "Diagram of the Conv4 inverter: the feature of 128 × 35 × 23, three convolutions of the same size, an up-convolution to 64 × 70 × 46, another to 1 × 140 × 92, then trimming to 1 × 115 × 80."}}
figures.figure_inverter(svdlib.build_inverter("conv4"))

# %% [markdown]
# Look at the last two rows. The network paints 140 × 92 and throws away the right and the upper edge. Keep this in mind, we come back to it.
#
# ## All eight
#
# Table 2 of the paper lists the inverters of all layers, with the number of their layers and of convolutions. We add the number of parameters.

# %%
# NBVAL_CHECK_OUTPUT
for row in figures.table_inverters():
    print(
        f"{row['Inv-idx']:6} {row['Inv-inp']:>14}  "
        f"depth {row['Inv-depth']:2}  convolutions {row['Inv-nconv']}  parameters {row['Parameters']:6}"
    )

# %% [markdown]
# Two rules explain the list. **Pooling decides the number of up-convolutions**: none for Conv1 and Conv2, which no pooling precedes, two after one pooling, four after two, five for dense features. **The rest is trial**: the authors
# chose the number of convolutions by what worked.
#
# The number of parameters does not follow the difficulty of the task. The inverter of Conv4 is the largest by far, because its feature has 128 channels. So a good inversion of Conv4 may be owed in part to a larger inverter. When we compare layers later, we compare *layer and inverter together*. No
# number in this book can separate them fully.
#
# Are these really the networks of the paper? The files that its authors released have the following numbers of stored values, with weights and the running averages of batch normalisation. Ours must agree.

# %%
# NBVAL_CHECK_OUTPUT
released = {
    "fc8": 131201, "fc7": 176001, "mp6": 80484, "conv5": 144772,
    "conv4": 576260, "mp3": 45892, "conv2": 28324, "conv1": 37700,
}  # fmt: skip
ours = {
    layer: svdlib.count_parameters(svdlib.build_inverter(layer))
    for layer in released
}
print("all eight agree:", ours == released)

# %% [markdown]
# ## What the architecture cannot do
#
# So far we have followed the paper. Now we look at its design with a ruler. What follows in this section is *our own* analysis, not the paper's. It matters for everything later:
# where an inversion is poor, is it the layer that has forgotten, or the inverter that could not paint?
#
# ### Growing by four after shrinking by three
#
# Pooling divides the length by 3. Two up-convolutions multiply it by 4. The result is too long and gets trimmed at the end. So a feature cell that has seen frames 30 to 36
# of the original is written near frame 40 of the inversion. The further to the right, the larger the *drift*.
#
# The convolutions can repair some of it, because each looks a little to both sides. How much? That can be computed without any training, from kernel sizes and strides alone. For each frame of the inversion we ask:
# which feature cells does the inverter read to paint it, and which frames of the original have these cells seen? If the frame itself is not among them, it is **blind**: painted without any
# cell that has seen it.

# %%
from svdlib.geometry import blind_frames, cells_read, receptive_field

detector = svdlib.pretrained("detector").to(device)
map_layers = [layer for layer in svdlib.LAYERS if not layer.startswith("fc")]
blind, frames_known = {}, {}
for layer in map_layers:
    inverter = svdlib.build_inverter(layer)
    field = receptive_field(detector, layer)
    blind[layer] = blind_frames(detector, inverter)
    frames_known[layer] = [
        field.frames_seen(cells) if cells else None
        for cells in cells_read(inverter)
    ]

# %%
# NBVAL_CHECK_OUTPUT
for layer in map_layers:
    where = (
        f", the first at {blind[layer][0]}, the last at {blind[layer][-1]}"
        if blind[layer]
        else ""
    )
    print(f"{layer:6} {len(blind[layer]):3} of 115 frames are blind{where}")

# %% tags=["hide-input"] figure="sight-published" mystnb={"image": {"alt": "Three panels for MP3, Conv4 and MP6. A band shows which frames of the original each frame of the inversion knows about; its slope is flatter than the diagonal, so that the diagonal leaves the band at the right, where the frames are blind."}}
shown = ("mp3", "conv4", "mp6")
figures.figure_geometry(
    {layer: frames_known[layer] for layer in shown},
    {layer: blind[layer] for layer in shown},
)

# %% [markdown]
# The blue band is what the painter of a frame can know. Its slope is 3/4 for MP3 and Conv4, and 9/16 for MP6, while the original runs along the diagonal. Where the diagonal leaves the band, frames are blind (orange).
# MP6 fares better than its slope suggests because each of its cells has seen 25 frames.
#
# The blind frames of Conv1 and Conv2 have another cause: these inverters put a border of zeros around a smaller picture.
#
# "Blind" does not mean "random". Music repeats, and an inverter can guess from what it sees some frames before. The dense layers have no blind frames, since each of their units has seen the whole excerpt. And the same drift exists along frequency, where it moves cells upwards.
#
# ### Does it show?
#
# Geometry makes a prediction: after MP3, Conv4 and MP6 the error should be larger at the right of the excerpt than at the left; after Conv5, with a single blind frame, less so. We test it with the trained inverters on test
# songs. For each layer we compare the last 25 frames of random excerpts with the first 25, leaving out two frames at either edge. Because the music itself may be
# busier on one side of a few excerpts, we divide the squared error by the mean square of the original in the same frames. An error of 1 is then as bad as painting only zeros.

# %%
collection = svdlib.open_corpus(corpus)
songs = svdlib.load_songs(collection.split("test")[:n_songs])
bank = svdlib.ExcerptBank(
    songs, standardizer=detector.standardizer, device=device
)
generator = torch.Generator().manual_seed(seed)
chosen = torch.randperm(len(bank), generator=generator)[:64].to(device)
x = bank.gather(chosen)  # standardised excerpts (64, 1, 115, 80)
inverters = {
    layer: svdlib.pretrained("inverter", layer=layer).to(device)
    for layer in map_layers
}
inversions = svdlib.reconstruct(detector, inverters, x)

edge, width = 2, 25
sides = {}
for layer, x_hat in inversions.items():
    left, right = slice(edge, edge + width), slice(-edge - width, -edge)
    sides[layer] = [
        ((x - x_hat)[:, :, side] ** 2).mean().item()
        / (x[:, :, side] ** 2).mean().item()
        for side in (left, right)
    ]

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "layer": layer_title(layer),
            "blind frames": len(blind[layer]),
            "error left": left,
            "error right": right,
            "right / left": right / left,
        }
        for layer, (left, right) in sides.items()
    ]
).style.format(precision=2).hide(axis="index")

# %% tags=["remove-input"]
ratio = {layer: right / left for layer, (left, right) in sides.items()}
drifting = (ratio["mp3"] + ratio["conv4"] + ratio["mp6"]) / 3
steady = (ratio["conv1"] + ratio["conv2"]) / 2
if drifting > steady + 0.05:
    finding = "That agrees with the prediction: where frames are blind, the error grows to the right."
elif drifting < steady - 0.05:
    finding = "That contradicts the prediction. The songs, or how long these inverters were trained, must weigh more than the geometry."
else:
    finding = "That is no clear difference: with these weights and songs, something else weighs more than the geometry."
if ratio["conv5"] >= drifting - 0.05:
    of_conv5 = "as much as these three, although it has hardly a blind frame: blindness cannot be the whole reason."
elif ratio["conv5"] > steady + 0.05:
    of_conv5 = "less than these three, as predicted, but more than Conv1 and Conv2. Its pictures drift too; it sees nearly every frame, but not from the cells beside it."
else:
    of_conv5 = "like Conv1 and Conv2, as predicted."
of_conv5 = f"For Conv5 the ratio is {ratio['conv5']:.2f}, {of_conv5}"
display(
    Markdown(
        f"On average over MP3, Conv4 and MP6, the right side has {drifting:.2f} times the error of the left. For Conv1 and Conv2, whose pictures do not drift, "
        f"it is {steady:.2f} times. {finding} {of_conv5} "
        "A ratio near 1 means that both sides are inverted equally well. It rests on 64 excerpts, so small differences mean nothing."
    )
)

# %% [markdown]
# ### A floor under every value
#
# An ELU never goes below −1, and the published inverters have one at the very output. So no inversion can be lower than −1 in standardised units: never more than one deviation quieter than the average of its band. Real
# excerpts can.
#
# How much does this cost? The best that any of these inverters could do is to paint everything right and cut at −1. We compute the error of this impossible ideal.

# %%
best_possible = x.clamp(min=-1)
share_below = (x < -1).float().mean().item()
floor = svdlib.nre(x.cpu(), best_possible.cpu())

# %% tags=["remove-input"]
display(
    Markdown(
        f"In these songs {100 * share_below:.1f} % of all values lie below −1, the lowest at −{-x.min():.1f}. Even the perfect painter would have a normalised reconstruction "
        f"error (NRE) of {floor:.3f}; 0 would be perfect, and a network that always paints the average scores about 0.71. "
        "The chapter on quantitative evaluation explains this measure. Scores of the shallow layers must be read with this floor in mind."
    )
)

# %% [markdown]
# Can one see and hear the floor? Below is the excerpt of those above that suffers most. Both pictures have the same colour scale.

# %%
damage = (x - best_possible).flatten(1).norm(dim=1)
victim = x[damage.argmax(), 0]

# %% tags=["hide-input"]
scale = detector.standardizer
Gallery(
    [
        Panel(
            "Original", scale.inverse(victim).cpu(), standardised=victim.cpu()
        ),
        Panel(
            "Cut at −1",
            scale.inverse(victim.clamp(min=-1)).cpu(),
            standardised=victim.clamp(min=-1).cpu(),
        ),
    ]
)

# %% [markdown]
# What was dark becomes an even, brighter shade: quiet moments and gaps between notes fill up. This is the worst case by choice. In most excerpts the difference is smaller.
#
# None of this makes the paper's comparison of layers worthless. All inverters have the same floor, and the drift is the same for MP3 and Conv4. But it tells us where to be careful: the floor hides how good the shallow layers
# are, and a difference between, say, Conv4 and Conv5 may be a difference in geometry.
#
# ## Turning the detector round
#
# Drift and floor can be repaired, with fewer parameters instead of more. What follows is our own design, the **aligned** inverters. It has three ideas.
#
# **Mirror every step.** A cell of a convolution or a pooling looks at a window of cells in the layer before. Read the same lines in the other direction: each cell of the layer before is seen by a few cells, and only these can tell anything about it. A
# transposed convolution with the *same* kernel and the *same* stride connects exactly these pairs. So we walk from layer $L$ down to the input and put the mirror image of each step into the inverter: a 3 × 3 transposed convolution with stride 1 for each convolution, one with stride 3 for each pooling.
#
# **Undo the leaky ReLU.** It maps $x$ to $x$ where $x > 0$ and to $0.01\,x$ elsewhere. That makes negative numbers small, but it loses none of them. Multiplying them by 100 takes us back. So the inverter begins with that.
#
# **Let the output be linear.** No ELU at the end, no floor.
#
# The geometry is not typed in by hand. The code reads it off the detector's own modules, and would do so for any stack of convolutions, poolings and dense layers.

# %%
# NBVAL_CHECK_OUTPUT
from svdlib.mirror import encoder_steps

up_to_conv4 = list(detector.layers.values())[:4]
for step in encoder_steps(up_to_conv4, (1, 115, 80)):
    print(
        f"{step.before} -> {step.after}: kernel {step.kernel}, stride {step.stride}"
    )

# %% [markdown]
# Backwards, this is the aligned inverter of Conv4. Compare it with the published one above: nothing is trimmed, since the sizes are those of the detector.

# %% tags=["hide-input"] figure="inverter-conv4-aligned" mystnb={"image": {"alt": "Diagram of the aligned Conv4 inverter: the feature of 128 × 35 × 23, then four up-convolutions with kernel 3 × 3 that lead to 37 × 25, to 111 × 76 with stride 3, to 113 × 78 and to the excerpt of 1 × 115 × 80."}}
figures.figure_inverter(svdlib.build_inverter("conv4", "aligned"))

# %% [markdown]
# Between the stages stand batch normalisation and ELU, as in the published inverters. For the dense layers, the last dense step leads to a small map of 11 × 7, the size that MP6 has; from there the way is mirrored. How wide each stage is, we chose by trial, and never so that the inverter has more parameters than the published one.
#
# Now the ruler again.

# %%
aligned_inverters = {
    layer: svdlib.pretrained("inverter", layer=layer, variant="aligned").to(
        device
    )
    for layer in svdlib.LAYERS
}
aligned_blind = {
    layer: blind_frames(detector, aligned_inverters[layer])
    for layer in map_layers
}

# %%
# NBVAL_CHECK_OUTPUT
for layer in svdlib.LAYERS:
    count = svdlib.count_parameters(aligned_inverters[layer])
    blind_now = (
        f"blind frames {len(blind[layer]):2} before, {len(aligned_blind[layer])} now"
        if layer in aligned_blind
        else ""
    )
    print(
        f"{layer_title(layer):5} parameters {ours[layer]:6} before, {count:6} now  {blind_now}"
    )

# %% tags=["hide-input"] figure="sight-aligned" mystnb={"image": {"alt": "Three panels for the aligned inverters of MP3, Conv4 and MP6. The band of frames that each frame of the inversion knows about runs along the diagonal, which lies within it from end to end. No frame is blind."}}
figures.figure_geometry(
    {
        layer: [
            receptive_field(detector, layer).frames_seen(cells)
            for cells in cells_read(aligned_inverters[layer])
        ]
        for layer in shown
    },
    {layer: aligned_blind[layer] for layer in shown},
)

# %% [markdown]
# The band follows the diagonal: each frame is painted from those cells that have seen it, and from no others. The same holds along frequency, with one exception that is the detector's own. Conv2 has 76 bands, pooling by 3 uses 75 of them, and so no cell of MP3 or deeper has seen the highest band of the excerpt. The
# aligned inverter paints it from the cells of its neighbour.
#
# ### Does it help?
#
# We trained both families alike: same songs, same excerpts in the same order, same loss, same number of updates. If geometry was the reason why the error grew to the right, it should not grow any more. The figure shows the error of each frame, for the excerpts from above.

# %%
from svdlib.evaluation import frame_errors
from svdlib.studies.reconstruction_error import slope

published_inverters = inverters | {
    layer: svdlib.pretrained("inverter", layer=layer).to(device)
    for layer in ("fc7", "fc8")
}
errors = {layer: {} for layer in svdlib.LAYERS}
nre = {layer: {} for layer in svdlib.LAYERS}
for family, members in {
    "published": published_inverters,
    "aligned": aligned_inverters,
}.items():
    for layer, x_hat in svdlib.reconstruct(detector, members, x).items():
        errors[layer][family] = frame_errors(x, x_hat).tolist()
        nre[layer][family] = svdlib.nre(x.cpu(), x_hat.cpu())

# %% tags=["hide-input"] figure="frame-errors" mystnb={"image": {"alt": "Eight panels, one per layer, with the squared error of each frame of an excerpt for published and aligned inverters. What the curves show is said in numbers in the table below."}}
figures.figure_frame_errors(errors)

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "layer": layer_title(layer),
            "error published": nre[layer]["published"],
            "error aligned": nre[layer]["aligned"],
            "lower by": 1 - nre[layer]["aligned"] / nre[layer]["published"],
            "growth published": slope(errors[layer]["published"]),
            "growth aligned": slope(errors[layer]["aligned"]),
        }
        for layer in svdlib.LAYERS
    ]
).style.format(
    {
        "error published": "{:.3f}",
        "error aligned": "{:.3f}",
        "lower by": "{:.0%}",
        "growth published": "{:+.0%}",
        "growth aligned": "{:+.0%}",
    }
).hide(axis="index")

# %% tags=["remove-input"]
better = [
    layer
    for layer in svdlib.LAYERS
    if nre[layer]["aligned"] < nre[layer]["published"]
]
growth = {
    family: sum(slope(errors[layer][family]) for layer in shown) / len(shown)
    for family in ("published", "aligned")
}
verdict = (
    "The geometry was indeed the reason."
    if growth["aligned"] < 0.05 < growth["published"]
    else "So the geometry cannot be the whole reason, or these excerpts are too few to tell."
)
display(
    Markdown(
        f"*Error* is the normalised reconstruction error (NRE), which the chapter on quantitative evaluation explains; *growth* is by how much the squared error of the last third of the frames exceeds that of the first third. "
        f"The aligned inverter has the smaller error at {len(better)} of {len(svdlib.LAYERS)} layers. From the first to the last third, the error of MP3, Conv4 and MP6 changes by "
        f"{growth['published']:+.0%} on average for the published family and by {growth['aligned']:+.0%} for the aligned one. {verdict} "
        "At the two edges, all curves rise: a frame there is seen by fewer cells than one in the middle."
    )
)

# %% [markdown]
# A smaller error does not mean that the layer has learned something in the meantime. The detector is the same, to the last weight. What the better inverter shows *was in the feature all along*, and the published one could not paint it. This is the most important lesson of this chapter: an inversion is a lower bound.
#
# ## Take-away
#
# - A feature fixes a *set* of excerpts. An inverter trained on squared error paints the average of that set, and the blur is part of the answer.
# - The eight inverters follow one plan: up-convolutions undo pooling, convolutions add capacity, trimming or padding makes the size fit.
# - Factors of 4 against 3 make pictures drift, so that up to 36 of 115 frames are painted blind. An ELU at the output forbids values below −1.
# - The mirror image of each step of the encoder gives an inverter that reads, for each cell, exactly what has seen it. It needs no more parameters.
# - An inversion shows what *this inverter* could recover. Absence in the picture is not proof of absence in the feature.
#
# ## Exercises
#
# **1. Where do the parameters sit?** Print the number of parameters of each stage of the Conv4 inverter. Which stage has most, and why?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# for name, stage in svdlib.build_inverter("conv4").stages.items():
#     print(name, svdlib.count_parameters(stage))
# ```
# Each of the three convolutions has 128 · 128 · 3 · 3 = 147456 weights and 4 · 128 = 512 values of batch normalisation. The number grows with the product of channels in and out, and no
# other inverter has 128 of them.
# :::
#
# **2. Your own encoder.** Derive the aligned inverter of a small encoder: a 5 × 5 convolution with 8 filters and padding 2, then a pooling of 2 × 4, on inputs of 1 × 115 × 80. What shape does its feature have, and what comes out of the inverter?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# from svdlib.inverters import FeatureInverter, aligned_spec
#
# encoder = [
#     torch.nn.Conv2d(1, 8, 5, padding=2),
#     torch.nn.ReLU(),
#     torch.nn.MaxPool2d((2, 4)),
# ]
# spec = aligned_spec("pooling", encoder, (1, 115, 80), widths=(16,))
# own = FeatureInverter(spec, variant="aligned")
# feature = torch.nn.Sequential(*encoder)(x[:2].cpu())
# print(tuple(feature.shape), "->", tuple(own(feature).shape))
# ```
# Pooling by 2 leaves the last of the 115 frames out: no cell has seen it, and the inverter repeats the frame before. A ReLU, unlike a leaky one, cannot be undone, since it maps all negative numbers to 0.
# :::
#
# **3. How many frames would be blind with a larger kernel?** Without training anything, find out how many frames of the MP3 inverter would be blind if it had four more convolutions.
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# from svdlib.inverters import PUBLISHED, FeatureInverter, InverterSpec, Stage
#
# more = tuple(Stage("Conv", 32) for _ in range(4))
# spec = InverterSpec("mp3", more + PUBLISHED["mp3"].stages)
# deeper = FeatureInverter(spec, variant="deeper")
# print(len(blind_frames(detector, deeper)))
# ```
# Each convolution lets the painter look one cell, that is 3 frames, further to both sides. With four more of them no frame is blind any longer, even the last one. It is a costly way to repair a wrong stride.
# :::
#
# ## Further reading
#
# - {cite:t}`mahendran2015` invert by search, and define the error measure that we use.
# - {cite:t}`dosovitskiy2016inverting` introduce inverters, and {cite:t}`dosovitskiy2016perceptual` the loss on features.
# - {cite:t}`dosovitskiy2015chairs` explain up-convolutions, with chairs.
