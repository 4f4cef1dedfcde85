"""Files from the network that arrive whole or not at all, go on where they were interrupted, and stay what they were.

pooch decides whether a file has to be fetched and moves it into place. Its own HTTP downloader begins anew after each
interruption, which nobody wants to watch at 4 GB, so it is handed `ResumingDownloader`.
"""

import hashlib
import json
import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from svdlib.compute.storage import read_plain_text, write_atomically
from svdlib.errors import DownloadError, OutputError
from svdlib.songs.corpora.sources import Source, data_folder

if TYPE_CHECKING:
    import requests
    from tqdm import tqdm

BLOCK = 1 << 16  # bytes; so much may be lost when a connection breaks
WAITS = (1.0, 2.0, 4.0, 8.0)  # seconds before the second attempt and so on
TIMEOUT = (15.0, 60.0)  # seconds: to connect, and between two pieces
PASSING = (429, 500, 502, 503, 504)  # statuses of a server that may answer better in a moment
LARGEST_FILE, LARGEST_DESCRIPTION = 60 * 2**30, 16 * 2**20  # bytes; all of RWC takes 14 GB, a description some kB
PINS_FILE = "fetched.json"
GO_ON = "the same command goes on from there"


def fetch_file(source: Source, folder: Path) -> Path:
    """Fetch a file into a folder, unless it is there already, and check it.

    Args:
        source: where it comes from. Without a publisher's checksum, the one recorded when it was first fetched counts.
        folder: where to; made where it is missing.

    Returns:
        The file's path.

    Raises:
        DownloadError: there is no network, the server refuses or breaks off, or the file is not the one expected. What
            has arrived is kept where it can be gone on with.
        OutputError: the folder cannot be written to, or the disk is full.
    """
    import pooch

    path = folder / source.file
    expected = source.checksum or pinned(source.url)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists() and not (source.lasting and (expected is None or _matches(path, expected))):
            path.unlink()
        pooch.get_logger().setLevel("WARNING")
        return Path(
            pooch.retrieve(
                source.url, None, fname=path.name, path=path.parent, downloader=ResumingDownloader(source, expected)
            )
        )
    except OSError as error:
        raise OutputError(
            f"Cannot write {path}: {error.strerror or error}. "
            f"Free some space or choose a folder you may write to; then {GO_ON}."
        ) from error


@dataclass
class ResumingDownloader:
    """A downloader for pooch that keeps what arrives in NAME.part and goes on with it.

    An interrupted download is continued only where the server confirms that the file is still the same, by ETag or
    date; otherwise it begins anew. The size alone counts only where a checksum will tell in the end. A connection that
    breaks is taken up a few times.

    Attributes:
        source: what is fetched.
        expected: its checksum, "md5:..." or "sha256:..."; None where none is known.
        waits: seconds to wait before each further attempt.
    """

    source: Source
    expected: str | None = None
    waits: tuple[float, ...] | None = None

    def __call__(self, url: str, output_file: str, pooch: Any = None) -> None:
        """Fetch `url` and move it to `output_file` when it is whole and has the expected checksum.

        Raises:
            DownloadError: see `fetch_file`.
        """
        target = Path(output_file)
        part = target.parent / f"{Path(self.source.file).name}.part"
        waits = WAITS if self.waits is None else self.waits
        for attempt, wait in enumerate((*waits, None)):
            try:
                self._attempt(url, part, first=attempt == 0)
                break
            except _Broken as broken:
                if wait is None:
                    raise DownloadError(f"{broken}; {GO_ON}") from broken
                time.sleep(wait)
        self._verify(url, part)
        os.replace(part, target)
        _note_of(part).unlink(missing_ok=True)

    def _attempt(self, url: str, part: Path, *, first: bool) -> None:
        """Ask for what is missing of the file and append it."""
        import requests
        from urllib3.exceptions import HTTPError

        have, note = _begun(part, url, self.expected)
        if have and have == note.get("total"):
            return  # it had arrived when the run was ended
        answered = False
        try:
            with requests.get(url, headers=_headers(have, note), stream=True, timeout=TIMEOUT) as response:
                answered = True
                have, total = self._accept(response, part, have, note)
                self._receive(response, part, have, total)
                _check_length(url, part, total)
        except ValueError:  # of requests, or of what it lets through: urllib3 and Python's own reader of addresses
            raise DownloadError(f"{url}: not an address that can be fetched, or leads to one; check it") from None
        except (requests.RequestException, HTTPError) as error:
            if first and not answered:
                raise DownloadError(
                    f"{url}: no connection ({_reason(error)}). Check the network and its proxy settings; "
                    f"what has arrived is kept, and {GO_ON}"
                ) from error
            raise _broken_off(url, part, _reason(error)) from error

    def _accept(
        self, response: "requests.Response", part: Path, have: int, note: dict[str, Any]
    ) -> tuple[int, int | None]:
        """Judge the answer; the number of bytes to keep of the part, and the file's whole length if it is told."""
        url, status = self.source.url, response.status_code
        if url.startswith("https:") and not response.url.startswith("https:"):
            raise DownloadError(f"{url}: leads to {response.url}, which is not encrypted; it is not followed")
        if status in PASSING:
            raise _Broken(f"{url}: the server answers {status} {response.reason}")
        if status == 206:
            total = _continues(response, have, note, self.expected)
            if total is not None:
                return have, total
        if status in (206, 416):  # another file than the one that was begun
            _forget(part)
            raise _Broken(f"{url}: the file has changed since the download was begun")
        if status != 200:
            raise DownloadError(f"{url}: the server answers {status} {response.reason}; {_remedy(status)}")
        total = _announced(response)
        if self.source.size is not None and total is not None and total != self.source.size:
            raise DownloadError(
                f"{url}: the server offers {total} bytes, but the file has {self.source.size}; it may have been "
                "replaced. Look at its page, and tell the maintainers of svdlib"
            )
        if total is not None and total > self._most:
            raise self._too_large(part, f"the server offers {total} bytes")
        _forget(part)
        _take_note(part, url, response, total)
        return 0, total

    def _receive(self, response: "requests.Response", part: Path, have: int, total: int | None) -> None:
        """Append what arrives, with a bar."""
        with part.open("r+b" if part.exists() else "wb") as file, _bar(self.source.file, have, total) as bar:
            file.truncate(have)
            file.seek(have)
            for block in response.iter_content(BLOCK):
                have += len(block)
                if have > self._most:
                    break
                file.write(block)
                bar.update(len(block))
            file.flush()
            os.fsync(file.fileno())
        if have > self._most:
            raise self._too_large(part, "the server sends more and more")

    @property
    def _most(self) -> int:
        """The most bytes that the file can have: a server without end must not fill the disk."""
        most = LARGEST_FILE if self.source.lasting else LARGEST_DESCRIPTION
        return most if self.source.size is None else min(most, self.source.size)

    def _too_large(self, part: Path, what: str) -> DownloadError:
        _forget(part)
        return DownloadError(
            f"{self.source.url}: {what}, more than the {self._most} that this file can have; what has arrived is "
            "deleted. Look at its page, and tell the maintainers of svdlib"
        )

    def _verify(self, url: str, part: Path) -> None:
        if self.expected and not _matches(part, self.expected):
            kind = self.expected.partition(":")[0]
            found = f"{kind}:{file_digest(part, kind)}"
            _forget(part)
            remedy = "Run the command again; if it stays so, the file has been replaced: tell the maintainers of svdlib"
            if not self.source.checksum:
                remedy = (
                    "Run the command again; if it stays so, the file has been replaced since it was first fetched. If "
                    f"that is right, remove its entry from {data_folder() / PINS_FILE}"
                )
            raise DownloadError(f"{url}: arrived with {found}, not with {self.expected}; it is deleted. {remedy}")


# --- what was fetched before -----------------------------------------------------------------------------------------


def pinned(url: str) -> str | None:
    """The checksum "sha256:..." that a file had when it was first fetched; None where it never was."""
    entry = _read_pins().get(url)
    return f"sha256:{entry['sha256']}" if entry else None


def pin(files: Mapping[str, Path]) -> None:
    """Record checksum, size and date of files that have turned out to be whole, by their address.

    What is recorded already stays.

    Raises:
        OutputError: the record cannot be written.
    """
    pins = _read_pins()
    today = datetime.now(UTC).date().isoformat()
    for url, path in files.items():
        if url not in pins:
            pins[url] = {"sha256": file_digest(path, "sha256"), "size": path.stat().st_size, "date": today}
    text = json.dumps(pins, indent=2, sort_keys=True) + "\n"
    write_atomically(data_folder() / PINS_FILE, lambda file: file.write(text.encode()))


def _read_pins() -> dict[str, dict[str, Any]]:
    path = data_folder() / PINS_FILE
    try:
        pins = json.loads(read_plain_text(path))
        whole = all(isinstance(entry["sha256"], str) for entry in pins.values())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, KeyError, TypeError, RecursionError) as error:
        raise DownloadError(
            f"{path}: the record of what was fetched cannot be read ({error}); repair or remove it"
        ) from error
    if not whole:
        raise DownloadError(f"{path}: the record of what was fetched is damaged; repair or remove it")
    return pins


def file_digest(path: Path, kind: str) -> str:
    """The md5 or sha256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.new(kind, usedforsecurity=False)).hexdigest()


def _matches(path: Path, expected: str) -> bool:
    kind, _, digest = expected.partition(":")
    return file_digest(path, kind) == digest.lower()


# --- unfinished files ------------------------------------------------------------------------------------------------


HEADER = re.compile(r"[!-~]([ -~]*[!-~])?")  # what a header may hold that is sent back to the server


class _Broken(Exception):
    """An attempt that failed for a reason that may pass."""


def _note_of(part: Path) -> Path:
    return part.with_name(f"{part.name}.json")


def _begun(part: Path, url: str, expected: str | None) -> tuple[int, dict[str, Any]]:
    """Bytes that are there already and the note on where they are from; 0 where they cannot be gone on with."""
    note = _read_note(part, url)
    if note.get("validator") or (note.get("total") and expected):
        return _size(part), note
    return 0, {}


def _read_note(part: Path, url: str) -> dict[str, Any]:
    """What was noted of the answer that a part is from; empty where that was another file's, or nothing."""
    try:
        note = json.loads(read_plain_text(_note_of(part)))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(note, dict) or note.get("url") != url:
        return {}
    validator, total = note.get("validator"), note.get("total")
    sound = validator is None or (isinstance(validator, str) and HEADER.fullmatch(validator))
    return note if sound and (total is None or type(total) is int) else {}


def _take_note(part: Path, url: str, response: "requests.Response", total: int | None) -> None:
    text = json.dumps({"url": url, "validator": _validator(response), "total": total})
    write_atomically(_note_of(part), lambda file: file.write(text.encode()))


def _forget(part: Path) -> None:
    part.unlink(missing_ok=True)
    _note_of(part).unlink(missing_ok=True)


def _headers(have: int, note: dict[str, Any]) -> dict[str, str]:
    headers = {"Accept-Encoding": "identity", "User-Agent": "svdlib (research software)"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if note.get("validator"):
            headers["If-Range"] = note["validator"]
    return headers


def _validator(response: "requests.Response") -> str | None:
    """What tells a version of a file from others: its ETag, or its date. A weak ETag confirms nothing."""
    etag = response.headers.get("ETag", "")
    return etag if etag.startswith('"') else response.headers.get("Last-Modified")


def _continues(
    response: "requests.Response", have: int, note: dict[str, Any], expected: str | None = None
) -> int | None:
    """The file's whole length, if the answer goes on exactly where the part ends, with the same file; else None.

    Some servers send a part of another version despite If-Range, and some tell nothing of versions. Without a checksum
    to come, only what an answer says of itself shows that.
    """
    noted, found = note.get("validator"), _validator(response)
    if noted != found and (found or not expected):
        return None
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, whole = rest.partition("/")
    start = span.partition("-")[0]
    total = _count(whole)
    if unit != "bytes" or start != str(have) or total is None:
        return None
    return total if note.get("total") in (None, total) else None


def _announced(response: "requests.Response") -> int | None:
    """The number of bytes that will arrive; None where it is not told, or only for a compressed form of them."""
    length = response.headers.get("Content-Length", "")
    plain = response.headers.get("Content-Encoding", "identity") == "identity"
    return _count(length) if plain else None


def _count(text: str) -> int | None:
    """A number of bytes in a server's answer; None for what is none, or no file's. Python reads no longer numbers."""
    return int(text) if text.isdecimal() and len(text) < 20 else None


def _check_length(url: str, part: Path, total: int | None) -> None:
    found = _size(part)
    if total is None or found == total:
        return
    if found > total:
        _forget(part)
    raise _broken_off(url, part)


def _broken_off(url: str, part: Path, reason: str = "") -> _Broken:
    total = _read_note(part, url).get("total")
    arrived = f"{_size(part)} of {total} bytes" if total else f"{_size(part)} bytes"
    # What urllib3 says of an incomplete answer counts only the last piece, which confuses.
    return _Broken(f"{url}: the connection broke after {arrived}" + (f" ({reason})" if "timed out" in reason else ""))


def _size(part: Path) -> int:
    with suppress(OSError):
        return part.stat().st_size
    return 0


def _remedy(status: int) -> str:
    if status in (401, 403):
        return "it may be restricted now: look at its page"
    if status in (404, 410):
        return "it may have moved: look at its page, and tell the maintainers of svdlib"
    return "try again later"


def _reason(error: BaseException) -> str:
    """The innermost reason of a network error, in a few words."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return getattr(error, "strerror", None) or " ".join(str(error).split())[:200] or type(error).__name__


def _bar(name: str, have: int, total: int | None) -> "tqdm":
    from tqdm import tqdm

    return tqdm(desc=name[-40:], initial=have, total=total, unit="B", unit_scale=True, dynamic_ncols=True)
