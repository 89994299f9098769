"""A server of OpenAI's chat protocol that says what a test's script says, and a client of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from loopback import Loopback, Peer, Script, failure_in_time, serving

from voicebench.events import LlmEvent, Token
from voicebench.remote.clients.openai_chat import ChatOptions, OpenAiChat
from voicebench.remote.connection.access import Access
from voicebench.remote.failure import RemoteError

DONE = b"data: [DONE]\n\n"
STOP = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}


def sse(*chunks: object) -> bytes:
    return b"".join(b"data: " + json.dumps(chunk).encode() + b"\n\n" for chunk in chunks)


def delta(**fields: object) -> dict[str, object]:
    return {"choices": [{"index": 0, "delta": fields, "finish_reason": None}]}


def streams(*parts: bytes, **headers: str) -> Script:
    """Return the script of a server that streams ``parts`` to every request."""

    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.answer("text/event-stream", *parts, **headers)

    return script


def answers(content_type: str, body: bytes, status: str = "200 OK", **headers: str) -> Script:
    def script(peer: Peer) -> None:
        while True:
            peer.request()
            peer.head(status, content_type=content_type, content_length=str(len(body)), **headers)
            peer.send(body)

    return script


@contextmanager
def chat(
    script: Script, options: ChatOptions | None = None, **access: Any
) -> Iterator[tuple[OpenAiChat, Loopback]]:
    with serving(script) as server:
        model = OpenAiChat(f"{server.url}/v1", "m", options, Access(**access))
        try:
            yield model, server
        finally:
            model.close()


def events_of(script: Script, options: ChatOptions | None = None) -> list[LlmEvent]:
    with chat(script, options) as (model, _):
        return list(model.reply("What time is it?"))


def failure_of(script: Script, **access: Any) -> RemoteError:
    with chat(script, **access) as (model, _):
        model.prepare()
        return failure_in_time(lambda: list(model.reply("What time is it?")))


def texts(events: list[LlmEvent]) -> list[str]:
    return [event.text for event in events if isinstance(event, Token)]
