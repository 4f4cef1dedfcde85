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
# # Layer, inverter, code
#
# **How much of an error is the layer's, how much the inverter's, how much that of a line of code?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - what a score says about the inverter instead of the layer;
# - where in an excerpt the error lies, along time and along frequency;
# - which four details of the released code matter, and why their prices are not known.
#
# **Prerequisites:** {doc}`04_quantitative_nre`; {doc}`04b_comparing_layers` helps.
#
# **Minutes:** 14 to read, 30 for the exercises, less than one to run.
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
from svdlib.audio.mel_axis import band_frequencies
from svdlib.compute.devices import choose_device
from svdlib.inversion.nre import (
    EvaluationPlan,
    mean_excerpt,
    reconstruct,
)
from svdlib.lab.figures.gallery import Gallery, Panel
from svdlib.lab.figures.nre import (
    figure_band_errors,
    figure_frame_errors,
    figure_nre,
)
from svdlib.lab.figures.style import layer_title
from svdlib.lab.studies import (
    FAMILIES,
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
plan = EvaluationPlan(sets=n_sets, per_song=8, seed=seed)


def inverters_of(family):
    return {
        layer: inverter.to(device)
        for layer, inverter in svdlib.pretrained_inverters(family).items()
    }


test_songs = svdlib.load_songs(collection.split("test")[:n_test])
test = bank_of(test_songs, detector, device)

# %% tags=["hide-input"]
stored = load_results("reconstruction_error")
sources = {
    f"{label_of(name)} ({each['songs']})": each
    for name, each in (stored["corpora"] if stored else {}).items()
}
if not sources or not corpus.startswith("synthetic"):
    # Other songs than those of the study are measured here.
    train_songs = svdlib.load_songs(collection.split("train")[:n_train])
    own = reconstruction_error.measure(
        detector,
        {family: inverters_of(family) for family in FAMILIES},
        test,
        mean_excerpt(bank_of(train_songs, detector, device)),
        plan,
    )
    sources = {f"your test songs ({own['songs']})": own} | sources
first_name, first = next(iter(sources.items()))

# %% [markdown]
# A score belongs to a layer *and* to the inverter that earned it. These two families of inverters were given the same features of the same excerpts, in the study of {doc}`04_quantitative_nre`:

# %% tags=["hide-input"] figure="nre-families" mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers, from Conv1 to FC8, for published and for aligned inverters on the same test songs, with 95 percent intervals and the mean predictor as a dashed line. The table below holds the change."}}
figure_nre(
    {
        f"{family} inverters": reconstruction_error.nre_of(first, family)
        for family in FAMILIES
    },
    {"published inverters": first["mean_predictor"]["nre"]},
)

# %% [markdown]
# ## What the number hides
#
# Every published inverter has an ELU at its output, so that nothing below −1 can be painted ({doc}`02b_aligned_inverters`). Even a perfect inverter with such an output has an error: that of the original, clamped at −1. How much of our scores is this floor?

# %%
x = test.gather(test.spread(128))  # excerpts of the test songs
floor = first["floor"]["nre"]
print(f"these excerpts: {svdlib.nre(x, x.clamp(min=-1)):.3f}")
print(f"{first_name}: {floor:.3f}")

# %% tags=["remove-input"]
value, aligned_value = (
    {
        layer: by_family[family]["nre"]
        for layer, by_family in first["layers"].items()
    }
    for family in FAMILIES
)
shallow = svdlib.LAYERS[0]
display(
    Markdown(
        f"On *{first_name}* the floor is {100 * floor / value[shallow]:.0f} % of the NRE of {layer_title(shallow)} and {100 * floor / value['fc8']:.0f} % of that of FC8. "
        "The shallower the layer, the more its score says about the inverter's output, and the less about the layer."
    )
)

# %% [markdown]
# ## The same layers, other inverters
#
# How much of a score belongs to the inverter? The aligned ones mirror the detector's own steps and have a linear output. They have no more parameters than the published ones; what else differs, in work and in training, is in {doc}`02b_aligned_inverters`.

# %% tags=["hide-input"]
changes = {
    source: reconstruction_error.family_changes(each)
    for source, each in sources.items()
}
pd.DataFrame(
    {
        source: {layer_title(k): f"{found:+z.0%}" for k, found in of.items()}
        for source, of in changes.items()
    }
)

# %% tags=["remove-input"]
still = [
    (a, b)
    for a, b in zip(svdlib.LAYERS, svdlib.LAYERS[1:], strict=False)
    if aligned_value[b] < aligned_value[a]
]
falls = ", ".join(f"{layer_title(a)} to {layer_title(b)}" for a, b in still)
text = "The table shows the change of the NRE from published to aligned inverters, the distance between the curves of the first figure, paired over songs. "
text += (
    f"On *{first_name}*, the error of the aligned inverters grows with every layer, as it must when no inverter is held back by its own design. "
    if not still
    else f"On *{first_name}*, the error of the aligned inverters falls from {falls}: there, other things than the layer still decide. "
)
inside = {
    layer: by_family["aligned"]["interior"]["nre"]
    for layer, by_family in first["layers"].items()
}
grows = all(np.diff(list(inside.values())) > 0)
if ("conv1", "conv2") in still:
    text += (
        "For Conv1 it is the border. Its features have seen the zeros around the excerpt, and 577 weights that are the same everywhere cannot know where the excerpt ends. "
        f"Without the {reconstruction_error.BORDER} outermost cells on each side, the NRE of Conv1 is {inside['conv1']:.3f}, of Conv2 {inside['conv2']:.3f} and of MP3 {inside['mp3']:.3f}. "
        + ("There the error grows with every layer. " if grows else "")
    )
display(Markdown(text))

# %% [markdown]
# What changed is only the inverter. So the part of an error that a better inverter can remove was never a statement about the layer. We cannot know how much of what remains is one. Therefore read every NRE, the paper's and ours, as an upper limit: the layer has kept *at least* this much.
#
# ## Where is the error?
#
# NRE adds up all frames and bands of an excerpt. We take it apart, first along time. As in {doc}`02b_aligned_inverters`, the squared error of each frame is divided by the mean square of the originals in that frame: 1 is as bad as painting the average level of each band.

# %% tags=["hide-input"] figure="frame-errors-families" mystnb={"image": {"alt": "Eight panels, one per layer, with the squared error of each of the 115 frames of an excerpt for published and aligned inverters, on the first corpus of the study. The table below says in numbers how the curves rise to the right."}}
figure_frame_errors(
    {
        layer: {
            family: found["frame_errors"]
            for family, found in by_family.items()
        }
        for layer, by_family in first["layers"].items()
    }
)

# %% tags=["hide-input"]
drifting = ("mp3", "conv4", "mp6")


def growth(each, family):
    """Mean growth of the squared error from first to last third."""
    return np.mean(
        [
            reconstruction_error.slope(
                each["layers"][layer][family]["frame_errors"]
            )
            for layer in drifting
        ]
    )


def edge(each, family, along="frame_errors"):
    """Outer two cells of either side against the middle third."""
    ratios = []
    for by_family in each["layers"].values():
        errors = np.array(by_family[family][along])
        third = len(errors) // 3
        outer = errors[[0, 1, -2, -1]].mean()
        ratios.append(outer / errors[third:-third].mean())
    return np.median(ratios)


display(
    pd.DataFrame(
        [
            {
                "songs": source,
                "growth, published": f"{growth(each, 'published'):+z.0%}",
                "growth, aligned": f"{growth(each, 'aligned'):+z.0%}",
                "edge, published": f"{edge(each, 'published'):.1f}",
                "edge, aligned": f"{edge(each, 'aligned'):.1f}",
            }
            for source, each in sources.items()
        ]
    ).style.hide(axis="index")
)

# %% [markdown]
# Two things shape the curves. **Geometry**: the published inverters of MP3, Conv4 and MP6 read at the wrong times, the more so the farther to the right. *Growth* is the change of their mean squared error from the first to the last third of the frames. **Edges**: a frame at the border is seen by fewer cells. *Edge* is the error of the outer two frames over that of the middle third, the median over the layers. It is a ratio: what an inverter does well in the middle makes its border look worse.
#
# Now along frequency. The same division is done band by band.

# %% tags=["hide-input"] figure="band-errors" mystnb={"image": {"alt": "Eight panels, one per layer, with the squared error of each of the 80 mel bands for published and aligned inverters, on the first corpus of the study. The table below gives the mean error in three ranges of frequency."}}
figure_band_errors(
    {
        layer: {
            family: found["band_errors"]
            for family, found in by_family.items()
        }
        for layer, by_family in first["layers"].items()
    }
)

# %% tags=["hide-input"]
hertz = band_frequencies().numpy()
ranges = {
    "below 500 Hz": hertz < 500,
    "500 Hz to 2 kHz": (hertz >= 500) & (hertz < 2000),
    "above 2 kHz": hertz >= 2000,
}
in_range = {
    (layer, family): {
        name: np.array(found["band_errors"])[chosen].mean()
        for name, chosen in ranges.items()
    }
    for layer, by_family in first["layers"].items()
    for family, found in by_family.items()
}
pd.DataFrame(
    [
        {"layer": layer_title(layer)}
        | {
            f"{name}, {family}": in_range[layer, family][name]
            for family in FAMILIES
            for name in ranges
        }
        for layer in svdlib.LAYERS
    ]
).style.format(precision=2).hide(axis="index")

# %% tags=["remove-input"]
hardest = {key: max(found, key=found.get) for key, found in in_range.items()}
counts = {
    name: sum(each == name for each in hardest.values()) for name in ranges
}
top = max(counts, key=counts.get)
deep = in_range["fc8", "aligned"]
easiest_deep = min(deep, key=deep.get)
text = (
    f"In {counts[top]} of {len(hardest)} cases, a layer and its inverter have their largest error in the range *{top}*. "
    f"What FC8 lets its aligned inverter paint best lies in the range *{easiest_deep}* ({deep[easiest_deep]:.2f} of the mean square; the worst range has {max(deep.values()):.2f}). "
    "Since every band was standardised, loud bands do not count for more than soft ones. A small error means that the band can be *predicted* from the feature, and not that it is loud or that we hear it well. "
)
border = edge(first, "aligned", "band_errors")
text += f"The outer two bands at either end have {border:.1f} times the error of the middle third (aligned family, median over layers)"
text += (
    ": here too, a border is seen by fewer cells."
    if border > 1.2
    else ": along frequency, the border matters little."
)
display(Markdown(text))

# %% [markdown]
# And what does a score mean to the ear? An error that is spread evenly over all values is a hiss. The same error concentrated in the onsets is music without attack. Both can have the same NRE. That is why the next chapter looks and listens.
#
# (code-against-paper)=
# (figure-released-code)=
# ## Four details of the code
#
# We read the code that the authors published with the paper, and the training code of its method in their repository Deep_Inversion, and found four places where it does something that the paper does not say, or where the design itself limits what can be painted:
#
# 1. **The feature loss has no gradient.** The comparator's features are computed outside the graph and enter the loss as plain numbers. So the joint loss trains exactly like the input loss alone ({doc}`03_training`; {doc}`04b_comparing_layers` compares both).
# 2. **The geometry does not fit.** Factors of 2 and 4 stand where the detector pools by 3 and 9, so that frames drift ({doc}`02_inverter_design`).
# 3. **The ELU at the output** forbids values below −1.
# 4. **The last epoch is stored,** while the paper keeps the one with the lowest validation loss.

# %% tags=["remove-input"]
mean_change = {
    source: np.mean([change.value for change in of.values()])
    for source, of in changes.items()
}
display(
    Markdown(
        f"The second and the third are part of what tells the two families apart. Without them, the NRE of a layer changes by {mean_change[first_name]:+z.0%} on average on *{first_name}*. "
        "But the aligned inverters also undo the leaky ReLU and have other widths, so this is no price of one detail. To price each alone takes pairs of long trainings that differ in one thing, from several seeds. We have not made them, and so we give no prices."
    )
)

# %% [markdown]
# None of the four is a reproach: a line of code that no paper has room for can decide a number, and only published code lets others find it.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A better inverter halves the error of a layer. What was the layer's part of the old error?",
        [
            Answer(
                "At most half of it, since the feature is the same.",
                "What the better one paints was in the feature. Of what is left, nobody knows how much is the layer's.",
                right=True,
            ),
            Answer(
                "Half of it: what is left is what the layer has lost.",
                "A still better inverter may halve it again. A score is an upper limit for what the layer has lost.",
            ),
            Answer(
                "None of it, since the layer has not changed.",
                "It has not, but it may have lost something all the same, and then no inverter gets to zero.",
            ),
        ],
    ),
    Question(
        "A detail of the released code costs 5 % of NRE, with an interval over songs from 3 to 7 %. What does it not tell?",
        [
            Answer(
                "Whether another training with another seed would cost as much.",
                "Both trainings ran once. The interval says how much songs vary, and nothing of the luck of a training.",
                right=True,
            ),
            Answer(
                "Whether the detail costs anything on songs like these.",
                "It does tell: the interval lies above zero.",
            ),
            Answer(
                "Whether the difference is one of the songs or of the code.",
                "Both trainings were scored on the same songs, so songs that are hard for both cancel.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A score belongs to a layer *and* its inverter. An inverter that fits the geometry has a much smaller error on the same feature.
# - Read every NRE as an upper limit: the layer has kept at least this much.
# - The same NRE can be a hiss everywhere or a burst in one place.
# - A line of code that no paper has room for can decide a number.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-error-per-frame)=
# ### Exercise 1: The error of each frame
#
# *Easy, 10 minutes.*
#
# Write `error_per_frame(x, x_hat)`: for each frame the mean squared error over excerpts and bands, divided by the mean square of the *originals* in the same frame. Both are tensors of shape (n, 1, 115, 80); the result has the shape (115,). Then look at FC8: is any frame harder than another?
#
# :::{dropdown} First hint
# Which axes must vanish, and which one stays? Take both means over the same axes before you divide.
# :::
#
# :::{dropdown} Second hint
# Frames are axis 2. `.square().mean(dim=(0, 1, 3))` leaves one number for each.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_per_frame(error_per_frame):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(5, 1, 7, 4)) * np.arange(1, 8)[:, None]
    a *= np.arange(1, 6)[:, None, None, None]
    b = a + rng.normal(size=a.shape) * np.arange(7, 0, -1)[:, None]
    got = np.asarray(error_per_frame(torch.tensor(a), torch.tensor(b)))
    assert got.shape == (7,), (
        f"With 7 frames the result has the shape (7,), not {got.shape}. Frames are the third axis."
    )
    wrong, power = (
        each.mean(axis=(0, 1, 3)) for each in ((a - b) ** 2, a**2)
    )
    right = wrong / power
    mistakes = {
        "Divide by the mean square of the originals in the same frame.": wrong,
        "Divide frame by frame: each one has a mean square of its own.": wrong
        / (a**2).mean(),
        "Divide by the originals, not by the inversions.": wrong
        / (b**2).mean(axis=(0, 1, 3)),
        "Take the means first and divide then; you average ratios.": (
            ((a - b) ** 2).mean(axis=(1, 3)) / (a**2).mean(axis=(1, 3))
        ).mean(axis=0),
        "The error is squared, and so are the originals. You have taken a root.": np.sqrt(
            right
        ),
    }
    if np.allclose(got, right, rtol=1e-4):
        return "1 is as bad as painting the average level of each band."
    for sentence, value in mistakes.items():
        assert not np.allclose(got, value, rtol=1e-4), sentence
    raise AssertionError(
        f"Frames whose errors are {right.round(2).tolist()} get {got.round(2).tolist()}."
    )


# %% tags=["exercise"]
def error_per_frame(x, x_hat):
    """Squared error of each frame over the originals' (frames,)."""
    ...


check_per_frame(error_per_frame)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def error_per_frame(x, x_hat):
    axes = (0, 1, 3)
    return (x - x_hat).square().mean(dim=axes) / x.square().mean(dim=axes)


display(check_per_frame(error_per_frame))

fc8 = inverters_of("aligned")["fc8"]
of_frames = error_per_frame(x, reconstruct(detector, {"fc8": fc8}, x)["fc8"])
display(
    Markdown(
        f"FC8, aligned inverter: from {of_frames.min():.2f} (frame {int(of_frames.argmin())}) to {of_frames.max():.2f} (frame {int(of_frames.argmax())}) of 115. "
        "The detector answers for frame 57, in the middle."
    )
)

# %% [markdown]
# (exercise-two-errors)=
# ### Exercise 2: Two errors, one number
#
# *Hard, 20 minutes.*
#
# NRE does not say where an error lies. Make two inversions of the same excerpts that have the same NRE, and sound different. Write `even(x, score)` and `gathered(x, score)`: both return an `x_hat` of the shape of `x` whose NRE is `score`. The error of `even` has the same mean square in all frames and all bands. That of `gathered` lies in frames 50 to 59, and everything else is a perfect copy.
#
# :::{dropdown} First hint
# What happens to the NRE if you make an error twice as large? The distance between originals does not change.
# :::
#
# :::{dropdown} Second hint
# Make any error of the right form, measure its NRE, and scale the error by what is wanted over what you have. For `gathered`, the error is 0 outside of frames 50 to 59.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_two_errors(even, gathered):
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(24, 1, 115, 80, generator=rng)
    a *= torch.linspace(0.5, 2, 24)[:, None, None, None]
    for score in (0.3, 1.2):
        for name, make in (("even", even), ("gathered", gathered)):
            made = torch.as_tensor(make(a.clone(), score)).float()
            assert made.shape == a.shape, (
                f"{name} returns the shape {tuple(made.shape)}, not that of x."
            )
            found = svdlib.nre(a, made)
            assert abs(found - score) < 0.01 * score, (
                f"The NRE of {name} is {found:.3f}; it should be {score}."
            )
            square = ((made - a).double() ** 2).mean(dim=(0, 1))
            frames, bands = square.mean(dim=1), square.mean(dim=0)
            if name == "even":
                for what, of in (("frame", frames), ("band", bands)):
                    assert of.max() < 1.5 * of.min(), (
                        f"even: the error is not spread evenly. In some {what}s it is much larger than in others."
                    )
            else:
                inside = frames[50:60]
                outside = torch.cat([frames[:50], frames[60:]])
                assert outside.max() < 1e-6 * inside.max(), (
                    f"gathered: frames outside of 50 to 59 have an error too, such as frame {int(torch.where(frames > 1e-6 * inside.max())[0][0])}. Is time the right axis?"
                )
                assert inside.min() > 1e-6 * inside.max(), (
                    "gathered: some of the frames 50 to 59 have no error."
                )
    return "The same number, and two different errors."


# %% tags=["exercise"]
def even(x, score):
    """Inversions (d, 1, 115, 80) with the same error everywhere."""
    ...


def gathered(x, score):
    """Inversions whose error lies in frames 50 to 59."""
    ...


check_two_errors(even, gathered)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def scaled(x, error, score):
    """Add an error, made so large that the NRE is right: NRE grows in proportion to it."""
    return x + error * (score / svdlib.nre(x, x + error))


def even(x, score):
    return scaled(x, torch.randn_like(x), score)


def gathered(x, score):
    error = torch.zeros_like(x)
    error[:, :, 50:60] = torch.randn_like(error[:, :, 50:60])
    return scaled(x, error, score)


torch.manual_seed(seed)
display(check_two_errors(even, gathered))

two_errors = {"error everywhere": even, "error in ten frames": gathered}
display(
    Gallery(
        [
            Panel(
                f"{name}: NRE {svdlib.nre(x, made):.2f}",
                detector.standardizer.inverse(made[0, 0]).detach().cpu(),
                made[0, 0].cpu(),
            )
            for name, made in (
                (name, make(x, 0.3)) for name, make in two_errors.items()
            )
        ]
    )
)
display(
    Markdown(
        "The same NRE, once as a hiss over the whole excerpt, once as a burst of noise in an excerpt that is perfect otherwise. No number that adds up all frames and bands can tell them apart."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018`: the paper; its authors published the code that is read here.
