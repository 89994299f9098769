"""docs/how-to/calls.md: its scripts are read, its commands run, its words are the code's."""

from __future__ import annotations

import re
import shlex
import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from voicebench.agents.pcm_dialect import read_words
from voicebench.calls.call_script import parse_script
from voicebench.calls.noises import NOISES
from voicebench.cli import app
from voicebench.settings import load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "calls.md").read_text(encoding="utf-8")
TABLES = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
COMMANDS = re.findall(r"^\$ voicebench (.*)$", PAGE, re.MULTILINE)


def test_the_script_of_the_page_can_be_read() -> None:
    script = parse_script(TABLES[0], "docs/how-to/calls.md")
    assert [step.kind for step in script.steps] == ["line", "noise", "interruption", "line"]
    assert script.line == "mulaw-8k"


def test_the_settings_of_the_page_can_be_used() -> None:
    table = tomllib.loads(TABLES[1])["call"]
    settings = load_settings(None, {f"call.{key}": value for key, value in table.items()}).settings
    assert read_words(settings.call.socket).text == "words"


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs(
    command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ran = CliRunner().invoke(app, shlex.split(command))
    assert ran.exit_code == 0, ran.output


def test_every_noise_is_on_the_page() -> None:
    assert all(noise in PAGE for noise in NOISES)
