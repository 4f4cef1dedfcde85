import errno
import hashlib
import json
import os
import random
import socket
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from loopback import serving

from svdlib.errors import DownloadError, OutputError
from svdlib.songs.corpora import download
from svdlib.songs.corpora.download import PINS_FILE, ResumingDownloader, fetch_file, pin, pinned
from svdlib.songs.corpora.sources import Source

CONTENT = random.Random(0).randbytes(300_000)
SHA256 = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
MD5 = "md5:" + hashlib.md5(CONTENT).hexdigest()


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("SVDLIB_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(download, "WAITS", (0.0, 0.0))
    with serving() as state:
        state.files["/a.zip"] = CONTENT
        yield state


def source(server, **options):
    return Source(f"{server.url}/a.zip", "a.zip", **options)


def refused(server, folder, *reasons, error=DownloadError, **options):
    with pytest.raises(error) as caught:
        fetch_file(source(server, **options), folder)
    for reason in reasons:
        assert str(reason) in str(caught.value)
    return str(caught.value)


# --- whole ---


@pytest.mark.parametrize("checksum", [None, SHA256, MD5, MD5.upper().replace("MD5", "md5")])
def test_a_file_arrives_and_nothing_else(server, tmp_path, checksum):
    path = fetch_file(source(server, checksum=checksum, size=len(CONTENT)), tmp_path / "new" / "folder")
    assert path.read_bytes() == CONTENT and os.listdir(path.parent) == ["a.zip"]
    assert server.asked == [("/a.zip", None)]


def test_a_file_that_is_there_is_not_fetched_again(server, tmp_path):
    for _ in range(2):
        fetch_file(source(server, checksum=MD5), tmp_path)
    assert len(server.asked) == 1


def test_a_file_that_is_there_but_is_another_is_fetched_again(server, tmp_path):
    (tmp_path / "a.zip").write_bytes(b"an older one")
    assert fetch_file(source(server, checksum=MD5), tmp_path).read_bytes() == CONTENT


def test_what_may_change_is_always_fetched_again(server, tmp_path):
    for content in (b"one", b"two"):
        server.files["/a.zip"] = content
        assert fetch_file(source(server, lasting=False), tmp_path).read_bytes() == content


def test_a_file_whose_length_is_not_told(server, tmp_path):
    server.lengths = False
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT


def test_an_empty_file(server, tmp_path):
    server.files["/a.zip"] = b""
    assert fetch_file(source(server), tmp_path).read_bytes() == b""


# --- interrupted ---


def interrupted(server, folder, at=200_000, **options):
    """Let a download be broken off after about so many bytes, for good."""
    server.cuts = [at, 0, 0]
    with pytest.raises(DownloadError, match="connection broke after .* of 300000 bytes; the same command goes on"):
        fetch_file(source(server, **options), folder)
    server.asked.clear()
    return (folder / "a.zip.part").stat().st_size


def test_a_connection_that_breaks_is_taken_up_where_it_broke(server, tmp_path):
    server.cuts = [200_000]
    assert fetch_file(source(server, checksum=SHA256), tmp_path).read_bytes() == CONTENT
    (_, first), (_, second) = server.asked
    assert first is None and 100_000 < int(second.removeprefix("bytes=").rstrip("-")) <= 200_000


def test_an_interrupted_download_is_gone_on_with_by_the_next_call(server, tmp_path):
    have = interrupted(server, tmp_path)
    assert 100_000 < have <= 200_000 and not (tmp_path / "a.zip").exists()
    assert fetch_file(source(server, checksum=MD5), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a.zip", f"bytes={have}-")] and os.listdir(tmp_path) == ["a.zip"]


@pytest.mark.parametrize("failure", [KeyboardInterrupt(), OSError(errno.ENOSPC, "No space left on device")])
def test_ctrl_c_and_a_full_disk_lose_nothing(server, tmp_path, monkeypatch, failure):
    class Bar:
        def __enter__(self):
            return self

        def __exit__(self, *_):
            pass

        def update(self, _):
            raise failure

    with monkeypatch.context() as patch:
        patch.setattr(download, "_bar", lambda *_: Bar())
        with pytest.raises((KeyboardInterrupt, OutputError)) as caught:
            fetch_file(source(server), tmp_path)
    if isinstance(failure, OSError):
        assert "No space left on device" in str(caught.value) and "the same command goes on" in str(caught.value)
    have = (tmp_path / "a.zip.part").stat().st_size
    assert have == download.BLOCK
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT
    assert server.asked[-1] == ("/a.zip", f"bytes={have}-")


def test_a_server_that_knows_no_ranges_is_asked_for_the_whole(server, tmp_path):
    interrupted(server, tmp_path)
    server.ranges = False
    assert fetch_file(source(server, checksum=MD5), tmp_path).read_bytes() == CONTENT


DATES = ["Mon, 01 Jan 2024 10:00:00 GMT", "Tue, 02 Jan 2024 10:00:00 GMT"]


@pytest.mark.parametrize("strict", [True, False])
@pytest.mark.parametrize("dates", [[None, None], DATES])
@pytest.mark.parametrize("etags", [True, False])
@pytest.mark.parametrize("more", [b"", b"more"])
def test_two_versions_of_a_file_are_never_mixed(server, tmp_path, strict, dates, etags, more):
    server.etags, server.strict, server.date = etags, strict, dates[0]
    interrupted(server, tmp_path)
    server.files["/a.zip"] = newer = CONTENT[::-1] + more
    server.date = dates[1]
    assert fetch_file(source(server), tmp_path).read_bytes() == newer


@pytest.mark.parametrize("etags", [True, False])
def test_a_version_that_appears_between_two_attempts_is_not_mixed_in(server, tmp_path, monkeypatch, etags):
    newer = CONTENT[::-1]
    server.etags, server.strict, server.cuts = etags, False, [200_000]
    monkeypatch.setattr(download.time, "sleep", lambda _: server.files.update({"/a.zip": newer}))
    assert fetch_file(source(server), tmp_path).read_bytes() == newer


def test_a_server_that_stops_telling_versions_is_believed_only_with_a_checksum(server, tmp_path):
    for checksum in (None, MD5):
        have = interrupted(server, tmp_path)
        server.etags, server.strict = False, False
        path = fetch_file(source(server, checksum=checksum), tmp_path)
        assert path.read_bytes() == CONTENT and server.asked[0] == ("/a.zip", f"bytes={have}-")
        assert len(server.asked) == (1 if checksum else 2)
        path.unlink()
        server.etags, server.strict = True, True


def test_without_etag_the_date_decides(server, tmp_path):
    server.etags, server.date = False, DATES[0]
    have = interrupted(server, tmp_path)
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a.zip", f"bytes={have}-")]


def test_without_etag_and_date_the_size_decides_where_a_checksum_is_known(server, tmp_path):
    server.etags = False
    have = interrupted(server, tmp_path, checksum=MD5)
    assert fetch_file(source(server, checksum=MD5), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a.zip", f"bytes={have}-")]


def test_without_etag_date_and_checksum_it_begins_anew(server, tmp_path):
    server.etags = False
    interrupted(server, tmp_path)
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a.zip", None)]


def test_without_etag_and_size_it_begins_anew(server, tmp_path):
    server.etags = server.lengths = False
    server.cuts = [100_000, 0, 0]
    refused(server, tmp_path, "the connection broke")
    server.asked.clear()
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a.zip", None)]


def test_a_download_that_ended_before_it_was_moved_is_not_repeated(server, tmp_path):
    interrupted(server, tmp_path)
    (tmp_path / "a.zip.part").write_bytes(CONTENT)
    assert fetch_file(source(server, checksum=MD5), tmp_path).read_bytes() == CONTENT and server.asked == []


@pytest.mark.parametrize(
    "note", ["", "{", "[" * 100_000, "[]", "{}", '{"url": "http://elsewhere/a.zip", "total": 300000}']
)
def test_a_part_of_unknown_origin_is_not_gone_on_with(server, tmp_path, note):
    (tmp_path / "a.zip.part").write_bytes(b"something else")
    (tmp_path / "a.zip.part.json").write_text(note)
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a.zip", None)]


@pytest.mark.parametrize(
    "damage",
    [{"validator": 5}, {"validator": "a\nb"}, {"validator": "\u0416"}, {"validator": " a"}, {"validator": ["a"]}]
    + [{"total": "3"}, {"total": True}, {"total": 14.0}],
)
def test_a_part_whose_note_is_damaged_is_not_gone_on_with(server, tmp_path, damage):
    (tmp_path / "a.zip.part").write_bytes(b"something else")
    note = {"url": f"{server.url}/a.zip", "validator": '"1"', "total": 300_000} | damage
    (tmp_path / "a.zip.part.json").write_text(json.dumps(note))
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT
    assert server.asked == [("/a.zip", None)]


def test_a_part_that_is_too_long_is_thrown_away(server, tmp_path):
    interrupted(server, tmp_path)
    (tmp_path / "a.zip.part").write_bytes(CONTENT + b"more")
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.none() | st.integers(0, 320_000), max_size=12), etags=st.booleans(), ranges=st.booleans())
def test_however_it_is_interrupted_the_file_is_whole_in_the_end(server, tmp_path, cuts, etags, ranges):
    server.cuts, server.etags, server.ranges = list(cuts), etags, ranges
    for _ in range(len(cuts) + 1):
        try:
            path = fetch_file(source(server), tmp_path)
        except DownloadError as error:
            assert "the same command goes on" in str(error)
        else:
            break
    assert path.read_bytes() == CONTENT
    path.unlink()


# --- wrong ---


def test_a_wrong_checksum_is_named_and_the_file_deleted(server, tmp_path):
    other = "md5:" + "0" * 32
    message = refused(server, tmp_path, MD5, other, f"{server.url}/a.zip", checksum=other)
    assert "Run the command again" in message and os.listdir(tmp_path) == []


def test_what_was_fetched_first_is_demanded_from_then_on(server, tmp_path):
    path = fetch_file(source(server), tmp_path)
    pin({f"{server.url}/a.zip": path})
    entry = json.loads((tmp_path / "data" / PINS_FILE).read_text())[f"{server.url}/a.zip"]
    assert entry["sha256"] == SHA256[7:] and entry["size"] == len(CONTENT) and len(entry["date"]) == 10
    assert pinned(f"{server.url}/a.zip") == SHA256 and pinned(f"{server.url}/b.zip") is None
    path.unlink()
    server.files["/a.zip"] = b"replaced"
    found = "sha256:" + hashlib.sha256(b"replaced").hexdigest()
    refused(server, tmp_path, SHA256, found, tmp_path / "data" / PINS_FILE, "remove its entry")
    assert not (tmp_path / "a.zip").exists()


def test_a_record_is_never_overwritten(server, tmp_path):
    path = fetch_file(source(server), tmp_path)
    pin({"http://a": path})
    path.write_bytes(b"other")
    pin({"http://a": path, "http://b": path})
    assert pinned("http://a") == SHA256 and pinned("http://b") != SHA256


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"http://a": 3}', '{"http://a": {"sha256": 3}}', "\udcff", "[" * 100_000]
)
def test_a_damaged_record_is_reported(server, tmp_path, text):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / PINS_FILE).write_bytes(text.encode("utf-8", "surrogateescape"))
    refused(server, tmp_path, tmp_path / "data" / PINS_FILE, "remove it")


def test_another_size_than_the_published_one_is_refused_before_the_download(server, tmp_path):
    refused(server, tmp_path, "offers 300000 bytes, but the file has 5", size=5)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("lengths", [True, False])
@pytest.mark.parametrize("options", [{"lasting": True}, {"lasting": False}, {"checksum": SHA256}])
def test_a_file_larger_than_any_of_its_kind_is_refused(server, tmp_path, monkeypatch, lengths, options):
    monkeypatch.setattr(download, "LARGEST_FILE" if options.get("lasting", True) else "LARGEST_DESCRIPTION", 200_000)
    server.lengths = lengths
    refused(server, tmp_path, "more than the 200000", "tell the maintainers", **options)
    assert os.listdir(tmp_path) == [] and len(server.asked) == 1


def test_more_than_the_published_size_is_not_waited_for(server, tmp_path):
    server.lengths = False
    refused(server, tmp_path, "the server sends more and more", "more than the 299999", size=len(CONTENT) - 1)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("status", "reason"), [(404, "it may have moved"), (410, "moved"), (403, "restricted"), (418, "try again later")]
)
def test_a_refusal_is_reported_at_once(server, tmp_path, status, reason):
    server.statuses = [status]
    refused(server, tmp_path, f"the server answers {status}", reason)
    assert len(server.asked) == 1


def test_a_server_that_is_busy_for_a_moment_is_asked_again(server, tmp_path):
    server.statuses = [503, 429]
    assert fetch_file(source(server), tmp_path).read_bytes() == CONTENT


def test_a_server_that_stays_broken(server, tmp_path):
    server.statuses = [500] * 9
    refused(server, tmp_path, "the server answers 500")
    assert len(server.asked) == 3


def test_no_network(server, tmp_path):
    have = interrupted(server, tmp_path)
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    nobody = Source(f"http://127.0.0.1:{port}/a.zip", "a.zip")
    with pytest.raises(DownloadError, match="no connection .*refused.*Check the network.*goes on"):
        fetch_file(nobody, tmp_path)
    assert (tmp_path / "a.zip.part").stat().st_size == have, "what was there is kept"


def test_a_name_that_no_server_has(server, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(DownloadError, match=r"no connection \(Name or service not known\)"):
        fetch_file(Source("http://no-such-host.invalid/a.zip", "a.zip"), tmp_path)


@pytest.mark.parametrize("url", ["a.zip", "gopher://127.0.0.1/a.zip", "http://"])
def test_an_address_that_is_none(server, tmp_path, url):
    with pytest.raises(DownloadError, match="not an address"):
        fetch_file(Source(url, "a.zip"), tmp_path)


@pytest.mark.parametrize("to", ["http://[::bad", "http://[", "http://a:b/", "http://a:99999/"])
def test_a_redirect_to_an_address_that_is_none(server, tmp_path, to):
    server.redirect = to
    refused(server, tmp_path, "not an address that can be fetched, or leads to one")


@pytest.mark.parametrize("host", ["a" * 80, "a..b", "\u3002" * 3, "x" * 5000])
@pytest.mark.parametrize("leads_there", [False, True])
def test_a_host_name_that_none_can_have(server, tmp_path, monkeypatch, host, leads_there):
    monkeypatch.setenv("NO_PROXY", "*")
    url = f"http://{host}/a.zip"
    if leads_there:
        server.redirect, url = url, f"{server.url}/a.zip"
    with pytest.raises(DownloadError, match="not an address|no connection"):
        fetch_file(Source(url, "a.zip"), tmp_path)


@pytest.mark.parametrize("number", ["9" * 5000, "9" * 20, "-1", "٣" * 30, "", "x"])
def test_lengths_that_no_file_has_count_as_not_told(number):
    assert download._announced(SimpleNamespace(headers={"Content-Length": number})) is None
    answer = SimpleNamespace(headers={"Content-Range": f"bytes 5-9/{number}"})
    assert download._continues(answer, 5, {}, MD5) is None


def test_a_server_that_falls_silent_is_not_waited_for_for_ever(server, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "TIMEOUT", (1.0, 0.2))
    server.pause = 1.0
    refused(server, tmp_path, "the connection broke", "goes on")


def test_an_unencrypted_detour_is_not_followed():
    downloader = ResumingDownloader(Source("https://publisher.example/a.zip", "a.zip"))
    response = SimpleNamespace(url="http://elsewhere.example/a.zip", status_code=200, reason="OK", headers={})
    with pytest.raises(DownloadError, match="not encrypted"):
        downloader._accept(response, None, 0, {})


def test_a_folder_that_cannot_be_written_to(server, tmp_path):
    (tmp_path / "file").write_text("in the way")
    refused(server, tmp_path / "file", tmp_path / "file", "may write to", error=OutputError)
