"""What is known about a published corpus: what it is, its licence, how to cite it, and where its files lie."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from svdlib.songs.corpora.base import Segment, at_home

DATA_VARIABLE = "SVDLIB_DATA"


@dataclass(frozen=True)
class Source:
    """One file at its publisher's.

    Attributes:
        url: where it is fetched from.
        file: its name while it is fetched; of a file that is not unpacked, its place in the corpus's folder.
        unpack_to: folder below the corpus's that the archive is unpacked into, "" for that folder itself; None for a
            file that is kept as it is.
        size: bytes; None where nobody has told.
        checksum: "md5:..." or "sha256:..." by its publisher; None where none is known. Then the checksum of the
            first fetch is recorded and demanded from then on.
        lasting: whether it never changes. What may change is fetched anew each time and not recorded.
    """

    url: str
    file: str
    unpack_to: str | None = None
    size: int | None = None
    checksum: str | None = None
    lasting: bool = True


@dataclass(frozen=True)
class Inventory:
    """What lies in a corpus's folder. Songs, labels and splits are found by the song's name.

    Attributes:
        songs: sound files.
        labels: label files.
        splits: `train`, `valid` or `test`; a song that is missing here is in none.
    """

    songs: Mapping[str, Path]
    labels: Mapping[str, Path]
    splits: Mapping[str, str]

    @property
    def complete(self) -> list[str]:
        """Names of the songs with sound, labels and split, sorted."""
        return sorted(set(self.songs) & set(self.labels) & set(self.splits))

    @property
    def without_labels(self) -> list[str]:
        """Names of the songs without a label file, sorted."""
        return sorted(set(self.songs) - set(self.labels))

    @property
    def without_sound(self) -> list[str]:
        """Names of the songs that have labels, or stand in a list of songs, but no sound file, sorted."""
        return sorted((set(self.labels) | set(self.splits)) - set(self.songs))

    @property
    def without_split(self) -> list[str]:
        """Names of the songs that are in no split, sorted."""
        return sorted((set(self.songs) & set(self.labels)) - set(self.splits))


@dataclass(frozen=True)
class Publication:
    """A corpus that somebody has published and that is fetched, not shipped.

    Attributes:
        name: its name for `open_corpus`.
        title: its name for people.
        licence: what its owners allow, in a sentence or two.
        cite: how to cite it.
        page: its page on the web.
        songs: how many songs each split should have.
        size: bytes to download, about; None where only its publisher's server knows.
        sources: its files, in the order in which they are fetched.
        take_stock: finds songs, labels and splits in its folder.
        read_labels: reads a label file, given the song's length in seconds.
        name_more: reads further sources from the files that `sources` brought; None where there are none.
        layout: how the files should lie for somebody who brings them by hand.
        unconfirmed: what its publisher's pages could not be asked about when this was written.
    """

    name: str
    title: str
    licence: str
    cite: str
    page: str
    songs: Mapping[str, int]
    size: int | None
    sources: tuple[Source, ...]
    take_stock: Callable[[Path], Inventory] = field(repr=False)
    read_labels: Callable[[Path, float], tuple[Segment, ...]] = field(repr=False)
    layout: str
    name_more: Callable[[Path], tuple[Source, ...]] | None = field(default=None, repr=False)
    unconfirmed: str = ""


def data_folder() -> Path:
    """Where fetched corpora are kept: SVDLIB_DATA from the environment, or else the user's data folder."""
    if os.environ.get(DATA_VARIABLE):
        return at_home(os.environ[DATA_VARIABLE])
    try:
        from platformdirs import user_data_dir
    except ImportError:
        return Path.home() / ".local" / "share" / "svdlib"
    return Path(user_data_dir("svdlib"))
