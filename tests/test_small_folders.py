"""Chapters on few songs of one class: each ends, says what it cannot show, and shows no number that is none."""

import re
import shutil
from pathlib import Path

import nbformat
import pytest
import soundfile

import chapters
import execute
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.export import export_corpus

BY_CLASS = {"01", "02", "05", "05c", "06", "07", "08", "08b", "09"}  # chapters that draw excerpts by their class
TOLD = re.compile(r"\*\*Nobody sings in|\*\*Somebody sings in every|only one class|one class only")
NO_NUMBER = re.compile(r"\b(nan|inf)\b|the your|interval ([-+]?[\d.]+) to \2\b")


@pytest.fixture(scope="module")
def songs(tmp_path_factory):
    """Five songs of ten seconds, the one for tests shorter than the others."""
    folder = tmp_path_factory.mktemp("songs")
    export_corpus(open_corpus("synthetic:songs=5,seconds=10"), folder)
    test = next(track for track in open_corpus(f"folder:{folder}").tracks if track.split == "test")
    samples, rate = soundfile.read(test.file)
    soundfile.write(test.file, samples[: 6 * rate], rate)
    return folder


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Where notebooks are executed here, and not where the book is built."""
    for name in ("JUPYTER_PATH", "TQDM_DISABLE", "MPLBACKEND"):
        monkeypatch.setenv(name, "")
    for name, folder in (("BUILD", "build"), ("NOTEBOOKS", "notebooks"), ("FIGURES", "figures")):
        (tmp_path / folder).mkdir()
        monkeypatch.setattr(execute, name, tmp_path / folder)
    execute.use_own_kernel()
    return tmp_path


def said(notebook):
    """All texts and numbers that the cells of a notebook show."""
    for cell in notebook.cells:
        for output in cell.get("outputs", []):
            shown = output.get("data", {})
            yield shown.get("text/markdown") or output.get("text") or ""
            if "<table" in (page := shown.get("text/html", "")):
                yield re.sub("<style.*?</style>|<[^>]*>", " ", page, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize("word", ["sing", "nosing"])
@pytest.mark.parametrize("source", chapters.chapter_sources(), ids=lambda path: path.stem)
def test_a_chapter_on_songs_of_one_class_ends_and_says_what_it_cannot_show(songs, place, source, word):
    folder = Path(shutil.copytree(songs, place / "songs"))
    for labels in (folder / "labels").iterdir():
        seconds = soundfile.info(folder / "audio" / f"{labels.stem}.flac").duration
        labels.write_text(f"0 {seconds} {word}\n")
    values = {"profile": "demo", "corpus": f"folder:{folder}", "device": "cpu", "seed": 0}
    execute.execute_notebook(source, values, timeout=1500)
    texts = list(said(nbformat.read(execute.NOTEBOOKS / f"{source.stem}.ipynb", nbformat.NO_CONVERT)))
    assert [text for text in texts if NO_NUMBER.search(text)] == []
    assert any(map(TOLD.search, texts)) or source.stem.partition("_")[0] not in BY_CLASS
