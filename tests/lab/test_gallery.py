"""Galleries hold together without a network, and speak to those who cannot see."""

import base64
import io
from html.parser import HTMLParser

import numpy as np
import pytest
import soundfile
import torch
from PIL import Image

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE
from svdlib.audio.standardizer import Standardizer
from svdlib.lab.figures.gallery import LOUDNESS, Gallery, Panel, inversion_panels


class Elements(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def of(self, tag):
        return [attrs for name, attrs in self.found if name == tag]


def content(address, kind):
    head, _, data = address.partition(",")
    assert head == f"data:{kind};base64"
    return base64.b64decode(data, validate=True)


@pytest.fixture(scope="module")
def log_mel():
    time = np.arange(EXCERPT_SAMPLES) / SAMPLE_RATE
    noise = 0.001 * np.random.default_rng(0).standard_normal(EXCERPT_SAMPLES)
    return LogMel()(0.3 * np.sin(2 * np.pi * 440 * time) + noise).float()


@pytest.fixture(scope="module")
def page(log_mel):
    return Gallery([Panel('A <b>"loud"</b> tone', log_mel, note="5 < 6"), Panel("Again", log_mel)])._repr_html_()


def test_each_panel_has_an_image_and_a_player(page):
    elements = Elements(page)
    assert len(elements.of("img")) == len(elements.of("audio")) == 2
    image = Image.open(io.BytesIO(content(elements.of("img")[0]["src"], "image/png")))
    assert image.width > 250
    samples, rate = soundfile.read(io.BytesIO(content(elements.of("audio")[0]["src"], "audio/mpeg")))
    assert rate == SAMPLE_RATE
    assert len(samples) / rate == pytest.approx(EXCERPT_SAMPLES / SAMPLE_RATE, abs=0.1)
    spectrum = np.abs(np.fft.rfft(samples))
    assert spectrum.argmax() * rate / len(samples) == pytest.approx(440, rel=0.05)


def test_images_are_described_and_players_named(page):
    elements = Elements(page)
    alternative = elements.of("img")[0]["alt"]
    assert alternative.startswith('A <b>"loud"</b> tone, as a spectrogram: half of the magnitude lies below')
    assert elements.of("audio")[0]["aria-label"] == 'A <b>"loud"</b> tone, 1.6 seconds'
    assert all("controls" in attrs for attrs in elements.of("audio"))


def test_titles_and_notes_are_text_not_markup(page):
    assert not Elements(page).of("b")
    assert "5 &lt; 6" in page


def test_nothing_is_fetched_and_little_is_stored(page):
    assert "http" not in page
    assert len(page) < 2 * 60_000


def test_players_are_equally_loud_but_silence_stays_quiet(log_mel):
    def loudness(panel):
        samples, _ = soundfile.read(io.BytesIO(panel.sound))
        return float(np.sqrt(np.mean(samples**2)))

    tone = np.sin(np.arange(EXCERPT_SAMPLES) / 10)
    assert loudness(Panel("quiet", log_mel, samples=0.02 * tone)) == pytest.approx(LOUDNESS, rel=0.1)
    assert loudness(Panel("loud", log_mel, samples=0.9 * tone)) == pytest.approx(LOUDNESS, rel=0.1)
    assert loudness(Panel("silent", log_mel, samples=1e-5 * tone)) < 0.001


def test_inversions_are_heard_unstandardised_and_seen_standardised(log_mel):
    scale = Standardizer.fit([log_mel])
    x = scale(log_mel)
    original, inversion = inversion_panels(scale, x, {"fc8": x / 2}, "A: vocal", {"fc8": "far off"})
    assert (original.title, inversion.title) == ("A: vocal, original", "A: vocal, from FC8")
    assert (original.note, inversion.note) == ("", "far off")
    assert torch.allclose(original.log_mel, log_mel, atol=1e-4)
    assert torch.equal(inversion.standardised, x / 2)


def test_a_gallery_is_short_in_words(log_mel):
    assert repr(Gallery([Panel("A tone", log_mel)])) == "Gallery(A tone)"
