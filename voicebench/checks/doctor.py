"""Check what this machine has, what is missing, and what to do about it.

Nothing is downloaded, and no model is loaded.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Literal

from voicebench.errors import VoicebenchError
from voicebench.machine import environment

State = Literal["ok", "warning", "missing"]

MAX_CLOCK_STEP_NS = 10_000
"""A clock with larger steps is too coarse."""


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """The result of a check. ``missing`` means that `voicebench run` cannot work."""

    what: str
    state: State
    detail: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding for ``--json``."""
        return asdict(self)


def examine() -> list[MachineCheck]:
    """Run every check."""
    return [finding for check in CHECKS for finding in check()]


def _python() -> list[MachineCheck]:
    version = platform.python_version()
    if (3, 11) <= sys.version_info[:2] <= (3, 13):
        return [MachineCheck("Python", "ok", version)]
    return [
        MachineCheck("Python", "warning", version, "voicebench is tested on Python 3.11 to 3.13")
    ]


def _engines() -> list[MachineCheck]:
    findings = []
    for package in ("torch", "transformers", "piper-tts"):
        version = environment.package_version(package)
        if version is None:
            remedy = f"pip install {package}"
            findings.append(MachineCheck(package, "missing", "not installed", remedy))
        else:
            findings.append(MachineCheck(package, "ok", version))
    return findings


def _devices() -> list[MachineCheck]:
    from voicebench.machine.devices import available_devices, resolve_device

    try:
        chosen = resolve_device("auto")
        names = ", ".join(available_devices())
    except (VoicebenchError, ImportError) as error:
        return [MachineCheck("computing device", "missing", str(error), "pip install torch")]
    return [MachineCheck("computing device", "ok", f"auto is {chosen}; there are: {names}")]


def _compiled() -> list[MachineCheck]:
    """Check the C code; a missing cache or compiler only costs speed."""
    from voicebench.engines.native.library import NoLibrary, native_library

    try:
        library = native_library()
    except NoLibrary as error:
        return [
            MachineCheck(
                "C compiler",
                "warning",
                f"{error}; the engines compute in torch, which is slower on a CPU",
                error.remedy,
            )
        ]
    wide = "with its wide instructions" if library.voicebench_is_vectorised() else "plainly"
    return [MachineCheck("C compiler", "ok", f"has compiled for this processor, {wide}")]


def _speakers() -> list[MachineCheck]:
    from voicebench.audio.loudspeakers import list_speakers

    try:
        speakers = list_speakers()
    except VoicebenchError as error:
        return [MachineCheck("sound device", "warning", error.message, error.remedy)]
    if not speakers:
        return [
            MachineCheck(
                "sound device",
                "warning",
                "none found",
                "only `voicebench say` needs one; it can write a file with --output",
            )
        ]
    return [MachineCheck("sound device", "ok", ", ".join(speaker.name for speaker in speakers))]


def _models() -> list[MachineCheck]:
    from voicebench.engines.models import CATALOGUE, state

    findings = []
    for entry in CATALOGUE:
        present = state(entry.name)
        if present == "ready":
            findings.append(MachineCheck(entry.name, "ok", "in the cache"))
        else:
            findings.append(
                MachineCheck(
                    entry.name,
                    "warning",
                    f"{present}; it is fetched when first used",
                    f"voicebench models pull {entry.name}",
                )
            )
    return findings


def _clock() -> list[MachineCheck]:
    step_ns = environment.clock_resolution_ns()
    if step_ns <= MAX_CLOCK_STEP_NS:
        return [MachineCheck("clock", "ok", f"{step_ns} ns between two readings")]
    return [
        MachineCheck(
            "clock",
            "warning",
            f"{step_ns} ns between two readings",
            "measure on a machine with a finer monotonic clock",
        )
    ]


def _governor() -> list[MachineCheck]:
    governor = environment.cpu_governor()
    if governor is None:
        return [MachineCheck("CPU governor", "ok", "unknown on this system")]
    if governor == "performance":
        return [MachineCheck("CPU governor", "ok", governor)]
    return [
        MachineCheck(
            "CPU governor",
            "warning",
            f"{governor}: the clock follows the load",
            "sudo cpupower frequency-set -g performance",
        )
    ]


def _load() -> list[MachineCheck]:
    load, cores = environment.load_average(), environment.core_count()
    if load is None:
        return [MachineCheck("load", "ok", "unknown on this system")]
    detail = f"{load:.2f} on {cores} cores"
    if load <= cores / 2:
        return [MachineCheck("load", "ok", detail)]
    return [MachineCheck("load", "warning", detail, "stop other programs before measuring")]


CHECKS: tuple[Callable[[], list[MachineCheck]], ...] = (
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
