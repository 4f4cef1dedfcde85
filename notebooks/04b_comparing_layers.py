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
# # Comparing layers
#
# **Do the paper's statements about the error of its layers hold?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - why two layers must be compared on the same songs;
# - how to hold one's numbers against a paper's statements without fooling oneself;
# - what another corpus, and another objective, change.
#
# **Prerequisites:** {doc}`04_quantitative_nre`.
#
# **Minutes:** 10 to read, 25 for the exercises, less than one to run.
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
from svdlib.inversion.nre import (
    EvaluationPlan,
    evaluation_sets,
    mean_excerpt,
    reconstruct,
)
from svdlib.lab.analysis import intervals
from svdlib.lab.figures.nre import figure_intervals, figure_nre
from svdlib.lab.figures.style import layer_title
from svdlib.lab.studies import (
    inverter_ablation,
    label_of,
    load_results,
    reconstruction_error,
)
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.recipes import bank_of

device = choose_device(device)
n_sets = {"demo": 2, "laptop": 5, "full": 10}[profile]
n_test = {"demo": 16, "laptop": 16, "full": None}[profile]
n_train = {"demo": 8, "laptop": 16, "full": None}[profile]

collection = svdlib.open_corpus(corpus)
detector = svdlib.pretrained("detector").to(device)
plan = EvaluationPlan(sets=n_sets, per_song=8, seed=seed)


def inverters_of(family):
    return {
        layer: inverter.to(device)
        for layer, inverter in svdlib.pretrained_inverters(family).items()
    }


test_songs = svdlib.load_songs(collection.split("test")[:n_test])
test = bank_of(test_songs, detector, device)

# %% tags=["hide-input"]
stored = load_results("reconstruction_error")
sources = {
    f"{label_of(name)} ({each['songs']})": each
    for name, each in (stored["corpora"] if stored else {}).items()
}
if not sources or not corpus.startswith("synthetic"):
    # Other songs than those of the study are measured here.
    train_songs = svdlib.load_songs(collection.split("train")[:n_train])
    own = reconstruction_error.measure(
        detector,
        {"published": inverters_of("published")},
        test,
        mean_excerpt(bank_of(train_songs, detector, device)),
        plan,
    )
    sources = {f"your test songs ({own['songs']})": own} | sources
first_name, first = next(iter(sources.items()))
curves = {
    source: reconstruction_error.per_song(each, "published")
    for source, each in sources.items()
}


def over_corpora(statistic):
    """A statement's interval for each source of songs."""
    return {source: statistic(of) for source, of in curves.items()}


steps = over_corpora(intervals.step_intervals)
growing = over_corpora(intervals.growing_share)

# %% [markdown]
# *The paper: NRE is smaller for shallower layers and largest for FC8.* Here is each step from a layer to the next, on each corpus. Above the line, the error grows.

# %% tags=["hide-input"] figure="steps-between-layers" mystnb={"image": {"alt": "The seven steps from each layer to the next, as differences in NRE with 95 percent intervals, on each corpus. Steps above the zero line mean that the error grows. The table below names those that do not."}}
figure_intervals(
    {
        "Steps of the NRE": {
            source: {
                f"{layer_title(a)}\nto {layer_title(b)}": step
                for (a, b), step in steps[source].items()
            }
            for source in steps
        }
    },
    "difference in NRE",
)

# %% [markdown]
# Whatever follows is computed from the stored study of {doc}`04_quantitative_nre`: the NRE of every layer, song by song, for ten evaluation sets on three corpora. The inverters are the published ones. If you run this chapter on a corpus of your own, its test songs are measured as well and come first.
#
# ## The same songs for both
#
# The paper makes several statements about its figure 5. Our detector, our songs and our training differ from its own, so equal numbers would be a coincidence. But do the *statements* hold? We compute each one below; {doc}`11_claims` judges them.
#
# Every such statement compares two numbers that come from the same songs. Some songs are hard for every inverter and some are easy for all. This makes the interval of each single number wide; but it cancels in the comparison, if both layers are compared on the same draw of songs (*paired*). Watch how much that brings, for MP6 and FC7:

# %%
curve = reconstruction_error.per_song(first, "published")
paired_fc7 = intervals.difference_interval(curve["fc7"], curve["mp6"])
apart = intervals.unpaired_difference_interval(curve["fc7"], curve["mp6"])
alone = reconstruction_error.nre_of(first, "published")
print(f"MP6          {alone['mp6']:.3f}")
print(f"FC7          {alone['fc7']:.3f}")
print(f"FC7 - MP6    {paired_fc7:+z.3f}  paired")
print(f"             {apart:+z.3f}  as if the songs were different ones")

# %% tags=["remove-input"]
if paired_fc7.is_known:
    narrower = (apart.high - apart.low) / (paired_fc7.high - paired_fc7.low)
    text = f"The paired interval is {narrower:.1f} times as narrow. "
    text += (
        "It excludes zero: that FC7 is worse than MP6 is no luck of the songs. "
        if paired_fc7.lies_above(0)
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

# %% [markdown]
# (claim-order)=
# ## Does the error grow with every layer?
#
# The steps are drawn at the top of this chapter. Here is what they say.


# %% tags=["remove-input"]
def names_of(pairs):
    return ", ".join(
        f"{layer_title(a)} to {layer_title(b)}" for a, b in pairs
    )


rows = []
for source, of_source in steps.items():
    up = [pair for pair, step in of_source.items() if step.lies_above(0)]
    down = [pair for pair, step in of_source.items() if step.lies_below(0)]
    open_ = [pair for pair in of_source if pair not in up + down]
    top = max(
        curves[source], key=lambda layer: np.mean(curves[source][layer])
    )
    rows.append(
        {
            "songs": source,
            "surely grow": f"{len(up)} of {len(of_source)}",
            "surely shrink": names_of(down) or "none",
            "not decided": names_of(open_) or "none",
            "all grow, share of draws": f"{growing[source]:.0%}"
            if sources[source]["songs"] > 1
            else "–",
            "largest error": layer_title(top),
        }
    )
display(pd.DataFrame(rows).style.hide(axis="index"))
ever_down = {
    pair
    for of_source in steps.values()
    for pair, step in of_source.items()
    if step.lies_below(0)
}
text = '"Surely" means that the whole interval lies on one side of zero.'
if ever_down:
    text += " A deeper layer cannot know more than a shallower one, since it is computed from it. So where the error shrinks, the inverters differ in what they can paint and in how well they were trained."
display(Markdown(text))

# %% [markdown]
# (claim-conv5-fc7)=
# (claim-mp6-fc7)=
# (claim-conv2-mp3)=
# ## Three changes
#
# *The paper names three changes of the NRE: that of Conv5 is about 18 % less than that of FC7; between MP6 and FC7, where 4928 numbers become 256, it changes by about 15 %; and there is a large increase from Conv2 to MP3,* where pooling leaves a ninth of the values. "Large" needs a yardstick. We take the mean of all seven steps, and ask by how much this one is larger.

# %% tags=["hide-input"]
lower = over_corpora(
    lambda of: intervals.change_interval(before=of["fc7"], after=of["conv5"])
)
change = over_corpora(
    lambda of: intervals.change_interval(before=of["mp6"], after=of["fc7"])
)
excess = over_corpora(lambda of: intervals.step_excess(of, "conv2"))
largest = {
    source: max(of_source, key=lambda pair: of_source[pair].value)
    for source, of_source in steps.items()
}
pd.DataFrame(
    [
        {
            "songs": "the paper",
            "Conv5 against FC7": "−18%",
            "MP6 to FC7": "+15%",
            "Conv2 to MP3, less the mean step": "large",
            "largest step": "",
        }
    ]
    + [
        {
            "songs": source,
            "Conv5 against FC7": f"{lower[source]:+z.1%}",
            "MP6 to FC7": f"{change[source]:+z.1%}",
            "Conv2 to MP3, less the mean step": f"{excess[source]:+z.3f}",
            "largest step": names_of([largest[source]]),
        }
        for source in curves
    ]
).style.hide(axis="index")

# %% [markdown]
# (claim-second-corpus)=
# ## Another corpus
#
# *The paper: on the second corpus, RWC, the error is larger for all layers but Conv1 and Conv2.* We compare the corpora layer by layer; their songs are different, so both are drawn, each with the yardstick $N_c$ of its own draw. Where songs resemble each other more, the same distance counts for more. A second yardstick is the mean predictor on the same songs: what is hard for it is hard for an inverter too, and $N_c$ drops out. So we also compare the NRE as a *share of the mean predictor's*. The ledger judges by the NRE, as the paper does; we chose the share afterwards, when we knew both numbers.

# %% tags=["hide-input"]
others = [source for source in curves if source != first_name]
apart_by = {
    source: np.array(each["between"]) for source, each in sources.items()
}
gaps = {
    source: {
        layer_title(layer): intervals.unpaired_nre_change_interval(
            *(
                (np.array(curves[name][layer]), apart_by[name])
                for name in (first_name, source)
            )
        )
        for layer in svdlib.LAYERS
    }
    for source in others
}

# %% tags=["hide-input"]
blank = {
    source: each["mean_predictor"]["per_song"]
    for source, each in sources.items()
}
share_gaps = {
    source: {
        layer_title(layer): intervals.unpaired_share_change_interval(
            before=(curves[first_name][layer], blank[first_name]),
            after=(curves[source][layer], blank[source]),
        )
        for layer in svdlib.LAYERS
    }
    for source in others
}

# %% tags=["hide-input"] figure="other-corpora" mystnb={"image": {"alt": "Two panels: change of the NRE of each layer from the test songs to each other corpus, in percent with 95 percent intervals, above as it is, below as a share of the mean predictor's error. Points above the zero line mean a larger error. The table below says which intervals exclude zero."}}
figure_intervals(
    {"NRE": gaps, "NRE as a share of the mean predictor's": share_gaps},
    f"change from {first_name}",
    percent=True,
)

# %% tags=["remove-input"]
rows = []
for source in gaps:
    row = {"songs": source}
    for name, of in (("NRE", gaps[source]), ("share", share_gaps[source])):
        above = [layer for layer, gap in of.items() if gap.lies_above(0)]
        below = [layer for layer, gap in of.items() if gap.lies_below(0)]
        row[f"{name} surely larger at"] = ", ".join(above) or "no layer"
        row[f"{name} surely smaller at"] = ", ".join(below) or "no layer"
    rows.append(row)
unfair = (
    "*synthetic-c* is made by the program that made the training songs; only the real songs are a test like the paper's, they are few, and they guided the making of that program (*Does it hear real singing?*)."
    if corpus.startswith("synthetic")
    else "the inverters were trained on synthetic songs, so the other corpora are the more familiar ones, and yours is new."
)
if first["songs"] < 2:
    unfair += " With a single song of yours there is no interval, so nothing here can be sure."
display(pd.DataFrame(rows).style.hide(axis="index"))
display(Markdown(f"Bear in mind: {unfair}"))

# %% [markdown]
# (claim-objectives)=
# ## The same layers, another objective
#
# The paper trains each inverter twice: to make the input loss small, or to make input loss and feature loss small together ({doc}`03_training`). *It finds that the NRE with the input loss alone is similar or slightly lower.* We compare trainings that differ in nothing else.

# %% tags=["hide-input"]
ablation = load_results("inverter_ablation") if stored else None
objectives = {}
if ablation:
    # The test songs of the other study, whose distances it stores.
    between = np.array(next(iter(stored["corpora"].values()))["between"])
    own_songs, *_ = inverter_ablation.corpora_of(ablation)
    objectives = {
        corpus_name: {
            layer: intervals.change_interval(joint, alone)
            for layer, joint, alone in zip(
                svdlib.LAYERS,
                inverter_ablation.per_song(
                    ablation, "joint", "best", corpus_name
                ).values(),
                inverter_ablation.per_song(
                    ablation, "input", "best", corpus_name
                ).values(),
                strict=True,
            )
        }
        for corpus_name in inverter_ablation.corpora_of(ablation)
    }

# %% tags=["remove-input"] figure="nre-objectives" mystnb={"image": {"alt": "Normalised reconstruction error over the eight layers for inverters trained with the joint loss, with the input loss alone, and with the released training step, on the synthetic test songs, with 95 percent intervals."}}
if ablation:
    display(
        figure_nre(
            {
                f"{name} objective": inverter_ablation.nre_of(
                    ablation, name, own_songs, between
                )
                for name in ("joint", "input", "released")
            },
            {},
        )
    )

# %% tags=["remove-input"]
no_ablation = "This copy of the library holds no result of `python -m svdlib.lab.studies.inverter_ablation`, so there is nothing to show here."


def training_note():
    plan_ = ablation["plan"]
    short = inverter_ablation.per_song(ablation, "joint", "best", own_songs)
    same_songs = (name for name in sources if name.startswith("synthetic ("))
    shown = next(same_songs, first_name)
    shipped = [
        each["published"]["nre"] for each in sources[shown]["layers"].values()
    ]
    return (
        f"These are short trainings of their own, of {ablation['updates']} updates with {plan_['batch_size']} excerpts each, from one seed. "
        f"On the {own_songs}, their joint loss leads to a mean NRE over all layers of {np.mean(list(short.values())):.3f}; the shipped inverters of the same family, trained longer, have {np.mean(shipped):.3f} on *{shown}*. "
        "The intervals come from the songs, and know nothing of the luck of a training: another seed could move every number."
    )


if ablation:
    rows = [
        {"layer": layer_title(layer)}
        | {name: f"{of[layer]:+z.2%}" for name, of in objectives.items()}
        for layer in svdlib.LAYERS
    ]
    display(pd.DataFrame(rows).style.hide(axis="index"))
    gaps_of_all = {
        (name, layer): gap
        for name, of in objectives.items()
        for layer, gap in of.items()
    }
    far = max(gaps_of_all, key=lambda key: abs(gaps_of_all[key].value))
    display(
        Markdown(
            f"The table shows the change of the NRE from the joint loss to the input loss alone. The largest is {gaps_of_all[far]:+z.2%}, at {layer_title(far[1])} on *{far[0]}*. "
            + (
                "The feature loss, a mean as in the released code, hardly moves anything. "
                if abs(gaps_of_all[far].value) < 0.02
                else ""
            )
            + training_note()
        )
    )
else:
    display(Markdown(no_ablation))

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
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
# - Compare two layers on the same songs: what makes a song hard for both cancels.
# - A statement like "large" needs a yardstick before one looks.
# - Corpora have yardsticks of their own: compare shares of the mean predictor too.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-song-interval)=
# ### Exercise 1: An interval from songs
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

sets = evaluation_sets(test, plan)
x = test.cut(sets[0])
fc8 = svdlib.pretrained("inverter", layer="fc8").to(device)
x_hat = reconstruct(detector, {"fc8": fc8}, x)["fc8"]
song_of = np.repeat(np.arange(len(x) // plan.per_song), plan.per_song)
yardstick = torch.pdist(x.flatten(1).cpu()).mean().item()
distances = ((x - x_hat).flatten(1).norm(dim=1).cpu() / yardstick).numpy()
low, high = song_interval(distances, song_of)
excerpts = intervals.mean_interval(distances)
if len(set(song_of)) > 1:
    wider = (high - low) / (excerpts.high - excerpts.low)
    text = f"FC8, one set: {distances.mean():.3f}. Over its {len(set(song_of))} songs {low:.3f} to {high:.3f}, over its {len(x)} excerpts {excerpts.low:.3f} to {excerpts.high:.3f}. The one over songs is {wider:.1f} times as wide. Believe it: excerpts of one song share its singer, its instruments and its mix, while the bootstrap over excerpts takes them for independent."
else:
    text = "There is only one song, and no interval over songs. The one over its excerpts says nothing of other songs."
display(Markdown(text))

# %% [markdown]
# (exercise-paired)=
# ### Exercise 2: The same songs for both
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
        f"Of the seven steps on *{first_name}*, {n_paired} are decided if both layers have the same songs, {n_apart} if each draws its own. "
        "To draw differences is the same as to draw songs for both: a song's difference holds what it does to both layers."
        if paired_fc7.is_known
        else "There is only one song, and nothing is decided by it."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018`, section 3.4, has the statements, and its figure 5 the curves.
