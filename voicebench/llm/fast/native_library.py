"""The C decoder, compiled for this very processor when it is first used.

A wheel can only carry code for the oldest processor it may meet; the products need the newest
instructions there are. So the source is shipped, and the C compiler of the machine translates it
once, in about a second; the library is kept in the cache, under a name that says which source,
compiler and processor it was made from. A machine without a compiler uses torch's products.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
from functools import cache
from pathlib import Path

from voicebench.errors import ModelError
from voicebench.llm.fast.native_trial import native_works
from voicebench.llm.fast.shape import Unsupported
from voicebench.models.cache import build_once, cache_folder

_SOURCES = Path(__file__).with_name("native")
_NAME = "decoder.so"
_OPTIONS = (
    *("-O3", "-std=c11", "-D_GNU_SOURCE", "-shared", "-fPIC", "-pthread"),
    # Sums may be taken in any order. -ffast-math would do more harm: linked into a library it
    # changes how the whole process rounds.
    *("-fno-math-errno", "-fno-trapping-math", "-fno-signed-zeros"),
    *("-fassociative-math", "-freciprocal-math"),
)
_TIMEOUT_S = 120


@cache
def native_library() -> ctypes.CDLL:
    """Return the C decoder as a library, compiled now or earlier.

    It is kept only if it computes what torch computes (`native_trial`). Raises `Unsupported` on a
    machine without a C compiler, and where compiling fails.
    """
    compiler = _compiler()
    command = [*compiler, *_OPTIONS, *_processor_options()]
    folder = cache_folder() / "native" / f"decoder-{_digest(compiler, command)[:16]}"

    def build(place: Path) -> None:
        library = place / _NAME
        _run([*command, "-o", str(library), str(_SOURCES / "decoder.c"), "-lm"])
        # What cannot be loaded, or computes wrong, is not kept.
        if not native_works(_declared(ctypes.CDLL(str(library))), threads=2):
            raise Unsupported("the C decoder, as it was compiled here, computes wrong")

    try:
        build_once(folder, build, about={"command": " ".join(command)})
        return _declared(ctypes.CDLL(str(folder / _NAME)))
    except (ModelError, OSError) as error:  # no room for it, or a folder from which none may run
        raise Unsupported(f"the C decoder cannot be loaded from the cache ({error})") from error


def _compiler() -> list[str]:
    """Return the command of the C compiler: ``$CC``, else the system's."""
    try:
        chosen = shlex.split(os.environ.get("CC", ""))
    except ValueError as error:
        raise Unsupported(f"CC is no command ({error})") from error
    for command in (chosen, ["cc"], ["gcc"], ["clang"]):
        if command and shutil.which(command[0]):
            return command
    raise Unsupported("there is no C compiler")


def _processor_options() -> list[str]:
    machine = platform.machine().lower()
    if machine in {"x86_64", "amd64", "i686"}:
        return ["-march=native"]
    return ["-mcpu=native"] if machine in {"aarch64", "arm64"} else []


def _digest(compiler: list[str], command: list[str]) -> str:
    """Return a digest of all that the library depends on."""
    digest = hashlib.sha256()
    for source in sorted(_SOURCES.glob("*.[ch]")):
        digest.update(source.read_bytes())
    version = _run([*compiler, "--version"])
    for part in (" ".join(command), version, processor()):
        digest.update(part.encode() + b"\0")
    return digest.hexdigest()


def processor() -> str:
    """Return what tells this kind of processor from others: its name and its instructions."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "flags", "features", "cpu part")
    lines = {line for line in text.splitlines() if line.lower().startswith(wanted)}
    return "\n".join(sorted(lines))


def _run(command: list[str]) -> str:
    """Run the compiler and return what it says."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
    except (OSError, UnicodeDecodeError, subprocess.TimeoutExpired) as error:
        raise Unsupported(f"the C compiler does not answer ({error})") from error
    if done.returncode != 0:
        said = (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[0]
        raise Unsupported(f"the C compiler refuses to work ({said[:200]})")
    return done.stdout


def is_vectorised(library: ctypes.CDLL) -> bool:
    """Return whether the products were compiled for this processor's wide instructions."""
    return bool(library.voicebench_is_vectorised())


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """Tell ctypes the arguments of each function: a pointer must not be cut to 32 bits."""
    pointer, number = ctypes.c_void_p, ctypes.c_int32
    library.voicebench_open.restype = pointer
    library.voicebench_open.argtypes = [
        ctypes.POINTER(ctypes.c_int32), ctypes.c_float, pointer, pointer, number, number, number,
    ]  # fmt: skip
    library.voicebench_store_matrix.restype = number
    library.voicebench_store_matrix.argtypes = [
        pointer, number, number, number, ctypes.POINTER(pointer), ctypes.POINTER(number),
        number, number, pointer,
    ]  # fmt: skip
    library.voicebench_store_norm.restype = number
    library.voicebench_store_norm.argtypes = [pointer, number, number, pointer, number]
    library.voicebench_set_window.restype = None
    library.voicebench_set_window.argtypes = [pointer, number, number]
    library.voicebench_bytes.restype = ctypes.c_int64
    library.voicebench_bytes.argtypes = [pointer]
    library.voicebench_is_vectorised.restype = number
    library.voicebench_is_vectorised.argtypes = []
    library.voicebench_forward.restype = None
    library.voicebench_forward.argtypes = [
        pointer, pointer, number, pointer, pointer, number, number, pointer,
    ]  # fmt: skip
    library.voicebench_close.restype = None
    library.voicebench_close.argtypes = [pointer]
    return library
