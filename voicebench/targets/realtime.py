"""OpenAI's Realtime protocol as a target: a text turn in, speech and its transcript out.

(Format: OpenAI, "Realtime API: client events, server events", general availability of 2025, and the
beta before it; Speaches, LocalAI and others speak one of the two.) The connection is opened and the
session set up before the turn: ``session.created``, ``session.update``, ``session.updated``. The
turn is one ``response.create``; it ends with ``response.done``. `realtime_response` decides which
events are of this turn.

Events are known by both names: ``response.output_audio.delta`` and ``response.audio.delta``,
``response.output_audio_transcript.delta`` and ``response.audio_transcript.delta``,
``response.output_text.delta`` and ``response.text.delta``. A transcript's delta is a token, even if
it arrives after its sound. The protocol has no field for the server's own duration. `voicebench
serve` puts ``server_timing`` into the response's metadata, in the form of the HTTP header.

**An interrupted turn** is one ``response.cancel``. The server ends the response as ``cancelled``:
then it has stopped. A reply inside a conversation is cut to what the listener heard
(``conversation.item.truncate``).

**One turn must not remember another**, or each would be slower than the one before. The prompt is
therefore part of ``response.create``, out of band (``conversation: "none"``). For a server without
that (``out_of_band=False``) it is a conversation item, and each turn has a new session, opened
before the turn.
"""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal

from voicebench.events import Event, TurnFinished
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import message_in
from voicebench.remote.formats.json_text import text_at
from voicebench.targets.realtime_response import Response, event_in, late_sound
from voicebench.targets.remote_turn import SocketTarget

PCM_RATE = 24_000
"""The one rate of the protocol's PCM: 16 bits, little-endian, mono."""
MAX_GREETINGS = 20
MAX_EVENTS = 200_000


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


class Realtime(SocketTarget):
    """A `Target` behind OpenAI's Realtime protocol.

    ``url`` holds the model: ``wss://api.openai.com/v1/realtime?model=gpt-realtime``. Raises
    `voicebench.errors.UsageError` for a URL or a key that cannot be used.
    """

    def __init__(
        self, url: str, options: RealtimeOptions | None = None, access: Access | None = None
    ) -> None:
        self._options = options or RealtimeOptions()
        access = access or Access()
        if self._options.dialect == "beta":
            access = replace(access, headers={**access.headers, "OpenAI-Beta": "realtime=v1"})
        super().__init__(SocketService(url, access, "turn", set_up=self._set_up))
        self._model: str | None = None
        self._earlier: str | None = None

    def prepare(self) -> None:
        """Open connection and session; new ones if the server would remember the last turn."""
        if not self._options.out_of_band:
            self._service.drop_used()
        super().prepare()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        options = self._options
        return {
            "target": "realtime",
            "url": self._service.shown_url,
            "model": self._model,
            "dialect": options.dialect,
            "voice": options.voice,
            "instructions": options.instructions,
            "out_of_band": options.out_of_band,
            "sample_rate": PCM_RATE,
        } | self._service.access.describe()

    def _set_up(self, service: SocketService, budget: WaitBudget) -> None:
        """Wait for the new session, and set its options."""
        self._await(service, budget, "session.created")
        service.send(json.dumps({"type": "session.update", "session": self._session()}), budget)
        updated = self._await(service, budget, "session.updated")
        self._model = text_at(updated, "session", "model") or None

    def _await(self, service: SocketService, budget: WaitBudget, kind: str) -> Mapping[str, object]:
        for _ in range(MAX_GREETINGS):
            event = event_in(service.receive(budget).data, service)
            if event.get("type") == kind:
                return event
            if event.get("type") == "error":
                said = service.quote(message_in(json.dumps(event)))
                raise service.failure(f"refuses the session: {said}", fault="refused")
        raise service.failure(f"sends no {kind}")

    def _session(self) -> dict[str, object]:
        options = self._options
        session: dict[str, object]
        if options.dialect == "beta":
            session = {
                "modalities": ["audio", "text"],
                "output_audio_format": "pcm16",
                "voice": options.voice,
            }
        else:
            audio: dict[str, object] = {"format": {"type": "audio/pcm", "rate": PCM_RATE}}
            if options.voice is not None:
                audio["voice"] = options.voice
            session = {
                "type": "realtime",
                "output_modalities": ["audio"],
                "audio": {"output": audio},
            }
        session["instructions"] = options.instructions
        session |= options.extra or {}
        return {key: value for key, value in session.items() if value is not None}

    def _request(self, prompt: str) -> Iterator[dict[str, object]]:
        item = {
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": prompt}],
        }
        kinds = "modalities" if self._options.dialect == "beta" else "output_modalities"
        wanted = ["audio", "text"] if self._options.dialect == "beta" else ["audio"]
        if self._options.out_of_band:
            response = {"conversation": "none", "input": [item], kinds: wanted}
            yield {"type": "response.create", "response": response}
        else:
            yield {"type": "conversation.item.create", "item": item}
            yield {"type": "response.create"}

    def _answer(self, prompt: str) -> Generator[Event]:
        connected, budget = self._service.begin()
        yield connected
        for message in self._request(prompt):
            self._service.send(json.dumps(message), budget)
        response = Response(self._service, PCM_RATE, self._earlier)
        self._stops_by(budget, partial(self._cancelling, response))
        for _ in range(MAX_EVENTS):
            yield from response.take(self._service.receive_part(budget))
            if response.done:
                self._earlier = response.id
                for more in self._service.received():
                    yield from response.take(more)
                yield from late_sound(self._service.set_aside.take())
                yield TurnFinished()
                return
        raise self._service.failure(f"sends more than {MAX_EVENTS} events in one turn")

    def _cancelling(self, response: Response, heard_s: float) -> Iterator[str]:
        """Yield what cancels ``response``, and cuts it to what was heard if it is remembered."""
        response.is_cancelled = True
        # A response outside the conversation is cancelled by its id alone.
        by_id = {} if response.id is None else {"response_id": response.id}
        yield json.dumps({"type": "response.cancel", **by_id})
        if not self._options.out_of_band and response.item_id is not None:
            heard_ms = round(1000 * min(heard_s, response.received_s))
            place = {"item_id": response.item_id, "content_index": 0, "audio_end_ms": heard_ms}
            yield json.dumps({"type": "conversation.item.truncate", **place})
