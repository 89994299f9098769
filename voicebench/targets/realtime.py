"""OpenAI's Realtime protocol as a target: a text turn in, speech and its transcript out.

(Format: OpenAI, "Realtime API: client events, server events", general availability of 2025, and the
beta before it; Speaches, LocalAI and others speak one of the two.) The connection is opened and the
session set up before the turn: ``session.created``, ``session.update``, ``session.updated``. The
turn is one ``response.create``; it ends with ``response.done``.

Nothing is this turn's before ``response.created`` announces its response, and nothing after it that
carries another id: a server may still send sound of the response before (`realtime_response`).

What comes is read under both names: ``response.output_audio.delta`` and ``response.audio.delta``,
``response.output_audio_transcript.delta`` and ``response.audio_transcript.delta``,
``response.output_text.delta`` and ``response.text.delta``. A transcript's delta is a token: the
text that is in hand. It may come after the sound that it belongs to. The protocol has no word for
how long the server took; `voicebench serve` puts a ``server_timing`` into the response's metadata,
in the form of the HTTP header, and what has one is read.

**One turn must not remember another**, or each would be slower than the one before. The prompt is
therefore sent within ``response.create``, out of band (``conversation: "none"``). A server that
does not know that gets it as a conversation item, and a new session for each turn
(``out_of_band=False``), opened before the turn.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from voicebench.events import Emit, Event, TurnFinished
from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import message_in
from voicebench.remote.formats.json_text import text_at
from voicebench.targets.realtime_response import Response, event_in, told_late
from voicebench.targets.remote_turn import run_remote_turn

PCM_RATE = 24_000
"""The one rate of the protocol's PCM: 16 bits, little-endian, mono."""
MAX_GREETINGS = 20
MAX_EVENTS = 200_000


@dataclass(frozen=True, slots=True)
class RealtimeOptions:
    """Options of a Realtime session; None leaves the choice to the server.

    ``dialect`` is the protocol's version that the server understands; ``extra`` is merged into the
    session last.
    """

    dialect: Literal["ga", "beta"] = "ga"
    voice: str | None = None
    instructions: str | None = None
    out_of_band: bool = True
    extra: Mapping[str, object] | None = None


class Realtime:
    """A `Target` behind OpenAI's Realtime protocol.

    ``url`` holds the model: ``wss://api.openai.com/v1/realtime?model=gpt-realtime``. Raises
    `voicebench.errors.UsageError` for a URL or a key that cannot be.
    """

    def __init__(
        self, url: str, options: RealtimeOptions | None = None, access: Access | None = None
    ) -> None:
        self._options = options or RealtimeOptions()
        access = access or Access()
        if self._options.dialect == "beta":
            access = replace(access, headers={**access.headers, "OpenAI-Beta": "realtime=v1"})
        self._service = SocketService(url, access, "turn", set_up=self._set_up)
        self._model: str | None = None
        self._earlier: str | None = None

    def run(self, prompt: str, emit: Emit) -> None:
        """Send ``prompt`` and emit what comes back, to the response's end."""
        run_remote_turn(prompt, emit, self._service, self._answer(prompt))

    def check(self) -> None:
        """Open the connection and a session now, or raise `RemoteError` naming the URL."""
        self._service.check()

    def prepare(self) -> None:
        """Bring connection and session into the state in which the next turn shall find them."""
        if not self._options.out_of_band:
            self._service.drop_used()
        self._service.prepare()

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

    def close(self) -> None:
        """Say goodbye and hang up."""
        self._service.close()

    def _set_up(self, service: SocketService, budget: WaitBudget) -> None:
        """Wait for the new session, and make it what was asked for."""
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

    def _answer(self, prompt: str) -> Iterator[Event]:
        connected, budget = self._service.begin()
        yield connected
        for message in self._request(prompt):
            self._service.send(json.dumps(message), budget)
        response = Response(self._service, PCM_RATE, self._earlier)
        for _ in range(MAX_EVENTS):
            yield from response.take(self._service.receive_part(budget))
            if response.done:
                self._earlier = response.id
                for more in self._service.received():
                    yield from response.take(more)
                yield from told_late(self._service.set_aside.take())
                yield TurnFinished()
                return
        raise self._service.failure(f"sends more than {MAX_EVENTS} events in one turn")
