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
# # Does it hear real singing?
#
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - how to test a detector on songs that are unlike those it learned from;
# - what AUC and accuracy say, and why one can be high while the other is low;
# - whether a predicted probability may be read as a probability;
# - how little a few songs prove, and how to say so in numbers.
#
# **Prerequisites:** {doc}`01_model`, up to the threshold and the median filter.
#
# **Minutes:** 35 to read and try; about one to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %%
from html import escape

import pandas as pd
from IPython.display import Markdown, display

import svdlib
from svdlib.analysis import band_frequencies
from svdlib.devices import choose_device
from svdlib.figures_detector import figure_reliability, figure_roc
from svdlib.figures_synthesis import figure_balance
from svdlib.studies import (
    as_json,
    detector_ablation,
    load_results,
    real_singing,
)

device = choose_device(device)
detector = svdlib.pretrained("detector").to(device)
own_songs = corpus.startswith("folder:")
n_songs = {"demo": 16, "laptop": 16, "full": None}[profile]

# %% [markdown]
# ## Two kinds of songs
#
# The detector of this book learned from songs that a program made. It was chosen and tested on such songs too, others, but of the same make. So its good scores in {doc}`01_model` could mean two things: that it
# hears singing, or that it knows our program. Only other songs can tell.
#
# The next cell measures the detector on synthetic test songs, and takes the measurement on other songs beside them. If the book was built on a folder of your own songs, these are yours, and all of them are measured now. Otherwise
# they are five real songs. They belong to others, and most of their licences forbid changes or sale, so they are not part of the book. For those we stored the numbers, with the detector that made them.


# %%
def measure(tracks):
    return as_json(
        real_singing.measure([detector], svdlib.load_songs(tracks[:n_songs]))
    )


if own_songs:
    synthetic = measure(svdlib.open_corpus("synthetic").split("test"))
    real = measure(svdlib.open_corpus(corpus).tracks)
else:
    synthetic = measure(svdlib.open_corpus(corpus).split("test"))
    real = load_results("real_singing")
real_name = "your songs" if own_songs else "real songs"

# %% tags=["remove-input"]
credited = [song for song in real["songs"] if song.get("credits")]
if own_songs:
    note = f"What follows is about **{len(real['songs'])} of your songs**. The detector has not learned from them."
else:
    note = (
        f"What follows is about **{len(real['songs'])} real songs**, measured on {real['date']}. They come from the collection JamendoLyrics. "
        "No detector was trained on them. But they are no untouched test either: **they guided the development of the song generator.** We looked at their statistics, and at the scores on them, "
        "while we made the synthetic songs more like music. So these numbers are likely to be a little better than those of songs that nobody has looked at."
    )
    if real["detectors"] != [detector.provenance]:
        note += (
            "\n\n**Take care:** the stored numbers were measured with another detector than the one that this book uses now. "
            "Read the comparison of the two kinds of songs with this in mind."
        )
display(Markdown(note))

# %% tags=["hide-input"]
titles = {
    song["name"]: (song.get("credits") or {}).get("title", song["name"])
    for song in real["songs"]
}
credit_rows = [
    {
        "song": f'<a href="{song["credits"].get("source_url", "")}">'
        f"{escape(titles[song['name']])}</a>",
    }
    | {
        name: escape(song["credits"].get(name, ""))
        for name in ("artist", "genre", "language", "licence")
    }
    for song in credited
]
pd.DataFrame(credit_rows).style.hide(axis="index") if credit_rows else None

# %% [markdown]
# The labels of the five songs come from their lyrics {cite}`durand2023`: where a word is aligned to the sound, the label says *sung*. Words closer than half a second are joined, and rap counts as singing. What is sung but not written down, such as a shout or
# a hummed line, counts as *not sung*. A detector that hears such a voice is marked wrong. So even a perfect one would not reach a perfect score here.
#
# ### Are they balanced alike?
#
# A detector may fail for a dull reason: other songs are brighter, darker or louder than what it knows. So we compare the mel bands. For each of them, the *shift* is the mean over all frames of these songs, silence too, less the mean over the training songs. Its unit is
# the band's standard deviation in these songs.

# %% tags=["hide-input"] figure="band-shift" mystnb={"image": {"alt": "The shift of each mel band's mean against the training songs, over the frequency of the band: one line for synthetic test songs and one for real songs. A grey stripe around zero shows the aim. The sentence below gives the mean distance and the largest shift."}}
balances = {
    name: result["balance"]
    for name, result in (
        (f"{real_name} ({len(real['songs'])})", real),
        (f"synthetic test songs ({len(synthetic['songs'])})", synthetic),
    )
    if "balance" in result
}
figure_balance(
    {name: balance["shift"] for name, balance in balances.items()},
    real_singing.BALANCE_AIM,
)

# %% tags=["remove-input"]
aim = real_singing.BALANCE_AIM
if "balance" in real:
    balance = real["balance"]
    shift, distance = balance["shift"], balance["mean_absolute"]
    largest = max(range(len(shift)), key=lambda band: abs(shift[band]))
    outside = sum(abs(each) > aim for each in shift)
    text = f"In the mean over the {len(shift)} bands, and without its sign, the shift of the {real_name} is **{distance:.2f} standard deviations**. Our aim for the synthetic songs was {aim:g} at most, the grey stripe. "
    text += f"It is {'met' if distance <= aim else 'missed'} in the mean, and {outside} single bands lie outside. The largest shift is {shift[largest]:+.2f}, at {band_frequencies()[largest]:.0f} Hz. "
    text += f"For the synthetic test songs, which come from the training's own program, the mean is {synthetic['balance']['mean_absolute']:.2f}. "
    text += f"Within a band, the training songs vary {balance['deviation_ratio']:.2f} times as much as the {real_name}, in the mean over bands. "
    nearest, farthest = min(balance["songs"]), max(balance["songs"])
    text += f"Taken one by one, the {real_name} lie {nearest:.2f} to {farthest:.2f} away from the training songs. "
    if nearest > distance:
        text += "Every one of them is farther away than all together: they lie to different sides, and the sides cancel. With other songs this number would be another."
else:
    text = f"The stored results of the {real_name} are older than this comparison. Only the synthetic test songs are drawn, whose mean shift without its sign is {synthetic['balance']['mean_absolute']:.2f}."
display(Markdown(text))

# %% [markdown]
# This figure can show that something is wrong: a band far outside of the stripe is, in the mean, much stronger or weaker than in the training songs. It can *not* show that synthetic songs sound like real ones, since a mean over all frames says nothing about any moment. Nor is a good agreement with the five real songs a discovery, for
# the song generator was developed with their statistics in view.
#
# ## One number for each song
#
# We ask two questions of each song.
#
# - Does the detector **order** the frames rightly? The *AUC* is the chance that a sung frame has a higher probability than an unsung one, if both are drawn at random from the song. 1 is perfect, 0.5 is guessing. No threshold is needed.
# - Does it **decide** rightly? The *accuracy* is the share of frames for which the answer is right. It needs a threshold, and this one was chosen on synthetic validation songs. There are two ways to be wrong: *false alarms*, unsung frames
#   that are called sung, and *misses*, sung frames that are not.
#
# The last two columns ask what could have been: the threshold that would have been best for this very song, and the accuracy with it. Nobody knows this threshold in advance.


# %%
def song_rows(result):
    return [
        {
            "song": titles[song["name"]],
            "sung": song["sung"],
            "AUC": song["auc"],
            "accuracy": song["accuracy"],
            "false alarms": song["false_positive_rate"],
            "misses": song["false_negative_rate"],
            "best threshold": song["best_threshold"],
            "accuracy there": song["best_accuracy"],
        }
        for song in result["songs"]
    ]


shares = ["sung", "accuracy", "false alarms", "misses", "accuracy there"]
formats = {name: "{:.0%}" for name in shares}
formats |= {"AUC": "{:.3f}", "best threshold": "{:.2f}"}
pd.DataFrame(song_rows(real)).style.format(formats, na_rep="–").hide(
    axis="index"
)

# %% tags=["remove-input"]
known = [song for song in real["songs"] if song["auc"] is not None]
gains = {
    song["name"]: song["best_accuracy"] - song["accuracy"]
    for song in real["songs"]
}
most = max(gains, key=gains.get)
chosen = next(song for song in real["songs"] if song["name"] == most)
text = ""
if known:
    ordered = sorted(known, key=lambda song: song["auc"])
    text += f"The AUC goes from {ordered[0]['auc']:.3f} (*{titles[ordered[0]['name']]}*) to {ordered[-1]['auc']:.3f} (*{titles[ordered[-1]['name']]}*). "
    text += (
        "In every song, the detector orders the frames far better than guessing would. "
        if ordered[0]["auc"] > 0.75
        else "In some songs it is not far from guessing. "
    )
left_out = real["pooled"]["songs_without_auc"]
if left_out:
    text += f"Songs that are sung throughout, or not at all, have no AUC, and are left out of the mean: {len(left_out)}. "
text += f"The largest loss through the threshold is in *{titles[most]}*: the accuracy is {chosen['accuracy']:.0%} at {real['threshold']:.2f}, and would be {chosen['best_accuracy']:.0%} at {chosen['best_threshold']:.2f}. "
if (
    chosen["auc"] is not None
    and chosen["auc"] > 0.9
    and gains[most] > 0.05
    and chosen["best_threshold"] > real["threshold"]
):
    text += "The detector knows where the voice is in this song. It is only too sure of everything else: the whole curve lies too high for the threshold."
elif gains[most] <= 0.05:
    text += "So the threshold fits all these songs quite well."
display(Markdown(text))

# %% [markdown]
# Mind the column *sung*. In a song that is sung nearly all the time, always answering "sung" gives a high accuracy too. That is why accuracy alone says little, and why we give the AUC beside it.
#
# ## The ROC curve
#
# If the threshold falls from 1 to 0, hits and false alarms both grow from none to all. The curve that they draw is called the *receiver operating characteristic*, ROC {cite}`fawcett2006`. A perfect detector goes straight up and then right. The AUC is the area under this curve.

# %% tags=["hide-input"] figure="roc-songs" mystnb={"image": {"alt": "ROC curves: share of sung frames found against share of unsung frames called sung. One thin curve for each song, a thick black one for all frames together, and a dotted diagonal for guessing. The table above holds the area under each song's curve."}}
figure_roc(
    {titles[song["name"]]: song["roc"] for song in real["songs"]}, real["roc"]
)

# %% tags=["remove-input"]
pooled = real["pooled"]


def value(result, name):
    return result["pooled"][name]["value"]


if pooled["auc"]["value"] is None or pooled["mean_song_auc"]["value"] is None:
    text = "These songs hold only one class, so there is no AUC to compare."
else:
    gap = value(real, "mean_song_auc") - value(real, "auc")
    text = f"The mean of the songs' AUC is {value(real, 'mean_song_auc'):.3f}. Over all frames of all songs together, the AUC is {value(real, 'auc'):.3f}. "
    text += (
        "It is lower. Within a song the order of the frames is good, but **scores are not comparable between songs**: an unsung frame of one song may have a higher probability than a sung frame of another. Whoever uses one threshold for all songs pays for this."
        if gap > 0.005
        else "The two are about the same: here, scores can be compared between songs."
    )
display(Markdown(text))

# %% [markdown]
# The curves do not show *where* the errors are. Errors at the edges of phrases cost little; a solo that is taken for a voice costs a verse. Nor do they show which part of them is due to the labels.
#
# ## One threshold for all
#
# A baseline comes first: always give the more frequent answer. Then the detector with its own threshold, and then with the one threshold that would have been best for these very songs.
# The intervals come from the songs, as in {doc}`04_quantitative_nre`: we draw as many songs as there are, with repetition, a thousand times, and take the middle 95 %.

# %%
rows = {
    "mean AUC of the songs": "mean_song_auc",
    "AUC over all frames": "auc",
    "accuracy": "accuracy",
    "accuracy, best common threshold": "best_common_accuracy",
    "accuracy, always the same answer": "majority_accuracy",
}


def with_interval(result, name):
    score = result["pooled"][name]
    if score["value"] is None:
        return "–"
    if score["ci95"][0] is None:
        return f"{score['value']:.3f}"
    low, high = score["ci95"]
    return f"{score['value']:.3f} ({low:.3f} to {high:.3f})"


pd.DataFrame(
    [
        {
            "score (95 % interval)": text,
            f"synthetic songs ({len(synthetic['songs'])})": with_interval(
                synthetic, name
            ),
            f"{real_name} ({len(real['songs'])})": with_interval(real, name),
        }
        for text, name in rows.items()
    ]
).style.hide(axis="index")

# %% tags=["remove-input"]
accuracy, best = (
    value(real, name) for name in ("accuracy", "best_common_accuracy")
)
majority = value(real, "majority_accuracy")
text = f"On the {real_name} the accuracy is {100 * (accuracy - majority):+.0f} percentage points from always giving the same answer. On the synthetic songs it is {100 * (value(synthetic, 'accuracy') - value(synthetic, 'majority_accuracy')):+.0f}. "
drop = value(synthetic, "accuracy") - accuracy
text += (
    f"From synthetic to {real_name}, the accuracy falls by {100 * drop:.0f} points. "
    if drop > 0.005
    else f"The accuracy on the {real_name} is not lower than on the synthetic ones. "
)
text += f"The best common threshold, {pooled['best_common_threshold']:.2f} in place of {real['threshold']:.2f}, would bring {100 * (best - accuracy):.1f} points. "
text += (
    "So the threshold from synthetic songs is as good as any *single* one; what is missing is a threshold for each song. "
    if best - accuracy < 0.02
    else "So a part of the gap is the threshold alone. "
)
if len(real["songs"]) < 20:
    text += f"**{len(real['songs'])} songs are few.** Their intervals are a reminder that other songs would give other numbers, not a measurement of how other. A draw from so few songs cannot contain what none of them has."
display(Markdown(text))

# %% [markdown]
# The same gap has many possible causes: other voices, other instruments, other mixing, lossy compression, other languages, and labels of another kind. This table does not tell them apart. And one difference has nothing to do with the detector: labels of synthetic songs are exact, those of real songs are not.
#
# ## Does 0.8 mean 80 %?
#
# The detector's answer looks like a probability. It is one only if, of all frames that get about 0.8, about 80 % are sung. Such a detector is called *calibrated* {cite}`guo2017`.
#
# To check this, we sort all frames into ten bins $b$ by their probability, *before* the median filter. Let $n_b$ be the number of frames in bin $b$, $p_b$ their mean probability, $s_b$ the share of them that is sung, and $n$ the number of all frames. Two numbers sum it up. The
# *expected calibration error* is the mean distance between what is said and what is so,
#
# $$
# \mathrm{ECE} = \sum_b \frac{n_b}{n} \, \lvert p_b - s_b \rvert .
# $$
#
# The *Brier score* is the mean squared distance between each frame's probability and its label, 0 or 1. It is 0 for a perfect answer, and 0.25 for always saying 0.5. It punishes both wrong confidence and useless caution.

# %% tags=["hide-input"] figure="reliability" mystnb={"image": {"alt": "Reliability diagram. Above: the share of sung frames against the predicted probability in ten bins, for synthetic and for real songs, with a dotted diagonal for perfect calibration. Below: how many percent of the frames fall into each bin."}}
figure_reliability(
    {
        "synthetic songs": synthetic["calibration"],
        real_name: real["calibration"],
    }
)

# %% tags=["remove-input"]
fit, fit_synthetic = real["calibration"], synthetic["calibration"]
top = fit["bins"][-1]
outer = fit["bins"][0]["count"] + top["count"]
everything = sum(entry["count"] for entry in fit["bins"])
text = f"The expected calibration error is {fit_synthetic['expected_error']:.3f} on the synthetic and {fit['expected_error']:.3f} on the {real_name}; the Brier score is {fit_synthetic['brier']:.3f} and {fit['brier']:.3f}. "
text += f"On the {real_name}, {outer / everything:.0%} of the frames lie in the lowest or the highest bin, where the detector has little doubt. "
if top["count"]:
    text += f"In the highest bin it says {top['prediction']:.0%} on average, and {top['sung']:.0%} are sung. "
    text += (
        "It is surer than it should be. "
        if top["prediction"] - top["sung"] > 0.02
        else "There, it may be believed. "
    )
display(Markdown(text))

# %% [markdown]
# A point in a bin with few frames, see the bars, says little. And the frames of one song resemble each other: a single song may fill a bin. Above all, calibration belongs to a detector *and* a set of songs. Where all songs are taken together, one song's excess can hide another's lack.
#
# ## What helps?
#
# In training, segments are changed at random: louder or softer, filtered, their pitch and formants shifted (*augmentation*, {cite}`schluter2015`). And because the synthetic songs come in stems, most segments are *remixed*: a voice is laid over the band of another place at
# another level, and sometimes the voice is left out (*muting*). Is this of any use on real songs? And how many songs does the detector need? To find out, we trained small detectors that differ in one thing each, with the same number of updates. The first ones differ in nothing but their random seed. They show how large a difference chance makes.

# %% tags=["hide-input"]
ablation = load_results("detector_ablation")
if ablation is None:
    table = Markdown(
        "The results of this experiment are not part of this version. "
        "`python -m svdlib.studies.detector_ablation --help` says how to get them."
    )
else:
    table = (
        pd.DataFrame(
            [
                {
                    "training": row["name"],
                    "songs": row["songs"],
                    "real: mean AUC": row["real_mean_song_auc"],
                    "real: AUC": row["real_auc"],
                    "real: accuracy": row["real_accuracy"],
                    "synthetic: AUC": row["synthetic_auc"],
                    "synthetic: accuracy": row["synthetic_accuracy"],
                }
                for row in detector_ablation.table(ablation)
            ]
        )
        .style.format(precision=3, na_rep="–")
        .hide(axis="index")
    )
table

# %% tags=["remove-input"]
if ablation is not None:
    base = ablation["configurations"][0]
    key = "mean_song_auc"
    seeds = [scores["real"][key] for scores in base["detectors"]]
    text = f"Each detector had {ablation['updates']} updates; the real songs are {len(ablation['real']['songs'])} in number. *Synthetic* are the validation songs, on which the threshold was chosen too. "
    if len(seeds) > 1 and None not in seeds:
        text += f"Seeds alone move the mean AUC on real songs from {min(seeds):.3f} to {max(seeds):.3f}. "
        below, above = [], []
        for entry in ablation["configurations"][1:]:
            found = entry["detectors"][0]["real"][key]
            if found < min(seeds):
                below.append(entry["name"])
            elif found > max(seeds):
                above.append(entry["name"])
        text += f"Below this range: {', '.join(below) or 'none'}. Above it: {', '.join(above) or 'none'}. All others cannot be told from chance. "
        text += f"The mean of the {len(seeds)} detectors' probabilities scores {base['average']['real'][key]:.3f}."
    display(Markdown(text))

# %% [markdown]
# Even a result outside of the range of the seeds is weak. A range of a few seeds is itself uncertain, each change was tried with one seed only, and all of them were scored on the same few songs. What this experiment *can* do is to warn us: a change that helps on synthetic songs need not help on real ones.
#
# ## Take-away
#
# - A score on songs of the training's own make says how well it was learned. It does not say how well it carries over.
# - AUC asks for the order, accuracy for the decision. A song may be ordered well and decided badly.
# - A threshold is fitted to a set of songs. Scores of different songs need not be comparable.
# - A number between 0 and 1 is a probability only if it was checked, on songs like those it is used for.
# - Songs that guided the development are no test any more. Say so, and count songs, not frames.
#
# ## Exercises
#
# **1. How many songs?** The frames of five songs are many thousands. Why is an interval from resampling *frames* wrong? Compare it with the one from songs, for the accuracy on the synthetic songs.
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# import numpy as np
#
# entries = synthetic["songs"]
# accuracies = np.array([song["accuracy"] for song in entries])
# frames = np.array([round(70 * song["seconds"]) for song in entries])
# mean = np.average(accuracies, weights=frames)
# deviation = (mean * (1 - mean) / frames.sum()) ** 0.5
# print("frames:", mean - 2 * deviation, mean + 2 * deviation)
# print("songs: ", synthetic["pooled"]["accuracy"]["ci95"])
# ```
# Frames that follow each other are nearly the same, so they are far fewer *independent* observations than their number suggests. The interval from frames is far too narrow. It answers what other frames of the same songs would score, and nobody asks that.
# :::
#
# **2. Calibrated and useless.** Describe a detector with an expected calibration error of 0 that is of no use. What are its AUC and its Brier score?
#
# :::{admonition} Solution
# :class: dropdown
# It always says the share of sung frames, $s$, whatever it hears. There is one bin, with $p_b = s_b = s$, so the error is 0. All frames tie, so the AUC is 0.5. The Brier score is $s(1-s)^2 + (1-s)s^2 = s(1-s)$.
#
# ```python
# from svdlib.calibration import calibration
#
# truth = np.arange(1000) < 300
# print(calibration([np.full(1000, 0.3)], [truth]))
# ```
# :::
#
# **3. A threshold for each song.** Suppose that for each song somebody told you which share of it is sung, and nothing else. How would you set the threshold? Try it on the synthetic songs.
#
# :::{admonition} Solution
# :class: dropdown
# Take the threshold that so many frames exceed: the quantile at one minus the share.
#
# ```python
# from svdlib.evaluation import smooth
#
# songs = svdlib.load_songs(svdlib.open_corpus("synthetic").split("test")[:4])
# for name, log_mel, label in zip(songs.names, songs.log_mels, songs.labels):
#     curve = smooth(svdlib.predict(detector, log_mel))
#     for cut in (synthetic["threshold"], np.quantile(curve, 1 - label.mean())):
#         print(name, round(cut, 2), np.mean((curve > cut) == label).round(3))
# ```
# Then false alarms and misses are equal in number. Whether this helps depends on how far the song's curve lies from where the common threshold expects it. Real uses do not know the share. But some know that a song is about half sung, and that is worth something.
# :::
#
# **4. Your songs.** Label three songs that you know, as {doc}`../book/corpora` says, and measure them. Before you look: which will be worst?
#
# :::{admonition} Solution
# :class: dropdown
# ```bash
# .venv/bin/python -m svdlib.studies.real_singing --corpus folder:my_songs
# ```
# A guess made before the measurement is worth more than ten explanations after it.
# :::
#
# ## Further reading
#
# - {cite:t}`fawcett2006` is a patient introduction to ROC curves.
# - {cite:t}`guo2017` found that modern networks are too sure of themselves, and how to mend it.
# - {cite:t}`lehner2014` look at what is taken for singing in real songs.
# - {cite:t}`durand2023` made the collection from which the five songs come.
