"""Listeners with their inverters are opened by name: from files made here, and those that the package holds."""

import pytest
import stand_ins
import torch

import svdlib
from svdlib.detector.prediction import predict
from svdlib.detector.recurrent import LAYERS
from svdlib.detector.scores import area_under_curve
from svdlib.errors import InputError, WeightsError
from svdlib.inversion.nre import EvaluationPlan, evaluate_inverters, reconstruct
from svdlib.recipes import bank_of
from svdlib.tagger import loading
from svdlib.zoo import listeners
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import PACKAGED, TRAININGS, pretrained

SHIPPED = [path.name for path in sorted(PACKAGED.iterdir()) if path.is_dir() and path.name not in TRAININGS]
NAMES = {"recurrent": "recurrent detector", "untrained": "untrained detector", "tagger": "music tagger"}


@pytest.fixture
def packaged(tmp_path, monkeypatch):
    """A package with listeners that nobody has trained."""
    stand_ins.write_listeners(tmp_path)
    monkeypatch.setattr(listeners, "PACKAGED", tmp_path)
    return tmp_path


@pytest.fixture(scope="module")
def songs():
    return svdlib.load_songs(svdlib.open_corpus("synthetic:songs=4,seconds=8,seed=5").tracks)


def test_detectors_open_with_inverters_of_their_own(packaged, songs):
    layers = {"recurrent detector": LAYERS, "untrained detector": stand_ins.CONTROL_LAYERS}
    for name, wanted in layers.items():
        opened = svdlib.open_listener(name).to("cpu")
        assert opened.name == name and not opened.network.training and tuple(opened.inverters) == wanted
        x = bank_of(songs, opened.network).gather(torch.arange(2))
        pictures = reconstruct(opened.listener, opened.inverters, x)  # refuses those of another network
        assert {picture.shape for picture in pictures.values()} == {x.shape}
        assert opened.front.picture(x[0]).shape == (115, 80)


def test_the_detector_opens_with_its_aligned_inverters():
    opened = svdlib.open_listener("detector")
    assert tuple(opened.inverters) == svdlib.LAYERS and opened.listener is opened.network


def test_inverters_of_random_weights_go_with_no_others(packaged, monkeypatch):
    opened = svdlib.open_listener("untrained detector")
    monkeypatch.setattr(listeners, "UNTRAINED_SEED", 1)
    other, x = svdlib.open_listener("untrained detector"), torch.zeros(1, 1, 115, 80)
    with pytest.raises(WeightsError, match="trained for another detector"):
        reconstruct(other.listener, opened.inverters, x)


def test_the_untrained_one_hears_on_the_detectors_scale_and_with_weights_of_its_own(packaged):
    detector, untrained = pretrained("detector"), svdlib.open_listener("untrained detector").network
    assert torch.equal(detector.standardizer.mean, untrained.standardizer.mean)
    filters = [each.state_dict()["layers.conv2.0.weight"] for each in (detector, untrained)]
    assert not torch.allclose(*filters)


def test_random_weights_on_another_scale_are_another_listener():
    """So inverters that were made for the package's detector of another day are refused."""
    detector = pretrained("detector")
    before = untrained_like(detector).provenance
    assert untrained_like(detector).provenance == before != untrained_like(detector, 1).provenance
    detector.standardizer.mean += 0.1
    assert untrained_like(detector).provenance != before


def test_the_tagger_opens_where_its_package_is(tagger, packaged):
    stand_ins.write_derived(packaged / "tagger", listeners.tagger_listener(tagger))
    opened = svdlib.open_listener("music tagger")
    assert list(opened.inverters) == list(opened.listener.shapes)
    assert opened.front.frame_rate == 62.5 and len(opened.front.band_hz) == 96


def test_without_its_package_the_tagger_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(loading, "PACKAGE", "no-such-package-at-all")
    with pytest.raises(WeightsError, match="pip install --no-deps"):
        svdlib.open_listener("music tagger")


def test_weights_that_are_not_there_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(listeners, "PACKAGED", tmp_path)
    for name in ("recurrent", "untrained"):
        with pytest.raises(WeightsError, match=f"no weights of the {name} listener.*CONTRIBUTING.md"):
            svdlib.open_listener(f"{name} detector")


def test_another_name_is_refused():
    with pytest.raises(InputError, match=f"no listener 'dog'.*{', '.join(listeners.LISTENERS)}"):
        svdlib.open_listener("dog")


# --- what the package holds ---


def test_every_folder_of_weights_is_that_of_a_listener():
    assert set(SHIPPED) <= set(NAMES)
    assert sum(path.stat().st_size for path in PACKAGED.rglob("*.safetensors")) < 15e6


@pytest.mark.parametrize("folder", [name for name in SHIPPED if name != "tagger"])
def test_shipped_inverters_know_more_than_the_mean(folder, songs):
    """Random weights are made anew, not stored: were they others than when the inverters learned, this would fail."""
    opened = svdlib.open_listener(NAMES[folder])
    bank = bank_of(songs, opened.network)
    for layer, score in evaluate_inverters(opened.listener, opened.inverters, bank, EvaluationPlan(1, 4)).items():
        # Those that were to give their own feature back have paid for it, and the mean is that of these very songs.
        assert score.nre < score.mean_predictor or layer in ("lstm3", "centre")
    x = bank.gather(bank.spread(48))
    for layer, inverter in opened.inverters.items():
        with torch.no_grad():
            feature = opened.listener.features(x, layer)[layer]
            of_another = inverter(feature.roll(len(x) // len(songs.names), 0))
            assert svdlib.nre(x, inverter(feature)) < 0.97 * svdlib.nre(x, of_another), layer
    if folder == "recurrent":
        areas = map(area_under_curve, (predict(opened.network, song) for song in songs.log_mels), songs.labels)
        assert sum(areas) / len(songs.labels) > 0.7
