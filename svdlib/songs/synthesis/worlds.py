"""The worlds of the synthetic corpora: every table in which they differ."""

from svdlib.songs.synthesis import band, bass_c, leads_b, leads_c, notes_b, notes_c, percussion_b, percussion_c
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

# ----------------------------------------------------------------------------------------------------- synthetic-c
# Disjoint from both worlds above in the same things. Tracts lie in the gaps that those leave, and beyond them.

SCALES_C = {
    "phrygian dominant": Scale(0.2, (0, 1, 4, 5, 7, 8, 10)),
    "double harmonic": Scale(0.1, (0, 1, 4, 5, 7, 8, 11)),
    "melodic minor": Scale(0.18, (0, 2, 3, 5, 7, 9, 11)),
    "mixolydian with a flat sixth": Scale(0.16, (0, 2, 4, 5, 7, 8, 10)),
    "lydian dominant": Scale(0.12, (0, 2, 4, 6, 7, 9, 10)),
    "scottish hexatonic": Scale(0.12, (0, 2, 4, 6, 7, 9, 10), (0, 2, 4, 7, 9, 10)),
    "blues hexatonic": Scale(0.12, (0, 2, 3, 6, 7, 8, 10), (0, 3, 6, 7, 10)),
}
PROGRESSIONS_C = (
    (0, 1, 2, 1), (3, 2, 1, 0), (0, 0, 0, 0), (0, 6, 0, 6), (0, 3, 6, 3), (0, 6, 3, 0), (5, 6, 0, 0), (0, 5, 6, 0),
    (0, 0, 6, 6, 5, 5, 4, 4), (0, 3, 0, 6, 0, 3, 4, 0),
)  # fmt: skip
FORMS_C = (
    ("verse", "break", "verse", "solo", "chorus", "chorus", "outro"),
    ("intro", "verse", "solo", "verse", "chorus", "break", "chorus"),
    ("chorus", "break", "verse", "chorus", "solo", "verse"),
    ("intro", "solo", "verse", "chorus", "verse", "solo", "chorus"),
    ("verse", "chorus", "solo", "verse", "chorus", "break", "outro"),
)
GENRES_C = {
    "soul": Genre((68, 116), ("backbeat", "stomp"), ("clavinet", "string machine", "kalimba", "glass"),
                  ("chop", "sixteenths", "pushed"), 0.0, 1.0, (1, 10), 0.03, 0.6, 0.35,
                  ("soprano saxophone", "slide guitar", "vowel synth", "cello")),
    "punk": Genre((158, 214), ("fast two", "d-beat"), ("fuzz guitar", "fuzz guitar", "clavinet"),
                  ("downstrokes", "pushed"), 0.0, 1.0, (0, 9), 0.1, 1.3, 0.0,
                  ("slide guitar", "acid synth", "soprano saxophone")),
    "trap": Genre((62, 82), ("half time", "rolling hats"), ("music box", "tubular bells", "kalimba", "glass"),
                  ("pushed", "late", "sighs"), 0.0, 1.0, (2, 11), 0.5, 0.3, 0.1,
                  ("theremin", "vowel synth", "bansuri", "acid synth")),
    "flamenco": Genre((118, 186), ("palms of twelve", "palms alone"), ("nylon guitar", "nylon guitar", "koto"),
                      ("rasgueado", "buleria", "vamp"), 0.0, 0.8, (2, 11), 0.0, 0.9, 0.0,
                      ("duduk", "cello", "bansuri"), beats=3),
    "raga": Genre((46, 84), ("tala", "slow tala"), ("tanpura", "sitar", "harmonium"), ("drone", "tal", "sixteenths"),
                  0.0, 0.8, (2, 11), 0.0, 0.2, 0.0, ("bansuri", "erhu", "duduk", "soprano saxophone")),
    "celtic": Genre((98, 168), ("reel drum", "jig drum"), ("bagpipe", "dulcimer", "harmonium"), ("jig", "vamp"),
                    0.0, 0.75, (2, 11), 0.0, 0.3, 0.0, ("tin whistle", "chanter", "tin whistle", "cello"), beats=3),
    "techno": Genre((118, 148), ("four floor", "broken floor"), ("supersaw", "string machine", "tubular bells"),
                    ("pulse", "late", "chop", "pushed"), 0.0, 1.0, (0, 9), 0.15, 0.1, 0.0,
                    ("acid synth", "vowel synth", "theremin")),
    "balkan": Genre((188, 268), ("seven", "seven rolled"), ("dulcimer", "harmonium", "nylon guitar"),
                    ("after three", "three two two"), 0.0, 0.95, (0, 8), 0.0, 0.6, 0.0,
                    ("chanter", "duduk", "erhu", "soprano saxophone"), beats=7),
    "aria": Genre((42, 78), ("procession", "parade"), ("glass", "koto", "harmonium", "string machine"),
                  ("arco", "sighs", "drone"), 0.0, 0.5, (2, 11), 0.0, 0.0, 0.0,
                  ("musical saw", "cello", "theremin", "erhu")),
}  # fmt: skip
HABITS_C = Habits(
    hard_tuned=0.16,
    glide=(0.02, 0.25),
    scoop=(0.1, 0.7),
    fall=(0.0, 0.5),
    arch=(0.15, 1.0),
    # A slow wobble, the two gaps between the other worlds' rates, twice each, and a bleat.
    vibrato_rates=((2.8, 3.5), (4.42, 4.48), (4.42, 4.48), (6.82, 6.88), (6.82, 6.88), (7.9, 9.0)),
    vibrato_depths=(0.0, 0.15, 0.4, 0.7),
    depth_probabilities=(0.25, 0.3, 0.3, 0.15),
    vibrato_delay=(0.08, 0.9),
    drift=(0.06, 0.35),
)
VOICES_C = Voices(
    # Tracts of 21.2, 18.9, 16.3, 16.1, 12.5 and 11.7 cm.
    kinds={
        "giant": Kind(0.1, 0.825, (0.97, 1.03), 46.0, (-2.0, 4.0)),
        "baritone": Kind(0.26, 0.9282, (0.9987, 1.0013), 51.5, (-4.0, 5.0)),
        "countertenor": Kind(0.24, 1.0715, (0.9989, 1.0011), 60.0, (-4.0, 5.0)),
        "mezzo": Kind(0.28, 1.08705, (0.9995, 1.0005), 64.5, (-4.0, 6.0)),
        "treble": Kind(0.08, 1.396, (0.9975, 1.0025), 69.0, (-3.0, 4.0)),
        "little one": Kind(0.04, 1.5, (0.982, 1.018), 71.0, (-2.0, 3.0)),
    },
    formant_offset=(0.91, 1.09),
    rd=(0.45, 2.3),
    breath=(-1.9, -0.55),
    singers_formants=(0.0, 0.55, 0.9),
    formant_probabilities=(0.45, 0.3, 0.25),
    diction=(0.6, 2.8),
    languages=("dutch", "polish", "greek", "korean", "hindi", "finnish", "georgian", "scots"),
    habits=HABITS_C,
)
INSTRUMENTS_C = Instruments(
    note_makers=notes_c.NOTE_MAKERS,
    sustained=notes_c.SUSTAINED,
    strummed=notes_c.STRUMMED,
    chord_patterns=notes_c.CHORD_PATTERNS,
    broken="ripple",
    drum_patterns=percussion_c.DRUM_PATTERNS,
    play_drums=percussion_c.percussion_track,
    play_bass=bass_c.bass_line,
    leads=leads_c.LEADS,
    draw_lead=leads_c.draw_lead,
    play_lead=leads_c.play_lead,
)
MIX_C = Mix(
    equaliser=3.0,
    tilt=(-1.0, 1.2),
    presence=(0, 7),
    decay_times=((0.04, 0.07), (0.26, 0.29), (1.81, 1.89), (3.3, 4.2)),  # a car, a small room, a theatre, a church
    wet=(-1.7, -0.75),
    room_pole=0.2,
    hiss=(-72, -46),
    loudness=(-15, 1.5),  # as streamed: limited rather than driven
    compression=(0.45, 0.55),
    drive=(0.15, 0.35),
    section_span=(0, 9),
)
SYNTHETIC_C = World(
    "synthetic-c", (3,), GENRES_C, VOICES_C, Harmony(SCALES_C, PROGRESSIONS_C, FORMS_C), INSTRUMENTS_C, MIX_C
)

WORLDS = {world.name: world for world in (SYNTHETIC, SYNTHETIC_B, SYNTHETIC_C)}
