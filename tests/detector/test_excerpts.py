import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from svdlib.audio.standardizer import Standardizer
from svdlib.detector.excerpts import ExcerptBank
from svdlib.errors import CorpusError
from svdlib.songs.loading import Songs


def counting_songs(*lengths):
    """Songs whose frames say where they come from: 1000 * song + frame in every band; each fifth frame is sung."""
    log_mels = [
        np.repeat(1000.0 * song + np.arange(length)[:, None], 80, axis=1).astype(np.float32)
        for song, length in enumerate(lengths)
    ]
    labels = [np.arange(length) % 5 == 0 for length in lengths]
    return Songs(log_mels, labels, [str(song) for song in range(len(lengths))])


def bank_of(*lengths, **options):
    return ExcerptBank(counting_songs(*lengths), standardizer=Standardizer(), **options)


def test_excerpts_start_every_ten_frames_and_never_cross_into_the_next_song():
    bank = bank_of(135, 114, 115, 144)
    assert len(bank) == 3 + 0 + 1 + 3
    excerpts = bank.gather(torch.arange(len(bank)))
    assert excerpts.shape == (7, 1, 115, 80)
    assert excerpts[:, 0, 0, 0].tolist() == [0, 10, 20, 2000, 3000, 3010, 3020]
    assert bank.songs.tolist() == [0, 0, 0, 2, 3, 3, 3]
    torch.testing.assert_close(excerpts[:, 0, :, 7], excerpts[:, 0, :1, 0] + torch.arange(115.0))


@given(lengths=st.lists(st.integers(1, 300), min_size=1, max_size=5), hop=st.integers(1, 60))
@settings(max_examples=30, deadline=None)
def test_excerpts_are_all_windows_at_the_hop(lengths, hop):
    expected = [
        1000.0 * song + start
        for song, length in enumerate(lengths)
        for start in range(length)
        if start % hop == 0 and start + 115 <= length
    ]
    if not expected:
        with pytest.raises(CorpusError):
            bank_of(*lengths, hop_frames=hop)
        return
    bank = bank_of(*lengths, hop_frames=hop)
    assert bank.frames[bank.starts, 0].tolist() == expected


def test_the_label_is_that_of_the_centre_frame():
    bank = bank_of(300, 200, hop_frames=1)
    labels = bank.labels(torch.arange(len(bank)))
    centres = bank.gather(torch.arange(len(bank)))[:, 0, 57, 0] % 1000
    assert torch.equal(labels, centres % 5 == 0)


def test_songs_are_standardised_on_the_way_in():
    standardizer = Standardizer()
    standardizer.mean.fill_(100.0)
    standardizer.std.fill_(4.0)
    bank = ExcerptBank(counting_songs(120), standardizer=standardizer)
    torch.testing.assert_close(bank.frames[:, 3], (torch.arange(120.0) - 100) / 4)


def test_spread_covers_the_bank_evenly():
    bank = bank_of(300, hop_frames=1)
    assert bank.spread(10_000).tolist() == list(range(len(bank)))
    few = bank.spread(5)
    assert few[0] == 0 and few[-1] == len(bank) - 1
    assert (few.diff() - (len(bank) - 1) / 4).abs().max() <= 1


# --- bad input ---


def test_only_short_songs_make_no_bank():
    with pytest.raises(CorpusError, match="115 frames"):
        bank_of(114, 20)


@pytest.mark.parametrize("shape", [(200,), (200, 79), (1, 200, 80)])
def test_a_spectrogram_of_the_wrong_shape_is_named(shape):
    with pytest.raises(CorpusError, match=r"my song has shape .*\(frames, 80\)"):
        Songs([np.zeros(shape, np.float32)], [np.zeros(shape[0], bool)], ["my song"])


def test_labels_of_another_length_are_named():
    with pytest.raises(CorpusError, match="my song has 200 frames and labels for 199"):
        Songs([np.zeros((200, 80), np.float32)], [np.zeros(199, bool)], ["my song"])


@pytest.mark.parametrize("part", ["log_mels", "voices", "bands"])
@pytest.mark.parametrize("wrong", [np.nan, np.inf])
def test_a_song_that_holds_what_is_no_number_is_named(part, wrong):
    parts = {name: [np.zeros((200, 80), np.float32) for _ in range(2)] for name in ("log_mels", "voices", "bands")}
    parts[part][1][150, 7] = wrong
    with pytest.raises(CorpusError, match="second: frame 150 holds NaN or infinity"):
        Songs(parts.pop("log_mels"), [np.zeros(200, bool)] * 2, ["first", "second"], **parts)


def test_each_song_needs_labels_and_a_name():
    with pytest.raises(CorpusError, match="2 log-mels, 1 label arrays and 2 names"):
        Songs([np.zeros((200, 80), np.float32)] * 2, [np.zeros(200, bool)], ["a", "b"])
