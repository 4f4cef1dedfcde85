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
# **What must a network look like that runs a layer backwards?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - why a feature is inverted by a second network, and what that network learns;
# - how the eight inverters of the paper are built, and why they differ;
# - how to read from an architecture, before any training, what it can *not* paint.
#
# **Prerequisites:** {doc}`01_model`; what a loss and gradient descent are.
#
# **Minutes:** 18 to read, 50 for the exercises, about one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from math import prod

import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.compute.devices import choose_device
from svdlib.detector.model import LAYER_SHAPES
from svdlib.inversion.inverters import count_parameters
from svdlib.inversion.nre import reconstruct
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.lab.figures.diagrams import (
    figure_geometry,
    figure_inverter,
    figure_method,
    table_inverters,
    table_stages,
)
from svdlib.lab.figures.gallery import Gallery, inversion_panels
from svdlib.lab.figures.style import layer_title
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 3, "laptop": 8, "full": None}[profile]

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show how the excerpts are inverted"}
collection = svdlib.open_corpus(corpus)
songs = svdlib.load_songs(collection.split("test")[:n_songs])
detector = svdlib.pretrained("detector").to(device)
bank = svdlib.ExcerptBank(
    songs, standardizer=detector.standardizer, device=device
)
generator = torch.Generator().manual_seed(seed)
chosen = torch.randperm(len(bank), generator=generator)[:64].to(device)
x = bank.gather(chosen)  # standardised excerpts (64, 1, 115, 80)
first_sung = int(bank.labels(chosen).int().argmax())
few = {
    layer: svdlib.pretrained("inverter", layer=layer, variant="aligned").to(
        device
    )
    for layer in ("mp3", "conv5", "fc8")
}
painted = reconstruct(detector, few, x[[first_sung]])
Gallery(
    inversion_panels(
        detector.standardizer,
        x[first_sung, 0],
        {layer: x_hat[0, 0] for layer, x_hat in painted.items()},
        "An excerpt",
        {
            layer: f"Painted from {prod(LAYER_SHAPES[layer]):,} numbers."
            for layer in few
        },
    )
)

# %% tags=["remove-input"]
if missing := one_class(collection.split("test")[:n_songs]):
    display(Markdown(missing))

# %% [markdown]
# The first picture is an excerpt of a test song. A network painted each of the others, and all it saw was what one layer of the detector made of that excerpt. Listen to what goes: the deeper the layer, the less it can tell the painter. This chapter
# builds such networks, those of the paper first. The ones that painted here are our own; {doc}`02b_aligned_inverters` derives them.
#
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
# \Psi_{feature} = \lVert \Theta(\mathbf{x}) - \Theta(\hat{\mathbf{x}}_L) \rVert^2, \\
# \hat{\mathbf{x}}_L = G_L(\Phi_L(\mathbf{x})).
# $$
#
# The inverter is trained on the sum of both, plus a small penalty on large weights (equations 2 and 3 of the paper). The comparator is the detector itself, up to Conv5.

# %% tags=["hide-input"] figure="method" mystnb={"image": {"alt": "Block diagram. An excerpt x goes through the detector up to layer L, giving a feature; the feature inverter turns it into an inversion. Excerpt and inversion are compared directly and, after the comparator, as features. Only the inverter learns."}}
figure_method()

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

# %% tags=["nbval-check-output"]
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

# %% tags=["nbval-check-output", "hide-input"]
fc7_inverter = svdlib.build_inverter("fc7")
for row in table_stages(fc7_inverter):
    print(
        f"{row['Layer']:15} {row['Input shape']:>14}  {row['Units']:>4}  "
        f"{row['Output shape']:>14}"
    )

# %% [markdown]
# ## From a map: Conv4
#
# Conv4 still has axes: 35 steps in time and 23 in frequency, a third of the excerpt's because of the pooling before it. Two up-convolutions make it four times as large. Figure 3 of the paper shows this inverter; again we draw the real one.

# %% tags=["hide-input"] figure="inverter-conv4" mystnb={"image": {"alt": "Diagram of the Conv4 inverter: the feature of 128 × 35 × 23, three convolutions of the same size, an up-convolution to 64 × 70 × 46, another to 1 × 140 × 92, then trimming to 1 × 115 × 80."}}
figure_inverter(svdlib.build_inverter("conv4"))

# %% [markdown]
# Look at the last two rows. The network paints 140 × 92 and throws away the right and the upper edge. Keep this in mind, we come back to it.
#
# ## All eight
#
# Table 2 of the paper lists the inverters of all layers, with the number of their layers and of convolutions. We add the number of parameters.

# %% tags=["nbval-check-output", "hide-input"]
for row in table_inverters():
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

# %% tags=["nbval-check-output", "hide-input"]
released = {
    "fc8": 131201, "fc7": 176001, "mp6": 80484, "conv5": 144772,
    "conv4": 576260, "mp3": 45892, "conv2": 28324, "conv1": 37700,
}  # fmt: skip
ours = {
    layer: count_parameters(svdlib.build_inverter(layer))
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
from svdlib.inversion.geometry import (
    blind_frames,
    cells_read,
    receptive_field,
)

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

# %% tags=["nbval-check-output", "hide-input"]
for layer in map_layers:
    where = (
        f", the first at {blind[layer][0]}, the last at {blind[layer][-1]}"
        if blind[layer]
        else ""
    )
    print(f"{layer:6} {len(blind[layer]):3} of 115 frames are blind{where}")

# %% tags=["hide-input"] figure="sight-published" mystnb={"image": {"alt": "Three panels for MP3, Conv4 and MP6. A band shows which frames of the original each frame of the inversion knows about; its slope is flatter than the diagonal, so that the diagonal leaves the band at the right, where the frames are blind."}}
shown = ("mp3", "conv4", "mp6")
figure_geometry(
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

# %% tags=["hide-input"]
inverters = {
    layer: svdlib.pretrained("inverter", layer=layer).to(device)
    for layer in map_layers
}
inversions = reconstruct(detector, inverters, x)

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
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "An inversion from a deep layer is blurred, though its inverter was trained for long. What does the blur show?",
        [
            Answer(
                "How much the excerpts differ that the inverter cannot tell apart.",
                "Its best guess is their average. Where they agree it is sharp, where they differ it is blurred.",
                right=True,
            ),
            Answer(
                "That the inverter has too few weights for a sharp picture.",
                "It may be so, but blur alone does not show it. The largest network paints an average, too, if the feature does not say more.",
            ),
            Answer(
                "How much noise the detector's layers have added to the excerpt.",
                "The layers add none: the same excerpt always gives the same feature. They make different excerpts alike.",
            ),
        ],
    ),
    Question(
        "A frame near the right edge is blind in the published inverter of MP3. What will be painted there?",
        [
            Answer(
                "A guess from cells that have seen other frames.",
                "Music repeats, so the guess may even be good. But it cannot follow what happens in this very frame.",
                right=True,
            ),
            Answer(
                "The average level of each band, in every excerpt.",
                "That would be painted if no cell at all were read. These frames do read cells, only not those that have seen them.",
            ),
            Answer(
                "The right frame, as the neighbours' cells overlap with it.",
                "Overlap is counted already: blind means that no cell that is read has seen the frame, however far the windows reach.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A feature fixes a *set* of excerpts. An inverter trained on squared error paints the average of that set, and the blur is part of the answer.
# - The eight inverters follow one plan: up-convolutions undo pooling, convolutions add capacity, trimming or padding makes the size fit.
# - Factors of 4 against 3 make pictures drift, so that up to 36 of 115 frames are painted blind.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-grown)=
# ### Exercise 1: How long does it grow?
#
# *Easy, 10 minutes.*
#
# Write `grown(length, kernel, stride, padding)`: the length that a transposed convolution makes of `length` cells. It puts a window of `kernel` cells at every `stride`-th place, one for each cell of its input, adds up where they overlap, and removes `padding` cells at either end. Then follow Conv4's 35 cells through the published inverter.
#
# :::{dropdown} First hint
# Where does the window of the last cell begin, if the first begins at 0? And where does it end?
# :::
#
# :::{dropdown} Second hint
# The last of `length` windows begins at `(length - 1) * stride`, and reaches `kernel` cells further. Both ends lose `padding`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_grown(grown):
    for kernel, stride, padding in (
        (8, 5, 1),
        (4, 2, 1),
        (3, 1, 0),
        (3, 3, 0),
        (5, 4, 2),
    ):
        layer = torch.nn.ConvTranspose1d(1, 1, kernel, stride, padding)
        for length in (2, 7, 35):
            expected = layer(torch.zeros(1, 1, length)).shape[2]
            got = grown(length, kernel, stride, padding)
            unpadded, strides = expected + 2 * padding, length * stride
            wrongly = {
                expected + stride: "One cell makes one window, not more.",
                expected + padding: "Both ends lose the padding.",
                unpadded: "Is the padding removed from both ends?",
                strides: "The last window reaches further than one stride.",
            }
            assert got == expected, (
                f"{length} cells, a kernel of {kernel}, a stride of {stride} and a padding of {padding} give {expected} cells, not {got}. {wrongly.get(got, '')}"
            )


# %% tags=["exercise"]
def grown(length, kernel, stride, padding):
    """Length after a transposed convolution."""
    ...


check_grown(grown)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def grown(length, kernel, stride, padding):
    return (length - 1) * stride + kernel - 2 * padding


display(check_grown(grown))
once = grown(35, 4, 2, 1)
twice = grown(once, 4, 2, 1)
print(f"35 -> {once} -> {twice}; {twice - 115} frames are trimmed")

# %% [markdown]
# (exercise-best-guess)=
# ### Exercise 2: The best guess
#
# *Easy, 10 minutes.*
#
# A feature leaves several excerpts possible. Write `best_guess(pictures)`: of all pictures that one could paint, the one with the smallest mean squared distance to `pictures`, a tensor `(n, 115, 80)`. How large is its squared error, compared with that of guessing one of the `n` pictures at random?
#
# :::{dropdown} First hint
# Take one cell alone. Which single number is nearest, in squares, to several numbers?
# :::
#
# :::{dropdown} Second hint
# Set the derivative of the sum of squares to 0, for one cell: the answer is one that you have known since school. Each cell is on its own.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_best_guess(best_guess):
    generator = torch.Generator().manual_seed(0)
    pictures = torch.randn(7, 115, 80, generator=generator) ** 3

    def errors(guess):
        return ((pictures.double() - guess) ** 2).mean(dim=0)

    guess = torch.as_tensor(best_guess(pictures.clone())).detach().cpu()
    assert guess.shape == (115, 80), (
        f"One picture (115, 80) is asked for, not {tuple(guess.shape)}."
    )
    guess, hint = guess.double(), ""
    if torch.allclose(guess, pictures.median(dim=0).values.double()):
        hint = " The median has the smallest absolute distance, not the smallest squared one."
    if any(torch.equal(guess, picture.double()) for picture in pictures):
        hint = " The best guess need not be one of the pictures."
    beside = torch.minimum(errors(guess + 0.02), errors(guess - 0.02))
    pays = int((beside < errors(guess)).sum())
    assert not pays, (
        f"In {pays} of 9200 cells, a value that is 0.02 higher or lower has a smaller error than yours.{hint}"
    )


# %% tags=["exercise"]
def best_guess(pictures):
    """The picture (115, 80) with the smallest mean squared distance."""
    ...


check_best_guess(best_guess)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def best_guess(pictures):
    return pictures.mean(dim=0)


display(check_best_guess(best_guess))
pictures = x[:, 0]
of_guess = ((pictures - best_guess(pictures)) ** 2).mean().item()
of_random = ((pictures[:, None] - pictures[None]) ** 2).mean().item()
print(f"squared error of the best guess {of_guess:.3f}")
print(f"of one of the pictures at random {of_random:.3f}")
print(f"root of their ratio {(of_guess / of_random) ** 0.5:.3f}")
display(
    Markdown(
        "The root of the ratio is 0.707, one over the root of two, for any pictures. You will meet it again as the score of a network that knows nothing."
    )
)

# %% [markdown]
# (exercise-stored-values)=
# ### Exercise 3: Where do the numbers sit?
#
# *Easy, 15 minutes.*
#
# A stage of an inverter is a convolution without a bias, followed by batch normalisation. For each of its outputs the latter stores a scale, a shift, and the running averages of mean and variance. Write `stored_values(channels, filters, size)`: how many numbers a stage stores that makes `filters` maps from `channels` maps with windows of `size` × `size`. Which stage of the Conv4 inverter has most?
#
# :::{dropdown} First hint
# Count the two parts on their own: the convolution has no bias; the normalisation stores the same few numbers for each of its maps.
# :::
#
# :::{dropdown} Second hint
# For each filter, the convolution has `size` times `size` numbers for every channel. The normalisation has four for each filter.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_stored_values(stored_values):
    for channels, filters, size in ((128, 128, 3), (3, 5, 4), (1, 1, 1)):
        modules = torch.nn.Sequential(
            torch.nn.Conv2d(channels, filters, size, bias=False),
            torch.nn.BatchNorm2d(filters),
        )
        state = modules.state_dict().values()
        expected = sum(part.numel() for part in state if part.ndim)
        got = stored_values(channels, filters, size)
        hint = ""
        if got == expected - 2 * filters:
            hint = " The two running averages are stored, too."
        if got == expected - 4 * filters:
            hint = " Batch normalisation stores numbers, too."
        if got == expected + filters:
            hint = " The convolution has no bias."
        if got == expected + 4 * (channels - filters):
            hint = " Batch normalisation has four numbers for each output."
        assert got == expected, (
            f"{filters} filters of {size} × {size} over {channels} maps store {expected} numbers, not {got}.{hint}"
        )


# %% tags=["exercise"]
def stored_values(channels, filters, size):
    """Numbers that a convolution and its batch normalisation store."""
    ...


check_stored_values(stored_values)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def stored_values(channels, filters, size):
    return channels * filters * size**2 + 4 * filters


display(check_stored_values(stored_values))
for name, stage in svdlib.build_inverter("conv4").stages.items():
    print(f"{name:8} {count_parameters(stage):7}")
print("a convolution from 128 to 128:", stored_values(128, 128, 3))

# %% [markdown]
# (exercise-drift)=
# ### Exercise 4: How far does it drift?
#
# *Medium, 15 minutes.*
#
# Below a feature, `shrink` frames go into one cell: cell *i* begins at frame `shrink` · *i*. The inverter grows each cell into `grow` frames: what is painted from cell *i* begins at frame `grow` · *i*. Write `drift(frame, shrink, grow)`: by how many frames too late the cell is painted that holds the frame `frame`. And write `last_kept(shrink, grow, length)`: the last whole cell that is left when the inversion is trimmed to `length` frames.
#
# :::{dropdown} First hint
# First find the cell that holds the frame. Then compare where this cell begins in the original with where it begins in the inversion.
# :::
#
# :::{dropdown} Second hint
# The cell has the number `frame // shrink`. For the last one: cell *i* ends before `grow * (i + 1)`, and cells count from 0.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_drift(drift, last_kept):
    for shrink, grow in ((3, 4), (9, 16), (3, 3), (4, 2)):
        for frame in (0, 2, 57, 114):
            cell = next(
                i
                for i in range(115)
                if frame in range(shrink * i, shrink * (i + 1))
            )
            expected = grow * cell - shrink * cell
            got = drift(frame, shrink, grow)
            hint = ""
            if got != int(got):
                hint = (
                    " Only whole cells are moved: which one holds the frame?"
                )
            elif got == grow * cell - frame:
                hint = f" Compare where the cell is painted with where it began, frame {shrink * cell}."
            elif got == -expected:
                hint = " Too late means a later frame in the inversion."
            assert got == expected, (
                f"{shrink} frames to a cell, {grow} frames from it: frame {frame} is in cell {cell}, which is painted {expected} frames too late, not {got:g}.{hint}"
            )
        for length in (115, 144, 50):
            whole = [i for i in range(999) if grow * (i + 1) <= length]
            got = last_kept(shrink, grow, length)
            hint = ""
            if got == whole[-1] + 1:
                hint = " Cells are counted from 0, and one that is cut does not count."
            elif got == whole[-1] - 1:
                hint = " A cell that ends with the last frame is whole."
            assert got == whole[-1], (
                f"When each cell becomes {grow} frames, the last whole one within {length} frames is cell {whole[-1]}, not {got}.{hint}"
            )


# %% tags=["exercise"]
def drift(frame, shrink, grow):
    """Frames by which the cell that holds `frame` is painted too late."""
    ...


def last_kept(shrink, grow, length):
    """The last cell that is painted whole within `length` frames."""
    ...


check_drift(drift, last_kept)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def drift(frame, shrink, grow):
    return (grow - shrink) * (frame // shrink)


def last_kept(shrink, grow, length):
    return length // grow - 1


display(check_drift(drift, last_kept))
for name, shrink, grow, n_cells in (("MP3", 3, 4, 37), ("MP6", 9, 16, 11)):
    last = last_kept(shrink, grow, 115)
    print(
        f"{name}: frame 80 is painted {drift(80, shrink, grow)} frames too late; of {n_cells} cells, {n_cells - 1 - last} are trimmed away or cut"
    )

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mahendran2015` invert by search, and divide errors of features by a typical distance.
# - {cite:t}`dosovitskiy2016inverting` introduce inverters, and {cite:t}`dosovitskiy2016perceptual` the loss on features.
# - {cite:t}`dosovitskiy2015chairs` explain up-convolutions, with chairs.
