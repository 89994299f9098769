"""The answer to one turn of our own voice WebSocket, message by message.

The server cannot set the times of this turn. Which tokens arrived together is known from our own
reads. Which turn a message belongs to is known from the number that the server repeats. Of its own
measurements only the duration of the turn is kept, beside ours; its connections, its loudspeaker
and its servers are not part of this turn.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

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
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.socket_messages import Beginning, Incoming
from voicebench.remote.failure import RemoteError
from voicebench.remote.formats.json_text import json_object
from voicebench.remote.formats.reported_failure import reported_failure
from voicebench.remote.sound.speech import AnswerSpeech, SharedRate
from voicebench.targets.socket_answer import PlainSound, TurnsBefore
from voicebench.turn import wire
from voicebench.turn.wire import WireError


class VoiceAnswer:
    """The answer of ``peer`` to ``prompt`` (a `SocketAnswer`), after the turns ``before``."""

    def __init__(self, peer: Peer, prompt: str, before: TurnsBefore) -> None:
        self.repeats_number = before.repeats_numbers
        """Whether the server repeats the turn's number; None if unknown."""
        self.done = False
        self._peer = peer
        self._prompt = prompt
        self._before = before
        self._rate = SharedRate(before.sample_rate)
        self._heard = AnswerSpeech(self._rate)
        self._number = before.turns + 1
        self._token_arrival: int | None = None
        self._replied = False
        self._kinds: set[str] = set()
        self._finished: TurnFinished | None = None
        self._plain: wire.SoundHead | None = None

    def request(self) -> Iterator[str]:
        """Yield the message that begins the turn."""
        yield str(wire.encode(TurnStarted(self._prompt), turn=self._number))

    def cancelling(self, heard_s: float) -> Iterator[str]:  # noqa: ARG002
        """Yield the message that interrupts the turn."""
        yield str(wire.encode(TurnInterrupted(), turn=self._number))

    def take(self, incoming: Incoming | Beginning) -> Iterator[Event]:
        """Yield the events of this turn in ``incoming``. Raises `RemoteError` or `WireError`."""
        self._heard.read_ns = incoming.read_ns
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
                yield from self._heard.chunk(pcm, rate, incoming.read_ns)
                if isinstance(incoming.data, bytes):
                    self._plain = wire.head_of(incoming.data)
            case Token(text) | Reply(text):
                self._check_order("reply")
                yield self._text(event, text, incoming)
            case TextChunk():
                self._check_order("text chunk")
                yield event
            case ServerTiming(duration_ms, stage="turn"):
                yield ServerTiming(duration_ms)
            case ServerTiming():
                pass
            case TurnFailed(reason, fault, stage):
                # The server reported it itself, so the connection can be used again.
                self.done = True
                yield TurnFailed(self._peer.quote(reason), fault, stage)
            case TurnFinished():
                self.done, self._finished = True, event
            case Remark(kind, said):
                yield Remark(kind, self._peer.quote(said))
            case TurnStarted() | TurnInterrupted():
                raise RemoteError("sends a turn of its own", fault="protocol")
            case _:
                yield event
        self._heard.message_is_other()

    def take_plain(self, message: str | bytes) -> PlainSound | None:
        """Take a message whose head is that of the latest sound of this turn."""
        head = self._plain
        if head is None or not isinstance(message, bytes) or not head.precedes(message):
            return None
        if len(message) > wire.MAX_MESSAGE_BYTES or not self.repeats_number:
            return None
        samples = memoryview(message)[head.size :]
        self._heard.count(len(samples) // 2, head.sample_rate)
        return PlainSound(samples, head.sample_rate)

    def made_of(self, sound: PlainSound) -> bytes:
        """Return the message with this sound."""
        return wire.sound_head(sound.sample_rate, self._number) + bytes(sound.samples)

    def end(
        self, received: Sequence[Incoming], set_aside: Sequence[str | bytes]
    ) -> Iterator[Event]:
        """Yield the end of the turn, unless the server reported its failure."""
        if self._finished is None:
            return
        for incoming in received:
            event = self._own(incoming)
            if event is not None:
                name = type(event).__name__
                raise RemoteError(f"sends {name} after the turn's end", fault="protocol")
        if any(isinstance(late, bytes) for late in set_aside):
            yield Remark("late sound")
        yield self._finished

    def after(self) -> TurnsBefore:
        """Return the number of turns, and what is known of the server."""
        repeats = bool(self.repeats_number) if self.done else self._before.repeats_numbers
        return TurnsBefore(self._number, repeats, self._rate.known)

    def _own(self, incoming: Incoming) -> Event | None:
        """Return the event in a message; None if it is of another turn."""
        try:
            event, turn = wire.decode_of_turn(incoming.data)
        except WireError:
            said = _failure_in(incoming.data)
            if said is None:
                raise
            raise self._peer.failure(
                f"answers with an error: {self._peer.quote(said)}", fault="engine"
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

    def _text(self, event: Event, text: str, incoming: Incoming) -> Token | Reply:
        is_reply = isinstance(event, Reply)
        if self._replied or (is_reply and self._token_arrival is not None):
            raise RemoteError("sends a whole reply beside other text of it", fault="protocol")
        self._replied = is_reply
        joined = incoming.arrival == self._token_arrival
        self._token_arrival = incoming.arrival
        if is_reply:
            return Reply(text, read_ns=incoming.read_ns)
        return Token(text, joined, read_ns=incoming.read_ns)

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
