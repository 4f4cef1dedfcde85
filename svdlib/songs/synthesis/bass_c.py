"""The bass of `synthetic-c`: slapped, fuzzy and squelching ones, a sub bass, a tuba, a bowed bass, drones.

Sources:
    - Fletcher & Rossing, "The Physics of Musical Instruments", 1998: plucked and bowed strings, brass.
    - Stilson & Smith, "Analyzing the Moog VCF", ICMC 1996: the low-pass that resonates at its edge.

Times in seconds, pitches in MIDI note numbers; all sounds at 22050 Hz.
"""

from collections.abc import Sequence

import numpy as np

from svdlib.songs.synthesis.band import Bar, band_pass, low_pass
from svdlib.songs.synthesis.notes_b import BassLine, play_line
from svdlib.songs.synthesis.notes_c import K, jawari, knock, steady, times, two_stage
from svdlib.songs.synthesis.voice import SAMPLE_RATE, TRACT_HOP, filter_by_tract, hertz


def slap_bass(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A string thrown against the frets by the thumb: a clatter, then a round tone."""
    tone = np.full(round(seconds * SAMPLE_RATE), float(hertz(pitch)))
    string = two_stage(tone, (np.sin(np.pi * K * 0.2) * K**-0.3 * np.exp(-K / 20), K**-1.6), (0.02, 0.12))
    return string + 0.15 * knock(seconds, 0.004, 1500, 5000, rng)


def fuzz_bass(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A bass hit with a pick, through an amplifier that is too small."""
    string = steady(pitch, seconds, K**-1.1, rng.random()) * 0.5 ** (times(seconds) / 0.5)
    return low_pass(np.tanh(rng.uniform(3, 8) * string), rng.uniform(900, 2200))


def sub_bass(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A drum machine's bass drum, tuned and played as a bass: a saturated sine that falls by a third as it starts."""
    time = times(seconds)
    phase = np.cumsum(hertz(pitch + 4 * np.exp(-time / 0.02))) / SAMPLE_RATE
    return np.tanh(rng.uniform(1.0, 3.0) * np.sin(2 * np.pi * phase) * np.exp(-time / rng.uniform(0.4, 0.9)))


def squelch_bass(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A saw through a low-pass that resonates at its edge, which falls with every note."""
    saw = steady(pitch, seconds, K**-1.0, rng.random())
    frames = len(saw) // TRACT_HOP + 1
    edge = 180 + rng.uniform(500, 1800) * np.exp(-np.arange(frames) * TRACT_HOP / SAMPLE_RATE / rng.uniform(0.06, 0.2))
    sound = filter_by_tract(saw, edge[:, None], 0.25 * edge[:, None], np.full(frames, 0.2))
    return sound * np.clip(times(seconds) / 0.004, 0, 1)


def low_nylon(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """The thumb on a guitar's wound strings."""
    tone = np.full(round(seconds * SAMPLE_RATE), float(hertz(pitch)))
    string = two_stage(tone, (np.sin(np.pi * K * 0.17) * K**-0.9, K**-1.5), (0.03, 0.2))
    return band_pass(string, 60, 1500) + 0.1 * knock(seconds, 0.006, 150, 1500, rng)


def low_tanpura(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """The lowest string of a tanpura."""
    sound = jawari(float(hertz(pitch)), seconds, slope=1.0, fall=0.35, half_life=0.9, buzz=rng.uniform(0.2, 0.5))
    return low_pass(sound, 2500) * np.clip(times(seconds) / 0.02, 0, 1)


def tuba(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A tuba: few harmonics, more of them at the onset, and the breath behind it."""
    time = times(seconds)
    dark, bright = (steady(pitch, seconds, spectrum) for spectrum in (K**-1.8, np.exp(-K / 5)))
    swell = 1 - np.exp(-time / rng.uniform(0.02, 0.04))
    return low_pass((dark + 0.5 * bright * np.exp(-time / 0.2)) * swell, 1200)


def bowed_bass(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A double bass under the bow: a saw that needs a tenth of a second to speak, with the hair's noise."""
    time = times(seconds)
    noise = band_pass(rng.standard_normal(len(time)), 200, 1500)
    sound = steady(pitch + rng.normal(0, 0.02), seconds, K**-1.1, rng.random()) + 0.1 * noise
    return low_pass(sound, 1100) * (1 - np.exp(-time / 0.08))


BASS_LINES: dict[str, BassLine] = {  # as `notes_b.BASS_LINES`
    "soul": (slap_bass, "X..x--.xx-.x..x-", (0, 0, 12, 7, 0)),
    "punk": (fuzz_bass, "XxxxxxxxXxxxxxxx", (0, 0, 0, 0, 0, 0, 7, 0)),
    "trap": (sub_bass, "X-----x---..x---", (0, 0, 12)),
    "techno": (squelch_bass, "..x...xx..x..xx.", (0, 0, 12, 0, 7)),
    "flamenco": (low_nylon, "X---..x-..x-", (0, 7, 0)),
    "raga": (low_tanpura, "x-------X-------", (7, 0)),
    "celtic": (bowed_bass, "X-----------", (0,)),
    "balkan": (tuba, "X---........x---....x---....", (0, 7, 7)),
    "aria": (bowed_bass, "X-----------x---", (0, 7)),
}


def bass_line(bars: Sequence[Bar], n_samples: int, style: str, rng: np.random.Generator) -> np.ndarray:
    """A bass line in the manner of a genre of `BASS_LINES`: (n_samples,)."""
    return play_line(bars, n_samples, BASS_LINES[style], rng)
