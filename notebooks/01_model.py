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
# # The detector and what it hears
#
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - how a song becomes the picture that the detector looks at;
# - what each of the detector's layers does, and how large its feature is;
# - how to read the detector's answer over a whole song, and what the threshold and the median filter do to it.
#
# **Prerequisites:** some Python; you have met convolutions and dense layers before. No signal processing is needed.
#
# **Minutes:** 40 to read and try; about one to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib import figures
from svdlib.audio import (
    EXCERPT_FRAMES,
    EXCERPT_SAMPLES,
    FRAME_RATE,
    HOP_LENGTH,
)
from svdlib.devices import choose_device
from svdlib.gallery import Gallery, Panel

device = choose_device(device)
n_songs = {"demo": 3, "laptop": 8, "full": None}[profile]
collection = svdlib.open_corpus(corpus)
tracks = collection.split("test")[:n_songs]
track = tracks[0]

# %% [markdown]
# ## The task
#
# *Singing voice detection* asks of each moment of a song: is somebody singing? The answer is yes or no. It does not matter who
# sings, or what, or whether instruments play along.
#
# A song comes with labels: stretches of time that are sung or not. Here is the beginning of the labels of one test song.

# %%
pd.DataFrame(track.segments).head(6).style.format(precision=2).hide(
    axis="index"
)

# %% tags=["remove-input"]
sung_seconds = sum(
    segment.end - segment.start for segment in track.segments if segment.sing
)
samples = track.load()
display(
    Markdown(
        f"The song is called *{track.name}*. It lasts {len(samples) / svdlib.audio.SAMPLE_RATE:.0f} s, and "
        f"{100 * sung_seconds * svdlib.audio.SAMPLE_RATE / len(samples):.0f} % of it is sung."
    )
)

# %% [markdown]
# ## From sound to picture
#
# Sound in a computer is a list of air-pressure values, 22050 for each second. A network could learn from these numbers directly.
# It is easier for it, and for us, to look at a *spectrogram* first: how much sound there is at each frequency at each moment.
#
# {cite:t}`schluter2015` make it in four steps, and we follow them exactly.
#
# 1. Cut the sound into short, overlapping **frames** of 1024 samples (46 ms). A new one begins every 315 samples, so there are 70 in a second.
# 2. Fade each frame in and out, and split it into frequencies with a Fourier transform. Keep the magnitudes.
# 3. Add up the magnitudes in 80 **bands** between 27.5 Hz and 8 kHz. The bands are narrow at low frequencies and wide at high ones,
#    as our hearing is: this is the *mel scale*, $\text{mel}(f) = 1127 \ln(1 + f/700)$ for a frequency of $f$ Hz.
# 4. Take the logarithm. We hear ratios of loudness, not differences.
#
# The result is a *log-mel spectrogram*.

# %%
log_mel = svdlib.LogMel()(samples)

# %%
# NBVAL_CHECK_OUTPUT
one_excerpt = svdlib.LogMel()(np.zeros(EXCERPT_SAMPLES, dtype=np.float32))
print(
    f"{EXCERPT_SAMPLES} samples become {one_excerpt.shape[0]} frames "
    f"of {one_excerpt.shape[1]} bands"
)

# %% [markdown]
# The detector never sees a whole song at once. It sees an **excerpt** of 115 frames and 80 bands, a bit more than one and a half seconds. We take one
# from the middle of the longest sung stretch.

# %%
sung = [segment for segment in track.segments if segment.sing] or list(
    track.segments
)
longest = max(sung, key=lambda segment: segment.end - segment.start)
centre = round((longest.start + longest.end) / 2 * FRAME_RATE)
start = min(
    max(centre - EXCERPT_FRAMES // 2, 0), len(log_mel) - EXCERPT_FRAMES
)
excerpt = log_mel[start : start + EXCERPT_FRAMES]
recording = samples[start * HOP_LENGTH :][:EXCERPT_SAMPLES]

# %% tags=["hide-input"] figure="excerpt" mystnb={"image": {"alt": "A log-mel spectrogram of one excerpt, time from left to right and frequency from bottom to top; bright means loud. A dotted line marks the centre frame."}}
figures.figure_excerpt(
    excerpt, title=f"{track.name}, from {start / FRAME_RATE:.1f} s"
)

# %% [markdown]
# This corresponds to figure 4 of the paper {cite}`mishra2018`. Time runs to the right, pitch upwards; bright is loud. Look for two kinds of
# shapes. **Horizontal lines** are steady tones: a fundamental and its *harmonics*, the tones at whole multiples of it. **Vertical edges** are
# *onsets*, moments when something begins, such as a drum. A sung line can often be told by lines that glide or wave.
# What is sung and what is played lie on top of each other in the picture. To pull them apart is the detector's problem.
#
# Listen to both players. The first plays the recording. The second plays a sound made from the picture alone. A spectrogram has
# lost the *phase*, so the sound has to be guessed {cite}`griffin1984` and is a little metallic. All sounds in this book are made in
# the second way, so this is what a *perfect* inversion would sound like.

# %% tags=["hide-input"]
Gallery(
    [
        Panel("The recording", excerpt, samples=recording),
        Panel("Made from the spectrogram", excerpt),
    ]
)

# %% [markdown]
# ### Standardisation
#
# Low bands are nearly always louder than high ones. To a network this is a nuisance: some inputs are large for no interesting
# reason. So each band is *standardised*: its mean over the training songs is subtracted, and the result divided by its standard
# deviation. A value of 0 then means "as loud as usual in this band", and 1 means "one deviation louder".
#
# The means and deviations belong to the detector, because it has learned with them. They travel with its weights.

# %%
detector = svdlib.pretrained("detector").to(device)
standardised = detector.standardizer(log_mel.to(device))
x = standardised[start : start + EXCERPT_FRAMES][
    None, None
]  # (batch, channel, time, frequency)

# %% tags=["remove-input"]
display(
    Markdown(
        f"In this song, all bands together now have a mean of {standardised.mean():.2f} and a deviation of {standardised.std():.2f}. "
        "They would be exactly 0 and 1 over all training songs; one song may be louder, quieter or duller than the average."
    )
)

# %% [markdown]
# ## The network
#
# The detector has eight hidden layers. This diagram corresponds to figure 2 of the paper. It is drawn from the network itself: change
# the network, and the diagram changes.

# %% tags=["hide-input"] figure="detector" mystnb={"image": {"alt": "Diagram of the detector from input to output: Conv1 and Conv2, pooling MP3, Conv4 and Conv5, pooling MP6, dense layers FC7 and FC8, and one output. The shapes are listed in the table below."}}
figures.figure_detector(detector)

# %% [markdown]
# There are three kinds of layers.
#
# - **Conv**: a convolution. Each of its filters slides a window of 3 × 3 over time and frequency and looks for one small pattern.
#   There is no padding, so the picture shrinks by one at each edge.
# - **MP**: max-pooling. Of each patch of 3 × 3 only the largest value stays. The layer remembers *that* there was something, not exactly *where*.
# - **FC**: fully connected, or dense. Each unit looks at everything below it. From here on there is no time or frequency axis any more.
#
# After each Conv and FC layer stands a *leaky ReLU*: positive values stay, negative ones are multiplied by 0.01. **Out** is a single number. The
# sigmoid squeezes it between 0 and 1: the probability that somebody sings in the **centre frame**, the 58th of the 115. The 57 frames
# on each side are only context.
#
# We call what a layer puts out its **feature**. The next cell computes the features of our excerpt.

# %%
with torch.no_grad():
    features = detector.features(x)

# %%
# NBVAL_CHECK_OUTPUT
n_inputs = x.numel()
print(f"input  {str(tuple(x.shape[1:])):15} {n_inputs:7} numbers")
for layer, feature in features.items():
    ratio = feature.numel() / n_inputs
    print(
        f"{layer:6} {str(tuple(feature.shape[1:])):15} "
        f"{feature.numel():7} numbers, {ratio:8.3f} of the input's"
    )
n_weights = sum(weight.numel() for weight in detector.parameters())
print(f"weights in the detector: {n_weights}")

# %% [markdown]
# Two things in this table matter for the rest of the book.
#
# First, the early layers hold *more* numbers than the input. Nothing forces them to lose anything. From MP6 on the features are smaller than
# the input, and FC8 must say all it has to say with 64 numbers.
#
# Second, nearly all weights of the detector sit between MP6 and FC7. A large layer in terms of weights can be a narrow layer in terms of numbers.
#
# ### A look at the features
#
# A feature of a Conv or MP layer is a stack of maps, one per filter. We show one of each stack: the map that varies most over this
# excerpt. Dense features have no axes, so they are drawn as bars.


# %%
def liveliest_map(feature):
    """Pick the channel that varies most; leave a dense feature as it is."""
    if feature.ndim == 2:
        return feature[0].cpu().numpy()
    return feature[0, feature[0].flatten(1).var(dim=1).argmax()].cpu().numpy()


maps = {layer: liveliest_map(feature) for layer, feature in features.items()}

# %% tags=["hide-input"] figure="features" mystnb={"image": {"alt": "Eight small panels: one feature map each of Conv1, Conv2, MP3, Conv4, Conv5 and MP6, coarser from layer to layer, and bar charts of FC7 with 256 and FC8 with 64 units."}}
figures.figure_features(maps)

# %% [markdown]
# The maps become coarser, because pooling makes them so. What the picture does *not* show is what the maps mean. A bright spot in a Conv5 map says that some
# filter has found its pattern there; it does not say which pattern. The bars of FC8 say even less to us. That is the reason for the rest of this book: instead of staring at features, we
# turn them back into something that we know how to see and hear.
#
# ## The detector's answer over a song
#
# To judge a whole song, the detector is moved over it frame by frame. Each position gives the probability for its centre frame.
# Two more steps turn this curve into an answer, again as published {cite}`schluter2015`:
#
# - a **median filter**: each value is replaced by the median of its 56 neighbours (0.8 s), because nobody sings for a tenth of a second;
# - a **threshold**: above it the answer is "sung". It is the one that gave the highest accuracy on the *validation* songs, so the test songs have had no part in it.

# %%
from svdlib.detector_training import predict
from svdlib.evaluation import detector_scores, smooth

songs = svdlib.load_songs(tracks)
threshold = detector.provenance["threshold"]
curves = [predict(detector, song) for song in songs.log_mels]
smoothed = [smooth(curve) for curve in curves]

# %% tags=["hide-input"] figure="song-curve" mystnb={"image": {"alt": "Above: the detector's probability of singing over one test song, for every frame and smoothed, with the threshold as a dashed line. Below: two strips that show where the labels and where the detector say that somebody sings."}}
figures.figure_song_curve(
    curves[0], smoothed[0], songs.labels[0], threshold, title=track.name
)

# %% tags=["remove-input"]
one_song = detector_scores(smoothed[:1], songs.labels[:1], threshold)
always = max(np.mean(songs.labels[0]), 1 - np.mean(songs.labels[0]))
verdict = (
    "better than"
    if one_song["accuracy"] > always + 0.005
    else "no better than"
)
display(
    Markdown(
        f"Compare the two strips. In this song the detector is right in {100 * one_song['accuracy']:.1f} % of the frames. That is {verdict} "
        f"always giving the more frequent answer, which would be right in {100 * always:.1f} %. Of the frames that are sung it finds "
        f'{100 * one_song["recall"]:.1f} %, and of its "sung" frames {100 * one_song["precision"]:.1f} % are sung. '
        "A mistake of a few frames at the edge of a sung stretch hardly matters. A mistake in the middle of one is more interesting: "
        "we listen to the worst disagreement below. One song says little about the detector as a whole."
    )
)

# %% [markdown]
# ### What the filter and the threshold do
#
# We compare three ways to turn the curve into an answer, over all songs loaded here. Besides the accuracy we count how often the answer changes, because an
# answer that flickers is useless even where it is often right.

# %%
half = [curve > 0.5 for curve in curves]
chosen = [curve > threshold for curve in curves]
filtered = [curve > threshold for curve in smoothed]


def accuracy(answers):
    return np.mean(np.concatenate(answers) == np.concatenate(songs.labels))


def changes_per_minute(answers):
    changes = sum(np.count_nonzero(np.diff(answer)) for answer in answers)
    return 60 * FRAME_RATE * changes / sum(map(len, answers))


rows = {
    "threshold 0.5": half,
    f"threshold {threshold:.2f}": chosen,
    f"median filter, threshold {threshold:.2f}": filtered,
    "the labels themselves": songs.labels,
}
table = [
    {
        "answer": name,
        "accuracy": accuracy(answers),
        "changes per minute": changes_per_minute(answers),
    }
    for name, answers in rows.items()
]
pd.DataFrame(table).style.format(
    {"accuracy": "{:.3f}", "changes per minute": "{:.1f}"}
).hide(axis="index")

# %% tags=["remove-input"]
raw, final, true = table[1], table[2], table[3]
gain = 100 * (final["accuracy"] - raw["accuracy"])
moved = 100 * (raw["accuracy"] - table[0]["accuracy"])
display(
    Markdown(
        f"The median filter brings the changes from {raw['changes per minute']:.1f} to {final['changes per minute']:.1f} a minute; the labels "
        f"change {true['changes per minute']:.1f} times. The accuracy moves by {gain:+.1f} percentage points. Choosing the threshold on validation songs, "
        f"in place of 0.5, moves it by {moved:+.1f} points on {f'these {len(tracks)} test songs' if len(tracks) > 1 else 'this test song'}. A threshold that is best on the validation songs need not be best here."
    )
)

# %% [markdown]
# ### Listen to the worst disagreement
#
# We take the frame where the smoothed curve is furthest from the label, and play the excerpt that the detector saw there.

# %%
distance = np.abs(smoothed[0] - songs.labels[0])
half_excerpt = EXCERPT_FRAMES // 2
inner = distance[half_excerpt:-half_excerpt]  # context on both sides
first = int(inner.argmax())
worst = first + half_excerpt
worst_excerpt = log_mel[first : first + EXCERPT_FRAMES]

# %% tags=["remove-input"]
label = "sung" if songs.labels[0][worst] else "not sung"
display(
    Markdown(
        f"At {worst / FRAME_RATE:.1f} s the label says *{label}*, and the smoothed probability of singing is {smoothed[0][worst]:.2f}. "
        "Is it a mistake of the detector, or one of the labels? Listen before you decide."
    )
)

# %% tags=["hide-input"]
Gallery(
    [
        Panel(
            "The recording",
            worst_excerpt,
            samples=samples[first * HOP_LENGTH :][:EXCERPT_SAMPLES],
        ),
        Panel("Made from the spectrogram", worst_excerpt),
    ]
)

# %% [markdown]
# One can invent a story for every mistake: a guitar that glides like a voice, a voice buried under drums. A story is not a finding. To know what the detector listens to, we have
# to ask its layers. The next notebook builds the tool.
#
# ## Take-away
#
# - The detector looks at 115 × 80 numbers and answers for the frame in the middle.
# - Convolutions find local patterns; pooling forgets exact positions; dense layers give up the axes of time and frequency.
# - Early features are larger than the input, late ones much smaller. FC8 has 64 numbers.
# - The published answer is the network's curve, median-filtered and cut at a threshold that was chosen on validation songs.
#
# ## Exercises
#
# **1. How far does one cell of MP6 see?** A cell of Conv1 sees 3 frames. How many frames does one cell of MP6 see, and how far apart are the first frames of two neighbours?
# Work it out by hand, then check.
#
# :::{admonition} Solution
# :class: dropdown
# A 3 × 3 layer adds two steps of the grid below it. Conv1: 3 frames; Conv2: 5; MP3: 7, and the grid becomes three times as
# coarse; Conv4: 7 + 2·3 = 13; Conv5: 19; MP6: 25, and the grid is 9 frames.
#
# ```python
# from svdlib.geometry import receptive_field
#
# print(receptive_field(detector, "mp6"))  # stride 9, size 25
# ```
# :::
#
# **2. Does the detector need the context?** Replace everything but the middle 25 frames of the excerpt by zeros, which is the average sound. How does the
# probability change? Try other widths.
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# def probability_with_context(width):
#     masked = torch.zeros_like(x)
#     first = (EXCERPT_FRAMES - width) // 2
#     masked[:, :, first : first + width] = x[:, :, first : first + width]
#     with torch.no_grad():
#         return torch.sigmoid(detector(masked)).item()
#
# for width in (9, 25, 57, 89, 115):
#     print(width, round(probability_with_context(width), 3))
# ```
# The masked excerpts are unlike anything in the training songs, since no music stops dead at both ends. So a change does not *prove* that the context is
# used. It is the same doubt that we will meet with every method that changes inputs.
# :::
#
# **3. Trade misses against false alarms.** Compute precision and recall of `smoothed` for thresholds from 0.1 to 0.9. Which one would you choose to cut the instrumental parts out of a song for
# karaoke?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# for cut in np.arange(0.1, 1.0, 0.1):
#     scores = detector_scores(smoothed, songs.labels, cut)
#     precision, recall = scores["precision"], scores["recall"]
#     print(f"{cut:.1f}  precision {precision:.3f}  recall {recall:.3f}")
# ```
# A sung word in the karaoke track is worse than a bar too few: you want nearly all sung frames found, a high recall, and so a low threshold.
# :::
#
# ## Further reading
#
# - {cite:t}`schluter2015` describe the detector, its training and its results on real songs.
# - {cite:t}`ramona2008` made the corpus with which most work on singing voice detection has been compared since.
# - {cite:t}`lehner2014` show what detectors mistake for a voice.
# - {cite:t}`mcfee2015` is the library to play with spectrograms further.
