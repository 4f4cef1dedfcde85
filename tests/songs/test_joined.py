"""Several corpora as one, by a name with plus signs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from svdlib.errors import CorpusError
from svdlib.recipes import public_name
from svdlib.songs.corpora import KINDS, export_corpus, open_corpus
from svdlib.songs.corpora.joined import part_names

PATHS = st.text(st.sampled_from("ab :/.=,"), min_size=1, max_size=12).map(lambda text: text.strip() or "a")


def test_a_joined_corpus_has_the_tracks_of_its_parts_in_their_splits():
    names = ("synthetic:songs=3,seconds=5", "synthetic-b:songs=4,seconds=6,seed=2")
    joined, parts = open_corpus("+".join(names)), [open_corpus(name) for name in names]
    assert joined.tracks == parts[0].tracks + parts[1].tracks
    assert [len(joined.split(split)) for split in ("train", "valid", "test")] == [3, 2, 2]


def test_tracks_of_one_name_are_told_apart():
    joined = open_corpus("synthetic:songs=3,seconds=5 + synthetic:songs=3,seconds=5")
    assert len({track.name for track in joined.tracks}) == 6
    assert joined.tracks[3].name == joined.tracks[0].name + " (2)"


def test_a_folder_can_be_joined_to_synthetic_songs(tmp_path):
    folder = export_corpus(open_corpus("synthetic:songs=3,seconds=5"), tmp_path / "rock+pop", processes=1)
    joined = open_corpus(f"folder:{folder}+synthetic-b:songs=3,seconds=5")
    assert len(joined.tracks) == 6 and len(open_corpus(folder).tracks) == 3


def test_a_plus_sign_in_a_path_is_a_plus_sign():
    assert part_names("folder:rock+pop", KINDS) == ["folder:rock+pop"]
    assert part_names("folder:a+rwc_copy+synthetic", KINDS) == ["folder:a+rwc_copy", "synthetic"]


@given(st.lists(st.tuples(st.sampled_from(KINDS), PATHS), min_size=1, max_size=4))
def test_names_come_apart_as_they_were_put_together(parts):
    names = [f"{kind}:{path}" for kind, path in parts]
    assert part_names("+".join(names), KINDS) == names


@pytest.mark.parametrize("name", ["synthetic+nothing", "synthetic+", "+synthetic", "synthetic+folder:"])
def test_a_part_that_is_none_is_named(name):
    with pytest.raises(CorpusError, match="corpus"):
        open_corpus(name)


def test_what_others_read_names_no_place_on_a_disk():
    assert public_name("synthetic+folder:/home/anna/songs+rwc:/data/rwc") == "synthetic+folder:songs+rwc:rwc"
