"""Which C library is loaded, when it is compiled, and what a failed check leads to."""

from __future__ import annotations

import ctypes
import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from voicebench.engines.llm.fast.decoder_trial import llama_works, trial_model
from voicebench.engines.llm.fast.native_decoder import NativeDecoder
from voicebench.engines.native import compiling
from voicebench.engines.native import library as module
from voicebench.engines.native.compiling import library_file
from voicebench.engines.native.levels import (
    levels_of,
    processor_flags,
    this_platform,
    usable_levels,
)
from voicebench.engines.native.library import (
    COMPILE,
    COMPILED,
    NoLibrary,
    compiled_library,
    library_facts,
    native_library,
    processor,
    tried_library,
)
from voicebench.engines.tts.hibari.trial import hibari_works
from voicebench.engines.tts.vits.voice_trial import vits_works
from voicebench.errors import SettingsError
from voicebench.machine.slower import slower_in


@pytest.fixture
def fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, c_library: ctypes.CDLL
) -> Iterator[Path]:
    """An empty cache, no built library, and nothing remembered: what is loaded is compiled."""
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv(COMPILE, "")
    monkeypatch.setattr(module, "BUILT", tmp_path / "built")
    # Compiled in a second instead of five: these tests are of which library is taken.
    monkeypatch.setattr(module, "for_this_processor", lambda: ["-O0"])
    compiled_library.cache_clear()
    yield tmp_path
    compiled_library.cache_clear()


@pytest.fixture
def levels(fresh: Path, c_library: ctypes.CDLL, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Two built libraries, the best first; with a single level for this platform, one."""
    usable = usable_levels(levels_of(*this_platform()), processor_flags())[:2]
    module.BUILT.mkdir()
    for level in usable:
        shutil.copy(c_library._name, library_file(module.BUILT, level))
    return [level.name for level in usable]


def compiler(folder: Path, script: str) -> str:
    path = folder / "some-cc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_library_is_compiled_once_and_kept(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "for_this_processor", compiling.for_this_processor)
    assert isinstance(native_library(), ctypes.CDLL)
    compiled_library.cache_clear()
    run = compiling._run

    def only_ask(command: Any, timeout_s: float) -> Any:
        assert command[-1] == "--version", "compiled again"
        return run(command, timeout_s)

    monkeypatch.setattr(compiling, "_run", only_ask)
    assert isinstance(native_library(), ctypes.CDLL)


def test_another_compiler_or_processor_makes_another_library(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> set[str]:
        compiled_library.cache_clear()
        native_library()
        return {path.name for path in (fresh / "cache" / "native").iterdir() if path.is_dir()}

    assert len(folders()) == 1
    monkeypatch.setattr(module, "processor", lambda: "another processor")
    assert len(folders()) == 2


def test_a_processor_without_wide_instructions_computes_the_same(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "for_this_processor", lambda: ["-O1"])
    plain = native_library()
    assert not plain.voicebench_is_vectorised()
    assert llama_works(plain, 2)
    assert vits_works(plain, 2)
    assert hibari_works(plain, 2)


def test_without_a_compiler_it_is_unsupported(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(fresh))
    monkeypatch.setenv("CC", "")
    with pytest.raises(NoLibrary, match="there is no C compiler") as caught:
        native_library()
    assert "apt install gcc" in caught.value.remedy


def test_where_too_few_files_may_be_open_that_is_the_remedy(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def run_out(*_: object, **__: object) -> None:
        raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))

    monkeypatch.setattr(subprocess, "run", run_out)
    with pytest.raises(NoLibrary, match="Too many open files") as caught:
        native_library()
    assert "ulimit -n" in caught.value.remedy


@pytest.mark.parametrize(
    ("said", "remedy"),
    [("cannot open: Too many open files", "ulimit -n"), ("Permission denied", "VOICEBENCH_CACHE")],
)
def test_a_library_that_cannot_be_loaded_is_told_with_its_remedy(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, said: str, remedy: str
) -> None:
    def refuse(_: object) -> None:
        raise OSError(said)  # as the loader does it, without a number

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    with pytest.raises(NoLibrary, match=said) as caught:
        native_library()
    assert remedy in caught.value.remedy


@pytest.mark.parametrize(
    ("script", "reason"),
    [
        ("echo 'no such option' >&2; exit 1", "compiler fails .no such option"),
        (
            '[ "$1" = --version ] && exit 0\n'
            'while [ "$1" != -o ]; do shift; done; echo rubbish > "$2"',
            "cannot be loaded",
        ),
        ("exit 0", "cannot be loaded"),
    ],
    ids=["refuses", "writes rubbish", "writes nothing"],
)
def test_a_compiler_that_does_not_deliver_is_told(
    fresh: Path, monkeypatch: pytest.MonkeyPatch, script: str, reason: str
) -> None:
    monkeypatch.setenv("CC", compiler(fresh, script))
    with pytest.raises(NoLibrary, match=reason):
        native_library()


def test_a_broken_setting_of_the_compiler_is_told(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", "cc '")
    with pytest.raises(NoLibrary, match="CC is not a command"):
        native_library()


def test_what_cannot_be_loaded_is_not_kept(fresh: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CC", compiler(fresh, "exit 0"))
    with pytest.raises(NoLibrary):
        native_library()
    assert not [path for path in (fresh / "cache" / "native").iterdir() if path.is_dir()]


def test_a_part_is_tried_once_and_refused_for_itself_alone(fresh: Path) -> None:
    tried = []

    def is_right(library: ctypes.CDLL) -> bool:
        tried.append(library)
        return True

    for _ in range(2):
        tried_library("one", is_right)
    assert len(tried) == 1
    with pytest.raises(
        NoLibrary, match=r"compiled for this processor\) computes wrong for another"
    ):
        tried_library("another", lambda library: False)


def test_a_compiler_that_does_not_answer_is_given_up(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler(fresh, "exec sleep 60"))
    monkeypatch.setattr(compiling, "_TIMEOUT_S", 0.2)
    with pytest.raises(NoLibrary, match="cannot be run"):
        native_library()


def test_a_processor_is_told_by_its_name_and_its_instructions() -> None:
    assert processor() == processor()
    assert len(processor()) > 5


def test_the_highest_built_level_is_loaded_and_nothing_is_compiled(
    fresh: Path, levels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(fresh))
    loaded = native_library()
    assert (loaded.origin, loaded.passed_over) == (levels[0], None)
    assert llama_works(loaded)


def test_an_earlier_compiled_library_is_no_obstacle(fresh: Path, levels: list[str]) -> None:
    compiled_library()
    assert native_library().origin == levels[0]


def test_levels_above_the_processor_are_never_opened(
    fresh: Path, levels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    *_, lowest = usable_levels(levels_of(*this_platform()), processor_flags())
    for level in levels_of(*this_platform()):
        if level is not lowest:
            library_file(module.BUILT, level).write_bytes(b"rubbish")
    shutil.copy(compiled_library(), library_file(module.BUILT, lowest))
    monkeypatch.setattr(module, "processor_flags", lambda: lowest.needs)
    loaded = native_library()
    assert (loaded.origin, loaded.passed_over) == (lowest.name, None)


def test_a_library_of_other_source_is_not_taken(
    fresh: Path, levels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(compiling, "native_digest", lambda: "another source")
    assert native_library().origin == COMPILED


def test_a_failed_check_leads_to_the_next_lower_level_and_is_told(
    fresh: Path, levels: list[str]
) -> None:
    if len(levels) < 2:
        pytest.skip("this platform has one level")
    loaded = tried_library("llama", lambda library: library_facts(library)["library"] != levels[0])
    assert loaded.origin == levels[1]
    told = slower_in(NativeDecoder(loaded, *trial_model(), threads=1).describe())
    assert told is not None
    assert told.because == (
        f"computed in C ({levels[1]}): the C library ({levels[0]}) computes wrong for llama"
    )
    assert "VOICEBENCH_COMPILE=1" in told.remedy


def test_a_damaged_library_leads_to_the_next_lower_level_too(
    fresh: Path, levels: list[str]
) -> None:
    if len(levels) < 2:
        pytest.skip("this platform has one level")
    best, *_ = usable_levels(levels_of(*this_platform()), processor_flags())
    library_file(module.BUILT, best).write_bytes(b"rubbish")
    loaded = native_library()
    assert loaded.origin == levels[1]
    assert "cannot be loaded" in str(loaded.passed_over)


def test_when_every_library_is_wrong_the_best_one_is_named(fresh: Path, levels: list[str]) -> None:
    tried = []

    def is_wrong(library: ctypes.CDLL) -> bool:
        tried.append(library_facts(library)["library"])
        return False

    with pytest.raises(NoLibrary, match=rf"{levels[0]}\) computes wrong for llama"):
        tried_library("llama", is_wrong)
    assert tried == [*levels, COMPILED]


def test_a_check_is_remembered_for_one_library_file_and_processor(
    fresh: Path, levels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    checks = []

    def is_right(library: ctypes.CDLL) -> bool:
        checks.append(library)
        return True

    def check() -> int:
        tried_library("llama", is_right)
        return len(checks)

    assert [check(), check()] == [1, 1]
    monkeypatch.setattr(module, "processor", lambda: "another processor")
    assert [check(), check()] == [2, 2]
    best, *_ = usable_levels(levels_of(*this_platform()), processor_flags())
    with library_file(module.BUILT, best).open("ab") as file:
        file.write(b"other content")
    assert [check(), check()] == [3, 3]


def test_compiling_on_the_spot_is_a_choice(
    fresh: Path, levels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for value, origin in (("1", COMPILED), ("0", levels[0]), ("", levels[0])):
        monkeypatch.setenv(COMPILE, value)
        assert native_library().origin == origin
    monkeypatch.setenv(COMPILE, "yes")
    with pytest.raises(SettingsError, match="VOICEBENCH_COMPILE is 'yes', not 0 or 1"):
        native_library()


def test_without_a_compiler_that_choice_falls_back_to_the_built_one_and_says_so(
    fresh: Path, levels: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(COMPILE, "1")
    monkeypatch.setenv("PATH", str(fresh))
    monkeypatch.setenv("CC", "")
    loaded = native_library()
    assert loaded.origin == levels[0]
    told = slower_in(library_facts(loaded))
    assert told is not None
    assert told.because == f"computed in C ({levels[0]}): there is no C compiler"
