import os
import pickle
import stat

import numpy as np
import pytest
import tiny
import torch
from rights import needs_rights, not_root

from svdlib.compute.devices import in_channels_last
from svdlib.compute.storage import (
    LARGEST_TEXT,
    digest,
    load_state,
    read_plain_text,
    restore_adam,
    save_state,
    write_atomically,
)
from svdlib.errors import OutputError, TrainingError
from svdlib.zoo.families import build_inverter


def test_a_file_is_written_whole_and_folders_are_made(tmp_path):
    path = tmp_path / "new" / "folder" / "file.bin"
    write_atomically(path, lambda file: file.write(b"content"))
    assert path.read_bytes() == b"content" and os.listdir(path.parent) == ["file.bin"]


def test_a_failed_write_leaves_the_older_file_and_nothing_else(tmp_path):
    path = tmp_path / "file.bin"
    path.write_bytes(b"old")

    def disk_full(file):
        file.write(b"half of the new")
        raise OSError(28, "No space left on device")

    with pytest.raises(OutputError, match=f"Cannot write {path}: No space left on device"):
        write_atomically(path, disk_full)
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["file.bin"]


def test_a_bug_while_writing_is_not_hidden_and_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "file.bin", lambda file: 1 / 0)
    assert os.listdir(tmp_path) == []


def test_a_file_in_the_way_of_a_folder(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(OutputError, match="Cannot write .*file/state.npz"):
        write_atomically(tmp_path / "file" / "state.npz", lambda file: file.write(b""))
    assert (tmp_path / "file").read_text() == "in the way"


@needs_rights
@pytest.mark.parametrize("mode", [0o555, 0o000], ids=["read only", "unreachable"])
def test_a_folder_without_permission(public_folder, mode):
    public_folder.chmod(mode)
    with not_root(), pytest.raises(OutputError, match="Permission denied"):
        write_atomically(public_folder / "file.bin", lambda file: file.write(b""))


# --- plain files ---


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="Windows has no such files")
def test_pipes_devices_and_folders_are_not_replaced(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "folder", "link"):
        with pytest.raises(OutputError, match=f"Cannot write .*{name}: it is a folder, pipe or device. Choose"):
            write_atomically(tmp_path / name, lambda file: file.write(b"content"))
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode) and (tmp_path / "link").is_symlink()
    assert len([*tmp_path.iterdir()]) == 3


def test_pipes_devices_and_folders_are_not_read_from(tmp_path):
    """A pipe that nobody writes into keeps its reader waiting, and /dev/zero never ends."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("/dev/zero")
    for path in (tmp_path / "pipe", "/dev/zero", tmp_path / "link", tmp_path):
        with pytest.raises(OSError, match="not a plain file"):
            read_plain_text(path)


def test_text_is_read_whole_without_the_mark_of_its_byte_order(tmp_path):
    (tmp_path / "text").write_bytes("\ufeffCafé\r\n".encode())
    assert read_plain_text(tmp_path / "text") == "Café\r\n"
    with pytest.raises(FileNotFoundError):
        read_plain_text(tmp_path / "none")


def test_a_text_too_large_to_be_one(tmp_path):
    with (tmp_path / "text").open("wb") as file:
        file.truncate(LARGEST_TEXT + 1)
    with pytest.raises(OSError, match="larger than 64 MiB"):
        read_plain_text(tmp_path / "text")


# --- states ---


@needs_rights
def test_a_state_that_may_not_be_read_is_not_called_damaged(public_folder):
    path = public_folder / "state.npz"
    save_state(path, {}, {})
    path.chmod(0o000)
    with not_root(), pytest.raises(TrainingError, match=f"{path} cannot be read: Permission denied"):
        load_state(path)


def test_a_state_comes_back_bit_for_bit(tmp_path):
    arrays = {
        "a/b/weight": torch.randn(3, 4, 2, 2).to(memory_format=torch.channels_last),
        "step": torch.tensor(7.0),
        "count": torch.tensor([2**40], dtype=torch.int64),
        "nan": np.array([np.nan, np.inf, -0.0], dtype=np.float32),
        "empty": torch.zeros(0, 5),
    }
    save_state(tmp_path / "state.npz", arrays, {"epoch": 3, "rate": 0.1 + 0.2, "names": ["ü"]})
    loaded, meta = load_state(tmp_path / "state.npz")
    assert meta == {"epoch": 3, "rate": 0.1 + 0.2, "names": ["ü"]}
    assert loaded.keys() == arrays.keys()
    for name, value in arrays.items():
        np.testing.assert_array_equal(loaded[name].numpy(), np.asarray(value))
        assert loaded[name].numpy().dtype == np.asarray(value).dtype


def test_a_missing_state_says_how_to_start(tmp_path):
    with pytest.raises(TrainingError, match=f"no training state at {tmp_path / 'state.npz'}"):
        load_state(tmp_path / "state.npz")


@pytest.fixture
def check_damaged(tmp_path):
    """Checks that a damaged state gives an error that names the file, or the very same content."""
    path = tmp_path / "state.npz"
    values = torch.arange(50, dtype=torch.float32)
    save_state(path, {"values": values}, {"epoch": 1})
    whole = path.read_bytes()

    def check(damage):
        path.write_bytes(damage(bytearray(whole)))
        try:
            loaded, meta = load_state(path)
        except TrainingError as error:
            assert str(path) in str(error)
        else:
            assert meta == {"epoch": 1} and torch.equal(loaded["values"], values)

    return check, len(whole)


def test_no_cut_goes_unnoticed(check_damaged):
    check, size = check_damaged
    for length in range(size):
        check(lambda content, length=length: content[:length])


@pytest.mark.parametrize("bits", [0x01, 0x20, 0x40, 0x80, 0xFF])
def test_no_changed_byte_goes_unnoticed(check_damaged, bits):
    check, size = check_damaged

    def change(content, place):
        content[place] ^= bits
        return content

    for place in range(size):
        check(lambda content, place=place: change(content, place))


def test_a_state_with_something_to_execute_is_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("the file was executed",))

    path = tmp_path / "state.npz"
    np.savez(path, meta=np.array([Trap()], dtype=object))
    with pytest.raises(TrainingError, match="damaged") as refusal:
        load_state(path)
    assert "load it unsafely" not in str(refusal.value)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(TrainingError, match="damaged"):
        load_state(path)


# --- Adam ---


def test_adam_goes_on_from_a_file_as_if_nothing_had_happened(tmp_path):
    """In channels-last layout too: a file stores values in another order than the memory does."""

    def start():
        torch.manual_seed(0)
        network = in_channels_last(build_inverter("mp3"), torch.device("cpu"))
        return network, torch.optim.Adam(network.parameters(), lr=1e-3, fused=True)

    def update(network, optimiser, seed):
        generator = torch.Generator().manual_seed(seed)
        for parameter in network.parameters():
            parameter.grad = torch.randn(parameter.shape, generator=generator).to(
                memory_format=torch.channels_last if parameter.ndim == 4 else torch.preserve_format
            )
        optimiser.step()

    unbroken, optimiser = start()
    update(unbroken, optimiser, 1)
    arrays = {f"net/{name}": value for name, value in unbroken.state_dict().items()}
    for number, values in optimiser.state_dict()["state"].items():
        arrays |= {f"adam/{number}/{name}": value for name, value in values.items()}
    save_state(tmp_path / "state.npz", arrays, {})
    update(unbroken, optimiser, 2)

    resumed, optimiser = start()
    loaded, _ = load_state(tmp_path / "state.npz")
    resumed.load_state_dict({n.removeprefix("net/"): v for n, v in loaded.items() if n.startswith("net/")})
    averages = {}
    for name, value in loaded.items():
        if name.startswith("adam/"):
            _, number, rest = name.split("/")
            averages.setdefault(int(number), {})[rest] = value
    restore_adam(optimiser, averages, [1e-3])
    update(resumed, optimiser, 2)
    assert tiny.same_weights(resumed, unbroken)


def test_the_digest_tells_content_and_order_apart():
    values = torch.arange(6.0).view(2, 3)
    assert digest(values) == digest(values.clone()) and len(digest(values)) == 16
    assert len({digest(values), digest(values + 1e-6), digest(values.flip(0))}) == 3
    assert digest(values.T) == digest(values.T.contiguous())
