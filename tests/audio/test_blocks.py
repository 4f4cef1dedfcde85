"""Songs that are read block by block give what they give as a whole, and never lie in memory as a whole."""

import io
import tracemalloc

import librosa
import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from svdlib.audio import decoding
from svdlib.audio.decoding import Recording, resampled
from svdlib.audio.files import load_audio, read_song
from svdlib.audio.framing import framed
from svdlib.audio.log_mel import LogMel
from svdlib.audio.spectra import magnitude_spectra, pack, packed_spectra
from svdlib.compute.growing import GrowingRows
from svdlib.errors import AudioError

few = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
RATES = (8000, 11025, 22050, 32000, 44100, 48000, 96000)


def noise(samples, channels=1, seed=0):
    return np.random.default_rng(seed).uniform(-0.5, 0.5, (samples, channels)).astype(np.float32)


def write(path, samples, rate=22050, form="WAV", subtype="FLOAT"):
    soundfile.write(path, samples, rate, format=form, subtype=subtype)
    return path


def cut(samples, size):
    return [samples[start : start + size] for start in range(0, len(samples), size)]


@pytest.fixture
def block(monkeypatch):
    """Read files in blocks of so many frames: `block(1000)`."""
    return lambda frames: monkeypatch.setattr(decoding, "BLOCK_FRAMES", frames)


@few
@given(st.sampled_from(RATES), st.integers(1, 9), st.integers(1, 60_000), st.integers(300, 20_000))
def test_a_file_in_blocks_is_the_file_as_a_whole_to_the_last_bit(tmp_path, block, rate, channels, samples, size):
    block(size)
    path = write(tmp_path / "song.wav", noise(samples, channels), rate)
    whole = soundfile.read(path, dtype="float32", always_2d=True)[0].mean(axis=1)
    expected = librosa.resample(whole, orig_sr=rate, target_sr=22050, res_type="soxr_hq")
    np.testing.assert_array_equal(load_audio(path), expected)


@few
@given(st.sampled_from(RATES), st.sampled_from(RATES), st.integers(0, 40_000), st.integers(1, 7000))
def test_resampling_in_blocks_is_that_of_the_whole(rate, wanted, samples, size):
    whole = noise(samples)[:, 0]
    found = np.concatenate([*resampled(cut(whole, size), rate, wanted)] or [whole])
    expected = librosa.resample(whole, orig_sr=rate, target_sr=wanted, res_type="soxr_hq") if samples else whole
    np.testing.assert_array_equal(found, expected)


@few
@given(st.integers(1, 60_000), st.integers(1, 9000), st.integers(1, 30))
def test_the_frames_of_all_pieces_are_those_of_the_whole(samples, size, frames):
    whole = noise(samples)[:, 0]
    pieces = [*framed(cut(whole, size), frames)]
    if samples < 1024:
        np.testing.assert_array_equal(np.concatenate(pieces), whole)
        return
    found = np.concatenate([np.lib.stride_tricks.sliding_window_view(piece, 1024)[::315] for piece in pieces])
    np.testing.assert_array_equal(found, np.lib.stride_tricks.sliding_window_view(whole, 1024)[::315])
    assert all((len(piece) - 1024) // 315 + 1 == frames for piece in pieces[:-1])


@pytest.mark.parametrize("samples", [1024, 36934, 315 * 2047 + 1023, 315 * 2047 + 1024, 315 * 2048 + 1024, 1_400_000])
@pytest.mark.parametrize("size", [5000, 300_000, 2_000_000])
def test_log_mels_and_spectra_in_blocks_are_those_of_the_whole_to_the_last_bit(samples, size):
    whole = noise(samples)[:, 0]
    np.testing.assert_array_equal(LogMel().of_blocks(cut(whole, size)), LogMel()(whole))
    if samples < 100_000:
        np.testing.assert_array_equal(packed_spectra(cut(whole, size)), pack(magnitude_spectra(whole)))


def test_too_few_samples_are_refused_in_blocks_too():
    for blocks in ([], [np.zeros(500, np.float32), np.zeros(500, np.float32)]):
        with pytest.raises(AudioError, match="samples of shape"):
            LogMel().of_blocks(blocks)


@few
@given(st.lists(st.integers(1, 9000), max_size=5))
def test_rows_that_are_added_are_all_there(counts):
    rows, given_rows = GrowingRows(3, np.float32), [noise(count, 3, seed=count) for count in counts]
    for some in given_rows:
        rows.add(some)
    np.testing.assert_array_equal(rows.finish(), np.concatenate([np.zeros((0, 3)), *given_rows]))


# --- what only the whole file tells ---


@pytest.mark.parametrize("rate", [22050, 44100])
def test_channels_that_cancel_in_some_blocks_alone_are_averaged(tmp_path, block, rate, recwarn):
    block(1000)
    mono = noise(40_000)[:, 0]
    other = np.where(np.arange(40_000) < 20_000, -mono, mono)
    load = load_audio(write(tmp_path / "song.wav", np.stack([mono, other], axis=1), rate))
    whole = np.where(np.arange(40_000) < 20_000, 0, mono).astype(np.float32)
    expected = librosa.resample(whole, orig_sr=rate, target_sr=22050, res_type="soxr_hq")
    np.testing.assert_allclose(load, expected, atol=1e-6)
    assert not recwarn.list


def test_channels_that_cancel_but_for_the_last_block_are_not_averaged(tmp_path, block):
    block(1000)
    mono = noise(200_000)[:, 0]
    other = np.where(np.arange(200_000) < 199_000, -mono, mono)
    path = write(tmp_path / "song.wav", 0.9 * np.stack([mono, other], axis=1))
    recording = Recording(path)
    with pytest.warns(UserWarning, match="cancel each other") as warned:
        whole = recording.read(lambda blocks: np.concatenate([*blocks]))
        again = recording.read(lambda blocks: next(blocks))
    assert len(warned) == 1
    np.testing.assert_allclose(np.abs(whole), np.abs(0.9 * mono), atol=1e-6)
    np.testing.assert_array_equal(again, whole[: len(again)])


def test_each_part_of_a_joined_file_is_judged_on_its_own(tmp_path, block):
    block(1000)
    mono = noise(30_000)[:, 0]
    parts = []
    for rate, other in ((44100, -mono), (22050, mono)):
        buffer = io.BytesIO()
        soundfile.write(buffer, np.stack([mono, other], axis=1), rate, format="WAV", subtype="FLOAT")
        parts.append(buffer.getvalue())
    (tmp_path / "song.wav").write_bytes(b"".join(parts))
    with pytest.warns(UserWarning, match="cancel each other"):
        found = load_audio(tmp_path / "song.wav")
    np.testing.assert_array_equal(found[15_000:], mono)
    first = librosa.resample(mono, orig_sr=44100, target_sr=22050, res_type="soxr_hq")
    np.testing.assert_allclose(np.abs(found[:15_000]), np.abs(first), atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_the_place_of_a_sample_that_is_no_number_counts_from_the_start_of_the_file(tmp_path, block, bad):
    block(1000)
    samples = noise(5000)
    samples[4321] = bad
    with pytest.raises(AudioError, match="sample 4321 is NaN or infinite"):
        load_audio(write(tmp_path / "song.wav", samples))


def test_silence_and_shortness_are_found_at_the_end(tmp_path, block):
    block(1000)
    quiet = np.zeros((50_000, 1), np.float32)
    front_end = LogMel()
    with pytest.raises(AudioError, match="silence throughout"):
        read_song(Recording(write(tmp_path / "song.wav", quiet)), front_end.of_blocks)
    with pytest.raises(AudioError, match="too short"):
        read_song(Recording(write(tmp_path / "song.wav", noise(500))), front_end.of_blocks)
    quiet[-1] = 0.1
    assert len(read_song(Recording(write(tmp_path / "song.wav", quiet)), front_end.of_blocks)) == 156


# --- memory ---


@pytest.mark.parametrize(("form", "subtype"), [("FLAC", "PCM_16"), ("WAV", "PCM_16"), ("MP3", "MPEG_LAYER_III")])
def test_a_long_file_is_never_in_memory_as_a_whole(tmp_path, block, form, subtype):
    block(1 << 14)
    path = write(tmp_path / "song", np.tile(noise(44100, 2), (120, 1)) * 0.2, 44100, form, subtype)
    Recording(path).read(lambda blocks: next(blocks))
    tracemalloc.start()
    try:
        samples = Recording(path).read(lambda blocks: sum(len(block) for block in blocks))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert samples == pytest.approx(120 * 22050, rel=0.001)
    assert peak < 6e6, "a few blocks, and a piece of the file, where all samples would take 10.6 MB"
