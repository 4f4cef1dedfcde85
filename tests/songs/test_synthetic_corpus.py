"""The synthetic corpus: names, splits, labels, fingerprints and refused parameters."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from svdlib.errors import CorpusError
from svdlib.songs import corpora, synthesis
from svdlib.songs.corpora.base import SPLITS, Segment
from svdlib.songs.corpora.synthetic import assign_splits, open_synthetic, split_sizes


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
        ({"songs": 100_001}, "songs=100001", "100000 or fewer"),
        ({"songs": 10**400}, "songs=1000", "100000 or fewer"),
        ({"seconds": 3600.1}, "seconds=3600.1", "3600 or less"),
        ({"seconds": 1e300}, "seconds=1e+300", "3600 or less"),
        ({"seed": -1}, "seed=-1", "0 or more"),
    ],
)
def test_bad_parameters_are_refused_with_a_remedy(parameters, value, remedy):
    with pytest.raises(CorpusError) as caught:
        open_synthetic(**parameters)
    assert value in str(caught.value) and remedy in str(caught.value)


@pytest.mark.parametrize("options", ["songs=3,seconds=1e300", f"songs={'9' * 400}", f"songs={'9' * 5000}"])
def test_numbers_without_end_are_refused_in_the_name_of_a_corpus(options):
    with pytest.raises(CorpusError, match="or less|or fewer|a whole number"):
        corpora.open_corpus(f"synthetic:{options}")


# --- the second corpus ---


def test_second_corpus_has_its_own_songs_under_its_own_names():
    one, other = open_synthetic(songs=4, seconds=8), open_synthetic(songs=4, seconds=8, world="synthetic-b")
    assert other.name == "synthetic-b"
    assert [track.name for track in other.tracks] == [f"synthetic-b-0-{k:05d}" for k in range(4)]
    assert [track.split for track in other.tracks] == [track.split for track in one.tracks]
    assert not {track.fingerprint for track in one.tracks} & {track.fingerprint for track in other.tracks}
    assert all(f"synthetic-b-v{synthesis.GENERATOR_VERSION}-" in track.fingerprint for track in other.tracks)


def test_second_corpus_loads_the_rendered_song_with_its_labels():
    track = corpora.open_corpus("synthetic-b:songs=3,seconds=6,seed=2").tracks[1]
    song = synthesis.render_song(1, seed=2, seconds=6.0, world="synthetic-b")
    np.testing.assert_array_equal(track.load(), song.samples)
    assert track.segments == tuple(Segment(start, end, True) for start, end in song.segments)


def test_third_corpus_has_its_own_songs_with_their_labels():
    corpus = corpora.open_corpus("synthetic-c:songs=12,seconds=6,seed=2")
    song = synthesis.render_song(8, seed=2, seconds=6.0, world="synthetic-c")
    track = corpus.tracks[8]
    np.testing.assert_array_equal(track.load(), song.samples)
    assert track.segments == tuple(Segment(start, end, True) for start, end in song.segments)
    assert f"synthetic-c-v{synthesis.GENERATOR_VERSION}-" in track.fingerprint


def test_every_world_can_be_opened_by_its_name():
    assert set(corpora.SYNTHETIC_NAMES) == set(synthesis.WORLDS)
    for name in corpora.SYNTHETIC_NAMES:
        corpus = corpora.open_corpus(f"{name}:songs=3,seconds=5")
        assert corpus.name == name and all(track.name.startswith(f"{name}-0-") for track in corpus.tracks)


@pytest.mark.parametrize(
    "name", ["synthetic-d", "synthetic-", "synthetic_b", "syntheticb", "synthetic-b2", "synthetic_c", "synthetic-C"]
)
def test_names_close_to_the_second_corpus_are_refused_with_the_known_ones(name):
    with pytest.raises(CorpusError) as caught:
        corpora.open_corpus(name)
    assert repr(name) in str(caught.value) and "'synthetic-b' and 'synthetic-c'" in str(caught.value)


def test_unknown_world_is_refused_with_the_known_ones():
    with pytest.raises(CorpusError, match="'synthetic-d': there are synthetic, synthetic-b, synthetic-c"):
        open_synthetic(songs=3, world="synthetic-d")


@pytest.mark.parametrize(
    ("options", "reason"), [("song=3", "unknown option 'song'"), ("songs=0", "of 1 or more"), ("", "unknown option ''")]
)
def test_bad_options_of_the_second_corpus(options, reason):
    with pytest.raises(CorpusError) as caught:
        corpora.open_corpus(f"synthetic-b:{options}")
    assert reason in str(caught.value) and f"synthetic-b:{options}" in str(caught.value)


@given(st.sampled_from(corpora.SYNTHETIC_NAMES), st.text(max_size=20))
def test_any_options_are_read_or_refused_in_words(name, options):
    text = f"{name}:songs=3,seconds=5,{options}"
    try:
        corpora.open_corpus(text)
    except CorpusError as error:
        assert str(error)
    else:
        assert options.strip().partition("=")[0].strip() in ("seed", "genre")


@pytest.mark.parametrize("world", corpora.SYNTHETIC_NAMES)
def test_songs_of_one_genre_are_those_of_the_whole_corpus(world):
    genres = list(synthesis.WORLDS[world].genres)
    whole = {
        track.name: track for track in open_synthetic(songs=3 * len(genres), seconds=6, seed=3, world=world).tracks
    }
    for genre in genres[1:3]:
        corpus = corpora.open_corpus(f"{world}:songs=3,seconds=6,seed=3,genre={genre}")
        assert [track.fingerprint for track in corpus.tracks] == [
            whole[track.name].fingerprint for track in corpus.tracks
        ]
        assert {
            synthesis.plan_song(int(t.name[-5:]), seed=3, seconds=6, world=world).score.genre for t in corpus.tracks
        } == {genre}
        assert {track.split for track in corpus.tracks} == {"train", "valid", "test"}


def test_an_unknown_genre_is_refused_with_the_known_ones():
    with pytest.raises(CorpusError, match="synthetic has no genre 'polka': it has pop, rock, metal"):
        corpora.open_corpus("synthetic:genre=polka")
