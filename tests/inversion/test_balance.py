"""The balanced objective: each loss as a share of what the mean predictor leaves."""

import dataclasses

import numpy as np
import pytest
import tiny
import torch

from svdlib.audio.standardizer import Standardizer
from svdlib.detector.excerpts import ExcerptBank
from svdlib.detector.model import SVDNet
from svdlib.errors import LayerError, PlanError, TrainingError
from svdlib.inversion import comparison
from svdlib.inversion.balance import Balanced
from svdlib.inversion.comparison import Comparison, ComparisonSpace, as_comparison
from svdlib.inversion.objectives import Objective
from svdlib.inversion.plans import TrainingPlan
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.objectives import find_objective

PLAN = TrainingPlan(epochs=2, batch_size=4, steps_per_epoch=2, schedule="cosine", validation_excerpts=8)


def fit(**options):
    chosen = {"layers": ("fc8", "mp6"), "variant": "aligned", "objective": "balanced", "plan": PLAN} | options
    return fit_inverters(tiny.detector(), tiny.bank(0), tiny.bank(1), **chosen)


@pytest.fixture(scope="module")
def tuned():
    return Balanced().tuned(space("conv5"))


def space(compare, bank=None, *, measured=True):
    asked = as_comparison(compare, tiny.detector())
    return ComparisonSpace(asked, asked.network or tiny.detector(), bank or tiny.bank(0), measured=measured)


@pytest.fixture(scope="module")
def everything():
    """All excerpts of the bank, and their features at the comparator, in float64."""
    bank = tiny.bank(0)
    x = bank.gather(torch.arange(len(bank)))
    with torch.no_grad():
        return x.double().numpy(), tiny.detector().features(x, ("conv5",))["conv5"].double().numpy()


def test_the_yardsticks_are_the_losses_of_the_best_constant(tuned, everything):
    for found, values in zip((tuned.input_variance, tuned.feature_variance), everything, strict=True):
        assert found == pytest.approx(np.mean((values - values.mean(0)) ** 2), rel=1e-5)


def test_pieces_do_not_matter(tuned, monkeypatch):
    monkeypatch.setattr(comparison, "PIECE", 3)
    again = Balanced().tuned(space("conv5"))
    assert again.input_variance == pytest.approx(tuned.input_variance, rel=1e-12)
    # Sums are in float64, but features are float32: some processors convolve 3 excerpts otherwise than 64.
    assert again.feature_variance == pytest.approx(tuned.feature_variance, rel=1e-6)


def losses_of(objective, x, x_hat, theta):
    return objective.losses(x, theta(x), {"fc8": x_hat}, theta)["fc8"].item()


def test_the_mean_predictor_pays_one_for_its_input(tuned, everything):
    x = torch.from_numpy(everything[0])
    mean = x.mean(0, keepdim=True).expand_as(x)
    only_input = dataclasses.replace(tuned, lambda_feature=0.0)
    assert losses_of(only_input, x, mean, lambda values: values) == pytest.approx(1, rel=1e-5)


def test_lambda_weighs_the_feature_loss_alone(everything):
    x = torch.from_numpy(everything[0])
    x_hat = torch.zeros_like(x)
    plain, double = (losses_of(find_objective("joint", weight), x, x_hat, torch.square) for weight in (0.0, 2.0))
    assert plain == pytest.approx((x**2).mean().item(), rel=1e-6)
    assert double - plain == pytest.approx(2 * (x**4).mean().item(), rel=1e-6)
    share = dataclasses.replace(Balanced(), input_variance=4.0, feature_variance=0.5, lambda_feature=3.0)
    expected = (x**2).mean().item() / 4 + 3 * (x**4).mean().item() / 0.5
    assert losses_of(share, x, x_hat, torch.square) == pytest.approx(expected, rel=1e-6)


def test_songs_that_are_all_alike_cannot_be_balanced():
    silence = dataclasses.replace(tiny.songs(0), log_mels=[np.zeros((300, 80), np.float32)])
    bank = ExcerptBank(silence, standardizer=Standardizer())
    with pytest.raises(TrainingError, match="alike"):
        space("conv5", bank)


@pytest.mark.parametrize("weight", [-1.0, float("nan"), float("inf")])
def test_a_weight_is_a_number_of_nought_or_more(weight):
    with pytest.raises(PlanError, match="lambda_feature"):
        Objective(lambda_feature=weight)


def test_what_has_no_feature_loss_takes_no_weight():
    with pytest.raises(PlanError, match="no feature loss"):
        find_objective("input", 2.0)


def test_a_run_says_how_its_losses_were_weighed():
    record = fit(lambda_feature=0.5).record("fc8")
    assert record["lambda_feature"] == 0.5 and record["input_variance"] > 0 and record["feature_variance"] > 0


def test_the_weight_is_part_of_what_tells_runs_apart(tmp_path):
    fit(folder=tmp_path)
    with pytest.raises(TrainingError, match="lambda_feature"):
        fit(folder=tmp_path, lambda_feature=2.0, resume=True)


# --- going on from trained inverters ---


def test_a_run_goes_on_from_trained_inverters_and_says_so(tmp_path):
    first = fit()
    still = dataclasses.replace(PLAN, epochs=1, steps_per_epoch=1, learning_rate=1e-12)
    second = fit(plan=still, start=first.inverters, folder=tmp_path)
    for layer, inverter in second.inverters.items():
        for (name, one), two in zip(inverter.named_parameters(), first.inverters[layer].parameters(), strict=True):
            torch.testing.assert_close(one, two, atol=1e-6, rtol=0, msg=name)
    assert second.record("mp6")["start"]["weights"] != second.record("fc8")["start"]["weights"]
    with pytest.raises(TrainingError, match="start"):
        fit(plan=still, start=second.inverters | {"fc8": first.inverters["fc8"]}, folder=tmp_path, resume=True)


def test_inverters_to_start_from_must_be_there_and_of_the_same_build():
    first = fit(layers=("fc8",))
    with pytest.raises(LayerError, match="mp6"):
        fit(start=first.inverters)
    with pytest.raises(LayerError, match="built otherwise"):
        fit(layers=("fc8",), variant="published", start=first.inverters)


# --- comparing elsewhere ---


def other_ears():
    """A detector that nobody has trained, with weights of its own."""
    torch.manual_seed(3)
    return SVDNet().eval()


def test_several_layers_count_alike(everything):
    """Against variances over all cells of each layer in NumPy: the mean predictor's loss is 1 at each, and in all."""
    both = space(("mp3", "fc7"), measured=False)
    x = torch.from_numpy(everything[0]).float()
    with torch.no_grad():
        found = both(x).double().numpy()
        features = {layer: value.double().flatten(1).numpy() for layer, value in tiny.detector().features(x).items()}
    shares = [
        ((features[layer] - features[layer][:1]) ** 2).mean(1) / features[layer].var(0).mean()
        for layer in ("mp3", "fc7")
    ]
    np.testing.assert_allclose(((found - found[:1]) ** 2).mean(1), np.mean(shares, 0), rtol=1e-4)


def test_one_pass_serves_for_layers_of_the_network_itself():
    own, others = space(("mp3", "fc7")), space(Comparison(("conv5",), other_ears()))
    assert own.is_own and not others.is_own
    x = tiny.bank(0).gather(torch.arange(3))
    with torch.no_grad():
        assert torch.equal(own.of(tiny.detector().features(x)), own(x))


def test_a_loss_in_the_space_of_another_network(monkeypatch):
    """The first update's loss is that of the untrained inverter, computed here by hand with the other network."""
    ears, still = other_ears(), dataclasses.replace(PLAN, epochs=1, steps_per_epoch=1, learning_rate=1e-12)
    found = {
        name: fit(layers=("fc8",), plan=still, compare=compare, objective=objective).history[0].validation["fc8"]
        for name, compare, objective in (
            ("input", None, "input"),
            ("own", "conv5", "joint"),
            ("other", Comparison(("conv5",), ears), "joint"),
        )
    }  # fmt: skip
    fitted = fit(layers=("fc8",), plan=still, objective="input")
    x = tiny.bank(1).gather(tiny.bank(1).spread(8))
    with torch.no_grad():
        x_hat = fitted.last["fc8"](tiny.detector().features(x, ("fc8",))["fc8"])
        for name, network in (("own", tiny.detector()), ("other", ears)):
            theta, theta_hat = (network.features(each, ("conv5",))["conv5"] for each in (x, x_hat))
            assert found[name] - found["input"] == pytest.approx(float((theta - theta_hat).square().mean()), rel=1e-3)
    assert found["own"] != pytest.approx(found["other"], rel=0.01)


def test_where_it_was_compared_tells_runs_apart(tmp_path):
    fit(folder=tmp_path, layers=("fc8",), compare=("mp3", "conv5"))
    for compare in ("conv5", ("mp3",), Comparison(("mp3", "conv5"), other_ears())):
        with pytest.raises(TrainingError, match="compare"):
            fit(folder=tmp_path, layers=("fc8",), compare=compare, resume=True)
    fit(folder=tmp_path, layers=("fc8",), compare=["conv5", "mp3"], resume=True)


@pytest.mark.parametrize(("compare", "message"), [((), "Name one"), ("conv9", "conv9"), (Comparison(("fc9",)), "fc9")])
def test_a_space_that_is_not_there(compare, message):
    with pytest.raises(LayerError, match=message):
        as_comparison(compare, tiny.detector()) if compare != () else as_comparison(Comparison(()), tiny.detector())
