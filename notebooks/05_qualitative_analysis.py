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
# # What each layer keeps: look and listen
#
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - how inversions change from Conv1 to FC8, to the eye and to the ear;
# - how to turn an impression ("the onsets are gone") into a measurement with a chance level;
# - whether the deepest layer's inversions depend on the class, and how to test such a claim.
#
# **Prerequisites:** {doc}`01_model` and {doc}`02_inverter_design`; {doc}`04_quantitative_nre` helps. Headphones.
#
# **Minutes:** 45 to look, listen and try; one or two to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0
variant = "aligned"

# %%
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib import figures
from svdlib.devices import choose_device
from svdlib.gallery import Gallery, inversion_panels
from svdlib.style import layer_title

device = choose_device(device)
n_songs = {"demo": 4, "laptop": 8, "full": None}[profile]
n_measured = {"demo": 64, "laptop": 256, "full": 1024}[profile]

# %%
collection = svdlib.open_corpus(corpus)
songs = svdlib.load_songs(collection.split("test")[:n_songs])
detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: inverter.to(device)
    for layer, inverter in svdlib.pretrained_inverters(variant).items()
}
bank = svdlib.ExcerptBank(
    songs, standardizer=detector.standardizer, device=device
)

# %% [markdown]
# Which inverters? The aligned ones of {doc}`02_inverter_design`, since they show more of what the layers keep. To see what the paper's inverters make of the same features, set `variant = "published"` and run the chapter again.
#
# ## Four excerpts, not chosen by their looks
#
# It is easy to fool oneself with pictures: one tries twenty excerpts and shows the four that fit the story. So a random generator with a fixed seed draws the excerpts:
# one non-vocal and one vocal from each of two test songs, if there are two. Vocal means that somebody sings in the centre frame, the one the detector answers for. Other values of `seed` give other excerpts.

# %%
generator = np.random.default_rng(seed)
labels = bank.labels(torch.arange(len(bank), device=device)).cpu().numpy()
song_of = bank.songs.cpu().numpy()
shown = {}
for song in sorted({0, len(songs.names) - 1}):
    for sung, kind in ((False, "non-vocal"), (True, "vocal")):
        candidates = np.flatnonzero((song_of == song) & (labels == sung))
        if len(candidates):
            shown[f"{'ABCD'[len(shown)]}: {kind}"] = int(
                generator.choice(candidates)
            )

x = bank.gather(torch.tensor(list(shown.values()), device=device))
inversions = svdlib.reconstruct(detector, inverters, x)
with torch.no_grad():
    probabilities = torch.sigmoid(detector(x))[:, 0].cpu().numpy()

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "excerpt": name,
            "song": songs.names[song_of[index]],
            "probability of singing": f"{probability:.2f}",
        }
        for (name, index), probability in zip(
            shown.items(), probabilities, strict=True
        )
    ]
).style.hide(axis="index")

# %% [markdown]
# The next figure corresponds to figure 6 of the paper {cite}`mishra2018`. Each column is one excerpt (in the paper, each row). On top is the original; below come the inversions, from shallow to deep. All pictures share one colour scale. It shows *standardised* values: 0 means as loud as usual in this band.
# Without standardisation all pictures would look alike, because low bands are always loud.

# %% tags=["hide-input"] mystnb={"image": {"alt": "A grid of spectrograms. Columns are excerpts, rows are the original and its inversions from Conv1, Conv2, MP3, Conv4, Conv5, MP6, FC7 and FC8. The players below let you hear them; the numbers that follow say what they share with the originals."}}
columns = {
    name: {
        "input": x[row, 0],
        **{layer: x_hat[row, 0] for layer, x_hat in inversions.items()},
    }
    for row, name in enumerate(shown)
}
figures.figure_inversions(columns)

# %% tags=["remove-input"]
distances = {
    layer: ((x - x_hat).flatten(1).norm(dim=1) / x.flatten(1).norm(dim=1))
    .mean()
    .item()
    for layer, x_hat in inversions.items()
}
order = sorted(distances, key=distances.get)
steps = [
    distances[b] - distances[a]
    for a, b in zip(svdlib.LAYERS, svdlib.LAYERS[1:], strict=False)
]
jump = int(np.argmax(steps))
display(
    Markdown(
        f"Go down each column. Measured as the distance to the original, divided by the size of the original, the nearest inversions of these "
        f"{len(shown)} excerpts come from {layer_title(order[0])} ({distances[order[0]]:.2f}), the farthest from {layer_title(order[-1])} "
        f"({distances[order[-1]]:.2f}). Painting only zeros would score 1. The largest step from one layer to the next lies between "
        f"{layer_title(svdlib.LAYERS[jump])} and {layer_title(svdlib.LAYERS[jump + 1])}."
    )
)

# %% [markdown]
# Some things in this figure are traces of the *inverter*, not of the layer. A fine regular pattern with a period of 3 or 9 frames, where you see one, comes from up-convolutions that have not quite learned to hide their steps. At the left and right edges, pictures are poorer, because fewer cells have seen
# these frames. With the published inverters there are more such traces: nothing is darker than −1, Conv1 and Conv2 have a thin frame of zeros, and from MP3 on the right part of a picture drifts away from the original.
#
# And a blurred picture does not mean that the layer sees a blur. It means that the inverter, unable to tell, has painted an average.
#
# ## Listen
#
# Here are the first non-vocal and the first vocal excerpt, with a player below each picture. All players are set to the same loudness, within limits. Begin with FC8 and go backwards to the original: at which layer do you first hear the rhythm? At which one a pitch? When would you say that there is a voice?


# %%
def panels_of(row):
    """Make the panels of an excerpt: the original and its inversions."""
    notes = {
        "input": f"Detector: {probabilities[row]:.2f} probability of singing."
    }
    with torch.no_grad():
        for layer, x_hat in inversions.items():
            said = torch.sigmoid(detector(x_hat[row : row + 1])).item()
            far = ((x[row] - x_hat[row]).norm() / x[row].norm()).item()
            notes[layer] = (
                f"Distance to the original {far:.2f}. Given this inversion, "
                f"the detector says {said:.2f}."
            )
    kept = {layer: x_hat[row, 0] for layer, x_hat in inversions.items()}
    return inversion_panels(
        detector.standardizer, x[row, 0], kept, list(shown)[row], notes
    )


panels = {name: panels_of(row) for row, name in enumerate(shown)}

# %% tags=["hide-input"]
for excerpt_panels in list(panels.values())[:2]:
    display(Gallery(excerpt_panels))

# %% [markdown]
# The line below each player says two more things. The *distance* is relative to the size of the original, as above. The last number is what the detector answers when it is given the inversion in place of the original. If the answer survives, the inversion has kept what the
# detector needs, whatever it looks like. If it does not, the inverter has lost something that the layer must have had, since the layer's own answer was made from it.

# %% tags=["remove-input"]
with torch.no_grad():
    shift = {
        layer: (
            torch.sigmoid(detector(x_hat))[:, 0].cpu().numpy() - probabilities
        )
        for layer, x_hat in inversions.items()
    }
moves = {
    layer: float(np.abs(values).mean()) for layer, values in shift.items()
}
most = max(moves, key=moves.get)
least = min(moves, key=moves.get)
display(
    Markdown(
        f"Over these {len(shown)} excerpts the answer moves least for inversions from {layer_title(least)} (by {moves[least]:.2f} on average) and most for those "
        f"from {layer_title(most)} (by {moves[most]:.2f}). With so few excerpts this is an illustration, not a result."
    )
)

# %% [markdown]
# ## Explore
#
# Choose an excerpt, then a layer: click, swipe over the picture, or use the arrow keys. *Side by side* puts the original beside its inversion; *curtain* lays it over the inversion, and you draw it aside. Press *Play* and change the layer, or between original and inversion, while it sounds: the sound goes on from where it was. The lower curve's points are layers too.
#
# It works in the page as you see it; no program runs behind it. The address of the page says what you look at, so you can send it to somebody.

# %% tags=["hide-input"]
from svdlib.explorer import compare, layer_explorer

layer_explorer(
    panels,
    ["original", *(layer_title(layer) for layer in svdlib.LAYERS)],
    comparison=compare(detector, inverters, x, bank.gather(bank.spread(32))),
)

# %% [markdown]
# The *error of this excerpt* is the distance between original and inversion, divided by the mean distance between two excerpts. Its mean over many excerpts is the NRE of {doc}`04_quantitative_nre`. The dashed line is what one reaches without looking, by painting each band's average level all the time.
#
# With a kernel, the same explorer takes sounds of your own, and a detector and inverters of your own if you have some:
#
# ```python
# svdlib.explore("song.mp3")
# svdlib.explore("song.mp3", detector=my_detector, inverters=my_inverters)
# ```

# %% [markdown]
# ## From impressions to measurements
#
# The paper's authors look at the inversions and report {cite}`mishra2018`: Conv1 and Conv2 are very close to the input; Conv5 keeps harmonic structure and approximate onsets; FC7 keeps some of both; FC8 keeps neither onset times nor harmonics.
#
# Can such statements be measured? We define two numbers. They are ours, and simple on purpose.
#
# - **Onset match.** At each frame, add up over the bands how much louder the next 70 ms are than the last 70 ms. This gives a curve with a peak at each onset. We correlate the original's curve with the inversion's.
# - **Harmonic match.** Subtract from each frame its moving average over 9 bands. What remains are fine lines: harmonics, as far as mel bands resolve them. We correlate what remains of the original and of the inversion.
#
# Both are 1 if the pattern is the same and near 0 if it is unrelated. But music has regularities, so even a *wrong* excerpt may match a little. The **chance level** is the match with the inversion of another excerpt. An inversion at chance level has kept nothing of that pattern that belongs to this very excerpt.

# %%
from svdlib.analysis import harmonic_match, onset_match

measured = torch.as_tensor(
    generator.permutation(len(bank))[:n_measured], device=device
)
originals = bank.gather(measured)
many = svdlib.reconstruct(detector, inverters, originals)
sung = bank.labels(measured).cpu().numpy()


def mean_and_interval(values):
    """Mean, and a 95 % interval from resampling the excerpts."""
    values = values.numpy()
    means = (
        np.random.default_rng(seed)
        .choice(values, (500, len(values)))
        .mean(axis=1)
    )
    return values.mean(), *np.quantile(means, [0.025, 0.975])


matches, chance = {}, {}
for name, match in {
    "onset match": onset_match,
    "harmonic match": harmonic_match,
}.items():
    matches[name] = {
        layer: mean_and_interval(match(originals[:, 0], x_hat[:, 0]))
        for layer, x_hat in many.items()
    }
    swapped = [
        match(originals[:, 0], x_hat[:, 0].roll(1, dims=0)).mean().item()
        for x_hat in many.values()
    ]
    chance[name] = float(np.mean(swapped))

# %% tags=["hide-input"] mystnb={"image": {"alt": "Line chart of onset match and harmonic match over the layers from Conv1 to FC8, with error bars, and two dotted lines for the match with the inversion of another excerpt. The values are given in the text below."}}
figures.figure_kept(matches, chance)


# %% tags=["remove-input"]
def reading(name):
    by_layer = matches[name]
    above = [
        layer
        for layer, (_, low, _) in by_layer.items()
        if low > chance[name] + 0.02
    ]
    gone = [layer for layer in by_layer if layer not in above]
    values = ", ".join(
        f"{layer_title(layer)} {value[0]:.2f}"
        for layer, value in by_layer.items()
    )
    kept = (
        "all layers"
        if not gone
        else ("no layer" if not above else ", ".join(map(layer_title, above)))
    )
    return f"- **{name.capitalize()}**: {values}; chance {chance[name]:.2f}. Clearly above chance: {kept}."


deepest = {
    name: by_layer["fc8"][1] <= chance[name] + 0.02
    for name, by_layer in matches.items()
}
if all(deepest.values()):
    agreement = "For FC8 both matches cannot be told from chance, which is what the paper sees by eye."
elif any(deepest.values()):
    kept_name = next(name for name, is_gone in deepest.items() if not is_gone)
    gone_name = next(name for name, is_gone in deepest.items() if is_gone)
    agreement = (
        f"For FC8 the {gone_name} cannot be told from chance, which is what the paper sees by eye. The {kept_name} is a little above chance ({matches[kept_name]['fc8'][0]:.2f} against {chance[kept_name]:.2f}): "
        "a trace that shows over many excerpts together, but hardly to the eye in one."
    )
else:
    agreement = (
        "Even FC8 is a little above chance in both. The paper sees no onsets and no harmonics there by eye; a small correlation over many excerpts is easily missed by the eye, "
        "and our songs and weights are not the paper's."
    )
display(
    Markdown(
        f"Over {len(originals)} excerpts:\n\n{reading('onset match')}\n{reading('harmonic match')}\n\n{agreement}"
    )
)

# %% [markdown]
# What this does *not* show: that a layer at chance level contains no onset times. A layer may keep them in a form that this inverter, with this much training, cannot read. To say "the layer has lost it" one would have to try stronger and stronger readers. The reverse is safe: what an
# inversion gets right, beyond chance, the layer has kept. The intervals come from resampling excerpts; excerpts of the same song resemble each other, so the true uncertainty is larger.
#
# ## Does FC8 show the class?
#
# The paper's most striking observation is about the deepest layer. In many inversions from FC8, energy appears at *high* frequencies for vocal excerpts and at *low* frequencies for non-vocal ones. The authors conclude that this layer has learned a class decision.
#
# To test this we need a number for "high or low", many excerpts, and a comparison. We use two numbers.
#
# - **High minus low**: the mean of the upper 40 bands minus that of the lower 40, in the standardised picture. It is what the eye sees in the figure.
# - **Spectral centroid**: the frequency around which the magnitudes balance, in hertz. It is nearer to what the ear hears as brightness.
#
# And the comparison: the *originals* themselves. Voices bring energy at certain frequencies. If vocal originals are already brighter, then an inversion that is brighter for them tells us nothing new about FC8.

# %%
from svdlib.analysis import high_minus_low, spectral_centroid
from svdlib.evaluation import area_under_curve

n_class = 3 * n_measured
drawn = torch.as_tensor(
    generator.permutation(len(bank))[:n_class], device=device
)
class_x, class_sung = bank.gather(drawn), bank.labels(drawn).cpu().numpy()
to_sound = detector.standardizer.inverse
with torch.no_grad():
    fc8 = torch.cat(
        [
            detector.features(piece, ["fc8"])["fc8"]
            for piece in class_x.split(32)
        ]
    )
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

# %% tags=["hide-input"] mystnb={"image": {"alt": "Two panels of points, one per excerpt, in two rows for vocal and non-vocal: left the originals, right their inversions from FC8. The horizontal axis is upper half minus lower half of the picture; black bars are medians."}}
figures.figure_class_dependence(
    tilt, class_sung, "upper minus lower half (deviations)"
)

# %% tags=["hide-input"]
both_classes = class_sung.any() and not class_sung.all()
summary = []
for measure, by_picture in {
    "high minus low (deviations)": tilt,
    "spectral centroid (Hz)": centroid,
}.items():
    for picture, values in by_picture.items():
        medians = [
            float(np.median(values[members]))
            if members.any()
            else float("nan")
            for members in (class_sung, ~class_sung)
        ]
        summary.append(
            {
                "measure": measure,
                "of": picture,
                "median vocal": medians[0],
                "median non-vocal": medians[1],
                "AUC": area_under_curve(values, class_sung),
            }
        )
pd.DataFrame(summary).style.format(precision=2).hide(axis="index")

# %% [markdown]
# In the figure, mind the scales: the two panels have their own. A narrow cloud on the right means that the inverter paints nearly the same balance for all excerpts.
#
# The last column of the table, the AUC, says how well the number separates the classes: it is the probability that a random vocal excerpt has a larger value than a random non-vocal one. 0.5 is no separation; 1 means that all vocal excerpts lie higher, and 0 that all lie *lower*, which separates just as well.


# %% tags=["remove-input"]
def compare(measure):
    original, inverted = (
        row["AUC"]
        for row in summary
        if row["measure"].startswith(measure.strip("*"))
    )
    before, after = abs(original - 0.5), abs(inverted - 0.5)
    if after < 0.05:
        return f"By {measure}, the inversions from FC8 of the two classes hardly differ (AUC {inverted:.2f}; originals {original:.2f})."
    direction = "higher" if inverted > 0.5 else "lower"
    agrees = (
        "the direction that the paper reports"
        if inverted > 0.5
        else "the opposite of what the paper reports for its songs"
    )
    if before > 0.05 and (original - 0.5) * (inverted - 0.5) < 0:
        amount = "The originals differ the other way round. So FC8's inversions do not repeat a difference of the sound; they show a class in the inverter's own way"
    elif after > before + 0.05:
        amount = "The originals are separated less well by it. So in this number FC8's inversions show the class more plainly than the sound itself does"
    elif after < before - 0.05:
        amount = "But the originals are separated even better by it. So this difference is in the songs already, and FC8 need not have made it"
    else:
        amount = "But the originals are separated about as well by it. So this difference is in the songs already, and FC8 need not have made it"
    return f"By {measure}, vocal inversions lie {direction} (AUC {inverted:.2f}), {agrees}. {amount} (AUC of the originals {original:.2f})."


if both_classes:
    ranks = [
        pd.Series(values).rank()
        for values in (
            answers.cpu().numpy(),
            tilt["inversions from FC8"],
            tilt["originals"],
        )
    ]
    follows, follows_original = np.corrcoef(ranks)[0, 1:]
    text = (
        f"{compare('*high minus low*')}\n\n{compare('*spectral centroid*')}\n\n"
        f"How does the picture go with the detector's *answer*, right or wrong? The rank correlation between the answer and high minus low is {follows:+.2f} for the inversions from FC8 and "
        f"{follows_original:+.2f} for the originals. "
        + (
            (
                "The inversions follow the answer more closely than the sound does: what the inverter paints from FC8 goes in good part with the decision."
                if abs(follows) > 0.5
                else "The inversions follow the answer a little more closely than the sound does, but only loosely."
            )
            if abs(follows) > abs(follows_original) + 0.1
            else "The inversions do not follow the answer much more closely than the sound does, so these numbers alone do not show a decision in FC8."
        )
        + f" All of this rests on {len(class_sung)} excerpts of {len(songs.names)} song{'s' if len(songs.names) > 1 else ''}."
    )
else:
    text = "These songs hold only one class, so nothing can be said here about a dependence on it. Use a corpus with sung and unsung parts."
display(Markdown(text))

# %% [markdown]
# Be careful with the conclusion, in either case. FC8 is one linear step away from the answer, so it *must* carry the decision; a detector that works could not do otherwise. What the inversions add is which sounds the inverter has learned to connect with each answer. It has learned that from the training songs. An inverter
# trained on other songs would paint other pictures from the same 64 numbers.
#
# ## Take-away
#
# - Draw excerpts at random before you look at inversions, and show them on one colour scale.
# - What an inversion gets right, beyond chance, the layer has kept. What it gets wrong, the layer *or the inverter* has lost.
# - An impression can be turned into a number with a chance level. Then it can be wrong, which makes it worth having.
# - A pattern in the inversions is news about the layer only if the originals do not show it already.
#
# ## Exercises
#
# **1. Is it the voice or the level?** Compare the mean of the standardised values, a measure of loudness, between the classes, for originals and for inversions from FC8. Could FC8's inversions differ by loudness alone?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# for name, pictures in {"originals": class_x, "inversions": from_fc8}.items():
#     loudness = pictures.mean(dim=(1, 2, 3)).cpu().numpy()
#     print(name, round(area_under_curve(loudness, class_sung), 2))
# ```
# If the AUC of the inversions is far from 0.5, loudness is part of what separates them. Singing makes music louder in many songs, so a detector may lean on it, and an inverter will paint it.
# :::
#
# **2. One number instead of 64.** Would an inverter do as well if it knew only the detector's answer? Sort the excerpts by the answer, cut them into five groups, and use the *mean original* of each group as the inversion of all its members. Compare the NRE with FC8's.
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# painted = torch.empty_like(class_x)
# for group in answers.argsort().chunk(5):
#     painted[group] = class_x[group].mean(dim=0)
# print("five means:", round(svdlib.nre(class_x.cpu(), painted.cpu()), 3))
# print("FC8       :", round(svdlib.nre(class_x.cpu(), from_fc8.cpu()), 3))
# ```
# The comparison favours the means, since they were computed on the very excerpts on which they are tested. If FC8 is still better, its inversions hold more than the answer. If the means come close, they hold hardly more than the decision.
# :::
#
# **3. Which way is time lost?** Reverse the originals in time, invert the reversed ones from Conv5 and from FC8, and reverse the inversions again. Do they equal the inversions of the unreversed excerpts?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# some = {layer: inverters[layer] for layer in ("conv5", "fc8")}
# backwards = svdlib.reconstruct(detector, some, originals[:32].flip(2))
# for layer, x_hat in backwards.items():
#     forwards = many[layer][:32]
#     print(layer, round(svdlib.nre(forwards.cpu(), x_hat.flip(2).cpu()), 3))
# ```
# A layer that ignored the direction of time would give the same picture twice, an error of 0. Sounds begin suddenly and fade slowly, so the direction is useful to a detector. The inverters are not symmetric in time either, as their weights are learned: a part of the difference may be theirs.
# :::
#
# ## Further reading
#
# - {cite:t}`mishra2018`, section 4, is the analysis that this chapter repeats.
# - {cite:t}`mahendran2015` and {cite:t}`dosovitskiy2016inverting` do the same for networks that see images.
# - {cite:t}`lehner2014` on what is mistaken for singing: good material for inversions of your own.
