"""Runs the command line in this process, through the same door as the installed command."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from hostile_peers import KEY
from ran_command import Command, Ran
from searched_output import Searched

from voicebench.cli import main
from voicebench.measuring import open_run
from voicebench.measuring.plan import take_turns
from voicebench.targets import simulated


@pytest.fixture
def voicebench(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Command:
    """Run ``voicebench`` with these arguments and return what it left."""
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("NO_COLOR", "1")

    def run(*arguments: str) -> Ran:
        monkeypatch.setattr(sys, "argv", ["voicebench", *arguments])
        with pytest.raises(SystemExit) as ended:
            main()
        captured = capfd.readouterr()
        code = ended.value.code
        return Ran(code if isinstance(code, int) else int(code is not None), *captured)

    return run


@pytest.fixture
def scripted_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Play simulated turns on a clock that no machine can hold up: they take what is scripted."""
    clock = simulated.VirtualClock()
    monkeypatch.setattr(simulated, "RealClock", lambda *_spin: clock)
    monkeypatch.setattr(open_run, "take_turns", partial(take_turns, clock=clock.now_ns))


@pytest.fixture
def searched(
    voicebench: Command, undrawn: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Searched:
    monkeypatch.setenv("SOME_KEY", KEY)
    monkeypatch.setattr("voicebench.measuring.open_run.QUICK_TURNS", 1)
    monkeypatch.setattr("voicebench.measuring.open_run.QUICK_TURNS_OVER_THE_WIRE", 1)
    return Searched(voicebench, tmp_path / "results")
