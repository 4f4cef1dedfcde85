import io
import os
import struct
import subprocess
import sys

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import ROOT
from rights import needs_rights, not_root

from svdlib.audio import decoding, mp3
from svdlib.audio.files import encode_mp3, load_audio, load_song, save_audio
from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import EXCERPT_FRAMES, EXCERPT_SAMPLES, FRAME_RATE, HOP_LENGTH, SAMPLE_RATE, mel_filterbank
from svdlib.audio.sonify import sonify, undo_filters
from svdlib.errors import AudioError, OutputError

FORMATS = ["wav", "aiff", "flac", "ogg", "mp3"]


def slow_filterbank():
    """The mel filters again, one weight at a time, from the description of Schlüter & Grill's code."""
    spacing = (1127 * np.log(1 + 8000 / 700) - 1127 * np.log(1 + 27.5 / 700)) / 81
    hz = [700 * (np.exp((1127 * np.log(1 + 27.5 / 700) + k * spacing) / 1127) - 1) for k in range(82)]
    frequency = [bin * 22050 / 1024 for bin in range(513)]
    first_bin = [sum(f < point for f in frequency) for point in hz]
    filters = np.zeros((513, 80))
    for band in range(80):
        left, top, right = first_bin[band : band + 3]
        for bin in range(left, top):
            filters[bin, band] = (frequency[bin] - hz[band]) / (top - left)
        for bin in range(top, right):
            filters[bin, band] = (hz[band + 2] - frequency[bin]) / (right - top)
        filters[:, band] /= sum(filters[:, band])
    return filters


def slow_log_mel(samples):
    """The front end again in float64, frame by frame, with the Fourier transform written out as a matrix."""
    n = np.arange(1024)
    window = 0.5 - 0.5 * np.cos(2 * np.pi * n / 1023)
    transform = np.exp(-2j * np.pi * np.outer(np.arange(513), n) / 1024)
    filters = slow_filterbank()
    frames = []
    for start in range(0, len(samples) - 1023, 315):
        magnitude = np.abs(transform @ (samples[start : start + 1024].astype(np.float64) * window))
        frames.append(np.log(np.maximum(magnitude @ filters, 1e-7)))
    return np.array(frames)


# --- the front end ---


def test_constants_fit_each_other():
    assert FRAME_RATE * HOP_LENGTH == SAMPLE_RATE
    assert EXCERPT_SAMPLES == 36934
    assert len(LogMel()(torch.zeros(EXCERPT_SAMPLES))) == EXCERPT_FRAMES


def test_filterbank_equals_slow_rewrite():
    filters = mel_filterbank()
    assert filters.shape == (513, 80) and filters.dtype == np.float64
    np.testing.assert_allclose(filters, slow_filterbank(), rtol=0, atol=1e-12)
    np.testing.assert_allclose(filters.sum(axis=0), 1)
    assert np.flatnonzero(filters.any(axis=1)).max() == 371, "372 bins are used, counting bin 0"


def test_log_mel_equals_slow_float64_rewrite(melody):
    samples = melody[:20000]
    expected = slow_log_mel(samples)
    log_mel = LogMel()(torch.from_numpy(samples))
    assert log_mel.dtype == torch.float32 and log_mel.shape == ((20000 - 1024) // 315 + 1, 80)
    np.testing.assert_allclose(log_mel, expected, rtol=0, atol=1e-4)


def test_log_mel_is_exact_for_quiet_bands_beside_a_loud_tone():
    tone = np.sin(2 * np.pi * 100 * np.arange(22050) / 22050).astype(np.float32)
    np.testing.assert_allclose(LogMel()(tone), slow_log_mel(tone), rtol=0, atol=1e-4)
    single = LogMel().float()(tone).numpy()
    assert np.abs(single - slow_log_mel(tone)).max() > 1e-3, "float64 is not needed any more"


def test_log_mel_in_chunks_equals_the_whole(melody, monkeypatch):
    whole = LogMel()(melody)
    monkeypatch.setattr("svdlib.audio.log_mel.CHUNK_FRAMES", 7)
    np.testing.assert_array_equal(LogMel()(melody), whole)


def test_log_mel_takes_batches_and_gives_gradients(melody):
    batch = torch.from_numpy(melody[:8000]).reshape(2, 4000).requires_grad_()
    log_mel = LogMel()(batch)
    assert log_mel.shape == (2, 10, 80)
    np.testing.assert_allclose(log_mel[1].detach(), LogMel()(melody[4000:8000]), atol=1e-5)
    log_mel.sum().backward()
    assert torch.isfinite(batch.grad).all() and batch.grad.abs().sum() > 0


@pytest.mark.parametrize("kind", [np.float64, np.float16])
def test_log_mel_is_float32_whatever_the_samples_are(melody, kind):
    samples = melody.astype(kind)
    log_mel = LogMel()(samples)
    assert log_mel.dtype == torch.float32
    np.testing.assert_allclose(log_mel, slow_log_mel(samples), rtol=0, atol=1e-4)


def test_log_mel_says_what_it_takes():
    with pytest.raises(AudioError, match="give an array"):
        LogMel()("song.wav")
    with pytest.raises(AudioError, match="mean"):
        LogMel()(np.zeros((5000, 2)))


def test_log_mel_of_silence_is_the_floor():
    np.testing.assert_allclose(LogMel()(torch.zeros(2048)), np.log(1e-7), rtol=1e-6)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_log_mel_on_gpu_equals_cpu(melody):
    on_gpu = LogMel().to("cuda")(torch.from_numpy(melody).cuda())
    np.testing.assert_allclose(on_gpu.cpu(), LogMel()(melody), rtol=0, atol=1e-4)


@pytest.mark.parametrize("samples", [torch.zeros(1023), torch.zeros(2048, dtype=torch.int16), torch.tensor(0.0)])
def test_log_mel_refuses_too_few_and_whole_numbers(samples):
    with pytest.raises(AudioError, match="samples of"):
        LogMel()(samples)


# --- reading files ---


@pytest.mark.parametrize("suffix", FORMATS)
def test_every_format_gives_the_melody_back(song_file, melody, suffix):
    samples = load_song(song_file(f"song.{suffix}"))
    assert samples.dtype == np.float32 and samples.shape == melody.shape and samples.flags.c_contiguous
    lossless = suffix not in ("ogg", "mp3")
    assert np.abs(samples - melody).mean() < (1e-4 if lossless else 1e-2)
    assert np.corrcoef(samples, melody)[0, 1] > 0.99


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000, 96000, 192000])
def test_every_rate_becomes_22050_hz(song_file, rate):
    tone = np.sin(2 * np.pi * 1000 * np.arange(2 * rate) / rate).astype(np.float32) * 0.5
    samples = load_audio(song_file(samples=tone, rate=rate))
    assert len(samples) == 44100
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(44100) / 22050)
    assert np.abs(samples - expected)[500:-500].max() < 1e-3


def test_eight_channels_are_averaged(song_file):
    channels = np.random.default_rng(0).uniform(-0.5, 0.5, (4000, 8))
    samples = load_audio(song_file(samples=channels, subtype="FLOAT"))
    np.testing.assert_allclose(samples, channels.mean(axis=1), atol=1e-6)


def test_long_files_are_read_in_blocks(song_file, melody, monkeypatch):
    monkeypatch.setattr(decoding, "BLOCK_FRAMES", 1000)
    np.testing.assert_allclose(load_audio(song_file()), melody, atol=1e-4)


def test_the_content_counts_not_the_suffix(song_file, melody):
    path = song_file("song.flac")
    assert len(load_audio(path.rename(path.with_suffix(".mp3")))) == len(melody)


def test_wav_of_open_length_is_read(song_file, melody):
    path = song_file()
    data = bytearray(path.read_bytes())
    data[4:8] = data[40:44] = b"\xff\xff\xff\xff"
    path.write_bytes(data)
    np.testing.assert_allclose(load_audio(path), melody, atol=1e-4)


def test_long_wav_with_64_bit_sizes(song_file, melody):
    path = song_file("song.rf64", format="RF64", subtype="PCM_16")
    np.testing.assert_allclose(load_audio(path), melody, atol=1e-4)
    path.write_bytes(path.read_bytes()[:-1000])
    assert_refused(path, "cut short")


def test_mp3_without_frame_count_is_read_to_its_end(tmp_path):
    # Quiet first: libsndfile then guesses from the small first frames, and would stop long before the end.
    samples = np.random.default_rng(0).standard_normal(5 * 44100).astype(np.float32) * 0.2
    samples[:22050] *= 1e-3
    data = mp3_of(samples, 44100)
    first, second = list(mp3.mp3_frames(data))[:2]
    path = tmp_path / "song.mp3"
    path.write_bytes(data)
    expected, _ = decoding.Recording(path).decode(whole)
    path.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x0a" + bytes(10) + data[second.start :] + b"TAG" + bytes(125))
    found, rate = decoding.Recording(path).decode(whole)
    padding = len(found) - len(expected)  # the encoder pads both ends, and nobody says any more how much
    start = max(range(padding + 1), key=lambda lag: found[lag:][:66150] @ expected[:66150])
    assert rate == 44100
    np.testing.assert_allclose(found[start : start + len(expected)], expected, atol=1e-6)
    assert decoding.duration(path) == pytest.approx(len(found) / 44100)


def whole(blocks, rate):
    return np.concatenate([*blocks]), rate


def mp3_of(samples, rate):
    buffer = io.BytesIO()
    soundfile.write(buffer, samples, rate, format="MP3")
    return buffer.getvalue()


# --- bad files ---


def assert_refused(path, reason, load=load_audio):
    with pytest.raises(AudioError) as error:
        load(path)
    message = str(error.value)
    assert message.startswith(f"{path}:") and reason in message
    assert any(mark in message for mark in (";", ", so")), "the message names no remedy"


def test_missing_file(tmp_path):
    assert_refused(tmp_path / "none.wav", "no such file")


def test_folder_instead_of_file(tmp_path):
    assert_refused(tmp_path, "folder")


@pytest.mark.parametrize("suffix", FORMATS)
def test_empty_file(tmp_path, suffix):
    path = tmp_path / f"song.{suffix}"
    path.touch()
    assert_refused(path, "empty")


@needs_rights
def test_unreadable_file(song_file, public_folder):
    path = song_file(public_folder / "song.wav")
    path.chmod(0)
    with not_root():
        assert_refused(path, "permissions")


@pytest.mark.parametrize("suffix", [*FORMATS, "txt"])
@pytest.mark.parametrize("content", ["text", "noise", "zeros"])
def test_not_audio(tmp_path, suffix, content):
    noise = np.random.default_rng(1).integers(0, 256, 20000, dtype=np.uint8).tobytes()
    path = tmp_path / f"song.{suffix}"
    path.write_bytes({"text": b"la la la\n" * 1000, "noise": noise, "zeros": bytes(20000)}[content])
    assert_refused(path, "not a sound file")


@pytest.mark.parametrize("suffix", ["wav", "aiff"])
def test_no_samples(song_file, suffix):
    assert_refused(song_file(f"song.{suffix}", samples=np.zeros(0)), "no samples")


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("share", [0.999, 0.9, 0.5, 0.1, 0.01])
def test_cut_short(song_file, suffix, share):
    path = song_file(f"song.{suffix}")
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    assert_refused(path, "; ")
    if share == 0.5:
        assert_refused(path, "cut short")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "mp3", "ogg"])
def test_length_of_a_cut_file_is_refused_too(song_file, suffix):
    path = song_file(f"song.{suffix}")
    path.write_bytes(path.read_bytes()[:-500])
    assert_refused(path, "cut short", load=decoding.duration)


def test_mp3_without_frame_count_cut_within_a_frame(song_file):
    path = song_file("song.mp3")
    data = path.read_bytes()
    frames = list(mp3.mp3_frames(data))
    path.write_bytes(data[frames[1].start : frames[-1].start + frames[-1].size // 2])
    assert_refused(path, "cut short in its last frame")


def test_mp3_header_that_counts_its_own_frame_is_accepted(song_file, melody):
    path = song_file("song.mp3")
    data = bytearray(path.read_bytes())
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    struct.pack_into(">I", data, place, struct.unpack_from(">I", data, place)[0] + 1)
    path.write_bytes(data)
    assert abs(len(load_audio(path)) - len(melody)) <= 1152


@pytest.mark.parametrize("suffix", ["flac", "ogg"])
def test_one_changed_byte_is_found_where_there_are_checksums(song_file, suffix):
    path = song_file(f"song.{suffix}")
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 255
    path.write_bytes(data)
    assert_refused(path, "damaged")


@pytest.mark.parametrize("suffix", ["wav", "aiff", "flac", "ogg"])  # an MP3 goes on without its first frame
def test_damaged_header(song_file, suffix):
    path = song_file(f"song.{suffix}")
    data = bytearray(path.read_bytes())
    data[4:60] = bytes(56)
    path.write_bytes(data)
    with pytest.raises(AudioError):
        load_audio(path)


@pytest.mark.parametrize("suffix", ["mp3", "flac"])
def test_tail_lost_to_zeros(song_file, suffix):
    path = song_file(f"song.{suffix}")
    data = path.read_bytes()
    half = len(data) // 2
    path.write_bytes(data[:half] + bytes(len(data) - half))
    assert_refused(path, "cut short")


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_samples_that_are_not_finite(song_file, melody, bad):
    samples = melody.copy()
    samples[1234] = bad
    assert_refused(song_file(samples=samples, subtype="FLOAT"), "sample 1234")


@pytest.mark.parametrize("level", [1e16, 3e38, -3e38])
def test_samples_that_no_level_of_sound_has(song_file, melody, level):
    """Resampling would make infinite ones of them, and of these NaN."""
    samples = melody.copy()
    samples[1234] = level
    assert_refused(song_file(samples=samples, rate=44100, subtype="FLOAT"), f"sample 1234 is {level:.3g}, where full")


def test_samples_scaled_as_whole_numbers_are_read(song_file, melody):
    sound = load_audio(song_file(samples=melody * 2**31, rate=44100, subtype="FLOAT"))
    assert np.isfinite(sound).all() and np.abs(sound).max() > 2**28


def test_absurd_sample_rate(song_file):
    assert_refused(song_file(rate=10), "10 Hz")


def test_other_sound_formats(song_file):
    assert_refused(song_file("song.au", format="AU"), "convert")


def test_song_shorter_than_an_excerpt(song_file, melody):
    assert len(load_song(song_file(samples=melody[:36934]))) == 36934
    assert_refused(song_file(samples=melody[:36933]), "too short", load=load_song)
    assert len(load_audio(song_file(samples=melody[:36933]))) == 36933


def test_digital_silence(song_file):
    assert_refused(song_file(samples=np.zeros(50000)), "silence", load=load_song)
    faint = np.full(50000, 2**-15, dtype=np.float32)
    assert len(load_song(song_file("faint.wav", samples=faint))) == 50000


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    suffix=st.sampled_from(FORMATS),
    magic=st.booleans(),
    cut=st.just(1.0) | st.floats(0, 1),
    changes=st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=4),
)
def test_damage_anywhere_gives_sound_or_a_clear_error(song_file, melody, suffix, magic, cut, changes):
    path = song_file(f"song.{suffix}", samples=melody[:9000])
    data = bytearray(path.read_bytes())
    for place, value in changes:
        data[int(place * (200 if magic else len(data)))] = value
    path.write_bytes(data[: int(cut * len(data))])
    try:
        samples = load_audio(path)
    except AudioError as error:
        assert str(path) in str(error)
    else:
        assert samples.ndim == 1 and len(samples) and np.isfinite(samples).all()


# --- making sound ---


def test_sonify_comes_close_to_the_original(melody):
    excerpt = melody[:EXCERPT_SAMPLES]
    log_mel = LogMel()(excerpt)
    sound = sonify(log_mel)
    assert sound.dtype == np.float32 and sound.shape == excerpt.shape
    assert (LogMel()(sound) - log_mel).abs().mean() < 0.1
    frame_level = np.sqrt(np.convolve(sound**2, np.ones(1024) / 1024, mode="valid"))
    assert frame_level.min() > 1e-3, "no gap"
    assert np.abs(np.diff(sound)).max() < 2 * np.abs(np.diff(excerpt)).max(), "no click"
    assert np.abs(sound[:2]).max() < 0.05 and np.abs(sound[-2:]).max() < 0.05, "starts and ends softly"


def test_sonify_where_nothing_compiled_can_be_kept(tmp_path):
    words = "import numpy as np; from svdlib.audio.sonify import sonify; print(len(sonify(np.zeros((9, 80)))))"
    nowhere = {"NUMBA_CACHE_LOCATOR_CLASSES": "UserProvidedCacheLocator", "TMPDIR": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", words], env=os.environ | nowhere, capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.stdout.strip() == str(8 * 315 + 1024), done.stderr
    assert not [*tmp_path.iterdir()], "nothing is left"


def test_sonify_depends_on_the_seed_only(melody):
    log_mel = LogMel()(melody[:10000])
    np.testing.assert_array_equal(sonify(log_mel, seed=3), sonify(log_mel.numpy(), seed=3))
    assert (sonify(log_mel, seed=3) != sonify(log_mel, seed=4)).any()


def test_sonify_never_clips(melody):
    sound = sonify(LogMel()(melody[:10000] * 50))
    assert 0.99 < np.abs(sound).max() <= 1


@pytest.mark.parametrize("level", [30.0, 100.0, 1000.0])
def test_sonify_of_levels_beyond_all_sound_is_that_sound_at_full_scale(melody, level):
    log_mel = LogMel()(melody[:10000]).double()
    sound = sonify(log_mel - log_mel.max() + level)
    assert np.isfinite(sound).all() and 0.99 < np.abs(sound).max() <= 1
    as_loud = sonify(log_mel - log_mel.max() + 10)
    assert np.corrcoef(sound, as_loud)[0, 1] > 0.99


def test_sonify_of_silence_is_silent():
    assert np.abs(sonify(np.full((20, 80), np.log(1e-7)))).max() < 1e-5


def test_undone_mel_filters_give_the_mel_magnitudes_back(melody):
    mel = np.exp(LogMel()(melody).double().numpy().T)
    magnitude = undo_filters(mel, mel_filterbank())
    assert magnitude.shape == (513, mel.shape[1]) and magnitude.min() >= 0
    assert np.abs(np.log(mel_filterbank().T @ magnitude / mel)).mean() < 0.02


@pytest.mark.parametrize("log_mel", [np.zeros((80, 115)), np.zeros(80), np.zeros((0, 80)), np.full((5, 80), np.nan)])
def test_sonify_refuses_other_shapes_and_nan(log_mel):
    with pytest.raises(AudioError, match="log-mel"):
        sonify(log_mel)


@pytest.mark.parametrize("suffix", ["wav", "ogg", "mp3", "WAV"])
def test_saved_audio_comes_back(tmp_path, melody, suffix):
    path = tmp_path / f"sound.{suffix}"
    save_audio(path, melody)
    found = load_audio(path)
    assert len(found) == len(melody) and np.corrcoef(found, melody)[0, 1] > 0.99
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name], "nothing else is left behind"


def test_saving_scales_only_what_would_clip(tmp_path, melody):
    save_audio(tmp_path / "soft.wav", melody * 0.1)
    save_audio(tmp_path / "loud.wav", melody * 10)
    np.testing.assert_allclose(load_audio(tmp_path / "soft.wav"), melody * 0.1, atol=1e-4)
    loud = load_audio(tmp_path / "loud.wav")
    np.testing.assert_allclose(loud, melody / np.abs(melody).max(), atol=1e-4)


@pytest.mark.parametrize("samples", [np.zeros((2, 500)), np.zeros(0), np.array([0.0, np.nan])])
def test_saving_refuses_what_is_not_sound(tmp_path, samples):
    with pytest.raises(OutputError, match="sound.wav"):
        save_audio(tmp_path / "sound.wav", samples)


def test_saving_refuses_other_suffixes(tmp_path, melody):
    with pytest.raises(OutputError, match=r"\.wav, \.mp3, \.ogg"):
        save_audio(tmp_path / "sound.doc", melody)


def test_saving_where_nothing_can_be_written(tmp_path, melody):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.raises(OutputError, match="taken"):
        save_audio(tmp_path / "taken" / "sound.wav", melody)


def test_failed_saving_leaves_the_older_file(tmp_path, melody):
    path = tmp_path / "sound.wav"
    save_audio(path, melody)
    before = path.read_bytes()
    with pytest.raises(OutputError):
        save_audio(path, np.array([np.inf]))
    assert path.read_bytes() == before


def test_encoded_mp3_decodes_and_is_small(melody):
    excerpt = melody[:EXCERPT_SAMPLES]
    data = encode_mp3(excerpt)
    assert len(data) < 15000
    found, rate = soundfile.read(io.BytesIO(data))
    assert rate == 22050 and len(found) == len(excerpt) and np.corrcoef(found, excerpt)[0, 1] > 0.98
