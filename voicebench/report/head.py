"""The notes in the head of a report: facts that change the meaning of its figures."""

from __future__ import annotations

from collections.abc import Mapping

from voicebench.judging.advice import connects_in_every_turn
from voicebench.judging.final import TOO_NOISY
from voicebench.machine.slower import slower_engines
from voicebench.results.folder import TURNS
from voicebench.results.run import RecordedRun

COLD_CONNECTIONS = (
    "connections were opened inside the turns (--cold-connection): every figure that begins with "
    "the turn includes connecting"
)


def notes_on(environment: Mapping[str, object]) -> list[str]:
    """Return notes on how the target of a run was reached and how its engines computed."""
    target = environment.get("target")
    notes = [COLD_CONNECTIONS] if connects_in_every_turn(target) else []
    return [*notes, *(sentence for sentence, _ in slower_engines(target))]


def head_notes(run: RecordedRun) -> list[str]:
    """Return the notes in the head of a report: whether the run is complete, and `notes_on`."""
    found = []
    if not run.complete:
        found.append(f"interrupted after {run.taken.progress()}: the figures cover only these")
    if run.cut_line:
        found.append(f"the last line of {TURNS} was cut off and is ignored")
    return [*found, *notes_on(run.environment)]


def warnings_of(run: RecordedRun) -> list[str]:
    """Return all warnings for a report that has no table of caveats.

    They are the notes of the head, a noisy machine, bad audio and another baseline.
    """
    found = [caveat.text for caveat in run.judged.caveats]
    if run.judged.invalid:
        found.insert(0, f"INVALID: {TOO_NOISY}")
    return [*head_notes(run), *found]
