"""One response of the Realtime protocol: the pipeline's events as the protocol's."""

from __future__ import annotations

import base64
import secrets
from collections.abc import Iterator, Mapping

from voicebench.events import AudioChunk, Event, Reply, Token, TurnFailed, Usage
from voicebench.server.admission import RunningTurn
from voicebench.server.http_answer import refusal_of
from voicebench.server.realtime_forms import Dialect, usage_of
from voicebench.server.resampling import Resampled

ServerEvent = tuple[str, dict[str, object]]
"""Its type and its fields."""


class ResponseEvents:
    """One response: the pipeline's events as the protocol's."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._id = f"resp_{secrets.token_hex(8)}"
        self._item_id = f"item_{secrets.token_hex(8)}"
        self._place = {"response_id": self._id, "item_id": self._item_id, "output_index": 0}
        self._sound: Resampled | None = None
        self._transcript: list[str] = []
        self._counted: Usage | None = None
        self._failed: TurnFailed | None = None
        self._began = False
        self.ended = False

    def described(self, status: str, **more: object) -> dict[str, object]:
        """Return the response as the protocol describes one."""
        return {"id": self._id, "object": "realtime.response", "status": status, **more}

    def take(self, event: Event) -> Iterator[ServerEvent]:
        """Yield the server events for ``event``."""
        if isinstance(event, Token | Reply | AudioChunk) and not self._began:
            self._began = True
            item = {"id": self._item_id, **_spoken_item("", "in_progress")}
            fields = {"response_id": self._id, "output_index": 0, "item": item}
            yield "response.output_item.added", fields
        if isinstance(event, Token | Reply):
            self._transcript.append(event.text)
            yield self._dialect.transcript + ".delta", self._part(delta=event.text)
        elif isinstance(event, AudioChunk):
            if self._sound is None:
                self._sound = Resampled(event.sample_rate)
            data = self._sound.feed(event.pcm)
            if data:
                yield self._dialect.audio + ".delta", self._part(delta=_base64(data))
        elif isinstance(event, Usage):
            self._counted = event
        elif isinstance(event, TurnFailed):
            self._failed = event

    def finish(self, turn: RunningTurn) -> Iterator[ServerEvent]:
        """Yield the server events that end the response."""
        timing = {"server_timing": f"total;dur={turn.elapsed_ms():.3f}"}
        if self._failed is not None or turn.figures.outcome != "finished":
            refusal = refusal_of(self._failed)
            details = {"type": "failed", "error": refusal.content()["error"]}
            yield "response.done", self._done("failed", status_details=details)
            return
        yield from self.complete(timing)

    def complete(self, metadata: Mapping[str, str] | None = None) -> Iterator[ServerEvent]:
        """Yield the server events that end a response whose sound is complete."""
        rest = self._sound.finish() if self._sound else b""
        if rest:
            yield self._dialect.audio + ".delta", self._part(delta=_base64(rest))
        text = "".join(self._transcript)
        yield self._dialect.audio + ".done", self._part()
        yield self._dialect.transcript + ".done", self._part(transcript=text)
        item = {"id": self._item_id, **_spoken_item(text, "completed")}
        yield "response.output_item.done", {"response_id": self._id, "item": item}
        # The protocol has no field for durations; metadata holds any strings.
        yield "response.done", self._done("completed", output=[item], metadata=dict(metadata or {}))

    def cancelled(self, reason: str = "client_cancelled") -> dict[str, object]:
        """Return what ends a response that the client, or the caller's voice, cancelled."""
        details = {"type": "cancelled", "reason": reason}
        return self._done("cancelled", status_details=details)

    def _done(self, status: str, **more: object) -> dict[str, object]:
        if self._counted is not None:
            more["usage"] = usage_of(self._counted)
        return {"response": self.described(status, **more)}

    def _part(self, **fields: object) -> dict[str, object]:
        return {**self._place, "content_index": 0, **fields}


def _spoken_item(text: str, status: str) -> dict[str, object]:
    return {
        "object": "realtime.item",
        "type": "message",
        "role": "assistant",
        "status": status,
        "content": [{"type": "output_audio", "transcript": text}] if text else [],
    }


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode("ascii")
