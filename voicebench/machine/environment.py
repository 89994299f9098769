"""The machine and the software that a result was measured on."""

from __future__ import annotations

import os
import platform
import time
from itertools import pairwise
from pathlib import Path

import voicebench

PACKAGES = (
    "torch",
    "transformers",
    "tokenizers",
    "safetensors",
    "numpy",
    "piper-tts",
    "sounddevice",
    "httpx",
)
_GIT_TIMEOUT_S = 2.0


def describe_environment() -> dict[str, object]:
    """Return versions, processor, memory, load and commit; unknown values are None.

    Imports no engine. Takes a few milliseconds.
    """
    return {
        "voicebench": voicebench.__version__,
        "python": platform.python_version(),
        "packages": {name: package_version(name) for name in PACKAGES},
        "system": f"{platform.system()} {platform.release()}",
        "machine": platform.machine(),
        "cpu": cpu_name(),
        "cores": core_count(),
        "memory_bytes": memory_bytes(),
        "governor": cpu_governor(),
        "thread_waiting": os.environ.get("OMP_WAIT_POLICY"),
        "load_1min": load_average(),
        "clock_resolution_ns": clock_resolution_ns(),
        "commit": git_commit(Path.cwd()),
    }


def package_version(name: str) -> str | None:
    """Return the installed version of a distribution; None if it is missing."""
    from importlib import metadata  # 20 ms, which `--help` need not wait for

    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def cpu_name() -> str | None:
    """Return the processor's name."""
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or None


def usable_core_numbers() -> list[int]:
    """Return the numbers of the cores that this process may use, in order."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def core_count() -> int:
    """Return how many cores this process may use."""
    return len(usable_core_numbers())


def memory_bytes() -> int | None:
    """Return the size of the machine's memory."""
    import psutil

    return int(psutil.virtual_memory().total)


def address_space_limit() -> int | None:
    """Return how many bytes this process may map (``ulimit -v``); None if unlimited."""
    try:
        import resource
    except ImportError:  # Windows has no such limit
        return None
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if limit == resource.RLIM_INFINITY else limit


def cpu_governor() -> str | None:
    """Return the frequency governor of the first core, on Linux."""
    path = Path("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return None


def load_average() -> float | None:
    """Return the load average of the last minute."""
    try:
        return os.getloadavg()[0]
    except (OSError, AttributeError):
        return None


def clock_resolution_ns() -> int:
    """Return the smallest difference between two readings of the clock."""
    readings = [time.perf_counter_ns() for _ in range(200)]
    steps = [later - earlier for earlier, later in pairwise(readings)]
    return min((step for step in steps if step > 0), default=0)


def git_commit(folder: Path) -> str | None:
    """Return the commit checked out in ``folder``, with ``+changes`` if files differ."""
    commit = _git(folder, "rev-parse", "--short=12", "HEAD")
    if not commit:
        return None
    return f"{commit}+changes" if _git(folder, "status", "--porcelain", "-uno") else commit


def _git(folder: Path, *arguments: str) -> str:
    import subprocess

    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            capture_output=True,
            text=True,
            timeout=_GIT_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
