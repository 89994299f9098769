from __future__ import annotations

import ctypes
import errno
import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from voicebench.engines.llm.fast.decoder_trial import llama_works
from voicebench.engines.native import library as module
from voicebench.engines.native.library import (
    NoLibrary,
    native_library,
    processor,
    tried_library,
)
from voicebench.engines.tts.vits.voice_trial import vits_works


@pytest.fixture
def fresh(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, c_library: ctypes.CDLL
) -> Iterator[Path]:
    """An empty cache, and nothing remembered."""
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "cache"))
    native_library.cache_clear()
    yield tmp_path
    native_library.cache_clear()


def compiler(folder: Path, script: str) -> str:
    path = folder / "some-cc"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


def test_the_library_is_compiled_once_and_kept(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert isinstance(native_library(), ctypes.CDLL)
    native_library.cache_clear()
    run = module._run

    def only_ask(command: Any) -> Any:
        assert command[-1] == "--version", "compiled again"
        return run(command)

    monkeypatch.setattr(module, "_run", only_ask)
    assert isinstance(native_library(), ctypes.CDLL)


def test_another_compiler_or_processor_makes_another_library(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def folders() -> set[str]:
        native_library.cache_clear()
        native_library()
        return {path.name for path in (fresh / "cache" / "native").iterdir() if path.is_dir()}

    assert len(folders()) == 1
    monkeypatch.setattr(module, "processor", lambda: "another processor")
    assert len(folders()) == 2


def test_a_processor_without_wide_instructions_computes_the_same(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_processor_options", list)
    plain = native_library()
    assert not plain.voicebench_is_vectorised()
    assert llama_works(plain, 2)
    assert vits_works(plain, 2)


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
    with pytest.raises(NoLibrary, match="for another, as it was compiled here, computes wrong"):
        tried_library("another", lambda library: False)


def test_a_compiler_that_does_not_answer_is_given_up(
    fresh: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CC", compiler(fresh, "exec sleep 60"))
    monkeypatch.setattr(module, "_TIMEOUT_S", 0.2)
    with pytest.raises(NoLibrary, match="cannot be run"):
        native_library()


def test_a_processor_is_told_by_its_name_and_its_instructions() -> None:
    assert processor() == processor()
    assert len(processor()) > 5
