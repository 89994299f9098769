"""Our own voice WebSocket as a target: a turn goes in, tokens and sound come out.

The server is `voicebench serve`, or another one that speaks `voicebench.turn.wire`. Its events are
emitted as they arrive. Of its own measurements only the duration of the turn is kept, beside ours;
its connections, its loudspeaker and its servers are not part of this turn.

The server cannot set the times of this turn. Which tokens arrived together is known from our own
reads. Which turn a message belongs to is known from the number that the server repeats. If it
repeats none, each turn gets a new connection, opened before the turn.
"""

from __future__ import annotations

import itertools
from collections.abc import Generator, Iterator

from voicebench.events import (
    AudioChunk,
    Connected,
    Event,
    FirstByte,
    Remark,
    Reply,
    ServerTiming,
    SpeakerStarted,
    TextChunk,
    Token,
    TurnFailed,
    TurnFinished,
    TurnInterrupted,
    TurnStarted,
)
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.open_socket import Beginning, Incoming
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.json_text import json_object
from voicebench.remote.formats.reported_failure import reported_failure
from voicebench.remote.sound.speech import AnswerSpeech, SharedRate
from voicebench.targets.remote_turn import SocketTarget
from voicebench.turn import wire
from voicebench.turn.wire import WireError

MAX_EVENTS = 200_000
"""The limit for the events of one turn."""
LINGER_S = 0.1
"""How long to listen after the only turn of a connection, for messages after its end."""


class VoiceSocket(SocketTarget):
    """A `Target` behind our own WebSocket, for example ``ws://127.0.0.1:8765/v1/voice``.

    Raises `voicebench.errors.UsageError` for a URL or a key that cannot be used.
    """

    def __init__(self, url: str, access: Access | None = None) -> None:
        service = SocketService(url, access or Access(), "turn", subprotocol=wire.SUBPROTOCOL)
        super().__init__(service)
        self._rate = SharedRate()
        self._numbers = itertools.count(1)
        self._repeats_numbers: bool | None = None

    def prepare(self) -> None:
        """Open the connection; a new one if the server does not number its messages."""
        if self._repeats_numbers is False:
            self._service.drop_used(LINGER_S)
        super().prepare()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "target": "voice-socket",
            "url": self._service.shown_url,
            "sample_rate": self._rate.known,
        } | self._service.access.describe()

    def _answer(self, prompt: str) -> Generator[Event]:
        connected, budget = self._service.begin()
        yield connected
        number = next(self._numbers)
        self._service.send(wire.encode(TurnStarted(prompt), turn=number), budget)
        interrupted = str(wire.encode(TurnInterrupted(), turn=number))
        self._stops_by(budget, lambda _heard_s: [interrupted])
        answer = _Answer(self._service, AnswerSpeech(self._rate), number, self._repeats_numbers)
        for _ in range(MAX_EVENTS):
            for event in answer.take(self._service.receive_part(budget)):
                if isinstance(event, TurnFinished):
                    answer.check_end(self._service.received())
                    if any(isinstance(late, bytes) for late in self._service.set_aside.take()):
                        yield Remark("late sound")
                yield event
                if isinstance(event, TurnFinished | TurnFailed):
                    self._repeats_numbers = bool(answer.repeats_number)
                    return
        raise RemoteError(f"sends more than {MAX_EVENTS} events in one turn", fault="protocol")


class _Answer:
    """The answer to one turn while its messages arrive.

    ``repeats_number`` says whether the server repeats the turn's number; None if unknown.
    """

    def __init__(
        self, service: SocketService, heard: AnswerSpeech, number: int, repeats_number: bool | None
    ) -> None:
        self.repeats_number = repeats_number
        self._service = service
        self._heard = heard
        self._number = number
        self._token_arrival: int | None = None
        self._replied = False
        self._kinds: set[str] = set()

    def take(self, incoming: Incoming | Beginning) -> Iterator[Event]:
        """Yield the events of this turn in ``incoming``. Raises `RemoteError` or `WireError`."""
        if isinstance(incoming, Beginning):
            if incoming.kind == "binary":
                yield from self._heard.message_begins()
            return
        event = self._own(incoming)
        match event:
            case None if isinstance(incoming.data, bytes):
                yield Remark("late sound")
            case None | Connected() | FirstByte() | SpeakerStarted():
                pass
            case AudioChunk(pcm, rate):
                yield from self._heard.first_byte()
                yield from self._heard.chunk(pcm, rate)
            case Token(text) | Reply(text):
                self._check_order("reply")
                yield self._text(event, text, incoming.arrival)
            case TextChunk():
                self._check_order("text chunk")
                yield event
            case ServerTiming(duration_ms, stage="turn"):
                yield ServerTiming(duration_ms)
            case ServerTiming():
                pass
            case TurnFailed(reason, fault, stage):
                # The server reported it itself, so the connection can be used again.
                yield TurnFailed(self._service.quote(reason), fault, stage)
            case Remark(kind, said):
                yield Remark(kind, self._service.quote(said))
            case TurnStarted() | TurnInterrupted():
                raise RemoteError("sends a turn of its own", fault="protocol")
            case _:
                yield event
        self._heard.message_is_other()

    def check_end(self, received: list[Incoming]) -> None:
        """Raise `RemoteError` if one of the messages is of this turn, which has ended."""
        for incoming in received:
            event = self._own(incoming)
            if event is not None:
                name = type(event).__name__
                raise RemoteError(f"sends {name} after the turn's end", fault="protocol")

    def _own(self, incoming: Incoming) -> Event | None:
        """Return the event in a message; None if it is of another turn."""
        try:
            event, turn = wire.decode_of_turn(incoming.data)
        except WireError:
            said = _failure_in(incoming.data)
            if said is None:
                raise
            raise self._service.failure(
                f"answers with an error: {self._service.quote(said)}", fault="engine"
            ) from None
        if turn is not None:
            self.repeats_number = True
            return event if turn == self._number else None
        if self.repeats_number and not isinstance(event, TurnFailed):
            raise RemoteError(
                "sends a message without its turn's number, beside others that have it",
                fault="protocol",
            )
        return event

    def _text(self, event: Event, text: str, arrival: int) -> Token | Reply:
        is_reply = isinstance(event, Reply)
        if self._replied or (is_reply and self._token_arrival is not None):
            raise RemoteError("sends a whole reply beside other text of it", fault="protocol")
        self._replied = is_reply
        joined = arrival == self._token_arrival
        self._token_arrival = arrival
        return Reply(text) if is_reply else Token(text, joined)

    def _check_order(self, kind: str) -> None:
        """Raise `RemoteError` for sound before its text: it may be an earlier turn's."""
        if kind not in self._kinds and not self._heard.is_empty and not self.repeats_number:
            raise RemoteError(
                f"sends sound before the turn's first {kind}, and no turn's number with it: it may "
                "be an earlier turn's",
                "use the same version of voicebench at both ends",
                fault="protocol",
            )
        self._kinds.add(kind)


def _failure_in(message: str | bytes) -> str | None:
    """Return the failure in a message outside the protocol; None if it has none."""
    try:
        return None if isinstance(message, bytes) else reported_failure(json_object(message))
    except RemoteError:
        return None
