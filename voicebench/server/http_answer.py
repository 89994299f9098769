"""One HTTP answer from one turn.

The head is sent with the first bytes of the turn. So a turn that fails before them is answered with
a 4xx or 5xx, and ``Server-Timing`` has the time to the first bytes. An answer in events has the
durations of the rest in its last event (few clients read HTTP trailers, and uvicorn sends none).

If the client leaves, the turn is stopped.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from voicebench.events import TurnFailed
from voicebench.server.admission import RunningTurn, Turns, Work
from voicebench.server.refusal import Refusal
from voicebench.server.rendering import Rendering

_LOG = logging.getLogger("voicebench.server")


class TurnAnswer(Response):
    """The answer to a request for a turn."""

    def __init__(self, turns: Turns, route: str, work: Work, rendering: Rendering) -> None:
        self.background = None
        self._turns = turns
        self._route = route
        self._work = work
        self._rendering = rendering

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Run the turn and send its events, until it ends or the client leaves."""
        answering = asyncio.create_task(self._answer(scope, receive, send))
        watching = asyncio.create_task(_client_left(receive))
        try:
            await asyncio.wait({answering, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            watching.cancel()
            if not answering.done():
                answering.cancel()
            await asyncio.gather(answering, watching, return_exceptions=True)
        if not answering.cancelled():
            answering.result()

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            async with self._turns.turn(self._route, self._work) as turn:
                await self._send_turn(turn, _Body(send, self._rendering))
        except Refusal as refusal:
            await refusal.response()(scope, receive, send)

    async def _send_turn(self, turn: RunningTurn, body: _Body) -> None:
        async for event in turn.events():
            if isinstance(event, TurnFailed):
                await self._send_failure(event, body)
                return
            await body.send(self._rendering.take(event), turn)
        if not turn.over or turn.figures.outcome != "finished":
            await self._send_failure(None, body)
            return
        await body.end(self._rendering.finish(turn), turn)

    async def _send_failure(self, failed: TurnFailed | None, body: _Body) -> None:
        refusal = refusal_of(failed)
        if not body.began:
            raise refusal
        last = self._rendering.fail(refusal)
        if last is not None:
            await body.end(last, None)
        # Otherwise the answer stays without its end, and the connection is closed.


class _Body:
    """The head and the body of an answer."""

    def __init__(self, send: Send, rendering: Rendering) -> None:
        self._send = send
        self._rendering = rendering
        self.began = False

    async def send(self, data: bytes, turn: RunningTurn) -> None:
        """Send ``data`` if there is any. The first data is sent after the head."""
        if data:
            if not self.began:
                await self._send_head(_timing_header(turn))
            await self._send({"type": "http.response.body", "body": data, "more_body": True})

    async def end(self, data: bytes, turn: RunningTurn | None) -> None:
        """Send the last ``data``."""
        if not self.began and turn is not None:
            timing = _timing_header(turn, whole=True)
            await self._send_head(timing | {"content-length": str(len(data))})
        await self._send({"type": "http.response.body", "body": data, "more_body": False})

    async def _send_head(self, headers: Mapping[str, str]) -> None:
        self.began = True
        headers = {
            "content-type": self._rendering.content_type,
            "cache-control": "no-store",
            "x-accel-buffering": "no",
            **self._rendering.headers,
            **headers,
        }
        message: Message = {
            "type": "http.response.start",
            "status": 200,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        }
        await self._send(message)


def refusal_of(failed: TurnFailed | None) -> Refusal:
    """Return the refusal for a failed turn; None is a turn without an end."""
    if failed is None:
        return Refusal(500, "the turn was interrupted", code="engine_error")
    if failed.fault == "refused":
        return Refusal(400, failed.reason, code="context_length_exceeded")
    return Refusal(500, failed.reason, code=f"{failed.stage}_error")


def _timing_header(turn: RunningTurn, *, whole: bool = False) -> dict[str, str]:
    entries = [f"queue;dur={turn.figures.queue_ms:.3f}"]
    for name, moment in (
        ("first-token", turn.figures.first_token_ms),
        ("first-audio", turn.figures.first_audio_ms),
        ("total", turn.elapsed_ms() if whole else None),
    ):
        if moment is not None:
            entries.append(f"{name};dur={moment:.3f}")
    return {"server-timing": ", ".join(entries)}


async def _client_left(receive: Receive) -> None:
    """Return when the client has hung up."""
    while (await receive())["type"] != "http.disconnect":
        pass
