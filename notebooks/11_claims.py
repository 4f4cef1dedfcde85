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
# # What the paper says, and what we found
#
# :::{admonition} Before you start
# :class: tip
# **What you will learn**
# - what became of each statement of the paper, with a number and its uncertainty;
# - how to turn a sentence into something that can fail;
# - why "not reproduced" is not the same as "wrong".
#
# **Prerequisites:** {doc}`04_quantitative_nre` and {doc}`05_qualitative_analysis`.
#
# **Minutes:** 25 to read and try; a few seconds to run.
# :::

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %%
import pandas as pd
from IPython.display import Markdown, display

from svdlib.figures_claims import figure_claims
from svdlib.studies import claims, load_results

entries = claims.ledger()

# %% [markdown]
# ## From a sentence to a test
#
# Whoever repeats a study is in danger of finding what they look for. "The error is about 15 % larger": is 8 % about 15 %? One can answer after seeing the number, and will be generous or strict as one likes. So for every claim we wrote down three things before the studies below were run. (We were not quite innocent: the NRE of the shipped inverters on the test songs was known to us from earlier measurements.)
#
# - **A number** that the claim is about, computed from values of single songs, so that it has a 95 % interval: we draw songs anew, with repetition, and look at the middle 95 % of the results ({doc}`04_quantitative_nre`).
# - **Where it must lie** for the claim to be reproduced. A percentage of the paper, for example, is reproduced if ours lies within half of it on either side.
# - **Where it must lie** for the claim to hold at least in its direction.
#
# Then the verdict follows from the interval, and nobody has to decide anything:
#
# | verdict | the interval lies |
# |---|---|
# | reproduced | where the claim wants it, all of it |
# | differs | where the direction of the claim holds, but its size does not |
# | not reproduced | where not even the direction holds |
# | undecided | across a bound: other songs could have decided otherwise |
#
# The first number of each claim decides. It is measured as the paper did, with inverters of the published architecture, on the test songs of the corpus that they were trained on. The other numbers are there for comparison: our own aligned inverters ({doc}`02_inverter_design`), and real songs.
#
# What differs from the paper in every line: our detector and inverters learned from synthetic songs, and the inverters learned for an hour on two processor cores. The five real songs are few; their intervals are wide, and a little too narrow even so.
#
# ## The ledger

# %% tags=["hide-input"] figure="claims" mystnb={"image": {"alt": "One box for each claim of the paper. Lines are 95 percent intervals of the measured number for synthetic and real songs, published and aligned inverters. The grey area is where the claim wants the number. All values and verdicts are in the tables below."}}
figure_claims(entries)

# %% [markdown]
# Each box is a claim. The filled mark is the number that decides, the line its interval; it should lie in the grey area. Circles are published inverters, diamonds aligned ones. Blue is for synthetic test songs, green for `synthetic-b`, on which nothing was trained, orange for real songs.

# %% tags=["remove-input"]
verdicts = [entry.verdict for entry in entries]
counts = {name: verdicts.count(name) for name in claims.VERDICTS}
display(
    Markdown(
        f"Of {len(entries)} claims, this many are reproduced: {counts['reproduced']}; hold in direction but not in size: {counts['differs']}; "
        f"are not reproduced: {counts['not reproduced']}; cannot be decided with these songs: {counts['undecided']}."
    )
)

# %% tags=["hide-input"]
pd.DataFrame(
    [
        {
            "the paper says": f"{entry.claim.said} (section {entry.claim.section})",
            "verdict": entry.verdict,
        }
        for entry in entries
    ]
).style.hide(axis="index")

# %% [markdown]
# ## Claim by claim
#
# *Computed in* leads to the chapter and the place where the same number is computed from scratch, on the songs that this book was built with.


# %% tags=["remove-input"]
parts = []
for number, entry in enumerate(entries, start=1):
    claim = entry.claim
    readings = "\n".join(
        f"- {reading.corpus}, {reading.family}: {reading.interval:{claim.unit}}, {reading.verdict}"
        for reading in entry.readings
    )
    parts.append(
        f"### {number}. {claim.short}\n\n"
        f"**The paper** (section {claim.section}): {claim.said}\n\n"
        f"**Our number:** {claim.number}. Reproduced if {claim.agrees.in_words(claim.unit)}.\n\n"
        f"{readings}\n\n"
        f"**{entry.verdict.capitalize()}.** {entry.because} "
        f'<a href="{claim.place[0]}.html#{claim.place[1]}">Computed here</a>.'
    )
display(Markdown("\n\n".join(parts)))


# %% tags=["remove-input"]
def measured_on(found):
    """The day of a study, or of its first corpus where each has its own."""
    return found.get("date") or next(iter(found["corpora"].values()))["date"]


dates = {
    name: measured_on(found)
    for name in claims.numbers.SOURCES
    if (found := load_results(name)) is not None
}
display(
    Markdown(
        "The numbers come from stored results of the studies "
        + ", ".join(f"`{name}` ({date})" for name, date in dates.items())
        + ". `make claims REAL=folder:my_songs` measures everything again, from the shipped weights, and prints the ledger. A test of this repository fails when a verdict changes and its explanation does not."
    )
)

# %% [markdown]
# ## What a "no" means
#
# A claim of the paper is about its detector, its inverters and its songs. Ours are others. So "not reproduced" says: this does not follow from the method alone. It needs something that the paper had and we do not have, or the other way round. What that something is, the sentence below each table guesses at; where an ablation has tested the guess, it says so.
#
# And "reproduced" says no more than that the number lies where the claim wants it. A number can be right for another reason. The error at FC8 is the largest with nearly any inverter, simply because its feature is the smallest.
#
# ## Take-away
#
# - A sentence becomes a test by a number, its interval, and bounds that are fixed beforehand.
# - Four verdicts are more honest than two: "in direction, not in size" and "cannot be decided" are results.
# - Of what a paper says about a network, some belongs to the layers, and some to the tools that looked at them. Change the tool and see what stays.
#
# ## Exercises
#
# **1. Stricter bounds.** Suppose a percentage had to lie within a quarter of the paper's, not within half. Which verdicts change?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# from svdlib.studies.claims import Bounds, judge
#
# for entry in entries:
#     if entry.claim.key in ("mp6-fc7", "conv5-fc7"):
#         share = 0.15 if entry.claim.key == "mp6-fc7" else -0.18
#         strict = Bounds(*sorted((0.75 * share, 1.25 * share)))
#         interval = entry.readings[0].interval
#         print(entry.claim.key, judge(interval, strict, entry.claim.direction))
# ```
# A bound that is fixed afterwards can make nearly any verdict come out. That is why ours were not.
# :::
#
# **2. Fewer songs.** Take the first half of the test songs and compute the interval of "MP6 to FC7" again. How much wider is it? How many songs would make it half as wide?
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# from svdlib.studies.comparisons import change_interval
#
# errors = claims.numbers.errors_of(
#     {"reconstruction_error": load_results("reconstruction_error")},
#     "synthetic",
#     "published",
# )
# for songs in (len(errors["mp6"]), len(errors["mp6"]) // 2):
#     found = change_interval(errors["mp6"][:songs], errors["fc7"][:songs])
#     print(songs, f"{found:+.1%}")
# ```
# The width goes with one over the square root of the number of songs. Half the width needs four times as many songs.
# :::
#
# **3. Another claim.** The paper says that MP6's feature is 19 times larger than FC7's. Is the change of the NRE from one layer to the next related to the change in size at all? Use the NRE of all layers and {py:data}`svdlib.LAYER_SHAPES`.
#
# :::{admonition} Solution
# :class: dropdown
# ```python
# import numpy as np
# import svdlib
#
# layers = list(svdlib.LAYERS)
# sizes = np.log([np.prod(svdlib.LAYER_SHAPES[layer]) for layer in layers])
# nre = np.array([np.mean(errors[layer]) for layer in layers])
# print(np.corrcoef(np.diff(sizes), np.diff(nre))[0, 1])
# ```
# `errors` is that of exercise 2. With seven steps a correlation must be very strong to mean anything, and the steps at Conv1 and Conv4, where the feature grows, cannot be losses at all.
# :::
#
# ## Further reading
#
# - {cite:t}`mishra2018` is the paper; its sections are named with each claim.
# - {doc}`../book/published` compares the paper, its released code and this library step by step.
