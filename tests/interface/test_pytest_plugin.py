"""The pytest plugin, in a pytest of its own: what passes, what fails, and with which text."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SIM = "sim:ttft=5ms,token=1ms,ttfb=5ms,speed=100x,words=6"
PLUGIN = "voicebench.interface.pytest_plugin"


def outcome_of(folder: Path, body: str, *options: str) -> str:
    """Return what pytest prints about a test with the fixture; all warnings are errors."""
    (folder / "test_it.py").write_text(f"def test_it(voice_gates):\n    {body}\n")
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-W", "error", "-p", PLUGIN, *options, "test_it.py"],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        cwd=folder,
        env=os.environ
        | {"PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "COLUMNS": "400"},
    )
    return done.stdout + done.stderr


def call(gate: str, runs: int = 6) -> str:
    settings = "{'run.warmup': 0, 'judge.allow_noise': True}"
    return f"voice_gates({SIM!r}, {gate!r}, {settings}, runs={runs})"


@pytest.mark.slow
def test_a_gate_that_all_turns_keep_passes_and_the_run_is_given_back(tmp_path: Path) -> None:
    body = f"run = {call('first_audio.p50 < 3s')}\n    assert run.turns == 6"
    assert "1 passed" in outcome_of(tmp_path, body)


@pytest.mark.slow
def test_a_slow_run_fails_with_gate_value_interval_and_turns(tmp_path: Path) -> None:
    shown = outcome_of(tmp_path, call("first_audio.p50 < 1ms"))
    assert "1 failed" in shown
    assert "voicebench: FAIL: 6 measured turns, 0 failed; 0 of 1 gate passed" in shown
    assert "FAIL  first_audio.p50 < 1ms: first_audio.p50 = " in shown
    assert " ms, 95 % interval " in shown
    assert ", 6 turns" in shown
    assert "voicebench-results" in shown


@pytest.mark.slow
def test_too_few_turns_fail_as_undecided(tmp_path: Path) -> None:
    shown = outcome_of(tmp_path, call("first_audio.p95 < 3s"))
    assert "1 failed" in shown
    assert "UNDECIDED  first_audio.p95 < 3s" in shown
    assert "needs 72 turns" in shown


@pytest.mark.slow
def test_a_run_can_be_judged_again_but_not_measured_with_other_settings(tmp_path: Path) -> None:
    body = f"run = {call('first_audio.p50 < 3s')}\n    "
    again = "voice_gates(run, 'turn.p50 < 3s'{})"
    assert "1 passed" in outcome_of(tmp_path, body + again.format(""))
    refused = outcome_of(tmp_path, body + again.format(", runs=9"))
    assert "settings and runs have no effect on a run" in refused


@pytest.mark.slow
def test_no_gate_is_no_pass(tmp_path: Path) -> None:
    shown = outcome_of(tmp_path, call("").replace("''", "[]"))
    assert "1 failed" in shown
    assert "NOT JUDGED" in shown


def test_the_plugin_loads_nothing_before_it_is_used(tmp_path: Path) -> None:
    body = (
        "import sys\n    loaded = {n for n in sys.modules if n.startswith('voicebench')}\n"
        "    assert loaded == {'voicebench', 'voicebench.interface', "
        f"{PLUGIN!r}}}\n    assert 'numpy' not in sys.modules"
    )
    assert "1 passed" in outcome_of(tmp_path, body)


def test_the_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["entry-points"]["pytest11"] == {"voicebench": PLUGIN}
