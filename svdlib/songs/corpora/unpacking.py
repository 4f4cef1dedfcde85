"""Archives from the network, unpacked so that nothing is written outside of the folder meant for them.

Zip files and tar files (plain, gzip, bzip2, xz) are told by their content. Every member is looked at before the first
is written: absolute places, `..`, links, devices, names that some system cannot have or would take for the same, and
sizes that no corpus has are refused; a compressed tar file is read to its end, where its checksum stands. The folder
appears when everything is in it.
"""

import bz2
import gzip
import lzma
import math
import os
import re
import shutil
import stat
import struct
import tarfile
import unicodedata
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from svdlib.compute.progress import progress
from svdlib.errors import ArchiveError, OutputError, quoted

MOST_FILES = 100_000
MOST_BYTES = 60 * 2**30  # all of RWC takes 14 GB
LARGEST_RATIO = 200  # of unpacked to packed; sound and text stay far below
BYTES_WITHOUT_QUESTION = 64 * 2**20  # so little may come from an archive of any size
BLOCK = 1 << 20
LONGEST_NAME, LONGEST_PLACE = 255, 1024  # bytes
LARGEST_HEADER, LARGEST_HEADERS = 1 << 18, 1 << 28  # bytes of what a tar file says of one member, and of all together
OPENERS: dict[bytes, Any] = {b"\x1f\x8b": gzip.open, b"BZh": bz2.open, b"\xfd7zXZ\0": lzma.open, b"]\0\0": lzma.open}
ON_WINDOWS = os.name == "nt"
NO_NAME = re.compile(  # of a file on Windows; elsewhere a song may well be called "What?"
    r'.*[<>:"|?*].*|.*[. ]|(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³]) *(\..*)?', re.IGNORECASE
)
DEBRIS = ("__MACOSX", ".DS_Store", "Thumbs.db")  # left in archives by some systems
FAULTS = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, gzip.BadGzipFile, struct.error,
    EOFError, NotImplementedError, RuntimeError, ValueError, OverflowError,
)  # fmt: skip


@dataclass(frozen=True)
class Member:
    """A file in an archive: its place below the folder, its size in bytes unpacked, and how to read it."""

    place: PurePosixPath
    size: int
    open: Callable[[], IO[bytes]]


def unpack(archive: str | os.PathLike[str], folder: str | os.PathLike[str]) -> Path:
    """Unpack a zip or tar file into a new folder.

    The files go into a hidden folder beside it first. An unpacking that is interrupted leaves no folder that looks
    finished, and the next one starts from the beginning.

    Args:
        archive: the file.
        folder: where to; it must not be there yet. Folders above it are made.

    Returns:
        The folder.

    Raises:
        ArchiveError: the archive is missing, damaged, encrypted, or would write where it must not or too much.
        OutputError: the folder is there already or cannot be written to, or the disk is full.
    """
    archive, folder = Path(archive), Path(folder)
    if folder.exists():
        raise OutputError(f"{folder}: is there already; remove it, or name a new folder")
    unfinished = folder.with_name(f".{folder.name}.unfinished")
    try:
        shutil.rmtree(unfinished, ignore_errors=True)  # of an unpacking that was interrupted
        with _writing(archive):
            unfinished.mkdir(parents=True)
        _extract(archive, unfinished)
        with _writing(archive):
            unfinished.replace(folder)
    finally:
        shutil.rmtree(unfinished, ignore_errors=True)
    return folder


@contextmanager
def _writing(archive: Path) -> Iterator[None]:
    """What the disk refuses inside the block is the folder's fault, not the archive's."""
    try:
        yield
    except OSError as error:
        raise OutputError(
            f"Cannot unpack {archive.name}: {error.strerror or error}. "
            "Free some space or choose a folder you may write to; the archive is kept."
        ) from error


def safe_place(name: str, archive: object) -> PurePosixPath:
    """The place below a folder that a name from the network stands for.

    Args:
        name: a path with `/` or, as some Windows programs write, backslashes.
        archive: what the name comes from, for the message.

    Raises:
        ArchiveError: the path is absolute, empty, holds `..` or a character that no file name has, is too long, or is
            a name that no file can have on Windows: a corpus is the same on all systems.
    """
    path = name.replace("\\", "/")
    parts = [part for part in path.split("/") if part not in ("", ".")]
    outside = path.startswith("/") or re.match(r"[A-Za-z]:", path) or ".." in parts
    if outside or not parts or any(ord(character) < 32 for character in path):
        raise ArchiveError(
            f"{archive}: holds {quoted(name)}, which is no place inside a folder; nothing of it is unpacked. "
            "Do not use this file; get it from its source again."
        )
    if _bytes("/".join(parts)) > LONGEST_PLACE or any(_is_no_name(part) for part in parts):
        raise ArchiveError(
            f"{archive}: holds {quoted(name)}, which is too long or no name of a file on this system; nothing of it "
            "is unpacked. Do not use this file; get it from its source again."
        )
    return PurePosixPath(*parts)


def _is_no_name(part: str) -> bool:
    return _bytes(part) > LONGEST_NAME or (ON_WINDOWS and NO_NAME.fullmatch(part) is not None)


def _bytes(text: str) -> float:
    """The length of a name on the disk; infinite where it cannot be written there."""
    try:
        return len(text.encode("utf-8", "surrogateescape"))
    except UnicodeEncodeError:
        return math.inf


def file_name(name: str, origin: object) -> str:
    """A file name from the network, as it is.

    Args:
        name: the name.
        origin: what it comes from, for the message.

    Raises:
        ArchiveError: it names a folder or a place outside, or is hidden.
    """
    place = safe_place(name, origin)
    if str(place) != name or len(place.parts) != 1 or name.startswith("."):
        raise ArchiveError(f"{origin}: holds {quoted(name)}, which is not the name of a file; do not use it")
    return name


def _extract(archive: Path, folder: Path) -> None:
    if not archive.is_file():
        raise ArchiveError(f"{archive}: there is no such file; check the path")
    try:
        with _opened(archive) as found:
            members = _checked(found, archive)
            for member in progress(members, description="unpack", total=len(members), unit="file"):
                _write(member, folder / member.place, archive)
    except PermissionError as error:
        raise ArchiveError(f"{archive}: you may not read this file; ask for the permission") from error
    except (*FAULTS, OSError) as error:  # a decompressor's, or a damaged address led to a place before the file
        raise _damaged(archive, error) from error


@contextmanager
def _opened(archive: Path) -> Iterator[Iterator[Member]]:
    """The members of an archive, which can be read inside the block."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as file:
            yield _zip_members(file, archive)
    else:
        with closing(_TarStream(archive)) as stream, tarfile.TarFile(fileobj=cast(IO[bytes], stream)) as tar:
            yield _tar_members(tar, stream, archive)


def _damaged(archive: Path, error: Exception) -> ArchiveError:
    reason = " ".join(str(error).split())[:200] or type(error).__name__
    return ArchiveError(f"{archive}: not a whole zip or tar file ({reason}); delete it and get it again")


def _zip_members(file: zipfile.ZipFile, archive: Path) -> Iterator[Member]:
    for info in file.infolist():
        place = safe_place(info.filename, archive)
        kind = stat.S_IFMT(info.external_attr >> 16)  # 0 where the program that packed it knew no Unix
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            raise _not_plain(info.filename, archive)
        if info.flag_bits & 0x1:
            raise ArchiveError(
                f"{archive}: {quoted(info.filename)} is encrypted; get the archive from its public source"
            )
        if not info.is_dir() and not _is_debris(place):
            yield Member(place, info.file_size, partial(file.open, info))


class _TarStream:
    """The bytes of a tar file, decompressed, for `tarfile`, which would read a header of any size into memory.

    Attributes:
        listing: whether only headers are read; contents are passed over.
        checked: whether the compression has a checksum at the end.
    """

    def __init__(self, archive: Path) -> None:
        with archive.open("rb") as file:
            start = file.read(6)
        opener = next((opener for magic, opener in OPENERS.items() if start.startswith(magic)), None)
        self.listing, self.checked = True, opener is not None
        self._headers = 0
        self._file: IO[bytes] = (opener or open)(archive, "rb")
        self.seek, self.tell, self.close = self._file.seek, self._file.tell, self._file.close

    def read(self, size: int) -> bytes:
        """Read so many bytes, as far as there are."""
        if self.listing:
            self._headers += size
            if size > LARGEST_HEADER or self._headers > LARGEST_HEADERS:
                raise tarfile.HeaderError(f"a header of {size} bytes, {self._headers} in all, as no corpus has")
        return self._file.read(size)


def _tar_members(file: tarfile.TarFile, stream: _TarStream, archive: Path) -> Iterator[Member]:
    packed = archive.stat().st_size
    for info in file:
        place = safe_place(info.name, archive) if info.name.strip("./") or ".." in info.name else None
        if not info.isfile() and not info.isdir():
            raise _not_plain(info.name, archive)
        if info.size < 0:  # the next member would be this one again, for ever
            raise tarfile.HeaderError(f"{quoted(info.name)} has {info.size} bytes")
        _check_growth(file.offset, packed, archive)  # also by what is left out below
        if info.isfile() and place and not _is_debris(place):
            yield Member(place, info.size, partial(_open_in_tar, file, info))
    _check_end(file, stream)


def _open_in_tar(file: tarfile.TarFile, info: tarfile.TarInfo) -> IO[bytes]:
    source = file.extractfile(info)
    assert source is not None  # there is one for every plain file
    return source


def _check_end(file: tarfile.TarFile, stream: _TarStream) -> None:
    """Read on to the very end behind the last member that was found, where nothing but zeros may be.

    `tarfile` takes a damaged header for the end, and so it would a file that was cut between two members. It never gets
    to the checksum of a compressed file, which is behind the zeros.
    """
    stream.listing = False
    stream.seek(file.offset)
    length = 0
    while block := stream.read(BLOCK):
        length += len(block)
        if block.count(0) < len(block) or length > BYTES_WITHOUT_QUESTION:
            raise tarfile.ReadError("it goes on where its end should be")
    if not length and not stream.checked:
        raise EOFError("its end is missing")


def _not_plain(name: str, archive: Path) -> ArchiveError:
    return ArchiveError(
        f"{archive}: {quoted(name)} is a link or device, not a plain file; nothing of it is unpacked. "
        "Do not use this file; get it from its source again."
    )


def _is_debris(place: PurePosixPath) -> bool:
    return any(part in DEBRIS or part.startswith("._") for part in place.parts)


def _checked(members: Iterator[Member], archive: Path) -> Sequence[Member]:
    """List the members, and refuse an archive that holds nothing, too much, or two files in one place.

    Sizes are added up while the list grows: to find the next member of a compressed tar file all before it is read.
    """
    packed = archive.stat().st_size
    listed: list[Member] = []
    total = 0
    files: set[PurePosixPath] = set()
    folders: set[PurePosixPath] = set()
    for member in members:
        total += member.size
        listed.append(member)
        if len(listed) > MOST_FILES or total > MOST_BYTES:
            raise ArchiveError(
                f"{archive}: would unpack to more than {MOST_FILES} files or {MOST_BYTES >> 30} GiB, as no corpus "
                "does; do not use this file"
            )
        _check_growth(total, packed, archive)
        place = _in_one_spelling(member.place)
        if place in files or place in folders or not files.isdisjoint(place.parents):
            raise ArchiveError(
                f"{archive}: holds {quoted(str(member.place))} twice, or in two spellings; do not use this file"
            )
        files.add(place)
        folders.update(place.parents)
    if not listed:
        raise ArchiveError(f"{archive}: holds no file; get it again")
    return listed


def _check_growth(unpacked: int, packed: int, archive: Path) -> None:
    if unpacked > BYTES_WITHOUT_QUESTION and unpacked > LARGEST_RATIO * packed:
        raise ArchiveError(
            f"{archive}: would grow more than {LARGEST_RATIO}-fold, as no sound does; do not use this file"
        )


def _in_one_spelling(place: PurePosixPath) -> PurePosixPath:
    """A place as a disk sees it that tells neither case nor the spellings of accents apart."""
    folded = unicodedata.normalize("NFC", str(place)).casefold()
    return PurePosixPath(unicodedata.normalize("NFC", folded))


@contextmanager
def _new_file(path: Path, archive: Path) -> Iterator[IO[bytes]]:
    with _writing(archive):
        path.parent.mkdir(parents=True, exist_ok=True)
        target = path.open("xb")
    try:
        yield target
    finally:
        with _writing(archive):
            target.close()


def _write(member: Member, path: Path, archive: Path) -> None:
    """Write one file, never more than was announced."""
    left = member.size
    with member.open() as source, _new_file(path, archive) as target:
        while block := source.read(min(BLOCK, left + 1)):
            left -= len(block)
            if left < 0:
                raise ArchiveError(
                    f"{archive}: {quoted(str(member.place))} is larger than announced; do not use this file"
                )
            with _writing(archive):
                target.write(block)
    if left:
        raise ArchiveError(f"{archive}: {quoted(str(member.place))} is cut short; delete the archive and get it again")
