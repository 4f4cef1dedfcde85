"""The published corpora, on a server on this machine with archives of their layout; their songs are made here."""

import csv
import hashlib
import io
import json
import math
import os
import shutil
from dataclasses import replace
from types import SimpleNamespace
from urllib.parse import quote

import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from loopback import serving
from test_unpacking import contents, packed
from tiny import log_mels

from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.cli import main
from svdlib.errors import ArchiveError, AudioError, CorpusError, DownloadError, LabelError, OutputError
from svdlib.songs.corpora import (
    PUBLISHED_NAMES,
    SPLITS,
    Segment,
    download,
    fetching,
    frame_labels,
    jamendolyrics,
    open_corpus,
    published,
)
from svdlib.songs.corpora.fetching import fetch_corpus
from svdlib.songs.corpora.jamendo import take_stock as jamendo_stock
from svdlib.songs.corpora.jamendolyrics import join_words, read_words
from svdlib.songs.corpora.rwc import read_voca_inst
from svdlib.songs.corpora.sources import Source, data_folder
from svdlib.songs.corpora.zenodo import RECORD_FILE, record_files

pytestmark = pytest.mark.filterwarnings("ignore:.* songs of .* are there")  # all editions in these tests are small
any_file = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
LAB = b"0 1 nosing\n1 3 sing\n3 4 nosing\n"
VOCA_INST = b"0.000000000\tb\n1.0\tm:withm\n2.0\tf:\n3.0\ts:guitar\n3.9\te\n"
WORDS = b"word_start,word_end,line_end\n1.0,1.4,nan\n1.5,2.0,nan\n2.1,3.0,3.0\n"


@pytest.fixture(scope="module")
def sounds():
    """The same four seconds as a sound file of each kind."""
    import soundfile

    rng = np.random.default_rng(0)
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    samples = 0.3 * np.sin(2 * np.pi * 220 * time) + 0.01 * rng.standard_normal(len(time))
    made = {}
    for kind, subtype in [("MP3", None), ("OGG", "VORBIS"), ("WAV", "PCM_16")]:
        buffer = io.BytesIO()
        soundfile.write(buffer, samples, SAMPLE_RATE, format=kind, subtype=subtype)
        made[kind.lower()] = buffer.getvalue()
    return made


class Publisher:
    """A corpus on the loopback server: what it should look like, and how to spoil it."""

    def __init__(self, server, sounds, monkeypatch):
        self.server, self.sounds, self.monkeypatch = server, sounds, monkeypatch

    def publish(self, name):
        """Put a small edition of a corpus on the server; `self.main` is the path of its largest file."""
        self.name, self.publication = name, published.PUBLICATIONS[name]
        getattr(self, f"_{name}")()
        self.monkeypatch.setitem(published.PUBLICATIONS, name, self.publication)
        return self

    def _jamendo(self):
        kinds = {"a": "mp3", "b": "ogg", "c": "mp3", "d": "ogg"}
        files = {f"jamendo/audio/{song}.{kind}": self.sounds[kind] for song, kind in kinds.items()}
        files |= {f"jamendo/labels/{song}.lab": LAB for song in "abcd"}
        lists = {"train": "a.mp3\nb.ogg\n", "valid": "c.mp3\n", "test": "d.ogg\n"}
        files |= {f"jamendo/filelists/{split}": text.encode() for split, text in lists.items()}
        self._zenodo("jamando.zip", packed(files))

    def _electrobyte(self):
        files = {f"audio/{split}/{split} song.mp3": self.sounds["mp3"] for split in SPLITS}
        files |= {f"labels/{split} song.lab": LAB for split in SPLITS}
        self._zenodo("Electrobyte.tar.gz", packed(files, "tar.gz"))

    def _zenodo(self, name, archive):
        self.main = f"/content/{name}"
        self.server.files[self.main] = archive
        self.record(archive)
        source = replace(self.publication.sources[0], url=f"{self.server.url}/record")
        self.publication = replace(self.publication, sources=(source,))

    def record(self, archive):
        """Describe the archive as Zenodo does."""
        checksum = "md5:" + hashlib.md5(archive).hexdigest()
        links = {"self": self.server.url + self.main}
        entry = {"key": self.main.rpartition("/")[2], "size": len(archive), "checksum": checksum, "links": links}
        self.server.files["/record"] = json.dumps({"id": 1, "files": [entry]}).encode()

    def _rwc(self):
        songs = {f"RWC-P/RWC_P00{number}.wav": self.sounds["wav"] for number in (1, 2, 3)}
        places = [
            f"rwc-annotations-archive-9944/AIST_RWC-MDB-P-2001_VOCA_INST/RM-P00{n}.VOCA_INST.TXT" for n in (1, 2, 3)
        ]
        labels = dict.fromkeys(places, VOCA_INST) | {"rwc-annotations-archive-9944/README.md": b"read me"}
        self.main = "/RWC-P.zip"
        self.server.files |= {self.main: packed(songs), "/annotations.zip": packed(labels)}
        annotations, audio = self.publication.sources
        self.publication = replace(
            self.publication,
            sources=(
                replace(annotations, url=f"{self.server.url}/annotations.zip"),
                self._measured(replace(audio, url=self.server.url + self.main)),
            ),
        )

    def _measured(self, source):
        content = self.server.files[self.main]
        return replace(source, size=len(content), checksum="md5:" + hashlib.md5(content).hexdigest())

    def _jamendolyrics(self):
        songs = {"Niño_-_Los_Tres.mp3": "Spanish", "A_-_(b)_[2].mp3": "English"}
        rows = "".join(f"https://x,{song},A,T,Pop,CC BY,{language},f,f,f\n" for song, language in songs.items())
        files = {"JamendoLyrics.csv": f"URL,Filepath,Artist,Title,Genre,LicenseType,Language,a,b,c\n{rows}".encode()}
        files |= {f"subsets/{jamendolyrics.FOLDERS[songs[song]]}/mp3/{song}": self.sounds["mp3"] for song in songs}
        files |= {f"annotations/words/{song.removesuffix('.mp3')}.csv": WORDS for song in songs}
        self.server.files |= {f"/{quote(place)}": content for place, content in files.items()}
        self.main = f"/{quote('subsets/es/mp3/Niño_-_Los_Tres.mp3')}"
        self.monkeypatch.setattr(jamendolyrics, "ADDRESS", self.server.url)
        source = replace(self.publication.sources[0], url=f"{self.server.url}/JamendoLyrics.csv")
        self.publication = replace(self.publication, sources=(source,))

    def fetch(self, to=None):
        return fetch_corpus(self.publication, to)

    def swap(self, content):
        """Put another main file on the server, as if its publisher had done it, and tell its true size and checksum."""
        self.server.files[self.main] = content
        if "/record" in self.server.files:
            self.record(content)
        if self.name == "rwc":
            annotations, audio = self.publication.sources
            self.publication = replace(self.publication, sources=(annotations, self._measured(audio)))

    def refused(self, error, *reasons):
        """Fetching fails for these reasons, and leaves no corpus."""
        with pytest.raises(error) as caught:
            self.fetch()
        for reason in reasons:
            assert str(reason) in str(caught.value), caught.value
        assert not (data_folder() / self.name).exists()
        with pytest.raises(CorpusError, match=f"svdlib corpus fetch {self.name}"):
            open_corpus(self.name)


@pytest.fixture
def publisher(tmp_path, monkeypatch, sounds):
    monkeypatch.setenv("SVDLIB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "WAITS", (0.0,))
    with serving() as server:
        yield Publisher(server, sounds, monkeypatch)


every_corpus = pytest.mark.parametrize("name", PUBLISHED_NAMES)
SUNG = {
    "jamendo": (Segment(0, 1, False), Segment(1, 3, True), Segment(3, 4, False)),
    "electrobyte": (Segment(0, 1, False), Segment(1, 3, True), Segment(3, 4, False)),
    "rwc": (Segment(0, 1, False), Segment(1, 3, True), Segment(3, 3.9, False)),
    "jamendolyrics": (Segment(1, 3, True),),
}
SONGS = {
    "jamendo": {"a": "train", "b": "train", "c": "valid", "d": "test"},
    "electrobyte": {"train song": "train", "valid song": "valid", "test song": "test"},
    "rwc": {"RWC_P001": "test", "RWC_P002": "test", "RWC_P003": "test"},
    "jamendolyrics": {"A_-_(b)_[2]": "test", "Niño_-_Los_Tres": "test"},
}


def check_corpus(name, corpus):
    assert corpus.name == name
    assert {track.name: track.split for track in corpus.tracks} == SONGS[name]
    for track in corpus.tracks:
        ends = [round(part.end, 3) for part in track.segments]
        assert ends == [part.end for part in SUNG[name]]
        assert [part.sing for part in track.segments] == [part.sing for part in SUNG[name]]
        assert track.seconds == pytest.approx(4, abs=0.1)
    assert corpus.tracks[0].load().shape == pytest.approx((4 * SAMPLE_RATE,), rel=0.03)


# --- each corpus on the loopback server ---


@every_corpus
def test_a_corpus_is_fetched_and_opened(publisher, name):
    folder = publisher.publish(name).fetch()
    assert folder == data_folder() / name
    check_corpus(name, open_corpus(name))
    assert set(os.listdir(data_folder())) == {"fetched.json", name}, "nothing unfinished is left"
    pins = json.loads((data_folder() / "fetched.json").read_text())
    assert publisher.server.url + publisher.main in pins and f"{publisher.server.url}/record" not in pins


@every_corpus
def test_log_mels_of_a_fetched_corpus_are_cached_once(publisher, name, tmp_path):
    publisher.publish(name).fetch()
    first = log_mels(open_corpus(name).tracks, cache_dir=tmp_path / "cache")
    entries = {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    second = log_mels(open_corpus(name).tracks, cache_dir=tmp_path / "cache")
    assert len(entries) == len(SONGS[name])
    assert {path.name: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()} == entries
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)


@every_corpus
def test_a_corpus_may_lie_elsewhere(publisher, name, tmp_path):
    folder = publisher.publish(name).fetch(tmp_path / "my corpora" / "here")
    check_corpus(name, open_corpus(f"{name}:{folder}"))
    with pytest.raises(CorpusError, match="is not there"):
        open_corpus(name)


@every_corpus
def test_an_interrupted_fetch_is_gone_on_with(publisher, name, monkeypatch):
    publisher.publish(name)
    size = len(publisher.server.files[publisher.main])
    monkeypatch.setattr(download, "BLOCK", 1000)
    with monkeypatch.context() as patch:
        cut_main_file(publisher, patch, size // 3)
        publisher.refused(DownloadError, "the connection broke after", f"of {size} bytes", "the same command goes on")
    publisher.server.asked.clear()
    publisher.fetch()
    check_corpus(name, open_corpus(name))
    ((_, wanted),) = [asked for asked in publisher.server.asked if asked[0] == publisher.main]
    assert size // 4 < int(wanted.removeprefix("bytes=").rstrip("-")) < size


def cut_main_file(publisher, patch, at):
    """Let the server break off its answers for the main file."""
    import loopback

    send = loopback.send

    def send_half(handler, body, state):
        if handler.path == publisher.main:
            handler.close_connection = True
            body = body[:at] if len(body) > at else b""
        send(handler, body, state)

    patch.setattr(loopback, "send", send_half)


@every_corpus
def test_ctrl_c_while_fetching(publisher, name, monkeypatch):
    publisher.publish(name)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(fetching, "_put_together", interrupt)
        with pytest.raises(KeyboardInterrupt):
            publisher.fetch()
    assert not (data_folder() / name).exists()
    publisher.server.asked.clear()
    publisher.fetch()
    check_corpus(name, open_corpus(name))
    assert {path for path, _ in publisher.server.asked} <= {"/record"}, "what had arrived is not fetched again"


@every_corpus
def test_a_wrong_checksum(publisher, name):
    publisher.publish(name)
    if name == "jamendolyrics":  # its publisher tells none: the one of the first fetch counts
        shutil.rmtree(publisher.fetch())
    right = publisher.server.files[publisher.main]
    publisher.server.files[publisher.main] = wrong = right[:-1] + bytes([right[-1] ^ 1])
    kind = "sha256" if name == "jamendolyrics" else "md5"
    digests = [hashlib.new(kind, content).hexdigest() for content in (wrong, right)]
    publisher.refused(DownloadError, publisher.main, *digests, "Run the command again")
    publisher.server.files[publisher.main] = right
    publisher.fetch()
    check_corpus(name, open_corpus(name))


@every_corpus
def test_a_truncated_archive(publisher, name):
    publisher.publish(name)
    right = publisher.server.files[publisher.main]
    publisher.swap(right[: len(right) // 2])
    if name == "jamendolyrics":  # a song alone, which no unpacking looks at
        publisher.fetch()
        with pytest.raises(AudioError, match="Los_Tres.mp3.*get or export the file again"):
            open_corpus(name)
        return
    publisher.refused(ArchiveError, publisher.main[1:].rpartition("/")[2], "not a whole zip or tar file")
    publisher.swap(right)
    publisher.fetch()
    check_corpus(name, open_corpus(name))


@every_corpus
def test_a_hostile_archive(publisher, name, tmp_path):
    publisher.publish(name)
    if name == "jamendolyrics":
        table = publisher.server.files["/JamendoLyrics.csv"]
        publisher.server.files["/JamendoLyrics.csv"] = table.replace(b"A_-_", b"../../../evil")
    else:
        publisher.swap(packed({"good.lab": LAB, "../../../evil": b"evil"}))
    publisher.refused(ArchiveError, "evil", "no place inside a folder")
    assert not [path for path in tmp_path.rglob("*") if "evil" in path.name]


@every_corpus
@pytest.mark.parametrize(("status", "reason"), [(404, "it may have moved"), (403, "restricted"), (500, "answers 500")])
def test_http_errors(publisher, name, status, reason):
    publisher.publish(name)
    publisher.server.statuses = [status] * 9
    publisher.refused(DownloadError, reason)
    publisher.server.statuses = []
    publisher.fetch()
    check_corpus(name, open_corpus(name))


@every_corpus
def test_no_network(publisher, name, monkeypatch):
    import socket

    publisher.publish(name)

    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    publisher.refused(DownloadError, "no connection (Name or service not known)", "Check the network")


@every_corpus
def test_a_disk_that_is_too_small(publisher, name, monkeypatch):
    publisher.publish(name)
    if name == "jamendolyrics":
        publisher.publication = replace(
            publisher.publication, sources=(replace(publisher.publication.sources[0], size=len(WORDS) * 100),)
        )
    monkeypatch.setattr(fetching.shutil, "disk_usage", lambda _: SimpleNamespace(free=1))
    publisher.refused(OutputError, "GB are free", "--to")


def test_nothing_is_overwritten(publisher, tmp_path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("precious")
    with pytest.raises(OutputError, match="full: not empty; nothing is overwritten"):
        publisher.publish("rwc").fetch(tmp_path / "full")
    assert contents(tmp_path / "full") == {"file": b"precious"} and publisher.server.asked == []
    (tmp_path / "empty").mkdir()
    check_corpus("rwc", open_corpus(f"rwc:{publisher.fetch(tmp_path / 'empty')}"))


def test_two_fetches_of_one_corpus(publisher):
    fcntl = pytest.importorskip("fcntl")
    work = data_folder() / ".rwc.fetching"
    work.mkdir(parents=True)
    with (work / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        publisher.publish("rwc").refused(CorpusError, "another process is fetching")
    publisher.fetch()


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"files": 3}', '{"files": [3]}', '{"files": [{"key": "a.zip"}]}',
        '{"files": [{"key": "a.zip", "links": {"self": "file:///etc/passwd"}, "size": 1, "checksum": "md5:0"}]}',
        '{"files": [{"key": "a.zip", "links": {"self": "http://x/a"}, "size": -1, "checksum": "md5:0"}]}',
        '{"files": [{"key": "a.zip", "links": {"self": "http://x/a"}, "size": 1, "checksum": "crc:0"}]}',
        '{"files": []}',
    ],
)  # fmt: skip
def test_records_that_zenodo_would_not_give(tmp_path, text):
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(DownloadError, match=RECORD_FILE):
        record_files(tmp_path)


def test_a_record_with_several_files(tmp_path):
    digest = "md5:" + "a" * 32
    entries = [
        {"key": key, "links": {"self": f"https://x/{quote(key)}"}, "size": 7, "checksum": digest}
        for key in ("songs.tar.gz", "Labels.ZIP", "read me.txt")
    ]
    (tmp_path / RECORD_FILE).write_text(json.dumps({"files": entries}))
    assert record_files(tmp_path) == (
        Source("https://x/songs.tar.gz", "songs.tar.gz", "songs", 7, digest),
        Source("https://x/Labels.ZIP", "Labels.ZIP", "Labels", 7, digest),
        Source("https://x/read%20me.txt", "read me.txt", None, 7, digest),
    )


# --- what the publications say ---


@every_corpus
def test_every_publication_says_what_a_reader_needs(name):
    publication = published.PUBLICATIONS[name]
    assert publication.name == name and set(publication.songs) <= set(SPLITS)
    for text in (publication.licence, publication.cite, publication.page, publication.layout, publication.unconfirmed):
        assert len(text) > 10
    assert all(source.url.startswith("https://") for source in publication.sources)


def test_the_numbers_of_songs_are_the_published_ones():
    sizes = {name: publication.songs for name, publication in published.PUBLICATIONS.items()}
    assert sizes["jamendo"] == {"train": 61, "valid": 16, "test": 16}
    assert sizes["electrobyte"] == {"train": 60, "valid": 15, "test": 15}
    assert sizes["rwc"] == {"test": 100} and sizes["jamendolyrics"] == {"test": 79}


# --- brought by hand ---


def by_hand(folder, files):
    for place, content in files.items():
        (folder / place).parent.mkdir(parents=True, exist_ok=True)
        (folder / place).write_bytes(content)
    return folder


def test_jamendo_in_the_layout_of_its_old_archives(tmp_path, sounds):
    files = {f"{split}/{split}.ogg": sounds["ogg"] for split in SPLITS}
    files |= {f"jamendo_lab/{split}.lab": LAB for split in SPLITS}
    files |= {f"jam_{split}_list.txt": f"{split}.trs\n".encode() for split in SPLITS}
    corpus = open_corpus(f"jamendo:{by_hand(tmp_path, files)}")
    assert {track.name: track.split for track in corpus.tracks} == {split: split for split in SPLITS}


def test_accents_may_be_spelled_apart(tmp_path, sounds):
    files = {"train/e\u0301.ogg": sounds["ogg"], "\u00e9.lab": LAB}
    (track,) = open_corpus(f"electrobyte:{by_hand(tmp_path, files)}").tracks
    assert track.name == "\u00e9" and track.split == "train"


def test_fewer_songs_than_were_published_are_pointed_out(tmp_path, sounds):
    by_hand(tmp_path, {"RWC_P001.wav": sounds["wav"], "RM-P001.VOCA_INST.TXT": VOCA_INST})
    with pytest.warns(UserWarning, match="1 of the 100 songs of rwc are there"):
        open_corpus(f"rwc:{tmp_path}")


def test_links_to_songs_are_no_second_songs(tmp_path, sounds):
    by_hand(tmp_path, {"subsets/en/mp3/a.mp3": sounds["mp3"], "annotations/words/a.csv": WORDS})
    (tmp_path / "mp3").mkdir()
    (tmp_path / "mp3" / "a.mp3").symlink_to("../subsets/en/mp3/a.mp3")
    assert len(open_corpus(f"jamendolyrics:{tmp_path}").tracks) == 1


GOOD = {"train/a.ogg": "ogg", "a.lab": LAB, "test/b.ogg": "ogg", "b.lab": LAB}


@pytest.mark.parametrize(
    ("changes", "reasons", "error"),
    [
        ({"c.lab": LAB}, ["1 songs with labels but no sound ('c')"], CorpusError),
        ({"train/c.ogg": "ogg"}, ["1 songs without labels ('c')"], CorpusError),
        ({"c.ogg": "ogg", "c.lab": LAB}, ["1 songs in no split ('c')"], CorpusError),
        ({"other/a.ogg": "ogg"}, ["a.ogg", "same name"], CorpusError),
        ({"train": b"a.ogg\nc.ogg\n"}, ["no sound ('c')"], CorpusError),
        ({"a.lab": b"0 9.2 sing\n"}, ["a.lab", "9.2 s, beyond the end"], LabelError),
        ({"a.lab": b"0 1 humming\n"}, ["a.lab, line 1", "humming"], LabelError),
        ({"train/a.ogg": b"not sound"}, ["a.ogg"], AudioError),
    ],
)
def test_incomplete_and_damaged_corpora(tmp_path, sounds, changes, reasons, error):
    files = GOOD | changes
    if "train" in changes:  # a list of songs instead of a folder
        files = {"a.ogg": "ogg", "a.lab": LAB} | changes
    by_hand(tmp_path, {place: sounds.get(content, content) if isinstance(content, str) else content
                       for place, content in files.items()})  # fmt: skip
    with pytest.raises(error) as caught:
        open_corpus(f"electrobyte:{tmp_path}")
    for reason in (str(tmp_path), *reasons):
        assert reason in str(caught.value)


def test_labels_a_little_too_long_are_cut_at_the_end_of_the_song(tmp_path, sounds):
    by_hand(tmp_path, {"test/a.wav": sounds["wav"], "a.lab": b"0 2 nosing\n2 7.5 sing\n7.5 8 nosing\n"})
    (track,) = open_corpus(f"electrobyte:{tmp_path}").tracks
    assert track.segments == (Segment(0, 2, False), Segment(2, 4, True))


def test_splits_a_corpus_does_not_have(tmp_path, sounds):
    by_hand(tmp_path, {"RWC_P001.wav": sounds["wav"], "RM-P001.VOCA_INST.TXT": VOCA_INST})
    corpus = open_corpus(f"rwc:{tmp_path}")
    assert len(corpus.split("test")) == 1
    with pytest.raises(CorpusError, match="'train' has no song"):
        corpus.split("train")


def test_long_names_in_lists_are_cut_in_messages(tmp_path, sounds):
    name = "x" * 70_000
    by_hand(tmp_path, {"train": f"{name}\n".encode(), "a.ogg": sounds["ogg"], "a.lab": LAB})
    (tmp_path / "test").write_text(f"{name}\n")
    with pytest.raises(CorpusError, match="in the list for train as well") as caught:
        jamendo_stock(tmp_path)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_a_long_language_in_the_table_of_lyrics_is_cut_in_the_message(tmp_path):
    (tmp_path / "JamendoLyrics.csv").write_text(f"Filepath,Language\na.mp3,{'x' * 70_000}\n")
    with pytest.raises(DownloadError, match="JamendoLyrics.csv: not the table") as caught:
        jamendolyrics.name_songs(tmp_path)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


def test_a_song_in_two_lists(tmp_path):
    by_hand(tmp_path, {"train": b"a.mp3\n", "test": b"b.mp3\na.ogg\n"})
    with pytest.raises(CorpusError, match="test, line 2: 'a' is in the list for train as well"):
        jamendo_stock(tmp_path)


def test_an_empty_folder_and_a_missing_one(tmp_path):
    for place in (tmp_path, tmp_path / "none"):
        with pytest.raises(CorpusError, match="svdlib corpus fetch rwc") as caught:
            open_corpus(f"rwc:{place}")
        assert str(place) in str(caught.value)
    with pytest.raises(CorpusError, match="names no folder: write rwc:PATH"):
        open_corpus("rwc:")


# --- the command line ---


def run(capsys, *words):
    status = main([str(word) for word in words])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


@every_corpus
def test_the_command_shows_the_licence_fetches_and_says_what_came(publisher, capsys, name):
    publisher.publish(name)
    status, out, err = run(capsys, "corpus", "fetch", name, "--yes")
    assert status == 0
    publication = publisher.publication
    for text in (publication.licence, publication.cite, publication.page, publication.unconfirmed):
        assert text in err
    assert err.index(publisher.publication.licence) < err.rindex("100%"), "before the download"
    assert out == f"{data_folder() / name}: {len(SONGS[name])} songs; the corpus is now {name}\n"
    asked = len(publisher.server.asked)
    assert run(capsys, "corpus", "fetch", name, "--yes")[1] == out and len(publisher.server.asked) == asked


def test_fetching_to_another_folder(publisher, capsys, tmp_path):
    publisher.publish("rwc")
    status, out, _ = run(capsys, "corpus", "fetch", "rwc", "--to", tmp_path / "rwc here", "--yes", "--json")
    assert status == 0 and json.loads(out)["corpus"] == f"rwc:{tmp_path / 'rwc here'}"
    assert json.loads(out)["splits"]["test"]["songs"] == 3


@pytest.mark.parametrize("with_to", [True, False])
@every_corpus
def test_a_folder_with_something_else_is_not_taken_for_a_corpus(publisher, capsys, tmp_path, name, with_to):
    publisher.publish(name)
    by_hand(tmp_path / "other", {"notes.txt": b"mine", "deep/picture.png": b"mine"})
    words = [name, "--to", tmp_path / "other"] if with_to else [f"{name}:{tmp_path / 'other'}"]
    status, out, err = run(capsys, "corpus", "fetch", *words, "--yes")
    assert status == 2 and out == "" and publisher.server.asked == []
    assert f"{tmp_path / 'other'} is not empty, and holds no song of {name}; name another folder" in err


def test_without_a_terminal_yes_has_to_be_said(publisher, capsys, monkeypatch):
    publisher.publish("jamendo")
    monkeypatch.setattr("sys.stdin", io.StringIO("y\n"))
    status, out, err = run(capsys, "corpus", "fetch", "jamendo")
    assert status == 2 and out == "" and "svdlib corpus fetch jamendo --yes" in err and publisher.server.asked == []


@pytest.mark.parametrize(("answer", "agreed"), [("y", True), ("YES", True), ("n", False), ("", False), ("jo", False)])
def test_on_a_terminal_it_asks(publisher, capsys, monkeypatch, answer, agreed):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    publisher.publish("jamendo")
    monkeypatch.setattr("sys.stdin", Terminal(f"{answer}\n"))
    status, out, err = run(capsys, "corpus", "fetch", "jamendo")
    assert status == 0 and "Fetch it? [y/N]" in err
    assert bool(out) == agreed == bool(publisher.server.asked) and agreed != ("nothing was fetched" in err)


@pytest.mark.parametrize("name", ["folder:x", "synthetic", "jazz"])
def test_what_cannot_be_fetched(capsys, name):
    status, _, err = run(capsys, "corpus", "fetch", name, "--yes")
    assert status == 2 and repr(name) in err and "jamendo, rwc, jamendolyrics, electrobyte" in err


def test_a_failed_fetch_is_one_line(publisher, capsys):
    publisher.publish("rwc")
    del publisher.server.files["/annotations.zip"]
    status, out, err = run(capsys, "corpus", "fetch", "rwc", "--yes")
    assert status == 2 and out == "" and "Traceback" not in err
    assert "answers 404" in err.rstrip().split("\n")[-1]


def test_info_counts_hours_and_names_what_is_missing(capsys, tmp_path, sounds):
    files = {f"train/{song}.wav": sounds["wav"] for song in "abc"} | {f"{song}.lab": LAB for song in "abd"}
    by_hand(tmp_path, files | {"b.lab": b"0 99 sing\n", "e.wav": sounds["wav"], "e.lab": LAB})
    name = f"jamendo:{tmp_path}"
    status, out, _ = run(capsys, "corpus", "info", name, "--json")
    result = json.loads(out)
    assert status == 0 and result["there"] and result["folder"] == str(tmp_path)
    assert result["splits"]["train"] == {
        "songs": 1, "songs_expected": 61,
        "sung_hours": pytest.approx(2 / 3600), "unsung_hours": pytest.approx(2 / 3600),
    }  # fmt: skip
    assert (result["without_labels"], result["without_sound"], result["without_split"]) == (["c"], ["d"], ["e"])
    (problem,) = result["problems"]
    assert "b.lab" in problem and "beyond the end" in problem
    text = run(capsys, "corpus", "info", name)[1]
    for part in ("1 of  61 songs", "without labels: c", "without sound: d", "without split: e", problem, "licence: "):
        assert part in text


def test_info_names_a_song_shorter_than_an_excerpt(capsys, tmp_path, sounds):
    import soundfile

    by_hand(tmp_path, {f"train/{song}.wav": sounds["wav"] for song in "ab"} | {f"{song}.lab": LAB for song in "ab"})
    soundfile.write(tmp_path / "train" / "b.wav", np.full(30_000, 0.1), SAMPLE_RATE)
    status, out, _ = run(capsys, "corpus", "info", f"jamendo:{tmp_path}", "--json")
    (problem,) = json.loads(out)["problems"]
    assert status == 0 and "b.wav: too short (1.36 s)" in problem


@every_corpus
def test_info_on_a_corpus_that_is_not_there(capsys, tmp_path, monkeypatch, name):
    monkeypatch.setenv("SVDLIB_DATA", str(tmp_path))
    status, out, _ = run(capsys, "corpus", "info", name)
    assert status == 0 and f"{tmp_path / name} is not there" in out and f"svdlib corpus fetch {name}" in out
    assert not json.loads(run(capsys, "corpus", "info", name, "--json")[1])["there"]


@every_corpus
def test_using_a_corpus_that_is_not_there(capsys, tmp_path, monkeypatch, name):
    monkeypatch.setenv("SVDLIB_DATA", str(tmp_path))
    status, _, err = run(capsys, "evaluate", "detector", "--corpus", name)
    assert status == 2 and f"svdlib corpus fetch {name}" in err and str(tmp_path) in err


def test_fetched_corpora_lie_in_the_users_data_folder(monkeypatch, tmp_path):
    monkeypatch.delenv("SVDLIB_DATA", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert data_folder().name == "svdlib" and tmp_path in data_folder().parents


# --- label readers ---


@pytest.fixture
def labels(tmp_path):
    """Write a label file, from text or bytes, and return its path."""

    def write(content, name="labels.txt"):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    return write


def test_vocal_activity_holds_until_the_next_line(labels):
    path = labels("0.0\tb\n10.293061224\tm:withm\n20\tf:\n30\tgm:all\n31\tg\n40\ts:sax\n50\tb\n60.5\te\n")
    assert read_voca_inst(path, 70) == (
        Segment(0, 10.293061224, False), Segment(10.293061224, 40, True), Segment(40, 60.5, False),
    )  # fmt: skip


def test_vocal_activity_without_an_end_goes_on_to_the_end_of_the_song(labels):
    assert read_voca_inst(labels("0\tb\n2\tm\n"), 9.5) == (Segment(0, 2, False), Segment(2, 9.5, True))
    assert read_voca_inst(labels("0\tb\n2\tm\n"), 1.5) == (Segment(0, 2, False),)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no label in it"),
        ("0 b\n", "line 1: '0 b' is not understood"),
        ("0\tb\tm\n", "not understood"),
        ("0\tguitar\n", "not understood"),
        ("0\tbass\n", "not understood"),
        ("0\tM:\n", "not understood"),
        ("x\tb\n", "line 1: 'x' is not a time"),
        ("-1\tb\n", "not a time"),
        ("nan\tb\n", "not a time"),
        ("0\tb\n0\tm\n", "line 2: 0 s is not after 0 s"),
        ("1\tb\n0.5\tm\n", "sort the lines"),
        ("0\tb\n1\te\n2\tm\n", "line 3: '2\\tm' comes after the end"),
        (b"\xff\xfe", "not UTF-8"),
    ],
)
def test_bad_vocal_activity(labels, text, reason):
    check_refused(labels(text), read_voca_inst, reason)


def test_words_become_segments_where_rests_are_short(labels):
    # Rests of 0.16, 0.527 and 0.1 s.
    path = labels(
        "word_start,word_end,line_end\n18.76,20.54,nan\n20.70,21.42,21.42\n21.947,22.10,nan\n22.2,23.16,nan\n"
    )
    assert read_words(path, 99) == (Segment(18.76, 21.42, True), Segment(21.947, 23.16, True))


def test_a_rest_of_half_a_second_separates():
    assert join_words([(0, 1), (1.5, 2)]) == (Segment(0, 1, True), Segment(1.5, 2, True))
    assert join_words([(0, 1), (1.499, 2)]) == (Segment(0, 2, True),)
    assert join_words([(3, 4), (0, 2.8), (1, 1.5)]) == (Segment(0, 4, True),), "voices overlap"
    assert join_words([(3, 3)]) == () and join_words([]) == ()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "first line must name the columns word_start and word_end"),
        ("start,end\n1,2\n", "must name the columns"),
        ("word_start,word_end\n", "no word in it"),
        ("word_start,word_end\n1,2\n2,1\n", "line 3: a word ends at 1 s"),
        ("word_start,word_end\n1\n", "line 2: None is not a time"),
        ("word_start,word_end\n1,nan\n", "line 2: 'nan' is not a time"),
        ("word_start,word_end\n-1,2\n", "'-1' is not a time"),
        ("word_start,word_end\n1,1e999\n", "'1e999' is not a time"),
        (b"\x00", "zero bytes"),
    ],
)
def test_bad_words(labels, text, reason):
    check_refused(labels(text), read_words, reason)


def check_refused(path, read, reason):
    """A label reader's error names the file and the reason."""
    with pytest.raises(LabelError) as caught:
        read(path, 9)
    assert str(path) in str(caught.value) and reason in str(caught.value)


def check_any(path, read):
    """A label reader gives segments in order, or an error that names the file."""
    try:
        segments = read(path, 9.0)
    except LabelError as error:
        assert str(path) in str(error) and len(str(error)) < 500 + len(str(path))
        return None
    times = [time for part in segments for time in (part.start, part.end)]
    assert times == sorted(times) and all(math.isfinite(time) and time >= 0 for time in times)
    assert all(part.start < part.end for part in segments)
    return segments


both_readers = pytest.mark.parametrize("read", [read_voca_inst, read_words])


@both_readers
@any_file
@given(content=st.binary(max_size=120))
def test_any_bytes(labels, read, content):
    check_any(labels(content), read)


@both_readers
@any_file
@given(
    start=st.sampled_from(["", "word_start,word_end\n", "0\tb\n"]),
    text=st.text(alphabet='0123456789.,\t\n"e+-nmfgsb:_\r\x0b\u2028é', max_size=60),
)
def test_any_text(labels, read, start, text):
    check_any(labels(start + text), read)


@both_readers
@any_file
@given(
    start=st.sampled_from(["", "word_start,word_end\n", "word_start,word_end\n1,", "0\tb\n", "0\te\n", "0\tm:"]),
    piece=st.text(min_size=1, max_size=4) | st.sampled_from(["9", "x", "\U000e0001", "1,", "\t"]),
    times=st.integers(1, 5000),
    end=st.sampled_from(["", "\tb", ",2", "\n"]),
)
@example(start="word_start,word_end\n1,", piece="x", times=70_000, end="")
@example(start="word_start,word_end\n1,", piece="x", times=140_000, end="")
@example(start="0\te\n", piece="x", times=70_000, end="")
@example(start="", piece="x", times=70_000, end="\tb")
@example(start="", piece="x", times=70_000, end="")
def test_long_lines(labels, read, start, piece, times, end):
    check_any(labels(start + piece * times + end), read)


@any_file
@given(edits=st.lists(st.tuples(st.integers(0, 200), st.sampled_from(list("0123456789.\t\nbmfgse:-x,"))), max_size=4))
def test_edited_vocal_activity_is_refused_or_read_as_a_slow_reader_does(labels, edits):
    text = list(VOCA_INST.decode())
    for place, character in edits:
        text[place % len(text)] = character
    segments = check_any(labels("".join(text)), read_voca_inst)
    if segments is None:
        return
    lines = [line.strip().split("\t") for line in "".join(text).split("\n") if line.strip()]
    for time in np.arange(0, 9, 0.07):
        heard = [label for start, label in lines if float(start) <= time]
        sung = bool(heard) and heard[-1].strip()[0] in "mfg"
        assert any(part.sing and part.start <= time < part.end for part in segments) == sung


@any_file
@given(edits=st.lists(st.tuples(st.integers(0, 200), st.sampled_from(list("0123456789.,\n-nae"))), max_size=4))
def test_edited_words_are_refused_or_read_as_a_slow_reader_does(labels, edits):
    text = list(WORDS.decode())
    for place, character in edits:
        text[place % len(text)] = character
    segments = check_any(labels("".join(text)), read_words)
    if segments is None:
        return
    rows = list(csv.DictReader("".join(text).split("\n")))
    times = [(float(row["word_start"]), float(row["word_end"])) for row in rows]
    frames = frame_labels(segments, 700)
    for index in range(0, 700, 7):
        time = index / 70
        if any(start <= time < end for start, end in times):
            assert frames[index]
        if not any(start - 0.5 < time < end + 0.5 for start, end in times):
            assert not frames[index]


@any_file
@given(content=st.binary(max_size=80))
def test_any_list_of_songs(tmp_path, content):
    (tmp_path / "train").write_bytes(content)
    try:
        splits = jamendo_stock(tmp_path).splits
    except CorpusError as error:
        assert str(tmp_path / "train") in str(error)
    else:
        assert all(name.strip() and split == "train" for name, split in splits.items())


ENTRY = {"key": "a.zip", "size": 5, "checksum": f"md5:{'0' * 32}", "links": {"self": "https://a/a.zip"}}


def test_a_record_as_it_should_be(tmp_path):
    (tmp_path / RECORD_FILE).write_text(json.dumps({"files": [ENTRY]}))
    (source,) = record_files(tmp_path)
    assert (source.url, source.file, source.size, source.unpack_to) == ("https://a/a.zip", "a.zip", 5, "a")


@pytest.mark.parametrize(
    "text",
    [
        "[" * 100_000,
        '{"files":' + "[" * 100_000 + "]" * 100_000 + "}",
        json.dumps({"files": [ENTRY | {"size": 10**400}]}),
        json.dumps({"files": [ENTRY | {"size": 2**41}]}),
        '{"files": [{"size": ' + "9" * 5000 + "}]}",
        json.dumps({"files": [ENTRY | {"checksum": "x" * 70_000}]}),
        json.dumps({"files": [ENTRY | {"links": {"self": "x" * 70_000}}]}),
        json.dumps({"files": [ENTRY | {"key": "\ud800.zip"}]}),
        json.dumps({"files": [ENTRY | {"key": "x" * 70_000}]}),
    ],
)
def test_absurd_records_are_refused_in_few_words(tmp_path, text):
    (tmp_path / RECORD_FILE).write_text(text)
    with pytest.raises(CorpusError, match=RECORD_FILE) as caught:
        record_files(tmp_path)
    assert len(str(caught.value)) < 500 + len(str(tmp_path))


@any_file
@given(content=st.binary(max_size=120) | st.text(alphabet='{}[]",:afilesky015', max_size=60).map(str.encode))
def test_any_record_and_any_table(tmp_path, content):
    header = b"Filepath,Language\n"
    for name, read, start in (
        (RECORD_FILE, record_files, b""),
        ("JamendoLyrics.csv", jamendolyrics.name_songs, header),
    ):
        (tmp_path / name).write_bytes(start + content)
        with pytest.raises(CorpusError, match=name):
            read(tmp_path)
