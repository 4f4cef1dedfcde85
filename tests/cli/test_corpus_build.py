"""`svdlib corpus build` of bad songs, and ended from outside: it ends soon, says why, and leaves nobody."""

import os
import random
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass

import numpy as np
import pytest
import soundfile
from places import ROOT

from svdlib.audio.mel_axis import SAMPLE_RATE

pytestmark = pytest.mark.skipif(os.name == "nt", reason="signals are another thing there")

START = """
import signal, sys
from svdlib.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)  # shells make what they start in the background ignore it
sys.exit(main(sys.argv[1:]))
"""
SECONDS = 20  # to end in, on a machine that does other things too; workers need some of them to start
UNHURRIED = 300  # to do all the work in, where nothing ends it


@dataclass
class Case:
    """A corpus of so many songs, some of them bad, and how its build is ended."""

    songs: int
    bad: tuple[int, ...] = ()
    signum: int | None = None
    moment: float = 0.0
    processes: int = 2


def drawn(seed):
    chance = random.Random(seed)
    songs = chance.randint(2, 12)
    bad = sorted(chance.sample(range(songs), chance.choice([0, 1, 1, 2])))
    signum = chance.choice([None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    return Case(songs, tuple(bad), signum, chance.uniform(0, 5), chance.choice([2, 2, 3, 4]))


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """A song and a bad one, as files."""
    folder = tmp_path_factory.mktemp("sound")
    samples = 0.1 * np.random.default_rng(0).standard_normal(2 * SAMPLE_RATE)
    soundfile.write(folder / "good.flac", samples, SAMPLE_RATE)
    (folder / "bad.flac").write_bytes((folder / "good.flac").read_bytes()[:20000])
    return folder


def corpus(folder, case, sound):
    (folder / "audio").mkdir(parents=True)
    (folder / "labels").mkdir()
    for number in range(case.songs):
        kind = "bad" if number in case.bad else "good"
        shutil.copy(sound / f"{kind}.flac", folder / "audio" / f"song{number:02}.flac")
        (folder / "labels" / f"song{number:02}.lab").write_text("0 1 nosing\n1 2 sing\n")
    splits = [f"song{number:02}.flac,{('train', 'valid', 'test')[number % 3]}\n" for number in range(case.songs)]
    (folder / "splits.csv").write_text("".join(["file,split\n", *splits]))
    return f"folder:{folder}"


@dataclass
class Build:
    """A build under way."""

    child: subprocess.Popen
    case: Case
    folder: os.PathLike

    @property
    def said(self):
        return (self.folder / "err").read_text().replace("\r", "\n")

    def end(self):
        """Send the signal at its moment, and wait until neither it nor a worker holds the pipe any more."""
        while "log-mels" not in self.said and self.child.poll() is None:
            time.sleep(0.02)
        if self.case.signum is not None:
            time.sleep(self.case.moment)
            self.child.send_signal(self.case.signum)
        out, _ = self.child.communicate(timeout=SECONDS if self.case.signum else UNHURRIED)
        return self.child.returncode, out


def start(folder, case, sound):
    name = corpus(folder / "songs", case, sound)
    with (folder / "err").open("w") as err:
        child = subprocess.Popen(
            [sys.executable, "-c", START, "corpus", "build", name, "--processes", str(case.processes)],
            stdout=subprocess.PIPE, stderr=err, text=True, start_new_session=True, cwd=ROOT,
            env=os.environ | {"SVDLIB_CACHE": str(folder / "cache")},
        )  # fmt: skip
    return Build(child, case, folder)


def check(build):
    """It has ended as it should: as it was told to, or, if it was done before, with its result."""
    status, out = build.end()
    case, said = build.case, build.said
    assert "Traceback" not in said and "Exception" not in said, said
    sentences = [line for line in said.splitlines() if line.startswith("svdlib: ")]
    kept = {path.suffix for path in (build.folder / "cache").glob("*")} if (build.folder / "cache").exists() else set()
    if status == -signal.SIGKILL:
        return  # it could not say anything
    done = out or any(sentence.startswith("svdlib: error: ") for sentence in sentences)
    if done and case.signum is not None:
        status = 2 if case.bad else 0  # Python was ending already, without a handler of its own
    assert kept <= {".npy"}, "no half file is left"
    if status in (130, 143):
        assert case.signum == status - 128 and not out
        assert sentences == [
            f"svdlib: {'Interrupted' if status == 130 else 'Ended by SIGTERM'}; run the command again."
        ]
    elif case.bad:
        assert status == 2 and len(sentences) == 1 and not out
        assert sentences[0].startswith("svdlib: error: ") and f"song{case.bad[0]:02}.flac: damaged" in sentences[0]
    else:
        assert (status, sentences) == (0, []) and "the spectrograms are ready" in out


def test_builds_end_with_a_sentence_and_no_process_is_left(tmp_path, sound):
    """Two at once, since most of the time processes are starting."""
    chance = random.Random()
    signum = chance.choice([signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
    cases = [Case(12, (1, 4)), Case(chance.randint(3, 12), (), signum, chance.uniform(0, 4))]
    print(cases)  # for when it fails
    for number in range(len(cases)):
        (tmp_path / str(number)).mkdir()
    for build in [start(tmp_path / str(number), case, sound) for number, case in enumerate(cases)]:
        check(build)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(50))
def test_builds_end_at_any_moment(tmp_path, sound, seed):
    check(start(tmp_path, drawn(seed), sound))


@pytest.mark.parametrize("place", ["taken", "full"])
def test_a_cache_that_cannot_be_written_is_an_error_since_keeping_is_the_purpose(
    tmp_path, sound, monkeypatch, capsys, place
):
    from svdlib.cli import main

    if place == "taken":
        (tmp_path / "taken").write_text("a file, not a folder")
    else:

        def full(fd):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("svdlib.compute.storage.os.fsync", full)
    monkeypatch.setenv("SVDLIB_CACHE", str(tmp_path / place))
    status = main(["corpus", "build", corpus(tmp_path / "songs", Case(2), sound)])
    out, err = capsys.readouterr()
    assert (status, out) == (2, "") and "ready" not in err
    (sentence,) = [line for line in err.replace("\r", "\n").splitlines() if line.startswith("svdlib: ")]
    assert "log-mels cannot be kept: " in sentence and place in sentence and "Set SVDLIB_CACHE" in sentence
