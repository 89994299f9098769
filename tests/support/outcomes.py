"""Runs for the tests of what people read, from hand-made and from simulated turns."""

from __future__ import annotations

import io
import random
from collections.abc import Sequence
from dataclasses import replace

from handmade import failed_turn, make_turn, sprint_turns
from recorded_folders import made_run
from rich.console import Console, RenderableType

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Phase
from voicebench.figures.summary import summarize
from voicebench.report.console.style import Printable
from voicebench.report.runs import TurnLimit
from voicebench.results.run import RecordedRun
from voicebench.targets.script import parse_script
from voicebench.targets.simulated import Simulated, VirtualClock
from voicebench.turn.recorder import Recorder
from voicebench.turn.timeline import Timeline

UNDER_300 = TurnLimit(300.0)


def sprint_with_warmup() -> list[Timeline]:
    """Return the turns of sprint 46, the reference, after a cold turn and a warm-up turn."""
    cold = make_turn(
        1, phase="cold", tokens=((300, "The"),), chunks=((320, "The"),), audio=((900, 400),)
    )
    return [cold, make_turn(2, phase="warmup"), *sprint_turns()]


def sprint_run() -> RecordedRun:
    """Return a run of these turns after a previous run of the same figures."""
    return made_run(sprint_with_warmup(), previous=summarize(sprint_turns()))


def repeated(phase: Phase, times: int) -> list[Phase]:
    return [phase] * times


def simulated_turns(script: str, phases: Sequence[Phase], first: int = 1) -> list[Timeline]:
    """Record ``script`` once for each phase, on a virtual clock."""
    target = Simulated(parse_script(script), VirtualClock())
    turns = []
    for number, phase in enumerate(phases, first):
        recorder = Recorder(target.clock.now_ns)
        target.run(f"prompt {number}", recorder.emit)
        turns.append(recorder.seal(number, phase, AudibleRule()).timeline)
    return turns


def varied_turns() -> list[Timeline]:
    """A cold turn, three warm-up turns and twenty measured ones, one of them failed."""
    chance = random.Random(7)
    phases: list[Phase] = ["cold", *repeated("warmup", 3), *repeated("measured", 20)]
    turns = []
    for number, phase in enumerate(phases, 1):
        slow = 3 if phase == "cold" else 1
        script = (
            f"sim:ttft={slow * chance.randint(60, 80)}ms,token={chance.randint(8, 11)}ms,"
            f"ttfb={slow * chance.randint(50, 75)}ms,speed={chance.randint(20, 26) / 10}x,"
            f"silence={chance.randint(15, 40)}ms,words={chance.randint(10, 18)}"
        )
        turns += simulated_turns(script, [phase], number)
    turns[12] = replace(failed_turn(13), started_at=turns[12].started_at)
    return turns


def shown(
    content: RenderableType, width: int = 100, *, encoding: str = "utf-8", colour: bool = False
) -> str:
    """Return what a console of ``width`` prints."""
    raw = io.BytesIO()
    file = io.TextIOWrapper(raw, encoding=encoding, newline="")
    console = Console(
        file=file,
        width=width,
        force_terminal=colour,
        color_system="standard" if colour else None,
        legacy_windows=False,
        _environ={},
    )
    console.print(Printable(content))
    file.flush()
    return raw.getvalue().decode(encoding)


def lines_of(text: str) -> list[str]:
    """Return the lines without the spaces at their ends."""
    return [line.rstrip() for line in text.splitlines()]


def row_of(text: str, start: str) -> str:
    """Return the one line that begins with ``start``, its runs of spaces made one."""
    [found] = [line for line in lines_of(text) if line.strip().startswith(start)]
    return " ".join(found.split())
