"""The study of what the detector uses: its measures where the answer is known, and its program."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from svdlib.detector.scores import area_under_curve
from svdlib.lab.studies import load_results
from svdlib.lab.studies import what_it_uses as uses


class Listener(nn.Module):
    """A detector that knows some cells and says "sung" if they are loud on average."""

    threshold = 0.5

    def __init__(self, cells):
        super().__init__()
        self.cells = cells

    def forward(self, x):
        return 20 * ((x[:, 0] * self.cells).sum(dim=(1, 2)) / self.cells.sum() - 0.5)[:, None]


@pytest.fixture(scope="module")
def group():
    """Six sung excerpts of three songs: the voice is 1 in its cells, and the band is silent."""
    rng = torch.Generator().manual_seed(0)
    cells = torch.rand(115, 80, generator=rng) < 0.2
    lead = torch.where(cells, 1.0, -1.0).expand(6, 115, 80)
    voice = cells.float().expand(6, 1, 115, 80)
    yes = torch.ones(6, dtype=torch.bool)
    songs = np.array([0, 0, 1, 1, 2, 2])
    return cells, uses.Chosen(voice, songs, yes, yes, lead, voice, torch.zeros_like(voice))


def test_a_map_that_knows_the_voice_has_the_advantage(group):
    cells, excerpts = group
    detector = Listener(cells.float())
    noise = torch.rand(6, 115, 80, generator=torch.Generator().manual_seed(1))
    maps = {"slime": excerpts.lead, "loudness": -excerpts.lead, "gradient": noise}
    found = uses.try_maps(detector, excerpts, maps, torch.zeros(1), seed=0)
    knows, wrong, random = (found[name]["advantage"]["value"] for name in ("slime", "loudness", "gradient"))
    assert knows > 0.5 and wrong < -0.5 and random == pytest.approx(0, abs=0.05)
    assert abs(found["scattered"]["advantage"]["value"]) < 0.15
    assert found["slime"]["over_control"]["value"] == pytest.approx(
        knows - found["slime"]["rolled"]["advantage"]["value"]
    )
    # A fifth of the cells are the voice: three tenths hold it all, one tenth half of it, where the answer turns.
    sure = 1 / (1 + np.exp(-10))
    np.testing.assert_allclose(found["slime"]["keeping"], [1 - sure, 0.5, sure, sure, sure], atol=0.1)
    assert found["slime"]["answers_kept"][2:] == [1, 1, 1] and found["slime"]["answers_left"][2:] == [0, 0, 0]


def test_the_voice_is_found_by_the_map_that_knows_it(group):
    cells, excerpts = group
    noise = torch.rand(6, 115, 80, generator=torch.Generator().manual_seed(1))
    found = uses.try_voice(Listener(cells.float()), excerpts, {"slime": excerpts.lead, "gradient": noise}, seed=0)
    assert found["excerpts"] == 6 and found["voice_share"]["value"] == pytest.approx(cells.double().mean())
    auc = found["auc"]
    assert auc["slime"]["map"]["value"] == 1 and auc["slime"]["swapped"]["value"] == 1, "all excerpts are the same"
    for name, way in (("slime", "rolled"), ("gradient", "map"), ("gradient", "rolled")):
        assert auc[name][way]["value"] == pytest.approx(0.5, abs=0.03)
    answers = {name: entry["value"] for name, entry in found["answers"].items()}
    assert answers["mix"] == answers["voice"] > 0.99 and answers["band"] < 0.01
    assert found["band"]["voice"]["advantage"]["value"] > 0.5


def test_auc_is_that_of_the_evaluation_with_ties_and_without_a_voice():
    rng = np.random.default_rng(0)
    maps = torch.as_tensor(rng.integers(0, 5, (3, 115, 80)).astype(float))
    voice = torch.as_tensor(rng.random((3, 115, 80)) < 0.3)
    voice[2] = False
    found = uses.voice_auc(maps, voice)
    expected = [area_under_curve(maps[k].numpy().ravel(), voice[k].numpy().ravel()) for k in (0, 1)]
    np.testing.assert_allclose(found[:2], expected)
    assert np.isnan(found[2])


def test_agreement_is_spearmans_and_overlap_counts_cells(group):
    from scipy.stats import spearmanr

    rng = torch.Generator().manual_seed(5)
    a = torch.randn(4, 115, 80, generator=rng)
    maps = {"gradient": a, "slime": a + torch.randn(4, 115, 80, generator=rng), "loudness": -a}
    found = uses.compare_maps(maps, np.array([0, 1, 2, 3]))
    expected = np.mean([spearmanr(x.flatten(), y.flatten()).statistic for x, y in zip(a, maps["slime"], strict=True)])
    pair = found["gradient/slime"]
    assert pair["correlation"]["value"] == pytest.approx(expected, abs=1e-9)
    assert found["gradient/loudness"]["correlation"]["value"] == pytest.approx(-1)
    assert found["gradient/loudness"]["overlap"]["value"] == 0
    assert pair["chance_overlap"]["value"] == pytest.approx(0.1, abs=0.02)
    assert abs(pair["chance_correlation"]["value"]) < 0.02
    highest = [
        [set(np.argsort(-each.numpy().ravel())[:920].tolist()) for each in maps[k]] for k in ("gradient", "slime")
    ]
    both = [len(first & second) / 920 for first, second in zip(*highest, strict=True)]
    assert pair["overlap"]["value"] == pytest.approx(np.mean(both))
    alone = uses.compare_maps(maps, np.zeros(4, dtype=int))["gradient/slime"]
    assert np.isnan(alone["chance_correlation"]["value"])


def test_means_and_intervals_are_those_of_songs():
    songs = np.array([0, 0, 0, 1, 3])
    found = uses.over_songs(torch.tensor([1.0, 2.0, 3.0, 6.0, float("nan")]), songs)
    assert found["value"] == 4 and found["per_song"][:2] == [2, 6] and np.isnan(found["per_song"][2:]).all()
    low, high = found["ci95"]
    assert (low, high) == (2, 6)
    assert np.isnan(uses.over_songs(torch.ones(2), np.zeros(2, dtype=int))["ci95"]).all()
    gap = uses.difference({"per_song": [3.0, None, 5.0]}, {"per_song": [1.0, 2.0, 1.0]})
    assert gap["value"] == 3 and np.isnan(gap["per_song"][1])


def test_the_program_measures_the_packaged_weights(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(uses, "SHARES", (0.3,))
    out = tmp_path / "uses.json"
    options = ["--corpus", "synthetic:songs=3,seconds=5", "--per-answer", "1", "--device", "cpu", "--out", str(out)]
    assert uses.main(options) == 0
    found = json.loads(out.read_text())["corpora"][0]
    assert found["songs"] == 1 and found["shares"] == [0, 0.3, 1] and "finding the voice" in capsys.readouterr().out
    for answer in found["answers"].values():
        assert answer["excerpts"] == 1
        for row in answer["mean"].values():
            # The curves meet at their ends: all kept is nothing removed.
            assert row["keeping"][-1] == row["removing"][0] and row["keeping"][0] == row["removing"][-1]
        assert answer["mean"]["slime"]["keeping"][-1] == answer["whole"]["value"]


def test_stored_results_hold_every_map_and_name_no_place_on_a_disk():
    found = load_results("what_it_uses")
    names = [name for name in uses.MAP_TITLES if name != "voice"]
    for corpus in found["corpora"]:
        assert "/" not in corpus["corpus"]
        for answer in corpus["answers"].values():
            assert list(answer["mean"]) == ["scattered", *names]
            rows = [row for name, row in answer["mean"].items() if name != "scattered"]
            assert all(len(row["advantage"]["per_song"]) <= corpus["songs"] for row in rows)
    assert found["corpora"][0]["voice"]["auc"].keys() == set(names)
