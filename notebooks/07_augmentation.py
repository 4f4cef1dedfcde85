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
# # Changing a song without changing its label
#
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - why a detector learns better from songs that are changed at random;
# - seven ways to change a spectrogram, what each looks like and how it sounds;
# - why pitch is changed before the mel filters and not after them;
# - how to check that a change leaves the label true.
#
# **Prerequisites:** {doc}`01_model`. Headphones.
#
# **Minutes:** 30 to read, listen and try; less than one to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %%
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display

import svdlib
from svdlib import figures_augmentation as figures
from svdlib.audio import EXCERPT_FRAMES
from svdlib.corpora.base import frame_labels
from svdlib.devices import choose_device
from svdlib.figures_augmentation import before_after
from svdlib.gallery import Gallery
from svdlib.published_augmentation import (
    ALL_SEVEN,
    NO_AUGMENTATION,
    PublishedAugmentation,
    amplify,
    filter_response,
    mix_in,
)
from svdlib.spectra import (
    compress,
    magnitude_spectra,
    mel_magnitudes,
    scale_axes,
)

device = choose_device(device)
detector = svdlib.pretrained("detector").to(device)
n_songs = {"demo": 2, "laptop": 6, "full": 16}[profile]
n_excerpts = {"demo": 32, "laptop": 128, "full": 1024}[profile]

# %% [markdown]
# ## Why change songs?
#
# A training set of sixty songs has a million frames. That sounds like much. But the frames of one song share one singer, one key, one microphone and one loudness. A detector may notice that a certain bass line goes with singing, and be right on all
# training songs. On the next song it is wrong.
#
# So we change the songs while the detector learns. Every time it meets an excerpt, the excerpt is a little higher, or slower, or duller. What it cannot rely on any more, it has to do without. There is one condition: **the label must stay true**. A song that is
# transposed is still sung where it was sung.
#
# {cite:t}`schluter2015` tried seven such changes for singing voice detection. Here are all seven. Each player plays the excerpt first as it is and then changed, from the spectrogram, as everywhere in this book.

# %%
tracks = svdlib.open_corpus(corpus).split("test")[:n_songs]
margin = ALL_SEVEN.margin()  # what a change of tempo reads around an excerpt


def spectra_and_labels(track):
    """Magnitudes with silence around them, and how much of each excerpt is sung."""
    spectra = magnitude_spectra(track.load())
    labels = frame_labels(track.segments, len(spectra))
    shares = np.convolve(labels, np.ones(EXCERPT_FRAMES), "valid")
    padded = F.pad(spectra, (0, 0, margin, margin))
    return padded, labels, shares / EXCERPT_FRAMES


def window(padded, start):
    """The excerpt from a frame on, with the margins around it."""
    return padded[start : start + EXCERPT_FRAMES + 2 * margin]


generator = np.random.default_rng(seed)
songs = [spectra_and_labels(track) for track in tracks]
padded, labels, shares = songs[0]
sung_at = generator.choice(np.flatnonzero(shares == shares.max()))
unsung_at = generator.choice(np.flatnonzero(shares == shares.min()))
sung, unsung = window(padded, sung_at), window(padded, unsung_at)


def log_mel_of(wide):
    """The log-mel of the excerpt in the middle of a window."""
    return compress(mel_magnitudes(wide[margin:-margin]))


original = log_mel_of(sung)

# %% [markdown]
# ## 1 and 2: Pitch and time
#
# A recording that is played faster gets higher. We want one without the other. On a spectrogram that is easy: stretch the picture upwards, and everything gets higher; stretch it sideways, and everything gets slower.
#
# It works on a *linear* frequency axis, and only there. The partials of a note lie at $f, 2f, 3f, \dots$ Transposed by a factor $p$, they lie at $pf, 2pf, 3pf, \dots$ So every partial moves by the same factor, and the whole axis is scaled. On the mel axis low
# partials would have to move by other distances than high ones. Therefore the detector's front end is taken apart: magnitudes, **change**, mel filters, logarithm.


# %%
def transposed_and_stretched(wide, pitch=1.0, stretch=1.0):
    factors = torch.tensor([pitch]), torch.tensor([stretch])
    changed = scale_axes(wide[None], *factors, EXCERPT_FRAMES)
    return compress(mel_magnitudes(changed))[0]


# %% tags=["hide-input"]
Gallery(
    [
        before_after(
            f"pitch {name}",
            original,
            transposed_and_stretched(sung, pitch=factor),
            note=f"{abs(12 * np.log2(factor)):.1f} semitones {direction}.",
        )
        for name, factor, direction in (
            ("−30 %", 0.7, "down"),
            ("+30 %", 1.3, "up"),
        )
    ]
    + [
        before_after(
            f"duration {name}",
            original,
            transposed_and_stretched(sung, stretch=factor),
            note=note,
        )
        for name, factor, note in (
            ("−30 %", 0.7, "Faster."),
            ("+30 %", 1.3, "Slower."),
        )
    ]
)

# %% [markdown]
# And here with the strength in your hand:

# %% tags=["hide-input"]
from svdlib.explorer import layer_explorer

strengths = {"−30 %": 0.7, "−15 %": 0.85, "+15 %": 1.15, "+30 %": 1.3}
choices = {
    axis: [
        before_after(
            f"{axis} {name}",
            original,
            transposed_and_stretched(sung, **{axis: factor}),
        )
        for name, factor in strengths.items()
    ]
    for axis in ("pitch", "stretch")
}
layer_explorer(
    choices, list(strengths), menu_label="Change", steps_label="Strength"
)

# %% [markdown]
# Look at the lines: with the pitch they move up or down, and their distances grow or shrink with them. With the duration they stay where they are, and onsets move away from the middle or towards it. The middle itself stays, because the label is that of the middle frame.
#
# Notice what else moves with the pitch: the **formants**. A real singer who sings higher keeps the size of the head, and so nearly keeps the formants. A scaled spectrogram makes the head smaller as well. That is why +30 % sounds like a child. For our purpose this is welcome: a
# detector should know small heads too.
#
# After +30 % the top of the picture holds what lay below 6.2 kHz. After −30 % it needs what lay above 8 kHz, up to 11 kHz; a log-mel no longer has that, but the linear spectrum does.
#
# ## 3: A random filter
#
# Microphones, rooms and producers make some frequencies stronger and others weaker. A Gaussian bump stands for them. Its centre lies anywhere between 150 Hz and 8 kHz, drawn evenly *on the logarithmic scale*. Its width is 5 to 7 semitones (one standard deviation), its
# height up to 10 dB, upwards or downwards.

# %%
drawn = torch.Generator().manual_seed(seed)
centres = 150 * (8000 / 150) ** torch.rand(4, generator=drawn)
widths = 5 + 2 * torch.rand(4, generator=drawn)
gains = torch.tensor([10.0, -10.0, 5.0, -5.0])
responses = filter_response(centres, widths, gains)

# %% tags=["hide-input"] figure="filters" mystnb={"image": {"alt": "Gain in decibels over frequency for four random filters. Each is one smooth bump, two upwards and two downwards, and 0 dB elsewhere."}}
figures.figure_filters(
    {
        f"{gain:+.0f} dB at {centre:.0f} Hz": response
        for gain, centre, response in zip(
            gains.tolist(), centres.tolist(), responses.numpy(), strict=True
        )
    }
)

# %% tags=["hide-input"]
mel = mel_magnitudes(sung[margin:-margin])[None]
in_the_voice = filter_response(
    torch.tensor([1000.0, 1000.0]),
    torch.tensor([6.0, 6.0]),
    torch.tensor([10.0, -10.0]),
)
Gallery(
    [
        before_after(
            f"filter of {gain} dB at 1 kHz",
            original,
            compress(amplify(mel, response[None]))[0],
        )
        for gain, response in zip(("+10", "−10"), in_the_voice, strict=True)
    ]
)

# %% [markdown]
# On the logarithmic scale a gain is an addition: 10 dB add 1.15 to the natural logarithm. So the picture keeps all its patterns, and only a horizontal stripe gets brighter or darker.
#
# ## 4: Loudness
#
# The simplest change: everything louder or softer by the same number of decibels.

# %% tags=["hide-input"]
softer = compress(amplify(mel, torch.full((1, 80), -10.0)))[0]
Gallery([before_after("loudness −10 dB", original, softer)])

# %% [markdown]
# ## 5: Mixing
#
# Add an excerpt in which nobody sings, more softly. Which label has the mix? If the first excerpt was sung, it still is. If it was not, it still is not, because nothing sung was added. So **the label of the first excerpt stays**. With a *sung* second excerpt this would
# be wrong in half of the cases.

# %% tags=["hide-input"]
factors = {0.25: "a quarter", 0.5: "half"}
Gallery(
    [before_after("the unsung excerpt itself", original, log_mel_of(unsung))]
    + [
        before_after(
            f"mixed in with {name} of its magnitude",
            original,
            log_mel_of(
                mix_in(sung[None], unsung[None], torch.tensor([factor]))[0]
            ),
        )
        for factor, name in factors.items()
    ]
)

# %% [markdown]
# ## 6 and 7: Noise and dropout
#
# The last two know nothing of music. They act on the standardised picture that the detector gets: **noise** adds a random number to each cell, **dropout** sets some cells to 0, which is the average sound of their band. To make them audible we turn the
# standardisation back. The two are shown stronger here than one would train with.

# %%
standardised = detector.standardizer(original.to(device)).cpu()
strong = {"noise": 0.5, "dropout": 0.3}


def corrupted(name):
    only = replace(NO_AUGMENTATION, **{name: strong[name]})
    changed = only.corrupt(standardised, torch.Generator().manual_seed(seed))
    return detector.standardizer.inverse(changed.to(device)).cpu()


# %% tags=["hide-input"]
Gallery(
    [
        before_after("noise of 0.5 deviations", original, corrupted("noise")),
        before_after(
            "dropout of 30 % of the cells", original, corrupted("dropout")
        ),
    ]
)

# %% [markdown]
# No microphone and no room would ever make such a sound. A change need not be realistic to be of use, but it need not be of use either.
#
# ## At random, all in one batch
#
# In training, each excerpt of a batch gets changes of its own. `PublishedAugmentation` does it for the whole batch at once, on the device where the network is. The abstract of {cite:t}`schluter2015` says which changes helped: pitch shifting most, and the
# results come from combining it with time stretching and random filters. These three are on in the profile `published` of `svdlib train detector`; the other four have a strength of 0. We know the paper's idea, but could not check all of its numbers; the
# {doc}`../book/api` says which ones are ours.

# %%
five = sung.expand(5, -1, -1)
random_changes = PublishedAugmentation()(
    five,
    svdlib.Standardizer(),  # one that changes nothing: mean 0, deviation 1
    torch.Generator().manual_seed(seed),
)

# %% tags=["hide-input"] figure="augmented-excerpts" mystnb={"image": {"alt": "Six spectrograms: the original and five random changes of it. The partials lie higher or lower, the onsets nearer or further apart, and some bands are brighter or darker."}}
figures.figure_draws(
    [original, *random_changes],
    ["original", *(f"draw {number}" for number in range(1, 6))],
)

# %% tags=["remove-cell"]
# NBVAL_CHECK_OUTPUT
unchanged = NO_AUGMENTATION.log_mels(sung[None], torch.Generator())[0]
print(tuple(random_changes.shape), torch.allclose(unchanged, original))

# %% [markdown]
# ## Does the label survive?
#
# You have listened: is there singing in all of them? You are the best judge. A second judge is the detector of this book. We draw excerpts from test songs, change them in one way at a time, and ask it. It learned with other changes: with
# loudness and filters of about this strength, but in place of a change of pitch the mel axis was scaled by up to 7 %, and there was no noise, no dropout and no change of tempo. So a change that moves its answers is either one that harms the singing, or one that it has not learned to bear.

# %%
draws, windows, sung_labels = np.random.default_rng(seed), [], []
for number in range(n_excerpts):
    padded, labels, shares = songs[number % len(songs)]
    start = draws.integers(len(shares))
    windows.append(window(padded, start))
    sung_labels.append(labels[start + EXCERPT_FRAMES // 2])
windows, sung_labels = torch.stack(windows), np.array(sung_labels)
changes = {
    "pitch ±30 %": {"pitch": 0.3},
    "duration ±30 %": {"stretch": 0.3},
    "filter ±10 dB": {"filtering": 10.0},
    "loudness ±10 dB": {"loudness": 10.0},
    "mixing up to 0.5": {"mixing": 0.5},
    "noise 0.5": {"noise": 0.5},
    "dropout 30 %": {"dropout": 0.3},
}


def answers(**on):
    """Probabilities of singing for all excerpts, changed at random."""
    augment = replace(NO_AUGMENTATION, **on)
    chance = torch.Generator().manual_seed(seed)
    others = unsung.expand_as(windows).to(device)
    x = augment(
        windows.to(device), detector.standardizer, chance, unsung=others
    )
    with torch.no_grad():
        logits = [detector(piece[:, None]) for piece in x.split(64)]
    return torch.sigmoid(torch.cat(logits))[:, 0].cpu().numpy()


before = answers()
after = {name: answers(**on) for name, on in changes.items()}

# %% tags=["hide-input"] figure="label-survives" mystnb={"image": {"alt": "For the unchanged excerpts and each of the seven changes, the detector's mean probability of singing for sung and for unsung excerpts. The sentences below give the numbers."}}
figures.figure_answers(before, after, sung_labels)

# %% tags=["remove-input"]
moved = {name: np.abs(found - before).mean() for name, found in after.items()}
order = sorted(moved, key=moved.get)
threshold = detector.provenance["threshold"]
right = {
    name: np.mean((found > threshold) == sung_labels)
    for name, found in {"unchanged": before, **after}.items()
}
worst = min(right, key=right.get)
display(
    Markdown(
        f"Over these {len(before)} excerpts of {len(songs)} {'song' if len(songs) == 1 else 'songs'}, the answer moves least under *{order[0]}* (by {moved[order[0]]:.2f} on average) and most under *{order[-1]}* (by {moved[order[-1]]:.2f}). "
        f"Without a change, {right['unchanged']:.0%} of the answers are on the right side of the threshold; with *{worst}*, which is the lowest, {right[worst]:.0%}. "
        "So few excerpts show how to ask, and not yet what the answer is."
    )
)

# %% [markdown]
# ## The other way round: change the song when asking
#
# If the label survives a transposition, one can also transpose a song *after* training, ask the detector about each version, and average the answers. Each version is wrong in places of its own, and the average smooths them out. It costs as many predictions as there are
# versions.

# %%
from svdlib.detector_training import PITCH_SHIFTS, predict, predict_averaged
from svdlib.evaluation import area_under_curve, smooth

seconds = {"demo": 20, "laptop": 60, "full": 300}[profile]
samples = tracks[0].load()[: seconds * 22050]
once = smooth(predict(detector, svdlib.LogMel()(samples).numpy()))
averaged = smooth(predict_averaged(detector, samples))
truth = frame_labels(tracks[0].segments, len(once))

# %% tags=["remove-input"]
scores = {
    name: (
        area_under_curve(curve, truth),
        np.mean((curve > threshold) == truth),
    )
    for name, curve in {"once": once, "averaged": averaged}.items()
}
versions = ", ".join(
    f"{100 * shift:+.0f} %".replace("-", "−").replace("+0 ", "0 ")
    for shift in PITCH_SHIFTS
)
display(
    Markdown(
        f"On {len(truth) / 70:.0f} seconds of one song, asked once, the detector reaches an AUC of {scores['once'][0]:.3f} and an accuracy of {scores['once'][1]:.1%}. Averaged over the versions {versions}, it reaches {scores['averaged'][0]:.3f} and {scores['averaged'][1]:.1%}. "
        "One song proves nothing. And the threshold was chosen for single answers: averages may be less extreme, so they would need one of their own."
    )
)

# %% [markdown]
# For a whole corpus there is the command `svdlib evaluate detector --average-pitch`.
#
# ## Take-away
#
# - A good augmentation changes what must not matter and leaves the label true.
# - Pitch and tempo are scalings of a linear-frequency spectrogram, so they come before the mel filters. Gains in decibels are additions after the logarithm.
# - Whether something may be mixed in depends on its label: only what is not sung leaves the label alone.
# - The middle of the excerpt stays in its place under every change, since the label is that of the middle frame.
# - Whether a change *helps* is a question for an experiment, not for the eye or the ear.
#
# ## Exercises
#
# **1. Where does a partial go?** A singer holds a note of 440 Hz. After a pitch shift of +30 %, where is the third partial? And by how many mel bands have the first and the third partial moved? Work it out, then check with `band_of_frequency`.
#
# :::{admonition} Solution
# :class: dropdown
# The third partial moves from 1320 Hz to 1716 Hz.
#
# ```python
# from svdlib.analysis import band_of_frequency
#
# for hertz in (440, 1320):
#     move = band_of_frequency(1.3 * hertz) - band_of_frequency(hertz)
#     print(f"{hertz} Hz: {move:.1f} bands")
# assert band_of_frequency(1716) - band_of_frequency(1320) > (
#     band_of_frequency(572) - band_of_frequency(440)
# )
# ```
# The first partial moves by fewer bands than the third. On the mel axis a transposition is no shift and no scaling, which is why it is done before the mel filters.
# :::
#
# **2. There and back.** Transpose the excerpt by +30 % and the result by a factor of 1/1.3. Is it the original again? Which part of it is lost for good, and why?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# one = torch.ones(1)
# up = scale_axes(sung[None], 1.3 * one, one, len(sung))
# back = scale_axes(up, one / 1.3, one, len(sung))
# error = (back - sung).abs().mean((0, 1)) / sung.mean(0)
# lost = int(np.floor(512 / 1.3))
# print("below 8.5 kHz:", error[1:lost].mean(), " above:", error[lost + 1 :].mean())
# assert (back[..., lost + 1 :] == 0).all()
# ```
# What lay above 11025/1.3 = 8481 Hz has been pushed over the upper end and does not come back. Below, interpolating twice blurs the picture; the first number says by what share it changes the magnitudes.
# :::
#
# **3. A wrong augmentation.** Mix in the *sung* excerpt in place of the unsung one, with a factor of 0.5, into all excerpts of `windows`, and ask the detector. How many of the unsung excerpts does it now call sung? What would it learn from such excerpts, if they kept their label?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# half = torch.full((len(windows),), 0.5)
# mixed = mix_in(windows, sung.expand_as(windows), half)
# x = NO_AUGMENTATION(
#     mixed.to(device), detector.standardizer, torch.Generator()
# )
# with torch.no_grad():
#     said = torch.sigmoid(detector(x[:, None]))[:, 0].cpu().numpy() > threshold
# print("called sung:", said[~sung_labels].mean(), "before:", (before > threshold)[~sung_labels].mean())
# ```
# Where it calls them sung, it is right, and the label is wrong. From many such excerpts it would learn to overlook soft voices.
# :::
#
# ## Further reading
#
# - {cite:t}`schluter2015` compare the seven changes one by one, and in combination.
# - {cite:t}`mcfee2015` is a library that has changes of pitch and tempo for waveforms.
# - {cite:t}`lehner2014` on what detectors mistake for singing: material for changes that nobody has tried.
