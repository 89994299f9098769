"""Compile the C library: for the levels of a platform, or for the processor of this machine.

The build of the package imports this module before anything is installed, so it needs only the
standard library. What it compiles with is the system's compiler (``$CC``, ``cc``, ``gcc``,
``clang``) or the one in the package ``ziglang`` (Zig's Clang, which compiles for any platform and
for old versions of glibc).
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib.util
import os
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from voicebench.engines.native.levels import Level
from voicebench.machine.slower import Slower

_FOLDER = Path(__file__).parent
_OPTIONS = (
    *("-O3", "-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-pthread"),
    # These allow sums in any order. -ffast-math would also change rounding in the whole process.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"),
    *("-fassociative-math", "-freciprocal-math"),
)
_TIMEOUT_S = 120
_BUILD_TIMEOUT_S = 900

GET_A_COMPILER = (
    "install a C compiler (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; "
    "macOS: xcode-select --install)"
)
MORE_FILES = "let more files be open at a time: ulimit -n 1024"
IN_TORCH = "computed in torch, several times slower than in C"


class NoLibrary(Exception):
    """The C library is missing or computes wrong; the message says why."""

    def __init__(self, why: str, remedy: str = GET_A_COMPILER, instead: str = IN_TORCH) -> None:
        """``instead`` says what an engine does without the library."""
        super().__init__(why)
        self.remedy = remedy
        self._instead = instead

    @property
    def slower(self) -> Slower:
        """The reason and the remedy, for an engine that computes in another way instead."""
        return Slower(f"{self._instead}: {self}", self.remedy)


@dataclass(frozen=True, slots=True)
class Compiler:
    """A C compiler: its command, and for Zig the platform that it compiles for."""

    command: tuple[str, ...]
    target: str | None = None

    def options_for(self, level: Level) -> tuple[str, ...]:
        """Return the options for the instructions of ``level``."""
        return level.options() if self.target is None else level.zig_options()

    def compile(self, to: Path, options: Iterable[str], timeout_s: float = _TIMEOUT_S) -> None:
        """Write the library ``to``; raises `NoLibrary`."""
        _run([*self.line(options), "-o", str(to), *map(str, _sources("c")), "-lm"], timeout_s)

    def line(self, options: Iterable[str]) -> list[str]:
        """Return the command with all options, but without files."""
        target = () if self.target is None else ("-target", self.target)
        include = f"-I{_FOLDER / 'common'}"
        return [*self.command, *target, *_OPTIONS, include, "-s", *options]

    def version(self) -> str:
        """Return what it says of its version; raises `NoLibrary`."""
        return _run([*self.command, "--version"], _TIMEOUT_S)


def system_compiler() -> Compiler:
    """Return the C compiler: ``$CC``, else the system's. Raises `NoLibrary`."""
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise NoLibrary(
            f"CC is not a command ({error})", "set CC to a C compiler's command, or unset it"
        ) from error
    for command in (chosen, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return Compiler(tuple(command))
    raise NoLibrary("there is no C compiler")


def working_compiler() -> Compiler | None:
    """Return the system's compiler if it can make a library; it may lack the headers of C."""
    with contextlib.suppress(NoLibrary, OSError), tempfile.TemporaryDirectory() as folder:
        compiler, source = system_compiler(), Path(folder, "probe.c")
        source.write_text("#include <math.h>\n#include <pthread.h>\nint probe;\n", encoding="utf-8")
        made = str(source.with_suffix(".so"))
        _run([*compiler.command, "-shared", "-fPIC", "-o", made, str(source), "-lm"], _TIMEOUT_S)
        return compiler
    return None


def zig_compiler(system: str, machine: str) -> Compiler | None:
    """Return the compiler in the package ``ziglang`` if it is installed, for a platform.

    Libraries for Linux run with glibc 2.17 (of 2012) or newer.
    """
    if importlib.util.find_spec("ziglang") is None:
        return None
    systems = {"linux": "linux-gnu.2.17", "darwin": "macos.11.0"}
    target = f"{machine.replace('arm64', 'aarch64')}-{systems[system]}"
    return Compiler((sys.executable, "-m", "ziglang", "cc"), target)


def for_this_processor() -> list[str]:
    """Return the options that compile for the processor of this machine."""
    machine = platform.machine().lower()
    if machine in {"x86_64", "amd64", "i686"}:
        return ["-march=native"]
    return ["-mcpu=native"] if machine in {"aarch64", "arm64"} else []


@cache
def native_digest() -> str:
    """Return a digest of the C source; works without a library."""
    digest = hashlib.sha256()
    for source in _sources("[ch]"):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def library_file(folder: Path, level: Level) -> Path:
    """Return where the library of ``level`` lies in ``folder``.

    The name has a digest of the source and the options. So a library of older source is never
    taken.
    """
    made_from = " ".join((native_digest(), *_OPTIONS, *level.options()))
    return folder / f"{level.name}-{hashlib.sha256(made_from.encode()).hexdigest()[:16]}.so"


def build_levels(
    levels: Iterable[Level], compiler: Compiler, folder: Path
) -> Iterator[tuple[Level, NoLibrary | None]]:
    """Compile the libraries of ``levels`` into ``folder``, as many at a time as there are cores.

    Yields each level, with the error of one that failed. Libraries that are there already are kept,
    and others in the folder are removed.
    """
    files = {level: library_file(folder, level) for level in levels}
    folder.mkdir(exist_ok=True)
    for old in set(folder.iterdir()) - set(files.values()):
        old.unlink()

    def build(level: Level) -> NoLibrary | None:
        if files[level].exists():
            return None
        unfinished = files[level].with_suffix(".unfinished")
        try:
            compiler.compile(unfinished, compiler.options_for(level), _BUILD_TIMEOUT_S)
            unfinished.replace(files[level])
        except NoLibrary as error:
            return error
        except OSError as error:
            return NoLibrary(str(error))
        return None

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from zip(files, pool.map(build, files), strict=True)


def _sources(kinds: str) -> list[Path]:
    return sorted(_FOLDER.glob(f"*/*.{kinds}"))


def _run(command: list[str], timeout_s: float) -> str:
    """Run the compiler and return its output."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=timeout_s, check=False
        )
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired) as error:
        raise NoLibrary(
            f"the C compiler cannot be run ({error})", remedy_for(error, GET_A_COMPILER)
        ) from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise NoLibrary(f"the C compiler fails ({said[:200]})")
    return done.stdout


def remedy_for(error: Exception, otherwise: str) -> str:
    """Return the remedy for ``error``; a loader reports too many open files only as text."""
    few_files = os.strerror(errno.EMFILE)
    return MORE_FILES if few_files in str(error) else otherwise
