"""The final verdict of a run under load, computed from its levels as they are judged again.

==================  ============================================================================
INTERRUPTED         the run was stopped; its levels so far are shown
INVALID             the levels are not those of a search, or the client, a drift or a
                    contradiction makes the answer worthless
NOTHING MEASURED    no turn of the level was answered
PASS, FAIL, …       of ``load``: the gates of its level. Of ``capacity``: a confirmed level of at
                    least the callers that were asked for, or one of at most so many that fails
==================  ============================================================================

So a pass needs a complete run. Of ``load``, every gate holds by confidence in a valid level that is
not saturated. Of ``capacity``, the replayed search confirms the level on fresh callers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voicebench.format import plural
from voicebench.judging.final import NOTHING_COMPARED, Final, Obstacle, Word
from voicebench.judging.gates import Verdict
from voicebench.load.capacity_baseline import BaselineCapacity
from voicebench.load.level_rule import LevelStanding
from voicebench.load.load_answer import drift_sentences, notes_on, word_of_answer, word_of_level
from voicebench.load.recorded.judged_again import LoadReplay
from voicebench.load.search import CapacityAnswer

AGAINST = "against the baseline"
NOT_A_SEARCH = "its levels are not those of a search"
VERDICTS = {LevelStanding.HOLDS: Verdict.PASS, LevelStanding.FAILS: Verdict.FAIL}
"""The verdict of a gate on a level; all other standings are undecided."""


@dataclass(frozen=True, slots=True)
class LoadFinal(Final):
    """The final verdict of a run under load, with its reason in words."""

    reason: str = ""

    def why(self) -> str:
        """Return the reason for the word in one line."""
        return self.obstacles[0].reason if self.obstacles else self.reason


def verdict_of(standing: LevelStanding) -> Verdict:
    """Return the verdict of a gate whose level has this standing."""
    return VERDICTS.get(standing, Verdict.UNDECIDED)


def final_of_level(
    replay: LoadReplay,
    *,
    complete: bool,
    against: Sequence[Verdict] | None = None,
) -> LoadFinal:
    """Return the final verdict of a run of ``load``.

    ``against`` are the verdicts on its figures against a baseline; None if none was named.
    """
    if not complete or not replay.levels or replay.levels[0].held.interrupted:
        return _stopped(replay)
    held = replay.levels[0].held
    judged, word = held.judgement, word_of_level(held, against)
    gates = tuple(verdict_of(gate.standing) for gate in judged.gates)
    if word is Word.NOTHING_MEASURED:
        what = f"{plural(judged.turns, 'turn')}, and none was answered"
        return LoadFinal(word, (Obstacle(word, "the run", what),), gates, ())
    if word is Word.INVALID:
        return LoadFinal(word, _invalid("the client", judged.reasons), gates, ())
    parts = []
    if gates:
        passed = sum(gate is Verdict.PASS for gate in gates)
        parts.append(f"{passed} of {plural(len(gates), 'gate')} passed")
    parts += [*judged.reasons, *drift_sentences(held)]
    if against is not None:
        parts.append(f"{AGAINST}: {kept_of(against)}")
    reason = ", ".join(parts) or "no gate is set"
    return LoadFinal(word, (), gates, tuple(against or ()), reason=reason)


def kept_of(against: Sequence[Verdict]) -> str:
    """Return how many figures kept the baseline."""
    if not against:
        return NOTHING_COMPARED
    kept = sum(verdict is Verdict.PASS for verdict in against)
    return f"{kept} of {plural(len(against), 'figure')} kept it"


def final_of_search(
    replay: LoadReplay,
    at_least: int | None,
    least: int,
    *,
    complete: bool,
    baseline: BaselineCapacity | None = None,
) -> LoadFinal:
    """Return the final verdict of a run of ``capacity``."""
    stopped = any(level.held.interrupted for level in replay.levels)
    if not complete or not replay.levels or stopped:
        return _stopped(replay)
    answer = replay.answer
    if answer is None:
        detail = f"{NOT_A_SEARCH}: {replay.contradiction}"
        found = Obstacle(Word.INVALID, "the search", detail, detail)
        return LoadFinal(Word.INVALID, (found,), (), ())
    word = word_of_answer(answer, at_least, baseline)
    if word is Word.INVALID:
        return LoadFinal(word, _invalid("the search", notes_on(answer, least)), (), ())
    reason = capacity_sentence(answer.capacity, answer.high, at_least)
    own = Verdict(answer.verdict(at_least).value)
    if baseline is None:
        return LoadFinal(word, (), (own,), (), reason=reason)
    reason = f"{reason}; {AGAINST}: {baseline.sentence(answer)}"
    return LoadFinal(word, (), (own,), (baseline.verdict(answer),), reason=reason)


def capacity_sentence(capacity: int | None, high: int | None, at_least: int | None) -> str:
    """Return the answer of a search in words, with its bracket."""
    asked = "" if at_least is None else f" (at least {at_least} asked)"
    if capacity is None:
        until = "" if high is None else f"; {high} fail"
        return f"no level was confirmed{until}{asked}"
    above = "no level was shown to fail" if high is None else f"{high} fail"
    if capacity == 0:
        return f"capacity 0: a single caller is not carried{asked}"
    return f"capacity {plural(capacity, 'caller')}, confirmed; {above}{asked}"


def sentence_of(answer: CapacityAnswer | None, at_least: int | None) -> str:
    """Return `capacity_sentence` of a replayed search."""
    if answer is None:
        return "no level was confirmed"
    return capacity_sentence(answer.capacity, answer.high, at_least)


def _stopped(replay: LoadReplay) -> LoadFinal:
    turns = sum(level.held.turns.n for level in replay.levels)
    ended = sum(not level.held.interrupted for level in replay.levels)
    after = f"after {plural(ended, 'level')} and {plural(turns, 'turn')}"
    obstacle = Obstacle(Word.INTERRUPTED, "the run", after, f"interrupted {after}")
    return LoadFinal(Word.INTERRUPTED, (obstacle,), (), ())


def _invalid(subject: str, reasons: Sequence[str]) -> tuple[Obstacle, ...]:
    said = list(reasons) or ["it is invalid"]
    return tuple(Obstacle(Word.INVALID, subject, reason, reason) for reason in said)
