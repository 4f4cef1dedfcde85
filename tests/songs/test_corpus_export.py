"""A corpus written to files and read again."""

import json
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from rights import needs_rights, not_root

from svdlib.cli import main
from svdlib.errors import AudioError, CorpusError, OutputError
from svdlib.songs.corpora import Corpus, Segment, Track, export_corpus, open_corpus

STEP = 1 / 32768  # of 16 bits
SUNG = (Segment(0.5, 1.25, True),)


def made_of(voice, band, name="song", split="train", segments=SUNG):
    return Track(
        name, split, tuple(segments), f"{name} of a test", lambda: voice + band, lambda: {"voice": voice, "band": band}
    )


@pytest.fixture
def corpus(melody):
    """Three songs in odd splits: an ordinary one, one beyond full scale, one without singing."""
    voice, band = melody * 0.5, np.roll(melody, 9000)
    times = (Segment(0.1, 1 / 3, True), Segment(1 / 3, 0.7000000000000001, False), Segment(2, 4, True))
    return Corpus("mine", (
        made_of(voice, band, "soft one", "test", times),
        made_of(voice * 9, band * 2, "loud, too", "valid"),
        made_of(voice * 0, band, "b.and", "train", ()),
    ))  # fmt: skip


def files(folder):
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())


def read(path):
    return soundfile.read(path, dtype="float64")[0]


@pytest.mark.parametrize("stems", [False, True])
def test_what_is_exported_is_read_as_it_was(corpus, tmp_path, stems):
    folder = export_corpus(corpus, tmp_path / "a" / "b", stems, processes=1)
    again = {track.name: track for track in open_corpus(f"folder:{folder}").tracks}
    assert len(again) == 3
    for track in corpus.tracks:
        other = again[track.name]
        samples = track.load()
        assert other.split == track.split
        assert other.segments == (track.segments or (Segment(0, len(samples) / 22050, False),))
        gain = max(1.0, np.abs(samples).max())
        if not stems:
            np.testing.assert_allclose(other.load(), samples / gain, atol=1.01 * STEP)
    information = soundfile.info(folder / "audio" / "loud, too.flac")
    assert (information.subtype, information.samplerate, information.channels) == ("PCM_16", 22050, 1)
    songs = ["b.and", "loud, too", "soft one"]
    expected = [f"audio/{name}.flac" for name in songs] + [f"labels/{name}.lab" for name in songs] + ["splits.csv"]
    expected += [f"stems/{name}.{stem}.flac" for name in songs for stem in ("band", "voice")] if stems else []
    assert files(folder) == sorted(expected)


def test_voice_and_band_add_up_to_the_song(corpus, tmp_path):
    export_corpus(corpus, tmp_path / "out", stems=True, processes=1)
    for track in corpus.tracks:
        song = read(tmp_path / "out" / "audio" / f"{track.name}.flac")
        voice, band = (read(tmp_path / "out" / "stems" / f"{track.name}.{stem}.flac") for stem in ("voice", "band"))
        assert np.abs(voice + band - song).max() <= 2.5 * STEP  # each is rounded, the loudest step cut by one
        stems = track.stems()
        gain = np.dot(voice, stems["voice"]) / max(np.dot(stems["voice"], stems["voice"]), 1e-9) or 1.0
        np.testing.assert_allclose(band, gain * stems["band"], atol=1.5 * STEP)
        assert np.abs(song).max() <= 1


def test_a_synthetic_corpus_is_exported_by_two_processes_as_by_one(tmp_path):
    corpus = open_corpus("synthetic:songs=3,seconds=5")
    for processes in (1, 2):
        export_corpus(corpus, tmp_path / str(processes), processes=processes)
    one, two = tmp_path / "1", tmp_path / "2"
    assert files(one) == files(two) and len(files(one)) == 7
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in files(one))
    for before, after in zip(corpus.tracks, open_corpus(f"folder:{one}").tracks, strict=True):
        assert (before.name, before.split, before.segments) == (after.name, after.split, after.segments)


# --- what is refused ---


def test_a_folder_that_holds_something_is_left_as_it_is(corpus, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(OutputError, match="not empty, it holds mine.txt; name a new folder"):
        export_corpus(corpus, tmp_path)
    assert files(tmp_path) == ["mine.txt"]
    with pytest.raises(OutputError, match="mine.txt"):
        export_corpus(corpus, tmp_path / "mine.txt")
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_an_empty_folder_is_taken_but_only_once(corpus, tmp_path):
    export_corpus(corpus, tmp_path, processes=1)
    with pytest.raises(OutputError, match="not empty, it holds audio"):
        export_corpus(corpus, tmp_path)


@needs_rights
def test_a_folder_without_the_right_to_write(corpus, public_folder):
    public_folder.chmod(0o555)
    with not_root(), pytest.raises(OutputError, match="Permission denied"):
        export_corpus(corpus, public_folder / "out")


def test_stems_that_nobody_knows(song_folder, tmp_path):
    with pytest.raises(CorpusError, match="stems of 'song0' are not known; only synthetic corpora have stems"):
        export_corpus(open_corpus(f"folder:{song_folder()}"), tmp_path / "out", stems=True)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("names", [["a/b"], [".a"], ["a "], [""], [".."], ["Song", "song"]])
def test_names_that_are_none_for_files(melody, tmp_path, names):
    corpus = Corpus("mine", tuple(made_of(melody, melody, name) for name in names))
    with pytest.raises(CorpusError, match="rename"):
        export_corpus(corpus, tmp_path / "out")
    assert not (tmp_path / "out").exists()


# --- interruptions ---


def test_an_interrupted_export_is_no_corpus_and_goes_on_where_it_stopped(corpus, melody, tmp_path):
    def fail():
        raise AudioError("third.mp3: damaged")

    calls = []

    def first_song():
        calls.append(1)
        return melody

    first = Track("first", "train", (), "1", first_song)
    bad = Track("third", "test", (), "3", fail)
    good = Track("third", "test", (), "3", lambda: melody)
    with pytest.raises(AudioError):
        export_corpus(Corpus("mine", (first, bad)), tmp_path / "out", processes=1)
    with pytest.raises(CorpusError, match="has no folder audio/"):
        open_corpus(f"folder:{tmp_path / 'out'}")
    with pytest.raises(OutputError, match="not empty, it holds .unfinished-"):
        export_corpus(corpus, tmp_path / "out")
    export_corpus(Corpus("mine", (first, good)), tmp_path / "out", processes=1)
    assert calls == [1], "the song that was done is not done again"
    assert files(tmp_path / "out") == [
        "audio/first.flac", "audio/third.flac", "labels/first.lab", "labels/third.lab", "splits.csv",
    ]  # fmt: skip
    assert not list((tmp_path / "out").glob(".*"))


# --- the command line ---


def test_command_line(capsys, song_folder, tmp_path):
    source = song_folder()
    words = ["corpus", "export", f"folder:{source}", "--out", str(tmp_path / "out"), "--processes", "1"]
    assert main([*words, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {
        "corpus": f"folder:{source}", "folder": str(tmp_path / "out"), "songs": 3,
    }  # fmt: skip
    assert main(["corpus", "info", f"folder:{tmp_path / 'out'}"]) == 0
    capsys.readouterr()
    for more, reason in [([], "not empty"), (["--stems"], "stems of 'song0' are not known")]:
        assert main([*words, *more]) == 2
        error = capsys.readouterr().err
        assert reason in error and error.count("\n") == 1


def test_a_second_export_to_a_folder_is_refused_while_the_first_is_at_work(corpus, tmp_path):
    refusals = []

    def meanwhile():
        with pytest.raises(OutputError) as caught:
            export_corpus(again, tmp_path / "out", processes=1)
        refusals.append(str(caught.value))
        return first.load()

    first, *rest = corpus.tracks
    again = Corpus("mine", (replace(first, load=meanwhile), *rest))
    export_corpus(again, tmp_path / "out", processes=1)
    assert len(refusals) == 1 and "another process is exporting to it" in refusals[0]
    assert files(tmp_path / "out") == files(export_corpus(corpus, tmp_path / "other", processes=1))
