"""Which turn is which run, and how many runs kept the limit.

A *run* is a measured turn; runs count from 1, as people count them, while a turn's own number also
counts the cold and the warm-up turns before it. A run keeps the limit when its first audio came
under it, or at it where the gate says so; a failed run does not, and stays in the count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from voicebench import format as form
from voicebench.events import Phase
from voicebench.gates import GateResult
from voicebench.metrics import BY_NAME
from voicebench.timeline import Timeline

FIRST_AUDIO_LIMIT_MS = 300.0
"""What a run is held to where no gate says otherwise: the target of the sprint of reference."""

MOST_SHOWN = 60
SLOWEST_SHOWN = 40
"""Of more than `MOST_SHOWN` runs, a table or picture shows this many: the failed and slowest."""
MOST_APART = 10
"""Of the turns before the measured ones, and of those after, the first so many are shown."""

Status = Literal["first audio ✓", "first audio ✗", "! failed"]

_FIRST_AUDIO = BY_NAME["first_audio_ms"]


@dataclass(frozen=True, slots=True)
class TurnLimit:
    """What the first audio of each run is held to."""

    ms: float
    at_most: bool = False
    """Whether a run at the limit keeps it too."""

    def keeps(self, first_audio_ms: float) -> bool:
        """Return whether a run with this first audio keeps the limit."""
        return first_audio_ms <= self.ms if self.at_most else first_audio_ms < self.ms

    def __str__(self) -> str:
        """Return ``under 300 ms``, or ``within 300 ms`` where the limit itself is kept."""
        return f"{'within' if self.at_most else 'under'} {form.limit(self.ms, 'ms')}"


@dataclass(frozen=True, slots=True)
class MeasuredRun:
    """A measured turn and its number among the measured ones, from 1."""

    number: int
    turn: Timeline

    def first_audio_ms(self) -> float | None:
        """Return when the first samples came; None for a failed turn."""
        return None if self.turn.failed else _FIRST_AUDIO.of(self.turn)

    def slowness(self) -> float:
        """Return the first audio to sort by; a failed run is slower than any other."""
        first_audio = self.first_audio_ms()
        return math.inf if first_audio is None else first_audio

    def keeps(self, limit: TurnLimit) -> bool:
        """Return whether the first audio kept ``limit``."""
        first_audio = self.first_audio_ms()
        return first_audio is not None and limit.keeps(first_audio)

    def status(self, limit: TurnLimit) -> Status:
        """Return what a row says of the run. It judges first audio alone, and says so."""
        if self.turn.failed:
            return "! failed"
        return "first audio ✓" if self.keeps(limit) else "first audio ✗"


@dataclass(frozen=True, slots=True)
class Tally:
    """How many runs kept the limit, and the best of them."""

    runs: int
    kept: int
    best: MeasuredRun | None
    limit: TurnLimit

    def sentence(self) -> str:
        """Return ``3/8 under 300 ms (37.5 %), best 252 ms (run 3)``."""
        share = form.percent(self.kept / self.runs if self.runs else None)
        text = f"{self.kept}/{self.runs} {self.limit} ({share})"
        if self.best is None:
            return text
        figure = form.beside(self.best.first_audio_ms(), self.limit.ms, "ms")
        return f"{text}, best {figure} ms (run {self.best.number})"


def measured_runs(turns: Iterable[Timeline]) -> list[MeasuredRun]:
    """Return the measured turns, numbered from 1 in their order."""
    measured = (turn for turn in turns if turn.phase == "measured")
    return [MeasuredRun(number, turn) for number, turn in enumerate(measured, start=1)]


def shortlist(runs: Sequence[MeasuredRun]) -> Sequence[MeasuredRun]:
    """Return the runs that a person can look at one by one: all, or the failed and slowest ones."""
    if len(runs) <= MOST_SHOWN:
        return runs
    by_slowness = sorted(runs, key=MeasuredRun.slowness, reverse=True)
    return sorted(by_slowness[:SLOWEST_SHOWN], key=lambda run: run.number)


def shortlist_note(runs: Sequence[MeasuredRun]) -> str:
    """Return what `shortlist` left out; an empty text where it left out nothing."""
    if len(runs) <= MOST_SHOWN:
        return ""
    return f"the {SLOWEST_SHOWN} slowest of {len(runs)} runs; runs.csv has all"


def turns_before(turns: Iterable[Timeline]) -> list[Timeline]:
    """Return the turns before the measured ones: the cold one and the first of the warm-up."""
    return [turn for turn in turns if turn.phase in ("cold", "warmup")][:MOST_APART]


def turns_after(turns: Iterable[Timeline]) -> list[Timeline]:
    """Return the turns after the measured ones: the first of those that follow a silence."""
    return [turn for turn in turns if turn.phase == "idle"][:MOST_APART]


def tally(runs: Sequence[MeasuredRun], limit: TurnLimit) -> Tally:
    """Count the runs whose first audio kept ``limit``; of equal runs the first is best."""
    timed = [run for run in runs if run.first_audio_ms() is not None]
    return Tally(
        runs=len(runs),
        kept=sum(run.keeps(limit) for run in runs),
        best=min(timed, key=MeasuredRun.slowness, default=None),
        limit=limit,
    )


def first_audio_limit(results: Iterable[GateResult]) -> TurnLimit:
    """Return the limit that the first gate on first audio sets, else under 300 ms."""
    for result in results:
        gate = result.gate
        if gate.metric is not _FIRST_AUDIO or gate.statistic == "stdev":
            continue
        if gate.argument is not None:
            return TurnLimit(gate.argument, at_most=gate.statistic == "within")
        if gate.operator in ("<", "<="):
            return TurnLimit(gate.limit, at_most=gate.operator == "<=")
    return TurnLimit(FIRST_AUDIO_LIMIT_MS)


def phase_label(phase: Phase) -> str:
    """Return what a turn of ``phase`` is called where there is room for one word."""
    return {"warmup": "warm-up"}.get(phase, phase)
