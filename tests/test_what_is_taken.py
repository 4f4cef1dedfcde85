"""What a newcomer passes to the public names: it works, or a sentence says what to pass."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

import svdlib
from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.errors import AudioError, CorpusError, InputError


@pytest.fixture(scope="module")
def detector():
    return svdlib.pretrained("detector")


@pytest.fixture
def excerpts(detector, melody):
    return detector.standardizer(svdlib.LogMel()(melody))[None, None, :115]


def test_samples_of_soundfile_go_all_the_way(song_file, detector):
    samples, rate = soundfile.read(song_file())
    assert samples.dtype == np.float64 and rate == SAMPLE_RATE
    log_mel = detector.standardizer(svdlib.LogMel()(samples))
    assert detector.predict_song(log_mel).dtype == torch.float32
    features = detector.features(log_mel[None, None, :115], ["mp6"])
    assert svdlib.pretrained("inverter", layer="mp6")(features["mp6"]).shape == (1, 1, 115, 80)


def test_a_layer_may_stand_alone(detector, excerpts):
    (name,) = found = detector.features(excerpts, "mp6")
    assert name == "mp6" and torch.equal(found["mp6"], detector.features(excerpts, ["mp6"])["mp6"])
    assert detector.check_layers("mp6") == ("mp6",)


@pytest.mark.parametrize("kind", [lambda x: x.double(), lambda x: x.numpy(), lambda x: x.double().numpy()])
def test_networks_take_arrays_and_double_precision(detector, excerpts, kind):
    song = excerpts[0, 0]
    assert torch.equal(detector(kind(excerpts)), detector(excerpts))
    assert torch.equal(detector.predict_song(kind(song)), detector.predict_song(song))
    torch.testing.assert_close(detector.standardizer(kind(song)).float(), detector.standardizer(song))
    feature = detector.features(excerpts, "mp6")["mp6"].detach()
    inverter = svdlib.pretrained("inverter", layer="mp6")
    assert torch.equal(inverter(kind(feature)), inverter(feature))


def test_double_precision_keeps_its_gradients(detector, excerpts):
    x = excerpts.double().requires_grad_()
    detector(x).sum().backward()
    assert x.grad.dtype == torch.float64 and x.grad.abs().sum() > 0


def test_a_path_names_a_folder_of_songs(song_folder):
    root = song_folder(3)
    by_path, by_name = svdlib.open_corpus(root), svdlib.open_corpus(f"folder:{root}")
    assert [track.name for track in by_path.tracks] == [track.name for track in by_name.tracks]


@pytest.mark.parametrize("name", [None, 3, ["synthetic"], b"synthetic"])
def test_what_names_no_corpus(name):
    with pytest.raises(CorpusError, match="the corpora are 'synthetic'"):
        svdlib.open_corpus(name)


@pytest.mark.parametrize("song", [None, np.zeros(50000), ["song.wav"], 3])
def test_what_names_no_sound_file(song):
    for read in (svdlib.load_audio, svdlib.invert_song):
        with pytest.raises(AudioError, match="named by its path, not by a value of type"):
            read(song)


@pytest.mark.parametrize("at", [2.0, 2, np.float32(2), "2.0", torch.tensor(2.0)])
def test_times_of_an_excerpt(song_file, at):
    assert svdlib.invert_song(song_file(), at=at).centre == pytest.approx(2, abs=0.01)


@pytest.mark.parametrize("at", [[2.0, 3.0], "soon", Path("2.0")])
def test_what_is_no_time(song_file, at):
    with pytest.raises(AudioError, match="is no time; give one number of seconds"):
        svdlib.invert_song(song_file(), at=at)


def test_one_time_for_the_explorer(song_file):
    pytest.importorskip("anywidget")
    svdlib.explore(song_file(), at=2.0)
    with pytest.raises(AudioError, match="named by its path"):
        svdlib.explore([0.0, 0.1])


@pytest.mark.parametrize("value", [3, None, b"x", [], torch.zeros(2)], ids=lambda value: type(value).__name__)
def test_what_is_no_path_is_told_by_its_kind(value):
    for call in (
        svdlib.load_audio,
        svdlib.load_detector,
        svdlib.load_inverters,
        svdlib.load_lasagne,
        lambda path: svdlib.save_audio(path, np.zeros(4)),
    ):
        with pytest.raises(svdlib.SvdlibError, match=f"not by a value of type {type(value).__name__}; give the path"):
            call(value)


def test_songs_are_loaded_from_tracks_and_learned_from_when_loaded(song_folder):
    corpus = svdlib.open_corpus(song_folder(3))
    for value in ("synthetic", corpus, 3, [*corpus.tracks, "song"]):
        with pytest.raises(CorpusError, match=r"\.tracks, or one of its parts"):
            svdlib.load_songs(value)
        with pytest.raises(CorpusError, match="what svdlib.load_songs returns"):
            svdlib.fit_detector(value, value)


def test_the_error_of_single_numbers_is_refused():
    for x in (3, np.zeros(3)):
        with pytest.raises(InputError, match="stack the inputs"):
            svdlib.nre(x, x)
