"""Whole songs: form, harmony, melodies, mix and exact labels, all drawn from (world, seed, index).

A song is composed first (bars with chords, then phrases of notes for the singer and for lead instruments), performed by
`svdlib.songs.synthesis.voice` and `svdlib.songs.synthesis.band`, and mixed. The labels come from the score, not from
the sound.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy import fft, signal

from svdlib.songs.synthesis.band import Bar, add, chord_track, power_chord_track
from svdlib.songs.synthesis.voice import (
    SAMPLE_RATE,
    Note,
    Singer,
    consonant_times,
    draw_gestures,
    draw_singer,
    draw_syllable,
    phrase_span,
    sing,
)
from svdlib.songs.synthesis.world import Genre, Mix, World, draw_from
from svdlib.songs.synthesis.worlds import WORLDS

GENERATOR_VERSION = 7  # raise it whenever any sample may change: cached spectrograms depend on it
JOINED_GAP = 0.5  # seconds: shorter rests do not interrupt a sung segment, as a human annotator would have it
CEILING = 0.97  # of full scale: no sample is larger
LARGEST_DEVIATION = 2.8  # LU between a song's loudness and its world's
SUNG_SECTIONS = ("verse", "chorus")
Response = Callable[[np.ndarray], np.ndarray]  # frequencies in Hz -> gains


@dataclass(frozen=True)
class Song:
    """A rendered song.

    Attributes:
        samples: float32 (samples,), 22050 Hz mono; `voice` + `band` up to float32 rounding.
        segments: sung stretches as (start, end) in seconds, in order, at least 0.5 s apart; reverberation excluded.
        voice: float32 (samples,), everything sung, with its reverberation, as it sounds in the mix.
        band: float32 (samples,), everything else, as it sounds in the mix.
        genre: key of the world's genres.
    """

    samples: np.ndarray
    segments: tuple[tuple[float, float], ...]
    voice: np.ndarray
    band: np.ndarray
    genre: str


@dataclass(frozen=True)
class Score:
    """What is to be played, before any sound: bars with chords, and the frame they live in.

    Attributes:
        genre: key of the world's genres.
        tonic: pitch class of the key, 0 to 11.
        scale: semitones of the notes that melodies use.
        bars: all bars, covering the whole song.
        swing: delay of off-beats, in sixteenths.
        world: who plays, sings and mixes.
    """

    genre: str
    tonic: int
    scale: tuple[int, ...]
    bars: tuple[Bar, ...]
    swing: float
    world: World

    @property
    def template(self) -> Genre:
        """The genre's template."""
        return self.world.genres[self.genre]


# ------------------------------------------------------------------------------------------------------------ form


def draw_sections(n_bars: int, rng: np.random.Generator, forms: tuple[tuple[str, ...], ...]) -> list[tuple[str, int]]:
    """Draw a song form: (section, bars) pairs that fill `n_bars`; forms repeat in long songs."""
    wanted = max(3, round(n_bars / rng.uniform(3.5, 5.5)))
    names: list[str] = []
    while len(names) < wanted:
        names += forms[int(rng.integers(len(forms)))]
    names = names[:wanted]
    weights = np.array([{"verse": 1.35, "chorus": 1.35, "solo": 0.95}.get(n, 0.65) for n in names])
    weights *= rng.uniform(0.7, 1.3, len(names))
    ends = np.round(np.cumsum(weights) / weights.sum() * n_bars).astype(int)
    return [(name, int(bars)) for name, bars in zip(names, np.diff(ends, prepend=0), strict=True) if bars]


def chord_intervals(scale: tuple[int, ...], degree: int, size: int) -> tuple[int, ...]:
    """Semitones of the chord built in thirds on a scale degree."""
    steps = [scale[(degree + 2 * k) % 7] + 12 * ((degree + 2 * k) // 7) for k in range(size)]
    return tuple(step - scale[degree] for step in steps)


def compose(genre_name: str, seconds: float, rng: np.random.Generator, world: World) -> Score:
    """Draw key, tempo, form and harmony."""
    genre, harmony = world.genres[genre_name], world.harmony
    likely = [scale.probability for scale in harmony.scales.values()]
    tonic, scale = int(rng.integers(12)), harmony.scales[str(rng.choice(list(harmony.scales), p=likely))]
    duration = 60 * genre.beats / rng.uniform(*genre.tempo)
    sections = draw_sections(int(np.ceil(seconds / duration)), rng, harmony.forms)
    chords = {kind: harmony.progressions[int(rng.integers(len(harmony.progressions)))] for kind, _ in sections}
    size = 4 if rng.random() < 0.25 else 3
    intensity = {"verse": rng.uniform(0.4, 0.9), "chorus": 1.0, "solo": rng.uniform(0.6, 1.0)}
    bars, start = [], 0.0
    for kind, count in sections:
        strength = intensity.get(kind, rng.uniform(0.0, 0.7))
        for k in range(count):
            degree = chords[kind][k % len(chords[kind])]
            root, intervals = (tonic + scale.degrees[degree]) % 12, chord_intervals(scale.degrees, degree, size)
            bars.append(Bar(start, duration, root, intervals, kind, strength, k == count - 1, genre.beats))
            start += duration
    return Score(genre_name, tonic, scale.melody or scale.degrees, tuple(bars), rng.uniform(0, genre.swing), world)


def sections_of(score: Score) -> list[list[Bar]]:
    """The bars grouped into sections."""
    groups: list[list[Bar]] = [[]]
    for bar in score.bars:
        groups[-1].append(bar)
        if bar.last:
            groups.append([])
    return [group for group in groups if group]


# --------------------------------------------------------------------------------------------------------- melodies


@dataclass(frozen=True)
class MelodyStyle:
    """How melodies move.

    Attributes:
        centre: MIDI note number in the middle of the range.
        lengths: probabilities of notes of 1, 2, 3, 4, 6 steps of the grid.
        grid: steps in a bar (2 or 4 for each beat).
        rest: smallest and largest rest between phrases, in beats.
        spoken: True for rap: pitches follow speech instead of the scale.
    """

    centre: float
    lengths: tuple[float, ...]
    grid: int
    rest: tuple[float, float]
    spoken: bool


NOTE_STEPS = (1, 2, 3, 4, 6)


def draw_style(centre: float, bar: Bar, rng: np.random.Generator, *, spoken: bool = False) -> MelodyStyle:
    """Draw how a singer's or an instrument's melodies move; slow songs get a finer grid."""
    if spoken:
        return MelodyStyle(centre - 5, (0.75, 0.23, 0.02, 0.0, 0.0), 4 * bar.beats, (0.1, 1.5), True)
    lengths = [(0.75, 0.18, 0.04, 0.02, 0.01), (0.5, 0.33, 0.08, 0.06, 0.03), (0.2, 0.4, 0.15, 0.15, 0.1)]
    grid = (4 if bar.duration > 0.625 * bar.beats else 2) * bar.beats
    return MelodyStyle(centre, lengths[int(rng.integers(3))], grid, (0.25, rng.uniform(1.5, 3.5)), False)


def scale_ladder(score: Score, centre: float) -> np.ndarray:
    """All scale notes within a tenth of `centre`, as MIDI note numbers."""
    notes = np.array([12 * octave + score.tonic + step for octave in range(1, 9) for step in score.scale])
    return notes[np.abs(notes - centre) <= 10]


def phrase_times(section: Sequence[Bar], style: MelodyStyle, rng: np.random.Generator) -> list[tuple[float, float]]:
    """Split a section into phrases with rests between them: (start, end) in steps of the grid from its first bar."""
    beat, total = style.grid / section[0].beats, len(section) * style.grid
    phrases, cursor = [], float(rng.choice([0, 0, beat / 2, beat, 2 * beat]))
    while cursor < total - beat:
        length = float(rng.choice([1, 2, 2, 3, 4])) * style.grid - rng.uniform(*style.rest) * beat
        end = min(np.floor(cursor + max(length, beat)), total - rng.integers(0, 2) * beat / 2)
        if end - cursor >= beat:
            phrases.append((cursor, end))
        cursor = np.ceil(end + max(0.5 * rng.random() * beat, rng.uniform(*style.rest) * beat))
    return phrases


def draw_melody(score: Score, section: Sequence[Bar], style: MelodyStyle, rng: np.random.Generator) -> list[list[Note]]:
    """Draw the phrases of one section: a random walk on the scale that prefers chord notes on beats."""
    ladder, step = scale_ladder(score, style.centre), section[0].duration / style.grid
    position, phrases = len(ladder) // 2, []
    for begin, end in phrase_times(section, style, rng):
        notes, cursor = [], begin
        while cursor < end:
            length = min(float(rng.choice(NOTE_STEPS, p=style.lengths)), end - cursor)
            if end - cursor - length < 2:
                length = end - cursor  # the last note takes what is left
            bar = section[min(int(cursor // style.grid), len(section) - 1)]
            position = int(np.clip(position + rng.choice([-3, -2, -1, -1, 0, 1, 1, 2, 3]), 0, len(ladder) - 1))
            if cursor % (style.grid / bar.beats) == 0 and rng.random() < 0.8:
                position = nearest_chord_note(ladder, position, bar)
            pitch = float(ladder[position])
            if style.spoken:
                pitch = style.centre - 4 * (cursor - begin) / (end - begin) + rng.normal(0, 1.8)
            start = section[0].start + cursor * step + rng.normal(0, 0.012)
            held = length * step * (rng.uniform(0.6, 0.97) if rng.random() < 0.4 else 1.0)
            notes.append(Note(start, max(held, 0.05), pitch, loudness=rng.normal(0, 2.0)))
            cursor += length
        phrases.append(without_overlaps(notes))
    return phrases


def nearest_chord_note(ladder: np.ndarray, position: int, bar: Bar) -> int:
    """Index of the scale note nearest to `position` that belongs to the bar's chord."""
    classes = [(bar.root + interval) % 12 for interval in bar.intervals]
    fitting = np.flatnonzero(np.isin(ladder % 12, classes))
    return int(fitting[np.argmin(np.abs(fitting - position))]) if len(fitting) else position


def without_overlaps(notes: Sequence[Note]) -> list[Note]:
    """Shorten every note to end where the next one starts."""
    ends = [min(note.end, following.start) for note, following in zip(notes, notes[1:], strict=False)]
    ends.append(notes[-1].end)
    return [replace(note, duration=max(end - note.start, 0.04)) for note, end in zip(notes, ends, strict=True)]


def add_words(phrase: Sequence[Note], language: str, melisma: float, rng: np.random.Generator) -> list[Note]:
    """Give every note a syllable, or none where the vowel is carried on with probability `melisma`."""
    return [
        replace(note, syllable=None if k and rng.random() < melisma else draw_syllable(rng, language))
        for k, note in enumerate(phrase)
    ]


def section_melodies(
    score: Score, style: MelodyStyle, kinds: tuple[str, ...], rng: np.random.Generator
) -> list[list[Note]]:
    """Phrases for all sections of some kinds; sections of one kind mostly repeat their melody."""
    seeds = {kind: int(rng.integers(2**31)) for kind in ("intro", "verse", "chorus", "solo", "break", "outro")}
    phrases = []
    for section in sections_of(score):
        kind = section[0].section
        if kind in kinds:
            again = np.random.default_rng(seeds[kind] if rng.random() < 0.7 else int(rng.integers(2**31)))
            phrases += draw_melody(score, section, style, again)
    return phrases


# ------------------------------------------------------------------------------------------------------ performance


def fit_to_song(phrases: Sequence[Sequence[Note]], seconds: float) -> list[list[Note]]:
    """Drop what would sound in the first 0.2 s or after 0.1 s before the end."""
    kept = [[n for n in phrase if n.start >= 0.2 and n.end <= seconds - 0.1] for phrase in phrases]
    return [phrase for phrase in kept if phrase]


def sung_parts(score: Score, singer: Singer, seconds: float, rng: np.random.Generator) -> list[list[Note]]:
    """The main singer's phrases with words: verses, choruses, and now and then an ad-lib elsewhere."""
    spoken = rng.random() < score.template.rap
    bar = score.bars[0]
    sung_style = draw_style(singer.centre, bar, rng)
    verse_style = draw_style(singer.centre - (0 if spoken else 2), bar, rng, spoken=spoken)
    phrases = section_melodies(score, verse_style, ("verse",), rng)
    phrases += section_melodies(score, sung_style, ("chorus",), rng)
    extra = section_melodies(score, sung_style, ("intro", "break", "outro"), rng)
    phrases += [phrase for phrase in extra if rng.random() < 0.15]
    melisma = rng.uniform(0.0, 0.35)
    phrases = fit_to_song(sorted(phrases, key=lambda p: p[0].start), seconds)
    return [add_words(phrase, singer.language, 0.0 if spoken else melisma, rng) for phrase in phrases]


def second_voice(phrase: Sequence[Note], shift: float, late: float) -> list[Note]:
    """The same phrase for another voice: shifted by semitones and by seconds, a little softer."""
    return [replace(n, start=n.start + late, pitch=n.pitch + shift, loudness=n.loudness - 5) for n in phrase]


@dataclass(frozen=True)
class Take:
    """One phrase by one singer; `lengths` are the seconds of each note's consonant."""

    notes: Sequence[Note]
    lengths: Sequence[float]
    singer: Singer


def plan_takes(phrases: Sequence[Sequence[Note]], score: Score, singer: Singer, rng: np.random.Generator) -> list[Take]:
    """Say who sings what: the singer every phrase, sometimes doubled or harmonised by a second voice."""
    backing = draw_singer(rng, score.world.voices, roughness=score.template.roughness)
    shift = float(rng.choice([0.0, 0.0, 3.0, 4.0, 7.0, 12.0, -12.0]))
    backed = rng.choice([0.0, 0.3, 0.9], p=[0.5, 0.3, 0.2])
    takes = []
    for phrase in phrases:
        lengths = consonant_times(phrase, rng)
        takes.append(Take(phrase, lengths, singer))
        if rng.random() < backed:
            doubled = second_voice(phrase, shift, rng.uniform(0.005, 0.04))
            takes.append(Take(doubled, lengths, singer if shift == 0 else backing))
    return takes


def perform_voice(takes: Sequence[Take], seconds: float, rng: np.random.Generator) -> np.ndarray:
    """Sing all takes: the dry voice, (samples,)."""
    track = np.zeros(round(seconds * SAMPLE_RATE))
    for take in takes:
        sound = sing(take.notes, take.lengths, take.singer, rng)
        gain = 10 ** (rng.normal(0, 1.5) / 20) / (np.sqrt(np.mean(sound**2)) + 1e-9)
        add(track, sound, phrase_span(take.notes, take.lengths)[0], gain)
    return track


def join_spans(spans: Sequence[tuple[float, float]], seconds: float) -> tuple[tuple[float, float], ...]:
    """Merge overlapping spans and those less than `JOINED_GAP` apart, within 0 and `seconds`."""
    joined: list[list[float]] = []
    for start, end in sorted(spans):
        if joined and start - joined[-1][1] < JOINED_GAP:
            joined[-1][1] = max(joined[-1][1], end)
        else:
            joined.append([start, end])
    return tuple((max(0.0, float(start)), min(seconds, float(end))) for start, end in joined)


def perform_leads(
    score: Score, singer: Singer, sung: Sequence[Sequence[Note]], seconds: float, rng: np.random.Generator
) -> np.ndarray:
    """Two lead instruments: in parts without voice, and sometimes beside it or along with it: (samples,)."""
    track = np.zeros(round(seconds * SAMPLE_RATE))
    families, known = score.template.leads, score.world.instruments
    for _ in range(2):
        gestures = singer.gestures if rng.random() < 0.5 else draw_gestures(rng, score.world.voices.habits)
        lead = known.draw_lead(str(rng.choice(families)), gestures, rng)
        centre = singer.centre + rng.choice([0, 0, 5, 12, 12])
        beside = rng.random() < 0.2
        kinds = ("solo", "intro", "break", "outro") + (SUNG_SECTIONS if beside else ())
        phrases = section_melodies(score, draw_style(centre, score.bars[0], rng), kinds, rng)
        phrases = [p for p in phrases if rng.random() < 0.75]
        if rng.random() < 0.25:  # plays along with the singer's own melody
            phrases += [second_voice(p, rng.choice([0.0, 12.0]), 0.01) for p in sung if rng.random() < 0.5]
        for phrase in fit_to_song(phrases, seconds):
            start, sound = known.play_lead(phrase, lead, rng)
            add(track, sound / (np.sqrt(np.mean(sound**2)) + 1e-9), start, 10 ** (rng.normal(0, 2) / 20))
    return track


# -------------------------------------------------------------------------------------------------------------- mix


def active_level(track: np.ndarray) -> float:
    """Root mean square of the blocks of 50 ms that sound (louder than a twentieth of the loudest), 0 if silent."""
    block = SAMPLE_RATE // 20
    power = np.mean(track[: len(track) // block * block].reshape(-1, block) ** 2, axis=1)
    peak = power.max(initial=0.0)
    return float(np.sqrt(power[power >= peak / 400].mean())) if peak > 0 else 0.0


def bars_played(score: Score, probability: float, rng: np.random.Generator) -> list[Bar]:
    """The bars of one part: whole sections, each played with `probability`, the fuller ones rather than the sparse."""
    played = []
    for section in sections_of(score):
        if rng.random() < probability * (0.6 + 0.4 * section[0].intensity):
            played += section
    return played


def perform_band(score: Score, seconds: float, leads: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """All accompaniment with the lead instruments, each part at its level: (samples,)."""
    genre, known, n_samples = score.template, score.world.instruments, round(seconds * SAMPLE_RATE)
    parts: list[tuple[np.ndarray, float]] = [(leads, rng.uniform(-3, 5))]
    has_drums = rng.random() < genre.drum_probability
    if has_drums:
        style = str(rng.choice(genre.drums))
        drummed = known.play_drums(bars_played(score, 1.0, rng), style, n_samples, score.swing, rng)
        parts.append((drummed, rng.uniform(-1, 5)))
    if has_drums or rng.random() < 0.5:
        line = known.play_bass(bars_played(score, 1.0, rng), n_samples, score.genre, rng)
        parts.append((line, rng.uniform(-2, 3)))
    if rng.random() < genre.distortion:
        heavy = bars_played(score, rng.uniform(0.5, 1.0), rng)
        parts.append((power_chord_track(heavy, n_samples, rng), rng.uniform(-3, 4)))
    chosen = [name for name in genre.chords if rng.random() < 0.5] or [genre.chords[0]]
    for position, name in enumerate(chosen[:3]):
        played = bars_played(score, 1.2 if position == 0 else 0.6, rng)
        pattern = str(rng.choice(genre.patterns))
        parts.append((chord_track(played, name, pattern, n_samples, score.swing, rng, known), rng.uniform(-10, 0)))
    mix = np.zeros(n_samples)
    for track, level in parts:
        mix += track * (10 ** (level / 20) / (active_level(track) + 1e-9))
    return mix * section_dynamics(score, n_samples, rng.uniform(*score.world.mix.section_span))


def section_dynamics(score: Score, n_samples: int, span: float) -> np.ndarray:
    """Gain of the band over the song: (samples,); a section of intensity 0 is `span` dB softer than one of 1."""
    times = [time for bar in score.bars for time in (bar.start + 0.05, bar.start + bar.duration)]
    levels = [span * (bar.intensity - 1) for bar in score.bars for _ in range(2)]
    return 10 ** (np.interp(np.arange(n_samples) / SAMPLE_RATE, times, levels) / 20)


def filter_freely(tracks: Sequence[np.ndarray], response: Response) -> list[np.ndarray]:
    """Filter tracks by a magnitude `response(frequencies in Hz)`, without delay."""
    n_samples = len(tracks[0])
    size = fft.next_fast_len(n_samples + 4096, real=True)
    gain = response(np.fft.rfftfreq(size, 1 / SAMPLE_RATE))
    return [fft.irfft(fft.rfft(track, size) * gain, size)[:n_samples] for track in tracks]


def draw_equaliser(rng: np.random.Generator, strength: float, *, presence: float = 0.0, tilt: float = 0.0) -> Response:
    """A smooth random response.

    Args:
        rng: source of randomness.
        strength: dB, standard deviation at each of seven points of the scale.
        presence: dB added around 4 kHz, as mixers do to bring a voice forward.
        tilt: dB per octave added around 1 kHz.
    """
    points = np.log2(np.array([40, 100, 250, 600, 1500, 4000, 10000.0]))
    gains = rng.normal(0, strength, len(points)) + presence * np.array([0, 0, 0, 0, 0.6, 1, 0.7])
    gains += tilt * (points - np.log2(1000.0))
    return lambda f: 10 ** (np.interp(np.log2(np.maximum(f, 20)), points, gains) / 20)


def reverberate(
    track: np.ndarray, wet: float, decay_time: float, rng: np.random.Generator, *, pole: float = 0.65
) -> np.ndarray:
    """Add a room: noise that decays by 60 dB in `decay_time` seconds and darkens by `pole`."""
    time = np.arange(round(decay_time * SAMPLE_RATE)) / SAMPLE_RATE
    room = rng.standard_normal(len(time)) * 10 ** (-3 * time / decay_time) * (time > 0.008)
    room = signal.lfilter([1 - pole], [1, -pole], room)
    room *= wet / np.sqrt(np.sum(room**2))
    return track + signal.oaconvolve(track, room)[: len(track)]


def master(voice: np.ndarray, band: np.ndarray, rng: np.random.Generator, how: Mix) -> tuple[np.ndarray, np.ndarray]:
    """Equalise, compress, saturate and set the loudness, by gains shared by both stems so that they still add up.

    Args:
        voice: (samples,).
        band: (samples,).
        rng: source of randomness.
        how: rooms and levels.

    Returns:
        voice and band, (samples,), no peak of their sum beyond `CEILING`.
    """
    tilt = rng.uniform(*how.tilt) if any(how.tilt) else 0.0
    voice, band = filter_freely([voice, band], draw_equaliser(rng, how.equaliser, tilt=tilt))
    mix = voice + band
    target = how.loudness[0] + np.clip(rng.normal(0, how.loudness[1]), -LARGEST_DEVIATION, LARGEST_DEVIATION)
    level = 10 ** (target / 20)
    block = 512
    power = np.mean(np.pad(mix, (0, -len(mix) % block)).reshape(-1, block) ** 2, axis=1)
    power = np.maximum(signal.lfilter([0.1], [1, -0.9], power), 1e-4 * power.mean())
    amount = rng.uniform(*how.compression)
    gains = (power / power.mean()) ** (-amount / 2)
    gain = np.interp(np.arange(len(mix)), block * (np.arange(len(gains)) + 0.5), gains)
    gain *= level / np.sqrt(np.mean((mix * gain) ** 2))
    driven = mix * gain * rng.uniform(*how.drive)
    gain *= np.where(np.abs(driven) < 1e-4, 1.0, np.tanh(driven) / np.where(driven == 0, 1, driven))
    for _ in range(3):  # rounding off the peaks costs some loudness
        gain *= 10 ** ((target - loudness(mix * gain)) / 20)
        gain *= round_off(mix * gain)
    return voice * gain, band * gain


def loudness(sound: np.ndarray) -> float:
    """Integrated loudness in LUFS (ITU-R BS.1770-4)."""
    from pyloudnorm import Meter

    return float(Meter(SAMPLE_RATE).integrated_loudness(sound))


def round_off(sound: np.ndarray) -> np.ndarray:
    """Gain of a limiter without memory: 1 up to 0.7 of full scale, then less, so that `CEILING` is never passed."""
    knee = 0.7
    size = np.maximum(np.abs(sound), knee)
    return (knee + (CEILING - knee) * np.tanh((size - knee) / (CEILING - knee))) / size


def mix_song(
    voice: np.ndarray, band: np.ndarray, sung: np.ndarray, genre: Genre, rng: np.random.Generator, how: Mix
) -> tuple[np.ndarray, np.ndarray]:
    """Balance voice and band in the sung parts, add rooms, a noise floor, and master.

    Args:
        voice: (samples,) dry voice.
        band: (samples,) dry band.
        sung: bool (samples,), where there is voice.
        genre: gives the voice's level against the band.
        rng: source of randomness.
        how: rooms and levels.

    Returns:
        voice and band, float32 (samples,), peak of their sum below 1.
    """
    voice = filter_freely([voice], draw_equaliser(rng, how.equaliser, presence=rng.uniform(*how.presence)))[0]
    decay_time, wet = draw_from(how.decay_times, rng), 10 ** rng.uniform(*how.wet)
    band = band / (active_level(band) + 1e-9)
    if sung.any():
        beside = max(np.sqrt(np.mean(band[sung] ** 2)), 0.3)
        voice = voice * (10 ** (rng.uniform(*genre.vocal_level) / 20) * beside / np.sqrt(np.mean(voice[sung] ** 2)))
    voice = reverberate(voice, wet * rng.uniform(0.5, 1.3), decay_time, rng, pole=how.room_pole)
    band = reverberate(band, wet * rng.uniform(0.3, 1.0), decay_time * rng.uniform(0.5, 1.0), rng, pole=how.room_pole)
    hiss = signal.lfilter([1.0], [1, -rng.uniform(0.3, 0.9)], rng.standard_normal(len(band)))
    band = band + hiss * (10 ** (rng.uniform(*how.hiss) / 20) / hiss.std())
    voice, band = master(voice, band, rng, how)
    return voice.astype(np.float32), band.astype(np.float32)


@dataclass(frozen=True)
class Plan:
    """All of a song but its sound: the score, the singer, the sung phrases, who takes them, and the labels."""

    score: Score
    singer: Singer
    phrases: list[list[Note]]
    takes: list[Take]
    segments: tuple[tuple[float, float], ...]


def plan_song(index: int, *, seed: int, seconds: float, world: str = "synthetic") -> Plan:
    """Compose a song without rendering it: milliseconds, where labels alone are wanted.

    Args:
        index: number of the song in its corpus; it also chooses the genre in turn.
        seed: seed of the corpus, 0 or more.
        seconds: length of the song.
        world: key of `WORLDS`: whose singers, instruments and mixes.
    """
    chosen = WORLDS[world]
    composing, singing = np.random.default_rng(np.random.SeedSequence([seed, index, 0, *chosen.entropy])).spawn(2)
    score = compose(list(chosen.genres)[index % len(chosen.genres)], seconds, composing, chosen)
    singer = draw_singer(singing, chosen.voices, roughness=score.template.roughness)
    phrases = sung_parts(score, singer, seconds, singing)
    takes = plan_takes(phrases, score, singer, singing)
    segments = join_spans([phrase_span(take.notes, take.lengths) for take in takes], seconds)
    return Plan(score, singer, phrases, takes, segments)


def render_song(index: int, *, seed: int, seconds: float, world: str = "synthetic") -> Song:
    """Compose and render one song; the same arguments give the same samples in any process and any order.

    Args:
        index: number of the song in its corpus; it also chooses the genre in turn.
        seed: seed of the corpus, 0 or more.
        seconds: length of the song.
        world: key of `WORLDS`: whose singers, instruments and mixes.

    Returns:
        The song, its exact labels and its stems.
    """
    plan = plan_song(index, seed=seed, seconds=seconds, world=world)
    chosen = plan.score.world
    streams = np.random.default_rng(np.random.SeedSequence([seed, index, 1, *chosen.entropy])).spawn(4)
    singing, leading, playing, mixing = streams
    voice = perform_voice(plan.takes, seconds, singing)
    leads = perform_leads(plan.score, plan.singer, plan.phrases, seconds, leading)
    band = perform_band(plan.score, seconds, leads, playing)
    sung = np.zeros(len(voice), bool)
    for start, end in plan.segments:
        sung[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
    voice, band = mix_song(voice, band, sung, plan.score.template, mixing, chosen.mix)
    return Song(voice + band, plan.segments, voice, band, plan.score.genre)
