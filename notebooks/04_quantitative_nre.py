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
# # Measuring what each layer keeps
#
# **How much of the sound does each layer keep, in one number?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - the normalised reconstruction error (NRE), and how to compute it by hand;
# - why a network that has learnt nothing but the average scores about $1/\sqrt{2}$;
# - how to draw evaluation sets, and how sure one can be of a number, of a difference, of a whole curve;
# - how to hold one's numbers against a paper's statements without fooling oneself;
# - where in an excerpt the error lies, and what four details of the released code cost.
#
# **Prerequisites:** {doc}`02_inverter_design`; mean and standard deviation.
#
# **Minutes:** 45 to read, 85 for the exercises, about one and a half to run.
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
from svdlib.audio.mel_axis import band_frequencies
from svdlib.compute.devices import choose_device
from svdlib.inversion.nre import (
    EvaluationPlan,
    evaluation_sets,
    mean_excerpt,
    mean_predictor_nre,
    reconstruct,
)
from svdlib.lab.analysis import intervals
from svdlib.lab.figures.gallery import Gallery, Panel, inversion_panels
from svdlib.lab.figures.nre import (
    figure_band_errors,
    figure_costs,
    figure_frame_errors,
    figure_intervals,
    figure_nre,
)
from svdlib.lab.figures.style import layer_title
from svdlib.lab.studies import FAMILIES, load_results, reconstruction_error
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_sets = {"demo": 2, "laptop": 5, "full": 10}[profile]
n_test = {"demo": 16, "laptop": 16, "full": None}[profile]
n_train = {"demo": 8, "laptop": 16, "full": None}[profile]

collection = svdlib.open_corpus(corpus)
detector = svdlib.pretrained("detector").to(device)
inverters, aligned = (
    {
        layer: inverter.to(device)
        for layer, inverter in svdlib.pretrained_inverters(family).items()
    }
    for family in FAMILIES
)


def bank_of(tracks):
    return svdlib.ExcerptBank(
        svdlib.load_songs(tracks),
        standardizer=detector.standardizer,
        device=device,
    )


train, test = (
    bank_of(collection.split("train")[:n_train]),
    bank_of(collection.split("test")[:n_test]),
)

# %% [markdown]
# ## A distance needs a yardstick
#
# How far is an inversion $\hat{\mathbf{x}}$ from its original $\mathbf{x}$? Both are lists of $115 \cdot 80 = 9200$ numbers. The plain answer is the Euclidean distance,
#
# $$
# \lVert \mathbf{x} - \hat{\mathbf{x}} \rVert = \sqrt{\textstyle\sum_k (x_k - \hat{x}_k)^2} .
# $$
#
# But is a distance of, say, 60 large? That depends on how different excerpts are from one another in the first place. So {cite:t}`mahendran2015` divide by the average distance between two different excerpts. For a set of
# $d$ excerpts, the paper {cite}`mishra2018` computes
#
# $$
# \begin{aligned}
# \mathrm{NRE} &= \frac{1}{d} \sum_{i} \frac{\lVert \mathbf{x}_i - \hat{\mathbf{x}}_i \rVert}{N_c}, \cr
# N_c &= \frac{1}{d(d-1)} \sum_{i \ne j} \lVert \mathbf{x}_i - \mathbf{x}_j \rVert .
# \end{aligned}
# \tag{5}
# $$
#
# An NRE of 0 is a perfect copy. An NRE of 1 is as bad as showing some other excerpt of the set instead.
#
# ## By hand
#
# We take two excerpts from the test songs and invert them from a shallow and from the deepest layer. With two excerpts there is only one distance to compare with.

# %%
x = test.gather(test.spread(4)[1:3])  # two excerpts, (2, 1, 115, 80)
inversions = reconstruct(
    detector, {layer: inverters[layer] for layer in ("conv2", "fc8")}, x
)

# %% tags=["hide-input"]
panels = [
    inversion_panels(
        detector.standardizer,
        x[k, 0],
        {layer: x_hat[k, 0] for layer, x_hat in inversions.items()},
        name,
    )
    for k, name in enumerate(("Excerpt 1", "Excerpt 2"))
]
Gallery([panel for row in panels for panel in row])

# %%
yardstick = (x[0] - x[1]).norm()
by_hand = {}
for layer, x_hat in inversions.items():
    distances = [(x[k] - x_hat[k]).norm() for k in (0, 1)]
    by_hand[layer] = float(sum(distances) / 2 / yardstick)
    print(
        f"{layer}: distances {distances[0]:.1f} and {distances[1]:.1f}, "
        f"divided by {yardstick:.1f}: NRE {by_hand[layer]:.3f}"
    )

# %% tags=["nbval-check-output", "hide-input"]
print(
    "svdlib.nre gives the same:",
    all(
        abs(svdlib.nre(x, x_hat) - by_hand[layer]) < 1e-5
        for layer, x_hat in inversions.items()
    ),
)

# %% [markdown]
# Compare the pictures with the numbers: does the order of the distances agree with your eyes and ears? And note what the number does not say: *where* in the picture the error lies, and whether it can be heard.
#
# ## The score of knowing nothing
#
# Suppose an inverter ignores its feature and always paints the average excerpt $\mathbf{m}$. We call it the **mean predictor**. What does it score?
#
# Let two excerpts $\mathbf{x}$ and $\mathbf{x}'$ be drawn independently, with mean $\mathbf{m}$ and total variance $\sigma^2 = \mathrm{E} \lVert \mathbf{x} - \mathbf{m} \rVert^2$. Then
#
# $$
# \begin{aligned}
# \mathrm{E} \lVert \mathbf{x} - \mathbf{x}' \rVert^2
# &= \mathrm{E} \lVert (\mathbf{x} - \mathbf{m}) - (\mathbf{x}' - \mathbf{m}) \rVert^2 \\
# &= \sigma^2 + \sigma^2 - 2\, \mathrm{E} \langle \mathbf{x} - \mathbf{m}, \mathbf{x}' - \mathbf{m} \rangle \\
# &= 2 \sigma^2 ,
# \end{aligned}
# $$
#
# because the last term is zero for independent excerpts. The distance to the mean is typically $\sigma$, the distance between two excerpts typically $\sqrt{2}\, \sigma$, and their ratio is
#
# $$
# \frac{\sigma}{\sqrt{2}\, \sigma} = \frac{1}{\sqrt{2}} \approx 0.71 .
# $$
#
# The step from squared distances to distances is exact only if all distances are nearly equal. This holds for noise with many dimensions, and less so for music.

# %%
noise = torch.randn(
    100, 1, 115, 80, generator=torch.Generator().manual_seed(seed)
)
noise_score = svdlib.nre(noise, torch.zeros_like(noise))

plan = EvaluationPlan(sets=n_sets, per_song=8, seed=seed)
mean = mean_excerpt(train)  # what the mean predictor always paints
mean_score = mean_predictor_nre(train, test, plan)

# %% tags=["nbval-check-output", "hide-input"]
print(f"noise: {noise_score:.2f}, 1/sqrt(2): {2**-0.5:.2f}")

# %% tags=["remove-input"]
display(
    Markdown(
        f"For noise the rule is right to the second decimal. For the songs of this corpus, the mean of the training excerpts scores **{mean_score:.3f}** on the test excerpts. "
        "This is the line that an inverter must get below to have told us anything about its feature. It deviates from 0.707 because excerpts of one song resemble each other, because some excerpts are farther from the mean than others, and because the mean comes from other songs."
    )
)

# %% [markdown]
# Keep this number in mind when you read an NRE anywhere: **0.71 is not "29 % better than nothing". It is nothing.** The paper does not draw this line; we add it to its figure.
#
# ## Evaluation sets
#
# The paper draws 8 excerpts at random from each of the 16 test songs, 128 in all, and computes the NRE of this set. It does so ten times and averages. We measure two families of inverters on each set: the *published* ones, built as in the paper, and the *aligned* ones, which {doc}`02_inverter_design` derives. Both were trained alike. Until further notice we look at the published ones.

# %%
sets = evaluation_sets(test, plan)
measured = reconstruction_error.measure(
    detector,
    {"published": inverters, "aligned": aligned},
    test,
    mean,
    plan,
)

# %% tags=["nbval-check-output", "hide-input"]
entry = measured["layers"]["fc8"]["published"]
for name, values in entry.items():
    size = np.size(values)
    print(name, "is one number" if size == 1 else f"has {size} numbers")

# %% tags=["remove-input"]
songs = measured["songs"]
if songs < 2:
    caution = " One song cannot tell how much songs differ, so there are no intervals for it below."
elif songs < 5:
    caution = " With so few songs the intervals mean little: take them as a reminder, not as a measurement."
else:
    caution = ""
display(
    Markdown(
        f"Here there {'are' if songs > 1 else 'is'} {songs} test song{'s' if songs > 1 else ''}, and {len(sets)} sets of {len(sets[0])} excerpts each (profile `{profile}`; the paper has 10 sets of 128).{caution} "
        "For each layer and family we keep the NRE of every set, the mean normalised distance of every song, and the error of every frame and band, to which we come later."
    )
)

# %% [markdown]
# ### How sure are we?
#
# The sets come from the *same songs*. More sets make the result less dependent on which moments were drawn, but they tell us nothing about other songs. And it is other songs that we want to speak about. So our intervals come from the songs: we draw as many songs as there are, with repetition, a thousand times, and compute the NRE of each draw. The middle 95 % of these results are the interval (a *bootstrap*; it is our addition).

# %%
per_song = np.array(entry["per_song"])  # FC8, a number for each song
rng = np.random.default_rng(seed)
drawn = rng.choice(per_song, size=(1000, len(per_song))).mean(axis=1)
low, high = np.quantile(drawn, [0.025, 0.975])
print(f"FC8: {per_song.mean():.3f}, 95 % interval {low:.3f} to {high:.3f}")

# %% tags=["hide-input"]
n_study, n_few = max(songs, 2), 5
held = {
    count: intervals.coverage(count, simulations=500, draws=300)
    for count in (n_study, n_few)
}

# %% tags=["remove-input"]
stored = load_results("reconstruction_error")


def label_of(name):
    """A corpus as readers know it; of a folder, its name."""
    kind, _, rest = name.partition(":")
    return rest.replace("_", " ") if kind == "folder" else kind


studied = (
    {label_of(name): each for name, each in stored["corpora"].items()}
    if stored
    else {}
)
first_studied = next(iter(studied.values()), measured)
fc8 = first_studied["layers"]["fc8"]["published"]
of_sets, of_songs = fc8["per_set"], fc8["per_song"]
text = f"In {'a stored study, to which we come below' if studied else 'this run'}, the {len(of_sets)} sets give NREs of FC8 from {min(of_sets):.3f} to {max(of_sets):.3f}; its {len(of_songs)} songs give numbers from {min(of_songs):.3f} to {max(of_songs):.3f}. "
if len(of_songs) > 1 and len(of_sets) > 1:
    from_sets = np.std(of_sets, ddof=1) / np.sqrt(len(of_sets))
    from_songs = np.std(of_songs, ddof=1) / np.sqrt(len(of_songs))
    text += f"The standard error that one would compute from the sets is {from_sets:.4f}, the one from the songs {from_songs:.4f}, {from_songs / from_sets:.0f} times as much. Whoever takes sets for songs claims too much. "
display(
    Markdown(
        text
        + f"\n\nTwo warnings. These intervals are a little too narrow: in simulated studies with normally distributed songs, they hold the true value in {held[n_study]:.0%} of the cases with {n_study} songs, and in {held[n_few]:.0%} with {n_few}, where 95 % would be right. "
        "And we draw songs anew without computing the yardstick of equation 5 anew, so it counts as known."
    )
)

# %% [markdown]
# ## A second corpus
#
# The paper repeats the measurement on another data set, RWC, on which neither the detector nor the inverters were trained. We do so with `synthetic-b`: other singers, other instruments, other tempi, other rooms and mixes than in `synthetic`, and nothing was trained on it
# ({doc}`../book/corpora`). It is still made by the same program. So a gap between the two says how much other *voices and instruments* matter, not what real music would bring. For that there is a third corpus below, of real songs, and you can build this book with `CORPUS=folder:PATH` and songs of your own.

# %% tags=["hide-input"]
sizes = {"demo": (6, 20), "laptop": (16, 60), "full": (20, 60)}
n_other, seconds = sizes[profile]
other_world = (
    "synthetic" if corpus.startswith("synthetic-b") else "synthetic-b"
)
other_collection = svdlib.open_corpus(
    f"{other_world}:songs={n_other},seconds={seconds},seed={seed + 101}"
)
other_measured = reconstruction_error.measure(
    detector,
    {"published": inverters},
    bank_of(other_collection.tracks),
    mean,
    plan,
)

# %% [markdown]
# ## Figure 5
#
# First from the sets that this page has just computed.

# %% tags=["hide-input"] figure="nre-two-corpora" mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers, from Conv1 to FC8, for the test songs and for the songs of a second corpus, with 95 percent intervals. Dashed lines show the mean predictor of each. The table below holds all numbers."}}
own_name = (
    f"{label_of(corpus)}, test songs"
    if corpus.startswith("synthetic")
    else "your test songs"
)
here = {
    f"{own_name} ({songs})": measured,
    f"{other_world}, not trained on ({n_other})": other_measured,
}


def curves_of(measurements, family="published"):
    """What `figure_nre` draws: scores and mean predictors."""
    scores = {
        name: reconstruction_error.nre_of(each, family)
        for name, each in measurements.items()
    }
    lines = {
        name: each["mean_predictor"]["nre"]
        for name, each in measurements.items()
    }
    return scores, lines


figure_nre(*curves_of(here))

# %% [markdown]
# Two sets are few. The same measurement with all ten, on three corpora, takes a quarter of an hour. It is a program of the library, and its result is stored with it.

# %% tags=["remove-input"]
if stored:
    commands = f"`python -m svdlib.lab.studies.reconstruction_error`, {stored['date']}"
    numbers = ", ".join(
        f"{each['songs']} of *{name}*" for name, each in studied.items()
    )
    display(
        Markdown(
            f"The stored study ({commands}) has {first_studied['sets']} sets of {first_studied['per_song']} excerpts per song. The songs: {numbers}. Of *synthetic* these are the test songs; nothing was trained on the others. In the figure, a number in brackets is that of the songs."
        )
    )
else:
    display(
        Markdown(
            "This copy of the library holds no stored study; run `python -m svdlib.lab.studies.reconstruction_error --help` to make one. The tables below show what this page has computed."
        )
    )

# %% tags=["hide-input"] figure="nre-real-songs" mystnb={"image": {"alt": "Normalised reconstruction error of the published inverters over the eight layers, measured with ten sets on synthetic test songs, on the second synthetic corpus and on real songs, with 95 percent intervals and the mean predictor of each corpus as a dashed line. The table below holds all numbers."}}
shown = {
    f"{name} ({each['songs']})": each for name, each in studied.items()
} or here
figure_nre(*curves_of(shown))

# %% tags=["hide-input"]
sources = {f"here: {name}": each for name, each in here.items()} | {
    f"study: {name} ({each['songs']})": each for name, each in studied.items()
}
table = {
    source: {
        layer_title(layer): f"{intervals.mean_interval(values):.3f}"
        for layer, values in reconstruction_error.per_song(
            each, "published"
        ).items()
    }
    | {
        "mean predictor": f"{intervals.mean_interval(each['mean_predictor']['per_song']):.3f}"
    }
    for source, each in sources.items()
}
pd.DataFrame(table)

# %% tags=["remove-input"]
value = {
    layer: by_family["published"]["nre"]
    for layer, by_family in measured["layers"].items()
}
lowest, highest = min(value, key=value.get), max(value, key=value.get)
text = f"On the test songs of this page, the smallest error is {value[lowest]:.3f}, at {layer_title(lowest)}, the largest {value[highest]:.3f}, at {layer_title(highest)}. "
for source, each in sources.items():
    line = each["mean_predictor"]["nre"]
    unbeaten = [
        layer_title(layer)
        for layer, by_family in each["layers"].items()
        if by_family["published"]["nre"] >= line
    ]
    if unbeaten:
        text += f"*{source}*: not below the mean predictor are {', '.join(unbeaten)}; there, the inversions tell us no more than an average would. "
if "not below" not in text:
    text += "All eight inverters get below the mean predictor on every corpus: each feature tells something about its excerpt. "
knowing_nothing = [each["mean_predictor"]["nre"] for each in sources.values()]
text += f"The mean predictor scores from {min(knowing_nothing):.3f} to {max(knowing_nothing):.3f}."
display(Markdown(text))

# %% [markdown]
# ### What must hold
#
# Two statements should survive any choice of seed on the corpus that the inverters were made for. They are checked whenever this book is built. On a folder of other songs they are only printed.

# %% tags=["hide-input"]
checks = {
    "every inverter beats the mean predictor": max(value.values())
    < mean_score,
    "FC8 has the largest error": max(value, key=value.get) == "fc8",
}
if corpus.startswith("synthetic"):
    assert all(checks.values()), (
        f"{checks}\n{value}\nmean predictor {mean_score:.3f}"
    )

# %% tags=["nbval-check-output", "hide-input"]
for statement, holds in checks.items():
    print(f"{statement}: {holds}")

# %% [markdown]
# ## Comparing two layers
#
# The paper makes several statements about its figure 5. Our detector, our songs and our training differ from its own, so equal numbers would be a coincidence. But do the *statements* hold? We compute each one below, and {doc}`11_claims` gathers the verdicts.
#
# Every such statement compares two numbers that come from the same songs. Some songs are hard for every inverter and some are easy for all. This makes the interval of each single number wide; but it cancels in the comparison, if both layers are compared on the same draw of songs (*paired*). Watch how much that brings, for MP6 and FC7:

# %%
curve = reconstruction_error.per_song(measured, "published")
paired = intervals.difference_interval(curve["fc7"], curve["mp6"])
apart = intervals.unpaired_difference_interval(curve["fc7"], curve["mp6"])
print(f"MP6          {intervals.mean_interval(curve['mp6']):.3f}")
print(f"FC7          {intervals.mean_interval(curve['fc7']):.3f}")
print(f"FC7 - MP6    {paired:+.3f}  paired")
print(f"             {apart:+.3f}  as if the songs were different ones")

# %% tags=["remove-input"]
if paired.is_known:
    narrower = (apart.high - apart.low) / (paired.high - paired.low)
    text = f"The paired interval is {narrower:.1f} times as narrow. "
    text += (
        "It excludes zero: that FC7 is worse than MP6 is no luck of the songs. "
        if paired.lies_above(0)
        else "It does not lie above zero: from these songs alone we cannot say that FC7 is worse than MP6. "
    )
else:
    text = "With one song there is no interval. "
display(
    Markdown(
        text
        + "From here on, changes within a corpus are paired, and changes from one corpus to another are not, since their songs have nothing to do with each other."
    )
)

# %% tags=["hide-input"]
curves = {
    source: reconstruction_error.per_song(each, "published")
    for source, each in sources.items()
}


def over_corpora(statistic):
    """A statement's interval for each source of songs."""
    return {source: statistic(of) for source, of in curves.items()}


def show(column, by_source, spec):
    """Intervals as a table."""
    rows = [
        {"songs": source, column: f"{found:{spec}}"}
        for source, found in by_source.items()
    ]
    display(pd.DataFrame(rows).style.hide(axis="index"))


def against(number, by_source, spec):
    """Say how our intervals lie to a change that the paper names."""
    sign = 1 if number > 0 else -1
    places = {"as large": [], "larger": [], "smaller": [], "unknown": []}
    for source, found in by_source.items():
        ends = sorted((sign * found.low, sign * found.high))
        if not found.is_known:
            place = "unknown"
        elif ends[0] > abs(number):
            place = "larger"
        elif ends[1] < abs(number):
            place = "smaller"
        else:
            place = "as large"
        places[place].append(f"*{source}*")
    words = {
        "as large": "It lies inside our interval for ",
        "larger": "Our change is surely larger for ",
        "smaller": "Our change is surely smaller for ",
        "unknown": "There is no interval for ",
    }
    found = [
        words[place] + ", ".join(names) + "."
        for place, names in places.items()
        if names
    ]
    return f"The paper's change is {number:{spec}}. " + " ".join(found)


# %% [markdown]
# (claim-order)=
# ### Does the error grow with every layer?
#
# *The paper: NRE is smaller for shallower layers and largest for FC8.* We look at each step from a layer to the next.

# %% tags=["hide-input"]
steps = over_corpora(intervals.step_intervals)
growing = over_corpora(intervals.growing_share)

# %% tags=["hide-input"] figure="steps-between-layers" mystnb={"image": {"alt": "The seven steps from each layer to the next, as differences in NRE with 95 percent intervals, on each corpus of the stored study or, without one, of this page. Steps above the zero line mean that the error grows. The sentences below name those that do not."}}
drawn_sources = [s for s in steps if s.startswith("study")] or list(steps)
figure_intervals(
    {
        "Steps of the NRE": {
            source: {
                f"{layer_title(a)}\nto {layer_title(b)}": step
                for (a, b), step in steps[source].items()
            }
            for source in drawn_sources
        }
    },
    "difference in NRE",
)


# %% tags=["remove-input"]
def names_of(pairs):
    return ", ".join(
        f"{layer_title(a)} to {layer_title(b)}" for a, b in pairs
    )


lines = []
for source, of_source in steps.items():
    up = [pair for pair, step in of_source.items() if step.lies_above(0)]
    down = [pair for pair, step in of_source.items() if step.lies_below(0)]
    open_ = [pair for pair in of_source if pair not in up + down]
    top = max(
        curves[source], key=lambda layer: np.mean(curves[source][layer])
    )
    line = f"- *{source}*: {len(up)} of {len(of_source)} steps surely grow"
    line += f"; {names_of(down)} surely shrinks" if len(down) == 1 else ""
    line += f"; {names_of(down)} surely shrink" if len(down) > 1 else ""
    line += f"; not decided: {names_of(open_)}" if open_ else ""
    lines.append(
        line
        + f". In {growing[source]:.0%} of the draws, all seven grow. The largest error is at {layer_title(top)}."
    )
ever_down = {
    pair
    for of_source in steps.values()
    for pair, step in of_source.items()
    if step.lies_below(0)
}
text = '"Surely" means that the whole interval lies on one side of zero.\n\n'
text += "\n".join(lines)
if ever_down:
    text += "\n\nA deeper layer cannot know more than a shallower one, since it is computed from it. So where the error shrinks, the inverters differ in what they can paint and in how well they were trained."
display(Markdown(text))

# %% [markdown]
# (claim-conv5-fc7)=
# ### Conv5 against FC7
#
# *The paper: the NRE of Conv5 is about 18 % less than that of FC7.*

# %% tags=["hide-input"]
change = over_corpora(
    lambda of: intervals.change_interval(before=of["fc7"], after=of["conv5"])
)
show("Conv5 against FC7", change, "+.1%")

# %% tags=["remove-input"]
display(Markdown(against(-0.18, change, "+.0%")))

# %% [markdown]
# (claim-mp6-fc7)=
# ### MP6 to FC7
#
# *The paper: NRE changes by about 15 % between MP6 and FC7*, where 4928 numbers become 256.

# %% tags=["hide-input"]
change = over_corpora(
    lambda of: intervals.change_interval(before=of["mp6"], after=of["fc7"])
)
show("MP6 to FC7", change, "+.1%")

# %% tags=["remove-input"]
display(Markdown(against(0.15, change, "+.0%")))

# %% [markdown]
# (claim-conv2-mp3)=
# ### Conv2 to MP3
#
# *The paper: there is a large increase from Conv2 to MP3*, where pooling leaves a ninth of the values. "Large" needs a yardstick. We take the mean of all seven steps: by how much is this step larger?

# %% tags=["hide-input"]
excess = over_corpora(lambda of: intervals.step_excess(of, "conv2"))
show("Conv2 to MP3, less the mean step", excess, "+.3f")

# %% tags=["remove-input"]
sure = [source for source, found in excess.items() if found.lies_above(0)]
surely_not = [
    source for source, found in excess.items() if found.lies_below(0)
]
largest = {
    source: max(of_source, key=lambda pair: of_source[pair].value)
    for source, of_source in steps.items()
}
text = f"The step is surely larger than the mean step for {len(sure)} of {len(excess)} sources, and surely smaller for {len(surely_not)}. The largest step of all is "
by_pair = {}
for source, pair in largest.items():
    by_pair.setdefault(pair, []).append(f"*{source}*")
text += "; ".join(
    f"{names_of([pair])} ({', '.join(names)})"
    for pair, names in by_pair.items()
)
display(Markdown(text + "."))

# %% [markdown]
# (claim-second-corpus)=
# ### Another corpus
#
# *The paper: on the second corpus, RWC, the error is larger for all layers but Conv1 and Conv2.* We compare the corpora layer by layer; their songs are different, so both are drawn.

# %% tags=["hide-input"]
first_of = {}  # what the other corpora are compared with
for source in curves:
    first_of.setdefault(source.partition(":")[0], source)
others = {
    source: first_of[source.partition(":")[0]]
    for source in curves
    if source not in first_of.values()
}
gaps = {
    source: {
        layer_title(layer): intervals.unpaired_change_interval(
            before=curves[base][layer], after=curves[source][layer]
        )
        for layer in svdlib.LAYERS
    }
    for source, base in others.items()
}
pd.DataFrame(
    {
        source: {layer: f"{gap:+.1%}" for layer, gap in of.items()}
        for source, of in gaps.items()
    }
)

# %% [markdown]
# These intervals are wide, because songs differ much and nothing cancels between two corpora. And each corpus has its own yardstick $N_c$: where songs resemble each other more, the same distance counts for more. A second yardstick helps with both: the mean predictor on the same songs. What is hard for it is hard for an inverter too, and $N_c$ drops out. So we also compare the NRE as a *share of the mean predictor's*.

# %% tags=["hide-input"]
blank = {
    source: each["mean_predictor"]["per_song"]
    for source, each in sources.items()
}
share_gaps = {
    source: {
        layer_title(layer): intervals.unpaired_share_change_interval(
            before=(curves[base][layer], blank[base]),
            after=(curves[source][layer], blank[source]),
        )
        for layer in svdlib.LAYERS
    }
    for source, base in others.items()
}

# %% tags=["hide-input"] figure="other-corpora" mystnb={"image": {"alt": "Two panels: change of the NRE of each layer from the test songs to each other corpus, in percent with 95 percent intervals, above as it is, below as a share of the mean predictor's error. Points above the zero line mean a larger error. The sentences below say which intervals exclude zero."}}
figure_intervals(
    {"NRE": gaps, "NRE as a share of the mean predictor's": share_gaps},
    "change from the test songs",
    percent=True,
)

# %% tags=["remove-input"]
lines = []
for source in gaps:
    parts = []
    for name, of in (("NRE", gaps[source]), ("share", share_gaps[source])):
        above = [layer for layer, gap in of.items() if gap.lies_above(0)]
        below = [layer for layer, gap in of.items() if gap.lies_below(0)]
        parts.append(
            f"{name} surely larger at {', '.join(above) or 'no layer'}, surely smaller at {', '.join(below) or 'no layer'}"
        )
    lines.append(f"- *{source}*: {'; '.join(parts)}.")
unfair = (
    "*synthetic-b* is made by the program that made the training songs; only the real songs are a test like the paper's, and they are few."
    if corpus.startswith("synthetic")
    else "the inverters were trained on synthetic songs, so the second corpus of this page is the more familiar one, and yours is new."
)
display(Markdown("\n".join(lines) + f"\n\nBear in mind: {unfair}"))

# %% [markdown]
# (claim-objectives)=
# ## The same layers, another objective
#
# The paper trains each inverter twice: to make the input loss small, or to make input loss and feature loss small together ({doc}`03_training`). *It finds that the NRE with the input loss alone is similar or slightly lower.* We compare trainings that differ in nothing else.

# %% tags=["hide-input"]
from svdlib.lab.studies import findings

ablation = load_results("inverter_ablation")
objectives = {}
if ablation:
    own, *_ = findings.corpora_of(ablation)
    objectives = {
        corpus_name: {
            layer: intervals.change_interval(joint, alone)
            for layer, joint, alone in zip(
                svdlib.LAYERS,
                findings.per_song(
                    ablation, "joint", "best", corpus_name
                ).values(),
                findings.per_song(
                    ablation, "input", "best", corpus_name
                ).values(),
                strict=True,
            )
        }
        for corpus_name in findings.corpora_of(ablation)
    }

# %% tags=["remove-input"] figure="nre-objectives" mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers for inverters trained with the joint loss, with the input loss alone, and with the released training step, on the synthetic test songs, with 95 percent intervals."}}
if ablation:
    display(
        figure_nre(
            {
                f"{name} objective": findings.nre_of(ablation, name, own)
                for name in ("joint", "input", "released")
            },
            {},
        )
    )

# %% tags=["remove-input"]
no_ablation = "This copy of the library holds no result of `python -m svdlib.lab.studies.inverter_ablation`, so there is nothing to show here."


def training_note():
    plan_ = ablation["plan"]
    short = findings.per_song(ablation, "joint", "best", own)
    return (
        f"These are short trainings of their own, of {ablation['updates']} updates with {plan_['batch_size']} excerpts each, from one seed. "
        f"On the {own}, their joint loss leads to a mean NRE over all layers of {np.mean(list(short.values())):.3f}; the shipped inverters of the same family, trained longer, have {np.mean(list(value.values())):.3f} on this page. "
        "The intervals come from the songs, and know nothing of the luck of a training: another seed could move every number."
    )


if ablation:
    rows = [
        {"layer": layer_title(layer)}
        | {name: f"{of[layer]:+.2%}" for name, of in objectives.items()}
        for layer in svdlib.LAYERS
    ]
    display(pd.DataFrame(rows).style.hide(axis="index"))
    lines = []
    for name, of in objectives.items():
        lower = [layer_title(k) for k, gap in of.items() if gap.lies_below(0)]
        higher = [
            layer_title(k) for k, gap in of.items() if gap.lies_above(0)
        ]
        largest_gap = max(of, key=lambda layer: abs(of[layer].value))
        if abs(of[largest_gap].value) < 0.005:
            lines.append(
                f"- *{name}*: with or without the feature loss the NRE is the same to half a percent at every layer. The largest change is {of[largest_gap]:+.2%}, at {layer_title(largest_gap)}. The feature loss, a mean as in the released code, hardly moves anything."
            )
            continue
        lines.append(
            f"- *{name}*: surely lower without the feature loss at {', '.join(lower) or 'no layer'}, surely higher at {', '.join(higher) or 'no layer'}. The largest change is {of[largest_gap]:+.1%}, at {layer_title(largest_gap)}."
        )
    display(
        Markdown(
            "The table shows the change of the NRE from the joint loss to the input loss alone.\n\n"
            + "\n".join(lines)
            + "\n\n"
            + training_note()
        )
    )
else:
    display(Markdown(no_ablation))

# %% [markdown]
# ## What the number hides
#
# Every published inverter has an ELU at its output, so that nothing below −1 can be painted ({doc}`02_inverter_design`). Even a perfect inverter with such an output has an error: that of the original, clamped at −1. How much of our scores is this floor?

# %%
floor = measured["floor"]["nre"]
x = test.cut(sets[0])
print(f"one set by hand: {svdlib.nre(x, x.clamp(min=-1)):.3f}")
print(f"all {len(sets)} sets:  {floor:.3f}")

# %% tags=["remove-input"]
first = svdlib.LAYERS[0]
floors = ", ".join(
    f"{each['floor']['nre']:.3f} for {name}" for name, each in studied.items()
)
others_text = f" In the study, it is {floors}." if studied else ""
display(
    Markdown(
        f"The floor is {floor:.3f}, while {layer_title(first)} has {value[first]:.3f}: the floor is {100 * floor / value[first]:.0f} % of it. For FC8 it is {100 * floor / value['fc8']:.0f} %.{others_text} "
        "The shallower the layer, the more its score says about the inverter's output, and the less about the layer."
    )
)

# %% [markdown]
# ## The same layers, other inverters
#
# So a score belongs to a layer *and* its inverter. How much belongs to the inverter? The aligned inverters mirror the detector's own steps and have a linear output. They had the same training as the published ones, and have no more parameters. We have measured them on the same evaluation sets.

# %% tags=["hide-input"] figure="nre-families" mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers, from Conv1 to FC8, for published and for aligned inverters on the same test songs, with 95 percent intervals and the mean predictor as a dashed line. The table below holds all numbers."}}
figure_nre(
    {
        f"{family} inverters": reconstruction_error.nre_of(measured, family)
        for family in FAMILIES
    },
    {"published inverters": mean_score},
)

# %% tags=["hide-input"]
both = {
    source: each
    for source, each in sources.items()
    if "aligned" in each["layers"]["fc8"]
}
changes = {
    source: reconstruction_error.family_changes(each)
    for source, each in both.items()
}
pd.DataFrame(
    {
        source: {layer_title(k): f"{found:+.0%}" for k, found in of.items()}
        for source, of in changes.items()
    }
)

# %% tags=["remove-input"]
aligned_value = {
    layer: by_family["aligned"]["nre"]
    for layer, by_family in measured["layers"].items()
}
lines = []
for source, of in changes.items():
    better = [layer for layer, found in of.items() if found.lies_below(0)]
    worse = [layer for layer, found in of.items() if found.lies_above(0)]
    most = min(of, key=lambda layer: of[layer].value)
    least = max(of, key=lambda layer: of[layer].value)
    lines.append(
        f"- *{source}*: surely lower at {len(better)} of {len(of)} layers, surely higher at {len(worse)}; from {of[most].value:+.0%} ({layer_title(most)}) to {of[least].value:+.0%} ({layer_title(least)})."
    )
still = [
    (a, b)
    for a, b in zip(svdlib.LAYERS, svdlib.LAYERS[1:], strict=False)
    if aligned_value[b] < aligned_value[a]
]
text = "The table shows the change of the NRE from published to aligned inverters, paired over songs.\n\n"
text += "\n".join(lines) + "\n\n"
text += (
    "On the test songs of this page, the error of the aligned inverters grows with every layer, as it must when no inverter is held back by its own design. "
    if not still
    else f"On the test songs of this page, the error of the aligned inverters falls from {names_of(still)}: there, other things than the layer still decide. "
)
if ("conv1", "conv2") in still:
    text += "For Conv1 we know that a perfect inversion exists: but for the leaky ReLU, which is undone, the layer is linear, and its 64 filters of 9 weights can be solved for the cell in their middle. Training has not come that far with so small a network. "
display(Markdown(text))

# %% [markdown]
# What changed is only the inverter. So the part of an error that a better inverter can remove was never a statement about the layer. We cannot know how much of what remains is one. Therefore read every NRE, the paper's and ours, as an upper limit: the layer has kept *at least* this much.
#
# ## Where is the error?
#
# NRE adds up all frames and bands of an excerpt. We take it apart, first along time. As in {doc}`02_inverter_design`, the squared error of each frame is divided by the mean square of the originals in that frame: 1 is as bad as painting the average level of each band.

# %% tags=["hide-input"] figure="frame-errors-families" mystnb={"image": {"alt": "Eight panels, one per layer, with the squared error of each of the 115 frames of an excerpt for published and aligned inverters, on the test songs. The sentences below say in numbers how the curves rise at the edges and to the right."}}
figure_frame_errors(
    {
        layer: {
            family: found["frame_errors"]
            for family, found in by_family.items()
        }
        for layer, by_family in measured["layers"].items()
    }
)

# %% tags=["remove-input"]
drifting = ("mp3", "conv4", "mp6")


def growth(each, family):
    """Mean growth of the squared error from first to last third."""
    return np.mean(
        [
            reconstruction_error.slope(
                each["layers"][layer][family]["frame_errors"]
            )
            for layer in drifting
        ]
    )


def edge(each, family, along="frame_errors"):
    """Outer two cells of either side against the middle third."""
    ratios = []
    for by_family in each["layers"].values():
        errors = np.array(by_family[family][along])
        third = len(errors) // 3
        outer = errors[[0, 1, -2, -1]].mean()
        ratios.append(outer / errors[third:-third].mean())
    return np.median(ratios)


lines = [
    f"- *{source}*: {growth(each, 'published'):+.0%} for the published and {growth(each, 'aligned'):+.0%} for the aligned family"
    for source, each in both.items()
]
straighter = sum(
    abs(growth(each, "aligned")) < abs(growth(each, "published"))
    for each in both.values()
)
text = (
    "Two things shape the curves. **Geometry**: the published inverters of MP3, Conv4 and MP6 read at the wrong times, the more so the farther to the right. From the first to the last third of the frames, their mean squared error changes by\n\n"
    + ";\n".join(lines)
    + f".\n\nThe change is smaller for the aligned family on {straighter} of {len(both)} sources. "
    f"**Edges**: a frame at the border is seen by fewer cells. The outer two frames have {edge(measured, 'published'):.1f} times the error of the middle third for the published family, and {edge(measured, 'aligned'):.1f} times for the aligned one (median over layers, test songs of this page). This is a ratio: what an inverter does well in the middle makes its border look worse."
)
display(Markdown(text))

# %% [markdown]
# Now along frequency. The same division is done band by band.

# %% tags=["hide-input"] figure="band-errors" mystnb={"image": {"alt": "Eight panels, one per layer, with the squared error of each of the 80 mel bands for published and aligned inverters, on the test songs. The table below gives the mean error in three ranges of frequency."}}
figure_band_errors(
    {
        layer: {
            family: found["band_errors"]
            for family, found in by_family.items()
        }
        for layer, by_family in measured["layers"].items()
    }
)

# %% tags=["hide-input"]
hertz = band_frequencies().numpy()
ranges = {
    "below 500 Hz": hertz < 500,
    "500 Hz to 2 kHz": (hertz >= 500) & (hertz < 2000),
    "above 2 kHz": hertz >= 2000,
}
in_range = {
    (layer, family): {
        name: np.array(found["band_errors"])[chosen].mean()
        for name, chosen in ranges.items()
    }
    for layer, by_family in measured["layers"].items()
    for family, found in by_family.items()
}
pd.DataFrame(
    [
        {"layer": layer_title(layer), "inverters": family} | found
        for (layer, family), found in in_range.items()
    ]
).style.format(precision=2).hide(axis="index")

# %% tags=["remove-input"]
hardest = {key: max(found, key=found.get) for key, found in in_range.items()}
counts = {
    name: sum(each == name for each in hardest.values()) for name in ranges
}
top = max(counts, key=counts.get)
deep = in_range["fc8", "aligned"]
easiest_deep = min(deep, key=deep.get)
text = (
    f"Of the {len(hardest)} rows, {counts[top]} have their largest error in the range *{top}*. "
    f"What FC8 lets its aligned inverter paint best lies in the range *{easiest_deep}* ({deep[easiest_deep]:.2f} of the mean square; the worst range has {max(deep.values()):.2f}). "
    "Since every band was standardised, loud bands do not count for more than soft ones. A small error means that the band can be *predicted* from the feature, and not that it is loud or that we hear it well. "
)
for source, each in both.items():
    if source.startswith("study"):
        errors = np.array(each["layers"]["fc8"]["aligned"]["band_errors"])
        means = {
            name: errors[chosen].mean() for name, chosen in ranges.items()
        }
        text += f"In *{source}*, FC8's best range is *{min(means, key=means.get)}* ({min(means.values()):.2f}), its worst *{max(means, key=means.get)}* ({max(means.values()):.2f}). "
border = edge(measured, "aligned", "band_errors")
text += f"The outer two bands at either end have {border:.1f} times the error of the middle third (aligned family, median over layers, test songs of this page)"
text += (
    ": here too, a border is seen by fewer cells."
    if border > 1.2
    else ": along frequency, the border matters little."
)
display(Markdown(text))

# %% [markdown]
# And what does a score mean to the ear? An error that is spread evenly over all values is a hiss. The same error concentrated in the onsets is music without attack. Both can have the same NRE. That is why the next chapter looks and listens: {doc}`05_qualitative_analysis`.
#
# (code-against-paper)=
# ## Four details of the code, and their price
#
# We read the code that the authors published with the paper and found four places where it does something that the paper does not say, or where the design itself limits what can be painted:
#
# 1. **The feature loss has no gradient.** The comparator's features are computed outside the graph and enter the loss as plain numbers. So the joint loss trains exactly like the input loss alone ({doc}`03_training`). *Compared:* input loss alone against joint loss with its gradient.
# 2. **The geometry does not fit.** Factors of 2 and 4 stand where the detector pools by 3 and 9, so that frames drift. *Compared:* published inverters with a linear output against aligned inverters. These also undo the leaky ReLU and have other widths, so the geometry is the main difference, but not the only one.
# 3. **The ELU at the output** forbids values below −1. *Compared:* published inverters against the same with a linear output.
# 4. **The last epoch is stored,** while the paper keeps the one with the lowest validation loss. *Compared:* the last against the best epoch of the same training.
#
# What does each of them cost? For this we trained inverters that differ in one thing each, and compare them on the same songs. At last we take the released training step as it stands, with its learning-rate schedule and its weight decay, against ours. All of them stand on one scale: the farther right, the more a detail costs. A thin stroke is one layer.

# %% tags=["hide-input"]
priced = findings.costs(ablation) if ablation else {}

# %% tags=["remove-input"] figure="released-code" mystnb={"image": {"alt": "Five rows, one per detail of the released code, on one scale: the change of the NRE in percent. A large mark with its 95 percent interval stands for all layers, a thin stroke for each single layer; circles for synthetic test songs, squares for real songs. To the right of the zero line, the detail makes the error larger. The table below holds the numbers over all layers."}}
if ablation:
    display(
        figure_costs(priced, findings.ALL_LAYERS),
    )

# %% tags=["remove-input"]
if ablation:
    rows = []
    for name, by_corpus in priced.items():
        row = {"detail": name}
        for corpus_name, by_layer in by_corpus.items():
            row[corpus_name] = f"{by_layer[findings.ALL_LAYERS]:+.1%}"
        rows.append(row)
    display(pd.DataFrame(rows).style.hide(axis="index"))
    lines = []
    for name, by_corpus in priced.items():
        by_layer = dict(by_corpus[own])
        whole = by_layer.pop(findings.ALL_LAYERS)
        far = max(by_layer, key=lambda layer: abs(by_layer[layer].value))
        effect = (
            "It raises the error"
            if whole.lies_above(0)
            else "It lowers the error"
            if whole.lies_below(0)
            else "Its sign is not decided"
        )
        lines.append(
            f"- **{name}**: {whole:+.1%} over all layers. {effect}. It changes most at {layer_title(far)}: {by_layer[far]:+.1%}."
        )
    ranked = sorted(
        findings.FINDINGS[:4],
        key=lambda each: priced[each.name][own][findings.ALL_LAYERS].value,
    )
    display(
        Markdown(
            f"The table holds the change over all layers (of the mean NRE). On the {own}:\n\n"
            + "\n".join(lines)
            + f"\n\nOf the four, *{ranked[-1].name}* costs most, *{ranked[0].name}* least. "
            + training_note()
        )
    )
else:
    display(Markdown(no_ablation))

# %% [markdown]
# A cost here is a cost in NRE, and for this training. It says nothing of how an inversion looks or sounds. And none of the four is a reproach: a line of code that no paper has room for can decide a number, and only published code lets others find it.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "An inverter has the same NRE as the mean predictor. What do its inversions tell about the layer?",
        [
            Answer(
                "No more than the average of all excerpts would.",
                "The mean predictor never sees a feature. Who scores as it does may have ignored the feature, too.",
                right=True,
            ),
            Answer(
                "The share of the excerpt that lies below an NRE of 1.",
                "An NRE of 1 is as bad as showing a wrong excerpt. Painting an average is better than that, and it needs no feature. So count from the mean predictor's line.",
            ),
            Answer(
                "That the layer has lost everything about the excerpt.",
                "That is too much. Another inverter might read from the same feature what this one could not.",
            ),
        ],
    ),
    Question(
        "Somebody draws fifty evaluation sets instead of ten, from the same songs. What do they know better now?",
        [
            Answer(
                "The NRE of these songs, but not that of others.",
                "The luck of which moments were drawn averages out. The luck of which songs were there does not.",
                right=True,
            ),
            Answer(
                "The NRE in general: the data are five times as many.",
                "Excerpts of a song resemble each other, and no new song came in. Only more songs say more about songs.",
            ),
            Answer(
                "Nothing at all, since the songs are still the same.",
                "Each set has other moments, so the result depends less on which ones were drawn. It is a gain, only a small one.",
            ),
        ],
    ),
    Question(
        "On the same songs, the intervals of two layers overlap. Can it still be sure that one has the larger error?",
        [
            Answer(
                "Yes, if its error is larger on nearly every song.",
                "Then the differences, song by song, have a narrow interval that excludes zero. What makes a song hard for both layers cancels.",
                right=True,
            ),
            Answer(
                "No, intervals that overlap may hide equal errors.",
                "Each interval is wide because songs differ. The comparison need not be, for both layers have the same songs. Compare them paired.",
            ),
            Answer(
                "Yes, since with the same songs any difference counts.",
                "Other songs might turn a small difference around. The interval of the paired differences says whether that is likely.",
            ),
        ],
    ),
    Question(
        "From one layer to the next, the error becomes smaller. How can that be?",
        [
            Answer(
                "The inverter of the first layer misses what is there.",
                "The deeper feature is computed from the shallower one, so all it holds was there before. The first inverter failed to read it.",
                right=True,
            ),
            Answer(
                "The second layer has brought lost details back.",
                "No layer can bring back what did not reach it. It may make it easier to read, which is a gain for the inverter.",
            ),
            Answer(
                "It cannot be, so the measurement has a fault.",
                "It would be a fault if NRE measured what a layer holds. It measures a layer and an inverter together.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - NRE is the distance to the original, measured in average distances between excerpts. 0 is perfect.
# - The mean predictor scores about $1/\sqrt{2}$. Whatever does not get below it has told us nothing.
# - More evaluation sets are not more songs. Intervals must come from what varies: the songs.
# - Compare two layers on the same songs: what makes a song hard for both cancels.
# - A score belongs to a layer *and* its inverter. An inverter that fits the geometry has a much smaller error on the same feature.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.
#
# (exercise-nre-by-hand)=
# ### Exercise 1: Equation 5 in your own words
#
# *Easy, 15 minutes.*
#
# Write `nre_by_hand(x, x_hat)` for any number $d$ of excerpts, with loops if you like. Both are tensors of shape $(d, 1, 115, 80)$. Return one number, and do not use `svdlib.nre`.
#
# :::{dropdown} First hint
# Two means, one over the other: how far each excerpt is from its own inversion, and how far two different excerpts are from each other.
# :::
#
# :::{dropdown} Second hint
# `(x[i] - x[j]).norm()` is a distance. There are $d (d - 1)$ ordered pairs with $i \neq j$; inversions do not occur below the fraction line.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_nre(nre_by_hand):
    rng = np.random.default_rng(0)
    for d in (5, 2):
        a = rng.normal(size=(d, 1, 6, 7))
        b = (
            a
            + rng.normal(size=a.shape)
            * np.arange(1, d + 1)[:, None, None, None]
        )
        far = np.array(
            [np.sqrt(((a[i] - b[i]) ** 2).sum()) for i in range(d)]
        )
        between = np.array(
            [[np.sqrt(((p - q) ** 2).sum()) for q in a] for p in a]
        )
        n_c = between.sum() / (d * (d - 1))
        right = far.mean() / n_c
        mistakes = {
            "A distance is the square root of a sum of squares; the root is missing.": (
                far**2
            ).mean()
            / ((between**2).sum() / (d * (d - 1))),
            "N_c counts no excerpt with itself: divide by d(d - 1), not by d squared.": right
            * d
            / (d - 1),
            "If you count each pair once, there are d(d - 1) / 2 of them. Your N_c is half of what it should be.": 2
            * right,
            "Take the mean of the distances, not their sum.": d * right,
            "Each excerpt has a distance of its own. Yours is that of all excerpts taken as one.": np.sqrt(
                (far**2).sum()
            )
            / n_c,
            "Divide by N_c, the mean distance between two excerpts.": far.mean(),
        }
        got = float(
            nre_by_hand(
                torch.tensor(a, dtype=torch.float32),
                torch.tensor(b, dtype=torch.float32),
            )
        )
        if np.isclose(got, right, rtol=1e-3):
            continue
        for sentence, wrong in mistakes.items():
            assert not np.isclose(got, wrong, rtol=1e-3), sentence
        raise AssertionError(
            f"For {d} excerpts whose NRE is {right:.4f} you get {got:.4f}."
        )
    return "It is equation 5."


# %% tags=["exercise"]
def nre_by_hand(x, x_hat):
    """NRE of excerpts (d, 1, 115, 80) and their inversions."""
    ...


check_nre(nre_by_hand)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def nre_by_hand(x, x_hat):
    d = len(x)
    far = sum((x[i] - x_hat[i]).norm() for i in range(d)) / d
    between = sum(
        (x[i] - x[j]).norm() for i in range(d) for j in range(d) if i != j
    )
    return float(far / (between / (d * (d - 1))))


check_nre(nre_by_hand)

# %% [markdown]
# (exercise-one-song)=
# ### Exercise 2: One song at a time
#
# *Easy, 10 minutes.*
#
# What if an evaluation set holds excerpts of a single song? Write `nre_per_song(x, x_hat, songs)`, where `songs` is an array with the number of each excerpt's song, in any order. Return a dictionary: for each number, the NRE of this song's excerpts alone, their yardstick included. Is the NRE of FC8 larger or smaller than on all songs together? First guess, then try.
#
# :::{dropdown} First hint
# What is a set of excerpts of one song? Cut it out of `x` and `x_hat`, and measure it as if there were no other song.
# :::
#
# :::{dropdown} Second hint
# `np.unique(songs)` gives the numbers, `songs == number` picks the excerpts, and `svdlib.nre` does the rest.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_per_song(nre_per_song):
    rng = np.random.default_rng(0)
    numbers = np.array([4, 7, 4, 9, 7, 4, 9, 7])
    a = rng.normal(size=(8, 1, 6, 7)) * numbers[:, None, None, None]
    a += 20 * numbers[:, None, None, None]
    b = a + rng.normal(size=a.shape)
    a, b = (torch.tensor(each, dtype=torch.float32) for each in (a, b))
    got = {
        int(number): float(score)
        for number, score in nre_per_song(a, b, numbers).items()
    }
    assert set(got) == {4, 7, 9}, (
        f"The songs have the numbers 4, 7 and 9; your keys are {sorted(got)}."
    )
    all_between = torch.pdist(a.flatten(1)).mean()
    for number, score in got.items():
        own = numbers == number
        far = (a - b)[own].flatten(1).norm(dim=1).mean()
        right = float(far / torch.pdist(a[own].flatten(1)).mean())
        assert not np.isclose(score, far / all_between, rtol=1e-3), (
            "You divide by the mean distance over all songs. Each song has a yardstick of its own."
        )
        assert np.isclose(score, right, rtol=1e-3), (
            f"A song whose NRE is {right:.4f} gets {score:.4f}. Are its excerpts, and only these, in the set?"
        )


# %% tags=["exercise"]
def nre_per_song(x, x_hat, songs):
    """NRE of each song's own excerpts: a dictionary by number."""
    ...


check_per_song(nre_per_song)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def nre_per_song(x, x_hat, songs):
    return {
        number: svdlib.nre(x[songs == number], x_hat[songs == number])
        for number in np.unique(songs)
    }


display(check_per_song(nre_per_song))

x = test.cut(sets[0])
x_hat = reconstruct(detector, {"fc8": inverters["fc8"]}, x)["fc8"]
song_of = np.repeat(np.arange(len(x) // plan.per_song), plan.per_song)
alone = nre_per_song(x, x_hat, song_of)
together = svdlib.nre(x, x_hat)


def mean_distance(excerpts):
    return torch.pdist(excerpts.flatten(1).cpu()).mean().item()


yardsticks = [mean_distance(x[song_of == k]) for k in alone]
shrinks = np.mean(yardsticks) / mean_distance(x)
text = f"All songs together: {together:.3f}. One by one: {min(alone.values()):.3f} to {max(alone.values()):.3f}, {np.mean(list(alone.values())):.3f} in the mean. Two excerpts of one song are {shrinks:.0%} as far apart as any two of the set. "
text += (
    "So within a song the yardstick is shorter, while the distance to the inversion stays what it was. "
    if shrinks < 0.98
    else "So here the yardstick is hardly shorter within a song. "
)
text += "An NRE may be compared between inverters on the same set, and never between sets without a thought."
if len(alone) < 2:
    text = "There is only one song, so there is nothing to compare."
display(Markdown(text))

# %% [markdown]
# (exercise-squared-nre)=
# ### Exercise 3: Without the root
#
# *Medium, 15 minutes.*
#
# Write `nre_squared(x, x_hat)`: the mean *squared* distance to the inversions, divided by the mean *squared* distance between two different excerpts. What does the mean predictor score now, with many excerpts? Derive it before you measure it, and put the number into `of_mean`.
#
# :::{dropdown} First hint
# Square each distance before you take a mean. For the mean predictor, write the squared distance of two independent excerpts with their variance.
# :::
#
# :::{dropdown} Second hint
# `torch.pdist` gives the distance of each pair of flattened excerpts. The difference of two independent numbers has twice the variance of one.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_squared(nre_squared, of_mean):
    rng = np.random.default_rng(0)
    sizes = np.array([1.0, 2.0, 4.0, 8.0])[:, None, None, None]
    a = rng.normal(size=(4, 1, 6, 7)) * sizes
    b = a + rng.normal(size=a.shape) * sizes[::-1]
    far = np.sqrt(((a - b) ** 2).sum(axis=(1, 2, 3)))
    between = np.array(
        [
            np.sqrt(((a[i] - a[j]) ** 2).sum())
            for i in range(4)
            for j in range(4)
            if i != j
        ]
    )
    right = (far**2).mean() / (between**2).mean()
    got = float(
        nre_squared(
            torch.tensor(a, dtype=torch.float32),
            torch.tensor(b, dtype=torch.float32),
        )
    )
    mistakes = {
        "This is the NRE with plain distances.": far.mean() / between.mean(),
        "This is the square of the NRE. Square each distance, then take the means.": (
            far.mean() / between.mean()
        )
        ** 2,
        "In the denominator, square each distance before you take the mean.": (
            far**2
        ).mean()
        / between.mean() ** 2,
        "An excerpt's distance to itself does not count: there are d(d - 1) pairs.": right
        * 4
        / 3,
        "If you count each pair once, there are d(d - 1) / 2 of them.": right
        * 2,
    }
    if not np.isclose(got, right, rtol=1e-3):
        for sentence, wrong in mistakes.items():
            assert not np.isclose(got, wrong, rtol=1e-3), sentence
        raise AssertionError(f"For a set with {right:.4f} you get {got:.4f}.")
    assert abs(of_mean - 2**-0.5) > 0.01, (
        "The function is right. But 0.71 is the score with plain distances: the derivation's last step takes a root that you do not need any more."
    )
    assert abs(of_mean - 2) > 0.01, (
        "The function is right. But you have turned the fraction round: the distance to the mean stands on top."
    )
    assert abs(of_mean - 0.5) < 0.01, (
        f"The function is right. But the mean predictor does not score {of_mean}: what is the expected squared distance to the mean, and what that between two excerpts?"
    )
    return "And it holds whether the distances are equal or not."


# %% tags=["exercise"]
def nre_squared(x, x_hat):
    """Mean squared distances: to the inversion, over between two."""
    ...


of_mean = ...

check_squared(nre_squared, of_mean)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def nre_squared(x, x_hat):
    far = (x - x_hat).flatten(1).norm(dim=1) ** 2
    between = torch.pdist(x.flatten(1)) ** 2
    return float(far.mean() / between.mean())


of_mean = 1 / 2
display(check_squared(nre_squared, of_mean))

of_songs_own = x.mean(dim=0, keepdim=True).expand_as(x)
of_training = mean.to(x).expand_as(x)
display(
    Markdown(
        "Two excerpts have an expected squared distance of twice the variance, and an excerpt's to the mean is the variance once: one half, now without the assumption that all distances are nearly equal.\n\n"
        f"- Noise: {nre_squared(noise, torch.zeros_like(noise)):.3f}.\n"
        f"- The mean of a set, on the set itself: {nre_squared(x, of_songs_own):.3f}. For {len(x)} excerpts the exact number is (d - 1) / (2 d) = {(len(x) - 1) / (2 * len(x)):.3f}, since this mean has seen them.\n"
        f"- The mean of the training excerpts, on the same set: {nre_squared(x, of_training):.3f}. The rest of the way from one half comes from the other songs of the training."
    )
)

# %% [markdown]
# (exercise-song-interval)=
# ### Exercise 4: An interval from songs
#
# *Medium, 15 minutes.*
#
# One set has many more excerpts than songs, and a bootstrap over excerpts gives a narrower interval than one over songs. Write the one over songs: `song_interval(distances, songs)` gets an array with the normalised distance of each excerpt, and one with the number of its song, in any order; each song has equally many excerpts. Draw songs a thousand times, and return the two ends of the 95 % interval of the mean. Then compare: which of the two intervals do you believe?
#
# :::{dropdown} First hint
# Which thing is drawn, songs or excerpts? Turn the distances into one number for each song first.
# :::
#
# :::{dropdown} Second hint
# Draw as many songs as there are, with repetition, a thousand times: `rng.choice(per_song, size=(1000, n))`. Then take the mean of each draw, and the quantiles 0.025 and 0.975.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_song_interval(song_interval):
    rng = np.random.default_rng(0)
    ratios = []
    for _ in range(5):
        numbers = rng.permutation(np.repeat(np.arange(16), 8))
        levels = 1 + 0.2 * rng.normal(size=16)
        values = levels[numbers] + 0.002 * rng.normal(size=128)
        low, high = (float(end) for end in song_interval(values, numbers))
        assert low - 1e-9 <= values.mean() <= high + 1e-9, (
            f"The mean of the distances, {values.mean():.3f}, does not lie in your interval from {low:.3f} to {high:.3f}."
        )
        ratios.append((high - low) / (2 * 1.96 * levels.std() / 4))
    ratio = np.mean(ratios)
    assert ratio > 0.02, (
        "All draws have nearly the same mean. Draw with repetition, so that a song may come twice and another not at all."
    )
    assert not 0.25 < ratio < 0.5, (
        "Your interval is as narrow as if all excerpts were independent. Draw whole songs."
    )
    assert not 0.8 < ratio < 0.9, (
        "Your interval holds 90 % of the draws. The middle 95 % reach from the quantile 0.025 to 0.975."
    )
    assert ratio < 2.5, (
        "This is how much single songs differ. Take the mean of each draw, with as many songs as there are."
    )
    assert 0.9 < ratio < 1.1, (
        f"For 16 songs the interval should be about 3.92 standard errors wide; yours is {3.92 * ratio:.2f}."
    )


# %% tags=["exercise"]
def song_interval(distances, songs):
    """95 % interval of the mean distance: lower and upper end."""
    ...


check_song_interval(song_interval)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def song_interval(distances, songs):
    per_song = [distances[songs == k].mean() for k in np.unique(songs)]
    rng = np.random.default_rng(0)
    drawn = rng.choice(per_song, size=(1000, len(per_song))).mean(axis=1)
    return np.quantile(drawn, [0.025, 0.975])


display(check_song_interval(song_interval))

distances = (
    (x - x_hat).flatten(1).norm(dim=1).cpu() / mean_distance(x)
).numpy()
low, high = song_interval(distances, song_of)
excerpts = intervals.mean_interval(distances)
if len(alone) > 1:
    wider = (high - low) / (excerpts.high - excerpts.low)
    text = f"FC8, one set: {distances.mean():.3f}. Over its {len(alone)} songs {low:.3f} to {high:.3f}, over its {len(x)} excerpts {excerpts.low:.3f} to {excerpts.high:.3f}. The one over songs is {wider:.1f} times as wide. Believe it: excerpts of one song share its singer, its instruments and its mix, while the bootstrap over excerpts takes them for independent."
else:
    text = "There is only one song, and no interval over songs. The one over its excerpts says nothing of other songs."
display(Markdown(text))

# %% [markdown]
# (exercise-paired)=
# ### Exercise 5: The same songs for both
#
# *Medium, 10 minutes.*
#
# Write `paired(a, b)`: the 95 % interval of the mean of `b` less the mean of `a`, from a thousand draws. Both are arrays with a number for each song, in the same order of songs. Each draw takes the same songs for both. How many of the seven steps from layer to layer are decided in this way, and how many if each layer draws songs of its own?
#
# :::{dropdown} First hint
# If both layers get the same songs in each draw, what can you compute for each song before anything is drawn?
# :::
#
# :::{dropdown} Second hint
# Draw from the differences `b - a`, one for each song. What remains is the interval of a mean.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_paired(paired):
    rng = np.random.default_rng(0)
    hard = rng.normal(size=16)
    ends = [float(end) for end in paired(hard, hard + 0.1)]
    assert np.ptp(ends) < 0.2, (
        "If every song is worse by exactly 0.1, nothing is uncertain. Your interval is wide: do `a` and `b` get the same songs in each draw?"
    )
    assert not np.allclose(ends, -0.1, atol=1e-6), (
        "The sign is turned round: `b` less `a`."
    )
    assert np.allclose(ends, 0.1, atol=1e-6), (
        f"If every song is worse by exactly 0.1, both ends are 0.1; yours are {ends[0]:.3f} and {ends[1]:.3f}."
    )
    ratios = []
    for _ in range(5):
        change = rng.normal(size=16)
        low, high = (float(end) for end in paired(hard, hard + change))
        ratios.append((high - low) / (2 * 1.96 * change.std() / 4))
    ratio = np.mean(ratios)
    assert ratio > 0.02, "Draw the songs anew, with repetition."
    assert not 0.8 < ratio < 0.9, (
        "Your interval holds 90 % of the draws. The middle 95 % reach from the quantile 0.025 to 0.975."
    )
    assert 0.9 < ratio < 1.1, (
        f"For 16 songs the interval should be about 3.92 standard errors of the differences wide; yours is {3.92 * ratio:.2f}."
    )


# %% tags=["exercise"]
def paired(a, b):
    """95 % interval of the mean difference: lower and upper end."""
    ...


check_paired(paired)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def paired(a, b):
    change = np.asarray(b) - np.asarray(a)
    rng = np.random.default_rng(0)
    drawn = rng.choice(change, size=(1000, len(change))).mean(axis=1)
    return np.quantile(drawn, [0.025, 0.975])


display(check_paired(paired))

n_paired = n_apart = 0
for one, other in zip(svdlib.LAYERS, svdlib.LAYERS[1:], strict=False):
    low, high = paired(curve[one], curve[other])
    apart = intervals.unpaired_difference_interval(curve[other], curve[one])
    n_paired += bool(low > 0 or high < 0)
    n_apart += apart.lies_above(0) or apart.lies_below(0)
display(
    Markdown(
        f"Of the seven steps on the test songs of this page, {n_paired} are decided if both layers have the same songs, {n_apart} if each draws its own. "
        "To draw differences is the same as to draw songs for both: a song's difference holds what it does to both layers."
        if songs > 1
        else "There is only one song, and nothing is decided by it."
    )
)

# %% [markdown]
# (exercise-two-errors)=
# ### Exercise 6: Two errors, one number
#
# *Hard, 20 minutes.*
#
# NRE does not say where an error lies. Make two inversions of the same excerpts that have the same NRE, and sound different. Write `even(x, score)` and `gathered(x, score)`: both return an `x_hat` of the shape of `x` whose NRE is `score`. The error of `even` has the same mean square in all frames and all bands. That of `gathered` lies in frames 50 to 59, and everything else is a perfect copy.
#
# :::{dropdown} First hint
# What happens to the NRE if you make an error twice as large? The distance between originals does not change.
# :::
#
# :::{dropdown} Second hint
# Make any error of the right form, measure its NRE, and scale the error by what is wanted over what you have. For `gathered`, the error is 0 outside of frames 50 to 59.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_two_errors(even, gathered):
    rng = torch.Generator().manual_seed(0)
    a = torch.randn(24, 1, 115, 80, generator=rng)
    a *= torch.linspace(0.5, 2, 24)[:, None, None, None]
    for score in (0.3, 1.2):
        for name, make in (("even", even), ("gathered", gathered)):
            made = torch.as_tensor(make(a.clone(), score)).float()
            assert made.shape == a.shape, (
                f"{name} returns the shape {tuple(made.shape)}, not that of x."
            )
            found = svdlib.nre(a, made)
            assert abs(found - score) < 0.01 * score, (
                f"The NRE of {name} is {found:.3f}; it should be {score}."
            )
            square = ((made - a).double() ** 2).mean(dim=(0, 1))
            frames, bands = square.mean(dim=1), square.mean(dim=0)
            if name == "even":
                for what, of in (("frame", frames), ("band", bands)):
                    assert of.max() < 1.5 * of.min(), (
                        f"even: the error is not spread evenly. In some {what}s it is much larger than in others."
                    )
            else:
                inside = frames[50:60]
                outside = torch.cat([frames[:50], frames[60:]])
                assert outside.max() < 1e-6 * inside.max(), (
                    f"gathered: frames outside of 50 to 59 have an error too, such as frame {int(torch.where(frames > 1e-6 * inside.max())[0][0])}. Is time the right axis?"
                )
                assert inside.min() > 1e-6 * inside.max(), (
                    "gathered: some of the frames 50 to 59 have no error."
                )
    return "The same number, and two different errors."


# %% tags=["exercise"]
def even(x, score):
    """Inversions (d, 1, 115, 80) with the same error everywhere."""
    ...


def gathered(x, score):
    """Inversions whose error lies in frames 50 to 59."""
    ...


check_two_errors(even, gathered)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def scaled(x, error, score):
    """Add an error, made so large that the NRE is right: NRE grows in proportion to it."""
    return x + error * (score / svdlib.nre(x, x + error))


def even(x, score):
    return scaled(x, torch.randn_like(x), score)


def gathered(x, score):
    error = torch.zeros_like(x)
    error[:, :, 50:60] = torch.randn_like(error[:, :, 50:60])
    return scaled(x, error, score)


torch.manual_seed(seed)
display(check_two_errors(even, gathered))

two_errors = {"error everywhere": even, "error in ten frames": gathered}
display(
    Gallery(
        [
            Panel(
                f"{name}: NRE {svdlib.nre(x, made):.2f}",
                detector.standardizer.inverse(made[0, 0]).detach().cpu(),
                made[0, 0].cpu(),
            )
            for name, made in (
                (name, make(x, 0.3)) for name, make in two_errors.items()
            )
        ]
    )
)
display(
    Markdown(
        "The same NRE, once as a hiss over the whole excerpt, once as a burst of noise in an excerpt that is perfect otherwise. No number that adds up all frames and bands can tell them apart."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mahendran2015` introduce the error measure, for images.
# - {cite:t}`mishra2018`, section 3.4, is the experiment repeated here.
# - {cite:t}`ramona2008` and {cite:t}`goto2002` describe the two corpora of the paper, Jamendo and RWC.
