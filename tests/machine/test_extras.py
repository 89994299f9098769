"""The table of extras: the same as in the package's metadata, and one line for what is missing."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

from voicebench.machine import extras
from voicebench.machine.extras import (
    DISTRIBUTION,
    EXTRAS,
    MissingExtra,
    install_command,
    missing_extra,
    namesake,
    require,
)

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
OPTIONAL = PROJECT["optional-dependencies"]
MODULE_OF = {
    "livekit-protocol": "livekit.protocol",
    "piper-tts": "piper",
    "vl-convert-python": "vl_convert",
}
WITHOUT_OWN_MODULE = {"uvloop"}
"""Nothing here imports it; uvicorn does where it exists."""


def distributions(requirements: list[str]) -> set[str]:
    return {re.split(r"[^A-Za-z0-9._-]", requirement)[0] for requirement in requirements}


def module_of(distribution: str) -> str:
    return MODULE_OF.get(distribution, distribution.replace("-", "_"))


def test_the_distribution_has_the_name_of_the_table() -> None:
    assert PROJECT["name"] == DISTRIBUTION
    assert list(PROJECT["scripts"]) == ["voicebench"]


@pytest.mark.parametrize("extra", EXTRAS, ids=lambda extra: extra.name)
def test_an_extra_brings_the_modules_of_the_table(extra: extras.Extra) -> None:
    own = distributions(OPTIONAL[extra.name]) - {DISTRIBUTION} - WITHOUT_OWN_MODULE
    assert {module_of(name) for name in own} <= set(extra.modules)
    with_parts = {module_of(name) for name in own} | {"starlette"}  # of fastapi
    assert set(extra.modules) <= with_parts


def test_every_extra_is_in_the_table() -> None:
    assert set(OPTIONAL) == {extra.name for extra in EXTRAS} | {"all", "test", "dev", "docs"}


def test_all_leaves_two_extras_out() -> None:
    named = set(re.findall(r"\[(.*)\]", OPTIONAL["all"][0])[0].split(","))
    assert named == {extra.name for extra in EXTRAS} - {"ray", "quality"}


def test_the_base_brings_no_module_of_an_extra() -> None:
    base = {module_of(name) for name in distributions(PROJECT["dependencies"])}
    assert not base & {module for extra in EXTRAS for module in extra.modules}


def test_only_the_extra_piper_is_gpl() -> None:
    for extra in EXTRAS:
        for name in distributions(OPTIONAL[extra.name]) - {DISTRIBUTION}:
            try:
                described = metadata.metadata(name)
            except metadata.PackageNotFoundError:  # an extra that is not installed here
                continue
            words = f"{described['License']} {described['License-Expression']}"
            classifiers = " ".join(described.get_all("Classifier") or [])
            is_gpl = re.search(r"(?<!L)GPL|GNU General", f"{words} {classifiers}") is not None
            assert is_gpl == (name == "piper-tts"), name


def test_a_missing_extra_is_one_line_with_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtra) as raised:
        require("compressed")
    assert str(raised.value) == (
        "MP3, Opus, AAC and FLAC: not installed (no module 'av'); "
        f"install it: {install_command('compressed')}"
    )
    assert "'voicebench-latency[compressed]'" in install_command("compressed")
    require("say")


def test_a_failed_import_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    outer = RuntimeError("wrapped")
    outer.__cause__ = ModuleNotFoundError("no torch", name="torch.nn")
    found = missing_extra(outer)
    assert found is not None
    assert "voicebench-latency[torch]" in str(found)
    assert missing_extra(ModuleNotFoundError("no", name="elsewhere")) is None
    assert missing_extra(ValueError("no")) is None


@pytest.mark.parametrize(
    ("file", "begins"),
    [("uv-receipt.toml", "uv tool install"), ("pipx_metadata.json", "pipx install")],
)
def test_the_command_is_of_the_tool_that_made_the_environment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, begins: str
) -> None:
    (tmp_path / file).touch()
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(extras, "is_installed", lambda module: module in {"av", "pandas", "soxr"})
    assert install_command("say").startswith(begins)
    assert install_command("say").endswith("'voicebench-latency[compressed,pandas,say]'")


def test_an_environment_of_uvx_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path / "uv" / "archive-v0" / "a1B2"))
    monkeypatch.setattr(extras, "is_installed", lambda module: module == "pandas")
    command = "uvx --from 'voicebench-latency[pandas,say]' voicebench …"
    assert install_command("say") == command


def test_looking_for_pip_warns_of_nothing() -> None:
    """Setuptools warns in a search for pip once distutils is imported; warnings are errors here."""
    pytest.importorskip("setuptools")
    program = "import setuptools, distutils; from voicebench.machine.extras import install_command"
    command = [sys.executable, "-W", "error", "-c", f"{program}; print(install_command('say'))"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr
    assert "'voicebench-latency[say]'" in done.stdout


def test_without_pip_the_command_is_uvs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "prefix", str(tmp_path))
    monkeypatch.setattr(extras, "_has_pip", lambda: False)
    assert install_command("say") == "uv pip install 'voicebench-latency[say]'"


def installed(tmp_path: Path, summary: str) -> None:
    folder = tmp_path / "voicebench-0.2.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: voicebench\nVersion: 0.2.0\nSummary: {summary}\n",
        encoding="utf-8",
    )


def test_another_project_of_this_name_is_noticed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, "Something else.")
    monkeypatch.syspath_prepend(str(tmp_path))
    assert namesake() == "0.2.0"


def test_an_earlier_installation_of_this_one_is_not_another_project(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    installed(tmp_path, PROJECT["description"])
    monkeypatch.syspath_prepend(str(tmp_path))
    assert namesake() is None
