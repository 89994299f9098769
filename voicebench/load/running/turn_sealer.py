"""A sealing process: makes timelines of the turns that a client process took.

It looks for the first sound, checks that the audio is speech and computes the metrics: some ten
milliseconds a turn, in which a reader could not read. So it is a process of its own, which the
system lets run only when its core has nothing else to do.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING, Any

from voicebench.errors import IllegalEvent
from voicebench.events import TurnFailed
from voicebench.figures.metrics import BY_NAME
from voicebench.load.loaded_turn import LoadedTurn, outcome_of
from voicebench.load.running.client_cores import give_way, stay_on
from voicebench.load.running.level_task import (
    LevelTask,
    PackedTurn,
    ProcessTask,
    SealedTurn,
    TakenTurn,
)
from voicebench.turn.listened import cut_while_playing
from voicebench.turn.playback import NS_PER_S
from voicebench.turn.recorder import Recording, Unsealed
from voicebench.turn.timeline import Stamped

if TYPE_CHECKING:
    from voicebench.load.reading.read_socket import ReadSocket
    from voicebench.load.reading.read_turn import ReadCascade


def run_sealer(task: ProcessTask, taken: Connection, sealed: Connection) -> None:
    """Seal the turns that come over ``taken``, until it ends; the process's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stay_on(task.sealing_core)
    give_way()
    try:
        while True:
            sealed.send(seal_turn(taken.recv(), task))
    except (EOFError, OSError):  # the client process has ended, or the parent
        sealed.close()


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
    )
    return SealedTurn(taken.number, timeline, turn)


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
