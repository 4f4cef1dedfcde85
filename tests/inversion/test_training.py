import dataclasses
import json
import os
import signal

import numpy as np
import pytest
import tiny
import torch
from killed import run_and_kill

import svdlib.inversion.training as training
from svdlib.compute.run_state import STATE_FILE
from svdlib.detector.excerpts import HOP_FRAMES
from svdlib.detector.model import SVDNet
from svdlib.errors import LayerError, OutputError, TrainingError
from svdlib.inversion.plans import TrainingPlan
from svdlib.paper.released import ReleasedPlan
from svdlib.zoo.fitting import fit_inverters
from svdlib.zoo.objectives import OBJECTIVES
from svdlib.zoo.profiles import PROFILES

PLAN = TrainingPlan(epochs=2, batch_size=2, steps_per_epoch=3, validation_excerpts=4)
LAYERS = ("fc8", "mp3")


def fit(folder=None, **options):
    chosen = {"layers": LAYERS, "plan": PLAN, "seed": 3} | options
    return fit_inverters(tiny.detector(), tiny.bank(0), tiny.bank(1), folder=folder, **chosen)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run from start to end, and its folder."""
    folder = tmp_path_factory.mktemp("unbroken")
    return fit(folder), folder


def assert_same_run(one, other):
    assert one.history == other.history and one.finished == other.finished
    for layer, inverter in one.inverters.items():
        assert tiny.same_weights(inverter, other.inverters[layer]), layer


def saved_arrays(folder):
    with np.load(folder / STATE_FILE) as archive:
        return {name: archive[name] for name in archive.files}


def assert_same_state(folder, other):
    """Not only the best weights: the current ones, the optimiser's averages and the counters as well."""
    one, two = saved_arrays(folder), saved_arrays(other)
    assert one.keys() == two.keys()
    for name in one:
        np.testing.assert_array_equal(one[name], two[name], err_msg=name)


# --- what is learnt ---


def test_training_several_layers_at_once_equals_training_each_alone(unbroken):
    together, _ = unbroken
    for layer in LAYERS:
        alone = fit(layers=(layer,))
        assert tiny.same_weights(alone.inverters[layer], together.inverters[layer])
        assert [epoch.validation[layer] for epoch in alone.history] == [
            epoch.validation[layer] for epoch in together.history
        ]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(unbroken):
    assert_same_run(fit(), unbroken[0])
    other = fit(layers=("fc8",), seed=4)
    assert not tiny.same_weights(other.inverters["fc8"], unbroken[0].inverters["fc8"])


def test_updates_are_adams_on_the_loss_with_the_penalty_of_equation_3(monkeypatch):
    """Three updates on all excerpts at once, against torch's own Adam on the penalty written out."""
    beta, train = 0.02, tiny.bank(0, frames=165)
    monkeypatch.setattr(training, "WEIGHT_DECAY", beta)

    def run(rate):
        plan = TrainingPlan(epochs=3, batch_size=len(train), learning_rate=rate, validation_excerpts=1)
        # Lower validation loss than any earlier epoch is not certain: take what is current, not what is best.
        monkeypatch.setattr(training._Run, "_validate", lambda self: dict.fromkeys(self.layers, -float(self.epoch)))
        return fit_inverters(
            tiny.detector(), train, train, layers=("fc8",), objective="input", plan=plan, seed=1
        ).inverters["fc8"]

    def by_hand(beta):
        inverter = run(rate=1e-30).train()
        x = train.gather(torch.arange(len(train)))
        with torch.no_grad():
            feature = tiny.detector().features(x, ("fc8",))["fc8"]
        optimiser = torch.optim.Adam(inverter.parameters(), lr=1e-3)
        for _ in range(3):
            loss = ((inverter(feature) - x) ** 2).mean()
            penalty = sum((p**2).sum() for name, p in inverter.named_parameters() if name.endswith("weight"))
            optimiser.zero_grad()
            (loss + beta * penalty).backward()
            optimiser.step()
        return torch.cat([parameter.detach().flatten() for parameter in inverter.parameters()])

    found = torch.cat([parameter.detach().flatten() for parameter in run(rate=1e-3).parameters()])
    difference = (found - by_hand(beta)).norm()
    assert difference < 0.05 * (found - by_hand(beta / 2)).norm()


def test_the_inverter_with_the_lowest_validation_loss_is_kept():
    """The training songs are loud and the validation song is soft, so that learning makes validation worse."""
    train, valid = tiny.bank(0, level=2.0), tiny.bank(1, level=-0.5)
    plan = TrainingPlan(epochs=3, batch_size=4, validation_excerpts=100)
    fitted = fit_inverters(tiny.detector(), train, valid, layers=("fc8",), objective="input", plan=plan)
    losses = [epoch.validation["fc8"] for epoch in fitted.history]
    assert losses.index(min(losses)) < 2
    x = valid.gather(torch.arange(len(valid)))
    with torch.no_grad():
        x_hat = fitted.inverters["fc8"](tiny.detector().features(x, ("fc8",))["fc8"])
    assert not fitted.inverters["fc8"].training
    assert ((x - x_hat) ** 2).mean().item() == pytest.approx(min(losses), rel=1e-5)


def test_the_joint_loss_is_larger_than_the_input_loss_and_leads_elsewhere(unbroken):
    alone = fit(layers=("fc8",), objective="input")
    joint, _ = unbroken
    assert alone.history[0].training["fc8"] < joint.history[0].training["fc8"]
    assert not tiny.same_weights(alone.inverters["fc8"], joint.inverters["fc8"])


def test_the_detector_is_only_read():
    before = {name: value.clone() for name, value in tiny.detector().state_dict().items()}
    fit(layers=("fc8",), plan=dataclasses.replace(PLAN, epochs=1))
    assert all(torch.equal(value, before[name]) for name, value in tiny.detector().state_dict().items())
    assert all(parameter.requires_grad and parameter.grad is None for parameter in tiny.detector().parameters())


@pytest.mark.slow
def test_half_width_activations_lead_nearly_the_same_way(unbroken):
    half = fit(precision=torch.bfloat16)
    for layer in LAYERS:
        assert half.history[-1].training[layer] == pytest.approx(unbroken[0].history[-1].training[layer], rel=0.05)


# --- learning rates ---


def scripted_rates(monkeypatch, losses, **options):
    """Learning rates of a run whose training losses are given."""

    def update(self, batch):
        self.loss_sums += losses[self.epoch]

    monkeypatch.setattr(training._Run, "_update", update)
    monkeypatch.setattr(training._Run, "_validate", lambda self: dict.fromkeys(self.layers, 1.0))
    plan = TrainingPlan(epochs=len(losses), batch_size=2, steps_per_epoch=1, learning_rate=0.8, **options)
    return [epoch.learning_rate["fc8"] for epoch in fit(layers=("fc8",), plan=plan).history]


@pytest.mark.parametrize(
    ("losses", "rates"),
    [
        ([5, 4, 3, 2, 1], [0.8, 0.8, 0.8, 0.8, 0.8]),
        ([5, 4, 4, 4, 4, 4, 4], [0.8, 0.8, 0.8, 0.8, 0.4, 0.4, 0.2]),
        ([5, 4, 5, 3.5, 5, 3, 5], [0.8] * 7),
        ([5, 5, 5, 1, 1, 1, 1], [0.8, 0.8, 0.8, 0.4, 0.4, 0.4, 0.2]),
        ([4, 3.9999, 3.9998, 3.9997], [0.8, 0.8, 0.8, 0.4]),
    ],
)
def test_the_rate_is_halved_when_the_training_loss_stalls_for_two_epochs(monkeypatch, losses, rates):
    assert scripted_rates(monkeypatch, losses) == pytest.approx(rates)


def test_the_cosine_schedule_falls_from_the_first_rate_to_nothing():
    plan = TrainingPlan(epochs=2, batch_size=2, steps_per_epoch=2, learning_rate=0.01, schedule="cosine")
    rates = [epoch.learning_rate["fc8"] for epoch in fit(layers=("fc8",), plan=plan, objective="input").history]
    # After two updates of four, and before the last one.
    assert rates == pytest.approx([0.01 * (1 + np.cos(np.pi * done)) / 2 for done in (1 / 4, 3 / 4)])


# --- stopping and going on ---


def test_a_killed_run_goes_on_to_the_same_weights(unbroken, tmp_path):
    """kill -9 in the middle of an epoch, while a state is being written: what all runs share is driven here."""
    run_and_kill(__file__, tmp_path, writes=4)
    meta = json.loads(saved_arrays(tmp_path)["meta"].tobytes())
    assert 0 < meta["step"] < PLAN.steps_per_epoch
    assert list(tmp_path.glob(".*.partial"))
    resumed = fit(tmp_path, resume=True)
    assert_same_run(resumed, unbroken[0])
    assert_same_state(tmp_path, unbroken[1])
    assert not list(tmp_path.glob(".*.partial"))


def test_a_run_with_a_time_limit_goes_on_to_the_same_weights(unbroken, tmp_path):
    calls, result = 0, None
    while result is None or not result.finished:
        result = fit(tmp_path, resume=True, minutes=0)
        calls += 1
        assert calls < 20
    assert calls > PLAN.epochs * PLAN.steps_per_epoch - 2
    assert_same_run(result, unbroken[0])
    assert_same_state(tmp_path, unbroken[1])


def test_ctrl_c_stops_in_good_order_and_the_run_goes_on(unbroken, tmp_path, monkeypatch):
    def progress_with_ctrl_c(batches, **_):
        for number, batch in enumerate(batches):
            if number == 1:
                os.kill(os.getpid(), signal.SIGINT)
            yield batch

    before = signal.getsignal(signal.SIGINT)
    with monkeypatch.context() as patched:
        patched.setattr(training, "progress", progress_with_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path)
    assert signal.getsignal(signal.SIGINT) is before
    assert json.loads(saved_arrays(tmp_path)["meta"].tobytes())["step"] == 2
    assert_same_run(fit(tmp_path, resume=True), unbroken[0])


def test_resuming_a_finished_run_trains_no_more(unbroken, monkeypatch):
    monkeypatch.setattr(training._Run, "_update", lambda *_: pytest.fail("trained on"))
    assert_same_run(fit(unbroken[1], resume=True), unbroken[0])


def test_resume_without_a_state_starts_anew(unbroken, tmp_path):
    assert_same_run(fit(tmp_path / "new", resume=True), unbroken[0])


def test_an_earlier_run_is_not_overwritten(unbroken):
    with pytest.raises(TrainingError, match=f"{STATE_FILE} holds an earlier run"):
        fit(unbroken[1])


def another_detector():
    torch.manual_seed(8)
    return SVDNet().eval()


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"layers": ("fc8",)}, "layers"),
        ({"objective": "input"}, "objective"),
        ({"seed": 4}, "seed"),
        ({"plan": dataclasses.replace(PLAN, learning_rate=2e-3)}, "plan"),
        ({"precision": torch.bfloat16}, "precision"),
    ],
)
def test_a_state_of_other_settings_is_refused(unbroken, change, named):
    before = (unbroken[1] / STATE_FILE).read_bytes()
    with pytest.raises(TrainingError, match=f"another run: {named} differ"):
        fit(unbroken[1], resume=True, **change)
    assert (unbroken[1] / STATE_FILE).read_bytes() == before


@pytest.mark.parametrize("named", ["detector", "training_excerpts", "validation_excerpts"])
def test_a_state_of_other_data_is_refused(unbroken, named):
    parts = {"detector": tiny.detector(), "training_excerpts": tiny.bank(0), "validation_excerpts": tiny.bank(1)}
    parts[named] = another_detector() if named == "detector" else tiny.bank(9)
    with pytest.raises(TrainingError, match=f"another run: {named} differ"):
        fit_inverters(*parts.values(), layers=LAYERS, plan=PLAN, seed=3, folder=unbroken[1], resume=True)


@pytest.mark.parametrize("damage", [b"", b"not a state", None])
def test_a_damaged_state_is_named(unbroken, tmp_path, damage):
    whole = (unbroken[1] / STATE_FILE).read_bytes()
    (tmp_path / STATE_FILE).write_bytes(whole[: len(whole) // 2] if damage is None else damage)
    with pytest.raises(TrainingError, match=f"{tmp_path / STATE_FILE} is damaged.*[Dd]elete it"):
        fit(tmp_path, resume=True)


# --- bad input ---


def test_an_unwritable_folder_is_found_before_any_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(training._Run, "_update", lambda *_: pytest.fail("trained before it could save"))
    with pytest.raises(OutputError, match="file"):
        fit(tmp_path / "file" / "run")


@pytest.mark.parametrize("split", ["training", "validation"])
def test_nan_in_the_spectrograms_stops_the_run(split):
    banks = {"training": tiny.bank(0), "validation": tiny.bank(1)}
    banks[split].frames[100:200, 5] = float("nan")
    with pytest.raises(TrainingError, match="fc8.*(NaN|finite)"):
        fit_inverters(tiny.detector(), *banks.values(), layers=("fc8",), objective="input", plan=PLAN)


def test_layers_must_exist():
    with pytest.raises(LayerError, match="'conv3'"):
        fit(layers=("fc8", "conv3"))
    with pytest.raises(LayerError, match="'aligend'"):
        fit(variant="aligend")
    with pytest.raises(LayerError, match="No layer"):
        fit(layers=())
    with pytest.raises(TrainingError, match="'jiont'"):
        fit(objective="jiont")


@pytest.mark.parametrize(("batch_size", "steps"), [(20, None), (4, 5), (2, 10)])
def test_too_few_excerpts_for_the_plan(batch_size, steps):
    with pytest.raises(TrainingError, match="19 training excerpts do not fill"):
        fit(plan=TrainingPlan(batch_size=batch_size, steps_per_epoch=steps))


@pytest.mark.parametrize(
    ("setting", "value"),
    [("epochs", 0), ("batch_size", -1), ("learning_rate", 0.0), ("learning_rate", float("nan")), ("patience", 0)],
)
def test_plans_must_make_sense(setting, value):
    with pytest.raises(TrainingError, match=f"{setting} must be positive"):
        TrainingPlan(**{setting: value})


def test_a_batch_of_one_excerpt_cannot_be_normalised():
    with pytest.raises(TrainingError, match="2 or more"):
        TrainingPlan(batch_size=1)


def test_unknown_schedule_lists_the_known_ones():
    with pytest.raises(TrainingError, match="'step'.*plateau, cosine"):
        TrainingPlan(schedule="step")


def test_the_full_profile_is_the_papers():
    full = PROFILES["full"]
    assert (full.epochs, full.batch_size, full.learning_rate) == (30, 32, 1e-3)
    assert (full.schedule, full.patience, full.steps_per_epoch) == ("plateau", 2, None)


def test_the_published_profile_is_the_papers_and_measures_all_validation_excerpts():
    published = PROFILES["published"]
    assert (published.epochs, published.batch_size, published.learning_rate) == (30, 32, 1e-3)
    assert (published.schedule, published.patience, published.keep) == ("plateau", 2, "best")
    assert published.steps_per_epoch is None and published.validation_excerpts is None
    assert (HOP_FRAMES, training.WEIGHT_DECAY) == (10, 1e-4)
    plan = dataclasses.replace(PLAN, epochs=1, validation_excerpts=None)
    every = dataclasses.replace(plan, validation_excerpts=len(tiny.bank(1)))
    one, other = (fit(layers=("fc8",), plan=chosen).history for chosen in (plan, every))
    assert one == other


def test_the_released_objective_brings_its_own_rules():
    plan = PROFILES["published"]
    released = OBJECTIVES["released"].plan(plan)
    assert isinstance(released, ReleasedPlan)
    assert dataclasses.asdict(released) == dataclasses.asdict(plan) | {"schedule": "truncated", "keep": "last"}
    assert all(OBJECTIVES[name].plan(plan) == plan for name in ("joint", "input", "adversarial"))


def test_a_plan_may_keep_the_last_epoch_of_any_objective():
    train, valid = tiny.bank(0, level=2.0), tiny.bank(1, level=-0.5)
    plan = TrainingPlan(epochs=3, batch_size=4, validation_excerpts=100)
    best, last = (
        fit_inverters(
            tiny.detector(), train, valid, layers=("fc8",), objective="input", plan=dataclasses.replace(plan, keep=keep)
        )
        for keep in ("best", "last")
    )
    assert best.history == last.history
    kept = best.record("fc8")
    assert kept["kept_epoch"] == kept["best_epoch"] < 3 == last.record("fc8")["kept_epoch"]
    assert not tiny.same_weights(best.inverters["fc8"], last.inverters["fc8"])
    with pytest.raises(TrainingError, match="best or its last epoch, not its 'first'"):
        TrainingPlan(keep="first")
