"""A sealing process: makes timelines of the turns that a client process took.

It looks for the first sound, checks that the audio is speech and computes the metrics: some ten
milliseconds a turn, in which a reader could not read. So it is a process of its own, which the
system lets run only when its core has nothing else to do.
"""

from __future__ import annotations

import signal
from dataclasses import replace
from multiprocessing.connection import Connection

from voicebench.errors import IllegalEvent
from voicebench.events import TurnFailed
from voicebench.figures.metrics import BY_NAME
from voicebench.load.loaded_turn import LoadedTurn, Outcome
from voicebench.load.running.client_cores import give_way, stay_on
from voicebench.load.running.level_task import ProcessTask, SealedTurn, TakenTurn
from voicebench.turn.playback import NS_PER_S
from voicebench.turn.recorder import Unsealed
from voicebench.turn.timeline import Stamped, Timeline

SIGNS_OF_REFUSAL = (
    *("answers 429", "answers 503"),  # over HTTP: `voicebench.remote.connection.answer`
    *("try again later", "is shutting down"),  # our own server's words over a socket
    *("rate_limit", "rate limit", "overloaded"),  # those of others
)
"""What a failure says whose server has no room."""


def run_sealer(task: ProcessTask, taken: Connection, sealed: Connection) -> None:
    """Seal the turns that come over ``taken``, until it ends; the process's main function."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    stay_on(task.core)
    give_way()
    try:
        while True:
            sealed.send(seal_turn(taken.recv(), task))
    except (EOFError, OSError):  # the client process has ended, or the parent
        sealed.close()


def seal_turn(taken: TakenTurn, task: ProcessTask) -> SealedTurn:
    """Return a turn sealed, with the metrics that its level needs."""
    level = task.level
    try:
        recording = taken.events.seal(0, "load", level.rule, level.secrets)
    except IllegalEvent as error:
        recording = _failed(taken.events, str(error)).seal(0, "load", level.rule, level.secrets)
    place = taken.place
    timeline = replace(recording.timeline, load=place)
    turn = LoadedTurn(
        place.caller,
        place.call,
        place.number,
        place.due_ns / NS_PER_S,
        (place.due_ns + place.late_ns + timeline.end_ns) / NS_PER_S,
        outcome_of(timeline),
        {name: BY_NAME[name].of(timeline) for name in level.metrics},
    )
    return SealedTurn(taken.number, timeline, turn)


def outcome_of(turn: Timeline) -> Outcome:
    """Return how a turn under load ended."""
    if turn.load is not None and turn.load.unfinished:
        return "unfinished"
    if turn.failure is None:
        return "answered"
    return "refused" if _is_refusal(turn.failure.reason, turn.failure.fault) else "failed"


def _is_refusal(reason: str, fault: str) -> bool:
    """Return whether the server said that it has no room."""
    return fault == "refused" and any(sign in reason for sign in SIGNS_OF_REFUSAL)


def _failed(events: Unsealed, why: str) -> Unsealed:
    """Return a turn that broke the rules of the timeline as a failed one."""
    first, last = events.events[0], events.events[-1]
    failed = TurnFailed(f"a defect of voicebench: {why}", "engine", "turn")
    return Unsealed((first, Stamped(max(first.at_ns, last.at_ns), failed)), events.started_at)
