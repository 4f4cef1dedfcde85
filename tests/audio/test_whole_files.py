"""What comes out of a sound file is all that is in it, or a sentence: joined, prefixed, cut and relabelled files."""

import io
import math
import os
import re
import struct
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from svdlib.audio import decoding, mp3
from svdlib.audio.files import load_audio
from svdlib.errors import AudioError

RATES = (22050, 32000, 44100, 48000)
FORMATS = {"wav": ("WAV", "PCM_16"), "aiff": ("AIFF", "PCM_16"), "flac": ("FLAC", "PCM_16"), "ogg": ("OGG", "VORBIS"),
           "mp3": ("MP3", "MPEG_LAYER_III")}  # fmt: skip
MORE_THAN_A_FRAME = 2400 / 22050  # seconds: what encoders of MP3 add at both ends

few = settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def tone(seconds=1.0, rate=44100, hertz=440.0, channels=1):
    time = np.arange(round(seconds * rate)) / rate
    vibrato = hertz * time + 0.3 * np.sin(2 * np.pi * 5 * time)
    sound = 0.3 * np.sin(2 * np.pi * vibrato).astype(np.float32)
    return np.stack([sound] * channels, axis=1)


def encoded(suffix, samples, rate=44100):
    buffer = io.BytesIO()
    name, subtype = FORMATS[suffix]
    soundfile.write(buffer, samples, rate, format=name, subtype=subtype)
    return buffer.getvalue()


def decoded(path):
    """Samples, and the file's own rate."""
    return decoding.Recording(path).decode(lambda blocks, rate: (np.concatenate([*blocks]), rate))


def without_count(data):
    """An MP3 without the frame that holds its Xing header."""
    return data[list(mp3.mp3_frames(data))[1].start :]


def with_count(data, count):
    """An MP3 whose Xing header states another number of frames."""
    data = bytearray(data)
    place = max(data.find(b"Xing"), data.find(b"Info")) + 8
    struct.pack_into(">I", data, place, count)
    return bytes(data)


def piped_flac(data):
    """A FLAC as an encoder leaves it that writes to a pipe: its header does not know its length."""
    numbers = int.from_bytes(data[18:26], "big") & ~((1 << 36) - 1)
    return data[:18] + numbers.to_bytes(8, "big") + data[26:]


def seconds_in(tmp_path, data):
    """How long the sound is that comes out; the length that is known without decoding must agree."""
    path = tmp_path / "song.bin"
    path.write_bytes(data)
    seconds = len(load_audio(path)) / 22050
    assert decoding.duration(path) == pytest.approx(seconds, abs=0.06)
    return seconds


def refusal(tmp_path, data):
    path = tmp_path / "song.bin"
    path.write_bytes(data)
    with pytest.raises(AudioError) as error:
        load_audio(path)
    assert str(error.value).startswith(f"{path}: ") and ";" in str(error.value)
    return str(error.value)


# --- joined ---


@few
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["with Xing", "without", "Xing of 0", "Xing of half"]),
            st.sampled_from(RATES),
            st.integers(1, 2),
            st.floats(0.4, 1.2),
            st.sampled_from(
                [b"", bytes(700), b"ID3\x04\x00\x00\x00\x00\x10\x00" + b"\xff\xfb" * 1024, b"TAG" + bytes(125)]
            ),
        ),
        min_size=2,
        max_size=4,
    )
)
def test_all_of_joined_mp3_files_comes_out(tmp_path, pieces):
    joined = []
    for header, rate, channels, seconds, before in pieces:
        data = encoded("mp3", tone(seconds, rate, channels=channels), rate)
        count = len(list(mp3.mp3_frames(data))) - 1
        counted = {"Xing of 0": 0, "Xing of half": count // 2}.get(header, count)
        joined.append(before + (without_count(data) if header == "without" else with_count(data, counted)))
    wanted = sum(seconds for _, _, _, seconds, _ in pieces)
    found = seconds_in(tmp_path, b"".join(joined))
    assert -0.01 < found - wanted < len(pieces) * MORE_THAN_A_FRAME * 1.5


@few
@given(
    st.sampled_from(["wav", "aiff", "flac", "piped flac", "ogg"]),
    st.lists(st.tuples(st.sampled_from(RATES), st.floats(0.3, 1.2)), min_size=2, max_size=3),
)
def test_all_of_joined_files_comes_out(tmp_path, suffix, pieces):
    parts = [encoded(suffix.split()[-1], tone(seconds, rate), rate) for rate, seconds in pieces]
    data = b"".join(piped_flac(part) if suffix == "piped flac" else part for part in parts)
    assert seconds_in(tmp_path, data) == pytest.approx(sum(seconds for _, seconds in pieces), abs=0.001)


@pytest.mark.parametrize("first", FORMATS)
@pytest.mark.parametrize("second", FORMATS)
def test_files_of_two_formats_joined(tmp_path, first, second):
    data = encoded(first, tone()) + encoded(second, tone(0.5))
    assert seconds_in(tmp_path, data) == pytest.approx(1.5, abs=0.01)


TAG = b"TAG" + b"a title".ljust(125, b"\0")


@few
@given(
    st.sampled_from(["flac", "piped flac"]),
    st.floats(0.1, 1.2),
    st.sampled_from(RATES),
    st.sampled_from([b"", TAG, bytes(1000), b"ID3\x04\x00\x00\x00\x00\x00\x20" + bytes(32)]),
    st.sampled_from([*FORMATS]),
)
def test_a_sound_of_any_format_behind_a_flac_comes_out(tmp_path, first, seconds, rate, between, second):
    data = encoded("flac", tone(seconds, rate, channels=2), rate)
    data = piped_flac(data) if first == "piped flac" else data
    data += between + encoded(second, tone(0.5))
    assert seconds_in(tmp_path, data) == pytest.approx(seconds + 0.5, abs=0.01)


def test_the_same_flac_twice(tmp_path):
    assert seconds_in(tmp_path, 2 * encoded("flac", tone(1))) == 2


def test_a_flac_before_a_sound_longer_than_any_frame(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 3_000_000)
    assert seconds_in(tmp_path, encoded("flac", tone(1)) + encoded("wav", noise)) == pytest.approx(
        1 + 3_000_000 / 44100
    )


@few
@given(st.binary(min_size=200, max_size=3000), st.floats(0.1, 1))
def test_bytes_behind_a_flac_that_are_no_sound_are_told(tmp_path, tail, seconds):
    path = tmp_path / "song.flac"
    path.write_bytes(encoded("flac", tone(seconds)) + b"\1" + tail + b"\1")
    with pytest.warns(UserWarning, match="song.flac: about .* bytes after the sound are neither sound nor") as told:
        assert len(decoded(path)[0]) == round(seconds * 44100)
    count = int(str(told[0].message).split("about ")[1].split()[0])
    assert len(tail) + 2 <= count < len(tail) + 20_000, "once in a while, a part of the last frame is counted too"


@few
@given(st.sampled_from(["aiff", "ogg", "mp3"]), st.binary(min_size=2100, max_size=4000), st.floats(0.1, 1))
def test_bytes_behind_any_sound_that_are_no_sound_are_told(tmp_path, suffix, tail, seconds):
    path = tmp_path / "song.bin"
    path.write_bytes(encoded(suffix, tone(seconds)) + b"\1" + tail + b"\1")
    with pytest.warns(UserWarning, match=f"about {len(tail) + 2} bytes after the sound are neither sound nor tags"):
        assert len(decoded(path)[0]) / 44100 == pytest.approx(seconds, abs=0.06)


@few
@given(
    st.sampled_from(
        [("flac", "ogg"), ("flac", "mp3"), ("flac", "flac"), ("piped flac", "wav"), ("ogg", "ogg"), ("mp3", "mp3")]
    ),
    st.binary(min_size=2100, max_size=4000),
    st.booleans(),
    st.booleans(),
)
def test_bytes_in_the_midst_of_a_sound_that_are_no_sound_are_told(tmp_path, kinds, between, blank, counted):
    first, second = kinds
    data = encoded(first.split()[-1], tone(1))
    data = piped_flac(data) if first == "piped flac" else data
    data = without_count(data) if first == "mp3" and not counted else data
    between = bytes(len(between)) if blank else b"\1" + between + b"\1"
    with pytest.warns(UserWarning, match=r"about \d+ bytes in the midst of the sound are neither sound nor") as told:
        found = seconds_in(tmp_path, data + between + encoded(second, tone(0.5)))
    assert found == pytest.approx(1.5, abs=0.08)
    assert int(str(told[0].message).split("about ")[1].split()[0]) == pytest.approx(len(between), abs=20_000)


def test_frames_that_are_missing_from_an_mp3_without_a_count_are_told(tmp_path):
    data = without_count(encoded("mp3", tone(10)))
    third = len(data) // 3
    for lost in (bytes(third), b"\1" * third):
        with pytest.warns(UserWarning, match="in the midst of the sound .* all behind it comes too early"):
            assert seconds_in(tmp_path, data[:third] + lost + data[2 * third :]) == pytest.approx(20 / 3, abs=0.2)


@pytest.mark.parametrize("suffix", ["flac", "ogg", "mp3"])
def test_a_file_among_joined_ones_that_is_damaged_beyond_recognition_is_told(tmp_path, suffix):
    data = encoded(suffix, tone(1))
    with pytest.warns(UserWarning, match="in the midst of the sound"):
        seconds = seconds_in(tmp_path, data + bytes(len(data)) + data)
    assert seconds == pytest.approx(2, abs=0.06)


@pytest.mark.parametrize("tag", [TAG + b"ID3\x04\x00\x00\x00\x00\x20\x00" + bytes(4096), TAG, b""])
@pytest.mark.parametrize("suffix", ["flac", "mp3"])
def test_tags_between_joined_files_are_not_worth_a_word(tmp_path, recwarn, suffix, tag):
    data = encoded(suffix, tone(1))
    assert seconds_in(tmp_path, data + tag + data) == pytest.approx(2, abs=0.06)
    assert not recwarn.list


@pytest.mark.parametrize("container", [("CAF", "PCM_16"), ("AU", "PCM_16"), ("W64", "PCM_16")])
@pytest.mark.parametrize("suffix", ["aiff", "flac", "mp3", "ogg", "wav"])
def test_a_sound_that_cannot_be_read_behind_another_is_told(tmp_path, suffix, container):
    second = io.BytesIO()
    soundfile.write(second, tone(1), 44100, format=container[0], subtype=container[1])
    data = encoded(suffix, tone(1)) + second.getvalue()
    if suffix == "wav":  # where those bytes may be its own
        assert "would be lost" in refusal(tmp_path, data)
    else:
        with pytest.warns(UserWarning, match="about .* bytes after the sound are neither sound nor tags"):
            seconds_in(tmp_path, data)


@pytest.mark.parametrize("suffix", FORMATS)
@pytest.mark.parametrize("tail", [b"", TAG, bytes(5000)], ids=["nothing", "tag", "zeros"])
def test_tags_and_zeros_behind_a_sound_are_not_worth_a_word(tmp_path, recwarn, suffix, tail):
    assert seconds_in(tmp_path, encoded(suffix, tone(1)) + tail) == pytest.approx(1, abs=MORE_THAN_A_FRAME)
    assert not recwarn.list


@pytest.mark.parametrize(("suffix", "name", "order"), [("wav", b"data", "<I"), ("aiff", b"SSND", ">I")])
def test_a_second_chunk_of_sound_is_not_left_out_in_silence(tmp_path, suffix, name, order):
    second = name + struct.pack(order, 20000) + bytes(range(1, 201)) * 100
    assert "a second chunk of sound, of 20000 bytes" in refusal(tmp_path, encoded(suffix, tone(2)) + second)


def test_parts_keep_their_order_and_sound(tmp_path):
    low, high = (encoded("mp3", tone(1, rate, hertz), rate) for rate, hertz in ((44100, 300), (32000, 2000)))
    path = tmp_path / "song.mp3"
    path.write_bytes(low + high)
    samples = load_audio(path)
    for piece, hertz in ((samples[2000:20000], 300), (samples[24000:42000], 2000)):
        loudest = np.abs(np.fft.rfft(piece * np.hanning(len(piece)))).argmax() * 22050 / len(piece)
        assert abs(loudest - hertz) < 20


def test_a_joined_file_is_its_parts_to_the_last_bit(tmp_path):
    pieces = [encoded("mp3", tone(1, 44100, hertz)) for hertz in (300, 2000)]
    path = tmp_path / "song.mp3"
    found = []
    for data in (*pieces, b"".join(pieces)):
        path.write_bytes(data)
        found.append(decoded(path)[0])
    np.testing.assert_array_equal(found[2], np.concatenate(found[:2]))


def test_a_cut_part_of_a_joined_file_is_refused(tmp_path):
    first = encoded("mp3", tone(2))
    assert "cut short" in refusal(tmp_path, first[: len(first) // 2] + encoded("mp3", tone(2)))


# --- foreign bytes in front ---

APE_TAG = b"APETAGEX" + struct.pack("<IIII", 2000, 1000, 1, 0xA0000000) + bytes(8) + b"\xff\xd8\xff\xe0" * 500
PREFIXES = {
    "zeros": bytes(500),
    "HTTP": b"HTTP/1.1 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n",
    "APE tag": APE_TAG,
    "ID3 size that is not syncsafe": b"ID3\x03\x00\x00\x00\x00\x1f\xf0" + b"\xff\xfe" * 4088,
    "ID3 size beyond the end": b"ID3\x03\x00\x00\x7f\x7f\x7f\x7f" + bytes(300),
}


@pytest.mark.parametrize("prefix", PREFIXES.values(), ids=PREFIXES)
@pytest.mark.parametrize("header", [True, False], ids=["Xing", "no Xing"])
def test_foreign_bytes_before_an_mp3_are_skipped(tmp_path, prefix, header):
    data = encoded("mp3", tone(2))
    data = data if header else without_count(data)
    path = tmp_path / "song.mp3"
    path.write_bytes(data)
    expected = decoded(path)[0]
    path.write_bytes(prefix + data)
    np.testing.assert_array_equal(decoded(path)[0], expected)


@few
@given(st.binary(max_size=3000), st.booleans())
def test_any_bytes_before_an_mp3_are_skipped(tmp_path, prefix, header):
    data = encoded("mp3", tone(1))
    data = data if header else without_count(data)
    assert -0.03 < seconds_in(tmp_path, b"\0" + prefix + data) - 1 < MORE_THAN_A_FRAME


@few
@given(st.sampled_from([*FORMATS, "piped flac"]), st.binary(max_size=2000), st.floats(0.3, 1))
def test_any_bytes_before_any_sound_are_skipped(tmp_path, suffix, prefix, seconds):
    data = encoded(suffix.split()[-1], tone(seconds))
    data = piped_flac(data) if suffix == "piped flac" else data
    found = seconds_in(tmp_path, b"\0" + prefix + data)
    assert -0.03 < found - seconds < (MORE_THAN_A_FRAME if suffix == "mp3" else 0.001)


@pytest.mark.parametrize("suffix", FORMATS)
def test_many_bytes_before_a_sound_are_told(tmp_path, suffix):
    prefix = b"\1" + np.random.default_rng(0).bytes(50_000)
    with pytest.warns(UserWarning, match="song.bin: about 50001 bytes before the sound are neither sound nor tags"):
        assert seconds_in(tmp_path, prefix + encoded(suffix, tone(1))) == pytest.approx(1, abs=0.03)


@pytest.mark.parametrize("follower", ["ogg", "mp3", "wav"])
def test_an_ogg_that_lacks_its_beginning_is_not_lost_before_another_sound(tmp_path, follower):
    data = encoded("ogg", tone(2))[3000:]
    assert "the beginning is missing" in refusal(tmp_path, data + encoded(follower, tone(1)))
    assert "the beginning is missing" in refusal(tmp_path, data)


# --- lengths that a header does not know ---


def counted_flac(data, samples):
    """A FLAC whose header states another number of samples."""
    numbers = int.from_bytes(data[18:26], "big") & ~((1 << 36) - 1) | samples
    return data[:18] + numbers.to_bytes(8, "big") + data[26:]


@few
@given(
    st.floats(0.3, 1.5),
    st.one_of(st.floats(0.001, 0.99), st.integers(1, 3)),
    st.sampled_from([b"", b"TAG" + bytes(125)]),
    st.sampled_from(["", *FORMATS]),
)
def test_all_of_a_flac_comes_out_whose_header_states_too_little(tmp_path, seconds, stated, tag, follower):
    samples = round(seconds * 44100)
    count = 4096 * stated if isinstance(stated, int) else max(1, int(stated * samples))  # at a frame's end, or anywhere
    data = counted_flac(encoded("flac", tone(seconds)), min(count, samples)) + tag
    more = encoded(follower, tone(0.5)) if follower else b""
    assert seconds_in(tmp_path, data + more) == pytest.approx(seconds + (0.5 if follower else 0), abs=0.01)


def test_a_flac_whose_header_states_too_much_is_refused(tmp_path):
    assert "cut short" in refusal(tmp_path, counted_flac(encoded("flac", tone(1)), 50_000))


@pytest.mark.parametrize("pipe", [False, True])
@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24"])
def test_a_changed_byte_of_a_flac_is_told(tmp_path, subtype, channels, pipe):
    rng = np.random.default_rng(0)
    noisy = tone(1, channels=channels) + rng.normal(0, 0.02, (44100, channels))
    buffer = io.BytesIO()
    soundfile.write(buffer, noisy, 44100, format="FLAC", subtype=subtype)
    data = piped_flac(buffer.getvalue()) if pipe else buffer.getvalue()
    first_frame = data.index(b"\xff\xf8")
    for _ in range(15):
        changed = bytearray(data)
        changed[rng.integers(first_frame, len(data))] ^= rng.integers(1, 256)
        assert "damaged" in refusal(tmp_path, bytes(changed))


def test_flac_from_a_pipe(tmp_path):
    data = piped_flac(encoded("flac", tone(3, channels=2)))
    assert seconds_in(tmp_path, data) == 3
    assert "cut short" in refusal(tmp_path, data[:-100])


@few
@given(st.floats(0.3, 1), st.floats(0.05, 0.99))
def test_a_cut_flac_from_a_pipe_is_refused_or_whole_to_the_cut(tmp_path, seconds, share):
    samples = tone(seconds)
    data = piped_flac(encoded("flac", samples))
    path = tmp_path / "song.flac"
    path.write_bytes(data[: int(share * len(data))])
    try:
        found, _ = decoded(path)
    except AudioError as error:
        assert ";" in str(error)
    else:
        np.testing.assert_allclose(found, samples[: len(found), 0], atol=1e-4)
        assert len(found) % 4096 == 0, "cut exactly between two frames"


def chained(*rates):
    return b"".join(encoded("ogg", tone(1, rate), rate) for rate in rates)


@pytest.fixture(scope="module")
def pages():
    """Those of an Ogg of 80 seconds: two of headers, and the sound."""
    data = encoded("ogg", tone(80, 22050), 22050)
    starts = [match.start() for match in re.finditer(b"OggS", data)]
    found = [data[start:end] for start, end in pairwise([*starts, len(data)])]
    assert len(found) > 20 and b"".join(found) == data
    return found


@few
@given(st.sampled_from(["lost", "twice", "swapped"]), st.integers(2, 15), st.integers(1, 3))
def test_pages_of_an_ogg_that_are_lost_or_out_of_order_are_told(tmp_path, pages, fault, place, count):
    """The sound behind them would come out at a wrong time, and labels would belong to another one."""
    before, middle, after = pages[: place + 1], pages[place + 1 : place + 1 + count], pages[place + 1 + count :]
    changed = {"lost": [], "twice": middle * 2, "swapped": [after[0], *middle]}[fault]
    message = refusal(tmp_path, b"".join([*before, *changed, *after[fault == "swapped" :]]))
    if fault == "lost":
        assert f"damaged, {count} page{'s' * (count > 1)} of sound missing" in message
    else:
        assert "out of order" in message if fault == "twice" else "missing" in message


@few
@given(st.integers(3, 15))
def test_an_ogg_may_begin_in_the_middle_as_a_recording_of_a_radio_does(tmp_path, pages, first):
    before = int.from_bytes(pages[first - 1][6:14], "little") / 22050
    seconds = seconds_in(tmp_path, b"".join([*pages[:2], *pages[first:]]))
    assert seconds == pytest.approx(80 - before, abs=0.2)


@pytest.mark.parametrize("rates", [(44100, 44100), (44100, 32000), (22050, 44100, 22050)])
def test_chained_ogg(tmp_path, rates):
    assert seconds_in(tmp_path, chained(*rates)) == pytest.approx(len(rates), abs=0.001)


@pytest.mark.parametrize("change", [lambda size: 0, lambda size: size + 44, lambda size: 0xFFFFFFFF])
@pytest.mark.parametrize("order", ["<", ">"])
def test_wav_with_a_wrong_data_size(tmp_path, change, order):
    buffer = io.BytesIO()
    endian = "LITTLE" if order == "<" else "BIG"
    soundfile.write(buffer, tone(2), 44100, format="WAV", subtype="PCM_16", endian=endian)
    data = bytearray(buffer.getvalue())
    (size,) = struct.unpack_from(order + "I", data, 40)
    struct.pack_into(order + "I", data, 40, change(size))
    assert seconds_in(tmp_path, bytes(data)) == 2


@pytest.mark.parametrize("outer", [False, True], ids=["data", "both sizes"])
def test_long_and_floating_wav_without_a_size(tmp_path, outer):
    for form, subtype, place in (("RF64", "PCM_16", b"ds64"), ("WAV", "FLOAT", b"data")):
        buffer = io.BytesIO()
        soundfile.write(buffer, tone(2), 44100, format=form, subtype=subtype)
        data = bytearray(buffer.getvalue())
        start = data.find(place)
        first, last = (16, 24) if form == "RF64" else (4, 8)
        data[start + first : start + last] = bytes(last - first)
        if outer and form == "WAV":
            data[4:8] = bytes(4)
        assert seconds_in(tmp_path, bytes(data)) == 2


def test_wav_whose_data_size_is_far_too_small(tmp_path):
    data = bytearray(encoded("wav", tone(3)))
    struct.pack_into("<I", data, 40, 88200)
    assert "about 2.0 s of sound" in refusal(tmp_path, bytes(data))


def test_chunks_and_tags_after_the_sound_are_no_sound(tmp_path):
    data = encoded("wav", tone(1))
    for tail in (b"LIST" + struct.pack("<I", 40000) + b"x" * 40000, b"ID3\x04" + b"y" * 40000, bytes(50000)):
        assert seconds_in(tmp_path, data + tail) == 1


# --- formats that cannot be read ---


def wav_of_type(number, data):
    form = struct.pack("<HHIIHH", number, 1, 44100, 16000, 1, 0)
    chunks = b"WAVEfmt " + struct.pack("<I", 16) + form + b"data" + struct.pack("<I", len(data)) + data
    return b"RIFF" + struct.pack("<I", len(chunks)) + chunks


@pytest.mark.parametrize(
    ("data", "name"),
    [
        (wav_of_type(0x55, encoded("mp3", tone())), "a WAV file with MP3 inside"),
        (wav_of_type(0xFF, bytes(5000)), "a WAV file with AAC inside"),
        (wav_of_type(0x1234, bytes(5000)), "type 0x1234"),
        (b"\0\0\0\x20ftypM4A " + bytes(5000), "MP4 or M4A"),
        (b"\x1aE\xdf\xa3" + bytes(5000), "WebM"),
    ],
)
def test_formats_that_cannot_be_read_are_named(tmp_path, data, name):
    message = refusal(tmp_path, data)
    assert name in message and "convert" in message and "ffmpeg" in message and "damaged" not in message


@pytest.mark.parametrize(
    ("container", "name"), [("CAF", "Core Audio"), ("W64", "Wave64"), ("AU", "NeXT"), ("VOC", "Creative Voice")]
)
def test_containers_that_are_not_read_are_named(tmp_path, container, name):
    sound = io.BytesIO()
    soundfile.write(sound, tone(1), 44100, format=container, subtype="PCM_16")
    message = refusal(tmp_path, sound.getvalue())
    assert name in message and "convert" in message and "damaged" not in message


KINDS_OF_SOUND = [
    *(("WAV", kind) for kind in ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW")),
    *(("WAVEX", kind) for kind in ("PCM_16", "PCM_24", "FLOAT")), ("RF64", "PCM_24"),
    *(("AIFF", kind) for kind in ("PCM_S8", "PCM_16", "PCM_24", "FLOAT", "ALAW")),
    *(("FLAC", kind) for kind in ("PCM_S8", "PCM_16", "PCM_24")), ("OGG", "VORBIS"),
]  # fmt: skip


@few
@given(
    st.sampled_from(KINDS_OF_SOUND),
    st.sampled_from([8000, 11025, 22050, 44100, 48000, 96000, 192000]),
    st.sampled_from([1, 2, 6]),
    st.integers(1001, 9000),
)
def test_any_kind_rate_and_number_of_channels(tmp_path, kind, rate, channels, samples):
    if kind in (("AIFF", "ALAW"), ("AIFF", "PCM_S8")):
        samples += samples * channels % 2  # the encoder says that the byte which fills an odd chunk up is a sample
    path, time = tmp_path / "song.bin", np.arange(samples) / rate
    sound = 0.3 * np.sin(2 * np.pi * 440 * time)
    soundfile.write(path, np.stack([sound] * channels, axis=1), rate, format=kind[0], subtype=kind[1])
    found, own_rate = decoded(path)
    assert own_rate == rate and len(found) == samples
    if kind[1] != "VORBIS":
        np.testing.assert_allclose(found, sound, atol=0.02)
    assert len(load_audio(path)) == math.ceil(samples * (22050 / rate))


@pytest.mark.parametrize("kind", [*KINDS_OF_SOUND, ("OGG", "OPUS"), ("MP3", "MPEG_LAYER_III")])
def test_a_file_without_a_sample_is_refused_in_a_sentence(tmp_path, kind):
    sound = io.BytesIO()
    soundfile.write(sound, np.zeros((0, 2)), 48000, format=kind[0], subtype=kind[1])
    assert "get or export the file again" in refusal(tmp_path, sound.getvalue())


def test_flac_in_ogg_is_named(tmp_path):
    from svdlib.audio.containers import _ogg_checksum

    payload = b"\x7fFLAC\x01\x00\x00\x01" + encoded("flac", tone(0.1))[:42]
    page = bytearray(b"OggS\x00\x06" + bytes(8) + b"\1\0\0\0" + bytes(8) + bytes([1, len(payload)]) + payload)
    page[22:26] = _ogg_checksum(bytes(page)).to_bytes(4, "little")
    message = refusal(tmp_path, bytes(page))
    assert "an Ogg file with FLAC inside" in message and "convert" in message


# --- channels that cancel ---


@pytest.mark.parametrize("suffix", FORMATS)
def test_channels_that_cancel(tmp_path, suffix):
    mono = tone(2)[:, 0]
    path = tmp_path / f"song.{suffix}"
    path.write_bytes(encoded(suffix, np.stack([0.9 * mono, -mono], axis=1)))
    with pytest.warns(UserWarning, match="song.*cancel each other.*channel 2 is taken"):
        samples, _ = decoded(path)
    assert abs(np.dot(samples[2000:80000], mono[2000:80000])) > 0.98 * np.dot(mono[2000:80000], mono[2000:80000])


@pytest.mark.parametrize("half", ["first", "second"])
def test_channels_that_cancel_in_half_of_a_song(tmp_path, half):
    mono = tone(4, 22050)[:, 0]
    sign = np.where((np.arange(len(mono)) < 44100) == (half == "first"), -1, 1)
    path = tmp_path / "song.wav"
    soundfile.write(path, np.stack([mono, 0.9 * mono * sign], axis=1), 22050)
    with pytest.warns(UserWarning, match="cancel each other for 2.0 s.*channel 1 is taken"):
        np.testing.assert_allclose(load_audio(path), mono, atol=1e-4)


def test_channels_that_cancel_for_a_moment_are_averaged(tmp_path, recwarn):
    mono = tone(20, 22050)[:, 0]
    sign = np.where(np.arange(len(mono)) < 22050, -1, 1)
    path = tmp_path / "song.wav"
    soundfile.write(path, np.stack([mono, mono * sign], axis=1), 22050)
    np.testing.assert_allclose(load_audio(path), np.where(sign > 0, mono, 0), atol=1e-4)
    assert not recwarn.list


def test_wide_stereo_is_averaged_as_ever(tmp_path, recwarn):
    channels = np.random.default_rng(0).uniform(-0.5, 0.5, (40000, 2)).astype(np.float32)
    channels[:, 1] -= 0.8 * channels[:, 0]  # the correlation is that of the widest songs
    buffer = io.BytesIO()
    soundfile.write(buffer, channels, 22050, format="WAV", subtype="FLOAT")
    path = tmp_path / "song.wav"
    path.write_bytes(buffer.getvalue())
    np.testing.assert_array_equal(load_audio(path), channels.mean(axis=1))
    assert not recwarn.list


# --- what is no file, and what takes long ---


def test_pipes_and_devices_are_refused_before_they_are_opened(tmp_path):
    os.mkfifo(tmp_path / "song.wav")
    for path in (tmp_path / "song.wav", Path("/dev/zero")):
        for read in (load_audio, decoding.duration):
            with pytest.raises(AudioError, match="a pipe or a device is no sound file; write"):
                read(path)


@pytest.mark.parametrize("pattern", [b"\xff", b"\xff\xfb\x90\x00", b"\xff\xe3", b"\0", b"ID3\4\0\0\0\0\0\0"])
def test_megabytes_of_anything_are_refused_in_time(tmp_path, pattern):
    start = time.process_time()
    assert "not a sound file" in refusal(tmp_path, pattern * (30_000_000 // len(pattern)))
    assert time.process_time() - start < 4, "it took 45 s"


def test_the_decoder_writes_nothing_to_the_terminal(tmp_path, capfd):
    data = bytearray(encoded("mp3", tone(3, channels=2)))
    frames = list(mp3.mp3_frames(data))
    for frame in frames[20:60]:
        data[frame.start + 4 : frame.start + 80] = bytes(range(180, 256))
    path = tmp_path / "song.mp3"
    path.write_bytes(data)
    try:
        load_audio(path)
    except AudioError as error:
        assert ";" in str(error)
    assert capfd.readouterr().err == ""


def test_what_others_write_meanwhile_is_passed_on(capfd):
    from svdlib.audio.quiet import quiet_decoder

    with quiet_decoder():
        os.write(2, b"[src/libmpg123/layer3.c:1804] error: dequantization failed!\nepoch 3\n")
        os.write(2, b"Warning: Xing stream size off by more than 1%, fuzzy seeking may be even more fuzzy!\n")
    assert capfd.readouterr().err == "epoch 3\n"


# --- cut and relabelled ---


@few
@given(st.sampled_from([*FORMATS]), st.floats(0.5, 1.5), st.floats(0, 1), st.integers(1, 2))
def test_a_cut_file_is_refused_or_loses_nothing_to_speak_of(tmp_path, suffix, seconds, share, channels):
    data = encoded(suffix, tone(seconds, channels=channels))
    path = tmp_path / "song.bin"
    path.write_bytes(data[: int(share * len(data))])
    try:
        samples, rate = decoded(path)
    except AudioError as error:
        assert str(error).startswith(f"{path}: ") and ";" in str(error)
    else:
        assert abs(len(samples) / rate - seconds) < 0.03, "44 bytes of a WAV, or the last frame of an MP3"


@few
@given(st.sampled_from([*FORMATS]), st.sampled_from([*FORMATS, "m4a", "txt", ""]), st.floats(0.3, 0.6))
def test_a_file_under_another_name_is_the_same(tmp_path, suffix, name, seconds):
    data = encoded(suffix, tone(seconds))
    found = []
    for path in (tmp_path / f"song.{suffix}", tmp_path / f"song.{name}"):
        path.write_bytes(data)
        found.append(decoded(path)[0])
    np.testing.assert_array_equal(*found)
    assert len(found[0]) == round(seconds * 44100)
