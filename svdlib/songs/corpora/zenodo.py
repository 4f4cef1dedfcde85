"""Records of Zenodo: which files one has, how large they are, and their checksums."""

import json
import re
from pathlib import Path
from typing import Any

from svdlib.compute.storage import read_plain_text
from svdlib.errors import DownloadError, quoted
from svdlib.songs.corpora.sources import Source
from svdlib.songs.corpora.unpacking import file_name

RECORD_FILE = "zenodo-record.json"
LARGEST = 2**40  # bytes; no file of a corpus comes near, and more could not be reckoned with
ARCHIVE = re.compile(r"(.+)\.(zip|tar|tgz|tar\.(gz|bz2|xz))", re.IGNORECASE)


def record_source(number: int) -> Source:
    """The description of a record, as Zenodo's interface for programs gives it. It counts visits, so it changes."""
    return Source(f"https://zenodo.org/api/records/{number}", RECORD_FILE, lasting=False)


def record_files(folder: Path) -> tuple[Source, ...]:
    """The files of the record whose description lies in a folder. Archives will be unpacked into folders of their name.

    Raises:
        DownloadError: the description is not as Zenodo gave them when this was written.
        ArchiveError: a file has a name that is none.
    """
    path = folder / RECORD_FILE
    try:
        entries = json.loads(read_plain_text(path))["files"]
        sources = tuple(_source(entry, path) for entry in entries)
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise DownloadError(
            f"{path}: not the description of a record of Zenodo ({type(error).__name__}: {str(error)[:300]}). "
            "Try again later, or fetch the corpus's files by hand"
        ) from error
    if not sources:
        raise DownloadError(f"{path}: the record has no file that anybody may fetch; look at its page")
    return sources


def _source(entry: dict[str, Any], path: Path) -> Source:
    name = file_name(entry["key"], path)
    url, size, checksum = entry["links"]["self"], entry["size"], entry["checksum"]
    if not re.fullmatch(r"https?://\S+", url) or type(size) is not int or not 0 <= size <= LARGEST:
        raise ValueError(f"{name} has the address {quoted(url)} and {quoted(size)} bytes")
    if not re.fullmatch(r"md5:[0-9a-f]{32}|sha256:[0-9a-f]{64}", checksum):
        raise ValueError(f"{name} has the checksum {quoted(checksum)}")
    archive = ARCHIVE.fullmatch(name)
    return Source(url, name, unpack_to=archive[1] if archive else None, size=size, checksum=checksum)
