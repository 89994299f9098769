from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from tiny_gguf import Shape, llama_weights, write_gguf

from voicebench.engines.models import gguf
from voicebench.engines.models.fetch_progress import Report, Step
from voicebench.errors import ModelError

pytestmark = pytest.mark.usefixtures("cache")


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "tiny.gguf"
    shape = Shape(layers=1)
    write_gguf(path, shape, weights=llama_weights(shape))
    return path


@pytest.fixture
def by_copying(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Replace the slow conversion by a copy; the list grows with each."""
    converted: list[Path] = []

    def copy(source: Path, folder: Path, report: Report) -> None:
        converted.append(source)
        shutil.copy(source, folder / "model.safetensors")

    monkeypatch.setattr(gguf, "convert", copy)
    return converted


def test_a_file_is_converted_once_wherever_it_lies(
    source: Path, cache: Path, by_copying: list[Path]
) -> None:
    elsewhere = source.parent / "elsewhere" / source.name
    elsewhere.parent.mkdir()
    shutil.copy(source, elsewhere)
    folder = gguf.converted(source)
    assert folder.parent == cache / "converted"
    assert gguf.converted(source) == folder
    assert gguf.converted(elsewhere) == folder
    assert by_copying == [source]


def test_a_file_with_other_content_under_the_same_name_is_converted_anew(
    source: Path, by_copying: list[Path]
) -> None:
    folder = gguf.converted(source)
    shape = Shape(layers=1)
    write_gguf(source, shape, weights=llama_weights(shape, seed=8))
    assert gguf.converted(source) != folder
    assert len(by_copying) == 2


@pytest.mark.parametrize(
    ("damage", "sentence"),
    [
        (lambda data: b"", "is empty"),
        (lambda data: b"\x80\x04" + data, "is a Python pickle"),
        (lambda data: data[:100], "broken GGUF file"),
        (lambda data: data[:-2000], "is cut short"),
    ],
)
def test_a_broken_file_is_refused_before_any_slow_work(
    source: Path, by_copying: list[Path], damage: Callable[[bytes], bytes], sentence: str
) -> None:
    source.write_bytes(damage(source.read_bytes()))
    with pytest.raises(ModelError, match=sentence):
        gguf.converted(source)
    assert by_copying == []


def test_a_missing_file_and_a_folder_are_one_sentence_each(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="there is no file"):
        gguf.converted(tmp_path / "missing.gguf")
    with pytest.raises(ModelError, match="is a folder"):
        gguf.converted(tmp_path)


@pytest.mark.slow
def test_the_child_process_converts_and_reports_its_parts(
    source: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    steps: list[Step] = []
    folder = gguf.converted(source, steps.append)
    assert {path.name for path in folder.iterdir()} == {*gguf.READY_FILES, "manifest.json"}
    assert [(step.stage, step.done) for step in steps] == [("convert", n) for n in range(5)]
    about = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["about"]
    assert about["source"] == "tiny.gguf"
    assert capfd.readouterr() == ("", "")


@pytest.mark.slow
def test_what_the_child_cannot_convert_is_one_sentence_and_leaves_nothing(
    tmp_path: Path, cache: Path
) -> None:
    source = tmp_path / "other.gguf"
    write_gguf(source, family="mamba2")
    with pytest.raises(ModelError, match="family 'mamba2'") as caught:
        gguf.converted(source)
    assert caught.value.remedy
    assert [path for path in (cache / "converted").iterdir() if path.is_dir()] == []


def test_a_child_that_dies_without_a_word_is_one_sentence(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    with pytest.raises(ModelError, match=r"tiny.gguf could not be converted: exit code 1"):
        gguf.convert(source, folder)


def test_the_last_words_of_a_child_are_passed_on(
    source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    monkeypatch.setattr(gguf, "_import_path", lambda: str(tmp_path / "nowhere"))
    monkeypatch.chdir(tmp_path)
    broken = tmp_path / "nowhere" / "voicebench"
    folders = (broken, broken / "engines", broken / "engines" / "models")
    for package in folders:
        package.mkdir(parents=True)
        (package / "__init__.py").touch()
    program = folders[-1] / "gguf_convert.py"
    program.write_text("raise SystemExit('no such thing')", encoding="utf-8")
    with pytest.raises(ModelError, match="could not be converted: no such thing"):
        gguf.convert(source, folder)
    program.write_text("raise OSError(28, 'No space left on device')", encoding="utf-8")
    with pytest.raises(ModelError, match="disk is full"):
        gguf.convert(source, folder)


def test_an_interrupted_conversion_ends_its_child_and_leaves_nothing(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    children: list[subprocess.Popen[bytes]] = []
    start = subprocess.Popen

    def noted(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        children.append(start(*arguments, **options))
        return children[-1]

    def interrupt(step: Step) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(subprocess, "Popen", noted)
    with pytest.raises(KeyboardInterrupt):
        gguf.converted(source, interrupt)
    (child,) = children
    assert child.returncode not in (None, 0)  # it has ended, and not by finishing
    assert [path for path in (cache / "converted").iterdir() if path.is_dir()] == []


ORPHAN = """
import sys
from pathlib import Path
from voicebench.engines.models import gguf

gguf.convert(Path(sys.argv[1]), Path(sys.argv[2]), lambda step: print("started", flush=True))
"""


def test_a_conversion_does_not_outlive_a_parent_that_was_killed(
    source: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    # A pipe that nobody reads holds the conversion up, so it cannot be done before the kill.
    os.mkfifo(folder / "config.json")
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, str(source), str(folder)],
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": gguf._import_path()},
        text=True,
    ) as parent:
        assert parent.stdout is not None
        # Then it writes to the pipe. A further word would find nobody, and end it too.
        assert [parent.stdout.readline() for _ in range(3)] == ["started\n"] * 3
        (child,) = psutil.Process(parent.pid).children()
        parent.send_signal(signal.SIGKILL)
    child.wait(60)
    # It ended on the spot: it neither went on to its next word, nor tidied up.
    assert (folder / ".convert").exists()
