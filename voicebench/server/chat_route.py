"""``POST /v1/chat/completions``: a reply in text, streamed or whole, in OpenAI's form.

The last event of a streamed reply has this server's durations, as ``timings`` like llama.cpp's
server: ``prompt_ms`` to the first token, ``predicted_ms`` from there to the end.
"""

from __future__ import annotations

import json
import secrets

from voicebench.events import Event, Reply, Token, Usage
from voicebench.server.admission import RunningTurn
from voicebench.server.clock import unix_time
from voicebench.server.refusal import Refusal
from voicebench.server.rendering import Rendering, server_sent
from voicebench.server.request_bodies import ChatRequest
from voicebench.server.served import AnswerRequest, Served


class ChatForm(Rendering):
    """Common part of streamed and whole answers: names, text so far, counts."""

    def __init__(self, served: Served, request: AnswerRequest) -> None:
        self._served = served
        self._request = request
        self._id = f"chatcmpl-{secrets.token_hex(12)}"
        self._created = unix_time()
        self._limit = served.token_limit(request)
        self._pieces: list[str] = []
        self._counted: Usage | None = None

    def _note(self, event: Event) -> str:
        """Keep the text or the count in ``event``; return its text."""
        if isinstance(event, Token | Reply):
            self._pieces.append(event.text)
            return event.text
        if isinstance(event, Usage):
            self._counted = event
        return ""

    def _document(self, kind: str, choices: list[dict[str, object]]) -> dict[str, object]:
        return {
            "id": self._id,
            "object": kind,
            "created": self._created,
            "model": self._served.chat_model,
            "choices": choices,
        }

    def _finish_reason(self) -> str:
        return (
            "length" if self._limit is not None and self._reply_tokens() >= self._limit else "stop"
        )

    def _reply_tokens(self) -> int:
        """Return how many tokens the model made, hidden ones included."""
        if self._counted is None:
            return len(self._pieces)
        return self._counted.tokens + (self._counted.hidden or 0)

    def _usage(self) -> dict[str, object]:
        counted = self._counted
        written = self._reply_tokens()
        if counted is not None and counted.prompt_tokens is not None:
            read = counted.prompt_tokens
        else:
            read = self._served.prompt_tokens(self._request)
        counts: dict[str, object] = {
            "prompt_tokens": read,
            "completion_tokens": written,
            "total_tokens": read + written,
        }
        if counted is not None and counted.cached_tokens is not None:
            counts["prompt_tokens_details"] = {"cached_tokens": counted.cached_tokens}
        if counted is not None and counted.hidden:
            counts["completion_tokens_details"] = {"reasoning_tokens": counted.hidden}
        return counts


class StreamedChat(ChatForm):
    """A reply as server-sent events, one for each token."""

    content_type = "text/event-stream; charset=utf-8"

    def __init__(self, served: Served, request: AnswerRequest, *, include_usage: bool) -> None:
        super().__init__(served, request)
        self._include_usage = include_usage

    def take(self, event: Event) -> bytes:
        """Return the event of a token. Before the first one comes an event with the role."""
        begins = not self._pieces
        text = self._note(event)
        if not text:
            return b""
        lead = self._chunk({"role": "assistant", "content": ""}) if begins else b""
        return lead + self._chunk({"content": text})

    def finish(self, turn: RunningTurn) -> bytes:
        """Return the events that end the reply, with the counts if asked for."""
        lead = b"" if self._pieces else self._chunk({"role": "assistant", "content": ""})
        last = self._chunk({}, self._finish_reason(), {"timings": chat_timings(turn)})
        if self._include_usage:
            document = self._document("chat.completion.chunk", [])
            last += server_sent(document | {"usage": self._usage()})
        return lead + last + b"data: [DONE]\n\n"

    def fail(self, refusal: Refusal) -> bytes | None:
        """Return the event that reports a failure."""
        return server_sent(refusal.content())

    def _chunk(
        self,
        delta: dict[str, object],
        finish_reason: str | None = None,
        more: dict[str, object] | None = None,
    ) -> bytes:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        document = self._document("chat.completion.chunk", [choice])
        if self._include_usage:
            document["usage"] = None
        return server_sent(document | (more or {}))


class WholeChat(ChatForm):
    """A reply as one JSON document."""

    content_type = "application/json"

    def take(self, event: Event) -> bytes:
        """Return nothing: the document is sent at the end."""
        self._note(event)
        return b""

    def finish(self, turn: RunningTurn) -> bytes:
        """Return the document."""
        message = {"role": "assistant", "content": "".join(self._pieces), "refusal": None}
        choice: dict[str, object] = {
            "index": 0,
            "message": message,
            "logprobs": None,
            "finish_reason": self._finish_reason(),
        }
        document = self._document("chat.completion", [choice])
        content = document | {"usage": self._usage(), "timings": chat_timings(turn)}
        return json.dumps(content, ensure_ascii=False).encode()


def chat_form(
    served: Served, body: ChatRequest, request: AnswerRequest
) -> StreamedChat | WholeChat:
    """Return the form that ``body`` asks for. ``request`` is its turn."""
    if not body.stream:
        return WholeChat(served, request)
    options = body.stream_options
    return StreamedChat(served, request, include_usage=bool(options and options.include_usage))


def chat_timings(turn: RunningTurn) -> dict[str, float]:
    """Return this server's durations of the reply, named as by llama.cpp."""
    total_ms = turn.elapsed_ms()
    first_ms = turn.figures.first_token_ms
    prompt_ms = total_ms if first_ms is None else first_ms
    return {"prompt_ms": round(prompt_ms, 3), "predicted_ms": round(total_ms - prompt_ms, 3)}
