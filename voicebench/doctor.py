"""What this machine has, what is missing, and the command that mends it.

Each check looks at one thing and returns one `Finding`. Nothing is downloaded, no model is loaded.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from voicebench import environment
from voicebench.errors import VoicebenchError

State = Literal["ok", "warning", "missing"]

MAX_CLOCK_STEP_NS = 10_000
"""A clock coarser than 10 µs blurs what voicebench measures."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at. ``missing`` means that `voicebench run` cannot work."""

    what: str
    state: State
    detail: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding for ``--json``."""
        return asdict(self)


def examine() -> list[Finding]:
    """Run every check."""
    return [finding for check in CHECKS for finding in check()]


def _python() -> list[Finding]:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return [Finding("Python", "ok", version)]
    return [Finding("Python", "warning", version, "voicebench is tested on Python 3.11 to 3.13")]


def _engines() -> list[Finding]:
    findings = []
    for package in ("torch", "transformers", "piper-tts"):
        version = environment.package_version(package)
        if version is None:
            remedy = f"pip install {package}"
            findings.append(Finding(package, "missing", "not installed", remedy))
        else:
            findings.append(Finding(package, "ok", version))
    return findings


def _devices() -> list[Finding]:
    from voicebench.devices import available_devices, resolve_device

    try:
        chosen = resolve_device("auto")
        names = ", ".join(available_devices())
    except (VoicebenchError, ImportError) as error:
        return [Finding("computing device", "missing", str(error), "pip install torch")]
    return [Finding("computing device", "ok", f"auto is {chosen}; there are: {names}")]


def _compiled() -> list[Finding]:
    """Look at the C code; a missing cache or compiler costs speed, and nothing else."""
    from voicebench.native.library import NoLibrary, is_vectorised, native_library

    try:
        library = native_library()
    except NoLibrary as error:
        return [
            Finding(
                "C compiler",
                "warning",
                f"{error}; the engines compute in torch, which is slower on a CPU",
                error.remedy,
            )
        ]
    wide = "with its wide instructions" if is_vectorised(library) else "plainly"
    return [Finding("C compiler", "ok", f"has compiled for this processor, {wide}")]


def _speakers() -> list[Finding]:
    from voicebench.audio.speaker import list_speakers

    try:
        speakers = list_speakers()
    except VoicebenchError as error:
        return [Finding("sound device", "warning", error.message, error.remedy)]
    if not speakers:
        return [
            Finding(
                "sound device",
                "warning",
                "none found",
                "only `voicebench say` needs one; it can write a file with --output",
            )
        ]
    return [Finding("sound device", "ok", ", ".join(speaker.name for speaker in speakers))]


def _models() -> list[Finding]:
    from voicebench.models import CATALOGUE, state

    findings = []
    for entry in CATALOGUE:
        present = state(entry.name)
        if present == "ready":
            findings.append(Finding(entry.name, "ok", "in the cache"))
        else:
            findings.append(
                Finding(
                    entry.name,
                    "warning",
                    f"{present}; it is fetched when first used",
                    f"voicebench models pull {entry.name}",
                )
            )
    return findings


def _clock() -> list[Finding]:
    step_ns = environment.clock_resolution_ns()
    if step_ns <= MAX_CLOCK_STEP_NS:
        return [Finding("clock", "ok", f"{step_ns} ns between two readings")]
    return [
        Finding(
            "clock",
            "warning",
            f"{step_ns} ns between two readings",
            "measure on a machine with a finer monotonic clock",
        )
    ]


def _governor() -> list[Finding]:
    governor = environment.cpu_governor()
    if governor is None:
        return [Finding("CPU governor", "ok", "the system does not tell")]
    if governor == "performance":
        return [Finding("CPU governor", "ok", governor)]
    return [
        Finding(
            "CPU governor",
            "warning",
            f"{governor}: the clock follows the load",
            "sudo cpupower frequency-set -g performance",
        )
    ]


def _load() -> list[Finding]:
    load, cores = environment.load_average(), environment.core_count()
    if load is None or cores is None:
        return [Finding("load", "ok", "the system does not tell")]
    detail = f"{load:.2f} on {cores} cores"
    if load <= cores / 2:
        return [Finding("load", "ok", detail)]
    return [Finding("load", "warning", detail, "stop other programs before measuring")]


CHECKS: tuple[Callable[[], list[Finding]], ...] = (
    _python,
    _engines,
    _devices,
    _compiled,
    _models,
    _speakers,
    _clock,
    _governor,
    _load,
)
