"""The course of a turn of a call: when the old answer ended, and when the new one began.

Everything follows from the stretches in which the agent is heard:

* The agent *spoke already* if a stretch covers the first sample of the caller's step. Stretches
  less than `PAUSE_NS` apart are one, because speech has pauses. A clear always ends a stretch.
* That *old answer* ends with its stretch. If the agent speaks again before the caller is done, and
  took nothing back, it goes on: an agent that pauses between two sentences was not stopped.
* An old answer ended *by itself* if nothing was taken back after the step began, and the agent said
  that all was sent, or no more sound arrived. Such an end says nothing about the step.
* The *answer* is the first stretch after the old answer.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from voicebench.turn.call_turn import CallTurn, Stretch

PAUSE_NS = 300_000_000
"""A shorter silence within speech is a pause."""
PAUSE_AFTER_NOISE_NS = 800_000_000
"""The same after a noise: a pause between two sentences is not taken for a stop."""
NS_PER_MS = 1_000_000


@dataclass(frozen=True, slots=True)
class CallStage:
    """A part of the wait for the answer, in nanoseconds after the caller's last sample."""

    name: str
    start_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class OldAnswer:
    """The agent's speech into which the caller's step began."""

    end_ns: int
    ended_by_itself: bool


def joined_stretches(
    stretches: Iterable[Stretch], pause_ns: int, cleared_ns: Sequence[int] = ()
) -> list[Stretch]:
    """Return ``stretches`` with shorter pauses filled; none is joined across a clear."""
    found: list[Stretch] = []
    for stretch in stretches:
        last = found[-1] if found else None
        is_near = last is not None and stretch.start_ns - last.end_ns < pause_ns
        if last is None or not is_near or _any_between(cleared_ns, last.end_ns, stretch.start_ns):
            found.append(stretch)
        else:
            found[-1] = Stretch(last.start_ns, max(last.end_ns, stretch.end_ns))
    return found


def overlap_ns(first: Iterable[Stretch], second: Sequence[Stretch]) -> int:
    """Return how long stretches of both lists last at once; those of one list do not overlap."""
    return sum(
        max(0, min(one.end_ns, other.end_ns) - max(one.start_ns, other.start_ns))
        for one in first
        for other in second
    )


def old_answer(turn: CallTurn) -> OldAnswer | None:
    """Return the speech into which the step began; None if the agent was silent then."""
    began, pause = turn.spoken_from_ns, PAUSE_NS
    if turn.kind == "noise":
        pause = PAUSE_AFTER_NOISE_NS
    cleared = [at_ns for at_ns in turn.cleared_ns if at_ns >= began]
    spoken = joined_stretches(turn.agent, pause, cleared)
    index = next(
        (n for n, stretch in enumerate(spoken) if stretch.start_ns <= began < stretch.end_ns), None
    )
    if index is None:
        return None
    end_ns = spoken[index].end_ns
    for stretch in spoken[index + 1 :]:
        if stretch.start_ns >= turn.spoken_until_ns or _any_between(
            cleared, began, stretch.start_ns
        ):
            break
        end_ns = stretch.end_ns
    # Speech is soft between its words, so its last audible sample may lie before the clear.
    taken_back = _any_between(cleared, began, end_ns + PAUSE_NS)
    # One that sends in real time says that all was sent when all was heard.
    all_sent = any(turn.start_ns <= at_ns <= end_ns + PAUSE_NS for at_ns in turn.completed_ns)
    arriving = any(began < at_ns <= end_ns for at_ns in turn.arrived_ns)
    return OldAnswer(end_ns, ended_by_itself=not taken_back and (all_sent or not arriving))


def answer_ns(turn: CallTurn) -> int | None:
    """Return when the first audible sample of the answer was heard; None if there is none."""
    old = old_answer(turn)
    after = turn.spoken_from_ns if old is None else old.end_ns
    return next((stretch.start_ns for stretch in turn.agent if stretch.start_ns >= after), None)


def endpoint_ns(turn: CallTurn) -> int | None:
    """Return when the agent took the turn as over: the last time before it answered."""
    answered = answer_ns(turn)
    seen = [
        at_ns
        for at_ns in turn.endpoints_ns
        if at_ns >= turn.spoken_from_ns and (answered is None or at_ns <= answered)
    ]
    return seen[-1] if seen else None


def transcript_ns(turn: CallTurn) -> int | None:
    """Return when the last final transcript of the caller's words was in hand."""
    known = [part.at_ns for part in turn.transcripts if part.at_ns >= turn.spoken_from_ns]
    return known[-1] if known else None


def reply_text_ns(turn: CallTurn) -> int | None:
    """Return when the first visible text of the answer was in hand."""
    old, ended = old_answer(turn), endpoint_ns(turn)
    after = max(
        turn.spoken_from_ns,
        ended if ended is not None else turn.spoken_from_ns,
        old.end_ns if old is not None else turn.spoken_from_ns,
    )
    texts = (part.at_ns for part in turn.replies if part.at_ns >= after and part.text.strip())
    return next(texts, None)


def stages(turn: CallTurn) -> list[CallStage]:
    """Return the parts of the wait for the answer, which add up to it; none without an answer.

    A moment that is unknown, out of order or after the answer has no stage: a transcript may come
    later. The first stage may be negative: the agent took a pause for the end.
    """
    answered = answer_ns(turn)
    if answered is None or turn.kind == "noise":
        return []
    moments = (
        ("end of turn", endpoint_ns(turn)),
        ("transcript", transcript_ns(turn)),
        ("reply text", reply_text_ns(turn)),
    )
    found: list[CallStage] = []
    reached = 0
    for name, at_ns in moments:
        if at_ns is None or at_ns > answered:
            continue
        after = at_ns - turn.spoken_until_ns
        if found and after < reached:
            continue
        found.append(CallStage(name, reached, after))
        reached = after
    return [*found, CallStage("voice", reached, answered - turn.spoken_until_ns)]


def _any_between(moments: Iterable[int], start_ns: int, end_ns: int) -> bool:
    return any(start_ns <= at_ns <= end_ns for at_ns in moments)
