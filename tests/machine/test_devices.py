from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from voicebench.errors import DeviceError, SettingsError
from voicebench.machine import devices


@pytest.mark.parametrize("name", ["auto", "cpu"])
def test_auto_and_cpu_are_devices_of_every_machine(name: str) -> None:
    devices.check_device(name)
    assert torch.device(devices.resolve_device(name)).type in {"cpu", "cuda", "mps"}


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cuda:", "cuda:-1", "cuda:x", "cpu:0", "auto "])
def test_a_name_outside_the_grammar_is_refused_with_the_grammar(name: str) -> None:
    with pytest.raises(DeviceError, match="write auto, cpu, mps, cuda or cuda:N"):
        devices.check_device(name)


def test_cuda_without_a_driver_is_refused_with_what_the_machine_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(devices, "cuda_device_count", lambda: 0)
    with pytest.raises(DeviceError, match=r"shows none; this machine has .*cpu; write one of"):
        devices.check_device("cuda")


def test_cuda_with_a_torch_built_without_it_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cuda_device_count", lambda: 1)
    monkeypatch.setattr(devices, "_torch_has_cuda", lambda: False)
    with pytest.raises(DeviceError, match="built without CUDA"):
        devices.check_device("cuda:0")


def test_a_cuda_index_past_the_last_device_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(devices, "cuda_device_count", lambda: 2)
    monkeypatch.setattr(devices, "_torch_has_cuda", lambda: True)
    devices.check_device("cuda:1")
    with pytest.raises(DeviceError, match="has cuda:0, cuda:1, cpu"):
        devices.check_device("cuda:2")


def test_what_torch_says_of_cuda_agrees_with_its_version_file() -> None:
    assert devices._torch_has_cuda() == (torch.version.cuda is not None)


def test_checking_a_device_does_not_import_torch() -> None:
    script = (
        "import sys; from voicebench import errors; from voicebench.machine import devices\n"
        "devices.check_device('auto'); devices.available_devices()\n"
        "assert devices.resolve_device('cpu') == 'cpu'\n"
        "try: devices.check_device('cuda:99')\n"
        "except errors.DeviceError: pass\n"
        "assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_the_cpu_is_the_last_of_the_available_devices() -> None:
    assert devices.available_devices()[-1] == "cpu"


@pytest.mark.parametrize(("native", "expected"), [(True, "bfloat16"), (False, "float32")])
def test_auto_dtype_on_a_cpu_is_bfloat16_only_where_it_is_native(
    monkeypatch: pytest.MonkeyPatch, native: bool, expected: str
) -> None:
    monkeypatch.setattr(devices, "cpu_has_bfloat16", lambda: native)
    assert devices.resolve_dtype("auto", "cpu") == expected


@pytest.mark.parametrize("name", ["float32", "bfloat16", "float16"])
def test_a_named_dtype_is_taken_as_it_is(name: str) -> None:
    assert devices.resolve_dtype(name, "cpu") == name


def test_an_unknown_dtype_is_refused_with_the_known_ones() -> None:
    with pytest.raises(SettingsError, match="write auto, float32, bfloat16 or float16"):
        devices.resolve_dtype("fp8", "cpu")


def test_to_host_returns_contiguous_float32_that_shares_no_memory() -> None:
    tensor = torch.arange(6, dtype=torch.float32).reshape(2, 3)
    array = devices.to_host(tensor.T)
    assert array.dtype == np.float32
    assert array.flags.c_contiguous
    tensor.zero_()
    np.testing.assert_array_equal(array, [[0, 3], [1, 4], [2, 5]])


def test_to_host_takes_half_precision_and_gradients() -> None:
    tensor = torch.tensor([0.5, -0.25], dtype=torch.bfloat16, requires_grad=True)
    np.testing.assert_array_equal(devices.to_host(tensor), np.array([0.5, -0.25], np.float32))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device")
def test_to_host_waits_for_the_work_queued_on_the_gpu() -> None:
    device = devices.resolve_device("cuda")
    matrix = torch.ones(2048, 2048, device=device)
    for _ in range(20):
        matrix = matrix @ torch.full_like(matrix, 1 / 2048)
    np.testing.assert_allclose(devices.to_host(matrix), 1.0, rtol=1e-3)


def test_threads_are_set_and_none_takes_one_per_usable_core() -> None:
    before = torch.get_num_threads()
    try:
        assert devices.set_threads(1) == 1
        assert torch.get_num_threads() == devices.threads() == 1
        assert devices.set_threads(None) == devices.usable_cores() == torch.get_num_threads()
    finally:
        torch.set_num_threads(before)


def test_torch_is_told_of_threads_that_were_set_before_it_was_imported() -> None:
    script = (
        "import sys; from voicebench.machine import devices\n"
        "assert devices.threads() == devices.usable_cores()\n"
        "devices.set_threads(3)\n"
        "assert devices.threads() == 3\n"
        "assert 'torch' not in sys.modules\n"
        "devices.set_torch_threads()\n"
        "import torch\n"
        "assert torch.get_num_threads() == devices.threads() == 3"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_no_threads_at_all_is_refused() -> None:
    with pytest.raises(SettingsError, match="write 1 or more"):
        devices.set_threads(0)


def test_waiting_threads_sleep_unless_the_user_says_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    devices.let_waiting_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    devices.let_waiting_threads_sleep()
    assert os.environ["OMP_WAIT_POLICY"] == "active"
