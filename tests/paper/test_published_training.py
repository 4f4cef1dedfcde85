"""Training as published: what a batch holds, how the run goes, and predictions averaged over transpositions."""

from dataclasses import replace

import numpy as np
import pytest
import tiny
import torch

from svdlib.audio.log_mel import LogMel
from svdlib.audio.spectra import compress, magnitude_spectra, mel_magnitudes, pack, unpack
from svdlib.audio.standardizer import Standardizer
from svdlib.detector.prediction import predict, predict_averaged
from svdlib.detector.scores import area_under_curve
from svdlib.detector.training import DetectorPlan, fit_detector
from svdlib.errors import CorpusError, InputError, TrainingError
from svdlib.paper.augmentation import ALL_SEVEN, NO_AUGMENTATION, PublishedAugmentation
from svdlib.paper.training import PublishedPlan, SpectrumBatches
from svdlib.songs.corpora import open_corpus
from svdlib.songs.loading import Songs, load_songs, with_spectra
from svdlib.zoo.profiles import DETECTOR_PROFILES

PLAN = PublishedPlan(
    epochs=3, steps_per_epoch=2, batch_size=3, learning_rate=1e-3, decay_every=2, augmentation=ALL_SEVEN
)


def songs(seed=0, count=2, frames=130, sung_level=1.0):
    """Songs of noisy spectra, sung in their second half, where they are louder by a factor."""
    rng = np.random.default_rng(seed)
    labels = [np.arange(frames) >= frames // 2 for _ in range(count)]
    spectra = [
        pack(torch.from_numpy(rng.uniform(0.5, 1.5, (frames, 513)) * np.where(label, sung_level, 1.0)[:, None]))
        for label in labels
    ]
    log_mels = [compress(mel_magnitudes(unpack(torch.from_numpy(song)))).numpy() for song in spectra]
    return Songs(log_mels, labels, [str(index) for index in range(count)], spectra=spectra)


def fit(folder=None, **options):
    chosen = {"plan": PLAN, "seed": 3} | options
    return fit_detector(songs(), tiny.songs(1, frames=130), folder=folder, **chosen)


@pytest.fixture(scope="module")
def unbroken():
    return fit()


def batches(given, **strengths):
    plan = replace(PLAN, batch_size=400, augmentation=replace(NO_AUGMENTATION, **strengths))
    return SpectrumBatches(given, plan, torch.device("cpu"))


def chance():
    return torch.Generator().manual_seed(0)


# --- batches ---


def test_a_batch_holds_unchanged_excerpts_with_the_labels_of_their_centres():
    given = songs(frames=118)
    given.labels[0][57:61] = [True, False, True, False]
    excerpts, sung = batches(given).draw(Standardizer(), chance())
    assert excerpts.shape == (400, 1, 115, 80) and sung.shape == (400, 1)
    for song, log_mel in enumerate(given.log_mels):
        for start in range(4):
            expected = torch.from_numpy(log_mel[start : start + 115])
            same = [row for row in range(400) if torch.allclose(excerpts[row, 0], expected, atol=1e-4)]
            assert same, "each of the eight excerpts is drawn"
            assert {sung[row, 0].item() for row in same} == {float(given.labels[song][start + 57])}


def test_beyond_the_ends_of_a_song_there_is_silence_not_the_next_song():
    given = songs(count=3, frames=115)
    cut = batches(given, stretch=0.3)._cut(torch.tensor([1]))[0]
    assert len(cut) == 165 and (cut[:25] == 0).all() and (cut[-25:] == 0).all()
    torch.testing.assert_close(cut[25:-25], unpack(torch.from_numpy(given.spectra[1])))


def test_what_is_mixed_in_is_not_sung_and_the_label_stays():
    """Sung frames are a thousand times as loud: an excerpt with a sung centre that was mixed in would show."""
    given = songs(frames=250, sung_level=1000.0)
    plain, mixed = batches(given), batches(given, mixing=0.5)
    loud = compress(torch.tensor(100.0))
    for source in (plain, mixed):
        excerpts, sung = source.draw(Standardizer(), chance())
        centre_is_loud = excerpts[:, 0, 57].mean(1) > loud
        assert torch.equal(centre_is_loud, sung[:, 0] == 1) and 50 < centre_is_loud.sum() < 350
    _, before = plain.draw(Standardizer(), chance())
    after, labels = mixed.draw(Standardizer(), chance())
    assert torch.equal(before, labels)
    assert not torch.equal(after, plain.draw(Standardizer(), chance())[0])


def test_songs_without_spectra_or_without_anything_to_mix_in_are_refused():
    with pytest.raises(CorpusError, match="with_spectra"):
        fit_detector(tiny.songs(0, frames=150), tiny.songs(1), plan=PLAN)
    always = songs(frames=120)
    for label in always.labels:
        label[20:] = True
    with pytest.raises(CorpusError, match="Set mixing to 0"):
        batches(always, mixing=0.5)
    with pytest.raises(CorpusError, match="as many frames"):
        replace(songs(), spectra=songs(frames=129).spectra)


# --- the run ---


def test_the_profile_is_the_published_combination():
    plan = DETECTOR_PROFILES["published"]
    assert plan.batch_size == 32 and plan.epochs * plan.steps_per_epoch == 40_000
    assert plan.augmentation == PublishedAugmentation(0.3, 0.3, 10.0, 0, 0, 0, 0)


def test_step_sizes_fall_as_each_plan_says():
    plan = replace(PublishedPlan(), learning_rate=1.0)
    assert [plan.rate(updates) for updates in (0, 1999, 2000, 4000)] == pytest.approx([1, 1, 0.85, 0.85**2])
    cosine = DetectorPlan(epochs=2, steps_per_epoch=5, learning_rate=1.0)
    assert [cosine.rate(updates) for updates in (0, 5, 10)] == pytest.approx([1, 0.5, 0])


def test_the_steps_are_nesterovs():
    """v' = m v + g; w' = w - rate (g + m v'), by hand on w squared, from w = 1."""
    weight = torch.nn.Parameter(torch.ones(1))
    optimiser = PublishedPlan(learning_rate=0.1, momentum=0.5).optimiser([weight])
    expected, speed = 1.0, 0.0
    for _ in range(4):
        optimiser.zero_grad()
        (weight**2).sum().backward()
        optimiser.step()
        gradient = 2 * expected
        speed = 0.5 * speed + gradient
        expected -= 0.1 * (gradient + 0.5 * speed)
        assert weight.item() == pytest.approx(expected, rel=1e-5)


def test_a_detector_learns_through_the_published_augmentation():
    """Sung frames are three times as loud; pitch, tempo and filters change at random, and it still learns to tell."""
    plan = PublishedPlan(epochs=1, steps_per_epoch=25, batch_size=8, learning_rate=0.01)
    fitted = fit_detector(songs(0, 4, 400, 3.0), songs(1, 1, 200, 3.0), plan=plan, seed=0)
    test = songs(2, 1, 400, 3.0)
    parts = np.r_[70:170, 230:330]  # away from the ends, which see silence, and from where the singing begins
    scores = predict(fitted.detector, test.log_mels[0])[parts]
    assert area_under_curve(scores, test.labels[0][parts]) > 0.95


def test_the_last_network_is_kept_whatever_its_validation_loss(unbroken):
    best = min(range(3), key=lambda epoch: unbroken.history[epoch]["validation"])
    valid = tiny.songs(1, frames=130)
    scores, sung = predict(unbroken.detector, valid.log_mels[0]), valid.labels[0]
    loss = -np.mean(np.log(np.where(sung, scores, 1 - scores)))
    assert loss == pytest.approx(unbroken.history[-1]["validation"], rel=1e-5)
    assert unbroken.best_epoch["best_epoch"] == 3
    assert replace(unbroken, keeps_best=True).best_epoch["best_epoch"] == best + 1


def test_a_stopped_run_goes_on_to_the_same_weights(unbroken, tmp_path, monkeypatch):
    """Stopped in the middle of the second epoch, when momentum has built up."""
    from svdlib.detector import training as detector_training

    def two_updates_and_ctrl_c(steps, description, **_):
        for step in steps:
            if "epoch 2" in description and step == 1:
                raise KeyboardInterrupt
            yield step

    updates = detector_training._Run.updates

    def updates_with_states(run):
        for _ in updates(run):
            run.state.save(*run.pack())
            yield

    with monkeypatch.context() as patched:
        patched.setattr(detector_training, "progress", two_updates_and_ctrl_c)
        patched.setattr(detector_training._Run, "updates", updates_with_states)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path)
    resumed = fit(tmp_path, resume=True)
    assert resumed.history == unbroken.history and resumed.detector.threshold == unbroken.detector.threshold
    assert tiny.same_weights(resumed.detector, unbroken.detector)
    with pytest.raises(TrainingError, match="another run: plan differ"):
        fit(tmp_path, resume=True, plan=replace(PLAN, augmentation=NO_AUGMENTATION))


# --- spectra of a corpus ---


def test_spectra_of_a_corpus_fit_its_log_mels_and_come_from_the_cache(tmp_path):
    tracks = open_corpus("synthetic:songs=3,seconds=5,seed=3").split("train")
    plain = load_songs(tracks, cache_dir=tmp_path)
    first = with_spectra(plain, tracks, cache_dir=tmp_path)
    for packed, log_mel in zip(first.spectra, plain.log_mels, strict=True):
        assert packed.dtype == np.float16
        found = compress(mel_magnitudes(unpack(torch.from_numpy(packed))))
        np.testing.assert_allclose(found.numpy(), log_mel, atol=2e-3)
    silent = [replace(track, load=lambda: pytest.fail("rendered again")) for track in tracks]
    again = with_spectra(plain, silent, cache_dir=tmp_path)
    assert all(map(np.array_equal, first.spectra, again.spectra))


# --- averaging over transpositions ---


def test_without_a_shift_the_average_is_the_prediction(melody):
    expected = predict(tiny.detector(), LogMel()(melody).numpy())
    np.testing.assert_allclose(predict_averaged(tiny.detector(), melody, (0.0,)), expected, atol=1e-5)


def test_the_average_is_that_of_the_transposed_songs(melody):
    one_by_one = [predict_averaged(tiny.detector(), melody, (shift,)) for shift in (-0.2, 0.1)]
    both = predict_averaged(tiny.detector(), melody, (-0.2, 0.1))
    np.testing.assert_allclose(both, np.mean(one_by_one, axis=0), atol=1e-6)
    assert np.abs(one_by_one[0] - one_by_one[1]).max() > 1e-3
    assert both.shape == (len(magnitude_spectra(melody)),) and both.dtype == np.float32


@pytest.mark.parametrize("shifts", [(), (0.1, -1.0)])
def test_shifts_that_make_no_sense_are_refused(melody, shifts):
    with pytest.raises(InputError, match="above -1"):
        predict_averaged(tiny.detector(), melody, shifts)
