"""The runs of a report: which are shown, and how many keep the limit on first audio.

A *run* is a measured turn. Runs are numbered from 1; the number of a turn also counts the cold and
warm-up turns. A run keeps the limit if its first audio is under it, or at it if the gate says so. A
failed run does not keep it, and stays in the count.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from voicebench import format as form
from voicebench.events import Phase
from voicebench.figures.columns import Columns
from voicebench.figures.metrics import FIRST_AUDIO
from voicebench.judging.digest import SLOWEST_WHOLE, Digest, MeasuredRun
from voicebench.judging.gates import GateResult

FIRST_AUDIO_LIMIT_MS = 300.0
"""The limit if no gate sets one; every sprint has the same target."""

MOST_SHOWN = 60
SLOWEST_SHOWN = SLOWEST_WHOLE
"""Of more than `MOST_SHOWN` runs, a table or picture shows this many failed and slowest ones."""

Status = Literal["first audio ✓", "first audio ✗", "! failed"]


@dataclass(frozen=True, slots=True)
class TurnLimit:
    """The limit on the first audio of each run."""

    ms: float
    at_most: bool = False
    """Whether a run exactly at the limit keeps it."""

    def keeps(self, first_audio_ms: float) -> bool:
        """Return whether a run with this first audio keeps the limit."""
        return first_audio_ms <= self.ms if self.at_most else first_audio_ms < self.ms

    def __str__(self) -> str:
        """Return ``under 300 ms``, or ``within 300 ms`` if the limit itself is allowed."""
        return f"{'within' if self.at_most else 'under'} {form.limit(self.ms, 'ms')}"


@dataclass(frozen=True, slots=True)
class Tally:
    """The number of runs that keep the limit, and the best run."""

    runs: int
    kept: int
    best_run: int | None
    best_ms: float | None
    limit: TurnLimit

    def sentence(self) -> str:
        """Return ``3/8 under 300 ms (37.5 %), best 252 ms (run 3)``."""
        share = form.percent(self.kept / self.runs if self.runs else None)
        text = f"{self.kept}/{self.runs} {self.limit} ({share})"
        if self.best_ms is None:
            return text
        figure = form.beside(self.best_ms, self.limit.ms, "ms")
        return f"{text}, best {figure} ms (run {self.best_run})"


def keeps(run: MeasuredRun, limit: TurnLimit) -> bool:
    """Return whether the first audio of ``run`` keeps ``limit``; False for a failed run."""
    first_audio = run.first_audio_ms()
    return first_audio is not None and limit.keeps(first_audio)


def status(run: MeasuredRun, limit: TurnLimit) -> Status:
    """Return the status of a run. It names first audio, the only limit that it judges."""
    if run.turn.failed:
        return "! failed"
    return "first audio ✓" if keeps(run, limit) else "first audio ✗"


def shortlist(digest: Digest) -> Sequence[MeasuredRun]:
    """Return the runs to show one by one: all, or the failed and slowest ones of many."""
    if digest.summary.turns <= MOST_SHOWN:
        return digest.runs
    return digest.slowest(SLOWEST_SHOWN)


def shortlist_note(digest: Digest) -> str:
    """Return a note if `shortlist` left out runs; else an empty text."""
    if digest.summary.turns <= MOST_SHOWN:
        return ""
    return f"the {SLOWEST_SHOWN} slowest of {digest.summary.turns} runs; runs.csv has all"


def tally(columns: Columns, limit: TurnLimit) -> Tally:
    """Count the runs whose first audio keeps ``limit``; of equal runs the first is the best."""
    first_audio = columns.values["first_audio_ms"]
    timed = first_audio[~np.isnan(first_audio)]
    best = int(np.nanargmin(first_audio)) if timed.size else None
    return Tally(
        runs=columns.turns,
        kept=sum(limit.keeps(took) for took in timed.tolist()),
        best_run=None if best is None else best + 1,
        best_ms=None if best is None else float(first_audio[best]),
        limit=limit,
    )


def first_audio_limit(results: Iterable[GateResult]) -> TurnLimit:
    """Return the limit of the first gate on first audio, else under 300 ms."""
    for result in results:
        gate = result.gate
        if gate.metric is not FIRST_AUDIO or gate.statistic == "stdev":
            continue
        if gate.argument is not None:
            return TurnLimit(gate.argument, at_most=gate.statistic == "within")
        if gate.operator in ("<", "<="):
            return TurnLimit(gate.limit, at_most=gate.operator == "<=")
    return TurnLimit(FIRST_AUDIO_LIMIT_MS)


def phase_label(phase: Phase) -> str:
    """Return a one-word label of ``phase``."""
    return {"warmup": "warm-up"}.get(phase, phase)
