"""The answer to one turn of the Realtime protocol: what is sent for it, and when it is over.

`voicebench.targets.realtime_response` decides which events are of the response.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from voicebench.events import Event, TurnFinished
from voicebench.remote.connection.peer import Peer
from voicebench.remote.connection.socket_messages import Beginning, Incoming
from voicebench.targets.realtime_response import Response, late_sound
from voicebench.targets.socket_answer import PlainSound, TurnsBefore

PCM_RATE = 24_000
"""The one rate of the protocol's PCM: 16 bits, little-endian, mono."""


@dataclass(frozen=True, slots=True)
class RealtimeOptions:
    """Options of a Realtime session; None leaves the choice to the server.

    ``dialect`` is the server's version of the protocol; ``extra`` is merged into the session last.
    """

    dialect: Literal["ga", "beta"] = "ga"
    voice: str | None = None
    instructions: str | None = None
    out_of_band: bool = True
    extra: Mapping[str, object] | None = None


class RealtimeAnswer:
    """The answer of ``peer`` to ``prompt`` (a `SocketAnswer`), after the turns ``before``."""

    def __init__(
        self, peer: Peer, prompt: str, options: RealtimeOptions, before: TurnsBefore
    ) -> None:
        self._prompt = prompt
        self._options = options
        self._before = before
        self._response = Response(peer, PCM_RATE, before.response)

    @property
    def done(self) -> bool:
        """Whether the response is over."""
        return self._response.done

    def request(self) -> Iterator[str]:
        """Yield the messages that ask for a response."""
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": self._prompt}],
        }
        kinds = "modalities" if self._options.dialect == "beta" else "output_modalities"
        wanted = ["audio", "text"] if self._options.dialect == "beta" else ["audio"]
        if self._options.out_of_band:
            response = {"conversation": "none", "input": [item], kinds: wanted}
            yield json.dumps({"type": "response.create", "response": response})
        else:
            yield json.dumps({"type": "conversation.item.create", "item": item})
            yield json.dumps({"type": "response.create"})

    def take(self, incoming: Incoming | Beginning) -> Iterator[Event]:
        """Yield the events of the response in ``incoming``. Raises `RemoteError`."""
        return self._response.take(incoming)

    def take_plain(self, message: str | bytes) -> PlainSound | None:
        """Take a message with one delta of sound, if the response has sound already."""
        samples = self._response.take_plain(message)
        return None if samples is None else PlainSound(samples, PCM_RATE)

    def made_of(self, sound: PlainSound) -> str:
        """Return the event with this sound."""
        delta = base64.b64encode(sound.samples).decode()
        event = {
            "type": "response.output_audio.delta",
            "response_id": self._response.id,
            "item_id": self._response.item_id,
            "delta": delta,
        }
        return json.dumps(event)

    def end(
        self, received: Sequence[Incoming], set_aside: Sequence[str | bytes]
    ) -> Iterator[Event]:
        """Yield the end of the turn, and what came together with it."""
        for more in received:
            yield from self._response.take(more)
        yield from late_sound(set_aside)
        yield TurnFinished()

    def cancelling(self, heard_s: float) -> Iterator[str]:
        """Yield what cancels the response, and cuts it to what was heard if it is remembered."""
        response = self._response
        response.is_cancelled = True
        # A response outside the conversation is cancelled by its id alone.
        by_id = {} if response.id is None else {"response_id": response.id}
        yield json.dumps({"type": "response.cancel", **by_id})
        if not self._options.out_of_band and response.item_id is not None:
            heard_ms = round(1000 * min(heard_s, response.received_s))
            place = {"item_id": response.item_id, "content_index": 0, "audio_end_ms": heard_ms}
            yield json.dumps({"type": "conversation.item.truncate", **place})

    def after(self) -> TurnsBefore:
        """Return the number of turns, and the id of the latest response."""
        latest = self._response.id if self.done else self._before.response
        return TurnsBefore(self._before.turns + 1, None, PCM_RATE, latest)
