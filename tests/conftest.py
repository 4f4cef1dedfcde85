"""What several tests share: sound files made on the fly, and one thread per process."""

import os
import shutil
import signal
import tempfile
from pathlib import Path

import pytest

# Before NumPy and torch are loaded, and for all processes that tests start: `make test` has every core at work already.
os.environ["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")

import numpy as np
import torch
from needs import missing

from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.errors import WeightsError
from svdlib.tagger.loading import load_tagger, package_folder

torch.set_num_threads(1)
# Some tests press Ctrl-C, which shells make what they start in the background ignore.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def no_shared_cache(tmp_path_factory):
    """Keep spectrograms of tests out of the user's cache."""
    os.environ["SVDLIB_CACHE"] = str(tmp_path_factory.mktemp("cache"))


@pytest.fixture(scope="session", autouse=True)
def one_process():
    """Starting processes takes longer than the few short songs of most tests."""
    os.environ["SVDLIB_PROCESSES"] = "1"


@pytest.fixture(scope="session")
def melody():
    """Four seconds of harmonic notes over soft noise, float32 (88200,), 22050 Hz: no mel band is empty."""
    rng = np.random.default_rng(0)
    time = np.arange(4 * SAMPLE_RATE) / SAMPLE_RATE
    pitch = np.repeat([220.0, 277.2, 329.6, 440.0], SAMPLE_RATE)
    phase = 2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE
    notes = sum(np.sin(k * phase) / k for k in range(1, 12))
    decay = np.exp(-3 * (time % 1))
    return (0.2 * notes * decay + 0.01 * rng.standard_normal(len(time))).astype(np.float32)


@pytest.fixture
def public_folder():
    """An empty folder in a place that everybody may enter, unlike `tmp_path`; tests may take its rights away."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    yield folder
    folder.chmod(0o700)
    shutil.rmtree(folder)


@pytest.fixture
def song_file(tmp_path, melody):
    """Write a sound file and return its path: `song_file("a.flac")`, or with other samples and rate."""
    import soundfile

    def write(name="song.wav", samples=melody, rate=SAMPLE_RATE, **options):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, samples, rate, **options)
        return path

    return write


@pytest.fixture
def song_folder(tmp_path, song_file):
    """Make a corpus folder of a few songs, `song_folder(3)`, each sung from 1 to 3 s of its 4 s."""

    def make(count=3):
        root = tmp_path / "songs"
        (root / "labels").mkdir(parents=True)
        for index in range(count):
            song_file(f"songs/audio/song{index}.flac")
            (root / "labels" / f"song{index}.lab").write_text("0 1 nosing\n1 3 sing\n3 4 nosing\n")
        return root

    return make


@pytest.fixture(scope="session")
def package():
    """The folder of the installed package musicnn, with the weights of the music tagger."""
    try:
        return package_folder()
    except WeightsError as error:
        missing(str(error))


@pytest.fixture(scope="session")
def tagger(package):
    return load_tagger()
