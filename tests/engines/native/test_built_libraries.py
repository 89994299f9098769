"""The libraries that this installation has built: instructions, and what they compute."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from voicebench.engines.llm.fast.decoder_trial import llama_works
from voicebench.engines.native.compiling import library_file, working_compiler
from voicebench.engines.native.levels import (
    Level,
    levels_of,
    processor_flags,
    this_platform,
    usable_levels,
)
from voicebench.engines.native.library import BUILT, NativeLibrary
from voicebench.engines.tts.hibari.trial import hibari_works
from voicebench.engines.tts.vits.voice_trial import vits_works

LEVELS = levels_of(*this_platform())

INSTRUCTIONS = {
    "AVX": r"%ymm",
    "AVX-512": r"%zmm|%k[0-7]\b",
    "dot products of bytes": r"\bvpdpbusd\b",
    "tiles": r"\btdpbf16ps\b",
}
OF_LEVEL = {
    "x86-64-v2": set[str](),
    "x86-64-v3": {"AVX"},
    "x86-64-v3-vnni": {"AVX", "dot products of bytes"},
    "x86-64-v4": {"AVX", "AVX-512"},
    "x86-64-v4-vnni": {"AVX", "AVX-512", "dot products of bytes"},
    "x86-64-v4-amx": set(INSTRUCTIONS),
}


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
def test_a_library_has_the_instructions_of_its_level_and_none_above(
    level: Level, tmp_path: Path
) -> None:
    if level.name not in OF_LEVEL or shutil.which("objdump") is None:
        pytest.skip("needs objdump, on x86-64")
    file = library_file(BUILT, level)
    if not file.exists():  # an editable installation has only what its processor runs
        compiler = working_compiler()
        if compiler is None:
            pytest.skip("there is no C compiler")
        file = tmp_path / "library.so"
        compiler.compile(file, [*level.options(), "-O1"])
    command = ["objdump", "--disassemble", "--no-show-raw-insn", str(file)]
    code = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    found = {name for name, pattern in INSTRUCTIONS.items() if re.search(pattern, code)}
    assert found == OF_LEVEL[level.name]


@pytest.mark.parametrize("level", LEVELS, ids=lambda level: level.name)
def test_every_level_that_this_processor_can_run_computes_right(level: Level) -> None:
    if level not in usable_levels(LEVELS, processor_flags()):
        pytest.skip("this processor cannot run it")
    file = library_file(BUILT, level)
    if not file.exists():
        pytest.skip("this installation has no library of this source; install it again")
    library = NativeLibrary(file, level.name)
    assert llama_works(library)
    assert hibari_works(library)
    assert vits_works(library)
