"""How much memory songs of many hours take: what a process holds at most, beside the size of the song's log-mel.

A song of 10 hours has 3 GB of samples and 0.8 GB of log-mel. Songs are read in blocks, so memory should grow with the
log-mel alone. The songs are made in a temporary folder, block by block too: stereo at 44.1 kHz, as FLAC and as MP3, and
10 hours of digital silence, which must be refused. Each verb of the command line runs in a process of its own.

It needs 4 GB on the disk, and most of an hour on one core. Each row is told, on standard error, as
soon as it is measured. Minutes are of processor time, which other programs on the machine do not lengthen.

    python -m benchmarks.peak_memory [--quick] [--json] [--out FILE]
"""

import contextlib
import io
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.log_mel import make_samples
from benchmarks.measuring import Options, Table, as_text, in_fresh_process, script
from svdlib.audio.mel_axis import FRAME_RATE, N_BANDS, SAMPLE_RATE
from svdlib.audio.mp3 import mp3_frames
from svdlib.compute.memory import peak_memory

RATE = 44100
"""Samples per second of the songs, so that there is something to resample."""

BLOCK = 60  # seconds
"""Of sound, repeated until a song is long enough."""


@dataclass(frozen=True)
class Song:
    """A long song to try.

    Attributes:
        seconds: how long it is.
        kind: "flac", "mp3" or "silence".
    """

    seconds: float
    kind: str

    @property
    def name(self) -> str:
        """What a table calls it."""
        hours = self.seconds / 3600
        return f"{hours:.3g} h, {'silence' if self.kind == 'silence' else self.kind.upper()}"

    @property
    def log_mel_bytes(self) -> float:
        """The size of its log-mel."""
        return self.seconds * FRAME_RATE * N_BANDS * 4


def stereo_block(seconds: float) -> np.ndarray:
    """Notes at 44.1 kHz in two channels that differ, float32 (samples, 2)."""
    notes = np.repeat(make_samples(seconds), 2)
    return np.stack([notes, 0.8 * notes], axis=1).astype(np.float32)


def write_song(song: Song, path: Path) -> None:
    """Write a song block by block."""
    import soundfile

    block = min(BLOCK, song.seconds)
    samples, blocks = stereo_block(block), round(song.seconds / block)
    if song.kind == "mp3":
        sound = io.BytesIO()
        soundfile.write(sound, samples, RATE, format="MP3")
        data = sound.getvalue()
        frames = data[list(mp3_frames(data))[1].start :]  # without the header that counts them
        with path.open("wb") as file:
            for _ in range(blocks):
                file.write(frames)
        return
    with soundfile.SoundFile(path, "w", RATE, 2, subtype="PCM_16", format="FLAC") as file:
        for _ in range(blocks):
            file.write(samples * (song.kind != "silence"))


def write_corpus(song: Song, folder: Path) -> Path:
    """Write a folder whose only test song is the long one, and return that."""
    import soundfile

    (folder / "audio").mkdir(parents=True)
    (folder / "labels").mkdir()
    path = folder / "audio" / f"song.{'mp3' if song.kind == 'mp3' else 'flac'}"
    write_song(song, path)
    for name in ("first", "second"):
        soundfile.write(folder / "audio" / f"{name}.wav", make_samples(5), SAMPLE_RATE)
    for name, seconds in (("song", song.seconds), ("first", 5), ("second", 5)):
        (folder / "labels" / f"{name}.lab").write_text(f"0 {seconds / 2} sing\n")
    (folder / "splits.csv").write_text(f"file,split\n{path.name},test\nfirst.wav,train\nsecond.wav,valid\n")
    return path


@dataclass(frozen=True)
class Held:
    """What a process has held at most, in bytes, its minutes of processor time, its exit code, and what it said."""

    bytes: int
    minutes: float
    code: int = 0
    said: str = ""


def hold(arguments: Sequence[str], cache: Path) -> Held:
    """Run the command line in this process; without arguments, do nothing but import torch."""
    os.environ |= {"SVDLIB_CACHE": str(cache), "SVDLIB_PROCESSES": "1", "TQDM_DISABLE": "1"}
    begun, code, said = time.process_time(), 0, io.StringIO()
    if arguments:
        from svdlib.cli import main

        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            code = main(list(arguments))
    held = peak_memory(torch.device("cpu")).host
    return Held(held or 0, (time.process_time() - begun) / 60, code, said.getvalue())


def verbs(song: Song, folder: Path, path: Path) -> dict[str, list[str]]:
    """The command lines that are tried on a song, by their names."""
    build = {"corpus build": ["corpus", "build", f"folder:{folder}"]}
    if song.kind == "silence":
        return build
    return build | {
        "evaluate detector": ["evaluate", "detector", "--corpus", f"folder:{folder}", "--device", "cpu"],
        "invert": ["invert", str(path), "--out", str(folder / "out"), "--device", "cpu"],
    }


def measured(song: Song, options: Options, place: Path) -> Iterator[dict[str, Any]]:
    """What each verb needs for a song, row by row."""
    folder = place / song.name.replace(" ", "-")
    path = write_corpus(song, folder)
    for verb, arguments in verbs(song, folder, path).items():
        run = partial(hold, arguments, folder / f"cache of {verb}")
        held = in_fresh_process(run, options.threads)
        if held.code != (2 if song.kind == "silence" else 0):
            raise SystemExit(f"error: svdlib {' '.join(arguments)} ended with exit code {held.code}\n{held.said}")
        row = {"song": song.name, "verb": verb, "memory, MB": held.bytes / 1e6}
        yield row | {"log-mel, MB": song.log_mel_bytes / 1e6, "minutes": held.minutes}
    shutil.rmtree(folder)


def all_rows(options: Options) -> Iterator[dict[str, Any]]:
    """What nothing needs, and then what each song does."""
    lengths, kinds = ([20.0], ["mp3"]) if options.quick else ([3 * 3600.0, 10 * 3600.0], ["flac", "mp3"])
    nothing = in_fresh_process(partial(hold, (), Path()), options.threads)
    yield {"song": "none", "verb": "import torch", "memory, MB": nothing.bytes / 1e6}
    songs = [Song(seconds, kind) for seconds in lengths for kind in kinds] + [Song(lengths[-1], "silence")]
    with tempfile.TemporaryDirectory() as place:
        for song in songs:
            yield from measured(song, options, Path(place))


def tables(options: Options) -> list[Table]:
    rows = []
    for row in all_rows(options):
        print(*(f"{name} {as_text(cell)}" for name, cell in row.items()), sep=", ", file=sys.stderr, flush=True)
        rows.append(row)
    remark = "Silence is refused, after all of it was read. Every verb computes the log-mel anew, on one process."
    return [Table("Memory that a process holds at most", rows, [remark])]


if __name__ == "__main__":
    script("peak_memory", __doc__, tables)
