"""The turns of a recorded call as sealed timelines: which of them failed, and why.

A turn of the caller fails if no answer came within his patience, if the answer is no speech, is his
own voice, comes slower than real time, or if the call ended before the turn could be observed. What
the agent did instead is named. A noise has no answer, so it fails only with the call. A step that
was not played is not failed: it shows nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.hearing import hear, unlike_speech
from voicebench.audio.pcm import first_audible_sample, peak
from voicebench.calls.echo import AN_ECHO, LONGEST_DELAY_S, likeness
from voicebench.calls.recorded_call import CallTracks, RecordedCall, call_turns, tracks_of
from voicebench.events import Connected, Phase
from voicebench.figures.call_course import answer_ns
from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.turn.call_turn import CallText, CallTurn
from voicebench.turn.redaction import without_secrets
from voicebench.turn.timeline import Failure, Timeline

if TYPE_CHECKING:
    from numpy.typing import NDArray

MOST_STALLED = 0.25
"""An answer whose listener waits for a larger share of its length comes too slowly."""
LEAST_STALLED_MS = 300.0
LONGEST_CHECKED_S = 20.0


@dataclass(frozen=True, slots=True, eq=False)
class SealedCall:
    """The turns of a call, and both its tracks."""

    turns: tuple[Timeline, ...]
    tracks: CallTracks


def seal_call(
    call: RecordedCall, first_turn: int, phase: Phase, secrets: Secrets = NO_SECRETS
) -> SealedCall:
    """Return the turns of ``call``, numbered from ``first_turn``."""
    tracks = tracks_of(call)
    turns = []
    for number, turn in enumerate(call_turns(call, tracks)):
        timeline = Timeline(
            turn=first_turn + number,
            phase=phase,
            prompt=turn.said or "(a recording)",
            started_at=call.started_at,
            end_ns=max(0, turn.end_ns - turn.spoken_until_ns),
            failure=_failure(call, tracks, turn),
            connections=() if number else (Connected(call.dial_ms, reused=False),),
            call=turn,
        )
        turns.append(_hidden(timeline, secrets))
    return SealedCall(tuple(turns), tracks)


def _failure(call: RecordedCall, tracks: CallTracks, turn: CallTurn) -> Failure | None:
    if turn.cut_short and turn.skipped:
        return Failure(f"the call was over before this step: {call.failure}", "engine", "turn")
    if turn.cut_short:
        return Failure(call.failure, "engine", "turn")
    if turn.skipped or turn.kind == "noise":
        return None
    answered = answer_ns(turn)
    if answered is None:
        return Failure(_nothing_heard(turn), "timeout", "audio")
    why = _fault_of_answer(call, tracks, turn, answered)
    return None if why is None else Failure(why, "audio", "audio")


def _fault_of_answer(
    call: RecordedCall, tracks: CallTracks, turn: CallTurn, answered: int
) -> str | None:
    agent = tracks.agent
    heard = _between(agent.pcm, agent.sample_rate, answered, turn.end_ns)
    said = _between(tracks.caller, tracks.caller_rate, turn.spoken_from_ns, turn.spoken_until_ns)
    # Also beyond the turn: an echo of its end may come when the next step has begun.
    echo_until = turn.spoken_until_ns + round(LONGEST_DELAY_S * 1e9)
    during = _between(agent.pcm, agent.sample_rate, turn.spoken_from_ns, echo_until)
    if likeness(said, tracks.caller_rate, during, agent.sample_rate) > AN_ECHO:
        return "the agent sends the caller's own voice back; is this its route for an echo test?"
    length_ms = 1000 * heard.size / agent.sample_rate
    if turn.stalled_ms > max(LEAST_STALLED_MS, MOST_STALLED * length_ms):
        return (
            f"its sound comes slower than real time: the listener waited {turn.stalled_ms:.0f} ms "
            f"for it; is its sample rate really {agent.sample_rate} Hz?"
        )
    heard = heard[: round(LONGEST_CHECKED_S * agent.sample_rate)]
    onset = first_audible_sample(heard, agent.sample_rate, call.rule)
    return unlike_speech(hear(heard, agent.sample_rate, onset), peak(heard))


def _nothing_heard(turn: CallTurn) -> str:
    waited = f"{max(0, turn.end_ns - turn.spoken_until_ns) / 1e9:.1f} s"
    if turn.arrived_ns and not turn.agent:
        return f"the agent's sound is silent for {waited}"
    if turn.reply:
        return f"the agent answers in text only: nothing is heard for {waited}"
    return f"no answer for {waited}"


def _between(
    pcm: NDArray[np.float32], sample_rate: int, start_ns: int, end_ns: int
) -> NDArray[np.float32]:
    return pcm[start_ns * sample_rate // 10**9 : end_ns * sample_rate // 10**9]


def _hidden(turn: Timeline, secrets: Secrets) -> Timeline:
    """Return ``turn`` without secrets: an agent may repeat the key that it was sent."""
    turn = without_secrets(turn, secrets)
    call = turn.call
    if call is None or not secrets:
        return turn
    return replace(
        turn,
        call=replace(
            call,
            transcripts=_hidden_in(call.transcripts, secrets),
            replies=_hidden_in(call.replies, secrets),
        ),
    )


def _hidden_in(texts: Iterable[CallText], secrets: Secrets) -> tuple[CallText, ...]:
    listed = list(texts)
    kept = secrets.hidden_in_parts(part.text for part in listed)
    return tuple(part._replace(text=text) for part, text in zip(listed, kept, strict=True))
