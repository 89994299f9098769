"""Compares a sprint with the one before, but only figures that mean the same.

A figure is compared with **the same statistic** of the same metric: a median with a median, never
with the end of a range. The minimum and the maximum depend on the number of values, so they are
compared only where both sprints have equally many.

Two results are not compared if their figures mean different things
(`voicebench.judging.comparability`): another target, another rule of what is audible, prompts with
less than half in common. Nor is a run compared that was not judged, nor a run with itself. Another
model or voice of the same assistant is what a sprint works on: it is compared, and a note says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from voicebench.judging.comparability import SAME_PROMPTS_FROM, other_target, shared_prompts
from voicebench.sprints.readings import EXACT, Reading, Status, status
from voicebench.sprints.sprint import ASPECTS, Basis, RunTable, Sentence, Sprint

WORKED_ON = ("llm.model", "tts.voice", "tts.model", "server.voice")
"""Settings that a sprint may change and still be a sprint on the same assistant."""
_ENDS = ("min", "max")
_WHOLE = ("tests", "websocket", "errors.rate")
"""Readings that mean the same in every sprint."""


@dataclass(frozen=True, slots=True)
class Compared:
    """One reading, its status, and the reading of the same metric in the sprint before."""

    reading: Reading
    status: Status
    before: Reading | None = None
    was: float | None = None
    """The same statistic in the sprint before; None if there is nothing to compare with."""
    why_not: Sentence | None = None
    """Why the reading is not compared with ``before``."""


def compare_sprints(sprint: Sprint, before: Sprint | None) -> list[Compared]:
    """Return each reading of ``sprint`` with that of the sprint before."""
    return [_compare(reading, sprint, before) for reading in sprint.readings]


def score_gains(sprint: Sprint, before: Sprint | None) -> Mapping[str, float]:
    """Return by how much each comparable aspect, and the ``total``, rose.

    Points of a formula are not compared with points that a person gave. The totals are compared if
    the highest possible total is the same and every aspect is comparable.
    """
    if before is None or _cannot_compare_scores(sprint, before):
        return {}
    now, earlier = ({score.aspect: score for score in each.scores} for each in (sprint, before))
    gains = {}
    for aspect in ASPECTS:
        ours, theirs = now.get(aspect), earlier.get(aspect)
        if ours is None or theirs is None or ours.by_hand != theirs.by_hand:
            continue
        if ours.points is not None and theirs.points is not None:
            gains[aspect] = round(ours.points - theirs.points, 1)
    scored = [score.aspect for score in sprint.scores if score.points is not None]
    alike = sprint.possible == before.possible and all(aspect in gains for aspect in scored)
    if alike and sprint.total is not None and before.total is not None:
        gains["total"] = round(sprint.total - before.total, 1)
    return gains


def _cannot_compare_scores(sprint: Sprint, before: Sprint) -> bool:
    """Return whether a sprint was not judged, or the figures of a result mean other things."""
    if not all(table.judged for table in (*sprint.tables, *before.tables)):
        return True
    return any(
        ours.basis == theirs.basis or _differing_basis(before, theirs.basis, ours.basis)
        for ours, theirs in _pairs(sprint, before)
        if ours.basis is not None
    )


def _compare(reading: Reading, sprint: Sprint, before: Sprint | None) -> Compared:
    found = _same_metric(reading, sprint, before) if before else None
    if before is None or found is None:
        return Compared(reading, status(reading))
    if found.value is None or reading.value is None:
        return Compared(reading, status(reading), found)
    why_not = _why_not(reading, sprint, found, before)
    if why_not is not None:
        return Compared(reading, status(reading), found, why_not=why_not)
    was = found.value if reading.name in EXACT else found.known[reading.statistic]
    return Compared(reading, status(reading, was), found, was)


def _same_metric(reading: Reading, sprint: Sprint, before: Sprint) -> Reading | None:
    """Return the reading of the metric in the sprint before, if possible of the same statistic."""
    several = sprint.has_several_results() or before.has_several_results()
    found = [
        earlier
        for earlier in before.readings
        if earlier.metric == reading.metric
        and earlier.unit == reading.unit
        and (not several or earlier.result == reading.result)
    ]
    return min(
        found,
        key=lambda earlier: (reading.statistic not in earlier.known, earlier.name != reading.name),
        default=None,
    )


def _why_not(reading: Reading, sprint: Sprint, found: Reading, before: Sprint) -> Sentence | None:
    if not (found.judged and reading.judged):
        return Sentence("why.not judged", {"n": (sprint if found.judged else before).number})
    theirs, ours = _basis_of(before, found.result), _basis_of(sprint, reading.result)
    if theirs is not None and ours is not None and theirs.result == ours.result:
        return Sentence("why.same run", {"n": before.number})
    if reading.name in _WHOLE:
        return None
    return _differing_basis(before, theirs, ours) or _differing_statistic(before, found, reading)


def _differing_statistic(before: Sprint, theirs: Reading, ours: Reading) -> Sentence | None:
    """Return why the statistics differ, if they do."""
    n, statistic = before.number, ours.statistic
    if statistic not in theirs.known:
        given = "range" if theirs.is_range else theirs.statistic
        return Sentence(
            "why.statistic", {"n": n, "their_statistic": given, "our_statistic": statistic}
        )
    if statistic not in _ENDS or ours.count == theirs.count:
        return None
    if ours.count is None or theirs.count is None:
        return Sentence("why.count unknown", {"n": n, "our_statistic": statistic})
    counts = {"theirs": theirs.count, "ours": ours.count}
    return Sentence("why.count", {"n": n, "our_statistic": statistic, **counts})


def other_models(sprint: Sprint, before: Sprint) -> list[str]:
    """Return the models and voices in which the sprint before differs."""
    found: list[str] = []
    for ours, theirs in _pairs(sprint, before):
        if ours.basis is not None and theirs.basis is not None:
            differing = other_target(theirs.basis.settings, ours.basis.settings)
            found += [str(setting) for setting in differing if setting.key in WORKED_ON]
    return list(dict.fromkeys(found))


def _pairs(sprint: Sprint, before: Sprint) -> list[tuple[RunTable, RunTable]]:
    """Return the pairs of results of the same name; of two single results, that pair."""
    if len(sprint.tables) == len(before.tables) == 1:
        return [(sprint.tables[0], before.tables[0])]
    return [
        (ours, theirs)
        for ours in sprint.tables
        for theirs in before.tables
        if ours.name == theirs.name
    ]


def _basis_of(sprint: Sprint, result: str) -> Basis | None:
    return next((table.basis for table in sprint.tables if table.name == result), None)


def _differing_basis(before: Sprint, theirs: Basis | None, ours: Basis | None) -> Sentence | None:
    """Return the difference by which the figures of two results mean other things, if any."""
    if theirs is None or ours is None:
        return None
    n = before.number
    changed = other_target(theirs.settings, ours.settings)
    differing = [str(setting) for setting in changed if setting.key not in WORKED_ON]
    if differing:
        return Sentence("why.target", {"n": n, "differing": ", ".join(differing)})
    if theirs.prompts is not None and ours.prompts is not None:
        common = shared_prompts(theirs.prompts, ours.prompts)
        if common < SAME_PROMPTS_FROM:
            return Sentence("why.prompts", {"n": n, "common_share": common})
    return None
