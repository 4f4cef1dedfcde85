"""The percussion of `synthetic-b`: hand drums, brushes, drum machines and an orchestra's kettledrums.

Sources:
    - Fletcher & Rossing, "The Physics of Musical Instruments", 1998, chapters 18 to 20: modes of an ideal
      membrane 1 : 1.59 : 2.14 : 2.30 : 2.65, of kettledrums 1 : 1.5 : 1.98 : 2.44, of plates and bells.
    - Cook, "Physically informed sonic modeling (PhISM)", Computer Music Journal 21(3), 1997: shakers as many small
      collisions of random times.

Times in seconds, frequencies in Hz; all sounds at 22050 Hz.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from scipy import signal

from svdlib.songs.synthesis.band import STROKES, Bar, add, band_pass, decay, low_pass
from svdlib.songs.synthesis.notes_b import ring
from svdlib.songs.synthesis.voice import SAMPLE_RATE

MEMBRANE = np.array([1, 1.59, 2.14, 2.30, 2.65])
KETTLE = np.array([1, 1.5, 1.98, 2.44, 2.9])


def burst(rng: np.random.Generator, seconds: float, half_life: float, low: float, high: float) -> np.ndarray:
    """Noise of a band (Hz) that dies away."""
    return band_pass(rng.standard_normal(round(seconds * SAMPLE_RATE)), low, high) * decay(seconds, half_life)


def hand_drum(rng: np.random.Generator, low: float, high: float, half_life: float) -> np.ndarray:
    """A membrane hit by a hand: modes, upper ones dying sooner, and a slap of noise; its pitch lies in low to high."""
    modes = ring(rng.uniform(low, high), 0.4, MEMBRANE, [1, 0.5, 0.3, 0.2, 0.2], half_life / np.sqrt(MEMBRANE**3))
    modes[:900] += burst(rng, 900 / SAMPLE_RATE, 0.004, 800, 5000) * rng.uniform(0.2, 0.8)
    return modes


def box_slap(rng: np.random.Generator) -> np.ndarray:
    """The upper edge of a cajón: a short knock with the rattle of its snares."""
    return burst(rng, 0.2, 0.012, 300, 1200) + rng.uniform(0.3, 0.7) * burst(rng, 0.2, 0.03, 2500, 8000)


def shaker(rng: np.random.Generator) -> np.ndarray:
    """Seeds in a gourd: collisions at random times, their number rising and falling, each ringing in a narrow band."""
    n_samples = round(0.09 * SAMPLE_RATE)
    rate = np.hanning(n_samples) * 0.12
    hits = (rng.random(n_samples) < rate) * rng.standard_normal(n_samples)
    b, a = signal.iirpeak(rng.uniform(4500, 7500), 2.0, fs=SAMPLE_RATE)
    return 3 * signal.lfilter(b, a, hits)


def brush(rng: np.random.Generator) -> np.ndarray:
    """Wires swept over a drum's head: noise that swells and fades."""
    n_samples = round(0.16 * SAMPLE_RATE)
    return band_pass(rng.standard_normal(n_samples), 700, rng.uniform(4000, 7000)) * np.hanning(n_samples) ** 0.7


def ride(rng: np.random.Generator) -> np.ndarray:
    """A ride cymbal's ping: a few clear modes over a thin wash."""
    modes = ring(rng.uniform(2600, 3600), 0.8, [1, 1.34, 1.71, 2.22, 2.6], [0.6, 1, 0.7, 0.5, 0.4], np.full(5, 0.07))
    return modes + 0.35 * burst(rng, 0.8, 0.12, 5000, 10500)


def cowbell(rng: np.random.Generator) -> np.ndarray:
    """Two square waves a fifth apart, as drum machines have it, about 560 and 845 Hz."""
    time = np.arange(round(0.25 * SAMPLE_RATE)) / SAMPLE_RATE
    squares = (np.sign(np.sin(2 * np.pi * f * rng.uniform(0.9, 1.1) * time)) for f in (560, 845))
    return band_pass(sum(squares, start=np.zeros(len(time))), 500, 5000) * np.exp(-time / 0.05)


def wood(rng: np.random.Generator) -> np.ndarray:
    """Claves or the rim of a drum: one short mode near 2 kHz."""
    return ring(rng.uniform(1500, 2500), 0.08, [1, 2.7], [1, 0.3], [0.012, 0.005])


def clap(rng: np.random.Generator) -> np.ndarray:
    """Four bursts 10 ms apart, the last one ringing on."""
    sound = np.zeros(round(0.3 * SAMPLE_RATE))
    for k in range(4):
        add(sound, burst(rng, 0.2, 0.05 if k == 3 else 0.004, 900, 3500), 0.01 * k)
    return sound


def boom(rng: np.random.Generator) -> np.ndarray:
    """A drum machine's bass drum: a sine near 50 Hz that rings for half a second."""
    time = np.arange(round(0.6 * SAMPLE_RATE)) / SAMPLE_RATE
    pitch = rng.uniform(44, 60) * (1 + 1.2 * np.exp(-time / 0.012))
    return np.tanh(2 * np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE)) * np.exp(-time / rng.uniform(0.12, 0.25))


def metal_hat(rng: np.random.Generator) -> np.ndarray:
    """A drum machine's hi-hat: six square waves without common pitch, only their top kept."""
    time = np.arange(round(0.12 * SAMPLE_RATE)) / SAMPLE_RATE
    pitches = rng.uniform(0.9, 1.1) * np.array([263, 400, 421, 474, 587, 845])
    squares = (np.sign(np.sin(2 * np.pi * f * time)) for f in pitches)
    return band_pass(sum(squares, start=np.zeros(len(time))), 6500, 10500) * np.exp(-time / rng.uniform(0.012, 0.03))


def crack(rng: np.random.Generator) -> np.ndarray:
    """A sped-up snare, as in drum and bass: a high, short head and bright noise."""
    head = ring(rng.uniform(280, 360), 0.2, MEMBRANE, [1, 0.6, 0.4, 0.3, 0.2], np.full(5, 0.02))
    return head + 1.2 * burst(rng, 0.2, 0.03, 1500, 10000)


def kettledrum(rng: np.random.Generator) -> np.ndarray:
    """A kettledrum: nearly harmonic modes that ring for a second, hit with felt."""
    return low_pass(ring(rng.uniform(75, 125), 1.2, KETTLE, [1, 0.8, 0.5, 0.4, 0.2], [0.3, 0.3, 0.2, 0.15, 0.1]), 1200)


def tambourine(rng: np.random.Generator) -> np.ndarray:
    """Jingles: high modes struck together, and again a little later."""
    sound = np.zeros(round(0.2 * SAMPLE_RATE))
    for late in (0.0, rng.uniform(0.01, 0.03)):
        modes = ring(1.0, 0.15, rng.uniform(5000, 9400, 8), rng.uniform(0.3, 1, 8), np.full(8, 0.02))
        add(sound, modes, late)
    return sound


Kit = Mapping[str, Callable[[np.random.Generator], np.ndarray]]
Levels = Mapping[str, tuple[float, float]]
KIT: Kit = {
    "conga": lambda rng: hand_drum(rng, 170, 240, 0.06),
    "bongo": lambda rng: hand_drum(rng, 320, 460, 0.03),
    "surdo": lambda rng: hand_drum(rng, 60, 85, 0.1),
    "cajon": lambda rng: low_pass(hand_drum(rng, 75, 105, 0.05), 700),
    "box slap": box_slap, "shaker": shaker, "brush": brush, "ride": ride, "cowbell": cowbell, "wood": wood,
    "clap": clap, "boom": boom, "metal hat": metal_hat, "crack": crack, "kettledrum": kettledrum,
    "tambourine": tambourine,
}  # fmt: skip
LEVELS: Levels = {  # lowest and highest gain; 0.5 to 1 unless named
    "shaker": (0.15, 0.5), "brush": (0.2, 0.5), "ride": (0.1, 0.3), "metal hat": (0.1, 0.35), "wood": (0.15, 0.4),
    "cowbell": (0.1, 0.3), "tambourine": (0.1, 0.3), "boom": (0.8, 1.3),
}  # fmt: skip

DRUM_PATTERNS = {  # style: (instrument of `KIT`, strokes of one bar), sixteenths as in `band.DRUM_PATTERNS`
    "bossa": (("surdo", "o.....X.o.....X."), ("wood", "x..x..x...x..x.."), ("shaker", "XoxoXoxoXoxoXoxo")),
    "tumbao": (("conga", "o.o.X.o.o.o.x.xx"), ("bongo", "x.ooX.o.x.o.X.o."), ("cowbell", "X...x...X...x...")),
    "brushes": (("cajon", "o.......o......."), ("brush", "x...X...x...X..."), ("ride", "x...x..ox...x..o")),
    "train": (("cajon", "X.......x......."), ("brush", "ooooXoooooooXoox")),
    "cajon": (("cajon", "X.....x.x..x...."), ("box slap", "....X..o.o..X..o"), ("tambourine", "..x...x...x...x.")),
    "disco": (("boom", "X...x...X...x..."), ("clap", "....X.......X..."), ("metal hat", "o.x.o.xxo.x.o.xx"),
              ("tambourine", "xxxxxxxxxxxxxxxx")),
    "break": (("boom", "X.........X....."), ("crack", "....X..o.o..X..o"), ("metal hat", "x.xxx.x.x.xxx.x.")),
    "two-step": (("boom", "X.........x..o.."), ("crack", "....X.......X..."), ("shaker", "xoxoxoxoxoxoxoxo")),
    "march": (("kettledrum", "X.......x.....oo"), ("tambourine", "............x...")),
    "waltz": (("surdo", "X..........."), ("brush", "....x...x..."), ("tambourine", "....o...o...")),
    "waltz box": (("cajon", "X.........o."), ("box slap", "....o...x...")),
    "shuffle": (("cajon", "X.........x."), ("brush", "......X....."), ("ride", "x.o.o.x.o.o.")),
}  # fmt: skip


def percussion_track(
    bars: Sequence[Bar], style: str, n_samples: int, swing: float, rng: np.random.Generator
) -> np.ndarray:
    """Play a pattern of `DRUM_PATTERNS`: (n_samples,)."""
    return play_pattern(bars, DRUM_PATTERNS[style], (KIT, LEVELS), n_samples, swing, rng)


def play_pattern(
    bars: Sequence[Bar],
    pattern: Sequence[tuple[str, str]],
    drums: tuple[Kit, Levels],
    n_samples: int,
    swing: float,
    rng: np.random.Generator,
) -> np.ndarray:
    """Play a pattern with human levels and timing; some strokes are left out.

    Args:
        bars: where it is played.
        pattern: (instrument, strokes of one bar) pairs.
        drums: the instruments, and the lowest and highest gain of those that are not played at 0.5 to 1.
        n_samples: length.
        swing: delay of off-beats, in sixteenths.
        rng: source of randomness.

    Returns:
        (n_samples,).
    """
    track, (kit, levels) = np.zeros(n_samples), drums
    for name, strokes_of_bar in pattern:
        strokes = [kit[name](rng) for _ in range(3)]  # no two strokes of a hand are the same
        level, leaves_out = rng.uniform(*levels.get(name, (0.5, 1.0))), rng.uniform(0.0, 0.08)
        for bar in bars:
            for step, stroke in enumerate(strokes_of_bar):
                if stroke == "." or (stroke == "o" and bar.intensity < 0.35) or rng.random() < leaves_out:
                    continue
                gain = level * STROKES[stroke] * rng.uniform(0.7, 1.1)
                sound = strokes[int(rng.integers(len(strokes)))]
                add(track, sound, bar.step(step, swing) + rng.normal(0, 0.005), gain)
    return track
