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
# # What each layer keeps: look and listen
#
# **What does each layer keep of a song, to the eye and to the ear?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - how inversions change from Conv1 to FC8, to the eye and to the ear;
# - how to draw and to show excerpts so that one does not fool oneself;
# - which traces in a picture are those of the inverter, and not of the layer.
#
# **Prerequisites:** {doc}`01_model` and {doc}`02_inverter_design`; {doc}`04_quantitative_nre` helps. Headphones.
#
# **Minutes:** 11 to read, 25 for the exercises, about one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0
variant = "aligned"

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from itertools import combinations

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.compute.devices import choose_device
from svdlib.inversion.nre import reconstruct
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.lab.figures.gallery import Gallery, inversion_panels
from svdlib.lab.figures.spectrograms import figure_inversions
from svdlib.lab.figures.style import layer_title
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 8, "laptop": 16, "full": None}[profile]
n_candidates = {"demo": 200, "laptop": 1000, "full": 4000}[profile]
other_songs, other_seconds = {
    "demo": (6, 20),
    "laptop": (16, 60),
    "full": (20, 60),
}[profile]

detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: inverter.to(device)
    for layer, inverter in svdlib.pretrained_inverters(variant).items()
}


def bank_of(tracks):
    songs = svdlib.load_songs(tracks)
    bank = svdlib.ExcerptBank(
        songs, standardizer=detector.standardizer, device=device
    )
    return songs.names, bank


# %% tags=["hide-input"]
other_world = (
    "synthetic" if corpus.startswith("synthetic-c") else "synthetic-c"
)
collection = svdlib.open_corpus(corpus)
other_collection = svdlib.open_corpus(
    f"{other_world}:songs={other_songs},seconds={other_seconds},seed={seed + 101}"
)
names, bank = bank_of(collection.split("test")[:n_songs])
other_names, other_bank = bank_of(other_collection.tracks)
generator = np.random.default_rng(seed)


def draw_pair(bank):
    """Draw a non-vocal and a vocal excerpt: of one song, if there is one that has both, else of any."""
    song = bank.songs.cpu().numpy()
    sung = bank.labels(torch.arange(len(bank), device=device)).cpu().numpy()
    mixed = [s for s in np.unique(song) if len(set(sung[song == s])) == 2]
    drawn = song == generator.choice(mixed) if mixed else song >= 0
    for vocal in (False, True):
        candidates = np.flatnonzero(drawn & (sung == vocal))
        if len(candidates):
            index = int(generator.choice(candidates))
            yield song[index], vocal, index


shown, excerpts = [], []
for own_names, own_bank in ((names, bank), (other_names, other_bank)):
    for song, vocal, index in draw_pair(own_bank):
        kind = "vocal" if vocal else "non-vocal"
        shown.append((f"{'ABCD'[len(shown)]}: {kind}", own_names[song]))
        excerpts.append(own_bank.gather(torch.tensor([index], device=device)))

x = torch.cat(excerpts)
inversions = reconstruct(detector, inverters, x)
with torch.no_grad():
    probabilities = torch.sigmoid(detector(x))[:, 0].cpu().numpy()

# %% [markdown]
# Four excerpts, one in each column, and what is left of them at each layer, from shallow to deep. All pictures share one colour scale.

# %% tags=["hide-input"] figure="inversions" mystnb={"image": {"alt": "A grid of spectrograms. Columns are excerpts, rows are the original and its inversions from Conv1, Conv2, MP3, Conv4, Conv5, MP6, FC7 and FC8. The players below let you hear them; the numbers that follow say what they share with the originals."}}
columns = {
    name: {
        "input": x[row, 0],
        **{layer: x_hat[row, 0] for layer, x_hat in inversions.items()},
    }
    for row, (name, _) in enumerate(shown)
}
figure_inversions(columns)

# %% [markdown]
# This corresponds to figure 6 of the paper {cite}`mishra2018`, where each row is an excerpt. It shows *standardised* values: 0 means as loud as usual in this band. Without standardisation all pictures would look alike, because low bands are always loud.
#
# Which inverters? The aligned ones of {doc}`02b_aligned_inverters`, since they show more of what the layers keep. To see what the paper's inverters make of the same features, set `variant = "published"` and run the chapter again.
#
# ## Four excerpts, not chosen by their looks
#
# It is easy to fool oneself with pictures: one tries twenty excerpts and shows the four that fit the story. So a random generator with a fixed seed draws the excerpts. As in the paper, they come from two corpora: a song of each, and from each song one non-vocal and one vocal excerpt.
# Vocal means that somebody sings in the centre frame, the one the detector answers for. The second corpus has singers, instruments and mixes that neither the detector nor the inverters have heard ({doc}`../book/corpora`). Other values of `seed` give other excerpts.

# %% tags=["remove-input"]
if missing := one_class(collection.split("test")[:n_songs]):
    display(Markdown(missing))
elif len(shown) == 4 and shown[0][1] != shown[1][1]:
    display(
        Markdown(
            "**No test song of yours holds both kinds**, so A and B come from two songs: what tells them apart may be the songs and not the singing."
        )
    )

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "excerpt": name,
            "song": song,
            "probability of singing": f"{probability:.2f}",
        }
        for (name, song), probability in zip(
            shown, probabilities, strict=True
        )
    ]
).style.hide(axis="index")

# %% tags=["remove-input"]
distances = {
    layer: ((x - x_hat).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1))
    .mean()
    .item()
    for layer, x_hat in inversions.items()
}
order = sorted(distances, key=distances.get)
steps = [
    distances[b] - distances[a]
    for a, b in zip(svdlib.LAYERS, svdlib.LAYERS[1:], strict=False)
]
jump = int(np.argmax(steps))
display(
    Markdown(
        f"Go down each column. Measured as the distance to the original, divided by the size of the original, the nearest inversions of these "
        f"{len(shown)} excerpts come from {layer_title(order[0])} ({distances[order[0]]:.2f}), the farthest from {layer_title(order[-1])} "
        f"({distances[order[-1]]:.2f}). Painting only zeros would score 1. The largest step from one layer to the next lies between "
        f"{layer_title(svdlib.LAYERS[jump])} and {layer_title(svdlib.LAYERS[jump + 1])}."
    )
)

# %% [markdown]
# Some things in this figure are traces of the *inverter*, not of the layer. A fine regular pattern with a period of 3 or 9 frames, where you see one, comes from up-convolutions that have not quite learned to hide their steps, or that make use of them ({doc}`04d_round_trip`). At the left and right edges, pictures are poorer, because fewer cells have seen
# these frames. With the published inverters there are more such traces: nothing is darker than −1, Conv1 and Conv2 have a thin frame of zeros, and from MP3 on the right part of a picture drifts away from the original.
#
# And a blurred picture does not mean that the layer sees a blur. It means that the inverter, unable to tell, has painted an average.
#
# ## Listen
#
# Here are the first two excerpts, with a player below each picture. All players are set to the same loudness, within limits. Begin with FC8 and go backwards to the original: at which layer do you first hear the rhythm? At which one a pitch? When would you say that there is a voice?


# %% tags=["hide-input"]
def panels_of(name, original, kept):
    """Make the panels of an excerpt (1, 1, 115, 80): the original and its inversions."""
    with torch.no_grad():
        said = {
            layer: torch.sigmoid(detector(picture)).item()
            for layer, picture in {"input": original, **kept}.items()
        }
    notes = {
        layer: f"Distance to the original {((original - x_hat).norm() / original.norm()).item():.2f}. "
        f"Given this inversion, the detector says {said[layer]:.2f}."
        for layer, x_hat in kept.items()
    }
    notes["input"] = f"Detector: {said['input']:.2f} probability of singing."
    pictures = {layer: x_hat[0, 0] for layer, x_hat in kept.items()}
    return inversion_panels(
        detector.standardizer, original[0, 0], pictures, name, notes
    )


panels = {
    name: panels_of(
        name,
        x[row : row + 1],
        {layer: x_hat[row : row + 1] for layer, x_hat in inversions.items()},
    )
    for row, (name, _) in enumerate(shown)
}

# %% tags=["hide-input"]
for excerpt_panels in list(panels.values())[:2]:
    display(Gallery(excerpt_panels))

# %% [markdown]
# The line below each player says two more things. The *distance* is relative to the size of the original, as above. The last number is what the detector answers when it is given the inversion in place of the original. If the answer survives, the inversion has kept what the
# detector needs, whatever it looks like. If it does not, the inverter has lost something that the layer must have had, since the answer was made from it.

# %% tags=["remove-input"]
with torch.no_grad():
    shift = {
        layer: (
            torch.sigmoid(detector(x_hat))[:, 0].cpu().numpy() - probabilities
        )
        for layer, x_hat in inversions.items()
    }
moves = {
    layer: float(np.abs(values).mean()) for layer, values in shift.items()
}
most = max(moves, key=moves.get)
least = min(moves, key=moves.get)
display(
    Markdown(
        f"Over these {len(shown)} excerpts the answer moves least for inversions from {layer_title(least)} (by {moves[least]:.2f} on average) and most for those "
        f"from {layer_title(most)} (by {moves[most]:.2f}). With so few excerpts this is an illustration, not a result."
    )
)

# %% [markdown]
# ## Explore
#
# Choose an excerpt, then a layer: click, swipe over the picture, or use the arrow keys. *Side by side* puts the original beside its inversion; *curtain* lays it over the inversion, and you draw it aside. Press *Play* and change the layer, or between original and inversion, while it sounds: the sound goes on from where it was. The lower curve's points are layers too.
#
# It works in the page as you see it; no program runs behind it. The address of the page says what you look at, so you can send it to somebody.

# %% [markdown]
# A to D were drawn. The explorer has one more excerpt, E, and starts with it. E is not drawn but chosen, by a number: of the sung excerpts of these songs that the detector is sure of (over 0.9), it is the one whose inversions from different layers are farthest apart. It shows best what there is to see, and says nothing about how often one sees it. The book's first page shows it too.

# %% tags=["hide-input"]
from svdlib.pages.explorer import compare, layer_explorer
from svdlib.pages.showcase import layers_apart

candidates = bank.spread(n_candidates)
candidate_x = bank.gather(candidates)
with torch.no_grad():
    said = torch.cat(
        [
            torch.sigmoid(detector(part))[:, 0]
            for part in candidate_x.split(64)
        ]
    )
sure = bank.labels(candidates) & (said > 0.9)
candidate_x = candidate_x[sure] if sure.any() else candidate_x
apart = layers_apart(reconstruct(detector, inverters, candidate_x))
chosen = candidate_x[[int(apart.argmax())]]
chosen_name = f"E: {'vocal' if sure.any() else 'any'}, layers farthest apart"
panels[chosen_name] = panels_of(
    chosen_name, chosen, reconstruct(detector, inverters, chosen)
)
layer_explorer(
    panels,
    ["original", *(layer_title(layer) for layer in svdlib.LAYERS)],
    start=chosen_name,
    comparison=compare(
        detector,
        inverters,
        torch.cat([x, chosen]),
        bank.gather(bank.spread(32)),
    ),
)

# %% [markdown]
# The *error of this excerpt* is the distance between original and inversion, divided by the mean distance between two excerpts. Its mean over many excerpts is the NRE of {doc}`04_quantitative_nre`. The dashed line is what one reaches without looking, by painting each band's average level all the time. Below the detector's two answers stands for how many inversions from this layer the answer stays what it was; {doc}`04d_round_trip` says what to make of it.
#
# With a kernel, the same explorer takes sounds of your own, and a detector and inverters of your own if you have some:
#
# ```python
# svdlib.explore("song.mp3")
# svdlib.explore("song.mp3", detector=my_detector, inverters=my_inverters)
# ```

# %% [markdown]
# ## From here to measurements
#
# The eye says that rhythm outlives pitch, and that the deepest pictures resemble one another. Is it so? {doc}`05b_kept_structure` turns such impressions into numbers with a chance level; {doc}`05c_class_and_neighbours` asks what FC8 has decided.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "Inversions from Conv5 show a fine grid that the original does not have. Where does it come from?",
        [
            Answer(
                "From the inverter, whose up-convolutions have not hidden their steps.",
                "Its period is that of the strides, 3 or 9 frames. The layer may have nothing to do with it.",
                right=True,
            ),
            Answer(
                "From the detector: this layer hears in a grid.",
                "The layer pools in steps, but a picture of the layer is always one that an inverter has painted. Another inverter has another grid.",
            ),
            Answer(
                "From the song: its beat has become visible.",
                "A beat comes once in 20 to 50 frames. Lines once in 3 or 9 frames are too fast for one.",
            ),
        ],
    ),
    Question(
        "Given an inversion from Conv4 in place of the original, the detector changes its answer. What follows?",
        [
            Answer(
                "The inverter has lost something that Conv4 must have had.",
                "The answer was made from Conv4's own feature, so all that it takes was there.",
                right=True,
            ),
            Answer(
                "Conv4 has lost what the detector needs for its answer.",
                "It cannot have: everything behind Conv4 worked with this very feature, and gave the first answer.",
            ),
            Answer(
                "The detector's answer for this excerpt was wrong before.",
                "Perhaps, but this does not show it. The second answer is about another picture.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - Draw excerpts at random before you look at inversions, and show them on one colour scale.
# - A blurred picture does not mean that the layer sees a blur. The inverter, unable to tell, has painted an average.
# - If the detector gives the same answer to an inversion, the inversion has kept what the answer needs.
# - An excerpt chosen because it shows much says nothing about how often one sees it.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-farthest-apart)=
# ### Exercise 1: Whose layers are farthest apart?
#
# *Easy, 10 minutes.*
#
# Excerpt E was chosen by a number. Write it: `layers_apart(inversions)` gets a tensor (layers, n, 115, 80), the inversions of the same $n$ excerpts from several layers. For each excerpt, take the Euclidean distance between its inversions from two layers, and the mean over all pairs of different layers. The result has the shape (n,).
#
# :::{dropdown} First hint
# Loop over the pairs of layers. Each pair gives one distance per excerpt, over all cells of the picture.
# :::
#
# :::{dropdown} Second hint
# `itertools.combinations(inversions, 2)` gives each pair once; flatten the difference from the second axis on, and take the `norm` along it. Stack what you get, and average over the pairs.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_apart(layers_apart):
    rng = np.random.default_rng(0)
    for layers in (2, 4):
        a = (
            rng.normal(size=(layers, 3, 6, 7))
            * np.arange(1, 4)[:, None, None]
        )
        pairs = [(i, j) for i in range(layers) for j in range(i)]
        far = np.array(
            [np.sqrt(((a[i] - a[j]) ** 2).sum((1, 2))) for i, j in pairs]
        )
        got = np.asarray(layers_apart(torch.tensor(a)))
        assert got.shape == (3,), (
            f"For 3 excerpts the result has the shape (3,), not {got.shape}."
        )
        right = far.mean(axis=0)
        mistakes = {
            "A distance is the square root of a sum of squares; the root is missing.": (
                far**2
            ).mean(axis=0),
            "Take the mean over the pairs, not their sum.": far.sum(axis=0),
            "A layer does not make a pair with itself: these zeros pull the mean down.": right
            * (layers - 1)
            / layers,
        }
        if np.allclose(got, right, rtol=1e-4):
            continue
        for sentence, wrong in mistakes.items():
            assert not np.allclose(got, wrong, rtol=1e-4), sentence
        raise AssertionError(
            f"With {layers} layers, excerpts that lie {right.round(2).tolist()} apart get {got.round(2).tolist()}."
        )
    return "It is the number that chose excerpt E."


# %% tags=["exercise"]
def layers_apart(inversions):
    """Mean distance between the inversions of each excerpt (n,)."""
    ...


check_apart(layers_apart)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def layers_apart(inversions):
    pairs = combinations(inversions, 2)
    far = [(a - b).flatten(1).norm(dim=1) for a, b in pairs]
    return torch.stack(far).mean(dim=0)


display(check_apart(layers_apart))

of_four = layers_apart(
    torch.stack([each[:, 0] for each in inversions.values()])
)
display(
    Markdown(
        f"Excerpt E has {float(apart.max()):.0f}, the {len(apart)} candidates have {float(apart.mean()):.0f} in the mean, and the drawn ones have "
        + ", ".join(
            f"{far:.0f} ({name})"
            for far, (name, _) in zip(of_four, shown, strict=True)
        )
        + ". "
        + (
            "One that was drawn lies further apart still: E was chosen among sung excerpts only, of which the detector is sure."
            if of_four.max() > apart.max()
            else "What is chosen for being far out shows more than one usually gets."
        )
    )
)

# %% [markdown]
# (exercise-direction-of-time)=
# ### Exercise 2: Does it know which way time runs?
#
# *Medium, 15 minutes.*
#
# Reverse the originals in time, invert the reversed ones, and reverse the inversions again. Do they equal the inversions of the originals? Write `reversal_error(invert, x)`, where `invert` is a function from excerpts (n, 1, 115, 80) to their inversions: the NRE between the inversions of the originals, which count as the truth here, and those that you got by the detour.
#
# :::{dropdown} First hint
# There are two ways from the originals to an inversion: straight, and with time turned round before *and* after.
# :::
#
# :::{dropdown} Second hint
# Frames are the third axis: `x.flip(2)`. The straight way counts as the truth, so it comes first in `svdlib.nre`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_reversal(reversal_error):
    a = torch.randn(6, 1, 115, 80, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(0, 1, 80)

    def tilt_bands(pictures):
        return pictures * ramp

    def delay(pictures):
        return pictures.roll(3, dims=2) * ramp

    for name, invert in (("keeps", tilt_bands), ("delays", delay)):
        there = invert(a)
        back = invert(a.flip(2)).flip(2)
        right = svdlib.nre(there, back)
        got = float(reversal_error(invert, a.clone()))
        mistakes = {
            "Reverse the inversions again before you compare.": svdlib.nre(
                there, invert(a.flip(2))
            ),
            "You have reversed the frequencies. Time is the axis of 115 frames.": svdlib.nre(
                there, invert(a.flip(3)).flip(3)
            ),
            "Compare with the inversions of the originals, not with the originals.": svdlib.nre(
                a, back
            ),
            "Reverse the originals before you invert them.": svdlib.nre(
                there, there.flip(2)
            ),
        }
        if abs(got - right) < 1e-3:
            continue
        for sentence, wrong in mistakes.items():
            assert abs(got - wrong) > 1e-3, sentence
        raise AssertionError(
            f"An inverter that {name} every frame should give {right:.3f}; you get {got:.3f}."
        )
    return "An inverter that treats both directions alike gets 0, and one that delays does not."


# %% tags=["exercise"]
def reversal_error(invert, x):
    """NRE between inversions and those by way of reversed time."""
    ...


check_reversal(reversal_error)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def reversal_error(invert, x):
    return svdlib.nre(invert(x), invert(x.flip(2)).flip(2))


display(check_reversal(reversal_error))


def inverter_of(layer):
    def invert(pictures):
        one = {layer: inverters[layer]}
        return reconstruct(detector, one, pictures)[layer]

    return invert


some = bank.gather(bank.spread(24))
reversed_by = {
    layer: reversal_error(inverter_of(layer), some)
    for layer in ("conv5", "fc8")
}
display(
    Markdown(
        "The error is "
        + " and ".join(
            f"{error:.2f} at {layer_title(layer)}"
            for layer, error in reversed_by.items()
        )
        + ". A layer and an inverter that ignored the direction of time would give 0; with 1, the detour changes as much as another excerpt would. "
        + "Sounds begin suddenly and fade slowly, so the direction is useful to a detector. But the inverters' weights are learned, and not symmetric in time either: a part of the difference may be theirs."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018`, section 4, is the analysis that this chapter repeats.
# - {cite:t}`mahendran2015` and {cite:t}`dosovitskiy2016inverting` do the same for networks that see images.
