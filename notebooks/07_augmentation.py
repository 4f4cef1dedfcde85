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
# **How can a song be changed so that its label stays true?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - why a detector learns better from songs that are changed at random;
# - seven ways to change a spectrogram, what each looks like and how it sounds;
# - why pitch is changed before the mel filters and not after them;
# - how to check that a change leaves the label true.
#
# **Prerequisites:** {doc}`01_model`. Headphones.
#
# **Minutes:** 19 to read, 75 for the exercises, less than one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from dataclasses import replace

import numpy as np
import torch
import torch.nn.functional as F
from IPython.display import Markdown, display

import svdlib
from svdlib.audio.mel_axis import EXCERPT_FRAMES
from svdlib.audio.spectra import (
    compress,
    magnitude_spectra,
    mel_magnitudes,
    scale_axes,
)
from svdlib.compute.devices import choose_device
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.lab.figures import augmentation as figures
from svdlib.lab.figures.augmentation import before_after
from svdlib.lab.figures.gallery import Gallery
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.paper.augmentation import (
    ALL_SEVEN,
    NO_AUGMENTATION,
    PublishedAugmentation,
    amplify,
    filter_response,
    mix_in,
)
from svdlib.songs.corpora.base import frame_labels

device = choose_device(device)
detector = svdlib.pretrained("detector").to(device)
n_songs = {"demo": 2, "laptop": 6, "full": 16}[profile]
n_excerpts = {"demo": 32, "laptop": 128, "full": 1024}[profile]

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show how the excerpts are cut out and changed"}
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
padded, labels, shares = max(songs, key=lambda song: song[2].max())
somebody_sings = shares.max() > 0
sung_at = generator.choice(np.flatnonzero(shares == shares.max()))
unsung_at = generator.choice(np.flatnonzero(shares == shares.min()))
sung, unsung = window(padded, sung_at), window(padded, unsung_at)


def log_mel_of(wide):
    """The log-mel of the excerpt in the middle of a window."""
    return compress(mel_magnitudes(wide[margin:-margin]))


original = log_mel_of(sung)
five = sung.expand(5, -1, -1)
random_changes = PublishedAugmentation()(
    five,
    svdlib.Standardizer(),
    torch.Generator().manual_seed(seed),
)

# %% tags=["remove-input"]
if missing := one_class(tracks):
    display(Markdown(missing))

# %% tags=["hide-input"] figure="augmented-excerpts" mystnb={"image": {"alt": "Six spectrograms: the original and five random changes of it. The partials lie higher or lower, the onsets nearer or further apart, and some bands are brighter or darker."}}
figures.figure_draws(
    [original, *random_changes],
    ["original", *(f"draw {number}" for number in range(1, 6))],
)

# %% [markdown]
# One excerpt in which somebody sings, and five random changes of it. The voice moves up and down, becomes faster or slower, brighter or duller, and it is sung all the same.
#
# ## Why change songs?
#
# Sixty songs have a million frames. But the frames of one song share one singer, one key and one loudness. A detector may notice that a certain bass line goes with singing, and be wrong on the next song.
#
# So every time the detector meets an excerpt, the excerpt is a little higher, or slower, or duller. There is one condition: **the label must stay true**. A song that is
# transposed is still sung where it was sung.
#
# {cite:t}`schluter2015` tried seven such changes for singing voice detection. Here they are. Each player plays the excerpt first as it is and then changed.

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
from svdlib.pages.explorer import layer_explorer

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
# With the pitch, lines move up or down, and their distances grow or shrink with them. With the duration they stay where they are, and onsets move away from the middle or towards it.
#
# The **formants** move too. A real singer who sings higher keeps the size of the head, and so nearly keeps the formants. A scaled spectrogram makes the head smaller as well. That is why +30 % sounds like a child.
#
# After +30 % the top of the picture holds what lay below 6.2 kHz. After −30 % it needs what lay above 8 kHz, up to 11 kHz; a log-mel no longer has that, but the linear spectrum does.
#
# ## 3: A random filter
#
# Microphones, rooms and producers make some frequencies stronger and others weaker, as a Gaussian bump does here. Its centre lies anywhere between 150 Hz and 8 kHz, drawn evenly *on the logarithmic scale*. Its width is 5 to 7 semitones (one standard deviation), its
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
        f"{gain:+z.0f} dB at {centre:.0f} Hz": response
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
# {doc}`svdlib.paper <../book/api/paper>` says which ones are ours. This made the five draws at the top of this page:

# %%
again = PublishedAugmentation()(
    sung.expand(5, -1, -1),
    svdlib.Standardizer(),  # one that changes nothing: mean 0, deviation 1
    torch.Generator().manual_seed(seed),
)
print("the same five draws:", torch.equal(again, random_changes))

# %% tags=["remove-cell", "nbval-check-output"]
unchanged = NO_AUGMENTATION.log_mels(sung[None], torch.Generator())[0]
print(tuple(random_changes.shape), torch.allclose(unchanged, original))

# %% [markdown]
# ## Does the label survive?
#
# You have listened: is there singing in all of them? You are the best judge. A second judge is the detector of this book. We draw excerpts from test songs, change them in one way at a time, and ask it. It learned with other changes: with
# filters of this strength and stronger changes of loudness, but in place of a change of pitch the mel axis was scaled by up to 12 %, and there was no noise, no dropout and no change of tempo. So a change that moves its answers is either one that harms the singing, or one that it has not learned to bear.

# %% tags=["hide-input"]
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
threshold = detector.threshold
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
# If the label survives a transposition, one can also transpose a song *after* training, ask the detector about each version, and average the answers. It costs as many predictions as there are versions.

# %%
from svdlib.detector.prediction import PITCH_SHIFTS, predict, predict_averaged
from svdlib.detector.scores import area_under_curve, smooth

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
    f"{100 * shift:+z.0f} %".replace("-", "−").replace("+0 ", "0 ")
    for shift in PITCH_SHIFTS
)
(auc, accuracy), (auc_averaged, accuracy_averaged) = scores.values()
if truth.any() and not truth.all():
    text = f"reaches an AUC of {auc:.3f} and an accuracy of {accuracy:.1%}. Averaged over the versions {versions}, it reaches {auc_averaged:.3f} and {accuracy_averaged:.1%}. "
else:
    text = f"reaches an accuracy of {accuracy:.1%}; they hold one class only, so there is no AUC. Averaged over the versions {versions}, it reaches {accuracy_averaged:.1%}. "
display(
    Markdown(
        f"On {len(truth) / 70:.0f} seconds of one song, asked once, the detector {text}"
        "One song proves nothing. And the threshold was chosen for single answers: averages may be less extreme, so they would need one of their own."
    )
)

# %% [markdown]
# For a whole corpus there is the command `svdlib evaluate detector --average-pitch`.
#
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "Why is the pitch changed before the mel filters and not after them?",
        [
            Answer(
                "Because on the linear axis, one factor moves all partials.",
                "A transposition multiplies every frequency by the same number. On the mel axis low and high partials move by different distances.",
                right=True,
            ),
            Answer(
                "Because after the mel filters, the pitch is gone.",
                "It is blurred and not gone: the low partials still stand apart in a log-mel. But no single shift or factor would transpose them all.",
            ),
            Answer(
                "Because logarithms must not be interpolated.",
                "They may; the result would be a little different. And one could interpolate between the filters and the logarithm. The shape of the frequency axis is the reason.",
            ),
        ],
    ),
    Question(
        "An excerpt without singing is mixed, at half its magnitude, into a sung one. Which label has the mix?",
        [
            Answer(
                "Sung: the voice is still in it.",
                "The label says whether somebody sings, and the mix takes no voice away. So the label of the first excerpt stays.",
                right=True,
            ),
            Answer(
                "Two thirds sung: that is the share of the first excerpt.",
                "Some methods do mix labels as they mix sounds. Here the question is whether somebody sings at this moment, and a louder band does not change that.",
            ),
            Answer(
                "It depends on which of the two is louder.",
                "A loud band makes the voice harder to hear. It does not make it disappear, and the label does not ask how loud it is.",
            ),
        ],
    ),
    Question(
        "After a shift of +30 %, a singer sounds like a child. Why?",
        [
            Answer(
                "The formants have moved up with the partials.",
                "Scaling the axis moves everything on it. Higher formants belong to a smaller head.",
                right=True,
            ),
            Answer(
                "The notes are sung faster than before.",
                "That would be so with a tape that runs faster. Here the time axis stays as it is, and the timbre changes all the same.",
            ),
            Answer(
                "The highest partials have left the picture.",
                "They have, but a dull recording of a grown-up does not sound like a child. The distances between the formants do it.",
            ),
        ],
    ),
    Question(
        "The detector's answers move a lot under one of the changes. What follows?",
        [
            Answer(
                "It harms the singing, or the detector has not learned to bear it.",
                "The answers alone cannot tell the two apart. Your ears can: is there still singing?",
                right=True,
            ),
            Answer(
                "The label is no longer true, so training must not use it.",
                "Perhaps the label is true and the detector is wrong. Then this would be the very change that it could learn from.",
            ),
            Answer(
                "The detector could learn from it, so training should use it.",
                "Only if the label survives. Where no singing is left to hear, the detector would be taught something wrong. And whether it helps at all, an experiment must show.",
            ),
        ],
    ),
)

# %% [markdown]
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
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.
#
# (exercise-partial-moves)=
# ### Exercise 1: Where does a partial go?
#
# *Easy, 10 minutes.*
#
# A singer holds a note of 440 Hz, and you transpose it by +30 %. By how many mel bands do the first and the third partial move? First guess: both by the same number? Then write `moved_bands(hertz, pitch)`: by how many bands a partial at `hertz` moves upwards if the pitch is multiplied by `pitch`; downwards is negative. `band_of_frequency` gives the position of a frequency on the axis of mel bands.
#
# :::{dropdown} First hint
# Where does the partial lie before, and where after? Both are frequencies.
# :::
#
# :::{dropdown} Second hint
# After the transposition the partial lies at `pitch * hertz`. Take the difference of the two positions.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_moved_bands(moved_bands):
    low, high = 27.5, 8000.0  # the mel filters lie between these
    band = np.log((700 + high) / (700 + low)) / 81

    def position(f):
        return np.log((700 + f) / (700 + low)) / band - 1

    for hertz, pitch in ((440.0, 1.3), (1320.0, 1.3), (880.0, 0.7)):
        expected = position(pitch * hertz) - position(hertz)
        got = float(moved_bands(hertz, pitch))
        what = f"{hertz:.0f} Hz times {pitch}"
        assert abs(got + expected) > 0.05, (
            f"{what}: upwards should be positive, downwards negative."
        )
        scaled = (pitch - 1) * position(hertz)
        assert abs(got - scaled) > 0.05, (
            f"{what}: you multiply the position on the mel axis. Multiply the frequency, then ask for its position."
        )
        assert abs(got - expected) < 0.05, (
            f"{what} moves by {expected:.2f} bands; you have {got:.2f}."
        )


# %% tags=["exercise"]
from svdlib.audio.mel_axis import band_of_frequency


def moved_bands(hertz, pitch):
    """Mel bands by which a partial moves upwards."""
    ...


check_moved_bands(moved_bands)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def moved_bands(hertz, pitch):
    return band_of_frequency(pitch * hertz) - band_of_frequency(hertz)


display(check_moved_bands(moved_bands))
first, third = moved_bands(440, 1.3), moved_bands(1320, 1.3)
display(
    Markdown(
        f"The first partial moves by {first:.1f} bands, the third by {third:.1f}. On the mel axis a transposition is neither a shift, which would move both by the same number, nor a scaling, which would move the third by {first * band_of_frequency(1320) / band_of_frequency(440):.1f}. That is why it is done before the mel filters."
    )
)

# %% [markdown]
# (exercise-gain-in-log)=
# ### Exercise 2: Decibels in the picture
#
# *Easy, 10 minutes.*
#
# A log-mel holds the natural logarithm of magnitudes. Write `louder(log_mel, decibels)`: the log-mel of the same sound, louder by so many decibels (softer, if negative). Do it without going back to magnitudes.
#
# :::{dropdown} First hint
# Louder by some decibels means: magnitudes times a factor. What does the logarithm make of a factor?
# :::
#
# :::{dropdown} Second hint
# The factor is 10 to the power of `decibels / 20`. Its *natural* logarithm is added to each cell.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_louder(louder):
    log_mel = torch.linspace(-5.0, 2.0, 240).reshape(3, 80)
    for decibels in (10.0, -6.0):
        # Twenty decibels are a factor of ten in magnitude.
        expected = torch.log(10 ** (decibels / 20) * torch.exp(log_mel))
        got = torch.as_tensor(louder(log_mel.clone(), decibels))
        assert got.shape == log_mel.shape, (
            f"A log-mel {tuple(log_mel.shape)} should keep its shape; yours has {tuple(got.shape)}."
        )
        moved = got - log_mel
        assert float(moved.max() - moved.min()) < 1e-3, (
            "Not all cells change by the same amount. A factor on magnitudes is the same addition to all logarithms."
        )
        step, right = float(moved.mean()), float((expected - log_mel).mean())
        assert abs(step - 2 * right) > 1e-3, (
            "You add twice too much: for a factor in power, 10 dB are ten times. These are magnitudes, where 20 dB are ten times."
        )
        assert abs(step - decibels / 20) > 1e-3, (
            "That would be right for logarithms to base 10. These are natural ones."
        )
        assert abs(step - right) < 1e-3, (
            f"{decibels:+z.0f} dB should add {right:.2f}; you add {step:.2f}."
        )


# %% tags=["exercise"]
def louder(log_mel, decibels):
    """Log-mel (frames, 80) of the same sound at another level."""
    ...


check_louder(louder)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def louder(log_mel, decibels):
    return log_mel + decibels / 20 * np.log(10)


display(check_louder(louder))
far = float((louder(original, -10.0) - softer).abs().max())
display(
    Markdown(
        f"For the excerpt above, this differs from the picture at −10 dB by {far:.2g} at most. "
        + (
            "The two ways are one."
            if far < 1e-3
            else "They differ where the original is silent: magnitudes below a smallest one are raised to it, and silence stays silence however softly it is played."
        )
    )
)

# %% [markdown]
# (exercise-stretch)=
# ### Exercise 3: Stretch time yourself
#
# *Medium, 20 minutes.*
#
# Write `stretched(spectra, factor, frames)`. It gets magnitudes of shape (frames given, bins) as a NumPy array and returns `frames` frames, of shape (`frames`, bins), in which everything lasts `factor` times as long. The middle of the given frames comes to the middle of the returned ones. Interpolate linearly between frames (`np.interp` does it for one bin); what would come from before the first or after the last given frame is 0.
#
# :::{dropdown} First hint
# For each frame of the result, ask from which place of the given frames it comes. Measure both from their middles.
# :::
#
# :::{dropdown} Second hint
# A step of one frame in the result is `1 / factor` frames in the given ones. The middle of n frames lies at `(n - 1) / 2`. `np.interp` takes `left=0, right=0`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_stretched(stretched):
    def run(given, factor, frames):
        got = np.asarray(stretched(given.copy(), factor, frames))
        assert got.shape == (frames, given.shape[1]), (
            f"From {given.shape} and frames={frames} the result should be {(frames, given.shape[1])}; it is {got.shape}."
        )
        return got

    # Each bin counts frames from the middle, with a slope of its own.
    slopes = np.array([1.0, 2.0, 5.0])
    given = np.arange(-20.0, 21.0)[:, None] * slopes
    steps = np.arange(-10.0, 11.0)[:, None] * slopes
    assert np.allclose(run(given, 1.0, 21), steps), (
        "With a factor of 1, the middle 21 of 41 frames should come back as they are."
    )
    for factor in (2.0, 0.7):
        got = run(given, factor, 21)
        assert not np.allclose(got, steps * factor), (
            "What should last longer gets shorter. From which time does a returned frame come?"
        )
        assert np.allclose(got[10], 0), (
            f"With a factor of {factor} the middle frame moves away. Count times from the middle."
        )
        assert np.allclose(got, steps / factor), (
            f"With a factor of {factor}, a ramp of slope 1 should become one of slope {1 / factor:.2f}; yours rises from {got[0, 0]:.2f} to {got[-1, 0]:.2f}."
        )
    ones = run(np.ones((20, 3)), 0.5, 20)  # an even number of frames
    beyond = np.r_[ones[:5], ones[-5:]]
    assert np.allclose(beyond, 0), (
        "Beyond the given frames there should be silence, not a copy of the last frame."
    )
    assert np.allclose(ones[5:-5], 1), (
        "Of 20 frames at half the length, 10 should be heard, in the middle."
    )


# %% tags=["exercise"]
def stretched(spectra, factor, frames):
    """Magnitudes (frames, bins) that last `factor` times as long."""
    ...


check_stretched(stretched)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def stretched(spectra, factor, frames):
    given = len(spectra)
    steps = np.arange(frames) - (frames - 1) / 2
    wanted = (given - 1) / 2 + steps / factor
    columns = [
        np.interp(wanted, np.arange(given), column, left=0, right=0)
        for column in spectra.T
    ]
    return np.stack(columns, axis=1)


display(check_stretched(stretched))
slower = compress(
    mel_magnitudes(
        torch.from_numpy(stretched(sung.numpy(), 1.3, EXCERPT_FRAMES)).float()
    )
)
library = transposed_and_stretched(sung, stretch=1.3)
display(
    Markdown(
        f"For the sung excerpt, this and the chapter's own function differ by {float((slower - library).abs().max()):.2g} at most."
    )
)

# %% [markdown]
# (exercise-there-and-back)=
# ### Exercise 4: There and back
#
# *Medium, 15 minutes.*
#
# Transpose a spectrogram, and transpose the result back. Is it the original again? Write two functions:
#
# - `there_and_back(spectra, pitch)` gets magnitudes (frames, 513), a tensor, and returns them, of the same shape, after a transposition by the factor `pitch` and the one that undoes it, both with `scale_axes`;
# - `highest_kept(pitch)` returns the frequency in hertz up to which the sound comes back, at most 11025. Think of `pitch` above *and* below 1.
#
# :::{dropdown} First hint
# `scale_axes` takes a batch, with one factor of pitch and one of time for each. Which factor undoes the first? What is pushed over the upper end never comes back.
# :::
#
# :::{dropdown} Second hint
# Use `spectra[None]` and tensors of one number; the time keeps the factor 1. Upwards, a frequency times `pitch` must stay within 11025 Hz; downwards, nothing leaves.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_there_and_back(there_and_back, highest_kept):
    ramp = (1 + torch.arange(513) / 512).expand(4, 513)
    for pitch in (1.3, 1.1, 0.7):
        kept = min(1.0, 1 / pitch)
        limit = int(512 * kept) - 2  # the last bins are blurred
        got = torch.as_tensor(there_and_back(ramp.clone(), pitch))
        assert got.shape == ramp.shape, (
            f"The result should be {tuple(ramp.shape)} like what was given; it is {tuple(got.shape)}."
        )
        assert torch.allclose(got[:, :limit], ramp[:, :limit], atol=1e-3), (
            f"After a factor of {pitch}, the spectrum does not come back to its place. What undoes a multiplication?"
        )
        assert (got[:, limit + 4 :] == 0).all(), (
            f"After a factor of {pitch}, what went over the upper end cannot be there again. Do you transpose at all?"
        )
        hertz, expected = float(highest_kept(pitch)), 11025 * kept
        assert hertz < 11026, (
            f"A spectrum ends at 11025 Hz; you have {hertz:.0f} Hz."
        )
        assert abs(hertz - expected) < 25, (
            f"For a factor of {pitch}, highest_kept should be {expected:.0f} Hz, not {hertz:.0f} Hz. What lies at 11025 Hz after the first step, and where does it come from?"
        )


# %% tags=["exercise"]
def there_and_back(spectra, pitch):
    """Magnitudes (frames, 513), transposed by a factor and back."""
    ...


def highest_kept(pitch):
    """Hertz up to which the sound comes back."""
    ...


check_there_and_back(there_and_back, highest_kept)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def there_and_back(spectra, pitch):
    batch, one = spectra[None], torch.ones(1)
    for factor in (pitch, 1 / pitch):
        batch = scale_axes(batch, factor * one, one, len(spectra))
    return batch[0]


def highest_kept(pitch):
    return 11025 / max(pitch, 1)


display(check_there_and_back(there_and_back, highest_kept))
back = there_and_back(sung, 1.3)
limit = int(highest_kept(1.3) / 11025 * 512) - 2
blur = (back - sung)[:, :limit].abs().sum() / sung[:, :limit].sum()
display(
    Markdown(
        f"After +30 % and back, what lay above {highest_kept(1.3):.0f} Hz is lost for good: it was pushed over the upper end. Below, interpolating twice has blurred the picture: the magnitudes of the sung excerpt have changed by {float(blur):.0%} of their sum. After −30 % nothing is pushed over the end, and only the blur is left."
    )
)

# %% [markdown]
# (exercise-wrong-mix)=
# ### Exercise 5: A wrong augmentation
#
# *Hard, 20 minutes.*
#
# What if something *sung* is mixed in, and the label stays? Write `asked(windows, other, factor)`. It gets magnitudes (n, frames + 2 `margin`, 513) and one more window, `other`, of shape (frames + 2 `margin`, 513). It mixes `other` into each window with the factor, takes the excerpts in the middle, and returns the detector's probability of singing for each, of shape (n,). Then compare the unsung excerpts in `windows` before and after the sung excerpt `sung` is mixed in with a factor of 0.5.
#
# :::{dropdown} First hint
# Follow the chapter: mix magnitudes, cut the middle, go to bands and logarithms, standardise, ask the detector.
# :::
#
# :::{dropdown} Second hint
# `mix_in` needs `other` once for each window: `other.expand_as(windows)`. Cut `margin` frames from both ends, use `compress(mel_magnitudes(...))`, and `torch.sigmoid` of the logits.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
def made_of_partials(pitches, level):
    """A window of magnitudes with partials of moving pitches."""
    bins = torch.arange(513.0)
    frames = []
    for f in np.interp(
        np.linspace(0, 4, EXCERPT_FRAMES + 2 * margin), range(5), pitches
    ):
        near = (bins / f - (bins / f).round()).abs() * f
        frames.append(level * torch.exp(-(near**2) - bins / 120) + 1e-4)
    return torch.stack(frames)


@self_check
def check_asked(asked):
    given = torch.stack(
        [
            made_of_partials((9, 16, 10, 14, 22), 0.5),
            made_of_partials((20, 20, 20, 20, 20), 2.0),
            made_of_partials((14, 15, 14, 15, 14), 0.02),
        ]
    )
    other = made_of_partials((12, 16, 11, 18, 12), 3.0)
    middle = slice(margin, margin + EXCERPT_FRAMES)
    for factor in (0.0, 0.5, 1.0):
        expected = []
        for one in given:
            mixed = (one[middle] + factor * other[middle]).clamp(min=1e-7)
            mel = mel_magnitudes(mixed)
            x = detector.standardizer(mel.log().to(device))
            with torch.no_grad():
                expected.append(float(torch.sigmoid(detector(x[None, None]))))
        expected = torch.tensor(expected).double()
        got = asked(given.clone(), other.clone(), factor)
        got = torch.as_tensor(got).detach().cpu()
        assert got.dtype.is_floating_point, (
            "Return the probabilities themselves, not yet whether they are above the threshold."
        )
        assert got.shape == (3,), (
            f"Three windows should give shape (3,); you have {tuple(got.shape)}."
        )
        assert 0 <= float(got.min()) and float(got.max()) <= 1, (
            "Probabilities lie between 0 and 1. The detector returns logits: take their sigmoid."
        )
        hint = (
            "No voice is mixed in with a factor of 0, so look at the way from magnitudes to the detector: middle frames, mel filters, logarithm, standardizer."
            if factor == 0
            else "With a factor of 0 you were right, so look at the mixing: it adds magnitudes, before mel filters and logarithm."
        )
        # Small probabilities are compared by their ratios.
        far = (got.double().logit(1e-9) - expected.logit(1e-9)).abs().max()
        right, given_back = (
            ", ".join(f"{p:.2g}" for p in values.tolist())
            for values in (expected, got)
        )
        assert far < 0.03, (
            f"With a factor of {factor}, the probabilities should be {right}; you have {given_back}. {hint}"
        )


# %% tags=["exercise"]
def asked(windows, other, factor):
    """Probabilities of singing (n,) with another excerpt mixed in."""
    ...


check_asked(asked)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def asked(windows, other, factor):
    factors = torch.full((len(windows),), factor)
    mixed = mix_in(windows, other.expand_as(windows), factors)
    log_mels = compress(mel_magnitudes(mixed[:, margin:-margin]))
    x = detector.standardizer(log_mels.to(device))
    with torch.no_grad():
        logits = [detector(piece[:, None]) for piece in x.split(64)]
    return torch.sigmoid(torch.cat(logits))[:, 0].cpu().numpy()


display(check_asked(asked))
if sung_labels.all():
    text = "All of these excerpts are sung, so this cannot be tried on them."
elif not somebody_sings:
    text = "Nobody sings in these songs, so there is no voice to mix in, and this cannot be tried on them."
else:
    was = asked(windows, sung, 0.0)[~sung_labels] > threshold
    now = asked(windows, sung, 0.5)[~sung_labels] > threshold
    text = f"Of {len(was)} excerpts without singing, the detector calls {was.sum()} sung as they are, and {now.sum()} with a voice mixed in. "
    if now.sum() > was.sum():
        text += "Where the answer has changed, the detector is right and the label is wrong. From many such excerpts it would learn to overlook soft voices."
    else:
        text += "It does not find the added voice. The labels are wrong all the same: a voice is there, at half its magnitude, and training on them would teach the detector to go on overlooking it."
display(Markdown(text))

# %% [markdown]
# ## Further reading
#
# - {cite:t}`schluter2015` compare the seven changes one by one, and in combination.
# - {cite:t}`mcfee2015` is a library that has changes of pitch and tempo for waveforms.
# - {cite:t}`lehner2014` on what detectors mistake for singing: material for changes that nobody has tried.
