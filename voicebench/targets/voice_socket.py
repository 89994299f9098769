"""Our own voice WebSocket as a target: a turn goes in, tokens and sound come out.

The server is `voicebench serve`, or another one that speaks `voicebench.turn.wire`. Its events are
emitted as they arrive; `voicebench.targets.voice_answer` decides which of them count.

Which turn a message belongs to is known from the number that the server repeats. If it repeats
none, each turn gets a new connection, opened before the turn.
"""

from __future__ import annotations

from voicebench.remote.connection.access import Access
from voicebench.remote.connection.websocket import SocketService
from voicebench.targets.remote_turn import SocketTarget
from voicebench.targets.voice_answer import VoiceAnswer
from voicebench.turn import wire

LINGER_S = 0.1
"""How long to listen after the only turn of a connection, for messages after its end."""


class VoiceSocket(SocketTarget):
    """A `Target` behind our own WebSocket, for example ``ws://127.0.0.1:8765/v1/voice``.

    Raises `voicebench.errors.UsageError` for a URL or a key that cannot be used.
    """

    def __init__(self, url: str, access: Access | None = None) -> None:
        service = SocketService(url, access or Access(), "turn", subprotocol=wire.SUBPROTOCOL)
        super().__init__(service)

    @property
    def has_connection_a_turn(self) -> bool:
        """Whether the server does not number its messages."""
        return self.before.repeats_numbers is False

    def prepare(self) -> None:
        """Open the connection; a new one if the server does not number its messages."""
        if self.has_connection_a_turn:
            self.service.drop_used(LINGER_S)
        super().prepare()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        return {
            "target": "voice-socket",
            "url": self.service.shown_url,
            "sample_rate": self.before.sample_rate,
        } | self.service.access.describe()

    def new_answer(self, prompt: str) -> VoiceAnswer:
        """Return the answer to the next turn."""
        return VoiceAnswer(self.service, prompt, self.before)
