import itertools
import math
import os
import sys
import tempfile
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from places import ROOT
from tiny import log_mels

from svdlib.audio.decoding import duration
from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE
from svdlib.errors import AudioError, CorpusError, LabelError, OutputError
from svdlib.songs.corpora import SPLITS, Corpus, Segment, Track, frame_labels, open_corpus
from svdlib.songs.corpora.cache import Job, _write, compute_once, default_cache_dir
from svdlib.songs.loading import load_songs

any_table = settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def track_of(samples, name="song", fingerprint="1", split="train"):
    return Track(name, split, (Segment(0, 1, True),), fingerprint, lambda: samples)


def refused(name, *reasons, error=CorpusError):
    with pytest.raises(error) as caught:
        open_corpus(name)
    for reason in reasons:
        assert str(reason) in str(caught.value)


# --- names ---


@pytest.mark.parametrize("name", ["jamendoo", "", "synthetics", "rwc2", ":", "folders:x"])
def test_unknown_corpus_lists_the_known_ones(name):
    refused(name, repr(name), "synthetic", "folder:PATH")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("song=3", "unknown option 'song'"),
        ("songs", "songs=''"),
        ("songs=", "songs=''"),
        ("songs=six", "'six' must be a whole number"),
        ("songs=2.5", "must be a whole number"),
        ("songs=0", "of 1 or more"),
        ("seconds=nan", "seconds='nan'"),
        ("seconds=inf", "seconds='inf'"),
        ("seed=-1", "of 0 or more"),
        ("songs=6,songs=7", "twice"),
        ("songs=6,,seed=1", "unknown option ''"),
        ("", "unknown option ''"),
    ],
)
def test_bad_options_of_the_synthetic_corpus(options, reason):
    refused(f"synthetic:{options}", reason, f"synthetic:{options}")


def test_synthetic_corpus_takes_number_length_and_seed():
    corpus = open_corpus("synthetic: songs=6, seconds=20, seed=1")
    assert len(corpus.tracks) == 6 and {track.split for track in corpus.tracks} == set(SPLITS)
    other = open_corpus("synthetic:songs=6,seconds=20,seed=2")
    assert not {track.fingerprint for track in corpus.tracks} & {track.fingerprint for track in other.tracks}


# --- splits and labels ---


def test_split_gives_its_tracks_in_order():
    tracks = tuple(track_of(None, name, split=split) for name, split in [("a", "train"), ("b", "test"), ("c", "train")])
    corpus = Corpus("mine", tracks)
    assert [track.name for track in corpus.split("train")] == ["a", "c"]
    with pytest.raises(CorpusError, match="no split 'dev'; the splits are train, valid, test"):
        corpus.split("dev")
    with pytest.raises(CorpusError, match="'valid' has no song"):
        corpus.split("valid")


def test_frames_are_sung_from_start_up_to_but_without_the_end():
    labels = frame_labels([Segment(0, 1 / 70, False), Segment(1 / 70, 3 / 70, True), Segment(4 / 70, 9, True)], 6)
    assert labels.dtype == bool
    assert labels.tolist() == [False, True, True, False, True, True]


def test_frame_labels_equal_asking_every_frame():
    rng = np.random.default_rng(0)
    edges = np.sort(rng.uniform(0, 12, 20))
    segments = [Segment(*edges[i : i + 2], bool(i % 4)) for i in range(0, 20, 2)]
    expected = [any(s.sing and s.start <= k / 70 < s.end for s in segments) for k in range(700)]
    assert frame_labels(segments, 700).tolist() == expected
    assert frame_labels([], 5).tolist() == [False] * 5 and frame_labels(segments, 0).shape == (0,)


# --- a folder of songs ---


def test_folder_with_three_songs(song_folder, melody):
    corpus = open_corpus(f"folder:{song_folder()}")
    assert [(track.name, track.split) for track in corpus.tracks] == [
        ("song0", "train"), ("song1", "valid"), ("song2", "test"),
    ]  # fmt: skip
    track = corpus.split("train")[0]
    assert track.segments[1] == Segment(1, 3, True)
    np.testing.assert_allclose(track.load(), melody, atol=1e-4)


def test_opening_decodes_no_song(song_folder, monkeypatch):
    import soundfile

    folder = song_folder()
    monkeypatch.setattr(soundfile.SoundFile, "read", lambda *_, **__: pytest.fail("decoded at opening"))
    assert len(open_corpus(f"folder:{folder}").tracks) == 3


@pytest.mark.parametrize(("count", "sizes"), [(3, [1, 1, 1]), (4, [2, 1, 1]), (5, [3, 1, 1]), (12, [8, 2, 2])])
def test_songs_without_a_split_table_are_split_two_thirds_a_sixth_a_sixth(song_folder, count, sizes):
    corpus = open_corpus(f"folder:{song_folder(count)}")
    assert [len(corpus.split(split)) for split in SPLITS] == sizes


@pytest.mark.parametrize("name", ["d.m4a", "d.wma", "d.opus", "d", "d.flac.part"])
def test_other_files_among_the_songs_are_refused(song_folder, name):
    folder = song_folder()
    (folder / "audio" / name).write_bytes(b"something")
    (folder / "labels" / "d.lab").write_text("0 1 sing\n")
    refused(f"folder:{folder}", folder / "audio" / name, ".mp3, .ogg, .flac, .wav, .aiff", "convert")


def test_folders_among_the_songs_are_refused_even_with_a_pictures_name(song_folder):
    folder = song_folder()
    (folder / "audio" / "album.jpg").mkdir()
    refused(f"folder:{folder}", folder / "audio" / "album.jpg", "move what is none out of audio/")


def test_what_lies_beside_songs_is_passed_over(song_folder):
    folder = song_folder()
    before = open_corpus(f"folder:{folder}")
    for name in ["cover.jpg", "Front.JPEG", "a.png", "notes.txt", "all.m3u", "disc.cue", "booklet.pdf", "x.nfo",
                 "Thumbs.db", "desktop.ini", "song1.jpg"]:  # fmt: skip
        (folder / "audio" / name).write_bytes(b"something")
    (folder / "stems").mkdir()
    (folder / "stems" / "song0.voice.flac").write_bytes(b"something")
    assert open_corpus(f"folder:{folder}") == before


def test_hidden_files_and_other_files_among_the_labels_are_passed_over(song_folder):
    folder = song_folder()
    (folder / "audio" / "._song0.mp3").write_bytes(b"left behind by a file manager")
    (folder / "audio" / ".DS_Store").write_bytes(b"left behind by another")
    (folder / "labels" / "README.txt").write_text("labels")
    assert len(open_corpus(f"folder:{folder}").tracks) == 3


def test_fingerprint_changes_with_the_file(song_folder):
    folder = song_folder()
    before = [track.fingerprint for track in open_corpus(f"folder:{folder}").tracks]
    os.utime(folder / "audio" / "song1.flac", ns=(1, 1))
    after = [track.fingerprint for track in open_corpus(f"folder:{folder}").tracks]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True]
    assert len(set(after)) == 3


def test_fingerprint_changes_with_the_decoder(song_folder, monkeypatch):
    folder = song_folder(3)
    before = [track.fingerprint for track in open_corpus(f"folder:{folder}").tracks]
    monkeypatch.setattr("svdlib.songs.corpora.base.DECODER_VERSION", "another")
    assert not {*before} & {track.fingerprint for track in open_corpus(f"folder:{folder}").tracks}


def test_folder_that_is_not_there(tmp_path):
    refused(f"folder:{tmp_path}/none", f"{tmp_path}/none", "no such folder")
    refused("folder:", "folder:PATH")


@pytest.mark.parametrize("part", ["audio", "labels"])
def test_folder_without_its_parts(song_folder, part):
    folder = song_folder()
    (folder / part).rename(folder / "other")
    refused(f"folder:{folder}", folder, f"no folder {part}/")


def test_folder_without_songs(tmp_path):
    (tmp_path / "audio").mkdir()
    (tmp_path / "labels").mkdir()
    refused(f"folder:{tmp_path}", "no song in it")


def test_too_few_songs(song_folder):
    refused(f"folder:{song_folder(2)}", "2 of the 3 songs", "add songs")


def test_song_without_labels_and_labels_without_song(song_folder):
    folder = song_folder()
    (folder / "labels" / "song1.lab").rename(folder / "labels" / "other.lab")
    refused(f"folder:{folder}", "song1.flac", "add labels/song1.lab")
    (folder / "audio" / "song1.flac").unlink()
    refused(f"folder:{folder}", "other.lab", "belongs to no song")


@pytest.mark.parametrize("rate", [3999, 768001])
def test_sampling_rates_beyond_those_on_the_page_are_refused(song_folder, song_file, rate):
    folder = song_folder()
    (folder / "audio" / "song2.flac").unlink()
    rates = "from 4 to 768 kHz"
    assert rates in (ROOT / "book" / "corpora.md").read_text(encoding="utf-8")
    song_file("songs/audio/song2.wav", rate=rate)
    refused(f"folder:{folder}", "song2.wav", f"{rate} Hz", rates, error=AudioError)


@pytest.mark.parametrize("rate", [4000, 768000])
def test_the_lowest_and_the_highest_sampling_rate_are_read(song_file, rate):
    assert duration(song_file(rate=rate, samples=np.zeros(4 * rate))) == 4


def test_two_songs_of_one_stem(song_folder, song_file):
    folder = song_folder()
    song_file("songs/audio/song1.wav")
    refused(f"folder:{folder}", "song1.wav", "song1.flac", "rename")


def test_bad_labels_are_found_at_opening(song_folder):
    folder = song_folder()
    (folder / "labels" / "song2.lab").write_text("0 1 sing\n1 4.6 nosing\n")
    refused(f"folder:{folder}", "song2.lab, line 2", "beyond the end", error=LabelError)


@pytest.mark.parametrize("content", [b"", b"not sound" * 100])
def test_bad_song_is_found_at_opening(song_folder, content):
    folder = song_folder()
    (folder / "audio" / "song2.flac").write_bytes(content)
    refused(f"folder:{folder}", "song2.flac", error=AudioError)


def test_silent_songs_are_refused_when_loaded(song_folder, song_file):
    folder = song_folder()
    song_file("songs/audio/song0.flac", samples=np.zeros(88200))
    corpus = open_corpus(f"folder:{folder}")
    with pytest.raises(AudioError, match="silence"):
        log_mels(corpus.tracks[:1])


@pytest.mark.parametrize("rate", [SAMPLE_RATE, 8000, 44100, 48000])
def test_songs_shorter_than_an_excerpt_are_refused_at_opening(song_folder, song_file, rate):
    folder = song_folder()
    (folder / "labels" / "song1.lab").write_text("0 1 sing\n")
    enough = math.ceil(EXCERPT_SAMPLES / SAMPLE_RATE * rate)
    song_file("songs/audio/song1.flac", samples=np.ones(enough - 5) * 0.1, rate=rate)
    refused(f"folder:{folder}", "song1.flac", "too short (1.67 s)", "give a longer recording", error=AudioError)
    song_file("songs/audio/song1.flac", samples=np.ones(enough) * 0.1, rate=rate)
    assert len(open_corpus(f"folder:{folder}").tracks[1].load()) >= EXCERPT_SAMPLES


# --- names ---

COMPOSED, DECOMPOSED = "Caf\u00e9", "Cafe\u0301"


@pytest.mark.parametrize("split", ["file", "stem"])
@pytest.mark.parametrize("spellings", list(itertools.product((COMPOSED, DECOMPOSED), repeat=3)))
def test_songs_labels_and_splits_may_spell_accents_apart(song_folder, spellings, split):
    folder, (song, labels, line) = song_folder(), spellings
    (folder / "audio" / "song0.flac").rename(folder / "audio" / f"{song}.flac")
    (folder / "labels" / "song0.lab").rename(folder / "labels" / f"{labels}.lab")
    name = f"{line}.flac" if split == "file" else line
    (folder / "splits.csv").write_text(f"file,split\n{name},test\nsong1,train\nsong2,valid\n", encoding="utf-8")
    assert {track.name: track.split for track in open_corpus(f"folder:{folder}").tracks}[COMPOSED] == "test"


@pytest.mark.parametrize(("part", "suffix"), [("audio", "flac"), ("labels", "lab")])
def test_two_files_whose_names_look_alike(song_folder, part, suffix):
    folder = song_folder()
    (folder / part / f"song0.{suffix}").rename(folder / part / f"{COMPOSED}.{suffix}")
    (folder / part / f"song1.{suffix}").rename(folder / part / f"{DECOMPOSED}.{suffix}")
    if len(os.listdir(folder / part)) == 3:  # some systems keep one spelling only
        refused(f"folder:{folder}", folder / part, "the same stem; rename one")


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have names in Unicode alone")
def test_names_in_bytes_that_are_no_text(song_folder, tmp_path):
    folder = song_folder()
    for part, suffix in (("audio", b".flac"), ("labels", b".lab")):
        place = os.fsencode(folder / part)
        os.rename(place + b"/song0" + suffix, place + b"/Caf\xe9" + suffix)
    os.rename(folder, os.fsencode(tmp_path) + b"/Anna\xe9")
    corpus = open_corpus(f"folder:{os.fsdecode(os.fsencode(tmp_path) + b'/Anna' + bytes([0xE9]))}")
    assert [os.fsencode(track.name) for track in corpus.tracks] == [b"Caf\xe9", b"song1", b"song2"]
    songs = [log_mels(corpus.tracks, cache_dir=tmp_path / "cache") for _ in range(2)]
    assert len(os.listdir(tmp_path / "cache")) == 3 and np.array_equal(songs[0][0], songs[1][0])


@pytest.mark.parametrize(
    "name",
    [
        "new\nline",
        "tab\there",
        "Anna's",
        'say "ah"',
        "$HOME `x`",
        "\U0001f3a4",
        "a+b",
        "a:b",
        "a,b=c",
        "-x",
        "~x",
        "[x]*?",
    ],
)
def test_folders_and_songs_of_any_name(song_folder, tmp_path, monkeypatch, name):
    folder = song_folder()
    for part, suffix in (("audio", "flac"), ("labels", "lab")):
        (folder / part / f"song0.{suffix}").rename(folder / part / f"{name}.{suffix}")
    folder.rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    for corpus in (f"folder:{tmp_path / name}", f"folder:./{name}", tmp_path / name):
        assert name in [track.name for track in open_corpus(corpus).tracks]


def test_a_path_names_a_folder_just_as_it_is(song_folder, tmp_path):
    folder = song_folder().rename(tmp_path / "songs ")
    assert len(open_corpus(folder).tracks) == 3


def test_a_home_folder_that_nobody_has():
    refused("folder:~nobody-of-this-name/songs", "~nobody-of-this-name/songs: there is no such folder")


# --- split tables ---


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_split_table(song_folder, end):
    folder = song_folder()
    lines = ["\ufefffile,split,remark", "song2.flac, train,x", "song0,test,", "song1.flac,valid,"]
    (folder / "splits.csv").write_bytes(end.join(lines).encode())
    splits = {track.name: track.split for track in open_corpus(f"folder:{folder}").tracks}
    assert splits == {"song0": "test", "song1": "valid", "song2": "train"}


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ("file,split\nsong0,train\nsong1,valid\nsong9,test\n", "line 4: 'song9' is not in audio/"),
        ("file,split\nsong0,train\nsong1,dev\nsong2,test\n", "line 3: no split 'dev'"),
        ("file,split\nsong0,train\nsong1,valid\n", "no line for song2.flac"),
        ("file,split\nsong0,train\nsong0.flac,valid\n", "line 3: 'song0.flac' stands there twice"),
        ("file,split\nsong0\n", "line 2: must have a file and a split"),
        ("file;split\nsong0;train\n", "first line must be 'file,split'"),
        ("song0,train\n", "first line must be 'file,split'"),
        ("", "first line must be 'file,split'"),
        ("file,split\nsong0,\udcff\n", "not a table in UTF-8 text"),
    ],
)
def test_bad_split_tables(song_folder, table, reason):
    folder = song_folder()
    (folder / "splits.csv").write_bytes(table.encode("utf-8", "surrogateescape"))
    refused(f"folder:{folder}", folder / "splits.csv", reason)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_a_split_table_that_is_no_plain_file_or_a_link_to_nowhere(song_folder):
    table = (folder := song_folder()) / "splits.csv"
    os.mkfifo(table)
    refused(f"folder:{folder}", table, "cannot be read", "not a plain file")
    table.unlink()
    table.symlink_to("nowhere")
    refused(f"folder:{folder}", table, "cannot be read", "No such file")


@pytest.fixture
def songs_once(song_folder):
    """A folder of three songs that all examples of a test write their tables to."""
    return song_folder()


@any_table
@given(
    start=st.sampled_from(["", "file,split\n", "file,split\nsong0,", "file,split\nsong0,train\n"]),
    piece=st.text(min_size=1, max_size=4) | st.sampled_from(["x", "\U000e0001", ",", "song0,train\n"]),
    times=st.integers(1, 5000),
    end=st.sampled_from(["", ",train", "\n"]),
)
@example(start="", piece="x", times=70_000, end="")
@example(start="file,split\nsong0,", piece="x", times=70_000, end="")
@example(start="file,split\n", piece="x", times=70_000, end=",train")
@example(start="file,split\n", piece="x", times=140_000, end=",train")
def test_long_lines_of_a_split_table_give_short_errors(songs_once, start, piece, times, end):
    table = songs_once / "splits.csv"
    table.write_bytes((start + piece * times + end).encode("utf-8", "surrogatepass"))
    with pytest.raises(CorpusError) as caught:
        open_corpus(f"folder:{songs_once}")
    assert str(table) in str(caught.value) and len(str(caught.value)) < 500 + len(str(table))


def test_split_table_may_leave_a_split_empty_until_it_is_asked_for(song_folder):
    folder = song_folder(2)
    (folder / "splits.csv").write_text("file,split\nsong0,test\nsong1,test\n")
    corpus = open_corpus(f"folder:{folder}")
    assert len(corpus.split("test")) == 2
    with pytest.raises(CorpusError, match="'train' has no song"):
        corpus.split("train")


# --- spectrograms and their cache ---


def counting_track(samples, calls, fingerprint="1"):
    def load():
        calls.append(1)
        return samples

    return Track("song", "train", (), fingerprint, load)


def test_log_mels_come_from_the_front_end_and_then_from_the_cache(tmp_path, melody):
    calls = []
    tracks = [counting_track(melody, calls), counting_track(melody[:50000], calls, "2")]
    first = log_mels(tracks, cache_dir=tmp_path / "new" / "cache")
    assert [len(spectrogram) for spectrogram in first] == [277, 156] and len(calls) == 2
    np.testing.assert_array_equal(first[0], LogMel()(melody))
    second = log_mels(tracks, cache_dir=tmp_path / "new" / "cache")
    assert len(calls) == 2
    for a, b in zip(first, second, strict=True):
        assert a.dtype == b.dtype == np.float32
        np.testing.assert_array_equal(a, b)
    assert {path.suffix for path in (tmp_path / "new" / "cache").iterdir()} == {".npy"}, "no partial file is left"


def test_changed_songs_and_changed_front_ends_are_computed_anew(tmp_path, melody, monkeypatch):
    calls = []
    log_mels([counting_track(melody, calls, "1")], cache_dir=tmp_path)
    log_mels([counting_track(melody, calls, "2")], cache_dir=tmp_path)
    monkeypatch.setattr("svdlib.songs.loading.FRONT_END_VERSION", "another")
    log_mels([counting_track(melody, calls, "1")], cache_dir=tmp_path)
    assert len(calls) == 3


def damaged(kind, content):
    import io
    import pickle

    def npy(array):
        """As the cache would write it, checksum and all."""
        buffer = io.BytesIO()
        _write(array, buffer)
        return buffer.getvalue()

    bare = io.BytesIO()
    np.save(bare, np.zeros((277, 80), np.float32))
    pickled = io.BytesIO()
    np.save(pickled, np.array([{}, 1], dtype=object))
    return {
        "empty": b"",
        "cut": content[:-10],
        "noise": b"noise" * 100,
        "pickle": pickle.dumps([1, 2]),
        "objects": pickled.getvalue(),
        "without checksum": bare.getvalue(),
        "float64": npy(np.zeros((3, 80))),
        "shape": npy(np.zeros((80, 3), dtype=np.float32)),
        "nan": npy(np.full((3, 80), np.nan, dtype=np.float32)),
        "header": content[:20] + b"garbage" + content[27:],
    }[kind]


DAMAGES = [
    "empty", "cut", "noise", "pickle", "objects", "without checksum", "float64", "shape", "nan", "header",
]  # fmt: skip


@pytest.mark.parametrize("kind", DAMAGES)
def test_damaged_cache_entries_are_computed_anew(tmp_path, melody, kind):
    calls = []
    track = counting_track(melody, calls)
    (expected,) = log_mels([track], cache_dir=tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.write_bytes(damaged(kind, entry.read_bytes()))
    for _ in range(2):
        np.testing.assert_array_equal(log_mels([track], cache_dir=tmp_path)[0], expected)
    assert len(calls) == 2, "computed anew once, then kept"


@given(st.data())
@settings(max_examples=40, deadline=None)
def test_a_flipped_bit_anywhere_in_a_cached_array_is_noticed(data):
    array = np.random.default_rng(0).standard_normal((5, 80)).astype(np.float32)
    job = Job(("key",), lambda: [array], np.float32, 80)
    with tempfile.TemporaryDirectory() as folder:
        compute_once([job], "arrays", cache_dir=folder)
        (entry,) = Path(folder).iterdir()
        content = bytearray(entry.read_bytes())
        content[data.draw(st.integers(0, len(content) - 1))] ^= 1 << data.draw(st.integers(0, 7))
        entry.write_bytes(content)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ((again,),) = compute_once([job], "arrays", cache_dir=folder)
        np.testing.assert_array_equal(again, array)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no pipes with names")
def test_a_pipe_in_the_place_of_a_cached_array_is_replaced_and_nobody_waits(tmp_path, melody):
    first = log_mels([track_of(melody)], cache_dir=tmp_path)
    (entry,) = tmp_path.iterdir()
    entry.unlink()
    os.mkfifo(entry)
    np.testing.assert_array_equal(log_mels([track_of(melody)], cache_dir=tmp_path)[0], first[0])
    assert entry.is_file()


def test_arrays_that_vanish_from_the_cache_are_computed_here(tmp_path, melody, monkeypatch):
    job = Job(("key",), lambda: [melody[:800].reshape(10, 80)], np.float32, 80)
    monkeypatch.setattr("svdlib.songs.corpora.cache.write_atomically", lambda *_: None)
    ((array,),) = compute_once([job], "arrays", cache_dir=tmp_path)
    np.testing.assert_array_equal(array, melody[:800].reshape(10, 80))


def test_songs_of_a_folder_are_read_in_blocks(song_folder, tmp_path, monkeypatch):
    tracks = open_corpus(f"folder:{song_folder(3)}").tracks
    whole = [LogMel()(track.load()) for track in tracks]
    monkeypatch.setattr("svdlib.audio.files._joined", lambda _: pytest.fail("a whole song in memory"))
    for track, expected in zip(tracks, whole, strict=True):
        np.testing.assert_array_equal(log_mels([track], cache_dir=tmp_path / track.name)[0], expected)


def test_abandoned_halves_of_files_are_tidied_away_and_others_are_not(tmp_path, melody):
    old, new = tmp_path / ".a.npy.17.partial", tmp_path / ".b.npy.18.partial"
    old.touch(), new.touch()
    os.utime(old, (0, 0))
    log_mels([track_of(melody)], cache_dir=tmp_path)
    assert new.exists() and not old.exists()


def test_what_is_to_be_kept_and_cannot_be_is_an_error(tmp_path, melody):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(OutputError, match="log-mels cannot be kept: .*taken.*Set SVDLIB_CACHE"):
        load_songs([track_of(melody)], cache_dir=tmp_path / "taken", keep=True)


def test_cache_that_cannot_be_written_is_reported_once_and_done_without(tmp_path, melody):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.warns(UserWarning, match="not cached.*taken.*SVDLIB_CACHE") as caught:
        found = log_mels([track_of(melody), track_of(melody, fingerprint="2")], cache_dir=tmp_path / "taken")
    assert len(caught) == 1 and len(found) == 2 and len(found[0]) == 277


def test_cache_folder_from_the_environment(tmp_path, melody, monkeypatch):
    monkeypatch.setenv("SVDLIB_CACHE", str(tmp_path / "mine"))
    log_mels([track_of(melody)])
    assert len(list((tmp_path / "mine").iterdir())) == 1
    monkeypatch.delenv("SVDLIB_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_cache_dir().name == "svdlib" and tmp_path in default_cache_dir().parents


def test_a_song_that_fails_leaves_the_others_cached(tmp_path, melody):
    def fail():
        raise AudioError("song.mp3: damaged; get it again")

    tracks = [track_of(melody), Track("bad", "train", (), "bad", fail)]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AudioError, match="song.mp3"):
            log_mels(tracks, cache_dir=tmp_path)
    assert len(list(tmp_path.iterdir())) == 1
