import math
import os
import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from svdlib.errors import CorpusError, LabelError
from svdlib.songs.corpora.base import Segment
from svdlib.songs.corpora.labels import read_lab

any_file = settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.fixture
def lab(tmp_path):
    """Write a label file, from text or bytes, and return its path."""

    def write(content):
        path = tmp_path / "song.lab"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_segments_are_read_in_seconds(lab):
    path = lab("0.000 16.242 nosing\n16.242 32.906 sing\n")
    assert read_lab(path) == (Segment(0, 16.242, False), Segment(16.242, 32.906, True))


@pytest.mark.parametrize(
    "text", ["1\t2\tsing\n", "  1   2 sing  \r\n", "\n\n1 2 sing", "\ufeff1 2 sing\n", "1e0 2. sing"]
)
def test_any_white_space_separates(lab, text):
    assert read_lab(lab(text)) == (Segment(1, 2, True),)


def test_gaps_are_allowed(lab):
    assert len(read_lab(lab("0 1 sing\n2 3 sing\n"))) == 2


def test_labels_may_go_half_a_second_beyond_the_song(lab):
    path = lab("0 10.5 sing")
    assert read_lab(path, duration=10.0)[0].end == 10.5
    with pytest.raises(LabelError, match="line 1: 10.5 s is beyond the end of the song"):
        read_lab(path, duration=9.99)


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        ("0 2 sing\n1 3 nosing", 2, "overlap"),
        ("2 3 sing\n0 1 nosing", 2, "sort"),
        ("0 1 sing\n0 1 sing", 2, "overlap"),
        ("1 1 sing", 1, "not after its start, 1 s; correct the times, or remove the line"),
        ("2 1 sing", 1, "not after its start"),
        ("0 1 humming", 1, "unknown word 'humming'"),
        ("0 1 SING", 1, "unknown word"),
        ("\n0,1,sing", 2, "three fields"),
        ("0;1;sing", 1, "three fields"),
        ("0 1", 1, "three fields"),
        ("0 1 sing loudly", 1, "three fields"),
        ("0,5 1,5 sing", 1, "'0,5' is not a time"),
        ("0:01 0:02 sing", 1, "not a time"),
        ("-1 1 sing", 1, "not a time"),
        ("nan 1 sing", 1, "not a time"),
        ("0 inf sing", 1, "not a time"),
        ("0 1_0 sing", 1, "not a time"),
    ],
)
def test_bad_lines_are_named(lab, text, line, reason):
    path = lab(text)
    with pytest.raises(LabelError) as error:
        read_lab(path)
    assert f"{path}, line {line}: " in str(error.value) and reason in str(error.value)


@any_file
@given(end=st.floats(0.1, 1e4), steps=st.integers(1, 50))
def test_times_that_differ_are_told_apart(lab, end, steps):
    """Six digits do not: "starts at 2 s, but the line above ends at 2 s"."""
    start = end
    for _ in range(steps):
        start = math.nextafter(start, 0)
    for text in (f"0 {end!r} sing\n{start!r} 20000 nosing\n", f"{end!r} {start!r} sing\n"):
        with pytest.raises(LabelError) as error:
            read_lab(lab(text))
        told = re.findall(r"([-\d.e]+) s\b", str(error.value).partition(": ")[2])
        assert {float(time) for time in told} == {start, end}


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
@pytest.mark.parametrize("kind", ["pipe", "device", "folder"])
def test_what_is_no_plain_file_is_not_waited_for(tmp_path, kind):
    path = tmp_path / "song.lab"
    {"pipe": os.mkfifo, "device": lambda path: path.symlink_to("/dev/zero"), "folder": os.mkdir}[kind](path)
    with pytest.raises(LabelError, match="song.lab: cannot be read .*not a plain file.*check the path"):
        read_lab(path)


@pytest.mark.parametrize("content", ["", "\n  \n", b"\xff\xfe0\x00 \x001\x00", b"0 1 sing\x00", bytes(range(256))])
def test_files_without_text_or_segments(lab, content):
    path = lab(content)
    with pytest.raises(LabelError, match=r"song\.lab.*(save it|no segment)"):
        read_lab(path)


def test_missing_label_file(tmp_path):
    with pytest.raises(LabelError, match="none.lab"):
        read_lab(tmp_path / "none.lab")


def test_label_errors_are_corpus_errors():
    assert issubclass(LabelError, CorpusError)


@any_file
@given(
    lengths=st.lists(st.tuples(st.integers(0, 5000), st.integers(1, 9000), st.booleans()), min_size=1, max_size=20),
    separator=st.sampled_from([" ", "\t", "   "]),
    line_end=st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_valid_segments_survive_a_round_trip(lab, lengths, separator, line_end):
    segments, now = [], 0
    for gap, length, sing in lengths:  # in milliseconds
        segments.append(Segment((now + gap) / 1000, (now + gap + length) / 1000, sing))
        now += gap + length
    text = line_end.join(separator.join([repr(s.start), repr(s.end), "sing" if s.sing else "nosing"]) for s in segments)
    assert read_lab(lab(text), duration=now / 1000) == tuple(segments)


def check_any_content(path):
    try:
        segments = read_lab(path)
    except LabelError as error:
        assert str(path) in str(error) and len(str(error)) < 500 + len(str(path))
        return
    times = [time for segment in segments for time in (segment.start, segment.end)]
    assert segments and times == sorted(times) and all(math.isfinite(time) and time >= 0 for time in times)
    assert all(segment.start < segment.end for segment in segments)


@any_file
@given(content=st.binary(max_size=100))
def test_any_bytes_give_segments_or_a_label_error(lab, content):
    check_any_content(lab(content))


@any_file
@given(
    lines=st.lists(
        st.lists(st.sampled_from(["0", "1", "2.5", "-1", "nan", "1e400", "sing", "nosing", "x"]), max_size=4),
        max_size=4,
    ),
    separator=st.sampled_from([" ", "\t", ",", "\u2003", "\x0b"]),
)
def test_any_words_give_segments_or_a_label_error(lab, lines, separator):
    check_any_content(lab("\n".join(separator.join(words) for words in lines)))


@any_file
@given(text=st.text(max_size=60))
def test_any_text_gives_segments_or_a_label_error(lab, text):
    check_any_content(lab(text.encode("utf-8", "surrogatepass")))


@any_file
@given(
    start=st.sampled_from(["", "0 1 ", "0 ", "0 1 sing\n"]),
    piece=st.text(min_size=1, max_size=4) | st.sampled_from(["9", "x ", "\U000e0001", "sing"]),
    times=st.integers(1, 5000),
    end=st.sampled_from(["", " 1 sing", " 2 3", "\n"]),
)
@example(start="", piece="x", times=70_000, end="")
@example(start="0 1 ", piece="x", times=70_000, end="")
@example(start="", piece="9", times=70_000, end=" 2 sing")
def test_long_lines_give_segments_or_a_short_error(lab, start, piece, times, end):
    check_any_content(lab((start + piece * times + end).encode("utf-8", "surrogatepass")))
