"""The accompaniment: drums, bass, chords, and lead instruments with the gestures of a singer.

Lead instruments are the corpus's hard negatives: they play melodies drawn like the singer's, with the same glides,
scoops and vibrato, but no instrument here has moving formants or consonants.

Sources:
    K. Karplus & A. Strong, "Digital synthesis of plucked-string and drum timbres", Computer Music Journal 7(2), 1983.
    J. M. Chowning, "The synthesis of complex audio spectra by means of frequency modulation", JAES 21(7), 1973.
    N. H. Fletcher & T. D. Rossing, "The Physics of Musical Instruments", 1998: partials, inharmonicity, drums.

Times in seconds, pitches in MIDI note numbers, levels in dB; all sounds at 22050 Hz.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import signal

from svdlib.songs.synthesis.voice import (
    CONTROL_HOP,
    CONTROL_RATE,
    SAMPLE_RATE,
    Gestures,
    Note,
    hertz,
    oscillate,
    pitch_contour,
    to_samples,
)
from svdlib.songs.synthesis.world import Instruments


@dataclass(frozen=True)
class Bar:
    """One bar of the song.

    Attributes:
        start: seconds.
        duration: seconds.
        root: pitch class of the chord, 0 to 11.
        intervals: semitones above the root, in chord order.
        section: "intro", "verse", "chorus", "solo", "break" or "outro".
        intensity: 0 to 1, how much of the band plays.
        last: whether it ends its section (where drummers play a fill).
        beats: how many beats it has, of four sixteenths each.
    """

    start: float
    duration: float
    root: int
    intervals: tuple[int, ...]
    section: str
    intensity: float
    last: bool
    beats: int = 4

    def step(self, sixteenth: float, swing: float = 0.0) -> float:
        """Second at which a sixteenth falls, 4 to a beat; `swing` delays every second one, in sixteenths."""
        return self.start + (sixteenth + (swing if sixteenth % 2 == 1 else 0.0)) * self.duration / (4 * self.beats)


def add(track: np.ndarray, sound: np.ndarray, start: float, gain: float = 1.0) -> None:
    """Mix a sound into a track at a time in seconds, cutting what lies outside the track."""
    first = round(start * SAMPLE_RATE)
    skip = max(0, -first)
    stop = min(len(track), first + len(sound))
    if stop > first + skip:
        track[first + skip : stop] += gain * sound[skip : stop - first]


def decay(seconds: float, half_life: float) -> np.ndarray:
    """An exponential envelope: (samples,), halving every `half_life` seconds."""
    return 0.5 ** (np.arange(round(seconds * SAMPLE_RATE)) / (half_life * SAMPLE_RATE))


def band_pass(sound: np.ndarray, low: float, high: float) -> np.ndarray:
    """Second-order Butterworth band-pass (Hz)."""
    return signal.sosfilt(signal.butter(2, (low, min(high, 10800)), "bandpass", fs=SAMPLE_RATE, output="sos"), sound)


def low_pass(sound: np.ndarray, cutoff: float) -> np.ndarray:
    """Second-order Butterworth low-pass (Hz)."""
    return signal.sosfilt(signal.butter(2, min(cutoff, 10800), fs=SAMPLE_RATE, output="sos"), sound)


# ---------------------------------------------------------------------------------------------------------- drums

DRUM_PATTERNS = {  # sixteenths of one bar: X accent, x stroke, o soft stroke
    "rock": ("X...x...X.x.x...", "....X.......X...", "x.x.x.x.x.x.x.x."),
    "pop": ("X...X...X...X...", "....X.......X...", "x.x.x.x.x.x.x.x."),
    "metal": ("X.xxX.xxX.xxX.xx", "....X.......X...", "X...x...X...x..."),
    "funk": ("X..x..x...x..x..", "....X..o.o..X..o", "xxxxxxxxxxxxxxxx"),
    "reggae": ("........X.......", "........X.....o.", "x.xox.xox.xox.xo"),
    "hiphop": ("X......x..X.....", "....X.......X..o", "x.x.x.xxx.x.x.xx"),
    "electronic": ("X...X...X...X...", "....X.......X...", "..X...X...X...Xo"),
    "ballad": ("X.......x.......", "....x.......x...", "x...x...x...x..."),
    "latin": ("X..x..x.X..x..x.", "..x...x...x.x...", "x.xxx.xxx.xxx.xx"),
}
STROKES = {"X": 1.0, "x": 0.75, "o": 0.35}


def kick(rng: np.random.Generator) -> np.ndarray:
    """A sine falling from about 150 Hz to 50 Hz, with a click."""
    time = np.arange(round(0.35 * SAMPLE_RATE)) / SAMPLE_RATE
    low, fall = rng.uniform(42, 65), rng.uniform(0.012, 0.04)
    phase = 2 * np.pi * (low * time + rng.uniform(60, 160) * fall * (1 - np.exp(-time / fall)))
    click = rng.standard_normal(len(time)) * np.exp(-time / 0.004) * rng.uniform(0.1, 0.6)
    return np.sin(phase) * np.exp(-time / rng.uniform(0.06, 0.16)) + low_pass(click, 5000)


def snare(rng: np.random.Generator) -> np.ndarray:
    """Two drum modes and a burst of wires."""
    time = np.arange(round(0.3 * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = rng.uniform(160, 240)
    head = (np.sin(2 * np.pi * pitch * time) + 0.6 * np.sin(2 * np.pi * 1.6 * pitch * time)) * np.exp(-time / 0.05)
    wires = band_pass(rng.standard_normal(len(time)), rng.uniform(500, 1500), rng.uniform(6000, 10000))
    return 0.5 * head + rng.uniform(0.7, 1.4) * wires * np.exp(-time / rng.uniform(0.04, 0.1))


def cymbal(rng: np.random.Generator, half_life: float) -> np.ndarray:
    """Noise above some kHz mixed with a cluster of inharmonic partials."""
    seconds = min(8 * half_life, 2.0)
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    noise = band_pass(rng.standard_normal(len(time)), rng.uniform(2500, 6000), 10500)
    partials = sum(np.sin(2 * np.pi * f * time + rng.uniform(0, 6)) for f in rng.uniform(3000, 10000, 12))
    return (noise + 0.06 * partials) * decay(seconds, half_life)


def tom(rng: np.random.Generator, pitch: float) -> np.ndarray:
    """A falling sine with a little noise; `pitch` in Hz."""
    time = np.arange(round(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
    body = np.sin(2 * np.pi * pitch * (time + 0.02 * (1 - np.exp(-time / 0.04)))) * np.exp(-time / 0.12)
    return body + low_pass(0.2 * rng.standard_normal(len(time)) * np.exp(-time / 0.03), 3000)


def drum_track(bars: Sequence[Bar], style: str, n_samples: int, swing: float, rng: np.random.Generator) -> np.ndarray:
    """Play a pattern of `DRUM_PATTERNS` with human levels and timing, fills and crashes: (n_samples,)."""
    track = np.zeros(n_samples)
    kit = {"kick": kick(rng), "snare": snare(rng), "hat": cymbal(rng, rng.uniform(0.008, 0.035))}
    level = {"kick": rng.uniform(0.8, 1.3), "snare": rng.uniform(0.5, 1.0), "hat": rng.uniform(0.04, 0.28)}
    crash, toms = cymbal(rng, 0.3), [tom(rng, f) for f in rng.uniform(0.85, 1.15) * np.array([220, 160, 110])]
    for position, bar in enumerate(bars):
        fill = bar.last and rng.random() < 0.7
        for name, pattern in zip(kit, DRUM_PATTERNS[style], strict=True):
            for step, stroke in enumerate(pattern):
                if stroke == "." or (fill and step >= 12) or (name != "hat" and bar.intensity < 0.35):
                    continue
                gain = level[name] * STROKES[stroke] * rng.uniform(0.75, 1.1)
                add(track, kit[name], bar.step(step, swing) + rng.normal(0, 0.004), gain)
        if fill:
            for step in range(12, 16):
                add(track, toms[min(2, (step - 12) * 3 // 4)], bar.step(step), rng.uniform(0.4, 0.8))
        if position and bars[position - 1].last and bar.intensity > 0.5:
            add(track, crash, bar.start, rng.uniform(0.2, 0.5))
    return track


# ---------------------------------------------------------------------------------------------------- single notes


def pluck(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A plucked string (Karplus & Strong 1983), one period per step, read at the exact pitch by interpolation."""
    frequency = float(hertz(pitch))
    # Computed at twice the rate: the highs die more slowly, as a real string's do.
    period = max(8, round(2 * SAMPLE_RATE / frequency))
    rounds = int(seconds * frequency) + 2
    loss = 10 ** (-3 / (frequency * rng.uniform(2.0, 4.0)))
    wave = signal.lfilter([rng.uniform(0.3, 0.8)], [1, -rng.uniform(0.1, 0.5)], rng.uniform(-1, 1, period))
    place = max(1, round(period * rng.uniform(0.1, 0.3)))  # plucking point: a comb in the spectrum
    wave = wave - np.roll(wave, place)
    rows = np.empty((rounds, period))
    for row in range(rounds):
        rows[row] = wave
        wave = loss * 0.5 * (wave + np.roll(wave, 1))
    string = rows.ravel()
    times = np.arange(round(seconds * SAMPLE_RATE)) * (period * frequency / SAMPLE_RATE)
    return np.interp(times, np.arange(len(string)), string)


def struck(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A piano-like note: slightly stretched partials, high ones dying sooner, a soft hammer."""
    frequency = float(hertz(pitch))
    time = np.arange(round(seconds * SAMPLE_RATE), dtype=np.float32) / SAMPLE_RATE
    out = np.zeros(len(time), np.float32)
    for k in range(1, 15):
        partial = k * frequency * np.sqrt(1 + 0.0004 * k * k)
        if partial > 9500:
            break
        rate = (1.2 + 0.5 * k) * (frequency / 260) ** 0.5
        out += np.float32(k**-1.1 * rng.uniform(0.6, 1.2)) * np.sin(2 * np.pi * partial * time) * np.exp(-rate * time)
    hammer = rng.standard_normal(400) * np.hanning(400)
    out[:400] += low_pass(0.3 * hammer, 2500)
    return out


def electric_piano(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Frequency modulation with a decaying index (Chowning 1973)."""
    frequency = float(hertz(pitch))
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    index = rng.uniform(0.6, 1.8) * np.exp(-time / 0.4)
    tine = 0.1 * np.sin(2 * np.pi * 7.0 * frequency * time) * np.exp(-time / 0.08) if frequency < 1200 else 0.0
    phase = 2 * np.pi * frequency * time
    return (np.sin(phase + index * np.sin(phase)) + tine) * np.exp(-time / 0.9)


def organ(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Drawbars: harmonics 1, 2, 3, 4, 6, 8 and a sub-octave fifth, with a slow rotor tremolo."""
    n_samples = round(seconds * SAMPLE_RATE)
    spectrum = np.zeros(16)
    spectrum[[1, 3, 5, 7, 11, 15]] = rng.uniform(0.1, 1.0, 6) * np.array([1, 1, 0.8, 0.6, 0.4, 0.3])
    spectrum[2] = 0.3
    sound = oscillate(np.full(n_samples, float(hertz(pitch - 12))), spectrum)
    return sound * (1 + 0.1 * np.sin(2 * np.pi * 6.2 * np.arange(n_samples) / SAMPLE_RATE))


def ensemble(pitch: float, seconds: float, rng: np.random.Generator) -> np.ndarray:
    """A string section or synthesiser pad: three detuned saws behind a low-pass, with a slow attack."""
    n_samples = round(seconds * SAMPLE_RATE)
    saw = 1 / np.arange(1, 60)
    frequencies = hertz(pitch + rng.normal(0, 0.08, 3))
    saws = (oscillate(np.full(n_samples, f), saw, phase=rng.random()) for f in frequencies)
    sound = sum(saws, start=np.zeros(n_samples, np.float32))
    attack = np.clip(np.arange(n_samples) / (0.12 * SAMPLE_RATE), 0, 1)
    return low_pass(sound, rng.uniform(500, 2500)) * attack


NOTE_MAKERS = {"guitar": pluck, "piano": struck, "electric piano": electric_piano, "organ": organ, "strings": ensemble}
SUSTAINED = frozenset({"organ", "strings"})


class Instrument:
    """A chord instrument that renders each pitch once and cuts it to length."""

    def __init__(self, make: Callable[..., np.ndarray], seconds: float, rng: np.random.Generator) -> None:
        self.make, self.seconds, self.rng = make, seconds, rng
        self.notes: dict[int, np.ndarray] = {}

    def play(self, track: np.ndarray, pitch: int, start: float, duration: float, gain: float) -> None:
        """Mix one note into `track`; it is released over 40 ms."""
        if pitch not in self.notes:
            self.notes[pitch] = self.make(pitch, self.seconds, self.rng)
        sound = self.notes[pitch][: round((duration + 0.04) * SAMPLE_RATE)].copy()
        fade = min(len(sound), round(0.04 * SAMPLE_RATE))
        sound[len(sound) - fade :] *= np.linspace(1, 0, fade)
        add(track, sound, start, gain)


# ---------------------------------------------------------------------------------------------------------- parts


def voicing(bar: Bar, low: int) -> list[int]:
    """The chord's notes at or above the MIDI note `low`, each in its first octave there."""
    return sorted(low + (bar.root + interval - low) % 12 for interval in bar.intervals)


CHORD_PATTERNS = {  # sixteenths where the instrument plays; "-" holds
    "whole": "X---------------",
    "halves": "X-------x-------",
    "quarters": "X---x---x---x---",
    "eighths": "X-x-x-x-x-x-x-x-",
    "strum": "X---x-x---x-x-x-",
    "off-beat": "..X...x...X...x.",
    "skank": "....X.......X...",
    "syncopated": "X--x--x---x--x--",
}


def pattern_notes(pattern: str) -> list[tuple[int, int, float]]:
    """(sixteenth, length in sixteenths, gain) of every stroke of a pattern."""
    steps = [i for i, c in enumerate(pattern) if c in STROKES] + [len(pattern)]
    lengths = []
    for first, following in zip(steps, steps[1:], strict=False):
        held = next((i for i in range(first + 1, following) if pattern[i] != "-"), following)
        lengths.append((first, held - first, STROKES[pattern[first]]))
    return lengths


def chord_track(
    bars: Sequence[Bar],
    name: str,
    pattern: str,
    n_samples: int,
    swing: float,
    rng: np.random.Generator,
    known: Instruments | None = None,
) -> np.ndarray:
    """Chords on one of the `known` instruments (`INSTRUMENTS` if None), strummed or broken: (n_samples,)."""
    known = known or INSTRUMENTS
    track = np.zeros(n_samples)
    if not bars:
        return track
    sustained = name in known.sustained
    seconds = bars[0].duration if sustained else min(2.5, bars[0].duration)
    instrument = Instrument(known.note_makers[name], seconds, rng)
    low = int(rng.integers(48, 60))
    broken = rng.random() < 0.3 and not sustained
    strokes = pattern_notes(known.chord_patterns[known.broken if broken else pattern][: 4 * bars[0].beats])
    spread = rng.uniform(0.005, 0.02) if name in known.strummed else 0.002
    order = rng.permutation(8)
    for bar in bars:
        pitches = voicing(bar, low)
        pitches = [*pitches, pitches[0] + 12]
        for count, (step, length, gain) in enumerate(strokes):
            chosen = [pitches[order[count % 8] % len(pitches)]] if broken else pitches
            for string, pitch in enumerate(chosen):
                start = bar.step(step, swing) + string * spread + abs(rng.normal(0, 0.004))
                held = length * bar.duration / (4 * bar.beats)
                instrument.play(track, pitch, start, held, gain * rng.uniform(0.7, 1.1))
    return track


def power_chord_track(bars: Sequence[Bar], n_samples: int, rng: np.random.Generator) -> np.ndarray:
    """Distorted guitar: plucked fifths and octaves, summed, clipped, through a loudspeaker's band: (n_samples,)."""
    track = np.zeros(n_samples)
    if not bars:
        return track
    instrument = Instrument(pluck, bars[0].duration, rng)
    riff = rng.choice(["eighths", "whole", "syncopated", "quarters"])
    strokes = pattern_notes(CHORD_PATTERNS[str(riff)])
    drive, low = 10 ** rng.uniform(0.7, 2.0), int(rng.integers(38, 46))
    for bar in bars:
        root = low + (bar.root - low) % 12
        for step, length, gain in strokes:
            muted = 0.35 if riff == "eighths" and rng.random() < 0.5 else 1.0
            for pitch in (root, root + 7, root + 12):
                instrument.play(track, pitch, bar.step(step), muted * length * bar.duration / 16, gain)
    clipped = np.tanh(drive * track) + 0.3 * np.tanh(drive * (track + 0.05))
    return band_pass(clipped, 90, rng.uniform(2500, 6000))


def bass_track(bars: Sequence[Bar], n_samples: int, style: str, rng: np.random.Generator) -> np.ndarray:
    """A bass line on chord notes; one oscillator through a low-pass, re-articulated at each note: (n_samples,)."""
    frequency, level = np.full(n_samples, 55.0), np.zeros(n_samples)
    busy = {"ballad": "halves", "metal": "eighths", "rock": "eighths", "hiphop": "syncopated"}.get(style, "syncopated")
    strokes = pattern_notes(CHORD_PATTERNS[str(rng.choice([busy, "quarters", "eighths"]))])
    low, half_life = int(rng.integers(28, 34)), rng.uniform(0.15, 0.8)
    for bar in bars:
        root = low + (bar.root - low) % 12
        for step, length, gain in strokes:
            pitch = root + (0 if step == 0 or rng.random() < 0.65 else int(rng.choice(bar.intervals[1:])))
            first = round(bar.step(step) * SAMPLE_RATE)
            envelope = decay(0.92 * length * bar.duration / 16, half_life)[: max(0, n_samples - first)]
            attack = min(len(envelope), 120)
            envelope[:attack] *= np.linspace(0, 1, attack)
            envelope[len(envelope) - attack :] *= np.linspace(1, 0, attack)
            frequency[first : first + len(envelope)] = hertz(pitch)
            level[first : first + len(envelope)] = gain * envelope
    spectrum = np.arange(1.0, 25.0) ** -rng.uniform(0.9, 2.0)
    sound = oscillate(frequency, spectrum) * level
    return low_pass(np.tanh(rng.uniform(0.5, 2.5) * sound), rng.uniform(500, 2500))


# ---------------------------------------------------------------------------------------------------------- leads


@dataclass(frozen=True)
class Lead:
    """A melody instrument.

    Attributes:
        spectrum: (harmonics,) amplitudes.
        cutoff: Hz of its low-pass.
        noise: amplitude of breath or bow noise relative to the tone.
        attack: seconds.
        legato: 0 (every note tongued) to 1 (tied).
        decay: seconds to half the level while a note is held; infinite for bowed and blown ones.
        modulation: FM index, 0 for none.
        drive: gain into a soft clipper, 0 for none.
        gestures: pitch habits, as a singer's.
    """

    spectrum: tuple[float, ...]
    cutoff: float
    noise: float
    attack: float
    legato: float
    decay: float
    modulation: float
    drive: float
    gestures: Gestures


LEADS = ("saw", "square", "fm", "flute", "violin", "clarinet", "brass", "guitar", "sine")


def draw_lead(name: str, gestures: Gestures, rng: np.random.Generator) -> Lead:
    """Draw a lead instrument of a family in `LEADS`."""
    k = np.arange(1.0, 50.0)
    odd = k % 2
    body = 1 + 0.8 * np.cos(np.arange(49) * rng.uniform(0.7, 1.8) + rng.uniform(0, 6))  # fixed ripples of a wooden body
    spectra = {
        "saw": 1 / k, "square": odd / k, "fm": (k == 1) * 1.0, "flute": k ** -rng.uniform(2.2, 3.2),
        "violin": body / k, "clarinet": (odd + 0.1) * k**-1.3, "brass": k**-0.8 * np.exp(-k / rng.uniform(5, 12)),
        "guitar": k**-1.2, "sine": (k == 1) + 0.05 * (k == 2),
    }  # fmt: skip
    return Lead(
        spectrum=tuple(spectra[name]),
        cutoff=rng.uniform(1800, 9000),
        noise={"flute": 0.08, "violin": 0.04, "brass": 0.02, "clarinet": 0.02}.get(name, 0.0) * rng.uniform(0.3, 1.5),
        attack=rng.uniform(0.008, 0.03) if name in ("guitar", "fm", "square") else rng.uniform(0.02, 0.09),
        legato=rng.uniform(0.2, 1.0),
        decay=rng.uniform(0.4, 1.5) if name in ("guitar", "fm") else np.inf,
        modulation=rng.uniform(0.5, 4.0) if name == "fm" else 0.0,
        drive=10 ** rng.uniform(0.3, 1.5) if name == "guitar" else 0.0,
        gestures=gestures,
    )


def lead_envelope(notes: Sequence[Note], lead: Lead, origin: float, n_controls: int) -> np.ndarray:
    """Loudness of a lead phrase: (n_controls,)."""
    level = np.zeros(n_controls)
    time = origin + np.arange(n_controls) / CONTROL_RATE
    for note in notes:
        first, last = np.searchsorted(time, [note.start, note.end])
        since, left = time[first:last] - note.start, note.end - time[first:last]
        dip = 1 - lead.legato
        shape = dip * np.clip(since / lead.attack, 0, 1) * np.clip(left / 0.04, 0, 1) + lead.legato
        level[first:last] = 10 ** (note.loudness / 20) * shape * 0.5 ** (since / lead.decay)
    width = max(2, round(0.012 * CONTROL_RATE))
    return np.convolve(level, np.hanning(width + 2)[1:-1] / np.hanning(width + 2).sum(), mode="same")


def play_lead(notes: Sequence[Note], lead: Lead, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Play one phrase on a lead instrument.

    Args:
        notes: the phrase, in order.
        lead: the instrument.
        rng: source of randomness.

    Returns:
        start in seconds and float64 samples at 22050 Hz.
    """
    start = notes[0].start
    n_samples = round((notes[-1].end - start + 0.1) * SAMPLE_RATE)
    n_controls = n_samples // CONTROL_HOP + 2
    level = to_samples(lead_envelope(notes, lead, start, n_controls), n_samples)
    frequency = to_samples(hertz(pitch_contour(notes, start, n_controls, lead.gestures, rng)), n_samples)
    if lead.modulation:
        phase = 2 * np.pi * np.cumsum(frequency) / SAMPLE_RATE
        tone = np.sin(phase + lead.modulation * level * np.sin(phase * 2))
    else:
        tone = oscillate(frequency, np.array(lead.spectrum), phase=rng.random()).astype(float)
    tone = (tone + lead.noise * 3 * rng.standard_normal(n_samples)) * level
    if lead.drive:
        tone = np.tanh(lead.drive * tone)
    return start, low_pass(tone, lead.cutoff)


INSTRUMENTS = Instruments(
    note_makers=NOTE_MAKERS,
    sustained=SUSTAINED,
    strummed=frozenset({"guitar"}),
    chord_patterns=CHORD_PATTERNS,
    broken="eighths",
    drum_patterns=DRUM_PATTERNS,
    play_drums=drum_track,
    play_bass=bass_track,
    leads=LEADS,
    draw_lead=draw_lead,
    play_lead=play_lead,
)
