"""Outcomes of runs for the tests of what people read, from hand-made and from simulated turns."""

from __future__ import annotations

import io
import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from handmade import failed_turn, make_turn, sprint_turns
from rich.console import Console, RenderableType

from voicebench.audio.pcm import AudibleRule
from voicebench.events import Phase
from voicebench.final import Final, Taken
from voicebench.gates import GateResult, judge, parse_gate
from voicebench.judgement import Judgement
from voicebench.recorder import Recorder
from voicebench.report.runs import TurnLimit
from voicebench.report.style import Printable
from voicebench.selftest import InstrumentError
from voicebench.settings import DEFAULT_GATES
from voicebench.summary import Summary, summarize
from voicebench.targets.simulated import Simulated, VirtualClock, parse_script
from voicebench.timeline import Timeline

ENVIRONMENT: dict[str, object] = {
    "voicebench": "0.1.0",
    "cpu": "Imaginary CPU",
    "cores": 2,
    "load_1min": 0.25,
    "commit": "0123456789ab",
}
UNDER_300 = TurnLimit(300)
INSTRUMENT = InstrumentError("in process", 90, 0.011, 0.062, 0.2)


@dataclass(frozen=True)
class MadeOutcome:
    """As `voicebench.session.Outcome`, as far as the report reads it."""

    turns: Sequence[Timeline]
    summary: Summary
    gate_results: Sequence[GateResult]
    final: Final
    previous: Summary | None = None
    judgement: Judgement = field(default_factory=Judgement)
    folder: Path = Path("results/20260105T101500Z-made")
    environment: dict[str, object] = field(default_factory=lambda: dict(ENVIRONMENT))
    instrument: InstrumentError = INSTRUMENT


def outcome(
    turns: Sequence[Timeline],
    *,
    gates: Iterable[str] = DEFAULT_GATES,
    previous: Sequence[Timeline] | None = None,
    interrupted: bool = False,
) -> MadeOutcome:
    summary = summarize(turns)
    judgement = Judgement(gates=tuple(judge(parse_gate(gate), summary) for gate in gates))
    planned = 12 if interrupted else summary.turns
    return MadeOutcome(
        turns=turns,
        summary=summary,
        gate_results=judgement.gates,
        final=judgement.final(
            Taken(summary.turns, summary.failed, planned, complete=not interrupted)
        ),
        previous=None if previous is None else summarize(previous),
        judgement=judgement,
    )


def sprint_outcome() -> MadeOutcome:
    """The sprint of reference, with a cold turn and a warm-up turn before it."""
    cold = make_turn(
        1, phase="cold", tokens=((300, "The"),), chunks=((320, "The"),), audio=((900, 400),)
    )
    return outcome([cold, make_turn(2, phase="warmup"), *sprint_turns()], previous=sprint_turns())


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
    phases: list[Phase] = ["cold", "warmup", "warmup", "warmup", *(["measured"] * 20)]
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
