"""Telephony media streams: the caller is the telephone company, the agent is its customer's server.

(Format: Twilio, "Media Streams: WebSocket messages"; Telnyx and Plivo nearly share it.) Sound is
µ-law at 8 kHz in base64, 20 ms a message. The agent may send a ``mark`` after its sound: it gets
the mark back when the sound before it was played, or at once after a ``clear``.
"""

from __future__ import annotations

import base64
import binascii
from collections import deque
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

import numpy as np

from voicebench.agents import FRAME_MS
from voicebench.agents.playing_position import PlayingPosition
from voicebench.agents.wire_dialect import Answered, Message, as_text, table_in, text_under
from voicebench.audio import g711
from voicebench.audio.pcm import from_int16
from voicebench.calls.agent_events import AgentAudio, AgentCleared, AgentEvent, ReplyComplete

if TYPE_CHECKING:
    from numpy.typing import NDArray

STREAM = "MZ00000000000000000000000000000001"
CALL = "CA00000000000000000000000000000001"
ACCOUNT = "AC00000000000000000000000000000001"


class TelephonyDialect:
    """One media stream."""

    hear_rate = g711.SAMPLE_RATE
    waits_for_ready = False

    def __init__(self) -> None:
        g711.prepare("mulaw")
        self._number = 0
        self._chunk = 0
        self._position = PlayingPosition(g711.SAMPLE_RATE)
        self._marks: deque[tuple[int, str]] = deque()

    def opening(self) -> Iterable[Message]:
        """Return ``connected`` and ``start``."""
        start = {
            "accountSid": ACCOUNT,
            "streamSid": STREAM,
            "callSid": CALL,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": {},
        }
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        return [as_text(connected), self._written("start", start=start)]

    def is_ready(self, _message: Message) -> bool:
        """Return False: the protocol has no such message."""
        return False

    def frame(self, samples: NDArray[np.int16]) -> Iterable[Message]:
        """Return 20 ms as ``media``, after the marks that were reached."""
        self._position.frame_passed()
        messages = [
            self._written("mark", mark={"name": name})
            for name in self._reached(self._position.played)
        ]
        payload = base64.b64encode(g711.encode(samples, "mulaw").tobytes()).decode()
        self._chunk += 1
        media = {
            "track": "inbound",
            "chunk": str(self._chunk),
            "timestamp": str(self._chunk * FRAME_MS),
            "payload": payload,
        }
        return [*messages, self._written("media", media=media)]

    def closing(self) -> Iterable[Message]:
        """Return ``stop``."""
        return [self._written("stop", stop={"accountSid": ACCOUNT, "callSid": CALL})]

    def take(self, message: Message) -> Iterator[AgentEvent | Answered]:
        """Yield what a message means; an unknown one means nothing."""
        table = table_in(message)
        event = table.get("event")
        if event == "media":
            try:
                content = base64.b64decode(text_under(table, "media", "payload"), validate=True)
            except (ValueError, binascii.Error):
                raise ValueError("sends media that is not base64") from None
            if content:
                samples = g711.decode(np.frombuffer(content, dtype=np.uint8), "mulaw")
                self._position.add(samples.size)
                yield AgentAudio(from_int16(samples), g711.SAMPLE_RATE)
        elif event == "mark":
            # Agents mark the end of their sound.
            self._marks.append((self._position.sent, text_under(table, "mark", "name")))
            yield ReplyComplete()
        elif event == "clear":
            self._position.clear()
            yield AgentCleared()
            for _, name in self._marks:
                yield Answered(self._written("mark", mark={"name": name}))
            self._marks.clear()

    def _reached(self, played: float) -> Iterator[str]:
        while self._marks and self._marks[0][0] <= played + 0.5:
            yield self._marks.popleft()[1]

    def _written(self, event: str, **parts: object) -> str:
        self._number += 1
        head = {"event": event, "sequenceNumber": str(self._number), "streamSid": STREAM}
        return as_text(head | parts)
