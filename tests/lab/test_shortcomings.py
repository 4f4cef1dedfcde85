from svdlib.lab.analysis.shortcomings import one_class
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import Segment, Track


def song(*sung, seconds=10.0):
    segments = tuple(Segment(start, end, sing) for start, end, sing in sung)
    return Track("a", "test", segments, "print", load=lambda: None, seconds=seconds)


def test_songs_of_one_class_are_told_and_others_are_not():
    never, throughout = song((0, 10, False)), song((0, 4, True), (4, 9.95, True))
    assert one_class([never, song()]).startswith("**Nobody sings in the songs that this chapter takes**")
    assert "cannot show an excerpt with singing" in one_class([never])
    assert one_class([throughout]).startswith("**The songs that this chapter takes are sung throughout**")
    assert "cannot show an excerpt without singing" in one_class([throughout])
    for tracks in ([never, throughout], [song((0, 5, True))], [song((0, 10, True), seconds=None)]):
        assert one_class(tracks) == ""


def test_the_usual_songs_hold_both():
    assert one_class(open_corpus("synthetic").split("test")) == ""


def test_songs_of_a_folder_that_are_sung_throughout_are_told(song_folder):
    folder = song_folder(3)
    assert one_class(open_corpus(f"folder:{folder}").tracks) == ""
    for labels in (folder / "labels").iterdir():
        labels.write_text("0 4 sing\n")
    assert "sung throughout" in one_class(open_corpus(f"folder:{folder}").tracks)
