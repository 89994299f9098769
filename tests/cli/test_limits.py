"""Limits that a shell sets: too little memory is one sentence and exit code 4, no traceback."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable
from pathlib import Path

import pytest
from command_line import as_program
from handmade import sprint_turns
from ran_command import Command
from recorded_folders import write_result

from voicebench.cli import limits
from voicebench.cli.limits import is_about_memory
from voicebench.engines.models import store

QUICK = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"


def within(megabytes: int) -> Callable[[], None]:
    """Return what limits the address space of the new process."""
    most = megabytes * 10**6
    return lambda: resource.setrlimit(resource.RLIMIT_AS, (most, most))


@pytest.mark.parametrize("megabytes", [60, 150, 250, 399])
def test_less_memory_than_any_command_needs_is_one_sentence(tmp_path: Path, megabytes: int) -> None:
    done = as_program(
        "run", "--target", QUICK, "--results", str(tmp_path), prepare=within(megabytes)
    )
    assert done.returncode == 4
    assert done.stdout == b""
    assert done.stderr.decode() == (
        f"voicebench: memory is limited to {megabytes} MB, and voicebench needs 400 MB for any "
        "command; raise the limit (ulimit -v)\n"
    )
    assert list(tmp_path.iterdir()) == []


def test_help_needs_less() -> None:
    assert as_program("run", "--help", prepare=within(200)).returncode == 0


@pytest.mark.models
def test_less_memory_than_a_model_needs_is_one_sentence(tmp_path: Path) -> None:
    store.ensure("smollm2-135m-instruct")  # fetching and converting it has sentences of its own
    done = as_program(
        "run", "--runs", "1", "--quiet", "--results", str(tmp_path), prepare=within(600)
    )
    assert done.returncode == 4
    assert done.stderr.decode() == (
        "voicebench: there is too little memory for this; end other programs, raise the limit "
        "(ulimit -v), or take a smaller model\n"
    )


def test_a_page_is_not_drawn_where_drawing_would_end_the_process(tmp_path: Path) -> None:
    folder = write_result(tmp_path, sprint_turns())
    page = tmp_path / "page.html"
    done = as_program("report", str(folder), "-f", "html", "-o", str(page), prepare=within(8000))
    assert done.returncode == 2
    assert done.stderr.decode() == (
        "voicebench: charts cannot be drawn: the address space is limited to 8000 MB, and drawing "
        "reserves 70 GB of it (not of memory); lift the limit (ulimit -v unlimited), or take "
        "another format\n"
    )
    assert not page.exists()


def chained(inner: BaseException) -> Exception:
    outer = RuntimeError("the voice could not be opened")
    outer.__cause__ = inner
    return outer


@pytest.mark.parametrize(
    ("error", "about"),
    [
        (MemoryError(), True),
        (OSError(errno.ENOMEM, os.strerror(errno.ENOMEM)), True),
        (ImportError("libtorch_cpu.so: failed to map segment from shared object"), True),
        (RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: 9 bytes"), True),
        (chained(MemoryError()), True),
        (OSError(errno.ENOENT, os.strerror(errno.ENOENT)), False),
        (ImportError("no module named torch"), False),
        (ValueError("out of memory"), False),
        (chained(KeyError("a")), False),
    ],
)
def test_an_error_that_says_there_was_no_memory_is_known(error: Exception, about: bool) -> None:
    assert is_about_memory(error) is about


@pytest.mark.parametrize(
    ("number", "code", "remedy"),
    [
        (errno.ENAMETOOLONG, 2, "give a shorter name"),
        (errno.ENOSPC, 4, "free space there"),
        (errno.EMFILE, 4, "let more files be open at a time: ulimit -n 1024"),
    ],
)
def test_what_a_system_refuses_of_anybody_is_no_defect(
    voicebench: Command,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    code: int,
    remedy: str,
) -> None:
    def refused() -> None:
        raise OSError(number, os.strerror(number), "the/file")

    monkeypatch.setattr("voicebench.measuring.open_run.describe_environment", refused)
    ran = voicebench("run", "--target", QUICK, "--results", str(tmp_path), "--quiet")
    assert ran.code == code
    assert ran.err == f"voicebench: the/file: {os.strerror(number)}; {remedy}\n"


@pytest.mark.parametrize("option", ["--csv", "--junit", "--prompts", "--results", "--baseline"])
def test_a_name_that_is_too_long_is_one_sentence(
    voicebench: Command, tmp_path: Path, option: str
) -> None:
    name = "x" * 300
    ran = voicebench("run", "--target", QUICK, "--results", str(tmp_path), "-q", option, name)
    assert ran.code == 2
    assert "File name too long" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("command", ["report", "verify", "export"])
def test_a_result_whose_name_is_too_long_is_one_sentence(voicebench: Command, command: str) -> None:
    ran = voicebench(command, "x" * 5000)
    assert ran.code == 2
    assert "File name too long" in ran.err
    assert len(ran.err.strip().splitlines()) == 1


@pytest.mark.parametrize("option", ["--csv", "--junit"])
def test_a_link_that_leads_in_a_circle_is_one_sentence(
    voicebench: Command, tmp_path: Path, option: str
) -> None:
    circle = tmp_path / "circle"
    circle.symlink_to("circle")
    results = tmp_path / "results"
    ran = voicebench(
        *("run", "--target", QUICK, "--runs", "1", "--warmup", "0", "--results", str(results)),
        *("-q", option, str(circle)),
    )
    assert "Traceback" not in ran.err
    assert ran.code in (0, 2)  # the link is replaced, or refused


def test_a_results_folder_with_a_null_character_is_one_sentence(voicebench: Command) -> None:
    ran = voicebench("run", "--target", QUICK, "--set", r'run.results="a\u0000b"')
    assert ran.code == 2
    assert ran.err.endswith("cannot be made (embedded null byte); name another with --results\n")


def test_a_defect_still_shows_its_traceback(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        raise ValueError("a defect")

    monkeypatch.setattr("voicebench.measuring.open_run.describe_environment", broken)
    with pytest.raises(ValueError, match="a defect"):
        voicebench("run", "--target", QUICK, "--results", str(tmp_path))


def test_an_error_that_an_interrupt_led_to_is_an_interrupt(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken() -> None:
        try:
            raise KeyboardInterrupt
        except KeyboardInterrupt as interrupt:
            raise ImportError("cannot load module more than once per process") from interrupt

    monkeypatch.setattr("voicebench.measuring.open_run.describe_environment", broken)
    ran = voicebench("run", "--target", QUICK, "--results", str(tmp_path), "--quiet")
    assert ran.code == 130
    assert ran.err == "voicebench: interrupted\n"


def test_memory_that_runs_out_in_mid_run_is_one_sentence(
    voicebench: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full() -> None:
        raise MemoryError

    monkeypatch.setattr("voicebench.measuring.open_run.describe_environment", full)
    ran = voicebench("run", "--target", QUICK, "--results", str(tmp_path), "--quiet")
    assert ran.code == 4
    assert ran.err.startswith("voicebench: there is too little memory for this; ")


def test_without_a_limit_nothing_is_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    monkeypatch.setattr("voicebench.machine.environment.address_space_limit", lambda: None)
    limits.check_memory_limit()
    assert "OPENBLAS_NUM_THREADS" not in os.environ
