"""Runs the command line in this process, through the same door as the installed command."""

from __future__ import annotations

import sys

import pytest
from ran_command import Command, Ran

from voicebench.cli import main


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
