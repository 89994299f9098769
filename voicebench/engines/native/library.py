"""The C library, compiled for this processor when it is first used.

A wheel must run on old processors, but the products need the newest instructions. So the package
has the source, and the machine's C compiler compiles it once, in a few seconds. The library is kept
in the cache, under a hash of source, compiler and processor. Without a compiler the engines compute
in torch.

A compiled library is used only after each engine has compared its part with torch, on a small
random model, once for each library (`tried_library`).
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from collections.abc import Callable
from functools import cache
from pathlib import Path

from voicebench.engines.models.cache import ENVIRONMENT, build_once, cache_folder
from voicebench.errors import ModelError
from voicebench.machine.slower import Slower

_FOLDER = Path(__file__).parent
_SOURCES = tuple(
    _FOLDER / name
    for name in (
        "common/arena.c",
        "common/crew.c",
        "hibari/speech.c",
        "llama/decoder.c",
        "vits/voice.c",
    )
)
_NAME = "voicebench.so"
_OPTIONS = (
    *("-O3", "-std=gnu11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-pthread"),
    f"-I{_FOLDER / 'common'}",
    # These allow sums in any order. -ffast-math would also change rounding in the whole process.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"),
    *("-fassociative-math", "-freciprocal-math"),
)
_TIMEOUT_S = 120


GET_A_COMPILER = (
    "install a C compiler (Debian, Ubuntu: apt install gcc libc6-dev; Fedora: dnf install gcc; "
    "macOS: xcode-select --install)"
)
MORE_FILES = "let more files be open at a time: ulimit -n 1024"


class NoLibrary(Exception):
    """The compiled library is missing or computes wrong; the message says why."""

    def __init__(self, why: str, remedy: str = GET_A_COMPILER) -> None:
        super().__init__(why)
        self.remedy = remedy

    @property
    def slower(self) -> Slower:
        """The reason and the remedy, for an engine that computes in torch instead."""
        return Slower(f"{IN_TORCH}: {self}", self.remedy)


IN_TORCH = "computed in torch, several times slower than in C that is compiled for this processor"


@cache
def native_library() -> ctypes.CDLL:
    """Return the C library, compiled now or earlier.

    Raises `NoLibrary` on a machine without a C compiler, and where compiling fails.
    """
    compiler = _compiler()
    command = [*compiler, *_OPTIONS, *_processor_options()]

    def build(place: Path) -> None:
        library = place / _NAME
        _run([*command, "-o", str(library), *map(str, _SOURCES), "-lm"])
        ctypes.CDLL(str(library))  # a library that cannot be loaded is not kept

    folder = cache_folder() / "native" / f"library-{_digest(compiler, command)[:16]}"
    try:
        build_once(folder, build, about={"command": " ".join(command)})
        return _declared(ctypes.CDLL(str(folder / _NAME)))
    except (ModelError, OSError) as error:  # a full disk, or a folder without permission to execute
        raise NoLibrary(
            f"the C library cannot be loaded from the cache ({error})",
            _remedy(error, f"set {ENVIRONMENT} to a folder that can be written and run from"),
        ) from error


def tried_library(part: str, is_right: Callable[[ctypes.CDLL], bool]) -> ctypes.CDLL:
    """Return the C library if ``is_right`` for its ``part``, checked now or in an earlier run.

    Raises `NoLibrary`.
    """
    library = native_library()
    verdict = Path(library._name).with_name(f"{part}.tried")
    if not verdict.exists():
        if not is_right(library):
            raise NoLibrary(
                f"the C code for {part}, as it was compiled here, computes wrong",
                "name another compiler, for example CC=clang, and report this one",
            )
        with contextlib.suppress(OSError):  # otherwise it is checked again next time
            verdict.touch()
    return library


@cache
def native_digest() -> str:
    """Return a digest of the C source; works without a library."""
    digest = hashlib.sha256()
    for source in sorted(_FOLDER.glob("*/*.[ch]")):
        digest.update(source.read_bytes())
    return digest.hexdigest()[:16]


def _compiler() -> list[str]:
    """Return the command of the C compiler: ``$CC``, else the system's."""
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise NoLibrary(
            f"CC is not a command ({error})", "set CC to a C compiler's command, or unset it"
        ) from error
    for command in (chosen, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    raise NoLibrary("there is no C compiler")


def _processor_options() -> list[str]:
    machine = platform.machine().lower()
    if machine in {"x86_64", "amd64", "i686"}:
        return ["-march=native"]
    return ["-mcpu=native"] if machine in {"aarch64", "arm64"} else []


def _digest(compiler: list[str], command: list[str]) -> str:
    """Return a digest of everything that the library depends on."""
    digest = hashlib.sha256(native_digest().encode())
    version = _run([*compiler, "--version"])
    for part in (" ".join(command), version, processor()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def processor() -> str:
    """Return the processor's name and instruction sets."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "features", "cpu part")
    lines = {line for line in text.splitlines() if line.lower().startswith(wanted)}
    return "\n".join(sorted(lines))


def _run(command: list[str]) -> str:
    """Run the compiler and return its output."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired) as error:
        raise NoLibrary(
            f"the C compiler cannot be run ({error})", _remedy(error, GET_A_COMPILER)
        ) from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise NoLibrary(f"the C compiler fails ({said[:200]})")
    return done.stdout


def _remedy(error: Exception, otherwise: str) -> str:
    """Return the remedy for ``error``; a loader reports too many open files only as text."""
    few_files = os.strerror(errno.EMFILE)
    return MORE_FILES if few_files in str(error) else otherwise


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """Declare all functions to ctypes, which would otherwise cut pointers to 32 bits."""
    pointer, number, real = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float
    numbers, pointers = ctypes.POINTER(number), ctypes.POINTER(pointer)
    signatures: dict[str, tuple[object, list[object]]] = {
        "open": (pointer, [numbers, real, pointer, pointer, number, number]),
        "store_matrix": (
            number,
            [pointer, number, number, number, pointers, numbers, number, number, pointer],
        ),
        "store_norm": (number, [pointer, number, number, pointer, number]),
        "set_embedding": (None, [pointer, pointer, number]),
        "set_window": (None, [pointer, number, number]),
        "bytes": (ctypes.c_int64, [pointer]),
        "is_vectorised": (number, []),
        "forward": (None, [pointer, numbers, pointer, number, pointer]),
        "close": (None, [pointer]),
        "voice_open": (pointer, [numbers, ctypes.POINTER(real), pointers, number, number, number]),
        "voice_close": (None, [pointer]),
        "voice_multiplies_bfloats": (number, []),
        "voice_encode": (number, [pointer, pointer, number, *[pointer] * 4]),
        "voice_begin": (pointer, []),
        "voice_end": (None, [pointer]),
        "voice_speak": (number, [pointer, pointer, pointer, number, number, pointer]),
        "hibari_open": (pointer, [numbers, pointers, number, number, number]),
        "hibari_close": (None, [pointer]),
        "hibari_read": (number, [pointer, pointer, number, *[pointer] * 3]),
        "hibari_prosody": (number, [pointer, pointer, number, pointer]),
        "hibari_decode": (number, [pointer, pointer, pointer, number, number, pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"voicebench_{name}")
        function.restype, function.argtypes = result, arguments
    return library
