from __future__ import annotations

import io
import threading
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest
from handmade import failed_turn, make_turn
from rich.console import Console

from voicebench.events import (
    AudioChunk,
    Phase,
    Reply,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
    Usage,
)
from voicebench.report.console.progress import Progress

AUDIO = AudioChunk(np.zeros(10, dtype=np.float32), 16_000)


@dataclass
class PlannedTurn:
    phase: Phase


class HandClock:
    """Seconds that only a test moves."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


def plan(warmup: int, measured: int) -> list[PlannedTurn]:
    return [PlannedTurn("warmup")] * warmup + [PlannedTurn("measured")] * measured


def terminal(width: int = 100) -> Console:
    return Console(
        file=io.StringIO(), force_terminal=True, width=width, color_system=None, _environ={}
    )


def pipe() -> Console:
    return Console(file=io.StringIO(), width=100, _environ={})


def written(console: Console) -> str:
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def on_screen(text: str) -> list[str]:
    """Return the lines that a terminal shows after ``text``, carriage returns obeyed."""
    lines = []
    for line in text.split("\n"):
        cells: list[str] = []
        for piece in line.split("\r"):
            cells[: len(piece)] = piece
        lines.append("".join(cells).rstrip())
    return lines


def test_the_line_follows_the_stages_of_a_turn() -> None:
    progress = Progress(terminal(), clock=HandClock())
    progress.planned(plan(0, 3))
    lines = []
    for event in (TurnStarted("hi"), Token("a"), TextChunk("a"), AUDIO, Token("b"), TurnFinished()):
        progress.event(0, event)
        lines.append(progress.line())
    assert lines == [
        "run 1/3 · waiting for the first token",
        "run 1/3 · writing",
        "run 1/3 · waiting for the first audio",
        "run 1/3 · speaking",
        "run 1/3 · speaking",
        "run 1/3 · between two turns",
    ]


def test_the_next_turn_begins_at_its_first_stage() -> None:
    progress = Progress(terminal(), clock=HandClock())
    progress.planned(plan(0, 3))
    for event in (TurnStarted("hi"), AUDIO, TurnFailed("no", "engine", "tts"), TurnStarted("hi")):
        progress.event(0, event)
    assert progress.line() == "run 1/3 · waiting for the first token"


def test_events_that_are_no_stage_change_nothing() -> None:
    progress = Progress(terminal(), clock=HandClock())
    progress.planned(plan(0, 3))
    progress.event(0, Reply("whole"))
    progress.event(0, TurnStarted("hi"))
    progress.event(0, Reply("whole"))
    progress.event(0, Usage(3))
    assert progress.line() == "run 1/3 · writing"


def test_an_event_writes_nothing_by_itself() -> None:
    console = terminal()
    progress = Progress(console, clock=HandClock())
    progress.planned(plan(0, 3))
    before = written(console)
    progress.event(0, TurnStarted("hi"))
    progress.event(0, AUDIO)
    assert written(console) == before


def test_the_time_left_follows_from_the_turns_so_far() -> None:
    clock = HandClock()
    progress = Progress(terminal(), clock=clock)
    progress.planned(plan(1, 5))
    clock.now_s = 2.0
    progress.turn_done(make_turn(1, phase="warmup"))
    assert progress.time_left_s() is None
    clock.now_s = 4.0
    progress.turn_done(make_turn(2))
    assert progress.time_left_s() == pytest.approx(8.0)
    clock.now_s = 5.0
    progress.event(0, TurnStarted("hi"))
    assert progress.line() == "run 2/5 · waiting for the first token · 7 s left"
    clock.now_s = 500.0
    assert progress.time_left_s() == 0


def test_minutes_are_told_as_minutes() -> None:
    clock = HandClock()
    progress = Progress(terminal(), clock=clock)
    progress.planned(plan(0, 100))
    for turn in (1, 2):
        clock.now_s = 5.0 * turn
        progress.turn_done(make_turn(turn))
    assert progress.line().endswith("9 min left")


def test_warm_up_turns_are_counted_apart() -> None:
    progress = Progress(terminal(), clock=HandClock())
    progress.planned(plan(2, 3))
    assert progress.line().startswith("warm-up 1/2")
    progress.turn_done(make_turn(1, phase="cold"))
    progress.turn_done(make_turn(2, phase="warmup"))
    assert progress.line().startswith("run 1/3")


def test_after_the_last_turn_the_run_is_being_judged() -> None:
    progress = Progress(terminal(), clock=HandClock())
    progress.planned(plan(0, 1))
    progress.turn_done(make_turn(1))
    assert progress.line() == "judging"


def test_a_terminal_gets_a_row_for_each_turn_and_the_line_below() -> None:
    console = terminal()
    progress = Progress(console, clock=HandClock())
    progress.say("loading the voice")
    progress.planned(plan(1, 2))
    progress.turn_done(make_turn(1, phase="cold"))
    progress.turn_done(make_turn(2))
    progress.turn_done(failed_turn(3, "no memory"))
    progress.draw()
    assert on_screen(written(console)) == [
        "     run  LLM first token  LLM complete  TTS first byte  first audio  first sound  (ms)",
        "    cold              100           116            70.0          186          206",
        "       1              100           116            70.0          186          206",
        "       2              100           100               –            –            –  "
        "failed: no memory",
        "judging",
    ]


def test_a_narrow_terminal_gets_the_figures_that_matter() -> None:
    console = terminal(40)
    progress = Progress(console, clock=HandClock())
    progress.planned(plan(0, 2))
    progress.turn_done(make_turn(1))
    progress.event(0, TurnStarted("hi"))
    progress.draw()
    lines = on_screen(written(console))
    assert lines[0] == "     run  first audio  first sound  (ms)"
    assert max(map(len, lines)) <= 40


def test_the_line_is_written_only_when_it_reads_differently() -> None:
    console = terminal()
    progress = Progress(console, clock=HandClock())
    progress.planned(plan(0, 3))
    progress.draw()
    before = written(console)
    progress.draw()
    assert written(console) == before


def test_a_shorter_line_covers_the_longer_one_before() -> None:
    console = terminal()
    progress = Progress(console, clock=HandClock())
    progress.say("loading a model with a very long name")
    progress.say("ready")
    assert on_screen(written(console)) == ["ready"]


def test_at_the_end_the_line_is_gone() -> None:
    console = terminal()
    with Progress(console, clock=HandClock()) as progress:
        progress.say("loading the voice")
    assert on_screen(written(console)) == [""]


def test_the_thread_draws_what_events_set() -> None:
    console = terminal()
    with Progress(console) as progress:
        progress.planned(plan(0, 3))
        progress.event(0, TurnStarted("hi"))
        assert waited_for(lambda: "waiting for the first token" in written(console))
    names = {thread.name for thread in threading.enumerate()}
    assert "voicebench-progress" not in names


def test_a_terminal_that_went_away_does_not_end_the_run() -> None:
    class Gone(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(5, "Input/output error")

    console = Console(file=Gone(), force_terminal=True, width=80, _environ={})
    with Progress(console) as progress:
        progress.event(0, TurnStarted("hi"))
        assert waited_for(
            lambda: "voicebench-progress" not in {t.name for t in threading.enumerate()}
        )


def test_a_pipe_gets_one_plain_line_for_each_turn_and_nothing_else_of_it() -> None:
    console = pipe()
    with Progress(console, clock=HandClock()) as progress:
        progress.say("loading the voice")
        progress.planned(plan(1, 2))
        progress.event(0, TurnStarted("hi"))
        progress.turn_done(make_turn(1, phase="cold"))
        progress.turn_done(make_turn(2))
        progress.turn_done(failed_turn(3, "no\nmemory"))
        progress.draw()
    assert written(console).splitlines() == [
        "loading the voice",
        "cold: first audio 186 ms, first sound 206 ms",
        "run 1/2: first audio 186 ms, first sound 206 ms",
        "run 2/2: failed: no memory",
    ]


def test_a_dumb_terminal_is_treated_as_a_pipe() -> None:
    console = Console(file=io.StringIO(), force_terminal=True, width=80, _environ={"TERM": "dumb"})
    with Progress(console, clock=HandClock()) as progress:
        progress.planned(plan(0, 1))
        progress.draw()
        progress.turn_done(make_turn(1))
    assert written(console) == "run 1/1: first audio 186 ms, first sound 206 ms\n"


@pytest.mark.parametrize("make", [terminal, pipe])
def test_quiet_is_quiet(make: Callable[[], Console]) -> None:
    console = make()
    with Progress(console, quiet=True, clock=HandClock()) as progress:
        progress.say("loading the voice")
        progress.planned(plan(0, 1))
        progress.event(0, TurnStarted("hi"))
        progress.draw()
        progress.turn_done(make_turn(1))
    assert written(console) == ""


def test_what_a_model_says_cannot_write_to_the_terminal() -> None:
    console = terminal()
    progress = Progress(console, clock=HandClock())
    progress.say("loading \x1b[2Jmodel")
    progress.planned(plan(0, 1))
    progress.turn_done(failed_turn(1, "\x1b]0;owned\x07"))
    assert "\x1b" not in written(console)


def test_in_ascii_the_line_is_ascii() -> None:
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding="ascii", newline="")
    console = Console(file=file, force_terminal=True, width=80, color_system=None, _environ={})
    progress = Progress(console, clock=HandClock())
    progress.planned(plan(0, 2))
    progress.draw()
    progress.turn_done(failed_turn(1))
    file.flush()
    assert b"run 1/2 - between two turns" in raw.getvalue()


def waited_for(condition: Callable[[], bool], seconds: float = 10.0) -> bool:
    """Return whether ``condition`` comes true within ``seconds``."""
    pause = threading.Event()
    for _ in range(round(seconds / 0.01)):
        if condition():
            return True
        pause.wait(0.01)
    return False
