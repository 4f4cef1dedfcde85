"""Checks of exercises on answers that students give: each reads what is wrong, and no check says how it is done."""

import inspect
from unittest import mock

import jupytext
import numpy as np
import pytest
import torch

import chapters
import svdlib
from svdlib.pages.exercises import self_check


def check_cells(name):
    notebook = jupytext.read(chapters.ROOT / "notebooks" / f"{name}.py")
    return [exercise.check.source for exercise in chapters.find_exercises(name, notebook)]


@pytest.fixture(scope="module")
def training():
    """What the checks of chapter 03 define, and what they use of the chapter."""
    names = {"np": np, "torch": torch, "svdlib": svdlib, "self_check": self_check, "inspect": inspect, "mock": mock}
    names |= {"device": torch.device("cpu"), "detector": "the detector"}
    for source in check_cells("03_training"):
        exec(source, names)
    return names


def loss_of(*terms):
    """A loss that adds up some of the terms that students write."""
    written = {
        "input": lambda x, x_hat, theta: ((x - x_hat) ** 2).mean(),
        "feature": lambda x, x_hat, theta: ((theta(x) - theta(x_hat)) ** 2).mean(),
        "input l1": lambda x, x_hat, theta: (x - x_hat).abs().mean(),
        "feature l1": lambda x, x_hat, theta: (theta(x) - theta(x_hat)).abs().mean(),
        "input sum": lambda x, x_hat, theta: ((x - x_hat) ** 2).sum(),
        "feature sum": lambda x, x_hat, theta: ((theta(x) - theta(x_hat)) ** 2).sum(),
        "input root": lambda x, x_hat, theta: ((x - x_hat) ** 2).mean().sqrt(),
        "feature root": lambda x, x_hat, theta: ((theta(x) - theta(x_hat)) ** 2).mean().sqrt(),
        "input norm": lambda x, x_hat, theta: (x - x_hat).norm(),
        "feature norm": lambda x, x_hat, theta: (theta(x) - theta(x_hat)).norm(),
        "feature of difference": lambda x, x_hat, theta: (theta(x - x_hat) ** 2).mean(),
        "feature detached": lambda x, x_hat, theta: ((theta(x) - theta(x_hat).detach()) ** 2).mean(),
        "input detached": lambda x, x_hat, theta: ((x - x_hat.detach()) ** 2).mean(),
    }
    return lambda x, x_hat, theta: sum(written[term](x, x_hat, theta) for term in terms)


def test_the_right_loss_passes(training):
    assert training["check_joint_loss"](loss_of("input", "feature")).passed


@pytest.mark.parametrize(
    ("terms", "words"),
    [
        (["input"], "The feature loss is missing."),
        (["feature"], "The input loss is missing."),
        (["input l1", "feature l1"], "These are absolute differences."),
        (["input", "feature l1"], "The feature loss takes absolute differences"),
        (["input l1", "feature"], "The input loss takes absolute differences"),
        (["input sum", "feature sum"], "Take means in place of sums."),
        (["input root", "feature root"], "without roots"),
        (["input norm", "feature norm"], "without roots"),
        (["input", "feature of difference"], "the feature of their difference"),
        (["input", "feature detached"], "cut off the graph"),
        (["input detached", "feature"], "cut off the graph"),
        (["input detached", "feature detached"], "No gradient can reach"),
    ],
)
def test_a_wrong_loss_reads_what_is_wrong_with_it(training, terms, words):
    verdict = training["check_joint_loss"](loss_of(*terms))
    assert not verdict.passed and words in verdict.message


def test_the_balance_of_the_losses(training):
    check = training["check_balance"]
    assert check(lambda n_input, n_feature: n_feature / n_input).passed
    assert "which of the two means divides by more" in check(lambda n_input, n_feature: n_input / n_feature).message
    assert "fixed multiple" in check(lambda n_input, n_feature: 4.82).message
    assert "it must be a number above 0" in check(lambda n_input, n_feature: 0).message
    assert "wants the function `balance`" in check(4.82).message


def relative_error(features=lambda net, x, layer: net.features(x, (layer,))[layer], over="seen", root=False):
    def error(x, x_hat, layer):
        net = relative_error.names["detector"]
        seen, painted = features(net, x, layer), features(net, x_hat, layer)
        squares = (seen - painted) ** 2
        if over == "each":
            return (squares.flatten(1).mean(1) / (seen**2).flatten(1).mean(1)).mean()
        below = {"seen": (seen**2).mean(), "painted": (painted**2).mean(), "nothing": 1.0, "variance": seen.var()}[over]
        value = squares.mean() / below
        return value**0.5 if root else value

    return error


def test_the_error_at_a_layer(training):
    relative_error.names, check = training, training["check_relative_error"]
    assert check(relative_error()).passed
    for over in ("painted", "nothing", "variance"):
        assert "by the mean square of the excerpts' feature" in check(relative_error(over=over)).message
    assert "before you divide" in check(relative_error(over="each")).message
    assert "Without the square root" in check(relative_error(root=True)).message
    assert "and not the pictures" in check(relative_error(lambda net, x, layer: x)).message
    assert training["detector"] == "the detector"


def test_the_rates_that_fall(training):
    def slow(losses, rate, patience):
        """How often the rate was halved before each epoch, counted from the start each time."""
        found = []
        for epoch in range(len(losses)):
            halvings, waited = 0, 0
            for past in range(epoch):
                better = past == 0 or losses[past] < min(losses[:past])
                waited = 0 if better else waited + 1
                if waited == patience:
                    halvings, waited = halvings + 1, 0
            found.append(rate / 2**halvings)
        return found

    assert training["check_rates"](slow).passed
    at_once = training["check_rates"](lambda losses, rate, patience: slow([*losses, 0], rate, patience)[1:])
    assert "for the next epoch" in at_once.message


FORMULAS = {
    "check_balance": ["n_feature / n_input", "n_input / n_feature"],
    "check_joint_loss": ["theta(x)", "** 2).mean()", "** 2).sum()"],
    "check_relative_error": ["/ square", "** 2).mean()"],
    "check_alone": ["fit_inverters(\n", "fit_inverters(detector"],
    "check_rates": ["rate / 2,", "min(losses"],
}


def test_checks_of_the_chapter_on_training_do_not_hold_the_answers():
    sources = dict(zip(("balance", "joint_loss", "relative_error", "slope", "alone", "rates"),
                       check_cells("03_training"), strict=True))  # fmt: skip
    for check, formulas in FORMULAS.items():
        source = sources[check.removeprefix("check_")]
        assert f"def {check}" in source
        assert not [formula for formula in formulas if formula in source]
