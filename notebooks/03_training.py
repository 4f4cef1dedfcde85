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
# # Training a feature inverter
#
# **How does it learn? You train one here, live.**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - what an inverter is trained to make small, as equations and as code;
# - how a training loop works, line by line;
# - why it matters through which parts of a loss the gradient flows, and how to check it;
# - how to interrupt a long training without losing anything.
#
# **Prerequisites:** {doc}`01_model` and {doc}`02_inverter_design`; what a gradient is.
#
# **Minutes:** 19 to read, 105 for the exercises, about two to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
import copy
import inspect
import re
import tempfile
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
import torch
from IPython.display import Markdown, display

import svdlib
from svdlib.compute.devices import choose_device
from svdlib.inversion import objectives
from svdlib.inversion.nre import reconstruct
from svdlib.lab.figures.gallery import Gallery, Panel
from svdlib.lab.figures.style import layer_title
from svdlib.lab.figures.training import figure_training
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz

device = choose_device(device)
n_songs = {"demo": 4, "laptop": 12, "full": None}[profile]
epochs, steps, batch_size = {
    "demo": (4, 20, 8),
    "laptop": (10, 40, 16),
    "full": (15, 400, 32),
}[profile]

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the training behind these pictures"}
collection = svdlib.open_corpus(corpus)
detector = svdlib.pretrained("detector").to(device).requires_grad_(False)
train, valid = (
    svdlib.ExcerptBank(
        svdlib.load_songs(collection.split(split)[:count]),
        standardizer=detector.standardizer,
        device=device,
    )
    for split, count in (("train", n_songs), ("valid", n_songs))
)
learned, family = "conv1", "aligned"
plan = svdlib.TrainingPlan(
    epochs=epochs,
    batch_size=min(batch_size, len(train)),
    steps_per_epoch=max(1, min(steps, len(train) // batch_size)),
    schedule="cosine",
    learning_rate=3e-3,
    validation_excerpts=48,
)
task = {"layers": (learned,), "variant": family, "plan": plan, "seed": seed}
fitted = {"joint": svdlib.fit_inverters(detector, train, valid, **task)}
torch.manual_seed(seed)
untrained = svdlib.build_inverter(learned, family).to(device).eval()
example = valid.gather(valid.spread(3)[1:2])  # from the middle of the bank


def paint(painters):
    """What each inverter paints of the example."""
    with torch.no_grad():
        phi = detector.features(example, (learned,))[learned]
        return {name: painter(phi) for name, painter in painters.items()}


def panels_of(paintings):
    return [
        Panel(
            name,
            detector.standardizer.inverse(picture[0, 0]).cpu(),
            standardised=picture[0, 0].cpu(),
        )
        for name, picture in paintings.items()
    ]


before_and_after = {
    "Before the training": untrained,
    "After the training": fitted["joint"].inverters[learned],
}
Gallery(panels_of(paint(before_and_after) | {"The original": example}))

# %% tags=["remove-input"]
n_steps = plan.epochs * plan.steps_per_epoch
display(
    Markdown(
        f"An inverter of {layer_title(learned)} has just been trained here, in {n_steps} steps. This excerpt is of a song that it did not train on. "
        "Before the first step its weights were random numbers, and what it paints is a random mixture of what Conv1 hands on. What happened in between?"
    )
)

# %% [markdown]
# ## What is made small
#
# We need four symbols.
#
# | symbol | meaning | here |
# |---|---|---|
# | $\mathbf{x}_i$ | excerpt number $i$, a standardised log-mel spectrogram | 115 × 80 numbers |
# | $\Phi_L(\mathbf{x}_i)$ | its feature at layer $L$ of the detector | for example 64 × 11 × 7 numbers at MP6 |
# | $G_L(\cdot\,; \mathbf{w})$ | the inverter of layer $L$, with weights $\mathbf{w}$ | a network from {doc}`02_inverter_design` |
# | $\Theta(\mathbf{x}_i)$ | the feature that the comparator computes | Conv5 of the detector, 64 × 33 × 21 numbers |
#
# The paper {cite}`mishra2018` starts from an older method, a search for each feature anew (its equation 1, to which {doc}`08_optimisation` comes). An inverter is trained once, on a sum of two losses, each with a weight $\lambda$:
#
# $$
# \Psi = \lambda_{input}\, \Psi_{input} + \lambda_{feature}\, \Psi_{feature}
# \tag{2}
# $$
#
# The *input loss* $\Psi_{input}$ compares the inversion with the excerpt. The *feature loss* $\Psi_{feature}$ compares what the comparator sees in both. With both weights set to 1, as in the paper, and a penalty on large weights,
# the training looks for
#
# $$
# \begin{aligned}
# \mathbf{w}^* = \arg\min_{\mathbf{w}} \sum_i \Bigl( & \underbrace{\lVert \mathbf{x}_i - G_L(\Phi_L(\mathbf{x}_i); \mathbf{w}) \rVert^2}_{\Psi_{input}} \cr
# {} + {} & \underbrace{\lVert \Theta(\mathbf{x}_i) - \Theta(G_L(\Phi_L(\mathbf{x}_i); \mathbf{w})) \rVert^2}_{\Psi_{feature}} \Bigr) + \beta \lVert \mathbf{w} \rVert^2
# \end{aligned}
# \tag{3}
# $$
#
# with $\beta = 10^{-4}$. After training, a feature is inverted by one pass through the network:
#
# $$
# \hat{\mathbf{x}}_{iL} = G_L(\Phi_L(\mathbf{x}_i); \mathbf{w}^*)
# \tag{4}
# $$
#
# Only $\mathbf{w}$ changes. The detector, which computes $\Phi_L$ and $\Theta$, stays as it is.
#
# ## From equation to code
#
# This is the whole of it in `svdlib`. The two norms are in two functions of one line, and one more function adds them up.


# %% tags=["hide-input"]
def code_of(function):
    """The source without its docstring."""
    docstring = re.compile(r'^    """.*?"""\n', re.DOTALL | re.MULTILINE)
    return docstring.sub("", inspect.getsource(function), count=1)


parts = (
    objectives.input_loss,
    objectives.feature_loss,
    objectives.reconstruction_losses,
)
display(
    Markdown(
        "```python\n" + "\n\n".join(code_of(part) for part in parts) + "```"
    )
)

# %% [markdown]
# Two things deserve a second look.
#
# **Means instead of sums.** `mse_loss` divides by the number of values. The released code does so too. But this changes the balance of the two losses: the input loss is divided by the number of
# values of an excerpt, the feature loss by that of a Conv5 feature.

# %% tags=["hide-input"]
excerpt_values, conv5_values = 115 * 80, 64 * 33 * 21
print(
    "Against equation 3, the feature loss counts "
    f"{conv5_values / excerpt_values:.1f} times less."
)

# %% [markdown]
# So "both weights are 1" means one thing in the equation and another in the code. Our objective `"joint"` takes means, as the code does, so that our runs can be compared with those of its authors; with `lambda_feature` set to that number it has the balance of equation 3. `"balanced"` divides each loss by what the mean predictor would have, so that both begin at about 1.
#
# **No `detach`.** The comparator is applied to the inversion as an ordinary differentiable function. That is what lets the feature loss teach the inverter.
#
# Let us compute the joint loss of a few excerpts by hand. They come from a *bank*: it holds the spectrograms of some songs and cuts windows of 115 frames out of them, one every ten frames.

# %%
layer = "mp6"
inverter = svdlib.pretrained("inverter", layer=layer).to(device)


def compare(excerpts):
    """Theta: the detector up to Conv5."""
    return detector.features(excerpts, ("conv5",))["conv5"]


x = train.gather(train.spread(8))  # eight excerpts, spread over the songs
feature = detector.features(x, (layer,))[layer]
x_hat = inverter(feature)
by_hand = ((x - x_hat) ** 2).mean() + (
    (compare(x) - compare(x_hat)) ** 2
).mean()
joint = objectives.reconstruction_losses(
    x, compare(x), {layer: x_hat}, compare
)[layer]

# %% tags=["nbval-check-output", "hide-cell"] mystnb={"code_prompt_show": "Show that both ways agree"}
print(
    "by hand and by svdlib the same:",
    torch.allclose(by_hand, joint, rtol=1e-5),
)

# %% [markdown]
# ## Does the gradient arrive?
#
# The inverter learns from the gradient of the loss with respect to its weights. We compute this gradient in three ways:
#
# 1. from the input loss alone;
# 2. from the joint loss, in means;
# 3. from the joint loss with the comparator's feature of the inversion *detached*: it enters the loss as plain numbers, and the gradient cannot go back through it.
#
# The third way is what the authors' released training code does (the repository Deep_Inversion; ISMIR-2018, which the paper names, only inverts). It computes $\Theta(\hat{\mathbf{x}})$ outside of the graph and feeds it in as an input. The paper does not mention it; it is *our* finding.


# %%
def gradient_of(loss):
    """The gradient for all weights of the inverter, as one long vector."""
    return torch.cat(
        [
            part.flatten()
            for part in torch.autograd.grad(loss, list(inverter.parameters()))
        ]
    )


def joint_loss(theta_of_inversion):
    return objectives.input_loss(x, x_hat) + objectives.feature_loss(
        compare(x), theta_of_inversion
    )


x_hat = inverter(feature)
from_input = gradient_of(objectives.input_loss(x, x_hat))
x_hat = inverter(feature)
from_joint = gradient_of(joint_loss(compare(x_hat)))
x_hat = inverter(feature)
from_detached = gradient_of(joint_loss(compare(x_hat).detach()))

# %% tags=["nbval-check-output", "hide-input"]
print(
    "detached: the same gradient as from the input loss alone:",
    torch.allclose(from_detached, from_input, rtol=1e-4, atol=1e-7),
)
print(
    "joint:    the same gradient as from the input loss alone:",
    torch.allclose(from_joint, from_input, rtol=1e-4, atol=1e-7),
)

# %% tags=["remove-input"]
angle = torch.rad2deg(
    torch.acos(
        torch.cosine_similarity(from_joint, from_input, dim=0).clamp(-1, 1)
    )
).item()
share = ((from_joint - from_input).norm() / from_input.norm()).item()
with torch.no_grad():
    input_value = objectives.input_loss(x, x_hat).item()
    feature_value = objectives.feature_loss(compare(x), compare(x_hat)).item()
in_sums = share * conv5_values / excerpt_values
if share < 0.1:
    weight = (
        "So the feature loss has hardly a say in where the weights go, even with its gradient. Its weight of 1 sounds fair, but the two losses have different units: "
        f"the comparator's values are small, and their squared differences smaller still. With sums, as in equation 3, it would be {100 * in_sums:.1f} %. "
        "To make the two losses pull alike, one would have to raise the weight of the second."
    )
else:
    weight = "So the feature loss has a say in where the weights go."
display(
    Markdown(
        f"For the inverter of {layer_title(layer)} that comes with this book, the input loss of these excerpts is {input_value:.2g} and the feature loss {feature_value:.2g}. The gradient of the feature loss has "
        f"{100 * share:.1f} % of the length of that of the input loss, and turns it by {angle:.1f}°. {weight} "
        "Detached, the feature loss keeps its *value*: it stands in the log and makes the loss look larger. But its gradient is exactly zero."
    )
)

# %% [markdown]
# This throws light on a result of the paper: inverters trained on both losses have about the same error as those trained on the input loss alone. With the released code, both are trained on the same gradient. And where the gradient of the feature loss is as small as here, one must expect it even from code with a gradient, as `svdlib` has it. Which code produced the numbers, we cannot know.
#
# A habit to take along: **when a loss has several terms, look at the gradient of each, and compare their lengths.**
#
# ## The training loop
#
# Here is a whole training in one cell. Read it from top to bottom; there is nothing else behind it.

# %%
torch.manual_seed(seed)
learner = svdlib.build_inverter(learned, family).to(device)
optimiser = torch.optim.Adam(learner.parameters(), lr=1e-3)
losses = []
for _ in range(20):
    batch = torch.randint(len(train), (8,)).to(device)  # draw eight excerpts,
    x = train.gather(batch)  # cut them out: (8, 1, 115, 80),
    features = detector.features(x, (learned, "conv5"))  # run the detector,
    phi, theta = features[learned], features["conv5"]
    x_hat = learner(phi)  # invert,
    compared = objectives.reconstruction_losses(
        x, theta, {learned: x_hat}, compare
    )
    loss = compared[learned]  # compare,
    optimiser.zero_grad()
    loss.backward()  # ask each weight which way is down,
    optimiser.step()  # and go a small step.
    losses.append(loss.item())
print(f"steps 1 to 5: {sum(losses[:5]) / 5:.2f}")
print(f"steps 16 to 20: {sum(losses[-5:]) / 5:.2f}")

# %% [markdown]
# `fit_inverters` does the same and adds what a real training needs:
#
# - the penalty $\beta \lVert \mathbf{w} \rVert^2$, as Adam's weight decay;
# - epochs, in each of which no excerpt comes twice;
# - a **validation** after each epoch, on songs that are not trained on. The weights with the lowest validation loss are kept, not the last ones;
# - a learning rate that falls. The paper halves it when the training loss stalls for two epochs. For short runs, a smooth fall (a *cosine*) makes better use of the time;
# - several layers at once: the detector runs once for all of them, and since no weight is shared, each inverter learns exactly as it would alone.
#
# Which losses it adds up is its `objective`: `"joint"`, `"input"`, `"released"` (the step of the released code), or `"adversarial"`, which adds a third term that the paper leaves to the future {cite}`dosovitskiy2016perceptual` ({doc}`04e_feature_loss` shows what it brings).
#
# At the top of this page the aligned inverter of Conv1 was trained on the joint loss. It needs the fewest steps of all, for nothing was pooled yet; those of deep layers need hours. We train it once more, on the input loss, from the same initial weights and in the same order of excerpts.

# %%
fitted["input"] = svdlib.fit_inverters(
    detector,
    train,
    valid,
    layers=(learned,),
    variant=family,
    plan=plan,
    objective="input",
    seed=seed,
)

# %% tags=["hide-input"] figure="training-curve" mystnb={"image": {"alt": "Training and validation loss of the Conv1 inverter over the epochs of a short run on the joint loss, on a logarithmic scale. The text below states the first and the last values."}}
figure_training(fitted["joint"].history)

# %% tags=["remove-input"]
history = fitted["joint"].history
first, last = history[0], history[-1]
best = min(epoch.validation[learned] for epoch in history)
seen = plan.epochs * plan.steps_per_epoch * plan.batch_size
kept = [epoch.validation[learned] for epoch in history].index(best) + 1
if last.training[learned] < 0.97 * history[-2].training[learned]:
    ending = "The training loss was still falling at the end: more steps would help."
else:
    ending = "At the end the training loss hardly fell any more, because the learning rate had come near zero."
display(
    Markdown(
        f"In {n_steps} steps, over {seen} excerpts, the training loss went from {first.training[learned]:.2f} (mean of the first epoch) to {last.training[learned]:.2f}. "
        f"The validation loss went from {first.validation[learned]:.2f} to {last.validation[learned]:.2f}; the weights after epoch {kept} were kept. {ending} "
        "Training and validation may lie apart for two reasons: other songs, and batch normalisation, which uses the batch's own mean and deviation in training and running averages in validation."
    )
)

# %% [markdown]
# ## Two losses, and more time
#
# The excerpt from the top of the page, painted by both of our inverters, and by the one that comes with the book. All have the same colour scale.

# %% tags=["hide-input"]
shipped = svdlib.pretrained("inverter", layer=learned, variant=family)
painters = {
    "Ours, joint loss": fitted["joint"].inverters[learned],
    "Ours, input loss": fitted["input"].inverters[learned],
    "Shipped with the book": shipped.to(device),
}
paintings = paint(painters)
Gallery(panels_of(paintings))

# %% [markdown]
# So we compute both losses, and the normalised reconstruction error (NRE) that {doc}`04_quantitative_nre` explains, for excerpts from all over the validation songs. In each column smaller is better.

# %% tags=["hide-input"]
test_excerpts = valid.gather(valid.spread(48))
with torch.no_grad():
    its_features = detector.features(test_excerpts, (learned, "conv5"))
    rows = []
    for name, painter in ({"Untrained": untrained} | painters).items():
        x_hat = painter(its_features[learned])
        rows.append(
            {
                "inverter": name,
                "input loss": objectives.input_loss(
                    test_excerpts, x_hat
                ).item(),
                "feature loss": objectives.feature_loss(
                    its_features["conv5"], compare(x_hat)
                ).item(),
                "NRE": svdlib.nre(test_excerpts, x_hat),
            }
        )

# %% tags=["hide-input"]
table = pd.DataFrame(rows)
table.style.format(
    {"input loss": "{:.3f}", "feature loss": "{:.5f}", "NRE": "{:.3f}"}
).hide(axis="index")

# %% tags=["remove-input"]
values = table.set_index("inverter")
ours, alone, shipped = (
    values.loc[name]
    for name in (
        "Ours, joint loss",
        "Ours, input loss",
        "Shipped with the book",
    )
)
gain = 1 - ours["feature loss"] / alone["feature loss"]
cost = ours["input loss"] / alone["input loss"] - 1
if abs(gain) < 0.02 and abs(cost) < 0.02:
    verdict = "The two short trainings came out nearly alike: the second gradient does not change much."
elif gain > 0:
    verdict = f"After training on the joint loss, the feature loss is {100 * gain:.0f} % lower than after training on the input loss alone. That is what one expects when its gradient arrives. But it may be chance: small differences grow over the steps of a training."
else:
    verdict = f"Training on the joint loss did not lower the feature loss here (it is {-100 * gain:.0f} % higher). After so few steps, chance can do that."
verdict += f" The input loss differs by {100 * cost:+z.1f} %."
if shipped["NRE"] < ours["NRE"]:
    against = "The shipped inverter, trained far longer, is better:"
else:
    against = "The shipped inverter is no better on these songs, which is a reason to train it again for them:"
display(
    Markdown(
        f"{verdict} {against} its NRE is {shipped['NRE']:.3f}, ours {ours['NRE']:.3f}. "
        "Remember that this compares single runs: another seed would give other numbers."
    )
)

# %% [markdown]
# ## Stopping and going on
#
# A full training takes hours. With a `folder`, `fit_inverters` keeps its state: the weights, the averages of Adam, the number of the batch, the best weights so far. The file is written under
# a temporary name and then renamed, so it is always whole, even after a `kill -9`.
#
# We interrupt a very small training again and again, after every single step, and resume it until it is done. The result must be the same as without interruption.

# %% tags=["hide-input"]
small_plan = svdlib.TrainingPlan(
    epochs=2, batch_size=2, steps_per_epoch=2, validation_excerpts=2
)
task = {"layers": ("fc8",), "plan": small_plan, "seed": seed}
unbroken = svdlib.fit_inverters(detector, train, valid, **task)
with tempfile.TemporaryDirectory() as folder:
    stops = 0
    while True:
        broken = svdlib.fit_inverters(
            detector,
            train,
            valid,
            **task,
            folder=Path(folder),
            resume=True,
            minutes=0,
        )
        if broken.finished:
            break
        stops += 1
one, other = (run.inverters["fc8"].state_dict() for run in (unbroken, broken))
largest = max((one[name] - other[name]).abs().max().item() for name in one)

# %% tags=["nbval-check-output", "hide-input"]
print("interrupted", stops, "times")
print("largest difference of any weight:", largest)

# %% [markdown]
# On a CPU the weights agree to the last bit. On a GPU some sums are added in an order that changes from run to run, so there the last digits may differ.
#
# ## How the shipped weights were trained
#
# Each weights file carries its own history. What the files that come with `svdlib` say of themselves is folded here.


# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show what all files have in common"}
def say(value):
    """Write a value of a provenance in words; a group of values as a list."""
    if isinstance(value, dict):
        parts = (f"{name(key)} {say(part)}" for key, part in value.items())
        return ", ".join(parts)
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def name(key):
    return key.replace("_", " ")


own = {
    layer_title(each): svdlib.pretrained("inverter", layer=each).provenance
    for each in svdlib.LAYERS
}
first = own["Conv1"]
common = [
    key
    for key in first
    if all(own[each].get(key) == first[key] for each in own)
]
histories = ("training_losses", "validation_losses")
differing = [key for key in first if key not in (*common, *histories)]
origin = {"all eight inverters": first, "the detector": detector.provenance}
pd.DataFrame(
    [
        {"of": whose, "what": name(key), "value": say(value)}
        for whose, values in origin.items()
        for key, value in values.items()
        if key != "detector" and (values is not first or key in common)
    ]
).style.hide(axis="index")

# %% tags=["hide-cell"] mystnb={"code_prompt_show": "Show what differs from file to file"}
pd.DataFrame(
    [
        {"inverter": each}
        | {name(key): say(values.get(key)) for key in differing}
        for each, values in own.items()
    ]
).style.hide(axis="index")

# %% [markdown]
# The same training, on your machine or a GPU, is one command: `svdlib train inverters --profile full`. Stop it when you like, and go on with `--resume`.
#
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "A training step computes the comparator's feature of the inversion outside of the graph, and puts it into the loss as numbers. What happens?",
        [
            Answer(
                "The term shows in the loss, and teaches the weights nothing.",
                "A gradient needs a path from the loss back to the weights. Numbers have none, and nothing in the log shows that it is missing.",
                right=True,
            ),
            Answer(
                "The weights still learn from this term, only more slowly.",
                "A small gradient would do that. Here it is exactly zero, however long one trains.",
            ),
            Answer(
                "The training stops, as the gradient of this term does not exist.",
                "The other term has a gradient, and that is enough for the step. So the mistake is easily overlooked.",
            ),
        ],
    ),
    Question(
        "The detector stands in the loss twice, as the layers below the feature and as the comparator. Which weights does a step change?",
        [
            Answer(
                "Those of the inverter alone.",
                "The gradient passes through the comparator on its way to the inverter, and leaves its weights as they are.",
                right=True,
            ),
            Answer(
                "Those of the inverter, and those of the comparator's layers.",
                "Then the comparator could learn to see no difference at all, and the loss would be small for any picture.",
            ),
            Answer(
                "Those of the inverter, and those of the layer that is inverted.",
                "We want to know what a given detector keeps. One that has been trained to be inverted would be another detector.",
            ),
        ],
    ),
    Question(
        "Many excerpts have nearly the same feature, but their drums fall on different frames. What does the squared error teach the inverter to paint there?",
        [
            Answer(
                "A blur: the mean of these excerpts.",
                "The mean has the smallest squared error when one cannot know which excerpt it was. It is sharp in none of the places and half right in all.",
                right=True,
            ),
            Answer(
                "The drums of the excerpt that it has seen most often.",
                "It would be right at times, and twice as wrong at others. Squares punish large errors, so hedging wins.",
            ),
            Answer(
                "Nothing, since errors of opposite signs cancel.",
                "Squares have no sign, so they do not cancel. A picture without drums is wrong by the whole of them.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - An inverter is trained to repaint excerpts from features. Its loss compares pictures and, through the comparator, features.
# - A loss term teaches only if its gradient reaches the weights. In the released code of the paper the feature term has no gradient; in `svdlib` it has one. But with a weight of 1, and means for losses, it is tiny.
# - A training loop is a dozen lines. What makes it a tool is validation, a falling learning rate, and a state that survives interruption.
# - What is kept is the best on validation, not the last.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.
#
# (exercise-balance)=
# ### Exercise 1: The balance of two losses
#
# *Easy, 10 minutes.*
#
# Equation 3 adds sums of squares; the code adds means. Write `balance(n_input, n_feature)`: the weight $\lambda_{feature}$ that makes the code weigh both losses as the equation does, when an excerpt has `n_input` values and a feature of the comparator `n_feature`. What is it for Conv5?
#
# :::{dropdown} First hint
# A mean is a sum, divided by how many values there are. Write both means in this way, and bring the whole to one common factor.
# :::
#
# :::{dropdown} Second hint
# Multiply the code's loss by `n_input`, so that the input loss becomes its sum. What must $\lambda_{feature}$ be so that the other term becomes its sum as well?
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_balance(balance):
    def fits(n_input, n_feature, weight):
        """Whether the code's loss stays in one proportion to the equation's."""
        rng = np.random.default_rng(0)
        ratios = []
        for scale in (0.1, 1.0, 10.0):
            one = rng.normal(size=n_input)
            other = scale * rng.normal(size=n_feature)
            sums = np.sum(one**2) + np.sum(other**2)
            means = np.mean(one**2) + weight * np.mean(other**2)
            ratios.append(sums / means)
        return np.allclose(ratios, ratios[0])

    for n_input, n_feature in ((9200, 44352), (100, 7)):
        weight = balance(n_input, n_feature)
        assert isinstance(weight, (int, float)) and weight > 0, (
            f"With {n_input} and {n_feature} values your weight is {weight}; it must be a number above 0."
        )
        upside_down = fits(n_input, n_feature, 1 / weight)
        assert fits(n_input, n_feature, weight), (
            f"With {n_input} and {n_feature} values, a weight of {weight:.3g} does not give a fixed multiple of the equation's sum."
            + (
                " Think again which of the two means divides by more."
                if upside_down
                else ""
            )
        )


# %% tags=["exercise"]
def balance(n_input, n_feature):
    """The weight of the feature loss that makes means count as sums do."""
    ...


check_balance(balance)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def balance(n_input, n_feature):
    # The sums are n_input and n_feature times the means; n_input is left out.
    return n_feature / n_input


display(check_balance(balance))
print(f"for Conv5: {balance(115 * 80, 64 * 33 * 21):.2f}")

# %% [markdown]
# (exercise-joint-loss)=
# ### Exercise 2: A loss of your own
#
# *Easy, 15 minutes.*
#
# Write `my_loss(x, x_hat, theta)` with PyTorch: the joint loss of a batch of excerpts `x` and their inversions `x_hat`, both weights 1, with means as in the code. `theta` is a function, the comparator. The gradient must reach `x_hat` through both terms.
#
# :::{dropdown} First hint
# Two terms, one for pictures and one for features. Both are means of squared differences.
# :::
#
# :::{dropdown} Second hint
# Apply `theta` to `x` and to `x_hat`, each on its own, and compare the results. Stay with tensors from beginning to end: no `float`, no `detach`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_joint_loss(my_loss):
    x = torch.tensor([[3.0, 0.0], [-2.0, 1.0]], dtype=torch.float64)
    x_hat = torch.tensor([[1.0, 1.0], [-2.0, 4.0]], dtype=torch.float64)
    x_hat.requires_grad_(True)

    def squares(each):
        """A comparator whose values one can work out without a computer."""
        return each[:, :1] ** 2

    got = my_loss(x, x_hat, squares)
    assert isinstance(got, torch.Tensor), (
        f"The loss must stay a tensor, or no gradient can pass; it is a {type(got).__name__}."
    )
    assert got.shape == (), (
        f"The loss must be one number, not {tuple(got.shape)}."
    )
    hints = {
        78.0: "Take means in place of sums.",
        3.5: "The feature loss is missing.",
        32.0: "The input loss is missing.",
        5.5: "These are absolute differences. The losses take their squares.",
        7.5: "The feature loss takes absolute differences; it should take their squares.",
        33.5: "The input loss takes absolute differences; it should take their squares.",
        7.5277: "Means of squares, without roots.",
        11.7417: "Means of squares, without roots.",
        11.5: "Compare the features of both, and do not take the feature of their difference.",
        17.75: "The sum of both, each with the weight 1, not their mean.",
    }
    hint = "".join(
        f" {hint}"
        for wrong, hint in hints.items()
        if abs(got.item() - wrong) < 1e-3
    )
    assert abs(got.item() - 35.5) < 1e-6, (
        f"For a small example the loss is 35.5; you have {got.item():.4g}.{hint}"
    )
    assert got.requires_grad, "No gradient can reach the inversion."
    (slope,) = torch.autograd.grad(got, x_hat)
    # The truth about a slope: go a little step both ways, and look.
    step = 1e-5 * torch.eye(4, dtype=torch.float64).view(4, 2, 2)
    with torch.no_grad():
        measured = torch.tensor(
            [
                (
                    my_loss(x, x_hat + each, squares)
                    - my_loss(x, x_hat - each, squares)
                )
                / 2e-5
                for each in step
            ],
            dtype=torch.float64,
        ).view(2, 2)
    assert torch.allclose(slope, measured, atol=1e-6), (
        "The value is right, but its gradient is not that of the value: one of the two terms was cut off the graph."
    )
    return "Both terms teach."


# %% tags=["exercise"]
def my_loss(x, x_hat, theta):
    """The joint loss of a batch, a scalar tensor."""
    ...


check_joint_loss(my_loss)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def my_loss(x, x_hat, theta):
    in_picture = ((x - x_hat) ** 2).mean()
    in_feature = ((theta(x) - theta(x_hat)) ** 2).mean()
    return in_picture + in_feature


check_joint_loss(my_loss)

# %% [markdown]
# (exercise-comparator)=
# ### Exercise 3: A comparator that looks at less
#
# *Medium, 15 minutes.*
#
# What would change if Conv1 were the comparator? Write `relative_error(x, x_hat, layer)`: the mean squared difference of the detector's features at `layer` between excerpts and inversions, divided by the mean square of the feature of the excerpts. Dividing makes layers comparable. Then compare the inversions from Conv5 and FC8 at Conv1 and at Conv5. What do you expect for a blurred picture?
#
# :::{dropdown} First hint
# Look at the features of `x` and of `x_hat` at the same layer. You need two means, and then their ratio.
# :::
#
# :::{dropdown} Second hint
# `detector.features(x, (layer,))[layer]` gives a feature. Take each mean over everything, all excerpts together, before you divide. No gradient is needed: `torch.no_grad()`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
class StandIn:
    """In the detector's place: features that one can work out without a computer."""

    def features(self, excerpts, layers):
        made = {"conv1": excerpts, "conv5": excerpts.abs()}
        return {layer: made[layer] for layer in layers}


@self_check
def check_relative_error(relative_error):
    global detector
    size = (1, 1, 115, 80)
    # One excerpt of threes and one of ones, painted as ones and as minus ones.
    x = torch.cat([torch.full(size, 3.0), torch.full(size, 1.0)])
    x_hat = torch.cat([torch.full(size, 1.0), torch.full(size, -1.0)])
    own, detector = detector, StandIn()
    try:
        values = {
            layer: float(
                relative_error(x.to(device), x_hat.to(device), layer)
            )
            for layer in ("conv1", "conv5")
        }
        perfect = float(relative_error(x, x, "conv5"))
    finally:
        detector = own
    hints = {
        "conv1": {
            0.8944: "Without the square root.",
            4.0: "Divide what you have by the mean square of the excerpts' feature, no other.",
            2.2222: "Take both means over all excerpts, before you divide.",
        },
        "conv5": {
            0.6325: "Without the square root.",
            0.8: "Compare the features at `layer`, and not the pictures, nor always the same layer.",
            2.0: "Divide what you have by the mean square of the excerpts' feature, no other.",
            0.2222: "Take both means over all excerpts, before you divide.",
        },
    }
    for layer, expected in (("conv1", 0.8), ("conv5", 0.4)):
        got = values[layer]
        hint = "".join(
            f" {hint}"
            for wrong, hint in hints[layer].items()
            if abs(got - wrong) < 1e-3
        )
        assert abs(got - expected) < 1e-4, (
            f"For two plain excerpts, and a stand-in for the detector, it is {expected} at {layer}; you have {got:.4g}.{hint}"
        )
    assert perfect == 0, "An excerpt compared with itself has no error."


# %% tags=["exercise"]
def relative_error(x, x_hat, layer):
    """Squared error at a layer, relative to the feature's mean square."""
    ...


check_relative_error(relative_error)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
@torch.no_grad()
def relative_error(x, x_hat, layer):
    seen, painted = (
        detector.features(each, (layer,))[layer] for each in (x, x_hat)
    )
    return ((seen - painted) ** 2).mean() / (seen**2).mean()


display(check_relative_error(relative_error))
some = {
    each: svdlib.pretrained("inverter", layer=each).to(device)
    for each in ("conv5", "fc8")
}
for each, x_hat in reconstruct(detector, some, test_excerpts).items():
    for seen_by in ("conv1", "conv5"):
        error = relative_error(test_excerpts, x_hat, seen_by)
        print(f"from {each}, compared at {seen_by}: {error:.3f}")
display(
    Markdown(
        "Conv1 sees patches of 3 × 3 values, so its loss is close to another way of counting errors in the picture. Conv5 combines larger regions, and what it does not see, it does not punish."
    )
)

# %% [markdown]
# (exercise-finite-differences)=
# ### Exercise 4: Test a gradient
#
# *Medium, 20 minutes.*
#
# A gradient can be tested without knowing how it was computed: go a little step and look. Write `slope_along(loss, point, direction, step)`: the slope of the function `loss` at `point` in a direction, from its values at the points one `step` times `direction` before and behind. Use both, so that the error shrinks with the square of the step. Then test the gradient of the joint loss with respect to an inversion.
#
# :::{dropdown} First hint
# Walk one step ahead and one behind. What is the difference of the two values, and how far apart are the two points, counted in `direction`?
# :::
#
# :::{dropdown} Second hint
# The points are `point + step * direction` and `point - step * direction`: two steps apart. Make new tensors, and leave `point` as it is.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_slope(slope_along):
    point = torch.tensor([1.0, -2.0, 0.5], dtype=torch.float64)
    direction = torch.tensor([0.5, 1.0, -1.0], dtype=torch.float64)
    before = point.clone()
    for name, loss, gradient in (
        ("the sum", lambda w: w.sum(), torch.ones(3)),
        ("the sum of squares", lambda w: (w**2).sum(), 2 * point),
        ("the sum of cubes", lambda w: (w**3).sum(), 3 * point**2),
    ):
        expected = float((gradient * direction).sum())
        got = float(slope_along(loss, point, direction, 1e-3))
        assert torch.equal(point, before), (
            "The point that was given has changed."
        )
        off = abs(got - expected)
        one_sided = abs(off - 1e-3 * float((direction**2).sum())) < 1e-5
        hint = " It looks as if only one side was used." if one_sided else ""
        length = float(direction.norm())
        for factor, why in (
            (2, "The two points are two steps apart."),
            (-1, "Ahead minus behind."),
            (2e-3, "Divide by the distance of the two points."),
            (1 / length, "A step is `direction` as it is, of any length."),
        ):
            if abs(got - factor * expected) < 1e-5:
                hint = f" {why}"
        assert off < 1e-5, (
            f"For {name} the slope is {expected:.4f}; you have {got:.4f}.{hint}"
        )


# %% tags=["exercise"]
def slope_along(loss, point, direction, step):
    """The slope of `loss` at `point` in a direction, by differences."""
    ...


check_slope(slope_along)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def slope_along(loss, point, direction, step):
    ahead = loss(point + step * direction)
    behind = loss(point - step * direction)
    return (ahead - behind) / (2 * step)


display(check_slope(slope_along))
exact = copy.deepcopy(detector).double()  # rounding would drown small steps
picture = example.double()
target = exact.features(picture, ("conv5",))["conv5"]


def loss_of(x_hat):
    seen = exact.features(x_hat, ("conv5",))["conv5"]
    return ((picture - x_hat) ** 2).mean() + ((target - seen) ** 2).mean()


point = paintings["Ours, joint loss"].detach().double().requires_grad_(True)
direction = torch.randn(
    point.shape,
    dtype=torch.float64,
    generator=torch.Generator().manual_seed(1),
).to(device)
(gradient,) = torch.autograd.grad(loss_of(point), point)
with torch.no_grad():
    measured = slope_along(loss_of, point, direction, 1e-7).item()
computed = (gradient * direction).sum().item()
print(f"measured {measured:.9f}, by autograd {computed:.9f}")

# %% [markdown]
# (exercise-alone-or-together)=
# ### Exercise 5: Alone or together
#
# *Medium, 20 minutes.*
#
# `fit_inverters` trains several layers at once. Does an inverter come out otherwise if another one is trained beside it? First guess, and find a reason. Then write `train_fc8(layers)`: it trains `layers` with `small_plan` and the seed 0, on `train` and `valid`, and returns the `state_dict()` of the inverter of FC8.
#
# :::{dropdown} First hint
# The chapter trained MP6 with `svdlib.fit_inverters`. Which of its arguments must change?
# :::
#
# :::{dropdown} Second hint
# Hand on `layers`, `small_plan` and the seed. The result has a dictionary `inverters`, by layer, and each inverter has a `state_dict()`.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_alone(train_fc8):
    called = inspect.signature(svdlib.fit_inverters)
    with mock.patch.object(
        svdlib, "fit_inverters", wraps=svdlib.fit_inverters
    ) as spy:
        alone, together = train_fc8(("fc8",)), train_fc8(("mp6", "fc8"))
    runs = [called.bind(*each.args, **each.kwargs) for each in spy.mock_calls]
    assert len(runs) == 2, "Train with `svdlib.fit_inverters`, once a call."
    for run, layers in zip(runs, (("fc8",), ("mp6", "fc8")), strict=True):
        run.apply_defaults()
        given = run.arguments
        assert tuple(given["layers"]) == layers, (
            "Hand `layers` on to the training."
        )
        assert given["train"] is train and given["valid"] is valid, (
            "Train on `train`, and validate on `valid`."
        )
        assert given["plan"] is small_plan, "The plan should be `small_plan`."
        used = given["settings"].get("seed", given["options"].seed)
        assert used == 0, f"The seed is {used}, not 0."
    shapes = {
        name: part.shape
        for name, part in svdlib.build_inverter("fc8").state_dict().items()
    }
    for each in (alone, together):
        assert isinstance(each, dict), (
            f"Return the inverter's `state_dict()`, not a {type(each).__name__}."
        )
        assert {name: part.shape for name, part in each.items()} == shapes, (
            "These are not the weights of an inverter of FC8."
        )
    off = max((alone[k] - together[k]).abs().max().item() for k in shapes)
    assert off < 1e-4, (
        f"The two inverters differ by up to {off:.2g}. Are both weights those after the training?"
    )
    return "Alone or together, it is the same inverter."


# %% tags=["exercise"]
def train_fc8(layers):
    """The weights of FC8's inverter after a training of `layers`."""
    ...


check_alone(train_fc8)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def train_fc8(layers):
    run = svdlib.fit_inverters(
        detector, train, valid, layers=layers, plan=small_plan, seed=0
    )
    return run.inverters["fc8"].state_dict()


display(check_alone(train_fc8))
display(
    Markdown(
        "No weight is shared, and Adam treats every weight on its own. Each layer has its own seed for its initial weights, and the order of the excerpts depends on the seed of the run alone. On a CPU they agree to the last bit."
    )
)

# %% [markdown]
# (exercise-plateau)=
# ### Exercise 6: A rate that falls
#
# *Hard, 25 minutes.*
#
# The paper halves the learning rate when the training loss stalls. Write `rates(losses, rate, patience)`: the learning rate of each epoch, given the training loss of each epoch. The first epoch has `rate`. When `patience` epochs in a row have brought no new lowest loss, the rate is halved for the next epoch, and the count begins anew. For losses 5, 4, 4, 4, 3, 3, 3, 3 with a rate of 8 and a patience of 2, the rates are 8, 8, 8, 8, 4, 4, 4, 2.
#
# :::{dropdown} First hint
# Walk through the epochs and remember three things: the rate, the lowest loss so far, and how many epochs have passed since.
# :::
#
# :::{dropdown} Second hint
# Write down the rate of an epoch *before* you look at its loss. A new lowest loss sets the count to 0; at `patience` the rate is halved and the count is 0 again.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_rates(rates):
    # (what, losses, rate, patience, how often the rate was halved before each epoch)
    cases = [
        (
            "the example",
            [5, 4, 4, 4, 3, 3, 3, 3],
            8.0,
            2,
            [0, 0, 0, 0, 1, 1, 1, 2],
        ),
        ("always falling", [3, 2, 1], 1.0, 1, [0, 0, 0]),
        ("always rising", [1, 2, 3, 4, 5], 16.0, 1, [0, 0, 1, 2, 3]),
        (
            "stalls cut short by a new lowest",
            [4, 5, 3, 5, 2, 5, 2],
            1.0,
            2,
            [0, 0, 0, 0, 0, 0, 0],
        ),
        (
            "up and down, no new lowest",
            [1, 3, 2, 3, 2, 3],
            8.0,
            2,
            [0, 0, 0, 1, 1, 2],
        ),
        (
            "a long stall",
            [1, 2, 2, 2, 2, 2, 2, 2],
            1.0,
            3,
            [0, 0, 0, 0, 1, 1, 1, 2],
        ),
        ("one epoch", [2], 0.5, 2, [0]),
    ]
    for what, losses, rate, patience, halvings in cases:
        expected = [rate / 2**n for n in halvings]
        got = list(rates(losses, rate, patience))
        assert len(got) == len(losses), (
            f"{len(losses)} epochs have {len(losses)} rates, not {len(got)}."
        )
        hint = ""
        if len(got) > 1 and np.allclose(got[:-1], expected[1:]):
            hint = " The rate falls for the next epoch, not for the one that stalls."
        assert np.allclose(got, expected), (
            f"{what[0].upper()}{what[1:]}: for losses {losses}, a rate of {rate:g} and a patience of {patience} the rates are {expected}, not {[float(each) for each in got]}.{hint}"
        )


# %% tags=["exercise"]
def rates(losses, rate, patience):
    """The learning rate of each epoch, halved where the loss stalls."""
    ...


check_rates(rates)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def rates(losses, rate, patience):
    found, best, waited = [], float("inf"), 0
    for loss in losses:
        found.append(rate)
        best, waited = (loss, 0) if loss < best else (best, waited + 1)
        if waited == patience:
            rate, waited = rate / 2, 0
    return found


display(check_rates(rates))
print(rates([5, 4, 4, 4, 3, 3, 3, 3], 8, 2))

# %% [markdown]
# ## Further reading
#
# - {cite:t}`dosovitskiy2016perceptual` introduce the loss on features; they add an adversarial term, which the paper leaves to the future and `svdlib.inversion.adversary` has.
# - {cite:t}`kingma2015` describe Adam, {cite:t}`he2015` the initial weights.
# - {cite:t}`mahendran2015` explain inversion by search, equation 1.
