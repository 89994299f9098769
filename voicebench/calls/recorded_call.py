"""From a recorded call to its turns: one sealed timeline for each step of the script.

The whole call is looked at after it has ended: both tracks are laid on one clock, and each step
gets its window of them.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import TYPE_CHECKING

import numpy as np

from voicebench.audio.pcm import AudibleRule, audible_runs, from_int16
from voicebench.calls.agent_events import (
    AgentAudio,
    AgentCleared,
    CallerTranscript,
    FrameSent,
    ReplyComplete,
    ReplyText,
    SpeechEndSeen,
)
from voicebench.calls.call_script import CallScript
from voicebench.calls.conversation import PlayedStep
from voicebench.calls.heard import HeardTrack, StampedAgentEvent, heard_track
from voicebench.calls.line_sound import FRAMES_PER_S, LineSound
from voicebench.figures.call_course import answer_ns
from voicebench.turn.call_turn import LEVEL_STEP_NS, LOUDEST, CallText, CallTurn, Stretch
from voicebench.turn.playback import Stall

if TYPE_CHECKING:
    from numpy.typing import NDArray

NS_PER_S = 1_000_000_000
FRAME_NS = NS_PER_S // FRAMES_PER_S


@dataclass(frozen=True, slots=True, eq=False)
class RecordedCall:
    """One call as it was recorded. All ``_ns`` count from the begin of its first frame."""

    number: int
    """From 1."""
    script: CallScript
    sounds: Sequence[LineSound]
    sample_rate: int
    """The rate in Hz at which the agent hears the caller."""
    played: Sequence[PlayedStep]
    sent_ns: Sequence[int]
    """When each frame was sent; on schedule, frame k leaves after (k + 1) * 20 ms."""
    events: Sequence[StampedAgentEvent]
    failure: str = ""
    """Why the call ended before its script; empty if it did not."""
    started_at: str = ""
    dial_ms: float = 0.0
    """The time from dialling to the agent's being ready, before the call's clock."""
    rule: AudibleRule = field(default_factory=AudibleRule)

    @property
    def end_ns(self) -> int:
        """When the last frame was sent."""
        return self.sent_ns[-1] if self.sent_ns else 0


def really_sent_ns(given_ns: Sequence[int], events: Iterable[StampedAgentEvent]) -> tuple[int, ...]:
    """Return when each frame was sent that was given away at ``given_ns``, where that is known.

    The last frames may not have left when the call ended: each leaves after the one before.
    """
    sent_ns = [one.at_ns for one in events if isinstance(one.event, FrameSent)]
    return tuple(accumulate((*sent_ns, *given_ns[len(sent_ns) :]), max))


@dataclass(frozen=True, slots=True, eq=False)
class CallTracks:
    """Both sides of a call, from the begin of its clock."""

    caller: NDArray[np.float32]
    caller_rate: int
    agent: HeardTrack


def tracks_of(call: RecordedCall) -> CallTracks:
    """Return what the caller said, and what he heard."""
    size = call.sample_rate // FRAMES_PER_S
    caller = np.zeros(len(call.sent_ns) * size, dtype=np.int16)
    for played in call.played:
        if not played.skipped:
            said = call.sounds[played.number].frames.ravel()
            part = caller[played.frame * size :][: said.size]
            part[:] = said[: part.size]
    return CallTracks(from_int16(caller), call.sample_rate, heard_track(call.events, call.end_ns))


def call_turns(call: RecordedCall, tracks: CallTracks) -> list[CallTurn]:
    """Return the turns of ``call``, one for each step of its script, in order."""
    agent = [
        _stretch(begin, end, tracks.agent.sample_rate)
        for begin, end in audible_runs(tracks.agent.pcm, tracks.agent.sample_rate, call.rule)
    ]
    begins = [_begin_ns(call, played) if n else 0 for n, played in enumerate(call.played)]
    ends = [*begins[1:], call.end_ns]
    windows = [Stretch(begin, max(begin, end)) for begin, end in zip(begins, ends, strict=False)]
    turns = [
        _turn(call, tracks, agent, played, window)
        for played, window in zip(call.played, windows, strict=True)
    ]
    if turns and call.failure:
        turns[-1] = replace(turns[-1], cut_short=True)
    unplayed = range(len(call.played), len(call.script.steps))
    return [*turns, *(_unplayed(call, number) for number in unplayed)]


def _begin_ns(call: RecordedCall, played: PlayedStep) -> int:
    """Return when the first sample of the step's first frame was spoken."""
    frame = min(played.frame, len(call.sent_ns) - 1)
    return max(0, call.sent_ns[frame] - FRAME_NS)


def _turn(
    call: RecordedCall,
    tracks: CallTracks,
    agent: Sequence[Stretch],
    played: PlayedStep,
    window: Stretch,
) -> CallTurn:
    start_ns, end_ns = window
    step, sound = call.script.steps[played.number], call.sounds[played.number]
    within = [one for one in call.events if start_ns <= one.at_ns < end_ns]
    runs: tuple[Stretch, ...] = ()
    spoken_from = spoken_until = start_ns
    late_ns = 0
    if not played.skipped:
        last = len(call.sent_ns) - 1
        spoken_from = call.sent_ns[min(last, played.frame + sound.first_frame)]
        spoken_until = call.sent_ns[min(last, played.frame + sound.last_frame)]
        runs = tuple(_spoken(call, played.frame, run) for run in sound.runs)
        late_ns = _late_ns(call, start_ns, end_ns)
    turn = CallTurn(
        call=call.number,
        step=played.number + 1,
        kind=step.kind,
        said=step.said,
        start_ns=start_ns,
        end_ns=end_ns,
        spoken_from_ns=spoken_from,
        spoken_until_ns=spoken_until,
        limit_ms=step.limit_ms,
        caller=runs,
        agent=tuple(_clipped(agent, start_ns, end_ns)),
        endpoints_ns=_moments(within, SpeechEndSeen),
        transcripts=tuple(
            CallText(one.at_ns, one.event.text)
            for one in within
            if isinstance(one.event, CallerTranscript) and one.event.final
        ),
        replies=tuple(
            CallText(one.at_ns, one.event.text)
            for one in within
            if isinstance(one.event, ReplyText)
        ),
        cleared_ns=_moments(within, AgentCleared),
        completed_ns=_moments(within, ReplyComplete),
        arrived_ns=_moments(within, AgentAudio),
        late_ns=late_ns,
        skipped=played.skipped,
        caller_levels=_levels(tracks.caller, tracks.caller_rate, start_ns, end_ns),
        agent_levels=_levels(tracks.agent.pcm, tracks.agent.sample_rate, start_ns, end_ns),
    )
    return replace(turn, stalled_ms=_stalled_ms(call, turn, tracks.agent))


def _late_ns(call: RecordedCall, start_ns: float, end_ns: float) -> int:
    """Return our own worst delay in a part of the call: of a frame, silence included."""
    first, after = bisect_left(call.sent_ns, start_ns), bisect_right(call.sent_ns, end_ns)
    delays = [call.sent_ns[k] - (k + 1) * FRAME_NS for k in range(first, after)]
    return max([0, *delays])


def _stalled_ms(call: RecordedCall, turn: CallTurn, agent: HeardTrack) -> float:
    """Return how long the listener waited in the middle of the answer, for the agent.

    What came while we were late ourselves was stamped late: that wait is not the agent's.
    """
    answered = answer_ns(turn)
    if answered is None:
        return 0.0
    return sum(
        max(0, stall.duration_ns - _late_ns(call, stall.start_ns, _end_ns(stall) + FRAME_NS)) / 1e6
        for stall in agent.stalls
        if answered <= stall.start_ns and _end_ns(stall) < turn.end_ns
    )


def _end_ns(stall: Stall) -> float:
    return stall.start_ns + stall.duration_ns


def _unplayed(call: RecordedCall, number: int) -> CallTurn:
    """Return the turn of a step that the call did not reach."""
    step, end_ns = call.script.steps[number], call.end_ns
    return CallTurn(
        call=call.number,
        step=number + 1,
        kind=step.kind,
        said=step.said,
        start_ns=end_ns,
        end_ns=end_ns,
        spoken_from_ns=end_ns,
        spoken_until_ns=end_ns,
        limit_ms=step.limit_ms,
        skipped="the call was over",
        cut_short=True,
    )


def _spoken(call: RecordedCall, frame: int, run: tuple[int, int]) -> Stretch:
    """Return when the samples of ``run`` were spoken: each frame ends when it is sent."""
    size = call.sample_rate // FRAMES_PER_S

    def moment(sample: int) -> int:
        sent = call.sent_ns[min(len(call.sent_ns) - 1, frame + sample // size)]
        return max(0, sent - FRAME_NS + (sample % size) * NS_PER_S // call.sample_rate)

    first, after = run
    return Stretch(moment(first), moment(after - 1) + NS_PER_S // call.sample_rate)


def _stretch(begin: int, end: int, sample_rate: int) -> Stretch:
    return Stretch(begin * NS_PER_S // sample_rate, end * NS_PER_S // sample_rate)


def _clipped(stretches: Iterable[Stretch], start_ns: int, end_ns: int) -> Iterable[Stretch]:
    for one in stretches:
        start, end = max(one.start_ns, start_ns), min(one.end_ns, end_ns)
        if start < end:
            yield Stretch(start, end)


def _moments(events: Iterable[StampedAgentEvent], kind: type) -> tuple[int, ...]:
    return tuple(one.at_ns for one in events if isinstance(one.event, kind))


def _levels(
    pcm: NDArray[np.float32], sample_rate: int, start_ns: int, end_ns: int
) -> tuple[int, ...]:
    """Return the level of each `LEVEL_STEP_NS`, 0 to `LOUDEST`."""
    size = sample_rate * LEVEL_STEP_NS // NS_PER_S
    steps = (end_ns - start_ns) // LEVEL_STEP_NS
    first = start_ns * sample_rate // NS_PER_S
    piece = np.zeros(steps * size, dtype=np.float64)
    known = pcm[first : first + piece.size]
    piece[: known.size] = known
    power = np.mean(np.square(piece.reshape(steps, size)), axis=1)
    levels = np.rint(LOUDEST + 10 * np.log10(power + 1e-12)).clip(0, LOUDEST)
    return tuple(levels.astype(int).tolist())
