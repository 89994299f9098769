"""Every page that has generated parts is up to date, and every example setting is a real one."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from voicebench.settings import describe_keys, load_settings

ROOT = Path(__file__).parents[2]
CONFIGURATION = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")


def test_the_generated_parts_are_up_to_date() -> None:
    command = [sys.executable, str(ROOT / "tools" / "write_docs.py"), "--check"]
    done = subprocess.run(command, check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_example_file_is_a_legal_one(tmp_path: Path) -> None:
    (example,) = re.findall(r"```toml\n(.*?)```", CONFIGURATION, re.DOTALL)
    tomllib.loads(example)
    path = tmp_path / "example.toml"
    path.write_text(example, encoding="utf-8")
    assert load_settings(path).settings.run.name == "my-agent"


def test_every_config_that_ships_is_described() -> None:
    for path in (ROOT / "configs").glob("*.toml"):
        assert f"`configs/{path.name}`" in CONFIGURATION
    for folder in (ROOT / "configs").glob("*/"):
        assert f"`configs/{folder.name}/*.toml`" in CONFIGURATION


def test_every_setting_named_in_prose_exists() -> None:
    keys = {key for key, _ in describe_keys()}
    named = set(re.findall(r"--set ([a-z_]+\.[a-z_]+)=", CONFIGURATION))
    assert named - {"llm.max_token", "section.key"} <= keys
