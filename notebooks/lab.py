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
# # The lab: measure, and defend one claim
#
# Six exercises, each with two checks, and one claim of your own with one figure. A check counts 2 points in an easy exercise, 3 in a medium and 4 in a hard one. The claim counts 10, given by hand.
#
# Write your answers where the dots stand, and leave all other cells as they are. A check tells you in a sentence what is wrong. The whole notebook must run from top to bottom.

# %% tags=["parameters"]
profile = "demo"
corpus = "synthetic:songs=12,seconds=20,seed=5"
device = "cpu"
seed = 0

# %% [markdown]
# ## Materials
#
# `x` holds excerpts of the test songs, standardised, of shape (excerpts, 1, 115, 80), and `songs` the number of each excerpt's song. `training` holds excerpts of training songs. `detector` and the `inverters` of three layers come with the library.

# %%
import numpy as np
import torch
from matplotlib import pyplot as plt

import svdlib
from svdlib.pages.exercises import self_check

torch.manual_seed(seed)
collection = svdlib.open_corpus(corpus)
detector = svdlib.pretrained("detector").to(device).requires_grad_(False)
inverters = {
    layer: svdlib.pretrained("inverter", layer=layer, variant="aligned")
    .to(device)
    .requires_grad_(False)
    for layer in ("mp6", "fc7", "fc8")
}


def excerpts_of(split, per_song=8):
    """Excerpts of each song of a split, evenly spread, and the song of each."""
    bank = svdlib.ExcerptBank(
        svdlib.load_songs(collection.split(split)),
        standardizer=detector.standardizer,
        device=device,
    )
    count = per_song * len(collection.split(split))
    return bank.gather(bank.spread(count)), np.repeat(
        np.arange(count // per_song), per_song
    )


x, songs = excerpts_of("test")
training, _ = excerpts_of("train")
print(f"{len(x)} test excerpts, {len(training)} training excerpts")

# %% [markdown]
# (exercise-lab-cells)=
# ### Exercise 1: Who sees a frame?
#
# *Easy, 15 minutes.*
#
# Write `cells_that_see(frame, layers, cells)`: the list of those cells of the last layer, in their order, that see the frame `frame` of the excerpt. Frames and cells are counted from 0, and the last layer has `cells` of them. `layers` are pairs (window, step) from the input up, such as `(3, 1)` for a convolution of the detector and `(3, 3)` for a pooling. Nothing is padded: the first cell sees the first frames.


# %% tags=["check"]
@self_check
def check_one_layer(cells_that_see):
    for layers, frame, cells, expected in (
        ([(3, 1)], 0, 113, [0]),
        ([(3, 1)], 5, 113, [3, 4, 5]),
        ([(3, 1)], 114, 113, [112]),
        ([(3, 3)], 5, 37, [1]),
        ([(3, 3)], 112, 37, []),
        ([(4, 2)], 6, 50, [2, 3]),
    ):
        got = list(cells_that_see(frame, layers, cells))
        assert got == expected, (
            f"Of {cells} cells with the (window, step) {layers[0]}, {expected} see frame {frame}; you have {got}."
        )


@self_check
def check_whole_network(cells_that_see):
    conv, pool = (3, 1), (3, 3)
    mp3 = [conv, conv, pool]
    for name, layers, frame, cells, expected in (
        ("Conv2", [conv, conv], 57, 111, [53, 54, 55, 56, 57]),
        ("MP3", mp3, 57, 37, [17, 18, 19]),
        ("MP6", mp3 * 2, 0, 11, [0]),
        ("MP6", mp3 * 2, 57, 11, [4, 5, 6]),
        ("MP6", mp3 * 2, 114, 11, [10]),
    ):
        got = list(cells_that_see(frame, layers, cells))
        assert got == expected, (
            f"Frame {frame} is seen by the cells {expected} of {name}; you have {got}."
        )


# %% tags=["exercise"]
def cells_that_see(frame, layers, cells):
    """The cells of the last layer that see a frame, as a list."""
    ...


check_one_layer(cells_that_see)
check_whole_network(cells_that_see)


# %% tags=["solution"]
def cells_that_see(frame, layers, cells):
    width, shift = 1, 1
    for window, step in layers:
        width, shift = width + (window - 1) * shift, shift * step
    return [i for i in range(cells) if shift * i <= frame < shift * i + width]


# %% [markdown]
# (exercise-lab-threshold)=
# ### Exercise 2: One threshold for all songs
#
# *Easy, 15 minutes.*
#
# Write `common_threshold(curves, labels)`. Both are lists with an array for each song: probabilities of its frames, and 1 for sung or 0. A frame counts as sung if its probability lies *above* the threshold. Return that threshold out of 0.00, 0.01, …, 1.00 with which the largest share of all *frames* is right; of equally good ones, the lowest.


# %% tags=["check"]
@self_check
def check_one_song(common_threshold):
    for curve, label, expected in (
        ([0.1, 0.4, 0.6, 0.9], [0, 0, 1, 1], 0.4),
        ([0.2, 0.7], [0, 0], 0.7),
        ([0.2, 0.7], [1, 1], 0.0),
        ([0.9, 0.3, 0.8, 0.2], [1, 1, 0, 0], 0.2),
    ):
        got = float(common_threshold([np.array(curve)], [np.array(label)]))
        assert abs(got - expected) < 1e-9, (
            f"For a song with the curve {curve} and the labels {label} it is {expected}, not {got}."
        )


@self_check
def check_several_songs(common_threshold):
    long = np.array([0.5] * 7 + [0.1] * 4), np.array([0] * 7 + [1] * 4)
    short = np.array([0.3, 0.3]), np.array([1, 1])
    got = float(common_threshold([long[0], short[0]], [long[1], short[1]]))
    assert abs(got - 0.5) < 1e-9, (
        f"For a song of 11 frames and one of 2 it is 0.5, not {got}. Frames count alike, in whichever song they are."
    )


# %% tags=["exercise"]
def common_threshold(curves, labels):
    """The threshold with the largest share of right frames."""
    ...


check_one_song(common_threshold)
check_several_songs(common_threshold)


# %% tags=["solution"]
def common_threshold(curves, labels):
    curve, label = np.concatenate(curves), np.concatenate(labels)
    thresholds = np.arange(101) / 100
    right = [np.mean((curve > each) == (label == 1)) for each in thresholds]
    return thresholds[int(np.argmax(right))]


# %% [markdown]
# (exercise-lab-loss)=
# ### Exercise 3: The loss of the equation
#
# *Medium, 20 minutes.*
#
# Write `loss_of_equation(x, x_hat, theta, weight)`: the two losses of equation 3 of the paper, without its last term, as the paper writes them and not as its code: sums, over a batch of excerpts `x` and inversions `x_hat`. `theta` is the comparator, a function, and `weight` the weight of the feature loss. The result is a tensor with one number, and its gradient must reach `x_hat` through both terms.


# %% tags=["check"]
def small_example():
    x = torch.tensor([[3.0, 0.0], [-2.0, 1.0]], dtype=torch.float64)
    x_hat = torch.tensor([[1.0, 1.0], [-2.0, 4.0]], dtype=torch.float64)
    return x, x_hat.requires_grad_(True), lambda each: each[:, :1] ** 2


@self_check
def check_value(loss_of_equation):
    x, x_hat, theta = small_example()
    for weight, expected, means in ((1.0, 78.0, 35.5), (0.5, 46.0, 19.5)):
        got = loss_of_equation(x, x_hat, theta, weight)
        assert isinstance(got, torch.Tensor) and got.shape == (), (
            f"The loss must be a tensor with one number, not {got}."
        )
        hint = (
            " These are means; the equation has sums."
            if abs(got.item() - means) < 1e-6
            else ""
        )
        assert abs(got.item() - expected) < 1e-6, (
            f"With a weight of {weight} the loss of a small example is {expected}; you have {got.item():.4g}.{hint}"
        )


@self_check
def check_gradient(loss_of_equation):
    x, x_hat, theta = small_example()
    got = loss_of_equation(x, x_hat, theta, 0.5)
    assert getattr(got, "requires_grad", False), (
        "No gradient can reach the inversion."
    )
    (slope,) = torch.autograd.grad(got, x_hat)
    measured = torch.zeros_like(slope)
    with torch.no_grad():
        for place in np.ndindex(*slope.shape):
            step = torch.zeros_like(slope)
            step[place] = 1e-5
            ahead, behind = (
                loss_of_equation(x, x_hat + each, theta, 0.5)
                for each in (step, -step)
            )
            measured[place] = (ahead - behind) / 2e-5
    assert torch.allclose(slope, measured, atol=1e-5), (
        "The gradient is not that of the value: one of the terms was cut off the graph."
    )
    assert measured.abs().sum() > 0, "The loss does not depend on `x_hat`."


# %% tags=["exercise"]
def loss_of_equation(x, x_hat, theta, weight):
    """Input loss plus weighted feature loss, as sums: one number."""
    ...


check_value(loss_of_equation)
check_gradient(loss_of_equation)


# %% tags=["solution"]
def loss_of_equation(x, x_hat, theta, weight):
    of_input = (x - x_hat).square().sum()
    of_feature = (theta(x) - theta(x_hat)).square().sum()
    return of_input + weight * of_feature


# %% [markdown]
# (exercise-lab-yardstick)=
# ### Exercise 4: A yardstick between songs
#
# *Medium, 20 minutes.*
#
# The yardstick of equation 5 is the mean distance between two excerpts, and some pairs are of one song, which are alike. Write `nre_between_songs(x, x_hat, songs)`: the mean distance to the inversions, divided by the mean distance of those pairs only whose excerpts are of *different* songs. `x` and `x_hat` are tensors whose first axis counts the excerpts, `songs` is an array with the number of each excerpt's song.


# %% tags=["check"]
@self_check
def check_one_of_each_song(nre_between_songs):
    generator = torch.Generator().manual_seed(0)
    pictures, painted = torch.randn(2, 5, 1, 4, 3, generator=generator)
    got = float(nre_between_songs(pictures, painted, np.arange(5)))
    expected = svdlib.nre(pictures, painted)
    assert abs(got - expected) < 1e-5, (
        f"Where each excerpt has a song of its own, it is the NRE, {expected:.4f}; you have {got:.4f}."
    )


@self_check
def check_songs_apart(nre_between_songs):
    for values, painted, numbers, expected in (
        ([0.0, 2.0, 6.0], [1.0, 2.0, 5.0], [0, 0, 1], 0.13333),
        ([0.0, 6.0, 2.0], [1.0, 5.0, 2.0], [7, 3, 7], 0.13333),
        ([0.0, 1.0, 4.0, 5.0], [2.0, 1.0, 4.0, 5.0], [0, 0, 1, 1], 0.125),
    ):
        got = float(
            nre_between_songs(
                torch.tensor(values).view(-1, 1, 1, 1),
                torch.tensor(painted).view(-1, 1, 1, 1),
                np.array(numbers),
            )
        )
        assert abs(got - expected) < 1e-4, (
            f"Excerpts of one cell, {values}, painted as {painted}, of the songs {numbers}, have {expected:.4f}; you have {got:.4f}."
        )


# %% tags=["exercise"]
def nre_between_songs(x, x_hat, songs):
    """Mean distance to the inversions, by that between songs."""
    ...


check_one_of_each_song(nre_between_songs)
check_songs_apart(nre_between_songs)


# %% tags=["solution"]
def nre_between_songs(x, x_hat, songs):
    flat = x.flatten(1)
    numbers = torch.as_tensor(songs)
    apart = numbers[:, None] != numbers[None, :]
    far = (flat - x_hat.flatten(1)).norm(dim=1).mean()
    return far / torch.cdist(flat, flat)[apart].mean()


# %% [markdown]
# (exercise-lab-mean)=
# ### Exercise 5: What knowing nothing scores
#
# *Medium, 15 minutes.*
#
# Write `score_of_mean(train, test)`: the NRE on the excerpts `test` of a painter who has seen no feature at all, and paints the mean of the excerpts `train` each time. Both are tensors of shape (excerpts, 1, 115, 80), or with other axes after the first.


# %% tags=["check"]
@self_check
def check_same_songs(score_of_mean):
    for values, expected in (([1, 3, 5], 0.5), ([0, 4], 0.5)):
        excerpts = torch.tensor(values, dtype=torch.float32).view(-1, 1, 1, 1)
        got = float(score_of_mean(excerpts, excerpts))
        assert abs(got - expected) < 1e-5, (
            f"On the excerpts {values} of one cell, painted as their own mean, it is {expected}; you have {got:.4f}."
        )


@self_check
def check_other_songs(score_of_mean):
    known = torch.tensor([0.0, 4.0]).view(-1, 1, 1, 1)
    test = torch.tensor([1.0, 3.0, 5.0]).view(-1, 1, 1, 1)
    got = float(score_of_mean(known, test))
    assert abs(got - 0.625) < 1e-5, (
        f"The mean of 0 and 4, painted for 1, 3 and 5, scores 0.625; you have {got:.4f}. Whose mean do you paint?"
    )


# %% tags=["exercise"]
def score_of_mean(train, test):
    """NRE of always painting the mean training excerpt."""
    ...


check_same_songs(score_of_mean)
check_other_songs(score_of_mean)


# %% tags=["solution"]
def score_of_mean(train, test):
    return svdlib.nre(test, train.mean(dim=0, keepdim=True).expand_as(test))


# %% [markdown]
# (exercise-lab-shortest)=
# ### Exercise 6: The shortest way to another answer
#
# *Hard, 25 minutes.*
#
# The detector's logit is a weighted sum of FC8's 64 numbers, plus a bias. Write `shortest(feature, weights, bias, wanted)`: of all features whose logit is `wanted`, the one nearest to `feature`. `feature` and `weights` are tensors of one axis, `bias` and `wanted` are numbers. The result has the shape of `feature`.


# %% tags=["check"]
def random_feature(seed):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, 64, generator=generator, dtype=torch.float64)


@self_check
def check_logit(shortest):
    for seed, bias, wanted in ((0, 0.5, 2.0), (1, -1.0, -3.0), (2, 0.0, 0.0)):
        feature, weights = random_feature(seed)
        found = shortest(feature, weights, bias, wanted)
        assert found.shape == feature.shape, (
            f"The result has the shape {tuple(found.shape)}, not {tuple(feature.shape)}."
        )
        got = float(weights @ found + bias)
        assert abs(got - wanted) < 1e-6, (
            f"A logit of {wanted} was wanted; your feature has {got:.4f}."
        )


@self_check
def check_nearest(shortest):
    feature, weights = (
        torch.tensor(values, dtype=torch.float64)
        for values in ([1.0, 2.0], [3.0, 4.0])
    )
    found = shortest(feature, weights, 1.0, 37.0)
    moved = float((found - feature).norm())
    assert abs(float(weights @ found + 1.0) - 37.0) < 1e-6, (
        "First reach the logit that is wanted."
    )
    assert moved < 5.0 + 1e-6, (
        f"In a small example you move by {moved:.4f}, and 5 is enough."
    )


# %% tags=["exercise"]
def shortest(feature, weights, bias, wanted):
    """The nearest feature with the wanted logit."""
    ...


check_logit(shortest)
check_nearest(shortest)


# %% tags=["solution"]
def shortest(feature, weights, bias, wanted):
    missing = wanted - (weights @ feature + bias)
    return feature + missing / (weights @ weights) * weights


# %% [markdown]
# (exercise-lab-claim)=
# ### One claim, one figure
#
# *By hand, 40 minutes.*
#
# Say one sentence about what one of these three layers keeps, that could turn out false on these excerpts. Show one figure that speaks for it, with a baseline in it. Then say what speaks against the claim, and which measurement would decide it.

# %% tags=["figure"]
...

# %% tags=["figure-solution"]
scores = {"nothing": score_of_mean(training, x)}
for layer, inverter in inverters.items():
    painted = inverter(detector.features(x, (layer,))[layer])
    scores[layer] = float(nre_between_songs(x, painted, songs))
scores["nothing"] = float(
    nre_between_songs(
        x, training.mean(dim=0, keepdim=True).expand_as(x), songs
    )
)
plt.figure(figsize=(5, 2.5))
plt.barh(list(scores), list(scores.values()))
plt.axvline(scores["nothing"], linestyle="--")
plt.xlabel("error, in mean distances between songs")
plt.tight_layout()

# %% [markdown] tags=["claim"]
# *Claim:*
#
# *What speaks against it:*
#
# *What would decide it:*

# %% [markdown] tags=["claim-solution"]
# *Claim:* of these excerpts, FC8 keeps more than nothing: its inversions are nearer to the originals than the mean of the training excerpts is.
#
# *What speaks against it:* the gap is small, the songs are few, and made by a program; and the inverter may owe it to what all songs share, such as the spectrum of a typical singing moment.
#
# *What would decide it:* the same gap with an interval over songs that chose nothing, beside a painter who knows the detector's answer alone.
