"""Every stored result says where it comes from, so that one command repeats it and a reader knows what it rests on."""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
from places import ROOT

from svdlib.detector.optimisation import PLANS
from svdlib.lab.studies import RESULTS, load_results

STORED = sorted(RESULTS.glob("*.json"))


def entries(value: Any) -> Iterator[tuple[str, Any]]:
    """All keys with their values, at any depth."""
    for key, inner in value.items() if isinstance(value, dict) else []:
        yield key, inner
        yield from entries(inner)
    for inner in value if isinstance(value, list) else []:
        yield from entries(inner)


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_commit_seed_updates_and_batch_are_stated(path):
    found = list(entries(json.loads(path.read_text())))
    names = {name for name, _ in found}
    assert {"study", "date", "commit", "versions", "batch_size"} <= names
    assert names & {"seed", "seeds"} and names & {"updates", "steps_per_epoch"}
    commits = {commit for name, commit in found if name == "commit"}
    assert all(re.fullmatch("[0-9a-f]{7,}", commit) for commit in commits), "measured with changes that nobody has"


@pytest.mark.parametrize("path", STORED, ids=lambda path: path.stem)
def test_its_program_bears_its_name_and_is_told_on_its_page(path):
    program = ROOT / "svdlib" / "lab" / "studies" / f"{path.stem}.py"
    assert f"python -m svdlib.lab.studies.{path.stem} " in program.read_text()


def test_regularisers_count_as_the_study_chose_and_as_inversions_were_measured():
    choice, measured = load_results("regulariser_weights"), load_results("inversion_by_optimisation")
    for layer, plan in PLANS.items():
        chosen = choice["layers"][layer]["chosen"]
        assert (plan.alpha_weight, plan.variation_weight) == (chosen["alpha_weight"], chosen["variation_weight"])
        assert choice["passes"][layer] == plan.passes and measured["plans"][layer] == vars(plan)
