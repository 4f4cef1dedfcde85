import hashlib
import io
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import lasagne_files as files
import numpy as np
import oracles
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from places import GOLDENS
from scipy.signal import convolve2d

from svdlib.detector.model import LAYER_SHAPES, LAYERS, SVDNet
from svdlib.errors import LayerError, WeightsError
from svdlib.paper.lasagne import layout, load_lasagne, read_state, recognise
from svdlib.zoo.families import build_inverter

SMALL = "conv2"
"""The inverter with the smallest file."""


@pytest.fixture(scope="module")
def small_file(tmp_path_factory):
    return files.write(tmp_path_factory.mktemp("lasagne") / "small.npz", files.random_arrays(SMALL))


def members(layer=SMALL):
    """Members of a valid file, to be spoilt."""
    return [[f"param{number}.npy", array] for number, array in enumerate(files.random_arrays(layer))]


# --- the oracle itself ---


def test_the_oracle_convolves_as_scipy_does():
    rng = np.random.default_rng(0)
    x, kernels = rng.normal(size=(2, 7, 6)), rng.normal(size=(3, 2, 3, 3))
    for padding, mode in ((0, "valid"), (1, "same")):
        expected = [sum(convolve2d(x[c], kernels[o, c], mode) for c in range(2)) for o in range(3)]
        np.testing.assert_allclose(oracles.true_convolve(x, kernels, padding), expected, rtol=1e-12, atol=1e-12)


def test_the_oracle_grows_by_the_transpose_of_a_strided_convolution():
    """For a linear map A and its transpose: <A y, x> = <y, A' x>."""
    rng = np.random.default_rng(1)
    x, kernels, y = rng.normal(size=(2, 5, 4)), rng.normal(size=(2, 3, 4, 4)), rng.normal(size=(3, 10, 8))
    padded = np.pad(y, ((0, 0), (1, 1), (1, 1)))
    shrunk = [sum(convolve2d(padded[o], kernels[c, o], "valid") for o in range(3))[::2, ::2] for c in range(2)]
    grown = oracles.adjoint_up_convolve(x, kernels)
    assert grown.shape == y.shape and np.sum(shrunk * x) == pytest.approx(np.sum(y * grown), rel=1e-12)


# --- exactness ---


@torch.no_grad()
@pytest.mark.parametrize("layer", LAYERS)
def test_inverters_compute_what_lasagne_computes(tmp_path, layer):
    arrays = files.random_arrays(layer, seed=3)
    path = files.write(tmp_path / "inverter.npz", arrays)
    feature = torch.randn(1, *LAYER_SHAPES[layer], generator=torch.Generator().manual_seed(4))
    expected = files.inverter_output(layer, arrays, oracles.double(feature[0]))
    single = load_lasagne(path, layer)
    assert not single.training and (single.layer, single.variant) == (layer, "published")
    assert np.abs(single(feature)[0].numpy() - expected).max() <= 1e-5 * np.abs(expected).max()
    double = build_inverter(layer).double().eval()
    double.load_state_dict(double.state_dict() | read_state(path, layer))
    assert np.abs(double(feature.double())[0].numpy() - expected).max() <= 1e-10 * np.abs(expected).max()


@torch.no_grad()
def test_the_detector_computes_what_lasagne_computes(tmp_path):
    arrays = files.random_arrays(seed=5)
    path = files.write(tmp_path / "detector.npz", arrays)
    x = torch.randn(1, 1, 115, 80, generator=torch.Generator().manual_seed(6))
    expected = files.detector_outputs(arrays, oracles.double(x[0]))
    double = SVDNet().double().eval()
    double.load_state_dict(double.state_dict() | read_state(path))
    for network, excerpt, tolerance in ((load_lasagne(path), x, 1e-5), (double, x.double(), 1e-10)):
        found = network.features(excerpt) | {"out": network(excerpt)}
        assert not network.training and found.keys() == expected.keys()
        for name, value in expected.items():
            assert np.abs(found[name][0].numpy() - value).max() <= tolerance * np.abs(value).max(), name


@torch.no_grad()
def test_the_detector_agrees_with_what_lasagne_computed(tmp_path):
    """Arrays and outputs of the reference implementation, run in Theano; arrays that no output here needs are zero."""
    whole, parts = np.load(GOLDENS / "detector.npz"), np.load(GOLDENS / "detector_parts.npz")
    arrays = [np.zeros(shape, np.float32) for shape in files.DETECTOR_SHAPES]
    for number in (0, 1, 2, 3, 10, 11, 12, 13):
        arrays[number] = whole[f"param{number}"]
    for number in (4, 5, 6, 7):
        arrays[number][: len(parts[f"param{number}"])] = parts[f"param{number}"]
    arrays[8][:, :4], arrays[9][:4] = parts["param8"], parts["param9"]
    detector = load_lasagne(files.write(tmp_path / "detector.npz", arrays))
    features = detector.features(torch.tensor(whole["x"])[:, None])
    corner = detector.layers["conv5"](torch.tensor(parts["conv4_corner"])[None])
    fc7 = detector.layers["fc7"](torch.tensor(parts["mp6"]).flatten()[None])
    fc8 = detector.layers["fc8"](torch.tensor(whole["fc7"]))
    for name, found, expected in (
        ("conv1", features["conv1"][:, :2], whole["conv1"]),
        ("mp3", features["mp3"], whole["mp3"]),
        ("conv4", features["conv4"][0, :8, :12], parts["conv4"]),
        ("conv5", corner[0, :4], parts["conv5_corner"]),
        ("fc7", fc7[0, :4], whole["fc7"][0, :4]),
        ("fc8", fc8, whole["fc8"]),
        ("out", torch.sigmoid(detector.out(fc8)), whole["probability"]),
    ):
        np.testing.assert_allclose(found.numpy(), expected, atol=1e-5, err_msg=name)


@pytest.mark.parametrize("layer", [None, *LAYERS])
def test_the_layout_is_that_of_the_released_files(layer):
    network = SVDNet() if layer is None else build_inverter(layer)
    places = layout(network)
    assert [place.shape for place in places] == [array.shape for array in files.random_arrays(layer)]
    rest = {name for name in network.state_dict() if "standardizer" not in name and "num_batches" not in name}
    assert {place.key for place in places} == rest and len(places) == len(rest)


def holds(network, arrays):
    """Whether an inverter holds the values of a file's arrays, kernels flipped."""
    rest = [array.astype(np.float64) for array in arrays]
    for stage, (kind, _, normalised) in zip(network.stages.values(), files.stages_of(network.layer), strict=True):
        assert normalised and kind != "FC"
        weights, beta, gamma, mean, inverse_deviation = rest[:5]
        norm, rest = stage[1], rest[5:]
        deviation = np.sqrt(oracles.double(norm.running_var) + 1e-4)
        pairs = [(stage[0].weight, weights[:, :, ::-1, ::-1]), (norm.bias, beta), (norm.weight, gamma)]
        pairs += [(norm.running_mean, mean)]
        if not all(np.array_equal(oracles.double(ours), theirs.astype(np.float32)) for ours, theirs in pairs):
            return False
        if not np.allclose(deviation * inverse_deviation, 1, rtol=0, atol=1e-6):
            return False
    return True


# --- files that are right in other ways ---


def test_arrays_in_any_order_of_storage_and_precision(tmp_path):
    arrays = files.random_arrays(SMALL)
    shuffled = [(name, array) for name, array in members()][::-1]
    for variant in (
        shuffled,
        [(name, np.asfortranarray(array)) for name, array in members()],
        [(name, array.astype(">f4")) for name, array in members()],
        [(name, array.astype(np.float64)) for name, array in members()],
        [(name.replace("param", "arr_"), array) for name, array in members()],
    ):
        path = files.write_members(tmp_path / "file.npz", variant)
        assert holds(load_lasagne(path, SMALL), arrays) and recognise(path) == SMALL


def test_files_that_python_2_wrote(tmp_path):
    """Shapes may read 64L there."""
    arrays = members()
    header = b"{'descr': '<f4', 'fortran_order': False, 'shape': (32L, 32L, 3L, 3L), }"
    header += b" " * (118 - len(header) - 1) + b"\n"
    data = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + arrays[0][1].tobytes()
    path = files.write_members(tmp_path / "old.npz", [("param0.npy", data), *arrays[1:]])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert holds(load_lasagne(path, SMALL), files.random_arrays(SMALL))


def test_a_rounding_error_above_the_largest_inverse_deviation_is_read_exactly(tmp_path):
    arrays = files.random_arrays(SMALL)
    arrays[4][3] = np.nextafter(np.float32(100), np.float32(200))
    network = load_lasagne(files.write(tmp_path / "file.npz", arrays), SMALL)
    assert holds(network, arrays) and network.stages["Conv1"][1].running_var[3] < 0


def test_provenance_names_the_file_and_its_digest(small_file):
    digest = hashlib.sha256(small_file.read_bytes()).hexdigest()
    provenance = load_lasagne(small_file, SMALL).provenance
    assert provenance["file"] == "small.npz" and provenance["sha256"] == digest
    assert provenance["network"] == "published inverter of conv2" and "unknown" in provenance["licence"]


# --- standardisation ---


@pytest.fixture(scope="module")
def detector_file(tmp_path_factory):
    return files.write(tmp_path_factory.mktemp("lasagne") / "detector.npz", files.random_arrays())


def test_a_detector_takes_its_standardisation_from_a_second_file(tmp_path, detector_file):
    mean, std = np.linspace(-8, -3, 80), np.linspace(1, 2, 80)
    np.savez(tmp_path / "meanstd.npz", mean=mean, std=std)
    detector = load_lasagne(detector_file, standardizer=tmp_path / "meanstd.npz")
    frame = torch.full((1, 80), -5.0)
    np.testing.assert_allclose(detector.standardizer(frame)[0].numpy(), (-5 - mean) / std, rtol=1e-5)
    digest = hashlib.sha256((tmp_path / "meanstd.npz").read_bytes()).hexdigest()
    assert detector.provenance["standardisation"] == {"file": "meanstd.npz", "sha256": digest}
    assert torch.equal(load_lasagne(detector_file).standardizer(frame), frame)


@pytest.mark.parametrize(
    ("arrays", "complaint"),
    [
        ({"mean": np.zeros(80)}, r"should hold the arrays mean and std, shape \(80,\), but holds mean"),
        ({}, "but holds nothing"),
        ({"mean": np.zeros(80), "std": np.ones(81)}, r"std should have the shape \(80,\), not \(81,\)"),
        ({"mean": np.zeros(80), "std": np.zeros(80)}, "std holds values that are not above 0"),
        ({"mean": np.full(80, np.nan), "std": np.ones(80)}, "mean holds values that are not finite"),
        ({"mean": np.zeros(80, int), "std": np.ones(80)}, "mean should hold numbers of type float32 or float64"),
        ({"mean": np.zeros(80), "std": np.ones(80), "n": np.ones(1)}, "but holds mean, std, n"),
    ],
)
def test_a_standardisation_that_cannot_be(tmp_path, detector_file, arrays, complaint):
    path = tmp_path / "meanstd.npz"
    np.savez(path, **arrays)
    with pytest.raises(WeightsError, match=f"{path}.*{complaint}"):
        load_lasagne(detector_file, standardizer=path)


def test_an_inverter_has_no_standardisation(small_file):
    with pytest.raises(WeightsError, match="belongs to the detector"):
        load_lasagne(small_file, SMALL, standardizer=small_file)


# --- files that do not fit ---


@pytest.mark.parametrize("held", [None, *LAYERS])
def test_the_file_of_another_network_says_which(tmp_path, held):
    path = files.write(tmp_path / "file.npz", files.random_arrays(held))
    assert recognise(path) == held
    name = "detector" if held is None else f"published inverter of {held}"
    for asked in {None, "conv4", "conv5", "mp6", "fc8"} - {held}:
        with pytest.raises(WeightsError, match=f"{path} has the arrays of the {name}, not of the .*{asked or 'dete'}"):
            load_lasagne(path, asked)


def test_an_unknown_layer(small_file):
    with pytest.raises(LayerError, match="no layer 'fc9'"):
        load_lasagne(small_file, "fc9")


def spoil(number, content=None, name=None):
    spoilt = members()
    spoilt[number] = [name or spoilt[number][0], spoilt[number][1] if content is None else content]
    return spoilt


@pytest.mark.parametrize(
    ("spoilt", "complaint"),
    [
        (members()[:-1], r"lacks param19 \(inv_std of Conv4, shape \(1,\)\). The published inverter of conv2 has 20"),
        ([], r"lacks param0 \(W of Conv1, shape \(32, 32, 3, 3\)\), .* and 17 more"),
        (spoil(7, name="param77.npy"), r"lacks param7 \(gamma of Conv2, shape \(32,\)\)"),
        ([*members(), ["param20.npy", np.zeros(3, np.float32)]], "arrays too many: param20.*param0 to param19"),
        ([*members(), ["epoch.npy", np.zeros(3, np.float32)]], "arrays too many: epoch"),
        ([*members(), ["param7.npy", np.zeros(32, np.float32)]], "two arrays with the name param7"),
        ([*members(), ["notes.txt", b"hello"]], "holds 'notes.txt', which is not a NumPy array"),
        (spoil(5, np.zeros((32, 32, 3, 4), np.float32)),
         r"param5 should be W of Conv2, shape \(32, 32, 3, 3\), but has the shape \(32, 32, 3, 4\)"),
        (spoil(19, np.float32(1)), r"param19 should be inv_std of Conv4, shape \(1,\), but has the shape \(\)"),
        (spoil(6, np.zeros(32, np.int32)), "param6 should hold numbers of type float32 or float64, not int32"),
        (spoil(6, np.zeros(32, np.float16)), "param6 .* not float16"),
        (spoil(6, np.zeros(32, complex)), "param6 .* not complex128"),
        (spoil(6, np.zeros(32, "V4")), "param6 .* float64, not"),
        (spoil(6, np.array([None] * 32)), "param6 holds Python objects"),
        (spoil(6, np.full(32, np.nan, np.float32)), "param6 holds values that are not finite"),
        (spoil(6, np.full(32, 1e39)), "param6 holds values that are not finite numbers in single precision"),
        (spoil(9, np.full(32, -1, np.float32)), r"param9 \(inv_std of Conv2, .* 1 / sqrt.* values from -1 to -1"),
        (spoil(9, np.zeros(32, np.float32)), "param9 .* values from 0 to 0"),
        (spoil(9, np.full(32, 1e-20, np.float32)), "param9 .* values from 1e-20"),
        (spoil(9, np.full(32, 101, np.float32)), "param9 .* at most 100, but holds values from 101"),
        (spoil(2, b""), "param2 is damaged"),
        (spoil(2, b"\x93NUMPY\x03\x00\x00\x00\x00\x00"), r"param2 is damaged .*version \(3, 0\)"),
        (spoil(2, b"RIFF" * 40), "param2 is damaged"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(tmp_path, spoilt, complaint):
    path = files.write_members(tmp_path / "file.npz", spoilt)
    with pytest.raises(WeightsError, match=f"{path}.*{complaint}"):
        load_lasagne(path, SMALL)
    with pytest.raises(WeightsError):
        # The names, shapes and types alone are those of an inverter where only values are wrong.
        load_lasagne(path, recognise(path))


def test_what_is_no_archive_at_all(tmp_path, small_file):
    for content in (b"", b"RIFF....WAVE" * 100, small_file.read_bytes()[:-30], small_file.read_bytes()[:2000]):
        path = tmp_path / "file.npz"
        path.write_bytes(content)
        with pytest.raises(WeightsError, match=f"{path} is not a whole .npz file"):
            load_lasagne(path, SMALL)
    for path in (tmp_path / "missing.npz", tmp_path):
        with pytest.raises(WeightsError, match=f"There is no file {path}"):
            load_lasagne(path, SMALL)


def test_a_path_that_is_too_long():
    with pytest.raises(WeightsError, match="Cannot read aaa.*Check the path|There is no file aaa"):
        load_lasagne("a" * 5000)


# --- files that mean harm ---


class Trap:
    """Unpickling it makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return Path.touch, (Path(self.path),)


def test_nothing_is_unpickled(tmp_path):
    sprung = tmp_path / "sprung"
    trap = np.empty(32, dtype=object)
    trap[0] = Trap(str(sprung))
    path = files.write_members(tmp_path / "file.npz", spoil(6, trap))
    with pytest.raises(WeightsError, match="Python objects"):
        load_lasagne(path, SMALL)
    assert not sprung.exists()
    with zipfile.ZipFile(path) as archive:
        assert b"sprung" in archive.read("param6.npy"), "the trap is in the file"
    spring, arguments = trap[0].__reduce__()
    spring(*arguments)
    assert sprung.exists(), "the trap works"


def header_of(shape, dtype="<f4"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
    return file.getvalue()


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        (header_of((32,)) + bytes(50_000_000), "damaged .*take 128 bytes"),
        (header_of((10**12,)) + bytes(50_000_000), "has the shape"),
        (header_of((10**30, 10**30)), "has the shape"),
        (b"\x93NUMPY\x02\x00\xf0\xff\xff\x7f" + b" " * 50_000_000, "damaged"),
    ],
)
def test_a_small_file_cannot_fill_the_memory(tmp_path, content, complaint):
    path = files.write_members(tmp_path / "bomb.npz", spoil(1, content))
    assert path.stat().st_size < 500_000
    del content
    tracemalloc.start()
    with pytest.raises(WeightsError, match=f"param1 .*{complaint}"):
        load_lasagne(path, SMALL)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 5_000_000


def test_a_huge_file_is_not_read(tmp_path):
    path = tmp_path / "huge.npz"
    with open(path, "wb") as file:
        file.truncate(2**40)
    with pytest.raises(WeightsError, match=f"{path} is larger than 64 MiB"):
        load_lasagne(path, SMALL)


# --- any damage: a clear error or the right result ---

positions = st.integers(0, 19)
edits = st.lists(
    st.one_of(
        st.tuples(st.just("drop"), positions),
        st.tuples(st.just("repeat"), positions),
        st.tuples(st.just("swap"), positions, positions),
        st.tuples(st.just("rename"), positions, st.from_regex(r"(param|arr_|)[0-9]{0,2}(\.npy)?", fullmatch=True)),
        st.tuples(st.just("reshape"), positions, st.sampled_from([(-1,), (1, -1), (-1, 1), ()])),
        st.tuples(st.just("retype"), positions, st.sampled_from(["<f8", ">f4", "<f2", "<i4", "<c8", "O", "?", "<U3"])),
        st.tuples(st.just("value"), positions, st.sampled_from([np.nan, np.inf, -1.0, 0.0, 1e-30, 7.0, 100.0, 1e38])),
    ),
    max_size=3,
)


def edit(contents, kind, where, *how):
    where %= max(1, len(contents))
    if not contents:
        return
    name, array = contents[where]
    if kind == "drop":
        del contents[where]
    elif kind == "repeat":
        contents.append([name, array])
    elif kind == "swap":
        other = contents[how[0] % len(contents)]
        contents[where][1], other[1] = other[1], contents[where][1]
    elif kind == "rename":
        contents[where][0] = how[0]
    elif kind == "reshape":
        contents[where][1] = array.ravel()[:1].reshape(()) if how[0] == () else array.reshape(how[0])
    elif kind == "retype":
        contents[where][1] = array.real.astype(how[0]) if array.dtype.kind == "c" else array.astype(how[0])
    elif array.dtype.kind == "f":
        spoilt = array.copy()
        spoilt.ravel()[:1] = how[0]
        contents[where][1] = spoilt


def is_valid(contents):
    """Whether members are those of a right file: said once more, from the description of the format."""
    arrays, plain = dict(contents), members()
    if sorted(name for name, _ in contents) != sorted(name for name, _ in plain):
        return False
    for number, (name, original) in enumerate(plain):
        array = arrays[name]
        if array.shape != original.shape or array.dtype.kind != "f" or array.dtype.itemsize == 2:
            return False
        if not np.isfinite(array).all():
            return False
        if number % 5 == 4 and not ((array > 1e-19) & (array <= 100.001)).all():
            return False
    return True


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=edits)
@pytest.mark.filterwarnings("ignore")
def test_edited_files_are_read_rightly_or_refused(tmp_path, changes):
    contents = members()
    for change in changes:
        edit(contents, *change)
    path = files.write_members(tmp_path / "edited.npz", contents)
    if is_valid(contents):
        arrays = dict(contents)
        assert holds(load_lasagne(path, SMALL), [arrays[f"param{number}.npy"] for number in range(20)])
    else:
        with pytest.raises(WeightsError):
            load_lasagne(path, SMALL)


# Bytes among the first headers and in the directory at the end are rare, and the most telling to damage.
places = st.one_of(st.integers(0, 400), st.integers(-2000, -1), st.integers(0, 2**20))


@settings(max_examples=250, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(places, st.integers(1, 255)), max_size=4),
    kept=st.one_of(st.none(), st.integers(0, 2**20)),
    compressed=st.booleans(),
)
@pytest.mark.filterwarnings("ignore")
def test_damaged_files_are_read_rightly_or_refused(tmp_path, flips, kept, compressed):
    arrays = files.random_arrays(SMALL)
    path = tmp_path / "damaged.npz"
    save = np.savez_compressed if compressed else np.savez
    save(path, **{f"param{number}": array for number, array in enumerate(arrays)})
    content = bytearray(path.read_bytes())
    for place, flip in flips:
        content[place % len(content)] ^= flip
    path.write_bytes(content[: kept if kept is None else kept % (len(content) + 1)])
    try:
        network = load_lasagne(path, SMALL)
    except WeightsError:
        return
    assert holds(network, arrays)


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    header=st.one_of(
        st.binary(max_size=80),
        st.text(alphabet="{}()[]'\":,0123456789L-<f48descrfortan_oshapeTFlu \n#\\", max_size=80).map(str.encode),
        st.sampled_from(["<f4", "O", "<V4", "f4,f4", "", "M8", [("a", "O")], 3, None]).map(
            lambda kind: repr({"descr": kind, "fortran_order": False, "shape": (32,)}).encode()
        ),
        st.sampled_from([(-1,), (2**63,), 32, "32", (32.0,), [32], (True,) * 32, None]).map(
            lambda shape: repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode()
        ),
    ),
    version=st.sampled_from([1, 2, 3, 9]),
)
@pytest.mark.filterwarnings("ignore")
def test_headers_of_nonsense_are_refused(tmp_path, header, version):
    length = len(header).to_bytes(2 if version == 1 else 4, "little")
    content = b"\x93NUMPY" + bytes([version, 0]) + length + header
    path = tmp_path / "nonsense.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mean.npy", content)
        archive.writestr("std.npy", content)
    from svdlib.compute.npz import Archive

    archive = Archive(path)
    with pytest.raises(WeightsError, match="mean"):
        archive.read("mean", archive.header("mean"))
