"""The lead instruments of `synthetic-b`: reeds, a muted trumpet, plucked tremolo, a fiddle, two synthesisers.

Like those of `band` they play melodies drawn like the singer's, with a singer's gestures; but their resonances stand
still.

Sources:
    - Fletcher & Rossing, "The Physics of Musical Instruments", 1998: fixed resonances of double reeds near
      1.1 and 2.9 kHz, of the harmon mute near 1.8 kHz, of fiddles; free reeds; plucked strings.
    - Bode, "The multiplier-type ring modulator", Electronic Music Review 1, 1967.

Times in seconds, pitches in MIDI note numbers, frequencies in Hz; all sounds at 22050 Hz.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import signal

from svdlib.songs.synthesis.band import Lead, lead_envelope, low_pass
from svdlib.songs.synthesis.voice import (
    CONTROL_HOP,
    SAMPLE_RATE,
    Gestures,
    Note,
    hertz,
    oscillate,
    pitch_contour,
    to_samples,
)


@dataclass(frozen=True)
class ResonantLead(Lead):
    """A lead with a body.

    Attributes:
        resonances: (frequency in Hz, quality factor, gain) of each fixed resonance.
        beating: semitones between two reeds, 0 for one.
        ring: frequency of a ring modulator relative to the note's, 0 for none.
        tremolo: strokes a second on a held note, 0 for none.
    """

    resonances: tuple[tuple[float, float, float], ...] = ()
    beating: float = 0.0
    ring: float = 0.0
    tremolo: float = 0.0


LEADS = ("oboe", "harmonica", "muted trumpet", "mandolin", "fiddle", "ring synth", "hollow synth")
PLUCKED = ("mandolin",)
RESONANCES = {
    "oboe": ((1100, 2.5, 2.0), (2900, 3.0, 1.5)),
    "harmonica": ((1900, 1.5, 0.8),),
    "muted trumpet": ((1800, 2.0, 4.0), (3600, 3.0, 1.0)),
    "mandolin": ((420, 4.0, 0.6), (1500, 2.0, 0.5)),
    "fiddle": ((480, 5.0, 1.5), (1250, 6.0, 2.0), (2400, 4.0, 2.0)),
}


def draw_lead(name: str, gestures: Gestures, rng: np.random.Generator) -> ResonantLead:
    """Draw a lead instrument of a family in `LEADS`."""
    k = np.arange(1.0, 50.0)
    width = rng.uniform(0.1, 0.35)  # of a rectangular pulse, as a part of the period
    spectra = {
        "oboe": k**-0.4 * np.exp(-k / rng.uniform(7, 12)), "harmonica": k**-1.0 * (1 - 0.4 * (k % 2 == 0)),
        "muted trumpet": np.minimum(k, 4) * np.exp(-k / rng.uniform(5, 9)), "mandolin": np.sin(np.pi * k * 0.15) / k,
        "fiddle": k**-1.1, "ring synth": k**-2.0, "hollow synth": np.sin(np.pi * k * width) / k,
    }  # fmt: skip
    moved = rng.uniform(0.9, 1.1)  # no two bodies are the same
    plucked = name in PLUCKED
    return ResonantLead(
        spectrum=tuple(spectra[name]),
        cutoff=rng.uniform(2500, 8000),
        noise={"fiddle": 0.05, "oboe": 0.01, "harmonica": 0.03}.get(name, 0.0) * rng.uniform(0.3, 1.5),
        attack=0.004 if plucked else rng.uniform(0.015, 0.07),
        legato=0.0 if plucked else rng.uniform(0.2, 0.9),
        decay=np.inf,
        modulation=0.0,
        drive=0.0,
        gestures=gestures,
        resonances=tuple((moved * frequency, q, gain) for frequency, q, gain in RESONANCES.get(name, ())),
        beating=rng.uniform(0.03, 0.12) if name in ("harmonica", "hollow synth") else 0.0,
        ring=float(rng.choice([0.5, 1.5, 2.5, 1.414])) if name == "ring synth" else 0.0,
        tremolo=rng.uniform(8.0, 13.0) if plucked else 0.0,
    )


def play_lead(notes: Sequence[Note], lead: ResonantLead, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Play one phrase; arguments and result as of `band.play_lead`."""
    tone, level, frequency = bare_tone(notes, lead, rng)
    if lead.ring:
        tone *= 0.3 + np.sin(2 * np.pi * lead.ring * np.cumsum(frequency) / SAMPLE_RATE)
    if lead.tremolo:
        level = level * tremolo_strokes(notes, lead.tremolo, len(tone))
    tone = (tone + lead.noise * 3 * rng.standard_normal(len(tone))) * level
    return notes[0].start, low_pass(resonate(tone, lead), lead.cutoff)


def bare_tone(
    notes: Sequence[Note], lead: ResonantLead, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """What reeds or strings give to the body: the tone, its level and its frequency in Hz, (samples,) each."""
    start = notes[0].start
    n_samples = round((notes[-1].end - start + 0.1) * SAMPLE_RATE)
    n_controls = n_samples // CONTROL_HOP + 2
    level = to_samples(lead_envelope(notes, lead, start, n_controls), n_samples)
    frequency = to_samples(hertz(pitch_contour(notes, start, n_controls, lead.gestures, rng)), n_samples)
    tone = oscillate(frequency, np.array(lead.spectrum), phase=rng.random()).astype(float)
    if lead.beating:
        tone += oscillate(frequency * 2 ** (lead.beating / 12), np.array(lead.spectrum), phase=rng.random())
    return tone, level, frequency


def resonate(tone: np.ndarray, lead: ResonantLead) -> np.ndarray:
    """Add what a body's fixed resonances make of a tone: (samples,)."""
    sound = tone
    for frequency, quality, gain in lead.resonances:
        b, a = signal.iirpeak(frequency, quality, fs=SAMPLE_RATE)
        sound = sound + gain * signal.lfilter(b, a, tone)
    return sound


def tremolo_strokes(notes: Sequence[Note], rate: float, n_samples: int) -> np.ndarray:
    """Gain of a string that is plucked again and again, `rate` times a second from each note's onset: (samples,)."""
    gain = np.zeros(n_samples)
    for note in notes:
        first = round((note.start - notes[0].start) * SAMPLE_RATE)
        since = np.arange(n_samples - first) / SAMPLE_RATE
        phase = since * rate % 1.0
        gain[first:] = np.minimum(phase / 0.03, 1) * 0.5 ** (phase / (rate * 0.06))
    return gain
