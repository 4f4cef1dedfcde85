"""A parametric singer: a glottal source through five moving formants, with consonants and sung pitch gestures.

Sources:
    D. H. Klatt, "Software for a cascade/parallel formant synthesizer", JASA 67(3), 1980: resonators, consonant classes.
    G. Fant, J. Liljencrants & Q. Lin, "A four-parameter model of glottal flow", STL-QPSR 26(4), 1985: the LF pulse.
    G. Fant, "The LF-model revisited", STL-QPSR 36(2-3), 1995: its single shape parameter Rd.
    G. E. Peterson & H. L. Barney, "Control methods used in a study of the vowels", JASA 24(2), 1952: vowel formants.
    L. C. W. Pols, H. R. C. Tromp & R. Plomp, "Frequency analysis of Dutch vowels", JASA 53(4), 1973: measured vowels.
    J. Hillenbrand et al., "Acoustic characteristics of American English vowels", JASA 97(5), 1995: likewise.
    J. C. Catford, "A Practical Introduction to Phonetics", 1988: formants of the cardinal vowels.
    J. Sundberg, "The Science of the Singing Voice", 1987: vibrato, singer's formant, F1 tracking the pitch.

Times are in seconds, pitches in MIDI note numbers (semitones, 69 = 440 Hz), formants and bandwidths in Hz. Slow
controls are sampled every `CONTROL_HOP` samples.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import overload

import numpy as np
from scipy import ndimage, optimize, signal

from svdlib.songs.synthesis.world import Habits, Voices, draw_from

SAMPLE_RATE = 22050  # Hz; equal to svdlib.audio.mel_axis.SAMPLE_RATE, repeated so that rendering needs no torch
CONTROL_HOP = 64  # samples between two values of a control track (2.9 ms)
CONTROL_RATE = SAMPLE_RATE / CONTROL_HOP
SHORTEST_DRIFT = 0.5  # seconds of a phrase whose pitch drifts
TRACT_HOP = 256  # samples between two shapes of the vocal tract (11.6 ms)
# Formants above the fifth, Hz: fixed, but without them the cascade would fall off above 4 kHz (Klatt 1980).
UPPER_FORMANTS = np.array([5500.0, 6500.0, 7500.0, 8500.0])
TABLE_SIZE = 2048
TABLES_PER_OCTAVE = 3
LOWEST_TABLE = 40.0  # Hz

# First three formants of an adult male, Hz.
VOWELS = {
    "i": (280, 2250, 2900), "ɪ": (400, 1950, 2550), "e": (400, 2050, 2600), "ɛ": (550, 1800, 2500),
    "æ": (680, 1700, 2450), "a": (750, 1300, 2500), "ɑ": (700, 1100, 2500), "ʌ": (620, 1200, 2500),
    "ɔ": (560, 850, 2450), "o": (420, 800, 2400), "ʊ": (440, 1050, 2300), "u": (310, 850, 2300),
    "y": (270, 1850, 2200), "ø": (390, 1500, 2250), "œ": (530, 1450, 2350), "ə": (500, 1450, 2450),
    "ɯ": (310, 1350, 2300),
}  # fmt: skip
# The cardinal vowels by number (1 i, 2 e, 3 ɛ, 4 a, 5 ɑ, 6 ɔ, 7 o, 8 u, 9 y, 10 ø, 11 œ, 12 ɶ, 13 ɒ, 14 ʌ, 15 ɤ, 16 ɯ):
# F1 and F2 of Catford 1988, F3 ours. More extreme than the vowels above, and none of them is one of those.
VOWELS |= {
    "c1": (240, 2400, 3100), "c2": (390, 2300, 2850), "c3": (610, 1900, 2650), "c4": (850, 1610, 2600),
    "c5": (750, 940, 2600), "c6": (500, 700, 2550), "c7": (360, 640, 2500), "c8": (250, 595, 2400),
    "c9": (235, 2100, 2450), "c10": (370, 1900, 2400), "c11": (585, 1710, 2450), "c12": (820, 1530, 2500),
    "c13": (700, 760, 2550), "c14": (600, 1170, 2550), "c15": (460, 1310, 2500), "c16": (300, 1390, 2400),
}  # fmt: skip
# Vowels as men were measured saying them: after Pols, Tromp & Plomp 1973, and after Hillenbrand et al. 1995 those that
# have no name in the former. Less extreme than either of the tables above, and none of them is in those.
VOWELS |= {
    "m-i": (294, 2208, 2766), "m-ɪ": (388, 2003, 2571), "m-e": (407, 2017, 2553), "m-ɛ": (583, 1725, 2471),
    "m-a": (795, 1301, 2565), "m-ɑ": (679, 1051, 2619), "m-ɔ": (523, 866, 2692), "m-o": (487, 911, 2481),
    "m-u": (339, 810, 2323), "m-y": (305, 1730, 2208), "m-ø": (443, 1497, 2260), "m-ʏ": (438, 1498, 2354),
    "m-æ": (588, 1952, 2601), "m-ʌ": (623, 1200, 2550), "m-ʊ": (469, 1122, 2434), "m-ɝ": (474, 1379, 1710),
}  # fmt: skip


@dataclass(frozen=True)
class Consonant:
    """How one consonant is made (after Klatt 1980, Table II and III, simplified).

    Attributes:
        duration: seconds.
        formants: target of F1, F2, F3 in Hz, or None to keep those of the vowel.
        voicing: amplitude of the glottal source, 0 to 1.
        band: which of `NOISE_BANDS` colours its noise.
        noise: amplitude of that noise, 0 to 1.
        aspiration: amplitude of noise sent through the formants, 0 to 1.
        burst: True for a stop: closure first, then a short burst.
    """

    duration: float
    formants: tuple[float, float, float] | None = None
    voicing: float = 0.0
    band: str = "flat"
    noise: float = 0.0
    aspiration: float = 0.0
    burst: bool = False


NOISE_BANDS = {
    "s": (4500, 9500), "sh": (2000, 6000), "flat": (900, 9000), "k": (1200, 2800),
    "palatal": (2800, 5200), "uvular": (700, 1700),
}  # Hz  # fmt: skip
CONSONANTS = {
    "m": Consonant(0.07, (250, 1000, 2200), 0.35),
    "n": Consonant(0.06, (250, 1600, 2500), 0.35),
    "l": Consonant(0.06, (350, 1200, 2800), 0.6),
    "r": Consonant(0.06, (400, 1250, 1650), 0.6),
    "w": Consonant(0.06, (300, 700, 2200), 0.6),
    "j": Consonant(0.06, (280, 2200, 2900), 0.6),
    "s": Consonant(0.11, (300, 1700, 2500), 0.0, "s", 0.5),
    "z": Consonant(0.08, (300, 1700, 2500), 0.3, "s", 0.3),
    "sh": Consonant(0.11, (300, 1900, 2500), 0.0, "sh", 0.5),
    "f": Consonant(0.09, (300, 1000, 2200), 0.0, "flat", 0.16),
    "v": Consonant(0.06, (300, 1000, 2200), 0.35, "flat", 0.1),
    "h": Consonant(0.07, None, 0.0, aspiration=0.5),
    "p": Consonant(0.09, (300, 800, 2200), 0.0, "flat", 0.3, 0.3, True),
    "t": Consonant(0.08, (300, 1700, 2700), 0.0, "s", 0.5, 0.3, True),
    "k": Consonant(0.09, (300, 2000, 2300), 0.0, "k", 0.5, 0.3, True),
    "b": Consonant(0.06, (250, 800, 2200), 0.15, "flat", 0.15, 0.0, True),
    "d": Consonant(0.06, (250, 1700, 2700), 0.15, "s", 0.2, 0.0, True),
    "g": Consonant(0.06, (250, 2000, 2300), 0.15, "k", 0.25, 0.0, True),
}
COMMON_CONSONANTS = tuple(CONSONANTS)
CONSONANTS |= {
    "ng": Consonant(0.08, (250, 1900, 2200), 0.35),
    "lj": Consonant(0.07, (280, 2000, 2800), 0.6),
    "tap": Consonant(0.03, (350, 1500, 2500), 0.2),
    "x": Consonant(0.1, (350, 1400, 2300), 0.0, "k", 0.35, 0.2),
    "c": Consonant(0.1, (280, 2200, 2900), 0.0, "palatal", 0.4),
    "zh": Consonant(0.08, (300, 1900, 2500), 0.3, "sh", 0.3),
    "ts": Consonant(0.13, (300, 1700, 2600), 0.0, "s", 0.55, 0.0, True),
    "q": Consonant(0.08, (400, 1200, 2400), 0.0, "uvular", 0.45, 0.3, True),
}
CONSONANTS |= {
    "th": Consonant(0.1, (300, 1400, 2500), 0.0, "flat", 0.09, 0.05),
    "dh": Consonant(0.06, (300, 1400, 2500), 0.4, "flat", 0.06),
    "retroflex": Consonant(0.07, (350, 1500, 1900), 0.1, "sh", 0.3, 0.2, True),
    "bh": Consonant(0.1, (250, 800, 2200), 0.25, "flat", 0.15, 0.4, True),
    "kh": Consonant(0.12, (300, 2000, 2300), 0.0, "k", 0.5, 0.6, True),
    "uvular": Consonant(0.08, (400, 1150, 2400), 0.4, "uvular", 0.12),
    "ny": Consonant(0.08, (250, 2050, 2800), 0.35),
    "tsh": Consonant(0.12, (300, 1900, 2600), 0.0, "sh", 0.55, 0.0, True),
}


@dataclass(frozen=True)
class Language:
    """The sounds of a language; a sound that is named twice is twice as common.

    Attributes:
        vowels: keys of `VOWELS`.
        consonants: keys of `CONSONANTS`.
        glides: keys of `VOWELS`, where diphthongs end.
    """

    vowels: tuple[str, ...]
    consonants: tuple[str, ...] = COMMON_CONSONANTS
    glides: tuple[str, ...] = ("i", "u", "ə")


def cardinal(numbers: str, consonants: str) -> Language:
    """A language of the second corpus: cardinal vowels by number, gliding to 1 (i) and 8 (u)."""
    return Language(tuple(f"c{number}" for number in numbers.split()), tuple(consonants.split()), ("c1", "c8"))


def measured(vowels: str, consonants: str) -> Language:
    """A language of the third corpus: vowels as men were measured saying them, gliding to i, ʊ and ɑ."""
    return Language(tuple(f"m-{vowel}" for vowel in vowels.split()), tuple(consonants.split()), ("m-i", "m-ʊ", "m-ɑ"))


LANGUAGES = {
    "english": Language(tuple("iɪɛæɑɔʊuʌə")), "spanish": Language(tuple("aaeeioou")),
    "french": Language(tuple("aaeɛioɔuyøœə")), "german": Language(tuple("aaeɛɪioɔuʊyøə")),
    "italian": Language(tuple("aaeɛiooɔu")), "japanese": Language(tuple("aaeioɯ")),
    "portuguese": cardinal("4 4 3 2 1 6 7 8", "m n l tap j s z sh zh f v p t k b d g lj x"),
    "swedish": cardinal("4 5 3 2 1 7 8 9 10 11", "m n ng l r j s f v h p t k b d g c"),
    "hungarian": cardinal("13 13 4 3 2 1 7 8 9 10", "m n l tap j s z sh zh f v h p t k b d g ts c"),
    "turkish": cardinal("4 5 2 1 16 7 8 9 10", "m n l tap j s z sh zh f v h p t k b d g"),
    "mandarin": cardinal("4 4 15 15 1 8 9 3", "m n ng l w j s sh f x p t k ts"),
    "arabic": cardinal("4 4 12 1 8 5", "m n l tap w j s z sh f h x t k b d q"),
    "dutch": measured("a a ɑ ɛ e ɪ i ɔ o u y ø ʏ", "m n ng l uvular w j s z f v x h p t k b d"),
    "polish": measured("a a ɛ ɛ ɔ i u ɪ", "m n ny l r w j s z sh zh f v x p t k b d g ts tsh"),
    "greek": measured("a a ɛ i i ɔ u", "m n l r j s z f v x th dh p t k ts"),
    "korean": measured("a ʌ ɔ u ʊ i ɛ", "m n ng l tap w j s h tsh p t k kh b d g"),
    "hindi": measured("ʌ ʌ a a ɪ i ʊ u e ɔ", "m n l r v j s sh h p t k b d g bh kh retroflex tsh"),
    "finnish": measured("ɑ ɑ æ ɛ i i o u y ø", "m n l r j s h v p t k d"),
    "georgian": measured("a a ɛ ɛ i ɔ u", "m n l r s z sh zh v x q p t k b d g ts tsh kh"),
    "scots": measured("a ɑ e ɛ ɪ i ɔ o ʏ ʌ ɝ", "m n l r w j s z sh f v th dh x h p t k b d g"),
}  # fmt: skip


@dataclass(frozen=True)
class Syllable:
    """A consonant ("" for none), a vowel, and the vowel it drifts to (the same unless a diphthong)."""

    consonant: str
    vowel: str
    end_vowel: str


@dataclass(frozen=True)
class Note:
    """One note of a melody.

    Attributes:
        start: seconds from the start of the song to the beat, where the vowel begins.
        duration: seconds.
        pitch: MIDI note number.
        syllable: what is sung on it; None carries the previous vowel on (a melisma).
        loudness: dB relative to the phrase.
    """

    start: float
    duration: float
    pitch: float
    syllable: Syllable | None = None
    loudness: float = 0.0

    @property
    def end(self) -> float:
        """Second of the song at which the note ends."""
        return self.start + self.duration


@dataclass(frozen=True)
class Gestures:
    """How a melody's pitch moves, for singers and for instruments that imitate them.

    Attributes:
        glide: seconds from one pitch to the next.
        scoop: probability that a note starts from below.
        fall: probability that a note falls off at its end.
        arch: semitones, typical rise or sag in the middle of a note.
        vibrato_rate: Hz.
        vibrato_depth: semitones, half the peak-to-peak extent.
        vibrato_delay: seconds from the onset to full vibrato.
        drift: semitones of slow, random mistuning.
    """

    glide: float
    scoop: float
    fall: float
    arch: float
    vibrato_rate: float
    vibrato_depth: float
    vibrato_delay: float
    drift: float


@dataclass(frozen=True)
class Singer:
    """A voice: anatomy, habits and language.

    Attributes:
        tract_scale: formants relative to an adult male's (about 1.17 for women, 1.3 for children).
        formant_offsets: (5,) personal factor of each formant.
        centre: MIDI note number in the middle of the comfortable range.
        rd: Fant's Rd, from 0.5 (pressed) to 2.5 (breathy).
        breath: amplitude of breath noise relative to the voiced source.
        singers_formant: 0 to 1, how far F3 to F5 gather near 3 kHz.
        roughness: 0 to 1, depth of the fast irregular modulation of rough voices.
        diction: factor of all consonant noise.
        gestures: pitch habits.
        language: key of `LANGUAGES`.
    """

    tract_scale: float
    formant_offsets: tuple[float, ...]
    centre: float
    rd: float
    breath: float
    singers_formant: float
    roughness: float
    diction: float
    gestures: Gestures
    language: str


def draw_gestures(rng: np.random.Generator, habits: Habits) -> Gestures:
    """Draw the pitch habits of a singer or of a lead instrument."""
    hard_tuned = rng.random() < habits.hard_tuned
    return Gestures(
        glide=0.012 if hard_tuned else rng.uniform(*habits.glide),
        scoop=0.0 if hard_tuned else rng.uniform(*habits.scoop),
        fall=0.0 if hard_tuned else rng.uniform(*habits.fall),
        arch=0.0 if hard_tuned else rng.uniform(*habits.arch),
        vibrato_rate=draw_from(habits.vibrato_rates, rng),
        vibrato_depth=0.0 if hard_tuned else rng.choice(habits.vibrato_depths, p=habits.depth_probabilities),
        vibrato_delay=rng.uniform(*habits.vibrato_delay),
        drift=0.02 if hard_tuned else rng.uniform(*habits.drift),
    )


def draw_singer(rng: np.random.Generator, voices: Voices, *, roughness: float = 0.0) -> Singer:
    """Draw a singer.

    Args:
        rng: source of randomness.
        voices: which singers there are.
        roughness: 0 to 1, how rough the genre likes its voices.
    """
    kind = voices.kinds[str(rng.choice(list(voices.kinds), p=[kind.probability for kind in voices.kinds.values()]))]
    return Singer(
        tract_scale=kind.tract_scale * rng.uniform(*kind.tract_factor),
        formant_offsets=tuple(rng.uniform(*voices.formant_offset, 5)),
        centre=kind.centre + rng.uniform(*kind.centre_offset),
        rd=rng.uniform(*voices.rd),
        breath=10 ** rng.uniform(*voices.breath),
        singers_formant=rng.choice(voices.singers_formants, p=voices.formant_probabilities),
        roughness=roughness * rng.random(),
        diction=rng.uniform(*voices.diction),
        gestures=draw_gestures(rng, voices.habits),
        language=str(rng.choice(voices.languages)),
    )


def draw_syllable(rng: np.random.Generator, language: str) -> Syllable:
    """Draw a syllable with the sounds of a language; one in six has no consonant, one in six a diphthong."""
    sounds = LANGUAGES[language]
    vowel = str(rng.choice(sounds.vowels))
    consonant = "" if rng.random() < 0.16 else str(rng.choice(sounds.consonants))
    end_vowel = str(rng.choice(sounds.glides)) if rng.random() < 0.16 else vowel
    return Syllable(consonant, vowel, end_vowel)


@lru_cache(maxsize=64)
def glottal_spectrum(rd: float) -> np.ndarray:
    """Harmonics of the Liljencrants-Fant pulse (the derivative of glottal flow, so lip radiation is included).

    Args:
        rd: Fant's shape parameter, 0.4 (pressed) to 2.7 (breathy).

    Returns:
        complex (512,): amplitudes of harmonics 1, 2, ... at unit power.
    """
    return_phase = (-1 + 4.8 * rd) / 100
    skew = (22.4 + 11.8 * rd) / 100
    rise = skew / (4 * (0.11 * rd / (0.5 + 1.2 * skew) - return_phase))
    opening = 1 / (2 * rise)
    closing = min(opening * (1 + skew), 0.97)
    time = np.arange(TABLE_SIZE) / TABLE_SIZE
    is_open = time < closing
    rate = optimize.brentq(
        lambda e: e * return_phase - 1 + np.exp(-e * (1 - closing)), 0.05 / return_phase, 2 / return_phase
    )
    closed = -(np.exp(-rate * (time - closing)) - np.exp(-rate * (1 - closing))) / (rate * return_phase)

    def pulse(growth: float) -> np.ndarray:
        flow = np.exp(growth * (time - closing)) * np.sin(np.pi * time / opening) / np.sin(np.pi * closing / opening)
        return np.where(is_open, -flow, closed)

    growth = optimize.brentq(lambda a: pulse(a).sum(), -60, 120)
    harmonics = np.fft.rfft(pulse(growth))[1:513]
    return harmonics / np.sqrt(np.sum(np.abs(harmonics) ** 2))


def oscillate(frequency: np.ndarray, spectrum: np.ndarray, *, phase: float = 0.0) -> np.ndarray:
    """A periodic sound of any harmonic spectrum at a moving pitch, free of aliasing (band-limited wavetables).

    Args:
        frequency: (samples,) Hz.
        spectrum: complex or real (harmonics,) amplitude of harmonic 1, 2, ...
        phase: start, in cycles.

    Returns:
        float32 (samples,).
    """
    octaves = 8
    tops = LOWEST_TABLE * 2 ** (np.arange(1, octaves * TABLES_PER_OCTAVE + 1) / TABLES_PER_OCTAVE)
    harmonic = np.arange(1, len(spectrum) + 1)
    kept = np.where(harmonic * tops[:, None] < 0.47 * SAMPLE_RATE, spectrum, 0)
    coefficients = np.zeros((len(tops), TABLE_SIZE // 2 + 1), complex)
    coefficients[:, 1 : len(spectrum) + 1] = kept
    tables = np.fft.irfft(coefficients, axis=1) * (TABLE_SIZE / 2)
    tables = np.concatenate([tables, tables[:, :1]], axis=1).astype(np.float32)
    row = np.floor(TABLES_PER_OCTAVE * np.log2(np.maximum(frequency, LOWEST_TABLE) / LOWEST_TABLE)).astype(np.int32)
    row = np.minimum(row, len(tops) - 1)
    position = (phase + np.cumsum(frequency, dtype=np.float64) / SAMPLE_RATE) % 1.0 * TABLE_SIZE
    column = position.astype(np.int32)
    fraction = (position - column).astype(np.float32)
    index = row * (TABLE_SIZE + 1) + column
    flat = tables.ravel()
    left = flat[index]
    return left + fraction * (flat[index + 1] - left)


def to_samples(control: np.ndarray, n_samples: int) -> np.ndarray:
    """Interpolate a control track to the sample rate: (controls,) -> float64 (samples,)."""
    return np.interp(np.arange(n_samples) / CONTROL_HOP, np.arange(len(control)), control)


@overload
def hertz(pitch: float) -> float: ...


@overload
def hertz(pitch: np.ndarray) -> np.ndarray: ...


def hertz(pitch: np.ndarray | float) -> np.ndarray | float:
    """MIDI note number to Hz."""
    return 440.0 * 2.0 ** ((np.asarray(pitch) - 69.0) / 12.0)


def pitch_contour(
    notes: Sequence[Note], origin: float, n_controls: int, how: Gestures, rng: np.random.Generator
) -> np.ndarray:
    """The pitch of a phrase: steps joined by glides, with scoops, falls, vibrato and drift.

    Args:
        notes: the phrase.
        origin: second of the song at control 0.
        n_controls: length of the result.
        how: the gestures.
        rng: source of randomness.

    Returns:
        float64 (n_controls,) MIDI note numbers.
    """
    time = origin + np.arange(n_controls) / CONTROL_RATE
    pitch = np.full(n_controls, float(notes[0].pitch))
    bend = np.zeros(n_controls)
    vibrato = np.zeros(n_controls)
    for note in notes:
        first, last = np.searchsorted(time, [note.start, note.end])
        pitch[first:] = note.pitch
        since, left = time[first:last] - note.start, note.end - time[first:last]
        if rng.random() < how.scoop:
            bend[first:last] -= rng.uniform(0.7, 5.0) * np.exp(-since / rng.uniform(0.03, 0.12))
        if rng.random() < how.fall:
            bend[first:last] -= rng.uniform(0.7, 6.0) * np.clip(1 - left / rng.uniform(0.08, 0.25), 0, 1) ** 2
        bend[first:last] += rng.normal(0, how.arch) * np.sin(np.pi * np.clip(since / note.duration, 0, 1))
        swell = np.clip(since / how.vibrato_delay, 0, 1) ** 2
        rate = how.vibrato_rate * rng.uniform(0.94, 1.06) * (1 + 0.03 * since)
        depth = how.vibrato_depth * rng.uniform(0.6, 1.3)
        vibrato[first:last] = depth * swell * np.sin(2 * np.pi * (rate * since + rng.random()))
    glide = max(1, round(how.glide * CONTROL_RATE))
    pitch = ndimage.uniform_filter1d(ndimage.uniform_filter1d(pitch + bend, glide), max(1, glide // 2))
    wander = ndimage.gaussian_filter1d(rng.standard_normal(n_controls), 0.1 * CONTROL_RATE, mode="wrap")
    # In a phrase as short as the filter nothing but a constant is left of the noise, which would be blown up.
    wander *= how.drift / (wander.std() + 1e-9) if n_controls > SHORTEST_DRIFT * CONTROL_RATE else 0.0
    return pitch + ndimage.gaussian_filter1d(vibrato, 3) + wander


@dataclass
class Articulation:
    """Control tracks of a phrase: formants (controls, 5) in Hz; amplitudes (controls,), one noise track per band."""

    formants: np.ndarray
    voicing: np.ndarray
    aspiration: np.ndarray
    noise: dict[str, np.ndarray]


def consonant_times(notes: Sequence[Note], rng: np.random.Generator) -> list[float]:
    """Seconds that each note's consonant takes before the beat; at most 45 % of the note before it."""
    lengths, previous = [], None
    for note in notes:
        consonant = CONSONANTS.get(note.syllable.consonant) if note.syllable else None
        length = consonant.duration * rng.uniform(0.8, 1.4) if consonant else 0.0
        if previous is not None:
            length = min(length, 0.45 * previous.duration + max(0.0, note.start - previous.end))
        lengths.append(length)
        previous = note
    return lengths


def phrase_span(notes: Sequence[Note], lengths: Sequence[float]) -> tuple[float, float]:
    """First and last second of a sung phrase, consonants included."""
    return notes[0].start - lengths[0], notes[-1].end


def tract_targets(singer: Singer, vowel: tuple[float, float, float]) -> np.ndarray:
    """The five formants of this singer for a target of F1 to F3: (5,) Hz."""
    first, second, third = vowel
    trained = singer.singers_formant
    full = np.array([first, second, third, 3500 - 500 * trained, 4400 - 900 * trained], float)
    full[2] += trained * (2650 - full[2]) * 0.6
    return full * singer.tract_scale * np.array(singer.formant_offsets)


def articulate(
    notes: Sequence[Note],
    lengths: Sequence[float],
    singer: Singer,
    origin: float,
    n_controls: int,
    rng: np.random.Generator,
) -> Articulation:
    """Turn syllables into control tracks; neighbouring sounds blend because the tracks are smoothed at the end."""
    silence = np.zeros(n_controls)
    noise = {band: silence.copy() for band in NOISE_BANDS}
    tracks = Articulation(np.zeros((n_controls, 5)), silence.copy(), silence.copy(), noise)
    syllable = next((n.syllable for n in notes if n.syllable), Syllable("", "a", "a"))
    for note, length in zip(notes, lengths, strict=True):
        begin, first, last = (round((t - origin) * CONTROL_RATE) for t in (note.start - length, note.start, note.end))
        syllable = note.syllable or syllable
        start, end = (tract_targets(singer, VOWELS[v]) for v in (syllable.vowel, syllable.end_vowel))
        blend = np.clip(np.linspace(-1.2, 1, max(last - first, 0)), 0, 1)[:, None]
        tracks.formants[first:last] = start + blend * (end - start)
        level = 10 ** (note.loudness / 20)
        tracks.voicing[first:last] = level * note_shape(last - first, rng)
        if note.syllable and length > 0:
            add_consonant(tracks, CONSONANTS[syllable.consonant], singer, start, begin, first, level)
    return smooth(tracks, round((notes[-1].end - origin) * CONTROL_RATE))


def note_shape(count: int, rng: np.random.Generator) -> np.ndarray:
    """Loudness within a note, (count,) controls: a soft attack, then steady, fading or dying away."""
    progress = np.linspace(0, 1, max(count, 0))
    attack = 1 - rng.uniform(0.2, 0.8) * np.exp(-np.arange(len(progress)) / (rng.uniform(0.01, 0.05) * CONTROL_RATE))
    last_level = rng.uniform(0.05, 1.0)
    return attack * (1 - (1 - last_level) * progress ** rng.uniform(1.0, 4.0))


def add_consonant(
    tracks: Articulation, how: Consonant, singer: Singer, vowel: np.ndarray, begin: int, end: int, level: float
) -> None:
    """Write one consonant into the controls from `begin` to `end`, over the end of the note before."""
    count = end - begin
    tracks.formants[begin:end] = vowel if how.formants is None else tract_targets(singer, how.formants)
    tracks.voicing[begin:end] = how.voicing * level
    shape = np.ones(count)
    if how.burst:
        since = (np.arange(count) - 0.55 * count) / CONTROL_RATE
        shape = np.where(since < 0, 0.0, np.exp(-since / 0.012))
    tracks.noise[how.band][begin:end] = how.noise * shape * level * singer.diction
    tracks.aspiration[begin:end] = how.aspiration * (shape > 0) * level


def smooth(tracks: Articulation, end: int) -> Articulation:
    """Coarticulation: formants move over about 60 ms, amplitudes over about 15 ms; all sound ends at `end`."""
    empty = tracks.formants[:, 0] == 0
    if empty.any():  # carry the nearest shape into rests inside and around the phrase
        nearest = ndimage.distance_transform_edt(empty, return_distances=False, return_indices=True)[0]
        tracks.formants = tracks.formants[nearest]
    fade = np.clip((end - np.arange(len(empty))) / (0.03 * CONTROL_RATE), 0, 1)
    tracks.formants = ndimage.gaussian_filter1d(tracks.formants, 0.022 * CONTROL_RATE, axis=0, mode="nearest")
    tracks.voicing = ndimage.gaussian_filter1d(tracks.voicing, 0.006 * CONTROL_RATE, mode="constant") * fade
    tracks.aspiration = ndimage.gaussian_filter1d(tracks.aspiration, 0.004 * CONTROL_RATE, mode="constant") * fade
    tracks.noise = {k: ndimage.gaussian_filter1d(v, 0.9, mode="constant") * fade for k, v in tracks.noise.items()}
    return tracks


def filter_by_tract(source: np.ndarray, formants: np.ndarray, bandwidths: np.ndarray, tilt: np.ndarray) -> np.ndarray:
    """Pass a source through a moving cascade of resonators (Klatt 1980, eq. 2), frame by frame with overlap-add.

    Args:
        source: (samples,).
        formants: (frames, resonators) Hz, one row per `TRACT_HOP` samples.
        bandwidths: (frames, resonators) Hz.
        tilt: (frames,) 0 to 1, pole of an extra low-pass: quiet voices are dull.

    Returns:
        float64 (samples,).
    """
    frames = len(formants)
    radius = np.exp(-np.pi * bandwidths / SAMPLE_RATE)
    linear = -2 * radius * np.cos(2 * np.pi * np.minimum(formants, 0.47 * SAMPLE_RATE) / SAMPLE_RATE)
    polynomial = np.stack([np.ones(frames), -tilt], axis=1)
    gain = 1.0 - tilt
    for k in range(formants.shape[1]):
        section = np.stack([np.ones(frames), linear[:, k], radius[:, k] ** 2], axis=1)
        gain = gain * section.sum(axis=1)
        wide = np.zeros((frames, polynomial.shape[1] + 2))
        for power in range(3):
            wide[:, power : power + polynomial.shape[1]] += section[:, power : power + 1] * polynomial
        polynomial = wide
    response = gain[:, None] / np.fft.rfft(polynomial, 4 * TRACT_HOP, axis=1)
    padded = np.zeros((frames + 1) * TRACT_HOP)
    padded[TRACT_HOP : TRACT_HOP + len(source)] = source[: frames * TRACT_HOP]
    window = signal.windows.hann(2 * TRACT_HOP, sym=False)
    pieces = np.lib.stride_tricks.sliding_window_view(padded, 2 * TRACT_HOP)[::TRACT_HOP] * window
    filtered = np.fft.irfft(np.fft.rfft(pieces, 4 * TRACT_HOP, axis=1) * response, axis=1)
    blocks = filtered.reshape(frames, 4, TRACT_HOP)
    out = np.zeros((frames + 3, TRACT_HOP))
    for part in range(4):
        out[part : part + frames] += blocks[:, part]
    return out.ravel()[TRACT_HOP : TRACT_HOP + len(source)]


@lru_cache(maxsize=8)
def noise_filter(band: str) -> np.ndarray:
    """Second-order sections of the band-pass filter of a consonant noise."""
    return signal.butter(2, NOISE_BANDS[band], "bandpass", fs=SAMPLE_RATE, output="sos")


def glottal_source(
    frequency: np.ndarray, voicing: np.ndarray, singer: Singer, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The voiced source and the breath noise that the glottis modulates, both (samples,)."""
    n_samples = len(frequency)
    jitter = np.repeat(rng.standard_normal(n_samples // CONTROL_HOP + 1), CONTROL_HOP)[:n_samples]
    rd = float(np.round(np.clip(singer.rd + rng.normal(0, 0.15), 0.45, 2.3), 1))
    pulses = oscillate(frequency * (1 + 0.004 * jitter), glottal_spectrum(rd), phase=rng.random())
    if singer.roughness > 0.05:
        rumble = rng.standard_normal(n_samples // 256 + 2)
        rough = np.interp(np.arange(n_samples) / 256, np.arange(len(rumble)), rumble)
        pulses = pulses * (1 + singer.roughness * rough) + singer.roughness * 0.3 * rough
    noise = rng.standard_normal(n_samples)
    breath = noise * singer.breath * (0.6 + 0.4 * np.abs(pulses)) * (1 + 2 * singer.roughness)
    return pulses * voicing, breath * voicing


def even_out(voice: np.ndarray, amount: float) -> np.ndarray:
    """Compress a voice as mixers do, so that close vowels and consonants are not lost beside open vowels.

    Args:
        voice: (samples,).
        amount: 0 changes nothing, 1 makes every 20 ms equally loud.

    Returns:
        (samples,).
    """
    block = SAMPLE_RATE // 50
    power = np.mean(np.pad(voice, (0, -len(voice) % block)).reshape(-1, block) ** 2, axis=1)
    power = np.maximum(ndimage.gaussian_filter1d(power, 1.0), 0.003 * power.max() + 1e-12)
    gains = (power / power.max()) ** (-amount / 2)
    return voice * np.interp(np.arange(len(voice)) / block - 0.5, np.arange(len(gains)), gains)


def sing(notes: Sequence[Note], lengths: Sequence[float], singer: Singer, rng: np.random.Generator) -> np.ndarray:
    """Sing one phrase.

    Args:
        notes: the phrase, in order; pitches in MIDI note numbers.
        lengths: seconds of each note's consonant, from `consonant_times`.
        singer: who sings.
        rng: source of randomness.

    Returns:
        float64 samples at 22050 Hz, from the first consonant on; `phrase_span` says where they begin and end.
    """
    start, end = phrase_span(notes, lengths)
    n_samples = round((end - start + 0.03) * SAMPLE_RATE)
    n_controls = n_samples // CONTROL_HOP + 2
    tracks = articulate(notes, lengths, singer, start, n_controls, rng)
    pitch = pitch_contour(notes, start, n_controls, singer.gestures, rng)
    frequency = hertz(pitch)
    formants = tracks.formants * (1 + 0.01 * ndimage.gaussian_filter1d(rng.standard_normal((n_controls, 5)), 8, axis=0))
    formants[:, 0] = np.maximum(formants[:, 0], 1.03 * frequency)  # singers open the jaw when the pitch passes F1
    voicing = to_samples(tracks.voicing, n_samples)
    voiced, breath = glottal_source(to_samples(frequency, n_samples), voicing, singer, rng)
    aspiration = rng.standard_normal(n_samples) * to_samples(tracks.aspiration, n_samples) * 0.3
    frames = n_samples // TRACT_HOP + 1
    rows = np.minimum(np.arange(frames) * TRACT_HOP // CONTROL_HOP, n_controls - 1)
    bandwidths = np.array([70, 90, 130, 180, 250]) * (1 + formants[rows] / 8000)
    upper = np.tile(UPPER_FORMANTS * singer.tract_scale, (frames, 1))
    shapes, widths = np.hstack([formants[rows], upper]), np.hstack([bandwidths, np.full_like(upper, 450.0)])
    tilt = np.clip(0.6 - 0.5 * tracks.voicing[rows], 0.0, 0.6)
    voice = filter_by_tract(voiced + breath + aspiration, shapes, widths, tilt)
    for band, track in tracks.noise.items():
        if track.any():
            noise = signal.sosfilt(noise_filter(band), rng.standard_normal(n_samples))
            voice += noise * to_samples(track, n_samples) * 1.1
    voice = even_out(voice, rng.uniform(0.3, 0.7))
    # The microphone chain clips softly, which fills in high harmonics.
    drive = rng.uniform(0.3, 3.0) / np.abs(voice).max()
    ending = np.clip(((end - start) * SAMPLE_RATE - np.arange(n_samples)) / (0.02 * SAMPLE_RATE), 0, 1)
    return np.tanh(drive * (voice + 0.1 * np.abs(voice))) * ending  # resonances must not outlast the label
