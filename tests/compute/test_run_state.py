import dataclasses
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from svdlib.compute.run_state import RunOptions, RunSettings, RunState, carry_on, check_same_run
from svdlib.compute.storage import load_state, nested, save_state
from svdlib.errors import OutputError, PlanError, TrainingError

# --- options ---


def test_options_one_by_one_are_the_fields_of_the_options():
    fields = {field.name: field.type for field in dataclasses.fields(RunOptions)}
    assert fields == RunSettings.__annotations__


def test_settings_replace_options_and_leave_the_others():
    options = RunOptions(seed=3, minutes=9.0)
    changed = options.with_settings(seed=4, folder="runs/mine")
    assert (changed.seed, changed.minutes, changed.folder) == (4, 9.0, "runs/mine")
    assert options.seed == 3 and options.state_path is None
    assert changed.state_path is not None and changed.state_path.name == "state.npz"


def test_an_option_that_does_not_exist_is_named_with_those_that_do():
    with pytest.raises(PlanError, match="'sed'.*seed, device.*minutes"):
        RunOptions().with_settings(sed=4)


# --- arrays in groups ---

NAMES = st.text(st.characters(exclude_characters="/", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=5)
TREES = st.recursive(
    st.builds(torch.tensor, st.lists(st.floats(-9, 9, width=32), min_size=1, max_size=3)),
    lambda inner: st.dictionaries(NAMES, inner, min_size=1, max_size=3),
    max_leaves=6,
).filter(lambda tree: isinstance(tree, dict) and "meta" not in tree)


def same(one, other):
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[name], other[name]) for name in one)
    return torch.equal(one, other)


@given(TREES)
def test_groups_come_back_from_a_file_as_they_went(tree):
    with tempfile.TemporaryDirectory() as folder:
        save_state(Path(folder) / "state.npz", tree, {})
        assert same(nested(load_state(Path(folder) / "state.npz")[0]), tree)


# --- whose state it is ---


def test_a_state_is_given_back_to_the_run_that_it_belongs_to(tmp_path):
    state = RunState(tmp_path / "state.npz", {"seed": 3, "songs": ("a", "b")})
    state.save({"best": {"fc8": {"weight": torch.ones(2)}}}, {"epoch": 1})
    again = RunState(tmp_path / "state.npz", {"seed": 3, "songs": ["a", "b"]})
    arrays, meta = again.load()
    assert torch.equal(arrays["best"]["fc8"]["weight"], torch.ones(2)) and meta["epoch"] == 1


def test_what_states_of_older_versions_lack_is_asked_for_only_where_it_is(tmp_path):
    path, named = tmp_path / "state.npz", RunOptions(corpus="synthetic").named
    RunState(path, {"seed": 3}).save({}, {})
    RunState(path, {"seed": 3}, named).load()
    with pytest.raises(TrainingError, match="seed differ"):
        RunState(path, {"seed": 4}, named).load()
    with pytest.raises(TrainingError, match="corpus differ"):
        RunState(path, {"seed": 3} | named).load()
    RunState(path, {"seed": 3}, named).save({}, {})
    with pytest.raises(TrainingError, match="corpus differ"):
        RunState(path, {"seed": 3}, RunOptions(corpus="folder:a").named).load()


@pytest.mark.parametrize("stored", [None, {}, [], "seed", {"seed": 4}])
def test_a_state_of_another_run_or_of_nobody_is_refused(tmp_path, stored):
    save_state(tmp_path / "state.npz", {}, {"identity": stored})
    with pytest.raises(TrainingError, match="state.npz belongs to another run: seed differ.*choose another folder"):
        RunState(tmp_path / "state.npz", {"seed": 3}).load()


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"detector": 2}, "another run: network differs"),
        ({"layers": 2}, "another run: layers differ[.]"),
        ({"detector": 2, "seed": 2}, "another run: network, seed differ[.]"),
    ],
)
def test_parts_of_a_state_can_be_called_otherwise_and_are_read_by_the_same_keys(tmp_path, changed, words):
    identity = {"detector": 1, "layers": 1, "seed": 1}
    RunState(tmp_path / "state.npz", identity).save({}, {})
    RunState(tmp_path / "state.npz", identity, called={"detector": "network"}).load()
    with pytest.raises(TrainingError, match=words):
        RunState(tmp_path / "state.npz", identity | changed, called={"detector": "network"}).load()


def test_what_this_run_does_not_ask_about_makes_no_difference(tmp_path):
    check_same_run(tmp_path, {"seed": 3, "mood": "good"}, {"seed": 3})


def test_a_run_without_a_folder_keeps_nothing_and_cannot_be_resumed():
    state = RunState(None, {})
    state.save({}, {})
    with pytest.raises(TrainingError, match="Name its folder"):
        state.load()


# --- driving a run ---


class Counting:
    """A run that counts its updates, three to an epoch."""

    def __init__(self, path):
        self.state = RunState(path, {"kind": "counting"})
        self.epoch = self.step = self.count = 0

    def updates(self) -> Iterator[None]:
        while self.step < 3:
            self.count += 1
            self.step += 1
            yield

    def close_epoch(self) -> None:
        self.epoch, self.step = self.epoch + 1, 0

    def pack(self):
        return {"count": torch.tensor(self.count)}, {"epoch": self.epoch, "step": self.step}

    def unpack(self, arrays, meta):
        self.count, self.epoch, self.step = int(arrays["count"]), meta["epoch"], meta["step"]


def test_a_run_stopped_after_every_update_does_each_update_once(tmp_path):
    options = RunOptions(folder=tmp_path, resume=True, minutes=0)
    run, calls = Counting(options.state_path), 1
    while not carry_on(run, 2, options):
        run, calls = Counting(options.state_path), calls + 1
    assert run.count == 6 and calls >= 6
    assert int(load_state(tmp_path / "state.npz")[0]["count"]) == 6


def test_an_earlier_run_is_kept_unless_it_may_be_resumed(tmp_path):
    options = RunOptions(folder=tmp_path)
    assert carry_on(Counting(options.state_path), 1, options)
    before = (tmp_path / "state.npz").read_bytes()
    with pytest.raises(TrainingError, match="holds an earlier run. Resume it, or choose another folder"):
        carry_on(Counting(options.state_path), 1, options)
    assert (tmp_path / "state.npz").read_bytes() == before


def test_a_place_that_cannot_be_written_is_found_before_the_first_update(tmp_path):
    (tmp_path / "file").write_text("in the way")
    options = RunOptions(folder=tmp_path / "file" / "run")
    run = Counting(options.state_path)
    with pytest.raises(OutputError):
        carry_on(run, 1, options)
    assert run.count == 0


class Overtaken(Counting):
    """A run during whose updates somebody starts a second one of the same folder, while a state is half written."""

    def __init__(self, path, options):
        super().__init__(path)
        self.options, self.half_written, self.refusals = options, path.with_name(f".{path.name}.1.partial"), []

    def updates(self):
        for _ in super().updates():
            self.half_written.touch()
            with pytest.raises(TrainingError) as caught:
                carry_on(Counting(self.state.path), 1, self.options)
            self.refusals.append(str(caught.value))
            yield


def test_a_second_run_in_a_folder_is_refused_and_tidies_nothing_away(tmp_path):
    options = RunOptions(folder=tmp_path, resume=True)
    run = Overtaken(options.state_path, options)
    assert carry_on(run, 1, options)
    assert len(run.refusals) == 3 and run.half_written.exists()
    assert all(f"{tmp_path}: another process is training there. Wait" in said for said in run.refusals)
    assert carry_on(Counting(options.state_path), 1, options), "when the first has ended, its folder is free"
    assert not run.half_written.exists()
