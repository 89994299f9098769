from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

import voicebench
from voicebench.engines.models import cache as cache_module
from voicebench.engines.models import manifest
from voicebench.engines.models.cache import (
    build_once,
    cache_folder,
    discard,
    file_sha256,
    known_sha256,
    locked,
    require_space,
)
from voicebench.engines.models.fetch_progress import Step
from voicebench.errors import ModelError

ROOT = str(Path(voicebench.__file__).parents[1])


def weights(place: Path) -> None:
    (place / "weights.bin").write_bytes(b"whole")


def temporaries(folder: Path) -> list[Path]:
    return list(folder.parent.glob(f".{folder.name}.partial-*"))


def test_the_cache_is_where_the_environment_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path


def test_a_cache_named_by_tilde_or_relative_is_made_absolute(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("VOICEBENCH_CACHE", "~/models")
    assert cache_folder() == tmp_path / "models"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOICEBENCH_CACHE", "here")
    assert cache_folder() == tmp_path / "here"


@pytest.mark.parametrize("value", [None, ""])
def test_without_that_the_cache_is_the_users_own(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    if value is None:
        monkeypatch.delenv("VOICEBENCH_CACHE", raising=False)
    else:
        monkeypatch.setenv("VOICEBENCH_CACHE", value)
    assert cache_folder().is_absolute()
    assert "voicebench" in cache_folder().parts


def test_a_folder_is_built_once_and_then_found(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "model"
    assert build_once(folder, weights, about={"source": "here"}) == folder
    assert (folder / "weights.bin").read_bytes() == b"whole"

    def build_again(place: Path) -> None:
        raise AssertionError("built twice")

    assert build_once(folder, build_again) == folder


@pytest.mark.parametrize("fault", [ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_ends_a_build_nothing_of_it_is_left(
    tmp_path: Path, fault: type[BaseException]
) -> None:
    folder = tmp_path / "model"

    def broken(place: Path) -> None:
        weights(place)
        raise fault

    with pytest.raises(fault):
        build_once(folder, broken)
    assert not folder.exists()
    assert temporaries(folder) == []
    assert build_once(folder, weights) == folder


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_disk_is_one_sentence_with_its_remedy_and_leaves_nothing(
    tmp_path: Path, number: int
) -> None:
    folder = tmp_path / "model"

    def overflowing(place: Path) -> None:
        weights(place)
        raise OSError(number, os.strerror(number))

    with pytest.raises(ModelError, match="disk is full: model could not be written") as caught:
        build_once(folder, overflowing)
    assert str(tmp_path) in caught.value.message
    assert "VOICEBENCH_CACHE" in caught.value.remedy
    assert not folder.exists()
    assert temporaries(folder) == []


def test_a_cache_that_is_a_file_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("not a folder", encoding="utf-8")
    with pytest.raises(ModelError, match=r"cache .* cannot be written") as caught:
        build_once(tmp_path / "cache" / "models" / "model", weights)
    assert "VOICEBENCH_CACHE" in caught.value.remedy


def test_a_source_that_cannot_be_read_is_not_blamed_on_the_cache(tmp_path: Path) -> None:
    source = tmp_path / "elsewhere" / "source.gguf"

    def unreadable(place: Path) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(source))

    with pytest.raises(PermissionError):
        build_once(tmp_path / "cache" / "model", unreadable)


def test_a_damaged_folder_is_built_anew(tmp_path: Path) -> None:
    folder = build_once(tmp_path / "model", weights)
    (folder / "weights.bin").write_bytes(b"wh")
    build_once(folder, weights)
    assert (folder / "weights.bin").read_bytes() == b"whole"
    assert temporaries(folder) == []


def test_a_folder_that_was_never_finished_is_not_taken_for_a_model(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.bin").write_bytes(b"wh")
    build_once(folder, weights)
    assert (folder / "weights.bin").read_bytes() == b"whole"


def test_every_file_is_on_the_disk_before_the_folder_gets_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "model"
    synced = set()
    real = os.fsync

    def watched(descriptor: int) -> None:
        if not folder.exists():
            synced.add(os.fstat(descriptor).st_ino)
        real(descriptor)

    monkeypatch.setattr(os, "fsync", watched)
    build_once(folder, weights)
    assert {path.stat().st_ino for path in folder.iterdir()} <= synced
    assert folder.stat().st_ino in synced


KILLED = """
import sys
from pathlib import Path
from voicebench.engines.models.cache import build_once

def build(place):
    (place / "weights.bin").write_bytes(b"half")
    print("building", flush=True)
    sys.stdin.read()

build_once(Path(sys.argv[1]), build)
"""


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": ROOT},
    )


def test_a_killed_build_leaves_no_model_and_the_next_one_sweeps_its_remains(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with start(KILLED, folder) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "building\n"
        child.send_signal(signal.SIGKILL)
        child.wait(20)
    assert not folder.exists()
    assert len(temporaries(folder)) == 1
    build_once(folder, weights)
    assert (folder / "weights.bin").read_bytes() == b"whole"
    assert temporaries(folder) == []


def test_an_interrupted_build_leaves_nothing_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with start(KILLED, folder) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "building\n"
        child.send_signal(signal.SIGINT)
        child.wait(20)
    assert child.returncode != 0
    assert not folder.exists()
    assert temporaries(folder) == []


WAITING = """
import sys
from pathlib import Path
from voicebench.engines.models.cache import build_once

def build(place):
    raise SystemExit("built twice")

build_once(Path(sys.argv[1]), build, report=lambda step: print(step.stage, flush=True))
print("found", flush=True)
"""


RACING = """
import sys
from pathlib import Path
from voicebench.engines.models.cache import build_once

def build(place):
    with open(sys.argv[2], "a") as log:
        log.write("built\\n")
    (place / "weights.bin").write_bytes(b"whole")

sys.stdin.readline()
build_once(Path(sys.argv[1]), build)
"""


def test_processes_that_start_at_once_build_once(tmp_path: Path) -> None:
    folder, log = tmp_path / "model", tmp_path / "log"
    racers = [start(RACING, folder, log) for _ in range(4)]
    for racer in racers:
        assert racer.stdin is not None
        racer.stdin.write("go\n")
        racer.stdin.flush()
    for racer in racers:
        racer.communicate(timeout=30)
    assert [racer.returncode for racer in racers] == [0, 0, 0, 0]
    assert log.read_text(encoding="utf-8") == "built\n"


def test_who_waits_for_another_process_says_so(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    with start(KILLED, folder) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "building\n"
        with start(WAITING, folder) as second:
            assert second.stdout is not None
            assert second.stdout.readline() == "wait\n"
            first.communicate("", timeout=20)
            assert second.communicate("", timeout=20)[0] == "found\n"
    assert (folder / "weights.bin").read_bytes() == b"half"


def test_discarding_frees_the_folder_and_what_interrupted_builds_left(tmp_path: Path) -> None:
    folder = build_once(tmp_path / "model", weights)
    stale = tmp_path / ".model.partial-0123abcd"
    stale.mkdir()
    (stale / "half").write_bytes(b"123")
    expected = manifest.size(folder) + 3
    with locked(folder):
        assert discard(folder) == expected
    assert not folder.exists()
    assert not stale.exists()


def test_other_models_with_a_longer_name_are_not_discarded(tmp_path: Path) -> None:
    folder = build_once(tmp_path / "model", weights)
    other = build_once(tmp_path / "model-large", weights)
    with locked(folder):
        discard(folder)
    assert manifest.damage(other) is None


def test_a_model_that_does_not_fit_is_refused_before_it_is_fetched(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usage = type(shutil.disk_usage(tmp_path))(100_000_000, 90_000_000, 10_000_000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    require_space(tmp_path / "model", 10_000_000)
    with pytest.raises(ModelError, match=r"^model needs 50 MB .* has 10 MB free"):
        require_space(tmp_path / "not" / "yet" / ".model.partial-0123abcd", 50_000_000)


@pytest.fixture
def source(tmp_path: Path, cache: Path) -> Path:
    path = tmp_path / "voice.onnx"
    path.write_bytes(b"some weights")
    return path


def test_a_sum_is_taken_once_for_a_file_that_does_not_change(
    source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    digest = known_sha256(source)
    assert digest == file_sha256(source)

    def reread(path: Path) -> str:
        raise AssertionError("read again")

    monkeypatch.setattr(cache_module, "file_sha256", reread)
    assert known_sha256(source) == digest


def test_a_file_that_changed_is_hashed_again(source: Path) -> None:
    before = known_sha256(source)
    source.write_bytes(b"other weights")
    assert known_sha256(source) == file_sha256(source) != before


def test_a_file_of_the_same_size_with_another_time_is_hashed_again(source: Path) -> None:
    before = known_sha256(source)
    source.write_bytes(b"SOME WEIGHTS")
    os.utime(source, ns=(1, 1))
    assert known_sha256(source) != before


@pytest.mark.parametrize("memory", ["", "{", "[]", '{"seen": 1}'])
def test_a_memory_that_cannot_be_read_is_not_needed(source: Path, cache: Path, memory: str) -> None:
    digest = known_sha256(source)
    (remembered,) = (cache / "digests").iterdir()
    remembered.write_text(memory, encoding="utf-8")
    assert known_sha256(source) == digest


def test_a_sum_that_cannot_be_remembered_is_still_right(source: Path, cache: Path) -> None:
    cache.write_text("a file where the cache should be", encoding="utf-8")
    assert known_sha256(source) == file_sha256(source)


def test_a_build_that_waits_for_nobody_reports_nothing(tmp_path: Path) -> None:
    steps: list[Step] = []
    build_once(tmp_path / "model", weights, report=steps.append)
    assert steps == []
