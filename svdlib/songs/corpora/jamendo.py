"""Jamendo: the corpus that the paper trains on, 93 songs of Ramona, Richard and David (2008).

Sound files and `.lab` files are paired by their names. The `.lab` files have the format of
`svdlib.songs.corpora.labels`. A song's split is taken from the lists of songs called `train`, `valid` and `test` that
come with the corpus, or else from the folder of that name that it lies in.

Known: the number of Zenodo's record, the archive `jamando.zip` in it (so spelled), 93 songs, 61/16/16, MP3 and Ogg, and
from programs that read it the folders `audio`, `labels` and `filelists`. Not known when this was written: the archive's
size and checksum, which Zenodo tells when the download begins, and whether other folders lie around those in it, so
songs are searched at any depth.
"""

from collections.abc import Iterable, Iterator
from pathlib import Path

from svdlib.compute.storage import read_plain_text
from svdlib.errors import CorpusError, quoted
from svdlib.songs.corpora.base import SPLITS, Segment, normal
from svdlib.songs.corpora.folder import AUDIO_SUFFIXES
from svdlib.songs.corpora.labels import read_lab
from svdlib.songs.corpora.sources import Inventory, Publication
from svdlib.songs.corpora.zenodo import record_files, record_source

LIST_NAMES = ("{}", "{}.txt", "{}_list.txt", "jam_{}_list.txt")
ANNOTATION_SUFFIXES = (".lab", ".trs")  # songs stand in the lists under the name of their sound or annotation file


def take_stock(folder: Path) -> Inventory:
    """Find songs, `.lab` files and splits at any depth of a folder.

    Raises:
        CorpusError: two files have the same name, or a list of songs cannot be read.
    """
    files = sorted(visible_files(folder))
    songs = by_name((path for path in files if path.suffix.lower() in AUDIO_SUFFIXES), folder)
    labels = by_name((path for path in files if path.suffix.lower() == ".lab"), folder)
    lists = {split: [path for path in files if path.name in _list_names(split)] for split in SPLITS}
    if any(lists.values()):
        return Inventory(songs, labels, _splits_from_lists(lists))
    return Inventory(songs, labels, _splits_from_folders(songs, folder))


def read_labels(path: Path, seconds: float) -> tuple[Segment, ...]:
    """Read a `.lab` file, see `svdlib.songs.corpora.labels.read_lab`; the song's length does not matter for that."""
    return read_lab(path)


def visible_files(folder: Path) -> Iterator[Path]:
    """All files below a folder, but for hidden ones and those in hidden folders."""
    for path in folder.rglob("*"):
        if path.is_file() and not any(part.startswith(".") for part in path.relative_to(folder).parts):
            yield path


def by_name(files: Iterable[Path], folder: Path) -> dict[str, Path]:
    """Files by the name of their song, in one spelling of accents: archives made on other systems spell them apart.

    Raises:
        CorpusError: two files have the same name.
    """
    found: dict[str, Path] = {}
    for path in files:
        name = normal(path.stem)
        if name in found and found[name].samefile(path):
            continue  # a link to it
        if name in found:
            raise CorpusError(
                f"{path.relative_to(folder)} and {found[name].relative_to(folder)} in {folder} have the same name; "
                "move one of them away"
            )
        found[name] = path
    return found


def _splits_from_folders(songs: dict[str, Path], folder: Path) -> dict[str, str]:
    """The split of each song that lies in a folder called `train`, `valid` or `test`, the innermost of them."""
    splits: dict[str, str] = {}
    for name, path in songs.items():
        for part in reversed(path.relative_to(folder).parts[:-1]):
            if part in SPLITS:
                splits[name] = part
                break
    return splits


def _list_names(split: str) -> tuple[str, ...]:
    return tuple(pattern.format(split) for pattern in LIST_NAMES)


def _splits_from_lists(lists: dict[str, list[Path]]) -> dict[str, str]:
    splits: dict[str, str] = {}
    for split, paths in lists.items():
        for path in paths:
            for number, name in enumerate(_lines(path), start=1):
                if splits.setdefault(name, split) != split:
                    raise CorpusError(
                        f"{path}, line {number}: {quoted(name)} is in the list for {splits[name]} as well; remove one"
                    )
    return splits


def _lines(path: Path) -> list[str]:
    """The names of songs in a list, one a line, without what their files are called after the dot."""
    try:
        text = read_plain_text(path)
    except (OSError, UnicodeDecodeError) as error:
        raise CorpusError(f"{path}: the list of songs cannot be read ({error}); save it as plain UTF-8 text") from error
    names = [normal(line.strip()) for line in text.splitlines() if line.strip()]
    known = (*AUDIO_SUFFIXES, *ANNOTATION_SUFFIXES)
    return [name.rpartition(".")[0] if name.lower().endswith(known) else name for name in names]


JAMENDO = Publication(
    name="jamendo",
    title="Jamendo corpus for singing voice detection",
    licence="Songs under Creative Commons licences, each its own; see the corpus's page and the songs' on jamendo.com",
    cite="M. Ramona, G. Richard, B. David. Vocal Detection in Music with Support Vector Machines. ICASSP 2008",
    page="https://zenodo.org/records/2585988",
    songs={"train": 61, "valid": 16, "test": 16},
    size=None,
    sources=(record_source(2585988),),
    name_more=record_files,
    take_stock=take_stock,
    read_labels=read_labels,
    layout="sound files, a .lab file of the same name for each, and the lists of songs train, valid and test",
    unconfirmed="the archive's size and the folders in it",
)
