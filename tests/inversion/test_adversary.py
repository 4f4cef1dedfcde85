import copy
import dataclasses
import json
import math

import numpy as np
import pytest
import tiny
import torch
from torch import nn

import svdlib.inversion.adversary as adversary
from svdlib.compute.run_state import STATE_FILE
from svdlib.compute.storage import load_state, save_state
from svdlib.detector.model import LAYER_SHAPES
from svdlib.detector.model import LAYERS as ALL_LAYERS
from svdlib.errors import TrainingError
from svdlib.inversion.adversary import (
    AdversarialBalanced,
    Adversary,
    Discriminator,
    adversarial_loss,
    discriminator_loss,
    pauses,
)
from svdlib.inversion.balance import Balanced
from svdlib.inversion.plans import TrainingPlan
from svdlib.inversion.training import Epoch, FittedInverters
from svdlib.zoo.fitting import fit_inverters

PLAN = TrainingPlan(epochs=2, batch_size=2, steps_per_epoch=3, validation_excerpts=4)
LAYERS = ("fc8", "mp3")
CPU = torch.device("cpu")


def fit(folder=None, objective="adversarial", **options):
    chosen = {"layers": LAYERS, "plan": PLAN, "seed": 3} | options
    return fit_inverters(tiny.detector(), tiny.bank(0), tiny.bank(1), objective=objective, folder=folder, **chosen)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run from start to end, and its folder."""
    folder = tmp_path_factory.mktemp("unbroken")
    return fit(folder), folder


@pytest.fixture
def batch():
    """Four excerpts, their features, and reconstructions that a gradient can go back through."""
    x = tiny.bank(0).gather(torch.arange(4))
    with torch.no_grad():
        features = tiny.detector().features(x, LAYERS)
    return x, features, {layer: (0.3 * x).requires_grad_() for layer in LAYERS}


def assert_same_run(one, other):
    assert one.history == other.history
    for layer, inverter in one.inverters.items():
        assert tiny.same_weights(inverter, other.inverters[layer]), layer


def assert_same_state(folder, other):
    (one, _), (two, _) = (load_state(each / STATE_FILE) for each in (folder, other))
    assert one.keys() == two.keys()
    for name in one:
        assert torch.equal(one[name], two[name]), name


def same_discriminators(one, other):
    return {
        layer: tiny.same_weights(network, other.discriminators[layer]) for layer, network in one.discriminators.items()
    }


# --- the losses ---


def test_both_losses_are_the_formulas_of_the_source():
    """-log D(x) - log(1 - D(G)) and -log D(G), with probabilities written out."""
    originals, painted = torch.tensor([2.0, -1.0, 0.5]).double(), torch.tensor([-3.0, 0.2, 1.0]).double()
    d_x, d_g = (1 / (1 + np.exp(-logits.numpy())) for logits in (originals, painted))
    expected = -(np.log(d_x) + np.log(1 - d_g)).mean()
    assert discriminator_loss(originals, painted).item() == pytest.approx(expected, rel=1e-12)
    assert adversarial_loss(painted).item() == pytest.approx(-np.log(d_g).mean(), rel=1e-12)


def test_a_blind_discriminator_costs_log_2_and_a_perfect_one_nothing():
    zeros, sure = torch.zeros(5), torch.full((5,), 40.0)
    assert discriminator_loss(zeros, zeros).item() == pytest.approx(2 * math.log(2))
    assert adversarial_loss(zeros).item() == pytest.approx(math.log(2))
    assert discriminator_loss(sure, -sure).item() < 1e-12
    assert adversarial_loss(sure).item() < 1e-12
    assert adversarial_loss(-sure).item() == pytest.approx(40)


def test_losses_and_gradients_are_finite_for_certain_discriminators():
    """Where a probability is rounded to 0 or 1, its logarithm would be infinite."""
    for value in (1e4, -1e4):
        logits = torch.full((3,), value, requires_grad=True)
        total = discriminator_loss(logits, logits) + adversarial_loss(logits)
        (slope,) = torch.autograd.grad(total, logits)
        assert total.isfinite() and slope.isfinite().all()
        assert total.item() == pytest.approx(1e4 if value > 0 else 2e4)


def small_discriminator():
    """A discriminator of FC8 in double precision; smaller excerpts will do, since their mean is taken."""
    torch.manual_seed(0)
    return Discriminator(64).double(), torch.randn(2, 64).double(), torch.randn(2, 1, 16, 12).double()


def test_gradients_agree_with_finite_differences():
    judge, feature, x = small_discriminator()
    x_hat = torch.randn_like(x, requires_grad=True)
    assert torch.autograd.gradcheck(lambda painted: adversarial_loss(judge(painted, feature)), (x_hat,))
    discriminator_loss(judge(x, feature), judge(x_hat.detach(), feature)).backward()
    step = 1e-6
    for weights in judge.parameters():
        flat, slope = weights.data.view(-1), weights.grad.view(-1)
        for index in {0, len(flat) // 2, len(flat) - 1}:
            values = []
            for change in (step, -2 * step):
                flat[index] += change
                values.append(discriminator_loss(judge(x, feature), judge(x_hat, feature)).item())
            flat[index] += step
            assert slope[index].item() == pytest.approx((values[0] - values[1]) / (2 * step), rel=1e-4, abs=1e-8)


@pytest.mark.parametrize(
    ("own_loss", "cost", "pausing"),
    [(2 * math.log(2), math.log(2), False), (0.5, 4.0, False), (0.4, 4.0, False), (0.39, 4.0, True), (0.0, 9.0, True)],
)
def test_a_discriminator_pauses_when_its_loss_is_below_a_tenth_of_what_it_costs(own_loss, cost, pausing):
    assert pauses(own_loss, cost) is pausing


# --- the discriminator ---


@pytest.mark.parametrize("layer", ALL_LAYERS)
def test_every_layer_has_a_discriminator_that_looks_at_excerpt_and_feature(layer):
    torch.manual_seed(1)
    judge = Discriminator(LAYER_SHAPES[layer][0])
    x, feature = torch.randn(3, 1, 115, 80), torch.randn(3, *LAYER_SHAPES[layer])
    logits = judge(x, feature)
    assert logits.shape == (3,)
    assert not torch.allclose(logits, judge(x, feature.flip(0))) and not torch.allclose(
        logits, judge(x.flip(0), feature)
    )


def test_the_size_of_a_feature_makes_no_difference():
    judge, feature, x = small_discriminator()
    torch.testing.assert_close(judge(x, feature), judge(x, 30 * feature), rtol=1e-4, atol=1e-5)


def test_an_excerpt_is_judged_the_same_in_any_batch():
    """With batch normalisation or dropout it would not be."""
    judge, feature, x = small_discriminator()
    torch.testing.assert_close(judge(x, feature)[:1], judge(x[:1], feature[:1]))


# --- who learns from what ---


def test_the_term_reaches_the_reconstructions_and_no_discriminator(batch):
    x, features, reconstructions = batch
    opponents = Adversary(tiny.detector(), LAYERS, CPU, seed=0)
    slopes = torch.autograd.grad(opponents.term(features, reconstructions), list(reconstructions.values()))
    assert all(slope.norm() > 0 for slope in slopes)
    opponents.term(features, reconstructions).backward()
    weights = [part for network in opponents.discriminators.values() for part in network.parameters()]
    assert all(part.grad is None and part.requires_grad for part in weights)


def test_the_term_is_the_weighted_sum_of_the_adversarial_losses(batch):
    x, features, reconstructions = batch
    opponents = Adversary(tiny.detector(), LAYERS, CPU, seed=0)
    expected = sum(
        adversarial_loss(judge(reconstructions[layer], features[layer]))
        for layer, judge in opponents.discriminators.items()
    )
    found = opponents.term(features, reconstructions)
    assert found.item() == pytest.approx(adversary.ADVERSARIAL_WEIGHT * expected.item(), rel=1e-5)


def test_learning_changes_the_discriminators_of_the_batch_and_no_reconstruction(batch):
    x, features, reconstructions = batch
    before, after = (Adversary(tiny.detector(), LAYERS, CPU, seed=0) for _ in range(2))
    after.learn(x, features, {"fc8": reconstructions["fc8"]})
    assert same_discriminators(before, after) == {"fc8": False, "mp3": True}
    assert reconstructions["fc8"].grad is None


def test_a_discriminator_learns_to_tell_originals_from_reconstructions(batch):
    x, features, reconstructions = batch
    opponents = Adversary(tiny.detector(), ("fc8",), CPU, seed=0)
    means = []
    for _ in range(2):
        for _ in range(30):
            opponents.learn(x, features, {"fc8": reconstructions["fc8"]})
        means.append(opponents.close_epoch(30)["fc8"])
    assert means[1] < 0.9 * means[0] < 0.9 * 2 * math.log(2) * 1.05


def test_one_that_pauses_stands_still_while_the_others_learn(batch, monkeypatch):
    """Adam would go on with its averages where the gradient were merely zero."""
    x, features, reconstructions = batch
    opponents = Adversary(tiny.detector(), LAYERS, CPU, seed=0)
    opponents.learn(x, features, reconstructions)
    before, asked = copy.deepcopy(opponents.discriminators), []

    def first_pauses(own_loss, cost):
        asked.append((own_loss, cost))
        return len(asked) == 1

    monkeypatch.setattr(adversary, "pauses", first_pauses)
    expected = []
    for layer, judge in opponents.discriminators.items():
        painted = judge(reconstructions[layer], features[layer])
        expected.append(
            (discriminator_loss(judge(x, features[layer]), painted).item(), adversarial_loss(painted).item())
        )
    opponents.learn(x, features, reconstructions)
    changed = {
        layer: not tiny.same_weights(network, before[layer]) for layer, network in opponents.discriminators.items()
    }
    assert changed == {"fc8": False, "mp3": True}
    np.testing.assert_allclose(asked, expected, rtol=1e-5)


def test_a_discriminator_is_the_same_whichever_others_are_beside_it(batch):
    x, features, reconstructions = batch
    together, alone = Adversary(tiny.detector(), LAYERS, CPU, seed=5), Adversary(tiny.detector(), ("mp3",), CPU, seed=5)
    for opponents in (together, alone):
        opponents.learn(x, features, {layer: reconstructions[layer] for layer in opponents.discriminators})
    assert same_discriminators(alone, together) == {"mp3": True}


# --- training with it ---


def test_the_same_seed_gives_the_same_run_and_another_objective_another(unbroken):
    assert_same_run(fit(), unbroken[0])
    joint = fit(objective="joint")
    for layer in LAYERS:
        assert not tiny.same_weights(joint.inverters[layer], unbroken[0].inverters[layer])


def test_a_layer_trained_alone_is_as_it_is_beside_others(unbroken):
    alone = fit(layers=("fc8",))
    assert tiny.same_weights(alone.inverters["fc8"], unbroken[0].inverters["fc8"])


def test_a_weight_of_zero_is_the_joint_objective(monkeypatch):
    monkeypatch.setattr(adversary, "ADVERSARIAL_WEIGHT", 0.0)
    without, joint = fit(), fit(objective="joint")
    for layer in LAYERS:
        assert tiny.same_weights(without.inverters[layer], joint.inverters[layer]), layer
    for one, other in zip(without.history, joint.history, strict=True):
        assert dataclasses.replace(one, discriminator={}) == other


def test_the_losses_reported_are_those_of_the_joint_objective(unbroken):
    """The first batch meets the same weights under both, so that the first step's losses must agree."""
    plan = dataclasses.replace(PLAN, epochs=1, steps_per_epoch=1)
    assert fit(plan=plan).history[0].training == fit(plan=plan, objective="joint").history[0].training
    fitted, _ = unbroken
    valid = tiny.bank(1)
    x = valid.gather(valid.spread(PLAN.validation_excerpts))
    best = min(epoch.validation["fc8"] for epoch in fitted.history)
    with torch.no_grad():
        features = tiny.detector().features(x, ("fc8", "conv5"))
        x_hat = fitted.inverters["fc8"](features["fc8"])
        theta = tiny.detector().features(x_hat, ("conv5",))["conv5"]
    by_hand = ((x - x_hat) ** 2).mean() + ((features["conv5"] - theta) ** 2).mean()
    assert best == pytest.approx(by_hand.item(), rel=1e-5)


def test_the_discriminators_loss_is_in_the_history_and_in_the_record(unbroken):
    fitted, _ = unbroken
    for epoch in fitted.history:
        assert epoch.discriminator.keys() == set(LAYERS)
        assert all(0 < loss < 3 * math.log(2) for loss in epoch.discriminator.values())
    losses = [epoch.discriminator["mp3"] for epoch in fitted.history]
    record = fitted.record("mp3")
    assert (record["adversarial_weight"], record["discriminator_losses"]) == (adversary.ADVERSARIAL_WEIGHT, losses)
    plain = FittedInverters({}, [Epoch({"mp3": 1.0}, {"mp3": 1.0}, {"mp3": 0.1})], True)
    assert "discriminator_losses" not in plain.record("mp3")


def test_shares_and_the_term_go_together(batch):
    """The losses are those of "balanced", and a discriminator learns beside them."""
    both = fit(objective="adversarial-balanced", lambda_feature=2.0, layers="fc8")
    record = both.record("fc8")
    assert record["adversarial_weight"] == adversary.ADVERSARIAL_WEIGHT and len(record["discriminator_losses"]) == 2
    assert record["lambda_feature"] == 2.0 and record["input_variance"] != 1
    x, features, reconstructions = batch
    painted = {"fc8": reconstructions["fc8"]}
    settings = {key: record[key] for key in ("lambda_feature", "input_variance", "feature_variance")}
    losses = [kind(**settings).losses(x, x, painted, lambda y: y)["fc8"] for kind in (Balanced, AdversarialBalanced)]
    assert losses[0] == losses[1]


@pytest.mark.slow
def test_half_width_activations_lead_nearly_the_same_way(unbroken):
    half = fit(precision=torch.bfloat16)
    for layer in LAYERS:
        one, other = (run.history[-1] for run in (half, unbroken[0]))
        assert one.training[layer] == pytest.approx(other.training[layer], rel=0.05)
        assert one.discriminator[layer] == pytest.approx(other.discriminator[layer], rel=0.05)


# --- stopping and going on ---


def test_a_run_stopped_after_every_update_goes_on_to_the_same_weights(unbroken, tmp_path):
    resumed, calls = None, 0
    while resumed is None or not resumed.finished:
        resumed, calls = fit(tmp_path, resume=True, minutes=0), calls + 1
    assert calls >= PLAN.epochs * PLAN.steps_per_epoch
    assert_same_run(resumed, unbroken[0])
    assert_same_state(tmp_path, unbroken[1])


def test_one_that_has_always_paused_goes_on_too(tmp_path, monkeypatch):
    """Adam then has no averages for it."""
    monkeypatch.setattr(adversary, "pauses", lambda own_loss, cost: True)
    options = {"layers": ("fc8",), "plan": dataclasses.replace(PLAN, epochs=1, steps_per_epoch=2)}
    whole, resumed = fit(**options), None
    while resumed is None or not resumed.finished:
        resumed = fit(tmp_path, resume=True, minutes=0, **options)
    assert_same_run(resumed, whole)


def test_states_of_another_objective_or_weight_are_refused(unbroken, tmp_path):
    with pytest.raises(TrainingError, match="another run: objective differ"):
        fit(unbroken[1], objective="joint", resume=True)
    fit(tmp_path, objective="joint")
    with pytest.raises(TrainingError, match="another run: objective, adversarial_weight differ"):
        fit(tmp_path, resume=True)
    arrays, meta = load_state(unbroken[1] / STATE_FILE)
    meta["identity"]["adversarial_weight"] *= 2
    save_state(tmp_path / STATE_FILE, arrays, meta)
    with pytest.raises(TrainingError, match="another run: adversarial_weight differ"):
        fit(tmp_path, resume=True)


def test_a_state_from_before_epochs_had_discriminators_goes_on(tmp_path):
    whole = fit(tmp_path, objective="joint", layers=("fc8",))
    arrays, meta = load_state(tmp_path / STATE_FILE)
    for epoch in meta["history"]:
        assert epoch.pop("discriminator") == {}
    save_state(tmp_path / STATE_FILE, arrays, json.loads(json.dumps(meta)))
    assert_same_run(fit(tmp_path, objective="joint", layers=("fc8",), resume=True), whole)


def test_no_discriminator_has_parts_that_depend_on_chance_or_on_the_batch():
    kinds = {type(part) for part in Discriminator(32).modules()}
    assert not kinds & {nn.Dropout, nn.Dropout2d, nn.BatchNorm1d, nn.BatchNorm2d}
