"""Spectrograms computed in several processes: the same as in one, and the same errors.

A process takes seconds to start, so those that work on ordinary items are started once for all tests that look at them.
"""

import functools
import itertools
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace

import numpy as np
import pytest
import soundfile
from places import ROOT
from tiny import log_mels

from svdlib.audio.files import load_song
from svdlib.audio.log_mel import LogMel
from svdlib.compute.processes import ProcessError, in_processes
from svdlib.errors import AudioError
from svdlib.songs.corpora import Track, open_corpus
from svdlib.songs.loading import load_songs


@pytest.fixture(scope="module")
def corpus():
    return open_corpus("synthetic:songs=4,seconds=5")


def noise(seed):
    return np.random.default_rng(seed).standard_normal(22050).astype(np.float32)


@pytest.fixture(scope="module")
def cheap():
    """Tracks for tests to which it does not matter what is in a song."""
    return [Track(str(n), "train", (), f"noise {n}", functools.partial(noise, n)) for n in range(4)]


def load(track):
    return track.load()


def by_position(results):
    return [result for _, result in sorted(results, key=lambda pair: pair[0])]


def process_id(item):
    return os.getpid()


def threads(item):
    import torch
    from threadpoolctl import threadpool_info

    return {torch.get_num_threads(), *(pool["num_threads"] for pool in threadpool_info())}


def call(job):
    return job()


def never_done():
    time.sleep(600)  # longer than any test waits


@pytest.fixture(scope="module")
def pooled(corpus):
    """What two processes return for the songs' samples and more; they are left while one is still at the first item.

    Returns:
        By name of the item "songs", "threads" and "process"; and the positions of all results as they came.
    """
    songs = [functools.partial(load, track) for track in corpus.tracks]
    jobs = [never_done, *songs, functools.partial(threads, None), functools.partial(process_id, None)]
    results = in_processes(call, jobs, 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = dict(itertools.islice(results, len(jobs) - 1))
        results.close()
    in_order = [found[position] for position in sorted(found)]
    return {"songs": in_order[:-2], "threads": in_order[-2], "process": in_order[-1]}, list(found)


def test_samples_are_the_same_to_the_last_bit_in_another_process(corpus, pooled):
    here = by_position(in_processes(load, corpus.tracks, 1))
    assert [len(song) for song in here] == [5 * 22050] * 4
    for one, other in zip(here, pooled[0]["songs"], strict=True):
        assert one.dtype == other.dtype == np.float32
        np.testing.assert_array_equal(one.view(np.uint32), other.view(np.uint32))


def test_spectrograms_are_the_same_to_the_last_bit_for_one_and_two_processes(cheap, tmp_path):
    spectrograms = [log_mels(cheap, cache_dir=tmp_path / str(n), processes=n) for n in (1, 2)]
    for one, two in zip(*spectrograms, strict=True):
        assert one.dtype == two.dtype == np.float32
        np.testing.assert_array_equal(one.view(np.uint32), two.view(np.uint32))
    written = [sorted((path.name, path.read_bytes()) for path in (tmp_path / n).iterdir()) for n in "12"]
    assert len(written[0]) == 4 and written[0] == written[1]


def test_processes_begin_with_the_third_item(monkeypatch, pooled):
    asked = []
    monkeypatch.setattr("svdlib.compute.processes._spread", lambda _, items, workers: asked.append(workers) or iter(()))
    assert by_position(in_processes(process_id, [1, 2], 4)) == [os.getpid()] * 2
    assert by_position(in_processes(process_id, [1, 2, 3], 1)) == [os.getpid()] * 3
    assert not asked
    assert list(in_processes(process_id, [1, 2, 3], 2)) == [] and asked == [2]
    assert pooled[0]["process"] != os.getpid(), "what stands in here is elsewhere"


def test_every_process_works_on_one_thread(pooled):
    assert pooled[0]["threads"] == {1}
    assert by_position(in_processes(threads, [1, 2, 3], 1)) == [{1}] * 3


def test_results_come_when_they_are_ready(pooled):
    assert sorted(pooled[1]) == [1, 2, 3, 4, 5, 6], "all but the first, which is never done"


@pytest.mark.skipif(os.name == "nt", reason="there os.kill does not ask whether a process lives")
def test_a_loop_that_is_left_early_ends_the_processes(pooled):
    with pytest.raises(ProcessLookupError):
        os.kill(pooled[0]["process"], 0)


def test_cached_songs_start_no_process(cheap, tmp_path, monkeypatch):
    before = log_mels(cheap, cache_dir=tmp_path, processes=1)
    monkeypatch.setattr("svdlib.compute.processes._spread", lambda *_: pytest.fail("a process was started"))
    for one, other in zip(before, log_mels(cheap, cache_dir=tmp_path, processes=4), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_song_and_its_stems_come_from_one_rendering_and_are_the_same_as_on_their_own(corpus, tmp_path):
    songs = corpus.tracks[:2]
    alone = log_mels(songs, cache_dir=tmp_path / "alone", processes=1)
    stems = [track.stems() for track in songs]
    once = [iter([parts]) for parts in stems]
    rendered = [
        replace(track, load=lambda: pytest.fail("rendered once more"), stems=functools.partial(next, parts))
        for track, parts in zip(songs, once, strict=True)
    ]
    together = load_songs(rendered, stems=True, cache_dir=tmp_path / "together", processes=1)
    for position, parts in enumerate(stems):
        np.testing.assert_array_equal(together.log_mels[position], alone[position])
        for part, found in (("voice", together.voices), ("band", together.bands)):
            np.testing.assert_array_equal(found[position], LogMel()(parts[part]).numpy())
    written = [{path.name for path in (tmp_path / kind).iterdir()} for kind in ("alone", "together")]
    assert written[0] < written[1] and len(written[1]) == 6


# --- how many ---


@pytest.mark.parametrize("text", ["0", "-1", "two", "1.5"])
def test_numbers_of_processes_that_make_no_sense(monkeypatch, text):
    monkeypatch.setenv("SVDLIB_PROCESSES", text)
    with pytest.raises(ProcessError, match=f"SVDLIB_PROCESSES='{text}' must be a whole number"):
        next(in_processes(process_id, [1, 2, 3]))
    with pytest.raises(ProcessError, match="processes=0 "):
        next(in_processes(process_id, [1, 2, 3], 0))


@pytest.mark.parametrize(("variable", "expected"), [("5", 5), ("", 7), (" 1 ", None)])
def test_the_environment_says_how_many_or_else_all_cores(monkeypatch, variable, expected):
    asked = []
    monkeypatch.setenv("SVDLIB_PROCESSES", variable)
    monkeypatch.setattr("joblib.cpu_count", lambda: 7)
    monkeypatch.setattr("svdlib.compute.processes._spread", lambda _, items, workers: asked.append(workers) or iter(()))
    list(in_processes(process_id, [0] * 9))
    assert asked == ([expected] if expected else [])


# --- errors and interruptions ---


def load_after(path, begun, seconds):
    """Load a damaged song, but not before another process has begun to load one."""
    give_up = time.monotonic() + seconds
    while not begun.exists() and time.monotonic() < give_up:
        time.sleep(0.02)
    time.sleep(min(seconds, 0.3))  # so that the other one's error comes first
    return load_song(path)


def fail(begun):
    begun.touch()
    raise AudioError("quick.mp3: damaged; get it again")


@pytest.fixture(scope="module")
def two_damaged(tmp_path_factory, cheap, melody):
    """The first of two damaged songs, which fails last; by number of processes, the message and what is cached."""
    folder = tmp_path_factory.mktemp("damaged")
    song = folder / "slow.flac"
    soundfile.write(song, melody, 22050)
    song.write_bytes(song.read_bytes()[:-20000])
    found = {}
    for processes in (1, 2):
        begun, cache = folder / f"begun {processes}", folder / f"cache {processes}"
        load_slowly = functools.partial(load_after, song, begun, 60 if processes > 1 else 0)
        slow = Track("slow", "train", (), "slow", load_slowly)
        quick = Track("quick", "train", (), "quick", functools.partial(fail, begun))
        with pytest.raises(AudioError) as caught:
            log_mels([cheap[0], slow, quick, *cheap[1:]], cache_dir=cache, processes=processes)
        found[processes] = str(caught.value), list(cache.iterdir())
    return song, found


@pytest.mark.parametrize("processes", [1, 2])
def test_of_two_damaged_songs_the_first_is_named_for_any_number_of_processes(two_damaged, processes):
    song, found = two_damaged
    message, files = found[processes]
    assert message.startswith(str(song))
    assert files and {path.suffix for path in files} == {".npy"}, "what was done is kept, and no half file"


def test_a_damaged_file_has_the_same_message_in_another_process(two_damaged):
    (one, _), (two, _) = two_damaged[1].values()
    assert one == two


def end_itself(item):
    os.kill(os.getpid(), signal.SIGTERM)


def test_a_process_ended_from_outside_is_reported_with_a_remedy():
    with pytest.raises(ProcessError, match="SVDLIB_PROCESSES=1"):
        list(in_processes(end_itself, [1, 2, 3], 2))


def test_a_cache_that_cannot_be_written_is_reported_once_from_all_processes(cheap, tmp_path):
    (tmp_path / "taken").write_text("a file, not a folder")
    with pytest.warns(UserWarning, match="not cached.*taken.*SVDLIB_CACHE") as caught:
        found = log_mels(cheap, cache_dir=tmp_path / "taken", processes=2)
    assert len(caught) == 1 and len(found) == 4


INTERRUPTED = """
import functools, signal, sys, time, numpy as np
from svdlib.songs.corpora import Track
from svdlib.songs.loading import load_songs

signal.signal(signal.SIGINT, signal.default_int_handler)  # shells make what they start in the background ignore it

noise = np.random.default_rng(0).standard_normal(44100).astype(np.float32)

def load(seconds):  # no guard of __main__ around
    time.sleep(seconds)
    return noise

tracks = [Track(str(n), "train", (), str(n), functools.partial(load, 0 if n < 2 else 600)) for n in range(6)]
try:
    load_songs(tracks, cache_dir=sys.argv[1], processes=2)
except KeyboardInterrupt:
    print("interrupted")
"""


@pytest.mark.skipif(os.name == "nt", reason="process groups are another thing there")
def test_ctrl_c_ends_the_processes_and_keeps_what_is_done(tmp_path):
    child = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED, str(tmp_path)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        cwd=ROOT,
    )  # fmt: skip
    while len(list(tmp_path.glob("*.npy"))) < 2 and child.poll() is None:
        time.sleep(0.1)
    assert child.poll() is None, child.stderr.read()
    os.killpg(child.pid, signal.SIGINT)  # as a terminal does: to the workers as well
    out, err = child.communicate(timeout=300)  # ends only when nobody holds the pipes: no worker is left
    assert out == "interrupted\n" and "Traceback" not in err
    assert {path.suffix for path in tmp_path.iterdir()} == {".npy"} and len(list(tmp_path.iterdir())) == 2
