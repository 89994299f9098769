"""The metrics of spoken calls: pure functions from one turn of a call to one number.

`voicebench.figures.call_course` says what is the answer, the old answer and its end. Metrics of
other turns do not apply to calls, and these do not apply to other turns.
"""

from __future__ import annotations

from collections.abc import Callable

from voicebench.figures.call_course import (
    CallStage,
    answer_ns,
    endpoint_ns,
    old_answer,
    overlap_ns,
    reply_text_ns,
    stages,
    transcript_ns,
)
from voicebench.figures.metric import NS_PER_MS, Metric
from voicebench.figures.word_errors import word_error_rate
from voicebench.turn.call_turn import CallKind, CallTurn, Stretch
from voicebench.turn.timeline import Timeline

Of = Callable[[CallTurn], float | None]


def _played(of: Of, *kinds: str) -> Callable[[Timeline], float | None]:
    """Return what computes ``of`` for turns of these kinds that were played."""

    def of_turn(turn: Timeline) -> float | None:
        call = turn.call
        return None if call is None or call.skipped or call.kind not in kinds else of(call)

    return of_turn


SPOKEN: tuple[CallKind, ...] = ("line", "interruption")
PLAYED: tuple[CallKind, ...] = (*SPOKEN, "noise")


def _spoken(of: Of) -> Callable[[Timeline], float | None]:
    return _played(of, *SPOKEN)


def _after_speech(moment: Callable[[CallTurn], int | None]) -> Callable[[Timeline], float | None]:
    """Return what computes the time from the caller's last sample to ``moment``, in ms."""

    def of(call: CallTurn) -> float | None:
        at_ns = moment(call)
        return None if at_ns is None else (at_ns - call.spoken_until_ns) / NS_PER_MS

    return _spoken(of)


def _stage(name: str) -> Callable[[Timeline], float | None]:
    def of(call: CallTurn) -> float | None:
        return next((_ms(stage) for stage in stages(call) if stage.name == name), None)

    return _spoken(of)


def _ms(stage: CallStage) -> float:
    return (stage.end_ns - stage.start_ns) / NS_PER_MS


def _unattributed(call: CallTurn) -> float | None:
    answered = answer_ns(call)
    if answered is None:
        return None
    return (answered - call.spoken_until_ns) / NS_PER_MS - sum(map(_ms, stages(call)))


def _stopped(call: CallTurn) -> float | None:
    """Return 1 if the agent fell silent within the limit; None if its answer had ended anyway."""
    old = old_answer(call)
    if old is None or call.cut_short:
        return None
    if old.end_ns >= call.end_ns:
        return 0.0  # It still spoke when the next step began.
    in_time = (old.end_ns - call.spoken_from_ns) / NS_PER_MS <= call.limit_ms
    if old.ended_by_itself:
        return None if in_time else 0.0
    return float(in_time)


def _stop(call: CallTurn) -> float | None:
    old = old_answer(call)
    if old is None or _stopped(call) != 1:
        return None
    return (old.end_ns - call.spoken_from_ns) / NS_PER_MS


def _missed(call: CallTurn) -> float | None:
    if answer_ns(call) is not None:
        return 0.0
    return None if call.cut_short else 1.0


def _cut_in(call: CallTurn) -> float | None:
    answered = answer_ns(call)
    return None if answered is None else float(answered < call.spoken_until_ns)


def _talk_over(call: CallTurn) -> float:
    turn = Stretch(call.spoken_from_ns, call.spoken_until_ns)
    return overlap_ns([turn], call.agent) / NS_PER_MS


def _overlap(call: CallTurn) -> float:
    return overlap_ns(call.caller, call.agent) / NS_PER_MS


def _heard_errors(call: CallTurn) -> float | None:
    return word_error_rate(call.said, call.heard) if call.transcripts else None


def step_slowness_ms(turn: Timeline) -> float | None:
    """Return a step's time to the answer, for sorting; None if it failed or went wrong."""
    call = turn.call
    if call is None or call.skipped or turn.failed:
        return None
    if call.kind == "noise":
        return None if _stopped(call) == 1 else 0.0
    talked_on = call.kind == "interruption" and _stopped(call) == 0
    if talked_on or _missed(call) == 1 or _cut_in(call) == 1:
        return None
    answered = answer_ns(call)
    return 0.0 if answered is None else (answered - call.spoken_until_ns) / NS_PER_MS


call_response = _after_speech(answer_ns)
"""Computes ``response_ms`` of a spoken turn."""
call_stop = _played(_stop, "interruption")
"""Computes ``stop_ms`` of an interruption, which is a metric of other turns too."""

CALL_METRICS: tuple[Metric, ...] = (
    Metric(
        "response_ms",
        "The caller's last audible sample sent to the first audible sample of the agent's answer, "
        "as heard by a listener who plays at once. Negative: the agent cut in. Only in `call`, as "
        "all that follow.",
        call_response,
        may_be_negative=True,
        kinds=SPOKEN,
    ),
    Metric(
        "endpoint_ms",
        "The caller's last audible sample sent to the moment at which the agent says that the turn "
        "is over, the last time before it answers. Negative: it took a pause for the end.",
        _after_speech(endpoint_ns),
        may_be_negative=True,
        kinds=SPOKEN,
    ),
    Metric(
        "transcript_ms",
        "The caller's last audible sample sent to the final transcript of the caller's words. It "
        "may come after the answer.",
        _after_speech(transcript_ns),
        may_be_negative=True,
        kinds=SPOKEN,
    ),
    Metric(
        "reply_text_ms",
        "The caller's last audible sample sent to the first visible text of the answer.",
        _after_speech(reply_text_ns),
        may_be_negative=True,
        kinds=SPOKEN,
    ),
    Metric(
        "voice_ms",
        "The rest of the way: from the last of endpoint, transcript and reply text that came "
        "before the answer, to its first audible sample. Without any of them: response.",
        _stage("voice"),
        may_be_negative=True,
        kinds=SPOKEN,
    ),
    Metric(
        "call_unattributed_ms",
        "response minus its stages: zero by construction.",
        _spoken(_unattributed),
        may_be_negative=True,
        kinds=SPOKEN,
    ),
    Metric(
        "stopped",
        "1 if the agent fell silent within the limit after an interruption, else 0.",
        _played(_stopped, "interruption"),
        unit="bool",
        better="higher",
        of_failed=True,
        kinds=("interruption",),
    ),
    Metric(
        "false_stop",
        "1 if the agent fell silent after a noise that it should ignore, else 0; missing if its "
        "answer ended by itself.",
        _played(_stopped, "noise"),
        unit="bool",
        of_failed=True,
        kinds=("noise",),
    ),
    Metric(
        "cut_in",
        "1 if the agent spoke before the caller was done, in a pause or into his words, else 0.",
        _spoken(_cut_in),
        unit="bool",
        of_failed=True,
        kinds=SPOKEN,
    ),
    Metric(
        "missed",
        "1 if the caller spoke and nothing audible came within his patience, else 0.",
        _spoken(_missed),
        unit="bool",
        of_failed=True,
        kinds=SPOKEN,
    ),
    Metric(
        "talk_over_ms",
        "Agent speech between the caller's first and last audible samples, his pauses included.",
        _spoken(_talk_over),
        kinds=SPOKEN,
    ),
    Metric(
        "overlap_ms",
        "Time in which both are audible at once.",
        _played(_overlap, *PLAYED),
        kinds=PLAYED,
    ),
    Metric(
        "heard_wer",
        "Word errors of the agent's transcript against the text of the line, over its words.",
        _spoken(_heard_errors),
        unit="share",
        kinds=SPOKEN,
    ),
    Metric(
        "caller_late_ms",
        "The largest delay of a frame of the caller, silence included, against its schedule: our "
        "own lateness.",
        _played(lambda call: call.late_ns / NS_PER_MS, *PLAYED),
        kinds=PLAYED,
    ),
)
