import platform

import pytest
import tiny
import torch

from svdlib.compute import memory
from svdlib.compute.memory import PeakMemory, peak_memory
from svdlib.inversion.plans import TrainingPlan
from svdlib.zoo.fitting import fit_inverters


@pytest.mark.skipif(platform.system() == "Windows", reason="Windows does not tell")
def test_the_peak_holds_what_was_allocated():
    block = torch.ones(50_000_000)  # 200 MB
    peak = peak_memory(torch.device("cpu"))
    assert block.nbytes < peak.host < 1e12 and peak.device is None
    del block
    assert peak_memory(torch.device("cpu")).host >= peak.host


def test_a_gpu_tells_its_own_peak(monkeypatch):
    monkeypatch.setattr(torch.cuda, "max_memory_reserved", lambda device: 3_000_000_000)
    assert peak_memory(torch.device("cuda")).device == 3_000_000_000


@pytest.mark.parametrize(
    ("host", "device", "text"),
    [(1_240_000_000, None, "1.2 GB"), (1e9, 2e9, "1.0 GB and 2.0 GB on the GPU"), (None, None, "unknown")],
)
def test_peaks_are_told_in_gigabytes(host, device, text):
    assert str(PeakMemory(host, device)) == text


@pytest.mark.parametrize(("system", "bytes_per_unit"), [("Linux", 1024), ("Darwin", 1)])
def test_systems_count_in_different_units(monkeypatch, system, bytes_per_unit):
    import resource

    monkeypatch.setattr(memory.platform, "system", lambda: system)
    monkeypatch.setattr(resource, "getrusage", lambda _: type("Usage", (), {"ru_maxrss": 7})())
    assert peak_memory(torch.device("cpu")).host == 7 * bytes_per_unit


def test_a_run_tells_its_peak_and_its_precision():
    plan = TrainingPlan(epochs=1, batch_size=2, steps_per_epoch=1, validation_excerpts=2)
    options = {"layers": ("fc8",), "plan": plan, "objective": "input"}
    half = fit_inverters(tiny.detector(), tiny.bank(0), tiny.bank(1), precision="bfloat16", **options)
    assert half.memory.host > 1e8 and half.precision == "bfloat16"
    assert half.record("fc8")["kept_epoch"] == 1
