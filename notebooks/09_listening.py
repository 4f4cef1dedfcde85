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
# # Listening to layers
#
# **What do ears find in the inversions?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - how a spectrogram becomes a sound again, and what is lost on the way;
# - how to compare sounds fairly: equal level, and a known ceiling;
# - what your own ears find in the inversions, when they do not know which layer they hear.
#
# **Prerequisites:** {doc}`05_qualitative_analysis`. Headphones, and a quiet room.
#
# **Minutes:** 14 to read, 75 for the exercises, less than one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0
variant = "aligned"

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from itertools import product
from math import comb

import librosa
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.audio.mel_axis import FRAME_LENGTH, HOP_LENGTH
from svdlib.compute.devices import choose_device
from svdlib.inversion.nre import reconstruct
from svdlib.invert import match_level
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.lab.figures.gallery import Gallery, Panel, inversion_panels
from svdlib.lab.figures.style import layer_title
from svdlib.pages.exercises import self_check
from svdlib.pages.listening import (
    ListeningQuiz,
    Riddle,
    audible_difference,
    log_mel_of,
)
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 3, "laptop": 6, "full": None}[profile]
n_measured = {"demo": 6, "laptop": 24, "full": 64}[profile]

collection = svdlib.open_corpus(corpus)
tracks = collection.split("test")[:n_songs]
detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: inverter.to(device)
    for layer, inverter in svdlib.pretrained_inverters(variant).items()
}
songs = svdlib.load_songs(tracks)
bank = svdlib.ExcerptBank(
    songs, standardizer=detector.standardizer, device=device
)

# %% tags=["remove-input"]
if missing := one_class(tracks):
    display(Markdown(missing))

# %% [markdown]
# ## An excerpt with singing, and one without
#
# As in the chapter before, chance chooses them. Each comes twice: the recording itself, and a sound that was made from the recording's spectrogram alone. Only the ears can tell the two apart, for both have the same picture. No inversion can sound better than the second.

# %% tags=["hide-input"]
generator = np.random.default_rng(seed)
labels = bank.labels(torch.arange(len(bank), device=device)).cpu().numpy()
chosen = {
    name: int(generator.choice(np.flatnonzero(labels == sung)))
    for name, sung in (("without singing", False), ("with singing", True))
    if (labels == sung).any()
}


def recording_of(index):
    """Cut the samples of an excerpt out of its song."""
    song = int(bank.songs[index])
    start = int(bank.starts[index]) - int(bank.song_offsets[song])
    first = start * HOP_LENGTH
    length = 114 * HOP_LENGTH + FRAME_LENGTH
    return tracks[song].load()[first : first + length]


recordings = {name: recording_of(index) for name, index in chosen.items()}


def ceiling_panels(name):
    log_mel = log_mel_of(recordings[name])
    return [
        Panel(f"{name}: the recording", log_mel, samples=recordings[name]),
        Panel(
            f"{name}: the ceiling",
            log_mel,
            samples=match_level(
                svdlib.sonify(log_mel, seed=seed), recordings[name]
            ),
        ),
    ]


Gallery([panel for name in recordings for panel in ceiling_panels(name)])

# %% [markdown]
# ## From a spectrogram to a sound
#
# A log-mel spectrogram holds much less than the sound it was made from. Two things are gone.
#
# - **The fine frequencies.** Every frame had 513 magnitudes; 80 mel bands remain. There are many spectra with the same 80 values. We take one without negative magnitudes that fits them closely.
# - **The phases.** A magnitude says how strong an oscillation is, not where in its cycle it stands. The algorithm of Griffin and Lim starts with random phases, makes a sound, computes that sound's own phases, puts them together with the wanted magnitudes, and begins again {cite}`griffin1984`.
#
# How many rounds does it take? We compare the log-mel of the sound with the log-mel that was wanted. Our measure is the **audible difference**: the root mean square difference over all cells, in decibels, where everything 60 dB below the loudest cell counts as silence.

# %%
name = list(recordings)[-1]
wanted = log_mel_of(recordings[name])
rounds = (1, 2, 4, 8, 16, 32, 64)
costs = {
    n: audible_difference(
        wanted, log_mel_of(svdlib.sonify(wanted, iterations=n, seed=seed))
    )
    for n in rounds
}

# %% tags=["hide-input"] figure="griffin-lim-rounds" mystnb={"image": {"alt": "Line chart: audible difference in decibels between the wanted log-mel and that of the sound, over the number of rounds of Griffin and Lim's algorithm from 1 to 64. The sentence below gives the ends of the curve."}}
from svdlib.lab.figures.listening import figure_rounds

figure_rounds(costs)

# %% tags=["remove-input"]
best, usual = min(costs.values()), costs[32]
display(
    Markdown(
        f"After one round the sound is {costs[1]:.1f} dB away from what was wanted, after 32 rounds {usual:.1f} dB. Doubling them to 64 gives {costs[64]:.1f} dB. "
        + (
            "So more rounds hardly help: we take 32 everywhere in this book."
            if usual - costs[64] < 0.5
            else "More rounds would still help a little; 32 is what we take everywhere in this book, for the sake of time."
        )
    )
)

# %% [markdown]
# ## The ceiling
#
# So even the *original* spectrogram does not give the original sound back. What it gives, the second player of each pair at the top of this page, is the **ceiling**: no inversion can sound better than that, by this route. Always listen to the ceiling before you judge an inversion. If you blame a layer for a metallic ring that the ceiling has too, you blame the wrong one.
#
# ## Equal level
#
# The louder of two sounds nearly always seems the better one, even if the difference is too small to be noticed as loudness. Inversions from deep layers are weak: an average is quieter than what it averages. So all players of this book are set to the same root mean square, except that what is nearly silent stays quiet. Here is what
# that changes.

# %% tags=["hide-input"]
x = bank.gather(torch.tensor(list(chosen.values()), device=device))
inversions = reconstruct(detector, inverters, x)
to_sound = detector.standardizer.inverse


def level(samples):
    """Root mean square in decibels, relative to full scale."""
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples))) + 1e-9)


def relative(samples):
    """Level relative to the ceiling, as text."""
    return f"{level(samples) - level(ceiling):+z.1f} dB"


row = len(chosen) - 1  # the excerpt with singing, if there is one
sounds = {
    layer: svdlib.sonify(to_sound(x_hat[row, 0]).cpu(), seed=seed)
    for layer, x_hat in inversions.items()
}
ceiling = svdlib.sonify(to_sound(x[row, 0]).cpu(), seed=seed)

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "sound": "ceiling" if layer is None else layer_title(layer),
            "level as it comes": relative(sound),
            "level in the players": relative(match_level(sound, ceiling)),
        }
        for layer, sound in ({None: ceiling} | sounds).items()
    ]
).style.hide(axis="index")

# %% [markdown]
# Levels are relative to the ceiling. The cost of fairness: the players no longer tell how weak an inversion is. The pictures do.
#
# ## All layers
#
# Go from FC8 up to the ceiling, not the other way round: once you know the original, you hear it in everything.

# %% tags=["hide-input"]
for row, name in enumerate(chosen):
    kept = {
        layer: inversions[layer][row, 0] for layer in reversed(svdlib.LAYERS)
    }
    deep_first = inversion_panels(
        detector.standardizer, x[row, 0], kept, name.capitalize()
    )
    display(Gallery([*deep_first[1:], deep_first[0]]))

# %% [markdown]
# The last panel of each group is the ceiling. How far are the others from it, in decibels? The figure has two curves, over more excerpts than you hear. *Pictures*: the audible difference of the inversion from the original, as spectrograms. *Sounds*: the same after both went the way to sound and back.

# %% tags=["hide-input"]
measured = torch.as_tensor(
    generator.permutation(len(bank))[:n_measured], device=device
)
many_x = bank.gather(measured)
many = reconstruct(detector, inverters, many_x)


def through_sound(log_mel):
    return log_mel_of(svdlib.sonify(log_mel, seed=seed))


originals = [to_sound(each[0]).cpu() for each in many_x]
ceilings = [through_sound(each) for each in originals]
route = float(
    np.mean(
        [
            audible_difference(a, b)
            for a, b in zip(originals, ceilings, strict=True)
        ]
    )
)
apart = {}
for layer, x_hat in many.items():
    inverted = [to_sound(each[0]).cpu() for each in x_hat]
    heard = [through_sound(each) for each in inverted]
    apart[layer] = (
        np.mean(
            [
                audible_difference(a, b)
                for a, b in zip(originals, inverted, strict=True)
            ]
        ),
        np.mean(
            [
                audible_difference(a, b)
                for a, b in zip(ceilings, heard, strict=True)
            ]
        ),
    )

# %% tags=["hide-input"] figure="audible-differences" mystnb={"image": {"alt": "Audible difference in decibels over the layers from Conv1 to FC8, for pictures and for sounds, with a line for what the way to sound costs the original. The table below gives the values."}}
from svdlib.lab.figures.listening import figure_differences

figure_differences(apart, route)

# %% tags=["remove-input"]
below = [
    layer_title(layer)
    for layer, (picture, _) in apart.items()
    if picture < route
]
display(
    pd.DataFrame(
        [
            {
                "layer": layer_title(layer),
                "picture (dB)": f"{picture:.1f}",
                "sound (dB)": f"{sound:.1f}",
            }
            for layer, (picture, sound) in apart.items()
        ]
    ).style.hide(axis="index")
)
display(
    Markdown(
        f"Means over {len(originals)} excerpts. The way to sound alone changes an original by {route:.1f} dB. "
        + (
            f"The inversions of {', '.join(below)} are nearer to their originals than that: what you hear there is the limit of the route, not of the layer."
            if below
            else "No inversion is nearer to its original than that, so by this measure the route never hides a layer's loss."
        )
        + (
            " Both curves lie close together: the way to sound costs an inversion about what it costs its original, so that pictures and sounds tell the same story."
            if max(abs(picture - sound) for picture, sound in apart.values())
            < route / 2
            else " The two curves differ: for some layers, the way to sound changes the inversion more than the original."
        )
    )
)

# %% [markdown]
# ## First guess, then look
#
# Five sounds follow, in random order, all at the same level. They come from the excerpt with singing, or from another one of its song. For each, note your guess before you open the answer. There is no reward for being right. What counts is what you went by: rhythm, pitch, a voice, or only the timbre of the machine?

# %% tags=["hide-input"]
choices = ["ceiling", "conv2", "conv5", "fc7", "fc8"]
order = generator.permutation(choices)


def name_of(choice):
    return "The original" if choice == "ceiling" else layer_title(choice)


row = len(chosen) - 1
comments = {
    "ceiling": "Nothing is lost but what the way to sound loses.",
    "conv2": "Two convolutions undo almost perfectly: this is hard to tell from the original.",
    "conv5": "Time and pitch are there; the attacks are soft.",
    "fc7": "A rough rhythm, hardly a pitch.",
    "fc8": "What the inverter connects with the answer, and little of this very excerpt.",
}
riddles = []
for choice in order:
    picture = x[row, 0] if choice == "ceiling" else inversions[choice][row, 0]
    panel = Panel(
        name_of(choice), to_sound(picture).cpu(), standardised=picture.cpu()
    )
    riddles.append(Riddle(panel, name_of(choice), comments[choice]))

ListeningQuiz(riddles, [name_of(choice) for choice in choices])

# %% [markdown]
# The sentences in the answers are our expectation, written before we listened. If you hear something else, trust your ears and look for a reason.
#
# ### Is there a voice?
#
# The detector answers one question: does somebody sing in the middle of the excerpt? Here are four inversions from FC7. Two come from excerpts that the detector calls vocal, two from others. Can you hear which?

# %% tags=["hide-input"]
with torch.no_grad():
    answers = torch.sigmoid(detector(many_x))[:, 0].cpu().numpy()
surest = answers.argsort()
picked = generator.permutation([*surest[:2], *surest[-2:]])
voice_riddles = [
    Riddle(
        Panel(
            f"Excerpt {number}, from FC7",
            to_sound(many["fc7"][index, 0]).cpu(),
            standardised=many["fc7"][index, 0].cpu(),
        ),
        "vocal" if answers[index] > detector.threshold else "not vocal",
        f"The detector gave the original a probability of {answers[index]:.2f}.",
    )
    for number, index in enumerate(picked, start=1)
]
ListeningQuiz(voice_riddles, ["vocal", "not vocal"])

# %% [markdown]
# You know that two of the four are vocal, so there are six ways to choose them. Guessing gets all four right once in six tries. So four right answers are hardly a hint, and no proof that the inversions *sound* vocal. To make a test of it, play twenty or more to several people who know neither the detector nor you.
#
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "An inversion has a metallic ring. What should you do first?",
        [
            Answer(
                "Listen to the ceiling.",
                "It went the same way to sound, from the original spectrogram. If it rings as well, the layer is not to blame.",
                right=True,
            ),
            Answer(
                "Run more rounds of Griffin and Lim's algorithm.",
                "That may take some of the ring away. It does not tell you whether the layer or the way to sound made it.",
            ),
            Answer(
                "Compare with the recording.",
                "The recording never was a spectrogram. What is missing beside it may be the loss of the layer or the loss of the route: you cannot tell which.",
            ),
        ],
    ),
    Question(
        "Which phases does Griffin and Lim's algorithm find?",
        [
            Answer(
                "Phases that go well with the wanted magnitudes.",
                "Overlapping frames allow only some combinations. But there are many, and which one comes out depends on the random start.",
                right=True,
            ),
            Answer(
                "Those of the recording, after enough rounds.",
                "A log-mel spectrogram does not hold them, so no number of rounds brings them back. They are made up.",
            ),
            Answer(
                "Those that the layer has kept.",
                "The detector hears a log-mel spectrogram. Phases were gone before the first layer.",
            ),
        ],
    ),
    Question(
        "Why do all players play at the same level?",
        [
            Answer(
                "Because the louder of two sounds tends to seem the better one.",
                "And inversions from deep layers are weaker. Without this you would compare levels and take them for quality.",
                right=True,
            ),
            Answer(
                "Because a log-mel spectrogram does not hold the level.",
                "It does: a louder sound has larger values everywhere. The level is set equal on purpose, and the pictures still show it.",
            ),
            Answer(
                "Because all inversions have about the same level anyway.",
                "They have not: an average is weaker than what it averages, and deep layers average much.",
            ),
        ],
    ),
    Question(
        "Two inversions have the same audible difference from their original. What follows?",
        [
            Answer(
                "They are equally far from it, perhaps in different ways.",
                "One may lack the attacks, the other the pitch. A number in decibels does not say which.",
                right=True,
            ),
            Answer(
                "They sound much the same.",
                "Two places at the same distance from a town need not be near each other. The same holds for sounds.",
            ),
            Answer(
                "Their layers have kept the same features of the sound.",
                "How much is lost says little about what is lost. For that there are your ears, and the analyses of the other chapters.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A spectrogram has no phases and only 80 bands. Its sound is made up in part, even for an original. Know the ceiling.
# - Set levels equal before you compare.
# - Guess before you look. Eyes tell ears what to hear.
# - A number in decibels says how far two sounds are apart, not what is missing.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.
#
# (exercise-equal-level)=
# ### Exercise 1: Equal level
#
# *Easy, 10 minutes.*
#
# Write `at_level(samples, decibels)`: the samples, a NumPy array, scaled so that their root mean square lies `decibels` relative to full scale. At 0 dB the root mean square is 1.
#
# :::{dropdown} First hint
# Bring the sound to 0 dB first. What do you divide by?
# :::
#
# :::{dropdown} Second hint
# Divide by the root of the mean of the squares. Then multiply by 10 to the power of `decibels / 20`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_at_level(at_level):
    noise = np.random.default_rng(1).normal(0, 0.02, 5000)
    for decibels in (-30.0, -12.0):
        got = np.asarray(at_level(noise.copy(), decibels))
        assert got.shape == noise.shape, "Return all the samples, scaled."
        assert np.corrcoef(got, noise)[0, 1] > 0.999999, (
            "Scale the sound, do not change its shape."
        )
        reached = level(got)
        hints = {
            2 * decibels: "A factor of ten in amplitude is 20 dB, not 10.",
            level(noise)
            + decibels: "You change the level by so many decibels. Take away the level that the sound has already.",
            decibels
            - 20
            * np.log10(
                np.abs(noise).max() / noise.std()
            ): "You scale by the peak. Use the root mean square.",
            decibels
            - level(
                noise
            ): "Divide by the root mean square, not by the mean square.",
        }
        hint = [
            text
            for value, text in hints.items()
            if abs(value - reached) < 0.02
        ]
        assert abs(reached - decibels) < 0.01, (
            f"Asked for {decibels} dB, the sound has {reached:.2f} dB. {''.join(hint[:1])}"
        )


# %% tags=["exercise"]
def at_level(samples, decibels):
    """The samples at a level in decibels relative to full scale."""
    ...


check_at_level(at_level)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def at_level(samples, decibels):
    rms = np.sqrt(np.mean(np.square(samples)))
    return samples * 10 ** (decibels / 20) / rms


check_at_level(at_level)

# %% [markdown]
# (exercise-by-guessing)=
# ### Exercise 2: How many right answers are enough?
#
# *Easy, 15 minutes.*
#
# You play sounds to somebody who says "vocal" or "not vocal" to each. Write `by_guessing(right, sounds)`: the probability that at least `right` of the answers are right if each comes from tossing a coin. How many of 20 must be right, so that this is below 5 %?
#
# :::{dropdown} First hint
# All sequences of right and wrong are equally likely. In how many of them are exactly *n* right?
# :::
#
# :::{dropdown} Second hint
# `comb(sounds, n)` counts them. Add up for *n* from `right` to `sounds`, both included, and divide by the number of all sequences.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_by_guessing(by_guessing):
    for sounds in (4, 1, 7):
        # Count among all ways that the coins can fall.
        counts = [sum(way) for way in product((0, 1), repeat=sounds)]
        middle_first = sorted(
            range(sounds + 1), key=lambda right: abs(right - sounds / 2)
        )
        for right in middle_first:
            got = float(by_guessing(right, sounds))
            expected = np.mean([count >= right for count in counts])
            exactly = np.mean([count == right for count in counts])
            more = np.mean([count > right for count in counts])
            hint = ""
            if abs(got - exactly) < 1e-6:
                hint = "That is the probability of exactly so many: more would be as good."
            elif abs(got - more) < 1e-6:
                hint = "That is the probability of more than so many."
            elif abs(got - 0.5**right) < 1e-6:
                hint = "That is the probability that these very answers are right. There are many ways to choose them."
            assert abs(got - expected) < 1e-6, (
                f"At least {right} of {sounds} has the probability {expected:.4f}, not {got:.4f}. {hint}"
            )


# %% tags=["exercise"]
def by_guessing(right, sounds):
    """Probability of at least so many right answers by chance."""
    ...


check_by_guessing(by_guessing)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def by_guessing(right, sounds):
    ways = sum(comb(sounds, n) for n in range(right, sounds + 1))
    return ways / 2**sounds


display(check_by_guessing(by_guessing))
enough = min(n for n in range(21) if by_guessing(n, 20) < 0.05)
display(
    Markdown(
        f"All 4 of 4 happen by chance in {by_guessing(4, 4):.1%} of all tries. Of 20, {enough} must be right: by chance this happens in {by_guessing(enough, 20):.1%}. And mind what the listener knows: who was told that two of four sounds are vocal, and marks two, has only {comb(4, 2)} ways to choose, so that all four are right in {1 / comb(4, 2):.1%} of all tries. So do not tell, and toss a coin for each sound that you play."
    )
)

# %% [markdown]
# (exercise-audible)=
# ### Exercise 3: What counts as silence
#
# *Medium, 15 minutes.*
#
# Write the measure of this chapter yourself: `difference(log_mel, other)` gets two log-mels of one shape, natural logarithms of magnitudes, and returns the root mean square difference over all cells in decibels. Before, whatever lies more than 60 dB below the loudest cell *of the first* is raised to that level, in both.
#
# :::{dropdown} First hint
# A natural logarithm of 1 is how many decibels? Find the floor in natural logarithms, from the loudest cell of the first.
# :::
#
# :::{dropdown} Second hint
# The unit is `20 / np.log(10)` dB. Raise both with `clamp(min=floor)`, and take the root of the mean of the squared differences.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_difference(difference):
    unit = 20 / np.log(10)  # decibels of one natural unit
    flat = torch.zeros(4, 80)
    half = flat.clone()
    half[:2] = 1.0
    loud_cell = torch.full((4, 80), -30.0)
    loud_cell[0, 0] = 0.0
    cases = [
        (flat, flat + 1, unit, "One natural unit everywhere"),
        (
            flat,
            half,
            unit * 0.5**0.5,
            "One natural unit in half of the cells",
        ),
        (flat, flat - 50, 60.0, "A sound against deep silence"),
        (
            loud_cell,
            loud_cell - 3.0,
            3 * unit / 320**0.5,
            "One cell is loud, all others are silence, and the other sound is softer",
        ),
        (flat - 4, flat + 4, 8 * unit, "The second is louder by 8 units"),
    ]
    for one, other, expected, what in cases:
        got = float(difference(one.clone(), other.clone()))
        hint = ""
        if abs(got * unit - expected) < 0.01:
            hint = "You have natural units; one is about 8.7 dB."
        elif abs(got - expected / 2) < 0.01:
            hint = (
                "These are magnitudes, not powers: a factor of ten is 20 dB."
            )
        elif what.startswith("A sound"):
            hint = "What is silent is raised to 60 dB below the loudest cell of the first, in both."
        elif what.startswith("One cell"):
            hint = "The silence counts from the loudest cell of the first, for both sounds."
        elif "louder" in what:
            hint = "Only the loudest cell of the first says what silence is."
        elif "half" in what:
            hint = "The mean is taken of the squares, then the root."
        assert abs(got - expected) < 0.01, (
            f"{what}: the difference is {expected:.2f} dB; you have {got:.2f}. {hint}"
        )


# %% tags=["exercise"]
def difference(log_mel, other):
    """Root mean square difference of what is audible, in decibels."""
    ...


check_difference(difference)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def difference(log_mel, other):
    unit = 20 / np.log(10)
    floor = float(log_mel.max()) - 60 / unit
    apart = log_mel.clamp(min=floor) - other.clamp(min=floor)
    return unit * float(apart.square().mean().sqrt())


display(check_difference(difference))
there, back = difference(*originals[:2]), difference(*originals[1::-1])
display(
    Markdown(
        f"Of two of the measured excerpts, the second is {there:.2f} dB from the first, and the first {back:.2f} dB from the second. The two numbers need not be the same, as silence depends on the loudest cell of the *first*. So it matters which one is taken as the original."
    )
)

# %% [markdown]
# (exercise-typical-difference)=
# ### Exercise 4: A ceiling for the eye
#
# *Medium, 15 minutes.*
#
# By how much do two *different* excerpts differ? Write `typical_difference(log_mels)`: the mean of `audible_difference` over all ordered pairs of different spectrograms in a list, so each pair in both orders. Compare it with what the chapter measured for FC8, as pictures.
#
# :::{dropdown} First hint
# The measure is not symmetric, so (a, b) and (b, a) count both. Which pairs must not count?
# :::
#
# :::{dropdown} Second hint
# Two loops over `enumerate(log_mels)`, without those where both numbers are equal. Then the mean.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_typical_difference(typical_difference):
    unit = 20 / np.log(10)
    for heights, distances in (
        ((0, 1, 3), [unit, unit, 2 * unit, 2 * unit, 3 * unit, 3 * unit]),
        # From the loud one the other is silence: 60 dB. Not so back.
        ((0, -20), [60.0, 20 * unit]),
    ):
        flat = [torch.full((3, 80), float(height)) for height in heights]
        got, expected = float(typical_difference(flat)), np.mean(distances)
        n = len(heights)
        hint = ""
        if abs(got - expected * (n - 1) / n) < 0.01:
            hint = "You count the distance of each to itself as well."
        elif min(abs(got - distance) for distance in distances) < 0.01:
            hint = (
                "Take both orders: the first of a pair says what silence is."
            )
        elif abs(got - expected * len(distances)) < 0.01:
            hint = "That is the sum."
        assert abs(got - expected) < 0.01, (
            f"For flat spectra at the heights {heights} it is {expected:.2f} dB; you have {got:.2f} dB. {hint}"
        )


# %% tags=["exercise"]
def typical_difference(log_mels):
    """Mean audible difference of different spectrograms, in decibels."""
    ...


check_typical_difference(typical_difference)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def typical_difference(log_mels):
    return np.mean(
        [
            audible_difference(a, b)
            for i, a in enumerate(log_mels)
            for j, b in enumerate(log_mels)
            if i != j
        ]
    )


display(check_typical_difference(typical_difference))
usual, deepest = typical_difference(originals), apart["fc8"][0]
display(
    Markdown(
        f"Two of these excerpts are {usual:.1f} dB apart, and an inversion from FC8 is {deepest:.1f} dB from its original. "
        + (
            "So it is nearer than another excerpt would be. That need not be knowledge of this excerpt: an average of all is nearer to each than they are to one another."
            if deepest < usual
            else "So any other excerpt would do as well, by this measure."
        )
    )
)

# %% [markdown]
# (exercise-phase-cost)=
# ### Exercise 5: What costs more?
#
# *Medium, 20 minutes.*
#
# The way to sound has two steps: from 80 bands to 513 magnitudes, and from magnitudes to phases. What do the phases alone cost? Write `phase_cost(samples)`:
#
# - take the magnitudes of the short-time Fourier transform of the sound (`librosa.stft`, frames of 1024 samples, a step of 315, no centring);
# - give them to `librosa.griffinlim`, with the same frames and 32 rounds;
# - cut both sounds to the same length, and take their log-mels with `log_mel_of`;
# - return the audible difference of the two, without the first and last four frames: at the ends few frames overlap.
#
# :::{dropdown} First hint
# The steps of the list, one after the other. Magnitudes are the sizes of complex numbers, and phases are what is lost with them.
# :::
#
# :::{dropdown} Second hint
# Put `n_fft`, `hop_length` and `center=False` into a dictionary, and give it to both functions. Cut the sounds to the shorter length before `log_mel_of`; then leave out four frames at either end with a slice.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
def by_own_rounds(samples, hop=HOP_LENGTH, rounds=32):
    """Audible difference after Griffin and Lim's rounds, in momentum."""
    frames = {"n_fft": FRAME_LENGTH, "hop_length": hop, "center": False}
    wanted = np.abs(librosa.stft(samples, **frames))
    turns = np.random.default_rng(8).random(wanted.shape)
    phases, before = np.exp(2j * np.pi * turns), 0.0
    for _ in range(rounds):
        sound = librosa.istft(wanted * phases, **frames)
        found = librosa.stft(sound, **frames)
        phases = found - 0.99 / 1.99 * before
        phases, before = phases / (np.abs(phases) + 1e-12), found
    sound = librosa.istft(wanted * phases, **frames)
    return audible_difference(
        *(log_mel_of(each[: len(sound)])[4:-4] for each in (samples, sound))
    )


@self_check
def check_phase_cost(phase_cost):
    # On noise the cost depends little on the random start.
    noise = np.random.default_rng(0).normal(0, 0.1, 30000)
    got, expected = float(phase_cost(noise.copy())), by_own_rounds(noise)
    log_mel = log_mel_of(noise)
    whole = audible_difference(log_mel, through_sound(log_mel))
    hint = "Is it 32 rounds, without centring, with frames of 1024 and a step of 315, in both functions?"
    if abs(got - whole) < 0.03:
        hint = (
            "That is what the whole way costs. Begin with all 513 magnitudes."
        )
    elif got > 4:
        hint = "Do you give magnitudes to the algorithm, the absolute values and not their squares or logarithms?"
    elif abs(got - by_own_rounds(noise, hop=256)) < 0.05:
        hint = "Is the step 315 in both functions, and all that the text does not name as librosa sets it?"
    elif got < 0.1:
        hint = "Without phases, something must be lost. Do you take absolute values?"
    assert abs(got / expected - 1) < 0.12, (
        f"For noise, the phases should cost about {expected:.2f} dB; you have {got:.2f} dB. {hint}"
    )


# %% tags=["exercise"]
def phase_cost(samples):
    """What the loss of the phases alone costs, in decibels."""
    ...


check_phase_cost(phase_cost)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def phase_cost(samples):
    frames = {
        "n_fft": FRAME_LENGTH,
        "hop_length": HOP_LENGTH,
        "center": False,
    }
    magnitudes = np.abs(librosa.stft(samples, **frames))
    sound = librosa.griffinlim(
        magnitudes, n_iter=32, random_state=0, **frames
    )
    length = min(len(sound), len(samples))
    inner = slice(4, -4)  # at the ends few frames overlap
    return audible_difference(
        log_mel_of(samples[:length])[inner], log_mel_of(sound[:length])[inner]
    )


display(check_phase_cost(phase_cost))
lines = []
for name, samples in recordings.items():
    log_mel = log_mel_of(samples)
    whole = audible_difference(log_mel, through_sound(log_mel))
    lines.append(
        f"{name}: the phases {phase_cost(samples):.1f} dB, the whole way {whole:.1f} dB"
    )
display(
    Markdown(
        "- "
        + "\n- ".join(lines)
        + "\n\nThe costs of the two steps need not add up: differences are squared before they are averaged."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`griffin1984` is the algorithm that finds the phases.
# - {cite:t}`mishra2018` name sound from inversions as future work (section 5).
