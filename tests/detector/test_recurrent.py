import dataclasses

import numpy as np
import pytest
import tiny
import torch

import svdlib
from svdlib.audio.mel_axis import LOG_SILENCE
from svdlib.detector.architecture import CENTRE_FRAME
from svdlib.detector.model import SVDNet
from svdlib.detector.prediction import predict
from svdlib.detector.recurrent import ANSWERED, LAYERS, RecurrentDetector
from svdlib.detector.scores import area_under_curve
from svdlib.detector.segments import SEGMENT_FRAMES
from svdlib.detector.training import DetectorPlan, fit_detector
from svdlib.errors import LayerError, PlanError, TrainingError, WeightsError
from svdlib.recipes import train_detector
from svdlib.songs.loading import Songs
from svdlib.zoo.architectures import untrained_like
from svdlib.zoo.checkpoints import any_detector, load_detector, open_detector, save_weights

PLAN = DetectorPlan(epochs=2, steps_per_epoch=2, batch_size=2)


def new(seed=0):
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RecurrentDetector().eval()


def fit(folder=None, **options):
    chosen = {"plan": PLAN, "seed": 3, "architecture": RecurrentDetector} | options
    return fit_detector(tiny.songs(0, count=2, frames=150), tiny.songs(1, frames=130), folder=folder, **chosen)


# --- the network ---


def by_hand(lstm, frames):
    """One direction after the other, from the equations of Hochreiter & Schmidhuber with a forget gate."""

    def read(frames, ending):
        values = {
            name: getattr(lstm, f"{name}_l0{ending}") for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        }
        hidden = cell = torch.zeros(lstm.hidden_size)
        said = []
        for frame in frames:
            gates = values["weight_ih"] @ frame + values["bias_ih"] + values["weight_hh"] @ hidden + values["bias_hh"]
            enter, forget, candidate, leave = gates.chunk(4)
            cell = forget.sigmoid() * cell + enter.sigmoid() * candidate.tanh()
            hidden = leave.sigmoid() * cell.tanh()
            said.append(hidden)
        return torch.stack(said)

    return torch.cat([read(frames, ""), read(frames.flip(0), "_reverse").flip(0)], dim=1)


@torch.no_grad()
def test_an_excerpt_is_read_in_both_directions_and_answered_at_its_centre():
    detector, excerpt = new(), torch.randn(1, 1, 115, 80)
    x = excerpt[0, 0]
    for lstm in (detector.lstm1, detector.lstm2, detector.lstm3):
        x = by_hand(lstm, x)
    expected = detector.out.weight[0] @ x[57] + detector.out.bias[0]
    torch.testing.assert_close(detector(excerpt)[0, 0], expected, rtol=1e-4, atol=1e-5)


def test_every_layer_opens_with_an_encoder():
    detector, x = new(), torch.randn(2, 1, 115, 80)
    encoder = svdlib.Encoder(detector, layers=LAYERS, example=x)
    assert dict(encoder.shapes) == {"lstm1": (115, 256), "lstm2": (115, 128), "lstm3": (115, 64), "centre": (64,)}
    features = encoder.features(x, LAYERS)
    torch.testing.assert_close(features["centre"], features["lstm3"][:, 57])
    torch.testing.assert_close(detector.out(features["centre"]), detector(x))


def test_other_shapes_are_refused():
    with pytest.raises(LayerError, match=r"\(batch, 1, 115, 80\), not \(1, 1, 116, 80\)"):
        new()(torch.zeros(1, 1, 116, 80))


# --- songs ---


@torch.no_grad()
@pytest.mark.parametrize("frames", [1, 115, 280, 281, 900, 2500])
def test_a_song_is_answered_in_stretches_of_a_segment(frames):
    detector, song = new(), np.random.default_rng(frames).normal(-5, 2, (frames, 80)).astype(np.float32)
    found = predict(detector, song)
    padding = np.full((CENTRE_FRAME, 80), LOG_SILENCE, np.float32)
    padded = detector.standardizer(torch.from_numpy(np.concatenate([padding, song, padding])))
    expected, start = [], 0
    while start < frames:
        # A piece of 1024 frames is answered at once; in it, a stretch answers 280 frames.
        end = min(start + ANSWERED, frames, (start // 1024 + 1) * 1024)
        stretch = padded[start : end + 2 * CENTRE_FRAME]
        assert len(stretch) <= SEGMENT_FRAMES
        expected.append(torch.sigmoid(detector.frame_logits(stretch[None, None])[0, CENTRE_FRAME:-CENTRE_FRAME]))
        start = end
    np.testing.assert_allclose(found, torch.cat(expected), atol=1e-6)


@torch.no_grad()
def test_a_segment_is_scored_at_every_ninth_centre():
    detector, x = new(), torch.randn(2, 1, 151, 80)
    logits = detector.segment_logits(x)
    assert logits.shape == SVDNet().eval().segment_logits(x).shape
    torch.testing.assert_close(logits, torch.stack([detector.frame_logits(x)[:, 57 + 9 * k] for k in range(5)], dim=1))


# --- training ---


def striped(seed, count):
    """Songs of noise, sung in a half where some bands are louder."""
    rng = np.random.default_rng(seed)
    songs = Songs([], [], [])
    for number in range(count):
        sung = np.roll(np.arange(170) < 85, rng.integers(170))
        song = rng.normal(0, 1, (170, 80))
        song[sung, 30:50] += 3
        songs.log_mels.append(song.astype(np.float32))
        songs.labels.append(sung)
        songs.names.append(str(number))
    return songs


def test_it_learns_what_a_child_could_see():
    plan = DetectorPlan(epochs=1, steps_per_epoch=15, batch_size=4, learning_rate=3e-3)
    test = striped(2, 2)
    fitted = fit_detector(striped(0, 6), striped(1, 2), plan=plan, architecture=RecurrentDetector)
    curves = [predict(fitted.detector, song) for song in test.log_mels]
    assert area_under_curve(np.concatenate(curves), np.concatenate(test.labels)) > 0.95
    assert fitted.history[-1]["accuracy"] > 0.85


def test_a_run_that_stops_goes_on_as_if_it_had_not(tmp_path):
    whole = fit()
    stopped = fit(tmp_path, minutes=0)
    assert not stopped.finished
    again = fit(tmp_path, resume=True)
    assert again.finished and again.history == whole.history
    assert tiny.same_weights(again.detector, whole.detector)


def test_the_state_of_another_architecture_is_refused(tmp_path):
    fit(tmp_path, minutes=0)
    with pytest.raises(TrainingError, match="architecture"):
        fit(tmp_path, resume=True, architecture=SVDNet)


def test_it_goes_on_from_its_own_kind_alone():
    first = fit().detector
    assert not tiny.same_weights(fit(start=first, plan=dataclasses.replace(PLAN, epochs=1)).detector, first)
    with pytest.raises(TrainingError, match="A recurrent detector cannot go on from a detector"):
        fit(start=SVDNet())


def test_the_first_detector_can_teach_it():
    teacher = fit(architecture=SVDNet).detector
    assert not tiny.same_weights(fit(teachers=[teacher]).detector, fit().detector)


# --- files ---


def test_a_file_says_which_architecture_it_holds(tmp_path):
    detector = new(5)
    save_weights(tmp_path / "r.safetensors", detector, {"threshold": 0.25}, exact=True)
    loaded = load_detector(tmp_path / "r.safetensors")
    assert type(loaded) is RecurrentDetector and loaded.threshold == 0.25
    assert tiny.same_weights(loaded, detector)
    assert type(any_detector(tmp_path / "r.safetensors")) is RecurrentDetector and type(any_detector(None)) is SVDNet
    with pytest.raises(WeightsError, match="holds a recurrent detector, which lacks the layers conv1 to fc8"):
        open_detector(tmp_path / "r.safetensors")


def test_the_published_profile_is_that_of_the_paper_s_detector():
    with pytest.raises(PlanError, match="'published' trains the detector of the paper alone"):
        train_detector("synthetic:songs=6", profile="published", architecture="recurrent")
    with pytest.raises(PlanError, match="no architecture 'transformer'"):
        train_detector("synthetic:songs=6", architecture="transformer")


# --- a control ---


@pytest.mark.parametrize("kind", [SVDNet, RecurrentDetector])
def test_an_untrained_detector_hears_the_same_excerpts_and_has_weights_of_its_own(kind):
    trained = fit(architecture=kind).detector
    before = torch.get_rng_state()
    one, again, other = (untrained_like(trained, seed) for seed in (1, 1, 2))
    assert torch.equal(torch.get_rng_state(), before)
    assert type(one) is kind and not one.training and one.threshold == trained.threshold
    assert torch.equal(one.standardizer.mean, trained.standardizer.mean)
    assert tiny.same_weights(one, again) and not tiny.same_weights(one, other)
    assert not tiny.same_weights(one, trained)
