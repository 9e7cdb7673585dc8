"""Devices: the CPU behind the small protocol, and the one that does nothing."""

from __future__ import annotations

import time

import numpy as np
import pytest

from lem_runtime.devices import Completion, Device, GridSlice, Limits, Ticket, View
from lem_runtime.devices.cpu import CpuDevice
from lem_runtime.devices.null import NullDevice
from tests.support import kernels
from tests.unit.test_runner import endless


def _wait(device: Device, ticket: Ticket) -> Completion:
    until = time.monotonic() + 20
    while time.monotonic() < until:
        for done in device.poll():
            if done.ticket == ticket:
                return done
        time.sleep(0.001)
    raise AssertionError("did not finish")


@pytest.fixture
def cpu() -> CpuDevice:
    return CpuDevice(threads=2, core=kernels.core())


def test_cpu_runs_a_kernel_on_buffers(cpu: CpuDevice) -> None:
    n = 1000
    x = cpu.adopt(np.arange(n, dtype=np.float32))
    y, z = cpu.alloc(4 * n), cpu.alloc(4 * n)
    kernel = cpu.load(kernels.saxpy())
    views = [View(b, (n,), (1,)) for b in (x, y)]
    done = _wait(cpu, cpu.launch(kernel, (2.0, *views, n), GridSlice()))
    assert done.fault is None
    assert _wait(cpu, cpu.copy(y, z)).fault is None
    np.testing.assert_array_equal(np.frombuffer(cpu.read(z), np.float32), 2 * np.arange(n, dtype=np.float32))


def test_cpu_cancels_a_launch(cpu: CpuDevice) -> None:
    ticket = cpu.launch(cpu.load(endless()), (9,), GridSlice())
    time.sleep(0.02)
    assert cpu.poll() == []
    cpu.cancel(ticket)
    fault = _wait(cpu, ticket).fault
    assert fault is not None and fault.code == "E0613"


def test_cpu_refuses_what_would_touch_other_memory(cpu: CpuDevice) -> None:
    kernel = cpu.load(kernels.saxpy())
    x, y = cpu.alloc(40), cpu.alloc(40)
    good = View(y, (10,), (1,))
    for bad in (View(x, (11,), (1,)), View(x, (10,), (2,)), View(x, (10,), (-1,)), View(x, (10,), (1,), offset=1)):
        with pytest.raises(ValueError, match="outside its buffer"):
            cpu.launch(kernel, (1.0, bad, good, 10), GridSlice())
    with pytest.raises(ValueError, match="cannot be cut"):
        cpu.launch(kernel, (1.0, View(x, (10,), (1,)), good, 10), GridSlice(0, 5))
    cpu.free(x)
    with pytest.raises(ValueError, match="freed"):
        cpu.launch(kernel, (1.0, View(x, (10,), (1,)), good, 10), GridSlice())
    with pytest.raises(ValueError, match="freed"):
        cpu.free(x)


def test_null_device_finishes_at_once_and_in_order() -> None:
    device = NullDevice(Limits(memory_bytes=100, n_workers=1))
    a, b = device.alloc(60), device.alloc(40)
    with pytest.raises(MemoryError):
        device.alloc(1)
    first = device.copy(a, b)
    second = device.launch(device.load(kernels.saxpy()), (1.0,), GridSlice())
    assert device.poll() == [Completion(first, 1), Completion(second, 2)]
    assert device.poll() == []
    assert device.n_copied_bytes == 40
    device.free(a)
    with pytest.raises(ValueError):
        device.copy(a, b)
