"""Inverters as files that need no class: what is saved comes back, and what is no inverter is refused."""

import json
import struct

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from listeners import ResidualGRU, WaveNet

import svdlib
from svdlib.errors import WeightsError
from svdlib.inversion import files
from svdlib.inversion.derivation import derive_inverters
from svdlib.inversion.inverters import FeatureInverter

ORIGIN = {"listener": {"network": "ResidualGRU"}, "layers": ["res1", "gru"]}


def inverters():
    torch.manual_seed(0)
    encoder = svdlib.Encoder(ResidualGRU(), layers=["gru", "res1"], example=torch.randn(2, 1, 96, 64))
    wave = svdlib.Encoder(WaveNet(), layers=["conv3"], example=torch.randn(2, 1, 512))
    specs = [choice.spec for each in (encoder, wave) for choice in derive_inverters(each, parameters=3000).values()]
    return {spec.layer: FeatureInverter(spec).eval() for spec in specs}


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mine")
    for layer, inverter in inverters().items():
        files.save_inverter(folder / files.weights_name(layer, inverter.variant), inverter, ORIGIN)
    return folder


def test_what_is_saved_comes_back_without_its_class(saved):
    found = svdlib.load_inverters(saved)
    assert list(found) == ["res1", "gru", "conv3"], "as in the network, then others"
    for layer, inverter in inverters().items():
        feature = torch.randn(2, *inverter.spec.feature_shape)
        assert found[layer].spec == inverter.spec and found[layer].variant == inverter.spec.family
        assert not found[layer].training and found[layer].provenance == ORIGIN
        assert torch.equal(found[layer](feature), inverter(feature))


def rewritten(path, target, **changes):
    """A copy of a weights file with other metadata."""
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    header = json.loads(data[8 : 8 + length])
    header["__metadata__"] |= changes
    text = json.dumps(header).encode()
    target.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + length :])
    return target


def plan_of(path):
    data = path.read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    return json.loads(json.loads(data[8 : 8 + length])["__metadata__"]["specification"])


BAD_PLANS = {
    "nothing": lambda plan: {},
    "no object": lambda plan: [1],
    "another key": lambda plan: plan | {"code": "import os"},
    "no stage": lambda plan: plan | {"stages": []},
    "too many stages": lambda plan: plan | {"stages": plan["stages"] * 60},
    "a stage of another kind": lambda plan: plan | {"stages": [plan["stages"][0] | {"kind": "exec"}]},
    "a huge map": lambda plan: plan | {"stages": [plan["stages"][0], plan["stages"][1] | {"size": [10**6, 10**6]}]},
    "a huge output": lambda plan: plan | {"excerpt_shape": [10**9, 10**9]},
    "negative units": lambda plan: plan | {"stages": [plan["stages"][0] | {"units": -1}]},
    "other widths": lambda plan: (
        plan | {"stages": [plan["stages"][0] | {"units": plan["stages"][0]["units"] + 1}, *plan["stages"][1:]]}
    ),
    "axes twice": lambda plan: plan | {"feature_axes": [0, 0, 1]},
    "axes that are not there": lambda plan: plan | {"feature_axes": [0, 1, 7]},
    "a truth that is a text": lambda plan: plan | {"linear_output": "yes"},
    "a slope that is not a number": lambda plan: plan | {"leakiness": "0.1"},
}


@pytest.mark.parametrize("name", BAD_PLANS)
def test_a_plan_that_makes_no_sense_is_refused(saved, tmp_path, name):
    path = saved / "general-gru.safetensors"
    bad = json.dumps(BAD_PLANS[name](plan_of(path)))
    target = rewritten(path, tmp_path / "general-gru.safetensors", specification=bad)
    with pytest.raises(WeightsError, match=r"general-gru.*(no plan of an inverter|does not fit)"):
        svdlib.load_inverters(tmp_path)
    rewritten(target, target, specification="{")
    with pytest.raises(WeightsError, match="no plan of an inverter"):
        svdlib.load_inverters(tmp_path)


@given(st.data())
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_plan_with_any_change_is_refused_or_runs(saved, tmp_path, data):
    """A file made to do damage: one part of the plan holds another value."""
    path = saved / "aligned-conv3.safetensors"
    plan = plan_of(path)
    values = st.one_of(
        st.none(), st.integers(-2, 10**12), st.text(max_size=3), st.booleans(), st.lists(st.integers(-1, 3))
    )
    place = data.draw(st.sampled_from([(plan, key) for key in plan] + [
        (part, key) for stage in plan["stages"] for part in (stage, stage["window"]) for key in part
    ]))  # fmt: skip
    place[0][place[1]] = data.draw(values)
    target = rewritten(path, tmp_path / "aligned-conv3.safetensors", specification=json.dumps(plan))
    try:
        (inverter,) = svdlib.load_inverters(tmp_path).values()
    except WeightsError:
        return
    finally:
        target.unlink()
    assert isinstance(inverter, FeatureInverter)


def test_folders_without_or_with_several_inverters(saved, tmp_path):
    with pytest.raises(WeightsError, match="holds no inverter. Name the folder that fit.save"):
        svdlib.load_inverters(tmp_path)
    inverter = inverters()["res1"]
    files.save_inverter(tmp_path / "aligned-res1.safetensors", inverter, ORIGIN)
    inverter.variant = "general"
    files.save_inverter(tmp_path / "general-res1.safetensors", inverter, ORIGIN)
    with pytest.raises(
        WeightsError, match="several inverters of res1. Name the family: variant='aligned' or 'general'"
    ):
        svdlib.load_inverters(tmp_path)
    assert svdlib.load_inverters(tmp_path, variant="general")["res1"].variant == "general"
    with pytest.raises(WeightsError, match="holds no 'published' inverter"):
        svdlib.load_inverters(tmp_path, variant="published")


def test_the_packages_own_inverters_are_found_by_their_names():
    from svdlib.zoo.checkpoints import PACKAGED

    found = svdlib.load_inverters(PACKAGED, variant="aligned")
    assert tuple(found) == svdlib.LAYERS and all(each.variant == "aligned" for each in found.values())
