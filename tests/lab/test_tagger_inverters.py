import json

import numpy as np
import pytest
import torch

import svdlib
from svdlib.inversion.bank import TensorBank
from svdlib.inversion.encoder import Encoder
from svdlib.lab.studies import tagger_inverters
from svdlib.songs.corpora.base import Segment
from svdlib.tagger.model import LAYERS, MusicTagger, voice_contrast


class Song:
    """A track of noise, sung from its third second on."""

    segments = (Segment(0, 3, False), Segment(3, 9.2, True))

    def __init__(self, name):
        self.name = name

    def load(self):
        return np.random.default_rng(0).normal(0, 0.1, int(9.2 * 22050)).astype(np.float32)


def test_patches_know_their_song_and_how_much_of_them_is_sung():
    bank, sung = tagger_inverters.collect([Song("one"), Song("other")])
    assert bank.x.shape == (6, 1, 187, 96) and bank.groups.tolist() == [0, 0, 0, 1, 1, 1]
    # A patch takes 187 hops of 256 samples at 16 kHz, 2.992 s.
    np.testing.assert_allclose(sung[:3], [0, (5.984 - 3) / 2.992, 1], atol=1e-9)


class Perfect(torch.nn.Module):
    """Gives each feature the very patch that it came from."""

    def __init__(self, encoder, bank, layer):
        super().__init__()
        self.features, self.x = encoder.features(bank.x, layer)[layer], bank.x

    def forward(self, feature):
        nearest = torch.cdist(feature.flatten(1), self.features.flatten(1)).argmin(1)
        return self.x[nearest]


@torch.no_grad()
def test_an_inverter_that_makes_no_error_is_told_from_the_mean_predictor():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        tagger = MusicTagger().eval()
        x = torch.rand(6, 1, 187, 96) * torch.arange(1, 7).view(-1, 1, 1, 1)
    bank = TensorBank(x, [0, 0, 0, 1, 1, 1])
    encoder = Encoder(tagger, layers=LAYERS, example=x[:2])
    said = voice_contrast(tagger(x))
    sung = (said > said.median()).float().numpy()
    found = tagger_inverters.measure(encoder, tagger, {"pool4": Perfect(encoder, bank, "pool4")}, bank, sung)
    row = found["layers"]["pool4"]
    assert row["nre"] == pytest.approx(0, abs=1e-5) and row["mean_predictor"] > 0.3
    assert found["auc"] == row["auc"] == 1 and row["correlation"] == pytest.approx(1, abs=1e-4)
    assert found["clear_patches"] == 6 and found["patches"] == [3, 3]
    assert tagger_inverters.correlation_of(found, "pool4").value == pytest.approx(1, abs=1e-3)
    assert np.mean(row["error"]) == pytest.approx(row["nre"]) and np.mean(found["blind"]) > 0.3


def test_bands_that_are_never_read_are_told_from_the_others():
    bands = np.tile([1.0, 1.5], (4, 48))
    bands[0] *= 2
    measured = {"layers": {"pool1": {"bands": bands.tolist()}}}
    found = tagger_inverters.unread_excess(measured, "pool1")
    assert [found.value, *found.ends] == pytest.approx([0.5] * 3)
    measured["general"] = {"pool1": {"bands": np.ones((4, 96)).tolist()}}
    assert tagger_inverters.EXPECTATIONS[0].outcome(measured) == "fails", "a comb of the aligned inverter alone"


@torch.no_grad()
def test_errors_of_bands_are_shares_of_the_mean_patchs():
    """A painter that always paints the mean of the patches makes an error of 1 in every band."""

    class Mean(torch.nn.Module):
        def forward(self, feature):
            return x.mean(0, keepdim=True).expand(len(feature), -1, -1, -1)

    with torch.random.fork_rng():
        torch.manual_seed(0)
        tagger = MusicTagger().eval()
        x = torch.rand(6, 1, 187, 96) * torch.arange(1, 97)
    bank = TensorBank(x, [0, 0, 0, 1, 1, 1])
    encoder = Encoder(tagger, layers=("pool4",), example=x[:2])
    found = tagger_inverters.measure(encoder, tagger, {"pool4": Mean()}, bank, np.array([0.0, 1] * 3))
    np.testing.assert_allclose(np.mean(found["layers"]["pool4"]["bands"], axis=0), 1, rtol=1e-4)
    np.testing.assert_allclose(found["layers"]["pool4"]["error"], found["blind"], rtol=1e-5)
    assert tagger_inverters.share_of_blind(found, "pool4").value == pytest.approx(1)


@pytest.mark.slow
def test_the_study_trains_resumes_and_measures(tagger, tmp_path, capsys):
    corpus = "synthetic:songs=6,seconds=7"
    asked = ["--corpus", corpus, "--real", corpus, "--folder", str(tmp_path), "--objective", "input", "--json"]
    assert tagger_inverters.main([*asked, "--minutes", "0"]) == 0
    assert not json.loads(capsys.readouterr().out)["finished"]
    assert tagger_inverters.main([*asked, "--resume"]) == 0
    result = json.loads(capsys.readouterr().out)
    (measured,) = result["corpora"].values()
    assert result["finished"] and result["updates"] > 0 and list(measured["layers"]) == list(LAYERS)
    assert measured["layers"]["pool1"]["nre"] < measured["layers"]["pool1"]["mean_predictor"]
    assert list(svdlib.load_inverters(tmp_path)) == list(LAYERS)
    assert list(measured["general"]) == list(svdlib.load_inverters(tmp_path / "general")) == ["pool1"]
