import copy
import dataclasses
import os
import signal

import numpy as np
import pytest
import tiny
import torch

import svdlib.detector.training as detector_training
from svdlib.audio.standardizer import Standardizer
from svdlib.compute.run_state import STATE_FILE
from svdlib.compute.storage import load_state
from svdlib.detector.augmentation import Augmentation
from svdlib.detector.distillation import Teachers
from svdlib.detector.prediction import predict
from svdlib.detector.scores import area_under_curve, best_threshold, detector_scores, smooth
from svdlib.detector.training import DetectorPlan, fit_detector
from svdlib.errors import CorpusError, OutputError, PlanError, TrainingError
from svdlib.songs.loading import Songs

PLAN = DetectorPlan(epochs=3, steps_per_epoch=2, batch_size=2)


def fit(folder=None, **options):
    chosen = {"plan": PLAN, "seed": 3} | options
    train, valid = tiny.songs(0, count=2, frames=150), tiny.songs(1, frames=130)
    return fit_detector(train, valid, folder=folder, **chosen)


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """A run from start to end, and its folder."""
    folder = tmp_path_factory.mktemp("unbroken")
    return fit(folder), folder


def assert_same_run(one, other):
    assert one.history == other.history and one.detector.threshold == other.detector.threshold
    assert tiny.same_weights(one.detector, other.detector)


# --- what is learnt ---


def striped_songs(seed, count):
    """Songs of noise; every other one is sung from start to end, with a stripe of louder bands."""
    rng = np.random.default_rng(seed)
    labels = [np.full(124, index % 2 == 0) for index in range(count)]
    log_mels = []
    for sung in labels:
        song = rng.normal(0, 1, (124, 80))
        song[sung, 30:50] += 3
        log_mels.append(song.astype(np.float32))
    return Songs(log_mels, labels, [str(index) for index in range(count)])


def test_a_detector_learns_what_a_child_could_see():
    train, valid, test = striped_songs(0, 6), striped_songs(1, 2), striped_songs(2, 4)
    plan = DetectorPlan(2, steps_per_epoch=6, batch_size=6, learning_rate=2e-4, augmentation=Augmentation(0, 0, 0))
    fitted = fit_detector(train, valid, plan=plan)
    middle = slice(40, 84)  # the ends see the silence around the song
    scores = np.concatenate([predict(fitted.detector, song)[middle] for song in test.log_mels])
    truth = np.concatenate([label[middle] for label in test.labels])
    assert area_under_curve(scores, truth) > 0.99
    assert fitted.history[-1]["training"] < fitted.history[0]["training"]
    assert fitted.finished and not fitted.detector.training


def test_the_detector_carries_the_standardisation_of_its_training_songs(unbroken):
    pooled = np.concatenate(tiny.songs(0, count=2, frames=150).log_mels)
    standardizer = unbroken[0].detector.standardizer
    np.testing.assert_allclose(standardizer.mean.numpy(), pooled.mean(0), atol=1e-5)
    np.testing.assert_allclose(standardizer.std.numpy(), pooled.std(0), rtol=1e-4)


def test_what_is_kept_belongs_to_the_lowest_validation_loss(unbroken):
    fitted, valid = unbroken[0], tiny.songs(1, frames=130)
    scores, sung = predict(fitted.detector, valid.log_mels[0]), valid.labels[0]
    loss = -np.mean(np.log(np.where(sung, scores, 1 - scores)))
    assert loss == pytest.approx(min(epoch["validation"] for epoch in fitted.history), rel=1e-5)
    assert fitted.detector.threshold == best_threshold([smooth(scores)], [sung])[0]


def test_the_same_seed_gives_the_same_run_and_another_seed_another(unbroken):
    assert_same_run(fit(), unbroken[0])
    assert not tiny.same_weights(fit(seed=4).detector, unbroken[0].detector)


def test_training_leaves_torchs_own_chance_alone():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(plan=dataclasses.replace(PLAN, epochs=1))
    assert torch.equal(torch.rand(3), expected)


def test_watched_songs_are_measured_after_every_epoch_and_choose_nothing(unbroken):
    watched = tiny.songs(2, count=2, frames=140)
    watched.labels[1][:] = True  # of one class: in the pooled area, but without one of its own
    fitted = fit(watched=watched)
    assert tiny.same_weights(fitted.detector, unbroken[0].detector)
    assert [{k: v for k, v in each.items() if "watched" not in k} for each in fitted.history] == unbroken[0].history
    best = fitted.history[fitted.best_epoch["best_epoch"] - 1]
    curves = [smooth(predict(fitted.detector, song)) for song in watched.log_mels]
    pooled = detector_scores(curves, watched.labels, fitted.detector.threshold)
    assert best["watched_accuracy"] == pytest.approx(pooled["accuracy"])
    assert best["watched_auc"] == pytest.approx(pooled["auc"])
    assert best["watched_mean_auc"] == pytest.approx(area_under_curve(curves[0], watched.labels[0]))
    assert fitted.best_epoch["best_watched_auc"] == best["watched_auc"]
    assert fitted.curve["watched_auc"] == [round(each["watched_auc"], 4) for each in fitted.history]


def test_songs_of_one_class_have_no_area_and_a_curve_without_it():
    watched = tiny.songs(2, frames=140)
    watched.labels[0][:] = False
    fitted = fit(watched=watched, plan=dataclasses.replace(PLAN, epochs=1))
    assert set(fitted.curve) == {"training", "validation", "accuracy", "watched_accuracy"}


def test_a_curve_has_gaps_where_songs_were_not_watched(unbroken):
    fitted, _ = unbroken
    later = dataclasses.replace(fitted, history=[*fitted.history, fitted.history[-1] | {"watched_auc": 0.75}])
    assert later.curve["watched_auc"] == [None] * 3 + [0.75] and len(later.curve["training"]) == 4


# --- averaging, precision, and where a run starts ---


def weights_after_each_update(monkeypatch, **options):
    """The learning network's first weights after each update, and the averaged network's."""
    seen, averaged = [], []
    update = detector_training._Run._update

    def watched(run, generator):
        update(run, generator)
        seen.append(next(run.detector.parameters()).detach().clone())
        averaged.append(next(run.judged.parameters()).detach().clone())

    with monkeypatch.context() as patched:
        patched.setattr(detector_training._Run, "_update", watched)
        fit(**options)
    return seen, averaged


def test_averaged_weights_are_the_running_mean_of_the_updates(monkeypatch):
    plan = dataclasses.replace(PLAN, averaging=0.2)
    seen, averaged = weights_after_each_update(monkeypatch, plan=plan)
    expected = None
    for number, weights in enumerate(seen, start=1):
        kept = min(0.2, number / (number + 9))
        if expected is not None:
            expected = kept * expected + (1 - kept) * weights
            torch.testing.assert_close(averaged[number - 1], expected, atol=1e-6, rtol=0)
        else:
            expected = averaged[0]
    assert not torch.equal(seen[-1], averaged[-1])


def test_without_averaging_the_network_itself_is_judged(monkeypatch):
    seen, judged = weights_after_each_update(monkeypatch)
    assert all(torch.equal(one, other) for one, other in zip(seen, judged, strict=True))


def test_an_averaged_run_that_is_broken_off_goes_on_to_the_same_result(tmp_path):
    plan = dataclasses.replace(PLAN, averaging=0.9)
    unbroken = fit(plan=plan)
    assert not fit(tmp_path, plan=plan, minutes=0).finished
    assert_same_run(fit(tmp_path, plan=plan, resume=True), unbroken)


@pytest.mark.parametrize("averaging", [-0.1, 1.0])
def test_averaging_must_be_a_share(averaging):
    with pytest.raises(PlanError, match="from 0 to below 1"):
        dataclasses.replace(PLAN, averaging=averaging)


def test_bfloat16_learns_nearly_the_same_and_says_so(unbroken):
    fitted = fit(precision="bfloat16")
    assert fitted.precision == "bfloat16" and unbroken[0].precision == "float32"
    assert not tiny.same_weights(fitted.detector, unbroken[0].detector)
    for exact, rounded in zip(unbroken[0].history, fitted.history, strict=True):
        assert rounded["training"] == pytest.approx(exact["training"], rel=0.05)
    assert all(value.dtype == torch.float32 for value in fitted.detector.parameters())


def test_a_run_of_another_precision_is_another_run(tmp_path):
    fit(tmp_path, plan=dataclasses.replace(PLAN, epochs=1))
    with pytest.raises(TrainingError, match="precision"):
        fit(tmp_path, plan=dataclasses.replace(PLAN, epochs=1), precision="bfloat16", resume=True)


def test_a_run_can_start_from_a_trained_detector(unbroken, tmp_path):
    """Its standardisation comes along: other songs would shift what it has learnt to hear."""
    trained = unbroken[0].detector
    still = dataclasses.replace(PLAN, epochs=1, steps_per_epoch=1, learning_rate=1e-12)
    other = tiny.songs(8, count=2, frames=150)
    started = fit_detector(other, tiny.songs(1, frames=130), plan=still, start=trained, folder=tmp_path).detector
    torch.testing.assert_close(started.standardizer.mean, trained.standardizer.mean, atol=0, rtol=0)
    for one, two in zip(started.parameters(), trained.parameters(), strict=True):
        torch.testing.assert_close(one, two, atol=1e-6, rtol=0)
    with pytest.raises(TrainingError, match="start"):
        fit_detector(other, tiny.songs(1, frames=130), plan=still, start=started, folder=tmp_path, resume=True)
    with pytest.raises(TrainingError, match="start"):
        fit_detector(other, tiny.songs(1, frames=130), plan=still, folder=tmp_path, resume=True)


# --- teachers ---


def test_teachers_answers_are_blended_with_the_labels_each_heard_by_its_own_standardisation():
    one, other = copy.deepcopy(tiny.detector()), copy.deepcopy(tiny.detector())
    other.standardizer.mean.fill_(2.0)
    other.standardizer.std.fill_(3.0)
    log_mels = torch.randn(2, 1, 133, 80, generator=torch.Generator().manual_seed(0))
    standardizer = Standardizer()
    standardizer.mean.fill_(-1.0)
    targets = torch.tensor([[0.02, 0.98, 0.02], [0.98, 0.98, 0.02]])
    blended = Teachers([one, other], torch.device("cpu")).blend(targets, standardizer(log_mels), standardizer)
    with torch.no_grad():
        answers = [each.segment_logits(each.standardizer(log_mels)).sigmoid() for each in (one, other)]
    torch.testing.assert_close(blended, (targets + (answers[0] + answers[1]) / 2) / 2, atol=1e-5, rtol=0)


def test_without_teachers_the_labels_are_the_targets():
    targets = torch.rand(2, 3)
    assert Teachers([], torch.device("cpu")).blend(targets, torch.zeros(2, 1, 133, 80), Standardizer()) is targets


def test_a_network_learns_what_its_teacher_says(unbroken):
    """From the same start, by the same batches, of one that hears singing everywhere and of one that hears none."""
    plan = dataclasses.replace(PLAN, epochs=1, steps_per_epoch=10)  # one epoch, so that none is chosen
    song, answers = tiny.songs(1, frames=130).log_mels[0], []
    for bias in (4.0, -4.0):
        teacher = copy.deepcopy(unbroken[0].detector)
        with torch.no_grad():
            teacher.out[-1].bias.fill_(bias)
        fitted = fit(plan=plan, start=unbroken[0].detector, teachers=[teacher])
        answers.append(float(predict(fitted.detector, song).mean()))
    assert answers[0] > answers[1] + 0.2


def test_a_run_with_other_teachers_is_another_run(unbroken, tmp_path):
    fit(tmp_path, teachers=[unbroken[0].detector])
    with pytest.raises(TrainingError, match="teachers"):
        fit(tmp_path, teachers=[tiny.detector()], resume=True)
    with pytest.raises(TrainingError, match="teachers"):
        fit(tmp_path, resume=True)


# --- stopping and going on ---


def test_ctrl_c_stops_in_good_order_and_the_run_goes_on(unbroken, tmp_path, monkeypatch):
    def progress_with_ctrl_c(steps, description, **_):
        for step in steps:
            if "epoch 2" in description:
                os.kill(os.getpid(), signal.SIGINT)
            yield step

    with monkeypatch.context() as patched:
        patched.setattr(detector_training, "progress", progress_with_ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            fit(tmp_path)
    resumed = fit(tmp_path, resume=True)
    assert_same_run(resumed, unbroken[0])


def test_a_run_stopped_after_every_update_goes_on_to_the_same_weights(unbroken, tmp_path):
    resumed, calls = fit(tmp_path, minutes=0), 1
    assert not resumed.finished and not resumed.history
    while not resumed.finished:
        resumed, calls = fit(tmp_path, resume=True, minutes=0), calls + 1
    assert calls >= PLAN.epochs * PLAN.steps_per_epoch
    assert_same_run(resumed, unbroken[0])
    (one, meta), (other, other_meta) = (load_state(each / STATE_FILE) for each in (tmp_path, unbroken[1]))
    assert meta == other_meta and one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_an_earlier_run_is_not_overwritten(unbroken):
    with pytest.raises(TrainingError, match=f"{STATE_FILE} holds an earlier run"):
        fit(unbroken[1])


OTHER_PLAN = dataclasses.replace(PLAN, augmentation=Augmentation(0, 0, 0))


@pytest.mark.parametrize(("change", "named"), [({"seed": 4}, "seed"), ({"plan": OTHER_PLAN}, "plan")])
def test_a_state_of_other_settings_is_refused(unbroken, change, named):
    with pytest.raises(TrainingError, match=f"{STATE_FILE} belongs to another run: {named} differ"):
        fit(unbroken[1], resume=True, **change)


@pytest.mark.parametrize(("other", "named"), [("train", "training_songs"), ("valid", "validation_songs")])
def test_a_state_of_other_songs_of_the_same_length_is_refused(unbroken, other, named):
    songs = {"train": tiny.songs(0, count=2, frames=150), "valid": tiny.songs(1, frames=130)}
    count = len(songs[other].names)
    songs[other] = tiny.songs(9, count=count, frames=len(songs[other].log_mels[0]))
    with pytest.raises(TrainingError, match=f"another run: {named} differ"):
        fit_detector(songs["train"], songs["valid"], plan=PLAN, seed=3, folder=unbroken[1], resume=True)


def test_a_damaged_state_is_named(unbroken, tmp_path):
    (tmp_path / STATE_FILE).write_bytes((unbroken[1] / STATE_FILE).read_bytes()[:5000])
    with pytest.raises(TrainingError, match=f"{tmp_path / STATE_FILE} is damaged"):
        fit(tmp_path, resume=True)


# --- bad input ---


@pytest.mark.parametrize("sung", [True, False])
def test_songs_of_one_class_teach_nothing(sung):
    songs = tiny.songs(0, frames=150)
    one_class = Songs(songs.log_mels, [np.full(150, sung)], songs.names)
    with pytest.raises(CorpusError, match="only one class"):
        fit_detector(one_class, songs, plan=PLAN)


def test_songs_shorter_than_an_excerpt_are_refused():
    with pytest.raises(CorpusError, match="115 frames"):
        fit_detector(tiny.songs(0, frames=114), tiny.songs(1), plan=PLAN)


@pytest.mark.parametrize("split", ["training", "validation"])
def test_nan_in_the_spectrograms_stops_the_run(split):
    songs = {"training": tiny.songs(0, frames=150), "validation": tiny.songs(1, frames=130)}
    songs[split].log_mels[0][60:90, 3] = np.nan
    with pytest.raises(TrainingError, match="finite"):
        fit_detector(*songs.values(), plan=PLAN)


def test_an_unwritable_folder_is_found_before_any_training(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setattr(detector_training._Run, "_update", lambda *_: pytest.fail("trained before it could save"))
    with pytest.raises(OutputError, match="file"):
        fit(tmp_path / "file" / "run")
