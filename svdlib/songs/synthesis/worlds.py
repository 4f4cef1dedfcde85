"""The worlds of the synthetic corpora: every table in which they differ."""

from svdlib.songs.synthesis import band, leads_b, notes_b, percussion_b
from svdlib.songs.synthesis.world import Genre, Habits, Harmony, Instruments, Kind, Mix, Scale, Voices, World

# ------------------------------------------------------------------------------------------------------- synthetic

SCALES = {
    "major": Scale(0.4, (0, 2, 4, 5, 7, 9, 11)),
    "minor": Scale(0.35, (0, 2, 3, 5, 7, 8, 10)),
    "dorian": Scale(0.12, (0, 2, 3, 5, 7, 9, 10)),
    "mixolydian": Scale(0.13, (0, 2, 4, 5, 7, 9, 10)),
}
PROGRESSIONS = (
    (0, 4, 5, 3), (0, 5, 3, 4), (0, 3, 4, 3), (5, 3, 0, 4), (0, 6, 5, 4), (0, 0, 3, 4), (1, 4, 0, 0), (0, 2, 3, 4),
)  # fmt: skip
FORMS = (
    ("intro", "verse", "chorus", "solo", "verse", "chorus", "outro"),
    ("verse", "chorus", "break", "verse", "solo", "chorus"),
    ("intro", "verse", "verse", "solo", "chorus", "outro"),
    ("chorus", "verse", "solo", "chorus", "break", "chorus"),
    ("intro", "verse", "break", "chorus", "solo", "chorus", "outro"),
)
GENRES = {
    "pop": Genre((85, 130), ("pop", "funk"), ("piano", "guitar", "strings", "electric piano"),
                 ("quarters", "strum", "whole", "syncopated"), 0.25, 1.0, (2, 11), 0.05, 0.2, 0.1,
                 ("saw", "square", "fm", "violin", "guitar", "sine")),
    "rock": Genre((95, 165), ("rock",), ("guitar", "organ", "piano"), ("eighths", "strum", "whole"),
                  0.6, 1.0, (-1, 9), 0.03, 0.7, 0.05, ("guitar", "guitar", "saw", "brass")),
    "metal": Genre((110, 190), ("metal", "rock"), ("guitar", "strings"), ("whole", "eighths"),
                   1.0, 1.0, (-2, 8), 0.03, 1.6, 0.0, ("guitar", "guitar", "saw", "square", "violin")),
    "folk": Genre((75, 135), ("latin", "ballad"), ("guitar", "guitar", "piano", "strings"),
                  ("strum", "eighths", "syncopated"), 0.0, 0.5, (3, 12), 0.0, 0.3, 0.2,
                  ("violin", "flute", "clarinet", "guitar")),
    "ballad": Genre((58, 90), ("ballad", "pop"), ("piano", "strings", "electric piano", "guitar"),
                    ("whole", "halves", "eighths"), 0.1, 0.75, (3, 12), 0.0, 0.1, 0.0,
                    ("violin", "flute", "clarinet", "brass", "sine")),
    "electronic": Genre((100, 140), ("electronic", "hiphop"), ("strings", "electric piano", "organ"),
                        ("off-beat", "whole", "syncopated", "eighths"), 0.05, 1.0, (1, 10), 0.1, 0.1, 0.0,
                        ("saw", "square", "fm", "sine", "saw")),
    "reggae": Genre((70, 95), ("reggae",), ("organ", "guitar", "piano"), ("skank", "off-beat"),
                    0.1, 1.0, (1, 10), 0.15, 0.4, 0.3, ("brass", "clarinet", "flute", "guitar")),
    "hiphop": Genre((72, 105), ("hiphop", "funk"), ("electric piano", "strings", "piano", "guitar"),
                    ("whole", "halves", "syncopated"), 0.1, 1.0, (2, 12), 0.7, 0.4, 0.2,
                    ("saw", "sine", "fm", "brass", "flute", "square")),
}  # fmt: skip
HABITS = Habits(
    hard_tuned=0.12,
    glide=(0.03, 0.16),
    scoop=(0.15, 0.8),
    fall=(0.0, 0.4),
    arch=(0.1, 1.2),
    vibrato_rates=((4.5, 6.8),),
    vibrato_depths=(0.05, 0.2, 0.35, 0.6),
    depth_probabilities=(0.25, 0.35, 0.25, 0.15),
    vibrato_delay=(0.1, 0.5),
    drift=(0.08, 0.4),
)
VOICES = Voices(
    kinds={
        "man": Kind(0.45, 1.0, (0.93, 1.07), 54.0, (-4.0, 5.0)),
        "woman": Kind(0.47, 1.17, (0.93, 1.07), 63.5, (-4.0, 5.0)),
        "child": Kind(0.08, 1.3, (0.93, 1.07), 67.0, (-4.0, 5.0)),  # or a very light voice
    },
    formant_offset=(0.94, 1.06),
    rd=(0.5, 1.5),
    breath=(-2.2, -0.9),
    singers_formants=(0.0, 0.4, 1.0),
    formant_probabilities=(0.45, 0.35, 0.2),
    diction=(0.7, 2.6),
    languages=("english", "spanish", "french", "german", "italian", "japanese"),
    habits=HABITS,
)
MIX = Mix(
    equaliser=2.5,
    tilt=(0, 0),
    presence=(1, 8),
    decay_times=((0.3, 1.8),),
    wet=(-1.8, -0.7),
    room_pole=0.65,
    hiss=(-76, -54),
    loudness=(-18, 1.5),
    compression=(0.0, 0.25),
    drive=(1.0, 2.0),
    section_span=(3, 16),
)
SYNTHETIC = World("synthetic", (), GENRES, VOICES, Harmony(SCALES, PROGRESSIONS, FORMS), band.INSTRUMENTS, MIX)

# ----------------------------------------------------------------------------------------------------- synthetic-b
# Whatever can be disjoint from the world above is: genres, instruments, patterns, scales, chords, forms, languages and
# their vowels, the lengths of vocal tracts, rates of vibrato, rooms. Tests hold it to that.

SCALES_B = {
    "harmonic minor": Scale(0.35, (0, 2, 3, 5, 7, 8, 11)),
    "phrygian": Scale(0.12, (0, 1, 3, 5, 7, 8, 10)),
    "lydian": Scale(0.15, (0, 2, 4, 6, 7, 9, 11)),
    "harmonic major": Scale(0.1, (0, 2, 4, 5, 7, 8, 11)),
    "major pentatonic": Scale(0.16, (0, 2, 4, 6, 7, 9, 11), (0, 2, 4, 7, 9)),
    "minor pentatonic": Scale(0.12, (0, 1, 3, 5, 7, 8, 10), (0, 3, 5, 7, 10)),
}
PROGRESSIONS_B = (
    (0, 3, 0, 4), (0, 5, 1, 4), (0, 1, 0, 1), (3, 4, 0, 5), (0, 2, 5, 1), (0, 0, 4, 4), (0, 1, 4, 0, 3, 0, 4, 0),
    (0, 0, 0, 0, 3, 3, 0, 0, 4, 3, 0, 4),
)  # fmt: skip
FORMS_B = (
    ("intro", "verse", "verse", "chorus", "verse", "solo", "outro"),
    ("verse", "solo", "verse", "chorus", "solo", "verse"),
    ("intro", "chorus", "verse", "chorus", "break", "solo", "chorus"),
    ("solo", "verse", "chorus", "verse", "chorus", "outro"),
)
GENRES_B = {
    "bossa": Genre((62, 84), ("bossa", "tumbao"), ("vibraphone", "harp", "reed piano", "marimba"), ("bossa", "stabs"),
                   0.0, 0.9, (3, 12), 0.0, 0.0, 0.05, ("muted trumpet", "harmonica", "oboe", "hollow synth")),
    "waltz": Genre((132, 205), ("waltz", "waltz box"), ("accordion", "harp", "harpsichord", "pizzicato"),
                   ("oom-pah-pah", "six-eight", "dotted"), 0.0, 0.6, (3, 12), 0.0, 0.3, 0.0,
                   ("fiddle", "oboe", "mandolin"), beats=3),
    "swing": Genre((62, 112), ("brushes",), ("horns", "vibraphone", "reed piano"),
                   ("charleston", "stabs", "after-beats"), 0.0, 1.0, (0, 10), 0.0, 0.5, 0.6,
                   ("muted trumpet", "muted trumpet", "oboe", "harmonica")),
    "country": Genre((96, 150), ("train", "cajon"), ("banjo", "pizzicato", "accordion"),
                     ("after-beats", "gallop", "rolling"), 0.0, 0.85, (2, 11), 0.0, 0.4, 0.1,
                     ("fiddle", "mandolin", "harmonica")),
    "disco": Genre((108, 134), ("disco",), ("horns", "reed piano", "pizzicato", "steel pan"),
                   ("stabs", "after-beats", "gallop", "bossa"), 0.0, 1.0, (0, 9), 0.1, 0.1, 0.0,
                   ("hollow synth", "ring synth", "muted trumpet")),
    "drum and bass": Genre((160, 182), ("break", "two-step"), ("celesta", "marimba", "reed piano", "harp"),
                           ("long short", "stabs", "charleston"), 0.0, 1.0, (0, 9), 0.25, 0.2, 0.0,
                           ("ring synth", "hollow synth", "hollow synth")),
    "blues": Genre((96, 165), ("shuffle",), ("reed piano", "accordion", "banjo"), ("six-eight", "dotted"),
                   0.0, 0.9, (1, 10), 0.05, 0.9, 0.0, ("harmonica", "harmonica", "fiddle", "muted trumpet"), beats=3),
    "orchestral": Genre((44, 74), ("march",), ("harp", "pizzicato", "horns", "celesta"),
                        ("long short", "tremolo", "rolling"), 0.0, 0.5, (2, 11), 0.0, 0.0, 0.0,
                        ("oboe", "fiddle", "muted trumpet")),
}  # fmt: skip
HABITS_B = Habits(
    hard_tuned=0.05,
    glide=(0.05, 0.22),
    scoop=(0.05, 0.6),
    fall=(0.1, 0.6),
    arch=(0.2, 0.9),
    vibrato_rates=((3.6, 4.4), (6.9, 7.8)),
    vibrato_depths=(0.1, 0.28, 0.45, 0.8),
    depth_probabilities=(0.3, 0.35, 0.25, 0.1),
    vibrato_delay=(0.05, 0.8),
    drift=(0.05, 0.3),
)
VOICES_B = Voices(
    # Between and beyond the tracts of the other world: of 19.5, 16.2 and 12.2 cm where an adult male's has 17.5.
    kinds={
        "bass": Kind(0.38, 0.895, (0.96, 1.035), 49.0, (-3.0, 4.0)),
        "tenor or alto": Kind(0.47, 1.0795, (0.994, 1.006), 58.5, (-4.0, 4.0)),
        "small child": Kind(0.15, 1.435, (0.976, 1.024), 70.0, (-2.0, 4.0)),
    },
    formant_offset=(0.92, 1.08),
    rd=(0.7, 2.0),
    breath=(-2.0, -0.7),
    singers_formants=(0.0, 0.25, 0.7),
    formant_probabilities=(0.4, 0.35, 0.25),
    diction=(0.5, 2.2),
    languages=("portuguese", "swedish", "hungarian", "turkish", "mandarin", "arabic"),
    habits=HABITS_B,
)
INSTRUMENTS_B = Instruments(
    note_makers=notes_b.NOTE_MAKERS,
    sustained=notes_b.SUSTAINED,
    strummed=notes_b.STRUMMED,
    chord_patterns=notes_b.CHORD_PATTERNS,
    broken="rolling",
    drum_patterns=percussion_b.DRUM_PATTERNS,
    play_drums=percussion_b.percussion_track,
    play_bass=notes_b.bass_line,
    leads=leads_b.LEADS,
    draw_lead=leads_b.draw_lead,
    play_lead=leads_b.play_lead,
)
MIX_B = Mix(
    equaliser=3.0,
    tilt=(-1.5, 1.5),
    presence=(0, 6),
    decay_times=((0.08, 0.25), (1.9, 3.2)),  # a booth, a hall
    wet=(-1.6, -0.6),
    room_pole=0.4,
    hiss=(-70, -48),
    loudness=(-21, 1.5),  # nearer to broadcasting's -23 than to a record
    compression=(0.25, 0.45),
    drive=(0.4, 1.0),
    section_span=(0, 10),
)
SYNTHETIC_B = World(
    "synthetic-b", (2,), GENRES_B, VOICES_B, Harmony(SCALES_B, PROGRESSIONS_B, FORMS_B), INSTRUMENTS_B, MIX_B
)

WORLDS = {world.name: world for world in (SYNTHETIC, SYNTHETIC_B)}
