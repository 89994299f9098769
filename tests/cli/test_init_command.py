"""`init` and `config --toml` write settings files, and the commands find them."""

from __future__ import annotations

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
from ran_command import Command

from voicebench.settings import load_settings
from voicebench.settings.named_configs import OWN_FILE, find_config, named_configs
from voicebench.settings.toml_text import toml_value


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def values(voicebench: Command, *arguments: str) -> dict[str, dict[str, Any]]:
    ran = voicebench("config", "--json", *arguments)
    assert ran.code == 0, ran.err
    return dict(json.loads(ran.out))


@pytest.mark.parametrize("purpose", ["local", "ci", "call"])
def test_a_written_file_is_found_and_valid(voicebench: Command, folder: Path, purpose: str) -> None:
    ran = voicebench("init", purpose)
    assert (ran.code, ran.out) == (0, "")
    assert "voicebench.toml is written; next: voicebench" in ran.err
    found = values(voicebench)
    if purpose == "ci":
        assert found["run.name"] == {"value": "ci", "from": OWN_FILE}
    else:
        assert {setting["from"] for setting in found.values()} == {"default"}


@pytest.mark.parametrize("name", ["ollama", "vllm", "openai"])
def test_a_servers_file_is_written(voicebench: Command, name: str) -> None:
    assert voicebench("init", "server", name).code == 0
    assert values(voicebench)["llm.url"]["value"]


def test_nothing_is_overwritten_in_silence(voicebench: Command, folder: Path) -> None:
    (folder / OWN_FILE).write_text("# mine\n", encoding="utf-8")
    ran = voicebench("init")
    assert ran.code == 2
    assert "--force" in ran.err
    assert (folder / OWN_FILE).read_text(encoding="utf-8") == "# mine\n"
    assert voicebench("init", "--force").code == 0
    assert voicebench("init", "ci", "-o", "other.toml").code == 0


def test_a_wrong_name_is_answered_with_the_right_ones(voicebench: Command) -> None:
    assert "did you mean 'ollama'?" in voicebench("init", "server", "olama").err
    assert "one of cartesia," in voicebench("init", "server").err
    assert voicebench("init", "ci", "ollama").code == 2
    ran = voicebench("config", "nonesuch")
    assert ran.code == 2
    assert "there are: ci, default" in ran.err


def test_a_file_above_the_folder_is_found(
    voicebench: Command, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / OWN_FILE).write_text("[run]\nruns = 7\n", encoding="utf-8")
    below = folder / "a" / "b"
    below.mkdir(parents=True)
    monkeypatch.chdir(below)
    assert values(voicebench)["run.runs"] == {"value": 7, "from": str(folder / OWN_FILE)}
    assert values(voicebench, "ci")["run.runs"]["value"] != 7


def test_files_come_with_the_package_by_name(voicebench: Command) -> None:
    assert {"ci", "default", "ollama", "vllm", "openai"} <= set(named_configs())
    assert find_config(Path("ollama")) == named_configs()["ollama"]
    assert find_config(Path("some.toml")) == Path("some.toml")
    assert values(voicebench, "ollama")["run.name"]["value"] == "ollama"


@pytest.mark.parametrize("name", ["openai", "deepgram-socket", "ci", "openai-realtime"])
def test_printed_settings_give_the_same_settings(
    voicebench: Command, folder: Path, name: str
) -> None:
    ran = voicebench("config", name, "--toml", "--set", "run.runs=3", "--set", "run.prompt='é\"'")
    assert ran.code == 0, ran.err
    file = folder / "again.toml"
    file.write_text(ran.out, encoding="utf-8")
    overrides = {"run.runs": 3, "run.prompt": 'é"'}
    assert load_settings(file).settings == load_settings(named_configs()[name], overrides).settings


def test_toml_excludes_the_other_forms(voicebench: Command) -> None:
    assert voicebench("config", "--toml", "--json").code == 2


@pytest.mark.parametrize(
    "value", ['a"b\\c\n', 3, 2.5, True, ["x", 1], {"a": {"b": [1, "é"]}, "c d": False}, {}, []]
)
def test_values_are_read_back(value: object) -> None:
    assert tomllib.loads(f"value = {toml_value(value)}")["value"] == value
