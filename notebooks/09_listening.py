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
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - how a spectrogram becomes a sound again, and what is lost on the way;
# - how to compare sounds fairly: equal level, and a known ceiling;
# - what your own ears find in the inversions, when they do not know which layer they hear.
#
# **Prerequisites:** {doc}`05_qualitative_analysis`. Headphones, and a quiet room.
#
# **Minutes:** 40 to listen and try; about one to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0
variant = "aligned"

# %%
import librosa
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.audio import FRAME_LENGTH, HOP_LENGTH
from svdlib.devices import choose_device
from svdlib.gallery import Gallery, Panel, inversion_panels
from svdlib.invert import match_level
from svdlib.listening import (
    ListeningQuiz,
    Riddle,
    audible_difference,
    log_mel_of,
)
from svdlib.style import layer_title

device = choose_device(device)
n_songs = {"demo": 3, "laptop": 6, "full": None}[profile]
n_measured = {"demo": 6, "laptop": 24, "full": 64}[profile]

# %%
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

# %% [markdown]
# ## An excerpt with singing, and one without
#
# As in the chapter before, chance chooses them. We also cut the same 1.6 seconds out of the recording itself.

# %%
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
from svdlib.figures_listening import figure_rounds

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
# So even the *original* spectrogram does not give the original sound back. What it gives is the **ceiling**: no inversion can sound better than that, by this route. Always listen to the ceiling before you judge an inversion. If you blame a layer for a metallic ring that the ceiling has too, you blame the wrong one.


# %%
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
# The two pictures of a pair are the same, because the second sound was made from the picture of the first. Only the ears can tell them apart.
#
# ## Equal level
#
# The louder of two sounds nearly always seems the better one, even if the difference is too small to be noticed as loudness. Inversions from deep layers are weak: an average is quieter than what it averages. So all players of this book are set to the same root mean square, except that what is nearly silent stays quiet. Here is what
# that changes.

# %%
x = bank.gather(torch.tensor(list(chosen.values()), device=device))
inversions = svdlib.reconstruct(detector, inverters, x)
to_sound = detector.standardizer.inverse


def level(samples):
    """Root mean square in decibels, relative to full scale."""
    return 20 * np.log10(np.sqrt(np.mean(np.square(samples))) + 1e-9)


def relative(samples):
    """Level relative to the ceiling, as text."""
    return f"{round(level(samples) - level(ceiling), 1) + 0.0:+.1f} dB"


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
# The last panel of each group is the ceiling. How far are the others from it, in decibels? The table has two columns, over more excerpts than you hear. *Picture*: the audible difference of the inversion from the original, as spectrograms. *Sound*: the same after both went the way to sound and back.

# %%
measured = torch.as_tensor(
    generator.permutation(len(bank))[:n_measured], device=device
)
many_x = bank.gather(measured)
many = svdlib.reconstruct(detector, inverters, many_x)


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

# %% tags=["hide-input"] figure="audible-differences" mystnb={"image": {"alt": "Audible difference in decibels over the layers from Conv1 to FC8, for pictures and for sounds, with a line for what the way to sound costs the original. The text below gives the values."}}
from svdlib.figures_listening import figure_differences

figure_differences(apart, route)

# %% tags=["remove-input"]
below = [
    layer_title(layer)
    for layer, (picture, _) in apart.items()
    if picture < route
]
text = ", ".join(
    f"{layer_title(layer)} {picture:.1f} / {sound:.1f}"
    for layer, (picture, sound) in apart.items()
)
display(
    Markdown(
        f"Mean over {len(originals)} excerpts, in dB, picture / sound: {text}. The way to sound alone changes an original by {route:.1f} dB. "
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

# %%
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

# %%
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
        "vocal"
        if answers[index] > detector.provenance["threshold"]
        else "not vocal",
        f"The detector gave the original a probability of {answers[index]:.2f}.",
    )
    for number, index in enumerate(picked, start=1)
]
ListeningQuiz(voice_riddles, ["vocal", "not vocal"])

# %% [markdown]
# With four sounds, guessing gets two right on average, and all four once in sixteen tries. So four right answers are a hint, not a proof that the inversions *sound* vocal. To make a test of it, play twenty or more to several people who know neither the detector nor you.
#
# ## Take-away
#
# - A spectrogram has no phases and only 80 bands. Its sound is made up in part, even for an original. Know the ceiling.
# - Set levels equal before you compare.
# - Guess before you look. Eyes tell ears what to hear.
# - A number in decibels says how far two sounds are apart, not what is missing.
#
# ## Exercises
#
# Each exercise has a function `check_…` that tests your answer. Write your answer into a new cell and hand it to the check. The solutions are folded; they are run whenever this book is built.
#
# **1. Equal level** (easy, 10 minutes). Write `at_level(samples, decibels)`: the samples scaled so that their root mean square lies `decibels` relative to full scale (0 dB is a root mean square of 1).


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the check"}
def check_at_level(at_level):
    noise = np.random.default_rng(1).normal(0, 0.02, 5000)
    for decibels in (-30.0, -12.0):
        got = at_level(noise, decibels)
        assert abs(level(got) - decibels) < 0.01, (
            f"Asked for {decibels} dB, the sound has {level(got):.2f} dB."
        )
        shape = np.corrcoef(got, noise)[0, 1]
        assert shape > 0.999999, "Scale the sound, do not change its shape."
    return "Right."


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the solution"}
def at_level(samples, decibels):
    rms = np.sqrt(np.mean(np.square(samples)))
    return samples * 10 ** (decibels / 20) / rms


check_at_level(at_level)

# %% [markdown]
# **2. What costs more?** (medium, 20 minutes) The route has two steps: from 80 bands to 513 magnitudes, and from magnitudes to phases. Find out what the phases alone cost. Write `phase_cost(samples)`: take the magnitudes of the short-time Fourier transform of a recording (frames of 1024 samples, a step of 315, no centring), give them to `librosa.griffinlim` with 32 rounds,
# and return the audible difference between the log-mel of the recording and that of the new sound. Cut both sounds to the same length.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the check"}
def check_phase_cost(phase_cost):
    times = np.arange(30000) / 22050
    sound = 0.2 * np.sin(2 * np.pi * 440 * times) + np.random.default_rng(
        0
    ).normal(0, 0.01, 30000)
    got = phase_cost(sound)
    whole = audible_difference(
        log_mel_of(sound), through_sound(log_mel_of(sound))
    )
    assert 0.05 < got < whole, (
        f"The phases alone should cost something, but less than the whole route ({whole:.1f} dB); you have {got:.2f} dB."
    )
    return "That is plausible."


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the solution"}
def phase_cost(samples):
    frames = {"hop_length": HOP_LENGTH, "center": False}
    magnitudes = np.abs(librosa.stft(samples, n_fft=FRAME_LENGTH, **frames))
    sound = librosa.griffinlim(
        magnitudes, n_iter=32, n_fft=FRAME_LENGTH, random_state=0, **frames
    )
    length = min(len(sound), len(samples))
    inner = slice(4, -4)  # at the ends few frames overlap
    return audible_difference(
        log_mel_of(samples[:length])[inner], log_mel_of(sound[:length])[inner]
    )


print(check_phase_cost(phase_cost))
for name, samples in recordings.items():
    log_mel = log_mel_of(samples)
    whole = audible_difference(log_mel, through_sound(log_mel))
    print(
        f"{name}: phases {phase_cost(samples):.1f} dB, the whole route {whole:.1f} dB"
    )

# %% [markdown]
# **3. A ceiling for the eye** (medium, 15 minutes). By how much would two *different* excerpts differ? Write `typical_difference(log_mels)`: the mean audible difference over all ordered pairs of different spectrograms in a list. Compare it with the column *picture* for FC8.


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the check"}
def check_typical_difference(typical_difference):
    levels = [torch.full((3, 80), float(value)) for value in (0, 1, 3)]
    expected = 20 / np.log(10) * (1 + 3 + 2) * 2 / 6
    got = typical_difference(levels)
    assert abs(got - expected) < 0.01, (
        f"For three flat spectra it is {expected:.2f} dB; you have {got:.2f} dB."
    )
    return "Right."


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the solution"}
def typical_difference(log_mels):
    return np.mean(
        [
            audible_difference(a, b)
            for i, a in enumerate(log_mels)
            for j, b in enumerate(log_mels)
            if i != j
        ]
    )


print(check_typical_difference(typical_difference))
print(
    f"two excerpts: {typical_difference(originals):.1f} dB, FC8: {apart['fc8'][0]:.1f} dB"
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`griffin1984` is the algorithm that finds the phases.
# - {cite:t}`mishra2018` name sound from inversions as future work (section 5).
