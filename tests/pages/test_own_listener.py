"""The explorer and the figure of networks that are not the detector."""

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile
import tiny
import torch
from PIL import Image
from torch import nn

import svdlib
from svdlib.errors import InputError, OutputError
from svdlib.inversion.nre import nre
from svdlib.lab.figures.inversions import plot_inversions

BANDS, FRAMES, RATE = 12, 40, 50
HZ = np.geomspace(100, 3200, BANDS)


def tone(x):
    """A sound whose pitch tells which input it was made from."""
    pitch = 300 + 100 * float(x[0, 0, 0])
    return np.sin(2 * np.pi * pitch * np.arange(FRAMES * 16000 // RATE) / 16000), 16000


class Halve(nn.Module):
    """An inverter of a layer whose feature is twice the input."""

    def forward(self, feature):
        return feature / 4


class Twice(nn.Module):
    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Identity(), nn.Identity()

    def forward(self, x):
        return self.second(2 * self.first(x))


@pytest.fixture(scope="module")
def spectrograms():
    """Inputs (channel, bands, frames), as torchaudio gives them: other sizes than the detector's."""
    x = torch.randn(20, 1, BANDS, FRAMES, generator=torch.manual_seed(0))
    x[:, 0, 0, 0] = torch.arange(20.0) / 10
    encoder = svdlib.Encoder(Twice(), layers=["first", "second"], example=x[:2])
    return x, encoder, {"first": nn.Identity(), "second": Halve()}


def pixels(panel):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(panel["picture"]))).convert("RGB")).astype(int).sum(axis=2)


def test_the_payload_takes_rate_bands_and_hertz_from_the_front_end(spectrograms):
    x, encoder, inverters = spectrograms
    front = svdlib.FrontEnd(RATE, HZ, tone)
    data = svdlib.explore(x, encoder, inverters, front).data
    assert data["excerpts"] == [f"input {number}" for number in (1, 4, 6, 9, 12, 15, 17, 20)]
    assert data["steps"] == ["original", "first", "second"] and data["menuLabel"] == "Input"
    heights = {name: height for height, name in data["frequencies"]}
    assert heights == {"250 Hz": (front.place(250) + 0.5) / BANDS, "1 kHz": (front.place(1000) + 0.5) / BANDS}
    original, same, half = data["panels"][-1]
    assert original["seconds"] == FRAMES / RATE
    assert pixels(original).shape == (BANDS, FRAMES), "one pixel per value"
    loud = np.unravel_index(pixels(original).argmax(), (BANDS, FRAMES))
    band, frame = np.unravel_index(int(x[-1, 0].argmax()), (BANDS, FRAMES))
    assert x[-1, 0, BANDS - 1 - loud[0], loud[1]] >= data["scale"]["high"] or loud == (BANDS - 1 - band, frame)
    assert data["curve"]["nre"] == pytest.approx([0, 0, nre(x, x / 2)])
    assert data["curve"]["meanPredictor"] == pytest.approx(nre(x, x.mean(0, keepdim=True).expand_as(x)))
    assert data["curve"]["meanName"] == "the mean input" and data["curve"]["excerpts"] == 20
    assert (original["error"], same["error"], half["probability"]) == (0, 0, None)


def test_each_picture_has_the_sound_that_is_made_of_it(spectrograms):
    x, encoder, inverters = spectrograms
    panels = svdlib.explore(x, encoder, inverters, svdlib.FrontEnd(RATE, HZ, tone)).data["panels"]
    for panel, pitch in zip(panels[-1], (490, 490, 395), strict=True):
        samples, rate = soundfile.read(io.BytesIO(base64.b64decode(panel["sound"])))
        found = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
        assert rate == 16000 and found == pytest.approx(pitch, abs=4)


def test_without_sound_there_is_none(spectrograms):
    x, encoder, inverters = spectrograms
    explorer = svdlib.explore(x[:3], encoder, inverters, svdlib.FrontEnd(RATE, HZ), names=["a", "b", "<c>"])
    assert explorer.data["excerpts"] == ["a", "b", "<c>"] and "makes no sound" in explorer.about
    assert not any(panel["sound"] for panels in explorer.data["panels"] for panel in panels)


def test_a_page_stands_alone(spectrograms, tmp_path):
    x, encoder, inverters = spectrograms
    explorer = svdlib.explore(x[:3], encoder, inverters, svdlib.FrontEnd(RATE, HZ), names=["a", "b", "<c>"])
    path = explorer.save(tmp_path / "new" / "page.html")
    text = path.read_text()
    data = json.loads(re.search(r'<script type="application/json">(.*?)</script>', text, re.DOTALL)[1])
    assert data == explorer.data and "<c>" not in text and "<h1>What each layer of Twice keeps</h1>" in text
    assert not re.search(r'(src|href)="(?!data:)', text) and text.count("customElements.define") == 1
    with pytest.raises(OutputError, match="Cannot write"):
        explorer.save(tmp_path)


@pytest.fixture(scope="module")
def waves():
    x = torch.sin(torch.arange(800.0) / torch.tensor([5.0, 7.0, 11.0])[:, None])[:, None]
    x[:, :, :400] = 0
    encoder = svdlib.Encoder(Twice(), layers=["second"], example=x[:2])
    return x, encoder, {"second": Halve()}


def test_waveforms_are_drawn_as_lines_and_heard_as_they_are(waves):
    x, encoder, inverters = waves
    explorer = svdlib.explore(x, encoder, inverters, svdlib.FrontEnd(8000))
    data = explorer.data
    assert data["scale"]["colours"] == [] and [name for _, name in data["frequencies"]] == ["−0.5", "0", "0.5"]
    original, half = data["panels"][0]
    dark = pixels(original).min()
    covered = (pixels(original) > dark).sum(axis=0)
    assert covered[:120].max() <= 3 and covered[130:].min() >= 2 and (covered > 0).all()
    rows = [np.flatnonzero((pixels(panel) > dark).any(axis=1)) for panel in (original, half)]
    assert np.ptp(rows[1]) == pytest.approx(np.ptp(rows[0]) / 2, abs=3), "half as loud is half as high"
    assert original["seconds"] == 0.1 and "input 1, original, as a waveform: largest" in original["words"]
    samples, rate = soundfile.read(io.BytesIO(base64.b64decode(original["sound"])))
    found = np.abs(np.fft.rfft(samples)).argmax() * rate / len(samples)
    assert rate == 8000 and found == pytest.approx(8000 / (2 * np.pi * 5), rel=0.05)
    assert "Waveforms. Columns: input 1, input 2, input 3" in explorer.plain


def test_figures_have_the_network_s_seconds_and_hertz(spectrograms, waves):
    x, encoder, inverters = spectrograms
    figure = plot_inversions(x[:3], encoder, inverters, svdlib.FrontEnd(RATE, HZ))
    rows = np.array(figure.axes[:-1]).reshape(3, 3)
    image = rows[0, 0].images[0]
    assert image.get_array().shape == (BANDS, FRAMES) and image.get_extent() == [0, FRAMES / RATE, -0.5, BANDS - 0.5]
    assert [label.get_text() for label in rows[0, 0].get_yticklabels()] == ["250 Hz", "1 kHz"]
    np.testing.assert_allclose(rows[2, 1].images[0].get_array(), x[1, 0] / 2, rtol=1e-6)
    typical = float(torch.pdist(x[:3].flatten(1)).mean())
    assert rows[2, 1].get_title() == f"error {float((x[1] / 2).norm()) / typical:.2f}"
    assert (rows[0, 2].get_title(), rows[2, 0].get_ylabel()) == ("input 3", "second")
    figure.savefig(io.BytesIO(), format="png")
    lines = plot_inversions(waves[0][:1], *waves[1:], svdlib.FrontEnd(8000)).axes
    assert len(lines) == 2 and lines[0].get_title() == "input 1"
    assert lines[0].get_xlim() == (0, 100) and lines[1].get_xlabel() == "time (ms)"
    np.testing.assert_allclose(lines[1].lines[0].get_ydata(), waves[0][0, 0] / 2)


def test_the_detector_has_a_front_end_of_its_own():
    x = torch.randn(3, 1, 115, 80, generator=torch.manual_seed(0))

    class Shallow(nn.Module):
        def forward(self, feature):
            return nn.functional.interpolate(feature.mean(dim=1, keepdim=True), (115, 80))

    data = svdlib.explore(x[:2], tiny.detector(), {"conv1": Shallow()}).data
    assert [name for _, name in data["frequencies"]] == ["250 Hz", "1 kHz", "4 kHz"]
    assert data["panels"][0][0]["seconds"] == pytest.approx(1.643, abs=5e-4) and data["panels"][0][0]["sound"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"front": None}, "svdlib.FrontEnd\\(frame_rate=100, band_hz=hertz\\)"),
        ({"front": svdlib.FrontEnd(70, np.arange(80))}, r"axes \(1, 12, 40\) of an input, 0 have 80 bands"),
        ({"x": slice(0, 1)}, "give two or more different ones"),
        ({"encoder": nn.Identity()}, "Identity has no named layers. Wrap it: svdlib.Encoder"),
        ({"encoder": None}, "Inputs go with the network that hears them"),
        ({"inverters": {}}, "not an inverter per layer|inverters"),
        ({"inverters": {"third": nn.Identity()}}, "no layer 'third'"),
        ({"names": ["one"]}, "There are 20 inputs, but 1 names"),
    ],
)
def test_what_does_not_fit_is_told(spectrograms, change, reason):
    x, encoder, inverters = spectrograms
    given = {"encoder": encoder, "inverters": inverters, "front": svdlib.FrontEnd(RATE, HZ), "names": ()} | change
    x = x[given.pop("x", slice(None))]
    with pytest.raises(InputError, match=reason):
        svdlib.explore(x, given.pop("encoder"), given.pop("inverters"), given.pop("front"), **given)
    with pytest.raises(InputError, match="shows one to 6 inputs, not 20"):
        plot_inversions(spectrograms[0], encoder, inverters, svdlib.FrontEnd(RATE, HZ))


def test_inputs_of_a_bank_have_the_names_of_their_groups(spectrograms):
    x, encoder, inverters = spectrograms
    front = svdlib.FrontEnd(frame_rate=RATE, band_hz=HZ)
    songs = ["high", "low", "high", *"abcdefghijklmnopq"]
    shown = svdlib.explore(svdlib.TensorBank(x, songs), encoder, inverters, front).data["excerpts"]
    assert shown == ["high (1)", *(songs[number] for number in (3, 5, 8, 11, 14, 16, 19))]
    numbered = svdlib.explore(svdlib.TensorBank(x[:2], [7, 9]), encoder, inverters, front).data["excerpts"]
    assert numbered == ["group 7", "group 9"]
    unnamed = svdlib.explore(svdlib.TensorBank(x), encoder, inverters, front).data["excerpts"]
    assert unnamed[0] == "input 1"
    figure = plot_inversions(svdlib.TensorBank(x, songs), encoder, inverters, front)
    titles = [axes.get_title() for axes in figure.axes[:6]]
    assert titles == ["high (1)", songs[4], songs[8], songs[11], songs[15], "q"]


@pytest.mark.parametrize(
    ("made", "words"),
    [
        ((16000, np.zeros(16000)), r"to_sound gave 16000, ndarray \(16000,\); .*samples and then"),
        ((torch.zeros(16000), torch.zeros(2)), r"gave Tensor \(16000,\), Tensor \(2,\)"),
        (torch.zeros(16000), "gave Tensor; it must return"),
        ((None, 16000), "array of numbers.*not NoneType"),
    ],
)
def test_what_is_no_sound_and_its_rate_is_told(made, words):
    front = svdlib.FrontEnd(frame_rate=RATE, band_hz=HZ, to_sound=lambda picture: made)
    with pytest.raises(InputError, match=words):
        front.sound(torch.zeros(1, BANDS, FRAMES))
