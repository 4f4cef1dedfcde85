import json
import re
import weakref
from functools import partial
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch

from benchmarks.measuring import in_fresh_process
from benchmarks.peak_memory import Song, hold, verbs, write_corpus
from svdlib.audio.files import load_audio
from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE
from svdlib.detector.model import LAYERS
from svdlib.detector.moments import Levels, excerpt_at, surest_singing
from svdlib.errors import AudioError, DeviceError
from svdlib.invert import _cut, describe, invert_song, match_level, write_inversion
from svdlib.zoo.checkpoints import pretrained

SOUNDS = {"input.wav", *(f"{layer}.wav" for layer in LAYERS)}
CENTRE = 2.0  # seconds


@pytest.fixture(scope="module")
def written(tmp_path_factory, melody):
    """One song inverted and written: its path, the inversion and the folder."""
    folder = tmp_path_factory.mktemp("invert")
    song = folder / "a $ong.flac"
    soundfile.write(song, melody, SAMPLE_RATE)
    inversion = invert_song(song, at=CENTRE, device="cpu")
    write_inversion(inversion, folder / "out")
    return SimpleNamespace(song=song, inversion=inversion, folder=folder / "out")


@pytest.fixture(scope="module")
def standardised(written):
    """The whole song as the detector sees it (frames, 80)."""
    return pretrained("detector").standardizer(LogMel()(load_audio(written.song)))


def test_figures_sounds_and_numbers_are_written_and_nothing_else(written):
    names = {path.name for path in written.folder.iterdir()}
    assert names == SOUNDS | {"inversions.png", "detector.png", "inversions.json"}


@pytest.mark.parametrize("name", ["inversions.png", "detector.png"])
def test_figures_are_large_enough_to_read(written, name):
    from matplotlib.image import imread

    height, width = imread(written.folder / name).shape[:2]
    assert width >= 1500 and height >= 500


def test_input_is_the_original_excerpt(written):
    samples, rate = soundfile.read(written.folder / "input.wav")
    start = round((CENTRE * 70 - 57) * 315)
    assert rate == SAMPLE_RATE and len(samples) == EXCERPT_SAMPLES
    np.testing.assert_allclose(samples, load_audio(written.song)[start : start + len(samples)], atol=1 / 32768)


def test_the_excerpt_of_a_resampled_song_is_that_of_the_whole(tmp_path):
    song = tmp_path / "song.wav"
    soundfile.write(song, np.random.default_rng(0).uniform(-0.3, 0.3, (200_000, 2)), 44100)
    inversion = invert_song(song, at=1.5, device="cpu")
    first = inversion.start_frame * 315
    np.testing.assert_array_equal(inversion.samples, load_audio(song)[first : first + EXCERPT_SAMPLES])
    assert inversion.input.base is None, "it does not hold the whole song"


def test_what_comes_before_an_excerpt_is_not_kept():
    alive = []

    def blocks():
        for number in range(50):
            block = np.full(1000, number, np.float32)
            alive.append(weakref.ref(block))
            yield block

    samples = _cut(blocks(), 10_500)
    assert samples[0] == 10 and samples[500] == 11 and len(samples) == EXCERPT_SAMPLES
    assert sum(each() is not None for each in alive) <= 1


@pytest.fixture(scope="module")
def three_hours(tmp_path_factory):
    """A song of three hours, and the command lines that are tried on it."""
    song, folder = Song(3 * 3600.0, "flac"), tmp_path_factory.mktemp("long") / "songs"
    return SimpleNamespace(song=song, verbs=verbs(song, folder, write_corpus(song, folder)))


@pytest.mark.slow
@pytest.mark.parametrize("verb", ["corpus build", "evaluate detector", "invert"])
def test_three_hours_take_less_than_a_gigabyte(tmp_path, three_hours, verb):
    held = in_fresh_process(partial(hold, three_hours.verbs[verb], tmp_path / "cache"), 1)
    assert held.code == 0, held.said
    assert three_hours.song.log_mel_bytes < held.bytes < 1e9


def test_inversions_are_as_loud_as_the_input_or_as_full_scale_allows(written):
    def level(samples):
        return np.sqrt(np.mean(samples**2))

    wanted = level(soundfile.read(written.folder / "input.wav")[0])
    for layer in LAYERS:
        samples, _ = soundfile.read(written.folder / f"{layer}.wav")
        assert len(samples) == EXCERPT_SAMPLES
        assert level(samples) == pytest.approx(wanted, rel=0.01) or np.abs(samples).max() > 0.99


def test_inversions_are_those_of_the_packaged_networks(written, standardised):
    detector = pretrained("detector")
    start = written.inversion.start_frame
    x = standardised[None, None, start : start + 115]
    with torch.no_grad():
        features = detector.features(x)
        for layer in LAYERS:
            x_hat = pretrained("inverter", layer=layer, variant="aligned")(features[layer])
            expected = (x_hat * detector.standardizer.std + detector.standardizer.mean)[0, 0]
            np.testing.assert_allclose(written.inversion.inversions[layer], expected, atol=1e-3)
            distance = np.linalg.norm((x - x_hat).numpy().astype(np.float64))
            assert written.inversion.distances[layer] == pytest.approx(distance, rel=1e-3)


def test_probability_is_the_median_of_what_the_detector_says_around_the_centre(written, standardised):
    start = written.inversion.start_frame
    around = [standardised[first : first + 115] for first in range(start - 28, start + 28)]
    with torch.no_grad():
        probabilities = torch.sigmoid(pretrained("detector")(torch.stack(around)[:, None]))[:, 0]
    assert written.inversion.probability == pytest.approx(float(probabilities.sort().values[28]), abs=1e-5)


def test_numbers_tell_song_place_distances_and_weights(written):
    numbers = json.loads((written.folder / "inversions.json").read_text())
    assert numbers["song"] == str(written.song)
    assert numbers["excerpt"] == {
        "start": pytest.approx(CENTRE - 57 / 70, abs=1e-3),
        "centre": pytest.approx(CENTRE, abs=1e-3),
        "end": pytest.approx(CENTRE - 57 / 70 + EXCERPT_SAMPLES / SAMPLE_RATE, abs=1e-3),
    }
    assert numbers["distance"] == written.inversion.distances
    assert numbers["threshold"] == pretrained("detector").threshold
    assert numbers["weights"].keys() == {"detector", *LAYERS}


def test_typical_distance_lies_among_distances_within_the_song(written, standardised):
    rng = np.random.default_rng(0)
    last = len(standardised) - 115
    pairs = rng.integers(0, last + 1, (200, 2))
    distances = [(standardised[a : a + 115] - standardised[b : b + 115]).norm() for a, b in pairs]
    assert written.inversion.typical_distance == pytest.approx(float(np.mean(distances)), rel=0.15)


def test_the_shortest_song_has_one_excerpt_and_no_typical_distance(song_file, melody):
    song = song_file(samples=melody[:EXCERPT_SAMPLES])
    inversion = invert_song(song, device="cpu")
    assert inversion.start_frame == 0
    numbers = describe(inversion)
    assert numbers["typical_distance"] is None
    json.dumps(numbers, allow_nan=False)


# --- which excerpt ---


def loud_then_silent(frames, silent_from):
    samples = np.ones(frames * 315 + 1024, dtype=np.float32)
    samples[silent_from * 315 :] = 1e-4
    return samples


def levels_of(samples, *cuts):
    levels = Levels()
    for _ in levels.watch(np.split(samples, cuts)):
        pass
    return levels


def test_the_surest_excerpt_is_taken():
    probabilities = np.zeros(1000)
    probabilities[400] = 0.9
    assert surest_singing(levels_of(loud_then_silent(1000, 1000)), probabilities) == 400 - 57


def test_edges_and_near_silence_are_left_aside():
    probabilities = np.zeros(1000)
    probabilities[[10, 300, 800, 990]] = 1.0, 0.6, 0.9, 1.0
    assert surest_singing(levels_of(loud_then_silent(1000, 700)), probabilities) == 300 - 57


def test_the_excerpt_at_a_time_has_its_centre_there():
    for start in (0, 1, 400, 885):
        assert excerpt_at("a.mp3", 1000, (start + 57) / 70) == start


@pytest.mark.parametrize("frames", [115, 116, 1000])
@pytest.mark.parametrize("at", [0.0, -1.0, 1e9, float("nan"), float("inf"), float("-inf")])
def test_times_out_of_range_are_refused_and_those_in_the_message_accepted(frames, at):
    with pytest.raises(AudioError, match="a.mp3: no excerpt has its centre at") as caught:
        excerpt_at("a.mp3", frames, at)
    earliest, latest = map(float, re.search(r"from ([\d.]+) to ([\d.]+) s", str(caught.value)).groups())
    assert excerpt_at("a.mp3", frames, earliest) == 0
    assert excerpt_at("a.mp3", frames, latest) in (frames - 115, frames - 116)


def test_song_and_device_are_checked(song_file, tmp_path):
    with pytest.raises(DeviceError, match="'cuda:99' is not there"):
        invert_song(song_file(), device="cuda:99")
    with pytest.raises(AudioError, match="missing.mp3: there is no such file"):
        invert_song(tmp_path / "missing.mp3")


# --- loudness ---


def test_level_is_matched():
    rng = np.random.default_rng(0)
    samples, reference = 0.01 * rng.standard_normal(1000), 0.1 * rng.standard_normal(500)
    matched = match_level(samples, reference)
    assert np.sqrt(np.mean(matched**2)) == pytest.approx(np.sqrt(np.mean(reference**2)))
    np.testing.assert_allclose(matched / matched[0], samples / samples[0])


def test_level_is_lowered_where_it_would_clip():
    samples = np.zeros(1000)
    samples[3] = 0.5
    assert np.abs(match_level(samples, np.full(100, 0.9))).max() == pytest.approx(1)


def test_silence_stays_silent():
    assert not match_level(np.zeros(10), np.ones(10)).any()
    assert not match_level(np.ones(10), np.zeros(10)).any()
