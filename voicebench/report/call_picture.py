"""A spoken call as it is drawn: both tracks on one time axis, with its overlaps and its waits.

The terminal and the page draw the same picture. Times are milliseconds from the begin of the call.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from voicebench.figures.call_course import answer_ns, old_answer, stages
from voicebench.figures.metrics import NS_PER_MS, compute
from voicebench.judging.digest import Digest, MeasuredRun
from voicebench.turn.call_turn import LEVEL_STEP_NS, CallTurn

HUMAN_GAP_MS = 208.0
"""The mean silence between two speakers, over ten languages (Stivers et al., 2009, PNAS 106:26)."""
LEVEL_STEP_MS = LEVEL_STEP_NS / NS_PER_MS
AUDIBLE_LEVEL = 40
"""The level of -40 dB of full scale: softer sound does not count as audible."""


@dataclass(frozen=True, slots=True)
class CallMark:
    """A moment of a call: ``interruption``, ``noise``, ``stop``, ``answer`` or ``cut in``."""

    at_ms: float
    kind: str
    words: str


@dataclass(frozen=True, slots=True)
class CallWait:
    """The wait for an answer, from the caller's last sample on: its stages, in milliseconds."""

    run: int
    said: str
    from_ms: float
    stages: tuple[tuple[str, float, float], ...]
    """Each with its name, its begin and its end after ``from_ms``."""
    response_ms: float


@dataclass(frozen=True, slots=True)
class CallPicture:
    """One call."""

    call: int
    first_run: int
    caller: tuple[int, ...]
    """The level of the caller for each `LEVEL_STEP_MS`, 0 to 80 dB."""
    agent: tuple[int, ...]
    marks: tuple[CallMark, ...]
    waits: tuple[CallWait, ...]

    @property
    def length_ms(self) -> float:
        """The length of the call."""
        return len(self.caller) * LEVEL_STEP_MS

    def in_words(self) -> str:
        """Return the call in a sentence, for people who cannot see it."""
        waits = ", ".join(f"{wait.response_ms:.0f}" for wait in self.waits)
        marks = ", ".join(f"{mark.words} at {mark.at_ms / 1000:.1f} s" for mark in self.marks)
        said = f"call {self.call}, {self.length_ms / 1000:.1f} s"
        said += f"; answers after {waits} ms" if waits else "; no answer"
        return f"{said}; {marks}" if marks else said


def call_pictures(digest: Digest, most: int) -> list[CallPicture]:
    """Return up to ``most`` calls of a run: those whose turns are kept whole, the worst first."""
    calls: dict[int, list[MeasuredRun]] = {}
    for run in digest.runs:
        if run.turn.call is not None:
            calls.setdefault(run.turn.call.call, []).append(run)
    whole = [runs for runs in calls.values() if _is_whole(runs)]
    return [_picture(runs) for runs in sorted(whole, key=_badness, reverse=True)[:most]]


def _is_whole(runs: Sequence[MeasuredRun]) -> bool:
    """Return whether all steps of the call are here: a long run keeps only some turns whole."""
    steps = [run.turn.call.step for run in runs if run.turn.call is not None]
    return steps == list(range(1, len(steps) + 1))


def _badness(runs: Sequence[MeasuredRun]) -> tuple[int, float]:
    failed = sum(run.turn.failed for run in runs)
    slowest = max((compute(run.turn)["response_ms"] or 0.0 for run in runs), default=0.0)
    return failed, slowest


def _picture(runs: Sequence[MeasuredRun]) -> CallPicture:
    turns = [(run, run.turn.call) for run in runs if run.turn.call is not None]
    caller: list[int] = []
    agent: list[int] = []
    marks: list[CallMark] = []
    waits: list[CallWait] = []
    for run, call in turns:
        # Windows begin between two steps of the levels, so each is put where it begins.
        begin = call.start_ns // LEVEL_STEP_NS
        for track, levels in ((caller, call.caller_levels), (agent, call.agent_levels)):
            track.extend([0] * (begin - len(track)))
            track[begin:] = levels
        marks += _marks(run, call)
        wait = _wait(run, call)
        if wait is not None:
            waits.append(wait)
    return CallPicture(
        call=turns[0][1].call,
        first_run=runs[0].number,
        caller=tuple(caller),
        agent=tuple(agent),
        marks=tuple(marks),
        waits=tuple(waits),
    )


def _marks(run: MeasuredRun, call: CallTurn) -> list[CallMark]:
    if call.skipped:
        return []
    found = compute(run.turn)
    began_ms = call.spoken_from_ns / NS_PER_MS
    marks = []
    if call.kind == "interruption":
        marks.append(CallMark(began_ms, "interruption", "interruption"))
    if call.kind == "noise":
        marks.append(CallMark(began_ms, "noise", call.said))
    old = old_answer(call)
    if old is not None and (found["stopped"] == 1 or found["false_stop"] == 1):
        words = "falsely stopped" if call.kind == "noise" else "stopped"
        marks.append(CallMark(old.end_ns / NS_PER_MS, "stop", words))
    answered = answer_ns(call)
    if answered is not None and call.kind != "noise":
        is_cut_in = found["cut_in"] == 1
        kind, words = ("cut in", "cut in") if is_cut_in else ("answer", "answer")
        marks.append(CallMark(answered / NS_PER_MS, kind, words))
    return marks


def _wait(run: MeasuredRun, call: CallTurn) -> CallWait | None:
    parts = stages(call)
    answered = answer_ns(call)
    if answered is None or not parts or call.skipped:
        return None
    return CallWait(
        run=run.number,
        said=call.said,
        from_ms=call.spoken_until_ns / NS_PER_MS,
        stages=tuple(
            (part.name, part.start_ns / NS_PER_MS, part.end_ns / NS_PER_MS) for part in parts
        ),
        response_ms=(answered - call.spoken_until_ns) / NS_PER_MS,
    )
