"""The build of the package (PEP 517): setuptools, and the C library for each level of a platform.

An editable installation gets those that its processor can run into the source tree, a wheel gets
all of them, and only into the wheel. They are compiled by the system's C compiler. Where there is
none, the package `ziglang` from the index is one more requirement of the build; it is gone when the
build has ended.

`VOICEBENCH_PLATFORM=linux-aarch64` (or `linux-x86_64`) compiles for that platform, always with
`ziglang`, and names the wheel for every Linux with glibc 2.17 or newer.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from setuptools import build_meta
from setuptools.build_meta import (
    build_editable,
    build_sdist,
    build_wheel,
    get_requires_for_build_sdist,
    prepare_metadata_for_build_editable,
    prepare_metadata_for_build_wheel,
)
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from voicebench.engines.native.compiling import (  # noqa: E402
    Compiler,
    build_levels,
    working_compiler,
    zig_compiler,
)
from voicebench.engines.native.levels import (  # noqa: E402
    Level,
    levels_of,
    processor_flags,
    this_platform,
    usable_levels,
)

__all__ = [
    "build_editable",
    "build_sdist",
    "build_wheel",
    "get_requires_for_build_editable",
    "get_requires_for_build_sdist",
    "get_requires_for_build_wheel",
    "prepare_metadata_for_build_editable",
    "prepare_metadata_for_build_wheel",
]

ZIGLANG = "ziglang>=0.14,<0.18"
PLATFORM = "VOICEBENCH_PLATFORM"


def get_requires_for_build_wheel(config_settings: Any = None) -> list[str]:
    """Return what a wheel needs beside setuptools."""
    return [*build_meta.get_requires_for_build_wheel(config_settings), *_compiler_package()]


def get_requires_for_build_editable(config_settings: Any = None) -> list[str]:
    """Return what an editable installation needs beside setuptools."""
    return [*build_meta.get_requires_for_build_editable(config_settings), *_compiler_package()]


def _compiler_package() -> list[str]:
    """Return the package with a compiler if the build needs it."""
    has_library = bool(levels_of(*platform()))
    needs_one = os.environ.get(PLATFORM) or working_compiler() is None
    return [ZIGLANG] if has_library and needs_one else []


def platform() -> tuple[str, str]:
    """Return the system and the machine to compile for."""
    chosen = os.environ.get(PLATFORM)
    if not chosen:
        return this_platform()
    system, _, machine = chosen.partition("-")
    if not levels_of(system, machine):
        raise SystemExit(f"{PLATFORM} is {chosen!r}; write linux-x86_64 or linux-aarch64")
    return system, machine


def chosen_compiler() -> Compiler | None:
    """Return the compiler for the platform; None if there is none."""
    system, machine = platform()
    if not os.environ.get(PLATFORM):
        compiler = working_compiler()
        if compiler is not None:
            return compiler
    return zig_compiler(system, machine)


class BuildWithLibraries(build_py):  # type: ignore[misc]  # setuptools has no types
    """Copy the package's files, and compile its libraries."""

    def run(self) -> None:
        """Build into the source tree if the installation is editable, else beside the copies."""
        super().run()
        if not self.editable_mode:  # a clone has them beside the package
            target = Path(self.build_lib) / "voicebench" / "configs"
            shutil.copytree(ROOT / "configs", target, dirs_exist_ok=True)
        levels: Sequence[Level] = levels_of(*platform())
        base = Path(self.build_lib)
        if self.editable_mode:  # for this machine, so without the levels that it cannot run
            base, levels = ROOT, usable_levels(levels, processor_flags())
        folder = base / "voicebench" / "engines" / "native"
        if folder.is_dir():
            compile_levels(levels, folder / "built", is_strict=bool(os.environ.get(PLATFORM)))


def compile_levels(levels: Sequence[Level], folder: Path, *, is_strict: bool) -> None:
    """Compile the libraries of ``levels`` into ``folder``.

    A missing compiler, and a level that it cannot compile, only cost speed; so they end the build
    only if ``is_strict``.
    """
    compiler = chosen_compiler() if levels else None
    if compiler is None:
        reason = "no compiler" if levels else f"no library for {'-'.join(platform())}"
        _warn(f"{reason}: the engines will compute in torch, several times slower", is_strict)
        return
    for level, error in build_levels(levels, compiler, folder):
        if error is not None:
            _warn(f"{level.name}: {error}", is_strict)


def _warn(text: str, is_strict: bool) -> None:
    if is_strict:
        raise SystemExit(f"voicebench: {text}")
    print(f"voicebench: {text}", file=sys.stderr)


class PlatformWheel(bdist_wheel):  # type: ignore[misc]
    """A wheel for one platform and any version of Python: the libraries are loaded by ctypes."""

    def finalize_options(self) -> None:
        """Say that the wheel has compiled code."""
        if levels_of(*platform()):
            self.distribution.has_ext_modules = lambda: True
        super().finalize_options()

    def get_tag(self) -> tuple[str, str, str]:
        """Return the tags of Python, its ABI, and the platform."""
        _, _, name = super().get_tag()
        if os.environ.get(PLATFORM):
            name = f"manylinux_2_17_{platform()[1]}"
        return "py3", "none", name
