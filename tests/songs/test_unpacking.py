import io
import os
import shutil
import stat
import tarfile
import tracemalloc
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from svdlib.errors import ArchiveError, OutputError
from svdlib.songs.corpora import unpacking
from svdlib.songs.corpora.unpacking import file_name, safe_place, unpack

FILES = {"songs/a.lab": b"0 1 sing\n", "songs/deep/b.lab": b"0 2 nosing\n" * 300, "empty": b""}
KINDS = ["zip", "tar", "tar.gz", "tar.bz2", "tar.xz"]
any_archive = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def packed(files, kind="zip"):
    """The bytes of an archive; the name of a folder ends in a slash."""
    buffer = io.BytesIO()
    if kind == "zip":
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in files.items():
                file.writestr(name, content)
        return buffer.getvalue()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind.partition('.')[2]}") as file:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            file.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def tar_with(kind, name="link", target="../../outside"):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        file.addfile(info)
        data = tarfile.TarInfo(f"{name}/written")
        data.size = 4
        file.addfile(data, io.BytesIO(b"evil"))
    return buffer.getvalue()


def zip_with_mode(mode):
    info = zipfile.ZipInfo("link")
    info.external_attr = mode << 16
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr(info, "../../outside")
    return buffer.getvalue()


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def room(tmp_path):
    """A folder to unpack in, with something beside that must stay as it is."""
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "file").write_bytes(b"precious")
    (tmp_path / "room").mkdir()
    return tmp_path / "room"


def untouched(room):
    return contents(room.parent / "outside") == {"file": b"precious"} and sorted(os.listdir(room.parent)) == [
        "outside", "room",
    ]  # fmt: skip


def refused(room, data, *reasons, error=ArchiveError):
    (room / "archive").write_bytes(data)
    with pytest.raises(error) as caught:
        unpack(room / "archive", room / "new")
    for reason in reasons:
        assert str(reason) in str(caught.value)
    assert os.listdir(room) == ["archive"] and untouched(room)


@pytest.mark.parametrize("kind", KINDS)
def test_files_come_out_as_they_went_in(room, kind):
    (room / "archive").write_bytes(packed({"songs/": b"", **FILES}, kind))
    assert contents(unpack(room / "archive", room / "deep" / "new")) == FILES
    assert os.listdir(room / "deep") == ["new"]


def test_what_systems_leave_behind_is_left_out(room):
    debris = {"__MACOSX/songs/._a.lab": b"x", "songs/.DS_Store": b"x", "songs/._a.lab": b"x", "Thumbs.db": b"x"}
    (room / "archive").write_bytes(packed(FILES | debris))
    assert contents(unpack(room / "archive", room / "new")) == FILES


def test_backslashes_separate_folders(room):
    (room / "archive").write_bytes(packed({"songs\\a.lab": b"x"}, "tar"))
    assert contents(unpack(room / "archive", room / "new")) == {"songs/a.lab": b"x"}


def test_no_file_gets_rights_from_an_archive(room):
    info = zipfile.ZipInfo("script")
    info.external_attr = (stat.S_IFREG | 0o4777) << 16
    with zipfile.ZipFile(room / "archive", "w") as file:
        file.writestr(info, "#!/bin/sh")
    assert not (unpack(room / "archive", room / "new") / "script").stat().st_mode & 0o7111


NAMES = [
    "../evil", "songs/../../evil", "/evil", "//evil", "..\\evil", "\\evil", "C:\\evil", "c:evil", "songs/..", "a\nb",
]  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_places_outside_of_the_folder(room, kind, name):
    refused(room, packed({"good": b"x", name: b"evil"}, kind), room / "archive", "no place inside a folder")


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_links_and_devices_in_tar_files(room, kind):
    refused(room, tar_with(kind), "'link' is a link or device")


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO, stat.S_IFSOCK])
def test_links_and_devices_in_zip_files(room, kind):
    refused(room, zip_with_mode(kind | 0o777), "'link' is a link or device")


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_archives_that_swell(room, kind):
    refused(room, packed({"zeros": bytes(80 << 20)}, kind), "200-fold")


@pytest.mark.parametrize(("limit", "value"), [("MOST_FILES", 2), ("MOST_BYTES", 1000)])
@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
def test_too_many_and_too_large_files(room, monkeypatch, kind, limit, value):
    monkeypatch.setattr(unpacking, limit, value)
    refused(room, packed(FILES, kind), "more than", "no corpus")


def test_a_zip_file_that_lies_about_sizes(room):
    data = bytearray(packed({"a": b"x" * 5000}))
    place = data.rindex(b"PK\x01\x02") + 24  # of the size in the list of contents
    data[place : place + 4] = (10).to_bytes(4, "little")
    refused(room, bytes(data), "archive")


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize(
    "names",
    [
        ["a", "a"], ["a", "./a"], ["a", "a/b"], ["a/b", "a"], ["a/b/c", "x", "a"], ["a/b/c", "a/b"], ["A.mp3", "a.mp3"],
        ["\u00e9", "e\u0301"], ["\u00c9/x", "e\u0301/X"], ["A/b", "a"], ["a", "A/b"], ["straße", "STRASSE"],
    ],
)  # fmt: skip
def test_two_files_in_one_place(room, names):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in names:
            file.writestr(name, "x")
    refused(room, buffer.getvalue(), "twice")


def test_folders_may_be_spelled_apart_where_no_file_is_lost(room):
    files = {"A/b": b"x", "a/c": b"y"}
    (room / "archive").write_bytes(packed(files))
    assert set(contents(unpack(room / "archive", room / "new")).values()) == {b"x", b"y"}


TOO_LONG = ["x" * 256, "é" * 128, f"{'x' * 300}/b", "x" * 300, "/".join(["folder"] * 200), "x" * 70_000]
NOT_ON_WINDOWS = [
    "con", "CON", "aux.txt", "songs/NUL.mp3", "com1", "lpt9.wav", "com¹", "con .mp3", "a|b", "songs/what?", "a*", 'a"b',
    "<a>", "songs/a:b", "a.", "a ", "songs./b", "songs /b",
]  # fmt: skip


def refuses_the_name(room, kind, name):
    if kind == "zip" and len(name) > 60_000:
        name = name[:60_000]  # no zip file has room for more
    refused(room, packed({"good": b"x", name: b"x"}, kind), room / "archive", "too long or no name of a file")


@pytest.mark.parametrize("name", TOO_LONG)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_are_too_long(room, kind, name):
    refuses_the_name(room, kind, name)


@pytest.mark.parametrize("name", NOT_ON_WINDOWS)
@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_names_that_windows_cannot_have(room, monkeypatch, kind, name):
    monkeypatch.setattr("svdlib.songs.corpora.unpacking.ON_WINDOWS", True)
    refuses_the_name(room, kind, name)


@pytest.mark.skipif(os.name == "nt", reason="it cannot have them")
@pytest.mark.parametrize("name", NOT_ON_WINDOWS)
def test_other_systems_take_them(room, name):
    (room / "archive").write_bytes(packed({name: b"x"}))
    assert contents(unpack(room / "archive", room / "new")) == {name: b"x"}


def test_a_name_that_cannot_be_written_at_all():
    with pytest.raises(ArchiveError, match="no name of a file"):
        safe_place("\ud800.zip", "table")


@pytest.mark.parametrize("name", ["x" * 255, "é" * 127, "con1.mp3", "console", "a.con", "auxiliary.txt", "... a", " a"])
def test_names_that_all_systems_can_have(room, monkeypatch, name):
    monkeypatch.setattr("svdlib.songs.corpora.unpacking.ON_WINDOWS", True)
    (room / "archive").write_bytes(packed({name: b"x"}))
    assert contents(unpack(room / "archive", room / "new")) == {name: b"x"}


def test_encrypted_files(room):
    data = bytearray(packed({"a": b"x"}))
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    refused(room, bytes(data), "encrypted")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("share", [0.3, 0.7, 0.97])
def test_archives_cut_short(room, kind, share):
    data = packed({"noise": os.urandom(20_000)} | FILES, kind).rstrip(b"\0" if kind == "tar" else b"")
    refused(room, data[: int(len(data) * share)], "get it again")


def test_a_tar_file_cut_between_two_files(room):
    refused(room, packed({"a": b"x", "b": b"y"}, "tar")[:1024], "its end is missing", "get it again")


@pytest.mark.parametrize("data", [b"", b"<html>not found</html>" * 99, packed({}), packed({}, "tar"), b"PK\x03\x04"])
def test_what_is_no_archive_or_an_empty_one(room, data):
    refused(room, data, room / "archive", "again")


def test_a_missing_archive(room):
    with pytest.raises(ArchiveError, match="no such file"):
        unpack(room / "none", room / "new")


def test_nothing_is_overwritten(room):
    (room / "new").mkdir()
    (room / "archive").write_bytes(packed(FILES))
    with pytest.raises(OutputError, match="is there already"):
        unpack(room / "archive", room / "new")
    assert contents(room / "new") == {}


def test_an_interrupted_unpacking_leaves_nothing_and_can_be_repeated(room, monkeypatch):
    (room / "archive").write_bytes(packed(FILES))
    write = unpacking._write

    def interrupt(member, path, archive):
        if member.place.name == "b.lab":
            raise KeyboardInterrupt
        write(member, path, archive)

    with monkeypatch.context() as patch:
        patch.setattr(unpacking, "_write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            unpack(room / "archive", room / "new")
    assert os.listdir(room) == ["archive"]
    assert contents(unpack(room / "archive", room / "new")) == FILES


def test_what_a_killed_unpacking_left_is_no_hindrance(room):
    (room / ".new.unfinished").mkdir()
    (room / ".new.unfinished" / "rest").write_bytes(b"x")
    (room / "archive").write_bytes(packed(FILES))
    assert contents(unpack(room / "archive", room / "new")) == FILES and not (room / ".new.unfinished").exists()


def check_any_archive(room, data):
    """An archive gives an error and nothing, or files below the folder and nothing elsewhere."""
    (room / "archive").write_bytes(data)
    try:
        unpack(room / "archive", room / "new")
    except ArchiveError:
        assert os.listdir(room) == ["archive"]
    else:
        found = contents(room / "new")
        assert found and all(path.is_file() or path.is_dir() for path in (room / "new").rglob("*"))
        assert not any(path.is_symlink() for path in (room / "new").rglob("*"))
        for path in sorted((room / "new").rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        (room / "new").rmdir()
    assert untouched(room)


@any_archive
@given(kind=st.sampled_from(KINDS), place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_a_flipped_bit_is_noticed_or_changes_nothing(room, kind, place, bit):
    """Of a plain tar file only the headers have a checksum."""
    files = {"a.lab": b"0 1 sing\n" * 9, "b/c.lab": bytes(range(256)) * 2, "z.lab": b"0 2 sing\n"}
    data = bytearray(packed(files, kind))
    data[place % len(data)] ^= 1 << bit
    (room / "archive").write_bytes(data)
    try:
        found = contents(unpack(room / "archive", room / "new"))
    except ArchiveError:
        assert os.listdir(room) == ["archive"]
        return
    shutil.rmtree(room / "new")
    assert found == files or kind == "tar" and found.keys() == files.keys()


def test_an_address_before_the_file_is_the_archives_fault(room):
    """One bit of a zip file's directory sends its reader there, which the system calls an invalid argument."""
    data = bytearray(
        packed({"a.lab": b"0 1 sing\n" * 9, "b/c.lab": bytes(range(256)) * 2, "z.lab": b"0 2 sing\n"}, "zip")
    )
    data[data.index(b"PK\5\6") + 16] ^= 1  # where the directory begins
    refused(room, bytes(data), "not a whole zip or tar file", "get it again")


@pytest.mark.parametrize("call", ["mkdir", "open", "replace"])
def test_what_the_disk_refuses_is_not_the_archives_fault(room, call, monkeypatch):
    (room / "archive").write_bytes(packed(FILES))

    def refuse(path, *arguments, **options):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(Path, call, refuse)
        with pytest.raises(OutputError, match="No space left on device.*the archive is kept"):
            unpack(room / "archive", room / "new")
    assert os.listdir(room) == ["archive"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no device that is always full")
def test_a_disk_that_fills_up(room, monkeypatch):
    (room / "archive").write_bytes(packed(FILES))
    with monkeypatch.context() as patch:
        patch.setattr(
            Path, "open", lambda path, mode="r": open("/dev/full" if mode == "xb" else path, mode.replace("x", "w"))
        )
        with pytest.raises(OutputError, match="No space left on device.*the archive is kept"):
            unpack(room / "archive", room / "new")
    assert os.listdir(room) == ["archive"]


def test_the_checksum_behind_the_end_of_a_tar_file_is_read(room):
    """It stands behind the last block of zeros, where nobody looks for files."""
    data = bytearray(packed(FILES, "tar.gz"))
    data[-8] ^= 1
    refused(room, bytes(data), "CRC check failed", "get it again")


def test_a_damaged_header_is_not_taken_for_the_end(room):
    data = bytearray(packed({"a": b"x", "b": b"y", "c": b"z"}, "tar"))
    data[1024] ^= 1  # the name of the second file
    refused(room, bytes(data), "goes on where its end should be", "get it again")


def test_two_tar_files_in_a_row_are_not_half_unpacked(room):
    refused(room, packed({"a": b"x"}, "tar") + packed({"b": b"x"}, "tar"), "goes on where its end should be")


@pytest.mark.parametrize("kind", ["tar", "tar.gz"])
def test_a_header_that_would_fill_the_memory(room, kind):
    """A comment on a file, as large as it likes, stands before the file; `tarfile` reads it in one piece."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=f"w:{kind.partition('.')[2]}", format=tarfile.PAX_FORMAT) as file:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"comment": "x" * (32 << 20)}
        file.addfile(info)
    (room / "archive").write_bytes(buffer.getvalue())
    del buffer
    tracemalloc.start()
    try:
        with pytest.raises(ArchiveError, match="a header of 335.* bytes.*get it again"):
            unpack(room / "archive", room / "new")
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def test_many_headers_that_would_fill_the_memory(room, monkeypatch):
    monkeypatch.setattr(unpacking, "LARGEST_HEADERS", 10_000)
    refused(room, packed({f"{number}": b"" for number in range(30)}, "tar"), "as no corpus has")


def test_a_file_of_less_than_no_bytes(room):
    """The next header would be that of the same file, for ever."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as file:
        info = tarfile.TarInfo("._a")
        info.pax_headers = {"size": "-512"}
        file.addfile(info)
    refused(room, buffer.getvalue(), "get it again")


def test_what_is_left_out_counts_when_an_archive_swells(room):
    refused(room, packed({"._zeros": bytes(80 << 20), "a": b"x"}, "tar.gz"), "200-fold")


@any_archive
@given(data=st.binary(max_size=300))
def test_any_bytes(room, data):
    check_any_archive(room, data)


@any_archive
@given(
    kind=st.sampled_from(KINDS),
    edits=st.lists(st.tuples(st.integers(0, 10_000), st.integers(0, 255)), min_size=1, max_size=6),
    end=st.integers(0, 10_000),
)
def test_any_edits_of_an_archive(room, kind, edits, end):
    data = bytearray(packed({"../a" if end % 5 == 0 else "a": b"x" * 40, "b/c": bytes(range(256))}, kind))
    for place, value in edits:
        data[place % len(data)] = value
    check_any_archive(room, bytes(data[: len(data) - end % 40 if end % 3 == 0 else len(data)]))


@any_archive
@given(name=st.text(alphabet="ab./\\:\0 é", max_size=12) | st.text(max_size=3000))
def test_any_name_is_refused_or_inside(name):
    try:
        place = safe_place(name, "table")
    except ArchiveError as error:
        assert "table" in str(error) and len(str(error)) < 500
        return
    folder = Path("/somewhere/deep")
    assert os.path.normpath(folder / place).startswith(f"{folder}/") and ".." not in place.parts


@pytest.mark.parametrize("name", ["a/b", "../a", "", ".", "..", ".hidden", "a\\b", "/a", "./a", "a/"])
def test_names_that_are_not_of_a_file(name):
    with pytest.raises(ArchiveError, match=r"table: holds .*(not the name of a file|no place inside)"):
        file_name(name, "table")
    assert file_name("¡Óyeme tiburón! (2) - 3.mp3", "table") == "¡Óyeme tiburón! (2) - 3.mp3"
