"""The synthetic corpus: names, splits, labels, fingerprints and refused parameters."""

import numpy as np
import pytest

from svdlib import synthesis
from svdlib.corpora.base import SPLITS, Segment
from svdlib.corpora.synthetic import assign_splits, open_synthetic, split_sizes
from svdlib.errors import CorpusError


def test_default_corpus_has_the_sizes_of_jamendo_and_every_genre_in_every_split():
    corpus = open_synthetic()
    assert corpus.name == "synthetic"
    assert [len(corpus.split(name)) for name in SPLITS] == [61, 16, 16]
    for name in SPLITS:
        genres = {int(track.name[-5:]) % len(synthesis.GENRES) for track in corpus.split(name)}
        assert genres == set(range(len(synthesis.GENRES)))


def test_names_and_fingerprints_tell_songs_apart():
    corpora = [
        open_synthetic(songs=4, seconds=8),
        open_synthetic(songs=4, seconds=9),
        open_synthetic(songs=4, seconds=8, seed=1),
    ]
    assert corpora[0].tracks[2].name == "synthetic-0-00002"
    assert corpora[2].tracks[3].name == "synthetic-1-00003"
    assert len({track.fingerprint for corpus in corpora for track in corpus.tracks}) == 12


def test_fingerprint_follows_the_generators_version(monkeypatch):
    before = open_synthetic(songs=3, seconds=8).tracks[0].fingerprint
    monkeypatch.setattr(synthesis, "GENERATOR_VERSION", synthesis.GENERATOR_VERSION + 1)
    assert open_synthetic(songs=3, seconds=8).tracks[0].fingerprint != before


def test_whole_and_fractional_seconds_name_the_same_song():
    whole, fractional = open_synthetic(songs=3, seconds=8), open_synthetic(songs=3, seconds=8.0)
    assert [t.fingerprint for t in whole.tracks] == [t.fingerprint for t in fractional.tracks]


def test_labels_and_samples_are_those_of_the_rendered_song():
    track = open_synthetic(songs=5, seconds=8, seed=2).tracks[4]
    song = synthesis.render_song(4, seed=2, seconds=8.0)
    np.testing.assert_array_equal(track.load(), song.samples)
    assert track.segments == tuple(Segment(start, end, True) for start, end in song.segments)


def test_a_song_does_not_depend_on_the_size_of_its_corpus():
    small, large = open_synthetic(songs=3, seconds=8), open_synthetic(songs=30, seconds=8)
    for one, other in zip(small.tracks, large.tracks, strict=False):
        assert (one.name, one.segments, one.fingerprint) == (other.name, other.segments, other.fingerprint)


@pytest.mark.parametrize(
    ("songs", "sizes"),
    [(3, [1, 1, 1]), (4, [2, 1, 1]), (10, [6, 2, 2]), (12, [8, 2, 2]), (93, [61, 16, 16]), (100, [66, 17, 17])],
)
def test_split_sizes(songs, sizes):
    assert split_sizes(songs) == sizes


@pytest.mark.parametrize("songs", [3, 4, 5, 7, 16, 93, 118, 500])
def test_assigned_splits_have_the_sizes_and_miss_none(songs):
    splits = assign_splits(songs, 8)
    assert [splits.count(name) for name in SPLITS] == split_sizes(songs)


@pytest.mark.parametrize(
    ("parameters", "value", "remedy"),
    [
        ({"songs": 2}, "songs=2", "3 or more"),
        ({"seconds": 4.9}, "seconds=4.9", "5 or more"),
        ({"seconds": float("nan")}, "seconds=nan", "5 or more"),
        ({"seconds": float("inf")}, "seconds=inf", "5 or more"),
        ({"seed": -1}, "seed=-1", "0 or more"),
    ],
)
def test_bad_parameters_are_refused_with_a_remedy(parameters, value, remedy):
    with pytest.raises(CorpusError) as caught:
        open_synthetic(**parameters)
    assert value in str(caught.value) and remedy in str(caught.value)
