"""Recorded updates, without a GPU: a tape of tensor operations stands in for the CUDA graph."""

import dataclasses
import warnings
from contextlib import contextmanager

import pytest
import tiny
import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import svdlib.inversion.training as training
from svdlib.compute import cuda_graph as captured
from svdlib.compute.cuda_graph import WARM_UPS, CapturedUpdate
from svdlib.errors import TrainingError
from svdlib.inversion.plans import TrainingPlan
from svdlib.zoo.fitting import fit_inverters

PLAN = TrainingPlan(epochs=2, batch_size=2, steps_per_epoch=4, validation_excerpts=4, schedule="cosine")
CPU = torch.device("cpu")


def fit(folder=None, **options):
    chosen = {"layers": ("fc8", "conv1"), "plan": PLAN, "seed": 3} | options
    return fit_inverters(tiny.detector(), tiny.bank(0), tiny.bank(1), folder=folder, **chosen)


@pytest.fixture(scope="module")
def written():
    """A run whose updates are done as written."""
    return fit()


def assert_same_run(one, other):
    assert one.history == other.history
    assert all(tiny.same_weights(one.inverters[layer], other.inverters[layer]) for layer in one.inverters)


class Tape(TorchDispatchMode):
    """What a CUDA graph does: notes every operation with the memory that it reads and writes, and can do them again."""

    def __init__(self):
        super().__init__()
        self.operations, self.before, self.replays = [], {}, 0

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        for argument, value in zip(function._schema.arguments, args, strict=False):
            # Of the running averages PyTorch does not say that they are written.
            written = argument.alias_info.is_write if argument.alias_info else argument.name.startswith("running_")
            for tensor in tree_leaves(value) if written else ():
                self.before.setdefault(id(tensor), (tensor, tensor.clone()))
        result = function(*args, **kwargs)
        self.operations.append((function, args, kwargs, result))
        return result

    def undo(self):
        """Recording computes nothing."""
        for tensor, value in self.before.values():
            tensor.copy_(value)
        self.before = {}

    @torch.no_grad()
    def replay(self):
        self.replays += 1
        for function, args, kwargs, result in self.operations:
            views = all(output.alias_info and not output.alias_info.is_write for output in function._schema.returns)
            if function._schema.returns and views:
                continue  # the same memory in another shape
            for old, new in zip(tree_leaves(result), tree_leaves(function(*args, **kwargs)), strict=True):
                if isinstance(old, torch.Tensor) and old is not new:
                    old.copy_(new)


@pytest.fixture
def tapes(monkeypatch):
    """Let updates be recorded on tape; all tapes made."""
    made = []

    @contextmanager
    def recording(device):
        tape = Tape()
        with tape:
            yield tape
        with torch.no_grad():
            tape.undo()
        made.append(tape)

    monkeypatch.setattr(captured, "recording", recording)
    return made


@pytest.mark.parametrize("objective", ["joint", "input"])
def test_replayed_updates_are_those_written_whatever_the_learning_rate(tapes, written, objective):
    """Eight updates under a schedule that changes the rate at each: three as written, the others replayed."""
    replayed = fit(capture=True, objective=objective)
    assert_same_run(replayed, written if objective == "joint" else fit(objective=objective))
    (tape,) = tapes
    assert tape.replays == PLAN.epochs * PLAN.steps_per_epoch - WARM_UPS


def test_a_recorded_run_stops_and_goes_on_to_the_same_weights(tapes, written, tmp_path):
    assert not fit(tmp_path, capture=True, minutes=0).finished
    assert_same_run(fit(tmp_path, resume=True, capture=True), written)
    fit(tmp_path / "other", minutes=0)
    assert_same_run(fit(tmp_path / "other", resume=True, capture=True), written)


def test_where_recording_fails_training_goes_on_and_one_warning_says_why(written):
    with pytest.warns(UserWarning, match="more slowly .there are no CUDA graphs on cpu") as caught:
        fitted = fit(capture=True)
    assert len([warning for warning in caught if "CUDA graph" in str(warning.message)]) == 1
    assert_same_run(fitted, written)


def test_a_failure_in_the_middle_of_recording_costs_no_update_and_does_none_twice(monkeypatch, written):
    @contextmanager
    def recording(device):
        with Tape() as tape:
            yield tape
            with torch.no_grad():
                tape.undo()
            raise RuntimeError("operation not permitted when stream is capturing")

    monkeypatch.setattr(captured, "recording", recording)
    with pytest.warns(UserWarning, match="not permitted when stream is capturing"):
        assert_same_run(fit(capture=True), written)


def test_a_recorded_update_reads_every_batch_from_the_same_place(tapes):
    total, rows = torch.zeros(3), torch.eye(3)

    def update(indices):
        total.add_(rows[indices].sum(0))

    advance = CapturedUpdate(update, CPU)
    for index in (0, 1, 2, 2, 2, 1):
        advance(torch.tensor([index]))
    assert total.tolist() == [1, 2, 3] and tapes[0].replays == 6 - WARM_UPS


def test_nothing_is_recorded_unless_asked_for_where_there_is_no_gpu(monkeypatch, written):
    monkeypatch.setattr(captured, "recording", lambda _: pytest.fail("recorded"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same_run(fit(), written)


def test_an_update_that_cannot_be_recorded_is_refused():
    for objective in ("released", "adversarial"):
        with pytest.raises(TrainingError, match=f"{objective!r}.*Leave out capture"):
            fit(objective=objective, capture=True)


# --- nothing waits for the device ---


class NoWaiting(TorchDispatchMode):
    """Refuses what would make the processor wait for a GPU, or bring it values of which a graph would know nothing."""

    waits = {
        "_local_scalar_dense", "is_nonzero", "equal", "nonzero", "_unique2", "masked_select", "lift_fresh", "bincount",
    }  # fmt: skip

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        name = function._schema.name.removeprefix("aten::")
        masks = name == "index" and any(index.dtype == torch.bool for index in args[1] if index is not None)
        assert name not in self.waits and not masks, f"{name} waits for the device"
        return function(*args, **(kwargs or {}))


class NoReading(TorchFunctionMode):
    """Refuses what reads a whole tensor; on a processor no operation is dispatched for it."""

    reads = {torch.Tensor.tolist, torch.Tensor.numpy, torch.Tensor.cpu}

    def __torch_function__(self, function, types, args=(), kwargs=None):
        assert function not in self.reads, f"{function.__name__} waits for the device"
        return function(*args, **(kwargs or {}))


@contextmanager
def no_waiting():
    with NoReading(), NoWaiting():
        yield


@pytest.mark.parametrize("waiting", [lambda x: x.sum().item(), lambda x: x.tolist(), lambda x: bool(x[0] > 0),
                                     lambda x: torch.tensor([1.0]), lambda x: x[x > 0]])  # fmt: skip
def test_the_check_below_finds_what_waits(waiting):
    with pytest.raises(AssertionError, match="waits for the device"), no_waiting():
        waiting(torch.ones(2))


@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_no_update_waits_for_the_device(monkeypatch, precision):
    """Gathering, detector, inverters, comparator, backward and Adam, and the schedule before them."""
    update = training._Run._update

    def update_without_waiting(self, batch):
        with no_waiting():
            update(self, batch)

    monkeypatch.setattr(training._Run, "_update", update_without_waiting)
    plan = dataclasses.replace(PLAN, epochs=1, steps_per_epoch=2)
    assert fit(plan=plan, precision=precision).finished


def test_learning_rates_in_tensors_are_those_in_numbers(monkeypatch, written):
    """To the last bit; without this, a run would depend on where it was begun."""
    set_rates = training._Run._set_rates

    def set_numbers(self, rates):
        set_rates(self, rates)
        for group in self.optimiser.param_groups:
            group["lr"] = rates[group["layer"]]

    monkeypatch.setattr(training._Run, "_set_rates", set_numbers)
    assert_same_run(fit(), written)
