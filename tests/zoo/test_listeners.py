"""Listeners that come with the package: each opens, and its inverters know more than the mean."""

import pytest
import torch

import svdlib
from svdlib.errors import InputError, WeightsError
from svdlib.inversion.nre import EvaluationPlan, evaluate_inverters
from svdlib.recipes import bank_of
from svdlib.tagger import loading
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import PACKAGED, pretrained
from svdlib.zoo.listeners import LISTENERS

DETECTORS = ("detector", "recurrent detector", "untrained detector")


@pytest.fixture(scope="module")
def songs():
    return svdlib.load_songs(svdlib.open_corpus("synthetic:songs=4,seconds=8,seed=5").tracks)


@pytest.mark.parametrize("name", DETECTORS)
def test_a_detector_opens_with_inverters_that_know_more_than_the_mean(name, songs):
    """Random weights are made anew, not stored: were they others than when the inverters learned, this would fail."""
    opened = svdlib.open_listener(name).to("cpu")
    assert opened.name == name and not opened.network.training
    bank = bank_of(songs, opened.network)
    for score in evaluate_inverters(opened.listener, opened.inverters, bank, EvaluationPlan(1, 4)).values():
        assert score.nre < score.mean_predictor
    assert opened.front.picture(bank.gather(torch.arange(1))[0]).shape == (115, 80)


def test_the_untrained_one_hears_on_the_detectors_scale_and_with_weights_of_its_own():
    detector, untrained = (svdlib.open_listener(name).network for name in ("detector", "untrained detector"))
    assert torch.equal(detector.standardizer.mean, untrained.standardizer.mean)
    assert not torch.equal(detector.out.weight, untrained.out.weight)


def test_random_weights_on_another_scale_are_another_listener():
    """So inverters that were made for the package's detector of another day are refused."""
    detector = pretrained("detector")
    before = untrained_like(detector).provenance
    detector.standardizer.mean += 0.1
    assert untrained_like(detector).provenance != before
    assert untrained_like(detector, 1).provenance != untrained_like(detector).provenance


def test_the_recurrent_detector_hears_singing(songs):
    """Better than chance, on songs of the kind that it learned from."""
    from svdlib.detector.prediction import predict
    from svdlib.detector.scores import area_under_curve

    network = svdlib.open_listener("recurrent detector").network
    areas = [
        area_under_curve(predict(network, song), sung) for song, sung in zip(songs.log_mels, songs.labels, strict=True)
    ]
    assert sum(areas) / len(areas) > 0.7


def test_the_tagger_opens_where_its_package_is(tagger):
    opened = svdlib.open_listener("music tagger")
    assert list(opened.inverters) == list(opened.listener.shapes)
    assert opened.front.frame_rate == 62.5 and len(opened.front.band_hz) == 96


def test_without_its_package_the_tagger_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(loading, "PACKAGE", "no-such-package-at-all")
    with pytest.raises(WeightsError, match="pip install --no-deps"):
        svdlib.open_listener("music tagger")


def test_another_name_is_refused():
    with pytest.raises(InputError, match=f"no listener 'dog'.*{', '.join(LISTENERS)}"):
        svdlib.open_listener("dog")


def test_their_files_are_small():
    assert sum(path.stat().st_size for path in PACKAGED.glob("*/*.safetensors")) < 3e6
