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

import contextlib
import json
from collections.abc import Generator, Mapping
from dataclasses import replace

from voicebench.remote.connection.access import Access
from voicebench.remote.connection.timeouts import WaitBudget
from voicebench.remote.connection.websocket import SocketService
from voicebench.remote.failure import message_in
from voicebench.remote.formats.json_text import text_at
from voicebench.targets.realtime_response import event_in
from voicebench.targets.realtime_text_turn import PCM_RATE, RealtimeAnswer, RealtimeOptions
from voicebench.targets.remote_turn import SocketTarget

__all__ = ["PCM_RATE", "Realtime", "RealtimeOptions"]

MAX_GREETINGS = 20


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

    @property
    def has_connection_a_turn(self) -> bool:
        """Whether the server would remember the last turn of a session."""
        return not self._options.out_of_band

    def new_answer(self, prompt: str) -> RealtimeAnswer:
        """Return the answer to the next turn."""
        return RealtimeAnswer(self.service, prompt, self._options, self.before)

    def prepare(self) -> None:
        """Open connection and session; new ones if the server would remember the last turn."""
        if self.has_connection_a_turn:
            self.service.drop_used()
        super().prepare()

    def describe(self) -> dict[str, object]:
        """Return what a reader of the results must know."""
        options = self._options
        return {
            "target": "realtime",
            "url": self.service.shown_url,
            "model": self._model,
            "dialect": options.dialect,
            "voice": options.voice,
            "instructions": options.instructions,
            "out_of_band": options.out_of_band,
            "sample_rate": PCM_RATE,
        } | self.service.access.describe()

    def _set_up(self, service: SocketService, budget: WaitBudget) -> None:
        steps = self.setting_up()
        message = next(steps)
        with contextlib.suppress(StopIteration):
            while True:
                if message is None:
                    message = steps.send(service.receive(budget).data)
                else:
                    service.send(message, budget)
                    message = next(steps)

    def setting_up(self) -> Generator[str | None, str | bytes]:
        """Wait for the new session, and set its options."""
        yield from self._await("session.created")
        yield json.dumps({"type": "session.update", "session": self._session()})
        updated = yield from self._await("session.updated")
        self._model = text_at(updated, "session", "model") or None

    def _await(self, kind: str) -> Generator[str | None, str | bytes, Mapping[str, object]]:
        for _ in range(MAX_GREETINGS):
            message = yield None
            assert message is not None
            event = event_in(message, self.service)
            if event.get("type") == kind:
                return event
            if event.get("type") == "error":
                said = self.service.quote(message_in(json.dumps(event)))
                raise self.service.failure(f"refuses the session: {said}", fault="refused")
        raise self.service.failure(f"sends no {kind}")

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
