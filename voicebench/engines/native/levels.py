"""Levels of instruction sets: one built library for each, and the ones a processor can run.

x86-64-v2, v3 and v4 are those of the x86-64 psABI. Between them stand the extensions that the C
code has products for: dot products of bytes (VNNI) and tiles (AMX). The build of the package also
imports this module, so it needs only the standard library.
"""

from __future__ import annotations

import platform
import re
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Level:
    """A set of instructions that a library may use: the x86-64 ``extensions``, as GCC names them.

    On other processors ``extensions`` is empty and ``processor`` names what both compilers know.
    """

    name: str
    extensions: tuple[str, ...] = ()
    processor: str = "x86-64"

    @property
    def needs(self) -> frozenset[str]:
        """The processor's flags that a library needs, as Linux prints them in /proc/cpuinfo."""
        return frozenset(_ON_LINUX.get(one, one).replace("-", "_") for one in self.extensions)

    def options(self) -> tuple[str, ...]:
        """Return the options for GCC and Clang."""
        if not self.extensions:
            return (f"-mcpu={self.processor}",)
        # By extension, because GCC before 11 and Clang before 12 do not know the levels.
        added = (f"-m{one}" for one in self.extensions)
        return (f"-march={self.processor}", *added, WIDEST)

    def zig_options(self) -> tuple[str, ...]:
        """Return the options for Zig, whose names have underscores; a level says how to tune."""
        if not self.extensions:
            return (f"-mcpu={_zigs(self.processor)}",)
        level = re.match(r"x86-64-v\d", self.name)
        base = level[0] if level else self.processor
        return (f"-mcpu={'+'.join(map(_zigs, (base, *self.extensions)))}", WIDEST)


def _zigs(name: str) -> str:
    return re.sub(r"[-.]", "_", name)


WIDEST = "-mprefer-vector-width=512"
"""Otherwise Clang computes vectors of 64 bytes in two halves. Levels below v4 ignore it."""

_ON_LINUX = {
    **{"sahf": "lahf_lm", "sse3": "pni", "sse4.1": "sse4_1", "sse4.2": "sse4_2", "bmi": "bmi1"},
    **{"lzcnt": "abm", "avxvnni": "avx_vnni", "avx512vnni": "avx512_vnni"},
    "avx512bf16": "avx512_bf16",
}
_V2 = ("cx16", "sahf", "popcnt", "sse3", "ssse3", "sse4.1", "sse4.2")
_V3 = (*_V2, "avx", "avx2", "bmi", "bmi2", "f16c", "fma", "lzcnt", "movbe")
_V4 = (*_V3, "avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl")
_VNNI = (*_V4, "avx512vnni")
_AMX = (*_VNNI, "avx512bf16", "amx-tile", "amx-bf16", "amx-int8")
_X86_64 = (
    Level("x86-64-v2", _V2),
    Level("x86-64-v3", _V3),
    Level("x86-64-v3-vnni", (*_V3, "avxvnni")),
    Level("x86-64-v4", _V4),
    Level("x86-64-v4-vnni", _VNNI),
    Level("x86-64-v4-amx", _AMX),
)
LEVELS = {
    ("linux", "x86_64"): _X86_64,
    ("linux", "aarch64"): (Level("aarch64", processor="generic"),),
    ("darwin", "arm64"): (Level("apple-m1", processor="apple-m1"),),
}
"""(system, machine): its levels, the lowest first. Other systems have no library: torch itself is
no longer made for Macs with Intel processors, and the C code needs POSIX threads."""


def levels_of(system: str, machine: str) -> tuple[Level, ...]:
    """Return the levels of a platform, the lowest first; empty for one without a library."""
    return LEVELS.get((system, {"amd64": "x86_64"}.get(machine.lower(), machine.lower())), ())


def this_platform() -> tuple[str, str]:
    """Return the system and the machine that this Python runs on, as `levels_of` takes them."""
    return sys.platform, platform.machine()


def usable_levels(levels: Iterable[Level], flags: frozenset[str]) -> list[Level]:
    """Return the ``levels`` that a processor with these ``flags`` can run, the highest first."""
    return [level for level in levels if level.needs <= flags][::-1]


@cache
def processor_flags() -> frozenset[str]:
    """Return the instruction sets that processor and system offer, as Linux names them.

    Linux leaves out those whose registers it does not save. Empty on other systems.
    """
    return flags_in(cpuinfo())


def flags_in(text: str) -> frozenset[str]:
    """Return the flags that every processor in the text of ``/proc/cpuinfo`` has."""
    lines = re.findall(r"^(?:flags|Features)\s*:(.*)$", text, re.MULTILINE)
    return frozenset.intersection(*(frozenset(line.split()) for line in lines or [""]))


def cpuinfo() -> str:
    """Return the text of ``/proc/cpuinfo``; empty on a system without it."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
