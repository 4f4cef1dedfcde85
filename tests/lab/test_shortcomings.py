import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import svdlib
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, FRAME_LENGTH, HOP_LENGTH, N_BANDS, SAMPLE_RATE
from svdlib.lab.analysis.shortcomings import one_class
from svdlib.songs.corpora import open_corpus
from svdlib.songs.corpora.base import Segment, Track, frame_labels
from svdlib.songs.loading import Songs

HALF = 58 / 70  # seconds of an excerpt before or behind its centre


def song(*sung, seconds=10.0):
    segments = tuple(Segment(start, end, sing) for start, end, sing in sung)
    return Track("a", "test", segments, "print", load=lambda: None, seconds=seconds)


def frames_of(track):
    samples = round(track.seconds * SAMPLE_RATE)
    return len(range(0, samples - FRAME_LENGTH + 1, HOP_LENGTH))


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


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_it_says_what_a_bank_of_the_songs_holds(data):
    tracks = []
    for _ in range(data.draw(st.integers(1, 2))):
        samples = data.draw(st.integers(EXCERPT_SAMPLES, 60_000))
        start = data.draw(st.sampled_from([0.0, 0.7, 0.82, 0.9]))
        end = start + data.draw(st.floats(0.01, 4))
        tracks.append(song((start, end, data.draw(st.booleans())), seconds=samples / SAMPLE_RATE))
    labels = [frame_labels(track.segments, frames_of(track)) for track in tracks]
    songs = Songs([np.zeros((len(each), N_BANDS), np.float32) for each in labels], labels, ["a"] * len(labels))
    bank = svdlib.ExcerptBank(songs, standardizer=svdlib.Standardizer())
    kinds = set(bank.labels(torch.arange(len(bank))).tolist())
    told = {"Somebody sings in every": {True}, "Nobody sings in": {False}, "": {True, False}}
    (wanted,) = [words for words, held in told.items() if held == kinds]
    assert one_class(tracks).startswith(f"**{wanted}" if wanted else "") and bool(one_class(tracks)) == bool(wanted)


def test_songs_of_a_folder_that_are_sung_throughout_are_told(song_folder):
    folder = song_folder(3)
    assert one_class(open_corpus(f"folder:{folder}").tracks) == ""
    for labels in (folder / "labels").iterdir():
        labels.write_text("0 4 sing\n")
    assert "Somebody sings in every" in one_class(open_corpus(f"folder:{folder}").tracks)
