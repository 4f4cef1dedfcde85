"""The lead instruments of `synthetic-c`, most of them such as are said to sing: bowed, blown and electronic ones.

They glide and tremble more than a singer does. Some have resonances where vowels have theirs. But those stand still, as
those of `leads_b` do; where a filter moves, as the synthesiser's does, it is a single one that opens and shuts.

Sources:
    - Fletcher & Rossing, "The Physics of Musical Instruments", 1998: bodies of the cello and conical reeds.
    - Yang, Chew & Rajab, "Vibrato performance style: a case study comparing erhu and violin", CMMR 2013: slides.
    - Stilson & Smith, "Analyzing the Moog VCF", ICMC 1996: the low-pass that resonates at its edge.

Times in seconds, pitches in MIDI note numbers, frequencies in Hz; all sounds at 22050 Hz.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from svdlib.songs.synthesis.band import band_pass, low_pass
from svdlib.songs.synthesis.leads_b import ResonantLead, bare_tone, resonate
from svdlib.songs.synthesis.voice import SAMPLE_RATE, TRACT_HOP, Gestures, Note, filter_by_tract
from svdlib.songs.synthesis.world import Range


@dataclass(frozen=True)
class SingingLead(ResonantLead):
    """A lead that imitates a singer.

    Attributes:
        breath: lowest and highest frequency of its noise.
        grace: probability that a note is ornamented by a short one from above.
        sweep: frequencies between which a resonant low-pass falls on every note, None for no such filter.
    """

    breath: Range = (300.0, 8000.0)
    grace: float = 0.0
    sweep: Range | None = None


LEADS = (
    "theremin", "musical saw", "cello", "soprano saxophone", "duduk", "erhu", "bansuri", "tin whistle", "chanter",
    "acid synth", "vowel synth", "slide guitar",
)  # fmt: skip
RESONANCES = {
    "theremin": ((900, 2.0, 0.5),),
    "cello": ((210, 4.0, 0.8), (480, 4.0, 1.5), (1050, 5.0, 1.2), (2200, 3.0, 1.2)),
    "soprano saxophone": ((1350, 2.5, 1.6), (3100, 3.0, 1.0)),
    "duduk": ((560, 3.0, 2.0), (1150, 4.0, 1.2), (2500, 3.0, 0.6)),
    "erhu": ((760, 5.0, 2.0), (1600, 5.0, 1.6), (3300, 4.0, 1.6)),
    "chanter": ((1250, 2.5, 1.5), (2700, 3.0, 1.5)),
    "vowel synth": ((620, 7.0, 4.0), (1700, 9.0, 3.0)),
    "slide guitar": ((350, 2.5, 0.5), (2300, 2.0, 0.8)),
}
NOISE = {"cello": 0.03, "soprano saxophone": 0.02, "duduk": 0.03, "erhu": 0.035, "bansuri": 0.12, "tin whistle": 0.05}
BREATHS: dict[str, Range] = {"bansuri": (900, 5500), "tin whistle": (2500, 9000), "duduk": (400, 3000)}
GRACES = {"tin whistle": 0.35, "chanter": 0.5, "bansuri": 0.15}
GLIDES = {"theremin": (0.12, 0.3), "musical saw": (0.1, 0.25), "erhu": (0.06, 0.18), "bansuri": (0.05, 0.15),
          "slide guitar": (0.1, 0.25)}  # fmt: skip
DECAYS = {"slide guitar": 0.9, "musical saw": 1.8, "acid synth": 0.35}
TONGUED = ("acid synth",)  # every note begins anew
TIED = ("theremin", "musical saw", "chanter")


def draw_spectrum(name: str, rng: np.random.Generator) -> np.ndarray:
    """Harmonics of a lead of a family in `LEADS`, before its body: (harmonics,)."""
    k = np.arange(1.0, 50.0)
    odd = k % 2
    spectra = {
        "theremin": k ** -rng.uniform(1.8, 2.6), "musical saw": (k == 1) + 0.03 * (k == 3), "cello": k**-1.0,
        "soprano saxophone": k**-0.7 * np.exp(-k / rng.uniform(7, 11)),
        "duduk": (odd + 0.5) * k**-1.0 * np.exp(-k / 10), "erhu": k**-0.8, "bansuri": k**-2.2 * (1 + 0.6 * (k == 2)),
        "tin whistle": k**-2.6, "chanter": k**-0.3 * np.exp(-k / rng.uniform(9, 14)), "acid synth": 1 / k,
        "vowel synth": 1 / k, "slide guitar": np.sin(np.pi * k * 0.22) * k**-1.0,
    }  # fmt: skip
    return spectra[name].astype(float)


def draw_lead(name: str, gestures: Gestures, rng: np.random.Generator) -> SingingLead:
    """Draw a lead instrument of a family in `LEADS`."""
    moved = rng.uniform(0.88, 1.12)  # no two bodies are the same
    tongued, tied = name in TONGUED, name in TIED
    if name in GLIDES:
        gestures = replace(gestures, glide=rng.uniform(*GLIDES[name]))
    if name in ("chanter", "tin whistle"):  # holes and fingers make no deep vibrato
        gestures = replace(gestures, vibrato_depth=0.3 * gestures.vibrato_depth, scoop=0.0)
    return SingingLead(
        spectrum=tuple(draw_spectrum(name, rng)),
        cutoff=rng.uniform(2500, 8000),
        noise=NOISE.get(name, 0.0) * rng.uniform(0.3, 1.5),
        attack=0.006 if tongued else rng.uniform(0.02, 0.1),
        legato=0.0 if tongued else 1.0 if tied else rng.uniform(0.3, 0.95),
        decay=DECAYS.get(name, np.inf),
        modulation=0.0,
        drive=rng.uniform(1.0, 3.0) if tongued else 0.0,
        gestures=gestures,
        resonances=tuple((moved * frequency, q, gain) for frequency, q, gain in RESONANCES.get(name, ())),
        beating=rng.uniform(0.04, 0.15) if name == "vowel synth" else 0.0,
        breath=BREATHS.get(name, (300.0, 8000.0)),
        grace=GRACES.get(name, 0.0),
        sweep=(rng.uniform(1500, 4500), rng.uniform(250, 600)) if tongued else None,
    )


def ornament(notes: Sequence[Note], probability: float, rng: np.random.Generator) -> list[Note]:
    """Put a note of 50 ms, two semitones higher, before some of those that last 0.15 s or more."""
    played = []
    for note in notes:
        if note.duration >= 0.15 and rng.random() < probability:
            played.append(replace(note, duration=0.05, pitch=note.pitch + 2))
            note = replace(note, start=note.start + 0.05, duration=note.duration - 0.05)
        played.append(note)
    return played


def sweep_down(tone: np.ndarray, notes: Sequence[Note], edges: Range) -> np.ndarray:
    """Pass a tone through a low-pass that resonates and falls between two frequencies on every note: (samples,)."""
    frames = len(tone) // TRACT_HOP + 1
    time = notes[0].start + np.arange(frames) * TRACT_HOP / SAMPLE_RATE
    onsets = np.array([note.start for note in notes])
    since = time - onsets[np.searchsorted(onsets, time, side="right").clip(1) - 1]
    edge = (edges[1] + (edges[0] - edges[1]) * np.exp(-since / 0.12))[:, None]
    return filter_by_tract(tone, edge, 0.15 * edge, np.full(frames, 0.2))


def play_lead(notes: Sequence[Note], lead: SingingLead, rng: np.random.Generator) -> tuple[float, np.ndarray]:
    """Play one phrase; arguments and result as of `band.play_lead`."""
    notes = ornament(notes, lead.grace, rng)
    tone, level, _ = bare_tone(notes, lead, rng)
    if lead.noise:
        tone += 3 * lead.noise * band_pass(rng.standard_normal(len(tone)), *lead.breath)
    if lead.sweep:
        tone = sweep_down(tone, notes, lead.sweep)
    tone = tone * level
    if lead.drive:
        tone = np.tanh(lead.drive * tone)
    return notes[0].start, low_pass(resonate(tone, lead), lead.cutoff)
