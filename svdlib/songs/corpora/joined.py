"""Several corpora as one: `synthetic+synthetic-b`."""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import chain

from svdlib.songs.corpora.base import Corpus


def part_names(name: str, kinds: Sequence[str]) -> list[str]:
    """Take the name of several corpora apart.

    Args:
        name: such as `synthetic:songs=300+folder:my_songs`. A plus sign counts where a kind of corpus follows, and
            after it a colon, another plus sign or the end; any other belongs to a path.
        kinds: what a corpus's name may begin with.
    """
    known = "|".join(re.escape(kind) for kind in sorted(kinds, key=len, reverse=True))
    return re.split(rf"\s*\+\s*(?=(?:{known})\s*(?:[:+]|$))", name)


def join(name: str, parts: Sequence[Corpus]) -> Corpus:
    """One corpus of the tracks of several, each in the split that it has.

    Of tracks with one name, the second gets a number, because a corpus names each of its tracks differently.
    """
    seen: Counter[str] = Counter()
    tracks = []
    for track in chain.from_iterable(part.tracks for part in parts):
        seen[track.name] += 1
        number = seen[track.name]
        tracks.append(track if number == 1 else replace(track, name=f"{track.name} ({number})"))
    return Corpus(name, tuple(tracks))


def each_part(name: str, kinds: Sequence[str], change: Callable[[str], str]) -> str:
    """The name of one or several corpora, each changed by a function."""
    return "+".join(change(part) for part in part_names(name, kinds))
