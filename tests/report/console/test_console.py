"""What `print_run` prints, against golden files.

``VOICEBENCH_RECORD_GOLDEN=1 python -m pytest tests/report/test_console.py`` records them anew; the
difference then has to be read before it is committed.
"""

from __future__ import annotations

import io
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from handmade import failed_turn, make_turn, sprint_turns
from outcomes import (
    lines_of,
    repeated,
    simulated_turns,
    sprint_run,
    sprint_with_warmup,
    varied_turns,
)
from recorded_folders import made_run, write_result
from rich.cells import cell_len
from rich.console import Console

from voicebench.figures.summary import summarize
from voicebench.report.console.console import print_advice, print_runs
from voicebench.results.run import RecordedRun, read_run
from voicebench.turn.timeline import Timeline

GOLDEN = Path(__file__).parent / "golden"


def printed(
    made: RecordedRun, width: int, *, encoding: str = "utf-8", environ: dict[str, str] | None = None
) -> str:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    console = Console(file=file, width=width, legacy_windows=False, _environ=environ or {})
    print_runs(console, [made])
    print_advice(console, made)
    file.flush()
    return raw.getvalue().decode(encoding)


@dataclass(frozen=True)
class Golden:
    """A run of which it is known what is printed."""

    turns: Sequence[Timeline]
    more: Mapping[str, object] = field(default_factory=dict)

    def run(self) -> RecordedRun:
        """Return the run as it is told when it has just ended."""
        return made_run(self.turns, **self.more)  # type: ignore[arg-type]


def interrupted() -> Golden:
    turns = [make_turn(1, phase="cold"), make_turn(2), failed_turn(3)]
    return Golden(turns, {"gates": (), "planned": 12, "complete": False})


def stalling() -> Golden:
    script = "sim:ttft=220ms,token=60ms,ttfb=170ms,speed=0.9x,silence=80ms,fail=7"
    return Golden(simulated_turns(script, ["cold", *repeated("measured", 9)]))


def varied() -> Golden:
    return Golden(varied_turns(), {"previous": summarize(sprint_turns())})


def sprint() -> Golden:
    return Golden(sprint_with_warmup(), {"previous": summarize(sprint_turns())})


def judged() -> Golden:
    """A run on a noisy machine, held against a baseline, some of whose audio is not right."""
    regressions = [
        {"figure": "first_audio.p50", "first": 200.0, "second": 301.0, "allowed": 0.1,
         "interval": {"low": 40.0, "high": 160.0, "level": 0.95}, "verdict": "FAIL", "note": ""},
        {"figure": "llm_total.mean", "first": 190.0, "second": 197.5, "allowed": 0.1,
         "interval": {"low": None, "high": 30.0, "level": 0.95}, "verdict": "UNDECIDED",
         "note": "too few turns"},
    ]  # fmt: skip
    judgement = {
        "invalid": True,
        "baseline": "results/baseline/made",
        "regressions": regressions,
        "noise": [
            {"kind": "drift", "finding": "it drifts", "remedy": "let it cool", "invalidates": True},
            {"kind": "outliers", "finding": "one is far off", "remedy": "look at it",
             "invalidates": False},
        ],
        "flagged": [{"turn": 5, "run": 3, "finding": "12.0 % of its samples are clipped"}],
        "warnings": ["other machine: cores: 2 → 4"],
    }  # fmt: skip
    return Golden(sprint_with_warmup(), {"judgement": judgement})


CASES = {
    "sprint-100": (sprint, 100, "utf-8"),
    "sprint-80": (sprint, 80, "utf-8"),
    "sprint-40": (sprint, 40, "utf-8"),
    "sprint-80-ascii": (sprint, 80, "ascii"),
    "varied-120": (varied, 120, "utf-8"),
    "stalling-100": (stalling, 100, "utf-8"),
    "interrupted-80": (interrupted, 80, "utf-8"),
    "judged-100": (judged, 100, "utf-8"),
}


@pytest.mark.parametrize("name", CASES)
def test_a_run_is_told_as_recorded(name: str) -> None:
    make, width, encoding = CASES[name]
    lines = lines_of(printed(make().run(), width, encoding=encoding))
    path = GOLDEN / f"{name}.txt"
    if os.environ.get("VOICEBENCH_RECORD_GOLDEN"):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert lines == path.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("name", CASES)
def test_what_was_recorded_is_told_to_the_character_as_it_was_when_the_run_ended(
    name: str, tmp_path: Path
) -> None:
    make, width, encoding = CASES[name]
    golden = make()
    run = read_run(write_result(tmp_path, golden.turns, **golden.more))  # type: ignore[arg-type]
    at_the_end = golden.run()
    told = printed(replace(run, path=at_the_end.path), width, encoding=encoding)
    assert told == printed(at_the_end, width, encoding=encoding)
    assert lines_of(told) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize("width", [40, 57, 80, 133, 200])
def test_no_line_is_wider_than_the_console(width: int) -> None:
    for make in (sprint, stalling, varied, interrupted, judged):
        lines = lines_of(printed(make().run(), width))
        assert max(cell_len(line) for line in lines) <= width


def test_no_colour_is_printed_where_none_is_wanted() -> None:
    assert "\x1b" not in printed(sprint_run(), 100)
    assert "\x1b" not in printed(sprint_run(), 100, environ={"TERM": "dumb"})


def test_no_color_leaves_every_word_and_no_colour() -> None:
    environ = {"NO_COLOR": "1", "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    file = io.StringIO()
    console = Console(file=file, width=100, force_terminal=True, _environ=environ)
    print_runs(console, [sprint_run()])
    text = file.getvalue()
    assert "FAIL" in text
    assert not any(f"\x1b[{code}m" in text for code in range(30, 38))


def test_the_verdict_is_the_first_and_the_last_thing_said() -> None:
    file = io.StringIO()
    print_runs(Console(file=file, width=100), [sprint_run()])
    lines = lines_of(file.getvalue())
    assert lines[0] == "20260105T101500Z-made   ✗ FAIL"
    assert lines[-1] == "✗ FAIL  2 of 4 gates passed"


def test_the_instruments_own_error_is_in_every_report() -> None:
    assert "recorded minus scripted is 0.01 ms p50, 0.06 ms p95" in printed(sprint_run(), 100)


def test_a_run_without_any_turn_is_told_without_failing() -> None:
    text = printed(made_run([], planned=12, complete=False), 80)
    assert "0 measured turns, 0 failed" in text
    assert "no turn was measured" in text
    assert "NOT MEASURED" in text


def test_a_run_in_which_every_turn_failed_is_told_without_failing() -> None:
    text = printed(made_run([failed_turn(1), failed_turn(2)]), 80)
    assert "2 measured turns, 2 failed" in text
    assert "runs 1, 2 failed in tts: the voice ran out of memory" in text


def test_without_gates_nothing_is_said_to_have_passed() -> None:
    text = printed(made_run(sprint_turns(), gates=()), 100)
    assert "– NOT JUDGED  no gate is set" in text
    assert "PASS" not in text


def test_a_run_in_which_nothing_is_off_gets_no_advice() -> None:
    turns = [make_turn(number) for number in range(1, 21)]
    file = io.StringIO()
    print_advice(Console(file=file), made_run(turns))
    assert file.getvalue() == ""


def test_what_the_environment_does_not_tell_is_left_out() -> None:
    made = replace(sprint_run(), environment={"cpu": None, "cores": None, "load_1min": None})
    assert "None" not in printed(made, 100)


def test_markup_in_a_folders_name_is_no_markup() -> None:
    made = replace(sprint_run(), path=Path("results/[red]x"))
    assert lines_of(printed(made, 100))[0].startswith("[red]x ")
