"""The C library: the best of the built ones for this processor, or one that is compiled here.

The package comes with a library for each level of instruction sets (`levels`). The highest that the
processor can run is loaded. It is used only after the engine has compared its part with slow
arithmetic, on a small random model, once for each library and processor (`tried_library`). If the
two differ, the next lower level is tried, and the engine says so.

The source is compiled for the processor of this machine, and kept in the cache, if the user sets
`$VOICEBENCH_COMPILE` to 1, or if no built library is made from this source (in a clone whose C code
has changed since it was installed). Without any library the engines compute in torch.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import platform
from collections.abc import Callable, Iterator
from functools import cache, partial
from pathlib import Path

from voicebench.engines.models.cache import (
    ENVIRONMENT,
    build_once,
    cache_folder,
    file_sha256,
    recall,
    remember,
)
from voicebench.engines.native.compiling import (
    GET_A_COMPILER,
    NoLibrary,
    for_this_processor,
    library_file,
    native_digest,
    remedy_for,
    system_compiler,
)
from voicebench.engines.native.levels import (
    cpuinfo,
    levels_of,
    processor_flags,
    this_platform,
    usable_levels,
)
from voicebench.errors import ModelError, SettingsError
from voicebench.machine.slower import described

__all__ = [
    "COMPILE",
    "GET_A_COMPILER",
    "NativeLibrary",
    "NoLibrary",
    "built_libraries",
    "compiled_library",
    "library_facts",
    "native_digest",
    "native_library",
    "processor",
    "tried_library",
]

COMPILE = "VOICEBENCH_COMPILE"
COMPILED = "compiled for this processor"
BUILT = Path(__file__).with_name("built")
"""The folder of the libraries that the installation has built."""

_NAME = "voicebench.so"
_REPORT = f"report this processor; {COMPILE}=1 compiles the library on this machine instead"


class NativeLibrary(ctypes.CDLL):
    """A loaded library. ``origin`` is its level, or that it was compiled here.

    ``passed_over`` says why a better one was not taken, if there is one.
    """

    def __init__(self, file: Path, origin: str) -> None:
        super().__init__(str(file))
        _declare(self)
        self.file = file
        self.origin = origin
        self.passed_over: NoLibrary | None = None


def native_library() -> NativeLibrary:
    """Return the best library for this machine that can be loaded. Raises `NoLibrary`.

    `SettingsError` if ``$VOICEBENCH_COMPILE`` is neither 0 nor 1.
    """
    return _first_right(None, lambda _: True)


def tried_library(part: str, is_right: Callable[[ctypes.CDLL], bool]) -> NativeLibrary:
    """Return the best library that ``is_right`` for its ``part``, checked now or in an earlier run.

    Raises as `native_library`.
    """
    return _first_right(part, is_right)


def library_facts(library: ctypes.CDLL) -> dict[str, object]:
    """Return the entries for an engine's description: the library, and why no better one."""
    if not isinstance(library, NativeLibrary):
        return {}
    refused = library.passed_over
    return {"library": library.origin, **described(refused.slower if refused else None)}


def _first_right(part: str | None, is_right: Callable[[ctypes.CDLL], bool]) -> NativeLibrary:
    """Return the first candidate that can be loaded and is right."""
    refused: NoLibrary | None = None
    for origin, find in _candidates():
        try:
            library = _loaded(origin, find)
            if part is not None:
                _check(library, part, is_right)
        except NoLibrary as error:
            refused = refused or error
            continue
        if refused is not None:
            instead = f"computed in C ({origin})"
            library.passed_over = NoLibrary(str(refused), refused.remedy, instead)
        return library
    assert refused is not None  # there is at least one candidate
    if built_libraries():
        raise refused
    raise NoLibrary(
        f"{refused}, and this installation has no library of this source",
        f"install voicebench again, or {refused.remedy}",
    )


def _candidates() -> Iterator[tuple[str, Callable[[], Path]]]:
    """Yield the libraries for this machine, the best first: origin, and what returns its file."""
    wanted = os.environ.get(COMPILE, "")
    if wanted not in {"", "0", "1"}:
        raise SettingsError(f"{COMPILE} is {wanted!r}, not 0 or 1", f"set {COMPILE}=1, or unset it")
    if wanted == "1":
        yield COMPILED, compiled_library
    yield from built_libraries()
    if wanted != "1":
        yield COMPILED, compiled_library


def built_libraries() -> list[tuple[str, Callable[[], Path]]]:
    """Return the built libraries that this processor can run, the best first."""
    usable = usable_levels(levels_of(*this_platform()), processor_flags())
    files = [(level.name, library_file(BUILT, level)) for level in usable]
    return [(name, partial(Path, file)) for name, file in files if file.exists()]


@cache
def compiled_library() -> Path:
    """Return the library compiled for this processor, now or earlier. Raises `NoLibrary`."""
    compiler = system_compiler()
    options = for_this_processor()

    def build(place: Path) -> None:
        library = place / _NAME
        compiler.compile(library, options)
        ctypes.CDLL(str(library))  # a library that cannot be loaded is not kept

    line = " ".join(compiler.line(options))
    digest = hashlib.sha256(native_digest().encode())
    for fact in (line, compiler.version(), processor()):
        digest.update(fact.encode() + b"\0")
    folder = cache_folder() / "native" / f"library-{digest.hexdigest()[:16]}"
    try:
        return build_once(folder, build, about={"command": line}) / _NAME
    except (ModelError, OSError) as error:  # a full disk, or a folder without permission to execute
        raise NoLibrary(
            f"the C library cannot be loaded from the cache ({error})",
            remedy_for(error, f"set {ENVIRONMENT} to a folder that can be written and run from"),
        ) from error


def _loaded(origin: str, find: Callable[[], Path]) -> NativeLibrary:
    file = find()
    try:
        return NativeLibrary(file, origin)
    except (OSError, AttributeError) as error:  # AttributeError: it has no such function
        raise NoLibrary(
            f"the C library ({origin}) cannot be loaded ({error})", remedy_for(error, _REPORT)
        ) from error


def _check(library: NativeLibrary, part: str, is_right: Callable[[ctypes.CDLL], bool]) -> None:
    """Raise `NoLibrary` unless ``is_right`` for the library. The cache keeps what is right."""
    facts = f"{file_sha256(library.file)} {part} {processor()}"
    key = hashlib.sha256(facts.encode()).hexdigest()[:32]
    if recall("tried", key) is not None:
        return
    if not is_right(library):
        is_own = library.origin == COMPILED
        remedy = "name another compiler, for example CC=clang, and report this one"
        raise NoLibrary(
            f"the C library ({library.origin}) computes wrong for {part}",
            remedy if is_own else _REPORT,
        )
    remember("tried", key, {"right": 1.0})


@cache
def processor() -> str:
    """Return the processor's name and instruction sets."""
    wanted = ("model name", "flags", "features", "cpu part")
    lines = {line for line in cpuinfo().splitlines() if line.lower().startswith(wanted)}
    return "\n".join(sorted(lines)) or f"{platform.machine()} {platform.processor()}"


def _declare(library: ctypes.CDLL) -> None:
    """Declare all functions to ctypes, which would otherwise cut pointers to 32 bits."""
    pointer, number, real = ctypes.c_void_p, ctypes.c_int32, ctypes.c_float
    numbers, pointers = ctypes.POINTER(number), ctypes.POINTER(pointer)
    signatures: dict[str, tuple[object, list[object]]] = {
        "open": (pointer, [numbers, real, pointer, pointer, number]),
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
        "hibari_read": (number, [pointer, number, pointer, number, *[pointer] * 3]),
        "hibari_prosody": (number, [pointer, number, pointer, number, pointer]),
        "hibari_decode": (number, [pointer, number, pointer, pointer, number, number, pointer]),
        "hibari_waveform_begin": (pointer, [pointer, number, number]),
        "hibari_waveform_add": (number, [pointer, pointer, pointer, number, pointer]),
        "hibari_waveform_end": (None, [pointer]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, f"voicebench_{name}")
        function.restype, function.argtypes = result, arguments
