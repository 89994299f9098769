from __future__ import annotations

import hashlib
import io
import json
import os
import subprocess
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

import voicebench
from voicebench.cli.models import app, megabytes, progress_of_models
from voicebench.engines.models import catalogue, fetch
from voicebench.engines.models.catalogue import Entry, Member, Wheel
from voicebench.engines.models.fetch_progress import Report, Step
from voicebench.errors import ModelError, UsageError

VOICE = b"\x08\x08\x12\x04test" + bytes(3_000_000)


@pytest.fixture
def voice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Entry:
    """A catalogue of one voice, in a cache of its own, whose wheel needs no pip."""
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("data/tiny.onnx", VOICE)
    data = wheel.read_bytes()
    entry = Entry(
        name="tiny-voice",
        kind="voice",
        about="a voice of zeros",
        wheel=Wheel("tiny", "1.0", len(data), hashlib.sha256(data).hexdigest()),
        members=(Member("data/tiny.onnx", len(VOICE), hashlib.sha256(VOICE).hexdigest()),),
        convert=None,
        needs=1,
        ready_size=len(VOICE),
        licence="CC0",
        licence_note="a note on the licence",
        source="a test",
        card="https://example.org/card",
    )

    def take(entry: Entry, work: Path, report: Report) -> Path:
        report(Step(entry.name, "fetch", 0, entry.wheel.size))
        return wheel

    monkeypatch.setattr(catalogue, "CATALOGUE", (entry,))
    monkeypatch.setattr(fetch, "download", take)
    monkeypatch.setenv("VOICEBENCH_CACHE", str(tmp_path / "cache"))
    return entry


@pytest.fixture
def run(voice: Entry) -> Callable[..., Result]:
    def invoke(*arguments: str) -> Result:
        return CliRunner().invoke(app, list(arguments), env={"COLUMNS": "100", "NO_COLOR": "1"})

    return invoke


def test_the_list_shows_name_kind_size_licence_source_and_state(run: Callable[..., Result]) -> None:
    result = run("list")
    assert result.exit_code == 0
    for shown in ("tiny-voice", "voice", "3 MB", "CC0", "a test", "not fetched yet"):
        assert shown in result.stdout
    assert "a note on the licence" in result.stdout
    run("pull")
    assert "ready" in run("list").stdout


def test_json_is_one_document_and_nothing_else(run: Callable[..., Result], voice: Entry) -> None:
    result = run("list", "--json")
    assert result.stderr == ""
    document = json.loads(result.stdout)
    assert document["schema"] == 1
    (model,) = document["models"]
    assert model["name"] == "tiny-voice"
    assert model["state"] == "absent"
    assert model["path"] is None
    assert model["bytes"] == 0
    run("pull")
    (model,) = json.loads(run("list", "--json").stdout)["models"]
    assert model["state"] == "ready"
    assert (Path(model["path"]) / "tiny.onnx").read_bytes() == VOICE


def test_a_damaged_model_is_named_in_the_list_and_fails_the_command_that_verifies(
    run: Callable[..., Result],
) -> None:
    run("pull")
    folder = Path(run("path", "tiny-voice").stdout.strip())
    (folder / "tiny.onnx").write_bytes(VOICE[:-1] + b"\x01")
    listed = run("list")
    assert listed.exit_code == 0
    assert "damaged" in listed.stdout
    assert "ready" not in listed.stdout
    result = run("list", "--verify", "--json")
    assert isinstance(result.exception, ModelError)
    (model,) = json.loads(result.stdout)["models"]
    assert model["state"] == "damaged"
    assert model["detail"] == "damaged: tiny.onnx is not what it was when it was made"
    pulled = run("pull", "tiny-voice")
    assert "tiny-voice: damaged in the cache, so it is made again (tiny.onnx is" in pulled.stderr
    assert (folder / "tiny.onnx").read_bytes() == VOICE


def test_pulling_shows_progress_on_stderr_and_the_result_on_stdout(
    run: Callable[..., Result],
) -> None:
    result = run("pull", "tiny-voice")
    assert result.exit_code == 0
    assert result.stdout.startswith("tiny-voice is ready: ")
    assert "tiny-voice: fetching" in result.stderr
    assert "tiny-voice: unpacking" in result.stderr


def test_pulling_again_only_checks(run: Callable[..., Result]) -> None:
    run("pull", "tiny-voice")
    result = run("pull", "tiny-voice")
    assert "checking" in result.stderr
    assert "fetching" not in result.stderr


def test_path_prints_the_folder_and_nothing_else(run: Callable[..., Result]) -> None:
    run("pull")
    result = run("path", "tiny-voice")
    assert result.stderr == ""
    assert result.stdout.count("\n") == 1
    assert (Path(result.stdout.strip()) / "tiny.onnx").is_file()


def test_the_path_of_a_model_that_is_not_here_is_an_error_with_the_remedy(
    run: Callable[..., Result],
) -> None:
    result = run("path", "tiny-voice")
    assert isinstance(result.exception, ModelError)
    assert "voicebench models pull tiny-voice" in result.exception.remedy
    assert result.stdout == ""


def test_removing_says_what_was_freed_and_removing_again_that_nothing_was_there(
    run: Callable[..., Result],
) -> None:
    run("pull")
    assert run("remove", "tiny-voice").stdout == "tiny-voice: 3 MB freed\n"
    assert run("remove", "tiny-voice").stdout == "tiny-voice was not here\n"


@pytest.mark.parametrize("command", ["pull", "path", "remove"])
def test_a_wrong_name_is_bad_usage_with_a_close_spelling(
    run: Callable[..., Result], command: str
) -> None:
    result = run(command, "tiny-voise")
    assert isinstance(result.exception, UsageError)
    assert "did you mean tiny-voice?" in result.exception.remedy


@pytest.mark.parametrize("command", ["list", "pull", "path", "remove"])
def test_every_command_has_an_example_in_its_help(run: Callable[..., Result], command: str) -> None:
    result = run(command, "--help")
    assert result.exit_code == 0
    assert f"voicebench models {command}" in result.stdout


def shown(console: Console, *steps: Step) -> str:
    with progress_of_models(console) as report:
        for step in steps:
            report(step)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


FETCHING = [Step("tiny-voice", "fetch", done, 93_000_000) for done in (0, 50_000_000, 93_000_000)]
CONVERTING = [Step("tiny-voice", "convert", part, 4) for part in range(4)]


def test_without_a_terminal_each_stage_is_one_plain_line() -> None:
    console = Console(file=io.StringIO(), force_terminal=False, width=80)
    steps = [Step("tiny-voice", "wait"), *FETCHING, Step("tiny-voice", "check"), *CONVERTING]
    assert shown(console, *steps).splitlines() == [
        "tiny-voice: waiting for another process that fetches it",
        "tiny-voice: fetching (93 MB)",
        "tiny-voice: checking",
        "tiny-voice: converting, once (some 20 s)",
    ]


@pytest.mark.parametrize(("steps", "amount"), [(FETCHING, "93/93 MB"), (CONVERTING, "part 4 of 4")])
def test_on_a_terminal_a_bar_says_how_much_of_how_much(
    monkeypatch: pytest.MonkeyPatch, steps: list[Step], amount: str
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm-256color")
    console = Console(file=io.StringIO(), force_terminal=True, width=100)
    assert amount in shown(console, *steps)


def test_sizes_are_in_megabytes_of_a_million_bytes() -> None:
    assert megabytes(272_597_031) == "273 MB"
    assert megabytes(280) == "0.0 MB"


def test_the_program_turns_a_wrong_name_into_exit_code_2_and_one_sentence(tmp_path: Path) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", "voicebench", "models", "path", "en_US-jo-medium"],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "PYTHONPATH": str(Path(voicebench.__file__).parents[1]),
            "VOICEBENCH_CACHE": str(tmp_path),
        },
    )
    assert finished.returncode == 2
    assert finished.stdout == ""
    assert "did you mean en_US-joe-medium?" in finished.stderr
    assert "Traceback" not in finished.stderr
