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
# **What became of each claim of the paper?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - what became of each statement of the paper, with a number and its uncertainty;
# - how to turn a sentence into something that can fail;
# - why "not reproduced" is not the same as "wrong".
#
# **Prerequisites:** {doc}`04b_comparing_layers` and {doc}`05b_kept_structure`.
#
# **Minutes:** 11 to read, 90 for the exercises, a few seconds to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from itertools import permutations

import numpy as np
import pandas as pd
from IPython.display import Markdown, display

import svdlib
from svdlib.detector.model import LAYER_SHAPES
from svdlib.lab.analysis.verdicts import VERDICTS, standing
from svdlib.lab.figures.claims import figure_claims
from svdlib.lab.studies import claims, load_results
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

entries = claims.ledger()

# %% [markdown]
# ## The ledger

# %% tags=["hide-input"] figure="claims" mystnb={"image": {"alt": "One row for each claim of the paper, with a light: a green circle for reproduced, a yellow diamond for differs, a red cross for not reproduced, a grey square for undecided. Beside it the measured numbers with their 95 percent intervals, before a grey area: where the claim wants its number. All values and verdicts are in the tables below."}}
figure_claims(entries)

# %% [markdown]
# Each row is a claim, and its light is the verdict. For a green one, the whole interval of the filled mark lies in the grey area. Each row has a scale of its own; the numbers below it are the bounds of the area. Nothing was trained on `synthetic-c` and on the real songs. Among many verdicts some may be luck. How many stand if all are judged together is computed as {cite:t}`benjamini1995` do.

# %% tags=["remove-input"]
verdicts = [entry.verdict for entry in entries]
counts = {name: verdicts.count(name) for name in VERDICTS}
stands = standing(entries)
fallen = [
    f"*{entry.claim.short}*"
    for entry, each in zip(entries, stands, strict=True)
    if not each and entry.verdict != "undecided"
]
together = (
    f"Each verdict rests on an interval that misses the truth in 5 % of all cases. Of {len(entries)} independent ones, at least one would miss in {1 - 0.95 ** len(entries):.0%}. "
    f"If at most 5 % of the verdicts that are given may be wrong, {sum(stands)} stand"
    + (
        f"; these do not: {', '.join(fallen)}."
        if fallen
        else ": all that were given."
    )
)
display(
    Markdown(
        f"Of {len(entries)} claims, {counts['reproduced']} could be reproduced, {counts['differs']} hold in direction but not in size, "
        f"{counts['not reproduced']} could not be reproduced, and {counts['undecided']} cannot be decided with these songs.\n\n"
        + together
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
# ## From a sentence to a test
#
# Whoever repeats a study is in danger of finding what they look for. "The error is about 15 % larger": is 8 % about 15 %? One can answer after seeing the number, and will be generous or strict as one likes. So for every claim we wrote down three things before the studies were run. (We were not quite innocent: the NRE of the shipped inverters on the test songs was known to us from earlier measurements.)
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
# The first number of each claim decides. It is measured as the paper did, with inverters of the published architecture, on the test songs of the corpus that they were trained on. The other numbers are there for comparison: our own aligned inverters ({doc}`02b_aligned_inverters`), and real songs.
#
# What differs from the paper in every line: our detector and inverters learned from synthetic songs, and the inverters learned for an hour on two processor cores. The five real songs guided the making of those ({doc}`06_real_singing`); they are few, and their intervals are wide, and a little too narrow even so.

# %% [markdown]
# ## Claim by claim
#
# *Computed here* leads to the place in a chapter where the number is computed step by step.


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
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A number lies where the claim wants it, but its interval reaches across the bound. What is the verdict?",
        [
            Answer(
                "Undecided: with other songs it could lie outside.",
                "The verdict is on what holds for songs in general, and these few songs cannot tell on which side of the bound that is.",
                right=True,
            ),
            Answer(
                "Reproduced: the number is what was measured.",
                "The number is that of these songs. Somebody with other songs, from the same source, could measure one on the other side.",
            ),
            Answer(
                "Not reproduced: the interval is not all inside.",
                "For a no, not even the direction of the claim may hold, for the whole interval. That some of it lies outside is too little for a yes, and too little for a no, too.",
            ),
        ],
    ),
    Question(
        "Why were the bounds written down before the studies were run?",
        [
            Answer(
                "Who knows the number chooses bounds that suit it.",
                "Nobody has to cheat for that. It is enough to find a bound reasonable once one sees that the number meets it.",
                right=True,
            ),
            Answer(
                "Who knows the bounds gets narrower intervals.",
                "The interval comes from the songs alone. Bounds have no part in it; they only say how it is read.",
            ),
            Answer(
                "Bounds from the paper need no choice, ours do.",
                "The paper gives percentages without intervals. How near to them is near enough, somebody must choose in any case.",
            ),
        ],
    ),
    Question(
        "A percentage of the paper comes out with published inverters, and is missed by far with aligned ones. Whose is it?",
        [
            Answer(
                "It belongs to the inverters, at least in part.",
                "The layers are the same for both families. What changes with the inverter cannot be a property of the layers alone.",
                right=True,
            ),
            Answer(
                "It belongs to the layers, as the paper says.",
                "Then it would have to stay when one looks at the same layers with another tool. It does not.",
            ),
            Answer(
                "It belongs to the songs, which differ from the paper's.",
                "Both families were measured on the same songs. So songs cannot be why these two numbers differ.",
            ),
        ],
    ),
    Question(
        "A claim is not reproduced. What does this say of the paper?",
        [
            Answer(
                "The claim does not follow from the method alone.",
                "It needs something that the paper had and we do not have, or the other way round: its songs, its detector, its training.",
                right=True,
            ),
            Answer(
                "The claim was wrong, for other songs as well.",
                "It may well be right for the paper's detector, inverters and songs. Ours are others, and nothing here was measured on theirs.",
            ),
            Answer(
                "The claim cannot be tested with other songs.",
                "It was tested, and the whole interval lay on the other side. What is open is what makes the difference.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A sentence becomes a test by a number, its interval, and bounds that are fixed beforehand.
# - Four verdicts are more honest than two: "in direction, not in size" and "cannot be decided" are results.
# - Of what a paper says about a network, some belongs to the layers, and some to the tools that looked at them. Change the tool and see what stays.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.
#
# (exercise-verdict)=
# ### Exercise 1: The verdict
#
# *Easy, 10 minutes.*
#
# Write `verdict_of(low, high, agrees, direction)`. The interval reaches from `low` to `high`. `agrees` and `direction` are pairs (from, to): where the number must lie for the claim to be reproduced, and where it must lie for its direction to hold. Either end may be infinite, and `agrees` lies within `direction`. Return one of the four verdicts of the table above, as a string.
#
# :::{dropdown} First hint
# Two questions for each pair of bounds: does the whole interval lie inside, does the whole interval lie outside?
# :::
#
# :::{dropdown} Second hint
# Inside `agrees` settles the first verdict, outside of `direction` the second. Inside `direction` and outside of `agrees` is the third, and everything else the fourth.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_verdict(verdict_of):
    infinite = float("inf")
    more = (0.1, 0.2), (0.0, infinite)
    less = (-0.3, -0.1), (-infinite, 0.0)
    above = (0.0, infinite), (0.0, infinite)
    yes, size, no, open_ = VERDICTS
    inside = "It lies inside `agrees`, all of it."
    only_direction = "It lies outside `agrees` and inside `direction`."
    outside = "It lies outside `direction`, all of it."
    crosses = "It lies across a bound."
    for low, high, bounds, expected, why in (
        (0.12, 0.18, more, yes, inside),
        (-0.25, -0.15, less, yes, inside),
        (0.01, 0.05, above, yes, inside),
        (0.03, 0.07, more, size, only_direction),
        (0.3, 0.4, more, size, only_direction),
        (-0.6, -0.5, less, size, only_direction),
        (-0.2, -0.1, more, no, outside),
        (0.1, 0.2, less, no, outside),
        (0.08, 0.14, more, open_, crosses),
        (0.06, 0.12, more, open_, crosses),
        (0.05, 0.3, more, open_, "It lies across two bounds."),
        (-0.01, 0.06, more, open_, crosses),
        (-0.04, 0.01, more, open_, crosses),
        (-0.4, -0.2, less, open_, crosses),
        (-0.1, 0.5, above, open_, crosses),
        (-1.0, 1.0, more, open_, "It lies across every bound."),
    ):
        got = verdict_of(low, high, *bounds)
        assert got in VERDICTS, (
            f"{got!r} is no verdict. There are: {', '.join(VERDICTS)}."
        )
        assert got == expected, (
            f"An interval from {low} to {high}, with `agrees` {bounds[0]} and `direction` {bounds[1]}, gives {expected!r}, not {got!r}. {why}"
        )


# %% tags=["exercise"]
def verdict_of(low, high, agrees, direction):
    """The verdict on an interval, one of four strings."""
    ...


check_verdict(verdict_of)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def verdict_of(low, high, agrees, direction):
    def inside(bounds):
        return bounds[0] <= low and high <= bounds[1]

    def outside(bounds):
        return high < bounds[0] or bounds[1] < low

    if inside(agrees):
        return "reproduced"
    if outside(direction):
        return "not reproduced"
    if inside(direction) and outside(agrees):
        return "differs"
    return "undecided"


display(check_verdict(verdict_of))
changed = []
for entry in entries:
    wanted = [
        (bounds.low, bounds.high)
        for bounds in (entry.claim.agrees, entry.claim.direction)
    ]
    value = entry.readings[0].interval.value
    without = verdict_of(value, value, *wanted)
    if without != entry.verdict:
        changed.append(
            f"- {entry.claim.short}: {without} in place of {entry.verdict}"
        )
display(
    Markdown(
        f"Without intervals, the number alone would decide, and nothing would be undecided. Of {len(entries)} verdicts, this many would change: {len(changed)}.\n\n"
        + "\n".join(changed)
    )
)

# %% [markdown]
# (exercise-sentence-to-number)=
# ### Exercise 2: From a sentence to a number
#
# *Easy, 10 minutes.*
#
# "The error grows with depth" is a sentence about all layers. The ledger turns it into a single number. Write `smallest_step(nre)`: `nre` has the errors of the layers, from the shallowest to the deepest. Take the steps from each layer to the next, and return the smallest of them, divided by the size of the average step. The size has no sign.
#
# :::{dropdown} First hint
# A step is the difference of two neighbours: `np.diff`. There are as many steps as layers, less one.
# :::
#
# :::{dropdown} Second hint
# Take the smallest of the steps, with its sign, and divide it by the absolute value of their mean.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_step(smallest_step):
    for nre, expected, what in (
        ([1.0, 2.0, 3.0, 4.0], 1.0, "All steps are average ones."),
        ([0.0, 4.0, 1.0, 2.0, 3.8], -3 / 0.95, "The error falls once."),
        ([0.0, 0.5, 3.0], 0.5 / 1.5, "The smallest step is the first one."),
        ([0.1, 0.1, 0.5], 0.0, "One step is none at all."),
        ([3.0, 2.0, 1.0], -1.0, "The error falls in every step."),
        ([0.3, 0.9, 0.8, 0.9, 1.1], -0.5, "The error falls once."),
    ):
        got = float(smallest_step(np.array(nre)))
        steps = np.diff(nre)
        hint = ""
        if expected != 0:
            for wrong, why in (
                (steps.min(), "Divide by the size of the average step."),
                (-expected, "The sign is wrong; a size has none."),
                (
                    steps.min() / abs(steps).mean(),
                    "Take the size of the average, not the average of the sizes.",
                ),
                (
                    abs(steps).min() / abs(steps.mean()),
                    "A step that falls is smaller than any that grows.",
                ),
                (
                    np.diff(np.sort(nre)).min() / abs(steps.mean()),
                    "The layers stand in their order; leave it.",
                ),
            ):
                if np.isclose(got, wrong) and not hint:
                    hint = f" {why}"
        assert np.isclose(got, expected, atol=1e-6), (
            f"For {nre} it is {expected:.3f}, not {got:.3f}. {what}{hint}"
        )


# %% tags=["exercise"]
def smallest_step(nre):
    """The smallest step between layers, in average steps."""
    ...


check_step(smallest_step)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def smallest_step(nre):
    steps = np.diff(nre)
    return steps.min() / abs(steps.mean())


display(check_step(smallest_step))
stored = {"reconstruction_error": load_results("reconstruction_error")}
errors = {
    family: claims.numbers.errors_of(stored, "synthetic", family)
    for family in ("published", "aligned")
}
layers = list(svdlib.LAYERS)
lines = []
for family, of_layers in errors.items():
    nre = [np.mean(of_layers[layer]) for layer in layers]
    at = int(np.argmin(np.diff(nre)))
    lines.append(
        f"- {family}: {smallest_step(nre):+z.2f}, from `{layers[at]}` to `{layers[at + 1]}`"
    )
display(
    Markdown(
        "The smallest step of each family of inverters, in average steps:\n\n"
        + "\n".join(lines)
        + "\n\nOne bad step is enough to make the number negative. That is hard on the claim, but it is what the sentence says. Who means *mostly* has to say so, and would get another number."
    )
)

# %% [markdown]
# (exercise-tolerance)=
# ### Exercise 3: How strict is strict?
#
# *Medium, 10 minutes.*
#
# Two claims are percentages. We let them count as reproduced within half of the paper's number on either side. Write `tolerance(share, low, high)`: the smallest part of `share`, such as 0.5 for half of it, by which one has to widen it on either side until the whole interval from `low` to `high` lies inside. `share` may be negative, as in "18 % less", -0.18. Which verdicts would change if a quarter had been the rule?
#
# :::{dropdown} First hint
# The interval is inside once its *farther* end is. How far is each end from the share?
# :::
#
# :::{dropdown} Second hint
# Take the larger of the two distances, and express it in parts of the share. A share may be negative; a tolerance may not.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_tolerance(tolerance):
    for share, low, high, expected in (
        (0.2, 0.18, 0.24, 0.2),
        (0.2, 0.14, 0.22, 0.3),
        (0.1, 0.15, 0.16, 0.6),
        (-0.2, -0.24, -0.18, 0.2),
        (-0.2, -0.22, -0.14, 0.3),
        (-0.1, 0.0, 0.1, 2.0),
        (0.1, 0.1, 0.1, 0.0),
    ):
        got = float(tolerance(share, low, high))
        ends = abs(low - share), abs(high - share)
        hint = "Which end is farther from the share?"
        for wrong, why in (
            (max(ends), "Give it as a part of the share."),
            (-expected, "A part is never negative."),
            (100 * expected, "Return a part, such as 0.5, not per cent."),
            (min(ends) / abs(share), "The other end lies farther away."),
            (
                abs((low + high) / 2 - share) / abs(share),
                "The whole interval has to be inside, not its middle.",
            ),
            ((high - low) / abs(share), "Widen the share, not the interval."),
        ):
            if np.isclose(got, wrong):
                hint = why
        assert np.isclose(got, expected, atol=1e-6), (
            f"An interval from {low} to {high} lies within {expected:.2f} of {share} on either side; you have {got:.2f}. {hint}"
        )


# %% tags=["exercise"]
def tolerance(share, low, high):
    """The part of a share within which an interval lies."""
    ...


check_tolerance(tolerance)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def tolerance(share, low, high):
    return max(abs(low - share), abs(high - share)) / abs(share)


display(check_tolerance(tolerance))
lines, needed = [], []
for entry in entries:
    if entry.claim.key in ("mp6-fc7", "conv5-fc7"):
        share = (entry.claim.agrees.low + entry.claim.agrees.high) / 2
        for reading in entry.readings:
            ends = reading.interval.low, reading.interval.high
            part = tolerance(share, *ends)
            lines.append(
                f"- {entry.claim.short}, {reading.corpus}, {reading.family}: {part:.0%}"
            )
        first = entry.readings[0].interval
        needed.append(tolerance(share, first.low, first.high))
counted = ", ".join(
    f"{sum(part <= rule for part in needed)} within {rule:.0%}"
    for rule in (0.25, 0.5, 1.0)
)
display(
    Markdown(
        "Reproduced from which tolerance on? The first reading of each claim decides.\n\n"
        + "\n".join(lines)
        + f"\n\nOf these {len(needed)} claims, reproduced are: {counted}. Who fixes the tolerance afterwards can choose among these outcomes. That is why ours was fixed before."
    )
)

# %% [markdown]
# (exercise-paired-change)=
# ### Exercise 4: Draw the songs anew
#
# *Medium, 20 minutes.*
#
# Write `interval_of_change(before, after, rng)`. Both arrays hold one error per song (songs,), of the same songs in the same order. Draw as many songs as there are, with repetition, 1000 times, with the NumPy generator `rng`. For each draw compute the relative change, the mean of `after` by the mean of `before`, less 1. Return the two ends of the middle 95 % of the results, the lower one first. Then use half of the songs: how much wider does the interval become?
#
# :::{dropdown} First hint
# The same songs are drawn for `before` and `after`. Draw their places, not their numbers.
# :::
#
# :::{dropdown} Second hint
# `rng.integers(0, n, (1000, n))` gives the places of all draws. Index both arrays with it, take the means along the second axis, and only then the ratio.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_change(interval_of_change):
    own = np.random.default_rng(6)
    before = np.exp(own.normal(size=40))
    ends = np.asarray(
        interval_of_change(before, 1.15 * before, np.random.default_rng(7))
    )
    assert ends.shape == (2,), "Return two numbers: the lower and upper end."
    hint = "Take the ratio of the means, less 1, and in each draw the same songs for `before` and `after`."
    if np.allclose(ends, 1.15, atol=0.001):
        hint = "The change is relative: less 1."
    elif np.allclose(ends, 1 / 1.15 - 1, atol=0.001):
        hint = "Compare `after` with `before`, not the other way round."
    assert np.allclose(ends, 0.15, atol=0.001), (
        f"If every song has 15 % more, both ends are 0.15; yours are {ends[0]:.3f} and {ends[1]:.3f}. {hint}"
    )
    after = 1.1 * before + 0.3 + 0.2 * own.normal(size=40)
    drawn = own.integers(0, 40, (20_000, 40))
    changes = after[drawn].mean(1) / before[drawn].mean(1) - 1
    right = np.quantile(changes, [0.025, 0.975])
    width, each = np.ptp(right), after / before - 1
    low, high = interval_of_change(before, after, np.random.default_rng(8))
    said = f"A test has the interval {right[0]:.3f} to {right[1]:.3f}; you have {low:.3f} to {high:.3f}."
    assert low <= high, f"{said} The lower end comes first."
    assert high - low > 0.01 * width, (
        f"{said} Without repetition, every draw has all songs."
    )
    means = np.quantile(each[drawn].mean(1), [0.025, 0.975])
    assert not np.allclose([low, high], means, atol=0.15 * np.ptp(means)), (
        f"{said} Take the ratio of the means, not the mean of the ratios."
    )
    ratio = (high - low) / width
    hint = "Is each draw as large as the set of songs, and do you take its means?"
    if 0.75 < ratio < 0.9:
        hint = "The middle 95 % leave out 2.5 % on each side."
    assert 0.9 < ratio < 1.1, f"{said} Its width is wrong. {hint}"
    assert np.allclose([low, high], right, atol=0.1 * width), said


# %% tags=["exercise"]
def interval_of_change(before, after, rng):
    """Lower and upper end of the change's 95 % interval."""
    ...


check_change(interval_of_change)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def interval_of_change(before, after, rng):
    before, after = np.asarray(before), np.asarray(after)
    drawn = rng.integers(0, len(before), (1000, len(before)))
    changes = after[drawn].mean(axis=1) / before[drawn].mean(axis=1) - 1
    return np.quantile(changes, [0.025, 0.975])


display(check_change(interval_of_change))
stored = {"reconstruction_error": load_results("reconstruction_error")}
published = claims.numbers.errors_of(stored, "synthetic", "published")
mp6, fc7 = np.array(published["mp6"]), np.array(published["fc7"])
half = len(mp6) // 2
width = {}
for name, part in {
    "all songs": slice(None),
    "the first half": slice(half),
    "the second half": slice(half, None),
}.items():
    low, high = interval_of_change(
        mp6[part], fc7[part], np.random.default_rng(seed)
    )
    width[name] = high - low
    print(f"MP6 to FC7, {name}: {low:+z.1%} to {high:+z.1%}")
display(
    Markdown(
        f"The intervals of the halves are {width['the first half'] / width['all songs']:.1f} and {width['the second half'] / width['all songs']:.1f} times as wide as that of all songs. In the long run it is the root of two, {np.sqrt(2):.1f}: the width goes with one over the root of the number of songs. From a few songs, the width itself is uncertain."
    )
)

# %% [markdown]
# (exercise-enough-songs)=
# ### Exercise 5: How many songs would decide it?
#
# *Medium, 15 minutes.*
#
# A number `value` has an interval from `low` to `high` that holds a bound. Suppose that with more songs the value stays, and that both ends come nearer to it with one over the root of the number of songs. Write `times_as_many(value, low, high, bound)`: how many times as many songs are needed until the bound is just at the end of the interval? The ends need not be equally far from the value. How many times would it take for the claims that are undecided?
#
# :::{dropdown} First hint
# Which of the two ends lies on the side of the bound? How many times nearer to the value must it come?
# :::
#
# :::{dropdown} Second hint
# If the bound is below the value, it is the lower end. The distance shrinks with one over the *root* of the number of songs, so square the ratio.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_times(times_as_many):
    for value, low, high, bound in (
        (1.0, -1.0, 2.0, 0.0),
        (1.0, 0.0, 4.0, 2.5),
        (0.3, -0.1, 0.9, 0.2),
        (-0.2, -0.9, 0.1, -0.05),
        (5.0, 1.0, 6.0, 2.0),
    ):
        # The slow way: add songs until the bound is out.
        times = np.arange(1, 60, 0.01)
        lows = value - (value - low) / np.sqrt(times)
        highs = value + (high - value) / np.sqrt(times)
        expected = times[(bound <= lows) | (bound >= highs)][0]
        got = float(times_as_many(value, low, high, bound))
        near, far = (low, high) if bound < value else (high, low)
        gap = abs(value - bound)
        hint = ""
        for wrong, why in (
            (abs(value - near) / gap, "Half the width takes four times the songs."),
            (gap**2 / (value - near) ** 2, "More songs are needed, not fewer."),
            ((value - far) ** 2 / gap**2, "Take the end on the bound's side."),
            (
                ((high - low) / 2 / gap) ** 2,
                "The ends are not equally far from the value; which one counts?",
            ),
        ):  # fmt: skip
            if np.isclose(got, wrong, rtol=1e-3):
                hint = f" {why}"
        assert np.isclose(got, expected, rtol=0.005, atol=0.02), (
            f"For {value} ({low} to {high}) and the bound {bound}, {expected:.1f} times as many are needed; you have {got:.1f}.{hint}"
        )


# %% tags=["exercise"]
def times_as_many(value, low, high, bound):
    """How many times as many songs put the bound at an end."""
    ...


check_times(times_as_many)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def times_as_many(value, low, high, bound):
    end = low if bound < value else high
    return ((value - end) / (value - bound)) ** 2


display(check_times(times_as_many))
lines = []
for entry in entries:
    interval = entry.readings[0].interval
    bounds = {
        bound
        for each in (entry.claim.agrees, entry.claim.direction)
        for bound in (each.low, each.high)
        if interval.low < bound < interval.high and bound != interval.value
    }
    if entry.verdict == "undecided" and bounds:
        times = max(
            times_as_many(interval.value, interval.low, interval.high, bound)
            for bound in bounds
        )
        lines.append(f"- {entry.claim.short}: {times:.1f} times as many")
display(
    Markdown(
        "Songs that would decide what is undecided:\n\n"
        + ("\n".join(lines) or "- nothing is undecided")
        + "\n\nThe value will not stay, of course. So this is no forecast of the verdict, but it says whether a few more songs could help, or only a far larger collection. Where two sets of songs are compared, both would have to grow."
    )
)

# %% [markdown]
# (exercise-all-orders)=
# ### Exercise 6: Could it be chance?
#
# *Hard, 25 minutes.*
#
# The paper remarks that MP6's feature is far larger than FC7's. Does the NRE rise where features shrink, all along the network? With eight layers there are seven steps, and seven pairs of numbers easily look related.
#
# Write `chance_of(a, b)`: compute the correlation of two short arrays. Then bring `b` into all possible orders, with `itertools.permutations`, and correlate each with `a`. Return the share of the orders whose correlation is at least as strong, in either direction. The order as it is counts, too. Compare with a margin of $10^{-9}$, since equal correlations may differ in rounding.
#
# :::{dropdown} First hint
# `permutations(b)` begins with the order as it is. Correlate each order with `a`, and count those at least as strong.
# :::
#
# :::{dropdown} Second hint
# `np.corrcoef(a, order)[0, 1]` is a correlation. Compare absolute values, with the margin on the side that lets equal ones count, and take the mean of the comparisons.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_chance(chance_of):
    rng = np.random.default_rng(9)
    doubling = 2.0 ** np.arange(5)
    for a, b in (
        (rng.normal(size=5), rng.normal(size=5)),
        (doubling, doubling),
        (doubling, -3 * doubling + 1),
        (doubling, doubling[[1, 0, 2, 4, 3]]),
        (doubling, -doubling[[1, 0, 3, 2, 4]]),
    ):
        centred = a - a.mean()
        # All orders have the same deviations, so products are enough.
        products = np.array([centred @ order for order in permutations(b)])
        own = products[0]
        strong = abs(products) >= abs(own) - 1e-9
        one_sided = np.mean(products * np.sign(own) >= abs(own) - 1e-9)
        expected, got = strong.mean(), float(chance_of(a, b))
        hint = ""
        if np.isclose(got, expected * len(products)):
            hint = "Return a share, not a number of orders."
        elif np.isclose(got, 1 - expected):
            hint = "You count the orders that are weaker."
        elif np.isclose(got, expected - 1 / len(products)):
            hint = "Count the order as it is, too."
        elif np.isclose(got, one_sided) or np.isclose(
            got, np.mean(products >= own - 1e-9)
        ):
            hint = "A correlation of the other sign is as strong."
        elif abs(got - expected) < 0.05:
            hint = "Go through all orders, once each, and mind the margin."
        assert np.isclose(got, expected, atol=1e-6), (
            f"For {a.round(2).tolist()} and {b.round(2).tolist()} it is {expected:.4f}; you have {got:.4f}. {hint}"
        )


# %% tags=["exercise"]
def chance_of(a, b):
    """Share of all orders of b that correlate as strongly."""
    ...


check_chance(chance_of)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def chance_of(a, b):
    found = [np.corrcoef(a, order)[0, 1] for order in permutations(b)]
    return np.mean(np.abs(found) >= abs(found[0]) - 1e-9)


display(check_chance(chance_of))
layers = list(svdlib.LAYERS)
sizes = [np.log(np.prod(LAYER_SHAPES[layer])) for layer in layers]
grows = [
    layer
    for layer, step in zip(layers[1:], np.diff(sizes), strict=True)
    if step > 0
]
stored = {"reconstruction_error": load_results("reconstruction_error")}
lines, shares = [], []
for family in ("published", "aligned"):
    of_layers = claims.numbers.errors_of(stored, "synthetic", family)
    nre = [np.mean(of_layers[layer]) for layer in layers]
    related = np.corrcoef(np.diff(sizes), np.diff(nre))[0, 1]
    shares.append(chance_of(np.diff(sizes), np.diff(nre)))
    lines.append(
        f"- {family}: correlation {related:+z.2f}, as strong in {shares[-1]:.0%} of all orders"
    )
display(
    Markdown(
        "The steps of the logarithm of the size, and those of the NRE (below 0, the error rises where features shrink):\n\n"
        + "\n".join(lines)
        + (
            "\n\nNeither is rarer than one in twenty. Seven steps in a chance order would often look as related."
            if min(shares) >= 0.05
            else "\n\nAt least one is rarer than one in twenty. But this is one network, whose layers differ in kind as well as in size, and the orders of its steps are no sample of networks."
        )
        + f" And where a feature grows ({', '.join(f'`{layer}`' for layer in grows) or 'nowhere here'}), size cannot be what is lost."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mishra2018` is the paper; its sections are named with each claim.
# - {doc}`../book/published` compares the paper, its released code and this library step by step.
