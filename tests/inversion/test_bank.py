"""Banks of tensors of any shape."""

import numpy as np
import pytest
import torch

import svdlib
from svdlib.errors import DeviceError, InputError
from svdlib.inversion.nre import EvaluationPlan, evaluation_sets


def bank(**options):
    x = torch.arange(12.0)[:, None, None].expand(12, 2, 3)
    return svdlib.TensorBank(x, **({"groups": ["b", "a", "b", "c"] * 3} | options))


def test_inputs_are_gathered_cut_and_spread():
    found = bank()
    assert len(found) == 12 and found.gather(torch.tensor([3, 1])).tolist() == [[[3.0] * 3] * 2, [[1.0] * 3] * 2]
    assert torch.equal(found.cut(torch.tensor([5])), found.gather(torch.tensor([5])))
    assert found.spread(3).tolist() == [0, 6, 11] and found.spread(100).tolist() == list(range(12))
    assert repr(found) == "TensorBank of 12 inputs 2 x 3 in 3 groups, on cpu"


def test_draws_come_group_by_group_and_none_twice():
    found = bank()
    drawn = found.draw(2, np.random.default_rng(0))
    assert [found.group_names[found.groups[index]] for index in drawn] == ["b", "b", "a", "a", "c", "c"]
    for places in evaluation_sets(found, EvaluationPlan(sets=20, per_song=3)):
        assert len(set(places.tolist())) == 9
    assert len(found.draw(8, np.random.default_rng(0))) == 9, "the smallest group has three"
    sets = evaluation_sets(found, EvaluationPlan(sets=30, per_song=2))
    assert set(torch.cat(sets).tolist()) == set(range(12)), "every input can be drawn"


@pytest.mark.parametrize(
    "groups", [np.array([0, 1, 0, 2] * 3), torch.tensor([5, 7, 5, 9] * 3), [("x", 1), ("y", 1), ("x", 1), ("z", 2)] * 3]
)
def test_groups_may_be_named_by_anything(groups):
    assert bank(groups=groups).groups.tolist() == [0, 1, 0, 2] * 3


def test_without_groups_neighbours_go_together():
    assert bank(groups=None).groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5]
    many = svdlib.TensorBank(torch.zeros(100, 1), None)
    assert len(many.group_names) == 16 and np.all(np.diff(many.groups) >= 0) and np.bincount(many.groups).min() == 6


def test_the_digest_tells_inputs_apart():
    x = np.random.default_rng(0).normal(size=(4, 5))
    other = x.copy()
    other[2, 3] += 1
    assert svdlib.TensorBank(x).digest == svdlib.TensorBank(torch.tensor(x)).digest != svdlib.TensorBank(other).digest


def test_what_is_no_bank_is_refused():
    x = torch.zeros(4, 2)
    x[2, 1] = torch.nan
    with pytest.raises(InputError, match="Input 2 holds values that are not finite"):
        svdlib.TensorBank(x)
    with pytest.raises(InputError, match="4 inputs, but 3 names of groups"):
        svdlib.TensorBank(torch.zeros(4, 2), groups=["a", "b", "c"])
    with pytest.raises(InputError, match=r"not \(4,\)"):
        svdlib.TensorBank(torch.zeros(4))


@pytest.mark.parametrize(
    ("x", "words"),
    [
        (None, "not NoneType None"),
        (np.array([["a"], ["b"]]), "not an array of <U1"),
        ([[1.0, "b"], [2.0, "c"]], "not list"),
        (torch.ones(4, 2, dtype=torch.complex64), r"complex, torch.complex64.*x\.abs\(\)"),
    ],
)
def test_what_holds_no_real_numbers_is_refused(x, words):
    with pytest.raises(InputError, match=words):
        svdlib.TensorBank(x)


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        ("song", r"groups are 'song'.*\['song', 'song'\]"),
        (3, "groups are 3. Give a name for each input"),
        (["a", "b", float("nan"), "c"] * 3, "Input 2 has no group: nan"),
        (np.array([0, np.nan, 1, 2] * 3), "Input 1 has no group: nan"),
        (["a", None, "b", "c"] * 3, "Input 1 has no group: None"),
        (np.arange(12)[:, None], r"shape \(12, 1\), not \(inputs,\). Take groups.flatten\(\)"),
        ([["a"]] * 12, r"group \['a'\], which is no name"),
    ],
)
def test_what_names_no_groups_is_refused(groups, words):
    with pytest.raises(InputError, match=words):
        bank(groups=groups)


def test_names_in_tensors_of_one_value_are_the_same_name():
    """Each tensor is a key of its own in a dictionary."""
    assert bank(groups=list(torch.tensor([5, 7, 5, 9] * 3))).groups.tolist() == [0, 1, 0, 2] * 3


def test_a_device_that_is_not_there_is_told(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(DeviceError, match="'cuda' is not there"):
        bank(device="cuda")
    assert bank(device="cpu").device.type == bank(device=torch.device("cpu")).device.type == "cpu"
