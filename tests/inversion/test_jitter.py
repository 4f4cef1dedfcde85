"""Jitter: originals and reconstructions are changed alike before they are compared."""

import dataclasses

import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import strategies as st

from svdlib.errors import PlanError, TrainingError
from svdlib.inversion.comparison import Comparison, ComparisonSpace, Jitter
from svdlib.inversion.plans import TrainingPlan
from svdlib.zoo.fitting import fit_inverters

PLAN = TrainingPlan(epochs=2, batch_size=4, steps_per_epoch=2, schedule="cosine", validation_excerpts=8)
AT_FC8 = Comparison(("fc8",), jitter=Jitter((4, 1), 0.3))


def chance(seed=0):
    return torch.Generator().manual_seed(seed)


def fit(compare, **options):
    chosen = {"layers": ("fc8",), "variant": "aligned", "objective": "balanced", "plan": PLAN} | options
    return fit_inverters(tiny.detector(), tiny.bank(0), tiny.bank(1), compare=compare, **chosen)


@given(seed=st.integers(0, 2**60), most=st.tuples(st.integers(0, 12), st.integers(0, 3)))
def test_a_shift_moves_whole_pictures_and_repeats_the_edge(seed, most):
    if not any(most):
        return
    x = torch.arange(2 * 9 * 7.0).view(2, 1, 9, 7)
    moved = Jitter(most).drawn(x, chance(seed))(x)
    generator = chance(seed)
    torch.rand((), generator=generator)
    down, right = (int(torch.randint(-steps, steps + 1, (), generator=generator)) for steps in most)
    assert abs(down) <= most[0] and abs(right) <= most[1]
    for row in range(9):
        for column in range(7):
            source = x[:, :, min(max(row - down, 0), 8), min(max(column - right, 0), 6)]
            assert torch.equal(moved[:, :, row, column], source)


def test_every_shift_comes_up():
    x = torch.arange(9.0).view(1, 1, 9)
    found = {int(Jitter((2,)).drawn(x, chance(seed))(x)[0, 0, 4]) for seed in range(100)}
    assert found == {2, 3, 4, 5, 6}


def test_batches_in_a_row_are_changed_alike():
    x = torch.randn(3, 1, 9, 7)
    change = Jitter((2, 1), 0.5).drawn(x, chance())
    both = change(torch.cat([x, x + 1]))
    assert torch.allclose(both[3:] - both[:3], torch.ones(()), atol=1e-6)
    assert torch.equal(both[:3], change(x))


def test_noise_is_white_and_of_the_deviation_asked_for():
    x = torch.zeros(50, 1, 40, 30)
    noise = Jitter(noise=0.3).drawn(x, chance())(x)
    assert float(noise.std()) == pytest.approx(0.3, rel=0.02)
    assert abs(float(noise.mean())) < 0.01
    assert abs(float((noise[:, :, 1:] * noise[:, :, :-1]).mean())) < 0.002


def test_a_share_of_the_batches_stays_as_it_is():
    x = torch.randn(2, 1, 9, 7)
    same = sum(torch.equal(Jitter((0, 0), 0.1, share=0.3).drawn(x, chance(seed))(x), x) for seed in range(400))
    assert 0.6 < same / 400 < 0.8


@pytest.mark.parametrize(
    "jitter", [((), 0.0), ((0, 0), 0.0), ((-1, 0), 0.1), ((1,), float("nan")), ((1,), 0.1, 0.0), ((1,), 0.1, 1.1)]
)
def test_jitter_that_makes_no_sense(jitter):
    with pytest.raises(PlanError, match="[Jj]itter"):
        Jitter(*jitter)


def test_more_shifts_than_axes():
    with pytest.raises(PlanError, match="2 axes"):
        Jitter((1, 1)).drawn(torch.zeros(2, 3, 9), chance())


def test_originals_are_no_nearer_to_themselves_for_it():
    """What came back perfectly has no feature loss, whatever the jitter."""
    space = ComparisonSpace(AT_FC8, tiny.detector(), tiny.bank(0), measured=False)
    x = tiny.bank(0).gather(torch.arange(4))
    hear = space.drawn(x, 5)
    assert not space.is_own
    assert torch.equal(*hear(torch.cat([x, x])).split(4))
    assert not torch.allclose(hear(x), space(x), atol=1e-3)
    assert not torch.allclose(hear(x), space.drawn(x, 6)(x), atol=1e-3)


def test_the_first_loss_is_that_of_the_change_drawn():
    """By hand: the untrained inverter on the validation inputs, both moved by what the seed draws."""
    still = dataclasses.replace(PLAN, epochs=1, steps_per_epoch=1, learning_rate=1e-12)
    found = fit(AT_FC8, plan=still).history[0].validation["fc8"]
    begun = fit(AT_FC8, plan=still, objective="input")
    x = tiny.bank(1).gather(tiny.bank(1).spread(8))
    network, bank = tiny.detector(), tiny.bank(0)
    everything = bank.gather(torch.arange(len(bank)))
    change = AT_FC8.jitter.drawn(x, chance(0))
    with torch.no_grad():
        x_hat = begun.last["fc8"](network.features(x, ("fc8",))["fc8"])
        feature, again = (network.features(change(each), ("fc8",))["fc8"] for each in (x, x_hat))
        spread = network.features(everything, ("fc8",))["fc8"].var(0, correction=0).mean()
    by_hand = (x - x_hat).square().mean() / everything.var(0, correction=0).mean()
    by_hand += (feature - again).square().mean() / spread
    assert found == pytest.approx(float(by_hand), rel=1e-3)


def test_it_learns_the_same_again_and_after_a_stop(tmp_path):
    whole = fit(AT_FC8)
    stopped = fit(AT_FC8, folder=tmp_path, minutes=0)
    assert not stopped.finished
    resumed = fit(AT_FC8, folder=tmp_path, resume=True)
    assert whole.history == resumed.history
    for name, value in whole.inverters["fc8"].state_dict().items():
        assert torch.equal(value, resumed.inverters["fc8"].state_dict()[name])
    assert fit("fc8").history != whole.history


def test_it_tells_runs_apart_and_stands_in_the_record(tmp_path):
    first = fit(AT_FC8, folder=tmp_path)
    assert first.origin["compare"] == {"layers": ["fc8"], "jitter": {"shift": (4, 1), "noise": 0.3, "share": 1.0}}
    with pytest.raises(TrainingError, match="compare"):
        fit("fc8", folder=tmp_path, resume=True)


def test_an_update_with_jitter_is_not_recorded():
    with pytest.raises(TrainingError, match="jitter"):
        fit(AT_FC8, capture=True)
