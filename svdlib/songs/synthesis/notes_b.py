"""The chord and bass instruments of `synthetic-b`: plucked strings, struck bars and pans, reeds, brass, double bass.

Sources:
    - Fletcher & Rossing, "The Physics of Musical Instruments", 1998: the plucked string (chapter 2: harmonic
      k of a string plucked at the part p of its length has amplitude sin(k pi p) / k^2), its stiffness, tuned bars
      (chapter 19: marimba 1 : 3.9 : 9.2, vibraphone 1 : 4 : 10, free bar 1 : 2.76 : 5.40 : 8.93), steel pans (chapter
      20), the reeds of the accordion, the brightness of brass that grows with its loudness.
    - Le Brun, "Digital waveshaping synthesis", JAES 27(4), 1979: the electric reed piano.

Times in seconds, pitches in MIDI note numbers; all sounds at 22050 Hz. Half-lives are of amplitudes.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from svdlib.songs.synthesis.band import Bar, Instrument, band_pass, low_pass, pattern_notes
from svdlib.songs.synthesis.voice import SAMPLE_RATE, hertz, oscillate

HIGHEST_PARTIAL = 9500.0  # Hz


def ring(
    frequency: float,
    seconds: float,
    ratios: Iterable[float],
    amplitudes: Iterable[float],
    half_lives: Iterable[float],
) -> np.ndarray:
    """Add up modes that die away: partial m at `ratios[m] * frequency` Hz; (samples,)."""
    time = np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    out = np.zeros(len(time), np.float32)
    for ratio, amplitude, half_life in zip(ratios, amplitudes, half_lives, strict=True):
        if ratio * frequency < HIGHEST_PARTIAL:
            out += np.float32(amplitude) * np.sin(2 * np.pi * ratio * frequency * time) * 0.5 ** (time / half_life)
    return out


def plucked_modes(
    frequency: float, seconds: float, *, place: float, slope: float, stiffness: float, half_life: float, damping: float
) -> np.ndarray:
    """A plucked string as a sum of its modes.

    Args:
        frequency: Hz.
        seconds: length.
        place: plucking point, as a part of the string's length.
        slope: amplitudes fall as k to the minus `slope`: 1 for a quill, 2 and more for a fingertip.
        stiffness: inharmonicity B in f_k = k f sqrt(1 + B k^2).
        half_life: seconds of the first mode of a string of 200 Hz.
        damping: how much sooner mode k dies: half_life / (1 + damping * k).

    Returns:
        (samples,).
    """
    k = np.arange(1, 40)
    amplitudes = np.sin(np.pi * k * place) * k**-slope
    lives = half_life * (200 / frequency) ** 0.5 / (1 + damping * k)
    return ring(frequency, seconds, k * np.sqrt(1 + stiffness * k**2), amplitudes, lives)


def harp(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Gut strings plucked near the middle by fingertips, ringing long."""
    return plucked_modes(
        float(hertz(pitch)), seconds, place=rng.uniform(0.32, 0.46), slope=rng.uniform(1.5, 2.1), stiffness=0.00005,
        half_life=rng.uniform(0.5, 0.9), damping=0.15,
    )  # fmt: skip


def harpsichord(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Wire strings plucked by quills near their ends: two choirs, the second an octave higher, slightly mistuned."""
    frequency, quill = float(hertz(pitch)), {"slope": 0.9, "stiffness": 0.00002, "half_life": 0.45, "damping": 0.06}
    first = plucked_modes(frequency, seconds, place=rng.uniform(0.1, 0.16), **quill)
    octave = plucked_modes(2.002 * frequency, seconds, place=rng.uniform(0.12, 0.2), **quill)
    return first + rng.uniform(0.1, 0.5) * octave


def banjo(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Steel strings on a drum's head, which takes their energy quickly and rings between 400 Hz and 1.6 kHz."""
    string = plucked_modes(
        float(hertz(pitch)), seconds, place=rng.uniform(0.08, 0.2), slope=1.1, stiffness=0.0001,
        half_life=rng.uniform(0.1, 0.2), damping=0.12,
    )  # fmt: skip
    return 0.5 * string + 1.2 * band_pass(string, 400, 1600)


def pizzicato(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Bowed instruments plucked: dull and short, with the knock of the body."""
    string = plucked_modes(
        float(hertz(pitch)), seconds, place=rng.uniform(0.15, 0.3), slope=1.5, stiffness=0.0,
        half_life=rng.uniform(0.06, 0.13), damping=0.25,
    )  # fmt: skip
    knock = band_pass(rng.standard_normal(len(string)), 200, 600) * 0.5 ** (np.arange(len(string)) / 250)
    return string + 0.15 * knock


def struck_bar(
    pitch: float, seconds: float, ratios: Iterable[float], amplitudes: Iterable[float], half_lives: Sequence[float]
) -> np.ndarray:
    """A struck bar; half-lives hold at 260 Hz and shorten as pitches rise."""
    frequency = float(hertz(pitch))
    return ring(frequency, seconds, ratios, amplitudes, np.array(half_lives) * (260 / frequency) ** 0.5)


def vibraphone(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Metal bars tuned 1 : 4 : 10 over tubes that turning discs open and shut, here 5.5 times a second."""
    sound = struck_bar(pitch, seconds, (1, 4, 10), (1, rng.uniform(0.1, 0.3), 0.05), (1.5, 0.5, 0.1))
    return sound * (1 - 0.2 * (1 - np.cos(2 * np.pi * 5.5 * np.arange(len(sound)) / SAMPLE_RATE)))


def marimba(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Wooden bars tuned 1 : 3.92 : 9.24, short, with the mallet's thud."""
    sound = struck_bar(pitch, seconds, (1, 3.92, 9.24), (1, rng.uniform(0.15, 0.4), 0.15), (0.18, 0.05, 0.02))
    thud = rng.standard_normal(len(sound)) * 0.5 ** (np.arange(len(sound)) / 60)
    return sound + low_pass(0.3 * thud, 1500)


def celesta(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Free steel bars, 1 : 2.76 : 5.40 : 8.93, over boxes that strengthen the first mode."""
    amplitudes = (1, rng.uniform(0.1, 0.25), rng.uniform(0.05, 0.12), 0.03)
    return struck_bar(pitch, seconds, (1, 2.76, 5.40, 8.93), amplitudes, (0.6, 0.3, 0.12, 0.06))


def steel_pan(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Notes of an oil drum: harmonics tuned by hammer, whose octave swells after the stroke."""
    frequency = float(hertz(pitch))
    ratios = np.array([1, 2, 3, 4, 5.2, 6.1]) * (1 + rng.normal(0, 0.002, 6))
    sound = ring(frequency, seconds, ratios[:1], [1.0], [0.25])
    time = np.arange(len(sound)) / SAMPLE_RATE
    upper = ring(frequency, seconds, ratios[1:], rng.uniform(0.1, 0.9, 5) / (1, 2, 2, 4, 4), np.full(5, 0.18))
    return sound + upper * (1 - np.exp(-time / 0.02))


def reed_piano(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A hammered steel reed before a pick-up: its swing shaped by 1 / (1 - a x), so loud beginnings bark (Le Brun)."""
    frequency = float(hertz(pitch))
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    swing = np.sin(2 * np.pi * frequency * time) * np.exp(-time / 0.7)
    closeness = rng.uniform(0.45, 0.8)
    sound = low_pass(swing / (1 - closeness * swing), 4500)
    return sound * (1 + 0.25 * np.sin(2 * np.pi * 4.2 * time))


def accordion(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Two free reeds to a note, tuned 8 to 22 cents apart so that they beat, behind a 40 ms attack of the bellows."""
    n_samples = round(seconds * SAMPLE_RATE)
    k = np.arange(1, 40)
    spectrum = k**-0.9 * (1 + 0.5 * np.cos(k * rng.uniform(0.8, 1.6)))
    reeds = np.zeros(n_samples)
    for detuned in pitch + rng.uniform(0.04, 0.11) * np.array([-1, 1]):
        reeds += oscillate(np.full(n_samples, float(hertz(detuned))), spectrum, phase=rng.random())
    return low_pass(reeds, 5000) * np.clip(np.arange(n_samples) / (0.04 * SAMPLE_RATE), 0, 1)


def horns(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A brass section's stab: its spectrum opens in 60 ms and closes again, as the loudness does."""
    n_samples = round(seconds * SAMPLE_RATE)
    time, k = np.arange(n_samples) / SAMPLE_RATE, np.arange(1, 40)
    swell = (1 - np.exp(-time / rng.uniform(0.03, 0.06))) * (0.45 + 0.55 * np.exp(-time / 0.25))
    sound = np.zeros(n_samples)
    for detuned in pitch + rng.normal(0, 0.05, 2):
        tone = np.full(n_samples, float(hertz(detuned)))
        phase = rng.random()
        dark, bright = oscillate(tone, k**-2.2, phase=phase), oscillate(tone, k**-0.7 * np.exp(-k / 14), phase=phase)
        sound += dark + swell * (bright - dark)
    return sound * swell


NOTE_MAKERS = {
    "harp": harp, "harpsichord": harpsichord, "banjo": banjo, "pizzicato": pizzicato, "vibraphone": vibraphone,
    "marimba": marimba, "celesta": celesta, "steel pan": steel_pan, "reed piano": reed_piano, "accordion": accordion,
    "horns": horns,
}  # fmt: skip
SUSTAINED = frozenset({"accordion", "horns"})
STRUMMED = frozenset({"harp", "harpsichord", "banjo"})

CHORD_PATTERNS = {  # as `band.CHORD_PATTERNS`; those of 12 are for bars of three beats
    "bossa": "X--x--x---x--x-.",
    "charleston": "X--...x-........",
    "after-beats": "....x-......x-..",
    "gallop": "X.xxX.xxX.xxX.xx",
    "stabs": "X.....x.......x.",
    "tremolo": "xoxoxoxoxoxoxoxo",
    "long short": "X-----------x---",
    "rolling": "X-o-x-o-x-o-x-o-",
    "oom-pah-pah": "....x-..x-..",
    "six-eight": "X-o-o-x-o-o-",
    "dotted": "X-----------",
}


# ----------------------------------------------------------------------------------------------------------- bass


def double_bass(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A double bass plucked by a fingertip: one long, round note."""
    string = plucked_modes(
        float(hertz(pitch)), seconds, place=rng.uniform(0.18, 0.3), slope=1.4, stiffness=0.0001,
        half_life=rng.uniform(0.15, 0.3), damping=0.3,
    )  # fmt: skip
    return low_pass(string, 1800)


def beating_bass(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Two saws a quarter of a semitone apart behind a low-pass, as in drum and bass."""
    n_samples = round(seconds * SAMPLE_RATE)
    saw = 1 / np.arange(1, 40)
    saws = [oscillate(np.full(n_samples, float(hertz(pitch + d))), saw, phase=rng.random()) for d in (-0.12, 0.12)]
    sound = sum(saws, start=np.zeros(n_samples, np.float32))
    return low_pass(sound, rng.uniform(300, 900)) * np.clip(np.arange(n_samples) / 300, 0, 1)


BassLine = tuple[Callable[[float, float, np.random.Generator], np.ndarray], str, tuple[int, ...]]
BASS_LINES: dict[
    str, BassLine
] = {  # instrument, strokes, semitones above the root for each stroke in turn (0 root, 7 fifth, 12 octave)
    "bossa": (double_bass, "X-----x-x-----x-", (0, 7, 7, 0)),
    "waltz": (double_bass, "X---........", (0,)),
    "swing": (double_bass, "X---x---x---x---", (0, 4, 7, 9)),
    "country": (double_bass, "X---....x---....", (0, 7)),
    "disco": (beating_bass, "x-x-x-x-x-x-x-x-", (0, 12)),
    "drum and bass": (beating_bass, "X-----x-----x---", (0, 0, 7)),
    "blues": (double_bass, "X---x-x---x-", (0, 0, 7, 9)),
    "orchestral": (double_bass, "X-------x-------", (0, 0)),
}


def bass_line(bars: Sequence[Bar], n_samples: int, style: str, rng: np.random.Generator) -> np.ndarray:
    """A bass line in the manner of a genre of `BASS_LINES`: (n_samples,)."""
    return play_line(bars, n_samples, BASS_LINES[style], rng)


def play_line(bars: Sequence[Bar], n_samples: int, line: BassLine, rng: np.random.Generator) -> np.ndarray:
    """Play a bass line on the chords, roots, fifths and steps in between: (n_samples,)."""
    track = np.zeros(n_samples)
    if not bars:
        return track
    make, pattern, intervals = line
    instrument, low = Instrument(make, min(3.0, bars[0].duration), rng), int(rng.integers(28, 34))
    for bar in bars:
        root = low + (bar.root - low) % 12
        for count, (step, length, gain) in enumerate(pattern_notes(pattern)):
            interval = intervals[count % len(intervals)]
            interval = interval if interval in (0, 12) or rng.random() < 0.6 else int(rng.choice(bar.intervals[1:]))
            held = length * bar.duration / (4 * bar.beats)
            instrument.play(track, root + interval, bar.step(step), held, gain * rng.uniform(0.8, 1.1))
    return track
