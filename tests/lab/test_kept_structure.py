"""The study of what inversions keep: painters whose answer is known, the pairs of chance, and its program."""

import json

import numpy as np
import pytest
import tiny
import torch
from torch import nn

from svdlib.detector.model import LAYERS
from svdlib.lab.studies import kept_structure, load_results
from svdlib.lab.studies.kept_structure import draw_excerpts, kept, measure, partners

AGREEMENTS = tuple(kept_structure.AGREEMENTS)


class Painter(nn.Module):
    """Knows the excerpt, since Conv1 of this detector passes it on, and spoils it as it is told."""

    def __init__(self, spoil):
        super().__init__()
        self.spoil = spoil

    def forward(self, feature):
        x = torch.zeros(len(feature), 1, 115, 80)
        x[:, :, 1:-1, 1:-1] = feature[:, :1]
        return self.spoil(x)


@pytest.fixture(scope="module")
def passing():
    """A detector whose first filter hands on the excerpt without its border, all values being positive."""
    detector = tiny.SVDNet().eval()
    with torch.no_grad():
        for parameter in detector.layers["conv1"].parameters():
            parameter.zero_()
        detector.layers["conv1"][0].weight[0, 0, 1, 1] = 1
    detector.threshold = 0.5
    return detector


def test_partners_are_excerpts_of_the_next_song():
    songs = np.array([0, 0, 0, 1, 2, 2])
    assert partners(songs).tolist() == [3, 3, 3, 4, 0, 1]
    assert partners(np.zeros(3, dtype=int)).tolist() == [1, 2, 0], "another excerpt, if there is one song only"


def test_every_song_gives_the_same_number_of_excerpts():
    bank = tiny.bank(count=3)
    drawn = draw_excerpts(bank, 12, seed=0)
    assert np.bincount(bank.songs[drawn]).tolist() == [4, 4, 4] and len(set(drawn.tolist())) == 12
    assert torch.equal(drawn, draw_excerpts(bank, 12, seed=0)) and not torch.equal(drawn, draw_excerpts(bank, 12, 1))


def test_a_copy_keeps_everything_and_a_still_picture_nothing():
    x = torch.randn(12, 115, 80, generator=torch.Generator().manual_seed(0))
    songs = np.repeat(np.arange(3), 4)
    copy, still = kept(x, x, songs, 3), kept(x, x.mean(dim=1, keepdim=True).expand_as(x), songs, 3)
    for name in AGREEMENTS:
        assert copy[name]["mean"] == pytest.approx(1) and len(copy[name]["per_song"]) == 3
        assert abs(copy[name]["chance"]) < 0.7 and copy[name]["above_chance_ci95"][0] > 0.2
    for octave, entry in copy["modulation_energy"].items():
        assert entry["mean"] == pytest.approx(1)
        assert copy["modulation_match"][octave]["mean"] == pytest.approx(1)
        assert abs(copy["modulation_match"][octave]["chance"]) < 0.2
        assert still["modulation_energy"][octave]["mean"] == still["modulation_match"][octave]["mean"] == 0
    assert still["onset_match"]["mean"] == still["onset_f_measure"]["mean"] == 0
    assert still["harmonic_match"]["mean"] > 0, "its lines stand where the mean of the original's stand"


def test_a_painter_that_lifts_what_is_sung_shows_the_class(passing, monkeypatch):
    monkeypatch.setattr(kept_structure, "CLASS_LAYERS", ("conv1",))
    monkeypatch.setattr(kept_structure, "SHARED_EXCERPTS", {})
    monkeypatch.setattr(kept_structure, "NEIGHBOUR_EXCERPTS", 24)
    bank = tiny.bank(count=3, level=20)
    sung_of = {}
    all_of_it = torch.arange(len(bank))
    for excerpt, sung in zip(bank.gather(all_of_it), bank.labels(all_of_it), strict=True):
        sung_of[round(float(excerpt[0, 50, 40]), 4)] = bool(sung)

    def lift(x):
        up = torch.tensor([sung_of[round(float(picture[0, 50, 40]), 4)] for picture in x])
        x[..., 40:] += torch.where(up, 5.0, -5.0)[:, None, None, None]
        return x

    families = {"published": {"conv1": Painter(lambda x: x)}, "aligned": {"conv1": Painter(lift)}}
    found = measure(passing, families, bank, excerpts=18, seed=0)
    by_family = found["class_dependence"]["label"]["conv1"]
    assert by_family["aligned"]["high_minus_low"]["auc"] == 1
    assert by_family["published"]["high_minus_low"]["auc"] < 0.9
    assert found["layers"]["conv1"]["excerpts"] == found["excerpts"] == 18
    assert found["neighbours"]["layers"]["input"]["same_class"]["chance"] == pytest.approx(0.5, abs=0.05)


def test_the_program_measures_the_packaged_families(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(kept_structure, "NEIGHBOUR_EXCERPTS", 24)
    out = tmp_path / "kept.json"
    corpora = ["synthetic:songs=4,seconds=5", "synthetic:songs=3,seconds=5,seed=1"]
    assert kept_structure.main(["--corpus", *corpora, "--excerpts", "8", "--device", "cpu", "--out", str(out)]) == 0
    result = json.loads(out.read_text())
    assert "fc8, aligned" in capsys.readouterr().out
    assert list(result["corpora"]) == corpora
    for found in result["corpora"].values():
        assert set(found["layers"]) == set(LAYERS)
        assert found["layers"]["conv1"]["aligned"]["harmonic_match"]["mean"] > 0.8
        assert found["layers"]["conv1"]["excerpts"] == -(-found["layers"]["fc8"]["excerpts"] // 4), "every fourth"


def test_the_stored_results_have_what_the_book_and_the_claims_read():
    result = load_results("kept_structure")
    assert {"synthetic", "folder:real_songs"} <= set(result["corpora"])
    for found in result["corpora"].values():
        assert found["excerpts"] >= 1900
        for layer in LAYERS:
            for family in kept_structure.FAMILIES:
                for name in AGREEMENTS:
                    entry = found["layers"][layer][family][name]
                    assert len(entry["per_song"]) == len(entry["chance_per_song"]) == found["songs"]
                    known = [value for value in entry["per_song"] if value is not None]
                    assert entry["mean"] == pytest.approx(np.mean(known), abs=2e-4)
                    assert entry["above_chance"] == pytest.approx(entry["mean"] - entry["chance"], abs=2e-4)
                    low, high = entry["ci95"]
                    assert low <= entry["mean"] <= high
        for truth in ("label", "decision"):
            areas = found["class_dependence"][truth]["fc8"]["aligned"]
            assert 0 <= areas["high_minus_low"]["auc"] <= 1 and 0 <= areas["spectral_centroid"]["auc"] <= 1
