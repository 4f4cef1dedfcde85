"""The first page: its explorer, what links to it show, and the book as one file."""

import base64
import io
import json
import re
import zipfile

import nbformat
import numpy as np
import pytest
import torch
from PIL import Image

import front_door
from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, N_BANDS
from svdlib.lab.figures.gallery import Panel
from svdlib.pages.explorer import Comparison, Measures, layer_explorer

STEPS = ["original", "Conv5", "FC8"]


def explorer(start: str):
    """Two excerpts, each a picture of one value that rises from step to step."""

    def panel(name, value):
        log_mel = torch.full((EXCERPT_FRAMES, N_BANDS), value)
        return Panel(name, log_mel, log_mel, samples=np.ones(EXCERPT_SAMPLES))

    excerpts = {name: [panel(f"{name}, {step}", place - 1.0) for place, step in enumerate(STEPS)] for name in "AB"}
    measures = [[Measures(0.5, 0.0, 1.0, 1.0)] * 3] * 2
    return layer_explorer(excerpts, STEPS, start=start, comparison=Comparison(measures, [0.0, 0.3, 0.6], 0.7, 8))


def notebook(*shown):
    outputs = [nbformat.v4.new_output("display_data", {"text/html": each}) for each in shown]
    return nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("", outputs=outputs)])


@pytest.fixture(scope="module")
def data():
    return front_door.front_door_data(notebook("<p>A table</p>", explorer("B")._repr_html_()))


def test_the_first_page_shows_the_excerpt_that_the_chapter_starts_with(data):
    assert data["excerpts"] == ["B"] and data["start"] == 0
    assert [panel["title"] for panel in data["panels"][0]] == ["B, original", "B, Conv5", "B, FC8"]


def test_without_an_explorer_of_inversions_there_is_nothing_to_show():
    plain = layer_explorer({"A": [Panel("A", torch.zeros(60, N_BANDS), samples=np.ones(EXCERPT_SAMPLES))]}, ["one"])
    for shown in ("<p>A table</p>", plain._repr_html_()):
        with pytest.raises(front_door.FrontDoorError, match="shows no explorer of inversions"):
            front_door.front_door_data(notebook(shown))


def test_without_scripts_three_pictures_sound(data):
    page = front_door.front_door_html(data)
    held = json.loads(re.search(r'<svdlib-explorer brief><script type="application/json">(.*?)</script>', page)[1])
    assert held == data
    still = re.search(r'<div class="front-still">.*?</div>', page)[0]
    assert re.findall(r"<figcaption>(.*?)</figcaption>", still) == STEPS
    assert len(re.findall(r'<img alt="B, [^":]+, as a spectrogram: [^"]+" src="data:image/png', still)) == 3
    assert len(re.findall(r'<audio controls [^>]*src="data:audio/mpeg', still)) == 3


def test_the_shared_picture_has_the_original_left_and_the_deepest_inversion_right(data):
    picture = Image.open(io.BytesIO(front_door.share_picture(data))).convert("RGB")
    assert picture.size == (1200, 630)
    left, right = (sum(picture.getpixel((x, 315))) for x in (300, 900))
    assert left < right


def pages(folder):
    (folder / "book").mkdir(parents=True)
    (folder / "book" / "intro.html").write_text(
        '<head><meta content="About." name="description"/><meta content="../_static/share.png" property="og:image"/>'
        '<meta content="width" name="viewport"/></head><p class="whole-book">'
        '<a href="../svdlib-book.zip" download>The book</a>, to read.</p><p>More.</p>'
    )
    (folder / "index.html").write_text('<meta http-equiv="Refresh" content="0; url=book/intro.html" />')
    return folder


@pytest.mark.parametrize(
    ("address", "picture"),
    [("", "_static/share.png"), ("https://example.org/book/", "https://example.org/book/_static/share.png")],
)
def test_the_root_page_says_what_the_book_is(tmp_path, address, picture):
    html = pages(tmp_path / "html")
    front_door.share_from_the_root(html, address)
    index = (html / "index.html").read_text()
    assert 'content="About."' in index and f'content="{picture}"' in index and "Refresh" in index
    assert "viewport" not in index
    again = index
    front_door.share_from_the_root(html, address)
    assert (html / "index.html").read_text() == again


def test_the_whole_book_is_one_file_and_the_same_each_time(tmp_path):
    files = []
    for name in "ab":
        html = pages(tmp_path / name)
        files.append(front_door.pack_book(html).read_bytes())
        assert "</a> (0 MB), to read.</p><p>More." in (html / "book" / "intro.html").read_text()
    assert files[0] == files[1]
    with zipfile.ZipFile(io.BytesIO(files[0])) as packed:
        assert packed.namelist() == ["svdlib-book/book/intro.html", "svdlib-book/index.html"]
        intro = packed.read("svdlib-book/book/intro.html").decode()
    assert "zip" not in intro and "<p>More.</p>" in intro


def test_pictures_of_the_still_are_those_of_the_explorer(data):
    page = front_door.front_door_html(data)
    first = re.search(r'src="data:image/png;base64,([^"]+)"', page)[1]
    assert Image.open(io.BytesIO(base64.b64decode(first))).size == (EXCERPT_FRAMES, N_BANDS)
