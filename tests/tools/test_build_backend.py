"""The build of the package: which compiler it takes, and what is in a wheel."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tools import build_backend
from voicebench.engines.native import compiling
from voicebench.engines.native.levels import levels_of, this_platform

ROOT = Path(__file__).parents[2]
LEVELS = levels_of(*this_platform())
HOOKS = (
    build_backend.get_requires_for_build_wheel,
    build_backend.get_requires_for_build_editable,
)


def command(folder: Path, name: str, script: str) -> None:
    file = folder / name
    file.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    file.chmod(0o755)


@pytest.fixture
def no_compiler(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """No C compiler; a folder that is the whole PATH."""
    folder = tmp_path / "path"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    monkeypatch.setenv("CC", "")
    monkeypatch.delenv(build_backend.PLATFORM, raising=False)
    return folder


@pytest.mark.skipif(not LEVELS, reason="no library for this platform")
@pytest.mark.parametrize("hook", HOOKS)
def test_ziglang_is_required_only_where_no_compiler_works(
    no_compiler: Path, hook: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert callable(hook)
    assert build_backend.ZIGLANG in hook()
    command(no_compiler, "cc", "echo 'math.h: No such file' >&2; exit 1")  # no headers of C
    assert build_backend.ZIGLANG in hook()
    command(no_compiler, "cc", "exit 0")
    assert build_backend.ZIGLANG not in hook()
    monkeypatch.setenv(build_backend.PLATFORM, "linux-aarch64")
    assert build_backend.ZIGLANG in hook()


def test_a_platform_without_a_library_needs_no_compiler(
    no_compiler: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_backend, "this_platform", lambda: ("win32", "AMD64"))
    assert build_backend.ZIGLANG not in build_backend.get_requires_for_build_wheel()
    monkeypatch.setenv(build_backend.PLATFORM, "win32-AMD64")
    with pytest.raises(SystemExit, match="write linux-x86_64 or linux-aarch64"):
        build_backend.get_requires_for_build_wheel()


@pytest.mark.skipif(not LEVELS, reason="no library for this platform")
def test_a_build_without_a_compiler_goes_on_unless_it_is_for_others(
    no_compiler: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(build_backend, "zig_compiler", lambda *_: None)
    folder = tmp_path / "built"
    build_backend.compile_levels(LEVELS, folder, is_strict=False)
    assert "no compiler: the engines will compute in torch" in capsys.readouterr().err
    with pytest.raises(SystemExit, match="no compiler"):
        build_backend.compile_levels(LEVELS, folder, is_strict=True)


@pytest.mark.skipif(not LEVELS, reason="no library for this platform")
def test_a_level_that_the_compiler_does_not_know_is_left_out(
    no_compiler: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = LEVELS[-1].options()[-2 if len(LEVELS) > 1 else -1]
    command(
        no_compiler,
        "cc",
        f'for one; do [ "$one" = {refused} ] && {{ echo "unknown {refused}" >&2; exit 1; }}; done\n'
        'while [ "$1" != -o ]; do shift; done; echo made > "$2"',
    )
    folder = tmp_path / "built"
    build_backend.compile_levels(LEVELS, folder, is_strict=False)
    made = {file.name for file in folder.iterdir()}
    assert made == {compiling.library_file(folder, level).name for level in LEVELS[:-1]}
    assert f"{LEVELS[-1].name}: the C compiler fails (unknown" in capsys.readouterr().err


@pytest.mark.skipif(not LEVELS, reason="no library for this platform")
def test_libraries_of_older_source_are_removed_and_current_ones_kept(
    no_compiler: Path, tmp_path: Path
) -> None:
    command(no_compiler, "cc", 'while [ "$1" != -o ]; do shift; done; echo made > "$2"')
    folder = tmp_path / "built"
    folder.mkdir()
    (folder / f"{LEVELS[0].name}-0123456789abcdef.so").write_bytes(b"old")
    current = compiling.library_file(folder, LEVELS[0])
    current.write_bytes(b"current")
    build_backend.compile_levels(LEVELS, folder, is_strict=True)
    assert {file.name for file in folder.iterdir()} == {
        compiling.library_file(folder, level).name for level in LEVELS
    }
    assert current.read_bytes() == b"current"


@pytest.mark.skipif(not LEVELS, reason="no library for this platform")
def test_a_wheel_is_for_its_platform_and_a_source_archive_can_build_one(
    tmp_path: Path, c_library: ctypes.CDLL
) -> None:
    listed = subprocess.run(
        ["git", "ls-files", "voicebench", "tools", "*.toml", "MANIFEST.in", "*.md", "LICENSE"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    if listed.returncode:
        pytest.skip("needs a clone")
    source, binaries = tmp_path / "source", tmp_path / "bin"
    for name in listed.stdout.splitlines():
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, source / name)
    binaries.mkdir()
    command(binaries, "cc", f'while [ "$1" != -o ]; do shift; done; cp "{c_library._name}" "$2"')
    hooks = (
        "import sys; sys.path.insert(0, 'tools'); import build_backend as build; "
        "build.build_sdist('dist'); build.build_wheel('dist')"
    )
    environment = {"PATH": f"{binaries}{os.pathsep}/usr/bin:/bin", "PYTHONPATH": os.pathsep.join(
        path for path in sys.path if path.endswith("site-packages"))}  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-c", hooks], cwd=source, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    [wheel] = (source / "dist").glob("*.whl")
    assert "-py3-none-" in wheel.name
    assert not wheel.name.endswith("-any.whl")
    inside = zipfile.ZipFile(wheel).namelist()
    for level in LEVELS:
        assert f"voicebench/engines/native/built/{library_name(level.name)}" in inside
    assert "voicebench/engines/native/llama/decoder.c" in inside
    archived = subprocess.run(
        ["tar", "tf", str(next((source / "dist").glob("*.tar.gz")))],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert "/tools/build_backend.py" in archived
    assert "/voicebench/engines/native/llama/decoder.c" in archived


def library_name(level: str) -> str:
    [name] = (one for one in LEVELS if one.name == level)
    return compiling.library_file(Path(), name).name
