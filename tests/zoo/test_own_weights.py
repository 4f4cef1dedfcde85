"""Weights of one's own: the family is known from what a folder holds, and every part of the library takes them."""

import json

import pytest
import tiny
import torch

import svdlib
from svdlib.cli import main
from svdlib.errors import LayerError, WeightsError
from svdlib.inversion.derivation import derive_inverters
from svdlib.inversion.files import save_inverter, weights_name
from svdlib.inversion.inverters import FeatureInverter
from svdlib.pages.export_onnx import export_onnx
from svdlib.pages.export_web import export_web
from svdlib.zoo.checkpoints import DETECTOR_FILE, family_in, layers_in, open_detector, open_inverters, save_weights

HELD = ("mp3", "fc8")


@pytest.fixture(scope="module")
def own(tmp_path_factory):
    """A folder with a detector and aligned inverters of two layers, and their places."""
    folder = tmp_path_factory.mktemp("own")
    origin = {"threshold": 0.4, "corpus": "mine"}
    save_weights(folder / DETECTOR_FILE, tiny.detector(), origin)
    for layer in HELD:
        inverter = svdlib.build_inverter(layer, "aligned").eval()
        save_weights(folder / weights_name(layer, "aligned"), inverter, {"detector": origin})
    return {"detector": folder / DETECTOR_FILE, "weights": folder}


def test_a_family_is_found_by_whatever_layers_a_folder_holds(own, tmp_path):
    assert family_in(own["weights"], usual="published") == "aligned"
    assert family_in(own["weights"], "mp3", usual="published") == "aligned"
    assert layers_in(own["weights"], "aligned") == HELD and layers_in(own["weights"], "published") == ()
    assert family_in(tmp_path) == "aligned" and family_in(None, usual="published") == "published"
    detector = open_detector(own["detector"])
    assert tuple(open_inverters(own["weights"], detector, None, "aligned")) == HELD
    with pytest.raises(WeightsError, match="no weights file .*aligned-conv1"):
        open_inverters(own["weights"], detector, variant="aligned")
    with pytest.raises(WeightsError, match="another detector"):
        open_inverters(own["weights"], svdlib.pretrained("detector"), HELD, "aligned")
    with pytest.raises(WeightsError, match="no weights file .*published-conv1"):
        open_inverters(tmp_path, detector, None, "published")


def test_inverters_with_plans_of_their_own_are_opened_like_others(tmp_path):
    (choice,) = derive_inverters(tiny.detector(), "fc8", "general", parameters=2000).values()
    inverter = FeatureInverter(choice.spec).eval()
    save_inverter(tmp_path / "general-fc8.safetensors", inverter, {})
    assert family_in(tmp_path) == "general"
    found = open_inverters(tmp_path, tiny.detector(), None, "general")
    assert tiny.same_weights(found["fc8"], inverter)
    with pytest.raises(LayerError, match="no layer 'fc9'"):
        open_inverters(tmp_path, tiny.detector(), ["fc9"], "general")


def test_onnx_and_web_files_are_written_of_own_weights(own, tmp_path):
    import onnx

    names = [path.name for path in export_onnx(tmp_path / "onnx", **own)]
    assert names == ["detector.onnx", "aligned-mp3.onnx", "aligned-fc8.onnx"]
    properties = onnx.load(tmp_path / "onnx" / "detector.onnx").metadata_props
    assert json.loads(properties[0].value)["corpus"] == "mine"
    export_web(tmp_path / "web", **own)
    assert '"fc8.onnx"' in (tmp_path / "web" / "inverters.js").read_text()
    assert '"conv1.onnx"' not in (tmp_path / "web" / "inverters.js").read_text()


def test_the_command_line_passes_own_weights_on(own, tmp_path, capsys, monkeypatch):
    words = ["--detector", str(own["detector"]), "--weights", str(own["weights"])]
    for form in ("onnx", "web"):
        seen = {}
        monkeypatch.setattr(
            f"svdlib.pages.export_{form}.export_{form}",
            lambda folder, variant, seen=seen, **named: seen.update(named, variant=variant) or [folder / "written"],
        )
        assert main(["export", form, "--out", str(tmp_path / form), *words]) == 0
        assert seen == {"variant": None, **own}
    assert capsys.readouterr().out.count("written") == 2


def test_a_song_is_inverted_from_some_layers(own, song_file, tmp_path, capsys):
    song = str(song_file())
    words = ["--detector", str(own["detector"]), "--weights", str(own["weights"]), "--device", "cpu", "--json"]
    assert main(["invert", song, "--out", str(tmp_path / "all"), *words]) == 0
    assert list(json.loads(capsys.readouterr().out)["distance"]) == list(HELD)
    assert main(["invert", song, "--out", str(tmp_path / "one"), *words, "--layers", "fc8"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found["distance"]) == ["fc8"] and found["variant"] == "aligned"
    assert {path.name for path in (tmp_path / "one").iterdir()} >= {"input.wav", "fc8.wav", "inversions.png"}
    assert not (tmp_path / "one" / "mp3.wav").exists()
    assert main(["invert", song, "--out", str(tmp_path / "bad"), "--layers", "fc9"]) == 2
    assert "no layer 'fc9'" in capsys.readouterr().err


def test_fitted_inverters_of_the_detector_are_saved_and_found(tmp_path):
    plan = svdlib.TrainingPlan(epochs=1, batch_size=2, steps_per_epoch=1, validation_excerpts=2)
    fitted = svdlib.fit_inverters(tiny.detector(), tiny.bank(0), tiny.bank(1), layers=HELD, plan=plan)
    fitted.save(tmp_path)
    found = svdlib.load_inverters(tmp_path)
    assert tuple(found) == HELD and found["fc8"].variant == "published"
    assert all(tiny.same_weights(found[layer], fitted.inverters[layer]) for layer in HELD)
    assert found["fc8"].provenance["plan"]["epochs"] == 1 and found["fc8"].provenance["kept_epoch"] == 1
    x = torch.randn(1, 64)
    opened = open_inverters(tmp_path, tiny.detector(), None, family_in(tmp_path))
    torch.testing.assert_close(opened["fc8"](x), fitted.inverters["fc8"](x))
