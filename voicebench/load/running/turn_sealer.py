"""A sealing process: makes timelines of the turns that a client process took.

It looks for the first sound, checks that the audio is speech and computes the metrics: some ten
milliseconds a turn, in which a reader could not read. So it is a process of its own, of least
priority, which computes in small steps.
"""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from voicebench.audio.pcm import AudibleRule
from voicebench.calls.agent_events import AgentAudio
from voicebench.errors import IllegalEvent
from voicebench.events import TurnFailed
from voicebench.figures.call_course import NS_PER_MS, answer_ns
from voicebench.figures.metrics import BY_NAME
from voicebench.load.loaded_turn import LoadedTurn, is_ours, outcome_of
from voicebench.load.running.client_cores import give_way
from voicebench.load.running.level_task import (
    LevelTask,
    PackedTurn,
    ProcessTask,
    SealedTurn,
    TakenCall,
    TakenTurn,
)
from voicebench.load.running.small_steps import small_steps
from voicebench.load.running.turn_under_way import STILL_OPEN
from voicebench.machine.processes import stay_on
from voicebench.turn.call_turn import CallTurn
from voicebench.turn.listened import cut_while_playing
from voicebench.turn.load_place import LoadPlace
from voicebench.turn.playback import NS_PER_S
from voicebench.turn.recorder import Recording, Unsealed
from voicebench.turn.timeline import Failure, Stamped, Timeline

if TYPE_CHECKING:
    from voicebench.calls.heard import StampedAgentEvent
    from voicebench.load.reading.read_socket import ReadSocket
    from voicebench.load.reading.read_turn import ReadCascade


def run_sealer(task: ProcessTask, taken: Connection, sealed: Connection) -> None:
    """Seal the turns that come over ``taken``, until it ends; the process's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stay_on(task.sealing_core)
    give_way()
    try:
        while True:
            taken.poll(None)  # a process that waits is not woken for its steps
            with small_steps():
                _seal_next(taken, sealed, task)
    except (EOFError, OSError):  # the client process has ended, or the parent
        sealed.close()


def _seal_next(taken: Connection, sealed: Connection, task: ProcessTask) -> None:
    one = taken.recv()
    if isinstance(one, TakenCall):
        for turn in seal_call_turns(one, task):
            sealed.send(turn)
    else:
        sealed.send(seal_turn(one, task))


def seal_turn(taken: TakenTurn, task: ProcessTask) -> SealedTurn:
    """Return a turn sealed, with the metrics that its level needs."""
    level = task.level
    if isinstance(taken.turn, PackedTurn):
        unsealed = taken.turn.unpacked()
        try:
            recording = unsealed.seal(0, "load", level.rule, level.secrets)
        except IllegalEvent as error:
            recording = _failed(unsealed, str(error)).seal(0, "load", level.rule, level.secrets)
    else:
        recording = _read_recording(taken.turn, level)
    place = taken.place
    timeline = cut_while_playing(replace(recording.timeline, load=place), place.cut_after_ns)
    return _sealed(taken.number, timeline, place, level)


def seal_call_turns(taken: TakenCall, task: ProcessTask) -> Iterator[SealedTurn]:
    """Yield the turns of a spoken call, one for each step of its script.

    Of a call that was going on when the level ended, only the steps that were begun; the last of
    them is unfinished. A turn is late by as much as its last audible sample was sent late.
    """
    from voicebench.calls.running.placing import due_ns_of
    from voicebench.calls.sealing import seal_call

    level, spoken = task.level, task.level.spoken
    assert spoken is not None
    call = taken.recorded.unpacked(tuple(spoken.sounds))
    for number, timeline in enumerate(
        seal_call(call, 1, "load", level.secrets).turns[: taken.turns]
    ):
        step = timeline.call
        assert step is not None
        due_ns = call.end_ns
        if number < len(call.played):
            due_ns = due_ns_of(spoken.sounds, call.played[number])
        is_open = taken.is_cut and number == taken.turns - 1
        place = LoadPlace(
            *(level.level, taken.caller, taken.call, number, taken.begun_ns + due_ns),
            max(step.spoken_until_ns - due_ns, 0) if not step.skipped else 0,
            None if step.skipped else lag_of_step(step, call.events, level.rule),
            setup_ns=None if number else round(call.dial_ms * 1e6),
            unfinished=is_open,
            interrupts=step.kind == "interruption",
        )
        failure = Failure(STILL_OPEN, "timeout", "turn") if is_open else timeline.failure
        kept = replace(timeline, load=place, failure=failure)
        yield _sealed(taken.first + number, kept, place, level)


def lag_of_step(
    step: CallTurn, events: Sequence[StampedAgentEvent], rule: AudibleRule
) -> int | None:
    """Return the client's lag of a step: from the caller's last sample on, up to the answer.

    The sound with which the answer begins counts in any case, because an agent may cut in.
    """
    answered = answer_ns(step)
    until_ns = step.end_ns
    if answered is not None:
        # The first audible sample is rounded down to a step of the rule, so its sound may be
        # stamped after it.
        until_ns = answered + round(2 * rule.hop_ms * NS_PER_MS)
    within = [one for one in events if step.start_ns <= one.at_ns <= until_ns]
    sounds = [one for one in within if isinstance(one.event, AgentAudio)]
    counted = [one for one in within if one.at_ns > step.spoken_until_ns] + sounds[-1:]
    return max((one.lag_ns for one in counted if one.lag_ns is not None), default=None)


def _sealed(number: int, timeline: Timeline, place: LoadPlace, level: LevelTask) -> SealedTurn:
    turn = LoadedTurn(
        place.caller,
        place.call,
        place.number,
        place.due_ns / NS_PER_S,
        (place.due_ns + place.late_ns + timeline.end_ns) / NS_PER_S,
        outcome_of(timeline),
        {name: BY_NAME[name].of(timeline) for name in level.metrics},
        to_be_cut=place.cut_after_ns is not None,
        interrupts=place.interrupts,
        fault=place.fault,
        is_noise=timeline.call is not None and timeline.call.kind == "noise",
        is_ours=is_ours(timeline.failure),
    )
    return SealedTurn(number, timeline, turn)


def _read_recording(read: ReadCascade | ReadSocket, level: LevelTask) -> Recording:
    """Return the recording of a turn that the reader read, by the parsers of the usual clients."""
    from voicebench.load.reading.reading_way import clients_of

    clients: Any = clients_of(level.settings)  # those of the same kind of target
    try:
        recording: Recording = read.seal(0, "load", level.rule, level.secrets, clients=clients)
        return recording
    except IllegalEvent as error:
        events, _ = read.events(clients)
        failed = _failed(Unsealed(tuple(events), read.started_at), str(error))
        return failed.seal(0, "load", level.rule, level.secrets)


def _failed(events: Unsealed, why: str) -> Unsealed:
    """Return a turn that broke the rules of the timeline as a failed one."""
    first, last = events.events[0], events.events[-1]
    failed = TurnFailed(f"a defect of voicebench: {why}", "engine", "turn")
    return Unsealed((first, Stamped(max(first.at_ns, last.at_ns), failed)), events.started_at)
