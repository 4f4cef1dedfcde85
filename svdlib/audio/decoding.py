"""Sound files to samples, through libsndfile, refusing what is damaged or cut short.

What cannot be known about a file stands in `svdlib.audio.containers`.
"""

import mmap
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from svdlib.audio.containers import fault_finder, mp3_fault, with_frame_count
from svdlib.errors import AudioError

if TYPE_CHECKING:
    import soundfile

READABLE = "WAV, AIFF, FLAC, Ogg or MP3"
READABLE_FORMATS = {"WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"}  # libsndfile's names
BLOCK_FRAMES = 1 << 18  # sample frames read at once, so that eight channels at 192 kHz need little memory
LOWEST_RATE, HIGHEST_RATE = 4000, 768000  # Hz; no music is stored at a rate beyond
MP3_FRAME_SAMPLES = 1152  # by so much a header that counts itself overstates the length
AGAIN = "get or export the file again"


def decode(path: Path) -> tuple[np.ndarray, int]:
    """Decode a sound file and average its channels.

    Args:
        path: the file.

    Returns:
        float32 (samples,), full scale at 1, and the file's own sample rate in Hz.

    Raises:
        AudioError: see `svdlib.audio.files.load_audio`.
    """
    import soundfile

    with _readable_file(path) as file, _open_sound(path, file) as sound:
        blocks = []
        try:
            while len(block := sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)):
                blocks.append(block.mean(axis=1))
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{path}: damaged or cut short ({_reason(error)}); {AGAIN}") from error
        samples = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
        slack = MP3_FRAME_SAMPLES if sound.format == "MP3" else 0
        _check_samples(path, samples, promised=sound.frames - slack)
        return samples, sound.samplerate


def duration(path: Path) -> float:
    """Return the length of a sound file in seconds, without decoding it.

    Raises:
        AudioError: the file is missing, not audio, or cut short.
    """
    with _readable_file(path) as file, _open_sound(path, file) as sound:
        return sound.frames / sound.samplerate


def _readable_file(path: Path) -> BinaryIO:
    if path.is_dir():
        raise AudioError(f"{path}: this is a folder; name one sound file in it")
    if not path.is_file():
        raise AudioError(f"{path}: there is no such file; check the path")
    try:
        file = path.open("rb")
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    if not path.stat().st_size:
        file.close()
        raise AudioError(f"{path}: the file is empty (0 bytes); {AGAIN}")
    return file


def _open_sound(path: Path, file: BinaryIO) -> "soundfile.SoundFile":
    """Check the container, then hand the file to libsndfile."""
    import soundfile

    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        find_fault = fault_finder(data)
        if find_fault is None:
            raise AudioError(f"{path}: not a sound file that can be read; convert it to {READABLE}")
        fault = find_fault(data)
        if fault:
            raise AudioError(f"{path}: {fault}; {AGAIN}")
        source = with_frame_count(data) if find_fault is mp3_fault else file
    try:
        sound = soundfile.SoundFile(source)
    except (soundfile.LibsndfileError, TypeError) as error:
        raise AudioError(f"{path}: damaged, or not {READABLE} ({_reason(error)}); {AGAIN}") from error
    if sound.format not in READABLE_FORMATS or not LOWEST_RATE <= sound.samplerate <= HIGHEST_RATE:
        raise AudioError(
            f"{path}: {sound.format} sound at {sound.samplerate} Hz; convert it to {READABLE} "
            f"at a sampling rate from {LOWEST_RATE // 1000} to {HIGHEST_RATE // 1000} kHz"
        )
    return sound


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")


def _check_samples(path: Path, samples: np.ndarray, promised: int) -> None:
    if not len(samples):
        raise AudioError(f"{path}: holds no samples; {AGAIN}")
    if len(samples) < promised:
        raise AudioError(f"{path}: cut short or damaged, {len(samples)} of {promised} samples are there; {AGAIN}")
    if not np.isfinite(samples).all():
        position = int(np.argmin(np.isfinite(samples)))
        raise AudioError(f"{path}: sample {position} is NaN or infinite; export the file as 16-bit WAV")
