"""What may differ between two synthetic corpora: genres, singers, harmony, instruments and mixes, as tables of ranges.

The tables themselves are in `svdlib.songs.synthesis.worlds`. A pair of numbers is the lowest and the highest value of a
uniform draw, unless it says otherwise.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Range = tuple[float, float]


def draw_from(ranges: tuple[Range, ...], rng: np.random.Generator) -> float:
    """Draw a number from one of several ranges, each as likely; a single range costs a single draw."""
    chosen = ranges[0] if len(ranges) == 1 else ranges[int(rng.integers(len(ranges)))]
    return rng.uniform(*chosen)


@dataclass(frozen=True)
class Genre:
    """A template of what plays and how.

    Attributes:
        tempo: lowest and highest beats per minute.
        drums: keys of the world's `Instruments.drum_patterns` to choose from.
        chords: keys of `Instruments.note_makers`, each used with probability 0.5 (at least one).
        patterns: keys of `Instruments.chord_patterns` to choose from.
        distortion: probability of distorted guitars.
        drum_probability: probability that there are drums at all.
        vocal_level: lowest and highest voice-to-band ratio in dB where both sound.
        rap: probability that verses are spoken in rhythm.
        roughness: how rough the voices are, 0 to 1.
        swing: largest delay of off-beats, in sixteenths.
        leads: families of lead instruments, of `Instruments.leads`.
        beats: beats in a bar, of four sixteenths each: 4, or 7, or 3 for waltzes and (accented on every sixth) for 6/8.
    """

    tempo: Range
    drums: tuple[str, ...]
    chords: tuple[str, ...]
    patterns: tuple[str, ...]
    distortion: float
    drum_probability: float
    vocal_level: Range
    rap: float
    roughness: float
    swing: float
    leads: tuple[str, ...]
    beats: int = 4


@dataclass(frozen=True)
class Habits:
    """How pitch moves, for singers and for the instruments that imitate them; units as in `voice.Gestures`.

    Attributes:
        hard_tuned: probability of a pitch corrected by machine, without gestures.
        glide: seconds.
        scoop: probability that a note starts from below.
        fall: probability that a note falls off.
        arch: semitones.
        vibrato_rates: Hz, one or more ranges.
        vibrato_depths: semitones to choose from.
        depth_probabilities: of each depth.
        vibrato_delay: seconds.
        drift: semitones.
    """

    hard_tuned: float
    glide: Range
    scoop: Range
    fall: Range
    arch: Range
    vibrato_rates: tuple[Range, ...]
    vibrato_depths: tuple[float, ...]
    depth_probabilities: tuple[float, ...]
    vibrato_delay: Range
    drift: Range


@dataclass(frozen=True)
class Kind:
    """One kind of singer.

    Attributes:
        probability: how common it is.
        tract_scale: formants relative to an adult male's.
        tract_factor: range of a person's factor on `tract_scale`.
        centre: MIDI note number in the middle of the range.
        centre_offset: semitones, range of a person's distance from `centre`.
    """

    probability: float
    tract_scale: float
    tract_factor: Range
    centre: float
    centre_offset: Range


@dataclass(frozen=True)
class Voices:
    """Which singers there are; units as in `voice.Singer`.

    Attributes:
        kinds: by name.
        formant_offset: range of the personal factor of each formant.
        rd: range of Fant's Rd.
        breath: range of the decimal logarithm of the breath's amplitude.
        singers_formants: strengths to choose from, 0 to 1.
        formant_probabilities: of each strength.
        diction: range of the factor of consonant noise.
        languages: keys of `voice.LANGUAGES`.
        habits: how pitch moves.
    """

    kinds: Mapping[str, Kind]
    formant_offset: Range
    rd: Range
    breath: Range
    singers_formants: tuple[float, ...]
    formant_probabilities: tuple[float, ...]
    diction: Range
    languages: tuple[str, ...]
    habits: Habits


@dataclass(frozen=True)
class Scale:
    """A scale.

    Attributes:
        probability: how common it is.
        degrees: semitones of the seven degrees that chords are built on.
        melody: semitones of the notes that melodies use; empty for all degrees.
    """

    probability: float
    degrees: tuple[int, ...]
    melody: tuple[int, ...] = ()


@dataclass(frozen=True)
class Harmony:
    """Keys, chords and forms.

    Attributes:
        scales: by name.
        progressions: scale degrees (0 to 6), one a bar, repeated.
        forms: orders of sections.
    """

    scales: Mapping[str, Scale]
    progressions: tuple[tuple[int, ...], ...]
    forms: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class Instruments:
    """Who plays, and how.

    Attributes:
        note_makers: chord instruments, (MIDI note number, seconds, rng) -> samples.
        sustained: those that sound as long as they are held.
        strummed: those whose chords are spread from string to string.
        chord_patterns: sixteenths of a bar, as `band.CHORD_PATTERNS`.
        broken: key of `chord_patterns`, the rhythm of broken chords.
        drum_patterns: what `play_drums` knows.
        play_drums: as `band.drum_track`.
        play_bass: as `band.bass_track`.
        leads: families of lead instruments.
        draw_lead: as `band.draw_lead`.
        play_lead: as `band.play_lead`.
    """

    note_makers: Mapping[str, Callable[[float, float, np.random.Generator], np.ndarray]]
    sustained: frozenset[str]
    strummed: frozenset[str]
    chord_patterns: Mapping[str, str]
    broken: str
    drum_patterns: Mapping[str, Any]
    play_drums: Callable[..., np.ndarray]
    play_bass: Callable[..., np.ndarray]
    leads: tuple[str, ...]
    draw_lead: Callable[..., Any]
    play_lead: Callable[..., tuple[float, np.ndarray]]


@dataclass(frozen=True)
class Mix:
    """Rooms, filters and levels.

    Attributes:
        equaliser: dB, standard deviation of the random equalisers at each of seven points.
        tilt: dB per octave, range of the slope of the whole mix around 1 kHz; (0, 0) draws nothing.
        presence: dB, range of the lift of the voice around 4 kHz.
        decay_times: seconds to -60 dB, one or more ranges.
        wet: range of the decimal logarithm of the room's level relative to the direct sound.
        room_pole: 0 to 1, how dark rooms are.
        hiss: dB, range of the noise floor relative to the band, before mastering.
        loudness: of a song in LUFS, mean and standard deviation; none is more than 3 LU from the mean.
        compression: range of the amount, 0 leaves the dynamics, 1 removes them.
        drive: range of the gain into the saturation.
        section_span: dB, range of the difference between the softest and the fullest section.
    """

    equaliser: float
    tilt: Range
    presence: Range
    decay_times: tuple[Range, ...]
    wet: Range
    room_pole: float
    hiss: Range
    loudness: tuple[float, float]
    compression: Range
    drive: Range
    section_span: Range


@dataclass(frozen=True)
class World:
    """Everything in which one synthetic corpus differs from another.

    Attributes:
        name: of the corpus.
        entropy: numbers that enter every seed, so that worlds share no random stream; not all 0.
        genres: by name; song i has genre i modulo their number.
        voices: the singers.
        harmony: scales, chords and forms.
        instruments: the band.
        mix: rooms and levels.
    """

    name: str
    entropy: tuple[int, ...]
    genres: Mapping[str, Genre]
    voices: Voices
    harmony: Harmony
    instruments: Instruments
    mix: Mix
