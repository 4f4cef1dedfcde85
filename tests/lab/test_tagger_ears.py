"""The study that hands sounds over between tagger and detectors: what is compared with what, and its program."""

import copy
import json

import numpy as np
import pytest
import stand_ins
import torch

from svdlib.lab.studies import tagger_ears as study
from svdlib.zoo import listeners


def test_each_judge_is_compared_with_what_it_said_of_the_same_sound():
    """The tagger with the sound of a detector's input, detectors with that of a patch; chance takes the next song's."""
    rng = np.random.default_rng(0)
    said = {
        key: torch.from_numpy(rng.normal(size=6))
        for key in (
            ("input", "detected", study.TAGGER),
            ("input", "tagged", "detector"),
            ("detector", "fc8", study.TAGGER),
            (study.TAGGER, "pool1", "detector"),
            (study.RECORDED, "tagged", study.TAGGER),
            (study.RECORDED, "detected", "detector"),
        )
    }
    found = study._summed_up(said, songs=3, per_song=2)
    original = said["input", "detected", study.TAGGER].numpy()
    pictured = said["detector", "fc8", study.TAGGER].numpy()
    r = study.correlation_of(found, "detector", "fc8", study.TAGGER)
    assert r.value == pytest.approx(np.corrcoef(original, pictured)[0, 1])
    chance = study.correlation_of(found, "detector", "fc8", study.TAGGER, chance=True)
    assert chance.value == pytest.approx(np.corrcoef(original, np.roll(pictured, -2))[0, 1])
    pair = (said[key].numpy() for key in (("input", "tagged", "detector"), (study.TAGGER, "pool1", "detector")))
    assert study.correlation_of(found, study.TAGGER, "pool1", "detector").value == pytest.approx(
        np.corrcoef(*pair)[0, 1]
    )
    recorded = said[study.RECORDED, "tagged", study.TAGGER].numpy()
    assert study.recorded_of(found, study.TAGGER).value == pytest.approx(np.corrcoef(original, recorded)[0, 1])


@pytest.mark.slow
def test_the_program_hands_over_both_ways(tagger, tmp_path, monkeypatch, capsys):
    stand_ins.write_listeners(tmp_path)
    stand_ins.write_derived(tmp_path / "tagger", listeners.tagger_listener(copy.deepcopy(tagger)))
    monkeypatch.setattr(listeners, "PACKAGED", tmp_path)
    monkeypatch.setattr(study, "DEEP", {"detector": ("fc8",)})
    out = tmp_path / "ears.json"
    options = ["--corpus", "synthetic:songs=3,seconds=6", "--per-song", "2", "--out", str(out)]
    assert study.main(options) == 0
    assert "to music tagger: r" in capsys.readouterr().out
    (measured,) = json.loads(out.read_text())["corpora"].values()
    assert set(measured["listeners"]) == {*study.COMPARED, study.TAGGER}
    assert set(measured["listeners"][study.TAGGER]["pool5"]) == set(measured["recorded"]) - {study.TAGGER}
