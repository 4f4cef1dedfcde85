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
# # A music tagger
#
# **Another's network, another task, real music: where does it still know the voice?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - how to open a network that others have trained, and what its geometry gives away;
# - at which layer its tags of voices stop being explained by inversions;
# - whether a network of 50 questions keeps more than one of a single question.
#
# **Prerequisites:** {doc}`12_other_detectors`.
#
# **Minutes:** 13 to read, 25 for the exercises, about one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from textwrap import fill

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display
from torch import nn

import svdlib
from svdlib.errors import WeightsError
from svdlib.lab.analysis.verdicts import table_of
from svdlib.lab.figures.ears import (
    figure_bands,
    figure_matrix,
    figure_sizes,
    title_of,
)
from svdlib.lab.studies import (
    label_of,
    load_results,
    other_ears,
    tagger_ears,
    tagger_inverters,
)
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.tagger.model import (
    LAYERS,
    NO_VOICE_TAGS,
    PATCH_FRAMES,
    POOLS,
    TAGS,
    VOICE_TAGS,
    voice_contrast,
)
from svdlib.tagger.patches import cut_patches, tagger_log_mel

stored = load_results("tagger_inverters")
studied = {label_of(name): each for name, each in stored["corpora"].items()}
song = svdlib.open_corpus(corpus).split("test")[0]

# %%
try:
    ears = svdlib.open_listener("music tagger")
except WeightsError as missing_package:
    ears = None
    print(missing_package)

# %% [markdown]
# Three seconds of one of our songs, and what a network that others have trained on real music has kept of them at its five layers:

# %% tags=["hide-input"]
if ears:
    patches = torch.from_numpy(cut_patches(tagger_log_mel(song.load())))
    with torch.no_grad():
        surest = voice_contrast(ears.network(patches)).argsort(
            descending=True
        )
    shown = patches[surest[[0, -1]]]
    display(
        svdlib.explore(
            shown,
            ears.listener,
            ears.inverters,
            ears.front,
            names=("most like a voice", "least like a voice"),
        )
    )

# %% [markdown]
# The network of this chapter is not ours. {cite:t}`pons2019` trained it and gave it away, under the name MTT_vgg in the package musicnn. It hears three seconds of music and says which of 50 tags fit, such as *guitar*, *slow*, *indian*, *singing* or *no vocals*. It is a stack of five convolutions after {cite:t}`choi2016`, each followed by pooling, and learned from the clips of MagnaTagATune {cite}`law2009`, whose tags were collected in a game.
#
# We read its weights from the files of its package and pass none of them on. The inverters are ours. They learned on patches of our synthetic songs, which this network has never heard, and are measured on real ones, which they have never seen.

# %% tags=["remove-input"]
display(
    Markdown(
        f"Here are the five layers. Our inverters had {stored['updates']:,} updates of 16 patches ({stored['objective']} loss), few for a network of this size: what they cannot paint, longer training might."
        + (
            ""
            if ears
            else " **The package musicnn is not installed, so this page shows stored results and computes nothing with the tagger.**"
        )
    )
)
first_measured = next(iter(studied.values()))
cells = {
    layer: each["cells"] for layer, each in first_measured["layers"].items()
}
whole = PATCH_FRAMES * 96
display(
    pd.DataFrame(
        [
            {
                "layer": title_of(layer),
                "pooling, window and step": f"{window[0]} × {window[1]}, {step[0]} × {step[1]}",
                "numbers": f"{cells[layer]:,}",
                "of a patch's": f"{cells[layer] / whole:.2g}",
            }
            for layer, (window, step) in zip(LAYERS, POOLS, strict=True)
        ]
    ).style.hide(axis="index")
)

# %% [markdown]
# ## Half of it is never read
#
# Look at the first pooling. Its windows are four frames long and *one* band wide, and it steps on by two frames and *two* bands. So of the first convolution's 96 columns it reads number 0, 2, 4 and so on. The other 48 are computed and thrown away, in every patch, whatever is in it. The authors may have meant windows of another shape; the network learned to live with it.
#
# It is not deaf to the odd bands: a filter three bands wide looks at both neighbours of its column. But these bands are seen from the side only. If that matters, inversions must be worse there. Some bands are harder to paint than others, whatever the network: so the error of each is taken as a share of the error of the mean patch. And an *aligned* inverter mirrors the pooling, steps of two bands included: a comb in its pictures may be its own. We saw one before it had learned anything. So the second picture is by an inverter of the *general* family, which resizes and convolves and knows of no steps.

# %% tags=["hide-input"] figure="bands-never-read" mystnb={"image": {"alt": "Squared error of inversions over the 96 mel bands, as a share of what the mean patch makes, from POOL1 by an aligned inverter and by one of the general family. Bands whose column of the first convolution is read have one mark, those whose column is never read another. The text below says by how much the second kind is worse."}}
source, real = list(studied.items())[-1]
curves = {
    f"POOL1, {name} inverter": np.mean(real[family]["pool1"]["bands"], axis=0)
    for name, family in (("aligned", "layers"), ("general", "general"))
}
figure_bands(
    curves, np.arange(96) % 2 == 0, "squared error, of the mean patch's"
)

# %% tags=["remove-input"]
excess = {
    family: tagger_inverters.unread_excess(real, "pool1", family)
    for family in ("layers", "general")
}
plain = excess["general"]
text = f"On *{source}*, the error on the bands whose columns are never read differs from that on the others by {excess['layers'].value:+z.0%} with the aligned inverter and {plain.value:+z.0%} with the general one"
text += (
    f" (95 % interval {plain.low:+z.0%} to {plain.high:+z.0%}). "
    if plain.is_known
    else ". "
)
text += (
    "The comb is there, whoever paints: a slip in one line of a network's definition, found from what its inversions look like."
    if plain.lies_above(0)
    else "With an inverter that knows of no steps the comb is not surely there: what the neighbours' filters see of these bands is enough for it."
)
display(Markdown(text))

# %% [markdown]
# ## Where the voice goes
#
# Eight of the 50 tags name a voice, three say that there is none. The mean logit of the first less that of the second says how much the tagger hears a voice. We give it inversions of patches, and compare what it says with what it said of the patches themselves.

# %%
voices = [TAGS.index(tag) for tag in VOICE_TAGS]
none = [TAGS.index(tag) for tag in NO_VOICE_TAGS]
lines = [fill(f"a voice:  {', '.join(VOICE_TAGS)}", 70)]
lines.append(f"no voice: {', '.join(NO_VOICE_TAGS)}")

if ears:
    lines.append(f"over {len(patches)} patches of one song:")
    with torch.no_grad():
        logits = ears.network(patches)
        said = logits[:, voices].mean(1) - logits[:, none].mean(1)
        for layer, inverter in ears.inverters.items():
            feature = ears.listener.features(patches, layer)[layer]
            again = voice_contrast(ears.network(inverter(feature)))
            r = torch.stack([said, again]).corrcoef()[0, 1]
            lines.append(f"{layer}: r = {r:.2f}")
print("\n".join(lines))

# %% tags=["hide-input"] figure="voice-tags-explained" mystnb={"image": {"alt": "Correlation of what the tagger says of voices in patches and in their inversions, over the size of the layer from POOL1 on the left to POOL5 on the right, with 95 percent intervals, a line per corpus. A dotted line marks 0.5."}}
figure_sizes(
    {
        f"{name} ({each['songs']} songs)": {
            layer: (
                cells[layer] / whole,
                tagger_inverters.correlation_of(each, layer),
            )
            for layer in LAYERS
        }
        for name, each in studied.items()
    },
    "correlation of the voice tags",
    line=tagger_inverters.EXPLAINED,
    line_name="explained above this",
)

# %% tags=["remove-input"]
values = {
    layer: tagger_inverters.correlation_of(real, layer) for layer in LAYERS
}
explained = [
    layer
    for layer in LAYERS
    if values[layer].lies_above(tagger_inverters.EXPLAINED)
]
text = f"On *{source}*, whose patches the tagger sorts into sung and unsung with an AUC of {real['auc']:.2f}: "
text += ", ".join(
    f"{title_of(layer)} {values[layer].value:.2f} (chance {tagger_inverters.correlation_of(real, layer, chance=True).value:.2f})"
    for layer in LAYERS
)
text += ". "
text += (
    f"The deepest layer whose inversions surely explain the voice tags is {title_of(explained[-1])}. "
    if explained
    else "No layer's inversions surely explain the voice tags on so few songs. "
)
text += "The 256 numbers of POOL5 are all that the tags are computed from. That its inversions say something else is not the layer's ignorance, but what an inverter paints that was asked for a small error (*The round trip*)."
display(Markdown(text))

# %% [markdown]
# (fifty-or-one)=
# ## Fifty questions or one?
#
# A network that must tell a sitar from a harp, and slow from fast, cannot throw away what our detector may. Does it keep more? The inputs differ in scale and in length, so we compare shares: the error of a layer's inversions as a share of the error of the mean input. And we compare at equal size, as in {doc}`12_other_detectors`.

# %% tags=["hide-input"] figure="fifty-or-one" mystnb={"image": {"alt": "Error of inversions as a share of the error of the mean input, over the size of the layer as a share of the input's, for the music tagger and for the detectors, on the same real songs. The text below compares the layers of about equal size."}}
ours = load_results("other_ears")
same = next(
    (
        each
        for name, each in ours["corpora"].items()
        if label_of(name) == source
    ),
    None,
)
compared = {
    "music tagger": {
        layer: (
            cells[layer] / whole,
            tagger_inverters.share_of_blind(real, layer),
        )
        for layer in LAYERS
    }
}
for name, layers in (same["listeners"] if same else {}).items():
    compared[name] = {
        layer: (
            entry["cells"] / 9200,
            other_ears.share_of_blind(same, name, layer),
        )
        for layer, entry in layers.items()
    }
figure_sizes(
    compared,
    "error, of the mean input's",
    line=1,
    line_name="mean input",
)

# %% tags=["remove-input"]
if same:
    pool4, pool5 = (
        compared["music tagger"]["pool4"],
        compared["music tagger"]["pool5"],
    )
    plain = compared[other_ears.trained_twin(same)]
    text = f"On *{source}*: POOL4, of {pool4[0]:.0%} of a patch's numbers, leaves {pool4[1].value:.0%} of the mean's error, MP6 of the detector, of {plain['mp6'][0]:.0%}, leaves {plain['mp6'][1].value:.0%}. POOL5, of {pool5[0]:.1%}, leaves {pool5[1].value:.0%}; FC7, of {plain['fc7'][0]:.1%}, leaves {plain['fc7'][1].value:.0%}, and FC8, of {plain['fc8'][0]:.1%}, {plain['fc8'][1].value:.0%}. "
    if pool4[1].high < plain["mp6"][1].low:
        text += "At this size the tagger keeps more than the detector. "
    elif pool4[1].low > plain["mp6"][1].high:
        text += "At this size the tagger's inversions keep *less*, whatever it was asked. "
    else:
        text += "At this size the two cannot be told apart on these songs. "
    text += f"But the tagger's inverters had {stored['updates']:,} updates, the detector's more, and a patch is longer and finer than an excerpt: the comparison is one of orders, not of digits."
    display(Markdown(text))
else:
    display(
        Markdown(
            "This copy of the library holds no results of the detectors on these songs."
        )
    )

# %% [markdown]
# (ears-across-tasks)=
# ## Ears across tasks
#
# {doc}`12_other_detectors` hands inversions from one detector to another. The tagger cannot take a detector's spectrogram: its bands are others, and it hears twice as long. But it can hear *sound*. Two neighbouring excerpts are inverted, joined and made audible; and of the sound of the tagger's inversions detectors hear the middle. What each says is compared with what it says of the original after the same loss of phases; chance is the next song's inversion.

# %% tags=["hide-input"] figure="ears-across-tasks" mystnb={"image": {"alt": "A table with a row for each layer of the detectors and of the tagger, and a column for each listener that hears their inversions as sound. Each cell is shaded by the correlation of what it says of originals and of inversions, and holds it as a number, with chance in brackets; detectors' layers are heard by the tagger, the tagger's layers by the detectors. The text below sums it up."}}
handed = load_results("tagger_ears")
place, exchanged = list(handed["corpora"].items())[-1]
who = list(exchanged["recorded"])
painters = [
    (name, layer)
    for name, layers in exchanged["listeners"].items()
    for layer in layers
]


def heard(chance):
    """The correlations of all painters and judges, nan where there is none."""
    return np.array(
        [
            [
                tagger_ears.correlation_of(
                    exchanged, *painter, judge, chance=chance
                ).value
                if judge in exchanged["listeners"][painter[0]][painter[1]]
                else np.nan
                for judge in who
            ]
            for painter in painters
        ]
    )


title = f"Correlation on {label_of(place)}"
figure_matrix(
    {title: heard(False)},
    {title: heard(True)},
    [
        f"{name.removesuffix(' detector')}, {title_of(layer)}"
        for name, layer in painters
    ],
    who,
)

# %% tags=["remove-input"]


def across(listener, layer, judge):
    """A correlation with its interval, as text."""
    return (
        f"{tagger_ears.correlation_of(exchanged, listener, layer, judge):.2f}"
    )


display(
    Markdown(
        f"What guessed phases alone cost: the tagger says of a sound without its phases what it says of the recording with r = {tagger_ears.recorded_of(exchanged, 'music tagger').value:.2f}, the detector with {tagger_ears.recorded_of(exchanged, 'detector').value:.2f}. In the detector's inversions from MP6 the tagger hears voices with r = {across('detector', 'mp6', 'music tagger')}, in those from FC8 with {across('detector', 'fc8', 'music tagger')}. In the tagger's from POOL4 the detector hears singing with {across('music tagger', 'pool4', 'detector')}."
    )
)

# %% [markdown]
# ## What we expected
#
# These sentences stood in the study's program before it was run.

# %% tags=["remove-input"]
outcomes = table_of(tagger_inverters.EXPECTATIONS, studied)
display(
    pd.DataFrame(outcomes)
    .style.hide(axis="index")
    .set_properties(subset=["expected"], **{"min-width": "11rem"})
)

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A pooling layer has windows of one band and steps of two. What of its input can never matter?",
        [
            Answer(
                "Every other column of what it pools.",
                "No window lies on them, so nothing behind the layer depends on them.",
                right=True,
            ),
            Answer(
                "Every other band of the sound.",
                "The convolution before it is three bands wide: the columns that are read look at their neighbours too.",
            ),
            Answer(
                "Nothing: pooling takes the largest value of all.",
                "It takes the largest of its window. What lies in no window is never looked at.",
            ),
        ],
    ),
    Question(
        "Suppose the tagger's inversions kept more of the sound than the detector's, at equal size. What would explain it?",
        [
            Answer(
                "Many things may: the task, the input, the architecture, the training of both networks and of their inverters.",
                "Two networks that differ in everything show that something differs, not what. A control changes one thing at a time.",
                right=True,
            ),
            Answer(
                "Its 50 tags need more than a yes or no.",
                "That is a good guess. To test it one would train one network twice, for both tasks.",
            ),
            Answer(
                "Its layers are larger.",
                "The comparison is at equal size, as a share of the input's.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - Any network can be opened whose layers one can run: weights of others, inverters of one's own.
# - Inversions show what a network's definition does, also where nobody meant it.
# - Two networks that differ in everything can be compared, but the difference has no single cause.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-never-read)=
# ### Exercise 1: Never read
#
# *Easy, 10 minutes.*
#
# Write `never_read(size, window, step)`: the places, counted from 0, of an axis of so many cells that no window of a pooling layer covers. Windows begin at 0, `step`, `2 * step` and so on, as long as a whole window fits.
#
# :::{dropdown} First hint
# Collect what the windows cover, and take the rest.
# :::
#
# :::{dropdown} Second hint
# `range(0, size - window + 1, step)` gives where windows begin.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_never_read(never_read):
    cases = {
        (6, 1, 2): [1, 3, 5],
        (6, 2, 2): [],
        (7, 2, 2): [6],
        (8, 2, 3): [2, 5],
        (5, 4, 2): [4],
    }
    for (size, window, step), right in cases.items():
        got = sorted(never_read(size, window, step))
        narrow = [place for place in range(size) if place % step]
        assert got == right or got != narrow, (
            "A window may be wider than one cell: it covers all of them."
        )
        assert got == right, (
            f"Of {size} cells, windows of {window} with steps of {step} leave {right}, not {got}."
        )
    return "What no window covers, also at the end."


# %% tags=["exercise"]
def never_read(size, window, step):
    """Places that no window covers."""
    ...


check_never_read(never_read)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def never_read(size, window, step):
    read = {
        begin + place
        for begin in range(0, size - window + 1, step)
        for place in range(window)
    }
    return [place for place in range(size) if place not in read]


display(check_never_read(never_read))
display(
    Markdown(
        f"Of the tagger's 96 columns, {len(never_read(96, 1, 2))} are never read; of its 187 frames {len(never_read(187, 4, 2))}, at the end."
    )
)

# %% [markdown]
# (exercise-unread-columns)=
# ### Exercise 2: Ask the network
#
# *Medium, 15 minutes.*
#
# Do not trust the text; ask the network. Write `columns_that_matter(layers, x)`: for a module and inputs `x` of shape (batch, channels, time, frequency), the columns of `x` whose values reach the sum of all outputs, as a boolean array (frequency,).
#
# :::{dropdown} First hint
# The gradient of the sum with respect to `x` is zero where nothing depends on a value.
# :::
#
# :::{dropdown} Second hint
# `x.clone().requires_grad_()`, `layers(x).sum().backward()`, and look at `x.grad`: any value other than 0, over all axes but the last.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_columns(columns_that_matter):
    x = torch.rand(2, 3, 8, 6) + 1
    got = np.asarray(columns_that_matter(nn.MaxPool2d((4, 1), (2, 2)), x))
    assert got.shape == (6,), (
        f"Return one value for each of the 6 columns, not {got.shape}."
    )
    assert not (got == [False, True, False, True, False, True]).all(), (
        "These are the columns that do not matter."
    )
    assert (got == [True, False, True, False, True, False]).all(), (
        f"Windows of one column with steps of two read columns 0, 2 and 4, not {np.flatnonzero(got).tolist()}."
    )
    got = np.asarray(columns_that_matter(nn.MaxPool2d(2), x))
    assert got.all(), (
        "Windows of two columns with steps of two read all of them."
    )
    return "Where there is a gradient, the network looks."


# %% tags=["exercise"]
def columns_that_matter(layers, x):
    """Which columns reach the output."""
    ...


check_columns(columns_that_matter)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def columns_that_matter(layers, x):
    x = x.clone().requires_grad_()
    layers(x).sum().backward()
    return (x.grad != 0).any(dim=(0, 1, 2)).numpy()


display(check_columns(columns_that_matter))

# %% [markdown]
# ## Further reading
#
# - {cite:t}`pons2019`: the package, and the larger networks in it.
# - {cite:t}`choi2016`: the architecture.
# - {cite:t}`law2009`: the game that collected the tags.
