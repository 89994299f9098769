"""Our own voice WebSocket as a target: a turn goes in, tokens and sound come out.

The other end is `voicebench serve`, or whatever speaks `voicebench.wire`. What it sends is emitted
the moment it is in hand. Of what it says about itself, its duration of the turn is kept, beside
ours; its own connections and its own loudspeaker are not this turn's.
"""

from __future__ import annotations

from collections.abc import Iterator

from voicebench import wire
from voicebench.events import (
    AudioChunk,
    Connected,
    Emit,
    Event,
    FirstByte,
    SpeakerStarted,
    Token,
    TurnFailed,
    TurnFinished,
    TurnStarted,
)
from voicebench.remote.access import Access
from voicebench.remote.failure import RemoteError
from voicebench.remote.speech import Heard, OneRate
from voicebench.remote.websocket import SocketLine
from voicebench.targets.remote_turn import run_remote_turn

MAX_EVENTS = 200_000
"""Events of one turn; more is a turn without end."""


class VoiceSocket:
    """A `Target` behind our own WebSocket, for example ``ws://127.0.0.1:8765/v1/voice``.

    Raises `voicebench.errors.UsageError` for a URL or a key that cannot be.
    """

    def __init__(self, url: str, access: Access | None = None) -> None:
        self._line = SocketLine(url, access or Access(), "turn", subprotocol=wire.SUBPROTOCOL)
        self._rate = OneRate()

    def run(self, prompt: str, emit: Emit) -> None:
        """Send ``prompt`` and emit what comes back, to the turn's end."""
        run_remote_turn(prompt, emit, self._line, self._answer(prompt))

    def check(self) -> None:
        """Open the connection now, or raise `RemoteError` naming the URL."""
        self._line.check()

    def prepare(self) -> None:
        """Bring the connection into the state in which the next turn shall find it."""
        self._line.prepare()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "target": "voice-socket",
            "url": self._line.shown_url,
            "sample_rate": self._rate.known,
        } | self._line.access.describe()

    def close(self) -> None:
        """Say goodbye and hang up."""
        self._line.close()

    def _answer(self, prompt: str) -> Iterator[Event]:
        connected, patience = self._line.begin()
        yield connected
        message = wire.encode(TurnStarted(prompt))
        self._line.send(message, patience)
        heard = Heard(self._rate)
        token_arrival = -1
        for _ in range(MAX_EVENTS):
            incoming = self._line.receive(patience)
            event = wire.decode(incoming.data)
            match event:
                case AudioChunk(pcm, rate):
                    if heard.empty:
                        heard.empty = False
                        yield FirstByte()
                    yield from heard.take(pcm, rate)
                case Token(text, joined):
                    yield Token(text, joined or incoming.arrival == token_arrival)
                    token_arrival = incoming.arrival
                case TurnFailed(reason, fault, stage):
                    # The server lives and said so: the connection serves on.
                    yield TurnFailed(self._line.quote(reason), fault, stage)
                    return
                case TurnFinished():
                    yield event
                    return
                case TurnStarted():
                    raise RemoteError("sends a turn of its own", fault="protocol")
                case Connected() | FirstByte() | SpeakerStarted():
                    pass
                case _:
                    yield event
        raise RemoteError(f"sends more than {MAX_EVENTS} events in one turn", fault="protocol")
