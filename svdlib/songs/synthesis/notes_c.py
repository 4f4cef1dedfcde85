"""The chord instruments of `synthetic-c`: buzzing and hammered strings, tongues, bells, glass, reeds, string machines.

Most notes are band-limited wavetables between which they cross over: a bright one that dies soon and a dull one that
rings on, or the peaks that a curved bridge sends down through the harmonics.

Sources:
    - Fletcher & Rossing, "The Physics of Musical Instruments", 1998: clamped tongues 1 : 6.27 : 17.55 (chapter 2),
      tubular bells, of whose modes, those of a free bar, the ear takes the fourth, fifth and sixth, 81 : 121 : 169, for
      harmonics (chapter 19), strings hit by a hammer (chapter 12).
    - Rossing, "Acoustics of the glass harmonica", JASA 95(2), 1994: the rims of glasses, 1 : 2.32 : 4.25.
    - Raman, "On some Indian stringed instruments", Proc. Indian Assoc. Cultivation of Science 7, 1921: the bridge of
      sitar and tanpura, on which the string wraps and unwraps, so that high harmonics are fed from low ones.
    - Szabo, "How to emulate the Super Saw", KTH, 2010: seven saws, their spread and levels.

Times in seconds, pitches in MIDI note numbers; all sounds at 22050 Hz. Half-lives are of amplitudes.
"""

import numpy as np

from svdlib.songs.synthesis.band import band_pass, low_pass
from svdlib.songs.synthesis.notes_b import ring
from svdlib.songs.synthesis.voice import SAMPLE_RATE, hertz, oscillate

K = np.arange(1.0, 60.0)  # numbers of harmonics


def times(seconds: float) -> np.ndarray:
    """Second of every sample: (samples,)."""
    return np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE


def steady(pitch: float, seconds: float, spectrum: np.ndarray, phase: float = 0.0) -> np.ndarray:
    """A tone that stands still: (samples,)."""
    return oscillate(np.full(round(seconds * SAMPLE_RATE), float(hertz(pitch))), spectrum, phase=phase).astype(float)


def two_stage(
    frequency: np.ndarray, spectra: tuple[np.ndarray, np.ndarray], half_lives: tuple[float, float], phase: float = 0.0
) -> np.ndarray:
    """A string of two stages: what is bright dies within the first half-life, what is dull within the second.

    Args:
        frequency: (samples,) Hz.
        spectra: amplitudes of the harmonics of the bright and of the dull stage.
        half_lives: seconds, at 260 Hz; higher notes die sooner.
        phase: start, in cycles.

    Returns:
        (samples,).
    """
    time = np.arange(len(frequency)) / SAMPLE_RATE
    lives = np.array(half_lives) * (260 / frequency[-1]) ** 0.5
    bright, dull = (
        oscillate(frequency, spectrum, phase=phase) * 0.5 ** (time / life)
        for spectrum, life in zip(spectra, lives, strict=True)
    )
    return bright + dull


def knock(seconds: float, half_life: float, low: float, high: float, rng: np.random.Generator) -> np.ndarray:
    """The noise of a hammer or a finger: (samples,)."""
    time = times(seconds)
    return band_pass(rng.standard_normal(len(time)), low, high) * 0.5 ** (time / half_life)


def jawari(frequency: float, seconds: float, *, slope: float, fall: float, half_life: float, buzz: float) -> np.ndarray:
    """A string on a curved bridge (Raman): a peak of the spectrum falls from 5 kHz to below 1 kHz as the note rings.

    Args:
        frequency: Hz.
        seconds: length.
        slope: the string's own harmonics fall as k to the minus `slope`.
        fall: seconds that the peak takes from one octave to the next.
        half_life: seconds.
        buzz: level of the peak.

    Returns:
        (samples,).
    """
    time, tone = times(seconds), np.full(round(seconds * SAMPLE_RATE), frequency)
    sound = oscillate(tone, K**-slope).astype(float)
    for place, centre in enumerate((5000, 2600, 1400, 750)):
        peak = np.exp(-((np.log2(K * frequency / centre) / 0.45) ** 2)) * K**-0.3
        strength = np.exp(-((time / fall - place) ** 2))
        sound += buzz * strength * oscillate(tone, peak)
    return sound * 0.5 ** (time / half_life)


# ---------------------------------------------------------------------------------------------- plucked and struck


def sitar(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A sitar: the buzz of its bridge, and the strings below that ring along, faint and slightly late."""
    frequency = float(hertz(pitch))
    sound = jawari(frequency, seconds, slope=1.2, fall=rng.uniform(0.09, 0.18), half_life=0.5, buzz=rng.uniform(0.5, 1))
    along = steady(pitch + rng.normal(0, 0.03), seconds, K**-1.6) * (1 - np.exp(-times(seconds) / 0.15))
    return sound + 0.15 * along * 0.5 ** (times(seconds) / 0.9)


def tanpura(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """The drone behind a sitar: plucked softly, its harmonics coming one after the other."""
    fall = rng.uniform(0.25, 0.4)
    sound = jawari(float(hertz(pitch)), seconds, slope=1.6, fall=fall, half_life=1.2, buzz=rng.uniform(0.7, 1.2))
    return sound * np.clip(times(seconds) / 0.03, 0, 1)


def koto(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A koto: a plectrum near the bridge pulls the string sharp, and it settles within a tenth of a second."""
    bend = rng.uniform(0.1, 0.35) * np.exp(-times(seconds) / 0.04)
    spectra = (np.sin(np.pi * K * rng.uniform(0.06, 0.1)) * K**-0.6, K**-1.9)
    return two_stage(hertz(pitch + bend), spectra, (0.09, 0.45))


def dulcimer(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A hammered dulcimer: pairs of strings a few cents apart, hit by a wooden hammer at an eighth of their length."""
    sound = 0.2 * knock(seconds, 0.004, 1500, 6000, rng)
    spectra = (np.sin(np.pi * K / 8) * K**-0.8, np.sin(np.pi * K / 8) * K**-1.8)
    for detuned in pitch + rng.uniform(0.02, 0.06) * np.array([-1, 1]):
        tone = np.full(len(sound), float(hertz(detuned)))
        sound += 0.5 * two_stage(tone, spectra, (0.12, rng.uniform(0.5, 0.8)), rng.random())
    return sound


def clavinet(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A clavinet: a string struck against an anvil, heard by a pick-up that misses every seventh harmonic or so."""
    comb = np.abs(np.sin(np.pi * K * rng.uniform(0.13, 0.16)))
    tone = np.full(round(seconds * SAMPLE_RATE), float(hertz(pitch)))
    return two_stage(tone, (comb * K**-0.4 * np.exp(-K / 25), comb * K**-1.1), (0.07, 0.3))


def nylon_guitar(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A flamenco guitar: nails on nylon, a light body that answers near 110 and 230 Hz and takes the sound quickly."""
    place = np.sin(np.pi * K * rng.uniform(0.12, 0.25))
    tone = np.full(round(seconds * SAMPLE_RATE), float(hertz(pitch)))
    string = two_stage(tone, (place * K**-0.9, place * K**-2.0), (0.05, rng.uniform(0.18, 0.3)))
    return string + 0.6 * band_pass(string, 90, 260) + 0.15 * knock(seconds, 0.008, 150, 2500, rng)


def fuzz_guitar(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A guitar's fifth through a fuzz box that clips one side more than the other, and a small loudspeaker."""
    fifth = steady(pitch, seconds, K**-1.0, rng.random()) + steady(pitch + 7.02, seconds, K**-1.0, rng.random())
    driven = rng.uniform(2, 6) * fifth * 0.5 ** (times(seconds) / 0.7)
    return band_pass(np.tanh(driven + 0.4) - np.tanh(0.4), 80, rng.uniform(2800, 4500))


def kalimba(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A kalimba: clamped tongues, 1 : 6.27 : 17.55, on a box that thumps, with shells that buzz."""
    frequency = float(hertz(pitch))
    lives = np.array([0.35, 0.05, 0.02]) * (260 / frequency) ** 0.5
    sound = ring(frequency, seconds, (1, 6.27, 17.55), (1, rng.uniform(0.1, 0.25), 0.08), lives)
    rattle = 0.2 * knock(seconds, 0.05, 3000, 7000, rng) * np.maximum(sound, 0)
    return sound + rattle + 0.3 * knock(seconds, 0.01, 120, 400, rng)


def tubular_bells(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A tubular bell: the fourth to the ninth mode of a free bar."""
    ratios = np.array([9, 11, 13, 15, 17, 19]) ** 2 / 81 * (1 + rng.normal(0, 0.001, 6))
    amplitudes = np.array([0.7, 1, 0.9, 0.6, 0.3, 0.2]) * rng.uniform(0.7, 1.2, 6)
    return ring(float(hertz(pitch)), seconds, ratios, amplitudes, [1.5, 1.1, 0.8, 0.4, 0.2, 0.1])


def music_box(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A comb's teeth, plucked by pins: the first mode, its octave from the sounding board, and two high ones."""
    lives = np.array([0.5, 0.3, 0.06, 0.05]) * (400 / float(hertz(pitch))) ** 0.5
    modes = ring(float(hertz(pitch)), seconds, (1, 2.01, 5.95, 6.3), (1, rng.uniform(0.2, 0.5), 0.25, 0.15), lives)
    return modes + 0.1 * knock(seconds, 0.003, 3000, 9000, rng)


# ------------------------------------------------------------------------------------------------------ sustained


def glass(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Glasses whose rims are stroked: nearly sines, 1 : 2.32 : 4.25, that swell and tremble with the finger's turns."""
    time, frequency = times(seconds), float(hertz(pitch))
    sound = ring(frequency, seconds, (1, 2.32, 4.25), (1, rng.uniform(0.02, 0.08), 0.02), [50.0, 50.0, 50.0])
    tremor = 1 + 0.15 * np.sin(2 * np.pi * rng.uniform(2.0, 3.4) * time + rng.uniform(0, 6))
    return sound * tremor * (1 - np.exp(-time / rng.uniform(0.08, 0.2)))


def string_machine(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A string machine of the seventies: a divided-down saw heard through three delays that swing slowly and fast."""
    time = times(seconds)
    sound = np.zeros(len(time))
    for part in range(3):
        turn = 2 * np.pi * (part / 3 + rng.random() / 10)
        swing = 0.05 * np.sin(2 * np.pi * 0.6 * time + turn) + 0.02 * np.sin(2 * np.pi * 6.0 * time + turn)
        sound += oscillate(hertz(pitch + swing), K**-0.9, phase=rng.random())
    attack = 1 - np.exp(-time / rng.uniform(0.05, 0.15))
    return band_pass(sound, 150, rng.uniform(3000, 6000)) * attack


def bagpipe(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Drones of a bagpipe: single reeds in narrow bores, odd harmonics stronger, never louder or softer."""
    uneven = np.where(K % 2 == 1, 1.0, 0.5) * K**-0.45 * np.exp(-K / rng.uniform(12, 20))
    low = np.zeros(len(K))
    low[: len(K) // 2] = uneven[: len(K) // 2]
    below = steady(pitch - 12 + rng.normal(0, 0.015), seconds, low, rng.random())
    return steady(pitch + rng.normal(0, 0.015), seconds, uneven, rng.random()) + 0.7 * below


def harmonium(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A hand-pumped harmonium: two banks of reeds an octave apart, louder and softer with the bellows."""
    time = times(seconds)
    reeds = steady(pitch, seconds, K**-0.8 * np.exp(-K / 18), rng.random())
    reeds += rng.uniform(0.2, 0.6) * steady(pitch - 11.98, seconds, K**-0.7 * np.exp(-K / 22), rng.random())
    pump = 1 + 0.2 * np.sin(2 * np.pi * rng.uniform(0.5, 1.1) * time + rng.uniform(0, 6))
    return low_pass(reeds, 4200) * pump * np.clip(time / 0.06, 0, 1)


def supersaw(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Seven saws (Szabo), spread by up to 0.4 semitones, behind a low-pass."""
    spread = rng.uniform(0.1, 0.4) * np.array([-1, -0.57, -0.18, 0, 0.18, 0.57, 1])
    levels = np.array([0.5, 0.5, 0.5, 1, 0.5, 0.5, 0.5])
    saws = (g * steady(pitch + s, seconds, K**-1.0, rng.random()) for g, s in zip(levels, spread, strict=True))
    sound = low_pass(sum(saws, start=np.zeros(round(seconds * SAMPLE_RATE))), rng.uniform(1500, 7000))
    return sound * np.clip(times(seconds) / 0.01, 0, 1)


NOTE_MAKERS = {
    "sitar": sitar, "tanpura": tanpura, "koto": koto, "dulcimer": dulcimer, "clavinet": clavinet,
    "nylon guitar": nylon_guitar, "fuzz guitar": fuzz_guitar, "kalimba": kalimba, "tubular bells": tubular_bells,
    "music box": music_box, "glass": glass, "string machine": string_machine, "bagpipe": bagpipe,
    "harmonium": harmonium, "supersaw": supersaw,
}  # fmt: skip
SUSTAINED = frozenset({"glass", "string machine", "bagpipe", "harmonium", "supersaw"})
STRUMMED = frozenset({"nylon guitar", "koto", "tanpura", "fuzz guitar"})

CHORD_PATTERNS = {  # as `band.CHORD_PATTERNS`; those of 12 are for bars of three beats, those of 28 of seven
    "chop": "....X..o....X..o",
    "sixteenths": "x.xX..xXx.xX..xX",
    "downstrokes": "XxXxXxXxXxXxXxXx",
    "pushed": "X-----x-----x---",
    "pulse": "..X-..X-..X-..X-",
    "late": "...X--...x--.X--",
    "drone": "x-------------o-",
    "arco": "x-----------X---",
    "sighs": "....x-------o---",
    "tal": "X-----o---x-o---",
    "rasgueado": "X.xxX.xxXxxx",
    "buleria": "..X---X-x-X-",
    "jig": "X-x-o-X-x-o-",
    "vamp": "X-----x---o-",
    "after three": "....x---x---....x---....x---",
    "three two two": "X-----------x-------x-------",
    "ripple": "X-oxX-oxX-oxX-oxX-oxX-oxX-ox",
}
