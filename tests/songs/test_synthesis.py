"""The procedural songs: the same in every process, labelled exactly, at sane levels; their parts against theory."""

import hashlib
import subprocess
import sys
from itertools import combinations

import numpy as np
import pyloudnorm
import pytest

from svdlib.audio import mel_axis
from svdlib.songs.corpora.synthetic import load_samples
from svdlib.songs.synthesis import (
    GENRES,
    WORLDS,
    bass_c,
    leads_b,
    leads_c,
    notes_b,
    notes_c,
    percussion_b,
    percussion_c,
    plan_song,
    render_song,
)
from svdlib.songs.synthesis import band as band_module
from svdlib.songs.synthesis import song as song_module
from svdlib.songs.synthesis import voice as voice_module
from svdlib.songs.synthesis.voice import SAMPLE_RATE, Note, Syllable

SECONDS = 9.0
WORLD_A, WORLD_B, WORLD_C = WORLDS["synthetic"], WORLDS["synthetic-b"], WORLDS["synthetic-c"]
PAIRS = list(combinations(WORLDS.values(), 2))
ELSEWHERE = {
    "synthetic-b": (3, 0, 2, 1),
    "synthetic-c": (6, 1),
    "synthetic": (5, 2),
}  # what a fresh process renders, in this order


@pytest.fixture(scope="module")
def songs_a():
    """One short song of each genre of `synthetic`."""
    return [render_song(index, seed=0, seconds=SECONDS) for index in range(len(GENRES))]


@pytest.fixture(scope="module")
def songs_b():
    """One short song of each genre of `synthetic-b`."""
    genres = range(len(WORLD_B.genres))
    return [render_song(index, seed=0, seconds=SECONDS, world="synthetic-b") for index in genres]


@pytest.fixture(scope="module")
def songs_c():
    """One short song of each genre of `synthetic-c`."""
    genres = range(len(WORLD_C.genres))
    return [render_song(index, seed=0, seconds=SECONDS, world="synthetic-c") for index in genres]


@pytest.fixture(params=["songs_a", "songs_b", "songs_c"])
def songs(request):
    """The short songs of one world."""
    return request.getfixturevalue(request.param)


def mask(segments, n_samples):
    inside = np.zeros(n_samples, bool)
    for start, end in segments:
        inside[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True
    return inside


def power(sound):
    return np.mean(np.square(sound, dtype=np.float64))


def digest(song):
    return hashlib.sha256(song.samples.tobytes() + repr(song.segments).encode()).hexdigest()


# --- songs ---


def test_sample_rate_is_the_front_ends():
    assert SAMPLE_RATE == mel_axis.SAMPLE_RATE


@pytest.fixture(scope="module")
def elsewhere():
    """Digests of songs of all worlds that a fresh process has rendered, by world and index, in another order."""
    code = (
        "import hashlib; from svdlib.songs.synthesis import render_song\n"
        f"for world, indices in {ELSEWHERE}.items():\n"
        "    for index in indices:\n"
        f"        song = render_song(index, seed=0, seconds={SECONDS}, world=world)\n"
        "        print(hashlib.sha256(song.samples.tobytes() + repr(song.segments).encode()).hexdigest())"
    )
    printed = iter(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    return {world: {index: next(printed) for index in indices} for world, indices in ELSEWHERE.items()}


def test_same_song_in_another_process_and_another_order(songs_a, elsewhere):
    assert elsewhere["synthetic"] == {index: digest(songs_a[index]) for index in (5, 2)}


def test_seed_and_index_both_change_the_song(songs_a):
    n_genres = len(GENRES)
    others = [render_song(0, seed=1, seconds=SECONDS), render_song(n_genres, seed=0, seconds=SECONDS)]
    for other in others:
        assert other.genre == songs_a[0].genre
        assert abs(np.corrcoef(other.samples, songs_a[0].samples)[0, 1]) < 0.2


@pytest.mark.parametrize("seconds", [5.0, 8.123])
def test_length_is_exact_and_everything_float32(seconds):
    song = render_song(3, seed=4, seconds=seconds)
    for sound in (song.samples, song.voice, song.band):
        assert sound.shape == (round(seconds * SAMPLE_RATE),)
        assert sound.dtype == np.float32
        assert np.isfinite(sound).all()


def test_genres_come_in_turn(songs_a, songs_b, songs_c):
    assert [song.genre for song in songs_a] == list(WORLD_A.genres)
    assert [song.genre for song in songs_b] == list(WORLD_B.genres)
    assert [song.genre for song in songs_c] == list(WORLD_C.genres)


def test_stems_add_up(songs):
    for song in songs:
        np.testing.assert_allclose(song.voice.astype(float) + song.band, song.samples, atol=1e-6)


@pytest.mark.parametrize("world", WORLDS.values(), ids=lambda world: world.name)
def test_nothing_clips_and_loudness_is_near_the_target(songs_a, songs_b, songs_c, world):
    songs = {"synthetic": songs_a, "synthetic-b": songs_b, "synthetic-c": songs_c}[world.name]
    assert max(np.abs(song.samples).max() for song in songs) < 0.98
    meter = pyloudnorm.Meter(SAMPLE_RATE)
    levels = [meter.integrated_loudness(song.samples.astype(float)) for song in songs]
    assert max(abs(level - world.mix.loudness[0]) for level in levels) < 3  # LU
    assert np.std(levels) > 0.5  # songs differ


def test_the_limiter_keeps_soft_samples_and_the_order_of_loud_ones():
    sound = np.linspace(-5, 5, 2001)
    limited = sound * song_module.round_off(sound)
    quiet = np.abs(sound) <= 0.7
    np.testing.assert_allclose(limited[quiet], sound[quiet], atol=1e-12)
    assert (np.diff(limited) >= 0).all() and np.abs(limited).max() <= song_module.CEILING


def test_no_digital_silence(songs):
    for song in songs:
        blocks = song.samples[: len(song.samples) // 441 * 441].reshape(-1, 441)
        assert np.abs(blocks).max(axis=1).min() > 1e-6


def test_voice_sounds_inside_the_segments_and_not_outside(songs):
    """Reverberation rings on for up to a second after a phrase: it is not singing, and left out of both sides."""
    compared = 0
    for song in songs:
        inside = mask(song.segments, len(song.samples))
        ringing = mask([(start, min(end + 1.0, SECONDS)) for start, end in song.segments], len(song.samples))
        if inside.any() and not ringing.all():
            compared += 1
            assert 10 * np.log10(power(song.voice[inside]) / (power(song.voice[~ringing]) + 1e-20)) > 20
    assert compared >= 5


@pytest.mark.parametrize("world", WORLDS)
def test_dry_voice_fits_the_labels_to_the_sample(world):
    """Before any room is added, nothing sounds outside the labels, and each label begins and ends with voice."""
    for index in (1, 3, 7):
        plan = plan_song(index, seed=2, seconds=SECONDS, world=world)
        dry = song_module.perform_voice(plan.takes, SECONDS, np.random.default_rng(0))
        inside = mask(plan.segments, len(dry))
        loudest = np.abs(dry).max()
        assert np.abs(dry[~inside]).max() < 1e-3 * loudest
        for start, end in plan.segments:
            sounding = np.abs(dry[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)]) > 1e-3 * loudest
            assert sounding[: round(0.1 * SAMPLE_RATE)].any()
            assert sounding[-round(0.1 * SAMPLE_RATE) :].any()


def test_segments_are_ordered_apart_and_within_the_song(songs):
    for song in songs:
        flat = [time for segment in song.segments for time in segment]
        assert flat == sorted(flat)
        assert all(0 <= time <= SECONDS for time in flat)
        gaps = [later[0] - earlier[1] for earlier, later in zip(song.segments, song.segments[1:], strict=False)]
        assert all(gap >= song_module.JOINED_GAP for gap in gaps)


@pytest.mark.parametrize("world", WORLDS)
def test_sung_fraction_over_a_corpus(world):
    plans = [plan_song(index, seed=0, seconds=60.0, world=world) for index in range(24)]
    fractions = [sum(end - start for start, end in plan.segments) / 60 for plan in plans]
    assert 0.45 < np.mean(fractions) < 0.65
    assert min(fractions) > 0.2 and max(fractions) < 0.9


def test_voice_to_band_ratio_stays_in_a_mixers_range(songs):
    for song in songs:
        inside = mask(song.segments, len(song.samples))
        if inside.any():
            assert -6 < 10 * np.log10(power(song.voice[inside]) / power(song.band[inside])) < 14


@pytest.mark.parametrize("world", WORLDS)
def test_lead_instruments_play_where_nobody_sings(world):
    plan = plan_song(4, seed=0, seconds=30.0, world=world)
    leads = song_module.perform_leads(plan.score, plan.singer, plan.phrases, 30.0, np.random.default_rng(0))
    outside = ~mask(plan.segments, len(leads))
    assert power(leads[outside]) > 0.05


@pytest.mark.parametrize(
    ("spans", "joined"),
    [
        ([(2.0, 3.0), (0.5, 1.0)], ((0.5, 1.0), (2.0, 3.0))),
        ([(0.5, 1.0), (1.2, 2.0)], ((0.5, 2.0),)),
        ([(0.5, 3.0), (1.0, 2.0)], ((0.5, 3.0),)),
        ([(-0.1, 0.4), (4.8, 5.2)], ((0.0, 0.4), (4.8, 5.0))),
        ([], ()),
    ],
)
def test_spans_are_joined_as_an_annotator_would(spans, joined):
    assert song_module.join_spans(spans, 5.0) == joined


# --- voice ---


def test_oscillator_equals_the_sum_of_its_harmonics():
    spectrum = np.array([1.0, 0.5, 0.25, 0.125])
    sound = voice_module.oscillate(np.full(4000, 220.0), spectrum)
    phase = 2 * np.pi * 220.0 * np.arange(1, 4001) / SAMPLE_RATE
    expected = sum(a * np.cos(k * phase) for k, a in enumerate(spectrum, start=1))
    np.testing.assert_allclose(sound, expected, atol=2e-4)


def test_oscillator_does_not_alias():
    """A saw at 3 kHz holds 3, 6 and 9 kHz and nothing else."""
    sound = voice_module.oscillate(np.full(SAMPLE_RATE, 3000.0), 1 / np.arange(1, 200))
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    spectrum /= spectrum.max()
    for harmonic in (3000, 6000, 9000):
        spectrum[harmonic - 4 : harmonic + 5] = 0
    assert spectrum.max() < 1e-3


def test_glottal_pulse_dulls_as_it_gets_breathier():
    def high_share(rd):
        energy = np.abs(voice_module.glottal_spectrum(rd)) ** 2
        return energy[10:].sum() / energy.sum()

    shares = [high_share(rd) for rd in (0.5, 1.0, 1.5, 2.3)]
    assert shares == sorted(shares, reverse=True)
    assert shares[0] > 5 * shares[-1]


def test_tract_filter_equals_the_recursion_of_a_resonator():
    """With a constant shape the overlap-add filter is Klatt's y[n] = A x[n] + B y[n-1] + C y[n-2]."""
    frequency, bandwidth, n_samples = 700.0, 400.0, 8 * voice_module.TRACT_HOP
    source = np.random.default_rng(0).standard_normal(n_samples)
    c = -np.exp(-2 * np.pi * bandwidth / SAMPLE_RATE)
    b = 2 * np.exp(-np.pi * bandwidth / SAMPLE_RATE) * np.cos(2 * np.pi * frequency / SAMPLE_RATE)
    expected = np.zeros(n_samples)
    for n in range(n_samples):
        expected[n] = (1 - b - c) * source[n] + b * expected[n - 1] * (n > 0) + c * expected[n - 2] * (n > 1)
    frames = n_samples // voice_module.TRACT_HOP + 1
    shape = np.full((frames, 1), 1.0)
    filtered = voice_module.filter_by_tract(source, frequency * shape, bandwidth * shape, np.zeros(frames))
    np.testing.assert_allclose(filtered, expected, atol=1e-3)


def test_sung_note_has_the_pitch_of_the_score():
    gestures = voice_module.Gestures(0.02, 0.0, 0.0, 0.0, 5.0, 0.0, 0.2, 0.0)
    singer = voice_module.Singer(1.0, (1.0,) * 5, 55.0, 1.0, 0.01, 0.0, 0.0, 1.0, gestures, "spanish")
    notes = [Note(0.0, 1.0, 57.0, Syllable("m", "a", "a"))]
    lengths = voice_module.consonant_times(notes, np.random.default_rng(0))
    sound = voice_module.sing(notes, lengths, singer, np.random.default_rng(0))[6000:20000]
    spectrum = np.fft.irfft(np.abs(np.fft.rfft(sound, 1 << 16)) ** 2)
    lag = 60 + np.argmax(spectrum[60:160])
    assert SAMPLE_RATE / lag == pytest.approx(220.0, rel=0.01)


@pytest.mark.parametrize("seconds", [0.05, 0.1, 0.15, 0.25, 0.4, 0.55, 0.7, 2])
def test_a_phrase_of_any_length_drifts_little_from_its_note(seconds):
    """The drift is scaled by its own deviation, next to nothing where the phrase is shorter than its filter."""
    gestures = voice_module.Gestures(0.08, 0.0, 0.0, 0.0, 5.0, 0.0, 0.2, 0.2)
    count = round((seconds + 0.03) * voice_module.CONTROL_RATE) + 2
    for seed in range(40):
        rng = np.random.default_rng(seed)
        pitch = voice_module.pitch_contour([Note(1.0, seconds, 60.0)], 1.0, count, gestures, rng)
        assert np.abs(pitch - 60).max() < 3


def test_pitch_contour_glides_from_note_to_note():
    gestures = voice_module.Gestures(0.08, 0.0, 0.0, 0.0, 5.0, 0.0, 0.2, 0.0)
    notes = [Note(0.0, 0.5, 60.0), Note(0.5, 0.5, 64.0)]
    pitch = voice_module.pitch_contour(notes, 0.0, 340, gestures, np.random.default_rng(0))
    assert pitch[100] == pytest.approx(60.0, abs=1e-6) and pitch[300] == pytest.approx(64.0, abs=1e-6)
    assert np.all(np.diff(pitch) >= -1e-9)
    assert np.diff(pitch).max() < 0.5


@pytest.mark.parametrize("consonant", ["", *voice_module.CONSONANTS])
def test_every_consonant_can_be_sung(consonant):
    singer = voice_module.draw_singer(np.random.default_rng(1), WORLD_A.voices)
    notes = [Note(0.5, 0.2, 60.0, Syllable(consonant, "a", "i")), Note(0.7, 0.15, 62.0)]
    lengths = voice_module.consonant_times(notes, np.random.default_rng(2))
    sound = voice_module.sing(notes, lengths, singer, np.random.default_rng(3))
    assert np.isfinite(sound).all() and power(sound) > 1e-4
    assert (lengths[0] > 0) == (consonant != "")


# --- band ---


@pytest.mark.parametrize(
    "make", [make for module in (band_module, notes_b, notes_c) for make in module.NOTE_MAKERS.values()]
)
@pytest.mark.parametrize("pitch", [45, 69])
def test_instruments_are_in_tune(make, pitch):
    sound = make(pitch, 1.0, np.random.default_rng(0))
    assert len(sound) == SAMPLE_RATE
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound)), 8 * len(sound)))
    wanted = float(voice_module.hertz(pitch))
    near = slice(round(8 * wanted * 0.97), round(8 * wanted * 1.03))
    found = (near.start + np.argmax(spectrum[near])) / 8
    assert abs(12 * np.log2(found / wanted)) < 0.25
    assert spectrum[near].max() > 0.05 * spectrum.max()


@pytest.mark.parametrize(
    ("module", "family"), [(module, family) for module in (band_module, leads_b, leads_c) for family in module.LEADS]
)
def test_every_lead_plays_a_phrase(module, family):
    rng = np.random.default_rng(0)
    lead = module.draw_lead(family, voice_module.draw_gestures(rng, WORLD_A.voices.habits), rng)
    start, sound = module.play_lead([Note(0.3, 0.3, 67.0), Note(0.6, 0.4, 71.0)], lead, rng)
    assert start == 0.3
    assert np.isfinite(sound).all() and power(sound) > 1e-3


def test_add_cuts_what_lies_outside_the_track():
    track = np.zeros(10)
    band_module.add(track, np.ones(4), 8 / SAMPLE_RATE, 2.0)
    band_module.add(track, np.ones(4), -2 / SAMPLE_RATE)
    band_module.add(track, np.ones(4), 1.0)
    np.testing.assert_array_equal(track, [1, 1, 0, 0, 0, 0, 0, 0, 2, 2])


@pytest.mark.parametrize("drum", [*percussion_b.KIT.items(), *percussion_c.KIT.items()], ids=lambda drum: drum[0])
def test_every_drum_sounds_and_dies_away(drum):
    sound = drum[1](np.random.default_rng(0))
    assert np.isfinite(sound).all() and 0.05 < np.abs(sound).max() < 10
    assert np.abs(sound[-100:]).max() < 0.1 * np.abs(sound).max()


def test_struck_bars_have_the_modes_of_the_text_book():
    """Fletcher & Rossing: vibraphone bars are tuned 1 : 4 : 10; between those there is (next to) nothing."""
    sound = notes_b.vibraphone(57, 1.0, np.random.default_rng(0))
    sound = np.pad(sound[:5512], (0, SAMPLE_RATE - 5512)) * np.pad(np.hanning(5512), (0, SAMPLE_RATE - 5512))
    spectrum = np.abs(np.fft.rfft(sound))
    strongest = [220 * ratio for ratio in (1, 4, 10)]
    assert all(spectrum[f - 12 : f + 13].max() > 0.01 * spectrum.max() for f in strongest)
    for other in (2, 3, 5, 6, 7, 8, 9):
        assert spectrum[220 * other - 12 : 220 * other + 13].max() < 0.01 * spectrum.max()


def test_plucking_a_string_in_the_middle_leaves_out_even_harmonics():
    middle = {"place": 0.5, "slope": 1.0, "stiffness": 0.0, "half_life": 1.0, "damping": 0.0}
    spectrum = np.abs(np.fft.rfft(notes_b.plucked_modes(200.0, 1.0, **middle) * np.hanning(SAMPLE_RATE)))
    assert max(spectrum[400], spectrum[800]) < 0.01 * min(spectrum[200], spectrum[600])


@pytest.mark.parametrize("make", dict.fromkeys(line[0] for line in bass_c.BASS_LINES.values()))
def test_basses_of_the_third_world_play_their_note(make):
    sound = make(36, 1.0, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    assert len(sound) == SAMPLE_RATE
    assert spectrum[62:70].max() > 0.1 * spectrum.max()  # 65.4 Hz


def test_tubular_bells_have_the_upper_modes_of_a_free_bar():
    sound = notes_c.tubular_bells(69, 1.0, np.random.default_rng(0))
    spectrum = np.abs(np.fft.rfft(sound * np.hanning(len(sound))))
    for mode in (9, 11, 13, 15):
        near = round(440 * mode**2 / 81)
        assert spectrum[near - 8 : near + 9].max() > 0.05 * spectrum.max()
    assert spectrum[870:890].max() < 0.01 * spectrum.max()  # no octave


def test_a_curved_bridge_sends_a_peak_down_through_the_harmonics():
    """Raman's jawari: the centre of the spectrum falls while the note rings; without the peak it stays."""

    def centroid(sound):
        energy = np.abs(np.fft.rfft(sound * np.hanning(len(sound)))) ** 2
        return np.sum(energy * np.arange(len(energy))) / energy.sum() * SAMPLE_RATE / len(sound)

    how = {"slope": 1.2, "fall": 0.15, "half_life": 0.5}
    buzzing, plain = (notes_c.jawari(220.0, 1.0, buzz=buzz, **how) for buzz in (1.0, 0.0))
    early, late = slice(0, 2205), slice(15000, 17205)
    assert centroid(buzzing[early]) > 4 * centroid(buzzing[late])
    assert centroid(plain[early]) == pytest.approx(centroid(plain[late]), rel=0.05)


def test_ornaments_keep_the_time_of_their_phrase():
    notes = [Note(0.5, 0.4, 60.0), Note(0.9, 0.1, 62.0), Note(1.0, 0.5, 64.0)]
    played = leads_c.ornament(notes, 1.0, np.random.default_rng(0))
    assert [note.pitch for note in played] == [62.0, 60.0, 62.0, 66.0, 64.0]
    assert played[0].start == 0.5 and played[-1].end == pytest.approx(1.5)
    assert sum(note.duration for note in played) == pytest.approx(1.0)


def test_the_sweeping_filter_shuts_on_every_note():
    notes = [Note(0.0, 0.5, 60.0), Note(0.5, 0.5, 60.0)]
    noise = np.random.default_rng(0).standard_normal(SAMPLE_RATE)
    swept = leads_c.sweep_down(noise, notes, (4000.0, 300.0))
    high = band_module.band_pass(swept, 3000, 9000)
    for onset in (0, SAMPLE_RATE // 2):
        assert power(high[onset + 200 : onset + 1500]) > 10 * power(high[onset + 8000 : onset + 10500])


def test_bars_of_three_beats_keep_the_length_of_a_sixteenth():
    four = band_module.Bar(1.0, 2.0, 0, (0, 4, 7), "verse", 1.0, False)
    three = band_module.Bar(1.0, 1.5, 0, (0, 4, 7), "verse", 1.0, False, beats=3)
    assert [three.step(k, 0.3) for k in range(12)] == pytest.approx([four.step(k, 0.3) for k in range(12)])


# --- worlds ---


def test_patterns_have_one_bar_each():
    assert all(len(pattern) == 16 for patterns in band_module.DRUM_PATTERNS.values() for pattern in patterns)
    assert all(len(pattern) == 16 for pattern in band_module.CHORD_PATTERNS.values())
    for genre in WORLD_B.genres.values():
        for style in genre.drums:
            assert all(len(pattern) == 4 * genre.beats for _, pattern in percussion_b.DRUM_PATTERNS[style])
        assert all(len(notes_b.CHORD_PATTERNS[name]) == 4 * genre.beats for name in genre.patterns)
    assert all(len(notes_b.BASS_LINES[name][1]) == 4 * genre.beats for name, genre in WORLD_B.genres.items())
    for name, genre in WORLD_C.genres.items():
        for style in genre.drums:
            assert all(len(pattern) == 4 * genre.beats for _, pattern in percussion_c.DRUM_PATTERNS[style])
        assert all(len(notes_c.CHORD_PATTERNS[name]) == 4 * genre.beats for name in genre.patterns)
        assert len(bass_c.BASS_LINES[name][1]) == 4 * genre.beats
        assert len(notes_c.CHORD_PATTERNS[WORLD_C.instruments.broken]) >= 4 * genre.beats


def test_no_instrument_of_the_third_world_is_idle():
    genres, known = WORLD_C.genres.values(), WORLD_C.instruments
    assert {name for genre in genres for name in genre.chords} == set(known.note_makers)
    assert {name for genre in genres for name in genre.leads} == set(known.leads)
    assert {style for genre in genres for style in genre.drums} == set(known.drum_patterns)
    assert {name for genre in genres for name in genre.patterns} == set(known.chord_patterns) - {known.broken}
    assert {name for pattern in known.drum_patterns.values() for name, _ in pattern} == set(percussion_c.KIT)


@pytest.mark.parametrize("world", WORLDS.values(), ids=lambda world: world.name)
def test_worlds_name_what_exists(world):
    known = world.instruments
    for genre in world.genres.values():
        assert set(genre.drums) <= set(known.drum_patterns)
        assert set(genre.chords) <= set(known.note_makers)
        assert set(genre.patterns) <= set(known.chord_patterns)
        assert set(genre.leads) <= set(known.leads)
    assert known.sustained | known.strummed <= set(known.note_makers) and known.broken in known.chord_patterns
    for name in world.voices.languages:
        language = voice_module.LANGUAGES[name]
        assert {*language.vowels, *language.glides} <= set(voice_module.VOWELS)
        assert set(language.consonants) <= set(voice_module.CONSONANTS)
    scales = world.harmony.scales.values()
    assert sum(scale.probability for scale in scales) == pytest.approx(1)
    assert all(len(scale.degrees) == 7 for scale in scales)


def vowel_targets(world):
    languages = [voice_module.LANGUAGES[name] for name in world.voices.languages]
    return {voice_module.VOWELS[vowel] for how in languages for vowel in (*how.vowels, *how.glides)}


def names_of(world):
    known, harmony = world.instruments, world.harmony
    return {
        "genres": set(world.genres),
        "chord instruments": set(known.note_makers) | set(known.note_makers.values()),
        "chord patterns": set(known.chord_patterns.values()),
        "drum styles": {repr(pattern) for pattern in known.drum_patterns.values()},
        "leads": set(known.leads),
        "bass": {known.play_bass},
        "drums": {known.play_drums},
        "voices": set(world.voices.kinds),
        "scales": {scale.melody or scale.degrees for scale in harmony.scales.values()},
        "chord scales": {scale.degrees for scale in harmony.scales.values()},
        "progressions": set(harmony.progressions),
        "forms": set(harmony.forms),
        "languages": set(world.voices.languages),
        "vowels": vowel_targets(world),
        "distortion": {"guitar"} if any(genre.distortion for genre in world.genres.values()) else set(),
        "vibrato depths": set(world.voices.habits.vibrato_depths),
    }


def pair_name(pair):
    return f"{pair[0].name} and {pair[1].name}"


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
@pytest.mark.parametrize("what", names_of(WORLD_A))
def test_worlds_share_nothing(what, pair):
    one, other = pair
    assert not names_of(one)[what] & names_of(other)[what]


def ranges_of(world):
    tracts = [tuple(kind.tract_scale * factor for factor in kind.tract_factor) for kind in world.voices.kinds.values()]
    return {
        "tract scale": tracts,
        "vibrato rate": world.voices.habits.vibrato_rates,
        "room": world.mix.decay_times,
    }


@pytest.mark.parametrize("pair", PAIRS, ids=pair_name)
@pytest.mark.parametrize("what", ranges_of(WORLD_A))
def test_ranges_of_worlds_do_not_touch(what, pair):
    one, another = pair
    for low, high in ranges_of(one)[what]:
        for other_low, other_high in ranges_of(another)[what]:
            assert high < other_low or other_high < low


def test_drums_of_worlds_b_and_c_are_others():
    assert not set(percussion_b.KIT) & set(percussion_c.KIT)
    assert not {line[0] for line in notes_b.BASS_LINES.values()} & {line[0] for line in bass_c.BASS_LINES.values()}


def test_third_world_has_the_slowest_and_the_fastest_songs_and_the_longest_and_shortest_tracts():
    def extremes(world):
        tempos = [genre.tempo for genre in world.genres.values()]
        tracts = ranges_of(world)["tract scale"]
        return [(min(low for low, _ in pairs), max(high for _, high in pairs)) for pairs in (tempos, tracts)]

    for other in (WORLD_A, WORLD_B):
        for (low, high), (other_low, other_high) in zip(extremes(WORLD_C), extremes(other), strict=True):
            assert low < other_low and other_high < high


def test_second_world_is_slower_and_faster_than_the_first():
    (low, high), (other_low, other_high) = (
        (min(g.tempo[0] for g in world.genres.values()), max(g.tempo[1] for g in world.genres.values()))
        for world in (WORLD_A, WORLD_B)
    )
    assert other_low < low and high < other_high


def test_drawn_singers_stay_in_their_worlds_ranges():
    for world in WORLDS.values():
        rng = np.random.default_rng(0)
        for singer in (voice_module.draw_singer(rng, world.voices) for _ in range(200)):
            assert any(low <= singer.tract_scale <= high for low, high in ranges_of(world)["tract scale"])
            rates = world.voices.habits.vibrato_rates
            assert any(low <= singer.gestures.vibrato_rate <= high for low, high in rates)
            assert singer.language in world.voices.languages


def test_worlds_share_no_song(songs_a, songs_b, songs_c):
    pairs = [
        *zip(songs_a, songs_b, strict=True),
        *zip(songs_c, songs_a, strict=False),
        *zip(songs_c, songs_b, strict=False),
    ]
    for one, other in pairs:
        assert abs(np.corrcoef(one.samples, other.samples)[0, 1]) < 0.2


def test_second_world_is_the_same_twice_and_in_a_fresh_process(songs_b, elsewhere):
    np.testing.assert_array_equal(load_samples(0, seed=0, seconds=SECONDS, world="synthetic-b"), songs_b[0].samples)
    assert elsewhere["synthetic-b"] == {index: digest(songs_b[index]) for index in range(4)}


def test_third_world_is_the_same_twice_and_in_a_fresh_process(songs_c, elsewhere):
    np.testing.assert_array_equal(load_samples(0, seed=0, seconds=SECONDS, world="synthetic-c"), songs_c[0].samples)
    assert elsewhere["synthetic-c"] == {index: digest(songs_c[index]) for index in (1, 6)}
