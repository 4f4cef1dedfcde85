"""Sound files to samples, through libsndfile: all that a file holds, or a refusal.

What a file holds is found out in `svdlib.audio.containers` and `svdlib.audio.mp3`, which also say what cannot be known.
"""

import contextlib
import math
import mmap
import os
import stat
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from svdlib.audio.containers import sound_parts
from svdlib.audio.mel_axis import SAMPLE_RATE
from svdlib.audio.parts import PADDING, FaultError, Part
from svdlib.audio.quiet import quiet_decoder
from svdlib.errors import AudioError, path_of

if TYPE_CHECKING:
    import soundfile

Result = TypeVar("Result")

DECODER_VERSION = 2
"""In the fingerprint of songs that are files: raise it when other samples come out of one."""

READABLE = "WAV, AIFF, FLAC, Ogg or MP3"
READABLE_FORMATS = {"WAV", "WAVEX", "RF64", "AIFF", "FLAC", "OGG", "MP3"}  # libsndfile's names
BLOCK_FRAMES = 1 << 18  # sample frames read at once, so that eight channels at 192 kHz need little memory
LOWEST_RATE, HIGHEST_RATE = 4000, 768000  # Hz; no music is stored at a rate beyond
MP3_FRAME_SAMPLES = 1152  # by so much a header that counts itself overstates the length
CANCELLED = 0.01  # share of the channels' power in their mean: less than -20 dB only where one is the other upside down
LOST = 0.1  # share of a sound's power in seconds whose channels cancel: from here on, one of them tells more
LOUDEST = 1e15  # times full scale: powers of what is beyond leave the range of float32, and no file is scaled so
AGAIN = "get or export the file again"


class Recording:
    """A sound file, read block by block so that memory does not grow with its length, as often as it is asked for.

    Channels are averaged. Where they cancel each other, the loudest is taken alone, with a warning. The parts of a file
    that was joined from several follow each other.
    """

    def __init__(self, path: str | os.PathLike[str]):
        """Name the file; nothing is opened yet.

        Raises:
            AudioError: the name is no path.
        """
        self.path = path_of(path, "a sound file", AudioError)
        self._parts: list[Part] | None = None
        self._alone: dict[int, int] = {}  # the channel that is taken alone, by the number of its part

    def read(self, take: Callable[[Iterator[np.ndarray]], Result]) -> Result:
        """Hand the samples to a function, block by block, at 22050 Hz.

        Args:
            take: is given blocks, float32 (samples,), full scale at 1, at least one sample in all. That channels cancel
                shows at the end of a file; then the function is called again, and the blocks begin anew.

        Returns:
            What the function returns.

        Raises:
            AudioError: see `svdlib.audio.files.load_audio`.
        """
        return self.decode(lambda blocks, rate: take(resampled(blocks, rate, SAMPLE_RATE)))

    def decode(self, take: Callable[[Iterator[np.ndarray], int], Result]) -> Result:
        """Hand the samples to a function as `read` does, but at the file's own rate in Hz, its second argument.

        If the rates of the parts differ, all are resampled to 22050 Hz.
        """
        try:
            return self._decode(take)
        except _ChannelsCancel:
            return self._decode(take)

    def _decode(self, take: Callable[[Iterator[np.ndarray], int], Result]) -> Result:
        with _opened(self.path) as file:
            if self._parts is None:
                self._parts = _parts_of(self.path, file)
            rates = {sound.samplerate for sound in _sounds(self.path, self._parts, file)}
            rate = rates.pop() if len(rates) == 1 else SAMPLE_RATE
            return take(self._joined(_sounds(self.path, self._parts, file), rate), rate)

    def _joined(self, sounds: Iterable["soundfile.SoundFile"], rate: int) -> Iterator[np.ndarray]:
        """Yield the samples of all parts at one rate."""
        known, samples = len(self._alone), 0
        for number, sound in enumerate(sounds):
            for block in resampled(self._averaged(number, sound), sound.samplerate, rate):
                samples += len(block)
                yield block
        if not samples:
            raise AudioError(f"{self.path}: holds no samples; {AGAIN}")
        if len(self._alone) > known:
            raise _ChannelsCancel
        for told in _left_out(self._parts or ()):
            warnings.warn(f"{self.path}: {told}", stacklevel=2)

    def _averaged(self, number: int, sound: "soundfile.SoundFile") -> Iterator[np.ndarray]:
        """Yield the samples of a part, the mean of its channels or one taken alone; then check how many they were."""
        alone = self._alone.get(number)
        samples, cancellation = 0, _Cancellation(sound.samplerate, sound.channels)
        for block in _blocks(self.path, sound):
            mono = _mean(block) if alone is None else block[:, alone].copy()
            _check_levels(self.path, mono, samples)
            samples += len(block)
            if alone is None and sound.channels > 1:
                cancellation.add(block, mono)
            yield mono
        _check_length(self.path, samples, sound)
        if alone is None and (verdict := cancellation.verdict()) is not None:
            self._alone[number], seconds = verdict
            warnings.warn(
                f"{self.path}: the channels cancel each other for {seconds:.1f} s, one is another upside down there; "
                f"channel {self._alone[number] + 1} is taken alone",
                stacklevel=2,
            )


def _left_out(parts: Sequence[Part]) -> Iterator[str]:
    """Say how much of a file does not come out, part by part of it."""
    early = "; if they were sound once, it is missing there, and all behind it comes too early"
    for place, count, least, more in (
        ("before", sum(part.skipped for part in parts), 0, ""),
        ("in the midst of", sum(part.between for part in parts), PADDING, early),
        ("after", sum(part.left_out for part in parts), 0, ""),
    ):
        if count > least:
            yield f"about {count} bytes {place} the sound are neither sound nor tags, and are left out{more}"


class _Cancellation:
    """How much of a sound its mean loses where the channels cancel each other, second by second."""

    def __init__(self, rate: int, channels: int) -> None:
        self._rate, self._powers, self._lost = rate, np.zeros(channels), 0.0
        self._cancelled = self._heard = 0  # frames, of the whole and of the second at hand
        self._second, self._mean = np.zeros(channels), 0.0

    def add(self, block: np.ndarray, mean: np.ndarray) -> None:
        """Listen to a block (frames, channels), and to the mean of its channels (frames,)."""
        start = 0
        while start < len(block):
            end = min(len(block), start + self._rate - self._heard)
            with np.errstate(all="ignore"):  # samples may be numbers and their squares too large
                self._second += [float(channel @ channel) for channel in block[start:end].T]
                self._mean += float(mean[start:end] @ mean[start:end])
            self._heard += end - start
            start = end
            if self._heard == self._rate:
                self._judge()

    def _judge(self) -> None:
        if self._mean < CANCELLED * self._second.mean():
            self._lost += self._second.sum()
            self._cancelled += self._heard
        self._powers += self._second
        self._second, self._mean, self._heard = np.zeros_like(self._second), 0.0, 0

    def verdict(self) -> tuple[int, float] | None:
        """At the end: the loudest channel and for how many seconds they cancel; None where the mean tells enough."""
        self._judge()
        if self._lost <= LOST * self._powers.sum():
            return None
        return int(self._powers.argmax()), self._cancelled / self._rate


class _ChannelsCancel(Exception):
    """At the end of a file: its channels cancel, so what was made of their mean does not count."""


def duration(path: Path) -> float:
    """Return the length of a sound file in seconds, without decoding it.

    Raises:
        AudioError: the file is missing, not audio, or cut short.
    """
    with _opened(path) as file:
        return sum(sound.frames / sound.samplerate for sound in _sounds(path, _parts_of(path, file), file))


def resampled(blocks: Iterable[np.ndarray], rate: int, wanted: int) -> Iterator[np.ndarray]:
    """Bring samples from one rate to another, in Hz.

    Args:
        blocks: float32 (samples,) each.
        rate: theirs.
        wanted: the other.

    Yields:
        Blocks (samples,), in all as many samples as the same time takes, rounded up. They are those that would come out
        of all samples at once, to the last bit; the blocks themselves where the rates are equal.
    """
    if rate == wanted:
        yield from blocks
        return
    import soxr  # comes with librosa, whose `resample` has no blocks

    stream = soxr.ResampleStream(rate, wanted, 1, dtype="float32", quality="HQ")
    given = made = 0
    for block in blocks:
        given += len(block)
        piece = stream.resample_chunk(block)
        made += len(piece)
        yield piece
    missing = max(0, math.ceil(given * (wanted / rate)) - made)
    rest = stream.resample_chunk(np.zeros(0, dtype=np.float32), last=True)[:missing]
    yield np.pad(rest, (0, missing - len(rest)))


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


def _opened(path: Path) -> BinaryIO:
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


def _parts_of(path: Path, file: BinaryIO) -> list[Part]:
    """Find the parts of a file."""
    try:
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return sound_parts(data)
    except FaultError as fault:
        raise AudioError(f"{path}: {fault}; {fault.remedy}") from fault


def _sounds(path: Path, parts: Iterable[Part], file: BinaryIO) -> Iterator["soundfile.SoundFile"]:
    """Open one part after the other; each is closed before the next."""
    for part in parts:
        with _open_sound(path, part, file) as sound:
            yield sound


def _open_sound(path: Path, part: Part, file: BinaryIO) -> "soundfile.SoundFile":
    """Hand a part to libsndfile."""
    import soundfile

    try:
        with quiet_decoder():
            sound = soundfile.SoundFile(part.source(file))
    except (soundfile.LibsndfileError, TypeError) as error:
        raise AudioError(f"{path}: damaged, or not {READABLE} ({_reason(error)}); {AGAIN}") from error
    if sound.format not in READABLE_FORMATS or not LOWEST_RATE <= sound.samplerate <= HIGHEST_RATE:
        raise AudioError(
            f"{path}: {sound.format} sound at {sound.samplerate} Hz; convert it to {READABLE} "
            f"at a sampling rate from {LOWEST_RATE // 1000} to {HIGHEST_RATE // 1000} kHz"
        )
    return sound


def _mean(block: np.ndarray) -> np.ndarray:
    """The mean (frames,) of a block's channels (frames, channels)."""
    if block.shape[1] == 1:
        return block[:, 0]
    if block.shape[1] == 2:
        return (block[:, 0] + block[:, 1]) / 2  # the same, and faster
    mean: np.ndarray = block.mean(axis=1)
    return mean


def _reason(error: Exception) -> str:
    return str(getattr(error, "error_string", error)).rstrip(".")


def _check_length(path: Path, samples: int, sound: "soundfile.SoundFile") -> None:
    """Compare how much was decoded with what the part holds; its header was made to tell the truth."""
    promised = sound.frames - (MP3_FRAME_SAMPLES if sound.format == "MP3" else 0)
    if samples < promised:
        lost = (sound.frames - samples) / sound.samplerate
        raise AudioError(
            f"{path}: cut short or damaged, {samples} of {promised} samples are there "
            f"and {lost:.1f} s would be lost; {AGAIN}"
        )


def _check_levels(path: Path, samples: np.ndarray, before: int) -> None:
    """Make sure that samples are numbers and levels of sound; so many came before them."""
    if len(samples) and not max(samples.max(), -samples.min()) <= LOUDEST:  # nor is it where there is a NaN
        position = int(np.argmin(np.abs(samples) <= LOUDEST))
        level = float(samples[position])
        fault = f"{level:.3g}, where full scale is 1" if math.isfinite(level) else "NaN or infinite"
        raise AudioError(f"{path}: sample {before + position} is {fault}; export the file as 16-bit WAV")
