"""What stands in a report's head beside the verdict: what changes the meaning of its figures."""

from __future__ import annotations

from collections.abc import Mapping

from voicebench.judging.final import TOO_NOISY
from voicebench.machine.slower import slower_engines
from voicebench.results.folder import TURNS
from voicebench.results.run import RecordedRun

COLD_CONNECTIONS = (
    "connections were opened inside the turns, as asked for (--cold-connection): every figure that "
    "begins with the turn includes connecting"
)


def notes_on(environment: Mapping[str, object]) -> list[str]:
    """Return what a reader must know of how a run's target was reached, and how it computed."""
    target = environment.get("target")
    notes = [COLD_CONNECTIONS] if _connects_anew(target) else []
    return [*notes, *(sentence for sentence, _ in slower_engines(target))]


def head_notes(run: RecordedRun) -> list[str]:
    """Return what stands in the head of a report: how far the run went, and `notes_on` it."""
    found = []
    if not run.complete:
        found.append(f"interrupted after {run.taken.progress()}: the figures cover these")
    if run.cut_line:
        found.append(f"the last line of {TURNS} was cut off, and is left out")
    return [*found, *notes_on(run.environment)]


def warnings_of(run: RecordedRun) -> list[str]:
    """Return what a reader has to know before any figure, where there are no other places for it.

    A noisy machine, bad audio, another baseline, how far the run went.
    """
    found = [one.text for one in run.judged.caveats]
    if run.judged.invalid:
        found.insert(0, f"INVALID: {TOO_NOISY}")
    return [*head_notes(run), *found]


def _connects_anew(target: object) -> bool:
    """Return whether the target, or one of its engines, was connected to anew in every turn."""
    if not isinstance(target, Mapping):
        return False
    parts = (target, target.get("llm"), target.get("tts"))
    return any(isinstance(part, Mapping) and part.get("cold_connection") is True for part in parts)
