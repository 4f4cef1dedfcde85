# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # How a song is made: the voice
#
# **What are our songs made of, and what makes a voice a voice?**
#
# :::{admonition} Before you start
# :class: tip dropdown
# **What you will learn**
# - why this book makes its own songs, and what it gains and loses by that;
# - how a program can sing: a source, a filter that moves, and gestures of pitch.
#
# **Prerequisites:** some Python. Headphones. You need not know how a spectrogram is computed; {doc}`01_model` explains it. Here it is a picture with time to the right, pitch upwards, and bright for loud.
#
# **Minutes:** 14 to read, 25 for the exercises, less than one to run.
# :::

# %% tags=["parameters", "hide-input"] mystnb={"code_prompt_show": "Show the values of a run"}
profile = "demo"
corpus = "synthetic"
device = "cpu"
seed = 0

# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show the set-up"}
from dataclasses import replace
from itertools import pairwise

import numpy as np
from IPython.display import Markdown, display

import svdlib
from svdlib.audio.mel_axis import HOP_LENGTH, SAMPLE_RATE
from svdlib.lab.figures import synthesis as figures
from svdlib.lab.figures.gallery import Gallery, Panel
from svdlib.lab.figures.synthesis import Picture, Sound
from svdlib.pages.exercises import self_check
from svdlib.pages.quiz import Answer, Question, Quiz
from svdlib.songs.synthesis import render_song, voice
from svdlib.songs.synthesis.voice import Gestures, Note, Singer, Syllable

to_log_mel = svdlib.LogMel()


def log_mel_of(samples):
    """The spectrogram of a sound, set to a loudness that is the same for all."""
    samples = np.asarray(samples, dtype=np.float32)
    return to_log_mel(samples * (0.08 / np.sqrt(np.mean(samples**2))))


# %% tags=["hide-input"] mystnb={"code_prompt_show": "Show how the song is made"}
index, seconds = 0, 40.0
song = render_song(index, seed=seed, seconds=seconds)
sung = np.zeros(len(song.samples), dtype=bool)
for start, end in song.segments:
    sung[round(start * SAMPLE_RATE) : round(end * SAMPLE_RATE)] = True

# %% tags=["hide-input"] figure="stems" mystnb={"image": {"alt": "Log-mel spectrograms of the voice, the band and the mix below each other on one colour scale, and a black bar where the labels say sung. The voice's harmonics can be found again in the mix, between the band's."}}
length = 6.0
rests = [
    (start - end, end) for (_, end), (start, _) in pairwise(song.segments)
] or [(0.0, seconds / 2)]
from_second = float(np.clip(max(rests)[1] - 4.0, 0, seconds - length))
part = slice(
    round(from_second * SAMPLE_RATE),
    round((from_second + length) * SAMPLE_RATE),
)
stems = {
    "voice": song.voice[part],
    "band": song.band[part],
    "mix": song.samples[part],
}
stem_mels = {name: to_log_mel(sound) for name, sound in stems.items()}
n_frames = len(stem_mels["mix"])
figures.figure_stems(
    stem_mels, sung[part][::HOP_LENGTH][:n_frames], from_second
)

# %% tags=["hide-input"]
Gallery(
    [
        Sound(name.capitalize(), stem_mels[name], samples=sound)
        for name, sound in stems.items()
    ]
)

# %% [markdown]
# Six seconds of a song that a program wrote, sang and played: the voice alone, the band alone, and both. All three pictures have one colour scale, so brightness can be compared. The players are set to one loudness each, so it can *not* be compared by ear. Where the bar below is black, look for the voice's lines in the mix. Some are plain, some are buried
# under the band. To find them is the detector's task.
#
# ## Why make songs by a program?
#
# The paper learns from recorded songs {cite}`ramona2008`. Their licences do not let us pass them on. So this book brings songs that a program composes, sings and plays. Nothing has to be downloaded.
#
# There are two more gains. The **labels are exact**: the program knows when it sings, so nobody has to listen and write it down. And the **stems** are there: the voice alone and the band alone, whose sum is the song. With a finished recording one cannot have them.
#
# The price is that these songs are not music as people make it. {doc}`00b_songs_and_corpus` says how to measure the difference.
#
# ## The voice
#
# ### The source: the vocal folds
#
# When we sing, the vocal folds open and close some hundred times a second. Each time they let a puff of air through. How often they do it is the **pitch**. How abruptly they close decides how rich the sound is.
#
# The program draws one such puff with the model of {cite:t}`fant1985`. A single number, called *Rd*, shapes it {cite}`fant1995`. A small Rd is a pressed voice, whose folds snap shut. A large Rd is a breathy voice, whose folds close softly.

# %%
pitch = 110.0  # Hz, the A of a low male voice
names = {0.5: "pressed, Rd 0.5", 1.0: "usual, Rd 1.0", 2.5: "breathy, Rd 2.5"}
spectra = {name: voice.glottal_spectrum(rd) for rd, name in names.items()}

# %% tags=["hide-input"] figure="glottal-pulses" mystnb={"image": {"alt": "Left: one period of the glottal pulse for three values of Rd. All have one sharp dip; the dip of the pressed voice is the sharpest. Right: the levels of the harmonics, which fall fastest for the breathy voice."}}
pulses = {
    name: np.fft.irfft(np.concatenate([[0], spectrum]))
    for name, spectrum in spectra.items()
}
figures.figure_glottal_pulses(pulses, spectra)


# %% tags=["remove-input"]
def level_of(spectrum, harmonic):
    return 20 * np.log10(abs(spectrum[harmonic - 1] / spectrum[0]))


at_16 = [level_of(spectrum, 16) for spectrum in spectra.values()]
display(
    Markdown(
        "On the left, the dip is the moment of closing. The sharper it is, the more high harmonics there are. "
        f"The 16th harmonic lies {-at_16[0]:.0f} dB below the first in the pressed voice and {-at_16[2]:.0f} dB below it in the breathy one. "
        "Listen: this is a buzz, not yet a voice."
    )
)


# %%
def steady(spectrum, seconds=1.2):
    frequency = np.full(round(seconds * SAMPLE_RATE), pitch)
    return voice.oscillate(frequency, spectrum)


buzzes = {name: steady(spectrum) for name, spectrum in spectra.items()}

# %% tags=["hide-input"]
Gallery(
    [
        Sound(f"Source, {name}", log_mel_of(buzz), samples=buzz)
        for name, buzz in buzzes.items()
    ]
)

# %% [markdown]
# ### The filter: the vocal tract
#
# Between the vocal folds and the lips lies a tube, the **vocal tract**. It makes some frequencies louder: its resonances, called **formants**, F1, F2, F3 and so on. Tongue, jaw and lips move them. Where F1 and F2 lie is what we hear as a vowel.
#
# One resonance is a small filter {cite}`klatt1980`. It has a frequency and a **bandwidth**, the width of its peak. The tract is a chain of them, so their gains are multiplied. The positions are those measured by {cite:t}`peterson1952`, rounded.

# %%
BANDWIDTHS = [80, 100, 150, 200, 250]  # Hz


def formants_of(vowel):
    return np.array([*voice.VOWELS[vowel], 3500, 4400])  # Hz


def tract_gain(frequencies, formants):
    """What a chain of resonators multiplies each frequency with."""
    z = np.exp(-2j * np.pi * frequencies / SAMPLE_RATE)
    gain = np.ones(len(frequencies))
    for formant, bandwidth in zip(formants, BANDWIDTHS, strict=True):
        radius = np.exp(-np.pi * bandwidth / SAMPLE_RATE)
        a = -2 * radius * np.cos(2 * np.pi * formant / SAMPLE_RATE)
        b = radius**2
        gain *= (1 + a + b) / abs(1 + a * z + b * z**2)
    return gain


frequencies = np.linspace(0, 5000, 1001)
gains = {
    vowel: tract_gain(frequencies, formants_of(vowel)) for vowel in "iau"
}

# %% tags=["hide-input"] figure="vowels" mystnb={"image": {"alt": "Three panels for the vowels i, a and u. In each, the same falling row of harmonics passes a curve with five peaks, and comes out with the peaks of that curve. In i the first two peaks are far apart, in a close together, in u both low."}}
figures.figure_vowels(
    frequencies,
    gains,
    pitch,
    spectra[names[1.0]],
    {vowel: voice.VOWELS[vowel] for vowel in "iau"},
)

# %% [markdown]
# The grey dots are the same in all three panels: one source. The orange curves differ: three positions of the tongue. The blue lines are what leaves the lips. In /i/, as in *see*, F1 is low and F2 is high. In /a/ they are near each other. In /u/, as in *you*, both are low.
#
# In the code, `filter_by_tract` does the same to a sound. It takes one row of formants for every 256 samples, so that they may move.


# %%
def through_tract(source, formants):
    rows = len(source) // voice.TRACT_HOP + 1
    shapes = np.tile(formants, (rows, 1))
    widths = np.tile(BANDWIDTHS, (rows, 1))
    return voice.filter_by_tract(source, shapes, widths, np.zeros(rows))


usual = buzzes[names[1.0]]
vowels = {vowel: through_tract(usual, formants_of(vowel)) for vowel in "iau"}

# %% tags=["hide-input"]
Gallery(
    [
        Panel(f"The same source, /{vowel}/", log_mel_of(sound), samples=sound)
        for vowel, sound in vowels.items()
    ]
)

# %% [markdown]
# Compare the pictures. The lines stay where they are, since they are the harmonics of one pitch. What changes from vowel to vowel is which of them are bright.
#
# ### Pitch gestures
#
# A singer's pitch is not a staircase. It **glides** from note to note. It may **scoop**: start below a note and rise into it. On long notes there is often **vibrato**, a wave about five or six times a second. We switch these on one after the other.

# %% tags=["hide-input"]
plain = Gestures(
    glide=0.005,  # seconds from one note to the next
    scoop=0.0,  # probability of a scoop at a note's beginning
    fall=0.0,  # probability of a fall at its end
    arch=0.0,  # semitones of rise or sag within a note
    vibrato_rate=5.5,  # Hz
    vibrato_depth=0.0,  # semitones
    vibrato_delay=0.25,  # seconds until the vibrato is there
    drift=0.0,  # semitones of slow mistuning
)
styles = {
    "Steps only": plain,
    "With glides": replace(plain, glide=0.16),
    "With scoops": replace(plain, glide=0.05, scoop=1.0),
    "With vibrato": replace(plain, glide=0.05, vibrato_depth=0.6),
}
three_notes = [Note(0.0, 0.7, 57), Note(0.7, 0.7, 62), Note(1.4, 1.0, 59)]


def on_one_vowel(gestures):
    rng = np.random.default_rng(seed)
    n_controls = round(2.4 * voice.CONTROL_RATE)
    contour = voice.pitch_contour(three_notes, 0.0, n_controls, gestures, rng)
    hertz = voice.hertz(contour)
    moving = voice.to_samples(hertz, n_controls * voice.CONTROL_HOP)
    source = voice.oscillate(moving, spectra[names[1.0]])
    return hertz, through_tract(source, formants_of("a"))


gestures_shown = {name: on_one_vowel(how) for name, how in styles.items()}

# %% tags=["hide-input"]
Gallery(
    [
        Picture(
            name,
            log_mel_of(sound),
            samples=sound,
            drawing=figures.small_picture(
                log_mel_of(sound), hertz, voice.CONTROL_RATE
            ),
            shows=f"A blue line is the pitch, between {hertz.min():.0f} and {hertz.max():.0f} Hz",
        )
        for name, (hertz, sound) in gestures_shown.items()
    ]
)

# %% [markdown]
# The blue line is the pitch that the program was given. All harmonics move along with it, and the higher ones by more hertz. Remember the shape of the vibrato: many detectors, and many people, take it for *the* sign of a voice.
#
# ### Consonants
#
# Consonants are short events before a vowel. Some are noise (/s/), some are a silence and a burst (/t/), some close the mouth and sound through the nose (/m/). All of them also *pull the formants* to another place for a moment, because the mouth has to move there and back.
#
# Now everything comes together: a singer, eight notes and eight syllables.

# %% tags=["hide-input"]
singer = Singer(
    tract_scale=1.0,  # an adult man's; women's formants lie about 17 % higher
    formant_offsets=(1.0, 1.0, 1.0, 1.0, 1.0),
    centre=57.0,  # the middle of the range, 57 is the A at 220 Hz
    rd=1.0,
    breath=0.03,
    singers_formant=0.4,  # how far F3 to F5 draw together near 3 kHz
    roughness=0.0,
    diction=1.6,  # how clear the consonants are
    gestures=replace(
        plain, glide=0.08, scoop=0.6, vibrato_depth=0.4, arch=0.3, drift=0.15
    ),
    language="italian",
)
words = "ma li so te nu da ri ko".split()
pitches = [57, 59, 60, 64, 62, 60, 59, 57]
lengths = [0.45, 0.45, 0.45, 0.9, 0.45, 0.45, 0.45, 0.9]
starts = 0.2 + np.concatenate([[0], np.cumsum(lengths)[:-1]])
melody = [
    Note(start, length, pitch, Syllable(word[0], word[1], word[1]))
    for start, length, pitch, word in zip(
        starts, lengths, pitches, words, strict=True
    )
]


def sing(notes, who, chance=seed):
    rng = np.random.default_rng(chance)
    return voice.sing(notes, voice.consonant_times(notes, rng), who, rng)


sung_phrase = sing(melody, singer)

# %% tags=["hide-input"] figure="sung-phrase" mystnb={"image": {"alt": "Log-mel spectrogram of the sung phrase. A line marks the pitch, which glides and waves; three dotted lines mark the formants, which jump from syllable to syllable. The syllables stand above the picture."}}
# The same random numbers give the same tracks that the singer used.
rng = np.random.default_rng(seed)
consonants = voice.consonant_times(melody, rng)
begin, end = voice.phrase_span(melody, consonants)
n_controls = (
    round((end - begin + 0.03) * SAMPLE_RATE) // voice.CONTROL_HOP + 2
)
tracks = voice.articulate(melody, consonants, singer, begin, n_controls, rng)
contour = voice.pitch_contour(melody, begin, n_controls, singer.gestures, rng)
figures.figure_sung_phrase(
    log_mel_of(sung_phrase),
    voice.hertz(contour),
    tracks.formants[:, :3],
    voice.CONTROL_RATE,
    [
        (note.start - length - begin, word)
        for note, length, word in zip(melody, consonants, words, strict=True)
    ],
)

# %% tags=["hide-input"]
vowels_only = [
    replace(note, syllable=Syllable("", word[1], word[1]))
    for note, word in zip(melody, words, strict=True)
]
without = sing(vowels_only, singer)
Gallery(
    [
        Sound("The phrase", log_mel_of(sung_phrase), samples=sung_phrase),
        Sound(
            "The same without consonants",
            log_mel_of(without),
            samples=without,
        ),
    ]
)

# %% [markdown]
# Two kinds of movement lie on top of each other. The pitch moves by the melody and its gestures. The formants move by the words, and mostly *jump* when a new syllable begins. Look at /s/ and /t/: bright patches at the top where for a moment there are no harmonics.

# %% [markdown]
# {doc}`00b_songs_and_corpus` gives the singer a band, and asks what sets it apart from an instrument with the same melody.

# %% [markdown]
# ## Check yourself
#
# Choose an answer, and a comment appears.

# %% tags=["quiz", "remove-input"] jupyter={"source_hidden": true}
Quiz(
    Question(
        "Somebody sings a note an octave higher, on the same vowel. What happens to the formants?",
        [
            Answer(
                "They stay, over harmonics farther apart.",
                "The formants belong to the vowel, that is, to the shape of the mouth. The harmonics lie twice as far apart.",
                right=True,
            ),
            Answer(
                "They move up by an octave.",
                "That happens when a recording is played twice as fast, and then the singer sounds like a mouse. Source and filter are separate.",
            ),
            Answer(
                "Each moves to the harmonic next to it.",
                "The brightest line near a formant does change, so the picture seems to say so. But the resonance stays where the mouth puts it, between two harmonics if need be.",
            ),
        ],
    ),
)

# %% [markdown]
# ## Take-away
#
# - A voice is a buzz through a moving filter. The pitch moves with the melody, the formants with the words.
# - Songs by a program have exact labels, and the voice alone beside the band alone. They are not music as people make it.
#
# ## Exercises
#
# Each exercise has two hints, folded, and a cell to fill in. Its last line hands your answer to a check, which says what is still wrong. The solutions are folded; they and their checks are run whenever this book is built.

# %% [markdown]
# (exercise-vowel)=
# ### Exercise 1: Make a vowel
#
# *Easy, 10 minutes.*
#
# Make the vowel /e/, as in the French *été*: 1.2 s of sound, from the usual source at the pitch of this chapter. The sound `usual` is that source, and `voice.VOWELS["e"]` has F1 to F3. What else did this chapter use to make /i/, /a/ and /u/?
#
# :::{dropdown} First hint
# The chapter made /i/, /a/ and /u/ in two steps: a source, and a filter with formants. You need the same two, once.
# :::
#
# :::{dropdown} Second hint
# `formants_of` gives the five formants of a vowel by its name, and `through_tract` sends a source through them.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
def levels_at_harmonics(sound):
    """Amplitude of each harmonic of `pitch` up to 4 kHz."""
    middle = np.asarray(sound)[2205:-2205]
    times = np.arange(len(middle)) / SAMPLE_RATE
    window = np.hanning(len(middle))
    harmonics = pitch * np.arange(1, int(4000 / pitch) + 1)
    return harmonics, np.array(
        [
            abs(np.sum(window * middle * np.exp(-2j * np.pi * f * times)))
            for f in harmonics
        ]
    )


@self_check
def check_vowel(sound, vowel="e"):
    assert abs(len(sound) / SAMPLE_RATE - 1.2) < 0.1, "Make 1.2 s of sound."
    harmonics, made = levels_at_harmonics(sound)
    _, source = levels_at_harmonics(usual)
    gain = made / source
    assert gain[::2].max() > 0.05 * gain[1::2].max(), (
        f"Every other harmonic of {pitch:.0f} Hz is missing: the pitch is too high."
    )
    for name, low, high, target in (
        ("F1", 150, 1000, voice.VOWELS[vowel][0]),
        ("F2", 1000, 2450, voice.VOWELS[vowel][1]),
    ):
        inside = (harmonics > low) & (harmonics < high)
        found = harmonics[inside][gain[inside].argmax()]
        assert abs(found - target) < pitch, (
            f"{name} seems to lie near {found:.0f} Hz; it should be near {target} Hz."
        )
    off = 20 * np.log10(gain / tract_gain(harmonics, formants_of(vowel)))
    assert np.ptp(off) < 3, (
        "F1 and F2 are about right, but some harmonics are too loud or too soft. Is it the usual source, filtered once, with exactly the formants of the vowel?"
    )
    return "That is the vowel."


# %% tags=["exercise"]
vowel = ...

check_vowel(vowel)

# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
vowel = through_tract(usual, formants_of("e"))
display(check_vowel(vowel))
Gallery([Panel("The vowel /e/", log_mel_of(vowel), samples=vowel)])

# %% [markdown]
# (exercise-tilt)=
# ### Exercise 2: Measure the tilt
#
# *Easy, 15 minutes.*
#
# *Spectral tilt* says by how many dB the harmonics fall per octave, that is, per doubling of the frequency. Write `tilt(spectrum)`: fit a straight line through the levels in dB of harmonics 1 to 32, over the base-2 logarithm of their number, and return its slope. `spectrum` holds complex amplitudes, and `spectrum[0]` is that of harmonic 1. Then compare the tilts for Rd 0.5, 1.0 and 2.5: does a breathy voice fall faster, and by how much?
#
# :::{dropdown} First hint
# A level in dB is 20 times the base-10 logarithm of an amplitude, and an amplitude is the size of a complex number. One more octave is one more in the base-2 logarithm.
# :::
#
# :::{dropdown} Second hint
# Cut to the first 32 values, take `np.abs`, and let `np.polyfit` with degree 1 fit the line over `np.log2` of 1 to 32. The slope comes first.
# :::


# %% tags=["check", "hide-input"] jupyter={"source_hidden": true} mystnb={"code_prompt_show": "Show the check"}
@self_check
def check_tilt(tilt):
    k = np.arange(1.0, 65.0)
    turning = 3.0 * np.exp(1j * k)  # of any phase
    for power in (0, 1, 2):
        expected = -power * 20 * np.log10(2)
        got = float(tilt(turning * k**-power))
        hint = ""
        if np.isclose(got, -expected, atol=0.1):
            hint = " A falling line has a negative slope."
        elif np.isclose(got, expected / 2, atol=0.1):
            hint = " These are amplitudes, not powers: 20 decibels for a factor of 10."
        elif np.isclose(got, expected * np.log2(10), atol=0.1):
            hint = " That is per factor of 10, not per octave."
        assert abs(got - expected) < 0.1, (
            f"Amplitudes like 1/k^{power} have a slope of {expected:.2f} dB per octave; you have {got:.2f}.{hint}"
        )
    only_32 = np.where(k <= 32, turning / k, 100.0)
    assert abs(tilt(only_32) + 6.02) < 0.1, "Use the first 32 harmonics only."
    # Where levels are no line, the slope is their covariance with the octaves.
    octaves = np.log2(k[:32])
    even_weak = np.where(k % 2, 1.0, 0.2) * turning
    levels = 20 * np.log10(abs(even_weak[:32]))
    expected = np.cov(octaves, levels)[0, 1] / np.var(octaves, ddof=1)
    assert abs(tilt(even_weak) - expected) < 0.1, (
        "Where even harmonics are weak, as in a clarinet, you have another slope. Fit one line through all 32 levels."
    )


# %% tags=["exercise"]
def tilt(spectrum):
    """Decibels per octave over harmonics 1 to 32."""
    ...


check_tilt(tilt)


# %% tags=["solution", "hide-cell"] jupyter={"outputs_hidden": true, "source_hidden": true} mystnb={"code_prompt_show": "Show the solution"}
def tilt(spectrum):
    levels = 20 * np.log10(np.abs(spectrum[:32]))
    return np.polyfit(np.log2(np.arange(1, 33)), levels, 1)[0]


display(check_tilt(tilt))
tilts = {rd: tilt(voice.glottal_spectrum(rd)) for rd in (0.5, 1.0, 2.5)}
for rd, slope in tilts.items():
    print(f"Rd {rd}: {slope:.1f} dB per octave")
display(
    Markdown(
        f"From the pressed to the breathy voice, the slope changes by {tilts[2.5] - tilts[0.5]:+z.1f} dB per octave. Harmonic 16 lies four octaves above the first, so this alone moves it by {4 * (tilts[2.5] - tilts[0.5]):+z.0f} dB against it."
    )
)

# %% [markdown]
# ## Further reading
#
# - {cite:t}`klatt1980` is the classic recipe for a program that speaks.
# - {cite:t}`sundberg1987` explains what singers do, with measurements.
