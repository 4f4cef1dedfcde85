"""The kernel's side of the explorer: sounds of the reader's own, and errors as sentences."""

import io

import numpy as np
import pytest
import soundfile
import tiny
import torch

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, SAMPLE_RATE
from svdlib.errors import AudioError, SvdlibError, WeightsError
from svdlib.inversion.nre import EvaluationPlan, evaluate_inverters, nre, reconstruct
from svdlib.pages.explorer import compare
from svdlib.pages.widget import Session, explore, load_upload
from svdlib.zoo.checkpoints import pretrained
from svdlib.zoo.families import build_inverter


class Shallow(torch.nn.Module):
    """An inverter of Conv1: the mean of its maps, brought to the size of an excerpt."""

    def forward(self, feature):
        return torch.nn.functional.interpolate(feature.mean(dim=1, keepdim=True), (115, 80))


@pytest.fixture(scope="module")
def song(melody):
    return melody[: 5 * SAMPLE_RATE // 2]


@pytest.fixture(scope="module")
def widget(song):
    return explore(song, detector=tiny.detector(), inverters={"conv1": Shallow()}, at=[1.5])


def mp3(samples):
    file = io.BytesIO()
    soundfile.write(file, samples, SAMPLE_RATE, format="MP3")
    return file.getvalue()


def send(widget, content, *buffers):
    """What the front end does: a message with binary parts."""
    widget._handle_custom_msg(content, list(buffers))


def test_the_reader_s_model_inverts_the_reader_s_samples(widget, song):
    data = widget.data
    assert (data["excerpts"], data["steps"]) == (["around 1.5 s"], ["original", "Conv1"])
    detector = tiny.detector()
    log_mel = detector.standardizer(LogMel()(song).float())
    start = round(1.5 * 70) - EXCERPT_FRAMES // 2
    x = log_mel[None, None, start : start + EXCERPT_FRAMES]
    with torch.no_grad():
        x_hat = Shallow()(detector.features(x, ["conv1"])["conv1"])
        expected = [float(torch.sigmoid(detector(each))) for each in (x, x_hat)]
    assert [panel["probability"] for panel in data["panels"][0]] == pytest.approx(expected, abs=1e-4)
    # The curve is that of 16 excerpts, spread evenly from the first to the last.
    starts = np.linspace(0, len(log_mel) - EXCERPT_FRAMES, 16).round().astype(int)
    many = torch.stack([log_mel[None, start : start + EXCERPT_FRAMES] for start in starts])
    with torch.no_grad():
        reconstructed = Shallow()(detector.features(many, ["conv1"])["conv1"])
    assert data["curve"]["nre"] == pytest.approx([0, nre(many, reconstructed)], rel=1e-4)


def test_a_file_in_pieces_becomes_other_panels(widget, melody):
    content = mp3(melody[: 2 * SAMPLE_RATE])
    pieces = [content[:5000], content[5000:]]
    before = widget.data
    send(widget, {"kind": "sound", "name": "mine.mp3", "part": 0, "parts": 2}, pieces[0])
    assert widget.data is before
    send(widget, {"kind": "sound", "name": "mine.mp3", "part": 1, "parts": 2}, memoryview(pieces[1]))
    assert (widget.message, widget.wrong) == ("Shown: mine.mp3.", False)
    assert widget.data["excerpts"] != before["excerpts"]
    send(widget, {"kind": "at", "seconds": 1.0})
    assert widget.data["excerpts"] == ["around 1.0 s"]


@pytest.mark.parametrize(
    ("message", "buffers", "sentence"),
    [
        ({"kind": "sound", "name": "text.mp3", "part": 0, "parts": 1}, [b"no sound"], "text.mp3: not a sound file"),
        ({"kind": "sound", "name": "none.wav", "part": 0, "parts": 1}, [b""], "none.wav: the file is empty"),
        ({"kind": "at", "seconds": 99}, [], "no excerpt has its centre at 99 s; choose a time from"),
        ({"kind": "at", "seconds": float("nan")}, [], "no excerpt has its centre at nan s"),
    ],
)
def test_an_error_is_a_sentence_and_leaves_what_is_shown(widget, message, buffers, sentence):
    before = widget.data
    send(widget, message, *buffers)
    assert sentence in widget.message and widget.wrong and "/tmp" not in widget.message
    assert widget.data is before


def test_an_upload_is_decoded_and_an_error_names_the_reader_s_file(melody):
    assert load_upload("mine.mp3", mp3(melody)).shape[0] == pytest.approx(len(melody), abs=2000)
    with pytest.raises(AudioError, match=r"^short\.wav: too short \(1\.00 s\)"):
        load_upload("short.wav", mp3(melody[:SAMPLE_RATE]))


@pytest.mark.parametrize(
    "samples", [np.zeros((2, 90_000)), np.zeros(EXCERPT_SAMPLES - 1), np.full(90_000, np.nan), np.zeros(0)]
)
def test_samples_that_are_no_song_are_refused(samples):
    with pytest.raises(AudioError, match="one excerpt takes 36934 finite ones"):
        Session(tiny.detector(), {"conv1": Shallow()}).open("mine", samples)


def test_one_excerpt_alone_cannot_be_compared(melody):
    with pytest.raises(AudioError, match="take 2 s or more"):
        Session(tiny.detector(), {"conv1": Shallow()}).open("mine", melody[:EXCERPT_SAMPLES])


def test_all_its_errors_are_svdlib_s_own(tmp_path):
    with pytest.raises(SvdlibError, match="no such file"):
        explore(tmp_path / "nothing.mp3")


# --- whose inverter it is ---


def test_an_inverter_goes_with_no_other_detector_than_its_own(song):
    """Wherever the two meet: an inverter paints something from any features, and nothing would look wrong."""
    mine, packaged = tiny.detector(), {"fc8": pretrained("inverter", layer="fc8")}
    x, bank = torch.randn(2, 1, 115, 80), tiny.bank()
    meetings = [
        lambda: reconstruct(mine, packaged, x),
        lambda: evaluate_inverters(mine, packaged, bank, EvaluationPlan(1, 2)),
        lambda: compare(mine, packaged, x, x),
        lambda: explore(song, detector=mine, at=[1.5]),
        lambda: explore(song, detector=mine, inverters=packaged, at=[1.5]),
    ]
    for meet in meetings:
        with pytest.raises(WeightsError, match="was trained for another detector.*belong together"):
            meet()
    assert reconstruct(pretrained("detector"), packaged, x)["fc8"].shape == x.shape


def test_networks_that_do_not_tell_where_they_are_from_go_with_any_detector():
    class Own(torch.nn.Module):
        def forward(self, feature):
            return feature.new_zeros(len(feature), 1, 115, 80)

    inverters, x = {"fc8": build_inverter("fc8").eval(), "mp6": Own()}, torch.randn(1, 1, 115, 80)
    for detector in (tiny.detector(), pretrained("detector")):
        assert list(reconstruct(detector, inverters, x)) == ["fc8", "mp6"]
