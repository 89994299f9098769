"""A turn over a WebSocket as the reader read it, and its sealing by the synchronous client.

`ReadSocket.seal` gives the messages to the target that takes turns over a connection of its own
(`voicebench.targets.remote_turn`). The target sees a service that returns recorded messages, and
each event gets the moment at which its bytes were read. Sound that was not kept is read as zeros,
which gives its length; only sound that was kept is looked at.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from voicebench.audio.pcm import AudibleRule
from voicebench.events import AudioChunk, Connected, Event, Phase, TurnFailed, TurnFinished
from voicebench.load.reading.exchange_words import ErrorWords
from voicebench.load.reading.read_sealing import CUT_OFF, sealed
from voicebench.load.reading.socket_log import CutMark, ReadMessage, SocketLog
from voicebench.remote.connection.open_socket import SetAside
from voicebench.remote.connection.recorded_answer import RecordedClock
from voicebench.remote.connection.socket_messages import Beginning, Incoming
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import RemoteError
from voicebench.secrecy import NO_SECRETS, Secrets
from voicebench.targets.remote_turn import SocketTarget
from voicebench.targets.socket_answer import PlainSound, SocketAnswer, TurnsBefore
from voicebench.turn.playback import Arrival
from voicebench.turn.recorder import Recorder, Recording
from voicebench.turn.timeline import Stamped


@dataclass(slots=True)
class ReadSocket:
    """A turn as it was read; it can be sent to another process."""

    prompt: str
    started_ns: int
    started_at: str
    before: TurnsBefore
    """What the client remembered of earlier turns."""
    connected: Connected | None = None
    """None if there was no connection."""
    sent_ns: int = 0
    log: SocketLog = field(default_factory=SocketLog)
    set_aside: tuple[str | bytes, ...] = ()
    """What had come between two turns."""
    sample_rate: int = 0
    """That of its sound; 0 if it has none."""
    error: ErrorWords | None = None
    """How the connection ended, if it did."""
    ended_ns: int = 0
    was_cut_off: bool = False
    """Whether it was still open when the level ended."""

    def events(self, target: SocketTarget) -> tuple[list[Stamped], list[Arrival]]:
        """Return the events, and the arrivals of sound that was not kept.

        ``target`` is a client of the same server that is not used otherwise.
        """
        return _Sealing(self, target).events()

    def seal(
        self,
        turn: int,
        phase: Phase,
        rule: AudibleRule,
        secrets: Secrets = NO_SECRETS,
        *,
        clients: SocketTarget,
    ) -> Recording:
        """Return the finished turn. Raises `voicebench.errors.IllegalEvent` if it breaks a rule."""
        events, later = self.events(clients)
        return sealed(
            events, later, self.started_at, turn=turn, phase=phase, rule=rule, secrets=secrets
        )


class _Sealing:
    """Takes one turn again, with recorded messages."""

    def __init__(self, read: ReadSocket, target: SocketTarget) -> None:
        self._read = read
        self._target = target
        self._clock = RecordedClock(read.started_ns)
        self._recorder = Recorder(lambda: self._clock.now_ns)
        self._later: list[Arrival] = []
        self._service = _RecordedService(read, target, self._clock)

    def events(self) -> tuple[list[Stamped], list[Arrival]]:
        read, target = self._read, self._target
        service, target.service = target.service, self._service
        target.before = read.before
        try:
            target.run(read.prompt, self._emit)
        finally:
            target.service = service
        found = list(self._recorder.unsealed().events)
        if read.was_cut_off:
            if isinstance(found[-1].event, TurnFailed | TurnFinished):
                found.pop()
            ended_ns = max([read.ended_ns, *(one.at_ns for one in found)])
            found.append(Stamped(ended_ns, CUT_OFF))
        return found, self._later

    def _emit(self, event: Event) -> None:
        if isinstance(event, AudioChunk) and self._service.is_stripped:
            self._later.append(Arrival(self._clock.now_ns, int(event.pcm.size)))
        else:
            self._recorder.emit(event)


class _RecordedService(SocketService):
    """Returns the messages of a turn that was read, and sends nothing."""

    def __init__(self, read: ReadSocket, target: SocketTarget, clock: RecordedClock) -> None:
        known = target.service
        super(SocketService, self).__init__(known.url, known.access, known.stage)
        self.is_stripped = False
        """Whether the latest message was sound that is not kept."""
        self.set_aside = SetAside()
        for message in read.set_aside:
            self.set_aside.add(message)
        self._read = read
        self._target = target
        self._clock = clock
        self._messages: Iterator[ReadMessage] = read.log.read()
        self._answer: SocketAnswer | None = None

    def make_ready(self) -> None:
        """Do nothing."""

    def begin(self) -> tuple[Connected, WaitBudget]:
        """Return the connection, or raise why there was none."""
        if self._read.connected is None:
            raise self._end()
        self._clock.now_ns = self._read.sent_ns
        return self._read.connected, self.wait_budget(in_turn=False)

    def end(self) -> None:
        """Do nothing."""

    def drop(self) -> None:
        """Do nothing."""

    def send(self, message: str | bytes, budget: WaitBudget) -> None:
        """Do nothing."""

    def receive_part(self, budget: WaitBudget) -> Incoming | Beginning:  # noqa: ARG002
        """Return the next message, and set the clock to when it was read."""
        for one in self._messages:
            self._clock.now_ns = one.at_ns
            if isinstance(one.message, CutMark):
                self._target.cancel(one.message.heard_s)
            else:
                return self._given(one)
        raise self._end()

    def received(self) -> list[Incoming]:
        """Return the messages that came together with the turn's end."""
        found = [self._given(one) for one in self._messages]
        return [one for one in found if isinstance(one, Incoming)]

    def _given(self, one: ReadMessage) -> Incoming | Beginning:
        self.is_stripped = one.message is None
        if isinstance(one.message, Beginning):
            return one.message
        if one.message is not None:
            assert not isinstance(one.message, CutMark)
            return Incoming(one.message, one.arrival)
        answer = self._target.answer
        assert answer is not None
        sound = PlainSound(bytes(2 * one.samples), self._read.sample_rate)
        return Incoming(answer.made_of(sound), one.arrival)

    def _end(self) -> RemoteError:
        self._clock.now_ns = self._read.ended_ns
        error = self._read.error
        return self.failure("closed the connection early") if error is None else error.error()
