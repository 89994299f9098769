"""The notes in the head of a report on a run under load: facts that change what it shows."""

from __future__ import annotations

from voicebench.load.load_answer import notes_on
from voicebench.load.recorded.load_run import LoadRun
from voicebench.report.head import notes_on as notes_on_environment
from voicebench.results.folder import TURNS

VIRTUAL = "a simulated target on a virtual clock: nothing of a real server or machine was measured"


def load_warnings(run: LoadRun) -> list[str]:
    """Return the notes of a run: whether it is complete, its clock, and what its answer lacks."""
    found = []
    if not run.complete:
        found.append(f"interrupted {run.final.why()}: nothing but these is shown")
    if run.cut_line:
        found.append(f"the last line of {TURNS} was cut off and is ignored")
    if run.environment.get("clock") == "virtual":
        found.append(VIRTUAL)
    if run.quick:
        found.append("--quick: the gates ask for shares of 95 % at most")
    answer = run.replay.answer
    if answer is not None:
        found += [note for note in notes_on(answer, run.least) if note != run.final.why()]
    found += [
        obstacle.in_full()
        for obstacle in run.final.obstacles[1:]
        if obstacle.in_full() not in found
    ]
    return [*found, *notes_on_environment(run.environment)]
