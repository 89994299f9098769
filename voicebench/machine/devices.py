"""Computing devices: everything that differs between CUDA, Apple's MPS and the CPU.

A device is named ``auto``, ``cpu``, ``mps``, ``cuda`` or ``cuda:N``. A name is checked before any
model is loaded, and without importing torch, which takes seconds: the driver library lists the CUDA
devices, and torch's version file says whether torch can use them.
"""

from __future__ import annotations

import ctypes
import importlib.util
import os
import platform
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from voicebench.errors import DeviceError, SettingsError
from voicebench.machine.environment import core_count

if TYPE_CHECKING:
    import numpy as np
    import torch
    from numpy.typing import NDArray

    from voicebench.machine.slower import Slower

DEVICE_GRAMMAR = "auto, cpu, mps, cuda or cuda:N"
DTYPE_NAMES = ("auto", "float32", "bfloat16", "float16")

_DEVICE_PATTERN = re.compile(r"auto|cpu|mps|cuda(?::(?P<index>\d{1,3}))?")
_NATIVE_BFLOAT16_FLAGS = frozenset({"avx512_bf16", "amx_bf16", "bf16"})
"""CPU flags (x86 and Arm, as Linux prints them) of processors that multiply bfloat16 directly."""


def check_device(name: str) -> None:
    """Raise `DeviceError` unless ``name`` is a device of this machine, or ``auto``.

    Takes milliseconds; does not import torch.
    """
    match = _DEVICE_PATTERN.fullmatch(name)
    if match is None:
        raise DeviceError(f"device {name!r} is not a device name", f"write {DEVICE_GRAMMAR}")
    if name == "mps" and not _has_mps():
        raise DeviceError(
            "device 'mps' exists only on a Mac with an Apple processor", _choose_from_what_exists()
        )
    if name.startswith("cuda"):
        _check_cuda(name, int(match["index"] or 0))


def resolve_device(name: str) -> str:
    """Return the device that ``name`` means, as torch names it: ``cpu``, ``mps`` or ``cuda:N``.

    ``auto`` prefers CUDA to MPS, and MPS to the CPU. Torch is imported only if the machine has more
    than its CPU. Raises `DeviceError` as `check_device` does, and if torch cannot use the device.
    """
    check_device(name)
    if name == "cpu" or (name == "auto" and available_devices() == ["cpu"]):
        return "cpu"
    import torch

    if name == "auto":
        if torch.cuda.is_available():
            return f"cuda:{torch.cuda.current_device()}"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    if name.startswith("cuda"):
        if not torch.cuda.is_available():
            raise DeviceError(
                f"torch {torch.__version__} cannot use the CUDA device of this machine",
                "install a torch that fits the driver, or write cpu",
            )
        return f"cuda:{torch.cuda.current_device()}" if name == "cuda" else name
    if not torch.backends.mps.is_available():
        raise DeviceError("torch cannot use MPS here", "update macOS and torch, or write cpu")
    return name


def unused_gpu(name: str, resolved: str) -> Slower | None:
    """Return why ``auto`` took the CPU of a machine with a GPU; None if it did not."""
    if (name, resolved) != ("auto", "cpu") or cuda_device_count() == 0:
        return None
    from voicebench.machine.slower import Slower

    why = "cannot use it" if _torch_has_cuda() else "is built without CUDA"
    return Slower(
        f"computed on the CPU, though this machine has an NVIDIA GPU: the installed torch {why}",
        "install a torch with CUDA that fits the driver, or set the device to cpu if that is meant",
    )


def resolve_dtype(name: str, device: str) -> str:
    """Return the number format that ``name`` means on ``device``, as torch names it.

    ``auto`` is the fast and exact enough format of the device. CUDA: bfloat16 from compute
    capability 8.0 on, else float16. MPS: float16. CPU: bfloat16 if the processor multiplies it
    directly, else float32, because bfloat16 is emulated there.
    """
    if name not in DTYPE_NAMES:
        raise SettingsError(f"dtype {name!r} is unknown", f"write {_either(DTYPE_NAMES)}")
    if name != "auto":
        return name
    if device.startswith("cuda"):
        import torch

        has_bfloat16 = torch.cuda.get_device_capability(device) >= (8, 0)
        return "bfloat16" if has_bfloat16 else "float16"
    if device == "mps":
        return "float16"
    return "bfloat16" if cpu_has_bfloat16() else "float32"


def to_host(tensor: torch.Tensor) -> NDArray[np.float32]:
    """Return a contiguous float32 copy of ``tensor`` on the host, complete at return.

    It shares no memory with ``tensor``. On CUDA the copy runs on its own stream into a pinned
    buffer. It waits for the work that is queued on the current stream now, not for later work.
    """
    import torch

    source = tensor.detach()
    if source.device.type != "cuda":
        on_host = torch.empty(source.shape, dtype=torch.float32)
        on_host.copy_(source)
        array: NDArray[np.float32] = on_host.numpy()
        return array
    source = source.to(torch.float32).contiguous()
    pinned = torch.empty(source.shape, dtype=torch.float32, pin_memory=True)
    copying = _copy_stream(source.device)
    copying.wait_stream(torch.cuda.current_stream(source.device))
    with torch.cuda.stream(copying):
        pinned.copy_(source, non_blocking=True)
        done = copying.record_event()
    source.record_stream(copying)
    done.synchronize()
    array = pinned.numpy()
    return array


def compute_float32_exactly() -> None:
    """Let cuDNN's convolutions of float32 compute in float32.

    By default they round their inputs to the 10 bits of TF32, while torch's matrix products do not.
    """
    import torch

    cudnn = torch.backends.cudnn
    # If the two differ, torch refuses to say whether cuDNN uses TF32.
    cudnn.conv.fp32_precision = cudnn.rnn.fp32_precision = "ieee"  # type: ignore[attr-defined]


def available_devices() -> list[str]:
    """Return the names of this machine's devices, the fastest kind first; no torch import."""
    names = [f"cuda:{index}" for index in range(cuda_device_count())] if _torch_has_cuda() else []
    if _has_mps():
        names.append("mps")
    return [*names, "cpu"]


def let_waiting_threads_sleep() -> None:
    """Let torch's threads sleep while they wait, instead of spinning; call before importing torch.

    Spinning gained nothing measurable on an idle machine. Beside a busy process on two cores,
    spinning threads block the thread that they wait for: a sentence took 1.9 s instead of 0.9 s. A
    value that the user set (OpenMP 5.2, section 21.4) is kept.
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")


_untold: list[int] = []
"""The number of threads to set in torch when it is imported; empty if nothing is to be set."""


def set_threads(count: int | None) -> int:
    """Let the engines use ``count`` CPU threads, or one for each usable core; return how many.

    Torch by itself counts all cores, also in a container that may use only some. If it is not yet
    imported, `set_torch_threads` sets the number later.
    """
    if count is not None and count < 1:
        raise SettingsError(f"the number of CPU threads is {count}", "write 1 or more")
    wanted = count if count is not None else usable_cores()
    _untold[:] = [wanted]
    if "torch" in sys.modules:
        set_torch_threads()
    return wanted


def set_torch_threads() -> None:
    """Set the number of threads in torch, if `set_threads` was called before it was imported."""
    import torch

    while _untold:
        wanted = _untold.pop()
        if wanted != torch.get_num_threads():
            torch.set_num_threads(wanted)


def threads() -> int:
    """Return how many CPU threads the engines use: as set, else torch's number."""
    if _untold:
        return _untold[0]
    # While another thread imports torch, the function does not exist yet.
    counted = getattr(sys.modules.get("torch"), "get_num_threads", usable_cores)
    return int(counted())


def usable_cores() -> int:
    """Return how many CPU cores this process may use, by its affinity and its cgroup's quota."""
    cores = core_count()
    try:
        quota, period = Path("/sys/fs/cgroup/cpu.max").read_text(encoding="ascii").split()
        cores = min(cores, max(1, int(quota) // int(period)))
    except (OSError, ValueError):
        pass  # no such control group, or the quota is "max"
    return cores


def cpu_has_bfloat16() -> bool:
    """Return whether this processor multiplies bfloat16 directly; False except on Linux."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    for line in text.splitlines():
        if line.lower().startswith(("flags", "features")):
            return not _NATIVE_BFLOAT16_FLAGS.isdisjoint(line.split())
    return False


def cuda_device_count() -> int:
    """Return how many CUDA devices the driver shows this process; 0 without a driver.

    The driver library (``cuInit``, ``cuDeviceGetCount`` of NVIDIA's driver API) respects
    CUDA_VISIBLE_DEVICES, as torch does.
    """
    library = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return 0
    count = ctypes.c_int(0)
    if driver.cuInit(0) != 0 or driver.cuDeviceGetCount(ctypes.byref(count)) != 0:
        return 0
    return count.value


def _check_cuda(name: str, index: int) -> None:
    count = cuda_device_count()
    if count == 0:
        raise DeviceError(
            f"device {name!r} needs an NVIDIA GPU, and the driver of this machine shows none",
            _choose_from_what_exists(),
        )
    if not _torch_has_cuda():
        raise DeviceError(
            f"device {name!r} cannot be used: the installed torch is built without CUDA",
            "install a torch with CUDA, or write cpu",
        )
    if index >= count:
        raise DeviceError(f"device {name!r} does not exist", _choose_from_what_exists())


def _choose_from_what_exists() -> str:
    return f"this machine has {', '.join(available_devices())}; write one of these, or auto"


def _either(names: tuple[str, ...]) -> str:
    return f"{', '.join(names[:-1])} or {names[-1]}"


def _has_mps() -> bool:
    return sys.platform == "darwin" and platform.machine() == "arm64"


def _torch_has_cuda() -> bool:
    """Return whether torch was built with CUDA, by its version file."""
    found = importlib.util.find_spec("torch")
    if found is None or found.origin is None:
        return False
    try:
        text = Path(found.origin).with_name("version.py").read_text(encoding="utf-8")
    except OSError:
        return False
    return re.search(r"^cuda\b.*=\s*['\"]", text, re.MULTILINE) is not None


_copy_streams: dict[torch.device, torch.cuda.Stream] = {}


def _copy_stream(device: torch.device) -> torch.cuda.Stream:
    import torch

    if device not in _copy_streams:
        _copy_streams[device] = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
    return _copy_streams[device]
