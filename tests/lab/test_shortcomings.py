import pytest
import torch

import svdlib
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import Segment, Track

HALF = 58 / 70  # seconds of an excerpt before or behind its centre


def song(*sung, seconds=10.0):
    segments = tuple(Segment(start, end, sing) for start, end, sing in sung)
    return Track("a", "test", segments, "print", load=lambda: None, seconds=seconds)


def test_songs_of_one_class_are_told_and_others_are_not():
    never, throughout = song((0, 10, False)), song((0, 4, True), (4, 9.95, True))
    assert one_class([never, song()]).startswith(
        "**Nobody sings in the excerpts of the songs that this chapter takes**"
    )
    assert "cannot show an excerpt with singing" in one_class([never])
    assert one_class([throughout]).startswith("**Somebody sings in every excerpt of the songs")
    assert "cannot show an excerpt without singing" in one_class([throughout])
    for tracks in ([never, throughout], [song((0, 5, True))], [song((0, 10, True), seconds=None)]):
        assert one_class(tracks) == ""
    assert "Nobody sings" in one_class([song(seconds=None)])


@pytest.mark.parametrize("beyond", [False, True])
def test_what_no_excerpt_can_be_centred_on_does_not_count(beyond):
    """A label at the very beginning or end of a song, where no centre lies, and one that reaches a little further."""
    reach = HALF + (0.3 if beyond else -0.1)
    for sung, told in (
        ([(0, reach, True)], "Nobody sings"),
        ([(10 - reach, 10, True)], "Nobody sings"),
        ([(reach, 10, True)], "Somebody sings in every"),
        ([(0, 10 - reach, True)], "Somebody sings in every"),
    ):
        assert (told in one_class([song(*sung)])) is not beyond


def test_the_usual_songs_hold_both():
    assert one_class(open_corpus("synthetic").split("test")) == ""


@pytest.mark.parametrize(
    "labels", ["0 4 sing\n", "0.7 4 sing\n", "0 0.7 sing\n", "0 2 sing\n", "2 4 sing\n", "0 4 nosing\n"]
)
def test_it_says_what_a_bank_of_the_songs_holds(song_folder, labels):
    folder = song_folder(3)
    assert one_class(open_corpus(f"folder:{folder}").tracks) == ""
    for path in (folder / "labels").iterdir():
        path.write_text(labels)
    tracks = open_corpus(f"folder:{folder}").tracks
    bank = svdlib.ExcerptBank(svdlib.load_songs(tracks), standardizer=svdlib.Standardizer())
    kinds = set(bank.labels(torch.arange(len(bank))).tolist())
    assert bool(one_class(tracks)) == (len(kinds) == 1)
    assert ("Somebody sings in every" in one_class(tracks)) == (kinds == {True})
