"""What `print_run` prints, against golden files.

``VOICEBENCH_RECORD_GOLDEN=1 python -m pytest tests/report/test_console.py`` records them anew; the
difference then has to be read before it is committed.
"""

from __future__ import annotations

import io
import os
from dataclasses import replace
from pathlib import Path

import pytest
from handmade import failed_turn, make_turn, sprint_turns
from outcomes import MadeOutcome, lines_of, outcome, simulated_turns, sprint_outcome, varied_turns
from rich.cells import cell_len
from rich.console import Console

from voicebench.report.console import print_advice, print_run

GOLDEN = Path(__file__).parent / "golden"


def printed(
    made: MadeOutcome, width: int, *, encoding: str = "utf-8", environ: dict[str, str] | None = None
) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    console = Console(file=file, width=width, legacy_windows=False, _environ=environ or {})
    print_run(console, made)
    print_advice(console, made)
    file.flush()
    return raw.getvalue().decode(encoding)


def interrupted() -> MadeOutcome:
    return outcome(
        [make_turn(1, phase="cold"), make_turn(2), failed_turn(3)], gates=(), interrupted=True
    )


def stalling() -> MadeOutcome:
    script = "sim:ttft=220ms,token=60ms,ttfb=170ms,speed=0.9x,silence=80ms,fail=7"
    return outcome(simulated_turns(script, ["cold", *(["measured"] * 9)]))


def varied() -> MadeOutcome:
    return outcome(varied_turns(), previous=sprint_turns())


CASES = {
    "sprint-100": (sprint_outcome, 100, "utf-8"),
    "sprint-80": (sprint_outcome, 80, "utf-8"),
    "sprint-40": (sprint_outcome, 40, "utf-8"),
    "sprint-80-ascii": (sprint_outcome, 80, "ascii"),
    "varied-120": (varied, 120, "utf-8"),
    "stalling-100": (stalling, 100, "utf-8"),
    "interrupted-80": (interrupted, 80, "utf-8"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_is_told_as_recorded(name):
    make, width, encoding = CASES[name]
    lines = lines_of(printed(make(), width, encoding=encoding))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("VOICEBENCH_RECORD_GOLDEN"):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("width", [40, 57, 80, 133, 200])
def test_no_line_is_wider_than_the_console(width):
    for make in (sprint_outcome, stalling, varied, interrupted):
        lines = lines_of(printed(make(), width))
        assert max(cell_len(line) for line in lines) <= width


def test_no_colour_is_printed_where_none_is_wanted():
    assert "\x1b" not in printed(sprint_outcome(), 100)
    assert "\x1b" not in printed(sprint_outcome(), 100, environ={"TERM": "dumb"})


def test_no_color_leaves_every_word_and_no_colour():
    environ = {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True, _environ=environ)
    print_run(console, sprint_outcome())
    text = file.getvalue()
    assert "FAIL" in text
    assert not any(f"\x1b[{code}m" in text for code in range(30, 38))


def test_the_verdict_is_the_first_and_the_last_thing_said():
    file = io.StringIO()
    print_run(Console(file=file, width=100), sprint_outcome())
    lines = lines_of(file.getvalue())
    assert lines[0] == "20260105T101500Z-made   ✗ FAIL"
    assert lines[-1] == "✗ FAIL  2 of 4 gates passed"


def test_the_instruments_own_error_is_in_every_report():
    assert "recorded minus scripted is 0.01 ms p50, 0.06 ms p95" in printed(sprint_outcome(), 100)


def test_a_run_without_any_turn_is_told_without_failing():
    text = printed(outcome([], interrupted=True), 80)
    assert "0 measured turns, 0 failed" in text
    assert "no turn was measured" in text
    assert "NOT MEASURED" in text


def test_a_run_in_which_every_turn_failed_is_told_without_failing():
    text = printed(outcome([failed_turn(1), failed_turn(2)]), 80)
    assert "2 measured turns, 2 failed" in text
    assert "runs 1, 2 failed in tts: the voice ran out of memory" in text


def test_without_gates_nothing_is_said_to_have_passed():
    text = printed(outcome(sprint_turns(), gates=()), 100)
    assert "– NOT JUDGED  no gate is set" in text
    assert "PASS" not in text


def test_a_run_in_which_nothing_is_off_gets_no_advice():
    turns = [make_turn(number) for number in range(1, 21)]
    file = io.StringIO()
    print_advice(Console(file=file), outcome(turns))
    assert file.getvalue() == ""


def test_what_the_environment_does_not_tell_is_left_out():
    made = replace(sprint_outcome(), environment={"cpu": None, "cores": None, "load_1min": None})
    assert "None" not in printed(made, 100)


def test_markup_in_a_folders_name_is_no_markup():
    made = replace(sprint_outcome(), folder=Path("results/[red]x"))
    assert lines_of(printed(made, 100))[0].startswith("[red]x ")
