"""Sound files to samples, through libsndfile: all that a file holds, or a refusal.

What a file holds is found out in `svdlib.audio.containers` and `svdlib.audio.mp3`, which also say what cannot be known.
"""

import contextlib
import mmap
import stat
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from svdlib.audio.containers import sound_parts
from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.audio.parts import FaultError
from svdlib.audio.quiet import quiet_decoder
from svdlib.errors import AudioError

if TYPE_CHECKING:
    import soundfile

READABLE = "WAV, AIFF, FLAC, Ogg or MP3"
READABLE_FORMATS = {"WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"}  # libsndfile's names
BLOCK_FRAMES = 1 << 18  # sample frames read at once, so that eight channels at 192 kHz need little memory
LOWEST_RATE, HIGHEST_RATE = 4000, 768000  # Hz; no music is stored at a rate beyond
MP3_FRAME_SAMPLES = 1152  # by so much a header that counts itself overstates the length
CANCELLED = 0.01  # share of the channels' power in their mean: less than -20 dB only where one is the other upside down
AGAIN = "get or export the file again"


def decode(path: Path) -> tuple[np.ndarray, int]:
    """Decode a sound file and average its channels.

    Channels that cancel each other are not averaged: the loudest is taken, with a warning. The parts of a file that was
    joined from several follow each other; if their rates differ, they are resampled to 22050 Hz.

    Args:
        path: the file.

    Returns:
        float32 (samples,), full scale at 1, and the file's own sample rate in Hz.

    Raises:
        AudioError: see `svdlib.audio.files.load_audio`.
    """
    with _sounds(path) as sounds:
        decoded = [(_decode_part(path, sound), sound.samplerate) for sound in sounds]
    rates = {rate for _, rate in decoded}
    rate = rates.pop() if len(rates) == 1 else SAMPLE_RATE
    parts = [resample(samples, own_rate, rate) for samples, own_rate in decoded]
    samples = np.concatenate(parts) if len(parts) > 1 else parts[0]
    if not len(samples):
        raise AudioError(f"{path}: holds no samples; {AGAIN}")
    return samples, rate


def duration(path: Path) -> float:
    """Return the length of a sound file in seconds, without decoding it.

    Raises:
        AudioError: the file is missing, not audio, or cut short.
    """
    with _sounds(path) as sounds:
        return sum(sound.frames / sound.samplerate for sound in sounds)


def resample(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """Bring samples (n,) from one rate to another, in Hz; the same array where the rates are equal."""
    if rate == wanted or not len(samples):
        return samples
    import librosa

    resampled: np.ndarray = librosa.resample(samples, orig_sr=rate, target_sr=wanted, res_type="soxr_hq")
    return resampled


def _decode_part(path: Path, sound: "soundfile.SoundFile") -> np.ndarray:
    """Decode one part of a file, and compare what comes out with what it holds."""
    blocks: list[np.ndarray] = []
    mixed_power = power = 0.0
    for block in _blocks(path, sound):
        mean = block.mean(axis=1)
        blocks.append(mean)
        if sound.channels > 1:
            with np.errstate(all="ignore"):  # samples that are not finite are found below
                mixed_power += float(mean @ mean)
                power += float(block.ravel() @ block.ravel()) / sound.channels
    if mixed_power < CANCELLED * power:
        blocks = _loudest_channel(path, sound)
    samples = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
    _check_samples(path, samples, sound)
    return samples


def _loudest_channel(path: Path, sound: "soundfile.SoundFile") -> list[np.ndarray]:
    """Decode a part once more, for one channel instead of the mean in which they cancel."""
    powers = np.zeros(sound.channels)
    for _ in range(2):
        sound.seek(0)
        loudest, blocks = int(powers.argmax()), []
        for block in _blocks(path, sound):
            blocks.append(block[:, loudest].copy())
            powers += np.square(block).sum(axis=0)
    warnings.warn(
        f"{path}: the channels cancel each other, one is another upside down; channel {loudest + 1} is taken alone",
        stacklevel=2,
    )
    return blocks


def _blocks(path: Path, sound: "soundfile.SoundFile") -> Iterator[np.ndarray]:
    """Yield float32 (frames, channels) until the end."""
    import soundfile

    muted = quiet_decoder if sound.format == "MP3" else contextlib.nullcontext
    while True:
        try:
            with muted():
                block = sound.read(BLOCK_FRAMES, dtype="float32", always_2d=True)
        except soundfile.LibsndfileError as error:
            raise AudioError(f"{path}: damaged or cut short ({_reason(error)}); {AGAIN}") from error
        if not len(block):
            return
        yield block


def _regular_file(path: Path) -> BinaryIO:
    """Open a file, but nothing that might never end or never begin."""
    try:
        status = path.stat()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise AudioError(f"{path}: there is no such file; check the path") from error
    except PermissionError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error
    except (OSError, ValueError) as error:
        raise AudioError(f"{path}: cannot be read ({_reason(error)}); check the path") from error
    if stat.S_ISDIR(status.st_mode):
        raise AudioError(f"{path}: this is a folder; name one sound file in it")
    if not stat.S_ISREG(status.st_mode):
        raise AudioError(f"{path}: a pipe or a device is no sound file; write the sound into a file and name that")
    if not status.st_size:
        raise AudioError(f"{path}: the file is empty (0 bytes); {AGAIN}")
    try:
        return path.open("rb")
    except OSError as error:
        raise AudioError(f"{path}: cannot be read ({error.strerror}); check its permissions") from error


@contextlib.contextmanager
def _sounds(path: Path) -> Iterator[list["soundfile.SoundFile"]]:
    """Find the parts of a file and hand each to libsndfile."""
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(_regular_file(path))
        try:
            with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
                sources = [part.source(data, file) for part in sound_parts(data)]
        except FaultError as fault:
            raise AudioError(f"{path}: {fault}; {fault.remedy}") from fault
        yield [stack.enter_context(_open_sound(path, source)) for source in sources]


def _open_sound(path: Path, source: BinaryIO) -> "soundfile.SoundFile":
    import soundfile

    try:
        with quiet_decoder():
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


def _check_samples(path: Path, samples: np.ndarray, sound: "soundfile.SoundFile") -> None:
    """Compare what was decoded with what the part holds; its header was made to tell the truth."""
    promised = sound.frames - (MP3_FRAME_SAMPLES if sound.format == "MP3" else 0)
    if len(samples) < promised:
        lost = (sound.frames - len(samples)) / sound.samplerate
        raise AudioError(
            f"{path}: cut short or damaged, {len(samples)} of {promised} samples are there "
            f"and {lost:.1f} s would be lost; {AGAIN}"
        )
    if not np.isfinite(samples).all():
        position = int(np.argmin(np.isfinite(samples)))
        raise AudioError(f"{path}: sample {position} is NaN or infinite; export the file as 16-bit WAV")
