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
# # The round trip
#
# **Given its own inversion, does the detector answer as before?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - why an inversion that is near to us can be far for the network, and the other way round;
# - three measures of what comes back, and what each is without any knowledge;
# - what an inverter paints that is asked for the feature, and not for the picture alone;
# - what a second detector hears in inversions that were not made for it.
#
# **Prerequisites:** {doc}`04_quantitative_nre`; {doc}`03_training` for the feature loss.
#
# **Minutes:** 17 to read, 25 for the exercises, about one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}

import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.compute.devices import choose_device
from svdlib.inversion.nre import EvaluationPlan, mean_excerpt, reconstruct
from svdlib.lab.analysis.round_trip import (
    answers,
    decisions_kept,
    features_at,
)
from svdlib.lab.analysis.texture import (
    after_a_shift,
    fine_structure,
    without,
)
from svdlib.lab.figures.gallery import as_panel
from svdlib.lab.figures.nre import figure_intervals
from svdlib.lab.figures.structure import figure_shifts
from svdlib.lab.figures.style import layer_title
from svdlib.lab.studies import (
    AT_CONV5,
    FAMILIES,
    INPUT,
    LONGER,
    UNMOVED,
    label_of,
    load_results,
    round_trip,
)
from svdlib.lab.studies.feature_loss import SHIFTS, draw_with_room
from svdlib.pages.exercises import self_check
from svdlib.pages.explorer import compare, layer_explorer, side_by_side
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.recipes import bank_of

device = choose_device(device)
n_sets = {"demo": 1, "laptop": 2, "full": 4}[profile]
n_test = {"demo": 16, "laptop": 16, "full": None}[profile]
n_train = {"demo": 8, "laptop": 16, "full": None}[profile]

collection = svdlib.open_corpus(corpus)
detector = svdlib.pretrained("detector").to(device)
families = {
    family: {
        layer: inverter.to(device)
        for layer, inverter in svdlib.pretrained_inverters(family).items()
    }
    for family in FAMILIES
}
trainings = {
    training: {
        layer: inverter.to(device)
        for layer, inverter in svdlib.pretrained_inverters(
            "aligned", training
        ).items()
    }
    for training in ("input", "conv5", "own")
}
test = bank_of(
    svdlib.load_songs(collection.split("test")[:n_test]), detector, device
)
train = bank_of(
    svdlib.load_songs(collection.split("train")[:n_train]), detector, device
)

# %% [markdown]
# Below is the excerpt of the test songs that the detector calls sung most surely, and what its two deepest layers have kept of it. FC8 was inverted four times: by an inverter that learned to make the error of the picture small (*input*), and by three that were also to give back features of the detector: those of Conv5; of Conv5 and of FC8 itself (*own*); and these after a small shift of both pictures (*moved*).
# Look, listen, and read what the detector answers to *that picture*.

# %% tags=["hide-input"]
candidates = test.gather(test.spread(128))
surest = candidates[answers(detector, candidates).argmax()][None]
deep = ("fc7", "fc8")
sets = {
    "input": trainings["input"],
    "Conv5": trainings["conv5"],
    "own": trainings["own"],
    "moved": families["aligned"],
}
painted = {
    f"{layer_title(layer)} ({name})": (layer, inverters[layer])
    for layer in deep
    for name, inverters in sets.items()
    if layer == "fc8" or name in ("input", "moved")
}
pictures = {
    name: reconstruct(detector, {layer: inverter}, surest)[layer]
    for name, (layer, inverter) in painted.items()
}
heard = {
    name: float(torch.sigmoid(answers(detector, picture))[0])
    for name, picture in {"original": surest, **pictures}.items()
}
titles = {"The excerpt, original": surest} | {
    f"The excerpt, from {name}": picture for name, picture in pictures.items()
}
shown = [
    as_panel(detector.standardizer, picture[0, 0], title)
    for title, picture in titles.items()
]
layer_explorer(
    {"the surest excerpt": shown},
    list(heard),
    steps_label="Layer, and what its inverter learned",
    comparison=side_by_side(
        compare(
            detector,
            {layer: inverter},
            surest,
            test.gather(test.spread(32)),
        )
        for layer, inverter in painted.values()
    ),
)

# %% tags=["remove-input"]
threshold = detector.threshold
text = f"The original gets {heard['original']:.2f}; sung is what lies above {threshold:.2f}. From FC8, the picture for the smallest error gets {heard['FC8 (input)']:.2f}, the one that is also to give back Conv5 {heard['FC8 (Conv5)']:.2f}, and those that are to give back FC8 itself {heard['FC8 (own)']:.2f} and {heard['FC8 (moved)']:.2f}. "
display(
    Markdown(
        text
        + "The detector's answer is computed from FC8 alone: the 64 numbers that all four were made from said what they said. Which of the four is faithful to them?"
    )
)

# %% [markdown]
# ## Three things that may come back
#
# NRE compares an inversion $\hat{\mathbf{x}}$ with its original $\mathbf{x}$ as we would, value by value. The network looks at other things. So we send the inversion round once more, and compare what the network makes of both.
#
# 1. **The decision.** Is the inversion called sung if and only if the original was? We count the share of *decisions kept*. Whoever always paints one and the same picture keeps many of them too: all excerpts that are answered as this picture is. So beside every share stands that of the mean excerpt, which knows nothing.
# 2. **The degree.** How sure the detector is, before the last sigmoid, is the *logit*. The correlation $r$ of both logits over the excerpts is 1 if every answer comes back, up to scale and offset, and 0 for a painter that knows nothing.
# 3. **The feature.** How far is the inversion's feature at layer $\ell$ from the one that it was made from? Divided by the mean distance $N_{\ell}$ of two originals' features, it is equation 5 at layer $\ell$, as {cite:t}`mahendran2015` measure it,
#
# $$
# \mathrm{NRE}_\ell = \frac{1}{d} \sum_i \frac{\lVert \Theta_\ell(\mathbf{x}_i) - \Theta_\ell(\hat{\mathbf{x}}_i) \rVert}{N_\ell} ,
# $$
#
# where $\Theta_\ell$ is the network up to layer $\ell$. A picture that has the feature exactly scores 0, however little it looks like the original. One with the feature of some other excerpt scores 1.

# %%
x = test.gather(test.spread(64))
fc8 = families["aligned"]["fc8"]
x_hat = reconstruct(detector, {"fc8": fc8}, x)["fc8"]

before, after = answers(detector, x), answers(detector, x_hat)
sung, still_sung = (
    torch.sigmoid(each) > detector.threshold for each in (before, after)
)
feature, again = (features_at(detector, each, "fc8") for each in (x, x_hat))
print(f"decisions kept: {(sung == still_sung).float().mean():.0%}")
print(f"correlation r:  {torch.stack([before, after]).corrcoef()[0, 1]:.2f}")
print(f"NRE at FC8:     {svdlib.nre(feature, again):.2f}")
print(f"NRE:            {svdlib.nre(x, x_hat):.2f}")

# %% [markdown]
# ## All layers
#
# The same for both families of inverters and all layers, on random excerpts of the test songs.

# %% tags=["hide-input"]
plan = EvaluationPlan(sets=n_sets, per_song=4, seed=seed)
measured = round_trip.measure(
    {round_trip.OWN: detector}, families, test, mean_excerpt(train), plan
)


def panels_of(each, judge=round_trip.OWN):
    """What the figure draws: decisions kept, then own features."""
    blind = round_trip.kept_of(each["blind"], judge)
    kept = {
        family: {
            layer_title(layer): round_trip.kept_of(of[family], judge)
            for layer, of in each["layers"].items()
        }
        for family in FAMILIES
    }
    kept[round_trip.BLIND] = {
        layer_title(layer): blind for layer in each["layers"]
    }
    feature = {
        family: {
            layer_title(layer): round_trip.feature_error_of(
                each, layer, family
            )
            for layer in each["layers"]
        }
        for family in FAMILIES
    }
    return {"Decisions kept": kept}, {"Error of the own feature": feature}


# %% tags=["hide-input"] figure="decisions-kept" mystnb={"image": {"alt": "Share of the excerpts of test songs on which the detector decides as on the original when it is given an inversion, over the eight layers from Conv1 to FC8, for published and aligned inverters, with 95 percent intervals. A third row of marks is the mean excerpt, which knows nothing and is the same at every layer. The text below names the layers that do no better."}}
figure_intervals(panels_of(measured)[0], "share", percent=True)


# %% tags=["remove-input"]
def no_better(each, family, judge=round_trip.OWN):
    """Layers whose inversions do not surely keep more decisions than the mean excerpt."""
    return [
        layer_title(layer)
        for layer in each["layers"]
        if not round_trip.advantage_of(each, layer, family, judge).lies_above(
            0
        )
    ]


line = round_trip.kept_of(measured["blind"])
text = f"The mean excerpt keeps {line:.0%} of the decisions. "
for family in FAMILIES:
    shares = {
        layer: round_trip.kept_of(of[family]).value
        for layer, of in measured["layers"].items()
    }
    text += f"With *{family}* inverters, Conv1 keeps {shares['conv1']:.0%}, MP6 {shares['mp6']:.0%}, FC7 {shares['fc7']:.0%} and FC8 {shares['fc8']:.0%}. "
    weak = no_better(measured, family)
    if weak and line.is_known:
        text += (
            f"Not surely better than the mean excerpt: {', '.join(weak)}. "
        )
display(Markdown(text))

# %% tags=["hide-input"] figure="own-feature-errors" mystnb={"image": {"alt": "Error of the layer's own feature over the eight layers, from Conv1 to FC8, for published and aligned inverters, with 95 percent intervals. At 1 the feature is as far off as that of another excerpt. The text below gives the numbers of the shallowest and deepest layers."}}
figure_intervals(panels_of(measured)[1], "NRE at the own layer")

# %% tags=["remove-input"]
own = {
    (layer, family): round_trip.feature_error_of(measured, layer, family)
    for layer in svdlib.LAYERS
    for family in FAMILIES
}
far = {
    family: [
        layer_title(layer)
        for layer in svdlib.LAYERS
        if own[layer, family].value > 2**-0.5
    ]
    for family in FAMILIES
}
of_families = [
    f"from {', '.join(layers)} by *{family}* inverters"
    for family, layers in far.items()
    if layers
]
text = f"With aligned inverters, the feature of Conv1 comes back with an error of {own['conv1', 'aligned'].value:.2f}, that of FC8 with {own['fc8', 'aligned'].value:.2f}. "
text += (
    f"Inversions {' and '.join(of_families)} are farther off than a constant feature would be (about 0.71): to the network, they are *less* like their originals than the average feature is. "
    if of_families
    else "None is farther off than a constant feature would be (about 0.71). "
)
display(Markdown(text))

# %% [markdown]
# ## What an inverter is asked for
#
# Why can a picture with a small error have a feature that is far off? An inverter that is trained for a small error paints the *mean* of all excerpts that share the feature. Where they disagree, as on the exact place of every harmonic, their mean is smooth. But smooth is what no excerpt is, and the filters of the network answer to edges and stripes, not to their mean.
#
# The feature loss of {doc}`03_training` is meant to prevent this. In the paper it compares the features of Conv5, and as a sum or a mean of squares it weighs little. Our aligned inverters take both losses as shares of what the mean predictor leaves, so that a weight $\lambda$ of 1 lets them count alike. A third training of FC7 and FC8 compares at Conv5 *and at the layer that is inverted*. This is what inversion by search asks for {cite}`mahendran2015`: a picture that has the same feature. What the weight does, step by step, is in {doc}`04e_feature_loss`.
#
# But a picture may have the feature by patterns that lie just so on the grid of the detector's steps of three frames. So there is a fourth training. Before they are compared, excerpt and inversion are moved alike, by up to four frames and one band, another way for each batch. What is to please must survive that. That of FC7 compares at Conv5 and FC8 too, not at FC7: of FC7's 256 numbers the answer needs few, and asked for all of them alike, the inverter left the answers too weak.
#
# (round-trip-study)=
# ## More songs, and other ears
#
# Is it the picture, or is it this one detector? A network can be pleased by patterns that mean nothing to anybody else. So a second detector listens, trained from another seed on other songs, which had no part in the training of any inverter. What it still hears in an inversion is in the picture. What only the first one hears may be a private code between network and inverter. It had a part in one choice: among shifts with more and less noise we took the one whose inversions both detectors answered best, on validation songs, after a look at the real ones. And for FC7 we tried several comparisons, and saw what each did on the real songs before we kept one. So its numbers on real songs are a little too good.

# %% tags=["remove-input"]
stored = load_results("round_trip")
studied = (
    {
        f"{label_of(name)} ({each['songs']})": each
        for name, each in stored["corpora"].items()
    }
    if stored
    else {}
)
if studied:
    first = next(iter(studied.values()))
    display(
        Markdown(
            f"The stored study (`python -m svdlib.lab.studies.round_trip`, {stored['date']}) has {first['sets']} sets of {first['per_song']} excerpts per song; a number in brackets is that of the songs. Nothing was trained on these songs. The real ones guided the making of the synthetic ones (*Does it hear real singing?*). The trainings have the names that they have above; *longer* is the input loss alone, for more updates. *kept* are decisions, by the detector and by the second one; *r* is the correlation of logits; the NRE at the layer itself is that of its feature."
        )
    )
else:
    display(
        Markdown(
            "This copy of the library holds no result of `python -m svdlib.lab.studies.round_trip`, so there is no table here."
        )
    )

# %% tags=["hide-input"]
LEARNED = {
    INPUT: "input",
    LONGER: "longer",
    AT_CONV5: "Conv5",
    UNMOVED: "own",
    "aligned": "moved",
}
rows = []
for source, each in studied.items():
    for layer in deep:
        for family in LEARNED:
            if family not in each["layers"][layer]:
                continue
            entry = each["layers"][layer][family]
            row = {
                "songs": source if (layer, family) == ("fc7", INPUT) else "",
                "layer": layer_title(layer) if family == INPUT else "",
                "asked for": LEARNED[family],
                "NRE": f"{round_trip.nre_of(each, layer, family).value:.3f}",
                "at the layer": f"{round_trip.feature_error_of(each, layer, family).value:.2f}",
            }
            for judge in entry["judges"]:
                name = "kept" if judge == round_trip.OWN else "kept, second"
                row[name] = f"{round_trip.kept_of(entry, judge).value:.0%}"
                row["r" if judge == round_trip.OWN else "r, second"] = (
                    f"{round_trip.correlation_of(entry, judge).value:.2f}"
                )
            rows.append(row)
pd.DataFrame(rows).replace("nan", "").style.hide(axis="index")

# %% [markdown]
# We had fixed beforehand what we wanted: of FC8 three of four decisions, by the second detector likewise, and of FC7 nine of ten, each for at most 5 % more NRE than the input loss alone. We hold them against the input loss that learned for longer (second row), which has the smaller error.

# %% tags=["hide-input"]
WANTED = {"fc8": 0.75, "fc7": 0.9}
verdicts = []
for source, each in studied.items():
    for layer, least in WANTED.items():
        cost = round_trip.cost_of(each, layer, "aligned", LONGER)
        entry = each["layers"][layer]["aligned"]
        shares = [
            round_trip.kept_of(entry, judge).value
            for judge in entry["judges"]
        ]
        counted = shares if layer == "fc8" else shares[:1]
        reached = cost.value <= 0.05 and min(counted) >= least
        blind = round_trip.kept_of(each["blind"]).value
        verdicts.append(
            {
                "songs": source if layer == "fc8" else "",
                "layer": layer_title(layer),
                "kept": f"{shares[0]:.0%}",
                "kept, second": " ".join(f"{one:.0%}" for one in shares[1:]),
                "kept by the mean excerpt": f"{blind:.0%}",
                "more NRE": f"{cost:+.1%}",
                "reached": "yes" if reached else "no",
            }
        )
pd.DataFrame(verdicts).style.hide(axis="index")


# %% tags=["remove-input"]
def in_turn(values, form):
    """Numbers of the corpora, in the order of the table."""
    return ", ".join(format(value, form) for value in values)


if studied:
    spent = [
        sum(stored["training"][family]["fc8"]["updates"])
        for family in LEARNED
    ]
    errors = {
        family: [
            round_trip.feature_error_of(each, "fc7", family).value
            for each in studied.values()
        ]
        for family in (UNMOVED, "aligned")
    }
    longer = [
        round_trip.kept_of(each["layers"]["fc8"][LONGER]).value
        for each in studied.values()
    ]
    still, moved = (
        [
            round_trip.kept_of(each["layers"]["fc8"][family], judge).value
            for each in studied.values()
            for judge in each["blind"]["judges"]
            if judge != round_trip.OWN
        ]
        for family in (UNMOVED, "aligned")
    )
    points = [
        f"**Is it the longer training?** The trainings went on from one another, all from one seed; FC8's have {in_turn(spent, ',')} updates in all, in the order of the large table. The control in its second row, with as many as the fourth, keeps {in_turn(longer, '.0%')} of FC8's decisions on the three corpora: "
        + ("no." if max(longer) < 0.6 else "a part of the gain is.")
    ]
    if still:
        points.append(
            f"**What does the shift bring?** The second detector keeps {in_turn(still, '.0%')} of FC8's decisions without it, and {in_turn(moved, '.0%')} with it. Both are from one seed, and a seed alone can move this number far: the next chapter (*What an inverter is asked for*) shows by how much."
        )
    points.append(
        f"**What does FC7 pay?** Its own feature. The error is {in_turn(errors[UNMOVED], '.2f')} where the inverter was asked for it, and {in_turn(errors['aligned'], '.2f')} where it was asked for FC8."
    )
    display(Markdown("\n".join(f"- {point}" for point in points)))

# %% [markdown]
# So what a deep inversion lacks need not be what its layer lacks. *FC8 keeps little* mixes two things: what the 64 numbers say, and what an inverter that wants a small error dares to paint of it. The answer was always in these numbers, since the detector computes it from them. New is that it can be *painted*, at nearly no price in NRE, so that a detector reads it that knows nothing of the first.
#
# ## What does it paint?
#
# Look at FC8 once more in the explorer above, first *input*, then *own* and *moved*. What was added is fine: a texture of stripes and steps. Did FC8 know where to put it?
#
# A blur of two cells takes fine structure away; what it takes is what we look at. Then we shift the excerpt by some frames. If the layer keeps *where* something fine is, the texture moves along with the sound. If the layer keeps only *how much* there is, the inverter has to choose a place, and the texture stays where it was. The detector pools in steps of 3 and of 9 frames, and so does an aligned inverter: after a shift by such a step, a texture that repeats with it cannot tell the two apart. The other shifts can.

# %% tags=["hide-input"] figure="texture-shift" mystnb={"image": {"alt": "Agreement of the fine structure of inversions before and after a shift of the excerpt by 1 to 9 frames, with the same place of the sound and with the same place of the picture; a panel for Conv5, MP6, FC7, FC8 and FC8 by the inverter whose pictures were not moved. The text below gives the means of Conv5 and FC8 over the shifts that are no multiples of 3."}}
shifts = range(1, max(SHIFTS) + 1)
starts, _ = draw_with_room(test, 48, seed)
painters = {
    layer_title(layer): (layer, families["aligned"][layer])
    for layer in ("conv5", "mp6", *deep)
} | {"FC8, unmoved": ("fc8", trainings["own"]["fc8"])}


def painted_after(shift, layer, inverter):
    """Inversions of the excerpts that begin so many frames later, (excerpts, frames, bands)."""
    cut = test.cut(starts + shift)
    return torch.cat(
        [
            reconstruct(detector, {layer: inverter}, part)[layer][:, 0]
            for part in cut.split(16)
        ]
    )


agreements = {}
for name, (layer, inverter) in painters.items():
    fine = fine_structure(painted_after(0, layer, inverter))
    found = [
        after_a_shift(
            fine, fine_structure(painted_after(shift, layer, inverter)), shift
        )
        for shift in shifts
    ]
    agreements[name] = {
        key: [float(each[key].mean()) for each in found]
        for key in ("moves", "stays")
    }
figure_shifts(agreements, shifts)

# %% tags=["remove-input"]
between_steps = [number for number, shift in enumerate(shifts) if shift % 3]
apart = {
    name: {
        key: sum(values[number] for number in between_steps)
        / len(between_steps)
        for key, values in of.items()
    }
    for name, of in agreements.items()
}
text = "In the mean over the shifts that are no multiples of 3, "
text += "; ".join(
    f"{name}'s fine structure agrees by {apart[name]['moves']:.2f} with the same place of the sound and by {apart[name]['stays']:.2f} with the same place of the picture"
    for name in ("Conv5", "FC8")
)
excerpts = test.cut(starts)
before = answers(detector, excerpts)
kept = {}
for name, inverter in {
    "input": trainings["input"]["fc8"],
    "moved": families["aligned"]["fc8"],
}.items():
    painting = painted_after(0, "fc8", inverter)
    smooth = without(painting, fine_structure(painting))["fine structure"]
    for what, picture in {"": painting, " blurred": smooth}.items():
        after = answers(detector, picture[:, None])
        kept[name + what] = decisions_kept(detector, before, after).mean()
text += f". Of {len(starts)} excerpts, FC8's inversions keep {kept['moved']:.0%} of the decisions, and {kept['moved blurred']:.0%} once they are blurred; those of the inverter that wanted a small error alone keep {kept['input']:.0%}. "
text += (
    "So the texture carries the answer. "
    if kept["moved blurred"] < kept["moved"] - 0.1
    else "So the answer does not hang on the texture. "
)
of = apart["FC8"]
text += (
    "**FC8 keeps how much fine structure there is, and not where.** An inverter that wants a small error paints the mean of all places, which is none. One that is to give the feature back chooses a place, and for the detector any place will do. "
    if of["stays"] > of["moves"]
    else "The texture of FC8 is where the sound has it: **FC8 keeps more than an inverter for a small error dares to paint.** "
)
display(
    Markdown(
        text
        + "What you hear as a hiss or a buzz in these sounds is this texture: read it as *something sung is here*, not as a tone of the song."
    )
)

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "Inversions from a layer keep 60 % of the decisions. Is that much?",
        [
            Answer(
                "It depends on how many a constant picture keeps.",
                "If six of ten excerpts are not sung, a picture of silence keeps 60 % without knowing anything.",
                right=True,
            ),
            Answer(
                "Yes: more than half.",
                "Half is the mark only where both answers are equally frequent and are guessed at random.",
            ),
            Answer(
                "No: 40 % of the information is lost.",
                "A share of decisions is no share of information. A picture without any knowledge keeps some, too.",
            ),
        ],
    ),
    Question(
        "An inversion looks nothing like its original, and its own feature has an error of 0. What do you know?",
        [
            Answer(
                "The layer cannot tell the two apart.",
                "For this layer, and all that follow, both are the same. What differs between them is what the layer has dropped.",
                right=True,
            ),
            Answer(
                "The inverter has failed.",
                "It has found another excerpt with the same feature. From the feature alone, nobody can do better.",
            ),
            Answer(
                "The layer keeps nothing.",
                "It keeps whatever both have in common, such as the answer.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A small error to us is not a small error to the network. Give inversions back, and look at decision, degree and feature.
# - Beside every share of kept decisions belongs that of a picture that knows nothing.
# - An inverter that is trained for a small error paints means, and a mean may be answered like none of what it is the mean of.
# - Asked for the layer's own feature too, an inverter paints what the layer says. What it paints there need not be where it was in the sound.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-kept-by-chance)=
# ### Exercise 1: Kept by chance
#
# *Easy, 10 minutes.*
#
# A painter's pictures are called sung in a share `q` of the cases, whatever the original; the originals in a share `p`. Write `kept_by_chance(p, q)`: the share of decisions that it keeps on average. Then look at which `q` keeps most.
#
# :::{dropdown} First hint
# In which two cases is a decision kept? Both are independent of each other here.
# :::
#
# :::{dropdown} Second hint
# Both sung has the probability $p\,q$. Both not sung has which?
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_kept_by_chance(kept_by_chance):
    for p, q in ((0.5, 0.5), (0.4, 0.0), (0.4, 1.0), (0.3, 0.2), (0.9, 0.8)):
        right, got = p * q + (1 - p) * (1 - q), kept_by_chance(p, q)
        mistakes = {
            "Two excerpts that are both not sung are a kept decision too.": p
            * q,
            "Add the two cases; they exclude each other.": p
            * q
            * (1 - p)
            * (1 - q),
            "This is the share of decisions that are lost.": p * (1 - q)
            + q * (1 - p),
        }
        if abs(got - right) < 1e-9:
            continue
        for sentence, value in mistakes.items():
            assert abs(got - value) > 1e-9, sentence
        raise AssertionError(
            f"With p = {p} and q = {q} it keeps {right:.2f}, not {got:.2f}."
        )
    return "Both sung, or both not."


# %% tags=["exercise"]
def kept_by_chance(p, q):
    """Share of decisions kept by a painter that does not look."""
    ...


check_kept_by_chance(kept_by_chance)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def kept_by_chance(p, q):
    return p * q + (1 - p) * (1 - q)


display(check_kept_by_chance(kept_by_chance))

p = float(sung.float().mean())
display(
    Markdown(
        f"Of the {len(x)} excerpts above, {p:.0%} are called sung. It is linear in *q*, so the best that one can do without looking is to always give the more frequent answer: it keeps {max(p, 1 - p):.0%}. FC8's inversions, {still_sung.float().mean():.0%} of which are called sung, would keep {kept_by_chance(p, float(still_sung.float().mean())):.0%} by chance; they keep {(sung == still_sung).float().mean():.0%}."
    )
)

# %% [markdown]
# (exercise-two-round-trips)=
# ### Exercise 2: Round and round
#
# *Medium, 15 minutes.*
#
# What comes back from a second trip? Write `trips(x, detector, layer, inverter, times)`: invert the feature of `x` at the layer, then the feature of that inversion, and so on, `times` times in all. Return the list of all inversions. Does it settle?
#
# :::{dropdown} First hint
# Each trip starts from what the last one has painted, the first from `x`.
# :::
#
# :::{dropdown} Second hint
# One trip is `inverter(detector.features(x, (layer,))[layer])`, within `torch.no_grad()`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_trips(trips):
    class Detector:
        def features(self, x, layers):
            assert list(layers) == ["fc7"], (
                f"Ask for the feature of the layer that was given, not of {list(layers)}."
            )
            return {"fc7": x + 1}

    start = torch.zeros(2, 1, 3, 4)
    got = trips(start, Detector(), "fc7", lambda feature: 2 * feature, 3)
    assert len(got) == 3, (
        f"Three trips give three inversions, not {len(got)}."
    )
    means = [float(each.mean()) for each in got]
    assert means != [2, 2, 2], (
        "Every trip started from the first excerpt. Start from what the last trip has painted."
    )
    assert means == [2, 6, 14], (
        f"A layer that adds 1 and an inverter that doubles give 2, 6 and 14 from 0, not {means}."
    )
    return "Each trip starts where the last one ended."


# %% tags=["exercise"]
def trips(x, detector, layer, inverter, times):
    """Invert, and invert the inversion, and so on."""
    ...


check_trips(trips)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def trips(x, detector, layer, inverter, times):
    pictures = []
    with torch.no_grad():
        for _ in range(times):
            x = inverter(detector.features(x, (layer,))[layer])
            pictures.append(x)
    return pictures


display(check_trips(trips))

pictures = trips(x[:16], detector, "mp6", families["aligned"]["mp6"], 5)
steps = [svdlib.nre(x[:16], picture) for picture in pictures]
display(
    Markdown(
        f"From MP6, the NRE against the original is {', '.join(f'{step:.2f}' for step in steps)} after one to five trips. Every trip paints the mean of a mean, and what the first one lost does not come back."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`mahendran2015` measure inversions by their features.
# - {cite:t}`mishra2018`: the paper, which measures them by the input.
