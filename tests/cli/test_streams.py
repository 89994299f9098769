"""Streams as a shell hands them over: without a reader, full, closed, of another encoding."""

from __future__ import annotations

import json
import os
import signal
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import as_program
from handmade import failed_turn, sprint_turns
from ran_command import Command
from recorded_folders import write_result

from voicebench.cli.streams import Descriptor
from voicebench.errors import UsageError

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
FAILS = ("--gate", "first_audio.mean < 1ms")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_result(tmp_path / "results", [*sprint_turns(), failed_turn(9)])


def run(results: Path, *more: str) -> list[str]:
    few = ("--runs", "2", "--warmup", "0")
    return ["run", "--target", QUICK, "--results", str(results), *few, *more]


@contextmanager
def no_reader() -> Iterator[int]:
    """Give the writing end of a pipe whose reader has gone."""
    reader, writer = os.pipe()
    os.close(reader)
    try:
        yield writer
    finally:
        os.close(writer)


@contextmanager
def full_disk() -> Iterator[int]:
    if not Path("/dev/full").exists():
        pytest.skip("there is no /dev/full")
    number = os.open("/dev/full", os.O_WRONLY)
    try:
        yield number
    finally:
        os.close(number)


# Another encoding.


@pytest.mark.parametrize(
    ("form", "encoding"),
    [
        ("markdown", "ascii"),
        ("html", "ascii"),
        ("junit", "ascii"),
        ("junit", "cp1252"),
        ("badge", "cp1252"),
        ("json", "cp1252"),
    ],
)
def test_a_document_is_utf_8_whatever_the_terminal_can_show(
    voicebench: Command, folder: Path, tmp_path: Path, form: str, encoding: str
) -> None:
    written = tmp_path / "written"
    assert voicebench("report", str(folder), "-f", form, "-o", str(written)).code == 0
    printed = as_program(
        "report", str(folder), "-f", form, environment={"PYTHONIOENCODING": encoding}
    )
    assert (printed.returncode, printed.stderr) == (0, b"")
    assert printed.stdout == written.read_bytes()
    if form in {"junit", "badge"}:
        ET.fromstring(printed.stdout)
    if form == "json":
        json.loads(printed.stdout)


@pytest.mark.parametrize("arguments", [["config"], ["models", "list"]])
def test_a_table_is_written_in_the_characters_that_the_terminal_has(arguments: list[str]) -> None:
    printed = as_program(*arguments, environment={"PYTHONIOENCODING": "ascii"})
    assert (printed.returncode, printed.stderr) == (0, b"")
    assert printed.stdout.isascii()
    assert b"\\u" not in printed.stdout


def test_a_path_is_printed_byte_for_byte(folder: Path, tmp_path: Path) -> None:
    results = Path(os.fsdecode(os.fsencode(tmp_path) + b"/r\xe9sultats"))
    write_result(results / "baseline", sprint_turns()).rename(results / "baseline" / "made")
    printed = as_program("baseline", "show", "made", "--results", str(results))
    assert printed.returncode == 0
    assert printed.stdout == os.fsencode(results) + b"/baseline/made\n"


# No reader.


@pytest.mark.parametrize(
    ("gates", "code", "form"), [((), 0, ()), (FAILS, 3, ()), (FAILS, 3, ("--json",))]
)
def test_a_reader_that_has_gone_does_not_change_the_exit_code(
    tmp_path: Path, gates: tuple[str, ...], code: int, form: tuple[str, ...]
) -> None:
    with no_reader() as stdout:
        done = as_program(*run(tmp_path, "--quiet", *gates, *form), stdout=stdout)
    assert (done.returncode, done.stderr) == (code, b"")
    (made,) = tmp_path.iterdir()
    assert (made / "summary.json").exists()


def test_a_reader_of_stderr_that_has_gone_does_not_change_the_exit_code(tmp_path: Path) -> None:
    with no_reader() as gone:
        done = as_program(*run(tmp_path, *FAILS), prepare=lambda: os.dup2(gone, 2))
    assert done.returncode == 3


def test_a_closed_stdout_does_not_change_the_exit_code(tmp_path: Path) -> None:
    done = as_program(*run(tmp_path, "--quiet", *FAILS), prepare=lambda: os.close(1))
    assert (done.returncode, done.stderr) == (3, b"")
    (made,) = tmp_path.iterdir()
    lines = (made / "turns.jsonl").read_text().splitlines()
    assert [json.loads(line)["turn"] for line in lines] == [1, 2, 3]


def test_everything_closed_does_not_change_the_exit_code(tmp_path: Path) -> None:
    done = as_program(*run(tmp_path, *FAILS), prepare=lambda: os.closerange(0, 3))
    assert done.returncode == 3


# A full disk.


@pytest.mark.parametrize("form", ["table", "html", "csv"])
def test_a_document_that_does_not_fit_is_one_sentence_and_exit_2(folder: Path, form: str) -> None:
    with full_disk() as stdout:
        done = as_program("report", str(folder), "-f", form, stdout=stdout)
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "voicebench: stdout cannot be written (No space left on device); "
        "free space there, or write to another place\n"
    )


def test_a_run_whose_stdout_is_full_still_writes_its_files(tmp_path: Path) -> None:
    rows, junit = tmp_path / "rows.csv", tmp_path / "junit.xml"
    files = ("--csv", str(rows), "--junit", str(junit))
    with full_disk() as stdout:
        done = as_program(*run(tmp_path / "results", "--json", *files), stdout=stdout)
    assert done.returncode == 2
    assert b"stdout cannot be written" in done.stderr
    assert b"Traceback" not in done.stderr
    assert rows.read_text().count("\n") == 4
    assert ET.parse(junit)
    (made,) = (tmp_path / "results").iterdir()
    assert not (made / "INCOMPLETE").exists()


def test_a_full_disk_below_stderr_is_nobodys_business(tmp_path: Path) -> None:
    with full_disk() as full:
        done = as_program(*run(tmp_path), prepare=lambda: os.dup2(full, 2))
    assert done.returncode == 0


def test_what_did_not_fit_is_said_once() -> None:
    with full_disk() as number:
        file = Descriptor(os.dup(number), "stdout")
    with pytest.raises(UsageError, match="stdout cannot be written"):
        file.write(b"x")
    assert file.write(b"x") == 1


def test_a_pipe_that_does_not_wait_is_waited_for() -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    while True:
        try:
            os.write(writer, bytes(65536))
        except BlockingIOError:
            break
    previous = signal.signal(signal.SIGALRM, lambda *_: os.read(reader, 1 << 20) and None)
    signal.setitimer(signal.ITIMER_REAL, 0.05)
    try:
        assert Descriptor(writer, "stdout").write(b"x") == 1
    finally:
        signal.signal(signal.SIGALRM, previous)
        os.close(reader)
        os.close(writer)


# No width.


@pytest.mark.parametrize("width", ["0", "1", "", "many", "\u00b2", "99999999999"])
def test_an_impossible_width_is_not_believed(
    voicebench: Command, folder: Path, monkeypatch: pytest.MonkeyPatch, width: str
) -> None:
    monkeypatch.setenv("COLUMNS", width)
    ran = voicebench("report", str(folder))
    assert ran.code == 0
    assert ran.out.splitlines()[0].startswith("20260105T101500Z-made")
