"""The machine during a turn: load of other processes, clocks, throttling, garbage collection.

Counters are read before and after each turn, never during one. Reading takes a few hundred
microseconds. A value that the system does not have is None: clocks and throttle counters
(``/sys``) and the CPU quota (cgroups) exist on Linux, the processes of GPUs with NVIDIA's NVML.
Only the garbage collector calls back during a turn; its pauses cost two readings of the clock.
"""

from __future__ import annotations

import ctypes
import gc
import os
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

from voicebench.machine.environment import load_average, usable_core_numbers
from voicebench.turn.timeline import MachineState

CPU_FOLDER = Path("/sys/devices/system/cpu")
CGROUP_STAT = Path("/sys/fs/cgroup/cpu.stat")
MOST_CORES = 16
"""Clocks and counters are read for this many cores; for 128 it would take too long."""


_Number = TypeVar("_Number", int, float)


@dataclass(frozen=True, slots=True)
class Counters:
    """Counters that only rise; the difference of two readings is what happened in between."""

    at_s: float
    busy_s: float | None
    own_s: float
    quota_ms: float | None
    throttled: int | None


class MachineWatch:
    """Read the machine's state around turns; a context manager. Tests replace ``read``."""

    def __init__(self, read: Callable[[], Counters] | None = None) -> None:
        self._read = read or read_counters
        self._before: Counters | None = None
        self._collecting_since = 0
        self._collection_ns = 0

    def __enter__(self) -> MachineWatch:
        """Begin to record garbage collections."""
        gc.callbacks.append(self._collection)
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop recording them."""
        gc.callbacks.remove(self._collection)

    def before_turn(self) -> None:
        """Read the counters before a turn."""
        self._before = self._read()
        self._collection_ns = 0  # collections while reading are not the turn's

    def after_turn(self) -> MachineState:
        """Return what happened since `before_turn`."""
        collection_ns = self._collection_ns
        after = self._read()
        before = self._before or after
        return MachineState(
            cpu_others=_share_of_others(before, after),
            load_1min=load_average(),
            clock_mhz=clock_mhz(),
            quota_ms=_rise(before.quota_ms, after.quota_ms),
            throttled=_rise(before.throttled, after.throttled),
            collection_ms=collection_ns / 1e6,
            gpu_others=foreign_gpu_processes(),
        )

    def _collection(self, phase: str, _info: Mapping[str, int]) -> None:
        now = time.perf_counter_ns()
        if phase == "start":
            self._collecting_since = now
        else:
            self._collection_ns += now - self._collecting_since


def read_counters() -> Counters:
    """Return the system's counters."""
    return Counters(
        at_s=time.perf_counter(),
        busy_s=busy_s(usable_core_numbers()),
        own_s=time.process_time(),
        quota_ms=_quota_ms(),
        throttled=_throttle_count(),
    )


def clock_mhz() -> float | None:
    """Return the mean clock of the cores; None except on Linux."""
    found = [_number(path) for path in _paths("cpufreq/scaling_cur_freq")]
    known = [value for value in found if value]
    return sum(known) / len(known) / 1000 if known else None


def foreign_gpu_processes() -> int | None:
    """Return how many other processes compute on NVIDIA's GPUs; None if unknown.

    A container may hide process numbers. So if GPUs list processes, but not this one, the number is
    unknown.
    """
    nvml = _nvml()
    if nvml is None:
        return None
    listed = _gpu_process_ids(nvml)
    if listed is None:
        return None
    return len(listed - {os.getpid()}) if os.getpid() in listed or not listed else None


def busy_s(cores: Iterable[int]) -> float | None:
    """Return how long all processes together kept ``cores`` busy; None if unknown."""
    import psutil

    try:
        times = psutil.cpu_times(percpu=True)
    except (OSError, RuntimeError, NotImplementedError):
        return None
    known = [times[core] for core in cores if core < len(times)]
    return float(
        sum(sum(core) - core.idle - getattr(core, "iowait", 0.0) - _guest(core) for core in known)
    )


def _guest(core: object) -> float:
    """Return guest time, which Linux also counts in user and nice time."""
    return float(getattr(core, "guest", 0.0)) + float(getattr(core, "guest_nice", 0.0))


def _share_of_others(before: Counters, after: Counters) -> float | None:
    elapsed = (after.at_s - before.at_s) * len(usable_core_numbers())
    if before.busy_s is None or after.busy_s is None or elapsed <= 0:
        return None
    others = (after.busy_s - before.busy_s) - (after.own_s - before.own_s)
    return min(max(others / elapsed, 0.0), 1.0)


def _quota_ms() -> float | None:
    try:
        lines = CGROUP_STAT.read_text(encoding="ascii").splitlines()
    except (OSError, ValueError):
        return None
    fields = dict(line.split(maxsplit=1) for line in lines if " " in line)
    text = fields.get("throttled_usec", "")
    return int(text) / 1000 if text.isdigit() else None


def _throttle_count() -> int | None:
    found = [_number(path) for path in _paths("thermal_throttle/core_throttle_count")]
    known = [value for value in found if value is not None]
    return sum(known) if known else None


@cache
def _paths(name: str) -> tuple[Path, ...]:
    paths = [CPU_FOLDER / f"cpu{core}" / name for core in usable_core_numbers()[:MOST_CORES]]
    return tuple(path for path in paths if path.exists())


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None


def _rise(before: _Number | None, after: _Number | None) -> _Number | None:
    return None if before is None or after is None else max(after - before, type(after)(0))


class _GpuProcess(ctypes.Structure):
    """``nvmlProcessInfo_t`` as of version 3 of the call."""

    _fields_ = (
        ("pid", ctypes.c_uint),
        ("used_memory", ctypes.c_ulonglong),
        ("gpu_instance", ctypes.c_uint),
        ("compute_instance", ctypes.c_uint),
    )


_MOST_GPU_PROCESSES = 256


@cache
def _nvml() -> ctypes.CDLL | None:
    """Return NVIDIA's management library (NVML), initialised; None if there is none."""
    try:
        library = ctypes.CDLL("libnvidia-ml.so.1")
        return library if library.nvmlInit_v2() == 0 else None
    except (OSError, AttributeError):
        return None


def _gpu_process_ids(nvml: ctypes.CDLL) -> set[int] | None:
    count = ctypes.c_uint()
    found: set[int] = set()
    try:
        if nvml.nvmlDeviceGetCount_v2(ctypes.byref(count)) != 0:
            return None
        for index in range(count.value):
            device = ctypes.c_void_p()
            if nvml.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(device)) != 0:
                return None
            size = ctypes.c_uint(_MOST_GPU_PROCESSES)
            listed = (_GpuProcess * _MOST_GPU_PROCESSES)()
            if nvml.nvmlDeviceGetComputeRunningProcesses_v3(device, ctypes.byref(size), listed):
                return None
            found |= {listed[place].pid for place in range(size.value)}
    except AttributeError:
        return None
    return found
