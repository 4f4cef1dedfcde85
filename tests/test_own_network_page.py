"""The page "Your own network" runs as it stands."""

import re

import pytest
import torch
from places import ROOT

import svdlib
from svdlib.inversion.derivation import NARROWEST, WIDEST
from svdlib.zoo.profiles import PROFILES

PAGE = ROOT / "book" / "your_own_network.md"


def blocks():
    """The Python of the page, but for the six lines at its head, which are about a network of the reader's."""
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    return [block for block in found if not block.startswith("# the six lines")]


def test_the_readme_shows_the_six_lines():
    six = re.search(r"# the six lines\n(.*?)```", PAGE.read_text(), re.DOTALL)[1]
    assert len(six.splitlines()) == 6 and six in (ROOT / "README.md").read_text()


def test_every_name_on_the_page_is_public():
    names = set(re.findall(r"svdlib\.([A-Za-z_]+)\b", "".join(blocks())))
    assert names - {"inversion"} <= set(svdlib.__all__)


def test_the_plans_are_as_long_as_the_page_says():
    text, plans = " ".join(PAGE.read_text().split()), {name: PROFILES[name] for name in ("demo", "laptop", "full")}
    demo, laptop, full = plans.values()
    size = f"{demo.epochs} epochs of {demo.steps_per_epoch} batches of {demo.batch_size} inputs"
    assert f'`plan="demo"`, {size}' in text and laptop.batch_size == demo.batch_size
    assert f'`"laptop"`, {laptop.epochs} epochs of {laptop.steps_per_epoch} such batches' in text
    assert f'`"full"`, {full.epochs} epochs of all inputs' in text and full.steps_per_epoch is None
    assert f"at least two channels and at most {WIDEST}" in text and NARROWEST == 2


def test_no_code_needs_scrolling_sideways():
    """At 1280 pixels, beside the contents of book and page, about 80 letters fit."""
    lines = [
        line for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL) for line in block.splitlines()
    ]
    assert max(map(len, lines)) <= 80


def test_by_hand_takes_about_45_lines():
    (by_hand,) = (block for block in blocks() if block.startswith("# by hand"))
    assert 40 <= len([line for line in by_hand.splitlines() if line.strip()]) <= 48


@pytest.mark.slow
def test_the_page_runs_and_its_inverters_beat_the_mean(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "agg")
    state = torch.get_rng_state()
    scope = {"__name__": "page"}
    exec(compile("\n".join(blocks()), str(PAGE), "exec"), scope)
    torch.set_rng_state(state)
    told = capsys.readouterr()
    assert "gru: general inverter" in told.err and "conv3: aligned inverter" in told.err
    assert list(scope["scores"]) == ["res2", "conv3", "gru"]
    for layer, score in scope["scores"].items():
        assert score.nre < score.mean_predictor, layer
    assert (tmp_path / "runs" / "mine" / "inversions.png").stat().st_size > 5000
    page = (tmp_path / "runs" / "mine" / "page.html").read_text()
    assert page.count("<svdlib-explorer><script") == 1 and '"steps":["original","res2","conv3","gru"]' in page
    assert '"250 Hz"' in page and '"seconds":1.0,' in page
    assert float(re.search(r"NRE by hand: ([0-9.]+), mean predictor", told.out)[1]) < 1
