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
# # What each layer keeps: the class, and what lies between
#
# **Does FC8 show what the detector has decided, and what does a layer take for alike?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - whether the deepest layer's inversions depend on the class, and how to test such a claim;
# - what lies *between* excerpts in the space of a layer's features: neighbours, walks and means.
#
# **Prerequisites:** {doc}`05_qualitative_analysis` and {doc}`05b_kept_structure`.
#
# **Minutes:** 18 to read, 40 for the exercises, less than one to run.
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
from svdlib.compute.devices import choose_device
from svdlib.lab.figures import structure as figures
from svdlib.lab.figures.spectrograms import figure_inversions
from svdlib.lab.figures.style import layer_title
from svdlib.lab.studies import INPUT, load_results
from svdlib.lab.studies.kept_structure import draw_excerpts
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 8, "laptop": 16, "full": None}[profile]
n_class = {"demo": 192, "laptop": 768, "full": 3072}[profile]

detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: inverter.to(device)
    for layer, inverter in svdlib.pretrained_inverters("aligned").items()
    if layer in ("conv5", "mp6", "fc7", "fc8")
}
tracks = svdlib.open_corpus(corpus).split("test")[:n_songs]
bank = svdlib.ExcerptBank(
    svdlib.load_songs(tracks),
    standardizer=detector.standardizer,
    device=device,
)
generator = np.random.default_rng(seed)

# %% [markdown]
# (claim-class)=
# ## Does FC8 show the class?
#
# Each point is an excerpt. The farther to the right, the more its picture has above than below.

# %% tags=["hide-input"]
from svdlib.detector.scores import roc_points
from svdlib.lab.analysis.intervals import separation, separation_interval
from svdlib.lab.analysis.measures import high_minus_low, spectral_centroid

class_drawn = draw_excerpts(bank, n_class, seed + 1)
class_x = bank.gather(class_drawn)
class_sung = bank.labels(class_drawn).cpu().numpy()
class_song = bank.songs[class_drawn].cpu().numpy()
to_sound = detector.standardizer.inverse
with torch.no_grad():
    features = [
        detector.features(piece, ["conv5", "mp6", "fc7", "fc8"])
        for piece in class_x.split(8)
    ]
    class_features = {
        layer: torch.cat([piece[layer] for piece in features])
        for layer in features[0]
    }
    fc8 = class_features["fc8"]
    answers = detector.out(fc8)[:, 0]  # the logits: one linear step from FC8
    from_fc8 = inverters["fc8"](fc8)
    tilt = {
        "originals": high_minus_low(class_x[:, 0]).numpy(),
        "inversions from FC8": high_minus_low(from_fc8[:, 0]).numpy(),
    }
    centroid = {
        "originals": spectral_centroid(to_sound(class_x[:, 0])).numpy(),
        "inversions from FC8": spectral_centroid(
            to_sound(from_fc8[:, 0])
        ).numpy(),
    }
threshold = detector.threshold
says_sung = (torch.sigmoid(answers) > threshold).cpu().numpy()
both_classes = class_sung.any() and not class_sung.all()
both_answers = says_sung.any() and not says_sung.all()
one_answer = Markdown(
    "The detector decides alike on all these excerpts, so there are no two groups to tell apart. Use a corpus with sung and unsung parts."
)
one_class = Markdown(
    "These songs hold excerpts of one class only, so this cannot be shown with them. Use a corpus with sung and unsung parts."
)

# %% tags=["hide-input"] figure="class-high-low" mystnb={"image": {"alt": "Two panels of points, one per excerpt, in two rows for vocal and non-vocal: left the originals, right their inversions from FC8. The horizontal axis is upper half minus lower half of the picture; black bars are medians."}}
figures.figure_class_dependence(
    tilt, class_sung, "upper minus lower half (deviations)"
)

# %% [markdown]
# The paper's most striking observation is about the deepest layer. In many inversions from FC8, energy appears at *high* frequencies for vocal excerpts and at *low* frequencies for non-vocal ones. The authors conclude that this layer has learned a class decision.
#
# To test this we need a number for "high or low", many excerpts, and a comparison. We use two numbers.
#
# - **High minus low**: the mean of the upper 40 bands minus that of the lower 40, in the standardised picture. It is what the eye sees in a picture, and what the points above show.
# - **Spectral centroid**: the frequency around which the magnitudes balance, in hertz. It is nearer to what the ear hears as brightness.
#
# And the comparison: the *originals* themselves. Voices bring energy at certain frequencies. If vocal originals are already brighter, then an inversion that is brighter for them tells us nothing new about FC8.
#
# In the figure, mind the scales: the two panels have their own. A narrow cloud on the right means that the inverter paints nearly the same balance for all excerpts.
#
# How well does such a number tell two groups apart? Call an excerpt "sung" if the number lies above a threshold. Each threshold gives a share of vocal excerpts above it, and a share of the others. All thresholds together draw a curve (the ROC), and the area under it, the **AUC**, is the probability that a random vocal excerpt has a larger
# number than a random non-vocal one. 0.5 is no separation; 1 means that all vocal excerpts lie higher, and 0 that all lie *lower*, which separates just as well.
#
# There are two truths to compare with: the *label* (does somebody sing?) and the detector's own *decision* (does it say so?). If FC8's inversions show what the detector has decided, right or wrong, the number should follow the decision. Here is the ROC for the decision. A curve above the dotted diagonal means that the number is larger where the detector says "sung", a curve below it that it is smaller.

# %% tags=["hide-input"] figure="class-roc" mystnb={"image": {"alt": "Two panels of ROC curves, for high minus low and for the spectral centroid as detectors of the detector's own decision. In each, a dashed curve for the originals, a thick one for the inversions from FC8, and the dotted diagonal of no separation. The legend and the table below hold the areas under the curves."}}
balance = {"high minus low": tilt, "spectral centroid": centroid}
numbers = {
    f"{measure}, {picture}": values
    for measure, by_picture in balance.items()
    for picture, values in by_picture.items()
}


def curve_name(picture, values):
    auc = separation(values, says_sung, class_song).value
    return f"{picture}, AUC {auc:.2f}"


figures.figure_roc(
    {
        measure: {
            curve_name(picture, values): roc_points(values, says_sung)
            for picture, values in by_picture.items()
        }
        for measure, by_picture in balance.items()
    }
) if both_answers else one_answer


# %% tags=["hide-input"]
def area(values, truth):
    """An AUC with its interval from resampling songs, as text."""
    found = separation(values, truth, class_song)
    interval = (
        f" ({found.low:.2f}\u00a0to\u00a0{found.high:.2f})"
        if found.is_known
        else ""
    )
    return f"{found.value:.2f}{interval}" if np.isfinite(found.value) else "–"


pd.DataFrame(
    [
        {
            "number": name,
            "AUC for the label": area(values, class_sung),
            "AUC for the decision": area(values, says_sung),
        }
        for name, values in numbers.items()
    ]
).style.hide(axis="index")


# %% tags=["remove-input"]
def beside(name, values, reference, truth):
    """Compare how well the inversions and the originals separate."""
    inverted, original = (
        separation(each, truth, class_song) for each in (values, reference)
    )
    gain = separation_interval(
        lambda inverted, original: abs(inverted - 0.5) - abs(original - 0.5),
        values,
        reference,
        truth=truth,
        songs=class_song,
    )
    direction = "higher" if inverted.value > 0.5 else "lower"
    verdict = (
        "better than"
        if gain.lies_above(0)
        else (
            "less well than"
            if gain.lies_below(0)
            else "not surely better or worse than"
        )
    )
    interval = (
        f"interval {gain.low:+z.2f} to {gain.high:+z.2f}"
        if gain.is_known
        else "without an interval, since too few songs hold both"
    )
    return f"By *{name}*, excerpts that the detector calls sung have inversions that lie *{direction}* (AUC {inverted.value:.2f}), and it separates {verdict} that of the originals (AUC {original.value:.2f}; difference in separation {gain.value:+z.2f}, {interval})."


if both_answers:
    display(
        Markdown(
            "\n\n".join(
                beside(
                    name,
                    by["inversions from FC8"],
                    by["originals"],
                    says_sung,
                )
                for name, by in balance.items()
            )
            + f"\n\nThis rests on {len(class_sung)} excerpts of {len(np.unique(class_song))} song{'s' * (len(np.unique(class_song)) > 1)}."
        )
    )
else:
    display(one_answer)

# %% [markdown]
# ### The same over thousands
#
# The stored study again, for high minus low, and for FC7 beside FC8. The AUC is that for the detector's decision. Of the real songs, know that they guided the making of the synthetic ones ({doc}`06_real_singing`).

# %% tags=["hide-input"]
study = load_results("kept_structure")
corpora = {}
for key, measured in study["corpora"].items():
    kind = key.split(":")[0]
    corpora[
        f"{measured['songs']} real songs" if kind == "folder" else kind
    ] = measured


def stored(entry, chance=True):
    """A value, its interval and its chance level, from a stored entry."""
    none = float("nan")
    low, high = (none if end is None else end for end in entry["ci95"])
    return entry["mean"], low, high, entry["chance"] if chance else none


# %% tags=["hide-input"]
def stored_area(entry):
    low, high = entry["ci95"]
    interval = "" if low is None else f" ({low:.2f}\u00a0to\u00a0{high:.2f})"
    return f"{entry['auc']:.2f}{interval}"


rows = []
for name, measured in corpora.items():
    by_layer = measured["class_dependence"]["decision"]
    rows.append(
        {
            "corpus": name,
            "inverters": "(originals)",
            "FC7": "",
            "FC8": stored_area(by_layer["originals"]["high_minus_low"]),
        }
    )
    for family in ("aligned", INPUT, "published"):
        cells = {
            layer_title(layer): stored_area(
                by_layer[layer][family]["high_minus_low"]
            )
            for layer in ("fc7", "fc8")
            if family in by_layer[layer]
        }
        rows.append({"corpus": "", "inverters": family} | cells)
pd.DataFrame(rows).style.hide(axis="index")

# %% tags=["remove-input"]
verdicts = []
for measured in corpora.values():
    for family in ("published", "aligned"):
        entry = measured["class_dependence"]["decision"]["fc8"][family][
            "high_minus_low"
        ]
        low, high = entry["ci95"]
        if low is None:
            sure = "no interval"
        elif low > 0.5:
            sure = "higher, as the paper reports"
        elif high < 0.5:
            sure = "lower, the opposite of what the paper reports"
        else:
            sure = "neither surely higher nor surely lower"
        verdicts.append(sure)
confirmed = sum("as the paper" in line for line in verdicts)
reversed_ = sum("opposite" in line for line in verdicts)
unsure = len(verdicts) - confirmed - reversed_
if confirmed == len(verdicts):
    close = "All agree with the paper's observation."
elif reversed_ == len(verdicts):
    close = "All have the opposite direction: here, low means sung. The paper's observation of a *split by height* holds; its direction does not."
elif confirmed and reversed_:
    close = "Both directions occur. So which way FC8's inversions tilt depends on the songs and on the trained weights, and is no property of the architecture."
else:
    close = (
        f"Of {len(verdicts)} cases, {confirmed or 'none'} agree{'s' if confirmed == 1 else ''} with the paper's observation, {reversed_ or 'none'} {'has' if reversed_ == 1 else 'have'} the opposite direction, and {unsure} {'is' if unsure == 1 else 'are'} not sure. "
        + (
            "So we do not reproduce the observation with our weights. The decision is in FC8, but one number for high or low does not read it off its inversions."
            if not confirmed
            else "So the observation is reproduced in a part only."
        )
    )
lower = [
    f"{name} ({family})"
    for name, measured in corpora.items()
    for family in ("published", "aligned")
    if (
        measured["class_dependence"]["decision"]["fc8"][family][
            "high_minus_low"
        ]["minus_originals_ci95"][1]
        or 0
    )
    < 0
]
if lower:
    close += f" There is a tendency, though: compared with the originals, the inversions of what is called sung surely lie *lower* on {', '.join(lower)}."
of_fc8 = {
    name: measured["class_dependence"]["decision"]["fc8"]
    for name, measured in corpora.items()
}
alone = {
    name: each[INPUT]["high_minus_low"]["auc"]
    for name, each in of_fc8.items()
    if INPUT in each
}
if alone:
    close += " Is it a matter of what the inverter was asked for (*The round trip*)? FC8's aligned inversions have an AUC of "
    close += ", ".join(
        f"{alone[name]:.2f} by the input loss alone and {of_fc8[name]['aligned']['high_minus_low']['auc']:.2f} with the feature loss on *{name}*"
        for name in alone
    )
    close += "."
display(Markdown(close))

# %% [markdown]
# The verdict stands in {doc}`11_claims`. Be careful with the conclusion, in any case. FC8 is one linear step away from the answer, so it *must* carry the decision; a detector that works could not do otherwise. What the inversions add is which sounds the inverter has learned to connect with each answer. It has learned that from the training songs. An inverter
# trained on other songs would paint other pictures from the same 64 numbers.
#
# ## Neighbours: what does a layer take for alike?
#
# An inversion shows what one feature holds. We can also ask which excerpts a layer takes for *similar*: those whose features lie close to each other, in Euclidean distance. This needs no inverter at all. We search among other songs only, since the next moment of the same song would nearly always win.

# %% tags=["hide-input"]
from svdlib.lab.analysis.feature_space import (
    features_of,
    nearest_of_other_songs,
    pairwise_distances,
)

n_neighbours = 12 * len(np.unique(class_song)) if profile == "demo" else 256
pool = draw_excerpts(bank, n_neighbours, seed + 2)
pool_x, pool_song = bank.gather(pool), bank.songs[pool].cpu()
several_songs = len(torch.unique(pool_song)) > 1
compared = ("conv1", "conv5", "mp6", "fc7", "fc8")
nearest = {}
if several_songs:
    points = features_of(detector, pool_x, compared, batch=8)
    nearest = {
        layer: nearest_of_other_songs(
            pairwise_distances(points.pop(layer)).cpu(), pool_song, 5
        )
        for layer in compared
    }

# %% tags=["hide-input"] figure="neighbours" mystnb={"image": {"alt": "Four columns of spectrograms. On top four random excerpts, two non-vocal and two vocal; below each, the nearest excerpt of another song by the features of Conv1, Conv5, MP6, FC7 and FC8."}}
pool_sung = bank.labels(pool).cpu().numpy()
queries = {}
for vocal, kind in ((False, "non-vocal"), (True, "vocal")):
    candidates = np.flatnonzero(pool_sung == vocal)
    for k in generator.permutation(candidates)[:2]:
        queries[f"{len(queries) + 1}: {kind}"] = int(k)
display(
    figure_inversions(
        {
            name: {"input": pool_x[k, 0]}
            | {layer: pool_x[nearest[layer][k, 0], 0] for layer in compared}
            for name, k in queries.items()
        }
    )
    if several_songs
    else Markdown(
        "There is only one song, so it has no neighbours in others."
    )
)

# %% tags=["remove-input"]
if several_songs:
    same = {
        layer: [
            int(pool_sung[nearest[layer][k, 0]] == pool_sung[k])
            for k in queries.values()
        ]
        for layer in compared
    }
    display(
        Markdown(
            f"The excerpts on top were drawn at random among {len(pool)}; the row of a layer shows real excerpts of other songs, not inversions. Of these {len(queries)} nearest excerpts, "
            + ", ".join(
                f"{sum(hits)} at {layer_title(layer)}"
                for layer, hits in same.items()
            )
            + " have the class of the excerpt above them."
        )
    )

# %% [markdown]
# Four pictures prove nothing. So the study has taken 240 excerpts per corpus and the five nearest of each, and asked three questions. Do they share the *class* with the excerpt (the share that does)? Its *onsets* (the onset match)? Its *harmonics* (the harmonic match)? Chance is the mean over all excerpts of other songs. "Original" compares the spectrograms themselves.

# %% tags=["hide-input"] figure="neighbours-measured" mystnb={"image": {"alt": "Three panels over the originals and the layers, a line per corpus: the share of neighbours of the same class, their onset match and their harmonic match, with dotted lines for chance. The text below says where each is largest."}}
questions = {
    "Share of the same class": "same_class",
    "Onset match of neighbours": "onset_match",
    "Harmonic match of neighbours": "harmonic_match",
}
figures.figure_agreements(
    {
        title: {
            name: {
                "original" if layer == "input" else layer: stored(entry[key])
                for layer, entry in measured["neighbours"]["layers"].items()
            }
            for name, measured in corpora.items()
        }
        for title, key in questions.items()
    },
    columns=1,
)


# %% tags=["remove-input"]
def lifts(key):
    """Per layer, by how much neighbours agree more than chance, mean over the corpora."""
    layers = next(iter(corpora.values()))["neighbours"]["layers"]
    return {
        layer: np.mean(
            [
                measured["neighbours"]["layers"][layer][key]["above_chance"]
                for measured in corpora.values()
            ]
        )
        for layer in layers
    }


def place(layer):
    return "the originals" if layer == "input" else layer_title(layer)


def nearest_and_farthest(key):
    lift = lifts(key)
    most, least = max(lift, key=lift.get), min(lift, key=lift.get)
    return {
        "most above chance": f"{place(most)}, {lift[most]:+z.2f}",
        "least": f"{place(least)}, {lift[least]:+z.2f}",
        "FC8": f"{lift['fc8']:+z.2f}",
    }


display(
    pd.DataFrame(
        [
            {"means over the corpora": title} | nearest_and_farthest(key)
            for title, key in questions.items()
        ]
    ).style.hide(axis="index")
)
deep_class = lifts("same_class")
shifts = (
    deep_class["fc8"] > deep_class["input"] + 0.02
    and lifts("onset_match")["fc8"] < lifts("onset_match")["input"]
)
display(
    Markdown(
        "So with depth, alike comes to mean *of one class* rather than *of one sound*. This is what a detector is trained for, seen without any inverter."
        if shifts
        else "That alike should mean *of one class* in deep layers and *of one sound* in shallow ones does not show in all three numbers here."
    )
)

# %% [markdown]
# ## Walks: what changes when?
#
# Take the feature $\mathbf{f}_0$ of a non-vocal excerpt and the feature $\mathbf{f}_1$ of a vocal one, and walk from one to the other in a straight line:
#
# $$
# \mathbf{f}(t) = (1 - t)\, \mathbf{f}_0 + t\, \mathbf{f}_1 , \qquad 0 \le t \le 1 .
# $$
#
# At each step we invert the feature, and we let the rest of the detector answer. The row *Original* is a plain cross-fade of the two spectrograms, for comparison. The numbers above the pictures are the detector's answers to the *feature*.

# %%
from svdlib.lab.analysis.feature_space import logits_from, walk

walked_layers = ("conv5", "fc7", "fc8")


def answer(layer, feature):
    """The detector's answer if `layer` puts out `feature`."""
    if layer == "original":
        with torch.no_grad():
            return torch.sigmoid(detector(feature))[:, 0].cpu().numpy()
    return torch.sigmoid(logits_from(detector, layer, feature)).cpu().numpy()


def walk_through(start, end, steps):
    """Walks between two excerpts (1, 115, 80): features per layer."""
    with torch.no_grad():
        ends = detector.features(torch.stack([start, end]), walked_layers)
    walks = {layer: walk(*ends[layer], steps) for layer in walked_layers}
    return {"original": walk(start, end, steps)} | walks


# %% tags=["hide-input"] figure="walks" mystnb={"image": {"alt": "Rows of five spectrograms: a cross-fade of a non-vocal and a vocal excerpt, and inversions of the steps between their features at Conv5, FC7 and FC8. Above each stands the detector's answer. The text below compares them."}}
if both_classes:
    walked_ends = [
        class_x[int(generator.choice(np.flatnonzero(members)))]
        for members in (~class_sung, class_sung)
    ]
    steps_walked = walk_through(*walked_ends, 5)
    with torch.no_grad():
        pictures = {
            layer: (
                features[:, 0]
                if layer == "original"
                else inverters[layer](features)[:, 0]
            )
            for layer, features in steps_walked.items()
        }
    replies = {
        layer: answer(layer, features)
        for layer, features in steps_walked.items()
    }
display(
    figures.figure_walks(pictures, replies) if both_classes else one_class
)

# %% [markdown]
# In the cross-fade, both sounds are there half-way, one over the other. Look for the step at which the picture changes most, and for the one at which the answer does. They need not be the same.
#
# One walk is an anecdote. The next figure is the mean over walks between random pairs.

# %% tags=["hide-input"]
n_walks = {"demo": 12, "laptop": 64, "full": 256}[profile]
starts, ends = (
    torch.as_tensor(generator.permutation(np.flatnonzero(members))[:n_walks])
    for members in (~class_sung, class_sung)
)
replies_along = {
    layer: []
    for layer in (("original", *walked_layers) if both_classes else ())
}
for start, end in zip(starts, ends, strict=False):
    for layer, features in walk_through(
        class_x[start], class_x[end], 7
    ).items():
        if both_classes:
            replies_along[layer].append(answer(layer, features))

# %% tags=["hide-input"] figure="walk-answers" mystnb={"image": {"alt": "The detector's mean answer along walks from a non-vocal to a vocal excerpt, a curve for the cross-fade of the originals and one each for Conv5, FC7 and FC8, with the threshold. The text below describes them."}}
display(
    figures.figure_walk_answers(
        {
            layer: np.mean(runs, axis=0)
            for layer, runs in replies_along.items()
        },
        threshold,
    )
    if both_classes
    else one_class
)

# %% tags=["hide-input"]
if both_classes:
    crossing = {}
    for layer, runs in replies_along.items():
        crossed = np.array(runs) > threshold
        single_step = (np.diff(crossed.astype(int), axis=1) != 0).sum(axis=1)
        crossing[layer] = int((single_step > 1).sum())
    middle = {
        layer: float(np.mean(runs, axis=0)[3])
        for layer, runs in replies_along.items()
    }
    logits = {
        layer: np.log(np.clip(runs, 1e-7, 1 - 1e-7))
        - np.log(1 - np.clip(runs, 1e-7, 1 - 1e-7))
        for layer, runs in replies_along.items()
    }
    bends = {
        layer: float(
            np.abs(curve[:, 3] - (curve[:, 0] + curve[:, -1]) / 2).mean()
        )
        for layer, curve in logits.items()
    }
    display(
        pd.DataFrame(
            [
                {
                    "walk": "cross-fade"
                    if layer == "original"
                    else layer_title(layer),
                    "answer half-way": f"{middle[layer]:.2f}",
                    "bend of the logit half-way": f"{bends[layer]:z.2f}",
                    "crosses the threshold more than once": f"{crossing[layer]} of {len(runs)}",
                }
                for layer, runs in replies_along.items()
            ]
        ).style.hide(axis="index")
    )

# %% [markdown]
# The bend is how far the logit, half-way, lies from the mean of both ends. At FC8 it must be zero, since only a linear layer follows: the two answers lie on two sides of a plane, so a straight walk crosses from one to the other at most once. That is what a deep layer is for. In the space of spectrograms nothing guarantees it. Note that the points between are *no* features of real excerpts: there may be no sound at all that has them. The inverter paints them nevertheless.
#
# ## The mean of a class
#
# What is common to all vocal excerpts, in the eyes of a layer? We average the features of the non-vocal and of the vocal excerpts, and invert these two means. The top row shows the means of the originals.

# %%
from svdlib.lab.analysis.feature_space import class_means

sung_mask = torch.as_tensor(class_sung, device=device)
mean_pictures, mean_answers = {}, {}
if both_classes:
    mean_pictures["original"] = [
        mean[0] for mean in class_means(class_x, sung_mask)
    ]
    for layer, points in class_features.items():
        means = class_means(points, sung_mask)
        with torch.no_grad():
            mean_pictures[layer] = [
                inverters[layer](mean[None])[0, 0] for mean in means
            ]
        mean_answers[layer] = answer(layer, torch.stack(means))

# %% tags=["hide-input"] figure="class-means" mystnb={"image": {"alt": "Rows for the originals, Conv5, MP6, FC7 and FC8. Left the picture of the non-vocal mean, in the middle that of the vocal mean, right the difference of their spectra over frequency. The text below compares the rows."}}
display(
    figures.figure_class_means(mean_pictures, (-1.5, 1.5))
    if both_classes
    else one_class
)

# %% tags=["remove-input"]
if both_classes:
    spectra = {
        layer: (vocal - non_vocal).mean(dim=0).cpu().double().numpy()
        for layer, (non_vocal, vocal) in mean_pictures.items()
    }
    rows = []
    for layer in mean_answers:
        r = np.corrcoef(spectra["original"], spectra[layer])[0, 1]
        size = (
            np.abs(spectra[layer]).mean() / np.abs(spectra["original"]).mean()
        )
        low_answer, high_answer = mean_answers[layer]
        rows.append(
            {
                "layer": layer_title(layer),
                "correlation with the originals": f"{r:.2f}",
                "size against them": f"{size:.1f}",
                "answer to the non-vocal mean": f"{low_answer:.2f}",
                "to the vocal mean": f"{high_answer:.2f}",
            }
        )
    display(pd.DataFrame(rows).style.hide(axis="index"))
    display(
        Markdown(
            "The table compares the differences between the classes, the right column of the figure, which has a scale of its own in each row. The answers are the detector's to the mean features. "
            "Averages have no rhythm: each excerpt has its onsets elsewhere. What is left is the mean balance of the bands."
        )
    )

# %% [markdown]
# The mean of many *originals* is a picture of no sound. The inversion of a mean *feature* is something else: the picture that the inverter connects with a typical point of the class. Where its difference between the classes resembles that of the originals, the layer keeps how vocal excerpts differ on average; where it doesn't, the layer
# (or the inverter) has its own idea of the class. And an answer that is far from certain says that the mean is not typical: a layer of many detectors that rarely fire has a mean in which all fire a little.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "In the inversions from a layer, vocal excerpts are brighter than others. Does this show that the layer has learned the class?",
        [
            Answer(
                "Not before the originals were looked at: they may differ as much.",
                "Voices bring energy at certain frequencies. A layer that merely copies its input would show the same.",
                right=True,
            ),
            Answer(
                "Yes, for the inverter was trained without knowing the classes.",
                "It need not know them. If vocal originals are brighter, then faithful inversions are brighter, too.",
            ),
            Answer(
                "Yes, if it is so for thousands of excerpts from many songs.",
                "More excerpts make the pattern surer. They do not say where it comes from.",
            ),
        ],
    ),
    Question(
        "Half-way between the features of two excerpts, the inverter paints a picture. Of what?",
        [
            Answer(
                "Of a point that perhaps no sound has as its feature.",
                "The inverter answers whatever it is given. A picture is no proof that there is such a sound.",
                right=True,
            ),
            Answer(
                "Of the sound that lies half-way between both excerpts.",
                "There may be no sound with this feature. And half-way in the feature's space need not be half-way to the ear.",
            ),
            Answer(
                "Of both excerpts mixed, each with half its strength.",
                "That is the cross-fade of the spectrograms. The layer is not linear, so the mean of two features is not the feature of the mix.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A pattern in the inversions is news about the layer only if the originals do not show it already.
# - Neighbours and walks look at a layer without, or beyond, its inverter: a second witness.
# - A point between two features need not be the feature of any sound. The inverter paints it nevertheless.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-auc-by-counting)=
# ### Exercise 1: Count the pairs
#
# *Easy, 15 minutes.*
#
# Write `auc(values, sung)`, straight from its meaning: of all pairs of a vocal and a non-vocal excerpt, the share in which the vocal one has the larger number. A tie counts as one half. Both are arrays of shape (excerpts,), the second boolean. Then take the mean of the standardised values of each excerpt, a measure of loudness. Could FC8's inversions differ between the classes by loudness alone?
#
# :::{dropdown} First hint
# Compare each vocal excerpt with each other one: a table of differences, one row for each vocal excerpt.
# :::
#
# :::{dropdown} Second hint
# `values[sung][:, None] - values[~sung][None, :]` is that table. Count what is above 0 whole, what is equal by half, and take the mean.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_auc(auc):
    cases = [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0, "All vocal excerpts lie higher"),
        ([4, 3, 2, 1], [0, 0, 1, 1], 0.0, "All vocal excerpts lie lower"),
        ([2, 1, 3], [1, 0, 0], 0.5, "One of two pairs is in order"),
        ([1, 2, 3, 0, 9], [0, 0, 1, 0, 0], 0.75, "Three of four pairs are"),
        ([5, 5, 5, 5], [0, 1, 0, 1], 0.5, "All are equal"),
        ([1, 2, 2, 3], [0, 0, 1, 1], 0.875, "One of four pairs is a tie"),
    ]
    for values, sung, right, what in cases:
        got = float(
            auc(np.array(values, dtype=float), np.array(sung, dtype=bool))
        )
        assert abs(got - right) < 1e-6, (
            f"{what}, so the AUC of {values} with sung = {sung} is {right}; you get {got:.3f}."
        )
    rng = np.random.default_rng(0)
    values, sung = rng.normal(size=80), rng.random(80) < 0.3
    ranks = values.argsort().argsort()[sung] + 1
    n = sung.sum()
    right = (ranks.sum() - n * (n + 1) / 2) / (n * (80 - n))
    got = float(auc(values, sung))
    assert abs(got - right) < 1e-6, (
        f"For 80 random numbers with an AUC of {right:.3f} you get {got:.3f}."
    )


# %% tags=["exercise"]
def auc(values, sung):
    """Share of the pairs in which the vocal excerpt lies higher."""
    ...


check_auc(auc)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def auc(values, sung):
    apart = values[sung][:, None] - values[~sung][None, :]
    return ((apart > 0) + (apart == 0) / 2).mean()


display(check_auc(auc))

if both_classes:
    of_loudness = {
        name: auc(pictures.mean(dim=(1, 2, 3)).cpu().numpy(), class_sung)
        for name, pictures in {
            "originals": class_x,
            "inversions": from_fc8,
        }.items()
    }
    far = abs(of_loudness["inversions"] - 0.5)
    text = f"The AUC of loudness is {of_loudness['originals']:.2f} for the originals and {of_loudness['inversions']:.2f} for the inversions from FC8. "
    text += (
        "So the inversions do differ by loudness, and part of what separates them is no more than this. "
        if far > 0.1
        else "So loudness alone does not separate the inversions well. "
    )
    display(
        Markdown(
            text
            + "Singing makes music louder in many songs. A detector may lean on it, and an inverter will paint it."
        )
    )
else:
    display(one_class)

# %% [markdown]
# (exercise-nearest-song)=
# ### Exercise 2: The nearest in another song
#
# *Easy, 10 minutes.*
#
# Write `nearest_other(features, songs)`: for each excerpt the index of the one that is nearest to it, by Euclidean distance, among those of *other* songs. `features` is a tensor whose first axis counts the excerpts, and which may have any others; `songs` is a tensor (excerpts,) with the number of each excerpt's song. The result has the shape (excerpts,).
#
# :::{dropdown} First hint
# Compute all distances at once. Then see to it that an excerpt of the same song, and the excerpt itself, can never win.
# :::
#
# :::{dropdown} Second hint
# Flatten all axes but the first, use `torch.cdist`, and set distances within a song to infinity before `argmin`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_nearest(nearest_other):
    rng = np.random.default_rng(0)
    numbers = np.array([3, 3, 8, 8, 5, 5, 8, 3])
    points = rng.normal(size=(8, 2, 5)) + 2 * numbers[:, None, None]
    got = np.asarray(
        nearest_other(
            torch.tensor(points, dtype=torch.float32), torch.tensor(numbers)
        )
    )
    assert got.shape == (8,), (
        f"For 8 excerpts the result has the shape (8,), not {got.shape}."
    )
    for k, found in enumerate(got.astype(int)):
        assert found != k, "An excerpt is not its own neighbour."
        assert numbers[found] != numbers[k], (
            f"Excerpt {k} got a neighbour of its own song."
        )
        far = np.array([((points[k] - other) ** 2).sum() for other in points])
        far[numbers == numbers[k]] = np.inf
        assert found == far.argmin(), (
            f"Excerpt {k} has a nearer one in another song: {far.argmin()}, not {found}. Is the distance taken over all values of a feature?"
        )


# %% tags=["exercise"]
def nearest_other(features, songs):
    """Index of the nearest excerpt of another song (excerpts,)."""
    ...


check_nearest(nearest_other)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def nearest_other(features, songs):
    flat = features.flatten(1)
    distances = torch.cdist(flat, flat)
    distances[songs[:, None] == songs[None, :]] = float("inf")
    return distances.argmin(dim=1)


display(check_nearest(nearest_other))

if several_songs and both_classes:
    numbers = torch.as_tensor(class_song)
    other = class_song[:, None] != class_song[None, :]
    alike = class_sung[:, None] == class_sung[None, :]
    hits = {
        name: np.mean(
            class_sung[nearest_other(points.cpu(), numbers).numpy()]
            == class_sung
        )
        for name, points in {
            "the originals": class_x,
            "Conv5": class_features["conv5"],
            "FC8": class_features["fc8"],
        }.items()
    }
    best = max(hits, key=hits.get)
    display(
        Markdown(
            "The nearest excerpt of another song has the same class in "
            + ", ".join(
                f"{share:.0%} ({name})" for name, share in hits.items()
            )
            + f" of the cases; any excerpt of another song has it in {(alike & other).sum() / other.sum():.0%}. The share is largest at {best}. "
            + (
                "There, alike means most often *of one class*."
                if best == "FC8"
                else "That the deepest layer should be first does not show in these excerpts."
            )
        )
    )
else:
    display(
        Markdown(
            "There is only one song or one class, so there is nothing to compare."
        )
    )

# %% [markdown]
# (exercise-one-number)=
# ### Exercise 3: One number instead of 64
#
# *Medium, 15 minutes.*
#
# Would an inverter do as well if it knew only the detector's answer? Write `paint_by_answer(x, answers, groups)`: sort the excerpts by their answer, cut them into so many groups of the same size, or nearly so, and give each excerpt the *mean original* of its group. `x` is a tensor (n, 1, 115, 80), `answers` one of shape (n,); the result has the shape of `x`, and the order too. Compare its NRE for five groups with FC8's.
#
# :::{dropdown} First hint
# Sort by the answer, cut the sorted list into parts, and remember which excerpt stood where.
# :::
#
# :::{dropdown} Second hint
# `answers.argsort().chunk(groups)` gives the indices of each group. Write the mean of `x[group]` to the same places of the result.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_painted(paint_by_answer):
    rng = np.random.default_rng(0)
    a = rng.normal(size=(12, 1, 3, 4))
    logits = rng.permutation(12) - 5.5
    for groups in (1, 3, 4):
        place = (logits + 5.5).astype(int) // (12 // groups)
        right = np.stack([a[place == group].mean(axis=0) for group in place])
        got = np.asarray(
            paint_by_answer(
                torch.tensor(a, dtype=torch.float32),
                torch.tensor(logits, dtype=torch.float32),
                groups,
            )
        )
        assert got.shape != (groups, *a.shape[1:]), (
            "These are the means of the groups. Give each excerpt the mean of its group."
        )
        assert got.shape == a.shape, (
            f"The result has the shape of x, {a.shape}, not {got.shape}."
        )
        by_place = np.repeat(
            a.reshape(groups, -1, *a.shape[1:]).mean(axis=1),
            12 // groups,
            axis=0,
        )
        if groups > 1:
            assert not np.allclose(got, by_place, atol=1e-5), (
                "Your groups are of excerpts that follow each other in x. Sort them by their answer first."
            )
            in_order = right[np.argsort(logits)]
            assert not np.allclose(got, in_order, atol=1e-5), (
                "The means are right, but they stand in the order of the answers. Bring them back to the order of x."
            )
        assert np.allclose(got, right, atol=1e-5), (
            f"With {groups} group{'s' if groups > 1 else ''}, some excerpts do not get the mean of their group."
        )


# %% tags=["exercise"]
def paint_by_answer(x, answers, groups):
    """For each excerpt the mean of those with similar answers."""
    ...


check_painted(paint_by_answer)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def paint_by_answer(x, answers, groups):
    painted = torch.empty_like(x)
    for group in answers.argsort().chunk(groups):
        painted[group] = x[group].mean(dim=0)
    return painted


display(check_painted(paint_by_answer))

scores = {
    "one mean": svdlib.nre(class_x, paint_by_answer(class_x, answers, 1)),
    "five means": svdlib.nre(class_x, paint_by_answer(class_x, answers, 5)),
    "FC8": svdlib.nre(class_x, from_fc8),
}
gained = scores["five means"] - scores["FC8"]
display(
    Markdown(
        "NRE: "
        + ", ".join(f"{name} {value:.3f}" for name, value in scores.items())
        + ". The means have an advantage, since they were computed from the very excerpts that they paint. "
        + (
            "FC8 is better all the same: its 64 numbers hold more than the answer."
            if gained > 0.01
            else "FC8's inversions are not clearly better. As far as they show, its 64 numbers hold hardly more than the answer. The advantage may hide something, though."
        )
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018`, section 4, has the observation on FC8.
# - {cite:t}`lehner2014` on what is mistaken for singing: good material for inversions of your own.
