"""A corpus as a folder of plain files, which `folder:PATH` and other programs read."""

import csv
import hashlib
import io
import os
from collections import Counter
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from svdlib.compute.locks import locked
from svdlib.compute.processes import in_processes
from svdlib.compute.progress import progress
from svdlib.compute.storage import remove_leftovers, write_atomically
from svdlib.errors import CorpusError, OutputError
from svdlib.songs.corpora.base import Corpus, Segment, Track, at_home
from svdlib.songs.corpora.folder import SPLIT_TABLE
from svdlib.songs.corpora.labels import WORDS

STEMS = ("voice", "band")
LARGEST_STEP = 2**15 - 1  # of 16 bits
LOCK_FILE = "lock"
EXPORT_VERSION = 1  # raise it when other files are written: an interrupted export goes on only with the same


def export_corpus(
    corpus: Corpus, folder: str | os.PathLike[str], stems: bool = False, *, processes: int | None = None
) -> Path:
    """Write a corpus as a folder that `open_corpus("folder:PATH")` reads as it is.

    The folder gets audio/NAME.flac (16 bit, 22050 Hz mono), labels/NAME.lab and splits.csv; with stems also
    stems/NAME.voice.flac and stems/NAME.band.flac. A song that is louder than full scale is made quieter, its stems
    by the same gain, so that voice and band add up to the song.

    The files appear in the folder when all are there. Until then they lie in a hidden folder inside it, and the same
    export, when it was interrupted, goes on with them.

    Args:
        corpus: the corpus.
        folder: where to; made, with the folders above it, where it is missing. It must be empty.
        stems: whether to write voice and band as well.
        processes: how many songs to work on at once, see `svdlib.songs.corpora.cache.compute_once`.

    Returns:
        The folder.

    Raises:
        CorpusError: the stems of a song are not known, or a song's name is none for a file.
        OutputError: the folder holds something, or cannot be written to.
        AudioError: a song cannot be read.
    """
    folder = at_home(folder)
    _check_tracks(corpus, stems)
    unfinished = folder / f".unfinished-{_key(corpus, stems)}"
    _make_empty_folder(folder, unfinished)
    jobs = [_Job(track, unfinished, stems) for track in corpus.tracks]
    taken = OutputError(f"{folder}: another process is exporting to it; wait until it is done, or name a new folder")
    with locked(unfinished / LOCK_FILE, taken):
        with closing(in_processes(_export_song, jobs, processes)) as finished:
            for _ in progress(finished, description="export", total=len(jobs), unit="song"):
                pass
        write_atomically(unfinished / SPLIT_TABLE, lambda file: file.write(_split_table(corpus.tracks)))
        _move_out(unfinished, folder)
    return folder


@dataclass(frozen=True)
class _Job:
    """What a process needs to know to write the files of one song."""

    track: Track
    folder: Path
    stems: bool


def _check_tracks(corpus: Corpus, stems: bool) -> None:
    """Refuse, before anything is written, what cannot become files."""
    names = Counter(track.name.casefold() for track in corpus.tracks)  # capitals do not count on every system
    for track in corpus.tracks:
        if stems and track.stems is None:
            raise CorpusError(
                f"corpus {corpus.name!r}: the stems of {track.name!r} are not known; only synthetic corpora have "
                "stems, so export this one without them"
            )
        if track.name != Path(track.name).name.strip() or not track.name or track.name.startswith("."):
            raise CorpusError(f"corpus {corpus.name!r}: {track.name!r} is no name for a file; rename the song")
        if names[track.name.casefold()] > 1:
            raise CorpusError(
                f"corpus {corpus.name!r}: there are several songs {track.name!r}, capitals aside; rename one"
            )


def _key(corpus: Corpus, stems: bool) -> str:
    """Name what is exported, so that an interrupted export does not go on with the files of another."""
    songs = [(track.name, track.split, track.segments, track.fingerprint) for track in corpus.tracks]
    return hashlib.sha256(repr((EXPORT_VERSION, bool(stems), songs)).encode(errors="surrogateescape")).hexdigest()[:16]


def _make_empty_folder(folder: Path, unfinished: Path) -> None:
    """Make the folder and the one for unfinished files in it; nothing else may be there."""
    try:
        unfinished.parent.mkdir(parents=True, exist_ok=True)
        others = sorted(path.name for path in folder.iterdir() if path != unfinished)
        if others:
            raise OutputError(f"{folder}: not empty, it holds {others[0]}; name a new folder, nothing is overwritten")
        unfinished.mkdir(exist_ok=True)
    except OSError as error:
        raise OutputError(
            f"Cannot write to {folder}: {error.strerror or error}. Choose a folder you may write to."
        ) from error


def _export_song(job: _Job) -> None:
    """Write the files of one song, its labels last: where they are, an earlier export has done it."""
    labels = job.folder / "labels" / f"{job.track.name}.lab"
    if labels.exists():
        return
    parts = _sounds(job)
    gain = 1 / max(1.0, *(float(np.abs(samples).max(initial=0)) for samples in parts.values()))
    for place, samples in parts.items():
        _write(job.folder / place, _encode_flac(samples * gain))
    length = len(next(iter(parts.values())))
    _write(labels, _label_text(job.track.segments, length).encode())


def _sounds(job: _Job) -> dict[str, np.ndarray]:
    """The sounds to write, float32 (samples,), by their place in the folder: the song and, if wanted, its stems."""
    song = f"audio/{job.track.name}.flac"
    if not job.stems:
        return {song: job.track.load()}
    assert job.track.stems is not None  # `_check_tracks` lets no other song pass
    stems = job.track.stems()
    parts = {f"stems/{job.track.name}.{stem}.flac": stems[stem] for stem in STEMS}
    return {song: stems["voice"] + stems["band"]} | parts


def _write(path: Path, data: bytes) -> None:
    remove_leftovers(path)  # of a process that was ended while it wrote
    write_atomically(path, lambda file: file.write(data))


def _encode_flac(samples: np.ndarray) -> bytes:
    """Encode samples within [-1, 1], floating point (samples,), 22050 Hz, with steps of 1 / 32768."""
    import soundfile

    from svdlib.audio.mel_axis import SAMPLE_RATE

    steps = np.minimum(np.rint(samples * (LARGEST_STEP + 1)), LARGEST_STEP).astype(np.int16)
    buffer = io.BytesIO()
    soundfile.write(buffer, steps, SAMPLE_RATE, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


def _label_text(segments: tuple[Segment, ...], length: int) -> str:
    """Write segments as lines that are read back without a difference; a song without any is not sung throughout."""
    from svdlib.audio.mel_axis import SAMPLE_RATE

    words = {sing: word for word, sing in WORDS.items()}
    segments = segments or (Segment(0.0, length / SAMPLE_RATE, False),)
    return "".join(f"{float(part.start)!r} {float(part.end)!r} {words[part.sing]}\n" for part in segments)


def _split_table(tracks: tuple[Track, ...]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file", "split"])
    writer.writerows([f"{track.name}.flac", track.split] for track in tracks)
    return text.getvalue().encode(errors="surrogateescape")


def _move_out(unfinished: Path, folder: Path) -> None:
    """Move the finished files to where they belong, `audio/` last: without it no folder is taken for a corpus."""
    try:
        for part in (SPLIT_TABLE, "stems", "labels", "audio"):
            if (unfinished / part).exists():
                (unfinished / part).replace(folder / part)
        (unfinished / LOCK_FILE).unlink(missing_ok=True)
        unfinished.rmdir()
    except OSError as error:
        raise OutputError(f"Cannot write to {folder}: {error.strerror or error}. Export to another folder.") from error
