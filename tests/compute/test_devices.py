import pytest
import torch

from svdlib.compute import devices
from svdlib.compute.devices import choose_device, choose_precision
from svdlib.errors import DeviceError


def test_the_processor_is_always_there():
    assert choose_device("cpu") == torch.device("cpu")


@pytest.mark.parametrize(("there", "chosen"), [(True, "cuda"), (False, "cpu")])
def test_auto_takes_a_gpu_where_there_is_one(monkeypatch, there, chosen):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: there)
    assert choose_device("auto") == choose_device() == torch.device(chosen)


def test_a_gpu_that_is_not_there(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    for name in ("cuda", "cuda:0"):
        with pytest.raises(DeviceError, match=f"'{name}' is not there.*--device cpu"):
            choose_device(name)


def test_a_gpu_beyond_the_last(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(DeviceError, match="'cuda:2' is not there"):
        choose_device("cuda:2")


@pytest.mark.parametrize("name", ["gpu", "", "cuda:x", "cuda:-1", "CPU please"])
def test_a_name_that_means_nothing(name):
    with pytest.raises(DeviceError, match=f"{name!r} is not the name of a device.*auto, cpu"):
        choose_device(name)


def test_a_second_processor():
    with pytest.raises(DeviceError, match="'cpu:7' is not there"):
        choose_device("cpu:7")


@pytest.mark.parametrize("name", ["meta", "xla", "mps", "mps:0"])
def test_devices_that_cannot_train(monkeypatch, name):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(DeviceError, match=f"{name!r} is not supported.*cpu, cuda or auto"):
        choose_device(name)


@pytest.mark.parametrize(("generation", "chosen"), [((7, 5), torch.float32), ((8, 0), torch.bfloat16)])
def test_a_gpu_computes_in_half_width_if_it_has_units_for_it(monkeypatch, generation, chosen):
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: generation)
    assert choose_precision("auto", torch.device("cuda")) == chosen


@pytest.mark.parametrize("amx", [True, False, None])
@pytest.mark.parametrize("avx512", [True, False, None])
@pytest.mark.parametrize("gain", [0.6, 2.0])
def test_a_processor_does_if_it_has_fast_units_for_it(monkeypatch, amx, avx512, gain):
    for name, has in (("_is_amx_tile_supported", amx), ("_is_avx512_bf16_supported", avx512)):
        monkeypatch.setattr(torch.cpu, name, lambda has=has: has, raising=False)
        if has is None:  # an older PyTorch, which cannot tell
            monkeypatch.delattr(torch.cpu, name)
    monkeypatch.setattr(devices, "gain_of_bfloat16", lambda: gain)
    chosen = torch.bfloat16 if (amx or avx512) and gain > 1 else torch.float32
    assert choose_precision("auto", torch.device("cpu")) == chosen


def test_the_gain_of_half_width_is_what_the_clock_says(monkeypatch):
    clock = iter(sum(([10 * k, 10 * k + (3 if k < 6 else 2)] for k in range(12)), []))
    monkeypatch.setattr(devices.time, "perf_counter", lambda: next(clock))
    assert devices.gain_of_bfloat16.__wrapped__() == 1.5


def test_a_precision_that_is_named_is_taken_and_an_unknown_one_refused():
    assert choose_precision("bfloat16", torch.device("cpu")) == torch.bfloat16
    assert choose_precision("float32", torch.device("cuda")) == torch.float32
    with pytest.raises(DeviceError, match="'half'.*auto, float32, bfloat16"):
        choose_precision("half", torch.device("cpu"))
