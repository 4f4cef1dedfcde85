"""The percussion of `synthetic-c`: hand drums of several continents, a garage's and a parade's drums, machines.

Sources:
    - Raman, "The Indian musical drums", Proc. Indian Acad. Sciences A 1, 1934: the loaded membrane of the tabla, whose
      modes are harmonics.
    - Fletcher & Rossing, "The Physics of Musical Instruments", 1998, chapters 18 to 20: membranes, pots, small
      cymbals.

Times in seconds, frequencies in Hz; all sounds at 22050 Hz.
"""

from collections.abc import Sequence

import numpy as np

from svdlib.songs.synthesis.band import Bar, add, band_pass, decay, low_pass
from svdlib.songs.synthesis.notes_b import ring
from svdlib.songs.synthesis.notes_c import times
from svdlib.songs.synthesis.percussion_b import MEMBRANE, Kit, Levels, burst, play_pattern
from svdlib.songs.synthesis.voice import SAMPLE_RATE


def swept(seconds: float, pitch: np.ndarray, fall: float) -> np.ndarray:
    """A sine along a pitch (samples,) in Hz that dies away by 1 / e in `fall` seconds."""
    return np.sin(2 * np.pi * np.cumsum(pitch) / SAMPLE_RATE) * np.exp(-times(seconds) / fall)


# ------------------------------------------------------------------------------------------------------ hand drums


def tabla(rng: np.random.Generator, first: float, half_life: float) -> np.ndarray:
    """The right drum of a tabla: five harmonics (Raman), the first of them strong or damped by the ring finger."""
    amplitudes = np.array([first, 1, 0.7, 0.4, 0.25]) * rng.uniform(0.7, 1.2, 5)
    modes = ring(rng.uniform(270, 320), 0.5, (1, 2.01, 3.0, 4.02, 5.05), amplitudes, half_life / np.arange(1, 6) ** 0.4)
    modes[:600] += 0.4 * burst(rng, 600 / SAMPLE_RATE, 0.003, 1500, 7000)
    return modes


def bayan(rng: np.random.Generator) -> np.ndarray:
    """The left drum: the heel of the hand slides and the pitch rises."""
    time = times(0.5)
    pitch = rng.uniform(65, 85) * (1 + rng.uniform(0.2, 0.7) * (1 - np.exp(-time / 0.09)))
    return swept(0.5, pitch, 0.14) + 0.2 * burst(rng, 0.5, 0.005, 300, 2000)


def djembe_bass(rng: np.random.Generator) -> np.ndarray:
    """The palm in the middle: the goblet's air, as of a bottle."""
    return swept(0.35, np.full(round(0.35 * SAMPLE_RATE), rng.uniform(72, 90)), 0.07) + 0.2 * burst(
        rng, 0.35, 0.004, 200, 1200
    )


def djembe_slap(rng: np.random.Generator) -> np.ndarray:
    """The fingers at the edge: high modes and little of the first."""
    modes = ring(rng.uniform(330, 420), 0.25, MEMBRANE, (0.3, 0.7, 1, 0.9, 0.8), np.full(5, 0.025))
    return modes + 0.7 * burst(rng, 0.25, 0.008, 1200, 6500)


def taiko(rng: np.random.Generator) -> np.ndarray:
    """A barrel drum of a man's height, hit by a thick stick."""
    pitch = rng.uniform(52, 70) * (1 + 0.25 * np.exp(-times(1.0) / 0.03))
    upper = ring(rng.uniform(95, 120), 1.0, (1, 1.4, 1.9), (0.5, 0.3, 0.2), (0.12, 0.08, 0.05))
    return swept(1.0, pitch, 0.25) + upper + 0.4 * burst(rng, 1.0, 0.008, 300, 2500)


def taiko_rim(rng: np.random.Generator) -> np.ndarray:
    """The stick on the barrel's rim."""
    return ring(rng.uniform(820, 1050), 0.12, (1, 1.7, 2.9), (1, 0.6, 0.4), (0.015, 0.01, 0.006))


def frame_drum(rng: np.random.Generator) -> np.ndarray:
    """A bodhrán: a shallow frame, the head damped by the other hand, and the tip of a stick."""
    modes = ring(rng.uniform(88, 125), 0.3, MEMBRANE, (1, 0.6, 0.35, 0.25, 0.2), 0.06 / np.sqrt(MEMBRANE))
    return modes + rng.uniform(0.2, 0.4) * burst(rng, 0.3, 0.006, 900, 4500)


def stick_tip(rng: np.random.Generator) -> np.ndarray:
    """The thin stick of a davul, or the tip of a bodhrán's, near the rim."""
    modes = ring(rng.uniform(240, 300), 0.15, MEMBRANE, (0.5, 1, 0.6, 0.4, 0.3), np.full(5, 0.015))
    return modes + 0.5 * burst(rng, 0.15, 0.006, 2000, 7500)


def davul(rng: np.random.Generator) -> np.ndarray:
    """A large drum of the Balkans, hit by a club: two heads, a little apart, that beat."""
    pitch = rng.uniform(60, 78)
    return ring(1.0, 0.6, (pitch, 1.07 * pitch, 1.6 * pitch), (1, 0.7, 0.4), (0.12, 0.12, 0.05)) + 0.3 * burst(
        rng, 0.6, 0.006, 200, 1800
    )


def pot(rng: np.random.Generator) -> np.ndarray:
    """A clay pot: a fingernail on the wall, above the hollow sound of its mouth."""
    wall = ring(rng.uniform(1000, 1300), 0.2, (1, 1.53, 2.2), (0.6, 0.5, 0.3), (0.025, 0.02, 0.01))
    return wall + ring(rng.uniform(130, 160), 0.2, (1.0,), (0.8,), (0.05,))


def little_cymbals(rng: np.random.Generator) -> np.ndarray:
    """A pair of thick cymbals of a palm's width, a few hertz apart."""
    pitch = rng.uniform(2300, 3100)
    return ring(pitch, 0.9, (1, 1.004, 2.53, 2.56, 3.4), (1, 0.8, 0.4, 0.3, 0.2), (0.25, 0.25, 0.12, 0.1, 0.06))


def palms(rng: np.random.Generator) -> np.ndarray:
    """Three people clapping, not quite together; the hollow of each one's hands has its own pitch."""
    sound = np.zeros(round(0.15 * SAMPLE_RATE))
    for _ in range(3):
        hollow = rng.uniform(900, 2200)
        add(sound, burst(rng, 0.1, rng.uniform(0.004, 0.012), 0.7 * hollow, 1.6 * hollow), rng.uniform(0, 0.018))
    return sound


def snap(rng: np.random.Generator) -> np.ndarray:
    """Fingers snapped: a click and the ring of the palm."""
    modes = ring(rng.uniform(1700, 2400), 0.15, (1, 1.6), (0.7, 0.3), (0.012, 0.008))
    return modes + 0.8 * burst(rng, 0.15, 0.005, 1500, 5500)


# --------------------------------------------------------------------------------------------- a garage, a parade


def room_kick(rng: np.random.Generator) -> np.ndarray:
    """A large bass drum without a pillow, in a bare room."""
    pitch = rng.uniform(55, 72) * (1 + 0.6 * np.exp(-times(0.4) / 0.02))
    return swept(0.4, pitch, 0.1) + 0.5 * burst(rng, 0.4, 0.02, 150, 2500)


def room_snare(rng: np.random.Generator) -> np.ndarray:
    """A snare whose room is cut off after a seventh of a second."""
    head = ring(rng.uniform(175, 215), 0.3, MEMBRANE, (1, 0.7, 0.5, 0.3, 0.3), np.full(5, 0.03))
    gate = np.clip((rng.uniform(0.11, 0.16) - times(0.3)) / 0.02, 0, 1)
    return 0.6 * head + gate * band_pass(rng.standard_normal(len(head)), 700, 7500) * decay(0.3, 0.09)


def washy_cymbal(rng: np.random.Generator) -> np.ndarray:
    """A crash cymbal that a drummer leans on."""
    wash = burst(rng, 0.8, 0.16, rng.uniform(2200, 3200), 9500)
    return wash * (1 - 0.6 * np.exp(-times(0.8) / 0.01)) + 0.3 * burst(rng, 0.8, 0.05, 800, 2000)


def marching_snare(rng: np.random.Generator) -> np.ndarray:
    """A tight, deep snare: one dry stroke."""
    head = ring(rng.uniform(210, 260), 0.15, MEMBRANE, (0.6, 0.8, 0.5, 0.4, 0.3), np.full(5, 0.012))
    return head + burst(rng, 0.15, 0.018, 1800, 9000)


def roll(rng: np.random.Generator) -> np.ndarray:
    """A snare's roll: bouncing strokes, about 25 a second, that grow."""
    sound, one = np.zeros(round(0.5 * SAMPLE_RATE)), marching_snare(rng)
    for count in range(11):
        add(sound, one, 0.04 * count + rng.uniform(0, 0.006), 0.3 + 0.06 * count)
    return sound * np.clip((0.5 - times(0.5)) / 0.06, 0, 1)


def sleigh_bells(rng: np.random.Generator) -> np.ndarray:
    """A dozen small bells, shaken once: each rings when it likes."""
    sound = np.zeros(round(0.25 * SAMPLE_RATE))
    for _ in range(12):
        add(sound, ring(rng.uniform(4200, 7800), 0.15, (1.0,), (0.4,), (0.02,)), rng.uniform(0, 0.05))
    return sound


# --------------------------------------------------------------------------------------------------------- machines


def hard_kick(rng: np.random.Generator) -> np.ndarray:
    """A bass drum driven until it is nearly a square wave, as in techno."""
    time = times(0.3)
    pitch = rng.uniform(46, 56) + rng.uniform(150, 300) * np.exp(-time / 0.015)
    return low_pass(np.tanh(4 * swept(0.3, pitch, 0.1)) * np.clip((0.3 - time) / 0.05, 0, 1), 4000)


def short_kick(rng: np.random.Generator) -> np.ndarray:
    """The click and the knock above a sub bass."""
    time = times(0.15)
    return swept(0.15, 60 + 400 * np.exp(-time / 0.008), 0.04) + 0.2 * burst(rng, 0.15, 0.002, 2000, 8000)


def ticking_hat(rng: np.random.Generator) -> np.ndarray:
    """A hi-hat by frequency modulation: two sines far apart make a dense, short hiss."""
    time = times(0.06)
    low, high = rng.uniform(1100, 1400), rng.uniform(5200, 6800)
    return band_pass(np.sin(2 * np.pi * high * time + 12 * np.sin(2 * np.pi * low * time)), 4500, 10500) * np.exp(
        -time / 0.009
    )


def hat_roll(rng: np.random.Generator) -> np.ndarray:
    """Six ticks within a fifth of a second, falling in level."""
    sound, one = np.zeros(round(0.26 * SAMPLE_RATE)), ticking_hat(rng)
    for count in range(6):
        add(sound, one, 0.033 * count, 1 - 0.1 * count)
    return sound


def open_hat(rng: np.random.Generator) -> np.ndarray:
    """Filtered noise that is shut off, as between the beats of techno."""
    return burst(rng, 0.22, 0.08, 7000, 10500) * np.clip((0.2 - times(0.22)) / 0.03, 0, 1)


def noise_clap(rng: np.random.Generator) -> np.ndarray:
    """A machine's snare and snap at once: a narrow hiss, slow to begin."""
    time = times(0.25)
    return burst(rng, 0.25, 0.045, 1300, 8000) * (1 - np.exp(-time / 0.006)) + 0.4 * burst(rng, 0.25, 0.02, 400, 900)


def zap(rng: np.random.Generator) -> np.ndarray:
    """A synthesiser's tom: a sine that falls by two octaves."""
    time = times(0.25)
    return swept(0.25, rng.uniform(90, 160) * (1 + 3 * np.exp(-time / 0.05)), 0.08)


KIT: Kit = {
    "tabla edge": lambda rng: tabla(rng, 0.15, 0.08),
    "tabla open": lambda rng: tabla(rng, 1.5, 0.15),
    "bayan": bayan, "djembe bass": djembe_bass, "djembe slap": djembe_slap, "taiko": taiko, "taiko rim": taiko_rim,
    "frame drum": frame_drum, "stick tip": stick_tip, "davul": davul, "pot": pot, "little cymbals": little_cymbals,
    "palms": palms, "snap": snap, "room kick": room_kick, "room snare": room_snare, "washy cymbal": washy_cymbal,
    "marching snare": marching_snare, "roll": roll, "sleigh bells": sleigh_bells, "hard kick": hard_kick,
    "short kick": short_kick, "ticking hat": ticking_hat, "hat roll": hat_roll, "open hat": open_hat,
    "noise clap": noise_clap, "zap": zap,
}  # fmt: skip
LEVELS: Levels = {  # lowest and highest gain; 0.5 to 1 unless named
    "little cymbals": (0.05, 0.2), "palms": (0.3, 0.8), "snap": (0.2, 0.5), "washy cymbal": (0.15, 0.45),
    "roll": (0.2, 0.5), "sleigh bells": (0.1, 0.3), "ticking hat": (0.15, 0.45), "hat roll": (0.15, 0.4),
    "open hat": (0.15, 0.4), "taiko": (0.8, 1.2), "hard kick": (0.8, 1.2), "taiko rim": (0.2, 0.5),
    "stick tip": (0.2, 0.6), "zap": (0.2, 0.6),
}  # fmt: skip

DRUM_PATTERNS = {  # style: (instrument of `KIT`, strokes of one bar), sixteenths as in `band.DRUM_PATTERNS`
    "backbeat": (("short kick", "X..o..x.X.x....."), ("snap", "....X.......X..."), ("noise clap", "....x.......x..o"),
                 ("sleigh bells", "x.x.x.x.x.x.x.x.")),
    "stomp": (("djembe bass", "X...x.x.X...x..o"), ("palms", "....X.......X..."), ("pot", "..o.o.xo..o.o.xo")),
    "fast two": (("room kick", "X...X...X...X..."), ("room snare", "..X...X...X...X."),
                 ("washy cymbal", "x...x...x...x...")),
    "d-beat": (("room kick", "X..x..x.X..x..x."), ("room snare", "....X.......X..."),
               ("washy cymbal", "x.x.x.x.x.x.x.x.")),
    "half time": (("short kick", "X.....x....x..o."), ("noise clap", "........X......."),
                  ("ticking hat", "x.x.x.x.x.xxx.x."), ("hat roll", "......o.......x.")),
    "rolling hats": (("short kick", "X..x......x....."), ("snap", "........X......."),
                     ("ticking hat", "xxxxx.xxxxx.xxxx"), ("zap", "..............oo")),
    "four floor": (("hard kick", "X...X...X...X..."), ("open hat", "..x...x...x...x."),
                   ("ticking hat", "oxoooxoooxoooxoo"), ("noise clap", "............x...")),
    "broken floor": (("hard kick", "X..X....X.X....."), ("ticking hat", "x.oxx.oxx.oxx.ox"),
                     ("zap", ".....o.......x..")),
    "tala": (("tabla edge", "X.xxX.xxX.xxX.xx"), ("tabla open", "....o.......o..."), ("bayan", "X...x.o.........")),
    "slow tala": (("tabla open", "X.....o...x.o..."), ("bayan", "X.....x........x"),
                  ("little cymbals", "x.......o.......")),
    "procession": (("taiko", "X.......x......."), ("taiko rim", "....o..o....o.oo"), ("roll", "..............o.")),
    "parade": (("davul", "X.......X......."), ("marching snare", "x..oxoxox..oxoxo"), ("roll", "............o...")),
    "palms of twelve": (("palms", "x.x.X.x.X.X."), ("djembe slap", "..o...o...o."), ("djembe bass", "X.......x...")),
    "palms alone": (("palms", "X.x.x.X.x.x."), ("snap", "...o.o...o.o")),
    "reel drum": (("frame drum", "X.o.x.X.o.x."), ("stick tip", ".ooo.o.ooo.o")),
    "jig drum": (("frame drum", "X...o.x...o."), ("pot", "..x.x...x.x.")),
    "seven": (("davul", "X...........x.......x......."), ("stick tip", "....o...x.......o...x...o.oo")),
    "seven rolled": (("davul", "X.......o...X.......X......."), ("tabla edge", "..x.x.x.x.....x.x.....x.x.oo"),
                     ("sleigh bells", "x...x...x...x...x...x...x...")),
}  # fmt: skip


def percussion_track(
    bars: Sequence[Bar], style: str, n_samples: int, swing: float, rng: np.random.Generator
) -> np.ndarray:
    """Play a pattern of `DRUM_PATTERNS`, as `percussion_b.percussion_track` does: (n_samples,)."""
    return play_pattern(bars, DRUM_PATTERNS[style], (KIT, LEVELS), n_samples, swing, rng)
