"""A run under load in the terminal: the gravest advice stands above its verdict."""

from __future__ import annotations

from io import StringIO
from pathlib import Path

from load_folders import written_load
from rich.console import Console

from voicebench.load.recorded.load_advice import load_advice
from voicebench.load.recorded.load_run import read_load_run
from voicebench.report.console.load_console import print_load_runs


def printed(folder: Path) -> str:
    console = Console(file=StringIO(), width=400)
    print_load_runs(console, [read_load_run(folder)])
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_gravest_advice_is_said_above_the_verdict(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 20)
    advice = load_advice(read_load_run(folder))
    shown = printed(folder)
    assert advice
    assert "\nAdvice" in shown
    assert shown.index(advice[0].finding) < shown.index(advice[0].remedy) < shown.index("results:")
    assert all(one.remedy not in shown for one in advice[1:])


def test_a_level_that_holds_has_no_advice(tmp_path: Path) -> None:
    folder = written_load(tmp_path, 2)
    assert load_advice(read_load_run(folder)) == ()
    assert "Advice" not in printed(folder)
