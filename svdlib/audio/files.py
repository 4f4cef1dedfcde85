"""Reading and writing sound files."""

import io
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np

from svdlib.audio.decoding import Recording
from svdlib.audio.mel_axis import EXCERPT_SAMPLES, SAMPLE_RATE
from svdlib.compute.storage import write_atomically
from svdlib.errors import AudioError, OutputError, path_of

Result = TypeVar("Result")

SILENCE_LEVEL = 1e-5  # a file that never exceeds it, half a step of 16 bits, is digital silence


def load_audio(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a sound file as 22050 Hz mono: channels are averaged, other rates are resampled.

    WAV, AIFF, FLAC, Ogg and MP3 are read. A file cut short is refused wherever its format tells; see
    `svdlib.audio.decoding` for the cases that cannot be known.

    Args:
        path: the file.

    Returns:
        float32 (samples,), full scale at 1.

    Raises:
        AudioError: the file is missing, a folder, empty, not audio, damaged, cut short, or not finite.
    """
    return Recording(path).read(_joined)


def load_song(path: str | os.PathLike[str]) -> np.ndarray:
    """Read a sound file as `load_audio` does, and make sure that there is something to analyse.

    Args:
        path: the file.

    Returns:
        float32 (samples,), 22050 Hz mono, at least one excerpt (36934 samples, 1.7 s) long.

    Raises:
        AudioError: as for `load_audio`; or the file is shorter than one excerpt, or digital silence.
    """
    return read_song(Recording(path), _joined)


def read_song(recording: Recording, take: Callable[[Iterator[np.ndarray]], Result]) -> Result:
    """Read a song block by block, and make sure, at its end, that there was something to analyse.

    Args:
        recording: the file.
        take: as for `svdlib.audio.decoding.Recording.read`.

    Returns:
        What the function returns.

    Raises:
        AudioError: as for `load_song`.
    """
    return recording.read(lambda blocks: take(_worth_analysing(recording.path, blocks)))


def _worth_analysing(path: Path, blocks: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Pass blocks on, and refuse what was too short or silent throughout."""
    samples, peak = 0, 0.0
    for block in blocks:
        samples += len(block)
        peak = max(peak, float(np.abs(block).max(initial=0)))
        yield block
    check_length(path, samples)
    if peak < SILENCE_LEVEL:
        raise AudioError(f"{path}: digital silence throughout; export the recording again, or leave it out")


def _joined(blocks: Iterable[np.ndarray]) -> np.ndarray:
    return np.concatenate([*blocks], dtype=np.float32)


def check_length(path: str | os.PathLike[str], samples: int) -> None:
    """Make sure that a song of so many samples at 22050 Hz has room for one excerpt.

    Raises:
        AudioError: it is shorter.
    """
    if samples < EXCERPT_SAMPLES:
        raise AudioError(
            f"{path}: too short ({samples / SAMPLE_RATE:.2f} s); one excerpt takes "
            f"{EXCERPT_SAMPLES / SAMPLE_RATE:.2f} s, so give a longer recording"
        )


def within_full_scale(samples: np.ndarray) -> np.ndarray:
    """Scale down what would clip; leave the rest as it is."""
    samples = np.asarray(samples, dtype=np.float32)
    return samples / max(1.0, float(np.abs(samples).max(initial=0)))


def save_audio(path: str | os.PathLike[str], samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> None:
    """Write samples to a sound file: 16-bit WAV, MP3 or Ogg Vorbis, by the suffix of its name.

    Samples beyond full scale make the whole file quieter. The file appears complete or not at all.

    Args:
        path: `.wav`, `.mp3` or `.ogg`.
        samples: floating point (samples,).
        sample_rate: samples per second.

    Raises:
        OutputError: another suffix, samples of another shape or not finite, or no right to write there.
    """
    place = path_of(path, "a sound file", OutputError)
    data = _encode(samples, sample_rate, place)
    write_atomically(place, lambda file: file.write(data))


MP3_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000)


def encode_mp3(samples: np.ndarray, sample_rate: int = SAMPLE_RATE) -> bytes:
    """Encode samples, floating point (samples,), as an MP3 small enough to embed in a page.

    The format knows nine rates; samples of another one are brought to the next higher of them, or the highest.
    """
    rate = next((rate for rate in MP3_RATES if rate >= sample_rate), MP3_RATES[-1])
    if rate != sample_rate:
        import soxr

        samples = soxr.resample(np.asarray(samples, dtype=np.float32), sample_rate, rate)
    return _encode(samples, rate, Path("excerpt.mp3"))


FORMATS = {".wav": ("WAV", "PCM_16"), ".mp3": ("MP3", "MPEG_LAYER_III"), ".ogg": ("OGG", "VORBIS")}


def _encode(samples: np.ndarray, sample_rate: int, path: Path) -> bytes:
    import soundfile

    if path.suffix.lower() not in FORMATS:
        raise OutputError(f"{path}: sound is written as {', '.join(FORMATS)}; choose one of these suffixes")
    samples = np.asarray(samples)
    if samples.ndim != 1 or not len(samples) or not np.isfinite(samples).all():
        raise OutputError(f"{path}: samples must be finite numbers of shape (samples,), not {samples.shape}")
    file_format, subtype = FORMATS[path.suffix.lower()]
    buffer = io.BytesIO()
    soundfile.write(buffer, within_full_scale(samples), sample_rate, format=file_format, subtype=subtype)
    return buffer.getvalue()
