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
# # Inverters that fit
#
# **Can an inverter be derived from the very layers that it inverts?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - what a wrong output costs, before any training;
# - how to derive an inverter from the network that it inverts;
# - why an inversion is a lower bound of what a layer keeps.
#
# **Prerequisites:** {doc}`02_inverter_design`.
#
# **Minutes:** 13 to read, 45 for the exercises, about one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.compute.devices import choose_device
from svdlib.inversion.geometry import (
    blind_frames,
    cells_read,
    receptive_field,
)
from svdlib.inversion.inverters import (
    count_multiply_adds,
    count_parameters,
)
from svdlib.inversion.nre import reconstruct
from svdlib.lab.figures.diagrams import figure_geometry, figure_inverter
from svdlib.lab.figures.gallery import Gallery, Panel
from svdlib.lab.figures.nre import figure_frame_errors
from svdlib.lab.figures.style import layer_title
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 3, "laptop": 8, "full": None}[profile]
songs = svdlib.load_songs(svdlib.open_corpus(corpus).split("test")[:n_songs])
detector = svdlib.pretrained("detector").to(device)
bank = svdlib.ExcerptBank(
    songs, standardizer=detector.standardizer, device=device
)
inverters = {
    family: {
        layer: inverter.to(device)
        for layer, inverter in svdlib.pretrained_inverters(family).items()
    }
    for family in ("published", "aligned")
}
generator = torch.Generator().manual_seed(seed)
chosen = torch.randperm(len(bank), generator=generator)[:64].to(device)
x = bank.gather(chosen)  # standardised excerpts (64, 1, 115, 80)

map_layers = [layer for layer in svdlib.LAYERS if not layer.startswith("fc")]
blind, aligned_blind = (
    {
        layer: blind_frames(detector, inverters[family][layer])
        for layer in map_layers
    }
    for family in ("published", "aligned")
)
frames_known = {
    layer: [
        receptive_field(detector, layer).frames_seen(cells) if cells else None
        for cells in cells_read(inverters["published"][layer])
    ]
    for layer in map_layers
}

# %% [markdown]
# One excerpt, and what two inverters make of its feature of MP3. The published one is that of the paper. The aligned one has fewer parameters, and this chapter derives it. Look at the right half, where the published one drifts away; look at what is darkest; and listen.

# %% tags=["hide-input"]
scale = detector.standardizer
with torch.no_grad():
    sung = x[detector(x)[:, 0].argmax()][None]
panels = {"Original": sung} | {
    f"MP3, {family}": reconstruct(detector, {"mp3": members["mp3"]}, sung)[
        "mp3"
    ]
    for family, members in inverters.items()
}
Gallery(
    [
        Panel(
            title,
            scale.inverse(picture[0, 0]).cpu(),
            standardised=picture[0, 0].cpu(),
        )
        for title, picture in panels.items()
    ]
)

# %% [markdown]
# Both learned from the same songs; how their trainings differ is said below. What is wrong with the first, and can it be put right without a single guess?
#
# ## A floor under every value
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

# %% tags=["hide-input"]
damage = (x - best_possible).flatten(1).norm(dim=1)
victim = x[damage.argmax(), 0]

# %% tags=["hide-input"]
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

# %% tags=["nbval-check-output"]
from svdlib.inversion.mirror import encoder_steps

up_to_conv4 = list(detector.layers.values())[:4]
for step in encoder_steps(up_to_conv4, (1, 115, 80)):
    print(
        f"{step.before} -> {step.after}: kernel {step.kernel}, stride {step.stride}"
    )

# %% [markdown]
# Backwards, this is the aligned inverter of Conv4. Compare it with the published one above: nothing is trimmed, since the sizes are those of the detector.

# %% tags=["hide-input"] figure="inverter-conv4-aligned" mystnb={"image": {"alt": "Diagram of the aligned Conv4 inverter: the feature of 128 × 35 × 23, then four up-convolutions with kernel 3 × 3 that lead to 37 × 25, to 111 × 76 with stride 3, to 113 × 78 and to the excerpt of 1 × 115 × 80."}}
figure_inverter(svdlib.build_inverter("conv4", "aligned"))

# %% [markdown]
# Between the stages stand batch normalisation and ELU, as in the published inverters. For the dense layers, the last dense step leads to a small map of 11 × 7, the size that MP6 has; from there the way is mirrored. How wide each stage is, we chose by trial, and never so that the inverter has more parameters than the published one.
#
# Now the ruler again.

# %% tags=["nbval-check-output", "hide-input"]
blind_frames_of = {"published": blind, "aligned": aligned_blind}
rows = []
for layer in svdlib.LAYERS:
    row = {"layer": layer_title(layer)}
    for family, of_layers in inverters.items():
        count = count_multiply_adds(of_layers[layer], detector.shapes[layer])
        row[f"parameters, {family}"] = count_parameters(of_layers[layer])
        row[f"million multiply-adds, {family}"] = round(count / 1e6)
        row[f"blind frames, {family}"] = len(
            blind_frames_of[family].get(layer, ())
        )
    rows.append(row)
pd.DataFrame(rows).set_index("layer").rename_axis(None).sort_index(
    axis=1, ascending=False
)

# %% [markdown]
# Fewer parameters do not mean less work. An aligned inverter applies its weights at every cell of larger maps: for MP6 it takes eight times as many multiplications, for MP3 nearly four times, for Conv1 far fewer. Nor was their training quite the same. Both families learned on the same songs, from one seed, and up to Conv5 for as many updates. But the published ones minimise the paper's joint loss, the aligned ones a balanced one, and those of MP6, FC7 and FC8 learned for longer ({doc}`04d_round_trip`). Only the aligned family was tuned by us.

# %% tags=["hide-input"] figure="sight-aligned" mystnb={"image": {"alt": "Three panels for the aligned inverters of MP3, Conv4 and MP6. The band of frames that each frame of the inversion knows about runs along the diagonal, which lies within it from end to end. No frame is blind."}}
shown = ("mp3", "conv4", "mp6")
figure_geometry(
    {
        layer: [
            receptive_field(detector, layer).frames_seen(cells)
            for cells in cells_read(inverters["aligned"][layer])
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
# If geometry was the reason why the error grew to the right, it should not grow any more. The figure shows the error of each frame, for the excerpts from above.

# %% tags=["hide-input"]
from svdlib.lab.analysis.error_maps import frame_errors
from svdlib.lab.studies.reconstruction_error import slope

errors = {layer: {} for layer in svdlib.LAYERS}
nre = {layer: {} for layer in svdlib.LAYERS}
for family, members in inverters.items():
    for layer, x_hat in reconstruct(detector, members, x).items():
        errors[layer][family] = frame_errors(x, x_hat).tolist()
        nre[layer][family] = svdlib.nre(x.cpu(), x_hat.cpu())

# %% tags=["hide-input"] figure="frame-errors" mystnb={"image": {"alt": "Eight panels, one per layer, with the squared error of each frame of an excerpt for published and aligned inverters. What the curves show is said in numbers in the table below."}}
figure_frame_errors(errors)

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
        "growth published": "{:+z.0%}",
        "growth aligned": "{:+z.0%}",
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
        f"{growth['published']:+z.0%} on average for the published family and by {growth['aligned']:+z.0%} for the aligned one. {verdict} "
        "At the two edges, all curves rise: a frame there is seen by fewer cells than one in the middle."
    )
)

# %% [markdown]
# A smaller error does not mean that the layer has learned something in the meantime. The detector is the same, to the last weight. What the better inverter shows *was in the feature all along*, and the published one could not paint it. This is the most important lesson of this chapter: an inversion is a lower bound.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "On the same detector, the aligned inverter of Conv4 has a smaller error than the published one. What follows?",
        [
            Answer(
                "That Conv4 holds more than the published inverter shows.",
                "What the better one paints came from the feature, so it was there. An inversion is a lower bound.",
                right=True,
            ),
            Answer(
                "That the aligned inverter shows all that Conv4 holds.",
                "A still better one may come. No trained inverter can prove that nothing more is there.",
            ),
            Answer(
                "That the aligned inverter adds what Conv4 has lost.",
                "Squared error on new songs does not reward invention: details that are made up are wrong more often than right.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - An ELU at the output forbids values below −1.
# - The mirror image of each step of the encoder gives an inverter that reads, for each cell, exactly what has seen it. It needs no more parameters.
# - An inversion shows what *this inverter* could recover. Absence in the picture is not proof of absence in the feature.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-blind)=
# ### Exercise 1: Which frames are blind?
#
# *Medium, 20 minutes.*
#
# Write `find_blind(known)`. It gets, for each frame of an inversion in order, which frames of the original the painter knows about: a pair (first, last), both included, or `None` if it reads nothing. It returns the list of blind frames. Then ask: would the MP3 inverter still have blind frames if it had four more convolutions?
#
# :::{dropdown} First hint
# Frame number *n* of the inversion should show frame *n* of the original. So ask whether *n* is among the frames that its painter knows.
# :::
#
# :::{dropdown} Second hint
# Go through `known` with `enumerate`. A frame is blind if its entry is `None`, or if its number lies outside of the pair.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_find_blind(find_blind):
    cases = [
        ([(0, 1), (0, 1), (1, 2)], [], "both ends are included"),
        ([(0, 0), (0, 0), (0, 1)], [1, 2], "known too early"),
        ([(1, 3), (1, 3), (2, 3)], [0], "known too late"),
        ([None, (1, 1), None], [0, 2], "frames that read nothing"),
        ([], [], "no frames"),
    ]
    for known, expected, what in cases:
        got = [int(frame) for frame in find_blind(known)]
        assert got == expected, (
            f"{what[0].upper()}{what[1:]}: for {known} the frames {expected} are blind, not {got}."
        )
    for layer in map_layers:
        got = [int(frame) for frame in find_blind(frames_known[layer])]
        assert got == blind[layer], (
            f"For {layer_title(layer)}, {len(blind[layer])} frames are blind; you have {len(got)}."
        )
    return "It agrees with the geometry of all six layers."


# %% tags=["exercise"]
def find_blind(known):
    """Frames of the inversion whose painter has not seen them."""
    ...


check_find_blind(find_blind)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def find_blind(known):
    return [
        frame
        for frame, span in enumerate(known)
        if span is None or not span[0] <= frame <= span[1]
    ]


from dataclasses import replace

from svdlib.inversion.inverters import FeatureInverter, Stage
from svdlib.paper.inverters import PUBLISHED

display(check_find_blind(find_blind))
more = tuple(Stage("Conv", 32) for _ in range(4))
spec = replace(PUBLISHED["mp3"], stages=more + PUBLISHED["mp3"].stages)
deeper = FeatureInverter(spec, variant="deeper")
field = receptive_field(detector, "mp3")
known = [
    field.frames_seen(cells) if cells else None
    for cells in cells_read(deeper)
]
print(
    f"blind with four more convolutions: {len(find_blind(known))} of 115, before: {len(blind['mp3'])}"
)
display(
    Markdown(
        "Each convolution lets the painter look one cell, that is 3 frames, further to both sides. It is a costly way to repair a wrong stride."
    )
)

# %% [markdown]
# (exercise-own-encoder)=
# ### Exercise 2: Turn another network round
#
# *Hard, 25 minutes.*
#
# Here is another encoder, on excerpts of 1 × 115 × 80: a 5 × 5 convolution with 8 filters and padding 2, a ReLU, and a pooling of 2 × 4. Make `own`, an inverter for its feature in which every cell is painted only where it has seen something. `svdlib.inversion.inverters` has `aligned_spec` and `FeatureInverter`; look at their documentation with `help`. A network built by hand is as good.
#
# :::{dropdown} First hint
# `aligned_spec` wants a name, the list of layers, the shape of one input and the widths. What is one input here?
# :::
#
# :::{dropdown} Second hint
# The shape is `(1, 115, 80)`. One width, such as 16, will do, and `FeatureInverter` makes a network of the result.
# :::

# %%
encoder = [
    torch.nn.Conv2d(1, 8, 5, padding=2),
    torch.nn.ReLU(),
    torch.nn.MaxPool2d((2, 4)),
]


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
@torch.no_grad()
def check_own(own):
    assert isinstance(own, torch.nn.Module), (
        f"A network is asked for, a torch.nn.Module; {type(own).__name__} is none."
    )
    own = own.cpu().eval()
    generator = torch.Generator().manual_seed(0)
    shape = torch.nn.Sequential(*encoder)(torch.zeros(1, 1, 115, 80)).shape
    feature = torch.randn(shape, generator=generator).abs()
    before = own(feature)
    assert before.shape == (1, 1, 115, 80), (
        f"A feature {tuple(shape)} should give (1, 1, 115, 80), not {tuple(before.shape)}."
    )
    low = min(own(scale * feature).min().item() for scale in (1, 100, -100))
    assert low < -1.5, "The output cannot go below −1: it must be linear."
    for row, column in ((0, 0), (20, 10), (40, 19)):
        changed = feature.clone()
        changed[:, :, row, column] += 1
        touched = (own(changed) - before).abs()[0, 0] > 1e-9
        frames, bands = (
            touched.any(dim=1).nonzero(),
            touched.any(dim=0).nonzero(),
        )
        assert len(frames), f"Nothing is painted from cell ({row}, {column})."
        for name, found, first, last in (
            ("frames", frames, 2 * row - 2, 2 * row + 3),
            ("bands", bands, 4 * column - 2, 4 * column + 5),
        ):
            assert found.min() >= first and found.max() <= last, (
                f"Cell ({row}, {column}) has seen the {name} {max(first, 0)} to {last}, and it is painted into {int(found.min())} to {int(found.max())}."
            )
    return "Nothing is painted where it was not seen."


# %% tags=["exercise"]
own = ...

check_own(own)

# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
from svdlib.inversion.inverters import aligned_spec

torch.manual_seed(seed)
spec = aligned_spec("pooling", encoder, (1, 115, 80), widths=(16,))
own = FeatureInverter(spec, variant="aligned")
display(check_own(own))
feature = torch.nn.Sequential(*encoder)(x[:2].cpu())
print(tuple(feature.shape), "->", tuple(own(feature).shape))
display(
    Markdown(
        "Pooling by 2 leaves the last of the 115 frames out: no cell has seen it, and the inverter repeats the frame before. A ReLU, unlike a leaky one, cannot be undone, since it maps all negative numbers to 0."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`dosovitskiy2016inverting` introduce inverters; the mirrored design here is our own.
