"""The studies: their scores against scikit-learn and by hand, and both programs on tiny songs."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import tiny
import torch
from sklearn.metrics import roc_auc_score, roc_curve

from svdlib.audio.standardizer import Standardizer
from svdlib.detector.augmentation import Augmentation
from svdlib.detector.prediction import predict
from svdlib.detector.scores import THRESHOLDS, best_threshold, error_rates, roc_points, smooth
from svdlib.detector.training import DetectorPlan
from svdlib.errors import CorpusError, TrainingError
from svdlib.lab.analysis.intervals import pooled_intervals
from svdlib.lab.analysis.song_counts import SCORES, count_songs, pooled_scores
from svdlib.lab.figures.detector import figure_reliability, figure_roc
from svdlib.lab.studies import (
    RESULTS,
    as_json,
    detector_ablation,
    label_of,
    load_results,
    real_singing,
    training_of,
    unheard_split,
    write_results,
)
from svdlib.lab.studies.detector_ablation import Configuration
from svdlib.recipes import evaluate_detector
from svdlib.songs.loading import Songs
from svdlib.zoo.checkpoints import load_detector, pretrained, save_weights

SYNTHETIC = "synthetic:songs=3,seconds=5,seed=3"
PLAN = DetectorPlan(epochs=1, steps_per_epoch=1, batch_size=2)


def labelled(lengths=(300, 200, 250), seed=0):
    """Predictions that know something of their labels; coarse, so that there are ties."""
    rng = np.random.default_rng(seed)
    truth = [np.repeat(rng.random(length // 50) < 0.5, 50) for length in lengths]
    for label in truth:
        label[:50], label[50:100] = True, False
    predictions = [np.clip(rng.normal(0.3 + 0.4 * label, 0.2), 0, 1).round(2) for label in truth]
    return predictions, truth


def songs_of(truth):
    return Songs([np.zeros((len(label), 80)) for label in truth], truth, [f"song{k}" for k in range(len(truth))])


def steady(values):
    """A curve of 100 frames per value, so long that smoothing changes nothing but the borders."""
    return np.repeat(np.array(values, dtype=float), 100)


HALVES = np.repeat([True, False], 100)


# --- curves and error rates ---


@pytest.mark.parametrize("seed", range(5))
def test_a_thinned_roc_stays_close_to_the_whole_one(seed):
    rng = np.random.default_rng(seed)
    truth = rng.random(3000) < 0.4
    predictions = rng.normal(truth, 1)
    false_rate, true_rate = roc_points(predictions, truth)
    whole = roc_curve(truth, predictions)
    assert 50 < len(false_rate) <= 101
    assert set(zip(false_rate, true_rate, strict=True)) <= set(zip(*whole[:2], strict=True))
    assert (false_rate[0], true_rate[0], false_rate[-1], true_rate[-1]) == (0, 0, 1, 1)
    assert np.trapezoid(true_rate, false_rate) == pytest.approx(roc_auc_score(truth, predictions), abs=2e-3)


def test_a_short_roc_is_kept_whole_and_one_class_has_none():
    truth = np.array([True, False, True])
    false_rate, true_rate = roc_points(np.array([0.9, 0.5, 0.1]), truth)
    assert false_rate.tolist() == [0, 0, 1, 1] and true_rate.tolist() == [0, 0.5, 0.5, 1]
    assert all(not len(rate) for rate in roc_points(np.ones(3), np.ones(3, dtype=bool)))


def test_error_rates_by_hand():
    truth = np.array([True, True, True, True, False, False])
    assert error_rates(np.array([0.9, 0.8, 0.7, 0.2, 0.6, 0.5]), truth, 0.5) == (0.5, 0.25)
    false_positives, false_negatives = error_rates(np.array([0.9, 0.1]), np.ones(2, dtype=bool), 0.5)
    assert np.isnan(false_positives) and false_negatives == 0.5


# --- scores over songs ---


def slow_scores(predictions, truth, threshold):
    """The same scores from the frames themselves."""
    pooled, sung = np.concatenate(predictions), np.concatenate(truth)
    return {
        "mean_song_auc": np.mean([roc_auc_score(y, p) for p, y in zip(predictions, truth, strict=True)]),
        "auc": roc_auc_score(sung, pooled),
        "accuracy": np.mean((pooled > threshold) == sung),
        "majority_accuracy": max(np.mean(sung), np.mean(~sung)),
        "best_common_accuracy": max(np.mean((pooled > cut) == sung) for cut in THRESHOLDS),
    }


@pytest.mark.parametrize("seed", range(4))
def test_scores_from_counts_are_those_of_the_frames(seed):
    predictions, truth = labelled(seed=seed)
    counts = count_songs(predictions, truth, 0.45)
    assert pooled_scores(counts) == pytest.approx(slow_scores(predictions, truth, 0.45))
    # A song that is drawn twice is as if it were there twice.
    drawn = [0, 0, 2]
    expected = slow_scores([predictions[k] for k in drawn], [truth[k] for k in drawn], 0.45)
    assert pooled_scores(counts, np.array([2, 0, 1])) == pytest.approx(expected)


def test_scores_of_many_draws_at_once_are_those_of_each():
    counts, rng = count_songs(*labelled((300, 200, 250, 200)), 0.5), np.random.default_rng(0)
    weights = np.stack([np.bincount(rng.integers(0, 4, 4), minlength=4) for _ in range(20)])
    together, apart = pooled_scores(counts, weights), [pooled_scores(counts, each) for each in weights]
    for score in SCORES:
        np.testing.assert_allclose(together[score], [each[score] for each in apart])


def test_intervals_come_from_the_songs():
    predictions, truth = labelled((200, 200, 200, 200))
    counts = count_songs(predictions, truth, 0.5)
    found, scores = pooled_intervals(counts), pooled_scores(counts)
    assert {score: each.value for score, each in found.items()} == scores and set(scores) == set(SCORES)
    accuracies, drawn = counts.right / 200, np.random.default_rng(0).integers(0, 4, (1000, 4))
    expected = np.quantile(accuracies[drawn].mean(axis=1), [0.025, 0.975])
    assert found["accuracy"].ends == pytest.approx(expected), "songs of the same length"
    assert pooled_intervals(counts) == found
    same = count_songs(predictions[:1] * 4, truth[:1] * 4, 0.5)
    for each in pooled_intervals(same).values():
        assert each.ends == pytest.approx((each.value, each.value))
    assert not pooled_intervals(count_songs(predictions[:1], truth[:1], 0.5))["auc"].is_known


@pytest.mark.parametrize(
    ("curves", "auc", "accuracy"),
    [([1, 0], 1, 1), ([0, 1], 0, 0), ([0.7, 0.7], 0.5, 0.5)],
    ids=["perfect", "inverted", "constant"],
)
def test_known_detectors(curves, auc, accuracy):
    result = real_singing.score([steady(curves)] * 2, songs_of([HALVES, HALVES]), 0.5)
    pooled = result["pooled"]
    assert pooled["auc"]["value"] == pooled["mean_song_auc"]["value"] == pytest.approx(auc, abs=0.01)
    assert pooled["accuracy"]["value"] == pytest.approx(accuracy, abs=0.02)  # smoothing blurs the border
    assert pooled["majority_accuracy"]["value"] == 0.5
    assert result["songs"][0]["auc"] == pytest.approx(auc, abs=0.01)


def test_each_song_may_be_right_in_itself_while_one_threshold_fails():
    curves, truth = [steady([0.9, 0.6]), steady([0.4, 0.1])], [HALVES, HALVES]
    result = real_singing.score(curves, songs_of(truth), 0.5)
    assert result["pooled"]["mean_song_auc"]["value"] == pytest.approx(1, abs=0.01)
    assert result["pooled"]["auc"]["value"] == pytest.approx(0.75, abs=0.01)
    assert result["pooled"]["best_common_accuracy"]["value"] == pytest.approx(0.75, abs=0.01)
    loud, soft = result["songs"]
    assert (loud["false_positive_rate"], loud["false_negative_rate"]) == (1, 0)
    assert (soft["false_positive_rate"], soft["false_negative_rate"]) == (0, 1)
    assert 0.6 <= loud["best_threshold"] < 0.9 and loud["best_accuracy"] == pytest.approx(1, abs=0.01)


def test_a_song_of_one_class_has_no_auc_and_is_named():
    truth = [HALVES, np.ones(200, dtype=bool)]
    result = as_json(real_singing.score([steady([1, 0]), steady([0.9, 0.8])], songs_of(truth), 0.5))
    assert result["songs"][1]["auc"] is None and result["songs"][1]["false_positive_rate"] is None
    assert result["songs"][1]["roc"] == {"false_positive_rate": [], "true_positive_rate": []}
    assert result["pooled"]["songs_without_auc"] == ["song1"]
    assert result["pooled"]["mean_song_auc"]["value"] == result["songs"][0]["auc"]
    json.dumps(result, allow_nan=False)
    assert "no AUC: song1" in real_singing.describe(result)


def test_each_number_is_from_smoothed_predictions_but_the_calibration():
    predictions, truth = labelled((400, 300))
    result = real_singing.score(predictions, songs_of(truth), 0.5)
    smoothed = [smooth(prediction) for prediction in predictions]
    for song, curve, label in zip(result["songs"], smoothed, truth, strict=True):
        assert song["auc"] == pytest.approx(roc_auc_score(label, curve))
        assert song["accuracy"] == pytest.approx(np.mean((curve > 0.5) == label))
        assert (song["best_threshold"], song["best_accuracy"]) == best_threshold([curve], [label])
        assert song["seconds"] == pytest.approx(len(label) / 70) and song["sung"] == pytest.approx(label.mean())
    squares = (np.concatenate(predictions) - np.concatenate(truth)) ** 2
    assert result["calibration"]["brier"] == pytest.approx(np.mean(squares))
    assert result["pooled"]["best_common_threshold"] == best_threshold(smoothed, truth)[0]


# --- spectral balance ---


def heard_before(mean, deviation):
    training = Standardizer()
    training.mean.copy_(torch.as_tensor(mean).expand(80))
    training.std.copy_(torch.as_tensor(deviation).expand(80))
    return training


def test_shifted_noise_is_out_of_balance_by_its_shift():
    # Half of the frames at 1, half at 5: mean 3 and deviation 2, in two songs of unequal length.
    songs = [np.ones((300, 80)), np.concatenate([np.ones((100, 80)), np.full((400, 80), 5.0)])]
    found = real_singing.spectral_balance(songs, heard_before(torch.where(torch.arange(80) < 20, 4.0, 2.0), 3.0))
    assert found["shift"] == pytest.approx([-0.5] * 20 + [0.5] * 60)
    assert found["mean_absolute"] == pytest.approx(0.5) and found["deviation_ratio"] == pytest.approx(1.5)
    # Alone, the songs lie at 1 and 4.2: from 4 and 2 in the 20 and 60 bands.
    assert found["songs"] == pytest.approx([(20 * 3 + 60 * 1) / 80 / 2, (20 * 0.2 + 60 * 2.2) / 80 / 2])
    noise = np.random.default_rng(0).normal(0, 2, (20_000, 80))
    shifted = real_singing.spectral_balance([noise + 1], heard_before(0.0, 2.0))
    np.testing.assert_allclose(shifted["shift"], 0.5, atol=0.04)
    assert real_singing.spectral_balance([noise], Standardizer.fit([noise]))["mean_absolute"] == 0


def test_balance_is_that_of_all_frames_in_double_precision_silent_ones_too():
    rng = np.random.default_rng(1)
    silence = np.full((80, 80), np.log(1e-7))
    songs = [rng.normal(-6, rng.uniform(1, 3, 80), (frames, 80)).astype(np.float32) for frames in (200, 310)]
    songs[1] = np.concatenate([songs[1], silence]).astype(np.float32)
    mean, deviation = rng.normal(-6, 1, 80), rng.uniform(1, 3, 80)
    frames = np.concatenate(songs).astype(np.float64)
    own = np.sqrt(np.mean((frames - frames.mean(0)) ** 2, axis=0))
    expected = [(frames[:, band].mean() - mean[band]) / own[band] for band in range(80)]
    found = real_singing.spectral_balance(songs, heard_before(mean, deviation))
    np.testing.assert_allclose(found["shift"], expected, atol=1e-5)
    assert found["mean_absolute"] == pytest.approx(sum(map(abs, expected)) / 80, abs=1e-5)
    assert found["deviation_ratio"] == pytest.approx(np.mean(deviation / own), rel=1e-5)
    # A louder recording moves all bands to one side, and only the mean.
    louder = real_singing.spectral_balance([song + 2 for song in songs], heard_before(mean, deviation))
    np.testing.assert_allclose(np.subtract(louder["shift"], found["shift"]), 2 / own, atol=1e-5)


def test_balance_needs_a_frame():
    with pytest.raises(CorpusError, match="no frame"):
        real_singing.spectral_balance([], Standardizer())


def test_measuring_gives_the_balance_against_the_first_detector():
    songs = tiny.songs(count=2, frames=150)
    first, second = pretrained("detector"), pretrained("detector")
    second.standardizer.mean += 1
    result = as_json(real_singing.measure([first, second], songs))
    expected = real_singing.spectral_balance(songs.log_mels, first.standardizer)
    assert result["balance"] == as_json(expected)
    assert f"spectral balance: {expected['mean_absolute']:.3f} deviations" in real_singing.describe(result)


# --- the programs ---


def test_several_detectors_are_averaged(tmp_path):
    songs = tiny.songs(count=2, frames=150)
    paths = []
    for number, threshold in enumerate((0.3, 0.7)):
        network = tiny.detector() if number else pretrained("detector")
        paths.append(tmp_path / f"{number}.safetensors")
        save_weights(paths[-1], network, {"threshold": threshold})
    networks = [load_detector(path) for path in paths]
    averaged = real_singing.average_predictions(networks, songs)
    by_hand = (predict(networks[0], songs.log_mels[1]) + predict(networks[1], songs.log_mels[1])) / 2
    np.testing.assert_allclose(averaged[1], by_hand, rtol=1e-5)
    assert real_singing.measure(networks, songs)["threshold"] == pytest.approx(0.5)


def test_the_study_of_a_folder_agrees_with_svdlib_evaluate(song_folder, tmp_path, capsys):
    root = song_folder(3)
    (root / "songs.csv").write_text("file,artist,licence,seconds\nsong1,Somebody,CC BY,4\n", encoding="utf-8")
    out = tmp_path / "results" / "out.json"
    arguments = ["--corpus", f"folder:{root}", "--device", "cpu", "--json", "--out", str(out)]
    assert real_singing.main(arguments) == 0
    result = json.loads(capsys.readouterr().out)
    assert result == json.loads(out.read_text(encoding="utf-8"))
    assert (result["corpus"], result["split"]) == ("folder:songs", "all") and str(tmp_path) not in out.read_text()
    assert [song["credits"] for song in result["songs"]] == [None, {"artist": "Somebody", "licence": "CC BY"}, None]
    scores = evaluate_detector(f"folder:{root}", device="cpu", split="all")
    assert list(scores["per_song"]) == [song["name"] for song in result["songs"]] == ["song0", "song1", "song2"]
    for song in result["songs"]:
        assert song["auc"] == pytest.approx(scores["per_song"][song["name"]]["auc"], abs=1e-5)
        assert song["accuracy"] == pytest.approx(scores["per_song"][song["name"]]["accuracy"], abs=1e-5)
    assert result["pooled"]["accuracy"]["value"] == pytest.approx(scores["accuracy"], abs=1e-5)
    assert result["detectors"] == [pretrained("detector").provenance]


def test_mistakes_on_the_command_line_are_one_sentence(capsys, tmp_path):
    assert real_singing.main(["--corpus", f"folder:{tmp_path / 'nowhere'}"]) == 2
    assert "there is no such folder" in capsys.readouterr().err
    assert detector_ablation.main(["--folder", str(tmp_path)]) == 2
    assert "--real" in capsys.readouterr().err


@pytest.fixture(scope="module")
def ablation(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ablation")
    table = (
        Configuration("base", seeds=(0, 1)),
        Configuration("no augmentation", {"augmentation": Augmentation(0, 0, 0)}, seeds=(0,)),
        Configuration("too many songs", songs=1),
    )

    def run(plan=PLAN, **options):
        options = {"folder": folder, "out": folder / "out.json", "configurations": table, "device": "cpu"} | options
        return detector_ablation.study(SYNTHETIC, real=SYNTHETIC, plan=plan, **options)

    return folder, run, run()


def test_configurations_are_trained_scored_and_kept(ablation):
    folder, _, result = ablation
    assert [entry["name"] for entry in result["configurations"]] == ["base", "no augmentation"]
    base, other = result["configurations"]
    assert (base["seeds"], len(base["detectors"]), other["average"], result["updates"]) == ([0, 1], 2, None, 1)
    names = [row["name"] for row in detector_ablation.table(result)]
    assert names == ["base, seed 0", "base, seed 1", "base, average of 2", "no augmentation"]
    assert json.loads((folder / "out.json").read_text()) == result and base["precision"] == "float32"
    assert all(name in detector_ablation.describe(result) for name in names)
    json.dumps(result, allow_nan=False)


def test_a_part_is_held_against_the_base_of_its_own_seed(ablation):
    base, other = ablation[2]["configurations"]
    found = detector_ablation.against_base(ablation[2], "accuracy")
    expected = other["detectors"][0]["real"]["accuracy"] - base["detectors"][0]["real"]["accuracy"]
    assert found == {"no augmentation": [expected]}
    unknown = {"seeds": [0, 5], "detectors": [{"real": {"auc": None}}, {"real": {"auc": 0.5}}], "name": "unknown"}
    assert detector_ablation.against_base({"configurations": [base, unknown]}, "auc") == {}


def test_a_finished_study_is_read_and_an_unfinished_one_goes_on(ablation, monkeypatch):
    folder, run, result = ablation
    stopped = result | {"configurations": result["configurations"][:1]}  # before the second was scored
    (folder / "out.json").write_text(json.dumps(stopped))
    assert run(resume=True)["configurations"] == result["configurations"]
    assert run(resume=True, out=None)["configurations"] == result["configurations"]
    monkeypatch.setattr(detector_ablation, "fit_detector", None)
    assert run(resume=True)["configurations"] == result["configurations"]


def test_a_folder_of_another_run_is_refused(ablation):
    folder, run, _ = ablation
    with pytest.raises(TrainingError, match="holds results"):
        run()
    with pytest.raises(TrainingError, match="holds an"):
        run(out=None)
    with pytest.raises(TrainingError, match="belongs to another run"):
        run(plan=DetectorPlan(epochs=2, steps_per_epoch=1, batch_size=2), resume=True)


def test_the_average_is_scored_with_its_own_threshold():
    truth = [HALVES]
    songs = songs_of(truth)
    material = detector_ablation.Material(songs, songs, songs)
    one, two = ({part: [steady(values)] for part in ("valid", "real")} for values in ([0.9, 0.5], [0.5, 0.3]))
    scores = detector_ablation.score(detector_ablation._average([one, two]), material)
    assert 0.4 <= scores["threshold"] < 0.7
    assert scores["real"]["auc"] == pytest.approx(1, abs=0.01)
    assert scores["real"] == scores["synthetic"]


# --- what is stored ---


def test_stored_results_have_what_the_page_needs():
    result = load_results("real_singing")
    assert result["corpus"].startswith("folder:") and result["detectors"][0]["threshold"] == result["threshold"]
    for song in result["songs"]:
        assert {"artist", "title", "licence", "source_url"} <= set(song["credits"])
    shift = np.array(result["balance"]["shift"])
    assert shift.shape == (80,) and np.abs(shift).mean() == pytest.approx(result["balance"]["mean_absolute"], abs=1e-6)
    assert result["balance"]["mean_absolute"] < real_singing.BALANCE_AIM
    assert load_results("nothing") is None


def test_no_stored_result_names_a_place_on_a_disk():
    files = list(RESULTS.glob("*.json"))
    assert files and all('"/' not in file.read_text() and ":/" not in file.read_text().replace("https:/", "")
                         for file in files)  # fmt: skip


# --- figures ---


def test_figures_show_each_song_and_each_filled_bin():
    predictions, truth = labelled()
    result = as_json(real_singing.score(predictions, songs_of(truth), 0.5))
    roc = figure_roc({song["name"]: song["roc"] for song in result["songs"]}, result["roc"])
    labels = [line.get_label() for line in roc.axes[0].lines]
    assert labels == ["song0", "song1", "song2", "all songs together", "guessing"]
    np.testing.assert_allclose(roc.axes[0].lines[1].get_ydata(), result["songs"][1]["roc"]["true_positive_rate"])
    reliability = figure_reliability({"these": result["calibration"]})
    filled = [entry for entry in result["calibration"]["bins"] if entry["count"]]
    np.testing.assert_allclose(reliability.axes[0].lines[1].get_ydata(), [entry["sung"] for entry in filled])
    assert sum(bar.get_height() for bar in reliability.axes[1].patches) == pytest.approx(100)
    assert all(figure._repr_png_().startswith(b"\x89PNG") for figure in (roc, reliability))


def test_many_songs_are_drawn_without_their_names():
    curve = {"false_positive_rate": [0, 1], "true_positive_rate": [0, 1]}
    empty = {"false_positive_rate": [], "true_positive_rate": []}
    figure = figure_roc({f"song{k}": curve for k in range(12)} | {"one class": empty}, curve)
    assert len(figure.axes[0].lines) == 14 and figure.legends[0].get_texts()[0].get_text() == "each song"


def test_stored_lists_of_numbers_take_a_line_each(tmp_path):
    results = {"words": ["[\n1,\n2]", "b"], "numbers": [1, -2.5e-7, None], "nested": [[1, 2], [3]], "none": []}
    write_results(tmp_path / "results.json", results)
    text = (tmp_path / "results.json").read_text(encoding="utf-8")
    assert json.loads(text) == results
    assert [line.strip() for line in text.splitlines() if "-2.5e-07" in line] == ['"numbers": [ 1, -2.5e-07, null ],']


@pytest.mark.parametrize(
    ("corpus", "label"),
    [
        ("synthetic", "synthetic"),
        ("synthetic-b:songs=6,seconds=20", "synthetic-b"),
        ("folder:five_real_songs", "five real songs"),
        ("folder:/home/anna/five_real_songs", "five real songs"),
        ("jamendo:/data/jamendo", "jamendo"),
        ("synthetic:songs=6+folder:my_songs", "synthetic + my songs"),
    ],
)
def test_readers_know_a_corpus_by_its_kind_and_a_folder_by_its_name(corpus, label):
    assert label_of(corpus) == label


def test_the_runs_that_led_to_an_inverter_are_counted():
    plan = {"epochs": 2, "steps_per_epoch": 100, "batch_size": 16}
    first = {"objective": "input", "seed": 0, "plan": plan | {"steps_per_epoch": None}, "training_excerpts": 4800}
    last = {"objective": "balanced", "compare": ["fc8"], "seed": 0, "plan": plan, "start": first}
    inverter = SimpleNamespace(provenance=last)
    assert training_of({"fc8": inverter})["fc8"] == {
        "objective": "balanced",
        "compare": ["fc8"],
        "seed": 0,
        "updates": [200, 600],
        "batch_size": 16,
    }


def test_a_run_without_a_corpus_counts_by_its_inputs():
    plan = {"epochs": 2, "steps_per_epoch": None, "batch_size": 16}
    fitted = SimpleNamespace(provenance={"plan": plan, "training_inputs": {"count": 50}})
    assert training_of({"fc8": fitted})["fc8"]["updates"] == [6]


def test_songs_that_inverters_learned_from_are_left_out():
    inverters = {"fc8": SimpleNamespace(provenance={"corpus": "synthetic"}), "fc7": SimpleNamespace()}
    names = ("synthetic", "synthetic:songs=3", "folder:songs")
    assert [unheard_split(name, inverters) for name in names] == ["test", "all", "all"]
