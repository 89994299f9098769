"""The tools that write the licences and the manual page."""

from __future__ import annotations

import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from tools.write_licences import brought_by, document
from tools.write_manual import page

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


def sections(text: str) -> dict[str, str]:
    parts = re.split(r"^## ", text, flags=re.MULTILINE)[1:]
    return {part.partition("\n")[0]: part for part in parts}


def test_the_licences_name_every_package_of_every_extra() -> None:
    stored = sections((ROOT / "THIRD_PARTY_LICENSES.md").read_text(encoding="utf-8"))
    assert sections(document()).keys() == stored.keys()
    for extra, requirements in PROJECT["optional-dependencies"].items():
        if extra not in ("all", "test", "dev", "docs"):
            section = stored[f"The extra `{extra}`"]
            for requirement in requirements:
                name = re.split(r"[^A-Za-z0-9._-]", requirement)[0]
                assert name == "voicebench-latency" or f"| {name} |" in section, name


def test_the_licences_name_the_models_of_calls() -> None:
    for model in ("Silero VAD", "Smart Turn v3.2", "Whisper base"):
        assert f"| {model} (" in sections(document())["Models"], model


def test_only_the_extra_piper_is_under_the_gpl() -> None:
    for title, text in sections(document()).items():
        is_gpl = re.search(r"\| (?!L)(AGPL|GPL)", text) is not None
        assert is_gpl == ("piper" in title), title


def test_what_a_package_needs_is_found_too() -> None:
    assert {"httpx", "anyio", "h11", "h2"} <= brought_by(["httpx[http2]>=0.28"])
    assert "h2" not in brought_by(["httpx"])


def test_the_manual_has_every_command_and_option_and_is_valid_roff() -> None:
    text = page()
    for words in ("voicebench run", "voicebench models pull", r"\-\-key\-env VARIABLE", ".SH NAME"):
        assert words in text
    if shutil.which("groff") is None:
        pytest.skip("there is no groff")
    done = subprocess.run(
        ["groff", "-k", "-man", "-ww", "-Tutf8"],
        input=text,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stderr == ""
    assert "VOICEBENCH(1)" in done.stdout


def test_the_hooks_before_a_commit_call_what_lint_calls() -> None:
    hooks = (ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8")
    lint = (ROOT / "Makefile").read_text(encoding="utf-8").partition("\nlint:")[2]
    checks = re.findall(r"\$\(BIN\)/(\w+(?: \w+)?)", lint.partition("\nformat:")[0])
    assert checks == ["ruff check", "ruff format", "mypy"]
    assert all(f"entry: .venv/bin/{check}" in hooks for check in checks)
    assert "http" not in hooks.replace("https://pre-commit.com", "")


def test_workflows_and_container_run_commands_that_exist() -> None:
    workflows = sorted((ROOT / ".github" / "workflows").glob("*.yml"))
    assert [file.stem for file in workflows] == ["docs", "release", "tests"]
    assert ".ci/run" in workflows[-1].read_text(encoding="utf-8")
    container = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    assert container.count("USER 10001") == 2
    last_user = [line for line in container.splitlines() if line.startswith("USER ")][-1]
    assert last_user == "USER 10001"
    assert "HEALTHCHECK" in container
    assert "/health" in container
