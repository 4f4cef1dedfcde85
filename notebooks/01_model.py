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
# **How does the detector hear, and how good is it?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - how a song becomes the picture that the detector looks at;
# - what each of the detector's layers does, and how large its feature is;
# - how to read the detector's answer over a whole song, and what the threshold and the median filter do to it.
#
# **Prerequisites:** some Python; you have met convolutions and dense layers before. No signal processing is needed.
#
# **Minutes:** 19 to read, 90 for the exercises, about one to run.
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
from svdlib.audio.mel_axis import (
    EXCERPT_FRAMES,
    EXCERPT_SAMPLES,
    FRAME_RATE,
    HOP_LENGTH,
    mel_filterbank,
)
from svdlib.compute.devices import choose_device
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.lab.figures.detector import figure_features, figure_song_curve
from svdlib.lab.figures.diagrams import figure_detector
from svdlib.lab.figures.gallery import Gallery, Panel
from svdlib.lab.figures.spectrograms import figure_excerpt
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 3, "laptop": 8, "full": None}[profile]
collection = svdlib.open_corpus(corpus)
tracks = collection.split("test")[:n_songs]
track = tracks[0]

# %% tags=["remove-input"]
if missing := one_class(tracks):
    display(Markdown(missing))

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show how the excerpt is cut out"}
samples = track.load()
log_mel = svdlib.LogMel()(samples)
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
figure_excerpt(
    excerpt, title=f"{track.name}, from {start / FRAME_RATE:.1f} s"
)

# %% [markdown]
# This is all that the detector gets to hear at once: a bit more than one and a half seconds of a song, as a picture. Time runs to the right, pitch upwards; bright is loud. Does somebody sing at the dotted line?
#
# ## The task
#
# *Singing voice detection* asks of each moment of a song: is somebody singing? The answer is yes or no. It does not matter who
# sings, or what, or whether instruments play along.
#
# A song comes with labels: stretches of time that are sung or not.

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show the first labels of a test song"}
pd.DataFrame(track.segments).head(6).style.format(precision=2).hide(
    axis="index"
)

# %% tags=["remove-input"]
sung_seconds = sum(
    segment.end - segment.start for segment in track.segments if segment.sing
)
display(
    Markdown(
        f"The song is called *{track.name}*. It lasts {len(samples) / svdlib.audio.mel_axis.SAMPLE_RATE:.0f} s, and "
        f"{100 * sung_seconds * svdlib.audio.mel_axis.SAMPLE_RATE / len(samples):.0f} % of it is sung."
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

# %% tags=["nbval-check-output", "hide-cell"] mystnb={"code_prompt_show": "Show the sizes"}
one_excerpt = svdlib.LogMel()(np.zeros(EXCERPT_SAMPLES, dtype=np.float32))
print(
    f"{EXCERPT_SAMPLES} samples become {one_excerpt.shape[0]} frames "
    f"of {one_excerpt.shape[1]} bands"
)

# %% [markdown]
# The detector never sees a whole song at once. It sees an **excerpt** of 115 frames and 80 bands. The picture at the top of this page is one, from the middle of the longest sung stretch of this song. It has two kinds of
# shapes. **Horizontal lines** are steady tones: a fundamental and its *harmonics*, the tones at whole multiples of it. **Vertical edges** are
# *onsets*, moments when something begins, such as a drum. A sung line often glides or waves.
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
# The detector has eight hidden layers. This diagram corresponds to figure 2 of the paper.

# %% tags=["hide-input"] figure="detector" mystnb={"image": {"alt": "Diagram of the detector from input to output: Conv1 and Conv2, pooling MP3, Conv4 and Conv5, pooling MP6, dense layers FC7 and FC8, and one output. The shapes are listed in the table below."}}
figure_detector(detector)

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

# %% tags=["nbval-check-output", "hide-input"]
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
# Second, nearly all weights of the detector sit between MP6 and FC7, a layer that is narrow in numbers.
#
# ### A look at the features
#
# A feature of a Conv or MP layer is a stack of maps, one per filter. We show one of each stack: the map that varies most over this
# excerpt. Dense features have no axes, so they are drawn as bars.


# %% tags=["hide-input"]
def liveliest_map(feature):
    """Pick the channel that varies most; leave a dense feature as it is."""
    if feature.ndim == 2:
        return feature[0].cpu().numpy()
    return feature[0, feature[0].flatten(1).var(dim=1).argmax()].cpu().numpy()


maps = {layer: liveliest_map(feature) for layer, feature in features.items()}

# %% tags=["hide-input"] figure="features" mystnb={"image": {"alt": "Eight small panels: one feature map each of Conv1, Conv2, MP3, Conv4, Conv5 and MP6, coarser from layer to layer, and bar charts of FC7 with 256 and FC8 with 64 units."}}
figure_features(maps)

# %% [markdown]
# The maps become coarser, because pooling makes them so. A bright spot says that some
# filter has found its pattern there, and not which pattern. So instead of staring at features, the rest of this book turns them back into something that we know how to see and hear.
#
# ## The detector's answer over a song
#
# To judge a whole song, the detector is moved over it frame by frame. Each position gives the probability for its centre frame.
# Two more steps turn this curve into an answer, again as published {cite}`schluter2015`:
#
# - a **median filter**: each value is replaced by the median of its 56 neighbours (0.8 s), because nobody sings for a tenth of a second;
# - a **threshold**: above it the answer is "sung". It is the one that gave the highest accuracy on the *validation* songs, so the test songs have had no part in it.

# %%
from svdlib.detector.prediction import predict
from svdlib.detector.scores import detector_scores, smooth

songs = svdlib.load_songs(tracks)
threshold = detector.threshold
curves = [predict(detector, song) for song in songs.log_mels]
smoothed = [smooth(curve) for curve in curves]

# %% tags=["hide-input"] figure="song-curve" mystnb={"image": {"alt": "Above: the detector's probability of singing over one test song, for every frame and smoothed, with the threshold as a dashed line. Below: two strips that show where the labels and where the detector say that somebody sings."}}
figure_song_curve(
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
found = (
    f"Of the frames that are sung it finds {100 * one_song['recall']:.1f} %"
    if songs.labels[0].any()
    else "No frame is sung, so there is none to find"
)
display(
    Markdown(
        f"Compare the two strips. In this song the detector is right in {100 * one_song['accuracy']:.1f} % of the frames. That is {verdict} "
        f"always giving the more frequent answer, which would be right in {100 * always:.1f} %. {found}, "
        f'and of its "sung" frames {100 * one_song["precision"]:.1f} % are sung. '
        "A mistake of a few frames at the edge of a sung stretch hardly matters. A mistake in the middle of one is more interesting: "
        "we listen to the worst disagreement below. One song says little about the detector as a whole."
    )
)

# %% [markdown]
# ### What the filter and the threshold do
#
# We compare three ways to turn the curve into an answer. One that flickers is of no use, so we also count how often it changes.

# %% tags=["hide-input"]
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
        f"change {true['changes per minute']:.1f} times. The accuracy moves by {gain:+z.1f} percentage points. Choosing the threshold on validation songs, "
        f"in place of 0.5, moves it by {moved:+z.1f} points on {f'these {len(tracks)} test songs' if len(tracks) > 1 else 'this test song'}. A threshold that is best on the validation songs need not be best here."
    )
)

# %% [markdown]
# ### Listen to the worst disagreement
#
# We take the frame where the smoothed curve is furthest from the label, and play the excerpt that the detector saw there.

# %% tags=["hide-input"]
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
# One can invent a story for every mistake: a guitar that glides like a voice, a voice buried under drums. To know what the detector listens to, we have to ask its layers.
#
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "The detector gives one probability for an excerpt of 115 frames. What is it about?",
        [
            Answer(
                "The frame in the middle; the others are context.",
                "That is why the detector is moved over a song frame by frame, and why the first and last 57 frames have context on one side only.",
                right=True,
            ),
            Answer(
                "The excerpt as a whole.",
                "The label it was trained with is that of one frame. An excerpt that is sung everywhere but in its middle counts as not sung.",
            ),
            Answer(
                "Its last frame, as everything before is known by then.",
                "So it would be in a detector that must answer at once. This one looks 0.8 s ahead as well as back.",
            ),
        ],
    ),
    Question(
        "The feature of Conv1 has many more numbers than the excerpt. What follows?",
        [
            Answer(
                "That nothing forces Conv1 to lose anything.",
                "Whether it does lose something is a matter of its weights, and has to be found out. The next chapters do.",
                right=True,
            ),
            Answer(
                "That Conv1 has kept the whole excerpt.",
                "There is room for it, but a layer can be wide and still lose: if all its filters were alike, it would.",
            ),
            Answer(
                "That Conv1 knows more about the song than the excerpt does.",
                "A layer computes from its input alone. It can say things anew, and never learn anything new.",
            ),
        ],
    ),
    Question(
        "Why is the threshold chosen on validation songs, and not on the test songs?",
        [
            Answer(
                "Chosen on the test songs, it would make the accuracy look too good.",
                "On new songs it would fit less well. Whatever was chosen to make a number good can no longer be judged by this number.",
                right=True,
            ),
            Answer(
                "The test songs are harder, so the threshold would be too low.",
                "How hard they are does not matter. On easier test songs the choice would be as unfair.",
            ),
            Answer(
                "A threshold must be chosen on the songs that the weights were trained on.",
                "On those the detector is surer than on new songs, so the threshold would fit the new ones badly.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - The detector looks at 115 × 80 numbers and answers for the frame in the middle.
# - Convolutions find local patterns; pooling forgets exact positions; dense layers give up the axes of time and frequency.
# - Early features are larger than the input, late ones much smaller. FC8 has 64 numbers.
# - The published answer is the network's curve, median-filtered and cut at a threshold that was chosen on validation songs.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.
#
# (exercise-weights)=
# ### Exercise 1: Count the weights
#
# *Easy, 10 minutes.*
#
# Write two functions. `conv_weights(channels, filters, size)` says how many numbers a convolution learns that makes `filters` maps from `channels` maps with windows of `size` × `size`. `dense_weights(inputs, units)` does so for a dense layer. Both have a bias for each output. Which layer of the detector holds most of its weights?
#
# :::{dropdown} First hint
# Draw one filter. How many numbers does it need to look at all maps at once? And each output has one number more.
# :::
#
# :::{dropdown} Second hint
# A filter has `size` times `size` numbers for each of `channels` maps, and a bias. There are `filters` of them. A dense unit is a filter that sees every input.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_weights(conv_weights, dense_weights):
    def learned(module):
        return sum(weight.numel() for weight in module.parameters())

    for channels, filters, size in ((1, 64, 3), (64, 32, 3), (2, 5, 4)):
        expected = learned(torch.nn.Conv2d(channels, filters, size))
        got = conv_weights(channels, filters, size)
        hint = ""
        if got in (expected - filters, expected - filters + 1):
            hint = " There is one bias for each filter."
        if got == (size**2 + 1) * filters:
            hint = " A filter has a window of its own on each map."
        assert got == expected, (
            f"Filters: {filters} of {size} × {size}; maps below: {channels}. They learn {expected} numbers, not {got}.{hint}"
        )
    for inputs, units in ((4, 3), (4928, 256)):
        expected, got = (inputs + 1) * units, dense_weights(inputs, units)
        hint = ""
        if got in (expected - units, inputs * (units + 1)):
            hint = " There is one bias for each output."
        assert got == expected, (
            f"A dense layer from {inputs} to {units} learns {expected} numbers, not {got}.{hint}"
        )
    return "Both kinds of layers are counted."


# %% tags=["exercise"]
def conv_weights(channels, filters, size):
    """Numbers that a convolution learns."""
    ...


def dense_weights(inputs, units):
    """Numbers that a dense layer learns."""
    ...


check_weights(conv_weights, dense_weights)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def conv_weights(channels, filters, size):
    return (channels * size**2 + 1) * filters


def dense_weights(inputs, units):
    return (inputs + 1) * units


display(check_weights(conv_weights, dense_weights))
counts = {
    "Conv1": conv_weights(1, 64, 3),
    "Conv2": conv_weights(64, 32, 3),
    "Conv4": conv_weights(32, 128, 3),
    "Conv5": conv_weights(128, 64, 3),
    "FC7": dense_weights(64 * 11 * 7, 256),
    "FC8": dense_weights(256, 64),
    "Out": dense_weights(64, 1),
}
for layer, count in counts.items():
    print(f"{layer:6}{count:9}  {count / sum(counts.values()):6.1%}")
print(f"together {sum(counts.values())}")

# %% [markdown]
# (exercise-receptive-field)=
# ### Exercise 2: How far does one cell see?
#
# *Easy, 15 minutes.*
#
# A cell of Conv1 sees 3 frames of the excerpt. Write `sight(layers)`. It gets the layers from the input up as pairs (window, step): a convolution of the detector is `(3, 1)`, a pooling `(3, 3)`. It returns two whole numbers for a cell of the last layer: how many frames of the excerpt it sees, and by how many frames the sight of its neighbour is shifted. Then find both for MP6.
#
# :::{dropdown} First hint
# Begin with a single frame, which sees itself, and whose neighbour is one frame away. What does one layer do to these two numbers?
# :::
#
# :::{dropdown} Second hint
# A window of `w` cells adds `w - 1` steps of the size *before* this layer. The step of the layer then multiplies that size.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_sight(sight):
    def slow(layers):
        def seen(cell):
            frames = {cell}
            for window, step in reversed(layers):
                frames = {f * step + k for f in frames for k in range(window)}
            return frames

        first, second = seen(0), seen(1)
        return len(first), min(second) - min(first)

    conv, pool = (3, 1), (3, 3)
    for layers in (
        [conv],
        [pool],
        [conv, conv],
        [conv, conv, pool, conv],
        [(4, 2), (3, 1), (2, 2)],
    ):
        expected, got = slow(layers), tuple(np.ravel(sight(layers)).tolist())
        assert len(got) == 2, (
            f"Return two numbers, the frames and the shift, not {len(got)}."
        )
        hint = " What does each layer's step do to the shift?"
        if got[1] == expected[1]:
            hint = (
                " Too many: neighbouring cells see many of the same frames."
                if got[0] > expected[0]
                else " A window on a coarse grid reaches further."
            )
        assert got == expected, (
            f"After {layers} a cell sees {expected[0]} frames and its neighbour begins {expected[1]} later; you have {got}.{hint}"
        )
    return "So you can tell for any stack of layers what a cell can know."


# %% tags=["exercise"]
def sight(layers):
    """Frames that a cell of the last layer sees, and the shift to the next."""
    ...


check_sight(sight)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def sight(layers):
    frames, shift = 1, 1
    for window, step in layers:
        frames += (window - 1) * shift
        shift *= step
    return frames, shift


display(check_sight(sight))
conv, pool = (3, 1), (3, 3)
frames, shift = sight([conv, conv, pool, conv, conv, pool])
print(
    f"A cell of MP6 sees {frames} frames, {1000 * frames / FRAME_RATE:.0f} ms, and the next one begins {shift} frames later."
)

# %% [markdown]
# (exercise-context)=
# ### Exercise 3: Does the detector need the context?
#
# *Medium, 15 minutes.*
#
# Write `with_context(x, width)`: a copy of a batch of standardised excerpts `(batch, 1, 115, 80)` in which everything but the middle `width` frames is 0, the average sound. `width` is odd, and the frame that the answer is about stays in the middle. Then see how the probability for our excerpt depends on the width.
#
# :::{dropdown} First hint
# Begin with zeros of the same shape, and copy in only what stays.
# :::
#
# :::{dropdown} Second hint
# The middle `width` of `EXCERPT_FRAMES` frames begin at half of what is left over. Frames are the third axis of the batch.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_context(with_context):
    given = torch.arange(1.0, 2 * 115 * 80 + 1).reshape(2, 1, 115, 80)
    before = given.clone()
    for width in (1, 25, 115):
        got = torch.as_tensor(with_context(given, width))
        assert torch.equal(given, before), (
            "The excerpts that were given have changed. Work on a copy."
        )
        assert got.shape == given.shape, (
            f"The result has the shape {tuple(got.shape)}; it must keep {tuple(given.shape)}."
        )
        left = (got != 0).any(dim=3)[:, 0]  # (excerpt, frame)
        assert torch.equal(left[0], left[1]), (
            "The two excerpts of a batch have different frames left."
        )
        kept = left[0].nonzero()[:, 0].tolist()
        hint = (
            " Frames are the third axis."
            if len(kept) == 115 and (got == 0).any()
            else ""
        )
        assert len(kept) == width, (
            f"For a width of {width}, {len(kept)} frames are left.{hint}"
        )
        assert kept[0] + kept[-1] == 114, (
            f"For a width of {width}, frames {kept[0]} to {kept[-1]} are left. The middle is frame 57, counted from 0."
        )
        part = slice(kept[0], kept[-1] + 1)
        assert torch.equal(got[:, :, part], given[:, :, part]), (
            "The middle frames have changed."
        )


# %% tags=["exercise"]
def with_context(x, width):
    """The excerpts with all but the middle `width` frames set to 0."""
    ...


check_context(with_context)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def with_context(x, width):
    masked = torch.zeros_like(x)
    first = (EXCERPT_FRAMES - width) // 2
    masked[:, :, first : first + width] = x[:, :, first : first + width]
    return masked


display(check_context(with_context))
with torch.no_grad():
    for width in (1, 9, 25, 57, 89, 115):
        probability = torch.sigmoid(detector(with_context(x, width))).item()
        print(f"{width:3} frames: probability of singing {probability:.3f}")
display(
    Markdown(
        "The masked excerpts are unlike anything in the training songs, since no music stops dead at both ends. So a change does not *prove* that the context is used. The same doubt will meet us with every method that changes inputs."
    )
)

# %% [markdown]
# (exercise-karaoke)=
# ### Exercise 4: Cut a song for karaoke
#
# *Medium, 20 minutes.*
#
# For a karaoke track you cut the instrumental parts out of a song. A sung word in it is worse than a bar too few. So you want nearly all sung frames found: a high *recall*. Write `highest_threshold(curve, labels, recall)`. It gets the probabilities of all frames and their labels, 1 for sung, and returns the highest threshold out of 0.00, 0.01, …, 1.00 such that at least the share `recall` of the sung frames lies *above* it.
#
# :::{dropdown} First hint
# Only sung frames matter for the recall. Try each of the 101 thresholds, and ask which share of them lies above.
# :::
#
# :::{dropdown} Second hint
# Collect all thresholds where that share is at least `recall`, and take the highest. There may be none, and then it must be 0.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_karaoke(highest_threshold):
    curve = np.array([0.9, 0.805, 0.305, 0.105, 0.99, 0.2])
    labels = np.array([1, 1, 1, 1, 0, 0])
    for recall, expected in ((1.0, 0.1), (0.75, 0.3), (0.5, 0.8), (0.3, 0.8)):
        got = float(highest_threshold(curve, labels, recall))
        found = np.mean(curve[labels == 1] > got)
        assert abs(got - round(got, 2)) < 1e-6, (
            f"The thresholds to choose from are 0.00, 0.01, and so on; {got:g} is none."
        )
        assert found >= recall - 1e-9, (
            f"Above {got:.2f} lie only {found:.0%} of the sung frames; {recall:.0%} were asked for."
        )
        assert abs(got - expected) < 1e-6, (
            f"For a recall of {recall:.0%} there is a higher threshold than {got:.2f}."
        )
    on_a_step = float(
        highest_threshold(np.array([0.5, 0.75]), np.ones(2), 1.0)
    )
    assert abs(on_a_step - 0.49) < 1e-6, (
        f"A frame of exactly 0.50 does not lie above a threshold of {on_a_step:.2f}."
    )
    rng = np.random.default_rng(0)
    curve, labels = rng.random(999), rng.integers(0, 2, 999)
    sung = np.sort(curve[labels == 1])
    allowed = int(np.floor(0.1 * len(sung)))  # sung frames that may be missed
    expected = np.ceil(100 * sung[allowed] - 1) / 100
    got = float(highest_threshold(curve, labels, 0.9))
    assert abs(got - expected) < 1e-6, (
        f"For 999 random frames and a recall of 90 % it is {expected:.2f}, not {got:.2f}. Do only sung frames count?"
    )


# %% tags=["exercise"]
def highest_threshold(curve, labels, recall):
    """The highest threshold that finds the share `recall` of sung frames."""
    ...


check_karaoke(highest_threshold)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def highest_threshold(curve, labels, recall):
    sung = curve[labels == 1]
    fine = [t for t in np.arange(101) / 100 if np.mean(sung > t) >= recall]
    return max(fine, default=0.0)


display(check_karaoke(highest_threshold))
all_curves, all_labels = (
    np.concatenate(smoothed),
    np.concatenate(songs.labels),
)
for recall in (0.9, 0.95, 0.99):
    cut = highest_threshold(all_curves, all_labels, recall)
    kept = all_curves <= cut
    print(
        f"recall {recall:.0%}: threshold {cut:.2f}; {kept[all_labels == 0].mean():.0%} of the instrumental frames are kept"
    )

# %% [markdown]
# (exercise-log-mel)=
# ### Exercise 5: A log-mel by hand
#
# *Hard, 30 minutes.*
#
# Write `log_mel_by_hand(samples)` from the four steps in the section *From sound to picture*, with NumPy. It gets samples at 22050 Hz and returns one row for each whole frame, 80 columns. The window is `np.hanning(1024)`. The third step is given: `mel_filterbank()` is an array (513, 80) with the weight of each frequency in each band. Before the logarithm, raise values below `1e-7` to `1e-7`.
#
# :::{dropdown} First hint
# Go in the order of the section: cut frames, multiply by the window and transform, gather in bands, take the logarithm. Check the shape after each.
# :::
#
# :::{dropdown} Second hint
# Frames start at multiples of `HOP_LENGTH`, as long as 1024 samples are left. `np.fft.rfft` gives 513 numbers for each; their sizes times the filterbank, by `@`, give 80.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_log_mel(log_mel_by_hand):
    noise = np.random.default_rng(0).normal(0, 0.1, 5000)
    got = np.asarray(log_mel_by_hand(noise))
    n_frames = 1 + (5000 - 1024) // 315
    assert got.shape == (n_frames, 80), (
        f"5000 samples hold {n_frames} whole frames of 80 bands; your result has the shape {got.shape}."
    )
    # One frame as a sum of sines and cosines, without a fast transform.
    n, k = np.arange(1024), np.arange(513)
    frame = noise[3 * 315 :][:1024] * np.hanning(1024)
    turned = np.outer(k, n) % 1024
    real, imaginary = (
        wave(2 * np.pi * turned / 1024) @ frame for wave in (np.cos, np.sin)
    )
    bands = np.hypot(real, imaginary) @ mel_filterbank()
    expected = np.log(bands)
    others = {
        "You seem to have squared the magnitudes.": np.log(
            np.hypot(real, imaginary) ** 2 @ mel_filterbank()
        ),
        "That is a logarithm to the base 10.": np.log10(bands),
        "Those are decibels; take the natural logarithm.": 20
        * np.log10(bands),
        "Fade each frame by the window.": np.log(
            np.abs(np.fft.rfft(noise[3 * 315 :][:1024])) @ mel_filterbank()
        ),
        "Take the magnitudes before you add them up.": np.log(
            np.abs((real - 1j * imaginary) @ mel_filterbank())
        ),
        "Take the logarithm of the bands, not of the frequencies.": np.log(
            np.hypot(real, imaginary)
        )
        @ mel_filterbank(),
    }
    if not np.allclose(got[3], expected, atol=1e-3):
        hints = [
            h for h, x in others.items() if np.allclose(got[3], x, atol=1e-3)
        ]
        off = np.abs(got[3] - expected).max()
        raise AssertionError(
            f"The fourth frame is off by up to {off:.2f}. {' '.join(hints) or 'Compare your steps with the four in their order.'}"
        )
    silence = np.asarray(log_mel_by_hand(np.zeros(2000)))
    assert np.allclose(silence, np.log(1e-7)), (
        "Digital silence should give the logarithm of 1e-7 everywhere."
    )
    soft = 1e-7 / np.median(bands)  # half of the bands lie below 1e-7
    assert np.allclose(
        np.asarray(log_mel_by_hand(soft * noise))[3],
        np.log(np.maximum(soft * bands, 1e-7)),
        atol=1e-3,
    ), (
        "In a very soft sound, raise the bands below 1e-7, and leave those above as they are."
    )
    return "You have built the detector's ear."


# %% tags=["exercise"]
def log_mel_by_hand(samples):
    """The log-mel (frames, 80) of samples at 22050 Hz."""
    ...


check_log_mel(log_mel_by_hand)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def log_mel_by_hand(samples):
    starts = range(0, len(samples) - 1023, HOP_LENGTH)
    frames = np.array([samples[start:][:1024] for start in starts])
    magnitudes = np.abs(np.fft.rfft(frames * np.hanning(1024), axis=1))
    return np.log(np.maximum(magnitudes @ mel_filterbank(), 1e-7))


display(check_log_mel(log_mel_by_hand))
off = np.abs(log_mel_by_hand(samples) - log_mel.numpy()).max()
print(f"largest difference to svdlib.LogMel over the whole song: {off:.1e}")

# %% [markdown]
# ## Further reading
#
# - {cite:t}`schluter2015` describe the detector, its training and its results on real songs.
# - {cite:t}`ramona2008` made the corpus with which most work on singing voice detection has been compared since.
# - {cite:t}`lehner2014` show what detectors mistake for a voice.
# - {cite:t}`mcfee2015` is the library to play with spectrograms further.
