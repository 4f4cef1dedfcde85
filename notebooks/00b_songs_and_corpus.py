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
# # How a song is made: band, score and corpus
#
# **What do a voice and an instrument share, and what not?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - what a voice and an instrument with the same melody share, and what they do not;
# - what makes a good negative example;
# - how the labels follow from the score, and how loud the voice is against the band.
#
# **Prerequisites:** {doc}`00_songs`. Headphones.
#
# **Minutes:** 18 to read, 50 for the exercises, less than one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.audio.mel_axis import FRAME_RATE, HOP_LENGTH, SAMPLE_RATE
from svdlib.lab.figures import synthesis as figures
from svdlib.lab.figures.gallery import Gallery
from svdlib.lab.figures.synthesis import Picture, Sound
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.songs.synthesis import band, plan_song, render_song, voice
from svdlib.songs.synthesis.voice import Gestures, Note, Singer, Syllable

to_log_mel = svdlib.LogMel()


def log_mel_of(samples):
    """The spectrogram of a sound, set to a loudness that is the same for all."""
    samples = np.asarray(samples, dtype=np.float32)
    return to_log_mel(samples * (0.08 / np.sqrt(np.mean(samples**2))))


index, seconds = 0, 40.0
song = render_song(index, seed=seed, seconds=seconds)
sung = np.zeros(len(song.samples), dtype=bool)
for start, end in song.segments:
    sung[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the singer of the chapter before"}
plain = Gestures(
    glide=0.005,
    scoop=0.0,
    fall=0.0,
    arch=0.0,
    vibrato_rate=5.5,
    vibrato_depth=0.0,
    vibrato_delay=0.25,
    drift=0.0,
)
singer = Singer(
    tract_scale=1.0,
    formant_offsets=(1.0, 1.0, 1.0, 1.0, 1.0),
    centre=57.0,  # the middle of the range, 57 is the A at 220 Hz
    rd=1.0,
    breath=0.03,
    singers_formant=0.4,  # how far F3 to F5 draw together near 3 kHz
    roughness=0.0,
    diction=1.6,  # how clear the consonants are
    gestures=replace(
        plain, glide=0.08, scoop=0.6, vibrato_depth=0.4, arch=0.3, drift=0.15
    ),
    language="italian",
)
words = "ma li so te nu da ri ko".split()
pitches = [57, 59, 60, 64, 62, 60, 59, 57]
lengths = [0.45, 0.45, 0.45, 0.9, 0.45, 0.45, 0.45, 0.9]
starts = 0.2 + np.concatenate([[0], np.cumsum(lengths)[:-1]])
melody = [
    Note(start, length, pitch, Syllable(word[0], word[1], word[1]))
    for start, length, pitch, word in zip(
        starts, lengths, pitches, words, strict=True
    )
]


def sing(notes, who, chance=seed):
    rng = np.random.default_rng(chance)
    return voice.sing(notes, voice.consonant_times(notes, rng), who, rng)


sung_phrase = sing(melody, singer)


sung_phrase = sing(melody, singer)
consonants = voice.consonant_times(melody, np.random.default_rng(seed))
begin, _ = voice.phrase_span(melody, consonants)

# %% [markdown]
# ## The band
#
# Drums, bass and chords are simpler. A drum is a falling tone and a burst of noise. A plucked string is a short noise that runs in a circle and becomes duller with each round {cite}`karplus1983`. An electric piano is one tone that shakes the phase of another {cite}`chowning1973`.
#
# The important players for this book are the **leads**: instruments that play a melody. Ours use the *same code for the pitch* as the singer.

# %% tags=["hide-input"]
rng = np.random.default_rng(seed)
bar_seconds, n_samples = 1.8, round(4.9 * SAMPLE_RATE)
chords = [(9, (0, 3, 7)), (5, (0, 4, 7)), (0, (0, 4, 7))]  # Am, F, C
bars = [
    band.Bar(
        0.1 + k * bar_seconds, bar_seconds, root, kind, "verse", 1.0, False
    )
    for k, (root, kind) in enumerate(chords)
]
instruments = plan_song(0, seed=0, seconds=10).score.world.instruments
drums = band.drum_track(bars, "pop", n_samples, 0.0, rng)
bass = band.bass_track(bars, n_samples, "pop", rng)
guitar = band.chord_track(
    bars, "guitar", "strum", n_samples, 0.0, rng, instruments
)
clarinet = band.draw_lead("clarinet", singer.gestures, rng)
_, lead_phrase = band.play_lead(melody, clarinet, rng)


# %% tags=["hide-input"]
def shown(title, sound):
    """A player below a picture; all pictures span the same range of loudness."""
    log_mel = log_mel_of(sound)
    return Picture(
        title,
        log_mel,
        samples=sound,
        drawing=figures.small_picture(log_mel),
    )


excerpt = slice(0, round(3.4 * SAMPLE_RATE))
Gallery(
    [
        shown(name, sound[excerpt])
        for name, sound in {
            "Drums": drums,
            "Bass": bass,
            "Guitar": guitar,
        }.items()
    ]
)

# %% [markdown]
# Drums are vertical edges and clouds of noise. The bass keeps to the bottom. The guitar's chords are stacks of straight lines, each of which begins at once and fades. None of the three looks like the phrase above.
#
# (singer-and-clarinet)=
# ### One melody, a singer and a clarinet
#
# Now compare the singer with a lead.

# %% tags=["hide-input"]
Gallery(
    [
        shown("The singer", sung_phrase),
        shown("A clarinet, same melody and gestures", lead_phrase),
    ]
)

# %% [markdown]
# What they **share**: harmonics at whole multiples of a pitch, the melody, the glides, the scoops, the vibrato.
#
# What they do **not** share: the lead here is a clarinet, and its tube keeps its shape. Which harmonics are strong is the same in every note. No formants jump with each syllable, and there are no consonants.
#
# ### What makes a good negative?
#
# A detector learns from examples of "sung" and of "not sung". If the parts that are not sung held only drums and chords, a very simple rule would be enough: *something with harmonics whose pitch moves is a voice*. Let us write that rule down and see what it says.
#
# For each moment, **autocorrelation** compares the sound with itself, shifted by one period. A match of 1 means perfectly periodic, so harmonic. The best shift gives the pitch.


# %%
def naive_rule(samples, window=2048):
    """Per frame: is there a steady period, and does it move?"""
    padded = np.pad(samples, window // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, window)
    frames = frames[::HOP_LENGTH] * np.hanning(window)
    power = abs(np.fft.rfft(frames, 2 * window)) ** 2
    match = np.fft.irfft(power)[:, :400]
    match /= np.maximum(match[:, :1], 1e-6)
    lags = 31 + match[:, 31:].argmax(axis=1)  # 55 to 711 Hz
    harmonic = match[np.arange(len(match)), lags] > 0.6
    semitones = 12 * np.log2(SAMPLE_RATE / lags)
    near = np.lib.stride_tricks.sliding_window_view(
        np.pad(semitones, 17, mode="edge"),
        35,  # half a second
    )
    moves = np.ptp(near, axis=1) > 0.3
    return harmonic & moves


# %% [markdown]
# The other judge is the detector that comes with this book. {doc}`01_model` explains how it works. Here it is enough to know that it gives a probability of singing for each frame, and says "sung" above a threshold.
#
# Both judge three sounds: the singer alone, the lead alone, and the singer with the band.

# %% tags=["hide-input"]
from svdlib.detector.prediction import predict
from svdlib.detector.scores import area_under_curve

detector = svdlib.pretrained("detector")
threshold = detector.threshold


def to_level(samples, level):
    return level * samples / np.sqrt(np.mean(samples**2))


accompaniment = sum(to_level(part, 0.03) for part in (drums, bass, guitar))
mixed = accompaniment.copy()
band.add(mixed, to_level(sung_phrase, 0.08), begin)
clips = {"singer": sung_phrase, "lead": lead_phrase, "singer + band": mixed}
log_mels = {name: log_mel_of(sound) for name, sound in clips.items()}
by_rule = {
    name: naive_rule(sound)[: len(log_mels[name])]
    for name, sound in clips.items()
}
by_detector = {
    name: predict(detector, log_mel.numpy())
    for name, log_mel in log_mels.items()
}

# %% tags=["hide-input"] figure="judges" mystnb={"image": {"alt": "Three columns: singer, lead, singer with band. Above the log-mel spectrograms; in the middle a strip where the naive rule says sung; below the detector's probability with its threshold. The values are given in the text below."}}
figures.figure_judges(log_mels, by_rule, by_detector, threshold)

# %% tags=["remove-input"]
shares = {
    name: (
        100 * by_rule[name].mean(),
        100 * (by_detector[name] > threshold).mean(),
    )
    for name in clips
}
listed = "; ".join(
    f"*{name}* {rule:.0f} % and {net:.0f} %"
    for name, (rule, net) in shares.items()
)
rule_gap = shares["singer"][0] - shares["lead"][0]
net_gap = shares["singer"][1] - shares["lead"][1]
display(
    Markdown(
        f"Share of the frames that are called sung, by the rule and by the detector: {listed}. Singer and lead differ by {abs(rule_gap):.0f} points for the rule and by {abs(net_gap):.0f} for the detector. "
        + (
            "So here the detector tells them apart much better than the rule does."
            if net_gap > abs(rule_gap) + 20
            else "So in this pair the detector does not do clearly better than the rule."
        )
    )
)

# %% [markdown]
# One singer and one lead are an anecdote. So we take all the families of leads and as many singers. Everybody performs the same melody. Half of the singers have the shorter tract of a woman, and from singer to singer the voice becomes breathier.

# %% tags=["hide-input"]
rows = []
for k, family in enumerate(band.LEADS):
    rng = np.random.default_rng([seed, k])
    scale, up = (1.0, 0) if k % 2 else (1.17, 7)
    who = replace(singer, tract_scale=scale, rd=0.6 + 0.1 * k)
    notes = [replace(note, pitch=note.pitch + up) for note in melody]
    lead = band.draw_lead(family, singer.gestures, rng)
    _, played = band.play_lead(notes, lead, rng)
    for kind, name, sound in (
        ("singer", f"Rd {who.rd:.1f}", sing(notes, who, [seed, k])),
        ("lead", family, played),
    ):
        rule = naive_rule(sound).mean()
        probability = predict(detector, log_mel_of(sound).numpy()).mean()
        rows.append((kind, name, rule, probability))
judged = pd.DataFrame(rows, columns=["who", "which", "rule", "detector"])
judged.groupby("who")[["rule", "detector"]].agg(
    ["min", "median", "max"]
).rename_axis(index=None).style.format(precision=2)

# %% tags=["remove-input"]
is_singer = (judged["who"] == "singer").to_numpy()
auc = {
    judge: area_under_curve(judged[judge].to_numpy(), is_singer)
    for judge in ("rule", "detector")
}
fooled = judged[~is_singer & (judged["detector"] > 0.5)]["which"].tolist()
missed = judged[is_singer & (judged["detector"] < 0.5)]["which"].tolist()
display(
    Markdown(
        "The table has the share of frames that the rule calls sung, and the detector's mean probability. The AUC says how well a number separates the two groups: "
        "it is the probability that a random singer scores higher than a random lead. 0.5 is guessing; 1 is perfect. "
        f"**The rule has an AUC of {auc['rule']:.2f}, the detector one of {auc['detector']:.2f}.** "
        + (
            "The rule can hardly tell them apart. "
            if abs(auc["rule"] - 0.5) < 0.2
            else "The rule tells them apart to some degree here, which shows that our leads are no perfect copies of a singer's pitch. "
            if auc["rule"] > 0.5
            else "The rule even ranks the leads above the singers. "
        )
        + (
            "The detector mostly can. "
            if auc["detector"] > 0.8
            else "The detector does not do it well either. "
        )
        + (
            f"It is fooled by: {', '.join(fooled)}. "
            if fooled
            else "No lead gets more than 0.5 on average. "
        )
        + (
            f"It misses the singers {', '.join(missed)}."
            if missed
            else "No singer gets less than 0.5."
        )
    )
)

# %% [markdown]
# In early work, which this repository does not reproduce, we saw a detector that was trained on songs without leads do well on songs of its own kind and badly on real ones. The reason may be an easy rule that is enough at home. So a high score on one's own validation songs can mean that the task has become too easy. {doc}`06_real_singing` has what we measured on real songs.
#
# A **good negative** is like the thing one looks for in everything but what matters.
#
# ## The song
#
# A song is planned before it sounds. First comes the **form**: intro, verse, chorus and so on. Then the **harmony**: a chord for each bar. Then who plays where. The singer gets verses and choruses; the leads get mostly the rest. All choices are random, but drawn from one number: the same number gives the same song.

# %%
plan = plan_song(index, seed=seed, seconds=seconds)
again = render_song(index, seed=seed, seconds=seconds)
print(
    "the song from above again:", np.array_equal(again.samples, song.samples)
)

# %% tags=["hide-input"] figure="score" mystnb={"image": {"alt": "Piano roll of the song: coloured sections from left to right, grey chords, blue sung notes. Below, strips for the sung phrases, the leads and the labels. The labels follow the sung phrases."}}
from svdlib.songs.synthesis.song import perform_leads, sections_of

# The third of the song's random streams belongs to the leads.
streams = np.random.SeedSequence([seed, index, 1]).spawn(4)
leads = perform_leads(
    plan.score,
    plan.singer,
    plan.phrases,
    seconds,
    np.random.default_rng(streams[1]),
)


def active(samples):
    """Stretches that are louder than a hundredth of the loudest."""
    block = SAMPLE_RATE // 10
    loud = (
        abs(samples[: len(samples) // block * block])
        .reshape(-1, block)
        .max(axis=1)
    )
    edges = np.diff(
        np.pad(loud > 0.01 * max(loud.max(), 1e-9), 1).astype(int)
    )
    return list(
        zip(
            np.flatnonzero(edges > 0) / 10,
            np.flatnonzero(edges < 0) / 10,
            strict=True,
        )
    )


spans = [voice.phrase_span(take.notes, take.lengths) for take in plan.takes]
figures.figure_score(
    [
        (bars[0].start, bars[-1].start + bars[-1].duration, bars[0].section)
        for bars in sections_of(plan.score)
    ],
    [
        (note.start, note.end, note.pitch)
        for phrase in plan.phrases
        for note in phrase
    ],
    [
        (
            bar.start,
            min(bar.start + bar.duration, seconds),
            band.voicing(bar, 48),
        )
        for bar in plan.score.bars
        if bar.start < seconds
    ],
    {"sung phrases": spans, "leads": active(leads), "labels": plan.segments},
    seconds,
)

# %% tags=["remove-input"]
sung_seconds = sum(end - start for start, end in plan.segments)
display(
    Markdown(
        f"This is a {song.genre} song of {seconds:.0f} s in {len(sections_of(plan.score))} sections. Grey lines are chords, blue ones sung notes. "
        f"The singer has {len(plan.phrases)} phrases, with those of a second voice {len(plan.takes)}. They become {len(plan.segments)} labelled stretches, {sung_seconds:.1f} s or {100 * sung_seconds / seconds:.0f} % of the song."
    )
)

# %% [markdown]
# ### The labels
#
# The labels come from the score, by two rules.
#
# 1. A phrase is sung from its first consonant to the end of its last note. **Reverberation** after it, the sound that stays in the room, does not count.
# 2. Rests shorter than 0.5 s do not interrupt a sung stretch. A person who labels would not mark them either.

# %% tags=["hide-input"]
fade = []
for (_, end), (start, _) in pairwise(plan.segments):
    before, after = (
        np.sqrt(
            np.mean(
                song.voice[round(a * SAMPLE_RATE) : round(b * SAMPLE_RATE)]
                ** 2
            )
        )
        for a, b in ((end - 0.4, end - 0.1), (end + 0.1, end + 0.25))
    )
    if start - end > 0.3 and before > 0:
        fade.append(20 * np.log10(max(after, 1e-9) / before))
display(
    Markdown(
        f"In this song, the voice's own stem is on average {-np.mean(fade):.0f} dB softer shortly after a labelled end than shortly before it. "
        "It is not silent there: what remains is the room."
        if fade
        else "In this song no labelled stretch is followed by a rest."
    )
)

# %% [markdown]
# ### The mix
#
# At last voice and band are brought together as in a studio. The voice gets a level against the band that suits the genre. Both get a room. The sum is then equalised, compressed and made as loud as songs usually are: this is the **mastering**. It changes both stems by the same gain at every moment, so they still add up to the song.

# %% tags=["hide-input"]
sum_error = abs(song.voice + song.band - song.samples).max()
power = {
    "voice": np.mean(song.voice[sung] ** 2),
    "band": np.mean(song.band[sung] ** 2),
}
ratio = 10 * np.log10(power["voice"] / power["band"])

# %% tags=["remove-input"]
display(
    Markdown(
        f"In the sung parts of this song, the voice lies {abs(ratio):.1f} dB {'above' if ratio > 0 else 'below'} the band. This is the **voice-to-band ratio**. "
        f"{'The stems add up to the song exactly.' if sum_error == 0 else f'The stems add up to the song up to {sum_error:.0e} of full scale, which is rounding.'}"
    )
)

# %% [markdown]
# ## The corpus
#
# A **corpus** is a collection of songs with labels. This one is shared among three splits, as large as those of the corpus in the paper.

# %% tags=["nbval-check-output"]
songs = svdlib.open_corpus("synthetic")
print({name: len(songs.split(name)) for name in ("train", "valid", "test")})

# %% [markdown]
# The detector learns on `train`, choices are made on `valid`, and every reported number comes from `test`. The genres take turns, so every split has all of them. Here is one song of each genre. They are shorter than those of the corpus, to save time.

# %% tags=["hide-input"]
from svdlib.songs.synthesis import GENRES

n_rendered = {"demo": 1, "laptop": 2, "full": 4}[profile] * len(GENRES)
rendered = [
    render_song(k, seed=seed + 1, seconds=12.0) for k in range(n_rendered)
]
by_genre = {each.genre: each for each in rendered[: len(GENRES)]}

# %% tags=["hide-input"] figure="genres" mystnb={"image": {"alt": "Eight log-mel spectrograms, one per genre, on one colour scale, with a white bar at the top where somebody sings. Metal is bright everywhere; folk and ballad show single lines on black."}}
three_seconds, heard = {}, {}
for genre, each in by_genre.items():
    longest = max(
        each.segments, key=lambda span: span[1] - span[0], default=(5, 8)
    )
    first = round(np.clip(longest[0] - 0.5, 0, 9.0) * SAMPLE_RATE)
    heard[genre] = each.samples[first : first + round(2.5 * SAMPLE_RATE)]
    seconds_in = first / SAMPLE_RATE + np.arange(172) / FRAME_RATE
    three_seconds[genre] = np.any(
        [(seconds_in >= a) & (seconds_in < b) for a, b in each.segments]
        or [seconds_in < 0],
        axis=0,
    )
figures.figure_genres(
    {genre: to_log_mel(sound) for genre, sound in heard.items()},
    three_seconds,
)

# %% tags=["hide-input"]
Gallery(
    [
        Sound(genre.capitalize(), to_log_mel(sound), samples=sound)
        for genre, sound in heard.items()
    ]
)

# %% [markdown]
# The white bars mark singing. The genres differ in how full the picture is: where guitars are distorted there is hardly a dark spot left, and a voice has to shine through.
#
# Whoever trains and tests with one program cannot know whether the detector has learned singing or *this program*. So there is a corpus that no training has met, `synthetic-c`. It has other singers, instruments and mixes than `synthetic` and `synthetic-b`, from which the detector has learned. {doc}`../book/corpora` describes all three.
#
# ## Does it look like real songs?
#
# A first test is simple. We compute for each of the 80 bands the mean and the standard deviation over all frames. If synthetic and real songs differ *here*, they certainly differ. If they agree here, they may still differ in everything else.

# %% tags=["hide-input"]
n_songs = {"demo": 3, "laptop": 8, "full": None}[profile]


def band_statistics(log_mels):
    frames = torch.cat([torch.as_tensor(each) for each in log_mels])
    return frames.mean(dim=0).numpy(), frames.std(dim=0).numpy()


statistics = {
    "songs rendered here": band_statistics(
        [to_log_mel(each.samples) for each in rendered]
    ),
    "the detector's training songs": (
        detector.standardizer.mean.numpy().ravel(),
        detector.standardizer.std.numpy().ravel(),
    ),
}
if corpus != "synthetic":
    tracks = svdlib.open_corpus(corpus).split("test")[:n_songs]
    name = "your songs" if corpus.startswith("folder:") else corpus
    statistics[name] = band_statistics(svdlib.load_songs(tracks).log_mels)

# %% tags=["hide-input"] figure="band-statistics" mystnb={"image": {"alt": "Left: the mean log magnitude of each mel band, falling from low to high frequencies. Right: the standard deviations. One line per set of songs."}}
figures.figure_band_statistics(statistics)

# %% tags=["remove-input"]
ours = statistics["the detector's training songs"]


def compared(name):
    mean, deviation = statistics[name]
    shift = mean - ours[0]
    return (
        f"Against the training songs, the bands of *{name}* lie {shift.mean():+z.2f} in the mean (a shift of all bands, which is loudness) "
        f"and {(shift - shift.mean()).std():.2f} from band to band after that (which is colour). Their deviations are {np.mean(deviation / ours[1]):.2f} times as large."
    )


text = " ".join(
    compared(name)
    for name in statistics
    if name != "the detector's training songs"
)
if corpus == "synthetic":
    text += " To put your own songs beside these, build the book with `make book CORPUS=folder:my_songs`; this figure then has a third line."
display(
    Markdown(
        f"The unit is the natural logarithm: 1 is {20 / np.log(10):.1f} dB. {text}"
    )
)

# %% [markdown]
# The detector standardises its input with the means and deviations of its training songs. If those of other songs are far away, it sees a shifted picture from the start. That such statistics agree does not make the songs alike: a sentence and the same letters in random order have the same letter counts.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A clarinet plays a sung melody with the same vibrato. What sets the voice apart?",
        [
            Answer(
                "Its formants move from vowel to vowel.",
                "The words move the filter, whatever the melody does. A clarinet's filter stands still.",
                right=True,
            ),
            Answer(
                "Its pitch glides and trembles.",
                "Here the clarinet was given the same gestures of pitch. That is why pitch alone cannot settle it.",
            ),
            Answer(
                "Its harmonics reach up to higher frequencies.",
                "How far they reach is the sound's colour. A pressed voice is bright and a breathy one dull, and so are instruments. A colour that stands still is no sign of a voice.",
            ),
        ],
    ),
    Question(
        "A detector makes no mistake in any test song of this program. What does that show?",
        [
            Answer(
                "It can tell this program's voices from its instruments.",
                "And no more. Whether it finds singing in real songs must be measured on real songs.",
                right=True,
            ),
            Answer(
                "It has learned what distinguishes singing from playing.",
                "It may have learned a trait of our program. The second corpus and real songs are there to find out.",
            ),
            Answer(
                "The program's negatives are good ones, so it had to learn.",
                "Rather the opposite is to be feared. If an easy rule is enough, a detector that has learned no more than this rule is perfect, too.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A lead with the same melody and gestures shares the pitch. It lacks moving formants and consonants.
# - A detector learns no more than its negatives force it to learn.
# - The labels come from the score and are exact. The stems add up to the song.
# - How well singing is found in real songs has to be measured on real songs.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-labels)=
# ### Exercise 1: Labels from a score
#
# *Medium, 15 minutes.*
#
# Write `labels(spans, gap)`. It gets a list with the (start, end) of each sung phrase, in any order, perhaps overlapping. It returns the labelled stretches in the same form, in their order: what is less than `gap` seconds apart is joined.
#
# :::{dropdown} First hint
# Sort the phrases by their start. Then each one either goes on from the stretch before, or begins a new one.
# :::
#
# :::{dropdown} Second hint
# Keep a list of finished stretches. If the next phrase starts less than `gap` after the last end, move that end, but never back: a short phrase may lie inside a long one.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_labels(labels):
    cases = [
        ("two phrases in no order", [(5, 6), (1, 2)], 0.5, [(1, 2), (5, 6)]),
        ("a short rest", [(1, 2), (2.25, 3)], 0.5, [(1, 3)]),
        ("a long rest", [(1, 2), (2.75, 3)], 0.5, [(1, 2), (2.75, 3)]),
        ("a rest of `gap` itself", [(1, 2), (3, 4)], 1, [(1, 2), (3, 4)]),
        ("another gap", [(1, 2), (2.25, 3)], 0.125, [(1, 2), (2.25, 3)]),
        ("three in a row", [(1, 2), (2.25, 3), (3.25, 4)], 0.5, [(1, 4)]),
        ("one inside another", [(1, 5), (2, 3), (4, 4.5)], 0.5, [(1, 5)]),
        ("a song without singing", [], 0.5, []),
    ]
    for what, given, gap, expected in cases:
        found = labels(list(given), gap)
        got = [tuple(float(second) for second in span) for span in found]
        assert got == expected, (
            f"{what[0].upper()}{what[1:]}: {given} with a gap of {gap} s should give {expected}, not {got}."
        )
    got = np.clip(np.array(labels(list(spans), 0.5), float), 0, seconds)
    assert got.shape == (len(plan.segments), 2) and np.allclose(
        got, plan.segments
    ), "The song above has other labels."
    return "It holds for the song above, too."


# %% tags=["exercise"]
def labels(spans, gap):
    """Labelled stretches (start, end) in order, seconds."""
    ...


check_labels(labels)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def labels(spans, gap):
    joined = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] < gap:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end))
        else:
            joined.append((start, end))
    return joined


check_labels(labels)

# %% [markdown]
# (exercise-voice-to-band)=
# ### Exercise 2: How loud is the voice?
#
# *Medium, 15 minutes.*
#
# Write `voice_to_band(song)`: the power of `song.voice` in all labelled stretches together, against that of `song.band` in the same stretches, in dB. Both are arrays of samples, `SAMPLE_RATE` of them a second, and `song.segments` holds the stretches in seconds. Compute it for the eight songs in `by_genre`. Where is the voice most buried?
#
# :::{dropdown} First hint
# Power is the mean of the squares. Add up the squares over all stretches first, and only then take the ratio.
# :::
#
# :::{dropdown} Second hint
# Turn each (start, end) into a `slice` of samples by `SAMPLE_RATE`. The ratio of powers in dB takes 10 times the logarithm.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_ratio(voice_to_band):
    times = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    noise = np.random.default_rng(1).standard_normal((2, len(times))) * 0.1
    # Until 2 s there is a loud band, then both; the voice grows at 3.1 s.
    playing = noise[0] * np.where(times < 2, 10.0, 1.0)
    singing = noise[1] * np.select([times < 2, times < 3.1], [0, 1], 3.0)
    for factor in (0.5, 1.0, 2.0):
        made = replace(
            song,
            samples=np.float32(playing + factor * singing),
            voice=np.float32(factor * singing),
            band=np.float32(playing),
            segments=((2.5, 3.0), (3.25, 4.0)),
        )
        # Of 1.25 s, 0.75 s have nine times the power.
        power = factor**2 * (0.5 + 0.75 * 9) / 1.25
        expected = 10 * np.log10(power)
        got = float(voice_to_band(made))
        hint = "Do only labelled stretches count, all of them?"
        for wrong, why in (
            (-expected, "Is the voice above the fraction line?"),
            (2 * expected, "Powers take 10 times the logarithm, not 20."),
            (expected / 2, "Power is the mean of the squared samples."),
            (power, "Turn the ratio into dB."),
            (
                20 * np.log10(factor) + 10 * np.log10(9) / 2,
                "Add up the powers of all stretches before you take the ratio.",
            ),
        ):
            if abs(got - wrong) < 0.1:
                hint = why
        assert abs(got - expected) < 0.3, (
            f"A test song has {expected:+z.1f} dB, and you have {got:+z.1f}. {hint}"
        )


# %% tags=["exercise"]
def voice_to_band(song):
    """Power of the voice against the band's, in decibels."""
    ...


check_ratio(voice_to_band)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def voice_to_band(song):
    cuts = [
        slice(round(a * SAMPLE_RATE), round(b * SAMPLE_RATE))
        for a, b in song.segments
    ]
    voiced = sum(np.sum(song.voice[cut] ** 2) for cut in cuts)
    played = sum(np.sum(song.band[cut] ** 2) for cut in cuts)
    return 10 * np.log10(voiced / played)


display(check_ratio(voice_to_band))
ratios = {
    genre: voice_to_band(each)
    for genre, each in by_genre.items()
    if each.segments
}
for genre, decibels in sorted(ratios.items(), key=lambda pair: pair[1]):
    print(f"{genre:11} {decibels:+5.1f} dB")
if ratios:
    lowest = min(ratios, key=ratios.get)
    display(
        Markdown(
            f"The voice is most buried in the {lowest} song, with {ratios[lowest]:+z.1f} dB. This is one song of each genre, and another one may have another order. Power is not everything, either: a band that sounds in other frequencies than the voice hides it less."
        )
    )

# %% [markdown]
# (exercise-frozen)=
# ### Exercise 3: From singer to instrument
#
# *Hard, 20 minutes.*
#
# Take the formants' movement and the consonants away from the singer, and leave the melody as it is: make `frozen`, a list of notes like `melody` in which every syllable is the same vowel without a consonant. Sing it with `sing(frozen, singer)`. What does the detector say? First guess, then try.
#
# :::{dropdown} First hint
# A note holds its syllable, and a syllable has three parts: a consonant, a vowel, and the vowel that it drifts to.
# :::
#
# :::{dropdown} Second hint
# `replace(note, syllable=...)` makes a new note with another syllable. An empty text stands for no consonant.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_frozen(frozen):
    def melody_of(notes):
        return [(note.start, note.duration, note.pitch) for note in notes]

    notes = list(frozen)
    assert melody_of(notes) == melody_of(melody), (
        "Starts, durations and pitches must be those of `melody`, and they are not."
    )
    words_before = [note.syllable.consonant for note in melody]
    assert any(words_before), (
        "`melody` itself has lost its consonants. Run its cell again, and make new notes in place of changing these."
    )
    syllables = [note.syllable for note in notes]
    assert None not in syllables, "Give every note a syllable."
    left = {each.consonant for each in syllables} - {""}
    assert not left, f"These consonants are left: {sorted(map(str, left))}."
    vowels = {v for each in syllables for v in (each.vowel, each.end_vowel)}
    assert len(vowels) == 1, (
        f"The vowels still move: {', '.join(sorted(vowels))}. A syllable has a vowel, and one that it drifts to."
    )
    assert vowels <= set(voice.VOWELS), (
        f"No vowel is called {vowels.pop()!r}."
    )
    return "No words are left."


# %% tags=["exercise"]
frozen = ...

check_frozen(frozen)

# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
frozen = [replace(note, syllable=Syllable("", "a", "a")) for note in melody]
display(check_frozen(frozen))
heard_as = {
    name: predict(detector, log_mel_of(sound).numpy()).mean()
    for name, sound in {
        "with words": sung_phrase,
        "frozen": sing(frozen, singer),
        "clarinet": lead_phrase,
    }.items()
}
for name, probability in heard_as.items():
    print(f"{name:11} mean probability of singing {probability:.2f}")

words_only = heard_as["with words"] - heard_as["clarinet"]
lost = heard_as["with words"] - heard_as["frozen"]
if words_only < 0.3:
    text = "The detector takes this lead for a voice, with or without words. So this pair says nothing about what it goes by; try another lead."
elif lost < words_only / 2:
    text = "The frozen singer is still nearer to the singer than to the clarinet. So moving formants and consonants are *not* all that the detector goes by. A formant pattern that stands still, on a sung vowel, is enough for it here. What we built in as the difference and what the network uses need not be the same. That is why the next chapters open the network."
else:
    text = "Without words, the singer is nearer to the clarinet. So the detector does use moving formants and consonants here. The next chapters open the network and look for where."
display(Markdown(text))

# %% [markdown]
# ## Further reading
#
# - {cite:t}`lehner2014` on what detectors mistake for singing.
