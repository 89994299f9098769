"""Check what this machine has, what is missing, and what to do about it.

Nothing is downloaded, and no model is loaded.
"""

from __future__ import annotations

import platform
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Literal

from voicebench.errors import VoicebenchError
from voicebench.machine import environment
from voicebench.machine.extras import (
    EXTRAS,
    NAMESAKE,
    Extra,
    install_command,
    is_installed,
    namesake,
    namesake_remedy,
)

State = Literal["ok", "warning", "missing", "absent"]

MAX_CLOCK_STEP_NS = 10_000
"""A clock with larger steps is too coarse."""


@dataclass(frozen=True, slots=True)
class MachineCheck:
    """The result of a check.

    ``missing`` means that what is installed cannot work; ``absent`` that an extra is not installed.
    """

    what: str
    state: State
    detail: str
    remedy: str = ""

    def as_dict(self) -> dict[str, str]:
        """Return the finding for ``--json``."""
        return asdict(self)


def examine() -> list[MachineCheck]:
    """Run every check of what is installed."""
    extras = {extra.name: _extra(extra) for extra in EXTRAS}
    found = [_python(), *_namesake(), *extras.values()]
    if extras["local"].state == "ok":
        found += [_device(), _library(), *_models()]
    if extras["say"].state == "ok":
        found.append(_speakers())
    return [*found, _clock(), _governor(), _load()]


def _ok_or_warning(what: str, detail: str, remedy: str) -> MachineCheck:
    """Return a warning if there is a ``remedy``."""
    return MachineCheck(what, "warning" if remedy else "ok", detail, remedy)


def _python() -> MachineCheck:
    tested = (3, 11) <= sys.version_info[:2] <= (3, 14)
    remedy = "" if tested else "voicebench is tested on Python 3.11 to 3.14"
    return _ok_or_warning("Python", platform.python_version(), remedy)


def _namesake() -> list[MachineCheck]:
    """Warn of another distribution that overwrites this one."""
    version = namesake()
    if version is None:
        return []
    detail = f"{NAMESAKE} {version} is another project with the same command and import"
    return [MachineCheck("package name", "warning", detail, namesake_remedy())]


def _extra(extra: Extra) -> MachineCheck:
    missing = [module for module in extra.modules if not is_installed(module)]
    what = f"extra {extra.name}"
    if not missing:
        return MachineCheck(what, "ok", extra.purpose)
    detail = f"{extra.purpose}: not installed (no {', '.join(missing)})"
    return MachineCheck(what, "absent", detail, install_command(extra.name))


def _device() -> MachineCheck:
    from voicebench.machine.devices import available_devices, resolve_device

    try:
        detail = f"auto is {resolve_device('auto')}; there are: {', '.join(available_devices())}"
    except (VoicebenchError, ImportError) as error:
        return MachineCheck("computing device", "missing", str(error), install_command("torch"))
    return MachineCheck("computing device", "ok", detail)


def _library() -> MachineCheck:
    """Check the C library; without one, or with a lower level, the engines are only slower."""
    from voicebench.engines.native.levels import (
        levels_of,
        processor_flags,
        this_platform,
        usable_levels,
    )
    from voicebench.engines.native.library import (
        COMPILED,
        NoLibrary,
        built_libraries,
        native_library,
    )

    try:
        library = native_library()
    except NoLibrary as error:
        detail = f"{error}; the engines compute in torch, which is slower on a CPU"
        return MachineCheck("C library", "warning", detail, error.remedy)
    detail = library.origin
    if not built_libraries():
        detail += ", because this installation has no library of this source"
    if library.origin != COMPILED:
        best = usable_levels(levels_of(*this_platform()), processor_flags())[0].name
        if library.origin != best:
            detail += f", which is below {best}, the best for this processor"
            remedy = "install voicebench again with a newer C compiler"
            return MachineCheck("C library", "warning", detail, remedy)
        detail += ", built with the package"
    return MachineCheck("C library", "ok", detail)


def what_compiling_brings() -> MachineCheck:
    """Compile the C library for this processor, and measure it beside the built one."""
    from voicebench.checks.compiled import WORTH_IT, compare_libraries
    from voicebench.engines.native.library import COMPILE, NoLibrary

    try:
        times = compare_libraries()
    except NoLibrary as error:
        return MachineCheck("compiling here", "warning", str(error), error.remedy)
    detail = "; ".join(map(str, times))
    if _load().state != "ok":  # the engines' threads wait for each other
        remedy = "measure again on a quiet machine: it was too busy to compare the two"
        return MachineCheck("compiling here", "warning", detail, remedy)
    is_worth_it = any(stage.ratio >= WORTH_IT for stage in times)
    remedy = f"set {COMPILE}=1" if is_worth_it else ""
    return MachineCheck("compiling here", "ok", detail, remedy)


def _models() -> Iterator[MachineCheck]:
    from voicebench.engines.models import CATALOGUE, state

    for entry in CATALOGUE:
        condition = state(entry.name)
        if condition == "ready":
            yield MachineCheck(entry.name, "ok", "in the cache")
        elif condition == "absent" and entry.kind == "ears":
            yield MachineCheck(entry.name, "ok", "absent; only spoken calls fetch it")
        else:
            detail = f"{condition}; it is fetched when first used"
            remedy = f"voicebench models pull {entry.name}"
            yield MachineCheck(entry.name, "warning", detail, remedy)


def _speakers() -> MachineCheck:
    from voicebench.audio.loudspeakers import list_speakers

    try:
        speakers = list_speakers()
    except VoicebenchError as error:
        return MachineCheck("sound device", "warning", error.message, error.remedy)
    names = ", ".join(speaker.name for speaker in speakers)
    remedy = "only `voicebench say` needs one; it can write a file with --output"
    return _ok_or_warning("sound device", names or "none found", "" if names else remedy)


def _clock() -> MachineCheck:
    step_ns = environment.clock_resolution_ns()
    is_fine = step_ns <= MAX_CLOCK_STEP_NS
    remedy = "" if is_fine else "measure on a machine with a finer monotonic clock"
    return _ok_or_warning("clock", f"{step_ns} ns between two readings", remedy)


def _governor() -> MachineCheck:
    governor = environment.cpu_governor()
    if governor in (None, "performance"):
        return MachineCheck("CPU governor", "ok", governor or "unknown on this system")
    detail = f"{governor}: the clock follows the load"
    remedy = "sudo cpupower frequency-set -g performance"
    return MachineCheck("CPU governor", "warning", detail, remedy)


def _load() -> MachineCheck:
    load, cores = environment.load_average(), environment.core_count()
    if load is None:
        return MachineCheck("load", "ok", "unknown on this system")
    remedy = "" if load <= cores / 2 else "stop other programs before measuring"
    return _ok_or_warning("load", f"{load:.2f} on {cores} cores", remedy)
