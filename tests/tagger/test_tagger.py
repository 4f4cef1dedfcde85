import ast
import math
from pathlib import Path

import numpy as np
import pytest
import torch

import svdlib
from svdlib.errors import InputError, LayerError, WeightsError
from svdlib.tagger import loading
from svdlib.tagger.loading import load_tagger
from svdlib.tagger.model import LAYERS, NO_VOICE_TAGS, TAGS, VOICE_TAGS, MusicTagger, voice_contrast
from svdlib.tagger.patches import cut_patches, tagger_log_mel

GOLDEN = Path(__file__).parent.parent / "goldens" / "tagger.npz"


@pytest.fixture(scope="module")
def untrained():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return MusicTagger().eval()


# --- the network ---


@torch.no_grad()
def test_the_port_computes_what_the_original_computed_under_tensorflow(tagger):
    """Tags and some of the features of two patches of noise; from the graph of musicnn's own `models.vgg`."""
    golden = np.load(GOLDEN)
    noise = np.random.default_rng(int(golden["seed"])).uniform(0, 4, (2, 187, 96)).astype(np.float32)
    x = torch.from_numpy(noise)[:, None]
    features = svdlib.Encoder(tagger, layers=LAYERS, example=x).features(x, LAYERS)
    for layer in LAYERS:
        assert features[layer].shape[1:] == tuple(golden[f"{layer}_shape"])
        found = features[layer].reshape(2, -1)
        step = max(1, found.shape[1] // 97)
        np.testing.assert_allclose(found[:, ::step][:, :97], golden[layer], rtol=1e-4, atol=2e-4)
    np.testing.assert_allclose(torch.sigmoid(tagger(x)), golden["tags"], atol=1e-5)


def test_it_has_as_many_weights_as_its_authors_say(untrained):
    assert sum(values.numel() for values in untrained.parameters()) == 605_748


@torch.no_grad()
def test_every_other_band_of_the_first_convolution_is_never_read(untrained):
    x, noise = torch.rand(1, 1, 187, 96), torch.randn(1, 128, 187, 96)

    def changed(bands):
        def change(module, inputs, output):
            output = output.clone()
            output[..., bands] = noise[..., bands]
            return output

        handle = untrained.conv1.register_forward_hook(change)
        try:
            return untrained(x)
        finally:
            handle.remove()

    said = untrained(x)
    assert torch.equal(changed(slice(1, None, 2)), said)
    assert not torch.equal(changed(slice(0, None, 2)), said)


def test_patches_of_another_shape_are_refused(untrained):
    with pytest.raises(LayerError, match=r"\(batch, 1, 187, 96\), not \(2, 187, 96\)"):
        untrained(torch.zeros(2, 187, 96))


def test_the_contrast_of_voice_tags_counts_for_and_against():
    logits = torch.zeros(3, 50)
    logits[0, [TAGS.index(tag) for tag in VOICE_TAGS]] = 2.0
    logits[1, [TAGS.index(tag) for tag in NO_VOICE_TAGS]] = 3.0
    logits[2, TAGS.index("guitar")] = 9.0
    assert voice_contrast(logits).tolist() == [2.0, -3.0, 0.0]


# --- the package ---


def test_the_tags_are_in_the_order_of_the_package(package):
    tree = ast.parse((package / "configuration.py").read_text())
    lists = {node.targets[0].id: node.value for node in tree.body if isinstance(node, ast.Assign)}
    assert list(TAGS) == ast.literal_eval(lists["MTT_LABELS"])


def test_its_files_are_found_without_importing_it(tagger):
    import sys

    assert "musicnn" not in sys.modules and "tensorflow" not in sys.modules
    assert tagger.provenance == {"package": "musicnn 0.1.0", "model": "MTT_vgg", "licence": "ISC"}
    assert not tagger.training


def test_without_the_package_a_sentence_says_what_to_install(monkeypatch):
    def nothing(name):
        raise loading.PackageNotFoundError(name)

    monkeypatch.setattr(loading, "distribution", nothing)
    with pytest.raises(WeightsError, match="which is not there. .* pip install --no-deps musicnn==0.1.0$"):
        load_tagger()


def test_another_version_of_the_package_is_refused(monkeypatch):
    class Other:
        version = "0.2.0"

    monkeypatch.setattr(loading, "distribution", lambda name: Other())
    with pytest.raises(WeightsError, match="and version 0.2.0 is there"):
        load_tagger()


def test_damaged_files_of_the_package_are_refused(package, monkeypatch, tmp_path):
    folder = tmp_path / "MTT_vgg"
    folder.mkdir()
    for name in (".index", ".data-00000-of-00001"):
        (folder / name).write_bytes((package / "MTT_vgg" / name).read_bytes())
    monkeypatch.setattr(loading, "package_folder", lambda: tmp_path)
    assert load_tagger().provenance["model"] == "MTT_vgg"
    numbers = bytearray((folder / ".data-00000-of-00001").read_bytes())
    numbers[len(numbers) // 2 :] = bytes(len(numbers) - len(numbers) // 2)
    (folder / ".data-00000-of-00001").write_bytes(numbers)
    with pytest.raises(WeightsError, match="its checksum is wrong. Get the file again"):
        load_tagger()


# --- the front end ---


GRID = np.linspace(0, 8000, 8001)  # Hz
# Linear up to 1 kHz, then logarithmic (Slaney's Auditory Toolbox, 1998).
MELS = np.where(GRID < 1000, 3 * GRID / 200, 15 + 27 * np.log(GRID.clip(1) / 1000) / math.log(6.4))
EDGES = np.interp(np.linspace(0, MELS[-1], 98), MELS, GRID)


def by_hand(samples):
    """The log-mel from its definition, in double precision: (frames, 96)."""
    padded = np.pad(samples.astype(np.float64), 256, mode="reflect")
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(512) / 512)
    frames = np.stack([padded[256 * n : 256 * n + 512] * window for n in range(len(samples) // 256 + 1)])
    power = np.abs(np.fft.rfft(frames)) ** 2
    bins = np.arange(257) * 16000 / 512
    bands = []
    for low, middle, high in zip(EDGES, EDGES[1:], EDGES[2:], strict=False):
        triangle = np.minimum((bins - low) / (middle - low), (high - bins) / (high - middle)).clip(0)
        bands.append(power @ triangle * 2 / (high - low))
    return np.log10(1 + 10000 * np.stack(bands, axis=1))


def test_the_log_mel_is_that_of_its_definition():
    rng = np.random.default_rng(0)
    samples = (0.3 * np.sin(np.arange(8000) * 0.1) + 0.01 * rng.normal(size=8000)).astype(np.float32)
    found = tagger_log_mel(samples, 16000)
    assert found.dtype == np.float32 and found.shape == (32, 96)
    np.testing.assert_allclose(found, by_hand(samples), atol=2e-4)


def test_a_loud_band_does_not_overflow_half_precision():
    loud = np.sin(np.arange(16000) * 0.2).astype(np.float32)
    assert np.isfinite(tagger_log_mel(loud, 16000)).all() and tagger_log_mel(loud, 16000).max() > np.log10(65504)


def test_a_tone_stays_in_its_band_when_the_rate_is_another():
    for rate in (22050, 16000):
        tone = np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)
        loudest = tagger_log_mel(tone, rate)[20].argmax()
        assert abs(EDGES[1 + loudest] - 1000) < 40


def test_patches_lie_side_by_side_or_overlap():
    log_mel = np.arange(500 * 96, dtype=np.float32).reshape(500, 96)
    patches = cut_patches(log_mel)
    assert patches.shape == (2, 1, 187, 96)
    np.testing.assert_array_equal(patches[1, 0], log_mel[187:374])
    np.testing.assert_array_equal(cut_patches(log_mel, 100)[3, 0], log_mel[300:487])


@pytest.mark.parametrize(("shape", "hop"), [((186, 96), 187), ((200, 80), 187), ((200,), 187), ((200, 96), 0)])
def test_what_no_patch_can_be_cut_from(shape, hop):
    with pytest.raises(InputError, match="3 s of sound"):
        cut_patches(np.zeros(shape, np.float32), hop)
