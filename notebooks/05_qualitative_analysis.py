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
# **What does each layer keep of a song, to the eye and to the ear?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - how inversions change from Conv1 to FC8, to the eye and to the ear;
# - how to turn an impression ("the onsets are gone") into a measurement with a chance level, and how to check the measure itself;
# - whether the deepest layer's inversions depend on the class, and how to test such a claim;
# - what lies *between* excerpts in the space of a layer's features: neighbours, walks and means.
#
# **Prerequisites:** {doc}`01_model` and {doc}`02_inverter_design`; {doc}`04_quantitative_nre` helps. Headphones.
#
# **Minutes:** 50 to read, 90 for the exercises, about one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0
variant = "aligned"

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.compute.devices import choose_device
from svdlib.inversion.nre import reconstruct
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.lab.figures import structure as figures
from svdlib.lab.figures.gallery import Gallery, inversion_panels
from svdlib.lab.figures.spectrograms import figure_inversions
from svdlib.lab.figures.style import layer_title
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 8, "laptop": 16, "full": None}[profile]
n_candidates = {"demo": 200, "laptop": 1000, "full": 4000}[profile]
n_measured = {"demo": 64, "laptop": 256, "full": 1024}[profile]
other_songs, other_seconds = {
    "demo": (6, 20),
    "laptop": (16, 60),
    "full": (20, 60),
}[profile]

detector = svdlib.pretrained("detector").to(device)
inverters = {
    layer: inverter.to(device)
    for layer, inverter in svdlib.pretrained_inverters(variant).items()
}


def bank_of(tracks):
    songs = svdlib.load_songs(tracks)
    bank = svdlib.ExcerptBank(
        songs, standardizer=detector.standardizer, device=device
    )
    return songs.names, bank


# %% [markdown]
# Which inverters? The aligned ones of {doc}`02_inverter_design`, since they show more of what the layers keep. To see what the paper's inverters make of the same features, set `variant = "published"` and run the chapter again.
#
# ## Four excerpts, not chosen by their looks
#
# It is easy to fool oneself with pictures: one tries twenty excerpts and shows the four that fit the story. So a random generator with a fixed seed draws the excerpts. As in the paper, they come from two corpora: a song of each, and from each song one non-vocal and one vocal excerpt.
# Vocal means that somebody sings in the centre frame, the one the detector answers for. The second corpus has singers, instruments and mixes that neither the detector nor the inverters have heard ({doc}`../book/corpora`). Other values of `seed` give other excerpts.

# %% tags=["hide-input"]
other_world = (
    "synthetic" if corpus.startswith("synthetic-b") else "synthetic-b"
)
collection = svdlib.open_corpus(corpus)
other_collection = svdlib.open_corpus(
    f"{other_world}:songs={other_songs},seconds={other_seconds},seed={seed + 101}"
)
names, bank = bank_of(collection.split("test")[:n_songs])
other_names, other_bank = bank_of(other_collection.tracks)
generator = np.random.default_rng(seed)


def draw_pair(bank):
    """Draw a song that has both classes, if there is one, and from it a non-vocal and a vocal excerpt."""
    song = bank.songs.cpu().numpy()
    sung = bank.labels(torch.arange(len(bank), device=device)).cpu().numpy()
    mixed = [s for s in np.unique(song) if len(set(sung[song == s])) == 2]
    drawn = generator.choice(mixed or np.unique(song))
    for vocal in (False, True):
        candidates = np.flatnonzero((song == drawn) & (sung == vocal))
        if len(candidates):
            yield drawn, vocal, int(generator.choice(candidates))


shown, excerpts = [], []
for own_names, own_bank in ((names, bank), (other_names, other_bank)):
    for song, vocal, index in draw_pair(own_bank):
        kind = "vocal" if vocal else "non-vocal"
        shown.append((f"{'ABCD'[len(shown)]}: {kind}", own_names[song]))
        excerpts.append(own_bank.gather(torch.tensor([index], device=device)))

x = torch.cat(excerpts)
inversions = reconstruct(detector, inverters, x)
with torch.no_grad():
    probabilities = torch.sigmoid(detector(x))[:, 0].cpu().numpy()

# %% tags=["remove-input"]
if missing := one_class(collection.split("test")[:n_songs]):
    display(Markdown(missing))

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "excerpt": name,
            "song": song,
            "probability of singing": f"{probability:.2f}",
        }
        for (name, song), probability in zip(
            shown, probabilities, strict=True
        )
    ]
).style.hide(axis="index")

# %% [markdown]
# The next figure corresponds to figure 6 of the paper {cite}`mishra2018`. Each column is one excerpt (in the paper, each row). On top is the original; below come the inversions, from shallow to deep. All pictures share one colour scale. It shows *standardised* values: 0 means as loud as usual in this band.
# Without standardisation all pictures would look alike, because low bands are always loud.

# %% tags=["hide-input"] figure="inversions" mystnb={"image": {"alt": "A grid of spectrograms. Columns are excerpts, rows are the original and its inversions from Conv1, Conv2, MP3, Conv4, Conv5, MP6, FC7 and FC8. The players below let you hear them; the numbers that follow say what they share with the originals."}}
columns = {
    name: {
        "input": x[row, 0],
        **{layer: x_hat[row, 0] for layer, x_hat in inversions.items()},
    }
    for row, (name, _) in enumerate(shown)
}
figure_inversions(columns)

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
# Here are the first two excerpts, with a player below each picture. All players are set to the same loudness, within limits. Begin with FC8 and go backwards to the original: at which layer do you first hear the rhythm? At which one a pitch? When would you say that there is a voice?


# %% tags=["hide-input"]
def panels_of(name, original, kept):
    """Make the panels of an excerpt (1, 1, 115, 80): the original and its inversions."""
    with torch.no_grad():
        said = {
            layer: torch.sigmoid(detector(picture)).item()
            for layer, picture in {"input": original, **kept}.items()
        }
    notes = {
        layer: f"Distance to the original {((original - x_hat).norm() / original.norm()).item():.2f}. "
        f"Given this inversion, the detector says {said[layer]:.2f}."
        for layer, x_hat in kept.items()
    }
    notes["input"] = f"Detector: {said['input']:.2f} probability of singing."
    pictures = {layer: x_hat[0, 0] for layer, x_hat in kept.items()}
    return inversion_panels(
        detector.standardizer, original[0, 0], pictures, name, notes
    )


panels = {
    name: panels_of(
        name,
        x[row : row + 1],
        {layer: x_hat[row : row + 1] for layer, x_hat in inversions.items()},
    )
    for row, (name, _) in enumerate(shown)
}

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

# %% [markdown]
# A to D were drawn. The explorer has one more excerpt, E, and starts with it. E is not drawn but chosen, by a number: of the sung excerpts of these songs that the detector is sure of (over 0.9), it is the one whose inversions from different layers are farthest apart. It shows best what there is to see, and says nothing about how often one sees it. The book's first page shows it too.

# %% tags=["hide-input"]
from svdlib.pages.explorer import compare, layer_explorer
from svdlib.pages.showcase import layers_apart

candidates = bank.spread(n_candidates)
candidate_x = bank.gather(candidates)
with torch.no_grad():
    said = torch.cat(
        [
            torch.sigmoid(detector(part))[:, 0]
            for part in candidate_x.split(64)
        ]
    )
sure = bank.labels(candidates) & (said > 0.9)
candidate_x = candidate_x[sure] if sure.any() else candidate_x
apart = layers_apart(reconstruct(detector, inverters, candidate_x))
chosen = candidate_x[[int(apart.argmax())]]
chosen_name = f"E: {'vocal' if sure.any() else 'any'}, layers farthest apart"
panels[chosen_name] = panels_of(
    chosen_name, chosen, reconstruct(detector, inverters, chosen)
)
layer_explorer(
    panels,
    ["original", *(layer_title(layer) for layer in svdlib.LAYERS)],
    start=chosen_name,
    comparison=compare(
        detector,
        inverters,
        torch.cat([x, chosen]),
        bank.gather(bank.spread(32)),
    ),
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
# Can such statements be measured? We need numbers for onsets, for harmonics and for change over time. They are ours, and simple on purpose.
#
# **Onsets.** At each frame, take the mean of the next 5 frames (70 ms) minus the mean of the last 5, in every band, and add up what has become louder. This *onset curve* has a peak where sounds begin.
#
# - *Onset match*: the correlation of the original's curve with the inversion's.
# - *Onset F-measure*: the peaks of the curve are onset times. A time of the original and one of the inversion are a pair if they lie at most 50 ms apart; each time is in one pair at most. With $p$ pairs, $n$ onsets in the original and $m$ in the inversion, $F = 2p / (n + m)$.
#
# **Harmonics.** Subtract from each frame its moving average over 9 bands. What remains are *fine lines*: harmonics, as far as mel bands resolve them.
#
# - *Harmonic match*: the correlation of the original's fine lines with the inversion's. It asks for the *same* lines.
# - *Harmonic fit* looks at one picture alone: is it harmonic at all? A sound of pitch $f$ has lines at $f, 2f, 3f, \dots$: a comb. We correlate the fine lines of a frame with the comb of each pitch from 80 to 800 Hz and take the best. It ignores how faint the lines are.
# - *Harmonic height*: how far the teeth of the best comb stand out, in deviations. It asks whether one would *see* them.
#
# **Modulations.** Follow one band through the excerpt: it becomes louder and softer. A Fourier transform says how much of this happens slowly, a few times a second (beats, syllables), and how much fast (vibrato, attacks). The *modulation spectrum* is the energy at each rate, from 0.6 Hz to 35 Hz, averaged over the bands.
#
# - *Modulation match*: filter the courses of all bands to one octave of rates, and correlate those of the original with those of the inversion.
#
# All matches are 1 if the pattern is the same. But music has regularities, so even a *wrong* excerpt may match a little. The **chance level** is the match with the inversion of an excerpt of another song. An inversion at chance level has kept nothing of that pattern that belongs to this very excerpt.
# For the harmonic fit, which knows no second picture, chance is what white noise scores.
#
# ### Do the measures measure what we say?
#
# Before we trust them, we try them on sounds whose answers are known. All go through the same front end and standardisation as the songs.

# %% tags=["hide-input"]
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE
from svdlib.lab.analysis.harmonics import (
    harmonic_fit,
    harmonic_height,
    harmonic_match,
)
from svdlib.lab.analysis.modulation import (
    modulation_match,
    modulation_rates,
    modulation_spectrum,
)
from svdlib.lab.analysis.onsets import (
    onset_f_measure,
    onset_match,
    onset_times,
)

time = np.arange(EXCERPT_SAMPLES) / SAMPLE_RATE
noise = 0.1 * np.random.default_rng(seed).normal(size=EXCERPT_SAMPLES)
click = (np.arange(EXCERPT_SAMPLES) % round(0.4 * SAMPLE_RATE)) < 50
overtones = [np.sin(2 * np.pi * 220 * k * time) / k for k in range(1, 31)]
signals = {
    "harmonic, 220 Hz": 0.1 * sum(overtones) + noise / 100,
    "one tone, 1000 Hz": 0.1 * np.sin(2 * np.pi * 1000 * time) + noise / 100,
    "white noise": noise,
    "a click each 0.4 s": click * noise + noise / 100,
    "noise, 4 swells a second": noise * np.exp(np.sin(8 * np.pi * time)),
}
with torch.no_grad():
    known = {
        name: detector.standardizer(
            svdlib.LogMel()(signal.astype(np.float32)).to(device)
        )
        for name, signal in signals.items()
    }

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "sound": name,
            "harmonic fit": f"{harmonic_fit(picture):.2f}",
            "harmonic height": f"{harmonic_height(picture):.2f}",
            "onsets found": len(onset_times(picture[None])[0]),
            "strongest modulation": f"{modulation_rates()[modulation_spectrum(picture).argmax()]:.1f} Hz",
        }
        for name, picture in known.items()
    ]
).style.hide(axis="index")

# %% tags=["nbval-check-output", "hide-input"]
harmonic, tone, white, clicks, swells = known.values()
checks = {
    "a harmonic sound fits a comb, noise does not": harmonic_fit(harmonic)
    > harmonic_fit(white) + 0.3,
    "the line of a single tone stands out": harmonic_height(tone)
    > 2 * harmonic_height(white),
    "the clicks are found": np.ptp(np.diff(onset_times(clicks[None])[0]))
    < 0.05,
    "swells at 4 Hz are seen near 4 Hz": abs(
        modulation_rates()[modulation_spectrum(swells).argmax()] - 4
    )
    < 0.5,
    "a picture matches itself": min(
        onset_match(clicks, clicks),
        harmonic_match(harmonic, harmonic),
        modulation_match(swells, swells).min(),
    )
    > 0.999,
}
for statement, holds in checks.items():
    print(f"{statement}: {bool(holds)}")

# %% [markdown]
# A single tone is one line and no comb, so its *fit* is that of noise while its *height* is not. And noise has "onsets" too: it is louder here and softer there. (So has the tone, by the faint hiss behind it, which fills all other bands.) A measure is only as good as its chance level; that is why each comes with one.
#
# And music? We take excerpts of the test songs and put their frames in random order. Every sound is still there, but no rhythm.

# %% tags=["hide-input"]
from svdlib.lab.studies.kept_structure import draw_excerpts, partners

drawn = draw_excerpts(bank, n_measured, seed)
originals = bank.gather(drawn)
song = bank.songs[drawn].cpu().numpy()
shuffled = originals[:, 0, torch.as_tensor(generator.permutation(115))]
print(
    f"shuffled in time: onset match {onset_match(originals[:, 0], shuffled).mean():.2f}, "
    f"harmonic match {harmonic_match(originals[:, 0], shuffled).mean():.2f}, "
    f"harmonic fit {harmonic_fit(shuffled).mean():.2f} "
    f"(in order: {harmonic_fit(originals[:, 0]).mean():.2f})"
)

# %% [markdown]
# Now no onset is where it was. Long notes stay where they are in frequency, so some harmonic match can remain, and the fit of single frames can hardly change.
#
# (claim-structure)=
# ### The layers
#
# Now we invert these excerpts from all layers. Each song's excerpts are averaged first, and intervals come from resampling *songs*: excerpts of one song resemble each other, so they are no independent witnesses.

# %%

from svdlib.lab.analysis.intervals import (
    difference_interval,
    mean_interval,
    song_means,
)

many = reconstruct(detector, inverters, originals, batch=8)
measures = {
    "Onset match": onset_match,
    "Onset F-measure": onset_f_measure,
    "Harmonic match": harmonic_match,
}


def per_song(values):
    """The mean of each song's excerpts."""
    return song_means(values.numpy(), song, song.max() + 1)


found, above = {}, {}
for name, measure in measures.items():
    for layer, x_hat in many.items():
        right = per_song(measure(originals[:, 0], x_hat[:, 0]))
        wrong = per_song(measure(originals[:, 0], x_hat[partners(song), 0]))
        mean, chance = mean_interval(right), mean_interval(wrong)
        found[name, layer] = (mean.value, *mean.ends, chance.value)
        above[name, layer] = difference_interval(right, wrong)

# %% tags=["hide-input"] figure="kept-structure" mystnb={"image": {"alt": "Three panels, one per measure: onset match, onset F-measure and harmonic match over the layers from Conv1 to FC8, with error bars and a dotted line for the chance level. The values are given in the text below."}}
figures.figure_agreements(
    {
        name: {
            "these songs (dotted: chance)": {
                layer: found[name, layer] for layer in svdlib.LAYERS
            }
        }
        for name in measures
    },
    columns=1,
)


# %% tags=["remove-input"]
def reading(name):
    values = ", ".join(
        f"{layer_title(layer)} {found[name, layer][0]:.2f}"
        for layer in svdlib.LAYERS
    )
    gone = [
        layer_title(layer)
        for layer in svdlib.LAYERS
        if not above[name, layer].lies_above(0)
    ]
    chance = np.mean([found[name, layer][3] for layer in svdlib.LAYERS])
    kept_by = (
        "All layers are above it"
        if not gone
        else (
            f"Not surely above it: {', '.join(gone)}"
            if len(gone) < len(svdlib.LAYERS)
            else "No layer is surely above it"
        )
    )
    return f"- **{name}**: {values}. Chance: {chance:.2f} on average over the layers. {kept_by}."


single = (
    " One song gives no interval, so nothing is sure here."
    if len(np.unique(song)) < 2
    else ""
)
display(
    Markdown(
        f"Over {len(originals)} excerpts of {len(np.unique(song))} song{'s' if len(np.unique(song)) > 1 else ''}, 95 % intervals:\n\n"
        + "\n".join(map(reading, measures))
        + f'\n\n"Surely above" means that the interval of the difference to chance lies above zero.{single} These few excerpts only show how it is done.'
    )
)

# %% [markdown]
# ### Thousands of excerpts
#
# The program `svdlib.lab.studies.kept_structure` has measured the same on about 2000 excerpts of each of three corpora, with both families of inverters. Its results are stored with the library, a mean for every song, so that anyone can resample them. The corpora are the test songs of `synthetic`; 20 songs of `synthetic-b`; and five real songs with labels, which are
# not part of this repository. The inverters of Conv1 to Conv4 take long, so they have seen every fourth of these excerpts.

# %% tags=["hide-input"]
from svdlib.lab.studies import load_results

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


# %% tags=["hide-input"] figure="kept-structure-corpora" mystnb={"image": {"alt": "Six panels: onset match, onset F-measure and harmonic match, left with the aligned and right with the published inverters, over the layers. Each has a line per corpus and dotted lines for chance. The table below holds the values of Conv5, FC7 and FC8."}}
keys = {
    "onset match": "onset_match",
    "onset F-measure": "onset_f_measure",
    "harmonic match": "harmonic_match",
}
figures.figure_agreements(
    {
        f"{title.capitalize().replace('f-m', 'F-m')}, {family}": {
            name: {
                layer: stored(measured["layers"][layer][family][key])
                for layer in svdlib.LAYERS
            }
            for name, measured in corpora.items()
        }
        for title, key in keys.items()
        for family in ("aligned", "published")
    }
)

# %% [markdown]
# The dotted lines are the chance levels. If the published inverters (right) lie far below the aligned ones (left) from MP3 on, this is not the layer's fault: both families read the same features. The pooling layers shrink by 3 and the published inverters grow by 4, so their pictures drift away from the original
# ({doc}`02_inverter_design`), and a measure that asks for the same place at the same time finds little there. What one inverter finds, the layer has kept, whatever another one makes of it.
#
# What does this say about the paper's statements? The table shows how far each measure lies above chance, with its 95 % interval, for the aligned inverters.


# %% tags=["hide-input"]
def above_chance(entry):
    low, high = entry["above_chance_ci95"]
    interval = (
        "" if low is None else f" ({low:+.2f}\u00a0to\u00a0{high:+.2f})"
    )
    return f"{entry['above_chance']:+.2f}{interval}"


pd.DataFrame(
    [
        {"layer": layer_title(layer), "measure": title}
        | {
            name: above_chance(measured["layers"][layer]["aligned"][key])
            for name, measured in corpora.items()
        }
        for layer in ("conv5", "fc7", "fc8")
        for title, key in keys.items()
    ]
).style.hide(axis="index")


# %% tags=["remove-input"]
def where(layer, key, family="aligned"):
    """Corpora in which a measure lies surely above chance, and all others."""
    entries = {
        name: measured["layers"][layer][family][key]["above_chance_ci95"]
        for name, measured in corpora.items()
    }
    kept_in = [name for name, (low, _) in entries.items() if low and low > 0]
    return kept_in, [name for name in entries if name not in kept_in]


def statement(layer, title):
    kept_in, lost_in = where(layer, keys[title])
    sizes = [
        measured["layers"][layer]["aligned"][keys[title]]["above_chance"]
        for measured in corpora.values()
    ]
    size = f"{min(sizes):+.2f} to {max(sizes):+.2f}"
    if not lost_in:
        return (
            f"the {title} is surely above chance on all corpora (by {size})"
        )
    if not kept_in:
        return (
            f"the {title} is not surely above chance on any corpus ({size})"
        )
    return f"the {title} is surely above chance on {', '.join(kept_in)}, but not on {', '.join(lost_in)} ({size})"


said = {
    "conv5": "keeps harmonic structure and approximate onsets",
    "fc7": "keeps some harmonics and approximate onsets",
    "fc8": "keeps neither harmonics nor onset times",
}
lines = [
    f"- **{layer_title(layer)}**, says the paper, {claim}. We find: {statement(layer, 'onset F-measure')}; {statement(layer, 'onset match')}; {statement(layer, 'harmonic match')}."
    for layer, claim in said.items()
]
lines_in_fc7 = max(
    measured["layers"]["fc7"]["aligned"]["harmonic_match"]["above_chance"]
    for measured in corpora.values()
)
traces = [title for title in keys if where("fc8", keys[title])[0]]
if traces:
    largest = max(
        measured["layers"]["fc8"]["aligned"][keys[title]]["above_chance"]
        for measured in corpora.values()
        for title in traces
    )
    close = f"So for FC8 we do not find *nothing*, but traces: at most {largest:.2f} above chance. The average over thousands of excerpts shows them. "
    close += (
        "In one picture the eye cannot see a correlation as small as that. The paper looked at pictures, and its sentence is a fair description of what they show."
        if largest < 0.3
        else "They are large enough to be seen in single pictures, so here we differ from the paper."
    )
else:
    close = "For FC8 no measure is surely above chance on any corpus: what the paper saw by eye holds as a measurement."
if lines_in_fc7 < 0.1:
    close += f" At FC7 we differ: its authors see some harmonics there, while with our songs and weights at most a trace of {lines_in_fc7:.2f} is left."
display(Markdown("\n".join(lines) + f"\n\n{close}"))

# %% [markdown]
# What this does *not* show: that a layer at chance level contains no onset times. A layer may keep them in a form that this inverter, with this much training, cannot read. To say "the layer has lost it" one would have to try stronger and stronger readers. The reverse is safe: what an
# inversion gets right, beyond chance, the layer has kept.
#
# ### Harmonic at all?
#
# An inversion may have lines that are not those of its original. So we also ask each picture alone: do its lines fit *some* pitch?

# %% tags=["hide-input"] figure="harmonics-corpora" mystnb={"image": {"alt": "Two panels over the originals and the layers, a line per corpus, for the aligned inverters: harmonic fit and harmonic height. A dotted black line shows what white noise scores. The text below says where the lines come down to it."}}
qualities = {
    "Harmonic fit": "harmonic_fit",
    "Harmonic height (deviations)": "harmonic_height",
}
figures.figure_agreements(
    {
        title: {
            name: {
                "original": stored(measured["originals"][key], chance=False)
            }
            | {
                layer: stored(
                    measured["layers"][layer]["aligned"][key], chance=False
                )
                for layer in svdlib.LAYERS
            }
            for name, measured in corpora.items()
        }
        for title, key in qualities.items()
    },
    levels={title: study["noise"][key] for title, key in qualities.items()},
    level_name="white noise",
    columns=1,
)


# %% tags=["remove-input"]
def fit_of(measured, layer):
    return measured["layers"][layer]["aligned"]["harmonic_fit"]["mean"]


floor = study["noise"]["harmonic_fit"]
sentences = []
for name, measured in corpora.items():
    before = measured["originals"]["harmonic_fit"]["mean"]
    half = [
        layer_title(layer)
        for layer in svdlib.LAYERS
        if fit_of(measured, layer) > floor + (before - floor) / 2
    ]
    noisy = [
        layer_title(layer)
        for layer in svdlib.LAYERS
        if fit_of(measured, layer) <= floor
    ]
    sentences.append(
        f"- On {name}, the originals have a fit of {before:.2f}. More than half of their way above noise is left in inversions from {', '.join(half) or 'no layer'}; "
        f"no better than noise: {', '.join(noisy) or 'none'}."
    )
also = (
    "and for FC8 it says the same: noise"
    if all(fit_of(each, "fc8") <= floor for each in corpora.values())
    else "and for FC8 it finds a little more than in noise"
)
heights = [
    measured["layers"]["fc8"]["aligned"]["harmonic_height"]["mean"]
    / measured["originals"]["harmonic_height"]["mean"]
    for measured in corpora.values()
]
display(
    Markdown(
        f"White noise has a fit of {floor:.2f}.\n\n"
        + "\n".join(sentences)
        + f"\n\nThe height tells what one would see. In inversions from FC8, combs stand {min(heights):.0%} to {max(heights):.0%} as high as in the originals. A blur lowers the height too. The fit does not mind a faint picture nor a blur over time, {also}."
    )
)

# %% [markdown]
# ### How fast?
#
# Which changes over time survive? We divide the energy of the modulations in the inversions by that in the originals, for each rate.

# %%
energy = {
    layer: modulation_spectrum(x_hat[:, 0]).mean(dim=0)
    for layer, x_hat in {"original": originals, **many}.items()
}
shares = {
    layer: (energy[layer] / energy["original"]).numpy()
    for layer in ("conv1", "conv5", "mp6", "fc7", "fc8")
}

# %% tags=["hide-input"] figure="modulations" mystnb={"image": {"alt": "Curves of the energy of modulations in the inversions relative to the originals, over the rate from 0.6 to 35 hertz, both on logarithmic scales, for Conv1, Conv5, MP6, FC7 and FC8. The text below names what is left at slow and at fast rates."}}
figures.figure_modulation(modulation_rates().numpy(), shares)

# %% tags=["remove-input"]
rates = modulation_rates().numpy()
slow, fast = rates < 2.5, rates > 10
left = [
    f"{layer_title(layer)} {curve[slow].mean():.0%} and {curve[fast].mean():.0%}"
    for layer, curve in shares.items()
]


def step_trace(curve):
    """How far multiples of 70 / 9 Hz, the rhythm of strides of 9 frames, stand out of a curve; and which most."""
    found = {}
    for k in (1, 2, 3, 4):
        middle = int(np.abs(rates - 70 / 9 * k).argmin())
        near = curve[max(0, middle - 6) : middle + 7]
        found[k] = curve[middle - 1 : middle + 2].max() / np.median(near)
    best = max(found, key=found.get)
    return found[best], 70 / 9 * best


traces = {layer: step_trace(curve) for layer, curve in shares.items()}
strange = [
    f"{layer_title(layer)} at {rate:.1f} Hz ({size:.1f} times its surroundings)"
    for layer, (size, rate) in traces.items()
    if size > 1.5
]
display(
    Markdown(
        "What is left of the energy, below 2.5 Hz and above 10 Hz: "
        + "; ".join(left)
        + ". The detector pools in steps of 3 and 9 frames, which inverters must undo. Traces of these steps, if any, lie at multiples of 7.8 Hz, once in 9 frames. "
        + (
            f"We find some: {', '.join(strange)}. This energy is not music. Energy alone does not say whether it is the right energy."
            if strange
            else "None stands out here. Still, energy alone does not say whether it is the right energy."
        )
    )
)

# %% [markdown]
# So the next table correlates: do the bands become louder and softer *together* with those of the original? Rows are layers, columns octaves of rates; aligned inverters. Chance is close to 0 here.

# %% tags=["hide-input"] figure="modulation-octaves" mystnb={"image": {"alt": "Tables of the modulation match per layer and octave of rates, one for the synthetic test songs and one for the last corpus of the study, shaded from 0 to 1. The text below says up to which rate each layer follows its original."}}
octaves = list(
    next(iter(corpora.values()))["layers"]["fc8"]["aligned"][
        "modulation_match"
    ]
)


def matches_of(measured):
    return np.array(
        [
            [
                measured["layers"][layer]["aligned"]["modulation_match"][
                    octave
                ]["mean"]
                for octave in octaves
            ]
            for layer in svdlib.LAYERS
        ]
    )


first, last = list(corpora)[0], list(corpora)[-1]
figures.figure_octaves(
    {
        f"Modulation match, {name}": matches_of(corpora[name])
        for name in (first, last)
    },
    svdlib.LAYERS,
    octaves,
)

# %% tags=["remove-input"]
table = np.min(
    [matches_of(measured) for measured in corpora.values()], axis=0
)
followed = []
for layer, row in zip(svdlib.LAYERS, table, strict=True):
    good = int(
        np.argmin([*(row > 0.5), False])
    )  # octaves before the first bad one
    end = octaves[good - 1].split(" to ")[-1] if good else "no rate"
    followed.append(
        f"{layer_title(layer)} up to {end}"
        if good
        else f"{layer_title(layer)} at no rate"
    )
trend = np.all(np.diff(table[-3:], axis=1) <= 0.02)
display(
    Markdown(
        "On all corpora, the match lies above 0.5: "
        + "; ".join(followed)
        + ". "
        + (
            "In the deepest three layers the match falls with the rate: slow changes survive longest."
            if trend
            else "In the deepest three layers the match does not simply fall with the rate."
        )
    )
)

# %% [markdown]
# (claim-class)=
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

# %% tags=["hide-input"]
from svdlib.detector.scores import roc_points
from svdlib.lab.analysis.intervals import separation, separation_interval
from svdlib.lab.analysis.measures import high_minus_low, spectral_centroid

class_drawn = draw_excerpts(bank, 3 * n_measured, seed + 1)
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
one_class = Markdown(
    "These songs hold excerpts of one class only, so this cannot be shown with them. Use a corpus with sung and unsung parts."
)

# %% tags=["hide-input"] figure="class-high-low" mystnb={"image": {"alt": "Two panels of points, one per excerpt, in two rows for vocal and non-vocal: left the originals, right their inversions from FC8. The horizontal axis is upper half minus lower half of the picture; black bars are medians."}}
figures.figure_class_dependence(
    tilt, class_sung, "upper minus lower half (deviations)"
)

# %% [markdown]
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
)


# %% tags=["hide-input"]
def area(values, truth):
    """An AUC with its interval from resampling songs, as text."""
    found = separation(values, truth, class_song)
    interval = (
        f" ({found.low:.2f}\u00a0to\u00a0{found.high:.2f})"
        if found.is_known
        else ""
    )
    return f"{found.value:.2f}{interval}"


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
    return f"By *{name}*, excerpts that the detector calls sung have inversions that lie *{direction}* (AUC {inverted.value:.2f}), and it separates {verdict} that of the originals (AUC {original.value:.2f}; difference in separation {gain.value:+.2f}, interval {gain.low:+.2f} to {gain.high:+.2f})."


if len(np.unique(says_sung)) == 2 and len(np.unique(class_song)) > 1:
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
            + f"\n\nThis rests on {len(class_sung)} excerpts of {len(np.unique(class_song))} songs."
        )
    )
else:
    display(one_class)

# %% [markdown]
# ### The same over thousands
#
# The stored study again, for high minus low, and for FC7 beside FC8. The AUC is that for the detector's decision.


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
    for family in ("aligned", "published"):
        cells = {
            layer_title(layer): stored_area(
                by_layer[layer][family]["high_minus_low"]
            )
            for layer in ("fc7", "fc8")
        }
        rows.append({"corpus": "", "inverters": family} | cells)
pd.DataFrame(rows).style.hide(axis="index")

# %% tags=["remove-input"]
verdicts = []
for name, measured in corpora.items():
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
        more = entry["minus_originals"]
        verdicts.append(
            f"- {name}, {family}: inversions of excerpts that the detector calls sung lie {sure} (AUC {entry['auc']:.2f}, that is {more:+.2f} against the originals)."
        )
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
        f"Cases that agree with the paper's observation: {confirmed}; with the opposite direction: {reversed_}; not sure: {unsure}. "
        + (
            "So we do not reproduce the observation with our weights. The decision is in FC8, but one number for high or low does not read it off its inversions."
            if not confirmed
            else "So the observation is reproduced in a part of the cases only."
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
display(Markdown("\n".join(verdicts) + f"\n\n{close}"))

# %% [markdown]
# Be careful with the conclusion, in any case. FC8 is one linear step away from the answer, so it *must* carry the decision; a detector that works could not do otherwise. What the inversions add is which sounds the inverter has learned to connect with each answer. It has learned that from the training songs. An inverter
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

n_neighbours = 12 * len(np.unique(song)) if profile == "demo" else 256
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


texts = []
for title, key in questions.items():
    lift = lifts(key)
    most, least = max(lift, key=lift.get), min(lift, key=lift.get)
    texts.append(
        f"- *{title}*: most above chance at {place(most)} ({lift[most]:+.2f}, mean over the corpora), least at {place(least)} ({lift[least]:+.2f}); FC8 {lift['fc8']:+.2f}."
    )
deep_class = lifts("same_class")
shifts = (
    deep_class["fc8"] > deep_class["input"] + 0.02
    and lifts("onset_match")["fc8"] < lifts("onset_match")["input"]
)
display(
    Markdown(
        "\n".join(texts)
        + (
            "\n\nSo with depth, alike comes to mean *of one class* rather than *of one sound*. This is what a detector is trained for, seen without any inverter."
            if shifts
            else "\n\nThat alike should mean *of one class* in deep layers and *of one sound* in shallow ones does not show in all three numbers here."
        )
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


can_walk = len(shown) > 1 and "vocal" in shown[1][0] and "non" in shown[0][0]

# %% tags=["hide-input"] figure="walks" mystnb={"image": {"alt": "Rows of five spectrograms: a cross-fade of excerpts A and B, and inversions of the steps between their features at Conv5, FC7 and FC8. Above each stands the detector's answer. The text below compares them."}}
if can_walk:
    steps_walked = walk_through(x[0], x[1], 5)
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
display(figures.figure_walks(pictures, replies) if can_walk else one_class)

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

# %% tags=["remove-input"]
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
        Markdown(
            f"Means over {len(replies_along['fc8'])} walks. Half-way the answer is "
            + ", ".join(
                f"{value:.2f} ({'cross-fade' if layer == 'original' else layer_title(layer)})"
                for layer, value in middle.items()
            )
            + ". How straight is the answer itself? At FC8 it must be straight before the sigmoid, since only a linear layer follows: half-way, the logit deviates by "
            + f"{bends['fc8']:.2g} from the mean of both ends. At FC7 it deviates by {bends['fc7']:.2f}, at Conv5 by {bends['conv5']:.2f}, in the cross-fade by {bends['original']:.2f}. "
            + f"The answer crosses the threshold more than once in {crossing['original']} of the cross-fades, {crossing['conv5']} of the walks at Conv5, {crossing['fc7']} at FC7 and {crossing['fc8']} at FC8."
        )
    )

# %% [markdown]
# At FC8 the two answers lie on two sides of a plane, so a straight walk crosses from one to the other at most once. That is what a deep layer is for. In the space of spectrograms nothing guarantees it. Note that the points between are *no* features of real excerpts: there may be no sound at all that has them. The inverter paints them nevertheless.
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
            f"- **{layer_title(layer)}**: the difference correlates with that of the originals by {r:.2f}, and is {size:.1f} times as large. To the mean features themselves the detector answers {low_answer:.2f} (non-vocal) and {high_answer:.2f} (vocal)."
        )
    display(
        Markdown(
            "The right column has a scale of its own in each row. "
            "Averages have no rhythm: each excerpt has its onsets elsewhere. What is left is the mean balance of the bands.\n\n"
            + "\n".join(rows)
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
        "The onsets of an inversion match those of its original a little. What tells you whether that means anything?",
        [
            Answer(
                "The match with the inversion of another song's excerpt.",
                "Music has regularities, so a wrong excerpt may match a little, too. Only what goes beyond that belongs to this very excerpt.",
                right=True,
            ),
            Answer(
                "An interval over many songs that lies above zero.",
                "It would lie above zero for wrong excerpts, too. The interval must be that of the difference to chance.",
            ),
            Answer(
                "The match of the original's onsets with themselves.",
                "That is 1 for every excerpt, and it is a good test of the measure. It does not say what a small number means.",
            ),
        ],
    ),
    Question(
        "Inversions from a layer are blurred, and no harmonics are to be seen. What follows for the layer?",
        [
            Answer(
                "This inverter could not read harmonics from it.",
                "That is all. Another inverter, or more training, might find them. The reverse is safe: what an inversion gets right, the layer has kept.",
                right=True,
            ),
            Answer(
                "The layer takes sounds with and without harmonics for equal.",
                "The blur is an average painted by an inverter that was unable to tell. The layer may keep the harmonics in a form that it cannot read.",
            ),
            Answer(
                "The layer has lost them, if the inverter was well trained.",
                "Well trained does not mean perfect: an inverter is as good as its design, its songs and its updates. Nobody has tried all of them.",
            ),
        ],
    ),
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
# - Draw excerpts at random before you look at inversions, and show them on one colour scale.
# - What an inversion gets right, beyond chance, the layer has kept. What it gets wrong, the layer *or the inverter* has lost.
# - An impression can be turned into a number with a chance level. Then it can be wrong, which makes it worth having. Try the number first where you know the answer.
# - A pattern in the inversions is news about the layer only if the originals do not show it already.
# - Neighbours and walks look at a layer without, or beyond, its inverter: a second witness.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.
#
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
# (exercise-stricter-chance)=
# ### Exercise 3: A stricter chance
#
# *Medium, 15 minutes.*
#
# Chance was the inversion of an excerpt of *another* song. Take another excerpt of the *same* song instead. Write `same_song(songs)`: for each excerpt the index of a different one of its own song. `songs` is an array (excerpts,) with the number of each excerpt's song, in any order; each song has two excerpts or more. For which measure is this chance higher than the other, and why?
#
# :::{dropdown} First hint
# Within one song, any order in which nobody stays in place will do. The excerpts of a song need not stand side by side.
# :::
#
# :::{dropdown} Second hint
# For each song, `np.flatnonzero(songs == each)` gives its members. Shift this list by one, `np.roll`, and write it to the members' places.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_same_song(same_song):
    rng = np.random.default_rng(0)
    for numbers in (
        np.array([0, 0, 1, 1, 1, 2, 2]),
        np.array([7, 2, 7, 2, 2, 9, 9, 7]),
        rng.permutation(np.repeat([1, 4, 6], [2, 9, 30])),
    ):
        got = np.asarray(same_song(numbers.copy()))
        assert got.shape == numbers.shape, (
            f"For {len(numbers)} excerpts the result has the shape ({len(numbers)},), not {got.shape}."
        )
        got = got.astype(int)
        assert (got != np.arange(len(numbers))).all(), (
            "An excerpt is its own partner. It must be a different one."
        )
        wrong = np.flatnonzero(numbers[got] != numbers)
        assert not len(wrong), (
            f"With songs {numbers[:8].tolist()}, excerpt {wrong[0]} gets number {got[wrong[0]]}, which is of another song. Do songs stand in any order?"
        )


# %% tags=["exercise"]
def same_song(songs):
    """For each excerpt the index of another one of its song."""
    ...


check_same_song(same_song)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def same_song(songs):
    partner = np.empty(len(songs), dtype=int)
    for each in np.unique(songs):
        members = np.flatnonzero(songs == each)
        partner[members] = np.roll(members, 1)
    return partner


display(check_same_song(same_song))

deep = ("conv5", "fc7", "fc8")
own_chance = {
    (name, layer): mean_interval(
        per_song(measure(originals[:, 0], many[layer][same_song(song), 0]))
    ).value
    for name, measure in measures.items()
    for layer in deep
}
lines, rises = [], {}
for name in measures:
    parts = [
        f"{layer_title(layer)} {found[name, layer][0]:.2f} against {found[name, layer][3]:.2f} and {own_chance[name, layer]:.2f}"
        for layer in deep
    ]
    rises[name] = np.mean(
        [own_chance[name, layer] - found[name, layer][3] for layer in deep]
    )
    lines.append(f"- {name}: {'; '.join(parts)}.")
text = "The match, against chance by another song and chance by the same song:\n\n"
text += "\n".join(lines) + "\n\n"
if len(np.unique(song)) > 1:
    most = max(rises, key=rises.get)
    text += (
        f"Chance rises most for the {most.lower()}, by {rises[most]:+.2f} in the mean of these layers. "
        if rises[most] > 0.02
        else "In the mean of these layers, no chance rises by more than 0.02: here, another moment of a song matches no better than another song. "
    )
    text += "Excerpts of a song share key, instruments and tempo. What matches another moment as well belongs to the song, and not to this moment."
else:
    text += "With a single song, both are excerpts of this song."
display(Markdown(text))

# %% [markdown]
# (exercise-one-number)=
# ### Exercise 4: One number instead of 64
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
# (exercise-direction-of-time)=
# ### Exercise 5: Does it know which way time runs?
#
# *Medium, 15 minutes.*
#
# Reverse the originals in time, invert the reversed ones, and reverse the inversions again. Do they equal the inversions of the originals? Write `reversal_error(invert, x)`, where `invert` is a function from excerpts (n, 1, 115, 80) to their inversions: the NRE between the inversions of the originals, which count as the truth here, and those that you got by the detour.
#
# :::{dropdown} First hint
# There are two ways from the originals to an inversion: straight, and with time turned round before *and* after.
# :::
#
# :::{dropdown} Second hint
# Frames are the third axis: `x.flip(2)`. The straight way counts as the truth, so it comes first in `svdlib.nre`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_reversal(reversal_error):
    a = torch.randn(6, 1, 115, 80, generator=torch.Generator().manual_seed(0))
    ramp = torch.linspace(0, 1, 80)

    def tilt_bands(pictures):
        return pictures * ramp

    def delay(pictures):
        return pictures.roll(3, dims=2) * ramp

    for name, invert in (("keeps", tilt_bands), ("delays", delay)):
        there = invert(a)
        back = invert(a.flip(2)).flip(2)
        right = svdlib.nre(there, back)
        got = float(reversal_error(invert, a.clone()))
        mistakes = {
            "Reverse the inversions again before you compare.": svdlib.nre(
                there, invert(a.flip(2))
            ),
            "You have reversed the frequencies. Time is the axis of 115 frames.": svdlib.nre(
                there, invert(a.flip(3)).flip(3)
            ),
            "Compare with the inversions of the originals, not with the originals.": svdlib.nre(
                a, back
            ),
            "Reverse the originals before you invert them.": svdlib.nre(
                there, there.flip(2)
            ),
        }
        if abs(got - right) < 1e-3:
            continue
        for sentence, wrong in mistakes.items():
            assert abs(got - wrong) > 1e-3, sentence
        raise AssertionError(
            f"An inverter that {name} every frame should give {right:.3f}; you get {got:.3f}."
        )
    return "An inverter that treats both directions alike gets 0, and one that delays does not."


# %% tags=["exercise"]
def reversal_error(invert, x):
    """NRE between inversions and those by way of reversed time."""
    ...


check_reversal(reversal_error)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def reversal_error(invert, x):
    return svdlib.nre(invert(x), invert(x.flip(2)).flip(2))


display(check_reversal(reversal_error))


def inverter_of(layer):
    def invert(pictures):
        some = {layer: inverters[layer]}
        return reconstruct(detector, some, pictures)[layer]

    return invert


reversed_by = {
    layer: reversal_error(inverter_of(layer), originals[:24])
    for layer in ("conv5", "fc8")
}
display(
    Markdown(
        "The error is "
        + " and ".join(
            f"{error:.2f} at {layer_title(layer)}"
            for layer, error in reversed_by.items()
        )
        + ". A layer and an inverter that ignored the direction of time would give 0; with 1, the detour changes as much as another excerpt would. "
        + "Sounds begin suddenly and fade slowly, so the direction is useful to a detector. But the inverters' weights are learned, and not symmetric in time either: a part of the difference may be theirs."
    )
)

# %% [markdown]
# (exercise-f-measure)=
# ### Exercise 6: Pair the onsets
#
# *Hard, 20 minutes.*
#
# Write the onset F-measure of this chapter. `f_measure(original, inversion)` gets two ascending arrays of times in seconds, and returns $F = 2p / (n + m)$. Two times may form a pair if they lie at most 50 ms apart, and each time is in one pair at most. Find as many pairs $p$ as possible. The original has at least one onset; the inversion may have none.
#
# :::{dropdown} First hint
# Go through the originals in order of time. Which of the free partners should one take, so that later ones keep their chances?
# :::
#
# :::{dropdown} Second hint
# Take the *earliest* free time within 50 ms, and cross it off. Then count the pairs.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_f_measure(f_measure):
    def most(wanted, found):
        if not len(wanted):
            return 0
        first, rest = wanted[0], wanted[1:]
        return max(
            most(rest, found),
            *(
                1 + most(rest, np.delete(found, k))
                for k in np.flatnonzero(abs(found - first) < 0.05)
            ),
            0,
        )

    cases = [
        ([0.1, 0.5, 1.0], [0.1, 0.5, 1.0], "The same times"),
        ([0.1, 0.5, 1.0], [], "An inversion without onsets"),
        ([0.1, 0.5], [0.13, 0.58], "One is too far away"),
        ([1.0], [0.97, 1.03], "Two times near one: only one pair"),
        ([0.97, 1.03], [1.0], "Two times near one: only one pair"),
        ([0.2, 0.6, 1.0, 1.4], [0.61], "A single onset is left"),
        ([1.00, 1.06], [1.045, 1.10], "Two pairs are possible"),
        ([1.00, 1.06], [0.96, 1.02], "Two pairs are possible"),
    ]
    rng = np.random.default_rng(0)
    cases += [
        (
            *(
                np.sort(rng.uniform(0, 0.4, size)).round(4)
                for size in rng.integers(1, 7, 2)
            ),
            "Random times",
        )
        for _ in range(40)
    ]
    for original, inversion, what in cases:
        a, b = (np.array(each, dtype=float) for each in (original, inversion))
        right = 2 * most(a, b) / (len(a) + len(b))
        got = float(f_measure(a.copy(), b.copy()))
        assert abs(got - right) < 1e-6, (
            f"{what}: {a.tolist()} and {b.tolist()} give {right:.3f}, not {got:.3f}."
        )


# %% tags=["exercise"]
def f_measure(original, inversion):
    """F-measure of onsets, times in seconds, ascending."""
    ...


check_f_measure(f_measure)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def f_measure(original, inversion):
    left, pairs = list(inversion), 0
    for time in original:  # the earliest that fits spoils no later pair
        fitting = [other for other in left if abs(other - time) <= 0.05]
        if fitting:
            left.remove(min(fitting))
            pairs += 1
    return 2 * pairs / (len(original) + len(inversion))


display(check_f_measure(f_measure))

wanted = onset_times(originals[:, 0])
both_ways = {}
for layer in ("conv1", "conv5", "fc8"):
    times = onset_times(many[layer][:, 0])
    both_ways[layer] = (
        np.mean(
            [
                f_measure(*each)
                for each in zip(wanted, times, strict=True)
                if len(each[0])
            ]
        ),
        np.mean([len(each) for each in times]),
    )
display(
    Markdown(
        f"The originals have {np.mean([len(each) for each in wanted]):.1f} onsets each, in the mean. The inversions:\n\n"
        + "\n".join(
            f"- {layer_title(layer)}: {count:.1f} onsets, F-measure {score:.2f}"
            for layer, (score, count) in both_ways.items()
        )
        + "\n\nThe fewer onsets an inversion has, the fewer can be found; the more it has, the more are found by luck. That is why F comes with a chance level."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018`, section 4, is the analysis that this chapter repeats.
# - {cite:t}`mahendran2015` and {cite:t}`dosovitskiy2016inverting` do the same for networks that see images.
# - {cite:t}`lehner2014` on what is mistaken for singing: good material for inversions of your own.
