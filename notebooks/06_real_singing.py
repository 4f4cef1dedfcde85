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
# **Is it as good on real songs as on ours, and what helps?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - how to test a detector on songs that are unlike those it learned from;
# - what AUC and accuracy say, and why one can be high while the other is low;
# - whether a predicted probability may be read as a probability;
# - how little a few songs prove, and how to say so in numbers.
#
# **Prerequisites:** {doc}`01_model`, up to the threshold and the median filter.
#
# **Minutes:** 19 to read, 65 for the exercises, about one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from html import escape
from statistics import fmean

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.audio.mel_axis import (
    EXCERPT_FRAMES,
    FRAME_RATE,
    band_frequencies,
)
from svdlib.compute.devices import choose_device
from svdlib.detector.calibration import calibration
from svdlib.detector.prediction import predict
from svdlib.detector.scores import area_under_curve, best_threshold, smooth
from svdlib.inversion.nre import reconstruct
from svdlib.lab.figures.detector import figure_reliability, figure_roc
from svdlib.lab.figures.gallery import Gallery, inversion_panels
from svdlib.lab.figures.style import layer_title
from svdlib.lab.figures.synthesis import figure_balance
from svdlib.lab.figures.training import figure_learning_curve
from svdlib.lab.studies import (
    as_json,
    detector_ablation,
    learning_curve,
    load_results,
    real_singing,
)
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
detector = svdlib.pretrained("detector").to(device)
own_songs = corpus.startswith("folder:")
n_songs = {"demo": 16, "laptop": 16, "full": None}[profile]


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show how the moments are chosen"}
def moments(songs):
    """Of each excerpt, one every ten frames: its log-mel, the share of it that is sung, and the answer."""
    for log_mel, labels in zip(songs.log_mels, songs.labels, strict=True):
        answers = predict(detector, log_mel)
        for start in range(0, len(log_mel) - EXCERPT_FRAMES + 1, 10):
            cut = slice(start, start + EXCERPT_FRAMES)
            answer = float(answers[start + EXCERPT_FRAMES // 2])
            yield log_mel[cut], float(labels[cut].mean()), answer


unheard = "synthetic-c:songs=6,seconds=30,seed=606"
others = svdlib.open_corpus(corpus if own_songs else unheard)
found = list(moments(svdlib.load_songs(others.tracks[:6])))
most, least = (limit(sung for _, sung, _ in found) for limit in (max, min))
in_voice, without = (
    sorted((each for each in found if each[1] == share), key=lambda m: m[2])
    for share in (most, least)
)
three = {"A": in_voice[-1], "B": without[-1], "C": without[0]}
excerpts = torch.stack(
    [
        detector.standardizer(torch.as_tensor(log_mel, device=device))
        for log_mel, _, _ in three.values()
    ]
)[:, None]
Gallery(
    [
        panel
        for name, excerpt in zip(three, excerpts, strict=True)
        for panel in inversion_panels(
            detector.standardizer, excerpt[0], {}, f"Moment {name}"
        )
    ]
)

# %% tags=["remove-input"]
source = (
    "They come from your songs, on which the detector was not trained."
    if own_songs
    else "They come from songs that the detector was not trained on: those of `synthetic-c`, which has other singers, instruments and mixes."
)
threshold = detector.threshold
if least > 0:
    alarm = "No excerpt of these songs is without a voice, so they cannot show a false alarm: B and C are the least sung ones, B with the highest answer of them."
elif three["B"][2] > threshold:
    alarm = "B is a **false alarm**: the answer is above the threshold. No other excerpt without a voice got a higher one."
else:
    alarm = "Of all excerpts without a voice, B got the highest answer, and even that is below the threshold."
if most == 0:
    alarm += " Nobody sings in these songs, so they cannot show a moment with a voice: A is B once more."
elif most == least:
    alarm += " All of them are sung alike: A is B once more."
display(
    Markdown(
        f"Where do you hear somebody sing? Three moments, each as the detector gets it. {source} "
        f"Of A, {three['A'][1]:.0%} is sung; of B {three['B'][1]:.0%}, and of C {three['C'][1]:.0%}. The detector's answer is {three['A'][2]:.2f} to A, {three['B'][2]:.2f} to B and {three['C'][2]:.2f} to C; "
        f"its threshold is {threshold:.2f}. {alarm} C got the lowest."
    )
)

# %% [markdown]
# ## Two kinds of songs
#
# The detector of this book learned from songs that a program made, and was tested on others of the same make. So its good scores in {doc}`01_model` could mean that it hears singing, or that it knows our program. Only other songs can tell.
#
# So we measure the detector on synthetic test songs, and beside them on others: your own, if the book was built on a folder of them, or else five real songs. These belong to others, so only their numbers are stored here.


# %% tags=["hide-input"]
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
the_songs = "your songs" if own_songs else "the real songs"
both_classes = bool(real["roc"]["false_positive_rate"])

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
# The labels of the five real songs, if it is those that you see, come from their lyrics {cite}`durand2023`: a frame is *sung* where a word is aligned to it. Words closer than half a second are joined, and rap counts as singing. A shout or a hummed line that is not written down counts as *not sung*, so even a perfect detector would not reach a perfect score here.
#
# ### Are they balanced alike?
#
# A detector may fail for a dull reason: other songs are brighter, darker or louder than what it knows. So we compare each mel band's mean over all frames with that of the training songs. The unit of this *shift* is the band's standard deviation in these songs.

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
    text = f"In the mean over the {len(shift)} bands, and without its sign, the shift of {the_songs} is **{distance:.2f} standard deviations**. Our aim for the synthetic songs was {aim:g} at most, the grey stripe. "
    text += f"It is {'met' if distance <= aim else 'missed'} in the mean, and {outside} single bands lie outside. The largest shift is {shift[largest]:+z.2f}, at {band_frequencies()[largest]:.0f} Hz. "
    text += f"For the synthetic test songs, which come from the training's own program, the mean is {synthetic['balance']['mean_absolute']:.2f}. "
    text += f"Within a band, the training songs vary {balance['deviation_ratio']:.2f} times as much as {the_songs}, in the mean over bands. "
    nearest, farthest = min(balance["songs"]), max(balance["songs"])
    text += f"Taken one by one, {the_songs} lie {nearest:.2f} to {farthest:.2f} away from the training songs. "
    if nearest > distance:
        text += "Every one of them is farther away than all together: they lie to different sides, and the sides cancel. With other songs this number would be another."
else:
    text = f"The stored results of {the_songs} are older than this comparison. Only the synthetic test songs are drawn, whose mean shift without its sign is {synthetic['balance']['mean_absolute']:.2f}."
display(Markdown(text))

# %% [markdown]
# That the bands agree does *not* show that synthetic songs sound like real ones: a mean says nothing about any moment.
#
# ## One number for each song
#
# We ask two questions of each song.
#
# - Does the detector **order** the frames rightly? The *AUC* is the chance that a sung frame has a higher probability than an unsung one, if both are drawn at random from the song. 1 is perfect, 0.5 is guessing. No threshold is needed.
# - Does it **decide** rightly? The *accuracy* is the share of frames for which the answer is right. It needs a threshold, and this one was chosen on synthetic validation songs. There are two ways to be wrong: *false alarms*, unsung frames
#   that are called sung, and *misses*, sung frames that are not.
#
# The last two columns have the threshold that would have been best for this very song, which nobody knows in advance, and the accuracy with it.


# %% tags=["hide-input"]
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
    text += f"Songs that are sung throughout, or not at all, have no AUC, and are left out of the mean: {len(left_out)}. A threshold that always gives the same answer is best for them, and tells nothing. "
gains = {
    song["name"]: song["best_accuracy"] - song["accuracy"] for song in known
}
most = max(gains, key=gains.get, default=None)
chosen = next((song for song in known if song["name"] == most), None)
if chosen is not None:
    text += f"The largest loss through the threshold is in *{titles[most]}*: the accuracy is {chosen['accuracy']:.0%} at {real['threshold']:.2f}, and would be {chosen['best_accuracy']:.0%} at {chosen['best_threshold']:.2f}. "
if (
    chosen is not None
    and chosen["auc"] > 0.9
    and gains[most] > 0.05
    and chosen["best_threshold"] > real["threshold"]
):
    text += "The detector knows where the voice is in this song. It is only too sure of everything else: the whole curve lies too high for the threshold."
elif chosen is not None and gains[most] <= 0.05:
    text += "So the threshold fits all these songs quite well."
display(Markdown(text))

# %% [markdown]
# ## The ROC curve
#
# If the threshold falls from 1 to 0, hits and false alarms grow from none to all, along a curve called ROC {cite}`fawcett2006`. A perfect detector goes straight up and then right. The AUC is the area below it.

# %% tags=["hide-input"] figure="roc-songs" mystnb={"image": {"alt": "ROC curves: share of sung frames found against share of unsung frames called sung. One thin curve for each song, a thick black one for all frames together, and a dotted diagonal for guessing. The table above holds the area under each song's curve."}}
figure_roc(
    {titles[song["name"]]: song["roc"] for song in real["songs"]}, real["roc"]
) if both_classes else Markdown(
    "These songs hold only one class, so there are no hits or no false alarms, and no curve."
)

# %% tags=["remove-input"]
pooled = real["pooled"]


def value(result, name):
    return result["pooled"][name]["value"]


if pooled["auc"]["value"] is None:
    text = "Nor is there an AUC, of a song or of all."
elif pooled["mean_song_auc"]["value"] is None:
    text = f"Each song holds only one class, so no song has an AUC. All frames together have one, {value(real, 'auc'):.3f}: it says whether sung songs get higher scores than others."
else:
    gap = value(real, "mean_song_auc") - value(real, "auc")
    text = f"The mean of the songs' AUC is {value(real, 'mean_song_auc'):.3f}. Over all frames of all songs together, the AUC is {value(real, 'auc'):.3f}. "
    text += (
        "It is lower. Within a song the order of the frames is good, but **scores are not comparable between songs**: an unsung frame of one song may have a higher probability than a sung frame of another. Whoever uses one threshold for all songs pays for this."
        if gap > 0.005
        else "The two are about the same: here, scores can be compared between songs."
        if gap > -0.005
        else "It is higher: what is sung in one song is easier to tell from the unsung frames of others than from its own."
    )
display(Markdown(text))

# %% [markdown]
# ## What the layers kept of them
#
# Back to the three moments from the top of this chapter. Here is what the aligned inverters of {doc}`02b_aligned_inverters` make of their features, from a layer in the middle and from the last one.

# %% tags=["hide-input"]
inverters = {
    layer: svdlib.pretrained("inverter", layer=layer, variant="aligned").to(
        device
    )
    for layer in ("mp3", "fc8")
}
inverted = reconstruct(detector, inverters, excerpts)
Gallery(
    [
        panel
        for number, name in enumerate(three)
        for panel in inversion_panels(
            detector.standardizer,
            excerpts[number, 0],
            {layer: x_hat[number, 0] for layer, x_hat in inverted.items()},
            f"Moment {name}",
        )[1:]
    ]
)

# %% tags=["remove-input"]
apart = {
    "originals": {
        name: float((excerpts[0] - excerpts[row]).square().mean().sqrt())
        for row, name in ((1, "B"), (2, "C"))
    }
} | {
    layer: {
        name: float((x_hat[0] - x_hat[row]).square().mean().sqrt())
        for row, name in ((1, "B"), (2, "C"))
    }
    for layer, x_hat in inverted.items()
}
text = f"How far are B and C from A? We take the root mean square difference of two pictures, in deviations. The originals of A and B are {apart['originals']['B']:.2f} apart, those of A and C {apart['originals']['C']:.2f}; "
text += "; ".join(
    f"their inversions from {layer_title(layer)} {apart[layer]['B']:.2f} and {apart[layer]['C']:.2f}"
    for layer in inverted
)
text += ". "
nearer = apart["fc8"]["B"] / max(apart["fc8"]["C"], 1e-9)
before = apart["originals"]["B"] / max(apart["originals"]["C"], 1e-9)
if not apart["originals"]["B"]:
    text = (
        "A and B are the same moment here, so there is nothing to compare. "
    )
elif nearer < before - 0.1:
    text += f"So B is {before:.2f} times as far from A as C is, and at FC8 {nearer:.2f} times: **the last layer has moved B towards the sung moment.** "
else:
    text += f"So B is {before:.2f} times as far from A as C is, and at FC8 {nearer:.2f} times: these pictures do not show why B got its answer. "
display(Markdown(text))

# %% [markdown]
# Three moments that were chosen for their answers are an illustration, no test; and what is kept need not be used ({doc}`10_what_it_uses`).
#
# ## One threshold for all
#
# A baseline comes first: always give the more frequent answer. Then the detector with its own threshold, and then with the one threshold that would have been best for these very songs.
# The intervals come from drawing songs, as in {doc}`04_quantitative_nre`.

# %% tags=["hide-input"]
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
gain = 100 * (accuracy - majority)
gain_here = 100 * (
    value(synthetic, "accuracy") - value(synthetic, "majority_accuracy")
)
text = f"On {the_songs} the accuracy lies {abs(gain):.0f} percentage points {'above' if gain >= 0 else 'below'} that of always giving the same answer, on the synthetic songs {abs(gain_here):.0f} points {'above' if gain_here >= 0 else 'below'} it. "
drop = value(synthetic, "accuracy") - accuracy
text += (
    f"From synthetic songs to {the_songs}, the accuracy falls by {100 * drop:.0f} points. "
    if drop > 0.005
    else f"The accuracy on {the_songs} is not lower than on the synthetic ones. "
)
if both_classes:
    text += f"The best common threshold, {pooled['best_common_threshold']:.2f} in place of {real['threshold']:.2f}, would bring {100 * (best - accuracy):.1f} points. "
text += (
    "These songs hold only one class: the same answer always is right then, and there is no threshold to choose. "
    if not both_classes
    else "So the threshold from synthetic songs is as good as any *single* one; what is missing is a threshold for each song. "
    if best - accuracy < 0.02
    else "So a part of the gap is the threshold alone. "
)
if len(real["songs"]) < 20:
    text += f"**{len(real['songs'])} songs are few.** Their intervals are a reminder that other songs would give other numbers, not a measurement of how other. A draw from so few songs cannot contain what none of them has."
display(Markdown(text))

# %% [markdown]
# Other voices, instruments, mixing, languages and lossy compression may all be behind such a gap; this table does not tell them apart.
#
# ## Does 0.8 mean 80 %?
#
# The detector's answer looks like a probability. It is one only if, of all frames that get about 0.8, about 80 % are sung. Such a detector is called *calibrated* {cite}`guo2017`.
#
# To check this, we sort all frames into ten bins $b$ by their probability, *before* the median filter. Let $n_b$ be the number of frames in bin $b$, $p_b$ their mean probability, $s_b$ the share of them that is sung, and $n$ the number of all frames. The
# *expected calibration error* is the mean distance between what is said and what is so,
#
# $$
# \mathrm{ECE} = \sum_b \frac{n_b}{n} \, \lvert p_b - s_b \rvert .
# $$
#
# The *Brier score* is the mean squared distance between each frame's probability and its label, 0 or 1: 0 for a perfect answer, 0.25 for always saying 0.5.

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
text = f"The expected calibration error is {fit_synthetic['expected_error']:.3f} on the synthetic songs and {fit['expected_error']:.3f} on {the_songs}; the Brier score is {fit_synthetic['brier']:.3f} and {fit['brier']:.3f}. "
text += f"On {the_songs}, {outer / everything:.0%} of the frames lie in the lowest or the highest bin, where the detector has little doubt. "
if top["count"]:
    text += f"In the highest bin it says {top['prediction']:.0%} on average, and {top['sung']:.0%} are sung. "
    text += (
        "It is surer than it should be. "
        if top["prediction"] - top["sung"] > 0.02
        else "There, it may be believed. "
    )
display(Markdown(text))

# %% [markdown]
# A point in a bin with few frames says little. And calibration belongs to a detector *and* a set of songs.
#
# ## What helps?
#
# In training, segments are changed at random (*augmentation*, {doc}`07_augmentation`), and most are *remixed*: a voice is laid over the band of another place at another level, and sometimes left out (*muting*). Is this of any use on real songs? We trained small detectors that differ from a base in one thing each, with the same number of updates, and look at the difference seed by seed: what a seed brings by luck it brings to the base too.

# %% tags=["hide-input"]
ablation = load_results("detector_ablation")
if ablation is None:
    table = Markdown(
        "The results of this experiment are not part of this version. "
        "`python -m svdlib.lab.studies.detector_ablation --help` says how to get them."
    )
else:
    brought = {
        key: detector_ablation.against_base(ablation, key)
        for key in ("mean_song_auc", "accuracy")
    }
    rows = []
    for entry in ablation["configurations"]:
        scores = [each["real"] for each in entry["detectors"]]
        row = {"training": entry["name"], "songs": entry["songs"]}
        for title, key in (
            ("mean AUC", "mean_song_auc"),
            ("accuracy", "accuracy"),
        ):
            row[title] = (
                f"{sum(each[key] for each in scores) / len(scores):.3f}"
            )
            row[f"{title}, each seed less the base"] = "  ".join(
                f"{1000 * each:+.0f}"
                for each in brought[key].get(entry["name"], [])
            )
        rows.append(row)
    table = pd.DataFrame(rows).style.hide(axis="index")
table

# %% tags=["remove-input"]
if ablation is not None:
    base, *_ = ablation["configurations"]
    means = [each["real"]["mean_song_auc"] for each in base["detectors"]]
    sides = {"above": [], "below": []}
    once = [
        name
        for name, differences in brought["mean_song_auc"].items()
        if len(differences) < len(means)
    ]
    for name, differences in brought["mean_song_auc"].items():
        if name in once:
            continue
        if min(differences) > 0:
            sides["above"].append(name)
        elif max(differences) < 0:
            sides["below"].append(name)
    told = ""
    if once:
        all_of_them = len(once) == len(brought["mean_song_auc"])
        told = f"{'All others' if all_of_them else ', '.join(once)} were tried from fewer seeds than the base, so nothing can be said of them. "
    if len(once) < len(brought["mean_song_auc"]):
        told += f"With all {len(means)} seeds better than the base: {', '.join(sides['above']) or 'none'}. With all worse: {', '.join(sides['below']) or 'none'}. Of what makes no difference, one in {2 ** (len(means) - 1)} would still come out with equal signs, so a row alone proves little. "
    display(
        Markdown(
            f"Scores on {len(ablation['real']['songs'])} real songs, the differences in thousandths; each detector had {ablation['updates']} updates. Seeds alone move the base's mean AUC from {min(means):.3f} to {max(means):.3f}. {told}The mean of the probabilities of the base's {len(means)} detectors scores {base['average']['real']['mean_song_auc']:.3f}."
        )
    )

# %% [markdown]
# These are short trainings. Would longer ones help? Here a detector is trained as `svdlib train detector` does it on a laptop, and measured on the real songs after every epoch. Nothing is chosen by them.

# %% tags=["hide-input"] figure="learning-curve" mystnb={"image": {"alt": "Two scores on real songs over the updates of a training: the mean AUC of the songs and the accuracy of all frames. The sentence below says what the last third of the training brought."}}
learned = load_results("learning_curve")
figure_learning_curve(
    learning_curve.updates_of(learned),
    [training["curve"] for training in learned["trainings"]],
)

# %% tags=["remove-input"]
late = {
    name: fmean(learning_curve.late_gains(learned, name))
    for name in ("watched_mean_auc", "watched_accuracy")
}
order, height = late.values()
trainings = learned["trainings"]
end = fmean(each["curve"]["watched_mean_auc"][-1] for each in trainings)
display(
    Markdown(
        f"The mean AUC ends at {end:.3f}. The last third of the epochs, against the third before, moved it by {order:+.3f}, and the accuracy by {height:+.3f} (trainings: {len(trainings)}). {'So the order of the frames is learned early, and where the threshold belongs later. ' if abs(order) < 0.01 < height else ''}The detector of this book learned from more songs, of two programs, and from other detectors."
    )
)

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A song has a high AUC and a low accuracy. What has happened?",
        [
            Answer(
                "The frames are in the right order, and the threshold is wrong.",
                "The whole curve lies too high or too low in this song. Another threshold would separate the frames well.",
                right=True,
            ),
            Answer(
                "The song is sung nearly throughout, so few frames decide.",
                "In such a song a high accuracy is easy: always answer \u201csung\u201d. So a low one needs another reason.",
            ),
            Answer(
                "The detector finds the singing, but is late at its edges.",
                "Frames at the edges would be wrong, and out of order as well. That costs both scores a little.",
            ),
        ],
    ),
    Question(
        "On new songs, fewer frames are sung than the probabilities say, at every height. Which score may still be perfect?",
        [
            Answer(
                "The AUC.",
                "It asks for the order only. Make all probabilities larger, each by the same rule, and the order stays.",
                right=True,
            ),
            Answer(
                "The expected calibration error.",
                "It is the mean distance between what is said and what is so. Distances have no sign, so bins do not make up for each other.",
            ),
            Answer(
                "The Brier score.",
                "It compares each probability with its label. It is perfect only if all answers are 0 or 1, and right.",
            ),
        ],
    ),
    Question(
        "A detector has been improved until it did well on five real songs. What do its scores on them say?",
        [
            Answer(
                "More than it will reach on songs nobody has looked at, likely.",
                "What was chosen to do well on these songs does a little better on them than on others. Only new songs are a test.",
                right=True,
            ),
            Answer(
                "How well it does on real songs, as it was not trained on them.",
                "Training is not the only way to learn from songs: choosing by their scores is one, too.",
            ),
            Answer(
                "How well it does on real songs, as five hold many thousand frames.",
                "Frames of a song resemble each other. Five songs are five witnesses, and these have been asked before.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A score on songs of the training's own make says how well it was learned. It does not say how well it carries over.
# - AUC asks for the order, accuracy for the decision. A song may be ordered well and decided badly.
# - A threshold is fitted to a set of songs. Scores of different songs need not be comparable.
# - A number between 0 and 1 is a probability only if it was checked, on songs like those it is used for.
# - Songs that guided the development are no test any more.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.
#
# (exercise-calibration-error)=
# ### Exercise 1: The expected calibration error
#
# *Easy, 15 minutes.*
#
# Write `calibration_error(predictions, truth)`, the ECE of this chapter, from an array of probabilities and a boolean array of labels, both of shape (frames,). The ten bins reach from 0 to 0.1, from 0.1 to 0.2, and so on; a probability of exactly 1 belongs to the last. Some bins may be empty.
#
# :::{dropdown} First hint
# For each bin: what do its frames say on average, and which share of them is sung? Weigh the gaps by how many frames a bin holds.
# :::
#
# :::{dropdown} Second hint
# `np.minimum((10 * predictions).astype(int), 9)` is the number of each frame's bin. Go only through bins that occur.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_calibration_error(calibration_error):
    rng = np.random.default_rng(0)
    p = np.concatenate([rng.random(300) ** 3, np.ones(60)])
    p = p[(abs(10 * p - np.round(10 * p)) > 1e-3) | (p == 1)]
    p = p[(p < 0.6) | (p > 0.7)]  # leaves a bin empty
    sung = rng.random(len(p)) < 0.8 * p + 0.1 * (p < 0.3)
    gaps, counts, middles = [], [], []
    for k in range(10):
        inside = [i for i in range(len(p)) if min(int(10 * p[i]), 9) == k]
        if inside:
            gaps.append(np.mean(p[inside]) - np.mean(sung[inside]))
            middles.append(k / 10 + 0.05 - np.mean(sung[inside]))
            counts.append(len(inside))
    gaps, weights = np.array(gaps), np.array(counts) / len(p)
    below_one = p < 1
    last = np.mean(p[below_one & (p > 0.9)]) - np.mean(
        sung[below_one & (p > 0.9)]
    )
    without = (
        [*gaps[:-1], last],
        [*counts[:-1], (below_one & (p > 0.9)).sum()],
    )
    right = np.sum(weights * abs(gaps))
    got = float(calibration_error(p.copy(), sung.copy()))
    mistakes = {
        "Weigh each bin by the share of all frames that fall into it.": abs(
            gaps
        ).mean(),
        "Take each bin's distance without its sign, before you add them up.": abs(
            np.sum(weights * gaps)
        ),
        "Take the mean probability of a bin, not its middle.": np.sum(
            weights * np.abs(middles)
        ),
        "This is the Brier score.": np.mean((p - sung) ** 2),
        "Frames with a probability of exactly 1 are missing. They belong to the last bin.": np.average(
            np.abs(without[0]), weights=without[1]
        ),
        "Frames with a probability of exactly 1 are missing; they belong to the last bin.": np.sum(
            np.abs(without[0]) * np.array(without[1]) / len(p)
        ),
    }
    assert not np.isnan(got), (
        "The result is not a number. An empty bin has no mean: leave it out."
    )
    if abs(got - right) < 1e-6:
        return None
    for sentence, wrong in mistakes.items():
        assert abs(got - wrong) > 1e-6, sentence
    raise AssertionError(
        f"For {len(p)} frames with an error of {right:.4f} you get {got:.4f}."
    )


# %% tags=["exercise"]
def calibration_error(predictions, truth):
    """Mean distance between what is said and what is so."""
    ...


check_calibration_error(calibration_error)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def calibration_error(predictions, truth):
    bins = np.minimum((10 * predictions).astype(int), 9)
    error = 0
    for b in np.unique(bins):
        inside = bins == b
        gap = predictions[inside].mean() - truth[inside].mean()
        error += inside.mean() * abs(gap)
    return error


display(check_calibration_error(calibration_error))

few = svdlib.load_songs(svdlib.open_corpus("synthetic").split("test")[:4])
raw = [predict(detector, log_mel) for log_mel in few.log_mels]
each = [
    calibration_error(curve, label)
    for curve, label in zip(raw, few.labels, strict=True)
]
together = calibration_error(np.concatenate(raw), np.concatenate(few.labels))
alone = np.average(each, weights=[len(curve) for curve in raw])
display(
    Markdown(
        f"Four synthetic songs have errors from {min(each):.3f} to {max(each):.3f}, {alone:.3f} in the mean over their frames. All frames together have {together:.3f}. It is never more than the mean: in a bin, one song's excess can make up for another's lack, and nothing works in the other direction."
    )
)

# %% [markdown]
# (exercise-worth-of-frames)=
# ### Exercise 2: What is a frame worth?
#
# *Easy, 10 minutes.*
#
# The frames of a few songs are many thousands. If they were *independent*, the share $a$ of right answers among $n$ of them would have an interval of $a \pm 1.96 \sqrt{a (1 - a) / n}$. Turn this round: write `worth(accuracy, low, high)`, the number $n$ of independent frames whose interval is as wide as one from `low` to `high`. For how many independent frames does the interval of the accuracy stand, and how many frames are there?
#
# :::{dropdown} First hint
# Half of the interval's width is $1.96 \sqrt{a (1 - a) / n}$. Solve for $n$.
# :::
#
# :::{dropdown} Second hint
# Divide by 1.96, square both sides, and bring $n$ to the other side. The width is `high - low`, and half of it stands in the formula.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_worth(worth):
    for a, n in ((0.9, 100), (0.7, 2500), (0.5, 40)):
        half = 1.96 * (a * (1 - a) / n) ** 0.5
        got = float(worth(a, a - half, a + half))
        what = f"An accuracy of {a} from {n} frames has the interval {a - half:.3f} to {a + half:.3f}; you say {got:.1f} frames."
        for factor, sentence in (
            (
                4,
                "That is four times too many: `high` less `low` is twice what stands behind the plus-minus sign.",
            ),
            (
                1 / 4,
                "That is a quarter: `high` less `low` is twice what stands behind the plus-minus sign.",
            ),
        ):
            assert not 0.9 < got / (factor * n) < 1.1, f"{what} {sentence}"
        assert not 0.9 < got / n**0.5 < 1.1, (
            f"{what} That is the square root of it."
        )
        assert 0.9 < got / n < 1.1, what
        shifted = float(worth(a, a - 1.5 * half, a + 0.5 * half))
        assert abs(shifted / got - 1) < 0.02, (
            "An interval from songs need not have the accuracy in its middle. Use its width."
        )


# %% tags=["exercise"]
def worth(accuracy, low, high):
    """Number of independent frames with an interval as wide."""
    ...


check_worth(worth)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def worth(accuracy, low, high):
    return accuracy * (1 - accuracy) * (2 * 1.96 / (high - low)) ** 2


display(check_worth(worth))

lines = []
for name, result in (("synthetic songs", synthetic), (real_name, real)):
    score = result["pooled"]["accuracy"]
    n_frames = sum(
        round(FRAME_RATE * song["seconds"]) for song in result["songs"]
    )
    if score["ci95"][0] is not None:
        low, high = score["ci95"]
        counted = f"- {name.capitalize()} ({len(result['songs'])}): {n_frames} frames. The interval, {low:.3f} to {high:.3f}, is "
        lines.append(
            counted
            + f"that of {worth(score['value'], low, high):.0f} independent frames."
            if high > low
            else counted + "of no width: all songs score the same."
        )
display(
    Markdown(
        "\n".join(lines)
        + "\n\nFrames that follow each other are nearly the same, and songs differ. An interval from resampling frames would answer what other frames of the same songs would score, and nobody asks that."
    )
)

# %% [markdown]
# (exercise-threshold-by-share)=
# ### Exercise 3: A threshold for each song
#
# *Medium, 10 minutes.*
#
# Suppose that for each song somebody told you which share of it is sung, and nothing else. Write `threshold_for(curve, share)`: the threshold that this share of the frames of `curve`, an array (frames,), lies above. Try it on a few synthetic songs. Is it better than the common threshold?
#
# :::{dropdown} First hint
# If a share of 0.3 is to lie above, which share lies below?
# :::
#
# :::{dropdown} Second hint
# A quantile is a number that a given share lies below: `np.quantile`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_threshold(threshold_for):
    rng = np.random.default_rng(0)
    for n in (50, 1000):
        curve = rng.random(n) ** 4
        for share in (0.1, 0.5, 0.8):
            cut = float(threshold_for(curve.copy(), share))
            above = np.mean(curve > cut)
            assert share == 0.5 or abs(above - (1 - share)) > 1.5 / n, (
                "That share of the frames lies below your threshold, not above."
            )
            assert abs(above - share) <= 1.5 / n, (
                f"Of {n} frames, {above:.0%} lie above your threshold; it should be {share:.0%}."
            )


# %% tags=["exercise"]
def threshold_for(curve, share):
    """Threshold that this share of the frames lies above."""
    ...


check_threshold(threshold_for)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def threshold_for(curve, share):
    return np.quantile(curve, 1 - share)


display(check_threshold(threshold_for))

lines, gains = [], []
for name, curve, label in zip(few.names, raw, few.labels, strict=True):
    curve = smooth(curve)
    own = threshold_for(curve, label.mean())
    common_right, own_right = (
        np.mean((curve > cut) == label)
        for cut in (synthetic["threshold"], own)
    )
    gains.append(own_right - common_right)
    lines.append(
        f"- {name}: {common_right:.1%} with the common threshold, {own_right:.1%} with {own:.2f}."
    )
display(
    Markdown(
        "\n".join(lines)
        + f"\n\nThe mean gain is {100 * np.mean(gains):+z.1f} percentage points. With such a threshold, false alarms and misses are equal in number. "
        + (
            "It helps where a song's curve lies elsewhere than the common threshold expects. "
            if np.mean(gains) > 0.005
            else "For songs like those from which the common threshold comes, it is hardly better. "
        )
        + "Real uses do not know the share. But some know that a song is about half sung, and that is worth something."
    )
)

# %% [markdown]
# (exercise-calibrated-and-useless)=
# ### Exercise 4: Calibrated and useless
#
# *Medium, 15 minutes.*
#
# A detector can be perfectly calibrated and of no use. Write its answers: `useless(truth)` gets the labels, a boolean array (frames,), and returns a probability for each frame so that the expected calibration error is 0 and the AUC is 0.5. Then derive its Brier score, and write it as a function of the share of sung frames: `brier(share)`.
#
# :::{dropdown} First hint
# An AUC of 0.5 comes without effort if all frames get the same answer. Which answer is calibrated?
# :::
#
# :::{dropdown} Second hint
# Always say the share of sung frames. For the Brier score, a share of the frames is off by `1 - share`, and the rest by `share`: square, weigh, add.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_useless(useless, brier):
    rng = np.random.default_rng(0)
    for share in (0.3, 0.5, 0.8):
        sung = rng.permutation(1000) < 1000 * share
        answers = np.asarray(useless(sung.copy()), dtype=float)
        assert answers.shape == sung.shape, (
            f"Give an answer to each of the {len(sung)} frames; yours have the shape {answers.shape}."
        )
        assert ((answers >= 0) & (answers <= 1)).all(), (
            "Some answers are no probabilities."
        )
        found, order = (
            calibration([answers], [sung]).expected_error,
            area_under_curve(answers, sung),
        )
        assert order < 0.99, (
            "Your detector knows every label: its AUC is 1, and that is of great use."
        )
        assert found < 1e-6, (
            f"If {share:.0%} of the frames are sung, your expected calibration error is {found:.3f}. Of the frames that get an answer, as many must be sung as it says."
        )
        assert abs(order - 0.5) < 1e-6, (
            f"The AUC is {order:.3f}. An answer that tells nothing is the same for all frames."
        )
    for share in (0.1, 0.5, 0.9):
        got, right = float(brier(share)), share * (1 - share)
        assert abs(got - right) < 1e-6, (
            f"The first function is right. But if a share of {share} is sung, and gets this number as its answer, the Brier score is not {got:.3f}: the sung frames are wrong by {1 - share:.1f}, the others by {share:.1f}."
        )
    return "It is largest at one half, where it is 0.25."


# %% tags=["exercise"]
def useless(truth):
    """Probabilities (frames,) with ECE 0 and AUC 0.5."""
    ...


def brier(share):
    """Brier score of the useless detector."""
    ...


check_useless(useless, brier)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def useless(truth):
    return np.full(len(truth), truth.mean())


def brier(share):
    return share * (1 - share) ** 2 + (1 - share) * share**2


display(check_useless(useless, brier))

lines = [
    f"- {name}: {result['calibration']['brier']:.3f}; a useless one would have {brier(np.average([song['sung'] for song in result['songs']], weights=[song['seconds'] for song in result['songs']])):.3f}."
    for name, result in (
        ("Synthetic songs", synthetic),
        (real_name.capitalize(), real),
    )
]
display(
    Markdown(
        "It always says the share of the sung frames. All frames fall into one bin, where what is said is so; all tie, so the AUC is 0.5. The Brier score of our detector, beside its own:\n\n"
        + "\n".join(lines)
        + "\n\nThe expected calibration error alone would call the useless one the better detector. So never report it without a score that asks for the order."
    )
)

# %% [markdown]
# (exercise-two-songs)=
# ### Exercise 5: Two perfect songs
#
# *Hard, 15 minutes.*
#
# How much can it matter that scores are not comparable between songs? Make up two songs, `first` and `second`: each is a pair of a list of probabilities and a list of labels, of the same length, with sung and unsung frames. Within each song the AUC shall be 1. Over all frames of both together it shall be below one half, worse than guessing.
#
# :::{dropdown} First hint
# Within a song the order must be right. Between songs nothing is asked, so one song may lie wholly above the other.
# :::
#
# :::{dropdown} Second hint
# Let nearly all unsung frames be in the song with the high numbers, and nearly all sung ones in the other. Each song needs one frame of the other kind, in the right order.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_two_songs(first, second):
    pairs = []
    for name, song in (("first", first), ("second", second)):
        assert len(song) == 2, f"{name} should be (probabilities, labels)."
        probabilities, labels = (np.asarray(part) for part in song)
        assert probabilities.shape == labels.shape, (
            f"{name} has {probabilities.size} probabilities and {labels.size} labels."
        )
        labels = labels.astype(bool)
        assert labels.any() and not labels.all(), (
            f"{name} needs sung and unsung frames."
        )
        assert ((probabilities >= 0) & (probabilities <= 1)).all(), (
            f"{name} has numbers that are no probabilities."
        )
        own = area_under_curve(probabilities, labels)
        assert own == 1, (
            f"{name} has an AUC of {own:.3f}. All its sung frames must lie above all unsung ones."
        )
        pairs.append((probabilities, labels))
    pooled = area_under_curve(*map(np.concatenate, zip(*pairs, strict=True)))
    assert pooled < 0.8, (
        f"Each song is perfect, and the AUC of both together is {pooled:.3f}. Let one song's curve lie lower as a whole, its sung frames too."
    )
    assert pooled < 0.5, (
        f"Each song is perfect, and the AUC of both together is {pooled:.3f}. Which pairs of a sung and an unsung frame are in the wrong order? Make more of them: the songs need not be sung to the same share."
    )
    return f"Each song is perfect, and together they have an AUC of {pooled:.3f}."


# %% tags=["exercise"]
first = ...
second = ...

check_two_songs(first, second)

# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
# loud: nearly all unsung, and its unsung frames are higher than anything in the other
first = [0.9] + [0.8] * 9, [True] + [False] * 9
# soft: nearly all sung
second = [0.2] * 9 + [0.1], [True] * 9 + [False]
display(check_two_songs(first, second))

probabilities, labels = (
    [np.array(song[k]) for song in (first, second)] for k in (0, 1)
)
common, _ = best_threshold(probabilities, labels)
right = np.mean(
    np.concatenate(
        [
            (curve > common) == label
            for curve, label in zip(probabilities, labels, strict=True)
        ]
    )
)
display(
    Markdown(
        f"Nearly all unsung frames are in the loud song, nearly all sung ones in the soft song, and every such pair is out of order. With a threshold for each song, every frame would be right. With the best common one, {common:.2f}, {right:.0%} are."
    )
)

# %% [markdown]
# **With more time:** label three songs that you know, as {doc}`../book/corpora` says, and measure them with `python -m svdlib.lab.studies.real_singing --corpus folder:my_songs`. Before you look, write down which one will be worst. A guess made before the measurement is worth more than ten explanations after it.
#
# ## Further reading
#
# - {cite:t}`fawcett2006` is a patient introduction to ROC curves.
# - {cite:t}`guo2017` found that modern networks are too sure of themselves, and how to mend it.
# - {cite:t}`lehner2014` look at what is taken for singing in real songs.
# - {cite:t}`durand2023` made the collection from which the five songs come.
