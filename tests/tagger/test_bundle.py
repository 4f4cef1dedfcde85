import struct
import tempfile
import tracemalloc
from pathlib import Path

import bundles
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from svdlib.errors import WeightsError
from svdlib.tagger.bundle import LARGEST_INDEX, Bundle
from svdlib.tagger.tables import MOST_ENTRIES, TableError, masked_checksum, read_table

KEYS = st.binary(min_size=1, max_size=12)
ARRAYS = {"a/kernel": np.arange(6).reshape(2, 3), "a/kernel/Adam": np.zeros(4), "b": np.float32(7.5)}


def write(folder, **more):
    return bundles.write(folder, ARRAYS, **more)


# --- checksums: published values ---


@pytest.mark.parametrize(
    ("data", "checksum"),
    [(b"123456789", 0xE3069283), (bytes(32), 0x8A9136AA), (b"\xff" * 32, 0x62A8AB43), (bytes(range(32)), 0x46DD794E)],
)
def test_checksums_are_those_of_rfc_3720_rotated_and_shifted(data, checksum):
    rotated = (checksum >> 15 | checksum << 17) & 0xFFFFFFFF
    assert masked_checksum(data) == (rotated + 0xA282EAD8) % 2**32


# --- tables ---


@given(st.dictionaries(KEYS, st.binary(max_size=200), min_size=1, max_size=60), st.integers(1, 20))
@settings(max_examples=60, deadline=None)
def test_a_drawn_table_reads_as_it_was_written(entries, per_block):
    written = sorted(entries.items())
    assert list(read_table(bundles.table(written, per_block)).items()) == written


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_no_flipped_bit_changes_what_is_read(data):
    written = [(b"key%02d" % number, bytes([number])) for number in range(20)]
    file = bytearray(bundles.table(written))
    bit = data.draw(st.integers(0, 8 * len(file) - 1))
    file[bit // 8] ^= 1 << bit % 8
    try:
        assert list(read_table(bytes(file)).items()) == written  # a bit of the padding, or of what nobody reads
    except TableError:
        pass


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_a_cut_table_is_refused(data):
    file = bundles.table([(b"key%02d" % number, bytes([number])) for number in range(20)])
    with pytest.raises(TableError):
        read_table(file[: data.draw(st.integers(0, len(file) - 1))])


@given(st.binary(max_size=400))
@settings(max_examples=80, deadline=None)
def test_whatever_stands_before_the_footer_is_read_or_refused(noise):
    """With right checksums: damage that was made, not that came about."""
    part = noise + b"\0"
    part += struct.pack("<I", bundles.masked(part))
    try:
        read_table(bundles.finish(part, [(b"z", bundles.place(0, part))]))
    except TableError:
        pass


def test_blocks_that_the_index_names_again_are_refused():
    part = bundles.block([(b"key", bytes(1000))])
    with pytest.raises(TableError, match="not in ascending order"):
        read_table(bundles.finish(part, [(b"%05d" % n, bundles.place(0, part)) for n in range(2000)]))


def test_compressed_blocks_are_refused():
    with pytest.raises(TableError, match="compressed"):
        read_table(bundles.table([(b"key", b"value")], kind=1))


def test_a_small_file_cannot_fill_the_memory():
    """Each entry takes seven bytes, and the rest of a key of a thousand from the one before."""
    first = bundles.varint(0) + bundles.varint(1000) + bundles.varint(0) + bytes(1000)
    rest = b"".join(bundles.varint(997) + b"\x03\x00" + struct.pack(">I", n)[1:] for n in range(1, 17_000))
    part = first + rest + struct.pack("<II", 0, 1) + b"\0"
    part += struct.pack("<I", masked_checksum(part))
    tracemalloc.start()
    with pytest.raises(TableError, match="more than"):
        read_table(bundles.finish(part, [(b"z", bundles.place(0, part))]))
    assert tracemalloc.get_traced_memory()[1] < 40e6
    tracemalloc.stop()


def test_more_entries_than_a_checkpoint_has_are_refused():
    part = bundles.block([(struct.pack(">I", n), b"") for n in range(MOST_ENTRIES + 1)])
    with pytest.raises(TableError, match=f"more than {MOST_ENTRIES} entries"):
        read_table(bundles.finish(part, [(b"z", bundles.place(0, part))]))


# --- checkpoints ---


@given(
    st.dictionaries(
        st.text(st.characters(min_codepoint=33, max_codepoint=0x2FF), min_size=1, max_size=20),
        st.lists(st.integers(0, 3), max_size=3),
        min_size=1,
        max_size=12,
    ),
    st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_a_drawn_checkpoint_reads_as_it_was_written(shapes, seed):
    rng = np.random.default_rng(seed)
    arrays = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    with tempfile.TemporaryDirectory() as folder:
        bundle = Bundle(*bundles.write(Path(folder), arrays))
        assert set(bundle.entries) == set(arrays)
        for name, values in arrays.items():
            np.testing.assert_array_equal(bundle.read(name, values.shape), values, strict=True)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"dtype": 2}, "is not one piece of float32"),
        ({"size": 20}, "cannot take 20 bytes"),
        ({"shape": bundles.field(2, bundles.field(1, 2**60))}, "has the shape .1152921504606846976,., not .2, 3."),
        ({"crc": 5}, "a/kernel is damaged, its checksum is wrong"),
        ({"shard": 1}, "says what no entry can"),
        ({"shape": bundles.field(3, 1)}, "no known shape"),
        ({"header": bundles.field(1, 2)}, "its numbers lie in 2 files"),
        ({"header": bundles.HEADER + bundles.field(2, 1)}, "in the reverse order"),
        ({"header": b"\x0f"}, "is written in the way 7"),
    ],
)
def test_what_no_reader_could_make_sense_of(tmp_path, more, message):
    with pytest.raises(WeightsError, match=message):
        Bundle(*write(tmp_path, **more)).read("a/kernel", (2, 3))


def test_a_tensor_that_is_not_there_or_of_another_shape(tmp_path):
    bundle = Bundle(*write(tmp_path))
    with pytest.raises(WeightsError, match="lists no tensor 'c'. It is the checkpoint of another network"):
        bundle.read("c", ())
    with pytest.raises(WeightsError, match=r"a/kernel has the shape \(2, 3\), not \(3, 2\)"):
        bundle.read("a/kernel", (3, 2))


def test_values_that_are_no_numbers(tmp_path):
    with pytest.raises(WeightsError, match="not finite numbers"):
        Bundle(*bundles.write(tmp_path, {"a": np.array([1, np.nan])})).read("a", (2,))


def test_files_that_are_not_there_cut_or_too_large(tmp_path):
    index, data = write(tmp_path)
    with pytest.raises(WeightsError, match="There is no file .*other"):
        Bundle(tmp_path / "other", data)
    content = data.read_bytes()
    data.write_bytes(content[:10])
    with pytest.raises(WeightsError, match="a/kernel is damaged"):
        Bundle(index, data).read("a/kernel", (2, 3))
    data.unlink()
    with pytest.raises(WeightsError, match="There is no file"):
        Bundle(index, data).read("a/kernel", (2, 3))
    with index.open("r+b") as file:
        file.truncate(LARGEST_INDEX + 1)
    with pytest.raises(WeightsError, match="larger than 1 MiB: it holds something else"):
        Bundle(index, data)
    index.write_bytes(b"model_checkpoint_path: " * 10)
    with pytest.raises(WeightsError, match="does not end like a table of LevelDB"):
        Bundle(index, data)


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_whatever_the_index_says_is_read_or_refused(data):
    """Entries of noise, and entries with changed bytes, under right checksums."""
    with tempfile.TemporaryDirectory() as name:
        index, numbers = write(Path(name))
        message = bytearray(bundles.entry(np.zeros(6, np.float32), 0))
        for _ in range(data.draw(st.integers(1, 4))):
            message[data.draw(st.integers(0, len(message) - 1))] = data.draw(st.integers(0, 255))
        said = data.draw(st.sampled_from([bytes(message), data.draw(st.binary(max_size=40))]))
        index.write_bytes(bundles.table([(b"", bundles.HEADER), (b"a", said)]))
        try:
            found = Bundle(index, numbers).read("a", (6,))
            assert found.shape == (6,) and np.isfinite(found).all()
        except WeightsError as error:
            assert str(index.parent) in str(error) and str(error).endswith(".")


def test_the_tagger_s_own_index(package):
    bundle = Bundle(package / "MTT_vgg" / ".index", package / "MTT_vgg" / ".data-00000-of-00001")
    assert bundle.entries["3CNN/kernel"].shape == (3, 3, 128, 128) and bundle.entries["dense/bias"].shape == (50,)
    size = (package / "MTT_vgg" / ".data-00000-of-00001").stat().st_size
    assert sum(entry.size for entry in bundle.entries.values()) == size
